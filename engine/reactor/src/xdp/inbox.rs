//! What shards of one interface tell each other about connections that moved.

use core::sync::atomic::{AtomicBool, Ordering};
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;

use ::xdp::frame::Flow;
use ::xdp::limits::INBOX_MAX;
use ::xdp::stack::Detached;
use crossbeam::queue::{ArrayQueue, SegQueue};

/// From one shard to another.
#[derive(Debug)]
pub(super) enum Note {
    /// A frame that arrived at the sender's queue.
    Frame(Box<[u8]>),
    /// A frame that shard `from` received and does not know; asks whose it is.
    Astray {
        /// The frame.
        frame: Box<[u8]>,
        /// Where it arrived.
        from: u8,
    },
    /// A connection whose frames arrive at the receiver's queue is the shard's.
    Claimed {
        /// Which.
        flow: Flow,
        /// Whose it is.
        by: u8,
    },
    /// A shard has begun in the place of another, without its connections.
    Anew {
        /// Which.
        shard: u8,
    },
    /// A connection has ended.
    Ended {
        /// Which.
        flow: Flow,
    },
    /// A connection that the receiver accepted, and that nobody wants.
    Unwanted(Box<Detached>),
}

/// Where a shard's notes arrive.
#[derive(Debug)]
pub(super) struct Inbox {
    /// Frames; what does not fit is lost like on a wire.
    frames: ArrayQueue<Note>,
    /// The rest, which must arrive: a few for each connection that exists.
    notes: SegQueue<Note>,
    is_woken: AtomicBool,
    waker: Option<File>,
}

impl Inbox {
    pub(super) fn new(waker: Option<OwnedFd>) -> Self {
        Self {
            frames: ArrayQueue::new(INBOX_MAX),
            notes: SegQueue::new(),
            is_woken: AtomicBool::new(false),
            waker: waker.map(File::from),
        }
    }

    pub(super) fn push(&self, note: Note) {
        match note {
            Note::Frame(_) | Note::Astray { .. } => {
                if self.frames.push(note).is_err() {
                    return;
                }
            }
            Note::Claimed { .. } | Note::Ended { .. } | Note::Anew { .. } | Note::Unwanted(_) => {
                self.notes.push(note);
            }
        }
        if !self.is_woken.swap(true, Ordering::SeqCst)
            && let Some(mut waker) = self.waker.as_ref()
            && let Err(error) = waker.write(&1u64.to_ne_bytes())
        {
            tracing::error!(%error, "cannot wake a shard");
        }
    }

    /// What is there, as far as it was there when asked.
    pub(super) fn drain(&self) -> impl Iterator<Item = Note> {
        if self.is_woken.load(Ordering::Relaxed) {
            self.is_woken.store(false, Ordering::SeqCst);
        }
        let (notes, frames) = (self.notes.len(), self.frames.len());
        let notes = (0..notes).map_while(|_| self.notes.pop());
        notes.chain((0..frames).map_while(|_| self.frames.pop()))
    }
}
