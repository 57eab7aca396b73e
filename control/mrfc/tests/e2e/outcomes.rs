//! What became of requests is counted by code.

use super::{Bench, config, until_acknowledged};
use crate::mrfp::Seen;
use crate::phones::{Callee, Notify, refer};
use mrfc::Codes;
use sip::Call;

// SIP-OPER-002
#[tokio::test]
async fn every_request_is_counted_by_what_became_of_it() {
    let mut bench = Bench::start(config()).await;
    let mut client = bench.client(0).await;
    let stranger = Call {
        uri: "sip:nowhere@home2.net".into(),
        ..bench.call(0)
    };
    let outcome = client.invite(&stranger).await.expect("placed");
    assert_eq!(outcome.response.code, 404);
    bench.mrfp.fail_next(510).await;
    let outcome = client.invite(&bench.call(0)).await.expect("placed");
    assert_eq!(outcome.response.code, 503);
    assert!(matches!(bench.mrfp.seen().await, Seen::Add { .. }));
    bench.mrfp.hold().await;
    let dialog = client.start(&bench.call(0)).await.expect("placed");
    assert!(matches!(bench.mrfp.seen().await, Seen::Add { .. }));
    client.cancel(dialog).await;
    let outcome = client.outcome(dialog).await.expect("answered");
    assert_eq!(outcome.response.code, 487);
    bench.mrfp.release().await;
    assert!(matches!(bench.mrfp.seen().await, Seen::Subtract { .. }));
    let (dialog, _) = bench.join(&mut client, 0).await;
    until_acknowledged(&mut client, dialog).await;
    let nobody = "<sip:a@x>, <sip:b@x>";
    assert_eq!(refer(&mut client, dialog, nobody, &[]).await.code, 400);
    for code in [603, 200] {
        let mut callee = Callee::new(&bench, 0).await;
        assert_eq!(refer(&mut client, dialog, &callee.uri, &[]).await.code, 202);
        let (_, txn, _) = callee.invited().await;
        callee.answer(txn, code).await;
        let is_over = |notify: &Notify| notify.state.starts_with("terminated");
        while !is_over(&Notify::next(&mut client, "message/sipfrag;version=2.0").await) {}
    }
    let outcomes = bench.mrfc.metrics().outcomes;
    let shown = |codes: &Codes| codes.iter().collect::<Vec<_>>();
    let one_each = [(200, 1), (404, 1), (487, 1), (503, 1)];
    assert_eq!(shown(&outcomes.invites_in), one_each);
    assert_eq!(shown(&outcomes.invites_out), [(200, 1), (603, 1)]);
    assert_eq!(shown(&outcomes.refers), [(202, 2), (400, 1)]);
    assert_eq!(shown(&outcomes.referred), [(200, 1), (603, 1)]);
    assert_eq!(shown(&outcomes.h248_errors), [(510, 1)]);
    let metrics = bench.mrfc.metrics();
    assert_eq!((metrics.h248_failures, metrics.h248_unanswered), (1, 0));
    // Five Adds; of the Subtracts and of the Modify some may be under way.
    assert!(outcomes.h248_latency.count() >= 5, "{outcomes:?}");
}
