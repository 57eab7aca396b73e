//! Short runs against an MRFP and a forwarder in this process: everything arrives, and what does not
//! is told.
#![expect(
    clippy::unwrap_used,
    reason = "a test that fails here has found something"
)]

use core::net::SocketAddr;
use core::time::Duration;

use load::setup::h248::Controller;
use load::setup::{Target, forward, relay};
use load::{Plan, Rate, Summary, Transport};
use mrfp::{Mrfp, ReactorKind};
use reactor::{Mailbox, ShardHandle, ShardLinks, ShardThreadConfig, bind_listeners, spawn_shard};
use switch::ShardIndex;

fn plan() -> Plan {
    Plan {
        conferences: 2,
        participants: 4,
        senders: 2,
        messages: Some(50),
        duration: Duration::from_secs(60),
        warmup: Duration::ZERO,
        ..Plan::default()
    }
}

fn any() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

async fn mrfp(reactor: ReactorKind, transport: Transport) -> (Mrfp, Controller) {
    let controller = Controller::listen("tcp:127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let config = mrfp::Config {
        msrp: vec![format!("{}:{}", transport.name(), any()).parse().unwrap()],
        mgcs: vec![controller.listens_on()],
        reactor,
        shards: core::num::NonZeroU8::new(1),
        ..mrfp::Config::default()
    };
    (mrfp::start(config).await.unwrap(), controller)
}

async fn over_h248(reactor: ReactorKind, plan: Plan) -> Summary {
    let (mrfp, controller) = mrfp(reactor, plan.transport).await;
    let sessions = controller.sessions(Target::default(), &plan).await.unwrap();
    let summary = load::run(&plan, sessions, |_| ()).await.unwrap();
    assert_eq!(mrfp.metrics().terminations, 0);
    summary
}

#[track_caller]
fn expect_all(plan: &Plan, summary: &Summary) {
    let sent = plan.messages.unwrap() * u64::from(plan.sender_count());
    let counts = summary.counts;
    assert!(counts.is_clean(), "{counts:?}");
    assert_eq!(counts.sent, sent);
    assert_eq!(counts.delivered, sent * u64::from(plan.recipients()));
}

#[tokio::test]
async fn every_message_reaches_everybody_through_the_mrfp() {
    for (reactor, size) in [
        (ReactorKind::Mio, 1),
        (ReactorKind::Auto, 300),
        (ReactorKind::Mio, 20_000),
        (ReactorKind::Auto, 200_000),
    ] {
        let plan = Plan { size, ..plan() };
        let summary = over_h248(reactor, plan.clone()).await;
        expect_all(&plan, &summary);
    }
}

#[tokio::test]
async fn every_transport_carries_messages_of_every_size() {
    for (reactor, transport) in [
        (ReactorKind::Auto, Transport::Tls),
        (ReactorKind::Mio, Transport::Tls),
        (ReactorKind::Auto, Transport::Ws),
        (ReactorKind::Mio, Transport::Wss),
    ] {
        for size in [1, 300, 200_000] {
            let plan = Plan {
                size,
                transport,
                messages: Some(if size > 1_000 { 3 } else { 50 }),
                ..plan()
            };
            let summary = over_h248(reactor, plan.clone()).await;
            expect_all(&plan, &summary);
        }
    }
}

/// One of three recipients stops reading; what the MRFP says of itself in the end.
async fn with_one_who_stops(reactor: ReactorKind, plan: &Plan) -> mrfp::ShardMetrics {
    let (mrfp, controller) = mrfp(reactor, plan.transport).await;
    let sessions = controller.sessions(Target::default(), plan).await.unwrap();
    let summary = load::run(plan, sessions, |_| ()).await.unwrap();
    expect_all(plan, &summary);
    mrfp.metrics().shards[0].clone()
}

#[tokio::test]
async fn who_stops_reading_holds_nobody_while_there_is_headroom_and_loses_alone_beyond_it() {
    for reactor in [ReactorKind::Auto, ReactorKind::Mio] {
        // 8 MB fit into its queue, whatever the system takes and however late everybody is.
        let modest = Plan {
            conferences: 1,
            senders: 1,
            stalled: 1,
            size: 8_000,
            rate: Rate::Fixed(4_000.0),
            messages: Some(1_000),
            ..plan()
        };
        let seen = with_one_who_stops(reactor, &modest).await;
        assert_eq!((seen.holds, seen.too_slow), (0, 0), "{reactor}");
        // 48 MB do not.
        let saturated = Plan {
            rate: Rate::Max,
            messages: Some(6_000),
            ..modest
        };
        let seen = with_one_who_stops(reactor, &saturated).await;
        assert_eq!((seen.stalls, seen.too_slow), (1, 1), "{reactor}");
    }
}

/// Sixty are replaced, every one of the four who only receive many times.
#[tokio::test]
async fn who_joins_and_leaves_misses_nothing_while_there() {
    for (reactor, transport, size) in [
        (ReactorKind::Auto, Transport::Tcp, 300),
        (ReactorKind::Mio, Transport::Wss, 20_000),
    ] {
        let plan = Plan {
            rate: Rate::Fixed(1_000.0),
            churn: 200.0,
            messages: Some(75),
            transport,
            size,
            ..plan()
        };
        let summary = over_h248(reactor, plan.clone()).await;
        let counts = summary.counts;
        assert!(counts.is_clean(), "{counts:?}");
        assert_eq!(counts.sent, 75 * u64::from(plan.sender_count()));
        assert!(counts.joins > 0, "{counts:?}");
        assert_eq!(counts.joins + counts.unbound, counts.leaves);
        assert_eq!(summary.join_latency.count, counts.joins);
    }
}

#[tokio::test]
async fn answers_are_given_and_taken_when_they_are_asked_for() {
    let plan = Plan {
        failure_report: msrp::FailureReport::Yes,
        rate: Rate::Fixed(2_000.0),
        ..plan()
    };
    let summary = over_h248(ReactorKind::Auto, plan.clone()).await;
    expect_all(&plan, &summary);
    assert!(summary.latency.p50_us > 0.0);
}

#[tokio::test]
async fn more_than_one_transaction_makes_a_large_conference() {
    let plan = Plan {
        conferences: 3,
        participants: 60,
        senders: 1,
        messages: Some(3),
        sessions_per_connection: 4,
        ..plan()
    };
    let summary = over_h248(ReactorKind::Auto, plan.clone()).await;
    expect_all(&plan, &summary);
}

fn forwarder() -> ShardHandle {
    let mailbox = Mailbox::new().unwrap();
    let links = ShardLinks::new(std::slice::from_ref(&mailbox));
    let mut config = ShardThreadConfig::new(ShardIndex(0), mailbox, links, Box::new(|_| ()));
    config.listeners = bind_listeners(&[any()], 1).unwrap().remove(0);
    spawn_shard(config, load::forwarder::Forwarder::default).unwrap()
}

#[tokio::test]
async fn the_forwarder_keeps_frames_of_several_senders_apart() {
    for size in [10, 3_000, 40_000] {
        let forwarder = forwarder();
        let plan = Plan { size, ..plan() };
        let sessions =
            forward::sessions(forwarder.local_addrs()[0], Target::default(), &plan).unwrap();
        let summary = load::run(&plan, sessions, |_| ()).await.unwrap();
        expect_all(&plan, &summary);
    }
}

#[tokio::test]
async fn a_system_that_ends_in_the_middle_ends_the_run() {
    for rate in [Rate::Max, Rate::Fixed(1_000.0)] {
        let forwarder = forwarder();
        let plan = Plan {
            messages: None,
            rate,
            ..plan()
        };
        let sessions =
            forward::sessions(forwarder.local_addrs()[0], Target::default(), &plan).unwrap();
        let ended = load::run(&plan, sessions, |_| forwarder.stop());
        let summary = ended.await.unwrap();
        assert!(summary.is_broken_off && !summary.counts.is_clean());
        assert!(summary.counts.delivered > 0);
        let connections = u64::from(plan.participant_count());
        assert_eq!(summary.counts.disconnected, connections);
    }
}

#[tokio::test]
async fn a_relay_that_is_none_is_told() {
    // Held, and not listened on: nobody else gets it meanwhile.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind(any()).unwrap();
    let addr = held.local_addr().unwrap();
    let plan = Plan {
        participants: 2,
        senders: 1,
        ..plan()
    };
    let sessions = relay::sessions(addr, Target::default(), &plan).unwrap();
    let error = load::run(&plan, sessions, |_| ()).await.unwrap_err();
    assert!(format!("{error:#}").contains("refused"), "{error:#}");
    assert!(
        relay::sessions(
            addr,
            Target::default(),
            &Plan {
                participants: 3,
                ..plan
            }
        )
        .is_err()
    );
}
