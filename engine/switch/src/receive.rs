//! Octets in: frames found, requests judged, chunks handed to the fan-out, answers written.

use core::ops::Range;

use clock::Instant;
use msrp::{
    Body, ByteRange, Deframer, FailureReport, Flag, Head, HeadFault, Item, Method, Start,
    StatusCode,
};

use crate::api::{ConnId, LossCause, Octets, Output, ShardIndex};
use crate::connection::{Chunk, Frame, Repeat};
use crate::forward::Piece;
use crate::ident::owner_of;
use crate::limits::{MESSAGE_BYTES_CEILING, MESSAGES_MAX};
use crate::message::{Fate, Message, index_key};
use crate::refusal::Refusal;
use crate::session::{Link, SessionRef};
use crate::shard::Shard;

/// How reading a buffer ended.
enum Read {
    /// Every octet was taken.
    All,
    /// The connection's first request is for another shard.
    Foreign(ShardIndex),
    /// Framing is lost.
    Fatal(msrp::Fatal),
}

impl<B: Octets> Shard<B> {
    pub(crate) fn handle_received(&mut self, now: Instant, conn: ConnId, octets: &B) {
        let Some(connection) = self.connection(conn).filter(|c| !c.is_closing) else {
            return;
        };
        if let Some(prelude) = &mut connection.prelude {
            prelude.extend_from_slice(octets.as_ref());
        }
        let mut deframer = core::mem::take(&mut connection.deframer);
        let read = self.read(now, conn, &mut deframer, octets);
        if let Some(connection) = self.connection(conn) {
            connection.deframer = deframer;
        }
        match read {
            Read::All => self.count_received(conn, octets.as_ref().len()),
            Read::Foreign(to) => self.hand_over(conn, to),
            Read::Fatal(fatal) => {
                if let Some(connection) = self.connection(conn) {
                    tracing::info!(peer = %connection.peer, %fatal, "closing: framing lost");
                }
                self.answer_broken(conn, &fatal);
                self.lose_sessions(conn, LossCause::Protocol);
                self.close(conn);
            }
        }
    }

    /// A request whose body holds its own end-line is answered before its connection is closed
    /// (RFC 4975 erratum 4177); after other faults there is no telling what would be answered.
    fn answer_broken(&mut self, conn: ConnId, fatal: &msrp::Fatal) {
        if !matches!(fatal, msrp::Fatal::EmbeddedEndLine) {
            return;
        }
        let frame = self.connection(conn).and_then(|c| c.frame.take());
        if let Some(mut frame) = frame {
            let is_silent = frame.failure_report == FailureReport::No;
            frame.answer = (!is_silent).then_some(StatusCode::BAD_REQUEST);
            self.answer(conn, &frame);
            self.recycle_frame(Some(frame));
        }
    }

    /// Walks the frames of one buffer. The last body piece is kept until the next item is known:
    /// a chunk that ends inside the buffer is forwarded as a whole.
    fn read(&mut self, now: Instant, conn: ConnId, deframer: &mut Deframer, octets: &B) -> Read {
        let bytes = octets.as_ref();
        let mut at = 0;
        let mut last: Option<Range<usize>> = None;
        loop {
            let step = match deframer.next(&bytes[at..]) {
                Ok(step) => step,
                Err(fatal) => return Read::Fatal(fatal),
            };
            let base = at;
            at += step.consumed;
            match step.item {
                Some(Item::Head(head)) => {
                    if let Some(owner) = self.begin_frame(now, conn, &head) {
                        return Read::Foreign(owner);
                    }
                }
                Some(Item::Body(Body::Input(range))) => {
                    if let Some(piece) = last.replace(base + range.start..base + range.end) {
                        self.take_body(now, conn, Piece::Shared(octets, piece), None);
                    }
                }
                Some(Item::Body(Body::Held(held))) => {
                    if let Some(piece) = last.take() {
                        self.take_body(now, conn, Piece::Shared(octets, piece), None);
                    }
                    self.take_body(now, conn, Piece::Copied(held), None);
                }
                Some(Item::End(flag)) => {
                    let piece = last
                        .take()
                        .map_or(Piece::Empty, |p| Piece::Shared(octets, p));
                    self.take_body(now, conn, piece, Some(flag));
                    self.end_frame(now, conn, flag, deframer.end_fault());
                }
                None => {
                    if let Some(piece) = last.take() {
                        self.take_body(now, conn, Piece::Shared(octets, piece), None);
                    }
                    return Read::All;
                }
            }
            if self.connection(conn).is_none_or(|c| c.is_closing) {
                return Read::All;
            }
        }
    }

    /// Reads a head. Returns the shard that should have got it, if that is another one.
    fn begin_frame(&mut self, now: Instant, conn: ConnId, head: &Head<'_>) -> Option<ShardIndex> {
        let is_first = self.connection(conn)?.prelude.is_some();
        match head.start {
            Start::Response { status, .. } => {
                if head.fault.is_none() {
                    self.handle_response(conn, head.transaction_id, status);
                }
            }
            Start::Request(Method::Report) => {
                if head.fault.is_none() {
                    self.handle_report(conn, head);
                }
            }
            Start::Request(Method::Send | Method::Auth | Method::Nickname | Method::Unknown(_)) => {
                if let Some(owner) = is_first.then(|| self.foreign_owner(head)).flatten() {
                    return Some(owner);
                }
                self.begin_request(now, conn, head);
            }
        }
        self.connection(conn)?.prelude = None;
        None
    }

    /// The other shard that made the session-id of the To-Path, if one did.
    fn foreign_owner(&self, head: &Head<'_>) -> Option<ShardIndex> {
        if head.fault.is_some() {
            return None;
        }
        let id = msrp::session_id_of(sole_uri(head)?)?;
        if self.by_id.contains_key(id) {
            return None;
        }
        owner_of(id).filter(|o| *o != self.config.index && o.0 < self.config.shards)
    }

    fn begin_request(&mut self, now: Instant, conn: ConnId, head: &Head<'_>) {
        let mut frame = self.frame_pool.pop().unwrap_or_default();
        frame.begin(head);
        match self.judge(now, conn, head, &mut frame) {
            Ok(()) => frame.answer = frame.success_answer(),
            Err(refusal) => {
                self.refuse(conn, head, &mut frame, &refusal);
                self.abort_refused(frame.session, head);
            }
        }
        if let Some(connection) = self.connection(conn) {
            connection.frame = Some(frame);
        }
    }

    fn refuse(&mut self, conn: ConnId, head: &Head<'_>, frame: &mut Frame, refusal: &Refusal) {
        let is_silent = frame.failure_report == FailureReport::No || frame.from_path.is_empty();
        frame.answer = (!is_silent).then(|| refusal.status());
        let strikes_max = self.config.limits.strikes_max;
        let Some(connection) = self.connection(conn) else {
            return;
        };
        tracing::info!(
            peer = %connection.peer,
            transaction = %head.transaction_id.escape_ascii(),
            %refusal,
            "request refused"
        );
        if head.fault.is_some() {
            connection.strikes = connection.strikes.saturating_add(1);
            if connection.strikes >= strikes_max {
                tracing::info!(peer = %connection.peer, "closing: too many faulty requests");
                // The last answer still goes out: end_frame writes it, then closes.
            }
        }
    }

    /// A refused chunk ends its message for those who got the beginning: the sender stops.
    fn abort_refused(&mut self, session: Option<SessionRef>, head: &Head<'_>) {
        let is_chunk = head.start == Start::Request(Method::Send) && head.has_body;
        let Some(session) = session.filter(|_| is_chunk) else {
            return;
        };
        if let Some(slot) = self.open_message(session, head) {
            self.abort_message(slot);
        }
    }

    /// Decides about a request in the order of RFC 4975 7.3: grammar, session, connection, method,
    /// then what the method asks for.
    fn judge(
        &mut self,
        now: Instant,
        conn: ConnId,
        head: &Head<'_>,
        frame: &mut Frame,
    ) -> Result<(), Refusal> {
        if let Some(fault) = &head.fault {
            return Err(Refusal::Fault(*fault));
        }
        let session = self.session_for(conn, head)?;
        frame.session = Some(session);
        match head.start {
            Start::Request(Method::Send) => {}
            Start::Request(_) | Start::Response { .. } => return Err(Refusal::UnknownMethod),
        }
        if !head.has_body {
            return Ok(());
        }
        self.judge_body(now, session, head, frame)
    }

    /// The session a request is for, bound to this connection by its first request.
    fn session_for(&mut self, conn: ConnId, head: &Head<'_>) -> Result<SessionRef, Refusal> {
        let uri = sole_uri(head).ok_or(Refusal::UnknownSession)?;
        if let Some(session) = self.current_session(conn, uri) {
            return Ok(session);
        }
        // TS 23.333: only the session-id part is matched; SBCs rewrite the rest.
        let id = msrp::session_id_of(uri).ok_or(Refusal::UnknownSession)?;
        let session = *self.by_id.get(id).ok_or(Refusal::UnknownSession)?;
        match self.sessions[session.index as usize].link {
            Link::Bound(bound) if bound == conn => Ok(session),
            Link::Bound(_) => Err(Refusal::SessionInUse),
            Link::Waiting if self.is_draining => Err(Refusal::Draining),
            Link::Waiting if self.sessions[session.index as usize].config.is_blocked => {
                Err(Refusal::Blocked)
            }
            Link::Waiting => {
                let limit = self.config.limits.sessions_per_connection_max;
                if self
                    .connection(conn)
                    .is_none_or(|c| c.sessions.len() >= limit)
                {
                    return Err(Refusal::TooManySessions);
                }
                self.bind(conn, session);
                Ok(session)
            }
            Link::Connecting { .. } | Link::Lost => Err(Refusal::UnknownSession),
        }
    }

    /// The usual case without a hash: the connection's only session, its path octet for octet.
    pub(crate) fn current_session(&self, conn: ConnId, uri: &[u8]) -> Option<SessionRef> {
        let connection = self.conns.get(conn.index as usize)?.as_deref()?;
        let &[session] = connection.sessions.as_slice() else {
            return None;
        };
        let config = &self.sessions.get(session.index as usize)?.config;
        (*config.local_path == *uri).then_some(session)
    }

    fn judge_body(
        &mut self,
        now: Instant,
        session: SessionRef,
        head: &Head<'_>,
        frame: &mut Frame,
    ) -> Result<(), Refusal> {
        let entry = &self.sessions[session.index as usize];
        if !entry.config.receives {
            return Err(Refusal::NotAllowed);
        }
        if !entry.accepts(head.content_type.unwrap_or_default()) {
            return Err(Refusal::ContentTypeNotAccepted);
        }
        let offset = head.byte_range.as_ref().map_or(0, ByteRange::offset);
        let total = head.byte_range.as_ref().and_then(ByteRange::total);
        let limit_bytes = self.message_bytes_max(session);
        if total.unwrap_or(offset) > limit_bytes {
            return Err(Refusal::MessageTooLarge { limit_bytes });
        }
        if self.open_message(session, head).is_none() {
            frame.repeats = self.recall(session, head)?;
            if frame.repeats.is_some() {
                return Ok(());
            }
        }
        let slot = self.message_for(now, session, head)?;
        let random = self.random();
        frame.id_end = crate::forward::write_fields(head, &mut frame.fields);
        frame.chunk = Some(Chunk {
            slot,
            generation: self.messages[slot as usize].generation,
            offset,
            total,
            random,
            is_streaming: false,
            held: None,
            trail: crate::connection::Trail::default(),
        });
        Ok(())
    }

    /// Largest message this session may send, octets.
    pub(crate) fn message_bytes_max(&self, session: SessionRef) -> u64 {
        let own = self.sessions[session.index as usize]
            .config
            .receive_bytes_max;
        own.unwrap_or(u64::MAX)
            .min(self.config.limits.message_bytes_max)
            .min(MESSAGE_BYTES_CEILING)
    }

    /// The message of this session that a chunk goes on with.
    fn open_message(&self, session: SessionRef, head: &Head<'_>) -> Option<u32> {
        let id = head.message_id.unwrap_or_default();
        let open = &self.sessions[session.index as usize].open;
        let mut open = open.iter().copied();
        open.find(|slot| self.messages[*slot as usize].id == id)
    }

    /// What a chunk is to us whose message is not open but was lately: a repeat (RFC 4975 5.4), the
    /// rest of what was given up, or the beginning of another attempt.
    fn recall(&self, session: SessionRef, head: &Head<'_>) -> Result<Option<Repeat>, Refusal> {
        let entry = &self.sessions[session.index as usize];
        let Some(recent) = &entry.recent else {
            return Ok(None);
        };
        let range = head.byte_range.as_ref();
        let hash = self.hash_of(head.message_id.unwrap_or_default());
        let (octets, is_delivered) = match recent.fate(hash) {
            Some(Fate::GivenUp) if range.is_some_and(|r| r.offset() > 0) => {
                return Err(Refusal::GivenUp);
            }
            Some(Fate::GivenUp) | None => return Ok(None),
            Some(Fate::Forwarded { octets }) => (octets, false),
            Some(Fate::Delivered { octets }) => (octets, true),
        };
        // A sender that waits for neither answer nor report has no reason to send again, and one
        // that claims another length uses the name for another message.
        let awaits = head.success_report || head.failure_report != FailureReport::No;
        let is_same = range.and_then(ByteRange::total).is_none_or(|t| t == octets);
        Ok((awaits && is_same).then_some(Repeat {
            octets,
            reports_success: head.success_report && is_delivered,
        }))
    }

    /// The message a chunk belongs to: one that goes on, or a new one with the recipients that
    /// are available now.
    fn message_for(
        &mut self,
        now: Instant,
        session: SessionRef,
        head: &Head<'_>,
    ) -> Result<u32, Refusal> {
        if let Some(slot) = self.open_message(session, head) {
            return Ok(slot);
        }
        let open = &self.sessions[session.index as usize].open;
        if open.len() >= self.config.limits.messages_open_max || self.messages.len() >= MESSAGES_MAX
        {
            return Err(Refusal::TooManyMessages);
        }
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let mut message = match self.spare_messages.pop() {
            Some(mut message) => {
                message.recycle(generation, session, now);
                message
            }
            None => Message::new(generation, session, now),
        };
        let id = head.message_id.unwrap_or_default();
        message.context = self.sessions[session.index as usize].context;
        message.id.extend_from_slice(id);
        message.from_path.extend_from_slice(head.from_path);
        message.success_wanted = head.success_report;
        message.failure_report = head.failure_report;
        self.list_recipients(session, &mut message.deliveries);
        let takes_reports = message.takes_reports();
        if takes_reports {
            message.hash = self.hash_of(id);
        }
        let key = index_key(message.context, message.hash);
        let slot = u32::try_from(self.messages.insert(message)).expect("below MESSAGES_MAX");
        if takes_reports {
            self.by_message_id.insert(key, slot);
        }
        self.sessions[session.index as usize].open.push(slot);
        self.start_sweeping(now);
        Ok(slot)
    }

    fn take_body(&mut self, now: Instant, conn: ConnId, piece: Piece<'_, B>, flag: Option<Flag>) {
        let Some(connection) = self.connection(conn) else {
            return;
        };
        let Some(mut frame) = connection.frame.take() else {
            return;
        };
        if frame.chunk.is_some() {
            self.forward(now, conn, &mut frame, piece, flag);
        }
        if let Some(connection) = self.connection(conn) {
            connection.frame = Some(frame);
        }
    }

    fn end_frame(&mut self, now: Instant, conn: ConnId, flag: Flag, fault: Option<HeadFault>) {
        let Some(connection) = self.connection(conn) else {
            return;
        };
        let Some(mut frame) = connection.frame.take() else {
            return;
        };
        if let Some(fault) = fault {
            tracing::info!(peer = %connection.peer, %fault, "request refused at its end");
            frame.answer = frame.answer.map(|_| fault.status());
        }
        let must_close = connection.strikes >= self.config.limits.strikes_max;
        self.answer(conn, &frame);
        if let (Some(chunk), Some(session)) = (frame.chunk.take(), frame.session) {
            self.end_chunk(now, session, &chunk, flag);
        }
        if flag == Flag::Complete {
            self.report_repeat(conn, &frame);
        }
        self.recycle_frame(Some(frame));
        if must_close {
            self.lose_sessions(conn, LossCause::Protocol);
            self.close(conn);
        }
    }

    /// The REPORT about a message that came again, when all recipients have had it already. When
    /// they have not, the one about the first time is still to come.
    fn report_repeat(&mut self, conn: ConnId, frame: &Frame) {
        let repeats = frame.repeats.filter(|r| r.reports_success);
        let session = frame.session.and_then(|s| self.session_at(s));
        let (Some(repeats), Some(session)) = (repeats, session) else {
            return;
        };
        let range = ByteRange::whole(repeats.octets);
        let (to, id) = (&frame.from_path, &frame.message_id);
        self.send_report(conn, session, to, id, range, StatusCode::OK);
    }

    /// Writes the response to a request: to the leftmost From-Path URI for SEND, to all of them
    /// for other methods (RFC 4975 7.2).
    fn answer(&mut self, conn: ConnId, frame: &Frame) {
        let Some(status) = frame.answer else { return };
        let to = if frame.answers_whole_path {
            frame.from_path.as_slice()
        } else {
            first_uri(&frame.from_path)
        };
        let own = self.answering_session(conn, frame);
        // The path is taken out for the moment: the whole shard is needed to queue a frame.
        let own = own.map(|s| {
            let path = &mut self.sessions[s.index as usize].config.local_path;
            (s, core::mem::take(path))
        });
        let from = own.as_ref().map_or(first_uri(&frame.to_path), |(_, p)| p);
        if !from.is_empty() {
            self.queue_frame(conn, frame.session, |out| {
                msrp::write::response(out, &frame.tid, status, to, from);
            });
        }
        if let Some((session, path)) = own {
            self.sessions[session.index as usize].config.local_path = path;
        }
    }

    /// Whose path a response comes from: that of the session asked for or, when the head is too
    /// broken to tell, of one that the connection carries. Without either the To-Path is sent back.
    fn answering_session(&self, conn: ConnId, frame: &Frame) -> Option<SessionRef> {
        if let Some(session) = frame.session {
            return self.session_at(session);
        }
        let connection = self.conns.get(conn.index as usize)?.as_deref()?;
        let carried = connection.sessions.first().filter(|_| frame.is_faulty)?;
        self.session_at(*carried)
    }

    /// A chunk has ended: is its message complete?
    fn end_chunk(&mut self, now: Instant, session: SessionRef, chunk: &Chunk, flag: Flag) {
        let Some(message) = self.messages.get_mut(chunk.slot as usize) else {
            return;
        };
        if message.generation != chunk.generation {
            return;
        }
        message.touched_at = now;
        if flag == Flag::Abort {
            // Those who got the beginning got the flag, too.
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
            self.complete_message(session, chunk.slot);
        }
    }

    fn complete_message(&mut self, session: SessionRef, slot: u32) {
        let message = &mut self.messages[slot as usize];
        message.complete();
        self.record_end(slot, true);
        let message = &mut self.messages[slot as usize];
        if let Some(entry) = self.sessions.get_mut(session.index as usize) {
            entry.statistics.messages_received += 1;
            if !message.has_failed && message.takes_reports() {
                let octets = message.octets;
                let recent = entry.recent.get_or_insert_with(Box::default);
                recent.remember(message.hash, Fate::Forwarded { octets });
            }
        }
        self.close_message(slot);
        self.conclude(slot);
    }

    /// `nt/or`: octets count for the session of the connection, or of the frame going on.
    fn count_received(&mut self, conn: ConnId, octets: usize) {
        let Some(connection) = self.connection(conn) else {
            return;
        };
        let ongoing = connection.frame.as_ref().and_then(|f| f.session);
        let session = ongoing.or_else(|| connection.sessions.last().copied());
        if let Some(session) = session.and_then(|s| self.session_at(s)) {
            self.sessions[session.index as usize]
                .statistics
                .octets_received += octets as u64;
        }
    }

    fn hand_over(&mut self, conn: ConnId, to: ShardIndex) {
        let Some(mut connection) = self
            .conns
            .get_mut(conn.index as usize)
            .and_then(Option::take)
        else {
            return;
        };
        if let Some(timer) = connection.probation.take() {
            self.timers.cancel(timer);
        }
        let octets = connection.prelude.take().unwrap_or_default();
        self.outputs
            .push_back(Output::Handover { conn, to, octets });
    }
}

/// The leftmost URI of a path.
fn first_uri(path: &[u8]) -> &[u8] {
    path.split(|&c| c == b' ').next().unwrap_or_default()
}

/// The To-Path's URI when it holds exactly one, as it must at an endpoint (RFC 4975 7.3).
pub(crate) fn sole_uri<'a>(head: &Head<'a>) -> Option<&'a [u8]> {
    let mut uris = head.to_path.split(|&c| c == b' ').filter(|u| !u.is_empty());
    let uri = uris.next()?;
    uris.next().is_none().then_some(uri)
}

impl Frame {
    /// Starts over with another request, allocations kept.
    fn begin(&mut self, head: &Head<'_>) {
        for (kept, text) in [
            (&mut self.tid, head.transaction_id),
            (&mut self.from_path, head.from_path),
            (&mut self.to_path, head.to_path),
            (&mut self.message_id, head.message_id.unwrap_or_default()),
        ] {
            kept.clear();
            kept.extend_from_slice(text);
        }
        self.fields.clear();
        self.beginning.clear();
        self.answer = None;
        self.failure_report = head.failure_report;
        self.answers_whole_path = !matches!(head.start, Start::Request(Method::Send));
        self.is_faulty = head.fault.is_some();
        self.session = None;
        self.chunk = None;
        self.repeats = None;
    }

    /// 200, or silence when the sender does not want it (RFC 4975 7.2).
    fn success_answer(&self) -> Option<StatusCode> {
        match self.failure_report {
            FailureReport::Yes => Some(StatusCode::OK),
            FailureReport::Partial | FailureReport::No => None,
        }
    }
}
