//! Listening addresses as the command line writes them: `udp:127.0.0.1:5060`.

use core::fmt;
use core::net::{AddrParseError, SocketAddr};
use core::str::FromStr;

/// A transport protocol that carries SIP messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// One message a datagram; the transaction layer repeats (RFC 3261 17).
    Udp,
    /// A stream framed by Content-Length (RFC 3261 18.3).
    Tcp,
}

impl Transport {
    /// Whether the transport delivers what it accepted, or says that it failed.
    #[must_use]
    pub const fn is_reliable(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp => true,
        }
    }

    /// The token of a Via header (`UDP`, `TCP`).
    #[must_use]
    pub const fn via_token(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        })
    }
}

/// A SIP socket address with its transport: `udp:127.0.0.1:5060`, `tcp:[::1]:0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SipAddr {
    /// The protocol.
    pub transport: Transport,
    /// Address and port; port 0 lets the system choose when listening.
    pub addr: SocketAddr,
}

impl SipAddr {
    /// A UDP address.
    #[must_use]
    pub const fn udp(addr: SocketAddr) -> Self {
        Self {
            transport: Transport::Udp,
            addr,
        }
    }

    /// A TCP address.
    #[must_use]
    pub const fn tcp(addr: SocketAddr) -> Self {
        Self {
            transport: Transport::Tcp,
            addr,
        }
    }
}

impl fmt::Display for SipAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport, self.addr)
    }
}

/// Why a SIP address was refused; always the configuration's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SipAddrError {
    /// No `scheme:` in front.
    #[error("{0:?}: expected udp:ADDRESS:PORT or tcp:ADDRESS:PORT")]
    SchemeMissing(String),
    /// A SIP transport that this build does not have.
    #[error("{text:?}: the {scheme} transport is not supported; use udp: or tcp:")]
    SchemeNotSupported {
        /// The whole text.
        text: String,
        /// `tls`, `ws` or `wss`.
        scheme: String,
    },
    /// Another scheme.
    #[error("{text:?}: unknown transport {scheme:?}; use udp: or tcp:")]
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

impl FromStr for SipAddr {
    type Err = SipAddrError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let missing = || SipAddrError::SchemeMissing(text.to_owned());
        let (scheme, rest) = text.split_once(':').ok_or_else(missing)?;
        let transport = match scheme.to_ascii_lowercase().as_str() {
            "udp" => Transport::Udp,
            "tcp" => Transport::Tcp,
            known @ ("tls" | "ws" | "wss") => {
                return Err(SipAddrError::SchemeNotSupported {
                    text: text.to_owned(),
                    scheme: known.to_owned(),
                });
            }
            other if other.starts_with('[') || other.parse::<core::net::Ipv4Addr>().is_ok() => {
                return Err(missing());
            }
            _ => {
                return Err(SipAddrError::SchemeUnknown {
                    text: text.to_owned(),
                    scheme: scheme.to_owned(),
                });
            }
        };
        match rest.parse() {
            Ok(addr) => Ok(Self { transport, addr }),
            Err(cause) => Err(SipAddrError::Address {
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
        match (text.parse::<SipAddr>(), expected) {
            (Ok(addr), Ok(printed)) => assert_eq!(addr.to_string(), printed),
            (Err(error), Err(words)) => {
                assert!(error.to_string().contains(words), "{error}");
            }
            (got, _) => panic!("{text}: {got:?}"),
        }
    }

    #[test]
    fn addresses_are_read_and_printed_alike_or_refused_with_a_reason() {
        check("udp:127.0.0.1:5060", Ok("udp:127.0.0.1:5060"));
        check("TCP:[::1]:0", Ok("tcp:[::1]:0"));
        check("tls:127.0.0.1:5061", Err("tls transport is not supported"));
        check("wss:127.0.0.1:5061", Err("wss transport is not supported"));
        check("127.0.0.1:5060", Err("expected udp:"));
        check("localhost", Err("expected udp:"));
        check("sctp:127.0.0.1:1", Err("unknown transport \"sctp\""));
        check("udp:localhost:5060", Err("expected ADDRESS:PORT"));
    }
}
