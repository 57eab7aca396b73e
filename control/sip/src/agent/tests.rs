#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test names the one outcome it wants"
)]

use super::*;

#[path = "tests/forks.rs"]
mod forks;
#[path = "tests/reliable.rs"]
mod reliable;

use crate::addr::SipAddr;
use crate::message::{Method, Request, Response};
use crate::parse::parse_datagram;
use clock::Duration;

const SEED_INVITE: &str = "INVITE sip:conference1@home2.net SIP/2.0\r\n\
    Via: SIP/2.0/UDP icscf2_s.home2.net;branch=z9hG4bK871y12.1, SIP/2.0/UDP scscf1.home1.net;branch=z9hG4bK332b23.1\r\n\
    Max-Forwards: 67\r\n\
    Record-Route: <sip:scscf1.home1.net;lr>, <sip:pcscf1.visited1.net;lr>\r\n\
    From: <sip:user1_public1@home1.net>; tag=171828\r\n\
    To: <sip:conference1@home2.net>\r\n\
    Call-ID: cb03a0s09a2sdfglkj490333\r\n\
    Cseq: 127 INVITE\r\n\
    Contact: <sip: user1_public1@home1.net;gr=urn:uuid:f81d4fae-7dec ;comp=sigcomp>\r\n\
    Content-Type: application/sdp\r\n\
    Content-Length: (…)\r\n\r\nv=0\r\n";

struct Bench {
    agent: Agent,
    now: Instant,
    sent: Vec<(Destination, String)>,
    events: Vec<Event>,
    /// What was looked up, and what is found.
    asked: Vec<Target>,
    hops: Vec<Hop>,
}

fn flow(transport: Transport) -> Flow {
    Flow {
        transport,
        channel: 7,
        local: "192.0.2.10:5060".parse().expect("addr"),
        is_trusted: false,
        remote: "192.0.2.1:5060".parse().expect("addr"),
    }
}

fn hop(addr: &str) -> Hop {
    Hop {
        addr: addr.parse().expect("an address"),
        name: None,
        near: "192.0.2.10:5060".parse().expect("addr"),
    }
}

impl Bench {
    fn new() -> Self {
        Self::supporting(&["timer"])
    }

    fn supporting(tags: &[&str]) -> Self {
        let agent = Agent::new(AgentConfig {
            locals: vec![SipAddr::udp("192.0.2.10:5060".parse().expect("addr"))],
            allow: vec![
                Method::Invite,
                Method::Ack,
                Method::Cancel,
                Method::Bye,
                Method::Prack,
                Method::Update,
                Method::Options,
            ],
            accept: vec!["application/sdp".into()],
            supported: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            users: None,
            credentials: Vec::new(),
            seed: [7; 32],
        });
        Self {
            agent,
            now: Instant::ZERO,
            sent: Vec::new(),
            events: Vec::new(),
            asked: Vec::new(),
            hops: vec![hop("udp:192.0.2.77:5060")],
        }
    }

    fn drain(&mut self) -> Option<Instant> {
        loop {
            match self.agent.poll() {
                Output::Wait(at) => return at,
                Output::Event(event) => self.events.push(event),
                Output::Resolve { txn, target } => {
                    self.asked.push(target);
                    let hops = self.hops.clone();
                    self.agent.handle_resolved(self.now, txn, hops);
                }
                Output::Transmit { to, bytes, .. } => {
                    self.sent
                        .push((to, String::from_utf8(bytes).expect("text")));
                }
            }
        }
    }

    fn receive(&mut self, text: &str) {
        self.receive_by(Transport::Udp, text);
    }

    fn receive_by(&mut self, transport: Transport, text: &str) {
        let parsed = parse_datagram(text.as_bytes());
        self.agent
            .handle_received(self.now, flow(transport), parsed);
        self.drain();
    }

    /// Lets time pass in the steps that the agent asks for.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.drain().filter(|at| *at <= end) {
            self.now = at;
            self.agent.handle_deadline(at);
        }
        self.now = end;
    }

    fn respond(&mut self, txn: TxnId, answer: Answer) {
        self.agent.respond(self.now, txn, &answer);
        self.drain();
    }

    /// Start lines of what was sent since the last call.
    fn take_sent(&mut self) -> Vec<String> {
        let sent = self.sent.drain(..);
        sent.map(|(_, text)| text.lines().next().unwrap_or("").to_owned())
            .collect()
    }

    fn last(&self) -> &str {
        &self.sent.last().expect("something was sent").1
    }

    fn join(&mut self) -> (DialogId, String) {
        self.receive(SEED_INVITE);
        let Some(Event::Invite { dialog, txn, .. }) = self.events.pop() else {
            panic!("no INVITE event");
        };
        let answer = Answer::new(200).with("Contact", "<sip:c@192.0.2.10>;isfocus");
        self.respond(txn, answer.with_body("application/sdp", "v=0\r\n"));
        (dialog, tag(self.last()))
    }
}

fn response(text: &str) -> Response {
    match parse_datagram(text.as_bytes()) {
        Parsed::Response(response) => response,
        other => panic!("{other:?}"),
    }
}

fn request(text: &str) -> Request {
    match parse_datagram(text.as_bytes()) {
        Parsed::Request(request) => request,
        other => panic!("{other:?}"),
    }
}

fn tag(text: &str) -> String {
    let to = response(text).headers.to().expect("To");
    to.tag().expect("tag").to_owned()
}

fn in_dialog(method: &str, tag: &str, cseq: u32) -> String {
    format!(
        "{method} sip:conference1@home2.net:2342 SIP/2.0\r\n\
         Via: SIP/2.0/UDP icscf2_s.home2.net;branch=z9hG4bK-{method}{cseq}\r\n\
         From: <sip:user1_public1@home1.net>;tag=171828\r\n\
         To: <sip:conference1@home2.net>;tag={tag}\r\n\
         Call-ID: cb03a0s09a2sdfglkj490333\r\nCSeq: {cseq} {method}\r\n\
         Contact: <sip:user1@192.0.2.77:5070>\r\n\r\n"
    )
}

/// `SEED_INVITE` with a piece replaced, sent to a fresh agent; the last status line.
#[track_caller]
fn check_invite(from: &str, to: &str, expected: &str, header: Option<&str>) {
    let mut bench = Bench::new();
    assert!(SEED_INVITE.contains(from), "{from}");
    bench.receive(&SEED_INVITE.replacen(from, to, 1));
    assert!(
        bench.last().starts_with(&format!("SIP/2.0 {expected}")),
        "{}",
        bench.last()
    );
    if let Some(header) = header {
        assert!(bench.last().contains(header), "{}", bench.last());
    }
}

// SIP-JOIN-018
#[test]
fn the_seeds_invite_is_answered_by_the_book() {
    let mut bench = Bench::new();
    bench.join();
    let trying = response(&bench.sent[0].1);
    assert_eq!(
        (trying.code, trying.headers.get("To")),
        (100, Some("<sip:conference1@home2.net>"))
    );
    let ok = response(bench.last());
    assert_eq!(
        ok.headers.get("Via"),
        Some(
            "SIP/2.0/UDP icscf2_s.home2.net;branch=z9hG4bK871y12.1;received=192.0.2.1, SIP/2.0/UDP scscf1.home1.net;branch=z9hG4bK332b23.1"
        )
    );
    assert_eq!(
        ok.headers.get("Record-Route"),
        Some("<sip:scscf1.home1.net;lr>, <sip:pcscf1.visited1.net;lr>")
    );
    assert_eq!(
        ok.headers.get("From"),
        Some("<sip:user1_public1@home1.net>; tag=171828")
    );
    assert_eq!(ok.headers.get("CSeq"), Some("127 INVITE"));
    let to = Destination::Flow {
        flow: flow(Transport::Udp),
        addr: "192.0.2.1:5060".parse().expect("addr"),
    };
    assert_eq!(bench.sent.last().map(|s| &s.0), Some(&to));
}

// SIP-JOIN-020
#[test]
fn what_cannot_be_served_is_refused_and_never_ignored() {
    check_invite("INVITE sip", "INVITE http", "416", None);
    check_invite("SIP/2.0\r\nVia", "SIP/3.0\r\nVia", "505", None);
    check_invite(
        "; tag=171828",
        "",
        "400 Bad Request - From Tag Missing",
        None,
    );
    check_invite("Cseq: 127 INVITE\r\n", "", "400", None);
    check_invite("127 INVITE", "127 BYE", "400", None);
    check_invite("Cseq: 127", "Call-ID: x\r\nCseq: 127", "400", None);
    check_invite("127 INVITE", "99999999999 INVITE", "400", None);
    check_invite("To: <sip:conference1@home2.net>", "To: <", "400", None);
    check_invite("Contact:", "X-Contact:", "400 Bad Request - Contact", None);
    check_invite("Max-Forwards: 67", "Require: timer", "100", None);
    check_invite(
        "Max-Forwards: 67",
        "Require: timer, 100rel",
        "420",
        Some("Unsupported: 100rel\r\n"),
    );
    check_invite(
        "application/sdp",
        "text/plain",
        "415",
        Some("Accept: application/sdp\r\n"),
    );
    check_invite("Content-Type: application/sdp\r\n", "", "415", None);
    check_invite(
        "Max-Forwards: 67",
        "Content-Encoding: gzip",
        "415",
        Some("Accept-Encoding: identity\r\n"),
    );
    check_invite(
        "<sip:conference1@home2.net>",
        "<sip:conference1@home2.net>;tag=x",
        "481",
        None,
    );
    check_invite("Content-Length: (…)", "Content-Length: 99", "400", None);
}

#[test]
fn blanks_folds_and_strange_names_are_no_reason_to_fail() {
    let mut bench = Bench::new();
    let text = "INVITE sip:odd!(user)&with?marks,/;x:pass$wo~d@home2.net SIP/2.0\r\n\
        v  :  SIP  / 2.0\r\n  / UDP  192.0.2.1 ;\r\n branch  =  z9hG4bK-odd , SIP / 2.0 / UDP b.example\r\n\
        FROM:\t\"Bell, \\\"A\\\\\" <sip:a@b> ;\r\n\ttag  = 9\r\n\
        tO : sip:odd@home2.net ;  param=1\r\n\
        i : odd-1\r\ncseq: 0009\r\n  INVITE\r\nUnknown-%~Field: \u{7}\r\n\
        m:\"Quoted string \\\"\\\"\" <sip:c@192.0.2.1> ; newparam = v ; q = 0.33\r\nl: 0\r\n\r\n";
    bench.receive(text);
    let Some(Event::Invite { txn, .. }) = bench.events.pop() else {
        panic!("no INVITE event: {:?}", bench.sent);
    };
    bench.respond(txn, Answer::new(486));
    assert!(bench.last().starts_with("SIP/2.0 486 Busy Here\r\n"));
    let to = response(bench.last()).headers.to().expect("To");
    assert_eq!(to.parameter("param"), Some("1"));
    bench.receive(&text.replace("INVITE", "!weird*Method+`.%'~"));
    assert!(bench.last().starts_with("SIP/2.0 501 "), "{}", bench.last());
}

// SIP-JOIN-020
#[test]
fn methods_outside_a_dialog() {
    let check = |method: &str, expected: &str, header: &str| {
        let mut bench = Bench::new();
        let text = in_dialog(method, "x", 1).replace(";tag=x", "");
        bench.receive(&text);
        assert!(
            bench.last().starts_with(&format!("SIP/2.0 {expected} ")),
            "{}",
            bench.last()
        );
        assert!(bench.last().contains(header), "{}", bench.last());
        let sent = bench.sent.len();
        bench.receive(&text);
        assert_eq!(bench.sent[sent].1, bench.sent[sent - 1].1, "repeated alike");
    };
    let allow = "Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, OPTIONS\r\n";
    check("BREW", "501", allow);
    check("MESSAGE", "405", allow);
    check("REGISTER", "405", allow);
    check("SUBSCRIBE", "405", allow);
    check("BYE", "481", "");
    check("UPDATE", "481", "");
    check("CANCEL", "481", "");
}

#[test]
fn an_ack_with_the_invites_branch_and_another_uri_is_matched_by_its_dialog() {
    let mut bench = Bench::new();
    let (dialog, tag) = bench.join();
    let ack = in_dialog("ACK", &tag, 127).replace("z9hG4bK-ACK127", "z9hG4bK871y12.1");
    bench.receive(&ack);
    assert_eq!(
        bench.events,
        [Event::Acked {
            dialog,
            body: vec![]
        }]
    );
    bench.take_sent();
    bench.pass(Duration::from_secs(100));
    assert_eq!(
        bench.take_sent(),
        Vec::<String>::new(),
        "no repetition after the ACK"
    );
    assert_eq!(
        (bench.agent.transaction_count(), bench.agent.dialog_count()),
        (0, 1)
    );
}

#[test]
fn a_200_is_repeated_until_its_ack_and_then_given_up_with_bye() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut bench = Bench::new();
        bench.receive_by(transport, SEED_INVITE);
        let Some(Event::Invite { dialog, txn, .. }) = bench.events.pop() else {
            panic!("no INVITE event");
        };
        bench.respond(txn, Answer::new(200));
        bench.take_sent();
        bench.pass(Duration::from_millis(31_900));
        // 0.5 1.5 3.5 7.5 11.5 15.5 19.5 23.5 27.5 31.5
        assert_eq!(bench.take_sent(), vec!["SIP/2.0 200 OK"; 10]);
        bench.pass(Duration::from_millis(200));
        assert_eq!(
            bench.take_sent(),
            ["BYE sip:user1_public1@home1.net;gr=urn:uuid:f81d4fae-7dec;comp=sigcomp SIP/2.0"]
        );
        assert_eq!(bench.events, [Event::AckTimeout { dialog }]);
        bench.pass(Duration::from_secs(40));
        assert_eq!(
            (bench.agent.transaction_count(), bench.agent.dialog_count()),
            (0, 0)
        );
        assert_eq!(bench.agent.timers.count(), 0);
    }
}

#[test]
fn a_refusal_is_repeated_over_udp_until_its_ack() {
    let mut bench = Bench::new();
    bench.receive(SEED_INVITE);
    let Some(Event::Invite { txn, .. }) = bench.events.pop() else {
        panic!("no INVITE event");
    };
    bench.respond(txn, Answer::new(404));
    let tag = tag(bench.last());
    bench.take_sent();
    bench.pass(Duration::from_secs(2));
    assert_eq!(bench.take_sent(), ["SIP/2.0 404 Not Found"; 2]);
    bench.receive(&in_dialog("ACK", &tag, 127).replace("z9hG4bK-ACK127", "z9hG4bK871y12.1"));
    bench.pass(Duration::from_secs(40));
    assert_eq!(bench.take_sent(), Vec::<String>::new());
    assert_eq!(
        (bench.agent.transaction_count(), bench.agent.dialog_count()),
        (0, 0)
    );
}

#[test]
fn bye_in_a_dialog_by_the_book() {
    let mut bench = Bench::new();
    let (dialog, tag) = bench.join();
    bench.receive(&in_dialog("ACK", &tag, 127));
    bench.receive(&in_dialog("BYE", &tag, 126));
    assert!(
        bench.last().starts_with("SIP/2.0 500 "),
        "an old CSeq: {}",
        bench.last()
    );
    bench.receive(&in_dialog("BYE", &tag, 130).replace("171828", "999"));
    assert!(
        bench.last().starts_with("SIP/2.0 481 "),
        "another From tag: {}",
        bench.last()
    );
    bench.receive(&in_dialog("BYE", &tag, 131));
    assert!(
        bench.last().starts_with("SIP/2.0 200 "),
        "a CSeq may jump: {}",
        bench.last()
    );
    assert!(matches!(bench.events.last(), Some(Event::Bye { dialog: d, .. }) if *d == dialog));
    bench.receive(&in_dialog("BYE", &tag, 132));
    assert!(bench.last().starts_with("SIP/2.0 481 "), "{}", bench.last());
}

#[test]
fn cancel_before_the_final_response() {
    let mut bench = Bench::new();
    bench.receive(SEED_INVITE);
    let Some(Event::Invite { dialog, txn, .. }) = bench.events.pop() else {
        panic!("no INVITE event");
    };
    bench.take_sent();
    let cancel = SEED_INVITE
        .replacen("INVITE", "CANCEL", 1)
        .replace("127 INVITE", "127 CANCEL");
    bench.receive(&cancel);
    assert_eq!(
        bench.take_sent(),
        ["SIP/2.0 200 OK", "SIP/2.0 487 Request Terminated"]
    );
    assert_eq!(
        bench.events,
        [Event::Cancelled {
            dialog,
            is_initial: true
        }]
    );
    bench.respond(txn, Answer::new(200));
    assert_eq!(
        bench.take_sent(),
        Vec::<String>::new(),
        "the late 200 is not sent"
    );
}

#[test]
fn cancel_after_the_final_response_changes_nothing() {
    let mut bench = Bench::new();
    bench.join();
    bench.take_sent();
    let cancel = SEED_INVITE
        .replacen("INVITE", "CANCEL", 1)
        .replace("127 INVITE", "127 CANCEL");
    bench.receive(&cancel);
    assert_eq!(bench.take_sent(), ["SIP/2.0 200 OK"]);
    assert_eq!(bench.events, []);
}

// SIP-JOIN-019
#[test]
fn the_same_request_by_two_ways_is_merged_once() {
    let mut bench = Bench::new();
    bench.receive(SEED_INVITE);
    bench.receive(&SEED_INVITE.replace("871y12.1", "871y12.2"));
    assert!(bench.last().starts_with("SIP/2.0 482 "), "{}", bench.last());
    assert_eq!(bench.events.len(), 1);
    bench.receive(SEED_INVITE);
    assert!(
        bench.last().starts_with("SIP/2.0 100 "),
        "a repetition gets what was said last"
    );
}

#[test]
fn our_bye_goes_by_the_route_set_to_the_octets_of_the_contact() {
    let mut bench = Bench::new();
    bench.receive(&SEED_INVITE.replace("sip: user1_public1@home1.net", "sip:%2B1555@home1.net"));
    let Some(Event::Invite { dialog, txn, .. }) = bench.events.pop() else {
        panic!("no INVITE event");
    };
    bench.respond(txn, Answer::new(200));
    let tag = tag(bench.last());
    let now = bench.now;
    bench.agent.bye(now, dialog, Vec::new());
    bench.drain();
    assert!(
        bench.last().starts_with("SIP/2.0 200"),
        "a callee's BYE waits for the ACK"
    );
    bench.receive(&in_dialog("ACK", &tag, 127));
    let bye = request(bench.last());
    assert_eq!(
        bye.uri.as_str(),
        "sip:%2B1555@home1.net;gr=urn:uuid:f81d4fae-7dec;comp=sigcomp"
    );
    let routes: Vec<_> = bye.headers.all("Route").collect();
    assert_eq!(
        routes,
        ["<sip:scscf1.home1.net;lr>", "<sip:pcscf1.visited1.net;lr>"]
    );
    assert_eq!(
        bye.headers.get("To"),
        Some("<sip:user1_public1@home1.net>; tag=171828")
    );
    assert_eq!(
        bye.headers.from().and_then(|f| f.tag().map(str::to_owned)),
        Some(tag)
    );
    let to = Destination::Hop {
        hop: hop("udp:192.0.2.77:5060"),
        reuse: Some(flow(Transport::Udp)),
    };
    assert_eq!(bench.sent.last().map(|s| &s.0), Some(&to));
    assert_eq!(bench.asked[0].host, "scscf1.home1.net");
}

// SIP-END-008
#[test]
fn byes_may_cross() {
    let mut bench = Bench::new();
    let (dialog, tag) = bench.join();
    bench.receive(&in_dialog("ACK", &tag, 127));
    let now = bench.now;
    bench.agent.bye(now, dialog, Vec::new());
    bench.drain();
    bench.receive(&in_dialog("BYE", &tag, 128));
    assert!(bench.last().starts_with("SIP/2.0 200 "), "{}", bench.last());
    bench.pass(Duration::from_secs(40));
    let last = bench.events.last();
    assert!(
        matches!(last, Some(Event::Response { response, is_synthetic: true, .. }) if response.code == 408),
        "{last:?}"
    );
    assert_eq!(bench.agent.dialog_count(), 0);
}

#[test]
fn overlapping_offers_are_put_off() {
    let mut bench = Bench::new();
    let (_, tag) = bench.join();
    bench.receive(&in_dialog("INVITE", &tag, 128));
    assert!(
        bench.last().starts_with("SIP/2.0 500 "),
        "the first 200 is not acknowledged"
    );
    bench.receive(&in_dialog("ACK", &tag, 127));
    bench.receive(&in_dialog("INVITE", &tag, 129));
    let Some(Event::Request {
        txn,
        dialog: Some(_),
        ..
    }) = bench.events.pop()
    else {
        panic!("no re-INVITE event");
    };
    let update = in_dialog("UPDATE", &tag, 130);
    let update = update.replace(
        "\r\n\r\n",
        "\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n",
    );
    bench.receive(&update);
    assert!(bench.last().starts_with("SIP/2.0 500 "), "{}", bench.last());
    assert!(bench.last().contains("Retry-After: "), "{}", bench.last());
    bench.receive(&in_dialog("BYE", &tag, 131));
    let sent = bench.take_sent();
    assert_eq!(
        sent[sent.len() - 2..],
        ["SIP/2.0 200 OK", "SIP/2.0 487 Request Terminated"]
    );
    bench.respond(txn, Answer::new(200));
    assert_eq!(bench.take_sent(), Vec::<String>::new());
}

fn call(bench: &mut Bench) -> DialogId {
    let invite = Invite {
        uri: "sip:room@example.net".into(),
        hops: vec![hop("udp:192.0.2.1:5060")],
        is_proxy: true,
        from: "sip:alice@example.org".into(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    let now = bench.now;
    let dialog = bench.agent.invite(now, invite).expect("uris");
    bench.drain();
    dialog
}

fn answer_to(invite: &str, status: &str, tag: &str) -> String {
    let request = request(invite);
    let get = |name| request.headers.get(name).unwrap_or("");
    format!(
        "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {};tag={tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
         Record-Route: <sip:p1;lr>, <sip:p2;lr>\r\nContact: <sip:room@192.0.2.99>;isfocus\r\n\r\n",
        get("Via"),
        get("From"),
        get("To"),
        get("Call-ID"),
        get("CSeq"),
    )
}

// SIP-CALL-014
#[test]
fn a_call_is_acknowledged_by_the_reversed_route_and_with_a_new_branch() {
    let mut bench = Bench::new();
    let dialog = call(&mut bench);
    let invite = bench.last().to_owned();
    bench.receive(&answer_to(&invite, "200 OK", "1"));
    bench.agent.ack(dialog, &[], Vec::new());
    bench.drain();
    let ack = request(bench.last());
    assert_eq!(ack.uri.as_str(), "sip:room@192.0.2.99");
    let routes: Vec<_> = ack.headers.all("Route").collect();
    assert_eq!(routes, ["<sip:p2;lr>", "<sip:p1;lr>"]);
    assert_ne!(ack.headers.get("Via"), request(&invite).headers.get("Via"));
    assert_eq!(ack.headers.cseq(), Some((1, Method::Ack)));
    bench.take_sent();
    bench.receive(&answer_to(&invite, "200 OK", "1"));
    assert_eq!(bench.take_sent().len(), 1, "the ACK again");
    bench.receive(&answer_to(&invite, "200 OK", "2"));
    let sent = bench.take_sent();
    assert!(
        sent[0].starts_with("ACK ") && sent[1].starts_with("BYE "),
        "{sent:?}"
    );
}

#[test]
fn a_call_repeats_its_invite_and_gives_up() {
    let mut bench = Bench::new();
    let dialog = call(&mut bench);
    bench.pass(Duration::from_secs(40));
    assert_eq!(
        bench.take_sent().len(),
        7,
        "timer A: 0 0.5 1.5 3.5 7.5 15.5 31.5"
    );
    assert!(
        matches!(bench.events.last(), Some(Event::Response { dialog: d, response, is_synthetic: true, .. })
            if *d == dialog && response.code == 408)
    );
    assert_eq!(
        (bench.agent.transaction_count(), bench.agent.dialog_count()),
        (0, 0)
    );
}

#[test]
fn a_cancel_waits_for_the_first_response() {
    let mut bench = Bench::new();
    let dialog = call(&mut bench);
    let invite = bench.last().to_owned();
    let now = bench.now;
    bench.agent.cancel(now, dialog);
    bench.drain();
    assert_eq!(bench.take_sent().len(), 1, "only the INVITE");
    bench.receive(&answer_to(&invite, "100 (Trying) response", "1"));
    assert!(bench.take_sent()[0].starts_with("CANCEL sip:room@example.net "));
    bench.receive(&answer_to(&invite, "487 Request Terminated", "1"));
    assert!(bench.take_sent()[0].starts_with("ACK sip:room@example.net "));
    bench.pass(Duration::from_secs(40));
    assert_eq!(
        (bench.agent.transaction_count(), bench.agent.dialog_count()),
        (0, 0)
    );
}

#[path = "tests/given_up.rs"]
mod given_up;

#[path = "tests/overtaken.rs"]
mod overtaken;

#[path = "tests/failover.rs"]
mod failover;

#[path = "tests/overload.rs"]
mod overload;

#[path = "tests/digest.rs"]
mod digest;

#[path = "tests/torture.rs"]
mod torture;

#[path = "tests/ipv6.rs"]
mod ipv6;
