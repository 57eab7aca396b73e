//! When connections send, and when they are looked at again.

use std::io::ErrorKind;

use clock::Instant;

use super::conn::Role;
use super::{Event, FrameSink, Key, Stack, wire};
use crate::limits::{ASTRAY_PER_TURN, BURST_SEGMENTS, RESETS_PER_TURN};
use crate::tcp::State;

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
                Some(conn) if !conn.core.tcp.has_octets_to_send() => bare.push(key),
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
        conn.is_dirty = false;
        let core = &mut conn.core;
        core.tcp.handle_deadline(now);
        let (mut sent, mut is_full) = (0, false);
        while sent < BURST_SEGMENTS {
            is_full = !sink.has_room();
            if is_full {
                break;
            }
            let Some(segment) = core.tcp.next_segment(now) else {
                break;
            };
            let leaves_checksums = self.config.leaves_checksums;
            let octets = core.tcp.octets(&segment);
            let known = core.header.as_ref();
            let (flow, header) = (&core.flow, known.filter(|_| !core.tcp.doubts_the_way()));
            wire::send(sink, flow, header, leaves_checksums, (&segment, octets));
            sent += 1;
        }
        let next = core.tcp.deadline();
        let is_stuck = core.tcp.has_octets_to_send() || conn.wants_room;
        let is_closed = core.tcp.state() == State::Closed;
        let at = next.into_iter().chain(conn.until).min();
        self.set_stuck(key, is_stuck);
        self.arm(key, at);
        if is_full || sent == BURST_SEGMENTS {
            self.soil(key);
        }
        if is_closed {
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
                    conn.core.tcp.abort();
                    self.settle(key);
                }
                Role::HalfOpen { .. } | Role::Connecting { .. } | Role::Owned | Role::Orphan => {
                    self.soil(key);
                }
            }
        }
    }
}
