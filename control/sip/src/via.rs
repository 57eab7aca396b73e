//! The topmost Via: where a request came from and where its responses go (RFC 3261 18.2, RFC 3581).

use crate::message::Headers;
use crate::uri::{ip_of, parameter, split_authority, split_outside_quotes};
use core::net::SocketAddr;

/// The parts of a topmost Via.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Via {
    /// `host[:port]` in lower case, as it identifies a transaction.
    pub(crate) sent_by: String,
    pub(crate) port: Option<u16>,
    /// Empty when there is none.
    pub(crate) branch: String,
    pub(crate) wants_rport: bool,
    /// The sender listens at its `sent-by` and takes requests on this connection, too (RFC 5923).
    pub(crate) has_alias: bool,
    /// A parameter without name: `;;`.
    pub(crate) has_gap: bool,
}

const MAGIC_COOKIE: &str = "z9hG4bK";

impl Via {
    /// Reads the first element of the first Via field.
    pub(crate) fn top(headers: &Headers) -> Option<Self> {
        let (top, _) = split_top(headers.get("Via")?);
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
        let branch = parameter(parameters, "branch").unwrap_or("");
        Some(Self {
            sent_by: sent_by.to_ascii_lowercase(),
            port,
            branch: branch.split_whitespace().next().unwrap_or("").to_owned(),
            wants_rport: parameter(parameters, "rport").is_some(),
            has_alias: parameter(parameters, "alias").is_some(),
            has_gap: split_outside_quotes(parameters, b';')
                .skip(1)
                .any(|part| part.trim().is_empty()),
        })
    }

    /// Whether the branch identifies a transaction on its own (RFC 3261 17.2.3).
    pub(crate) fn has_cookie(&self) -> bool {
        self.branch.len() > MAGIC_COOKIE.len()
            && self
                .branch
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

/// The first Via element and what follows it. Two elements without the comma between them have
/// been seen; the second then starts at its own `SIP/`.
fn split_top(value: &str) -> (&str, &str) {
    let first = split_outside_quotes(value, b',').next().unwrap_or(value);
    let upper = first.to_ascii_uppercase();
    let second = upper.get(4..).and_then(|rest| rest.find(" SIP/"));
    let end = second.map_or(first.len(), |at| at + 4);
    value.split_at(end)
}

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
    let mut stamped = top.trim_end().to_owned();
    let rport = stamp_rport(&mut stamped, source.port());
    if named != Some(source.ip()) || rport {
        let already = parameter(
            stamped
                .split_at(stamped.find(';').unwrap_or(stamped.len()))
                .1,
            "received",
        );
        if already.is_none() {
            stamped.push_str(&format!(";received={}", source.ip()));
        }
    }
    stamped + rest
}

/// Gives an empty `rport` its value; says whether there was one.
fn stamp_rport(via: &mut String, port: u16) -> bool {
    let lower = via.to_ascii_lowercase();
    let Some(at) = lower.find(";rport") else {
        return false;
    };
    let end = at + ";rport".len();
    match lower[end..].trim_start().chars().next() {
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

    fn top(value: &str) -> Option<Via> {
        let mut headers = Headers::default();
        headers.push("v", value);
        Via::top(&headers)
    }

    #[test]
    fn the_seeds_vias_are_read() {
        let via =
            top("SIP/2.0/UDP icscf2_s.home2.net;branch=z9hG4bK871y12.1, SIP/2.0/UDP x;branch=y");
        let via = via.expect("via");
        assert_eq!(
            (via.sent_by.as_str(), via.branch.as_str()),
            ("icscf2_s.home2.net", "z9hG4bK871y12.1")
        );
        assert!(via.has_cookie());
        let via = top("SIP/2.0/UDP conference1@mrfc1.home1.net;branch=z9hG4bK1").expect("via");
        assert_eq!(via.port, None);
        let via = top(
            "SIP / 2.0 / TCP [5555::1]:1357;comp=sigcomp;branch=z9hG4bKn SIP/2.0/UDP b;branch=z",
        );
        let via = via.expect("via");
        assert_eq!((via.port, via.branch.as_str()), (Some(1357), "z9hG4bKn"));
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
