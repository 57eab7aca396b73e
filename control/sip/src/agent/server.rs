//! Server transactions (RFC 3261 17.2 with RFC 6026).
//!
//! ```text
//! INVITE      Proceeding -2xx-> Accepted -L-> gone         (the dialog repeats the 2xx)
//!             Proceeding -3xx..6xx-> Completed -ACK-> Confirmed -I-> gone
//!                                    Completed -H-> gone   (G repeats over UDP)
//! non-INVITE  Proceeding -final-> Completed -J-> gone
//! ```

use super::{Agent, Answer, Destination, DialogId, Flow, Output, Timer, TxnId};
use crate::limits::{RETRY_AFTER_SECONDS, RETRY_AFTER_SPREAD, T1, T2, T4, TIMEOUT};
use crate::message::{Headers, Method, Request, Writer, reason_phrase};
use crate::parse::Malformed;
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

/// What the tags of responses begin with that nothing is kept of; no other tag of ours does.
pub(super) const STATELESS_TAG: char = 'r';

impl ServerKey {
    /// The key where the branch is enough for it.
    pub(super) fn of_branch(via: &Via, method: &Method) -> Option<Self> {
        let key = || Self(format!("{}|{}|{method}", via.branch, via.sent_by));
        via.has_cookie().then(key)
    }

    /// The key of the transaction that `method` belongs to; `method` is INVITE for ACK and CANCEL.
    pub(super) fn new(request: &Request, via: &Via, method: &Method) -> Self {
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
        via: &Via,
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

    pub(super) fn reply_overload(&mut self, flow: Flow, headers: &Headers) {
        self.counts.shed += 1;
        let mut hasher = std::hash::DefaultHasher::new();
        headers.call_id().hash(&mut hasher);
        let more = hasher.finish() % u64::from(RETRY_AFTER_SPREAD);
        let seconds = u64::from(RETRY_AFTER_SECONDS) + more;
        let answer = Answer::new(503).with("Retry-After", seconds.to_string());
        self.reply_stateless(flow, headers, &answer);
    }

    /// Sends a response without keeping anything (RFC 3261 8.2.7); silent only without a Via.
    pub(super) fn reply_stateless(&mut self, flow: Flow, headers: &Headers, answer: &Answer) {
        let Some(via) = Via::top(headers) else {
            return;
        };
        // The same tag for every repetition of the request.
        let mut hasher = std::hash::DefaultHasher::new();
        (headers.call_id(), &via.branch, headers.get("From")).hash(&mut hasher);
        let tag = format!("{STATELESS_TAG}{:016x}", hasher.finish());
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

fn reply_addr(via: &Via, flow: Flow) -> SocketAddr {
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
            let value = value.trim_end_matches([';', ' ']);
            out.field(name, &format!("{value};tag={}", tag.unwrap_or("0")));
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
