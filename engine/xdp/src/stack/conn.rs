//! One connection: a socket of smoltcp in a set of its own, and what stands around it.

use core::net::SocketAddr;
use std::io::ErrorKind;
use std::sync::Arc;

use clock::{Instant, TimerKey};
use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::Socket;
use smoltcp::socket::tcp::{self, CongestionControl, SocketBuffer, State};

use super::ports::Lease;
use super::wire::Sent;
use crate::frame::{Flow, Header};
use crate::limits::{KEEPALIVE_INTERVAL, QUEUES_MAX, RECEIVE_BYTES, SEND_BYTES, SILENCE_MAX};

/// Names a connection of a stack; stays harmless when the connection is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub(super) index: usize,
    pub(super) serial: u64,
}

impl Key {
    /// Its place, which no other connection of the stack has at the same time.
    #[must_use]
    pub fn index(self) -> usize {
        self.index
    }
}

/// Whose a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A listener's, until the handshake is over.
    HalfOpen { listener: usize },
    /// A connect's, until the handshake is over.
    Connecting { request: u64 },
    /// The owner's.
    Owned,
    /// Nobody's: it is sending its last octets, or in TIME-WAIT.
    Orphan,
}

/// What moves when a connection moves: all of it.
pub(super) struct Core {
    pub(super) socket: tcp::Socket<'static>,
    pub(super) flow: Flow,
    /// In front of what is sent; `None` until the peer was heard.
    pub(super) header: Option<Header>,
    /// Holds the local port of a connection that we began.
    pub(super) lease: Option<Arc<Lease>>,
    pub(super) failure: Option<ErrorKind>,
    /// The shard whose queues its frames arrive at.
    pub(super) home: u8,
    /// Others that send its frames to where it is.
    pub(super) known_to: Shards,
    pub(super) sent: Sent,
}

/// A set of shards.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shards(u64);

const _: () = assert!(QUEUES_MAX <= u64::BITS, "a shard has a queue");

impl Shards {
    pub(super) fn insert(&mut self, shard: u8) {
        self.0 |= 1u64.checked_shl(shard.into()).unwrap_or(0);
    }

    pub(super) fn iter(self) -> impl Iterator<Item = u8> {
        (0..64).filter(move |shard| self.0 >> shard & 1 == 1)
    }
}

pub(super) struct Conn {
    sockets: SocketSet<'static>,
    handle: SocketHandle,
    pub(super) flow: Flow,
    pub(super) header: Option<Header>,
    pub(super) lease: Option<Arc<Lease>>,
    pub(super) failure: Option<ErrorKind>,
    pub(super) home: u8,
    pub(super) known_to: Shards,
    pub(super) sent: Sent,
    pub(super) serial: u64,
    pub(super) role: Role,
    /// When the role ends by force.
    pub(super) until: Option<Instant>,
    pub(super) timer: Option<(Instant, TimerKey)>,
    /// Stands in the queue of those with something to send.
    pub(super) is_dirty: bool,
    /// Has more to send than the peer, or the network, takes now.
    pub(super) is_stuck: bool,
    /// Stands in the queue of events.
    pub(super) is_reported: bool,
    /// The owner had more to send than there was room for.
    pub(super) wants_room: bool,
}

impl Conn {
    pub(super) fn new(core: Core, serial: u64, role: Role, until: Option<Instant>) -> Self {
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let handle = sockets.add(core.socket);
        Self {
            sockets,
            handle,
            flow: core.flow,
            header: core.header,
            lease: core.lease,
            failure: core.failure,
            home: core.home,
            known_to: core.known_to,
            sent: core.sent,
            serial,
            role,
            until,
            timer: None,
            is_dirty: false,
            is_stuck: false,
            is_reported: false,
            wants_room: false,
        }
    }

    pub(super) fn into_core(mut self) -> Core {
        let Socket::Tcp(socket) = self.sockets.remove(self.handle);
        Core {
            socket,
            flow: self.flow,
            header: self.header,
            lease: self.lease,
            failure: self.failure,
            home: self.home,
            known_to: self.known_to,
            sent: self.sent,
        }
    }

    pub(super) fn socket(&mut self) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(self.handle)
    }

    pub(super) fn state(&self) -> State {
        self.sockets.get::<tcp::Socket<'_>>(self.handle).state()
    }

    /// What smoltcp works on, and what was sent.
    pub(super) fn parts(&mut self) -> (&mut SocketSet<'static>, &mut Sent) {
        (&mut self.sockets, &mut self.sent)
    }

    /// Octets received and octets sent and not acknowledged, or to send: what a segment that belongs here moves.
    pub(super) fn progress(&self) -> (usize, usize, State) {
        let socket = self.sockets.get::<tcp::Socket<'_>>(self.handle);
        (socket.recv_queue(), socket.send_queue(), socket.state())
    }
}

/// A socket with our settings.
pub(super) fn socket() -> tcp::Socket<'static> {
    let mut socket = tcp::Socket::new(
        SocketBuffer::new(vec![0; RECEIVE_BYTES]),
        SocketBuffer::new(vec![0; SEND_BYTES]),
    );
    socket.set_congestion_control(CongestionControl::Cubic);
    socket.set_nagle_enabled(false);
    // Segments leave at the end of a turn: by then the answer that carries the acknowledgement is
    // there, or there is none to wait for.
    socket.set_ack_delay(None);
    socket.set_timeout(Some(SILENCE_MAX.into()));
    socket.set_keep_alive(Some(KEEPALIVE_INTERVAL.into()));
    socket
}

/// A connection that is attached to no stack.
pub struct Detached {
    pub(super) core: Core,
}

impl Detached {
    /// Both ends.
    #[must_use]
    pub fn flow(&self) -> Flow {
        self.core.flow
    }

    /// The shard at whose queues its frames arrive.
    #[must_use]
    pub fn home(&self) -> u8 {
        self.core.home
    }

    /// The shards at whose queues its frames arrive, or have arrived.
    pub fn known_to(&self) -> impl Iterator<Item = u8> {
        let mut all = self.core.known_to;
        all.insert(self.core.home);
        all.iter()
    }

    /// The far end.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.core.flow.remote
    }
}

impl core::fmt::Debug for Detached {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Detached")
            .field("flow", &self.core.flow)
            .field("state", &self.core.socket.state())
            .finish_non_exhaustive()
    }
}
