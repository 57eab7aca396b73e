//! Octets that arrived out of order at the peer, as it reports them (RFC 2018).

use super::seq::Seq;
use crate::limits::SACKED_RANGES_MAX;

/// Ranges, in order, that neither overlap nor touch.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges(Vec<(Seq, Seq)>);

impl Ranges {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds a range; whether anything of it was new. With too many ranges a new one is left out: it is sent again,
    /// or reported again.
    pub(super) fn add(&mut self, start: Seq, end: Seq) -> bool {
        let first = self.0.partition_point(|(_, other)| other.is_before(start));
        let touching = self.0[first..].partition_point(|(other, _)| !end.is_before(*other));
        if touching == 0 {
            let has_room = self.0.len() < SACKED_RANGES_MAX;
            if has_room {
                self.0.insert(first, (start, end));
            }
            return has_room;
        }
        let last = first + touching - 1;
        let whole = (start.earlier(self.0[first].0), end.later(self.0[last].1));
        if touching == 1 && self.0[first] == whole {
            return false;
        }
        self.0[first] = whole;
        self.0.drain(first + 1..=last);
        true
    }

    /// Forgets what lies before a place.
    pub(super) fn forget_before(&mut self, place: Seq) {
        self.0.retain(|(_, end)| place.is_before(*end));
        if let Some((start, _)) = self.0.first_mut() {
            *start = start.later(place);
        }
    }

    pub(super) fn octets(&self) -> usize {
        self.octets_behind(None)
    }

    /// Those from a place on.
    pub(super) fn octets_behind(&self, place: Option<Seq>) -> usize {
        let from = |start: Seq| place.map_or(start, |place| start.later(place));
        let each = self.0.iter();
        each.map(|(start, end)| end.octets_since(from(*start)))
            .sum()
    }

    /// Where the first range that does not end before `place` begins and ends.
    pub(super) fn at_or_behind(&self, place: Seq) -> Option<(Seq, Seq)> {
        let mut all = self.0.iter();
        all.find(|(_, end)| place.is_before(*end)).copied()
    }

    /// The one that lies behind all others.
    pub(super) fn last(&self) -> Option<(Seq, Seq)> {
        self.0.last().copied()
    }

    /// Everything before this place that is in no range is lost: so many ranges, or more than so many octets, have
    /// arrived behind it (`IsLost` of RFC 6675 4).
    pub(super) fn lost_before(&self, ranges: usize, octets: usize) -> Option<Seq> {
        let mut arrived = 0;
        for (count, (start, end)) in (1..).zip(self.0.iter().rev()) {
            arrived += end.octets_since(*start);
            if count >= ranges || arrived > octets {
                return Some(*start);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(all: &[(u32, u32)]) -> Ranges {
        let mut ranges = Ranges::default();
        for &(start, end) in all {
            ranges.add(Seq(start), Seq(end));
        }
        ranges
    }

    /// Held against a set of single octets.
    #[test]
    fn ranges_are_a_set_of_octets() {
        let base = u32::MAX - 40;
        let mut random = 7u32;
        let mut next = |below: u32| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 8) % below
        };
        for _ in 0..200 {
            let (mut ranges, mut model) = (Ranges::default(), [false; 100]);
            for _ in 0..12 {
                let start = next(90);
                let end = start + 1 + next(9);
                let places = start as usize..end as usize;
                let is_new = !model[places.clone()].iter().all(|has| *has);
                model[places].fill(true);
                let seq = |at: u32| Seq(base.wrapping_add(at));
                assert_eq!(ranges.add(seq(start), seq(end)), is_new);
                assert!(ranges.0.windows(2).all(|two| two[0].1.is_before(two[1].0)));
            }
            let forget = next(100) as usize;
            model[..forget].fill(false);
            ranges.forget_before(Seq(base) + forget);
            let count = |from: usize| model[from..].iter().filter(|has| **has).count();
            assert_eq!(ranges.octets(), count(0));
            for at in 0..100 {
                assert_eq!(ranges.octets_behind(Some(Seq(base) + at)), count(at));
                let found = ranges.at_or_behind(Seq(base) + at);
                let place = (at..100).find(|at| model[*at]);
                let found = found.map(|(start, _)| start.octets_since(Seq(base)).max(at));
                assert_eq!(found, place);
            }
        }
    }

    #[test]
    fn lost_is_what_enough_arrived_behind() {
        let three = ranges(&[(10, 20), (30, 40), (50, 60)]);
        assert_eq!(three.lost_before(3, 100), Some(Seq(10)));
        assert_eq!(three.lost_before(3, 15), Some(Seq(30)));
        assert_eq!(three.lost_before(3, 9), Some(Seq(50)));
        assert_eq!(ranges(&[(10, 20), (30, 40)]).lost_before(3, 20), None);
    }

    #[test]
    fn there_are_not_too_many() {
        let mut ranges = Ranges::default();
        for number in 0..2 * u32::try_from(SACKED_RANGES_MAX).unwrap() {
            ranges.add(Seq(number * 10), Seq(number * 10 + 5));
        }
        assert_eq!(ranges.0.len(), SACKED_RANGES_MAX);
    }
}
