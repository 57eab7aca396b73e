//! Names of transports: what is configured ([`TransportAddr`]) and what is open ([`Peer`]).

use core::fmt;
use core::net::{AddrParseError, SocketAddr};
use core::str::FromStr;

/// A transport protocol that carries H.248 messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TransportKind {
    /// One message a datagram (H.248.1 Annex D.1): requests are repeated.
    Udp,
    /// TPKT over TCP (H.248.1 Annex D.2): requests are never repeated.
    Tcp,
    /// One message a user message (H.248.4): through the kernel, or in UDP datagrams (RFC 6951).
    Sctp,
}

impl TransportKind {
    /// Whether the transport delivers what it accepted, or says that it failed.
    #[must_use]
    pub const fn is_reliable(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp | Self::Sctp => true,
        }
    }
}

impl fmt::Display for TransportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Sctp => "sctp",
        })
    }
}

/// A local socket (UDP) or one connection (TCP) or association (SCTP). Numbers of connections are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransportId {
    /// The protocol.
    pub kind: TransportKind,
    /// Which socket or connection; chosen by the transport layer.
    pub index: u32,
}

/// Where a message came from and where its answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Peer {
    /// The socket or connection.
    pub transport: TransportId,
    /// The far address.
    pub addr: SocketAddr,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport.kind, self.addr)
    }
}

/// A configured address: `udp:127.0.0.1:2944`, `tcp:[::1]:2944` or `sctp:127.0.0.1:2944`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransportAddr {
    /// UDP.
    Udp(SocketAddr),
    /// TPKT over TCP.
    Tcp(SocketAddr),
    /// SCTP; in UDP, both have the same port.
    Sctp(SocketAddr),
}

impl TransportAddr {
    /// An address of the given kind.
    #[must_use]
    pub const fn new(kind: TransportKind, addr: SocketAddr) -> Self {
        match kind {
            TransportKind::Udp => Self::Udp(addr),
            TransportKind::Tcp => Self::Tcp(addr),
            TransportKind::Sctp => Self::Sctp(addr),
        }
    }

    /// The protocol.
    #[must_use]
    pub const fn kind(self) -> TransportKind {
        match self {
            Self::Udp(_) => TransportKind::Udp,
            Self::Tcp(_) => TransportKind::Tcp,
            Self::Sctp(_) => TransportKind::Sctp,
        }
    }

    /// The socket address.
    #[must_use]
    pub const fn addr(self) -> SocketAddr {
        match self {
            Self::Udp(addr) | Self::Tcp(addr) | Self::Sctp(addr) => addr,
        }
    }
}

impl fmt::Display for TransportAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind(), self.addr())
    }
}

/// Why a transport address was refused; always the configuration's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportAddrError {
    /// No `scheme:` in front.
    #[error("{0:?}: expected udp:ADDRESS:PORT, tcp:ADDRESS:PORT or sctp:ADDRESS:PORT")]
    SchemeMissing(String),
    /// Another scheme.
    #[error("{text:?}: unknown transport {scheme:?}; use udp:, tcp: or sctp:")]
    SchemeUnknown {
        /// The whole text.
        text: String,
        /// What stands before the first colon.
        scheme: String,
    },
    /// The address part.
    #[error("{text:?}: {cause} (expected ADDRESS:PORT, IPv6 in brackets)")]
    Address {
        /// The whole text.
        text: String,
        /// What is wrong.
        cause: AddrParseError,
    },
}

impl FromStr for TransportAddr {
    type Err = TransportAddrError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(TransportAddrError::SchemeMissing(text.to_owned()));
        };
        let kind = match scheme.to_ascii_lowercase().as_str() {
            "udp" => TransportKind::Udp,
            "tcp" => TransportKind::Tcp,
            "sctp" => TransportKind::Sctp,
            _ if scheme.parse::<core::net::Ipv4Addr>().is_ok() || scheme.starts_with('[') => {
                return Err(TransportAddrError::SchemeMissing(text.to_owned()));
            }
            _ => {
                return Err(TransportAddrError::SchemeUnknown {
                    text: text.to_owned(),
                    scheme: scheme.to_owned(),
                });
            }
        };
        match rest.parse() {
            Ok(addr) => Ok(Self::new(kind, addr)),
            Err(cause) => Err(TransportAddrError::Address {
                text: text.to_owned(),
                cause,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let parsed = text.parse::<TransportAddr>();
        match expected {
            Ok(printed) => assert_eq!(parsed.map(|a| a.to_string()), Ok(printed.to_owned())),
            Err(words) => {
                let error = parsed.expect_err("refused").to_string();
                assert!(error.contains(words), "{error}");
            }
        }
    }

    #[test]
    fn addresses_are_read_and_printed_alike_or_refused_with_a_reason() {
        check("udp:127.0.0.1:2944", Ok("udp:127.0.0.1:2944"));
        check("TCP:[::1]:0", Ok("tcp:[::1]:0"));
        check("sctp:127.0.0.1:2944", Ok("sctp:127.0.0.1:2944"));
        check("127.0.0.1:2944", Err("expected udp:"));
        check("[::1]:2944", Err("expected udp:"));
        check("localhost", Err("expected udp:"));
        check("quic:127.0.0.1:1", Err("unknown transport \"quic\""));
        check("udp:localhost:2944", Err("expected ADDRESS:PORT"));
        check("tcp:::1:2944", Err("IPv6 in brackets"));
    }
}
