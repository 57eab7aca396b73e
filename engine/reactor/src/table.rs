//! The driver's connections, by position and generation.

use core::net::SocketAddr;
use std::collections::VecDeque;
use std::io;

use clock::Instant;
use switch::{Batch, ConnId, ConnectId, ShardIndex};

use crate::hold::Parked;
use crate::layer::Layer;

/// What the driver knows of a connection.
#[derive(Debug)]
pub(crate) struct Conn<B> {
    pub peer: SocketAddr,
    /// Octets to come until the logic cannot want to move it any more.
    pub youth_bytes: usize,
    /// The turn in which it was last fed while young.
    pub fed_in: u64,
    /// The turn in which its completions are held back for the next.
    pub held_in: u64,
    /// A batch is with the backend.
    pub is_sending: bool,
    /// The far end sent its last octet.
    pub is_ended: bool,
    /// The logic asked for the end.
    pub is_closing: bool,
    /// The driver asked for the end because the far end is done.
    pub is_shutting: bool,
    /// What arrived since the logic asked to stop reading; absent while it reads.
    pub parked: Option<Box<Parked<B>>>,
    /// It moves to another shard; the logic does not know it any more.
    pub handover: Option<Box<Handover>>,
    /// What stands between the socket and the logic; plain connections have none.
    pub layered: Option<Box<Layered<B>>>,
}

/// A connection whose octets are not the logic's.
#[derive(Debug)]
pub(crate) struct Layered<B> {
    pub layer: Layer,
    /// Why the logic does not know the connection yet: handshakes go on.
    pub opening: Option<Opening>,
    /// For the logic; not empty between turns only while the connection is young.
    pub inbox: VecDeque<Piece<B>>,
    /// Stands among those to be read on.
    pub is_unread: bool,
    /// The logic's batch whose octets the layer took, until the system has them.
    pub sealed: Option<Batch<B>>,
    /// Those octets are with the backend.
    pub is_sealed_sent: bool,
    /// The layer took leave; the socket closes when that is sent.
    pub is_leaving: bool,
    /// What ended it, if the layer did.
    pub fault: Option<io::ErrorKind>,
    /// When something last arrived.
    pub heard_at: Instant,
}

/// What the logic is told when the handshakes are over.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Opening {
    /// That a listener accepted it.
    Accepted,
    /// That a connect succeeded.
    Connect(ConnectId),
}

/// Something for the logic.
#[derive(Debug)]
pub(crate) enum Piece<B> {
    Octets(B),
    MessageEnd,
}

impl<B> Layered<B> {
    pub(crate) fn new(layer: Layer, opening: Option<Opening>, now: Instant) -> Box<Self> {
        Box::new(Self {
            layer,
            opening,
            inbox: VecDeque::new(),
            is_unread: false,
            sealed: None,
            is_sealed_sent: false,
            is_leaving: false,
            fault: None,
            heard_at: now,
        })
    }

    /// What ended the connection: the layer's verdict, but for an end without farewell, which an error
    /// of the system explains better.
    pub(crate) fn end(&self, error: Option<io::ErrorKind>) -> Option<io::ErrorKind> {
        let verdict = self.fault.filter(|f| *f != io::ErrorKind::UnexpectedEof);
        verdict.or(error).or(self.fault)
    }
}

#[derive(Debug)]
pub(crate) struct Handover {
    pub to: ShardIndex,
    /// Octets received and not processed.
    pub octets: Vec<u8>,
}

impl<B> Conn<B> {
    pub(crate) fn new(peer: SocketAddr, youth_bytes: usize) -> Self {
        Self {
            peer,
            youth_bytes,
            fed_in: 0,
            held_in: 0,
            is_sending: false,
            is_ended: false,
            is_closing: false,
            is_shutting: false,
            parked: None,
            handover: None,
            layered: None,
        }
    }
}

/// **Invariant:** `count + free.len() = slots.len()`.
#[derive(Debug)]
pub(crate) struct Table<B> {
    slots: Vec<Slot<B>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<B> {
    generation: u32,
    conn: Option<Conn<B>>,
}

impl<B> Default for Table<B> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<B> Table<B> {
    pub(crate) fn count(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn insert(&mut self, conn: Conn<B>) -> ConnId {
        if let Some(index) = self.free.pop() {
            let slot = &mut self.slots[index as usize];
            slot.conn = Some(conn);
            let generation = slot.generation;
            return ConnId { index, generation };
        }
        let index = u32::try_from(self.slots.len()).expect("bounded by CONNECTIONS_CEILING");
        self.slots.push(Slot {
            generation: 0,
            conn: Some(conn),
        });
        ConnId {
            index,
            generation: 0,
        }
    }

    pub(crate) fn get_mut(&mut self, id: ConnId) -> Option<&mut Conn<B>> {
        let slot = self.slots.get_mut(id.index as usize)?;
        slot.conn
            .as_mut()
            .filter(|_| slot.generation == id.generation)
    }

    pub(crate) fn remove(&mut self, id: ConnId) -> Option<Conn<B>> {
        self.get_mut(id)?;
        let slot = &mut self.slots[id.index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.index);
        slot.conn.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_position_has_another_name() {
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let mut table = Table::<()>::default();
        let first = table.insert(Conn::new(peer, 0));
        let second = table.insert(Conn::new(peer, 0));
        assert_eq!((first.index, second.index), (0, 1));
        assert!(table.remove(first).is_some());
        let third = table.insert(Conn::new(peer, 0));
        assert_eq!(third.index, first.index);
        assert_ne!(third, first);
        assert!(table.get_mut(first).is_none() && table.remove(first).is_none());
        assert!(table.get_mut(third).is_some());
        assert_eq!(table.count(), 2);
    }
}
