//! What stands here for a connection that another shard has and that carries sessions of this one, too
//! (see `trunk`). To these it is a connection like any: what is received comes in shipments, what is
//! sent leaves in them, and is sent when the trunk's shard says that the system took it.
//!
//! **Invariant:** only whole frames leave: a chunk that goes on ends with `+` at the end of the turn,
//! so that frames of other shards can follow.

use core::net::SocketAddr;
use core::ops::Range;

use clock::Instant;

use crate::api::{ConnId, LossCause, Octets, Output, ShardIndex};
use crate::batch::Batch;
use crate::connection::{Connection, Sharing};
use crate::limits::{BRANCH_WINDOW_BYTES, SHIPMENT_BYTES};
use crate::security::Via;
use crate::shard::Shard;
use crate::shipment::{BranchName, Parcel, Shipment};

/// See the module.
#[derive(Debug)]
pub(crate) struct Branch<B> {
    /// The shard that has the connection.
    home: ShardIndex,
    name: BranchName,
    /// What is being sent.
    cargo: Option<Cargo<B>>,
}

/// A batch on its way to the trunk.
#[derive(Debug)]
struct Cargo<B> {
    batch: Batch<B>,
    /// Frames that have left.
    frames: usize,
    /// Octets of them.
    shipped: usize,
    /// Octets that the system is known to have taken.
    taken: usize,
    /// The run to go on with, and where in it.
    run: usize,
    run_at: usize,
}

impl<B> Branch<B> {
    /// What has not left is not sent.
    pub(crate) fn discard(&mut self) -> Option<Batch<B>> {
        self.cargo.take().map(|cargo| cargo.batch)
    }
}

impl<B: Octets> Cargo<B> {
    fn new(batch: Batch<B>) -> Self {
        Self {
            batch,
            frames: 0,
            shipped: 0,
            taken: 0,
            run: 0,
            run_at: 0,
        }
    }

    fn is_done(&self) -> bool {
        self.shipped == self.batch.octet_count() && self.taken >= self.shipped
    }

    /// The frames that may leave now, as long as a shipment takes them.
    fn next_frames(&self, is_last: bool) -> Option<Range<usize>> {
        let is_open = is_last || self.shipped - self.taken < BRANCH_WINDOW_BYTES;
        let rest = self.batch.message_ends().get(self.frames..)?;
        let (_, more) = rest.split_first().filter(|_| is_open)?;
        let full = self.shipped + SHIPMENT_BYTES;
        let fitting = more.iter().take_while(|end| **end <= full).count();
        Some(self.frames..self.frames + 1 + fitting)
    }

    /// Copies them into a shipment.
    fn load(&mut self, shipment: &mut Shipment, name: BranchName, frames: Range<usize>) -> Parcel {
        let ends = &self.batch.message_ends()[frames.clone()];
        let start = self.shipped;
        let narrow = |end| u32::try_from(end - start).expect("a batch is bounded");
        let ends: Box<[u32]> = ends.iter().copied().map(narrow).collect();
        let mark = shipment.mark();
        let mut count = ends.last().map_or(0, |end| *end as usize);
        self.shipped += count;
        self.frames = frames.end;
        for run in self.batch.slices().skip(self.run) {
            let rest = &run[self.run_at..];
            let part = &rest[..rest.len().min(count)];
            shipment.append(part);
            count -= part.len();
            self.run_at += part.len();
            if self.run_at < run.len() {
                break;
            }
            self.run += 1;
            self.run_at = 0;
        }
        let octets = shipment.since(mark);
        Parcel::Emit { name, octets, ends }
    }
}

impl<B: Octets> Shard<B> {
    fn branch(&mut self, conn: ConnId) -> Option<&mut Branch<B>> {
        match &mut self.connection(conn)?.sharing {
            Sharing::Branch(branch) => Some(branch),
            Sharing::Sole | Sharing::Trunk(_) => None,
        }
    }

    /// A connection of another shard has frames for sessions here.
    pub(crate) fn grow_branch(
        &mut self,
        now: Instant,
        (home, name): (ShardIndex, BranchName),
        peer: SocketAddr,
        via: Via,
    ) {
        self.generation = self.generation.wrapping_add(1);
        let id = self.conns.insert_branch(self.generation, |id| {
            let mut connection = Box::new(Connection::new(id, peer, now));
            connection.via = Via {
                // Its frames are to be short: those of other shards follow them.
                is_framed: true,
                ..via
            };
            // Where they came from, messages of the transport were looked after.
            connection.message_frames = None;
            connection.sharing = Sharing::Branch(Box::new(Branch {
                home,
                name,
                cargo: None,
            }));
            connection
        });
        self.branches.insert((home, name), id);
    }

    /// Octets received there.
    pub(crate) fn fed(
        &mut self,
        now: Instant,
        branch: (ShardIndex, BranchName),
        octets: &B,
        range: Range<usize>,
    ) {
        if let Some(&conn) = self.branches.get(&branch) {
            self.handle_received(now, conn, octets, range);
        }
    }

    /// What is queued for a branch leaves, as far as it may; the rest gathers.
    #[cold]
    pub(crate) fn emit(&mut self, conn: ConnId) {
        let Self { conns, supply, .. } = self;
        let Some(connection) = conns.get_mut(conn) else {
            return;
        };
        if !connection.is_sending {
            connection.tx.interrupt(supply);
        }
        if let Some(batch) = self.take_batch(conn) {
            self.ship_batch(conn, batch, false);
        }
    }

    fn ship_batch(&mut self, conn: ConnId, batch: Batch<B>, is_last: bool) {
        if let Some(branch) = self.branch(conn) {
            debug_assert!(branch.cargo.is_none(), "one batch at a time");
            branch.cargo = Some(Cargo::new(batch));
            self.ship_cargo(conn, is_last);
        }
    }

    /// Ships what the trunk may get now, or all of it.
    fn ship_cargo(&mut self, conn: ConnId, is_last: bool) {
        let Some(branch) = self.branch(conn) else {
            return;
        };
        let (home, name) = (branch.home, branch.name);
        // Taken out for the moment: the whole shard is needed to ship.
        let Some(mut cargo) = branch.cargo.take() else {
            return;
        };
        while let Some(frames) = cargo.next_frames(is_last) {
            self.ship(home, |shipment| cargo.load(shipment, name, frames));
        }
        if let Some(branch) = self.branch(conn) {
            branch.cargo = Some(cargo);
        }
    }

    /// The system took octets where the connection is.
    pub(crate) fn note_taken(
        &mut self,
        now: Instant,
        branch: (ShardIndex, BranchName),
        octets: usize,
    ) {
        let Some(&conn) = self.branches.get(&branch) else {
            return;
        };
        let branch = self.branch(conn);
        let Some(cargo) = branch.and_then(|branch| branch.cargo.as_mut()) else {
            return;
        };
        cargo.taken += octets;
        if cargo.is_done() {
            let batch = self.branch(conn).and_then(Branch::discard);
            return self.handle_sent(now, conn, batch.expect("seen above"));
        }
        self.handle_progress(now, conn, octets);
        self.ship_cargo(conn, false);
    }

    /// Tells the trunk whether sessions here use it.
    pub(crate) fn tell_tenancy(&mut self, conn: ConnId, is_occupied: bool) {
        if let Some(branch) = self.branch(conn) {
            let (home, name) = (branch.home, branch.name);
            self.ship(home, |_| Parcel::Tenancy { name, is_occupied });
        }
    }

    /// What the driver is asked to do is done here if it is about a branch.
    pub(crate) fn divert(&mut self, output: Output<B>) -> Option<Output<B>> {
        match output {
            Output::Transmit { conn, batch } if conn.is_branch() => {
                self.ship_batch(conn, batch, true);
            }
            Output::PauseReading { conn } if conn.is_branch() => self.tell_throttle(conn, true),
            Output::ResumeReading { conn } if conn.is_branch() => self.tell_throttle(conn, false),
            Output::Close { conn } if conn.is_branch() => self.let_trunk_go(conn),
            other @ (Output::Connect { .. }
            | Output::Transmit { .. }
            | Output::Close { .. }
            | Output::PauseReading { .. }
            | Output::ResumeReading { .. }
            | Output::Handover { .. }
            | Output::Ship(_)
            | Output::Unpacked(_)
            | Output::Event(_)
            | Output::Wait(_)) => return Some(other),
        }
        None
    }

    fn tell_throttle(&mut self, conn: ConnId, is_on: bool) {
        if let Some(branch) = self.branch(conn) {
            let (home, name) = (branch.home, branch.name);
            self.ship(home, |_| Parcel::Throttle { name, is_on });
        }
    }

    /// Nobody here uses the connection any more; what is being sent goes before.
    fn let_trunk_go(&mut self, conn: ConnId) {
        self.ship_cargo(conn, true);
        if let Some(branch) = self.branch(conn) {
            let (home, name) = (branch.home, branch.name);
            self.ship(home, |_| Parcel::LetGo(name));
        }
        self.end_connection(conn, LossCause::Closed);
    }

    /// The connection has ended, or this shard may not use it any more.
    pub(crate) fn severed(&mut self, branch: (ShardIndex, BranchName), cause: LossCause) {
        if let Some(&conn) = self.branches.get(&branch) {
            self.end_connection(conn, cause);
        }
    }

    /// Forgets where a connection that is no more had come from.
    pub(crate) fn forget_branch(&mut self, connection: &mut Connection<B>) {
        if let Sharing::Branch(branch) = &mut connection.sharing {
            self.branches.remove(&(branch.home, branch.name));
            if let Some(batch) = branch.discard() {
                self.supply.keep_batch(batch);
            }
        }
    }

    /// Another shard is no more: neither are its connections.
    pub(crate) fn lose_branches(&mut self, shard: ShardIndex) {
        let branches = self.branches.iter();
        let lost = branches.filter(|((home, _), _)| *home == shard);
        let lost: Vec<ConnId> = lost.map(|(_, conn)| *conn).collect();
        for conn in lost {
            let cause = LossCause::Error(std::io::ErrorKind::ConnectionReset);
            self.end_connection(conn, cause);
        }
    }
}
