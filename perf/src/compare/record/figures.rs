//! The figures themselves.

use std::fmt::Write;

use load::Summary;
use perf::{spread, told};

use super::nanos;
use crate::runner::{Results, Runner};

pub(super) fn figures(page: &mut String, runner: &Runner, results: &Results) -> std::fmt::Result {
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

pub(super) fn memory(page: &mut String, results: &Results) -> std::fmt::Result {
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
