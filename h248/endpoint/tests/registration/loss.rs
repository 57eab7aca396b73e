//! What follows when one of the two is silent, goes, or is lost.

use clock::Duration;
use h248_endpoint::{AfterLoss, AssociationConfig, Departure, Event, LostReason};

use crate::net::{Net, tcp, towards, udp};
use crate::support::{audit, ms, refused};

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
fn a_gateway_that_its_controller_has_forgotten_registers_again() {
    let mut net = Net::new();
    net.controller(1, 2, AssociationConfig::default());
    net.gateway(10, 2, towards(&[udp(1)]));
    net.run(ms(10));
    net.told(10);
    // It begins anew, as after a crash: whoever is silent by UDP is not missed.
    net.controller(1, 2, AssociationConfig::default());
    let (now, peer) = (net.now, net.association(10).peer);
    net.node(10).send_request(now, peer, audit()).expect("room");
    net.run(ms(2_000));
    let told = net.told(10);
    let lost = format!("lost 1 {:?}", LostReason::Disowned);
    assert!(told.contains(&lost), "{told:?}");
    assert_eq!(
        told.last().expect("told"),
        "registered Disconnected 1 v2 \"mgc1.example\""
    );
}
