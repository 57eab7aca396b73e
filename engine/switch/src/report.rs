//! Answers and reports: from recipients in, aggregated, to the sender out.
//!
//! TS 24.247 9.3.3.1: one success REPORT when all available users have the complete message, one
//! failure REPORT when not all could be served; never one per recipient.

use clock::Instant;
use msrp::{ByteRange, FailureReport, Flag, Head, StatusCode};

use crate::api::{ConnId, Octets};
use crate::ident::{Tid, serial_of};
use crate::limits::{MESSAGE_POOL_MAX, MESSAGE_SWEEP};
use crate::message::{DeliveryState, Fate, Message, Phase, index_key};
use crate::receive::sole_uri;
use crate::session::{Link, SessionRef};
use crate::shard::{Deadline, Shard};

impl<B: Octets> Shard<B> {
    /// A recipient answered a chunk. The transaction id names the delivery; the connection must be
    /// the one it went out on (responses that match nothing are ignored).
    pub(crate) fn handle_response(
        &mut self,
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
        let session = self.sessions.get(delivery.session.index as usize);
        let session = session
            .filter(|s| s.generation == delivery.session.generation && s.link == Link::Bound(conn));
        let Some(session) = session.filter(|_| delivery.state == DeliveryState::Going) else {
            return;
        };
        let ordinal = usize::from(serial.ordinal);
        if is_success(status) {
            message.note_answer(ordinal);
        } else {
            tracing::info!(session = ?session.key, status = status.as_u16(),
                "recipient refused a message");
            self.fail_delivery(conn, serial.slot, ordinal, status);
        }
        self.conclude(serial.slot);
    }

    /// A recipient's REPORT about one of our copies; they keep the sender's Message-ID.
    pub(crate) fn handle_report(&mut self, conn: ConnId, head: &Head<'_>) {
        let (Some(id), Some(status)) = (head.message_id, &head.status) else {
            return;
        };
        // Only namespace 000 is defined (RFC 4975 7.1.3).
        let Some(session) = self.reporter(conn, head).filter(|_| status.namespace == 0) else {
            return;
        };
        let context = self.sessions[session.index as usize].context;
        let key = index_key(context, self.hash_of(id));
        let Some(&slot) = self.by_message_id.get(&key) else {
            return self.play_reported(session, id, head.byte_range.as_ref(), status.code);
        };
        let message = &mut self.messages[slot as usize];
        let Some(ordinal) = message.ordinal_of(session) else {
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
            let session = *self.by_id.get(msrp::session_id_of(uri)?)?;
            let link = self.sessions[session.index as usize].link;
            (link == Link::Bound(conn)).then_some(session)
        })
    }

    /// A failed message is not sent on to whom it failed (RFC 4975 7.3.2, 10.5).
    fn fail_delivery(&mut self, conn: ConnId, slot: u32, ordinal: usize, status: StatusCode) {
        self.messages[slot as usize].settle(ordinal, DeliveryState::Failed);
        self.abort_copy(conn, slot, ordinal);
        self.report(slot, status);
    }

    /// Reports and frees a message about which nothing more can be learned.
    pub(crate) fn conclude(&mut self, slot: u32) {
        let message = self.messages.get(slot as usize);
        let Some(message) = message.filter(|m| m.is_concluded_by_all()) else {
            return;
        };
        if message.is_success() && message.success_wanted {
            self.report(slot, StatusCode::OK);
        }
        self.free(slot);
    }

    /// Sends the failure REPORT for recipients that failed while a piece was forwarded.
    pub(crate) fn report_failures(&mut self, slot: u32) {
        let message = self.messages.get(slot as usize);
        if message.is_some_and(|m| m.has_failed && !m.is_reported) {
            self.report(slot, StatusCode::STOP_SENDING);
        }
    }

    /// Takes note of a message's fate and sends one REPORT to the sender, if it wants it and can
    /// still be reached.
    pub(crate) fn report(&mut self, slot: u32, status: StatusCode) {
        let message = &mut self.messages[slot as usize];
        let Some(sender) = self.sessions.get_mut(message.sender.index as usize) else {
            return;
        };
        if sender.generation != message.sender.generation || message.is_reported {
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
        let total = (message.phase == Phase::Complete).then_some(message.octets);
        let range = ByteRange::new(0, Some(message.octets), total).expect("the total is the end");
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

    /// Every delivery to a session that lost its connection has failed.
    pub(crate) fn fail_deliveries_to(&mut self, session: SessionRef, status: StatusCode) {
        for slot in self.end_deliveries_to(session, DeliveryState::Failed) {
            self.report(slot, status);
            self.conclude(slot);
        }
    }

    /// A session that left is no longer an available user.
    pub(crate) fn drop_deliveries_to(&mut self, session: SessionRef) {
        for slot in self.end_deliveries_to(session, DeliveryState::Left) {
            self.conclude(slot);
        }
    }

    fn end_deliveries_to(&mut self, session: SessionRef, state: DeliveryState) -> Vec<u32> {
        let conn = self.sessions.get(session.index as usize);
        let conn = conn.and_then(|s| s.conn());
        let mut touched = Vec::new();
        for (slot, message) in &mut self.messages {
            if let Some(ordinal) = message.ordinal_of(session) {
                message.settle(ordinal, state);
                touched.push((u32::try_from(slot).expect("below MESSAGES_MAX"), ordinal));
            }
        }
        if let Some(conn) = conn {
            for &(slot, ordinal) in &touched {
                self.abort_copy(conn, slot, ordinal);
            }
        }
        touched.into_iter().map(|(slot, _)| slot).collect()
    }

    /// A recipient that the topology cuts off gets no more of what `sender` has begun.
    pub(crate) fn cut_deliveries(&mut self, sender: SessionRef, to: SessionRef) {
        let conn = self.sessions[to.index as usize].conn();
        for at in 0..self.sessions[sender.index as usize].open.len() {
            let slot = self.sessions[sender.index as usize].open[at];
            let message = &mut self.messages[slot as usize];
            if let Some(ordinal) = message.ordinal_of(to) {
                message.settle(ordinal, DeliveryState::Left);
                if let Some(conn) = conn {
                    self.abort_copy(conn, slot, ordinal);
                }
            }
        }
    }

    /// What a session had begun to send ends with `#` for those who got the beginning.
    pub(crate) fn abort_messages_from(&mut self, session: SessionRef) {
        let open = match self.sessions.get_mut(session.index as usize) {
            Some(entry) => core::mem::take(&mut entry.open),
            None => return,
        };
        for slot in open {
            self.abort_message(slot);
        }
    }

    /// Gives an open message up: copies in the middle of a chunk end with `#`. A recipient whose
    /// copy was interrupted just then, or that has all of a chunk, lets the message age out: there
    /// is no octet left to carry the flag.
    pub(crate) fn abort_message(&mut self, slot: u32) {
        let count = match self.messages.get(slot as usize) {
            Some(message) => message.deliveries.len(),
            None => return,
        };
        for ordinal in 0..count {
            let session = self.messages[slot as usize].deliveries[ordinal].session;
            let conn = self
                .session_at(session)
                .and_then(|s| self.sessions[s.index as usize].conn());
            if let Some(conn) = conn {
                self.abort_copy(conn, slot, ordinal);
            }
        }
        self.give_up(slot);
    }

    /// Forgets a message that will not be complete, but for its name: what still comes of it has no
    /// beginning any more.
    pub(crate) fn give_up(&mut self, slot: u32) {
        let message = &self.messages[slot as usize];
        let (sender, hash) = (message.sender, self.hash_of(&message.id));
        if self.session_at(sender).is_some() {
            let entry = &mut self.sessions[sender.index as usize];
            let recent = entry.recent.get_or_insert_with(Box::default);
            recent.remember(hash, Fate::GivenUp);
        }
        self.record_end(slot, false);
        self.free(slot);
    }

    /// Ends the copy of a chunk that is open on `conn`, if it is this delivery's, with `#`.
    fn abort_copy(&mut self, conn: ConnId, slot: u32, ordinal: usize) {
        let Self {
            conns, batch_pool, ..
        } = self;
        let connection = conns
            .get_mut(conn.index as usize)
            .and_then(Option::as_deref_mut);
        let Some(connection) = connection.filter(|c| c.id == conn && !c.is_closing) else {
            return;
        };
        if let Some(open) = connection.tx.open.filter(|o| o.is(slot, ordinal)) {
            connection.tx.open = None;
            connection.tx.end_chunk(batch_pool, &open.tid, Flag::Abort);
            self.mark_dirty(conn);
        }
    }

    /// The sender's list no longer holds a message that has all its chunks.
    pub(crate) fn close_message(&mut self, slot: u32) {
        let Some(message) = self.messages.get(slot as usize) else {
            return;
        };
        if let Some(sender) = self.session_at(message.sender) {
            self.sessions[sender.index as usize]
                .open
                .retain(|s| *s != slot);
        }
    }

    /// Forgets a message, whatever is still open about it.
    pub(crate) fn free(&mut self, slot: u32) {
        self.close_message(slot);
        let message = self.messages.remove(slot as usize);
        if message.takes_reports() {
            self.unlist(slot, &message);
        }
        if self.spare_messages.len() < MESSAGE_POOL_MAX {
            self.spare_messages.push(message);
        }
    }

    fn unlist(&mut self, slot: u32, message: &Message) {
        let key = index_key(message.context, message.hash);
        if self.by_message_id.get(&key) == Some(&slot) {
            self.by_message_id.remove(&key);
        }
    }

    /// Looks for messages whose time is over: chunks that stopped coming (RFC 7701 6.1), answers
    /// and reports that never came (RFC 4975 7.1.1).
    pub(crate) fn sweep_messages(&mut self, now: Instant) {
        let limits = self.config.limits;
        let mut stale = Vec::new();
        let mut unanswered = Vec::new();
        for (slot, message) in &self.messages {
            let slot = u32::try_from(slot).expect("below MESSAGES_MAX");
            let quiet = now.since(message.touched_at);
            match message.phase {
                Phase::Open if quiet >= limits.chunk_timeout => stale.push(slot),
                Phase::Complete if quiet >= limits.response_timeout => unanswered.push(slot),
                Phase::Open | Phase::Complete => {}
            }
        }
        for slot in stale {
            self.report(slot, StatusCode::TIMEOUT);
            self.abort_message(slot);
        }
        for slot in unanswered {
            self.time_out(slot);
        }
        self.is_sweeping = !self.messages.is_empty();
        if self.is_sweeping {
            self.timers
                .arm(now + MESSAGE_SWEEP, Deadline::SweepMessages);
        }
    }

    fn time_out(&mut self, slot: u32) {
        let Some(message) = self.messages.get(slot as usize) else {
            return;
        };
        let is_late = message.failure_report == FailureReport::Yes
            && message
                .deliveries
                .iter()
                .any(|d| d.state == DeliveryState::Going && d.unanswered > 0);
        if is_late {
            self.report(slot, StatusCode::TIMEOUT);
        }
        self.free(slot);
    }
}

/// Codes that nobody knows are judged by their class.
fn is_success(status: StatusCode) -> bool {
    status.as_u16() / 100 == 2
}
