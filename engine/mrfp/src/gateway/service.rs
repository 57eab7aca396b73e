//! ServiceChange from the controller (H.248.1 section 7.2.8, TS 29.333 5.8).

use std::collections::{BTreeMap, BTreeSet};

use h248::ast::{
    CommandResult, ServiceChange, ServiceChangeMethod, ServiceChangeResult, ServiceState,
    TerminationId,
};

use super::core::{Core, Scope, Service};
use super::draft::{Draft, Slot};
use super::fault::Fault;
use super::mirror;
use super::package;

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
        match services.method {
            // The controller will audit what it wants to keep (H.248.1 section 11.5).
            ServiceChangeMethod::Restart => self.service = Service::In,
            ServiceChangeMethod::Graceful => self.service = Service::Draining,
            ServiceChangeMethod::Forced => {
                self.service = Service::Out;
                self.remove_all(draft);
            }
            // HandOff is the business of whoever owns the association, who has seen it first.
            ServiceChangeMethod::HandOff
            | ServiceChangeMethod::Failover
            | ServiceChangeMethod::Disconnected
            | ServiceChangeMethod::Extension(_) => {
                return Err(Fault::NotImplemented("this ServiceChange method"));
            }
        }
        Ok(())
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
            let told = match self.change_termination(number, state, draft) {
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
        state: Option<ServiceState>,
        draft: &mut Draft,
    ) -> Result<(), Fault> {
        let termination = &self.terminations[&number];
        self.check_alive(termination.shard)?;
        if let Some(state) = state {
            let mut settings = termination.settings.clone();
            settings.service_state = state;
            self.replace(number, settings, &BTreeSet::new(), draft);
        }
        Ok(())
    }
}

/// The state that a method puts terminations into; `None`: what they are in.
fn new_state(services: &ServiceChange) -> Result<Option<ServiceState>, Fault> {
    match services.method {
        ServiceChangeMethod::Restart => Ok(Some(ServiceState::InService)),
        ServiceChangeMethod::Forced => Ok(Some(ServiceState::OutOfService)),
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
