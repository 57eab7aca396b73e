//! A next hop as a configuration writes it: an address, or a URI that the DNS leads on from.

use crate::addr::{SipAddr, SipAddrError, Transport};
use crate::agent::Target;
use crate::uri::{Uri, UriError};
use core::fmt;
use core::str::FromStr;

/// Where requests go whatever their own URI says: `udp:192.0.2.30:5060`,
/// `sip:proxy.example.net;transport=tcp`, `sips:example.net`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextHop {
    /// This address, by this transport.
    Addr(SipAddr),
    /// Where this URI leads (RFC 3263); its user and its other parameters play no part.
    Uri(Uri),
}

impl NextHop {
    /// What is looked up to get there.
    #[must_use]
    pub fn target(&self) -> Target {
        match self {
            Self::Addr(hop) => Target {
                host: hop.addr.ip().to_string(),
                port: Some(hop.addr.port()),
                transport: Some(hop.transport),
                is_secure: hop.transport.is_secure(),
            },
            Self::Uri(uri) => Target::of(uri),
        }
    }
}

impl From<SipAddr> for NextHop {
    fn from(addr: SipAddr) -> Self {
        Self::Addr(addr)
    }
}

impl fmt::Display for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addr(addr) => addr.fmt(f),
            Self::Uri(uri) => uri.fmt(f),
        }
    }
}

/// Why a next hop was refused; always the configuration's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NextHopError {
    /// Neither a URI nor an address.
    #[error("{0}; or sip:HOST, sips:HOST")]
    Addr(#[from] SipAddrError),
    /// It begins like a URI.
    #[error("{0:?}: {1}")]
    Uri(String, UriError),
    /// A URI asks for a transport that is not known.
    #[error("{0:?}: unknown transport {1:?}; use udp, tcp, tls or ws")]
    Transport(String, String),
}

impl FromStr for NextHop {
    type Err = NextHopError;

    fn from_str(text: &str) -> Result<Self, NextHopError> {
        let scheme = text.split(':').next().unwrap_or_default();
        let is_uri = ["sip", "sips"]
            .iter()
            .any(|s| s.eq_ignore_ascii_case(scheme));
        if !is_uri {
            return Ok(Self::Addr(text.parse()?));
        }
        let uri = Uri::parse(text).map_err(|error| NextHopError::Uri(text.to_owned(), error))?;
        match (Transport::asked_by(&uri), uri.parameter("transport")) {
            (None, Some(name)) => {
                let name = name.to_owned();
                Err(NextHopError::Transport(text.to_owned(), name))
            }
            _ => Ok(Self::Uri(uri)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, host: &str, port: Option<u16>, transport: Option<Transport>) {
        let hop: NextHop = text.parse().expect("a next hop");
        assert_eq!(hop.to_string(), text);
        let target = hop.target();
        let found = (&*target.host, target.port, target.transport);
        assert_eq!(found, (host, port, transport), "{text}");
        let is_secure = text.starts_with("sips") || text.starts_with("tls");
        assert_eq!(target.is_secure, is_secure, "{text}");
    }

    #[test]
    fn addresses_and_uris_say_where_requests_go() {
        let tls = Some(Transport::Tls);
        check(
            "udp:192.0.2.1:5070",
            "192.0.2.1",
            Some(5070),
            Some(Transport::Udp),
        );
        check("tls:[2001:db8::1]:5061", "2001:db8::1", Some(5061), tls);
        check("sip:home2.net", "home2.net", None, None);
        check(
            "sip:icscf.home2.net:5070;transport=tcp;lr",
            "icscf.home2.net",
            Some(5070),
            Some(Transport::Tcp),
        );
        check("sips:home2.net", "home2.net", None, tls);
        check("sip:[2001:db8::1]", "[2001:db8::1]", None, None);
    }

    #[test]
    fn a_next_hop_that_is_none_is_refused_with_a_reason() {
        for (text, words) in [
            ("192.0.2.1:5060", "expected udp:"),
            ("home2.net", "or sip:HOST"),
            ("sctp:192.0.2.1:5060", "unknown transport \"sctp\""),
            ("sip:", "scheme and a rest"),
            ("sip:home2.net:sip", "a port is a number"),
            ("sip:home2.net;transport=sctp", "unknown transport \"sctp\""),
        ] {
            let error = text.parse::<NextHop>().expect_err(text);
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
