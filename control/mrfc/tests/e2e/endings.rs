//! Whatever ends a leg, its termination is subtracted exactly once, nothing is left of it, and one record tells
//! of it.

use super::{Bench, OFFER, config, until_acknowledged, until_bye};
use crate::mrfp::Seen;
use crate::phones::{Callee, fields, later, refer};
use clock::Duration;
use h248_endpoint::{Departure, TransportAddr};
use mrfc::Action;
use sip::{DialogId, Event, Method, SipClient};
use std::path::PathBuf;

/// How a leg comes to its end.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Leaves,
    IsRemoved,
    IsReferredAway,
    ConferenceCloses,
    LosesItsConnection,
    LosesItsTermination,
    FailsToChangeAndLeaves,
    IsSilent,
    NeverAcknowledges,
    CancelsBeforeItsTermination,
    GetsNoTermination,
    DeclinesOurCall,
    LeavesAfterOurCall,
    IsRemovedWhileItRings,
}

const ENDINGS: [Ending; 14] = [
    Ending::Leaves,
    Ending::IsRemoved,
    Ending::IsReferredAway,
    Ending::ConferenceCloses,
    Ending::LosesItsConnection,
    Ending::LosesItsTermination,
    Ending::FailsToChangeAndLeaves,
    Ending::IsSilent,
    Ending::NeverAcknowledges,
    Ending::CancelsBeforeItsTermination,
    Ending::GetsNoTermination,
    Ending::DeclinesOurCall,
    Ending::LeavesAfterOurCall,
    Ending::IsRemovedWhileItRings,
];

impl Ending {
    /// As the call detail record says.
    fn cause(self) -> &'static str {
        match self {
            Self::Leaves | Self::FailsToChangeAndLeaves | Self::LeavesAfterOurCall => "left",
            Self::IsRemoved | Self::IsReferredAway | Self::IsRemovedWhileItRings => "removed",
            Self::ConferenceCloses => "conference ended",
            Self::LosesItsConnection | Self::LosesItsTermination => "media failed",
            Self::IsSilent => "session expired",
            Self::NeverAcknowledges => "not acknowledged",
            Self::CancelsBeforeItsTermination => "cancelled",
            Self::GetsNoTermination => "refused",
            Self::DeclinesOurCall => "call failed",
        }
    }
}

/// What must have been sent to the MRFP, and the causes that must have been recorded.
#[derive(Default)]
struct Model {
    adds: u64,
    subtracts: u64,
    causes: Vec<&'static str>,
}

struct Play {
    bench: Bench,
    client: SipClient,
    model: Model,
    records: Records,
}

/// A file of call detail records.
struct Records(PathBuf);

impl Records {
    fn new(seed: u64) -> Self {
        let name = format!("mrf-mrfc-cdr-{}-{seed}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    /// The causes of so many records, once there are as many.
    async fn causes(&self, count: usize) -> Vec<String> {
        loop {
            let lines = std::fs::read_to_string(&self.0).expect("the file was made at the start");
            if lines.matches('\n').count() >= count {
                let cause = |line: &str| {
                    let record: serde_json::Value = serde_json::from_str(line).expect("JSON");
                    record["cause"].as_str().expect("each has one").to_owned()
                };
                return lines.lines().map(cause).collect();
            }
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Play {
    async fn new(seed: u64) -> Self {
        let records = Records::new(seed);
        let mut config = config();
        config.media_grace = Duration::ZERO;
        config.cdr = Some(records.0.clone());
        let bench = Bench::start(config).await;
        let client = bench.client(0).await;
        Self {
            bench,
            client,
            model: Model::default(),
            records,
        }
    }

    async fn added(&mut self) {
        let seen = self.bench.mrfp.seen().await;
        assert!(matches!(seen, Seen::Add { .. }), "{seen:?}");
        self.model.adds += 1;
    }

    async fn subtracted(&mut self) {
        let seen = self.bench.mrfp.seen().await;
        assert!(matches!(seen, Seen::Subtract { .. }), "{seen:?}");
        self.model.subtracts += 1;
    }

    async fn join(&mut self) -> DialogId {
        let (dialog, seen) = self.bench.join(&mut self.client, 0).await;
        assert!(matches!(seen, Seen::Add { .. }), "{seen:?}");
        self.model.adds += 1;
        until_acknowledged(&mut self.client, dialog).await;
        dialog
    }

    /// The context, and number and termination of the last participant.
    async fn last(&self) -> (u32, u64, String) {
        let all = self.bench.mrfc.conferences().await;
        let last = all[0].participants.last().expect("somebody is there");
        let termination = last.termination.clone().expect("it has one");
        (all[0].context.expect("it is mixed"), last.id, termination)
    }

    async fn act(&self, action: Action) {
        assert_eq!(self.bench.mrfc.act("conference1", action).await, Ok(()));
    }

    async fn play(&mut self, ending: Ending) {
        self.model.causes.push(ending.cause());
        match ending {
            Ending::CancelsBeforeItsTermination => {
                self.bench.mrfp.hold().await;
                let call = self.bench.call(0);
                let dialog = self.client.start(&call).await.expect("placed");
                self.added().await;
                self.client.cancel(dialog).await;
                let outcome = self.client.outcome(dialog).await.expect("answered");
                assert_eq!(outcome.response.code, 487);
                self.bench.mrfp.release().await;
            }
            Ending::GetsNoTermination => {
                self.bench.mrfp.fail_next(510).await;
                let call = self.bench.call(0);
                let outcome = self.client.invite(&call).await.expect("placed");
                assert_eq!(outcome.response.code, 503);
                return self.added().await;
            }
            Ending::DeclinesOurCall
            | Ending::LeavesAfterOurCall
            | Ending::IsRemovedWhileItRings => {
                self.play_called(ending).await;
            }
            Ending::Leaves
            | Ending::IsRemoved
            | Ending::IsReferredAway
            | Ending::ConferenceCloses
            | Ending::LosesItsConnection
            | Ending::LosesItsTermination
            | Ending::FailsToChangeAndLeaves => self.play_joined(ending).await,
            Ending::IsSilent => {
                let timer = [("Supported", "timer"), ("Session-Expires", "90")];
                let dialog = self.answered(&timer).await;
                self.client.ack(dialog, None).await;
                until_acknowledged(&mut self.client, dialog).await;
                later(61).await;
                assert!(until_bye(&mut self.client).await.contains("cause=408"));
            }
            Ending::NeverAcknowledges => {
                self.answered(&[]).await;
                later(33).await;
                assert!(until_bye(&mut self.client).await.contains("ACK missing"));
            }
        }
        self.subtracted().await;
    }

    /// An INVITE that got its 200.
    async fn answered(&mut self, further: &[(&str, &str)]) -> DialogId {
        let mut call = self.bench.call(0);
        call.headers.extend(fields(further));
        let outcome = self.client.invite(&call).await.expect("placed");
        assert_eq!(outcome.response.code, 200);
        self.added().await;
        outcome.dialog
    }

    async fn play_joined(&mut self, ending: Ending) {
        let dialog = self.join().await;
        let (context, participant, termination) = self.last().await;
        match ending {
            Ending::IsRemoved => self.act(Action::Remove { participant }).await,
            Ending::ConferenceCloses => self.act(Action::Close).await,
            Ending::IsReferredAway => {
                let to = "<sip:user1_public1@home1.net;method=BYE>";
                let silent = [("Refer-Sub", "false")];
                let referred = refer(&mut self.client, dialog, to, &silent).await;
                assert_eq!(referred.code, 202);
            }
            Ending::LosesItsTermination => {
                let mrfp = &mut self.bench.mrfp;
                mrfp.force_out(context, &termination).await;
                assert_eq!(mrfp.seen().await, Seen::Notified);
            }
            Ending::LosesItsConnection => {
                let event = ("nt", "netfail");
                let mrfp = &mut self.bench.mrfp;
                mrfp.notify(context, &termination, event, &[]).await;
                assert_eq!(mrfp.seen().await, Seen::Notified);
            }
            _ => {
                if matches!(ending, Ending::FailsToChangeAndLeaves) {
                    self.bench.mrfp.fail_next(449).await;
                    let moved = OFFER.replace("s111271", "s2");
                    let changed = self.client.request(dialog, Method::Invite, Some(&moved));
                    assert_eq!(changed.await.expect("answered").code, 488);
                    let seen = self.bench.mrfp.seen().await;
                    assert!(matches!(seen, Seen::Modify { .. }), "{seen:?}");
                }
                let left = self.client.bye(dialog).await.expect("answered");
                return assert_eq!(left.code, 200);
            }
        }
        until_bye(&mut self.client).await;
    }

    async fn play_called(&mut self, ending: Ending) {
        let mut two = Callee::new(&self.bench, 0).await;
        self.act(Action::Invite(two.uri.clone())).await;
        self.added().await;
        let (dialog, txn, _) = two.invited().await;
        match ending {
            Ending::LeavesAfterOurCall => {
                two.answer(txn, 200).await;
                let seen = self.bench.mrfp.seen().await;
                assert!(matches!(seen, Seen::Modify { .. }), "{seen:?}");
                let left = two.client.bye(dialog).await.expect("answered");
                assert_eq!(left.code, 200);
            }
            Ending::IsRemovedWhileItRings => {
                two.answer(txn, 180).await;
                let (_, participant, _) = self.last().await;
                self.act(Action::Remove { participant }).await;
                let is_cancelled = |event| matches!(event, Some(Event::Cancelled { .. }));
                while !is_cancelled(two.client.next_event().await) {}
            }
            _ => two.answer(txn, 603).await,
        }
    }

    /// Waits until nobody is left, and then nothing must be left.
    async fn over(&self) {
        while self.bench.mrfc.metrics().participants > 0 {
            tokio::task::yield_now().await;
        }
        let all = self.bench.mrfc.conferences().await;
        let left = (all.len(), all[0].context, all[0].participants.len());
        assert_eq!(left, (1, None, 0));
        let metrics = self.bench.mrfc.metrics();
        let sent = (metrics.adds, metrics.subtracts);
        assert_eq!(sent, (self.model.adds, self.model.subtracts));
        let causes = self.records.causes(self.model.causes.len()).await;
        assert_eq!(causes, self.model.causes);
    }
}

/// As many endings as there are, in an order that the seed decides, some of them twice.
fn order(seed: u64) -> Vec<Ending> {
    let mut state = seed;
    let mut all = ENDINGS.to_vec();
    let mut next = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).expect("31 bits") % below
    };
    all.push(ENDINGS[next(ENDINGS.len())]);
    all.push(ENDINGS[next(ENDINGS.len())]);
    for at in (1..all.len()).rev() {
        all.swap(at, next(at + 1));
    }
    all
}

// SIP-END-001
#[tokio::test]
async fn whatever_ends_a_leg_in_whatever_order_nothing_is_left_of_it() {
    for seed in [1, 2, 3, 4] {
        let mut play = Play::new(seed).await;
        for ending in order(seed) {
            play.play(ending).await;
            play.over().await;
        }
        // With its MRFP a termination goes without a Subtract.
        play.join().await;
        play.model.causes.push("mrfp lost");
        play.bench.mrfp.depart(Departure::Forced).await;
        assert!(until_bye(&mut play.client).await.contains("cause=503"));
        play.over().await;
    }
}

// SIP-END-002
#[tokio::test]
async fn a_termination_that_comes_too_late_is_taken_back() {
    let mut config = config();
    config.h248_timeout = Duration::from_millis(200);
    let mut bench = Bench::start(config).await;
    let mut client = bench.client(0).await;
    bench.mrfp.hold().await;
    let outcome = client.invite(&bench.call(0)).await.expect("placed");
    assert_eq!(outcome.response.code, 503);
    assert!(matches!(bench.mrfp.seen().await, Seen::Add { .. }));
    bench.mrfp.release().await;
    let seen = bench.mrfp.seen().await;
    assert!(matches!(seen, Seen::Subtract { .. }), "{seen:?}");
}

/// More than an MRFP is asked at once: what waits for its turn is done, too.
#[tokio::test]
async fn a_crowd_comes_and_goes_at_once() {
    const CROWD: u32 = 1_100;
    let mut config = config();
    config.h248 = vec![TransportAddr::Tcp(
        "127.0.0.1:0".parse().expect("an address"),
    )];
    config.max_participants = CROWD;
    let mut bench = Bench::start(config).await;
    let mut client = bench.client(1).await;
    let call = bench.call(1);
    // The first one makes the context; all others follow when it is there.
    bench.mrfp.hold().await;
    let mut dialogs = Vec::new();
    while dialogs.len() < CROWD as usize {
        let before = bench.mrfc.metrics();
        let dialog = client.start(&call).await.expect("placed");
        loop {
            let now = bench.mrfc.metrics();
            if now.invites > before.invites {
                dialogs.push(dialog);
                break;
            }
            // On a machine that is busy it may count as overload: then it is 503, and tried again.
            if now.sip_shed > before.sip_shed {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    assert!(matches!(bench.mrfp.seen().await, Seen::Add { .. }));
    bench.mrfp.release().await;
    let joined = async {
        for dialog in dialogs {
            let outcome = client.outcome(dialog).await.expect("answered");
            assert_eq!(outcome.response.code, 200);
            client.ack(dialog, None).await;
        }
    };
    let added = async {
        for _ in 1..CROWD {
            let seen = bench.mrfp.seen().await;
            assert!(
                matches!(
                    seen,
                    Seen::Add {
                        context: Some(1),
                        ..
                    }
                ),
                "{seen:?}"
            );
        }
    };
    tokio::join!(joined, added);
    let closed = bench.mrfc.act("conference1", Action::Close).await;
    closed.expect("it was there");
    for _ in 0..CROWD {
        let seen = bench.mrfp.seen().await;
        assert!(matches!(seen, Seen::Subtract { .. }), "{seen:?}");
    }
    let metrics = bench.mrfc.metrics();
    assert_eq!((metrics.h248_failures, metrics.mrfp_losses), (0, 0));
}
