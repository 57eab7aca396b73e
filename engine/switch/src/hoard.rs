//! What all queues of a shard hold together is bounded, whoever fills them.
//!
//! ```text
//! over the bound    recipients that took nothing for HOARDER_AFTER lose, the longest queue first
//! still over it     whoever sends is read again when a quarter of the bound is free
//! ```
//!
//! Octets of connections that are being closed do not count: they are gone within the linger time.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use clock::Instant;

use crate::api::{ConnId, Octets};
use crate::connection::Transmit;
use crate::limits::{HOARDER_AFTER, RELIEF_INTERVAL};
use crate::shard::{Deadline, Shard};

/// What a shard lets others see of itself while it works; read it at any time from any thread.
#[derive(Debug, Default)]
pub struct Gauges {
    queued_bytes: AtomicU64,
    stalls: AtomicU64,
    holds: AtomicU64,
    received_bytes: AtomicU64,
    sent_bytes: AtomicU64,
    messages: AtomicU64,
    copies: AtomicU64,
    dropped: AtomicU64,
}

impl Gauges {
    /// Octets queued for all recipients together, at the end of the last turn.
    #[must_use]
    pub fn queued_bytes(&self) -> u64 {
        self.queued_bytes.load(Ordering::Relaxed)
    }

    /// Times a recipient was found to take nothing, so that nobody waits for it any more.
    #[must_use]
    pub fn stalls(&self) -> u64 {
        self.stalls.load(Ordering::Relaxed)
    }

    /// Times the reading from a participant was paused, because of a recipient or of the shard's bound.
    #[must_use]
    pub fn holds(&self) -> u64 {
        self.holds.load(Ordering::Relaxed)
    }

    /// Octets received, framing included, from whoever it was.
    #[must_use]
    pub fn received_bytes(&self) -> u64 {
        self.received_bytes.load(Ordering::Relaxed)
    }

    /// Octets that the system took to send, framing included.
    #[must_use]
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::Relaxed)
    }

    /// Whole messages of participants of this shard.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// Copies of whole messages for participants of this shard, whatever became of them.
    #[must_use]
    pub fn copies(&self) -> u64 {
        self.copies.load(Ordering::Relaxed)
    }

    /// Messages that a recipient did not get, or not whole, because the way to it was full; each recipient counted.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    #[cold]
    pub(crate) fn add_dropped(&self, messages: usize) {
        add(&self.dropped, messages);
    }

    pub(crate) fn add_stall(&self) {
        add(&self.stalls, 1);
    }

    pub(crate) fn add_hold(&self) {
        add(&self.holds, 1);
    }

    pub(crate) fn add_received(&self, bytes: usize) {
        add(&self.received_bytes, bytes);
    }

    pub(crate) fn add_sent(&self, bytes: usize) {
        add(&self.sent_bytes, bytes);
    }

    pub(crate) fn add_messages(&self, count: usize) {
        add(&self.messages, count);
    }

    pub(crate) fn add_copies(&self, count: usize) {
        add(&self.copies, count);
    }

    pub(crate) fn set_queued(&self, bytes: usize) {
        self.queued_bytes.store(bytes as u64, Ordering::Relaxed);
    }
}

/// The shard alone writes, so that no locked instruction is needed.
fn add(counter: &AtomicU64, more: usize) {
    let sum = counter.load(Ordering::Relaxed).wrapping_add(more as u64);
    counter.store(sum, Ordering::Relaxed);
}

impl<B: Clone + AsRef<[u8]>> Transmit<B> {
    /// Brings the shard's total up to date.
    pub(crate) fn recount(&mut self, is_closing: bool, total: &mut usize) {
        let queued = if is_closing { 0 } else { self.queued() };
        *total = *total - self.counted + queued;
        self.counted = queued;
    }
}

impl<B: Octets> Shard<B> {
    /// The figures that it shows.
    #[must_use]
    pub fn gauges(&self) -> &Gauges {
        &self.gauges
    }

    /// The same figures, kept up to date for whoever holds them.
    #[must_use]
    pub fn with_gauges(mut self, gauges: Arc<Gauges>) -> Self {
        self.gauges = gauges;
        self
    }

    /// The queue of a connection changed.
    pub(crate) fn recount(&mut self, conn: ConnId) {
        let Self { conns, queued, .. } = self;
        if let Some(connection) = conns.get_mut(conn) {
            connection.tx.recount(connection.is_closing, queued);
        }
    }

    /// The same when it became shorter: those who wait for room may go on.
    pub(crate) fn recount_shorter(&mut self, conn: ConnId) {
        self.recount(conn);
        self.admit();
    }

    /// Reads on from those who wait for room, if there is some.
    fn admit(&mut self) {
        if !self.waiting_for_room.is_empty() && self.has_room() {
            let waiting = core::mem::take(&mut self.waiting_for_room);
            for sender in waiting {
                if let Some(connection) = self.connection(sender) {
                    connection.brake.waits_for_room = false;
                }
                self.unpause(sender);
            }
        }
        self.is_refusing_shipments &= !self.has_room();
    }

    /// A shipment of another shard was unpacked: if the shard is full now, the next has to wait.
    pub(crate) fn refuse_shipments(&mut self, now: Instant) {
        let is_full = self.queued > self.config.limits.shard_queue_bytes_max;
        if is_full && !core::mem::replace(&mut self.is_refusing_shipments, true) {
            self.timers.arm(now + RELIEF_INTERVAL, Deadline::Relief);
        }
    }

    fn has_room(&self) -> bool {
        self.queued <= self.config.limits.shard_queue_bytes_max / 4 * 3
    }

    /// The shard holds more than it may.
    pub(crate) fn relieve(&mut self, now: Instant, source: Option<ConnId>) {
        let limit_bytes = self.config.limits.shard_queue_bytes_max;
        // One look per turn, which takes as long as there are connections.
        if !core::mem::replace(&mut self.has_looked, true) {
            while self.queued > limit_bytes
                && let Some(conn) = self.worst_hoarder(now)
            {
                self.give_up_slow(now, conn, limit_bytes);
            }
        }
        if self.queued <= limit_bytes {
            return;
        }
        let Some(sender) = source else {
            return;
        };
        let connection = self.connection(sender);
        let Some(connection) = connection.filter(|c| !c.is_closing && !c.brake.waits_for_room)
        else {
            return;
        };
        connection.brake.waits_for_room = true;
        if self.waiting_for_room.is_empty() {
            tracing::warn!(limit_bytes, "the shard's queues are full: senders wait");
            self.timers.arm(now + RELIEF_INTERVAL, Deadline::Relief);
        }
        self.waiting_for_room.push(sender);
        self.pause(sender);
    }

    /// Whoever has the longest queue of those who take nothing.
    fn worst_hoarder(&self, now: Instant) -> Option<ConnId> {
        let soft = self.config.limits.queue_bytes_soft;
        let hoarders = self.conns.iter().filter(|c| {
            let takes_nothing = now >= c.brake.progress_at + HOARDER_AFTER;
            !c.is_closing && takes_nothing && c.is_sending && c.tx.counted > soft
        });
        hoarders.max_by_key(|c| c.tx.counted).map(|c| c.id)
    }

    /// Senders have been waiting for room: maybe because somebody stopped reading meanwhile.
    pub(crate) fn check_relief(&mut self, now: Instant) {
        if self.waiting_for_room.is_empty() && !self.is_refusing_shipments {
            return;
        }
        self.has_looked = false;
        self.relieve(now, None);
        self.admit();
        if !self.waiting_for_room.is_empty() || self.is_refusing_shipments {
            self.timers.arm(now + RELIEF_INTERVAL, Deadline::Relief);
        }
    }
}
