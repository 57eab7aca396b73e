//! What owners of connections do with them.

use std::io::ErrorKind;
use std::sync::Arc;

use clock::Instant;
use smoltcp::socket::tcp::{RecvError, State};

use super::conn::{self, Core, Role, Shards};
use super::wire::Sent;
use super::{Detached, FrameSink, Key, Lease, Place, Read, Stack, trim};
use crate::frame::Flow;
use crate::limits::{CONNECT_TIME, ORPHAN_TIME, ORPHANS_MAX};

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
        if flow.local.is_ipv4() != flow.remote.is_ipv4() || self.flows.contains_key(&flow) {
            return Err(ErrorKind::AddrNotAvailable);
        }
        let mut socket = conn::socket();
        socket
            .connect(self.interface.context(), flow.remote, flow.local)
            .map_err(|_| ErrorKind::AddrNotAvailable)?;
        let core = Core {
            socket,
            flow,
            header: None,
            lease: Some(lease),
            failure: None,
            home: self.config.shard,
            known_to: Shards::default(),
            sent: Sent::default(),
        };
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
            .map(|conn| conn.flow)
    }

    /// Lets `read` take received octets, once: it returns how many.
    pub fn read(&mut self, key: Key, read: impl FnOnce(&[u8]) -> usize) -> Read {
        let Some(conn) = self.get(key) else {
            return Read::Failed(ErrorKind::NotConnected);
        };
        let failure = conn.failure;
        let outcome = conn.socket().recv(|octets| {
            if octets.is_empty() {
                return (0, 0);
            }
            let count = read(octets);
            (count, count)
        });
        match outcome {
            Ok(0) => Read::Empty,
            Ok(count) => {
                // The window may have opened.
                self.soil(key);
                Read::Octets(count)
            }
            Err(RecvError::Finished) => Read::Ended,
            Err(RecvError::InvalidState) => {
                Read::Failed(failure.unwrap_or(ErrorKind::ConnectionAborted))
            }
        }
    }

    /// What ended a connection, if it has ended but for TIME-WAIT.
    #[must_use]
    pub fn failure(&mut self, key: Key) -> Option<ErrorKind> {
        let conn = self.get(key)?;
        (conn.state() == State::Closed)
            .then(|| conn.failure.unwrap_or(ErrorKind::ConnectionAborted))
    }

    /// Accepts octets to send, as many as there is room for.
    pub fn write(&mut self, key: Key, octets: &[u8]) -> usize {
        let Some(conn) = self.get(key) else {
            return 0;
        };
        let count = conn.socket().send_slice(octets).unwrap_or(0);
        conn.wants_room |= count < octets.len();
        if count > 0 {
            conn.sent.has_more = true;
            self.soil(key);
        }
        count
    }

    /// Closes in order; the connection is nobody's from now on.
    pub fn close(&mut self, now: Instant, key: Key) {
        if let Some(conn) = self.get(key) {
            conn.socket().close();
            conn.sent.has_more = true;
            self.orphan(now, key);
        }
    }

    /// Resets a connection; it is nobody's from now on.
    pub fn abort(&mut self, now: Instant, key: Key) {
        if let Some(conn) = self.get(key) {
            conn.socket().abort();
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
                conn.socket().abort();
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
