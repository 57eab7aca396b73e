//! Descriptors, and Media in particular.

use super::{
    AuditDescriptor, AuditToken, DigitMap, ErrorDescriptor, EventSpec, Events, Few, Name,
    ObservedEvents, PackageItem, PropertyParm, SignalItem, TerminationId, Value,
};

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

/// A statistic, with its value in replies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistic {
    /// Which statistic.
    pub name: PackageItem,
    /// None, one, or (v3) several values.
    pub values: Few<Value>,
}

/// `name-version`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageVersion {
    /// Package name.
    pub name: Name,
    /// Its version.
    pub version: u16,
}
