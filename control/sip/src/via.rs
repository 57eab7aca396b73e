//! The topmost Via: where a request came from and where its responses go (RFC 3261 18.2, RFC 3581).

use crate::message::Headers;
use crate::uri::{ip_of, parameter, split_authority, split_outside_quotes};
use core::fmt::Write;
use core::net::SocketAddr;

/// The parts of a topmost Via, within its text or on their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Via<T> {
    /// `host[:port]` as written; in lower case it identifies a transaction.
    pub(crate) sent_by: T,
    pub(crate) port: Option<u16>,
    /// Empty when there is none.
    pub(crate) branch: T,
    pub(crate) wants_rport: bool,
    /// The sender listens at its `sent-by` and takes requests on this connection, too (RFC 5923).
    pub(crate) has_alias: bool,
    /// A parameter without name: `;;`.
    pub(crate) has_gap: bool,
}

const MAGIC_COOKIE: &str = "z9hG4bK";

impl<'a> Via<&'a str> {
    /// Reads the first element of the first Via field.
    pub(crate) fn top(headers: &'a Headers) -> Option<Self> {
        Self::read(headers.get("Via")?)
    }

    /// Reads the first element of a Via field.
    pub(crate) fn read(value: &'a str) -> Option<Self> {
        let (top, _) = split_top(value);
        let (left, parameters) = top.split_at(top.find(';').unwrap_or(top.len()));
        // `SIP / 2.0 / UDP host`: the last word is the sender, the rest names the protocol.
        let (protocol, sent_by) = left.trim().rsplit_once([' ', '\t'])?;
        let is_sip = protocol
            .trim_start()
            .get(..3)
            .is_some_and(|p| p.eq_ignore_ascii_case("sip"));
        if !is_sip || protocol.matches('/').count() != 2 {
            return None;
        }
        // A user part has no place here but has been seen (`conference1@mrfc1.home1.net`).
        let host_port = sent_by.rsplit('@').next().unwrap_or(sent_by);
        let (_, port) = split_authority(host_port).ok()?;
        let mut via = Self {
            sent_by,
            port,
            branch: "",
            wants_rport: false,
            has_alias: false,
            has_gap: false,
        };
        for part in split_outside_quotes(parameters, b';').skip(1) {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            match key.trim() {
                "" => via.has_gap |= part.trim().is_empty(),
                key if key.eq_ignore_ascii_case("rport") => via.wants_rport = true,
                key if key.eq_ignore_ascii_case("alias") => via.has_alias = true,
                // The first one counts.
                key if via.branch.is_empty() && key.eq_ignore_ascii_case("branch") => {
                    let value = value.trim().trim_matches('"');
                    via.branch = value.split_whitespace().next().unwrap_or("");
                }
                _ => {}
            }
        }
        Some(via)
    }

    /// The same on its own.
    pub(crate) fn owned(&self) -> Via<String> {
        Via {
            sent_by: self.sent_by.to_owned(),
            port: self.port,
            branch: self.branch.to_owned(),
            wants_rport: self.wants_rport,
            has_alias: self.has_alias,
            has_gap: self.has_gap,
        }
    }
}

impl<T: AsRef<str>> Via<T> {
    /// Whether the branch identifies a transaction on its own (RFC 3261 17.2.3).
    pub(crate) fn has_cookie(&self) -> bool {
        let branch = self.branch.as_ref();
        branch.len() > MAGIC_COOKIE.len()
            && branch
                .get(..MAGIC_COOKIE.len())
                .is_some_and(|b| b.eq_ignore_ascii_case(MAGIC_COOKIE))
    }

    /// Where responses to a datagram go: its source address, and the sender's port unless
    /// `rport` asks for the source port (RFC 3581 4).
    pub(crate) fn response_addr(&self, source: SocketAddr) -> SocketAddr {
        if self.wants_rport {
            source
        } else {
            SocketAddr::new(source.ip(), self.port.unwrap_or(5060))
        }
    }
}

/// What a second element begins with.
const SECOND: &[u8] = b" SIP/";

/// The first Via element and what follows it. Two elements without the comma between them have
/// been seen; the second then starts at its own `SIP/`.
fn split_top(value: &str) -> (&str, &str) {
    let first = split_outside_quotes(value, b',').next().unwrap_or(value);
    let mut blanks = first.bytes().enumerate().skip(4);
    let second = blanks.find(|&(at, octet)| {
        let next = first.as_bytes().get(at..at + SECOND.len());
        octet == b' ' && next.is_some_and(|next| next.eq_ignore_ascii_case(SECOND))
    });
    let end = second.map_or(first.len(), |(at, _)| at);
    value.split_at(end)
}

const RPORT: &[u8] = b";rport";
/// Octets that [`stamp`] adds, as a rule.
const STAMP_BYTES: usize = 64;

/// Notes the source of a request in its topmost Via: `received` if the sender does not name that
/// address itself, `rport` if asked for. Everything else stays as it came.
pub(crate) fn stamp(value: &str, source: SocketAddr) -> String {
    let (top, rest) = split_top(value);
    let host = top
        .split(';')
        .next()
        .and_then(|left| left.trim().rsplit([' ', '\t']).next())
        .and_then(|sent_by| split_authority(sent_by).ok())
        .map_or("", |(host, _)| host);
    let named = ip_of(host);
    let mut stamped = String::with_capacity(value.len() + STAMP_BYTES);
    stamped.push_str(top.trim_end());
    let rport = stamp_rport(&mut stamped, source.port());
    if named != Some(source.ip()) || rport {
        let parameters = stamped.find(';').map_or("", |at| &stamped[at..]);
        if parameter(parameters, "received").is_none() {
            // Writing to a string does not fail.
            let _ = write!(stamped, ";received={}", source.ip());
        }
    }
    stamped + rest
}

/// Gives an empty `rport` its value; says whether there was one.
fn stamp_rport(via: &mut String, port: u16) -> bool {
    let mut places = via.as_bytes().windows(RPORT.len());
    let Some(at) = places.position(|place| place.eq_ignore_ascii_case(RPORT)) else {
        return false;
    };
    let end = at + RPORT.len();
    match via[end..].trim_start().chars().next() {
        None | Some(';') => {
            via.insert_str(end, &format!("={port}"));
            true
        }
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn top(value: &str) -> Option<Via<&str>> {
        Via::read(value)
    }

    #[test]
    fn the_seeds_vias_are_read() {
        let via =
            top("SIP/2.0/UDP icscf2_s.home2.net;branch=z9hG4bK871y12.1, SIP/2.0/UDP x;branch=y");
        let via = via.expect("via");
        assert_eq!(
            (via.sent_by, via.branch),
            ("icscf2_s.home2.net", "z9hG4bK871y12.1")
        );
        assert!(via.has_cookie());
        let via = top("SIP/2.0/UDP conference1@mrfc1.home1.net;branch=z9hG4bK1").expect("via");
        assert_eq!(via.port, None);
        let via = top(
            "SIP / 2.0 / TCP [5555::1]:1357;comp=sigcomp;branch=z9hG4bKn SIP/2.0/UDP b;branch=z",
        );
        let via = via.expect("via");
        assert_eq!((via.port, via.branch), (Some(1357), "z9hG4bKn"));
        assert_eq!(top("HTTP/1.1 a"), None);
    }

    #[test]
    fn the_source_is_noted_only_where_needed() {
        let source: SocketAddr = "192.0.2.1:4000".parse().expect("addr");
        let check = |value, expected: &str| {
            assert_eq!(stamp(value, source), expected);
        };
        check(
            "SIP/2.0/UDP 192.0.2.1:5060;branch=a",
            "SIP/2.0/UDP 192.0.2.1:5060;branch=a",
        );
        check(
            "SIP/2.0/UDP host;branch=a, SIP/2.0/UDP b",
            "SIP/2.0/UDP host;branch=a;received=192.0.2.1, SIP/2.0/UDP b",
        );
        check(
            "SIP/2.0/UDP 192.0.2.1;rport;branch=a",
            "SIP/2.0/UDP 192.0.2.1;rport=4000;branch=a;received=192.0.2.1",
        );
        check(
            "SIP/2.0/UDP a;branch=x SIP/2.0/UDP b;branch=y",
            "SIP/2.0/UDP a;branch=x;received=192.0.2.1 SIP/2.0/UDP b;branch=y",
        );
    }
}
