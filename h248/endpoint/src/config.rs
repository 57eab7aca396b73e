//! What an endpoint is told at start.

use clock::Duration;
use h248::ast::{MId, Name, Profile};
use h248::{Encoding, Limits};

use crate::TransportAddr;
use crate::limits::PROVISIONAL_MIN;

/// Which end of the association this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Media gateway (MRFP): registers, then executes commands.
    Gateway,
    /// Media gateway controller (MRFC): is registered with, then sends commands.
    Controller,
}

/// Identity and behaviour of an [`crate::Endpoint`].
#[derive(Clone, Debug)]
pub struct Config {
    /// Our name in every message.
    pub mid: MId,
    /// Which end this is.
    pub role: Role,
    /// Token form of what we send; both are always understood.
    pub encoding: Encoding,
    /// Highest protocol version spoken, 1 to 3.
    pub version_max: u8,
    /// Bounds for the parser.
    pub limits: Limits,
    /// Timers.
    pub timers: Timers,
    /// Times one of our requests may be answered with Pending before we give up, and times we
    /// send Pending for one request before answering 506 (root-2 `...OriginatedPendingLimit`).
    pub pendings_max: u32,
    /// Octets of the longest message we send, where the other side or the network takes less than the
    /// transport carries (the segmentation package's maximum PDU sizes); `None`: what it carries.
    /// Longer replies go in segments (version 3) or become error 533.
    pub pdu_bytes_max: Option<usize>,
    /// Whether messages with an authentication header (H.248.1 section 10.2) are refused with 402.
    /// It is read and never verified: TS 29.333 5.13 leaves security to the network below. Default
    /// false: the header is ignored.
    pub refuses_authentication: bool,
    /// UNIX time of `clock::Instant::ZERO`, for time stamps; `None` leaves them out. The shell
    /// fills it in.
    pub epoch: Option<Duration>,
    /// Seed of transaction ids and back-off; take a fresh random one for every start, so that ids
    /// of an earlier life are not met again within LONG-TIMER.
    pub seed: u64,
}

impl Config {
    /// Version 2, short tokens, default timers.
    #[must_use]
    pub fn new(mid: MId, role: Role, seed: u64) -> Self {
        Self {
            mid,
            role,
            encoding: Encoding::Compact,
            version_max: 2,
            limits: Limits::default(),
            timers: Timers::default(),
            pendings_max: 100,
            refuses_authentication: false,
            pdu_bytes_max: None,
            epoch: None,
            seed,
        }
    }
}

/// Timers of the transaction machines (H.248.1 section 8, Annex D.1).
///
/// At-most-once execution needs `long` to exceed `t_max` by the time a message may wander in
/// the network, in both directions.
#[derive(Clone, Copy, Debug)]
pub struct Timers {
    /// LONG-TIMER: how long replies and transaction ids are remembered. Default 30 s.
    pub long: Duration,
    /// T-MAX: how long a request waits for its reply, or for the next Pending. Default 25 s.
    pub t_max: Duration,
    /// Acknowledgement delay assumed before there is a measurement. Default 200 ms.
    pub ack_delay_initial: Duration,
    /// Shortest repetition timer. Default 100 ms.
    pub repeat_min: Duration,
    /// Longest repetition timer (Annex D.1.3 says 4 s), and the one used after a Pending.
    pub repeat_max: Duration,
    /// A request not answered by the owner within this time gets a Pending, again and again
    /// (root `...ProvisionalResponseTimerValue`). Default 2 s.
    pub provisional: Duration,
    /// How long an acknowledgement that nobody asked for waits for company. Default 100 ms.
    pub acknowledge_after: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            long: Duration::from_secs(30),
            t_max: Duration::from_secs(25),
            ack_delay_initial: Duration::from_millis(200),
            repeat_min: Duration::from_millis(100),
            repeat_max: Duration::from_secs(4),
            provisional: Duration::from_secs(2),
            acknowledge_after: Duration::from_millis(100),
        }
    }
}

/// What the other side knows better than our configuration: the properties of package root that a
/// controller sets on a gateway's ROOT (H.248.1 Annex E.2). `None`: as configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tuning {
    /// How long the other side normally takes (`normalMGCExecutionTime` at a gateway): no request
    /// is repeated before; up to [`Timers::repeat_max`].
    pub execution: Option<Duration>,
    /// In place of [`Timers::provisional`] (`MGProvisionalResponseTimerValue` at a gateway); from
    /// [`crate::limits::PROVISIONAL_MIN`] to [`Timers::t_max`].
    pub provisional: Option<Duration>,
    /// In place of [`Config::pendings_max`] for the Pendings we send
    /// (`MGOriginatedPendingLimit` at a gateway).
    pub own_pendings_max: Option<u32>,
    /// In place of [`Config::pendings_max`] for the Pendings we get (`MGCOriginatedPendingLimit` at
    /// a gateway).
    pub peer_pendings_max: Option<u32>,
}

impl Tuning {
    pub(crate) fn apply(self, configured: &Timers) -> Timers {
        let mut timers = *configured;
        if let Some(execution) = self.execution {
            timers.repeat_min = execution.max(timers.repeat_min).min(timers.repeat_max);
        }
        if let Some(provisional) = self.provisional {
            timers.provisional = provisional.min(timers.t_max).max(PROVISIONAL_MIN);
        }
        timers
    }
}

/// How a gateway that lost its controller says that it is there (H.248.1 section 11.5): controllers
/// differ in what they expect. Contexts are kept in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AfterLoss {
    /// Disconnected, `900 Service Restored` (TS 29.333 5.8).
    #[default]
    Disconnected,
    /// Failover, `909 MGC Impending Failure`, to another controller than the one that was lost; to that
    /// one Disconnected.
    Failover,
    /// Restart, `902 Warm Boot`.
    Restart,
}

/// `MRF/7`, the profile of the Mp interface (TS 29.333 5.1).
#[must_use]
pub fn mp_profile() -> Profile {
    Profile {
        name: Name::new("MRF"),
        version: 7,
    }
}

/// How a gateway registers.
#[derive(Clone, Debug)]
pub struct RegistrationConfig {
    /// Controllers in order of preference; with none, the gateway waits to be spoken to.
    pub mgcs: Vec<TransportAddr>,
    /// Addresses of controllers that a redirection may name otherwise than by IP address.
    pub mgc_names: Vec<(MId, TransportAddr)>,
    /// Reason of the first registration. Default `901 Cold Boot`.
    pub reason: String,
    /// What a registration after a loss says.
    pub after_loss: AfterLoss,
    /// Profile offered; `None` leaves it out. Default `MRF/7` (TS 29.333). A controller may settle on a
    /// lower version or on none; one that refuses it (461) is asked again without it.
    pub profile: Option<Profile>,
    /// Maximum waiting delay: a registration waits a random time up to it, so that gateways
    /// started together do not register together (section 9.2). Default 0.
    pub mwd: Duration,
    /// Pause after the whole list failed, and cap of its doubling. Default 1 s, 30 s.
    pub retry: (Duration, Duration),
    /// How long one controller may take to be connected to, and again to answer, before the
    /// next is tried. Default 5 s; T-MAX bounds it.
    pub patience: Duration,
    /// Execute requests before, or without, a registration, and from any controller.
    /// Default false: 505 and 504.
    pub accept_unregistered: bool,
}

impl RegistrationConfig {
    /// The defaults above, for these controllers.
    #[must_use]
    pub fn new(mgcs: Vec<TransportAddr>) -> Self {
        Self {
            mgcs,
            mgc_names: Vec::new(),
            reason: "901 Cold Boot".to_owned(),
            after_loss: AfterLoss::default(),
            profile: Some(mp_profile()),
            mwd: Duration::ZERO,
            retry: (Duration::from_secs(1), Duration::from_secs(30)),
            patience: Duration::from_secs(5),
            accept_unregistered: false,
        }
    }
}

/// How a gateway takes leave of its controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// Graceful, `908 MG Impending Failure`: no new work; what runs may run on this many seconds
    /// (0: to its natural end). The association stays.
    Graceful {
        /// Seconds.
        delay_s: u32,
    },
    /// Forced, `905 Termination taken out of service`, on ROOT: the association ends.
    Forced,
}

/// How a controller accepts gateways.
#[derive(Clone, Debug)]
pub struct AssociationConfig {
    /// Profiles accepted, each with the highest version; empty accepts any. A gateway that proposes a
    /// higher version is answered with ours, another profile is refused with 461.
    pub profiles: Vec<Profile>,
    /// Send every registering gateway to this controller instead (`MgcIdToTry`).
    pub redirect: Option<MId>,
    /// Audit ROOT of a gateway that was silent for this long; `None` never. Default 30 s.
    pub keep_alive: Option<Duration>,
    /// Consecutive keep-alive audits without an answer after which a gateway is lost. Default 3.
    pub keep_alive_misses_max: u32,
    /// Hand over requests of gateways that never registered. Default false: 504.
    pub accept_unregistered: bool,
}

impl Default for AssociationConfig {
    fn default() -> Self {
        Self {
            profiles: Vec::new(),
            redirect: None,
            keep_alive: Some(Duration::from_secs(30)),
            keep_alive_misses_max: 3,
            accept_unregistered: false,
        }
    }
}
