//! What an audit names, out of what there is.

use h248::ast::{
    AuditDescriptor, AuditItem, Descriptor, EventSpec, Events, Media, MediaStreams, PackageItem,
    Signal, SignalAudit, SignalItem,
};

use super::media;
use crate::gateway::package::{self, covers};

/// Whether an audit asks for the events of a RequestID that is not the one of `events`.
pub(super) fn is_other(asked: Option<u32>, events: &Events) -> bool {
    asked.is_some_and(|id| id != ANY_REQUEST && events.request_id != Some(id))
}

/// `*` as a RequestID.
const ANY_REQUEST: u32 = u32::MAX;

pub(super) fn named_events(events: &Events, wanted: &[PackageItem]) -> Events {
    let is_wanted = |spec: &&EventSpec| {
        let name = (spec.name.package().as_str(), spec.name.item().as_str());
        wanted.is_empty() || wanted.iter().any(|w| covers(w, name))
    };
    let named: Vec<EventSpec> = events.events.iter().filter(is_wanted).cloned().collect();
    if named.is_empty() {
        return Events::default();
    }
    Events {
        events: named,
        ..events.clone()
    }
}

pub(super) fn named_signals(signals: &[SignalItem], wanted: &[SignalAudit]) -> Vec<SignalItem> {
    let covers = |name: &PackageItem, signal: &Signal| {
        let package = signal.name.package().as_str();
        covers(name, (package, signal.name.item().as_str()))
    };
    let told = signals.iter().filter_map(|item| match item {
        SignalItem::Signal(signal) => {
            let is_named = wanted.iter().any(|w| match w {
                SignalAudit::Signal(name) => covers(name, signal),
                SignalAudit::Detailed(asked) => asked.name == signal.name,
                SignalAudit::List { .. } => false,
            });
            is_named.then(|| item.clone())
        }
        SignalItem::List { id, signals } => {
            let is_named = |signal: &&Signal| {
                wanted.iter().any(|w| match w {
                    SignalAudit::List {
                        id: list,
                        signal: s,
                    } if list == id => s.as_ref().is_none_or(|name| covers(name, signal)),
                    SignalAudit::List { .. }
                    | SignalAudit::Signal(_)
                    | SignalAudit::Detailed(_) => false,
                })
            };
            let signals: Vec<Signal> = signals.iter().filter(is_named).cloned().collect();
            (!signals.is_empty()).then_some(SignalItem::List { id: *id, signals })
        }
    });
    told.collect()
}

/// Streams in these descriptors whose statistics are awaited.
pub(super) fn awaited_streams(items: &[Descriptor]) -> Vec<u16> {
    let mut awaited = Vec::new();
    for item in items {
        if let Descriptor::Media(Media {
            streams: MediaStreams::Multiple(streams),
            ..
        }) = item
        {
            let with = streams.iter().filter(|s| s.parms.statistics.is_some());
            awaited.extend(with.map(|s| s.id));
        }
    }
    awaited
}

/// The signal that an audit names.
pub(super) fn name_of(asked: &SignalAudit) -> Option<&PackageItem> {
    match asked {
        SignalAudit::Signal(name) => Some(name),
        SignalAudit::Detailed(signal) => Some(&signal.name),
        SignalAudit::List { signal, .. } => signal.as_ref(),
    }
}

/// Which statistics of a stream an audit names.
pub(super) fn named_statistics(asked: &AuditDescriptor, stream: u16) -> Option<Vec<PackageItem>> {
    let mut media = asked.items.iter().filter_map(AuditItem::media);
    media.find_map(|wanted| media::of_stream(wanted, stream)?.statistics.clone())
}

/// Which statistics an Audit asks for, those of packages that are audited by their name among them;
/// `Some` of nothing = all.
pub(in crate::gateway) fn wanted_statistics(asked: &AuditDescriptor) -> Option<Vec<PackageItem>> {
    let mut wanted: Option<Vec<PackageItem>> = None;
    for entry in &asked.items {
        let names = match (entry.statistics(), entry.packages()) {
            (Some([]), _) => return Some(Vec::new()),
            (Some(names), _) => names.to_vec(),
            (None, Some(list)) => package::with_statistics(list),
            (None, None) => continue,
        };
        if !names.is_empty() {
            wanted.get_or_insert_default().extend(names);
        }
    }
    wanted
}
