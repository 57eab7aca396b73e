//! The association between a controller and an MRFP is cut with requests under way; both are back at once.

use mrf_cli::participant::{Caller, Target};
use tokio::task::JoinHandle;

use crate::kill::{controller, join, media_plane_with, run, until_shown as until};
use crate::program::Server;
use crate::wire::{Way, Wire};

/// Their names do not fit into one short message.
const JOINING: usize = 80;
const SHORT: [&str; 2] = ["--h248-pdu", "512"];

/// Joins under way; each tells how it was answered.
async fn start_joins(mrfc: &Server) -> Vec<JoinHandle<u16>> {
    let uri = format!("sip:kill@{}", mrfc.get("sip.udp"));
    let target = Target::resolve(&uri, None).await.unwrap();
    let mut joins = Vec::new();
    for number in 0..JOINING {
        let target = target.clone();
        joins.push(tokio::spawn(async move {
            let user = format!("user{number}");
            let from = |addr| format!("sip:{user}@{addr}");
            let mut caller = Caller::bind(&target, None, from, &user).await.unwrap();
            let outcome = caller.invite(&target, Vec::new()).await.unwrap();
            outcome.response.code
        }));
    }
    joins
}

/// One stays, one leaves, many join while what goes one way is lost.
fn cut_under_traffic(lost: Way) {
    let mrfc = controller();
    run(async {
        let wire = Wire::to(mrfc.get("h248.tcp").parse().unwrap()).await;
        let mrfp = media_plane_with(&[&wire.addr().to_string()], "1h", &SHORT);
        until(&mrfc, "mrf_mrfc_mrfps 1").await;
        let mut stays = join(&mrfc, "ann").await;
        let mut leaves = join(&mrfc, "bob").await;
        wire.lose(lost);
        leaves.sip.bye(leaves.dialog).await.unwrap();
        until(&mrfc, "mrf_mrfc_subtracts_total 1").await;
        let joins = start_joins(&mrfc).await;
        until(&mrfc, &format!("mrf_mrfc_adds_total {}", 2 + JOINING)).await;
        let left = match lost {
            // Nothing of it arrived.
            Way::ToMrfp => 2,
            // All of it did, and nobody knows.
            Way::ToMrfc => 1 + JOINING,
        };
        until(&mrfp, &format!("mrf_mrfp_terminations {left}")).await;
        wire.cut();
        for join in joins {
            assert_eq!(join.await.unwrap(), 503);
        }
        until(&mrfp, "mrf_mrfp_terminations 1").await;
        let strangers = left - 1;
        until(&mrfc, &format!("mrf_mrfc_strangers_total {strangers}")).await;
        until(&mrfc, "mrf_mrfc_participants 1").await;
        let mut next = join(&mrfc, "cyn").await;
        until(&mrfp, "mrf_mrfp_terminations 2").await;
        until(&mrfp, "mrf_mrfp_contexts 1").await;
        for one in [&mut stays, &mut next] {
            one.sip.bye(one.dialog).await.unwrap();
        }
        until(&mrfp, "mrf_mrfp_terminations 0").await;
        until(&mrfp, "mrf_mrfp_contexts 0").await;
        until(&mrfc, "mrf_mrfc_participants 0").await;
    });
}

#[test]
fn what_was_executed_and_not_answered_when_the_association_was_cut_does_not_stay() {
    cut_under_traffic(Way::ToMrfc);
}

#[test]
fn what_did_not_arrive_when_the_association_was_cut_is_made_up_for() {
    cut_under_traffic(Way::ToMrfp);
}
