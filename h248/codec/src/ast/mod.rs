//! The abstract syntax of H.248.1 text messages, versions 1 to 3 (Annex B, read as one superset).
//!
//! Synonyms (long and short tokens), blanks, comments and the order of unordered parts die in the
//! parser; what is left is meaning. Names keep the spelling they came in with, and compare without
//! case through [`Name`]. SDP stays opaque.

mod audit;
mod command;
mod events;
mod few;
mod media;
mod message;
mod service;
mod text;
mod value;

pub use audit::{
    AuditDescriptor, AuditItem, AuditToken, MediaAudit, MediaAuditItem, SignalAudit, StreamAudit,
};
pub use command::{
    AmmReply, AmmRequest, AuditReply, AuditRequest, Command, CommandKind, CommandReply,
    CommandRequest, CommandResult, ErrorDescriptor, ServiceChangeResult, TerminationId,
    TerminationIds,
};
pub use events::{
    CompletionReason, DigitMap, Embed, EventSpec, Events, NotifyBehaviour, ObservedEvent,
    ObservedEvents, Signal, SignalDirection, SignalItem, SignalType,
};
pub use few::Few;
pub use media::{
    Descriptor, EventBufferControl, LocalControl, Media, MediaStreams, OctetString, PackageVersion,
    ServiceState, Statistic, Stream, StreamMode, StreamParms, TerminationState,
};
pub use message::{
    ActionReply, ActionRequest, Authentication, ContextAudit, ContextAuditItem, ContextId,
    ContextProperties, MId, Message, MessageBody, ReplyBody, Segment, SelectLogic,
    TopologyDirection, TopologyTriple, Transaction, TransactionId, TransactionReply,
    TransactionRequest,
};
pub use service::{
    Profile, ServiceChange, ServiceChangeAddress, ServiceChangeMethod, ServiceChangeReplyParms,
};
pub(crate) use text::Short;
pub use text::Text;
pub use value::{Name, NameRef, PackageItem, Parm, PropertyParm, PropertyValue, TimeStamp, Value};
