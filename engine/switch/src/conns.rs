//! The connections of a shard, by their names.

use slab::Slab;

use crate::api::ConnId;
use crate::connection::Connection;

/// Positions from here on are those of branches: connections that another shard has. The driver's are
/// all below.
const BRANCH_BASE: u32 = 1 << 31;

/// All of them.
#[derive(Debug)]
pub(crate) struct Conns<B> {
    /// By the driver's positions, which are dense.
    near: Vec<Option<Box<Connection<B>>>>,
    /// At most one for each connection of each other shard.
    branches: Slab<Box<Connection<B>>>,
}

impl<B> Default for Conns<B> {
    fn default() -> Self {
        Self {
            near: Vec::new(),
            branches: Slab::new(),
        }
    }
}

impl ConnId {
    /// Whether it names what stands for a connection of another shard.
    #[inline]
    pub(crate) fn is_branch(self) -> bool {
        self.index >= BRANCH_BASE
    }
}

impl<B> Conns<B> {
    #[inline]
    pub(crate) fn get(&self, conn: ConnId) -> Option<&Connection<B>> {
        match self.near.get(conn.index as usize) {
            Some(slot) => slot.as_deref().filter(|c| c.id == conn),
            None => self.branch(conn),
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, conn: ConnId) -> Option<&mut Connection<B>> {
        match self.near.get_mut(conn.index as usize) {
            Some(slot) => slot.as_deref_mut().filter(|c| c.id == conn),
            None => branch_mut(&mut self.branches, conn),
        }
    }

    #[cold]
    fn branch(&self, conn: ConnId) -> Option<&Connection<B>> {
        let at = conn.index.checked_sub(BRANCH_BASE)?;
        let found = self.branches.get(at as usize);
        found.filter(|c| c.id == conn).map(|c| &**c)
    }

    /// Takes up a connection of the driver's, whose position nobody may have.
    pub(crate) fn insert(&mut self, connection: Box<Connection<B>>) {
        debug_assert!(
            !connection.id.is_branch(),
            "the driver has no such position"
        );
        let index = connection.id.index as usize;
        if self.near.len() <= index {
            self.near.resize_with(index + 1, || None);
        }
        debug_assert!(
            self.near[index].is_none(),
            "the driver closed the earlier user first"
        );
        self.near[index] = Some(connection);
    }

    /// Takes up a branch, and names it.
    pub(crate) fn insert_branch(
        &mut self,
        generation: u32,
        make: impl FnOnce(ConnId) -> Box<Connection<B>>,
    ) -> ConnId {
        let entry = self.branches.vacant_entry();
        let at = u32::try_from(entry.key()).expect("fewer than all connections of all shards");
        let id = ConnId {
            index: BRANCH_BASE + at,
            generation,
        };
        entry.insert(make(id));
        id
    }

    pub(crate) fn remove(&mut self, conn: ConnId) -> Option<Box<Connection<B>>> {
        self.get(conn)?;
        match self.near.get_mut(conn.index as usize) {
            Some(slot) => slot.take(),
            None => Some(self.branches.remove((conn.index - BRANCH_BASE) as usize)),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Connection<B>> {
        let near = self.near.iter().flatten();
        let branches = self.branches.iter().map(|(_, branch)| branch);
        near.chain(branches).map(|connection| &**connection)
    }
}

#[cold]
fn branch_mut<B>(
    branches: &mut Slab<Box<Connection<B>>>,
    conn: ConnId,
) -> Option<&mut Connection<B>> {
    let at = conn.index.checked_sub(BRANCH_BASE)?;
    let found = branches.get_mut(at as usize);
    found.filter(|c| c.id == conn).map(|c| &mut **c)
}
