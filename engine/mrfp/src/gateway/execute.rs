//! Runs the actions and commands of a request, in order, up to the first failure
//! (H.248.1 section 8.2).
//!
//! ```text
//! for each action
//!   find the context, else 411 / 421 at the action
//!   apply its properties and topology
//!   for each command: try it on every termination it names; report each
//!     stop the request when one failed, unless the command was optional
//!   add the attributes asked for
//! ```

use h248::ast::{
    ActionRequest, AmmReply, Command, CommandRequest, CommandResult, ContextId, Descriptor,
    SelectLogic, TerminationId, TerminationIds, TransactionRequest,
};
use h248_endpoint::refused_command;

use super::audit::{Audit, Form};
use super::contexts::names_choice;
use super::core::{Core, Scope};
use super::draft::Draft;
use super::fault::Fault;

/// The AMM command and Subtract, which share the form of their replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Add,
    Modify,
    Move,
    Subtract,
}

impl Verb {
    /// The result of this command on one termination.
    pub(super) fn result(self, id: TerminationId, descriptors: Vec<Descriptor>) -> CommandResult {
        let amm = AmmReply {
            terminations: id.into(),
            descriptors,
        };
        match self {
            Self::Add => CommandResult::Add(amm),
            Self::Modify => CommandResult::Modify(amm),
            Self::Move => CommandResult::Move(amm),
            Self::Subtract => CommandResult::Subtract(amm),
        }
    }
}

impl Core {
    /// Executes a request. Returns whether it ran to its end.
    pub(super) fn execute(&mut self, request: &TransactionRequest, draft: &mut Draft) -> bool {
        request.actions.iter().all(|action| {
            draft.begin_action();
            self.execute_action(action, draft)
        })
    }

    /// An action on a list of contexts (version 3) is one on each of them.
    fn execute_action(&mut self, action: &ActionRequest, draft: &mut Draft) -> bool {
        let list = &action.properties.context_list;
        if list.is_empty() {
            return self.execute_on_one(action, draft);
        }
        if action.context != ContextId::All {
            let fault = Fault::IllegalAction("ContextList needs Context=*");
            return Self::refuse(action, &fault, draft);
        }
        list.iter().all(|context| {
            let mut one = action.clone();
            one.context = *context;
            one.properties.context_list.clear();
            self.execute_on_one(&one, draft)
        })
    }

    fn execute_on_one(&mut self, action: &ActionRequest, draft: &mut Draft) -> bool {
        let logic = action.audit.as_ref().and_then(|a| a.selection);
        draft.selects_any = logic == Some(SelectLogic::Or);
        let started = self.scope_of(action).and_then(|scope| {
            self.check_properties(scope, &action.properties)?;
            if names_choice(&action.properties) {
                self.check_choice(scope, action)?;
            }
            Ok(scope)
        });
        let mut scope = match started {
            Ok(scope) => scope,
            Err(fault) => return Self::refuse(action, &fault, draft),
        };
        draft.has_precedence = self.has_precedence(scope, &action.properties);
        let waits = names_choice(&action.properties);
        let mut is_applied = scope != Scope::New && !waits;
        if is_applied && let Err(fault) = self.apply_properties(scope, action, draft) {
            return Self::refuse(action, &fault, draft);
        }
        for command in &action.commands {
            let is_good = self.execute_command(&mut scope, command, draft);
            if !is_good && !command.optional {
                return false;
            }
            let is_ready = if waits {
                draft.first_added.is_some()
            } else {
                scope != Scope::New
            };
            if !is_applied && is_ready {
                is_applied = true;
                if let Err(fault) = self.apply_properties(scope, action, draft) {
                    draft.refuse_action(scope.id(), fault.descriptor());
                    return false;
                }
            }
        }
        if !is_applied && waits {
            let fault = Fault::IncorrectIdentifier("$ in Topology without Add=$".to_owned());
            draft.refuse_action(scope.id(), fault.descriptor());
            return false;
        }
        self.conclude(scope, action, draft);
        true
    }

    /// An action that failed as a whole stops the request, unless all in it was optional.
    fn refuse(action: &ActionRequest, fault: &Fault, draft: &mut Draft) -> bool {
        draft.refuse_action(action.context, fault.descriptor());
        !action.commands.is_empty() && action.commands.iter().all(|c| c.optional)
    }

    fn scope_of(&self, action: &ActionRequest) -> Result<Scope, Fault> {
        match action.context {
            ContextId::Null => Ok(Scope::Null),
            ContextId::All => Ok(Scope::Every),
            ContextId::Id(number) if self.contexts.contains_key(&number) => {
                Ok(Scope::Context(number))
            }
            ContextId::Id(number) => Err(Fault::ContextUnknown(number)),
            ContextId::Choose => {
                self.check_context_left()?;
                match action.commands.first().map(|c| &c.command) {
                    Some(Command::Add(_) | Command::Move(_)) => Ok(Scope::New),
                    _ => Err(Fault::IllegalAction(
                        "a new context begins with Add or Move",
                    )),
                }
            }
        }
    }

    /// Tries one command on all that it names. Returns whether all went well.
    fn execute_command(
        &mut self,
        scope: &mut Scope,
        request: &CommandRequest,
        draft: &mut Draft,
    ) -> bool {
        let is_merged = request.wildcard_response;
        if let Err(fault) = self.check_load(draft.now, &request.command, draft.has_precedence) {
            refuse_command(*scope, &request.command, &fault, draft);
            return false;
        }
        match &request.command {
            Command::Add(amm) => each(&amm.terminations, |id| {
                self.add(scope, id, &amm.descriptors, draft)
            }),
            Command::Modify(amm) => each(&amm.terminations, |id| {
                self.modify(*scope, id, &amm.descriptors, is_merged, draft)
            }),
            Command::Move(amm) => each(&amm.terminations, |id| {
                self.move_here(scope, id, &amm.descriptors, is_merged, draft)
            }),
            Command::Subtract {
                terminations,
                audit,
            } => each(terminations, |id| {
                self.subtract(*scope, id, audit.as_ref(), is_merged, draft)
            }),
            Command::AuditValue(asked) => {
                let audit = Audit::Value;
                let form = Form { audit, is_merged };
                each(&asked.terminations, |id| {
                    self.audit(*scope, id, asked.audit.as_ref(), form, draft)
                })
            }
            Command::AuditCapability(asked) => {
                let audit = Audit::Capability;
                let form = Form { audit, is_merged };
                each(&asked.terminations, |id| {
                    self.audit(*scope, id, asked.audit.as_ref(), form, draft)
                })
            }
            // It goes from gateway to controller only.
            Command::Notify { .. } => {
                let fault = Fault::CommandUnsupported("Notify");
                refuse_command(*scope, &request.command, &fault, draft);
                false
            }
            Command::ServiceChange {
                terminations,
                services,
            } => each(terminations, |id| {
                self.service_change(*scope, id, services, is_merged, draft)
            }),
        }
    }
}

/// A command that is not even tried.
fn refuse_command(scope: Scope, command: &Command, fault: &Fault, draft: &mut Draft) {
    let result = refused_command(command, fault.descriptor());
    draft.push(scope.id(), result, None);
}

/// A list is tried to its end, like a wildcard, and reports each.
fn each(ids: &TerminationIds, mut run: impl FnMut(&TerminationId) -> bool) -> bool {
    ids.0.iter().filter(|id| !run(id)).count() == 0
}
