//! What the application asks for: calls, requests in dialogs, ACK and CANCEL; and what becomes of a dialog.

use super::{ClientState, by_flow, derived, seen};
use crate::agent::dialog::{Dialog, DialogState, Way};
use crate::agent::{Agent, Destination, DialogId, Flow, Hop, Invite, Output, TxnId};
use crate::limits::{FORKS_MAX, TIMEOUT};
use crate::message::{Method, Request, Response};
use crate::uri::{NameAddr, Uri, UriError};
use crate::via::Via;
use clock::Instant;

impl Agent {
    /// Starts a dialog with an INVITE. Responses come as [`crate::Event::Response`]; answer a 2xx with
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
        let (local, remote) = (format!("<{from}>;tag={tag}"), format!("<{uri}>"));
        let state = if has_session {
            DialogState::Early
        } else {
            DialogState::Idle
        };
        let dialog = Dialog {
            target: Some(uri),
            hops: invite.hops,
            is_proxied: invite.is_proxy,
            state,
            holds: u32::from(!has_session),
            ..Dialog::new(call_id, tag, local, remote)
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
            // RFC 3261 8.1.1.8: as the Request-URI is, or the topmost Route.
            let mut routes = headers
                .iter()
                .filter(|(n, _)| n.eq_ignore_ascii_case("Route"));
            let route = routes.next().and_then(|(_, v)| NameAddr::parse(v).ok());
            let is_sips = is_sips || route.is_some_and(|r| r.uri.scheme() == "sips");
            let is_sips = is_sips && transport.is_secure();
            let scheme = if is_sips { "sips" } else { "sip" };
            let transport = transport.uri_parameter(is_sips);
            let contact = format!("<{scheme}:{user}@{near}{transport}>");
            headers.push(("Contact".to_owned(), contact));
        }
        self.request(now, id, method, headers, invite.body);
        Ok(id)
    }

    /// Sends a request in a dialog. `None` if the dialog is gone or has nowhere to send to, and for an INVITE while
    /// another one is under way in either direction (RFC 3261 14.1).
    pub fn request(
        &mut self,
        now: Instant,
        id: DialogId,
        method: Method,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    ) -> Option<TxnId> {
        let dialog = self.dialogs.get(&id)?;
        let is_under_way = dialog.client_invite.is_some() || dialog.server_invite.is_some();
        if method == Method::Invite && is_under_way {
            return None;
        }
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

    pub(super) fn send_ack_to(
        &mut self,
        id: DialogId,
        request: Request,
        hops: Vec<Hop>,
        flow: Option<Flow>,
    ) {
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

    /// Cancels our pending INVITE; before its first response the CANCEL waits (RFC 3261 9.1). It is over when it
    /// is answered, or 64 times T1 later.
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

    pub(super) fn send_cancel(&mut self, now: Instant, txn: TxnId) {
        let Some(entry) = self.clients.get_mut(&txn) else {
            return;
        };
        if core::mem::replace(&mut entry.is_cancelled, true) {
            return;
        }
        let (to, id) = (entry.to.clone(), entry.dialog);
        let request = derived(&entry.request, Method::Cancel, None);
        let branch = Via::top(&request.headers).map(|via| via.branch.to_owned());
        self.rearm_client_end(now, txn, TIMEOUT);
        if let (Some(to), Some(branch)) = (to, branch) {
            let txn = TxnId(self.next_id());
            self.begin_client(now, txn, id, request, Way::As(to, branch));
            self.silence(txn);
        }
    }

    /// The answer to this one is not told.
    pub(in crate::agent) fn silence(&mut self, txn: TxnId) {
        if let Some(entry) = self.clients.get_mut(&txn) {
            entry.is_silent = true;
        }
    }

    /// What a final response means for its dialog.
    pub(super) fn update_dialog(
        &mut self,
        id: DialogId,
        txn: TxnId,
        method: &Method,
        response: &Response,
    ) {
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
        // They belong to the INVITE, which decides.
        if matches!(method, Method::Prack | Method::Cancel) {
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

    /// A 2xx after the first: the same one again, or one of another branch of a fork, which is
    /// acknowledged and ended once (RFC 3261 13.2.2.4).
    pub(super) fn handle_repeated_ok(&mut self, now: Instant, txn: TxnId, response: &Response) {
        let Some(entry) = self.clients.get(&txn) else {
            return;
        };
        let Some(dialog) = self.dialogs.get(&entry.dialog) else {
            return;
        };
        let tag = response
            .headers
            .to()
            .and_then(|t| t.tag().map(str::to_owned));
        let known = entry.forks.iter().find(|(of, _)| tag.as_ref() == Some(of));
        let dialog = match known {
            Some((_, branch)) => self.dialogs.get(branch),
            None if tag == dialog.remote_tag => Some(dialog),
            None => return self.end_branch(now, txn, tag.unwrap_or_default(), response),
        };
        if let Some((to, ack)) = dialog.and_then(|d| d.last_ack.clone()) {
            self.transmit(to, ack, None);
        }
    }

    /// Acknowledges and ends what another branch began, of so many as somebody may reasonably fork to.
    fn end_branch(&mut self, now: Instant, txn: TxnId, tag: String, response: &Response) {
        let entry = self.clients.get(&txn);
        let Some(entry) = entry.filter(|entry| entry.forks.len() < FORKS_MAX) else {
            return;
        };
        let fork = self.dialogs.get(&entry.dialog);
        let Some(fork) = fork.and_then(|dialog| dialog.fork(response)) else {
            return;
        };
        // Not in `dialog_keys`: the key belongs to the branch that was first.
        let id = DialogId(self.next_id());
        self.dialogs.insert(id, fork);
        if let Some(entry) = self.clients.get_mut(&txn) {
            entry.forks.push((tag, id));
        }
        self.ack(id, &[], Vec::new());
        self.bye(now, id, Vec::new());
    }
}
