//! H.248 commands for terminations, and what their replies say.

use crate::limits::HEARTBEAT_SECONDS;
use base64::Engine;
use conference::MixerFailure;
use h248::ast::{
    ActionReply, ActionRequest, AmmReply, AmmRequest, AuditDescriptor, AuditReply, AuditRequest,
    Command, CommandResult, ContextId, Descriptor, ErrorDescriptor, EventSpec, Events,
    LocalControl, MId, Media, MediaStreams, Name, ObservedEvent, OctetString, PackageItem, Parm,
    PropertyParm, PropertyValue, ReplyBody, Signal, SignalItem, Stream, StreamMode, StreamParms,
    TerminationId, TransactionReply, Value,
};
use h248_endpoint::first_error;

/// A termination the MRFP made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Added {
    pub(crate) context: u32,
    pub(crate) termination: TerminationId,
    /// The Local descriptor returned; empty if there was none.
    pub(crate) local: Vec<u8>,
}

const STREAM: u16 = 1;

/// `Add=$` into a context, or into a new one.
pub(crate) fn add(
    context: Option<u32>,
    local: &str,
    remote: Option<&str>,
    control: LocalControl,
    connection: Connection,
    events: &[(&str, &str)],
) -> ActionRequest {
    let parms = StreamParms {
        local_control: Some(control),
        local: Some(OctetString(local.as_bytes().to_vec())),
        remote: remote.map(|text| OctetString(text.as_bytes().to_vec())),
        statistics: None,
    };
    let mut amm = amm(TerminationId::Choose, parms);
    amm.descriptors.push(armed(events));
    amm.descriptors.extend(connection.signal());
    let command = Command::Add(amm);
    action(context.map_or(ContextId::Choose, ContextId::Id), command)
}

/// `Modify`: another Remote, another mode, and where the peer asks for what the Local has not, another
/// one of those.
pub(crate) fn modify(
    of: &Added,
    local: Option<&str>,
    remote: &str,
    control: LocalControl,
    connection: Connection,
) -> ActionRequest {
    let octets = |text: &str| OctetString(text.as_bytes().to_vec());
    let parms = StreamParms {
        local_control: Some(control),
        local: local.map(octets),
        remote: Some(octets(remote)),
        statistics: None,
    };
    let mut amm = amm(of.termination.clone(), parms);
    amm.descriptors.extend(connection.signal());
    action(ContextId::Id(of.context), Command::Modify(amm))
}

/// What becomes of a participant's connection: the MRFP would not take it from SDP (TS 29.333 5.15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connection {
    /// The peer opens it, or it stays.
    Leave,
    /// The MRFP opens one.
    Open,
    /// The one that the MRFP opened goes: the peer opens the next.
    Release,
}

impl Connection {
    /// `tcpbcc` of H.248.89.
    fn signal(self) -> Option<Descriptor> {
        let item = match self {
            Self::Leave => return None,
            Self::Open => "EstBNC",
            Self::Release => "RelBNC",
        };
        let name = PackageItem::new("tcpbcc", item);
        Some(Descriptor::Signals(vec![SignalItem::Signal(Signal {
            stream: Some(STREAM),
            ..Signal::from(name)
        })]))
    }
}

/// `Modify`: another mode, and the Remote once more where it is not known which one is there.
pub(crate) fn modify_mode(
    of: &Added,
    remote: Option<&str>,
    control: LocalControl,
) -> ActionRequest {
    let parms = StreamParms {
        local_control: Some(control),
        remote: remote.map(|text| OctetString(text.as_bytes().to_vec())),
        ..StreamParms::default()
    };
    let command = Command::Modify(amm(of.termination.clone(), parms));
    action(ContextId::Id(of.context), command)
}

/// A text for a participant, in the form in which it takes such.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    /// Told with its fate.
    pub(crate) name: &'a str,
    pub(crate) media_type: &'a str,
    pub(crate) body: &'a str,
}

/// `Modify`: the MRFP sends a message of ours (`mess/sm` of H.248.69). Another Signals descriptor stops
/// it if it has not gone out by then.
pub(crate) fn play(of: &Added, message: &Message<'_>) -> ActionRequest {
    let body = base64::engine::general_purpose::STANDARD.encode(message.body);
    let parm = |name: &str, text: &str| Parm {
        name: Name::new(name),
        value: PropertyValue::Is(Value {
            text: text.into(),
            quoted: true,
        }),
    };
    let reference = format!("data:{};base64,{body}", message.media_type);
    let signal = Signal {
        stream: Some(STREAM),
        parms: vec![parm("mi", message.name), parm("mcr", &reference)],
        ..Signal::from(PackageItem::new("mess", "sm"))
    };
    let amm = AmmRequest {
        terminations: of.termination.clone().into(),
        descriptors: vec![Descriptor::Signals(vec![SignalItem::Signal(signal)])],
    };
    action(ContextId::Id(of.context), Command::Modify(amm))
}

/// `Subtract`; statistics come back by default.
pub(crate) fn subtract(of: &Added) -> ActionRequest {
    let command = Command::Subtract {
        terminations: of.termination.clone().into(),
        audit: None,
    };
    action(ContextId::Id(of.context), command)
}

/// `Subtract` of every termination in every context, with one short reply; nothing to subtract is no
/// error.
pub(crate) fn subtract_all() -> ActionRequest {
    let command = Command::Subtract {
        terminations: TerminationId::All.into(),
        audit: Some(AuditDescriptor::default()),
    };
    let mut action = action(ContextId::All, command);
    for command in &mut action.commands {
        (command.optional, command.wildcard_response) = (true, true);
    }
    action
}

/// `Subtract` of several terminations of a context, without statistics; one that is gone meanwhile does
/// not keep the others.
pub(crate) fn subtract_of(context: u32, terminations: &[TerminationId]) -> ActionRequest {
    let commands = terminations.iter().map(|termination| Command::Subtract {
        terminations: termination.clone().into(),
        audit: Some(AuditDescriptor::default()),
    });
    let mut action = ActionRequest::new(ContextId::Id(context), commands);
    for command in &mut action.commands {
        command.optional = true;
    }
    action
}

/// `AuditValue` of the names alone, in every context.
pub(crate) fn audit(terminations: TerminationId) -> ActionRequest {
    let command = Command::AuditValue(AuditRequest {
        terminations: terminations.into(),
        audit: Some(AuditDescriptor::default()),
    });
    action(ContextId::All, command)
}

/// Contexts and names that the reply to an audit tells.
pub(crate) fn listed(reply: &TransactionReply) -> Vec<(u32, TerminationId)> {
    let ReplyBody::Actions(actions) = &reply.body else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for action in actions {
        let ContextId::Id(context) = action.context else {
            continue;
        };
        for command in &action.commands {
            let CommandResult::AuditValue(result) = &command.result else {
                continue;
            };
            let names = match result {
                AuditReply::ContextList(names) => names.as_slice(),
                AuditReply::Terminations(amm) => amm.terminations.0.as_slice(),
                AuditReply::ContextError(_) => &[],
            };
            let names = names
                .iter()
                .filter(|name| matches!(name, TerminationId::Name(_)));
            found.extend(names.map(|name| (context, name.clone())));
        }
    }
    found
}

/// LocalControl in full: what is left out of it falls back to its default.
pub(crate) fn control(mode: StreamMode, properties: Vec<PropertyParm>) -> LocalControl {
    LocalControl {
        mode: Some(mode),
        properties,
        ..LocalControl::default()
    }
}

/// The loss of the participant's connection (`nt/netfail`, H.248.1 E.11).
pub(crate) const NETFAIL: (&str, &str) = ("nt", "netfail");

/// A nickname chosen or given back (private package, docs/H248.md).
pub(crate) const NICK: (&str, &str) = ("xmrf", "nick");

/// The RequestID of our Events descriptors: there is one a termination.
pub(crate) const REQUEST: u32 = 1;

/// Nothing was said about the termination for long (H.248.36): the MRFP asks whether it is known still. So what an
/// MRFC that died left behind is found, whatever it was that the audit of its successor did not see.
const HEARTBEAT: (&str, &str) = ("hangterm", "thb");

/// The Events descriptor of a participant's termination.
fn armed(events: &[(&str, &str)]) -> Descriptor {
    let plays = events.contains(&MSRS);
    let spec = |&(package, item): &(&str, &str)| EventSpec {
        name: PackageItem::new(package, item),
        stream: None,
        // What is being played goes on.
        keep_active: plays,
        embed: None,
        digit_map: None,
        notify: None,
        reset_events: false,
        parms: Vec::new(),
    };
    let heartbeat = EventSpec {
        parms: vec![Parm {
            name: Name::new("timerx"),
            value: PropertyValue::Is(Value {
                text: HEARTBEAT_SECONDS.to_string().into(),
                quoted: false,
            }),
        }],
        ..spec(&HEARTBEAT)
    };
    Descriptor::Events(Events {
        request_id: Some(REQUEST),
        request_any: false,
        events: events.iter().map(spec).chain([heartbeat]).collect(),
    })
}

/// What became of a message played (H.248.69).
pub(crate) const MSRS: (&str, &str) = ("mess", "msrs");

/// What an observed event tells of a participant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Observed {
    /// A message that was played to it: its name, and the MSRP status.
    Played(String, u16),
    /// Its connection is lost.
    ConnectionLost,
    /// It chose a nickname, or gave it back.
    Nickname(Option<String>),
}

/// Reads what we armed; anything else is of no interest.
pub(crate) fn observed(event: &ObservedEvent) -> Option<Observed> {
    let is = |(package, item): (&str, &str)| event.name.is(package, item);
    if is(NETFAIL) {
        return Some(Observed::ConnectionLost);
    }
    let value = |name: &str| {
        let parm = event.parms.iter().find(|p| p.name == *name)?;
        if let PropertyValue::Is(value) = &parm.value {
            Some(sip::unescape(&value.text))
        } else {
            None
        }
    };
    if is(MSRS) {
        return Some(Observed::Played(value("mi")?, value("sc")?.parse().ok()?));
    }
    if !is(NICK) {
        return None;
    }
    let nickname = value("nick")?;
    Some(Observed::Nickname(Some(nickname).filter(|n| !n.is_empty())))
}

fn amm(termination: TerminationId, parms: StreamParms) -> AmmRequest {
    let media = Media {
        termination_state: None,
        streams: MediaStreams::Multiple(vec![Stream { id: STREAM, parms }]),
    };
    AmmRequest {
        terminations: termination.into(),
        descriptors: vec![Descriptor::Media(media)],
    }
}

fn action(context: ContextId, command: Command) -> ActionRequest {
    ActionRequest::new(context, [command])
}

/// What the reply to an Add says.
pub(crate) fn added(reply: &TransactionReply) -> Result<Added, MixerFailure> {
    check(reply)?;
    let ReplyBody::Actions(actions) = &reply.body else {
        return Err(MixerFailure::Unavailable);
    };
    actions
        .iter()
        .find_map(first_add)
        .ok_or(MixerFailure::Unavailable)
}

/// The Local descriptor that the reply to a Modify returned, if it did.
pub(crate) fn modified(reply: &TransactionReply) -> Result<Option<Vec<u8>>, MixerFailure> {
    check(reply)?;
    let ReplyBody::Actions(actions) = &reply.body else {
        return Ok(None);
    };
    let mut results = actions.iter().flat_map(|action| &action.commands);
    Ok(results.find_map(|command| {
        if let CommandResult::Modify(reply) = &command.result {
            local_of(reply)
        } else {
            None
        }
    }))
}

/// Whether the reply reports success.
pub(crate) fn check(reply: &TransactionReply) -> Result<(), MixerFailure> {
    first_error(&reply.body).map_or(Ok(()), |error| Err(failure(error)))
}

/// What the offer is to blame for (H.248.8), and all the rest.
fn failure(error: &ErrorDescriptor) -> MixerFailure {
    match error.code {
        // Unsupported property value, invalid SDP, unsupported media type, unsupported mode.
        449 | 474 | 515 | 517 => MixerFailure::Unsupported,
        _ => MixerFailure::Unavailable,
    }
}

fn first_add(action: &ActionReply) -> Option<Added> {
    let ContextId::Id(context) = action.context else {
        return None;
    };
    action
        .commands
        .iter()
        .find_map(|command| match &command.result {
            CommandResult::Add(reply) => Some(Added {
                context,
                termination: reply.terminations.0.first()?.clone(),
                local: local_of(reply).unwrap_or_default(),
            }),
            CommandResult::Modify(_)
            | CommandResult::Move(_)
            | CommandResult::Subtract(_)
            | CommandResult::AuditValue(_)
            | CommandResult::AuditCapability(_)
            | CommandResult::Notify { .. }
            | CommandResult::ServiceChange { .. } => None,
        })
}

/// What the reply to a Subtract counts: names and values.
pub(crate) fn statistics(reply: &TransactionReply) -> Vec<(String, String)> {
    let ReplyBody::Actions(actions) = &reply.body else {
        return Vec::new();
    };
    let results = actions.iter().flat_map(|action| &action.commands);
    let descriptors = results.flat_map(|command| {
        if let CommandResult::Subtract(reply) = &command.result {
            reply.descriptors.as_slice()
        } else {
            &[]
        }
    });
    let statistics = descriptors.filter_map(|descriptor| {
        if let Descriptor::Statistics(statistics) = descriptor {
            Some(statistics)
        } else {
            None
        }
    });
    let counted = statistics.flatten().filter_map(|s| {
        let name = s.name.to_string();
        Some((name, s.values.first()?.text.to_string()))
    });
    counted.collect()
}

fn local_of(reply: &AmmReply) -> Option<Vec<u8>> {
    let media = reply.descriptors.iter().find_map(|d| {
        if let Descriptor::Media(media) = d {
            Some(media)
        } else {
            None
        }
    })?;
    let parms = match &media.streams {
        MediaStreams::One(parms) => parms,
        MediaStreams::Multiple(streams) => &streams.iter().find(|s| s.id == STREAM)?.parms,
    };
    parms.local.as_ref().map(|local| local.0.clone())
}

/// A termination's name for logs and status.
pub(crate) fn termination_text(id: &TerminationId) -> String {
    match id {
        TerminationId::Root => "ROOT".to_owned(),
        TerminationId::Choose => "$".to_owned(),
        TerminationId::All => "*".to_owned(),
        TerminationId::Name(name) => name.to_string(),
    }
}

/// A message identifier as H.248 writes it.
pub(crate) fn mid_text(mid: &MId) -> String {
    let with_port = |text: String, port: Option<u16>| match port {
        Some(port) => format!("{text}:{port}"),
        None => text,
    };
    match mid {
        MId::Domain { name, port } => with_port(format!("<{name}>"), *port),
        MId::Ip { address, port } => with_port(format!("[{address}]"), *port),
        MId::Device(name) => name.to_string(),
        MId::Mtp(digits) => format!("MTP{{{digits}}}"),
    }
}
