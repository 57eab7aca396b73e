//! What this gateway could do, for AuditCapability (H.248.1 section 7.2.6): every item of the table
//! of packages with the values it takes. Of Mode and ServiceStates a descriptor can show one value:
//! the others come in further instances of it, which are alternatives.

use h248::ast::{
    EventBufferControl, EventSpec, Events, LocalControl, Media, MediaStreams, Name, OctetString,
    PackageItem, Parm, PropertyParm, PropertyValue, ServiceState, Signal, SignalItem, Statistic,
    StreamMode, StreamParms, TerminationState,
};

use crate::gateway::Config;
use crate::gateway::core::Core;
use crate::gateway::package::{Event, Item, PACKAGES, Package, Place, Values, item, plain, served};
use crate::{Listener, Transport};

/// The RequestID of a descriptor that nobody asked for.
const NO_REQUEST: u32 = 0;

impl Values {
    /// As alternatives; `None` for strings, which may be anything.
    fn capability(self) -> Option<PropertyValue> {
        let number = |n: u64| plain(n.to_string());
        Some(match self {
            Self::Integer(from, to) => PropertyValue::Range(Box::new([number(from), number(to)])),
            Self::Boolean => PropertyValue::OneOf(vec![plain("ON"), plain("OFF")]),
            Self::Enumeration([word]) => PropertyValue::Is(plain(word)),
            Self::Enumeration(words) => PropertyValue::OneOf(words.iter().map(plain).collect()),
            Self::Text(_) => return None,
        })
    }
}

fn properties(place: Place, config: &Config) -> Vec<PropertyParm> {
    let of_package = |p: &'static Package| {
        let here = p.properties.iter().filter(move |q| q.place == place);
        here.filter_map(|q| {
            Some(PropertyParm {
                name: item((p.name, q.name)),
                value: q.values.capability()?,
            })
        })
    };
    served(config).flat_map(of_package).collect()
}

fn parms(items: &[Item]) -> Vec<Parm> {
    let parm = |i: &Item| {
        Some(Parm {
            name: Name::new(i.name),
            value: i.values.capability()?,
        })
    };
    items.iter().filter_map(parm).collect()
}

/// TerminationState of ROOT.
pub(super) fn root_state(config: &Config) -> TerminationState {
    TerminationState {
        service_states: Some(ServiceState::InService),
        buffer: None,
        properties: properties(Place::Root, config),
    }
}

/// Events that can be detected on ROOT, or on a termination.
pub(super) fn events(is_root: bool, config: &Config) -> Events {
    let is_here = |e: &&Event| match e.place {
        Place::Anywhere => true,
        Place::Root => is_root,
        Place::Stream | Place::Termination | Place::Context => !is_root,
    };
    let specs = served(config).flat_map(|p| {
        let here = p.events.iter().filter(is_here);
        here.map(|e| EventSpec {
            name: item((p.name, e.name)),
            stream: None,
            keep_active: false,
            embed: None,
            digit_map: None,
            notify: None,
            reset_events: false,
            parms: parms(e.parms),
        })
    });
    Events {
        request_id: Some(NO_REQUEST),
        request_any: false,
        events: specs.collect(),
    }
}

/// Signals that can be generated.
pub(super) fn signals(config: &Config) -> Vec<SignalItem> {
    let of_package = |p: &'static Package| {
        p.signals.iter().map(|s| {
            SignalItem::Signal(Signal {
                parms: parms(s.parms),
                ..Signal::from(item((p.name, s.name)))
            })
        })
    };
    served(config).flat_map(of_package).collect()
}

/// Statistics kept, without values.
pub(super) fn statistics(wanted: &[PackageItem]) -> Vec<Statistic> {
    let of_package = |p: &'static Package| p.statistics.iter().map(|s| (p.name, *s));
    let names = PACKAGES.iter().flat_map(of_package);
    names
        .filter(|name| {
            let mut wanted = wanted.iter();
            wanted.len() == 0 || wanted.any(|w| crate::gateway::package::covers(w, *name))
        })
        .map(|name| Statistic {
            name: item(name),
            values: [].into_iter().collect(),
        })
        .collect()
}

impl Core {
    /// Media as any termination could have it, with these streams.
    pub(super) fn media_capabilities(&self, streams: impl Iterator<Item = u16>) -> Vec<Media> {
        let ids: Vec<u16> = streams.collect();
        let media = |state: Option<TerminationState>, parms: &StreamParms| Media {
            termination_state: state,
            streams: MediaStreams::Multiple(
                ids.iter()
                    .map(|&id| h248::ast::Stream {
                        id,
                        parms: parms.clone(),
                    })
                    .collect(),
            ),
        };
        let first = TerminationState {
            service_states: Some(ServiceState::InService),
            buffer: Some(EventBufferControl::Off),
            properties: properties(Place::Termination, &self.config),
        };
        let mut all = vec![media(Some(first), &self.stream_capability())];
        let states = [
            Some(ServiceState::OutOfService),
            Some(ServiceState::Test),
            None,
        ];
        let modes = [
            StreamMode::SendOnly,
            StreamMode::ReceiveOnly,
            StreamMode::Inactive,
        ];
        for (state, mode) in states.into_iter().zip(modes) {
            let state = state.map(|state| TerminationState {
                service_states: Some(state),
                ..TerminationState::default()
            });
            let control = LocalControl {
                mode: Some(mode),
                ..LocalControl::default()
            };
            let parms = StreamParms {
                local_control: Some(control),
                ..StreamParms::default()
            };
            all.push(media(state, &parms));
        }
        all
    }

    fn stream_capability(&self) -> StreamParms {
        let text = OctetString(self.description_capability());
        StreamParms {
            local_control: Some(LocalControl {
                mode: Some(StreamMode::SendReceive),
                reserved_value: Some(false),
                reserved_group: Some(false),
                properties: properties(Place::Stream, &self.config),
            }),
            local: Some(text.clone()),
            remote: Some(text),
            statistics: None,
        }
    }

    /// One session description for each address family, with `$` for what is chosen.
    fn description_capability(&self) -> Vec<u8> {
        let mut text = String::new();
        let addresses = &self.config.addresses;
        for (family, is_ip6) in [("IP4", false), ("IP6", true)] {
            for (transport, proto, path) in [
                (Transport::Tcp, "TCP/MSRP", "$"),
                (Transport::Tls, "TCP/TLS/MSRP", "$"),
                (Transport::Ws, "TCP/MSRP", "msrp://$:$/$;ws"),
                (Transport::Wss, "TCP/TLS/MSRP", "msrps://$:$/$;ws"),
            ] {
                let fits = |l: &Listener| l.addr.is_ipv6() == is_ip6 && l.transport == transport;
                if addresses.iter().any(fits) {
                    text += &format!(
                        "v=0\r\nc=IN {family} $\r\nm=message $ {proto} *\r\na=path:{path}\r\n"
                    );
                }
            }
        }
        text.into_bytes()
    }
}
