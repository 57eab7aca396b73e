//! The focus calls and removes on request: REFER, as in TS 24.247 A.5.2.

use super::{Bench, check_refused, config, header, until_acknowledged};
use crate::mrfp::Seen;
use crate::phones::{Callee, Notify, invited, refer};
use mrfc::{Action, Config};
use sip::{Answer, Call, Event, Method, SipAddr, SipClient};

/// The next NOTIFY: its event, its subscription state, the first line of its body.
async fn notified(client: &mut SipClient) -> (String, String, String) {
    let notify = Notify::next(client, "message/sipfrag;version=2.0").await;
    let body = String::from_utf8(notify.body).expect("text");
    (notify.event, notify.state, body.trim_end().to_owned())
}

async fn check_notified(client: &mut SipClient, event: &str, state: &str, line: &str) {
    let got = notified(client).await;
    assert_eq!(got, (event.to_owned(), state.to_owned(), line.to_owned()));
}

const OVER: &str = "terminated;reason=noresource";

// SIP-CALL-001, SIP-CALL-004
#[tokio::test]
async fn a_participant_has_somebody_called_and_removed_again() {
    for listener in [0, 1] {
        let mut bench = Bench::start(config()).await;
        let (mut one, dialog) = bench.joined(listener).await;
        let mut two = Callee::new(&bench, listener).await;
        let to = format!("<{};method=INVITE>", two.uri);
        let by = [("Referred-By", "<sip:user1_public1@home1.net>")];
        let accepted = refer(&mut one, dialog, &to, &by).await;
        check_refused(&accepted, 202, "Contact", "isfocus");
        check_notified(&mut one, "refer", "active", "SIP/2.0 100 Trying").await;

        let (called, txn, invite) = two.invited().await;
        assert_eq!(invite.uri.as_str(), two.uri);
        let from = invite.headers.from().expect("From");
        assert_eq!(from.uri.as_str(), "sip:conference1@home2.net");
        assert_eq!(
            header(&invite.headers, "P-Asserted-Identity"),
            "<sip:conference1@home2.net>"
        );
        assert_eq!(header(&invite.headers, "Referred-By"), by[0].1);
        assert!(header(&invite.headers, "Contact").ends_with(";isfocus"));
        let vector = header(&invite.headers, "P-Charging-Vector");
        assert!(vector.ends_with(";orig-ioi=\"home2.net\""), "{vector}");
        let offer = String::from_utf8_lossy(&invite.body).into_owned();
        for line in ["a=setup:active", "a=path:msrp://198.51.100.7:2855/s2;tcp"] {
            assert!(offer.lines().any(|l| l == line), "{line} in {offer}");
        }
        match bench.mrfp.seen().await {
            Seen::Add {
                context: Some(1),
                local,
                remote: None,
                ..
            } => assert!(local.contains("a=setup:active\r\n"), "{local}"),
            other => panic!("{other:?}"),
        }
        two.answer(txn, 180).await;
        check_notified(&mut one, "refer", "active", "SIP/2.0 180 Ringing").await;
        two.answer(txn, 200).await;
        match bench.mrfp.seen().await {
            Seen::Modify {
                remote, connects, ..
            } => {
                assert!(remote.contains("/s417121;tcp\r\n"), "{remote}");
                assert!(remote.contains("a=setup:passive\r\n"), "{remote}");
                assert!(connects);
            }
            other => panic!("{other:?}"),
        }
        check_notified(&mut one, "refer", OVER, "SIP/2.0 200 OK").await;
        until_acknowledged(&mut two.client, called).await;

        let to = format!("<{};method=BYE>", two.uri);
        let accepted = refer(&mut one, dialog, &to, &[]).await;
        assert_eq!(accepted.code, 202);
        assert!(
            super::until_bye(&mut two.client)
                .await
                .contains("cause=403")
        );
        let event = notified(&mut one).await;
        assert!(event.0.starts_with("refer;id="), "{event:?}");
        let (last, state, line) = notified(&mut one).await;
        assert_eq!(last, event.0);
        assert_eq!((&*state, &*line), (OVER, "SIP/2.0 200 OK"));
        assert!(matches!(
            bench.mrfp.seen().await,
            Seen::Subtract { context: 1, .. }
        ));
        until_acknowledged(&mut one, dialog).await;
        let metrics = bench.mrfc.metrics();
        assert_eq!(
            (metrics.refers, metrics.calls, metrics.calls_accepted),
            (2, 1, 1),
            "{metrics:?}"
        );
    }
}

// SIP-CALL-005
#[tokio::test]
async fn a_call_that_is_refused_gives_its_termination_back_and_is_told() {
    let mut bench = Bench::start(config()).await;
    let (mut one, dialog) = bench.joined(0).await;
    let mut two = Callee::new(&bench, 0).await;
    assert_eq!(refer(&mut one, dialog, &two.uri, &[]).await.code, 202);
    let (_, txn, _) = two.invited().await;
    two.answer(txn, 486).await;
    check_notified(&mut one, "refer", "active", "SIP/2.0 100 Trying").await;
    check_notified(&mut one, "refer", OVER, "SIP/2.0 486 Busy Here").await;
    assert!(matches!(bench.mrfp.seen().await, Seen::Add { .. }));
    assert!(matches!(bench.mrfp.seen().await, Seen::Subtract { .. }));
}

// SIP-CALL-006
#[tokio::test]
async fn an_answer_without_a_usable_session_ends_the_call() {
    let mut bench = Bench::start(config()).await;
    let (mut one, dialog) = bench.joined(0).await;
    let mut two = Callee::new(&bench, 0).await;
    assert_eq!(refer(&mut one, dialog, &two.uri, &[]).await.code, 202);
    let (_, txn, _) = two.invited().await;
    let contact = format!("<sip:user2@{}>", two.client.local().addr);
    let answer = Answer::new(200).with("Contact", contact);
    two.client.respond(txn, answer).await;
    assert!(
        super::until_bye(&mut two.client)
            .await
            .contains("cause=488")
    );
    check_notified(&mut one, "refer", "active", "SIP/2.0 100 Trying").await;
    check_notified(&mut one, "refer", OVER, "SIP/2.0 488 Not Acceptable Here").await;
    assert!(matches!(bench.mrfp.seen().await, Seen::Add { .. }));
    assert!(matches!(bench.mrfp.seen().await, Seen::Subtract { .. }));
}

// SIP-CALL-007
// SIP-CALL-017
#[tokio::test]
async fn who_is_removed_while_the_phone_rings_is_cancelled() {
    let mut bench = Bench::start(config()).await;
    let (mut one, dialog) = bench.joined(0).await;
    let mut two = Callee::new(&bench, 0).await;
    let silent = [("Refer-Sub", "false"), ("Supported", "norefersub")];
    let accepted = refer(&mut one, dialog, &two.uri, &silent).await;
    check_refused(&accepted, 202, "Refer-Sub", "false");
    let (_, txn, _) = two.invited().await;
    two.answer(txn, 180).await;
    let to = format!("<{};method=BYE>", two.uri);
    assert_eq!(refer(&mut one, dialog, &to, &silent).await.code, 202);
    loop {
        match two.client.next_event().await.expect("the stack lives") {
            Event::Cancelled { is_initial, .. } => break assert!(is_initial),
            _ => continue,
        }
    }
    assert!(matches!(bench.mrfp.seen().await, Seen::Add { .. }));
    assert!(matches!(bench.mrfp.seen().await, Seen::Subtract { .. }));
    // Nobody is told of either REFER: the next that comes is the end of the conference.
    assert_eq!(bench.mrfc.act("conference1", Action::Close).await, Ok(()));
    let next = one.next_event().await.expect("the stack lives");
    assert!(matches!(next, Event::Bye { .. }), "{next:?}");
}

// SIP-CALL-002
// SIP-CALL-016
#[tokio::test]
async fn a_refer_that_cannot_be_served_is_refused() {
    let mut bench = Bench::start(config()).await;
    let (mut one, dialog) = bench.joined(0).await;
    for (refer_to, code) in [
        ("<sip:b@127.0.0.1;method=MESSAGE>", 488),
        ("<mailto:b@127.0.0.1>", 416),
        ("<sip:a@127.0.0.1>, <sip:b@127.0.0.1>", 400),
        ("<sip:nobody@home2.net;method=BYE>", 404),
    ] {
        let refused = refer(&mut one, dialog, refer_to, &[]).await;
        assert_eq!(refused.code, code, "{refer_to}");
    }
    // RFC 5368: who requires a list of targets learns that there is none.
    let several = [("Require", "multiple-refer")];
    let refused = refer(&mut one, dialog, "<cid:list@127.0.0.1>", &several).await;
    check_refused(&refused, 420, "Unsupported", "multiple-refer");
    let outside = |from: &str, uri: &str| Call {
        uri: uri.into(),
        from: from.into(),
        sdp: None,
        headers: vec![(
            "Refer-To".into(),
            "<sip:nobody@home2.net;method=BYE>".into(),
        )],
        ..bench.call(0)
    };
    let stranger = outside("sip:stranger@home3.net", "sip:conference1@home2.net");
    let (_, refused) = one.ask(Method::Refer, &stranger).await.expect("answered");
    assert_eq!(refused.code, 403);
    let unknown = outside("sip:user1_public1@home1.net", "sip:nowhere@home2.net");
    let (_, refused) = one.ask(Method::Refer, &unknown).await.expect("answered");
    assert_eq!(refused.code, 404);
    assert_eq!(bench.mrfc.metrics().refers_refused, 6);
}

// SIP-CALL-003
#[tokio::test]
async fn a_refer_outside_any_dialog_is_told_in_its_own() {
    let mut bench = Bench::start(config()).await;
    let (mut one, _) = bench.joined(0).await;
    let mut two = Callee::new(&bench, 0).await;
    let call = Call {
        sdp: None,
        headers: vec![("Refer-To".into(), format!("<{}>", two.uri))],
        ..bench.call(0)
    };
    let (_, accepted) = one.ask(Method::Refer, &call).await.expect("answered");
    assert_eq!(accepted.code, 202);
    check_notified(&mut one, "refer", "active", "SIP/2.0 100 Trying").await;
    let (_, txn, _) = two.invited().await;
    two.answer(txn, 603).await;
    check_notified(&mut one, "refer", OVER, "SIP/2.0 603 Decline").await;
}

#[tokio::test]
async fn calls_go_where_the_uri_of_the_next_hop_leads_and_sips_only_securely() {
    let local = SipAddr::tcp("127.0.0.1:0".parse().expect("an address"));
    let mut proxy = SipClient::bind(local).await.expect("a free port");
    // The system's file of hosts has this name.
    let hop = format!("sip:localhost:{};transport=tcp", proxy.local().addr.port());
    let bench = &mut Bench::start(Config {
        next_hop: Some(hop.parse().expect("a next hop")),
        ..config()
    })
    .await;
    let (mut one, dialog) = bench.joined(0).await;
    let to = "sip:user2_public1@home9.invalid";
    assert_eq!(
        refer(&mut one, dialog, &format!("<{to}>"), &[]).await.code,
        202
    );
    let (_, txn, invite) = invited(&mut proxy).await;
    assert_eq!(invite.uri.as_str(), to);
    proxy.respond(txn, Answer::new(486)).await;
    check_notified(&mut one, "refer", "active", "SIP/2.0 100 Trying").await;
    check_notified(&mut one, "refer", OVER, "SIP/2.0 486 Busy Here").await;

    let accepted = refer(&mut one, dialog, "<sips:user2@home9.invalid>", &[]).await;
    assert_eq!(accepted.code, 202);
    loop {
        let (_, state, line) = notified(&mut one).await;
        if state == OVER {
            assert_eq!(line, "SIP/2.0 404 No Route");
            break;
        }
    }
}
