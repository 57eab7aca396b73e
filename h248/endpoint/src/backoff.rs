//! When to repeat a request (H.248.1 Annex D.1.3).
//!
//! ```text
//! sample d of a request that was sent once:   AAD += (d - AAD)/8   ADEV += (|d - AAD| - ADEV)/4
//! first timer                                 AAD + 4*ADEV
//! after each repeat                           AAD' = 2*AAD';  uniform(AAD'/2, AAD') + 4*ADEV
//! always                                      within repeat_min ..= repeat_max
//! ```

use clock::Duration;

use crate::Timers;
use crate::random::Random;

/// Average and deviation of one peer's acknowledgement delay.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Estimator {
    average: Duration,
    deviation: Duration,
}

impl Estimator {
    pub(crate) fn new(timers: &Timers) -> Self {
        Self {
            average: timers.ack_delay_initial,
            deviation: Duration::ZERO,
        }
    }

    /// Takes the delay of a reply to a request that was neither repeated nor held up by a
    /// Pending: of others it is not known what the reply answers.
    pub(crate) fn sample(&mut self, delay: Duration) {
        let difference = delay.abs_diff(self.average);
        if delay > self.average {
            self.average += difference / 8;
        } else {
            self.average -= difference / 8;
        }
        self.deviation = self.deviation * 3 / 4 + difference / 4;
    }

    /// The timer after the first sending.
    pub(crate) fn first(&self, timers: &Timers) -> Backoff {
        let after = self.average.saturating_add(self.deviation * 4);
        Backoff {
            average: self.average.min(timers.repeat_max),
            after: clamp(after, timers),
        }
    }

    /// The timer after a repetition.
    pub(crate) fn next(&self, last: &Backoff, timers: &Timers, random: &mut Random) -> Backoff {
        let average = last.average.saturating_mul(2).min(timers.repeat_max);
        let after = random.between(average / 2, average) + self.deviation * 4;
        Backoff {
            average,
            after: clamp(after, timers),
        }
    }
}

/// The state of one request's repetition timer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    average: Duration,
    /// How long to wait from now.
    pub(crate) after: Duration,
}

fn clamp(after: Duration, timers: &Timers) -> Duration {
    after.max(timers.repeat_min).min(timers.repeat_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_grow_with_each_repetition_up_to_four_seconds() {
        let timers = Timers::default();
        let estimator = Estimator::new(&timers);
        let mut random = Random::new(1);
        let mut backoff = estimator.first(&timers);
        assert_eq!(backoff.after, Duration::from_millis(200));
        for doubled_ms in [400_u64, 800, 1_600, 3_200, 4_000, 4_000] {
            backoff = estimator.next(&backoff, &timers, &mut random);
            let (low, high) = (doubled_ms / 2, doubled_ms);
            let range = Duration::from_millis(low)..=Duration::from_millis(high);
            assert!(
                range.contains(&backoff.after),
                "{:?} of {doubled_ms}",
                backoff.after
            );
        }
    }

    #[test]
    fn a_fast_peer_gets_the_shortest_timer_and_a_slow_one_the_longest() {
        let timers = Timers::default();
        let mut fast = Estimator::new(&timers);
        let mut slow = Estimator::new(&timers);
        for _ in 0..100 {
            fast.sample(Duration::from_micros(300));
            slow.sample(Duration::from_secs(9));
        }
        assert_eq!(fast.first(&timers).after, timers.repeat_min);
        assert_eq!(slow.first(&timers).after, timers.repeat_max);
    }
}
