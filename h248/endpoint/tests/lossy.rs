//! Two endpoints over a link that loses, repeats, delays and reorders.

mod support;

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use clock::{Duration, Instant};
use h248_endpoint::{Endpoint, Output, Peer, RequestKey, Role, TransportKind};
use proptest::prelude::*;
use support::{Agenda, Dice, Link, audit, config, peer, refused};

enum Happening {
    Arrival { to: usize, octets: Bytes },
    Reply { by: usize, key: RequestKey },
    Send { by: usize },
}

struct World {
    ends: [Endpoint; 2],
    kind: TransportKind,
    link: Link,
    dice: Dice,
    agenda: Agenda<Happening>,
    execution_ms_max: u64,
    /// Executions, by executing end and transaction id.
    executed: HashMap<(usize, u32), u32>,
    /// Outcomes, by requesting end and transaction id.
    ended: BTreeMap<(usize, u32), Vec<&'static str>>,
    waits: [Option<Instant>; 2],
}

impl World {
    fn new(kind: TransportKind, link: Link, execution_ms_max: u64, seed: u64) -> Self {
        let end = |name, role, seed| {
            let mut config = config(name, role);
            config.seed = seed;
            Endpoint::new(config)
        };
        Self {
            ends: [
                end("mgc", Role::Controller, seed),
                end("mg", Role::Gateway, seed + 1),
            ],
            kind,
            link,
            dice: Dice(seed),
            agenda: Agenda::new(),
            execution_ms_max,
            executed: HashMap::new(),
            ended: BTreeMap::new(),
            waits: [None, None],
        }
    }

    fn peer_of(&self, end: usize) -> Peer {
        peer(self.kind, if end == 0 { 2 } else { 1 })
    }

    /// Runs until nothing is left to happen but forgetting.
    fn run(&mut self) {
        for _ in 0..100_000 {
            let timers = (0..2).filter_map(|end| self.waits[end].map(|at| (at, end)));
            let timer = timers.min();
            let next = self.agenda.next_at();
            match (timer, next) {
                (Some((at, end)), _) if next.is_none_or(|n| at < n) => {
                    self.ends[end].handle_deadline(at);
                    self.drain(at, end);
                }
                (_, Some(_)) => {
                    if let Some((now, what)) = self.agenda.pop() {
                        self.happen(now, what);
                    }
                }
                (_, None) => return,
            }
        }
        panic!("it never ends");
    }

    fn happen(&mut self, now: Instant, what: Happening) {
        let end = match what {
            Happening::Arrival { to, octets } => {
                let from = self.peer_of(to);
                self.ends[to].handle_received(now, from, &octets);
                to
            }
            Happening::Reply { by, key } => {
                self.ends[by].reply(now, key, refused(581));
                by
            }
            Happening::Send { by } => {
                let peer = self.peer_of(by);
                let id = self.ends[by]
                    .send_request(now, peer, audit())
                    .expect("room");
                self.ended.insert((by, id.0), Vec::new());
                by
            }
        };
        self.drain(now, end);
    }

    fn drain(&mut self, now: Instant, end: usize) {
        loop {
            match self.ends[end].poll() {
                Output::Transmit { octets, .. } => {
                    for at in self.link.arrivals(now, &mut self.dice) {
                        let octets = octets.clone();
                        self.agenda.add(
                            at,
                            Happening::Arrival {
                                to: 1 - end,
                                octets,
                            },
                        );
                    }
                }
                Output::Request(request) => {
                    *self
                        .executed
                        .entry((end, request.request.id.0))
                        .or_default() += 1;
                    let took = Duration::from_millis(self.dice.below(self.execution_ms_max + 1));
                    let key = request.key;
                    self.agenda
                        .add(now + took, Happening::Reply { by: end, key });
                }
                Output::Reply { id, .. } => self.end(end, id.0, "reply"),
                Output::Failed { id, .. } => self.end(end, id.0, "failed"),
                Output::Late { .. } => {}
                Output::Problem(problem) => panic!("{problem:?}"),
                Output::Wait(at) => {
                    self.waits[end] = at;
                    return;
                }
            }
        }
    }

    fn end(&mut self, end: usize, id: u32, how: &'static str) {
        self.ended.get_mut(&(end, id)).expect("asked").push(how);
    }
}

/// Sends `count` requests from each end and checks what became of them.
fn converse(mut world: World, count: u64) -> World {
    for n in 0..count {
        let at = Instant::ZERO + Duration::from_millis(n * 37);
        world.agenda.add(at, Happening::Send { by: 0 });
        world.agenda.add(at, Happening::Send { by: 1 });
    }
    world.run();
    for (request, outcomes) in &world.ended {
        assert_eq!(outcomes.len(), 1, "{request:?} ended as {outcomes:?}");
    }
    for (request, times) in &world.executed {
        assert_eq!(*times, 1, "{request:?} executed {times} times");
    }
    for (requester, id) in world.ended.keys() {
        let is_answered = world.ended[&(*requester, *id)] == ["reply"];
        let is_executed = world.executed.contains_key(&(1 - requester, *id));
        assert!(
            is_executed || !is_answered,
            "{id} answered but not executed"
        );
    }
    for end in &world.ends {
        assert_eq!(end.outstanding_count(), 0);
        assert_eq!(end.running_count(), 0);
        assert_eq!(end.stored_count(), 0, "all is forgotten after LONG-TIMER");
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_request_ends_and_is_executed_at_most_once(
        seed in any::<u32>(),
        loss_percent in 0..60_u64,
        duplicate_percent in 0..40_u64,
        delay_ms_max in 0..2_000_u64,
        execution_ms_max in 0..10_000_u64,
        count in 1..10_u64,
    ) {
        let link = Link { loss_percent, duplicate_percent, delay_ms_max };
        let seed = u64::from(seed);
        converse(World::new(TransportKind::Udp, link, execution_ms_max, seed), count);
    }

    #[test]
    fn whatever_the_network_and_the_clock_do_requests_end_once(
        script in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        h248_endpoint::fuzzing::converse(&script);
    }

    #[test]
    fn without_loss_every_request_is_answered(
        seed in any::<u32>(),
        duplicate_percent in 0..40_u64,
        delay_ms_max in 0..2_000_u64,
        execution_ms_max in 0..60_000_u64,
    ) {
        let link = Link { loss_percent: 0, duplicate_percent, delay_ms_max };
        let seed = u64::from(seed);
        let world = converse(World::new(TransportKind::Udp, link, execution_ms_max, seed), 5);
        prop_assert!(world.ended.values().all(|o| o == &["reply"]));
    }
}

#[test]
fn a_dead_link_ends_every_request_after_t_max() {
    let link = Link {
        loss_percent: 100,
        duplicate_percent: 0,
        delay_ms_max: 0,
    };
    for kind in [TransportKind::Udp, TransportKind::Tcp] {
        let world = converse(World::new(kind, link, 0, 3), 3);
        assert!(world.ended.values().all(|o| o == &["failed"]));
        assert!(world.executed.is_empty());
    }
}
