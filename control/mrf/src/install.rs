//! What belongs to an installation beside the binary: completions and the manual.

use std::process::ExitCode;

use clap::CommandFactory;

use crate::cli::{Cli, CompletionsArgs, ManualArgs};

/// Prints a script for a shell.
#[must_use]
pub fn completions(args: &CompletionsArgs) -> ExitCode {
    // The whole script first: who closes the pipe early is no failure of ours.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "mrf", &mut script);
    let _ = std::io::Write::write_all(&mut std::io::stdout(), &script);
    ExitCode::SUCCESS
}

/// Writes `mrf.1`, `mrf-run.1` and so on; makes the directory if it is not there.
#[must_use]
pub fn manual(args: &ManualArgs) -> ExitCode {
    let made = std::fs::create_dir_all(&args.directory);
    match made.and_then(|()| clap_mangen::generate_to(Cli::command(), &args.directory)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mrf: {}: {error}", args.directory.display());
            ExitCode::FAILURE
        }
    }
}
