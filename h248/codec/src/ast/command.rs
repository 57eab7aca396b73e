//! Commands, their replies and the terminations they name.

use super::{
    AuditDescriptor, Descriptor, Few, Name, ObservedEvents, ServiceChange, ServiceChangeReplyParms,
    Text,
};

/// One command with its prefixes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandRequest {
    /// `O-`: a failure does not stop the transaction.
    pub optional: bool,
    /// `W-`: one reply for all matches of a wildcard.
    pub wildcard_response: bool,
    /// The command.
    pub command: Command,
}

/// The eight commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Adds terminations to the context.
    Add(AmmRequest),
    /// Changes terminations.
    Modify(AmmRequest),
    /// Moves terminations to this context.
    Move(AmmRequest),
    /// Removes terminations; the audit says which descriptors come back.
    Subtract {
        /// What to remove.
        terminations: TerminationIds,
        /// Which descriptors come back; absent means Statistics.
        audit: Option<AuditDescriptor>,
    },
    /// Asks for current state.
    AuditValue(AuditRequest),
    /// Asks for possible values.
    AuditCapability(AuditRequest),
    /// MG to MGC: events were observed.
    Notify {
        /// Where.
        terminations: TerminationIds,
        /// What was observed.
        observed: ObservedEvents,
        /// Error, when event detection failed.
        error: Option<ErrorDescriptor>,
    },
    /// Service state of terminations or of the whole gateway.
    ServiceChange {
        /// Whose.
        terminations: TerminationIds,
        /// What changes.
        services: Box<ServiceChange>,
    },
}

/// Names of the commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    missing_docs,
    reason = "the variants are the Recommendation's own tokens"
)]
pub enum CommandKind {
    Add,
    Modify,
    Move,
    Subtract,
    AuditValue,
    AuditCapability,
    Notify,
    ServiceChange,
}

/// Add, Modify or Move with its descriptors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AmmRequest {
    /// To which terminations.
    pub terminations: TerminationIds,
    /// Processed in the order written; each kind at most once.
    pub descriptors: Vec<Descriptor>,
}

/// AuditValue or AuditCapability.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditRequest {
    /// Of which terminations.
    pub terminations: TerminationIds,
    /// What is asked; v3 allows leaving it out.
    pub audit: Option<AuditDescriptor>,
}

/// One termination, or a v3 list `[a,b]` (at least one element).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TerminationIds(pub Few<TerminationId>);

impl From<TerminationId> for TerminationIds {
    fn from(id: TerminationId) -> Self {
        Self(Few::One(id))
    }
}

/// A termination identifier.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TerminationId {
    /// `ROOT`: the gateway itself.
    Root,
    /// `$`.
    Choose,
    /// `*`.
    All,
    /// A pathNAME, possibly with `*` or `$` inside (partial wildcards).
    Name(Name),
}

/// Result of one command on one termination (or list).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandReply {
    /// v2/v3 prefixes echoed by some peers.
    pub optional: bool,
    /// `W-` echoed.
    pub wildcard_response: bool,
    /// The result.
    pub result: CommandResult,
}

/// Results by command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandResult {
    /// `Add=tid[{...}]`.
    Add(AmmReply),
    /// `Modify=tid[{...}]`.
    Modify(AmmReply),
    /// `Move=tid[{...}]`.
    Move(AmmReply),
    /// `Subtract=tid[{...}]`.
    Subtract(AmmReply),
    /// `AuditValue=...`.
    AuditValue(AuditReply),
    /// `AuditCapability=...`.
    AuditCapability(AuditReply),
    /// `Notify=tid[{Error}]`.
    Notify {
        /// Which terminations.
        terminations: TerminationIds,
        /// Failure.
        error: Option<ErrorDescriptor>,
    },
    /// `ServiceChange=tid[{Services|Error}]`.
    ServiceChange {
        /// Which terminations.
        terminations: TerminationIds,
        /// Result.
        result: ServiceChangeResult,
    },
}

/// Termination and returned descriptors (an Error descriptor among them on failure).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AmmReply {
    /// Which terminations.
    pub terminations: TerminationIds,
    /// Returned descriptors.
    pub descriptors: Vec<Descriptor>,
}

/// Result of an audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditReply {
    /// `=tid[{...}]`.
    Terminations(AmmReply),
    /// `=Context{tid,...}`.
    ContextList(Vec<TerminationId>),
    /// `=Context{Error}`.
    ContextError(ErrorDescriptor),
}

/// Result of a ServiceChange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceChangeResult {
    /// Nothing returned.
    Empty,
    /// `Services{...}` of a reply.
    Services(Box<ServiceChangeReplyParms>),
    /// Failure.
    Error(ErrorDescriptor),
}

/// `Error=code{"text"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorDescriptor {
    /// 1 to 4 digits; see [`crate::error_code`].
    pub code: u16,
    /// Explanation, when written.
    pub text: Option<Text>,
}
