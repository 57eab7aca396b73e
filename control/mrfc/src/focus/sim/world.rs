//! The clock, the network, and what the focus works with.

use super::behind::{Behind, Port};
use super::gateway::Gateway;
use super::net::{controller_peer, focus_addr, gateway_addr, hops_of, mid, phone_addr, udp_peer};
use super::phone::Phone;
use crate::cdr::Recorder;
use crate::config::{ConferenceConfig, Config};
use crate::focus::calls::Lookup;
use crate::focus::{Around, Command, Focus, Input};
use crate::status::Counters;
use crate::terms::Profile;
use clock::{Duration, Instant};
use conference::ParticipantId;
use core::future::Future;
use core::net::SocketAddr;
use core::pin::pin;
use core::task::{Context, Poll, Waker};
use h248::ast::ReplyBody;
use h248_endpoint::{AssociationConfig, Config as H248Config, Node, NodeOutput, RequestKey, Role};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sip::{Agent, AgentConfig, Answer, Method, Output, SipAddr, Target, Transport, TxnId};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::watch;

/// What may go wrong in a run: some of it not at all, so that rare mixtures appear.
#[derive(Clone, Copy, Debug)]
pub(super) struct Faults {
    /// SIP datagrams lost and doubled, of a hundred.
    pub(super) sip_lost: u32,
    pub(super) sip_doubled: u32,
    /// H.248 datagrams lost, of a hundred.
    pub(super) h248_lost: u32,
    /// How long a datagram may take, milliseconds.
    pub(super) delay_ms: u64,
    /// How long the focus may leave something waiting, milliseconds.
    pub(super) lag_ms: u64,
    /// How long an MRFP may think, milliseconds.
    pub(super) thought_ms: u64,
    /// Requests that an MRFP refuses, and answers very late, of a hundred.
    pub(super) refused: u32,
    pub(super) slow: u32,
}

impl Faults {
    pub(super) const NONE: Self = Self {
        sip_lost: 0,
        sip_doubled: 0,
        h248_lost: 0,
        delay_ms: 20,
        lag_ms: 0,
        thought_ms: 20,
        refused: 0,
        slow: 0,
    };

    pub(super) fn draw(rng: &mut StdRng) -> Self {
        let mut some = |most: u32| {
            let is_at_work = rng.random_bool(0.4);
            if is_at_work {
                rng.random_range(1..=most)
            } else {
                0
            }
        };
        Self {
            sip_lost: some(30),
            sip_doubled: some(30),
            h248_lost: some(30),
            delay_ms: 20 + u64::from(some(700)),
            lag_ms: u64::from(some(300)),
            thought_ms: 20 + u64::from(some(4_000)),
            refused: some(20),
            slow: some(20),
        }
    }
}

/// What is on its way.
pub(super) enum Happening {
    /// To the focus (0) or a phone, by this transport, from that address.
    Sip(usize, Transport, SocketAddr, Vec<u8>),
    /// The connection to whom a request was for cannot be opened.
    SipUnsent(usize, TxnId),
    /// To the controller, from this gateway, or the other way round; `life` tells a gateway from the one
    /// before it.
    H248(bool, usize, Vec<u8>),
    /// The focus takes in one thing.
    Turn,
    Lookup(ParticipantId, Target),
    /// A phone answers a request.
    Answer(usize, TxnId, Box<Answer>),
    /// A gateway answers a request, if it is still the one that was asked.
    Reply(usize, u32, RequestKey, Box<ReplyBody>),
    /// A gateway tells what became of a message that it played.
    Played(usize, u32, String, String),
}

pub(super) type Tested = Focus<Port, Port>;

/// One run.
pub(super) struct World {
    pub(super) rng: StdRng,
    pub(super) now: Instant,
    pub(super) faults: Faults,
    pub(super) focus: Tested,
    pub(super) behind: Rc<Behind>,
    pub(super) phones: Vec<Phone>,
    pub(super) gateways: Vec<Gateway>,
    pub(super) counters: Arc<Counters>,
    /// Call detail records, as they were written.
    pub(super) records: std::sync::mpsc::Receiver<String>,
    /// Of requests that reached the focus, by branch and method: when, and the final answer.
    pub(super) asked: BTreeMap<String, (Instant, Option<u16>)>,
    pending: BTreeMap<(Instant, u64), Happening>,
    serial: u64,
    from_sip: VecDeque<sip::Event>,
    from_h248: VecDeque<h248_endpoint::Event>,
    from_others: VecDeque<Input>,
    is_turn_due: bool,
    pub(super) tells: bool,
    hash: DefaultHasher,
}

fn agent_config(addr: SocketAddr, seed: [u8; 32]) -> AgentConfig {
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
    AgentConfig {
        locals: vec![SipAddr::udp(addr), SipAddr::tcp(addr)],
        allow: crate::METHODS.to_vec(),
        accept: words(&crate::ACCEPT),
        supported: words(&crate::SUPPORTED),
        users: None,
        credentials: Vec::new(),
        seed,
    }
}

/// An agent of a phone, which takes NOTIFY, too.
pub(super) fn phone_agent(phone: usize, seed: [u8; 32]) -> Agent {
    let mut config = agent_config(phone_addr(phone), seed);
    config.allow.push(Method::Notify);
    Agent::new(config)
}

fn config() -> Config {
    let conference = ConferenceConfig::new;
    Config {
        sip: Vec::new(),
        h248: Vec::new(),
        conferences: vec![
            ConferenceConfig {
                max_participants: Some(3),
                ..conference("small")
            },
            ConferenceConfig {
                profile: Some(Profile::Chatroom),
                ..conference("chat")
            },
        ],
        create_on_join: true,
        session_expires: Some(Duration::from_secs(600)),
        ..Config::default()
    }
}

impl World {
    pub(super) fn new(seed: u64, phones: usize, gateways: usize, tells: bool) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let behind = Rc::new(Behind {
            agent: RefCell::new(Agent::new(agent_config(focus_addr(), rng.random()))),
            node: RefCell::new(Node::controller(
                H248Config {
                    timers: h248_endpoint::Timers {
                        t_max: Config::default().h248_timeout,
                        ..h248_endpoint::Timers::default()
                    },
                    ..H248Config::new(mid("mrfc.example"), Role::Controller, rng.random())
                },
                AssociationConfig {
                    profiles: vec![h248_endpoint::mp_profile()],
                    ..AssociationConfig::default()
                },
                Instant::ZERO,
            )),
            now: Cell::default(),
            lookups: RefCell::default(),
            addrs: vec![SipAddr::udp(focus_addr()), SipAddr::tcp(focus_addr())],
        });
        let counters = Arc::<Counters>::default();
        let (recorder, records) = Recorder::to_memory();
        let around = Around {
            sip: Port(Rc::clone(&behind)),
            h248: Port(Rc::clone(&behind)),
            counters: Arc::clone(&counters),
            registered: watch::channel(0).0,
            recorder: Some(recorder),
            seed: rng.random(),
        };
        let allow = crate::METHODS.map(|m| m.to_string()).join(", ");
        let phones = (1..=phones).map(|number| Phone::new(number, &mut rng));
        let phones = phones.collect();
        let gateways = (1..=gateways).map(|number| Gateway::new(number, &mut rng));
        let gateways = gateways.collect();
        let faults = Faults::draw(&mut rng);
        Self {
            rng,
            now: Instant::ZERO,
            faults,
            focus: Focus::new(config(), allow, around),
            behind,
            phones,
            gateways,
            counters,
            records,
            asked: BTreeMap::new(),
            pending: BTreeMap::new(),
            serial: 0,
            from_sip: VecDeque::new(),
            from_h248: VecDeque::new(),
            from_others: VecDeque::new(),
            is_turn_due: false,
            tells,
            hash: DefaultHasher::new(),
        }
    }

    /// One line of the story.
    pub(super) fn note(&mut self, line: &str) {
        if self.tells {
            println!(
                "{:>12.3} {line}",
                self.now.since(Instant::ZERO).as_secs_f64()
            );
        }
        (self.now, line).hash(&mut self.hash);
    }

    /// Two runs with the same have the same story.
    pub(super) fn story(&self) -> u64 {
        self.hash.finish()
    }

    pub(super) fn chance(&mut self, of_hundred: u32) -> bool {
        of_hundred > 0 && self.rng.random_range(0..100) < of_hundred
    }

    pub(super) fn later(&mut self, wait: Duration, what: Happening) {
        self.serial += 1;
        self.pending.insert((self.now + wait, self.serial), what);
    }

    pub(super) fn some_ms(&mut self, most: u64) -> Duration {
        Duration::from_micros(self.rng.random_range(0..=most * 1_000))
    }

    /// An operator asks for something.
    pub(super) fn command(&mut self, command: Command) {
        self.from_others.push_back(Input::Command(command));
        self.settle();
    }

    /// Lets time pass, and everything that is due on the way.
    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        self.settle();
        while let Some(at) = self.next_due().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.behind.now.set(self.now);
            self.do_due();
            self.settle();
        }
        self.now = until;
        self.behind.now.set(until);
    }

    fn next_due(&mut self) -> Option<Instant> {
        let of_focus = self.focus_waits().chain(self.focus.deadline()).min();
        let pending = self.pending.keys().next().map(|(at, _)| *at);
        let of_phones = self.phones.iter().filter_map(|phone| phone.wait);
        let of_gateways = self.gateways.iter().filter_map(Gateway::deadline);
        let all = pending.into_iter().chain(of_phones).chain(of_gateways);
        all.chain(of_focus).min()
    }

    /// When the agents behind the focus want to be woken.
    fn focus_waits(&mut self) -> impl Iterator<Item = Instant> + use<> {
        let Output::Wait(of_agent) = self.behind.agent.borrow_mut().poll() else {
            panic!("it was drained");
        };
        let NodeOutput::Wait(of_node) = self.behind.node.borrow_mut().poll() else {
            panic!("it was drained");
        };
        of_agent.into_iter().chain(of_node)
    }

    fn do_due(&mut self) {
        let now = self.now;
        self.behind.agent.borrow_mut().handle_deadline(now);
        self.behind.node.borrow_mut().handle_deadline(now);
        for phone in &mut self.phones {
            phone.agent.handle_deadline(now);
        }
        for number in 0..self.gateways.len() {
            self.wake_gateway(number);
        }
        self.wake_focus();
        let first = self.pending.first_key_value();
        let due = first.filter(|((at, _), _)| *at <= now).map(|(key, _)| *key);
        if let Some(happening) = due.and_then(|key| self.pending.remove(&key)) {
            self.happen(happening);
        }
    }

    /// Timers of the focus: those that are over when they are armed would never end.
    fn wake_focus(&mut self) {
        let mut rounds = 0;
        while self.focus.deadline().is_some_and(|at| at <= self.now) {
            rounds += 1;
            assert!(rounds < 1_000, "the focus turns round");
            self.turn(Input::Deadline);
        }
    }

    fn happen(&mut self, happening: Happening) {
        let now = self.now;
        match happening {
            Happening::Sip(to, transport, from, bytes) => {
                self.deliver_sip(to, transport, from, &bytes)
            }
            Happening::SipUnsent(0, txn) => {
                self.behind.agent.borrow_mut().handle_send_failed(now, txn);
            }
            Happening::SipUnsent(phone, txn) => {
                self.phones[phone - 1].agent.handle_send_failed(now, txn);
            }
            Happening::H248(to_controller, gateway, bytes) => {
                if self.gateways[gateway].is_cut {
                    return;
                }
                if to_controller {
                    let peer = udp_peer(gateway_addr(gateway));
                    self.behind
                        .node
                        .borrow_mut()
                        .handle_received(now, peer, &bytes);
                } else {
                    let node = &mut self.gateways[gateway].node;
                    node.handle_received(now, controller_peer(), &bytes);
                }
            }
            Happening::Turn => {
                self.is_turn_due = false;
                self.take_turn();
            }
            Happening::Lookup(leg, target) => {
                let hops = hops_of(&target);
                self.from_others
                    .push_back(Input::Lookup(Lookup { leg, hops }));
            }
            Happening::Answer(phone, txn, answer) => {
                self.phones[phone].agent.respond(now, txn, &answer);
            }
            Happening::Reply(gateway, life, key, body) => {
                let gateway = &mut self.gateways[gateway];
                if gateway.life == life {
                    gateway.node.reply(now, key, *body);
                }
            }
            Happening::Played(gateway, life, termination, name) => {
                if self.gateways[gateway].life == life {
                    self.tell_played(gateway, &termination, &name);
                }
            }
        }
    }

    /// The focus takes in one of the things that wait, of any kind.
    fn take_turn(&mut self) {
        let waiting = [
            self.from_sip.is_empty(),
            self.from_h248.is_empty(),
            self.from_others.is_empty(),
        ];
        let kinds: Vec<_> = (0..3).filter(|kind| !waiting[*kind]).collect();
        if kinds.is_empty() {
            return;
        }
        let input = match kinds[self.rng.random_range(0..kinds.len())] {
            0 => self.from_sip.pop_front().map(Input::Sip),
            1 => self.from_h248.pop_front().map(Input::H248),
            _ => self.from_others.pop_front(),
        };
        if let Some(input) = input {
            self.turn(input);
        }
    }

    fn turn(&mut self, input: Input) {
        let line = brief(&input);
        self.note(&format!("focus: {line}"));
        ready(self.focus.handle(self.now, input));
        self.check_turn();
    }

    /// Everything that follows at this moment.
    pub(super) fn settle(&mut self) {
        loop {
            let mut is_busy = self.drain_focus();
            for number in 0..self.phones.len() {
                is_busy |= self.drain_phone(number);
            }
            for number in 0..self.gateways.len() {
                is_busy |= self.drain_gateway(number);
            }
            self.wake_focus();
            let waits = self.from_sip.len() + self.from_h248.len() + self.from_others.len();
            if waits > 0 && !self.is_turn_due {
                is_busy = true;
                match self.faults.lag_ms {
                    0 => self.take_turn(),
                    most => {
                        self.is_turn_due = true;
                        let wait = self.some_ms(most);
                        self.later(wait, Happening::Turn);
                    }
                }
            }
            if !is_busy {
                return;
            }
        }
    }

    fn drain_focus(&mut self) -> bool {
        let mut is_busy = false;
        let behind = Rc::clone(&self.behind);
        loop {
            let output = behind.agent.borrow_mut().poll();
            match output {
                Output::Wait(_) => break,
                Output::Event(event) => self.from_sip.push_back(event),
                Output::Resolve { txn, target } => {
                    let mut agent = behind.agent.borrow_mut();
                    agent.handle_resolved(self.now, txn, hops_of(&target));
                }
                Output::Transmit { to, bytes, txn } => {
                    self.note_answer(&bytes);
                    self.transmit_sip(0, &to, bytes, txn);
                }
            }
            is_busy = true;
        }
        loop {
            let output = behind.node.borrow_mut().poll();
            match output {
                NodeOutput::Wait(_) => break,
                NodeOutput::Event(event) => self.from_h248.push_back(*event),
                NodeOutput::Transmit { peer, octets } => {
                    let is_it = |gateway: &usize| gateway_addr(*gateway) == peer.addr;
                    if let Some(gateway) = (0..self.gateways.len()).find(is_it) {
                        self.transmit_h248(false, gateway, octets.to_vec());
                    }
                }
                NodeOutput::Close(_) | NodeOutput::Connect(_) | NodeOutput::Resolve { .. } => {}
            }
            is_busy = true;
        }
        for (leg, target) in core::mem::take(&mut *behind.lookups.borrow_mut()) {
            let wait = self.some_ms(200);
            self.later(wait, Happening::Lookup(leg, target));
            is_busy = true;
        }
        is_busy
    }
}

/// What the focus does waits for nobody here.
fn ready<F: Future>(future: F) -> F::Output {
    let future = pin!(future);
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the focus waits"),
    }
}

fn brief(input: &Input) -> String {
    match input {
        Input::Sip(event) => match event {
            sip::Event::Invite { dialog, .. } => format!("INVITE in {dialog:?}"),
            sip::Event::Request {
                dialog, request, ..
            } => format!("{} in {dialog:?}", request.method),
            sip::Event::Response {
                dialog,
                method,
                response,
                ..
            } => format!("{} to {method} in {dialog:?}", response.code),
            sip::Event::Acked { dialog, .. } => format!("ACK in {dialog:?}"),
            sip::Event::Bye { dialog, .. } => format!("BYE in {dialog:?}"),
            sip::Event::Cancelled { .. }
            | sip::Event::PrackTimeout { .. }
            | sip::Event::AckTimeout { .. } => format!("{event:?}"),
        },
        Input::H248(event) => match event {
            h248_endpoint::Event::Request(_) => "H.248 request".to_owned(),
            h248_endpoint::Event::Reply { id, .. } => format!("H.248 reply {}", id.0),
            h248_endpoint::Event::Failed { id, reason, .. } => {
                format!("H.248 failure {}: {reason}", id.0)
            }
            h248_endpoint::Event::Registered(registered) => {
                format!("registered {:?} {:?}", registered.mid, registered.method)
            }
            h248_endpoint::Event::Lost { mid, reason, .. } => format!("lost {mid:?}: {reason}"),
            h248_endpoint::Event::Late { .. }
            | h248_endpoint::Event::Leaving { .. }
            | h248_endpoint::Event::RegistrationFailed { .. }
            | h248_endpoint::Event::Departed
            | h248_endpoint::Event::Problem(_) => format!("{event:?}"),
        },
        Input::Lookup(lookup) => format!("{lookup:?}"),
        Input::Command(_) => "command".to_owned(),
        Input::Deadline => "deadline".to_owned(),
    }
}
