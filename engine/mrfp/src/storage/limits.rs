//! Bounds of the storage, each with the outcome when it is passed.

use clock::Duration;

/// Jobs that wait for the writer; beyond it pieces are lost to their recording, and loading and
/// opening fail.
pub const JOBS_MAX: usize = 8192;

/// Octets of messages that wait for the writer (a slow disk); beyond it pieces are lost to their
/// recording.
pub const QUEUE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Recordings at once; beyond it opening fails.
pub const RECORDINGS_MAX: usize = 4096;

/// Messages that one recording writes at once; further ones are lost to it.
pub const MESSAGES_OPEN_MAX: usize = 32;

/// Messages of one recording; beyond it the recording ends.
pub const MESSAGES_MAX: u64 = 1_000_000;

/// Octets of one recording, unless its signal says less; beyond it the recording ends.
pub const RECORD_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// How long one recording may take, unless its signal says less; after that it ends.
pub const RECORD_TIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);
