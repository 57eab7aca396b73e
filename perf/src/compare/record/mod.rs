//! The record: a page with tables, and the pictures beside it.

mod figures;
mod reactors;
mod targets;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use load::Summary;
use perf::cores::Cores;
use perf::machine::{Machine, today};

use self::figures::{figures, memory};
use self::reactors::reactors;
use self::targets::targets;
use crate::plots;
use crate::runner::{Results, Run, Runner};

/// Writes everything below `out`; returns the page.
pub(crate) fn write(
    out: &Path,
    (machine, command): (&Machine, &str),
    runner: &Runner,
    results: &Results,
) -> anyhow::Result<PathBuf> {
    let date = today();
    let pictures = out.join(&date);
    std::fs::create_dir_all(&pictures).with_context(|| pictures.display().to_string())?;
    let drawn = plots::draw(&pictures, results)?;
    let mut page = String::new();
    head(&mut page, &date, (machine, command), runner)?;
    distance(&mut page, runner, results)?;
    targets(&mut page, runner, results)?;
    reactors(&mut page, runner, results)?;
    figures(&mut page, runner, results)?;
    failures(&mut page, results)?;
    memory(&mut page, results)?;
    if !drawn.is_empty() {
        writeln!(page, "\n## Pictures\n")?;
        for name in drawn {
            writeln!(page, "![{name}]({date}/{name}.svg)\n")?;
        }
    }
    let path = out.join(format!("{date}.md"));
    std::fs::write(&path, page).with_context(|| path.display().to_string())?;
    Ok(path)
}

fn head(
    page: &mut String,
    date: &str,
    (machine, command): (&Machine, &str),
    runner: &Runner,
) -> std::fmt::Result {
    writeln!(page, "# {date}\n")?;
    writeln!(page, "{machine}.\n")?;
    let (n, seconds) = (runner.repetitions, runner.pace.duration.as_secs_f64());
    writeln!(
        page,
        "Made by `{command}`; medians of {n} interleaved repetitions of {seconds} s each, with the least and the most in \
         brackets{}. The system under test has one core and is started anew for each run, the load \
         generator has another. A ratio is the median of the ratios of runs of the same repetition. Absolute figures are of \
         this machine and this hour; ratios are what to keep.",
        match runner.sweep_repetitions {
            0 => String::new(),
            times => format!("; points of the sweeps are medians of {times}, memory of one"),
        }
    )?;
    if !runner.has_kamailio {
        writeln!(page, "\nWithout Kamailio: {NO_KAMAILIO}.")?;
    }
    if runner.is_quick {
        writeln!(
            page,
            "\n**A quick run: it shows that everything works, its figures mean nothing.**"
        )?;
    }
    Ok(())
}

/// How far the cores were from each other.
fn distance(page: &mut String, runner: &Runner, results: &Results) -> std::fmt::Result {
    let cores = runner.cores.borrow();
    let runs = || results.runs.values().flatten().flatten();
    let Some(nearest) = cores.nearest() else {
        return Ok(());
    };
    let far = runs().filter(|run| cores.is_far(run.trip)).count();
    writeln!(
        page,
        "\nA cache line went from the system's core to the generator's and back in {:.0} ns at best; in {far} of {} runs it took \
         more than three times what it takes where cores share a cache, though such were waited for: those are left out of a ratio \
         unless both of its runs are such.",
        nearest.nanos,
        runs().count()
    )
}

/// Why there is no peer.
const NO_KAMAILIO: &str = "`--peers kamailio` measures it";

/// The runs of a repetition beside each other, those that took place under the same conditions: the cores near in both
/// or far in both.
fn fair_pairs<'a>(
    ours: &'a [Option<Run>],
    others: &'a [Option<Run>],
    cores: &Cores,
) -> Vec<(&'a Summary, &'a Summary)> {
    let both = ours.iter().zip(others);
    let both = both.filter_map(|(run, other)| run.as_ref().zip(other.as_ref()));
    let fair = both.filter(|(run, other)| cores.is_far(run.trip) == cores.is_far(other.trip));
    fair.map(|(run, other)| (&run.summary, &other.summary))
        .collect()
}

/// CPU time of the system under test per delivery.
fn nanos(run: &Summary) -> f64 {
    run.target_nanos_per_delivery.unwrap_or(f64::NAN)
}

/// What was not measured.
fn failures(page: &mut String, results: &Results) -> std::fmt::Result {
    if results.failures.is_empty() {
        return Ok(());
    }
    writeln!(page, "\n## Not measured\n")?;
    writeln!(page, "| scenario | system | why |")?;
    writeln!(page, "|---|---|---|")?;
    for (scenario, system, reason) in &results.failures {
        let reason = reason.replace('|', "\\|").replace('\n', " ");
        writeln!(page, "| `{scenario}` | {system} | {reason} |")?;
    }
    Ok(())
}
