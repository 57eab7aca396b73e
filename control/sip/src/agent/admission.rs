//! Whether there is room for what a request for a new dialog would need.

use crate::limits::{
    ADMITTED_MAX, ADMITTED_PRIORITY_MAX, DIALOGS_MAX, PRIORITY_SHARE, TRANSACTIONS_MAX,
};

/// What there is of what is bounded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    pub(super) transactions: usize,
    pub(super) dialogs: usize,
}

/// Why a request for a new dialog gets 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// It would wait too long for the core.
    Late,
    /// Too many await the application's answer.
    Unanswered,
    /// No transaction or dialog is left.
    Full,
    /// It was refused before.
    Again,
}

/// Counts requests that await the application's answer.
#[derive(Debug, Default)]
pub(super) struct Admission {
    pending: usize,
}

impl Admission {
    /// What is in the way of one more; what has priority may have a little more.
    pub(super) fn obstacle(&self, is_priority: bool, kept: Kept) -> Option<Obstacle> {
        let more = |max: usize| max + if is_priority { max / PRIORITY_SHARE } else { 0 };
        let pending_max = ADMITTED_MAX
            + if is_priority {
                ADMITTED_PRIORITY_MAX
            } else {
                0
            };
        if self.pending >= pending_max {
            return Some(Obstacle::Unanswered);
        }
        let is_full =
            kept.transactions >= more(TRANSACTIONS_MAX) || kept.dialogs >= more(DIALOGS_MAX);
        is_full.then_some(Obstacle::Full)
    }

    /// One was let in.
    pub(super) fn admitted(&mut self) {
        self.pending += 1;
    }

    /// One of them was answered, or nobody waits for its answer any more.
    pub(super) fn answered(&mut self) {
        self.pending -= 1;
    }

    /// Requests that await the application's answer.
    pub(super) fn pending(&self) -> usize {
        self.pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_room_is_kept_for_who_has_priority() {
        let mut admission = Admission::default();
        #[track_caller]
        fn check(
            admission: &Admission,
            (transactions, dialogs): (usize, usize),
            expected: [bool; 2],
        ) {
            let kept = Kept {
                transactions,
                dialogs,
            };
            let is_free = |is_priority| admission.obstacle(is_priority, kept).is_none();
            assert_eq!([is_free(false), is_free(true)], expected, "{kept:?}");
        }
        check(
            &admission,
            (TRANSACTIONS_MAX - 1, DIALOGS_MAX - 1),
            [true, true],
        );
        check(&admission, (TRANSACTIONS_MAX, 0), [false, true]);
        check(&admission, (TRANSACTIONS_MAX / 20 * 21, 0), [false, false]);
        check(&admission, (0, DIALOGS_MAX), [false, true]);
        check(&admission, (0, DIALOGS_MAX / 20 * 21), [false, false]);
        for _ in 0..ADMITTED_MAX {
            check(&admission, (0, 0), [true, true]);
            admission.admitted();
        }
        for _ in 0..ADMITTED_PRIORITY_MAX {
            check(&admission, (0, 0), [false, true]);
            admission.admitted();
        }
        check(&admission, (0, 0), [false, false]);
        admission.answered();
        check(&admission, (0, 0), [false, true]);
    }
}
