//! One half of the system is killed (SIGKILL) under traffic, at a random moment.

use std::time::Duration;

use mrf_cli::msrp_client::{Event, Outgoing};
use mrf_cli::participant::{Caller, Joined, Target};
use sip::{DialogId, SipClient};
use tokio::time::Instant;

use crate::program::Server;

/// Longer than a grace time and what follows; a test that gets there has failed.
const WITHIN: Duration = Duration::from_secs(60);

pub(crate) fn controller() -> Server {
    let http = ["--http", "127.0.0.1:0"];
    let mut args = vec!["mrfc", "--create-on-join", "on"];
    args.extend(["--sip", "udp:127.0.0.1:0", "--h248", "tcp:127.0.0.1:0"]);
    args.extend(http);
    Server::start(&args)
}

/// `mgcs` in order of preference.
fn media_plane(mgcs: &[&str], keep: &str) -> Server {
    media_plane_with(mgcs, keep, &[])
}

pub(crate) fn media_plane_with(mgcs: &[&str], keep: &str, flags: &[&str]) -> Server {
    let mgcs: Vec<_> = mgcs.iter().map(|mgc| format!("tcp:{mgc}")).collect();
    let mgcs = mgcs.join(",");
    let mut args = vec!["mrfp", "--mgc", &mgcs, "--msrp", "127.0.0.1:0"];
    args.extend([
        "--http",
        "127.0.0.1:0",
        "--shards",
        "1",
        "--context-keep",
        keep,
    ]);
    args.extend(flags);
    Server::start(&args)
}

/// Whether a metric has a value.
#[track_caller]
fn shows(server: &Server, line: &str, deadline: Instant) -> bool {
    let (_, page) = server.http("/metrics");
    let shows = page.lines().any(|l| l == line);
    assert!(
        shows || Instant::now() < deadline,
        "{line} is not in\n{page}"
    );
    shows
}

/// Waits until a metric has a value, while other tasks go on.
pub(crate) async fn until_shown(server: &Server, line: &str) {
    let deadline = Instant::now() + WITHIN;
    while !shows(server, line, deadline) {
        tokio::task::yield_now().await;
    }
}

/// Waits until a metric has a value.
#[track_caller]
fn until(server: &Server, line: &str) {
    let deadline = Instant::now() + WITHIN;
    while !shows(server, line, deadline) {
        std::thread::yield_now();
    }
}

pub(crate) async fn join(mrfc: &Server, user: &str) -> Joined {
    let uri = format!("sip:kill@{}", mrfc.get("sip.udp"));
    let target = Target::resolve(&uri, None).await.unwrap();
    let from = |addr| format!("sip:{user}@{addr}");
    let mut caller = Caller::bind(&target, None, from, user).await.unwrap();
    let outcome = caller.invite(&target, Vec::new()).await.unwrap();
    assert_eq!(outcome.response.code, 200, "{:?}", outcome.response);
    let answered = caller.accept(&outcome).await.unwrap();
    answered.connect(false).await.unwrap()
}

/// Talks until the connection is gone; `count` messages are sure to be answered before that.
async fn talk(joined: Joined, count: usize, ready: tokio::sync::oneshot::Sender<()>) -> Left {
    let Joined {
        sip,
        dialog,
        mut msrp,
        ..
    } = joined;
    let mut ready = Some(ready);
    let (mut sent, mut answered) = (0, 0);
    loop {
        if sent == answered {
            let message = Outgoing {
                content_type: Some("text/plain".into()),
                body: vec![b'x'; 900],
                ..Outgoing::default()
            };
            if msrp.send(message).await.is_ok() {
                sent += 1;
            }
        }
        match msrp.next_event().await {
            Some(Event::Answered { .. }) => answered += 1,
            Some(Event::Closed(_)) | None => return Left { sip, dialog },
            Some(_) => {}
        }
        if answered >= count
            && let Some(ready) = ready.take()
        {
            ready.send(()).unwrap();
        }
    }
}

/// A participant whose connection is gone.
struct Left {
    sip: SipClient,
    dialog: DialogId,
}

pub(crate) fn run<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { tokio::time::timeout(WITHIN, future).await.unwrap() })
}

/// Three talk; `server` is killed once all of them are heard.
async fn kill_under_traffic(mrfc: &Server, server: &Server) -> Vec<Left> {
    let mut talkers = Vec::new();
    let mut ready = Vec::new();
    for user in ["ann", "bob", "cyn"] {
        let joined = join(mrfc, user).await;
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let count = 1 + rand::random::<u8>() as usize / 8;
        talkers.push(tokio::spawn(talk(joined, count, sender)));
        ready.push(receiver);
    }
    for one in ready {
        one.await.unwrap();
    }
    server.program.signal("KILL");
    let mut left = Vec::new();
    for talker in talkers {
        left.push(talker.await.unwrap());
    }
    left
}

#[test]
fn who_loses_the_media_plane_is_told_and_nothing_is_left_at_the_controller() {
    let mrfc = controller();
    let mrfp = media_plane(&[mrfc.get("h248.tcp")], "1m");
    until(&mrfc, "mrf_mrfc_mrfps 1");
    let reasons = run(async {
        let mut reasons = Vec::new();
        for mut one in kill_under_traffic(&mrfc, &mrfp).await {
            loop {
                let event = one.sip.next_event().await.unwrap();
                if let sip::Event::Bye { request, dialog } = event {
                    assert_eq!(dialog, one.dialog);
                    reasons.push(request.headers.get("Reason").unwrap().to_owned());
                    break;
                }
            }
        }
        reasons
    });
    assert_eq!(reasons.len(), 3);
    assert!(
        reasons.iter().all(|r| r.contains("cause=503")),
        "{reasons:?}"
    );
    until(&mrfc, "mrf_mrfc_participants 0");
    until(&mrfc, "mrf_mrfc_conferences 0");
    // The controller goes on with another one.
    let other = media_plane(&[mrfc.get("h248.tcp")], "1m");
    until(&mrfc, "mrf_mrfc_mrfps 1");
    run(async {
        let mut joined = join(&mrfc, "dan").await;
        joined.sip.bye(joined.dialog).await.unwrap();
    });
    until(&other, "mrf_mrfp_contexts 0");
    until(&mrfc, "mrf_mrfc_participants 0");
}

#[test]
fn a_media_plane_that_lost_its_controller_lets_its_contexts_go() {
    let mrfc = controller();
    let mrfp = media_plane(&[mrfc.get("h248.tcp")], "1s");
    until(&mrfc, "mrf_mrfc_mrfps 1");
    // Their connections end with the contexts, not with the controller.
    let left = run(kill_under_traffic(&mrfc, &mrfc));
    assert_eq!(left.len(), 3);
    until(&mrfp, "mrf_mrfp_contexts 0");
    until(&mrfp, "mrf_mrfp_terminations 0");
    until(&mrfp, "mrf_shard_sessions{shard=\"0\"} 0");
}

#[test]
fn the_controller_that_takes_over_ends_what_the_lost_one_left() {
    let (mrfc, second) = (controller(), controller());
    let mrfp = media_plane(&[mrfc.get("h248.tcp"), second.get("h248.tcp")], "1h");
    until(&mrfc, "mrf_mrfc_mrfps 1");
    let left = run(kill_under_traffic(&mrfc, &mrfc));
    assert_eq!(left.len(), 3);
    until(&mrfp, "mrf_mrfp_contexts 0");
    until(&mrfp, "mrf_mrfp_terminations 0");
    run(async {
        let mut joined = join(&second, "dan").await;
        joined.sip.bye(joined.dialog).await.unwrap();
    });
    until(&mrfp, "mrf_mrfp_contexts 0");
}
