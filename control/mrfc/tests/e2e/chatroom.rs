//! Chat rooms (RFC 7701), and what MRFPs tell of participants.

use super::{Bench, OFFER, check_refused, config, header, until_acknowledged, until_bye};
use crate::mrfp::Seen;
use crate::phones::later;
use clock::Duration;
use conference::info::Document;
use mrfc::{ConferenceConfig, Profile};
use sip::{Answer, Call, Event, Method};

// MSRP-CHAT-001, MSRP-CHAT-004, MSRP-SDP-006.
#[tokio::test]
async fn a_chat_room_is_one_to_the_participant_and_to_the_mrfp() {
    let mut config = config();
    let mut room = ConferenceConfig::new("conference1");
    room.profile = Some(Profile::Chatroom);
    room.subject = Some("Clubs".into());
    room.private_messages = false;
    config.conferences = vec![room];
    let mut bench = Bench::start(config).await;
    let mut client = bench.client(0).await;
    let offer = OFFER.to_owned() + "a=accept-wrapped-types:*\r\na=chatroom:nickname\r\n";
    let call = Call {
        sdp: Some(offer),
        ..bench.call(0)
    };
    let outcome = client.invite(&call).await.expect("placed");
    let answer = String::from_utf8_lossy(&outcome.response.body).into_owned();
    for line in [
        "a=accept-types:message/cpim",
        "a=accept-wrapped-types:*",
        "a=chatroom:nickname",
    ] {
        assert!(answer.lines().any(|l| l == line), "{line} in {answer}");
    }
    match bench.mrfp.seen().await {
        Seen::Add {
            remote, properties, ..
        } => {
            let expected = "profile=chatroom room=sip:conference1@home2.net \
                            user=sip:user1_public1@home1.net nicks=ON private=OFF";
            assert_eq!(properties, expected);
            let remote = remote.expect("the offer was there");
            assert!(remote.contains("a=chatroom:nickname\r\n"), "{remote}");
        }
        other => panic!("{other:?}"),
    }
    client.ack(outcome.dialog, None).await;
    until_acknowledged(&mut client, outcome.dialog).await;
    let nick = [("nick", "J%C3%BCrgen")];
    bench.mrfp.notify(1, "t/1", ("xmrf", "nick"), &nick).await;
    assert_eq!(bench.mrfp.seen().await, Seen::Notified);
    let event = vec![("Event".to_owned(), "conference".to_owned())];
    let subscribed = client
        .request_with(outcome.dialog, Method::Subscribe, event, Vec::new())
        .await;
    assert_eq!(subscribed.expect("answered").code, 200);
    let Some(Event::Request { txn, request, .. }) = client.next_event().await else {
        panic!("no NOTIFY");
    };
    client.respond(txn, Answer::new(200)).await;
    assert_eq!(header(&request.headers, "Event"), "conference");
    let xml = String::from_utf8_lossy(&request.body).into_owned();
    assert!(xml.contains("<subject>Clubs</subject>"), "{xml}");
    let document = Document::read(&request.body).expect("a document");
    let nickname = document.users[0].nickname.as_deref();
    assert_eq!(nickname, Some("J\u{fc}rgen"));
}

#[tokio::test]
async fn who_stays_anonymous_may_say_so_of_itself() {
    let mut config = config();
    config.profile = Profile::Chatroom;
    let mut bench = Bench::start(config).await;
    let mut client = bench.client(0).await;
    let mut call = Call {
        from: "sip:anonymous@anonymous.invalid".into(),
        ..bench.call(0)
    };
    call.headers.push(("Privacy".into(), "id".into()));
    let outcome = client.invite(&call).await.expect("placed");
    assert_eq!(outcome.response.code, 200);
    let seen = bench.mrfp.seen().await;
    let Seen::Add { properties, .. } = seen else {
        panic!("{seen:?}");
    };
    let users = "user=sip:anonymous1@anonymous.invalid sip:anonymous@anonymous.invalid nicks";
    assert!(properties.contains(users), "{properties}");
}

// MSRP-CHAT-001.
// SIP-JOIN-017
#[tokio::test]
async fn who_takes_no_wrapped_messages_does_not_get_into_a_chat_room() {
    let mut config = config();
    config.profile = Profile::Chatroom;
    config.notices = Some(false);
    let mut bench = Bench::start(config).await;
    let mut client = bench.client(0).await;
    let bare = OFFER.replace("message/cpim ", "");
    let call = Call {
        sdp: Some(bare.clone()),
        ..bench.call(0)
    };
    let outcome = client.invite(&call).await.expect("placed");
    check_refused(&outcome.response, 488, "Warning", "305 mrfc");
    let (dialog, _) = bench.join(&mut client, 0).await;
    let changed = client.request(dialog, Method::Invite, Some(&bare)).await;
    check_refused(&changed.expect("answered"), 488, "Warning", "message/cpim");
    // Nor by answering an offer of ours with that.
    let call = Call {
        sdp: None,
        ..bench.call(0)
    };
    let outcome = client.invite(&call).await.expect("placed");
    assert_eq!(outcome.response.code, 200);
    assert!(matches!(bench.mrfp.seen().await, Seen::Add { .. }));
    client.ack(outcome.dialog, Some(&bare)).await;
    assert!(until_bye(&mut client).await.contains("cause=488"));
}

// SIP-END-006
#[tokio::test]
async fn who_loses_its_connection_and_brings_no_other_is_removed() {
    let mut config = config();
    config.media_grace = Duration::ZERO;
    let mut bench = Bench::start(config).await;
    let (mut client, _) = bench.joined(0).await;
    bench.mrfp.notify(1, "t/1", ("nt", "netfail"), &[]).await;
    assert_eq!(bench.mrfp.seen().await, Seen::Notified);
    assert!(until_bye(&mut client).await.contains("cause=488"));
    assert!(matches!(bench.mrfp.seen().await, Seen::Subtract { .. }));
}

#[tokio::test]
async fn a_request_of_a_media_plane_stops_at_the_command_that_is_refused() {
    let mut bench = Bench::start(config()).await;
    let (_client, _) = bench.joined(0).await;
    let text = "{\"Unsupported or unknown command\"}";
    let notify = "N=t/1{OE=1{g/cause}}";
    for (asked, answered) in [
        (
            format!("C=1{{{notify},AV=t/1{{AT{{}}}},{notify}}},C=2{{{notify}}}"),
            format!("C=1{{N=t/1,AV=t/1{{ER=443{text}}}}}}}"),
        ),
        (
            format!("C=1{{O-AV=t/1{{AT{{}}}},{notify}}}"),
            format!("C=1{{AV=t/1{{ER=443{text}}},N=t/1}}}}"),
        ),
        (
            "C=1{N=t/9{OE=1{g/cause}}}".to_owned(),
            "C=1{N=t/9{ER=430{\"Unknown TerminationID\"}}}}".to_owned(),
        ),
        (
            "C=1{CA{PR}}".to_owned(),
            "C=1{ER=421{\"contexts are a controller's business\"}}}".to_owned(),
        ),
    ] {
        bench.mrfp.ask(&asked).await;
        assert_eq!(bench.mrfp.seen().await, Seen::Answered(answered), "{asked}");
    }
}

#[tokio::test]
async fn an_event_that_nobody_asked_for_is_refused_and_changes_nothing() {
    let mut config = config();
    config.media_grace = Duration::ZERO;
    let mut bench = Bench::start(config).await;
    let (mut client, dialog) = bench.joined(0).await;
    bench.mrfp.notify_unasked(("nt", "netfail")).await;
    assert_eq!(bench.mrfp.seen().await, Seen::NotifyRefused(458));
    // It is still there, or this would not be answered so.
    let again = client.request(dialog, Method::Invite, Some(OFFER)).await;
    assert_eq!(again.expect("answered").code, 200);
}

#[tokio::test]
async fn who_brings_another_connection_in_time_stays() {
    let mut bench = Bench::start(config()).await;
    let (mut client, dialog) = bench.joined(0).await;
    bench.mrfp.notify(1, "t/1", ("nt", "netfail"), &[]).await;
    assert_eq!(bench.mrfp.seen().await, Seen::Notified);
    let moved = OFFER.replace("s111271", "s2");
    let changed = client
        .request(dialog, Method::Invite, Some(&moved))
        .await
        .expect("answered");
    assert_eq!(changed.code, 200);
    client.ack(dialog, None).await;
    later(31).await;
    until_acknowledged(&mut client, dialog).await;
}
