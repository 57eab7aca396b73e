//! What an endpoint hands to its owner.

use bytes::Bytes;
use clock::Instant;
use h248::ast::{
    ActionReply, AmmReply, AuditReply, Command, CommandKind, CommandReply, CommandResult,
    ContextId, ContextProperties, Descriptor, ErrorDescriptor, Few, MId, ReplyBody,
    ServiceChangeResult, TransactionId, TransactionReply, TransactionRequest,
};

use crate::Peer;
use crate::wire::failed_result;

/// One thing to do, from [`crate::Endpoint::poll`].
#[derive(Clone, Debug)]
pub enum Output {
    /// Send one message, without framing.
    Transmit {
        /// Where.
        peer: Peer,
        /// The whole message.
        octets: Bytes,
    },
    /// Execute a request, then call [`crate::Endpoint::reply`] with its key, once.
    Request(Request),
    /// A request of ours was answered.
    Reply {
        /// As returned by [`crate::Endpoint::send_request`].
        id: TransactionId,
        /// Who was asked.
        peer: Peer,
        /// Who answered, by name.
        mid: MId,
        /// The answer; segments are already joined.
        reply: TransactionReply,
    },
    /// A request of ours ended without a reply; whether it was executed is not known.
    Failed {
        /// As returned by [`crate::Endpoint::send_request`].
        id: TransactionId,
        /// Who was asked.
        peer: Peer,
        /// Why.
        reason: FailReason,
    },
    /// A request that was given up was executed and answered after all: what it made is there. At most once
    /// for each, after its [`Self::Failed`], of the last [`crate::limits::GIVEN_UP_MAX`].
    Late {
        /// As returned by [`crate::Endpoint::send_request`].
        id: TransactionId,
        /// Who was asked.
        peer: Peer,
        /// Who answered, by name.
        mid: MId,
        /// The answer.
        reply: TransactionReply,
    },
    /// Something worth one log line; nothing to do.
    Problem(Problem),
    /// Nothing more before this instant (`None`: before the next input).
    Wait(Option<Instant>),
}

/// Names a request while its reply is awaited; harmless afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestKey(pub(crate) u64);

/// A request of a peer, to be executed at most once.
#[derive(Clone, Debug)]
pub struct Request {
    /// For the reply.
    pub key: RequestKey,
    /// Where it came from, and where its reply goes.
    pub peer: Peer,
    /// Who sent it, by name.
    pub mid: MId,
    /// Protocol version of the message; the reply is sent in the same.
    pub version: u8,
    /// What to execute.
    pub request: TransactionRequest,
    /// The request went on but could not be read: after executing what is there, and only if
    /// that did not stop early, add the error with [`BrokenTail::append_to`].
    pub broken: Option<Box<BrokenTail>>,
}

/// The unreadable rest of a request, and where its error belongs (H.248.1 section 8.2.2: as deep as
/// it can be placed).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenTail {
    /// The context of the action that broke.
    pub context: ContextId,
    /// The broken command's result, holding the error; `None` if no command can be named.
    pub result: Option<CommandResult>,
    /// The error.
    pub error: ErrorDescriptor,
    /// Whether the broken action is the last one of what could be read (earlier commands of it
    /// were), so that its reply is the one to extend.
    pub continues_last: bool,
}

impl BrokenTail {
    /// Adds the error to the results of what was executed: at the broken command, else at its
    /// action.
    pub fn append_to(&self, body: &mut ReplyBody) {
        let ReplyBody::Actions(actions) = body else {
            return;
        };
        if !self.continues_last || actions.is_empty() {
            actions.push(ActionReply {
                context: self.context,
                properties: ContextProperties::default(),
                commands: Few::default(),
                error: None,
            });
        }
        let Some(action) = actions.last_mut() else {
            return;
        };
        match &self.result {
            Some(result) => action.commands.push(CommandReply {
                optional: false,
                wildcard_response: false,
                result: result.clone(),
            }),
            None => action.error = Some(self.error.clone()),
        }
    }
}

/// Whether any part of `body` reports an error: execution of a request stops at the first
/// failure, unless the failed command was optional.
#[must_use]
pub fn has_error(body: &ReplyBody) -> bool {
    match body {
        ReplyBody::Error(_) => true,
        ReplyBody::Actions(actions) => actions.iter().any(|action| {
            action.error.is_some()
                || action
                    .commands
                    .iter()
                    .any(|c| error_of(&c.result).is_some())
        }),
    }
}

/// The result of a command that is not even tried.
#[must_use]
pub fn refused_command(command: &Command, error: ErrorDescriptor) -> CommandResult {
    let (kind, terminations) = match command {
        Command::Add(asked) => (CommandKind::Add, &asked.terminations),
        Command::Modify(asked) => (CommandKind::Modify, &asked.terminations),
        Command::Move(asked) => (CommandKind::Move, &asked.terminations),
        Command::Subtract { terminations, .. } => (CommandKind::Subtract, terminations),
        Command::AuditValue(asked) => (CommandKind::AuditValue, &asked.terminations),
        Command::AuditCapability(asked) => (CommandKind::AuditCapability, &asked.terminations),
        Command::Notify { terminations, .. } => (CommandKind::Notify, terminations),
        Command::ServiceChange { terminations, .. } => (CommandKind::ServiceChange, terminations),
    };
    failed_result(kind, terminations.clone(), error)
}

/// The error of a command's result, if it failed.
#[must_use]
pub fn error_of(result: &CommandResult) -> Option<&ErrorDescriptor> {
    match result {
        CommandResult::Add(amm)
        | CommandResult::Modify(amm)
        | CommandResult::Move(amm)
        | CommandResult::Subtract(amm) => error_among(amm),
        CommandResult::AuditValue(audit) | CommandResult::AuditCapability(audit) => match audit {
            AuditReply::Terminations(amm) => error_among(amm),
            AuditReply::ContextError(error) => Some(error),
            AuditReply::ContextList(_) => None,
        },
        CommandResult::Notify { error, .. } => error.as_ref(),
        CommandResult::ServiceChange { result, .. } => match result {
            ServiceChangeResult::Error(error) => Some(error),
            ServiceChangeResult::Empty | ServiceChangeResult::Services(_) => None,
        },
    }
}

/// The first error of a whole reply, at whatever level it stands.
#[must_use]
pub fn first_error(body: &ReplyBody) -> Option<&ErrorDescriptor> {
    match body {
        ReplyBody::Error(error) => Some(error),
        ReplyBody::Actions(actions) => actions.iter().find_map(|action| {
            let of_command = action.commands.iter().find_map(|c| error_of(&c.result));
            of_command.or(action.error.as_ref())
        }),
    }
}

fn error_among(amm: &AmmReply) -> Option<&ErrorDescriptor> {
    amm.descriptors.iter().find_map(|d| match d {
        Descriptor::Error(error) => Some(error),
        Descriptor::Media(_)
        | Descriptor::Events(_)
        | Descriptor::EventBuffer(_)
        | Descriptor::Signals(_)
        | Descriptor::DigitMap(_)
        | Descriptor::Statistics(_)
        | Descriptor::Audit(_)
        | Descriptor::ObservedEvents(_)
        | Descriptor::Packages(_)
        | Descriptor::Mux { .. }
        | Descriptor::Modem { .. }
        | Descriptor::Empty(_) => None,
    })
}

/// Why a request of ours has no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FailReason {
    /// T-MAX passed without a reply or a Pending.
    #[error("no reply within T-MAX")]
    TimedOut,
    /// The connection failed or was closed.
    #[error("the transport was lost")]
    TransportLost,
    /// More Pendings than the limit.
    #[error("too many Pendings")]
    PendingLimit,
    /// The peer could not read the message, or did not find the transaction's id in it.
    #[error("the peer refused the message: {}", describe(.0))]
    ErrorMessage(ErrorDescriptor),
    /// A reply came and could not be read.
    #[error("the reply was unreadable: {0}")]
    ReplyUnreadable(String),
}

/// `code text` for a log line.
#[must_use]
pub fn describe(error: &ErrorDescriptor) -> String {
    match &error.text {
        Some(text) => format!("{} {text}", error.code),
        None => error.code.to_string(),
    }
}

/// Something a peer did that is worth a log line. The endpoint has already dealt with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// From where.
    pub peer: Peer,
    /// From whom, when the header was readable.
    pub mid: Option<MId>,
    /// Which transaction, when it has an id.
    pub transaction: Option<TransactionId>,
    /// What happened.
    pub kind: ProblemKind,
}

/// Kinds of [`Problem`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProblemKind {
    /// Nothing of the message was readable; answered with a message-level error.
    #[error("unreadable message, answered {code}: {what}")]
    MessageUnreadable {
        /// The error sent: 400, 406, ...
        code: u16,
        /// Place and expectation.
        what: String,
    },
    /// As above, and not answered because too many such answers were sent this second.
    #[error("unreadable message, not answered (rate limit): {what}")]
    MessageDropped {
        /// Place and expectation.
        what: String,
    },
    /// Part of a transaction was unreadable.
    #[error("unreadable transaction, error {code}: {what}")]
    TransactionUnreadable {
        /// The error sent or noted.
        code: u16,
        /// Text of the error.
        what: String,
    },
    /// The peer sent a message-level error.
    #[error("peer reports message error {0}")]
    ErrorReceived(String),
    /// A reply, Pending or error for a transaction that is not (or no longer) outstanding there.
    #[error("reply to no outstanding request")]
    ReplyUnexpected,
    /// More transactions in a message than allowed; its requests were refused with 413.
    #[error("{count} transactions in one message, refused with 413")]
    TooManyTransactions {
        /// How many.
        count: usize,
    },
    /// A bound of [`crate::limits`] was reached, and the request refused with 510.
    #[error("too many {0} at once, refused with 510")]
    Busy(&'static str),
    /// The reply was too long for the transport and replaced by error 533.
    #[error("reply of {bytes} octets exceeds the transport's maximum, replaced by 533")]
    ReplyTooLong {
        /// Its length, octets.
        bytes: usize,
    },
    /// Stored replies were dropped before LONG-TIMER: repeats of them would execute again.
    #[error("{0} stored replies dropped early")]
    StoreFull(u64),
    /// A segmented reply could not be joined.
    #[error("segmented reply unusable")]
    Segments,
}

#[cfg(test)]
mod tests {
    use super::*;
    use h248::ast::TerminationId;

    fn tail(context: ContextId, is_named: bool, continues_last: bool) -> BrokenTail {
        let error = crate::error(442, "test");
        let result = CommandResult::Notify {
            terminations: TerminationId::Root.into(),
            error: Some(error.clone()),
        };
        BrokenTail {
            context,
            result: is_named.then_some(result),
            error,
            continues_last,
        }
    }

    fn executed() -> ReplyBody {
        let terminations = TerminationId::Root.into();
        let result = CommandResult::Notify {
            terminations,
            error: None,
        };
        crate::single_reply(ContextId::Id(7), result)
    }

    /// Per action: context, commands, whether an error stands at action level.
    #[track_caller]
    fn check(tail: &BrokenTail, before: ReplyBody, expected: &[(ContextId, usize, bool)]) {
        let mut body = before;
        tail.append_to(&mut body);
        let ReplyBody::Actions(actions) = &body else {
            panic!("{body:?}");
        };
        let shape = |a: &ActionReply| (a.context, a.commands.len(), a.error.is_some());
        assert_eq!(actions.iter().map(shape).collect::<Vec<_>>(), expected);
        assert!(has_error(&body));
        assert_eq!(first_error(&body).map(|e| e.code), Some(442));
    }

    #[test]
    fn the_error_of_a_broken_request_stands_as_deep_as_it_can() {
        let (seven, choose) = (ContextId::Id(7), ContextId::Choose);
        let command = tail(choose, true, true);
        check(&command, executed(), &[(seven, 2, false)]);
        let unnamed = tail(choose, false, true);
        check(&unnamed, executed(), &[(seven, 1, true)]);
        let other = tail(choose, true, false);
        check(&other, executed(), &[(seven, 1, false), (choose, 1, false)]);
        let first = tail(choose, true, true);
        check(
            &first,
            ReplyBody::Actions(Few::default()),
            &[(choose, 1, false)],
        );
        let mut body = executed();
        assert!(!has_error(&body));
        tail(choose, true, false).append_to(&mut body);
        assert!(has_error(&body));
    }
}
