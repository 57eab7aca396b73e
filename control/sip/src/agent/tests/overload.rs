//! More than the application can take.

use super::*;
use crate::limits::{ADMITTED_MAX, WAIT_TARGET, WATCH_TIME};

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

impl Bench {
    fn arrive(&mut self, flow: Flow, text: &str) {
        self.agent.arrive(self.now, flow, text.as_bytes(), 0);
        self.drain();
    }

    fn work(&mut self) {
        while self.agent.work(self.now) {
            self.drain();
        }
    }
}

/// An agent with a datagram, the INVITE with number 0, that has waited for too long.
fn late() -> Bench {
    let mut bench = Bench::new();
    bench.arrive(flow(Transport::Udp), &numbered(0));
    bench.now += WAIT_TARGET + Duration::from_millis(1);
    bench
}

#[test]
fn who_comes_while_others_wait_for_long_is_refused_at_once_and_again() {
    let mut bench = late();
    let udp = flow(Transport::Udp);
    bench.arrive(udp, &numbered(1));
    let refusal = bench.last().to_owned();
    assert!(
        refusal.starts_with("SIP/2.0 503 Service Unavailable\r\n"),
        "{refusal}"
    );
    assert!(refusal.contains("\r\nRetry-After: "), "{refusal}");
    // It is what the whole would have got.
    let Parsed::Request(whole) = parse_datagram(numbered(1).as_bytes()) else {
        panic!("no request");
    };
    bench
        .agent
        .reply_overload(udp, &whole.headers, Obstacle::Late);
    bench.drain();
    assert_eq!(bench.last(), refusal);
    // Who waits is not refused, and not asked to wait twice.
    bench.arrive(udp, &numbered(0));
    assert_eq!(bench.sent.len(), 2);
    assert_eq!(bench.agent.waiting_count(), 1);
    bench.work();
    assert_eq!(
        bench.take_sent().last().map(String::as_str),
        Some("SIP/2.0 100 Trying")
    );
    // Nobody waits any more; who was refused hears the same all the same, others are taken.
    bench.arrive(udp, &numbered(1));
    assert_eq!(bench.last(), refusal);
    bench.take_sent();
    bench.arrive(udp, &numbered(2));
    bench.arrive(udp, &numbered(0));
    bench.work();
    assert_eq!(
        bench.take_sent(),
        ["SIP/2.0 100 Trying", "SIP/2.0 100 Trying"]
    );
    let counts = bench.agent.counts();
    assert_eq!(
        (counts.shed, counts.shed_late, counts.shed_again),
        (3, 2, 1)
    );
    // Once it is over nothing is remembered.
    bench.now += WATCH_TIME;
    bench.arrive(udp, &numbered(1));
    bench.work();
    assert_eq!(bench.take_sent(), ["SIP/2.0 100 Trying"]);
}

#[test]
fn what_belongs_to_a_call_waits_its_turn_whatever_is_refused() {
    let mut bench = Bench::new();
    let (_, tag) = bench.join();
    bench.take_sent();
    let udp = flow(Transport::Udp);
    bench.arrive(udp, &numbered(0));
    bench.now += WAIT_TARGET * 2;
    bench.arrive(udp, &numbered(1));
    let refusal = bench.last().to_owned();
    let (_, refused) = refusal
        .split_once("conference1@home2.net>;tag=")
        .expect("a tag");
    let refused = refused.lines().next().expect("a line");
    let mut check = |text: &str, waits: usize| {
        let (waiting, sent) = (bench.agent.waiting_count(), bench.sent.len());
        bench.arrive(udp, text);
        assert_eq!(bench.agent.waiting_count() - waiting, waits, "{text}");
        assert_eq!(bench.sent.len(), sent, "{text}");
    };
    check(&in_dialog("ACK", refused, 127), 0);
    for (text, waits) in [
        (SEED_INVITE.to_owned(), 1),
        (SEED_INVITE.replace("INVITE", "CANCEL"), 1),
        (numbered(0).replace("INVITE", "CANCEL"), 1),
        (numbered(0), 0),
    ] {
        check(&text, waits);
    }
    for method in ["ACK", "BYE", "INVITE", "OPTIONS", "NOTIFY"] {
        check(&in_dialog(method, &tag, 128), 1);
    }
    check("SIP/2.0 200 OK\r\n\r\n", 1);
    assert_eq!(bench.agent.counts().shed, 1);
}

#[test]
fn what_cannot_be_judged_when_it_comes_is_judged_when_it_is_read() {
    let udp = flow(Transport::Udp);
    let mut bench = late();
    let folded = numbered(1).replace("Max-Forwards: 67", "Max-Forwards:\r\n 67");
    bench.arrive(udp, &folded);
    assert_eq!(bench.take_sent(), <[&str; 0]>::default());
    bench.work();
    let answers = bench.take_sent();
    assert_eq!(
        answers,
        ["SIP/2.0 100 Trying", "SIP/2.0 100 Trying"],
        "there is no wait any more"
    );
    bench = late();
    bench.arrive(udp, &folded);
    bench.now += WAIT_TARGET * 2;
    bench.work();
    let answers = bench.take_sent();
    assert_eq!(
        answers,
        ["SIP/2.0 100 Trying", "SIP/2.0 503 Service Unavailable"]
    );
}

#[test]
fn what_comes_in_a_stream_is_refused_when_it_has_waited_too_long() {
    let mut bench = Bench::new();
    let mut check = |number, waited, expected: &str| {
        let parsed = parse_datagram(numbered(number).as_bytes());
        let tcp = flow(Transport::Tcp);
        bench.agent.handle_waited(bench.now, tcp, parsed, waited);
        bench.drain();
        assert_eq!(bench.take_sent(), [expected]);
    };
    check(0, WAIT_TARGET, "SIP/2.0 100 Trying");
    check(1, WAIT_TARGET * 2, "SIP/2.0 503 Service Unavailable");
    check(0, WAIT_TARGET * 2, "SIP/2.0 100 Trying");
    check(1, Duration::ZERO, "SIP/2.0 100 Trying");
}

#[test]
fn who_may_go_first_is_not_refused_before_others() {
    #[track_caller]
    fn check(is_trusted: bool, field: &str, is_taken: bool) {
        let mut bench = late();
        let urgent = numbered(1).replace("Max-Forwards", &format!("{field}\r\nMax-Forwards"));
        let by = |transport| Flow {
            is_trusted,
            ..flow(transport)
        };
        bench.arrive(by(Transport::Udp), &urgent);
        assert_eq!(bench.agent.waiting_count() == 2, is_taken, "{field}");
        let parsed = parse_datagram(
            urgent
                .replace("z9hG4bK", "z9hG4bKt")
                .replace("call1", "call2")
                .as_bytes(),
        );
        let waited = WAIT_TARGET * 2;
        bench
            .agent
            .handle_waited(bench.now, by(Transport::Tcp), parsed, waited);
        bench.drain();
        assert_eq!(
            bench.last().starts_with("SIP/2.0 100 "),
            is_taken,
            "{field}"
        );
    }
    check(true, "Resource-Priority: dsn.flash, ETS.0", true);
    check(true, "Resource-Priority: esnet.0", true);
    check(true, "Priority: emergency", true);
    check(true, "Priority: urgent", false);
    check(true, "Resource-Priority: q735.0", false);
    check(false, "Resource-Priority: ets.0", false);
    check(false, "Priority: emergency", false);
}
