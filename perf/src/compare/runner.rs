//! Runs everything, interleaved.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::ensure;
use load::{Plan, Rate, Summary};

use crate::micro;
use crate::scenarios::{self, Pace, Scenario};
use crate::systems::{Kind, Place, System, measure, measure_with};

/// What to run.
#[derive(Debug)]
pub(crate) struct Runner {
    pub(crate) reactors: Vec<Kind>,
    pub(crate) has_kamailio: bool,
    pub(crate) only: Vec<String>,
    pub(crate) repetitions: usize,
    pub(crate) pace: Pace,
    pub(crate) has_sweeps: bool,
    pub(crate) is_quick: bool,
    pub(crate) place: Place,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) scenarios: Vec<Scenario>,
    /// By scenario and system, one run per repetition.
    pub(crate) runs: BTreeMap<(&'static str, System), Vec<Summary>>,
    /// Throughput: size, recipients.
    pub(crate) throughput: BTreeMap<(u64, u32), Vec<(System, Summary)>>,
    /// Latency over load: system, busy-polling, points of offered rate.
    pub(crate) latency: BTreeMap<(System, u64), Vec<Summary>>,
    /// Memory: sessions, sessions per connection, octets.
    pub(crate) memory: BTreeMap<Kind, Vec<Memory>>,
    /// The parser's and memmem's octets per second.
    pub(crate) parser: Option<(f64, f64)>,
}

/// Resident memory of an MRFP with idle sessions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) sessions: u32,
    pub(crate) per_connection: u32,
    pub(crate) octets: u64,
}

const SIZES: [u64; 3] = [100, 1_024, 16_384];
const RECIPIENTS: [u32; 3] = [1, 10, 100];
const RATES: [f64; 6] = [1_000.0, 5_000.0, 10_000.0, 20_000.0, 40_000.0, 60_000.0];
const BUSY_POLL_US: [u64; 2] = [0, 100];
/// Sessions, and how many of them share a connection.
const IDLE: [(u32, u32); 6] = [
    (2, 1),
    (2_000, 1),
    (6_000, 1),
    (12_000, 1),
    (20_000, 4),
    (100_000, 16),
];

impl Runner {
    pub(crate) fn run(&self) -> anyhow::Result<Results> {
        let mut results = Results {
            scenarios: self.scenarios()?,
            parser: Some(micro::parser()),
            ..Results::default()
        };
        for repetition in 0..self.repetitions {
            for scenario in results.scenarios.clone() {
                let mut systems = scenarios::systems(&scenario, &self.reactors, self.has_kamailio);
                // Nobody is always the first after a pause.
                let count = systems.len();
                systems.rotate_left(repetition % count);
                for system in systems {
                    let summary = measure(system, &scenario.plan, &self.place)?;
                    self.tell(scenario.name, system, &summary)?;
                    let runs = results.runs.entry((scenario.name, system)).or_default();
                    runs.push(summary);
                }
            }
        }
        if self.has_sweeps {
            self.sweep_throughput(&mut results)?;
            self.sweep_latency(&mut results)?;
            self.sweep_memory(&mut results)?;
        }
        Ok(results)
    }

    /// The scenarios asked for; finds out first what half of the saturation is.
    fn scenarios(&self) -> anyhow::Result<Vec<Scenario>> {
        let is_wanted =
            |name: &str| self.only.is_empty() || self.only.iter().any(|one| one == name);
        let half = if is_wanted(scenarios::MANY) || is_wanted(scenarios::ONE) {
            let plan = scenarios::hundred_conferences(self.pace);
            let mut least = f64::MAX;
            for kind in &self.reactors {
                let summary = measure(System::Mrf(*kind), &plan, &self.place)?;
                least = least.min(summary.delivered_per_second / f64::from(plan.recipients()));
            }
            (least / 2.0).max(1.0)
        } else {
            1_000.0
        };
        let mut all = scenarios::all(self.pace, half);
        for name in &self.only {
            ensure!(
                all.iter().any(|one| one.name == name),
                "no scenario {name}; there are: {}",
                all.iter().map(|one| one.name).collect::<Vec<_>>().join(" ")
            );
        }
        all.retain(|one| is_wanted(one.name));
        Ok(all)
    }

    fn tell(&self, name: &str, system: System, summary: &Summary) -> std::io::Result<()> {
        let mut out = std::io::stderr().lock();
        writeln!(
            out,
            "{name:>12} {:<16} {:>10.0}/s {:>8.1} MB/s  p50 {:>8.1}  p99 {:>9.1} us  target {:>6.0} ns  generator {:>3.0} %{}",
            system.to_string(),
            summary.delivered_per_second,
            summary.octets_per_second / 1e6,
            summary.latency.p50_us,
            summary.latency.p99_us,
            summary.target_nanos_per_delivery.unwrap_or(0.0),
            summary.generator_busy * 100.0,
            if summary.counts.is_clean() {
                String::new()
            } else {
                format!("  {:?}", summary.counts)
            }
        )
    }

    fn contenders(&self) -> impl Iterator<Item = System> {
        let ours = self.reactors.iter().map(|kind| System::Mrf(*kind));
        let limit = self.reactors.first().map(|kind| System::Forward(*kind));
        ours.chain(limit)
    }

    fn sweep_throughput(&self, results: &mut Results) -> anyhow::Result<()> {
        for size in SIZES {
            for recipients in RECIPIENTS {
                let plan = Plan {
                    participants: recipients + 1,
                    size,
                    ..self.pace.plan()
                };
                for system in self.contenders() {
                    let summary = measure(system, &plan, &self.place)?;
                    self.tell("throughput", system, &summary)?;
                    let cell = results.throughput.entry((size, recipients)).or_default();
                    cell.push((system, summary));
                }
            }
        }
        Ok(())
    }

    fn sweep_latency(&self, results: &mut Results) -> anyhow::Result<()> {
        for rate in RATES {
            let plan = Plan {
                participants: 11,
                size: 1_024,
                rate: Rate::Fixed(rate),
                ..self.pace.plan()
            };
            for kind in &self.reactors {
                for busy_poll_us in BUSY_POLL_US {
                    let system = System::Mrf(*kind);
                    let summary = measure_with(system, &plan, &self.place, busy_poll_us)?;
                    self.tell("latency", system, &summary)?;
                    let key = (system, busy_poll_us);
                    results.latency.entry(key).or_default().push(summary);
                }
            }
        }
        Ok(())
    }

    /// Idle sessions: they bind and say nothing more.
    fn sweep_memory(&self, results: &mut Results) -> anyhow::Result<()> {
        let most = if self.is_quick { 2_000 } else { u32::MAX };
        for (sessions, per_connection) in IDLE.into_iter().filter(|(count, _)| *count <= most) {
            let conferences = (sessions / 20).max(1);
            let plan = Plan {
                conferences,
                participants: sessions / conferences,
                senders: 0,
                sessions_per_connection: per_connection,
                duration: core::time::Duration::from_millis(100),
                warmup: core::time::Duration::ZERO,
                ..Plan::default()
            };
            for kind in &self.reactors {
                let summary = measure(System::Mrf(*kind), &plan, &self.place)?;
                let octets = summary.target_resident_bytes.unwrap_or(0);
                eprintln!("      memory mrf {kind:<12} {sessions} sessions: {octets} octets");
                results.memory.entry(*kind).or_default().push(Memory {
                    sessions,
                    per_connection,
                    octets,
                });
            }
        }
        Ok(())
    }
}
