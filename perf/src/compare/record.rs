//! The record: a page with tables, and the pictures beside it.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use load::Summary;

use crate::cores::Cores;
use crate::machine::{Machine, today};
use crate::plots;
use crate::runner::{Results, Run, Runner};
use crate::scenarios::{Baseline, FILE, Figure, MANY, ONE, PAIR_PACED, Scenario};
use crate::systems::{Kind, System};

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

/// How to make the record again: these arguments, as a shell takes them.
pub(crate) fn command(arguments: impl Iterator<Item = String>) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:=+".contains(c);
    let words = arguments.map(|word| {
        if !word.is_empty() && word.chars().all(is_plain) {
            word
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    });
    let words = words.collect::<Vec<_>>().join(" ");
    format!("perf/compare {words}").trim_end().to_owned()
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

fn targets(page: &mut String, runner: &Runner, results: &Results) -> std::fmt::Result {
    writeln!(page, "\n## Targets\n")?;
    writeln!(
        page,
        "CPU ratio: CPU time of the baseline per delivery over ours, which stays true where the generator \
         was the limit (marked *, its throughput is a lower bound). Marked !: others took the generator's core in \
         more than half of the runs, and latencies are in part the generator's.\n"
    )?;
    writeln!(
        page,
        "| scenario | ours | baseline | figure | goal | ratio | CPU ratio | |"
    )?;
    writeln!(page, "|---|---|---|---|---|---:|---:|---|")?;
    for scenario in &results.scenarios {
        for kind in &runner.reactors {
            let ours = System::Mrf(*kind);
            for (name, baseline) in baselines(scenario, *kind) {
                row(page, (runner, results), scenario, ours, (name, baseline))?;
            }
            if scenario.name == PAIR_PACED {
                for other in System::other_waits(*kind) {
                    let baseline = (scenario.name, System::Kamailio);
                    row(page, (runner, results), scenario, other, baseline)?;
                }
            }
            if scenario.name == MANY && kind.has_forwarder() {
                let forwarder = System::Forward(*kind);
                row(page, (runner, results), scenario, ours, (MANY, forwarder))?;
                row(
                    page,
                    (runner, results),
                    scenario,
                    forwarder,
                    (ONE, forwarder),
                )?;
            }
            if scenario.name == FILE {
                growth(page, results, ours)?;
            }
        }
    }
    if let Some((parse, search)) = results.parser {
        let ratio = parse / search;
        let mark = if ratio >= 0.8 { "met" } else { "missed" };
        writeln!(
            page,
            "| parser, 32 KiB body | deframer | memmem | octets/s | at least 0.8 | {ratio:.2} | | {mark} |"
        )?;
    }
    Ok(())
}

/// What a scenario of ours is held against: a run of which scenario by whom.
fn baselines(scenario: &Scenario, kind: Kind) -> Vec<(&'static str, System)> {
    let name = scenario.name;
    // Beside a reactor that the forwarder does not run on stands the one on io_uring.
    let forwarder = System::Forward(if kind.has_forwarder() {
        kind
    } else {
        Kind::Uring
    });
    match scenario.baseline {
        Baseline::Kamailio => vec![(name, System::Kamailio), (name, forwarder)],
        Baseline::Forwarder => vec![(name, forwarder)],
        Baseline::Scenario(other) => vec![(other, System::Mrf(kind))],
    }
}

fn row(
    page: &mut String,
    (runner, results): (&Runner, &Results),
    scenario: &Scenario,
    ours: System,
    baseline: (&'static str, System),
) -> std::fmt::Result {
    let runs = results.runs.get(&(scenario.name, ours));
    let others = results.runs.get(&baseline);
    let figure = scenario.goal.map_or(Figure::Messages, |goal| goal.figure);
    let pairs = fair_pairs(
        runs.map_or(&[], Vec::as_slice),
        others.map_or(&[], Vec::as_slice),
        &runner.cores.borrow(),
    );
    let pairs = || pairs.iter().copied();
    let ratio = spread(pairs().map(|(run, other)| figure.ratio(run, other)));
    let cpu = spread(pairs().map(|(run, other)| nanos(other) / nanos(run)));
    // The goal is against the first of the baselines; the forwarder beside it is to be seen only.
    let is_forwarder = matches!(baseline.1, System::Forward(_));
    let is_goal = !is_forwarder || scenario.baseline == Baseline::Forwarder;
    let goal = scenario.goal.filter(|_| is_goal);
    let is_bound =
        pairs().any(|(run, other)| run.is_generator_bound() || other.is_generator_bound());
    let disturbed = pairs()
        .filter(|(run, other)| run.is_generator_disturbed() || other.is_generator_disturbed());
    let is_disturbed = 2 * disturbed.count() > pairs().count();
    let mark = match (ratio, goal) {
        (None, _) => absence(runner, results, (scenario.name, ours), baseline),
        (Some(ratio), Some(goal)) if goal.bound.is_met(ratio.median) => "met".to_owned(),
        (Some(_), Some(_)) => "missed".to_owned(),
        (Some(_), None) => String::new(),
    };
    let against = if scenario.name == baseline.0 {
        baseline.1.to_string()
    } else {
        format!("`{}`", baseline.0)
    };
    writeln!(
        page,
        "| `{}`: {} | {ours} | {against} | {} | {} | {}{} | {} | {mark} |",
        scenario.name,
        scenario.title,
        figure.words(),
        goal.map_or(String::new(), |goal| goal.bound.words()),
        told(ratio, 2),
        marks(is_bound, is_disturbed),
        told(cpu, 2),
    )
}

/// Why a ratio is not there: who was not run, or failed.
fn absence(
    runner: &Runner,
    results: &Results,
    ours: (&'static str, System),
    baseline: (&'static str, System),
) -> String {
    if baseline.1 == System::Kamailio && !runner.has_kamailio {
        return format!("not measured: {NO_KAMAILIO}");
    }
    for of in [ours, baseline] {
        if !results.runs.contains_key(&of) {
            return format!("not measured: `{}` was not run on {}", of.0, of.1);
        }
    }
    "not measured: no repetition in which both came through, alike near or far, see below"
        .to_owned()
}

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

fn marks(is_bound: bool, is_disturbed: bool) -> &'static str {
    match (is_bound, is_disturbed) {
        (true, true) => "*!",
        (true, false) => "*",
        (false, true) => "!",
        (false, false) => "",
    }
}

/// How much memory a large file takes while it passes.
fn growth(page: &mut String, results: &Results, ours: System) -> std::fmt::Result {
    let runs = results
        .runs
        .get(&(FILE, ours))
        .into_iter()
        .flatten()
        .flatten();
    let grown = spread(runs.filter_map(|run| {
        let run = &run.summary;
        let grown = run
            .target_peak_bytes?
            .saturating_sub(run.target_begun_bytes?);
        Some(grown as f64 / 1e6)
    }));
    let mark = match grown {
        None => "not measured",
        Some(grown) if grown.median <= GROWTH_MB_MAX => "met",
        Some(_) => "missed",
    };
    writeln!(
        page,
        "| `{FILE}`: the same | {ours} | itself at the start | resident at most, MB more | at most \
         {GROWTH_MB_MAX} | {} | | {mark} |",
        told(grown, 1)
    )
}

/// A file passes through queues that are bounded: the receive pool of 16 MiB, and what recipients who read
/// may have waiting.
const GROWTH_MB_MAX: f64 = 64.0;

/// The reactors beside each other, with what each asks of the system.
fn reactors(page: &mut String, runner: &Runner, results: &Results) -> std::fmt::Result {
    let cores = runner.cores.borrow();
    let [first, others @ ..] = &runner.reactors[..] else {
        return Ok(());
    };
    if others.is_empty() {
        return Ok(());
    }
    writeln!(page, "\n## Reactors\n")?;
    writeln!(
        page,
        "This project on {first}, held against its other reactors in the same repetition. System calls per \
         delivery are of runs of their own, under `perf stat`; {ABSENT} where that cannot count.\n"
    )?;
    writeln!(
        page,
        "| scenario | beside | deliveries/s | p50 | p99 | CPU per delivery | calls per delivery, {first} | beside it |"
    )?;
    writeln!(page, "|---|---|---:|---:|---:|---:|---:|---:|")?;
    for scenario in &results.scenarios {
        // Where latency is the figure, what each way of waiting is worth stands beside it.
        let waits = runner
            .reactors
            .iter()
            .copied()
            .flat_map(System::other_waits);
        let waits = waits.filter(|_| scenario.name == PAIR_PACED);
        for other in others.iter().map(|kind| System::Mrf(*kind)).chain(waits) {
            beside(page, (results, &cores), scenario, *first, other)?;
        }
    }
    Ok(())
}

fn beside(
    page: &mut String,
    (results, cores): (&Results, &Cores),
    scenario: &Scenario,
    first: Kind,
    other: System,
) -> std::fmt::Result {
    let runs = |system| {
        let runs = results.runs.get(&(scenario.name, system));
        runs.map_or(&[][..], Vec::as_slice)
    };
    let pairs = fair_pairs(runs(System::Mrf(first)), runs(other), cores);
    let both = |of: fn(&Summary) -> f64| told(spread(pairs.iter().map(|(a, b)| of(a) / of(b))), 2);
    let calls = |system| {
        let calls = match system {
            System::Mrf(kind) => results.calls.get(&(scenario.name, kind)),
            System::Adaptive(_) | System::Polling(_) | System::Forward(_) | System::Kamailio => {
                None
            }
        };
        calls.map_or(ABSENT.to_owned(), |calls| format!("{calls:.3}"))
    };
    let name = other.to_string();
    writeln!(
        page,
        "| `{}` | {} | {} | {} | {} | {} | {} | {} |",
        scenario.name,
        name.strip_prefix("mrf ").unwrap_or(&name),
        both(|run| run.delivered_per_second),
        both(|run| run.latency.p50_us),
        both(|run| run.latency.p99_us),
        both(nanos),
        calls(System::Mrf(first)),
        calls(other),
    )
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

fn figures(page: &mut String, runner: &Runner, results: &Results) -> std::fmt::Result {
    let cores = runner.cores.borrow();
    writeln!(page, "\n## Figures\n")?;
    writeln!(
        page,
        "| scenario | system | deliveries/s | MB/s | p50 us | p99 us | p99.9 us | CPU ns/delivery | resident MB | generator | far | verified |"
    )?;
    writeln!(
        page,
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|"
    )?;
    for scenario in &results.scenarios {
        for ((name, system), runs) in &results.runs {
            if *name != scenario.name {
                continue;
            }
            let far = runs
                .iter()
                .flatten()
                .filter(|run| cores.is_far(run.trip))
                .count();
            let runs: Vec<&Summary> = runs.iter().flatten().map(|run| &run.summary).collect();
            if runs.is_empty() {
                continue;
            }
            let of = |figure: fn(&Summary) -> f64, digits| {
                told(spread(runs.iter().map(|run| figure(run))), digits)
            };
            let middle = |figure: fn(&Summary) -> f64| {
                spread(runs.iter().map(|run| figure(run))).map_or(f64::NAN, |all| all.median)
            };
            let faults = runs.iter().filter(|run| !run.counts.is_clean()).count();
            let verified = if faults == 0 {
                "all".to_owned()
            } else {
                let worst = runs.iter().map(|run| run.counts.lost).max().unwrap_or(0);
                format!("{faults} runs with faults, up to {worst} lost")
            };
            writeln!(
                page,
                "| `{name}` | {system} | {} | {:.1} | {} | {} | {} | {} | {:.1} | {:.0} % | {far} | {verified} |",
                of(|run| run.delivered_per_second, 0),
                middle(|run| run.octets_per_second / 1e6),
                of(|run| run.latency.p50_us, 0),
                of(|run| run.latency.p99_us, 0),
                of(|run| run.latency.p999_us, 0),
                of(nanos, 0),
                middle(|run| run.target_resident_bytes.unwrap_or(0) as f64 / 1e6),
                middle(|run| run.generator_busy * 100.0),
            )?;
        }
    }
    Ok(())
}

/// CPU time of the system under test per delivery.
fn nanos(run: &Summary) -> f64 {
    run.target_nanos_per_delivery.unwrap_or(f64::NAN)
}

fn memory(page: &mut String, results: &Results) -> std::fmt::Result {
    if results.memory.is_empty() {
        return Ok(());
    }
    writeln!(page, "\n## Memory\n")?;
    writeln!(
        page,
        "Idle sessions of one MRFP, H.248 side included: resident memory, and what each session added to \
         that of a process with two.\n"
    )?;
    writeln!(
        page,
        "| reactor | sessions | per connection | MB | octets per session |"
    )?;
    writeln!(page, "|---|---:|---:|---:|---:|")?;
    for (kind, points) in &results.memory {
        let Some(first) = points.first() else {
            continue;
        };
        for point in points {
            let added = point.octets.saturating_sub(first.octets);
            let sessions = point.sessions.saturating_sub(first.sessions);
            let each = if sessions == 0 {
                String::new()
            } else {
                format!("{}", added / u64::from(sessions))
            };
            writeln!(
                page,
                "| {kind} | {} | {} | {:.1} | {each} |",
                point.sessions,
                point.per_connection,
                point.octets as f64 / 1e6
            )?;
        }
    }
    Ok(())
}

/// One figure of several runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    /// The middle one; of an even number the higher of the two.
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

/// Of the values that are numbers; `None` if there are none.
pub(crate) fn spread(values: impl Iterator<Item = f64>) -> Option<Spread> {
    let mut all: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    all.sort_by(f64::total_cmp);
    Some(Spread {
        median: *all.get(all.len() / 2)?,
        least: *all.first()?,
        most: *all.last()?,
    })
}

/// What stands where there is no figure.
const ABSENT: &str = "–";

/// A figure in a table, with the least and the most where they differ.
fn told(spread: Option<Spread>, digits: usize) -> String {
    let Some(all) = spread else {
        return ABSENT.to_owned();
    };
    let [median, least, most] =
        [all.median, all.least, all.most].map(|value| format!("{value:.digits$}"));
    if least == most {
        median
    } else {
        format!("{median} ({least}–{most})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_has_its_spread_and_what_is_none_is_absent() {
        let of = |values: &[f64], digits| told(spread(values.iter().copied()), digits);
        assert_eq!(of(&[0.5, 0.25, 4.0], 2), "0.50 (0.25–4.00)");
        assert_eq!(of(&[1.0, 2.0], 0), "2 (1–2)");
        assert_eq!(of(&[0.123, 0.124], 2), "0.12");
        assert_eq!(of(&[f64::NAN, 3.0, f64::INFINITY], 0), "3");
        assert_eq!(of(&[f64::NAN], 0), "–");
    }

    #[test]
    fn a_record_tells_how_it_was_made() {
        let made_by = |arguments: &[&str]| command(arguments.iter().map(|a| (*a).to_owned()));
        assert_eq!(made_by(&[]), "perf/compare");
        assert_eq!(
            made_by(&["--peers", "kamailio", "--budget=2.5"]),
            "perf/compare --peers kamailio --budget=2.5"
        );
        assert_eq!(
            made_by(&["--out", "it's here", ""]),
            r"perf/compare --out 'it'\''s here' ''"
        );
    }
}
