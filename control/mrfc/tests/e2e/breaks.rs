//! The association with the MRFP breaks while requests are under way; the MRFP is back with its contexts.

use super::{Bench, FakeMrfp, OFFER, Seen, config, until_acknowledged, until_bye};
use crate::phones::later;
use crate::wire::{Way, Wire};
use clock::Duration;
use h248_endpoint::{Departure, TransportAddr};
use sip::{DialogId, Method, SipClient};

async fn bench() -> (Bench, Wire) {
    let mut config = config();
    config.h248 = vec![TransportAddr::Tcp("127.0.0.1:0".parse().expect("valid"))];
    config.mrfp_grace = Duration::from_secs(60);
    let mut mrfc = mrfc::start(config).await.expect("starts on free ports");
    let wire = Wire::to(mrfc.h248_addrs()[0].addr()).await;
    let mrfp = FakeMrfp::start(TransportAddr::Tcp(wire.addr())).await;
    mrfc.mrfp_registered().await;
    (Bench { mrfc, mrfp }, wire)
}

async fn joined(bench: &mut Bench) -> (SipClient, DialogId) {
    let (client, dialog) = bench.joined(0).await;
    (client, dialog)
}

fn subtract(termination: &str) -> Seen {
    Seen::Subtract {
        context: 1,
        termination: termination.to_owned(),
    }
}

// SIP-END-003
#[tokio::test]
async fn what_was_added_and_never_told_of_is_subtracted() {
    let (mut bench, wire) = bench().await;
    let (mut stays, dialog) = joined(&mut bench).await;
    // The Add arrives, its answer does not.
    wire.lose(Way::ToMrfc);
    let mut unlucky = bench.client(0).await;
    let call = unlucky.start(&bench.call(0)).await.expect("placed");
    assert!(matches!(bench.mrfp.seen().await, Seen::Add { .. }));
    wire.cut();
    let outcome = unlucky.outcome(call).await.expect("answered");
    assert_eq!(outcome.response.code, 503);
    assert_eq!(bench.mrfp.seen().await, subtract("t/2"));
    // Everybody else goes on.
    let (mut next, other) = joined(&mut bench).await;
    for (client, dialog, termination) in [(&mut next, other, "t/3"), (&mut stays, dialog, "t/1")] {
        client.bye(dialog).await.expect("answered");
        assert_eq!(bench.mrfp.seen().await, subtract(termination));
    }
    let metrics = bench.mrfc.metrics();
    assert_eq!((metrics.strangers, metrics.missing), (1, 0));
    assert_eq!((metrics.adds, metrics.subtracts), (3, 3));
}

#[tokio::test]
async fn a_subtract_that_did_not_arrive_is_made_up_for() {
    let (mut bench, wire) = bench().await;
    let (_stays, _) = joined(&mut bench).await;
    let (mut leaves, dialog) = joined(&mut bench).await;
    wire.lose(Way::ToMrfp);
    leaves.bye(dialog).await.expect("answered");
    while bench.mrfc.metrics().subtracts == 0 {
        tokio::task::yield_now().await;
    }
    wire.cut();
    assert_eq!(bench.mrfp.seen().await, subtract("t/2"));
    assert_eq!(bench.mrfc.metrics().strangers, 1);
}

// SIP-END-004
#[tokio::test]
async fn who_has_nothing_at_the_mrfp_any_more_is_told() {
    let (mut bench, wire) = bench().await;
    let (mut stays, dialog) = joined(&mut bench).await;
    let (mut leaves, _) = joined(&mut bench).await;
    bench.mrfp.lose("t/2").await;
    wire.cut();
    assert!(until_bye(&mut leaves).await.contains("cause=488"));
    assert_eq!(bench.mrfp.seen().await, subtract("t/2"));
    until_acknowledged(&mut stays, dialog).await;
    let metrics = bench.mrfc.metrics();
    assert_eq!((metrics.strangers, metrics.missing), (0, 1));
}

#[tokio::test]
async fn whose_termination_is_found_to_be_gone_is_told() {
    let (mut bench, _wire) = bench().await;
    let (mut client, dialog) = joined(&mut bench).await;
    bench.mrfp.fail_next(430).await;
    let moved = OFFER.replace("s111271", "s2");
    let changed = client.request(dialog, Method::Invite, Some(&moved)).await;
    assert_eq!(changed.expect("answered").code, 503);
    assert!(matches!(bench.mrfp.seen().await, Seen::Modify { .. }));
    assert!(until_bye(&mut client).await.contains("cause=488"));
    assert_eq!(bench.mrfp.seen().await, subtract("t/1"));
}

// A gateway that restarts counts its terminations anew.
#[tokio::test]
async fn a_name_that_is_given_out_again_is_its_new_owners() {
    let mut bench = Bench::start(config()).await;
    let (gone, _) = bench.joined(0).await;
    // It answers no BYE, which is given up after 32 s.
    drop(gone);
    bench.mrfp.depart(Departure::Forced).await;
    while bench.mrfc.metrics().leaves == 0 {
        tokio::task::yield_now().await;
    }
    bench.mrfp = FakeMrfp::start(bench.mrfc.h248_addrs()[0]).await;
    bench.mrfc.mrfp_registered().await;
    let (_stays, _) = bench.joined(0).await;
    assert_eq!(bench.mrfc.metrics().participants, 2);
    later(33).await;
    while bench.mrfc.metrics().participants > 1 {
        tokio::task::yield_now().await;
    }
    bench.mrfp.notify(1, "t/1", ("nt", "netfail"), &[]).await;
    assert_eq!(bench.mrfp.seen().await, Seen::Notified);
}

#[tokio::test]
async fn an_add_under_way_during_the_audit_is_no_stranger() {
    let (mut bench, wire) = bench().await;
    let (_stays, _) = joined(&mut bench).await;
    wire.cut();
    // Nothing is answered, the audit neither.
    bench.mrfp.hold().await;
    while bench.mrfc.metrics().mrfp_losses == 0 || bench.mrfc.metrics().mrfps == 0 {
        tokio::task::yield_now().await;
    }
    let mut client = bench.client(0).await;
    let call = client.start(&bench.call(0)).await.expect("placed");
    assert!(matches!(bench.mrfp.seen().await, Seen::Add { .. }));
    bench.mrfp.release_crossed().await;
    let outcome = client.outcome(call).await.expect("answered");
    assert_eq!(outcome.response.code, 200);
    client.ack(outcome.dialog, None).await;
    until_acknowledged(&mut client, outcome.dialog).await;
    client.bye(outcome.dialog).await.expect("answered");
    assert_eq!(bench.mrfp.seen().await, subtract("t/2"));
    let metrics = bench.mrfc.metrics();
    assert_eq!((metrics.strangers, metrics.missing), (0, 0));
}
