//! Reliable provisional responses (RFC 3262).

use super::*;

fn invited(bench: &mut Bench) -> (DialogId, TxnId) {
    bench.receive(&SEED_INVITE.replace("Max-Forwards: 67", "Require: 100rel"));
    let Some(Event::Invite { dialog, txn, .. }) = bench.events.pop() else {
        panic!("no INVITE event: {:?}", bench.sent);
    };
    (dialog, txn)
}

fn reliable(code: u16) -> Answer {
    Answer::new(code)
        .with("Contact", "<sip:c@192.0.2.10>;isfocus")
        .with("Require", "100rel")
}

/// RSeq and To tag of the last message.
fn rseq(bench: &Bench) -> (u32, String) {
    let headers = response(bench.last()).headers;
    let rseq = headers.get("RSeq").expect("RSeq").parse();
    (rseq.expect("a number"), tag(bench.last()))
}

fn prack(tag: &str, cseq: u32, rack: &str) -> String {
    let contact = "Contact: <sip:user1@192.0.2.77:5070>\r\n";
    in_dialog("PRACK", tag, cseq).replace(contact, &format!("RAck: {rack}\r\n"))
}

/// Sends a PRACK and answers it if the application is to.
fn acknowledge(bench: &mut Bench, text: &str) {
    bench.receive(text);
    if let Some(Event::Request { txn, .. }) = bench.events.pop() {
        bench.respond(txn, Answer::new(200));
    }
}

#[test]
fn a_reliable_response_is_repeated_until_its_prack() {
    let mut bench = Bench::supporting(&["100rel"]);
    let (_, txn) = invited(&mut bench);
    bench.respond(txn, reliable(183));
    let (rseq, tag) = self::rseq(&bench);
    assert!((1..1 << 31).contains(&rseq));
    assert!(bench.last().contains("Record-Route: <sip:scscf1"));
    bench.take_sent();
    bench.pass(Duration::from_secs(10));
    let repeated = bench.take_sent();
    assert_eq!(repeated.len(), 4, "0.5 1.5 3.5 7.5: {repeated:?}");
    let wrong = [
        format!("{} 127 INVITE", rseq ^ 1),
        format!("{rseq} 126 INVITE"),
        format!("{rseq} 127 OPTIONS"),
        "nonsense".to_owned(),
    ];
    for (cseq, rack) in (128..).zip(&wrong) {
        acknowledge(&mut bench, &prack(&tag, cseq, rack));
        assert!(bench.take_sent()[0].starts_with("SIP/2.0 481"), "{rack}");
    }
    let good = prack(&tag, 132, &format!("{rseq}  127 INVITE"));
    acknowledge(&mut bench, &good);
    assert_eq!(bench.take_sent(), ["SIP/2.0 200 OK"]);
    bench.pass(Duration::from_secs(60));
    assert_eq!(bench.take_sent(), [""; 0]);
    bench.respond(txn, reliable(180));
    assert_eq!(self::rseq(&bench).0, rseq + 1);
}

#[test]
fn one_that_is_never_acknowledged_ends_the_invite() {
    let mut bench = Bench::supporting(&["100rel"]);
    let (dialog, txn) = invited(&mut bench);
    bench.respond(txn, reliable(183));
    bench.respond(txn, reliable(180));
    let sent = bench.take_sent();
    assert_eq!(sent.len(), 2, "one at a time: {sent:?}");
    bench.pass(Duration::from_secs(33));
    let sent = bench.take_sent();
    let is_504 = |line: &String| line == "SIP/2.0 504 Server Time-out";
    assert!(sent.iter().any(is_504), "{sent:?}");
    let is_initial = true;
    assert_eq!(bench.events, [Event::PrackTimeout { dialog, is_initial }]);
    bench.pass(Duration::from_secs(70));
    let left = (bench.agent.transaction_count(), bench.agent.dialog_count());
    assert_eq!(left, (0, 0));
}

#[test]
fn an_acceptance_waits_only_behind_a_session_description() {
    let mut bench = Bench::supporting(&["100rel"]);
    let (_, txn) = invited(&mut bench);
    bench.respond(txn, reliable(183));
    let (rseq, tag) = self::rseq(&bench);
    let ok = Answer::new(200).with("Contact", "<sip:c@192.0.2.10>");
    bench.respond(txn, ok.clone());
    assert!(bench.last().starts_with("SIP/2.0 200"));
    bench.take_sent();
    let late = prack(&tag, 128, &format!("{rseq} 127 INVITE"));
    acknowledge(&mut bench, &late);
    assert_eq!(
        bench.take_sent(),
        ["SIP/2.0 200 OK"],
        "its PRACK still comes"
    );

    let mut bench = Bench::supporting(&["100rel"]);
    let (_, txn) = invited(&mut bench);
    bench.respond(txn, reliable(183).with_body("application/sdp", "v=0\r\n"));
    let (rseq, tag) = self::rseq(&bench);
    bench.respond(txn, ok);
    assert!(bench.last().starts_with("SIP/2.0 183"));
    let good = prack(&tag, 128, &format!("{rseq} 127 INVITE"));
    bench.take_sent();
    acknowledge(&mut bench, &good);
    assert_eq!(bench.take_sent(), ["SIP/2.0 200 OK", "SIP/2.0 200 OK"]);
}

#[test]
fn a_cancel_ends_what_awaits_its_prack() {
    let mut bench = Bench::supporting(&["100rel"]);
    let (_, txn) = invited(&mut bench);
    bench.respond(txn, reliable(183).with_body("application/sdp", "v=0\r\n"));
    bench.respond(txn, Answer::new(200));
    let cancel = SEED_INVITE.replace("INVITE", "CANCEL");
    let cancel = cancel.replace("Content-Type: application/sdp\r\n", "");
    bench.take_sent();
    bench.receive(&cancel);
    let sent = bench.take_sent();
    assert_eq!(sent[1], "SIP/2.0 487 Request Terminated", "{sent:?}");
    bench.pass(Duration::from_secs(100));
    let left = (bench.agent.transaction_count(), bench.agent.dialog_count());
    assert_eq!(left, (0, 0));
}

fn progress(invite: &str, tag: &str, rseq: u32) -> String {
    let fields = format!("Require: 100rel\r\nRSeq: {rseq}\r\nContact:");
    answer_to(invite, "183 Session Progress", tag).replace("Contact:", &fields)
}

/// Request line, RAck and CSeq of the PRACKs sent since the last call.
fn pracks(bench: &mut Bench) -> Vec<(String, String)> {
    let all = bench.sent.drain(..).map(|(_, text)| request(&text));
    all.filter(|r| r.method == Method::Prack)
        .map(|r| {
            let field = |name| r.headers.get(name).unwrap_or("").to_owned();
            let tag = r.headers.to().and_then(|to| to.tag().map(str::to_owned));
            assert_eq!(r.uri.as_str(), "sip:room@192.0.2.99");
            assert_eq!(r.headers.all("Route").count(), 2, "{r:?}");
            (
                format!("{} {}", tag.unwrap_or_default(), field("RAck")),
                field("CSeq"),
            )
        })
        .collect()
}

#[test]
fn what_comes_reliably_is_acknowledged_and_told_once() {
    let mut bench = Bench::new();
    let dialog = call(&mut bench);
    let invite = bench.last().to_owned();
    let told = |bench: &mut Bench| bench.events.drain(..).count();
    bench.receive(&progress(&invite, "1", 7));
    let first = ("1 7 1 INVITE".to_owned(), "2 PRACK".to_owned());
    assert_eq!((pracks(&mut bench), told(&mut bench)), (vec![first], 1));
    // Again, out of order, and one of another branch.
    bench.receive(&progress(&invite, "1", 7));
    bench.receive(&progress(&invite, "1", 9));
    assert_eq!((pracks(&mut bench), told(&mut bench)), (vec![], 0));
    bench.receive(&progress(&invite, "2", 5));
    bench.receive(&progress(&invite, "1", 8));
    let expected = [("2 5 1 INVITE", "3 PRACK"), ("1 8 1 INVITE", "4 PRACK")];
    let expected = expected.map(|(one, two)| (one.to_owned(), two.to_owned()));
    assert_eq!(
        (pracks(&mut bench), told(&mut bench)),
        (expected.to_vec(), 2)
    );
    // Whichever branch accepts has the dialog.
    bench.receive(&answer_to(&invite, "200 OK", "2"));
    assert_eq!(told(&mut bench), 1);
    bench.agent.ack(dialog, &[], Vec::new());
    bench.drain();
    let ack = request(bench.last());
    assert_eq!(
        ack.headers.to().and_then(|t| t.tag().map(str::to_owned)),
        Some("2".into())
    );
    bench.pass(Duration::from_secs(100));
    assert_eq!(bench.agent.dialog_count(), 1);
}

#[test]
fn a_callee_may_change_its_mind_once_it_has_answered() {
    let mut bench = Bench::new();
    let _ = call(&mut bench);
    let invite = bench.last().to_owned();
    let from_callee = |method: &str, cseq: u32, body: &str| {
        let invite = request(&invite);
        let get = |name| invite.headers.get(name).unwrap_or("").to_owned();
        let kind = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\r\n"
        };
        format!(
            "{method} sip:alice@192.0.2.10 SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK-{method}{cseq}\r\n\
             From: {};tag=1\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:room@192.0.2.99>\r\n{kind}\r\n{body}",
            get("To"),
            get("From"),
            get("Call-ID"),
        )
    };
    let check = |bench: &mut Bench, text: &str, expected: &str| {
        bench.take_sent();
        bench.receive(text);
        if let Some(Event::Request { txn, .. }) = bench.events.pop() {
            bench.respond(txn, Answer::new(200));
        }
        assert_eq!(bench.take_sent(), [expected], "{text}");
    };
    let unknown = "SIP/2.0 481 Call/Transaction Does Not Exist";
    check(&mut bench, &from_callee("UPDATE", 1, ""), unknown);
    bench.receive(&progress(&invite, "1", 7));
    check(&mut bench, &from_callee("UPDATE", 2, ""), "SIP/2.0 200 OK");
    check(
        &mut bench,
        &from_callee("UPDATE", 3, "v=0\r\n"),
        "SIP/2.0 491 Request Pending",
    );
    check(&mut bench, &from_callee("BYE", 4, ""), unknown);
    let answered = progress(&invite, "1", 8).replace("\r\n\r\n", "\r\n\r\nv=0\r\n");
    bench.receive(&answered);
    bench.events.clear();
    check(
        &mut bench,
        &from_callee("UPDATE", 5, "v=0\r\n"),
        "SIP/2.0 200 OK",
    );
}
