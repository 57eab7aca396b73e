//! `mrf check-config FILE`.

use std::process::ExitCode;

use crate::cli::CheckConfigArgs;
use crate::config;

/// Prints `ok`, or what is wrong and where.
#[must_use]
pub fn run(args: &CheckConfigArgs) -> ExitCode {
    match config::read(&args.file) {
        Ok(_) => {
            println!("ok");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
