//! Flags of who takes part: `chat`, `flow`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::values::NextHop;

/// Flags of `mrf chat`.
#[derive(Debug, Args)]
pub struct ChatArgs {
    /// The conference, for example sip:lobby@127.0.0.1
    #[arg(value_name = "SIP-URI", value_parser = conference_uri)]
    pub uri: String,
    /// Next hop of SIP: udp:ADDR, tcp:ADDR, tls:ADDR, ws:ADDR or wss:ADDR, or a URI that leads there, for
    /// example sip:proxy.example.net (RFC 3263) [default: from the SIP-URI]
    #[arg(long, value_name = "TRANSPORT:ADDR|SIP-URI")]
    pub via: Option<NextHop>,
    /// What MSRP goes over [default: tls with a sips: URI, else tcp]
    #[arg(long, value_enum)]
    pub transport: Option<ChatTransport>,
    /// Authorities (PEM) that must vouch for the next hop with tls: and wss: [default: those of the
    /// system], and for the other end of MSRP if it names no fingerprint [default: none]
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// The name that others see: letters, digits, `.`, `_`, `-` [default: $USER, or guest]
    #[arg(long, value_name = "NAME", value_parser = crate::chat::user_name)]
    pub name: Option<String>,
    /// Directory where files are put that others send; none there is written over [default: they are
    /// told, and not kept]
    #[arg(long, value_name = "DIR")]
    pub save: Option<PathBuf>,
}

fn conference_uri(text: &str) -> Result<String, String> {
    crate::participant::sip_uri(text).map(|_| text.to_owned())
}

/// What MSRP goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ChatTransport {
    /// TCP
    Tcp,
    /// TLS; the certificate is compared with a=fingerprint
    Tls,
}

impl ChatArgs {
    /// Whether MSRP is to be on TLS: who calls a `sips:` URI wants nothing in the clear.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        match self.transport {
            Some(transport) => transport == ChatTransport::Tls,
            None => {
                let scheme = self.uri.split(':').next();
                scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("sips"))
            }
        }
    }
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
