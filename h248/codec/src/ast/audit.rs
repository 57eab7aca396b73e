//! What an audit asks for.

use super::{
    EventSpec, Name, OctetString, PackageItem, PackageVersion, PropertyValue, ServiceState, Signal,
    StreamMode,
};

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

impl AuditItem {
    /// The items named of Media, if any are.
    #[must_use]
    pub fn media(&self) -> Option<&MediaAudit> {
        match self {
            Self::Media(wanted) => Some(wanted),
            Self::Whole(_)
            | Self::Events { .. }
            | Self::EventBuffer(_)
            | Self::Signals(_)
            | Self::Statistics(_)
            | Self::Packages(_)
            | Self::DigitMap(_) => None,
        }
    }

    /// Which statistics of the termination are asked for; none named: all.
    #[must_use]
    pub fn statistics(&self) -> Option<&[PackageItem]> {
        match self {
            Self::Whole(AuditToken::Statistics) => Some(&[]),
            Self::Statistics(names) => Some(names),
            Self::Whole(_)
            | Self::Media(_)
            | Self::Events { .. }
            | Self::EventBuffer(_)
            | Self::Signals(_)
            | Self::Packages(_)
            | Self::DigitMap(_) => None,
        }
    }

    /// The packages named, if any are.
    #[must_use]
    pub fn packages(&self) -> Option<&[PackageVersion]> {
        match self {
            Self::Packages(list) => Some(list),
            Self::Whole(_)
            | Self::Media(_)
            | Self::Events { .. }
            | Self::EventBuffer(_)
            | Self::Signals(_)
            | Self::Statistics(_)
            | Self::DigitMap(_) => None,
        }
    }

    /// Which descriptor it is of.
    #[must_use]
    pub fn token(&self) -> AuditToken {
        match self {
            Self::Whole(token) => *token,
            Self::Media(_) => AuditToken::Media,
            Self::Events { .. } => AuditToken::Events,
            Self::EventBuffer(_) => AuditToken::EventBuffer,
            Self::Signals(_) => AuditToken::Signals,
            Self::Statistics(_) => AuditToken::Statistics,
            Self::Packages(_) => AuditToken::Packages,
            Self::DigitMap(_) => AuditToken::DigitMap,
        }
    }
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
