//! Whole descriptions: the flows of TS 24.247 A.5, H.248 fragments, faults, and the builder.

use core::net::{IpAddr, SocketAddr};

use proptest::prelude::*;

use super::*;

const UE_OFFER: &str = "v=0\r\n\
    o=- 2987933615 2987933615 IN IP6 5555::aaa:bbb:ccc:ddd\r\n\
    s=-\r\n\
    c=IN IP6 5555::aaa:bbb:ccc:ddd\r\n\
    t=0 0\r\n\
    m=message 2855 TCP/MSRP *\r\n\
    a=accept-types:message/cpim text/plain text/html\r\n\
    a=path:msrp://[5555::aaa:bbb:ccc:ddd]:2855/s111271;tcp\r\n\
    a=max-size:131072\r\n\
    a=msrp-cema\r\n\
    a=setup:active\r\n";

fn message(text: &str) -> MessageMedia {
    Description::parse(text.as_bytes())
        .unwrap()
        .message()
        .unwrap()
}

// MSRP-SDP-014, MSRP-TGPP-021.
#[test]
fn the_offer_of_ts_24_247_is_read_whole() {
    let media = message(UE_OFFER);
    assert_eq!(media.index, 0);
    assert_eq!(media.port, Choice::Given(2855));
    assert_eq!(media.transport, Transport::Tcp);
    assert!(media.is_ip6);
    assert_eq!(media.ip(), Some("5555::aaa:bbb:ccc:ddd".parse().unwrap()));
    assert_eq!(
        media.accept_types,
        ["message/cpim", "text/plain", "text/html"]
    );
    assert_eq!(media.max_size, Some(131_072));
    assert_eq!(media.setup, Some(Setup::Active));
    assert!(media.has_cema);
    assert_eq!(media.path.unwrap().session_id(), Some("s111271"));
}

// MSRP-TGPP-006, MSRP-TGPP-021.
#[test]
fn the_answer_of_ts_24_247_connects_to_the_media_address_whatever_its_path_says() {
    let answer = UE_OFFER
        .replace(
            "path:msrp://[5555::aaa:bbb:ccc:ddd]:2855/s111271",
            "path:msrp://[9999:: aaa:bbb:ccc:ddd]:2855/s317122",
        )
        .replace("setup:active", "setup:passive");
    let media = message(&answer);
    assert_eq!(media.setup, Some(Setup::Passive));
    let to: SocketAddr = "[5555::aaa:bbb:ccc:ddd]:2855".parse().unwrap();
    assert_eq!(media.remote_transport_address(), Ok(to));
    let path = media.path.unwrap();
    assert_eq!(
        path.as_str(),
        "msrp://[9999::aaa:bbb:ccc:ddd]:2855/s317122;tcp"
    );
}

// MSRP-SDP-012.
#[test]
fn any_line_end_and_loose_layout_read_the_same() {
    let whole = message(UE_OFFER);
    for (from, to) in [
        ("\r\n", "\n"),
        ("\r\n", "\r"),
        ("\r\n", "\r\n\r\n"),
        ("\r\n", " \r\n  "),
    ] {
        assert_eq!(message(&UE_OFFER.replace(from, to)), whole, "{to:?}");
    }
    for line in ["v=0\r\n", "s=-\r\n", "t=0 0\r\n"] {
        assert_eq!(
            message(&UE_OFFER.replace(line, "")),
            whole,
            "without {line:?}"
        );
    }
    assert_eq!(
        message(&UE_OFFER.replace("2855 TCP/MSRP *", "2855  tcp/msrp")),
        whole
    );
    assert_eq!(message(&UE_OFFER.replace("a=path:", "a=path: ")), whole);
}

#[test]
fn dollars_of_an_mgc_are_choices() {
    let media = message("v=0\nc=IN IP4 $\nm=message $ TCP/MSRP *\na=path:$\n");
    assert_eq!(media.host, Some(Host::Choose));
    assert_eq!(media.port, Choice::Choose);
    assert!(media.path.unwrap().is_under_specified());
    assert!(!media.is_ip6);
    let media = message("c=IN IP6 $\nm=message $ TCP/TLS/MSRP *\n");
    assert!(media.is_ip6 && media.path.is_none());
    assert_eq!(media.transport, Transport::Tls);
}

#[test]
fn dollars_in_lines_that_an_mg_ignores_are_no_fault() {
    let media = message(
        "v=0\no=$ $ $ IN IP4 $\ns=$\nc=IN IP4 $\nb=AS:$\nt=$ $\nm=message $ TCP/MSRP *\na=path:$\n",
    );
    assert_eq!(media.host, Some(Host::Choose));
    assert_eq!(media.port, Choice::Choose);
}

#[test]
fn alternatives_start_with_a_version_line() {
    let text = b"v=0\nm=message $ TCP/TLS/MSRP *\nv=0\nm=message $ TCP/MSRP *\n";
    let all = Description::parse_alternatives(text).unwrap();
    let transports: Vec<_> = all.iter().map(|d| d.message().unwrap().transport).collect();
    assert_eq!(transports, [Transport::Tls, Transport::Tcp]);
    assert_eq!(all[1].source(), b"v=0\r\nm=message $ TCP/MSRP *\r\n");
    assert!(Description::parse_alternatives(b"").unwrap().is_empty());
    let many = b"v=0\n".repeat(limits::ALTERNATIVES_MAX + 1);
    let error = Description::parse_alternatives(&many).unwrap_err();
    assert_eq!(error, ParseError::TooManyAlternatives);
}

#[track_caller]
fn check_address(media: &str, path: &str, cema: bool, expected: Result<&str, AddressError>) {
    let cema = if cema { "a=msrp-cema\n" } else { "" };
    let text = format!("{media}\na=path:{path}\n{cema}");
    let found = message(&text).remote_transport_address();
    assert_eq!(found, expected.map(|a| a.parse().unwrap()), "{text}");
}

// MSRP-CEMA-002, MSRP-CONN-003, MSRP-SDP-004, MSRP-TGPP-006.
#[test]
fn cema_decides_between_media_line_and_path() {
    let media = "c=IN IP4 192.0.2.1\nm=message 7 TCP/MSRP *";
    let path = "msrp://192.0.2.2:8/a;tcp msrp://192.0.2.3:9/b;tcp";
    check_address(media, path, true, Ok("192.0.2.1:7"));
    check_address(media, path, false, Ok("192.0.2.2:8"));
    check_address(media, "msrp://ue.invalid/a;tcp", false, Ok("192.0.2.1:7"));
    check_address(media, "msrp://192.0.2.2/a;tcp", false, Ok("192.0.2.2:2855"));
    let named = "c=IN IP4 sbc.example.net\nm=message 7 TCP/MSRP *";
    check_address(named, path, true, Ok("192.0.2.2:8"));
    let name = "msrp://ue.invalid/a;tcp";
    check_address(
        named,
        name,
        true,
        Err(AddressError::NotNumeric(name.to_owned())),
    );
}

// MSRP-CEMA-006.
#[test]
fn a_media_line_that_no_uri_of_the_path_names_is_elsewhere() {
    let check = |media: &str, path: &str, expected: bool| {
        let text = format!("{media}\na=path:{path}\n");
        assert_eq!(message(&text).is_elsewhere(), expected, "{text}");
    };
    let media = "c=IN IP4 192.0.2.1\nm=message 7 TCP/MSRP *";
    check(media, "msrp://192.0.2.1:7/a;tcp", false);
    check(media, "msrp://192.0.2.1:8/a;tcp", true);
    check(media, "msrp://192.0.2.2:7/a;tcp", true);
    check(
        media,
        "msrp://192.0.2.2:7/a;tcp msrp://192.0.2.1:7/b;tcp",
        false,
    );
    check(
        media,
        "msrp://192.0.2.2:7/a;tcp msrp://192.0.2.3:7/b;tcp",
        true,
    );
    check(media, "msrp://ue.invalid:7/a;tcp", false);
    check(
        "c=IN IP4 ue.invalid\nm=message 7 TCP/MSRP *",
        "msrp://192.0.2.2:7/a;tcp",
        false,
    );
    check(
        "c=IN IP6 2001:db8::1\nm=message 7 TCP/MSRP *",
        "msrp://[2001:DB8:0::1]:7/a;tcp",
        false,
    );
    let nowhere = "c=IN IP4 192.0.2.1\nm=message 9 TCP/MSRP *\na=setup:active";
    check(nowhere, "msrp://192.0.2.1:7/a;tcp", false);
    check(nowhere, "msrp://192.0.2.2:7/a;tcp", true);
    check("m=message 7 TCP/MSRP *", "msrp://192.0.2.2:7/a;tcp", false);
}

// MSRP-SDP-006, MSRP-SDP-009, MSRP-CHAT-003.
#[test]
fn the_first_message_line_that_is_not_refused_counts() {
    let text = "c=IN IP4 192.0.2.1\n\
        m=audio 4000 RTP/AVP 0\na=sendonly\n\
        m=message 0 TCP/MSRP *\na=path:msrp://192.0.2.1:1/a;tcp\n\
        m=message 2 TCP/MSRP *\nc=IN IP4 192.0.2.9\na=path:msrp://192.0.2.1:2/b;tcp\n\
        a=recvonly\na=chatroom:nickname private-messages\na=fingerprint:SHA-256 AB:CD\n\
        a=accept-wrapped-types:*\n";
    let media = message(text);
    assert_eq!(media.index, 2);
    assert_eq!(media.ip(), Some("192.0.2.9".parse().unwrap()));
    assert_eq!(media.direction, Direction::RecvOnly);
    assert_eq!(media.direction.reversed(), Direction::SendOnly);
    assert_eq!(media.chatroom.unwrap(), ["nickname", "private-messages"]);
    assert_eq!(media.fingerprints[0].hash, "sha-256");
    assert_eq!(media.accept_wrapped_types, ["*"]);
    let lines = Description::parse(text.as_bytes()).unwrap();
    assert_eq!(
        lines.media().map(|m| m.kind).collect::<Vec<_>>(),
        ["audio", "message", "message"]
    );
}

#[track_caller]
fn check_refused(text: &str, expected: MessageError) {
    let found = Description::parse(text.as_bytes())
        .unwrap()
        .message()
        .unwrap_err();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn descriptions_without_usable_media_say_why() {
    check_refused("v=0\n", MessageError::NoMessageMedia);
    check_refused("m=audio 4000 RTP/AVP 0\n", MessageError::NoMessageMedia);
    check_refused("m=message 0 TCP/MSRP *\n", MessageError::NoMessageMedia);
    check_refused(
        "m=message 1 SCTP/MSRP *\n",
        MessageError::Transport("SCTP/MSRP".to_owned()),
    );
    check_refused(
        "c=IN IP4 a,b\nm=message 1 TCP/MSRP *\n",
        MessageError::Address("a,b".to_owned()),
    );
    check_refused(
        "m=message 1 TCP/MSRP *\na=path:sip:x\n",
        MessageError::Path(PathError::Uri {
            uri: "sip:x".to_owned(),
            what: "scheme",
        }),
    );
}

#[test]
fn texts_that_are_no_description_are_refused() {
    assert_eq!(Description::parse(b" \r\n").unwrap_err(), ParseError::Empty);
    for text in [
        "hello",
        "v=1\n",
        "m=message x TCP/MSRP *\n",
        "m=message\n",
        "v=0\nc=IN\n",
    ] {
        let error = Description::parse(text.as_bytes()).unwrap_err();
        assert!(matches!(error, ParseError::Syntax(_)), "{text}: {error}");
    }
    let long = b"a".repeat(limits::TEXT_BYTES_MAX + 1);
    assert_eq!(Description::parse(&long).unwrap_err(), ParseError::TooLong);
    let many = b"m=message 1 TCP/MSRP *\n".repeat(limits::MEDIA_LINES_MAX + 1);
    assert_eq!(
        Description::parse(&many).unwrap_err(),
        ParseError::TooManyMedia
    );
}

fn focus() -> MessageBuilder {
    MessageBuilder {
        origin_id: 7,
        origin_version: 8,
        accept_types: vec!["message/cpim".to_owned(), "text/plain".to_owned()],
        max_size: Some(32_768),
        has_cema: true,
        setup: Some(Setup::Passive),
        ..MessageBuilder::new(
            "[::1]:2855".parse().unwrap(),
            "msrp://[::1]:2855/s317122;tcp",
        )
    }
}

// MSRP-SDP-001, MSRP-SDP-002, MSRP-SDP-003, MSRP-TGPP-005.
#[test]
fn the_builder_writes_the_order_of_ts_24_247() {
    assert_eq!(
        focus().write(),
        "v=0\r\no=- 7 8 IN IP6 ::1\r\ns=-\r\nc=IN IP6 ::1\r\nt=0 0\r\n\
         m=message 2855 TCP/MSRP *\r\na=accept-types:message/cpim text/plain\r\n\
         a=path:msrp://[::1]:2855/s317122;tcp\r\na=max-size:32768\r\na=msrp-cema\r\n\
         a=setup:passive\r\n"
    );
}

#[test]
fn no_value_begins_a_line_of_its_own() {
    let mut builder = focus();
    builder.accept_types = vec!["text/plain\r\na=evil".to_owned(), "a/b\0".to_owned()];
    builder.path.push('\n');
    let text = builder.write();
    assert_eq!(text.lines().count(), focus().write().lines().count());
    assert!(text.contains("a=accept-types:text/plaina=evil a/b\r\na=path:msrp:"));
}

#[test]
fn everything_that_can_be_said_is_written() {
    let builder = MessageBuilder {
        accept_wrapped_types: vec!["*".to_owned()],
        chatroom: Some(vec!["nickname".to_owned(), "private-messages".to_owned()]),
        fingerprint: Some(Fingerprint {
            hash: "sha-256".to_owned(),
            value: "AB:CD".to_owned(),
        }),
        transport: Transport::Tls,
        direction: Direction::Inactive,
        ..MessageBuilder::new("192.0.2.1:9".parse().unwrap(), "msrps://h:9/x;tcp")
    };
    let text = builder.write();
    assert_eq!(
        text.split_once("t=0 0\r\n").unwrap().1,
        "m=message 9 TCP/TLS/MSRP *\r\na=accept-wrapped-types:*\r\na=path:msrps://h:9/x;tcp\r\n\
         a=chatroom:nickname private-messages\r\na=fingerprint:sha-256 AB:CD\r\na=inactive\r\n"
    );
    let empty = MessageBuilder {
        chatroom: Some(Vec::new()),
        ..focus()
    };
    assert!(empty.write().contains("a=chatroom\r\n"));
}

#[test]
fn an_answer_refuses_every_other_line_in_place() {
    let text = b"c=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 0 8\nm=message 2 TCP/MSRP *\n\
        m=video 4002 RTP/AVP 31\n";
    let offer = Description::parse(text).unwrap();
    let answer = focus().write_answer(&offer, 1);
    let lines: Vec<_> = answer.lines().filter(|l| l.starts_with("m=")).collect();
    let expected = [
        "m=audio 0 RTP/AVP 0 8",
        "m=message 2855 TCP/MSRP *",
        "m=video 0 RTP/AVP 31",
    ];
    assert_eq!(lines, expected);
    assert_eq!(message(&answer).index, 1);
}

proptest! {
    #[test]
    fn what_the_builder_writes_reads_back(
        ip in any::<IpAddr>(),
        port in 1_u16..,
        id in "[a-zA-Z0-9]{1,20}",
        max_size in any::<Option<u64>>(),
        has_cema in any::<bool>(),
    ) {
        let address = SocketAddr::new(ip, port);
        let path = format!("msrp://{address}/{id};tcp");
        let built = MessageBuilder {
            max_size,
            has_cema,
            direction: Direction::SendOnly,
            ..MessageBuilder::new(address, path.clone())
        };
        let media = message(&built.write());
        prop_assert_eq!(media.remote_transport_address(), Ok(address));
        prop_assert_eq!(media.max_size, max_size);
        prop_assert_eq!(media.has_cema, has_cema);
        prop_assert_eq!(media.direction, Direction::SendOnly);
        let read_back = media.path.expect("written");
        prop_assert_eq!(read_back.as_str(), path);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in any::<Vec<u8>>(), tail in "\\PC{0,80}") {
        for text in [text.clone(), [b"m=message $ ".as_slice(), &text, tail.as_bytes()].concat()] {
            let _ = Description::parse(&text).map(|d| d.message());
            let _ = Description::parse_alternatives(&text);
        }
    }
}
