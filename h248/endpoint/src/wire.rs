//! The seam to the codec: messages in and out of octets.

use h248::ast::{
    AmmReply, AuditReply, CommandKind, CommandResult, Descriptor, ErrorDescriptor, MId,
    ServiceChangeResult, TerminationIds, Transaction, TransactionId, TransactionRequest,
};
use h248::{BrokenTransaction, Limits, ReceivedBody};

use crate::BrokenTail;

/// A message as far as it was readable.
pub(crate) struct Received {
    pub(crate) version: u8,
    pub(crate) mid: MId,
    /// Whether there is an authentication header, which nobody here can verify.
    pub(crate) is_authenticated: bool,
    pub(crate) body: Body,
}

pub(crate) enum Body {
    Error(ErrorDescriptor),
    Items(Vec<Item>),
}

#[expect(
    clippy::large_enum_variant,
    reason = "nearly all items are whole: a box for each would cost more than the room"
)]
pub(crate) enum Item {
    Whole(Transaction),
    Broken(Box<Broken>),
}

/// A transaction of which only the beginning was readable, if anything.
pub(crate) struct Broken {
    pub(crate) id: Option<TransactionId>,
    pub(crate) is_request: bool,
    pub(crate) partial: Option<TransactionRequest>,
    pub(crate) error: ErrorDescriptor,
    /// Where the error belongs; `None`: to the whole transaction.
    pub(crate) tail: Option<BrokenTail>,
    pub(crate) what: String,
}

/// A message without a readable header.
pub(crate) struct Unreadable {
    pub(crate) error: ErrorDescriptor,
    pub(crate) what: String,
}

impl Item {
    pub(crate) fn is_request(&self) -> bool {
        match self {
            Self::Whole(transaction) => matches!(transaction, Transaction::Request(_)),
            Self::Broken(broken) => broken.is_request,
        }
    }
}

/// Reads a message. An interim authentication header (RFC 3525 section 10.2) is read over: it means
/// something within a security association alone, there is none on Mp (TS 29.333: protection is
/// IPsec's business), and refusing it, which a configuration may ask for, would lock out peers that
/// send it to everybody.
pub(crate) fn read(octets: &[u8], limits: &Limits) -> Result<Received, Unreadable> {
    let received = h248::parse_recovering(octets, limits).map_err(|cause| Unreadable {
        error: ErrorDescriptor::new(cause.code, &cause.to_string()),
        what: cause.to_string(),
    })?;
    let body = match received.body {
        ReceivedBody::Error(error) => Body::Error(error),
        ReceivedBody::Transactions(transactions) => Body::Items(
            transactions
                .into_iter()
                .map(|transaction| match transaction {
                    Ok(transaction) => Item::Whole(transaction),
                    Err(broken) => Item::Broken(Box::new(explain(broken))),
                })
                .collect(),
        ),
    };
    Ok(Received {
        version: received.version,
        mid: received.mid,
        is_authenticated: received.authentication.is_some(),
        body,
    })
}

fn explain(broken: BrokenTransaction) -> Broken {
    let what = broken.error.to_string();
    let error = ErrorDescriptor::new(broken.code, &what);
    let last = broken.partial.as_ref().and_then(|p| p.actions.last());
    let continues_last = last.is_some_and(|action| Some(action.context) == broken.context);
    let result = broken
        .command
        .map(|(kind, terminations)| failed_result(kind, terminations, error.clone()));
    Broken {
        id: broken.id,
        is_request: broken.is_request,
        partial: broken.partial,
        tail: broken.context.map(|context| BrokenTail {
            context,
            result,
            error: error.clone(),
            continues_last,
        }),
        error,
        what,
    }
}

/// The reply of a command that failed as a whole.
pub(crate) fn failed_result(
    kind: CommandKind,
    terminations: TerminationIds,
    error: ErrorDescriptor,
) -> CommandResult {
    let failed = |terminations, error| AmmReply {
        terminations,
        descriptors: vec![Descriptor::Error(error)],
    };
    let audited = |terminations, error| AuditReply::Terminations(failed(terminations, error));
    match kind {
        CommandKind::Add => CommandResult::Add(failed(terminations, error)),
        CommandKind::Modify => CommandResult::Modify(failed(terminations, error)),
        CommandKind::Move => CommandResult::Move(failed(terminations, error)),
        CommandKind::Subtract => CommandResult::Subtract(failed(terminations, error)),
        CommandKind::AuditValue => CommandResult::AuditValue(audited(terminations, error)),
        CommandKind::AuditCapability => {
            CommandResult::AuditCapability(audited(terminations, error))
        }
        CommandKind::Notify => CommandResult::Notify {
            terminations,
            error: Some(error),
        },
        CommandKind::ServiceChange => CommandResult::ServiceChange {
            terminations,
            result: ServiceChangeResult::Error(error),
        },
    }
}
