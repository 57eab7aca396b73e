//! What the gateway lost on its own account, which the controller is told context by context
//! (ServiceChange Forced, H.248.1 section 7.2.8).
//!
//! A shard that is no more: what was on it is out of service (904) until the controller subtracts
//! it, also when another one is in its place. A controller that did not come back for `context_keep`: what it had is released, and the next
//! one is told (915) when it is there.

use std::collections::{BTreeSet, VecDeque};

use clock::{Instant, TimerKey};
use h248::ast::{
    ActionRequest, Command, ContextId, ServiceChange, ServiceChangeMethod, ServiceState,
    TerminationId,
};
use switch::{ContextKey, Order, ShardIndex};

use super::core::{Alarm, Core, Service};
use super::draft::Draft;
use super::fault::Fault;

/// Stands for a whole context where others are terminations; none of them has this number.
pub(super) const CONTEXT: u32 = u32::MAX;

/// What was lost, and what is left to be told of it.
#[derive(Debug, Default)]
pub(super) struct Lost {
    shards: BTreeSet<ShardIndex>,
    /// Contexts whose loss is still to be told: one after the other.
    contexts: VecDeque<(u32, Cause)>,
    is_telling: bool,
    /// There is no controller to tell.
    is_alone: bool,
    /// Runs out when contexts have been kept for long enough.
    timer: Option<TimerKey>,
}

/// Why a context was lost.
#[derive(Clone, Copy, Debug)]
enum Cause {
    /// Its terminations are there, out of service.
    Shard,
    /// It is gone.
    Released,
}

/// Where contexts and terminations are whose shard is no more.
const NOWHERE: ShardIndex = ShardIndex(u8::MAX);

const _: () = assert!(switch::limits::SHARDS_MAX < NOWHERE.0);

impl Core {
    pub(super) fn is_lost(&self, shard: ShardIndex) -> bool {
        shard == NOWHERE || self.lost.shards.contains(&shard)
    }

    /// Counts sessions that come to a shard or go; those of one that is no more are not counted.
    pub(super) fn change_load(&mut self, shard: ShardIndex, sessions: i32) {
        if let Some(load) = self.loads.get_mut(usize::from(shard.0)) {
            *load = load.saturating_add_signed(sessions);
        }
    }

    /// Nothing can be changed on a termination whose shard is no more.
    pub(super) fn check_alive(&self, shard: ShardIndex) -> Result<(), Fault> {
        if self.is_lost(shard) {
            Err(Fault::OutOfService)
        } else {
            Ok(())
        }
    }

    /// Takes all terminations of a shard that is no more out of service, and puts nothing there
    /// until there is another one.
    pub(super) fn lose_shard(&mut self, shard: ShardIndex, draft: &mut Draft) {
        if !self.lost.shards.insert(shard) {
            return;
        }
        self.orders.retain(|(to, _)| *to != shard);
        let mut contexts = BTreeSet::new();
        let mut terminations = Vec::new();
        for termination in self.terminations.values_mut() {
            if termination.shard == shard {
                termination.shard = NOWHERE;
                termination.settings.service_state = ServiceState::OutOfService;
                termination.settings.quotas.clear();
                termination.settings.qualities.clear();
                contexts.insert(termination.context);
                terminations.push(termination.number);
            }
        }
        for number in terminations {
            self.forget_look(number);
        }
        let mut rehomed = Vec::new();
        for (&number, place) in &mut self.contexts {
            place.span.remove(shard);
            if place.shard != shard {
                continue;
            }
            place.shard = place.span.first().unwrap_or(NOWHERE);
            let groups = place.groups.values().copied();
            let keys = core::iter::once(ContextKey(number)).chain(groups);
            let (span, home) = (place.span, place.shard);
            rehomed.extend(keys.map(|key| (key, span, home)));
        }
        self.lives[usize::from(shard.0)] += 1;
        let life = self.lives[usize::from(shard.0)];
        for other in (0..self.config.shards).map(ShardIndex) {
            self.order(other, Order::ShardLost { shard, life }, draft);
        }
        for (context, span, home) in rehomed {
            for other in span.iter() {
                self.order(other, Order::Rehome { context, home }, draft);
            }
        }
        self.loads[usize::from(shard.0)] = 0;
        let contexts = contexts.into_iter().map(|number| (number, Cause::Shard));
        self.lost.contexts.extend(contexts);
    }

    /// There is another shard in the place of one that was lost, and nothing is on it.
    pub(super) fn regain_shard(&mut self, shard: ShardIndex, draft: &mut Draft) {
        self.lost.shards.remove(&shard);
        if self.service == Service::Draining {
            self.order(shard, Order::Drain, draft);
        }
    }

    /// The next loss to tell the controller; one at a time.
    pub(super) fn next_loss(&mut self) -> Option<ActionRequest> {
        if self.lost.is_telling || self.lost.is_alone {
            return None;
        }
        let (number, cause) = loop {
            let (number, cause) = self.lost.contexts.pop_front()?;
            // Subtracted in the meantime: nothing new.
            if matches!(cause, Cause::Released) || self.contexts.contains_key(&number) {
                break (number, cause);
            }
        };
        self.lost.is_telling = true;
        let command = Command::ServiceChange {
            terminations: TerminationId::All.into(),
            services: Box::new(forced(cause)),
        };
        Some(ActionRequest::new(ContextId::Id(number), [command]))
    }

    /// There is no controller (any more).
    pub(super) fn lose_control(&mut self, now: Instant) {
        self.lost.is_alone = true;
        if let (None, Some(keep)) = (self.lost.timer, self.config.context_keep) {
            self.lost.timer = Some(self.timers.arm(now + keep, Alarm::Alone));
        }
    }

    /// There is a controller (again).
    pub(super) fn regain_control(&mut self, now: Instant) {
        self.lost.is_alone = false;
        if let Some(timer) = self.lost.timer.take() {
            self.timers.cancel(timer);
        }
        self.heard(now);
    }

    /// Contexts have been kept for long enough.
    pub(super) fn release_kept(&mut self, draft: &mut Draft) {
        self.lost.timer = None;
        // What is released need not be told to be out of service.
        let contexts = &mut self.lost.contexts;
        contexts.retain(|(_, cause)| matches!(cause, Cause::Released));
        contexts.extend(
            self.contexts
                .keys()
                .map(|number| (*number, Cause::Released)),
        );
        self.remove_all(draft);
    }

    /// The controller knows of the last loss told. If nobody answered, there is nobody to tell:
    /// the next controller audits what there is.
    pub(super) fn told_loss(&mut self, is_answered: bool) {
        self.lost.is_telling = false;
        if !is_answered {
            self.lost.contexts.clear();
        }
    }
}

fn forced(cause: Cause) -> ServiceChange {
    let reason = match cause {
        Cause::Shard => "904 Termination malfunctioning",
        Cause::Released => "915 State Loss",
    };
    h248_endpoint::plain_service_change(ServiceChangeMethod::Forced, reason)
}
