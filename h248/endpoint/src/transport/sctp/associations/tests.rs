//! Two sockets' associations over a link that loses, repeats and delays.

use std::collections::BTreeMap;

use super::*;
use crate::TransportKind;
use crate::random::Random;

/// Two ends, and the datagrams between them by time of arrival.
struct World {
    ends: [Associations; 2],
    link: BTreeMap<(Instant, u64), (usize, Bytes)>,
    sent: u64,
    loss_percent: u64,
    random: Random,
    now: Instant,
    /// What happened at each end.
    told: [Vec<String>; 2],
    /// Messages that came to each end.
    messages: [Vec<Bytes>; 2],
    /// Associations that are up at each end.
    open: [Vec<u32>; 2],
}

impl World {
    fn new(loss_percent: u64, seed: u64) -> Self {
        let numbers = Arc::new(AtomicU32::new(0));
        let end = |port| Associations::new(port, Arc::clone(&numbers));
        Self {
            ends: [end(1), end(2)],
            link: BTreeMap::new(),
            sent: 0,
            loss_percent,
            random: Random::new(seed),
            now: tokio::time::Instant::now().into_std(),
            told: [Vec::new(), Vec::new()],
            messages: [Vec::new(), Vec::new()],
            open: [Vec::new(), Vec::new()],
        }
    }

    fn mgc() -> TransportAddr {
        TransportAddr::new(TransportKind::Sctp, addr(0))
    }

    /// An association between both ends, asked for by the second.
    fn connected(loss_percent: u64, seed: u64) -> Self {
        let mut world = Self::new(loss_percent, seed);
        world.ends[1].connect(world.now, Self::mgc());
        world.run_until(|w| w.open.iter().all(|open| open.len() == 1));
        world
    }

    fn run_until(&mut self, is_done: impl Fn(&Self) -> bool) {
        for _ in 0..200_000 {
            self.drain();
            if is_done(self) {
                return;
            }
            let arrival = self.link.first_key_value().map(|((at, _), _)| *at);
            let timer = self.ends.iter().filter_map(Associations::deadline).min();
            let Some(next) = arrival.into_iter().chain(timer).min() else {
                panic!("nothing happens any more: {:?}", self.told);
            };
            self.now = self.now.max(next);
            if arrival == Some(next) {
                let (_, (to, octets)) = self.link.pop_first().expect("it is there");
                self.ends[to].handle_received(self.now, addr(other(to)), &octets);
            } else {
                for end in &mut self.ends {
                    end.handle_deadline(self.now);
                }
            }
        }
        panic!("it never comes: {:?}", self.told);
    }

    fn drain(&mut self) {
        for from in 0..2 {
            while let Some(step) = self.ends[from].poll() {
                match step {
                    Step::Transmit { to, octets } => {
                        assert_eq!(to, addr(other(from)));
                        self.carry(other(from), &octets);
                    }
                    Step::Opened { index, mgc, .. } => {
                        self.open[from].push(index);
                        self.told[from].push(format!("opened {}", mgc.is_some()));
                    }
                    Step::Message { octets, .. } => self.messages[from].push(octets),
                    Step::Closed { cause, .. } => self.told[from].push(format!("closed: {cause}")),
                    Step::Failed { cause, .. } => self.told[from].push(format!("failed: {cause}")),
                }
            }
        }
    }

    fn carry(&mut self, to: usize, octets: &Bytes) {
        let copies = 1 + u64::from(self.random.up_to(99) < self.loss_percent / 4);
        for _ in 0..copies {
            if self.random.up_to(99) < self.loss_percent {
                continue;
            }
            let delay = Duration::from_micros(200 + self.random.up_to(5_000));
            self.sent += 1;
            let key = (self.now + delay, self.sent);
            self.link.insert(key, (to, octets.clone()));
        }
    }
}

/// The address of an end: its port is one more than its index.
fn addr(end: usize) -> SocketAddr {
    let port = u16::try_from(end + 1).expect("small");
    ([127, 0, 0, 1], port).into()
}

fn other(end: usize) -> usize {
    1 - end
}

#[test]
fn messages_arrive_whole_once_and_in_order_however_bad_the_link() {
    for (loss_percent, seed) in [(0, 1), (5, 2), (20, 3)] {
        let mut world = World::connected(loss_percent, seed);
        let sizes = [1, 100, 1_500, 9_000, 40_000, SCTP_MESSAGE_BYTES_MAX];
        let message = |n: usize| Bytes::from(vec![b"abcdefg"[n % 7]; sizes[n % sizes.len()]]);
        for n in 0..30 {
            for end in 0..2 {
                let index = world.open[end][0];
                world.ends[end].send(world.now, index, &message(n));
            }
        }
        world.run_until(|w| w.messages.iter().all(|m| m.len() == 30));
        for messages in &world.messages {
            for (n, octets) in messages.iter().enumerate() {
                assert_eq!(octets, &message(n), "message {n} at {loss_percent} %");
            }
        }
        assert_eq!(world.told[0], ["opened false"]);
        assert_eq!(world.told[1], ["opened true"]);
    }
}

#[test]
fn an_association_that_is_closed_ends_at_both_sides() {
    for loss_percent in [0, 15] {
        let mut world = World::connected(loss_percent, 7);
        let index = world.open[1][0];
        world.ends[1].close(world.now, index);
        world.run_until(|w| w.told[0].len() == 2 || w.ends[1].held.is_empty());
        world.run_until(|w| w.ends.iter().all(|end| end.held.is_empty()) || w.told[0].len() == 2);
        assert_eq!(world.told[1], ["opened true"], "who closes is not told");
    }
}

#[test]
fn a_peer_that_falls_silent_is_noticed_as_soon_as_it_owes_an_answer() {
    let mut world = World::connected(0, 5);
    world.loss_percent = 100;
    let index = world.open[0][0];
    world.ends[0].send(world.now, index, &Bytes::from_static(b"hello"));
    let started = world.now;
    world.run_until(|w| w.told[0].len() == 2);
    assert!(world.told[0][1].starts_with("closed: "), "{:?}", world.told);
    let took = world.now - started;
    assert!(
        (SILENCE_TIMEOUT..SILENCE_TIMEOUT * 2).contains(&took),
        "{took:?}"
    );
    assert!(world.ends[0].held.is_empty());
}

#[test]
fn an_idle_peer_is_asked_for_signs_of_life_and_noticed_when_it_gives_none() {
    let mut world = World::connected(10, 11);
    let started = world.now;
    world.run_until(|w| w.now > started + SILENCE_TIMEOUT * 10);
    for told in &world.told {
        assert_eq!(told.len(), 1, "a peer that answers stays: {told:?}");
    }
    world.loss_percent = 100;
    let started = world.now;
    world.run_until(|w| w.told.iter().all(|told| told.len() == 2));
    let took = world.now - started;
    let soonest = SILENCE_TIMEOUT - HEARTBEAT_INTERVAL;
    // What was still on its way when the link broke counts as heard.
    let latest = SILENCE_TIMEOUT + HEARTBEAT_INTERVAL + Duration::from_millis(10);
    assert!((soonest..=latest).contains(&took), "{took:?}");
    let silence = "closed: no acknowledgement in time";
    assert!(
        world.told.iter().all(|told| told[1] == silence),
        "{:?}",
        world.told
    );
}

#[test]
fn a_controller_that_is_not_there_is_reported() {
    let mut world = World::new(100, 1);
    world.ends[1].connect(world.now, World::mgc());
    world.run_until(|w| !w.told[1].is_empty());
    assert!(world.told[1][0].starts_with("failed: "), "{:?}", world.told);
    assert!(world.ends[1].held.is_empty());
}

#[test]
fn associations_are_bounded_and_half_open_ones_are_forgotten() {
    let mut world = World::new(100, 1);
    for port in 0..CONNECTIONS_MAX + 9 {
        let mut client = Associations::new(9, Arc::new(AtomicU32::new(0)));
        client.connect(world.now, World::mgc());
        let Some(Step::Transmit { octets, .. }) = client.poll() else {
            panic!("an INIT");
        };
        world.ends[0].handle_received(world.now, addr(1_000 + port), &octets);
    }
    assert_eq!(world.ends[0].held.len(), CONNECTIONS_MAX);
    while world.ends[0].poll().is_some() {}
    let later = world.now + OPENING_TIMEOUT;
    world.ends[0].handle_deadline(later);
    assert!(world.ends[0].held.is_empty());
    assert!(world.ends[0].by_index.is_empty());
}

#[test]
fn a_sender_that_nobody_reads_is_given_up() {
    let mut world = World::connected(0, 9);
    world.loss_percent = 100;
    let index = world.open[0][0];
    let message = Bytes::from(vec![b'x'; SCTP_MESSAGE_BYTES_MAX]);
    for _ in 0..=SCTP_QUEUE_BYTES / SCTP_MESSAGE_BYTES_MAX {
        world.ends[0].send(world.now, index, &message);
    }
    world.drain();
    assert_eq!(world.told[0][1], "closed: it does not drain");
}

#[test]
fn garbage_makes_nothing() {
    let mut world = World::new(0, 1);
    for octets in [&b""[..], b"x", &[0; 12], &[0; 100], &[0xff; 1_000]] {
        world.ends[0].handle_received(world.now, addr(7), octets);
    }
    assert!(world.ends[0].held.is_empty());
    assert!(world.ends[0].poll().is_none());
}
