//! What came of a soak, as a page has it.

use core::fmt;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use load::{Counts, Summary};
use perf::machine::{Machine, today};
use perf::{ABSENT, told};

use crate::Saturation;
use crate::stand::{Distance, Looks};

/// All that is known of one.
#[derive(Debug)]
pub(crate) struct Soak {
    /// What `mrf` was called with.
    pub(crate) command: String,
    /// Unless the rate was given.
    pub(crate) saturation: Option<Saturation>,
    /// Messages per second.
    pub(crate) rate: u64,
    pub(crate) given_up: Vec<GivenUp>,
    /// One each second.
    pub(crate) looks: Looks,
    pub(crate) summary: Summary,
}

/// A beginning that came to nothing, because the cores moved apart.
#[derive(Debug)]
pub(crate) struct GivenUp {
    pub(crate) seconds: f64,
    pub(crate) counts: Counts,
}

/// So much memory may grow in the second half of the time. What is kept for reuse is what the worst moment needed, within
/// bounds, such as the one in which the cores moved apart; a leak goes on.
const GROWTH_MAX: f64 = 0.05;

/// Rows of a minute.
const MINUTE: usize = 60;

impl Soak {
    /// Whether nothing was lost, of what was given up neither, and memory stayed flat.
    pub(crate) fn is_good(&self) -> bool {
        let mut given_up = self.given_up.iter();
        self.summary.counts.is_clean()
            && !self.summary.is_broken_off
            && given_up.all(|one| one.counts.is_clean())
            && self.growth().is_none_or(|[_, late]| late <= GROWTH_MAX)
    }

    /// The highest resident memory of each whole minute, MB; of a shorter run that of all of it.
    fn minutes(&self) -> Vec<f64> {
        let rows = self.summary.rows.iter();
        let resident: Vec<f64> = rows
            .filter_map(|row| Some(row.target_resident_bytes? as f64 / 1e6))
            .collect();
        let most = |some: &[f64]| some.iter().copied().fold(0.0, f64::max);
        let whole: Vec<f64> = resident.chunks_exact(MINUTE).map(most).collect();
        if whole.is_empty() {
            return vec![most(&resident)];
        }
        whole
    }

    /// Of memory since the second minute, and in the second half of the time; `None` if there was no third.
    fn growth(&self) -> Option<[f64; 2]> {
        let minutes = self.minutes();
        let [_, second, .., last] = minutes[..] else {
            return None;
        };
        let middle = minutes[(minutes.len() - 1) / 2];
        Some([second, middle].map(|before| last / before - 1.0))
    }

    fn share(&self) -> String {
        let Some(saturation) = &self.saturation else {
            return ABSENT.to_owned();
        };
        let share = 100.0 * self.rate as f64 / saturation.rate.median;
        let [near, far, _] = self.looks.counts();
        let but = match saturation.distance {
            Distance::Near if far > 0 => format!("; more in the {far} s in which they were far"),
            Distance::Far if near > 0 => format!("; less in the {near} s in which they were near"),
            Distance::Near | Distance::Far | Distance::Unknown => String::new(),
        };
        format!("{share:.0} %{but}")
    }

    fn beginnings(&self) -> String {
        let seconds = |one: &GivenUp| format!("{:.0}", one.seconds);
        let all: Vec<String> = self.given_up.iter().map(seconds).collect();
        if all.is_empty() {
            return "0".to_owned();
        }
        format!("{}, after {} s", all.len(), all.join(", "))
    }
}

/// All faults, and those that were losses.
fn faults(counts: &Counts) -> (u64, u64) {
    let others = [
        counts.unsent,
        counts.duplicated,
        counts.out_of_order,
        counts.damaged,
        counts.aborted,
        counts.refused,
        counts.strange,
        counts.disconnected,
        counts.leaves.abs_diff(counts.joins + counts.unbound),
    ];
    (counts.lost + others.iter().sum::<u64>(), counts.lost)
}

/// In one line.
impl fmt::Display for Soak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (all, lost) = faults(&self.summary.counts);
        let given_up: u64 = self.given_up.iter().map(|one| faults(&one.counts).0).sum();
        write!(
            f,
            "{} messages/s, {} of saturation; {lost} lost, {all} faults, {given_up} in what was given up; memory {} in the \
             second half: {}",
            self.rate,
            self.share(),
            grown(self.growth().map(|[_, late]| late)),
            if self.is_good() { "good" } else { "failed" }
        )
    }
}

fn grown(growth: Option<f64>) -> String {
    growth.map_or(ABSENT.to_owned(), |growth| {
        format!("{:+.1} %", growth * 100.0)
    })
}

/// Adds a soak to the page of today; returns that.
pub(crate) fn append(out: &Path, machine: &Machine, soak: &Soak) -> anyhow::Result<PathBuf> {
    let date = today();
    let path = out.join(format!("{date}-soak.md"));
    let mut text = String::new();
    if !path.exists() {
        writeln!(text, "# Soak of {date}\n\nMade by `perf/soak`.")?;
    }
    section(&mut text, machine, soak)?;
    let file = OpenOptions::new().append(true).create(true).open(&path);
    let mut file = file.with_context(|| path.display().to_string())?;
    file.write_all(text.as_bytes())?;
    Ok(path)
}

fn section(page: &mut String, machine: &Machine, soak: &Soak) -> fmt::Result {
    let run = &soak.summary;
    let counts = &run.counts;
    writeln!(
        page,
        "\n## Soak of {:.0} s, {} conferences of {}\n\n`mrf load {}`\n\n{machine}.\n",
        run.seconds, run.conferences, run.participants, soak.command
    )?;
    writeln!(page, "| | |\n|---|---:|")?;
    let mut row = |name: &str, value: String| writeln!(page, "| {name} | {value} |");
    let (all_faults, lost) = faults(counts);
    let saturation = soak.saturation.as_ref();
    let measured =
        |of: &dyn Fn(&Saturation) -> String| saturation.map_or("not measured".to_owned(), of);
    row(
        "saturation, messages/s: median (least–most)",
        measured(&|one| told(Some(one.rate), 0)),
    )?;
    row(
        "the cores meanwhile, trip of a cache line to the other and back, ns",
        measured(&|one| {
            let [near, far] = one.looks.trips();
            match one.distance {
                Distance::Near => format!("near, {near}"),
                Distance::Far => format!("far, {far}"),
                Distance::Unknown => Distance::Unknown.to_string(),
            }
        }),
    )?;
    row("offered, messages/s", soak.rate.to_string())?;
    row("share of saturation", soak.share())?;
    let [near, far, unknown] = soak.looks.counts();
    row(
        "seconds in which the cores were near / far / not seen",
        format!("{near} / {far} / {unknown}"),
    )?;
    row("trip then, ns: near / far", soak.looks.trips().join(" / "))?;
    row("begun anew because they had moved apart", soak.beginnings())?;
    row("messages sent", counts.sent.to_string())?;
    row("deliveries, each verified", counts.delivered.to_string())?;
    row("lost", lost.to_string())?;
    row("faults of any kind, these included", all_faults.to_string())?;
    if !soak.given_up.is_empty() {
        let given_up: u64 = soak.given_up.iter().map(|one| faults(&one.counts).0).sum();
        row("faults in what was given up", given_up.to_string())?;
    }
    row(
        "participants who left / joined / gave up before they were bound",
        format!("{} / {} / {}", counts.leaves, counts.joins, counts.unbound),
    )?;
    let (join, latency) = (&run.join_latency, &run.latency);
    row(
        "time to be bound, p50 / p99, us",
        format!("{:.0} / {:.0}", join.p50_us, join.p99_us),
    )?;
    row(
        "latency p50 / p99 / p99.9, us",
        format!(
            "{:.0} / {:.0} / {:.0}",
            latency.p50_us, latency.p99_us, latency.p999_us
        ),
    )?;
    row(
        "CPU of the MRFP, cores; at saturation",
        format!(
            "{}; {}",
            run.target_cpu
                .map_or(ABSENT.to_owned(), |cores| format!("{cores:.2}")),
            measured(&|one| one
                .cpu
                .map_or(ABSENT.to_owned(), |cpu| format!("{:.2}", cpu.median)))
        ),
    )?;
    let minutes = soak.minutes().into_iter().map(|mb| format!("{mb:.1}"));
    row(
        "resident MB, highest of each minute",
        minutes.collect::<Vec<_>>().join(" "),
    )?;
    row(
        "its growth since the second minute / in the second half of the time",
        format!(
            "{} / {}",
            grown(soak.growth().map(|[all, _]| all)),
            grown(soak.growth().map(|[_, late]| late))
        ),
    )?;
    row(
        "outcome",
        if soak.is_good() { "good" } else { "failed" }.to_owned(),
    )
}
