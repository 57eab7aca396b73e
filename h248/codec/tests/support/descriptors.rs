//! Descriptors of requests and replies.

use h248::ast::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::parts::*;

fn service_state() -> BoxedStrategy<ServiceState> {
    prop_oneof![
        Just(ServiceState::Test),
        Just(ServiceState::OutOfService),
        Just(ServiceState::InService)
    ]
    .boxed()
}

fn stream_mode() -> BoxedStrategy<StreamMode> {
    prop_oneof![
        Just(StreamMode::SendOnly),
        Just(StreamMode::ReceiveOnly),
        Just(StreamMode::SendReceive),
        Just(StreamMode::Inactive),
        Just(StreamMode::Loopback)
    ]
    .boxed()
}

fn termination_state() -> BoxedStrategy<TerminationState> {
    let buffer = prop_oneof![
        Just(EventBufferControl::Off),
        Just(EventBufferControl::LockStep)
    ];
    (
        option::of(service_state()),
        option::of(buffer),
        properties(),
    )
        .prop_map(|(service_states, buffer, properties)| TerminationState {
            service_states,
            buffer,
            properties,
        })
        .prop_filter("something in it", |state| {
            *state != TerminationState::default()
        })
        .boxed()
}

fn local_control() -> BoxedStrategy<LocalControl> {
    let parts = (
        option::of(stream_mode()),
        any::<Option<bool>>(),
        any::<Option<bool>>(),
        properties(),
    );
    parts
        .prop_map(
            |(mode, reserved_value, reserved_group, properties)| LocalControl {
                mode,
                reserved_value,
                reserved_group,
                properties,
            },
        )
        .prop_filter("something in it", |control| {
            *control != LocalControl::default()
        })
        .boxed()
}

pub(crate) fn statistics() -> BoxedStrategy<Vec<Statistic>> {
    let statistic = (package_item(), vec(value(), 0..3));
    vec(
        statistic.prop_map(|(name, values)| Statistic {
            name,
            values: values.into(),
        }),
        0..3,
    )
    .boxed()
}

fn stream_parms(version: u8) -> BoxedStrategy<StreamParms> {
    let statistics = if version >= 3 {
        option::of(statistics()).boxed()
    } else {
        Just(None).boxed()
    };
    let parts = (
        option::of(local_control()),
        option::of(octets()),
        option::of(octets()),
        statistics,
    );
    parts
        .prop_map(|(local_control, local, remote, statistics)| StreamParms {
            local_control,
            local,
            remote,
            statistics,
        })
        .prop_filter("something in it", |parms| *parms != StreamParms::default())
        .boxed()
}

fn media(version: u8) -> BoxedStrategy<Media> {
    let stream = (any::<u16>(), stream_parms(version)).prop_map(|(id, parms)| Stream { id, parms });
    let streams = prop_oneof![
        vec(stream, 0..3).prop_map(MediaStreams::Multiple),
        stream_parms(version).prop_map(MediaStreams::One),
    ];
    (option::of(termination_state()), streams)
        .prop_map(|(termination_state, streams)| Media {
            termination_state,
            streams,
        })
        .prop_filter("something in it", |media| *media != Media::default())
        .boxed()
}

fn digit_map() -> BoxedStrategy<DigitMap> {
    let value = "[0-9x.|()]{1,9}";
    let some_value = || value.prop_map(|text| Some(text.into()));
    prop_oneof![
        (name(), some_value()).prop_map(|(name, value)| (Some(name), value)),
        name().prop_map(|name| (Some(name), None)),
        some_value().prop_map(|value| (None, value)),
    ]
    .prop_map(|(name, value)| DigitMap { name, value })
    .boxed()
}

fn signal() -> BoxedStrategy<Signal> {
    let kind = prop_oneof![
        Just(SignalType::OnOff),
        Just(SignalType::TimeOut),
        Just(SignalType::Brief)
    ];
    let reason = prop_oneof![
        Just(CompletionReason::TimeOut),
        Just(CompletionReason::InterruptByEvent),
        Just(CompletionReason::InterruptByNewSignals),
        Just(CompletionReason::OtherReason),
        Just(CompletionReason::Iteration)
    ];
    let direction = prop_oneof![
        Just(SignalDirection::External),
        Just(SignalDirection::Internal),
        Just(SignalDirection::Both)
    ];
    let parts = (
        (
            package_item(),
            any::<Option<u16>>(),
            option::of(kind),
            any::<Option<u16>>(),
        ),
        (vec(reason, 0..3), any::<bool>(), option::of(direction)),
        (option::of(request_id()), any::<Option<u16>>(), parms()),
    );
    parts
        .prop_map(|(first, second, third)| Signal {
            name: first.0,
            stream: first.1,
            kind: first.2,
            duration: first.3,
            notify_completion: second.0,
            keep_active: second.1,
            direction: second.2,
            request_id: third.0,
            intersignal: third.1,
            parms: third.2,
        })
        .boxed()
}

fn signals() -> BoxedStrategy<Vec<SignalItem>> {
    let list = (any::<u16>(), vec(signal(), 1..3));
    let item = prop_oneof![
        3 => signal().prop_map(SignalItem::Signal),
        1 => list.prop_map(|(id, signals)| SignalItem::List { id, signals }),
    ];
    vec(item, 0..3).boxed()
}

/// An Embed with events `levels` deep.
fn embed(levels: u8) -> BoxedStrategy<Box<Embed>> {
    let events = if levels == 0 {
        Just(None).boxed()
    } else {
        option::of(events(levels - 1)).boxed()
    };
    (option::of(signals()), events)
        .prop_map(|(signals, events)| Embed { signals, events })
        .prop_filter("something in it", |embed| *embed != Embed::default())
        .prop_map(Box::new)
        .boxed()
}

fn event_spec(levels: u8) -> BoxedStrategy<EventSpec> {
    let notify = prop_oneof![
        Just(NotifyBehaviour::Immediate),
        Just(NotifyBehaviour::Never),
        option::weighted(0.3, embed(levels)).prop_map(NotifyBehaviour::Regulated)
    ];
    let parts = (
        (package_item(), any::<Option<u16>>(), any::<bool>()),
        option::weighted(0.3, embed(levels)),
        (option::of(digit_map()), option::of(notify)),
        (any::<bool>(), parms()),
    );
    parts
        .prop_map(|(first, embed, third, fourth)| EventSpec {
            name: first.0,
            stream: first.1,
            keep_active: first.2,
            embed,
            digit_map: third.0.map(Box::new),
            notify: third.1,
            reset_events: fourth.0,
            parms: fourth.1,
        })
        .boxed()
}

fn events(levels: u8) -> BoxedStrategy<Events> {
    let list = vec(event_spec(levels), 1..3);
    prop_oneof![
        1 => Just(Events::default()),
        4 => (any::<Option<u32>>(), list).prop_map(|(request_id, events)| Events {
            request_id,
            request_any: request_id.is_none(),
            events,
        }),
    ]
    .boxed()
}

pub(crate) fn observed_events() -> BoxedStrategy<ObservedEvents> {
    let event = (
        option::of(time_stamp()),
        package_item(),
        any::<Option<u16>>(),
        parms(),
    );
    let event = event.prop_map(|(time, name, stream, parms)| ObservedEvent {
        time,
        name,
        stream,
        parms,
    });
    (request_id(), vec(event, 1..3))
        .prop_map(|(request_id, events)| ObservedEvents { request_id, events })
        .boxed()
}

fn audit_token() -> BoxedStrategy<AuditToken> {
    prop_oneof![
        Just(AuditToken::Media),
        Just(AuditToken::Events),
        Just(AuditToken::Signals),
        Just(AuditToken::Statistics),
        Just(AuditToken::Packages),
        Just(AuditToken::DigitMap),
        Just(AuditToken::ObservedEvents),
    ]
    .boxed()
}

fn media_audit_item(is_stream: bool) -> BoxedStrategy<MediaAuditItem> {
    let own = if is_stream {
        prop_oneof![
            Just(MediaAuditItem::ReservedValue),
            Just(MediaAuditItem::ReservedGroup),
            option::of((any::<bool>(), stream_mode())).prop_map(MediaAuditItem::Mode),
        ]
        .boxed()
    } else {
        prop_oneof![
            Just(MediaAuditItem::Buffer),
            option::of((any::<bool>(), service_state())).prop_map(MediaAuditItem::ServiceStates),
        ]
        .boxed()
    };
    prop_oneof![
        own,
        (package_item(), option::of(property_value()))
            .prop_map(|(name, value)| MediaAuditItem::Property(name, value)),
    ]
    .boxed()
}

fn stream_audit(id: impl Strategy<Value = u16> + 'static) -> BoxedStrategy<StreamAudit> {
    let parts = (
        id,
        option::of(vec(media_audit_item(true), 0..3)),
        option::of(option::of(octets())),
        option::of(option::of(octets())),
        option::of(vec(package_item(), 0..3)),
    );
    parts
        .prop_map(
            |(id, local_control, local, remote, statistics)| StreamAudit {
                id,
                local_control,
                local,
                remote,
                statistics,
            },
        )
        .prop_filter("something in it", |audit| {
            *audit
                != StreamAudit {
                    id: audit.id,
                    ..StreamAudit::default()
                }
        })
        .boxed()
}

fn media_audit() -> BoxedStrategy<MediaAudit> {
    let streams = prop_oneof![
        vec(stream_audit(any::<u16>()), 1..3).prop_map(|streams| (streams, None)),
        stream_audit(Just(0)).prop_map(|one| (Vec::new(), Some(one))),
    ];
    let state = option::of(vec(media_audit_item(false), 0..3));
    (state, streams)
        .prop_map(|(termination_state, (streams, one_stream))| MediaAudit {
            termination_state,
            streams,
            one_stream,
        })
        .boxed()
}

fn individual_audit() -> BoxedStrategy<AuditItem> {
    let named = (parm_name(), option::of(property_value())).prop_map(|(name, value)| Parm {
        name,
        value: value.unwrap_or(PropertyValue::Is(Value::plain(""))),
    });
    let buffered = (package_item(), any::<Option<u16>>(), vec(named, 0..3)).prop_map(
        |(name, stream, parms)| EventSpec {
            stream,
            parms,
            ..EventSpec::from(name)
        },
    );
    let signal = prop_oneof![
        package_item().prop_map(SignalAudit::Signal),
        signal()
            .prop_filter("parameters", |signal| *signal
                != Signal::from(signal.name.clone()))
            .prop_map(SignalAudit::Detailed),
        (any::<u16>(), option::of(package_item()))
            .prop_map(|(id, signal)| SignalAudit::List { id, signal }),
    ];
    prop_oneof![
        media_audit().prop_map(AuditItem::Media),
        (option::of(request_id()), vec(package_item(), 1..3))
            .prop_map(|(request_id, events)| AuditItem::Events { request_id, events }),
        vec(buffered, 1..3).prop_map(AuditItem::EventBuffer),
        vec(signal, 1..3).prop_map(AuditItem::Signals),
        vec(package_item(), 1..3).prop_map(AuditItem::Statistics),
        vec(package_version(), 1..3).prop_map(AuditItem::Packages),
        name().prop_map(AuditItem::DigitMap),
    ]
    .boxed()
}

pub(crate) fn audit_items() -> BoxedStrategy<Vec<AuditItem>> {
    let whole = proptest::sample::subsequence(
        vec![AuditToken::Mux, AuditToken::Modem, AuditToken::EventBuffer],
        0..=3,
    );
    (
        whole,
        option::of(audit_token()),
        vec(individual_audit(), 0..3),
    )
        .prop_map(|(whole, one_more, individual)| {
            let whole = whole.into_iter().chain(one_more).map(AuditItem::Whole);
            whole.chain(individual).collect()
        })
        .boxed()
}

pub(crate) fn audit() -> BoxedStrategy<AuditDescriptor> {
    audit_items()
        .prop_map(|items| AuditDescriptor { items })
        .boxed()
}

fn mux_or_modem() -> BoxedStrategy<Descriptor> {
    prop_oneof![
        (name(), vec(termination(), 1..3))
            .prop_map(|(kind, terminations)| Descriptor::Mux { kind, terminations }),
        (vec(name(), 1..3), properties())
            .prop_map(|(kinds, properties)| Descriptor::Modem { kinds, properties }),
    ]
    .boxed()
}

/// What requests and replies share, one of each kind at most.
fn shared(version: u8) -> BoxedStrategy<Vec<Descriptor>> {
    (
        option::of(media(version).prop_map(Descriptor::Media)),
        option::weighted(0.3, events(1).prop_map(Descriptor::Events)),
        option::weighted(
            0.3,
            vec(event_spec(0), 0..3).prop_map(Descriptor::EventBuffer),
        ),
        option::weighted(0.3, signals().prop_map(Descriptor::Signals)),
        option::weighted(0.2, digit_map().prop_map(Descriptor::DigitMap)),
        option::weighted(0.2, mux_or_modem()),
    )
        .prop_map(|parts| {
            let first = [parts.0, parts.1, parts.2];
            let second = [parts.3, parts.4, parts.5];
            first.into_iter().chain(second).flatten().collect()
        })
        .boxed()
}

pub(crate) fn request_descriptors(version: u8) -> BoxedStrategy<Vec<Descriptor>> {
    let statistics = if version >= 3 {
        option::of(statistics().prop_map(Descriptor::Statistics)).boxed()
    } else {
        Just(None).boxed()
    };
    let audit = option::weighted(0.2, audit().prop_map(Descriptor::Audit));
    (shared(version), statistics, audit)
        .prop_map(|(shared, statistics, audit)| {
            shared.into_iter().chain(statistics).chain(audit).collect()
        })
        .prop_shuffle()
        .boxed()
}

pub(crate) fn reply_descriptors(version: u8) -> BoxedStrategy<Vec<Descriptor>> {
    let results = (
        option::weighted(0.3, statistics().prop_map(Descriptor::Statistics)),
        option::weighted(0.2, observed_events().prop_map(Descriptor::ObservedEvents)),
        option::weighted(
            0.2,
            vec(package_version(), 1..3).prop_map(Descriptor::Packages),
        ),
        option::weighted(0.2, error().prop_map(Descriptor::Error)),
    );
    prop_oneof![
        4 => (shared(version), results).prop_map(|(shared, results)| {
            let results = [results.0, results.1, results.2, results.3];
            shared.into_iter().chain(results.into_iter().flatten()).collect()
        }),
        1 => proptest::sample::subsequence(
            vec![
                Descriptor::Empty(AuditToken::Media),
                Descriptor::Empty(AuditToken::Mux),
                Descriptor::Empty(AuditToken::Modem),
                Descriptor::Empty(AuditToken::DigitMap),
                Descriptor::Empty(AuditToken::ObservedEvents),
                Descriptor::Empty(AuditToken::Packages),
            ],
            0..=6,
        ),
    ]
    .prop_shuffle()
    .boxed()
}
