//! A shard on its own thread, with the best reactor the system offers.

use core::fmt;
use core::str::FromStr;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use switch::ShardIndex;

use crate::backend::Backend;
use crate::driver::{Driver, DriverConfig, EventSink, Logic};
use crate::layer::{Credentials, Transport};
use crate::limits::CONNECTIONS_MAX;
use crate::mailbox::{Control, ControlSender, Full, Mailbox, ShardLinks};
use crate::mio::Mio;
use crate::patience::BusyPoll;
use crate::pool::Octets;
use crate::socket::Socket;
use crate::uring::{Unavailable, Uring};
use crate::xdp::{Xdp, XdpShard};

/// Which reactor is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ReactorKind {
    /// The best that works here.
    #[default]
    Auto,
    /// io_uring, or fail.
    Uring,
    /// Readiness (epoll).
    Mio,
    /// Kernel bypass over AF_XDP, see [`crate::open_xdp`].
    Xdp,
}

impl ReactorKind {
    /// Settles [`Self::Auto`] by trying io_uring; says in the log why it is not taken. Meant to be
    /// called once per process, before the shards are made.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] if [`Self::Uring`] was asked for and does not work here.
    pub fn resolve(self) -> Result<Self, Unavailable> {
        match self {
            Self::Mio | Self::Xdp => Ok(self),
            Self::Uring => Uring::probe().map(|()| Self::Uring),
            Self::Auto => Ok(match Uring::probe() {
                Ok(()) => Self::Uring,
                Err(reason) => {
                    tracing::warn!(%reason, "falling back to the mio reactor");
                    Self::Mio
                }
            }),
        }
    }
}

impl fmt::Display for ReactorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Uring => "uring",
            Self::Mio => "mio",
            Self::Xdp => "xdp",
        })
    }
}

/// The text was not the name of a reactor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected auto, uring, mio or xdp, not {0:?}")]
pub struct UnknownReactor(String);

impl FromStr for ReactorKind {
    type Err = UnknownReactor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Auto, Self::Uring, Self::Mio, Self::Xdp]
            .into_iter()
            .find(|kind| kind.to_string() == text)
            .ok_or_else(|| UnknownReactor(text.to_owned()))
    }
}

/// What a shard's thread is made with.
#[expect(missing_debug_implementations, reason = "holds a callback")]
pub struct ShardThreadConfig {
    /// Its number; its thread is called `shard-N`.
    pub index: ShardIndex,
    /// Which reactor; [`ReactorKind::Auto`] is settled anew per shard, see [`ReactorKind::resolve`].
    pub reactor: ReactorKind,
    /// Its element of [`crate::bind_listeners`].
    pub listeners: Vec<TcpListener>,
    /// Its part of [`crate::open_xdp`], for [`ReactorKind::Xdp`], in place of `listeners`.
    pub xdp: Option<XdpShard>,
    /// What each listener speaks, by position; those beyond the list speak plain TCP.
    pub transports: Vec<Transport>,
    /// For connections with TLS; without them there are none.
    pub credentials: Option<Credentials>,
    /// See [`DriverConfig::origins`].
    pub origins: Arc<[String]>,
    /// Its mailbox.
    pub mailbox: Mailbox<Socket>,
    /// The way to all shards.
    pub links: ShardLinks<Socket>,
    /// The core to pin the thread to; `None`: any.
    pub core: Option<usize>,
    /// Connections at once.
    pub connections_max: usize,
    /// Where events go; called on the shard's thread, must not block.
    pub events: EventSink,
    /// How long to poll before sleeping, see [`DriverConfig::busy_poll`].
    pub busy_poll: BusyPoll,
}

impl ShardThreadConfig {
    /// The usual settings: [`ReactorKind::Auto`], not pinned, [`CONNECTIONS_MAX`].
    #[must_use]
    pub fn new(
        index: ShardIndex,
        mailbox: Mailbox<Socket>,
        links: ShardLinks<Socket>,
        events: EventSink,
    ) -> Self {
        Self {
            index,
            reactor: ReactorKind::Auto,
            listeners: Vec::new(),
            xdp: None,
            transports: Vec::new(),
            credentials: None,
            origins: Arc::default(),
            mailbox,
            links,
            core: None,
            connections_max: CONNECTIONS_MAX,
            events,
            busy_poll: BusyPoll::default(),
        }
    }
}

/// A running shard. Dropping it stops the shard and waits for it.
#[derive(Debug)]
pub struct ShardHandle {
    control: ControlSender<Socket>,
    reactor: ReactorKind,
    local_addrs: Vec<SocketAddr>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl ShardHandle {
    /// Queues a message for the shard and wakes it.
    ///
    /// # Errors
    ///
    /// [`Full`] with the message when too many are queued.
    pub fn send(&self, control: Control<Socket>) -> Result<(), Full<Socket>> {
        self.control.send(control)
    }

    /// A handle for another thread.
    #[must_use]
    pub fn sender(&self) -> ControlSender<Socket> {
        self.control.clone()
    }

    /// The reactor in use; never [`ReactorKind::Auto`].
    #[must_use]
    pub fn reactor(&self) -> ReactorKind {
        self.reactor
    }

    /// Where the shard listens.
    #[must_use]
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.local_addrs
    }

    /// Whether the shard's thread has ended, by [`Self::stop`] or by a fault.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Makes the shard close everything and end after its current turn.
    pub fn stop(&self) {
        self.control.stop();
    }

    /// Waits for the shard to end, and gives its mailbox for another one in its place: to those who have
    /// a way to this shard that one is the same. What was queued for it is dropped.
    ///
    /// Besides the mailbox: the reactor's fault, or that the shard panicked.
    pub fn reclaim(mut self) -> (io::Result<()>, Mailbox<Socket>) {
        let ended = self.thread.take().map_or(Ok(()), outcome);
        (ended, self.control.renew())
    }

    /// Waits for the shard to end.
    ///
    /// # Errors
    ///
    /// The reactor's fault, or that the shard panicked.
    pub fn join(mut self) -> io::Result<()> {
        self.thread.take().map_or(Ok(()), outcome)
    }
}

impl Drop for ShardHandle {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.control.stop();
            if let Err(error) = outcome(thread) {
                tracing::error!(%error, "a shard failed");
            }
        }
    }
}

fn outcome(thread: JoinHandle<io::Result<()>>) -> io::Result<()> {
    thread
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("the shard panicked")))
}

/// Starts a shard and waits until it listens. `make_logic` runs on the shard's thread.
///
/// # Errors
///
/// When the thread or its reactor cannot be made; [`io::ErrorKind::Unsupported`] with
/// [`Unavailable`] inside when io_uring was asked for in vain.
pub fn spawn_shard<L, F>(config: ShardThreadConfig, make_logic: F) -> io::Result<ShardHandle>
where
    L: Logic<Octets>,
    F: FnOnce() -> L + Send + 'static,
{
    let reactor = config.reactor.resolve().map_err(unsupported)?;
    let control = config.mailbox.sender();
    let local_addrs = match &config.xdp {
        Some(shard) => shard.local_addrs().to_vec(),
        None => config
            .listeners
            .iter()
            .map(TcpListener::local_addr)
            .collect::<io::Result<_>>()?,
    };
    let (report, started) = crossbeam::channel::bounded(1);
    let thread = std::thread::Builder::new()
        .name(format!("shard-{}", config.index.0))
        .spawn(move || run(reactor, config, make_logic, &report))?;
    let mut handle = ShardHandle {
        control,
        reactor,
        local_addrs,
        thread: Some(thread),
    };
    if started.recv().is_ok() {
        return Ok(handle);
    }
    // It hung up without a word: it has failed, and says how.
    let thread = handle.thread.take().expect("just made");
    outcome(thread)?;
    Err(io::Error::other("the shard ended at once"))
}

type Report = crossbeam::channel::Sender<()>;

fn run<L: Logic<Octets>>(
    reactor: ReactorKind,
    config: ShardThreadConfig,
    make_logic: impl FnOnce() -> L,
    report: &Report,
) -> io::Result<()> {
    if let Some(core) = config.core {
        pin(core);
    }
    let waker = config.mailbox.waker()?;
    let listeners = config.listeners;
    let driver = DriverConfig {
        transports: config.transports,
        credentials: config.credentials,
        origins: config.origins,
        connections_max: config.connections_max,
        mailbox: config.mailbox,
        links: config.links,
        events: config.events,
        busy_poll: config.busy_poll,
    };
    match reactor {
        ReactorKind::Uring | ReactorKind::Auto => {
            let backend = Uring::new(listeners, waker).map_err(unsupported)?;
            drive(Driver::new(backend, make_logic(), driver), report)
        }
        ReactorKind::Mio => {
            let backend = Mio::new(listeners, waker)?;
            drive(Driver::new(backend, make_logic(), driver), report)
        }
        ReactorKind::Xdp => {
            let shard = config.xdp.ok_or(io::ErrorKind::InvalidInput)?;
            let backend = Xdp::new(&shard, waker, random()?)?;
            drive(Driver::new(backend, make_logic(), driver), report)
        }
    }
}

/// Eight octets that nobody can guess.
fn random() -> io::Result<u64> {
    let mut octets = [0; 8];
    let random = ring::rand::SystemRandom::new();
    ring::rand::SecureRandom::fill(&random, &mut octets)
        .map_err(|_| io::Error::other("the system has no randomness"))?;
    Ok(u64::from_ne_bytes(octets))
}

fn drive<B: Backend, L: Logic<B::Octets>>(
    mut driver: Driver<B, L>,
    report: &Report,
) -> io::Result<()> {
    report
        .send(())
        .expect("`spawn_shard` waits for this with room for it");
    driver.run()
}

fn unsupported(reason: Unavailable) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, reason)
}

/// Keeps the calling thread on one core, if that is possible.
fn pin(core: usize) {
    const CORES_MAX: usize = libc::CPU_SETSIZE as usize;
    if core >= CORES_MAX {
        tracing::debug!(core, "no such core to pin a shard to");
        return;
    }
    // SAFETY: `cpu_set_t` is an array of integers, for which zeros are a value.
    let mut set: libc::cpu_set_t = unsafe { core::mem::zeroed() };
    // SAFETY: the core was checked to be within the set.
    unsafe { libc::CPU_SET(core, &mut set) }
    // SAFETY: 0 is this thread; the pointer and size are those of `set`.
    let outcome =
        unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
    if outcome != 0 {
        let error = io::Error::last_os_error();
        tracing::debug!(core, %error, "cannot pin a shard to its core");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reactors_are_named_as_on_the_command_line() {
        for (text, kind) in [
            ("auto", ReactorKind::Auto),
            ("uring", ReactorKind::Uring),
            ("mio", ReactorKind::Mio),
            ("xdp", ReactorKind::Xdp),
        ] {
            assert_eq!(text.parse(), Ok(kind));
            assert_eq!(kind.to_string(), text);
        }
        let error = "epoll".parse::<ReactorKind>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected auto, uring, mio or xdp, not \"epoll\""
        );
    }

    #[test]
    fn auto_always_finds_a_reactor_and_uring_says_why_not() {
        let auto = ReactorKind::Auto.resolve().unwrap();
        match ReactorKind::Uring.resolve() {
            Ok(kind) => assert_eq!((kind, auto), (ReactorKind::Uring, ReactorKind::Uring)),
            Err(reason) => {
                assert_eq!(auto, ReactorKind::Mio);
                assert!(reason.to_string().starts_with("io_uring"), "{reason}");
            }
        }
    }
}
