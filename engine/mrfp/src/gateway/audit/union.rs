//! The one reply for all matches of a wildcard (`W-`): the union of what each would have said, duplicate
//! values suppressed (H.248.1 section 6.2.2).
//!
//! What one descriptor cannot say twice is said in another instance of it: instances are alternatives,
//! each parameter by itself (7.2.5).

use core::mem::Discriminant;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use h248::ast::{
    AuditToken, Descriptor, EventSpec, LocalControl, Media, MediaStreams, PropertyParm, SignalItem,
    Stream, StreamParms, TerminationState,
};

/// The stream id of what belongs to the termination.
const OF_TERMINATION: u16 = 0;

/// Descriptors of several terminations as those of one.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Union {
    items: Vec<Descriptor>,
    /// Where what goes into one descriptor stands.
    places: HashMap<Kind, usize>,
    /// Parameters of Media that were said, as written, with their stream.
    said: HashSet<(u16, Box<[u8]>)>,
}

impl Union {
    /// Adds what another termination says.
    pub(in crate::gateway) fn extend(&mut self, items: impl IntoIterator<Item = Descriptor>) {
        items.into_iter().for_each(|item| self.add(item));
    }

    pub(in crate::gateway) fn into_items(self) -> Vec<Descriptor> {
        self.items
    }

    fn add(&mut self, item: Descriptor) {
        if let Descriptor::Media(media) = item {
            self.add_media(media);
            return;
        }
        let place = match self.places.entry(Kind::of(&item)) {
            Entry::Occupied(place) => *place.get(),
            Entry::Vacant(place) => {
                place.insert(self.items.len());
                return self.items.push(item);
            }
        };
        match (&mut self.items[place], item) {
            (Descriptor::Events(known), Descriptor::Events(more)) => {
                unite::<EventSpec>(&mut known.events, more.events);
            }
            (Descriptor::Signals(known), Descriptor::Signals(more)) => {
                unite::<SignalItem>(known, more);
            }
            (Descriptor::ObservedEvents(known), Descriptor::ObservedEvents(more)) => {
                known.events.extend(more.events);
            }
            // The same for all terminations.
            _ => {}
        }
    }

    /// What was not said goes into the first Media where its stream is not there yet, and otherwise
    /// into one of its own.
    fn add_media(&mut self, media: Media) {
        let is_first = !self.items.iter().any(is_media);
        let state = media.termination_state.map(|state| self.new_state(state));
        let MediaStreams::Multiple(streams) = media.streams else {
            return;
        };
        let mut streams: Vec<Stream> = streams
            .into_iter()
            .map(|stream| self.new_stream(stream))
            .collect();
        if is_first {
            self.items.push(Descriptor::Media(Media {
                termination_state: state,
                streams: MediaStreams::Multiple(streams),
            }));
            return;
        }
        streams.retain(|stream| stream.parms != StreamParms::default());
        let first = self.items.iter_mut().find(|item| is_media(item));
        if let Some(Descriptor::Media(Media {
            streams: MediaStreams::Multiple(known),
            ..
        })) = first
        {
            let is_there = |stream: &Stream| known.iter().any(|k| k.id == stream.id);
            let (there, new): (Vec<_>, Vec<_>) = streams.into_iter().partition(is_there);
            known.extend(new);
            streams = there;
        }
        let state = state.filter(|state| *state != TerminationState::default());
        if state.is_some() || !streams.is_empty() {
            self.items.push(Descriptor::Media(Media {
                termination_state: state,
                streams: MediaStreams::Multiple(streams),
            }));
        }
    }

    fn new_state(&mut self, state: TerminationState) -> TerminationState {
        TerminationState {
            service_states: self.unsaid(OF_TERMINATION, "SI", state.service_states),
            buffer: self.unsaid(OF_TERMINATION, "BF", state.buffer),
            properties: self.new_properties(OF_TERMINATION, state.properties),
        }
    }

    fn new_stream(&mut self, Stream { id, parms }: Stream) -> Stream {
        let control = parms.local_control.map(|control| LocalControl {
            mode: self.unsaid(id, "MO", control.mode),
            reserved_value: self.unsaid(id, "RV", control.reserved_value),
            reserved_group: self.unsaid(id, "RG", control.reserved_group),
            properties: self.new_properties(id, control.properties),
        });
        let parms = StreamParms {
            // Written, an empty one would say that Mode is Inactive.
            local_control: control.filter(|control| *control != LocalControl::default()),
            local: parms.local.filter(|text| self.is_new(id, b"L", &text.0)),
            remote: parms.remote.filter(|text| self.is_new(id, b"R", &text.0)),
            // Numbers of several terminations are added up for the whole alone.
            statistics: None,
        };
        Stream { id, parms }
    }

    fn new_properties(&mut self, stream: u16, all: Vec<PropertyParm>) -> Vec<PropertyParm> {
        let mut all = all;
        all.retain(|parm| {
            let name = parm.name.to_string().to_ascii_lowercase();
            self.is_new(
                stream,
                name.as_bytes(),
                format!("{:?}", parm.value).as_bytes(),
            )
        });
        all
    }

    fn unsaid<T: core::fmt::Debug>(
        &mut self,
        stream: u16,
        name: &str,
        value: Option<T>,
    ) -> Option<T> {
        value.filter(|value| self.is_new(stream, name.as_bytes(), format!("{value:?}").as_bytes()))
    }

    /// Notes that this is said from now on.
    fn is_new(&mut self, stream: u16, name: &[u8], value: &[u8]) -> bool {
        let key = [name, b"=", value].concat();
        self.said.insert((stream, key.into()))
    }
}

fn is_media(item: &Descriptor) -> bool {
    matches!(item, Descriptor::Media(_))
}

/// What one descriptor can say.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Kind {
    /// RequestIDs are told apart.
    Events(Option<u32>),
    ObservedEvents(u32),
    /// The bare token of one that is empty.
    Empty(Discriminant<AuditToken>),
    Other(Discriminant<Descriptor>),
}

impl Kind {
    fn of(item: &Descriptor) -> Self {
        match item {
            Descriptor::Events(events) => Self::Events(events.request_id),
            Descriptor::ObservedEvents(observed) => Self::ObservedEvents(observed.request_id),
            Descriptor::Empty(token) => Self::Empty(core::mem::discriminant(token)),
            Descriptor::Media(_)
            | Descriptor::EventBuffer(_)
            | Descriptor::Signals(_)
            | Descriptor::DigitMap(_)
            | Descriptor::Statistics(_)
            | Descriptor::Audit(_)
            | Descriptor::Packages(_)
            | Descriptor::Error(_)
            | Descriptor::Mux { .. }
            | Descriptor::Modem { .. } => Self::Other(core::mem::discriminant(item)),
        }
    }
}

fn unite<T: PartialEq>(known: &mut Vec<T>, more: Vec<T>) {
    for item in more {
        if !known.contains(&item) {
            known.push(item);
        }
    }
}
