//! Runs everything, interleaved.

use std::cell::RefCell;
use std::collections::BTreeMap;

use clock::Instant;
use load::{Plan, Rate, Summary};
use perf::cores::{Cores, Trip};
use perf::spread;

use crate::job::{Job, Outcome};
use crate::micro;
use crate::scenarios::{self, Halves, Pace, Scenario};
use crate::systems::{Kind, Place, System};

/// What to run.
#[derive(Debug)]
pub(crate) struct Runner {
    pub(crate) reactors: Vec<Kind>,
    pub(crate) has_kamailio: bool,
    pub(crate) only: Vec<String>,
    pub(crate) repetitions: usize,
    pub(crate) sweep_repetitions: usize,
    pub(crate) pace: Pace,
    /// Nothing begins later.
    pub(crate) until: Instant,
    pub(crate) is_quick: bool,
    pub(crate) place: Place,
    pub(crate) cores: RefCell<Cores>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Results {
    pub(crate) scenarios: Vec<Scenario>,
    /// By scenario and system, for each repetition what came of it.
    pub(crate) runs: BTreeMap<(&'static str, System), Vec<Option<Run>>>,
    /// System calls per delivery of this project, where they can be counted.
    pub(crate) calls: BTreeMap<(&'static str, Kind), f64>,
    /// What was not measured, and why.
    pub(crate) failures: Vec<Failure>,
    /// Throughput by size and recipients: what came of each repetition.
    pub(crate) throughput: BTreeMap<(u64, u32), BTreeMap<System, Vec<Summary>>>,
    /// Latency over load by offered rate, messages per second.
    pub(crate) latency: BTreeMap<System, BTreeMap<u32, Vec<Summary>>>,
    /// Memory: sessions, sessions per connection, octets.
    pub(crate) memory: BTreeMap<Kind, Vec<Memory>>,
    /// The parser's and memmem's octets per second.
    pub(crate) parser: Option<(f64, f64)>,
}

/// What came of one run.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) summary: Summary,
    /// Before or after it, whichever is longer.
    pub(crate) trip: Option<Trip>,
}

/// Scenario, system, reason.
pub(crate) type Failure = (&'static str, String, String);

/// The reason when time is over.
const NO_TIME: &str = "left out: the time for all (--budget) was over";

/// Messages per second where half of the saturation is not needed, or could not be found.
const HALF_UNKNOWN: f64 = 1_000.0;

/// A run in which the cores became far is done anew at most so often.
const REPEATS_MAX: usize = 2;

/// Resident memory of an MRFP with idle sessions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) sessions: u32,
    pub(crate) per_connection: u32,
    pub(crate) octets: u64,
}

/// Of the throughput sweep.
pub(crate) const SIZES: [u64; 3] = [100, 1_024, 16_384];
/// See [`SIZES`].
pub(crate) const RECIPIENTS: [u32; 3] = [1, 10, 100];
/// Of the latency sweep, messages per second.
const RATES: [u32; 6] = [1_000, 5_000, 10_000, 20_000, 40_000, 60_000];
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
    pub(crate) fn run(&self) -> Results {
        let mut results = Results {
            parser: Some(micro::parser()),
            ..Results::default()
        };
        results.scenarios = self.scenarios(&mut results.failures);
        for repetition in 0..self.repetitions {
            let scenarios = results.scenarios.clone();
            for together in scenarios.chunk_by(|one, next| next.is_beside(one)) {
                self.round(together, repetition, &mut results);
            }
        }
        self.count_calls(&mut results);
        for repetition in 0..self.sweep_repetitions {
            self.sweep_throughput(repetition, &mut results);
            self.sweep_latency(repetition, &mut results);
        }
        if self.sweep_repetitions > 0 {
            self.sweep_memory(&mut results);
        }
        results
    }

    /// Scenarios that are held against each other, one after the other by each system.
    fn round(&self, together: &[Scenario], number: usize, results: &mut Results) {
        let systems = |one| scenarios::systems(one, &self.reactors, self.has_kamailio);
        for system in by_turns(systems(&together[0]), number) {
            let mut of_it: Vec<_> = together.iter().collect();
            of_it.retain(|one| systems(one).contains(&system));
            for scenario in by_turns(of_it, number) {
                let job = self.job(system, &scenario.plan);
                let run = self.measure_near(scenario.name, &job, &mut results.failures);
                let runs = results.runs.entry((scenario.name, system)).or_default();
                runs.push(run);
            }
        }
    }

    fn job(&self, system: System, plan: &Plan) -> Job {
        Job {
            system,
            plan: plan.clone(),
            place: self.place.clone(),
            counts_calls: false,
        }
    }

    /// A run with near cores, if these can be had.
    fn measure_near(
        &self,
        name: &'static str,
        job: &Job,
        failures: &mut Vec<Failure>,
    ) -> Option<Run> {
        for repeat in 0.. {
            let before = self.cores.borrow_mut().await_near();
            let summary = self.measure(name, job, failures)?.summary;
            let mut cores = self.cores.borrow_mut();
            let trip = before.into_iter().chain(cores.trip()).reduce(Trip::longer);
            let is_last = repeat == REPEATS_MAX || reactor::now() >= self.until;
            if is_last || self.is_quick || !cores.is_far(trip) {
                return Some(Run { summary, trip });
            }
        }
        None
    }

    /// One run, unless time is over; why there is none goes into the record.
    fn measure(
        &self,
        name: &'static str,
        job: &Job,
        failures: &mut Vec<Failure>,
    ) -> Option<Outcome> {
        let outcome = if reactor::now() < self.until {
            job.run().map_err(|error| format!("{error:#}"))
        } else {
            Err(NO_TIME.to_owned())
        };
        match outcome {
            Ok(outcome) => {
                tell(name, job.system, &outcome);
                Some(outcome)
            }
            Err(reason) => {
                eprintln!("{name:>12} {:<16} {reason}", job.system.to_string());
                failures.push((name, job.system.to_string(), reason));
                None
            }
        }
    }

    /// The scenarios asked for; finds out first what half of their saturation is.
    fn scenarios(&self, failures: &mut Vec<Failure>) -> Vec<Scenario> {
        let is_wanted =
            |name: &str| self.only.is_empty() || self.only.iter().any(|one| one == name);
        let mut halves = Halves {
            one: HALF_UNKNOWN,
            many: HALF_UNKNOWN,
        };
        if is_wanted(scenarios::MANY) || is_wanted(scenarios::ONE) {
            halves.one = self.half(1, failures);
            halves.many = self.half(100, failures);
        }
        let mut all = scenarios::all(self.pace, halves);
        all.retain(|one| is_wanted(one.name));
        all
    }

    /// Half of what so many conferences of ten can take on the slowest reactor, messages per second; the median of as many
    /// runs as there are repetitions.
    fn half(&self, conferences: u32, failures: &mut Vec<Failure>) -> f64 {
        let plan = scenarios::saturated(self.pace, conferences);
        let mut rates: BTreeMap<Kind, Vec<f64>> = BTreeMap::new();
        for _ in 0..self.repetitions {
            for kind in &self.reactors {
                let job = self.job(System::Mrf(*kind), &plan);
                if let Some(outcome) = self.measure("saturation", &job, failures) {
                    let delivered = outcome.summary.delivered_per_second;
                    let of_kind = rates.entry(*kind).or_default();
                    of_kind.push(delivered / f64::from(plan.recipients()));
                }
            }
        }
        let medians = rates
            .into_values()
            .filter_map(|all| spread(all.into_iter()));
        let medians = medians.map(|all| all.median);
        medians
            .reduce(f64::min)
            .map_or(HALF_UNKNOWN, |least| (least / 2.0).max(1.0))
    }

    /// Once more with the system calls counted: that slows the system down, so that the other figures are
    /// not taken from here.
    fn count_calls(&self, results: &mut Results) {
        for scenario in results.scenarios.clone() {
            for kind in &self.reactors {
                let system = System::Mrf(*kind);
                let job = Job {
                    counts_calls: true,
                    ..self.job(system, &scenario.plan)
                };
                let outcome = self.measure(scenario.name, &job, &mut results.failures);
                if let Some(calls) = outcome.and_then(|outcome| outcome.calls_per_delivery) {
                    results.calls.insert((scenario.name, *kind), calls);
                }
            }
        }
    }

    fn contenders(&self) -> impl Iterator<Item = System> {
        let ours = self.reactors.iter().map(|kind| System::Mrf(*kind));
        let limit = self.reactors.iter().find(|kind| kind.has_forwarder());
        ours.chain(limit.map(|kind| System::Forward(*kind)))
    }

    fn sweep_throughput(&self, repetition: usize, results: &mut Results) {
        for size in SIZES {
            for recipients in RECIPIENTS {
                let plan = Plan {
                    participants: recipients + 1,
                    size,
                    ..self.pace.plan()
                };
                for system in by_turns(self.contenders(), repetition) {
                    let job = self.job(system, &plan);
                    if let Some(run) = self.measure("throughput", &job, &mut results.failures) {
                        let cell = results.throughput.entry((size, recipients)).or_default();
                        cell.entry(system).or_default().push(run.summary);
                    }
                }
            }
        }
    }

    fn sweep_latency(&self, repetition: usize, results: &mut Results) {
        for rate in RATES {
            let plan = Plan {
                participants: 11,
                size: 1_024,
                rate: Rate::Fixed(rate.into()),
                ..self.pace.plan()
            };
            let kinds = self.reactors.iter().copied();
            let systems = kinds.flat_map(|kind| [System::Mrf(kind), System::Adaptive(kind)]);
            for system in by_turns(systems, repetition) {
                let job = self.job(system, &plan);
                if let Some(run) = self.measure("latency", &job, &mut results.failures) {
                    let points = results.latency.entry(system).or_default();
                    points.entry(rate).or_default().push(run.summary);
                }
            }
        }
    }

    /// Idle sessions: they bind and say nothing more.
    fn sweep_memory(&self, results: &mut Results) {
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
                let job = self.job(System::Mrf(*kind), &plan);
                let Some(run) = self.measure("memory", &job, &mut results.failures) else {
                    continue;
                };
                results.memory.entry(*kind).or_default().push(Memory {
                    sessions,
                    per_connection,
                    octets: run.summary.target_resident_bytes.unwrap_or(0),
                });
            }
        }
    }
}

/// In an order that begins with another one each time: nobody is always the first after a pause.
fn by_turns<T>(all: impl IntoIterator<Item = T>, number: usize) -> Vec<T> {
    let mut all: Vec<T> = all.into_iter().collect();
    let count = all.len().max(1);
    all.rotate_left(number % count);
    all
}

fn tell(name: &str, system: System, outcome: &Outcome) {
    let summary = &outcome.summary;
    let calls = outcome
        .calls_per_delivery
        .map_or(String::new(), |calls| format!("  {calls:.3} calls"));
    eprintln!(
        "{name:>12} {:<24} {:>10.0}/s {:>8.1} MB/s  p50 {:>8.1}  p99 {:>9.1} us  target {:>6.0} ns  \
         resident {:>6.1} MB  generator {:>3.0} %, core {:>3.0} %{calls}{}",
        system.to_string(),
        summary.delivered_per_second,
        summary.octets_per_second / 1e6,
        summary.latency.p50_us,
        summary.latency.p99_us,
        summary.target_nanos_per_delivery.unwrap_or(0.0),
        summary.target_resident_bytes.unwrap_or(0) as f64 / 1e6,
        summary.generator_busy * 100.0,
        summary.generator_cpu * 100.0,
        if summary.counts.is_clean() {
            String::new()
        } else {
            format!("  {:?}", summary.counts)
        }
    );
}
