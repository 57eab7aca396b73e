//! The Media descriptor of a termination as it is, and what an audit names of one.

use h248::ast::{
    EventBufferControl, LocalControl, Media, MediaAudit, MediaAuditItem, MediaStreams, OctetString,
    PackageItem, PropertyParm, PropertyValue, StreamAudit, StreamParms, TerminationState, Value,
};

use crate::gateway::Config;
use crate::gateway::fault::{Fault, written};
use crate::gateway::mirror::Settings;
use crate::gateway::package::{self, Place};
use switch::Text;

/// Media as it is now. Statistics are left to be filled in: of all streams that keep their own.
pub(super) fn current(settings: &Settings) -> Media {
    let state = TerminationState {
        service_states: Some(settings.service_state),
        buffer: Some(EventBufferControl::Off),
        properties: Vec::new(),
    };
    let text = |text: &Text| OctetString(text.to_vec());
    let streams = settings.streams.iter().map(|(id, stream)| {
        let parms = StreamParms {
            local_control: Some(stream.control()),
            local: stream.local.as_ref().map(|l| text(&l.text)),
            remote: stream.remote.as_ref().map(|r| text(&r.text)),
            statistics: stream.extras().statistics.as_ref().map(|_| Vec::new()),
        };
        h248::ast::Stream { id, parms }
    });
    Media {
        termination_state: Some(state),
        streams: MediaStreams::Multiple(streams.collect()),
    }
}

/// The streams of a Media descriptor of ours.
fn streams(media: &Media) -> &[h248::ast::Stream] {
    match &media.streams {
        MediaStreams::Multiple(streams) => streams,
        MediaStreams::One(_) => &[],
    }
}

/// The items named by an audit for this stream: what is written without `Stream=` is of stream 1.
pub(super) fn of_stream(wanted: &MediaAudit, id: u16) -> Option<&StreamAudit> {
    let named = wanted.streams.iter().find(|s| s.id == id);
    named.or(wanted.one_stream.as_ref().filter(|_| id == 1))
}

/// Only what is named.
pub(super) fn narrowed(whole: Media, wanted: &MediaAudit, config: &Config) -> Media {
    if *wanted == MediaAudit::default() {
        return whole;
    }
    let narrow = |stream: &h248::ast::Stream| {
        let parms = narrowed_stream(&stream.parms, of_stream(wanted, stream.id)?, config);
        Some(h248::ast::Stream {
            id: stream.id,
            parms,
        })
    };
    let streams = streams(&whole).iter().filter_map(narrow).collect();
    let state = whole.termination_state.as_ref();
    Media {
        termination_state: state
            .zip(wanted.termination_state.as_ref())
            .map(|(state, items)| narrowed_state(state, items, Place::Termination, config)),
        streams: MediaStreams::Multiple(streams),
    }
}

/// Properties that have one of these names, if there are any.
pub(super) fn of_packages(whole: Media, names: &[PackageItem], config: &Config) -> Option<Media> {
    let wanted = names.iter().cloned();
    let wanted: Vec<_> = wanted.map(|n| MediaAuditItem::Property(n, None)).collect();
    let audit = MediaAudit {
        termination_state: None,
        streams: streams(&whole)
            .iter()
            .map(|stream| StreamAudit {
                id: stream.id,
                local_control: Some(wanted.clone()),
                ..StreamAudit::default()
            })
            .collect(),
        one_stream: None,
    };
    let mut media = narrowed(whole, &audit, config);
    if let MediaStreams::Multiple(streams) = &mut media.streams {
        streams.retain(|stream| stream.parms != StreamParms::default());
    }
    says_something(&media).then_some(media)
}

/// What further instances of a capability say: values of which a descriptor shows one.
pub(super) fn without_properties(mut media: Media) -> Media {
    if let Some(state) = &mut media.termination_state {
        state.properties.clear();
    }
    if let MediaStreams::Multiple(streams) = &mut media.streams {
        for stream in streams.iter_mut() {
            let control = stream.parms.local_control.take();
            stream.parms.local_control = control
                .map(|control| LocalControl {
                    properties: Vec::new(),
                    ..control
                })
                .filter(|control| *control != LocalControl::default());
        }
        streams.retain(|stream| stream.parms != StreamParms::default());
    }
    media
}

/// Whether any value is in it.
pub(super) fn says_something(media: &Media) -> bool {
    let state = media.termination_state.as_ref();
    let mut streams = streams(media).iter();
    state.is_some_and(|state| *state != TerminationState::default())
        || streams.any(|stream| stream.parms != StreamParms::default())
}

fn narrowed_stream(whole: &StreamParms, wanted: &StreamAudit, config: &Config) -> StreamParms {
    let is_whole = *wanted
        == StreamAudit {
            id: wanted.id,
            ..StreamAudit::default()
        };
    if is_whole {
        return whole.clone();
    }
    let control = whole.local_control.as_ref();
    let control = control.zip(wanted.local_control.as_ref());
    StreamParms {
        local_control: control
            .map(|(whole, items)| narrowed_control(whole, items, config))
            // Written, it would say that Mode is Inactive.
            .filter(|control| *control != LocalControl::default()),
        local: whole.local.clone().filter(|_| wanted.local.is_some()),
        remote: whole.remote.clone().filter(|_| wanted.remote.is_some()),
        statistics: wanted.statistics.as_ref().map(|_| Vec::new()),
    }
}

/// What is named of a TerminationState; all of it when nothing is.
pub(super) fn narrowed_state(
    whole: &TerminationState,
    items: &[MediaAuditItem],
    place: Place,
    config: &Config,
) -> TerminationState {
    if items.is_empty() {
        return whole.clone();
    }
    let has = |test: fn(&MediaAuditItem) -> bool| items.iter().any(test);
    TerminationState {
        service_states: whole
            .service_states
            .filter(|_| has(|i| matches!(i, MediaAuditItem::ServiceStates(_)))),
        buffer: whole
            .buffer
            .filter(|_| has(|i| matches!(i, MediaAuditItem::Buffer))),
        properties: named(
            &package::with_defaults(&whole.properties, place, config),
            items,
        ),
    }
}

fn narrowed_control(
    whole: &LocalControl,
    items: &[MediaAuditItem],
    config: &Config,
) -> LocalControl {
    if items.is_empty() {
        return whole.clone();
    }
    let has = |test: fn(&MediaAuditItem) -> bool| items.iter().any(test);
    LocalControl {
        mode: whole
            .mode
            .filter(|_| has(|i| matches!(i, MediaAuditItem::Mode(_)))),
        reserved_value: whole
            .reserved_value
            .filter(|_| has(|i| matches!(i, MediaAuditItem::ReservedValue))),
        reserved_group: whole
            .reserved_group
            .filter(|_| has(|i| matches!(i, MediaAuditItem::ReservedGroup))),
        properties: named(
            &package::with_defaults(&whole.properties, Place::Stream, config),
            items,
        ),
    }
}

/// The properties named, in the order of the list.
fn named(properties: &[PropertyParm], items: &[MediaAuditItem]) -> Vec<PropertyParm> {
    let is_named = |parm: &&PropertyParm| {
        let name = (parm.name.package().as_str(), parm.name.item().as_str());
        items
            .iter()
            .any(|item| matches!(item, MediaAuditItem::Property(n, _) if package::covers(n, name)))
    };
    properties.iter().filter(is_named).cloned().collect()
}

/// Checks that what an audit names exists.
pub(super) fn check(whole: &Media, wanted: &MediaAudit, config: &Config) -> Result<(), Fault> {
    if let Some(items) = &wanted.termination_state {
        check_items(items, Place::Termination, config)?;
    }
    for stream in wanted.streams.iter().chain(&wanted.one_stream) {
        let id = if stream.id == 0 { 1 } else { stream.id };
        if !streams(whole).iter().any(|s| s.id == id) {
            return Err(Fault::AuditedUnknown(format!("Stream={id}")));
        }
        let statistics = stream.statistics.iter().flatten();
        statistics
            .into_iter()
            .try_for_each(|name| package::check_statistic_name(name, config))?;
        if let Some(items) = &stream.local_control {
            check_items(items, Place::Stream, config)?;
        }
    }
    Ok(())
}

/// Checks that properties exist at their place.
pub(super) fn check_items(
    items: &[MediaAuditItem],
    place: Place,
    config: &Config,
) -> Result<(), Fault> {
    for item in items {
        if let MediaAuditItem::Property(name, _) = item
            && !package::has_property(name, place, config)
        {
            return Err(Fault::AuditedUnknown(written(name)));
        }
    }
    Ok(())
}

/// What the values written in an audit select (version 3): each `true` if it is so; nothing when
/// no value is written.
pub(super) fn selects(whole: &Media, wanted: &MediaAudit, config: &Config) -> Vec<bool> {
    let mut verdicts = Vec::new();
    if let (Some(state), Some(items)) = (&whole.termination_state, &wanted.termination_state) {
        for item in items {
            match item {
                MediaAuditItem::ServiceStates(Some((is_equal, asked))) => {
                    verdicts.push((state.service_states == Some(*asked)) == *is_equal);
                }
                MediaAuditItem::Property(name, Some(asked)) => {
                    let set = package::with_defaults(&state.properties, Place::Termination, config);
                    verdicts.push(has_value(&set, name, asked));
                }
                MediaAuditItem::ServiceStates(None)
                | MediaAuditItem::Buffer
                | MediaAuditItem::Mode(_)
                | MediaAuditItem::ReservedValue
                | MediaAuditItem::ReservedGroup
                | MediaAuditItem::Property(_, None) => {}
            }
        }
    }
    for asked in wanted.streams.iter().chain(&wanted.one_stream) {
        let id = if asked.id == 0 { 1 } else { asked.id };
        let stream = streams(whole).iter().find(|s| s.id == id);
        // A stream that is not there has none of these values.
        let control = stream.and_then(|s| s.parms.local_control.as_ref());
        for item in asked.local_control.iter().flatten() {
            match item {
                MediaAuditItem::Mode(Some((is_equal, asked))) => {
                    let has = |c: &LocalControl| (c.mode == Some(*asked)) == *is_equal;
                    verdicts.push(control.is_some_and(has));
                }
                MediaAuditItem::Property(name, Some(asked)) => {
                    let set = |c: &LocalControl| {
                        package::with_defaults(&c.properties, Place::Stream, config)
                    };
                    verdicts.push(control.is_some_and(|c| has_value(&set(c), name, asked)));
                }
                MediaAuditItem::ServiceStates(_)
                | MediaAuditItem::Buffer
                | MediaAuditItem::Mode(None)
                | MediaAuditItem::ReservedValue
                | MediaAuditItem::ReservedGroup
                | MediaAuditItem::Property(_, None) => {}
            }
        }
    }
    verdicts
}

fn has_value(
    properties: &[PropertyParm],
    name: &h248::ast::PackageItem,
    asked: &PropertyValue,
) -> bool {
    let set = properties.iter().find(|p| p.name == *name);
    let Some(value) = set.and_then(|p| package::one(&p.value)) else {
        return false;
    };
    let is_same = |v: &Value| v.text.eq_ignore_ascii_case(&value.text);
    let number = package::integer(value);
    let than = |v: &Value| number.zip(package::integer(v));
    match asked {
        PropertyValue::Is(v) => is_same(v),
        PropertyValue::NotEqual(v) => !is_same(v),
        PropertyValue::OneOf(list) | PropertyValue::AllOf(list) => list.iter().any(is_same),
        PropertyValue::GreaterThan(v) => than(v).is_some_and(|(n, v)| n > v),
        PropertyValue::LessThan(v) => than(v).is_some_and(|(n, v)| n < v),
        PropertyValue::Range(range) => {
            let [from, to] = range.each_ref().map(than);
            from.is_some_and(|(n, from)| n >= from) && to.is_some_and(|(n, to)| n <= to)
        }
    }
}
