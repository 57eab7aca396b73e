//! The reactors of this project beside each other.

use std::fmt::Write;

use load::Summary;
use perf::cores::Cores;
use perf::{ABSENT, spread, told};

use super::{fair_pairs, nanos};
use crate::runner::{Results, Runner};
use crate::scenarios::{PAIR_PACED, Scenario};
use crate::systems::{Kind, System};

/// The reactors beside each other, with what each asks of the system.
pub(super) fn reactors(page: &mut String, runner: &Runner, results: &Results) -> std::fmt::Result {
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
