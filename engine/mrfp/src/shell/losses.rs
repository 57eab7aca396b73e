//! What the log says of losses: how many, and not with every one.

use clock::{Duration, Instant};

/// Least time between two lines about losses of a kind.
const TELL_INTERVAL: Duration = Duration::from_secs(10);

/// Losses of one kind, as far as the log knows of them.
#[derive(Debug, Default)]
pub(super) struct Losses {
    told: u64,
    told_at: Option<Instant>,
}

impl Losses {
    /// Of `total` losses so far those to be told now, if there are any and the last line is old enough.
    pub(super) fn news(&mut self, now: Instant, total: u64) -> Option<u64> {
        let is_early = self.told_at.is_some_and(|at| now < at + TELL_INTERVAL);
        if total == self.told || is_early {
            return None;
        }
        let news = total - self.told;
        (self.told, self.told_at) = (total, Some(now));
        Some(news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_loss_is_told_at_once_and_later_ones_together() {
        let mut losses = Losses::default();
        let interval = TELL_INTERVAL.as_secs();
        for (second, total, told) in [
            (0, 0, None),
            (1, 2, Some(2)),
            (2, 5, None),
            (interval, 3_000, None),
            (interval + 1, 3_000, Some(2_998)),
            (2 * interval + 1, 3_000, None),
            (3 * interval, 3_001, Some(1)),
        ] {
            let now = Instant::ZERO + Duration::from_secs(second);
            assert_eq!(losses.news(now, total), told, "{second}");
        }
    }
}
