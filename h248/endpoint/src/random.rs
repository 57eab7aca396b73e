//! SplitMix64: seeded, tiny, the same on every platform and in every release.

#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `0..=max`; the bias for large `max` does not matter to a timer.
    pub(crate) fn up_to(&mut self, max: u64) -> u64 {
        match max.checked_add(1) {
            Some(span) => self.next() % span,
            None => self.next(),
        }
    }

    /// Uniform in `low..=high`.
    pub(crate) fn between(
        &mut self,
        low: clock::Duration,
        high: clock::Duration,
    ) -> clock::Duration {
        let span = u64::try_from(high.saturating_sub(low).as_nanos()).unwrap_or(u64::MAX);
        low + clock::Duration::from_nanos(self.up_to(span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clock::Duration;

    #[test]
    fn draws_stay_within_their_bounds_and_depend_on_the_seed_alone() {
        let (mut a, mut b) = (Random::new(7), Random::new(7));
        for _ in 0..1_000 {
            let low = Duration::from_millis(5);
            let high = Duration::from_millis(9);
            let drawn = a.between(low, high);
            assert!((low..=high).contains(&drawn));
            assert_eq!(drawn, b.between(low, high));
        }
        assert_eq!(a.up_to(0), b.up_to(0));
        assert_eq!(a.up_to(u64::MAX), b.up_to(u64::MAX));
        assert_eq!(a.between(Duration::MAX, Duration::ZERO), Duration::MAX);
    }
}
