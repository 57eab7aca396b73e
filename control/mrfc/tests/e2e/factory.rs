//! Conferences made by the factory, with whom to invite (RFC 5366), and what a moderator does.

use super::{Bench, OFFER, check_refused, config, header, until_acknowledged, until_bye};
use crate::mrfp::Seen;
use crate::phones::{fields, invited};
use mrfc::{Action, ActionError, ConferenceConfig};
use sip::{Answer, Call, Method};

const FACTORY: &str = "sip:conference-factory@home2.net";

/// An INVITE with a list.
fn with_list(bench: &Bench, entries: &[&str]) -> Call {
    let entries: String = entries
        .iter()
        .map(|uri| format!("<entry uri=\"{uri}\"/>"))
        .collect();
    let list = "application/resource-lists+xml\r\nContent-Disposition: recipient-list";
    let body = format!(
        "--b\r\nContent-Type: application/sdp\r\n\r\n{OFFER}\r\n--b\r\nContent-Type: {list}\r\n\r\n\
         <resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\"><list>{entries}</list>\
         </resource-lists>\r\n--b--\r\n"
    );
    Call {
        uri: FACTORY.into(),
        sdp: Some(body),
        headers: fields(&[
            ("Content-Type", "multipart/mixed;boundary=b"),
            ("Require", "recipient-list-invite"),
        ]),
        ..bench.call(0)
    }
}

// SIP-CALL-009, SIP-CALL-010, SIP-CALL-013
#[tokio::test]
async fn the_factory_makes_a_conference_and_invites_whom_the_creator_lists() {
    let mut bench = Bench::start(config()).await;
    let mut one = bench.client(0).await;
    // With a list of the others an INVITE is too long for UDP.
    let mut two = bench.client(1).await;
    let uri = format!("sip:user2@{};transport=tcp", two.local().addr);
    let listed = format!("{uri}\" cp:copyControl=\"to");
    // The creator is here already.
    let creator = "sip:user1_public1@home1.net";
    let call = with_list(&bench, &[&listed, &uri, creator]);
    let outcome = one.invite(&call).await.expect("placed");
    assert_eq!(outcome.response.code, 200, "{:?}", outcome.response);
    let contact = header(&outcome.response.headers, "Contact");
    assert!(contact.starts_with("<sip:conf-"), "{contact}");
    assert!(contact.ends_with(">;isfocus"), "{contact}");
    one.ack(outcome.dialog, None).await;
    let (_, txn, invite) = invited(&mut two).await;
    let by = header(&invite.headers, "Referred-By");
    assert_eq!(by, "<sip:user1_public1@home1.net>");
    let from = invite.headers.from().expect("From").uri;
    assert!(from.as_str().starts_with("sip:conf-"), "{from}");
    let kind = header(&invite.headers, "Content-Type");
    assert!(kind.starts_with("multipart/mixed;boundary="), "{kind}");
    let body = String::from_utf8_lossy(&invite.body).into_owned();
    for part in [
        "Content-Type: application/sdp\r\n\r\nv=0\r\n",
        "Content-Disposition: recipient-list-history; handling=optional\r\n",
        &format!("<list><entry uri=\"{uri}\" cp:copyControl=\"to\"/></list>"),
    ] {
        assert!(body.contains(part), "{part} is not in {body}");
    }
    // Without that it is called again.
    two.respond(txn, Answer::new(415)).await;
    let (_, txn, invite) = invited(&mut two).await;
    let kind = header(&invite.headers, "Content-Type");
    assert_eq!(kind, "application/sdp");
    let ok = Answer::new(200)
        .with("Contact", format!("<{uri}>"))
        .with_body("application/sdp", OFFER.replace("active", "passive"));
    two.respond(txn, ok).await;
    assert!(matches!(
        bench.mrfp.seen().await,
        Seen::Add { context: None, .. }
    ));
    assert!(matches!(
        bench.mrfp.seen().await,
        Seen::Add {
            context: Some(1),
            ..
        }
    ));
    assert!(matches!(bench.mrfp.seen().await, Seen::Modify { .. }));
    // The conference lasts as long as its creator.
    assert_eq!(one.bye(outcome.dialog).await.expect("answered").code, 200);
    assert!(until_bye(&mut two).await.contains("cause=410"));
    assert!(matches!(bench.mrfp.seen().await, Seen::Subtract { .. }));
    assert!(matches!(bench.mrfp.seen().await, Seen::Subtract { .. }));
    // It is gone with the answer to the last Subtract.
    while bench.mrfc.conferences().await.len() > 1 {
        tokio::task::yield_now().await;
    }
}

/// Who is removed while its phone rings is not called again, whatever its phone then says.
#[tokio::test]
async fn who_was_given_up_is_not_called_again_without_the_list() {
    let bench = Bench::start(config()).await;
    let mut one = bench.client(0).await;
    let mut two = bench.client(1).await;
    let uri = format!("sip:user2@{};transport=tcp", two.local().addr);
    let listed = format!("{uri}\" cp:copyControl=\"to");
    let call = with_list(&bench, &[&listed]);
    let outcome = one.invite(&call).await.expect("placed");
    one.ack(outcome.dialog, None).await;
    let (_, txn, _) = invited(&mut two).await;
    let all = bench.mrfc.conferences().await;
    let made = all.iter().find(|c| c.name.starts_with("conf-"));
    let made = made.expect("it exists");
    let called = made.participants.iter().find(|p| p.is_called);
    let participant = called.expect("it is called").id;
    let remove = Action::Remove { participant };
    assert_eq!(bench.mrfc.act(&made.name, remove).await, Ok(()));
    // It may cross the CANCEL, which is answered with 487 else.
    two.respond(txn, Answer::new(415)).await;
    while bench.mrfc.metrics().participants > 1 {
        assert_eq!(bench.mrfc.metrics().calls, 1);
        tokio::task::yield_now().await;
    }
}

// SIP-CALL-012
#[tokio::test]
async fn a_list_that_is_none_is_refused() {
    let bench = Bench::start(config()).await;
    let mut one = bench.client(0).await;
    let call = with_list(&bench, &["mailto:x@y"]);
    let refused = one.invite(&call).await.expect("placed").response;
    check_refused(&refused, 400, "", "");
    assert!(
        refused.reason.contains("cannot be invited"),
        "{}",
        refused.reason
    );
    // What it says is repeated, and begins no line there.
    let call = with_list(
        &bench,
        &["mailto:x@y&#13;&#10;P-Asserted-Identity: &lt;sip:z@z&gt;"],
    );
    let refused = one.invite(&call).await.expect("placed").response;
    check_refused(&refused, 400, "", "");
    assert_eq!(refused.headers.get("P-Asserted-Identity"), None);
    let mut closed = config();
    closed.factory = None;
    let bench = Bench::start(closed).await;
    let mut one = bench.client(0).await;
    let call = with_list(&bench, &[]);
    check_refused(
        &one.invite(&call).await.expect("placed").response,
        404,
        "",
        "",
    );
}

// SIP-CALL-011
#[tokio::test]
async fn a_conference_that_exists_invites_nobody_from_a_list() {
    let mut bench = Bench::start(config()).await;
    let mut one = bench.client(0).await;
    let call = Call {
        uri: bench.call(0).uri,
        ..with_list(&bench, &["sip:a@192.0.2.1"])
    };
    let refused = one.invite(&call).await.expect("placed").response;
    check_refused(&refused, 420, "Unsupported", "recipient-list-invite");
    let (dialog, _) = bench.join(&mut one, 0).await;
    until_acknowledged(&mut one, dialog).await;
    let body = call.sdp.expect("two parts").into_bytes();
    let answered = one.request_with(dialog, Method::Invite, call.headers, body);
    let refused = answered.await.expect("answered");
    check_refused(&refused, 420, "Unsupported", "recipient-list-invite");
}

// SIP-OPER-003
#[tokio::test]
async fn an_operator_moderates() {
    let mut bench = Bench::start(config()).await;
    let (mut one, _) = bench.joined(0).await;
    let act = |action| bench.mrfc.act("conference1", action);
    let mute = |participant| Action::Mute {
        participant,
        is_muted: true,
    };
    assert_eq!(act(mute(1)).await, Ok(()));
    assert_eq!(act(mute(7)).await, Err(ActionError::NoParticipant));
    assert_eq!(act(Action::Lock(true)).await, Ok(()));
    let nowhere = bench.mrfc.act("nowhere", Action::Close).await;
    assert_eq!(nowhere, Err(ActionError::NoConference));
    let wrong = Action::Invite("mailto:a@b".into());
    assert_eq!(act(wrong).await, Err(ActionError::Uri));
    let mode = bench.mrfp.seen().await;
    assert_eq!(
        mode,
        Seen::Mode {
            mode: "SendOnly".into()
        }
    );
    let mut two = bench.client(0).await;
    let refused = two.invite(&bench.call(0)).await.expect("placed").response;
    check_refused(&refused, 403, "", "");
    let uri = format!("sip:user2@{}", two.local().addr);
    assert_eq!(act(Action::Invite(uri)).await, Ok(()));
    let (_, txn, _) = invited(&mut two).await;
    two.respond(txn, Answer::new(603)).await;
    assert_eq!(act(Action::Remove { participant: 1 }).await, Ok(()));
    assert!(until_bye(&mut one).await.contains("cause=403"));
    assert_eq!(act(Action::Close).await, Ok(()));
}

// SIP-OPER-003
#[tokio::test]
async fn an_operator_makes_a_conference_calls_somebody_into_it_and_ends_it() {
    let mut bench = Bench::start(config()).await;
    let mut own = ConferenceConfig::new("talk");
    own.subject = Some("Clubs".into());
    own.max_participants = Some(2);
    assert_eq!(bench.mrfc.open(own.clone()).await, Ok(()));
    assert_eq!(bench.mrfc.open(own).await, Err(ActionError::Exists));
    let odd = ConferenceConfig::new("a b@c");
    assert_eq!(bench.mrfc.open(odd).await, Err(ActionError::Uri));
    let mut two = bench.client(0).await;
    let uri = format!("sip:user2@{}", two.local().addr);
    let invited_ = bench.mrfc.act("talk", Action::Invite(uri)).await;
    assert_eq!(invited_, Ok(()));
    assert!(matches!(bench.mrfp.seen().await, Seen::Add { .. }));
    let (dialog, txn, invite) = invited(&mut two).await;
    assert_eq!(invite.headers.get("Referred-By"), None);
    let from = invite.headers.from().expect("From").uri;
    assert!(from.as_str().starts_with("sip:talk@"), "{from}");
    let ok = Answer::new(200)
        .with("Contact", format!("<sip:user2@{}>", two.local().addr))
        .with_body("application/sdp", OFFER.replace("active", "passive"));
    two.respond(txn, ok).await;
    until_acknowledged(&mut two, dialog).await;
    let all = bench.mrfc.conferences().await;
    let talk = all.iter().find(|c| c.name == "talk").expect("it exists");
    assert_eq!(
        (talk.subject.as_deref(), talk.seats_max),
        (Some("Clubs"), 2)
    );
    assert!(talk.participants[0].is_called);
    assert_eq!(bench.mrfc.act("talk", Action::Close).await, Ok(()));
    assert!(until_bye(&mut two).await.contains("cause=410"));
    // It is gone with the answer to the Subtract.
    while bench.mrfc.conferences().await.len() > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.mrfc.open(ConferenceConfig::new("talk")).await, Ok(()));
    assert_eq!(bench.mrfc.act("talk", Action::Close).await, Ok(()));
    assert_eq!(bench.mrfc.conferences().await.len(), 1);
}
