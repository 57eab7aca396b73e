//! Two agents that ask each other who they are.

use super::*;
use crate::digest::{Credentials, Secret, Users};

fn secured(mut bench: Bench) -> Bench {
    let passwords = [
        (
            "alice@example.org".to_owned(),
            Secret("wonder:land".to_owned()),
        ),
        ("eve@example.org".to_owned(), Secret("apple".to_owned())),
    ];
    bench.agent.authenticator = Some(crate::digest::Authenticator::new(
        Users {
            realm: "home2.net".to_owned(),
            passwords: passwords.into(),
            algorithms: crate::digest::Algorithm::USUAL.to_vec(),
            qops: vec![crate::digest::Qop::Auth],
        },
        &mut StdRng::from_seed([3; 32]),
    ));
    bench
}

fn known(mut bench: Bench, user: &str, password: &str) -> Bench {
    bench.agent.config.credentials = vec![Credentials {
        realm: "home2.net".to_owned(),
        user: user.to_owned(),
        password: Secret(password.to_owned()),
    }];
    bench
}

/// Carries what one side sent last to the other.
fn carry(from: &Bench, to: &mut Bench) {
    let text = from.last().to_owned();
    to.receive(&text);
}

#[test]
fn a_call_is_made_again_with_an_answer_to_the_challenge() {
    let mut server = secured(Bench::new());
    let mut client = known(Bench::new(), "alice@example.org", "wonder:land");
    let dialog = call(&mut client);
    let first = request(client.last());
    carry(&client, &mut server);
    assert!(
        server.last().starts_with("SIP/2.0 401 Unauthorized\r\n"),
        "{}",
        server.last()
    );
    assert_eq!(server.agent.transaction_count(), 0, "nothing is kept");
    let challenge = server.last().to_owned();
    let fields: Vec<_> = challenge
        .lines()
        .filter(|l| l.starts_with("WWW-Auth"))
        .collect();
    assert!(
        fields.len() == 2 && fields[0].contains("SHA-256"),
        "{fields:?}"
    );
    client.receive(&challenge);
    assert_eq!(client.events, [], "the application hears nothing");
    let second = request(client.last());
    assert_eq!(first.headers.call_id(), second.headers.call_id());
    assert_eq!(first.headers.get("From"), second.headers.get("From"));
    assert_eq!(second.headers.cseq(), Some((2, Method::Invite)));
    carry(&client, &mut server);
    let Some(Event::Invite { txn, .. }) = server.events.pop() else {
        panic!("{:?}", server.last());
    };
    server.respond(txn, Answer::new(200).with("Contact", "<sip:c@192.0.2.1>"));
    carry(&server, &mut client);
    assert!(
        matches!(client.events.last(), Some(Event::Response { dialog: d, response, .. })
        if *d == dialog && response.code == 200)
    );
    client.agent.ack(dialog, &[], Vec::new());
    client.drain();
    let ack = request(client.last());
    assert_eq!(ack.headers.cseq(), Some((2, Method::Ack)));
    assert_eq!(
        ack.headers.get("Authorization"),
        second.headers.get("Authorization")
    );
    carry(&client, &mut server);
    assert!(matches!(server.events.last(), Some(Event::Acked { .. })));
    // The challenge may come again: it is acknowledged again.
    client.take_sent();
    client.receive(&challenge);
    assert!(client.take_sent()[0].starts_with("ACK "));
    assert_eq!(server.agent.counts().challenged, 1);
}

#[test]
fn a_wrong_password_is_tried_once() {
    let mut server = secured(Bench::new());
    let mut client = known(Bench::new(), "alice@example.org", "wonder");
    call(&mut client);
    for _ in 0..2 {
        carry(&client, &mut server);
        assert!(
            server.last().starts_with("SIP/2.0 401 "),
            "{}",
            server.last()
        );
        carry(&server, &mut client);
    }
    assert!(
        matches!(client.events.last(), Some(Event::Response { response, is_synthetic: false, .. })
        if response.code == 401)
    );
    assert_eq!(server.events, []);
}

#[test]
fn nobody_speaks_for_another() {
    let mut server = secured(Bench::new());
    let mut client = known(Bench::new(), "eve@example.org", "apple");
    call(&mut client);
    carry(&client, &mut server);
    carry(&server, &mut client);
    carry(&client, &mut server);
    assert!(
        server.last().starts_with("SIP/2.0 403 "),
        "{}",
        server.last()
    );
    assert_eq!(
        (server.events.len(), server.agent.counts().forbidden),
        (0, 1)
    );
}

#[test]
fn an_old_nonce_costs_a_round_and_no_more() {
    let mut server = secured(Bench::new());
    let mut client = known(Bench::new(), "alice@example.org", "wonder:land");
    call(&mut client);
    carry(&client, &mut server);
    carry(&server, &mut client);
    server.now += Duration::from_secs(1_000);
    carry(&client, &mut server);
    assert!(server.last().contains("stale=true"), "{}", server.last());
    carry(&server, &mut client);
    carry(&client, &mut server);
    assert!(matches!(server.events.last(), Some(Event::Invite { .. })));
}

#[test]
fn the_trust_domain_and_a_probe_are_not_asked() {
    let mut server = secured(Bench::new());
    let neighbour = Flow {
        is_trusted: true,
        ..flow(Transport::Udp)
    };
    let parsed = parse_datagram(SEED_INVITE.as_bytes());
    server.agent.handle_received(server.now, neighbour, parsed);
    server.drain();
    assert!(matches!(server.events.pop(), Some(Event::Invite { .. })));
    let options = SEED_INVITE
        .replace("INVITE", "OPTIONS")
        .replace("z9hG4bK871y12.1", "z9hG4bKo")
        .replace("cb03a0s09a2sdfglkj490333", "probe");
    server.receive(&options);
    assert!(
        matches!(server.events.pop(), Some(Event::Request { .. })),
        "{}",
        server.last()
    );
}
