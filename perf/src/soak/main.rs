//! Ten minutes at half of what the machine takes, with participants that come and go; appends what came of it to
//! perf/record/DATE-soak.md. Fails when a message was lost, or when memory grew in the second half of the time.
//!
//! ```text
//! saturation: `mrf load --rate max` until three runs in a row found the cores alike, near or far
//!     ──► the soak at half of it, with a look at the cores each second
//!             near once, and far for some seconds now ──► stopped, and all anew, at most BEGINNINGS_MAX times;
//!             at the last one the least saturation measured counts
//!             over ──► the record
//! ```
#![forbid(unsafe_code)]

mod record;
mod run;
mod stand;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use clap::Parser;
use perf::cores::{self, Cores, Trip};
use perf::machine::{Machine, Steal};
use perf::{Spread, spread};
use tokio::signal::unix::{SignalKind, signal};

use record::{GivenUp, Soak};
use run::Program;
use stand::{Distance, Looks, Stand};

/// Loads a system of its own with half of what it takes, while participants come and go; appends to
/// perf/record/DATE-soak.md. Exit code 1 when anything was lost, or memory grew by more than 5 % in the second half of the time.
#[derive(Debug, Parser)]
#[command(name = "perf/soak", version)]
struct Arguments {
    /// How long, with unit (s, m, h)
    #[arg(default_value = "10m", value_parser = period)]
    duration: String,
    /// Messages per second of all senders together [default: half of saturation, which is measured first]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    rate: Option<u64>,
    /// The program
    #[arg(long, value_name = "FILE", default_value = "target/release/mrf")]
    mrf: PathBuf,
    /// How long each of the three runs takes that measure saturation, with unit
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = period)]
    saturation: String,
    /// Where the record goes
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/record"))]
    out: PathBuf,
}

/// As `mrf load` takes it; what it would refuse shall not be found out after saturation was measured.
fn period(text: &str) -> Result<String, &'static str> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let is_one = number.parse().is_ok_and(|count: u32| count > 0);
    if is_one && ["s", "m", "h"].contains(&&text[number.len()..]) {
        Ok(text.to_owned())
    } else {
        Err("expected a number with s, m or h, such as 90s")
    }
}

/// The conferences, and who takes part in each.
const SHAPE: [&str; 6] = [
    "--conferences",
    "20",
    "--participants",
    "10",
    "--size",
    "300",
];

/// Participants of a conference who get each message.
const RECIPIENTS: f64 = 9.0;

/// Participants who leave, each second, and are followed by others.
const CHURN: &str = "10";

/// Runs whose median is the saturation.
const SATURATION_RUNS: usize = 3;

/// Where the cores move all the time, the least of so many runs count: they hold however the cores stand.
const SATURATION_RUNS_MAX: usize = 9;

/// How often the soak is begun.
const BEGINNINGS_MAX: usize = 5;

/// What the machine takes.
#[derive(Clone, Debug)]
pub(crate) struct Saturation {
    /// Messages per second.
    rate: Spread,
    /// Of the system under test, cores.
    cpu: Option<Spread>,
    distance: Distance,
    looks: Looks,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let scratch = Scratch::new()?;
        let program = Program {
            mrf: arguments.mrf.clone(),
            scratch: scratch.0.clone(),
        };
        let mut cores = Cores::new(cores::ends(), core::time::Duration::ZERO);
        let mut see = || {
            let trip = cores.trip_in_passing();
            (trip, cores.is_far(trip))
        };
        tokio::select! {
            ended = soak(&arguments, &program, &mut see) => ended,
            // Dropped, it ends what it has started.
            _ = terminate.recv() => bail!("terminated: there is no record"),
            _ = interrupt.recv() => bail!("interrupted: there is no record"),
        }
    })
}

/// A trip of a cache line between the two cores, and whether it is a far one.
type See<'a> = &'a mut dyn FnMut() -> (Option<Trip>, bool);

async fn soak(arguments: &Arguments, program: &Program, see: See<'_>) -> anyhow::Result<ExitCode> {
    let before = Steal::now();
    let mut measured: Vec<Saturation> = Vec::new();
    let mut given_up = Vec::new();
    let soak = loop {
        let is_last = given_up.len() + 1 == BEGINNINGS_MAX;
        let (saturation, rate) = match arguments.rate {
            Some(rate) => (None, rate),
            None => {
                measured.push(saturation(arguments, program, see).await?);
                let saturation = basis(&measured, is_last).clone();
                let rate = half(&saturation)?;
                (Some(saturation), rate)
            }
        };
        let rate_word = rate.to_string();
        let load = [
            "--rate",
            &rate_word,
            "--churn",
            CHURN,
            "--duration",
            &arguments.duration,
        ];
        let command = command(&load);
        println!("\nmrf {}", command.join(" "));
        let distance = saturation.as_ref().map(|one| one.distance);
        let mut stand = Stand::new(distance.unwrap_or(Distance::Unknown));
        let mut looks = Looks::default();
        let goes_on = || {
            let has_moved = stand.has_moved_apart(looks.note(see()));
            is_last || !has_moved
        };
        let ended = program.load(&command, goes_on).await?;
        if !ended.is_stopped {
            break Soak {
                command: command.join(" "),
                saturation,
                rate,
                given_up,
                looks,
                summary: ended.summary,
            };
        }
        println!("\nThe cores have moved apart: saturation is measured anew.");
        given_up.push(GivenUp {
            seconds: ended.summary.seconds,
            counts: ended.summary.counts,
        });
    };
    let path = record::append(&arguments.out, &Machine::look(&before), &soak)?;
    println!("\n{}: {soak}", path.display());
    Ok(if soak.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Arguments of a load of our shape.
fn command(load: &[&str]) -> Vec<String> {
    let words = SHAPE.iter().chain(load);
    words.map(|word| (*word).to_owned()).collect()
}

/// As many runs in a row that found the cores alike, or the least of all.
async fn saturation(
    arguments: &Arguments,
    program: &Program,
    see: See<'_>,
) -> anyhow::Result<Saturation> {
    let command = command(&["--duration", &arguments.saturation]);
    println!("mrf {}", command.join(" "));
    let mut all = Vec::new();
    let mut alike: Vec<(Distance, Looks, load::Summary)> = Vec::new();
    for _ in 0..SATURATION_RUNS_MAX {
        let mut looks = Looks::default();
        looks.note(see());
        let go_on = || {
            looks.note(see());
            true
        };
        let ended = program.load(&command, go_on).await?;
        looks.note(see());
        let counts = ended.summary.counts;
        ensure!(counts.is_clean(), "faults at saturation: {counts:?}");
        let distance = looks.distance();
        all.push((Distance::Far, looks.clone(), ended.summary.clone()));
        alike.retain(|(other, ..)| Some(*other) == distance);
        alike.extend(distance.map(|distance| (distance, looks, ended.summary)));
        if alike.len() == SATURATION_RUNS {
            return Saturation::of(&alike).context("no message was delivered at saturation");
        }
    }
    let rate = |(.., summary): &(_, _, load::Summary)| summary.delivered_per_second;
    all.sort_by(|one, other| rate(one).total_cmp(&rate(other)));
    all.truncate(SATURATION_RUNS);
    Saturation::of(&all).context("no message was delivered at saturation")
}

impl Saturation {
    fn of(runs: &[(Distance, Looks, load::Summary)]) -> Option<Self> {
        let mut looks = Looks::default();
        runs.iter().for_each(|(_, one, _)| looks.add(one));
        let summaries = || runs.iter().map(|(_, _, summary)| summary);
        Some(Self {
            rate: spread(summaries().map(|one| one.delivered_per_second / RECIPIENTS))?,
            cpu: spread(summaries().filter_map(|one| one.target_cpu)),
            distance: runs.first()?.0,
            looks,
        })
    }
}

/// The newest; at the last attempt the least, which holds however the cores stand.
fn basis(measured: &[Saturation], is_last: bool) -> &Saturation {
    let least =
        |one: &&Saturation, other: &&Saturation| one.rate.median.total_cmp(&other.rate.median);
    let chosen = if is_last {
        measured.iter().min_by(least)
    } else {
        measured.last()
    };
    chosen.expect("it was measured")
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "messages per second, far below 2^53"
)]
fn half(saturation: &Saturation) -> anyhow::Result<u64> {
    let rate = (saturation.rate.median / 2.0) as u64;
    ensure!(rate > 0, "less than two messages per second at saturation");
    Ok(rate)
}

/// A folder that is there as long as this.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("mrf-soak-{}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It is of no use to anybody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
