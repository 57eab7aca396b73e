//! Calls that the focus places (TS 24.247 A.5.2, TS 24.147 5.3.2.5.4).
//!
//! ```text
//! Dial -> next hop known? look it up -> INVITE -> 1xx told -> 2xx: ACK, Modify with the answer
//!                                                 3xx..6xx, nothing: told, subtracted
//! given up meanwhile -> CANCEL; a 2xx that crossed it is acknowledged and ended
//! ```

use super::{Call, Controller, Event, Focus, Hangup, Leg, ParticipantId, Sip, add, info};
use crate::answers::sips_not_allowed;
use crate::body::with_history;
use crate::headers::{Fields, Near, allows_update, of_call, wants_sips};
use crate::identity::Identity;
use crate::media::{Offer, Ours};
use crate::session_timer::SessionTimer;
use conference::info::Departure;
use core::net::SocketAddr;
use rand::RngExt;
use sip::{
    Answer, DialogId, Flow, Hop, Invite, Request, Response, Target, Transport, Uri, reason_phrase,
};
use tracing::debug;

/// Next hops that were looked up; none: the target leads nowhere.
#[derive(Debug)]
pub(crate) struct Lookup {
    pub(super) leg: ParticipantId,
    pub(super) hops: Vec<Hop>,
}

impl<S: Sip, H: Controller> Focus<S, H> {
    /// Makes the leg of a call; [`Event::DialOut`] starts it.
    pub(super) fn new_call(
        &mut self,
        name: &str,
        target: Uri,
        fields: Fields,
        referrer: Option<String>,
    ) -> ParticipantId {
        let id = self.new_leg_id();
        let identity = Identity {
            uri: target.to_string(),
            ..Identity::default()
        };
        let ours = Ours {
            setup: self.config.offer_setup,
            is_ip6: target.host().starts_with('['),
            transport: self.config.offer_transport,
        };
        let leg = Leg {
            ours,
            contact: target.to_string(),
            call: Some(Call {
                target,
                fields,
                history: None,
                referrer,
                is_alerting: false,
                early: None,
                is_given_up: false,
            }),
            ..Leg::new(name, identity, self.rng.random())
        };
        info!(conference = %name, leg = id.0, "calling");
        self.insert_leg(id, leg);
        self.queue.push_back((name.to_owned(), Event::DialOut(id)));
        id
    }

    pub(super) async fn dial(&mut self, id: ParticipantId) {
        let Some(call) = self.legs.get(&id).and_then(|leg| leg.call.as_ref()) else {
            return;
        };
        let target = &call.target;
        if target.scheme() == "tel" && self.config.next_hop.is_none() {
            return self.place(id, Vec::new()).await;
        }
        let target = match &self.config.next_hop {
            Some(hop) => hop.target(),
            None => Target::of(target),
        };
        self.sip.look_up(id, target, &self.lookup_sender);
    }

    pub(super) async fn handle_lookup(&mut self, lookup: Lookup) {
        let Lookup { leg: id, mut hops } = lookup;
        let leg = self.legs.get(&id);
        let wanted = leg.filter(|leg| leg.dialog.is_none() && !leg.is_sip_over);
        if let Some(call) = wanted.and_then(|leg| leg.call.as_ref()) {
            // Whom a sips: URI names is called by TLS or not at all (RFC 3261 26.2.2).
            let is_sips = call.target.scheme() == "sips";
            hops.retain(|hop| !is_sips || hop.addr.transport.is_secure());
            self.place(id, hops).await;
        }
    }

    /// Sends the INVITE.
    async fn place(&mut self, id: ParticipantId, hops: Vec<Hop>) {
        if hops.is_empty() {
            debug!(leg = id.0, "no next hop");
            return self.end_call(id, 404, "No Route").await;
        }
        let Some(invite) = self.invite_of(id, hops) else {
            return;
        };
        add(&self.counters.calls, 1);
        match self.sip.invite(invite).await {
            Some(Ok(dialog)) => {
                if let Some(leg) = self.legs.get_mut(&id) {
                    leg.dialog = Some(dialog);
                    self.by_dialog.insert(dialog, id);
                }
            }
            Some(Err(_)) | None => self.end_call(id, 500, reason_phrase(500)).await,
        }
    }

    fn invite_of(&mut self, id: ParticipantId, hops: Vec<Hop>) -> Option<Invite> {
        let first = hops.first()?;
        let mut seen = self.near(first.addr.transport, first.near);
        let leg = self.legs.get_mut(&id)?;
        let route = self.config.route.as_ref();
        // RFC 3261 8.1.1.8: as the Request-URI is, or the topmost Route.
        let called = leg.call.as_ref()?.target.scheme();
        let is_sips = called == "sips" || route.is_some_and(|uri| uri.starts_with("sips:"));
        seen.is_sips = is_sips && seen.transport.is_secure();
        let (call, placed) = (leg.call.as_ref()?, leg.placed.as_ref()?);
        let room = self.rooms.get(&leg.conference)?;
        let conference = room.uri.clone()?;
        let icid = format!("{:032x}", self.rng.random::<u128>());
        let mut headers = of_call(&self.config, &self.allow, &conference, seen, &icid);
        leg.fields.clone_from(&headers);
        headers.extend(route.map(|uri| ("Route".to_owned(), format!("<{uri}>"))));
        headers.extend(call.fields.iter().cloned());
        let history = call.history.clone();
        let uri = call.target.to_string();
        leg.icid = Some(icid);
        let capabilities = &room.terms.capabilities;
        leg.answer = placed
            .reserved
            .describe(&leg.side(), capabilities, leg.origin);
        let (kind, body) = with_history(&leg.answer, history.as_deref(), self.rng.random());
        headers.push(("Content-Type".to_owned(), kind));
        Some(Invite {
            uri,
            hops,
            is_proxy: self.config.next_hop.is_some(),
            from: conference.to_string(),
            headers,
            body,
        })
    }

    /// Our address as peers beyond `near` see it.
    fn near(&self, transport: Transport, near: SocketAddr) -> Near {
        let listener = self
            .sip
            .addrs()
            .iter()
            .find(|a| a.transport == transport && a.addr.is_ipv6() == near.is_ipv6());
        let addr = match listener.map(|l| l.addr) {
            Some(addr) if addr.ip().is_unspecified() => SocketAddr::new(near.ip(), addr.port()),
            Some(addr) => addr,
            None => near,
        };
        Near {
            transport,
            addr,
            is_sips: false,
        }
    }

    /// Where the sender of a request sees us. One that wants a `sips:` URI but came by a listener that
    /// is not secure is shown one that is; [`Self::secured`] says that there is one.
    pub(super) fn seen_by(&self, request: &Request, flow: Flow) -> Near {
        let is_sips = wants_sips(request);
        let near = match self.secure_listener() {
            Some(transport) if is_sips && !flow.transport.is_secure() => {
                self.near(transport, flow.local)
            }
            _ => Near {
                transport: flow.transport,
                addr: flow.local,
                is_sips,
            },
        };
        Near {
            is_sips: is_sips && near.transport.is_secure(),
            ..near
        }
    }

    /// Refuses who has to be shown a `sips:` URI where there is none to show (RFC 5630).
    pub(super) fn secured(&self, request: &Request, flow: Flow) -> Result<(), Answer> {
        let is_secure = flow.transport.is_secure() || self.secure_listener().is_some();
        if is_secure || !wants_sips(request) {
            return Ok(());
        }
        Err(sips_not_allowed())
    }

    /// The transport of a secure listener that whoever learns of it can connect to.
    fn secure_listener(&self) -> Option<Transport> {
        let has = |wanted| self.sip.addrs().iter().any(|addr| addr.transport == wanted);
        let secure = [Transport::Tls, Transport::Wss];
        secure.into_iter().find(|&transport| has(transport))
    }

    /// A response to an INVITE of ours.
    pub(super) async fn handle_call_answer(
        &mut self,
        id: ParticipantId,
        dialog: DialogId,
        response: &Response,
    ) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let call_id = response.headers.call_id().unwrap_or_default();
        leg.call_id = call_id.to_owned();
        let Some(call) = leg.call.as_mut().filter(|_| !leg.is_connected) else {
            return;
        };
        match response.code {
            ..=100 => {}
            101..200 => {
                if response.headers.has_token("Require", "100rel") && !response.body.is_empty() {
                    call.early.get_or_insert_with(|| response.clone());
                }
                if !core::mem::replace(&mut call.is_alerting, true) {
                    self.tell(id, Event::Alerted(id));
                }
                self.tell_watchers(id, response.code, &response.reason)
                    .await;
            }
            200..300 => self.handle_accepted_call(id, dialog, response).await,
            // It reads no bodies of several parts: it is called without the list of the others.
            415 if !call.is_given_up && call.history.take().is_some() => {
                leg.dialog = None;
                self.by_dialog.remove(&dialog);
                self.dial(id).await;
            }
            300.. => self.end_call(id, response.code, &response.reason).await,
        }
    }

    async fn handle_accepted_call(
        &mut self,
        id: ParticipantId,
        dialog: DialogId,
        response: &Response,
    ) {
        self.sip.ack(dialog).await;
        let own = self.config.session_expires;
        let conference = self.legs.get(&id).map(|leg| leg.conference.as_str());
        let terms = self.terms_of(conference.unwrap_or_default());
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        leg.connect();
        leg.allows_update = allows_update(&response.headers);
        if let Some(contact) = response.headers.contact() {
            leg.contact = contact.uri.to_string();
        }
        if leg.call.as_ref().is_some_and(|call| call.is_given_up) {
            let reason = ("Reason".to_owned(), "SIP;cause=487".to_owned());
            return self.say_bye(id, dialog, vec![reason]).await;
        }
        leg.session = SessionTimer::answered(&response.headers, own);
        info!(conference = %leg.conference, leg = id.0, call_id = %leg.call_id, "accepted our call");
        // The first answer counts, whatever follows (RFC 3261 13.2.1).
        let tag = |response: &Response| response.headers.to()?.tag().map(str::to_owned);
        let early = leg.call.as_mut().and_then(|call| call.early.take());
        let early = early.filter(|early| tag(early) == tag(response));
        let answer = match leg.offer.clone() {
            // It has changed its mind since (RFC 3311).
            Some(newer) => Ok(newer),
            None => {
                let body = &early.as_ref().unwrap_or(response).body;
                Offer::parse_answer(body, leg.ours.setup)
            }
        };
        match answer.and_then(|answer| terms.admit(answer)) {
            Ok(offer) => {
                leg.next_offer = Some(offer);
                add(&self.counters.calls_accepted, 1);
                self.counters.outcomes().invites_out.count(response.code);
                self.restart_session(id);
                self.tell(id, Event::Accepted(id));
                self.tell_watchers(id, response.code, &response.reason)
                    .await;
            }
            Err(unusable) => {
                debug!(leg = id.0, reason = %unusable.text, "no usable answer");
                self.fail_call(id, 488, reason_phrase(488)).await;
                self.tell(id, Event::Expelled(id, Hangup::MediaFailed));
            }
        }
    }

    /// The call came to nothing, and nothing more will happen on the SIP side.
    async fn end_call(&mut self, id: ParticipantId, code: u16, reason: &str) {
        self.fail_call(id, code, reason).await;
        self.tell(id, Event::Left(id));
        self.end_sip(id).await;
    }

    /// Counts a call that came to nothing and tells who asked for it.
    pub(super) async fn fail_call(&mut self, id: ParticipantId, code: u16, reason: &str) {
        add(&self.counters.calls_failed, 1);
        self.counters.outcomes().invites_out.count(code);
        if matches!(code, 486 | 600) {
            self.note_departure(id, Departure::Busy);
        }
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.end("call failed");
            info!(conference = %leg.conference, leg = id.0, code, "our call failed");
        }
        self.tell_watchers(id, code, reason).await;
    }

    async fn tell_watchers(&mut self, id: ParticipantId, code: u16, reason: &str) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        // Those that wait for its end are told by its end.
        let watchers = leg.watchers.clone();
        for refer in watchers {
            self.report(refer, code, reason).await;
        }
    }
}
