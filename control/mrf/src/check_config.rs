//! `mrf check-config FILE`.

use std::path::Path;
use std::process::ExitCode;

use crate::cli::CheckConfigArgs;
use crate::{config, consistency};

/// Prints `ok`, or what is wrong and where.
#[must_use]
pub fn run(args: &CheckConfigArgs) -> ExitCode {
    match check(&args.file) {
        Ok(()) => {
            println!("ok");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn check(file: &Path) -> Result<(), String> {
    let options = config::read(file).map_err(|error| error.to_string())?;
    consistency::check_with_files(&options)
        .map_err(|error| format!("{}: {error:#}", file.display()))
}
