//! Participants that say nothing.

use super::{Bench, OFFER, check_refused, config, until_acknowledged, until_bye};
use crate::mrfp::Seen;
use crate::phones::later;
use sip::{Event, Method, SipClient};

// SIP-JOIN-013
#[tokio::test]
async fn a_silent_participant_is_removed() {
    let mut bench = Bench::start(config()).await;
    let mut client = bench.client(0).await;
    let mut call = bench.call(0);
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    call.headers = vec![field("Supported", "timer"), field("Session-Expires", "89")];
    let small = client.invite(&call).await.expect("placed");
    check_refused(&small.response, 422, "Min-SE", "90");
    call.headers[1] = field("Session-Expires", "90");
    let joined = client.invite(&call).await.expect("placed");
    check_refused(&joined.response, 200, "Session-Expires", "90;refresher=uac");
    check_refused(&joined.response, 200, "Require", "timer");
    client.ack(joined.dialog, None).await;
    until_acknowledged(&mut client, joined.dialog).await;
    later(61).await;
    assert!(until_bye(&mut client).await.contains("cause=408"));
    assert!(matches!(bench.mrfp.seen().await, Seen::Add { .. }));
    assert!(matches!(bench.mrfp.seen().await, Seen::Subtract { .. }));
}

async fn refresh_after_half_an_interval(client: &mut SipClient) -> sip::TxnId {
    later(901).await;
    match client.next_event().await.expect("the stack lives") {
        Event::Request { txn, request, .. } => {
            assert_eq!(request.method, Method::Update);
            txn
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_participant_without_session_timers_is_asked_whether_it_is_there() {
    let mut bench = Bench::start(config()).await;
    let (mut client, dialog) = bench.joined(0).await;
    // Any answer shows that somebody is there.
    let txn = refresh_after_half_an_interval(&mut client).await;
    client.respond(txn, sip::Answer::new(501)).await;
    until_acknowledged(&mut client, dialog).await;
    let txn = refresh_after_half_an_interval(&mut client).await;
    client.respond(txn, sip::Answer::new(481)).await;
    assert!(until_bye(&mut client).await.contains("cause=408"));
    assert!(matches!(bench.mrfp.seen().await, Seen::Subtract { .. }));
}

/// One that wants its session refreshed at half of `seconds`.
async fn with_timer(bench: &mut Bench, seconds: &str, allow: &str) -> (SipClient, sip::DialogId) {
    let mut client = bench.client(0).await;
    let mut call = bench.call(0);
    let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    call.headers = vec![
        field("Supported", "timer"),
        field("Session-Expires", &format!("{seconds};refresher=uas")),
        field("Allow", allow),
    ];
    let joined = client.invite(&call).await.expect("placed");
    assert_eq!(joined.response.code, 200);
    client.ack(joined.dialog, None).await;
    until_acknowledged(&mut client, joined.dialog).await;
    assert!(matches!(bench.mrfp.seen().await, Seen::Add { .. }));
    (client, joined.dialog)
}

async fn refresh(client: &mut SipClient) -> (sip::TxnId, Box<sip::Request>) {
    match client.next_event().await.expect("the stack lives") {
        Event::Request { txn, request, .. } => (txn, request),
        other => panic!("{other:?}"),
    }
}

// SIP-JOIN-015
#[tokio::test]
async fn what_the_answer_to_a_refresh_says_holds() {
    let mut bench = Bench::start(config()).await;
    let (mut client, dialog) = with_timer(&mut bench, "200", "INVITE, UPDATE").await;
    later(101).await;
    let (txn, request) = refresh(&mut client).await;
    assert_eq!(request.method, Method::Update);
    check_field(&request, "Session-Expires", "200;refresher=uac");
    check_field(&request, "Contact", ";isfocus");
    // It wants a longer interval, and then to do it itself.
    let answer = sip::Answer::new(422).with("Min-SE", "400");
    client.respond(txn, answer).await;
    until_acknowledged(&mut client, dialog).await;
    later(4).await;
    let (txn, request) = refresh(&mut client).await;
    check_field(&request, "Session-Expires", "400;refresher=uac");
    check_field(&request, "Min-SE", "400");
    let answer = sip::Answer::new(200).with("Session-Expires", "400;refresher=uas");
    client.respond(txn, answer.with("Require", "timer")).await;
    until_acknowledged(&mut client, dialog).await;
    later(369).await;
    assert!(until_bye(&mut client).await.contains("cause=408"));
    assert!(matches!(bench.mrfp.seen().await, Seen::Subtract { .. }));
}

/// A proxy in between may be busy, and the peer itself.
#[tokio::test]
async fn a_refusal_of_a_refresh_ends_no_session() {
    let mut bench = Bench::start(config()).await;
    let (mut client, dialog) = with_timer(&mut bench, "200", "INVITE, UPDATE").await;
    later(101).await;
    for code in [503, 500] {
        let (txn, request) = refresh(&mut client).await;
        check_field(&request, "Session-Expires", "200;refresher=uac");
        client.respond(txn, sip::Answer::new(code)).await;
        until_acknowledged(&mut client, dialog).await;
        // Before 200 s are over the peer would give up.
        later(26).await;
    }
    let (txn, _) = refresh(&mut client).await;
    client.respond(txn, sip::Answer::new(200)).await;
    until_acknowledged(&mut client, dialog).await;
    assert_eq!(bench.mrfc.metrics().leaves, 0);
}

// SIP-JOIN-014
#[tokio::test]
async fn who_takes_no_update_is_sent_its_description_again() {
    let mut bench = Bench::start(config()).await;
    let (mut client, dialog) = with_timer(&mut bench, "200", "INVITE, ACK, BYE").await;
    later(101).await;
    let (txn, request) = refresh(&mut client).await;
    assert_eq!(request.method, Method::Invite);
    check_field(&request, "Session-Expires", "200;refresher=uac");
    let offer = String::from_utf8_lossy(&request.body).into_owned();
    assert!(
        offer.contains("a=path:msrp://198.51.100.7:2855/s1;tcp"),
        "{offer}"
    );
    let answer = sip::Answer::new(200).with_body("application/sdp", OFFER.as_bytes());
    client.respond(txn, answer).await;
    assert!(matches!(
        client.next_event().await,
        Some(Event::Acked { .. })
    ));
    // Nothing changed, so nothing is asked of the MRFP; and the next one comes in its time.
    later(101).await;
    let (txn, request) = refresh(&mut client).await;
    assert_eq!(request.method, Method::Invite);
    // Its own re-INVITE crosses ours.
    client.respond(txn, sip::Answer::new(491)).await;
    until_acknowledged(&mut client, dialog).await;
    later(4).await;
    let (txn, _) = refresh(&mut client).await;
    client.respond(txn, sip::Answer::new(481)).await;
    assert!(until_bye(&mut client).await.contains("cause=408"));
    assert!(matches!(bench.mrfp.seen().await, Seen::Subtract { .. }));
}

#[track_caller]
fn check_field(request: &sip::Request, name: &str, value: &str) {
    let found = super::header(&request.headers, name);
    assert!(found.contains(value), "{name}: {found}");
}

// SIP-JOIN-016
#[tokio::test]
async fn a_200_that_nobody_acknowledges_ends_the_call() {
    let mut bench = Bench::start(config()).await;
    let mut client = bench.client(0).await;
    let outcome = client.invite(&bench.call(0)).await.expect("placed");
    assert_eq!(outcome.response.code, 200);
    assert!(matches!(bench.mrfp.seen().await, Seen::Add { .. }));
    later(33).await;
    assert!(until_bye(&mut client).await.contains("ACK missing"));
    assert!(matches!(bench.mrfp.seen().await, Seen::Subtract { .. }));
    assert_eq!(bench.mrfc.metrics().ack_timeouts, 1);
}
