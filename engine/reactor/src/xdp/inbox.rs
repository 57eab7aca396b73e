//! What shards of one interface tell each other about connections that moved.

use core::sync::atomic::{AtomicBool, Ordering, fence};
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
    Frame {
        /// The frame.
        frame: Box<[u8]>,
        /// It acknowledges, and nothing else: who is patient is not woken for it.
        is_bare: bool,
    },
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
    /// The owner looks by itself before long, and wants to sleep until then.
    is_patient: AtomicBool,
    waker: Option<File>,
}

impl Inbox {
    pub(super) fn new(waker: Option<OwnedFd>) -> Self {
        Self {
            frames: ArrayQueue::new(INBOX_MAX),
            notes: SegQueue::new(),
            is_woken: AtomicBool::new(false),
            is_patient: AtomicBool::new(false),
            waker: waker.map(File::from),
        }
    }

    pub(super) fn push(&self, note: Note) {
        let may_wait = matches!(note, Note::Frame { is_bare: true, .. });
        match note {
            Note::Frame { .. } | Note::Astray { .. } => {
                if self.frames.push(note).is_err() {
                    return;
                }
            }
            Note::Claimed { .. } | Note::Ended { .. } | Note::Anew { .. } | Note::Unwanted(_) => {
                self.notes.push(note);
            }
        }
        // Either this sees that the owner is not patient, or the owner sees the frame: see `set_patient`.
        fence(Ordering::SeqCst);
        if may_wait && self.is_patient.load(Ordering::Relaxed) {
            return;
        }
        if !self.is_woken.swap(true, Ordering::SeqCst)
            && let Some(mut waker) = self.waker.as_ref()
            && let Err(error) = waker.write(&1u64.to_ne_bytes())
        {
            tracing::error!(%error, "cannot wake a shard");
        }
    }

    /// Says whether the owner, about to sleep, is to be left asleep for bare acknowledgements; whether frames are
    /// there that nobody woke it for.
    pub(super) fn set_patient(&self, is_patient: bool) -> bool {
        self.is_patient.store(is_patient, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        !self.frames.is_empty()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(is_bare: bool) -> Note {
        let frame = Box::new([]);
        Note::Frame { frame, is_bare }
    }

    #[test]
    fn the_patient_are_woken_for_octets_only_and_the_others_see_what_is_there() {
        let inbox = Inbox::new(None);
        let is_woken = |inbox: &Inbox| inbox.is_woken.load(Ordering::SeqCst);
        assert!(!inbox.set_patient(true));
        inbox.push(frame(true));
        assert!(!is_woken(&inbox));
        assert!(inbox.set_patient(false), "it waits there");
        assert_eq!(inbox.drain().count(), 1);
        inbox.push(frame(true));
        assert!(is_woken(&inbox));
        assert_eq!(inbox.drain().count(), 1);
        assert!(!inbox.set_patient(true));
        inbox.push(frame(false));
        assert!(is_woken(&inbox));
    }
}
