//! The driver's connections, by position and generation.

use core::net::SocketAddr;

use switch::{ConnId, ShardIndex};

/// What the driver knows of a connection.
#[derive(Debug)]
pub(crate) struct Conn {
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
    /// It moves to another shard; the logic does not know it any more.
    pub handover: Option<Box<Handover>>,
}

#[derive(Debug)]
pub(crate) struct Handover {
    pub to: ShardIndex,
    /// Octets received and not processed.
    pub octets: Vec<u8>,
}

impl Conn {
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
            handover: None,
        }
    }
}

/// **Invariant:** `count + free.len() = slots.len()`.
#[derive(Debug, Default)]
pub(crate) struct Table {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    conn: Option<Conn>,
}

impl Table {
    pub(crate) fn count(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(crate) fn insert(&mut self, conn: Conn) -> ConnId {
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

    pub(crate) fn get_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        let slot = self.slots.get_mut(id.index as usize)?;
        slot.conn
            .as_mut()
            .filter(|_| slot.generation == id.generation)
    }

    pub(crate) fn remove(&mut self, id: ConnId) -> Option<Conn> {
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
        let mut table = Table::default();
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
