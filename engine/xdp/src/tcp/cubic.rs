//! How much may be under way: CUBIC (RFC 9438), in whole octets and milliseconds.
//!
//! ```text
//! below the threshold:  as much again as was acknowledged (slow start)
//! above it:             to 0.4 (t - K)^3 + W_max segments, t since the last loss began; K: when W_max is reached again
//!                       or to what Reno would have by then, if that is more
//! a loss:               W_max = the window; threshold = window = 0.7 of it
//! a timeout:            the same, and the window is one segment
//! ```

use core::time::Duration;

use clock::Instant;

use crate::limits::SEND_BYTES;

/// More than can ever be under way is not counted.
const WINDOW_MAX: u64 = 2 * SEND_BYTES as u64;

/// Segments that may leave before anything is known of the way (RFC 6928).
const INITIAL_SEGMENTS: u64 = 10;

/// Milliseconds that the cubic function is followed; beyond, it is far above [`WINDOW_MAX`].
const TIME_MAX_MS: u64 = 60_000;

#[derive(Clone, Debug)]
pub(super) struct Cubic {
    window: u64,
    threshold: u64,
    /// The window at the last loss.
    before_loss: u64,
    growth: Option<Growth>,
}

/// Since a loss.
#[derive(Clone, Debug)]
struct Growth {
    began: Instant,
    /// When the window is again as large as it was, milliseconds later.
    reaches_ms: u64,
    /// What Reno would have.
    reno: u64,
}

impl Cubic {
    /// For segments of so many octets.
    pub(super) fn new(segment: u64) -> Self {
        Self {
            window: INITIAL_SEGMENTS * segment,
            threshold: WINDOW_MAX,
            before_loss: 0,
            growth: None,
        }
    }

    /// Octets.
    pub(super) fn window(&self) -> usize {
        usize::try_from(self.window).expect("bounded")
    }

    /// Octets were acknowledged while the window was what held others back.
    pub(super) fn grow(&mut self, now: Instant, acknowledged: u64, segment: u64, rtt: Duration) {
        if self.window < self.threshold {
            self.window = (self.window + acknowledged).min(WINDOW_MAX);
            return;
        }
        let (window, before_loss) = (self.window, self.before_loss.max(self.window));
        let growth = self.growth.get_or_insert_with(|| Growth {
            began: now,
            reaches_ms: cube_root((before_loss - window) * 10_000_000_000 / (4 * segment)),
            reno: window,
        });
        let time = millis(now.since(growth.began)) + millis(rtt);
        let distance = time.abs_diff(growth.reaches_ms).min(TIME_MAX_MS);
        let rise = 4 * segment * distance.pow(3) / 10_000_000_000;
        let target = if time < growth.reaches_ms {
            before_loss.saturating_sub(rise)
        } else {
            before_loss + rise
        };
        let target = target.clamp(window, window + window / 2);
        // As friendly as Reno with the same decrease: 3 (1 - 0.7) / (1 + 0.7) of a segment a round trip.
        growth.reno += segment * acknowledged * 9 / (17 * window);
        let cubic = window + (target - window) * acknowledged / window;
        self.window = cubic.max(growth.reno).min(WINDOW_MAX);
    }

    /// Something was lost.
    pub(super) fn shrink(&mut self, segment: u64) {
        // Whoever loses before it is back where it was leaves room to others (fast convergence).
        self.before_loss = if self.window < self.before_loss {
            self.window * 17 / 20
        } else {
            self.window
        };
        self.threshold = (self.window * 7 / 10).max(2 * segment);
        self.window = self.threshold;
        self.growth = None;
    }

    /// Nothing came back at all.
    pub(super) fn collapse(&mut self, segment: u64) {
        if self.window > segment {
            self.shrink(segment);
        }
        self.window = segment;
    }

    /// After a pause nothing is known any more (RFC 5681 4.1).
    pub(super) fn restart(&mut self, segment: u64) {
        self.window = self.window.min(INITIAL_SEGMENTS * segment);
        self.growth = None;
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 2)
}

/// Rounded down.
fn cube_root(value: u64) -> u64 {
    let (mut low, mut high) = (0, 1 << 21);
    while high - low > 1 {
        let middle = u64::midpoint(low, high);
        if middle.pow(3) <= value {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: u64 = 1_000;
    const RTT: Duration = Duration::from_millis(20);

    #[test]
    fn a_lost_segment_costs_three_tenths_and_time_brings_them_back() {
        let mut cubic = Cubic::new(SEGMENT);
        let mut now = Instant::ZERO;
        for _ in 0..40 {
            cubic.grow(now, SEGMENT, SEGMENT, RTT);
        }
        assert_eq!(cubic.window(), 50_000, "slow start");
        cubic.shrink(SEGMENT);
        assert_eq!(cubic.window(), 35_000);
        // K = cbrt(15 / 0.4) = 3.35 s.
        let mut windows = Vec::new();
        for _ in 0..300 {
            now += RTT;
            let window = u64::try_from(cubic.window()).unwrap();
            cubic.grow(now, window, SEGMENT, RTT);
            windows.push(cubic.window());
        }
        assert!(windows.is_sorted());
        // Within two segments, for Reno grows by half a segment a round trip and is ahead at first.
        assert!(windows[10] < 45_000, "{windows:?}");
        assert!(windows[167] >= 49_000, "{windows:?}");
        assert!(windows[299] > 60_000, "{windows:?}");
    }

    #[test]
    fn a_timeout_leaves_one_segment_and_a_pause_ten() {
        let mut cubic = Cubic::new(SEGMENT);
        cubic.collapse(SEGMENT);
        cubic.collapse(SEGMENT);
        assert_eq!((cubic.window(), cubic.threshold), (1_000, 7_000));
        for _ in 0..6 {
            cubic.grow(Instant::ZERO, SEGMENT, SEGMENT, RTT);
        }
        assert_eq!(cubic.window(), 7_000);
        let mut large = Cubic::new(SEGMENT);
        large.grow(Instant::ZERO, 30_000, SEGMENT, RTT);
        large.restart(SEGMENT);
        assert_eq!(large.window(), 10_000);
    }

    #[test]
    fn cube_roots_are_whole() {
        for (value, root) in [(0, 0), (1, 1), (7, 1), (8, 2), (999, 9), (1_000, 10)] {
            assert_eq!(cube_root(value), root);
        }
        assert_eq!(cube_root(1 << 60), 1 << 20);
    }
}
