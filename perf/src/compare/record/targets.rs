//! The goals, each beside what was reached.

use std::fmt::Write;

use perf::{spread, told};

use super::{NO_KAMAILIO, fair_pairs, nanos};
use crate::runner::{Results, Runner};
use crate::scenarios::{Baseline, FILE, Figure, MANY, ONE, PAIR_PACED, Scenario};
use crate::systems::{Kind, System};

pub(super) fn targets(page: &mut String, runner: &Runner, results: &Results) -> std::fmt::Result {
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
