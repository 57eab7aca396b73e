//! Participants that say nothing.

use super::{Bench, check_refused, config, until_acknowledged, until_bye};
use crate::mrfp::Seen;
use crate::phones::later;
use sip::{Event, Method, SipClient};

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
    let mut client = bench.client(0).await;
    let (dialog, _) = bench.join(&mut client, 0).await;
    until_acknowledged(&mut client, dialog).await;
    // Any answer shows that somebody is there.
    let txn = refresh_after_half_an_interval(&mut client).await;
    client.respond(txn, sip::Answer::new(501)).await;
    until_acknowledged(&mut client, dialog).await;
    let txn = refresh_after_half_an_interval(&mut client).await;
    client.respond(txn, sip::Answer::new(481)).await;
    assert!(until_bye(&mut client).await.contains("cause=408"));
    assert!(matches!(bench.mrfp.seen().await, Seen::Subtract { .. }));
}

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
