//! A snapshot of the counters.

use std::collections::BTreeMap;

use crate::storage::StorageMetrics;

/// What an MRFP has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Whether a controller has accepted our registration.
    pub is_registered: bool,
    /// Contexts that exist.
    pub contexts: u32,
    /// Terminations that exist.
    pub terminations: u32,
    /// Terminations that have come so far.
    pub terminations_added: u64,
    /// Terminations that have gone, whoever ended them.
    pub terminations_subtracted: u64,
    /// H.248 requests executed.
    pub requests: u64,
    /// Replies to H.248 requests that hold an error, by the code of the first one.
    pub errors: BTreeMap<u16, u64>,
    /// H.248 Notify requests sent.
    pub notifies: u64,
    /// Of these, those that nobody answered, or that there was nobody to send to.
    pub notifies_lost: u64,
    /// Events that were dropped because too many waited for their termination's Notify.
    pub events_dropped: u64,
    /// Messages of our own played into sessions, failures included.
    pub played: u64,
    /// Of these, those that failed.
    pub play_failures: u64,
    /// What was recorded; `None` without a storage.
    pub storage: Option<StorageMetrics>,
    /// One per shard.
    pub shards: Vec<ShardMetrics>,
}

/// What one shard has done so far, as far as it told the control part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardMetrics {
    /// Sessions that exist.
    pub sessions: u32,
    /// Times a session got a connection.
    pub bound: u64,
    /// Times a session lost its connection, or could not get one.
    pub lost: u64,
    /// Of these, because the participant read too slowly.
    pub too_slow: u64,
    /// Octets queued for all recipients now.
    pub queued_bytes: u64,
    /// Times a recipient was found to take nothing, so that nobody waits for it any more.
    pub stalls: u64,
    /// Times the reading from a participant was paused, because of a recipient or because the shard's
    /// queues were full.
    pub holds: u64,
    /// Messages that a recipient did not get, or not whole, because the way to it was full and nobody was to wait for
    /// it; each recipient counted.
    pub dropped: u64,
    /// Copies of whole messages for participants of this shard, whatever became of them.
    pub messages_sent: u64,
    /// Whole messages of participants of this shard.
    pub messages_received: u64,
    /// Octets that the system took to send, framing included.
    pub octets_sent: u64,
    /// Octets received, framing included.
    pub octets_received: u64,
    /// What came from other shards.
    pub freight: reactor::FreightMetrics,
}
