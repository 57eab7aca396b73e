//! What becomes of connections: they come, take what is sent, and go.

use core::net::SocketAddr;

use clock::Instant;

use crate::api::{CloseCause, ConnId, ConnectId, Event, LossCause, Octets, Output};
use crate::batch::Batch;
use crate::config::Setup;
use crate::connection::Connection;
use crate::security::{Misfit, Via};
use crate::session::{Link, SessionRef};
use crate::shard::{Deadline, Shard};

impl<B: Octets> Shard<B> {
    pub(crate) fn handle_accepted(
        &mut self,
        now: Instant,
        conn: ConnId,
        peer: SocketAddr,
        via: Via,
    ) {
        let mut connection = Box::new(Connection::new(conn, peer, now));
        connection.via = via;
        connection.prelude = Some(Vec::new());
        let at = now + self.config.limits.probation;
        connection.probation = Some(self.timers.arm(at, Deadline::Probation(conn)));
        self.conns.insert(connection);
    }

    pub(crate) fn handle_connected(
        &mut self,
        now: Instant,
        conn: ConnId,
        request: ConnectId,
        via: Via,
    ) {
        let session = self
            .connects
            .remove(&request)
            .and_then(|s| self.session_at(s));
        let Some(session) = session else {
            // The session ended or changed its mind meanwhile.
            self.conns
                .insert(Box::new(Connection::new(conn, UNSPECIFIED, now)));
            self.close(now, conn);
            return;
        };
        if let Link::Connecting { timer, .. } = self.sessions[session.index as usize].link.get() {
            self.timers.cancel(timer);
        }
        let peer = match self.sessions[session.index as usize].config.setup {
            Setup::Active { to } => to,
            Setup::Passive => UNSPECIFIED,
        };
        let mut connection = Box::new(Connection::new(conn, peer, now));
        connection.via = via;
        self.conns.insert(connection);
        if let Err(misfit) = self.check_security(now, conn, session) {
            self.give_up_connected(now, conn, session, misfit);
            return;
        }
        self.bind(now, conn, session);
        self.send_binding(conn, session);
    }

    /// We reached somebody else than the signalled peer.
    fn give_up_connected(
        &mut self,
        now: Instant,
        conn: ConnId,
        session: SessionRef,
        misfit: Misfit,
    ) {
        self.close(now, conn);
        let session = &mut self.sessions[session.index as usize];
        if !misfit.is_impostor() {
            session.link.set(Link::Lost, &mut self.epoch);
            let event = Event::Lost {
                session: session.key,
                cause: LossCause::Security(misfit),
            };
            self.outputs.push_back(Output::Event(event));
        }
    }

    pub(crate) fn handle_connect_failed(&mut self, request: ConnectId, cause: LossCause) {
        let Some(session) = self
            .connects
            .remove(&request)
            .and_then(|s| self.session_at(s))
        else {
            return;
        };
        let session = &mut self.sessions[session.index as usize];
        if let Link::Connecting { timer, .. } = session.link.get() {
            self.timers.cancel(timer);
        }
        session.link.set(Link::Lost, &mut self.epoch);
        let event = Event::Lost {
            session: session.key,
            cause,
        };
        self.outputs.push_back(Output::Event(event));
    }

    pub(crate) fn handle_sent(&mut self, now: Instant, conn: ConnId, batch: Batch<B>) {
        self.supply.keep_batch(batch);
        let Some(connection) = self.connection(conn) else {
            return;
        };
        connection.is_sending = false;
        let octets = core::mem::take(&mut connection.tx.in_flight);
        let (is_closing, is_trunk) = (connection.is_closing, connection.is_trunk());
        let has_more = connection.has_more();
        self.gauges.add_sent(octets);
        if is_closing {
            return self.end_linger(conn);
        }
        if has_more {
            self.mark_dirty(conn);
        }
        if is_trunk {
            self.tell_branches(conn, None);
        }
        self.note_progress(now, conn, octets);
        self.recount_shorter(conn);
    }

    pub(crate) fn handle_progress(&mut self, now: Instant, conn: ConnId, octets: usize) {
        if let Some(connection) = self.connection(conn)
            && connection.is_sending
        {
            let in_flight = &mut connection.tx.in_flight;
            *in_flight = in_flight.saturating_sub(octets);
            let is_trunk = connection.is_trunk();
            self.gauges.add_sent(octets);
            if is_trunk {
                self.tell_branches(conn, Some(octets));
            }
            self.note_progress(now, conn, octets);
            self.recount_shorter(conn);
        }
    }

    /// Carries on after the end of a connection: its sessions are lost, what they were sending is
    /// aborted, what they should have received has failed.
    pub(crate) fn handle_closed(&mut self, conn: ConnId, cause: CloseCause) {
        let cause = match cause {
            CloseCause::Peer | CloseCause::Local => LossCause::Closed,
            CloseCause::Error(kind) => LossCause::Error(kind),
        };
        self.end_connection(conn, cause);
    }

    pub(crate) fn end_connection(&mut self, conn: ConnId, cause: LossCause) {
        self.lose_sessions(conn, cause);
        if let Some(mut connection) = self.remove_connection(conn) {
            if let Some(timer) = connection.probation.take() {
                self.timers.cancel(timer);
            }
            self.recycle_frame(connection.frame.take());
            self.forget_branch(&mut connection);
            self.let_go(&mut connection);
        }
    }

    pub(crate) fn remove_connection(&mut self, conn: ConnId) -> Option<Box<Connection<B>>> {
        self.connection(conn)?.is_closing = true;
        self.recount_shorter(conn);
        self.conns.remove(conn)
    }

    pub(crate) fn give_up_connecting(&mut self, session: SessionRef) {
        let Some(session) = self.session_at(session) else {
            return;
        };
        let session = &mut self.sessions[session.index as usize];
        if let Link::Connecting { request, .. } = session.link.get() {
            self.connects.remove(&request);
            session.link.set(Link::Lost, &mut self.epoch);
            let cause = LossCause::ConnectFailed(std::io::ErrorKind::TimedOut);
            let event = Event::Lost {
                session: session.key,
                cause,
            };
            self.outputs.push_back(Output::Event(event));
        }
    }
}

/// The peer of a connection that nobody waited for.
const UNSPECIFIED: SocketAddr =
    SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED), 0);
