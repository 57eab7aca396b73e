//! Fan-out: a chunk goes on to every other session of the context as it arrives.
//!
//! ```text
//! piece of a body  = [octet kept back before] + [octets now, all but the last]
//! per recipient    another chunk is open on its connection: end that one with `+`
//!                  ours is not open: write a head that starts at the piece's offset
//!                  write the piece; at the end of the chunk write the end-line
//! ```
//!
//! The last octet of a piece is kept back until more comes: whatever interrupts the chunk
//! meanwhile, there is an octet left to carry the final flag (a chunk without octets cannot be
//! written, RFC 4975 7.1.1). One set of header fields and one transaction-id stem serve all
//! recipients.

use core::ops::Range;

use clock::Instant;
use memchr::memmem;
use msrp::{ByteRange, FailureReport, Flag, Head, StatusCode};

use crate::api::{ConnId, Octets};
use crate::connection::{Chunk, Frame, OpenChunk, TRAIL_OCTETS, Trail};
use crate::filter::Begin;
use crate::ident::{CHUNK_MASK, ORDINAL_MAX, Stem, Tid, shared_part};
use crate::limits::{COPY_BYTES_MAX, FIXED_CHUNK_BYTES_MAX};
use crate::message::{Delivery, DeliveryState};
use crate::session::{Session, SessionRef};
use crate::shard::Shard;

/// Body octets as they came.
pub(crate) enum Piece<'a, B> {
    /// A range of a received buffer, which recipients may share.
    Shared(&'a B, Range<usize>),
    /// Octets that live elsewhere; copied.
    Copied(&'a [u8]),
    /// None.
    Empty,
}

impl<B: AsRef<[u8]>> Piece<'_, B> {
    pub(crate) fn octets(&self) -> &[u8] {
        match self {
            Self::Shared(octets, range) => &octets.as_ref()[range.clone()],
            Self::Copied(octets) => octets,
            Self::Empty => &[],
        }
    }

    /// Keeps the last octet back.
    fn split_last(self) -> (Self, Option<u8>) {
        let last = self.octets().last().copied();
        let rest = match self {
            Self::Shared(octets, range) => Self::Shared(
                octets,
                range.start..range.end.saturating_sub(1).max(range.start),
            ),
            Self::Copied(octets) => Self::Copied(&octets[..octets.len().saturating_sub(1)]),
            Self::Empty => Self::Empty,
        };
        (rest, last)
    }
}

/// What goes to every recipient now.
struct Cut<'a, B> {
    slot: u32,
    /// What follows the paths of a new copy: fields, blank line, and the body when it is
    /// [`Cut::is_small`]. Made once for all recipients.
    rest: &'a [u8],
    random: u64,
    range: ByteRange,
    lead: Option<u8>,
    piece: Piece<'a, B>,
    octets: u64,
    flag: Option<Flag>,
}

impl<B: Octets> Shard<B> {
    /// Puts every session into `deliveries` that is to get a message from `sender`.
    pub(crate) fn list_recipients(&self, sender: SessionRef, deliveries: &mut Vec<Delivery>) {
        let from = &self.sessions[sender.index as usize];
        let Some(context) = self.contexts.get(&from.context) else {
            return;
        };
        let recipients = context.sessions.iter().filter(|&&to| {
            let entry = &self.sessions[to.index as usize];
            to != sender
                && entry.key.stream == from.key.stream
                && entry.recipient_conn().is_some()
                && context.is_open(sender, to)
        });
        deliveries.extend(recipients.take(ORDINAL_MAX).map(|&session| Delivery {
            session,
            chunk: 0,
            unanswered: 0,
            reported: None,
            state: DeliveryState::Going,
        }));
    }

    /// Forwards a piece of the chunk in `frame`; `flag` when the chunk ends with it.
    pub(crate) fn forward(
        &mut self,
        now: Instant,
        from: ConnId,
        frame: &mut Frame,
        piece: Piece<'_, B>,
        flag: Option<Flag>,
    ) {
        let (Some(chunk), Some(session)) = (&frame.chunk, frame.session) else {
            return;
        };
        let message = self.messages.get(chunk.slot as usize);
        if message.is_none_or(|m| m.generation != chunk.generation) {
            return self.refuse_rest(frame);
        }
        if message.is_some_and(|m| !m.is_begun) {
            match self.begin_message(session, frame, &piece, flag) {
                Ok(Begin::Held) => return,
                Ok(Begin::Now) => {}
                Err(status) => return self.refuse_midway(frame, status),
            }
            if !frame.beginning.is_empty() {
                let mut held = core::mem::take(&mut frame.beginning);
                self.forward(now, from, frame, Piece::Copied(&held), flag);
                held.clear();
                frame.beginning = held;
                return;
            }
        }
        let Some(chunk) = &mut frame.chunk else {
            return;
        };
        let received = piece.octets().len() as u64;
        let limit_bytes = self.message_bytes_max(session);
        let held = u64::from(chunk.held.is_some());
        if chunk.offset.saturating_add(held + received) > limit_bytes {
            return self.refuse_midway(frame, StatusCode::STOP_SENDING);
        }
        let is_whole = !chunk.is_streaming && chunk.held.is_none() && flag.is_some();
        let lead = chunk.held.take();
        let piece = match flag {
            Some(_) => piece,
            None => {
                let (rest, last) = piece.split_last();
                chunk.held = last;
                rest
            }
        };
        let octets = u64::from(lead.is_some()) + piece.octets().len() as u64;
        if let Err(status) = self.note_received(
            now,
            session,
            chunk,
            octets,
            is_whole && flag == Some(Flag::Complete),
        ) {
            return self.refuse_midway(frame, status);
        }
        if octets == 0 && !is_whole {
            return;
        }
        let parts = [lead.as_slice(), piece.octets()];
        self.record_piece(chunk.slot, chunk.offset, parts);
        self.avoid_end_line(chunk, lead, piece.octets());
        let range = range_of(chunk, octets, is_whole, flag);
        chunk.trail.push(lead.as_slice());
        chunk.trail.push(piece.octets());
        let mut rest = core::mem::take(&mut self.rest);
        let mut cut = Cut {
            slot: chunk.slot,
            rest: &[],
            random: chunk.random,
            range,
            lead,
            piece,
            octets,
            flag,
        };
        cut.write_rest(&mut rest, &frame.fields, frame.id_end);
        cut.rest = &rest;
        self.fan_out(from, cut);
        self.rest = rest;
        chunk.offset += octets;
        chunk.is_streaming = flag.is_none();
        self.report_failures(chunk.slot);
    }

    /// Keeps the sender's counters and, for messages in several pieces, the ranges received.
    fn note_received(
        &mut self,
        now: Instant,
        session: SessionRef,
        chunk: &Chunk,
        octets: u64,
        is_all: bool,
    ) -> Result<(), StatusCode> {
        if let Some(entry) = self.sessions.get_mut(session.index as usize) {
            entry.statistics.volume_received += octets;
        }
        let message = &mut self.messages[chunk.slot as usize];
        message.touched_at = now;
        // The usual message is one chunk in one piece: nothing to reassemble.
        if is_all && chunk.offset == 0 && message.ranges.is_none() {
            message.octets = octets;
            return Ok(());
        }
        message.add_range(chunk.offset, octets)
    }

    /// Refuses the rest of a chunk whose message was given up meanwhile, maybe with its session.
    fn refuse_rest(&self, frame: &mut Frame) {
        frame.chunk = None;
        if frame.failure_report != FailureReport::No {
            let is_there = frame.session.and_then(|s| self.session_at(s)).is_some();
            frame.answer = Some(if is_there {
                StatusCode::STOP_SENDING
            } else {
                StatusCode::NO_SUCH_SESSION
            });
        }
    }

    /// Refuses the rest of a chunk whose beginning was forwarded.
    fn refuse_midway(&mut self, frame: &mut Frame, status: StatusCode) {
        let Some(chunk) = frame.chunk.take() else {
            return;
        };
        if frame.failure_report != FailureReport::No {
            frame.answer = Some(status);
        }
        self.abort_message(chunk.slot);
    }

    /// Makes sure that no recipient can take octets of the body for the end-line of its copy
    /// (RFC 4975 7.1): a sender that learned our transaction id from a recipient could send it.
    fn avoid_end_line(&mut self, chunk: &mut Chunk, lead: Option<u8>, piece: &[u8]) {
        while contains_end_line(chunk, lead, piece) {
            if chunk.is_streaming {
                self.interrupt_copies(chunk.slot);
                chunk.is_streaming = false;
            }
            chunk.trail = Trail::default();
            chunk.random = self.random();
        }
    }

    /// Ends all open copies of a message's chunk with `+`; they go on under another id.
    fn interrupt_copies(&mut self, slot: u32) {
        let Self {
            messages,
            sessions,
            conns,
            batch_pool,
            ..
        } = self;
        for (ordinal, delivery) in messages[slot as usize].deliveries.iter().enumerate() {
            let conn = sessions
                .get(delivery.session.index as usize)
                .and_then(Session::conn);
            let connection = conn.and_then(|c| conns.get_mut(c.index as usize)?.as_deref_mut());
            if let Some(connection) = connection
                && connection.tx.open.is_some_and(|o| o.is(slot, ordinal))
            {
                connection.tx.interrupt(batch_pool);
            }
        }
    }

    fn fan_out(&mut self, from: ConnId, cut: Cut<'_, B>) {
        let Self {
            messages,
            sessions,
            conns,
            batch_pool,
            dirty,
            overflowed,
            pressed,
            ..
        } = self;
        let limits = &self.config.limits;
        let message = &mut messages[cut.slot as usize];
        let wants_answers = message.failure_report == FailureReport::Yes;
        let stem = Stem::new(cut.random, cut.slot, message.serial_generation());
        let mut has_failed = false;
        for (ordinal, delivery) in message.deliveries.iter_mut().enumerate() {
            if delivery.state != DeliveryState::Going {
                continue;
            }
            let session = sessions
                .get_mut(delivery.session.index as usize)
                .filter(|s| s.generation == delivery.session.generation);
            let Some(session) = session else {
                delivery.state = DeliveryState::Left;
                continue;
            };
            let connection = session
                .conn()
                .and_then(|c| {
                    conns
                        .get_mut(c.index as usize)?
                        .as_deref_mut()
                        .filter(|x| x.id == c)
                })
                .filter(|c| !c.is_closing);
            let Some(connection) = connection else {
                delivery.state = DeliveryState::Failed;
                has_failed = true;
                continue;
            };
            let tx = &mut connection.tx;
            let queued = tx.queued();
            let mine = tx.open.filter(|o| o.is(cut.slot, ordinal));
            if let Some(end) = refuses(session, &cut) {
                delivery.state = end;
                has_failed |= end == DeliveryState::Failed;
                if let Some(open) = mine {
                    tx.open = None;
                    tx.end_chunk(batch_pool, &open.tid, Flag::Abort);
                }
            } else {
                let at = u16::try_from(ordinal).expect("below ORDINAL_MAX");
                let tid = mine.map_or_else(
                    || {
                        tx.interrupt(batch_pool);
                        delivery.chunk = (delivery.chunk + 1) & CHUNK_MASK;
                        delivery.unanswered += u32::from(wants_answers);
                        Tid::delivery(&stem, at, delivery.chunk)
                    },
                    |open| open.tid,
                );
                let is_written = mine.is_none() && cut.is_small();
                if mine.is_none() {
                    tx.append(batch_pool, |out| cut.write_copy(out, &tid, session));
                }
                if !is_written {
                    let batch = tx.batch(batch_pool);
                    cut.write_body(batch, queued > limits.queue_bytes_soft);
                }
                tx.open = cut.flag.is_none().then_some(OpenChunk {
                    slot: cut.slot,
                    ordinal: at,
                    tid,
                });
                if let Some(flag) = cut.flag {
                    if !is_written {
                        tx.end_chunk(batch_pool, &tid, flag);
                    }
                    session.statistics.messages_sent += u64::from(flag == Flag::Complete);
                }
                session.statistics.volume_sent += cut.octets;
            }
            let now_queued = tx.queued();
            session.statistics.octets_sent += (now_queued - queued) as u64;
            if !tx.is_dirty {
                tx.is_dirty = true;
                dirty.push(connection.id);
            }
            if now_queued > limits.queue_bytes_max {
                overflowed.push(connection.id);
            } else if now_queued > limits.queue_bytes_soft && !connection.brake.is_stalled {
                pressed.push((connection.id, from));
            }
        }
        message.has_failed |= has_failed;
    }

    /// Queues a whole frame; a chunk open on the connection is interrupted for it.
    pub(crate) fn queue_frame(
        &mut self,
        conn: ConnId,
        session: Option<SessionRef>,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let Self {
            conns,
            batch_pool,
            overflowed,
            pressed,
            sessions,
            ..
        } = self;
        let limits = &self.config.limits;
        let connection = conns
            .get_mut(conn.index as usize)
            .and_then(Option::as_deref_mut);
        let Some(connection) = connection.filter(|c| c.id == conn && !c.is_closing) else {
            return;
        };
        let before = connection.tx.queued();
        connection.tx.interrupt(batch_pool);
        connection.tx.append(batch_pool, write);
        let queued = connection.tx.queued();
        if queued > limits.queue_bytes_max {
            overflowed.push(conn);
        } else if queued > limits.queue_bytes_soft && !connection.brake.is_stalled {
            pressed.push((conn, conn));
        }
        let session = session.and_then(|s| {
            sessions
                .get_mut(s.index as usize)
                .filter(|e| e.generation == s.generation)
        });
        if let Some(session) = session {
            session.statistics.octets_sent += (queued - before) as u64;
        }
        self.mark_dirty(conn);
    }
}

impl OpenChunk {
    /// Whether it is this delivery's.
    pub(crate) fn is(&self, slot: u32, ordinal: usize) -> bool {
        self.slot == slot && usize::from(self.ordinal) == ordinal
    }
}

impl<B: Octets> Cut<'_, B> {
    /// Whether the body is better copied with the head than referenced.
    fn is_small(&self) -> bool {
        self.octets <= COPY_BYTES_MAX as u64
    }

    fn write_rest(&self, out: &mut Vec<u8>, fields: &[u8], id_end: usize) {
        out.clear();
        out.extend_from_slice(&fields[..id_end]);
        msrp::write::byte_range(out, self.range);
        out.extend_from_slice(&fields[id_end..]);
        if self.is_small() {
            out.extend_from_slice(self.lead.as_slice());
            out.extend_from_slice(self.piece.octets());
        }
    }

    /// A new copy from its start line on: to its end-line when all of it is here and small.
    fn write_copy(&self, out: &mut Vec<u8>, tid: &Tid, session: &Session) {
        let to = session.config.remote_path.as_deref().unwrap_or_default();
        let from = &session.config.local_path;
        out.reserve(self.rest.len() + to.len() + from.len() + COPY_EXTRA_BYTES);
        msrp::write::send_start(out, tid.as_bytes(), to, from);
        out.extend_from_slice(self.rest);
        if let Some(flag) = self.flag.filter(|_| self.is_small()) {
            msrp::write::body_end_line(out, tid.as_bytes(), flag);
        }
    }

    fn write_body(&self, batch: &mut crate::batch::Batch<B>, copy: bool) {
        if let Some(lead) = self.lead {
            batch.push_copied(&[lead]);
        }
        match &self.piece {
            Piece::Shared(octets, range) if !copy => batch.push(octets, range.clone()),
            Piece::Shared(..) | Piece::Copied(_) | Piece::Empty => {
                batch.push_copied(self.piece.octets());
            }
        }
    }
}

/// Start line, names of the paths and end-line of a copy are no longer than this.
const COPY_EXTRA_BYTES: usize = 160;

/// Why a recipient gets no more of this message: its mode changed, or it is larger than the
/// participant takes (TS 24.247 9.3.3.2).
fn refuses<B>(session: &Session, cut: &Cut<'_, B>) -> Option<DeliveryState> {
    if session.recipient_conn().is_none() {
        return Some(DeliveryState::Left);
    }
    let reach = cut
        .range
        .total()
        .unwrap_or(0)
        .max(cut.range.offset() + cut.octets);
    let is_too_large = session.config.send_bytes_max.is_some_and(|max| reach > max);
    is_too_large.then_some(DeliveryState::Failed)
}

/// The Byte-Range of the chunk that begins with these octets. Only a chunk that is known whole and
/// short has a range-end: all others may have to be interrupted (RFC 4975 7.1.1).
fn range_of(chunk: &Chunk, octets: u64, is_whole: bool, flag: Option<Flag>) -> ByteRange {
    let end = chunk.offset + octets;
    let is_fixed = is_whole && octets <= FIXED_CHUNK_BYTES_MAX;
    let total = match flag {
        Some(Flag::Complete) => Some(end),
        Some(Flag::More | Flag::Abort) | None => chunk.total.filter(|t| *t >= end),
    };
    ByteRange::new(chunk.offset, is_fixed.then_some(end), total)
        .expect("end and total are not below the offset")
}

/// Whether these octets, with those before them, hold seven hyphens and the stem of the copies'
/// transaction ids.
fn contains_end_line(chunk: &Chunk, lead: Option<u8>, piece: &[u8]) -> bool {
    let mut token = [b'-'; TRAIL_OCTETS + 1];
    token[7..].copy_from_slice(&shared_part(chunk.random));
    if memmem::find(piece, &token).is_some() {
        return true;
    }
    let mut seam = [0; 2 * TRAIL_OCTETS + 1];
    let mut len = 0;
    for part in [
        chunk.trail.as_slice(),
        lead.as_slice(),
        &piece[..piece.len().min(TRAIL_OCTETS)],
    ] {
        seam[len..len + part.len()].copy_from_slice(part);
        len += part.len();
    }
    memmem::find(&seam[..len], &token).is_some()
}

/// Copies the header fields that go on unchanged, in canonical spelling: Message-ID, and after the
/// place of Byte-Range the rest with Content-Type last and the blank line. Returns that place.
pub(crate) fn write_fields(head: &Head<'_>, out: &mut Vec<u8>) -> usize {
    msrp::write::field(out, b"Message-ID", head.message_id.unwrap_or_default());
    let id_end = out.len();
    for line in head.fields() {
        let is = |name: &str| line.name.eq_ignore_ascii_case(name.as_bytes());
        if [
            "To-Path",
            "From-Path",
            "Message-ID",
            "Byte-Range",
            "Content-Type",
        ]
        .into_iter()
        .any(is)
        {
            continue;
        }
        let canonical = ["Success-Report", "Failure-Report"]
            .into_iter()
            .find(|name| is(name));
        msrp::write::field(out, canonical.map_or(line.name, str::as_bytes), line.value);
    }
    if let Some(content_type) = head.content_type {
        msrp::write::field(out, b"Content-Type", content_type);
    }
    out.extend_from_slice(b"\r\n");
    id_end
}
