//! The conference event package (RFC 4575, RFC 6665, TS 24.147 5.3.3): who watches who takes part.

use super::refers::Asked;
use super::{Answer, Controller, Focus, ParticipantId, Sip, Timer, add, set, withdraw};
use crate::headers::contact;
use crate::identity::UserKey;
use crate::limits::{
    SUBSCRIPTION_SECONDS, SUBSCRIPTION_SECONDS_MAX, SUBSCRIPTION_SECONDS_MIN, WATCHERS_MAX,
};
use clock::{Duration, TimerKey};
use conference::info::{DialogIds, Document, MEDIA_TYPE};
use conference::subscription::{EndReason, Notice, Step, Subscription};
use sip::{DialogId, Flow, Headers, Method, NameAddr, Request, Response, TxnId};
use std::collections::{BTreeSet, HashMap};
use tracing::{debug, info};

/// Names a subscription while it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct WatcherId(u64);

/// A subscription to the roster of a conference.
pub(super) struct Watcher {
    pub(super) conference: String,
    /// URI of the conference, which may be gone before the last notification.
    entity: String,
    dialog: DialogId,
    /// Who watches; when it leaves the conference it does not watch any more.
    uri: String,
    /// `conference`, or `conference;id=…`, as the SUBSCRIBE has it.
    pub(super) event: String,
    contact: String,
    /// The participant that watches in the dialog of its session, and what names that.
    itself: Option<(ParticipantId, DialogIds)>,
    subscription: Subscription,
    pub(super) in_flight: Option<TxnId>,
    pub(super) wake: Option<TimerKey>,
}

/// Who watches a conference.
#[derive(Default)]
pub(super) struct Watched {
    all: BTreeSet<WatcherId>,
    /// Those that know all there is, so that the next change is to be told them. The others have a notification
    /// under way, or a timer for the next one.
    quiet: BTreeSet<WatcherId>,
    by_user: HashMap<UserKey, BTreeSet<WatcherId>>,
    by_dialog: HashMap<DialogId, BTreeSet<WatcherId>>,
}

impl<S: Sip, H: Controller> Focus<S, H> {
    pub(super) async fn handle_subscribe(&mut self, asked: Asked, request: &Request, flow: Flow) {
        let event = request.headers.get("Event").unwrap_or_default().to_owned();
        let package = event.split(';').next().unwrap_or_default().trim();
        let answer = match package {
            "conference" => self.start_watching(&asked, request, flow).await,
            "refer" if !asked.is_new => self.refresh_refer(&asked, request).await,
            _ => Err(Answer::new(489).with("Allow-Events", "conference")),
        };
        if let Err(answer) = answer {
            debug!(code = answer.code, "SUBSCRIBE refused");
            add(&self.counters.subscriptions_refused, 1);
            self.sip.respond(asked.txn, answer).await;
        }
    }

    async fn start_watching(
        &mut self,
        asked: &Asked,
        request: &Request,
        flow: Flow,
    ) -> Result<(), Answer> {
        let headers = &request.headers;
        let name = self.conference_of(asked, request)?;
        self.secured(request, flow)?;
        if !accepts(headers) {
            return Err(Answer::new(406).with("Accept", MEDIA_TYPE));
        }
        let seconds = expires(headers)?;
        let uri = self.asker(asked, request, flow).uri;
        self.may(self.terms_of(&name).rules.watch, self.standing(&name, &uri))?;
        let event = canonical(headers.get("Event").unwrap_or_default());
        let known = self.watching_in(&name, asked.dialog, &event);
        if known.is_none() && (self.is_draining || self.watchers.len() >= WATCHERS_MAX) {
            return Err(crate::answers::busy());
        }
        let contact = contact(&self.config, &request.uri, self.seen_by(request, flow));
        let answer = Answer::new(200)
            .with("Contact", contact.clone())
            .with("Expires", seconds.to_string());
        let (now, duration) = (self.now(), Duration::from_secs(seconds));
        let id = match known {
            Some(id) => {
                add(&self.counters.subscriptions_refreshed, 1);
                if let Some(watcher) = self.watchers.get_mut(&id) {
                    watcher.subscription.refresh(now, duration);
                }
                id
            }
            None => {
                add(&self.counters.subscriptions, 1);
                self.next_watcher += 1;
                let id = WatcherId(self.next_watcher);
                let watcher = Watcher {
                    entity: self.entity_of(&name, request),
                    conference: name,
                    dialog: asked.dialog,
                    uri,
                    event,
                    contact,
                    itself: self.itself(asked, request),
                    subscription: Subscription::new(now, duration),
                    in_flight: None,
                    wake: None,
                };
                self.insert_watcher(id, watcher);
                self.sip.hold(asked.dialog).await;
                id
            }
        };
        self.sip.respond(asked.txn, answer).await;
        self.notify_watcher(id).await;
        Ok(())
    }

    /// Who watches in the dialog of its session.
    fn itself(&self, asked: &Asked, request: &Request) -> Option<(ParticipantId, DialogIds)> {
        let id = *self.by_dialog.get(&asked.dialog)?;
        let leg = self.legs.get(&id)?;
        let tag = |name| {
            let written = NameAddr::parse(request.headers.get(name)?).ok()?;
            Some(written.tag()?.to_owned())
        };
        let (theirs, ours) = (tag("From")?, tag("To")?);
        let (from_tag, to_tag) = match leg.call {
            Some(_) => (ours, theirs),
            None => (theirs, ours),
        };
        let call_id = leg.call_id.clone();
        let dialog = DialogIds {
            call_id,
            from_tag,
            to_tag,
        };
        Some((id, dialog))
    }

    /// The subscription that a SUBSCRIBE refreshes.
    fn watching_in(&self, name: &str, dialog: DialogId, event: &str) -> Option<WatcherId> {
        let own = self.watched.get(name)?.by_dialog.get(&dialog)?;
        let is_it = |id: &WatcherId| self.watchers.get(id).is_some_and(|w| w.event == event);
        own.iter().copied().find(is_it)
    }

    fn insert_watcher(&mut self, id: WatcherId, watcher: Watcher) {
        let watched = self.watched.entry(watcher.conference.clone());
        watched.or_default().insert(id, &watcher);
        self.watchers.insert(id, watcher);
    }

    /// The watchers that the next change is to be told.
    pub(super) fn take_quiet_watchers(&mut self, name: &str) -> BTreeSet<WatcherId> {
        let watched = self.watched.get_mut(name);
        watched.map_or_else(BTreeSet::new, |watched| core::mem::take(&mut watched.quiet))
    }

    fn entity_of(&mut self, name: &str, request: &Request) -> String {
        let Some(room) = self.rooms.get_mut(name) else {
            return request.uri.to_string();
        };
        let uri = room.uri.get_or_insert_with(|| request.uri.clone());
        uri.to_string()
    }

    /// Does what is due for one subscription.
    pub(super) async fn notify_watcher(&mut self, id: WatcherId) {
        let now = self.now();
        let Some(name) = self.watchers.get(&id).map(|w| w.conference.clone()) else {
            return;
        };
        self.refresh_roster(&name);
        let generation = self
            .rooms
            .get(&name)
            .map_or(u64::MAX, |room| room.roster.generation());
        if let Some(watched) = self.watched.get_mut(&name) {
            watched.quiet.remove(&id);
        }
        let Some(watcher) = self.watchers.get_mut(&id) else {
            return;
        };
        if let Some(key) = watcher.wake.take() {
            self.timers.cancel(key);
        }
        match watcher.subscription.poll(now, generation) {
            Step::Notify(notice) => self.send_roster(id, &name, notice).await,
            Step::Await => {}
            Step::Wait(at) => watcher.wake = Some(self.timers.arm(at, Timer::WatcherDue(id))),
            Step::Idle(until) => {
                watcher.wake = Some(self.timers.arm(until, Timer::WatcherDue(id)));
                if let Some(watched) = self.watched.get_mut(&name) {
                    watched.quiet.insert(id);
                }
            }
            Step::Over => self.forget_watcher(id).await,
        }
    }

    async fn send_roster(&mut self, id: WatcherId, name: &str, notice: Notice) {
        let Some(watcher) = self.watchers.get(&id) else {
            return;
        };
        let mut document = match self.rooms.get(name) {
            Some(room) => room.roster.document(notice.since, notice.version),
            None => Document::deleted(&watcher.entity, notice.version),
        };
        if let Some((id, dialog)) = &watcher.itself
            && let Some(leg) = self.legs.get(id)
        {
            mark(
                &mut document,
                &leg.identity.shown(id.0),
                &leg.endpoint(*id),
                dialog,
            );
        }
        let state = match notice.state {
            Ok(left) => format!("active;expires={left}"),
            Err(why) => format!("terminated;reason={}", why.as_str()),
        };
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let headers = vec![
            field("Event", &watcher.event),
            field("Subscription-State", &state),
            field("Contact", &watcher.contact),
            field("Content-Type", MEDIA_TYPE),
        ];
        let (dialog, body) = (watcher.dialog, document.to_xml().into_bytes());
        add(&self.counters.notifies, 1);
        let sent = self
            .sip
            .request(dialog, Method::Notify, headers, body)
            .await;
        match sent.filter(|_| notice.state.is_ok()) {
            Some(txn) => {
                if let Some(watcher) = self.watchers.get_mut(&id) {
                    watcher.in_flight = Some(txn);
                    self.notifies.insert(txn, super::Notified::Watcher(id));
                }
            }
            // The last one, or nowhere to send to.
            None => self.forget_watcher(id).await,
        }
    }

    /// The answer to a NOTIFY: a refusal ends the subscription, unless it says when to try again (RFC 6665
    /// 4.2.2).
    pub(super) async fn roster_answered(&mut self, id: WatcherId, response: &Response) {
        let (now, code) = (self.now(), response.code);
        let Some(watcher) = self.watchers.get_mut(&id) else {
            return;
        };
        watcher.in_flight = None;
        watcher.subscription.answered();
        let again = response.headers.get("Retry-After").and_then(seconds);
        if let Some(again) = again.filter(|_| code >= 300) {
            let again = again.min(SUBSCRIPTION_SECONDS_MAX);
            watcher
                .subscription
                .put_off(now, Duration::from_secs(again));
        } else if code == 513 && !watcher.subscription.is_over() {
            // By UDP without TCP beside it 64 KiB are the most (RFC 3261 18.1.1). What changed since is
            // short: with that the watcher learns why it is told no more.
            info!(
                conference = watcher.conference,
                "a roster is too long for a watcher"
            );
            watcher.subscription.end(EndReason::TooLong);
        } else if code >= 300 {
            debug!(code, "a watcher is gone");
            return self.forget_watcher(id).await;
        }
        self.notify_watcher(id).await;
    }

    async fn forget_watcher(&mut self, id: WatcherId) {
        if let Some(watcher) = self.watchers.remove(&id) {
            add(&self.counters.subscriptions_ended, 1);
            if let Some(watched) = self.watched.get_mut(&watcher.conference) {
                watched.remove(id, &watcher);
                if watched.all.is_empty() {
                    self.watched.remove(&watcher.conference);
                }
            }
            if let Some(key) = watcher.wake {
                self.timers.cancel(key);
            }
            if let Some(txn) = watcher.in_flight {
                self.notifies.remove(&txn);
            }
            self.sip.release(watcher.dialog).await;
        }
    }

    /// Ends what somebody who left, or everybody, watches in a conference.
    pub(super) async fn end_watching(&mut self, name: &str, who: Option<&str>, why: EndReason) {
        let Some(watched) = self.watched.get(name) else {
            return;
        };
        let meant = match who {
            None => Some(&watched.all),
            Some(who) => UserKey::of(who).and_then(|who| watched.by_user.get(&who)),
        };
        for id in meant.cloned().unwrap_or_default() {
            if let Some(watcher) = self.watchers.get_mut(&id) {
                watcher.subscription.end(why);
            }
            self.notify_watcher(id).await;
        }
    }

    /// A participant left: what it watched is over, too (TS 24.147 5.3.3.3).
    pub(super) async fn end_watching_of(&mut self, id: ParticipantId) {
        let Some(leg) = self.legs.get(&id).filter(|leg| leg.is_connected) else {
            return;
        };
        let (name, uri) = (leg.conference.clone(), leg.identity.uri.clone());
        if !self.watched.contains_key(&name) {
            return;
        }
        let mut legs = self.seated_of(&name, &uri);
        if !legs.any(|(other, leg)| other != id && !leg.is_sip_over) {
            drop(legs);
            self.end_watching(&name, Some(&uri), EndReason::NoResource)
                .await;
        }
    }

    pub(super) fn count_watchers(&self) {
        set(&self.counters.watchers, self.watchers.len());
    }
}

impl Watched {
    fn insert(&mut self, id: WatcherId, watcher: &Watcher) {
        self.all.insert(id);
        self.by_dialog.entry(watcher.dialog).or_default().insert(id);
        if let Some(user) = UserKey::of(&watcher.uri) {
            self.by_user.entry(user).or_default().insert(id);
        }
    }

    fn remove(&mut self, id: WatcherId, watcher: &Watcher) {
        self.all.remove(&id);
        self.quiet.remove(&id);
        withdraw(&mut self.by_dialog, &watcher.dialog, id);
        if let Some(user) = UserKey::of(&watcher.uri) {
            withdraw(&mut self.by_user, &user, id);
        }
    }
}

/// Tells a participant which endpoint is its own: an anonymous one has no other way to learn under which
/// URI the others know it.
fn mark(document: &mut Document, user: &str, endpoint: &str, dialog: &DialogIds) {
    let user = document.users.iter_mut().find(|u| u.entity == user);
    let endpoints = user.into_iter().flat_map(|user| &mut user.endpoints);
    for own in endpoints.filter(|own| own.entity == endpoint) {
        own.dialog = Some(dialog.clone());
    }
}

fn accepts(headers: &Headers) -> bool {
    let is_said = headers.get("Accept").is_some();
    let is_good = |kind: &str| headers.has_token("Accept", kind);
    !is_said || is_good(MEDIA_TYPE) || is_good("*/*") || is_good("application/*")
}

/// The seconds of a Retry-After, without its comment and parameters.
fn seconds(value: &str) -> Option<u64> {
    let end = value.find([';', '(', ' ']).unwrap_or(value.len());
    value[..end].parse().ok()
}

/// How long a subscription is to last, seconds; zero ends it.
fn expires(headers: &Headers) -> Result<u64, Answer> {
    let Some(value) = headers.get("Expires") else {
        return Ok(SUBSCRIPTION_SECONDS);
    };
    let seconds: u64 = value.trim().parse().map_err(|_| Answer::new(400))?;
    if (1..SUBSCRIPTION_SECONDS_MIN).contains(&seconds) {
        let min = SUBSCRIPTION_SECONDS_MIN.to_string();
        return Err(Answer::new(423).with("Min-Expires", min));
    }
    Ok(seconds.min(SUBSCRIPTION_SECONDS_MAX))
}

/// An Event value without what is not part of its name: the `id` is, and must be echoed.
fn canonical(event: &str) -> String {
    let mut parts = event.split(';').map(str::trim);
    let package = parts.next().unwrap_or_default();
    match parts.find(|part| part.to_ascii_lowercase().starts_with("id=")) {
        Some(id) => format!("{package};{id}"),
        None => package.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_and_what_kind_is_read_from_a_subscribe() {
        let check = |value: &str, expected: Result<u64, u16>| {
            let got =
                expires(&Headers::from_iter([("Expires", value)])).map_err(|answer| answer.code);
            assert_eq!(got, expected, "{value}");
        };
        check("0", Ok(0));
        check("4", Err(423));
        check("5", Ok(5));
        check("600", Ok(600));
        check("99999999", Ok(SUBSCRIPTION_SECONDS_MAX));
        check("soon", Err(400));
        assert_eq!(expires(&Headers::default()).ok(), Some(3600));
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds("18 (in a meeting);duration=3"), Some(18));
        assert_eq!(seconds("soon"), None);
        assert!(accepts(&Headers::default()));
        let several = "application/sdp, Application/Conference-Info+XML;q=1";
        assert!(accepts(&Headers::from_iter([("Accept", several)])));
        assert!(!accepts(&Headers::from_iter([(
            "Accept",
            "application/sdp"
        )])));
        assert_eq!(canonical("conference ; id=7;x"), "conference;id=7");
        assert_eq!(canonical("conference"), "conference");
    }
}
