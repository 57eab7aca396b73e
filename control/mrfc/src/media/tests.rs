use super::*;

const SEED: &str = "v=0\r\no=- 2987933615 2987933615 IN IP6 5555::aaa:bbb:ccc:ddd\r\ns=-\r\n\
    c=IN IP6 5555::aaa:bbb:ccc:ddd\r\nt=0 0\r\nm=message 2855 TCP/MSRP *\r\n\
    a=accept-types:message/cpim text/plain text/html\r\n\
    a=path:msrp://[5555::aaa:bbb:ccc:ddd]:2855/s111271;tcp\r\n\
    a=max-size:131072\r\na=msrp-cema\r\na=setup:active\r\n";

fn capabilities() -> Capabilities {
    Capabilities {
        accept_types: vec!["message/cpim".into(), "text/plain".into()],
        accept_wrapped_types: Vec::new(),
        max_size: 32_768,
        chatroom: None,
    }
}

fn reserved() -> Reserved {
    let local = b"v=0\r\nc=IN IP6 5555::1\r\nm=message 2855 TCP/MSRP *\r\na=path:msrp://[5555::1]:2855/s317122;tcp\r\n";
    Reserved::parse(local).expect("complete")
}

fn of(offer: &Offer) -> Side<'_> {
    Side {
        offer: Some(offer),
        ours: Ours::default(),
    }
}

// MSRP-ACM-002, MSRP-CEMA-001.
#[test]
fn a_call_of_ours_offers_active_and_takes_what_listens_for_an_answer() {
    let call = Side {
        offer: None,
        ours: Ours {
            setup: Setup::Active,
            is_ip6: true,
            transport: Transport::Tcp,
        },
    };
    let local = local(&call, &capabilities());
    assert!(local.starts_with("v=0\r\nc=IN IP6 $\r\n"), "{local}");
    assert!(local.contains("a=setup:active\r\n"), "{local}");
    let offer = reserved().describe(&call, &capabilities(), (7, 8));
    assert!(
        offer.contains("a=msrp-cema\r\na=setup:active\r\n"),
        "{offer}"
    );
    for (written, expected) in [
        ("a=setup:passive\r\n", Some(Setup::Active)),
        ("a=setup:actpass\r\n", Some(Setup::Active)),
        ("", Some(Setup::Active)),
        ("a=setup:active\r\n", None),
    ] {
        let text = SEED.replace("a=setup:active\r\n", written);
        let answer = Offer::parse_answer(text.as_bytes(), Setup::Active).ok();
        let setup = answer.as_ref().map(Offer::our_setup);
        assert_eq!(setup, expected, "{written}");
        if let Some(answer) = answer {
            assert_eq!(answer.connection(None), Connection::Open, "{written}");
            assert_eq!(
                answer.connection(Some(&answer)),
                Connection::Leave,
                "{written}"
            );
            assert!(answer.remote().contains("a=setup:passive\r\n"));
        }
    }
}

// MSRP-TGPP-002, MSRP-TGPP-009.
#[test]
fn the_seeds_offer_becomes_local_and_remote() {
    let offer = Offer::parse(SEED.as_bytes()).expect("usable");
    assert_eq!(
        offer.remote(),
        "v=0\r\nc=IN IP6 5555::aaa:bbb:ccc:ddd\r\nm=message 2855 TCP/MSRP *\r\n\
         a=accept-types:message/cpim text/plain text/html\r\n\
         a=path:msrp://[5555::aaa:bbb:ccc:ddd]:2855/s111271;tcp\r\n\
         a=max-size:131072\r\na=setup:active\r\na=msrp-cema\r\n"
    );
    assert_eq!(
        local(&of(&offer), &capabilities()),
        "v=0\r\nc=IN IP6 $\r\nm=message $ TCP/MSRP *\r\n\
         a=accept-types:message/cpim text/plain\r\na=path:msrp://$:$/$;tcp\r\n\
         a=max-size:32768\r\na=setup:passive\r\na=msrp-cema\r\n"
    );
    assert_eq!(offer.mode(), StreamMode::SendReceive);
}

#[test]
fn an_answer_keeps_the_order_of_the_offers_lines_and_refuses_the_others() {
    let text = SEED.replace("m=message", "m=audio 4000 RTP/AVP 0\r\nm=message")
        + "m=video 5000 RTP/AVP 99\r\n";
    let offer = Offer::parse(text.as_bytes()).expect("usable");
    let answer = reserved().describe(&of(&offer), &capabilities(), (7, 8));
    let lines: Vec<_> = answer.lines().filter(|l| l.starts_with("m=")).collect();
    assert_eq!(
        lines,
        [
            "m=audio 0 RTP/AVP 0",
            "m=message 2855 TCP/MSRP *",
            "m=video 0 RTP/AVP 99"
        ]
    );
    assert!(answer.contains("o=- 7 8 IN IP6 5555::1\r\n"), "{answer}");
    assert!(
        answer.contains("a=path:msrp://[5555::1]:2855/s317122;tcp\r\n"),
        "{answer}"
    );
    assert!(
        answer.contains("a=max-size:32768\r\na=msrp-cema\r\na=setup:passive\r\n"),
        "{answer}"
    );
}

// MSRP-CHAT-003.
#[test]
fn a_chat_room_says_so_to_both_sides() {
    let text = SEED.to_owned() + "a=chatroom:nickname private-messages\r\n";
    let offer = Offer::parse(text.as_bytes()).expect("usable");
    assert!(
        offer
            .remote()
            .contains("a=chatroom:nickname private-messages\r\n")
    );
    let room = Capabilities {
        accept_types: vec!["message/cpim".into()],
        accept_wrapped_types: vec!["*".into()],
        chatroom: Some(vec!["nickname".into()]),
        ..capabilities()
    };
    let lines = ["a=accept-wrapped-types:*\r\n", "a=chatroom:nickname\r\n"];
    let local = local(&of(&offer), &room);
    let answer = reserved().describe(&of(&offer), &room, (7, 8));
    for line in lines {
        assert!(local.contains(line), "{line} in {local}");
        assert!(answer.contains(line), "{line} in {answer}");
    }
}

// MSRP-CEMA-001.
#[test]
fn cema_is_answered_only_if_offered_and_hold_is_mirrored() {
    let text = SEED.replace("a=msrp-cema\r\n", "a=sendonly\r\n");
    let offer = Offer::parse(text.as_bytes()).expect("usable");
    let answer = reserved().describe(&of(&offer), &capabilities(), (7, 8));
    assert!(!answer.contains("msrp-cema"), "{answer}");
    assert!(answer.contains("a=recvonly\r\n"), "{answer}");
    assert_eq!(offer.mode(), StreamMode::ReceiveOnly);
}

// MSRP-CONN-002.
// MSRP-ACM-001, MSRP-ACM-003, MSRP-ACM-005.
#[test]
fn the_setup_role_is_the_counterpart() {
    let check = |offered: &str, ours: Setup| {
        let text = SEED.replace("a=setup:active\r\n", offered);
        assert_eq!(
            Offer::parse(text.as_bytes()).expect("usable").our_setup(),
            ours,
            "{offered}"
        );
    };
    check("a=setup:active\r\n", Setup::Passive);
    check("a=setup:passive\r\n", Setup::Active);
    check("a=setup:actpass\r\n", Setup::Passive);
    check("a=setup:holdconn\r\n", Setup::Passive);
    check("", Setup::Passive);
    check("a=connection:new\r\n", Setup::Passive);
}

// MSRP-SDP-007.
#[test]
fn what_cannot_be_served_says_why() {
    let check = |from: &str, to: &str, warn_code: u16| {
        assert!(SEED.contains(from), "{from}");
        let unusable = Offer::parse(SEED.replace(from, to).as_bytes()).expect_err("refused");
        assert_eq!(unusable.warn_code, warn_code, "{}", unusable.text);
        assert!(!unusable.text.contains('"'));
    };
    check("m=message", "m=audio", 304);
    check("m=message 2855", "m=message 0", 304);
    check("TCP/MSRP", "TCP/TLS/MSRP", 399);
    check("a=path:msrp:", "a=path:msrps:", 399);
    check("TCP/MSRP", "UDP/WHATEVER", 302);
    check("a=path", "a=way", 399);
    check("a=path:msrp://[5555", "a=path:http://[5555", 399);
    assert!(Offer::parse(b"").is_err());
}

// MSRP-SDP-010.
#[test]
fn an_offer_is_the_same_if_only_its_origin_changes() {
    let one = Offer::parse(SEED.as_bytes()).expect("usable");
    let same = SEED.replace("o=- 2987933615 2987933615", "o=- 2987933615 2987933616");
    let hold = SEED.replace("a=msrp-cema", "a=msrp-cema\r\na=inactive");
    assert!(one.is_same_as(&Offer::parse(same.as_bytes()).expect("usable")));
    assert!(!one.is_same_as(&Offer::parse(hold.as_bytes()).expect("usable")));
}

#[test]
fn an_incomplete_local_is_not_taken() {
    assert_eq!(
        Reserved::parse(
            b"v=0\r\nc=IN IP4 $\r\nm=message $ TCP/MSRP *\r\na=path:msrp://$:$/$;tcp\r\n"
        ),
        None
    );
    assert_eq!(Reserved::parse(b""), None);
}

const PATH: &str = "a=path:msrp://[5555::aaa:bbb:ccc:ddd]:2855/s111271;tcp\r\n";
const OTHER_PATH: &str = "a=path:msrp://[5555::aaa:bbb:ccc:eee]:2855/s111271;tcp\r\n";

// MSRP-CEMA-003.
#[test]
fn an_offer_whose_lines_differ_from_its_path_needs_cema() {
    let moved = SEED.replace(PATH, OTHER_PATH);
    assert!(Offer::parse(moved.as_bytes()).is_ok());
    let plain = moved.replace("a=msrp-cema\r\n", "");
    let unusable = Offer::parse(plain.as_bytes()).expect_err("refused");
    assert_eq!(unusable, Unusable::new(399, ELSEWHERE));
}

// MSRP-CEMA-004.
#[test]
fn one_that_connects_through_a_relay_is_answered_without_cema() {
    let relayed =
        "a=path:msrp://[5555::aaa:bbb:ccc:ddd]:2855;tcp msrp://ue.invalid:2855/s1;tcp\r\n";
    let check = |setup: &str, expected: bool| {
        let text = SEED
            .replace(PATH, relayed)
            .replace("a=setup:active\r\n", setup);
        let offer = Offer::parse(text.as_bytes()).expect("usable");
        let answer = reserved().describe(&of(&offer), &capabilities(), (7, 8));
        assert_eq!(answer.contains("a=msrp-cema\r\n"), expected, "{setup}");
    };
    check("a=setup:active\r\n", false);
    check("", false);
    check("a=setup:actpass\r\n", true);
}

#[test]
fn an_answer_without_cema_says_where_to_connect_unless_a_relay_is_behind_it() {
    let answer = SEED
        .replace(PATH, OTHER_PATH)
        .replace("a=msrp-cema\r\na=setup:active\r\n", "a=setup:passive\r\n");
    let taken = Offer::parse_answer(answer.as_bytes(), Setup::Active).expect("usable");
    assert!(
        taken
            .remote()
            .contains("c=IN IP6 5555::aaa:bbb:ccc:ddd\r\n")
    );
    assert!(
        taken.remote().contains("a=msrp-cema\r\n"),
        "{}",
        taken.remote()
    );
    let relayed = answer.replace(";tcp\r\n", ";tcp msrp://ue.invalid:1/s2;tcp\r\n");
    assert!(Offer::parse_answer(relayed.as_bytes(), Setup::Active).is_ok());
    let relayed = answer.replace(";tcp\r\n", ";tcp msrp://[5555::1]:1/s2;tcp\r\n");
    assert!(Offer::parse_answer(relayed.as_bytes(), Setup::Active).is_err());
}

const PRINT: &str = "a=fingerprint:sha-256 AB:CD\r\n";

fn secured() -> String {
    SEED.replace("TCP/MSRP", "TCP/TLS/MSRP")
        .replace("a=path:msrp:", "a=path:msrps:")
        + PRINT
}

// RFC 4975 14, RFC 8122 5.
#[test]
fn an_offer_over_tls_is_answered_over_tls_with_the_fingerprint_of_the_mrfp() {
    let offer = Offer::parse(secured().as_bytes()).expect("usable");
    for line in ["m=message 2855 TCP/TLS/MSRP *\r\n", PRINT] {
        assert!(offer.remote().contains(line), "{line}: {}", offer.remote());
    }
    let local = local(&of(&offer), &capabilities());
    for line in [
        "m=message $ TCP/TLS/MSRP *\r\n",
        "a=path:msrps://$:$/$;tcp\r\n",
    ] {
        assert!(local.contains(line), "{line}: {local}");
    }
    let text = "v=0\r\nc=IN IP4 192.0.2.7\r\nm=message 2856 TCP/TLS/MSRP *\r\n\
                a=path:msrps://192.0.2.7:2856/s3;tcp\r\na=fingerprint:sha-256 01:23\r\n";
    let reserved = Reserved::parse(text.as_bytes()).expect("complete");
    let answer = reserved.describe(&of(&offer), &capabilities(), (7, 8));
    for line in [
        "m=message 2856 TCP/TLS/MSRP *\r\n",
        "a=path:msrps://192.0.2.7:2856/s3;tcp\r\n",
        "a=fingerprint:sha-256 01:23\r\n",
    ] {
        assert!(answer.contains(line), "{line}: {answer}");
    }
}

// RFC 7977 5.2.
#[test]
fn a_browser_that_cannot_be_connected_to_gets_websocket() {
    let text = secured()
        .replace("[5555::aaa:bbb:ccc:ddd]", "df7jal23ls0d.invalid")
        .replace(
            "IN IP6 5555::aaa:bbb:ccc:ddd",
            "IN IP4 df7jal23ls0d.invalid",
        )
        .replace(";tcp", ";ws");
    let offer = Offer::parse(text.as_bytes()).expect("usable");
    assert!(
        offer.remote().contains("c=IN IP4 0.0.0.0\r\n"),
        "{}",
        offer.remote()
    );
    let local = local(&of(&offer), &capabilities());
    assert!(local.contains("a=path:msrps://$:$/$;ws\r\n"), "{local}");
    let passive = text.replace("a=setup:active", "a=setup:passive");
    assert!(
        Offer::parse(passive.as_bytes()).is_err(),
        "nowhere to connect to"
    );
}

// RFC 6135 4.2.2, RFC 4975 5.4.
#[test]
fn whoever_asks_for_our_offer_chooses_who_connects() {
    let asked = Side {
        offer: None,
        ours: Ours::default(),
    };
    let offer = reserved().describe(&asked, &capabilities(), (7, 8));
    assert!(offer.contains("a=setup:actpass\r\n"), "{offer}");
    for (written, ours) in [
        ("a=setup:active\r\n", Setup::Passive),
        ("a=setup:passive\r\n", Setup::Active),
        ("a=setup:holdconn\r\n", Setup::Active),
        ("", Setup::Active),
    ] {
        let text = SEED.replace("a=setup:active\r\n", written);
        let answer = Offer::parse_answer(text.as_bytes(), Setup::ActPass).expect("usable");
        assert_eq!(answer.our_setup(), ours, "{written}");
    }
}
