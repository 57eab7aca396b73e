//! Bodies of the fuzz targets; also run by unit tests.

use std::collections::HashMap;

use bytes::Bytes;
use clock::{Duration, Instant};
use h248::ast::{MId, Name, ReplyBody};

use crate::service_change::root_audit;
use crate::{
    Config, Endpoint, Output, Peer, RequestKey, Role, TransportId, TransportKind, error, limits,
};

/// Operations read of one script.
const OPERATIONS_MAX: usize = 2_000;
/// Datagrams on their way at once; more are lost.
const IN_FLIGHT_MAX: usize = 64;
/// How long a datagram may wander: what LONG-TIMER has beyond T-MAX (Annex D.1.4).
const WANDERING_MAX: Duration = Duration::from_secs(5);

/// Lets a controller and a gateway talk over a link on which everything happens that `script` says:
/// each octet is an operation (requests, deliveries in any order, losses, copies, replies, clock
/// jumps, broken and restored transports, garbage). Then both are left alone until nothing is due.
///
/// # Panics
///
/// When a request did not end exactly once, was executed twice while it was remembered, was answered
/// without being executed, or something is left behind at the end.
pub fn converse(script: &[u8]) {
    let mut world = World::new();
    for octets in script.chunks(2).take(OPERATIONS_MAX) {
        let argument = octets.get(1).copied().unwrap_or(0);
        world.operate(octets[0], usize::from(argument));
    }
    world.settle();
    world.check();
}

struct World {
    ends: [Endpoint; 2],
    now: Instant,
    /// To which end, and when it was sent.
    in_flight: Vec<(usize, Instant, Bytes)>,
    running: Vec<(usize, RequestKey)>,
    /// When a request was executed, by executing end and id.
    executed: HashMap<(usize, u32), Instant>,
    /// Times a request ended, and whether with a reply, by requesting end and id.
    ended: HashMap<(usize, u32), (u32, bool)>,
    waits: [Option<Instant>; 2],
}

impl World {
    fn new() -> Self {
        let end = |name: &str, role, seed| {
            let name = Name::new(name);
            let mut config = Config::new(MId::Domain { name, port: None }, role, seed);
            config.version_max = 3;
            config.pendings_max = 20;
            // Replies of two commands and more go in segments.
            config.pdu_bytes_max = Some(120);
            Endpoint::new(config)
        };
        let mut ends = [
            end("mgc.example", Role::Controller, 1),
            end("mg.example", Role::Gateway, 2),
        ];
        for (at, end) in ends.iter_mut().enumerate() {
            end.set_version(peer_of(at), 3);
        }
        Self {
            ends,
            now: Instant::ZERO,
            in_flight: Vec::new(),
            running: Vec::new(),
            executed: HashMap::new(),
            ended: HashMap::new(),
            waits: [None, None],
        }
    }

    fn operate(&mut self, operation: u8, argument: usize) {
        match operation % 10 {
            0 => self.send(argument % 2),
            1 | 2 => self.deliver(argument, true),
            3 => self.deliver(argument, false),
            4 => {
                self.take_flight(argument);
            }
            5 => self.reply(argument),
            6 => self.pass(Duration::from_millis(argument as u64 * 7)),
            7 => self.pass(Duration::from_secs(argument as u64)),
            8 if argument > 230 => {
                let end = argument % 2;
                self.ends[end].handle_transport_failure(self.now, peer_of(end));
                self.ends[end].set_version(peer_of(end), 3);
                self.drain(end);
            }
            8 => self.pass(Duration::from_millis(1)),
            _ => {
                let garbage = [
                    &b"!/3 <mgc.example> T=1{"[..],
                    b"P=0{ER=403{}}",
                    b"!/9 <x> PN=1{}",
                ];
                let end = argument % 2;
                let octets = garbage[argument % garbage.len()];
                self.ends[end].handle_received(self.now, peer_of(end), octets);
                self.drain(end);
            }
        }
    }

    fn send(&mut self, end: usize) {
        let actions = vec![root_audit()];
        if let Ok(id) = self.ends[end].send_request(self.now, peer_of(end), actions) {
            self.ended.insert((end, id.0), (0, false));
        }
        self.drain(end);
    }

    fn take_flight(&mut self, which: usize) -> Option<(usize, Instant, Bytes)> {
        let count = self.in_flight.len();
        (count > 0).then(|| self.in_flight.swap_remove(which % count))
    }

    /// Brings one datagram, and keeps a copy on its way if it is not the last.
    fn deliver(&mut self, which: usize, is_last: bool) {
        let Some((to, sent, octets)) = self.take_flight(which) else {
            return;
        };
        if !is_last {
            self.in_flight.push((to, sent, octets.clone()));
        }
        self.ends[to].handle_received(self.now, peer_of(to), &octets);
        self.drain(to);
    }

    fn reply(&mut self, which: usize) {
        if self.running.is_empty() {
            return;
        }
        let (end, key) = self.running.swap_remove(which % self.running.len());
        self.ends[end].reply(self.now, key, body(which));
        self.drain(end);
    }

    /// Lets time pass, with everything that is due on the way if it is not too long a way.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        for _ in 0..200 {
            let due = self.waits.iter().flatten().min().copied();
            match due.filter(|at| *at <= until) {
                Some(at) => self.now = self.now.max(at),
                None => break,
            }
            self.do_what_is_due();
        }
        self.now = until;
        self.do_what_is_due();
        let oldest = self.now;
        self.in_flight
            .retain(|(_, sent, _)| oldest.since(*sent) < WANDERING_MAX);
    }

    fn do_what_is_due(&mut self) {
        for end in 0..2 {
            self.ends[end].handle_deadline(self.now);
            self.drain(end);
        }
    }

    fn drain(&mut self, end: usize) {
        loop {
            match self.ends[end].poll() {
                Output::Transmit { octets, .. } => {
                    if self.in_flight.len() < IN_FLIGHT_MAX {
                        self.in_flight.push((1 - end, self.now, octets));
                    }
                }
                Output::Request(request) => self.execute(end, request.request.id.0, request.key),
                Output::Reply { id, .. } => self.end(end, id.0, true),
                Output::Failed { id, .. } => self.end(end, id.0, false),
                Output::Problem(_) | Output::Late { .. } => {}
                Output::Wait(at) => {
                    self.waits[end] = at;
                    return;
                }
            }
        }
    }

    fn execute(&mut self, end: usize, id: u32, key: RequestKey) {
        self.running.push((end, key));
        let before = self.executed.insert((end, id), self.now);
        let long = self.ends[end].config().timers.long;
        let is_forgotten = before.is_none_or(|before| self.now.since(before) >= long);
        assert!(is_forgotten, "{id} executed again after {before:?}");
    }

    fn end(&mut self, end: usize, id: u32, is_answered: bool) {
        let is_executed = self.executed.contains_key(&(1 - end, id));
        assert!(is_executed || !is_answered, "{id} answered unheard");
        let (times, answered) = self.ended.get_mut(&(end, id)).expect("it was asked");
        *times += 1;
        *answered |= is_answered;
    }

    fn settle(&mut self) {
        for _ in 0..10_000 {
            while !self.in_flight.is_empty() {
                self.deliver(0, true);
            }
            if !self.running.is_empty() {
                self.reply(0);
                continue;
            }
            match self.waits.iter().flatten().min().copied() {
                Some(at) => {
                    self.now = self.now.max(at);
                    self.do_what_is_due();
                }
                None => return,
            }
        }
        panic!("it never ends");
    }

    fn check(&self) {
        for (request, (times, _)) in &self.ended {
            assert_eq!(*times, 1, "{request:?} ended so often");
        }
        for end in &self.ends {
            let left = (
                end.outstanding_count(),
                end.running_count(),
                end.stored_count(),
            );
            assert_eq!(left, (0, 0, 0), "nothing is left behind");
        }
    }
}

/// The peer of an end, as that end knows it.
fn peer_of(end: usize) -> Peer {
    let port = if end == 0 { 2 } else { 1 };
    Peer {
        transport: TransportId {
            kind: TransportKind::Udp,
            index: 0,
        },
        addr: ([127, 0, 0, 1], port).into(),
    }
}

/// A reply: an error, one command, or enough of them for some segments.
fn body(which: usize) -> ReplyBody {
    use h248::ast::{CommandResult, ContextId, TerminationId};
    let one = || CommandResult::Notify {
        terminations: TerminationId::Root.into(),
        error: Some(error(500, "a text of some length")),
    };
    let mut body = crate::single_reply(ContextId::Null, one());
    match &mut body {
        _ if which.is_multiple_of(4) => return ReplyBody::Error(error(581, "no")),
        ReplyBody::Actions(actions) => {
            let more = (which % 8).min(usize::from(limits::REPLY_SEGMENTS_MAX));
            let commands = (0..more).map(|_| one().into());
            actions[0].commands.extend(commands);
        }
        ReplyBody::Error(_) => {}
    }
    body
}
