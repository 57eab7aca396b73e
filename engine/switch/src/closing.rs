//! The end of connections: what is queued leaves first, sessions are told.

use clock::Instant;

use crate::api::{ConnId, Event, LossCause, Octets, Output};
use crate::connection::Pace;
use crate::session::Link;
use crate::shard::{Deadline, Shard};

impl<B: Octets> Shard<B> {
    pub(crate) fn end_probation(&mut self, now: Instant, conn: ConnId) {
        let Some(connection) = self.connection(conn) else {
            return;
        };
        connection.probation = None;
        tracing::info!(peer = %connection.peer, "closing: no session bound in time");
        self.close(now, conn);
    }

    /// Closes when all that is queued has left, or has had its time. Its sessions must have been
    /// taken off it.
    pub(crate) fn close(&mut self, now: Instant, conn: ConnId) {
        let Self { conns, supply, .. } = self;
        let Some(connection) = conns.get_mut(conn).filter(|c| !c.is_closing) else {
            return;
        };
        connection.is_closing = true;
        connection.brake.pace = Pace::Stalled;
        let probation = connection.probation.take();
        connection.load_backlog(supply, true);
        let lingers = connection.is_sending && connection.tx.has_more();
        self.sever_all(conn, LossCause::Closed);
        if lingers {
            let at = now + self.config.limits.linger;
            let timer = self.timers.arm(at, Deadline::Linger(conn));
            self.connection(conn).expect("found above").probation = Some(timer);
        } else {
            self.close_now(conn);
        }
        if let Some(timer) = probation {
            self.timers.cancel(timer);
        }
        self.release(conn);
        self.recount_shorter(conn);
    }

    /// The batch in flight has left, or never will in time: the last one goes, then the connection.
    pub(crate) fn end_linger(&mut self, conn: ConnId) {
        let Some(connection) = self.connection(conn) else {
            return;
        };
        if let Some(timer) = connection.probation.take() {
            self.timers.cancel(timer);
            self.close_now(conn);
        }
    }

    /// The driver takes nothing more once told to close, and sends what it has taken.
    fn close_now(&mut self, conn: ConnId) {
        if let Some(batch) = self.take_batch(conn) {
            self.outputs.push_back(Output::Transmit { conn, batch });
        } else if let Some(connection) = self.connection(conn) {
            connection.tx.discard();
        }
        self.outputs.push_back(Output::Close { conn });
    }

    /// Takes all sessions off a connection and tells the gateway.
    pub(crate) fn lose_sessions(&mut self, conn: ConnId, cause: LossCause) {
        self.sever_all(conn, cause);
        let Self { conns, supply, .. } = self;
        let Some(connection) = conns.get_mut(conn) else {
            return;
        };
        // A frame that has begun must end where others follow it.
        if let Some(open) = connection.tx.open.take()
            && conn.is_branch()
        {
            connection
                .tx
                .end_chunk(supply, &open.tid, msrp::Flag::Abort);
        }
        let sessions = core::mem::take(&mut connection.sessions);
        for session in sessions {
            if let Some(session) = self.session_at(session) {
                self.sessions[session.index as usize]
                    .link
                    .set(Link::Lost, &mut self.epoch);
                let key = self.sessions[session.index as usize].key;
                tracing::info!(session = %key, ?cause, "session lost its connection");
                self.fail_plays(session);
                self.abort_messages_from(session);
                self.fail_deliveries_to(session, msrp::StatusCode::TIMEOUT);
                self.outputs.push_back(Output::Event(Event::Lost {
                    session: key,
                    cause,
                }));
            }
        }
    }
}
