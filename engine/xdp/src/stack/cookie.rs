//! Handshakes that leave nothing here until they are over, for when there are too many of them (RFC 4987 3.6).
//!
//! ```text
//! our first number:   which period (6 bits) | what fits the peer's segments (2) | what nobody else can know (24)
//! its acknowledgement brings all of it back; what does not fit, the shift of windows and SACK, is done without
//! ```

use core::hash::{Hash, Hasher};
use core::time::Duration;
use std::hash::DefaultHasher;

use clock::Instant;

use crate::frame::Flow;
use crate::limits::SEGMENT_BYTES_MIN;
use crate::tcp::{Incoming, Seq};

/// A number is good in the period in which it was made and in the next one.
const PERIOD: Duration = Duration::from_secs(64);
const PERIOD_BITS: u32 = 6;
const SIZE_BITS: u32 = 2;
const SECRET_BITS: u32 = 24;

const _: () = assert!(PERIOD_BITS + SIZE_BITS + SECRET_BITS == u32::BITS);

/// Octets of the peer's segments; the largest that it does not exceed.
const SIZES: [u16; 1 << SIZE_BITS] = [SEGMENT_BYTES_MIN, 536, 1220, 1440];

#[derive(Debug)]
pub(super) struct Cookies {
    seed: u64,
    /// None was made that would still be good then.
    until: Instant,
}

impl Cookies {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            until: Instant::ZERO,
        }
    }

    /// Our first number for whoever sent this SYN.
    pub(super) fn make(&mut self, now: Instant, flow: &Flow, syn: &Incoming<'_>) -> Seq {
        self.until = now + 2 * PERIOD;
        let said = syn.segment_bytes();
        let size = SIZES.iter().rposition(|bytes| *bytes <= said).unwrap_or(0);
        let size = u32::try_from(size).expect("two bits");
        self.number(period(now), size, flow, syn.seq())
    }

    /// What the segments of a peer take that acknowledges such a number.
    pub(super) fn check(&self, now: Instant, flow: &Flow, incoming: &Incoming<'_>) -> Option<u16> {
        if self.until <= now {
            return None;
        }
        let number = incoming.acknowledged()?.before();
        let made_in = number.0 >> (SIZE_BITS + SECRET_BITS);
        let size = number.0 >> SECRET_BITS & ((1 << SIZE_BITS) - 1);
        let age = period(now).wrapping_sub(made_in) & ((1 << PERIOD_BITS) - 1);
        let expected = self.number(made_in, size, flow, incoming.seq().before());
        (age <= 1 && number == expected).then(|| SIZES[size as usize])
    }

    fn number(&self, period: u32, size: u32, flow: &Flow, theirs: Seq) -> Seq {
        let mut hasher = DefaultHasher::new();
        (self.seed, "handshake", period, size, flow, theirs.0).hash(&mut hasher);
        let secret = hasher.finish() & ((1 << SECRET_BITS) - 1);
        let secret = u32::try_from(secret).expect("24 bits");
        Seq(period << (SIZE_BITS + SECRET_BITS) | size << SECRET_BITS | secret)
    }
}

fn period(now: Instant) -> u32 {
    let count = now.since(Instant::ZERO).as_secs() / PERIOD.as_secs();
    u32::try_from(count & ((1 << PERIOD_BITS) - 1)).expect("6 bits")
}
