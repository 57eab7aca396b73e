//! Commands, actions, transactions, messages.

use h248::ast::*;
use h248::{Encoding, Limits, parse, print};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::descriptors::*;
use super::parts::*;

/// `strategy` from `since` on, nothing in older versions.
fn since<T: Clone + std::fmt::Debug + 'static>(
    since: u8,
    version: u8,
    strategy: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Option<T>> {
    if version >= since {
        option::weighted(0.3, strategy).boxed()
    } else {
        Just(None).boxed()
    }
}

fn topology(version: u8) -> BoxedStrategy<Vec<TopologyTriple>> {
    let direction = prop_oneof![
        Just(TopologyDirection::Isolate),
        Just(TopologyDirection::Oneway),
        Just(TopologyDirection::Bothway),
        Just(TopologyDirection::OnewayExternal),
        Just(TopologyDirection::OnewayBoth)
    ];
    let triple = (
        termination(),
        termination(),
        direction,
        since(2, version, any::<u16>()),
    );
    let triple = triple.prop_map(|(from, to, direction, stream)| TopologyTriple {
        from,
        to,
        direction,
        stream,
    });
    vec(triple, 0..3).boxed()
}

fn context_properties(version: u8) -> BoxedStrategy<ContextProperties> {
    let emergency = if version >= 2 {
        any::<Option<bool>>().boxed()
    } else {
        option::of(Just(true)).boxed()
    };
    let parts = (
        topology(version),
        option::of(0..=15u8),
        emergency,
        since(3, version, any::<bool>()),
        since(3, version, properties()),
        since(3, version, vec(context(), 1..3)),
    );
    parts
        .prop_map(|parts| ContextProperties {
            topology: parts.0,
            priority: parts.1,
            emergency: parts.2,
            ieps: parts.3,
            attributes: parts.4.unwrap_or_default(),
            context_list: parts.5.unwrap_or_default(),
        })
        .boxed()
}

fn context_audit(version: u8) -> BoxedStrategy<Option<ContextAudit>> {
    let plain = vec![
        ContextAuditItem::Topology,
        ContextAuditItem::Emergency,
        ContextAuditItem::Priority(None),
    ];
    let selecting = vec![
        ContextAuditItem::Priority(Some(3)),
        ContextAuditItem::EmergencyValue(false),
        ContextAuditItem::Ieps(None),
        ContextAuditItem::Ieps(Some(true)),
        ContextAuditItem::ContextList(vec![]),
        ContextAuditItem::ContextList(vec![ContextId::Id(7), ContextId::Null]),
    ];
    let attribute = (package_item(), option::of(property_value()));
    let attribute = attribute.prop_map(|(name, value)| ContextAuditItem::Attribute(name, value));
    let attributes = vec(attribute, 0..3);
    let plain = proptest::sample::subsequence(plain, 0..=3);
    let selecting = since(3, version, proptest::sample::subsequence(selecting, 0..=6));
    let selection = prop_oneof![Just(SelectLogic::And), Just(SelectLogic::Or)];
    let parts = (
        plain,
        selecting,
        since(3, version, attributes),
        since(3, version, selection),
    );
    parts
        .prop_map(|(plain, selecting, attributes, selection)| {
            let extra = selecting.into_iter().flatten();
            let items = plain.into_iter().chain(extra);
            let audit = ContextAudit {
                items: items.chain(attributes.into_iter().flatten()).collect(),
                selection,
            };
            (audit != ContextAudit::default()).then_some(audit)
        })
        .boxed()
}

fn method() -> BoxedStrategy<ServiceChangeMethod> {
    prop_oneof![
        Just(ServiceChangeMethod::Failover),
        Just(ServiceChangeMethod::Forced),
        Just(ServiceChangeMethod::Graceful),
        Just(ServiceChangeMethod::Restart),
        Just(ServiceChangeMethod::Disconnected),
        Just(ServiceChangeMethod::HandOff),
        "[Xx][+-][a-z0-9]{1,6}".prop_map(|text| ServiceChangeMethod::Extension(Name::new(&text))),
    ]
    .boxed()
}

fn address() -> BoxedStrategy<ServiceChangeAddress> {
    prop_oneof![
        mid().prop_map(ServiceChangeAddress::MId),
        any::<u16>().prop_map(ServiceChangeAddress::Port),
        "[ -!#-~]{0,9}".prop_map(|text| ServiceChangeAddress::Value(Value::quoted(text))),
    ]
    .boxed()
}

fn services_of_reply() -> BoxedStrategy<ServiceChangeReplyParms> {
    let to = prop_oneof![
        Just((None, None)),
        address().prop_map(|address| (Some(address), None)),
        mid().prop_map(|mid| (None, Some(mid))),
    ];
    let profile = (name(), 0..=99u8).prop_map(|(name, version)| Profile { name, version });
    let extension = ("[Xx][+-][a-z0-9]{1,6}", property_value());
    let extension = extension.prop_map(|(name, value)| Parm {
        name: Name::new(&name),
        value,
    });
    let rest = (
        option::of(profile),
        option::of(0..=99u8),
        option::of(time_stamp()),
        vec(extension, 0..2),
    );
    (to, rest)
        .prop_map(|((address, mgc_id), rest)| ServiceChangeReplyParms {
            address,
            mgc_id,
            profile: rest.0,
            version: rest.1,
            time: rest.2,
            extensions: rest.3,
        })
        .boxed()
}

fn services() -> BoxedStrategy<ServiceChange> {
    let own = (method(), value(), any::<Option<u32>>(), any::<bool>());
    (own, services_of_reply(), audit_items())
        .prop_map(|(own, common, audit)| ServiceChange {
            method: own.0,
            reason: own.1,
            delay: own.2,
            incomplete: own.3,
            address: common.address,
            mgc_id: common.mgc_id,
            profile: common.profile,
            version: common.version,
            time: common.time,
            audit,
            extensions: common.extensions,
        })
        .boxed()
}

fn command(version: u8) -> BoxedStrategy<Command> {
    let amm = move || {
        (terminations(version), request_descriptors(version)).prop_map(
            |(terminations, descriptors)| AmmRequest {
                terminations,
                descriptors,
            },
        )
    };
    let audit_request = move || {
        (terminations(version), option::of(audit())).prop_map(|(terminations, audit)| {
            AuditRequest {
                terminations,
                audit,
            }
        })
    };
    let ids = move || terminations(version);
    prop_oneof![
        amm().prop_map(Command::Add),
        amm().prop_map(Command::Modify),
        amm().prop_map(Command::Move),
        (ids(), option::of(audit())).prop_map(|(terminations, audit)| Command::Subtract {
            terminations,
            audit
        }),
        audit_request().prop_map(Command::AuditValue),
        audit_request().prop_map(Command::AuditCapability),
        (ids(), observed_events(), option::of(error())).prop_map(
            |(terminations, observed, error)| Command::Notify {
                terminations,
                observed,
                error
            }
        ),
        (ids(), services()).prop_map(|(terminations, services)| Command::ServiceChange {
            terminations,
            services: Box::new(services)
        }),
    ]
    .boxed()
}

fn result(version: u8) -> BoxedStrategy<CommandResult> {
    let amm = move || {
        (terminations(version), reply_descriptors(version)).prop_map(
            |(terminations, descriptors)| AmmReply {
                terminations,
                descriptors,
            },
        )
    };
    let audit = move || {
        prop_oneof![
            amm().prop_map(AuditReply::Terminations),
            vec(termination(), 1..4).prop_map(AuditReply::ContextList),
            error().prop_map(AuditReply::ContextError),
        ]
    };
    let change = prop_oneof![
        Just(ServiceChangeResult::Empty),
        error().prop_map(ServiceChangeResult::Error),
        services_of_reply()
            .prop_filter("something in it", |s| *s
                != ServiceChangeReplyParms::default())
            .prop_map(|parms| ServiceChangeResult::Services(Box::new(parms))),
    ];
    let ids = move || terminations(version);
    prop_oneof![
        amm().prop_map(CommandResult::Add),
        amm().prop_map(CommandResult::Modify),
        amm().prop_map(CommandResult::Move),
        amm().prop_map(CommandResult::Subtract),
        audit().prop_map(CommandResult::AuditValue),
        audit().prop_map(CommandResult::AuditCapability),
        (ids(), option::of(error())).prop_map(|(terminations, error)| CommandResult::Notify {
            terminations,
            error
        }),
        (ids(), change).prop_map(|(terminations, result)| CommandResult::ServiceChange {
            terminations,
            result
        }),
    ]
    .boxed()
}

fn action(version: u8) -> BoxedStrategy<ActionRequest> {
    let command = (any::<bool>(), any::<bool>(), command(version));
    let command = command.prop_map(|(optional, wildcard_response, command)| CommandRequest {
        optional,
        wildcard_response,
        command,
    });
    let parts = (
        context(),
        context_properties(version),
        context_audit(version),
        vec(command, 1..3),
    );
    parts
        .prop_map(|(context, properties, audit, commands)| ActionRequest {
            context,
            properties,
            audit,
            commands: commands.into(),
        })
        .boxed()
}

fn action_reply(version: u8) -> BoxedStrategy<ActionReply> {
    let command = (any::<bool>(), any::<bool>(), result(version));
    let command = command.prop_map(|(optional, wildcard_response, result)| CommandReply {
        optional,
        wildcard_response,
        result,
    });
    let parts = (
        context(),
        context_properties(version),
        vec(command, 0..3),
        option::weighted(0.2, error()),
    );
    parts
        .prop_map(|(context, properties, commands, error)| ActionReply {
            context,
            properties,
            commands: commands.into(),
            error,
        })
        .boxed()
}

fn segment() -> BoxedStrategy<Segment> {
    (any::<u16>(), any::<bool>())
        .prop_map(|(number, is_last)| Segment { number, is_last })
        .boxed()
}

fn transaction(version: u8) -> BoxedStrategy<Transaction> {
    let id = || any::<u32>().prop_map(TransactionId);
    let request = (id(), vec(action(version), 1..3));
    let body = prop_oneof![
        1 => error().prop_map(ReplyBody::Error),
        4 => vec(action_reply(version), 1..3).prop_map(|actions| ReplyBody::Actions(actions.into())),
    ];
    let reply = (id(), since(3, version, segment()), any::<bool>(), body);
    let segment_ack = (id(), segment());
    let acks = vec((id(), id()), 1..4);
    prop_oneof![
        4 => request.prop_map(|(id, actions)| {
            let actions = actions.into();
            Transaction::Request(TransactionRequest { id, actions })
        }),
        4 => reply.prop_map(|(id, segment, immediate_ack, body)| {
            Transaction::Reply(TransactionReply { id, segment, immediate_ack, body })
        }),
        1 => id().prop_map(Transaction::Pending),
        1 => acks.prop_map(Transaction::Ack),
        u32::from(version >= 3) => segment_ack.prop_map(|(id, segment)| {
            Transaction::Segment { id, segment }
        }),
    ]
    .boxed()
}

/// A message of any version.
pub(crate) fn message() -> BoxedStrategy<Message> {
    let hex = |digits: &str| format!("[0-9A-F]{{{digits}}}").prop_map_into_name();
    let authentication = (hex("8"), hex("8"), hex("24,64"));
    let authentication = authentication
        .prop_map(|(spi, sequence, icv)| Box::new(Authentication { spi, sequence, icv }));
    let authentication = option::weighted(0.1, authentication);
    (1..=3u8, mid(), authentication)
        .prop_flat_map(|(version, mid, authentication)| {
            let body = prop_oneof![
                1 => error().prop_map(MessageBody::Error),
                9 => vec(transaction(version), 1..3).prop_map(MessageBody::Transactions),
            ];
            body.prop_map(move |body| Message {
                authentication: authentication.clone(),
                version,
                mid: mid.clone(),
                body,
            })
        })
        .prop_map(in_its_version)
        .boxed()
}

/// The message, of version 3 if it holds something that its own version does not have. Which version
/// has what is for the table in `versions.rs` to check.
fn in_its_version(mut message: Message) -> Message {
    let text = print(&message, Encoding::Compact);
    if parse(&text, &Limits::default()).as_ref() != Ok(&message) {
        message.version = 3;
    }
    message
}

trait IntoNames {
    fn prop_map_into_name(self) -> BoxedStrategy<Name>;
}

impl IntoNames for String {
    /// Names that match this regular expression.
    fn prop_map_into_name(self) -> BoxedStrategy<Name> {
        proptest::string::string_regex(&self)
            .expect("a regular expression")
            .prop_map(|text| Name::new(&text))
            .boxed()
    }
}
