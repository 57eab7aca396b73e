//! What an operator can set.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::num::NonZeroU8;
use core::str::FromStr;
use std::path::PathBuf;

use crate::{BusyPoll, ReactorKind, Transport};
use clock::Duration;
use h248::Encoding;
use h248::ast::MId;
use h248_endpoint::{AfterLoss, TransportAddr};
use switch::Matching;

use crate::gateway;

/// Where participants connect to, and what is spoken there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// What is spoken.
    pub transport: Transport,
    /// The address.
    pub addr: SocketAddr,
}

impl From<SocketAddr> for Listener {
    fn from(addr: SocketAddr) -> Self {
        let transport = Transport::Tcp;
        Self { transport, addr }
    }
}

/// A text that names no listener.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?}: expected [tcp:|tls:|ws:|wss:]ADDRESS:PORT (a numeric address, IPv6 in brackets)")]
pub struct ListenerError(String);

impl FromStr for Listener {
    type Err = ListenerError;

    /// `127.0.0.1:2855`, or with `tcp:`, `tls:`, `ws:` or `wss:` before it.
    fn from_str(text: &str) -> Result<Self, ListenerError> {
        let scheme = |(transport, scheme): (Transport, &str)| {
            let (start, rest) = text.split_at_checked(scheme.len())?;
            start
                .eq_ignore_ascii_case(scheme)
                .then_some((transport, rest))
        };
        let found = SCHEMES.into_iter().find_map(scheme);
        let (transport, addr) = found.unwrap_or((Transport::Tcp, text));
        match addr.parse() {
            Ok(addr) => Ok(Self { transport, addr }),
            Err(_) => Err(ListenerError(text.to_owned())),
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.transport != Transport::Tcp {
            let mut schemes = SCHEMES.iter();
            let scheme = schemes.find(|(transport, _)| *transport == self.transport);
            f.write_str(scheme.map_or("", |(_, scheme)| scheme))?;
        }
        self.addr.fmt(f)
    }
}

const SCHEMES: [(Transport, &str); 4] = [
    (Transport::Tcp, "tcp:"),
    (Transport::Tls, "tls:"),
    (Transport::Ws, "ws:"),
    (Transport::Wss, "wss:"),
];

/// Files in PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate chain; absent: one is made at start.
    pub certificate: Option<PathBuf>,
    /// Its key; absent: in the same file.
    pub key: Option<PathBuf>,
    /// Authorities that must vouch for the certificate of whoever connects, unless a fingerprint in
    /// the signalling does; absent: no certificate is asked for where no fingerprint is.
    pub client_ca: Option<PathBuf>,
}

/// Configuration of an MRFP.
#[derive(Clone, Debug)]
pub struct Config {
    /// MSRP listeners; port 0 lets the system choose. Every shard listens on each.
    pub msrp: Vec<Listener>,
    /// Certificates for listeners with TLS.
    pub tls: TlsFiles,
    /// Origins whose pages may connect by WebSocket, as browsers write them (`https://chat.example.net`);
    /// none: any. Who says no origin is no page, and is taken.
    pub origins: Vec<String>,
    /// What SDP and MSRP URIs say instead of the listen address; port 0 = the listener's port.
    pub advertise: Option<SocketAddr>,
    /// Controllers, the most preferred first; empty = none, the gateway then only answers.
    pub mgcs: Vec<TransportAddr>,
    /// Local H.248 addresses; port 0 lets the system choose.
    pub h248: Vec<TransportAddr>,
    /// Name of this gateway in H.248; `None`: the first H.248 address bound.
    pub mid: Option<MId>,
    /// Which reactor the shards run on.
    pub reactor: ReactorKind,
    /// The network interface of [`ReactorKind::Xdp`].
    pub xdp_interface: Option<String>,
    /// How many shards; `None`: one per core available to the process, with [`ReactorKind::Xdp`] no
    /// more than the interface has receive queues.
    pub shards: Option<NonZeroU8>,
    /// How long a shard polls before it sleeps: spares the wake-up of tens of microseconds, costs up to
    /// a core while messages come; where it is adaptive, only one that nobody else wants.
    pub busy_poll: BusyPoll,
    /// TCP's congestion control for MSRP, by the system's name; `None`: the system's default. Not for
    /// [`ReactorKind::Xdp`], which has a TCP of its own.
    pub tcp_congestion: Option<String>,
    /// Whether `a=setup`, `a=max-size`, `a=accept-types`, `a=msrp-cema` and `a=fingerprint` in Local and Remote are
    /// obeyed, which TS 29.333 table 5.15.1 tells an MRFP to ignore.
    pub honour_sdp: bool,
    /// How much of a To-Path must match for a request to belong to a session.
    pub matching: Matching,
    /// Token form of the H.248 messages sent.
    pub encoding: Encoding,
    /// Whether H.248 messages with an authentication header are refused (402); it is never verified.
    pub refuses_h248_authentication: bool,
    /// What a registration says after the controller was lost.
    pub after_loss: AfterLoss,
    /// Octets of the longest H.248 message sent; `None`: what the transport carries.
    pub h248_pdu_bytes_max: Option<usize>,
    /// Highest H.248 version offered, 1 to 3.
    pub version_max: u8,
    /// Profile proposed at registration (H.248.1 section 7.2.8); `None` proposes none.
    pub h248_profile: Option<h248::ast::Profile>,
    /// Longest random wait before the first registration (MWD).
    pub restart_delay_max: Duration,
    /// How long a request of ours waits for its reply (T-MAX) before the controller counts as
    /// lost; after such a silence a TCP connection is probed.
    pub h248_timeout: Duration,
    /// How long contexts are kept without a controller; after that they are released and the next
    /// one is told (ServiceChange Forced, 915). `None`: until a controller subtracts them.
    pub context_keep: Option<Duration>,
    /// Directory with messages to play and messages recorded (packages `mess` and `recmess` of
    /// H.248.69), made if it is not there; `None`: no file is played and nothing is recorded.
    pub storage: Option<PathBuf>,
    /// Bounds of the control part.
    pub gateway_limits: gateway::Limits,
    /// Bounds of each shard.
    pub switch_limits: switch::Limits,
}

impl Default for Config {
    fn default() -> Self {
        let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        Self {
            msrp: vec![loopback(2855).into()],
            tls: TlsFiles::default(),
            origins: Vec::new(),
            advertise: None,
            mgcs: Vec::new(),
            h248: vec![TransportAddr::Udp(loopback(0))],
            mid: None,
            reactor: ReactorKind::Auto,
            xdp_interface: None,
            shards: None,
            busy_poll: BusyPoll::default(),
            tcp_congestion: None,
            honour_sdp: false,
            matching: Matching::SessionId,
            encoding: Encoding::Compact,
            refuses_h248_authentication: false,
            after_loss: AfterLoss::default(),
            h248_pdu_bytes_max: None,
            version_max: 2,
            h248_profile: Some(h248_endpoint::mp_profile()),
            restart_delay_max: Duration::ZERO,
            h248_timeout: Duration::from_secs(25),
            context_keep: None,
            storage: None,
            gateway_limits: gateway::Limits::default(),
            switch_limits: switch::Limits::default(),
        }
    }
}
