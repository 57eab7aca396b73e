//! REFER: somebody asks the focus to call or to remove somebody (RFC 3515, RFC 4488, TS 24.147
//! 5.3.2.5.2 and 5.3.2.6.2).
//!
//! ```text
//! REFER -> conference? Refer-To? may it? -> 202 -> NOTIFY 100 -> NOTIFY 180 … -> NOTIFY 200, over
//! one NOTIFY is under way at a time; what happens meanwhile is told by the next, the end always
//! ```

use super::{
    Answer, Controller, Event, Focus, Hangup, Notified, ParticipantId, Sip, Timer, add, info,
};
use crate::headers::contact;
use crate::identity::{Identity, is_same_user};
use crate::limits::{LEGS_MAX, REFER_SECONDS, REFERS_MAX};
use crate::refer::{ReferAction, ReferTo};
use clock::{Duration, TimerKey};
use conference::{Standing, WhoMay};
use sip::{DialogId, Flow, Method, Request, Response, TxnId, reason_phrase};
use tracing::debug;

/// Names a REFER while its outcome is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ReferId(u64);

/// A request in a dialog, or one that made a dialog.
pub(super) struct Asked {
    pub(super) dialog: DialogId,
    pub(super) is_new: bool,
    pub(super) txn: TxnId,
}

/// A REFER whose outcome is awaited, and told unless nobody wants to know.
pub(super) struct Refer {
    dialog: DialogId,
    /// `refer`, or `refer;id=…` where one is told apart from another (RFC 3515 2.4.6).
    event: String,
    contact: String,
    /// Legs whose end is awaited; none: the outcome of one call is.
    awaited_ends: usize,
    /// What is to be told next.
    news: Option<(u16, String)>,
    in_flight: Option<TxnId>,
    timer: TimerKey,
    ends_at: clock::Instant,
}

impl<S: Sip, H: Controller> Focus<S, H> {
    pub(super) async fn handle_refer(&mut self, asked: Asked, request: &Request, flow: Flow) {
        match self.start_refer(&asked, request, flow).await {
            Ok(()) => {
                add(&self.counters.refers, 1);
                self.counters.outcomes().refers.count(202);
            }
            Err(answer) => {
                add(&self.counters.refers_refused, 1);
                self.counters.outcomes().refers.count(answer.code);
                debug!(code = answer.code, "REFER refused");
                self.sip.respond(asked.txn, answer).await;
            }
        }
    }

    async fn start_refer(
        &mut self,
        asked: &Asked,
        request: &Request,
        flow: Flow,
    ) -> Result<(), Answer> {
        let name = self.conference_of(asked, request)?;
        self.secured(request, flow)?;
        let refer_to = ReferTo::read(&request.headers)?;
        let referrer = self.asker(asked, request, flow);
        let standing = self.standing(&name, &referrer.uri);
        let legs = match refer_to.action {
            ReferAction::Invite => {
                self.may(self.terms_of(&name).rules.invite, standing)?;
                Vec::new()
            }
            ReferAction::Bye => {
                self.may(self.terms_of(&name).rules.remove, standing)?;
                self.legs_named(&name, refer_to.target.as_str())?
            }
        };
        if self.is_draining || self.refers.len() >= REFERS_MAX || self.legs.len() >= LEGS_MAX {
            return Err(crate::answers::busy());
        }
        let watcher = self.accept_refer(asked, request, flow).await;
        if let (Some(watcher), false) = (watcher, legs.is_empty())
            && let Some(refer) = self.refers.get_mut(&watcher)
        {
            refer.awaited_ends = legs.len();
        }
        info!(conference = %name, action = ?refer_to.action, "referred");
        let legs = match refer_to.action {
            ReferAction::Invite => {
                let mut fields = refer_to.fields;
                fields.extend(referred_by(request, &referrer));
                let known = Some(referrer.uri).filter(|_| !referrer.is_anonymous);
                vec![self.new_call(&name, refer_to.target, fields, known)]
            }
            ReferAction::Bye => legs,
        };
        for id in legs {
            if let Some(leg) = self.legs.get_mut(&id) {
                leg.watchers.extend(watcher);
            }
            if refer_to.action == ReferAction::Bye {
                self.tell(id, Event::Expelled(id, Hangup::Removed));
            }
        }
        if let Some(watcher) = watcher {
            self.report(watcher, 100, reason_phrase(100)).await;
        }
        Ok(())
    }

    /// The conference that a request is for: that of its dialog, else the one its URI names, which
    /// must exist.
    pub(super) fn conference_of(&self, asked: &Asked, request: &Request) -> Result<String, Answer> {
        let leg = self.by_dialog.get(&asked.dialog);
        if let Some(leg) = leg.and_then(|id| self.legs.get(id)) {
            return Ok(leg.conference.clone());
        }
        let name = self.locate(&request.uri)?;
        if !self.rooms.contains_key(&name) {
            return Err(Answer::new(404));
        }
        Ok(name)
    }

    /// Who asks: the participant whose dialog it is, else who the request says.
    pub(super) fn asker(&self, asked: &Asked, request: &Request, flow: Flow) -> Identity {
        let leg = self.by_dialog.get(&asked.dialog);
        match leg.and_then(|id| self.legs.get(id)) {
            Some(leg) => leg.identity.clone(),
            None => Identity::of(&request.headers, flow.is_trusted),
        }
    }

    pub(super) fn standing(&self, name: &str, uri: &str) -> Standing {
        let mut legs = self.seated_of(name, uri);
        let is_participant = legs.any(|(_, leg)| leg.is_connected && !leg.is_sip_over);
        let terms = self.terms_of(name);
        terms.rules.standing(uri, is_participant, is_same_user)
    }

    pub(super) fn may(&self, who: WhoMay, standing: Standing) -> Result<(), Answer> {
        if who.allows(standing) {
            Ok(())
        } else {
            Err(Answer::new(403))
        }
    }

    /// The legs that a URI names: all of them for that of the conference, else those of a user or
    /// of one of its devices.
    fn legs_named(&self, name: &str, target: &str) -> Result<Vec<ParticipantId>, Answer> {
        let conference = self.rooms.get(name).and_then(|room| room.uri.as_ref());
        let is_all = conference.is_some_and(|uri| is_same_user(uri.as_str(), target));
        let found: Vec<_> = self
            .seated(name)
            .filter(|(id, leg)| {
                !leg.is_sip_over
                    && (is_all
                        || is_same_user(&leg.identity.shown(id.0), target)
                        || is_same_user(&leg.identity.uri, target)
                        || is_same_user(&leg.contact, target))
            })
            .map(|(id, _)| id)
            .collect();
        if found.is_empty() {
            Err(Answer::new(404))
        } else {
            Ok(found)
        }
    }

    /// Answers 202; unless it wants to hear nothing (RFC 4488) the referrer is told from now on.
    async fn accept_refer(
        &mut self,
        asked: &Asked,
        request: &Request,
        flow: Flow,
    ) -> Option<ReferId> {
        let contact = contact(&self.config, &request.uri, self.seen_by(request, flow));
        let answer = Answer::new(202).with("Contact", contact.clone());
        let is_silent = request
            .headers
            .get("Refer-Sub")
            .is_some_and(|value| value.trim().eq_ignore_ascii_case("false"));
        if is_silent {
            let answer = answer.with("Refer-Sub", "false");
            self.sip.respond(asked.txn, answer).await;
            return None;
        }
        self.next_refer += 1;
        let id = ReferId(self.next_refer);
        let ends_at = self.now() + Duration::from_secs(REFER_SECONDS);
        let refer = Refer {
            dialog: asked.dialog,
            event: self.event_of(asked, request),
            contact,
            awaited_ends: 0,
            news: None,
            in_flight: None,
            timer: self.timers.arm(ends_at, Timer::ReferOver(id)),
            ends_at,
        };
        self.refers.insert(id, refer);
        self.sip.hold(asked.dialog).await;
        self.sip.respond(asked.txn, answer).await;
        Some(id)
    }

    fn event_of(&mut self, asked: &Asked, request: &Request) -> String {
        let leg = self.by_dialog.get(&asked.dialog);
        let earlier = match leg.and_then(|id| self.legs.get_mut(id)) {
            Some(leg) => {
                leg.refers += 1;
                leg.refers > 1
            }
            None => !asked.is_new,
        };
        match request.headers.cseq() {
            Some((number, _)) if earlier => format!("refer;id={number}"),
            _ => "refer".to_owned(),
        }
    }

    /// Something to tell who referred; from 200 on it is the last.
    pub(super) async fn report(&mut self, id: ReferId, code: u16, reason: &str) {
        let Some(refer) = self.refers.get_mut(&id) else {
            return;
        };
        let is_last = |code: u16| code >= 200;
        let is_over = refer.news.as_ref().is_some_and(|(code, _)| is_last(*code));
        if is_over || (is_last(code) && refer.awaited_ends > 0) {
            return;
        }
        refer.news = Some((code, reason.to_owned()));
        if is_last(code) {
            self.counters.outcomes().referred.count(code);
        }
        self.send_news(id).await;
    }

    /// One of the legs that a REFER was about is over.
    pub(super) async fn finish_one(&mut self, id: ReferId) {
        let Some(refer) = self.refers.get_mut(&id) else {
            return;
        };
        let code = match refer.awaited_ends {
            // It was to be called and is gone.
            0 => 487,
            1 => 200,
            _ => 100,
        };
        refer.awaited_ends = refer.awaited_ends.saturating_sub(1);
        self.report(id, code, reason_phrase(code)).await;
    }

    async fn send_news(&mut self, id: ReferId) {
        let now = self.now();
        let Some(refer) = self.refers.get_mut(&id) else {
            return;
        };
        if refer.in_flight.is_some() {
            return;
        }
        let Some((code, reason)) = refer.news.take() else {
            return;
        };
        let is_last = code >= 200;
        let state = if is_last {
            "terminated;reason=noresource".to_owned()
        } else {
            format!("active;expires={}", refer.ends_at.since(now).as_secs())
        };
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let headers = vec![
            field("Event", &refer.event),
            field("Subscription-State", &state),
            field("Contact", &refer.contact),
            field("Content-Type", "message/sipfrag;version=2.0"),
        ];
        let body = format!("SIP/2.0 {code} {reason}\r\n").into_bytes();
        let dialog = refer.dialog;
        let sent = self
            .sip
            .request(dialog, Method::Notify, headers, body)
            .await;
        match sent {
            Some(txn) if !is_last => {
                if let Some(refer) = self.refers.get_mut(&id) {
                    refer.in_flight = Some(txn);
                    self.notifies.insert(txn, Notified::Refer(id));
                }
            }
            // Whether the last one arrives changes nothing here.
            Some(_) | None => self.end_refer(id).await,
        }
    }

    pub(super) async fn handle_notified(&mut self, txn: TxnId, response: &Response) {
        if response.code < 200 {
            return;
        }
        let id = match self.notifies.remove(&txn) {
            Some(Notified::Refer(id)) => id,
            Some(Notified::Watcher(id)) => return self.roster_answered(id, response).await,
            None => return,
        };
        if let Some(refer) = self.refers.get_mut(&id) {
            refer.in_flight = None;
        }
        if response.code >= 300 {
            debug!(
                code = response.code,
                "nobody wants to hear of a REFER any more"
            );
            return self.end_refer(id).await;
        }
        self.send_news(id).await;
    }

    /// A SUBSCRIBE of one who referred (RFC 3515 2.4.4): it hears how it stands, or nothing more.
    pub(super) async fn refresh_refer(
        &mut self,
        asked: &Asked,
        request: &Request,
    ) -> Result<(), Answer> {
        let event = request.headers.get("Event").unwrap_or_default();
        let is_it = |r: &Refer| r.dialog == asked.dialog && r.event == event.replace(' ', "");
        let known = self.refers.iter().find(|(_, refer)| is_it(refer));
        let id = known.map(|(&id, _)| id).ok_or_else(|| Answer::new(481))?;
        let is_over = request.headers.get("Expires").map(str::trim) == Some("0");
        let answer = Answer::new(200)
            .with("Contact", self.refers[&id].contact.clone())
            .with(
                "Expires",
                if is_over { 0 } else { REFER_SECONDS }.to_string(),
            );
        self.sip.respond(asked.txn, answer).await;
        if is_over {
            self.end_refer(id).await;
        } else {
            self.report(id, 100, reason_phrase(100)).await;
        }
        Ok(())
    }

    pub(super) async fn expire_refer(&mut self, id: ReferId) {
        if let Some(refer) = self.refers.get_mut(&id) {
            // Whatever is under way: this one must go out before the subscription is over.
            refer.in_flight = None;
            refer.awaited_ends = 0;
            self.report(id, 408, reason_phrase(408)).await;
        }
    }

    async fn end_refer(&mut self, id: ReferId) {
        if let Some(refer) = self.refers.remove(&id) {
            self.timers.cancel(refer.timer);
            if let Some(txn) = refer.in_flight {
                self.notifies.remove(&txn);
            }
            self.sip.release(refer.dialog).await;
        }
    }
}

/// Who asked, for the one who is called (RFC 3892): as the REFER says, else as we know.
fn referred_by(request: &Request, referrer: &Identity) -> Option<(String, String)> {
    let given = request.headers.get("Referred-By").map(str::to_owned);
    let known = Some(format!("<{}>", referrer.uri))
        .filter(|_| !referrer.is_anonymous && !referrer.uri.is_empty());
    let value = given.or(known)?;
    Some(("Referred-By".to_owned(), value))
}
