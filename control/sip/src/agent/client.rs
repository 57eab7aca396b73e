//! Client transactions (RFC 3261 17.1 with RFC 6026).
//!
//! ```text
//! INVITE      Calling -1xx-> Proceeding -2xx-> Accepted -M-> gone
//!             Calling, Proceeding -3xx..6xx-> Completed -D-> gone   (ACK sent, repeated on demand)
//! non-INVITE  Calling -1xx-> Proceeding -final-> Completed -K-> gone
//! any         no final response in time -> 408; cannot be sent -> 503
//! any, before the first response: cannot be sent, no answer in time, 503 -> the next hop, if any
//! ```

use super::dialog::{Dialog, DialogState, Way};
use super::{Agent, Destination, DialogId, Event, Flow, Hop, Invite, Output, Timer, TxnId};
use crate::addr::Transport;
use crate::digest::{answer, is_stale};
use crate::limits::{INVITE_TIMEOUT, T1, T2, T4, TIMEOUT, UDP_REQUEST_BYTES_MAX};
use crate::message::{Headers, Method, Request, Response, reason_phrase};
use crate::uri::{Uri, UriError};
use crate::via::Via;
use clock::{Duration, Instant, TimerKey};
use core::net::SocketAddr;
use std::collections::VecDeque;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientState {
    Calling,
    Proceeding,
    Accepted,
    Completed,
}

pub(super) struct ClientTxn {
    /// Branch and method; empty before it was sent.
    key: String,
    dialog: DialogId,
    request: Request,
    /// `None` before it was sent.
    to: Option<Destination>,
    /// Where else it may go.
    hops: VecDeque<Hop>,
    /// The flow that the peer came by, for when nothing else works.
    flow: Option<Flow>,
    state: ClientState,
    interval: Duration,
    repeat: Option<TimerKey>,
    end: Option<TimerKey>,
    /// The ACK to a 3xx–6xx, for its repetitions.
    ack: Option<Vec<u8>>,
    cancel_wanted: bool,
    /// Nobody asked for its answer: a CANCEL or a PRACK that was sent here; the INVITE's own tells.
    pub(super) is_silent: bool,
    /// The URI whose target was looked up.
    asked: Option<String>,
    /// The next hop is the present one by UDP: what was too large for that went by TCP first.
    is_udp_next: bool,
}

impl ClientTxn {
    fn is_invite(&self) -> bool {
        self.request.method == Method::Invite
    }

    fn is_reliable(&self) -> bool {
        match &self.to {
            Some(Destination::Flow { flow, .. }) => flow.transport.is_reliable(),
            Some(Destination::Hop { hop, .. }) => hop.addr.transport.is_reliable(),
            None => true,
        }
    }
}

impl Agent {
    /// Starts a dialog with an INVITE. Responses come as [`Event::Response`]; answer a 2xx with
    /// [`Self::ack`].
    ///
    /// # Errors
    ///
    /// If `invite.uri` or `invite.from` is no URI.
    pub fn invite(&mut self, now: Instant, invite: Invite) -> Result<DialogId, UriError> {
        self.start(now, Method::Invite, invite)
    }

    /// Starts a dialog with an INVITE, SUBSCRIBE or REFER. One without a session is held once:
    /// [`Self::release`] it when the subscription is over.
    ///
    /// # Errors
    ///
    /// As [`Self::invite`].
    pub fn start(
        &mut self,
        now: Instant,
        method: Method,
        invite: Invite,
    ) -> Result<DialogId, UriError> {
        let has_session = method == Method::Invite;
        let uri = Uri::parse(&invite.uri)?;
        let from = Uri::parse(&invite.from)?;
        let (tag, call_id) = (self.token(), self.token());
        let hop = invite
            .hops
            .first()
            .map(|hop| (hop.addr.transport, hop.near));
        let user = from.user().unwrap_or("anonymous").to_owned();
        let is_sips = uri.scheme() == "sips";
        let dialog = Dialog {
            local: format!("<{from}>;tag={tag}"),
            remote: format!("<{uri}>"),
            remote_tag: None,
            local_tag: tag,
            call_id,
            local_seq: 0,
            remote_seq: None,
            routes: Vec::new(),
            target: Some(uri),
            flow: None,
            hops: invite.hops,
            is_proxied: invite.is_proxy,
            found: None,
            state: if has_session {
                DialogState::Early
            } else {
                DialogState::Idle
            },
            holds: u32::from(!has_session),
            server_invite: None,
            reliable: None,
            awaiting_ack: None,
            client_invite: None,
            heard: Vec::new(),
            bye_wanted: None,
            invite_proof: None,
            invite_seq: 0,
            last_ack: None,
        };
        let id = DialogId(self.next_id());
        let key = (dialog.call_id.clone(), dialog.local_tag.clone());
        self.dialog_keys.insert(key, id);
        self.dialogs.insert(id, dialog);
        let mut headers = invite.headers;
        let has_contact = headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("Contact"));
        if let (Some((transport, near)), false) = (hop, has_contact) {
            let near = self.local_addr(transport, near);
            let is_sips = is_sips && transport.is_secure();
            let scheme = if is_sips { "sips" } else { "sip" };
            let transport = transport.uri_parameter(is_sips);
            let contact = format!("<{scheme}:{user}@{near}{transport}>");
            headers.push(("Contact".to_owned(), contact));
        }
        self.request(now, id, method, headers, invite.body);
        Ok(id)
    }

    /// Sends a request in a dialog. `None` if the dialog is gone or has nowhere to send to.
    pub fn request(
        &mut self,
        now: Instant,
        id: DialogId,
        method: Method,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    ) -> Option<TxnId> {
        let (request, way) = self.in_dialog(id, method, None, &headers, body)?;
        let is_invite = request.method == Method::Invite;
        // Known before it is sent: whatever comes of that finds it there.
        let txn = TxnId(self.next_id());
        if let Some(dialog) = self.dialogs.get_mut(&id)
            && is_invite
        {
            dialog.client_invite = Some(txn);
            dialog.invite_seq = dialog.local_seq;
            dialog.heard.clear();
        }
        self.begin_client(now, txn, id, request, way);
        Some(txn)
    }

    /// Acknowledges the 2xx to our last INVITE in a dialog. Repetitions of the 2xx get the same
    /// ACK again.
    pub fn ack(&mut self, id: DialogId, headers: &[(String, String)], body: Vec<u8>) {
        let Some(dialog) = self.dialogs.get(&id) else {
            return;
        };
        let cseq = dialog.invite_seq;
        let proof = dialog.invite_proof.iter();
        let headers: Vec<_> = proof.chain(headers).cloned().collect();
        let Some((request, way)) = self.in_dialog(id, Method::Ack, Some(cseq), &headers, body)
        else {
            return;
        };
        match way {
            Way::As(..) => {}
            Way::Flow(flow) => self.send_ack(id, request, by_flow(flow)),
            Way::Hops(hops, reuse) => self.send_ack_to(id, request, hops, reuse),
            Way::Ask(uri, target, flow) => {
                let txn = TxnId(self.next_id());
                self.acks.insert(txn, (id, request, uri, flow));
                self.out.push_back(Output::Resolve { txn, target });
            }
        }
    }

    fn send_ack_to(&mut self, id: DialogId, request: Request, hops: Vec<Hop>, flow: Option<Flow>) {
        let to = match (hops.into_iter().next(), flow) {
            (Some(hop), reuse) => Destination::Hop { hop, reuse },
            (None, Some(flow)) => by_flow(flow),
            (None, None) => return,
        };
        self.send_ack(id, request, to);
    }

    fn send_ack(&mut self, id: DialogId, mut request: Request, to: Destination) {
        let (transport, near) = seen(&to);
        self.put_via(&mut request, transport, near);
        let bytes = request.to_bytes();
        if let Some(dialog) = self.dialogs.get_mut(&id) {
            dialog.last_ack = Some((to.clone(), bytes.clone()));
        }
        self.transmit(to, bytes, None);
    }

    /// Cancels our pending INVITE; before its first response the CANCEL waits (RFC 3261 9.1).
    pub fn cancel(&mut self, now: Instant, id: DialogId) {
        let Some(txn) = self.dialogs.get(&id).and_then(|d| d.client_invite) else {
            return;
        };
        let Some(entry) = self.clients.get_mut(&txn) else {
            return;
        };
        match entry.state {
            ClientState::Calling => entry.cancel_wanted = true,
            ClientState::Proceeding => self.send_cancel(now, txn),
            ClientState::Accepted | ClientState::Completed => {}
        }
    }

    fn send_cancel(&mut self, now: Instant, txn: TxnId) {
        let Some(entry) = self.clients.get(&txn) else {
            return;
        };
        let (to, id) = (entry.to.clone(), entry.dialog);
        let request = derived(&entry.request, Method::Cancel, None);
        let branch = Via::top(&request.headers).map(|via| via.branch);
        if let (Some(to), Some(branch)) = (to, branch) {
            let txn = TxnId(self.next_id());
            self.begin_client(now, txn, id, request, Way::As(to, branch));
            self.silence(txn);
        }
    }

    /// The answer to this one is not told.
    pub(super) fn silence(&mut self, txn: TxnId) {
        if let Some(entry) = self.clients.get_mut(&txn) {
            entry.is_silent = true;
        }
    }

    pub(super) fn begin_client(
        &mut self,
        now: Instant,
        txn: TxnId,
        dialog: DialogId,
        request: Request,
        way: Way,
    ) {
        let mut entry = ClientTxn {
            key: String::new(),
            dialog,
            request,
            to: None,
            hops: VecDeque::new(),
            flow: None,
            state: ClientState::Calling,
            interval: T1,
            repeat: None,
            end: None,
            ack: None,
            cancel_wanted: false,
            is_silent: false,
            asked: None,
            is_udp_next: false,
        };
        match way {
            Way::As(to, branch) => {
                self.clients.insert(txn, entry);
                self.send_client(now, txn, to, &branch);
            }
            Way::Flow(flow) => {
                entry.flow = Some(flow);
                self.clients.insert(txn, entry);
                self.try_next(now, txn, 503);
            }
            Way::Hops(hops, flow) => {
                (entry.hops, entry.flow) = (hops.into(), flow);
                self.clients.insert(txn, entry);
                self.try_next(now, txn, 503);
            }
            Way::Ask(uri, target, flow) => {
                (entry.asked, entry.flow) = (Some(uri), flow);
                self.clients.insert(txn, entry);
                self.out.push_back(Output::Resolve { txn, target });
            }
        }
    }

    /// Takes in where the target of an [`Output::Resolve`] leads.
    pub fn handle_resolved(&mut self, now: Instant, txn: TxnId, hops: Vec<Hop>) {
        if let Some((id, request, uri, flow)) = self.acks.remove(&txn) {
            if let Some(dialog) = self.dialogs.get_mut(&id).filter(|_| !hops.is_empty()) {
                dialog.found = Some((uri, hops.clone()));
            }
            return self.send_ack_to(id, request, hops, flow);
        }
        if let Some(entry) = self.clients.get_mut(&txn).filter(|e| e.to.is_none()) {
            entry.hops = hops.into();
            self.try_next(now, txn, 503);
        }
    }

    /// Sends a request to the next of its hops, as a transaction of its own (RFC 3263 4.3); `code`
    /// if there is none.
    fn try_next(&mut self, now: Instant, txn: TxnId, code: u16) {
        let Some(entry) = self.clients.get_mut(&txn) else {
            return;
        };
        if entry.cancel_wanted {
            return self.fail_client(now, txn, 487);
        }
        let is_last_resort = core::mem::take(&mut entry.is_udp_next);
        let mut to = match (entry.hops.pop_front(), entry.flow) {
            (Some(hop), reuse) => Destination::Hop { hop, reuse },
            (None, Some(flow)) => {
                entry.flow = None;
                by_flow(flow)
            }
            (None, None) => return self.fail_client(now, txn, code),
        };
        let mut request = entry.request.clone();
        let (transport, near) = seen(&to);
        let mut branch = self.put_via(&mut request, transport, near);
        let is_large = request.to_bytes().len() > UDP_REQUEST_BYTES_MAX;
        // RFC 3261 18.1.1: what may be too large for the path goes by TCP; where nobody listens
        // there, by UDP after all.
        if let Destination::Hop { hop, .. } = &mut to
            && (transport, is_large, is_last_resort) == (Transport::Udp, true, false)
        {
            let plain = hop.clone();
            hop.addr.transport = Transport::Tcp;
            branch = self.put_via(&mut request, Transport::Tcp, near);
            if let Some(entry) = self.clients.get_mut(&txn) {
                entry.hops.push_front(plain);
                entry.is_udp_next = true;
            }
        }
        if let Some(entry) = self.clients.get_mut(&txn) {
            entry.request = request;
        }
        self.send_client(now, txn, to, &branch);
    }

    fn send_client(&mut self, now: Instant, txn: TxnId, to: Destination, branch: &str) {
        let end = self.timers.arm(now + TIMEOUT, Timer::ClientEnd(txn));
        let Some(entry) = self.clients.get_mut(&txn) else {
            return;
        };
        let key = format!("{branch}|{}", entry.request.method);
        let old = core::mem::replace(&mut entry.key, key.clone());
        let timers = [entry.repeat.take(), entry.end.replace(end)];
        (entry.interval, entry.state) = (T1, ClientState::Calling);
        entry.to = Some(to.clone());
        let (bytes, reliable) = (entry.request.to_bytes(), entry.is_reliable());
        for timer in timers.into_iter().flatten() {
            self.timers.cancel(timer);
        }
        self.client_keys.remove(&old);
        self.client_keys.insert(key, txn);
        if !reliable {
            self.arm_client_repeat(now, txn, T1);
        }
        self.transmit(to, bytes, Some(txn));
    }

    /// A request could not be sent, or nobody answered: the next hop, or `code`.
    pub(super) fn fail_over(&mut self, now: Instant, txn: TxnId, code: u16) {
        let Some(entry) = self.clients.get_mut(&txn) else {
            return;
        };
        let id = entry.dialog;
        if code == 408 {
            // Whoever is silent there is so on the same flow.
            entry.flow = None;
        }
        if entry.state != ClientState::Calling {
            return self.fail_client(now, txn, code);
        }
        if let Some(dialog) = self.dialogs.get_mut(&id) {
            dialog.found = None;
        }
        self.try_next(now, txn, code);
    }

    /// A 503: the next hop, if there is one (RFC 3263 4.3). The transaction that got it lives on
    /// under another name, to acknowledge repetitions.
    fn leave_busy(&mut self, now: Instant, txn: TxnId, response: &Response) -> bool {
        let Some(entry) = self.clients.get_mut(&txn) else {
            return false;
        };
        if core::mem::take(&mut entry.is_udp_next) {
            // The same one by another transport.
            entry.hops.pop_front();
        }
        if response.code != 503 || entry.hops.is_empty() || entry.cancel_wanted {
            return false;
        }
        self.leave(now, txn, response);
        self.try_next(now, txn, 503);
        true
    }

    /// The transaction that got a refusal lives on under another name, to acknowledge repetitions,
    /// while what it asked for is tried again.
    fn leave(&mut self, now: Instant, txn: TxnId, response: &Response) {
        let Some(entry) = self.clients.get_mut(&txn).filter(|e| e.is_invite()) else {
            return;
        };
        let to_value = response.headers.get("To").map(str::to_owned);
        let ack = derived(&entry.request, Method::Ack, to_value).to_bytes();
        let left = ClientTxn {
            key: core::mem::take(&mut entry.key),
            dialog: entry.dialog,
            request: entry.request.clone(),
            to: entry.to.clone(),
            hops: VecDeque::new(),
            flow: None,
            state: ClientState::Completed,
            interval: T1,
            repeat: None,
            end: None,
            ack: Some(ack),
            cancel_wanted: false,
            is_silent: false,
            asked: None,
            is_udp_next: false,
        };
        let old = TxnId(self.next_id());
        self.client_keys.insert(left.key.clone(), old);
        self.clients.insert(old, left);
        self.rearm_client_end(now, old, TIMEOUT);
        self.repeat_ack(old);
    }

    /// A 401 or 407 whose realm knows us: the request again, with an answer to the challenge
    /// (RFC 3261 22.2, 22.3). Once, and again if only the nonce was too old.
    fn prove(&mut self, now: Instant, txn: TxnId, response: &Response) -> bool {
        let (asks, proves) = match response.code {
            401 => ("WWW-Authenticate", "Authorization"),
            407 => ("Proxy-Authenticate", "Proxy-Authorization"),
            _ => return false,
        };
        let cnonce = self.token();
        let Some(entry) = self.clients.get(&txn).filter(|e| !e.cancel_wanted) else {
            return false;
        };
        let (mut request, id) = (entry.request.clone(), entry.dialog);
        let Some(to) = entry.to.clone() else {
            return false;
        };
        let challenges = response.headers.all(asks);
        let is_tried = request.headers.get(proves).is_some();
        let known = &self.config.credentials;
        let proof = challenges
            .filter(|value| !is_tried || is_stale(value))
            .find_map(|value| answer(value, known, &request, &cnonce));
        let (Some(proof), Some(dialog)) = (proof, self.dialogs.get_mut(&id)) else {
            return false;
        };
        dialog.local_seq += 1;
        let method = request.method.clone();
        if method == Method::Invite {
            dialog.invite_seq = dialog.local_seq;
            dialog.invite_proof = Some((proves.to_owned(), proof.clone()));
        }
        let cseq = format!("{} {method}", dialog.local_seq);
        request.headers.put_first("CSeq", cseq);
        request.headers.put_first(proves, proof);
        self.leave(now, txn, response);
        let (transport, near) = seen(&to);
        let branch = self.put_via(&mut request, transport, near);
        if let Some(entry) = self.clients.get_mut(&txn) {
            entry.request = request;
        }
        self.send_client(now, txn, to, &branch);
        true
    }

    /// A hop has answered: what follows goes there.
    fn settle(&mut self, txn: TxnId) {
        let Some(entry) = self.clients.get_mut(&txn) else {
            return;
        };
        let (Some(Destination::Hop { hop, .. }), id) = (&entry.to, entry.dialog) else {
            return;
        };
        let (hop, asked) = (hop.clone(), entry.asked.take());
        let Some(dialog) = self.dialogs.get_mut(&id) else {
            return;
        };
        if dialog.hops.len() > 1 {
            dialog.hops = vec![hop.clone()];
        }
        if let Some(uri) = asked {
            dialog.found = Some((uri, vec![hop]));
        }
    }
    fn arm_client_repeat(&mut self, now: Instant, txn: TxnId, wait: Duration) {
        let timer = self.timers.arm(now + wait, Timer::ClientRepeat(txn));
        if let Some(entry) = self.clients.get_mut(&txn) {
            entry.repeat = Some(timer);
        }
    }

    fn rearm_client_end(&mut self, now: Instant, txn: TxnId, wait: Duration) {
        let timer = self.timers.arm(now + wait, Timer::ClientEnd(txn));
        if let Some(entry) = self.clients.get_mut(&txn)
            && let Some(old) = entry.end.replace(timer)
        {
            self.timers.cancel(old);
        }
    }

    pub(super) fn repeat_request(&mut self, now: Instant, txn: TxnId) {
        let Some(entry) = self.clients.get_mut(&txn) else {
            return;
        };
        entry.repeat = None;
        entry.interval = match (entry.state, entry.is_invite()) {
            // Timer A doubles without a cap; a provisional response stops it.
            (ClientState::Calling, true) => entry.interval * 2,
            (ClientState::Calling, false) => (entry.interval * 2).min(T2),
            (ClientState::Proceeding, false) => T2,
            _ => return,
        };
        let (to, bytes, interval) = (entry.to.clone(), entry.request.to_bytes(), entry.interval);
        self.arm_client_repeat(now, txn, interval);
        if let Some(to) = to {
            self.transmit(to, bytes, Some(txn));
        }
    }

    pub(super) fn handle_response(&mut self, now: Instant, response: &Response) {
        let Some(via) = Via::top(&response.headers) else {
            return;
        };
        let Some((_, method)) = response.headers.cseq() else {
            return;
        };
        // A response with a branch that is not ours is dropped (RFC 3261 17.1.3).
        let Some(&txn) = self.client_keys.get(&format!("{}|{method}", via.branch)) else {
            return;
        };
        let Some(entry) = self.clients.get(&txn) else {
            return;
        };
        match (entry.state, response.code) {
            (ClientState::Accepted, 200..300) => self.handle_repeated_ok(now, txn, response),
            (ClientState::Completed, 300..) => self.repeat_ack(txn),
            (ClientState::Accepted | ClientState::Completed, _) => {}
            (_, ..200) => self.handle_provisional(now, txn, response),
            _ if self.leave_busy(now, txn, response) || self.prove(now, txn, response) => {}
            _ => self.handle_final(now, txn, response),
        }
    }

    fn handle_provisional(&mut self, now: Instant, txn: TxnId, response: &Response) {
        self.settle(txn);
        let Some(entry) = self.clients.get_mut(&txn) else {
            return;
        };
        entry.state = ClientState::Proceeding;
        let (id, method) = (entry.dialog, entry.request.method.clone());
        let cancel = core::mem::take(&mut entry.cancel_wanted);
        if entry.is_invite() {
            if let Some(timer) = entry.repeat.take() {
                self.timers.cancel(timer);
            }
            self.rearm_client_end(now, txn, INVITE_TIMEOUT);
        }
        if cancel {
            self.send_cancel(now, txn);
        }
        if method == Method::Invite && !self.acknowledge(now, id, response) {
            return;
        }
        self.emit_response(id, txn, method, response.clone(), false);
    }

    fn handle_final(&mut self, now: Instant, txn: TxnId, response: &Response) {
        self.settle(txn);
        let Some(entry) = self.clients.get_mut(&txn) else {
            return;
        };
        let (id, method, reliable) = (
            entry.dialog,
            entry.request.method.clone(),
            entry.is_reliable(),
        );
        let is_ok = response.code < 300;
        let wait = match (entry.is_invite(), is_ok) {
            (true, true) => TIMEOUT,
            _ if reliable => Duration::ZERO,
            (true, false) => TIMEOUT,
            (false, _) => T4,
        };
        let accepted = entry.is_invite() && is_ok;
        entry.state = if accepted {
            ClientState::Accepted
        } else {
            ClientState::Completed
        };
        if let Some(timer) = entry.repeat.take() {
            self.timers.cancel(timer);
        }
        if method == Method::Invite && !is_ok {
            let to_value = response.headers.get("To").map(str::to_owned);
            entry.ack = Some(derived(&entry.request, Method::Ack, to_value).to_bytes());
            self.repeat_ack(txn);
        }
        self.rearm_client_end(now, txn, wait);
        self.update_dialog(id, txn, &method, response);
        self.emit_response(id, txn, method, response.clone(), false);
    }

    /// What a final response means for its dialog.
    fn update_dialog(&mut self, id: DialogId, txn: TxnId, method: &Method, response: &Response) {
        let Some(dialog) = self.dialogs.get_mut(&id) else {
            return;
        };
        if dialog.client_invite == Some(txn) {
            dialog.client_invite = None;
        }
        let is_ok = response.code < 300;
        if *method == Method::Bye {
            return self.end_session(id);
        }
        // It belongs to the INVITE, which decides.
        if *method == Method::Prack {
            return;
        }
        if *method != Method::Invite {
            // Only the answer to a first request changes the dialog.
            match (dialog.remote_tag.is_none(), is_ok) {
                (true, true) => dialog.learn(&response.headers),
                (true, false) => self.remove_dialog(id),
                (false, _) => {}
            }
            return;
        }
        match (dialog.state == DialogState::Early, is_ok) {
            (true, true) => {
                dialog.state = DialogState::Confirmed;
                dialog.learn(&response.headers);
            }
            (true, false) => self.remove_dialog(id),
            (false, true) => {
                if let Some(contact) = response.headers.contact() {
                    dialog.target = Some(contact.uri);
                }
            }
            (false, false) => {}
        }
    }

    fn repeat_ack(&mut self, txn: TxnId) {
        if let Some((to, ack)) = self
            .clients
            .get(&txn)
            .and_then(|e| Some((e.to.clone()?, e.ack.clone()?)))
        {
            self.transmit(to, ack, None);
        }
    }

    /// A 2xx after the first: the same one again, or one of another branch of a fork, which is
    /// acknowledged and ended (RFC 3261 13.2.2.4).
    fn handle_repeated_ok(&mut self, now: Instant, txn: TxnId, response: &Response) {
        let Some(id) = self.clients.get(&txn).map(|e| e.dialog) else {
            return;
        };
        let Some(dialog) = self.dialogs.get(&id) else {
            return;
        };
        let tag = response
            .headers
            .to()
            .and_then(|t| t.tag().map(str::to_owned));
        if tag == dialog.remote_tag {
            if let Some((to, ack)) = dialog.last_ack.clone() {
                self.transmit(to, ack, None);
            }
            return;
        }
        let Some(fork) = dialog.fork(response) else {
            return;
        };
        // Not in `dialog_keys`: the key belongs to the branch that was first.
        let id = DialogId(self.next_id());
        self.dialogs.insert(id, fork);
        self.ack(id, &[], Vec::new());
        self.bye(now, id, Vec::new());
    }

    /// A client transaction's last timer.
    pub(super) fn end_client(&mut self, now: Instant, txn: TxnId) {
        match self.clients.get(&txn).map(|e| e.state) {
            Some(ClientState::Calling | ClientState::Proceeding) => self.fail_over(now, txn, 408),
            Some(ClientState::Accepted | ClientState::Completed) => self.forget_client(txn),
            None => {}
        }
    }

    /// Ends a transaction that got no final response, and tells the application.
    pub(super) fn fail_client(&mut self, now: Instant, txn: TxnId, code: u16) {
        let Some(entry) = self.clients.get(&txn) else {
            return;
        };
        if matches!(entry.state, ClientState::Accepted | ClientState::Completed) {
            return;
        }
        let (id, method) = (entry.dialog, entry.request.method.clone());
        if method == Method::Invite && entry.state == ClientState::Proceeding {
            self.send_cancel(now, txn);
        }
        let response = Response {
            code,
            reason: reason_phrase(code).to_owned(),
            headers: Headers::default(),
            body: Vec::new(),
        };
        self.update_dialog(id, txn, &method, &response);
        self.emit_response(id, txn, method, response, true);
        self.forget_client(txn);
    }

    fn forget_client(&mut self, txn: TxnId) {
        if let Some(entry) = self.clients.remove(&txn) {
            self.client_keys.remove(&entry.key);
            for timer in [entry.repeat, entry.end].into_iter().flatten() {
                self.timers.cancel(timer);
            }
        }
    }

    fn emit_response(
        &mut self,
        dialog: DialogId,
        txn: TxnId,
        method: Method,
        response: Response,
        is_synthetic: bool,
    ) {
        if self.clients.get(&txn).is_some_and(|e| e.is_silent) {
            return;
        }
        self.emit(Event::Response {
            dialog,
            txn,
            method,
            response: Box::new(response),
            is_synthetic,
        });
    }
}

/// The flow itself as a destination.
fn by_flow(flow: Flow) -> Destination {
    let addr = flow.remote;
    Destination::Flow { flow, addr }
}

/// The transport of a destination, and our address as seen from there.
fn seen(to: &Destination) -> (Transport, SocketAddr) {
    match to {
        Destination::Flow { flow, .. } => (flow.transport, flow.local),
        Destination::Hop { hop, .. } => (hop.addr.transport, hop.near),
    }
}

/// The CANCEL or the ACK to a refusal: same Request-URI, Via, From, Call-ID, CSeq number and
/// Route as the INVITE (RFC 3261 9.1, 17.1.1.3).
fn derived(invite: &Request, method: Method, to: Option<String>) -> Request {
    let mut headers = Headers::default();
    for (name, value) in invite.headers.iter() {
        match name {
            "Via" | "Route" | "From" | "Call-ID" | "Max-Forwards" => headers.push(name, value),
            "To" => headers.push(name, to.as_deref().unwrap_or(value)),
            "CSeq" => {
                let number = value.split(' ').next().unwrap_or("0");
                headers.push(name, format!("{number} {method}"));
            }
            _ => {}
        }
    }
    Request {
        method,
        uri: invite.uri.clone(),
        headers,
        body: Vec::new(),
    }
}
