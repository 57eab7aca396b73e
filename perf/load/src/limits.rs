//! Every bound of the generator, by name.

use core::time::Duration;

/// The largest message, in octets of its body.
pub const MESSAGE_BYTES_MAX: u64 = 1 << 30;

/// Participants of all conferences together.
pub const PARTICIPANTS_MAX: u64 = 500_000;

/// Senders of one conference: their number has five digits in a Message-ID, of all conferences.
pub const SENDERS_MAX: u64 = 1 << 20;

/// Participants replaced per second.
pub const CHURN_MAX: f64 = 10_000.0;

/// Connections of participants who have left that may still be closing.
pub const LEAVING_MAX: usize = 4_096;

/// Octets that one sender gives to the system at once.
pub const BATCH_BYTES: usize = 128 * 1024;

/// At `--rate max`: octets a sender may have on their way, frames included, unless one message is
/// longer. Queues stay short, so that no peer is measured by what it does when it drowns.
pub const WINDOW_BYTES: u64 = 1024 * 1024;

/// At `--rate max`: messages a sender may have on their way at most, and at least.
pub const WINDOW_MESSAGES_MAX: u64 = 8_192;
/// See [`WINDOW_MESSAGES_MAX`].
pub const WINDOW_MESSAGES_MIN: u64 = 2;

/// Bodies up to this length are copied into a batch, longer ones referenced.
pub const COPY_BYTES_MAX: usize = 2_048;

/// Gaps in a sender's messages that a recipient remembers; what lies further back counts as lost.
pub const GAPS_MAX: usize = 65_536;

/// Forms of a frame that a recipient recognises without parsing; others are parsed.
pub const FORMS_MAX: usize = 8;

/// Latencies above this are recorded as this.
pub const LATENCY_MAX: Duration = Duration::from_secs(120);

/// How long the last messages may take to arrive after the last progress; then they are lost.
pub const DRAIN_MAX: Duration = Duration::from_secs(5);

/// How long the end of a run may take in all: a system that took less than it was offered has so long to
/// catch up.
pub const DRAIN_ALL_MAX: Duration = Duration::from_secs(15);

/// How long a participant who is to leave waits for what was written before; then that is lost, and it leaves.
pub const DEPARTURE_MAX: Duration = Duration::from_secs(15);

/// How long all sessions together may take to bind after the last progress.
pub const BIND_MAX: Duration = Duration::from_secs(30);

/// How long the system under test may take to register or to say that it is ready.
pub const READY_MAX: Duration = Duration::from_secs(20);

/// How long one answer of the control plane may take.
pub const ANSWER_MAX: Duration = Duration::from_secs(30);

/// H.248 commands in one transaction.
pub const COMMANDS_MAX: u32 = 25;

/// H.248 transactions that wait for their answers at once.
pub const TRANSACTIONS_MAX: usize = 16;

/// Connections from one loopback address: below the number of ephemeral ports.
pub const CONNECTIONS_PER_ADDRESS: u32 = 20_000;

/// Above this share of its time at work the generator is said to have been the limit.
pub const BUSY_SHARE_MAX: f64 = 0.95;

/// The generator polls, so that it takes its whole core; with less of it somebody else did, and latencies are in part
/// those of the generator.
pub const CPU_SHARE_MIN: f64 = 0.9;

/// Runs shorter than this, in seconds, say nothing of [`CPU_SHARE_MIN`].
pub const CPU_SECONDS_MIN: f64 = 0.1;

/// Connections of idle sessions that are made before their answers are read.
pub const IDLE_CONNECTIONS_AT_ONCE: usize = 256;
