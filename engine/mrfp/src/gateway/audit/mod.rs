//! AuditValue and AuditCapability (H.248.1 sections 7.2.5 and 7.2.6, table in 7.2.5).

mod capability;
mod media;
mod named;
mod root;
mod told;
mod union;

use std::collections::BTreeMap;

use h248::ast::{
    AmmReply, AuditDescriptor, AuditItem, AuditReply, AuditToken, CommandResult, ContextId,
    Descriptor, PackageItem, PackageVersion, TerminationId,
};
use switch::Order;

pub(super) use named::wanted_statistics;
use named::{awaited_streams, name_of, named_statistics};
pub(super) use union::Union;

use super::amm::is_wildcard;
use super::core::{Core, Scope};
use super::draft::{Draft, Slot};
use super::fault::Fault;
use super::mirror::{self, Settings};
use super::package;
use super::statistics;

/// Which of the two commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audit {
    Value,
    Capability,
}

impl Audit {
    fn reply(self, reply: AuditReply) -> CommandResult {
        match self {
            Self::Value => CommandResult::AuditValue(reply),
            Self::Capability => CommandResult::AuditCapability(reply),
        }
    }

    fn result(self, id: TerminationId, descriptors: Vec<Descriptor>) -> CommandResult {
        self.reply(AuditReply::Terminations(AmmReply {
            terminations: id.into(),
            descriptors,
        }))
    }
}

/// How the matches of a wildcard are reported.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub audit: Audit,
    /// One reply for all of them (`W-`).
    pub is_merged: bool,
}

impl Core {
    /// An audit of one identifier.
    pub(super) fn audit(
        &mut self,
        scope: Scope,
        id: &TerminationId,
        asked: Option<&AuditDescriptor>,
        form: Form,
        draft: &mut Draft,
    ) -> bool {
        let nothing = AuditDescriptor::default();
        let asked = asked.unwrap_or(&nothing);
        let result = check_legal(asked, form.audit).and_then(|()| {
            if *id == TerminationId::Root {
                let told = self.audit_gateway(scope, asked, form.audit, draft);
                told.map(|()| true)
            } else {
                self.audit_terminations(scope, id, (asked, form), draft)
            }
        });
        result.unwrap_or_else(|fault| {
            let item = vec![fault.item()];
            draft.push(scope.id(), form.audit.result(id.clone(), item), None);
            false
        })
    }

    fn audit_gateway(
        &mut self,
        scope: Scope,
        asked: &AuditDescriptor,
        audit: Audit,
        draft: &mut Draft,
    ) -> Result<(), Fault> {
        let bare = || audit.result(TerminationId::Root, Vec::new());
        match scope {
            Scope::Null => {
                let items = self.root_items(asked, audit)?;
                draft.push(scope.id(), audit.result(TerminationId::Root, items), None);
            }
            // Lists the contexts: one action reply each.
            Scope::Every if self.contexts.is_empty() => draft.push(scope.id(), bare(), None),
            Scope::Every => {
                for &number in self.contexts.keys() {
                    draft.push(ContextId::Id(number), bare(), None);
                }
            }
            Scope::Context(_) | Scope::New => {
                return Err(Fault::IncorrectIdentifier("ROOT in a context".to_owned()));
            }
        }
        Ok(())
    }

    /// Returns whether all that was asked of each is there.
    fn audit_terminations(
        &mut self,
        scope: Scope,
        id: &TerminationId,
        (asked, form): (&AuditDescriptor, Form),
        draft: &mut Draft,
    ) -> Result<bool, Fault> {
        let mut targets = self.resolve(scope, id)?;
        for number in &targets {
            self.touch(*number, draft.now);
        }
        targets.retain(|number| self.is_selected(*number, asked, draft.selects_any));
        if targets.is_empty() {
            return Err(Fault::NoMatch(id.to_string()));
        }
        let check = |number| self.check_asked(&self.terminations[number].settings, asked);
        // Of several, each is told by itself what it does not have; if all are, once.
        if form.is_merged || targets.iter().all(|n| check(n).is_err()) {
            targets.iter().try_for_each(check)?;
        }
        if form.is_merged {
            let (items, slot) = self.merged_items(&targets, asked, form.audit, draft);
            draft.push(scope.id(), form.audit.result(id.clone(), items), slot);
            return Ok(true);
        }
        if asked.items.is_empty() && is_wildcard(id) {
            self.list(scope, &targets, form.audit, draft);
            return Ok(true);
        }
        let mut is_good = true;
        for number in targets {
            let checked = self.check_asked(&self.terminations[&number].settings, asked);
            let (items, slots) = match checked {
                Ok(()) => self.items(number, asked, form.audit, draft),
                Err(fault) => {
                    is_good = false;
                    (vec![fault.item()], Vec::new())
                }
            };
            let context = self.context_id(scope, number);
            let result = form.audit.result(mirror::id_of(number), items);
            draft.push(context, result, slots);
        }
        Ok(is_good)
    }

    /// `AuditValue=Context{a,b,c}`: the short form when only names are asked for.
    fn list(&self, scope: Scope, targets: &[u32], audit: Audit, draft: &mut Draft) {
        let mut lists: BTreeMap<u32, Vec<TerminationId>> = BTreeMap::new();
        for &number in targets {
            let context = self.terminations[&number].context;
            lists
                .entry(context)
                .or_default()
                .push(mirror::id_of(number));
        }
        for (number, ids) in lists {
            let context = match scope {
                Scope::Every => ContextId::Id(number),
                Scope::Context(_) | Scope::Null | Scope::New => scope.id(),
            };
            draft.push(context, audit.reply(AuditReply::ContextList(ids)), None);
        }
    }

    /// One reply for all: the union of their values, statistics added up.
    pub(super) fn merged_items(
        &mut self,
        targets: &[u32],
        asked: &AuditDescriptor,
        audit: Audit,
        draft: &mut Draft,
    ) -> (Vec<Descriptor>, Option<usize>) {
        let mut union = Union::default();
        for number in targets {
            union.extend(self.still_items(*number, asked, audit));
        }
        let mut items = union.into_items();
        let wanted = wanted_statistics(asked).filter(|_| audit == Audit::Value);
        let slot = wanted.map(|wanted| {
            let slot = draft.slot(Slot::new(wanted));
            for number in targets {
                self.order_audit(*number, None, slot, draft);
            }
            items.push(statistics::pending());
            slot
        });
        (items, slot)
    }

    /// Asks for the counters of a termination's streams, or of one of them.
    fn order_audit(&mut self, number: u32, only: Option<u16>, slot: usize, draft: &mut Draft) {
        if only.is_none() {
            draft.slots[slot].terminations.push(number);
        }
        let Some(termination) = self.terminations.get(&number) else {
            return;
        };
        let shard = termination.shard;
        let sessions: Vec<_> = termination
            .settings
            .streams
            .iter()
            .filter(|(id, stream)| stream.local.is_some() && only.is_none_or(|o| o == *id))
            .map(|(id, _)| termination.session(id))
            .collect();
        for session in sessions {
            self.order_for(shard, Order::Audit { session }, draft, Some(slot), None);
        }
    }

    /// What an Audit descriptor asks of a termination; the slots are for its statistics.
    pub(super) fn items(
        &mut self,
        number: u32,
        asked: &AuditDescriptor,
        audit: Audit,
        draft: &mut Draft,
    ) -> (Vec<Descriptor>, Vec<usize>) {
        let mut items = self.still_items(number, asked, audit);
        let mut slots = Vec::new();
        if audit == Audit::Capability {
            return (items, slots);
        }
        for (stream, wanted) in self.awaited(number, &items, asked) {
            let slot = draft.slot(Slot::of_stream(wanted, stream));
            self.order_audit(number, Some(stream), slot, draft);
            slots.push(slot);
        }
        if let Some(wanted) = wanted_statistics(asked) {
            let slot = draft.slot(Slot::new(wanted));
            self.order_audit(number, None, slot, draft);
            items.push(statistics::pending());
            slots.push(slot);
        }
        (items, slots)
    }

    /// Streams in these descriptors whose statistics are awaited, and which ones.
    pub(super) fn awaited(
        &self,
        number: u32,
        items: &[Descriptor],
        asked: &AuditDescriptor,
    ) -> Vec<(u16, Vec<PackageItem>)> {
        let termination = self.terminations.get(&number);
        let kept = |stream| {
            let stream = termination.and_then(|t| t.settings.streams.get(stream));
            stream.and_then(|s| s.extras().statistics.clone())
        };
        awaited_streams(items)
            .into_iter()
            .map(|stream| {
                let named = named_statistics(asked, stream).filter(|n| !n.is_empty());
                (stream, named.or_else(|| kept(stream)).unwrap_or_default())
            })
            .collect()
    }

    /// As [`Self::items`], without the numbers of statistics.
    pub(super) fn still_items(
        &self,
        number: u32,
        asked: &AuditDescriptor,
        audit: Audit,
    ) -> Vec<Descriptor> {
        let Some(termination) = self.terminations.get(&number) else {
            return Vec::new();
        };
        let items = asked.items.iter();
        items
            .flat_map(|entry| match audit {
                Audit::Value => self.current(termination, entry),
                Audit::Capability => self.possible(termination, entry),
            })
            .collect()
    }

    /// Single items must be there to be audited.
    pub(super) fn check_asked(
        &self,
        settings: &Settings,
        asked: &AuditDescriptor,
    ) -> Result<(), Fault> {
        asked
            .items
            .iter()
            .try_for_each(|entry| match entry.media() {
                Some(wanted) => media::check(&media::current(settings), wanted, &self.config),
                None => self.check_entry(entry),
            })
    }

    /// What is named must exist, be it in use or not.
    fn check_entry(&self, entry: &AuditItem) -> Result<(), Fault> {
        let config = &self.config;
        match entry {
            AuditItem::Packages(list) => self.check_packages(list),
            AuditItem::Statistics(names) => names
                .iter()
                .try_for_each(|name| package::check_statistic_name(name, config)),
            AuditItem::Events { events: names, .. } => names
                .iter()
                .try_for_each(|name| package::check_event_name(name, config)),
            AuditItem::EventBuffer(specs) => specs
                .iter()
                .try_for_each(|spec| package::check_event_name(&spec.name, config)),
            AuditItem::Signals(asked) => asked
                .iter()
                .filter_map(name_of)
                .try_for_each(|name| package::check_signal_name(name, config)),
            AuditItem::Whole(_) | AuditItem::Media(_) | AuditItem::DigitMap(_) => Ok(()),
        }
    }

    fn check_packages(&self, list: &[PackageVersion]) -> Result<(), Fault> {
        let known = package::versions(&self.config);
        match list.iter().find(|p| !known.contains(p)) {
            Some(p) => Err(Fault::AuditedUnknown(format!(
                "package {}-{}",
                p.name, p.version
            ))),
            None => Ok(()),
        }
    }

    /// Whether the values written in the audit, if any, are this termination's (version 3).
    fn is_selected(&self, number: u32, asked: &AuditDescriptor, any: bool) -> bool {
        let Some(termination) = self.terminations.get(&number) else {
            return false;
        };
        let mut verdicts = Vec::new();
        for wanted in asked.items.iter().filter_map(AuditItem::media) {
            verdicts.extend(media::selects(
                &media::current(&termination.settings),
                wanted,
                &self.config,
            ));
        }
        verdicts.is_empty()
            || verdicts.iter().all(|is_so| *is_so)
            || any && verdicts.contains(&true)
    }
}

/// DigitMap and Packages cannot be asked for as capabilities (H.248.1 section 7.2.6).
fn check_legal(asked: &AuditDescriptor, audit: Audit) -> Result<(), Fault> {
    let mut tokens = asked.items.iter().map(AuditItem::token);
    let illegal = tokens.find(|t| matches!(t, AuditToken::DigitMap | AuditToken::Packages));
    match (audit, illegal) {
        (Audit::Capability, Some(AuditToken::DigitMap)) => {
            Err(Fault::DescriptorIllegal("DigitMap"))
        }
        (Audit::Capability, Some(_)) => Err(Fault::DescriptorIllegal("Packages")),
        (Audit::Capability, None) | (Audit::Value, _) => Ok(()),
    }
}
