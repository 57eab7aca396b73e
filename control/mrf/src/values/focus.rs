//! Values of what concerns the focus.

use core::str::FromStr;
use core::time::Duration;

use mrfc::NOTICE_TEXT_BYTES_MAX as TEXT_BYTES_MAX;

use super::{Period, ValueError};

/// Who is believed to assert identities: an address, a prefix, or a domain in a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trusted(pub sip::Trusted);

impl FromStr for Trusted {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let fault = |error: sip::TrustedError| ValueError(error.to_string());
        text.parse().map(Self).map_err(fault)
    }
}

/// Where requests go, whatever their URI says: `udp:192.0.2.30:5060`, `sip:proxy.example.net`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHop(pub sip::NextHop);

impl FromStr for NextHop {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let fault = |error: sip::NextHopError| ValueError(error.to_string());
        text.parse().map(Self).map_err(fault)
    }
}

/// Where a page may come from that connects by WebSocket: `https://chat.example.net`, as browsers write
/// it (RFC 6454 6.2: no path, no port that the scheme has by default), or `null`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WsOrigin(pub String);

impl FromStr for WsOrigin {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let origin = text.to_ascii_lowercase();
        let (scheme, rest) = origin.split_once("://").unwrap_or_default();
        let usual = [("http", ":80"), ("https", ":443")];
        let has_usual = usual
            .iter()
            .any(|(s, port)| *s == scheme && rest.ends_with(port));
        let is_host = !rest.is_empty() && !rest.contains(['/', '?', '#', '@', ' ', '*']);
        if origin == "null" || (!scheme.is_empty() && is_host && !has_usual) {
            return Ok(Self(origin));
        }
        Err(ValueError::new(
            "expected SCHEME://HOST or SCHEME://HOST:PORT, without path and without the usual port",
        ))
    }
}

/// A hash function of digest authentication: `sha-256`, `sha-512-256`, `md5`, each also with `-sess`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(pub sip::Algorithm);

impl FromStr for Digest {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let known = sip::Algorithm::new(text).map(Self);
        known.ok_or_else(|| {
            ValueError::new("expected sha-256, sha-512-256 or md5, or one of them with -sess")
        })
    }
}

/// What an answer of digest authentication protects: `auth`, `auth-int`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DigestQop(pub sip::Qop);

impl FromStr for DigestQop {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let known = sip::Qop::new(text).map(Self);
        known.ok_or_else(|| ValueError::new("expected auth or auth-int"))
    }
}

/// Who may ask the focus for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whoever(pub mrfc::WhoMay);

impl FromStr for Whoever {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "anyone" => Ok(Self(mrfc::WhoMay::Anyone)),
            "participants" => Ok(Self(mrfc::WhoMay::Participants)),
            "moderators" => Ok(Self(mrfc::WhoMay::Moderators)),
            "nobody" => Ok(Self(mrfc::WhoMay::Nobody)),
            _ => Err(ValueError::new(
                "expected anyone, participants, moderators or nobody",
            )),
        }
    }
}

/// How messages pass through a conference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile(pub mrfc::Profile);

impl FromStr for Profile {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "3gpp" => Ok(Self(mrfc::Profile::ThreeGpp)),
            "chatroom" => Ok(Self(mrfc::Profile::Chatroom)),
            _ => Err(ValueError::new("expected 3gpp or chatroom")),
        }
    }
}

/// A text of the notices to who knows no chat rooms: one line, with placeholders; none says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticeText(pub String);

impl FromStr for NoticeText {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control) {
            let what = format!("expected a line of at most {TEXT_BYTES_MAX} octets");
            return Err(ValueError(what));
        }
        Ok(Self(text.to_owned()))
    }
}

/// The user part of a URI, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameOrOff(pub Option<String>);

impl FromStr for NameOrOff {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "off" | "false" => Ok(Self(None)),
            "" => Err(ValueError::new("expected a name, or off")),
            name => Ok(Self(Some(name.to_owned()))),
        }
    }
}

/// A SIP URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipUri(pub String);

impl FromStr for SipUri {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match sip::Uri::parse(text) {
            Ok(uri) if matches!(uri.scheme(), "sip" | "sips" | "tel") => Ok(Self(text.to_owned())),
            Ok(_) | Err(_) => Err(ValueError::new("expected a sip:, sips: or tel: URI")),
        }
    }
}

/// How the focus writes its Contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contact(pub mrfc::ContactForm);

impl FromStr for Contact {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "address" => Ok(Self(mrfc::ContactForm::HostPort)),
            "uri" => Ok(Self(mrfc::ContactForm::Psi)),
            _ => Err(ValueError::new("expected address or uri")),
        }
    }
}

/// A part of a charging header field: one line of visible characters, and not much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChargingText(pub String);

impl FromStr for ChargingText {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let is_visible = text.bytes().all(|octet| (b' '..0x7f).contains(&octet));
        if is_visible && (1..=TEXT_BYTES_MAX).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            let what = format!("expected 1 to {TEXT_BYTES_MAX} visible characters");
            Err(ValueError(what))
        }
    }
}

/// A time with its unit, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeriodOrOff(pub Option<Duration>);

impl FromStr for PeriodOrOff {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "off" | "false" => Ok(Self(None)),
            text => text.parse().map(|period: Period| Self(Some(period.0))),
        }
    }
}
