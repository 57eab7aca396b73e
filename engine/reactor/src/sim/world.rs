//! Connections as two pipes each, and the heap of what is on its way.
//!
//! ```text
//! sender ─ outgoing ─(pump: as the window allows, in drawn pieces)─► on its way ─(drawn delay)─►
//!        arrived ─(read: in drawn pieces, if reading)─► receiver; the window opens; pump again
//! ```
//!
//! **Invariant:** `in_pipe` of an end = octets on their way to, or arrived and unread at, the other.

use core::cmp::Reverse;
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::io;
use std::rc::Rc;

use clock::Instant;
use switch::{Batch, ConnId, ConnectId};

use super::rng::Rng;
use crate::backend::Completion;

mod clients;
mod shards;

type Octets = Rc<[u8]>;
type Done = Completion<Octets, EndId>;

/// A participant outside the shards: one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(usize);

/// One side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EndId {
    link: usize,
    side: usize,
}

impl EndId {
    fn other(self) -> Self {
        Self {
            side: 1 - self.side,
            ..self
        }
    }
}

/// What may go wrong, or slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// Shards get what arrived in drawn pieces, spread over time.
    pub has_short_reads: bool,
    /// What is sent travels in drawn pieces.
    pub has_short_writes: bool,
    /// Each piece takes up to this long.
    pub delay_max: Duration,
    /// Octets a connection holds per direction before its sender must wait; at least 1.
    pub window_bytes: usize,
    /// Of a million pieces that arrive, how many find the connection reset.
    pub resets_per_million: u32,
}

impl Default for Faults {
    /// None: everything arrives at once.
    fn default() -> Self {
        Self {
            has_short_reads: false,
            has_short_writes: false,
            delay_max: Duration::ZERO,
            window_bytes: 256 * 1024,
            resets_per_million: 0,
        }
    }
}

impl Faults {
    /// Draws a mixture, without resets.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut rng = Rng::new(!seed);
        let delays = [0, 200, 5_000, 50_000];
        let windows = [4 * 1024, 64 * 1024, 256 * 1024];
        Self {
            has_short_reads: rng.below(2) == 0,
            has_short_writes: rng.below(2) == 0,
            delay_max: Duration::from_micros(delays[rng.index(delays.len())]),
            window_bytes: windows[rng.index(windows.len())],
            resets_per_million: 0,
        }
    }
}

/// Pieces are drawn up to this size: small enough to cut headers, large enough to end.
const PIECE_BYTES_MAX: usize = 2048;
/// A receive without short reads, as the real backends' buffers are.
const READ_BYTES_MAX: usize = 16 * 1024;

#[derive(Debug)]
pub(super) struct World {
    now: Instant,
    rng: Rng,
    faults: Faults,
    on_its_way: BinaryHeap<Reverse<Due>>,
    sequence: u64,
    links: Vec<[End; 2]>,
    clients: Vec<Client>,
    listeners: BTreeMap<SocketAddr, Listener>,
    shards: Vec<Shard>,
    trace: u64,
}

#[derive(Debug)]
struct Due {
    at: Instant,
    sequence: u64,
    what: What,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.sequence == other.sequence
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

#[derive(Debug)]
enum What {
    /// A client's connection reaches the listener.
    Accept {
        end: EndId,
        to: SocketAddr,
    },
    /// A shard's connect has an outcome.
    Connect {
        shard: usize,
        request: ConnectId,
        to: SocketAddr,
    },
    Octets {
        to: EndId,
        octets: Vec<u8>,
    },
    Fin {
        to: EndId,
    },
    Reset {
        to: EndId,
    },
    /// A shard reads what has arrived.
    Read {
        end: EndId,
    },
}

#[derive(Debug)]
struct End {
    owner: Owner,
    /// Where the other end sees us.
    addr: SocketAddr,
    outgoing: VecDeque<u8>,
    in_pipe: usize,
    /// When the last piece we sent arrives; later ones do not overtake it.
    last_arrival: Instant,
    wants_fin: bool,
    is_fin_sent: bool,
    arrived: VecDeque<u8>,
    is_fin_arrived: bool,
    is_fin_seen: bool,
    is_reading: bool,
    /// A `What::Read` is on its way.
    is_read_due: bool,
    is_reset: bool,
    batch: Option<Batch<Octets>>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Client(ClientId),
    Shard(usize, ConnId),
    /// Moving between shards.
    Loose,
    /// A shard closed it in order and, like the real backends, takes what still comes.
    Closed,
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    Closing,
    Detaching,
}

#[derive(Debug)]
struct Client {
    end: EndId,
    received: Vec<u8>,
}

#[derive(Debug)]
enum Listener {
    Shards(Vec<usize>),
    Client(Vec<ClientId>),
}

#[derive(Debug, Default)]
struct Shard {
    conns: BTreeMap<u32, (ConnId, EndId)>,
    done: Vec<Done>,
    /// It has enough: no further read begins.
    is_held: bool,
}

impl World {
    pub(super) fn new(seed: u64, faults: Faults) -> Self {
        assert!(faults.window_bytes > 0, "nothing would ever arrive");
        Self {
            now: Instant::ZERO,
            rng: Rng::new(seed),
            faults,
            on_its_way: BinaryHeap::new(),
            sequence: 0,
            links: Vec::new(),
            clients: Vec::new(),
            listeners: BTreeMap::new(),
            shards: Vec::new(),
            trace: 0xcbf2_9ce4_8422_2325,
        }
    }

    pub(super) fn now(&self) -> Instant {
        self.now
    }

    pub(super) fn faults(&self) -> Faults {
        self.faults
    }

    pub(super) fn set_now(&mut self, now: Instant) {
        debug_assert!(now >= self.now || now == Instant::ZERO, "time runs forward");
        self.now = self.now.max(now);
    }

    pub(super) fn trace_hash(&self) -> u64 {
        self.trace
    }

    pub(super) fn next_arrival(&self) -> Option<Instant> {
        self.on_its_way.peek().map(|Reverse(due)| due.at)
    }

    /// Lets everything happen that is due.
    pub(super) fn happen(&mut self) {
        while let Some(Reverse(due)) = self.on_its_way.peek()
            && due.at <= self.now
        {
            let Some(Reverse(due)) = self.on_its_way.pop() else {
                return;
            };
            self.note(&due);
            match due.what {
                What::Accept { end, to } => self.arrive_accept(end, to),
                What::Connect { shard, request, to } => self.arrive_connect(shard, request, to),
                What::Octets { to, octets } => self.arrive_octets(to, &octets),
                What::Fin { to } => self.arrive_fin(to),
                What::Reset { to } => self.arrive_reset(to),
                What::Read { end } => self.read(end),
            }
        }
    }

    /// FNV-1a over what happened.
    fn note(&mut self, due: &Due) {
        let at = due.at.as_nanos();
        self.hash(&at.to_le_bytes());
        let (kind, end, octets): (u8, Option<EndId>, &[u8]) = match &due.what {
            What::Accept { end, .. } => (0, Some(*end), &[]),
            What::Connect { .. } => (1, None, &[]),
            What::Octets { to, octets } => (2, Some(*to), octets),
            What::Fin { to } => (3, Some(*to), &[]),
            What::Reset { to } => (4, Some(*to), &[]),
            What::Read { end } => (5, Some(*end), &[]),
        };
        self.hash(&[kind]);
        if let Some(EndId { link, side }) = end {
            self.hash(&(link as u64 * 2 + side as u64).to_le_bytes());
        }
        self.hash(octets);
    }

    fn hash(&mut self, octets: &[u8]) {
        for &octet in octets {
            self.trace = (self.trace ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn end(&mut self, id: EndId) -> &mut End {
        &mut self.links[id.link][id.side]
    }

    fn schedule(&mut self, at: Instant, what: What) {
        let sequence = self.sequence;
        self.sequence += 1;
        self.on_its_way.push(Reverse(Due { at, sequence, what }));
    }

    fn delay(&mut self) -> Duration {
        let max = u64::try_from(self.faults.delay_max.as_nanos()).expect("some milliseconds");
        Duration::from_nanos(self.rng.below(max + 1))
    }

    /// Sends something from `from` that arrives after all that went before.
    fn transport(&mut self, from: EndId, what: What) {
        let at = self.now + self.delay();
        let end = self.end(from);
        end.last_arrival = end.last_arrival.max(at);
        let at = end.last_arrival;
        self.schedule(at, what);
    }

    fn add_link(&mut self, owners: [Owner; 2], addrs: [SocketAddr; 2]) -> usize {
        let end = |side: usize| End {
            owner: owners[side],
            addr: addrs[side],
            outgoing: VecDeque::new(),
            in_pipe: 0,
            last_arrival: self.now,
            wants_fin: false,
            is_fin_sent: false,
            arrived: VecDeque::new(),
            is_fin_arrived: false,
            is_fin_seen: false,
            is_reading: true,
            is_read_due: false,
            is_reset: false,
            batch: None,
            phase: Phase::Open,
        };
        let ends = [end(0), end(1)];
        self.links.push(ends);
        self.links.len() - 1
    }

    /// An address of the far side that no other connection has.
    fn client_addr(&self) -> SocketAddr {
        let link = u32::try_from(self.links.len()).expect("far fewer");
        let [_, high, middle, low] = link.to_be_bytes();
        SocketAddr::from(([10, high, middle, low], 49_152))
    }
}

// What happens on the way.
impl World {
    /// Puts as much of what an end has to send on its way as the window allows.
    fn pump(&mut self, id: EndId) {
        if self.end(id).is_reset {
            return;
        }
        let mut taken = 0;
        loop {
            let room = self.faults.window_bytes;
            let end = self.end(id);
            let count = end.outgoing.len().min(room - end.in_pipe);
            if count == 0 {
                break;
            }
            let count = self.piece(count, self.faults.has_short_writes, usize::MAX);
            let end = self.end(id);
            let octets = end.outgoing.drain(..count).collect();
            end.in_pipe += count;
            taken += count;
            let to = id.other();
            self.transport(id, What::Octets { to, octets });
        }
        let end = self.end(id);
        if !end.outgoing.is_empty() {
            if let Owner::Shard(shard, conn) = end.owner
                && taken > 0
            {
                let octets = taken;
                let progressed = Completion::Progressed { conn, octets };
                self.shards[shard].done.push(progressed);
            }
            return;
        }
        if end.wants_fin && !end.is_fin_sent {
            end.is_fin_sent = true;
            self.transport(id, What::Fin { to: id.other() });
        }
        self.settle(id);
    }

    fn piece(&mut self, count: usize, is_short: bool, otherwise_max: usize) -> usize {
        if is_short {
            count.min(1 + self.rng.index(PIECE_BYTES_MAX))
        } else {
            count.min(otherwise_max)
        }
    }

    fn arrive_accept(&mut self, end: EndId, to: SocketAddr) {
        let shards = match self.listeners.get(&to) {
            Some(Listener::Shards(shards)) => shards.clone(),
            Some(Listener::Client(_)) | None => Vec::new(),
        };
        if shards.is_empty() {
            self.reset_from(end);
            return;
        }
        let shard = shards[self.rng.index(shards.len())];
        let peer = self.end(end.other()).addr;
        // Listeners of simulated shards are all alike.
        let accepted = Completion::Accepted {
            listener: 0,
            socket: end,
            peer,
        };
        self.shards[shard].done.push(accepted);
    }

    fn arrive_connect(&mut self, shard: usize, request: ConnectId, to: SocketAddr) {
        let outcome = match self.listeners.get(&to) {
            Some(Listener::Client(_)) => {
                let client = ClientId(self.clients.len());
                let addrs = [to, self.client_addr()];
                let link = self.add_link([Owner::Client(client), Owner::Loose], addrs);
                let end = EndId { link, side: 0 };
                let received = Vec::new();
                self.clients.push(Client { end, received });
                if let Some(Listener::Client(clients)) = self.listeners.get_mut(&to) {
                    clients.push(client);
                }
                Completion::Connected {
                    request,
                    socket: end.other(),
                    peer: to,
                }
            }
            Some(Listener::Shards(shards)) if !shards.is_empty() => {
                let addrs = [self.client_addr(), to];
                let link = self.add_link([Owner::Loose, Owner::Loose], addrs);
                let near = EndId { link, side: 0 };
                let end = near.other();
                self.transport(near, What::Accept { end, to });
                Completion::Connected {
                    request,
                    socket: near,
                    peer: to,
                }
            }
            Some(Listener::Shards(_)) | None => Completion::ConnectFailed {
                request,
                error: io::ErrorKind::ConnectionRefused,
            },
        };
        self.shards[shard].done.push(outcome);
    }

    fn arrive_octets(&mut self, to: EndId, octets: &[u8]) {
        let is_fault = self.rng.below(1_000_000) < u64::from(self.faults.resets_per_million);
        let end = self.end(to);
        if end.is_reset {
            return;
        }
        if is_fault {
            self.break_link(to);
            return;
        }
        match end.owner {
            Owner::Client(client) => {
                end.arrived.extend(octets);
                self.client_read(client);
            }
            Owner::Shard(..) | Owner::Loose => {
                end.arrived.extend(octets);
                self.read_soon(to);
            }
            Owner::Closed => {
                self.end(to.other()).in_pipe -= octets.len();
                self.pump(to.other());
            }
            Owner::Gone => self.reset_from(to),
        }
    }

    fn arrive_fin(&mut self, to: EndId) {
        self.end(to).is_fin_arrived = true;
        self.read_soon(to);
    }

    fn arrive_reset(&mut self, to: EndId) {
        let end = self.end(to);
        end.is_reset = true;
        end.outgoing.clear();
        end.arrived.clear();
        self.forget(to, Some(io::ErrorKind::ConnectionReset));
    }

    /// Both ends learn of a reset at once.
    fn break_link(&mut self, id: EndId) {
        self.arrive_reset(id);
        self.arrive_reset(id.other());
    }

    /// The owner of an end gives the connection up.
    pub(super) fn reset_from(&mut self, id: EndId) {
        let end = self.end(id);
        if end.is_reset {
            return;
        }
        end.is_reset = true;
        end.owner = match end.owner {
            Owner::Client(client) => Owner::Client(client),
            Owner::Shard(..) | Owner::Loose | Owner::Closed | Owner::Gone => Owner::Gone,
        };
        end.batch = None;
        end.outgoing.clear();
        end.arrived.clear();
        self.transport(id, What::Reset { to: id.other() });
    }

    /// Lets a shard read an end after a drawn while.
    fn read_soon(&mut self, id: EndId) {
        let has_short_reads = self.faults.has_short_reads;
        if let Owner::Shard(shard, _) = self.end(id).owner
            && self.shards[shard].is_held
        {
            return;
        }
        let end = self.end(id);
        let has_news = !end.arrived.is_empty() || (end.is_fin_arrived && !end.is_fin_seen);
        let is_wanted = matches!(end.owner, Owner::Shard(..))
            && end.is_reading
            && end.phase == Phase::Open
            && !end.is_read_due;
        if has_news && is_wanted {
            end.is_read_due = true;
            let wait = if has_short_reads {
                self.delay()
            } else {
                Duration::ZERO
            };
            self.schedule(self.now + wait, What::Read { end: id });
        }
    }

    fn read(&mut self, id: EndId) {
        let end = self.end(id);
        end.is_read_due = false;
        let Owner::Shard(shard, conn) = end.owner else {
            return;
        };
        if !end.is_reading || end.phase != Phase::Open {
            return;
        }
        if end.arrived.is_empty() {
            if end.is_fin_arrived && !end.is_fin_seen {
                end.is_fin_seen = true;
                self.shards[shard].done.push(Completion::Ended { conn });
            }
            return;
        }
        let count = end.arrived.len();
        let count = self.piece(count, self.faults.has_short_reads, READ_BYTES_MAX);
        let octets: Octets = self.end(id).arrived.drain(..count).collect();
        let received = Completion::Received { conn, octets };
        self.shards[shard].done.push(received);
        self.end(id.other()).in_pipe -= count;
        self.pump(id.other());
        self.read_soon(id);
    }
}
