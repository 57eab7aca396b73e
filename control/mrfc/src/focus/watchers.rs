//! The conference event package (RFC 4575, RFC 6665, TS 24.147 5.3.3): who watches who takes part.

use super::refers::Asked;
use super::{Answer, Focus, Leg, ParticipantId, Timer, add, set};
use crate::headers::contact;
use crate::identity::is_same_user;
use crate::limits::{
    DEPARTURES_MAX, SUBSCRIPTION_SECONDS, SUBSCRIPTION_SECONDS_MAX, SUBSCRIPTION_SECONDS_MIN,
    WATCHERS_MAX,
};
use clock::{Duration, TimerKey};
use conference::info::{Departure, DialogIds, Document, Endpoint, Joining, MEDIA_TYPE, Status};
use conference::roster::{Description, Entry};
use conference::subscription::{EndReason, Notice, Step, Subscription};
use conference::{Participant, Rules, SeatState, Standing};
use sip::{DialogId, Flow, Headers, Method, NameAddr, Request, Response, TxnId};
use std::collections::HashMap;
use tracing::debug;

/// Names a subscription while it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct WatcherId(u64);

/// A subscription to the roster of a conference.
pub(super) struct Watcher {
    conference: String,
    /// URI of the conference, which may be gone before the last notification.
    entity: String,
    dialog: DialogId,
    /// Who watches; when it leaves the conference it does not watch any more.
    uri: String,
    /// `conference`, or `conference;id=…`, as the SUBSCRIBE has it.
    event: String,
    contact: String,
    /// The participant that watches in the dialog of its session, and what names that.
    itself: Option<(ParticipantId, DialogIds)>,
    subscription: Subscription,
    in_flight: Option<TxnId>,
    wake: Option<TimerKey>,
}

impl Focus {
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
            self.sip.handle().respond(asked.txn, answer).await;
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
        let known = self.watched.get(&name).into_iter().flatten().copied();
        let known = known.into_iter().find(|id| {
            let watcher = self.watchers.get(id);
            watcher.is_some_and(|w| w.dialog == asked.dialog && w.event == event)
        });
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
                let watched = self.watched.entry(watcher.conference.clone());
                watched.or_default().insert(id);
                self.watchers.insert(id, watcher);
                self.sip.handle().hold(asked.dialog).await;
                id
            }
        };
        self.sip.handle().respond(asked.txn, answer).await;
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

    fn entity_of(&mut self, name: &str, request: &Request) -> String {
        let Some(room) = self.rooms.get_mut(name) else {
            return request.uri.to_string();
        };
        let uri = room.uri.get_or_insert_with(|| request.uri.clone());
        uri.to_string()
    }

    /// Tells everybody who watches one of the conferences that changed.
    pub(super) async fn publish(&mut self) {
        if self.changed.is_empty() {
            return;
        }
        let changed = core::mem::take(&mut self.changed);
        let ids: Vec<_> = changed
            .iter()
            .filter_map(|name| self.watched.get(name))
            .flatten()
            .copied()
            .collect();
        for name in &changed {
            if let Some(room) = self.rooms.get_mut(name) {
                room.is_stale = true;
            }
        }
        for id in ids {
            self.notify_watcher(id).await;
        }
        for name in &changed {
            self.tell_listeners(name);
        }
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
        let Some(watcher) = self.watchers.get_mut(&id) else {
            return;
        };
        if let Some(key) = watcher.wake.take() {
            self.timers.cancel(key);
        }
        match watcher.subscription.poll(now, generation) {
            Step::Notify(notice) => self.send_roster(id, &name, notice).await,
            Step::Wait(at) => watcher.wake = Some(self.timers.arm(at, Timer::WatcherDue(id))),
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
        let handle = self.sip.handle().clone();
        let sent = handle.request(dialog, Method::Notify, headers, body).await;
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
        } else if code >= 300 {
            debug!(code, "a watcher is gone");
            return self.forget_watcher(id).await;
        }
        self.notify_watcher(id).await;
    }

    async fn forget_watcher(&mut self, id: WatcherId) {
        if let Some(watcher) = self.watchers.remove(&id) {
            add(&self.counters.subscriptions_ended, 1);
            if let Some(all) = self.watched.get_mut(&watcher.conference) {
                all.remove(&id);
                if all.is_empty() {
                    self.watched.remove(&watcher.conference);
                }
            }
            if let Some(key) = watcher.wake {
                self.timers.cancel(key);
            }
            if let Some(txn) = watcher.in_flight {
                self.notifies.remove(&txn);
            }
            self.sip.handle().release(watcher.dialog).await;
        }
    }

    /// Ends what somebody who left, or everybody, watches in a conference.
    pub(super) async fn end_watching(&mut self, name: &str, who: Option<&str>, why: EndReason) {
        let is_meant = |id: &WatcherId| {
            let watcher = self.watchers.get(id);
            watcher.is_some_and(|w| who.is_none_or(|who| is_same_user(who, &w.uri)))
        };
        let all = self.watched.get(name).into_iter().flatten().copied();
        let ids: Vec<_> = all.filter(is_meant).collect();
        for id in ids {
            if let Some(watcher) = self.watchers.get_mut(&id) {
                watcher.subscription.end(why);
            }
            self.notify_watcher(id).await;
        }
    }

    /// Brings the roster up to the present, if anything changed.
    pub(super) fn refresh_roster(&mut self, name: &str) {
        if self.rooms.get(name).is_none_or(|room| !room.is_stale) {
            return;
        }
        let Some(mut room) = self.rooms.remove(name) else {
            return;
        };
        if core::mem::take(&mut room.is_stale) {
            let uri = room.uri.as_ref().map(ToString::to_string);
            let description = Description {
                entity: uri.unwrap_or_default(),
                subject: room.terms.subject.clone(),
                seats_max: room.conference.seats_max(),
                is_locked: room.conference.is_locked(),
            };
            let seats = room.conference.roster();
            let entries: Vec<_> = seats
                .filter_map(|seat| self.entry(&room.terms.rules, seat))
                .collect();
            let departures = core::mem::take(&mut room.departures);
            let parted = |endpoint: &Endpoint| parted(endpoint, &departures);
            room.roster.update(description, entries, parted);
        }
        self.rooms.insert(name.to_owned(), room);
    }

    fn entry(&self, rules: &Rules, seat: Participant) -> Option<Entry> {
        let leg = self.legs.get(&seat.id)?;
        let status = status(&seat, leg)?;
        let user = leg.identity.shown(seat.id.0);
        let is_shown = !leg.identity.is_anonymous;
        // With a participant's standing: whether it is named, or everybody is one.
        let standing = rules.standing(&leg.identity.uri, true, is_same_user);
        let is_led = !rules.moderators.is_empty();
        Some(Entry {
            user,
            display: leg.identity.display.clone().filter(|_| is_shown),
            nickname: leg.nickname.clone(),
            is_moderator: is_led && standing == Standing::Moderator,
            endpoint: Endpoint {
                entity: leg.endpoint(seat.id),
                status,
                joining: Some(if seat.is_called {
                    Joining::DialedOut
                } else {
                    Joining::DialedIn
                }),
                joined_at: leg.joined_at,
                referred_by: leg.call.as_ref().and_then(|call| call.referrer.clone()),
                departure: None,
                media: Some(leg.media_direction(seat.is_muted)),
                dialog: None,
            },
        })
    }

    /// How a participant comes to its end, for who watches: otherwise than by itself.
    pub(super) fn note_departure(&mut self, id: ParticipantId, how: Departure) {
        let Some(leg) = self.legs.get(&id) else {
            return;
        };
        let endpoint = leg.endpoint(id);
        if let Some(room) = self.rooms.get_mut(&leg.conference)
            && room.departures.len() < DEPARTURES_MAX
        {
            room.departures.insert(endpoint, how);
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
        let is_still_there = self.seated(&name).any(|(other, leg)| {
            other != id && !leg.is_sip_over && is_same_user(&leg.identity.uri, &uri)
        });
        if !is_still_there {
            self.end_watching(&name, Some(&uri), EndReason::NoResource)
                .await;
        }
    }

    pub(super) fn count_watchers(&self) {
        set(&self.counters.watchers, self.watchers.len());
    }
}

/// Where a seat stands for others; nothing before it is in the roster.
fn status(seat: &Participant, leg: &Leg) -> Option<Status> {
    match seat.state {
        SeatState::Connected | SeatState::Configuring if seat.is_muted => {
            Some(Status::MutedViaFocus)
        }
        // It neither hears the others nor is heard (RFC 4575 5.7.3).
        SeatState::Connected if leg.media_direction(false) == "inactive" => Some(Status::OnHold),
        SeatState::Connected | SeatState::Configuring => Some(Status::Connected),
        SeatState::Dialing => {
            let is_alerting = leg.call.as_ref().is_some_and(|call| call.is_alerting);
            Some(if is_alerting {
                Status::Alerting
            } else {
                Status::DialingOut
            })
        }
        SeatState::Waiting
        | SeatState::Adding { .. }
        | SeatState::Answered
        | SeatState::Leaving { .. } => None,
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

/// How an endpoint that was there is told to be gone.
fn parted(endpoint: &Endpoint, known: &HashMap<String, Departure>) -> Endpoint {
    let likely = match endpoint.status {
        Status::DialingOut | Status::Alerting => Departure::Failed,
        Status::Pending
        | Status::Connected
        | Status::OnHold
        | Status::MutedViaFocus
        | Status::Disconnected => Departure::Departed,
    };
    Endpoint {
        status: Status::Disconnected,
        departure: Some(known.get(&endpoint.entity).copied().unwrap_or(likely)),
        media: None,
        ..endpoint.clone()
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

    fn headers(name: &str, value: &str) -> Headers {
        let mut headers = Headers::default();
        headers.push(name, value);
        headers
    }

    #[test]
    fn how_long_and_what_kind_is_read_from_a_subscribe() {
        let check = |value: &str, expected: Result<u64, u16>| {
            let got = expires(&headers("Expires", value)).map_err(|answer| answer.code);
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
        assert!(accepts(&headers("Accept", several)));
        assert!(!accepts(&headers("Accept", "application/sdp")));
        assert_eq!(canonical("conference ; id=7;x"), "conference;id=7");
        assert_eq!(canonical("conference"), "conference");
    }
}
