//! How long an acknowledgement takes, and how long to wait for one (RFC 6298).

use core::time::Duration;

/// Until something was measured.
const INITIAL: Duration = Duration::from_secs(1);

/// What a peer may hold an acknowledgement back for, at least; a deviation from RFC 6298, whose whole second was
/// made for clocks of half a second: other systems have the same.
const PATIENCE: Duration = Duration::from_millis(200);

/// However often nothing came.
const TIMEOUT_MAX: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
pub(super) struct Rtt {
    smoothed: Option<Duration>,
    variance: Duration,
    /// Timeouts one after the other.
    backoff: u32,
    /// What follows from all that: it is asked for more often than it changes.
    timeout: Duration,
}

impl Default for Rtt {
    fn default() -> Self {
        Self {
            smoothed: None,
            variance: Duration::ZERO,
            backoff: 0,
            timeout: INITIAL,
        }
    }
}

impl Rtt {
    /// Zero until something was measured.
    pub(super) fn smoothed(&self) -> Duration {
        self.smoothed.unwrap_or_default()
    }

    /// An octet that was sent once has been acknowledged.
    pub(super) fn measure(&mut self, sample: Duration) {
        let (smoothed, variance) = match self.smoothed {
            None => (sample, sample / 2),
            Some(smoothed) => {
                let off = smoothed.abs_diff(sample);
                ((smoothed * 7 + sample) / 8, (self.variance * 3 + off) / 4)
            }
        };
        (self.smoothed, self.variance) = (Some(smoothed), variance);
        self.reckon();
    }

    /// Something new was acknowledged.
    pub(super) fn forgive(&mut self) {
        if self.backoff > 0 {
            self.backoff = 0;
            self.reckon();
        }
    }

    /// Nothing was; returns how often in a row.
    pub(super) fn back_off(&mut self) -> u32 {
        self.backoff = self.backoff.saturating_add(1);
        self.reckon();
        self.backoff
    }

    /// How long to wait.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    fn reckon(&mut self) {
        let once = self.smoothed.map_or(INITIAL, |smoothed| {
            smoothed + (self.variance * 4).max(PATIENCE)
        });
        let times = 1 << self.backoff.min(8);
        self.timeout = once.saturating_mul(times).min(TIMEOUT_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_follows_what_is_measured_and_doubles_when_nothing_comes() {
        let ms = Duration::from_millis;
        let mut rtt = Rtt::default();
        assert_eq!(rtt.timeout(), ms(1000));
        rtt.measure(ms(100));
        // 100 + max(4 * 50, 200)
        assert_eq!(rtt.timeout(), ms(300));
        rtt.measure(ms(180));
        // Smoothed 110, variance (150 + 80) / 4 = 57.5.
        assert_eq!(rtt.timeout(), ms(340));
        assert_eq!((rtt.back_off(), rtt.back_off()), (1, 2));
        assert_eq!(rtt.timeout(), ms(4 * 340));
        for _ in 0..40 {
            rtt.back_off();
        }
        assert_eq!(rtt.timeout(), TIMEOUT_MAX);
        rtt.forgive();
        assert_eq!(rtt.timeout(), ms(340));
    }
}
