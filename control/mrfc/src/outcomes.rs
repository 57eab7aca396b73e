//! What became of requests, by code, and how long answers took.

use clock::Duration;
use std::collections::BTreeMap;

/// Codes told apart; what comes beyond them is counted under [`Codes::OTHERS`]. Peers choose some of the
/// codes, and every one is a time series of its own for whoever collects them.
const CODES_MAX: usize = 64;

/// Counts by code.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Codes(BTreeMap<u16, u64>);

impl Codes {
    /// Stands for every code beyond the first 64.
    pub const OTHERS: u16 = 0;

    pub(crate) fn count(&mut self, code: u16) {
        let is_known = self.0.contains_key(&code) || self.0.len() < CODES_MAX;
        let code = if is_known { code } else { Self::OTHERS };
        *self.0.entry(code).or_default() += 1;
    }

    /// Each code that occurred, in order, and how often.
    pub fn iter(&self) -> impl Iterator<Item = (u16, u64)> {
        self.0.iter().map(|(&code, &count)| (code, count))
    }
}

/// Upper bounds of a [`Latency`], microseconds: T1 of a transaction is 500 ms, and the last is where one
/// is given up by default.
const BOUNDS: [u64; 14] = [
    500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
    2_000_000, 5_000_000, 10_000_000,
];

/// How long answers took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// Within each bound and above the one before it.
    counts: [u64; BOUNDS.len()],
    count: u64,
    sum: Duration,
}

impl Latency {
    pub(crate) fn record(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(at) = BOUNDS.iter().position(|bound| micros <= *bound) {
            self.counts[at] += 1;
        }
        self.count += 1;
        self.sum = self.sum.saturating_add(took);
    }

    /// Bounds, and how many took no longer than that.
    pub fn cumulative(&self) -> impl Iterator<Item = (Duration, u64)> {
        let mut sum = 0;
        BOUNDS
            .into_iter()
            .zip(self.counts)
            .map(move |(bound, count)| {
                sum += count;
                (Duration::from_micros(bound), sum)
            })
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How long all of them took together.
    #[must_use]
    pub fn sum(&self) -> Duration {
        self.sum
    }
}

/// What became of requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// Final answers to INVITEs that began a dialog.
    pub invites_in: Codes,
    /// What calls of the focus came to: the answer, or the code of what stood in their way.
    pub invites_out: Codes,
    /// Answers to REFERs.
    pub refers: Codes,
    /// What those who referred were told last.
    pub referred: Codes,
    /// H.248 error codes that answered requests.
    pub h248_errors: Codes,
    /// From H.248 requests to their final answers, errors included.
    pub h248_latency: Latency,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_apart_up_to_a_bound() {
        let mut codes = Codes::default();
        for code in 400..600 {
            codes.count(code);
        }
        codes.count(401);
        let all: Vec<_> = codes.iter().collect();
        assert_eq!(all.len(), CODES_MAX + 1);
        assert_eq!(all[..3], [(Codes::OTHERS, 136), (400, 1), (401, 2)]);
    }

    #[test]
    fn a_latency_counts_within_its_bound() {
        let mut latency = Latency::default();
        for micros in [1, 500, 501, 20_000_000] {
            latency.record(Duration::from_micros(micros));
        }
        let within: Vec<_> = latency.cumulative().map(|(_, count)| count).collect();
        assert_eq!(within[..2], [2, 3]);
        assert_eq!(
            within.last(),
            Some(&3),
            "one took longer than the last bound"
        );
        assert_eq!(
            (latency.count(), latency.sum().as_micros()),
            (4, 20_001_002)
        );
    }
}
