//! The SIP side: joins, new offers, leaves.

use super::refers::Asked;
use super::{Answer, Event, Focus, Hangup, Leg, ParticipantId, Refusal, add, info};
use crate::body::Body;
use crate::headers::{Fields, capabilities, contact, of_focus};
use crate::identity::Identity;
use crate::limits::{LEGS_MAX, RETRY_AFTER_SECONDS};
use crate::media::{Offer, Unusable};
use crate::session_timer::SessionTimer;
use conference::UnknownConference;
use sip::{DialogId, Flow, Method, Request, Response, TxnId, Uri};
use tracing::debug;

/// Agent name in Warning headers.
const WARN_AGENT: &str = "mrfc";

/// The conference that an INVITE is for.
struct Called {
    name: String,
    uri: Uri,
    /// The factory makes it now.
    is_new: bool,
}

/// The answer follows once the MRFP has replied.
struct Later;

impl Leg {
    fn ok(&self) -> Answer {
        let mut answer = answer_with(200, self.fields.clone());
        answer
            .headers
            .extend(self.session.iter().flat_map(SessionTimer::fields));
        answer
    }

    fn ok_with_sdp(&self) -> Answer {
        self.ok()
            .with_body("application/sdp", self.answer.as_bytes())
    }
}

impl Focus {
    pub(super) async fn handle_sip(&mut self, event: sip::Event) {
        match event {
            sip::Event::Invite {
                dialog,
                txn,
                request,
                flow,
            } => {
                self.handle_invite(dialog, txn, &request, flow).await;
            }
            sip::Event::Request {
                dialog,
                is_new,
                txn,
                request,
                flow,
            } => match dialog {
                Some(dialog) if request.method == Method::Refer => {
                    let asked = Asked {
                        dialog,
                        is_new,
                        txn,
                    };
                    self.handle_refer(asked, &request, flow).await;
                }
                Some(dialog) if request.method == Method::Subscribe => {
                    let asked = Asked {
                        dialog,
                        is_new,
                        txn,
                    };
                    self.handle_subscribe(asked, &request, flow).await;
                }
                Some(dialog) => self.handle_in_dialog(dialog, txn, &request, flow).await,
                None => self.handle_options(txn, &request, flow).await,
            },
            sip::Event::Acked { dialog, body } => self.handle_acked(dialog, &body),
            sip::Event::Cancelled { dialog, is_initial } => {
                let Some(&id) = self.by_dialog.get(&dialog) else {
                    return;
                };
                if is_initial {
                    add(&self.counters.refusals, 1);
                    self.handle_left(id, "cancelled").await;
                } else if let Some(leg) = self.legs.get_mut(&id) {
                    leg.txn = None;
                }
            }
            sip::Event::AckTimeout { dialog } => {
                add(&self.counters.ack_timeouts, 1);
                // The stack sends BYE; its answer ends the SIP side.
                if let Some(&id) = self.by_dialog.get(&dialog) {
                    add(&self.counters.leaves, 1);
                    if let Some(leg) = self.legs.get_mut(&id) {
                        leg.end("not acknowledged");
                    }
                    self.tell(id, Event::Left(id));
                }
            }
            sip::Event::Bye { dialog, .. } => {
                if let Some(&id) = self.by_dialog.get(&dialog) {
                    add(&self.counters.leaves, 1);
                    self.handle_left(id, "left").await;
                }
            }
            sip::Event::Response {
                dialog,
                txn,
                method,
                response,
                ..
            } => self.handle_response(dialog, txn, &method, &response).await,
        }
    }

    async fn handle_response(
        &mut self,
        dialog: DialogId,
        txn: TxnId,
        method: &Method,
        response: &Response,
    ) {
        if *method == Method::Notify {
            return self.handle_notified(txn, response).await;
        }
        let Some(&id) = self.by_dialog.get(&dialog) else {
            return;
        };
        // Nothing else is asked of a leg.
        if *method == Method::Update {
            self.handle_refreshed(id, response);
        } else if *method == Method::Bye {
            self.end_sip(id).await;
        } else if *method == Method::Invite {
            self.handle_call_answer(id, dialog, response).await;
        }
    }

    async fn handle_left(&mut self, id: ParticipantId, how: &'static str) {
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.end(how);
            info!(conference = %leg.conference, leg = id.0, call_id = %leg.call_id, "{how}");
        }
        self.tell(id, Event::Left(id));
        self.end_sip(id).await;
    }

    async fn handle_invite(&mut self, dialog: DialogId, txn: TxnId, request: &Request, flow: Flow) {
        add(&self.counters.invites, 1);
        let called = match self.called(&request.uri) {
            Ok(called) => called,
            Err(answer) => return self.refuse_at_once(txn, answer).await,
        };
        if self.is_draining || self.mrfps.is_empty() || self.legs.len() >= LEGS_MAX {
            return self.refuse_at_once(txn, busy()).await;
        }
        let read = read_body(request).and_then(|body| Ok((read_offer(&body.sdp)?, body.invited)));
        let (offer, invited) = match read {
            Ok(read) => read,
            Err(answer) => return self.refuse_at_once(txn, answer).await,
        };
        let session = match SessionTimer::negotiate(&request.headers, self.config.session_expires) {
            Ok(session) => session,
            Err(answer) => return self.refuse_at_once(txn, answer).await,
        };
        let id = self.new_leg_id();
        let headers = &request.headers;
        let contact = headers.contact().map(|contact| contact.uri.to_string());
        let leg = Leg {
            dialog: Some(dialog),
            txn: Some(txn),
            call_id: headers.call_id().unwrap_or_default().to_owned(),
            contact: contact.unwrap_or_default(),
            icid: crate::headers::icid(headers),
            fields: of_focus(&self.config, &self.allow, &called.uri, request, flow.into()),
            awaits_answer: offer.is_none(),
            offer,
            session,
            ..Leg::new(&called.name, Identity::of(headers, flow.is_trusted))
        };
        info!(conference = %called.name, leg = id.0, call_id = %leg.call_id, "joining");
        let creator = Some(leg.identity.clone()).filter(|who| !who.is_anonymous);
        self.legs.insert(id, leg);
        self.by_dialog.insert(dialog, id);
        self.open_room(&called.name, false);
        if let Some(room) = self.rooms.get_mut(&called.name) {
            room.uri.get_or_insert(called.uri);
        }
        let name = called.name;
        self.queue.push_back((name.clone(), Event::Invited(id)));
        if called.is_new {
            if self.config.ends_with_creator {
                self.queue.push_back((name.clone(), Event::Hosted(id)));
            }
            let creator = creator.map(|who| who.uri);
            let by = |uri: &String| ("Referred-By".to_owned(), format!("<{uri}>"));
            for target in invited {
                let fields = creator.iter().map(by).collect();
                self.new_call(&name, target, fields, creator.clone());
            }
        }
    }

    /// The conference that an INVITE is for: the one its URI names, or a new one of the factory.
    fn called(&self, uri: &Uri) -> Result<Called, Answer> {
        let factory = self.config.factory.as_deref();
        if factory.is_none() || uri.user_unescaped().as_deref() != factory {
            return Ok(Called {
                name: self.locate(uri)?,
                uri: uri.clone(),
                is_new: false,
            });
        }
        // Nobody guesses it: 64 random bits.
        let name = format!("conf-{:016x}", rand::random::<u64>());
        match self.policy.make(uri.host(), self.rooms.len()) {
            Ok(()) => {}
            Err(UnknownConference::Full) => return Err(busy()),
            Err(UnknownConference::Domain | UnknownConference::Name) => {
                return Err(Answer::new(404));
            }
        }
        let port = uri.port().map_or(String::new(), |port| format!(":{port}"));
        let uri = Uri::parse(&format!("sip:{name}@{}{port}", uri.host()));
        let uri = uri.map_err(|_| Answer::new(404))?;
        Ok(Called {
            name,
            uri,
            is_new: true,
        })
    }

    pub(super) fn new_leg_id(&mut self) -> ParticipantId {
        self.next_leg += 1;
        ParticipantId(self.next_leg)
    }

    /// The conference that a Request-URI names (by user part, unescaped).
    pub(super) fn locate(&self, uri: &Uri) -> Result<String, Answer> {
        let user = uri.user_unescaped();
        let exists = |name: &str| self.rooms.contains_key(name);
        match self
            .policy
            .locate(user.as_deref(), uri.host(), exists, self.rooms.len())
        {
            Ok(()) => Ok(user.unwrap_or_default()),
            Err(UnknownConference::Domain | UnknownConference::Name) => Err(Answer::new(404)),
            Err(UnknownConference::Full) => Err(busy()),
        }
    }

    async fn refuse_at_once(&self, txn: TxnId, answer: Answer) {
        add(&self.counters.refusals, 1);
        debug!(code = answer.code, "INVITE refused");
        self.sip.handle().respond(txn, answer).await;
    }

    /// OPTIONS outside a dialog: of the focus itself (no user part) or of a conference.
    async fn handle_options(&mut self, txn: TxnId, request: &Request, flow: Flow) {
        let located = match request.uri.user() {
            None => Ok(String::new()),
            Some(_) => self.called(&request.uri).map(|called| called.name),
        };
        let answer = match located {
            _ if request.method != Method::Options => Answer::new(501),
            _ if self.is_draining => busy(),
            Err(answer) => answer,
            Ok(name) if name.is_empty() => answer_with(200, capabilities(&self.allow)),
            Ok(_) => answer_with(200, capabilities(&self.allow))
                .with("Contact", contact(&self.config, &request.uri, flow.into())),
        };
        self.sip.handle().respond(txn, answer).await;
    }

    async fn handle_in_dialog(
        &mut self,
        dialog: DialogId,
        txn: TxnId,
        request: &Request,
        flow: Flow,
    ) {
        let leg = self.by_dialog.get(&dialog).copied();
        let Some((id, leg)) = leg.and_then(|id| Some((id, self.legs.get_mut(&id)?))) else {
            return self.sip.handle().respond(txn, Answer::new(481)).await;
        };
        let answer = match request.method {
            Method::Options => answer_with(200, capabilities(&self.allow))
                .with("Contact", contact(&self.config, &request.uri, flow.into())),
            Method::Invite | Method::Update if leg.txn.is_some() || leg.next_offer.is_some() => {
                Answer::new(500).with("Retry-After", "1")
            }
            Method::Invite | Method::Update => match self.handle_offer(id, txn, request) {
                Ok(answer) => answer,
                Err(Later) => return,
            },
            // No provisional response of ours asks for it.
            Method::Prack => Answer::new(481),
            // The stack lets nothing else through.
            Method::Ack
            | Method::Bye
            | Method::Cancel
            | Method::Info
            | Method::Message
            | Method::Notify
            | Method::Publish
            | Method::Refer
            | Method::Register
            | Method::Subscribe
            | Method::Other(_) => Answer::new(501).with("Allow", self.allow.clone()),
        };
        self.sip.handle().respond(txn, answer).await;
    }

    /// A re-INVITE or UPDATE: the answer, or later, when the MRFP has been asked.
    fn handle_offer(
        &mut self,
        id: ParticipantId,
        txn: TxnId,
        request: &Request,
    ) -> Result<Answer, Later> {
        let Some(leg) = self.legs.get_mut(&id) else {
            return Ok(Answer::new(481));
        };
        let session = SessionTimer::negotiate(&request.headers, self.config.session_expires);
        let offer = match read_body(request).and_then(|body| read_offer(&body.sdp)) {
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
                leg.next_offer = Some(offer);
                self.restart_session(id);
                self.tell(id, Event::Reoffered(id));
                return Err(Later);
            }
        };
        self.restart_session(id);
        Ok(answer)
    }

    fn handle_acked(&mut self, dialog: DialogId, body: &[u8]) {
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
        if !awaits {
            return;
        }
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        match Offer::parse(body) {
            Ok(offer) if leg.offer.as_ref().is_some_and(|old| old.is_same_as(&offer)) => {}
            Ok(offer) => {
                leg.next_offer = Some(offer);
                self.tell(id, Event::Reoffered(id));
            }
            Err(unusable) => {
                debug!(leg = id.0, reason = %unusable.text, "no usable answer in the ACK");
                self.tell(id, Event::Expelled(id, Hangup::MediaFailed));
            }
        }
    }

    pub(super) async fn accept(&mut self, id: ParticipantId) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let Some(room) = self.rooms.get(&leg.conference) else {
            return;
        };
        let (Some(txn), Some(placed)) = (leg.txn.take(), leg.placed.as_ref()) else {
            return;
        };
        leg.answer = placed
            .reserved
            .describe(&leg.side(), &room.terms.capabilities, leg.origin);
        let answer = leg.ok_with_sdp();
        add(&self.counters.joins, 1);
        let termination = crate::commands::termination_text(&placed.added.termination);
        info!(conference = %leg.conference, leg = id.0, call_id = %leg.call_id, %termination, "joined");
        self.restart_session(id);
        self.sip.handle().respond(txn, answer).await;
    }

    pub(super) async fn refuse(&mut self, id: ParticipantId, why: Refusal) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        leg.end("refused");
        info!(conference = %leg.conference, leg = id.0, call_id = %leg.call_id, ?why, "refused");
        let answer = refusal(why, leg.fault.as_deref());
        if let Some(txn) = leg.txn.take() {
            self.refuse_at_once(txn, answer).await;
        } else if leg.call.is_some() {
            let code = answer.code;
            self.fail_call(id, code, sip::reason_phrase(code)).await;
        }
        self.end_sip(id).await;
    }

    pub(super) async fn accept_change(&mut self, id: ParticipantId) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        if let Some(offer) = leg.next_offer.take() {
            leg.offer = Some(offer);
        }
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
        self.sip.handle().respond(txn, answer).await;
    }

    pub(super) async fn refuse_change(&mut self, id: ParticipantId, why: Refusal) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        leg.next_offer = None;
        match leg.txn.take() {
            Some(txn) => {
                let answer = refusal(why, leg.fault.as_deref());
                self.sip.handle().respond(txn, answer).await;
            }
            // The answer to our offer cannot be brought into force.
            None => self.tell(id, Event::Expelled(id, Hangup::MediaFailed)),
        }
    }

    pub(super) async fn hang_up(&mut self, id: ParticipantId, why: Hangup) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        leg.end(match why {
            Hangup::MixerLost => "mrfp lost",
            Hangup::MediaFailed => "media failed",
            Hangup::SessionExpired => "session expired",
            Hangup::Removed => "removed",
            Hangup::Closing => "conference ended",
        });
        info!(conference = %leg.conference, leg = id.0, call_id = %leg.call_id, ?why, "hanging up");
        add(&self.counters.leaves, 1);
        // RFC 3326.
        let reason = match why {
            Hangup::MixerLost => "SIP;cause=503;text=\"Media resources lost\"",
            Hangup::MediaFailed => "SIP;cause=488;text=\"Session not possible\"",
            Hangup::SessionExpired => "SIP;cause=408;text=\"Session expired\"",
            Hangup::Removed => "SIP;cause=403;text=\"Removed from the conference\"",
            Hangup::Closing => "SIP;cause=410;text=\"Conference ended\"",
        };
        if let Some(txn) = leg.txn.take() {
            self.sip.handle().respond(txn, Answer::new(487)).await;
        }
        let is_ringing = leg.call.is_some() && !leg.is_connected;
        let headers = vec![("Reason".to_owned(), reason.to_owned())];
        match (leg.dialog, &mut leg.call) {
            (Some(dialog), Some(call)) if is_ringing => {
                call.is_given_up = true;
                self.sip.handle().cancel(dialog).await;
            }
            (Some(dialog), _) => self.sip.handle().bye(dialog, headers).await,
            // Its next hop is being looked up: nothing went out.
            (None, _) => {
                self.fail_call(id, 487, sip::reason_phrase(487)).await;
                self.end_sip(id).await;
            }
        }
    }
}

fn read_body(request: &Request) -> Result<Body, Answer> {
    Body::of(request).map_err(|fault| {
        let mut answer = Answer::new(400);
        answer.reason = Some(format!("Bad Request - {fault}"));
        answer
    })
}

fn read_offer(sdp: &[u8]) -> Result<Option<Offer>, Answer> {
    if sdp.is_empty() {
        return Ok(None);
    }
    Offer::parse(sdp).map(Some).map_err(|unusable: Unusable| {
        Answer::new(488).with("Warning", unusable.warning(WARN_AGENT))
    })
}

fn refusal(why: Refusal, fault: Option<&str>) -> Answer {
    match why {
        Refusal::Full => Answer::new(486),
        Refusal::Locked => Answer::new(403),
        Refusal::Closing | Refusal::MixerUnavailable => busy(),
        Refusal::MediaUnsupported => {
            let fault = fault.unwrap_or_default().replace(['"', '\\'], "'");
            let text = format!("The media resource refused the description: {fault}");
            Answer::new(488).with("Warning", format!("399 {WARN_AGENT} \"{text}\""))
        }
    }
}

pub(super) fn busy() -> Answer {
    Answer::new(503).with("Retry-After", RETRY_AFTER_SECONDS.to_string())
}

fn answer_with(code: u16, headers: Fields) -> Answer {
    Answer {
        headers,
        ..Answer::new(code)
    }
}
