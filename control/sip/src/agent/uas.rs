//! What happens to a request before the application sees it (RFC 3261 8.2, 9.2, 12.2.2).

use super::dialog::{Dialog, DialogState};
use super::server::{ServerKey, ServerState};
use super::{Agent, Answer, DialogId, Event, Flow, TxnId};
use crate::digest::Verdict;
use crate::limits::RETRY_AFTER_SECONDS;
use crate::message::{Headers, Method, Request, goes_first};
use crate::via::Via;
use clock::Instant;
use rand::Rng;

/// What every request must carry, read once.
struct Basics {
    via: Via<String>,
    call_id: String,
    from_tag: String,
    to_tag: Option<String>,
    cseq: u32,
}

impl Basics {
    fn read(request: &Request) -> Result<Self, &'static str> {
        let headers = &request.headers;
        for name in ["From", "To", "Call-ID", "CSeq", "Content-Length"] {
            if headers.all(name).nth(1).is_some() {
                return Err("Header Field Repeated");
            }
        }
        let via = Via::top(headers).filter(|via| !via.has_gap);
        let via = via.ok_or("Via Missing Or Malformed")?;
        let from = headers.from().ok_or("From Missing Or Malformed")?;
        let to = headers.to().ok_or("To Missing Or Malformed")?;
        let call_id = headers.call_id().ok_or("Call-ID Missing")?;
        let (cseq, method) = headers.cseq().ok_or("CSeq Missing Or Malformed")?;
        if method != request.method {
            return Err("CSeq Names Another Method");
        }
        Ok(Self {
            via: via.owned(),
            call_id: call_id.to_owned(),
            from_tag: from.tag().ok_or("From Tag Missing")?.to_owned(),
            to_tag: to.tag().map(str::to_owned),
            cseq,
        })
    }
}

impl Agent {
    pub(super) fn handle_request(&mut self, now: Instant, flow: Flow, request: Request) {
        let basics = match Basics::read(&request) {
            Ok(basics) => basics,
            Err(_) if request.method == Method::Ack => return,
            // Whatever an unknown method means by it (RFC 4475 3.1.2.18).
            Err(_) if matches!(request.method, Method::Other(_)) => {
                let answer = Answer::new(501).with("Allow", self.config.allow_value());
                return self.reply_stateless(flow, &request.headers, &answer);
            }
            Err(reason) => {
                self.counts.malformed += 1;
                let mut answer = Answer::new(400);
                answer.reason = Some(format!("Bad Request - {reason}"));
                return self.reply_stateless(flow, &request.headers, &answer);
            }
        };
        if request.method == Method::Ack {
            return self.handle_ack(now, &request, &basics);
        }
        let key = ServerKey::new(&request, &basics.via, &request.method);
        if let Some(&txn) = self.server_keys.get(&key) {
            return self.handle_repeated(txn);
        }
        let in_dialog = basics.to_tag.is_some();
        // Whatever ends something is served: it makes room.
        let ends = request.method == Method::Cancel && self.has_invite(&request, &basics);
        if !in_dialog
            && !ends
            && let Some(obstacle) = self.obstacle(flow, &request.headers)
        {
            return self.reply_overload(flow, &request.headers, obstacle);
        }
        if request.method == Method::Cancel {
            return self.handle_cancel(now, flow, &request, &basics);
        }
        if !in_dialog && !flow.is_trusted && self.challenge(now, flow, &request) {
            return;
        }
        let merge = (
            basics.call_id.clone(),
            basics.from_tag.clone(),
            basics.cseq,
            request.method.clone(),
        );
        let is_merged = !in_dialog && self.merge_keys.contains_key(&merge);
        let txn = self.begin_server(now, &request, &basics.via, flow, merge);
        if let Some(refusal) = self.inspect(&request, is_merged) {
            return self.refuse(now, txn, &refusal);
        }
        if in_dialog {
            self.handle_in_dialog(now, flow, request, &basics, txn);
        } else {
            self.handle_outside(now, flow, request, txn);
        }
    }

    /// Asks who sends a request that may make a dialog, or refuses who is not whom From names
    /// (RFC 3261 22.2); `false`: it passes. Nothing is kept for it.
    fn challenge(&mut self, now: Instant, flow: Flow, request: &Request) -> bool {
        let salt = self.rng.next_u64();
        let Some(authenticator) = &mut self.authenticator else {
            return false;
        };
        // A peer may ask whether we are there (RFC 3261 11).
        if request.method == Method::Options {
            return false;
        }
        let is_stale = match authenticator.judge(now, request) {
            Verdict::User => return false,
            Verdict::Another => {
                self.counts.forbidden += 1;
                let mut answer = Answer::new(403);
                answer.reason = Some("Forbidden - From Is Another User".to_owned());
                self.reply_stateless(flow, &request.headers, &answer);
                return true;
            }
            Verdict::Unknown => false,
            Verdict::Stale => true,
        };
        let mut answer = Answer::new(401);
        for challenge in authenticator.challenges(now, salt, is_stale) {
            answer = answer.with("WWW-Authenticate", challenge);
        }
        self.counts.challenged += 1;
        self.reply_stateless(flow, &request.headers, &answer);
        true
    }

    /// Method, scheme, merging, extensions, body: in the order of RFC 3261 8.2.
    fn inspect(&self, request: &Request, is_merged: bool) -> Option<Answer> {
        if matches!(request.method, Method::Other(_)) {
            return Some(Answer::new(501).with("Allow", self.config.allow_value()));
        }
        if !self.config.allow.contains(&request.method) {
            return Some(Answer::new(405).with("Allow", self.config.allow_value()));
        }
        if !matches!(request.uri.scheme(), "sip" | "sips" | "tel") {
            return Some(Answer::new(416));
        }
        if is_merged {
            return Some(Answer::new(482));
        }
        let unknown: Vec<_> = request
            .headers
            .list("Require")
            .filter(|tag| {
                !self
                    .config
                    .supported
                    .iter()
                    .any(|s| s.eq_ignore_ascii_case(tag))
            })
            .collect();
        if !unknown.is_empty() {
            return Some(Answer::new(420).with("Unsupported", unknown.join(", ")));
        }
        if request.method == Method::Invite && !accepts_sdp(request) {
            return Some(Answer::new(406));
        }
        self.inspect_body(request)
    }

    fn inspect_body(&self, request: &Request) -> Option<Answer> {
        if request.body.is_empty() || !matches!(request.method, Method::Invite | Method::Update) {
            return None;
        }
        let headers = &request.headers;
        let encoded = headers
            .list("Content-Encoding")
            .any(|e| !e.eq_ignore_ascii_case("identity"));
        if encoded {
            return Some(Answer::new(415).with("Accept-Encoding", "identity"));
        }
        let kind = headers.content_type();
        if kind.is_some_and(|kind| self.config.accept.contains(&kind)) {
            return None;
        }
        Some(Answer::new(415).with("Accept", self.config.accept.join(", ")))
    }

    fn handle_outside(&mut self, now: Instant, flow: Flow, request: Request, txn: TxnId) {
        match &request.method {
            Method::Invite => self.handle_invite(now, flow, request, txn),
            Method::Bye | Method::Update | Method::Prack | Method::Notify | Method::Info => {
                self.refuse(now, txn, &Answer::new(481));
            }
            Method::Subscribe | Method::Refer => self.handle_usage(now, flow, request, txn),
            Method::Options
            | Method::Message
            | Method::Publish
            | Method::Register
            | Method::Ack
            | Method::Cancel
            | Method::Other(_) => {
                self.admit(txn);
                self.emit(Event::Request {
                    dialog: None,
                    is_new: false,
                    txn,
                    request: Box::new(request),
                    flow,
                });
            }
        }
    }

    /// Makes the dialog of a first request; `None`: it has no Contact and is refused.
    fn begin_dialog(
        &mut self,
        now: Instant,
        flow: Flow,
        request: &Request,
        txn: TxnId,
    ) -> Option<DialogId> {
        let tag = self.token();
        let Some(mut dialog) = Dialog::uas(request, tag, flow) else {
            let mut answer = Answer::new(400);
            answer.reason = Some("Bad Request - Contact Missing Or Malformed".to_owned());
            self.refuse(now, txn, &answer);
            return None;
        };
        if request.method == Method::Invite {
            dialog.server_invite = Some(txn);
        } else {
            dialog.state = DialogState::Idle;
        }
        let id = DialogId(self.next_id());
        let key = (dialog.call_id.clone(), dialog.local_tag.clone());
        self.dialog_keys.insert(key, id);
        self.dialogs.insert(id, dialog);
        if let Some(entry) = self.server.get_mut(&txn) {
            entry.dialog = Some(id);
        }
        Some(id)
    }

    fn handle_usage(&mut self, now: Instant, flow: Flow, request: Request, txn: TxnId) {
        if let Some(id) = self.begin_dialog(now, flow, &request, txn) {
            self.admit(txn);
            self.emit(Event::Request {
                dialog: Some(id),
                is_new: true,
                txn,
                request: Box::new(request),
                flow,
            });
        }
    }

    fn handle_invite(&mut self, now: Instant, flow: Flow, request: Request, txn: TxnId) {
        let Some(id) = self.begin_dialog(now, flow, &request, txn) else {
            return;
        };
        self.send_response(now, txn, &Answer::new(100));
        self.admit(txn);
        self.emit(Event::Invite {
            dialog: id,
            txn,
            request: Box::new(request),
            flow,
        });
    }

    fn has_invite(&self, request: &Request, basics: &Basics) -> bool {
        let key = ServerKey::new(request, &basics.via, &Method::Invite);
        self.server_keys.contains_key(&key)
    }

    fn find_dialog(&self, basics: &Basics) -> Option<DialogId> {
        let key = (basics.call_id.clone(), basics.to_tag.clone()?);
        let id = *self.dialog_keys.get(&key)?;
        let dialog = self.dialogs.get(&id)?;
        (dialog.remote_tag.as_deref() == Some(basics.from_tag.as_str())).then_some(id)
    }

    /// A NOTIFY may come before the 2xx to our SUBSCRIBE or REFER, and then makes the dialog
    /// (RFC 6665 4.4.1).
    fn adopt(&mut self, request: &Request, basics: &Basics) -> Option<DialogId> {
        let key = (basics.call_id.clone(), basics.to_tag.clone()?);
        let id = *self.dialog_keys.get(&key)?;
        let dialog = self.dialogs.get_mut(&id)?;
        if request.method != Method::Notify || dialog.remote_tag.is_some() {
            return None;
        }
        dialog.remote_tag = Some(basics.from_tag.clone());
        dialog.remote = request.headers.get("From")?.to_owned();
        let routes = request.headers.list("Record-Route");
        dialog.routes = routes.map(str::to_owned).collect();
        Some(id)
    }

    fn handle_ack(&mut self, now: Instant, request: &Request, basics: &Basics) {
        let key = ServerKey::new(request, &basics.via, &Method::Invite);
        if self.acknowledge_refusal(now, &key) {
            return;
        }
        // An ACK for a 2xx is known by dialog and CSeq, whatever its branch and Request-URI.
        if let Some(id) = self.find_dialog(basics) {
            self.handle_dialog_ack(now, id, basics.cseq, request.body.clone());
        }
    }

    fn handle_cancel(&mut self, now: Instant, flow: Flow, request: &Request, basics: &Basics) {
        let key = ServerKey::new(request, &basics.via, &Method::Invite);
        let invite = self.server_keys.get(&key).copied();
        let merge = (
            basics.call_id.clone(),
            basics.from_tag.clone(),
            basics.cseq,
            Method::Cancel,
        );
        let txn = self.begin_server(now, request, &basics.via, flow, merge);
        let Some(invite) = invite else {
            return self.refuse(now, txn, &Answer::new(481));
        };
        let (dialog, state) = match self.server.get(&invite) {
            Some(entry) => (entry.dialog, entry.state),
            None => (None, ServerState::Confirmed),
        };
        // The same To tag as the INVITE's answer (RFC 3261 9.2).
        if let Some(entry) = self.server.get_mut(&txn) {
            entry.dialog = dialog;
        }
        self.send_response(now, txn, &Answer::new(200));
        if state != ServerState::Proceeding {
            return;
        }
        let Some(id) = dialog else {
            return;
        };
        let is_initial = self
            .dialogs
            .get(&id)
            .is_some_and(|d| d.state == DialogState::Early);
        self.respond(now, invite, &Answer::new(487));
        self.emit(Event::Cancelled {
            dialog: id,
            is_initial,
        });
    }

    fn handle_in_dialog(
        &mut self,
        now: Instant,
        flow: Flow,
        request: Request,
        basics: &Basics,
        txn: TxnId,
    ) {
        let id = self
            .find_dialog(basics)
            .or_else(|| self.adopt(&request, basics));
        let Some((id, dialog)) = id.and_then(|id| Some((id, self.dialogs.get_mut(&id)?))) else {
            return self.refuse(now, txn, &Answer::new(481));
        };
        if dialog.remote_seq.is_some_and(|last| basics.cseq < last) {
            return self.refuse(now, txn, &Answer::new(500));
        }
        if !has_usage(dialog, &request.method) {
            return self.refuse(now, txn, &Answer::new(481));
        }
        if let Some(refusal) = overlap(dialog, &request) {
            return self.refuse(now, txn, &refusal);
        }
        dialog.remote_seq = Some(basics.cseq);
        dialog.flow = Some(flow);
        if refreshes_target(&request.method)
            && let Some(contact) = request.headers.contact()
        {
            dialog.target = Some(contact.uri);
        }
        if request.method == Method::Invite {
            dialog.server_invite = Some(txn);
        }
        if let Some(entry) = self.server.get_mut(&txn) {
            entry.dialog = Some(id);
        }
        if request.method == Method::Prack && !self.handle_prack(id, &request) {
            return self.refuse(now, txn, &Answer::new(481));
        }
        if request.method == Method::Bye {
            return self.handle_bye(now, id, request, txn);
        }
        if request.method == Method::Invite {
            self.send_response(now, txn, &Answer::new(100));
        }
        self.emit(Event::Request {
            dialog: Some(id),
            is_new: false,
            txn,
            request: Box::new(request),
            flow,
        });
    }

    fn handle_bye(&mut self, now: Instant, id: DialogId, request: Request, txn: TxnId) {
        self.send_response(now, txn, &Answer::new(200));
        let Some(dialog) = self.dialogs.get_mut(&id) else {
            return;
        };
        // Our own BYE crossed it; the answer to that one ends the dialog.
        if dialog.state == DialogState::Ending {
            return;
        }
        let pending = dialog.server_invite.take();
        if let Some(invite) = pending {
            self.refuse(now, invite, &Answer::new(487));
        }
        self.end_session(id);
        self.emit(Event::Bye {
            dialog: id,
            request: Box::new(request),
        });
    }
}

/// Whether it is not refused before others. Anybody could write so: somebody inside the trust domain has to
/// (RFC 4412 11).
pub(super) fn has_priority(flow: Flow, headers: &Headers) -> bool {
    let asks = |name: &str, is_list| headers.all(name).any(|value| goes_first(is_list, value));
    flow.is_trusted && (asks("Resource-Priority", true) || asks("Priority", false))
}

/// Whether an answer may hold a session description: Accept names it, or is not there (RFC 3261 20.1).
fn accepts_sdp(request: &Request) -> bool {
    let headers = &request.headers;
    let is_it = |range: &str| headers.has_token("Accept", range);
    headers.get("Accept").is_none()
        || ["application/sdp", "application/*", "*/*"]
            .into_iter()
            .any(is_it)
}

/// Whether the dialog has what the method belongs to: a session, or anything at all.
fn has_usage(dialog: &Dialog, method: &Method) -> bool {
    let is_of_session = matches!(
        method,
        Method::Invite | Method::Update | Method::Prack | Method::Info
    );
    match dialog.state {
        // A callee that did not answer refuses; it has no BYE (RFC 3261 15).
        DialogState::Early => *method != Method::Bye || dialog.client_invite.is_none(),
        DialogState::Confirmed => true,
        DialogState::Ending => *method == Method::Bye || (dialog.holds > 0 && !is_of_session),
        DialogState::Idle => *method != Method::Bye && !is_of_session,
    }
}

fn refreshes_target(method: &Method) -> bool {
    matches!(
        method,
        Method::Invite | Method::Update | Method::Subscribe | Method::Notify
    )
}

/// Refuses an offer that crosses or overlaps another (RFC 3261 14.2, RFC 3311 5.2).
fn overlap(dialog: &Dialog, request: &Request) -> Option<Answer> {
    let is_invite = request.method == Method::Invite;
    // An UPDATE without offer refreshes the target or the session and crosses nothing.
    if !is_invite && (request.method != Method::Update || request.body.is_empty()) {
        return None;
    }
    if dialog.client_invite.is_some() && (is_invite || !dialog.is_answered_early()) {
        return Some(Answer::new(491));
    }
    let pending = dialog.server_invite.is_some() || (is_invite && dialog.awaiting_ack.is_some());
    pending.then(|| Answer::new(500).with("Retry-After", RETRY_AFTER_SECONDS.to_string()))
}
