//! Connections that carry sessions of several shards: a relay, or a border controller, may use one for
//! all its sessions (RFC 4975 8.1). The shard that has it keeps the *trunk*; every other shard whose
//! sessions it carries has a *branch*, which to these is a connection like any (see `branch`).
//!
//! ```text
//! trunk                                            branch
//!   frames for sessions there ── Graft, Feed ───►  received
//!   between frames of ours    ◄── Emit ──────────  whole frames
//!   the system took it        ── Taken ─────────►  sent
//!   not read, read again      ◄── Throttle ──────  its sessions' recipients are full
//!   ends when nobody uses it  ◄── Tenancy, LetGo
//!   has ended                 ── Sever ─────────►
//! ```
//!
//! A connection's first request decides where the trunk is: before it, the connection itself moves.
//! All frames for one shard stay in order, each goes there once, and what goes there fills the lane as
//! messages do. A trunk has at most one branch on each other shard.

use core::ops::Range;
use std::collections::VecDeque;

use clock::Instant;

use crate::api::{ConnId, LossCause, Octets, ShardIndex};
use crate::connection::{Connection, Sharing};
use crate::limits::BRANCH_SHARE_BYTES;
use crate::relay::Relay;
use crate::shard::Shard;
use crate::shipment::{BranchName, Parcel, Span};
use crate::supply::Supply;

/// What a connection is to other shards, here where it is.
#[derive(Debug)]
pub(crate) struct Trunk<B> {
    pub grafts: Vec<Graft>,
    /// The frame being received, if it is for another shard.
    pub relay: Option<Relay>,
    /// Frames of other shards that wait to be sent; each shard has no more than
    /// [`crate::limits::BRANCH_WINDOW_BYTES`] here.
    backlog: VecDeque<Emission<B>>,
    /// Those of them that are in the batch that is with the system.
    riding: VecDeque<Riding>,
    /// Octets of that batch that the system is known to have taken.
    taken: usize,
}

/// A branch on another shard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Graft {
    pub to: ShardIndex,
    pub serial: u32,
    /// Sessions there are bound to it.
    is_occupied: bool,
    /// The trunk is not read for its sake.
    is_throttling: bool,
}

/// Whole frames from a branch.
#[derive(Debug)]
struct Emission<B> {
    from: ShardIndex,
    serial: u32,
    octets: B,
    range: Range<usize>,
    /// Where each frame ends, from the beginning of the range.
    ends: Box<[u32]>,
}

/// The place of an emission in a batch.
#[derive(Debug)]
struct Riding {
    from: ShardIndex,
    serial: u32,
    /// Octets before this are known to have been taken.
    at: usize,
    end: usize,
}

impl<B> Default for Trunk<B> {
    fn default() -> Self {
        Self {
            grafts: Vec::new(),
            relay: None,
            backlog: VecDeque::new(),
            riding: VecDeque::new(),
            taken: 0,
        }
    }
}

impl<B> Trunk<B> {
    fn graft_mut(&mut self, to: ShardIndex, serial: u32) -> Option<&mut Graft> {
        let mut grafts = self.grafts.iter_mut();
        grafts.find(|graft| graft.to == to && graft.serial == serial)
    }

    pub(crate) fn has_branch(&self, to: ShardIndex) -> bool {
        self.grafts.iter().any(|graft| graft.to == to)
    }

    pub(crate) fn is_occupied_by(&self, to: ShardIndex) -> bool {
        let mut grafts = self.grafts.iter();
        grafts.any(|graft| graft.to == to && graft.is_occupied)
    }

    pub(crate) fn is_occupied(&self) -> bool {
        self.grafts.iter().any(|graft| graft.is_occupied)
    }

    pub(crate) fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// What waits is not sent any more.
    pub(crate) fn discard(&mut self) {
        self.backlog.clear();
    }

    /// For tests: how many branches keep the connection from being read.
    pub(crate) fn throttle_count(&self) -> usize {
        let grafts = self.grafts.iter();
        grafts.filter(|graft| graft.is_throttling).count()
    }
}

impl<B: Octets> Connection<B> {
    /// Puts frames of branches behind what is to be sent now: as much as leaves room for the frames of
    /// this shard, or all of them.
    #[inline]
    pub(crate) fn load_backlog(&mut self, supply: &mut Supply<B>, is_all: bool) {
        if self.is_trunk() {
            self.load_branches(supply, is_all);
        }
    }

    #[cold]
    fn load_branches(&mut self, supply: &mut Supply<B>, is_all: bool) {
        let Sharing::Trunk(trunk) = &mut self.sharing else {
            return;
        };
        if trunk.backlog.is_empty() {
            return;
        }
        self.tx.interrupt(supply);
        let batch = self.tx.batch(supply);
        let first = batch.octet_count();
        while (is_all || batch.octet_count() - first < BRANCH_SHARE_BYTES)
            && let Some(emission) = trunk.backlog.pop_front()
        {
            let at = batch.octet_count();
            emission.write(batch, self.via.is_framed);
            trunk.riding.push_back(Riding {
                from: emission.from,
                serial: emission.serial,
                at,
                end: batch.octet_count(),
            });
        }
    }
}

impl<B: Octets> Emission<B> {
    fn write(&self, batch: &mut crate::batch::Batch<B>, is_framed: bool) {
        if !is_framed {
            batch.push(&self.octets, self.range.clone());
            return batch.end_message();
        }
        let mut start = self.range.start;
        for end in &self.ends {
            let end = self.range.start + *end as usize;
            batch.push(&self.octets, start..end);
            batch.end_message();
            start = end;
        }
    }
}

impl<B: Octets> Shard<B> {
    pub(crate) fn trunk(&mut self, conn: ConnId) -> Option<&mut Trunk<B>> {
        match &mut self.connection(conn)?.sharing {
            Sharing::Trunk(trunk) => Some(trunk),
            Sharing::Sole | Sharing::Branch(_) => None,
        }
    }

    /// Makes the connection a trunk with a branch on another shard, if it is not yet.
    pub(crate) fn graft(&mut self, conn: ConnId, to: ShardIndex) {
        self.generation = self.generation.wrapping_add(1);
        let serial = self.generation;
        let Some(connection) = self.connection(conn) else {
            return;
        };
        let (peer, via) = (connection.peer, Box::new(connection.via.clone()));
        if matches!(connection.sharing, Sharing::Sole) {
            connection.sharing = Sharing::Trunk(Box::default());
        }
        let Sharing::Trunk(trunk) = &mut connection.sharing else {
            return;
        };
        if trunk.has_branch(to) {
            return;
        }
        trunk.grafts.push(Graft {
            to,
            serial,
            is_occupied: false,
            is_throttling: false,
        });
        tracing::info!(%peer, shard = to.0, "a connection carries sessions of another shard, too");
        let name = BranchName {
            trunk: conn,
            serial,
        };
        self.ship(to, |_| Parcel::Graft { name, peer, via });
    }

    /// Ends a branch.
    pub(crate) fn sever(
        &mut self,
        conn: ConnId,
        (to, serial): (ShardIndex, u32),
        cause: LossCause,
    ) {
        let name = BranchName {
            trunk: conn,
            serial,
        };
        self.ship(to, |_| Parcel::Sever { name, cause });
        self.forget_graft(conn, (to, serial));
    }

    fn forget_graft(&mut self, conn: ConnId, (to, serial): (ShardIndex, u32)) {
        let Some(trunk) = self.trunk(conn) else {
            return;
        };
        let is_it = |graft: &Graft| graft.to == to && graft.serial == serial;
        trunk
            .relay
            .take_if(|relay| relay.to == to && relay.serial == serial);
        let Some(at) = trunk.grafts.iter().position(is_it) else {
            return;
        };
        if trunk.grafts.swap_remove(at).is_throttling {
            self.unpause(conn);
        }
    }

    /// Ends all branches of a connection: its sessions are lost, wherever they are.
    pub(crate) fn sever_all(&mut self, conn: ConnId, cause: LossCause) {
        while let Some(graft) = self.trunk(conn).and_then(|t| t.grafts.first().copied()) {
            self.sever(conn, (graft.to, graft.serial), cause);
        }
    }

    /// Closes a connection that carries no session any more, here or elsewhere. A branch tells its
    /// trunk instead.
    pub(crate) fn end_if_vacant(&mut self, now: Instant, conn: ConnId) {
        let connection = self.connection(conn);
        let Some(connection) = connection.filter(|c| c.sessions.is_empty()) else {
            return;
        };
        match &connection.sharing {
            Sharing::Branch(_) => return self.tell_tenancy(conn, false),
            Sharing::Trunk(trunk) if trunk.is_occupied() => return,
            Sharing::Trunk(_) | Sharing::Sole => {}
        }
        self.close(now, conn);
        self.release(conn);
    }

    /// Frames from a branch, whole.
    pub(crate) fn emitted(
        &mut self,
        from: ShardIndex,
        name: BranchName,
        (octets, span): (&B, Span),
        ends: Box<[u32]>,
    ) {
        let conn = name.trunk;
        let connection = self.connection(conn);
        let Some(connection) = connection.filter(|c| !c.is_closing) else {
            return;
        };
        let Sharing::Trunk(trunk) = &mut connection.sharing else {
            return;
        };
        if trunk.graft_mut(from, name.serial).is_none() {
            return;
        }
        trunk.backlog.push_back(Emission {
            from,
            serial: name.serial,
            octets: octets.clone(),
            range: span.range(),
            ends,
        });
        self.turn.add(span.range().len());
        self.mark_dirty(conn);
    }

    /// The system took octets of the batch in flight; `None`: the rest of it.
    #[cold]
    pub(crate) fn tell_branches(&mut self, conn: ConnId, octets: Option<usize>) {
        let Some(trunk) = self.trunk(conn) else {
            return;
        };
        trunk.taken = match octets {
            Some(octets) => trunk.taken + octets,
            None => usize::MAX,
        };
        let taken = trunk.taken;
        let mut told = Vec::new();
        while let Some(riding) = trunk.riding.front_mut() {
            let upto = taken.min(riding.end).max(riding.at);
            if upto > riding.at || octets == Some(0) {
                told.push((riding.from, riding.serial, upto - riding.at));
            }
            riding.at = upto;
            if upto < riding.end {
                break;
            }
            trunk.riding.pop_front();
        }
        if octets.is_none() {
            trunk.taken = 0;
        }
        for (to, serial, octets) in told {
            let name = BranchName {
                trunk: conn,
                serial,
            };
            self.ship(to, |_| Parcel::Taken { name, octets });
        }
    }

    /// A branch does not want the connection to be read, or wants it to be again.
    pub(crate) fn throttle(&mut self, from: ShardIndex, name: BranchName, is_on: bool) {
        let graft = self.trunk(name.trunk);
        let graft = graft.and_then(|trunk| trunk.graft_mut(from, name.serial));
        let Some(graft) = graft else { return };
        if core::mem::replace(&mut graft.is_throttling, is_on) == is_on {
            return;
        }
        if is_on {
            self.pause(name.trunk);
        } else {
            self.unpause(name.trunk);
        }
    }

    /// Sessions of another shard use the connection from here on, or none does any more.
    pub(crate) fn note_tenancy(
        &mut self,
        now: Instant,
        from: ShardIndex,
        name: BranchName,
        is_occupied: bool,
    ) {
        let conn = name.trunk;
        let graft = self.trunk(conn);
        let graft = graft.and_then(|trunk| trunk.graft_mut(from, name.serial));
        let Some(graft) = graft else { return };
        graft.is_occupied = is_occupied;
        if !is_occupied {
            return self.end_if_vacant(now, conn);
        }
        let Some(connection) = self.connection(conn).filter(|c| !c.is_closing) else {
            return;
        };
        // What went there meanwhile may have been for that session.
        connection.strays = 0;
        if let Some(timer) = connection.probation.take() {
            self.timers.cancel(timer);
        }
    }

    /// Another shard has ended its branch.
    pub(crate) fn let_branch_go(&mut self, now: Instant, from: ShardIndex, name: BranchName) {
        let graft = self.trunk(name.trunk);
        let graft = graft.and_then(|trunk| trunk.graft_mut(from, name.serial));
        let was_occupied = graft.map(|graft| graft.is_occupied);
        self.forget_graft(name.trunk, (from, name.serial));
        if was_occupied.is_some() {
            self.end_if_vacant(now, name.trunk);
        }
    }

    /// Another shard is no more: neither are its branches.
    pub(crate) fn lose_grafts(&mut self, now: Instant, shard: ShardIndex) {
        let of_shard = |connection: &Connection<B>| match &connection.sharing {
            Sharing::Trunk(trunk) => trunk.grafts.iter().copied().find(|g| g.to == shard),
            Sharing::Sole | Sharing::Branch(_) => None,
        };
        let lost = self.conns.iter().filter_map(|c| Some((c.id, of_shard(c)?)));
        let lost: Vec<(ConnId, Graft)> = lost.collect();
        for (conn, graft) in lost {
            self.forget_graft(conn, (graft.to, graft.serial));
            if graft.is_occupied {
                self.end_if_vacant(now, conn);
            }
        }
    }
}
