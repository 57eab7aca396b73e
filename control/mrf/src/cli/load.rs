//! Flags of `mrf load`.

use core::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use load::Transport;
use msrp::FailureReport;

use crate::values::{BusyPoll, H248Addr, LoadRate, Octets, Period, Reactor};

/// Examples for the help.
pub(super) const EXAMPLES: &str = "Examples:\n  \
    mrf load                                          1 sender, 1 recipient, as fast as it goes\n  \
    mrf load --participants 100 --senders 4 --size 300 --rate 2000 --duration 30s\n  \
    mrf load --conferences 100 --participants 10 --rate 5000 --json result.json\n  \
    mrf load --participants 11 --size 1G --messages 1  one file to ten\n  \
    mrf load --participants 11 --transport tls --rate 2000\n  \
    mrf load --conferences 50 --participants 10 --rate 2000 --churn 20 --duration 10m  a soak\n  \
    mrf load --via sip --target 'sip:load@127.0.0.1:5060;transport=tcp' --participants 5\n  \
    mrf load --via sip --target sips:load@mrf.example.net --tls-ca ca.pem --transport tls\n  \
    mrf load --via relay --target 127.0.0.1:2855      an RFC 4976 relay\n\n\
    A row per second, then a summary: deliveries per second, latency from the intended time of sending, \
    and what was lost, duplicated, out of order or damaged (exit code 1 if anything was).";

/// How sessions are set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LoadVia {
    /// As an MRFC: Add commands to an MRFP
    H248,
    /// As participants: INVITE to conferences
    Sip,
    /// No set-up: a relay as in RFC 4976, pairs only
    Relay,
    /// No set-up: the bare forwarder of perf/compare
    Forward,
}

/// What messages say about reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LoadReport {
    /// Every hop answers every message, and so does the load generator
    Yes,
    /// Only failures are answered
    Partial,
    /// Nothing is answered
    No,
}

impl From<LoadReport> for FailureReport {
    fn from(report: LoadReport) -> Self {
        match report {
            LoadReport::Yes => Self::Yes,
            LoadReport::Partial => Self::Partial,
            LoadReport::No => Self::No,
        }
    }
}

/// What participants speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LoadTransport {
    /// MSRP on TCP
    Tcp,
    /// MSRP on TLS; the certificate is compared with a=fingerprint
    Tls,
    /// MSRP on WebSocket (RFC 7977)
    Ws,
    /// MSRP on WebSocket on TLS
    Wss,
}

impl From<LoadTransport> for Transport {
    fn from(transport: LoadTransport) -> Self {
        match transport {
            LoadTransport::Tcp => Self::Tcp,
            LoadTransport::Tls => Self::Tls,
            LoadTransport::Ws => Self::Ws,
            LoadTransport::Wss => Self::Wss,
        }
    }
}

/// Flags of `mrf load`.
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// How the sessions are set up
    #[arg(long, value_enum, default_value = "h248")]
    pub via: LoadVia,
    /// The system under test: with h248 the MRFP's H.248 address (udp:ADDR), with sip a conference
    /// URI whose name gets -0, -1, … appended, else ADDR [default: a system started for this run]
    #[arg(long, value_name = "TARGET")]
    pub target: Option<String>,
    /// With h248 and no --target: wait here for an MRFP to register [default: start one]
    #[arg(long, value_name = "udp:ADDR|tcp:ADDR")]
    pub h248: Option<H248Addr>,
    /// Process of the system under test, to tell its CPU and memory
    #[arg(long, value_name = "PID")]
    pub target_pid: Option<u32>,
    /// Conferences
    #[arg(long, value_name = "C", default_value_t = 1)]
    pub conferences: u32,
    /// Participants of each
    #[arg(long, value_name = "P", default_value_t = 2)]
    pub participants: u32,
    /// Participants of each that send; everybody receives
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub senders: u32,
    /// Participants of each that stop reading after they have joined
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub stalled: u32,
    /// With h248: sessions that join before, in conferences of as many participants, and stay silent;
    /// what each costs is told
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub idle: u32,
    /// Recipients that share one connection, and so do the silent ones of --idle
    #[arg(long, value_name = "N", default_value = "1")]
    pub sessions_per_connection: NonZeroU32,
    /// Octets of a message: a number, or one with k, M or G (powers of 1000); up to 1G
    #[arg(long, value_name = "BYTES", default_value = "300")]
    pub size: Octets,
    /// Messages per second of all senders together, or max
    #[arg(
        long,
        value_name = "R|max",
        default_value = "max",
        allow_negative_numbers = true
    )]
    pub rate: LoadRate,
    /// How long to measure, with unit (ms, s, m, h)
    #[arg(long, value_name = "TIME", default_value = "10s")]
    pub duration: Period,
    /// How long to run before measuring
    #[arg(long, value_name = "TIME", default_value = "1s")]
    pub warmup: Period,
    /// Stop after so many messages of each sender
    #[arg(long, value_name = "N")]
    pub messages: Option<u64>,
    /// What participants speak; others than tcp with --via h248 or sip only. SIP itself goes as the URI
    /// of --target says: ;transport=tcp, tls or ws, or sips:
    #[arg(long, value_enum, default_value = "tcp")]
    pub transport: LoadTransport,
    /// With --via sip over TLS: authorities (PEM) that must vouch for the target [default: those of the
    /// system]
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Recipients replaced per second while messages flow: one leaves, another joins; needs a --rate
    /// and --via h248 or sip
    #[arg(
        long,
        value_name = "RATE",
        default_value_t = 0.0,
        allow_negative_numbers = true
    )]
    pub churn: f64,
    /// Failure-Report of the messages
    #[arg(long, value_enum, default_value = "no")]
    pub failure_report: LoadReport,
    /// Write the summary as JSON; `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Reactor of a system started for this run
    #[arg(long, value_name = "auto|uring|mio", default_value = "auto")]
    pub reactor: Reactor,
    /// Busy-polling of a system started for this run, microseconds
    #[arg(long, value_name = "N|auto", default_value = "0")]
    pub busy_poll_us: BusyPoll,
}
