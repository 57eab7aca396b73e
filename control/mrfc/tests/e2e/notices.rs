//! Notices to participants that know no chat rooms (RFC 7701 11).

use super::{Bench, OFFER, config, until_acknowledged, until_bye};
use crate::mrfp::Seen;
use crate::phones::later;
use mrfc::{ConferenceConfig, Config, Profile};
use sip::{Call, DialogId, Method, SipClient};

fn room(profile: Profile) -> Config {
    let mut config = config();
    let mut room = ConferenceConfig::new("conference1");
    room.profile = Some(profile);
    room.subject = Some("Clubs".into());
    room.notices = Some(true);
    room.notice_texts.room = Some("Raum {room}".into());
    config.conferences = vec![room];
    config
}

impl Bench {
    /// Joins under a name, with more lines of SDP, and acknowledges.
    async fn join_as(&mut self, client: &mut SipClient, name: &str, lines: &str) -> DialogId {
        let call = Call {
            from: format!("sip:{name}@home1.net"),
            sdp: Some(OFFER.to_owned() + lines),
            ..self.call(0)
        };
        let outcome = client.invite(&call).await.expect("placed");
        assert_eq!(outcome.response.code, 200, "{:?}", outcome.response);
        let seen = self.mrfp.seen().await;
        assert!(matches!(seen, Seen::Add { .. }), "{seen:?}");
        client.ack(outcome.dialog, None).await;
        outcome.dialog
    }

    /// The next thing that the MRFP is told is to send this.
    #[track_caller]
    fn played(seen: Seen, at: &str, kind: &str, expected: &str) -> String {
        let Seen::Play {
            termination,
            name,
            media_type,
            text,
        } = seen
        else {
            panic!("{seen:?}");
        };
        assert_eq!((&*termination, &*media_type, &*text), (at, kind, expected));
        name
    }

    async fn fate(&mut self, at: &str, name: &str, status: &str) {
        let parms = [("mi", name), ("sc", status)];
        self.mrfp.notify(1, at, ("mess", "msrs"), &parms).await;
    }
}

fn wrapped(to: &str, text: &str) -> String {
    format!(
        "From: \"Clubs\" <sip:conference1@home2.net>\r\nTo: <sip:{to}@home1.net>\r\n\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\n{text}"
    )
}

const AWARE: &str = "a=chatroom\r\n";

// MSRP-CHAT-025.
// SIP-OPER-004
#[tokio::test]
async fn who_knows_no_chat_rooms_is_told_where_it_is_and_who_comes_and_goes() {
    let mut bench = Bench::start(room(Profile::Chatroom)).await;
    let mut client = bench.client(0).await;
    bench.join_as(&mut client, "aware", AWARE).await;
    bench.join_as(&mut client, "unaware", "").await;
    let welcome = "Raum sip:conference1@home2.net\r\nHere now: sip:aware@home1.net";
    let welcome = wrapped("unaware", welcome);
    let seen = bench.mrfp.seen().await;
    let name = Bench::played(seen, "t/2", "message/cpim", &welcome);
    // Who comes and goes meanwhile is told when that one has arrived, not before.
    let third = bench.join_as(&mut client, "third", AWARE).await;
    until_acknowledged(&mut client, third).await;
    bench.fate("t/2", &name, "200").await;
    assert_eq!(bench.mrfp.seen().await, Seen::Notified);
    later(5).await;
    let came = wrapped("unaware", "Joined: sip:third@home1.net");
    let seen = bench.mrfp.seen().await;
    let name = Bench::played(seen, "t/2", "message/cpim", &came);
    bench.fate("t/2", &name, "200").await;
    assert_eq!(bench.mrfp.seen().await, Seen::Notified);
    assert_eq!(client.bye(third).await.expect("answered").code, 200);
    assert!(matches!(bench.mrfp.seen().await, Seen::Subtract { .. }));
    later(5).await;
    let went = wrapped("unaware", "Left: sip:third@home1.net");
    Bench::played(bench.mrfp.seen().await, "t/2", "message/cpim", &went);
    let metrics = bench.mrfc.metrics();
    assert_eq!((metrics.notices, metrics.notices_failed), (3, 0));
}

#[tokio::test]
async fn a_notice_that_was_lost_comes_again_and_one_that_was_refused_is_the_last() {
    let mut bench = Bench::start(room(Profile::Chatroom)).await;
    let mut client = bench.client(0).await;
    let dialog = bench.join_as(&mut client, "unaware", "").await;
    let welcome = wrapped("unaware", "Raum sip:conference1@home2.net");
    let seen = bench.mrfp.seen().await;
    let first = Bench::played(seen, "t/1", "message/cpim", &welcome);
    bench.fate("t/1", &first, "408").await;
    assert_eq!(bench.mrfp.seen().await, Seen::Notified);
    later(5).await;
    let seen = bench.mrfp.seen().await;
    let second = Bench::played(seen, "t/1", "message/cpim", &welcome);
    // Of the first one nothing matters any more.
    bench.fate("t/1", &first, "200").await;
    assert_eq!(bench.mrfp.seen().await, Seen::Notified);
    bench.fate("t/1", &second, "415").await;
    assert_eq!(bench.mrfp.seen().await, Seen::Notified);
    let other = bench.join_as(&mut client, "other", AWARE).await;
    until_acknowledged(&mut client, other).await;
    later(60).await;
    // The next thing that the MRFP hears of is a leave.
    assert_eq!(client.bye(dialog).await.expect("answered").code, 200);
    assert!(matches!(bench.mrfp.seen().await, Seen::Subtract { .. }));
    let metrics = bench.mrfc.metrics();
    assert_eq!((metrics.notices, metrics.notices_failed), (2, 2));
}

#[tokio::test]
async fn an_mrfp_that_plays_nothing_is_not_asked_again() {
    let mut bench = Bench::start(room(Profile::Chatroom)).await;
    let mut client = bench.client(0).await;
    bench.mrfp.hold().await;
    let call = bench.call(0);
    let dialog = client.start(&call).await.expect("placed");
    assert!(matches!(bench.mrfp.seen().await, Seen::Add { .. }));
    bench.mrfp.release().await;
    assert_eq!(
        client.outcome(dialog).await.expect("200").response.code,
        200
    );
    bench.mrfp.fail_next(440).await;
    client.ack(dialog, None).await;
    assert!(matches!(bench.mrfp.seen().await, Seen::Play { .. }));
    let other = bench.join_as(&mut client, "other", AWARE).await;
    until_acknowledged(&mut client, other).await;
    assert_eq!(client.bye(other).await.expect("answered").code, 200);
    assert!(matches!(bench.mrfp.seen().await, Seen::Subtract { .. }));
    assert_eq!(bench.mrfc.metrics().notices, 1);
}

#[tokio::test]
async fn a_conference_of_3gpp_speaks_as_its_participants_do_and_not_to_who_is_on_hold() {
    let mut bench = Bench::start(room(Profile::ThreeGpp)).await;
    let mut client = bench.client(0).await;
    let bare = OFFER.replace("message/cpim text/plain text/html", "text/plain");
    let call = Call {
        sdp: Some(bare.clone() + "a=inactive\r\n"),
        ..bench.call(0)
    };
    let outcome = client.invite(&call).await.expect("placed");
    assert_eq!(outcome.response.code, 200);
    assert!(matches!(bench.mrfp.seen().await, Seen::Add { .. }));
    client.ack(outcome.dialog, None).await;
    until_acknowledged(&mut client, outcome.dialog).await;
    let resumed = client.request(outcome.dialog, Method::Invite, Some(&bare));
    assert_eq!(resumed.await.expect("answered").code, 200);
    let seen = bench.mrfp.seen().await;
    assert!(matches!(seen, Seen::Modify { .. }), "{seen:?}");
    client.ack(outcome.dialog, None).await;
    let text = "Raum sip:conference1@home2.net";
    let kind = "text/plain;charset=utf-8";
    Bench::played(bench.mrfp.seen().await, "t/1", kind, text);
    bench
        .mrfc
        .act("conference1", mrfc::Action::Close)
        .await
        .expect("begun");
    until_bye(&mut client).await;
    // One that takes no text cannot be told anything.
    let sdp = OFFER.replace("message/cpim text/plain text/html", "image/png");
    let call = Call {
        sdp: Some(sdp),
        ..bench.call(0)
    };
    while !matches!(bench.mrfp.seen().await, Seen::Subtract { .. }) {}
    let outcome = client.invite(&call).await.expect("placed");
    client.ack(outcome.dialog, None).await;
    until_acknowledged(&mut client, outcome.dialog).await;
    assert_eq!(bench.mrfc.metrics().notices, 1);
}
