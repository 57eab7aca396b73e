//! The storage: a directory with messages to play and messages recorded.
//!
//! ```text
//! gateway ── Load, Open, Close ──┐
//! shards ── pieces (never wait) ─┴► bounded queue ──► one thread ──► files
//!                                                        └── Event ──► gateway
//! ```
//!
//! A recording is a directory: `000001.txt` and so on hold the messages, octet for octet, and
//! `index.jsonl` one line of JSON for each that has ended. What finds no room in the queue, because
//! the disk is slow, is lost to the recording and to nobody else: its message is marked as not
//! complete, the gateway is told, and a counter grows. A disk that fails, a full one for instance,
//! ends the recording.

pub mod limits;
mod path;
mod recording;
#[cfg(test)]
mod tests;
mod writer;

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use switch::{Recorded, RecordedPart, ShardIndex};
use tokio::sync::mpsc;

pub use self::path::{PathError, StoragePath};
pub(crate) use self::path::{unescape, unescape_octets};

use self::limits::{JOBS_MAX, QUEUE_BYTES_MAX};
use self::writer::Writer;

/// Events that wait for the gateway; those of the writer wait for room, those of shards are dropped
/// (the loss itself is counted).
const EVENTS_MAX: usize = 4096;

/// What the gateway asks of the storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Read a message; answered by [`Event::Loaded`].
    Load {
        /// Repeated in the answer.
        id: u64,
        /// Which.
        path: StoragePath,
    },
    /// Make ready for a recording; answered only when that fails.
    Open(Open),
    /// The recording is over.
    Close {
        /// Which.
        record: u64,
    },
}

/// A recording to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// Names it in what the shards send.
    pub record: u64,
    /// Its directory.
    pub path: StoragePath,
    /// Whether there may be messages in it already.
    pub appends: bool,
    /// It ends before it is longer than so many octets.
    pub octets_max: u64,
}

/// A message to be played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Its Content-Type.
    pub media_type: Box<str>,
    /// All of it.
    pub body: Arc<[u8]>,
}

/// What the storage says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message is read, or (with the status that says why) could not be.
    Loaded {
        /// As in [`Order::Load`].
        id: u64,
        /// It, or 404 when it is not there, 413 when it is too long, 403 when it may not be read,
        /// 500 when the storage fails or has too much to do.
        content: Result<Content, u16>,
    },
    /// A recording has ended on its own account.
    Ended {
        /// Which.
        record: u64,
        /// Why.
        why: Ending,
    },
    /// A part of a recording was lost: the queue was full, or too many messages came at once.
    Lost {
        /// Which.
        record: u64,
    },
}

/// Why a recording ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It is as long as it may become.
    Full,
    /// The storage failed it.
    Failed(String),
}

/// A job of the writer.
#[derive(Debug)]
enum Job {
    Order(Order),
    Record(ShardIndex, Box<Recorded>),
}

/// The way to the writer; clones go to the shards.
#[derive(Clone, Debug)]
pub(crate) struct Storage {
    jobs: SyncSender<Job>,
    events: mpsc::Sender<Event>,
    shared: Arc<Shared>,
}

/// What writer and shards both touch.
#[derive(Debug, Default)]
struct Shared {
    /// Octets in the queue.
    queued: AtomicUsize,
    /// Pieces that found no room.
    lost: AtomicU64,
    /// Messages written, complete or not.
    messages: AtomicU64,
    /// Octets written.
    octets: AtomicU64,
    /// Recordings that failed.
    failed: AtomicU64,
}

/// What the storage has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StorageMetrics {
    /// Messages recorded, complete or not.
    pub messages: u64,
    /// Octets recorded.
    pub octets: u64,
    /// Parts of messages that were lost because the queue was full.
    pub lost: u64,
    /// Recordings that ended because the storage failed.
    pub failed: u64,
}

impl Storage {
    /// Makes `root` if it is not there and starts the writer, which ends when the last clone of the
    /// handle is gone.
    pub(crate) fn start(
        root: PathBuf,
    ) -> io::Result<(Self, mpsc::Receiver<Event>, JoinHandle<()>)> {
        std::fs::create_dir_all(&root)?;
        let root = root.canonicalize()?;
        let (jobs, waiting) = sync_channel(JOBS_MAX);
        let (events, inbox) = mpsc::channel(EVENTS_MAX);
        let shared = Arc::new(Shared::default());
        let writer = Writer::new(root, events.clone(), Arc::clone(&shared));
        let thread = std::thread::Builder::new()
            .name("storage".to_owned())
            .spawn(move || writer.run(&waiting))?;
        let storage = Self {
            jobs,
            events,
            shared,
        };
        Ok((storage, inbox, thread))
    }

    /// Queues an order; when there is no room for it, it fails at once.
    pub(crate) fn order(&self, order: Order) {
        let failed = match &order {
            Order::Load { id, .. } => Some(Event::Loaded {
                id: *id,
                content: Err(500),
            }),
            Order::Open(Open { record, .. }) => Some(Event::Ended {
                record: *record,
                why: Ending::Failed("too much to write".to_owned()),
            }),
            Order::Close { .. } => None,
        };
        if self.jobs.try_send(Job::Order(order)).is_err()
            && let Some(failed) = failed
        {
            self.tell(failed);
        }
    }

    /// Queues a part of a recorded message. Runs on the shards: never waits.
    pub(crate) fn record(&self, shard: ShardIndex, recorded: Box<Recorded>) {
        let record = recorded.record;
        let octets = octets_of(&recorded);
        let queued = self.shared.queued.fetch_add(octets, Ordering::Relaxed);
        let has_room = queued + octets <= QUEUE_BYTES_MAX;
        if has_room && self.jobs.try_send(Job::Record(shard, recorded)).is_ok() {
            return;
        }
        self.shared.queued.fetch_sub(octets, Ordering::Relaxed);
        self.shared.lost.fetch_add(1, Ordering::Relaxed);
        self.tell(Event::Lost { record });
    }

    fn tell(&self, event: Event) {
        if self.events.try_send(event).is_err() {
            tracing::debug!("an event of the storage found no room");
        }
    }

    /// The counters now.
    pub(crate) fn metrics(&self) -> StorageMetrics {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StorageMetrics {
            messages: read(&self.shared.messages),
            octets: read(&self.shared.octets),
            lost: read(&self.shared.lost),
            failed: read(&self.shared.failed),
        }
    }
}

fn octets_of(recorded: &Recorded) -> usize {
    match &recorded.part {
        RecordedPart::Piece { octets, .. } => octets.len(),
        RecordedPart::Begin { .. } | RecordedPart::End { .. } => 0,
    }
}
