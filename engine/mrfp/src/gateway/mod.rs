//! H.248 to switch, sans-IO: requests of the controller and events of the shards come in, orders,
//! replies and notifications go out.
//!
//! ```text
//! handle_request  run every command against the mirror, at once:
//!                   refuse it with its H.248.8 code, or change the mirror and order the shards
//!                 keep the reply until every order of it is done
//! handle_event    Done: fill in statistics, release the reply that waited for it
//!                 Bound, Lost: notify the controller, if it asked
//! poll            orders first, then replies, notifications, and when to come back
//! ```
//!
//! **Invariant:** the mirror is authoritative: shards never refuse an order, since everything that
//! could be wrong with it was checked here.
//!
//! **Invariant:** all orders of one termination go to its shard, in order, and those that say what it is
//! to all shards that know its context.

mod amm;
mod apply;
mod audit;
mod contexts;
mod core;
mod draft;
mod execute;
mod fault;
mod forced;
mod inactivity;
mod limits;
mod media;
mod mess;
mod mf;
mod mirror;
mod news;
mod notify;
mod overload;
mod package;
mod plan;
mod quality;
mod quota;
mod recmess;
mod relocate;
mod service;
mod session;
mod signals;
mod span;
mod statistics;
mod streams;
mod terminations;
#[cfg(test)]
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test looks at what it expects"
)]
mod tests;
mod topology;
mod waiting;

use std::collections::{BTreeMap, VecDeque};

use clock::{Duration, Instant};
use h248::ast::{ActionRequest, Few, ReplyBody, TransactionRequest};
use h248_endpoint::{BrokenTail, Tuning, first_error};
use switch::{Command, Event, Fingerprint, LossCause, Matching, Order, ShardIndex};

use crate::Listener;
use crate::metrics::{Metrics, ShardMetrics};
use crate::storage;

use self::core::{Core, Service};
use self::draft::{Draft, Token};
use self::fault::Fault;
use self::notify::Notice;
use self::overload::Load;
use self::waiting::Waiting;

pub use self::limits::Limits;
pub use self::package::packages;

/// What a gateway is made with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where participants reach us, as SDP shows it; of a transport the first of a family is used.
    pub addresses: Vec<Listener>,
    /// Of our certificate, for SDP; `None` while nothing listens with TLS.
    pub fingerprint: Option<Fingerprint>,
    /// How many shards there are, at least 1.
    pub shards: u8,
    /// Whether SDP attributes are obeyed that TS 29.333 tells an MRFP to ignore.
    pub honour_sdp: bool,
    /// How much of a To-Path must match for a request to belong to a session.
    pub matching: Matching,
    /// Whether there is a storage for messages.
    pub has_storage: bool,
    /// Whether there is a listener for TLS.
    pub has_tls: bool,
    /// UNIX time of [`Instant::ZERO`], for the time stamps of events; `None` leaves them out.
    pub epoch: Option<Duration>,
    /// How long contexts are kept without a controller; `None`: until one subtracts them.
    pub context_keep: Option<Duration>,
    /// Bounds.
    pub limits: Limits,
}

/// Names a Notify while its answer is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NotifyId(u32);

/// What the owner must do.
#[derive(Clone, Debug)]
pub enum Output<K> {
    /// Hand a command to a shard; per shard, in this order.
    Order {
        /// Which shard.
        shard: ShardIndex,
        /// What.
        command: Command,
    },
    /// Hand an order to the storage, before any order to a shard that follows.
    Storage(storage::Order),
    /// Answer a request.
    Reply {
        /// As given to [`Gateway::handle_request`].
        key: K,
        /// The answer.
        body: ReplyBody,
    },
    /// Send a transaction to the controller (a Notify, or the news that terminations are out of
    /// service); its end goes to [`Gateway::handle_notified`].
    Notify {
        /// Names it.
        id: NotifyId,
        /// What to send.
        action: ActionRequest,
    },
    /// Nothing more before this instant (`None`: before the next input).
    Wait(Option<Instant>),
}

/// The gateway. `K` names requests.
#[derive(Debug)]
pub struct Gateway<K> {
    core: Core,
    /// By their numbers, which grow: a tree finds those under way faster than hashing does.
    waiting: BTreeMap<u64, Waiting<K>>,
    last_waiting: u64,
    tokens: BTreeMap<u64, (u64, Token)>,
    replies: VecDeque<(K, ReplyBody)>,
    /// Notifies whose end was not handed in yet.
    outstanding: usize,
    metrics: Metrics,
}

impl<K: Copy> Gateway<K> {
    /// A gateway without contexts. `seed` must come from a cryptographic generator: session-ids
    /// are made with it (RFC 4975 section 14.1).
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        let shards = vec![ShardMetrics::default(); usize::from(config.shards)];
        Self {
            core: Core::new(config, seed),
            waiting: BTreeMap::new(),
            last_waiting: 0,
            tokens: BTreeMap::new(),
            replies: VecDeque::new(),
            outstanding: 0,
            metrics: Metrics {
                shards,
                ..Metrics::default()
            },
        }
    }

    /// Tells the UNIX time of [`Instant::ZERO`] anew: the wall clock may have been set since.
    pub fn set_epoch(&mut self, epoch: Option<Duration>) {
        self.core.config.epoch = epoch;
    }

    /// Tells the fingerprint of our certificate anew: it may have been replaced since.
    pub fn set_fingerprint(&mut self, fingerprint: Option<Fingerprint>) {
        self.core.config.fingerprint = fingerprint;
    }

    /// Executes a request of the controller, sent in protocol `version`; `broken` is the part of
    /// it that could not be read.
    pub fn handle_request(
        &mut self,
        now: Instant,
        key: K,
        version: u8,
        request: &TransactionRequest,
        broken: Option<&BrokenTail>,
    ) {
        self.metrics.requests += 1;
        self.execute(now, key, version, request, broken);
        // At the end: the request itself may ask to be told of silence.
        self.core.heard(now);
    }

    fn execute(
        &mut self,
        now: Instant,
        key: K,
        version: u8,
        request: &TransactionRequest,
        broken: Option<&BrokenTail>,
    ) {
        let max = self.core.config.limits.replies_waiting_max;
        self.core.overload.load = Load::of(self.waiting.len(), max);
        if self.core.overload.load == Load::Beyond {
            self.release(key, ReplyBody::Error(Fault::Busy.descriptor()));
            return;
        }
        let mut draft = Draft::new(now, version);
        let is_complete = self.core.execute(request, &mut draft);
        let mut body = ReplyBody::Actions(::core::mem::take(&mut draft.actions).into());
        if let Some(tail) = broken.filter(|_| is_complete) {
            tail.append_to(&mut body);
        }
        self.await_orders(Some(key), body, draft);
    }

    /// Takes note of what a shard says.
    pub fn handle_event(&mut self, now: Instant, shard: ShardIndex, event: Event) {
        let metrics = self.metrics.shards.get_mut(usize::from(shard.0));
        match event {
            Event::Done { token, statistics } => self.done(token, statistics),
            Event::Bound { session, .. } => {
                if let Some(metrics) = metrics {
                    metrics.bound += 1;
                }
                self.core.connected(now, session);
            }
            Event::Lost { session, cause } => {
                if let Some(metrics) = metrics {
                    metrics.lost += 1;
                    metrics.too_slow += u64::from(matches!(cause, LossCause::TooSlow { .. }));
                }
                self.core.disconnected(now, session, cause);
            }
            Event::Idle { session } => self.core.idle(now, session),
            Event::Nickname { session, nickname } => {
                self.core.renamed(now, session, nickname.as_deref());
            }
            Event::Played { id, status, .. } => {
                self.metrics.played += 1;
                self.metrics.play_failures += u64::from(status != 200);
                self.run(now, |core, draft| core.played(id, status, draft));
            }
            Event::Message(news) => self.core.told_news(now, &news),
            // The storage's, not ours.
            Event::Recorded(_) => {}
        }
        self.beat(now);
    }

    /// Takes note of what the storage says.
    pub fn handle_storage(&mut self, now: Instant, event: storage::Event) {
        self.run(now, |core, draft| core.stored(event, draft));
        self.beat(now);
    }

    /// Does something that may need orders and that no request waits for.
    fn run(&mut self, now: Instant, act: impl FnOnce(&mut Core, &mut Draft)) {
        let mut draft = Draft::new(now, 0);
        act(&mut self.core, &mut draft);
        self.await_orders(None, ReplyBody::Actions(Few::default()), draft);
    }

    /// A controller has consented to our registration.
    pub fn handle_registered(&mut self, now: Instant) {
        self.core.regain_control(now);
    }

    /// The control association is lost. Contexts are kept for a while (H.248.1 section 11.5).
    pub fn handle_control_lost(&mut self, now: Instant) {
        self.core.lose_control(now);
    }

    /// A Notify has ended: with this reply, or (`None`) without one.
    pub fn handle_notified(&mut self, now: Instant, id: NotifyId, reply: Option<&ReplyBody>) {
        self.outstanding = self.outstanding.saturating_sub(1);
        match reply {
            Some(_) => self.core.heard(now),
            None => self.metrics.notifies_lost += u64::from(id.0 != forced::CONTEXT),
        }
        match id.0 {
            inactivity::ROOT => self.core.asked_for_life(),
            forced::CONTEXT => self.core.told_loss(reply.is_some()),
            overload::ROOT => self.core.told_overload(),
            termination => {
                let mut draft = Draft::new(now, 0);
                let error = reply.and_then(first_error).map(|e| e.code);
                self.core.notified(termination, error, &mut draft);
                self.await_orders(None, ReplyBody::Actions(Few::default()), draft);
            }
        }
    }

    /// The instant of the last [`Output::Wait`] has come.
    pub fn handle_deadline(&mut self, now: Instant) {
        self.beat(now);
    }

    /// Takes no new terminations and no new sessions' connections from here on.
    pub fn drain(&mut self, now: Instant) {
        if self.core.service == Service::In {
            self.core.service = Service::Draining;
        }
        let mut draft = Draft::new(now, 0);
        for shard in 0..self.core.config.shards {
            self.core.order(ShardIndex(shard), Order::Drain, &mut draft);
        }
        self.await_orders(None, ReplyBody::Actions(Few::default()), draft);
    }

    /// Ends every termination, without being asked by the controller.
    pub fn remove_all(&mut self, now: Instant) {
        self.core.service = Service::Out;
        let mut draft = Draft::new(now, 0);
        self.core.remove_all(&mut draft);
        self.await_orders(None, ReplyBody::Actions(Few::default()), draft);
    }

    /// The next thing to do. Drain to [`Output::Wait`] after every input.
    pub fn poll(&mut self) -> Output<K> {
        if let Some(order) = self.core.storage_orders.pop_front() {
            return Output::Storage(order);
        }
        if let Some((shard, command)) = self.core.orders.pop_front() {
            return Output::Order { shard, command };
        }
        if let Some((key, body)) = self.replies.pop_front() {
            return Output::Reply { key, body };
        }
        match self.next_notice() {
            Some(Notice {
                termination,
                action,
            }) => {
                self.outstanding += 1;
                Output::Notify {
                    id: NotifyId(termination),
                    action,
                }
            }
            None => Output::Wait(self.core.timers.deadline()),
        }
    }

    /// What the controller is to be told next, if it may be told something more now.
    fn next_notice(&mut self) -> Option<Notice> {
        if self.outstanding >= limits::NOTIFIES_OUTSTANDING_MAX {
            return None;
        }
        if let Some(notice) = self.core.notices.pop_front() {
            self.metrics.notifies += 1;
            return Some(notice);
        }
        self.core.next_loss().map(|action| Notice {
            termination: forced::CONTEXT,
            action,
        })
    }

    /// A shard is no more: its orders will never be confirmed, its terminations are out of service
    /// until they are subtracted. Nothing it said may be handed in afterwards. Replies that waited for it go out with what there is.
    pub fn handle_shard_lost(&mut self, now: Instant, shard: ShardIndex) {
        self.run(now, |core, draft| core.lose_shard(shard, draft));
        let lost: Vec<u64> = self
            .tokens
            .iter()
            .filter(|(_, (_, t))| t.shard == shard)
            .map(|(&id, _)| id)
            .collect();
        lost.into_iter().for_each(|token| self.done(token, None));
    }

    /// Another shard, with nothing on it, is in the place of one that was lost.
    pub fn handle_shard_regained(&mut self, now: Instant, shard: ShardIndex) {
        self.run(now, |core, draft| core.regain_shard(shard, draft));
    }

    /// What the controller has set on ROOT about timers and Pendings (H.248.1 Annex E.2).
    #[must_use]
    pub fn tuning(&self) -> Tuning {
        let value = |name| self.core.root_value(name);
        let time = |name| value(name).map(|ms| Duration::from_millis(u64::from(ms)));
        Tuning {
            execution: time("normalMGCExecutionTime"),
            provisional: time("MGProvisionalResponseTimerValue"),
            own_pendings_max: value("MGOriginatedPendingLimit"),
            peer_pendings_max: value("MGCOriginatedPendingLimit"),
        }
    }

    /// Whether nothing is left: no termination and no order under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.core.terminations.is_empty() && self.tokens.is_empty()
    }

    /// The counters now; `is_registered` is left to the owner of the association.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let mut metrics = self.metrics.clone();
        metrics.contexts = count(self.core.contexts.len());
        metrics.terminations = count(self.core.terminations.len());
        metrics.events_dropped = self.core.events_dropped;
        metrics.terminations_added = self.core.added;
        metrics.terminations_subtracted = self.core.subtracted;
        for (shard, load) in metrics.shards.iter_mut().zip(&self.core.loads) {
            shard.sessions = *load;
        }
        metrics
    }

    /// Does what timers ask for.
    fn beat(&mut self, now: Instant) {
        let due = self.core.beat(now);
        if due.is_release {
            let mut draft = Draft::new(now, 0);
            self.core.release_kept(&mut draft);
            self.await_orders(None, ReplyBody::Actions(Few::default()), draft);
        }
        for of in due.services {
            self.run(now, |core, draft| core.end_delay(of, draft));
        }
        for serial in due.signals {
            self.run(now, |core, draft| core.time_out_signal(serial, draft));
        }
        for termination in due.counts {
            if self.waiting.len() >= self.core.config.limits.replies_waiting_max / 2 {
                self.core.postpone_look(termination, now);
                continue;
            }
            let mut draft = Draft::new(now, 0);
            let count = self.core.order_count(termination, &mut draft);
            self.await_count(None, ReplyBody::Actions(Few::default()), draft, count);
        }
        for number in ::core::mem::take(&mut self.core.interrupted) {
            self.run(now, |core, draft| core.interrupt_signals(number, draft));
        }
    }
}
