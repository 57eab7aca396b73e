//! What owners of connections do with them.

use std::io::ErrorKind;
use std::sync::Arc;

use clock::Instant;

use super::conn::{Core, Role};
use super::{Detached, FrameSink, Key, Lease, Place, Read, Stack, trim};
use crate::frame::Flow;
use crate::limits::{CONNECT_TIME, ORPHAN_TIME, ORPHANS_MAX};
use crate::tcp::{State, Tcp};

impl Stack {
    /// Begins a connection from `local`, whose port `lease` holds.
    ///
    /// # Errors
    ///
    /// When the addresses cannot be connected: port 0, unspecified, of different families.
    pub fn connect(
        &mut self,
        now: Instant,
        request: u64,
        flow: Flow,
        lease: Arc<Lease>,
    ) -> Result<(), ErrorKind> {
        let ends = [flow.local, flow.remote];
        let is_possible = flow.local.is_ipv4() == flow.remote.is_ipv4()
            && ends
                .iter()
                .all(|end| end.port() != 0 && !end.ip().is_unspecified());
        if !is_possible || self.flows.contains_key(&flow) {
            return Err(ErrorKind::AddrNotAvailable);
        }
        let (initial, segment_bytes) = self.beginning(now, &flow);
        let tcp = Tcp::connect(now, initial, segment_bytes);
        let mut core = Core::new(tcp, flow, self.config.shard);
        core._lease = Some(lease);
        self.insert(core, Role::Connecting { request }, Some(now + CONNECT_TIME));
        Ok(())
    }

    /// Takes charge of a connection for its owner.
    pub fn attach(&mut self, now: Instant, conn: Detached, sink: &mut impl FrameSink) -> Key {
        let flow = conn.core.flow;
        let held = match self.flows.remove(&flow) {
            Some(Place::Moving(held)) => held,
            Some(Place::Here(_) | Place::Away(_)) | None => Vec::new(),
        };
        let key = self.insert(conn.core, Role::Owned, None);
        for frame in held {
            self.receive(now, &frame, true, sink);
        }
        self.report(key);
        key
    }

    /// Gives a connection up; `None` if there is none of this name.
    pub fn detach(&mut self, key: Key) -> Option<Box<Detached>> {
        self.get(key)?;
        Some(self.take(key.index))
    }

    /// Another shard has taken charge of a connection that moves; what came meanwhile is for it.
    pub fn hand_over(&mut self, flow: Flow, to: u8) -> Vec<Box<[u8]>> {
        match self.flows.get_mut(&flow) {
            Some(Place::Here(_)) => Vec::new(),
            Some(place) => match core::mem::replace(place, Place::Away(to)) {
                Place::Moving(held) => held,
                Place::Here(_) | Place::Away(_) => Vec::new(),
            },
            None => {
                self.flows.insert(flow, Place::Away(to));
                Vec::new()
            }
        }
    }

    /// A connection that is elsewhere has ended.
    pub fn forget(&mut self, flow: Flow) {
        if let Some(Place::Away(_) | Place::Moving(_)) = self.flows.get(&flow) {
            self.flows.remove(&flow);
        }
    }

    /// A shard has begun anew: it has none of the connections that were there.
    pub fn forget_shard(&mut self, shard: u8) {
        let is_there = |place: &Place| matches!(place, Place::Away(there) if *there == shard);
        self.flows.retain(|_, place| !is_there(place));
    }

    /// Both ends of a connection.
    #[must_use]
    pub fn flow(&self, key: Key) -> Option<Flow> {
        let conn = self.conns.get(key.index);
        conn.filter(|conn| conn.serial == key.serial)
            .map(|conn| conn.core.flow)
    }

    /// Lets `read` take received octets, once: it returns how many.
    pub fn read(&mut self, key: Key, read: impl FnOnce(&[u8]) -> usize) -> Read {
        let Some(conn) = self.get(key) else {
            return Read::Failed(ErrorKind::NotConnected);
        };
        let tcp = &mut conn.core.tcp;
        let count = tcp.read(read);
        if count > 0 {
            if tcp.has_to_send() {
                // The window has opened.
                self.soil(key);
            }
            return Read::Octets(count);
        }
        if tcp.received_count() > 0 {
            Read::Empty
        } else if tcp.is_ended() {
            Read::Ended
        } else if tcp.state() == State::Closed {
            Read::Failed(tcp.failure().unwrap_or(ErrorKind::ConnectionAborted))
        } else {
            Read::Empty
        }
    }

    /// What ended a connection, if it has ended but for TIME-WAIT.
    #[must_use]
    pub fn failure(&mut self, key: Key) -> Option<ErrorKind> {
        let conn = self.get(key)?;
        let tcp = &conn.core.tcp;
        (tcp.state() == State::Closed)
            .then(|| tcp.failure().unwrap_or(ErrorKind::ConnectionAborted))
    }

    /// Accepts octets to send, as many as there is room for.
    pub fn write<'a>(&mut self, key: Key, slices: impl IntoIterator<Item = &'a [u8]>) -> usize {
        let Some(conn) = self.get(key) else {
            return 0;
        };
        let mut count = 0;
        for octets in slices {
            let taken = conn.core.tcp.write(octets);
            count += taken;
            if taken < octets.len() {
                conn.wants_room = true;
                break;
            }
        }
        if conn.wants_room {
            self.set_stuck(key, true);
        }
        if count > 0 {
            self.soil(key);
        }
        count
    }

    /// Closes in order; the connection is nobody's from now on.
    pub fn close(&mut self, now: Instant, key: Key) {
        if let Some(conn) = self.get(key) {
            conn.core.tcp.close();
            self.orphan(now, key);
        }
    }

    /// Resets a connection; it is nobody's from now on.
    pub fn abort(&mut self, now: Instant, key: Key) {
        if let Some(conn) = self.get(key) {
            conn.core.tcp.abort();
            self.orphan(now, key);
        }
    }

    /// Resets a connection that found no owner.
    pub fn abort_detached(&mut self, now: Instant, conn: Detached, sink: &mut impl FrameSink) {
        let key = self.attach(now, conn, sink);
        self.abort(now, key);
    }

    /// Resets all that have an owner or wait for one; what they are told leaves with the next
    /// [`Self::transmit`].
    pub fn abort_all(&mut self) {
        let is_closing = |role| role == Role::Orphan;
        let all = self.conns.iter().filter(|(_, conn)| !is_closing(conn.role));
        let keys: Vec<_> = all
            .map(|(index, conn)| Key {
                index,
                serial: conn.serial,
            })
            .collect();
        for key in keys {
            if let Some(conn) = self.get(key) {
                conn.core.tcp.abort();
                self.soil(key);
            }
        }
    }

    fn orphan(&mut self, now: Instant, key: Key) {
        let Some(conn) = self.get(key) else {
            return;
        };
        conn.role = Role::Orphan;
        conn.until = Some(now + ORPHAN_TIME);
        self.orphan_count += 1;
        self.arm(key, Some(now + ORPHAN_TIME));
        self.orphans.push_back(key);
        let bound = (self.orphan_count, ORPHANS_MAX);
        let is_orphan = |role| role == Role::Orphan;
        if let Some(oldest) = trim(&mut self.orphans, &self.conns, bound, is_orphan) {
            self.remove(oldest);
        }
        self.settle(key);
    }
}
