//! The shard threads and the queues to and from them.

use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use clock::{Duration, Instant};
use rand::RngExt;
use reactor::{
    Control, ControlSender, Credentials, EventSink, Mailbox, ReactorKind, ShardHandle, ShardLinks,
    ShardThreadConfig, Socket, XdpInterface, XdpShard,
};
use switch::{Command, Event, Gauges, Shard, ShardConfig, ShardIndex};
use tokio::sync::mpsc;

use super::StartError;
use crate::storage::Storage;
use crate::{Config, Listener};

/// Orders a shard may have unconfirmed; further ones wait here. Below the mailbox's own bound, so
/// that connections that move between shards find room beside them.
const ORDERS_OPEN_MAX: usize = reactor::limits::MAILBOX_MAX / 2;

/// Events not yet seen by the gateway; beyond it, and news of single messages beyond a half of it,
/// they are dropped and counted. (A confirmation is never dropped: there is room for one per order.)
const EVENTS_MAX: usize = 65_536;

/// Times a shard is started anew within [`RESTART_WINDOW`]; beyond it that waits until the window has
/// passed over the first of them.
const RESTARTS_MAX: usize = 3;

/// See [`RESTARTS_MAX`].
const RESTART_WINDOW: Duration = Duration::from_secs(60);

/// All shards.
#[derive(Debug)]
pub(super) struct Shards {
    nursery: Nursery,
    listeners: Vec<Listener>,
    lanes: Vec<Lane>,
}

/// What starts shards.
struct Nursery {
    config: Config,
    reactor: ReactorKind,
    count: u8,
    cores: usize,
    links: ShardLinks<Socket>,
    done: mpsc::Sender<(ShardIndex, Event)>,
    others: mpsc::Sender<(ShardIndex, Event)>,
    dropped: Arc<AtomicU64>,
    storage: Option<Storage>,
    credentials: Option<Credentials>,
    /// Of each shard, and of whoever is started in its place.
    gauges: Vec<Arc<Gauges>>,
    /// The interface of the xdp reactor.
    bypass: Option<XdpInterface>,
}

/// One shard, and what waits for it.
#[derive(Debug)]
struct Lane {
    /// `None` when it could not be started anew.
    handle: Option<ShardHandle>,
    sender: ControlSender<Socket>,
    waiting: VecDeque<Command>,
    open: usize,
    is_dead: bool,
    /// How often it has died.
    life: u32,
    restarts: Restarts,
}

/// Where shards' events arrive.
#[derive(Debug)]
pub(super) struct Inbox {
    done: mpsc::Receiver<(ShardIndex, Event)>,
    others: mpsc::Receiver<(ShardIndex, Event)>,
}

impl Inbox {
    /// The next event; pending for ever when all shards have ended. Cancel-safe.
    pub(super) async fn next(&mut self) -> (ShardIndex, Event) {
        tokio::select! {
            Some(event) = self.done.recv() => event,
            Some(event) = self.others.recv() => event,
            else => core::future::pending().await,
        }
    }

    /// All events that are there.
    pub(super) fn take_all(&mut self) -> Vec<(ShardIndex, Event)> {
        let mut all = Vec::new();
        for queue in [&mut self.done, &mut self.others] {
            all.extend((0..queue.len()).map_while(|_| queue.try_recv().ok()));
        }
        all
    }

    /// An event that is already there.
    pub(super) fn try_next(&mut self) -> Option<(ShardIndex, Event)> {
        self.done
            .try_recv()
            .or_else(|_| self.others.try_recv())
            .ok()
    }
}

impl Shards {
    /// Opens the listeners and starts the threads; waits until all are up.
    pub(super) fn start(
        config: &Config,
        storage: Option<&Storage>,
        credentials: Option<&Credentials>,
    ) -> Result<(Self, Inbox), StartError> {
        let count = shard_count(config)?;
        let reactor = config
            .reactor
            .resolve()
            .map_err(|reason| StartError::Shard {
                shard: 0,
                reactor: config.reactor,
                source: io::Error::new(io::ErrorKind::Unsupported, reason),
            })?;
        let failed = |shard: u8, source| StartError::Shard {
            shard,
            reactor,
            source,
        };
        let mailboxes = (0..count)
            .map(|shard| Mailbox::new().map_err(|e| failed(shard, e)))
            .collect::<Result<Vec<_>, _>>()?;
        let (done_tx, done) = mpsc::channel(usize::from(count) * ORDERS_OPEN_MAX);
        let (others_tx, others) = mpsc::channel(EVENTS_MAX);
        let bypass = match reactor {
            ReactorKind::Xdp => Some(bypass(config, &mailboxes)?),
            ReactorKind::Auto | ReactorKind::Uring | ReactorKind::Mio => None,
        };
        let places = match &bypass {
            Some(interface) => (0..count)
                .map(|shard| Place::Xdp(interface.shard(shard)))
                .collect(),
            None => listen(config, count)?,
        };
        let nursery = Nursery {
            config: config.clone(),
            reactor,
            count,
            cores: cores(),
            links: ShardLinks::new(&mailboxes),
            done: done_tx,
            others: others_tx,
            dropped: Arc::default(),
            storage: storage.cloned(),
            credentials: credentials.cloned(),
            gauges: (0..count).map(|_| Arc::default()).collect(),
            bypass,
        };
        let mut lanes = Vec::new();
        for ((shard, mailbox), place) in (0..count).zip(mailboxes).zip(places) {
            let handle = nursery.start((ShardIndex(shard), 0), mailbox, place);
            lanes.push(Lane::new(handle.map_err(|e| failed(shard, e))?));
        }
        let addrs = lanes[0].handle.iter().flat_map(ShardHandle::local_addrs);
        let asked = config.msrp.iter().zip(addrs);
        let listeners = asked.map(|(asked, &addr)| Listener { addr, ..*asked });
        let shards = Self {
            listeners: listeners.collect(),
            nursery,
            lanes,
        };
        Ok((shards, Inbox { done, others }))
    }

    pub(super) fn count(&self) -> u8 {
        self.nursery.count
    }

    pub(super) fn reactor(&self) -> ReactorKind {
        self.nursery.reactor
    }

    /// The listeners of the configuration, with their ports.
    pub(super) fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// The ways to the shards; to whoever is started in the place of one as well.
    pub(super) fn senders(&self) -> Vec<ControlSender<Socket>> {
        self.lanes.iter().map(|lane| lane.sender.clone()).collect()
    }

    /// What the shards show of themselves.
    pub(super) fn gauges(&self) -> Vec<Arc<Gauges>> {
        self.nursery.gauges.clone()
    }

    /// Queues an order. Returns whether it is stuck behind a full mailbox.
    pub(super) fn order(&mut self, shard: ShardIndex, command: Command) -> bool {
        self.lanes[usize::from(shard.0)].waiting.push_back(command);
        self.feed(shard)
    }

    /// An order was confirmed: there is room for another.
    pub(super) fn confirmed(&mut self, shard: ShardIndex) {
        self.lanes[usize::from(shard.0)].open -= 1;
        self.feed(shard);
    }

    /// Hands over what waits, as far as there is room. Returns whether something is stuck behind a
    /// full mailbox and must be tried again.
    pub(super) fn feed_all(&mut self) -> bool {
        let shards = 0..self.count();
        shards.filter(|shard| self.feed(ShardIndex(*shard))).count() > 0
    }

    fn feed(&mut self, shard: ShardIndex) -> bool {
        let lane = &mut self.lanes[usize::from(shard.0)];
        while lane.open < ORDERS_OPEN_MAX {
            let Some(command) = lane.waiting.pop_front() else {
                return false;
            };
            match lane.sender.send(Control::Command(command)) {
                Ok(()) => lane.open += 1,
                Err(reactor::Full(Control::Command(command))) => {
                    lane.waiting.push_front(command);
                    return true;
                }
                Err(reactor::Full(Control::Adopt { .. })) => return true,
            }
        }
        false
    }

    /// Shards whose thread has ended since the last call. All they have said is in the inbox, and has to
    /// be taken from there before one is started in their place.
    pub(super) fn newly_dead(&mut self) -> Vec<ShardIndex> {
        let mut dead = Vec::new();
        for (index, lane) in (0..).zip(&mut self.lanes) {
            let has_ended = lane.handle.as_ref().is_some_and(ShardHandle::is_finished);
            if has_ended && !lane.is_dead {
                lane.is_dead = true;
                lane.life += 1;
                dead.push(ShardIndex(index));
            }
        }
        dead
    }

    /// Starts dead shards anew, those that did not die too often; which ones.
    pub(super) fn restart(&mut self, now: Instant) -> Vec<ShardIndex> {
        let mut started = Vec::new();
        for (index, lane) in (0..).zip(&mut self.lanes) {
            if !lane.is_dead || !lane.restarts.may_begin(now) {
                continue;
            }
            let shard = ShardIndex(index);
            match lane.restart(shard, &self.nursery, &self.listeners) {
                Ok(()) => {
                    tracing::warn!(shard = index, "a shard was started anew");
                    started.push(shard);
                }
                Err(error) => tracing::error!(shard = index, %error, "cannot start a shard anew"),
            }
        }
        started
    }

    /// Events dropped since the last call.
    pub(super) fn take_dropped(&self) -> u64 {
        self.nursery.dropped.swap(0, Ordering::Relaxed)
    }

    /// Stops all and waits for them.
    pub(super) fn stop(self) {
        self.lanes.iter().for_each(|lane| lane.sender.stop());
        for (shard, lane) in self.lanes.into_iter().enumerate() {
            if let Some(Err(error)) = lane.handle.map(ShardHandle::join) {
                tracing::error!(shard, %error, "a shard failed");
            }
        }
    }
}

/// When a shard was started anew, the last times.
#[derive(Debug, Default)]
struct Restarts(VecDeque<Instant>);

impl Restarts {
    /// Whether another one may begin, which then counts.
    fn may_begin(&mut self, now: Instant) -> bool {
        let is_past = |at: &Instant| now.since(*at) >= RESTART_WINDOW;
        while self.0.front().is_some_and(is_past) {
            self.0.pop_front();
        }
        let may = self.0.len() < RESTARTS_MAX;
        if may {
            self.0.push_back(now);
        }
        may
    }
}

impl Lane {
    fn new(handle: ShardHandle) -> Self {
        Self {
            sender: handle.sender(),
            handle: Some(handle),
            waiting: VecDeque::new(),
            open: 0,
            is_dead: false,
            life: 0,
            restarts: Restarts::default(),
        }
    }

    fn restart(
        &mut self,
        shard: ShardIndex,
        nursery: &Nursery,
        listeners: &[Listener],
    ) -> io::Result<()> {
        self.waiting.clear();
        self.open = 0;
        let mailbox = match self.handle.take() {
            Some(handle) => {
                let (ended, mailbox) = handle.reclaim();
                if let Err(error) = ended {
                    tracing::error!(shard = shard.0, %error, "why the shard has died");
                }
                mailbox
            }
            None => self.sender.renew(),
        };
        let place = match &nursery.bypass {
            Some(interface) => Place::Xdp(interface.shard(shard.0)),
            None => {
                let addrs: Vec<_> = listeners.iter().map(|listener| listener.addr).collect();
                let anew = reactor::rebind_listeners(&addrs)?;
                if let Some(name) = &nursery.config.tcp_congestion {
                    for listener in &anew {
                        reactor::set_congestion_control(listener, name)?;
                    }
                }
                Place::System(anew)
            }
        };
        self.handle = Some(nursery.start((shard, self.life), mailbox, place)?);
        self.is_dead = false;
        Ok(())
    }
}

impl Nursery {
    fn start(
        &self,
        (index, life): (ShardIndex, u32),
        mailbox: Mailbox<Socket>,
        place: Place,
    ) -> io::Result<ShardHandle> {
        let events = sink(
            index,
            self.done.clone(),
            self.others.clone(),
            Arc::clone(&self.dropped),
            self.storage.clone(),
        );
        let mut thread = ShardThreadConfig::new(index, mailbox, self.links.clone(), events);
        thread.reactor = self.reactor;
        thread.busy_poll = self.config.busy_poll;
        match place {
            Place::System(listeners) => thread.listeners = listeners,
            Place::Xdp(shard) => thread.xdp = Some(shard),
        }
        thread.transports = self.config.msrp.iter().map(|one| one.transport).collect();
        thread.credentials.clone_from(&self.credentials);
        thread.origins = self.config.origins.as_slice().into();
        // Pinning more threads than cores, or the only one, would help nobody.
        let is_pinned = self.count > 1 && usize::from(self.count) <= self.cores;
        thread.core = is_pinned.then_some(usize::from(index.0));
        let logic = ShardConfig {
            index,
            shards: self.count,
            life,
            limits: self.config.switch_limits,
            seed: rand::rng().random(),
        };
        let gauges = Arc::clone(&self.gauges[usize::from(index.0)]);
        reactor::spawn_shard(thread, move || Shard::new(logic).with_gauges(gauges))
    }
}

impl core::fmt::Debug for Nursery {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Nursery").finish_non_exhaustive()
    }
}

fn shard_count(config: &Config) -> Result<u8, StartError> {
    let max = switch::limits::SHARDS_MAX;
    let count = match config.shards {
        Some(count) => count.get(),
        None => u8::try_from(cores().min(queues(config)))
            .unwrap_or(max)
            .min(max),
    };
    if count > max {
        Err(StartError::TooManyShards(count))
    } else {
        Ok(count)
    }
}

/// Receive queues that shards can have.
fn queues(config: &Config) -> usize {
    match &config.xdp_interface {
        Some(name) if config.reactor == ReactorKind::Xdp => {
            reactor::xdp_queue_count(name).map_or(1, |count| count as usize)
        }
        Some(_) | None => usize::MAX,
    }
}

/// Where a shard's connections come from.
enum Place {
    System(Vec<TcpListener>),
    Xdp(XdpShard),
}

/// The interface, opened.
fn bypass(config: &Config, mailboxes: &[Mailbox<Socket>]) -> Result<XdpInterface, StartError> {
    let name = config.xdp_interface.as_deref();
    let name = name.ok_or(StartError::NoInterface)?;
    let addrs: Vec<_> = config.msrp.iter().map(|one| one.addr).collect();
    reactor::open_xdp(name, &addrs, mailboxes, config.busy_poll.fixed()).map_err(StartError::Xdp)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, core::num::NonZero::get)
}

/// The listeners of each shard.
fn listen(config: &Config, count: u8) -> Result<Vec<Place>, StartError> {
    let mut all: Vec<Vec<_>> = (0..count).map(|_| Vec::new()).collect();
    for Listener { addr, .. } in &config.msrp {
        let listeners =
            reactor::bind_listeners(&[*addr], usize::from(count)).map_err(|source| {
                StartError::Listen {
                    addr: addr.to_string(),
                    source,
                }
            })?;
        if let Some(name) = &config.tcp_congestion {
            for listener in listeners.iter().flatten() {
                reactor::set_congestion_control(listener, name).map_err(|source| {
                    let name = name.clone();
                    StartError::Congestion { name, source }
                })?;
            }
        }
        for (shard, listeners) in all.iter_mut().zip(listeners) {
            shard.extend(listeners);
        }
    }
    Ok(all.into_iter().map(Place::System).collect())
}

/// Runs on the shard's thread: never blocks.
fn sink(
    shard: ShardIndex,
    done: mpsc::Sender<(ShardIndex, Event)>,
    others: mpsc::Sender<(ShardIndex, Event)>,
    dropped: Arc<AtomicU64>,
    storage: Option<Storage>,
) -> EventSink {
    Box::new(move |event| {
        let event = match (event, &storage) {
            (Event::Recorded(recorded), Some(storage)) => return storage.record(shard, recorded),
            (event, _) => event,
        };
        let queue = if matches!(event, Event::Done { .. }) {
            &done
        } else {
            &others
        };
        // Connections matter more than news of messages.
        let is_news = matches!(event, Event::Message(_));
        let has_room = !is_news || queue.capacity() > EVENTS_MAX / 2;
        // A closed queue means that the MRFP is being dropped: nobody counts any more.
        if !has_room || queue.try_send((shard, event)).is_err() {
            dropped.fetch_add(1, Ordering::Relaxed);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_dies_too_often_waits_until_the_window_has_passed() {
        let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
        let mut restarts = Restarts::default();
        for (seconds, may) in [
            (0, true),
            (10, true),
            (20, true),
            (21, false),
            (59, false),
            (60, true),
            (61, false),
            (70, true),
        ] {
            assert_eq!(restarts.may_begin(at(seconds)), may, "{seconds} s");
        }
    }
}
