//! `it/ito` on ROOT (H.248.14): a controller that was silent for `mit` is asked for a sign of life.
//!
//! Its answer restarts the time. Without an answer the Notify fails, and whoever owns the control
//! association takes it for lost.

use clock::{Duration, Instant, TimerKey};
use h248::ast::{EventSpec, Events};

use super::core::{Alarm, Core};
use super::limits::SILENCE_DEFAULT;
use super::notify::number;
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
        if self.silence.is_asked {
            return;
        }
        if let Some(notice) = self.root_notice(now, ROOT, INACTIVITY) {
            self.silence.is_asked = true;
            self.notices.push_back(notice);
        }
    }

    /// The question was answered, or nobody did.
    pub(super) fn asked_for_life(&mut self) {
        self.silence.is_asked = false;
    }
}
