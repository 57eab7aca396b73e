//! When connections send, and when they are looked at again.

use std::io::ErrorKind;

use clock::Instant;
use smoltcp::iface::PollResult;
use smoltcp::socket::tcp::State;

use super::conn::Role;
use super::wire::Wire;
use super::{Event, FrameSink, Key, Stack, instant};
use crate::limits::{ASTRAY_PER_TURN, BURST_SEGMENTS, LOOK_AGAIN, RESETS_PER_TURN};

impl Stack {
    /// Whether something waits to be sent.
    #[must_use]
    pub fn has_to_send(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Whether a bare acknowledgement would bring work: a handshake waits for it, or octets do.
    #[must_use]
    pub fn waits_for_acknowledgements(&self) -> bool {
        self.stuck_count > 0 || self.half_open_count > 0
    }

    /// Connections that wait to be sent from.
    #[must_use]
    pub fn dirty_count(&self) -> usize {
        self.dirty.len()
    }

    /// Sends what there is to send, as far as there is room. Returns whether anything is left.
    ///
    /// Octets come before bare acknowledgements: somebody waits for them.
    pub fn transmit(&mut self, now: Instant, sink: &mut impl FrameSink) -> bool {
        self.resets_left = RESETS_PER_TURN;
        self.astray_left = ASTRAY_PER_TURN;
        let mut bare = core::mem::take(&mut self.bare);
        for _ in 0..self.dirty.len() {
            let key = self.dirty.pop_front().expect("counted");
            match self.get(key) {
                None => {}
                Some(conn) if !conn.sent.has_more => bare.push(key),
                Some(_) if sink.has_room() => self.transmit_one(now, key, sink),
                Some(_) => {
                    self.dirty.push_front(key);
                    break;
                }
            }
        }
        for key in bare.drain(..) {
            if sink.has_room() {
                self.transmit_one(now, key, sink);
            } else {
                self.dirty.push_back(key);
            }
        }
        self.bare = bare;
        self.has_to_send()
    }

    fn transmit_one(&mut self, now: Instant, key: Key, sink: &mut impl FrameSink) {
        let conn = &mut self.conns[key.index];
        let was_closed = conn.state() == State::Closed;
        conn.is_dirty = false;
        let header = conn.header;
        let (sockets, octets_sent) = conn.parts();
        let mut wire = Wire {
            packet: None,
            sink,
            header,
            packet_bytes_max: self.config.packet_bytes_max,
            leaves_checksums: self.config.leaves_checksums,
            sent: Some(octets_sent),
        };
        let (at, mut sent) = (instant(now), 0);
        // One call sends one segment at most.
        while self.interface.poll_egress(at, &mut wire, sockets) == PollResult::SocketStateChanged {
            sent += 1;
            let has_more = wire.sent.as_ref().is_none_or(|sent| sent.has_more);
            if !has_more || sent == BURST_SEGMENTS {
                break;
            }
        }
        let is_full = !wire.sink.has_room();
        if sent == BURST_SEGMENTS {
            self.soil(key);
        }
        let conn = &mut self.conns[key.index];
        let next = self.interface.poll_at(at, conn.parts().0);
        let (until, state) = (conn.until, conn.state());
        let is_stuck = conn.sent.has_more && conn.socket().send_queue() > 0;
        self.set_stuck(key, is_stuck);
        match next {
            // Want of room is what leaves something to be done at once; whatever else does is looked
            // at soon, rather than all the time.
            Some(smoltcp::time::Instant::ZERO) if is_full => self.soil(key),
            Some(smoltcp::time::Instant::ZERO) => self.arm(key, Some(now + LOOK_AGAIN)),
            Some(next) => {
                let next =
                    Instant::from_nanos(u64::try_from(next.total_micros()).unwrap_or(0) * 1000);
                self.arm(key, Some(until.map_or(next, |until| until.min(next))));
            }
            None => self.arm(key, until),
        }
        if state == State::Closed {
            let conn = &mut self.conns[key.index];
            if !was_closed && conn.failure.is_none() {
                conn.failure = Some(ErrorKind::TimedOut);
            }
            self.settle(key);
        }
    }

    pub(super) fn set_stuck(&mut self, key: Key, is_stuck: bool) {
        if let Some(conn) = self.get(key) {
            let was_stuck = core::mem::replace(&mut conn.is_stuck, is_stuck);
            self.stuck_count += usize::from(is_stuck);
            self.stuck_count -= usize::from(was_stuck);
        }
    }

    /// Makes sure to look at a connection at `at`.
    pub(super) fn arm(&mut self, key: Key, at: Option<Instant>) {
        let Self { conns, timers, .. } = self;
        let Some(at) = at else {
            return;
        };
        let conn = &mut conns[key.index];
        match conn.timer {
            // Coming too early costs a look, and saves as many changes as there are segments.
            Some((armed, _)) if armed <= at => {}
            Some((_, timer)) => {
                timers.cancel(timer);
                conn.timer = Some((at, timers.arm(at, key)));
            }
            None => conn.timer = Some((at, timers.arm(at, key))),
        }
    }

    /// When to call [`Self::handle_deadline`].
    pub fn deadline(&mut self) -> Option<Instant> {
        self.timers.deadline()
    }

    /// Looks at the connections whose time has come; they have something to send.
    pub fn handle_deadline(&mut self, now: Instant) {
        while let Some(key) = self.timers.expired(now) {
            let Some(conn) = self.get(key) else {
                continue;
            };
            conn.timer = None;
            let is_over = conn.until.is_some_and(|until| until <= now);
            match conn.role {
                Role::HalfOpen { .. } if is_over => self.remove(key.index),
                Role::Connecting { request } if is_over => {
                    self.remove(key.index);
                    let error = ErrorKind::TimedOut;
                    self.events
                        .push_back(Event::ConnectFailed { request, error });
                }
                Role::Orphan if is_over => {
                    conn.until = None;
                    conn.socket().abort();
                    self.settle(key);
                }
                Role::HalfOpen { .. } | Role::Connecting { .. } | Role::Owned | Role::Orphan => {
                    self.soil(key);
                }
            }
        }
    }
}
