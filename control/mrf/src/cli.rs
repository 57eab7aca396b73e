//! The command line: commands, flags, help.

mod load;
mod participants;
mod servers;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use load::{LoadArgs, LoadReport, LoadVia};
pub use participants::{ChatArgs, ChatTransport, FlowArgs, FlowName};
pub use servers::{Asked, MrfcCommandArgs, MrfpCommandArgs, RunArgs};

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
    one stops at once, SIGHUP reads the log filter and certificates again.";

const MRFP_EXAMPLES: &str = "Examples:\n  \
    mrf mrfp --mgc udp:192.0.2.7:2944 --msrp 192.0.2.20:2855\n  \
    mrf mrfp --mgc tcp:192.0.2.7:2944 --mgc tcp:192.0.2.8:2944 --shards 4 --reactor uring";

const MRFC_EXAMPLES: &str = "Examples:\n  \
    mrf mrfc --sip udp:192.0.2.9:5060 --h248 udp:192.0.2.9:2944 --domain conf.example.net\n  \
    mrf mrfc --config /etc/mrf/mrf.toml";

const CHAT_EXAMPLES: &str = "Examples:\n  \
    mrf chat sip:lobby@127.0.0.1 --name ann\n  \
    mrf chat sip:lobby@conf.example.net --via tcp:192.0.2.9:5060\n  \
    mrf chat sips:lobby@conf.example.net --via sips:proxy.example.net\n  \
    mrf chat sip:lobby@127.0.0.1 --transport tls\n\n\
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
    use crate::config::Options;
    use crate::values::HttpAddr;
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
