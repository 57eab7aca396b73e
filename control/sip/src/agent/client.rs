//! Client transactions (RFC 3261 17.1 with RFC 6026).
//!
//! ```text
//! INVITE      Calling -1xx-> Proceeding -2xx-> Accepted -M-> gone
//!             Calling, Proceeding -3xx..6xx-> Completed -D-> gone   (ACK sent, repeated on demand)
//! non-INVITE  Calling -1xx-> Proceeding -final-> Completed -K-> gone
//! any         no final response in time -> 408; cannot be sent -> 503
//! ```

use super::dialog::{Dialog, DialogState};
use super::{Agent, Destination, DialogId, Event, Invite, Timer, TxnId};
use crate::limits::{INVITE_TIMEOUT, T1, T2, T4, TIMEOUT};
use crate::message::{Headers, Method, Request, Response, reason_phrase};
use crate::uri::{Uri, UriError};
use crate::via::Via;
use clock::{Duration, Instant, TimerKey};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientState {
    Calling,
    Proceeding,
    Accepted,
    Completed,
}

pub(super) struct ClientTxn {
    key: String,
    dialog: DialogId,
    request: Request,
    to: Destination,
    state: ClientState,
    interval: Duration,
    repeat: Option<TimerKey>,
    end: Option<TimerKey>,
    /// The ACK to a 3xx–6xx, for its repetitions.
    ack: Option<Vec<u8>>,
    cancel_wanted: bool,
    /// Nobody asked for its answer: a CANCEL or a PRACK that was sent here; the INVITE's own tells.
    pub(super) is_silent: bool,
}

impl ClientTxn {
    fn is_invite(&self) -> bool {
        self.request.method == Method::Invite
    }

    fn is_reliable(&self) -> bool {
        let transport = match &self.to {
            Destination::Flow { flow, .. } => flow.transport,
            Destination::Hop(hop) => hop.transport,
        };
        transport.is_reliable()
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
        let near = self.local_addr(invite.hop.transport, invite.near);
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
            hop: Some((invite.hop, near)),
            name: invite.name,
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
            invite_seq: 0,
            last_ack: None,
        };
        let id = DialogId(self.next_id());
        let key = (dialog.call_id.clone(), dialog.local_tag.clone());
        self.dialog_keys.insert(key, id);
        self.dialogs.insert(id, dialog);
        let mut headers = invite.headers;
        if !headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("Contact"))
        {
            let is_sips = is_sips && invite.hop.transport.is_secure();
            let scheme = if is_sips { "sips" } else { "sip" };
            let transport = invite.hop.transport.uri_parameter(is_sips);
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
        let (request, to, branch) = self.in_dialog(id, method, None, &headers, body)?;
        let txn = self.begin_client(now, id, request, to, &branch);
        if let Some(dialog) = self.dialogs.get_mut(&id)
            && self.clients.get(&txn).is_some_and(ClientTxn::is_invite)
        {
            dialog.client_invite = Some(txn);
            dialog.invite_seq = dialog.local_seq;
            dialog.heard.clear();
        }
        Some(txn)
    }

    /// Acknowledges the 2xx to our last INVITE in a dialog. Repetitions of the 2xx get the same
    /// ACK again.
    pub fn ack(&mut self, id: DialogId, headers: &[(String, String)], body: Vec<u8>) {
        let Some(cseq) = self.dialogs.get(&id).map(|d| d.invite_seq) else {
            return;
        };
        let Some((request, to, _)) = self.in_dialog(id, Method::Ack, Some(cseq), headers, body)
        else {
            return;
        };
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
        let Some(branch) = Via::top(&request.headers).map(|via| via.branch) else {
            return;
        };
        let cancel = self.begin_client(now, id, request, to, &branch);
        self.silence(cancel);
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
        dialog: DialogId,
        request: Request,
        to: Destination,
        branch: &str,
    ) -> TxnId {
        let txn = TxnId(self.next_id());
        let key = format!("{branch}|{}", request.method);
        let bytes = request.to_bytes();
        let entry = ClientTxn {
            key: key.clone(),
            dialog,
            request,
            to: to.clone(),
            state: ClientState::Calling,
            interval: T1,
            repeat: None,
            end: Some(self.timers.arm(now + TIMEOUT, Timer::ClientEnd(txn))),
            ack: None,
            cancel_wanted: false,
            is_silent: false,
        };
        let reliable = entry.is_reliable();
        self.client_keys.insert(key, txn);
        self.clients.insert(txn, entry);
        if !reliable {
            self.arm_client_repeat(now, txn, T1);
        }
        self.transmit(to, bytes, Some(txn));
        txn
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
        self.transmit(to, bytes, Some(txn));
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
            _ => self.handle_final(now, txn, response),
        }
    }

    fn handle_provisional(&mut self, now: Instant, txn: TxnId, response: &Response) {
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
            .and_then(|e| Some((e.to.clone(), e.ack.clone()?)))
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
            Some(ClientState::Calling | ClientState::Proceeding) => self.fail_client(now, txn, 408),
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
