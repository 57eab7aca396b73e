//! Which connection may carry which session, and transports that carry messages.

mod common;

use common::{World, config, conn, frames, key, remote, send};
use switch::{
    ConnectId, Event, Fingerprint, HashFunction, Input, LossCause, Misfit, Secured, Security,
    Setup, Via,
};

fn print(octet: u8) -> Fingerprint {
    Fingerprint {
        hash: HashFunction::Sha256,
        octets: vec![octet; 32].into(),
    }
}

fn tls(certificate: &[Fingerprint]) -> Via {
    Via {
        secured: Secured::Tls {
            certificate: certificate.into(),
            is_vouched: true,
        },
        is_framed: false,
    }
}

/// A conference of one, on plain TCP, and a session of participant 2 that wants TLS.
fn world(fingerprints: &[Fingerprint]) -> World {
    let mut world = World::conference(1);
    let mut secure = config(2);
    secure.security = Security::Tls {
        fingerprints: fingerprints.into(),
    };
    world.install(2, secure);
    world
}

fn lost(world: &World) -> Option<LossCause> {
    world.events.iter().find_map(|event| {
        let Event::Lost { session, cause } = event else {
            return None;
        };
        (*session == key(2)).then_some(*cause)
    })
}

// MSRP-TLS-003
#[test]
fn the_signalled_certificate_binds_its_session() {
    let mut world = world(&[print(1), print(2)]);
    world.accept_via(2, tls(&[print(2)]));
    world.receive(2, &send(2, "bytls222", "bt22", "", b"hello"));
    assert!(world.take(2).starts_with("MSRP bytls222 200"));
    assert_eq!(world.frames(1)[0].body, b"hello");
}

// MSRP-TLS-003
#[test]
fn another_certificate_ends_the_session_and_nothing_of_it_is_taken() {
    for (shown, misfit) in [
        (&[print(9)][..], Misfit::OtherCertificate),
        (&[][..], Misfit::NoCertificate),
    ] {
        let mut world = world(&[print(2)]);
        world.accept_via(2, tls(shown));
        world.receive(2, &send(2, "foreign2", "fo22", "", b"hello"));
        assert_eq!(lost(&world), Some(LossCause::Security(misfit)));
        assert_eq!(world.closed, [2]);
        assert_eq!(world.take(1), "", "nothing is forwarded");
        // The right one comes too late: this needs new signalling.
        world.accept_via(3, tls(&[print(2)]));
        world.receive(3, &send(2, "toolate3", "tl33", "", b"hello"));
        assert!(world.take(3).starts_with("MSRP toolate3 481"));
    }
}

#[test]
fn plain_and_secured_are_refused_for_each_other_and_the_session_waits_on() {
    let mut world = world(&[]);
    world.accept(2);
    world.receive(2, &send(2, "plain222", "pl22", "", b"hello"));
    assert!(world.take(2).starts_with("MSRP plain222 481"));
    world.install(3, config(3));
    world.accept_via(3, tls(&[]));
    world.receive(3, &send(3, "secure33", "se33", "", b"hello"));
    assert!(world.take(3).starts_with("MSRP secure33 481"));
    assert_eq!(lost(&world), None);
    world.accept_via(4, tls(&[]));
    world.receive(4, &send(2, "right444", "ri44", "", b"hello"));
    assert!(world.take(4).starts_with("MSRP right444 200"));
}

// MSRP-TLS-008 MSRP-ACM-006
#[test]
fn an_active_session_checks_whom_it_reached() {
    for (shown, is_right) in [(print(2), true), (print(9), false)] {
        let mut world = World::conference(1);
        let mut active = config(2);
        active.setup = Setup::Active {
            to: "192.0.2.12:7000".parse().unwrap(),
        };
        active.security = Security::Tls {
            fingerprints: vec![print(2)].into(),
        };
        world.install(2, active);
        let request: ConnectId = world.connects[0];
        let via = Via {
            secured: Secured::Tls {
                certificate: vec![shown].into(),
                is_vouched: false,
            },
            is_framed: false,
        };
        let conn = conn(2);
        world.feed(Input::Connected { conn, request, via });
        let binding = world.take(2);
        if is_right {
            assert!(binding.contains(&format!("To-Path: {}", remote(2))));
        } else {
            assert_eq!(binding, "", "not an octet to a stranger");
            let cause = LossCause::Security(Misfit::OtherCertificate);
            assert_eq!(lost(&world), Some(cause));
            assert_eq!(world.closed, [2]);
        }
    }
}

fn framed() -> Via {
    Via {
        secured: Secured::Plain,
        is_framed: true,
    }
}

/// A conference of two, the second over a transport that carries messages.
fn half_framed() -> World {
    let mut world = World::conference(1);
    world.install(2, config(2));
    world.accept_via(2, framed());
    world.receive(2, &send(2, "binding2", "bi22", "", b"hi"));
    world.feed(Input::MessageEnded { conn: conn(2) });
    assert!(world.take(2).starts_with("MSRP binding2 200"));
    world.take(1);
    world
}

// MSRP-WS-002
#[test]
fn two_chunks_in_one_message_break_the_protocol() {
    let mut world = half_framed();
    let mut two = send(2, "first222", "fi22", "", b"x");
    two.extend(send(2, "second22", "se22", "", b"y"));
    world.receive(2, &two);
    assert_eq!(lost(&world), Some(LossCause::Protocol));
    assert_eq!(world.closed, [2]);
}

// MSRP-WS-002
#[test]
fn a_chunk_in_two_messages_breaks_the_protocol() {
    let mut world = half_framed();
    let chunk = send(2, "torn2222", "to22", "", b"xyz");
    world.receive(2, &chunk[..chunk.len() - 3]);
    assert_eq!(lost(&world), None);
    world.feed(Input::MessageEnded { conn: conn(2) });
    assert_eq!(lost(&world), Some(LossCause::Protocol));
}

// MSRP-WS-002 MSRP-WS-003
#[test]
fn a_large_chunk_becomes_several_messages_of_one_chunk_each() {
    let mut world = half_framed();
    let body = vec![b'x'; 200_000];
    let chunk = send(1, "large111", "la11", "", &body);
    for piece in chunk.chunks(10_000) {
        world.receive(1, piece);
    }
    let ends = world.message_ends.remove(&2).unwrap();
    let sent = world.take_octets(2);
    let mut start = 0;
    let mut whole = Vec::new();
    for end in ends {
        let [frame] = &frames(&sent[start..end])[..] else {
            panic!("not one chunk in {}", sent[start..end].escape_ascii());
        };
        assert!(frame.body.len() <= 32 * 1024, "{}", frame.body.len());
        whole.extend_from_slice(&frame.body);
        start = end;
    }
    assert_eq!(start, sent.len());
    assert!(whole == body);
}
