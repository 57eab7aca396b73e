//! Octets that arrived before others that belong in front of them.

use std::collections::VecDeque;

use super::seq::Seq;
use crate::limits::GAPS_MAX;

/// Pieces of the stream, in order, that neither overlap nor touch.
#[derive(Debug, Default)]
pub(super) struct Early {
    pieces: Vec<Piece>,
    /// Where the piece begins that changed last: it is reported first (RFC 2018 4).
    newest: Seq,
}

#[derive(Debug)]
struct Piece {
    start: Seq,
    octets: Vec<u8>,
}

impl Piece {
    fn end(&self) -> Seq {
        self.start + self.octets.len()
    }
}

impl Early {
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Keeps octets; what is there already stays as it is. With too many gaps new ones are dropped, and come again.
    pub(super) fn add(&mut self, start: Seq, octets: &[u8]) {
        let end = start + octets.len();
        let first = self
            .pieces
            .partition_point(|one| one.end().is_before(start));
        let touching = self.pieces[first..].partition_point(|one| !end.is_before(one.start));
        if touching == 0 {
            if self.pieces.len() < GAPS_MAX {
                let octets = octets.to_vec();
                self.pieces.insert(first, Piece { start, octets });
                self.newest = start;
            }
            return;
        }
        let last = first + touching - 1;
        let whole = self.pieces[first].start.earlier(start);
        if start.is_before(self.pieces[first].start) {
            let front = self.pieces[first].start.octets_since(start);
            let piece = &mut self.pieces[first];
            piece.octets.splice(..0, octets[..front].iter().copied());
            piece.start = whole;
        }
        // Fills each gap up to the next piece, then what is behind the last one.
        let (one, others) = self.pieces[first..=last]
            .split_first_mut()
            .expect("one touches");
        for other in others {
            let from = one.end().octets_since(start);
            let to = other.start.octets_since(start);
            one.octets.extend_from_slice(&octets[from..to]);
            one.octets.append(&mut other.octets);
        }
        if one.end().is_before(end) {
            let from = one.end().octets_since(start);
            one.octets.extend_from_slice(&octets[from..]);
        }
        self.pieces.drain(first + 1..=last);
        self.newest = whole;
    }

    /// Moves what follows `next` without a gap behind what was received; how far that leads.
    pub(super) fn join(&mut self, next: Seq, received: &mut VecDeque<u8>) -> Seq {
        let mut reached = next;
        let joining = self
            .pieces
            .partition_point(|one| !next.is_before(one.start));
        for piece in self.pieces.drain(..joining) {
            let known = reached.octets_since(piece.start);
            if let Some(new) = piece.octets.get(known..) {
                received.extend(new);
                reached = reached + new.len();
            }
        }
        reached
    }

    /// The ranges, the newest first.
    pub(super) fn ranges(&self) -> impl Iterator<Item = (Seq, Seq)> {
        let newest = self.newest;
        let is_newest = move |one: &&Piece| one.start == newest;
        let first = self.pieces.iter().filter(is_newest);
        let others = self.pieces.iter().filter(move |one| !is_newest(one));
        first.chain(others).map(|one| (one.start, one.end()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Held against an array of octets.
    #[test]
    fn pieces_in_any_order_become_the_stream() {
        let base = Seq(u32::MAX - 30);
        let stream: Vec<u8> = (0..100).collect();
        let mut random = 3u32;
        let mut next = |below: u32| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 8) as usize % below as usize
        };
        for _ in 0..300 {
            let (mut early, mut model) = (Early::default(), [false; 100]);
            for _ in 0..next(12) {
                let start = 1 + next(90);
                let end = start + 1 + next(9);
                model[start..end].fill(true);
                early.add(base + start, &stream[start..end]);
                assert_eq!(early.newest, early.ranges().next().unwrap().0);
            }
            let mut ranges: Vec<_> = early.ranges().collect();
            ranges.sort_by_key(|(start, _)| start.octets_since(base));
            assert!(ranges.windows(2).all(|two| two[0].1.is_before(two[1].0)));
            let all: usize = ranges
                .iter()
                .map(|(start, end)| end.octets_since(*start))
                .sum();
            assert_eq!(all, model.iter().filter(|has| **has).count());
            // Some octets in front arrive.
            let arrived = next(60);
            let mut received: VecDeque<u8> = stream[..arrived].iter().copied().collect();
            let reached = early.join(base + arrived, &mut received);
            let end = (arrived..100).find(|at| !model[*at]).unwrap_or(100);
            assert_eq!(received.make_contiguous(), &stream[..end]);
            assert_eq!(reached, base + end);
            assert!(
                early
                    .ranges()
                    .all(|(start, _)| (base + end).is_before(start))
            );
        }
    }

    #[test]
    fn there_are_not_too_many_gaps() {
        let mut early = Early::default();
        for number in 0..2 * GAPS_MAX {
            early.add(Seq(10) + 10 * number, b"x");
        }
        assert_eq!(early.ranges().count(), GAPS_MAX);
    }
}
