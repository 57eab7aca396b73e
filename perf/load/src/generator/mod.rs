//! All participants of a run, as the logic of one reactor thread.
//!
//! ```text
//! Binding   each connection says which sessions are its own; all answered?      -> Waiting
//! Waiting   the control plane says go                                           -> Running
//! Running   turn: note what came; raise what is due by the schedule, or by the window;
//!           write for every participant whose connection is free
//!           time over, or all sent and come                                     -> Draining
//! Draining  nothing new begins; all come, or none for DRAIN_MAX, or nobody is
//!           connected any more                                                  -> Done
//! ```
//!
//! While it runs it polls and never sleeps: a late generator would be taken for latency. How much
//! of that polling was work is known, and told.

mod churn;
mod hears;
mod links;
mod measured;
#[cfg(test)]
mod tests;
mod words;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

use clock::{Duration, Instant};
use reactor::{Logic, Octets};
use switch::{Batch, ConnId, Input, Output};
use tokio::sync::mpsc::UnboundedSender;

pub(crate) use self::churn::Move;
use self::churn::{Departure, Presence};
use self::links::Link;
use self::measured::{Measured, Times};
pub(crate) use self::words::{GeneratorConfig, LegConfig, News, Ticket, Totals, Word};
use crate::ledger::Track;
use crate::limits::{BIND_MAX, DRAIN_ALL_MAX, DRAIN_MAX};
use crate::pattern::Pattern;
use crate::plan::{Plan, Rate};
use crate::report::{Counts, Row, per_second};
use crate::sender::{Sender, SenderConfig};
use crate::wire::TlsConfig;

#[derive(Debug)]
struct Leg {
    config: LegConfig,
    link: Option<ConnId>,
    sender: Option<u32>,
    /// By the senders of its conference.
    tracks: Vec<Track>,
    is_stalled: bool,
    presence: Presence,
    /// Tells those apart who had this number one after the other.
    turn: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Binding,
    Waiting,
    Running,
    Draining,
    Done,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Generator {
    plan: Plan,
    is_binding: bool,
    tls: TlsConfig,
    word: Arc<Word>,
    moves: Receiver<Move>,
    /// Nobody leaves or joins any more.
    is_settled: bool,
    departures: Vec<Departure>,
    news: UnboundedSender<News>,
    pattern: Pattern,
    shared: Octets,
    legs: Vec<Leg>,
    link_legs: Vec<Vec<u32>>,
    /// By the position of their connection.
    links: Vec<Option<Link>>,
    /// How many of them there are.
    connected: usize,
    senders: Vec<Sender>,
    /// Connections that may have something to send.
    queue: VecDeque<ConnId>,
    outputs: VecDeque<Output<Octets>>,
    spare: Vec<Batch<Octets>>,
    unbound: usize,
    phase: Phase,
    /// See [`Self::break_off`].
    is_broken_off: bool,
    is_interrupted: bool,
    /// Of the last turn that made progress.
    progress_at: Instant,
    times: Times,
    /// With a schedule: the next message of all senders.
    scheduled: u64,
    counts: Counts,
    measured: Measured,
    has_ticked: bool,
    turn: Turn,
}

/// Tells turns with work from empty ones.
#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    has_worked: bool,
    ended_at: Instant,
}

/// How often a sleeping generator looks whether it should begin.
const LOOK: Duration = Duration::from_millis(1);

impl Generator {
    pub(crate) fn new(config: GeneratorConfig) -> Self {
        let pattern = Pattern::new();
        let shared = Octets::from(pattern.octets().to_vec());
        let plan = config.plan;
        let (legs, senders) = participants(&plan, config.legs);
        let unbound = if config.is_binding {
            legs.len()
        } else {
            config.links.len()
        };
        Self {
            pattern,
            shared,
            legs,
            senders,
            link_legs: config.links,
            is_binding: config.is_binding,
            tls: config.tls,
            word: config.word,
            moves: config.moves,
            is_settled: plan.churn <= 0.0,
            departures: Vec::new(),
            news: config.news,
            links: Vec::new(),
            connected: 0,
            queue: VecDeque::new(),
            outputs: VecDeque::new(),
            spare: Vec::new(),
            unbound,
            phase: Phase::Binding,
            is_broken_off: false,
            is_interrupted: false,
            progress_at: reactor::now(),
            times: Times::default(),
            scheduled: 0,
            counts: Counts::default(),
            measured: Measured::new(),
            has_ticked: false,
            turn: Turn::default(),
            plan,
        }
    }

    fn tell(&self, news: News) {
        // Nobody listens any more: the run was given up.
        let _ = self.news.send(news);
    }

    /// Without a schedule: lets a sender go on as its messages arrive.
    fn raise_window(&mut self, index: u32) {
        if self.plan.rate != Rate::Max || self.phase != Phase::Running {
            return;
        }
        let recipients = u64::from(self.plan.recipients());
        let sender = &mut self.senders[index as usize];
        let due = (sender.delivered / recipients + sender.window()).min(sender.last);
        if due > sender.due {
            sender.due = due;
            self.wake(index);
        }
    }

    fn wake(&mut self, index: u32) {
        let leg = self.senders[index as usize].leg;
        if let Some(link) = self.legs[leg as usize].link {
            self.enqueue(link);
        }
    }

    /// With a schedule: raises what is due by now.
    fn raise_schedule(&mut self, now: Instant) {
        let Rate::Fixed(rate) = self.plan.rate else {
            return;
        };
        let senders = self.senders.len() as u64;
        if senders == 0 {
            return;
        }
        loop {
            let at = scheduled_at(self.times.start, self.scheduled, rate);
            if at > now || at >= self.times.to {
                return;
            }
            let index = u32::try_from(self.scheduled % senders).expect("as many as senders");
            let sender = &mut self.senders[index as usize];
            if sender.due == sender.last {
                return;
            }
            sender.due += 1;
            self.scheduled += 1;
            self.wake(index);
        }
    }

    /// Once per turn: what time alone brings.
    fn tick(&mut self, now: Instant) {
        self.note_turn(now);
        match self.phase {
            Phase::Binding if self.unbound == 0 => {
                self.phase = Phase::Waiting;
                self.tell(News::Bound);
            }
            Phase::Binding if now.since(self.progress_at) > BIND_MAX => {
                let unbound = self.unbound;
                self.fail(format!(
                    "{unbound} sessions got no answer to their first SEND"
                ));
            }
            Phase::Waiting if self.word.go.load(Ordering::Acquire) => self.begin(now),
            Phase::Running if self.word.halt.load(Ordering::Acquire) => {
                self.is_interrupted = true;
                self.cut_short(now);
            }
            Phase::Running => {
                self.see_off(now);
                self.run(now);
            }
            Phase::Draining => {
                self.take_moves(now);
                self.see_off(now);
                self.drain(now);
            }
            Phase::Binding | Phase::Waiting | Phase::Done => {}
        }
    }

    fn note_turn(&mut self, now: Instant) {
        if !self.turn.has_worked && now > self.times.from && now <= self.times.to {
            let idle = now.since(self.turn.ended_at.max(self.times.from));
            self.measured.idle += idle;
            self.measured.row_idle += idle;
        }
        self.turn.has_worked = false;
    }

    fn begin(&mut self, now: Instant) {
        for link in self.links.iter().flatten().filter(|link| link.is_stalled) {
            self.outputs
                .push_back(Output::PauseReading { conn: link.id });
        }
        let from = now + self.plan.warmup;
        self.times = Times {
            start: now,
            from,
            to: from + self.plan.duration,
            row: from + ROW,
        };
        self.phase = Phase::Running;
        self.progress_at = now;
        for index in 0..self.senders.len() {
            self.raise_window(u32::try_from(index).expect("counted in 32 bits"));
        }
        if self.plan.warmup.is_zero() {
            self.tell(News::Begun);
        }
    }

    fn run(&mut self, now: Instant) {
        self.raise_schedule(now);
        let is_first = self.measured.last_at == Instant::ZERO;
        if now >= self.times.from && is_first {
            self.measured.last_at = self.times.from;
            if !self.plan.warmup.is_zero() {
                self.tell(News::Begun);
            }
        }
        while now >= self.times.row && self.times.row <= self.times.to {
            self.end_row();
        }
        let is_all_sent =
            !self.senders.is_empty() && self.senders.iter().all(|one| one.written == one.last);
        let is_all = is_all_sent && self.is_all_delivered();
        if is_all {
            // The time that it took, not the time it was given.
            self.times.to = self.times.to.min(now);
        }
        if is_all || now >= self.times.to {
            self.stop(now);
        }
    }

    /// Nothing new begins.
    fn stop(&mut self, now: Instant) {
        let is_scheduled = self.plan.rate != Rate::Max;
        for sender in &mut self.senders {
            sender.stop(is_scheduled);
        }
        self.phase = Phase::Draining;
        self.progress_at = now;
        self.tell(News::Over);
    }

    /// Nobody is connected any more, against the plan: nothing further can come.
    fn break_off(&mut self, now: Instant) {
        if self.phase == Phase::Running {
            self.is_broken_off = true;
            self.cut_short(now);
        }
        if self.phase == Phase::Draining {
            self.finish();
        }
    }

    /// The measured time ends before it is over.
    fn cut_short(&mut self, now: Instant) {
        self.times.to = self.times.to.min(now.max(self.times.from));
        self.stop(now);
    }

    fn is_all_delivered(&self) -> bool {
        if self.plan.churn > 0.0 {
            return self.senders.iter().all(|one| one.unsent() == 0) && self.lost() == 0;
        }
        let recipients = u64::from(self.plan.recipients());
        self.senders
            .iter()
            .all(|one| one.delivered == one.written * recipients && one.unsent() == 0)
    }

    /// What those who are there, and read, have not got.
    fn lost(&self) -> u64 {
        let mut lost = 0;
        for (index, leg) in self.legs.iter().enumerate() {
            // Who goes has had its due, or is known to have missed it.
            let is_staying = match leg.presence {
                Presence::Present | Presence::Departing | Presence::Joining { .. } => true,
                Presence::Leaving => false,
                Presence::Away => continue,
            };
            if leg.is_stalled {
                continue;
            }
            let conference = index as u64 / u64::from(self.plan.participants);
            let first = conference * u64::from(self.plan.senders);
            for (track, number) in leg.tracks.iter().zip(first..) {
                let sender = &self.senders[usize::try_from(number).expect("an index")];
                if sender.leg as usize != index {
                    lost += if is_staying {
                        track.lost(sender.written)
                    } else {
                        track.gaps()
                    };
                }
            }
        }
        lost
    }

    fn drain(&mut self, now: Instant) {
        let is_over = self.is_everybody_there() && self.is_all_delivered()
            || now.since(self.progress_at) > DRAIN_MAX
            || now.since(self.times.to) > DRAIN_ALL_MAX;
        if is_over {
            self.finish();
        }
    }

    fn end_row(&mut self) {
        let measured = &mut self.measured;
        let busy = 1.0 - measured.row_idle.as_secs_f64() / ROW.as_secs_f64();
        let latency = measured.row.percentiles();
        measured.all.take_from(&mut measured.row);
        let sent: u64 = self.senders.iter().map(|sender| sender.written).sum();
        let row = Row {
            second: self.times.row.since(self.times.from).as_secs_f64(),
            sent: sent - measured.row_sent,
            delivered: core::mem::take(&mut measured.row_delivered),
            octets: core::mem::take(&mut measured.row_octets),
            latency,
            generator_busy: busy.clamp(0.0, 1.0),
            target_cpu: None,
            target_resident_bytes: None,
        };
        measured.row_sent = sent;
        measured.row_idle = Duration::ZERO;
        self.times.row += ROW;
        self.tell(News::Row(row));
    }

    fn finish(&mut self) {
        self.phase = Phase::Done;
        self.counts.lost += self.lost();
        let (measured, counts) = (&mut self.measured, &mut self.counts);
        measured.all.take_from(&mut measured.row);
        counts.sent = self.senders.iter().map(|sender| sender.written).sum();
        counts.unsent = self.senders.iter().map(Sender::unsent).sum();
        let time = self.times.to.since(self.times.from);
        let totals = Totals {
            counts: *counts,
            delivered_per_second: per_second(measured.delivered, time),
            octets_per_second: per_second(measured.octets, time),
            delivered: measured.delivered,
            measured: time,
            busy: 1.0 - measured.idle.as_secs_f64() / time.as_secs_f64().max(1e-9),
            latency: measured.all.percentiles(),
            curve: measured.all.curve(),
            join_latency: measured.joins.percentiles(),
            is_broken_off: self.is_broken_off,
            is_interrupted: self.is_interrupted,
        };
        self.tell(News::Done(Box::new(totals)));
    }

    fn fail(&mut self, reason: String) {
        if self.phase != Phase::Done {
            self.phase = Phase::Done;
            self.tell(News::Failed(reason));
        }
    }
}

impl Logic<Octets> for Generator {
    fn handle(&mut self, now: Instant, input: Input<Octets>) {
        self.turn.has_worked = true;
        // The control plane says what it does before it does it.
        self.take_moves(now);
        match input {
            Input::Adopted { conn, octets, .. } => {
                let ticket = Ticket::read(octets.as_ref());
                self.open(conn, Some(ticket));
                self.progress_at = now;
            }
            Input::Accepted { conn, .. } => self.open(conn, None),
            Input::Received { conn, octets } => self.receive(now, conn, &octets),
            Input::Sent { conn, batch } => self.sent(conn, batch),
            Input::Closed { conn, cause } => self.close(now, conn, cause),
            Input::Connected { .. }
            | Input::ConnectFailed { .. }
            | Input::MessageEnded { .. }
            | Input::Progressed { .. }
            | Input::Shipment { .. }
            | Input::Returned(_)
            | Input::Command(_)
            | Input::Deadline => self.turn.has_worked = false,
        }
    }

    fn poll(&mut self, now: Instant) -> Output<Octets> {
        if !self.has_ticked {
            self.has_ticked = true;
            self.tick(now);
        }
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        if self.phase != Phase::Done
            && let Some(output) = self.transmit(now)
        {
            self.turn.has_worked = true;
            return output;
        }
        self.has_ticked = false;
        match self.phase {
            Phase::Running | Phase::Draining => {
                self.turn.ended_at = reactor::now();
                Output::Wait(Some(Instant::ZERO))
            }
            Phase::Binding | Phase::Waiting => Output::Wait(Some(now + LOOK)),
            Phase::Done => Output::Wait(None),
        }
    }
}

/// A row covers this.
const ROW: Duration = Duration::from_secs(1);

fn participants(plan: &Plan, configs: Vec<LegConfig>) -> (Vec<Leg>, Vec<Sender>) {
    let mut legs = Vec::with_capacity(configs.len());
    let mut senders = Vec::new();
    for (leg, config) in (0..).zip(configs) {
        let number = leg % plan.participants;
        let sender = (number < plan.senders).then(|| {
            let id = u32::try_from(senders.len()).expect("fewer than participants");
            senders.push(Sender::new(&SenderConfig {
                id,
                leg,
                to: &config.peer,
                from: &config.own,
                body: plan.size,
                failure_report: plan.failure_report,
                last: plan.messages.unwrap_or(u64::MAX),
                is_unscheduled: plan.rate == Rate::Max,
            }));
            id
        });
        let mut tracks = Vec::new();
        tracks.resize_with(plan.senders as usize, Track::default);
        legs.push(Leg {
            config,
            link: None,
            sender,
            tracks,
            is_stalled: number >= plan.participants - plan.stalled,
            presence: Presence::Present,
            turn: 0,
        });
    }
    (legs, senders)
}

/// When a message of the schedule is due, counted over all senders.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the time of a run in nanoseconds, far below 2^53"
)]
fn scheduled_at(start: Instant, number: u64, rate: f64) -> Instant {
    start + Duration::from_nanos((number as f64 * 1e9 / rate) as u64)
}
