//! The shard threads and the queues to and from them.

use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use rand::RngExt;
use reactor::{
    Control, Credentials, EventSink, Mailbox, ReactorKind, ShardHandle, ShardLinks,
    ShardThreadConfig, Socket, XdpShard,
};
use switch::{Command, Event, Shard, ShardConfig, ShardIndex};
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

/// All shards.
#[derive(Debug)]
pub(super) struct Shards {
    handles: Vec<ShardHandle>,
    lanes: Vec<Lane>,
    dropped: Arc<AtomicU64>,
}

/// What waits for one shard.
#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<Command>,
    open: usize,
    is_dead: bool,
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
        let links = ShardLinks::new(&mailboxes);
        let (done_tx, done) = mpsc::channel(usize::from(count) * ORDERS_OPEN_MAX);
        let (others_tx, others) = mpsc::channel(EVENTS_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let cores = cores();
        let mut handles = Vec::new();
        let places = match reactor {
            ReactorKind::Xdp => bypass(config, &mailboxes)?,
            ReactorKind::Auto | ReactorKind::Uring | ReactorKind::Mio => listen(config, count)?,
        };
        for ((shard, mailbox), place) in (0..count).zip(mailboxes).zip(places) {
            let index = ShardIndex(shard);
            let events = sink(
                index,
                done_tx.clone(),
                others_tx.clone(),
                Arc::clone(&dropped),
                storage.cloned(),
            );
            let mut thread = ShardThreadConfig::new(index, mailbox, links.clone(), events);
            thread.reactor = reactor;
            thread.busy_poll = config.busy_poll;
            match place {
                Place::System(listeners) => thread.listeners = listeners,
                Place::Xdp(shard) => thread.xdp = Some(*shard),
            }
            thread.transports = config.msrp.iter().map(|one| one.transport).collect();
            thread.credentials = credentials.cloned();
            // Pinning more threads than cores, or the only one, would help nobody.
            thread.core = (count > 1 && usize::from(count) <= cores).then_some(usize::from(shard));
            let logic = ShardConfig {
                index,
                shards: count,
                limits: config.switch_limits,
                seed: rand::rng().random(),
            };
            let handle = reactor::spawn_shard(thread, move || Shard::new(logic));
            handles.push(handle.map_err(|e| failed(shard, e))?);
        }
        let lanes = handles.iter().map(|_| Lane::default()).collect();
        Ok((
            Self {
                handles,
                lanes,
                dropped,
            },
            Inbox { done, others },
        ))
    }

    pub(super) fn count(&self) -> u8 {
        u8::try_from(self.handles.len()).expect("at most 62")
    }

    pub(super) fn reactor(&self) -> ReactorKind {
        self.handles[0].reactor()
    }

    /// The listeners of the configuration, with their ports.
    pub(super) fn listeners(&self, config: &Config) -> Vec<Listener> {
        let addrs = self.handles[0].local_addrs();
        let asked = config.msrp.iter().zip(addrs);
        asked
            .map(|(asked, &addr)| Listener { addr, ..*asked })
            .collect()
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
        let index = usize::from(shard.0);
        let (lane, handle) = (&mut self.lanes[index], &self.handles[index]);
        while lane.open < ORDERS_OPEN_MAX {
            let Some(command) = lane.waiting.pop_front() else {
                return false;
            };
            match handle.send(Control::Command(command)) {
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

    /// Shards whose thread has ended since the last call.
    pub(super) fn newly_dead(&mut self) -> Vec<ShardIndex> {
        let mut dead = Vec::new();
        for (index, handle) in self.handles.iter().enumerate() {
            if handle.is_finished() && !self.lanes[index].is_dead {
                self.lanes[index].is_dead = true;
                dead.push(ShardIndex(u8::try_from(index).expect("at most 62")));
            }
        }
        dead
    }

    /// Events dropped since the last call.
    pub(super) fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }

    /// Stops all and waits for them.
    pub(super) fn stop(self) {
        self.handles.iter().for_each(ShardHandle::stop);
        for (shard, handle) in self.handles.into_iter().enumerate() {
            if let Err(error) = handle.join() {
                tracing::error!(shard, %error, "a shard failed");
            }
        }
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
    System(Vec<std::net::TcpListener>),
    Xdp(Box<XdpShard>),
}

/// The part of the interface of each shard.
fn bypass(config: &Config, mailboxes: &[Mailbox<Socket>]) -> Result<Vec<Place>, StartError> {
    let name = config.xdp_interface.as_deref();
    let name = name.ok_or(StartError::NoInterface)?;
    let addrs: Vec<_> = config.msrp.iter().map(|one| one.addr).collect();
    let shards = reactor::open_xdp(name, &addrs, mailboxes, config.busy_poll);
    let shards = shards.map_err(StartError::Xdp)?;
    Ok(shards
        .into_iter()
        .map(|one| Place::Xdp(Box::new(one)))
        .collect())
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
