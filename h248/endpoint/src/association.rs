//! The controller's side of the control association: which gateways are ours.

use clock::Duration;
use h248::ast::{MId, Name};

/// How a controller accepts gateways.
#[derive(Clone, Debug)]
pub struct AssociationConfig {
    /// Profiles accepted by name; empty accepts any. Others are refused with 461.
    pub profiles: Vec<Name>,
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
