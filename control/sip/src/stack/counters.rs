//! What can be seen of a stack from outside.

use core::sync::atomic::{AtomicU64, Ordering};

/// Counters since the start, and gauges. The core writes them; anybody reads.
#[derive(Debug, Default)]
pub struct Counters {
    /// Requests for new dialogs refused with 503.
    pub shed: AtomicU64,
    /// Of these: they would have waited for the core for too long.
    pub shed_late: AtomicU64,
    /// Of these: too many awaited the application's answer.
    pub shed_unanswered: AtomicU64,
    /// Of these: no transaction or dialog was left.
    pub shed_full: AtomicU64,
    /// Of these: the repetition of a refused one.
    pub shed_again: AtomicU64,
    /// Gauge: datagrams that wait for the core now.
    pub waiting: AtomicU64,
    /// Requests that could not be read.
    pub malformed: AtomicU64,
    /// Requests from outside the trust domain that were asked who sends them.
    pub challenged: AtomicU64,
    /// Requests whose sender is not who it says.
    pub forbidden: AtomicU64,
    /// Gauge: dialogs now.
    pub dialogs: AtomicU64,
    /// Gauge: transactions now, both roles, those included that are only kept for repetitions.
    pub transactions: AtomicU64,
    /// Gauge: connections now.
    pub connections: AtomicU64,
    /// Connections refused: too many, in all or from one address.
    pub connections_refused: AtomicU64,
}

pub(super) fn set(counter: &AtomicU64, value: u64) {
    counter.store(value, Ordering::Relaxed);
}
