//! Messages, transactions, actions and contexts.

use core::net::IpAddr;

use super::{
    Command, CommandReply, CommandRequest, ErrorDescriptor, Few, Name, PackageItem, PropertyParm,
    PropertyValue, TerminationId,
};

/// One H.248 message (`megacoMessage`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Interim authentication header; parsed and kept, never verified here.
    pub authentication: Option<Box<Authentication>>,
    /// Protocol version of the header, 1 to 99; the codec understands 1 to 3.
    pub version: u8,
    /// The sender's name.
    pub mid: MId,
    /// Transactions, or the error that answers a message nobody could read.
    pub body: MessageBody,
}

/// `Authentication=0xSPI:0xSEQ:0xICV`, as hexadecimal digits without the `0x`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authentication {
    /// Security parameter index, 8 hexadecimal digits.
    pub spi: Name,
    /// Sequence number, 8 hexadecimal digits.
    pub sequence: Name,
    /// Integrity check value, 24 to 64 hexadecimal digits.
    pub icv: Name,
}

/// What a message carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageBody {
    /// Message-level error; nobody replies to it.
    Error(ErrorDescriptor),
    /// At least one transaction.
    Transactions(Vec<Transaction>),
}

/// A message identifier: the name of an MG or MGC.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MId {
    /// `<domain>[:port]`.
    Domain {
        /// The domain name without angle brackets.
        name: Name,
        /// Port, when written.
        port: Option<u16>,
    },
    /// `[address][:port]`.
    Ip {
        /// IPv4 or IPv6 address.
        address: IpAddr,
        /// Port, when written.
        port: Option<u16>,
    },
    /// A pathNAME.
    Device(Name),
    /// `MTP{hex}`: 4 to 8 hexadecimal digits.
    Mtp(Name),
}

/// Transaction identifier, unique per sender; 0 only in replies to unreadable requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransactionId(pub u32);

/// One transaction of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transaction {
    /// `Transaction=id{...}`.
    Request(TransactionRequest),
    /// `Reply=id{...}`.
    Reply(TransactionReply),
    /// `Pending=id{}`.
    Pending(TransactionId),
    /// `TransactionResponseAck{...}`: inclusive ranges.
    Ack(Vec<(TransactionId, TransactionId)>),
    /// v3 `Segment=id/n[/END]`: acknowledges one segment of a reply.
    Segment {
        /// The transaction whose reply was segmented.
        id: TransactionId,
        /// Number and last-flag of the segment.
        segment: Segment,
    },
}

/// v3 segment number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Counted from 1.
    pub number: u16,
    /// Whether this is the last one (`/END`).
    pub is_last: bool,
}

/// A request to execute commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionRequest {
    /// Chosen by the requester.
    pub id: TransactionId,
    /// In execution order; at least one.
    pub actions: Few<ActionRequest>,
}

/// The commands for one context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionRequest {
    /// Where the commands apply.
    pub context: ContextId,
    /// Changes of context attributes; processed before the commands.
    pub properties: ContextProperties,
    /// Attributes asked for.
    pub audit: Option<ContextAudit>,
    /// In execution order.
    pub commands: Few<CommandRequest>,
}

impl ActionRequest {
    /// Commands without prefixes, and nothing else.
    #[must_use]
    pub fn new(context: ContextId, commands: impl IntoIterator<Item = Command>) -> Self {
        Self {
            context,
            properties: ContextProperties::default(),
            audit: None,
            commands: commands.into_iter().map(CommandRequest::from).collect(),
        }
    }
}

/// Where an action applies (`ContextID`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContextId {
    /// `-`: the null context.
    Null,
    /// `$`: make one.
    Choose,
    /// `*`: every context except the null one.
    All,
    /// A number other than the reserved 0, 0xFFFFFFFE and 0xFFFFFFFF.
    Id(u32),
}

/// Context attributes in an action request or reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContextProperties {
    /// Topology triples in order; empty when no Topology was written.
    pub topology: Vec<TopologyTriple>,
    /// 0 to 15.
    pub priority: Option<u8>,
    /// `Emergency` (true) or v2 `EmergencyOff` (false).
    pub emergency: Option<bool>,
    /// v3 `IEPSCall`.
    pub ieps: Option<bool>,
    /// v3 `ContextAttr{pkg/prop=value,...}`.
    pub attributes: Vec<PropertyParm>,
    /// v3 `ContextAttr{ContextList={...}}`.
    pub context_list: Vec<ContextId>,
}

impl ContextProperties {
    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// `from, to, direction[, Stream=n]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopologyTriple {
    /// First termination; in `Oneway` the one that is heard.
    pub from: TerminationId,
    /// Second termination; in `Oneway` the one that hears.
    pub to: TerminationId,
    /// How they are connected.
    pub direction: TopologyDirection,
    /// v2: only this stream.
    pub stream: Option<u16>,
}

/// Topology association.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the variants are the Recommendation's own tokens"
)]
pub enum TopologyDirection {
    Isolate,
    Oneway,
    Bothway,
    OnewayExternal,
    OnewayBoth,
}

/// `ContextAudit{...}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContextAudit {
    /// Attributes by name, in order.
    pub items: Vec<ContextAuditItem>,
    /// v3 selection: how the values written in `items` combine.
    pub selection: Option<SelectLogic>,
}

/// One item of a context audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ContextAuditItem {
    /// `Topology`.
    Topology,
    /// `Emergency`.
    Emergency,
    /// `Priority`, v3 with a value to select by.
    Priority(Option<u8>),
    /// v3 `EmergencyValue=Emergency|EmergencyOff` selection.
    EmergencyValue(bool),
    /// v3 `IEPSCall`, with a value to select by.
    Ieps(Option<bool>),
    /// v3 property by name, bare or in `ContextAttr{...}`, with a value to select by when written.
    Attribute(PackageItem, Option<PropertyValue>),
    /// v3 `ContextAttr{ContextList[={...}]}`.
    ContextList(Vec<ContextId>),
}

/// v3 audit selection logic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelectLogic {
    /// `ANDLgc`.
    And,
    /// `ORLgc`.
    Or,
}

/// A reply to a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionReply {
    /// The request's id; 0 if it could not be read.
    pub id: TransactionId,
    /// v3 segment.
    pub segment: Option<Segment>,
    /// `ImmAckRequired`.
    pub immediate_ack: bool,
    /// Results.
    pub body: ReplyBody,
}

/// What a reply carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyBody {
    /// The whole transaction failed.
    Error(ErrorDescriptor),
    /// One per action executed.
    Actions(Few<ActionReply>),
}

/// Results of one action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionReply {
    /// The context; `$` echoed when none could be made.
    pub context: ContextId,
    /// Context attributes asked for or echoed.
    pub properties: ContextProperties,
    /// One per command executed (several for a wildcard).
    pub commands: Few<CommandReply>,
    /// Action-level error, after the command replies.
    pub error: Option<ErrorDescriptor>,
}
