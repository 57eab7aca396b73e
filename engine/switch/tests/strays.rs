//! Requests for sessions that do not exist: each is answered 481, and their number is bounded by what a
//! connection does for sessions of its own, for several sessions may share one (RFC 4975 5.4).

mod common;

use common::{World, key, local, send};
use switch::limits::STRAYS_MAX;
use switch::{Event, LossCause, Order};

/// Requests of 1, for its own session or one that does not exist; the answers.
fn ask(world: &mut World, count: usize, is_stray: impl Fn(usize) -> bool) -> Vec<String> {
    let one = |i: usize| {
        let text = send(1, &format!("stray{i:06}"), "ms11", "", b"x");
        let text = String::from_utf8(text).expect("text");
        let path = if is_stray(i) { local(99) } else { local(1) };
        text.replace(&local(1), &path)
    };
    let mut answers = Vec::new();
    for first in (0..count).step_by(256) {
        let turn: String = (first..count.min(first + 256)).map(one).collect();
        world.receive(1, turn.as_bytes());
        answers.extend(world.frames(1).into_iter().map(|f| f.start));
    }
    answers
}

#[test]
fn who_asks_for_sessions_that_do_not_exist_is_closed_in_the_end() {
    let mut world = World::conference(2);
    let most = usize::from(STRAYS_MAX) - 1;
    let answers = ask(&mut world, most, |_| true);
    assert_eq!(answers.len(), most);
    assert!(answers.iter().all(|start| start.starts_with("481")));
    assert!(world.closed.is_empty(), "what was under way may come");
    let answers = ask(&mut world, 1, |_| true);
    assert_eq!(answers.len(), 1, "the last one is answered, too");
    assert_eq!(world.closed, [1]);
    let cause = LossCause::Protocol;
    let session = key(1);
    assert!(world.events.contains(&Event::Lost { session, cause }));
    world.receive(2, &send(2, "still222", "st22", "", b"here"));
    assert_eq!(world.frames(2)[0].start, "200 OK");
}

#[test]
fn requests_for_sessions_of_the_connection_make_up_for_others() {
    let mut world = World::conference(1);
    let count = 2 * usize::from(STRAYS_MAX);
    let answers = ask(&mut world, count, |i| i % 2 == 0);
    assert!(world.closed.is_empty());
    let good = answers.iter().filter(|start| *start == "200 OK").count();
    assert_eq!((good, answers.len()), (count / 2, count));
}

#[test]
fn a_session_that_ends_with_requests_under_way_costs_the_others_nothing() {
    let mut world = World::conference(1);
    world.install(3, common::config(3));
    world.receive(1, &send(3, "bindbind", "bb33", "", b"x"));
    world.order(Order::Remove { session: key(3) });
    world.frames(1);
    for i in 0..1_000 {
        world.receive(1, &send(3, &format!("late{i:05}"), "lt33", "", b"x"));
    }
    assert_eq!(world.frames(1).len(), 1_000);
    world.receive(1, &send(1, "mine1111", "mi11", "", b"here"));
    assert_eq!(world.frames(1)[0].start, "200 OK");
}
