//! The running parts of a server, shared between its signals and its HTTP side.

use core::time::Duration;

use mrfc::{Action, ActionError, ConferenceConfig, ConferenceStatus, Mrfc};
use mrfp::Mrfp;
use tokio::sync::RwLock;

/// A server: an MRFP, an MRFC, or both.
#[derive(Debug)]
pub struct Live {
    parts: RwLock<Parts>,
    /// Whether the MRFP has a controller to register with.
    has_controller: bool,
    has_mrfc: bool,
    has_mrfp: bool,
    /// Facts that do not change: the `ready` line without its first word.
    facts: String,
}

#[derive(Debug, Default)]
struct Parts {
    mrfc: Option<Mrfc>,
    mrfp: Option<Mrfp>,
    /// The last counters of parts that took leave.
    last: Counters,
    is_draining: bool,
}

/// The counters of all parts at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Of the MRFC, if there is one.
    pub mrfc: Option<mrfc::Metrics>,
    /// Of the MRFP, if there is one.
    pub mrfp: Option<mrfp::Metrics>,
}

impl Live {
    /// Takes over the parts; `facts` is shown on the status page.
    #[must_use]
    pub fn new(
        mrfc: Option<Mrfc>,
        mrfp: Option<Mrfp>,
        has_controller: bool,
        facts: String,
    ) -> Self {
        Self {
            has_mrfc: mrfc.is_some(),
            has_mrfp: mrfp.is_some(),
            parts: RwLock::new(Parts {
                mrfc,
                mrfp,
                ..Parts::default()
            }),
            has_controller,
            facts,
        }
    }

    /// Listeners, reactor and shards, as in the `ready` line.
    #[must_use]
    pub fn facts(&self) -> &str {
        &self.facts
    }

    /// The counters now.
    pub async fn counters(&self) -> Counters {
        let parts = self.parts.read().await;
        Counters {
            mrfc: parts
                .mrfc
                .as_ref()
                .map(Mrfc::metrics)
                .or_else(|| parts.last.mrfc.clone()),
            mrfp: parts
                .mrfp
                .as_ref()
                .map(Mrfp::metrics)
                .or_else(|| parts.last.mrfp.clone()),
        }
    }

    /// The conferences that exist now; `None` without an MRFC.
    pub async fn conferences(&self) -> Option<Vec<ConferenceStatus>> {
        match &self.parts.read().await.mrfc {
            Some(mrfc) => Some(mrfc.conferences().await),
            None => self.has_mrfc.then(Vec::new),
        }
    }

    /// Begins what an operator asks for; `None` without an MRFC.
    pub async fn act(&self, conference: &str, action: Action) -> Option<Result<(), ActionError>> {
        match &self.parts.read().await.mrfc {
            Some(mrfc) => Some(mrfc.act(conference, action).await),
            None => self.has_mrfc.then_some(Err(ActionError::Busy)),
        }
    }

    /// Makes a conference; `None` without an MRFC.
    pub async fn open(&self, conference: ConferenceConfig) -> Option<Result<(), ActionError>> {
        match &self.parts.read().await.mrfc {
            Some(mrfc) => Some(mrfc.open(conference).await),
            None => self.has_mrfc.then_some(Err(ActionError::Busy)),
        }
    }

    /// Why new participants cannot be served now, if so.
    pub async fn obstacle(&self) -> Option<&'static str> {
        if self.parts.read().await.is_draining {
            return Some("draining");
        }
        let counters = self.counters().await;
        let is_registered = counters.mrfp.as_ref().is_some_and(|m| m.is_registered);
        if self.has_mrfp && self.has_controller && !is_registered {
            return Some("not registered with a controller");
        }
        let has_gateway = counters.mrfc.is_some_and(|m| m.mrfps > 0);
        (self.has_mrfc && !has_gateway).then_some("no MRFP is registered")
    }

    /// Takes leave. With both parts, the MRFC takes leave of its participants and subtracts them,
    /// and then the MRFP just stops: nobody is left for it to say goodbye to.
    pub async fn shutdown(&self, drain: Duration) {
        let (mrfc, mrfp) = {
            let last = self.counters().await;
            let mut parts = self.parts.write().await;
            parts.is_draining = true;
            parts.last = last;
            (parts.mrfc.take(), parts.mrfp.take())
        };
        match (mrfc, mrfp) {
            (Some(mrfc), mrfp) => {
                mrfc.shutdown(drain).await;
                drop(mrfp);
            }
            (None, Some(mrfp)) => mrfp.shutdown(drain).await,
            (None, None) => {}
        }
    }
}
