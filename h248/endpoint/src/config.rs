//! What an endpoint is told at start.

use crate::{Encoding, Limits};
use clock::Duration;
use h248::ast::MId;

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
