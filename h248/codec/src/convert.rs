//! Constructors, conversions and texts of AST types that hand-written callers want.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::str::FromStr;

use crate::ast::{
    AmmReply, AmmRequest, Command, CommandKind, CommandReply, CommandRequest, CommandResult,
    ContextId, MId, Message, MessageBody, Name, OctetString, PackageItem, PackageVersion, Parm,
    PropertyParm, PropertyValue, TerminationId, TerminationIds, Text, TimeStamp, Transaction,
    TransactionId, Value,
};
use crate::parse::is_path_name;
use crate::token::Token;

impl Message {
    /// A message of `version` (1 to 3) from `mid`.
    #[must_use]
    pub fn new(version: u8, mid: MId, body: MessageBody) -> Self {
        Self {
            authentication: None,
            version,
            mid,
            body,
        }
    }

    /// The transactions; none if the message is an error.
    #[must_use]
    pub fn transactions(&self) -> &[Transaction] {
        match &self.body {
            MessageBody::Error(_) => &[],
            MessageBody::Transactions(transactions) => transactions,
        }
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ContextId {
    /// As on the wire: `-`, `$`, `*` or the number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("-"),
            Self::Choose => f.write_str("$"),
            Self::All => f.write_str("*"),
            Self::Id(id) => id.fmt(f),
        }
    }
}

impl fmt::Display for MId {
    /// As on the wire.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = match self {
            Self::Domain { name, port } => {
                write!(f, "<{name}>")?;
                port
            }
            Self::Ip { address, port } => {
                write!(f, "[{address}]")?;
                port
            }
            Self::Device(name) => return name.fmt(f),
            Self::Mtp(digits) => return write!(f, "MTP{{{digits}}}"),
        };
        match port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl From<IpAddr> for MId {
    fn from(address: IpAddr) -> Self {
        Self::Ip {
            address,
            port: None,
        }
    }
}

impl From<SocketAddr> for MId {
    fn from(address: SocketAddr) -> Self {
        Self::Ip {
            address: address.ip(),
            port: Some(address.port()),
        }
    }
}

impl TerminationId {
    /// Reads a termination id: `ROOT`, `$`, `*` or a name of up to 64 characters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "$" => Some(Self::Choose),
            "*" => Some(Self::All),
            _ if text.eq_ignore_ascii_case("ROOT") => Some(Self::Root),
            _ => is_path_name(text).then(|| Self::Name(Name::new(text))),
        }
    }

    /// Whether this names one termination: no `*` or `$` in it.
    #[must_use]
    pub fn is_specific(&self) -> bool {
        match self {
            Self::Root => true,
            Self::Choose | Self::All => false,
            Self::Name(name) => !name.as_str().contains(['*', '$']),
        }
    }
}

/// Not a termination id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a termination id: ROOT, $, * or up to 64 letters, digits and _/*$@.-")]
pub struct TerminationIdError;

impl FromStr for TerminationId {
    type Err = TerminationIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text).ok_or(TerminationIdError)
    }
}

impl fmt::Display for TerminationId {
    /// As on the wire.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("ROOT"),
            Self::Choose => f.write_str("$"),
            Self::All => f.write_str("*"),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl TerminationIds {
    /// The only id, unless this is a list.
    #[must_use]
    pub fn single(&self) -> Option<&TerminationId> {
        match self.0.as_slice() {
            [id] => Some(id),
            _ => None,
        }
    }
}

impl fmt::Display for TerminationIds {
    /// As on the wire: one id, or a version 3 list in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(id) = self.single() {
            return id.fmt(f);
        }
        f.write_str("[")?;
        for (at, id) in self.0.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(f, "{comma}{id}")?;
        }
        f.write_str("]")
    }
}

impl PackageVersion {
    /// `name-version`.
    #[must_use]
    pub fn new(name: &str, version: u16) -> Self {
        Self {
            name: Name::new(name),
            version,
        }
    }
}

impl fmt::Display for PackageVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.name, self.version)
    }
}

impl Value {
    /// A value to be written without quotes (numbers, enumerations, booleans). One that cannot be
    /// is printed with quotes all the same.
    #[must_use]
    pub fn plain(text: impl Into<Text>) -> Self {
        Self {
            text: text.into(),
            quoted: false,
        }
    }

    /// A value to be written with quotes (strings). There is no escape: the printer turns `"` into
    /// `'` and a control character into a blank.
    #[must_use]
    pub fn quoted(text: impl Into<Text>) -> Self {
        Self {
            text: text.into(),
            quoted: true,
        }
    }
}

impl fmt::Display for Value {
    /// The text without quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PropertyValue {
    /// The value, if it is a single one.
    #[must_use]
    pub fn single(&self) -> Option<&Value> {
        match self {
            Self::Is(value) => Some(value),
            Self::AllOf(_)
            | Self::OneOf(_)
            | Self::Range(..)
            | Self::GreaterThan(_)
            | Self::LessThan(_)
            | Self::NotEqual(_) => None,
        }
    }
}

impl From<Value> for PropertyValue {
    fn from(value: Value) -> Self {
        Self::Is(value)
    }
}

impl PropertyParm {
    /// `package/item=value`.
    #[must_use]
    pub fn new(name: PackageItem, value: Value) -> Self {
        Self {
            name,
            value: value.into(),
        }
    }
}

impl Parm {
    /// `name=value`.
    #[must_use]
    pub fn new(name: &str, value: Value) -> Self {
        Self {
            name: Name::new(name),
            value: value.into(),
        }
    }
}

impl From<&str> for OctetString {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl fmt::Display for TimeStamp {
    /// `yyyymmddThhmmssss`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |digits| core::str::from_utf8(digits).unwrap_or("00000000");
        write!(f, "{}T{}", text(&self.date), text(&self.time))
    }
}

impl CommandKind {
    pub(crate) fn token(self) -> Token {
        match self {
            Self::Add => Token::Add,
            Self::Modify => Token::Modify,
            Self::Move => Token::Move,
            Self::Subtract => Token::Subtract,
            Self::AuditValue => Token::AuditValue,
            Self::AuditCapability => Token::AuditCapability,
            Self::Notify => Token::Notify,
            Self::ServiceChange => Token::ServiceChange,
        }
    }
}

impl fmt::Display for CommandKind {
    /// The long token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.token().long())
    }
}

impl Command {
    /// Which command this is.
    #[must_use]
    pub fn kind(&self) -> CommandKind {
        match self {
            Self::Add(_) => CommandKind::Add,
            Self::Modify(_) => CommandKind::Modify,
            Self::Move(_) => CommandKind::Move,
            Self::Subtract { .. } => CommandKind::Subtract,
            Self::AuditValue(_) => CommandKind::AuditValue,
            Self::AuditCapability(_) => CommandKind::AuditCapability,
            Self::Notify { .. } => CommandKind::Notify,
            Self::ServiceChange { .. } => CommandKind::ServiceChange,
        }
    }

    /// Where it applies.
    #[must_use]
    pub fn terminations(&self) -> &TerminationIds {
        match self {
            Self::Add(amm) | Self::Modify(amm) | Self::Move(amm) => &amm.terminations,
            Self::AuditValue(audit) | Self::AuditCapability(audit) => &audit.terminations,
            Self::Subtract { terminations, .. }
            | Self::Notify { terminations, .. }
            | Self::ServiceChange { terminations, .. } => terminations,
        }
    }

    /// Where it applies.
    pub(crate) fn terminations_mut(&mut self) -> &mut TerminationIds {
        match self {
            Self::Add(amm) | Self::Modify(amm) | Self::Move(amm) => &mut amm.terminations,
            Self::AuditValue(audit) | Self::AuditCapability(audit) => &mut audit.terminations,
            Self::Subtract { terminations, .. }
            | Self::Notify { terminations, .. }
            | Self::ServiceChange { terminations, .. } => terminations,
        }
    }
}

impl From<Command> for CommandRequest {
    /// The command without prefixes.
    fn from(command: Command) -> Self {
        Self {
            optional: false,
            wildcard_response: false,
            command,
        }
    }
}

impl CommandResult {
    /// Which command this answers.
    #[must_use]
    pub fn kind(&self) -> CommandKind {
        match self {
            Self::Add(_) => CommandKind::Add,
            Self::Modify(_) => CommandKind::Modify,
            Self::Move(_) => CommandKind::Move,
            Self::Subtract(_) => CommandKind::Subtract,
            Self::AuditValue(_) => CommandKind::AuditValue,
            Self::AuditCapability(_) => CommandKind::AuditCapability,
            Self::Notify { .. } => CommandKind::Notify,
            Self::ServiceChange { .. } => CommandKind::ServiceChange,
        }
    }
}

impl From<CommandResult> for CommandReply {
    /// The result without prefixes.
    fn from(result: CommandResult) -> Self {
        Self {
            optional: false,
            wildcard_response: false,
            result,
        }
    }
}

impl AmmRequest {
    /// On one termination, without descriptors.
    #[must_use]
    pub fn new(termination: TerminationId) -> Self {
        Self {
            terminations: termination.into(),
            descriptors: Vec::new(),
        }
    }
}

impl AmmReply {
    /// On one termination, without descriptors.
    #[must_use]
    pub fn new(termination: TerminationId) -> Self {
        Self {
            terminations: termination.into(),
            descriptors: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_identifiers_read_what_they_write() {
        let texts = [
            "<mrfp1.example.net>:2944",
            "<a>",
            "[192.0.2.1]",
            "[2001:db8::1]:2944",
            "mrfp/1@example.net",
            "MTP{00000010}",
        ];
        for text in texts {
            let mid: MId = text.parse().expect(text);
            assert_eq!(mid.to_string(), text);
        }
        for bad in ["", "<a", "<a>:x", "[1.2.3]", "<-a>", "<a> ", "a,b"] {
            assert!(bad.parse::<MId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_become_message_identifiers() {
        let address: SocketAddr = "[::1]:2944".parse().expect("an address");
        assert_eq!(MId::from(address).to_string(), "[::1]:2944");
    }

    #[test]
    fn terminations_know_wildcards() {
        let is_specific = |text: &str| text.parse::<TerminationId>().map(|id| id.is_specific());
        assert_eq!(is_specific("root"), Ok(true));
        assert_eq!(is_specific("msrp/1"), Ok(true));
        assert_eq!(is_specific("msrp/*"), Ok(false));
        assert_eq!(is_specific("$"), Ok(false));
        assert_eq!(is_specific(&"a".repeat(65)), Err(TerminationIdError));
        let list = TerminationIds(
            [TerminationId::All, TerminationId::Root]
                .into_iter()
                .collect(),
        );
        assert_eq!(list.to_string(), "[*,ROOT]");
    }
}
