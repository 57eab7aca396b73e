//! Short runs against an MRFP and a forwarder in this process: everything arrives, and what does not
//! is told.
#![expect(
    clippy::unwrap_used,
    reason = "a test that fails here has found something"
)]

use core::net::SocketAddr;
use core::time::Duration;

use load::setup::h248::Controller;
use load::setup::{Keeper, Sessions, Target, forward, relay};
use load::{Plan, Rate, Summary};
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

async fn mrfp(reactor: ReactorKind) -> (Mrfp, Controller) {
    let controller = Controller::listen("tcp:127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let config = mrfp::Config {
        msrp: vec![any().into()],
        mgcs: vec![controller.listens_on()],
        reactor,
        shards: core::num::NonZeroU8::new(1),
        ..mrfp::Config::default()
    };
    (mrfp::start(config).await.unwrap(), controller)
}

async fn over_h248(reactor: ReactorKind, plan: Plan) -> Summary {
    let (mrfp, mut controller) = mrfp(reactor).await;
    controller.registered().await.unwrap();
    let legs = controller.add(&plan).await.unwrap();
    let sessions = Sessions {
        via: "h248",
        legs,
        listeners: Vec::new(),
        is_binding: true,
        keeper: Keeper::H248(Box::new(controller)),
        target: Target::default(),
    };
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

/// Of 20,000 sessions all but a few are silent; four of them share a connection, as behind a border
/// controller, so that the descriptors of an ordinary process suffice.
#[tokio::test]
async fn twenty_thousand_idle_sessions_do_not_disturb_the_few_that_talk() {
    let plan = Plan {
        conferences: 200,
        participants: 100,
        senders: 1,
        messages: Some(2),
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
        let sessions = forward::sessions(forwarder.local_addrs()[0], Target::default(), &plan);
        let summary = load::run(&plan, sessions, |_| ()).await.unwrap();
        expect_all(&plan, &summary);
    }
}

#[tokio::test]
async fn a_relay_that_is_none_is_told() {
    let nobody = std::net::TcpListener::bind(any()).unwrap();
    let addr = nobody.local_addr().unwrap();
    drop(nobody);
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
