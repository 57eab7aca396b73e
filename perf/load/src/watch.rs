//! What a run costs: CPU time and memory of the system under test and of the generator.

use clock::Instant;

use crate::generator::Totals;
use crate::plan::{Plan, Rate};
use crate::process::{cpu_nanos, peak_bytes, resident_bytes, resident_now, thread_nanos};
use crate::report::{Row, Summary};

/// Looks when the measured time begins, once a second, and when it is over.
pub(crate) struct Watch {
    target: Option<u32>,
    begun: Option<Sample>,
    last: Option<Sample>,
    over: Option<Sample>,
    begun_bytes: Option<u64>,
    resident_bytes: Option<u64>,
    peak_bytes: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Instant,
    target: u64,
    generator: u64,
}

/// The generator's thread as the reactor names it.
const GENERATOR_THREAD: &str = "shard-0";

impl Watch {
    pub(crate) fn new(target: Option<u32>) -> Self {
        Self {
            target,
            begun: None,
            last: None,
            over: None,
            begun_bytes: None,
            resident_bytes: None,
            peak_bytes: None,
        }
    }

    fn sample(&self) -> Sample {
        Sample {
            target: self.target.map_or(0, cpu_nanos),
            generator: thread_nanos(GENERATOR_THREAD),
            at: reactor::now(),
        }
    }

    pub(crate) fn begin(&mut self) {
        self.begun_bytes = self.target.map(resident_now);
        self.begun = Some(self.sample());
        self.last = self.begun;
    }

    pub(crate) fn end(&mut self) {
        self.over = Some(self.sample());
        self.resident_bytes = self.target.map(resident_bytes);
        self.peak_bytes = self.target.map(peak_bytes);
    }

    /// Adds to a row what the generator cannot know.
    pub(crate) fn complete(&mut self, row: &mut Row) {
        let now = self.sample();
        if let (Some(last), Some(target)) = (self.last, self.target)
            && now.target >= last.target
        {
            row.target_cpu = Some(share(last.target, now.target, last, now));
            row.target_resident_bytes = Some(resident_now(target));
        }
        self.last = Some(now);
    }

    pub(crate) fn summary(&self, plan: &Plan, via: &str, totals: &Totals) -> Summary {
        let samples = self.begun.zip(self.over);
        // Of a system that has ended nothing is known.
        let target =
            samples.filter(|(b, o)| self.target.is_some() && o.target >= b.target && o.target > 0);
        let nanos =
            |(begun, over): (Sample, Sample)| over.target.saturating_sub(begun.target) as f64;
        Summary {
            via: via.to_owned(),
            transport: plan.transport,
            conferences: plan.conferences,
            participants: plan.participants,
            senders: plan.senders,
            size: plan.size,
            rate: match plan.rate {
                Rate::Fixed(rate) => Some(rate),
                Rate::Max => None,
            },
            seconds: totals.measured.as_secs_f64(),
            delivered_per_second: totals.delivered_per_second,
            octets_per_second: totals.octets_per_second,
            delivered: totals.delivered,
            latency: totals.latency,
            join_latency: totals.join_latency,
            curve: totals.curve.clone(),
            counts: totals.counts,
            generator_busy: totals.busy.clamp(0.0, 1.0),
            generator_cpu: samples.map_or(0.0, |(b, o)| share(b.generator, o.generator, b, o)),
            target_cpu: target.map(|(b, o)| share(b.target, o.target, b, o)),
            target_nanos_per_delivery: target
                .filter(|_| totals.delivered > 0)
                .map(|both| nanos(both) / totals.delivered as f64),
            target_begun_bytes: self.begun_bytes,
            target_resident_bytes: self.resident_bytes,
            target_peak_bytes: self.peak_bytes,
            rows: Vec::new(),
            idle: None,
            is_broken_off: totals.is_broken_off,
            is_interrupted: totals.is_interrupted,
        }
    }
}

fn share(from: u64, to: u64, begun: Sample, over: Sample) -> f64 {
    to.saturating_sub(from) as f64 / over.at.since(begun.at).as_nanos().max(1) as f64
}
