//! Names, messages and a simulated link, shared by the tests of this crate.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::BinaryHeap;

use bytes::Bytes;
use clock::{Duration, Instant};
use h248::ast::{
    ActionRequest, AuditDescriptor, AuditRequest, Command, CommandRequest, ContextId,
    ContextProperties, Few, MId, Name, ReplyBody, TerminationId,
};
use h248_endpoint::{Config, Peer, Role, TransportId, TransportKind};

/// `<name.example>`.
pub(crate) fn mid(name: &str) -> MId {
    MId::Domain {
        name: Name::new(&format!("{name}.example")),
        port: None,
    }
}

/// Defaults, for this name.
pub(crate) fn config(name: &str, role: Role) -> Config {
    Config::new(mid(name), role, 1)
}

/// A peer on a local port.
pub(crate) fn peer(kind: TransportKind, port: u16) -> Peer {
    Peer {
        transport: TransportId { kind, index: 0 },
        addr: ([127, 0, 0, 1], port).into(),
    }
}

pub(crate) fn udp(port: u16) -> Peer {
    peer(TransportKind::Udp, port)
}

pub(crate) fn tcp(port: u16) -> Peer {
    peer(TransportKind::Tcp, port)
}

pub(crate) fn ms(ms: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(ms)
}

/// `Context=-{AuditValue=ROOT{Audit{}}}`.
pub(crate) fn audit() -> Vec<ActionRequest> {
    vec![ActionRequest {
        context: ContextId::Null,
        properties: ContextProperties::default(),
        audit: None,
        commands: Few::One(CommandRequest {
            optional: false,
            wildcard_response: false,
            command: Command::AuditValue(AuditRequest {
                terminations: TerminationId::Root.into(),
                audit: Some(AuditDescriptor::default()),
            }),
        }),
    }]
}

/// A reply that says no more than an error.
pub(crate) fn refused(code: u16) -> ReplyBody {
    ReplyBody::Error(h248_endpoint::error(code, "test"))
}

/// SplitMix64.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }

    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// Things that will happen, by time.
pub(crate) struct Agenda<T> {
    heap: BinaryHeap<Item<T>>,
    sequence: u64,
}

struct Item<T> {
    at: Instant,
    sequence: u64,
    what: T,
}

impl<T> PartialEq for Item<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Item<T> {}

impl<T> PartialOrd for Item<T> {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Item<T> {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

impl<T> Agenda<T> {
    pub(crate) fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            sequence: 0,
        }
    }

    pub(crate) fn add(&mut self, at: Instant, what: T) {
        self.sequence += 1;
        let sequence = self.sequence;
        self.heap.push(Item { at, sequence, what });
    }

    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.heap.peek().map(|i| i.at)
    }

    pub(crate) fn pop(&mut self) -> Option<(Instant, T)> {
        self.heap.pop().map(|i| (i.at, i.what))
    }
}

/// What a link does to datagrams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) loss_percent: u64,
    pub(crate) duplicate_percent: u64,
    pub(crate) delay_ms_max: u64,
}

impl Link {
    /// When copies of a datagram sent now arrive.
    pub(crate) fn arrivals(&self, now: Instant, dice: &mut Dice) -> Vec<Instant> {
        let copies = 1 + usize::from(dice.percent(self.duplicate_percent));
        let mut arrivals = Vec::new();
        for _ in 0..copies {
            if !dice.percent(self.loss_percent) {
                let delay = dice.below(self.delay_ms_max + 1);
                arrivals.push(now + Duration::from_millis(delay));
            }
        }
        arrivals
    }
}

/// As text, for messages that assertions print.
pub(crate) fn text(octets: &Bytes) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// `Context=-{ServiceChange=ROOT{Services{...}}}`.
pub(crate) fn service_change(
    method: h248::ast::ServiceChangeMethod,
    mgc_id: Option<MId>,
) -> Vec<ActionRequest> {
    let mut actions = audit();
    let reason = h248::ast::Value {
        text: "903 MGC Directed Change".into(),
        quoted: true,
    };
    let services = h248::ast::ServiceChange {
        mgc_id,
        ..h248::ast::ServiceChange::new(method, reason)
    };
    actions[0].commands[0].command = Command::ServiceChange {
        terminations: TerminationId::Root.into(),
        services: Box::new(services),
    };
    actions
}
