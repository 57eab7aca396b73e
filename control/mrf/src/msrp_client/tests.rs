use super::endpoint::{Endpoint, Event, Ids, Outgoing, Paths};
use crate::limits::CHUNK_BYTES_MAX;
use msrp::StatusCode;

const HERE: &str = "msrp://127.0.0.1:7001/here;tcp";
const THERE: &str = "msrp://127.0.0.1:7002/there;tcp";

fn end(local: &str, remote: &str) -> Endpoint {
    let paths = Paths {
        local: local.to_owned(),
        remote: remote.to_owned(),
    };
    Endpoint::new(paths, false)
}

fn ids(seed: u64) -> Ids {
    Ids::new(seed, [seed, !seed])
}

fn text(body: Vec<u8>) -> Outgoing {
    Outgoing {
        content_type: Some("text/plain".to_owned()),
        body,
        message_id: Some("m-1234".to_owned()),
        transaction_id: Some("t-1234".to_owned()),
    }
}

/// Sends one message from one end to the other, cut into pieces of `cut` octets.
fn exchange(body: &[u8], cut: usize) -> (Vec<Event>, Vec<Event>) {
    let (mut here, mut there) = (end(HERE, THERE), end(THERE, HERE));
    here.send(text(body.to_vec()), &ids(1));
    for piece in here.take_output().chunks(cut) {
        there.handle_received(piece, &ids(2)).unwrap();
    }
    for piece in there.take_output().chunks(cut) {
        here.handle_received(piece, &ids(3)).unwrap();
    }
    (here.take_events(), there.take_events())
}

#[test]
fn a_message_arrives_whole_and_is_answered_however_tcp_cuts_it() {
    for cut in [1, 2, 7, 64, 10_000] {
        let (here, there) = exchange(b"hello", cut);
        let [Event::Message(message)] = &there[..] else {
            panic!("{there:?}")
        };
        assert_eq!(
            (&*message.body, &*message.content_type),
            (&b"hello"[..], "text/plain")
        );
        let [
            Event::Answered {
                status, is_last, ..
            },
        ] = &here[..]
        else {
            panic!("{here:?}")
        };
        assert_eq!((*status, *is_last), (StatusCode::OK, true));
    }
}

// MSRP-SEND-001, MSRP-SEND-006.
#[test]
fn a_long_message_goes_in_chunks_and_every_chunk_is_answered() {
    let body: Vec<u8> = (b'a'..=b'z')
        .cycle()
        .take(2 * CHUNK_BYTES_MAX + 1)
        .collect();
    let (here, there) = exchange(&body, 1000);
    let [Event::Message(message)] = &there[..] else {
        panic!("{there:?}")
    };
    assert!(message.body == body);
    let last: Vec<_> = here
        .iter()
        .map(|event| matches!(event, Event::Answered { is_last: true, .. }))
        .collect();
    assert_eq!(last, [false, false, true]);
}

// MSRP-FRAME-013.
#[test]
fn a_body_that_holds_its_own_end_line_gets_another_transaction_id() {
    let (_, there) = exchange(b"x\r\n-------t-1234$\r\ny", 5);
    let [Event::Message(message)] = &there[..] else {
        panic!("{there:?}")
    };
    assert_eq!(message.body, b"x\r\n-------t-1234$\r\ny");
}

#[test]
fn a_send_without_body_only_binds() {
    let (mut here, mut there) = (end(HERE, THERE), end(THERE, HERE));
    here.send(Outgoing::default(), &ids(1));
    there.handle_received(&here.take_output(), &ids(2)).unwrap();
    assert_eq!(there.take_events(), []);
    assert!(there.take_output().starts_with(b"MSRP "), "answered");
}

#[test]
fn a_send_for_another_session_gets_481() {
    let (mut here, mut there) = (
        end(HERE, "msrp://127.0.0.1:7002/else;tcp"),
        end(THERE, HERE),
    );
    here.send(text(b"hello".to_vec()), &ids(1));
    there.handle_received(&here.take_output(), &ids(2)).unwrap();
    assert_eq!(there.take_events(), []);
    here.handle_received(&there.take_output(), &ids(3)).unwrap();
    let [Event::Answered { status, .. }] = &here.take_events()[..] else {
        panic!("no answer")
    };
    assert_eq!(*status, StatusCode::NO_SUCH_SESSION);
}

// MSRP-RPT-015.
#[test]
fn reports_are_asked_for_and_told() {
    let (mut here, mut there) = (end(HERE, THERE), end(THERE, HERE));
    let send = format!(
        "MSRP abcd SEND\r\nTo-Path: {THERE}\r\nFrom-Path: {HERE}\r\nMessage-ID: m-1\u{2e}1\r\n\
         Success-Report: yes\r\nFailure-Report: no\r\nByte-Range: 1-2/2\r\n\
         Content-Type: text/plain\r\n\r\nhi\r\n-------abcd$\r\n"
    );
    there.handle_received(send.as_bytes(), &ids(2)).unwrap();
    here.handle_received(&there.take_output(), &ids(3)).unwrap();
    let expected = Event::Reported {
        message_id: "m-1.1".to_owned(),
        status: StatusCode::OK,
    };
    assert_eq!(here.take_events(), [expected]);
}
