//! Offers after the first: re-INVITE, UPDATE, PRACK and ACK.

use super::{Answer, Controller, Event, Focus, Hangup, Leg, ParticipantId, Refusal, Sip, info};
use crate::answers::{answer_with, bad_extension, not_acceptable, read_body, read_offer, refusal};
use crate::headers::{LIST, wants_list};
use crate::media::{Offer, Unusable};
use crate::session_timer::SessionTimer;
use conference::notice::Outcome;
use sip::{DialogId, Method, Request, TxnId};
use tracing::debug;

/// The answer follows once the MRFP has replied.
pub(super) struct Later;

impl Leg {
    /// Whether an offer has no answer yet.
    pub(super) fn is_changing(&self) -> bool {
        self.txn.is_some() || self.next_offer.is_some()
    }

    /// The reliable provisional response of one who requires such: the focus works on it. Nobody
    /// else is sent one (TS 24.247 A.5.1); without an offer in the INVITE it would have to bring
    /// ours (RFC 3261 13.2.1), which is not there before the 200.
    pub(super) fn progress(&self, request: &Request) -> Option<Answer> {
        let is_required = request.headers.has_token("Require", "100rel");
        (is_required && self.offer.is_some())
            .then(|| answer_with(183, self.fields.clone()).with("Require", "100rel"))
    }

    pub(super) fn ok(&self) -> Answer {
        let mut answer = answer_with(200, self.fields.clone());
        answer
            .headers
            .extend(self.session.iter().flat_map(SessionTimer::fields));
        answer
    }

    pub(super) fn ok_with_sdp(&self) -> Answer {
        self.ok()
            .with_body("application/sdp", self.answer.as_bytes())
    }
}

impl<S: Sip, H: Controller> Focus<S, H> {
    /// A re-INVITE or UPDATE: the answer, or later, when the MRFP has been asked.
    pub(super) fn handle_offer(
        &mut self,
        id: ParticipantId,
        txn: TxnId,
        request: &Request,
    ) -> Result<Answer, Later> {
        let Some(leg) = self.legs.get(&id) else {
            return Ok(Answer::new(481));
        };
        let terms = self.terms_of(&leg.conference);
        let Some(leg) = self.legs.get_mut(&id) else {
            return Ok(Answer::new(481));
        };
        let session = SessionTimer::negotiate(&request.headers, self.config.session_expires);
        let read = read_body(request).and_then(|body| {
            if !body.invited.is_empty() || wants_list(&request.headers) {
                return Err(bad_extension(LIST));
            }
            read_offer(&body.sdp, &terms)
        });
        let offer = match read {
            Ok(offer) => offer,
            Err(answer) => return Ok(answer),
        };
        match session {
            Ok(session) => leg.session = session,
            Err(answer) => return Ok(answer),
        }
        let is_invite = request.method == Method::Invite;
        let answer = match offer {
            None => {
                // A re-INVITE without offer asks for ours, to be answered in the ACK.
                leg.awaits_answer = is_invite;
                if is_invite {
                    leg.ok_with_sdp()
                } else {
                    leg.ok()
                }
            }
            Some(offer) if leg.offer.as_ref().is_some_and(|old| old.is_same_as(&offer)) => {
                leg.ok_with_sdp()
            }
            Some(offer) => {
                leg.txn = Some(txn);
                leg.next_offer = Some(offer.after(leg.offer.as_ref()));
                self.restart_session(id);
                self.tell(id, Event::Reoffered(id));
                return Err(Later);
            }
        };
        self.restart_session(id);
        Ok(answer)
    }

    pub(super) fn handle_acked(&mut self, dialog: DialogId, body: &[u8]) {
        let Some(&id) = self.by_dialog.get(&dialog) else {
            return;
        };
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        if !leg.is_connected {
            leg.connect();
        }
        let awaits = core::mem::take(&mut leg.awaits_answer);
        info!(conference = %leg.conference, leg = id.0, call_id = %leg.call_id, "acknowledged");
        self.tell(id, Event::Acked(id));
        if awaits {
            self.take_answer(id, body);
        }
    }

    /// The answer to an offer of ours in a session that stands: whatever changed is brought into force.
    pub(super) fn take_answer(&mut self, id: ParticipantId, body: &[u8]) {
        let Some(leg) = self.legs.get(&id) else {
            return;
        };
        let terms = self.terms_of(&leg.conference);
        let answer = Offer::parse_answer(body, leg.ours.setup);
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        match answer.and_then(|answer| terms.admit(answer)) {
            Ok(offer) if leg.offer.as_ref().is_some_and(|old| old.is_same_as(&offer)) => {}
            Ok(offer) => {
                leg.next_offer = Some(offer);
                self.tell(id, Event::Reoffered(id));
            }
            Err(unusable) => {
                debug!(leg = id.0, reason = %unusable.text, "no usable answer to our offer");
                self.tell(id, Event::Expelled(id, Hangup::MediaFailed));
            }
        }
    }

    /// A PRACK that acknowledged what awaited it. Our provisional responses describe no session, so
    /// there is nothing yet that an offer could follow (RFC 3262 5).
    pub(super) fn handle_prack(request: &Request) -> Answer {
        if request.body.is_empty() {
            return Answer::new(200);
        }
        let text = "the offer of the INVITE is not answered yet";
        not_acceptable(&Unusable::new(399, text))
    }

    pub(super) async fn accept_change(&mut self, id: ParticipantId) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        if let Some(offer) = leg.next_offer.take() {
            leg.offer = Some(offer);
        }
        // It may be on hold now, or no longer, and listen or no longer.
        let name = leg.conference.clone();
        if let Some(told) = &mut leg.told {
            told.listener.answered(Outcome::Lost);
        }
        self.note_change(&name, Some(id));
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        // Whoever changes its session brings what it lost.
        if let Some(key) = leg.media_due.take() {
            self.timers.cancel(key);
        }
        // Without a transaction the offer was ours: nothing is left to answer.
        let Some(txn) = leg.txn.take() else {
            return;
        };
        let Some(room) = self.rooms.get(&leg.conference) else {
            return;
        };
        let describe = |leg: &Leg| {
            let reserved = leg.placed.as_ref().map(|placed| &placed.reserved);
            reserved.map(|r| r.describe(&leg.side(), &room.terms.capabilities, leg.origin))
        };
        // The version rises only if the content changes (RFC 3264 8).
        if describe(leg).as_deref() != Some(&leg.answer) {
            leg.origin.1 += 1;
            leg.answer = describe(leg).unwrap_or_default();
        }
        let answer = leg.ok_with_sdp();
        self.sip.respond(txn, answer).await;
    }

    pub(super) async fn refuse_change(&mut self, id: ParticipantId, why: Refusal) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        (leg.next_offer, leg.next_local) = (None, None);
        leg.is_remote_due = true;
        match leg.txn.take() {
            Some(txn) => {
                let answer = refusal(why, leg.fault.as_deref());
                self.sip.respond(txn, answer).await;
            }
            // The answer to our offer cannot be brought into force.
            None => self.tell(id, Event::Expelled(id, Hangup::MediaFailed)),
        }
    }
}
