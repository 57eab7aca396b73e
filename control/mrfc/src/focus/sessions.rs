//! Session timers of legs: refreshing, being refreshed, ending what is silent.

use super::joins::Heard;
use super::{Controller, Event, Focus, Hangup, ParticipantId, Sip, Timer, info};
use clock::Duration;
use rand::RngExt;
use sip::Method;

/// How long to wait after two requests crossed, milliseconds (RFC 3261 14.1: of the one who owns the
/// Call-ID).
const AGAIN_MS: core::ops::Range<u64> = 2_100..4_000;

impl<S: Sip, H: Controller> Focus<S, H> {
    /// Counts from now: the session was just made or refreshed.
    pub(super) fn restart_session(&mut self, id: ParticipantId) {
        let now = self.now();
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let due = leg.session.map(|timer| now + timer.wait());
        let key = due.map(|at| self.timers.arm(at, Timer::SessionDue(id)));
        if let Some(old) = core::mem::replace(&mut leg.session_due, key) {
            self.timers.cancel(old);
        }
    }

    pub(super) async fn handle_session_due(&mut self, id: ParticipantId) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        leg.session_due = None;
        let Some(timer) = leg.session else {
            return;
        };
        if timer.ends_in_silence() {
            return self.expire_session(id);
        }
        let Some(dialog) = leg.dialog else {
            return;
        };
        let mut fields = timer.refresh_fields();
        let contact = leg.fields.iter().filter(|(name, _)| name == "Contact");
        fields.extend(contact.cloned());
        // Who does not take UPDATE is sent the description that it has (RFC 4028 7.4), unless all that is
        // asked is whether it is there.
        let (method, body) = if leg.allows_update || !timer.is_awaited() {
            (Method::Update, Vec::new())
        } else {
            fields.push(("Content-Type".to_owned(), "application/sdp".to_owned()));
            (Method::Invite, leg.answer.clone().into_bytes())
        };
        leg.is_refreshing = method == Method::Invite;
        let sent = self.sip.request(dialog, method, fields, body).await;
        if sent.is_none() {
            // Another offer is under way.
            if let Some(leg) = self.legs.get_mut(&id) {
                leg.is_refreshing = false;
            }
            self.refresh_soon(id);
        }
    }

    /// The answer to a refresh of ours. Even a refusal shows that somebody is there; only "unknown dialog" and
    /// silence end the session (RFC 4028 10, RFC 5057 5.1).
    pub(super) async fn handle_refreshed(&mut self, id: ParticipantId, heard: Heard<'_>) {
        let Heard {
            method,
            response,
            is_synthetic,
        } = heard;
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| !leg.is_sip_over) else {
            return;
        };
        let (dialog, headers) = (leg.dialog, &response.headers);
        leg.is_refreshing &= response.code < 200;
        match (response.code, leg.session) {
            (..200, _) => {}
            (200..300, session) => {
                leg.session = session.map(|timer| timer.refreshed(headers));
                self.restart_session(id);
                if *method == Method::Invite
                    && let Some(dialog) = dialog
                {
                    self.sip.ack(dialog).await;
                    self.take_answer(id, &response.body);
                }
            }
            (408 | 481, _) => self.expire_session(id),
            (503, _) if is_synthetic => self.expire_session(id),
            (405 | 501, Some(timer)) if timer.is_awaited() && *method == Method::Update => {
                leg.allows_update = false;
                self.refresh_soon(id);
            }
            (422, Some(timer)) if let Some(longer) = timer.lengthened(headers) => {
                leg.session = Some(longer);
                self.refresh_soon(id);
            }
            // Both asked at once (RFC 3261 14.1).
            (491, Some(_)) => self.refresh_soon(id),
            // The peer ends the session where no refresh succeeds: there is time for some more.
            (_, Some(timer)) if timer.is_awaited() => self.refresh_after(id, timer.wait_again()),
            _ => self.restart_session(id),
        }
    }

    /// Not at once, so that two that ask each other do not do so again and again.
    fn refresh_soon(&mut self, id: ParticipantId) {
        let wait = Duration::from_millis(self.rng.random_range(AGAIN_MS));
        self.refresh_after(id, wait);
    }

    fn refresh_after(&mut self, id: ParticipantId, wait: Duration) {
        let at = self.now() + wait;
        if let Some(leg) = self.legs.get_mut(&id) {
            let key = self.timers.arm(at, Timer::SessionDue(id));
            if let Some(old) = leg.session_due.replace(key) {
                self.timers.cancel(old);
            }
        }
    }

    fn expire_session(&mut self, id: ParticipantId) {
        if let Some(leg) = self.legs.get(&id) {
            info!(conference = %leg.conference, leg = id.0, call_id = %leg.call_id, "session expired");
        }
        self.tell(id, Event::Expelled(id, Hangup::SessionExpired));
    }
}
