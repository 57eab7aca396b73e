//! Listening addresses as the command line writes them: `udp:127.0.0.1:5060`.

use crate::uri::Uri;
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
    /// The same inside TLS (RFC 3261 26.2).
    Tls,
    /// One message a WebSocket message (RFC 7118).
    Ws,
    /// The same inside TLS.
    Wss,
}

impl Transport {
    /// Every transport, in the order of the command line's documentation.
    pub const ALL: [Self; 5] = [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss];

    /// Whether the transport delivers what it accepted, or says that it failed.
    #[must_use]
    pub const fn is_reliable(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp | Self::Tls | Self::Ws | Self::Wss => true,
        }
    }

    /// Whether it runs inside TLS, as a `sips:` URI wants.
    #[must_use]
    pub const fn is_secure(self) -> bool {
        match self {
            Self::Udp | Self::Tcp | Self::Ws => false,
            Self::Tls | Self::Wss => true,
        }
    }

    /// Whether the peer is a WebSocket client, which nobody can connect to (RFC 7118 5).
    #[must_use]
    pub const fn is_web_socket(self) -> bool {
        match self {
            Self::Udp | Self::Tcp | Self::Tls => false,
            Self::Ws | Self::Wss => true,
        }
    }

    /// The port where a URI or a Via names none (RFC 3261 19.1.2, 18.2.2; RFC 7118 5.2.3 has the
    /// ports of HTTP).
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }

    /// The token of a Via header (`UDP`, `TCP`, …).
    #[must_use]
    pub const fn via_token(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// What a `sip:` or `sips:` URI (`is_sips`) says so that its reader comes by this transport.
    /// `sips:` already means TLS (RFC 3261 26.2.2), and `ws` stands for both (RFC 7118 5.2.3).
    #[must_use]
    pub const fn uri_parameter(self, is_sips: bool) -> &'static str {
        match self {
            Self::Udp => "",
            Self::Tcp => ";transport=tcp",
            Self::Tls if is_sips => "",
            // RFC 3261 deprecates it, but nothing else tells a TLS listener apart in a sip: URI.
            Self::Tls => ";transport=tls",
            Self::Ws | Self::Wss => ";transport=ws",
        }
    }

    /// What the `transport` parameter and the scheme of a URI ask for; `None`: it leaves the choice
    /// (RFC 3263 4.1), or names what we do not have.
    #[must_use]
    pub fn asked_by(uri: &Uri) -> Option<Self> {
        let name = uri.parameter("transport").map(str::to_ascii_lowercase);
        match (name.as_deref(), uri.scheme() == "sips") {
            (Some("udp"), false) => Some(Self::Udp),
            (Some("tcp"), false) => Some(Self::Tcp),
            (Some("ws"), false) => Some(Self::Ws),
            (Some("ws" | "wss"), true) | (Some("wss"), false) => Some(Self::Wss),
            (Some("tls"), false) | (_, true) => Some(Self::Tls),
            (_, false) => None,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
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
    #[error("{0:?}: expected udp:, tcp:, tls:, ws: or wss: and ADDRESS:PORT")]
    SchemeMissing(String),
    /// Another scheme.
    #[error("{text:?}: unknown transport {scheme:?}; use udp:, tcp:, tls:, ws: or wss:")]
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
        let name = scheme.to_ascii_lowercase();
        let known = Transport::ALL.into_iter().find(|t| t.to_string() == name);
        let transport = match known {
            Some(transport) => transport,
            None if name.starts_with('[') || name.parse::<core::net::Ipv4Addr>().is_ok() => {
                return Err(missing());
            }
            None => {
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
        check("tls:127.0.0.1:5061", Ok("tls:127.0.0.1:5061"));
        check("WS:[::1]:80", Ok("ws:[::1]:80"));
        check("wss:127.0.0.1:443", Ok("wss:127.0.0.1:443"));
        check("127.0.0.1:5060", Err("expected udp:"));
        check("localhost", Err("expected udp:"));
        check("sctp:127.0.0.1:1", Err("unknown transport \"sctp\""));
        check("udp:localhost:5060", Err("expected ADDRESS:PORT"));
    }

    #[test]
    fn a_uri_says_its_transport() {
        for (uri, expected) in [
            ("sip:a@b", None),
            ("sip:a@b;transport=sctp", None),
            ("sip:a@b;transport=UDP", Some(Transport::Udp)),
            ("sip:a@b;transport=tcp", Some(Transport::Tcp)),
            ("sip:a@b;transport=tls", Some(Transport::Tls)),
            ("sip:a@b;transport=ws", Some(Transport::Ws)),
            ("sips:a@b", Some(Transport::Tls)),
            ("sips:a@b;transport=tcp", Some(Transport::Tls)),
            ("sips:a@b;transport=ws", Some(Transport::Wss)),
        ] {
            let parsed = Uri::parse(uri).expect("a URI");
            assert_eq!(Transport::asked_by(&parsed), expected, "{uri}");
        }
        for transport in Transport::ALL {
            for is_sips in [false, true] {
                if is_sips && !transport.is_secure() {
                    continue;
                }
                let scheme = if is_sips { "sips" } else { "sip" };
                let uri = format!("{scheme}:a@b{}", transport.uri_parameter(is_sips));
                let asked = Transport::asked_by(&Uri::parse(&uri).expect("a URI"));
                // There is no other parameter for it.
                let is_lost = transport == Transport::Wss && !is_sips;
                let expected = if is_lost { Transport::Ws } else { transport };
                assert_eq!(asked.unwrap_or(Transport::Udp), expected, "{uri}");
            }
        }
    }
}
