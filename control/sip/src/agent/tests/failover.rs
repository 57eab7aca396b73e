//! Requests that find their way: the next hop, TCP for large ones, the flow of the peer.

use super::*;

fn start(bench: &mut Bench, hops: &[&str], body: &str) -> DialogId {
    let invite = Invite {
        uri: "sip:room@example.net".into(),
        hops: hops.iter().map(|h| hop(h)).collect(),
        is_proxy: false,
        from: "sip:alice@example.org".into(),
        headers: Vec::new(),
        body: body.as_bytes().to_vec(),
    };
    let dialog = bench.agent.invite(bench.now, invite).expect("uris");
    bench.drain();
    dialog
}

/// Where everything sent since the last call went, with its method or code.
fn sent(bench: &mut Bench) -> Vec<String> {
    let word = |text: &str| {
        let mut words = text.split(' ');
        let first = words.next().unwrap_or_default();
        if first == "SIP/2.0" {
            words.next().unwrap_or_default().to_owned()
        } else {
            first.to_owned()
        }
    };
    let place = |to: Destination| match to {
        Destination::Hop { hop, .. } => hop.addr.to_string(),
        Destination::Flow { flow, addr } => format!("flow {}:{addr}", flow.transport),
    };
    let all = bench.sent.drain(..);
    all.map(|(to, text)| format!("{} {}", word(&text), place(to)))
        .collect()
}

/// The transaction that was begun last.
fn fail_last(bench: &mut Bench) {
    let txn = *bench.agent.clients.keys().max().expect("a transaction");
    bench.agent.handle_send_failed(bench.now, txn);
    bench.drain();
}

#[test]
fn a_hop_that_cannot_be_reached_gives_way_to_the_next() {
    let mut bench = Bench::new();
    let dialog = start(
        &mut bench,
        &["tcp:192.0.2.1:5060", "tls:192.0.2.2:5061"],
        "",
    );
    let first = bench.last().to_owned();
    assert_eq!(sent(&mut bench), ["INVITE tcp:192.0.2.1:5060"]);
    fail_last(&mut bench);
    let second = bench.last().to_owned();
    assert_eq!(sent(&mut bench), ["INVITE tls:192.0.2.2:5061"]);
    let (first, second) = (request(&first), request(&second));
    assert_ne!(first.headers.get("Via"), second.headers.get("Via"));
    assert!(
        second
            .headers
            .get("Via")
            .expect("Via")
            .starts_with("SIP/2.0/TLS ")
    );
    assert_eq!(first.headers.get("CSeq"), second.headers.get("CSeq"));
    assert_eq!(first.headers.get("From"), second.headers.get("From"));
    fail_last(&mut bench);
    assert!(
        matches!(bench.events.last(), Some(Event::Response { dialog: d, response, is_synthetic: true, .. })
            if *d == dialog && response.code == 503)
    );
    assert_eq!(
        (bench.agent.transaction_count(), bench.agent.dialog_count()),
        (0, 0)
    );
}

#[test]
fn a_silent_hop_gives_way_after_its_time() {
    let mut bench = Bench::new();
    start(
        &mut bench,
        &["udp:192.0.2.1:5060", "udp:192.0.2.2:5060"],
        "",
    );
    bench.pass(Duration::from_secs(33));
    let all = sent(&mut bench);
    let (to_first, to_second) = all.split_at(7);
    assert!(
        to_first.iter().all(|s| s == "INVITE udp:192.0.2.1:5060"),
        "{all:?}"
    );
    assert!(!to_second.is_empty() && to_second.iter().all(|s| s == "INVITE udp:192.0.2.2:5060"));
    assert_eq!(bench.events, []);
    bench.pass(Duration::from_secs(32));
    assert!(
        matches!(bench.events.last(), Some(Event::Response { response, is_synthetic: true, .. })
            if response.code == 408)
    );
}

#[test]
fn a_busy_hop_gives_way_and_is_still_acknowledged() {
    let mut bench = Bench::new();
    let dialog = start(
        &mut bench,
        &["udp:192.0.2.1:5060", "udp:192.0.2.2:5060"],
        "",
    );
    let busy = answer_to(bench.last(), "503 Service Unavailable", "1");
    sent(&mut bench);
    bench.receive(&busy);
    let invite = bench.last().to_owned();
    assert_eq!(
        sent(&mut bench),
        ["ACK udp:192.0.2.1:5060", "INVITE udp:192.0.2.2:5060"]
    );
    bench.receive(&busy);
    assert_eq!(sent(&mut bench), ["ACK udp:192.0.2.1:5060"], "repeated");
    assert_eq!(bench.events, []);
    bench.receive(&answer_to(&invite, "200 OK", "2"));
    assert!(
        matches!(bench.events.last(), Some(Event::Response { dialog: d, response, .. })
        if *d == dialog && response.code == 200)
    );
    bench.pass(Duration::from_secs(40));
    assert_eq!(bench.agent.transaction_count(), 0);
}

#[test]
fn the_last_hop_may_say_that_it_is_busy() {
    let mut bench = Bench::new();
    start(&mut bench, &["udp:192.0.2.1:5060"], "");
    let busy = answer_to(bench.last(), "503 Service Unavailable", "1");
    bench.receive(&busy);
    assert!(
        matches!(bench.events.last(), Some(Event::Response { response, is_synthetic: false, .. })
        if response.code == 503)
    );
}

#[test]
fn what_is_too_large_for_a_datagram_goes_by_tcp_where_somebody_listens() {
    let mut bench = Bench::new();
    let body = "x".repeat(1_300);
    start(&mut bench, &["udp:192.0.2.1:5060"], &body);
    assert!(
        bench.last().contains("\r\nVia: SIP/2.0/TCP "),
        "{}",
        bench.last()
    );
    assert_eq!(sent(&mut bench), ["INVITE tcp:192.0.2.1:5060"]);
    fail_last(&mut bench);
    assert!(
        bench.last().contains("\r\nVia: SIP/2.0/UDP "),
        "{}",
        bench.last()
    );
    let busy = answer_to(bench.last(), "486 Busy Here", "1");
    assert_eq!(sent(&mut bench), ["INVITE udp:192.0.2.1:5060"]);
    bench.receive(&busy);
    assert_eq!(sent(&mut bench), ["ACK udp:192.0.2.1:5060"]);

    let mut bench = Bench::new();
    start(&mut bench, &["udp:192.0.2.1:5060"], &body[..600]);
    assert_eq!(sent(&mut bench), ["INVITE udp:192.0.2.1:5060"]);

    // What no datagram holds is told as that.
    let mut bench = Bench::new();
    start(&mut bench, &["udp:192.0.2.1:5060"], &"x".repeat(65_507));
    assert_eq!(sent(&mut bench), ["INVITE tcp:192.0.2.1:5060"]);
    fail_last(&mut bench);
    assert_eq!(sent(&mut bench), Vec::<String>::new());
    assert!(
        matches!(bench.events.last(), Some(Event::Response { response, is_synthetic: true, .. })
        if response.code == 513)
    );

    // Whoever is busy by TCP is not asked again by UDP.
    let mut bench = Bench::new();
    start(&mut bench, &["udp:192.0.2.1:5060"], &body);
    let busy = answer_to(bench.last(), "503 Service Unavailable", "1");
    sent(&mut bench);
    bench.receive(&busy);
    assert_eq!(sent(&mut bench), ["ACK tcp:192.0.2.1:5060"]);
    assert_eq!(bench.events.len(), 1);
}

#[test]
fn what_came_by_tcp_and_was_not_answered_does_not_come_by_udp_too() {
    let mut bench = Bench::new();
    start(&mut bench, &["udp:192.0.2.1:5060"], &"x".repeat(1_300));
    assert_eq!(sent(&mut bench), ["INVITE tcp:192.0.2.1:5060"]);
    bench.pass(Duration::from_secs(33));
    assert_eq!(sent(&mut bench), Vec::<String>::new());
    assert!(
        matches!(bench.events.last(), Some(Event::Response { response, is_synthetic: true, .. })
        if response.code == 408)
    );
}

#[test]
fn a_call_given_up_while_its_hop_fails_is_over() {
    let mut bench = Bench::new();
    let dialog = start(
        &mut bench,
        &["tcp:192.0.2.1:5060", "tcp:192.0.2.2:5060"],
        "",
    );
    bench.agent.cancel(bench.now, dialog);
    sent(&mut bench);
    fail_last(&mut bench);
    assert_eq!(sent(&mut bench), Vec::<String>::new());
    assert!(
        matches!(bench.events.last(), Some(Event::Response { response, is_synthetic: true, .. })
        if response.code == 487)
    );
}

#[test]
fn a_dialog_looks_its_next_hop_up_once() {
    let mut bench = Bench::new();
    let (dialog, tag) = bench.join();
    bench.receive(&in_dialog("ACK", &tag, 127));
    bench.hops = vec![hop("tcp:192.0.2.50:5060"), hop("tcp:192.0.2.51:5060")];
    let now = bench.now;
    bench
        .agent
        .request(now, dialog, Method::Options, Vec::new(), Vec::new());
    bench.drain();
    sent(&mut bench);
    fail_last(&mut bench);
    let options = bench.last().to_owned();
    assert_eq!(sent(&mut bench), ["OPTIONS tcp:192.0.2.51:5060"]);
    bench.receive(&answer_to(&options, "200 OK", "1"));
    bench.agent.bye(now, dialog, Vec::new());
    bench.drain();
    assert_eq!(sent(&mut bench), ["BYE tcp:192.0.2.51:5060"], "what worked");
    assert_eq!(bench.asked.len(), 1);
}

#[test]
fn where_nothing_is_found_the_peer_s_own_flow_serves() {
    let mut bench = Bench::new();
    let (dialog, tag) = bench.join();
    bench.receive(&in_dialog("ACK", &tag, 127));
    bench.hops = Vec::new();
    sent(&mut bench);
    bench.agent.bye(bench.now, dialog, Vec::new());
    bench.drain();
    assert_eq!(sent(&mut bench), ["BYE flow udp:192.0.2.1:5060"]);
    fail_last(&mut bench);
    assert!(
        matches!(bench.events.last(), Some(Event::Response { response, is_synthetic: true, .. })
        if response.code == 503)
    );
}

#[test]
fn a_web_socket_client_is_reached_by_its_flow_alone() {
    let mut bench = Bench::new();
    let invite = SEED_INVITE.replace("gr=urn", "transport=ws;gr=urn");
    bench.receive_by(Transport::Wss, &invite);
    let Some(Event::Invite { dialog, txn, .. }) = bench.events.pop() else {
        panic!("no INVITE event");
    };
    bench.respond(txn, Answer::new(200).with("Contact", "<sip:c@192.0.2.10>"));
    let ok = bench.last().to_owned();
    let tag = ok
        .split("To: ")
        .nth(1)
        .and_then(|to| to.split("tag=").nth(1));
    let tag = tag
        .and_then(|t| t.lines().next())
        .expect("a tag")
        .to_owned();
    bench.receive_by(Transport::Wss, &in_dialog("ACK", &tag, 127));
    sent(&mut bench);
    bench.agent.bye(bench.now, dialog, Vec::new());
    bench.drain();
    assert!(
        bench.last().contains("Via: SIP/2.0/WSS "),
        "{}",
        bench.last()
    );
    assert_eq!(sent(&mut bench), ["BYE flow wss:192.0.2.1:5060"]);
    assert_eq!(bench.asked, []);
}
