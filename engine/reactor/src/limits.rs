//! Bounds of a reactor, each with the outcome when it is passed.

use core::time::Duration;

/// Connections per shard unless configured; beyond it a new one is closed at once, an outgoing one
/// fails with [`std::io::ErrorKind::QuotaExceeded`].
pub const CONNECTIONS_MAX: usize = 65_536;

/// Hard ceiling of the configurable number of connections: their position is carried in 24 bits of
/// a request's tag.
pub const CONNECTIONS_CEILING: usize = 1 << 24;

/// Octets read from one connection in one turn; the rest waits for the next, so that a fast sender
/// does not starve the others on its core.
pub const TURN_BYTES_MAX: usize = 256 * 1024;

/// Octets that the readiness backend reads in a turn in all, so that what arrives is dealt with while
/// caches hold it; the rest waits for the next.
pub const WAIT_BYTES_MAX: usize = 1024 * 1024;

/// Octets kept for the next turn, because the logic had enough in this one, above which nothing more
/// is received until then.
pub const HELD_BYTES_MAX: usize = 256 * 1024;

/// Connections accepted per listener and turn.
pub const TURN_ACCEPTS_MAX: usize = 64;

/// Completions taken from the kernel per turn; the rest waits for the next.
pub const TURN_COMPLETIONS_MAX: usize = 1024;

/// Control messages taken per turn; the rest waits for the next.
pub const TURN_CONTROLS_MAX: usize = 256;

/// Shipments between shards, those of others and our own that come back, taken per turn; the rest waits
/// for the next.
pub const TURN_FREIGHT_MAX: usize = 256;

/// Control messages queued for one shard; beyond it the sender gets an error.
pub const MAILBOX_MAX: usize = 4096;

/// Runs in one gathering send (`IOV_MAX`); a batch with more takes several.
pub const IOVECS_MAX: usize = 1024;

/// Runs in one gathering send of the readiness backend, whose array is on the stack.
pub const IOVECS_STACK_MAX: usize = 256;

/// The completion backend sends a batch of this many octets or more by a call of its own.
pub const DIRECT_SEND_BYTES_MIN: usize = 8 * 1024;

/// Receive memory per shard, octets; committed as it is first used.
pub const POOL_BYTES: usize = 16 * 1024 * 1024;

/// A receive slot of the completion backend where the kernel uses one per receive (before Linux 6.12).
pub const URING_SLOT_BYTES: usize = 32 * 1024;

/// A receive slot into which several receives are packed: of the readiness backend, of the completion
/// backend where the kernel can do that, and of what is decrypted or unmasked.
pub const PACKED_SLOT_BYTES: usize = 64 * 1024;

/// Below this many free slots of 100, what arrives is copied to the heap, so that slow receivers,
/// who keep slots occupied, cannot stop the reading of everyone.
pub const POOL_RESERVE_PERCENT: usize = 25;

/// A receive is not begun with less room than this in a packed slot.
pub const READ_BYTES_MIN: usize = 4096;

/// A connection that was asked to close, or whose far end closed, has this long to take what is
/// being sent; then it is reset.
pub const LINGER: Duration = Duration::from_secs(5);

/// The logic may ask to move an accepted connection while this many octets came in, which covers the
/// head of a first request. So far it gets one piece per turn, so that no piece is fed to it after
/// the one that made it ask.
pub const YOUTH_BYTES: usize = 64 * 1024;

/// Octets that may arrive while a connection moves to another shard; beyond it it is closed.
pub const HANDOVER_BYTES_MAX: usize = 1024 * 1024;

/// Accepting pauses this long when descriptors or memory ran out.
pub const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Tearing down waits this long for the kernel to give buffers back; then they are leaked rather
/// than freed under it.
pub const TEARDOWN_MAX: Duration = Duration::from_secs(2);

/// Connections that the system completes before they are accepted.
pub const LISTEN_BACKLOG: i32 = 1024;

/// Pauses of the processor between two polls of a shard that polls before it sleeps.
pub const POLL_PAUSES: u32 = 16;

/// Submission entries of a ring; more are submitted in several calls.
pub const RING_SUBMISSIONS: u32 = 1024;

/// Completion entries of a ring; the kernel keeps what overflows.
pub const RING_COMPLETIONS: u32 = 8192;

/// Spent send descriptors kept for reuse; more are freed.
pub const SENDS_KEPT_MAX: usize = 256;

/// A handshake (TLS, WebSocket, both) must be over within this time, else the connection is reset.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections of a shard whose handshake is not over; more are closed at once.
pub const HANDSHAKES_MAX: usize = 4096;

/// Octets of a WebSocket opening request; a longer one is refused with 431.
pub const WEBSOCKET_REQUEST_BYTES_MAX: usize = 8 * 1024;

/// Headers of a WebSocket opening request; one with more is refused with 431.
pub const WEBSOCKET_HEADERS_MAX: usize = 64;

/// Octets of a WebSocket message received; a larger one ends the connection (1009). It is not held
/// anywhere, so that this only stops a peer that never ends one.
pub const WEBSOCKET_MESSAGE_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// A WebSocket peer is pinged this often; one from which nothing came between two pings is reset.
pub const WEBSOCKET_PING_INTERVAL: Duration = Duration::from_secs(30);

/// Where plaintext stands between TLS and WebSocket, octets; one such space per shard.
pub const LAYER_SCRATCH_BYTES: usize = 64 * 1024;

/// What leaves through a layer is kept in blocks of this many octets, below the size from which the C
/// library maps memory for each allocation. A connection has none while nothing is being sent.
pub const LAYER_BLOCK_BYTES: usize = 32 * 1024;

/// Such blocks that a shard keeps for reuse; more are freed.
pub const LAYER_BLOCKS_KEEP: usize = 256;

/// Octets encrypted at a time: what one record holds (RFC 8446 section 5.1), so that what is copied
/// there and back stays in the nearest cache.
pub const RECORD_BYTES: usize = 16 * 1024;

/// Runs that one record is gathered from; more of them end it early.
pub const RECORD_RUNS_MAX: usize = 64;

const _: () = assert!(IOVECS_STACK_MAX <= IOVECS_MAX);
const _: () = assert!(READ_BYTES_MIN < PACKED_SLOT_BYTES);
const _: () = assert!(
    POOL_BYTES / URING_SLOT_BYTES <= 32_768 && POOL_BYTES / PACKED_SLOT_BYTES <= 32_768,
    "a buffer ring's limit"
);
const _: () = assert!(
    (POOL_BYTES / URING_SLOT_BYTES).is_power_of_two()
        && (POOL_BYTES / PACKED_SLOT_BYTES).is_power_of_two(),
    "a buffer ring's rule"
);
