//! Fan-out: octets of a chunk go to every recipient of its message.
//!
//! ```text
//! per recipient    another chunk is open on its connection: end that one with `+`
//!                  ours is not open: write a head that starts at the octets' offset
//!                  write the octets; at the end of the chunk write the end-line
//! ```
//!
//! One set of header fields and one transaction-id stem serve all recipients.

use msrp::{ByteRange, Flag, Head, StatusCode};

use crate::api::{ConnId, Octets};
use crate::batch::Batch;
use crate::config::{Profile, SlowPolicy};
use crate::connection::{Connection, OpenChunk, Transmit};
use crate::ident::{Stem, Tid};
use crate::limits::{COPY_BYTES_MAX, FRAMED_CHUNK_BYTES_MAX, Limits};
use crate::message::{Delivery, DeliveryState, Message};
use crate::piece::{Piece, Share};
use crate::pressure::Source;
use crate::session::{Session, SessionRef};
use crate::shard::Shard;
use crate::supply::{Due, LetterRef, Supply};

/// What goes to every recipient now.
pub(crate) struct Cut<'a, B> {
    pub slot: u32,
    pub random: u64,
    pub range: ByteRange,
    /// Octets from before, copied.
    pub lead: &'a [u8],
    pub piece: Piece<'a, B>,
    /// Of both.
    pub octets: u64,
    pub flag: Option<Flag>,
}

impl<B: Octets> Shard<B> {
    /// Copies a cut to every recipient here. Returns whether other shards have to do with the message.
    pub(crate) fn fan_out(&mut self, from: Source, cut: &Cut<'_, B>) -> bool {
        let Self {
            messages,
            sessions,
            conns,
            supply,
            dirty,
            turn,
            rest,
            gauges,
            ..
        } = self;
        let limits = &self.config.limits;
        let message = &mut *messages[cut.slot as usize];
        let stem = Stem::new(cut.random, cut.slot, message.serial_generation());
        let letter = cut.flag.filter(|_| cut.is_small()).map(|flag| {
            supply.write_letter(stem, flag, |out| {
                cut.write_rest(out, message);
                out.extend_from_slice(b"\r\n");
            })
        });
        rest.clear();
        if letter.is_none() {
            cut.write_rest(rest, message);
        }
        let copy = Copy {
            cut,
            rest,
            letter,
            stem: &stem,
            reach: cut.reach(),
            wants_answers: message.wants_answers(),
        };
        for ordinal in 0..message.deliveries.len() {
            let delivery = &mut message.deliveries[ordinal];
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
            let connection = session.conn().and_then(|c| conns.get_mut(c));
            let Some(connection) = connection.filter(|c| !c.is_closing) else {
                message.fail(ordinal, StatusCode::TIMEOUT);
                continue;
            };
            let before = connection.tx.queued();
            let at = u16::try_from(ordinal).expect("below ORDINAL_MAX");
            if let Some(end) = copy.refusal(session, before, limits) {
                match end {
                    End::Left => delivery.state = DeliveryState::Left,
                    End::Failed(status) => message.fail(ordinal, status),
                    End::Dropped => {
                        session.statistics.messages_dropped += 1;
                        gauges.add_dropped(1);
                        message.fail(ordinal, StatusCode::TIMEOUT);
                    }
                }
                let tx = &mut connection.tx;
                if let Some(open) = tx.open.take_if(|o| o.is(cut.slot, ordinal)) {
                    tx.end_chunk(supply, &open.tid, Flag::Abort);
                }
            } else {
                let is_long = before > limits.queue_bytes_soft;
                copy.write((at, is_long), delivery, session, connection, supply);
            }
            let is_slowing = session.config.terms.slow == SlowPolicy::Slow;
            let from = is_slowing.then_some(from);
            let octets = turn.note_growth(connection, before, from, limits, dirty);
            session.statistics.octets_sent += octets as u64;
        }
        message.far.is_some()
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
            supply,
            turn,
            dirty,
            sessions,
            ..
        } = self;
        let Some(connection) = conns.get_mut(conn).filter(|c| !c.is_closing) else {
            return;
        };
        let before = connection.tx.queued();
        connection.tx.interrupt(supply);
        connection.tx.append(supply, write);
        connection.tx.batch(supply).end_message();
        let from = Some(Source::Here(conn));
        let octets = turn.note_growth(connection, before, from, &self.config.limits, dirty);
        let session = session.and_then(|s| {
            sessions
                .get_mut(s.index as usize)
                .filter(|e| e.generation == s.generation)
        });
        if let Some(session) = session {
            session.statistics.octets_sent += octets as u64;
        }
    }
}

impl OpenChunk {
    /// Whether it is this delivery's.
    pub(crate) fn is(&self, slot: u32, ordinal: usize) -> bool {
        self.slot == slot && usize::from(self.ordinal) == ordinal
    }
}

impl<B: Octets> Cut<'_, B> {
    /// How long the message is at least, octets.
    fn reach(&self) -> u64 {
        let told = self.range.total().unwrap_or(0);
        told.max(self.range.offset() + self.octets)
    }

    /// Whether the body is better copied with the head than referenced.
    fn is_small(&self) -> bool {
        self.octets <= COPY_BYTES_MAX as u64
    }

    /// What follows the paths of a new copy: fields, blank line, and the body when it is small. Made
    /// once for all recipients.
    fn write_rest(&self, out: &mut Vec<u8>, message: &Message) {
        write_fields_of(out, message, self.range);
        if self.is_small() {
            out.extend_from_slice(self.lead);
            out.extend_from_slice(self.piece.octets());
        }
    }

    fn write_body(&self, batch: &mut Batch<B>, is_copied: bool) {
        batch.push_copied(self.lead);
        match self.piece {
            Piece::Shared(Share {
                buffer, start, len, ..
            }) if !is_copied => {
                batch.push(buffer, start..start + len);
            }
            Piece::Shared(_) | Piece::Copied(_) | Piece::Empty => {
                batch.push_copied(self.piece.octets());
            }
        }
    }
}

/// What all copies of a cut have in common.
struct Copy<'a, B> {
    cut: &'a Cut<'a, B>,
    /// See [`Cut::write_rest`]; empty if there is a letter.
    rest: &'a [u8],
    /// A small chunk that is whole, or the whole rest of one, with its length.
    letter: Option<(LetterRef, usize)>,
    stem: &'a Stem,
    /// See [`Cut::reach`].
    reach: u64,
    /// Whether each chunk of the message is answered.
    wants_answers: bool,
}

impl<B: Octets> Copy<'_, B> {
    /// Why a recipient gets no more of this message: its mode changed, it is larger than the participant
    /// takes (TS 24.247 9.3.3.2), or nobody is to wait for it and its queue is nearly full.
    #[inline]
    fn refusal(&self, session: &Session, queued: usize, limits: &Limits) -> Option<End> {
        if session.recipient_conn().is_none() {
            return Some(End::Left);
        }
        let terms = &session.config.terms;
        if terms.send_bytes_max.is_some_and(|max| self.reach > max) {
            return Some(End::Failed(StatusCode::STOP_SENDING));
        }
        if terms.slow == SlowPolicy::Drop && queued > limits.congestion_mark_bytes() {
            return Some(End::Dropped);
        }
        None
    }

    /// Writes that of one recipient, with a head if none is open. `is_long`: it reads slowly, and must
    /// not pin the receive buffer.
    #[inline]
    fn write(
        &self,
        (at, is_long): (u16, bool),
        delivery: &mut Delivery,
        session: &mut Session,
        connection: &mut Connection<B>,
        supply: &mut Supply<B>,
    ) {
        let cut = self.cut;
        let (tx, via) = (&mut connection.tx, &connection.via);
        // A message of the transport has to be taken whole: large ones become several (RFC 7977
        // section 5.1).
        let fits = |o: &OpenChunk| o.octets + cut.octets <= FRAMED_CHUNK_BYTES_MAX;
        let goes_on = |o: &&OpenChunk| o.is(cut.slot, at.into()) && (!via.is_framed || fits(o));
        if let Some(open) = tx.open.as_ref().filter(goes_on).copied() {
            cut.write_body(tx.batch(supply), is_long);
            self.leave(open, tx, supply);
        } else {
            if tx.open.is_some() {
                tx.interrupt(supply);
            }
            delivery.unanswered += u32::from(self.wants_answers);
            let chunk = delivery.next_chunk();
            if let Some((letter, bytes)) = self.letter {
                let opening = session.opening();
                let bytes = bytes + opening.len();
                let due = Due {
                    letter,
                    ordinal: at,
                    chunk,
                    opening,
                };
                tx.push(supply, due, bytes);
            } else {
                let tid = Tid::delivery(self.stem, at, chunk);
                tx.append(supply, |out| self.write_head(out, &tid, session));
                let open = OpenChunk {
                    slot: cut.slot,
                    ordinal: at,
                    tid,
                    octets: 0,
                };
                if !cut.is_small() {
                    cut.write_body(tx.batch(supply), is_long);
                }
                self.leave(open, tx, supply);
            }
        }
        session.statistics.messages_sent += u64::from(cut.flag == Some(Flag::Complete));
        session.statistics.volume_sent += cut.octets;
    }

    /// Ends a copy with the cut's flag, or leaves it open.
    fn leave(&self, open: OpenChunk, tx: &mut Transmit<B>, supply: &mut Supply<B>) {
        tx.open = match self.cut.flag {
            Some(flag) => {
                tx.end_chunk(supply, &open.tid, flag);
                None
            }
            None => Some(OpenChunk {
                octets: open.octets + self.cut.octets,
                ..open
            }),
        };
    }

    /// From the start line to the body, with it when it is small.
    fn write_head(&self, out: &mut Vec<u8>, tid: &Tid, session: &mut Session) {
        let at = out.len();
        out.extend_from_slice(&session.opening());
        msrp::write::rename_send_line(&mut out[at..], tid.as_bytes());
        out.extend_from_slice(self.rest);
    }
}

/// The head of a copy up to its body.
pub(crate) fn write_head(
    out: &mut Vec<u8>,
    tid: &Tid,
    session: &Session,
    message: &Message,
    range: ByteRange,
) {
    let to = session.config.remote_path.as_deref().unwrap_or_default();
    msrp::write::send_start(out, tid.as_bytes(), to, &session.config.local_path);
    write_fields_of(out, message, range);
}

/// What stands between the paths of a copy and its body.
fn write_fields_of(out: &mut Vec<u8>, message: &Message, range: ByteRange) {
    let (before, after) = message.fields.split_at(message.id_end);
    out.extend_from_slice(before);
    msrp::write::byte_range(out, range);
    out.extend_from_slice(after);
}

/// How a delivery ends before its message does.
enum End {
    Left,
    Failed(StatusCode),
    /// Nobody is to wait for it.
    Dropped,
}

/// Copies the header fields that go on unchanged, in canonical spelling: Message-ID, and after the
/// place of Byte-Range the rest with Content-Type last and the blank line. Returns that place.
///
/// In a chat room the copies are ours, and so are their report fields (RFC 7701 6.3): recipients
/// tell errors alone.
pub(crate) fn write_fields(head: &Head<'_>, profile: Profile, out: &mut Vec<u8>) -> usize {
    write_message_id(head, out);
    let id_end = out.len();
    write_other_fields(head, profile, out);
    id_end
}

pub(crate) fn write_message_id(head: &Head<'_>, out: &mut Vec<u8>) {
    msrp::write::field(out, b"Message-ID", head.message_id.unwrap_or_default());
}

/// See [`write_fields`]: what comes after the place of Byte-Range.
pub(crate) fn write_other_fields(head: &Head<'_>, profile: Profile, out: &mut Vec<u8>) {
    let is_ours = profile == Profile::Chatroom;
    if is_ours {
        msrp::write::field(out, b"Failure-Report", b"partial");
    }
    if head.has_more_fields() {
        write_all_fields(head, is_ours, out);
    } else if !is_ours {
        if head.tells_success_report() {
            let word: &[u8] = if head.success_report { b"yes" } else { b"no" };
            msrp::write::field(out, b"Success-Report", word);
        }
        if head.tells_failure_report() {
            msrp::write::field(out, b"Failure-Report", head.failure_report.as_bytes());
        }
    }
    if let Some(content_type) = head.content_type {
        msrp::write::field(out, b"Content-Type", content_type);
    }
    out.extend_from_slice(b"\r\n");
}

/// The report fields, unless they are `ours`, and whatever nobody here knows, as they came.
fn write_all_fields(head: &Head<'_>, is_ours: bool, out: &mut Vec<u8>) {
    for line in head.fields() {
        let written_elsewhere = [
            "To-Path",
            "From-Path",
            "Message-ID",
            "Byte-Range",
            "Content-Type",
        ];
        if written_elsewhere.into_iter().any(|name| line.is(name)) {
            continue;
        }
        let report = ["Success-Report", "Failure-Report"];
        let report = report.into_iter().find(|name| line.is(name));
        if report.is_none() || !is_ours {
            msrp::write::field(out, report.map_or(line.name, str::as_bytes), line.value);
        }
    }
}
