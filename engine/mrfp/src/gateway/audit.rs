//! AuditValue and AuditCapability (H.248.1 sections 7.2.5 and 7.2.6, table in 7.2.5).

use std::collections::BTreeMap;

use h248::ast::EventBufferControl;
use h248::ast::{
    AmmReply, AuditDescriptor, AuditItem, AuditReply, AuditToken, CommandResult, ContextId,
    Descriptor, Events, LocalControl, Media, MediaAudit, MediaAuditItem, MediaStreams, OctetString,
    PackageVersion, PropertyParm, PropertyValue, ServiceState, StreamAudit, StreamParms,
    TerminationId, TerminationState,
};
use switch::Order;

use super::amm::{check_audit, is_wildcard, wanted_statistics};
use super::core::{Core, Scope, Service};
use super::draft::{Draft, Slot};
use super::fault::{Fault, written};
use super::mirror::{self, Stream, Termination};
use super::package::{self, Place, item, plain};
use super::signals;
use super::statistics;

fn value(id: TerminationId, descriptors: Vec<Descriptor>) -> CommandResult {
    let amm = AmmReply {
        terminations: id.into(),
        descriptors,
    };
    CommandResult::AuditValue(AuditReply::Terminations(amm))
}

impl Core {
    /// AuditValue on one identifier.
    pub(super) fn audit_value(
        &mut self,
        scope: Scope,
        id: &TerminationId,
        audit: Option<&AuditDescriptor>,
        is_merged: bool,
        draft: &mut Draft,
    ) -> bool {
        let nothing = AuditDescriptor::default();
        let audit = audit.unwrap_or(&nothing);
        let result = if *id == TerminationId::Root {
            self.audit_root_value(scope, audit, draft)
        } else {
            self.audit_terminations(scope, id, (audit, is_merged), draft)
        };
        if let Err(fault) = &result {
            draft.push(scope.id(), value(id.clone(), vec![fault.item()]), None);
        }
        result.is_ok()
    }

    fn audit_root_value(
        &mut self,
        scope: Scope,
        audit: &AuditDescriptor,
        draft: &mut Draft,
    ) -> Result<(), Fault> {
        match scope {
            Scope::Null => {
                let items = self.audit_root(audit)?;
                draft.push(scope.id(), value(TerminationId::Root, items), None);
            }
            // Lists the contexts: one action reply each.
            Scope::Every if self.contexts.is_empty() => {
                draft.push(scope.id(), value(TerminationId::Root, Vec::new()), None);
            }
            Scope::Every => {
                for &number in self.contexts.keys() {
                    let context = ContextId::Id(number);
                    draft.push(context, value(TerminationId::Root, Vec::new()), None);
                }
            }
            Scope::Context(_) | Scope::New => {
                return Err(Fault::IncorrectIdentifier("ROOT in a context".to_owned()));
            }
        }
        Ok(())
    }

    fn audit_terminations(
        &mut self,
        scope: Scope,
        id: &TerminationId,
        (audit, is_merged): (&AuditDescriptor, bool),
        draft: &mut Draft,
    ) -> Result<(), Fault> {
        let targets = self.resolve(scope, id)?;
        check_audit(audit)?;
        targets
            .iter()
            .for_each(|number| self.touch(*number, draft.now));
        if is_merged {
            return self.audit_merged(scope, id, &targets, (audit, draft));
        }
        if audit.items.is_empty() && is_wildcard(id) {
            self.list(scope, &targets, draft);
            return Ok(());
        }
        for number in targets {
            self.check_audited(number, audit)?;
            let (items, slot) = self.audit_items(number, audit, draft);
            let context = self.context_id(scope, number);
            draft.push(context, value(mirror::id_of(number), items), slot);
        }
        Ok(())
    }

    /// `AuditValue=Context{a,b,c}`: the short form when only names are asked for.
    fn list(&self, scope: Scope, targets: &[u32], draft: &mut Draft) {
        let mut lists: BTreeMap<u32, Vec<TerminationId>> = BTreeMap::new();
        for &number in targets {
            let context = self.terminations[&number].context;
            lists
                .entry(context)
                .or_default()
                .push(mirror::id_of(number));
        }
        for (context, ids) in lists {
            let context = if scope == Scope::Every {
                ContextId::Id(context)
            } else {
                scope.id()
            };
            let result = CommandResult::AuditValue(AuditReply::ContextList(ids));
            draft.push(context, result, None);
        }
    }

    /// One reply for all: statistics are added up, packages are the same everywhere.
    fn audit_merged(
        &mut self,
        scope: Scope,
        id: &TerminationId,
        targets: &[u32],
        (audit, draft): (&AuditDescriptor, &mut Draft),
    ) -> Result<(), Fault> {
        let mut items = Vec::new();
        let mut slot = None;
        for entry in &audit.items {
            match entry {
                AuditItem::Whole(AuditToken::Packages) => {
                    items.push(Descriptor::Packages(self.package_versions()));
                }
                AuditItem::Whole(AuditToken::Statistics) | AuditItem::Statistics(_) => {
                    let wanted = wanted_statistics(audit).unwrap_or_default();
                    let number = draft.slot(Slot::new(wanted));
                    slot = Some(number);
                    items.push(statistics::pending());
                    targets
                        .iter()
                        .for_each(|t| self.order_audit(*t, number, draft));
                }
                AuditItem::Whole(_)
                | AuditItem::Media(_)
                | AuditItem::Events { .. }
                | AuditItem::EventBuffer(_)
                | AuditItem::Signals(_)
                | AuditItem::Packages(_)
                | AuditItem::DigitMap(_) => {
                    return Err(Fault::NotImplemented("W- with this descriptor"));
                }
            }
        }
        draft.push(scope.id(), value(id.clone(), items), slot);
        Ok(())
    }

    fn order_audit(&mut self, number: u32, slot: usize, draft: &mut Draft) {
        draft.slots[slot].terminations.push(number);
        let Some(termination) = self.terminations.get(&number) else {
            return;
        };
        let shard = termination.shard;
        let with_session = |s: &Stream| s.local.is_some();
        let sessions: Vec<_> = termination
            .settings
            .streams
            .iter()
            .filter(|(_, stream)| with_session(stream))
            .map(|(&id, _)| termination.session(id))
            .collect();
        for session in sessions {
            self.order_for(shard, Order::Audit { session }, draft, Some(slot), None);
        }
    }

    /// What an Audit descriptor asks of a termination; the slot is for its statistics.
    pub(super) fn audit_items(
        &mut self,
        number: u32,
        audit: &AuditDescriptor,
        draft: &mut Draft,
    ) -> (Vec<Descriptor>, Option<usize>) {
        let mut items = self.audit_still(number, audit);
        let Some(wanted) = wanted_statistics(audit) else {
            return (items, None);
        };
        let slot = draft.slot(Slot::new(wanted));
        self.order_audit(number, slot, draft);
        items.push(statistics::pending());
        (items, Some(slot))
    }

    /// As [`Self::audit_items`], without statistics.
    pub(super) fn audit_still(&self, number: u32, audit: &AuditDescriptor) -> Vec<Descriptor> {
        let Some(termination) = self.terminations.get(&number) else {
            return Vec::new();
        };
        audit
            .items
            .iter()
            .filter_map(|entry| self.audited(termination, entry))
            .collect()
    }

    /// Single items must be there to be audited.
    fn check_audited(&self, number: u32, audit: &AuditDescriptor) -> Result<(), Fault> {
        let Some(termination) = self.terminations.get(&number) else {
            return Ok(());
        };
        for entry in &audit.items {
            match entry {
                AuditItem::Media(media) => check_media_audit(termination, media)?,
                AuditItem::Packages(list) => self.check_packages(list)?,
                AuditItem::Whole(_)
                | AuditItem::Events { .. }
                | AuditItem::EventBuffer(_)
                | AuditItem::Signals(_)
                | AuditItem::Statistics(_)
                | AuditItem::DigitMap(_) => {}
            }
        }
        Ok(())
    }

    /// What an Audit descriptor asks of ROOT.
    pub(super) fn audit_root(&self, audit: &AuditDescriptor) -> Result<Vec<Descriptor>, Fault> {
        let mut items = Vec::new();
        for entry in &audit.items {
            items.push(match entry {
                AuditItem::Whole(AuditToken::Media) => self.root_state(|_| true),
                AuditItem::Media(MediaAudit {
                    termination_state: Some(wanted),
                    ..
                }) => {
                    check_state_audit(wanted, Place::Root)?;
                    self.root_state(|parm| wanted.iter().any(|w| names(w, parm)))
                }
                AuditItem::Whole(AuditToken::Packages) => {
                    Descriptor::Packages(self.package_versions())
                }
                AuditItem::Packages(list) => {
                    self.check_packages(list)?;
                    Descriptor::Packages(list.clone())
                }
                AuditItem::Whole(AuditToken::Events) | AuditItem::Events { .. } => {
                    Descriptor::Events(self.root_events.clone())
                }
                AuditItem::Whole(token) => empty(*token),
                AuditItem::EventBuffer(_) => empty(AuditToken::EventBuffer),
                AuditItem::Signals(_) => empty(AuditToken::Signals),
                AuditItem::Media(_) | AuditItem::Statistics(_) | AuditItem::DigitMap(_) => {
                    return Err(Fault::AuditedUnknown("item of ROOT".to_owned()));
                }
            });
        }
        Ok(items)
    }

    fn root_state(&self, is_wanted: impl Fn(&PropertyParm) -> bool) -> Descriptor {
        let limits = &self.config.limits;
        let fixed = [
            ("maxNumberOfContexts", limits.contexts_max),
            (
                "maxTerminationsPerContext",
                limits.terminations_per_context_max,
            ),
        ];
        let fixed = fixed.map(|(name, max)| PropertyParm {
            name: item(("root", name)),
            value: PropertyValue::Is(plain(max.to_string())),
        });
        let properties = fixed
            .iter()
            .chain(&self.root_properties)
            .filter(|p| is_wanted(p));
        let state = match self.service {
            Service::In | Service::Draining => ServiceState::InService,
            Service::Out => ServiceState::OutOfService,
        };
        Descriptor::Media(Media {
            termination_state: Some(TerminationState {
                service_states: Some(state),
                buffer: None,
                properties: properties.cloned().collect(),
            }),
            streams: MediaStreams::default(),
        })
    }

    /// For further study in the profile (TS 29.333 5.8).
    pub(super) fn audit_capability(scope: Scope, id: &TerminationId, draft: &mut Draft) -> bool {
        let error = Fault::NotImplemented("AuditCapability").item();
        let amm = AmmReply {
            terminations: id.clone().into(),
            descriptors: vec![error],
        };
        let result = CommandResult::AuditCapability(AuditReply::Terminations(amm));
        draft.push(scope.id(), result, None);
        false
    }
}

/// A descriptor that exists and is empty: the bare token.
fn empty(token: AuditToken) -> Descriptor {
    match token {
        AuditToken::Events => Descriptor::Events(Events::default()),
        AuditToken::EventBuffer => Descriptor::EventBuffer(Vec::new()),
        AuditToken::Signals => Descriptor::Signals(Vec::new()),
        AuditToken::Media
        | AuditToken::Modem
        | AuditToken::Mux
        | AuditToken::ObservedEvents
        | AuditToken::DigitMap
        | AuditToken::Statistics
        | AuditToken::Packages => Descriptor::Empty(token),
    }
}

/// Media as it is now, whole or only what is `wanted`.
fn media(termination: &Termination, wanted: Option<&MediaAudit>) -> Descriptor {
    let settings = &termination.settings;
    let is_whole = wanted.is_none_or(|w| *w == MediaAudit::default());
    let with_state = is_whole || wanted.is_some_and(|w| w.termination_state.is_some());
    let state = TerminationState {
        service_states: Some(settings.service_state),
        buffer: Some(EventBufferControl::Off),
        properties: Vec::new(),
    };
    let streams = settings.streams.iter().filter_map(|(&id, stream)| {
        let one = wanted.map(|w| {
            let named = w.streams.iter().find(|s| s.id == id);
            named.or(w.one_stream.as_ref().filter(|_| id == 1))
        });
        let parms = match one {
            Some(Some(wanted)) if !is_whole => parms(stream, Some(wanted)),
            _ if is_whole => parms(stream, None),
            _ => return None,
        };
        Some(h248::ast::Stream { id, parms })
    });
    Descriptor::Media(Media {
        termination_state: with_state.then_some(state),
        streams: MediaStreams::Multiple(streams.collect()),
    })
}

fn parms(stream: &Stream, wanted: Option<&StreamAudit>) -> StreamParms {
    let is_whole = wanted.is_none_or(|w| {
        *w == StreamAudit {
            id: w.id,
            ..StreamAudit::default()
        }
    });
    let control = match wanted
        .filter(|_| !is_whole)
        .map(|w| w.local_control.as_deref())
    {
        None | Some(Some([])) => Some(stream.control()),
        Some(Some(items)) => Some(selected(&stream.control(), items)),
        Some(None) => None,
    };
    let with_local = is_whole || wanted.is_some_and(|w| w.local.is_some());
    let with_remote = is_whole || wanted.is_some_and(|w| w.remote.is_some());
    let local = stream.local.as_ref().filter(|_| with_local);
    let remote = stream.remote.as_ref().filter(|_| with_remote);
    StreamParms {
        local_control: control,
        local: local.map(|l| OctetString(l.text.clone())),
        remote: remote.map(|r| OctetString(r.text.clone())),
        statistics: None,
    }
}

/// Only the items named.
fn selected(control: &LocalControl, items: &[MediaAuditItem]) -> LocalControl {
    let has = |test: fn(&MediaAuditItem) -> bool| items.iter().any(test);
    LocalControl {
        mode: control
            .mode
            .filter(|_| has(|i| matches!(i, MediaAuditItem::Mode(_)))),
        reserved_value: control
            .reserved_value
            .filter(|_| has(|i| matches!(i, MediaAuditItem::ReservedValue))),
        reserved_group: control
            .reserved_group
            .filter(|_| has(|i| matches!(i, MediaAuditItem::ReservedGroup))),
        properties: control
            .properties
            .iter()
            .filter(|p| items.iter().any(|i| names(i, p)))
            .cloned()
            .collect(),
    }
}

/// Whether an audit item names this property.
fn names(entry: &MediaAuditItem, parm: &PropertyParm) -> bool {
    let text = (parm.name.package.as_str(), parm.name.item.as_str());
    matches!(entry, MediaAuditItem::Property(name, _) if package::covers(name, text))
}

fn check_media_audit(termination: &Termination, wanted: &MediaAudit) -> Result<(), Fault> {
    if let Some(state) = &wanted.termination_state {
        check_state_audit(state, Place::Termination)?;
    }
    for stream in wanted.streams.iter().chain(&wanted.one_stream) {
        let id = if stream.id == 0 { 1 } else { stream.id };
        if !termination.settings.streams.contains_key(&id) {
            return Err(Fault::AuditedUnknown(format!("Stream={id}")));
        }
        if stream.statistics.is_some() {
            return Err(Fault::NotImplemented("audit of one stream's statistics"));
        }
        if let Some(state) = &stream.local_control {
            check_state_audit(state, Place::Stream)?;
        }
    }
    Ok(())
}

fn check_state_audit(items: &[MediaAuditItem], place: Place) -> Result<(), Fault> {
    for entry in items {
        match entry {
            MediaAuditItem::Property(name, None) if package::has_property(name, place) => {}
            MediaAuditItem::Property(name, None) => {
                return Err(Fault::AuditedUnknown(written(name)));
            }
            MediaAuditItem::ServiceStates(Some(_))
            | MediaAuditItem::Mode(Some(_))
            | MediaAuditItem::Property(_, Some(_)) => {
                return Err(Fault::NotImplemented("selection in an audit"));
            }
            MediaAuditItem::ServiceStates(None)
            | MediaAuditItem::Buffer
            | MediaAuditItem::Mode(None)
            | MediaAuditItem::ReservedValue
            | MediaAuditItem::ReservedGroup => {}
        }
    }
    Ok(())
}

impl Core {
    fn package_versions(&self) -> Vec<PackageVersion> {
        package::versions(self.config.has_storage)
    }

    fn audited(&self, termination: &Termination, entry: &AuditItem) -> Option<Descriptor> {
        Some(match entry {
            AuditItem::Whole(AuditToken::Media) => media(termination, None),
            AuditItem::Media(wanted) => media(termination, Some(wanted)),
            AuditItem::Whole(AuditToken::Events) | AuditItem::Events { .. } => {
                Descriptor::Events(termination.settings.events.clone())
            }
            AuditItem::Whole(AuditToken::Packages) => Descriptor::Packages(self.package_versions()),
            AuditItem::Packages(list) => Descriptor::Packages(list.clone()),
            AuditItem::Whole(AuditToken::Statistics) | AuditItem::Statistics(_) => return None,
            // EstBNC and RelBNC are over at once.
            AuditItem::Whole(AuditToken::Signals) | AuditItem::Signals(_) => {
                Descriptor::Signals(signals::items(termination.settings.signals.iter()))
            }
            // There is no buffer, map, modem or multiplex.
            AuditItem::Whole(token) => empty(*token),
            AuditItem::EventBuffer(_) => empty(AuditToken::EventBuffer),
            AuditItem::DigitMap(_) => empty(AuditToken::DigitMap),
        })
    }

    fn check_packages(&self, list: &[PackageVersion]) -> Result<(), Fault> {
        let known = self.package_versions();
        match list.iter().find(|p| !known.contains(p)) {
            Some(p) => Err(Fault::AuditedUnknown(format!(
                "package {}-{}",
                p.name, p.version
            ))),
            None => Ok(()),
        }
    }
}
