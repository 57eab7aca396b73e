//! The `mrf` binary: reads the command line and starts what it names.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use mrf_cli::cli::{Cli, Command, with_default_command};
use mrf_cli::serve::{Kind, serve};
use mrf_cli::{chat, check_config, decode, flow, install, load};

/// Something failed.
const FAILED: u8 = 1;

fn main() -> ExitCode {
    // clap prints usage errors itself and exits with 2.
    let cli = Cli::parse_from(with_default_command(std::env::args_os().collect()));
    let done = match cli.command {
        Command::Run(args) => serve(Kind::Run, args.asked()),
        Command::Mrfp(args) => serve(Kind::Mrfp, args.asked()),
        Command::Mrfc(args) => serve(Kind::Mrfc, args.asked()),
        Command::Decode(args) => return decode::run(&args),
        Command::CheckConfig(args) => return check_config::run(&args),
        Command::Completions(args) => return install::completions(&args),
        Command::Manual(args) => return install::manual(&args),
        Command::Chat(args) => chat::run(args),
        Command::Flow(args) => return flow::run(args),
        Command::Load(args) => return load::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mrf: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}
