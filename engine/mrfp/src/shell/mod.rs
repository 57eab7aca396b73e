//! The assembly: sockets, threads and clocks around the gateway.
//!
//! ```text
//! controller <--> h248_endpoint::Shell <--> run::Task { Gateway } --orders--> shard threads
//!                      (caller's tokio runtime)       <--events--
//! ```

mod address;
mod losses;
mod run;
mod shards;
mod tls;

use core::net::{IpAddr, SocketAddr};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use clock::Duration;
use h248_endpoint::{RegistrationConfig, TransportAddr};
use rand::RngExt;
use reactor::{ControlSender, ReactorKind, Socket};
use switch::Gauges;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::gateway::{self, Gateway};
use crate::storage::{self, Storage};
use crate::{Config, Listener, Metrics};

use self::run::Task;
use self::shards::Shards;
pub use self::tls::{Tls, TlsError};

/// How often H.248 ports are chosen anew when others took them.
const PORT_ATTEMPTS: u32 = 5;

/// Why an MRFP could not start; the configuration's or the system's fault.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener could not be opened.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// The address as configured.
        addr: String,
        /// What the system said.
        source: io::Error,
    },
    /// The system does not have this congestion control, or does not let us use it.
    #[error("cannot use {name:?} as TCP's congestion control: {source}")]
    Congestion {
        /// As configured.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The H.248 side could not be opened.
    #[error("cannot open the H.248 side: {0}")]
    H248(io::Error),
    /// Neither MSRP nor H.248 works without an address.
    #[error("no {0} address is configured")]
    NoListener(&'static str),
    /// Participants cannot connect to a wildcard address.
    #[error("{0} is a wildcard: an address to advertise is needed, for SDP must name one")]
    Wildcard(SocketAddr),
    /// The xdp reactor without an interface.
    #[error("the xdp reactor needs an interface: --xdp-if IF")]
    NoInterface,
    /// The interface of the xdp reactor cannot be used.
    #[error("the xdp reactor cannot be used: {0}")]
    Xdp(io::Error),
    /// A shard did not come up.
    #[error("cannot start shard {shard} on reactor {reactor}: {source}")]
    Shard {
        /// Which one.
        shard: u8,
        /// On what.
        reactor: ReactorKind,
        /// What the system said.
        source: io::Error,
    },
    /// The storage could not be made ready.
    #[error("cannot use {} as storage: {source}", path.display())]
    Storage {
        /// The directory as configured.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// TLS could not be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] TlsError),
    /// More shards than a session-id can name.
    #[error("{0} shards asked for, at most {max} are possible", max = switch::limits::SHARDS_MAX)]
    TooManyShards(u8),
}

/// A running MRFP. Dropping it stops it at once; [`Self::shutdown`] takes leave properly.
#[derive(Debug)]
pub struct Mrfp {
    msrp: Vec<Listener>,
    tls: Option<Tls>,
    h248_addrs: Vec<TransportAddr>,
    reactor: ReactorKind,
    shards: u8,
    shared: Arc<Shared>,
    registered: watch::Receiver<bool>,
    /// Says until when the end may take.
    leave: mpsc::Sender<Duration>,
    task: JoinHandle<()>,
    senders: Vec<ControlSender<Socket>>,
    gauges: Vec<Arc<Gauges>>,
}

/// What the task shows to the outside.
#[derive(Debug, Default)]
struct Shared {
    metrics: Mutex<Metrics>,
}

impl Shared {
    fn set(&self, metrics: Metrics) {
        *self.metrics.lock().unwrap_or_else(PoisonError::into_inner) = metrics;
    }
}

/// Opens the listeners, starts the shards (threads of their own) and the H.248 side (on the
/// caller's tokio runtime), and begins to register with the controllers.
///
/// # Errors
///
/// When a listener is missing or cannot be opened, or a shard cannot start; nothing is left
/// running then.
pub async fn start(config: Config) -> Result<Mrfp, StartError> {
    if config.msrp.is_empty() {
        return Err(StartError::NoListener("MSRP"));
    }
    if config.h248.is_empty() && config.mgcs.is_empty() {
        return Err(StartError::NoListener("H.248"));
    }
    let storage = open_storage(&config)?;
    let handle = storage.as_ref().map(|s| s.handle.clone());
    let tls = Tls::open(&config)?;
    let (shards, inbox) = start_shards(&config, handle, tls.as_ref()).await?;
    let msrp = shards.listeners().to_vec();
    let addresses = address::advertised(&msrp, config.advertise)?;
    let h248 = open_h248(&config, addresses[0].addr.ip()).await?;
    let gateway = Gateway::new(
        gateway::Config {
            addresses,
            fingerprint: tls.as_ref().map(|tls| tls.credentials().fingerprint()),
            shards: shards.count(),
            honour_sdp: config.honour_sdp,
            matching: config.matching,
            has_storage: config.storage.is_some(),
            has_tls: msrp.iter().any(|listener| listener.transport.is_secure()),
            epoch: run::epoch(),
            context_keep: config.context_keep,
            limits: config.gateway_limits,
        },
        rand::rng().random(),
    );
    let shared = Arc::new(Shared::default());
    let (registered_tx, registered) = watch::channel(false);
    let (leave, leaving) = mpsc::channel(1);
    let h248_addrs = h248.bound().to_vec();
    let (reactor, count) = (shards.reactor(), shards.count());
    let msrp_addrs: Vec<_> = msrp.iter().map(ToString::to_string).collect();
    tracing::info!(?msrp_addrs, ?h248_addrs, %reactor, shards = count, "MRFP started");
    let senders = shards.senders();
    let gauges = shards.gauges();
    let task = Task::new(
        (gateway, h248),
        (shards, inbox),
        (Arc::clone(&shared), registered_tx),
        storage,
        tls.as_ref().map(|tls| tls.credentials().clone()),
    );
    Ok(Mrfp {
        msrp,
        tls,
        h248_addrs,
        reactor,
        shards: count,
        shared,
        registered,
        leave,
        senders,
        gauges,
        task: tokio::spawn(task.run(leaving)),
    })
}

fn open_storage(config: &Config) -> Result<Option<Store>, StartError> {
    let Some(path) = &config.storage else {
        return Ok(None);
    };
    match Storage::start(path.clone()) {
        Ok((handle, events, thread)) => Ok(Some(Store {
            handle,
            events,
            thread,
        })),
        Err(source) => Err(StartError::Storage {
            path: path.clone(),
            source,
        }),
    }
}

/// The storage as the control task has it.
#[derive(Debug)]
struct Store {
    handle: Storage,
    events: mpsc::Receiver<storage::Event>,
    /// Ends when nobody has the handle any more.
    thread: std::thread::JoinHandle<()>,
}

/// Starting waits for threads, which is nothing for the runtime's own.
async fn start_shards(
    config: &Config,
    storage: Option<Storage>,
    tls: Option<&Tls>,
) -> Result<(Shards, shards::Inbox), StartError> {
    let config = config.clone();
    let credentials = tls.map(|tls| tls.credentials().clone());
    let start = move || Shards::start(&config, storage.as_ref(), credentials.as_ref());
    match tokio::task::spawn_blocking(start).await {
        Ok(started) => started,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Opens the H.248 side. A port that the system chose can be another process's by the time it is
/// bound: then others are tried.
async fn open_h248(config: &Config, reachable: IpAddr) -> Result<h248_endpoint::Shell, StartError> {
    let is_chosen = config.h248.iter().any(|a| a.addr().port() == 0);
    let mut attempts = if is_chosen { PORT_ATTEMPTS } else { 1 };
    loop {
        attempts -= 1;
        match try_h248(config, reachable).await {
            Err(error) if attempts > 0 && error.kind() == io::ErrorKind::AddrInUse => {
                tracing::debug!(%error, "other ports are tried");
            }
            opened => return opened.map_err(StartError::H248),
        }
    }
}

async fn try_h248(config: &Config, reachable: IpAddr) -> io::Result<h248_endpoint::Shell> {
    let mut registration = RegistrationConfig::new(config.mgcs.clone());
    registration.profile.clone_from(&config.h248_profile);
    registration.mwd = config.restart_delay_max;
    registration.after_loss = config.after_loss;
    registration.accept_unregistered = config.mgcs.is_empty();
    let local = address::with_ports(&config.h248)?;
    let mid = match &config.mid {
        Some(mid) => mid.clone(),
        None => address::mid_of(&local, reachable),
    };
    let role = h248_endpoint::Role::Gateway;
    let mut endpoint = h248_endpoint::Config::new(mid, role, rand::rng().random());
    endpoint.encoding = config.encoding;
    endpoint.refuses_authentication = config.refuses_h248_authentication;
    endpoint.version_max = config.version_max;
    endpoint.pdu_bytes_max = config.h248_pdu_bytes_max;
    endpoint.timers.t_max = config.h248_timeout;
    endpoint.timers.long = endpoint
        .timers
        .long
        .max(config.h248_timeout + address::WANDER_MAX);
    h248_endpoint::Shell::gateway(endpoint, registration, &local).await
}

impl Mrfp {
    /// The MSRP addresses bound, in the order of the configuration.
    #[must_use]
    pub fn msrp_addrs(&self) -> Vec<SocketAddr> {
        self.msrp.iter().map(|one| one.addr).collect()
    }

    /// The MSRP listeners with what is spoken there, in the order of the configuration.
    #[must_use]
    pub fn msrp_listeners(&self) -> &[Listener] {
        &self.msrp
    }

    /// The certificates in use; `None` when nothing listens with TLS.
    #[must_use]
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// The H.248 addresses bound, in the order of the configuration.
    #[must_use]
    pub fn h248_addrs(&self) -> Vec<TransportAddr> {
        self.h248_addrs.clone()
    }

    /// The reactor in use; never [`ReactorKind::Auto`].
    #[must_use]
    pub fn reactor(&self) -> ReactorKind {
        self.reactor
    }

    /// How many shards run.
    #[must_use]
    pub fn shards(&self) -> u8 {
        self.shards
    }

    /// Returns once a controller has accepted our registration for the first time; at once if it
    /// has already.
    pub async fn registered(&mut self) {
        // An error means that the task has ended: nobody will register any more.
        if self
            .registered
            .wait_for(|is_registered| *is_registered)
            .await
            .is_err()
        {
            core::future::pending::<()>().await;
        }
    }

    /// The counters now.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let shared = self.shared.metrics.lock();
        let mut metrics = shared.unwrap_or_else(PoisonError::into_inner).clone();
        for (shard, gauges) in metrics.shards.iter_mut().zip(&self.gauges) {
            shard.queued_bytes = gauges.queued_bytes();
            shard.stalls = gauges.stalls();
            shard.holds = gauges.holds();
            shard.octets_received = gauges.received_bytes();
            shard.octets_sent = gauges.sent_bytes();
            shard.messages_received = gauges.messages();
            shard.messages_sent = gauges.copies();
            shard.dropped = gauges.dropped();
        }
        for (shard, sender) in metrics.shards.iter_mut().zip(&self.senders) {
            shard.freight = sender.freight();
        }
        metrics
    }

    /// Makes a shard panic, as a fault in it would: to try out what becomes of its conferences and of
    /// those on other shards. Within seconds another one is started in its place.
    pub fn fail_shard(&self, shard: u8) {
        if let Some(sender) = self.senders.get(usize::from(shard)) {
            sender.fail();
        }
    }

    /// Takes leave: announces the end (ServiceChange Graceful, reason 908), takes no new
    /// terminations, waits until there are none or `drain` has passed, announces that it is over
    /// (Forced), and stops.
    pub async fn shutdown(mut self, drain: Duration) {
        if self.leave.send(drain).await.is_ok()
            && let Err(error) = (&mut self.task).await
        {
            tracing::error!(%error, "the MRFP's control task failed");
        }
    }
}

impl Drop for Mrfp {
    fn drop(&mut self) {
        self.task.abort();
    }
}
