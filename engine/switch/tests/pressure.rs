//! Slow recipients: first they slow their senders, then they are on their own, then they lose.

mod common;

use clock::Duration;
use common::{World, config, conn, key, send};
use switch::limits::STALLED_AFTER;
use switch::{Event, Input, Limits, LossCause, Order, SlowPolicy};

fn limits() -> Limits {
    Limits {
        queue_bytes_soft: 10_000,
        queue_bytes_max: 50_000,
        ..Limits::default()
    }
}

fn message(i: usize) -> Vec<u8> {
    send(
        1,
        &format!("pressed{i:04}"),
        &format!("pr{i:04}"),
        "Failure-Report: no\r\n",
        &[b'x'; 1_000],
    )
}

// MSRP-CONG-001.
#[test]
fn a_recipient_past_the_soft_limit_pauses_its_sender_until_it_has_drained() {
    let mut world = World::conference_with(3, limits());
    world.stick(2);
    for i in 0..12 {
        world.receive(1, &message(i));
    }
    assert_eq!(world.paused, [1]);
    world.unstick(2);
    assert!(world.paused.is_empty());
    assert_eq!(world.frames(2).len(), 12);
    assert_eq!(world.frames(3).len(), 12, "the others have everything");
}

// MSRP-CONG-003, MSRP-CONG-004.
#[test]
fn a_stalled_recipient_no_longer_holds_its_sender_and_finally_loses() {
    let mut world = World::conference_with(3, limits());
    world.stick(2);
    for i in 0..12 {
        world.receive(1, &message(i));
    }
    assert_eq!(world.paused, [1]);
    world.advance(STALLED_AFTER);
    assert!(world.paused.is_empty(), "no progress: the sender goes on");
    for i in 12..60 {
        world.receive(1, &message(i));
    }
    assert!(world.paused.is_empty());
    let cause = LossCause::TooSlow {
        limit_bytes: 50_000,
    };
    assert!(world.events.contains(&Event::Lost {
        session: key(2),
        cause
    }));
    assert_eq!(world.closed, [2]);
    assert_eq!(world.frames(3).len(), 60, "nobody else lost anything");
}

// MSRP-SEC-005.
#[test]
fn a_peer_that_sends_without_reading_its_answers_is_bounded_too() {
    let mut world = World::conference_with(2, limits());
    world.stick(1);
    let mut i = 0;
    while world.closed.is_empty() {
        let text = send(1, &format!("noread{i:05}"), &format!("nr{i:05}"), "", b"x");
        world.receive(1, &text);
        world.advance(Duration::from_millis(1));
        i += 1;
        assert!(i < 2_000, "its own answers fill its queue");
    }
    assert_eq!(world.closed, [1]);
}

#[test]
fn a_turn_with_many_messages_leaves_in_one_batch_per_recipient() {
    let mut world = World::conference(3);
    let texts: Vec<_> = (0..50).map(message).collect();
    let inputs: Vec<_> = texts.iter().map(|t| (1, t.as_slice())).collect();
    world.sent.clear();
    world.receive_together(&inputs);
    assert_eq!(world.frames(2).len(), 50);
    let nothing_left = matches!(world.shard.poll(), switch::Output::Wait(_));
    assert!(nothing_left);
    world.feed(Input::Deadline);
}

fn drop_policy(world: &mut World, n: u32) {
    let mut config = Box::new(config(n));
    config.terms_mut().slow = SlowPolicy::Drop;
    let session = key(n);
    world.order(Order::Update { session, config });
}

// MSRP-CONG-001, MSRP-CONG-002, MSRP-CONG-004, MSRP-SEC-005
#[test]
fn under_the_policy_drop_nobody_waits_and_the_slow_one_gets_no_new_messages() {
    let mut world = World::conference_with(3, limits());
    drop_policy(&mut world, 2);
    world.stick(2);
    for i in 0..100 {
        world.receive(1, &message(i));
        assert!(world.paused.is_empty(), "nobody waits");
    }
    assert!(world.closed.is_empty(), "its session stays");
    assert_eq!(world.frames(3).len(), 100, "the others have everything");
    world.unstick(2);
    let got = world.frames(2).len();
    assert!((30..40).contains(&got), "{got} until the mark");
    let counters = world.order(Order::Audit { session: key(2) });
    let counters = counters.expect("counters");
    assert_eq!(counters.messages_dropped, 100 - got as u64);
    world.receive(1, &message(100));
    assert_eq!(world.frames(2).len(), 1, "and again");
}

#[test]
fn the_sender_is_told_who_could_not_be_served_for_its_congestion() {
    let mut world = World::conference_with(2, limits());
    drop_policy(&mut world, 2);
    world.stick(2);
    for i in 0..40 {
        world.receive(1, &message(i));
    }
    world.frames(1);
    world.receive(1, &send(1, "toolate1", "tl11", "", b"x"));
    let got = world.frames(1);
    let report = got.iter().find(|f| f.start == "REPORT").expect("one");
    assert!(report.field("Status").starts_with("000 408"));
}

// MSRP-CONG-003
#[test]
fn who_stays_congested_for_minutes_is_lost() {
    let mut world = World::conference_with(2, limits());
    drop_policy(&mut world, 2);
    world.stick(2);
    for i in 0..60 {
        world.receive(1, &message(i));
    }
    world.advance(Limits::default().congestion_timeout);
    assert!(world.closed.is_empty());
    world.receive(1, &message(60));
    let is_lost = |e: &Event| {
        matches!(
            e,
            Event::Lost {
                cause: LossCause::TooSlow { .. },
                ..
            }
        )
    };
    assert!(world.events.iter().any(is_lost));
}

// MSRP-COMP-003
#[test]
fn what_says_that_somebody_types_passes_but_not_to_the_congested() {
    let composing = |i: usize| {
        let text = String::from_utf8(message(i)).expect("text");
        text.replace("text/plain", "application/im-iscomposing+xml")
    };
    let mut world = World::conference_with(3, limits());
    world.receive(1, composing(900).as_bytes());
    assert_eq!(world.frames(2).len(), 1);
    world.stick(2);
    for i in 0..12 {
        world.receive(1, &message(i));
    }
    world.advance(STALLED_AFTER);
    for i in 12..36 {
        world.receive(1, &message(i));
    }
    world.frames(3);
    let yes = composing(901).replace("Failure-Report: no", "Failure-Report: yes");
    world.receive(1, yes.as_bytes());
    assert_eq!(world.frames(1).len(), 1, "200, and nobody misses it");
    assert_eq!(world.frames(3).len(), 1);
    world.unstick(2);
    let got = world.frames(2);
    let kinds = got.iter().map(|f| f.field("Content-Type"));
    assert!(kinds.clone().all(|kind| kind == "text/plain"));
    assert_eq!(kinds.count(), 36, "messages proper are all there");
}

// MSRP-CONG-001
#[test]
fn no_more_is_taken_than_can_leave_before_the_outputs_are_drawn() {
    let mut world = World::conference_with(3, limits());
    let mut taken = 0;
    while world.shard.takes(conn(1)) {
        let octets = message(taken).into();
        let input = Input::Received {
            conn: conn(1),
            octets,
        };
        world.shard.handle(world.now, input);
        taken += 1;
        assert!(taken < 50, "a turn is bounded by what it queues");
    }
    assert!(!world.shard.takes(conn(2)), "nor from others");
    world.receive_together(&[]);
    assert!(world.shard.takes(conn(1)), "it has left");
    assert!(world.paused.is_empty(), "and nobody had to wait");
    assert_eq!(world.frames(2).len(), taken);
}

#[test]
fn what_the_system_takes_of_a_batch_is_progress() {
    let mut world = World::conference_with(3, limits());
    world.stick(2);
    for i in 0..12 {
        world.receive(1, &message(i));
    }
    assert_eq!(world.paused, [1]);
    for _ in 0..10 {
        world.advance(STALLED_AFTER / 2);
        world.feed(Input::Progressed {
            conn: conn(2),
            octets: 1,
        });
    }
    assert_eq!(world.paused, [1], "slow, not stalled");
    world.advance(STALLED_AFTER);
    assert!(world.paused.is_empty(), "stalled");
}

// MSRP-CONG-003
#[test]
fn many_senders_cannot_overrun_a_recipient_that_reads() {
    const SENDERS: u32 = 80;
    let mut world = World::conference_with(SENDERS + 1, limits());
    let reader = SENDERS + 1;
    world.stick(reader);
    for (n, i) in (1..=SENDERS).zip(0..) {
        if world.shard.takes(conn(n)) {
            let text = send(
                n,
                &format!("herd{i:04}"),
                &format!("hr{i:04}"),
                "Failure-Report: no\r\n",
                &[b'x'; 1_000],
            );
            world.receive(n, &text);
        }
    }
    assert!(world.closed.is_empty(), "it had no chance to read yet");
    assert!(
        (1..=SENDERS).all(|n| !world.shard.takes(conn(n))),
        "all wait"
    );
    world.unstick(reader);
    assert!(
        (1..=SENDERS).all(|n| world.shard.takes(conn(n))),
        "and go on"
    );
}
