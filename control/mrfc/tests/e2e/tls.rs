//! Sessions over TLS, and sessions that change what they run over.

use super::{Bench, OFFER, check_refused, config, until_acknowledged};
use crate::mrfp::Seen;
use crate::phones::{Callee, answer};
use mrfc::Action;
use sip::{Answer, Call, Method};

fn secured(sdp: &str) -> String {
    let secured = sdp.replace("TCP/MSRP", "TCP/TLS/MSRP");
    secured.replace("path:msrp:", "path:msrps:") + "a=fingerprint:sha-256 AB:CD\r\n"
}

#[track_caller]
fn check_lines(sdp: &[u8], expected: &[&str]) {
    let text = String::from_utf8_lossy(sdp).into_owned();
    for line in expected {
        assert!(text.lines().any(|l| l == *line), "{line}: {text}");
    }
}

// RFC 4975 14, RFC 8122.
#[tokio::test]
async fn msrp_over_tls_is_answered_and_offered() {
    let mut config = config();
    config.offer_transport = sdp::Transport::Tls;
    config.offer_setup = sdp::Setup::ActPass;
    let mut bench = Bench::start(config).await;
    let mut client = bench.client(0).await;
    let call = Call {
        sdp: Some(secured(OFFER)),
        ..bench.call(0)
    };
    let outcome = client.invite(&call).await.expect("placed");
    let answer = String::from_utf8(outcome.response.body).expect("text");
    for line in [
        "m=message 2855 TCP/TLS/MSRP *",
        "a=path:msrps://198.51.100.7:2855/s1;tcp",
        "a=fingerprint:sha-256 01:23",
    ] {
        assert!(answer.lines().any(|l| l == line), "{line}: {answer}");
    }
    match bench.mrfp.seen().await {
        Seen::Add {
            remote: Some(remote),
            ..
        } => assert!(
            remote.contains("a=fingerprint:sha-256 AB:CD\r\n"),
            "{remote}"
        ),
        other => panic!("{other:?}"),
    }
    client.ack(outcome.dialog, None).await;
    until_acknowledged(&mut client, outcome.dialog).await;
    let mut two = Callee::new(&bench, 0).await;
    let call = Action::Invite(two.uri.clone());
    assert_eq!(bench.mrfc.act("conference1", call).await, Ok(()));
    let (_, _, invite) = two.invited().await;
    let offer = String::from_utf8(invite.body).expect("text");
    for line in [
        "m=message 2855 TCP/TLS/MSRP *",
        "a=fingerprint:sha-256 01:23",
        "a=setup:actpass",
    ] {
        assert!(offer.lines().any(|l| l == line), "{line}: {offer}");
    }
}

const TO_TLS: [&str; 3] = [
    "m=message 2855 TCP/TLS/MSRP *",
    "a=path:msrps://198.51.100.7:2855/s2;tcp",
    "a=fingerprint:sha-256 01:23",
];

#[tokio::test]
async fn a_session_moves_to_tls_and_back() {
    let mut bench = Bench::start(config()).await;
    let (mut client, dialog) = bench.joined(0).await;
    let offer = secured(OFFER);
    let changed = client.request(dialog, Method::Invite, Some(&offer)).await;
    let changed = changed.expect("answered");
    assert_eq!(changed.code, 200);
    client.ack(dialog, None).await;
    check_lines(&changed.body, &TO_TLS);
    let Seen::Modify {
        local: Some(local),
        remote,
        connects: false,
        releases: false,
    } = bench.mrfp.seen().await
    else {
        panic!("no other Local");
    };
    assert!(local.contains("m=message $ TCP/TLS/MSRP *\r\n"), "{local}");
    assert!(local.contains("a=path:msrps://$:$/$;tcp\r\n"), "{local}");
    assert!(
        remote.contains("a=fingerprint:sha-256 AB:CD\r\n"),
        "{remote}"
    );
    // What is refused leaves the session as it was, and so does a repetition.
    bench.mrfp.fail_next(449).await;
    let back = client.request(dialog, Method::Update, Some(OFFER)).await;
    check_refused(&back.expect("answered"), 488, "Warning", "449");
    assert!(matches!(
        bench.mrfp.seen().await,
        Seen::Modify { local: Some(_), .. }
    ));
    let same = client.request(dialog, Method::Update, Some(&offer)).await;
    check_lines(&same.expect("answered").body, &TO_TLS);
    let back = client.request(dialog, Method::Update, Some(OFFER)).await;
    check_lines(
        &back.expect("answered").body,
        &["m=message 2855 TCP/MSRP *"],
    );
    assert!(matches!(
        bench.mrfp.seen().await,
        Seen::Modify { local: Some(_), .. }
    ));
}

#[tokio::test]
async fn whoever_was_called_may_connect_itself_from_then_on() {
    let mut bench = Bench::start(config()).await;
    let (_one, _) = bench.joined(0).await;
    let mut two = Callee::new(&bench, 0).await;
    let call = Action::Invite(two.uri.clone());
    assert_eq!(bench.mrfc.act("conference1", call).await, Ok(()));
    let (called, txn, _) = two.invited().await;
    assert!(matches!(bench.mrfp.seen().await, Seen::Add { .. }));
    two.answer_with(txn, Answer::new(200), true).await;
    let answered = bench.mrfp.seen().await;
    assert!(
        matches!(
            &answered,
            Seen::Modify {
                local: None,
                connects: true,
                ..
            }
        ),
        "{answered:?}"
    );
    until_acknowledged(&mut two.client, called).await;
    // The same session, whoever may connect: the connection stays, and so do the parts.
    let open = answer().replace("setup:passive", "setup:actpass");
    let kept = two
        .client
        .request(called, Method::Update, Some(&open))
        .await;
    let kept = kept.expect("answered");
    assert_eq!(kept.code, 200);
    check_lines(&kept.body, &["a=setup:active"]);
    let seen = bench.mrfp.seen().await;
    assert!(
        matches!(
            &seen,
            Seen::Modify {
                local: None,
                connects: false,
                releases: false,
                ..
            }
        ),
        "{seen:?}"
    );
    let own = answer()
        .replace("setup:passive", "setup:active")
        .replace("s417121", "s3");
    let turned = two.client.request(called, Method::Update, Some(&own)).await;
    check_lines(&turned.expect("answered").body, &["a=setup:passive"]);
    let seen = bench.mrfp.seen().await;
    let Seen::Modify {
        local: Some(local),
        connects: false,
        releases: true,
        ..
    } = seen
    else {
        panic!("{seen:?}");
    };
    assert!(local.contains("a=setup:passive\r\n"), "{local}");
}
