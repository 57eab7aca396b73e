#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test names the one outcome it wants"
)]

use super::*;

const INVITE: &str = "INVITE sip:conference1@home2.net SIP/2.0\r\n\
    Via: SIP/2.0/UDP a.example;branch=z9hG4bK1\r\n\
    Cseq: 127 INVITE\r\nSubject: two\r\n  lines\r\nf : <sip:u@h>; tag=1\r\n";

fn request(parsed: Parsed) -> Request {
    match parsed {
        Parsed::Request(request) => request,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn check_malformed(text: &str, code: u16) {
    match parse_datagram(text.as_bytes()) {
        Parsed::Malformed(m) => assert_eq!(m.code, code, "{}", m.reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn folding_compact_names_and_blanks_before_colons_are_read() {
    let request = request(parse_datagram(format!("{INVITE}\r\nv=0\r\n").as_bytes()));
    assert_eq!(request.headers.get("subject"), Some("two lines"));
    assert_eq!(
        request
            .headers
            .from()
            .and_then(|f| f.tag().map(str::to_owned)),
        Some("1".into())
    );
    assert_eq!(request.headers.cseq(), Some((127, Method::Invite)));
    assert_eq!(
        request.body, b"v=0\r\n",
        "no Content-Length: to the end of the datagram"
    );
}

#[test]
fn an_unreadable_content_length_does_not_lose_a_datagrams_body() {
    let text = format!("{INVITE}Content-Length: (…)\r\n\r\nv=0\r\n");
    assert_eq!(request(parse_datagram(text.as_bytes())).body, b"v=0\r\n");
}

#[test]
fn a_body_shorter_than_promised_is_refused() {
    check_malformed(&format!("{INVITE}Content-Length: 9\r\n\r\nv=0\r\n"), 400);
}

#[test]
fn a_blank_inside_the_request_uri_is_tolerated() {
    let text = "ACK sip:a@b;gr=x ;comp=sigcomp SIP/2.0\r\nTo: x\r\n\r\n";
    let ack = request(parse_datagram(text.as_bytes()));
    assert_eq!(ack.uri.as_str(), "sip:a@b;gr=x;comp=sigcomp");
}

#[test]
fn unknown_methods_are_read_and_bad_requests_can_be_answered() {
    let text = "BREW sip:pot@h SIP/2.0\r\nTo: x\r\n\r\n";
    assert_eq!(
        request(parse_datagram(text.as_bytes())).method,
        Method::Other("BREW".into())
    );
    check_malformed("INVITE sip:a@b SIP/7.0\r\nTo: x\r\n\r\n", 505);
    check_malformed("INVITE nonsense SIP/2.0\r\nTo: x\r\n\r\n", 400);
    check_malformed("INVITE sip:a@b SIP/2.0\r\nno colon here\r\n\r\n", 400);
    assert_eq!(parse_datagram(b"\x00\x01\x02"), Parsed::Garbage);
    assert_eq!(parse_datagram(b"\r\n\r\n"), Parsed::Garbage);
}

#[test]
fn a_reason_phrase_is_free_text() {
    match parse_datagram(b"SIP/2.0 100 (Trying) response\r\n\r\n") {
        Parsed::Response(r) => assert_eq!((r.code, r.reason.as_str()), (100, "(Trying) response")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stream_is_cut_alike_wherever_tcp_cut_it() {
    let one = format!("{INVITE}Content-Length: 5\r\n\r\nv=0\r\n");
    let two = format!("\r\n\r\n{INVITE}l:0\r\n\r\n");
    let stream = format!("{one}{two}").into_bytes();
    for at in 0..=stream.len() {
        let mut framer = StreamFramer::default();
        let mut bodies = Vec::new();
        for part in [&stream[..at], &stream[at..]] {
            framer.push(part);
            while let Some(frame) = framer.next_frame() {
                match frame {
                    Frame::Message(parsed, _) => bodies.push(request(parsed).body),
                    Frame::Ping => {}
                    Frame::Fatal(parsed) => panic!("{parsed:?}"),
                }
            }
        }
        assert_eq!(bodies, [b"v=0\r\n".to_vec(), Vec::new()], "split at {at}");
    }
}

#[test]
fn a_stream_without_readable_content_length_ends() {
    for (length, code) in [
        ("", 400),
        ("Content-Length: (…)\r\n", 400),
        ("l: 9999999\r\n", 513),
    ] {
        let mut framer = StreamFramer::default();
        framer.push(format!("{INVITE}{length}\r\n").as_bytes());
        match framer.next_frame() {
            Some(Frame::Fatal(Parsed::Malformed(m))) => assert_eq!(m.code, code),
            other => panic!("{other:?}"),
        }
    }
    let mut framer = StreamFramer::default();
    framer.push(&vec![b'a'; HEAD_BYTES_MAX + 1]);
    assert_eq!(framer.next_frame(), Some(Frame::Fatal(Parsed::Garbage)));
}

proptest::proptest! {
    #[test]
    fn no_octets_make_the_parser_panic(bytes in proptest::collection::vec(0_u8.., 0..300)) {
        let _ = parse_datagram(&bytes);
        let mut framer = StreamFramer::default();
        framer.push(&bytes);
        while framer.next_frame().is_some() {}
    }

    #[test]
    fn no_damaged_request_makes_the_parser_panic(at in 0_usize..150, octet: u8) {
        let mut bytes = format!("{INVITE}\r\nbody").into_bytes();
        let at = at % bytes.len();
        bytes[at] = octet;
        let _ = parse_datagram(&bytes);
    }
}
