//! Answers and reports: from recipients in, aggregated, to the sender out.
//!
//! TS 24.247 9.3.3.1: one success REPORT when all available users have the complete message, one
//! failure REPORT when not all could be served; never one per recipient. In a chat room we report as
//! the receiver, and what the recipients say stops here (RFC 7701 6.3).

use clock::Instant;
use msrp::{ByteRange, FailureReport, Head, StatusCode};

use crate::answer::sole_uri;
use crate::api::{ConnId, Octets};
use crate::ident::{Tid, serial_of};
use crate::message::{DeliveryState, Phase, index_key};
use crate::session::{Link, SessionRef};
use crate::shard::Shard;
use crate::shipment::Parcel;

impl<B: Octets> Shard<B> {
    /// A recipient answered a chunk. The transaction id names the delivery; the connection must be
    /// the one it went out on (responses that match nothing are ignored).
    pub(crate) fn handle_response(
        &mut self,
        now: Instant,
        conn: ConnId,
        transaction_id: &[u8],
        status: StatusCode,
    ) {
        if self.play_answered(conn, transaction_id, status) {
            return;
        }
        let Some(serial) = serial_of(transaction_id) else {
            return;
        };
        let Some(message) = self.messages.get_mut(serial.slot as usize) else {
            return;
        };
        if message.serial_generation() != serial.generation {
            return;
        }
        let Some(delivery) = message.deliveries.get_mut(usize::from(serial.ordinal)) else {
            return;
        };
        let session = self.sessions.get_mut(delivery.session.index as usize);
        let session = session.filter(|s| {
            s.generation == delivery.session.generation && s.link.get() == Link::Bound(conn)
        });
        let Some(session) = session.filter(|_| delivery.state == DeliveryState::Going) else {
            return;
        };
        session.heard_at = now;
        let ordinal = usize::from(serial.ordinal);
        if is_success(status) {
            message.note_answer(ordinal);
        } else {
            tracing::info!(session = %session.key, status = status.as_u16(),
                "recipient refused a message");
            self.fail_delivery(conn, serial.slot, ordinal, status);
        }
        self.conclude(serial.slot);
    }

    /// A recipient's REPORT about one of our copies; they keep the sender's Message-ID.
    pub(crate) fn handle_report(&mut self, now: Instant, conn: ConnId, head: &Head<'_>) {
        let (Some(id), Some(status)) = (head.message_id, &head.status) else {
            return;
        };
        // Only namespace 000 is defined (RFC 4975 7.1.3).
        let Some(session) = self.reporter(conn, head).filter(|_| status.namespace == 0) else {
            return;
        };
        let entry = &mut self.sessions[session.index as usize];
        entry.heard_at = now;
        let (context, seat) = (entry.context, entry.seat);
        let key = index_key(context, self.hash_of(id));
        let Some(&slot) = self.by_message_id.get(&key) else {
            return self.play_reported(session, id, head.byte_range.as_ref(), status.code);
        };
        let message = &mut self.messages[slot as usize];
        let Some(ordinal) = message.ordinal_of(seat) else {
            return;
        };
        if is_success(status.code) {
            let range = head.byte_range.as_ref();
            let offset = range.map_or(0, ByteRange::offset);
            let end = range.and_then(ByteRange::end).unwrap_or(message.octets);
            message.note_report(ordinal, offset, end.saturating_sub(offset));
        } else {
            self.fail_delivery(conn, slot, ordinal, status.code);
        }
        self.conclude(slot);
    }

    /// The session of `conn` that a REPORT is from.
    fn reporter(&self, conn: ConnId, head: &Head<'_>) -> Option<SessionRef> {
        let uri = sole_uri(head)?;
        self.current_session(conn, uri).or_else(|| {
            let session = self.named_session(uri)?;
            let link = self.sessions[session.index as usize].link.get();
            (link == Link::Bound(conn)).then_some(session)
        })
    }

    /// A failed message is not sent on to whom it failed (RFC 4975 7.3.2, 10.5).
    fn fail_delivery(&mut self, conn: ConnId, slot: u32, ordinal: usize, status: StatusCode) {
        self.messages[slot as usize].fail(ordinal, status);
        self.abort_open_copy(conn, slot, ordinal);
        self.report_failures(slot);
    }

    /// Reports and frees a message about which nothing more can be learned.
    pub(crate) fn conclude(&mut self, slot: u32) {
        let message = self.messages.get(slot as usize);
        let Some(message) = message.filter(|m| m.is_concluded_by_all()) else {
            return;
        };
        let is_wanted = message.is_success() && message.success_wanted;
        if message.origin().is_some() {
            // Where nobody waits for answers, the sender's shard forgot it with the last octet.
            if message.takes_reports() && !message.is_ours() {
                self.tell_origin(slot, Parcel::Settled);
            }
            return self.free(slot);
        }
        if is_wanted {
            self.report(slot, StatusCode::OK);
        }
        self.free(slot);
    }

    /// Tells the sender that a recipient could not be served; in a chat room it is not told.
    pub(crate) fn report_failures(&mut self, slot: u32) {
        let message = self.messages.get(slot as usize);
        let message = message.filter(|m| !m.is_reported && !m.is_ours());
        if let Some(status) = message.and_then(|m| m.failure) {
            self.report(slot, status);
        }
    }

    /// Takes note of a message's fate and sends one REPORT to the sender, if it wants it and can
    /// still be reached.
    pub(crate) fn report(&mut self, slot: u32, status: StatusCode) {
        let message = &mut self.messages[slot as usize];
        if message.is_reported {
            return;
        }
        // A message goes with its sender, so this one is there.
        let sender = &mut self.sessions[message.sender.index as usize];
        if message.origin().is_some() {
            message.is_reported = true;
            self.tell_origin(slot, |message| Parcel::Failed { message, status });
            return;
        }
        if let Some(recent) = &mut sender.recent {
            if status == StatusCode::OK {
                recent.succeed(message.hash);
            } else {
                recent.forget(message.hash);
            }
        }
        if status != StatusCode::OK {
            message.is_reported = true;
            if message.failure_report == FailureReport::No {
                return;
            }
        }
        let Some(conn) = sender.conn() else { return };
        // RFC 4975 7.1.4: the total as it was told, the end as it came.
        let total = match message.phase {
            Phase::Complete => Some(message.octets),
            Phase::Open => message.told_octets.filter(|t| *t >= message.octets),
        };
        let range = ByteRange::new(0, Some(message.octets), total).expect("the total is not less");
        let session = message.sender;
        let (id, to) = (
            core::mem::take(&mut message.id),
            core::mem::take(&mut message.from_path),
        );
        self.send_report(conn, session, &to, &id, range, status);
        let message = &mut self.messages[slot as usize];
        (message.id, message.from_path) = (id, to);
    }

    /// Writes a REPORT from `session`; `to` is the whole From-Path of the SEND (RFC 4975 7.1.3).
    pub(crate) fn send_report(
        &mut self,
        conn: ConnId,
        session: SessionRef,
        to: &[u8],
        id: &[u8],
        range: ByteRange,
        status: StatusCode,
    ) {
        let tid = Tid::unmatched(self.random());
        let mut text = core::mem::take(&mut self.scratch);
        text.clear();
        let from = &self.sessions[session.index as usize].config.local_path;
        msrp::write::report(&mut text, tid.as_bytes(), to, from, id, range, status);
        self.queue_frame(conn, Some(session), |out| out.extend_from_slice(&text));
        self.scratch = text;
    }
}

/// Codes that nobody knows are judged by their class.
fn is_success(status: StatusCode) -> bool {
    status.as_u16() / 100 == 2
}
