//! The simulated world: hosts, each with a stack, and the link between them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use clock::Instant;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use xdp::frame::Flow;
use xdp::stack::{Config, Event, FrameSink, Key, Lease, Owners, Stack};

/// How bad the link is; probabilities in permille.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) loss: u32,
    pub(crate) repeat: u32,
    pub(crate) damage: u32,
    /// The longest extra delay of a frame, which reorders.
    pub(crate) jitter: Duration,
    /// Larger ones never arrive, and nobody says so.
    pub(crate) frame_bytes_max: Option<usize>,
}

pub(crate) const DELAY: Duration = Duration::from_micros(200);

/// The last octet of where frames go whose way the system finds.
pub(crate) const ROUTED: u8 = 0xff;

/// Frames a host sends in one step; bounded, as a ring is.
pub(crate) struct Out {
    pub(crate) frames: Vec<Vec<u8>>,
    pub(crate) room: usize,
    mac: [u8; 6],
}

impl FrameSink for Out {
    fn has_room(&mut self) -> bool {
        self.frames.len() < self.room
    }

    fn send<R>(&mut self, bytes: usize, write: impl FnOnce(&mut [u8]) -> R) -> R {
        let mut frame = vec![0; bytes];
        let outcome = write(&mut frame);
        self.frames.push(frame);
        outcome
    }

    fn send_routed(&mut self, to: IpAddr, packet: &[u8]) {
        let mut frame = vec![2, 0, 0, 0, 0, ROUTED];
        frame.extend(self.mac);
        frame.extend(if to.is_ipv4() { [8, 0] } else { [0x86, 0xdd] });
        frame.extend(packet);
        self.frames.push(frame);
    }
}

pub(crate) struct Host {
    pub(crate) stack: Stack,
    pub(crate) out: Out,
}

/// When it arrives, its order among those of the same time, to whom, what.
type Flight = (Instant, u64, usize, Vec<u8>);

pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) rng: StdRng,
    pub(crate) faults: Faults,
    pub(crate) hosts: [Host; 2],
    flying: BinaryHeap<Reverse<Flight>>,
    order: u64,
    pub(crate) frame_count: u64,
}

pub(crate) const LISTEN: &str = "10.0.0.1:2855";
pub(crate) const LISTEN_V6: &str = "[fd00::1]:2855";

impl World {
    pub(crate) fn new(seed: u64, packet_bytes_max: [usize; 2], faults: Faults) -> Self {
        let host = |index: u8| Host {
            stack: Stack::new(Config {
                shard: 0,
                shards: 1,
                listeners: vec![LISTEN.parse().unwrap(), LISTEN_V6.parse().unwrap()],
                packet_bytes_max: packet_bytes_max[usize::from(index)],
                accepts_partial: false,
                leaves_checksums: false,
                seed: seed ^ u64::from(index),
                owners: Arc::default(),
            }),
            out: Out {
                frames: Vec::new(),
                room: 256,
                mac: [2, 0, 0, 0, 0, index],
            },
        };
        Self {
            now: Instant::ZERO + Duration::from_secs(1),
            rng: StdRng::seed_from_u64(seed),
            faults,
            hosts: [host(0), host(1)],
            flying: BinaryHeap::new(),
            order: 0,
            frame_count: 0,
        }
    }

    /// Begins a connection from host 1.
    pub(crate) fn connect(&mut self, request: u64, local_port: u16, to: &str) {
        let remote: SocketAddr = to.parse().unwrap();
        let local_ip: IpAddr = if remote.is_ipv4() {
            "10.0.0.2"
        } else {
            "fd00::2"
        }
        .parse()
        .unwrap();
        let lease = Lease::new(Arc::new(Owners::default()), local_port, 0, Box::new(()));
        let flow = Flow {
            local: (local_ip, local_port).into(),
            remote,
        };
        self.hosts[1]
            .stack
            .connect(self.now, request, flow, Arc::new(lease))
            .unwrap();
    }

    /// Takes new connections to their owners; returns their names.
    pub(crate) fn attach(&mut self, host: usize) -> (Vec<Key>, Vec<Key>) {
        let Host { stack, out } = &mut self.hosts[host];
        let (mut new, mut ready) = (Vec::new(), Vec::new());
        while let Some(event) = stack.poll_event() {
            match event {
                Event::Accepted { conn, .. } | Event::Connected { conn, .. } => {
                    new.push(stack.attach(self.now, *conn, out));
                }
                Event::Ready(key) => ready.push(key),
                Event::Gone { .. } => panic!("nothing moved here"),
                Event::ConnectFailed { error, .. } => panic!("{error:?}"),
            }
        }
        (new, ready)
    }

    /// Sends what the hosts have, then goes on to the next arrival or deadline; false: nothing is to come.
    pub(crate) fn step(&mut self) -> bool {
        for host in 0..2 {
            let Host { stack, out } = &mut self.hosts[host];
            stack.transmit(self.now, out);
            for frame in core::mem::take(&mut out.frames) {
                self.fly(1 - host, frame);
            }
        }
        let arrival = self.flying.peek().map(|Reverse((at, ..))| *at);
        let waiting = self
            .hosts
            .iter()
            .any(|host| host.stack.has_to_send())
            .then_some(self.now);
        let deadlines = self
            .hosts
            .iter_mut()
            .filter_map(|host| host.stack.deadline());
        let Some(next) = deadlines.chain(arrival).chain(waiting).min() else {
            return false;
        };
        self.now = self.now.max(next);
        while let Some(Reverse((at, ..))) = self.flying.peek()
            && *at <= self.now
        {
            let Reverse((_, _, to, frame)) = self.flying.pop().unwrap();
            let Host { stack, out } = &mut self.hosts[to];
            stack.receive(self.now, &frame, false, out);
        }
        for host in &mut self.hosts {
            host.stack.handle_deadline(self.now);
        }
        true
    }

    pub(crate) fn fly(&mut self, to: usize, mut frame: Vec<u8>) {
        self.frame_count += 1;
        let is_too_large = self
            .faults
            .frame_bytes_max
            .is_some_and(|max| frame.len() > max);
        if is_too_large || self.chance(self.faults.loss) {
            return;
        }
        let copies = 1 + usize::from(self.chance(self.faults.repeat));
        if self.chance(self.faults.damage) {
            let at = self.rng.random_range(14..frame.len());
            frame[at] ^= 1 << self.rng.random_range(0..8);
        }
        for _ in 0..copies {
            let jitter = u64::try_from(self.faults.jitter.as_nanos()).unwrap();
            let late = Duration::from_nanos(self.rng.random_range(0..=jitter));
            self.order += 1;
            let at = self.now + DELAY + late;
            self.flying
                .push(Reverse((at, self.order, to, frame.clone())));
        }
    }

    fn chance(&mut self, permille: u32) -> bool {
        self.rng.random_range(0..1000) < permille
    }
}

/// Seeds that have found something: both sides timed out, and took each other's acknowledgements for old.
const FIXED_SEEDS: [u64; 4] = [31, 41, 47, 54];

pub(crate) fn seeds(count: u64) -> Vec<u64> {
    let number = |name| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().unwrap())
    };
    match number("SIM_SEED") {
        Some(seed) => vec![seed],
        None => {
            let first = 0..number("SIM_RUNS").unwrap_or(count);
            first.chain(FIXED_SEEDS).collect()
        }
    }
}
