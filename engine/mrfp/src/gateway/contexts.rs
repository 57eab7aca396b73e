//! Attributes of contexts: set, echoed, audited and selected by (H.248.1 section 6.1.1).

use h248::ast::{
    ActionRequest, ContextAudit, ContextAuditItem, ContextId, ContextProperties, TerminationId,
};

use super::core::{Core, Scope};
use super::draft::Draft;
use super::fault::{Fault, written};
use super::mirror::{Attributes, Context};
use super::package::{self, Place};

/// Highest priority of a context.
const PRIORITY_MAX: u8 = 15;

/// Whether a topology triple waits for the first termination added.
pub(super) fn names_choice(properties: &ContextProperties) -> bool {
    properties
        .topology
        .iter()
        .any(|t| t.from == TerminationId::Choose || t.to == TerminationId::Choose)
}

impl Attributes {
    /// What an action sets; the rest stays.
    pub(super) fn set(&mut self, properties: &ContextProperties) {
        self.priority = properties.priority.unwrap_or(self.priority);
        self.is_emergency = properties.emergency.unwrap_or(self.is_emergency);
        self.is_ieps = properties.ieps.unwrap_or(self.is_ieps);
    }
}

impl Core {
    /// Refuses what cannot be set. Emergency and IEPSCall, which TS 29.333 5.5 does not use, are
    /// kept and respected as H.248.1 has them.
    pub(super) fn check_properties(
        &self,
        scope: Scope,
        properties: &ContextProperties,
    ) -> Result<(), Fault> {
        if properties.is_empty() {
            return Ok(());
        }
        if matches!(scope, Scope::Null | Scope::Every) {
            return Err(Fault::IllegalAction("context properties need one context"));
        }
        if let Some(value) = properties.priority.filter(|p| *p > PRIORITY_MAX) {
            return Err(Fault::ValueUnsupported(format!("Priority={value}")));
        }
        // No package of ours has properties of contexts.
        package::settle(&properties.attributes, Place::Context, &[], &self.config).map(|_| ())
    }

    pub(super) fn apply_properties(
        &mut self,
        scope: Scope,
        action: &ActionRequest,
        draft: &mut Draft,
    ) -> Result<(), Fault> {
        let Scope::Context(number) = scope else {
            return Ok(());
        };
        self.set_topology(number, &action.properties.topology, draft)?;
        if let Some(context) = self.contexts.get_mut(&number) {
            context.attributes.set(&action.properties);
        }
        Ok(())
    }

    /// Adds the attributes asked for, and, before version 3, something in the place of nothing.
    pub(super) fn conclude(&mut self, scope: Scope, action: &ActionRequest, draft: &mut Draft) {
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
            Scope::Context(number) => self.contexts.get(&number).map(|c| c.attributes.priority),
            Scope::Null | Scope::Every | Scope::New => None,
        };
        let reply = draft.action(scope.id());
        if version >= 3 || reply.error.is_some() || !reply.properties.is_empty() {
            return;
        }
        // `C=1{}` cannot be written before version 3 (H.248.1 Annex B): what was set is echoed.
        reply.properties = action.properties.clone();
        if action.audit.is_some() {
            reply.properties.priority = Some(priority.unwrap_or_default());
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
            Scope::Null => {
                return Err(Fault::IllegalAction("the null context has no attributes"));
            }
            Scope::New => Vec::new(),
        };
        for item in &audit.items {
            if let ContextAuditItem::Attribute(name, _) = item {
                return Err(Fault::AuditedUnknown(written(name)));
            }
        }
        let is_selected = |number: &u32| {
            let context = self.contexts.get(number);
            context.is_some_and(|c| is_selected(*number, c, audit, draft.selects_any))
        };
        let selected: Vec<u32> = numbers.into_iter().filter(is_selected).collect();
        if selected.is_empty() && scope == Scope::Every {
            return Err(Fault::NoMatch("*".to_owned()));
        }
        let is_list = |item: &&ContextAuditItem| matches!(item, ContextAuditItem::ContextList(_));
        if audit.items.iter().any(|item| is_list(&item)) {
            let list = selected.iter().map(|number| ContextId::Id(*number));
            draft.action(scope.id()).properties.context_list = list.collect();
        }
        let rest: Vec<_> = audit.items.iter().filter(|item| !is_list(item)).collect();
        for number in selected.into_iter().filter(|_| !rest.is_empty()) {
            // Gone again within this very action: nothing to tell.
            if let Some(context) = self.contexts.get(&number) {
                tell(context, &rest, ContextId::Id(number), draft);
                if rest.contains(&&ContextAuditItem::Topology) {
                    let topology = self.topology_of(number);
                    draft.action(ContextId::Id(number)).properties.topology = topology;
                }
            }
        }
        Ok(())
    }
}

/// Puts the attributes asked for into the reply, but for the topology.
fn tell(context: &Context, items: &[&ContextAuditItem], id: ContextId, draft: &mut Draft) {
    let version = draft.version;
    let properties = &mut draft.action(id).properties;
    let attributes = &context.attributes;
    for item in items {
        match item {
            ContextAuditItem::Priority(_) => properties.priority = Some(attributes.priority),
            ContextAuditItem::Emergency | ContextAuditItem::EmergencyValue(_) => {
                // `Emergency` is a flag in version 1: absence says no.
                let is_told = attributes.is_emergency || version > 1;
                properties.emergency = is_told.then_some(attributes.is_emergency);
            }
            ContextAuditItem::Ieps(_) => properties.ieps = Some(attributes.is_ieps),
            ContextAuditItem::Topology
            | ContextAuditItem::ContextList(_)
            | ContextAuditItem::Attribute(..) => {}
        }
    }
}

/// Whether the values written in a context audit, if any, are this context's (version 3): all of
/// them, or `any`.
fn is_selected(number: u32, context: &Context, audit: &ContextAudit, any: bool) -> bool {
    let attributes = &context.attributes;
    let verdicts = audit.items.iter().filter_map(|item| match item {
        ContextAuditItem::Priority(asked) => asked.map(|a| a == attributes.priority),
        ContextAuditItem::EmergencyValue(asked) => Some(*asked == attributes.is_emergency),
        ContextAuditItem::Ieps(asked) => asked.map(|a| a == attributes.is_ieps),
        ContextAuditItem::ContextList(list) if !list.is_empty() => {
            Some(list.contains(&ContextId::Id(number)))
        }
        ContextAuditItem::Topology
        | ContextAuditItem::Emergency
        | ContextAuditItem::ContextList(_)
        | ContextAuditItem::Attribute(..) => None,
    });
    let verdicts: Vec<bool> = verdicts.collect();
    verdicts.is_empty() || verdicts.iter().all(|is_so| *is_so) || any && verdicts.contains(&true)
}
