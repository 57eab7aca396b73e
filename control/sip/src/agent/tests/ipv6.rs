//! IPv6 in messages: the cases of RFC 5118, by their names there, made here.

use super::torture::{Fate, SDP, fate, made};
use super::*;
use crate::uri::{Uri, ip_of};
use Fate::{Refused, Taken};
use core::net::IpAddr;

/// What every case has: IPv6 where it differs from others.
const VIA: (&str, &str) = ("UDP host.example.net", "UDP [2001:db8::77:1]");
const CONTACT: (&str, &str) = ("caller@host.example.net", "caller@[2001:db8::77:1]");

fn cases() -> Vec<(&'static str, Vec<u8>, Fate)> {
    let host = "sip:[2001:db8::42]";
    let room = "sip:room@[2001:db8::42]";
    let six = [VIA, CONTACT];
    let with = |more: &[(&'static str, &'static str)]| [&six, more].concat();
    let media = |name: &str, old: &str, new: &str| {
        let body = SDP.replace(old, new);
        assert_ne!(body, SDP, "{name}");
        let length = |body: &str| format!("Content-Length: {}\r\n\r\n{body}", body.len());
        let text = String::from_utf8(made(name, "INVITE", room, &six)).expect("text");
        text.replace(&length(SDP), &length(&body)).into_bytes()
    };
    vec![
        ("ipv6-good", made("good", "OPTIONS", host, &six), Taken),
        // Without the brackets nobody knows where the address ends.
        (
            "ipv6-bad",
            made("bad", "OPTIONS", "sip:2001:db8::42", &six),
            Refused(400),
        ),
        (
            "port-ambiguous",
            made("ambiguous", "OPTIONS", "sip:[2001:db8::42:5080]", &six),
            Taken,
        ),
        (
            "port-unambiguous",
            made("unambiguous", "OPTIONS", "sip:[2001:db8::42]:5080", &six),
            Taken,
        ),
        (
            "via-received-param-with-delim",
            made(
                "delim",
                "BYE",
                host,
                &with(&[
                    (";branch", ";received=[2001:db8::77:99];branch"),
                    ("room@example.com>", "room@example.com>;tag=nobody"),
                ]),
            ),
            Refused(481),
        ),
        (
            "via-received-param-no-delim",
            made(
                "no-delim",
                "OPTIONS",
                host,
                &with(&[(";branch", ";received=2001:db8::77:99;branch")]),
            ),
            Taken,
        ),
        (
            "ipv6-in-sdp",
            media("in-sdp", "IP4 192.0.2.1", "IP6 2001:db8::77:1"),
            Taken,
        ),
        (
            "mult-ip-in-header",
            made(
                "in-header",
                "BYE",
                "sip:room@host.example.net",
                &with(&[
                    (
                        "Max-F",
                        "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK9\r\n\
                         Via: SIP/2.0/TCP [2001:db8::77:99];branch=z9hG4bK99;received=192.0.2.99\r\nMax-F",
                    ),
                    ("room@example.com>", "room@example.com>;tag=9817--94"),
                ]),
            ),
            Refused(481),
        ),
        (
            "mult-ip-in-sdp",
            media(
                "mult-sdp",
                "t=0 0\r\n",
                "t=0 0\r\nm=audio 2000 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\n\
                 m=message 2855 TCP/MSRP *\r\nc=IN IP6 2001:db8::77:1\r\n",
            ),
            Taken,
        ),
        (
            "ipv4-mapped-ipv6",
            made(
                "mapped",
                "INVITE",
                "sip:room@example.com",
                &[
                    ("UDP host.example.net", "UDP [::ffff:192.0.2.10]:19823"),
                    ("caller@host.example.net", "caller@[::ffff:192.0.2.2]"),
                ],
            ),
            Taken,
        ),
        (
            "ipv6-bug-abnf-3-colons",
            made("colons3", "OPTIONS", "sip:room@[2001:db8:::192.0.2.1]", &[]),
            Taken,
        ),
        (
            "ipv6-correct-abnf-2-colons",
            made("colons2", "OPTIONS", "sip:room@[2001:db8::192.0.2.1]", &[]),
            Taken,
        ),
    ]
}

#[test]
fn every_case_of_rfc_5118_has_its_fate() {
    for (name, bytes, expected) in cases() {
        fate(name, &bytes, expected);
    }
}

#[test]
fn every_via_of_a_request_comes_back() {
    let all = cases();
    let (_, bytes, _) = all
        .iter()
        .find(|c| c.0 == "mult-ip-in-header")
        .expect("a case");
    let mut bench = Bench::new();
    bench.receive(core::str::from_utf8(bytes).expect("text"));
    let vias: Vec<_> = response(bench.last())
        .headers
        .all("Via")
        .map(str::to_owned)
        .collect();
    assert_eq!(
        vias,
        [
            // It came from somewhere else than it says.
            "SIP/2.0/UDP [2001:db8::77:1];branch=z9hG4bKin-header;received=192.0.2.1",
            "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK9",
            "SIP/2.0/TCP [2001:db8::77:99];branch=z9hG4bK99;received=192.0.2.99",
        ]
    );
}

#[test]
fn a_host_is_an_address_however_it_is_written() {
    let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
    for (host, expected) in [
        ("192.0.2.1", Some(ip("192.0.2.1"))),
        ("[2001:db8::42:5080]", Some(ip("2001:db8::42:5080"))),
        ("[::ffff:192.0.2.2]", Some(ip("192.0.2.2"))),
        ("[2001:db8:::192.0.2.1]", Some(ip("2001:db8::192.0.2.1"))),
        ("[2001:db8::192.0.2.1]", Some(ip("2001:db8::192.0.2.1"))),
        ("example.com", None),
        ("[]", None),
        ("[::1", Some(ip("::1"))),
        (":::", Some(ip("::"))),
    ] {
        assert_eq!(ip_of(host), expected, "{host}");
    }
    let uri = |text: &str| Uri::parse(text).map(|uri| (uri.ip(), uri.port()));
    assert_eq!(
        uri("sip:[2001:db8::42:5080]"),
        Ok((Some(ip("2001:db8::42:5080")), None))
    );
    assert_eq!(
        uri("sip:a@[2001:db8::42]:5080;lr"),
        Ok((Some(ip("2001:db8::42")), Some(5080)))
    );
}
