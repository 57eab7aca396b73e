//! How messages end: complete, given up by their sender or by us, too late; and how deliveries end
//! before their message does.

use clock::Instant;
use msrp::{ByteRange, Flag, StatusCode};

use crate::api::{ConnId, Octets};
use crate::connection::Chunk;
use crate::context::Context;
use crate::fan_out::write_head;
use crate::ident::Tid;
use crate::limits::MESSAGE_SWEEP;
use crate::message::{DeliveryState, Message, MessageRef, Phase, index_key};
use crate::recent::Fate;
use crate::session::SessionRef;
use crate::shard::{Deadline, Shard};
use crate::shipment::Parcel;

impl<B: Octets> Shard<B> {
    /// Every delivery to a session that lost its connection has failed.
    pub(crate) fn fail_deliveries_to(&mut self, session: SessionRef, status: StatusCode) {
        for slot in self.end_deliveries_to(session, Some(status)) {
            self.report_failures(slot);
            self.conclude(slot);
        }
    }

    /// A session that left, or must not be sent to, is no longer an available user.
    pub(crate) fn drop_deliveries_to(&mut self, session: SessionRef) {
        for slot in self.end_deliveries_to(session, None) {
            self.conclude(slot);
        }
    }

    /// Ends the deliveries to a session, among the messages of its conference.
    fn end_deliveries_to(&mut self, session: SessionRef, failure: Option<StatusCode>) -> Vec<u32> {
        let entry = &self.sessions[session.index as usize];
        let (conn, seat) = (entry.conn(), entry.seat);
        let mates = self.contexts.get(&entry.context).into_iter();
        let mates = mates.flat_map(Context::members);
        let messages = mates.flat_map(|mate| {
            let mate = &self.sessions[mate.index as usize];
            mate.open.iter().chain(&mate.waiting).copied()
        });
        let ordinal_of = |slot: u32| self.messages[slot as usize].ordinal_of(seat);
        let touched: Vec<(u32, usize)> = messages
            .filter_map(|slot| Some((slot, ordinal_of(slot)?)))
            .collect();
        for &(slot, ordinal) in &touched {
            if let Some(conn) = conn {
                self.abort_copy(conn, slot, ordinal);
            }
            let message = &mut self.messages[slot as usize];
            match failure {
                Some(status) => message.fail(ordinal, status),
                None => message.settle(ordinal, DeliveryState::Left),
            }
        }
        touched.into_iter().map(|(slot, _)| slot).collect()
    }

    /// A recipient that the topology cuts off gets no more of what `sender` has begun.
    pub(crate) fn cut_deliveries(&mut self, sender: SessionRef, to: SessionRef) {
        let entry = &self.sessions[to.index as usize];
        let (conn, seat) = (entry.conn(), entry.seat);
        for at in 0..self.sessions[sender.index as usize].open.len() {
            let slot = self.sessions[sender.index as usize].open[at];
            if let Some(ordinal) = self.messages[slot as usize].ordinal_of(seat) {
                if let Some(conn) = conn {
                    self.abort_copy(conn, slot, ordinal);
                }
                self.messages[slot as usize].settle(ordinal, DeliveryState::Left);
            }
        }
    }

    /// What a session has sent is nobody's business any more: it left.
    pub(crate) fn forget_messages_from(&mut self, session: SessionRef) {
        self.abort_messages_from(session);
        while let Some(&slot) = self.sessions[session.index as usize].waiting.last() {
            self.free(slot);
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

    /// A request without body ends a message with `#`.
    pub(crate) fn abort_named(&mut self, name: MessageRef) {
        let message = self.messages.get(name.slot as usize);
        if message.is_some_and(|m| m.generation == name.generation && m.phase == Phase::Open) {
            self.abort_message(name.slot);
        }
    }

    /// Gives an open message up: copies that were begun end with `#`, in a chunk of its own where
    /// there is none to carry the flag (RFC 7701 6.1).
    pub(crate) fn abort_message(&mut self, slot: u32) {
        let count = match self.messages.get(slot as usize) {
            Some(message) => message.deliveries.len(),
            None => return,
        };
        self.ship_word(slot, Parcel::Abort);
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
        let is_own = message.origin().is_none();
        let (sender, hash) = (message.sender, self.hash_of(&message.id));
        if is_own && self.session_at(sender).is_some() {
            let entry = &mut self.sessions[sender.index as usize];
            let recent = entry.recent.get_or_insert_with(Box::default);
            recent.remember(hash, Fate::Ended(StatusCode::STOP_SENDING));
        }
        self.record_end(slot, false);
        self.free(slot);
    }

    /// Ends a copy that goes on with `#`.
    fn abort_copy(&mut self, conn: ConnId, slot: u32, ordinal: usize) {
        if !self.abort_open_copy(conn, slot, ordinal) {
            self.write_abort(conn, slot, ordinal);
        }
    }

    /// Ends the copy of a chunk that is open on `conn`, if it is this delivery's, with `#`. Returns
    /// whether it was.
    pub(crate) fn abort_open_copy(&mut self, conn: ConnId, slot: u32, ordinal: usize) -> bool {
        let Self { conns, supply, .. } = self;
        let Some(connection) = conns.get_mut(conn).filter(|c| !c.is_closing) else {
            return false;
        };
        let Some(open) = connection.tx.open.take_if(|o| o.is(slot, ordinal)) else {
            return false;
        };
        connection.tx.end_chunk(supply, &open.tid, Flag::Abort);
        self.mark_dirty(conn);
        true
    }

    /// The chunk without octets that ends a copy between two of its chunks.
    fn write_abort(&mut self, conn: ConnId, slot: u32, ordinal: usize) {
        let tid = Tid::unmatched(self.random());
        let message = &self.messages[slot as usize];
        let delivery = &message.deliveries[ordinal];
        let is_due = message.phase == Phase::Open
            && delivery.state == DeliveryState::Going
            && delivery.is_begun();
        let Some(session) = self.session_at(delivery.session).filter(|_| is_due) else {
            return;
        };
        let at = message.forwarded;
        let total = message.told_octets.filter(|t| *t >= at);
        let range = ByteRange::new(at, None, total).expect("the total is not less");
        let entry = &self.sessions[session.index as usize];
        let mut text = core::mem::take(&mut self.scratch);
        text.clear();
        write_head(&mut text, &tid, entry, message, range);
        msrp::write::body_end_line(&mut text, tid.as_bytes(), Flag::Abort);
        self.queue_frame(conn, Some(session), |out| out.extend_from_slice(&text));
        self.scratch = text;
    }

    /// A chunk has ended: is its message complete?
    pub(crate) fn end_chunk(
        &mut self,
        now: Instant,
        session: SessionRef,
        chunk: &Chunk,
        flag: Flag,
    ) {
        let Some(message) = self.messages.get_mut(chunk.slot as usize) else {
            return;
        };
        if message.generation != chunk.generation {
            return;
        }
        if flag == Flag::Abort {
            // Those who got the beginning got the flag, too.
            self.ship_word(chunk.slot, Parcel::GiveUp);
            return self.give_up(chunk.slot);
        }
        if flag == Flag::Complete
            && let Some(ranges) = &mut message.ranges
        {
            ranges.set_total(chunk.offset);
            message.octets = chunk.offset;
        }
        let is_complete = match &message.ranges {
            Some(ranges) => ranges.is_complete(),
            None => flag == Flag::Complete,
        };
        if is_complete {
            self.complete_message(now, session, chunk.slot);
        }
    }

    fn complete_message(&mut self, now: Instant, session: SessionRef, slot: u32) {
        self.open_ages.remove(&mut self.messages, slot);
        let message = &mut self.messages[slot as usize];
        message.touched_at = now;
        message.complete();
        self.complete_ages.append(&mut self.messages, slot);
        self.record_end(slot, true);
        if self.messages[slot as usize].is_watched {
            self.tell_passed(session, slot);
        }
        let message = &mut self.messages[slot as usize];
        let (hash, octets, is_far) = (message.hash, message.octets, message.far.is_some());
        self.gauges.add_messages(1);
        self.gauges.add_copies(message.deliveries.len());
        let is_repeatable =
            message.takes_reports() && (message.failure.is_none() || message.is_ours());
        if let Some(entry) = self.sessions.get_mut(session.index as usize) {
            entry.statistics.messages_received += 1;
            if is_repeatable {
                let recent = entry.recent.get_or_insert_with(Box::default);
                recent.remember(hash, Fate::Forwarded { octets });
            }
        }
        if is_far {
            self.ship_word(slot, |message| Parcel::Complete { message, octets });
        }
        self.close_message(slot);
        self.conclude(slot);
        self.await_answers(slot, session);
    }

    /// The same for one whose sender another shard has: it counts there, and is known there.
    pub(crate) fn complete_foreign(&mut self, now: Instant, slot: u32, octets: u64) {
        self.open_ages.remove(&mut self.messages, slot);
        let message = &mut self.messages[slot as usize];
        message.touched_at = now;
        message.octets = octets;
        message.complete();
        let sender = message.sender;
        self.gauges.add_copies(message.deliveries.len());
        self.complete_ages.append(&mut self.messages, slot);
        self.record_end(slot, true);
        if self.messages[slot as usize].is_watched {
            self.tell_passed(sender, slot);
        }
        self.close_message(slot);
        self.conclude(slot);
        self.await_answers(slot, sender);
    }

    /// A complete message that recipients still have to answer is its sender's.
    fn await_answers(&mut self, slot: u32, sender: SessionRef) {
        let Some(message) = self.messages.get_mut(slot as usize) else {
            return;
        };
        if message.phase == Phase::Complete && message.waits_at.is_none() {
            let waiting = &mut self.sessions[sender.index as usize].waiting;
            message.waits_at = Some(u32::try_from(waiting.len()).expect("below MESSAGES_MAX"));
            waiting.push(slot);
        }
    }

    /// The sender's list no longer holds a message that has all its chunks.
    fn close_message(&mut self, slot: u32) {
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
        let message = &self.messages[slot as usize];
        let (phase, is_far) = (message.phase, message.far.is_some());
        if is_far {
            self.forget_origin(slot);
        }
        match phase {
            Phase::Open => {
                self.close_message(slot);
                self.open_ages.remove(&mut self.messages, slot);
            }
            Phase::Complete => {
                self.stop_waiting(slot);
                self.complete_ages.remove(&mut self.messages, slot);
            }
        }
        let message = self.messages.remove(slot as usize);
        if message.takes_reports() {
            self.unlist(slot, &message);
        }
        self.spare_message(message);
    }

    fn stop_waiting(&mut self, slot: u32) {
        let message = &self.messages[slot as usize];
        let (sender, at) = (message.sender, message.waits_at);
        let (Some(at), Some(sender)) = (at, self.session_at(sender)) else {
            return;
        };
        let waiting = &mut self.sessions[sender.index as usize].waiting;
        waiting.swap_remove(at as usize);
        if let Some(&moved) = waiting.get(at as usize) {
            self.messages[moved as usize].waits_at = Some(at);
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
        let is_due = |message: &Message, timeout| now.since(message.touched_at) >= timeout;
        while let Some(slot) = self.open_ages.oldest()
            && is_due(&self.messages[slot as usize], limits.chunk_timeout)
        {
            self.report(slot, StatusCode::TIMEOUT);
            self.abort_message(slot);
        }
        while let Some(slot) = self.complete_ages.oldest()
            && is_due(&self.messages[slot as usize], limits.response_timeout)
        {
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
        // It is still here, so an answer is still to come.
        if message.wants_answers() {
            self.report(slot, StatusCode::TIMEOUT);
        }
        self.free(slot);
    }
}
