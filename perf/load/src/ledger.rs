//! Who has got which messages: each exactly once, in order.

use std::collections::BTreeSet;

use crate::limits::GAPS_MAX;

/// One recipient's view of one sender.
#[derive(Debug, Default)]
pub(crate) struct Track {
    /// The lowest serial not seen yet.
    next: u64,
    /// Serials below `next` not seen yet.
    missing: BTreeSet<u64>,
    /// Serials given up because too many are missing.
    forgotten: u64,
    /// It joined later, and nothing has come yet.
    is_new: bool,
    /// Then: everything from here on must come, once it is bound.
    due_from: Option<u64>,
    /// The message being received, and how many of its octets.
    pub(crate) partial: Option<(u64, u64)>,
}

/// What an arrival was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The one expected.
    InOrder,
    /// New, but others should have come before it, or it should have come before others.
    OutOfOrder,
    /// Seen before.
    Duplicate,
}

impl Track {
    /// Of somebody who joined after the start: the first that comes is where it begins.
    pub(crate) fn of_a_newcomer() -> Self {
        Self {
            is_new: true,
            ..Self::default()
        }
    }

    /// A newcomer is bound: what begins from here on must come.
    pub(crate) fn expect_from(&mut self, serial: u64) {
        self.due_from = Some(serial);
    }

    pub(crate) fn note(&mut self, serial: u64) -> Arrival {
        if core::mem::take(&mut self.is_new) {
            self.next = self.due_from.map_or(serial, |due| due.min(serial));
        }
        if serial == self.next {
            self.next += 1;
            return Arrival::InOrder;
        }
        if serial < self.next {
            return if self.missing.remove(&serial) {
                Arrival::OutOfOrder
            } else {
                Arrival::Duplicate
            };
        }
        self.skip_to(serial);
        self.next = serial + 1;
        Arrival::OutOfOrder
    }

    /// Nothing before `serial` is waited for any more: what has not come by now is missing.
    pub(crate) fn settle(&mut self, serial: u64) {
        if self.is_new {
            // Nothing has come, and nothing had to before it was bound.
            let Some(due) = self.due_from else {
                return;
            };
            self.is_new = false;
            self.next = due;
        }
        if serial > self.next {
            self.skip_to(serial);
        }
    }

    fn skip_to(&mut self, serial: u64) {
        let room = (GAPS_MAX - self.missing.len()) as u64;
        let gap = serial - self.next;
        self.missing.extend(self.next..self.next + gap.min(room));
        self.forgotten += gap.saturating_sub(room);
        self.next = serial;
    }

    /// Of `sent` messages, those that never came.
    pub(crate) fn lost(&self, sent: u64) -> u64 {
        if self.is_new {
            return self.due_from.map_or(0, |due| sent.saturating_sub(due));
        }
        self.gaps() + sent.saturating_sub(self.next)
    }

    /// Of the messages up to the last that came, those that never came.
    pub(crate) fn gaps(&self) -> u64 {
        self.missing.len() as u64 + self.forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(serials: &[u64], expected: &[Arrival], sent: u64, lost: u64) {
        let mut track = Track::default();
        let got: Vec<_> = serials.iter().map(|serial| track.note(*serial)).collect();
        assert_eq!(got, expected);
        assert_eq!(track.lost(sent), lost);
    }

    #[test]
    fn every_fault_has_its_name() {
        use Arrival::{Duplicate, InOrder, OutOfOrder};
        check(&[0, 1, 2], &[InOrder; 3], 3, 0);
        check(&[0, 0], &[InOrder, Duplicate], 1, 0);
        check(&[0, 2, 1], &[InOrder, OutOfOrder, OutOfOrder], 3, 0);
        check(
            &[0, 3, 1, 1],
            &[InOrder, OutOfOrder, OutOfOrder, Duplicate],
            6,
            3,
        );
        check(&[], &[], 4, 4);
    }

    #[test]
    fn a_newcomer_begins_where_it_is_bound_or_before() {
        // (comes, bound at, sent, lost)
        for (serials, due, sent, lost) in [
            (&[][..], None, 9, 0),
            (&[], Some(7), 9, 2),
            (&[5, 6], None, 7, 0),
            (&[5, 6, 7, 8], Some(7), 9, 0),
            (&[8], Some(7), 9, 1),
            (&[5, 7], Some(7), 8, 1),
        ] {
            let mut track = Track::of_a_newcomer();
            if let Some(due) = due {
                track.expect_from(due);
            }
            for serial in serials {
                track.note(*serial);
            }
            assert_eq!(track.lost(sent), lost, "{serials:?} {due:?}");
        }
    }

    #[test]
    fn what_has_not_come_by_the_time_it_is_settled_is_missing() {
        // (comes, bound at, settled at, missing)
        for (serials, due, settled, missing) in [
            (&[][..], Some(7), 9, 2),
            (&[], Some(7), 7, 0),
            (&[], None, 9, 0),
            (&[7, 8], Some(7), 9, 0),
            (&[7, 8], Some(7), 11, 2),
            (&[7, 9], Some(7), 11, 2),
            (&[7, 8, 9], Some(7), 9, 0),
        ] {
            let mut track = Track::of_a_newcomer();
            if let Some(due) = due {
                track.expect_from(due);
            }
            for serial in serials {
                track.note(*serial);
            }
            assert_eq!(track.lost(settled), missing, "{serials:?} {due:?}");
            track.settle(settled);
            assert_eq!(track.gaps(), missing, "{serials:?} {due:?}");
        }
        // One that comes after all is not missing, but late.
        let mut track = Track::default();
        track.settle(3);
        assert_eq!(track.note(2), Arrival::OutOfOrder);
        assert_eq!((track.gaps(), track.note(3)), (2, Arrival::InOrder));
    }

    #[test]
    fn a_gap_without_end_is_counted_and_not_kept() {
        let mut track = Track::default();
        assert_eq!(track.note(1_000_000), Arrival::OutOfOrder);
        assert_eq!(track.lost(1_000_001), 1_000_000);
    }
}
