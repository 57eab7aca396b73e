//! `it/ito` on ROOT (H.248.14): a controller that was silent for `mit` is asked for a sign of life.
//!
//! Its answer restarts the time. Without an answer the Notify fails, and whoever owns the control
//! association takes it for lost.

use clock::{Duration, Instant, TimerKey};
use h248::ast::{
    ActionRequest, Command, CommandRequest, ContextId, ContextProperties, EventSpec, Events,
    ObservedEvent, ObservedEvents, TerminationId,
};
use h248_endpoint::time_stamp;

use super::core::{Alarm, Core};
use super::limits::SILENCE_DEFAULT;
use super::notify::{Notice, number};
use super::package::{self, INACTIVITY};

/// Stands for ROOT where others are terminations; none of them has this number.
pub(super) const ROOT: u32 = 0;

/// One unit of `mit`.
const MIT_UNIT: Duration = Duration::from_millis(10);

/// What is known of the controller's silence.
#[derive(Debug, Default)]
pub(super) struct Silence {
    timer: Option<TimerKey>,
    is_asked: bool,
}

fn armed(events: &Events) -> Option<&EventSpec> {
    let mut specs = events.events.iter();
    specs.find(|spec| package::covers(&spec.name, INACTIVITY))
}

/// How long the controller may be silent; `None` when nobody asked.
fn silence_max(events: &Events) -> Option<Duration> {
    let units = number(armed(events)?, "mit");
    let units = units.and_then(|units| u32::try_from(units).ok());
    Some(units.map_or(SILENCE_DEFAULT, |units| MIT_UNIT.saturating_mul(units)))
}

impl Core {
    /// The controller has given a sign of life.
    pub(super) fn heard(&mut self, now: Instant) {
        if let Some(timer) = self.silence.timer.take() {
            self.timers.cancel(timer);
        }
        if let Some(after) = silence_max(&self.root_events) {
            self.silence.timer = Some(self.timers.arm(now + after, Alarm::Silence));
        }
    }

    /// The controller was silent for too long.
    pub(super) fn ask_for_life(&mut self, now: Instant) {
        self.silence.timer = None;
        let Some(request_id) = self.root_events.request_id else {
            return;
        };
        if core::mem::replace(&mut self.silence.is_asked, true) {
            return;
        }
        let event = ObservedEvent {
            time: time_stamp(now, self.config.epoch),
            name: package::item(INACTIVITY),
            stream: None,
            parms: Vec::new(),
        };
        let command = Command::Notify {
            terminations: TerminationId::Root.into(),
            observed: ObservedEvents {
                request_id,
                events: vec![event],
            },
            error: None,
        };
        let action = ActionRequest {
            context: ContextId::Null,
            properties: ContextProperties::default(),
            audit: None,
            commands: vec![CommandRequest {
                optional: false,
                wildcard_response: false,
                command,
            }],
        };
        self.notices.push_back(Notice {
            termination: ROOT,
            action,
        });
    }

    /// The question was answered, or nobody did.
    pub(super) fn asked_for_life(&mut self) {
        self.silence.is_asked = false;
    }
}
