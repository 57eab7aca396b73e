//! Turns the descriptors of a command into new settings of a termination, or refuses them whole.

use std::collections::BTreeSet;

use h248::ast::{
    AuditDescriptor, Descriptor, EventBufferControl, Events, LocalControl, Media, MediaStreams,
    NotifyBehaviour, PropertyParm, Signal, SignalDirection, SignalItem, StreamParms,
    TerminationState,
};
use switch::ShardIndex;

use super::Config;
use super::core::Core;
use super::fault::{Fault, written};
use super::media;
use super::mirror::Settings;
use super::package::{self, Place, Settled, SignalKind};
use super::quality;
use super::quota;
use super::signals::{self, Lasting};

/// What the descriptors of a command amount to.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// Goes into the reply: what was left to us.
    pub chosen: Vec<h248::ast::Stream>,
    /// Streams whose connection is wanted anew.
    pub renewed: BTreeSet<u16>,
    /// Streams whose connection is given up.
    pub released: BTreeSet<u16>,
    pub audit: Option<AuditDescriptor>,
    /// Signals that were over at once, with their list.
    pub brief: Vec<(Option<u16>, Signal)>,
    /// Events with what was left to us filled in.
    pub events: Option<Events>,
    /// Signals with what was left to us filled in.
    pub signals: Vec<SignalItem>,
}

impl Applied {
    pub(super) fn descriptors(&mut self) -> Vec<Descriptor> {
        let mut descriptors = Vec::new();
        let streams = core::mem::take(&mut self.chosen);
        if !streams.is_empty() {
            descriptors.push(Descriptor::Media(Media {
                termination_state: None,
                streams: MediaStreams::Multiple(streams),
            }));
        }
        descriptors.extend(self.events.take().map(Descriptor::Events));
        let signals = core::mem::take(&mut self.signals);
        if !signals.is_empty() {
            descriptors.push(Descriptor::Signals(signals));
        }
        descriptors
    }
}

impl Core {
    /// Applies descriptors to settings. Nothing else is changed: the caller puts them in place.
    pub(super) fn apply(
        &mut self,
        settings: &mut Settings,
        site: (ShardIndex, u32),
        descriptors: &[Descriptor],
    ) -> Result<Applied, Fault> {
        let mut applied = Applied::default();
        check_once(descriptors)?;
        let mut signals: Option<&[SignalItem]> = None;
        for descriptor in descriptors {
            match descriptor {
                Descriptor::Media(media) => {
                    self.apply_media(settings, site, media, &mut applied.chosen)?;
                }
                Descriptor::Events(events) => {
                    let (events, chosen) = settle_events(events, Place::Stream, &self.config)?;
                    settings.quotas = quota::granted(&events)?;
                    settings.qualities = quality::thresholds(&events)?;
                    settings.events = events;
                    applied.events = chosen;
                }
                // They act on streams that the same command may make: left for the end.
                Descriptor::Signals(items) => signals = Some(items),
                Descriptor::Audit(asked) => applied.audit = Some(asked.clone()),
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
        if let Some(items) = signals {
            self.apply_signals(settings, items, &mut applied)?;
        }
        if let Some(asked) = &applied.audit {
            self.check_asked(settings, asked)?;
        }
        settings.place_recordings();
        Ok(applied)
    }

    /// Replaces the signals.
    fn apply_signals(
        &mut self,
        settings: &mut Settings,
        items: &[SignalItem],
        applied: &mut Applied,
    ) -> Result<(), Fault> {
        let before = core::mem::take(&mut settings.signals);
        for (list, signal) in flattened(items) {
            let mut signal = signal.clone();
            let (kind, is_chosen) = package::settle_signal(&mut signal, &self.config)?;
            check_form(&signal)?;
            match kind {
                // One that is not playing is not begun by KeepActive.
                SignalKind::Establish
                | SignalKind::Release
                | SignalKind::EstablishTls
                | SignalKind::ReleaseTls
                    if signal.keep_active => {}
                SignalKind::Establish
                | SignalKind::Release
                | SignalKind::EstablishTls
                | SignalKind::ReleaseTls => {
                    apply_signal(settings, &signal, kind, applied)?;
                    applied.brief.push((list, signal));
                }
                SignalKind::PlayMessage | SignalKind::RecordMessages => {
                    let new = (list, signal, is_chosen);
                    self.plan(settings, &before, new, kind)?;
                }
            }
        }
        applied.signals = chosen_signals(settings, &before);
        Ok(())
    }

    fn apply_media(
        &mut self,
        settings: &mut Settings,
        site: (ShardIndex, u32),
        media: &Media,
        chosen: &mut Vec<h248::ast::Stream>,
    ) -> Result<(), Fault> {
        if let Some(state) = &media.termination_state {
            // No package of ours has properties of terminations.
            check_state(state, Place::Termination, &[], &self.config)?;
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
        if !settings.streams.contains(id) && settings.streams.len() >= max {
            return Err(Fault::InsufficientResources(format!("{max} streams")));
        }
        let mut shown = StreamParms::default();
        let stream = settings.streams.get_or_make(id);
        if let Some(control) = &parms.local_control {
            let chosen = media::set_control(stream, control, &self.config)?;
            if !chosen.is_empty() {
                shown.local_control = Some(LocalControl {
                    properties: chosen,
                    ..LocalControl::default()
                });
            }
        }
        if let Some(octets) = &parms.local {
            let random = self.random();
            let site = Self::site(&self.config, shard, number);
            if media::set_local(stream, octets, &site, random)? {
                let text = stream
                    .local
                    .as_ref()
                    .map(|l| l.text.to_vec())
                    .unwrap_or_default();
                shown.local = Some(h248::ast::OctetString(text));
            }
        }
        if let Some(octets) = &parms.remote {
            let site = Self::site(&self.config, shard, number);
            let is_chosen = media::set_remote(stream, octets, &site)?;
            if stream.local.is_none() && stream.remote.is_some() {
                return Err(Fault::LocalMissing(id));
            }
            if let (true, Some(remote)) = (is_chosen, &stream.remote) {
                shown.remote = Some(h248::ast::OctetString(remote.text.to_vec()));
            }
        }
        if let Some(list) = &parms.statistics {
            list.iter()
                .try_for_each(|s| package::check_statistic(&s.name))?;
            let names = list.iter().map(|s| s.name.clone());
            let names = Some(names.collect());
            stream.change_extras(|extras| extras.statistics = names);
        }
        if (parms.local.is_some() || parms.remote.is_some()) && stream.is_empty() {
            settings.streams.remove(id);
        }
        let is_shown = shown != StreamParms::default();
        Ok(is_shown.then_some(h248::ast::Stream { id, parms: shown }))
    }
}

/// Signals one after the other, with their list.
fn flattened(items: &[SignalItem]) -> impl Iterator<Item = (Option<u16>, &Signal)> {
    items.iter().flat_map(|item| {
        let (list, signals) = match item {
            SignalItem::Signal(signal) => (None, core::slice::from_ref(signal)),
            SignalItem::List { id, signals } => (Some(*id), signals.as_slice()),
        };
        signals.iter().map(move |signal| (list, signal))
    })
}

/// New signals of which something was left to us.
fn chosen_signals(settings: &Settings, before: &[Lasting]) -> Vec<SignalItem> {
    let is_new = |s: &&Lasting| !before.iter().any(|b| b.serial == s.serial);
    let is_chosen = |s: &&Lasting| s.is_chosen;
    let chosen = settings.signals.iter().filter(is_new).filter(is_chosen);
    signals::items(chosen)
}

/// `EstBNC` and `RelBNC` (H.248.89): on one stream, or on all of the termination.
fn apply_signal(
    settings: &mut Settings,
    signal: &Signal,
    kind: SignalKind,
    applied: &mut Applied,
) -> Result<(), Fault> {
    let wanted = signal.stream.filter(|s| *s != 0);
    if let Some(stream) = wanted.filter(|s| !settings.streams.contains(*s)) {
        return Err(Fault::ValueUnsupported(format!("Stream={stream}")));
    }
    // One that has no Remote yet connects when it gets one; where nothing is, nothing ever would.
    let is_opening = matches!(kind, SignalKind::Establish | SignalKind::EstablishTls);
    if is_opening && settings.streams.is_empty() {
        return Err(Fault::LocalMissing(1));
    }
    let streams = settings
        .streams
        .iter_mut()
        .filter(|(id, _)| wanted.is_none_or(|w| w == *id));
    for (id, stream) in streams {
        let is_tls = matches!(kind, SignalKind::EstablishTls | SignalKind::ReleaseTls);
        if is_tls && !stream.is_secure() {
            return Err(Fault::SignalUngenerable(written(&signal.name)));
        }
        match kind {
            // The connection and the TLS session on it come and go together.
            SignalKind::Establish | SignalKind::EstablishTls => {
                if stream.remote.as_ref().is_some_and(|r| r.to.is_none()) {
                    let what = "numeric address in Remote";
                    return Err(Fault::InformationMissing(what));
                }
                stream.is_established = true;
                applied.renewed.insert(id);
            }
            SignalKind::Release | SignalKind::ReleaseTls => {
                stream.is_established = false;
                applied.released.insert(id);
            }
            // They go on: not applied to the streams, but planned.
            SignalKind::PlayMessage | SignalKind::RecordMessages => {}
        }
    }
    Ok(())
}

/// Profile: no direction of signals (TS 29.333 5.7.4); type and duration of ours are their own.
fn check_form(signal: &Signal) -> Result<(), Fault> {
    match signal.direction {
        Some(SignalDirection::Internal | SignalDirection::Both) => {
            Err(Fault::NotImplemented("SPADirection"))
        }
        Some(SignalDirection::External) | None => Ok(()),
    }
}

/// The properties of a TerminationState, `before` being those that were set.
pub(super) fn check_state(
    state: &TerminationState,
    place: Place,
    before: &[PropertyParm],
    config: &Config,
) -> Result<Settled, Fault> {
    if state.buffer == Some(EventBufferControl::LockStep) {
        return Err(Fault::ValueUnsupported("Buffer=LockStep".to_owned()));
    }
    package::settle(&state.properties, place, before, config)
}

/// Events with what was left to us filled in, and those alone of which something was.
///
/// Profile: no embedded descriptors and digit maps; notification cannot be regulated.
pub(super) fn settle_events(
    events: &Events,
    place: Place,
    config: &Config,
) -> Result<(Events, Option<Events>), Fault> {
    if events.request_any {
        return Err(Fault::ValueUnsupported("Events=*".to_owned()));
    }
    let mut events = events.clone();
    let mut chosen = Vec::new();
    for event in &mut events.events {
        if package::settle_event(event, place, config)? {
            chosen.push(event.clone());
        }
        if event.embed.is_some() {
            return Err(Fault::NotImplemented("Embed"));
        }
        if event.reset_events {
            return Err(Fault::NotImplemented("ResetEventsDescriptor"));
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
    let chosen = (!chosen.is_empty()).then(|| Events {
        events: chosen,
        ..events.clone()
    });
    Ok((events, chosen))
}

/// Every kind of descriptor at most once.
pub(super) fn check_once(descriptors: &[Descriptor]) -> Result<(), Fault> {
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

/// A descriptor's token.
pub(super) fn name_of(descriptor: &Descriptor) -> &'static str {
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
