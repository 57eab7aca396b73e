//! The MRFC assembled: SIP focus in front, H.248 towards the MRFPs, the conference logic between.
#![forbid(unsafe_code)]

mod answers;
mod audit;
mod body;
mod cdr;
mod commands;
mod config;
mod focus;
mod headers;
mod identity;
mod limits;
mod media;
mod outcomes;
mod refer;
mod session_timer;
mod status;
mod terms;

pub use conference::notice::{TEXT_BYTES_MAX as NOTICE_TEXT_BYTES_MAX, Texts as NoticeTexts};
pub use conference::{Rules, WhoMay};
pub use config::{ConferenceConfig, Config, ContactForm, OwnTexts};
pub use outcomes::{Codes, Latency, Outcomes};
pub use session_timer::SESSION_SECONDS_MIN;
pub use status::{ConferenceStatus, Metrics, ParticipantStatus};
pub use terms::Profile;

use clock::Duration;
use core::sync::atomic::Ordering;
use focus::{Around, Command, Focus};
use h248::ast::MId;
use h248_endpoint::TransportAddr;
use h248_endpoint::{AssociationConfig, Role, Shell, mp_profile};
use sip::SipAddr;
use sip::{BindError, Method, Stack, StackConfig};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

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
    /// The file of call detail records cannot be written.
    #[error("cannot write call detail records to {}: {source}", path.display())]
    Records {
        /// The file as configured.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The certificates of SIP cannot be used.
    #[error(transparent)]
    Tls(sip::TlsError),
    /// Neither SIP nor H.248 can work without a listener.
    #[error("no {0} listener is configured")]
    NoListener(&'static str),
}

/// What a moderator or an operator asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Call somebody: a `sip:`, `sips:` or `tel:` URI.
    Invite(String),
    /// Remove a participant.
    Remove {
        /// As in [`ParticipantStatus::id`].
        participant: u64,
    },
    /// Let a participant only listen, or speak again.
    Mute {
        /// As in [`ParticipantStatus::id`].
        participant: u64,
        /// Only listen.
        is_muted: bool,
    },
    /// Let nobody in who was not called, or everybody again.
    Lock(bool),
    /// End the conference.
    Close,
}

/// Why what was asked for was not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    /// No conference of that name exists.
    #[error("no such conference")]
    NoConference,
    /// The conference has no such participant (any more).
    #[error("no such participant")]
    NoParticipant,
    /// A conference of that name exists already.
    #[error("the conference exists already")]
    Exists,
    /// Whom to call cannot be called, or the name does not fit into a URI.
    #[error("not a sip:, sips: or tel: URI, or a name that fits into none")]
    Uri,
    /// Too many conferences or participants, or the MRFC is stopping.
    #[error("no room for more now")]
    Busy,
}

/// A running MRFC. Dropping it stops it at once; [`Self::shutdown`] takes leave properly.
#[derive(Debug)]
pub struct Mrfc {
    sip_addrs: Vec<SipAddr>,
    h248_addrs: Vec<TransportAddr>,
    tls: Option<sip::Tls>,
    sip_counters: Arc<sip::Counters>,
    counters: Arc<status::Counters>,
    registered: watch::Receiver<usize>,
    commands: mpsc::Sender<Command>,
    focus: tokio::task::JoinHandle<()>,
}

/// What the focus serves; Allow says so.
const METHODS: [Method; 9] = [
    Method::Invite,
    Method::Ack,
    Method::Cancel,
    Method::Bye,
    Method::Prack,
    Method::Update,
    Method::Options,
    Method::Refer,
    Method::Subscribe,
];

/// Body types that it reads.
const ACCEPT: [&str; 2] = ["application/sdp", "multipart/mixed"];

/// Extensions that it knows.
const SUPPORTED: [&str; 4] = ["timer", "norefersub", "100rel", "recipient-list-invite"];

/// Opens the listeners and starts the MRFC on the current tokio runtime.
///
/// # Errors
///
/// When a listener is missing or cannot be opened; nothing is left running then.
pub async fn start(config: Config) -> Result<Mrfc, StartError> {
    let first = config.h248.first().ok_or(StartError::NoListener("H.248"))?;
    if config.sip.is_empty() {
        return Err(StartError::NoListener("SIP"));
    }
    let recorder = match &config.cdr {
        Some(path) => {
            let opened = cdr::Recorder::open(path);
            let path = path.clone();
            Some(opened.map_err(|source| StartError::Records { path, source })?)
        }
        None => None,
    };
    let mid = config.mid.clone().unwrap_or_else(|| mid_of(*first));
    let h248 = open_h248(&config, mid).await?;
    let sip = Stack::bind(StackConfig {
        listen: config.sip.clone(),
        allow: METHODS.to_vec(),
        accept: ACCEPT.map(str::to_owned).to_vec(),
        supported: SUPPORTED.map(str::to_owned).to_vec(),
        tls: config.tls.clone(),
        origins: config.origins.clone(),
        trusted: config.trusted.clone(),
        users: config.users.clone(),
        credentials: config.credentials.clone(),
        name_servers: config.name_servers.clone(),
        trace: false,
    })
    .await
    .map_err(|error| match error {
        BindError::Listen { addr, source } => {
            let addr = addr.to_string();
            StartError::Listen { addr, source }
        }
        BindError::Tls(error) => StartError::Tls(error),
    })?;
    let counters = Arc::<status::Counters>::default();
    let (registered_sender, registered) = watch::channel(0);
    let (commands, queue) = mpsc::channel(limits::COMMANDS_MAX);
    let (sip_addrs, h248_addrs) = (sip.addrs().to_vec(), h248.bound().to_vec());
    let (tls, sip_counters) = (sip.tls().cloned(), sip.counters().clone());
    let allow = METHODS.map(|m| m.to_string()).join(", ");
    let around = Around {
        sip,
        h248,
        counters: counters.clone(),
        registered: registered_sender,
        recorder,
        seed: rand::random(),
    };
    let focus = Focus::new(config, allow, around);
    let focus = tokio::spawn(focus.run(queue));
    Ok(Mrfc {
        sip_addrs,
        h248_addrs,
        tls,
        sip_counters,
        counters,
        registered,
        commands,
        focus,
    })
}

async fn open_h248(config: &Config, mid: MId) -> Result<Shell, StartError> {
    let mut endpoint = h248_endpoint::Config::new(mid, Role::Controller, rand::random());
    endpoint.timers.t_max = config.h248_timeout;
    // What the commands of this controller keep to. Gateways without a profile are taken as well.
    let association = AssociationConfig {
        profiles: vec![mp_profile()],
        ..AssociationConfig::default()
    };
    let listened = Shell::controller(endpoint, association, &config.h248).await;
    listened.map_err(|source| StartError::Listen {
        addr: "the H.248 addresses".to_owned(),
        source,
    })
}

/// The name of an MGC that was given none: its address.
fn mid_of(addr: TransportAddr) -> MId {
    let addr = addr.addr();
    MId::Ip {
        address: addr.ip(),
        port: Some(addr.port()),
    }
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

    /// The certificates of SIP, when a listener needs them.
    #[must_use]
    pub fn tls(&self) -> Option<&sip::Tls> {
        self.tls.as_ref()
    }

    /// Resolves once an MRFP is associated (at once if one is). Cancel-safe.
    pub async fn mrfp_registered(&mut self) {
        // An error means that the MRFC stopped: then nobody ever registers.
        if self.registered.wait_for(|count| *count > 0).await.is_err() {
            core::future::pending::<()>().await;
        }
    }

    /// Counters and gauges now.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let (all, sip) = (&self.counters, &self.sip_counters);
        for (to, from) in [
            (&all.sip_shed, &sip.shed),
            (&all.sip_shed_late, &sip.shed_late),
            (&all.sip_shed_unanswered, &sip.shed_unanswered),
            (&all.sip_shed_full, &sip.shed_full),
            (&all.sip_shed_again, &sip.shed_again),
            (&all.sip_waiting, &sip.waiting),
            (&all.sip_malformed, &sip.malformed),
            (&all.sip_challenged, &sip.challenged),
            (&all.sip_forbidden, &sip.forbidden),
            (&all.sip_connections_refused, &sip.connections_refused),
            (&all.sip_connections, &sip.connections),
            (&all.sip_dialogs, &sip.dialogs),
            (&all.sip_transactions, &sip.transactions),
        ] {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        all.snapshot()
    }

    /// The conferences that exist now; empty when the MRFC has stopped.
    pub async fn conferences(&self) -> Vec<ConferenceStatus> {
        let (reply, status) = oneshot::channel();
        // A closed channel on either way means the same: stopped.
        let _ = self.commands.send(Command::Status(reply)).await;
        status.await.unwrap_or_default()
    }

    /// Begins what a moderator or an operator asks for; what then becomes of it can be seen in
    /// [`Self::conferences`]. A conference made by [`Self::open`] is gone when it is closed.
    ///
    /// # Errors
    ///
    /// The conference, or the participant if one is named, is not there, or nobody can be called
    /// by that URI, or nobody more.
    pub async fn act(&self, conference: &str, action: Action) -> Result<(), ActionError> {
        let (reply, done) = oneshot::channel();
        self.order(Command::Act(conference.to_owned(), action, reply), done)
            .await
    }

    /// Makes a conference that stays when it is empty.
    ///
    /// # Errors
    ///
    /// It exists, or there are too many, or its name fits into no URI.
    pub async fn open(&self, conference: ConferenceConfig) -> Result<(), ActionError> {
        let (reply, done) = oneshot::channel();
        self.order(Command::Open(Box::new(conference), reply), done)
            .await
    }

    async fn order(
        &self,
        command: Command,
        done: oneshot::Receiver<Result<(), ActionError>>,
    ) -> Result<(), ActionError> {
        // A closed channel on either way means the same: stopped.
        let _ = self.commands.send(command).await;
        done.await.unwrap_or(Err(ActionError::Busy))
    }

    /// Refuses new joins, sends BYE to every participant, subtracts every termination and waits
    /// for the answers, for at most `drain`.
    pub async fn shutdown(self, drain: Duration) {
        let (reply, drained) = oneshot::channel();
        let _ = self.commands.send(Command::Drain(reply)).await;
        if tokio::time::timeout(drain, drained).await.is_err() {
            tracing::warn!("participants or watchers are left after the drain time");
        }
        let Self {
            commands, focus, ..
        } = self;
        drop(commands);
        // An error is a panic of the focus, which is over then, too.
        let _ = focus.await;
    }
}
