//! Every bound of this crate, by name.

use core::time::Duration;

/// The largest configuration file, in octets.
pub const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

/// The largest input of `mrf decode`, in octets.
pub const DECODE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How many octets of a body `mrf decode msrp` shows.
pub const PREVIEW_BYTES_MAX: usize = 256;

/// The largest message an MSRP client puts together, in octets; larger ones get 413.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// Messages an MSRP client puts together at once; the oldest one is given up for another.
pub const MESSAGES_OPEN_MAX: usize = 16;

/// Body octets an MSRP client puts into one chunk (RFC 4975 section 5.1: 2048 unless
/// interruptible).
pub const CHUNK_BYTES_MAX: usize = 2048;

/// Octets read from a connection at once.
pub const READ_BYTES: usize = 16 * 1024;

/// Events that wait for the application of an MSRP client; its reader then stops reading.
pub const CLIENT_EVENTS_MAX: usize = 256;

/// How long one answer of the other side may take: SIP, MSRP, TCP set-up. RFC 4975 section 7.1.1
/// gives an MSRP transaction 30 s.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// How long `mrf run` waits for its own MRFP to register.
pub const REGISTER_WITHIN: Duration = Duration::from_secs(10);

/// Messages that a tap keeps.
pub const TAP_MESSAGES_MAX: usize = 256;

/// The largest H.248 datagram that a tap relays, in octets.
pub const DATAGRAM_BYTES_MAX: usize = 65_535;

/// Typed lines that wait while one is being sent.
pub const LINES_MAX: usize = 64;

/// Messages of a chat that wait for their answer; typing then waits.
pub const UNANSWERED_MAX: usize = 64;

/// Octets that an MSRP client holds unsent before it takes no further message.
pub const UNSENT_BYTES_MAX: usize = 1024 * 1024;

/// Chunks of an MSRP client whose answers are matched; later ones are sent all the same.
pub const UNANSWERED_CHUNKS_MAX: usize = 4096;

/// How long the system that a flow started may take to end, in which nobody takes part any more.
pub const DRAIN_WITHIN: Duration = Duration::from_secs(2);

/// How long the answer to a BYE of a chat may take: the user waits for it. By UDP it is sent three times
/// meanwhile.
pub const GOODBYE_WITHIN: Duration = Duration::from_secs(3);

/// How long after the end of its connection a chat waits for the BYE that explains it.
pub const BYE_WITHIN: Duration = Duration::from_secs(2);

/// The longest that a shard may be told to poll before it sleeps, in microseconds.
pub const BUSY_POLL_US_MAX: u32 = 1_000_000;

/// Lines of one kind that are logged in a second in the long run, unless the operator says otherwise;
/// further ones are counted.
pub const LOG_LINES_PER_SECOND: u32 = 20;

/// As many lines of one kind as are due in this time may come at once.
pub const LOG_BURST: Duration = Duration::from_secs(50);

/// Log lines that were not written are told this often at most.
pub const LOG_REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// Connections of HTTP at once; further ones wait until one ends.
pub const HTTP_CONNECTIONS_MAX: usize = 256;

/// How long nothing may move on one of them before it is closed.
pub const HTTP_IDLE_TIMEOUT: Duration = Duration::from_secs(120);

/// Octets of log lines that wait for who reads them; further lines are lost, and counted.
pub const LOG_QUEUE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How long a process that ends waits for its last log lines to be taken.
pub const LOG_FLUSH_WITHIN: Duration = Duration::from_secs(1);

/// Names that are tried for a file that a chat saves; none is written over.
pub const SAVE_NAMES_MAX: u32 = 1000;
