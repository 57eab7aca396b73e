//! Writes `docs/CONFORMANCE.md`, or with `--check` says whether it is up to date.
//!
//! Exit 0: every requirement is tested or has an exception. Exit 1: not so, or the document is out
//! of date. Exit 2: usage.

use std::path::Path;
use std::process::ExitCode;

use mrf_tests::conformance::Report;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let is_check = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--check"] => true,
        _ => {
            eprintln!("usage: conformance [--check]");
            return ExitCode::from(2);
        }
    };
    match run(is_check) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(is_check: bool) -> std::io::Result<bool> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let report = Report::of_workspace(&root)?;
    let path = root.join("docs/CONFORMANCE.md");
    let document = report.document();
    let mut is_well = report.problems().is_empty();
    for problem in report.problems() {
        eprintln!("{problem}");
    }
    if !is_check {
        std::fs::write(&path, document)?;
    } else if std::fs::read_to_string(&path).unwrap_or_default() != document {
        eprintln!("docs/CONFORMANCE.md is out of date: cargo run -p mrf-tests --bin conformance");
        is_well = false;
    }
    let [all, tested, not_applicable, deviations, open] = report.counts();
    println!(
        "{all} requirements: {tested} tested, {not_applicable} not applicable, {deviations} deviations, {open} open"
    );
    Ok(is_well)
}
