//! A chunk on its way: what is kept back, where the outgoing chunk is cut.
//!
//! ```text
//! octets of a body = [kept back before] + [octets now, all but the last few]
//! ```
//!
//! The last octets of a piece, one at least, are kept back until more comes: whatever interrupts the
//! chunk meanwhile, there is an octet left to carry the final flag. So is a piece that would make an
//! outgoing chunk of less than [`FIXED_CHUNK_BYTES_MAX`] octets, which one more head is not worth
//! (RFC 4975 7.1.1).

use clock::Instant;
use msrp::{ByteRange, FailureReport, Flag, StatusCode};

use crate::api::{ConnId, Octets};
use crate::begin::Begin;
use crate::connection::{Chunk, Frame, TRAIL_OCTETS, Trail};
use crate::fan_out::Cut;
use crate::ident::shared_part;
use crate::limits::{CHUNK_BYTES_FLOOR, FIXED_CHUNK_BYTES_MAX, TAIL_BYTES};
use crate::message::Phase;
use crate::piece::Piece;
use crate::pressure::Source;
use crate::refusal::Refusal;
use crate::session::{Session, SessionRef};
use crate::shard::Shard;
use crate::shipment::Parcel;

impl<B: Octets> Shard<B> {
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
        let (slot, offset) = (chunk.slot, chunk.offset);
        let message = self.messages.get(slot as usize);
        let Some(message) = message.filter(|m| m.generation == chunk.generation) else {
            return self.refuse_rest(frame);
        };
        let is_begun = message.is_begun;
        self.touch(now, slot);
        if !is_begun {
            match self.begin_message(session, frame, &piece, flag) {
                Ok(Begin::Now) => {}
                Ok(Begin::Held) => return,
                Err(refusal) => return self.refuse_midway(frame, &refusal),
            }
        }
        let here = (frame.held.len() + piece.len()) as u64;
        let limit_bytes = self.message_bytes_max(session);
        if offset.saturating_add(here) > limit_bytes {
            return self.refuse_midway(frame, &Refusal::MessageTooLarge { limit_bytes });
        }
        if flag.is_none() && here < FIXED_CHUNK_BYTES_MAX + TAIL_BYTES as u64 {
            return frame.held.extend_from_slice(piece.octets());
        }
        let mut held = core::mem::take(&mut frame.held);
        let (piece, tail) = match flag {
            Some(_) => (piece, &[][..]),
            None => piece.split_tail(TAIL_BYTES),
        };
        self.pass(from, frame, &held, piece, flag);
        held.clear();
        held.extend_from_slice(tail);
        frame.held = held;
    }

    /// Hands octets on: those of `lead`, then those of `piece`.
    fn pass(
        &mut self,
        from: ConnId,
        frame: &mut Frame,
        lead: &[u8],
        piece: Piece<'_, B>,
        flag: Option<Flag>,
    ) {
        let (Some(chunk), Some(session)) = (&mut frame.chunk, frame.session) else {
            return;
        };
        let octets = (lead.len() + piece.len()) as u64;
        let is_whole = !chunk.is_streaming && flag.is_some();
        let is_all = is_whole && flag == Some(Flag::Complete);
        if let Err(refusal) = self.note_received(session, chunk, octets, is_all) {
            return self.refuse_midway(frame, &refusal);
        }
        if octets == 0 && !is_whole {
            return;
        }
        self.record_piece(chunk.slot, chunk.offset, [lead, piece.octets()]);
        let slot = chunk.slot;
        self.copy_in_cuts(from, chunk, lead, piece, flag);
        self.report_failures(slot);
    }

    /// Copies octets to all recipients, in chunks of no more than the limit: between two of them
    /// others get a word in.
    fn copy_in_cuts<'a>(
        &mut self,
        from: ConnId,
        chunk: &mut Chunk,
        mut lead: &'a [u8],
        mut piece: Piece<'a, B>,
        flag: Option<Flag>,
    ) {
        let max = self.config.limits.chunk_bytes_max.max(CHUNK_BYTES_FLOOR);
        loop {
            let room = usize::try_from(max - chunk.copied.min(max)).unwrap_or(usize::MAX);
            if lead.len() + piece.len() <= room {
                return self.copy(from, chunk, lead, piece, flag);
            }
            if chunk.copied == 0 || room > lead.len() {
                let (first, rest) = piece.split_at(room - lead.len());
                self.copy(from, chunk, lead, first, None);
                (lead, piece) = (&[], rest);
            }
            self.interrupt_copies(chunk.slot);
            chunk.is_streaming = false;
            chunk.copied = 0;
        }
    }

    fn copy(
        &mut self,
        from: ConnId,
        chunk: &mut Chunk,
        lead: &[u8],
        piece: Piece<'_, B>,
        flag: Option<Flag>,
    ) {
        self.avoid_end_line(chunk, lead, &piece);
        let octets = (lead.len() + piece.len()) as u64;
        let is_whole = !chunk.is_streaming && flag.is_some();
        let range = range_of(chunk, octets, is_whole, flag);
        chunk.trail.push(lead);
        chunk.trail.push(piece.octets());
        let cut = Cut {
            slot: chunk.slot,
            random: chunk.random,
            range,
            lead,
            piece,
            octets,
            flag,
        };
        if self.fan_out(Source::Here(from), &cut) {
            self.ship_cut(from, &cut);
        }
        chunk.offset += octets;
        chunk.copied += octets;
        chunk.is_streaming = flag.is_none();
        self.messages[chunk.slot as usize].forwarded = chunk.offset;
    }

    /// Octets of a message have arrived.
    #[inline]
    pub(crate) fn touch(&mut self, now: Instant, slot: u32) {
        let message = &mut self.messages[slot as usize];
        message.touched_at = now;
        if message.phase == Phase::Open {
            self.open_ages.refresh(&mut self.messages, slot);
        }
    }

    /// Keeps the sender's counters and, for messages in several pieces, the ranges received.
    fn note_received(
        &mut self,
        session: SessionRef,
        chunk: &Chunk,
        octets: u64,
        is_all: bool,
    ) -> Result<(), Refusal> {
        if let Some(entry) = self.sessions.get_mut(session.index as usize) {
            entry.statistics.volume_received += octets;
        }
        let message = &mut self.messages[chunk.slot as usize];
        // The usual message is one chunk in one piece: nothing to reassemble.
        if is_all && chunk.offset == 0 && message.ranges.is_none() {
            message.octets = octets;
            return Ok(());
        }
        message
            .add_range(chunk.offset, octets)
            .map_err(|_| Refusal::TooManyRanges)
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

    /// Refuses the rest of a chunk whose beginning was taken.
    pub(crate) fn refuse_midway(&mut self, frame: &mut Frame, refusal: &Refusal) {
        let Some(chunk) = frame.chunk.take() else {
            return;
        };
        tracing::info!(transaction = %frame.tid.escape_ascii(), %refusal, "message refused");
        if frame.failure_report != FailureReport::No {
            frame.answer = Some(refusal.status());
        }
        frame.held.clear();
        self.abort_message(chunk.slot);
        if let Some(session) = frame.session.and_then(|s| self.session_at(s)) {
            self.remember_refused(session, &frame.message_id, refusal.status());
        }
    }

    /// Makes sure that no recipient can take octets of the body for the end-line of its copy
    /// (RFC 4975 7.1): a sender that learned our transaction id from a recipient could send it.
    fn avoid_end_line(&mut self, chunk: &mut Chunk, lead: &[u8], piece: &Piece<'_, B>) {
        let parts = [(lead, false), (piece.octets(), piece.is_clear())];
        while contains_end_line(chunk, parts) {
            if chunk.is_streaming {
                self.interrupt_copies(chunk.slot);
                chunk.is_streaming = false;
                chunk.copied = 0;
            }
            chunk.trail = Trail::default();
            chunk.random = self.random();
        }
    }

    /// Ends all open copies of a message's chunk with `+`; they go on under another id.
    pub(crate) fn interrupt_copies(&mut self, slot: u32) {
        self.ship_word(slot, Parcel::Interrupt);
        let Self {
            messages,
            sessions,
            conns,
            supply,
            ..
        } = self;
        for (ordinal, delivery) in messages[slot as usize].deliveries.iter().enumerate() {
            let conn = sessions
                .get(delivery.session.index as usize)
                .and_then(Session::conn);
            let connection = conn.and_then(|c| conns.get_mut(c));
            if let Some(connection) = connection
                && connection.tx.open.is_some_and(|o| o.is(slot, ordinal))
            {
                connection.tx.interrupt(supply);
            }
        }
    }
}

/// The Byte-Range of the chunk that begins with these octets. Only a chunk that is known whole and
/// short has a range-end: all others may have to be interrupted (RFC 4975 7.1.1). One without
/// octets has none either, unless it stands for a message without octets, `1-0/0`.
fn range_of(chunk: &Chunk, octets: u64, is_whole: bool, flag: Option<Flag>) -> ByteRange {
    let end = chunk.offset + octets;
    let is_fixed = is_whole && octets <= FIXED_CHUNK_BYTES_MAX && (octets > 0 || end == 0);
    let total = match flag {
        Some(Flag::Complete) => Some(end),
        Some(Flag::More | Flag::Abort) | None => chunk.total.filter(|t| *t >= end),
    };
    ByteRange::new(chunk.offset, is_fixed.then_some(end), total)
        .expect("end and total are not below the offset")
}

/// Whether these octets, with those before them, hold seven hyphens and the stem of the copies'
/// transaction ids. Of each part it is known whether it is clear of hyphens by itself.
fn contains_end_line(chunk: &Chunk, parts: [(&[u8], bool); 2]) -> bool {
    if let [([], _), (_, true)] = parts
        && chunk.trail.as_slice().is_empty()
    {
        return false;
    }
    let stem = shared_part(chunk.random);
    let mut trail = chunk.trail;
    parts
        .into_iter()
        .filter(|(part, _)| !part.is_empty())
        .any(|(part, is_clear)| {
            let mut seam = [0; 2 * TRAIL_OCTETS];
            let (before, after) = (trail.as_slice(), &part[..part.len().min(TRAIL_OCTETS)]);
            let is_across = !before.is_empty() && {
                seam[..before.len()].copy_from_slice(before);
                seam[before.len()..before.len() + after.len()].copy_from_slice(after);
                holds_token(&seam[..before.len() + after.len()], &stem)
            };
            trail.push(part);
            is_across || (!is_clear && holds_token(part, &stem))
        })
}

/// Whether seven hyphens with `stem` behind them stand in `text`.
fn holds_token(text: &[u8], stem: &[u8]) -> bool {
    msrp::find_end_line_token(text, stem).is_some()
}
