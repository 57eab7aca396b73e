//! The SIP side: joins and leaves.

use super::offers::Later;
use super::refers::Asked;
use super::{
    Answer, Controller, Event, Focus, Hangup, Leg, ParticipantId, Refusal, Sip, add, info,
};
use crate::answers::{answer_with, bad_extension, busy, read_body, read_offer, refusal};
use crate::body::{Body, Invited};
use crate::headers::{Fields, LIST, allows_update, capabilities, contact, of_focus, wants_list};
use crate::identity::{Identity, is_same_user};
use crate::limits::LEGS_MAX;
use crate::media::Ours;
use crate::session_timer::SessionTimer;
use conference::UnknownConference;
use conference::info::Departure;
use rand::RngExt;
use sip::{DialogId, Flow, Method, Request, Response, TxnId, Uri};
use tracing::debug;

/// An answer to a request of ours.
#[derive(Clone, Copy)]
pub(super) struct Heard<'a> {
    pub(super) method: &'a Method,
    pub(super) response: &'a Response,
    /// Nobody gave it: nothing came, or nothing could be sent.
    pub(super) is_synthetic: bool,
}

/// The conference that an INVITE is for.
struct Called {
    name: String,
    uri: Uri,
    /// The factory makes it now.
    is_new: bool,
}

impl<S: Sip, H: Controller> Focus<S, H> {
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
                    // The stack answered it.
                    self.counters.outcomes().invites_in.count(487);
                    self.handle_left(id, "cancelled").await;
                } else if let Some(leg) = self.legs.get_mut(&id) {
                    leg.txn = None;
                }
            }
            sip::Event::PrackTimeout { dialog, .. } => {
                // Of the initial INVITE: no other has provisional responses.
                if let Some(&id) = self.by_dialog.get(&dialog) {
                    add(&self.counters.refusals, 1);
                    self.counters.outcomes().invites_in.count(504);
                    self.handle_left(id, "not acknowledged").await;
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
                is_synthetic,
            } => {
                let heard = Heard {
                    method: &method,
                    response: &response,
                    is_synthetic,
                };
                self.handle_response(dialog, txn, heard).await;
            }
        }
    }

    async fn handle_response(&mut self, dialog: DialogId, txn: TxnId, heard: Heard<'_>) {
        let Heard {
            method, response, ..
        } = heard;
        if *method == Method::Notify {
            return self.handle_notified(txn, response).await;
        }
        let Some(&id) = self.by_dialog.get(&dialog) else {
            return;
        };
        // Nothing else is asked of a leg.
        if *method == Method::Update {
            self.handle_refreshed(id, heard).await;
        } else if *method == Method::Bye {
            self.end_sip(id).await;
        } else if *method == Method::Invite && self.is_refreshing(id) {
            self.handle_refreshed(id, heard).await;
        } else if *method == Method::Invite {
            self.handle_call_answer(id, dialog, response).await;
        }
    }

    /// Whether an INVITE of ours that is under way is not the first.
    fn is_refreshing(&self, id: ParticipantId) -> bool {
        self.legs.get(&id).is_some_and(|leg| leg.is_refreshing)
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
        if let Err(answer) = self.secured(request, flow) {
            return self.refuse_at_once(txn, answer).await;
        }
        let seen = self.seen_by(request, flow);
        let terms = self.terms_of(&called.name);
        let read = read_body(request);
        let read = read.and_then(|body| {
            // Only the factory invites (RFC 5366 5.1).
            if !called.is_new && (!body.invited.is_empty() || wants_list(&request.headers)) {
                return Err(bad_extension(LIST));
            }
            Ok((read_offer(&body.sdp, &terms)?, body))
        });
        let (offer, body) = match read {
            Ok(read) => read,
            Err(answer) => return self.refuse_at_once(txn, answer).await,
        };
        let session = match SessionTimer::negotiate(&request.headers, self.config.session_expires) {
            Ok(session) => session,
            Err(answer) => return self.refuse_at_once(txn, answer).await,
        };
        let id = self.new_leg_id();
        let mut identity = Identity::of(&request.headers, flow.is_trusted);
        let seated = self.seated(&called.name);
        identity.differ_from(seated.map(|(id, leg)| {
            let shown = leg.identity.shown(id.0);
            (shown, leg.identity.uri.clone())
        }));
        let headers = &request.headers;
        let contact = headers.contact().map(|contact| contact.uri.to_string());
        let leg = Leg {
            dialog: Some(dialog),
            txn: Some(txn),
            call_id: headers.call_id().unwrap_or_default().to_owned(),
            contact: contact.unwrap_or_default(),
            icid: crate::headers::icid(headers),
            fields: of_focus(&self.config, &self.allow, &called.uri, request, seen),
            ours: Ours {
                transport: self.config.offer_transport,
                ..Ours::default()
            },
            awaits_answer: offer.is_none(),
            allows_update: allows_update(headers),
            offer,
            session,
            ..Leg::new(&called.name, identity, self.rng.random())
        };
        info!(conference = %called.name, leg = id.0, call_id = %leg.call_id, "joining");
        let progress = leg.progress(request);
        self.insert_leg(id, leg);
        self.by_dialog.insert(dialog, id);
        if let Some(progress) = progress {
            self.sip.respond(txn, progress).await;
        }
        self.open_room(&called.name, false);
        if let Some(room) = self.rooms.get_mut(&called.name) {
            room.uri.get_or_insert(called.uri);
        }
        self.queue
            .push_back((called.name.clone(), Event::Invited(id)));
        if called.is_new {
            self.begin_made(&called.name, id, body);
        }
    }

    /// A conference that the factory made begins with its creator, and with those whom it lists.
    fn begin_made(&mut self, name: &str, creator: ParticipantId, body: Body) {
        if self.config.ends_with_creator {
            self.queue
                .push_back((name.to_owned(), Event::Hosted(creator)));
        }
        let Some(identity) = self.legs.get(&creator).map(|leg| leg.identity.clone()) else {
            return;
        };
        let known = Some(&identity.uri).filter(|_| !identity.is_anonymous);
        let by = known.map(|uri| ("Referred-By".to_owned(), format!("<{uri}>")));
        for Invited { target, fields } in body.invited {
            if is_same_user(&identity.uri, target.as_str()) {
                continue;
            }
            let fields = by.iter().cloned().chain(fields).collect();
            let id = self.new_call(name, target, fields, known.cloned());
            let call = self.legs.get_mut(&id).and_then(|leg| leg.call.as_mut());
            if let Some(call) = call {
                call.history.clone_from(&body.history);
            }
        }
    }

    /// The conference that an INVITE is for: the one its URI names, or a new one of the factory.
    fn called(&mut self, uri: &Uri) -> Result<Called, Answer> {
        let factory = self.config.factory.as_deref();
        if factory.is_none() || uri.user_unescaped().as_deref() != factory {
            return Ok(Called {
                name: self.locate(uri)?,
                uri: uri.clone(),
                is_new: false,
            });
        }
        // Nobody guesses it: 64 random bits.
        let name = format!("conf-{:016x}", self.rng.random::<u64>());
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
        self.counters.outcomes().invites_in.count(answer.code);
        debug!(code = answer.code, "INVITE refused");
        self.sip.respond(txn, answer).await;
    }

    /// OPTIONS outside a dialog: of the focus itself (no user part) or of a conference.
    async fn handle_options(&mut self, txn: TxnId, request: &Request, flow: Flow) {
        let seen = self.seen_by(request, flow);
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
                .with("Contact", contact(&self.config, &request.uri, seen)),
        };
        self.sip.respond(txn, answer).await;
    }

    async fn handle_in_dialog(
        &mut self,
        dialog: DialogId,
        txn: TxnId,
        request: &Request,
        flow: Flow,
    ) {
        let seen = self.seen_by(request, flow);
        let leg = self.by_dialog.get(&dialog).copied();
        let Some((id, leg)) = leg.and_then(|id| Some((id, self.legs.get_mut(&id)?))) else {
            return self.sip.respond(txn, Answer::new(481)).await;
        };
        // Without a body an UPDATE only refreshes (RFC 3311 5.1).
        let is_offer = request.method == Method::Invite || !request.body.is_empty();
        let answer = match request.method {
            Method::Options => answer_with(200, capabilities(&self.allow))
                .with("Contact", contact(&self.config, &request.uri, seen)),
            Method::Invite | Method::Update if is_offer && leg.is_changing() => {
                Answer::new(500).with("Retry-After", "1")
            }
            Method::Invite | Method::Update => match self.handle_offer(id, txn, request) {
                Ok(answer) => answer,
                Err(Later) => return,
            },
            Method::Prack => Self::handle_prack(request),
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
        self.sip.respond(txn, answer).await;
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
        self.counters.outcomes().invites_in.count(answer.code);
        let termination = crate::commands::termination_text(&placed.added.termination);
        info!(conference = %leg.conference, leg = id.0, call_id = %leg.call_id, %termination, "joined");
        self.restart_session(id);
        self.sip.respond(txn, answer).await;
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

    /// Its answer ends the SIP side; where there is nothing to end that is over now.
    pub(super) async fn say_bye(&mut self, id: ParticipantId, dialog: DialogId, headers: Fields) {
        if !self.sip.bye(dialog, headers).await {
            self.end_sip(id).await;
        }
    }

    pub(super) async fn hang_up(&mut self, id: ParticipantId, why: Hangup) {
        self.note_departure(id, Departure::Booted);
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
            self.sip.respond(txn, Answer::new(487)).await;
        }
        let is_ringing = leg.call.is_some() && !leg.is_connected;
        let headers = vec![("Reason".to_owned(), reason.to_owned())];
        match (leg.dialog, &mut leg.call) {
            (Some(dialog), Some(call)) if is_ringing => {
                call.is_given_up = true;
                self.sip.cancel(dialog).await;
            }
            (Some(dialog), _) => self.say_bye(id, dialog, headers).await,
            // Its next hop is being looked up: nothing went out.
            (None, _) => {
                self.fail_call(id, 487, sip::reason_phrase(487)).await;
                self.end_sip(id).await;
            }
        }
    }
}
