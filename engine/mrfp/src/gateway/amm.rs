//! Add, Modify, Move and Subtract (H.248.1 sections 7.2.1 to 7.2.4).

use std::collections::BTreeSet;

use h248::ast::{
    AuditDescriptor, AuditItem, AuditToken, Descriptor, EventBufferControl, Events, Media,
    MediaStreams, NotifyBehaviour, SignalItem, StreamParms, TerminationId, TerminationState,
};
use switch::{Order, SessionKey, ShardIndex};

use super::core::{Core, Scope, Service};
use super::draft::{Draft, Slot};
use super::execute::Verb;
use super::fault::Fault;
use super::media;
use super::mirror::{self, Settings};
use super::notify;
use super::package::{self, Place, SignalKind};
use super::statistics;

/// What the descriptors of a command amount to.
#[derive(Debug, Default)]
struct Applied {
    /// Goes into the reply: what was left to us.
    chosen: Vec<h248::ast::Stream>,
    /// Streams whose connection is wanted anew.
    renewed: BTreeSet<u16>,
    audit: Option<AuditDescriptor>,
}

impl Applied {
    fn descriptors(&mut self) -> Vec<Descriptor> {
        let streams = core::mem::take(&mut self.chosen);
        if streams.is_empty() {
            return Vec::new();
        }
        let streams = MediaStreams::Multiple(streams);
        vec![Descriptor::Media(Media {
            termination_state: None,
            streams,
        })]
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
        if matches!(scope, Scope::Null | Scope::Every) {
            return Err(Fault::IllegalAction("Add needs one context"));
        }
        self.check_addable(id)?;
        if self.service != Service::In {
            return Err(Fault::OutOfService);
        }
        let shard = match scope {
            Scope::Context(context) => self.check_room(context)?,
            Scope::New | Scope::Null | Scope::Every => self.least_loaded(),
        };
        let number = self.new_termination_number()?;
        let mut settings = Settings::default();
        let applied = self.apply(&mut settings, (shard, number), descriptors)?;
        let context = match scope {
            Scope::Context(context) => context,
            Scope::New | Scope::Null | Scope::Every => self.new_context_number()?,
        };
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
            TerminationId::Name(name) => {
                let known = mirror::number_of(name).and_then(|n| self.terminations.get(&n));
                Err(match known {
                    Some(t) => Fault::AlreadyInContext(name.to_string(), t.context),
                    None => Fault::TerminationUnknown(name.to_string()),
                })
            }
        }
    }

    /// The shard of a context that has room for one more.
    fn check_room(&self, context: u32) -> Result<ShardIndex, Fault> {
        let place = self
            .contexts
            .get(&context)
            .ok_or(Fault::ContextUnknown(context))?;
        let max = self.config.limits.terminations_per_context_max;
        if place.terminations.len() >= max as usize {
            return Err(Fault::ContextFull(max));
        }
        Ok(place.shard)
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
        let mut is_good = true;
        for number in targets {
            match self.try_modify(number, descriptors, draft) {
                // One reply for all: errors alone are worth telling apart.
                Ok(_) if is_merged => {}
                Ok(applied) => self.report(Verb::Modify, scope, number, applied, draft),
                Err(fault) => {
                    is_good = false;
                    let result = Verb::Modify.result(mirror::id_of(number), vec![fault.item()]);
                    draft.push(self.context_id(scope, number), result, None);
                }
            }
        }
        if is_merged && is_good {
            draft.push(
                scope.id(),
                Verb::Modify.result(id.clone(), Vec::new()),
                None,
            );
        }
        is_good
    }

    fn try_modify(
        &mut self,
        number: u32,
        descriptors: &[Descriptor],
        draft: &mut Draft,
    ) -> Result<Applied, Fault> {
        let termination = &self.terminations[&number];
        let shard = termination.shard;
        let mut settings = termination.settings.clone();
        let applied = self.apply(&mut settings, (shard, number), descriptors)?;
        self.replace(number, settings, &applied.renewed, draft);
        Ok(applied)
    }

    /// ROOT has properties and events, no media and no signals.
    fn modify_root(&mut self, scope: Scope, descriptors: &[Descriptor], draft: &mut Draft) -> bool {
        let items = self
            .try_modify_root(scope, descriptors)
            .and_then(|audit| match audit {
                Some(audit) => self.audit_root(&audit),
                None => Ok(Vec::new()),
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
    ) -> Result<Option<AuditDescriptor>, Fault> {
        if scope != Scope::Null {
            return Err(Fault::IncorrectIdentifier(
                "ROOT outside the null context".to_owned(),
            ));
        }
        let mut properties = self.root_properties.clone();
        let mut events = None;
        let mut audit = None;
        check_once(descriptors)?;
        for descriptor in descriptors {
            match descriptor {
                Descriptor::Media(Media {
                    termination_state: Some(state),
                    streams,
                }) if *streams == MediaStreams::default() => {
                    check_state(state, Place::Root)?;
                    for parm in &state.properties {
                        properties.retain(|p| p.name != parm.name);
                        properties.push(parm.clone());
                    }
                }
                Descriptor::Events(list) => {
                    check_events(list)?;
                    events = Some(list.clone());
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
        Ok(audit)
    }

    /// Move on one identifier: from wherever it is to this context.
    pub(super) fn move_here(
        &mut self,
        scope: &mut Scope,
        id: &TerminationId,
        descriptors: &[Descriptor],
        draft: &mut Draft,
    ) -> bool {
        match self.try_move(*scope, id, descriptors, draft) {
            Ok((context, number, applied)) => {
                *scope = Scope::Context(context);
                self.report(Verb::Move, *scope, number, applied, draft);
                true
            }
            Err(fault) => {
                draft.push(
                    scope.id(),
                    Verb::Move.result(id.clone(), vec![fault.item()]),
                    None,
                );
                false
            }
        }
    }

    fn try_move(
        &mut self,
        scope: Scope,
        id: &TerminationId,
        descriptors: &[Descriptor],
        draft: &mut Draft,
    ) -> Result<(u32, u32, Applied), Fault> {
        if matches!(scope, Scope::Null | Scope::Every) {
            return Err(Fault::IllegalAction("Move needs one context"));
        }
        let number = match self.resolve(Scope::Every, id)?[..] {
            [number] if !is_wildcard(id) => number,
            _ => return Err(Fault::NotImplemented("Move with a wildcard")),
        };
        let termination = &self.terminations[&number];
        let (from, shard) = (termination.context, termination.shard);
        if termination.settings.service_state == h248::ast::ServiceState::OutOfService {
            return Err(Fault::OutOfService);
        }
        let mut settings = termination.settings.clone();
        if let Scope::Context(context) = scope {
            if context == from {
                return Err(Fault::IllegalAction("Move within one context"));
            }
            if self.check_room(context)? != shard {
                // A session-id names its shard and the participant already has it.
                return Err(Fault::NotImplemented("Move to a context on another core"));
            }
        }
        let applied = self.apply(&mut settings, (shard, number), descriptors)?;
        let context = match scope {
            Scope::Context(context) => context,
            Scope::New | Scope::Null | Scope::Every => self.new_context_number()?,
        };
        self.relocate(number, context, draft);
        self.replace(number, settings, &applied.renewed, draft);
        Ok((context, number, applied))
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
            audit.map_or(Ok(()), check_audit)?;
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
        let shown = || {
            wanted
                .iter()
                .map(|_| statistics::pending())
                .collect::<Vec<_>>()
        };
        let new_slot =
            |draft: &mut Draft| draft.slot(Slot::new(wanted.clone().unwrap_or_default()));
        if is_merged {
            let slot = new_slot(draft);
            targets
                .iter()
                .for_each(|number| self.remove(*number, slot, draft));
            draft.push(
                scope.id(),
                Verb::Subtract.result(id.clone(), shown()),
                Some(slot),
            );
            return true;
        }
        for number in targets {
            let context = self.context_id(scope, number);
            let mut items = shown();
            if let Some(audit) = audit {
                items.extend(self.audit_still(number, audit));
            }
            let slot = new_slot(draft);
            self.remove(number, slot, draft);
            draft.push(
                context,
                Verb::Subtract.result(mirror::id_of(number), items),
                Some(slot),
            );
        }
        true
    }

    /// Adds the result of a command that went well, with what was asked for.
    fn report(
        &mut self,
        verb: Verb,
        scope: Scope,
        number: u32,
        mut applied: Applied,
        draft: &mut Draft,
    ) {
        let mut items = applied.descriptors();
        let mut slot = None;
        if let Some(audit) = &applied.audit {
            let audited;
            (audited, slot) = self.audit_items(number, audit, draft);
            items.extend(audited);
        }
        let context = self.context_id(scope, number);
        draft.push(context, verb.result(mirror::id_of(number), items), slot);
    }

    /// The context to report a termination under: its own, when the action names all.
    pub(super) fn context_id(&self, scope: Scope, number: u32) -> h248::ast::ContextId {
        let own = self
            .terminations
            .get(&number)
            .map(|t| Scope::Context(t.context));
        own.filter(|_| scope == Scope::Every).unwrap_or(scope).id()
    }

    /// Takes a termination, its sessions and all, to another context of its shard.
    fn relocate(&mut self, number: u32, context: u32, draft: &mut Draft) {
        let termination = self.terminations.get_mut(&number).expect("resolved");
        let from = core::mem::replace(&mut termination.context, context);
        let shard = termination.shard;
        let state = termination.settings.service_state;
        let sessions: Vec<u16> = termination
            .settings
            .streams
            .iter()
            .filter(|(_, stream)| stream.config(state).is_some())
            .map(|(&id, _)| id)
            .collect();
        let place = self
            .contexts
            .entry(context)
            .or_insert_with(|| mirror::Context::new(shard));
        place.terminations.insert(number);
        for stream in sessions {
            let session = SessionKey {
                termination: number,
                stream,
            };
            let order = Order::Move {
                session,
                context: self.group(context, stream),
            };
            self.order(shard, order, draft);
        }
        self.leave(from, number);
    }

    /// Applies descriptors to settings. Nothing else is changed: the caller puts them in place.
    fn apply(
        &mut self,
        settings: &mut Settings,
        site: (ShardIndex, u32),
        descriptors: &[Descriptor],
    ) -> Result<Applied, Fault> {
        let mut applied = Applied::default();
        check_once(descriptors)?;
        let mut signals: &[SignalItem] = &[];
        for descriptor in descriptors {
            match descriptor {
                Descriptor::Media(media) => {
                    self.apply_media(settings, site, media, &mut applied.chosen)?;
                }
                Descriptor::Events(events) => {
                    check_events(events)?;
                    settings.events = events.clone();
                }
                // They act on streams that the same command may make: left for the end.
                Descriptor::Signals(items) => signals = items,
                Descriptor::Audit(audit) => {
                    check_audit(audit)?;
                    applied.audit = Some(audit.clone());
                }
                Descriptor::Statistics(list) => {
                    // All are kept anyway.
                    list.iter()
                        .try_for_each(|s| package::check_statistic(&s.name))?;
                }
                // Profile: no event buffer, digit maps, modems or multiplexes; switching the
                // buffer off is no harm.
                Descriptor::EventBuffer(list) if list.is_empty() => {}
                Descriptor::EventBuffer(_)
                | Descriptor::DigitMap(_)
                | Descriptor::Mux { .. }
                | Descriptor::Modem { .. } => {
                    return Err(Fault::DescriptorUnsupported(name_of(descriptor)));
                }
                Descriptor::ObservedEvents(_)
                | Descriptor::Packages(_)
                | Descriptor::Error(_)
                | Descriptor::Empty(_) => {
                    return Err(Fault::DescriptorIllegal(name_of(descriptor)));
                }
            }
        }
        for signal in flattened(signals) {
            apply_signal(settings, signal, &mut applied.renewed)?;
        }
        Ok(applied)
    }

    fn apply_media(
        &mut self,
        settings: &mut Settings,
        site: (ShardIndex, u32),
        media: &Media,
        chosen: &mut Vec<h248::ast::Stream>,
    ) -> Result<(), Fault> {
        if let Some(state) = &media.termination_state {
            check_state(state, Place::Termination)?;
            settings.service_state = state.service_states.unwrap_or(settings.service_state);
        }
        match &media.streams {
            MediaStreams::One(parms) => {
                chosen.extend(self.apply_stream(settings, site, 1, parms)?);
            }
            MediaStreams::Multiple(streams) => {
                for (index, stream) in streams.iter().enumerate() {
                    if streams[..index].iter().any(|s| s.id == stream.id) {
                        return Err(Fault::DescriptorTwice("Stream"));
                    }
                    chosen.extend(self.apply_stream(settings, site, stream.id, &stream.parms)?);
                }
            }
        }
        Ok(())
    }

    /// Applies one stream's descriptors; returns what the reply must show of it.
    fn apply_stream(
        &mut self,
        settings: &mut Settings,
        (shard, number): (ShardIndex, u32),
        id: u16,
        parms: &StreamParms,
    ) -> Result<Option<h248::ast::Stream>, Fault> {
        let max = self.config.limits.streams_per_termination_max;
        if id == 0 {
            return Err(Fault::ValueUnsupported("Stream=0".to_owned()));
        }
        if !settings.streams.contains_key(&id) && settings.streams.len() >= max {
            return Err(Fault::InsufficientResources(format!("{max} streams")));
        }
        let mut shown = StreamParms::default();
        let stream = settings.streams.entry(id).or_default();
        if let Some(control) = &parms.local_control {
            media::set_control(stream, control)?;
        }
        if let Some(octets) = &parms.local {
            let random = self.random();
            let site = Self::site(&self.config, shard, number);
            if media::set_local(stream, octets, &site, random)? {
                let text = stream
                    .local
                    .as_ref()
                    .map(|l| l.text.clone())
                    .unwrap_or_default();
                shown.local = Some(h248::ast::OctetString(text));
            }
        }
        if let Some(octets) = &parms.remote {
            let is_chosen = media::set_remote(stream, octets, self.config.honour_sdp)?;
            if stream.local.is_none() && stream.remote.is_some() {
                return Err(Fault::LocalMissing(id));
            }
            if let (true, Some(remote)) = (is_chosen, &stream.remote) {
                shown.remote = Some(h248::ast::OctetString(remote.text.clone()));
            }
        }
        for statistic in parms.statistics.iter().flatten() {
            package::check_statistic(&statistic.name)?;
        }
        if (parms.local.is_some() || parms.remote.is_some()) && stream.is_empty() {
            settings.streams.remove(&id);
        }
        let is_shown = shown != StreamParms::default();
        Ok(is_shown.then_some(h248::ast::Stream { id, parms: shown }))
    }
}

/// Signals one after the other; lists play in order.
fn flattened(items: &[SignalItem]) -> impl Iterator<Item = &h248::ast::Signal> {
    items.iter().flat_map(|item| match item {
        SignalItem::Signal(signal) => core::slice::from_ref(signal),
        SignalItem::List { signals, .. } => signals.as_slice(),
    })
}

/// `EstBNC` and `RelBNC` (H.248.89): on one stream, or on all of the termination.
fn apply_signal(
    settings: &mut Settings,
    signal: &h248::ast::Signal,
    renewed: &mut BTreeSet<u16>,
) -> Result<(), Fault> {
    let kind = package::check_signal(&signal.name, &signal.parms)?;
    let wanted = signal.stream.filter(|s| *s != 0);
    if let Some(stream) = wanted.filter(|s| !settings.streams.contains_key(s)) {
        return Err(Fault::ValueUnsupported(format!("Stream={stream}")));
    }
    let streams = settings
        .streams
        .iter_mut()
        .filter(|(id, _)| wanted.is_none_or(|w| w == **id));
    for (&id, stream) in streams {
        match kind {
            SignalKind::Establish => {
                if stream.remote.as_ref().is_some_and(|r| r.to.is_none()) {
                    let what = "numeric address in Remote";
                    return Err(Fault::InformationMissing(what));
                }
                stream.is_established = true;
                renewed.insert(id);
            }
            SignalKind::Release if stream.is_established => stream.is_established = false,
            SignalKind::Release => {
                return Err(Fault::SignalUngenerable(
                    "tcpbcc/RelBNC while passive".to_owned(),
                ));
            }
        }
    }
    Ok(())
}

fn check_state(state: &TerminationState, place: Place) -> Result<(), Fault> {
    if state.buffer == Some(EventBufferControl::LockStep) {
        return Err(Fault::ValueUnsupported("Buffer=LockStep".to_owned()));
    }
    package::check_properties(&state.properties, place)
}

/// Profile: no embedded descriptors and digit maps; notification cannot be regulated.
fn check_events(events: &Events) -> Result<(), Fault> {
    if events.request_any {
        return Err(Fault::ValueUnsupported("Events=*".to_owned()));
    }
    for event in &events.events {
        package::check_event(&event.name, &event.parms)?;
        if event.embed.is_some() {
            return Err(Fault::NotImplemented("Embed"));
        }
        if event.digit_map.is_some() {
            return Err(Fault::NotImplemented("DigitMap"));
        }
        match event.notify {
            None | Some(NotifyBehaviour::Immediate) => {}
            Some(NotifyBehaviour::Never | NotifyBehaviour::Regulated(_)) => {
                return Err(Fault::NotImplemented("notification behaviour"));
            }
        }
    }
    notify::check_heartbeat(events)
}

/// Every kind of descriptor at most once.
fn check_once(descriptors: &[Descriptor]) -> Result<(), Fault> {
    for (index, descriptor) in descriptors.iter().enumerate() {
        let kind = core::mem::discriminant(descriptor);
        if descriptors[..index]
            .iter()
            .any(|d| core::mem::discriminant(d) == kind)
        {
            return Err(Fault::DescriptorTwice(name_of(descriptor)));
        }
    }
    Ok(())
}

/// Single items must exist.
pub(super) fn check_audit(audit: &AuditDescriptor) -> Result<(), Fault> {
    for item in &audit.items {
        if let AuditItem::Statistics(names) = item {
            names.iter().try_for_each(package::check_statistic)?;
        }
    }
    Ok(())
}

/// Which statistics an Audit asks for; `Some` of nothing = all.
pub(super) fn wanted_statistics(audit: &AuditDescriptor) -> Option<Vec<h248::ast::PackageItem>> {
    audit.items.iter().find_map(|item| match item {
        AuditItem::Whole(AuditToken::Statistics) => Some(Vec::new()),
        AuditItem::Statistics(names) => Some(names.clone()),
        AuditItem::Whole(_)
        | AuditItem::Media(_)
        | AuditItem::Events { .. }
        | AuditItem::EventBuffer(_)
        | AuditItem::Signals(_)
        | AuditItem::Packages(_)
        | AuditItem::DigitMap(_) => None,
    })
}

/// Whether an identifier may stand for several terminations.
pub(super) fn is_wildcard(id: &TerminationId) -> bool {
    match id {
        TerminationId::All => true,
        TerminationId::Name(name) => name.as_str().contains('*'),
        TerminationId::Root | TerminationId::Choose => false,
    }
}

/// A descriptor's token.
fn name_of(descriptor: &Descriptor) -> &'static str {
    match descriptor {
        Descriptor::Media(_) => "Media",
        Descriptor::Events(_) => "Events",
        Descriptor::EventBuffer(_) => "EventBuffer",
        Descriptor::Signals(_) => "Signals",
        Descriptor::DigitMap(_) => "DigitMap",
        Descriptor::Statistics(_) => "Statistics",
        Descriptor::Audit(_) => "Audit",
        Descriptor::ObservedEvents(_) => "ObservedEvents",
        Descriptor::Packages(_) => "Packages",
        Descriptor::Error(_) => "Error",
        Descriptor::Mux { .. } => "Mux",
        Descriptor::Modem { .. } => "Modem",
        Descriptor::Empty(_) => "audit token",
    }
}
