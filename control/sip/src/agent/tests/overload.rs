//! More than the application can take.

use super::*;
use crate::limits::{ADMITTED_MAX, WAIT_TARGET};

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

/// An agent whose messages all wait for long, and that has answered nothing: it lets ten dialogs a second in.
fn late() -> Bench {
    let mut bench = Bench::new();
    for _ in 0..3 {
        bench.agent.note_wait(bench.now, WAIT_TARGET * 2, 0);
        bench.now += Duration::from_millis(100);
    }
    assert_eq!(bench.agent.admission_limit(), Some(10.0));
    bench
}

#[test]
fn a_core_that_does_not_keep_up_lets_dialogs_in_at_a_limited_rate() {
    let mut bench = late();
    let mut check = |number, expected: &str| {
        bench.receive(&numbered(number));
        assert_eq!(bench.take_sent(), [expected]);
        bench.now += Duration::from_millis(55);
    };
    check(0, "SIP/2.0 100 Trying");
    check(1, "SIP/2.0 503 Service Unavailable");
    // The same one again, when there is credit.
    check(1, "SIP/2.0 100 Trying");
    check(2, "SIP/2.0 503 Service Unavailable");
    // Repetitions are answered by what was answered before.
    check(0, "SIP/2.0 100 Trying");
    assert_eq!(bench.agent.counts().shed, 2);
}

#[test]
fn who_may_go_first_is_not_refused_before_others() {
    #[track_caller]
    fn check(is_trusted: bool, field: &str, expected: &str) {
        let mut bench = late();
        bench.receive(&numbered(0));
        bench.take_sent();
        let urgent = numbered(1).replace("Max-Forwards", &format!("{field}\r\nMax-Forwards"));
        let flow = Flow {
            is_trusted,
            ..flow(Transport::Udp)
        };
        let parsed = parse_datagram(urgent.as_bytes());
        bench.agent.handle_received(bench.now, flow, parsed);
        bench.drain();
        assert_eq!(bench.take_sent(), [expected], "{field}");
    }
    let (taken, refused) = ("SIP/2.0 100 Trying", "SIP/2.0 503 Service Unavailable");
    check(true, "Resource-Priority: dsn.flash, ETS.0", taken);
    check(true, "Resource-Priority: esnet.0", taken);
    check(true, "Priority: emergency", taken);
    check(true, "Priority: urgent", refused);
    check(true, "Resource-Priority: q735.0", refused);
    check(false, "Resource-Priority: ets.0", refused);
    check(false, "Priority: emergency", refused);
}

#[test]
fn what_is_refused_is_not_read_as_a_whole_and_what_is_not_is_left_alone() {
    let mut bench = late();
    let (_, tag) = bench.join();
    bench.take_sent();
    let mut sheds = |text: &str, expected: bool| {
        let sent = bench.sent.len();
        let did = bench
            .agent
            .sheds(bench.now, flow(Transport::Udp), text.as_bytes());
        bench.drain();
        assert_eq!(did, expected, "{text}");
        bench.sent[sent..].first().map(|(_, text)| text.clone())
    };
    let refusal = sheds(&numbered(1), true).expect("a refusal");
    assert!(refusal.starts_with("SIP/2.0 503 "), "{refusal}");
    assert!(refusal.contains("\r\nRetry-After: "), "{refusal}");
    let (_, refused) = refusal
        .split_once("conference1@home2.net>;tag=")
        .expect("a tag");
    let refused = refused.lines().next().expect("a line");
    assert_eq!(sheds(&in_dialog("ACK", refused, 127), true), None);
    // Whose INVITE was taken sends it again, acknowledges the answer, leaves.
    assert_eq!(sheds(SEED_INVITE, false), None);
    for method in ["ACK", "BYE", "INVITE", "OPTIONS"] {
        assert_eq!(sheds(&in_dialog(method, &tag, 128), false), None);
    }
    let cancel = SEED_INVITE.replace("INVITE", "CANCEL");
    assert_eq!(sheds(&cancel, false), None);
    // Who may come in is read.
    bench.now += Duration::from_secs(1);
    let did = bench
        .agent
        .sheds(bench.now, flow(Transport::Udp), numbered(2).as_bytes());
    assert!(!did);
    assert_eq!(bench.agent.counts().shed, 1);
}
