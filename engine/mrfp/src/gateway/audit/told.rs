//! What an audited termination has, and what it could have.

use h248::ast::{
    AuditItem, AuditToken, Descriptor, Events, ObservedEvent, ObservedEvents, PackageItem,
    PackageVersion, SignalAudit, SignalItem,
};

use super::named::{is_other, named_events, named_signals};
use super::{capability, media};
use crate::gateway::core::Core;
use crate::gateway::mirror::{Settings, Termination};
use crate::gateway::package;
use crate::gateway::signals;
use crate::gateway::statistics;

impl Core {
    /// What is there now; the termination's statistics are left out.
    pub(super) fn current(&self, termination: &Termination, entry: &AuditItem) -> Vec<Descriptor> {
        let settings = &termination.settings;
        let told = match entry {
            AuditItem::Whole(AuditToken::Media) => Descriptor::Media(media::current(settings)),
            AuditItem::Media(wanted) => {
                let whole = media::current(settings);
                Descriptor::Media(media::narrowed(whole, wanted, &self.config))
            }
            AuditItem::Whole(AuditToken::Statistics) | AuditItem::Statistics(_) => {
                return Vec::new();
            }
            AuditItem::Whole(AuditToken::ObservedEvents)
                if !termination.notify.queue.is_empty() =>
            {
                let queue = &termination.notify.queue;
                // A descriptor has one RequestID: that of the newest.
                let request_id = queue.last().map_or(0, |(id, _)| *id);
                let of_it = queue.iter().filter(|(id, _)| *id == request_id);
                Descriptor::ObservedEvents(ObservedEvents {
                    request_id,
                    events: of_it.map(|(_, event)| event.clone()).collect(),
                })
            }
            AuditItem::Events { request_id, .. } if is_other(*request_id, &settings.events) => {
                Descriptor::Events(Events::default())
            }
            AuditItem::Packages(list) => return self.of_packages(settings, list),
            AuditItem::Whole(_)
            | AuditItem::Events { .. }
            | AuditItem::EventBuffer(_)
            | AuditItem::Signals(_)
            | AuditItem::DigitMap(_) => {
                let running = signals::items(settings.signals.iter());
                self.common(entry, &settings.events, &running)
            }
        };
        vec![told]
    }

    /// What could be; several instances of Media where one value alone could be written in one.
    pub(super) fn possible(&self, termination: &Termination, entry: &AuditItem) -> Vec<Descriptor> {
        let media = || {
            let streams = &termination.settings.streams;
            let first = Some(1).filter(|_| streams.is_empty());
            self.media_capabilities(streams.ids().chain(first))
        };
        let told = match entry {
            AuditItem::Whole(AuditToken::Media) => {
                return media().into_iter().map(Descriptor::Media).collect();
            }
            AuditItem::Media(wanted) => {
                let mut all = media()
                    .into_iter()
                    .map(|m| media::narrowed(m, wanted, &self.config));
                let first = all.next();
                let others = all.map(media::without_properties);
                let others = others.filter(media::says_something);
                return first
                    .into_iter()
                    .chain(others)
                    .map(Descriptor::Media)
                    .collect();
            }
            AuditItem::Whole(AuditToken::Statistics) => {
                Descriptor::Statistics(capability::statistics(&[]))
            }
            AuditItem::Statistics(wanted) => Descriptor::Statistics(capability::statistics(wanted)),
            AuditItem::Whole(AuditToken::ObservedEvents) => active(&termination.settings.events),
            AuditItem::Whole(_)
            | AuditItem::Events { .. }
            | AuditItem::EventBuffer(_)
            | AuditItem::Signals(_)
            | AuditItem::Packages(_)
            | AuditItem::DigitMap(_) => self.common(
                entry,
                &capability::events(false, &self.config),
                &capability::signals(&self.config),
            ),
        };
        vec![told]
    }

    /// Descriptors that are told in the same way of all.
    pub(super) fn common(
        &self,
        entry: &AuditItem,
        events: &Events,
        signals: &[SignalItem],
    ) -> Descriptor {
        match entry {
            AuditItem::Whole(AuditToken::Events) => Descriptor::Events(events.clone()),
            AuditItem::Events { events: named, .. } => {
                Descriptor::Events(named_events(events, named))
            }
            AuditItem::Whole(AuditToken::Signals) => Descriptor::Signals(signals.to_vec()),
            AuditItem::Signals(named) => Descriptor::Signals(named_signals(signals, named)),
            AuditItem::Whole(AuditToken::Packages) => {
                Descriptor::Packages(package::versions(&self.config))
            }
            AuditItem::Packages(list) => Descriptor::Packages(list.clone()),
            AuditItem::Whole(AuditToken::EventBuffer) | AuditItem::EventBuffer(_) => {
                Descriptor::EventBuffer(Vec::new())
            }
            AuditItem::Statistics(_) => statistics::pending(),
            // There is no map, modem or multiplex.
            AuditItem::Whole(_) | AuditItem::DigitMap(_) | AuditItem::Media(_) => {
                Descriptor::Empty(entry.token())
            }
        }
    }

    /// A package that is audited by its name comes with all of its properties, events and signals that
    /// are there (H.248.1 version 2, section 7.2.5); statistics are awaited elsewhere.
    fn of_packages(&self, settings: &Settings, list: &[PackageVersion]) -> Vec<Descriptor> {
        let names = every_item(list);
        let mut told = vec![Descriptor::Packages(list.to_vec())];
        let media = media::of_packages(media::current(settings), &names, &self.config);
        told.extend(media.map(Descriptor::Media));
        let running = signals::items(settings.signals.iter());
        told.extend(events_and_signals(&settings.events, &running, &names));
        told
    }
}

/// The names of the events that are armed (H.248.1 section 7.2.6).
pub(super) fn active(events: &Events) -> Descriptor {
    let (Some(request_id), false) = (events.request_id, events.events.is_empty()) else {
        return Descriptor::Empty(AuditToken::ObservedEvents);
    };
    let events = events.events.iter().map(|spec| ObservedEvent {
        time: None,
        name: spec.name.clone(),
        stream: None,
        parms: Vec::new(),
    });
    Descriptor::ObservedEvents(ObservedEvents {
        request_id,
        events: events.collect(),
    })
}

/// `package/*` of each.
pub(super) fn every_item(list: &[PackageVersion]) -> Vec<PackageItem> {
    let names = list.iter().map(|package| package.name.as_str());
    names.map(|name| PackageItem::new(name, "*")).collect()
}

/// Those of the events and signals that have one of these names.
pub(super) fn events_and_signals(
    events: &Events,
    signals: &[SignalItem],
    names: &[PackageItem],
) -> Vec<Descriptor> {
    let events = named_events(events, names);
    let singly = names.iter().cloned().map(SignalAudit::Signal);
    let lists = signals.iter().filter_map(|item| match item {
        SignalItem::List { id, .. } => Some(*id),
        SignalItem::Signal(_) => None,
    });
    let in_lists = lists.flat_map(|id| {
        let signals = names.iter().cloned().map(Some);
        signals.map(move |signal| SignalAudit::List { id, signal })
    });
    let wanted: Vec<SignalAudit> = singly.chain(in_lists).collect();
    let signals = named_signals(signals, &wanted);
    let events = (!events.events.is_empty()).then_some(Descriptor::Events(events));
    let signals = (!signals.is_empty()).then_some(Descriptor::Signals(signals));
    events.into_iter().chain(signals).collect()
}
