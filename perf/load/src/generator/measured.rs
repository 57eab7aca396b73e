//! What is counted, and when.

use clock::{Duration, Instant};

use crate::report::Latencies;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    /// The first message is due.
    pub(super) start: Instant,
    /// Counting begins.
    pub(super) from: Instant,
    /// Counting ends.
    pub(super) to: Instant,
    /// The current row ends.
    pub(super) row: Instant,
}

/// What counts.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) delivered: u64,
    pub(super) octets: u64,
    pub(super) all: Latencies,
    /// From asking for a session to its being bound.
    pub(super) joins: Latencies,
    pub(super) row: Latencies,
    pub(super) row_sent: u64,
    pub(super) row_delivered: u64,
    pub(super) row_octets: u64,
    pub(super) row_idle: Duration,
    pub(super) idle: Duration,
    pub(super) last_at: Instant,
}

impl Measured {
    pub(super) fn new() -> Self {
        Self {
            delivered: 0,
            octets: 0,
            all: Latencies::new(),
            joins: Latencies::new(),
            row: Latencies::new(),
            row_sent: 0,
            row_delivered: 0,
            row_octets: 0,
            row_idle: Duration::ZERO,
            idle: Duration::ZERO,
            last_at: Instant::ZERO,
        }
    }
}
