//! Answers and reports: from recipients in, aggregated, to the sender out.
//!
//! TS 24.247 9.3.3.1: one success REPORT when all available users have the complete message, one
//! failure REPORT when not all could be served; never one per recipient.

use clock::Instant;
use msrp::{ByteRange, FailureReport, Flag, Head, StatusCode};

use crate::api::{ConnId, Octets};
use crate::ident::{Tid, serial_of};
use crate::limits::{MESSAGE_POOL_MAX, MESSAGE_SWEEP};
use crate::message::{DeliveryState, Phase};
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
        let is_its = session.is_some_and(|s| {
            s.generation == delivery.session.generation && s.link == Link::Bound(conn)
        });
        if !is_its || delivery.state != DeliveryState::Going {
            return;
        }
        if status == StatusCode::OK {
            delivery.unanswered = delivery.unanswered.saturating_sub(1);
        } else {
            delivery.state = DeliveryState::Failed;
            let session = delivery.session;
            tracing::info!(session = ?self.sessions[session.index as usize].key,
                status = status.as_u16(), "recipient refused a message");
            // A failed message is not sent on to whom it failed (RFC 4975 7.3.2, 10.5).
            self.abort_copy(conn, serial.slot, usize::from(serial.ordinal));
            self.report(serial.slot, status);
        }
        self.conclude(serial.slot);
    }

    /// A recipient's REPORT about one of our copies; they keep the sender's Message-ID.
    pub(crate) fn handle_report(&mut self, conn: ConnId, head: &Head<'_>) {
        let (Some(id), Some(status)) = (head.message_id, &head.status) else {
            return;
        };
        let Some(connection) = self.connection(conn) else {
            return;
        };
        let ours = connection.sessions.clone();
        let found = self.messages.iter().find_map(|(slot, message)| {
            let ordinal = message
                .deliveries
                .iter()
                .position(|d| d.state == DeliveryState::Going && ours.contains(&d.session));
            ordinal
                .filter(|_| message.id == id)
                .map(|ordinal| (slot, ordinal))
        });
        let Some((slot, ordinal)) = found else { return };
        let message = &mut self.messages[slot];
        let delivery = &mut message.deliveries[ordinal];
        let slot = u32::try_from(slot).expect("below MESSAGES_MAX");
        if status.namespace == 0 && status.code == StatusCode::OK {
            let offset = head.byte_range.as_ref().map_or(0, ByteRange::offset);
            let end = head
                .byte_range
                .as_ref()
                .and_then(ByteRange::end)
                .unwrap_or(message.octets);
            let reported = delivery.reported.get_or_insert_with(Box::default);
            // More ranges than the bound: the recipient's word is lost, not ours.
            let _ = reported.add(offset, end.saturating_sub(offset));
        } else {
            let status = status.code;
            delivery.state = DeliveryState::Failed;
            self.abort_copy(conn, slot, ordinal);
            self.report(slot, status);
        }
        self.conclude(slot);
    }

    /// Reports and frees a message about which nothing more can be learned.
    pub(crate) fn conclude(&mut self, slot: u32) {
        let Some(message) = self.messages.get_mut(slot as usize) else {
            return;
        };
        for delivery in &mut message.deliveries {
            if message.phase == Phase::Complete
                && delivery.state == DeliveryState::Going
                && delivery.is_reported(message.octets)
            {
                delivery.state = DeliveryState::Done;
            }
        }
        if !message.is_concluded_by_all() {
            return;
        }
        if message.success_wanted && message.is_success() {
            self.report(slot, StatusCode::OK);
        }
        self.free(slot);
    }

    /// Sends the failure REPORT for recipients that failed while a piece was forwarded.
    pub(crate) fn report_failures(&mut self, slot: u32) {
        let message = self.messages.get(slot as usize);
        if message.is_some_and(|m| m.reports_failure() && m.has_failed_delivery()) {
            self.report(slot, StatusCode::STOP_SENDING);
        }
    }

    /// Sends one REPORT to the sender, if it wants it and can still be reached.
    fn report(&mut self, slot: u32, status: StatusCode) {
        let random = self.random();
        let message = &mut self.messages[slot as usize];
        if status != StatusCode::OK {
            if !message.reports_failure() {
                return;
            }
            message.is_reported = true;
        } else if message.is_reported {
            return;
        }
        let Some(sender) = self.sessions.get(message.sender.index as usize) else {
            return;
        };
        if sender.generation != message.sender.generation {
            return;
        }
        let Some(conn) = sender.conn() else { return };
        let total = (message.phase == Phase::Complete).then_some(message.octets);
        let range = ByteRange::new(0, Some(message.octets), total).expect("the total is the end");
        let tid = Tid::unmatched(random);
        let mut text = Vec::with_capacity(512);
        msrp::write::report(
            &mut text,
            tid.as_bytes(),
            &message.from_path,
            &sender.config.local_path,
            &message.id,
            range,
            status,
        );
        let session = message.sender;
        self.queue_frame(conn, Some(session), |out| out.extend_from_slice(&text));
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
        let mut touched = Vec::new();
        for (slot, message) in &mut self.messages {
            let delivery = message
                .deliveries
                .iter_mut()
                .find(|d| d.session == session && d.state == DeliveryState::Going);
            if let Some(delivery) = delivery {
                delivery.state = state;
                touched.push(u32::try_from(slot).expect("below MESSAGES_MAX"));
            }
        }
        touched
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

    /// Gives a message up: open copies end with `#`, nothing more of it is forwarded.
    pub(crate) fn abort_message(&mut self, slot: u32) {
        let Some(message) = self.messages.get_mut(slot as usize) else {
            return;
        };
        message.phase = Phase::Aborted;
        let recipients: Vec<_> = message.deliveries.iter().map(|d| d.session).collect();
        for (ordinal, session) in recipients.into_iter().enumerate() {
            let conn = self
                .session_at(session)
                .and_then(|s| self.sessions[s.index as usize].conn());
            if let Some(conn) = conn {
                self.abort_copy(conn, slot, ordinal);
            }
        }
        self.close_message(slot);
        self.conclude(slot);
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

    /// Ends with `#` whatever chunk is open towards a session that is leaving.
    pub(crate) fn abort_open_chunk_to(&mut self, conn: ConnId, session: SessionRef) {
        let Some(open) = self.connection(conn).and_then(|c| c.tx.open) else {
            return;
        };
        let ordinal = usize::from(open.ordinal);
        let is_its = self
            .messages
            .get(open.slot as usize)
            .and_then(|m| m.deliveries.get(ordinal))
            .is_some_and(|d| d.session == session);
        if is_its {
            self.abort_copy(conn, open.slot, ordinal);
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

    fn free(&mut self, slot: u32) {
        self.close_message(slot);
        let message = self.messages.remove(slot as usize);
        if self.spare_messages.len() < MESSAGE_POOL_MAX {
            self.spare_messages.push(message);
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
                Phase::Complete | Phase::Aborted if quiet >= limits.response_timeout => {
                    unanswered.push(slot);
                }
                Phase::Open | Phase::Complete | Phase::Aborted => {}
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
