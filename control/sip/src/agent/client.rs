//! Client transactions (RFC 3261 17.1 with RFC 6026).
//!
//! ```text
//! INVITE      Calling -1xx-> Proceeding -2xx-> Accepted -M-> gone
//!             Calling, Proceeding -3xx..6xx-> Completed -D-> gone   (ACK sent, repeated on demand)
//! non-INVITE  Calling -1xx-> Proceeding -final-> Completed -K-> gone
//! any         no final response in time -> 408; cannot be sent -> 503
//! any, before the first response: cannot be sent, no answer in time, 503 -> the next hop, if any
//! ```

mod again;
mod calls;

use super::dialog::Way;
use super::{Agent, Destination, DialogId, Event, Flow, Hop, Output, Timer, TxnId};
use crate::addr::Transport;
use crate::limits::{INVITE_TIMEOUT, T1, T2, T4, TIMEOUT};
use crate::message::{Headers, Method, Request, Response, reason_phrase};
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
    /// Other branches of this INVITE that accepted it: their tags, and the dialogs until they are ended.
    forks: Vec<(String, DialogId)>,
    cancel_wanted: bool,
    /// A CANCEL went out: no answer is waited for longer than that takes.
    is_cancelled: bool,
    /// How often it was overtaken by a later one, and sent again.
    resends: u32,
    /// Nobody asked for its answer: a CANCEL or a PRACK that was sent here; the INVITE's own tells.
    pub(super) is_silent: bool,
    /// The URI whose target was looked up.
    asked: Option<String>,
    /// The next hop is the present one by UDP: what was too large for that went by TCP first.
    is_udp_next: bool,
}

impl ClientTxn {
    fn new(dialog: DialogId, request: Request) -> Self {
        Self {
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
            forks: Vec::new(),
            cancel_wanted: false,
            is_cancelled: false,
            resends: 0,
            is_silent: false,
            asked: None,
            is_udp_next: false,
        }
    }

    fn is_invite(&self) -> bool {
        self.request.method == Method::Invite
    }

    /// Whether it means the same behind a later one. Two SUBSCRIBEs do not.
    fn may_be_late(&self) -> bool {
        matches!(
            self.request.method,
            Method::Bye | Method::Notify | Method::Update
        )
    }

    /// Nobody wants to have it accepted any more.
    fn is_given_up(&self) -> bool {
        self.cancel_wanted || self.is_cancelled
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
    pub(super) fn begin_client(
        &mut self,
        now: Instant,
        txn: TxnId,
        dialog: DialogId,
        request: Request,
        way: Way,
    ) {
        let mut entry = ClientTxn::new(dialog, request);
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
            _ if self.leave_busy(now, txn, response)
                || self.prove(now, txn, response)
                || self.resend_overtaken(now, txn, response) => {}
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
            if !entry.is_cancelled {
                self.rearm_client_end(now, txn, INVITE_TIMEOUT);
            }
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

    fn repeat_ack(&mut self, txn: TxnId) {
        if let Some((to, ack)) = self
            .clients
            .get(&txn)
            .and_then(|e| Some((e.to.clone()?, e.ack.clone()?)))
        {
            self.transmit(to, ack, None);
        }
    }

    /// A client transaction's last timer.
    pub(super) fn end_client(&mut self, now: Instant, txn: TxnId) {
        match self.clients.get(&txn).map(|e| e.state) {
            // It counts as cancelled without an answer that says so (RFC 3261 9.1).
            Some(ClientState::Proceeding) if self.is_cancelled(txn) => {
                self.fail_client(now, txn, 487);
            }
            Some(ClientState::Calling | ClientState::Proceeding) => self.fail_over(now, txn, 408),
            Some(ClientState::Accepted | ClientState::Completed) => self.forget_client(txn),
            None => {}
        }
    }

    fn is_cancelled(&self, txn: TxnId) -> bool {
        self.clients.get(&txn).is_some_and(|e| e.is_cancelled)
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
        let is_open = entry.state == ClientState::Proceeding && !entry.is_cancelled;
        if method == Method::Invite && is_open {
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
