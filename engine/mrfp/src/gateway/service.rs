//! ServiceChange from the controller (H.248.1 section 7.2.8, TS 29.333 5.8).

use std::collections::BTreeMap;

use h248::ast::{
    CommandResult, ContextId, ServiceChange, ServiceChangeMethod, ServiceChangeResult,
    ServiceState, TerminationId,
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
            self.change_terminations(scope, id, services, draft)
                .map(|changed| {
                    for (context, number) in changed.into_iter().filter(|_| !is_merged) {
                        let empty = result(mirror::id_of(number), ServiceChangeResult::Empty);
                        draft.push(context, empty, None);
                    }
                    if is_merged {
                        draft.push(
                            scope.id(),
                            result(id.clone(), ServiceChangeResult::Empty),
                            None,
                        );
                    }
                })
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

    fn change_terminations(
        &mut self,
        scope: Scope,
        id: &TerminationId,
        services: &ServiceChange,
        draft: &mut Draft,
    ) -> Result<Vec<(ContextId, u32)>, Fault> {
        let targets = self.resolve(scope, id)?;
        let state = match services.method {
            ServiceChangeMethod::Restart => Some(ServiceState::InService),
            ServiceChangeMethod::Forced => Some(ServiceState::OutOfService),
            // It ends with its Subtract; nothing new can begin on it anyway.
            ServiceChangeMethod::Graceful => None,
            ServiceChangeMethod::Failover
            | ServiceChangeMethod::Disconnected
            | ServiceChangeMethod::HandOff
            | ServiceChangeMethod::Extension(_) => {
                return Err(Fault::NotImplemented("this ServiceChange method"));
            }
        };
        for number in &targets {
            self.check_alive(self.terminations[number].shard)?;
        }
        for number in &targets {
            if let (Some(state), Some(t)) = (state, self.terminations.get(number)) {
                let mut settings = t.settings.clone();
                settings.service_state = state;
                self.replace(*number, settings, &std::collections::BTreeSet::new(), draft);
            }
        }
        let with_context = targets.into_iter().map(|n| (self.context_id(scope, n), n));
        Ok(with_context.collect())
    }
}
