//! MSRP URIs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::octet;

/// A parsed MSRP URI (RFC 4975 sections 6 and 9), borrowed from its text.
///
/// Keep the text of a peer's URI and copy that; this type is for looking into it and comparing.
/// Two values compare with [`MsrpUri::matches`], not with `==`, which is not offered.
#[derive(Debug, Clone, Copy)]
pub struct MsrpUri<'a> {
    /// `msrp` or `msrps`.
    pub scheme: Scheme,
    /// The host device, without userinfo.
    pub host: Host<'a>,
    /// The explicit port. There is no default (2855 is only recommended).
    pub port: Option<u16>,
    /// The session-id; `None` names the device.
    pub session_id: Option<&'a [u8]>,
    /// The transport, as written; compare without case.
    pub transport: &'a [u8],
    /// Further parameters with their leading `;`, as written; possibly empty.
    pub params: &'a [u8],
}

/// A URI scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Plain TCP.
    Msrp,
    /// TLS on the hop to the host.
    Msrps,
}

/// The host part of an MSRP URI.
#[derive(Debug, Clone, Copy)]
pub enum Host<'a> {
    /// A numeric address.
    Ip(IpAddr),
    /// A name as written, possibly with percent-encoded octets.
    Name(&'a [u8]),
}

/// Why a text is no MSRP URI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// No URI at all.
    #[error("no URI")]
    Empty,
    /// The scheme is not msrp or msrps, or `://` is missing.
    #[error("the URI does not begin with msrp:// or msrps://")]
    Scheme,
    /// An octet that userinfo must not hold.
    #[error("the URI's userinfo holds an illegal octet")]
    Userinfo,
    /// The host is missing or malformed. IPv6 zones are not allowed (RFC 3986 section 3.2.2).
    #[error("the URI's host is missing or malformed")]
    Host,
    /// The port is not a number up to 65535.
    #[error("the URI's port is not a number up to 65535")]
    Port,
    /// A numeric address must come with a port (RFC 4975 section 6).
    #[error("the URI has a numeric address without a port")]
    PortMissing,
    /// The session-id is empty or holds an illegal octet; percent-encoding is not allowed.
    #[error("the URI's session-id is empty or holds an illegal octet")]
    SessionId,
    /// The transport parameter is missing or malformed.
    #[error("the URI's transport parameter is missing or malformed")]
    Transport,
    /// A further parameter is malformed.
    #[error("a URI parameter is malformed")]
    Parameter,
}

impl<'a> MsrpUri<'a> {
    /// Parses one URI without blanks around it. Unknown transports and parameters are accepted.
    ///
    /// # Errors
    ///
    /// A [`UriError`] naming the first part that breaks the grammar.
    pub fn parse(text: &'a [u8]) -> Result<Self, UriError> {
        if text.is_empty() {
            return Err(UriError::Empty);
        }
        let (scheme, rest) = parse_scheme(text)?;
        let rest = strip_userinfo(rest)?;
        let authority_end = memchr::memchr2(b'/', b';', rest);
        let (authority, rest) = rest.split_at(authority_end.unwrap_or(rest.len()));
        let (host, port) = parse_authority(authority)?;
        let (session_id, rest) = parse_session_id(rest)?;
        let (transport, params) = parse_parameters(rest)?;
        Ok(Self {
            scheme,
            host,
            port,
            session_id,
            transport,
            params,
        })
    }

    /// Whether both URIs name the same thing by the rules of RFC 4975 section 6.1.
    ///
    /// Addresses and ports compare by value, names without case after decoding percent-encoded
    /// unreserved octets, session-ids octet by octet, transports without case. Userinfo and
    /// parameters after the transport do not count. An IPv4 address and the IPv6 address that maps
    /// it are different.
    pub fn matches(&self, other: &MsrpUri<'_>) -> bool {
        self.session_id == other.session_id
            && self.scheme == other.scheme
            && self.port == other.port
            && self.transport.eq_ignore_ascii_case(other.transport)
            && self.host.matches(&other.host)
    }

    /// The address to connect to, when the host is numeric. Names need a resolver.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match (self.host, self.port) {
            (Host::Ip(ip), Some(port)) => Some(SocketAddr::new(ip, port)),
            (Host::Ip(_) | Host::Name(_), _) => None,
        }
    }
}

impl Host<'_> {
    fn matches(&self, other: &Host<'_>) -> bool {
        match (self, other) {
            (Host::Ip(a), Host::Ip(b)) => a == b,
            (Host::Name(a), Host::Name(b)) => canonical(a).eq(canonical(b)),
            (Host::Ip(_), Host::Name(_)) | (Host::Name(_), Host::Ip(_)) => false,
        }
    }
}

/// The session-id of a URI, found without judging the rest of it.
///
/// For matching by session-id alone, and tolerant enough for a blank inside an IPv6 literal as
/// Table A.5.1-12 of TS 24.247 prints it. `None` when there is none.
pub fn session_id_of(uri: &[u8]) -> Option<&[u8]> {
    let scheme_end = memchr::memmem::find(uri, b"://")?;
    let mut rest = &uri[scheme_end + 3..];
    if rest.first() == Some(&b'[') {
        rest = &rest[memchr::memchr(b']', rest)?..];
    }
    // Userinfo may hold `;`, so the first slash decides.
    let slash = memchr::memchr(b'/', rest)?;
    let id = &rest[slash + 1..];
    let id = &id[..memchr::memchr(b';', id).unwrap_or(id.len())];
    (!id.is_empty()).then_some(id)
}

/// Whether `text` is `msrp://host:port/session-id;tcp` with nothing unusual in it, as nearly every
/// URI is. One that is not plain may still be good.
pub(crate) fn is_plain(text: &[u8]) -> bool {
    let rest = text
        .strip_prefix(b"msrp://")
        .or_else(|| text.strip_prefix(b"msrps://"));
    let Some(rest) = rest.and_then(|rest| rest.strip_suffix(b";tcp")) else {
        return false;
    };
    let host_bytes = rest
        .iter()
        .take_while(|octet| octet::is(**octet, octet::UNRESERVED));
    let (host, rest) = rest.split_at(host_bytes.count());
    let Some(rest) = rest.strip_prefix(b":").and_then(strip_port) else {
        return false;
    };
    match rest {
        [b'/', id @ ..] => !host.is_empty() && !id.is_empty() && octet::all(id, octet::SESSION_ID),
        _ => false,
    }
}

fn strip_port(text: &[u8]) -> Option<&[u8]> {
    let (mut port, mut rest) = (0_u32, text);
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        port = port * 10 + u32::from(digit - b'0');
        if port > u32::from(u16::MAX) {
            return None;
        }
        rest = after;
    }
    (rest.len() < text.len()).then_some(rest)
}

fn parse_scheme(text: &[u8]) -> Result<(Scheme, &[u8]), UriError> {
    let colon = text
        .iter()
        .take(6)
        .position(|&octet| octet == b':')
        .ok_or(UriError::Scheme)?;
    let scheme = match &text[..colon] {
        name if name.eq_ignore_ascii_case(b"msrp") => Scheme::Msrp,
        name if name.eq_ignore_ascii_case(b"msrps") => Scheme::Msrps,
        _ => return Err(UriError::Scheme),
    };
    let rest = text[colon..].strip_prefix(b"://").ok_or(UriError::Scheme)?;
    Ok((scheme, rest))
}

/// `@` can stand nowhere but at the end of userinfo.
fn strip_userinfo(rest: &[u8]) -> Result<&[u8], UriError> {
    let Some(at) = memchr::memchr(b'@', rest) else {
        return Ok(rest);
    };
    if !octet::all(&rest[..at], octet::USERINFO) {
        return Err(UriError::Userinfo);
    }
    Ok(&rest[at + 1..])
}

fn parse_authority(authority: &[u8]) -> Result<(Host<'_>, Option<u16>), UriError> {
    let (host, port) = if let Some(rest) = authority.strip_prefix(b"[") {
        let close = memchr::memchr(b']', rest).ok_or(UriError::Host)?;
        let ip: Ipv6Addr = parse_ascii(&rest[..close]).ok_or(UriError::Host)?;
        (Host::Ip(ip.into()), &rest[close + 1..])
    } else {
        let end = memchr::memchr(b':', authority).unwrap_or(authority.len());
        (parse_name(&authority[..end])?, &authority[end..])
    };
    let port = match port {
        [] => None,
        [b':', digits @ ..] => Some(parse_port(digits)?),
        _ => return Err(UriError::Host),
    };
    if matches!(host, Host::Ip(_)) && port.is_none() {
        return Err(UriError::PortMissing);
    }
    Ok((host, port))
}

fn parse_name(name: &[u8]) -> Result<Host<'_>, UriError> {
    if name.is_empty() || !octet::all(name, octet::NAME) {
        return Err(UriError::Host);
    }
    if name.contains(&b'%') {
        return parse_encoded_name(name);
    }
    // A leading zero makes no IPv4 literal, hence a name.
    let is_numeric = name[0].is_ascii_digit();
    match is_numeric.then(|| parse_ascii::<Ipv4Addr>(name)).flatten() {
        Some(ip) => Ok(Host::Ip(ip.into())),
        None => Ok(Host::Name(name)),
    }
}

/// Percent-encoded digits and dots may spell an address (RFC 4975 section 6.1 decodes first).
fn parse_encoded_name(name: &[u8]) -> Result<Host<'_>, UriError> {
    let mut rest = name;
    while let Some(at) = memchr::memchr(b'%', rest) {
        if !rest[at + 1..]
            .get(..2)
            .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
        {
            return Err(UriError::Host);
        }
        rest = &rest[at + 3..];
    }
    const IPV4_TEXT_BYTES_MAX: usize = 15;
    let mut decoded = [0; IPV4_TEXT_BYTES_MAX + 1];
    let bytes = decoded
        .iter_mut()
        .zip(canonical(name))
        .map(|(to, from)| *to = from)
        .count();
    match parse_ascii::<Ipv4Addr>(&decoded[..bytes]) {
        Some(ip) => Ok(Host::Ip(ip.into())),
        None => Ok(Host::Name(name)),
    }
}

fn parse_port(digits: &[u8]) -> Result<u16, UriError> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(UriError::Port);
    }
    parse_ascii(digits).ok_or(UriError::Port)
}

fn parse_session_id(rest: &[u8]) -> Result<(Option<&[u8]>, &[u8]), UriError> {
    let Some(rest) = rest.strip_prefix(b"/") else {
        return Ok((None, rest));
    };
    let (id, rest) = rest.split_at(memchr::memchr(b';', rest).unwrap_or(rest.len()));
    if id.is_empty() || !octet::all(id, octet::SESSION_ID) {
        return Err(UriError::SessionId);
    }
    Ok((Some(id), rest))
}

fn parse_parameters(rest: &[u8]) -> Result<(&[u8], &[u8]), UriError> {
    let rest = rest.strip_prefix(b";").ok_or(UriError::Transport)?;
    let (transport, params) = rest.split_at(memchr::memchr(b';', rest).unwrap_or(rest.len()));
    if transport.is_empty() || !octet::all(transport, octet::ALPHANUMERIC) {
        return Err(UriError::Transport);
    }
    let is_token = |text: &[u8]| !text.is_empty() && octet::all(text, octet::TOKEN);
    let is_parameter = |text: &[u8]| match memchr::memchr(b'=', text) {
        Some(equals) => is_token(&text[..equals]) && is_token(&text[equals + 1..]),
        None => is_token(text),
    };
    match params.strip_prefix(b";") {
        Some(list) if !list.split(|&octet| octet == b';').all(is_parameter) => {
            Err(UriError::Parameter)
        }
        _ => Ok((transport, params)),
    }
}

fn parse_ascii<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A name's octets in lower case with percent-encoded unreserved octets decoded. Other encodings
/// stay, as the grammar gives them no second form.
fn canonical(name: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = name;
    std::iter::from_fn(move || {
        let (octet, used) = match rest {
            [b'%', high, low, ..] => {
                match hex_octet(*high, *low).filter(|&o| octet::is(o, octet::UNRESERVED)) {
                    Some(octet) => (octet, 3),
                    None => (b'%', 1),
                }
            }
            [octet, ..] => (*octet, 1),
            [] => return None,
        };
        rest = &rest[used..];
        Some(octet.to_ascii_lowercase())
    })
}

fn hex_octet(high: u8, low: u8) -> Option<u8> {
    let value = char::from(high).to_digit(16)? * 16 + char::from(low).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests;
