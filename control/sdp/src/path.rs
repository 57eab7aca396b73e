//! MSRP URIs and the lists of them that `a=path` carries (RFC 4975 section 6 and 8.2).

use core::fmt;
use core::net::{IpAddr, Ipv6Addr};
use core::str::FromStr;

use crate::Choice;
use crate::limits::PATH_URIS_MAX;

/// Default port of the schemes (RFC 4975 section 15.4).
const MSRP_PORT: u16 = 2855;

/// The host of a URI or of a `c=` line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A numeric address.
    Ip(IpAddr),
    /// A domain name, as written. Nothing in this project resolves it.
    Name(String),
    /// `$`: left to the gateway.
    Choose,
}

impl Host {
    /// Reads a host; IPv6 with or without brackets.
    pub(crate) fn read(text: &str) -> Option<Self> {
        if text == "$" {
            return Some(Self::Choose);
        }
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']')?;
            if inner == "$" {
                return Some(Self::Choose);
            }
            return inner.parse::<Ipv6Addr>().ok().map(|ip| Self::Ip(ip.into()));
        }
        if let Ok(ip) = text.parse() {
            return Some(Self::Ip(ip));
        }
        let is_name = !text.is_empty()
            && text
                .bytes()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_'));
        is_name.then(|| Self::Name(text.to_owned()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Name(name) => f.write_str(name),
            Self::Choose => f.write_str("$"),
        }
    }
}

/// One MSRP URI, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MsrpUri {
    /// `msrps` rather than `msrp`.
    pub is_secure: bool,
    /// Where.
    pub host: Host,
    /// Port; absent = 2855.
    pub port: Option<Choice<u16>>,
    /// Session-id, without the slash; relays have none.
    pub session_id: Option<Choice<String>>,
    /// Transport parameter, normally `tcp`.
    pub transport: String,
}

impl MsrpUri {
    /// The port that is meant (RFC 4975 section 15.4: 2855 by default); `None` for `$`.
    #[must_use]
    pub fn effective_port(&self) -> Option<u16> {
        self.port.map_or(Some(MSRP_PORT), Choice::given)
    }

    /// Whether any part is left to the gateway.
    #[must_use]
    pub fn is_under_specified(&self) -> bool {
        self.host == Host::Choose
            || self.port == Some(Choice::Choose)
            || self.session_id == Some(Choice::Choose)
    }
}

impl FromStr for MsrpUri {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let bad = |what| PathError::Uri {
            uri: text.to_owned(),
            what,
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(|| bad("scheme"))?;
        let is_secure = match scheme {
            s if s.eq_ignore_ascii_case("msrp") => false,
            s if s.eq_ignore_ascii_case("msrps") => true,
            _ => return Err(bad("scheme")),
        };
        let (rest, parameters) = rest.split_once(';').ok_or_else(|| bad("transport"))?;
        let transport = parameters.split(';').next().unwrap_or_default();
        if transport.is_empty() || !transport.bytes().all(|c| c.is_ascii_alphanumeric()) {
            return Err(bad("transport"));
        }
        let (authority, session_id) = match rest.split_once('/') {
            Some((authority, id)) => (authority, Some(id)),
            None => (rest, None),
        };
        let host_port = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        let (host, port) = split_port(host_port);
        Ok(Self {
            is_secure,
            host: Host::read(host).ok_or_else(|| bad("host"))?,
            port: port.map(read_port).transpose().map_err(|()| bad("port"))?,
            session_id: session_id
                .map(read_id)
                .transpose()
                .map_err(|()| bad("session-id"))?,
            transport: transport.to_owned(),
        })
    }
}

/// Splits `host:port`, minding the colons of a bracketed IPv6 address.
fn split_port(text: &str) -> (&str, Option<&str>) {
    let from = text.rfind(']').unwrap_or(0);
    match text[from..].rfind(':') {
        Some(at) => (&text[..from + at], Some(&text[from + at + 1..])),
        None => (text, None),
    }
}

fn read_port(text: &str) -> Result<Choice<u16>, ()> {
    match text {
        "$" => Ok(Choice::Choose),
        _ => text.parse().map(Choice::Given).map_err(drop),
    }
}

/// Characters of RFC 4975 section 9 `session-id` (unreserved, `+`, `=`, `/`).
fn read_id(text: &str) -> Result<Choice<String>, ()> {
    let legal = |c: u8| {
        c.is_ascii_alphanumeric()
            || matches!(c, b'-' | b'.' | b'_' | b'~' | b'+' | b'=' | b'/' | b'%')
    };
    match text {
        "$" => Ok(Choice::Choose),
        _ if !text.is_empty() && text.bytes().all(legal) => Ok(Choice::Given(text.to_owned())),
        _ => Err(()),
    }
}

/// The value of `a=path`: the URIs from the nearest to the far end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    text: String,
    uris: Vec<MsrpUri>,
}

impl Path {
    /// Reads a list of URIs, or `$`.
    ///
    /// Blanks inside the brackets of an IPv6 address are dropped, as the example flows of
    /// TS 24.247 have them.
    ///
    /// # Errors
    ///
    /// [`PathError`] names the URI and its faulty part.
    pub fn parse(value: &str) -> Result<Self, PathError> {
        let value = value.trim();
        if value == "$" {
            return Ok(Self {
                text: value.to_owned(),
                uris: Vec::new(),
            });
        }
        let text = join_brackets(value);
        let mut uris = Vec::new();
        for uri in text.split(' ') {
            if uris.len() == PATH_URIS_MAX {
                return Err(PathError::TooLong);
            }
            uris.push(uri.parse()?);
        }
        Ok(Self { text, uris })
    }

    /// The list as it came, one blank between URIs: what To-Path must carry octet for octet.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The URIs, the first one being where to connect to. Empty for a bare `$`.
    #[must_use]
    pub fn uris(&self) -> &[MsrpUri] {
        &self.uris
    }

    /// Whether any part is left to the gateway.
    #[must_use]
    pub fn is_under_specified(&self) -> bool {
        self.uris.is_empty() || self.uris.iter().any(MsrpUri::is_under_specified)
    }

    /// The session-id of the far end: that of the last URI (RFC 4975 section 8.2).
    #[must_use]
    pub fn session_id(&self) -> Option<&str> {
        match self.uris.last()?.session_id.as_ref()? {
            Choice::Given(id) => Some(id),
            Choice::Choose => None,
        }
    }
}

/// One blank between URIs, none inside brackets.
fn join_brackets(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut is_inside = false;
    for c in value.chars() {
        match c {
            '[' => is_inside = true,
            ']' => is_inside = false,
            _ => {}
        }
        if !c.is_ascii_whitespace() {
            out.push(c);
        } else if !is_inside && !out.ends_with(' ') {
            out.push(' ');
        }
    }
    out
}

/// Why an `a=path` cannot be used: the peer's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// One of its URIs is malformed.
    #[error("malformed {what} in MSRP URI {uri:?}")]
    Uri {
        /// The URI.
        uri: String,
        /// Its faulty part.
        what: &'static str,
    },
    /// More URIs than [`PATH_URIS_MAX`].
    #[error("more than {PATH_URIS_MAX} URIs in a=path")]
    TooLong,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, text: &str, host: &str, port: Option<u16>, id: Option<&str>) {
        let path = Path::parse(value).unwrap();
        assert_eq!(path.as_str(), text);
        assert_eq!(path.uris()[0].host.to_string(), host);
        assert_eq!(path.uris()[0].effective_port(), port);
        assert_eq!(path.session_id(), id);
    }

    // MSRP-URI-021, MSRP-SDP-004.
    #[test]
    fn paths_are_kept_octet_for_octet_and_taken_apart() {
        let v4 = "msrp://192.0.2.10:7394/2s93i93idj;tcp";
        check(v4, v4, "192.0.2.10", Some(7394), Some("2s93i93idj"));
        let v6 = "msrp://[5555::aaa:bbb:ccc:ddd]:2855/s111271;tcp";
        check(
            v6,
            v6,
            "[5555::aaa:bbb:ccc:ddd]",
            Some(2855),
            Some("s111271"),
        );
        let relay = "msrps://relay.example.net;tcp msrp://bob@pc.example.net:9/ab+c=;tcp";
        check(relay, relay, "relay.example.net", Some(2855), Some("ab+c="));
        check(
            " msrp://[9999:: aaa:bbb:ccc:ddd]:2855/s317122;tcp ",
            "msrp://[9999::aaa:bbb:ccc:ddd]:2855/s317122;tcp",
            "[9999::aaa:bbb:ccc:ddd]",
            Some(2855),
            Some("s317122"),
        );
        check(
            "MSRP://h/1;tcp;x=y",
            "MSRP://h/1;tcp;x=y",
            "h",
            Some(2855),
            Some("1"),
        );
        check("msrp://$:$/$;tcp", "msrp://$:$/$;tcp", "$", None, None);
    }

    #[test]
    fn dollars_are_seen_in_every_place() {
        for value in [
            "$",
            "msrp://$:1/a;tcp",
            "msrp://h:$/a;tcp",
            "msrp://[$]:1/$;tcp",
        ] {
            assert!(Path::parse(value).unwrap().is_under_specified(), "{value}");
        }
        assert!(
            !Path::parse("msrp://h:1/a;tcp")
                .unwrap()
                .is_under_specified()
        );
    }

    #[test]
    fn malformed_uris_name_their_fault() {
        for (value, fault) in [
            ("", "scheme"),
            ("sip:bob@example.net", "scheme"),
            ("http://h/1;tcp", "scheme"),
            ("msrp://h/1", "transport"),
            ("msrp://h/1;", "transport"),
            ("msrp:///1;tcp", "host"),
            ("msrp://[1::2/1;tcp", "host"),
            ("msrp://h:99999/1;tcp", "port"),
            ("msrp://h/;tcp", "session-id"),
            ("msrp://h/a b;tcp", "transport"),
        ] {
            match Path::parse(value) {
                Err(PathError::Uri { what, .. }) => assert_eq!(what, fault, "{value}"),
                other => panic!("{value}: {other:?}"),
            }
        }
        let long = vec!["msrp://h/1;tcp"; PATH_URIS_MAX + 1].join(" ");
        assert_eq!(Path::parse(&long), Err(PathError::TooLong));
    }
}
