//! What becomes of one connection: segments, states, its end.

use std::io::ErrorKind;

use clock::Instant;

use super::conn::{Conn, Role};
use super::{Detached, Event, FrameSink, Key, Place, Stack};
use crate::frame::Header;
use crate::limits::SEND_BYTES;
use crate::tcp::{Effect, Incoming, Phase, State};

impl Stack {
    /// Gives a connection a segment of its own.
    pub(super) fn feed(
        &mut self,
        now: Instant,
        index: usize,
        incoming: &Incoming<'_>,
        header: Header,
        sink: &mut impl FrameSink,
    ) {
        let conn = &mut self.conns[index];
        let tcp = &mut conn.core.tcp;
        let before = tcp.progress();
        let effect = tcp.handle(now, incoming);
        let (received, _, state) = tcp.progress();
        // Only who moves the connection on may say where its answers go.
        if tcp.progress() != before {
            conn.core.header = Some(header);
        }
        // Octets of ours have arrived, and that was all the news.
        let is_quiet = received == before.0
            && state == State::Established
            && state == before.2
            && !tcp.has_to_send();
        let key = Key {
            index,
            serial: conn.serial,
        };
        if !is_quiet || conn.role != Role::Owned || conn.wants_room {
            self.settle(key);
        }
        if let Effect::Refused(segment) = effect {
            let flow = self.conns[index].core.flow;
            self.send_reset(&flow, &segment, header, sink);
        }
    }

    /// Draws the consequences of a connection's state.
    pub(super) fn settle(&mut self, key: Key) {
        let Some(conn) = self.get(key) else {
            return;
        };
        let tcp = &conn.core.tcp;
        let state = tcp.state();
        let is_over = state == State::Closed && !tcp.owes_reset();
        let has_begun = matches!(state.phase(), Phase::Open | Phase::Waiting);
        match conn.role {
            Role::HalfOpen { listener } if has_begun => {
                let conn = self.take(key.index);
                self.events.push_back(Event::Accepted { listener, conn });
            }
            Role::HalfOpen { .. } if state == State::Closed => {
                self.remove(key.index);
            }
            Role::Connecting { request } if has_begun => {
                let conn = self.take(key.index);
                self.events.push_back(Event::Connected { request, conn });
            }
            Role::Connecting { request } if state == State::Closed => {
                let error = tcp.failure().unwrap_or(ErrorKind::TimedOut);
                self.remove(key.index);
                self.events
                    .push_back(Event::ConnectFailed { request, error });
            }
            Role::HalfOpen { .. } | Role::Connecting { .. } => self.soil(key),
            Role::Owned => {
                if tcp.has_to_send() || state != State::Established && !is_over {
                    self.soil(key);
                }
                self.report_news(key);
            }
            Role::Orphan => {
                // Nobody reads: what still comes must not close the window.
                conn.core.tcp.discard();
                if is_over {
                    self.remove(key.index);
                } else {
                    self.soil(key);
                }
            }
        }
    }

    /// Tells the owner, if there is anything to tell.
    fn report_news(&mut self, key: Key) {
        if let Some(conn) = self.get(key) {
            let tcp = &conn.core.tcp;
            let has_room = conn.wants_room && tcp.sending_count() < SEND_BYTES;
            if tcp.received_count() > 0 || tcp.state() != State::Established || has_room {
                conn.wants_room = false;
                self.report(key);
            }
        }
    }

    pub(super) fn report(&mut self, key: Key) {
        if let Some(conn) = self.get(key)
            && !core::mem::replace(&mut conn.is_reported, true)
        {
            self.events.push_back(Event::Ready(key));
        }
    }

    /// Notes that a connection may have something to send.
    pub(super) fn soil(&mut self, key: Key) {
        if let Some(conn) = self.get(key)
            && !core::mem::replace(&mut conn.is_dirty, true)
        {
            self.dirty.push_back(key);
        }
    }

    /// Takes a connection out, on its way to its owner.
    pub(super) fn take(&mut self, index: usize) -> Box<Detached> {
        let conn = self.detach_conn(index);
        let flow = conn.core.flow;
        if conn.core.home == self.config.shard {
            self.flows.insert(flow, Place::Moving(Vec::new()));
        } else {
            // Who accepted it holds its frames.
            self.flows.remove(&flow);
        }
        Box::new(Detached { core: conn.core })
    }

    pub(super) fn remove(&mut self, index: usize) {
        let conn = self.detach_conn(index);
        let flow = conn.core.flow;
        self.flows.remove(&flow);
        let mut tell = conn.core.known_to;
        tell.insert(conn.core.home);
        for shard in tell.iter().filter(|one| *one != self.config.shard) {
            self.events.push_back(Event::Gone { flow, shard });
        }
    }

    fn detach_conn(&mut self, index: usize) -> Conn {
        let conn = self.conns.remove(index);
        self.stuck_count -= usize::from(conn.is_stuck);
        match conn.role {
            Role::HalfOpen { .. } => self.half_open_count -= 1,
            Role::Orphan => self.orphan_count -= 1,
            Role::Connecting { .. } | Role::Owned => {}
        }
        if let Some((_, timer)) = conn.timer {
            self.timers.cancel(timer);
        }
        conn
    }
}
