//! Slow recipients: who reads slowly slows its senders, who stops reading loses; nobody else does.

mod common;

use clock::Duration;
use common::{World, config, conn, key, send};
use switch::limits::{HOARDER_AFTER, PROGRESS_PARTS, RELIEF_INTERVAL, STALLED_AFTER};
use switch::{Event, Input, Limits, LossCause, Order, Output, SlowPolicy};

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
    assert!(world.paused.is_empty(), "nobody knows yet whether it reads");
    take_some(&mut world, 2);
    for i in 12..16 {
        world.receive(1, &message(i));
    }
    assert_eq!(world.paused, [1], "it does, slowly");
    world.unstick(2);
    assert!(world.paused.is_empty());
    assert_eq!(world.frames(2).len(), 16);
    assert_eq!(world.frames(3).len(), 16, "the others have everything");
}

/// The system takes as much of the batch in flight as counts as progress.
fn take_some(world: &mut World, n: u32) {
    let octets = limits().queue_bytes_soft / PROGRESS_PARTS;
    let conn = conn(n);
    world.feed(Input::Progressed { conn, octets });
}

/// Messages that fit into a queue before anybody is held for a recipient that may not read.
const HEADROOM_MESSAGES: usize = 29;

// MSRP-CONG-004
#[test]
fn nobody_notices_that_a_recipient_stops_reading_while_its_queue_has_headroom() {
    let mut world = World::conference_with(3, limits());
    world.stick(2);
    for i in 0..HEADROOM_MESSAGES {
        world.receive(1, &message(i));
        assert!(world.paused.is_empty(), "not for message {i}");
        assert_eq!(world.frames(3).len(), 1);
        world.advance(STALLED_AFTER / 32);
    }
    world.advance(STALLED_AFTER);
    let mut i = HEADROOM_MESSAGES;
    while world.closed.is_empty() {
        world.receive(1, &message(i));
        assert!(world.paused.is_empty(), "not for message {i}");
        assert_eq!(world.frames(3).len(), 1);
        i += 1;
    }
    assert_eq!(world.closed, [2], "it loses when its queue is full");
    assert_eq!(world.shard.gauges().holds(), 0);
    assert_eq!(world.shard.gauges().stalls(), 1);
}

#[test]
fn who_takes_an_octet_now_and_then_holds_nobody_for_long() {
    let mut world = World::conference_with(3, limits());
    world.stick(2);
    for i in 0..=HEADROOM_MESSAGES {
        world.receive(1, &message(i));
    }
    assert_eq!(world.paused, [1]);
    for _ in 0..20 {
        world.advance(STALLED_AFTER / 20);
        let conn = conn(2);
        world.feed(Input::Progressed { conn, octets: 1 });
    }
    assert!(world.paused.is_empty(), "once, for one stall time");
}

#[test]
fn who_catches_up_after_a_stall_slows_its_senders_and_does_not_stop_them() {
    let mut world = World::conference_with(3, limits());
    world.stick(2);
    for i in 0..HEADROOM_MESSAGES {
        world.receive(1, &message(i));
    }
    world.advance(STALLED_AFTER);
    world.breathe(2);
    take_some(&mut world, 2);
    let mut i = HEADROOM_MESSAGES;
    for _ in 0..4 {
        let before = i;
        while world.paused.is_empty() {
            world.receive(1, &message(i));
            i += 1;
        }
        assert!(i > before, "something passes between two of its breaths");
        world.advance(STALLED_AFTER / 2);
        (0..3).for_each(|_| take_some(&mut world, 2));
    }
    world.unstick(2);
    assert!(world.paused.is_empty());
    assert!(world.closed.is_empty());
    assert_eq!(world.frames(2).len(), i, "it lost nothing");
}

/// Room for two full queues and a bit.
fn scarce() -> Limits {
    Limits {
        shard_queue_bytes_max: 60_000,
        ..limits()
    }
}

// MSRP-CONG-003
#[test]
fn when_the_shard_is_full_the_longest_queue_that_takes_nothing_loses_first() {
    let mut world = World::conference_with(5, scarce());
    world.stick(2);
    for i in 0..10 {
        world.receive(1, &message(i));
    }
    world.stick(3);
    world.stick(4);
    world.advance(HOARDER_AFTER);
    for i in 10..40 {
        world.receive(1, &message(i));
        if !world.closed.is_empty() {
            break;
        }
    }
    assert_eq!(world.closed, [2], "the longest of three");
    assert!(world.paused.is_empty());
    let limit_bytes = 60_000;
    let lost = Event::Lost {
        session: key(2),
        cause: LossCause::TooSlow { limit_bytes },
    };
    assert!(world.events.contains(&lost));
    assert!(world.shard.gauges().queued_bytes() <= limit_bytes);
}

// MSRP-CONG-003
#[test]
fn when_the_shard_is_full_of_those_who_read_whoever_sends_waits_for_room() {
    let mut world = World::conference_with(6, scarce());
    (2..=5).for_each(|n| world.stick(n));
    let mut i = 0;
    while world.paused.is_empty() {
        world.receive(1, &message(i));
        i += 1;
        assert!(i < 60);
    }
    assert!(world.closed.is_empty(), "they had a moment ago");
    assert!(world.shard.gauges().queued_bytes() > 60_000);
    let got = world.frames(6).len();
    assert_eq!(got, i, "who reads has everything");
    world.unstick(2);
    assert_eq!(world.paused, [1], "not enough room yet");
    world.unstick(3);
    assert!(world.paused.is_empty());
    // Nobody else makes room: those who take nothing lose although nothing is sent any more.
    while world.paused.is_empty() {
        world.receive(1, &message(i));
        i += 1;
        assert!(i < 120);
    }
    let mut waited = Duration::ZERO;
    while waited <= HOARDER_AFTER {
        world.advance(RELIEF_INTERVAL);
        waited += RELIEF_INTERVAL;
    }
    assert_eq!(world.closed.len(), 1, "one is enough");
    assert!(world.paused.is_empty());
    for n in [2, 3] {
        assert_eq!(world.frames(n).len(), i, "{n} has everything");
    }
}

// MSRP-CONG-003, MSRP-CONG-004.
#[test]
fn a_stalled_recipient_no_longer_holds_its_sender_and_finally_loses() {
    let mut world = World::conference_with(3, limits());
    world.stick(2);
    for i in 0..=HEADROOM_MESSAGES {
        world.receive(1, &message(i));
    }
    assert_eq!(world.paused, [1], "too much to go on without knowing");
    world.advance(STALLED_AFTER);
    assert!(world.paused.is_empty(), "no progress: the sender goes on");
    for i in HEADROOM_MESSAGES + 1..60 {
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

#[test]
fn whoever_got_something_first_is_served_first() {
    let mut world = World::conference(4);
    let mut served = Vec::new();
    for n in [3, 1] {
        let text = send(
            n,
            &format!("order{n}xx"),
            &format!("or{n}xx"),
            "Failure-Report: no\r\n",
            b"x",
        );
        let octets = text.into();
        let conn = conn(n);
        world
            .shard
            .handle(world.now, Input::Received { conn, octets });
    }
    while let Output::Transmit { conn, .. } = world.shard.poll() {
        served.push(conn.index);
    }
    assert_eq!(
        served,
        [1, 2, 4, 3],
        "those of the first message, then who got the second alone"
    );
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
    let dropped = world.shard.gauges().dropped();
    assert_eq!(dropped, counters.messages_dropped);
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
    take_some(&mut world, 2);
    for i in 12..16 {
        world.receive(1, &message(i));
    }
    assert_eq!(world.paused, [1]);
    for i in 16..26 {
        world.advance(STALLED_AFTER / 2);
        take_some(&mut world, 2);
        world.receive(1, &message(i));
        world.receive(1, &message(i));
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
