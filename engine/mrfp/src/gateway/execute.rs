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
    ActionRequest, AmmReply, Command, CommandRequest, CommandResult, ContextAudit,
    ContextAuditItem, ContextId, ContextProperties, Descriptor, TerminationId, TerminationIds,
    TransactionRequest,
};

use super::core::{Core, Scope};
use super::draft::Draft;
use super::fault::Fault;
use super::package::{self, Place};

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

    fn execute_action(&mut self, action: &ActionRequest, draft: &mut Draft) -> bool {
        let started = self.scope_of(action).and_then(|scope| {
            self.check_properties(scope, &action.properties)?;
            Ok(scope)
        });
        let mut scope = match started {
            Ok(scope) => scope,
            Err(fault) => return Self::refuse(action, &fault, draft),
        };
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

    /// Refuses what this gateway has not (TS 29.333 5.7: no emergency, no IEPS).
    fn check_properties(&self, scope: Scope, properties: &ContextProperties) -> Result<(), Fault> {
        if properties.is_empty() {
            return Ok(());
        }
        if matches!(scope, Scope::Null | Scope::Every) {
            return Err(Fault::IllegalAction("context properties need one context"));
        }
        if properties.emergency == Some(true) {
            return Err(Fault::PropertyUnsupported("Emergency".to_owned()));
        }
        if properties.ieps == Some(true) {
            return Err(Fault::PropertyUnsupported("IEPSCall".to_owned()));
        }
        if !properties.context_list.is_empty() {
            return Err(Fault::NotImplemented("ContextList"));
        }
        if let Some(value) = properties.priority.filter(|p| *p > 15) {
            return Err(Fault::ValueUnsupported(format!("Priority={value}")));
        }
        // No package of ours has properties of contexts.
        properties
            .attributes
            .iter()
            .try_for_each(|p| package::check_property(p, Place::Context))
    }

    fn apply_properties(
        &mut self,
        scope: Scope,
        action: &ActionRequest,
        draft: &mut Draft,
    ) -> Result<(), Fault> {
        let Scope::Context(number) = scope else {
            return Ok(());
        };
        self.set_topology(number, &action.properties.topology, draft)?;
        if let (Some(priority), Some(context)) =
            (action.properties.priority, self.contexts.get_mut(&number))
        {
            context.priority = Some(priority);
        }
        Ok(())
    }

    /// Adds the attributes asked for, and, before version 3, something in the place of nothing.
    fn conclude(&mut self, scope: Scope, action: &ActionRequest, draft: &mut Draft) {
        if let Some(audit) = &action.audit
            && let Err(fault) = self.audit_contexts(scope, audit, draft)
        {
            draft.refuse_action(scope.id(), fault.descriptor());
        }
        if !action.commands.is_empty() || (action.audit.is_some() && scope == Scope::Every) {
            return;
        }
        let version = draft.version;
        let priority = match scope {
            Scope::Context(number) => self.contexts.get(&number).and_then(|c| c.priority),
            Scope::Null | Scope::Every | Scope::New => None,
        };
        let reply = draft.action(scope.id());
        if version >= 3 || reply.error.is_some() || !reply.properties.is_empty() {
            return;
        }
        // `C=1{}` cannot be written before version 3 (H.248.1 Annex B): what was set is echoed.
        reply.properties = action.properties.clone();
        if action.audit.is_some() {
            reply.properties.priority = Some(priority.unwrap_or(0));
        } else if reply.properties.is_empty() {
            reply.error = Some(Fault::IllegalAction("nothing to do").descriptor());
        }
    }

    fn audit_contexts(
        &self,
        scope: Scope,
        audit: &ContextAudit,
        draft: &mut Draft,
    ) -> Result<(), Fault> {
        let numbers: Vec<u32> = match scope {
            Scope::Context(number) => vec![number],
            Scope::Every => self.contexts.keys().copied().collect(),
            Scope::Null | Scope::New => Vec::new(),
        };
        if audit.selection.is_some() {
            return Err(Fault::NotImplemented("selection in ContextAudit"));
        }
        if scope == Scope::Null {
            return Err(Fault::IllegalAction("the null context has no attributes"));
        }
        if numbers.is_empty() && scope == Scope::Every {
            return Err(Fault::NoMatch("*".to_owned()));
        }
        let version = draft.version;
        for number in numbers {
            // Gone again within this very action: nothing to tell.
            let Some(context) = self.contexts.get(&number) else {
                continue;
            };
            let reply = draft.action(ContextId::Id(number));
            for item in &audit.items {
                match item {
                    ContextAuditItem::Topology => {
                        reply.properties.topology = context.topology.triples();
                    }
                    ContextAuditItem::Priority(_) => {
                        reply.properties.priority = Some(context.priority.unwrap_or(0));
                    }
                    ContextAuditItem::Emergency | ContextAuditItem::EmergencyValue(_) => {
                        // `Emergency` is a flag in version 1: absence says no.
                        reply.properties.emergency = (version > 1).then_some(false);
                    }
                    ContextAuditItem::Ieps(_) => reply.properties.ieps = Some(false),
                    ContextAuditItem::ContextList(_) => {
                        reply.properties.context_list.push(ContextId::Id(number));
                    }
                    ContextAuditItem::Attribute(name, _) => {
                        return Err(Fault::AuditedUnknown(super::fault::written(name)));
                    }
                }
            }
        }
        Ok(())
    }

    /// Tries one command on all that it names. Returns whether all went well.
    fn execute_command(
        &mut self,
        scope: &mut Scope,
        request: &CommandRequest,
        draft: &mut Draft,
    ) -> bool {
        let is_merged = request.wildcard_response;
        match &request.command {
            Command::Add(amm) => each(&amm.terminations, |id| {
                self.add(scope, id, &amm.descriptors, draft)
            }),
            Command::Modify(amm) => each(&amm.terminations, |id| {
                self.modify(*scope, id, &amm.descriptors, is_merged, draft)
            }),
            Command::Move(amm) => each(&amm.terminations, |id| {
                self.move_here(scope, id, &amm.descriptors, draft)
            }),
            Command::Subtract {
                terminations,
                audit,
            } => each(terminations, |id| {
                self.subtract(*scope, id, audit.as_ref(), is_merged, draft)
            }),
            Command::AuditValue(audit) => each(&audit.terminations, |id| {
                self.audit_value(*scope, id, audit.audit.as_ref(), is_merged, draft)
            }),
            Command::AuditCapability(audit) => each(&audit.terminations, |id| {
                Self::audit_capability(*scope, id, draft)
            }),
            Command::Notify { terminations, .. } => {
                Self::refuse_notify(*scope, terminations, draft)
            }
            Command::ServiceChange {
                terminations,
                services,
            } => each(terminations, |id| {
                self.service_change(*scope, id, services, draft)
            }),
        }
    }

    /// Notify goes from gateway to controller only.
    fn refuse_notify(scope: Scope, terminations: &TerminationIds, draft: &mut Draft) -> bool {
        let error = Some(Fault::CommandUnsupported("Notify").descriptor());
        let result = CommandResult::Notify {
            terminations: terminations.clone(),
            error,
        };
        draft.push(scope.id(), result, None);
        false
    }
}

/// Whether a topology triple waits for the first termination added.
fn names_choice(properties: &ContextProperties) -> bool {
    properties
        .topology
        .iter()
        .any(|t| t.from == TerminationId::Choose || t.to == TerminationId::Choose)
}

/// A list is tried to its end, like a wildcard, and reports each.
fn each(ids: &TerminationIds, mut run: impl FnMut(&TerminationId) -> bool) -> bool {
    ids.0.iter().filter(|id| !run(id)).count() == 0
}
