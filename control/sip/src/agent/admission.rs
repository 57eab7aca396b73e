//! How many requests for new dialogs are let in while the core does not keep up (RFC 6357 5: local control, by rate).
//!
//! ```text
//! each INTERVAL:
//!   pressure = the shortest wait / WAIT_TARGET, or the fewest that waited / WAITING_TARGET if that is more
//!   rate     = requests that the application answered, a second, smoothed
//!   no limit, pressure > 1 -> limit = rate
//!   limit                  -> limit * exp(-DAMPING * how much the pressure rose - CORRECTION * (pressure - 1));
//!                             none any more after CALM intervals without refusals
//! each request: taken while there is credit, which comes in at `limit` a second, and the queue is not nearly full
//! ```
//!
//! A burst is worked off, so that somebody in it waits shortly; a queue in which everybody waits is one that
//! stays (what RFC 8289 calls a bad queue). It is kept at its target by the same law as that of RFC 8033 4.2, and
//! not empty: as many are let in as are answered, and all the time that refusals and what belongs to dialogs leave is
//! used. What
//! the application needs for other reasons than the core's load does not count here; [`ADMITTED_MAX`] bounds it.

use crate::limits::{
    ADMITTED_MAX, ADMITTED_PRIORITY_MAX, DIALOGS_MAX, PRIORITY_SHARE, TRANSACTIONS_MAX,
    WAIT_TARGET, WAITING_MAX, WAITING_TARGET,
};
use clock::{Duration, Instant};

/// How often the limit is set: a queue that stays shows within that time, and it is longer than bursts are.
const INTERVAL: Duration = Duration::from_millis(50);
/// How much of a change of the pressure the limit makes good at once. A queue adds up what is too much: with an
/// interval as long as the target, this and [`CORRECTION`] settle without swinging, with room for answers that
/// take some intervals.
const DAMPING: f64 = 0.25;
/// How much it makes good of what the pressure is besides its target.
const CORRECTION: f64 = 0.04;
/// The furthest that the limit goes up or down at once, as the exponent of e.
const STEP_MAX: f64 = 0.5;
/// Part of a new sample in the smoothed rate.
const SMOOTHING: f64 = 0.3;
/// Requests a second that the limit does not fall below: somebody has to show that there is room again.
const LIMIT_MIN: f64 = 10.0;
/// And does not rise above: more is none.
const LIMIT_MAX: f64 = 1e6;
/// Seconds of the limit that may be taken at once: arrivals are not even.
const BURST_SECONDS: f64 = 0.05;
/// Intervals without refusals and with little pressure after which there is no limit any more.
const CALM: u32 = 20;
/// What little pressure is.
const CALM_PRESSURE: f64 = 0.5;

/// What there is of what is bounded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    pub(super) transactions: usize,
    pub(super) dialogs: usize,
}

/// Decides about requests for new dialogs.
#[derive(Debug, Default)]
pub(super) struct Admission {
    /// Those that await the application's answer.
    pending: usize,
    begun: Instant,
    /// The shortest wait and the fewest waiting since then; `None`: no message came.
    least: Option<(Duration, usize)>,
    /// How many wait now.
    waiting: usize,
    /// Of the last interval.
    pressure: f64,
    answered: u32,
    has_refused: bool,
    /// Answered a second; 0: not known yet.
    rate: f64,
    limit: Option<Limit>,
}

#[derive(Debug)]
struct Limit {
    per_second: f64,
    credit: f64,
    filled: Instant,
    calm: u32,
}

impl Admission {
    /// Takes in that a message waited so long between socket and core, with so many behind it.
    pub(super) fn note(&mut self, now: Instant, waited: Duration, waiting: usize) {
        self.waiting = waiting;
        let elapsed = now.since(self.begun);
        if elapsed >= INTERVAL {
            self.judge(now, elapsed);
        }
        if waiting >= WAITING_MAX && self.limit.is_none() {
            self.limit = Some(Limit::new(now, self.rate));
        }
        let (shortest, fewest) = self.least.unwrap_or((waited, waiting));
        self.least = Some((shortest.min(waited), fewest.min(waiting)));
    }

    /// Whether a request for a new dialog may be let in now; then [`Self::admitted`] tells of it if it is.
    pub(super) fn admits(&mut self, now: Instant, is_priority: bool, kept: Kept) -> bool {
        let more = |max: usize| max + if is_priority { max / PRIORITY_SHARE } else { 0 };
        let pending_max = ADMITTED_MAX
            + if is_priority {
                ADMITTED_PRIORITY_MAX
            } else {
                0
            };
        let has_room = self.pending < pending_max
            && kept.transactions < more(TRANSACTIONS_MAX)
            && kept.dialogs < more(DIALOGS_MAX);
        let has_credit = match &mut self.limit {
            Some(limit) => is_priority || (limit.has_credit(now) && self.waiting < WAITING_MAX),
            None => true,
        };
        self.has_refused |= !has_credit;
        has_room && has_credit
    }

    /// One was let in.
    pub(super) fn admitted(&mut self) {
        self.pending += 1;
        if let Some(limit) = &mut self.limit {
            // What has priority may run it into debt, which the others pay.
            limit.credit -= 1.0;
        }
    }

    /// One of them was answered, or nobody waits for its answer any more.
    pub(super) fn answered(&mut self) {
        self.pending -= 1;
        self.answered = self.answered.saturating_add(1);
    }

    /// Requests that await the application's answer.
    pub(super) fn pending(&self) -> usize {
        self.pending
    }

    /// Requests a second that are let in; `None`: all.
    pub(super) fn limit(&self) -> Option<f64> {
        self.limit.as_ref().map(|limit| limit.per_second)
    }

    fn judge(&mut self, now: Instant, elapsed: Duration) {
        let sample = f64::from(self.answered) / elapsed.as_secs_f64();
        if self.rate > 0.0 {
            self.rate += SMOOTHING * (sample - self.rate);
        } else {
            self.rate = sample;
        }
        let pressure = self.least.map_or(0.0, pressure);
        let rise = pressure - core::mem::replace(&mut self.pressure, pressure);
        let has_refused = self.has_refused;
        (self.begun, self.least) = (now, None);
        (self.answered, self.has_refused) = (0, false);
        match &mut self.limit {
            None if pressure > 1.0 => self.limit = Some(Limit::new(now, self.rate)),
            None => {}
            Some(limit) => {
                let step = -DAMPING * rise - CORRECTION * (pressure - 1.0);
                let factor = step.clamp(-STEP_MAX, STEP_MAX).exp();
                limit.per_second = (limit.per_second * factor).clamp(LIMIT_MIN, LIMIT_MAX);
                let is_calm = !has_refused && pressure < CALM_PRESSURE;
                limit.calm = if is_calm { limit.calm + 1 } else { 0 };
                if limit.calm >= CALM {
                    self.limit = None;
                }
            }
        }
    }
}

impl Limit {
    fn new(now: Instant, rate: f64) -> Self {
        Self {
            per_second: rate.max(LIMIT_MIN),
            credit: 0.0,
            filled: now,
            calm: 0,
        }
    }

    fn has_credit(&mut self, now: Instant) -> bool {
        let gained = now.since(self.filled).as_secs_f64() * self.per_second;
        let most = (self.per_second * BURST_SECONDS).max(1.0);
        (self.credit, self.filled) = ((self.credit + gained).min(most), now);
        self.credit >= 1.0
    }
}

/// How much everybody has to wait, in targets.
fn pressure((waited, waiting): (Duration, usize)) -> f64 {
    let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
    let by_time = waited.as_secs_f64() / WAIT_TARGET.as_secs_f64();
    by_time.max(f64::from(waiting) / f64::from(WAITING_TARGET))
}

#[cfg(test)]
#[path = "admission/tests.rs"]
mod tests;
