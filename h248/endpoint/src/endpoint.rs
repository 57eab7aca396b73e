//! The transaction machines of one mId.
//!
//! ```text
//! received octets -> wire::read -> requests  -> replier.rs   -> Request ... reply() -> Transmit
//!                                  replies   -> requester.rs -> Reply | Failed
//!                                  K         -> replier.rs   (frees stored replies)
//! send_request()  -> requester.rs -> Transmit, and again until a reply, a failure or T-MAX
//! ```

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use clock::{Duration, Instant, TimerKey, TimerTable};
use h248::ast::{
    ErrorDescriptor, MId, Message, MessageBody, Transaction, TransactionId, TransactionReply,
};

use crate::limits::{MESSAGE_ERRORS_PER_SECOND_MAX, MESSAGE_TRANSACTIONS_MAX, message_bytes_max};
use crate::output::{Output, Problem, ProblemKind, RequestKey, describe};
use crate::peers::{Peers, VERSION_FIRST};
use crate::random::Random;
use crate::replier::Running;
use crate::requester::{GivenUp, Outstanding};
use crate::store::{Reply, Store};
use crate::wire::{self, Body, Item};
use crate::{Config, Peer, Timers, Tuning};

/// Sends requests and receives them, with one mId, over any number of transports.
///
/// Feed one input, then drain [`Self::poll`] to [`Output::Wait`]; commands
/// ([`Self::send_request`], [`Self::reply`]) count as inputs.
#[derive(Debug)]
pub struct Endpoint {
    pub(crate) config: Config,
    pub(crate) peers: Peers,
    pub(crate) timers: TimerTable<Deadline>,
    pub(crate) random: Random,
    pub(crate) outstanding: HashMap<u32, Outstanding>,
    pub(crate) given_up: GivenUp,
    pub(crate) id_last: u32,
    pub(crate) running: HashMap<u64, Running>,
    pub(crate) key_last: u64,
    pub(crate) store: Store,
    pub(crate) forget_timer: Option<TimerKey>,
    outputs: VecDeque<Output>,
    budget: ErrorBudget,
    evictions: u64,
    pub(crate) tuning: Tuning,
    /// As configured, before any tuning.
    timers_configured: Timers,
}

/// Why a timer was armed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deadline {
    /// Repeat a request, or give it up.
    Repeat(TransactionId),
    /// Send a Pending.
    Provisional(RequestKey),
    /// Send the acknowledgements due to a peer.
    Acknowledge(Peer),
    /// Drop replies older than LONG-TIMER.
    Forget,
}

/// Message-level errors left to send in this second.
#[derive(Debug)]
struct ErrorBudget {
    second_ends: Instant,
    left: u32,
}

/// The sender of a message being handled.
#[derive(Clone, Copy)]
pub(crate) struct Sender<'a> {
    pub(crate) peer: Peer,
    pub(crate) mid: &'a MId,
    pub(crate) version: u8,
}

impl Endpoint {
    /// An endpoint with nothing outstanding.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let mut random = Random::new(config.seed);
        // Half of the range: a life of 2^31 transactions before an id could be below another.
        let timers_configured = config.timers;
        let id_last = u32::try_from(random.up_to(u64::from(u32::MAX / 2))).unwrap_or(0);
        Self {
            config,
            peers: Peers::default(),
            timers: TimerTable::default(),
            random,
            outstanding: HashMap::new(),
            given_up: GivenUp::default(),
            id_last,
            running: HashMap::new(),
            key_last: 0,
            store: Store::default(),
            forget_timer: None,
            outputs: VecDeque::new(),
            budget: ErrorBudget {
                second_ends: Instant::ZERO,
                left: MESSAGE_ERRORS_PER_SECOND_MAX,
            },
            evictions: 0,
            tuning: Tuning::default(),
            timers_configured,
        }
    }

    /// What the endpoint was told at start, with the timers as tuned.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Takes over what the other side asks for, for timers armed from now on.
    pub fn tune(&mut self, tuning: Tuning) {
        self.config.timers = tuning.apply(&self.timers_configured);
        self.tuning = tuning;
    }

    /// Requests of ours that await a reply.
    #[must_use]
    pub fn outstanding_count(&self) -> usize {
        self.outstanding.len()
    }

    /// Requests of peers that await [`Self::reply`].
    #[must_use]
    pub fn running_count(&self) -> usize {
        self.running.len()
    }

    /// Transactions remembered after their reply.
    #[must_use]
    pub fn stored_count(&self) -> usize {
        self.store.count()
    }

    /// Stored replies dropped before LONG-TIMER, so far.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.evictions
    }

    /// The header version of requests to `peer`: 1 until [`Self::set_version`].
    #[must_use]
    pub fn version(&self, peer: Peer) -> u8 {
        self.peers.get(peer).map_or(VERSION_FIRST, |s| s.version)
    }

    /// Sets the header version of everything sent to `peer` from now on, as negotiated. Replies
    /// keep the version of their request.
    pub fn set_version(&mut self, peer: Peer, version: u8) {
        let version = version.clamp(1, self.config.version_max);
        if let Some(state) = self.peers.entry(peer, &self.config.timers) {
            state.version = version;
        }
    }

    /// Octets of the longest message to this peer.
    pub(crate) fn message_bytes_max(&self, peer: Peer) -> usize {
        let of_transport = message_bytes_max(peer.transport.kind);
        self.config
            .pdu_bytes_max
            .map_or(of_transport, |own| own.min(of_transport))
    }

    /// Takes one message, without framing.
    pub fn handle_received(&mut self, now: Instant, peer: Peer, octets: &[u8]) {
        if octets.trim_ascii().is_empty() {
            return;
        }
        let received = match wire::read(octets, &self.config.limits) {
            Ok(received) => received,
            Err(unreadable) => {
                let problem = (None, unreadable.what);
                self.refuse_message(now, peer, problem, unreadable.error);
                return;
            }
        };
        let sender = Sender {
            peer,
            mid: &received.mid,
            version: received.version,
        };
        if received.is_authenticated && self.config.refuses_authentication {
            let what = "authentication header".to_owned();
            let error = error(
                402,
                "Unauthorized: authentication headers are not verified here",
            );
            self.refuse_message(now, peer, (Some(received.mid.clone()), what), error);
            return;
        }
        match received.body {
            Body::Error(error) => self.handle_message_error(now, sender, error),
            Body::Items(_) if !(1..=self.config.version_max).contains(&received.version) => {
                let what = format!("version {}", received.version);
                let error = error(406, "Version Not Supported");
                self.refuse_message(now, peer, (Some(received.mid.clone()), what), error);
            }
            Body::Items(items) => self.handle_items(now, sender, items),
        }
    }

    /// Learns that nothing more will come from or go to `peer`: a closed connection, or a peer
    /// given up. Fails what is outstanding there and forgets the peer.
    pub fn handle_transport_failure(&mut self, now: Instant, peer: Peer) {
        self.fail_all(now, peer);
        for running in self.running.values_mut().filter(|r| r.peer == peer) {
            running.is_peer_lost = true;
        }
        let state = self.peers.remove(peer);
        if let Some(timer) = state.and_then(|s| s.ack_timer) {
            self.timers.cancel(timer);
        }
    }

    /// Does what is due at `now`.
    pub fn handle_deadline(&mut self, now: Instant) {
        while let Some(deadline) = self.timers.expired(now) {
            match deadline {
                Deadline::Repeat(id) => self.handle_repeat(now, id),
                Deadline::Provisional(key) => self.handle_provisional(now, key),
                Deadline::Acknowledge(peer) => {
                    if let Some(state) = self.peers.get_mut(peer) {
                        state.ack_timer = None;
                    }
                    self.peers.make_urgent(peer);
                }
                Deadline::Forget => self.handle_forget(now),
            }
        }
    }

    /// The next thing to do; [`Output::Wait`] when there is nothing.
    pub fn poll(&mut self) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        // Only now, so that the owner may have set the negotiated version after a Reply: the
        // acknowledgement of a registration reply is the first message that must bear it.
        while let Some(peer) = self.peers.next_urgent() {
            if let (Some(acks), version) = (self.take_acks(peer), self.version(peer)) {
                let octets = self.print(version, &[acks]);
                return Output::Transmit { peer, octets };
            }
        }
        Output::Wait(self.timers.deadline())
    }

    fn handle_items(&mut self, now: Instant, sender: Sender<'_>, items: Vec<Item>) {
        let count = items.len();
        let has_too_many = count > MESSAGE_TRANSACTIONS_MAX;
        if has_too_many && items.iter().any(Item::is_request) {
            self.problem(sender, None, ProblemKind::TooManyTransactions { count });
            let error = error(413, "Number of transactions in message exceeds maximum");
            self.transmit_message_error(now, sender.peer, sender.version, error);
        }
        for item in items {
            if has_too_many && item.is_request() {
                continue;
            }
            match item {
                Item::Whole(transaction) => self.handle_transaction(now, sender, transaction),
                Item::Broken(broken) if broken.is_request => {
                    self.handle_broken_request(now, sender, *broken);
                }
                Item::Broken(broken) => self.handle_broken_reply(now, sender, *broken),
            }
        }
    }

    fn handle_transaction(&mut self, now: Instant, sender: Sender<'_>, transaction: Transaction) {
        match transaction {
            Transaction::Request(request) => self.handle_request(now, sender, request, None),
            Transaction::Reply(reply) => self.handle_reply(now, sender, reply),
            Transaction::Pending(id) => self.handle_pending(now, sender, id),
            Transaction::Ack(ranges) => self.store.acknowledge(sender.mid, &ranges),
            Transaction::Segment { id, segment } => {
                self.store
                    .acknowledge_segment(sender.mid, id, segment.number);
            }
        }
    }

    /// Answers a message whose sender or version could not be accepted.
    fn refuse_message(
        &mut self,
        now: Instant,
        peer: Peer,
        (mid, what): (Option<MId>, String),
        error: ErrorDescriptor,
    ) {
        // A version refused with 406 was agreed with nobody; but a peer that has agreed to another
        // reads that one, and perhaps no other.
        let version = match (self.peers.get(peer), error.code) {
            (Some(state), _) => state.version,
            (None, 406) => self.config.version_max,
            (None, _) => VERSION_FIRST,
        };
        let code = error.code;
        let kind = if self.transmit_message_error(now, peer, version, error) {
            ProblemKind::MessageUnreadable { code, what }
        } else {
            ProblemKind::MessageDropped { what }
        };
        self.outputs.push_back(Output::Problem(Problem {
            peer,
            mid,
            transaction: None,
            kind,
        }));
    }

    /// Returns whether it was sent.
    fn transmit_message_error(
        &mut self,
        now: Instant,
        peer: Peer,
        version: u8,
        error: ErrorDescriptor,
    ) -> bool {
        if !self.budget.take(now) {
            return false;
        }
        let octets = self.print_error(version, error);
        self.outputs.push_back(Output::Transmit { peer, octets });
        true
    }

    pub(crate) fn take_acks(&mut self, peer: Peer) -> Option<Transaction> {
        let (acks, timer) = self.peers.take_acks(peer);
        if let Some(timer) = timer {
            self.timers.cancel(timer);
        }
        acks
    }

    pub(crate) fn print(&self, version: u8, transactions: &[Transaction]) -> Bytes {
        let (mid, encoding) = (&self.config.mid, self.config.encoding);
        h248::print_transactions(version, mid, transactions, encoding).into()
    }

    fn print_error(&self, version: u8, error: ErrorDescriptor) -> Bytes {
        let body = MessageBody::Error(error);
        let message = Message::new(version, self.config.mid.clone(), body);
        h248::print(&message, self.config.encoding).into()
    }

    pub(crate) fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(crate) fn problem(
        &mut self,
        sender: Sender<'_>,
        transaction: Option<TransactionId>,
        kind: ProblemKind,
    ) {
        self.outputs.push_back(Output::Problem(Problem {
            peer: sender.peer,
            mid: Some(sender.mid.clone()),
            transaction,
            kind,
        }));
    }

    /// Remembers a reply for LONG-TIMER.
    pub(crate) fn store_reply(
        &mut self,
        now: Instant,
        sender: Sender<'_>,
        id: TransactionId,
        reply: Reply,
    ) {
        let until = now + self.config.timers.long;
        let dropped = self.store.finish(sender.mid, id, reply, until);
        if dropped > 0 {
            self.evictions += dropped;
            self.problem(sender, Some(id), ProblemKind::StoreFull(dropped));
        }
        if self.forget_timer.is_none() {
            self.forget_timer = Some(self.timers.arm(until, Deadline::Forget));
        }
    }

    fn handle_forget(&mut self, now: Instant) {
        let next = self.store.forget(now, FORGET_PAUSE);
        self.forget_timer = next.map(|at| self.timers.arm(at, Deadline::Forget));
    }

    fn handle_message_error(&mut self, now: Instant, sender: Sender<'_>, error: ErrorDescriptor) {
        let kind = ProblemKind::ErrorReceived(describe(&error));
        self.problem(sender, None, kind);
        self.fail_refused(now, sender.peer, &error);
    }
}

impl ErrorBudget {
    fn take(&mut self, now: Instant) -> bool {
        if now >= self.second_ends {
            self.second_ends = now + Duration::from_secs(1);
            self.left = MESSAGE_ERRORS_PER_SECOND_MAX;
        }
        let may_send = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may_send
    }
}

/// An error descriptor with a text; the printer replaces what a quoted string cannot hold.
#[must_use]
pub fn error(code: u16, text: &str) -> ErrorDescriptor {
    ErrorDescriptor::new(h248::ErrorCode(code), text)
}

/// A reply that fails a whole transaction.
pub(crate) fn refusal(id: TransactionId, error: ErrorDescriptor) -> TransactionReply {
    TransactionReply {
        id,
        segment: None,
        immediate_ack: false,
        body: h248::ast::ReplyBody::Error(error),
    }
}

/// Stored replies are swept at most this often.
const FORGET_PAUSE: Duration = Duration::from_secs(1);
