//! A keyed hash of a few words: quick, for every frame asks for it, and not to be foreseen, for whoever sends
//! frames chooses what is hashed.
//!
//! ```text
//! for each word:  state = fold(state ^ word, key)
//! fold(a, b):     both halves of the product of 64 by 64 bits, put together by exclusive or
//! ```
//!
//! The keys are random. Addresses that nobody answers from can be chosen freely, but the bounds of half-open
//! connections hold for them, and who does answer is at few addresses.

use core::hash::{BuildHasher, Hasher};
use std::collections::hash_map::RandomState;

/// Makes hashers with the same random keys.
#[derive(Clone, Debug)]
pub(super) struct Keyed {
    start: u64,
    key: u64,
}

impl Default for Keyed {
    fn default() -> Self {
        // The only randomness of the standard library.
        let random = RandomState::new();
        Self {
            start: random.hash_one(1),
            // Odd: no word is lost.
            key: random.hash_one(2) | 1,
        }
    }
}

impl BuildHasher for Keyed {
    type Hasher = Folding;

    fn build_hasher(&self) -> Folding {
        Folding {
            state: self.start,
            key: self.key,
        }
    }
}

#[derive(Debug)]
pub(super) struct Folding {
    state: u64,
    key: u64,
}

impl Hasher for Folding {
    fn write(&mut self, octets: &[u8]) {
        for piece in octets.chunks(8) {
            let mut word = [0; 8];
            word[..piece.len()].copy_from_slice(piece);
            self.write_u64(u64::from_ne_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(self.key);
        let [low, high] = [product, product >> 64].map(|half| half & u128::from(u64::MAX));
        self.state = u64::try_from(low ^ high).expect("64 bits");
    }

    fn finish(&self) -> u64 {
        // The last word has not reached all bits yet.
        self.state.rotate_left(29).wrapping_mul(self.key) ^ self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::tests::flow;

    #[test]
    fn flows_that_differ_little_spread_over_a_table() {
        for keyed in [Keyed::default(), Keyed::default(), Keyed::default()] {
            let mut buckets = [0_u32; 1024];
            for port in 1024..1024 + 16 * 1024 {
                let flow = flow("10.0.0.1:2855", &format!("10.0.0.2:{port}"));
                let hash = keyed.hash_one(flow);
                buckets[usize::try_from(hash % 1024).unwrap()] += 1;
            }
            // 16 each on average.
            assert!(buckets.iter().all(|count| *count < 64), "{buckets:?}");
        }
    }

    #[test]
    fn keys_differ() {
        let flow = flow("[fd00::1]:2855", "[fd00::2]:40000");
        let hash = |keyed: &Keyed| keyed.hash_one(flow);
        let keyed = Keyed::default();
        assert_eq!(hash(&keyed), hash(&keyed.clone()));
        assert_ne!(hash(&keyed), hash(&Keyed::default()));
    }
}
