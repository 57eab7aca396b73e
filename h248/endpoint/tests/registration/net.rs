//! Nodes on a net of their own.

use std::collections::{HashMap, HashSet};

use clock::{Duration, Instant};
use h248_endpoint::{
    AssociationConfig, Event, Node, NodeOutput, Peer, Registered, RegistrationConfig, Role,
    TransportAddr, TransportId, TransportKind, first_error,
};

use crate::support::config;

/// Nodes by port, on links without loss or delay. Ports without a node are silent.
pub(crate) struct Net {
    pub(crate) nodes: HashMap<u16, Node>,
    pub(crate) events: HashMap<u16, Vec<Event>>,
    pub(crate) connections: HashMap<u32, (u16, u16)>,
    pub(crate) connection_last: u32,
    /// Ports that nothing reaches any more.
    pub(crate) unplugged: HashSet<u16>,
    pub(crate) now: Instant,
}

pub(crate) enum Happening {
    Received(u16, Peer, bytes::Bytes),
    Connected(u16, TransportAddr, Peer),
    Refused(u16, TransportAddr),
    Closed(u16, Peer),
    Resolved(u16, String),
}

impl Net {
    pub(crate) fn new() -> Self {
        Self {
            nodes: HashMap::new(),
            events: HashMap::new(),
            connections: HashMap::new(),
            connection_last: 0,
            unplugged: HashSet::new(),
            now: Instant::ZERO,
        }
    }

    pub(crate) fn controller(
        &mut self,
        port: u16,
        version_max: u8,
        association: AssociationConfig,
    ) {
        let mut config = config(&format!("mgc{port}"), Role::Controller);
        config.version_max = version_max;
        config.epoch = Some(Duration::from_secs(1_785_146_400));
        let node = Node::controller(config, association, self.now);
        self.nodes.insert(port, node);
    }

    pub(crate) fn gateway(&mut self, port: u16, version_max: u8, registration: RegistrationConfig) {
        let mut config = config(&format!("mg{port}"), Role::Gateway);
        config.version_max = version_max;
        config.epoch = Some(Duration::from_secs(1_785_146_400));
        let node = Node::gateway(config, registration, self.now);
        self.nodes.insert(port, node);
    }

    /// Lets everything happen that is due until `until`.
    pub(crate) fn run(&mut self, until: Instant) {
        loop {
            let ports: Vec<u16> = self.nodes.keys().copied().collect();
            let mut next: Option<(Instant, u16)> = None;
            for port in ports {
                if let Some(at) = self.drain(port) {
                    next = Some(next.map_or((at, port), |n| n.min((at, port))));
                }
            }
            match next {
                Some((at, port)) if at <= until => {
                    self.now = self.now.max(at);
                    self.node(port).handle_deadline(at);
                    self.drain(port);
                }
                _ => break,
            }
        }
        self.now = until;
    }

    pub(crate) fn node(&mut self, port: u16) -> &mut Node {
        self.nodes.get_mut(&port).expect("a node")
    }

    pub(crate) fn drain(&mut self, port: u16) -> Option<Instant> {
        let mut happenings = Vec::new();
        let wait = loop {
            match self.node(port).poll() {
                NodeOutput::Transmit { peer, octets } => {
                    happenings.extend(self.transmit(port, peer, octets));
                }
                NodeOutput::Connect(mgc) => happenings.extend(self.connect(port, mgc)),
                NodeOutput::Resolve { name, .. } => {
                    happenings.push(Happening::Resolved(port, name))
                }
                NodeOutput::Close(peer) => happenings.extend(self.close(port, peer)),
                NodeOutput::Event(event) => self.events.entry(port).or_default().push(*event),
                NodeOutput::Wait(at) => break at,
            }
        };
        if happenings.is_empty() {
            return wait;
        }
        for happening in happenings {
            self.happen(happening);
        }
        self.drain(port)
    }

    pub(crate) fn happen(&mut self, happening: Happening) {
        let now = self.now;
        let port = match happening {
            Happening::Received(to, from, octets) => {
                self.node(to).handle_received(now, from, &octets);
                to
            }
            Happening::Connected(to, mgc, peer) => {
                self.node(to).handle_connected(now, mgc, peer);
                to
            }
            Happening::Refused(to, mgc) => {
                self.node(to)
                    .handle_connect_failed(now, mgc, "connection refused");
                to
            }
            Happening::Resolved(to, name) => {
                // `mgc7.example` is at port 7; no other name is known.
                let port = name
                    .strip_prefix("mgc")
                    .and_then(|n| n.strip_suffix(".example"));
                let port = port.and_then(|n| n.parse::<u16>().ok());
                let addr = port.map(|port| ([127, 0, 0, 1], port).into());
                self.node(to).handle_resolved(now, &name, addr);
                to
            }
            Happening::Closed(to, peer) => {
                self.node(to).handle_transport_failure(now, peer);
                to
            }
        };
        self.drain(port);
    }

    pub(crate) fn transmit(
        &mut self,
        from: u16,
        peer: Peer,
        octets: bytes::Bytes,
    ) -> Option<Happening> {
        let to = peer.addr.port();
        let is_gone = self.unplugged.contains(&to) || self.unplugged.contains(&from);
        if is_gone || !self.nodes.contains_key(&to) {
            return None;
        }
        let seen = Peer {
            transport: peer.transport,
            addr: ([127, 0, 0, 1], from).into(),
        };
        Some(Happening::Received(to, seen, octets))
    }

    pub(crate) fn connect(&mut self, port: u16, mgc: TransportAddr) -> Option<Happening> {
        let to = mgc.addr().port();
        let mut transport = TransportId {
            kind: mgc.kind(),
            index: 0,
        };
        if mgc.kind() == TransportKind::Tcp {
            if !self.nodes.contains_key(&to) || self.unplugged.contains(&to) {
                return Some(Happening::Refused(port, mgc));
            }
            self.connection_last += 1;
            transport.index = self.connection_last;
            self.connections.insert(self.connection_last, (port, to));
        }
        let addr = mgc.addr();
        Some(Happening::Connected(port, mgc, Peer { transport, addr }))
    }

    pub(crate) fn close(&mut self, port: u16, peer: Peer) -> Option<Happening> {
        let (a, b) = self.connections.remove(&peer.transport.index)?;
        let to = if a == port { b } else { a };
        let addr = ([127, 0, 0, 1], port).into();
        let transport = peer.transport;
        Some(Happening::Closed(to, Peer { transport, addr }))
    }

    /// What happened at `port` since the last time, in words.
    pub(crate) fn told(&mut self, port: u16) -> Vec<String> {
        let events = self.events.remove(&port).unwrap_or_default();
        events.iter().map(describe).collect()
    }

    pub(crate) fn association(&self, port: u16) -> Registered {
        self.nodes[&port]
            .associations()
            .next()
            .expect("associated")
            .clone()
    }
}

pub(crate) fn describe(event: &Event) -> String {
    match event {
        Event::Request(_) => "request".to_owned(),
        Event::Reply { reply, .. } => match first_error(&reply.body) {
            Some(error) => format!("reply {}", error.code),
            None => "reply".to_owned(),
        },
        Event::Failed { reason, .. } => format!("failed: {reason}"),
        Event::Late { .. } => "late reply".to_owned(),
        Event::Registered(r) => format!(
            "registered {:?} {} v{} {:?}",
            r.method,
            port_of(r.peer),
            r.version,
            r.mid
        )
        .replace("Domain { name: ", "")
        .replace(", port: None }", ""),
        Event::Lost { peer, reason, .. } => format!("lost {} {reason:?}", port_of(*peer)),
        Event::Leaving { delay_s, .. } => format!("leaving {delay_s}"),
        Event::RegistrationFailed { mgc, reason } => {
            format!("failed at {}: {reason}", mgc.addr().port())
        }
        Event::Departed => "departed".to_owned(),
        Event::Problem(problem) => format!("problem: {}", problem.kind),
    }
}

pub(crate) fn port_of(peer: Peer) -> u16 {
    peer.addr.port()
}

pub(crate) fn udp(port: u16) -> TransportAddr {
    TransportAddr::Udp(([127, 0, 0, 1], port).into())
}

pub(crate) fn tcp(port: u16) -> TransportAddr {
    TransportAddr::Tcp(([127, 0, 0, 1], port).into())
}

pub(crate) fn towards(mgcs: &[TransportAddr]) -> RegistrationConfig {
    RegistrationConfig::new(mgcs.to_vec())
}
