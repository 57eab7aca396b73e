//! Values of flags and configuration keys: how they are written, and why one is refused.
//!
//! Every type parses from the same text in all three places (flag, environment, file).

mod focus;

pub use focus::{
    ChargingText, Contact, Digest, DigestQop, NameOrOff, NextHop, NoticeText, PeriodOrOff, Profile,
    SipUri, Trusted, Whoever, WsOrigin,
};

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::num::NonZeroU8;
use core::str::FromStr;
use core::time::Duration;

use h248::ast::{MId, Name};
use h248_endpoint::TransportAddr;
use load::Rate;
use mrfp::ReactorKind;
use sip::{SipAddr, SipAddrError};

use crate::limits::BUSY_POLL_US_MAX;

/// Why a value was refused; the operator's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ValueError(String);

impl ValueError {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// An MSRP listener: `127.0.0.1:2855`, `tls:[::1]:0`, `ws:127.0.0.1:0`, `wss:127.0.0.1:0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsrpAddr(pub mrfp::Listener);

impl FromStr for MsrpAddr {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        text.parse()
            .map(Self)
            .map_err(|error: mrfp::ListenerError| ValueError(error.to_string()))
    }
}

impl fmt::Display for MsrpAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A SIP listener: `udp:127.0.0.1:5060`, `tcp:[::1]:0`, `tls:…`, `ws:…`, `wss:…`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SipListener(pub SipAddr);

impl FromStr for SipListener {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let fault = |error: SipAddrError| ValueError(error.to_string());
        text.parse().map(Self).map_err(fault)
    }
}

/// A name server: `192.0.2.53`, `[2001:db8::53]:5353`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameServer(pub SocketAddr);

impl FromStr for NameServer {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let address = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53));
        address
            .or_else(|_| text.parse())
            .map(Self)
            .map_err(|_| ValueError::new("expected ADDRESS or ADDRESS:PORT of a name server"))
    }
}

/// An H.248 listener or controller: `udp:127.0.0.1:2944`, `tcp:[::1]:0`, `sctp:192.0.2.7:2944`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct H248Addr(pub TransportAddr);

impl FromStr for H248Addr {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        text.parse()
            .map(Self)
            .map_err(|error: h248_endpoint::TransportAddrError| ValueError(error.to_string()))
    }
}

/// What SDP and MSRP URIs say instead of the listen address: `192.0.2.20` or `192.0.2.20:2855`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advertised(pub SocketAddr);

impl FromStr for Advertised {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let bare = text.trim_start_matches('[').trim_end_matches(']');
        if let Ok(ip) = bare.parse::<IpAddr>() {
            // Port 0: that of the listener.
            return Ok(Self(SocketAddr::new(ip, 0)));
        }
        socket_addr(text).map(Self)
    }
}

/// A reactor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reactor(pub ReactorKind);

impl FromStr for Reactor {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        text.parse::<ReactorKind>()
            .map(Self)
            .map_err(|error| ValueError(error.to_string()))
    }
}

/// How long a shard polls before it sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusyPoll {
    /// So many microseconds, 0 to [`BUSY_POLL_US_MAX`].
    Micros(u32),
    /// As long as it pays and nobody else wants the core.
    Auto,
}

impl From<BusyPoll> for mrfp::BusyPoll {
    fn from(value: BusyPoll) -> Self {
        match value {
            BusyPoll::Micros(micros) => Duration::from_micros(micros.into()).into(),
            BusyPoll::Auto => Self::adaptive(),
        }
    }
}

impl fmt::Display for BusyPoll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Micros(micros) => micros.fmt(f),
            Self::Auto => f.write_str("auto"),
        }
    }
}

impl FromStr for BusyPoll {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text.parse::<u32>() {
            Ok(micros) if micros <= BUSY_POLL_US_MAX => Ok(Self::Micros(micros)),
            Err(_) if text == "auto" => Ok(Self::Auto),
            Ok(_) | Err(_) => Err(ValueError(format!(
                "expected microseconds, 0 to {BUSY_POLL_US_MAX}, or auto"
            ))),
        }
    }
}

/// TCP's congestion control by the system's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpCongestion(pub String);

/// One octet less than the system's TCP_CA_NAME_MAX.
const TCP_CONGESTION_CHARS_MAX: usize = 15;

impl FromStr for TcpCongestion {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if (1..=TCP_CONGESTION_CHARS_MAX).contains(&text.len()) && text.chars().all(is_plain) {
            return Ok(Self(text.to_owned()));
        }
        Err(ValueError::new(
            "expected a name of sysctl net.ipv4.tcp_available_congestion_control",
        ))
    }
}

/// Memory for a queue, in MiB: 1 to 65,536.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueMib(pub u32);

/// The largest queue that can be asked for, MiB.
const QUEUE_MIB_MAX: u32 = 65_536;

impl QueueMib {
    /// In octets.
    #[must_use]
    pub fn bytes(self) -> usize {
        self.0 as usize * 1024 * 1024
    }
}

impl FromStr for QueueMib {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text.parse::<u32>() {
            Ok(mib @ 1..=QUEUE_MIB_MAX) => Ok(Self(mib)),
            Ok(_) | Err(_) => Err(ValueError(format!("expected MiB, 1 to {QUEUE_MIB_MAX}"))),
        }
    }
}

/// The highest H.248 version to propose: 1, 2 or 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct H248Version(pub u8);

impl FromStr for H248Version {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "1" => Ok(Self(1)),
            "2" => Ok(Self(2)),
            "3" => Ok(Self(3)),
            _ => Err(ValueError::new("expected 1, 2 or 3")),
        }
    }
}

/// The H.248 profile to propose, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct H248Profile(pub Option<h248::ast::Profile>);

/// Letters and digits of a profile's name (H.248.1 Annex B.2).
const PROFILE_NAME_OCTETS_MAX: usize = 64;

impl FromStr for H248Profile {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if text == "none" {
            return Ok(Self(None));
        }
        let is_name = |name: &str| {
            name.len() <= PROFILE_NAME_OCTETS_MAX
                && name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        let parts = text.split_once('/').filter(|(name, _)| is_name(name));
        let parts = parts.and_then(|(name, version)| Some((name, version.parse().ok()?)));
        match parts {
            Some((name, version @ 1..=99)) => Ok(Self(Some(h248::ast::Profile {
                name: name.into(),
                version,
            }))),
            Some(_) | None => Err(ValueError::new(
                "expected NAME/VERSION such as MRF/7, or none",
            )),
        }
    }
}

/// Octets of the longest H.248 message sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct H248Pdu(pub usize);

/// Room for a reply with an error in it, whoever sends it.
const H248_PDU_BYTES_MIN: usize = 512;

impl FromStr for H248Pdu {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let range = H248_PDU_BYTES_MIN..=h248::Limits::MESSAGE_OCTETS;
        match text.parse() {
            Ok(bytes) if range.contains(&bytes) => Ok(Self(bytes)),
            Ok(_) | Err(_) => Err(ValueError::new("expected octets, 512 to 65531")),
        }
    }
}

/// The name of the network interface of the xdp reactor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XdpInterface(pub String);

impl FromStr for XdpInterface {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        // The kernel's rule for names (IFNAMSIZ, no slash, no space).
        let is_name = (1..16).contains(&text.len())
            && !text.contains(|octet: char| octet == '/' || octet.is_whitespace());
        if is_name {
            Ok(Self(text.to_owned()))
        } else {
            Err(ValueError::new("expected the name of a network interface"))
        }
    }
}

/// A number from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count<T>(pub T);

impl<T: FromStr> FromStr for Count<T> {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let number = text.parse().map(Self);
        number.map_err(|_| ValueError::new("expected a number, 1 or more"))
    }
}

/// Number of shards: 1 to [`mrfp::SHARDS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shards(pub NonZeroU8);

impl FromStr for Shards {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text.parse::<NonZeroU8>() {
            Ok(count) if count.get() <= mrfp::SHARDS_MAX => Ok(Self(count)),
            Ok(_) | Err(_) => Err(ValueError(format!(
                "expected a number of shards, 1 to {}",
                mrfp::SHARDS_MAX
            ))),
        }
    }
}

/// `on` or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switch(pub bool);

impl FromStr for Switch {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "on" | "true" => Ok(Self(true)),
            "off" | "false" => Ok(Self(false)),
            _ => Err(ValueError::new("expected on or off")),
        }
    }
}

/// How much of a To-Path must match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsrpMatch(pub mrfp::Matching);

impl FromStr for MsrpMatch {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "session-id" => Ok(Self(mrfp::Matching::SessionId)),
            "uri" => Ok(Self(mrfp::Matching::Uri)),
            _ => Err(ValueError::new("expected session-id or uri")),
        }
    }
}

/// What a registration says after the controller was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AfterLoss(pub mrfp::AfterLoss);

impl FromStr for AfterLoss {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "disconnected" => Ok(Self(mrfp::AfterLoss::Disconnected)),
            "failover" => Ok(Self(mrfp::AfterLoss::Failover)),
            "restart" => Ok(Self(mrfp::AfterLoss::Restart)),
            _ => Err(ValueError::new(
                "expected disconnected, failover or restart",
            )),
        }
    }
}

/// What becomes of H.248 messages with an authentication header: whether they are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthHeader(pub bool);

impl FromStr for AuthHeader {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "ignore" => Ok(Self(false)),
            "refuse" => Ok(Self(true)),
            _ => Err(ValueError::new("expected ignore or refuse")),
        }
    }
}

/// Where HTTP is served, if at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpAddr(pub Option<SocketAddr>);

impl FromStr for HttpAddr {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if text == "off" {
            return Ok(Self(None));
        }
        socket_addr(text)
            .map(|addr| Self(Some(addr)))
            .map_err(|error| ValueError(format!("{error}, or off")))
    }
}

/// A time with its unit: `250ms`, `10s`, `2m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period(pub Duration);

impl FromStr for Period {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let millis_per_unit = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => 0,
        };
        let millis = number.parse::<u32>().ok().map(u64::from);
        match millis {
            Some(count) if millis_per_unit > 0 => {
                Ok(Self(Duration::from_millis(count * millis_per_unit)))
            }
            _ => Err(ValueError::new(
                "expected a number and a unit: 250ms, 10s, 2m or 1h",
            )),
        }
    }
}

/// How fast `mrf load` sends: messages per second of all senders, or `max`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadRate(pub Rate);

impl FromStr for LoadRate {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text.parse::<f64>() {
            _ if text == "max" => Ok(Self(Rate::Max)),
            Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(Self(Rate::Fixed(rate))),
            Ok(_) | Err(_) => Err(ValueError::new("expected messages per second, or max")),
        }
    }
}

/// A number of octets: `300`, `64k`, `10M`, `1G` (powers of 1000).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Octets(pub u64);

impl FromStr for Octets {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let factor = match unit {
            "" => Some(1),
            "k" => Some(1_000),
            "M" => Some(1_000_000),
            "G" => Some(1_000_000_000),
            _ => None,
        };
        number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(factor?))
            .map(Self)
            .ok_or_else(|| ValueError::new("expected a number of octets: 300, 64k, 10M or 1G"))
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(ValueError::new("expected text or json")),
        }
    }
}

/// Which log lines are written, as in `RUST_LOG`: `info`, `warn,mrfp=debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter(pub String);

impl FromStr for LogFilter {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match tracing_subscriber::EnvFilter::try_new(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => Err(ValueError(format!("no log filter: {error}"))),
        }
    }
}

/// An H.248 message identifier: `<mrfp.example.net>:2944`, `[192.0.2.20]:2944`, `MTP{0a1b}`, or a
/// device name (H.248.1 Annex B, `mId`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mid(pub MId);

impl FromStr for Mid {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        read_mid(text).map(Self).ok_or_else(|| {
            ValueError::new("expected <DOMAIN>[:PORT], [ADDRESS][:PORT], MTP{HEX} or a device name")
        })
    }
}

fn read_mid(text: &str) -> Option<MId> {
    if let Some(rest) = text.strip_prefix('<') {
        let (name, port) = rest.split_once('>')?;
        let is_name = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.');
        let legal = name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.len() <= 64
            && name.bytes().all(is_name);
        return legal.then_some(MId::Domain {
            name: Name::new(name),
            port: read_port(port)?,
        });
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        return Some(MId::Ip {
            address: address.parse().ok()?,
            port: read_port(port)?,
        });
    }
    if let Some(hex) = text.strip_prefix("MTP{") {
        let hex = hex.strip_suffix('}')?;
        let legal = (4..=8).contains(&hex.len()) && hex.bytes().all(|c| c.is_ascii_hexdigit());
        return legal.then(|| MId::Mtp(Name::new(hex)));
    }
    let is_path =
        |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'/' | b'_' | b'.' | b'@' | b'-');
    let legal = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.len() <= 64
        && text.bytes().all(is_path);
    legal.then(|| MId::Device(Name::new(text)))
}

/// An optional `:PORT`.
#[expect(
    clippy::option_option,
    reason = "outer: legal or not; inner: written or not"
)]
fn read_port(text: &str) -> Option<Option<u16>> {
    if text.is_empty() {
        return Some(None);
    }
    text.strip_prefix(':')?.parse().ok().map(Some)
}

fn socket_addr(text: &str) -> Result<SocketAddr, ValueError> {
    text.parse().map_err(|_| {
        ValueError(format!(
            "{text:?}: expected ADDRESS:PORT (a numeric address, IPv6 in brackets)"
        ))
    })
}

#[cfg(test)]
mod tests;
