//! Joins, refusals, races, leaves.

use super::{ALLOW, Bench, OFFER, check_refused, config, header, until_bye};
use crate::mrfp::Seen;
use clock::Duration;
use h248_endpoint::Departure;
use sip::{Call, Event, Method, SipAddr, SipClient};

// SIP-JOIN-001, SIP-JOIN-003
#[tokio::test]
async fn a_join_and_a_leave_over_every_listener() {
    for listener in 0..4 {
        let mut bench = Bench::start(config()).await;
        let mut client = bench.client(listener).await;
        let outcome = client.invite(&bench.call(listener)).await.expect("placed");
        let codes: Vec<_> = outcome.provisionals.iter().map(|r| r.code).collect();
        assert_eq!(codes, [100]);
        let ok = &outcome.response;
        assert_eq!(ok.code, 200, "{ok:?}");
        let contact = header(&ok.headers, "Contact");
        let via = bench.mrfc.sip_addrs()[listener];
        assert!(
            contact.contains(&format!("sip:conference1@{}", via.addr)),
            "{contact}"
        );
        assert!(contact.ends_with(">;isfocus"), "{contact}");
        assert_eq!(header(&ok.headers, "Allow"), ALLOW);
        assert_eq!(header(&ok.headers, "Allow-Events"), "conference");
        assert_eq!(
            header(&ok.headers, "P-Asserted-Identity"),
            "<sip:conference1@home2.net>"
        );
        assert_eq!(header(&ok.headers, "Privacy"), "none");
        let vector = header(&ok.headers, "P-Charging-Vector");
        assert!(
            vector.ends_with(";orig-ioi=home1.net;term-ioi=\"home2.net\""),
            "{vector}"
        );
        assert_eq!(header(&ok.headers, "Content-Type"), "application/sdp");
        let sdp = String::from_utf8(ok.body.clone()).expect("text");
        for line in [
            "c=IN IP4 198.51.100.7",
            "m=message 2855 TCP/MSRP *",
            "a=accept-types:message/cpim text/plain text/html",
            "a=path:msrp://198.51.100.7:2855/s1;tcp",
            "a=max-size:32768",
            "a=msrp-cema",
            "a=setup:passive",
        ] {
            assert!(sdp.lines().any(|l| l == line), "{line} is not in {sdp}");
        }
        client.ack(outcome.dialog, None).await;
        match bench.mrfp.seen().await {
            Seen::Add {
                context: None,
                local,
                remote,
                ..
            } => {
                assert!(local.contains("m=message $ TCP/MSRP *\r\n"), "{local}");
                let remote = remote.expect("the offer was there");
                assert!(
                    remote.contains("a=path:msrp://127.0.0.1:2855/s111271;tcp\r\n"),
                    "{remote}"
                );
            }
            other => panic!("{other:?}"),
        }
        let bye = client.bye(outcome.dialog).await.expect("answered");
        assert_eq!(bye.code, 200);
        assert_eq!(
            bench.mrfp.seen().await,
            Seen::Subtract {
                context: 1,
                termination: "t/1".into()
            }
        );
        bench.mrfc.shutdown(Duration::from_secs(30)).await;
    }
}

// SIP-JOIN-002
#[tokio::test]
async fn what_cannot_be_served_is_refused() {
    let mut config = config();
    config.domains = vec!["home2.net".into()];
    let mut bench = Bench::start(config).await;
    let mut client = bench.client(0).await;
    let good = bench.call(0);
    let table = [
        (
            Call {
                uri: "sip:other@home2.net".into(),
                ..good.clone()
            },
            404,
            "",
            "",
        ),
        (
            Call {
                uri: "sip:conference1@home9.net".into(),
                ..good.clone()
            },
            404,
            "",
            "",
        ),
        (
            Call {
                uri: "tel:+358-50-4821437".into(),
                ..good.clone()
            },
            404,
            "",
            "",
        ),
        (
            Call {
                sdp: Some(OFFER.replace("m=message", "m=audio")),
                ..good.clone()
            },
            488,
            "Warning",
            "304 mrfc",
        ),
        (
            Call {
                sdp: Some(OFFER.replace("TCP/MSRP", "TCP/TLS/MSRP")),
                ..good.clone()
            },
            488,
            "Warning",
            "399 mrfc",
        ),
        (
            Call {
                sdp: Some("nonsense".into()),
                ..good.clone()
            },
            488,
            "Warning",
            "399 mrfc",
        ),
        (
            Call {
                sdp: None,
                headers: vec![("Require".into(), "precondition".into())],
                ..good.clone()
            },
            420,
            "Unsupported",
            "precondition",
        ),
        // RFC 3891 and RFC 3911: what is not done is not promised.
        (
            Call {
                headers: vec![
                    ("Require".into(), "replaces".into()),
                    ("Replaces".into(), "1@x;to-tag=2;from-tag=3".into()),
                ],
                ..good.clone()
            },
            420,
            "Unsupported",
            "replaces",
        ),
        (
            Call {
                headers: vec![
                    ("Require".into(), "join".into()),
                    ("Join".into(), "1@x;to-tag=2;from-tag=3".into()),
                ],
                ..good.clone()
            },
            420,
            "Unsupported",
            "join",
        ),
    ];
    for (call, code, name, value) in table {
        let outcome = client.invite(&call).await.expect("placed");
        check_refused(&outcome.response, code, name, value);
    }
    for (error, code) in [(449, 488), (412, 503), (510, 503)] {
        bench.mrfp.fail_next(error).await;
        let outcome = client.invite(&good).await.expect("placed");
        assert_eq!(outcome.response.code, code, "H.248 error {error}");
        assert!(matches!(
            bench.mrfp.seen().await,
            Seen::Add { context: None, .. }
        ));
    }
    let metrics = bench.mrfc.metrics();
    assert_eq!(
        (metrics.joins, metrics.refusals, metrics.subtracts),
        (0, 9, 0),
        "{metrics:?}"
    );
}

// TS 24.247 6.3.2.2.2.
// SIP-JOIN-003
#[tokio::test]
async fn charging_functions_are_those_of_the_request_or_our_own() {
    let mut config = config();
    config.charging_function_addresses = Some("ccf=\"ours\"".into());
    let bench = Bench::start(config).await;
    let mut client = bench.client(0).await;
    let name = "P-Charging-Function-Addresses";
    let mut call = bench.call(0);
    let outcome = client.invite(&call).await.expect("placed");
    check_refused(&outcome.response, 200, name, "ccf=\"ours\"");
    call.headers.push((name.into(), "ccf=\"theirs\"".into()));
    let outcome = client.invite(&call).await.expect("placed");
    let all: Vec<_> = outcome.response.headers.all(name).collect();
    assert_eq!(all, ["ccf=\"theirs\""]);
}

// SIP-JOIN-004
#[tokio::test]
async fn several_sessions_in_one_offer_are_one_and_the_others_refused() {
    let mut bench = Bench::start(config()).await;
    let mut client = bench.client(0).await;
    let second = OFFER.split("t=0 0\r\n").nth(1).expect("media");
    let call = Call {
        sdp: Some(OFFER.to_owned() + &second.replace("s111271", "s2")),
        ..bench.call(0)
    };
    let outcome = client.invite(&call).await.expect("placed");
    let answer = String::from_utf8(outcome.response.body).expect("text");
    let lines: Vec<_> = answer.lines().filter(|l| l.starts_with("m=")).collect();
    assert_eq!(
        lines,
        ["m=message 2855 TCP/MSRP *", "m=message 0 TCP/MSRP *"]
    );
    assert!(matches!(bench.mrfp.seen().await, Seen::Add { .. }));
}

// SIP-JOIN-005
#[tokio::test]
async fn without_an_mrfp_a_join_is_put_off() {
    let mrfc = mrfc::start(config()).await.expect("starts");
    let mut client = SipClient::bind(SipAddr::udp("127.0.0.1:0".parse().expect("addr")))
        .await
        .expect("port");
    let call = Call {
        uri: "sip:conference1@home2.net".into(),
        via: mrfc.sip_addrs()[0],
        from: "sip:a@b".into(),
        sdp: Some(OFFER.into()),
        headers: Vec::new(),
    };
    let outcome = client.invite(&call).await.expect("placed");
    check_refused(&outcome.response, 503, "Retry-After", "5");
}

// SIP-JOIN-006
#[tokio::test]
async fn two_joins_at_once_share_a_context_and_the_third_finds_no_seat() {
    let mut config = config();
    config.max_participants = 2;
    let mut bench = Bench::start(config).await;
    bench.mrfp.hold().await;
    let (mut one, mut two) = (bench.client(0).await, bench.client(1).await);
    let first = one.start(&bench.call(0)).await.expect("placed");
    assert!(matches!(
        bench.mrfp.seen().await,
        Seen::Add { context: None, .. }
    ));
    let second = two.start(&bench.call(1)).await.expect("placed");
    // Its 100 says that it is ahead of the third.
    match two.next_event().await.expect("the stack lives") {
        Event::Response { response, .. } => assert_eq!(response.code, 100),
        other => panic!("{other:?}"),
    }
    let mut three = bench.client(0).await;
    let full = three.invite(&bench.call(0)).await.expect("placed");
    check_refused(&full.response, 486, "Warning", "The conference is full");
    bench.mrfp.release().await;
    let first = one.outcome(first).await.expect("answered");
    let second = two.outcome(second).await.expect("answered");
    assert_eq!((first.response.code, second.response.code), (200, 200));
    assert!(matches!(
        bench.mrfp.seen().await,
        Seen::Add {
            context: Some(1),
            ..
        }
    ));
    let status = bench.mrfc.conferences().await;
    assert_eq!(
        (
            status.len(),
            status[0].context,
            status[0].participants.len()
        ),
        (1, Some(1), 2)
    );
    one.ack(first.dialog, None).await;
    two.ack(second.dialog, None).await;
    assert_eq!(one.bye(first.dialog).await.expect("answered").code, 200);
    assert!(matches!(
        bench.mrfp.seen().await,
        Seen::Subtract { context: 1, .. }
    ));
    assert_eq!(two.bye(second.dialog).await.expect("answered").code, 200);
    assert!(matches!(
        bench.mrfp.seen().await,
        Seen::Subtract { context: 1, .. }
    ));
    // The last one has ended the conference: the next opens a new context.
    let (_, seen) = bench.join(&mut one, 0).await;
    assert!(matches!(seen, Seen::Add { context: None, .. }), "{seen:?}");
}

// SIP-JOIN-007
#[tokio::test]
async fn cancel_while_the_add_is_under_way() {
    let mut bench = Bench::start(config()).await;
    bench.mrfp.hold().await;
    let mut client = bench.client(0).await;
    let dialog = client.start(&bench.call(0)).await.expect("placed");
    assert!(matches!(bench.mrfp.seen().await, Seen::Add { .. }));
    client.cancel(dialog).await;
    let outcome = client.outcome(dialog).await.expect("answered");
    assert_eq!(outcome.response.code, 487);
    bench.mrfp.release().await;
    assert_eq!(
        bench.mrfp.seen().await,
        Seen::Subtract {
            context: 1,
            termination: "t/1".into()
        }
    );
}

// MSRP-SDP-010.
// SIP-JOIN-008
#[tokio::test]
async fn a_new_offer_changes_the_termination_and_the_same_one_does_not() {
    let mut bench = Bench::start(config()).await;
    let mut client = bench.client(0).await;
    let (dialog, _) = bench.join(&mut client, 0).await;
    let same = client
        .request(dialog, Method::Update, Some(OFFER))
        .await
        .expect("answered");
    assert_eq!(same.code, 200);
    let moved = OFFER
        .replace("s111271", "s2")
        .replace("a=setup", "a=sendonly\r\na=setup");
    let changed = client
        .request(dialog, Method::Invite, Some(&moved))
        .await
        .expect("answered");
    assert_eq!(changed.code, 200);
    client.ack(dialog, None).await;
    match bench.mrfp.seen().await {
        Seen::Modify { remote, .. } => assert!(remote.contains("/s2;tcp"), "{remote}"),
        other => panic!("{other:?}"),
    }
    let line = |body: &[u8], prefix: &str| {
        let text = String::from_utf8_lossy(body).into_owned();
        text.lines()
            .find(|l| l.starts_with(prefix))
            .unwrap_or("")
            .to_owned()
    };
    assert_eq!(line(&changed.body, "a=recvonly"), "a=recvonly");
    assert_ne!(line(&changed.body, "o="), line(&same.body, "o="));
    let refresh = client
        .request(dialog, Method::Update, None)
        .await
        .expect("answered");
    assert_eq!((refresh.code, refresh.body.len()), (200, 0));
    let bad = client
        .request(dialog, Method::Update, Some("v=0\r\n"))
        .await
        .expect("answered");
    check_refused(&bad, 488, "Warning", "304");
    let unknown = client
        .request(dialog, Method::Other("BREW".into()), None)
        .await
        .expect("answered");
    check_refused(&unknown, 501, "Allow", ALLOW);
    let info = client
        .request(dialog, Method::Info, None)
        .await
        .expect("answered");
    check_refused(&info, 405, "Allow", ALLOW);
    let options = client
        .request(dialog, Method::Options, None)
        .await
        .expect("answered");
    assert_eq!(options.code, 200);
}

// SIP-JOIN-009
#[tokio::test]
async fn an_invite_without_offer_gets_ours_and_answers_it_in_the_ack() {
    let mut bench = Bench::start(config()).await;
    let mut client = bench.client(0).await;
    let call = Call {
        sdp: None,
        ..bench.call(0)
    };
    let outcome = client.invite(&call).await.expect("placed");
    assert_eq!(outcome.response.code, 200);
    let offer = String::from_utf8(outcome.response.body).expect("text");
    assert!(offer.contains("a=setup:actpass\r\n"), "{offer}");
    assert!(matches!(
        bench.mrfp.seen().await,
        Seen::Add { remote: None, .. }
    ));
    client.ack(outcome.dialog, Some(OFFER)).await;
    assert!(matches!(bench.mrfp.seen().await, Seen::Modify { .. }));

    let outcome = client.invite(&call).await.expect("placed");
    assert!(matches!(
        bench.mrfp.seen().await,
        Seen::Add {
            context: Some(1),
            ..
        }
    ));
    client.ack(outcome.dialog, None).await;
    assert!(
        until_bye(&mut client).await.contains("cause=488"),
        "no answer in the ACK"
    );
    assert!(matches!(bench.mrfp.seen().await, Seen::Subtract { .. }));
}

// SIP-END-005
#[tokio::test]
async fn a_lost_mrfp_ends_the_calls() {
    let mut bench = Bench::start(config()).await;
    let mut client = bench.client(1).await;
    let _ = bench.join(&mut client, 1).await;
    bench.mrfp.depart(Departure::Forced).await;
    assert!(until_bye(&mut client).await.contains("cause=503"));
    let metrics = bench.mrfc.metrics();
    assert_eq!(
        (metrics.mrfp_losses, metrics.subtracts),
        (1, 0),
        "{metrics:?}"
    );
}

// SIP-END-007
#[tokio::test]
async fn shutdown_ends_every_call_and_subtracts_every_termination() {
    let mut bench = Bench::start(config()).await;
    let (mut one, mut two) = (bench.client(0).await, bench.client(3).await);
    let _ = bench.join(&mut one, 0).await;
    let _ = bench.join(&mut two, 3).await;
    let ended = async {
        assert!(until_bye(&mut one).await.contains("cause=410"));
        assert!(until_bye(&mut two).await.contains("cause=410"));
    };
    let Bench { mrfc, mut mrfp } = bench;
    tokio::join!(mrfc.shutdown(Duration::from_secs(30)), ended);
    assert!(matches!(mrfp.seen().await, Seen::Subtract { .. }));
    assert!(matches!(mrfp.seen().await, Seen::Subtract { .. }));
}
