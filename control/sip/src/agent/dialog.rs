//! Dialogs (RFC 3261 12) and the 2xx of an INVITE until its ACK (13.3.1.4).

use super::reliable::{Heard, Reliable};
use super::{Agent, Answer, Destination, DialogId, Event, Flow, Hop, Target, Timer, TxnId};
use crate::addr::{SipAddr, Transport};
use crate::limits::{T1, T2, TIMEOUT};
use crate::message::{Headers, Method, Request, Response};
use crate::uri::{NameAddr, Uri, ip_of};
use clock::{Duration, Instant, TimerKey};
use core::net::SocketAddr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DialogState {
    /// The initial INVITE has no final response.
    Early,
    /// It has a 2xx.
    Confirmed,
    /// We sent BYE and await its answer.
    Ending,
    /// It has no session (any more): it lives as long as it is held (RFC 5057 4.1).
    Idle,
}

pub(super) struct Dialog {
    pub(super) call_id: String,
    pub(super) local_tag: String,
    pub(super) remote_tag: Option<String>,
    /// From of our requests, with our tag.
    pub(super) local: String,
    /// To of our requests, with the peer's tag once known.
    pub(super) remote: String,
    pub(super) local_seq: u32,
    pub(super) remote_seq: Option<u32>,
    pub(super) routes: Vec<String>,
    pub(super) target: Option<Uri>,
    /// Where the last request came from (UAS).
    pub(super) flow: Option<Flow>,
    /// Where the first request goes (UAC); once it was answered, where it went.
    pub(super) hops: Vec<Hop>,
    /// Later ones go there, too.
    pub(super) is_proxied: bool,
    /// Where the next hop of our requests was found to be, and which that was.
    pub(super) found: Option<(String, Vec<Hop>)>,
    pub(super) state: DialogState,
    /// Usages beside the session: subscriptions of either side.
    pub(super) holds: u32,
    /// An INVITE of the peer that awaits our final response.
    pub(super) server_invite: Option<TxnId>,
    /// Our last reliable provisional response.
    pub(super) reliable: Option<Reliable>,
    /// Our 2xx that awaits its ACK.
    pub(super) awaiting_ack: Option<AwaitAck>,
    /// An INVITE of ours that awaits its final response.
    pub(super) client_invite: Option<TxnId>,
    /// What its branches sent reliably.
    pub(super) heard: Vec<Heard>,
    /// BYE to send as soon as the ACK is there: a callee must wait (RFC 3261 15).
    pub(super) bye_wanted: Option<Vec<(String, String)>>,
    /// Our answer to the challenge of our last INVITE; its ACK carries it, too (RFC 3261 22.1).
    pub(super) invite_proof: Option<(String, String)>,
    /// CSeq of our last INVITE, and the ACK that answered its 2xx.
    pub(super) invite_seq: u32,
    pub(super) last_ack: Option<(Destination, Vec<u8>)>,
}

pub(super) struct AwaitAck {
    pub(super) cseq: u32,
    bytes: Vec<u8>,
    to: Destination,
    interval: Duration,
    repeat: TimerKey,
    give_up: TimerKey,
}

impl Dialog {
    /// One that nobody has answered yet, with `local` and `remote` as From and To of our requests.
    pub(super) fn new(call_id: String, local_tag: String, local: String, remote: String) -> Self {
        Self {
            call_id,
            local_tag,
            remote_tag: None,
            local,
            remote,
            local_seq: 0,
            remote_seq: None,
            routes: Vec::new(),
            target: None,
            flow: None,
            hops: Vec::new(),
            is_proxied: false,
            found: None,
            state: DialogState::Early,
            holds: 0,
            server_invite: None,
            reliable: None,
            awaiting_ack: None,
            client_invite: None,
            heard: Vec::new(),
            bye_wanted: None,
            invite_proof: None,
            invite_seq: 0,
            last_ack: None,
        }
    }

    /// The dialog that an INVITE starts at its UAS.
    pub(super) fn uas(request: &Request, local_tag: String, flow: Flow) -> Option<Self> {
        let headers = &request.headers;
        let (cseq, _) = headers.cseq()?;
        let to = headers.get("To")?.trim().trim_end_matches(';');
        let (call_id, remote) = (headers.call_id()?, headers.get("From")?);
        let local = format!("{to};tag={local_tag}");
        Some(Self {
            remote_tag: headers.from()?.tag().map(str::to_owned),
            remote_seq: Some(cseq),
            routes: headers.list("Record-Route").map(str::to_owned).collect(),
            target: Some(headers.contact()?.uri),
            flow: Some(flow),
            ..Self::new(call_id.to_owned(), local_tag, local, remote.to_owned())
        })
    }

    /// Learns from the 2xx of its initial request (UAC).
    pub(super) fn learn(&mut self, headers: &Headers) {
        self.remote_tag = headers.to().and_then(|t| t.tag().map(str::to_owned));
        if let Some(to) = headers.get("To") {
            self.remote = to.to_owned();
        }
        self.routes = headers.list("Record-Route").map(str::to_owned).collect();
        self.routes.reverse();
        if let Some(contact) = headers.contact() {
            self.target = Some(contact.uri);
        }
    }

    /// The dialog of another branch of a forked INVITE, from that branch's 2xx.
    pub(super) fn fork(&self, response: &Response) -> Option<Self> {
        let (call_id, tag) = (self.call_id.clone(), self.local_tag.clone());
        let mut fork = Self {
            local_seq: self.invite_seq,
            flow: self.flow,
            hops: self.hops.clone(),
            is_proxied: self.is_proxied,
            state: DialogState::Confirmed,
            invite_proof: self.invite_proof.clone(),
            invite_seq: self.invite_seq,
            ..Self::new(call_id, tag, self.local.clone(), self.remote.clone())
        };
        fork.learn(&response.headers);
        fork.target.is_some().then_some(fork)
    }

    /// The next hop of a request in this dialog and its Request-URI and Route fields.
    fn routing(&self) -> (Option<Uri>, Uri, Vec<String>) {
        let empty = || Uri::parse("sip:invalid.invalid").expect("a constant URI parses");
        let target = self.target.clone().unwrap_or_else(empty);
        let first = self.routes.first().and_then(|r| NameAddr::parse(r).ok());
        match first {
            None => (self.target.clone(), target, Vec::new()),
            Some(first) if first.uri.parameter("lr").is_some() => {
                (Some(first.uri), target, self.routes.clone())
            }
            // A strict router (RFC 3261 12.2.1.1).
            Some(first) => {
                let mut routes = self.routes[1..].to_vec();
                routes.push(format!("<{target}>"));
                (Some(first.uri.clone()), first.uri, routes)
            }
        }
    }

    /// How a request gets to its next hop; `None`: nobody knows.
    fn way(&self, next: Option<&Uri>) -> Option<Way> {
        // Without a route set a client's outbound proxy stays in force.
        let is_first = self.remote_tag.is_none();
        if !self.hops.is_empty() && self.routes.is_empty() && (self.is_proxied || is_first) {
            return Some(Way::Hops(self.hops.clone(), self.flow));
        }
        let next = next?;
        // Nobody can connect to a WebSocket client: its connection, or nothing (RFC 7118 5). The
        // same for one that asks for it (RFC 5626 4.3).
        if let Some(flow) = self.flow
            && (flow.transport.is_web_socket() || next.parameter("ob").is_some())
        {
            return Some(Way::Flow(flow));
        }
        if let Some((_, hops)) = self.found.as_ref().filter(|(uri, _)| uri == next.as_str()) {
            return Some(Way::Hops(hops.clone(), self.flow));
        }
        let came_by = self.flow.map(|f| f.transport);
        let came_by = came_by.or(self.hops.first().map(|hop| hop.addr.transport));
        let mut target = Target::of(next);
        // Deviation: RFC 3263 4.1 leaves it to the DNS; a peer that came by a stream is kept on it.
        target.transport = target
            .transport
            .or(came_by.filter(|t| t.is_reliable() && !t.is_web_socket()));
        let near = self.flow.map(|f| f.local);
        let near = near.or(self.hops.first().map(|hop| hop.near));
        match (ip_of(&target.host), near) {
            (Some(ip), Some(near)) if ip.is_ipv6() == near.is_ipv6() => {
                let transport = target.transport.unwrap_or(target.first_choice());
                let port = target.port.unwrap_or(transport.default_port());
                let addr = SipAddr {
                    transport,
                    addr: SocketAddr::new(ip, port),
                };
                let name = None;
                Some(Way::Hops(vec![Hop { addr, name, near }], self.flow))
            }
            _ => Some(Way::Ask(next.to_string(), target, self.flow)),
        }
    }
}

/// How a request gets to its next hop.
pub(super) enum Way {
    /// Where another request went, with the same Via: CANCEL.
    As(Destination, String),
    /// By this flow alone.
    Flow(Flow),
    /// To the first of these that takes it, else by the flow that the peer came by.
    Hops(Vec<Hop>, Option<Flow>),
    /// The same, once the target, of a URI, is looked up.
    Ask(String, Target, Option<Flow>),
}

impl Agent {
    /// Sends the application's answer. Later answers to the same transaction are dropped.
    ///
    /// A provisional answer to an INVITE with `Require: 100rel` is sent reliably (RFC 3262), one at
    /// a time: while its PRACK is awaited further ones are dropped, and if it carries a body, a
    /// 2xx waits.
    pub fn respond(&mut self, now: Instant, txn: TxnId, answer: &Answer) {
        let Some(entry) = self.server.get(&txn) else {
            return;
        };
        let (dialog, method, cseq) = (entry.dialog, entry.method.clone(), entry.cseq);
        if let Some(id) = dialog.filter(|_| method == Method::Invite)
            && self.respond_in_order(now, id, txn, answer)
        {
            return;
        }
        let ok = self.send_response(now, txn, answer);
        if let Some(id) = dialog.filter(|_| method == Method::Prack && answer.code >= 200) {
            self.release_held(now, id);
        }
        if let Some(id) = dialog.filter(|_| answer.code >= 200) {
            self.remove_unused(id);
        }
        let Some(id) = dialog.filter(|_| method == Method::Invite && answer.code >= 200) else {
            return;
        };
        let Some(dialog) = self
            .dialogs
            .get_mut(&id)
            .filter(|d| d.server_invite == Some(txn))
        else {
            return;
        };
        dialog.server_invite = None;
        match ok {
            Some(bytes) => {
                if dialog.state == DialogState::Early {
                    dialog.state = DialogState::Confirmed;
                }
                self.await_ack(now, id, txn, cseq, bytes);
            }
            None if dialog.state == DialogState::Early => self.remove_dialog(id),
            None => {}
        }
    }

    fn await_ack(&mut self, now: Instant, id: DialogId, txn: TxnId, cseq: u32, bytes: Vec<u8>) {
        let Some(to) = self.server_destination(txn) else {
            return;
        };
        let awaiting = AwaitAck {
            cseq,
            bytes,
            to,
            interval: T1,
            repeat: self.timers.arm(now + T1, Timer::OkRepeat(id)),
            give_up: self.timers.arm(now + TIMEOUT, Timer::OkGiveUp(id)),
        };
        if let Some(dialog) = self.dialogs.get_mut(&id) {
            dialog.awaiting_ack = Some(awaiting);
        }
    }

    pub(super) fn repeat_ok(&mut self, now: Instant, id: DialogId) {
        let Some(awaiting) = self
            .dialogs
            .get_mut(&id)
            .and_then(|d| d.awaiting_ack.as_mut())
        else {
            return;
        };
        awaiting.interval = (awaiting.interval * 2).min(T2);
        awaiting.repeat = self
            .timers
            .arm(now + awaiting.interval, Timer::OkRepeat(id));
        let (to, bytes) = (awaiting.to.clone(), awaiting.bytes.clone());
        self.transmit(to, bytes, None);
    }

    pub(super) fn give_up_ok(&mut self, now: Instant, id: DialogId) {
        self.stop_awaiting(id);
        let reason = (
            "Reason".to_owned(),
            "SIP;cause=408;text=\"ACK missing\"".to_owned(),
        );
        self.bye(now, id, vec![reason]);
        self.emit(Event::AckTimeout { dialog: id });
    }

    /// Takes in an ACK that belongs to a dialog.
    pub(super) fn handle_dialog_ack(
        &mut self,
        now: Instant,
        id: DialogId,
        cseq: u32,
        body: Vec<u8>,
    ) {
        let Some(dialog) = self.dialogs.get_mut(&id) else {
            return;
        };
        if dialog.awaiting_ack.as_ref().is_none_or(|a| a.cseq != cseq) {
            return;
        }
        let wanted = dialog.bye_wanted.take();
        self.stop_awaiting(id);
        self.emit(Event::Acked { dialog: id, body });
        if let Some(headers) = wanted {
            self.bye(now, id, headers);
        }
    }

    fn stop_awaiting(&mut self, id: DialogId) {
        let awaiting = self
            .dialogs
            .get_mut(&id)
            .and_then(|d| d.awaiting_ack.take());
        if let Some(awaiting) = awaiting {
            self.timers.cancel(awaiting.repeat);
            self.timers.cancel(awaiting.give_up);
        }
    }

    /// Ends a confirmed dialog with BYE. While a 2xx of ours awaits its ACK the BYE waits, too.
    /// The end is told by an [`Event::Response`] to `BYE`. `false`: there is no session to end, and
    /// nothing will be told.
    pub fn bye(&mut self, now: Instant, id: DialogId, headers: Vec<(String, String)>) -> bool {
        let Some(dialog) = self.dialogs.get_mut(&id) else {
            return false;
        };
        if dialog.state != DialogState::Confirmed {
            return false;
        }
        if dialog.awaiting_ack.is_some() {
            dialog.bye_wanted = Some(headers);
            return true;
        }
        dialog.state = DialogState::Ending;
        let pending = dialog.server_invite.take();
        if let Some(txn) = pending {
            self.refuse(now, txn, &Answer::new(487));
        }
        if self
            .request(now, id, Method::Bye, headers, Vec::new())
            .is_none()
        {
            self.end_session(id);
            return false;
        }
        true
    }

    /// A subscription of either side uses the dialog from now on: it outlives its session.
    pub fn hold(&mut self, id: DialogId) {
        if let Some(dialog) = self.dialogs.get_mut(&id) {
            dialog.holds += 1;
        }
    }

    /// Takes one [`Self::hold`] back; after the last one a dialog without session is gone.
    pub fn release(&mut self, id: DialogId) {
        if let Some(dialog) = self.dialogs.get_mut(&id) {
            dialog.holds = dialog.holds.saturating_sub(1);
            self.remove_unused(id);
        }
    }

    pub(super) fn remove_unused(&mut self, id: DialogId) {
        let is_unused = |d: &Dialog| d.state == DialogState::Idle && d.holds == 0;
        if self.dialogs.get(&id).is_some_and(is_unused) {
            self.remove_dialog(id);
        }
    }

    /// The session is over; what else holds the dialog keeps it.
    pub(super) fn end_session(&mut self, id: DialogId) {
        self.stop_awaiting(id);
        self.forget_reliable(id);
        if let Some(dialog) = self.dialogs.get_mut(&id) {
            dialog.state = DialogState::Idle;
            (dialog.client_invite, dialog.bye_wanted) = (None, None);
            self.remove_unused(id);
        }
    }

    /// Builds a request in a dialog, but for its Via; `cseq` is given for ACK and CANCEL.
    pub(super) fn in_dialog(
        &mut self,
        id: DialogId,
        method: Method,
        cseq: Option<u32>,
        extra: &[(String, String)],
        body: Vec<u8>,
    ) -> Option<(Request, Way)> {
        let dialog = self.dialogs.get_mut(&id)?;
        let cseq = cseq.unwrap_or_else(|| {
            dialog.local_seq += 1;
            dialog.local_seq
        });
        let (next, uri, routes) = dialog.routing();
        let way = dialog.way(next.as_ref())?;
        let mut headers = Headers::default();
        headers.push("Max-Forwards", "70");
        for route in routes {
            headers.push("Route", route);
        }
        headers.push("From", dialog.local.clone());
        headers.push("To", dialog.remote.clone());
        headers.push("Call-ID", dialog.call_id.clone());
        headers.push("CSeq", format!("{cseq} {method}"));
        headers.extend(extra);
        let request = Request {
            method,
            uri,
            headers,
            body,
        };
        Some((request, way))
    }

    /// Gives a request the Via for `transport` (a new branch, RFC 3263 4.3); returns the branch.
    pub(super) fn put_via(
        &mut self,
        request: &mut Request,
        transport: Transport,
        near: SocketAddr,
    ) -> String {
        let branch = format!("z9hG4bK{}", self.token());
        let sent_by = self.local_addr(transport, near);
        let token = transport.via_token();
        let via = format!("SIP/2.0/{token} {sent_by};branch={branch};rport");
        request.headers.put_first("Via", via);
        branch
    }

    pub(super) fn remove_dialog(&mut self, id: DialogId) {
        self.stop_awaiting(id);
        self.forget_reliable(id);
        if let Some(dialog) = self.dialogs.remove(&id) {
            let key = (dialog.call_id, dialog.local_tag);
            if self.dialog_keys.get(&key) == Some(&id) {
                self.dialog_keys.remove(&key);
            }
        }
    }
}
