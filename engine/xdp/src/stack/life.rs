//! What becomes of one connection: segments, states, its end.

use std::io::ErrorKind;

use clock::Instant;
use smoltcp::socket::tcp::State;

use super::conn::{Conn, Role};
use super::wire::Wire;
use super::{Detached, Event, FrameSink, Key, Place, Stack, instant};
use crate::frame::{Header, Segment};

impl Stack {
    /// Gives a connection a segment of its own.
    pub(super) fn feed(
        &mut self,
        now: Instant,
        index: usize,
        frame: &[u8],
        segment: &Segment,
        header: Header,
        sink: &mut impl FrameSink,
    ) {
        let conn = &mut self.conns[index];
        let before = conn.progress();
        let answer = conn.header.unwrap_or(header);
        let packet = &frame[segment.packet.clone()];
        let renewed = if segment.is_bare() {
            None
        } else {
            conn.sent.renew(packet)
        };
        let (sockets, sent) = conn.parts();
        let mut wire = Wire {
            packet: Some(renewed.as_deref().unwrap_or(packet)),
            sink,
            header: Some(answer),
            packet_bytes_max: self.config.packet_bytes_max,
            leaves_checksums: self.config.leaves_checksums,
            sent: Some(sent),
        };
        self.interface
            .poll_ingress_single(instant(now), &mut wire, sockets);
        // Only who moves the connection on may say where its answers go.
        let after = conn.progress();
        conn.sent.note(packet, after.1 < before.1);
        if after != before {
            conn.header = Some(header);
        }
        // All that was sent has arrived, and that was all the news.
        let (_, unacknowledged, state) = after;
        if segment.is_bare()
            && unacknowledged == 0
            && state == State::Established
            && before.2 == state
            && conn.role == Role::Owned
            && !conn.wants_room
            && !conn.is_stuck
        {
            return;
        }
        if segment.is_reset() && conn.state() == State::Closed {
            conn.failure = Some(match conn.role {
                Role::Connecting { .. } => ErrorKind::ConnectionRefused,
                Role::HalfOpen { .. } | Role::Owned | Role::Orphan => ErrorKind::ConnectionReset,
            });
        }
        let serial = conn.serial;
        self.settle(Key { index, serial });
    }

    /// Draws the consequences of a connection's state.
    pub(super) fn settle(&mut self, key: Key) {
        let Some(conn) = self.get(key) else {
            return;
        };
        let state = conn.state();
        let has_begun = match state {
            State::Closed | State::Listen | State::SynSent | State::SynReceived => false,
            State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck
            | State::TimeWait => true,
        };
        match conn.role {
            Role::HalfOpen { listener } if has_begun => {
                let conn = self.take(key.index);
                self.events.push_back(Event::Accepted { listener, conn });
            }
            Role::HalfOpen { .. } if matches!(state, State::Listen | State::Closed) => {
                self.remove(key.index);
            }
            Role::Connecting { request } if has_begun => {
                let conn = self.take(key.index);
                self.events.push_back(Event::Connected { request, conn });
            }
            Role::Connecting { request } if state == State::Closed => {
                let error = conn.failure.unwrap_or(ErrorKind::TimedOut);
                self.remove(key.index);
                self.events
                    .push_back(Event::ConnectFailed { request, error });
            }
            Role::HalfOpen { .. } | Role::Connecting { .. } => self.soil(key),
            Role::Owned => {
                if state != State::Closed || conn.socket().remote_endpoint().is_some() {
                    self.soil(key);
                }
                self.report_news(key);
            }
            Role::Orphan => {
                // Nobody reads: what still comes must not close the window.
                let socket = conn.socket();
                while socket.can_recv() {
                    _ = socket.recv(|octets| (octets.len(), ()));
                }
                if state == State::Closed && conn.socket().remote_endpoint().is_none() {
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
            let (received, _, state) = conn.progress();
            let has_news = received > 0 || state != State::Established || conn.wants_room;
            if has_news {
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
        if conn.home == self.config.shard {
            self.flows.insert(conn.flow, Place::Moving(Vec::new()));
        } else {
            // Who accepted it holds its frames.
            self.flows.remove(&conn.flow);
        }
        Box::new(Detached {
            core: conn.into_core(),
        })
    }

    pub(super) fn remove(&mut self, index: usize) {
        let conn = self.detach_conn(index);
        self.flows.remove(&conn.flow);
        let flow = conn.flow;
        let mut tell = conn.known_to;
        tell.insert(conn.home);
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
