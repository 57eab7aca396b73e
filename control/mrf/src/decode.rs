//! `mrf decode`: what a text says, or what is wrong with it and where.

mod h248;
mod msrp;
mod sdp;

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use crate::cli::{DecodeArgs, Language};
use crate::limits::DECODE_BYTES_MAX;
use crate::position::Fault;

/// What came out of a decoder: text as far as there was sense, and every fault.
#[derive(Debug, Default, PartialEq, Eq)]
struct Decoded {
    text: String,
    faults: Vec<Fault>,
}

/// Prints the input in full, or says what is wrong with it.
#[must_use]
pub fn run(args: &DecodeArgs) -> ExitCode {
    let input = match read(&args.file) {
        Ok(input) => input,
        Err(error) => {
            eprintln!("mrf: {}: {error}", args.file.display());
            return ExitCode::FAILURE;
        }
    };
    let decoded = match args.language {
        Language::Msrp => msrp::decode(&input),
        Language::H248 => h248::decode(&input, args.compact),
        Language::Sdp => sdp::decode(&input),
    };
    print!("{}", decoded.text);
    for fault in &decoded.faults {
        eprintln!("{fault}");
    }
    if decoded.faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut input = Vec::new();
    let limit = DECODE_BYTES_MAX as u64 + 1;
    if file == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(limit)
            .read_to_end(&mut input)?;
    } else {
        std::fs::File::open(file)?
            .take(limit)
            .read_to_end(&mut input)?;
    }
    if input.len() > DECODE_BYTES_MAX {
        let text = format!("larger than {DECODE_BYTES_MAX} octets");
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, text));
    }
    Ok(input)
}
