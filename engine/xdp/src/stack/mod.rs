//! The TCP connections of one shard.
//!
//! ```text
//! receive:   a frame's flow is looked up; its own socket alone sees it; the socket becomes dirty
//! transmit:  dirty sockets send, each until it has nothing more, a burst at a time
//! deadline:  the earliest of all sockets' timers; those that are due become dirty
//! ```
//!
//! No step looks at a socket that nothing happened to, so that thousands of idle ones cost nothing.
//!
//! **Invariant:** a flow stands in the table once; if it says `Here`, the connection is in the slab.

mod conn;
mod flow_hash;
mod life;
mod owner;
mod pace;
mod ports;
mod wire;
mod words;

use core::net::{IpAddr, SocketAddr};
use std::collections::{HashMap, VecDeque};

use clock::{Instant, TimerTable};
use slab::Slab;
use smoltcp::iface::{Config as InterfaceConfig, Interface, SocketSet};
use smoltcp::socket::tcp::State;
use smoltcp::wire::{HardwareAddress, IpListenEndpoint};

use conn::{Conn, Core, Role, Shards};
use flow_hash::Keyed;
use wire::{Sent, Wire};

pub use conn::{Detached, Key};
pub use ports::{Lease, Owners};
pub use wire::FrameSink;
pub use words::{Config, Event, Fate, Found, Read};

use crate::frame::{Flow, Header, Segment};
use crate::limits::{
    ASTRAY_PER_TURN, HALF_OPEN_MAX, HALF_OPEN_TIME, HELD_FRAMES_MAX, RESETS_PER_TURN,
};

/// Where the connection of a flow is.
#[derive(Debug)]
enum Place {
    Here(usize),
    /// On its way to its owner; what came meanwhile.
    Moving(Vec<Box<[u8]>>),
    Away(u8),
}

/// See the module.
#[expect(missing_debug_implementations, reason = "smoltcp's interface has none")]
pub struct Stack {
    config: Config,
    interface: Interface,
    /// For what belongs to no socket.
    nobody: SocketSet<'static>,
    flows: HashMap<Flow, Place, Keyed>,
    conns: Slab<Conn>,
    serial: u64,
    half_open: VecDeque<Key>,
    half_open_count: usize,
    orphans: VecDeque<Key>,
    orphan_count: usize,
    dirty: VecDeque<Key>,
    /// Those of a turn that only acknowledge; empty between turns.
    bare: Vec<Key>,
    /// Connections that have more to send than they may.
    stuck_count: usize,
    timers: TimerTable<Key>,
    events: VecDeque<Event>,
    resets_left: usize,
    astray_left: usize,
    dropped: u64,
}

impl Stack {
    /// A stack without connections.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let mut settings = InterfaceConfig::new(HardwareAddress::Ip);
        settings.random_seed = config.seed;
        let mut wire = Wire {
            packet: None,
            sink: &mut Nowhere,
            header: None,
            packet_bytes_max: config.packet_bytes_max,
            leaves_checksums: config.leaves_checksums,
            sent: None,
        };
        let mut interface = Interface::new(settings, &mut wire, smoltcp::time::Instant::ZERO);
        // Which addresses are ours was decided before a frame came here.
        interface.set_any_ip(true);
        Self {
            config,
            interface,
            nobody: SocketSet::new(Vec::new()),
            flows: HashMap::default(),
            conns: Slab::new(),
            serial: 0,
            half_open: VecDeque::new(),
            half_open_count: 0,
            orphans: VecDeque::new(),
            orphan_count: 0,
            dirty: VecDeque::new(),
            bare: Vec::new(),
            stuck_count: 0,
            timers: TimerTable::default(),
            events: VecDeque::new(),
            resets_left: RESETS_PER_TURN,
            astray_left: ASTRAY_PER_TURN,
            dropped: 0,
        }
    }

    /// Connections in every state, those nobody owns any more included.
    #[must_use]
    pub fn conn_count(&self) -> usize {
        self.conns.len()
    }

    /// Frames dropped since the stack was made.
    #[must_use]
    pub fn dropped_count(&self) -> u64 {
        self.dropped
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        if let Event::Ready(key) = event
            && let Some(conn) = self.get(key)
        {
            conn.is_reported = false;
        }
        Some(event)
    }

    /// Takes a frame. `is_forwarded`: another shard received it for this one.
    pub fn receive(
        &mut self,
        now: Instant,
        frame: &[u8],
        is_forwarded: bool,
        sink: &mut impl FrameSink,
    ) -> Fate {
        let accepts_partial = self.config.accepts_partial;
        let segment = Segment::parse(frame).filter(|one| one.is_whole(frame, accepts_partial));
        let (Some(segment), Some(header)) = (segment, Segment::reply_header(frame)) else {
            self.dropped += 1;
            return Fate::Dropped;
        };
        if segment.is_syn() {
            self.forget_closed(segment.flow);
        }
        match self.flows.get_mut(&segment.flow) {
            Some(&mut Place::Here(index)) => {
                self.feed(now, index, frame, &segment, header, sink);
                Fate::Taken
            }
            Some(Place::Moving(held)) => {
                if held.len() < HELD_FRAMES_MAX {
                    held.push(frame.into());
                }
                Fate::Taken
            }
            Some(&mut Place::Away(shard)) if !is_forwarded => Fate::Away(shard),
            Some(Place::Away(_)) => Fate::Dropped,
            None => self.receive_unknown(now, frame, &segment, is_forwarded, header, sink),
        }
    }

    fn receive_unknown(
        &mut self,
        now: Instant,
        frame: &[u8],
        segment: &Segment,
        is_forwarded: bool,
        header: Header,
        sink: &mut impl FrameSink,
    ) -> Fate {
        if is_forwarded {
            return Fate::Dropped;
        }
        let local = segment.flow.local;
        if let Some(shard) = self.config.owners.of(local.port())
            && shard != self.config.shard
        {
            return Fate::Away(shard);
        }
        if segment.is_syn()
            && let Some(listener) = self.listener(local)
        {
            let index = self.open_half(now, segment.flow, listener);
            self.feed(now, index, frame, segment, header, sink);
            return Fate::Taken;
        }
        if let Some(left) = self.astray_left.checked_sub(1)
            && self.config.shards > 1
            && !segment.is_syn()
        {
            self.astray_left = left;
            return Fate::Astray;
        }
        self.dropped += 1;
        self.reset(now, frame, segment, header, sink);
        Fate::Dropped
    }

    /// Looks for the owner of a frame that arrived at the queue of shard `from`, and takes it if it is
    /// here.
    pub fn look_for(
        &mut self,
        now: Instant,
        frame: &[u8],
        from: u8,
        sink: &mut impl FrameSink,
    ) -> Found {
        let Some(segment) = Segment::parse(frame) else {
            return Found::Moving;
        };
        match self.flows.get(&segment.flow) {
            Some(&Place::Here(index)) => {
                self.conns[index].known_to.insert(from);
                self.receive(now, frame, true, sink);
                Found::Here(segment.flow)
            }
            Some(Place::Moving(_)) => {
                self.receive(now, frame, true, sink);
                Found::Moving
            }
            Some(&Place::Away(shard)) => Found::Away(shard),
            None => Found::Nowhere,
        }
    }

    /// Answers a frame that no shard knows.
    pub fn refuse(&mut self, now: Instant, frame: &[u8], sink: &mut impl FrameSink) {
        self.dropped += 1;
        if let (Some(segment), Some(header)) = (Segment::parse(frame), Segment::reply_header(frame))
        {
            self.reset(now, frame, &segment, header, sink);
        }
    }

    fn reset(
        &mut self,
        now: Instant,
        frame: &[u8],
        segment: &Segment,
        header: Header,
        sink: &mut impl FrameSink,
    ) {
        if let Some(left) = self.resets_left.checked_sub(1) {
            self.resets_left = left;
            let mut wire = self.wire(Some(&frame[segment.packet.clone()]), Some(header), sink);
            self.interface
                .poll_ingress_single(instant(now), &mut wire, &mut self.nobody);
        }
    }

    fn listener(&self, local: SocketAddr) -> Option<usize> {
        self.config.listeners.iter().position(|one| {
            let is_any = one.ip().is_unspecified() && one.is_ipv4() == local.is_ipv4();
            one.port() == local.port() && (one.ip() == local.ip() || is_any)
        })
    }

    /// A new SYN ends what is left of an earlier connection of the same ends.
    fn forget_closed(&mut self, flow: Flow) {
        if let Some(&Place::Here(index)) = self.flows.get(&flow)
            && self.conns[index].role == Role::Orphan
            && self.conns[index].state() == State::TimeWait
        {
            self.remove(index);
        }
    }

    fn open_half(&mut self, now: Instant, flow: Flow, listener: usize) -> usize {
        let mut socket = conn::socket();
        let endpoint = IpListenEndpoint::from(flow.local);
        socket
            .listen(endpoint)
            .expect("a new socket, and no one sends to port 0");
        let core = Core {
            socket,
            flow,
            header: None,
            lease: None,
            failure: None,
            home: self.config.shard,
            known_to: Shards::default(),
            sent: Sent::default(),
        };
        let role = Role::HalfOpen { listener };
        let key = self.insert(core, role, Some(now + HALF_OPEN_TIME));
        self.half_open_count += 1;
        self.half_open.push_back(key);
        let is_half = |role| matches!(role, Role::HalfOpen { .. });
        if let Some(oldest) = trim(
            &mut self.half_open,
            &self.conns,
            (self.half_open_count, HALF_OPEN_MAX),
            is_half,
        ) {
            self.remove(oldest);
        }
        key.index
    }

    fn insert(&mut self, core: Core, role: Role, until: Option<Instant>) -> Key {
        self.serial += 1;
        let flow = core.flow;
        let index = self.conns.insert(Conn::new(core, self.serial, role, until));
        self.flows.insert(flow, Place::Here(index));
        let key = Key {
            index,
            serial: self.serial,
        };
        self.arm(key, until);
        self.soil(key);
        key
    }

    fn get(&mut self, key: Key) -> Option<&mut Conn> {
        let conn = self.conns.get_mut(key.index);
        conn.filter(|conn| conn.serial == key.serial)
    }

    fn wire<'a, S>(
        &self,
        packet: Option<&'a [u8]>,
        header: Option<Header>,
        sink: &'a mut S,
    ) -> Wire<'a, S> {
        Wire {
            packet,
            sink,
            header,
            packet_bytes_max: self.config.packet_bytes_max,
            leaves_checksums: self.config.leaves_checksums,
            sent: None,
        }
    }
}

/// The oldest connection of a queue, if there are more than its bound. Drops the names of those that
/// have left it.
fn trim(
    queue: &mut VecDeque<Key>,
    conns: &Slab<Conn>,
    (count, max): (usize, usize),
    belongs: impl Fn(Role) -> bool,
) -> Option<usize> {
    if queue.len() <= max || (count <= max && queue.len() <= 2 * max) {
        return None;
    }
    queue.retain(|key| {
        let conn = conns.get(key.index);
        conn.is_some_and(|conn| conn.serial == key.serial && belongs(conn.role))
    });
    if count <= max {
        return None;
    }
    queue.pop_front().map(|key| key.index)
}

/// smoltcp's clock counts microseconds.
fn instant(now: Instant) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros(i64::try_from(now.as_nanos() / 1000).unwrap_or(i64::MAX))
}

/// Takes nothing.
struct Nowhere;

impl FrameSink for Nowhere {
    fn has_room(&mut self) -> bool {
        false
    }

    fn send<R>(&mut self, bytes: usize, write: impl FnOnce(&mut [u8]) -> R) -> R {
        write(&mut vec![0; bytes])
    }

    fn send_routed(&mut self, _: IpAddr, _: &[u8]) {}
}
