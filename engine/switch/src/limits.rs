//! Bounds of a shard, each with the outcome when it is passed.

use core::time::Duration;

/// Shards per process; the session-id carries the number in one base-62 digit.
pub const SHARDS_MAX: u8 = 62;

/// Bodies up to this length are copied into a recipient's batch, longer ones referenced: one more
/// iovec costs about as much as copying this much.
pub const COPY_BYTES_MAX: usize = 2048;

/// A recipient for whom the system took next to nothing for this long holds nobody back any more. A
/// system that holds 1 MiB unsent takes octets again when half of that has gone: 0.5 s for a reader of
/// 1 MB/s that never pauses, 2 s for a quarter of that.
pub const STALLED_AFTER: Duration = Duration::from_secs(2);

/// What the system must take within [`STALLED_AFTER`] for a recipient that is to hold others back, as a
/// part of the soft limit of its queue (64 KiB of 256): who reads an octet a second stops no conference.
pub const PROGRESS_PARTS: usize = 4;

/// A recipient of which nobody knows yet whether it reads may have a queue of this share of its limit
/// before anybody is held for it. Together with [`STALLED_AFTER`] it says up to which rate nobody
/// notices that somebody stops reading: 12 MiB in 2 s, 6 MiB/s for each recipient.
pub const HEADROOM_PERCENT: usize = 75;

/// Who took nothing for this long is the first to lose when the shard's queues are full. Longer than a
/// lost segment takes to be sent again a second time.
pub const HOARDER_AFTER: Duration = Duration::from_secs(1);

/// While senders wait because the shard's queues are full, it looks this often for whom to give up.
pub const RELIEF_INTERVAL: Duration = Duration::from_millis(100);

/// Octets queued in one turn, for all connections together, after which nothing more is fed in it:
/// memory does not grow with what a turn brings. A hundred recipients get a send of 80 KiB each then, of
/// whose cost the fixed part is small.
pub const TURN_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Lists of recipients kept for next messages, one for each sender that comes to its place. With the two
/// limits below at most 1.1 MiB in a shard.
pub const LISTS_MAX: usize = 256;

/// A list of more recipients is made anew for each message.
pub const LISTED_MAX: usize = 256;

/// As is one for a media type that is longer, octets.
pub const LISTED_TYPE_BYTES_MAX: usize = 128;

/// A shipment to another shard is not filled beyond this many octets (but by what was under way): the C
/// library maps memory anew for larger allocations.
pub const SHIPMENT_BYTES: usize = 64 * 1024;

/// Shipments on their way to one shard at once; what comes meanwhile gathers in the next.
pub const SHIPMENTS_MAX: usize = 16;

/// What a parcel counts in a shipment beside its octets: about what it takes.
pub const PARCEL_BYTES: usize = 128;

/// Octets queued for another shard above which those who fill its lane are not read until half has gone.
pub const LANE_BYTES_SOFT: usize = 1024 * 1024;

/// Octets that wait, or are on their way, for a connection that another shard has (see `trunk`), unless
/// one frame is longer; what comes meanwhile gathers in the sender's queue as for any connection.
pub const BRANCH_WINDOW_BYTES: usize = 256 * 1024;

/// Of these, so many go into one send of the connection, unless one frame is longer: below half of the
/// soft limit of a queue, so that they alone hold nobody there.
pub const BRANCH_SHARE_BYTES: usize = 64 * 1024;

/// Octets queued for another shard above which messages fail towards it (408), as requests do that come
/// for its sessions on a connection here; beyond twice as much such a connection's sessions there are
/// lost if a frame goes on. It takes a shard that takes nothing, for those who fill the lane are held long
/// before.
pub const LANE_BYTES_MAX: usize = 64 * 1024 * 1024;

const _: () = assert!(SHIPMENTS_MAX * SHIPMENT_BYTES <= LANE_BYTES_SOFT);

/// Copied octets of a batch are kept in blocks of about this much. Below the size from which the C
/// library maps and unmaps memory for each allocation, which costs a page fault per 4 KiB.
pub const BATCH_BLOCK_BYTES: usize = 32 * 1024;

/// A recycled batch keeps at most so many blocks: twice as much as may be queued for one connection
/// before its senders are slowed, because a turn's worth may still come on top.
pub const BATCH_BLOCKS_KEEP: usize = 16;

/// Room kept for the letters of a turn (see `supply`), octets; a larger allocation is given back.
pub const LETTER_BYTES_KEEP: usize = 256 * 1024;

/// Letters that have more octets than this, on average of a turn, are worth an order of recipients in which
/// their copies are made out of each other: shorter ones are written anew as fast.
pub const LONG_LETTER_BYTES: usize = 512;

/// Copies in a batch above which those for the next recipient are not made out of them: more than a turn's
/// worth for one recipient.
pub const PRINTS_MAX: usize = 2048;

/// Batches kept for reuse; more are freed.
pub const BATCH_POOL_MAX: usize = 128;

/// Frames kept for reuse; more are freed.
pub const FRAME_POOL_MAX: usize = 256;

/// Deframers between two frames kept for reuse; more are freed.
pub const DEFRAMER_POOL_MAX: usize = 64;

/// Messages kept for reuse; more are freed.
pub const MESSAGE_POOL_MAX: usize = 1024;

/// A recycled message keeps room for at most this many deliveries.
pub const DELIVERIES_KEEP_MAX: usize = 256;

/// Messages of one session that are remembered after their fate was settled: one that comes again,
/// because its sender did not see the answer, is acknowledged and not forwarded again, and the rest
/// of one that was refused or given up is refused.
pub const RECENT_MAX: usize = 8;

/// No message is longer, whatever an operator allows: sums of two positions then fit 64 bits.
pub const MESSAGE_BYTES_CEILING: u64 = u64::MAX >> 1;

/// Messages of our own that a shard plays at once; beyond it one fails with 413.
pub const PLAYS_MAX: usize = 1 << 16;

/// Length of a message of our own, octets: it is queued as a whole, so the caller keeps to it.
pub const PLAY_BYTES_MAX: usize = 256 * 1024;

/// How much of a message in Message/CPIM is held until its headers are there. Beyond it: 400 in a
/// chat room, 413 when a filter must see it, and else it goes on with headers that nobody read.
pub const BEGINNING_BYTES_MAX: usize = 8 * 1024;

/// Outgoing chunks are not cut below this, whatever an operator sets, octets.
pub const CHUNK_BYTES_FLOOR: u64 = 16 * 1024;

/// A recipient is congested while its queue is fuller than this share of its limit (the example of
/// RFC 7701 6.4).
pub const CONGESTION_PERCENT: usize = 80;

/// Nicknames of a conference that are kept for those who had them; more: the oldest is free.
pub const NICKNAMES_KEPT_MAX: usize = 64;

/// Length of a nickname, octets; a longer one is refused with 424 (RFC 7701 7.1).
pub const NICKNAME_BYTES_MAX: usize = 1023;

/// Messages whose fate a shard follows at once; beyond it a SEND is refused with 413.
pub const MESSAGES_MAX: usize = 1 << 20;

/// How often messages are looked at whose time may be over.
pub const MESSAGE_SWEEP: Duration = Duration::from_secs(1);

/// A chunk with more body octets is sent as interruptible, range-end `*` (RFC 4975 7.1.1).
pub const FIXED_CHUNK_BYTES_MAX: u64 = 2048;

const _: () = assert!(PLAYS_MAX <= crate::ident::SLOT_MAX as usize);

/// Octets of a piece that are kept back until the next one, of which one would do. But they are copied in front of
/// it, so that in the system's memory it comes to stand so many octets further in its page than
/// where it was received, and some processors copy at a quarter of their speed when that is 1 to 15.
pub const TAIL_BYTES: usize = 64;

const _: () = assert!(TAIL_BYTES > 0 && (TAIL_BYTES as u64) < FIXED_CHUNK_BYTES_MAX);

/// Requests for sessions that do not exist (481) that one connection may send beyond those for its own
/// sessions; then it is closed. When a session ends, its peer may have many requests under way that name
/// it, and other sessions may be on the connection, so this is more than fits the buffers between the two.
pub const STRAYS_MAX: u16 = 16_384;

/// On a connection that carries messages a chunk is ended (`+`) before its body would pass this many
/// octets, unless they came in one piece; the peer must hold a whole chunk.
pub const FRAMED_CHUNK_BYTES_MAX: u64 = 32 * 1024;

const _: () = assert!(MESSAGES_MAX <= crate::ident::SLOT_MAX as usize);

/// Bounds that an operator may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of the MSRP framing; passing one closes the connection.
    pub msrp: msrp::Limits,
    /// Octets queued for one connection before its receive buffers are no longer pinned (further
    /// octets are copied).
    pub queue_bytes_soft: usize,
    /// Octets queued for one connection before its sessions are given up.
    pub queue_bytes_max: usize,
    /// Octets queued for all connections of the shard together. Beyond it those lose who take nothing,
    /// the longest queue first; if nobody is left of them, whoever sends has to wait.
    pub shard_queue_bytes_max: usize,
    /// Outgoing chunks are cut at this many octets, so that others get a word in between.
    pub chunk_bytes_max: u64,
    /// Largest message taken, octets; beyond it 413.
    pub message_bytes_max: u64,
    /// Messages one session may have in progress at once; beyond it 413.
    pub messages_open_max: usize,
    /// Messages of one session that have all their chunks and wait for answers of recipients; beyond it 413.
    /// So one session whose recipients answer nothing does not take the room of all.
    pub messages_waiting_max: usize,
    /// Requests with faults one connection may send before it is closed.
    pub strikes_max: u16,
    /// Sessions one connection may carry; beyond it 481.
    pub sessions_per_connection_max: usize,
    /// An accepted connection must bind a session within this time (RFC 4976 6.1 has 30 s).
    pub probation: Duration,
    /// An active session's connect must succeed within this time.
    pub connect_timeout: Duration,
    /// A response is due within this time after a SEND that asks for one (RFC 4975 7.1.1).
    pub response_timeout: Duration,
    /// A message whose chunks stop arriving is given up after this time (RFC 7701 6.1).
    pub chunk_timeout: Duration,
    /// What is queued for a connection that is being closed may take this long to leave.
    pub linger: Duration,
    /// A recipient that was congested all this time is lost, if nobody waits for it
    /// ([`crate::SlowPolicy::Drop`]; RFC 7701 6.4 has a few minutes).
    pub congestion_timeout: Duration,
    /// A nickname that was given back, or whose user left, is kept for that user this long.
    pub nickname_quarantine: Duration,
}

impl Limits {
    /// A queue may grow to this while nobody knows whether its recipient reads, octets.
    pub(crate) fn headroom_bytes(&self) -> usize {
        self.queue_bytes_soft
            .max(self.queue_bytes_max / 100 * HEADROOM_PERCENT)
    }

    /// The least that counts as progress, octets.
    pub(crate) fn progress_bytes_min(&self) -> usize {
        (self.queue_bytes_soft / PROGRESS_PARTS).max(1)
    }

    /// A queue longer than this is congested, octets.
    pub(crate) fn congestion_mark_bytes(&self) -> usize {
        self.queue_bytes_max / 100 * CONGESTION_PERCENT
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            msrp: msrp::Limits::default(),
            queue_bytes_soft: 256 * 1024,
            queue_bytes_max: 16 * 1024 * 1024,
            shard_queue_bytes_max: 256 * 1024 * 1024,
            chunk_bytes_max: 1024 * 1024,
            message_bytes_max: 8 * 1024 * 1024 * 1024,
            messages_open_max: 16,
            messages_waiting_max: 1 << 16,
            strikes_max: 8,
            sessions_per_connection_max: 1024,
            probation: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            response_timeout: Duration::from_secs(30),
            chunk_timeout: Duration::from_secs(540),
            linger: Duration::from_secs(5),
            congestion_timeout: Duration::from_secs(180),
            nickname_quarantine: Duration::from_secs(60),
        }
    }
}
