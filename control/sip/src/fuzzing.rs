//! Bodies of the fuzz targets; also run by unit tests.

use crate::addr::{SipAddr, Transport};
use crate::agent::{
    Agent, AgentConfig, Answer, Destination, DialogId, Event, Flow, Hop, Invite, Output, TxnId,
};
use crate::message::{Method, reason_phrase};
use crate::parse::{Frame, Parsed, StreamFramer, parse_datagram};
use clock::{Duration, Instant};
use core::net::SocketAddr;
use std::collections::HashMap;

/// Operations read of one script.
const OPERATIONS_MAX: usize = 2_000;
/// Messages on their way at once; more are lost.
const IN_FLIGHT_MAX: usize = 64;
/// Longer than anything is tried (timer C), and what follows from it.
const LONG: Duration = Duration::from_secs(600);

/// Reads octets as a datagram and, cut at every place, as a stream; what can be read of them comes out
/// the same.
///
/// # Panics
///
/// When a message that was read and written is read otherwise, or a stream depends on how it is cut.
pub fn read(octets: &[u8]) {
    let parsed = parse_datagram(octets);
    let written = match &parsed {
        Parsed::Request(request) => Some(request.to_bytes()),
        Parsed::Response(response) => Some(response.to_bytes()),
        Parsed::Malformed(_) | Parsed::Garbage => None,
    };
    if let Some(written) = written {
        let again = match parse_datagram(&written) {
            Parsed::Request(request) => request.to_bytes(),
            Parsed::Response(response) => response.to_bytes(),
            Parsed::Malformed(malformed) => panic!("{malformed:?}"),
            Parsed::Garbage => panic!("what was read is garbage"),
        };
        assert!(again == written, "it reads otherwise");
    }
    let whole = frames(octets, octets.len());
    // Long ones at every few octets.
    for cut in (0..octets.len()).step_by(1 + octets.len() / 16) {
        let parts = frames(octets, cut);
        let is_same = match (parts.last(), whole.last()) {
            // What stands before the cut may be known to be bad before the rest is there.
            (Some(Frame::Fatal(_)), Some(Frame::Fatal(_))) => true,
            _ => parts == whole,
        };
        assert!(is_same, "cut at {cut}");
    }
}

fn frames(octets: &[u8], cut: usize) -> Vec<Frame> {
    let mut framer = StreamFramer::default();
    let mut frames = Vec::new();
    for part in [&octets[..cut], &octets[cut..]] {
        framer.push(part);
        while let Some(frame) = framer.next_frame() {
            let is_last = matches!(frame, Frame::Fatal(_));
            // Pings may come in one piece or in several.
            if frame != Frame::Ping {
                frames.push(frame);
            }
            if is_last {
                return frames;
            }
        }
    }
    frames
}

/// Lets two user agents call, subscribe, refer and take leave over a link on which everything happens
/// that `script` says: each pair of octets is an operation (requests, answers, deliveries in any order,
/// losses, copies, broken octets, failed lookups, clock jumps, overload). Then both applications let go
/// of everything, and the link is cut until nothing is due.
///
/// # Panics
///
/// When a request did not end exactly once, or something is left behind at the end.
pub fn converse(script: &[u8]) {
    let mut world = World::new();
    for octets in script.chunks(2).take(OPERATIONS_MAX) {
        let argument = octets.get(1).copied().unwrap_or(0);
        world.operate(octets[0], argument);
    }
    world.let_go();
    world.check();
}

struct Ua {
    agent: Agent,
    /// Requests to be answered.
    asked: Vec<(TxnId, Method, Option<DialogId>)>,
    /// Every dialog that there ever was, with how often it is held.
    dialogs: Vec<(DialogId, u32)>,
    lookups: Vec<TxnId>,
    /// Final responses to requests of ours.
    finals: HashMap<TxnId, u32>,
    wait: Option<Instant>,
    /// Datagrams wait.
    is_slow: bool,
}

struct World {
    uas: [Ua; 2],
    now: Instant,
    /// To which end, how, and what.
    in_flight: Vec<(usize, Transport, Vec<u8>)>,
}

impl World {
    fn new() -> Self {
        let ua = |end: usize| Ua {
            agent: Agent::new(config(end)),
            asked: Vec::new(),
            dialogs: Vec::new(),
            lookups: Vec::new(),
            finals: HashMap::new(),
            wait: None,
            is_slow: false,
        };
        Self {
            uas: [ua(0), ua(1)],
            now: Instant::ZERO,
            in_flight: Vec::new(),
        }
    }

    fn operate(&mut self, operation: u8, argument: u8) {
        let (end, which) = (usize::from(argument % 2), usize::from(argument / 2));
        match operation % 18 {
            0 | 1 => self.start(end, which),
            2..=4 => self.deliver(argument, true),
            5 => self.deliver(argument, false),
            6 => {
                self.take_flight(argument);
            }
            7 | 8 => self.respond(end, which),
            9 => self.pass(Duration::from_millis(u64::from(argument) * 8)),
            10 => self.pass(Duration::from_secs(u64::from(argument))),
            11 => self.with_dialog(end, which, |agent, _, id| {
                let body = if which.is_multiple_of(2) {
                    &b""[..]
                } else {
                    b"v=0\r\n"
                };
                agent.ack(id, &[], body.to_vec());
            }),
            12 => self.with_dialog(end, which, |agent, now, id| {
                agent.bye(now, id, Vec::new());
            }),
            13 => self.with_dialog(end, which, Agent::cancel),
            14 => self.ask(end, which),
            15 => self.hold(end, which),
            16 => self.corrupt(argument),
            _ if argument > 200 => {
                self.uas[end].is_slow = which.is_multiple_of(2);
                self.work(end);
            }
            _ => self.resolve(end, which),
        }
        self.drain(end);
    }

    fn start(&mut self, end: usize, which: usize) {
        let methods = [Method::Invite, Method::Subscribe, Method::Refer];
        let method = methods[which % 3].clone();
        let transport = [Transport::Udp, Transport::Tcp][which / 3 % 2];
        let is_looked_up = (which / 6).is_multiple_of(3);
        let hop = Hop {
            addr: SipAddr {
                transport,
                addr: addr_of(1 - end),
            },
            name: None,
            near: addr_of(end),
        };
        let invite = Invite {
            uri: "sip:room@other.example".into(),
            hops: if is_looked_up { Vec::new() } else { vec![hop] },
            is_proxy: which.is_multiple_of(5),
            from: "sip:who@own.example".into(),
            headers: vec![("Supported".into(), "100rel".into())],
            body: Vec::new(),
        };
        let is_held = method != Method::Invite;
        let started = self.uas[end].agent.start(self.now, method, invite);
        let id = started.expect("these are URIs");
        self.uas[end].dialogs.push((id, u32::from(is_held)));
    }

    fn respond(&mut self, end: usize, which: usize) {
        let ua = &mut self.uas[end];
        if ua.asked.is_empty() {
            return;
        }
        const CODES: [u16; 9] = [200, 180, 183, 202, 302, 401, 486, 503, 183];
        let code = CODES[which % CODES.len()];
        let at = which / CODES.len() % ua.asked.len();
        let (txn, method, dialog) = ua.asked[at].clone();
        let mut answer = Answer::new(code).with("Contact", format!("<sip:room@{}>", addr_of(end)));
        if which % CODES.len() == 2 {
            answer = answer
                .with("Require", "100rel")
                .with_body("application/sdp", "v=0\r\n");
        }
        if code >= 200 {
            ua.asked.swap_remove(at);
            let is_new = ua
                .dialogs
                .iter_mut()
                .find(|(id, holds)| Some(*id) == dialog && *holds == 0);
            if let Some((id, holds)) = is_new
                && code < 300
                && matches!(method, Method::Subscribe | Method::Refer)
            {
                ua.agent.hold(*id);
                *holds += 1;
            }
        }
        ua.agent.respond(self.now, txn, &answer);
    }

    fn with_dialog(
        &mut self,
        end: usize,
        which: usize,
        act: impl FnOnce(&mut Agent, Instant, DialogId),
    ) {
        let ua = &mut self.uas[end];
        if let Some(&(id, _)) = ua.dialogs.get(which % ua.dialogs.len().max(1)) {
            act(&mut ua.agent, self.now, id);
        }
    }

    fn ask(&mut self, end: usize, which: usize) {
        let methods = [
            Method::Invite,
            Method::Update,
            Method::Notify,
            Method::Options,
            Method::Subscribe,
        ];
        let method = methods[which % methods.len()].clone();
        let ua = &mut self.uas[end];
        let at = which / methods.len() % ua.dialogs.len().max(1);
        if let Some(&(id, _)) = ua.dialogs.get(at)
            && let Some(txn) = ua
                .agent
                .request(self.now, id, method, Vec::new(), Vec::new())
        {
            ua.finals.entry(txn).or_default();
        }
    }

    fn hold(&mut self, end: usize, which: usize) {
        let ua = &mut self.uas[end];
        let at = which / 2 % ua.dialogs.len().max(1);
        let Some((id, holds)) = ua.dialogs.get_mut(at) else {
            return;
        };
        if which.is_multiple_of(2) {
            ua.agent.hold(*id);
            *holds += 1;
        } else if *holds > 0 {
            ua.agent.release(*id);
            *holds -= 1;
        }
    }

    /// What was looked up is found, or not.
    fn resolve(&mut self, end: usize, which: usize) {
        let ua = &mut self.uas[end];
        if ua.lookups.is_empty() {
            return;
        }
        let txn = ua.lookups.swap_remove(which % ua.lookups.len());
        let hop = |transport| Hop {
            addr: SipAddr {
                transport,
                addr: addr_of(1 - end),
            },
            name: None,
            near: addr_of(end),
        };
        let hops = match which % 4 {
            0 => Vec::new(),
            1 => vec![hop(Transport::Udp)],
            2 => vec![hop(Transport::Tcp)],
            _ => vec![hop(Transport::Tcp), hop(Transport::Udp)],
        };
        ua.agent.handle_resolved(self.now, txn, hops);
    }

    fn take_flight(&mut self, which: u8) -> Option<(usize, Transport, Vec<u8>)> {
        let count = self.in_flight.len();
        (count > 0).then(|| self.in_flight.swap_remove(usize::from(which) % count))
    }

    /// Brings one message, and keeps a copy on its way if it is not the last.
    fn deliver(&mut self, which: u8, is_last: bool) {
        let Some((to, transport, bytes)) = self.take_flight(which) else {
            return;
        };
        if !is_last {
            self.in_flight.push((to, transport, bytes.clone()));
        }
        let flow = Flow {
            transport,
            channel: 7,
            local: addr_of(to),
            remote: addr_of(1 - to),
            is_trusted: false,
        };
        let agent = &mut self.uas[to].agent;
        if transport == Transport::Udp && agent.has_room_for_datagrams() {
            agent.arrive(self.now, flow, &bytes, 0);
            self.work(to);
        } else {
            agent.handle_received(self.now, flow, parse_datagram(&bytes));
        }
        self.drain(to);
    }

    /// Takes in what waits, unless that end is slow: then what comes later finds it late.
    fn work(&mut self, end: usize) {
        while !self.uas[end].is_slow && self.uas[end].agent.work(self.now) {
            self.drain(end);
        }
    }

    /// Changes one octet of a message on its way.
    fn corrupt(&mut self, argument: u8) {
        if let Some((_, _, bytes)) = self.in_flight.last_mut()
            && !bytes.is_empty()
        {
            let at = usize::from(argument) * 31 % bytes.len();
            bytes[at] = argument;
        }
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        for end in 0..2 {
            while let Some(at) = self.uas[end].wait.filter(|at| *at <= until) {
                self.uas[end].agent.handle_deadline(at);
                self.drain(end);
            }
        }
        self.now = until;
    }

    fn drain(&mut self, end: usize) {
        loop {
            let ua = &mut self.uas[end];
            match ua.agent.poll() {
                Output::Wait(at) => {
                    ua.wait = at;
                    return;
                }
                Output::Resolve { txn, .. } => ua.lookups.push(txn),
                Output::Event(event) => ua.hear(event),
                Output::Transmit { to, bytes, txn } => {
                    let (transport, addr) = match to {
                        Destination::Flow { flow, addr } => (flow.transport, addr),
                        Destination::Hop { hop, .. } => (hop.addr.transport, hop.addr.addr),
                    };
                    if addr.ip() != addr_of(1 - end).ip() {
                        if let Some(txn) = txn {
                            ua.agent.handle_send_failed(self.now, txn);
                        }
                    } else if self.in_flight.len() < IN_FLIGHT_MAX {
                        self.in_flight.push((1 - end, transport, bytes));
                    }
                }
            }
        }
    }

    /// The applications are done with everything; nothing reaches anybody any more.
    fn let_go(&mut self) {
        for end in 0..2 {
            self.uas[end].is_slow = false;
            self.work(end);
        }
        for _ in 0..3 {
            for end in 0..2 {
                let (now, ua) = (self.now, &mut self.uas[end]);
                for (txn, ..) in ua.asked.drain(..) {
                    ua.agent.respond(now, txn, &Answer::new(480));
                }
                for txn in ua.lookups.drain(..) {
                    ua.agent.handle_resolved(now, txn, Vec::new());
                }
                for (id, holds) in &mut ua.dialogs {
                    for _ in 0..core::mem::take(holds) {
                        ua.agent.release(*id);
                    }
                    ua.agent.cancel(now, *id);
                    ua.agent.bye(now, *id, Vec::new());
                }
                self.drain(end);
            }
            self.pass(LONG);
            self.in_flight.clear();
        }
    }

    fn check(&self) {
        for ua in &self.uas {
            for (what, count) in ua.agent.sizes() {
                assert_eq!(count, 0, "{what} are left behind");
            }
            for (txn, count) in &ua.finals {
                assert_eq!(*count, 1, "{txn:?} ended so often");
            }
        }
    }
}

impl Ua {
    fn hear(&mut self, event: Event) {
        match event {
            Event::Invite { dialog, txn, .. } => {
                self.dialogs.push((dialog, 0));
                self.asked.push((txn, Method::Invite, Some(dialog)));
            }
            Event::Request {
                dialog,
                is_new,
                txn,
                request,
                ..
            } => {
                self.dialogs
                    .extend(dialog.filter(|_| is_new).map(|id| (id, 0)));
                self.asked.push((txn, request.method.clone(), dialog));
            }
            Event::Response { txn, response, .. } if response.code >= 200 => {
                assert!(!reason_phrase(response.code).is_empty());
                let count = self.finals.entry(txn).or_default();
                *count += 1;
                assert_eq!(*count, 1, "{txn:?} ended twice");
            }
            Event::Response { .. }
            | Event::Acked { .. }
            | Event::Cancelled { .. }
            | Event::PrackTimeout { .. }
            | Event::AckTimeout { .. }
            | Event::Bye { .. } => {}
        }
    }
}

fn addr_of(end: usize) -> SocketAddr {
    let last = if end == 0 { 1 } else { 2 };
    SocketAddr::from(([192, 0, 2, last], 5060))
}

fn config(end: usize) -> AgentConfig {
    use Method::{Ack, Bye, Cancel, Notify, Options, Prack, Refer, Subscribe, Update};
    AgentConfig {
        locals: vec![SipAddr::udp(addr_of(end)), SipAddr::tcp(addr_of(end))],
        allow: vec![
            Method::Invite,
            Ack,
            Bye,
            Cancel,
            Notify,
            Options,
            Prack,
            Refer,
            Subscribe,
            Update,
        ],
        accept: vec!["application/sdp".into()],
        supported: vec!["100rel".into()],
        users: None,
        credentials: Vec::new(),
        seed: [u8::from(end == 0); 32],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn whatever_happens_on_the_link_nothing_is_left_behind(
            script in proptest::collection::vec(any::<u8>(), 0..800)
        ) {
            converse(&script);
        }

        #[test]
        fn octets_are_read_alike_however_they_come(
            octets in proptest::collection::vec(any::<u8>(), 0..400)
        ) {
            read(&octets);
        }
    }
}
