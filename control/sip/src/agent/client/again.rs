//! What is asked again: at the next hop (RFC 3263 4.3), or with an answer to a challenge (RFC 3261 22). The
//! transaction keeps its name for the application; on the wire each attempt is one of its own.

use super::{ClientState, ClientTxn, by_flow, derived, seen};
use crate::addr::Transport;
use crate::agent::{Agent, Destination, Hop, TxnId};
use crate::digest::{answer, is_stale};
use crate::limits::{RESENDS_MAX, TIMEOUT, UDP_PAYLOAD_BYTES_MAX, UDP_REQUEST_BYTES_MAX};
use crate::message::{Method, Response};
use clock::Instant;

impl Agent {
    /// Takes in where the target of an [`crate::Output::Resolve`] leads.
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
    pub(super) fn try_next(&mut self, now: Instant, txn: TxnId, code: u16) {
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
        let octets = request.to_bytes().len();
        let is_large = octets > UDP_REQUEST_BYTES_MAX;
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
        } else if transport == Transport::Udp && octets > UDP_PAYLOAD_BYTES_MAX {
            // No datagram holds it: the next hop, or the application has to say less.
            return self.try_next(now, txn, 513);
        }
        if let Some(entry) = self.clients.get_mut(&txn) {
            entry.request = request;
        }
        self.send_client(now, txn, to, &branch);
    }

    /// A request could not be sent, or nobody answered: the next hop, or `code`.
    pub(in crate::agent) fn fail_over(&mut self, now: Instant, txn: TxnId, code: u16) {
        let Some(entry) = self.clients.get_mut(&txn) else {
            return;
        };
        let id = entry.dialog;
        if code == 408 {
            // Whoever is silent there is so on the same flow.
            entry.flow = None;
            // What went there by TCP for its size came there: only where nobody listens UDP is left (RFC 3261
            // 18.1.1).
            if core::mem::take(&mut entry.is_udp_next) {
                entry.hops.pop_front();
            }
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
    pub(super) fn leave_busy(&mut self, now: Instant, txn: TxnId, response: &Response) -> bool {
        let Some(entry) = self.clients.get_mut(&txn) else {
            return false;
        };
        if core::mem::take(&mut entry.is_udp_next) {
            // The same one by another transport.
            entry.hops.pop_front();
        }
        if response.code != 503 || entry.hops.is_empty() || entry.is_given_up() {
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
            to: entry.to.clone(),
            state: ClientState::Completed,
            ack: Some(ack),
            ..ClientTxn::new(entry.dialog, entry.request.clone())
        };
        let old = TxnId(self.next_id());
        self.client_keys.insert(left.key.clone(), old);
        self.clients.insert(old, left);
        self.rearm_client_end(now, old, TIMEOUT);
        self.repeat_ack(old);
    }

    /// A 401 or 407 whose realm knows us: the request again, with an answer to the challenge
    /// (RFC 3261 22.2, 22.3). Once, and again if only the nonce was too old.
    pub(super) fn prove(&mut self, now: Instant, txn: TxnId, response: &Response) -> bool {
        let (asks, proves) = match response.code {
            401 => ("WWW-Authenticate", "Authorization"),
            407 => ("Proxy-Authenticate", "Proxy-Authorization"),
            _ => return false,
        };
        let cnonce = self.token();
        let Some(entry) = self.clients.get(&txn).filter(|e| !e.is_given_up()) else {
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

    /// A 500 to a request that a later one of ours may have overtaken: whoever gets it out of order has to refuse
    /// it (RFC 3261 12.2.2). It goes out again behind that, some times: two must not overtake each other for ever.
    pub(super) fn resend_overtaken(
        &mut self,
        now: Instant,
        txn: TxnId,
        response: &Response,
    ) -> bool {
        let Some(entry) = self.clients.get(&txn) else {
            return false;
        };
        let may_be = response.code == 500 && entry.resends < RESENDS_MAX && entry.may_be_late();
        let cseq = entry.request.headers.cseq().map(|(number, _)| number);
        let (Some(cseq), Some(to)) = (cseq.filter(|_| may_be), entry.to.clone()) else {
            return false;
        };
        let mut request = entry.request.clone();
        let Some(dialog) = self.dialogs.get_mut(&entry.dialog) else {
            return false;
        };
        if dialog.local_seq <= cseq {
            return false;
        }
        dialog.local_seq += 1;
        let cseq = format!("{} {}", dialog.local_seq, request.method);
        request.headers.put_first("CSeq", cseq);
        let (transport, near) = seen(&to);
        let branch = self.put_via(&mut request, transport, near);
        if let Some(entry) = self.clients.get_mut(&txn) {
            (entry.request, entry.resends) = (request, entry.resends + 1);
        }
        self.send_client(now, txn, to, &branch);
        true
    }

    /// A hop has answered: what follows goes there.
    pub(super) fn settle(&mut self, txn: TxnId) {
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
}
