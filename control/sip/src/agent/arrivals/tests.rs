//! One core in simulated time, and callers that are not put off.

use super::*;
use crate::addr::Transport;
use crate::agent::{AgentConfig, Answer, Event, Output};
use crate::limits::T1;
use crate::parse::Parsed;

/// Microseconds that reading a datagram takes, sending a refusal, and taking a call: its INVITE with the
/// application's part, its ACK and its BYE.
const READ_US: u64 = 40;
const REFUSE_US: u64 = 120;
const INVITE_US: u64 = 2_400;
const ACK_US: u64 = 280;
const BYE_US: u64 = 1_200;
/// A call, and what a refusal and its ACK take.
const CALL_US: u64 = INVITE_US + ACK_US + BYE_US + 3 * READ_US;
const REFUSAL_US: u64 = REFUSE_US + 2 * READ_US;
/// Calls a second that all the time goes into.
const CAPACITY: u64 = 1_000_000 / CALL_US;
/// Datagrams that the socket holds.
const SOCKET_MAX: usize = 1_000;
/// As the stack does it.
const READS_A_TURN: usize = crate::limits::DATAGRAMS_A_TURN;
const MESSAGES_A_TURN: usize = crate::limits::MESSAGES_A_TURN;
/// Callers are on a clock of their own, as load generators and TCP are.
const BURST_US: u64 = 10_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Call {
    /// Nothing was heard of it yet.
    Calling,
    /// It is known that it arrived.
    Proceeding,
    Answered,
    Refused,
    Over,
}

#[derive(Debug, Default)]
struct Tally {
    /// Calls that were begun in this time, and whether they were carried or refused.
    carried: u64,
    refused: u64,
    /// Datagrams that found no room in the socket.
    dropped: u64,
    repeated: u64,
    longest_us: u64,
}

struct World {
    agent: Agent,
    now_us: u64,
    /// With when they came.
    socket: VecDeque<(u64, String)>,
    /// When the datagrams in the agent's queue came.
    queue: VecDeque<u64>,
    calls: Vec<Call>,
    /// When a caller repeats itself, in order, and with which wait after that.
    repeats: std::collections::BTreeSet<(u64, usize, u64)>,
    next_burst: u64,
    /// The core does nothing until then.
    stalled_until: u64,
    tally: Tally,
}

fn message(method: &str, number: usize, cseq: &str, tag: &str) -> String {
    let branch = if method == "BYE" { "b" } else { "i" };
    format!(
        "{method} sip:room@home2.example SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{branch}{number}\r\n\
        From: <sip:ann@home1.example>;tag=f{number}\r\nTo: <sip:room@home2.example>{tag}\r\n\
        Call-ID: {number}\r\nCSeq: {cseq}\r\nContact: <sip:ann@192.0.2.1>\r\nContent-Length: 0\r\n\r\n"
    )
}

impl World {
    fn new() -> Self {
        Self {
            agent: Agent::new(AgentConfig {
                locals: vec!["udp:192.0.2.10:5060".parse().expect("an address")],
                allow: vec![Method::Invite, Method::Ack, Method::Bye],
                accept: Vec::new(),
                supported: Vec::new(),
                users: None,
                credentials: Vec::new(),
                seed: [7; 32],
            }),
            now_us: 0,
            socket: VecDeque::new(),
            queue: VecDeque::new(),
            calls: Vec::new(),
            repeats: std::collections::BTreeSet::new(),
            next_burst: 0,
            stalled_until: 0,
            tally: Tally::default(),
        }
    }

    fn now(&self) -> Instant {
        Instant::ZERO + Duration::from_micros(self.now_us)
    }

    /// Takes `rate` calls a second for some time, each step at `slowness` times its cost.
    fn run(&mut self, millis: u64, rate: u64, slowness: u64) -> Tally {
        let end = self.now_us + millis * 1_000;
        self.tally = Tally::default();
        while self.now_us < end {
            self.callers(rate);
            if self.now_us < self.stalled_until {
                self.now_us = self.stalled_until;
                continue;
            }
            let begun = self.now_us;
            self.turn(slowness);
            if self.now_us == begun {
                let repeat = self.repeats.first().map_or(u64::MAX, |first| first.0);
                self.now_us = self.next_burst.min(repeat).max(begun + 1);
            }
        }
        core::mem::take(&mut self.tally)
    }

    /// What callers sent until now.
    fn callers(&mut self, rate: u64) {
        loop {
            let repeat = self.repeats.first().copied();
            match repeat {
                Some((at, number, wait)) if at <= self.now_us.min(self.next_burst) => {
                    self.repeats.remove(&(at, number, wait));
                    if self.calls[number] == Call::Calling {
                        self.tally.repeated += 1;
                        self.put(at, message("INVITE", number, "1 INVITE", ""));
                        self.repeats.insert((at + wait * 2, number, wait * 2));
                    }
                }
                _ if self.next_burst <= self.now_us => {
                    let at = self.next_burst;
                    // Rates need not be multiples of bursts.
                    let due = |at: u64| at * rate / 1_000_000;
                    for _ in due(at)..due(at + BURST_US) {
                        let number = self.calls.len();
                        self.calls.push(Call::Calling);
                        self.put(at, message("INVITE", number, "1 INVITE", ""));
                        let wait = u64::try_from(T1.as_micros()).expect("short");
                        self.repeats.insert((at + wait, number, wait));
                    }
                    self.next_burst += BURST_US;
                }
                _ => return,
            }
        }
    }

    fn put(&mut self, at: u64, text: String) {
        if self.socket.len() < SOCKET_MAX {
            self.socket.push_back((at, text));
        } else {
            self.tally.dropped += 1;
        }
    }

    /// A turn of the core.
    fn turn(&mut self, slowness: u64) {
        for _ in 0..READS_A_TURN {
            if self.socket.front().is_none_or(|(at, _)| *at > self.now_us) {
                break;
            }
            let (at, text) = self.socket.pop_front().expect("looked at");
            let waiting = self.agent.waiting_count();
            self.agent
                .arrive(self.now(), test_flow(Transport::Udp), text.as_bytes(), 0);
            if self.agent.waiting_count() > waiting {
                self.queue.push_back(at);
            }
            self.now_us += READ_US * slowness;
            self.drain(slowness);
        }
        for _ in 0..MESSAGES_A_TURN {
            if !self.agent.work(self.now()) {
                break;
            }
            let came = self.queue.pop_front().expect("one for each");
            self.tally.longest_us = self.tally.longest_us.max(self.now_us - came);
            self.drain(slowness);
        }
        self.agent.handle_deadline(self.now());
        self.drain(slowness);
    }

    fn drain(&mut self, slowness: u64) {
        loop {
            match self.agent.poll() {
                Output::Wait(_) => return,
                Output::Event(Event::Invite { txn, .. }) => {
                    self.now_us += INVITE_US * slowness;
                    let answer = Answer::new(200).with("Contact", "<sip:room@192.0.2.10>");
                    self.agent.respond(self.now(), txn, &answer);
                }
                Output::Event(Event::Acked { .. }) => self.now_us += ACK_US * slowness,
                Output::Event(Event::Bye { .. }) => self.now_us += BYE_US * slowness,
                Output::Event(_) | Output::Resolve { .. } => {}
                Output::Transmit { bytes, .. } => self.hear(&bytes, slowness),
            }
        }
    }

    /// What a caller hears, and says to it.
    fn hear(&mut self, bytes: &[u8], slowness: u64) {
        let Parsed::Response(response) = parse_datagram(bytes) else {
            panic!("no response");
        };
        let number: usize = response
            .headers
            .call_id()
            .and_then(|id| id.parse().ok())
            .expect("ours");
        let tag = response
            .headers
            .to()
            .and_then(|to| to.tag().map(|tag| format!(";tag={tag}")));
        let tag = tag.unwrap_or_default();
        let (_, method) = response.headers.cseq().expect("ours");
        let call = self.calls[number];
        let (next, says) = match (response.code, method, call) {
            (100, Method::Invite, Call::Calling) => (Call::Proceeding, vec![]),
            (200, Method::Invite, Call::Calling | Call::Proceeding | Call::Answered) => {
                let ack = message("ACK", number, "1 ACK", &tag);
                let bye = message("BYE", number, "2 BYE", &tag);
                (Call::Answered, vec![ack, bye])
            }
            (200, Method::Bye, Call::Answered) => {
                self.tally.carried += 1;
                (Call::Over, vec![])
            }
            (503, Method::Invite, Call::Calling | Call::Refused) => {
                self.now_us += REFUSE_US * slowness;
                self.tally.refused += u64::from(call == Call::Calling);
                (Call::Refused, vec![message("ACK", number, "1 ACK", &tag)])
            }
            (100, ..) | (200, ..) => (call, vec![]),
            other => panic!("{other:?}"),
        };
        self.calls[number] = next;
        for text in says {
            self.put(self.now_us, text);
        }
    }

    /// Nothing comes any more: until nothing waits, and all calls are carried or refused.
    fn settle(&mut self) {
        self.run(2_000, 0, 1);
        assert_eq!((self.socket.len(), self.agent.waiting_count()), (0, 0));
        for (number, call) in self.calls.iter().enumerate() {
            assert!(
                matches!(call, Call::Over | Call::Refused),
                "{number}: {call:?}"
            );
        }
        assert_eq!(
            (self.agent.dialog_count(), self.agent.admission.pending()),
            (0, 0)
        );
        self.run(5_000, 0, 1);
        let flow = test_flow(Transport::Udp);
        self.agent.arrive(self.now(), flow, b"BYE", 0);
        assert!(self.agent.arrivals.watch.is_none());
    }
}

fn test_flow(transport: Transport) -> Flow {
    Flow {
        transport,
        channel: 0,
        local: "192.0.2.10:5060".parse().expect("an address"),
        remote: "192.0.2.1:5060".parse().expect("an address"),
        is_trusted: false,
    }
}

/// Calls a second that can be carried of `rate`, when all others are refused and not an instant is lost.
fn best(rate: u64) -> u64 {
    let left = 1_000_000_u64.saturating_sub(rate * REFUSAL_US);
    rate.min(left / (CALL_US - REFUSAL_US))
}

/// Nobody repeats what has arrived.
const WAIT_MAX_US: u64 = 500_000;

#[test]
fn what_can_be_carried_is_carried_however_much_is_offered() {
    let seconds = 4;
    for percent in [90, 97, 110, 200, 300, 1_000] {
        let rate = CAPACITY * percent / 100;
        let mut world = World::new();
        world.run(1_000, rate, 1);
        let tally = world.run(seconds * 1_000, rate, 1);
        let (carried, best) = (tally.carried / seconds, best(rate));
        let said = format!("{percent} %: {carried} of {best} a second, {tally:?}");
        assert!(carried * 100 >= best * 97, "{said}");
        assert_eq!((tally.dropped, tally.repeated), (0, 0), "{said}");
        assert!(tally.longest_us < WAIT_MAX_US, "{said}");
        if percent < 100 {
            assert_eq!(tally.refused, 0, "{said}");
        }
        world.settle();
    }
}

#[test]
fn a_flood_from_one_moment_to_the_next_is_met_and_forgotten() {
    let mut world = World::new();
    let few = CAPACITY / 2;
    world.run(2_000, few, 1);
    for times in [2, 3, 10] {
        let flood = world.run(1_000, CAPACITY * times, 1);
        assert_eq!(
            (flood.dropped, flood.repeated),
            (0, 0),
            "{times}: {flood:?}"
        );
        assert!(flood.longest_us < WAIT_MAX_US, "{times}: {flood:?}");
        // What waits still is worked off in twice the time that it may take.
        world.run(500, few, 1);
        let after = world.run(1_000, few, 1);
        assert_eq!(
            (after.carried, after.refused),
            (few, 0),
            "{times}: {after:?}"
        );
        assert!(after.longest_us < 100_000, "{times}: {after:?}");
    }
    world.settle();
}

#[test]
fn a_core_that_becomes_slower_and_fast_again_is_followed() {
    let mut world = World::new();
    let rate = CAPACITY * 9 / 10;
    world.run(2_000, rate, 1);
    // As when others want the core.
    world.run(1_000, rate, 2);
    let slow = world.run(8_000, rate, 2);
    let (best, carried) = (best(rate * 2) / 2, slow.carried / 8);
    assert!(
        carried * 100 >= best * 98,
        "{carried} of {best} a second: {slow:?}"
    );
    assert_eq!((slow.dropped, slow.repeated), (0, 0), "{slow:?}");
    world.run(4_000, rate, 1);
    let fast = world.run(1_000, rate, 1);
    assert_eq!((fast.carried, fast.refused), (rate, 0), "{fast:?}");
    world.settle();
}

#[test]
fn a_core_that_stands_still_for_a_while_refuses_nobody_who_can_still_be_carried() {
    let mut world = World::new();
    let rate = CAPACITY * 8 / 10;
    world.run(1_000, rate, 1);
    for _ in 0..4 {
        world.stalled_until = world.now_us + 120_000;
        let tally = world.run(1_000, rate, 1);
        assert_eq!(
            (tally.refused, tally.dropped, tally.repeated),
            (0, 0, 0),
            "{tally:?}"
        );
    }
    // Longer than callers wait: they repeat themselves, and what waits is not refused for that.
    world.stalled_until = world.now_us + 700_000;
    let tally = world.run(2_000, rate, 1);
    assert!(tally.repeated > 0 && tally.refused > 0, "{tally:?}");
    world.settle();
}
