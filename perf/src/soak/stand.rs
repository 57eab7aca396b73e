//! How the cores stand to each other, and whether what was measured while they stood so still holds.
//!
//! ```text
//! saturation measured   then, second by second
//! near                  near: holds    far: no longer, once it is so for APART_SECONDS_MAX in a row
//! far                   near: holds, the load is less than its share now    far: holds
//! not known             holds: nobody can say
//! ```

use core::fmt;

use perf::cores::Trip;
use perf::{spread, told};

/// Whether two cores share a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Distance {
    Near,
    Far,
    /// There is but one core, or others had one of them.
    Unknown,
}

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Near => "near",
            Self::Far => "far",
            Self::Unknown => "not known",
        })
    }
}

/// What was seen of two cores, look by look.
#[derive(Clone, Debug, Default)]
pub(crate) struct Looks {
    near_nanos: Vec<f64>,
    far_nanos: Vec<f64>,
    unknown: usize,
}

impl Looks {
    /// Takes a trip, and whether it is a far one; tells what that means.
    pub(crate) fn note(&mut self, (trip, is_far): (Option<Trip>, bool)) -> Distance {
        match trip {
            None => {
                self.unknown += 1;
                Distance::Unknown
            }
            Some(trip) if is_far => {
                self.far_nanos.push(trip.nanos);
                Distance::Far
            }
            Some(trip) => {
                self.near_nanos.push(trip.nanos);
                Distance::Near
            }
        }
    }

    /// How they stood nearly all the time; `None` if they moved. A single look may be wrong: both cores are at
    /// work, and whoever waits for one of them meanwhile takes part in the trip.
    pub(crate) fn distance(&self) -> Option<Distance> {
        let (near, far) = (self.near_nanos.len(), self.far_nanos.len());
        match (near, far) {
            (0, 0) => Some(Distance::Unknown),
            _ if near >= MOST * far => Some(Distance::Near),
            _ if far >= MOST * near => Some(Distance::Far),
            _ => None,
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.near_nanos.extend(&other.near_nanos);
        self.far_nanos.extend(&other.far_nanos);
        self.unknown += other.unknown;
    }

    /// Looks that found them near, far, and nothing.
    pub(crate) fn counts(&self) -> [usize; 3] {
        [self.near_nanos.len(), self.far_nanos.len(), self.unknown]
    }

    /// The trips in ns while they were near and while they were far, as a record has them.
    pub(crate) fn trips(&self) -> [String; 2] {
        [&self.near_nanos, &self.far_nanos].map(|nanos| told(spread(nanos.iter().copied()), 0))
    }
}

/// Looks of one kind, to one of the other, that are nearly all.
const MOST: usize = 4;

/// So many seconds in a row the cores may be far where saturation was measured near: what queues meanwhile is soon gone.
const APART_SECONDS_MAX: u32 = 5;

/// Whether a saturation still holds.
#[derive(Debug)]
pub(crate) struct Stand {
    measured: Distance,
    apart: u32,
}

impl Stand {
    pub(crate) fn new(measured: Distance) -> Self {
        Self { measured, apart: 0 }
    }

    /// Takes what one second brought; whether the cores have moved apart.
    pub(crate) fn has_moved_apart(&mut self, now: Distance) -> bool {
        self.apart = match (self.measured, now) {
            (Distance::Near, Distance::Far) => self.apart + 1,
            // Nothing was seen.
            (Distance::Near, Distance::Unknown) => self.apart,
            _ => 0,
        };
        self.apart > APART_SECONDS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::Distance::{Far, Near, Unknown};
    use super::*;

    #[track_caller]
    fn check(measured: Distance, seconds: &[Distance], moved_at: Option<usize>) {
        let mut stand = Stand::new(measured);
        let mut moved = seconds.iter().map(|now| stand.has_moved_apart(*now));
        assert_eq!(moved.position(|has_moved| has_moved), moved_at);
    }

    #[test]
    fn a_look_that_differs_from_most_is_a_wrong_one() {
        for (near, far, expected) in [
            (0, 0, Some(Unknown)),
            (3, 0, Some(Near)),
            (4, 1, Some(Near)),
            (3, 1, None),
            (1, 4, Some(Far)),
            (2, 7, None),
        ] {
            let mut looks = Looks::default();
            (0..near).for_each(|_| _ = looks.note((Some(Trip { nanos: 90.0 }), false)));
            (0..far).for_each(|_| _ = looks.note((Some(Trip { nanos: 500.0 }), true)));
            assert_eq!(looks.distance(), expected, "{near} near, {far} far");
        }
    }

    #[test]
    fn what_was_measured_near_holds_until_the_cores_have_been_far_for_some_seconds() {
        check(Near, &[Near; 20], None);
        check(Near, &[Far; 20], Some(5));
        check(Near, &[Near, Far, Far, Far, Far, Far, Near, Far, Far], None);
        // A second in which nothing is seen neither adds nor takes.
        let seen = [Far, Far, Far, Unknown, Far, Far, Unknown, Far];
        check(Near, &seen, Some(7));
    }

    #[test]
    fn what_was_measured_far_or_blindly_holds() {
        check(Far, &[Near; 20], None);
        check(Far, &[Far; 20], None);
        check(Unknown, &[Far; 20], None);
    }

    #[test]
    fn looks_say_how_the_cores_stood_and_whether_they_moved() {
        let trip = |nanos| Some(Trip { nanos });
        let mut looks = Looks::default();
        assert_eq!(looks.note((None, false)), Unknown);
        assert_eq!(looks.distance(), Some(Unknown));
        assert_eq!(looks.note((trip(90.0), false)), Near);
        assert_eq!(looks.note((trip(80.0), false)), Near);
        assert_eq!(looks.distance(), Some(Near));
        let mut others = Looks::default();
        assert_eq!(others.note((trip(500.0), true)), Far);
        assert_eq!(others.distance(), Some(Far));
        looks.add(&others);
        assert_eq!(looks.distance(), None);
        assert_eq!(looks.counts(), [2, 1, 1]);
        assert_eq!(looks.trips(), ["90 (80–90)", "500"]);
    }
}
