//! Flags of the servers: `run`, `mrfp`, `mrfc`.

use core::num::NonZeroU32;
use std::path::PathBuf;

use clap::Args;

use crate::config::Options;
use crate::values::{
    Advertised, AfterLoss, AuthHeader, BusyPoll, Count, H248Addr, H248Pdu, H248Profile,
    H248Version, HttpAddr, LogFormat, Mid, MsrpAddr, MsrpMatch, Period, QueueMib, Reactor, Shards,
    SipListener, Switch, TcpCongestion, WsOrigin, XdpInterface,
};

/// Flags of `mrf run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    common: CommonArgs,
    #[command(flatten)]
    media: MediaArgs,
    #[command(flatten)]
    focus: FocusArgs,
    /// H.248 listener of the MRFC: udp:ADDR, tcp:ADDR or sctp:ADDR; repeatable. The MRFP registers with the
    /// first one [default: udp:127.0.0.1:2944 and tcp:127.0.0.1:2944]
    #[arg(
        long,
        value_name = "udp:ADDR|tcp:ADDR|sctp:ADDR",
        env = "MRF_H248",
        value_delimiter = ','
    )]
    h248: Vec<H248Addr>,
    /// H.248 name of the MRFC: `<DOMAIN>:PORT`, `[ADDRESS]:PORT` or a device name [default: from
    /// the first H.248 address]
    #[arg(long, value_name = "MID", env = "MRF_MID")]
    mid: Option<Mid>,
}

/// Flags of `mrf mrfp`.
#[derive(Debug, Args)]
pub struct MrfpCommandArgs {
    #[command(flatten)]
    common: CommonArgs,
    #[command(flatten)]
    media: MediaArgs,
    /// Controller to register with: udp:ADDR, tcp:ADDR or sctp:ADDR (the kernel's SCTP, or where it has none
    /// SCTP in UDP, RFC 6951, one port for both); repeatable, in order of preference
    /// [default: none, any controller may speak first]
    #[arg(
        long,
        value_name = "udp:ADDR|tcp:ADDR|sctp:ADDR",
        env = "MRF_MGC",
        value_delimiter = ','
    )]
    mgc: Vec<H248Addr>,
    /// H.248 listener: udp:ADDR, tcp:ADDR or sctp:ADDR; repeatable [default: udp:127.0.0.1:0]
    #[arg(
        long,
        value_name = "udp:ADDR|tcp:ADDR|sctp:ADDR",
        env = "MRF_H248",
        value_delimiter = ','
    )]
    h248: Vec<H248Addr>,
    /// H.248 name of this gateway: `<DOMAIN>:PORT`, `[ADDRESS]:PORT` or a device name [default:
    /// from the first H.248 address]
    #[arg(long, value_name = "MID", env = "MRF_MID")]
    mid: Option<Mid>,
}

/// Flags of `mrf mrfc`.
#[derive(Debug, Args)]
pub struct MrfcCommandArgs {
    #[command(flatten)]
    common: CommonArgs,
    #[command(flatten)]
    focus: FocusArgs,
    /// H.248 listener: udp:ADDR, tcp:ADDR or sctp:ADDR; repeatable [default: udp:127.0.0.1:2944 and
    /// tcp:127.0.0.1:2944]
    #[arg(
        long,
        value_name = "udp:ADDR|tcp:ADDR|sctp:ADDR",
        env = "MRF_H248",
        value_delimiter = ','
    )]
    h248: Vec<H248Addr>,
    /// H.248 name of this controller: `<DOMAIN>:PORT`, `[ADDRESS]:PORT` or a device name [default:
    /// from the first H.248 address]
    #[arg(long, value_name = "MID", env = "MRF_MID")]
    mid: Option<Mid>,
}

/// Flags of every server.
#[derive(Debug, Args)]
struct CommonArgs {
    /// Configuration file (TOML; its keys are these flags) [default: none]
    #[arg(long, value_name = "FILE", env = "MRF_CONFIG")]
    config: Option<PathBuf>,
    /// Status page, /metrics, /healthz, /readyz and the API; `off` for none [default:
    /// 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR|off", env = "MRF_HTTP")]
    http: Option<HttpAddr>,
    /// What users of the API must show (Authorization: Bearer); beyond loopback nothing can be
    /// changed without it. Better in the environment or the file than here [default: none]
    #[arg(
        long,
        value_name = "TOKEN",
        env = "MRF_HTTP_TOKEN",
        hide_env_values = true
    )]
    http_token: Option<String>,
    /// How long taking leave may last after SIGTERM, with unit (ms, s, m, h) [default: 10s]
    #[arg(long, value_name = "TIME", env = "MRF_DRAIN")]
    drain: Option<Period>,
    /// Form of the log on stderr: text or json; RUST_LOG filters it [default: text]
    #[arg(long, value_name = "text|json", env = "MRF_LOG_FORMAT")]
    log_format: Option<LogFormat>,
    /// Certificate chain for tls: and wss: listeners (PEM), read again on SIGHUP [default: one made
    /// at start; that of MSRP has its fingerprint logged]
    #[arg(long, value_name = "FILE", env = "MRF_TLS_CERT")]
    tls_cert: Option<PathBuf>,
    /// Its private key (PEM) [default: in the file of --tls-cert]
    #[arg(long, value_name = "FILE", env = "MRF_TLS_KEY")]
    tls_key: Option<PathBuf>,
    /// Authorities (PEM) that vouch for whoever connects with TLS. MSRP: they must, unless a
    /// fingerprint in the signalling does. SIP: whom they vouch for can be named in `trusted`
    /// [default: none, no certificate is asked for where no fingerprint is]
    #[arg(long, value_name = "FILE", env = "MRF_TLS_CLIENT_CA")]
    tls_client_ca: Option<PathBuf>,
    /// Origin whose pages may connect to ws: and wss: listeners, as browsers write it: SCHEME://HOST;
    /// repeatable. Others get 403; programs that are no browsers say no origin, and may [default: any]
    #[arg(
        long,
        value_name = "ORIGIN",
        env = "MRF_WS_ORIGIN",
        value_delimiter = ','
    )]
    ws_origin: Vec<WsOrigin>,
}

/// Flags of the media plane.
#[derive(Debug, Args)]
struct MediaArgs {
    /// MSRP listener: ADDR (TCP), tls:ADDR, ws:ADDR or wss:ADDR (WebSocket); repeatable [default:
    /// 127.0.0.1:2855]
    #[arg(
        long,
        value_name = "ADDR|tls:ADDR|ws:ADDR|wss:ADDR",
        env = "MRF_MSRP",
        value_delimiter = ','
    )]
    msrp: Vec<MsrpAddr>,
    /// Address that SDP and MSRP URIs show, with or without port [default: the listen address]
    #[arg(long, value_name = "ADDR", env = "MRF_ADVERTISE")]
    advertise: Option<Advertised>,
    /// Reactor of the shards; xdp bypasses the kernel's TCP and needs --xdp-if (docs/KERNEL_BYPASS.md)
    /// [default: auto: uring where it works, else mio]
    #[arg(long, value_name = "auto|uring|mio|xdp", env = "MRF_REACTOR")]
    reactor: Option<Reactor>,
    /// Number of shards, each a thread with a reactor of its own [default: one per core; with xdp no
    /// more than the interface has receive queues]
    #[arg(long, value_name = "N", env = "MRF_SHARDS")]
    shards: Option<Shards>,
    /// Participants of one conference above which further ones are placed on any shard: a large
    /// conference then uses several cores, and what is said is carried between them [default: 1000]
    #[arg(long, value_name = "N", env = "MRF_SPREAD_ABOVE")]
    spread_above: Option<Count<NonZeroU32>>,
    /// Network interface of the xdp reactor, with the addresses of --msrp on it [default: none]
    #[arg(long, value_name = "IF", env = "MRF_XDP_IF")]
    xdp_if: Option<XdpInterface>,
    /// How long a shard that is busy polls before it sleeps, in microseconds: lower latency for up to
    /// a core; `auto` polls up to 200 as long as messages come within that time and nobody else wants the
    /// core; 0 sleeps at once [default: 0]
    #[arg(long, value_name = "N|auto", env = "MRF_BUSY_POLL_US")]
    busy_poll_us: Option<BusyPoll>,
    /// TCP's congestion control for MSRP, for example reno or cubic; BBR, where it is the system's,
    /// paces on a local network too [default: the system's]
    #[arg(long, value_name = "NAME", env = "MRF_TCP_CONGESTION")]
    tcp_congestion: Option<TcpCongestion>,
    /// Octets that wait for one recipient at most, in MiB: who takes nothing loses its session when
    /// that is full, and nobody waits for it before it is full to three quarters [default: 16]
    #[arg(long, value_name = "MIB", env = "MRF_RECIPIENT_QUEUE_MIB")]
    recipient_queue_mib: Option<QueueMib>,
    /// Octets that wait for all recipients of a shard at most, in MiB: beyond it those lose who take
    /// nothing, the longest queue first; then senders wait [default: 256]
    #[arg(long, value_name = "MIB", env = "MRF_SHARD_QUEUE_MIB")]
    shard_queue_mib: Option<QueueMib>,
    /// Obey a=setup, a=max-size, a=accept-types, a=msrp-cema and a=fingerprint in H.248 Local and Remote, which
    /// TS 29.333 tells an MRFP to ignore [default: off in mrfp, on in run]
    #[arg(long, value_name = "on|off", env = "MRF_HONOUR_SDP")]
    honour_sdp: Option<Switch>,
    /// What of a To-Path names a session: session-id alone, so that border controllers may rewrite
    /// hosts (TS 23.333), or the whole uri (RFC 4975 6.1) [default: session-id]
    #[arg(long, value_name = "session-id|uri", env = "MRF_MSRP_MATCH")]
    msrp_match: Option<MsrpMatch>,
    /// How long contexts are kept without a controller, for example 10m; after that they are released
    /// and the next one is told (ServiceChange Forced, 915) [default: until one subtracts them]
    #[arg(long, value_name = "TIME", env = "MRF_CONTEXT_KEEP")]
    context_keep: Option<Period>,
    /// What is sent to register after the controller was lost: Disconnected (900), Failover (909) to
    /// another controller, or Restart (902) [default: disconnected]
    #[arg(
        long,
        value_name = "disconnected|failover|restart",
        env = "MRF_H248_AFTER_LOSS"
    )]
    h248_after_loss: Option<AfterLoss>,
    /// H.248 messages with an authentication header, which is never verified: ignore the header, or
    /// refuse them with error 402 [default: ignore]
    #[arg(long, value_name = "ignore|refuse", env = "MRF_H248_AUTH")]
    h248_auth: Option<AuthHeader>,
    /// Longest random wait before registering, so that gateways that start together do not register
    /// together (MWD of H.248.1 9.2), for example 10s [default: 0s]
    #[arg(long, value_name = "TIME", env = "MRF_H248_RESTART_DELAY")]
    h248_restart_delay: Option<Period>,
    /// How long the controller may take to answer before it counts as lost (T-MAX), at least 1s. One that
    /// says nothing on TCP for as long is probed: should it have vanished, it is lost another so long later
    /// at most [default: 25s]
    #[arg(long, value_name = "TIME", env = "MRF_H248_TIMEOUT")]
    h248_timeout: Option<Period>,
    /// Octets of the longest H.248 message sent, where the other side or the network takes less than the
    /// transport carries: longer replies go in segments (version 3, UDP) or become error 533
    /// [default: what the transport carries]
    #[arg(long, value_name = "BYTES", env = "MRF_H248_PDU")]
    h248_pdu: Option<H248Pdu>,
    /// H.248 profile proposed at registration, for controllers that know another one or take none
    /// [default: MRF/7]
    #[arg(long, value_name = "NAME/VERSION|none", env = "MRF_H248_PROFILE")]
    h248_profile: Option<H248Profile>,
    /// Highest H.248 version proposed at registration: 1, 2 or 3 [default: 2]
    #[arg(long, value_name = "1|2|3", env = "MRF_H248_VERSION")]
    h248_version: Option<H248Version>,
    /// Directory with the messages that the MRFC has played (mess/sm) and recorded (recmess/rm), made
    /// if it is not there [default: none: no file is played, nothing is recorded]
    #[arg(long, value_name = "DIR", env = "MRF_STORAGE")]
    storage: Option<PathBuf>,
}

/// Flags of the controller.
#[derive(Debug, Args)]
struct FocusArgs {
    /// SIP listener: udp:ADDR, tcp:ADDR, tls:ADDR, ws:ADDR or wss:ADDR (WebSocket, RFC 7118);
    /// repeatable [default: udp:127.0.0.1:5060 and tcp:127.0.0.1:5060]
    #[arg(
        long,
        value_name = "udp:ADDR|tcp:ADDR|tls:ADDR|ws:ADDR|wss:ADDR",
        env = "MRF_SIP",
        value_delimiter = ','
    )]
    sip: Vec<SipListener>,
    /// Authorities (PEM) that must vouch for the SIP servers that calls go to by TLS [default: those
    /// of the system]
    #[arg(long, value_name = "FILE", env = "MRF_TLS_CA")]
    tls_ca: Option<PathBuf>,
    /// Who may call from outside the trust domain: lines of NAME:PASSWORD (digest authentication); From
    /// must be NAME at the first --domain, or NAME is USER@HOST [default: none: anybody may]
    #[arg(long, value_name = "FILE", env = "MRF_USERS")]
    users: Option<PathBuf>,
    /// Who the focus is when its calls are asked: lines of REALM:NAME:PASSWORD [default: none]
    #[arg(long, value_name = "FILE", env = "MRF_CREDENTIALS")]
    credentials: Option<PathBuf>,
    /// Host part of conference URIs served; repeatable [default: any]
    #[arg(long, value_name = "NAME", env = "MRF_DOMAIN", value_delimiter = ',')]
    domain: Vec<String>,
    /// Make a conference when the first one joins it [default: on in run, off in mrfc]
    #[arg(long, value_name = "on|off", env = "MRF_CREATE_ON_JOIN")]
    create_on_join: Option<Switch>,
    /// Append a line of JSON to this file for every leg that is over [default: none]
    #[arg(long, value_name = "FILE", env = "MRF_CDR")]
    cdr: Option<PathBuf>,
}

/// What a server was asked to do: the file named, and the options set elsewhere.
#[derive(Debug)]
pub struct Asked {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// Flags and environment.
    pub options: Options,
}

impl RunArgs {
    /// The options of this command.
    #[must_use]
    pub fn asked(self) -> Asked {
        let mut options = Options {
            h248: self.h248,
            mid: self.mid,
            ..Options::default()
        };
        self.media.fill(&mut options);
        self.focus.fill(&mut options);
        self.common.fill(options)
    }
}

impl MrfpCommandArgs {
    /// The options of this command.
    #[must_use]
    pub fn asked(self) -> Asked {
        let mut options = Options {
            mgc: self.mgc,
            h248: self.h248,
            mid: self.mid,
            ..Options::default()
        };
        self.media.fill(&mut options);
        self.common.fill(options)
    }
}

impl MrfcCommandArgs {
    /// The options of this command.
    #[must_use]
    pub fn asked(self) -> Asked {
        let mut options = Options {
            h248: self.h248,
            mid: self.mid,
            ..Options::default()
        };
        self.focus.fill(&mut options);
        self.common.fill(options)
    }
}

impl MediaArgs {
    fn fill(self, options: &mut Options) {
        options.msrp = self.msrp;
        options.advertise = self.advertise;
        options.reactor = self.reactor;
        options.shards = self.shards;
        options.spread_above = self.spread_above;
        options.xdp_if = self.xdp_if;
        options.busy_poll_us = self.busy_poll_us;
        options.tcp_congestion = self.tcp_congestion;
        options.recipient_queue_mib = self.recipient_queue_mib;
        options.shard_queue_mib = self.shard_queue_mib;
        options.honour_sdp = self.honour_sdp;
        options.msrp_match = self.msrp_match;
        options.context_keep = self.context_keep;
        options.h248_after_loss = self.h248_after_loss;
        options.h248_auth = self.h248_auth;
        options.h248_restart_delay = self.h248_restart_delay;
        options.h248_timeout = self.h248_timeout;
        options.h248_pdu = self.h248_pdu;
        options.h248_profile = self.h248_profile;
        options.h248_version = self.h248_version;
        options.storage = self.storage;
    }
}

impl FocusArgs {
    fn fill(self, options: &mut Options) {
        options.sip = self.sip;
        options.tls_ca = self.tls_ca;
        options.users = self.users;
        options.credentials = self.credentials;
        options.domain = self.domain;
        options.create_on_join = self.create_on_join;
        options.cdr = self.cdr;
    }
}

impl CommonArgs {
    fn fill(self, mut options: Options) -> Asked {
        options.http = self.http;
        options.http_token = self.http_token;
        options.drain = self.drain;
        options.log_format = self.log_format;
        options.tls_cert = self.tls_cert;
        options.tls_key = self.tls_key;
        options.tls_client_ca = self.tls_client_ca;
        options.ws_origin = self.ws_origin;
        Asked {
            config: self.config,
            options,
        }
    }
}
