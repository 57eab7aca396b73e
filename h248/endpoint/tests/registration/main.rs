//! Gateways and controllers that find, redirect, lose and refuse each other.

mod loss;
mod net;
#[path = "../support/mod.rs"]
mod support;

use clock::Duration;
use h248::ast::{Few, MId, Name, ReplyBody, ServiceChangeMethod};
use h248_endpoint::limits::REMOTES_MAX;
use h248_endpoint::{
    AssociationConfig, Event, Node, Peer, Role, TransportId, TransportKind, first_error,
};
use net::{Net, tcp, towards, udp};
use support::{audit, config, mid, ms, refused};

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
fn strangers_take_no_room_from_the_controller() {
    let mut net = Net::new();
    net.controller(1, 2, AssociationConfig::default());
    net.gateway(10, 2, towards(&[udp(1)]));
    net.run(ms(1_000));
    net.told(10);
    let (now, stranger) = (net.now, support::udp(4_000));
    for number in 0..=REMOTES_MAX {
        for actions in ["C=-{AV=ROOT{AT{}}}", "C=-{AV=ROOT{AT{}},AV", "nothing"] {
            let text = format!("!/2 <s{number}.example> T=5{{{actions}}}");
            net.node(10).handle_received(now, stranger, text.as_bytes());
            net.run(now);
        }
    }
    assert_eq!(net.nodes[&10].endpoint().stored_count(), 0);
    let gateway = net.association(1);
    let sent = net.node(1).send_request(now, gateway.peer, audit());
    sent.expect("room");
    net.run(ms(1_500));
    let is_request = |event: &Event| matches!(event, Event::Request(_));
    assert_eq!(net.events[&10].iter().filter(|e| is_request(e)).count(), 1);
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
fn replies_name_their_error_wherever_it_stands() {
    assert_eq!(first_error(&refused(510)).map(|e| e.code), Some(510));
    assert_eq!(first_error(&ReplyBody::Actions(Few::default())), None);
}
