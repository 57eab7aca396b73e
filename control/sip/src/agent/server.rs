//! Server transactions (RFC 3261 17.2 with RFC 6026).
//!
//! ```text
//! INVITE      Proceeding -2xx-> Accepted -L-> gone         (the dialog repeats the 2xx)
//!             Proceeding -3xx..6xx-> Completed -ACK-> Confirmed -I-> gone
//!                                    Completed -H-> gone   (G repeats over UDP)
//! non-INVITE  Proceeding -final-> Completed -J-> gone
//! ```

use super::admission::Obstacle;
use super::{Agent, Answer, Destination, DialogId, Flow, Output, Timer, TxnId};
use crate::limits::{RETRY_AFTER_SECONDS, RETRY_AFTER_SPREAD, T1, T2, T4, TIMEOUT};
use crate::message::{Headers, Method, Request, Writer, reason_phrase};
use crate::parse::{Brief, Malformed};
use crate::via::{Via, stamp};
use clock::{Duration, Instant, TimerKey};
use core::hash::{Hash, Hasher};
use core::net::SocketAddr;

/// Branch, sent-by and method; or, for a sender without the cookie, what RFC 3261 17.2.3 lists.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ServerKey(String);

/// Call-ID, From tag, CSeq: equal in two transactions only if a request was forked on its way
/// (RFC 3261 8.2.2.2).
pub(super) type MergeKey = (String, String, u32, Method);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerState {
    Proceeding,
    Accepted,
    Completed,
    Confirmed,
}

pub(super) struct ServerTxn {
    pub(super) key: ServerKey,
    pub(super) merge: MergeKey,
    pub(super) method: Method,
    pub(super) cseq: u32,
    pub(super) flow: Flow,
    /// The answer's fields that come from the request.
    echo: Headers,
    record_route: Vec<String>,
    reply_to: SocketAddr,
    pub(super) dialog: Option<DialogId>,
    pub(super) state: ServerState,
    /// Counted among those that await the application's answer.
    is_admitted: bool,
    last: Option<Vec<u8>>,
    interval: Duration,
    repeat: Option<TimerKey>,
    end: Option<TimerKey>,
}

/// Octets that a refusal has besides what it repeats.
const REFUSAL_BYTES: usize = 160;

/// What the tags of responses begin with that nothing is kept of; no other tag of ours does.
pub(super) const STATELESS_TAG: char = 'r';

impl ServerKey {
    /// The key where the branch is enough for it.
    pub(super) fn of_branch<T: AsRef<str>>(via: &Via<T>, method: &Method) -> Option<Self> {
        if !via.has_cookie() {
            return None;
        }
        let (branch, sent_by) = (via.branch.as_ref(), via.sent_by.as_ref());
        let method = method.as_str();
        let mut key = String::with_capacity(branch.len() + sent_by.len() + method.len() + 2);
        key.push_str(sent_by);
        key.make_ascii_lowercase();
        for part in ["|", branch, "|", method] {
            key.push_str(part);
        }
        Some(Self(key))
    }

    /// The key of the transaction that `method` belongs to; `method` is INVITE for ACK and CANCEL.
    pub(super) fn new<T: AsRef<str>>(request: &Request, via: &Via<T>, method: &Method) -> Self {
        if let Some(key) = Self::of_branch(via, method) {
            return key;
        }
        let headers = &request.headers;
        let (cseq, _) = headers.cseq().unwrap_or((0, Method::Ack));
        let tag = headers.from().and_then(|f| f.tag().map(str::to_owned));
        Self(format!(
            "2543|{}|{}|{cseq}|{}|{method}",
            headers.call_id().unwrap_or(""),
            tag.unwrap_or_default(),
            headers.get("Via").unwrap_or(""),
        ))
    }
}

impl Agent {
    pub(super) fn begin_server(
        &mut self,
        now: Instant,
        request: &Request,
        via: &Via<String>,
        flow: Flow,
        merge: MergeKey,
    ) -> TxnId {
        let txn = TxnId(self.next_id());
        let key = ServerKey::new(request, via, &request.method);
        self.server_keys.insert(key.clone(), txn);
        self.merge_keys.entry(merge.clone()).or_insert(txn);
        let record_route = request.headers.all("Record-Route").map(str::to_owned);
        let entry = ServerTxn {
            key,
            cseq: merge.2,
            merge,
            method: request.method.clone(),
            flow,
            echo: echo(&request.headers, flow),
            record_route: record_route.collect(),
            reply_to: reply_addr(via, flow),
            dialog: None,
            state: ServerState::Proceeding,
            is_admitted: false,
            last: None,
            interval: T1,
            repeat: None,
            end: None,
        };
        self.server.insert(txn, entry);
        // Nobody waits longer for an answer that the application forgot to give.
        if request.method != Method::Invite {
            self.arm_server_end(now, txn, TIMEOUT);
        }
        txn
    }

    /// A request of a known transaction came again.
    pub(super) fn handle_repeated(&mut self, txn: TxnId) {
        let Some(entry) = self.server.get(&txn) else {
            return;
        };
        match entry.state {
            // In Accepted the dialog repeats the 2xx on its own schedule.
            ServerState::Accepted | ServerState::Confirmed => {}
            ServerState::Proceeding | ServerState::Completed => {
                if let Some(bytes) = entry.last.clone() {
                    let to = entry.destination();
                    self.transmit(to, bytes, None);
                }
            }
        }
    }

    /// An ACK for a 3xx–6xx; `false` if it belongs to no such response.
    pub(super) fn acknowledge_refusal(&mut self, now: Instant, key: &ServerKey) -> bool {
        let Some(&txn) = self.server_keys.get(key) else {
            return false;
        };
        let Some(entry) = self.server.get_mut(&txn) else {
            return false;
        };
        match entry.state {
            ServerState::Proceeding | ServerState::Accepted => false,
            ServerState::Confirmed => true,
            ServerState::Completed => {
                entry.state = ServerState::Confirmed;
                let wait = if entry.flow.transport.is_reliable() {
                    Duration::ZERO
                } else {
                    T4
                };
                let timers = [entry.repeat.take(), entry.end.take()];
                for timer in timers.into_iter().flatten() {
                    self.timers.cancel(timer);
                }
                self.arm_server_end(now, txn, wait);
                true
            }
        }
    }

    /// Sends a response in a transaction. One to a finished transaction is dropped: whoever ended
    /// it (CANCEL, BYE) has answered. Returns the octets of a 2xx to INVITE.
    pub(super) fn send_response(
        &mut self,
        now: Instant,
        txn: TxnId,
        answer: &Answer,
    ) -> Option<Vec<u8>> {
        let entry = self.server.get_mut(&txn)?;
        if entry.state != ServerState::Proceeding {
            return None;
        }
        let tag = entry
            .dialog
            .and_then(|d| self.dialogs.get(&d))
            .map(|d| d.local_tag.clone());
        if answer.code >= 200 && core::mem::take(&mut entry.is_admitted) {
            self.admission.answered();
        }
        let bytes = entry.build(answer, tag.as_deref());
        let is_accepted = entry.method == Method::Invite && (200..300).contains(&answer.code);
        // The dialog repeats a 2xx.
        entry.last = (!is_accepted).then(|| bytes.clone());
        if answer.code >= 200 {
            // Nothing is built any more; it is kept for long, and there are many.
            (entry.echo, entry.record_route) = (Headers::default(), Vec::new());
        }
        let to = entry.destination();
        let is_invite = entry.method == Method::Invite;
        let reliable = entry.flow.transport.is_reliable();
        match (answer.code, is_invite) {
            (..200, _) => {}
            (200..300, true) => {
                entry.state = ServerState::Accepted;
                self.arm_server_end(now, txn, TIMEOUT);
            }
            (_, true) => {
                entry.state = ServerState::Completed;
                self.arm_server_end(now, txn, TIMEOUT);
                if !reliable {
                    self.arm_server_repeat(now, txn, T1);
                }
            }
            (_, false) => {
                entry.state = ServerState::Completed;
                let wait = if reliable { Duration::ZERO } else { TIMEOUT };
                self.arm_server_end(now, txn, wait);
            }
        }
        let kept = is_accepted.then(|| bytes.clone());
        self.transmit(to, bytes, None);
        kept
    }

    /// The application is asked for an answer.
    pub(super) fn admit(&mut self, txn: TxnId) {
        if let Some(entry) = self.server.get_mut(&txn)
            && !core::mem::replace(&mut entry.is_admitted, true)
        {
            self.admission.admitted();
        }
    }

    pub(super) fn refuse(&mut self, now: Instant, txn: TxnId, answer: &Answer) {
        self.send_response(now, txn, answer);
    }

    pub(super) fn repeat_response(&mut self, now: Instant, txn: TxnId) {
        let Some(entry) = self.server.get_mut(&txn) else {
            return;
        };
        if entry.state != ServerState::Completed {
            return;
        }
        entry.interval = (entry.interval * 2).min(T2);
        let (to, bytes, interval) = (entry.destination(), entry.last.clone(), entry.interval);
        self.arm_server_repeat(now, txn, interval);
        if let Some(bytes) = bytes {
            self.transmit(to, bytes, None);
        }
    }

    pub(super) fn end_server(&mut self, now: Instant, txn: TxnId) {
        let Some(entry) = self.server.remove(&txn) else {
            return;
        };
        if entry.is_admitted {
            self.admission.answered();
        }
        self.server_keys.remove(&entry.key);
        if self.merge_keys.get(&entry.merge) == Some(&txn) {
            self.merge_keys.remove(&entry.merge);
        }
        for timer in [entry.repeat, entry.end].into_iter().flatten() {
            self.timers.cancel(timer);
        }
        // The application never answered: nothing will come of the dialog that it might have made, and nothing
        // waits for its word on a PRACK.
        if let Some(id) = entry
            .dialog
            .filter(|_| entry.state == ServerState::Proceeding)
        {
            if entry.method == Method::Prack {
                self.release_held(now, id);
            }
            self.remove_unused(id);
        }
    }

    /// Where the 2xx of an INVITE transaction is repeated to.
    pub(super) fn server_destination(&self, txn: TxnId) -> Option<Destination> {
        self.server.get(&txn).map(ServerTxn::destination)
    }

    fn arm_server_end(&mut self, now: Instant, txn: TxnId, wait: Duration) {
        let timer = self.timers.arm(now + wait, Timer::ServerEnd(txn));
        let old = self.server.get_mut(&txn).and_then(|e| e.end.replace(timer));
        if let Some(old) = old {
            self.timers.cancel(old);
        }
    }

    fn arm_server_repeat(&mut self, now: Instant, txn: TxnId, wait: Duration) {
        let timer = self.timers.arm(now + wait, Timer::ServerRepeat(txn));
        if let Some(entry) = self.server.get_mut(&txn) {
            entry.repeat = Some(timer);
        }
    }

    /// Answers a request that no transaction can be made for.
    pub(super) fn handle_malformed(&mut self, flow: Flow, malformed: &Malformed) {
        self.counts.malformed += 1;
        if malformed.is_ack {
            return;
        }
        let mut answer = Answer::new(malformed.code);
        answer.reason = Some(match malformed.code {
            400 => format!("Bad Request - {}", malformed.reason),
            _ => malformed.reason.to_owned(),
        });
        self.reply_stateless(flow, &malformed.headers, &answer);
    }

    pub(super) fn reply_overload(&mut self, flow: Flow, headers: &Headers, obstacle: Obstacle) {
        self.count_refusal(obstacle);
        let seconds = retry_after(headers.call_id().unwrap_or_default());
        let answer = Answer::new(503).with("Retry-After", seconds.to_string());
        self.reply_stateless(flow, headers, &answer);
    }

    /// The same for a request that was not read as a whole; `via` is its topmost one.
    pub(super) fn refuse_briefly(
        &mut self,
        flow: Flow,
        request: &Brief<'_>,
        via: &Via<&str>,
        obstacle: Obstacle,
    ) {
        self.count_refusal(obstacle);
        let tag = stateless_tag(Some(request.call_id), via.branch, Some(request.from));
        let mut out = Writer::new(request.octets() + REFUSAL_BYTES);
        out.status(503, reason_phrase(503));
        for (at, via) in request.vias().iter().enumerate() {
            match at {
                0 => out.field("Via", &stamp(via, flow.remote)),
                _ => out.field("Via", via),
            }
        }
        out.field("From", request.from);
        out.field("To", &tagged(request.to, &tag));
        out.field("Call-ID", request.call_id);
        out.field("CSeq", request.cseq);
        out.field("Retry-After", &retry_after(request.call_id).to_string());
        let to = Destination::Flow {
            flow,
            addr: reply_addr(via, flow),
        };
        self.transmit(to, out.end(&[]), None);
    }

    fn count_refusal(&mut self, obstacle: Obstacle) {
        self.counts.shed += 1;
        *match obstacle {
            Obstacle::Late => &mut self.counts.shed_late,
            Obstacle::Unanswered => &mut self.counts.shed_unanswered,
            Obstacle::Full => &mut self.counts.shed_full,
            Obstacle::Again => &mut self.counts.shed_again,
        } += 1;
    }

    /// Sends a response without keeping anything (RFC 3261 8.2.7); silent only without a Via.
    pub(super) fn reply_stateless(&mut self, flow: Flow, headers: &Headers, answer: &Answer) {
        let Some(via) = Via::top(headers) else {
            return;
        };
        let tag = stateless_tag(headers.call_id(), via.branch, headers.get("From"));
        let bytes = build(&echo(headers, flow), &[], answer, Some(&tag));
        let to = Destination::Flow {
            flow,
            addr: reply_addr(&via, flow),
        };
        self.transmit(to, bytes, None);
    }

    pub(super) fn transmit(&mut self, to: Destination, bytes: Vec<u8>, txn: Option<TxnId>) {
        self.out.push_back(Output::Transmit { to, bytes, txn });
    }
}

impl ServerTxn {
    pub(super) fn destination(&self) -> Destination {
        Destination::Flow {
            flow: self.flow,
            addr: self.reply_to,
        }
    }

    /// The last response sent.
    pub(super) fn last(&self) -> Option<&[u8]> {
        self.last.as_deref()
    }

    fn build(&self, answer: &Answer, dialog_tag: Option<&str>) -> Vec<u8> {
        // RFC 3261 12.1.1: Record-Route goes into responses that make a dialog.
        let makes_dialog = self.dialog.is_some() && (101..300).contains(&answer.code);
        let routes = if makes_dialog {
            self.record_route.as_slice()
        } else {
            &[]
        };
        // A tag of its own for requests outside dialogs, equal in all responses.
        let own = format!("{:016x}", {
            let mut hasher = std::hash::DefaultHasher::new();
            self.key.hash(&mut hasher);
            hasher.finish()
        });
        build(&self.echo, routes, answer, Some(dialog_tag.unwrap_or(&own)))
    }
}

/// The same tag for every repetition of a request.
fn stateless_tag(call_id: Option<&str>, branch: &str, from: Option<&str>) -> String {
    let mut hasher = std::hash::DefaultHasher::new();
    (call_id, branch, from).hash(&mut hasher);
    format!("{STATELESS_TAG}{:016x}", hasher.finish())
}

/// To with a tag, which it has not.
fn tagged(to: &str, tag: &str) -> String {
    let to = to.trim_end_matches([';', ' ']);
    let mut tagged = String::with_capacity(to.len() + tag.len() + 5);
    for part in [to, ";tag=", tag] {
        tagged.push_str(part);
    }
    tagged
}

/// Seconds after which a refused caller may try again: not all at once, and each the same when it repeats itself.
fn retry_after(call_id: &str) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    call_id.hash(&mut hasher);
    u64::from(RETRY_AFTER_SECONDS) + hasher.finish() % u64::from(RETRY_AFTER_SPREAD)
}

fn reply_addr<T: AsRef<str>>(via: &Via<T>, flow: Flow) -> SocketAddr {
    if flow.transport.is_reliable() {
        // Only used if the connection is gone (RFC 3261 18.2.2).
        let port = via.port.unwrap_or(flow.transport.default_port());
        SocketAddr::new(flow.remote.ip(), port)
    } else {
        via.response_addr(flow.remote)
    }
}

fn echo(headers: &Headers, flow: Flow) -> Headers {
    let mut echo = Headers::default();
    for (at, via) in headers.all("Via").enumerate() {
        if at == 0 {
            echo.push("Via", stamp(via, flow.remote));
        } else {
            echo.push("Via", via);
        }
    }
    for name in ["From", "To", "Call-ID", "CSeq"] {
        if let Some(value) = headers.get(name) {
            echo.push(name, value);
        }
    }
    echo
}

fn build(echo: &Headers, routes: &[String], answer: &Answer, tag: Option<&str>) -> Vec<u8> {
    let of = |(name, value): &(String, String)| name.len() + value.len() + 4;
    let further: usize = answer.headers.iter().map(of).sum();
    let routed: usize = routes.iter().map(|route| route.len() + 16).sum();
    let mut out = Writer::new(echo.octets() + further + routed + answer.body.len());
    let reason = answer.reason.as_deref();
    out.status(answer.code, reason.unwrap_or(reason_phrase(answer.code)));
    for (name, value) in echo.iter() {
        if name == "To" && answer.code > 100 && echo.to().is_none_or(|to| to.tag().is_none()) {
            out.field(name, &tagged(value, tag.unwrap_or("0")));
        } else {
            out.field(name, value);
        }
    }
    for route in routes {
        out.field("Record-Route", route);
    }
    for (name, value) in &answer.headers {
        out.field(name, value);
    }
    out.end(&answer.body)
}
