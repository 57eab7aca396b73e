//! Slow recipients: first they slow their senders, then they are on their own, then they lose.

mod common;

use clock::Duration;
use common::{World, key, send};
use switch::{Event, Input, Limits, LossCause};

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
    world.advance(Duration::from_millis(250));
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
