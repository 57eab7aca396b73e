//! The user agent core: transactions and dialogs without sockets.
//!
//! ```text
//! request  -> malformed? 400/505 | ACK -> transaction or dialog | CANCEL -> its INVITE
//!             known transaction? repeat the last response
//!             To tag? -> dialog (481, 500, 491 …) or -> method, scheme, Require, body (405 …)
//!             what is left becomes an Event that the application answers
//! response -> client transaction -> dialog -> Event
//! deadline -> repeat, give up
//! ```
//!
//! Every request gets an answer, except ACK and those no answer could reach.

mod admission;
mod arrivals;
mod client;
mod dialog;
mod reliable;
mod server;
mod types;
mod uas;

pub use types::{
    AgentConfig, Answer, Destination, DialogId, Event, Flow, Hop, Invite, Output, Target, TxnId,
};

use crate::addr::Transport;
use crate::digest::Authenticator;
use crate::limits::WAIT_TARGET;
use crate::message::{Headers, Request};
use crate::parse::Parsed;
use admission::{Admission, Kept, Obstacle};
use arrivals::Arrivals;
use clock::{Duration, Instant, TimerTable};
use core::net::SocketAddr;
use dialog::Dialog;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use server::{MergeKey, ServerKey, ServerTxn};
use std::collections::{HashMap, VecDeque};

/// Why the core wanted to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timer {
    /// Repeat a final response that was not acknowledged (timer G).
    ServerRepeat(TxnId),
    /// Forget a server transaction (timers H, I, J, L).
    ServerEnd(TxnId),
    /// Repeat a request (timers A, E).
    ClientRepeat(TxnId),
    /// Give up or forget a client transaction (timers B, D, F, K, M).
    ClientEnd(TxnId),
    /// Repeat the 2xx to an INVITE (RFC 3261 13.3.1.4).
    OkRepeat(DialogId),
    /// Nobody acknowledged that 2xx.
    OkGiveUp(DialogId),
    /// Repeat a reliable provisional response (RFC 3262 3).
    ReliableRepeat(DialogId),
    /// Nobody acknowledged that provisional response.
    ReliableGiveUp(DialogId),
}

/// What an agent has turned away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests for new dialogs refused with 503.
    pub shed: u64,
    /// Of these: they would have waited for the core for too long.
    pub shed_late: u64,
    /// Of these: too many awaited the application's answer.
    pub shed_unanswered: u64,
    /// Of these: no transaction or dialog was left.
    pub shed_full: u64,
    /// Of these: the repetition of a refused one.
    pub shed_again: u64,
    /// Requests that could not be read.
    pub malformed: u64,
    /// Requests from outside the trust domain that were asked who sends them.
    pub challenged: u64,
    /// Requests whose sender is not who it says.
    pub forbidden: u64,
}

/// Transactions and dialogs of one user agent.
pub struct Agent {
    config: AgentConfig,
    rng: StdRng,
    next_id: u64,
    server: HashMap<TxnId, ServerTxn>,
    server_keys: HashMap<ServerKey, TxnId>,
    merge_keys: HashMap<MergeKey, TxnId>,
    clients: HashMap<TxnId, client::ClientTxn>,
    client_keys: HashMap<String, TxnId>,
    /// ACKs whose way is being looked up: dialog, request, URI, flow of the peer.
    acks: HashMap<TxnId, (DialogId, Request, String, Option<Flow>)>,
    dialogs: HashMap<DialogId, Dialog>,
    dialog_keys: HashMap<(String, String), DialogId>,
    authenticator: Option<Authenticator>,
    admission: Admission,
    arrivals: Arrivals,
    /// The message at hand waited for too long.
    is_late: bool,
    counts: Counts,
    timers: TimerTable<Timer>,
    out: VecDeque<Output>,
}

impl Agent {
    /// An agent with nothing going on.
    #[must_use]
    pub fn new(config: AgentConfig) -> Self {
        let mut rng = StdRng::from_seed(config.seed);
        let users = config.users.clone();
        Self {
            authenticator: users.map(|users| Authenticator::new(users, &mut rng)),
            rng,
            config,
            next_id: 0,
            server: HashMap::new(),
            server_keys: HashMap::new(),
            merge_keys: HashMap::new(),
            clients: HashMap::new(),
            client_keys: HashMap::new(),
            acks: HashMap::new(),
            dialogs: HashMap::new(),
            dialog_keys: HashMap::new(),
            admission: Admission::default(),
            arrivals: Arrivals::default(),
            is_late: false,
            counts: Counts::default(),
            timers: TimerTable::default(),
            out: VecDeque::new(),
        }
    }

    /// The same as [`Self::handle_received`] of a message that has waited for its turn: if for too long, it makes no
    /// dialog any more. For what comes in streams; datagrams [arrive](Self::arrive).
    pub fn handle_waited(&mut self, now: Instant, flow: Flow, parsed: Parsed, waited: Duration) {
        self.is_late = waited > WAIT_TARGET;
        self.handle_received(now, flow, parsed);
        self.is_late = false;
    }

    /// Takes in one message. Drain [`Self::poll`] to [`Output::Wait`] before the next input.
    pub fn handle_received(&mut self, now: Instant, flow: Flow, parsed: Parsed) {
        match parsed {
            Parsed::Request(request) => self.handle_request(now, flow, request),
            Parsed::Response(response) => self.handle_response(now, &response),
            Parsed::Malformed(malformed) => self.handle_malformed(flow, &malformed),
            Parsed::Garbage => {}
        }
    }

    /// Takes in that a request could not be sent.
    pub fn handle_send_failed(&mut self, now: Instant, txn: TxnId) {
        self.fail_over(now, txn, 503);
    }

    /// Does what is due at `now`.
    pub fn handle_deadline(&mut self, now: Instant) {
        while let Some(timer) = self.timers.expired(now) {
            match timer {
                Timer::ServerRepeat(txn) => self.repeat_response(now, txn),
                Timer::ServerEnd(txn) => self.end_server(now, txn),
                Timer::ClientRepeat(txn) => self.repeat_request(now, txn),
                Timer::ClientEnd(txn) => self.end_client(now, txn),
                Timer::OkRepeat(dialog) => self.repeat_ok(now, dialog),
                Timer::OkGiveUp(dialog) => self.give_up_ok(now, dialog),
                Timer::ReliableRepeat(dialog) => self.repeat_reliable(now, dialog),
                Timer::ReliableGiveUp(dialog) => self.give_up_reliable(now, dialog),
            }
        }
    }

    /// The next thing to do; [`Output::Wait`] when there is none.
    pub fn poll(&mut self) -> Output {
        self.out
            .pop_front()
            .unwrap_or_else(|| Output::Wait(self.timers.deadline()))
    }

    /// Dialogs that exist, in any state.
    #[must_use]
    pub fn dialog_count(&self) -> usize {
        self.dialogs.len()
    }

    /// Transactions that exist, both roles, in any state.
    #[must_use]
    pub fn transaction_count(&self) -> usize {
        self.server.len() + self.clients.len()
    }

    /// Every table by its name, for a search for leaks.
    pub(crate) fn sizes(&self) -> [(&'static str, usize); 10] {
        [
            ("server transactions", self.server.len()),
            ("their keys", self.server_keys.len()),
            ("keys of forked requests", self.merge_keys.len()),
            ("client transactions", self.clients.len()),
            ("their branches", self.client_keys.len()),
            ("ACKs", self.acks.len()),
            ("dialogs", self.dialogs.len()),
            ("their tags", self.dialog_keys.len()),
            ("requests that wait", self.admission.pending()),
            ("datagrams that wait", self.arrivals.count()),
        ]
    }

    /// What was turned away since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn kept(&self) -> Kept {
        Kept {
            transactions: self.transaction_count(),
            dialogs: self.dialogs.len(),
        }
    }

    /// What is in the way of a dialog that a request would make now.
    fn obstacle(&self, flow: Flow, headers: &Headers) -> Option<Obstacle> {
        let kept = self.kept();
        let late = self.is_late.then_some(Obstacle::Late);
        let obstacle = late.or_else(|| self.admission.obstacle(false, kept))?;
        // Whether it has priority is looked at where that matters.
        if uas::has_priority(flow, headers) {
            return self.admission.obstacle(true, kept);
        }
        Some(obstacle)
    }

    fn next_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// 64 random bits: tags and branches need 32 (RFC 3261 19.3).
    fn token(&mut self) -> String {
        format!("{:016x}", self.rng.next_u64())
    }

    fn emit(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    /// The address that peers see for `transport`: a listener of the family of `near` (`[::]` serves
    /// both), with the address of `near` where the listener has none of its own.
    fn local_addr(&self, transport: Transport, near: SocketAddr) -> SocketAddr {
        let locals = self.config.locals.iter();
        let mut listeners = locals.filter(|l| l.transport == transport).map(|l| l.addr);
        let same = listeners.clone().find(|l| l.is_ipv6() == near.is_ipv6());
        match same.or_else(|| listeners.find(|l| l.is_ipv6() && l.ip().is_unspecified())) {
            Some(addr) if addr.ip().is_unspecified() => SocketAddr::new(near.ip(), addr.port()),
            Some(addr) => addr,
            None => near,
        }
    }
}

#[cfg(test)]
#[path = "agent/tests.rs"]
mod tests;
