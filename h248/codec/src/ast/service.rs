//! ServiceChange and its parameters.

use super::{AuditItem, MId, Name, Parm, TimeStamp, Value};

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

impl ServiceChange {
    /// One with nothing optional in it.
    #[must_use]
    pub fn new(method: ServiceChangeMethod, reason: Value) -> Self {
        Self {
            method,
            reason,
            delay: None,
            address: None,
            mgc_id: None,
            profile: None,
            version: None,
            time: None,
            audit: Vec::new(),
            incomplete: false,
            extensions: Vec::new(),
        }
    }
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
