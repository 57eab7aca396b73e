//! Requests judged: the session they are for, then what their method asks for.

use clock::Instant;
use msrp::{ByteRange, FailureReport, Head, Method, MsrpUri, Start, StatusCode};

use crate::answer::sole_uri;
use crate::api::{ConnId, Octets};
use crate::begin::new_wrapper;
use crate::config::{Matching, Profile};
use crate::connection::{Chunk, Frame, Repeat, Trail};
use crate::fan_out::write_fields;
use crate::limits::{MESSAGE_BYTES_CEILING, MESSAGES_MAX};
use crate::message::{Message, MessageRef, index_key};
use crate::recent::Fate;
use crate::refusal::Refusal;
use crate::session::{Link, SessionRef, is_type};
use crate::shard::Shard;

impl<B: Octets> Shard<B> {
    /// A refused chunk ends its message for those who got the beginning: the sender stops, and what
    /// it has sent meanwhile is refused, too.
    pub(crate) fn abort_refused(
        &mut self,
        session: Option<SessionRef>,
        head: &Head<'_>,
        refusal: &Refusal,
    ) {
        let is_chunk = head.start == Start::Request(Method::Send) && head.has_body;
        let Some(session) = session.filter(|_| is_chunk) else {
            return;
        };
        if let Some(slot) = self.open_message(session, head) {
            self.abort_message(slot);
        }
        if let Some(id) = head.message_id {
            self.remember_refused(session, id, refusal.status());
        }
    }

    /// Later chunks of a refused message get this status until it begins anew.
    pub(crate) fn remember_refused(&mut self, session: SessionRef, id: &[u8], status: StatusCode) {
        let hash = self.hash_of(id);
        let entry = &mut self.sessions[session.index as usize];
        let recent = entry.recent.get_or_insert_with(Box::default);
        recent.refuse(hash, status);
    }

    /// Decides about a request in the order of RFC 4975 7.3: grammar, session, connection, method,
    /// then what the method asks for.
    pub(crate) fn judge(
        &mut self,
        now: Instant,
        conn: ConnId,
        head: &Head<'_>,
        frame: &mut Frame,
    ) -> Result<(), Refusal> {
        if let Some(fault) = &head.fault {
            return Err(Refusal::Fault(*fault));
        }
        let session = self.session_for(now, conn, head)?;
        frame.session = Some(session);
        let entry = &mut self.sessions[session.index as usize];
        entry.heard_at = now;
        match head.start {
            Start::Request(Method::Send) => {}
            Start::Request(Method::Nickname) if entry.config.terms.profile == Profile::Chatroom => {
                return self.take_nickname(now, (conn, session), head, frame);
            }
            Start::Request(_) | Start::Response { .. } => return Err(Refusal::UnknownMethod),
        }
        if !head.has_body {
            let slot = self.open_message(session, head);
            frame.bodiless = slot.map(|slot| self.name_of(slot));
            return Ok(());
        }
        self.judge_body(now, session, head, frame)
    }

    /// The session a request is for, bound to this connection by its first request.
    fn session_for(
        &mut self,
        now: Instant,
        conn: ConnId,
        head: &Head<'_>,
    ) -> Result<SessionRef, Refusal> {
        let uri = sole_uri(head).ok_or(Refusal::UnknownSession)?;
        if let Some(session) = self.current_session(conn, uri) {
            return Ok(session);
        }
        let session = self.named_session(uri).ok_or(Refusal::UnknownSession)?;
        match self.sessions[session.index as usize].link.get() {
            Link::Bound(bound) if bound == conn => Ok(session),
            Link::Bound(_) => Err(Refusal::SessionInUse),
            Link::Waiting if self.is_draining => Err(Refusal::Draining),
            Link::Waiting if self.sessions[session.index as usize].config.is_blocked => {
                self.abort_refused(Some(session), head, &Refusal::Blocked);
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
                self.check_security(now, conn, session)?;
                self.bind(now, conn, session);
                Ok(session)
            }
            Link::Connecting { .. } | Link::Lost | Link::Elsewhere(_) => {
                Err(Refusal::UnknownSession)
            }
        }
    }

    /// The session that a To-Path names, as far as its URI must match.
    pub(crate) fn named_session(&self, uri: &[u8]) -> Option<SessionRef> {
        let session = self.sessions.of_id(msrp::session_id_of(uri)?)?;
        let config = &self.sessions[session.index as usize].config;
        let is_named = match config.terms.matching {
            // TS 23.333: only the session-id part is matched; SBCs rewrite the rest.
            Matching::SessionId => true,
            Matching::Uri => match (MsrpUri::parse(uri), MsrpUri::parse(&config.local_path)) {
                (Ok(named), Ok(own)) => named.matches(&own),
                (Ok(_) | Err(_), _) => false,
            },
        };
        is_named.then_some(session)
    }

    /// The usual case without a hash: the connection's only session, its path octet for octet.
    pub(crate) fn current_session(&self, conn: ConnId, uri: &[u8]) -> Option<SessionRef> {
        let connection = self.conns.get(conn)?;
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
        let content_type = head.content_type.unwrap_or_default();
        // What it sent before, it may send.
        let is_known = self.has_list(session, content_type);
        let is_wrapped = !is_known && is_type(content_type, b"message/cpim");
        let is_room = entry.config.terms.profile == Profile::Chatroom;
        if !is_known && (!entry.accepts(content_type) || (is_room && !is_wrapped)) {
            return Err(Refusal::ContentTypeNotAccepted);
        }
        let range = head.byte_range.as_ref();
        let offset = range.map_or(0, ByteRange::offset);
        let total = range.and_then(ByteRange::total);
        let limit_bytes = self.message_bytes_max(session);
        if total.unwrap_or(offset) > limit_bytes {
            return Err(Refusal::MessageTooLarge { limit_bytes });
        }
        let open = self.open_message(session, head);
        if open.is_none() {
            frame.repeats = self.recall(session, head)?;
            if frame.repeats.is_some() {
                return Ok(());
            }
        }
        let slot = match open {
            Some(slot) => slot,
            // Without its beginning nobody knows to whom it goes.
            None if is_room && offset > 0 => return Err(Refusal::NoBeginning),
            None => self.open_new(now, session, head, is_wrapped && offset == 0)?,
        };
        let random = self.random();
        let message = &mut self.messages[slot as usize];
        message.told_octets = total;
        frame.chunk = Some(Chunk {
            slot,
            generation: message.generation,
            offset: place_of(message, offset)?,
            total,
            random,
            copied: 0,
            is_streaming: false,
            trail: Trail::default(),
        });
        Ok(())
    }

    /// Largest message this session may send, octets.
    pub(crate) fn message_bytes_max(&self, session: SessionRef) -> u64 {
        let own = self.sessions[session.index as usize]
            .config
            .terms
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
    /// rest of what was refused or given up, or the beginning of another attempt.
    fn recall(&self, session: SessionRef, head: &Head<'_>) -> Result<Option<Repeat>, Refusal> {
        let entry = &self.sessions[session.index as usize];
        let Some(recent) = &entry.recent else {
            return Ok(None);
        };
        let range = head.byte_range.as_ref();
        let hash = self.hash_of(head.message_id.unwrap_or_default());
        let (octets, is_delivered) = match recent.fate(hash) {
            Some(Fate::Ended(status)) if range.is_some_and(|r| r.offset() > 0) => {
                return Err(Refusal::Rest(status));
            }
            Some(Fate::Ended(_)) | None => return Ok(None),
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

    /// A new message, with the recipients that are available now or, when it is wrapped, once its
    /// headers are there.
    fn open_new(
        &mut self,
        now: Instant,
        session: SessionRef,
        head: &Head<'_>,
        is_wrapped: bool,
    ) -> Result<u32, Refusal> {
        let entry = &self.sessions[session.index as usize];
        let limits = &self.config.limits;
        let is_full = entry.open.len() >= limits.messages_open_max
            || entry.waiting.len() >= limits.messages_waiting_max;
        if is_full || self.messages.len() >= MESSAGES_MAX {
            return Err(Refusal::TooManyMessages);
        }
        let mut message = self.fresh_message(now, session);
        let entry = &self.sessions[session.index as usize];
        let id = head.message_id.unwrap_or_default();
        message.context = entry.context;
        message.profile = entry.config.terms.profile;
        message.id.extend_from_slice(id);
        message.from_path.extend_from_slice(head.from_path);
        message.success_wanted = head.success_report;
        message.failure_report = head.failure_report;
        message.id_end = write_fields(head, message.profile, &mut message.fields);
        if is_wrapped {
            message.wrapper = Some(new_wrapper());
        } else {
            let content_type = head.content_type.unwrap_or_default();
            self.list_others(session, content_type, &mut message);
        }
        let is_listed = message.takes_reports();
        if is_listed {
            message.hash = self.hash_of(id);
        }
        let key = index_key(message.context, message.hash);
        let slot = u32::try_from(self.messages.insert(message)).expect("below MESSAGES_MAX");
        self.open_ages.append(&mut self.messages, slot);
        if is_listed {
            self.by_message_id.insert(key, slot);
        }
        self.sessions[session.index as usize].open.push(slot);
        self.start_sweeping(now);
        Ok(slot)
    }

    #[inline]
    pub(crate) fn fresh_message(&mut self, now: Instant, sender: SessionRef) -> Box<Message> {
        self.generation = self.generation.wrapping_add(1);
        match self.spare_messages.pop() {
            Some(mut message) => {
                message.recycle(self.generation, sender, now);
                message
            }
            None => Box::new(Message::new(self.generation, sender, now)),
        }
    }

    pub(crate) fn name_of(&self, slot: u32) -> MessageRef {
        let generation = self.messages[slot as usize].generation;
        MessageRef { slot, generation }
    }
}

/// Where the octets of a chunk go on from. While the headers of a wrapper are read, nothing was
/// forwarded yet: the chunk must go on with them, or begin anew.
fn place_of(message: &mut Message, offset: u64) -> Result<u64, Refusal> {
    match &mut message.wrapper {
        None => Ok(offset),
        Some(wrapper) if wrapper.held().len() as u64 == offset => Ok(0),
        Some(wrapper) if offset == 0 => {
            *wrapper = new_wrapper();
            Ok(0)
        }
        Some(_) => Err(Refusal::NoBeginning),
    }
}
