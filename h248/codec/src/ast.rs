//! The abstract syntax of H.248.1 text messages, versions 1 to 3 (Annex B, read as one superset).
//!
//! Synonyms (long and short tokens), blanks, comments and the order of unordered parts die in the
//! parser; what is left is meaning. Names keep the spelling they came in with, and compare without
//! case through [`Name`]. SDP stays opaque.

use core::fmt;
use core::net::IpAddr;

use compact_str::CompactString;

/// A name, identifier or enumeration value: compared, hashed and ordered without regard to ASCII
/// case (H.248.1 Annex B: everything outside Local/Remote is case-insensitive), printed as it came.
#[derive(Clone, Default)]
pub struct Name(CompactString);

impl Name {
    /// Wraps `text` without checking it against any production.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(CompactString::new(text))
    }

    /// The text as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Name {}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }
}

impl core::hash::Hash for Name {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        for octet in self.0.bytes() {
            state.write_u8(octet.to_ascii_lowercase());
        }
        state.write_u8(0xff);
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        let fold = |c: u8| c.to_ascii_lowercase();
        self.0.bytes().map(fold).cmp(other.0.bytes().map(fold))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// One H.248 message (`megacoMessage`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Interim authentication header; parsed and kept, never verified here.
    pub authentication: Option<Authentication>,
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
    pub actions: Vec<ActionRequest>,
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
    pub commands: Vec<CommandRequest>,
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
    /// v3 `ContextAttr{...}`: named properties, with values to select by when written.
    Attributes(Vec<(PackageItem, Option<PropertyValue>)>),
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
        services: ServiceChange,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmmRequest {
    /// To which terminations.
    pub terminations: TerminationIds,
    /// Processed in the order written; each kind at most once.
    pub descriptors: Vec<Descriptor>,
}

/// AuditValue or AuditCapability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRequest {
    /// Of which terminations.
    pub terminations: TerminationIds,
    /// What is asked; v3 allows leaving it out.
    pub audit: Option<AuditDescriptor>,
}

/// One termination, or a v3 list `[a,b]` (at least one element).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TerminationIds(pub Vec<TerminationId>);

impl From<TerminationId> for TerminationIds {
    fn from(id: TerminationId) -> Self {
        Self(vec![id])
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

/// A descriptor in a command request or reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Descriptor {
    /// `Media{...}`.
    Media(Media),
    /// `Events`, bare (`request_id` absent, no events) or with a list.
    Events(Events),
    /// `EventBuffer`.
    EventBuffer(Vec<EventSpec>),
    /// `Signals`; empty = stop all.
    Signals(Vec<SignalItem>),
    /// `DigitMap`.
    DigitMap(DigitMap),
    /// `Statistics{...}`.
    Statistics(Vec<Statistic>),
    /// `Audit{...}`.
    Audit(AuditDescriptor),
    /// `ObservedEvents` (replies to audits).
    ObservedEvents(ObservedEvents),
    /// `Packages{name-version,...}` (replies to audits).
    Packages(Vec<PackageVersion>),
    /// `Error=code{"text"}` (replies).
    Error(ErrorDescriptor),
    /// `Mux=type{terminations}`.
    Mux {
        /// `H221`, `H223`, `H226`, `V76`, `Nx64Kservice` or an extension.
        kind: Name,
        /// The terminations of the multiplex.
        terminations: Vec<TerminationId>,
    },
    /// `Modem[type,...]{properties}`.
    Modem {
        /// `V18`, `V22`, … or an extension.
        kinds: Vec<Name>,
        /// Properties and extensions.
        properties: Vec<PropertyParm>,
    },
    /// A bare audit token in a reply: the descriptor exists and is empty. Not for Events,
    /// EventBuffer, Signals and Statistics, whose own variants can be empty.
    Empty(AuditToken),
}

/// The Media descriptor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Media {
    /// Properties that belong to no stream.
    pub termination_state: Option<TerminationState>,
    /// The streams.
    pub streams: MediaStreams,
}

/// Streams named, or the parameters of stream 1 written directly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaStreams {
    /// `Stream=id{...}` each, possibly none.
    Multiple(Vec<Stream>),
    /// Stream parameters without `Stream=`: they mean stream 1.
    One(StreamParms),
}

impl Default for MediaStreams {
    fn default() -> Self {
        Self::Multiple(Vec::new())
    }
}

/// `Stream=id{...}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// 1 to 65535.
    pub id: u16,
    /// Its parameters.
    pub parms: StreamParms,
}

/// LocalControl, Local, Remote and (v3) Statistics of a stream; each present or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamParms {
    /// `LocalControl{...}`.
    pub local_control: Option<LocalControl>,
    /// `Local{...}`: empty octets release the receiving resources.
    pub local: Option<OctetString>,
    /// `Remote{...}`: empty octets release the sending resources.
    pub remote: Option<OctetString>,
    /// v3 stream-level statistics.
    pub statistics: Option<Vec<Statistic>>,
}

/// The raw text of a Local or Remote descriptor, unescaped (`\}` read as `}`); usually SDP.
///
/// Canonical, as parsed: no blanks or line ends before the first line, exactly one line end after
/// the last, in the style of the others. The printer brings any other text into this form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OctetString(pub Vec<u8>);

/// `TerminationState{...}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TerminationState {
    /// `ServiceStates`.
    pub service_states: Option<ServiceState>,
    /// `Buffer`.
    pub buffer: Option<EventBufferControl>,
    /// Package properties.
    pub properties: Vec<PropertyParm>,
}

/// `ServiceStates` values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the variants are the Recommendation's own tokens"
)]
pub enum ServiceState {
    Test,
    OutOfService,
    InService,
}

/// `Buffer` values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the variants are the Recommendation's own tokens"
)]
pub enum EventBufferControl {
    Off,
    LockStep,
}

/// `LocalControl{...}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalControl {
    /// `Mode`; absent means the default, Inactive, when the descriptor is present.
    pub mode: Option<StreamMode>,
    /// `ReservedValue`.
    pub reserved_value: Option<bool>,
    /// `ReservedGroup`.
    pub reserved_group: Option<bool>,
    /// Package properties.
    pub properties: Vec<PropertyParm>,
}

/// `Mode` values, seen from outside the context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the variants are the Recommendation's own tokens"
)]
pub enum StreamMode {
    SendOnly,
    ReceiveOnly,
    SendReceive,
    Inactive,
    Loopback,
}

/// `package/item`; either side may be `*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PackageItem {
    /// Package name, or `*`.
    pub package: Name,
    /// Property, event, signal or statistic name, or `*`.
    pub item: Name,
}

/// A property with its value: `pkg/prop=value`. An extension parameter has an empty package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertyParm {
    /// Which property.
    pub name: PackageItem,
    /// Its value or values.
    pub value: PropertyValue,
}

/// A value as written, with the quotes remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The text without quotes.
    pub text: CompactString,
    /// Whether it was a quotedString.
    pub quoted: bool,
}

/// Forms of a property value (`parmValue`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PropertyValue {
    /// `=v`.
    Is(Value),
    /// `=[v,v]`: all of.
    AllOf(Vec<Value>),
    /// `={v,v}`: one of.
    OneOf(Vec<Value>),
    /// `=[v:v]`: from, to.
    Range(Value, Value),
    /// `>v`.
    GreaterThan(Value),
    /// `<v`.
    LessThan(Value),
    /// `#v`.
    NotEqual(Value),
}

/// `Events[=id{...}]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// Request id, `None` for the bare form or `*` (`request_any`).
    pub request_id: Option<u32>,
    /// `Events=*`.
    pub request_any: bool,
    /// Events armed.
    pub events: Vec<EventSpec>,
}

/// One event with its parameters, in Events, EventBuffer or an embedded list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSpec {
    /// Which event.
    pub name: PackageItem,
    /// `Stream=id`.
    pub stream: Option<u16>,
    /// `KeepActive`.
    pub keep_active: bool,
    /// `Embed{...}`.
    pub embed: Option<Embed>,
    /// `DigitMap=...`.
    pub digit_map: Option<DigitMap>,
    /// v3 notification behaviour.
    pub notify: Option<NotifyBehaviour>,
    /// v3 `ResetEventsDescriptor`.
    pub reset_events: bool,
    /// Other parameters: `name value`.
    pub parms: Vec<Parm>,
}

/// A named parameter of an event, signal, or observed event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parm {
    /// The parameter's name.
    pub name: Name,
    /// Its value or values.
    pub value: PropertyValue,
}

/// `Embed{[Signals{..}][,Events=..{..}]}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Embed {
    /// Signals to start.
    pub signals: Option<Vec<SignalItem>>,
    /// Events to arm.
    pub events: Option<Events>,
}

/// v3 notification behaviour of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotifyBehaviour {
    /// `ImmediateNotify`.
    Immediate,
    /// `NeverNotify`.
    Never,
    /// `RegulatedNotify[{Embed{..}}]`.
    Regulated(Option<Embed>),
}

/// One entry of a Signals descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignalItem {
    /// A single signal.
    Signal(Signal),
    /// `SignalList=id{...}`.
    List {
        /// List id.
        id: u16,
        /// Played in order.
        signals: Vec<Signal>,
    },
}

/// A signal with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Which signal.
    pub name: PackageItem,
    /// `Stream=id`.
    pub stream: Option<u16>,
    /// `SignalType`.
    pub kind: Option<SignalType>,
    /// `Duration` in hundredths of a second.
    pub duration: Option<u16>,
    /// `NotifyCompletion={..}`.
    pub notify_completion: Vec<CompletionReason>,
    /// `KeepActive`.
    pub keep_active: bool,
    /// v3 `SPADirection`.
    pub direction: Option<SignalDirection>,
    /// v3 `SPARequestID`.
    pub request_id: Option<u32>,
    /// v3 `Intersignal` delay, hundredths of a second.
    pub intersignal: Option<u16>,
    /// Other parameters.
    pub parms: Vec<Parm>,
}

/// `SignalType` values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the variants are the Recommendation's own tokens"
)]
pub enum SignalType {
    OnOff,
    TimeOut,
    Brief,
}

/// `NotifyCompletion` values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the variants are the Recommendation's own tokens"
)]
pub enum CompletionReason {
    TimeOut,
    InterruptByEvent,
    InterruptByNewSignals,
    OtherReason,
    Iteration,
}

/// v3 `SPADirection` values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the variants are the Recommendation's own tokens"
)]
pub enum SignalDirection {
    External,
    Internal,
    Both,
}

/// `DigitMap=name[{value}]` or `DigitMap={value}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DigitMap {
    /// Name, when written.
    pub name: Option<Name>,
    /// The text between the braces, when written.
    pub value: Option<CompactString>,
}

/// `ObservedEvents=id{...}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedEvents {
    /// The RequestID of the Events descriptor that asked.
    pub request_id: u32,
    /// In order of observation.
    pub events: Vec<ObservedEvent>,
}

/// One observed event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedEvent {
    /// When, if the sender says so.
    pub time: Option<TimeStamp>,
    /// Which event.
    pub name: PackageItem,
    /// `Stream=id`.
    pub stream: Option<u16>,
    /// Other parameters.
    pub parms: Vec<Parm>,
}

/// `yyyymmddThhmmssss`: digits as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeStamp {
    /// `yyyymmdd`.
    pub date: [u8; 8],
    /// `hhmmss` and hundredths.
    pub time: [u8; 8],
}

/// A statistic, with its value in replies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statistic {
    /// Which statistic.
    pub name: PackageItem,
    /// None, one, or (v3) several values.
    pub values: Vec<Value>,
}

/// `name-version`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageVersion {
    /// Package name.
    pub name: Name,
    /// Its version.
    pub version: u16,
}

/// `Audit{...}`; empty asks for termination ids alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditDescriptor {
    /// What is asked for.
    pub items: Vec<AuditItem>,
}

/// A descriptor named in an audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    missing_docs,
    reason = "the variants are the Recommendation's own tokens"
)]
pub enum AuditToken {
    Media,
    Modem,
    Mux,
    Events,
    EventBuffer,
    Signals,
    ObservedEvents,
    DigitMap,
    Statistics,
    Packages,
}

/// What an audit asks for: a whole descriptor, or (v2, v3) a single item of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditItem {
    /// A whole descriptor.
    Whole(AuditToken),
    /// `Media{...}` with individual items.
    Media(MediaAudit),
    /// `Events[=id]{pkg/ev...}`.
    Events {
        /// Request id, when written.
        request_id: Option<u32>,
        /// Which events.
        events: Vec<PackageItem>,
    },
    /// `EventBuffer{pkg/ev...}`; a parameter named without a value has the empty plain one.
    EventBuffer(Vec<EventSpec>),
    /// `Signals{pkg/sig...}`.
    Signals(Vec<SignalAudit>),
    /// `Statistics{pkg/stat...}`.
    Statistics(Vec<PackageItem>),
    /// `Packages{name-version...}`.
    Packages(Vec<PackageVersion>),
    /// `DigitMap=name`.
    DigitMap(Name),
}

/// A signal or signal list named in an audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignalAudit {
    /// `pkg/sig`.
    Signal(PackageItem),
    /// v3 `pkg/sig{...}`: only the signal with these parameters, of which there is at least one.
    Detailed(Signal),
    /// `SignalList=id{pkg/sig}`.
    List {
        /// List id.
        id: u16,
        /// The signal in it, when written.
        signal: Option<PackageItem>,
    },
}

/// Individual items of a Media audit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaAudit {
    /// `TerminationState{...}` items.
    pub termination_state: Option<Vec<MediaAuditItem>>,
    /// `Stream=id{...}` items.
    pub streams: Vec<StreamAudit>,
    /// Stream items written without `Stream=`.
    pub one_stream: Option<StreamAudit>,
}

/// Items of one stream in a Media audit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamAudit {
    /// Stream id; 0 in [`MediaAudit::one_stream`].
    pub id: u16,
    /// `LocalControl`, bare (empty list) or with items.
    pub local_control: Option<Vec<MediaAuditItem>>,
    /// `Local`, bare or with octets (property names of SDP).
    pub local: Option<Option<OctetString>>,
    /// `Remote`, bare or with octets.
    pub remote: Option<Option<OctetString>>,
    /// `Statistics`, bare (empty list) or with names.
    pub statistics: Option<Vec<PackageItem>>,
}

/// One property named in a Media audit, v3 with a value to select by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaAuditItem {
    /// `ServiceStates`, v3 with `=` or `#` and a value (true = equal).
    ServiceStates(Option<(bool, ServiceState)>),
    /// `Buffer`.
    Buffer,
    /// `Mode`, v3 with `=` or `#` and a value (true = equal).
    Mode(Option<(bool, StreamMode)>),
    /// `ReservedValue`.
    ReservedValue,
    /// `ReservedGroup`.
    ReservedGroup,
    /// A package property, v3 with a value to select by.
    Property(PackageItem, Option<PropertyValue>),
}

/// `Services{...}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceChange {
    /// `Method`.
    pub method: ServiceChangeMethod,
    /// `Reason`: code and text, as one quoted value such as `901 Cold Boot`.
    pub reason: Value,
    /// `Delay` in seconds.
    pub delay: Option<u32>,
    /// `ServiceChangeAddress`.
    pub address: Option<ServiceChangeAddress>,
    /// `MgcIdToTry`.
    pub mgc_id: Option<MId>,
    /// `Profile`: name and version.
    pub profile: Option<Profile>,
    /// `Version`.
    pub version: Option<u8>,
    /// Time stamp.
    pub time: Option<TimeStamp>,
    /// v2: audit items reported with the change.
    pub audit: Vec<AuditItem>,
    /// v3 `ServiceChangeInc`.
    pub incomplete: bool,
    /// Extensions: `X-name=value`.
    pub extensions: Vec<Parm>,
}

/// `Method` values.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the variants are the Recommendation's own tokens"
)]
pub enum ServiceChangeMethod {
    Failover,
    Forced,
    Graceful,
    Restart,
    Disconnected,
    HandOff,
    Extension(Name),
}

/// Where later requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceChangeAddress {
    /// A full mId.
    MId(MId),
    /// Only a port.
    Port(u16),
    /// Any other value.
    Value(Value),
}

/// `NAME/version`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Profile name.
    pub name: Name,
    /// 0 to 99.
    pub version: u8,
}

/// `Error=code{"text"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorDescriptor {
    /// 1 to 4 digits; see [`crate::error_code`].
    pub code: u16,
    /// Explanation, when written.
    pub text: Option<CompactString>,
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
    Actions(Vec<ActionReply>),
}

/// Results of one action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionReply {
    /// The context; `$` echoed when none could be made.
    pub context: ContextId,
    /// Context attributes asked for or echoed.
    pub properties: ContextProperties,
    /// One per command executed (several for a wildcard).
    pub commands: Vec<CommandReply>,
    /// Action-level error, after the command replies.
    pub error: Option<ErrorDescriptor>,
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
    Services(ServiceChangeReplyParms),
    /// Failure.
    Error(ErrorDescriptor),
}

/// `Services{...}` in a reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceChangeReplyParms {
    /// `ServiceChangeAddress`.
    pub address: Option<ServiceChangeAddress>,
    /// `MgcIdToTry`.
    pub mgc_id: Option<MId>,
    /// `Profile`.
    pub profile: Option<Profile>,
    /// `Version`.
    pub version: Option<u8>,
    /// Time stamp.
    pub time: Option<TimeStamp>,
    /// Extensions.
    pub extensions: Vec<Parm>,
}
