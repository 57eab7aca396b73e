//! Gateways and controllers that find, redirect, lose and refuse each other.

mod support;

use std::collections::{HashMap, HashSet};

use clock::{Duration, Instant};
use h248::ast::{MId, Name, ReplyBody, ServiceChangeMethod};
use h248_endpoint::{
    AfterLoss, AssociationConfig, Departure, Event, LostReason, Node, NodeOutput, Peer, Registered,
    RegistrationConfig, Role, TransportAddr, TransportId, TransportKind, first_error,
};
use support::{audit, config, mid, ms, refused};

/// Nodes by port, on links without loss or delay. Ports without a node are silent.
struct Net {
    nodes: HashMap<u16, Node>,
    events: HashMap<u16, Vec<Event>>,
    connections: HashMap<u32, (u16, u16)>,
    connection_last: u32,
    /// Ports that nothing reaches any more.
    unplugged: HashSet<u16>,
    now: Instant,
}

enum Happening {
    Received(u16, Peer, bytes::Bytes),
    Connected(u16, TransportAddr, Peer),
    Refused(u16, TransportAddr),
    Closed(u16, Peer),
    Resolved(u16, String),
}

impl Net {
    fn new() -> Self {
        Self {
            nodes: HashMap::new(),
            events: HashMap::new(),
            connections: HashMap::new(),
            connection_last: 0,
            unplugged: HashSet::new(),
            now: Instant::ZERO,
        }
    }

    fn controller(&mut self, port: u16, version_max: u8, association: AssociationConfig) {
        let mut config = config(&format!("mgc{port}"), Role::Controller);
        config.version_max = version_max;
        config.epoch = Some(Duration::from_secs(1_785_146_400));
        let node = Node::controller(config, association, self.now);
        self.nodes.insert(port, node);
    }

    fn gateway(&mut self, port: u16, version_max: u8, registration: RegistrationConfig) {
        let mut config = config(&format!("mg{port}"), Role::Gateway);
        config.version_max = version_max;
        config.epoch = Some(Duration::from_secs(1_785_146_400));
        let node = Node::gateway(config, registration, self.now);
        self.nodes.insert(port, node);
    }

    /// Lets everything happen that is due until `until`.
    fn run(&mut self, until: Instant) {
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

    fn node(&mut self, port: u16) -> &mut Node {
        self.nodes.get_mut(&port).expect("a node")
    }

    fn drain(&mut self, port: u16) -> Option<Instant> {
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

    fn happen(&mut self, happening: Happening) {
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

    fn transmit(&mut self, from: u16, peer: Peer, octets: bytes::Bytes) -> Option<Happening> {
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

    fn connect(&mut self, port: u16, mgc: TransportAddr) -> Option<Happening> {
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

    fn close(&mut self, port: u16, peer: Peer) -> Option<Happening> {
        let (a, b) = self.connections.remove(&peer.transport.index)?;
        let to = if a == port { b } else { a };
        let addr = ([127, 0, 0, 1], port).into();
        let transport = peer.transport;
        Some(Happening::Closed(to, Peer { transport, addr }))
    }

    /// What happened at `port` since the last time, in words.
    fn told(&mut self, port: u16) -> Vec<String> {
        let events = self.events.remove(&port).unwrap_or_default();
        events.iter().map(describe).collect()
    }

    fn association(&self, port: u16) -> Registered {
        self.nodes[&port]
            .associations()
            .next()
            .expect("associated")
            .clone()
    }
}

fn describe(event: &Event) -> String {
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

fn port_of(peer: Peer) -> u16 {
    peer.addr.port()
}

fn udp(port: u16) -> TransportAddr {
    TransportAddr::Udp(([127, 0, 0, 1], port).into())
}

fn tcp(port: u16) -> TransportAddr {
    TransportAddr::Tcp(([127, 0, 0, 1], port).into())
}

fn towards(mgcs: &[TransportAddr]) -> RegistrationConfig {
    RegistrationConfig::new(mgcs.to_vec())
}

#[test]
fn the_lower_of_both_versions_is_spoken_after_registration() {
    for (offered, supported, spoken) in [
        (1, 1, 1),
        (1, 3, 1),
        (2, 1, 1),
        (2, 2, 2),
        (2, 3, 2),
        (3, 1, 1),
        (3, 2, 2),
        (3, 3, 3),
    ] {
        for address in [udp(1), tcp(1)] {
            let mut net = Net::new();
            net.controller(1, supported, AssociationConfig::default());
            net.gateway(10, offered, towards(&[address]));
            net.run(ms(1_000));
            let registered = format!("registered Restart 1 v{spoken} \"mgc1.example\"");
            assert_eq!(net.told(10), [registered]);
            let registered = format!("registered Restart 10 v{spoken} \"mg10.example\"");
            assert_eq!(net.told(1), [registered]);
            let (now, gateway) = (net.now, net.association(1));
            let controller = net.association(10);
            assert_eq!(net.nodes[&1].endpoint().version(gateway.peer), spoken);
            assert_eq!(net.nodes[&10].endpoint().version(controller.peer), spoken);
            assert_eq!(gateway.profile, controller.profile);
            net.node(1)
                .send_request(now, gateway.peer, audit())
                .expect("room");
            net.run(ms(1_500));
            let Some(Event::Request(request)) = net.events[&10].first().cloned() else {
                panic!("{:?}", net.told(10));
            };
            assert_eq!(request.version, spoken);
            let now = net.now;
            assert!(net.node(10).reply(now, request.key, refused(581)));
            net.run(ms(2_000));
            assert_eq!(net.told(1), ["reply 581"]);
        }
    }
}

#[test]
fn a_silent_controller_is_passed_over() {
    for (first, why) in [
        (udp(1), "no answer in time"),
        (tcp(1), "connection refused"),
    ] {
        let mut net = Net::new();
        net.controller(2, 2, AssociationConfig::default());
        net.gateway(10, 2, towards(&[first, udp(2)]));
        net.run(ms(5_000));
        let failed = format!("failed at 1: {why}");
        let registered = "registered Restart 2 v2 \"mgc2.example\"";
        assert_eq!(net.told(10), [failed.as_str(), registered]);
    }
}

#[test]
fn a_list_without_an_answer_is_tried_again_after_growing_pauses() {
    let mut net = Net::new();
    net.gateway(10, 2, towards(&[tcp(1), tcp(2)]));
    net.run(ms(400));
    assert_eq!(
        net.told(10),
        [
            "failed at 1: connection refused",
            "failed at 2: connection refused"
        ]
    );
    net.run(ms(1_000));
    assert_eq!(net.told(10).len(), 2);
    net.run(ms(600_000));
    let attempts = net.told(10).len();
    assert!((40..=90).contains(&attempts), "{attempts} in ten minutes");
    net.controller(2, 2, AssociationConfig::default());
    net.run(ms(640_000));
    let told = net.told(10);
    let last = told.last().map(String::as_str);
    assert_eq!(last, Some("registered Restart 2 v2 \"mgc2.example\""));
}

#[test]
fn redirections_are_followed_by_address_and_by_name_but_not_for_ever() {
    let to = |redirect: MId| AssociationConfig {
        redirect: Some(redirect),
        ..AssociationConfig::default()
    };
    let by_address = |port| MId::Ip {
        address: [127, 0, 0, 1].into(),
        port: Some(port),
    };
    let mut net = Net::new();
    net.controller(1, 2, to(by_address(2)));
    net.controller(2, 2, to(mid("third")));
    net.controller(3, 2, AssociationConfig::default());
    let mut registration = towards(&[tcp(1)]);
    registration.mgc_names.push((mid("THIRD"), udp(3)));
    net.gateway(10, 2, registration);
    net.run(ms(400));
    assert_eq!(net.told(10), ["registered Restart 3 v2 \"mgc3.example\""]);
    assert_eq!(net.told(1), [""; 0]);

    let mut net = Net::new();
    net.controller(1, 2, to(by_address(2)));
    net.controller(2, 2, to(by_address(1)));
    net.controller(3, 2, to(mid("unknown")));
    net.controller(4, 2, AssociationConfig::default());
    net.gateway(10, 2, towards(&[udp(1), udp(3), udp(4)]));
    net.run(ms(400));
    let told = net.told(10);
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[0], "failed at 2: redirected too often");
    assert_eq!(
        told[1],
        "failed at 3: redirected to unknown.example, whose address cannot be found"
    );
    assert_eq!(told[2], "registered Restart 4 v2 \"mgc4.example\"");
}

#[test]
fn controllers_named_by_domain_are_looked_up_and_reached_over_the_same_transport() {
    for (first, second) in [(udp(1), udp(2)), (tcp(1), tcp(2))] {
        let mut net = Net::new();
        let association = AssociationConfig {
            redirect: Some(mid("mgc2")),
            ..AssociationConfig::default()
        };
        net.controller(1, 2, association);
        net.controller(2, 2, AssociationConfig::default());
        net.gateway(10, 2, towards(&[first]));
        net.run(ms(400));
        assert_eq!(net.told(10), ["registered Restart 2 v2 \"mgc2.example\""]);
        assert_eq!(net.association(10).peer.transport.kind, second.kind());
        // A hand-off goes to a name as well.
        net.controller(3, 2, AssociationConfig::default());
        let (now, peer) = (net.now, net.association(2).peer);
        let hand_off = support::service_change(ServiceChangeMethod::HandOff, Some(mid("mgc3")));
        net.node(2).send_request(now, peer, hand_off).expect("room");
        net.run(ms(800));
        let told = net.told(10);
        let last = told.last().map(String::as_str);
        assert_eq!(
            last,
            Some("registered HandOff 3 v2 \"mgc3.example\""),
            "{told:?}"
        );
    }
    let mut net = Net::new();
    let association = AssociationConfig {
        redirect: Some(MId::Device(Name::new("mgc/2"))),
        ..AssociationConfig::default()
    };
    net.controller(1, 2, association);
    net.gateway(10, 2, towards(&[udp(1)]));
    net.run(ms(0));
    let cause = "failed at 1: redirected to mgc/2, which is no address and no name";
    assert_eq!(net.told(10), [cause]);
}

#[test]
fn a_gateway_answers_its_own_controller_alone() {
    let mut net = Net::new();
    net.controller(1, 2, AssociationConfig::default());
    net.controller(2, 2, AssociationConfig::default());
    let mut registration = towards(&[udp(1)]);
    registration.mwd = Duration::from_secs(600);
    net.gateway(10, 2, registration);
    let gateway = Peer {
        transport: TransportId {
            kind: TransportKind::Udp,
            index: 0,
        },
        addr: ([127, 0, 0, 1], 10).into(),
    };
    net.node(1)
        .send_request(ms(0), gateway, audit())
        .expect("room");
    net.run(ms(0));
    assert_eq!(net.told(1), ["reply 505"]);
    net.run(ms(600_000));
    assert!(net.told(10)[0].starts_with("registered"));
    net.told(1);
    let now = net.now;
    net.node(2)
        .send_request(now, gateway, audit())
        .expect("room");
    net.node(1)
        .send_request(now, gateway, audit())
        .expect("room");
    net.run(now);
    assert_eq!(net.told(2), ["reply 504"]);
    assert_eq!(net.told(10), ["request"]);
}

#[test]
fn a_lab_gateway_can_be_told_to_answer_anybody() {
    let mut net = Net::new();
    net.controller(1, 2, AssociationConfig::default());
    let mut registration = towards(&[]);
    registration.accept_unregistered = true;
    net.gateway(10, 2, registration);
    let gateway = support::udp(10);
    net.node(1)
        .send_request(ms(0), gateway, audit())
        .expect("room");
    net.run(ms(0));
    assert_eq!(net.told(10), ["request"]);
}

#[test]
fn a_controller_refuses_gateways_that_never_registered() {
    let mut net = Net::new();
    net.controller(1, 2, AssociationConfig::default());
    net.gateway(10, 2, towards(&[]));
    net.node(10)
        .send_request(ms(0), support::udp(1), audit())
        .expect("room");
    net.run(ms(0));
    assert_eq!(net.told(10), ["reply 504"]);
    assert_eq!(net.told(1), [""; 0]);
}

#[test]
fn a_lost_connection_is_followed_by_disconnected() {
    let mut net = Net::new();
    net.controller(1, 2, AssociationConfig::default());
    net.gateway(10, 2, towards(&[tcp(1)]));
    net.run(ms(10));
    let peer = net.association(10).peer;
    net.told(1);
    net.told(10);
    let closed = net.close(1, net.association(1).peer).expect("connected");
    net.happen(closed);
    net.run(ms(20));
    assert_eq!(
        net.told(10),
        [
            "lost 1 Transport",
            "registered Disconnected 1 v2 \"mgc1.example\""
        ]
    );
    assert_eq!(
        net.told(1),
        ["registered Disconnected 10 v2 \"mg10.example\""]
    );
    assert_ne!(net.association(10).peer, peer);
}

#[test]
fn a_controller_that_answers_no_request_is_left_for_another_one() {
    let mut net = Net::new();
    net.controller(1, 2, AssociationConfig::default());
    net.controller(2, 2, AssociationConfig::default());
    net.gateway(10, 2, towards(&[udp(1), udp(2)]));
    net.run(ms(10));
    net.unplugged.insert(1);
    let (now, peer) = (net.now, net.association(10).peer);
    net.node(10).send_request(now, peer, audit()).expect("room");
    net.told(10);
    net.run(now + Duration::from_secs(31));
    assert_eq!(
        net.told(10),
        [
            "failed: no reply within T-MAX",
            "lost 1 Silent",
            "registered Disconnected 2 v2 \"mgc2.example\""
        ]
    );
}

/// How a gateway with this setting comes back, first when controller 1 of 1 and 2 was lost, then when
/// 2 was.
#[track_caller]
fn check_comes_back(after_loss: AfterLoss, with_1_lost: &str, with_2_lost: &str) {
    let mut net = Net::new();
    net.controller(1, 2, AssociationConfig::default());
    net.controller(2, 2, AssociationConfig::default());
    let mut registration = towards(&[tcp(1), tcp(2)]);
    registration.after_loss = after_loss;
    net.gateway(10, 2, registration);
    net.run(ms(10));
    net.told(10);
    for (lost, told) in [(1, with_1_lost), (2, with_2_lost)] {
        let closed = net
            .close(lost, net.association(lost).peer)
            .expect("connected");
        net.happen(closed);
        net.run(net.now + Duration::from_millis(10));
        let expected = [format!("lost {lost} Transport"), told.to_owned()];
        assert_eq!(net.told(10), expected);
    }
}

#[test]
fn the_list_is_tried_from_its_beginning_without_the_one_that_was_lost() {
    check_comes_back(
        AfterLoss::Disconnected,
        "registered Disconnected 2 v2 \"mgc2.example\"",
        "registered Disconnected 1 v2 \"mgc1.example\"",
    );
    check_comes_back(
        AfterLoss::Failover,
        "registered Failover 2 v2 \"mgc2.example\"",
        "registered Failover 1 v2 \"mgc1.example\"",
    );
    check_comes_back(
        AfterLoss::Restart,
        "registered Restart 2 v2 \"mgc2.example\"",
        "registered Restart 1 v2 \"mgc1.example\"",
    );
}

#[test]
fn with_failover_the_one_that_was_lost_is_told_disconnected() {
    let mut net = Net::new();
    net.controller(1, 2, AssociationConfig::default());
    let mut registration = towards(&[tcp(1)]);
    registration.after_loss = AfterLoss::Failover;
    net.gateway(10, 2, registration);
    net.run(ms(10));
    let closed = net.close(1, net.association(1).peer).expect("connected");
    net.told(10);
    net.happen(closed);
    net.run(ms(20));
    let told = net.told(10);
    assert_eq!(told[1], "registered Disconnected 1 v2 \"mgc1.example\"");
}

#[test]
fn a_silent_gateway_is_audited_and_then_lost() {
    let mut net = Net::new();
    let association = AssociationConfig {
        keep_alive: Some(Duration::from_secs(5)),
        keep_alive_misses_max: 3,
        ..AssociationConfig::default()
    };
    net.controller(1, 2, association);
    net.gateway(10, 2, towards(&[udp(1)]));
    net.run(ms(10));
    net.told(1);
    net.told(10);
    for second in 1..60 {
        net.run(ms(second * 1_000));
        for event in net.events.remove(&10).unwrap_or_default() {
            let Event::Request(request) = event else {
                panic!("{event:?}");
            };
            let now = net.now;
            net.node(10).reply(now, request.key, refused(581));
        }
    }
    net.run(ms(60_000));
    assert_eq!(net.told(1), [""; 0]);
    net.unplugged.insert(10);
    net.run(ms(60_000 + 21_000));
    assert_eq!(net.told(1), ["lost 10 Silent"]);
    assert_eq!(net.nodes[&1].associations().count(), 0);
}

#[test]
fn a_gateway_that_goes_says_so() {
    let mut net = Net::new();
    net.controller(1, 2, AssociationConfig::default());
    net.gateway(10, 2, towards(&[tcp(1)]));
    net.run(ms(10));
    net.told(1);
    net.told(10);
    let graceful = Departure::Graceful { delay_s: 7 };
    net.node(10).depart(ms(20), graceful);
    net.run(ms(30));
    assert_eq!(net.told(1), ["leaving 7"]);
    assert_eq!(net.told(10), [""; 0]);
    net.node(10).depart(ms(40), Departure::Forced);
    net.run(ms(50));
    assert_eq!(net.told(1), ["lost 10 OutOfService"]);
    assert_eq!(net.told(10), ["departed"]);
    assert!(net.connections.is_empty());
    net.run(ms(60_000));
    assert_eq!(net.told(10), [""; 0], "a departed gateway stays away");
}

#[test]
fn a_departure_ends_without_a_controller_too() {
    let mut net = Net::new();
    net.gateway(10, 2, towards(&[udp(1)]));
    net.run(ms(10));
    net.node(10).depart(ms(20), Departure::Forced);
    net.run(ms(30));
    assert_eq!(net.told(10), ["departed"]);

    let mut net = Net::new();
    net.controller(1, 2, AssociationConfig::default());
    net.gateway(10, 2, towards(&[udp(1)]));
    net.run(ms(10));
    net.unplugged.insert(1);
    net.told(10);
    net.node(10).depart(ms(20), Departure::Forced);
    net.run(ms(6_000));
    assert_eq!(net.told(10), ["departed"]);
}

#[test]
fn a_controller_can_hand_its_gateway_to_another() {
    let mut net = Net::new();
    net.controller(1, 2, AssociationConfig::default());
    net.controller(2, 2, AssociationConfig::default());
    net.gateway(10, 2, towards(&[udp(1)]));
    net.run(ms(10));
    net.told(1);
    net.told(10);
    let target = MId::Ip {
        address: [127, 0, 0, 1].into(),
        port: Some(2),
    };
    let actions = support::service_change(ServiceChangeMethod::HandOff, Some(target));
    let gateway = net.association(1).peer;
    net.node(1)
        .send_request(ms(20), gateway, actions)
        .expect("room");
    net.run(ms(30));
    assert_eq!(net.told(1), ["reply"]);
    assert_eq!(
        net.told(10),
        [
            "lost 1 HandedOff",
            "registered HandOff 2 v2 \"mgc2.example\""
        ]
    );
}

#[test]
fn a_new_registration_of_the_same_name_replaces_the_old_one() {
    let mut net = Net::new();
    net.controller(1, 2, AssociationConfig::default());
    net.gateway(10, 2, towards(&[tcp(1)]));
    net.run(ms(10));
    let old = net.association(1).peer;
    net.node(1)
        .send_request(ms(10), old, audit())
        .expect("room");
    net.run(ms(15));
    net.told(1);
    let mut registration = towards(&[tcp(1)]);
    registration.reason = "902 Warm Boot".to_owned();
    // A restart that the old connection did not notice; ids start elsewhere.
    let mut config = config("mg10", Role::Gateway);
    config.seed = 99;
    net.nodes
        .insert(10, Node::gateway(config, registration, ms(20)));
    net.run(ms(30));
    let told = net.told(1);
    assert_eq!(
        told,
        [
            "registered Restart 10 v2 \"mg10.example\"",
            "failed: the transport was lost"
        ]
    );
    assert_eq!(net.nodes[&1].associations().count(), 1);
    assert_ne!(net.association(1).peer, old);
}

#[test]
fn the_lost_reason_of_a_refused_version_is_told() {
    // A gateway that restarts without the controller's knowing, to a controller that forgot it.
    let mut net = Net::new();
    net.controller(1, 2, AssociationConfig::default());
    net.gateway(10, 2, towards(&[udp(1)]));
    net.run(ms(10));
    net.told(10);
    net.controller(1, 1, AssociationConfig::default());
    let (now, peer) = (net.now, net.association(10).peer);
    net.node(10).send_request(now, peer, audit()).expect("room");
    net.run(ms(20));
    let told = net.told(10);
    assert!(
        told.contains(&format!("lost 1 {:?}", LostReason::VersionRefused)),
        "{told:?}"
    );
    assert_eq!(
        told.last().expect("told"),
        "registered Disconnected 1 v1 \"mgc1.example\""
    );
}

#[test]
fn replies_name_their_error_wherever_it_stands() {
    assert_eq!(first_error(&refused(510)).map(|e| e.code), Some(510));
    assert_eq!(first_error(&ReplyBody::Actions(Vec::new())), None);
}
