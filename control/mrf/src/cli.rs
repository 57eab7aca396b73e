//! The command line: commands, flags, help.

mod load;

use core::num::NonZeroU32;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::Options;
use crate::values::{
    Advertised, AfterLoss, AuthHeader, BusyPoll, Count, H248Addr, H248Pdu, H248Profile,
    H248Version, HttpAddr, LogFormat, Mid, MsrpAddr, MsrpMatch, NextHop, Period, QueueMib, Reactor,
    Shards, SipListener, Switch, TcpCongestion, WsOrigin, XdpInterface,
};

pub use load::{LoadArgs, LoadReport, LoadVia};

/// A Multimedia Resource Function for session-based messaging (3GPP TS 24.247): group chat over
/// MSRP, driven by text H.248, with a SIP focus beside it.
#[derive(Debug, Parser)]
#[command(
    name = "mrf",
    version,
    subcommand_required = true,
    arg_required_else_help = false,
    after_help = "Without a command, mrf runs `mrf run`; flags may follow: mrf --http off\n\n\
        Examples:\n  \
        mrf                                       the whole system on loopback\n  \
        mrf chat sip:lobby@127.0.0.1 --name ann   talk in a conference of it\n  \
        mrf flow a.5.1                            play and check the flow of TS 24.247 A.5.1\n  \
        mrf mrfp --mgc udp:192.0.2.7:2944         the media plane for your own controller\n  \
        mrf load --participants 100               how much of it this machine carries\n\n\
        Exit codes: 0 ok, 1 failed, 2 usage."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// MRFP and MRFC in one process, joined by real H.248 over loopback: the quick start
    #[command(after_help = RUN_EXAMPLES)]
    Run(Box<RunArgs>),
    /// The media plane alone, for any MRFC
    #[command(after_help = MRFP_EXAMPLES)]
    Mrfp(Box<MrfpCommandArgs>),
    /// The bundled controller alone, driving one or more MRFPs
    #[command(after_help = MRFC_EXAMPLES)]
    Mrfc(Box<MrfcCommandArgs>),
    /// Take part in a conference from the terminal
    #[command(after_help = CHAT_EXAMPLES)]
    Chat(ChatArgs),
    /// Play a flow of TS 24.247 A.5 and check every step
    #[command(after_help = FLOW_EXAMPLES)]
    Flow(FlowArgs),
    /// Put conferences under load and measure: throughput, latency, every delivery checked
    #[command(after_help = load::EXAMPLES)]
    Load(Box<LoadArgs>),
    /// Parse and pretty-print MSRP, H.248 or SDP, or say what is wrong and where
    #[command(after_help = DECODE_EXAMPLES)]
    Decode(DecodeArgs),
    /// Validate a configuration file
    #[command(
        after_help = "Prints `ok`, or FILE:line:column: what (exit code 1). Files with certificates, keys and passwords \
        that it names must be readable, too."
    )]
    CheckConfig(CheckConfigArgs),
    /// Print a script that completes this command line in a shell
    #[command(after_help = "Example: mrf completions bash > /etc/bash_completion.d/mrf")]
    Completions(CompletionsArgs),
    /// Write the manual, a page for each command
    #[command(after_help = "Example: mrf manual /usr/local/share/man/man1")]
    Manual(ManualArgs),
}

const RUN_EXAMPLES: &str = "Examples:\n  \
    mrf run\n  \
    mrf run --sip udp:192.0.2.9:5060 --msrp 192.0.2.9:2855\n  \
    mrf run --sip udp:127.0.0.1:0 --h248 udp:127.0.0.1:0 --msrp 127.0.0.1:0 --http 127.0.0.1:0\n\n\
    Every flag is also a key of the configuration file and an environment variable; a flag wins \
    over the environment, the environment over the file. When all is listening and the MRFP has \
    registered, one line goes to stdout: ready msrp=ADDR h248.udp=ADDR ... SIGTERM drains, a second \
    one stops at once, SIGHUP reads the log filter again.";

const MRFP_EXAMPLES: &str = "Examples:\n  \
    mrf mrfp --mgc udp:192.0.2.7:2944 --msrp 192.0.2.20:2855\n  \
    mrf mrfp --mgc tcp:192.0.2.7:2944 --mgc tcp:192.0.2.8:2944 --shards 4 --reactor uring";

const MRFC_EXAMPLES: &str = "Examples:\n  \
    mrf mrfc --sip udp:192.0.2.9:5060 --h248 udp:192.0.2.9:2944 --domain conf.example.net\n  \
    mrf mrfc --config /etc/mrf/mrf.toml";

const CHAT_EXAMPLES: &str = "Examples:\n  \
    mrf chat sip:lobby@127.0.0.1 --name ann\n  \
    mrf chat sip:lobby@conf.example.net --via tcp:192.0.2.9:5060\n  \
    mrf chat sips:lobby@conf.example.net --via sips:proxy.example.net\n\n\
    A line typed is a message sent; /quit, end of input or ^C leaves the conference. /file PATH sends a \
    file, /msg NAME TEXT and /nick NAME work where the conference is a chat room, /who tells who is here.";

const FLOW_EXAMPLES: &str = "Examples:\n  \
    mrf flow a.5.1                               starts a system of its own on free ports\n  \
    mrf flow a.5.2                               the same, with a user who is called\n  \
    mrf flow a.5.1 --target sip:conference1@home2.net --via udp:127.0.0.1:5060\n  \
    mrf flow a.5.1 --markdown                    a document instead of a ladder\n\n\
    Exit code 1 when a step deviates.";

const DECODE_EXAMPLES: &str = "Examples:\n  \
    mrf decode msrp capture.msrp\n  \
    mrf decode h248 --compact message.txt\n  \
    mrf decode sdp - < offer.sdp\n\n\
    On bad input: line:column: what was expected (exit code 1).";

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
        value_name = "udp:ADDR|tcp:ADDR",
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
        value_name = "udp:ADDR|tcp:ADDR",
        env = "MRF_MGC",
        value_delimiter = ','
    )]
    mgc: Vec<H248Addr>,
    /// H.248 listener: udp:ADDR, tcp:ADDR or sctp:ADDR; repeatable [default: udp:127.0.0.1:0]
    #[arg(
        long,
        value_name = "udp:ADDR|tcp:ADDR",
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
        value_name = "udp:ADDR|tcp:ADDR",
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
    /// core; 0 sleeps at once [default: auto]
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
    /// Obey a=setup, a=max-size, a=accept-types and a=msrp-cema in H.248 Local and Remote, which
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
    /// How long the controller may take to answer before it counts as lost (T-MAX), at least 1s
    /// [default: 25s]
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

/// Flags of `mrf chat`.
#[derive(Debug, Args)]
pub struct ChatArgs {
    /// The conference, for example sip:lobby@127.0.0.1
    #[arg(value_name = "SIP-URI")]
    pub uri: String,
    /// Next hop of SIP: udp:ADDR, tcp:ADDR, tls:ADDR, ws:ADDR or wss:ADDR, or a URI that leads there, for
    /// example sip:proxy.example.net (RFC 3263) [default: from the SIP-URI]
    #[arg(long, value_name = "TRANSPORT:ADDR|SIP-URI")]
    pub via: Option<NextHop>,
    /// Authorities (PEM) that must vouch for it with tls: and wss: [default: those of the system]
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// The name that others see: letters, digits, `.`, `_`, `-` [default: $USER, or guest]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Directory where files are put that others send; none there is written over [default: they are
    /// told, and not kept]
    #[arg(long, value_name = "DIR")]
    pub save: Option<PathBuf>,
}

/// Which flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FlowName {
    /// A user joins a messaging conference
    #[value(name = "a.5.1")]
    A51,
    /// The MRFC invites a user to one
    #[value(name = "a.5.2")]
    A52,
}

/// Flags of `mrf flow`.
#[derive(Debug, Args)]
pub struct FlowArgs {
    /// The flow
    #[arg(value_enum)]
    pub flow: FlowName,
    /// Conference of a running system, for example sip:conference1@127.0.0.1:5060; H.248 cannot be
    /// seen then [default: a system started for this flow]
    #[arg(long, value_name = "SIP-URI")]
    pub target: Option<String>,
    /// Next hop of SIP, with --target: udp:ADDR, tcp:ADDR, or a URI that leads there [default: from the
    /// SIP-URI]
    #[arg(long, value_name = "TRANSPORT:ADDR|SIP-URI", requires = "target")]
    pub via: Option<NextHop>,
    /// Print every message in full below the ladder
    #[arg(long)]
    pub verbose: bool,
    /// Print a document instead: every message with all that was checked about it
    #[arg(long, conflicts_with = "verbose")]
    pub markdown: bool,
}

/// What to decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// One or more MSRP frames (RFC 4975)
    Msrp,
    /// One H.248 text message (H.248.1 Annex B)
    H248,
    /// One session description (RFC 8866)
    Sdp,
}

/// Flags of `mrf decode`.
#[derive(Debug, Args)]
pub struct DecodeArgs {
    /// What the input is
    #[arg(value_enum)]
    pub language: Language,
    /// The input; `-` is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    pub file: PathBuf,
    /// Short tokens and no indentation (h248 only)
    #[arg(long)]
    pub compact: bool,
}

/// Flags of `mrf check-config`.
#[derive(Debug, Args)]
pub struct CheckConfigArgs {
    /// The configuration file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Flags of `mrf completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Flags of `mrf manual`.
#[derive(Debug, Args)]
pub struct ManualArgs {
    /// The directory for the pages; those that are there are written over
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
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

/// Puts `run` in where no command is named: `mrf`, `mrf --http off`.
#[must_use]
pub fn with_default_command(mut args: Vec<OsString>) -> Vec<OsString> {
    let is_ours =
        |arg: &OsString| matches!(arg.to_str(), Some("-h" | "--help" | "-V" | "--version"));
    let is_flag = |arg: &OsString| arg.to_str().is_some_and(|text| text.starts_with('-'));
    match args.get(1) {
        None => args.push("run".into()),
        Some(first) if is_flag(first) && !is_ours(first) => args.insert(1, "run".into()),
        Some(_) => {}
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(args: &[&str]) -> Result<Cli, clap::Error> {
        let args = core::iter::once(&"mrf").chain(args).map(OsString::from);
        Cli::try_parse_from(with_default_command(args.collect()))
    }

    fn run_options(args: &[&str]) -> Options {
        let Command::Run(args) = parse(args).unwrap().command else {
            panic!("{args:?} is not run");
        };
        args.asked().options
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_is_the_default_command() {
        assert_eq!(run_options(&[]), Options::default());
        let options = run_options(&["--http", "off"]);
        assert_eq!(options.http, Some(HttpAddr(None)));
        assert!(parse(&["rum"]).unwrap_err().to_string().contains("run"));
    }

    #[test]
    fn repeatable_flags_repeat_and_take_lists() {
        let options = run_options(&[
            "--sip",
            "udp:127.0.0.1:1,tcp:127.0.0.1:1",
            "--sip",
            "udp:[::1]:0",
        ]);
        assert_eq!(options.sip.len(), 3);
        let options = run_options(&["run", "--msrp", "127.0.0.1:0", "--msrp", "[::1]:0"]);
        assert_eq!(options.msrp.len(), 2);
    }

    #[test]
    fn flags_belong_to_their_commands() {
        assert!(
            parse(&[
                "mrfp",
                "--mgc",
                "udp:127.0.0.1:1",
                "--mgc",
                "tcp:127.0.0.1:1"
            ])
            .is_ok()
        );
        assert!(parse(&["mrfp", "--sip", "udp:127.0.0.1:1"]).is_err());
        assert!(parse(&["mrfc", "--msrp", "127.0.0.1:1"]).is_err());
        assert!(parse(&["flow", "a.5.1", "--via", "udp:127.0.0.1:1"]).is_err());
        assert!(parse(&["decode", "h248", "--compact"]).is_ok());
    }
}
