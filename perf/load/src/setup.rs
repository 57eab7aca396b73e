//! Sessions before the first message: who they are, how they are reached, who keeps them.

pub mod forward;
pub mod h248;
pub mod relay;
pub mod sip;

use core::net::SocketAddr;
use std::net::TcpListener;
use std::os::fd::OwnedFd;

use anyhow::{bail, ensure};

use crate::plan::{Plan, Transport};
use crate::process::Process;

/// One participant, ready to connect.
#[derive(Debug)]
pub struct Leg {
    /// Its URI.
    pub own: String,
    /// Where its messages go: a whole path.
    pub peer: String,
    /// Where it connects to; `None`: it is connected to, or not at all.
    pub connect: Option<SocketAddr>,
    /// The socket it connects with, when its address was told before.
    pub socket: Option<OwnedFd>,
    /// SHA-256 of the certificate that the other side signalled.
    pub fingerprint: Option<[u8; 32]>,
}

/// All participants of a run.
#[derive(Debug)]
pub struct Sessions {
    /// How they came to be.
    pub via: &'static str,
    /// By conference, then by participant, senders first.
    pub legs: Vec<Leg>,
    /// Where participants are connected to.
    pub listeners: Vec<TcpListener>,
    /// Whether a session begins with a SEND without body.
    pub is_binding: bool,
    /// Who keeps them.
    pub keeper: Keeper,
    /// The system under test, if it is to be watched, and ours if it is to end with the run.
    pub target: Target,
}

/// The system under test as far as it is known here.
#[derive(Debug, Default)]
pub struct Target {
    /// Its process, to be watched.
    pub id: Option<u32>,
    /// It was started for this run.
    pub process: Option<Process>,
}

impl From<Process> for Target {
    fn from(process: Process) -> Self {
        Self {
            id: Some(process.id()),
            process: Some(process),
        }
    }
}

/// The control plane while messages flow.
#[derive(Debug)]
pub enum Keeper {
    /// Nothing to keep.
    None,
    /// H.248.
    H248(Box<h248::Controller>),
    /// SIP.
    Sip(Box<sip::Callers>),
}

impl Keeper {
    /// Lets participant `number` leave, by the control plane.
    ///
    /// # Errors
    ///
    /// When the other side refuses or does not answer.
    pub(crate) async fn leave(&mut self, number: u32) -> anyhow::Result<()> {
        match self {
            Self::None => bail!("nobody keeps the sessions"),
            Self::H248(controller) => controller.leave(number).await,
            Self::Sip(callers) => callers.leave(number).await,
        }
    }

    /// Lets somebody join in its place.
    ///
    /// # Errors
    ///
    /// When the other side refuses or does not answer.
    pub(crate) async fn join(&mut self, number: u32) -> anyhow::Result<Leg> {
        match self {
            Self::None => bail!("nobody keeps the sessions"),
            Self::H248(controller) => controller.join(number).await,
            Self::Sip(callers) => callers.join(number).await,
        }
    }

    /// Answers what the other side asks, for as long as this is awaited. Cancel-safe.
    pub async fn keep(&mut self) {
        match self {
            Self::None => core::future::pending().await,
            Self::H248(controller) => controller.keep().await,
            Self::Sip(callers) => callers.keep().await,
        }
    }

    /// Ends all sessions.
    ///
    /// # Errors
    ///
    /// When the other side does not answer.
    pub async fn release(self) -> anyhow::Result<()> {
        match self {
            Self::None => Ok(()),
            Self::H248(controller) => controller.release().await,
            Self::Sip(callers) => callers.release().await,
        }
    }
}

/// What neither the forwarder nor a relay does is refused.
fn plain_and_steady(plan: &Plan, who: &str) -> anyhow::Result<()> {
    ensure!(
        plan.transport == Transport::Tcp,
        "{who} is reached over TCP: --transport needs --via h248 or sip"
    );
    ensure!(
        plan.churn <= 0.0,
        "{who} has no control plane: --churn needs --via h248 or sip"
    );
    Ok(())
}
