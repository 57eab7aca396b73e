//! Datagrams that wait for their turn, and which of them may not wait (RFC 6357 5: local control).
//!
//! ```text
//! each datagram, as soon as it is there:
//!   wait = how long the first one in the queue has waited, or what the pace makes of those in it if that is more
//!   in the way is: wait > WAIT_TARGET, a queue nearly full, or no room further on
//!   an ACK of a refusal, a repetition of what waits itself        -> forgotten
//!   would make a dialog, and something is in the way              -> 503, of which a hash is kept
//!   was refused lately                                            -> the same 503
//!   anything else                                                 -> the queue
//! ```
//!
//! Refusing costs a fraction of what taking costs as long as it comes first: what is refused takes no place in the
//! queue, and what is in the queue is worth its time. No rate is set, so none can be wrong: nobody is refused
//! while the queue is short, whatever it took to make it so, and it is never empty while somebody is. The wait is
//! what all pay for that, once each way, well below what makes them repeat themselves (RFC 3261, T1). By the pace, not
//! by the number: a core that becomes slower, since others want it, too, has a shorter queue of the same wait.

use super::admission::{Kept, Obstacle};
use super::server::{STATELESS_TAG, ServerKey};
use super::{Agent, Flow};
use crate::limits::{
    DATAGRAM_BYTES_MAX, DATAGRAMS_BYTES_MAX, DATAGRAMS_MAX, REFUSALS_KEPT, WAIT_TARGET,
    WAITING_MAX, WATCH_TIME,
};
use crate::message::Method;
use crate::parse::{Brief, parse_datagram};
use clock::{Duration, Instant};
use core::hash::{Hash, Hasher};
use std::collections::{HashSet, VecDeque};

/// The queue of one core.
#[derive(Default)]
pub(super) struct Arrivals {
    queue: VecDeque<Waiting>,
    /// Octets of the datagrams in it, and what they weigh.
    bytes: usize,
    weight: u32,
    pace: Pace,
    /// Nobody was refused lately: `None`, and no datagram is looked at before its turn.
    watch: Option<Watch>,
}

struct Waiting {
    flow: Flow,
    datagram: Vec<u8>,
    came: Instant,
    /// In [`Watch::waiting`].
    key: Option<u64>,
    /// Whether it may have to hear that it is too late: it could not be judged when it came.
    is_open: bool,
}

/// What is known while some are refused. Keys are hashes of transactions that would make dialogs.
struct Watch {
    until: Instant,
    /// Those in the queue: who repeats what waits shall not hear that it is refused.
    waiting: HashSet<u64>,
    /// Those that were refused, each in the place that its hash names, until another one comes there.
    refused: Box<[u64]>,
}

impl Arrivals {
    /// Datagrams in the queue.
    pub(super) fn count(&self) -> usize {
        self.queue.len()
    }

    fn has_room(&self) -> bool {
        self.queue.len() < DATAGRAMS_MAX && self.bytes + DATAGRAM_BYTES_MAX <= DATAGRAMS_BYTES_MAX
    }

    /// How long a datagram that comes now would wait, with so many messages further on.
    fn wait(&self, now: Instant, beyond: usize) -> Duration {
        let first = self.queue.front().map(|first| now.since(first.came));
        let beyond = u32::try_from(beyond).unwrap_or(u32::MAX);
        let all = self.pace.time_of(self.weight.saturating_add(beyond));
        first.unwrap_or_default().max(all)
    }

    fn is_late(&self, now: Instant, beyond: usize) -> bool {
        self.queue.len() >= WAITING_MAX
            || self.bytes >= DATAGRAMS_BYTES_MAX / 4 * 3
            || self.wait(now, beyond) > WAIT_TARGET
    }

    /// Looks at datagrams from now on, if somebody is to be refused, or no longer.
    fn watch(&mut self, now: Instant, is_needed: bool) {
        match &mut self.watch {
            Some(watch) if is_needed => watch.until = now + WATCH_TIME,
            Some(watch) if watch.until <= now && self.queue.is_empty() => self.watch = None,
            None if is_needed => {
                let mut watch = Watch {
                    until: now + WATCH_TIME,
                    waiting: HashSet::new(),
                    refused: vec![0; REFUSALS_KEPT].into(),
                };
                for waiting in &mut self.queue {
                    waiting.key = Brief::read(&waiting.datagram)
                        .filter(Brief::makes_dialog)
                        .and_then(|brief| ServerKey::of_branch(&brief.via()?, &brief.method))
                        .map(|key| hash(&key));
                    watch.waiting.extend(waiting.key);
                }
                self.watch = Some(watch);
            }
            _ => {}
        }
    }

    fn push(&mut self, waiting: Waiting) {
        if let (Some(watch), Some(key)) = (&mut self.watch, waiting.key) {
            watch.waiting.insert(key);
        }
        self.bytes += waiting.datagram.len();
        self.weight += weight(&waiting.datagram);
        self.queue.push_back(waiting);
    }

    fn pop(&mut self, now: Instant) -> Option<Waiting> {
        let next = self.queue.pop_front()?;
        self.bytes -= next.datagram.len();
        let weight = weight(&next.datagram);
        self.weight -= weight;
        self.pace.taken(now, weight, !self.queue.is_empty());
        if let (Some(watch), Some(key)) = (&mut self.watch, next.key) {
            watch.waiting.remove(&key);
        }
        Some(next)
    }
}

impl Watch {
    /// Where a refusal is kept.
    fn place(&mut self, key: u64) -> &mut u64 {
        let at = usize::try_from(key).unwrap_or_default() % self.refused.len();
        &mut self.refused[at]
    }
}

/// How fast the queue moves, over the last [`PACE_MEMORY`] or so in which something waited.
#[derive(Default)]
struct Pace {
    /// When one was taken while others waited, and what it weighed.
    since: Option<(Instant, u32)>,
    /// The weight that was taken, and seconds that it took; what is long ago counts less.
    weight: f64,
    seconds: f64,
}

/// Longer than a system keeps a process waiting for others, as a rule: that is part of the pace.
const PACE_MEMORY: Duration = Duration::from_millis(250);
/// Before so much was taken there is no pace.
const PACE_WEIGHT_MIN: f64 = 32.0;
/// What a request weighs that begins something, beside all others: a flood consists of these, and the queue then
/// takes longer than the pace of ordinary times says.
const BEGINNING_WEIGHT: u32 = 3;

fn weight(datagram: &[u8]) -> u32 {
    let begins = [&b"INVITE "[..], b"SUBSCRIBE ", b"REFER "];
    match begins.iter().any(|method| datagram.starts_with(method)) {
        true => BEGINNING_WEIGHT,
        false => 1,
    }
}

impl Pace {
    /// One was taken; whether others wait still.
    fn taken(&mut self, now: Instant, weight: u32, is_busy: bool) {
        if let Some((since, weight)) = self.since {
            let seconds = now.since(since).as_secs_f64();
            let kept = (-seconds / PACE_MEMORY.as_secs_f64()).exp();
            self.weight = self.weight * kept + f64::from(weight);
            self.seconds = self.seconds * kept + seconds;
        }
        self.since = is_busy.then_some((now, weight));
    }

    /// How long what weighs so much takes.
    fn time_of(&self, weight: u32) -> Duration {
        if self.weight < PACE_WEIGHT_MIN {
            return Duration::ZERO;
        }
        let seconds = f64::from(weight) * self.seconds / self.weight;
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}

impl Agent {
    /// Takes in a datagram as soon as it is there: it is refused at once, or waits for [`Self::work`]. So many
    /// messages, `beyond`, wait further on, for the application. Only if [`Self::has_room_for_datagrams`].
    pub fn arrive(&mut self, now: Instant, flow: Flow, datagram: &[u8], beyond: usize) {
        let kept = self.kept();
        let late = self.arrivals.is_late(now, beyond).then_some(Obstacle::Late);
        let obstacle = late.or_else(|| self.admission.obstacle(false, kept));
        self.arrivals.watch(now, obstacle.is_some());
        let Some((key, is_open)) = self.look(flow, datagram, kept, obstacle) else {
            return;
        };
        self.arrivals.push(Waiting {
            flow,
            datagram: datagram.to_vec(),
            came: now,
            key,
            is_open,
        });
    }

    /// Takes in the datagram that has waited longest; `false`: there is none. Drain [`Self::poll`] to
    /// [`super::Output::Wait`] before the next.
    pub fn work(&mut self, now: Instant) -> bool {
        let Some(next) = self.arrivals.pop(now) else {
            return false;
        };
        let waited = if next.is_open {
            now.since(next.came)
        } else {
            Duration::ZERO
        };
        self.handle_waited(now, next.flow, parse_datagram(&next.datagram), waited);
        true
    }

    /// Datagrams that wait for [`Self::work`].
    #[must_use]
    pub fn waiting_count(&self) -> usize {
        self.arrivals.count()
    }

    /// Whether a datagram may come; if not, it is best left in its socket.
    #[must_use]
    pub fn has_room_for_datagrams(&self) -> bool {
        self.arrivals.has_room()
    }

    /// What a datagram is queued with; `None`: it was refused, or needs no answer.
    fn look(
        &mut self,
        flow: Flow,
        datagram: &[u8],
        kept: Kept,
        obstacle: Option<Obstacle>,
    ) -> Option<(Option<u64>, bool)> {
        const PASSES: Option<(Option<u64>, bool)> = Some((None, false));
        let Some(watch) = &mut self.arrivals.watch else {
            return PASSES;
        };
        let unreadable = Some((None, obstacle.is_some()));
        let Some(brief) = Brief::read(datagram) else {
            return unreadable;
        };
        if !brief.makes_dialog() {
            let is_of_refusal = |tag: &str| tag.starts_with(STATELESS_TAG);
            let is_over = brief.method == Method::Ack && brief.to_tag().is_some_and(is_of_refusal);
            return if is_over { None } else { PASSES };
        }
        let Some(via) = brief.via() else {
            return unreadable;
        };
        let Some(key) = ServerKey::of_branch(&via, &brief.method) else {
            return unreadable;
        };
        if self.server_keys.contains_key(&key) {
            return PASSES;
        }
        let key = hash(&key);
        if watch.waiting.contains(&key) {
            return None;
        }
        let is_priority = flow.is_trusted && brief.goes_first;
        let place = watch.place(key);
        let obstacle = match obstacle {
            _ if is_priority => self.admission.obstacle(true, kept),
            _ if *place == key => Some(Obstacle::Again),
            obstacle => obstacle,
        };
        let Some(obstacle) = obstacle else {
            return Some((Some(key), false));
        };
        *place = key;
        self.refuse_briefly(flow, &brief, &via, obstacle);
        None
    }
}

fn hash(key: &ServerKey) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    key.hash(&mut hasher);
    // 0 is an empty place.
    hasher.finish().max(1)
}

#[cfg(test)]
#[path = "arrivals/tests.rs"]
mod tests;
