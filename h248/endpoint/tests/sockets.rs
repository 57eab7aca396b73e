//! Gateways and controllers on real sockets of the loopback interface.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test names what it expects and fails on the rest"
)]

mod support;

use h248::ast::{MId, TransactionId};
use h248_endpoint::limits::PEER_OUTSTANDING_MAX;
use h248_endpoint::{
    AssociationConfig, Config, Departure, Event, Registered, RegistrationConfig, Role, Shell,
    TransportAddr, first_error,
};
use support::{audit, config, mid, refused};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn controller(listen: &[&str]) -> Shell {
    let listen: Vec<TransportAddr> = listen.iter().map(|a| a.parse().expect("address")).collect();
    let config = config("mgc", Role::Controller);
    let shell = Shell::controller(config, AssociationConfig::default(), &listen).await;
    shell.expect("bound")
}

async fn gateway(name: &str, mgcs: &[TransportAddr]) -> Shell {
    let registration = RegistrationConfig::new(mgcs.to_vec());
    let shell = Shell::gateway(config(name, Role::Gateway), registration, &[]).await;
    shell.expect("bound")
}

/// Runs both until each has seen its registration.
async fn register(controller: &mut Shell, gateway: &mut Shell) -> (Registered, Registered) {
    let (mut at_controller, mut at_gateway) = (None, None);
    while at_controller.is_none() || at_gateway.is_none() {
        let (seen, event) = tokio::select! {
            event = controller.next() => (&mut at_controller, event),
            event = gateway.next() => (&mut at_gateway, event),
        };
        match event {
            Event::Registered(registered) => *seen = Some(registered),
            other => panic!("{other:?}"),
        }
    }
    (at_controller.expect("seen"), at_gateway.expect("seen"))
}

/// The controller asks, the gateway answers.
async fn converse(
    controller: &mut Shell,
    gateway: &mut Shell,
    registered: &Registered,
    requests: usize,
) {
    let mut ids: Vec<TransactionId> = Vec::new();
    for _ in 0..requests {
        ids.push(
            controller
                .send_request(registered.peer, audit())
                .expect("room"),
        );
    }
    let mut answered: Vec<TransactionId> = Vec::new();
    while answered.len() < requests {
        tokio::select! {
            event = gateway.next() => match event {
                Event::Request(request) => assert!(gateway.reply(request.key, refused(581))),
                other => panic!("{other:?}"),
            },
            event = controller.next() => match event {
                Event::Reply { id, reply, .. } => {
                    assert_eq!(first_error(&reply.body).map(|e| e.code), Some(581));
                    answered.push(id);
                }
                other => panic!("{other:?}"),
            },
        }
    }
    answered.sort_unstable();
    ids.sort_unstable();
    assert_eq!(answered, ids);
}

#[tokio::test]
async fn requests_are_answered_over_every_transport() {
    for listen in [
        "udp:127.0.0.1:0",
        "tcp:127.0.0.1:0",
        "udp:[::1]:0",
        "tcp:[::1]:0",
        "sctp:127.0.0.1:0",
        "sctp:[::1]:0",
    ] {
        let mut mgc = controller(&[listen]).await;
        let address = mgc.bound()[0];
        assert_ne!(address.addr().port(), 0);
        let mut mg = gateway("mg", &[address]).await;
        let (at_mgc, at_mg) = register(&mut mgc, &mut mg).await;
        assert_eq!((at_mgc.version, at_mgc.mid.clone()), (2, mid("mg")));
        assert_eq!((at_mg.version, at_mg.mid), (2, mid("mgc")));
        assert_eq!(at_mg.peer.addr, address.addr());
        converse(&mut mgc, &mut mg, &at_mgc, 100).await;
        mg.depart(Departure::Forced);
        let (mut is_lost, mut is_departed) = (false, false);
        while !(is_lost && is_departed) {
            tokio::select! {
                event = mgc.next() => is_lost |= matches!(event, Event::Lost { .. }),
                event = mg.next() => is_departed |= matches!(event, Event::Departed),
            }
        }
        assert_eq!(mgc.associations().count(), 0);
    }
}

#[tokio::test]
async fn a_controller_serves_gateways_over_every_transport_at_once() {
    let mut mgc = controller(&["udp:127.0.0.1:0", "tcp:127.0.0.1:0", "sctp:127.0.0.1:0"]).await;
    let bound = mgc.bound().to_vec();
    let mut first = gateway("mg1", &bound[..1]).await;
    let mut second = gateway("mg2", &bound[1..2]).await;
    let mut third = gateway("mg3", &bound[2..]).await;
    let (at_first, _) = register(&mut mgc, &mut first).await;
    let (at_second, _) = register(&mut mgc, &mut second).await;
    let (at_third, _) = register(&mut mgc, &mut third).await;
    assert_eq!(mgc.associations().count(), 3);
    converse(&mut mgc, &mut first, &at_first, 100).await;
    converse(&mut mgc, &mut second, &at_second, 100).await;
    converse(&mut mgc, &mut third, &at_third, 100).await;
}

#[tokio::test]
async fn all_that_may_be_outstanding_may_be_sent_at_once() {
    let mut mgc = controller(&["tcp:127.0.0.1:0"]).await;
    let mut mg = gateway("mg", mgc.bound()).await;
    let (at_mgc, _) = register(&mut mgc, &mut mg).await;
    converse(&mut mgc, &mut mg, &at_mgc, PEER_OUTSTANDING_MAX).await;
}

#[tokio::test]
async fn a_controller_that_restarts_is_found_again() {
    let mut mgc = controller(&["tcp:127.0.0.1:0"]).await;
    let address = mgc.bound()[0];
    let mut mg = gateway("mg", &[address]).await;
    register(&mut mgc, &mut mg).await;
    drop(mgc);
    match mg.next().await {
        Event::Lost { mid: lost, .. } => assert_eq!(lost, mid("mgc")),
        other => panic!("{other:?}"),
    }
    let mut mgc = controller(&[&address.to_string()]).await;
    loop {
        let event = tokio::select! {
            event = mgc.next() => event,
            event = mg.next() => event,
        };
        match event {
            Event::Registered(registered) => {
                let word = format!("{:?}", registered.method);
                assert_eq!(word, "Disconnected");
                break;
            }
            Event::RegistrationFailed { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_no_tpkt_is_closed_and_others_live_on() {
    let mut mgc = controller(&["tcp:127.0.0.1:0"]).await;
    let address = mgc.bound()[0];
    let mut intruder = TcpStream::connect(address.addr()).await.expect("listening");
    intruder
        .write_all(b"GET / HTTP/1.1\r\n\r\n")
        .await
        .expect("sent");
    let mut octets = Vec::new();
    tokio::select! {
        event = mgc.next() => panic!("{event:?}"),
        // A reset is as good an end as an orderly one: octets of ours may be unread.
        _ = intruder.read_to_end(&mut octets) => {}
    }
    assert!(octets.is_empty());
    let mut mg = gateway("mg", &[address]).await;
    let (at_mgc, _) = register(&mut mgc, &mut mg).await;
    converse(&mut mgc, &mut mg, &at_mgc, 100).await;
}

#[tokio::test]
async fn a_controller_named_by_any_port_has_the_one_that_is_bound() {
    let address = core::net::Ipv4Addr::LOCALHOST.into();
    let named = |port| MId::Ip {
        address,
        port: Some(port),
    };
    let config = Config {
        mid: named(0),
        ..config("mgc", Role::Controller)
    };
    let listen = ["udp:127.0.0.1:0".parse().expect("an address")];
    let mgc = Shell::controller(config, AssociationConfig::default(), &listen).await;
    let mut mgc = mgc.expect("bound");
    let bound = mgc.bound()[0];
    let mut mg = gateway("mg", &[bound]).await;
    let (_, at_gateway) = register(&mut mgc, &mut mg).await;
    assert_eq!(at_gateway.mid, named(bound.addr().port()));
}

#[tokio::test]
async fn an_address_that_cannot_be_bound_is_named() {
    let holder = controller(&["tcp:127.0.0.1:0"]).await;
    let taken = holder.bound()[0];
    let config = config("mgc", Role::Controller);
    let second = Shell::controller(config, AssociationConfig::default(), holder.bound()).await;
    let error = second.expect_err("taken").to_string();
    assert!(error.starts_with(&taken.to_string()), "{error}");
}
