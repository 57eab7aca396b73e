//! The control task: one loop around the gateway.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use clock::{Duration, Instant};
use h248::ast::TransactionId;
use h248_endpoint::{Departure, Event, Peer, RequestKey, describe, first_error};
use reactor::Credentials;
use switch::ShardIndex;
use tokio::sync::{mpsc, watch};

use super::losses::Losses;
use super::shards::{Inbox, Shards};
use super::{Shared, Store};
use crate::gateway::{Gateway, NotifyId, Output};
use crate::storage;

/// How often the shards' threads are looked after.
const CARE_INTERVAL: Duration = Duration::from_secs(1);

/// When a shard's full mailbox is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(5);

/// Events of shards handled before the controller gets its turn.
const EVENTS_PER_TURN_MAX: usize = 1024;

/// What is left after the drain must be confirmed within this time.
const REMOVE_MAX: Duration = Duration::from_secs(2);

/// The UNIX time of [`Instant::ZERO`], by the wall clock as it is set now.
pub(super) fn epoch() -> Option<Duration> {
    let up = reactor::now().since(Instant::ZERO);
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    wall.ok()?.checked_sub(up)
}

/// A request, for its reply and for the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    key: RequestKey,
    peer: Peer,
    transaction: TransactionId,
}

/// Everything the control task owns.
#[derive(Debug)]
pub(super) struct Task {
    gateway: Gateway<Origin>,
    h248: h248_endpoint::Shell,
    shards: Shards,
    inbox: Inbox,
    shared: Arc<Shared>,
    registered: watch::Sender<bool>,
    /// The controller, as registered with, or as last heard from.
    controller: Option<Peer>,
    notifies: HashMap<TransactionId, NotifyId>,
    notifies_lost: Losses,
    events_dropped: Losses,
    deadline: Option<Instant>,
    care_at: Instant,
    is_departed: bool,
    storage: Option<Store>,
    /// For the fingerprint that SDP shows.
    credentials: Option<Credentials>,
}

impl Task {
    pub(super) fn new(
        (gateway, h248): (Gateway<Origin>, h248_endpoint::Shell),
        (shards, inbox): (Shards, Inbox),
        (shared, registered): (Arc<Shared>, watch::Sender<bool>),
        storage: Option<Store>,
        credentials: Option<Credentials>,
    ) -> Self {
        shared.set(gateway.metrics());
        Self {
            gateway,
            h248,
            shards,
            inbox,
            shared,
            registered,
            controller: None,
            notifies: HashMap::new(),
            notifies_lost: Losses::default(),
            events_dropped: Losses::default(),
            deadline: None,
            care_at: Instant::ZERO,
            is_departed: false,
            storage,
            credentials,
        }
    }

    /// Works until told to leave, then leaves.
    pub(super) async fn run(mut self, mut leaving: mpsc::Receiver<Duration>) {
        let drain = loop {
            tokio::select! {
                drain = leaving.recv() => break drain.unwrap_or_default(),
                () = self.step() => {}
            }
        };
        self.leave(drain).await;
        let (shards, storage) = (self.shards, self.storage);
        let stop = move || {
            shards.stop();
            storage.map_or(Ok(()), Store::stop)
        };
        match tokio::task::spawn_blocking(stop).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => tracing::error!("the storage failed"),
            Err(error) => tracing::error!(%error, "stopping the shards failed"),
        }
    }

    /// Waits for one input and does all that follows from it. Cancel-safe: it waits first.
    async fn step(&mut self) {
        let at = self
            .deadline
            .map_or(self.care_at, |at| at.min(self.care_at));
        let wait = at.since(reactor::now());
        tokio::select! {
            event = self.h248.next() => self.handle_h248(event),
            (shard, event) = self.inbox.next() => self.handle_shard(shard, event),
            event = next_stored(&mut self.storage) => {
                self.gateway.handle_storage(reactor::now(), event);
            }
            () = tokio::time::sleep(wait) => {}
        }
        let now = reactor::now();
        if at <= now {
            self.handle_time(now);
        }
        self.drain_outputs();
    }

    fn handle_h248(&mut self, event: Event) {
        let now = reactor::now();
        match event {
            Event::Request(request) => {
                if self.h248.associations().next().is_none() {
                    self.controller = Some(request.peer);
                }
                let version = request.version;
                let transaction = request.request.id;
                let fingerprint = self.credentials.as_ref().map(Credentials::fingerprint);
                self.gateway.set_fingerprint(fingerprint);
                let origin = Origin {
                    key: request.key,
                    peer: request.peer,
                    transaction,
                };
                let broken = request.broken.as_deref();
                self.gateway
                    .handle_request(now, origin, version, &request.request, broken);
            }
            Event::Reply { id, reply, .. } => self.handle_notified(id, Some(&reply.body)),
            Event::Failed { id, .. } => self.handle_notified(id, None),
            Event::Registered(registered) => {
                self.controller = Some(registered.peer);
                self.registered.send_replace(true);
                self.gateway.handle_registered(now);
            }
            // Contexts are kept: whoever controls us next will audit them (H.248.1 section 11.5).
            Event::Lost { .. } => {
                self.controller = None;
                self.gateway.handle_control_lost(now);
            }
            Event::Departed => self.is_departed = true,
            // Notifies make nothing that would have to be undone.
            Event::Late { .. }
            | Event::Leaving { .. }
            | Event::RegistrationFailed { .. }
            | Event::Problem(_) => {}
        }
    }

    fn handle_notified(&mut self, id: TransactionId, reply: Option<&h248::ast::ReplyBody>) {
        let Some(notify) = self.notifies.remove(&id) else {
            return;
        };
        if let Some(error) = reply.and_then(first_error) {
            tracing::warn!(transaction = id.0, error = %describe(error), "Notify refused");
        }
        self.gateway.handle_notified(reactor::now(), notify, reply);
    }

    fn handle_shard(&mut self, shard: ShardIndex, event: switch::Event) {
        let now = reactor::now();
        self.handle_event(now, shard, event);
        for _ in 1..EVENTS_PER_TURN_MAX {
            let Some((shard, event)) = self.inbox.try_next() else {
                return;
            };
            self.handle_event(now, shard, event);
        }
    }

    fn handle_event(&mut self, now: Instant, shard: ShardIndex, event: switch::Event) {
        match &event {
            switch::Event::Done { .. } => self.shards.confirmed(shard),
            switch::Event::Lost { session, cause } => {
                tracing::info!(
                    termination = session.termination,
                    stream = session.stream,
                    ?cause,
                    "MSRP connection lost"
                );
            }
            switch::Event::Bound { session, .. } => {
                tracing::debug!(
                    termination = session.termination,
                    stream = session.stream,
                    "MSRP connection bound"
                );
            }
            switch::Event::Idle { .. }
            | switch::Event::Nickname { .. }
            | switch::Event::Message(_)
            | switch::Event::Recorded(_)
            | switch::Event::Played { .. } => {}
        }
        self.gateway.handle_event(now, shard, event);
    }

    fn handle_time(&mut self, now: Instant) {
        self.gateway.handle_deadline(now);
        if self.care_at > now {
            return;
        }
        let is_stuck = self.shards.feed_all();
        self.care_at = now
            + if is_stuck {
                RETRY_INTERVAL
            } else {
                CARE_INTERVAL
            };
        self.gateway.set_epoch(epoch());
        self.look_after_shards(now);
        let dropped = self.shards.take_dropped();
        if dropped > 0 {
            tracing::warn!(dropped, "events dropped: the control task is overloaded");
        }
        self.tell_losses(now);
    }

    fn tell_losses(&mut self, now: Instant) {
        let metrics = self.gateway.metrics();
        if let Some(lost) = self.notifies_lost.news(now, metrics.notifies_lost) {
            tracing::warn!(lost, "Notifies lost: no controller, or no answer of it");
        }
        if let Some(dropped) = self.events_dropped.news(now, metrics.events_dropped) {
            tracing::warn!(dropped, "events dropped: their Notifies are not answered");
        }
    }

    fn look_after_shards(&mut self, now: Instant) {
        let dead = self.shards.newly_dead();
        if !dead.is_empty() {
            // The last words of the dead must not be taken for the first ones of who comes after them.
            for (shard, event) in self.inbox.take_all() {
                self.handle_event(now, shard, event);
            }
        }
        for shard in dead {
            tracing::error!(
                shard = shard.0,
                "a shard has died; what it carried is out of service"
            );
            self.gateway.handle_shard_lost(now, shard);
        }
        for shard in self.shards.restart(now) {
            self.gateway.handle_shard_regained(now, shard);
        }
    }

    /// Does everything the gateway wants done.
    fn drain_outputs(&mut self) {
        loop {
            match self.gateway.poll() {
                Output::Order { shard, command } => {
                    if self.shards.order(shard, command) {
                        self.care_at = reactor::now() + RETRY_INTERVAL;
                    }
                }
                Output::Storage(order) => {
                    if let Some(storage) = &self.storage {
                        storage.handle.order(order);
                    }
                }
                Output::Reply { key: origin, body } => {
                    if let Some(error) = first_error(&body) {
                        let (peer, transaction) = (origin.peer, origin.transaction.0);
                        let error = describe(error);
                        tracing::info!(%peer, transaction, %error, "H.248 request refused");
                    }
                    self.h248.reply(origin.key, body);
                }
                Output::Notify { id, action } => {
                    let send = |peer| self.h248.send_request(peer, vec![action]);
                    match self.controller.map(send) {
                        Some(Ok(transaction)) => {
                            self.notifies.insert(transaction, id);
                            continue;
                        }
                        Some(Err(error)) => tracing::warn!(%error, "Notify not sent"),
                        None => {}
                    }
                    self.gateway.handle_notified(reactor::now(), id, None);
                }
                Output::Wait(deadline) => {
                    self.deadline = deadline;
                    break;
                }
            }
        }
        self.h248.tune(self.gateway.tuning());
        let mut metrics = self.gateway.metrics();
        metrics.storage = self.storage.as_ref().map(|s| s.handle.metrics());
        metrics.is_registered = self.h248.associations().next().is_some();
        self.shared.set(metrics);
    }

    /// Graceful, until there is nothing left or no more time; then Forced.
    async fn leave(&mut self, drain: Duration) {
        if drain > Duration::ZERO && self.gateway.metrics().terminations > 0 {
            self.gateway.drain(reactor::now());
            self.drain_outputs();
            // Rounded up: a delay of 0 would mean as long as it takes (H.248.1 7.2.8).
            let delay_s = drain.as_millis().div_ceil(1_000);
            let delay_s = u32::try_from(delay_s).unwrap_or(u32::MAX);
            self.h248.depart(Departure::Graceful { delay_s });
            self.steps_until(drain, |task| task.gateway.metrics().terminations == 0)
                .await;
        }
        self.gateway.remove_all(reactor::now());
        self.drain_outputs();
        self.steps_until(REMOVE_MAX, |task| task.gateway.is_idle())
            .await;
        self.h248.depart(Departure::Forced);
        self.steps_until(Duration::MAX, |task| task.is_departed)
            .await;
    }

    async fn steps_until(&mut self, patience: Duration, is_done: impl Fn(&Self) -> bool) {
        let until = reactor::now() + patience;
        while !is_done(self) && reactor::now() < until {
            tokio::select! {
                () = self.step() => {}
                () = tokio::time::sleep(until.since(reactor::now())) => {}
            }
        }
    }
}

/// The next event of the storage; pending for ever without one. Cancel-safe.
async fn next_stored(storage: &mut Option<Store>) -> storage::Event {
    let next = match storage {
        Some(storage) => storage.events.recv().await,
        None => None,
    };
    match next {
        Some(event) => event,
        None => core::future::pending().await,
    }
}

impl Store {
    /// Waits until everything is written. Nobody else has the handle any more.
    fn stop(self) -> std::thread::Result<()> {
        drop((self.handle, self.events));
        self.thread.join()
    }
}
