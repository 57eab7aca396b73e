//! The gateway's orders.

use clock::Instant;
use msrp::StatusCode;

use crate::api::{
    ConnId, ConnectId, ContextKey, Event, LossCause, Octets, Order, Output, SessionKey, ShardIndex,
    Statistics,
};
use crate::config::{SessionConfig, Setup};
use crate::ident::Tid;
use crate::security::{Misfit, Security};
use crate::session::{Link, Session, SessionRef, Tie};
use crate::shard::{Deadline, Shard};

impl<B: Octets> Shard<B> {
    pub(crate) fn install(
        &mut self,
        now: Instant,
        key: SessionKey,
        context: ContextKey,
        config: SessionConfig,
    ) {
        let session = self.add_session(now, key, context, config);
        self.contexts
            .entry(context)
            .or_default()
            .insert(session, None);
        self.await_silence(now, session);
        self.connect_if_active(now, session);
    }

    pub(crate) fn add_session(
        &mut self,
        now: Instant,
        key: SessionKey,
        context: ContextKey,
        config: SessionConfig,
    ) -> SessionRef {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        self.next_seat += 1;
        self.sessions.insert(Session {
            generation,
            key,
            context,
            seat: self.next_seat,
            config,
            opening: None,
            link: Tie::new(),
            installed_at: now,
            statistics: Statistics::default(),
            open: Vec::new(),
            waiting: Vec::new(),
            heard_at: now,
            idle: None,
            nickname: None,
            recent: None,
        })
    }

    /// Starts to wait for the participant's silence, or stops, as its configuration says now.
    fn await_silence(&mut self, now: Instant, session: SessionRef) {
        let entry = &mut self.sessions[session.index as usize];
        if let Some(timer) = entry.idle.take() {
            self.timers.cancel(timer);
        }
        let heard_at = entry.heard_at;
        entry.idle = entry.config.terms.idle_after.map(|after| {
            let at = (heard_at + after).max(now);
            self.timers.arm(at, Deadline::Idle(session))
        });
    }

    /// Tells that nothing came for a while, or waits for what is left of it. The while is counted
    /// again from then on.
    pub(crate) fn check_silence(&mut self, now: Instant, session: SessionRef) {
        let Some(session) = self.session_at(session) else {
            return;
        };
        let entry = &mut self.sessions[session.index as usize];
        entry.idle = None;
        let Some(after) = entry.config.terms.idle_after else {
            return;
        };
        if entry.conn().is_none() {
            entry.heard_at = now;
        } else if now.since(entry.heard_at) >= after {
            entry.heard_at = now;
            let event = Event::Idle { session: entry.key };
            self.outputs.push_back(Output::Event(event));
        }
        self.await_silence(now, session);
    }

    pub(crate) fn update(&mut self, now: Instant, key: SessionKey, config: SessionConfig) {
        let Some(session) = self.sessions.of_key(key) else {
            return;
        };
        let entry = &mut self.sessions[session.index as usize];
        if entry.config.session_id != config.session_id {
            self.sessions.rename(session, config.session_id.clone());
        }
        let entry = &mut self.sessions[session.index as usize];
        let moved = entry.config.setup != config.setup
            || entry.config.security != config.security
            || (entry.config.remote_path.is_some()
                && entry.config.remote_path != config.remote_path);
        if moved && matches!(entry.link.get(), Link::Bound(_)) {
            // Its new connection would get the rest of messages without their beginning; what ends
            // them still goes to the old path.
            self.fail_deliveries_to(session, StatusCode::TIMEOUT);
        }
        let entry = &mut self.sessions[session.index as usize];
        let is_here = entry.elsewhere().is_none();
        let config = if is_here { config } else { config.of_double() };
        let was = core::mem::replace(&mut entry.config, config);
        entry.opening = None;
        let is_deaf = was.sends && !entry.config.sends;
        let is_mute = was.receives && !entry.config.receives;
        let waits_otherwise = was.terms.idle_after != entry.config.terms.idle_after;
        self.plays.wake(session);
        if waits_otherwise && is_here {
            self.await_silence(now, session);
        }
        // A mode holds at once, in the middle of a message too.
        if is_deaf {
            self.drop_deliveries_to(session);
        }
        if is_mute {
            self.abort_messages_from(session);
        }
        let entry = &mut self.sessions[session.index as usize];
        match entry.link.get() {
            // New signalling may revive what was lost (RFC 4975 5.4).
            Link::Lost => {
                entry.link.set(Link::Waiting, &mut self.epoch);
                self.connect_if_active(now, session);
            }
            Link::Waiting => self.connect_if_active(now, session),
            Link::Connecting { request, timer } if moved => {
                self.connects.remove(&request);
                self.timers.cancel(timer);
                entry.link.set(Link::Waiting, &mut self.epoch);
                self.connect_if_active(now, session);
            }
            Link::Bound(conn) if moved => {
                self.unbind(now, conn, session);
                self.connect_if_active(now, session);
            }
            Link::Connecting { .. } | Link::Bound(_) | Link::Elsewhere(_) => {}
        }
    }

    // Deviation: a connection to the same host, port and scheme that is there should be reused (RFC 4975 section 5.4). Each
    // session that we connect gets its own: on a shared one whoever stops reading stops all others behind the same
    // gateway, and middleboxes that anchor media count on it (RFC 6714 section 6.3). Peers may share theirs.
    fn connect_if_active(&mut self, now: Instant, session: SessionRef) {
        let entry = &mut self.sessions[session.index as usize];
        let Setup::Active { to } = entry.config.setup else {
            return;
        };
        if entry.config.remote_path.is_none() {
            return;
        }
        self.next_connect += 1;
        let request = ConnectId(self.next_connect);
        let at = now + self.config.limits.connect_timeout;
        let timer = self.timers.arm(at, Deadline::Connect(session));
        entry
            .link
            .set(Link::Connecting { request, timer }, &mut self.epoch);
        self.connects.insert(request, session);
        let secure = match entry.config.security {
            Security::Plain => None,
            Security::Tls { .. } => Some(host_of(entry.config.remote_path.as_deref())),
        };
        self.outputs.push_back(Output::Connect {
            request,
            to,
            secure,
        });
    }

    /// Ties a session to the connection that will carry it.
    pub(crate) fn bind(&mut self, now: Instant, conn: ConnId, session: SessionRef) {
        let Some(connection) = self.connection(conn) else {
            return;
        };
        // Nearly always the only one.
        connection.sessions.reserve_exact(1);
        connection.sessions.push(session);
        let peer = connection.peer;
        if let Some(timer) = connection.probation.take() {
            self.timers.cancel(timer);
        }
        let entry = &mut self.sessions[session.index as usize];
        entry.link.set(Link::Bound(conn), &mut self.epoch);
        entry.heard_at = now;
        self.plays.wake(session);
        let session = entry.key;
        if conn.is_branch() {
            self.tell_tenancy(conn, true);
        }
        tracing::info!(%session, %peer, "session bound to a connection");
        let event = Event::Bound { session, peer };
        self.outputs.push_back(Output::Event(event));
    }

    /// Whether a connection is secured as a session wants it. If somebody else than the signalled
    /// peer is at its far end, the session is over (RFC 4975 section 14.4).
    pub(crate) fn check_security(
        &mut self,
        now: Instant,
        conn: ConnId,
        session: SessionRef,
    ) -> Result<(), Misfit> {
        let Some(connection) = self.connection(conn) else {
            return Ok(());
        };
        let peer = connection.peer;
        let secured = core::mem::take(&mut connection.via.secured);
        let entry = &mut self.sessions[session.index as usize];
        let verdict = entry.config.security.check(&secured);
        if let Err(misfit) = verdict
            && misfit.is_impostor()
        {
            entry.link.set(Link::Lost, &mut self.epoch);
            let session = entry.key;
            tracing::warn!(%peer, %session, %misfit, "session given up");
            let cause = LossCause::Security(misfit);
            let event = Event::Lost { session, cause };
            self.outputs.push_back(Output::Event(event));
        }
        if let Some(connection) = self.connection(conn) {
            connection.via.secured = secured;
            if verdict.is_err_and(Misfit::is_impostor) && connection.sessions.is_empty() {
                self.close(now, conn);
            }
        }
        verdict
    }

    /// The SEND without body by which the active party binds its connection (RFC 4975 5.4).
    pub(crate) fn send_binding(&mut self, conn: ConnId, session: SessionRef) {
        let (random, message) = (self.random(), self.random());
        let config = &self.sessions[session.index as usize].config;
        let tid = Tid::unmatched(random);
        let message = Tid::unmatched(message);
        let to = config.remote_path.as_deref().unwrap_or_default();
        let head = msrp::SendHead::new(tid.as_bytes(), to, &config.local_path, message.as_bytes())
            .byte_range(msrp::ByteRange::whole(0));
        let mut text = Vec::with_capacity(256);
        head.write(&mut text);
        msrp::write::end_line(&mut text, tid.as_bytes(), msrp::Flag::Complete);
        self.queue_frame(conn, Some(session), |out| out.extend_from_slice(&text));
    }

    pub(crate) fn move_to(&mut self, now: Instant, key: SessionKey, context: ContextKey) {
        let Some(session) = self.sessions.of_key(key) else {
            return;
        };
        let entry = &self.sessions[session.index as usize];
        let (from, elsewhere) = (entry.context, entry.elsewhere());
        if from == context {
            return;
        }
        self.forget_messages_from(session);
        self.drop_deliveries_to(session);
        self.keep_nickname(now, session);
        self.forget_asked(session);
        self.leave_context(from, session, elsewhere);
        self.next_seat += 1;
        let entry = &mut self.sessions[session.index as usize];
        (entry.context, entry.seat) = (context, self.next_seat);
        self.contexts
            .entry(context)
            .or_default()
            .insert(session, elsewhere);
    }

    fn leave_context(
        &mut self,
        key: ContextKey,
        session: SessionRef,
        elsewhere: Option<ShardIndex>,
    ) {
        if let Some(context) = self.contexts.get_mut(&key) {
            context.remove(session, elsewhere);
            if context.is_empty() {
                self.contexts.remove(&key);
            }
        }
    }

    pub(crate) fn remove(&mut self, now: Instant, key: SessionKey) -> Option<Statistics> {
        let session = self.sessions.of_key(key)?;
        self.drop_plays(session);
        self.forget_messages_from(session);
        self.drop_deliveries_to(session);
        self.keep_nickname(now, session);
        self.forget_asked(session);
        match self.sessions[session.index as usize].link.get() {
            Link::Connecting { request, timer } => {
                self.connects.remove(&request);
                self.timers.cancel(timer);
            }
            Link::Bound(conn) => self.unbind(now, conn, session),
            Link::Elsewhere(_) => self.forget_held(session),
            Link::Waiting | Link::Lost => {}
        }
        let entry = self.sessions.remove(session);
        if let Some(timer) = entry.idle {
            self.timers.cancel(timer);
        }
        self.leave_context(entry.context, session, entry.elsewhere());
        Some(entry.counters(now))
    }

    /// Takes a session off its connection, which closes when it carries no other.
    fn unbind(&mut self, now: Instant, conn: ConnId, session: SessionRef) {
        self.sessions[session.index as usize]
            .link
            .set(Link::Waiting, &mut self.epoch);
        self.fail_plays(session);
        self.abort_messages_from(session);
        let Some(connection) = self.connection(conn) else {
            return;
        };
        connection.sessions.retain(|s| *s != session);
        self.end_if_vacant(now, conn);
    }

    /// Takes its connection from a session, or stops opening one.
    pub(crate) fn release_link(&mut self, now: Instant, key: SessionKey) {
        let Some(session) = self.sessions.of_key(key) else {
            return;
        };
        let entry = &mut self.sessions[session.index as usize];
        match entry.link.get() {
            Link::Waiting | Link::Lost | Link::Elsewhere(_) => return,
            Link::Connecting { request, timer } => {
                entry.link.set(Link::Waiting, &mut self.epoch);
                self.connects.remove(&request);
                self.timers.cancel(timer);
            }
            Link::Bound(conn) => {
                self.fail_deliveries_to(session, StatusCode::TIMEOUT);
                self.unbind(now, conn, session);
            }
        }
        self.outputs.push_back(Output::Event(Event::Lost {
            session: key,
            cause: LossCause::Released,
        }));
    }

    pub(crate) fn counters(&self, now: Instant, key: SessionKey) -> Option<Statistics> {
        let session = self.sessions.of_key(key)?;
        let entry = &self.sessions[session.index as usize];
        let mut counters = entry.counters(now);
        if let Some(connection) = entry.conn().and_then(|conn| self.conns.get(conn)) {
            let percent = connection.tx.queued() * 100 / self.config.limits.queue_bytes_max.max(1);
            counters.queue_percent = u8::try_from(percent.min(100)).unwrap_or(100);
        }
        Some(counters)
    }

    pub(crate) fn set_flow(&mut self, from: SessionKey, to: SessionKey, open: bool) {
        let (Some(from), Some(to)) = (self.sessions.of_key(from), self.sessions.of_key(to)) else {
            return;
        };
        let context = self.sessions[from.index as usize].context;
        if self.sessions[to.index as usize].context != context {
            // They do not hear each other; what was noted here would outlive `to`.
            return;
        }
        if let Some(context) = self.contexts.get_mut(&context) {
            if open {
                context.cut.remove(&(from.index, to.index));
            } else {
                context.cut.insert((from.index, to.index));
            }
        }
        if !open {
            self.cut_deliveries(from, to);
        }
    }
}

/// The host that the first URI of a path names, without port and brackets; empty if it has none.
fn host_of(path: Option<&[u8]>) -> Box<str> {
    let text = core::str::from_utf8(path.unwrap_or_default()).unwrap_or_default();
    let authority = text.split_once("://").map_or("", |(_, rest)| rest);
    let authority = authority.split(['/', ';', ' ']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, h)| h);
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(h, _)| h),
    };
    host.into()
}

/// Orders name their own kind in logs.
impl Order {
    /// The order's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Install { .. } => "install",
            Self::Update { .. } => "update",
            Self::Move { .. } => "move",
            Self::Remove { .. } => "remove",
            Self::Audit { .. } => "audit",
            Self::Release { .. } => "release",
            Self::Flow { .. } => "flow",
            Self::Play { .. } => "play",
            Self::StopPlay { .. } => "stop play",
            Self::Announce { .. } => "announce",
            Self::ShardLost { .. } => "shard lost",
            Self::Rehome { .. } => "rehome",
            Self::Drain => "drain",
        }
    }
}
