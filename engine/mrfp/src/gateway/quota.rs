//! `msrpstat/mquota` (TS 29.333 5.17.2): the controller grants messages, octets or time, and is told
//! when they are used up.
//!
//! ```text
//! Events with mquota -> granted() -> watch() -> timer -> order_count() -> Audit orders
//!                                      ^                                     |
//!                                      +---- counted(): Notify if reached <--+
//! ```
//!
//! Shards know nothing of quotas: their counters are asked for once a second, so that a Notify comes
//! up to [`COUNT_INTERVAL`] after the message that reached the quota, and later when more than
//! [`COUNTS_PER_SECOND_MAX`] terminations have one. What is granted counts from the Events
//! descriptor that grants it; each part of a grant is told once.

use clock::{Duration, Instant, TimerKey};
use h248::ast::{EventSpec, Events};
use switch::{Order, SessionKey, Statistics};

use super::core::{Alarm, Core};
use super::draft::{Draft, Slot};
use super::fault::Fault;
use super::limits::{COUNT_INTERVAL, COUNTS_PER_SECOND_MAX, QUOTAS_MAX};
use super::notify::{number, parm};
use super::package::{self, MQUOTA, QUALITY, plain};
use super::statistics;

/// Parameters of a grant, in the order of the values of `qreach`.
const PARMS: [&str; 5] = ["msq", "mrq", "msv", "mrv", "tm"];

/// Which of them is the time, in seconds.
const TIME: usize = 4;

/// What is used of a grant, named as in the report.
const REPORTED: [&str; 4] = ["nms", "nmr", "vms", "vmr"];

/// One grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Quota {
    /// `None`: all streams of the termination together.
    stream: Option<u16>,
    /// Messages sent and received, octets sent and received, seconds; 0 is no limit.
    limits: [u64; 5],
    is_told: [bool; 5],
    /// When it was granted; `None` until it is in force.
    since: Option<Instant>,
    /// The counters when last looked at; `None` until the first look at a running termination.
    seen: Option<[u64; 4]>,
    used: [u64; 4],
}

/// The looks at one termination's counters.
#[derive(Debug, Default)]
pub(super) struct Watch {
    timer: Option<TimerKey>,
    /// Audit orders are under way.
    is_counting: bool,
}

/// Counters asked for.
#[derive(Debug)]
pub(super) struct Count {
    termination: u32,
    /// Streams and where their counters will be.
    slots: Vec<(u16, usize)>,
}

/// The grants in an Events descriptor.
pub(super) fn granted(events: &Events) -> Result<Vec<Quota>, Fault> {
    let specs = events.events.iter();
    let mut quotas = Vec::new();
    for spec in specs.filter(|spec| spec.name == package::item(MQUOTA)) {
        let quota = read(spec);
        if quota.is_open() {
            quotas.push(quota);
        }
    }
    if quotas.len() > QUOTAS_MAX {
        return Err(Fault::InsufficientResources(format!("{QUOTAS_MAX} quotas")));
    }
    Ok(quotas)
}

fn read(spec: &EventSpec) -> Quota {
    Quota {
        stream: spec.stream.filter(|s| *s != 0),
        limits: PARMS.map(|name| number(spec, name).unwrap_or(0)),
        is_told: [false; 5],
        since: None,
        seen: None,
        used: [0; 4],
    }
}

fn counters(statistics: &Statistics) -> [u64; 4] {
    [
        statistics.messages_sent,
        statistics.messages_received,
        statistics.volume_sent,
        statistics.volume_received,
    ]
}

/// How long until the next look, with so many terminations to look at.
fn pause(watched: usize) -> Duration {
    let turns = u32::try_from(watched.div_ceil(COUNTS_PER_SECOND_MAX)).unwrap_or(u32::MAX);
    COUNT_INTERVAL.saturating_mul(turns.max(1))
}

impl Quota {
    /// Whether something is left to be told.
    pub(super) fn is_open(&self) -> bool {
        let parts = self.limits.iter().zip(&self.is_told);
        parts.into_iter().any(|(limit, told)| *limit > 0 && !told)
    }

    /// When the time granted is over.
    fn ends_at(&self) -> Option<Instant> {
        let is_open = self.limits[TIME] > 0 && !self.is_told[TIME];
        let since = self.since.filter(|_| is_open)?;
        Some(since + Duration::from_secs(self.limits[TIME]))
    }

    /// Takes what the counters say; the parts that are used up now, by index.
    fn count(&mut self, now: Instant, counters: [u64; 4]) -> Vec<usize> {
        if let Some(seen) = self.seen {
            // A stream that was made anew counts from 0 again.
            let is_restarted = counters.iter().zip(seen).any(|(now, seen)| *now < seen);
            let base = if is_restarted { [0; 4] } else { seen };
            for ((used, now), base) in self.used.iter_mut().zip(counters).zip(base) {
                *used = used.saturating_add(now - base);
            }
        }
        self.seen = Some(counters);
        let ends_at = self.ends_at();
        let is_used = |part: usize| match self.used.get(part) {
            Some(used) => *used >= self.limits[part],
            None => ends_at.is_some_and(|at| at <= now),
        };
        let reached: Vec<usize> = (0..PARMS.len())
            .filter(|&part| self.limits[part] > 0 && !self.is_told[part] && is_used(part))
            .collect();
        reached.iter().for_each(|&part| self.is_told[part] = true);
        reached
    }
}

impl Core {
    /// Puts new grants in force. A termination that is new has counted nothing so far.
    pub(super) fn watch(&mut self, number: u32, is_new: bool, now: Instant) {
        let Some(termination) = self.terminations.get_mut(&number) else {
            return;
        };
        let quotas = &mut termination.settings.quotas;
        let is_granted = quotas.iter().any(|q| q.since.is_none());
        for quota in quotas.iter_mut().filter(|q| q.since.is_none()) {
            quota.since = Some(now);
            quota.seen = is_new.then_some([0; 4]);
        }
        if is_granted && !is_new {
            // What was counted before is not part of it: look now.
            self.look_again(number, now);
        } else if is_granted || (quotas.is_empty() && termination.watch.timer.is_none()) {
            self.look_again(number, self.next_look(number, now));
        } else if !termination.settings.needs_looks() {
            self.forget_look(number);
        }
    }

    /// When the counters are to be looked at after a look at `now`.
    fn next_look(&self, number: u32, now: Instant) -> Instant {
        let termination = self.terminations.get(&number);
        let quotas = termination.into_iter().flat_map(|t| &t.settings.quotas);
        let ends = quotas.filter_map(Quota::ends_at);
        ends.fold(now + pause(self.watched.len()), Instant::min)
    }

    /// Sets the timer of the next look, if there is anything to look for.
    fn look_again(&mut self, number: u32, at: Instant) {
        self.forget_look(number);
        let Some(termination) = self.terminations.get_mut(&number) else {
            return;
        };
        if !termination.settings.needs_looks() {
            return;
        }
        self.watched.insert(number);
        if termination.watch.is_counting {
            return;
        }
        termination.watch.timer = Some(self.timers.arm(at, Alarm::Quota(number)));
    }

    /// There is nothing to look for any more.
    pub(super) fn forget_look(&mut self, number: u32) {
        self.watched.remove(&number);
        if let Some(termination) = self.terminations.get_mut(&number)
            && let Some(timer) = termination.watch.timer.take()
        {
            self.timers.cancel(timer);
        }
    }

    /// The termination is about to be no more.
    pub(super) fn end_watch(&mut self, number: u32, watch: &Watch) {
        self.watched.remove(&number);
        if let Some(timer) = watch.timer {
            self.timers.cancel(timer);
        }
    }

    /// The timer has run out, but there is too much to do for a look.
    pub(super) fn postpone_look(&mut self, number: u32, now: Instant) {
        if let Some(termination) = self.terminations.get_mut(&number) {
            termination.watch.timer = None;
        }
        // Not before, even if a time that was granted has ended.
        self.look_again(number, now + pause(self.watched.len()));
    }

    /// The timer has run out: asks for the counters of every stream.
    pub(super) fn order_count(&mut self, number: u32, draft: &mut Draft) -> Option<Count> {
        let termination = self.terminations.get_mut(&number)?;
        termination.watch.timer = None;
        termination.watch.is_counting = true;
        let shard = termination.shard;
        let streams = termination.settings.streams.iter();
        let sessions: Vec<SessionKey> = streams
            .filter(|(_, stream)| stream.local.is_some())
            .map(|(id, _)| termination.session(id))
            .collect();
        let mut slots = Vec::new();
        for session in sessions {
            let slot = draft.slot(Slot::new(Vec::new()));
            self.order_for(shard, Order::Audit { session }, draft, Some(slot), None);
            slots.push((session.stream, slot));
        }
        Some(Count {
            termination: number,
            slots,
        })
    }

    /// The counters asked for are here.
    pub(super) fn counted(&mut self, count: &Count, draft: &Draft) {
        let (number, now) = (count.termination, draft.now);
        let Some(termination) = self.terminations.get_mut(&number) else {
            return;
        };
        termination.watch.is_counting = false;
        let retired = self.retired.get(&number).copied().unwrap_or_default();
        let mut reports = Vec::new();
        let mut alerts = Vec::new();
        for quality in &mut termination.settings.qualities {
            let is_meant = |stream: u16| quality.stream.is_none_or(|wanted| wanted == stream);
            let slots = count.slots.iter().filter(|(stream, _)| is_meant(*stream));
            let percents = slots.map(|(_, slot)| draft.slots[*slot].total.queue_percent);
            let percent = percents.max().unwrap_or(0);
            if quality.look(percent) {
                alerts.push(quality.report(number, percent));
            }
        }
        for quota in &mut termination.settings.quotas {
            let of_stream = |stream: u16| quota.stream.is_none_or(|wanted| wanted == stream);
            let mut total = match quota.stream {
                Some(_) => Statistics::default(),
                None => retired,
            };
            for (_, slot) in count.slots.iter().filter(|(stream, _)| of_stream(*stream)) {
                statistics::add(&mut total, &draft.slots[*slot].total);
            }
            let reached = quota.count(now, counters(&total));
            reports.extend(reached.into_iter().map(|r| (quota.stream, r, quota.used)));
        }
        for (session, percent) in alerts {
            self.observe(now, session, QUALITY, &[percent]);
        }
        for (stream, reached, used) in reports {
            let session = SessionKey {
                termination: number,
                stream: stream.unwrap_or(0),
            };
            let mut parms = vec![parm("qreach", plain((reached + 1).to_string()))];
            let used = REPORTED.iter().zip(used);
            parms.extend(used.map(|(name, value)| parm(name, plain(value.to_string()))));
            self.observe(now, session, MQUOTA, &parms);
        }
        self.flush(number);
        self.look_again(number, self.next_look(number, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_spread_over_more_seconds_when_there_are_many() {
        for (watched, seconds) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (500_000, 500)] {
            assert_eq!(pause(watched), Duration::from_secs(seconds), "{watched}");
        }
    }
}
