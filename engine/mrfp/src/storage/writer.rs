//! The thread that touches files.

use core::sync::atomic::Ordering;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use switch::{Recorded, ShardIndex};
use tokio::sync::mpsc;

use super::limits::RECORDINGS_MAX;
use super::recording::{Fault, Recording};
use super::{Content, Ending, Event, Job, Open, Order, Shared, StoragePath, octets_of};

/// Everything the thread owns.
#[derive(Debug)]
pub(super) struct Writer {
    root: PathBuf,
    recordings: HashMap<u64, Recording>,
    events: mpsc::Sender<Event>,
    shared: Arc<Shared>,
}

impl Writer {
    pub(super) fn new(root: PathBuf, events: mpsc::Sender<Event>, shared: Arc<Shared>) -> Self {
        Self {
            root,
            recordings: HashMap::new(),
            events,
            shared,
        }
    }

    /// Works until nobody can send any more, then ends what is open.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            match job {
                Job::Order(Order::Load { id, path }) => {
                    let content = self.load(&path).map_err(|error| status_of(&error));
                    self.tell(Event::Loaded { id, content });
                }
                Job::Order(Order::Open(open)) => self.open(open),
                Job::Order(Order::Close { record }) => self.close(record),
                Job::Record(shard, recorded) => self.record(shard, *recorded),
            }
        }
        let open: Vec<u64> = self.recordings.keys().copied().collect();
        open.into_iter().for_each(|record| self.close(record));
    }

    /// The gateway reads events as long as it lives.
    fn tell(&self, event: Event) {
        if self.events.blocking_send(event).is_err() {
            tracing::debug!("nobody hears the storage any more");
        }
    }

    fn load(&self, path: &StoragePath) -> io::Result<Content> {
        let place = path.below(&self.root).canonicalize()?;
        if !place.starts_with(&self.root) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let file = File::open(&place)?;
        if !file.metadata()?.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let max = switch::limits::PLAY_BYTES_MAX;
        let mut body = Vec::new();
        file.take(max as u64 + 1).read_to_end(&mut body)?;
        if body.len() > max {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(Content {
            media_type: path.media_type().into(),
            body: body.into(),
        })
    }

    fn open(&mut self, open: Open) {
        let record = open.record;
        let opened = if self.recordings.len() >= RECORDINGS_MAX {
            Err(io::Error::other("too many recordings"))
        } else {
            self.prepare(&open.path)
                .and_then(|place| Recording::open(&place, &open))
        };
        match opened {
            Ok(recording) => {
                tracing::info!(record, path = %open.path, "recording");
                self.recordings.insert(record, recording);
            }
            Err(error) => self.fail(record, &error),
        }
    }

    /// Makes a directory inside the root. Links inside it may not lead out.
    fn prepare(&self, path: &StoragePath) -> io::Result<PathBuf> {
        let place = path.below(&self.root);
        let mut there: &Path = &place;
        while let Err(error) = there.canonicalize() {
            if error.kind() != io::ErrorKind::NotFound {
                return Err(error);
            }
            there = there.parent().ok_or(error)?;
        }
        if !there.canonicalize()?.starts_with(&self.root) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        fs::create_dir_all(&place)?;
        Ok(place)
    }

    fn record(&mut self, shard: ShardIndex, recorded: Recorded) {
        let octets = octets_of(&recorded);
        let id = recorded.record;
        // What comes after the end of a recording belongs to nobody.
        let result = match self.recordings.get_mut(&id) {
            Some(recording) => recording.take(shard, recorded, &self.shared),
            None => Ok(()),
        };
        self.shared.queued.fetch_sub(octets, Ordering::Relaxed);
        match result {
            Ok(()) => {}
            Err(Fault::Full) => {
                tracing::info!(
                    record = id,
                    "recording ends: it is as long as it may become"
                );
                self.close(id);
                self.tell(Event::Ended {
                    record: id,
                    why: Ending::Full,
                });
            }
            Err(Fault::NoRoom) => {
                self.shared.lost.fetch_add(1, Ordering::Relaxed);
                self.tell(Event::Lost { record: id });
            }
            Err(Fault::Io(error)) => {
                self.recordings.remove(&id);
                self.fail(id, &error);
            }
        }
    }

    fn close(&mut self, record: u64) {
        if let Some(mut recording) = self.recordings.remove(&record) {
            match recording.close(&self.shared) {
                Ok(()) => tracing::info!(record, "recording ended"),
                Err(error) => tracing::warn!(record, %error, "the end of a recording failed"),
            }
        }
    }

    fn fail(&self, record: u64, error: &io::Error) {
        tracing::warn!(record, %error, "recording failed");
        self.shared.failed.fetch_add(1, Ordering::Relaxed);
        self.tell(Event::Ended {
            record,
            why: Ending::Failed(error.to_string()),
        });
    }
}

fn status_of(error: &io::Error) -> u16 {
    if error.kind() == io::ErrorKind::NotFound || error.kind() == io::ErrorKind::NotADirectory {
        404
    } else if error.kind() == io::ErrorKind::FileTooLarge {
        413
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        403
    } else {
        tracing::warn!(%error, "a message could not be read");
        500
    }
}
