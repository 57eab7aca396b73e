//! Whether polling before sleeping is worth it, and for how long: adaptive busy-polling.
//!
//! ```text
//! fixed:    polling ──nothing came in FRUITLESS_MAX windows in a row──► sleeping
//!           sleeping ──something came within a window of falling asleep──► polling
//!
//! bounded:  something came while polling        ──► the window stays
//!           later, but within the longest one   ──► the window doubles: polling on would have caught it
//!           later than that                     ──► it halves; below WINDOW_MIN nothing is polled
//!           more than 1 in SHARE of the time was polled ──► sleeping, until it is less again
//! ```
//!
//! A shard whose work comes in short intervals is spared the wake-up, which costs more than the work;
//! one that is idle spends a window now and then, or nothing, not a core.

use core::time::Duration;

use clock::Instant;

/// Windows without a completion until polling stops.
const FRUITLESS_MAX: u32 = 16;

/// The shortest bounded window: about what waking up costs.
const WINDOW_MIN: Duration = Duration::from_micros(10);

/// The longest bounded window.
const WINDOW_MAX: Duration = Duration::from_micros(200);

/// Bounded polling takes no more than one in so many parts of the time.
const SHARE: u32 = 2;

/// So much bounded polling may be caught up on after a pause.
const CREDIT_MAX: Duration = Duration::from_millis(2);

const _: () = assert!(WINDOW_MAX.as_nanos() <= CREDIT_MAX.as_nanos());

/// How a shard waits for something to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BusyPoll {
    /// The longest time polled before sleeping; zero: sleep at once.
    longest: Duration,
    /// The time polled follows what comes, and stays below a share of all time.
    is_bounded: bool,
}

impl BusyPoll {
    /// Polls as long as what comes tells that it pays, and no more than half of the time.
    #[must_use]
    pub fn bounded() -> Self {
        Self {
            longest: WINDOW_MAX,
            is_bounded: true,
        }
    }

    /// The longest time polled before sleeping.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.longest
    }
}

impl From<Duration> for BusyPoll {
    /// Polls so long as long as that tends to be of use, for up to all of the time; zero: never.
    fn from(longest: Duration) -> Self {
        Self {
            longest,
            is_bounded: false,
        }
    }
}

/// What is known of how a shard's work comes.
#[derive(Debug)]
pub(crate) struct Patience {
    policy: BusyPoll,
    /// Of a fixed window: how often in a row nothing came in it.
    fruitless: u32,
    /// How long is polled when polling is bounded.
    window: Duration,
    /// What bounded polling may still take.
    credit: Duration,
    /// Until when the credit is counted.
    counted_at: Instant,
    /// The wait under way began with polling.
    is_polling: bool,
}

impl Patience {
    pub(crate) fn new(policy: BusyPoll) -> Self {
        Self {
            policy,
            fruitless: 0,
            window: Duration::ZERO,
            credit: Duration::ZERO,
            counted_at: Instant::ZERO,
            is_polling: false,
        }
    }

    /// Whether it never polls.
    pub(crate) fn never_polls(&self) -> bool {
        self.policy.longest.is_zero()
    }

    /// A wait begins: how long to poll from `now` on; `None`: sleep at once.
    pub(crate) fn poll_until(&mut self, now: Instant) -> Option<Instant> {
        let window = if self.policy.is_bounded {
            let earned = now.since(self.counted_at) / SHARE;
            self.credit = (self.credit + earned).min(CREDIT_MAX);
            self.counted_at = now;
            (self.window <= self.credit).then_some(self.window)
        } else {
            (self.fruitless < FRUITLESS_MAX).then_some(self.policy.longest)
        };
        let window = window.filter(|window| !window.is_zero());
        self.is_polling = window.is_some();
        window.map(|window| now + window)
    }

    /// The wait that began at `began` ended, because something came or not.
    pub(crate) fn note(&mut self, began: Instant, ended: Instant) {
        let gap = ended.since(began);
        if !self.policy.is_bounded {
            self.fruitless = if gap <= self.policy.longest {
                0
            } else {
                self.fruitless.saturating_add(1)
            };
            return;
        }
        if self.is_polling {
            self.credit = self.credit.saturating_sub(gap.min(self.window));
        }
        if gap > self.policy.longest {
            self.window /= 2;
            if self.window < WINDOW_MIN {
                self.window = Duration::ZERO;
            }
        } else if gap > self.window {
            self.window = (2 * self.window).clamp(WINDOW_MIN, self.policy.longest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_micros(50);

    /// Waits one after the other, each `gap` long with `work` behind it; the time polled, and the time in
    /// all.
    fn waits(
        patience: &mut Patience,
        now: &mut Instant,
        (count, gap, work): (u32, Duration, Duration),
    ) -> (Duration, Duration) {
        let (mut polled, start) = (Duration::ZERO, *now);
        for _ in 0..count {
            if let Some(until) = patience.poll_until(*now) {
                polled += until.since(*now).min(gap);
            }
            patience.note(*now, *now + gap);
            *now = *now + gap + work;
        }
        (polled, now.since(start))
    }

    fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }

    #[test]
    fn without_a_window_nothing_is_polled() {
        let mut patience = Patience::new(BusyPoll::default());
        assert!(patience.never_polls());
        assert_eq!(patience.poll_until(Instant::ZERO), None);
        patience.note(Instant::ZERO, Instant::ZERO);
        assert_eq!(patience.poll_until(Instant::ZERO), None);
    }

    #[test]
    fn polling_stops_when_it_is_in_vain_and_resumes_when_it_would_have_paid() {
        let mut patience = Patience::new(WINDOW.into());
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

    #[test]
    fn a_bounded_window_grows_to_what_would_have_caught_the_next_and_no_further() {
        let mut patience = Patience::new(BusyPoll::bounded());
        let mut now = Instant::from_nanos(1_000_000_000);
        assert_eq!(patience.poll_until(now), None, "nothing is known yet");
        let mut windows = Vec::new();
        for _ in 0..6 {
            waits(&mut patience, &mut now, (1, micros(60), micros(100)));
            windows.push(patience.window);
        }
        assert_eq!(windows, [10, 20, 40, 80, 80, 80].map(micros));
        let all = (100, micros(60), micros(100));
        let (polled, _) = waits(&mut patience, &mut now, all);
        assert_eq!(polled, 100 * micros(60), "each wait is polled to its end");
    }

    #[test]
    fn who_is_idle_polls_nothing() {
        let mut patience = Patience::new(BusyPoll::bounded());
        let mut now = Instant::from_nanos(1_000_000_000);
        waits(&mut patience, &mut now, (20, micros(150), micros(200)));
        assert_eq!(patience.window, micros(160));
        let first = (5, micros(1_000), micros(1));
        let (polled, _) = waits(&mut patience, &mut now, first);
        assert_eq!(polled, micros(160 + 80 + 40 + 20 + 10));
        let (polled, _) = waits(&mut patience, &mut now, (100, micros(1_000), micros(1)));
        assert_eq!(polled, Duration::ZERO);
    }

    #[test]
    fn bounded_polling_takes_no_more_than_its_share_of_the_time() {
        for (gap, work) in [(100, 1), (100, 20), (15, 1), (199, 0), (60, 60)] {
            let mut patience = Patience::new(BusyPoll::bounded());
            let mut now = Instant::from_nanos(1_000_000_000);
            let some = (10_000, micros(gap), micros(work));
            let (polled, all) = waits(&mut patience, &mut now, some);
            assert!(
                polled <= all / SHARE + CREDIT_MAX,
                "{gap} {work}: {polled:?}"
            );
            let wanted = 10_000 * micros(gap);
            assert!(
                polled + 10 * CREDIT_MAX >= wanted.min(all / SHARE),
                "{gap} {work}: the share is made use of, {polled:?} of {all:?}"
            );
        }
    }
}
