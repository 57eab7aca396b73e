//! What was seen on the wire, taken apart for checking.

use anyhow::{anyhow, bail};
use h248::ast::{
    AmmReply, Command, CommandResult, ContextId, Descriptor, MediaStreams, Message, MessageBody,
    OctetString, ReplyBody, StreamParms, TerminationIds, Transaction,
};
use msrp::{Body, Deframer, Item, Start};
use sip::{Parsed, Trace, parse_datagram};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::tap::{Side, Tap};
use crate::limits::ANSWER_WITHIN;

/// The next SIP message of a trace that is sent (or received) and fits.
pub(super) async fn sip(
    trace: &mut mpsc::Receiver<Trace>,
    what: &str,
    is_sent: bool,
    fits: impl Fn(&Parsed) -> bool,
) -> anyhow::Result<(Parsed, Vec<u8>)> {
    let found = async {
        while let Some(seen) = trace.recv().await {
            let parsed = parse_datagram(&seen.bytes);
            if seen.is_sent == is_sent && fits(&parsed) {
                return Ok((parsed, seen.bytes));
            }
        }
        bail!("{what}: the SIP side stopped")
    };
    timeout(ANSWER_WITHIN, found)
        .await
        .map_err(|_| anyhow!("{what} did not come"))?
}

/// One MSRP frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) transaction: String,
    /// `None` in a response.
    pub(super) method: Option<String>,
    /// `None` in a request.
    pub(super) status: Option<u16>,
    pub(super) to_path: String,
    pub(super) from_path: String,
    pub(super) message_id: String,
    /// As written by the library: canonical.
    pub(super) byte_range: String,
    pub(super) content_type: String,
    pub(super) body: Vec<u8>,
    /// What is wrong with it.
    pub(super) fault: Option<String>,
}

/// Takes one frame apart.
pub(super) fn frame(octets: &[u8]) -> Frame {
    let mut frame = Frame::default();
    let mut deframer = Deframer::new(msrp::Limits::default());
    let mut rest = octets;
    loop {
        let step = match deframer.next(rest) {
            Ok(step) => step,
            Err(fatal) => {
                frame.fault = Some(fatal.to_string());
                return frame;
            }
        };
        let consumed = step.consumed;
        match step.item {
            None | Some(Item::End(_)) => return frame,
            Some(Item::Head(head)) => read_head(&mut frame, &head),
            Some(Item::Body(Body::Input(range))) => frame.body.extend_from_slice(&rest[range]),
            Some(Item::Body(Body::Held(held))) => frame.body.extend_from_slice(held),
        }
        rest = &rest[consumed..];
    }
}

fn read_head(frame: &mut Frame, head: &msrp::Head<'_>) {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    frame.transaction = text(head.transaction_id);
    match head.start {
        Start::Request(method) => frame.method = Some(text(method.as_bytes())),
        Start::Response { status, .. } => frame.status = Some(status.as_u16()),
    }
    frame.to_path = text(head.to_path);
    frame.from_path = text(head.from_path);
    frame.message_id = text(head.message_id.unwrap_or_default());
    if let Some(range) = head.byte_range {
        let mut written = Vec::new();
        range.write(&mut written);
        frame.byte_range = text(&written);
    }
    frame.content_type = text(head.content_type.unwrap_or_default());
    frame.fault = head.fault.map(|fault| fault.to_string());
}

/// Which command an exchange is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    /// `Add`.
    Add,
    /// `Modify`.
    Modify,
    /// `Subtract`.
    Subtract,
}

/// A command of the MRFC and the reply of the MRFP.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) asked: Asked,
    pub(super) replied: Replied,
}

/// The command.
#[derive(Debug)]
pub(super) struct Asked {
    transaction: u32,
    pub(super) context: ContextId,
    pub(super) termination: String,
    /// SDP of Local and Remote.
    pub(super) local: String,
    pub(super) remote: String,
    /// The MRFP is told to open the connection (`tcpbcc/EstBNC`).
    pub(super) connects: bool,
    pub(super) octets: Vec<u8>,
}

/// The reply.
#[derive(Debug, Default)]
pub(super) struct Replied {
    pub(super) context: Option<ContextId>,
    pub(super) termination: String,
    /// SDP of Local.
    pub(super) local: String,
    pub(super) statistics: usize,
    /// Code and text of the first error descriptor.
    pub(super) error: Option<String>,
    pub(super) octets: Vec<u8>,
}

/// The next command of this kind that passes the tap, and its reply.
pub(super) async fn exchange(tap: &mut Tap, verb: Verb) -> anyhow::Result<Exchange> {
    timeout(ANSWER_WITHIN, find(tap, verb))
        .await
        .map_err(|_| anyhow!("H.248 {verb:?} and its reply did not come"))?
}

async fn find(tap: &mut Tap, verb: Verb) -> anyhow::Result<Exchange> {
    let mut asked = None;
    while let Some(passed) = tap.next().await {
        let message = h248::parse(&passed.bytes, &h248::Limits::default())
            .map_err(|error| anyhow!("an H.248 message of the {:?}: {error}", passed.from))?;
        match (&asked, passed.from) {
            (None, Side::Mrfc) => asked = command(&message, verb, &passed.bytes),
            (Some(Asked { transaction, .. }), Side::Mrfp) => {
                if let Some(replied) = reply(&message, *transaction, &passed.bytes) {
                    let asked = asked.ok_or_else(|| anyhow!("a reply without a request"))?;
                    return Ok(Exchange { asked, replied });
                }
            }
            (None, Side::Mrfp) | (Some(_), Side::Mrfc) => {}
        }
    }
    bail!("the tap stopped")
}

fn transactions(message: &Message) -> &[Transaction] {
    match &message.body {
        MessageBody::Transactions(transactions) => transactions,
        MessageBody::Error(_) => &[],
    }
}

fn command(message: &Message, verb: Verb, octets: &[u8]) -> Option<Asked> {
    let requests = transactions(message)
        .iter()
        .filter_map(|transaction| match transaction {
            Transaction::Request(request) => Some(request),
            Transaction::Reply(_)
            | Transaction::Pending(_)
            | Transaction::Ack(_)
            | Transaction::Segment { .. } => None,
        });
    for request in requests {
        for action in &request.actions {
            for command in &action.commands {
                let (terminations, descriptors) = match (&command.command, verb) {
                    (Command::Add(amm), Verb::Add) | (Command::Modify(amm), Verb::Modify) => {
                        (&amm.terminations, &*amm.descriptors)
                    }
                    (Command::Subtract { terminations, .. }, Verb::Subtract) => {
                        (terminations, &[][..])
                    }
                    _ => continue,
                };
                let parms = stream(descriptors).unwrap_or_default();
                return Some(Asked {
                    transaction: request.id.0,
                    context: action.context,
                    termination: ids(terminations),
                    local: sdp_text(parms.local),
                    remote: sdp_text(parms.remote),
                    connects: descriptors
                        .iter()
                        .any(|d| matches!(d, Descriptor::Signals(signals) if !signals.is_empty())),
                    octets: octets.to_vec(),
                });
            }
        }
    }
    None
}

fn reply(message: &Message, transaction: u32, octets: &[u8]) -> Option<Replied> {
    let reply = transactions(message).iter().find_map(|one| match one {
        Transaction::Reply(reply) if reply.id.0 == transaction => Some(reply),
        Transaction::Request(_)
        | Transaction::Reply(_)
        | Transaction::Pending(_)
        | Transaction::Ack(_)
        | Transaction::Segment { .. } => None,
    })?;
    let mut replied = Replied {
        octets: octets.to_vec(),
        error: h248_endpoint::first_error(&reply.body).map(|error| {
            format!(
                "{} {}",
                error.code,
                error.text.as_deref().unwrap_or_default()
            )
        }),
        ..Replied::default()
    };
    let ReplyBody::Actions(actions) = &reply.body else {
        return Some(replied);
    };
    for action in actions {
        replied.context = Some(action.context);
        for command in &action.commands {
            if let CommandResult::Add(amm)
            | CommandResult::Modify(amm)
            | CommandResult::Subtract(amm) = &command.result
            {
                read_amm(&mut replied, amm);
            }
        }
    }
    Some(replied)
}

fn read_amm(replied: &mut Replied, amm: &AmmReply) {
    replied.termination = ids(&amm.terminations);
    replied.local = sdp_text(stream(&amm.descriptors).and_then(|parms| parms.local));
    for descriptor in &amm.descriptors {
        if let Descriptor::Statistics(statistics) = descriptor {
            replied.statistics += statistics.len();
        }
    }
}

/// The parameters of the first stream.
fn stream(descriptors: &[Descriptor]) -> Option<StreamParms> {
    descriptors.iter().find_map(|descriptor| {
        let Descriptor::Media(media) = descriptor else {
            return None;
        };
        match &media.streams {
            MediaStreams::One(parms) => Some(parms.clone()),
            MediaStreams::Multiple(streams) => streams.first().map(|stream| stream.parms.clone()),
        }
    })
}

fn ids(terminations: &TerminationIds) -> String {
    terminations.to_string()
}

fn sdp_text(octets: Option<OctetString>) -> String {
    octets.map_or_else(String::new, |octets| {
        String::from_utf8_lossy(&octets.0).into_owned()
    })
}

/// A context as on the wire.
pub(super) fn context(id: ContextId) -> String {
    match id {
        ContextId::Null => "-".to_owned(),
        ContextId::Choose => "$".to_owned(),
        ContextId::All => "*".to_owned(),
        ContextId::Id(id) => id.to_string(),
    }
}

/// The `a=path` of a description.
pub(super) fn path_of(sdp: &str) -> String {
    let path = sdp
        .lines()
        .find_map(|line| line.trim().strip_prefix("a=path:"));
    path.unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_taken_apart() {
        let seen = frame(
            b"MSRP a97ghjut SEND\r\nTo-Path: msrp://a:1/x;tcp\r\nFrom-Path: msrp://b:1/y;tcp\r\n\
              Message-ID: 9972\r\nByte-Range: 1-2/2\r\nContent-Type: text/plain\r\n\r\nhi\r\n\
              -------a97ghjut$\r\n",
        );
        assert_eq!(
            (&*seen.transaction, seen.method.as_deref()),
            ("a97ghjut", Some("SEND"))
        );
        assert_eq!((&*seen.byte_range, &*seen.body), ("1-2/2", &b"hi"[..]));
        assert_eq!(seen.fault, None);
        assert!(frame(b"HTTP/1.1 200 OK\r\n").fault.is_some());
    }

    #[test]
    fn commands_and_replies_are_found_by_their_transaction() {
        let parse = |text: &str| h248::parse(text.as_bytes(), &h248::Limits::default()).unwrap();
        let add = parse(
            "!/2 [127.0.0.1]:2944\nT=7{C=${A=${M{ST=1{R{v=0\na=path:msrp://a:1/x;tcp\n}}}}}}",
        );
        let asked = command(&add, Verb::Add, b"").unwrap();
        assert_eq!(
            (context(asked.context), &*asked.termination),
            ("$".to_owned(), "$")
        );
        assert_eq!(path_of(&asked.remote), "msrp://a:1/x;tcp");
        assert!(command(&add, Verb::Subtract, b"").is_none());
        let answer = parse("!/2 [127.0.0.1]:2945\nP=7{C=3{A=ip/1{M{ST=1{L{v=0\na=path:$\n}}}}}}");
        let replied = reply(&answer, 7, b"").unwrap();
        assert_eq!((&*replied.termination, replied.error), ("ip/1", None));
        assert_eq!(path_of(&replied.local), "$");
        assert!(reply(&answer, 8, b"").is_none());
        let refusal = parse("!/2 [127.0.0.1]:2945\nP=7{C=${ER=412{\"none left\"}}}");
        let error = reply(&refusal, 7, b"").unwrap().error;
        assert_eq!(error.as_deref(), Some("412 none left"));
    }
}
