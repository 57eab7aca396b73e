//! The gateway's side of the control association: who is our controller (H.248.1 section 11).

use clock::Duration;
use h248::ast::Profile;

use crate::TransportAddr;

/// How a gateway registers.
#[derive(Clone, Debug)]
pub struct RegistrationConfig {
    /// Controllers in order of preference; at least one.
    pub mgcs: Vec<TransportAddr>,
    /// Reason of the first registration. Default `901 Cold Boot`.
    pub reason: String,
    /// Profile offered; `None` leaves it out. Default `MRF/7` (TS 29.333).
    pub profile: Option<Profile>,
    /// Maximum waiting delay: the first registration waits a random time up to it, so that
    /// gateways started together do not register together. Default 0.
    pub mwd: Duration,
    /// Pause after the whole list failed, and cap of its doubling. Default 1 s, 30 s.
    pub retry: (Duration, Duration),
    /// How long one controller may take to answer before the next is tried. Default 5 s; T-MAX
    /// bounds it.
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
            reason: "901 Cold Boot".to_owned(),
            profile: Some(Profile {
                name: h248::ast::Name::new("MRF"),
                version: 7,
            }),
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
