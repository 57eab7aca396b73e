//! Bounds of the user-space TCP, each with the outcome when it is passed.

use core::time::Duration;

/// Local addresses that one program tells apart; more are refused at start.
pub const ADDRESSES_MAX: usize = 31;

/// Receive queues of one interface; more are refused at start.
pub const QUEUES_MAX: u32 = 64;

/// Octets received on a connection and not yet read: the window. A sender waits beyond it.
pub const RECEIVE_BYTES: usize = 64 * 1024;

/// Octets accepted for sending and not yet acknowledged, per connection; a batch waits beyond it.
pub const SEND_BYTES: usize = 64 * 1024;

/// Holes in what a peer has sent, per connection; octets behind another are dropped, and come again.
pub const GAPS_MAX: usize = 32;

/// Ranges that a peer reports as arrived out of order, per connection; what is not noted is sent again at worst.
pub const SACKED_RANGES_MAX: usize = 32;

/// The smallest segment that a peer may ask for, octets: with all options some are left for what is sent. Less counts as
/// this.
pub const SEGMENT_BYTES_MIN: u16 = 64;

/// How long the numbers of a connection are not used again after both sides ended it.
pub const TIME_WAIT: Duration = Duration::from_secs(10);

/// The largest IP packet sent or offered, octets, whatever the interface would carry.
pub const PACKET_BYTES_MAX: usize = 9000;

/// Connections asked for and not yet established, per shard; beyond it a SYN leaves nothing here, so that a flood of them
/// cannot lock out whoever completes its handshake, but does without SACK and windows of more than 64 KiB.
pub const HALF_OPEN_MAX: usize = 1024;

/// A handshake from outside is forgotten after this long.
pub const HALF_OPEN_TIME: Duration = Duration::from_secs(30);

/// A connect is given up after this long.
pub const CONNECT_TIME: Duration = Duration::from_secs(30);

/// Connections whose owner is gone but whose last octets are not acknowledged, or that are in
/// TIME-WAIT, per shard; beyond it the oldest is reset.
pub const ORPHANS_MAX: usize = 4096;

/// A connection without an owner that is not closed by then is reset.
pub const ORPHAN_TIME: Duration = Duration::from_secs(60);

/// A silent connection is probed this often.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(60);

/// A connection from which nothing came for this long is given up.
pub const SILENCE_MAX: Duration = Duration::from_secs(150);

/// Bare acknowledgements are looked at after this long without anything else, if nothing waits for them.
pub const ACKNOWLEDGEMENT_PATIENCE: Duration = Duration::from_millis(5);

/// Segments one connection sends before the next has its turn.
pub const BURST_SEGMENTS: usize = 64;

/// RST answers to segments that belong to no connection, per turn; the rest is not answered.
pub const RESETS_PER_TURN: usize = 64;

/// Segments of no connection here that are looked for at other shards, per turn; more are answered as
/// belonging to nobody.
pub const ASTRAY_PER_TURN: usize = 256;

/// Frames kept for a connection that is on its way to its owner; more are dropped, and come again.
pub const HELD_FRAMES_MAX: usize = 64;

/// Frames and notes queued from other shards; frames beyond it are dropped, and come again.
pub const INBOX_MAX: usize = 4096;

/// Frames taken from one queue in one turn.
pub const TURN_FRAMES_MAX: usize = 512;

/// Octets of a chunk of frame memory.
pub const CHUNK_BYTES: usize = 4096;

/// Frames received and not yet taken, per socket; more are dropped, and come again.
pub const RECEIVE_ENTRIES: u32 = 2048;

/// Chunks for received frames, per queue: as many as its two sockets hold, so that a flood for one of them leaves
/// the other what it needs.
pub const RECEIVE_CHUNKS: u32 = 2 * RECEIVE_ENTRIES;

/// Chunks for frames to send, per queue; with none free, connections wait for one.
pub const SEND_CHUNKS: u32 = 2048;

/// Entries of the fill ring, twice the chunks that circulate in it: the kernel shows what it received before it
/// shows that it took the chunk out of this ring, so for a moment a chunk counts in both.
pub const FILL_ENTRIES: u32 = 2 * RECEIVE_CHUNKS;

/// Binding to a queue that its last user has just left is tried for this long.
pub const REBIND_TIME: Duration = Duration::from_secs(2);

const _: () = assert!(RECEIVE_ENTRIES.is_power_of_two() && SEND_CHUNKS.is_power_of_two());
const _: () = assert!(FILL_ENTRIES.is_power_of_two());
