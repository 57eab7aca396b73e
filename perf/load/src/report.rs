//! What a run found: rows while it goes, a summary at its end.

use core::time::Duration;
use std::io::{self, Write};

use clock::Instant;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::idle::Measured;
use crate::limits::{BUSY_SHARE_MAX, CPU_SECONDS_MIN, CPU_SHARE_MIN, LATENCY_MAX};
use crate::plan::Transport;

/// Latencies in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(crate) fn new() -> Self {
        let most = u64::try_from(LATENCY_MAX.as_nanos()).expect("two minutes");
        let histogram = Histogram::new_with_bounds(1, most, 3).expect("sound bounds");
        Self(histogram)
    }

    fn record(&mut self, nanos: u64) {
        self.0.saturating_record(nanos);
    }

    pub(crate) fn record_between(&mut self, from: Instant, to: Instant) {
        self.record(to.as_nanos().saturating_sub(from.as_nanos()).max(1));
    }

    pub(crate) fn take_from(&mut self, other: &mut Self) {
        self.0.add(&other.0).expect("the same bounds");
        other.0.reset();
    }

    pub(crate) fn percentiles(&self) -> Percentiles {
        let at = |quantile| micros(self.0.value_at_quantile(quantile));
        Percentiles {
            count: self.0.len(),
            p50_us: at(0.50),
            p90_us: at(0.90),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: micros(self.0.max()),
        }
    }

    /// Points of the whole distribution: share of the deliveries, microseconds.
    pub(crate) fn curve(&self) -> Vec<(f64, f64)> {
        self.0
            .iter_quantiles(2)
            .map(|step| {
                (
                    step.quantile_iterated_to(),
                    micros(step.value_iterated_to()),
                )
            })
            .collect()
    }
}

fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1_000.0
}

/// Latency from the intended time of sending, per delivery.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Percentiles {
    /// Deliveries measured.
    pub count: u64,
    /// Half of them took no longer than this many microseconds.
    pub p50_us: f64,
    /// 90 of 100.
    pub p90_us: f64,
    /// 99 of 100.
    pub p99_us: f64,
    /// 999 of 1,000.
    pub p999_us: f64,
    /// All.
    pub max_us: f64,
}

/// One second.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Row {
    /// Seconds since the measured time began; the row covers the one that ends here.
    pub second: f64,
    /// Messages written.
    pub sent: u64,
    /// Messages delivered, to all recipients.
    pub delivered: u64,
    /// Body octets delivered.
    pub octets: u64,
    /// Of this second's deliveries.
    pub latency: Percentiles,
    /// Share of the time in which the generator had work.
    pub generator_busy: f64,
    /// CPU of the system under test, cores, where it is known.
    pub target_cpu: Option<f64>,
    /// Its resident memory at the end of the second, octets, where it is known.
    pub target_resident_bytes: Option<u64>,
}

impl Row {
    /// The heading of [`Self::print`].
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn print_heading(out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "{:>6} {:>10} {:>12} {:>9} {:>10} {:>10} {:>10} {:>10} {:>9} {:>7} {:>8}",
            "s",
            "sent/s",
            "delivered/s",
            "MB/s",
            "p50 us",
            "p99 us",
            "p99.9 us",
            "max us",
            "generator",
            "target",
            "resident"
        )
    }

    /// One line.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let target = self
            .target_cpu
            .map_or("-".to_owned(), |cores| format!("{:.0} %", cores * 100.0));
        let resident = self.target_resident_bytes.map_or("-".to_owned(), |octets| {
            format!("{:.1} MB", octets as f64 / 1e6)
        });
        writeln!(
            out,
            "{:>6.0} {:>10} {:>12} {:>9.1} {:>10.1} {:>10.1} {:>10.1} {:>10.1} {:>7.0} % {:>7} {resident:>8}",
            self.second,
            self.sent,
            self.delivered,
            self.octets as f64 / 1e6,
            self.latency.p50_us,
            self.latency.p99_us,
            self.latency.p999_us,
            self.latency.max_us,
            self.generator_busy * 100.0,
            target,
        )
    }
}

/// All counts of a run, the warm-up included where nothing else is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Messages written.
    pub sent: u64,
    /// Messages whose time had come and that the system did not take, even after the end.
    pub unsent: u64,
    /// Messages delivered whole, each recipient counted.
    pub delivered: u64,
    /// Deliveries that never came.
    pub lost: u64,
    /// Deliveries that came again.
    pub duplicated: u64,
    /// Deliveries that came in another order than they were sent.
    pub out_of_order: u64,
    /// Chunks with wrong octets, or in the wrong place.
    pub damaged: u64,
    /// Messages that were abandoned on their way.
    pub aborted: u64,
    /// Responses and REPORTs that told of a failure.
    pub refused: u64,
    /// Frames of no known kind.
    pub strange: u64,
    /// Connections that ended before the end.
    pub disconnected: u64,
    /// Participants who left while messages flowed.
    pub leaves: u64,
    /// Participants who joined while messages flowed.
    pub joins: u64,
    /// Participants who left again before they were bound.
    pub unbound: u64,
}

impl Counts {
    /// Whether everything arrived exactly once, in order, as it was sent, and whoever joined was bound.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let faults = [
            self.unsent,
            self.lost,
            self.duplicated,
            self.out_of_order,
            self.damaged,
            self.aborted,
            self.refused,
            self.strange,
            self.disconnected,
        ];
        faults.iter().all(|count| *count == 0) && self.joins + self.unbound == self.leaves
    }
}

/// The end of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Summary {
    /// How the sessions were set up.
    pub via: String,
    /// What participants spoke.
    pub transport: Transport,
    /// Conferences.
    pub conferences: u32,
    /// Participants of each.
    pub participants: u32,
    /// Senders of each.
    pub senders: u32,
    /// Body octets of a message.
    pub size: u64,
    /// Messages per second of all senders; absent: as fast as they arrive.
    pub rate: Option<f64>,
    /// Measured time, seconds.
    pub seconds: f64,
    /// Within it, messages delivered per second, each recipient counted.
    pub delivered_per_second: f64,
    /// Within it, body octets delivered per second.
    pub octets_per_second: f64,
    /// Within it, messages delivered, each recipient counted.
    pub delivered: u64,
    /// Of all that was sent within it.
    pub latency: Percentiles,
    /// Of those who joined while messages flowed: from asking for a session to its being bound.
    pub join_latency: Percentiles,
    /// The distribution: share of the deliveries, microseconds.
    pub curve: Vec<(f64, f64)>,
    /// What came and what did not.
    pub counts: Counts,
    /// Share of the measured time in which the generator had work.
    pub generator_busy: f64,
    /// CPU time of the generator's thread for each second of the measured time; it polls, so that
    /// this is near 1 whenever a core is free.
    pub generator_cpu: f64,
    /// CPU of the system under test, cores, where it is known.
    pub target_cpu: Option<f64>,
    /// CPU time of the system under test per delivery, nanoseconds, where it is known.
    pub target_nanos_per_delivery: Option<f64>,
    /// Resident memory of the system under test when the measured time began, octets, what it shares with
    /// others included, where it is known.
    pub target_begun_bytes: Option<u64>,
    /// Resident memory of the system under test, octets, private to it, at the end, where it is known.
    pub target_resident_bytes: Option<u64>,
    /// The most that was ever resident, octets, what it shares with others included, where it is known.
    pub target_peak_bytes: Option<u64>,
    /// The seconds one by one.
    #[serde(default)]
    pub rows: Vec<Row>,
    /// What silent sessions beside the others cost, if there were any.
    pub idle: Option<Measured>,
    /// The run ended before its time, because all connections had.
    #[serde(default)]
    pub is_broken_off: bool,
    /// The run ended before its time, because it was told to.
    #[serde(default)]
    pub is_interrupted: bool,
}

impl Summary {
    /// Whether the generator may have been what limited the run.
    #[must_use]
    pub fn is_generator_bound(&self) -> bool {
        self.generator_busy > BUSY_SHARE_MAX
    }

    /// Whether others took the generator's core, so that latencies are in part its own.
    #[must_use]
    pub fn is_generator_disturbed(&self) -> bool {
        self.seconds >= CPU_SECONDS_MIN && self.generator_cpu < CPU_SHARE_MIN
    }

    /// Several lines for people.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let Counts {
            sent,
            unsent,
            delivered,
            lost,
            duplicated,
            out_of_order,
            damaged,
            aborted,
            refused,
            strange,
            disconnected,
            leaves,
            joins,
            unbound,
        } = self.counts;
        let latency = &self.latency;
        writeln!(
            out,
            "\ndelivered     {:.*} messages/s, {:.1} MB/s, {} conferences x {} participants, {} octets, {:.1} s",
            // A large file takes its time.
            usize::from(self.delivered_per_second < 10.0),
            self.delivered_per_second,
            self.octets_per_second / 1e6,
            self.conferences,
            self.participants,
            self.size,
            self.seconds
        )?;
        writeln!(
            out,
            "latency us    p50 {:.1}  p90 {:.1}  p99 {:.1}  p99.9 {:.1}  max {:.1}",
            latency.p50_us, latency.p90_us, latency.p99_us, latency.p999_us, latency.max_us
        )?;
        writeln!(
            out,
            "verified      {sent} sent, {delivered} delivered: {lost} lost, {duplicated} duplicated, \
             {out_of_order} out of order, {damaged} damaged"
        )?;
        if leaves + joins > 0 {
            let join = &self.join_latency;
            writeln!(
                out,
                "churn         {leaves} left, {unbound} of them before they were bound, {joins} joined: us to be bound p50 {:.0}  p99 {:.0}  max {:.0}",
                join.p50_us, join.p99_us, join.max_us
            )?;
        }
        if unsent > 0 {
            writeln!(
                out,
                "overload      {unsent} messages were due and could not be sent"
            )?;
        }
        if aborted + refused + strange + disconnected > 0 {
            writeln!(
                out,
                "trouble       {aborted} aborted, {refused} refused, {strange} strange, \
                 {disconnected} connections lost"
            )?;
        }
        if self.is_broken_off {
            writeln!(
                out,
                "              nobody was connected any more: the run ended before its time"
            )?;
        }
        if self.is_interrupted {
            writeln!(
                out,
                "              interrupted: the run ended before its time"
            )?;
        }
        if let (Some(cpu), Some(nanos)) = (self.target_cpu, self.target_nanos_per_delivery) {
            let mb = |octets: Option<u64>| octets.unwrap_or(0) as f64 / 1e6;
            writeln!(
                out,
                "target        {:.0} % of a core, {nanos:.0} ns per delivery; resident MB: {:.1} at the start, \
                 {:.1} at most, {:.1} private at the end",
                cpu * 100.0,
                mb(self.target_begun_bytes),
                mb(self.target_peak_bytes),
                mb(self.target_resident_bytes)
            )?;
        }
        if let Some(Measured {
            sessions,
            connections,
            resident_bytes_each,
        }) = self.idle
        {
            let each = resident_bytes_each.map_or("an unknown number of".to_owned(), |each| {
                format!("{each:.0}")
            });
            writeln!(
                out,
                "idle          {sessions} sessions on {connections} connections, {each} octets resident for each"
            )?;
        }
        writeln!(
            out,
            "generator     at work {:.0} % of the time, {:.0} % of a core",
            self.generator_busy * 100.0,
            self.generator_cpu * 100.0
        )?;
        if self.is_generator_bound() {
            writeln!(
                out,
                "              the generator was the limit: the system under test may do more"
            )?;
        }
        if self.is_generator_disturbed() {
            writeln!(
                out,
                "              others took its core: what it got late counts as latency"
            )?;
        }
        Ok(())
    }
}

/// A duration in seconds as the rate of something.
pub(crate) fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(summary: &Summary, expected: &[&str]) {
        let mut out = Vec::new();
        summary.print(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let said: Vec<_> = ["generator was the limit", "others took its core"]
            .into_iter()
            .filter(|words| text.contains(words))
            .collect();
        assert_eq!(said, expected, "{text}");
    }

    #[test]
    fn a_run_that_the_generator_spoiled_says_so() {
        let good = Summary {
            seconds: 1.0,
            generator_busy: 0.5,
            generator_cpu: 0.99,
            ..Summary::default()
        };
        check(&good, &[]);
        let busy = Summary {
            generator_busy: 0.96,
            ..good.clone()
        };
        check(&busy, &["generator was the limit"]);
        let disturbed = Summary {
            generator_cpu: 0.8,
            ..good
        };
        check(&disturbed, &["others took its core"]);
        // Of one message nothing can be said.
        let short = Summary {
            seconds: 0.001,
            generator_cpu: 0.0,
            ..disturbed
        };
        check(&short, &[]);
    }
}
