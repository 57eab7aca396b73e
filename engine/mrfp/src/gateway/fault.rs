//! Why a command was refused, and the H.248.8 code that says so.

use h248::ast::{Descriptor, ErrorDescriptor, PackageItem};

/// Longest explanation sent, characters.
const TEXT_CHARS_MAX: usize = 100;

/// A refusal. The controller learns code and text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("{0} not allowed here")]
    IncorrectIdentifier(String),
    #[error("context {0} unknown")]
    ContextUnknown(u32),
    #[error("no more than {0} contexts")]
    NoContextLeft(u32),
    #[error("{0}")]
    IllegalAction(&'static str),
    #[error("termination {0} unknown")]
    TerminationUnknown(String),
    #[error("no termination matches {0}")]
    NoMatch(String),
    #[error("no more than {0} terminations")]
    NoTerminationLeft(u32),
    #[error("no termination can be chosen by {0}")]
    NoneToChoose(String),
    #[error("termination {0} is in context {1}")]
    AlreadyInContext(String, u32),
    #[error("no more than {0} terminations in a context")]
    ContextFull(u32),
    #[error("termination {0} is in another context")]
    NotInContext(String),
    #[error("package {0} unknown")]
    PackageUnknown(String),
    #[error("stream {0} has no Local")]
    LocalMissing(u16),
    #[error("{0} is sent by the MG only")]
    CommandUnsupported(&'static str),
    #[error("{0} not supported")]
    DescriptorUnsupported(&'static str),
    #[error("{0} not supported")]
    PropertyUnsupported(String),
    #[error("parameter {0} unknown")]
    ParameterUnsupported(String),
    #[error("{0} not legal in this command")]
    DescriptorIllegal(&'static str),
    #[error("{0} appears twice")]
    DescriptorTwice(&'static str),
    #[error("value not supported: {0}")]
    ValueUnsupported(String),
    #[error("property {0} unknown")]
    PropertyUnknown(String),
    #[error("event {0} unknown")]
    EventUnknown(String),
    #[error("signal {0} unknown")]
    SignalUnknown(String),
    #[error("statistic {0} unknown")]
    StatisticUnknown(String),
    #[error("parameter {0} unknown")]
    ParameterUnknown(String),
    #[error("property {0} does not belong here")]
    PropertyMisplaced(String),
    #[error("property {0} appears twice")]
    PropertyTwice(String),
    #[error("missing: {0}")]
    ParameterMissing(&'static str),
    #[error("cannot play {0}")]
    Unplayable(String),
    #[error("{0}")]
    SieveSyntax(String),
    #[error("{0}")]
    SieveUnsupported(String),
    #[error("{0}")]
    SieveActions(String),
    #[error("missing: {0}")]
    InformationMissing(&'static str),
    #[error("{0} differs")]
    Conflict(String),
    #[error("{0}")]
    SdpSyntax(String),
    #[error("{0} not implemented")]
    NotImplemented(&'static str),
    #[error("out of service")]
    OutOfService,
    #[error("not enough resources: no more than {0}")]
    InsufficientResources(String),
    #[error("too many transactions at once")]
    Busy,
    #[error("event {0} cannot be detected")]
    EventUndetectable(String),
    #[error("signal {0} cannot be generated")]
    SignalUngenerable(String),
    #[error("media {0} not supported")]
    MediaUnsupported(String),
    #[error("mode {0} not supported")]
    ModeUnsupported(&'static str),
    #[error("topology {0} not supported")]
    TopologyUnsupported(&'static str),
    #[error("{0} does not exist")]
    AuditedUnknown(String),
    #[error("{0} is read-only")]
    ReadOnly(String),
}

impl Fault {
    /// The code of H.248.8.
    pub(super) fn code(&self) -> u16 {
        match self {
            Self::IncorrectIdentifier(_) => 410,
            Self::ContextUnknown(_) => 411,
            Self::NoContextLeft(_) => 412,
            Self::IllegalAction(_) => 421,
            Self::TerminationUnknown(_) => 430,
            Self::NoMatch(_) => 431,
            Self::NoTerminationLeft(_) | Self::NoneToChoose(_) => 432,
            Self::AlreadyInContext(..) => 433,
            Self::ContextFull(_) => 434,
            Self::NotInContext(_) => 435,
            Self::PackageUnknown(_) => 440,
            Self::LocalMissing(_) => 441,
            Self::CommandUnsupported(_) => 443,
            Self::DescriptorUnsupported(_) => 444,
            Self::PropertyUnsupported(_) => 445,
            Self::ParameterUnsupported(_) => 446,
            Self::DescriptorIllegal(_) => 447,
            Self::DescriptorTwice(_) => 448,
            Self::ValueUnsupported(_) => 449,
            Self::PropertyUnknown(_) => 450,
            Self::EventUnknown(_) => 451,
            Self::SignalUnknown(_) => 452,
            Self::StatisticUnknown(_) => 453,
            Self::ParameterUnknown(_) => 454,
            Self::PropertyMisplaced(_) => 455,
            Self::PropertyTwice(_) => 456,
            Self::ParameterMissing(_) => 457,
            Self::InformationMissing(_) => 472,
            Self::Conflict(_) => 473,
            Self::SdpSyntax(_) => 474,
            Self::NotImplemented(_) => 501,
            Self::OutOfService => 503,
            Self::InsufficientResources(_) => 510,
            Self::Busy => 511,
            Self::EventUndetectable(_) => 512,
            Self::SignalUngenerable(_) => 513,
            Self::Unplayable(_) => 514,
            Self::MediaUnsupported(_) => 515,
            Self::ModeUnsupported(_) => 517,
            Self::TopologyUnsupported(_) => 522,
            Self::AuditedUnknown(_) => 532,
            Self::ReadOnly(_) => 534,
            Self::SieveSyntax(_) => 700,
            Self::SieveUnsupported(_) => 701,
            Self::SieveActions(_) => 702,
        }
    }

    /// As it goes on the wire.
    pub(super) fn descriptor(&self) -> ErrorDescriptor {
        ErrorDescriptor {
            code: self.code(),
            text: Some(quotable(&self.to_string()).into()),
        }
    }

    /// As an item of a command reply.
    pub(super) fn item(&self) -> Descriptor {
        Descriptor::Error(self.descriptor())
    }
}

/// What a quotedString can hold: no `"`, no control characters, nothing beyond ASCII
/// (H.248.1 Annex B.2).
pub(super) fn quotable(text: &str) -> String {
    let legal = |c: char| match c {
        '"' => '\'',
        ' '..='~' => c,
        _ => '?',
    };
    text.chars().take(TEXT_CHARS_MAX).map(legal).collect()
}

/// Any text as what a quotedString can hold: `%`, `"`, control characters and what is beyond ASCII
/// are written as `%` and two hexadecimal digits for each octet of UTF-8.
pub(super) fn percent_escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'%' | b'"' | ..b' ' | 0x7f.. => out.push_str(&format!("%{octet:02X}")),
            _ => out.push(char::from(octet)),
        }
    }
    out
}

/// What [`percent_escaped`] wrote; a `%` without two hexadecimal digits stands for itself.
pub(super) fn percent_unescaped(text: &str) -> String {
    let octets = text.as_bytes();
    let mut out = Vec::with_capacity(octets.len());
    let mut at = 0;
    while let Some(&octet) = octets.get(at) {
        let digits = octets.get(at + 1..at + 3).filter(|_| octet == b'%');
        let escaped = digits
            .and_then(|d| core::str::from_utf8(d).ok())
            .filter(|d| d.bytes().all(|c| c.is_ascii_hexdigit()))
            .and_then(|d| u8::from_str_radix(d, 16).ok());
        out.push(escaped.unwrap_or(octet));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// `package/item`, for texts.
pub(super) fn written(name: &PackageItem) -> String {
    name.to_string()
}
