//! What is refused when there is too much to do, and in which order (TS 29.333 5.17.3, H.248.11).
//!
//! The measure is how many replies wait for shards, of those that may.
//!
//! ```text
//! under a half        everything runs
//! a half              Add and Move are refused with 511, except in contexts that have precedence
//! three quarters      Add and Move everywhere, and Modify except in contexts that have precedence
//! all                 everything but Subtract, ServiceChange and the audit of ROOT (keep-alive)
//! twice as many       whole transactions
//! ```
//!
//! What ends work is thus taken longest. A controller that has armed `ocp/mg_overload` on ROOT is
//! told when something was refused, at most once a second.

use clock::{Duration, Instant};
use h248::ast::{Command, ContextProperties, TerminationId};

use super::core::{Core, Scope};
use super::fault::Fault;
use super::mirror::Attributes;
use super::package::OVERLOAD;

/// Stands for ROOT where others are terminations, for this event.
pub(super) const ROOT: u32 = u32::MAX - 1;

/// How long between two `ocp/mg_overload`.
const TELL_INTERVAL: Duration = Duration::from_secs(1);

/// Contexts of this priority and above have precedence (TS 29.333 table 5.5.1: 11 to 15 are the
/// multimedia priority service's).
const PRECEDENCE_MIN: u8 = 11;

/// How much there is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Load {
    #[default]
    Normal,
    High,
    Critical,
    Full,
    /// Not even a look at what is asked.
    Beyond,
}

impl Load {
    /// Of so many replies that wait, when so many may.
    pub(super) fn of(waiting: usize, max: usize) -> Self {
        match waiting {
            n if n >= max.saturating_mul(2) => Self::Beyond,
            n if n >= max => Self::Full,
            n if n >= max - max / 4 => Self::Critical,
            n if n >= max - max / 2 => Self::High,
            _ => Self::Normal,
        }
    }

    fn admits(self, command: &Command, has_precedence: bool) -> bool {
        match command {
            Command::Add(_) | Command::Move(_) => {
                self == Self::Normal || self == Self::High && has_precedence
            }
            Command::Modify(_) => self <= Self::High || self == Self::Critical && has_precedence,
            Command::AuditValue(asked) | Command::AuditCapability(asked) => {
                self <= Self::Critical || asked.terminations.single() == Some(&TerminationId::Root)
            }
            Command::Subtract { .. } | Command::ServiceChange { .. } | Command::Notify { .. } => {
                true
            }
        }
    }
}

/// What is known of overload.
#[derive(Debug, Default)]
pub(super) struct Overload {
    pub load: Load,
    told_at: Option<Instant>,
    is_telling: bool,
}

impl Core {
    /// Whether what an action says, or its context, has precedence.
    pub(super) fn has_precedence(&self, scope: Scope, properties: &ContextProperties) -> bool {
        let mut attributes = match scope {
            Scope::Context(number) => self.contexts.get(&number).map(|c| c.attributes),
            Scope::Null | Scope::Every | Scope::New => None,
        }
        .unwrap_or_default();
        attributes.set(properties);
        let Attributes {
            priority,
            is_emergency,
            is_ieps,
        } = attributes;
        priority >= PRECEDENCE_MIN || is_emergency || is_ieps
    }

    /// Refuses what is too much.
    pub(super) fn check_load(
        &mut self,
        now: Instant,
        command: &Command,
        has_precedence: bool,
    ) -> Result<(), Fault> {
        if self.overload.load.admits(command, has_precedence) {
            return Ok(());
        }
        self.tell_overload(now);
        Err(Fault::Busy)
    }

    fn tell_overload(&mut self, now: Instant) {
        let is_early = self
            .overload
            .told_at
            .is_some_and(|at| now < at + TELL_INTERVAL);
        if self.overload.is_telling || is_early {
            return;
        }
        let Some(notice) = self.root_notice(now, ROOT, OVERLOAD) else {
            return;
        };
        self.overload.told_at = Some(now);
        self.overload.is_telling = true;
        self.notices.push_back(notice);
    }

    /// The controller knows, or is not there.
    pub(super) fn told_overload(&mut self) {
        self.overload.is_telling = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_load_rises_with_the_replies_that_wait() {
        for (waiting, load) in [
            (0, Load::Normal),
            (49, Load::Normal),
            (50, Load::High),
            (75, Load::Critical),
            (100, Load::Full),
            (199, Load::Full),
            (200, Load::Beyond),
        ] {
            assert_eq!(Load::of(waiting, 100), load, "{waiting}");
        }
        assert_eq!(Load::of(0, 0), Load::Beyond);
    }
}
