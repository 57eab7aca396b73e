//! What an `m=message` line over MSRP says.

use core::net::{IpAddr, SocketAddr};
use core::str::FromStr;

use crate::Choice;
use crate::description::Description;
use crate::limits::{ACCEPT_TYPES_MAX, FINGERPRINTS_MAX};
use crate::path::{Host, Path, PathError};

/// An MSRP media description, with the session-level lines that apply to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageMedia {
    /// Position among the `m=` lines, from 0.
    pub index: usize,
    /// Port of the `m=` line; where the peer listens only with CEMA (RFC 6714).
    pub port: Choice<u16>,
    /// TCP or TLS.
    pub transport: Transport,
    /// Address of the `c=` line that applies; absent if there is none.
    pub host: Option<Host>,
    /// Whether that line says IP6.
    pub is_ip6: bool,
    /// `a=path`; absent in under-specified H.248 Local descriptors only.
    pub path: Option<Path>,
    /// `a=accept-types`; empty = not said.
    pub accept_types: Vec<String>,
    /// `a=accept-wrapped-types`.
    pub accept_wrapped_types: Vec<String>,
    /// `a=max-size`, octets of a whole message; unreadable values count as absent.
    pub max_size: Option<u64>,
    /// `a=setup` (RFC 4145, RFC 6135).
    pub setup: Option<Setup>,
    /// `a=msrp-cema` (RFC 6714).
    pub has_cema: bool,
    /// `a=chatroom` with its tokens (RFC 7701 section 8).
    pub chatroom: Option<Vec<String>>,
    /// Every `a=fingerprint` (RFC 8122 section 5): those of the media line or, when it has none, of the
    /// session.
    pub fingerprints: Vec<Fingerprint>,
    /// `a=sendrecv` and its kin.
    pub direction: Direction,
}

/// Stands in `m=` where nothing listens (RFC 4145 section 4.1).
const DISCARD_PORT: u16 = 9;

/// The transport of an `m=message` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// `TCP/MSRP`.
    Tcp,
    /// `TCP/TLS/MSRP`.
    Tls,
}

impl Transport {
    /// As written in `m=`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP/MSRP",
            Self::Tls => "TCP/TLS/MSRP",
        }
    }
}

impl FromStr for Transport {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Tcp, Self::Tls]
            .into_iter()
            .find(|transport| text.eq_ignore_ascii_case(transport.as_str()))
            .ok_or(())
    }
}

/// Who opens the connection (RFC 4145 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Setup {
    /// The one who says it.
    Active,
    /// The other one.
    Passive,
    /// Either; the answerer decides.
    ActPass,
    /// Nobody for now.
    HoldConn,
}

impl Setup {
    /// As written in `a=setup`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::ActPass => "actpass",
            Self::HoldConn => "holdconn",
        }
    }
}

impl FromStr for Setup {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Active, Self::Passive, Self::ActPass, Self::HoldConn]
            .into_iter()
            .find(|setup| text.eq_ignore_ascii_case(setup.as_str()))
            .ok_or(())
    }
}

/// Direction of a media line, as its sender sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the variants are RFC 4566's own attributes")]
pub enum Direction {
    #[default]
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl Direction {
    const ALL: [Self; 4] = [
        Self::SendRecv,
        Self::SendOnly,
        Self::RecvOnly,
        Self::Inactive,
    ];

    /// As written after `a=`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// What the other side must answer (RFC 3264 section 6.1).
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            same @ (Self::SendRecv | Self::Inactive) => same,
        }
    }
}

/// `a=fingerprint:hash value`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// `sha-256`, …
    pub hash: String,
    /// Hexadecimal octets with colons, as written.
    pub value: String,
}

impl MessageMedia {
    pub(crate) fn find(description: &Description) -> Result<Self, MessageError> {
        let mut refusal = MessageError::NoMessageMedia;
        for line in description.media() {
            if !line.kind.eq_ignore_ascii_case("message") || line.port == Choice::Given(0) {
                continue;
            }
            match line.proto.parse() {
                Ok(transport) => return Self::read(description, line.index, transport),
                Err(()) => refusal = MessageError::Transport(line.proto.to_owned()),
            }
        }
        Err(refusal)
    }

    fn read(
        description: &Description,
        index: usize,
        transport: Transport,
    ) -> Result<Self, MessageError> {
        let of_media = |name| description.media_attribute(index, name);
        let connection = description.connection(index);
        let host = connection.map(|c| {
            let address = c.connection_address.as_str();
            Host::read(address).ok_or_else(|| MessageError::Address(address.to_owned()))
        });
        let is_ip6 = connection.is_some_and(|c| c.addrtype.to_string().eq_ignore_ascii_case("IP6"));
        Ok(Self {
            index,
            port: description.port(index),
            transport,
            host: host.transpose()?,
            is_ip6,
            path: of_media("path").map(Path::parse).transpose()?,
            accept_types: of_media("accept-types").map(types).unwrap_or_default(),
            accept_wrapped_types: of_media("accept-wrapped-types")
                .map(types)
                .unwrap_or_default(),
            max_size: of_media("max-size").and_then(|size| size.parse().ok()),
            setup: description
                .attribute(index, "setup")
                .and_then(|setup| setup.parse().ok()),
            has_cema: of_media("msrp-cema").is_some(),
            chatroom: of_media("chatroom").map(types),
            fingerprints: description
                .attributes(index, "fingerprint")
                .take(FINGERPRINTS_MAX)
                .filter_map(fingerprint)
                .collect(),
            direction: direction(description, index),
        })
    }

    /// Where a connection to the far end must go.
    ///
    /// With `a=msrp-cema` that is the `c=`/`m=` address (RFC 6714 section 4), else the leftmost URI
    /// of `a=path` (RFC 4975 section 5.4). Deviation: a path host that is not numeric falls back to
    /// `c=`/`m=` too, since names are not resolved and TS 24.247 lets the path be unresolvable.
    ///
    /// # Errors
    ///
    /// [`AddressError`] when neither names a numeric address and a port.
    pub fn remote_transport_address(&self) -> Result<SocketAddr, AddressError> {
        let of_media = match (&self.host, self.port) {
            (Some(Host::Ip(ip)), Choice::Given(port)) if port != 0 => {
                Some(SocketAddr::new(*ip, port))
            }
            _ => None,
        };
        let of_path = self
            .path
            .as_ref()
            .and_then(|path| path.uris().first())
            .and_then(|uri| match (&uri.host, uri.effective_port()) {
                (Host::Ip(ip), Some(port)) => Some(SocketAddr::new(*ip, port)),
                _ => None,
            });
        let (first, second) = if self.has_cema {
            (of_media, of_path)
        } else {
            (of_path, of_media)
        };
        first.or(second).ok_or_else(|| match &self.path {
            Some(path) => AddressError::NotNumeric(path.as_str().to_owned()),
            None => AddressError::Missing,
        })
    }

    /// Whether the `c=`/`m=` address is that of no URI of the path: without `a=msrp-cema` a sign that
    /// a middlebox put its own address there (RFC 6714 section 4.2 and 4.3). Addresses compare by
    /// value (4.4). An address that is not numeric on either side proves nothing, since names are
    /// not resolved, nor does the port 9 of a side that only connects (RFC 6135 section 4.2.2).
    #[must_use]
    pub fn is_elsewhere(&self) -> bool {
        let (Some(ip), Some(port), Some(path)) = (self.ip(), self.port.given(), &self.path) else {
            return false;
        };
        let connects_only = port == DISCARD_PORT && self.setup == Some(Setup::Active);
        path.uris().iter().all(|uri| match uri.host {
            Host::Ip(of_path) => {
                let is_port = connects_only || uri.effective_port() == Some(port);
                of_path.to_canonical() != ip.to_canonical() || !is_port
            }
            Host::Name(_) | Host::Choose => false,
        })
    }

    /// The address of `c=`, when it is numeric.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self.host {
            Some(Host::Ip(ip)) => Some(ip),
            Some(Host::Name(_) | Host::Choose) | None => None,
        }
    }
}

fn types(value: &str) -> Vec<String> {
    value
        .split_ascii_whitespace()
        .take(ACCEPT_TYPES_MAX)
        .map(str::to_owned)
        .collect()
}

fn fingerprint(value: &str) -> Option<Fingerprint> {
    let (hash, value) = value.split_once(' ')?;
    Some(Fingerprint {
        hash: hash.to_ascii_lowercase(),
        value: value.trim().to_owned(),
    })
}

fn direction(description: &Description, index: usize) -> Direction {
    let written = |of: &dyn Fn(&str) -> bool| Direction::ALL.into_iter().find(|d| of(d.as_str()));
    written(&|name| description.media_attribute(index, name).is_some())
        .or_else(|| written(&|name| description.attribute(index, name).is_some()))
        .unwrap_or_default()
}

/// Why a description has no usable MSRP media: the peer's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// No `m=message` line that is not refused.
    #[error("no m=message line")]
    NoMessageMedia,
    /// An `m=message` line, but not over MSRP; the text is its transport.
    #[error("unsupported message transport {0:?}")]
    Transport(String),
    /// The `c=` line has no address.
    #[error("malformed address {0:?} in c=")]
    Address(String),
    /// `a=path` is malformed.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// Why there is nowhere to connect to: the peer's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither `a=path` nor a usable `c=`/`m=` pair.
    #[error("neither a=path nor c= and m= say where to connect to")]
    Missing,
    /// Names only.
    #[error("no numeric address to connect to in {0:?}")]
    NotNumeric(String),
}
