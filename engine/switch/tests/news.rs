//! What is told of single messages to who asks.

mod common;

use std::sync::Arc;

use common::{World, chunk, config, key, send};
use switch::{Event, MessageOutcome, Order, SessionConfig};

/// Three participants; the configuration of one is changed.
fn conference(n: u32, change: impl FnOnce(&mut SessionConfig)) -> World {
    let mut world = World::conference(3);
    let mut config = Box::new(config(n));
    change(&mut config);
    let session = key(n);
    world.order(Order::Update { session, config });
    world
}

fn script(text: &str) -> Option<Arc<sieve::Script>> {
    Some(Arc::new(sieve::Script::parse(text).expect("a script")))
}

/// What was told of: termination, Message-ID, whether it came from there, what became of it.
fn told(world: &mut World) -> Vec<(u32, String, bool, MessageOutcome)> {
    let events = core::mem::take(&mut world.events);
    let news = events.into_iter().filter_map(|event| {
        let Event::Message(news) = event else {
            return None;
        };
        let message_id = String::from_utf8(news.message_id.to_vec()).expect("text");
        let termination = news.session.termination;
        Some((termination, message_id, news.is_incoming, news.outcome))
    });
    news.collect()
}

#[test]
fn a_message_that_passed_is_told_of_once_on_each_side_that_asks() {
    let mut world = conference(1, |c| c.terms_mut().tells_messages = true);
    world.receive(1, &chunk(1, "aaaa1", "mmmm1", "1-3/6", "", b"abc", '+'));
    assert_eq!(told(&mut world), [], "not before its end");
    world.receive(1, &chunk(1, "aaaa2", "mmmm1", "4-6/6", "", b"def", '$'));
    let passed = MessageOutcome::Passed { octets: 6 };
    assert_eq!(told(&mut world), [(1, "mmmm1".to_owned(), true, passed)]);
    world.receive(2, &send(2, "aaaa3", "mmmm2", "", b"1234"));
    let passed = MessageOutcome::Passed { octets: 4 };
    assert_eq!(told(&mut world), [(1, "mmmm2".to_owned(), false, passed)]);
    world.receive(2, &chunk(2, "aaaa4", "mmmm3", "1-3/6", "", b"abc", '#'));
    assert_eq!(told(&mut world), [], "one that was given up has not passed");
}

#[test]
fn what_a_filter_stops_is_told_of() {
    let reject = "require 'reject'; reject 'no';";
    for (verdict, outcome) in [
        ("discard;", MessageOutcome::Discarded),
        (reject, MessageOutcome::Rejected),
        ("keep;", MessageOutcome::Passed { octets: 1 }),
    ] {
        for is_incoming in [true, false] {
            let mut world = conference(1, |c| {
                c.terms_mut().tells_filtered = true;
                c.terms_mut().tells_messages = verdict == "keep;";
                if is_incoming {
                    c.terms_mut().filter_in = script(verdict);
                } else {
                    c.terms_mut().filter_out = script(verdict);
                }
            });
            let sender = if is_incoming { 1 } else { 2 };
            world.receive(sender, &send(sender, "aaaa1", "mmmm1", "", b"x"));
            let expected = (1, "mmmm1".to_owned(), is_incoming, outcome);
            assert_eq!(told(&mut world), [expected], "{verdict} {is_incoming}");
        }
    }
}

#[test]
fn what_a_filter_cannot_judge_is_told_of() {
    for is_incoming in [true, false] {
        let mut world = conference(1, |c| {
            c.terms_mut().tells_filtered = true;
            if is_incoming {
                c.terms_mut().filter_in = script("discard;");
            } else {
                c.terms_mut().filter_out = script("discard;");
            }
        });
        let sender = if is_incoming { 1 } else { 2 };
        let tail = chunk(sender, "aaaa1", "mmmm1", "4-6/6", "", b"def", '$');
        world.receive(sender, &tail);
        let expected = (1, "mmmm1".to_owned(), is_incoming, MessageOutcome::Unjudged);
        assert_eq!(told(&mut world), [expected], "{is_incoming}");
    }
}

#[test]
fn nobody_is_told_who_did_not_ask() {
    let mut world = conference(1, |c| c.terms_mut().filter_in = script("discard;"));
    world.receive(1, &send(1, "aaaa1", "mmmm1", "", b"x"));
    world.receive(2, &send(2, "aaaa2", "mmmm2", "", b"x"));
    assert_eq!(told(&mut world), []);
}
