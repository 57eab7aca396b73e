//! Whether polling before sleeping is worth it, and for how long: adaptive busy-polling.
//!
//! ```text
//! fixed:     polling ──nothing came in FRUITLESS_MAX windows in a row──► sleeping
//!            sleeping ──something came within a window of falling asleep──► polling
//!
//! adaptive:  something came while polling        ──► the window stays
//!            later, but within the longest one   ──► the window doubles: polling on would have caught it
//!            later than that                     ──► it halves; below WINDOW_MIN nothing is polled
//!            polling was interrupted, and that took more than 1 in SHARE of the time polled
//!                                                ──► somebody else wants the core: nothing is polled for a
//!                                                    while, longer each time, from REST_MIN to REST_MAX
//! ```
//!
//! A shard whose work comes in short intervals is spared the wake-up, which costs more than the work;
//! one that is idle spends a window now and then, or nothing, not a core. Whoever else wants the core gets it:
//! in the adaptive mode it is offered to others each time that nothing has come.

use core::time::Duration;

use clock::Instant;

/// Windows without a completion until polling stops.
const FRUITLESS_MAX: u32 = 16;

/// The shortest adaptive window: about what waking up costs.
const WINDOW_MIN: Duration = Duration::from_micros(10);

/// The longest adaptive window: a message a window apart costs that much of the core instead of a wake-up.
const WINDOW_MAX: Duration = Duration::from_micros(200);

/// Polling that ends so much later than it should was interrupted: others had the core, or the machine did.
/// Short tasks are served in less, and what one wait receives is as well.
const INTERRUPTION_MIN: Duration = Duration::from_millis(1);

/// Interruptions may take one in so many parts of the time polled; where they take more, sleeping is better, for who
/// is woken is preferred to who has been busy.
const SHARE: u32 = 50;

/// For how long nothing is polled after an interruption at first.
const REST_MIN: Duration = Duration::from_millis(100);

/// For how long nothing is polled at most, when each attempt is interrupted.
const REST_MAX: Duration = Duration::from_secs(10);

/// How a shard waits for something to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BusyPoll {
    /// The longest time polled before sleeping; zero: sleep at once.
    longest: Duration,
    /// The time polled follows what comes, and ends where others want the core.
    is_adaptive: bool,
}

impl BusyPoll {
    /// Polls as long as what comes tells that it pays, on a core that nobody else wants.
    #[must_use]
    pub const fn adaptive() -> Self {
        Self {
            longest: WINDOW_MAX,
            is_adaptive: true,
        }
    }

    /// The time polled before sleeping where that is fixed, zero where it is not: who sleeps whenever that seems better
    /// needs interrupts at any time.
    #[must_use]
    pub fn fixed(&self) -> Duration {
        if self.is_adaptive {
            Duration::ZERO
        } else {
            self.longest
        }
    }
}

impl From<Duration> for BusyPoll {
    /// Polls so long as long as that tends to be of use, for up to all of the time; zero: never.
    fn from(longest: Duration) -> Self {
        Self {
            longest,
            is_adaptive: false,
        }
    }
}

/// What is known of how a shard's work comes.
#[derive(Debug)]
pub(crate) struct Patience {
    policy: BusyPoll,
    /// Of a fixed window: how often in a row nothing came in it.
    fruitless: u32,
    /// How long is polled when that is adaptive.
    window: Duration,
    /// The wait under way began with polling from here to there.
    polling: Option<(Instant, Instant)>,
    /// Polled since the last interruption.
    undisturbed: Duration,
    /// How long the next interruption makes polling stop.
    rest: Duration,
    /// When polling may begin again.
    rested_at: Instant,
}

impl Patience {
    pub(crate) fn new(policy: BusyPoll) -> Self {
        Self {
            policy,
            fruitless: 0,
            window: Duration::ZERO,
            polling: None,
            undisturbed: Duration::ZERO,
            rest: REST_MIN,
            rested_at: Instant::ZERO,
        }
    }

    /// Whether it never polls.
    pub(crate) fn never_polls(&self) -> bool {
        self.policy.longest.is_zero()
    }

    /// Whether the core is to be offered to others while nothing comes.
    pub(crate) fn yields(&self) -> bool {
        self.policy.is_adaptive
    }

    /// A wait begins: how long to poll from `now` on; `None`: sleep at once. Who polls says when it
    /// [stopped](Self::stop_polling).
    pub(crate) fn poll_until(&mut self, now: Instant) -> Option<Instant> {
        let window = if self.policy.is_adaptive {
            (now >= self.rested_at).then_some(self.window)
        } else {
            (self.fruitless < FRUITLESS_MAX).then_some(self.policy.longest)
        };
        let window = window.filter(|window| !window.is_zero());
        self.polling = window.map(|window| (now, now + window));
        self.polling.map(|(_, until)| until)
    }

    /// Polling ended, because something came or because it had been long enough.
    pub(crate) fn stop_polling(&mut self, now: Instant) {
        let Some((began, until)) = self.polling.take() else {
            return;
        };
        let late = now.since(until.min(now));
        if !self.policy.is_adaptive || late < INTERRUPTION_MIN {
            self.undisturbed += now.since(began);
            return;
        }
        if late * SHARE > self.undisturbed {
            self.rested_at = now + self.rest;
            self.rest = (2 * self.rest).min(REST_MAX);
        } else {
            self.rest = REST_MIN;
        }
        self.undisturbed = Duration::ZERO;
    }

    /// The wait that began at `began` ended, because something came or not.
    pub(crate) fn note(&mut self, began: Instant, ended: Instant) {
        let gap = ended.since(began);
        if !self.policy.is_adaptive {
            self.fruitless = if gap <= self.policy.longest {
                0
            } else {
                self.fruitless.saturating_add(1)
            };
            return;
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

    /// Waits one after the other, each `gap` long with `work` behind it; the time polled.
    fn waits(
        patience: &mut Patience,
        now: &mut Instant,
        (count, gap, work): (u32, Duration, Duration),
    ) -> Duration {
        let mut polled = Duration::ZERO;
        for _ in 0..count {
            if let Some(until) = patience.poll_until(*now) {
                let until = until.min(*now + gap);
                polled += until.since(*now);
                patience.stop_polling(until);
            }
            patience.note(*now, *now + gap);
            *now = *now + gap + work;
        }
        polled
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
    fn an_adaptive_window_grows_to_what_would_have_caught_the_next_and_no_further() {
        let mut patience = Patience::new(BusyPoll::adaptive());
        let mut now = Instant::from_nanos(1_000_000_000);
        assert_eq!(patience.poll_until(now), None, "nothing is known yet");
        let mut windows = Vec::new();
        for _ in 0..6 {
            waits(&mut patience, &mut now, (1, micros(60), micros(100)));
            windows.push(patience.window);
        }
        assert_eq!(windows, [10, 20, 40, 80, 80, 80].map(micros));
        let all = (100, micros(60), micros(100));
        let polled = waits(&mut patience, &mut now, all);
        assert_eq!(polled, 100 * micros(60), "each wait is polled to its end");
    }

    #[test]
    fn who_is_idle_polls_nothing() {
        let mut patience = Patience::new(BusyPoll::adaptive());
        let mut now = Instant::from_nanos(1_000_000_000);
        waits(&mut patience, &mut now, (20, micros(150), micros(200)));
        assert_eq!(patience.window, micros(160));
        let first = (5, micros(1_000), micros(1));
        let polled = waits(&mut patience, &mut now, first);
        assert_eq!(polled, micros(160 + 80 + 40 + 20 + 10));
        let polled = waits(&mut patience, &mut now, (100, micros(1_000), micros(1)));
        assert_eq!(polled, Duration::ZERO);
    }

    #[test]
    fn one_long_gap_among_short_ones_does_not_end_the_polling() {
        let mut patience = Patience::new(BusyPoll::adaptive());
        let mut now = Instant::from_nanos(1_000_000_000);
        waits(&mut patience, &mut now, (20, micros(90), micros(10)));
        waits(&mut patience, &mut now, (1, micros(5_000), micros(10)));
        let polled = waits(&mut patience, &mut now, (2, micros(90), micros(10)));
        assert_eq!(
            polled,
            micros(80 + 90),
            "the first of them is missed by 10 us"
        );
    }

    /// Waits of 90 us with 10 us of work for a while, on a core that somebody else takes for `slice` whenever it was
    /// polled for `until_taken`; the time polled, and how often it was taken.
    fn contended(
        patience: &mut Patience,
        now: &mut Instant,
        time: Duration,
        (until_taken, slice): (Duration, Duration),
    ) -> (Duration, u32) {
        let (mut polled, mut taken, mut since) = (Duration::ZERO, 0, Duration::ZERO);
        let end = *now + time;
        while *now < end {
            let (began, mut ended) = (*now, *now + micros(90));
            if let Some(until) = patience.poll_until(began) {
                if since >= until_taken {
                    since = Duration::ZERO;
                    taken += 1;
                    ended += slice;
                    patience.stop_polling(ended);
                } else {
                    let until = until.min(ended);
                    polled += until.since(began);
                    since += until.since(began);
                    patience.stop_polling(until);
                }
            }
            patience.note(began, ended);
            *now = ended + micros(10);
        }
        (polled, taken)
    }

    #[test]
    fn polling_gives_way_to_somebody_else_who_wants_the_core() {
        let (millis, seconds) = (Duration::from_millis, Duration::from_secs);
        let mut patience = Patience::new(BusyPoll::adaptive());
        let mut now = Instant::from_nanos(1_000_000_000);
        let hog = (millis(3), millis(3));
        let (_, taken) = contended(&mut patience, &mut now, seconds(15), hog);
        assert!((4..=8).contains(&taken), "rests double: {taken}");
        let (polled, taken) = contended(&mut patience, &mut now, seconds(100), hog);
        assert!(
            (5..=12).contains(&taken),
            "no more than every ten seconds: {taken}"
        );
        assert!(polled < millis(100), "{polled:?}");
        // Alone again: what is rested at most is ten seconds.
        waits(&mut patience, &mut now, (110_000, micros(90), micros(10)));
        let (polled, _) = contended(&mut patience, &mut now, seconds(1), (seconds(9), millis(3)));
        assert!(polled > millis(880), "{polled:?}");
    }

    #[test]
    fn a_rare_interruption_does_not_end_the_polling() {
        let (millis, seconds) = (Duration::from_millis, Duration::from_secs);
        let mut patience = Patience::new(BusyPoll::adaptive());
        let mut now = Instant::from_nanos(1_000_000_000);
        let rare = (millis(500), millis(5));
        let (polled, taken) = contended(&mut patience, &mut now, seconds(10), rare);
        assert!(taken >= 15, "{taken}");
        assert!(polled > millis(8_700), "{polled:?}");
        assert_eq!(patience.rest, REST_MIN);
    }
}
