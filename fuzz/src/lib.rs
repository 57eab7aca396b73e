//! What every target shares: where inputs come from, and what happens when one breaks the target.
//!
//! A target is a plain program, so the stable toolchain builds it and any fuzzer that feeds files
//! or stdin can drive it. By itself it offers mutation from a seed, without coverage feedback:
//!
//! ```text
//! TARGET                                one input from stdin
//! TARGET FILE|DIR...                    every file, directories one level deep
//! TARGET --runs N [--seed S] DIR...     those, then N inputs derived from them
//! ```
//!
//! An input that makes the target panic is written to `crash-SEED-RUN` in the current directory
//! (inputs from files keep their name) and the exit code is 1.

mod mutate;

use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use mutate::Mutator;

/// Octets read of one input; a longer one is cut.
pub const INPUT_BYTES_MAX: u64 = 1 << 20;

/// Files taken from the directories named.
pub const FILES_MAX: usize = 100_000;

struct Options {
    paths: Vec<PathBuf>,
    runs: u64,
    seed: u64,
}

/// Runs `target` over what the command line names.
#[must_use]
pub fn main(target: fn(&[u8])) -> ExitCode {
    let done = parse(env::args().skip(1)).and_then(|options| run(target, &options));
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        paths: Vec::new(),
        runs: 0,
        seed: 1,
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--runs" => options.runs = number(&word, words.next())?,
            "--seed" => options.seed = number(&word, words.next())?,
            _ if word.starts_with('-') => return Err(format!("unknown option {word}")),
            _ => options.paths.push(PathBuf::from(word)),
        }
    }
    Ok(options)
}

fn number(name: &str, value: Option<String>) -> Result<u64, String> {
    let value = value.ok_or_else(|| format!("{name} needs a number"))?;
    value
        .parse()
        .map_err(|_| format!("{name} {value}: not a number"))
}

fn run(target: fn(&[u8]), options: &Options) -> Result<ExitCode, String> {
    let mut corpus = Vec::new();
    if options.paths.is_empty() {
        corpus.push(read(io::stdin().lock()).map_err(|error| error.to_string())?);
    }
    let mut is_whole = true;
    for path in files(&options.paths)? {
        let file = fs::File::open(&path).map_err(at(&path))?;
        let input = read(file).map_err(at(&path))?;
        if !survives(target, &input) {
            eprintln!("{} breaks the target", path.display());
            is_whole = false;
        }
        corpus.push(input);
    }
    if options.paths.is_empty() {
        is_whole = survives(target, &corpus[0]);
    }
    is_whole &= derive(target, options, &corpus)?;
    println!("{} inputs, {} derived", corpus.len(), options.runs);
    Ok(ExitCode::from(u8::from(!is_whole)))
}

/// Runs mutated inputs until one breaks the target; says whether none did.
fn derive(target: fn(&[u8]), options: &Options, corpus: &[Vec<u8>]) -> Result<bool, String> {
    let mut mutator = Mutator::new(options.seed, corpus);
    for run in 0..options.runs {
        let input = mutator.next_input();
        if !survives(target, &input) {
            let path = PathBuf::from(format!("crash-{}-{run}", options.seed));
            fs::write(&path, &input).map_err(at(&path))?;
            eprintln!("{} breaks the target", path.display());
            return Ok(false);
        }
    }
    Ok(true)
}

fn survives(target: fn(&[u8]), input: &[u8]) -> bool {
    catch_unwind(AssertUnwindSafe(|| target(input))).is_ok()
}

fn read(source: impl Read) -> io::Result<Vec<u8>> {
    let mut input = Vec::new();
    source.take(INPUT_BYTES_MAX).read_to_end(&mut input)?;
    Ok(input)
}

/// The files named and those in the directories named, in order of name, so that a seed means
/// the same inputs everywhere.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut inside = Vec::new();
        for entry in fs::read_dir(path).map_err(at(path))? {
            let entry = entry.map_err(at(path))?.path();
            if entry.is_file() {
                inside.push(entry);
            }
        }
        inside.sort();
        files.extend(inside);
    }
    if files.len() > FILES_MAX {
        return Err(format!("more than {FILES_MAX} files"));
    }
    Ok(files)
}

fn at(path: &Path) -> impl Fn(io::Error) -> String {
    let path = path.display().to_string();
    move |error| format!("{path}: {error}")
}
