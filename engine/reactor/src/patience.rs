//! Whether polling before sleeping is worth it: adaptive busy-polling.
//!
//! ```text
//! polling ──nothing came in FRUITLESS_MAX windows in a row──► sleeping
//! sleeping ──something came within a window of falling asleep──► polling
//! ```
//!
//! A shard whose work comes in short intervals is spared the wake-up, which costs more than the work;
//! one that is idle spends a window now and then, not a core.

use core::time::Duration;

use clock::Instant;

/// Windows without a completion until polling stops.
const FRUITLESS_MAX: u32 = 16;

#[derive(Debug)]
pub(crate) struct Patience {
    /// How long to poll before sleeping; zero: never poll.
    window: Duration,
    fruitless: u32,
}

impl Patience {
    pub(crate) fn new(window: Duration) -> Self {
        Self {
            window,
            fruitless: 0,
        }
    }

    /// How long to poll from `now` on; `None`: sleep at once.
    pub(crate) fn poll_until(&self, now: Instant) -> Option<Instant> {
        let is_worth = !self.window.is_zero() && self.fruitless < FRUITLESS_MAX;
        is_worth.then(|| now + self.window)
    }

    /// A wait ended that began at `began`, because something came or not.
    pub(crate) fn note(&mut self, began: Instant, ended: Instant) {
        if ended.since(began) <= self.window {
            self.fruitless = 0;
        } else {
            self.fruitless = self.fruitless.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_micros(50);

    #[test]
    fn without_a_window_nothing_is_polled() {
        let mut patience = Patience::new(Duration::ZERO);
        assert_eq!(patience.poll_until(Instant::ZERO), None);
        patience.note(Instant::ZERO, Instant::ZERO);
        assert_eq!(patience.poll_until(Instant::ZERO), None);
    }

    #[test]
    fn polling_stops_when_it_is_in_vain_and_resumes_when_it_would_have_paid() {
        let mut patience = Patience::new(WINDOW);
        let start = Instant::from_nanos(1_000);
        for _ in 0..FRUITLESS_MAX {
            assert_eq!(patience.poll_until(start), Some(start + WINDOW));
            patience.note(start, start + 2 * WINDOW);
        }
        assert_eq!(patience.poll_until(start), None);
        patience.note(start, start + 2 * WINDOW);
        assert_eq!(patience.poll_until(start), None);
        patience.note(start, start + WINDOW);
        assert_eq!(patience.poll_until(start), Some(start + WINDOW));
    }
}
