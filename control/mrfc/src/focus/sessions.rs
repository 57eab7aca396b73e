//! Session timers of legs: refreshing, being refreshed, ending what is silent.

use super::{Event, Focus, Hangup, ParticipantId, Timer, info};
use sip::{Method, Response};

impl Focus {
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
        let fields = timer.refresh_fields();
        self.sip
            .handle()
            .request(dialog, Method::Update, fields, Vec::new())
            .await;
    }

    /// The answer to a refresh of ours. Even a refusal shows that the peer is there; only
    /// "unknown dialog" and silence end the session (RFC 4028 10).
    pub(super) fn handle_refreshed(&mut self, id: ParticipantId, response: &Response) {
        match response.code {
            ..200 => {}
            408 | 481 | 503 => self.expire_session(id),
            _ => self.restart_session(id),
        }
    }

    fn expire_session(&mut self, id: ParticipantId) {
        if let Some(leg) = self.legs.get(&id) {
            info!(conference = %leg.conference, leg = id.0, call_id = %leg.call_id, "session expired");
        }
        self.tell(id, Event::Expelled(id, Hangup::SessionExpired));
    }
}
