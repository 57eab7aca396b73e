//! A shard without a reactor: the test is the network.

#![allow(dead_code, reason = "each test file uses its part of the harness")]

use std::collections::BTreeMap;
use std::rc::Rc;

use clock::{Duration, Instant};
use proptest::test_runner::{Config as ProptestConfig, RngSeed};
use switch::{
    Batch, CloseCause, Command, ConnId, ConnectId, ContextKey, Event, Input, Limits, Order, Output,
    SessionConfig, SessionKey, Shard, ShardConfig, ShardIndex, Shipment, Statistics, Via,
};

pub(crate) type Octets = Rc<[u8]>;

/// A shard, its connections and what came out of it.
pub(crate) struct World {
    pub(crate) shard: Shard<Octets>,
    pub(crate) now: Instant,
    /// Octets each connection was sent.
    pub(crate) sent: BTreeMap<u32, Vec<u8>>,
    /// Where messages end in it, on transports that carry messages.
    pub(crate) message_ends: BTreeMap<u32, Vec<usize>>,
    pub(crate) events: Vec<Event>,
    pub(crate) connects: Vec<ConnectId>,
    pub(crate) closed: Vec<u32>,
    pub(crate) paused: Vec<u32>,
    pub(crate) handed_over: Vec<(u32, ShardIndex, Vec<u8>)>,
    /// Connections whose sends do not complete, with the batch in flight.
    pub(crate) stuck: BTreeMap<u32, Option<Batch<Octets>>>,
    pub(crate) deadline: Option<Instant>,
    /// What left for other shards, and what goes back to them.
    pub(crate) shipped: Vec<Shipment>,
    pub(crate) unpacked: Vec<Shipment>,
    token: u64,
}

pub(crate) fn conn(index: u32) -> ConnId {
    ConnId {
        index,
        generation: 1,
    }
}

pub(crate) fn key(termination: u32) -> SessionKey {
    SessionKey {
        termination,
        stream: 1,
    }
}

/// Our path for participant `n`.
pub(crate) fn local(n: u32) -> String {
    format!("msrp://192.0.2.1:2855/local{n};tcp")
}

/// The participant's own path.
pub(crate) fn remote(n: u32) -> String {
    format!("msrp://192.0.2.{}:7000/remote{n};tcp", 10 + n)
}

pub(crate) fn config(n: u32) -> SessionConfig {
    SessionConfig {
        remote_path: Some(remote(n).into_bytes().into()),
        ..SessionConfig::new(local(n).into_bytes(), format!("local{n}").into_bytes())
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(crate) fn with(limits: Limits) -> Self {
        Self::of_shard(0, limits)
    }

    pub(crate) fn of_shard(index: u8, limits: Limits) -> Self {
        let config = ShardConfig {
            index: ShardIndex(index),
            shards: 2,
            life: 0,
            limits,
            seed: [7; 32],
        };
        Self {
            shard: Shard::new(config),
            now: Instant::from_nanos(1),
            sent: BTreeMap::new(),
            message_ends: BTreeMap::new(),
            events: Vec::new(),
            connects: Vec::new(),
            closed: Vec::new(),
            paused: Vec::new(),
            handed_over: Vec::new(),
            stuck: BTreeMap::new(),
            deadline: None,
            shipped: Vec::new(),
            unpacked: Vec::new(),
            token: 0,
        }
    }

    /// A conference of `count` participants, each bound to the connection of its number.
    pub(crate) fn conference(count: u32) -> Self {
        Self::conference_with(count, Limits::default())
    }

    pub(crate) fn conference_with(count: u32, limits: Limits) -> Self {
        let mut world = Self::with(limits);
        for n in 1..=count {
            world.install(n, config(n));
            world.join(n);
        }
        world
    }

    pub(crate) fn install(&mut self, n: u32, config: SessionConfig) {
        let (session, context) = (key(n), ContextKey(1));
        self.order(Order::Install {
            session,
            context,
            config: Box::new(config),
        });
    }

    /// Connects participant `n` and binds its session with a SEND without body.
    pub(crate) fn join(&mut self, n: u32) {
        self.accept(n);
        let bind = format!(
            "MSRP bind{n}x SEND\r\nTo-Path: {}\r\nFrom-Path: {}\r\nMessage-ID: bind{n}\r\n\
             Byte-Range: 1-0/0\r\n-------bind{n}x$\r\n",
            local(n),
            remote(n)
        );
        self.receive(n, bind.as_bytes());
        let answer = self.take(n);
        assert!(
            answer.starts_with(&format!("MSRP bind{n}x 200")),
            "{answer}"
        );
    }

    pub(crate) fn accept(&mut self, n: u32) {
        self.accept_via(n, Via::default());
    }

    pub(crate) fn accept_via(&mut self, n: u32, via: Via) {
        let peer = "192.0.2.99:1000".parse().expect("an address");
        self.feed(Input::Accepted {
            conn: conn(n),
            peer,
            via,
        });
    }

    pub(crate) fn receive(&mut self, n: u32, octets: &[u8]) {
        self.feed(Input::Received {
            conn: conn(n),
            octets: octets.into(),
        });
    }

    /// From here on sends to `n` do not complete.
    pub(crate) fn stick(&mut self, n: u32) {
        self.stuck.insert(n, None);
    }

    /// Completes the send to `n` in flight; later ones complete at once again.
    pub(crate) fn unstick(&mut self, n: u32) {
        if let Some(Some(batch)) = self.stuck.remove(&n) {
            self.feed(Input::Sent {
                conn: conn(n),
                batch,
            });
        }
    }

    /// Completes the send to `n` in flight; the next one does not complete either.
    pub(crate) fn breathe(&mut self, n: u32) {
        if let Some(Some(batch)) = self.stuck.insert(n, None) {
            let conn = conn(n);
            self.feed(Input::Sent { conn, batch });
        }
    }

    /// Several inputs in one turn.
    pub(crate) fn receive_together(&mut self, inputs: &[(u32, &[u8])]) {
        for (n, octets) in inputs {
            let input = Input::Received {
                conn: conn(*n),
                octets: (*octets).into(),
            };
            self.shard.handle(self.now, input);
        }
        self.drain();
    }

    pub(crate) fn close(&mut self, n: u32) {
        self.feed(Input::Closed {
            conn: conn(n),
            cause: CloseCause::Peer,
        });
    }

    pub(crate) fn order(&mut self, order: Order) -> Option<Statistics> {
        self.token += 1;
        let token = self.token;
        self.feed(Input::Command(Command { token, order }));
        let done = self
            .events
            .iter()
            .position(|e| matches!(e, Event::Done { token: t, .. } if *t == token));
        let done = done.expect("every order is answered");
        let Event::Done { statistics, .. } = self.events.remove(done) else {
            unreachable!("matched above");
        };
        statistics
    }

    pub(crate) fn advance(&mut self, by: Duration) {
        self.now += by;
        self.feed(Input::Deadline);
    }

    pub(crate) fn feed(&mut self, input: Input<Octets>) {
        self.shard.handle(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            match self.shard.poll() {
                Output::Transmit { conn, batch } => {
                    let out = self.sent.entry(conn.index).or_default();
                    self.message_ends
                        .entry(conn.index)
                        .or_default()
                        .extend(batch.message_ends().iter().map(|end| out.len() + end));
                    batch
                        .slices()
                        .for_each(|slice| out.extend_from_slice(slice));
                    match self.stuck.get_mut(&conn.index) {
                        Some(in_flight) => *in_flight = Some(batch),
                        None => self.shard.handle(self.now, Input::Sent { conn, batch }),
                    }
                }
                Output::Close { conn } => {
                    self.closed.push(conn.index);
                    let cause = CloseCause::Local;
                    self.shard.handle(self.now, Input::Closed { conn, cause });
                }
                Output::Connect { request, .. } => self.connects.push(request),
                Output::PauseReading { conn } => self.paused.push(conn.index),
                Output::ResumeReading { conn } => self.paused.retain(|c| *c != conn.index),
                Output::Handover { conn, to, octets } => {
                    self.handed_over.push((conn.index, to, octets));
                }
                Output::Event(event) => self.events.push(event),
                Output::Ship(shipment) => self.shipped.push(shipment),
                Output::Unpacked(shipment) => self.unpacked.push(shipment),
                Output::Wait(deadline) => {
                    self.deadline = deadline;
                    self.shard.assert_invariants();
                    return;
                }
            }
        }
    }

    /// What was sent on a connection since the last look, as text.
    pub(crate) fn take(&mut self, n: u32) -> String {
        String::from_utf8(self.take_octets(n)).expect("text")
    }

    pub(crate) fn take_octets(&mut self, n: u32) -> Vec<u8> {
        self.message_ends.remove(&n);
        self.sent.remove(&n).unwrap_or_default()
    }

    /// The frames sent on a connection since the last look.
    pub(crate) fn frames(&mut self, n: u32) -> Vec<Frame> {
        frames(&self.take_octets(n))
    }
}

/// A frame as a peer sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    /// What follows the transaction id.
    pub(crate) start: String,
    pub(crate) tid: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) flag: char,
}

impl Frame {
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields
            .iter()
            .find(|(n, _)| n == name)
            .map_or("", |(_, v)| v.as_str())
    }
}

/// A slow, obvious reader of whole frames; panics on anything that is not one.
pub(crate) fn frames(octets: &[u8]) -> Vec<Frame> {
    let mut octets = octets.to_vec();
    let frames = take_frames(&mut octets);
    assert!(octets.is_empty(), "{}", octets.escape_ascii());
    frames
}

/// The same for octets that may end within a frame: takes the whole ones off the front.
pub(crate) fn take_frames(octets: &mut Vec<u8>) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some((frame, used)) = first_frame(octets) {
        frames.push(frame);
        octets.drain(..used);
    }
    frames
}

fn first_frame(octets: &[u8]) -> Option<(Frame, usize)> {
    let mut rest = octets;
    let mut frame = Frame::default();
    let line = take_line(&mut rest)?;
    let mut words = line.splitn(3, ' ');
    assert_eq!(words.next(), Some("MSRP"), "{line}");
    frame.tid = words.next().expect("a transaction id").to_owned();
    frame.start = words.next().expect("a method or status").to_owned();
    let end = format!("-------{}", frame.tid);
    while !rest.starts_with(end.as_bytes()) {
        let line = take_line(&mut rest)?;
        if line.is_empty() {
            let at = find(rest, format!("\r\n{end}").as_bytes())?;
            frame.body = rest[..at].to_vec();
            rest = &rest[at + 2..];
            break;
        }
        let (name, value) = line.split_once(": ").expect("a header field");
        frame.fields.push((name.to_owned(), value.to_owned()));
    }
    let line = take_line(&mut rest)?;
    let flag = line.strip_prefix(&end).expect("looked for");
    assert!(["$", "+", "#"].contains(&flag), "{line}");
    frame.flag = flag.chars().next().expect("a flag");
    Some((frame, octets.len() - rest.len()))
}

fn find(octets: &[u8], what: &[u8]) -> Option<usize> {
    memchr::memmem::find(octets, what)
}

fn take_line(octets: &mut &[u8]) -> Option<String> {
    let at = find(octets, b"\r\n")?;
    let line = String::from_utf8_lossy(&octets[..at]).into_owned();
    *octets = &octets[at + 2..];
    Some(line)
}

/// A SEND from participant `n`, all in one chunk.
pub(crate) fn send(n: u32, tid: &str, message: &str, extra: &str, body: &[u8]) -> Vec<u8> {
    let range = format!("1-{0}/{0}", body.len());
    chunk(n, tid, message, &range, extra, body, '$')
}

/// Any chunk.
pub(crate) fn chunk(
    n: u32,
    tid: &str,
    message: &str,
    range: &str,
    extra: &str,
    body: &[u8],
    flag: char,
) -> Vec<u8> {
    let mut out = format!(
        "MSRP {tid} SEND\r\nTo-Path: {}\r\nFrom-Path: {}\r\nMessage-ID: {message}\r\n\
         Byte-Range: {range}\r\n{extra}Content-Type: text/plain\r\n\r\n",
        local(n),
        remote(n)
    )
    .into_bytes();
    out.extend_from_slice(body);
    out.extend_from_slice(format!("\r\n-------{tid}{flag}\r\n").as_bytes());
    out
}

/// Cases that are the same in every run, so that none fails by chance; `PROPTEST_RNG_SEED` and
/// `PROPTEST_CASES` try others.
pub(crate) fn fixed_cases(cases: u32) -> ProptestConfig {
    let environment = ProptestConfig::default();
    ProptestConfig {
        cases: match std::env::var_os("PROPTEST_CASES") {
            Some(_) => environment.cases,
            None => cases,
        },
        rng_seed: match environment.rng_seed {
            RngSeed::Random => RngSeed::Fixed(0x6d73_7270),
            RngSeed::Fixed(seed) => RngSeed::Fixed(seed),
        },
        failure_persistence: None,
        ..environment
    }
}
