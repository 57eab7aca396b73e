//! ServiceChange from the controller (H.248.1 section 7.2.8, TS 29.333 5.8).
//!
//! ```text
//! Restart   in service, after the delay      Forced  out of service at once; ROOT: all is subtracted
//! Graceful  out of service after the delay; without one, with the end of what is there
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap};

use clock::{Duration, Instant, TimerKey};

use h248::ast::{
    CommandResult, ServiceChange, ServiceChangeMethod, ServiceChangeResult, ServiceState,
    TerminationId,
};

use super::core::{Alarm, Core, Scope, Service};
use super::draft::{Draft, Slot};
use super::fault::Fault;
use super::mirror;
use super::package;

/// Changes of service that wait for the end of their delay.
#[derive(Debug, Default)]
pub(super) struct Delayed {
    root: Option<(TimerKey, Service)>,
    /// By the termination; another one takes the place of the last.
    terminations: HashMap<u32, (TimerKey, ServiceState)>,
}

/// How long a change waits, and for what; `None`: not at all.
fn delay_of(services: &ServiceChange) -> Option<Duration> {
    let delay = services.delay.filter(|seconds| *seconds > 0);
    delay.map(|seconds| Duration::from_secs(u64::from(seconds)))
}

fn result(id: TerminationId, result: ServiceChangeResult) -> CommandResult {
    CommandResult::ServiceChange {
        terminations: id.into(),
        result,
    }
}

impl Core {
    /// ServiceChange on one identifier.
    pub(super) fn service_change(
        &mut self,
        scope: Scope,
        id: &TerminationId,
        services: &ServiceChange,
        is_merged: bool,
        draft: &mut Draft,
    ) -> bool {
        let mut extensions = services.extensions.iter();
        let known = extensions.try_for_each(|x| package::check_extension((&x.name).into()));
        let done = if let Err(name) = known {
            Err(Fault::ParameterUnsupported(name))
        } else if *id == TerminationId::Root {
            self.change_gateway(scope, services, draft).map(|()| {
                draft.push(
                    scope.id(),
                    result(id.clone(), ServiceChangeResult::Empty),
                    None,
                )
            })
        } else {
            return self.change_terminations((scope, id), services, is_merged, draft);
        };
        if let Err(fault) = &done {
            let error = ServiceChangeResult::Error(fault.descriptor());
            draft.push(scope.id(), result(id.clone(), error), None);
        }
        done.is_ok()
    }

    fn change_gateway(
        &mut self,
        scope: Scope,
        services: &ServiceChange,
        draft: &mut Draft,
    ) -> Result<(), Fault> {
        if scope != Scope::Null {
            return Err(Fault::IncorrectIdentifier(
                "ROOT outside the null context".to_owned(),
            ));
        }
        let (now, later) = match (&services.method, delay_of(services)) {
            // The controller will audit what it wants to keep (H.248.1 section 11.5).
            (ServiceChangeMethod::Restart, None) => (Some(Service::In), None),
            (ServiceChangeMethod::Restart, Some(delay)) => (None, Some((delay, Service::In))),
            (ServiceChangeMethod::Graceful, None) => (Some(Service::Draining), None),
            (ServiceChangeMethod::Graceful, Some(delay)) => {
                (Some(Service::Draining), Some((delay, Service::Out)))
            }
            (ServiceChangeMethod::Forced, _) => {
                self.remove_all(draft);
                (Some(Service::Out), None)
            }
            // HandOff is the business of whoever owns the association, who has seen it first.
            (
                ServiceChangeMethod::HandOff
                | ServiceChangeMethod::Failover
                | ServiceChangeMethod::Disconnected
                | ServiceChangeMethod::Extension(_),
                _,
            ) => return Err(Fault::NotImplemented("this ServiceChange method")),
        };
        self.service = now.unwrap_or(self.service);
        if let Some((timer, _)) = self.delayed.root.take() {
            self.timers.cancel(timer);
        }
        self.delayed.root = later.map(|(delay, service)| {
            let timer = self.timers.arm(draft.now + delay, Alarm::Service(None));
            (timer, service)
        });
        Ok(())
    }

    /// The delay of a change is over: of ROOT, or of a termination.
    pub(super) fn end_delay(&mut self, of: Option<u32>, draft: &mut Draft) {
        if let Some(number) = of {
            if let Some((_, state)) = self.delayed.terminations.remove(&number) {
                self.put_service_state(number, state, draft);
            }
            return;
        }
        let Some((_, service)) = self.delayed.root.take() else {
            return;
        };
        self.service = service;
        if service == Service::Out {
            let numbers: Vec<u32> = self.terminations.keys().copied().collect();
            for number in numbers {
                self.put_service_state(number, ServiceState::OutOfService, draft);
            }
        }
    }

    /// Forgets the change that a termination waits for.
    pub(super) fn cancel_delay(&mut self, number: u32) {
        if let Some((timer, _)) = self.delayed.terminations.remove(&number) {
            self.timers.cancel(timer);
        }
    }

    fn put_service_state(&mut self, number: u32, state: ServiceState, draft: &mut Draft) {
        let Some(termination) = self.terminations.get(&number) else {
            return;
        };
        if self.check_alive(termination.shard).is_err() {
            return;
        }
        let mut settings = termination.settings.clone();
        settings.service_state = state;
        self.put_settings(number, settings, &BTreeSet::new(), draft);
    }

    /// Ends every termination.
    pub(super) fn remove_all(&mut self, draft: &mut Draft) {
        let slot = draft.slot(Slot::new(Vec::new()));
        let numbers: Vec<u32> = self.terminations.keys().copied().collect();
        numbers
            .into_iter()
            .for_each(|number| self.remove(number, slot, &BTreeMap::new(), draft));
    }

    /// Each match of a wildcard is tried and reported, those that failed by themselves with `W-` as well.
    fn change_terminations(
        &mut self,
        (scope, id): (Scope, &TerminationId),
        services: &ServiceChange,
        is_merged: bool,
        draft: &mut Draft,
    ) -> bool {
        let found = new_state(services).and_then(|state| Ok((state, self.resolve(scope, id)?)));
        let delay = delay_of(services).filter(|_| services.method != ServiceChangeMethod::Forced);
        let (state, targets) = match found {
            Ok(found) => found,
            Err(fault) => {
                let error = ServiceChangeResult::Error(fault.descriptor());
                draft.push(scope.id(), result(id.clone(), error), None);
                return false;
            }
        };
        let mut is_good = true;
        for number in targets {
            let told = match self.change_termination(number, (state, delay), draft) {
                Ok(()) if is_merged => continue,
                Ok(()) => ServiceChangeResult::Empty,
                Err(fault) => {
                    is_good = false;
                    ServiceChangeResult::Error(fault.descriptor())
                }
            };
            let context = self.context_id(scope, number);
            draft.push(context, result(mirror::id_of(number), told), None);
        }
        if is_merged && is_good {
            let empty = result(id.clone(), ServiceChangeResult::Empty);
            draft.push(scope.id(), empty, None);
        }
        is_good
    }

    fn change_termination(
        &mut self,
        number: u32,
        (state, delay): (Option<ServiceState>, Option<Duration>),
        draft: &mut Draft,
    ) -> Result<(), Fault> {
        let termination = &self.terminations[&number];
        self.check_alive(termination.shard)?;
        let mut settings = termination.settings.clone();
        self.cancel_delay(number);
        match (state, delay) {
            (Some(state), Some(delay)) => self.delay_change(number, state, draft.now + delay),
            (Some(state), None) => settings.service_state = state,
            (None, _) => {}
        }
        self.replace(number, settings, &BTreeSet::new(), draft);
        Ok(())
    }

    fn delay_change(&mut self, number: u32, state: ServiceState, at: Instant) {
        let timer = self.timers.arm(at, Alarm::Service(Some(number)));
        self.delayed.terminations.insert(number, (timer, state));
    }
}

/// The state that a method puts terminations into; `None`: what they are in.
fn new_state(services: &ServiceChange) -> Result<Option<ServiceState>, Fault> {
    match services.method {
        ServiceChangeMethod::Restart => Ok(Some(ServiceState::InService)),
        ServiceChangeMethod::Forced => Ok(Some(ServiceState::OutOfService)),
        ServiceChangeMethod::Graceful if services.delay.is_some_and(|d| d > 0) => {
            Ok(Some(ServiceState::OutOfService))
        }
        // It ends with its Subtract; nothing new can begin on it anyway.
        ServiceChangeMethod::Graceful => Ok(None),
        ServiceChangeMethod::Failover
        | ServiceChangeMethod::Disconnected
        | ServiceChangeMethod::HandOff
        | ServiceChangeMethod::Extension(_) => {
            Err(Fault::NotImplemented("this ServiceChange method"))
        }
    }
}
