//! The list of a sender's message serves its next ones until something changes who gets them.

mod common;

use common::{World, chunk, config, key, send};
use switch::{ContextKey, Order, SessionConfig, SlowPolicy};

/// Somebody speaks before and after a change; who gets the first message and who the second.
#[track_caller]
fn check(name: &str, before: &[u32], change: impl FnOnce(&mut World), after: &[u32]) {
    let mut world = World::conference(4);
    assert_eq!(heard(&mut world, "first"), before, "{name}");
    assert_eq!(heard(&mut world, "again"), before, "{name}");
    change(&mut world);
    assert_eq!(heard(&mut world, "next"), after, "{name}");
    assert_eq!(heard(&mut world, "last"), after, "{name}");
}

/// Participant 1 says something; who gets it.
fn heard(world: &mut World, id: &str) -> Vec<u32> {
    let extra = "Failure-Report: no\r\n";
    world.receive(1, &send(1, &format!("{id}1111"), id, extra, b"x"));
    let is_told = |n: &u32| world.sent.contains_key(n) && !world.frames(*n).is_empty();
    (2..=5).filter(is_told).collect()
}

fn update(world: &mut World, n: u32, change: impl FnOnce(&mut SessionConfig)) {
    let mut config = config(n);
    change(&mut config);
    world.order(Order::Update {
        session: key(n),
        config: Box::new(config),
    });
}

#[test]
fn whatever_changes_who_hears_whom_holds_for_the_next_message() {
    let all = [2, 3, 4];
    let flow = |world: &mut World, open| {
        world.order(Order::Flow {
            from: key(1),
            to: key(3),
            open,
        });
    };
    check("nothing changes", &all, |_| (), &all);
    check("the topology", &all, |world| flow(world, false), &[2, 4]);
    check(
        "a mode",
        &all,
        |w| update(w, 2, |c| c.sends = false),
        &[3, 4],
    );
    let types = |c: &mut SessionConfig| c.terms_mut().send_types = vec!["image/png".into()];
    check("types taken", &all, |w| update(w, 4, types), &[2, 3]);
    let come = |world: &mut World| {
        world.install(5, config(5));
        world.join(5);
    };
    check("one joins", &all, come, &[2, 3, 4, 5]);
    check("a connection ends", &all, |world| world.close(3), &[2, 4]);
    let leave = |world: &mut World| {
        world.order(Order::Remove { session: key(2) });
    };
    check("one leaves", &all, leave, &[3, 4]);
    let go = |world: &mut World| {
        let (session, context) = (key(4), ContextKey(9));
        world.order(Order::Move { session, context });
    };
    check("one goes to another context", &all, go, &[2, 3]);
    let drop = |c: &mut SessionConfig| c.terms_mut().slow = SlowPolicy::Drop;
    check("nobody waits for one", &all, |w| update(w, 2, drop), &all);
    // Back again.
    let again = |world: &mut World| {
        flow(world, false);
        flow(world, true);
    };
    check("the topology, twice", &all, again, &all);
}

#[test]
fn what_a_sender_may_send_no_more_is_refused_though_it_was_taken_before() {
    let mut world = World::conference(2);
    world.receive(1, &send(1, "before11", "first", "", b"x"));
    assert!(world.take(1).starts_with("MSRP before11 200 "));
    update(&mut world, 1, |c| {
        c.terms_mut().accept_types = vec!["image/png".into()];
    });
    world.receive(1, &send(1, "after111", "second", "", b"x"));
    assert!(world.take(1).starts_with("MSRP after111 415 "));
}

#[test]
fn a_wrapped_message_is_addressed_though_a_part_of_another_one_was_not() {
    let mut world = World::conference(3);
    update(&mut world, 2, |c| {
        c.terms_mut().send_types = vec!["message/cpim".into()];
        c.terms_mut().send_wrapped_types = vec!["image/png".into()];
    });
    let cpim = |octets: Vec<u8>| {
        let text = String::from_utf8(octets).expect("text");
        text.replacen("text/plain", "message/cpim", 1).into_bytes()
    };
    // Its beginning never comes: nobody knows what is wrapped.
    let extra = "Failure-Report: no\r\n";
    let rest = chunk(1, "wrapped1", "rest", "11-20/20", extra, b"0123456789", '$');
    world.receive(1, &cpim(rest));
    let body = b"From: <a:b>\r\nTo: <c:d>\r\n\r\nContent-Type: text/plain\r\n\r\nx";
    world.frames(2);
    world.receive(1, &cpim(send(1, "wrapped2", "whole", extra, body)));
    assert!(world.frames(2).is_empty());
    assert!(!world.frames(3).is_empty());
}
