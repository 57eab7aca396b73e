//! The TCP connections of one shard.
//!
//! ```text
//! receive:   a frame's flow is looked up; its own connection alone sees it, and becomes dirty if it has to send
//! transmit:  dirty connections send, each until it has nothing more, a burst at a time
//! deadline:  the earliest of all connections' timers; those that are due become dirty
//! ```
//!
//! No step looks at a connection that nothing happened to, so that thousands of idle ones cost nothing.
//!
//! **Invariant:** a flow stands in the table once; if it says `Here`, the connection is in the slab.

mod conn;
mod cookie;
mod flow_hash;
mod life;
mod owner;
mod pace;
mod ports;
mod wire;
mod words;

use core::hash::{Hash, Hasher};
use core::net::SocketAddr;
use std::collections::{HashMap, VecDeque};
use std::hash::DefaultHasher;

use clock::{Instant, TimerTable};
use slab::Slab;

use conn::{Conn, Core, Role};
use cookie::Cookies;
use flow_hash::Keyed;

pub use conn::{Detached, Key};
pub use ports::{Lease, Owners};
pub use wire::FrameSink;
pub use words::{Config, Event, Fate, Found, Read};

use crate::frame::{Flow, Header, Segment};
use crate::limits::{
    ASTRAY_PER_TURN, HALF_OPEN_MAX, HALF_OPEN_TIME, HELD_FRAMES_MAX, RESETS_PER_TURN,
};
use crate::tcp::{HEADER_BYTES, Incoming, Outgoing, Seq, State, Tcp};

/// Where the connection of a flow is.
#[derive(Debug)]
enum Place {
    Here(usize),
    /// On its way to its owner; what came meanwhile.
    Moving(Vec<Box<[u8]>>),
    Away(u8),
}

/// See the module.
#[expect(missing_debug_implementations, reason = "thousands of connections")]
pub struct Stack {
    config: Config,
    flows: HashMap<Flow, Place, Keyed>,
    conns: Slab<Conn>,
    serial: u64,
    half_open_count: usize,
    cookies: Cookies,
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
        Self {
            cookies: Cookies::new(config.seed),
            config,
            flows: HashMap::default(),
            conns: Slab::new(),
            serial: 0,
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
        let parts = segment.and_then(|segment| {
            let incoming = Incoming::parse(&frame[segment.tcp.clone()])?;
            Some((segment, incoming, Segment::reply_header(frame)?))
        });
        let Some((segment, incoming, header)) = parts else {
            self.dropped += 1;
            return Fate::Dropped;
        };
        if segment.is_syn() {
            self.forget_closed(segment.flow);
        }
        match self.flows.get_mut(&segment.flow) {
            Some(&mut Place::Here(index)) => {
                self.feed(now, index, &incoming, header, sink);
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
            None if is_forwarded => Fate::Dropped,
            None => self.receive_unknown(now, &segment, &incoming, header, sink),
        }
    }

    fn receive_unknown(
        &mut self,
        now: Instant,
        segment: &Segment,
        incoming: &Incoming<'_>,
        header: Header,
        sink: &mut impl FrameSink,
    ) -> Fate {
        let local = segment.flow.local;
        if let Some(shard) = self.config.owners.of(local.port())
            && shard != self.config.shard
        {
            return Fate::Away(shard);
        }
        if let Some(listener) = self.listener(local) {
            let handshake = (incoming, header);
            if !segment.is_syn() {
                if self.open_whole(now, segment.flow, listener, handshake, sink) {
                    return Fate::Taken;
                }
            } else if self.half_open_count < HALF_OPEN_MAX {
                self.open_half(now, segment.flow, listener, handshake);
                return Fate::Taken;
            } else {
                self.answer(now, &segment.flow, handshake, sink);
                return Fate::Taken;
            }
        }
        if let Some(left) = self.astray_left.checked_sub(1)
            && self.config.shards > 1
            && !segment.is_syn()
        {
            self.astray_left = left;
            return Fate::Astray;
        }
        self.dropped += 1;
        self.reset(&segment.flow, incoming, header, sink);
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
                self.conns[index].core.known_to.insert(from);
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
    pub fn refuse(&mut self, frame: &[u8], sink: &mut impl FrameSink) {
        self.dropped += 1;
        if let (Some(segment), Some(header)) = (Segment::parse(frame), Segment::reply_header(frame))
            && let Some(incoming) = Incoming::parse(&frame[segment.tcp.clone()])
        {
            self.reset(&segment.flow, &incoming, header, sink);
        }
    }

    fn reset(
        &mut self,
        flow: &Flow,
        incoming: &Incoming<'_>,
        header: Header,
        sink: &mut impl FrameSink,
    ) {
        if !incoming.is_reset() {
            self.send_reset(flow, &incoming.refusal(), header, sink);
        }
    }

    fn send_reset(
        &mut self,
        flow: &Flow,
        segment: &Outgoing,
        header: Header,
        sink: &mut impl FrameSink,
    ) {
        if let Some(left) = self.resets_left.checked_sub(1)
            && sink.has_room()
        {
            self.resets_left = left;
            let leaves_checksums = self.config.leaves_checksums;
            let (header, nothing): (_, [&[u8]; 2]) = (Some(&header), [&[]; 2]);
            wire::send(sink, flow, header, leaves_checksums, (segment, nothing));
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
            && self.conns[index].core.tcp.state() == State::TimeWait
        {
            self.remove(index);
        }
    }

    fn open_half(
        &mut self,
        now: Instant,
        flow: Flow,
        listener: usize,
        (syn, header): (&Incoming<'_>, Header),
    ) {
        let (initial, segment_bytes) = self.beginning(now, &flow);
        let tcp = Tcp::accept(now, initial, segment_bytes, syn);
        self.insert_half_open((tcp, flow, header), listener, now);
    }

    /// Answers a SYN, and forgets it: there are too many of them.
    fn answer(
        &mut self,
        now: Instant,
        flow: &Flow,
        (syn, header): (&Incoming<'_>, Header),
        sink: &mut impl FrameSink,
    ) {
        if sink.has_room() {
            let initial = self.cookies.make(now, flow, syn);
            let answer = syn.answer(initial, self.segment_bytes(flow));
            let leaves_checksums = self.config.leaves_checksums;
            let (header, nothing): (_, [&[u8]; 2]) = (Some(&header), [&[]; 2]);
            wire::send(sink, flow, header, leaves_checksums, (&answer, nothing));
        }
    }

    /// Opens the connection of whoever acknowledges such an answer; whether that is so.
    fn open_whole(
        &mut self,
        now: Instant,
        flow: Flow,
        listener: usize,
        (incoming, header): (&Incoming<'_>, Header),
        sink: &mut impl FrameSink,
    ) -> bool {
        let Some(said) = self.cookies.check(now, &flow, incoming) else {
            return false;
        };
        let tcp = Tcp::resume(now, incoming, (self.segment_bytes(&flow), said));
        let key = self.insert_half_open((tcp, flow, header), listener, now);
        self.feed(now, key.index, incoming, header, sink);
        true
    }

    fn insert_half_open(
        &mut self,
        (tcp, flow, header): (Tcp, Flow, Header),
        listener: usize,
        now: Instant,
    ) -> Key {
        let mut core = Core::new(tcp, flow, self.config.shard);
        core.header = Some(header);
        self.half_open_count += 1;
        let role = Role::HalfOpen { listener };
        self.insert(core, role, Some(now + HALF_OPEN_TIME))
    }

    /// The first number of a connection and the octets of its segments.
    ///
    /// Numbers grow with time, from a place that nobody else can know of others (RFC 6528).
    fn beginning(&self, now: Instant, flow: &Flow) -> (Seq, u16) {
        let mut hasher = DefaultHasher::new();
        (self.config.seed, flow).hash(&mut hasher);
        let ticks = now.as_nanos() / 4_000;
        let number = hasher.finish().wrapping_add(ticks) & u64::from(u32::MAX);
        let initial = Seq(u32::try_from(number).expect("32 bits"));
        (initial, self.segment_bytes(flow))
    }

    fn segment_bytes(&self, flow: &Flow) -> u16 {
        let bytes = self.config.packet_bytes_max - wire::ip_bytes(flow) - HEADER_BYTES;
        u16::try_from(bytes).unwrap_or(u16::MAX)
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
