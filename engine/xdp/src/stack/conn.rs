//! One connection: its TCP, and what stands around it.

use core::net::SocketAddr;
use std::sync::Arc;

use clock::{Instant, TimerKey};

use super::ports::Lease;
use crate::frame::{Flow, Header};
use crate::limits::QUEUES_MAX;
use crate::tcp::Tcp;

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
    pub(super) tcp: Tcp,
    pub(super) flow: Flow,
    /// In front of what is sent; `None` until the peer was heard.
    pub(super) header: Option<Header>,
    /// Holds the local port of a connection that we began.
    pub(super) _lease: Option<Arc<Lease>>,
    /// The shard whose queues its frames arrive at.
    pub(super) home: u8,
    /// Others that send its frames to where it is.
    pub(super) known_to: Shards,
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
    pub(super) core: Core,
    pub(super) serial: u64,
    pub(super) role: Role,
    /// When the role ends by force.
    pub(super) until: Option<Instant>,
    pub(super) timer: Option<(Instant, TimerKey)>,
    /// Stands in the queue of those with something to send.
    pub(super) is_dirty: bool,
    /// Has more to send than the peer, the network or the buffer takes now.
    pub(super) is_stuck: bool,
    /// Stands in the queue of events.
    pub(super) is_reported: bool,
    /// The owner had more to send than there was room for.
    pub(super) wants_room: bool,
}

/// What an idle connection costs here, beside its place in two tables; octets.
const IDLE_BYTES_MAX: usize = 704;

const _: () = assert!(size_of::<Conn>() <= IDLE_BYTES_MAX, "thousands are idle");

impl Core {
    pub(super) fn new(tcp: Tcp, flow: Flow, home: u8) -> Self {
        Self {
            tcp,
            flow,
            header: None,
            _lease: None,
            home,
            known_to: Shards::default(),
        }
    }
}

impl Conn {
    pub(super) fn new(core: Core, serial: u64, role: Role, until: Option<Instant>) -> Self {
        Self {
            core,
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
            .field("state", &self.core.tcp.state())
            .finish_non_exhaustive()
    }
}
