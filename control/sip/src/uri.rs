//! Request-URIs, Contacts and routes: kept as they came, with the parts a focus needs picked out.

use core::fmt;
use core::net::IpAddr;
use core::ops::Range;

/// A URI. Its text is kept octet for octet (escapes, parameters, order); only blanks, which no URI
/// may hold but some senders write after `sip:`, are dropped on the way in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Uri {
    text: String,
    /// Octets before the colon.
    scheme_bytes: usize,
    /// The scheme in lower case, where it is not written so.
    scheme: Option<Box<str>>,
    /// Where in the text.
    user: Option<Range<usize>>,
    /// In lower case.
    host: String,
    port: Option<u16>,
    /// Where in the text.
    parameters: Range<usize>,
}

/// Why a URI was refused; the peer's fault, 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// Nothing before or after the first colon.
    #[error("a URI needs a scheme and a rest")]
    Scheme,
    /// No host, or a bracket without its partner.
    #[error("a SIP URI needs a host")]
    Host,
    /// Not a number up to 65535.
    #[error("a port is a number up to 65535")]
    Port,
}

impl Uri {
    /// Parses `sip:`, `sips:` in full; of other schemes only the scheme is understood.
    ///
    /// # Errors
    ///
    /// Each maps to 400.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        let text: String = if text.contains(char::is_whitespace) {
            text.chars().filter(|c| !c.is_whitespace()).collect()
        } else {
            text.to_owned()
        };
        let colon = text.find(':').ok_or(UriError::Scheme)?;
        let (scheme, rest) = (&text[..colon], colon + 1);
        let is_token = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        if scheme.is_empty() || rest == text.len() || !scheme.chars().all(is_token) {
            return Err(UriError::Scheme);
        }
        let is_sip = ["sip", "sips"]
            .iter()
            .any(|s| s.eq_ignore_ascii_case(scheme));
        let has_upper = scheme.bytes().any(|o| o.is_ascii_uppercase());
        let scheme = has_upper.then(|| scheme.to_ascii_lowercase().into());
        if !is_sip {
            let host = text[rest..].split([';', '?']).next().unwrap_or("");
            return Ok(Self {
                scheme_bytes: colon,
                scheme,
                user: None,
                host: host.to_owned(),
                port: None,
                parameters: 0..0,
                text,
            });
        }
        // Only the first `@` counts: none may stand unescaped behind it.
        let at = text[rest..].find('@').map(|at| rest + at);
        let user = at.map(|at| {
            let user = &text[rest..at];
            rest..rest + user.find(':').unwrap_or(user.len())
        });
        let begin = at.map_or(rest, |at| at + 1);
        let end = text[begin..].find([';', '?']);
        let end = end.map_or(text.len(), |end| begin + end);
        let (host, port) = split_authority(&text[begin..end])?;
        let host = host.to_ascii_lowercase();
        let tail = text[end..].find('?').map_or(text.len(), |at| end + at);
        Ok(Self {
            scheme_bytes: colon,
            scheme,
            user,
            host,
            port,
            parameters: end..tail,
            text,
        })
    }

    /// The text as it goes on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// `sip`, `sips`, `tel`, …, in lower case.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.scheme
            .as_deref()
            .unwrap_or(&self.text[..self.scheme_bytes])
    }

    /// The user part as written, without password.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.clone().map(|user| &self.text[user])
    }

    /// The user part with `%41` escapes resolved (RFC 3261 19.1.4 compares this form).
    #[must_use]
    pub fn user_unescaped(&self) -> Option<String> {
        self.user().map(unescape)
    }

    /// The host in lower case; IPv6 in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The host, if it is an address.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        ip_of(&self.host)
    }

    /// The port, when written.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// A parameter's value (empty for a flag), by name without regard to case.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        parameter(&self.text[self.parameters.clone()], name)
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The address that a host is, an IPv4-mapped one as the IPv4 address that it stands for. The grammar of
/// RFC 3261 wants one colon too many before the IPv4 part (RFC 5118 4.10).
pub(crate) fn ip_of(host: &str) -> Option<IpAddr> {
    let bare = host.trim_matches(['[', ']']);
    let read = |text: &str| text.parse::<IpAddr>().ok();
    let ip = read(bare).or_else(|| read(&bare.replacen(":::", "::", 1)));
    ip.map(|ip| ip.to_canonical())
}

/// Splits `host[:port]`; IPv6 in brackets.
pub(crate) fn split_authority(text: &str) -> Result<(&str, Option<u16>), UriError> {
    let (host, port) = if text.starts_with('[') {
        let end = text.find(']').ok_or(UriError::Host)? + 1;
        match text.split_at(end) {
            (host, "") => (host, None),
            (host, rest) => (host, Some(rest.strip_prefix(':').ok_or(UriError::Host)?)),
        }
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    if host.is_empty() {
        return Err(UriError::Host);
    }
    let port = port.map(|p| p.trim().parse().map_err(|_| UriError::Port));
    Ok((host.trim(), port.transpose()?))
}

/// The value of `;name[=value]` in a parameter string; empty for a flag.
pub(crate) fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    split_outside_quotes(parameters, b';').find_map(|part| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        key.trim()
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().trim_matches('"'))
    })
}

/// Splits at `separator` outside quoted strings and angle brackets.
pub(crate) fn split_outside_quotes(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    let is_plain = !text.bytes().any(|octet| matches!(octet, b'"' | b'<'));
    core::iter::from_fn(move || {
        let text = rest?;
        if is_plain {
            let at = text.bytes().position(|octet| octet == separator);
            rest = at.map(|at| &text[at + 1..]);
            return Some(&text[..at.unwrap_or(text.len())]);
        }
        let (mut quoted, mut escaped, mut depth) = (false, false, 0_usize);
        for (at, octet) in text.bytes().enumerate() {
            match octet {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b'<' if !quoted => depth += 1,
                b'>' if !quoted => depth = depth.saturating_sub(1),
                _ if octet == separator && !quoted && depth == 0 => {
                    rest = Some(&text[at + 1..]);
                    return Some(&text[..at]);
                }
                _ => {}
            }
        }
        rest = None;
        Some(text)
    })
}

/// `text` with `%41` escapes resolved; what is no UTF-8 then is replaced.
#[must_use]
pub fn unescape(text: &str) -> String {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        // Not what else Rust reads as a number: `+1`.
        let pair = tail
            .get(..2)
            .filter(|d| d.iter().all(u8::is_ascii_hexdigit));
        let pair = pair.and_then(|d| core::str::from_utf8(d).ok());
        match pair.and_then(|d| u8::from_str_radix(d, 16).ok()) {
            Some(octet) if first == b'%' => {
                octets.push(octet);
                rest = &tail[2..];
            }
            _ => {
                octets.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

/// A `name-addr` or `addr-spec` with header parameters: From, To, Contact, Route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr {
    /// The URI between the angle brackets.
    pub uri: Uri,
    parameters: String,
}

impl NameAddr {
    /// Parses one element; a display name is skipped.
    ///
    /// # Errors
    ///
    /// Each maps to 400.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        let (uri, parameters) = split_name_addr(text)?;
        Ok(Self {
            uri: Uri::parse(uri)?,
            parameters: parameters.to_owned(),
        })
    }

    /// A header parameter's value (empty for a flag), by name without regard to case.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        parameter(&self.parameters, name)
    }

    /// The `tag`, when there is a non-empty one.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        tag(&self.parameters)
    }
}

/// The `tag` among header parameters, when there is a non-empty one.
pub(crate) fn tag(parameters: &str) -> Option<&str> {
    parameter(parameters, "tag").filter(|tag| !tag.is_empty())
}

/// The URI of a `name-addr` or `addr-spec`, and the header parameters after it.
pub(crate) fn split_name_addr(text: &str) -> Result<(&str, &str), UriError> {
    let text = text.trim();
    let (mut quoted, mut escaped) = (false, false);
    let open = text.bytes().position(|octet| {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        octet == b'<' && !quoted
    });
    match open {
        Some(open) => {
            let rest = &text[open + 1..];
            let close = rest.find('>').ok_or(UriError::Host)?;
            Ok((&rest[..close], &rest[close + 1..]))
        }
        // Without brackets parameters belong to the header (RFC 3261 20).
        None => Ok(match text.find(';') {
            Some(at) => text.split_at(at),
            None => (text, ""),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_keeps_its_text_and_shows_its_parts() {
        let uri = Uri::parse("sip:%2B1555@Home1.NET:5070;lr;comp=sigcomp?x=y").expect("uri");
        assert_eq!(
            uri.as_str(),
            "sip:%2B1555@Home1.NET:5070;lr;comp=sigcomp?x=y"
        );
        assert_eq!(uri.user(), Some("%2B1555"));
        assert_eq!(uri.user_unescaped().as_deref(), Some("+1555"));
        assert_eq!(unescape("%41%+1%4%zz%"), "A%+1%4%zz%");
        assert_eq!((uri.host(), uri.port()), ("home1.net", Some(5070)));
        assert_eq!(uri.parameter("LR"), Some(""));
        assert_eq!(uri.parameter("comp"), Some("sigcomp"));
        assert_eq!(uri.parameter("x"), None);
    }

    #[test]
    fn blanks_inside_a_contact_are_dropped() {
        let contact = "<sip: user1@home1.net;gr=urn:uuid:f81d4fae ;comp=sigcomp>;expires=3";
        let contact = NameAddr::parse(contact).expect("contact");
        assert_eq!(
            contact.uri.as_str(),
            "sip:user1@home1.net;gr=urn:uuid:f81d4fae;comp=sigcomp"
        );
        assert_eq!(contact.parameter("expires"), Some("3"));
    }

    #[test]
    fn a_name_addr_survives_hostile_display_names() {
        let addr = NameAddr::parse(r#""A, <b> \" c" <sip:a@b>; tag=1 ;x"#).expect("addr");
        assert_eq!(addr.uri.as_str(), "sip:a@b");
        assert_eq!(addr.tag(), Some("1"));
        let addr = NameAddr::parse(r#""a\\" <sip:a@b>;tag=3"#).expect("addr");
        assert_eq!(
            addr.tag(),
            Some("3"),
            "the backslash is escaped, the quote is not"
        );
        assert_eq!(
            NameAddr::parse("sip:a@b;tag=2").expect("addr").tag(),
            Some("2")
        );
        assert_eq!(
            NameAddr::parse("<tel:+358-50>;tag=").expect("addr").tag(),
            None
        );
    }

    #[test]
    fn what_is_no_uri_is_refused() {
        for (text, error) in [
            ("", UriError::Scheme),
            ("sip:", UriError::Scheme),
            (":x", UriError::Scheme),
            ("sip:a@", UriError::Host),
            ("sip:[::1", UriError::Host),
            ("sip:[::1]x", UriError::Host),
            ("sip:a@b:99999", UriError::Port),
        ] {
            assert_eq!(Uri::parse(text), Err(error), "{text}");
        }
        assert_eq!(
            Uri::parse("sip:[::1]:5060").map(|u| u.port()),
            Ok(Some(5060))
        );
    }

    #[test]
    fn lists_split_outside_quotes_and_brackets() {
        let parts: Vec<_> = split_outside_quotes("\"a,b\" <sip:x,y@z>,<sip:c@d>", b',').collect();
        assert_eq!(parts, ["\"a,b\" <sip:x,y@z>", "<sip:c@d>"]);
    }
}
