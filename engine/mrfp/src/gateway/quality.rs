//! `nt/qualert` (H.248.1 E.11): how far a participant lags behind, as the share of its queue that is
//! full.
//!
//! E.11 leaves the method to the gateway. TCP neither loses nor reorders, so that what a participant
//! feels of a bad connection, and of its own slowness, is what waits for it: at 100 percent its session
//! is given up. The counters are looked at as for quotas (once a second). The event is told when the
//! share rises above `th`, and again after it was at or below it.

use h248::ast::{EventSpec, Events, Parm};
use switch::SessionKey;

use super::fault::Fault;
use super::limits::QUOTAS_MAX;
use super::notify::{number, parm};
use super::package::{QUALITY, item, plain};

/// One threshold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Quality {
    /// `None`: any stream of the termination.
    pub stream: Option<u16>,
    /// Percent.
    threshold: u64,
    is_above: bool,
}

/// The thresholds in an Events descriptor. A wildcard names none.
pub(super) fn thresholds(events: &Events) -> Result<Vec<Quality>, Fault> {
    let named = events.events.iter().filter(|s| s.name == item(QUALITY));
    let read = |spec: &EventSpec| {
        let threshold = number(spec, "th").ok_or(Fault::ParameterMissing("th of nt/qualert"))?;
        Ok(Quality {
            stream: spec.stream.filter(|s| *s != 0),
            threshold,
            is_above: false,
        })
    };
    let all: Vec<Quality> = named.map(read).collect::<Result<_, _>>()?;
    if all.len() > QUOTAS_MAX {
        return Err(Fault::InsufficientResources(format!(
            "{QUOTAS_MAX} thresholds"
        )));
    }
    Ok(all)
}

impl Quality {
    /// Takes the share that is full now, in percent; whether it has risen above the threshold.
    pub(super) fn look(&mut self, percent: u8) -> bool {
        let was_above = self.is_above;
        self.is_above = u64::from(percent) > self.threshold;
        self.is_above && !was_above
    }

    /// Whose event it is, and its parameters.
    pub(super) fn report(&self, termination: u32, percent: u8) -> (SessionKey, Parm) {
        let session = SessionKey {
            termination,
            stream: self.stream.unwrap_or(0),
        };
        // 99 is as much as `th` can say.
        (session, parm("th", plain(percent.min(99).to_string())))
    }
}
