//! One TCP connection: what arrives, what waits to leave, who waits for whom.

use core::net::SocketAddr;
use std::rc::Rc;

use clock::{Instant, TimerKey};
use msrp::{Deframer, FailureReport, StatusCode};

use crate::api::ConnId;
use crate::batch::Batch;
use crate::branch::Branch;
use crate::ident::Tid;
use crate::message::MessageRef;
use crate::pressure::Source;
use crate::security::Via;
use crate::session::SessionRef;
use crate::supply::{Due, LetterRef, Supply};
use crate::trunk::Trunk;

/// A connection's state. Of an idle one nothing is on the heap but the list of its sessions.
#[derive(Debug)]
pub(crate) struct Connection<B> {
    pub id: ConnId,
    pub peer: SocketAddr,
    pub via: Via,
    /// Requests and responses that ended in the transport's current message; `None` while that is not
    /// known because the connection came from another shard within one.
    pub message_frames: Option<u8>,
    /// While a frame is under way.
    pub deframer: Option<Box<Deframer>>,
    /// Raw octets until the first request is read: another shard may have to read them again.
    pub prelude: Option<Vec<u8>>,
    /// The frame being received, between its head and its end-line.
    pub frame: Option<Box<Frame>>,
    /// Sessions bound to this connection.
    pub sessions: Vec<SessionRef>,
    /// Faulty requests so far.
    pub strikes: u16,
    /// Requests for sessions that do not exist, less those for sessions of its own.
    pub strays: u16,
    /// Nothing more is read or queued.
    pub is_closing: bool,
    /// Whether it stands in the shard's list of dirty ones.
    pub is_dirty: bool,
    /// Whether a batch is with the system.
    pub is_sending: bool,
    /// Runs until a session is bound, and again while what is queued leaves before the close.
    pub probation: Option<TimerKey>,
    pub sharing: Sharing<B>,
    pub tx: Transmit<B>,
    pub brake: Brake,
}

/// How far a connection reaches.
#[derive(Debug)]
pub(crate) enum Sharing<B> {
    /// It carries sessions of this shard alone; nearly every one.
    Sole,
    /// It carries sessions of other shards, too, or did.
    Trunk(Box<Trunk<B>>),
    /// Another shard has it.
    Branch(Box<Branch<B>>),
}

/// The sending half.
#[derive(Debug)]
pub(crate) struct Transmit<B> {
    /// What waits to be handed to the system; absent when nothing does.
    queue: Option<Box<Queue<B>>>,
    /// Octets of the batch that is with the system, less what it is known to have taken.
    pub in_flight: usize,
    /// The chunk whose end-line has not been written yet.
    pub open: Option<OpenChunk>,
    /// As much of what is queued as stands in the shard's total, octets.
    pub counted: usize,
}

/// What waits to be handed to the system while the batch in flight, if any, is with it.
#[derive(Debug)]
pub(crate) struct Queue<B> {
    batch: Option<Batch<B>>,
    /// Copies to be written behind the batch.
    due: Vec<Due>,
    /// Their length, octets.
    due_bytes: usize,
}

impl<B> Default for Queue<B> {
    fn default() -> Self {
        Self {
            batch: None,
            due: Vec::new(),
            due_bytes: 0,
        }
    }
}

/// A forwarded chunk in the middle of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenChunk {
    /// Slot of the message.
    pub slot: u32,
    /// Whose delivery.
    pub ordinal: u16,
    pub tid: Tid,
    /// Octets of its body so far.
    pub octets: u64,
}

/// What is known of how a recipient reads; see `pressure`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Its queue is short.
    #[default]
    Free,
    /// Its queue is long, and the system took nothing since.
    Unknown,
    /// Its queue is long, and the system takes octets.
    Slow,
    /// The system took next to nothing for too long.
    Stalled,
}

/// Back pressure: whose reading waits for this connection, and what this one waits for.
#[derive(Debug, Default)]
pub(crate) struct Brake {
    /// How many recipients this connection's reading waits for, the shard's bound included.
    pub waits_for: u32,
    /// Whether the shard's bound is among them.
    pub waits_for_room: bool,
    /// Whether the driver was told to stop reading.
    pub is_paused: bool,
    /// Whose reading waits for this one.
    pub holds: Vec<Source>,
    pub pace: Pace,
    /// Its senders are held while its queue is longer, octets.
    pub mark: usize,
    /// Until then it is known to read slowly: no need to find that out again.
    pub slow_until: Instant,
    /// Octets that the system took since `progress_at`.
    pub taken: usize,
    /// Checks for progress while the pace is unknown or slow.
    pub timer: Option<TimerKey>,
    /// When the system last took octets worth mentioning.
    pub progress_at: Instant,
    /// Since when the queue has been longer than the congestion mark, as far as anybody looked.
    pub congested_since: Option<Instant>,
}

/// A request being received.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    /// Its transaction id, for the response.
    pub tid: Vec<u8>,
    /// Its complete From-Path, for responses and reports.
    pub from_path: Vec<u8>,
    /// Its To-Path: answers about sessions that do not exist come from there.
    pub to_path: Vec<u8>,
    /// Its Message-ID.
    pub message_id: Vec<u8>,
    /// Whether the head broke the grammar: its To-Path may be no path at all.
    pub is_faulty: bool,
    /// The response due at its end; `None` = silence.
    pub answer: Option<StatusCode>,
    pub failure_report: FailureReport,
    /// Whether the response goes to the whole From-Path (all methods but SEND, RFC 4975 7.2).
    pub answers_whole_path: bool,
    /// Another shard decides: the response is written when it has.
    pub is_deferred: bool,
    /// The session it is for.
    pub session: Option<SessionRef>,
    /// The chunk to forward, while it is being forwarded.
    pub chunk: Option<Chunk>,
    /// Set when the chunk belongs to a message that was forwarded before.
    pub repeats: Option<Repeat>,
    /// Octets of the chunk kept back until more comes.
    pub held: Vec<u8>,
    /// The open message that a request without body names: the flag `#` ends it.
    pub bodiless: Option<MessageRef>,
}

/// A chunk of a message that came again: acknowledged, not forwarded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Repeat {
    /// Length of the message when it was forwarded, octets.
    pub octets: u64,
    /// The sender asks for a success REPORT and everybody is known to have the message.
    pub reports_success: bool,
}

/// The chunk of a message while it is cut through.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// Slot of its message, with the generation it had.
    pub slot: u32,
    pub generation: u32,
    /// Position in the message of the next octet to forward.
    pub offset: u64,
    /// From the Byte-Range header; `None` = `*`.
    pub total: Option<u64>,
    /// The random part of this chunk's transaction ids.
    pub random: u64,
    /// Octets in the outgoing chunk that is open.
    pub copied: u64,
    /// Whether copies of it are open.
    pub is_streaming: bool,
    /// The last octets forwarded, to notice an end-line of ours across two pieces.
    pub trail: Trail,
}

/// A sliding window over forwarded octets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trail {
    octets: [u8; TRAIL_OCTETS],
    len: u8,
}

/// Hyphens and shared part of an end-line, less one octet.
pub(crate) const TRAIL_OCTETS: usize = 17;

impl Trail {
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }

    /// Slides over `piece`.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        let keep = TRAIL_OCTETS
            .saturating_sub(piece.len())
            .min(usize::from(self.len));
        let drop = usize::from(self.len) - keep;
        self.octets.copy_within(drop..drop + keep, 0);
        let tail = &piece[piece.len().saturating_sub(TRAIL_OCTETS)..];
        self.octets[keep..keep + tail.len()].copy_from_slice(tail);
        self.len = u8::try_from(keep + tail.len()).expect("at most TRAIL_OCTETS");
    }
}

impl<B> Connection<B> {
    pub(crate) fn new(id: ConnId, peer: SocketAddr, now: Instant) -> Self {
        Self {
            id,
            peer,
            via: Via::default(),
            message_frames: Some(0),
            deframer: None,
            prelude: None,
            frame: None,
            sessions: Vec::new(),
            strikes: 0,
            strays: 0,
            is_closing: false,
            is_dirty: false,
            is_sending: false,
            probation: None,
            sharing: Sharing::Sole,
            tx: Transmit {
                queue: None,
                in_flight: 0,
                open: None,
                counted: 0,
            },
            brake: Brake {
                progress_at: now,
                ..Brake::default()
            },
        }
    }
}

impl<B> Connection<B> {
    #[inline]
    pub(crate) fn is_trunk(&self) -> bool {
        matches!(self.sharing, Sharing::Trunk(_))
    }

    /// Whether anything waits to be handed to the system.
    pub(crate) fn has_more(&self) -> bool {
        let is_waiting = match &self.sharing {
            Sharing::Trunk(trunk) => trunk.has_backlog(),
            Sharing::Sole | Sharing::Branch(_) => false,
        };
        is_waiting || self.tx.has_more()
    }
}

impl<B: Clone + AsRef<[u8]>> Connection<B> {
    /// Gives up what waits, and what has not left for a connection of another shard.
    pub(crate) fn discard(&mut self) -> Option<Batch<B>> {
        self.tx.discard();
        self.tx.open = None;
        match &mut self.sharing {
            Sharing::Sole => None,
            Sharing::Trunk(trunk) => {
                trunk.discard();
                None
            }
            Sharing::Branch(branch) => branch.discard(),
        }
    }
}

impl<B> Transmit<B> {
    /// Whether anything waits to be handed to the system.
    pub(crate) fn has_more(&self) -> bool {
        self.queue.is_some()
    }
}

impl<B: Clone + AsRef<[u8]>> Queue<B> {
    #[inline]
    fn octets(&self) -> usize {
        self.batch.as_ref().map_or(0, Batch::octet_count) + self.due_bytes
    }

    /// Writes what is due.
    fn write_due(&mut self, supply: &mut Supply<B>) {
        if self.due.is_empty() {
            return;
        }
        match &mut self.batch {
            Some(batch) => supply.append(&self.due, batch),
            None => self.batch = Some(supply.print(&self.due)),
        }
        self.due.clear();
        self.due_bytes = 0;
    }
}

impl<B: Clone + AsRef<[u8]>> Transmit<B> {
    /// Octets not yet handed to the system.
    #[inline]
    pub(crate) fn queued(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.octets()) + self.in_flight
    }

    /// Whether any of that is still to be written.
    pub(crate) fn has_due(&self) -> bool {
        self.queue.as_ref().is_some_and(|q| !q.due.is_empty())
    }

    /// The first copy that is still to be written.
    pub(crate) fn first_due(&self) -> Option<&Due> {
        self.queue.as_ref()?.due.first()
    }

    /// Gives up what waits.
    pub(crate) fn discard(&mut self) {
        self.queue = None;
    }

    #[inline]
    fn queue(&mut self, supply: &mut Supply<B>) -> &mut Queue<B> {
        self.queue.get_or_insert_with(|| supply.take_queue())
    }

    /// Lines a copy of so many octets up.
    #[inline]
    pub(crate) fn push(&mut self, supply: &mut Supply<B>, due: Due, bytes: usize) {
        let queue = self.queue(supply);
        queue.due_bytes += bytes;
        queue.due.push(due);
    }

    /// Lines copies of letters up that follow each other: `first`, how many, and their length without
    /// openings.
    #[inline]
    pub(crate) fn push_run(
        &mut self,
        supply: &mut Supply<B>,
        (first, count, bytes): (LetterRef, usize, usize),
        ordinal: u16,
        opening: &Rc<[u8]>,
    ) {
        let queue = self.queue(supply);
        queue.due_bytes += bytes + count * opening.len();
        let due = |letter| Due {
            letter,
            ordinal,
            chunk: 1,
            opening: Rc::clone(opening),
        };
        queue.due.extend(first.and_next(count).map(due));
    }

    /// Writes what is due.
    pub(crate) fn write_due(&mut self, supply: &mut Supply<B>) {
        if let Some(queue) = &mut self.queue {
            queue.write_due(supply);
        }
    }

    /// Takes what waits, all of it written.
    pub(crate) fn take(&mut self, supply: &mut Supply<B>) -> Option<Batch<B>> {
        let mut queue = self.queue.take()?;
        queue.write_due(supply);
        let batch = queue.batch.take();
        supply.keep_queue(queue);
        batch
    }

    /// The batch to fill, with all that was due; taken from `supply` when there is none yet.
    pub(crate) fn batch(&mut self, supply: &mut Supply<B>) -> &mut Batch<B> {
        let queue = self.queue.get_or_insert_with(|| supply.take_queue());
        queue.write_due(supply);
        queue.batch.get_or_insert_with(|| supply.take_batch())
    }

    /// Ends the open chunk with the flag `+`, so that something else can be written.
    pub(crate) fn interrupt(&mut self, supply: &mut Supply<B>) {
        if let Some(open) = self.open.take() {
            self.end_chunk(supply, &open.tid, msrp::Flag::More);
        }
    }

    /// Writes the end of a chunk's body and its end-line.
    pub(crate) fn end_chunk(&mut self, supply: &mut Supply<B>, tid: &Tid, flag: msrp::Flag) {
        self.append(supply, |out| {
            msrp::write::body_end_line(out, tid.as_bytes(), flag)
        });
        self.batch(supply).end_message();
    }

    /// Appends copied octets.
    pub(crate) fn append(&mut self, supply: &mut Supply<B>, write: impl FnOnce(&mut Vec<u8>)) {
        self.batch(supply).write(write);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trail_holds_the_last_octets_whatever_the_pieces() {
        let text: Vec<u8> = (0..100).collect();
        for size in 1..40 {
            let mut trail = Trail::default();
            let mut seen = 0;
            for piece in text.chunks(size) {
                trail.push(piece);
                seen += piece.len();
                assert_eq!(
                    trail.as_slice(),
                    &text[seen.saturating_sub(TRAIL_OCTETS)..seen]
                );
            }
        }
    }
}
