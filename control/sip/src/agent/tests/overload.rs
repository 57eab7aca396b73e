//! More than the application can take.

use super::*;
use crate::limits::{ADMITTED_MAX, ADMITTED_OVERLOADED_MAX};

fn numbered(number: usize) -> String {
    SEED_INVITE
        .replace("z9hG4bK871y12.1", &format!("z9hG4bK{number}"))
        .replace("cb03a0s09a2sdfglkj490333", &format!("call{number}"))
}

// SIP-OPER-005
#[test]
fn new_dialogs_are_refused_while_too_many_wait_and_everything_else_is_served() {
    let mut bench = Bench::new();
    let (_, tag) = bench.join();
    bench.receive(&in_dialog("ACK", &tag, 127));
    for number in 0..ADMITTED_MAX {
        bench.receive(&numbered(number));
    }
    bench.take_sent();
    let waiting: Vec<_> = bench.events.drain(..).collect();
    let refused = numbered(ADMITTED_MAX);
    bench.receive(&refused);
    let answer = bench.last().to_owned();
    assert!(
        answer.starts_with("SIP/2.0 503 Service Unavailable\r\n"),
        "{answer}"
    );
    let seconds = answer
        .split("Retry-After: ")
        .nth(1)
        .and_then(|rest| rest.lines().next());
    let seconds: u32 = seconds.and_then(|s| s.parse().ok()).expect("a number");
    assert!((5..=10).contains(&seconds));
    bench.receive(
        &refused
            .replace("INVITE sip", "OPTIONS sip")
            .replace("127 INVITE", "127 OPTIONS"),
    );
    assert!(bench.last().starts_with("SIP/2.0 503 "), "{}", bench.last());
    assert_eq!(bench.agent.counts().shed, 2);
    assert_eq!(bench.events, []);
    // Of the dialog that is there, and of an INVITE that waits.
    bench.receive(&in_dialog("OPTIONS", &tag, 128));
    assert!(matches!(bench.events.pop(), Some(Event::Request { .. })));
    bench.receive(&in_dialog("BYE", &tag, 129));
    assert!(bench.last().starts_with("SIP/2.0 200 "), "{}", bench.last());
    let cancel = numbered(3)
        .replace("INVITE sip", "CANCEL sip")
        .replace("127 INVITE", "127 CANCEL");
    bench.take_sent();
    bench.receive(&cancel);
    assert_eq!(
        bench.take_sent(),
        ["SIP/2.0 200 OK", "SIP/2.0 487 Request Terminated"]
    );
    // That made room for one, and an answer makes room for another.
    bench.receive(&numbered(ADMITTED_MAX + 1));
    assert!(bench.last().starts_with("SIP/2.0 100 "), "{}", bench.last());
    bench.receive(&numbered(ADMITTED_MAX + 2));
    assert!(bench.last().starts_with("SIP/2.0 503 "), "{}", bench.last());
    let Some(Event::Invite { txn, .. }) = waiting.last() else {
        panic!("{waiting:?}");
    };
    bench.respond(*txn, Answer::new(486));
    bench.receive(&numbered(ADMITTED_MAX + 3));
    assert!(bench.last().starts_with("SIP/2.0 100 "), "{}", bench.last());
}

#[test]
fn a_core_that_does_not_keep_up_takes_few_new_dialogs() {
    let mut bench = Bench::new();
    bench.agent.set_overloaded(true);
    for number in 0..ADMITTED_OVERLOADED_MAX {
        bench.receive(&numbered(number));
        assert_eq!(bench.take_sent(), ["SIP/2.0 100 Trying"]);
    }
    let more = numbered(ADMITTED_OVERLOADED_MAX);
    bench.receive(&more);
    assert_eq!(bench.take_sent(), ["SIP/2.0 503 Service Unavailable"]);
    // Who is answered makes room.
    let Some(Event::Invite { txn, .. }) = bench.events.pop() else {
        panic!("no INVITE event");
    };
    bench.respond(txn, Answer::new(486));
    bench.take_sent();
    bench.receive(&more);
    assert_eq!(bench.take_sent(), ["SIP/2.0 100 Trying"]);
    bench.receive(&numbered(ADMITTED_OVERLOADED_MAX + 1));
    assert_eq!(bench.take_sent(), ["SIP/2.0 503 Service Unavailable"]);
    bench.agent.set_overloaded(false);
    bench.receive(&numbered(ADMITTED_OVERLOADED_MAX + 1));
    assert_eq!(bench.take_sent(), ["SIP/2.0 100 Trying"]);
}
