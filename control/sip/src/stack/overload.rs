//! When the core does not keep up: messages wait long for it, or the sockets fill faster than they are emptied.
//!
//! ```text
//! a message waited LATE        -> overloaded until messages are ON_TIME again
//! BACKLOG_MAX wait for BACKLOG_TIME -> overloaded until no more than BACKLOG_OVER wait
//! ```
//!
//! What waits in a socket cannot be seen; but its reader fills the queue to the core first. So a queue that stays
//! full says that the socket's fills, too, and what the system drops there are ACKs and BYEs as well: calls that
//! nobody can end, and repetitions. To refuse new dialogs costs a fraction of making them.

use crate::limits::{
    BACKLOG_MAX, BACKLOG_OVER, BACKLOG_TIME, LATE, ON_TIME, OVERLOAD_LOG_INTERVAL,
};
use clock::{Duration, Instant};

/// What tells whether new dialogs are refused.
#[derive(Debug, Default)]
pub(super) struct Overload {
    is_on: bool,
    /// Since when the queue is long.
    long_since: Option<Instant>,
    logged: Option<Instant>,
}

impl Overload {
    /// Whether new dialogs are refused, now that a message came that had waited so long, with so many
    /// behind it; `None`: as before.
    pub(super) fn judge(&mut self, now: Instant, waited: Duration, waiting: usize) -> Option<bool> {
        if waiting <= BACKLOG_OVER {
            self.long_since = None;
        } else if waiting >= BACKLOG_MAX {
            self.long_since.get_or_insert(now);
        }
        let is_long = self.long_since;
        let is_long = is_long.is_some_and(|since| now.since(since) >= BACKLOG_TIME);
        let is_late = waited > if self.is_on { ON_TIME } else { LATE };
        let is_on = is_long || is_late;
        if core::mem::replace(&mut self.is_on, is_on) == is_on {
            return None;
        }
        let is_news = self
            .logged
            .is_none_or(|last| now.since(last) >= OVERLOAD_LOG_INTERVAL);
        if is_on && is_news {
            self.logged = Some(now);
            tracing::warn!(?waited, waiting, "overloaded: new dialogs get 503");
        }
        Some(is_on)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(steps: &[(u64, u64, usize, Option<bool>)]) {
        let mut overload = Overload::default();
        for &(now_ms, waited_ms, waiting, expected) in steps {
            let now = Instant::ZERO + Duration::from_millis(now_ms);
            let waited = Duration::from_millis(waited_ms);
            let said = overload.judge(now, waited, waiting);
            assert_eq!(said, expected, "at {now_ms} ms");
        }
    }

    #[test]
    fn messages_that_come_late_show_it_until_they_are_on_time() {
        check(&[
            (0, 999, 0, None),
            (1, 1_001, 0, Some(true)),
            (2, 500, 0, None),
            (3, 100, 0, Some(false)),
            (4, 500, 0, None),
        ]);
    }

    #[test]
    fn a_queue_that_stays_long_shows_it_until_it_is_short() {
        let middle = BACKLOG_MAX - 1;
        check(&[
            (0, 0, BACKLOG_MAX, None),
            (99, 0, middle, None),
            (100, 0, middle, Some(true)),
            (900, 0, BACKLOG_OVER + 1, None),
            (901, 0, BACKLOG_OVER, Some(false)),
            (1_500, 0, middle, None),
        ]);
    }

    #[test]
    fn a_burst_that_is_worked_off_is_no_overload() {
        check(&[
            (0, 0, BACKLOG_MAX, None),
            (60, 0, BACKLOG_OVER, None),
            (120, 0, BACKLOG_MAX, None),
            (219, 0, BACKLOG_MAX, None),
        ]);
    }
}
