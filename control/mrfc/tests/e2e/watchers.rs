//! The conference event package: who watches who takes part.

use super::{Bench, OFFER, check_refused, config, until_acknowledged, until_bye};
use crate::phones::{Callee, Notify, fields, later};
use conference::info::{Departure, Document, State, Status};
use mrfc::Action;
use sip::{Answer, Call, DialogId, Event, Method, Response, SipClient};

async fn subscribe(client: &mut SipClient, dialog: DialogId, list: &[(&str, &str)]) -> Response {
    let answered = client
        .request_with(dialog, Method::Subscribe, fields(list), Vec::new())
        .await;
    answered.expect("answered")
}

/// Subscribes the second client in a dialog of its own.
async fn watch(
    bench: &Bench,
    client: &mut SipClient,
    list: &[(&str, &str)],
) -> (DialogId, Response) {
    let call = Call {
        from: "sip:watcher@home1.net".into(),
        sdp: None,
        headers: fields(list),
        ..bench.call(1)
    };
    let answered = client.ask(Method::Subscribe, &call).await;
    answered.expect("answered")
}

/// The next NOTIFY: its event, its state without the time left, its document.
async fn notified(client: &mut SipClient) -> (String, String, Document) {
    let notify = Notify::next(client, "application/conference-info+xml").await;
    assert!(notify.contact.ends_with(";isfocus"));
    let document = Document::read(&notify.body).expect("a document");
    (notify.event, notify.state, document)
}

fn users(document: &Document) -> Vec<(&str, State)> {
    let users = document.users.iter();
    users.map(|u| (u.entity.as_str(), u.state)).collect()
}

/// A conference that somebody made by joining, and who that is.
async fn alone() -> (Bench, SipClient, DialogId) {
    let mut config = config();
    config.create_on_join = true;
    config.conferences.clear();
    let mut bench = Bench::start(config).await;
    let (one, dialog) = bench.joined(0).await;
    (bench, one, dialog)
}

const ONE: &str = "sip:user1_public1@home1.net";

// MSRP-CHAT-027.
// SIP-WATCH-001, SIP-WATCH-002, SIP-WATCH-003, SIP-WATCH-004
#[tokio::test]
async fn a_participant_watches_who_comes_and_goes() {
    let mut bench = Bench::start(config()).await;
    let (mut one, dialog) = bench.joined(0).await;
    let event = [("Event", "conference;id=7"), ("Expires", "600")];
    let accepted = subscribe(&mut one, dialog, &event).await;
    check_refused(&accepted, 200, "Expires", "600");
    let (name, state, document) = notified(&mut one).await;
    assert_eq!((&*name, &*state), ("conference;id=7", "active"));
    assert_eq!((document.state, document.version), (State::Full, 1));
    assert_eq!(document.entity, "sip:conference1@home2.net");
    assert_eq!(users(&document), [(ONE, State::Full)]);
    assert_eq!(document.users[0].endpoints[0].status, Status::Connected);

    let mut two = bench.client(1).await;
    let call = Call {
        from: "sip:user2_public1@home2.net".into(),
        headers: fields(&[("Privacy", "id")]),
        ..bench.call(1)
    };
    let outcome = two.invite(&call).await.expect("placed");
    two.ack(outcome.dialog, None).await;
    until_acknowledged(&mut two, outcome.dialog).await;
    later(6).await;
    let (_, _, document) = notified(&mut one).await;
    assert_eq!((document.state, document.version), (State::Partial, 2));
    let anonymous = "sip:anonymous2@anonymous.invalid";
    assert_eq!(users(&document), [(anonymous, State::Full)]);
    assert_eq!(document.user_count, Some(2));

    // Within the 5 s: both are told at once, and not before (RFC 4575 3.9).
    assert_eq!(two.bye(outcome.dialog).await.expect("answered").code, 200);
    let third = "sip:user3_public1@home2.net";
    let call = Call {
        from: third.into(),
        ..bench.call(1)
    };
    let outcome = two.invite(&call).await.expect("placed");
    two.ack(outcome.dialog, None).await;
    until_acknowledged(&mut two, outcome.dialog).await;
    later(6).await;
    let (_, _, document) = notified(&mut one).await;
    assert_eq!(document.version, 3);
    let both = [(third, State::Full), (anonymous, State::Deleted)];
    assert_eq!(users(&document), both);

    let refreshed = subscribe(&mut one, dialog, &event).await;
    assert_eq!(refreshed.code, 200);
    let (_, state, document) = notified(&mut one).await;
    assert_eq!((&*state, document.state), ("active", State::Full));
    // Who leaves watches no more, in the dialog that the session was in.
    one.handle().hold(dialog).await;
    assert_eq!(one.bye(dialog).await.expect("answered").code, 200);
    let (_, state, _) = notified(&mut one).await;
    assert_eq!(state, "terminated;reason=noresource");
    let metrics = bench.mrfc.metrics();
    assert_eq!(
        (metrics.subscriptions, metrics.subscriptions_refreshed),
        (1, 1),
        "{metrics:?}"
    );
}

// SIP-JOIN-012, SIP-WATCH-009
#[tokio::test]
async fn who_stays_anonymous_learns_its_uri_and_nobody_else_does() {
    let mut bench = Bench::start(config()).await;
    let (mut one, mut two) = (bench.client(0).await, bench.client(1).await);
    let (plain, _) = bench.join(&mut one, 0).await;
    let call = Call {
        from: "sip:anonymous@anonymous.invalid".into(),
        headers: fields(&[("Privacy", "id")]),
        ..bench.call(1)
    };
    let outcome = two.invite(&call).await.expect("placed");
    two.ack(outcome.dialog, None).await;
    for (client, dialog) in [(&mut one, plain), (&mut two, outcome.dialog)] {
        until_acknowledged(client, dialog).await;
        let accepted = subscribe(client, dialog, &[("Event", "conference")]).await;
        assert_eq!(accepted.code, 200);
    }
    let hidden = "sip:anonymous2@anonymous.invalid";
    let own = |document: &Document| {
        let users = document.users.iter();
        let marked = users.filter(|u| u.endpoints.iter().any(|e| e.dialog.is_some()));
        marked.map(|u| u.entity.clone()).collect::<Vec<_>>()
    };
    let (_, _, document) = notified(&mut one).await;
    assert_eq!(own(&document), [ONE]);
    let (_, _, document) = notified(&mut two).await;
    assert_eq!(own(&document), [hidden]);
    let user = document.users.iter().find(|u| u.entity == hidden);
    let ids = user.expect("there").endpoints[0]
        .dialog
        .clone()
        .expect("own");
    let answer = &outcome.response.headers;
    assert_eq!(Some(&*ids.call_id), answer.call_id());
    for (name, tag) in [("From", ids.from_tag), ("To", ids.to_tag)] {
        let field = answer.get(name).expect("mandatory");
        assert!(field.ends_with(&format!(";tag={tag}")), "{field} {tag}");
    }
}

// SIP-WATCH-007
#[tokio::test]
async fn who_cannot_take_a_roster_now_gets_it_later() {
    let (bench, mut one, dialog) = alone().await;
    let event = fields(&[("Event", "conference")]);
    let subscribed = one.request_with(dialog, Method::Subscribe, event, Vec::new());
    assert_eq!(subscribed.await.expect("answered").code, 200);
    let Some(Event::Request { txn, .. }) = one.next_event().await else {
        panic!("no NOTIFY");
    };
    let later_please = Answer::new(480).with("Retry-After", "30 (asleep)");
    one.respond(txn, later_please).await;
    until_acknowledged(&mut one, dialog).await;
    later(31).await;
    let (_, state, document) = notified(&mut one).await;
    assert_eq!((&*state, document.state), ("active", State::Full));
    assert_eq!(document.version, 2);
    assert_eq!(bench.mrfc.metrics().watchers, 1);
    // Who refuses without asking for another one watches no more.
    let refreshed = subscribe(&mut one, dialog, &[("Event", "conference")]).await;
    assert_eq!(refreshed.code, 200);
    let Some(Event::Request { txn, .. }) = one.next_event().await else {
        panic!("no NOTIFY");
    };
    one.respond(txn, Answer::new(480)).await;
    while bench.mrfc.metrics().watchers > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_watches_is_told_that_the_conference_went_with_its_mrfp() {
    let (bench, mut one, _) = alone().await;
    let mut other = bench.client(1).await;
    let (_, accepted) = watch(&bench, &mut other, &[("Event", "conference")]).await;
    assert_eq!(accepted.code, 200);
    let (_, state, _) = notified(&mut other).await;
    assert_eq!(state, "active");
    bench.mrfp.depart(h248_endpoint::Departure::Forced).await;
    assert!(until_bye(&mut one).await.contains("cause=503"));
    let (_, state, document) = notified(&mut other).await;
    assert_eq!(state, "terminated;reason=noresource");
    assert_eq!(document.state, State::Deleted);
    while bench.mrfc.metrics().watchers > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.mrfc.metrics().subscriptions_ended, 1);
}

// SIP-WATCH-008
#[tokio::test]
async fn who_watches_sees_who_is_on_hold_and_how_the_others_went() {
    let mut bench = Bench::start(config()).await;
    let (mut one, dialog) = bench.joined(0).await;
    let event = [("Event", "conference")];
    assert_eq!(subscribe(&mut one, dialog, &event).await.code, 200);
    notified(&mut one).await;
    let mut two = bench.client(0).await;
    let call = Call {
        from: "sip:user2_public1@home2.net".into(),
        ..bench.call(0)
    };
    let outcome = two.invite(&call).await.expect("placed");
    two.ack(outcome.dialog, None).await;
    let held = OFFER.to_owned() + "a=inactive\r\n";
    let held = two.request(outcome.dialog, Method::Update, Some(&held));
    assert_eq!(held.await.expect("answered").code, 200);
    later(6).await;
    let endpoint = |document: &Document| document.users[0].endpoints[0].clone();
    // The join may be told before the hold.
    loop {
        let (_, _, document) = notified(&mut one).await;
        if endpoint(&document).status == Status::OnHold {
            break;
        }
        later(6).await;
    }
    let participant = bench.mrfc.conferences().await[0].participants[1].id;
    let remove = Action::Remove { participant };
    assert_eq!(bench.mrfc.act("conference1", remove).await, Ok(()));
    assert!(until_bye(&mut two).await.contains("cause=403"));
    later(6).await;
    let (_, _, document) = notified(&mut one).await;
    assert_eq!(document.users[0].state, State::Deleted);
    assert_eq!(endpoint(&document).departure, Some(Departure::Booted));
    let mut busy = Callee::new(&bench, 0).await;
    let invite = Action::Invite(busy.uri.clone());
    assert_eq!(bench.mrfc.act("conference1", invite).await, Ok(()));
    let (_, txn, _) = busy.invited().await;
    later(6).await;
    let (_, _, document) = notified(&mut one).await;
    assert_eq!(endpoint(&document).status, Status::DialingOut);
    busy.answer(txn, 486).await;
    while bench.mrfc.metrics().calls_failed == 0 {
        tokio::task::yield_now().await;
    }
    later(6).await;
    let (_, _, document) = notified(&mut one).await;
    assert_eq!(endpoint(&document).departure, Some(Departure::Busy));
}

// RFC 3261 18.1.1, RFC 6665 4.1.3.
#[tokio::test]
async fn a_roster_that_no_datagram_holds_ends_the_subscription_with_its_reason() {
    let mut config = config();
    config.conferences[0].subject = Some("x".repeat(66_000));
    let mut bench = Bench::start(config).await;
    let event = [("Event", "conference")];
    let (mut one, dialog) = bench.joined(0).await;
    assert_eq!(subscribe(&mut one, dialog, &event).await.code, 200);
    let (_, state, document) = notified(&mut one).await;
    assert_eq!(state, "terminated;reason=probation;retry-after=3600");
    assert_eq!(document.state, State::Partial, "what is short");
    while bench.mrfc.metrics().watchers > 0 {
        tokio::task::yield_now().await;
    }
    // By TCP it is told.
    let mut two = bench.client(1).await;
    let call = Call {
        from: "sip:watcher@home1.net".into(),
        sdp: None,
        headers: fields(&event),
        ..bench.call(1)
    };
    let (_, accepted) = two.ask(Method::Subscribe, &call).await.expect("answered");
    assert_eq!(accepted.code, 200);
    let (_, state, document) = notified(&mut two).await;
    assert_eq!((&*state, document.state), ("active", State::Full));
}

#[tokio::test]
async fn somebody_else_watches_in_a_dialog_of_its_own() {
    let mut bench = Bench::start(config()).await;
    let (_one, _) = bench.joined(0).await;
    let mut other = bench.client(1).await;
    let event = [("Event", "conference"), ("Expires", "60")];
    let (dialog, accepted) = watch(&bench, &mut other, &event).await;
    check_refused(&accepted, 200, "Contact", "isfocus");
    let (event, state, document) = notified(&mut other).await;
    assert_eq!((&*event, &*state), ("conference", "active"));
    assert_eq!(users(&document), [(ONE, State::Full)]);
    let gone = subscribe(
        &mut other,
        dialog,
        &[("Event", "conference"), ("Expires", "0")],
    )
    .await;
    check_refused(&gone, 200, "Expires", "0");
    let (_, state, document) = notified(&mut other).await;
    assert_eq!(state, "terminated;reason=timeout");
    assert_eq!(document.state, State::Full);
    let again = subscribe(&mut other, dialog, &[("Event", "conference")]).await;
    assert_eq!(again.code, 481, "the dialog went with its subscription");
}

// SIP-WATCH-005
#[tokio::test]
async fn a_subscription_ends_when_it_is_not_refreshed_and_with_its_conference() {
    let (bench, mut one, dialog) = alone().await;
    let (mut short, mut long) = (bench.client(0).await, bench.client(1).await);
    let watch = |listener, expires| Call {
        from: format!("sip:watcher{listener}@home1.net"),
        sdp: None,
        headers: fields(&[("Event", "conference"), ("Expires", expires)]),
        ..bench.call(listener)
    };
    short
        .ask(Method::Subscribe, &watch(0, "10"))
        .await
        .expect("answered");
    long.ask(Method::Subscribe, &watch(1, "3600"))
        .await
        .expect("answered");
    assert_eq!(notified(&mut short).await.1, "active");
    assert_eq!(notified(&mut long).await.1, "active");
    until_acknowledged(&mut one, dialog).await;
    later(11).await;
    assert_eq!(notified(&mut short).await.1, "terminated;reason=timeout");
    assert_eq!(one.bye(dialog).await.expect("answered").code, 200);
    loop {
        let (_, state, document) = notified(&mut long).await;
        if state != "active" {
            assert_eq!(state, "terminated;reason=noresource");
            assert_eq!(document.state, State::Deleted);
            break;
        }
    }
}

// While its NOTIFY waits for an answer that never comes, a subscription may expire: the focus goes on, for all others.
#[tokio::test]
async fn a_subscription_that_expires_while_its_watcher_is_silent_stops_nobody() {
    let (bench, mut one, dialog) = alone().await;
    let mut silent = bench.client(1).await;
    let event = [("Event", "conference"), ("Expires", "5")];
    let (_, accepted) = watch(&bench, &mut silent, &event).await;
    assert_eq!(accepted.code, 200);
    let Some(Event::Request { .. }) = silent.next_event().await else {
        panic!("no NOTIFY");
    };
    until_acknowledged(&mut one, dialog).await;
    later(6).await;
    assert_eq!(bench.mrfc.conferences().await.len(), 1);
    // Its transaction ends after 32 s, and the subscription with it.
    later(40).await;
    while bench.mrfc.metrics().watchers > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_watches_an_empty_conference_is_told_of_the_end() {
    let bench = Bench::start(config()).await;
    let mut other = bench.client(1).await;
    let (_, accepted) = watch(&bench, &mut other, &[("Event", "conference")]).await;
    assert_eq!(accepted.code, 200);
    assert_eq!(notified(&mut other).await.1, "active");
    let leave = bench.mrfc.shutdown(clock::Duration::from_secs(10));
    let ((), (_, state, document)) = tokio::join!(leave, notified(&mut other));
    assert_eq!(state, "terminated;reason=noresource");
    assert_eq!(document.state, State::Deleted);
}

// SIP-WATCH-006
#[tokio::test]
async fn a_subscribe_that_cannot_be_served_is_refused() {
    let mut config = config();
    config.rules.watch = conference::WhoMay::Participants;
    let mut bench = Bench::start(config).await;
    let (mut one, dialog) = bench.joined(0).await;
    for (list, code, name, value) in [
        (
            &[("Event", "presence")][..],
            489,
            "Allow-Events",
            "conference",
        ),
        (&[], 489, "Allow-Events", "conference"),
        (
            &[("Event", "conference"), ("Accept", "application/pidf+xml")],
            406,
            "Accept",
            "conference-info",
        ),
        (
            &[("Event", "conference"), ("Expires", "3")],
            423,
            "Min-Expires",
            "5",
        ),
        (&[("Event", "refer;id=9")], 481, "", ""),
    ] {
        let refused = subscribe(&mut one, dialog, list).await;
        check_refused(&refused, code, name, value);
    }
    let mut other = bench.client(0).await;
    let outside = |uri: &str| Call {
        uri: uri.into(),
        from: "sip:stranger@home3.net".into(),
        sdp: None,
        headers: fields(&[("Event", "conference")]),
        ..bench.call(0)
    };
    for (uri, code) in [
        ("sip:nowhere@home2.net", 404),
        ("sip:conference1@home2.net", 403),
    ] {
        let (_, refused) = other
            .ask(Method::Subscribe, &outside(uri))
            .await
            .expect("answered");
        assert_eq!(refused.code, code, "{uri}");
    }
}
