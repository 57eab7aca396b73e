//! Several MRFPs, and what is left of legs that end in different ways.

use super::{Bench, OFFER, check_refused, config};
use crate::mrfp::FakeMrfp;
use h248_endpoint::Departure;
use sip::Call;

/// Joins a conference; the MRFP it was placed on.
async fn placed(bench: &Bench, name: &str) -> String {
    let mut client = bench.client(0).await;
    let call = Call {
        uri: format!("sip:{name}@home2.net"),
        ..bench.call(0)
    };
    let outcome = client.invite(&call).await.expect("placed");
    assert_eq!(outcome.response.code, 200, "{:?}", outcome.response);
    client.ack(outcome.dialog, None).await;
    let all = bench.mrfc.conferences().await;
    let one = all.iter().find(|c| c.name == name).expect("it exists");
    one.mrfp.clone().expect("it is placed")
}

// SIP-OPER-001
#[tokio::test]
async fn conferences_go_where_the_fewest_are_and_nobody_leaves() {
    let mut config = config();
    config.create_on_join = true;
    let bench = Bench::start(config).await;
    let mgc = bench.mrfc.h248_addrs()[0];
    let other = FakeMrfp::start_as("other.home2.net", mgc).await;
    while bench.mrfc.metrics().mrfps < 2 {
        tokio::task::yield_now().await;
    }
    let mut places = Vec::new();
    for name in ["a", "b", "c", "d"] {
        places.push(placed(&bench, name).await);
    }
    places.sort_unstable();
    let (one, two) = ("<mrfp.home2.net>", "<other.home2.net>");
    assert_eq!(places, [one, one, two, two]);
    other.depart(Departure::Graceful { delay_s: 60 }).await;
    // It is out as soon as its word is heard; until then it may get one more.
    let mut serial = 0;
    loop {
        serial += 1;
        let names = [format!("e{serial}"), format!("f{serial}")];
        let first = placed(&bench, &names[0]).await;
        let second = placed(&bench, &names[1]).await;
        if first == one && second == one {
            break;
        }
    }
}

#[tokio::test]
async fn what_the_mrfp_says_against_an_offer_is_passed_on() {
    let bench = Bench::start(config()).await;
    bench.mrfp.fail_next(449).await;
    let mut client = bench.client(0).await;
    let call = Call {
        sdp: Some(OFFER.replace("IN IP4 127.0.0.1", "IN IP6 ::1")),
        ..bench.call(0)
    };
    let refused = client.invite(&call).await.expect("placed").response;
    check_refused(&refused, 488, "Warning", "449 scripted");
}
