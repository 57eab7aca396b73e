//! Add, Modify and Subtract (H.248.1 sections 7.2.1 to 7.2.3).

use std::collections::BTreeMap;

use h248::ast::{
    AuditDescriptor, Descriptor, Media, MediaStreams, StreamParms, TerminationId, TerminationState,
};

use super::apply::{Applied, check_once, check_state, name_of, settle_events};
use super::audit::{Audit, Union, wanted_statistics};
use super::core::{Core, Scope, Service};
use super::draft::{Draft, Slot};
use super::execute::Verb;
use super::fault::Fault;
use super::mirror::{self, Settings};
use super::package::Place;
use super::statistics;

/// What the matches of a wildcard say in one reply (`W-`).
#[derive(Debug, Default)]
pub(super) struct Merged {
    targets: Vec<u32>,
    union: Union,
    audit: Option<AuditDescriptor>,
}

impl Merged {
    pub(super) fn add(&mut self, number: u32, mut applied: Applied) {
        self.targets.push(number);
        self.union.extend(applied.descriptors());
        self.audit = applied.audit;
    }
}

impl Core {
    /// Add on one identifier. A new context is there from the first success on.
    pub(super) fn add(
        &mut self,
        scope: &mut Scope,
        id: &TerminationId,
        descriptors: &[Descriptor],
        draft: &mut Draft,
    ) -> bool {
        match self.try_add(*scope, id, descriptors, draft) {
            Ok((context, number, applied)) => {
                *scope = Scope::Context(context);
                draft.first_added.get_or_insert(number);
                self.report(Verb::Add, *scope, number, applied, draft);
                true
            }
            Err(fault) => {
                draft.push(
                    scope.id(),
                    Verb::Add.result(id.clone(), vec![fault.item()]),
                    None,
                );
                false
            }
        }
    }

    fn try_add(
        &mut self,
        scope: Scope,
        id: &TerminationId,
        descriptors: &[Descriptor],
        draft: &mut Draft,
    ) -> Result<(u32, u32, Applied), Fault> {
        if *id != TerminationId::Root && matches!(scope, Scope::Null | Scope::Every) {
            return Err(Fault::IllegalAction("Add needs one context"));
        }
        self.check_addable(id)?;
        if self.service != Service::In {
            return Err(Fault::OutOfService);
        }
        let shard = self.shard_for(scope)?;
        let number = self.new_termination_number()?;
        let mut settings = Settings::default();
        let applied = self.apply(&mut settings, (shard, number), descriptors)?;
        let context = match scope {
            Scope::Context(context) => context,
            Scope::New | Scope::Null | Scope::Every => self.new_context_number()?,
        };
        self.check_shared(context, number, &settings)?;
        self.insert(number, (context, shard), settings, draft);
        Ok((context, number, applied))
    }

    /// All our terminations are ephemeral: the gateway names them.
    fn check_addable(&self, id: &TerminationId) -> Result<(), Fault> {
        match id {
            TerminationId::Choose => Ok(()),
            TerminationId::Root => Err(Fault::IncorrectIdentifier("ROOT".to_owned())),
            TerminationId::All => Err(Fault::NoMatch("*".to_owned())),
            TerminationId::Name(name) if mirror::is_choice(name) => Ok(()),
            TerminationId::Name(name) if name.as_str().contains('*') => {
                Err(Fault::NoMatch(name.to_string()))
            }
            TerminationId::Name(name) if name.as_str().contains('$') => {
                Err(Fault::NoneToChoose(name.to_string()))
            }
            TerminationId::Name(name) => {
                let known = mirror::number_of(name).and_then(|n| self.terminations.get(&n));
                Err(match known {
                    Some(t) => Fault::AlreadyInContext(name.to_string(), t.context),
                    None => Fault::TerminationUnknown(name.to_string()),
                })
            }
        }
    }

    /// Modify on one identifier.
    pub(super) fn modify(
        &mut self,
        scope: Scope,
        id: &TerminationId,
        descriptors: &[Descriptor],
        is_merged: bool,
        draft: &mut Draft,
    ) -> bool {
        if *id == TerminationId::Root {
            return self.modify_root(scope, descriptors, draft);
        }
        let targets = match self.resolve(scope, id) {
            Ok(targets) => targets,
            Err(fault) => {
                draft.push(
                    scope.id(),
                    Verb::Modify.result(id.clone(), vec![fault.item()]),
                    None,
                );
                return false;
            }
        };
        let mut merged = Merged::default();
        let mut is_good = true;
        for number in targets {
            match self.try_modify(number, descriptors, draft) {
                // One reply for all: errors alone are worth telling apart.
                Ok(applied) if is_merged => {
                    self.tell_brief(number, &applied.brief, draft.now);
                    merged.add(number, applied);
                }
                Ok(applied) => self.report(Verb::Modify, scope, number, applied, draft),
                Err(fault) => {
                    is_good = false;
                    let result = Verb::Modify.result(mirror::id_of(number), vec![fault.item()]);
                    draft.push(self.context_id(scope, number), result, None);
                }
            }
        }
        if is_merged && is_good {
            self.report_merged(Verb::Modify, scope, id, merged, draft);
        }
        is_good
    }

    /// Adds the one result of a command that went well with all matches of a wildcard: the union of what
    /// each would have said.
    pub(super) fn report_merged(
        &mut self,
        verb: Verb,
        scope: Scope,
        id: &TerminationId,
        merged: Merged,
        draft: &mut Draft,
    ) {
        let Merged {
            targets,
            mut union,
            audit,
        } = merged;
        let mut slot = None;
        if let Some(asked) = audit {
            let audited;
            (audited, slot) = self.merged_items(&targets, &asked, Audit::Value, draft);
            union.extend(audited);
        }
        draft.push(
            scope.id(),
            verb.result(id.clone(), union.into_items()),
            slot,
        );
    }

    fn try_modify(
        &mut self,
        number: u32,
        descriptors: &[Descriptor],
        draft: &mut Draft,
    ) -> Result<Applied, Fault> {
        let termination = &self.terminations[&number];
        let (context, shard) = (termination.context, termination.shard);
        self.check_alive(shard)?;
        let mut settings = termination.settings.clone();
        let applied = self.apply(&mut settings, (shard, number), descriptors)?;
        self.check_shared(context, number, &settings)?;
        self.release(number, &applied.released, draft);
        self.replace(number, settings, &applied.renewed, draft);
        Ok(applied)
    }

    /// ROOT has properties and events, no media and no signals.
    fn modify_root(&mut self, scope: Scope, descriptors: &[Descriptor], draft: &mut Draft) -> bool {
        let items = self
            .try_modify_root(scope, descriptors)
            .and_then(|(mut items, audit)| {
                if let Some(asked) = audit {
                    items.extend(self.root_items(&asked, Audit::Value)?);
                }
                Ok(items)
            });
        let is_good = items.is_ok();
        let items = items.unwrap_or_else(|fault| vec![fault.item()]);
        draft.push(
            scope.id(),
            Verb::Modify.result(TerminationId::Root, items),
            None,
        );
        is_good
    }

    fn try_modify_root(
        &mut self,
        scope: Scope,
        descriptors: &[Descriptor],
    ) -> Result<(Vec<Descriptor>, Option<AuditDescriptor>), Fault> {
        if scope != Scope::Null {
            return Err(Fault::IncorrectIdentifier(
                "ROOT outside the null context".to_owned(),
            ));
        }
        let mut properties = self.root_properties.clone();
        let mut chosen = Vec::new();
        let mut events = None;
        let mut audit = None;
        check_once(descriptors)?;
        for descriptor in descriptors {
            match descriptor {
                Descriptor::Media(Media {
                    termination_state: Some(state),
                    streams,
                }) if *streams == MediaStreams::default() => {
                    let settled = check_state(state, Place::Root, &properties, &self.config)?;
                    properties.retain(|p| settled.all.iter().all(|s| s.name != p.name));
                    properties.extend(settled.all);
                    if !settled.chosen.is_empty() {
                        chosen.push(Descriptor::Media(Media {
                            termination_state: Some(TerminationState {
                                properties: settled.chosen,
                                ..TerminationState::default()
                            }),
                            streams: MediaStreams::default(),
                        }));
                    }
                }
                Descriptor::Events(list) => {
                    let settled = settle_events(list, Place::Root, &self.config)?;
                    events = Some(settled.0);
                    chosen.extend(settled.1.map(Descriptor::Events));
                }
                Descriptor::Audit(items) => audit = Some(items.clone()),
                Descriptor::Signals(items) if items.is_empty() => {}
                Descriptor::Media(_)
                | Descriptor::Signals(_)
                | Descriptor::EventBuffer(_)
                | Descriptor::DigitMap(_)
                | Descriptor::Statistics(_)
                | Descriptor::ObservedEvents(_)
                | Descriptor::Packages(_)
                | Descriptor::Error(_)
                | Descriptor::Mux { .. }
                | Descriptor::Modem { .. }
                | Descriptor::Empty(_) => {
                    return Err(Fault::DescriptorIllegal(name_of(descriptor)));
                }
            }
        }
        self.root_properties = properties;
        self.root_events = events.unwrap_or_else(|| self.root_events.clone());
        Ok((chosen, audit))
    }

    /// Subtract on one identifier.
    pub(super) fn subtract(
        &mut self,
        scope: Scope,
        id: &TerminationId,
        audit: Option<&AuditDescriptor>,
        is_merged: bool,
        draft: &mut Draft,
    ) -> bool {
        let targets = self.resolve(scope, id).and_then(|targets| {
            let check = |number: &u32| {
                let settings = &self.terminations[number].settings;
                audit.map_or(Ok(()), |asked| self.check_asked(settings, asked))
            };
            // Each of several matches is tried by itself; if none can be audited so, that is told once.
            if is_merged || targets.iter().all(|number| check(number).is_err()) {
                targets.iter().try_for_each(check)?;
            }
            Ok(targets)
        });
        let targets = match targets {
            Ok(targets) => targets,
            Err(fault) => {
                let result = Verb::Subtract.result(id.clone(), vec![fault.item()]);
                draft.push(scope.id(), result, None);
                return false;
            }
        };
        // Statistics come back unless an Audit says otherwise (H.248.1 section 7.2.3).
        let wanted = match audit {
            None => Some(Vec::new()),
            Some(audit) => wanted_statistics(audit),
        };
        if is_merged {
            self.subtract_merged((scope, id), targets, (audit, wanted), draft);
            return true;
        }
        let mut is_good = true;
        for number in targets {
            let context = self.context_id(scope, number);
            let settings = &self.terminations[&number].settings;
            let checked = audit.map_or(Ok(()), |asked| self.check_asked(settings, asked));
            let (items, slots) = match checked {
                Ok(()) => self.take_leave(number, audit, wanted.clone(), draft),
                Err(fault) => {
                    is_good = false;
                    (vec![fault.item()], Vec::new())
                }
            };
            let result = Verb::Subtract.result(mirror::id_of(number), items);
            draft.push(context, result, slots);
        }
        is_good
    }

    fn subtract_merged(
        &mut self,
        (scope, id): (Scope, &TerminationId),
        targets: Vec<u32>,
        (audit, wanted): (
            Option<&AuditDescriptor>,
            Option<Vec<h248::ast::PackageItem>>,
        ),
        draft: &mut Draft,
    ) {
        let mut union = Union::default();
        if let Some(asked) = audit {
            for number in &targets {
                union.extend(self.still_items(*number, asked, Audit::Value));
            }
        }
        let mut items = union.into_items();
        if wanted.is_some() {
            items.insert(0, statistics::pending());
        }
        let slot = draft.slot(Slot::new(wanted.unwrap_or_default()));
        for number in targets {
            self.remove(number, slot, &BTreeMap::new(), draft);
        }
        draft.push(scope.id(), Verb::Subtract.result(id.clone(), items), [slot]);
    }

    /// Ends a termination; what is told of it, and the slots for its statistics.
    fn take_leave(
        &mut self,
        number: u32,
        audit: Option<&AuditDescriptor>,
        wanted: Option<Vec<h248::ast::PackageItem>>,
        draft: &mut Draft,
    ) -> (Vec<Descriptor>, Vec<usize>) {
        let mut items = match audit {
            None => self.own_statistics(number),
            Some(asked) => self.still_items(number, asked, Audit::Value),
        };
        let asked = audit.cloned().unwrap_or_default();
        let of_streams: BTreeMap<u16, usize> = self
            .awaited(number, &items, &asked)
            .into_iter()
            .map(|(stream, wanted)| (stream, draft.slot(Slot::of_stream(wanted, stream))))
            .collect();
        let mut slots: Vec<usize> = of_streams.values().copied().collect();
        if wanted.is_some() {
            items.insert(0, statistics::pending());
        }
        let slot = draft.slot(Slot::new(wanted.unwrap_or_default()));
        slots.push(slot);
        self.remove(number, slot, &of_streams, draft);
        (items, slots)
    }

    /// Streams that have statistics of their own tell them beside the termination's (version 3).
    fn own_statistics(&self, number: u32) -> Vec<Descriptor> {
        let streams = &self.terminations[&number].settings.streams;
        let kept = streams
            .iter()
            .filter(|(_, s)| s.extras().statistics.is_some());
        let told = kept.map(|(id, _)| h248::ast::Stream {
            id,
            parms: StreamParms {
                statistics: Some(Vec::new()),
                ..StreamParms::default()
            },
        });
        let told: Vec<_> = told.collect();
        if told.is_empty() {
            return Vec::new();
        }
        vec![Descriptor::Media(Media {
            termination_state: None,
            streams: MediaStreams::Multiple(told),
        })]
    }

    /// Adds the result of a command that went well, with what was asked for.
    pub(super) fn report(
        &mut self,
        verb: Verb,
        scope: Scope,
        number: u32,
        mut applied: Applied,
        draft: &mut Draft,
    ) {
        let mut items = applied.descriptors();
        let mut slots = Vec::new();
        if let Some(asked) = &applied.audit {
            let audited;
            (audited, slots) = self.items(number, asked, Audit::Value, draft);
            items.extend(audited);
        }
        let context = self.context_id(scope, number);
        draft.push(context, verb.result(mirror::id_of(number), items), slots);
        self.tell_brief(number, &applied.brief, draft.now);
    }

    /// The context to report a termination under: its own, when the action names all.
    pub(super) fn context_id(&self, scope: Scope, number: u32) -> h248::ast::ContextId {
        let own = self
            .terminations
            .get(&number)
            .map(|t| Scope::Context(t.context));
        own.filter(|_| scope == Scope::Every).unwrap_or(scope).id()
    }
}

/// Whether an identifier may stand for several terminations.
pub(super) fn is_wildcard(id: &TerminationId) -> bool {
    match id {
        TerminationId::All => true,
        TerminationId::Name(name) => name.as_str().contains('*'),
        TerminationId::Root | TerminationId::Choose => false,
    }
}
