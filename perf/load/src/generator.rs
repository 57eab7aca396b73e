//! All participants of a run, as the logic of one reactor thread.
//!
//! ```text
//! Binding   each connection says which sessions are its own; all answered?      -> Waiting
//! Waiting   the control plane says go                                           -> Running
//! Running   turn: note what came; raise what is due by the schedule, or by the window;
//!           write for every participant whose connection is free
//!           time over, or all sent and come                                     -> Draining
//! Draining  nothing new begins; all come, or none for DRAIN_MAX                 -> Done
//! ```
//!
//! While it runs it polls and never sleeps: a late generator would be taken for latency. How much
//! of that polling was work is known, and told.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clock::{Duration, Instant};
use msrp::{FailureReport, Flag, StatusCode};
use reactor::{Logic, Octets};
use switch::{Batch, CloseCause, ConnId, Input, Output};
use tokio::sync::mpsc::UnboundedSender;

use crate::ledger::{Arrival, Track};
use crate::limits::{BIND_MAX, DRAIN_ALL_MAX, DRAIN_MAX};
use crate::pattern::{MessageId, Pattern};
use crate::plan::{Plan, Rate};
use crate::reader::{Answer, Chunk, Reader, Seen};
use crate::report::{Counts, Latencies, Percentiles, Row, per_second};
use crate::sender::{Sender, SenderConfig};

/// What the generator tells the control plane.
#[derive(Debug)]
pub(crate) enum News {
    /// All sessions are bound.
    Bound,
    /// The measured time begins.
    Begun,
    /// A second is over.
    Row(Row),
    /// The measured time is over.
    Over,
    /// The run is over.
    Done(Box<Totals>),
    /// The run cannot go on.
    Failed(String),
}

/// The whole run.
#[derive(Debug)]
pub(crate) struct Totals {
    pub(crate) counts: Counts,
    pub(crate) delivered_per_second: f64,
    pub(crate) octets_per_second: f64,
    pub(crate) delivered: u64,
    pub(crate) measured: Duration,
    pub(crate) busy: f64,
    pub(crate) latency: Percentiles,
    pub(crate) curve: Vec<(f64, f64)>,
}

/// A participant as the generator knows it.
#[derive(Clone, Debug)]
pub(crate) struct LegConfig {
    /// Our URI.
    pub(crate) own: Box<[u8]>,
    /// Where its messages go: a whole path.
    pub(crate) peer: Box<[u8]>,
}

/// What the generator is made from.
#[derive(Debug)]
pub(crate) struct GeneratorConfig {
    pub(crate) plan: Plan,
    /// By conference, then by participant, senders first.
    pub(crate) legs: Vec<LegConfig>,
    /// The legs of each connection that will be adopted, by its number.
    pub(crate) links: Vec<Vec<u32>>,
    /// Whether a session is bound by a SEND without body (RFC 4975 section 5.4).
    pub(crate) is_binding: bool,
    pub(crate) go: Arc<AtomicBool>,
    pub(crate) news: UnboundedSender<News>,
}

#[derive(Debug)]
struct Leg {
    config: LegConfig,
    link: Option<ConnId>,
    sender: Option<u32>,
    /// By the senders of its conference.
    tracks: Vec<Track>,
    is_stalled: bool,
}

#[derive(Debug)]
struct Link {
    id: ConnId,
    reader: Reader,
    legs: Vec<u32>,
    /// Small frames waiting for their turn.
    waiting: Batch<Octets>,
    is_sending: bool,
    is_queued: bool,
    is_stalled: bool,
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
    go: Arc<AtomicBool>,
    news: UnboundedSender<News>,
    pattern: Pattern,
    shared: Octets,
    legs: Vec<Leg>,
    link_legs: Vec<Vec<u32>>,
    /// By the position of their connection.
    links: Vec<Option<Link>>,
    senders: Vec<Sender>,
    /// Connections that may have something to send.
    queue: VecDeque<ConnId>,
    outputs: VecDeque<Output<Octets>>,
    spare: Vec<Batch<Octets>>,
    unbound: usize,
    phase: Phase,
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

#[derive(Clone, Copy, Debug, Default)]
struct Times {
    /// The first message is due.
    start: Instant,
    /// Counting begins.
    from: Instant,
    /// Counting ends.
    to: Instant,
    /// The current row ends.
    row: Instant,
}

/// What counts.
#[derive(Debug)]
struct Measured {
    delivered: u64,
    octets: u64,
    all: Latencies,
    row: Latencies,
    row_sent: u64,
    row_delivered: u64,
    row_octets: u64,
    row_idle: Duration,
    idle: Duration,
    last_at: Instant,
}

/// Tells turns with work from empty ones.
#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    has_worked: bool,
    ended_at: Instant,
}

/// Batches kept for reuse.
const SPARE_MAX: usize = 256;

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
            go: config.go,
            news: config.news,
            links: Vec::new(),
            queue: VecDeque::new(),
            outputs: VecDeque::new(),
            spare: Vec::new(),
            unbound,
            phase: Phase::Binding,
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

    fn link(&mut self, id: ConnId) -> Option<&mut Link> {
        let link = self.links.get_mut(id.index as usize)?.as_mut();
        link.filter(|link| link.id == id)
    }

    fn open(&mut self, id: ConnId, number: Option<usize>) {
        let index = id.index as usize;
        if self.links.len() <= index {
            self.links.resize_with(index + 1, || None);
        }
        let legs = number.map_or_else(Vec::new, |number| self.link_legs[number].clone());
        let is_stalled =
            !legs.is_empty() && legs.iter().all(|leg| self.legs[*leg as usize].is_stalled);
        let mut waiting = Batch::default();
        for &leg in &legs {
            let entry = &mut self.legs[leg as usize];
            entry.link = Some(id);
            if self.is_binding {
                waiting.write(|out| bind(out, leg, &entry.config));
            }
        }
        if !self.is_binding && number.is_some() {
            self.unbound -= 1;
        }
        self.links[index] = Some(Link {
            id,
            reader: Reader::default(),
            legs,
            waiting,
            is_sending: false,
            is_queued: false,
            is_stalled,
        });
        self.enqueue(id);
    }

    fn enqueue(&mut self, id: ConnId) {
        if let Some(link) = self.link(id)
            && !link.is_queued
        {
            link.is_queued = true;
            self.queue.push_back(id);
        }
    }

    fn receive(&mut self, now: Instant, id: ConnId, octets: &Octets) {
        let Some(mut link) = self.links.get_mut(id.index as usize).and_then(Option::take) else {
            return;
        };
        let mut hears = Hears {
            now,
            link_leg: link.legs.first().copied(),
            answers: &mut link.waiting,
            legs: &mut self.legs,
            senders: &mut self.senders,
            counts: &mut self.counts,
            measured: &mut self.measured,
            times: self.times,
            plan: &self.plan,
            queue: Vec::new(),
            bound: 0,
            has_answered: false,
        };
        let outcome = link
            .reader
            .feed(octets.as_ref(), &self.pattern, |seen| hears.hear(seen));
        let (bound, freed, has_answered) = (hears.bound, hears.queue, hears.has_answered);
        self.links[id.index as usize] = Some(link);
        if let Err(fatal) = outcome {
            self.fail(format!("a connection brought no MSRP: {fatal}"));
        }
        self.unbound = self.unbound.saturating_sub(bound);
        if has_answered {
            self.enqueue(id);
        }
        for sender in freed {
            self.raise_window(sender);
        }
        self.progress_at = now;
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
            Phase::Waiting if self.go.load(Ordering::Acquire) => self.begin(now),
            Phase::Running => self.run(now),
            Phase::Draining => self.drain(now),
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
            let is_scheduled = self.plan.rate != Rate::Max;
            for sender in &mut self.senders {
                sender.stop(is_scheduled);
            }
            self.phase = Phase::Draining;
            self.progress_at = now;
            self.tell(News::Over);
        }
    }

    fn is_all_delivered(&self) -> bool {
        let recipients = u64::from(self.plan.recipients());
        self.senders
            .iter()
            .all(|one| one.delivered == one.written * recipients && one.unsent() == 0)
    }

    fn drain(&mut self, now: Instant) {
        let is_over = self.is_all_delivered()
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
        };
        measured.row_sent = sent;
        measured.row_idle = Duration::ZERO;
        self.times.row += ROW;
        self.tell(News::Row(row));
    }

    fn finish(&mut self) {
        self.phase = Phase::Done;
        let (measured, counts) = (&mut self.measured, &mut self.counts);
        measured.all.take_from(&mut measured.row);
        counts.sent = self.senders.iter().map(|sender| sender.written).sum();
        counts.unsent = self.senders.iter().map(Sender::unsent).sum();
        for (index, leg) in self.legs.iter().enumerate() {
            if leg.is_stalled {
                continue;
            }
            let conference = index as u64 / u64::from(self.plan.participants);
            let first = conference * u64::from(self.plan.senders);
            for (track, number) in leg.tracks.iter().zip(first..) {
                let sender = &self.senders[usize::try_from(number).expect("an index")];
                if sender.leg as usize != index {
                    counts.lost += track.lost(sender.written);
                }
            }
        }
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
        };
        self.tell(News::Done(Box::new(totals)));
    }

    fn fail(&mut self, reason: String) {
        if self.phase != Phase::Done {
            self.phase = Phase::Done;
            self.tell(News::Failed(reason));
        }
    }

    /// The next connection that is free and has something to send.
    fn transmit(&mut self, now: Instant) -> Option<Output<Octets>> {
        while let Some(id) = self.queue.pop_front() {
            let Some(link) = self.links[id.index as usize].as_mut() else {
                continue;
            };
            link.is_queued = false;
            if link.is_sending {
                continue; // its completion brings it back
            }
            let fresh = self.spare.pop().unwrap_or_default();
            let mut batch = core::mem::replace(&mut link.waiting, fresh);
            if let [leg] = link.legs[..]
                && let Some(sender) = self.legs[leg as usize].sender
            {
                let sender = &mut self.senders[sender as usize];
                sender.write(now, &self.pattern, &self.shared, &mut batch);
            }
            if batch.is_empty() {
                keep(&mut self.spare, batch);
                continue;
            }
            link.is_sending = true;
            return Some(Output::Transmit { conn: id, batch });
        }
        None
    }

    fn close(&mut self, id: ConnId, cause: CloseCause) {
        let Some(link) = self.links.get_mut(id.index as usize).and_then(Option::take) else {
            return;
        };
        for leg in &link.legs {
            self.legs[*leg as usize].link = None;
        }
        match self.phase {
            Phase::Binding | Phase::Waiting => {
                self.fail(format!(
                    "a connection was closed before the start: {cause:?}"
                ));
            }
            Phase::Running | Phase::Draining if !link.is_stalled => self.counts.disconnected += 1,
            Phase::Running | Phase::Draining | Phase::Done => {}
        }
    }
}

impl Logic<Octets> for Generator {
    fn handle(&mut self, now: Instant, input: Input<Octets>) {
        self.turn.has_worked = true;
        match input {
            Input::Adopted { conn, octets, .. } => {
                let number = octets.as_ref().try_into().map(u32::from_le_bytes);
                let number = number.expect("the control plane sends a number with each socket");
                self.open(conn, Some(number as usize));
                self.progress_at = now;
            }
            Input::Accepted { conn, .. } => self.open(conn, None),
            Input::Received { conn, octets } => self.receive(now, conn, &octets),
            Input::Sent { conn, batch } => {
                keep(&mut self.spare, batch);
                if let Some(link) = self.link(conn) {
                    link.is_sending = false;
                }
                self.enqueue(conn);
            }
            Input::Closed { conn, cause } => self.close(conn, cause),
            Input::Connected { .. }
            | Input::ConnectFailed { .. }
            | Input::MessageEnded { .. }
            | Input::Progressed { .. }
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

/// Takes what one connection brought, with the rest of the generator beside it.
struct Hears<'a> {
    now: Instant,
    /// The session of a connection that has just one.
    link_leg: Option<u32>,
    answers: &'a mut Batch<Octets>,
    legs: &'a mut [Leg],
    senders: &'a mut [Sender],
    counts: &'a mut Counts,
    measured: &'a mut Measured,
    times: Times,
    plan: &'a Plan,
    /// Senders that may go on.
    queue: Vec<u32>,
    bound: usize,
    has_answered: bool,
}

impl Hears<'_> {
    fn hear(&mut self, seen: Seen<'_>) {
        match seen {
            Seen::Chunk(chunk) => self.begin(chunk),
            Seen::Body { octets, is_right } => {
                self.counts.damaged += u64::from(!is_right);
                self.count_octets(octets as u64);
            }
            Seen::End(end) => {
                // Recognised as a whole: its octets were not told before.
                if end.is_whole {
                    self.count_octets(end.octets);
                }
                self.end(end.chunk, end.octets, end.flag);
                if let Some(answer) = end.answer {
                    self.answer(&answer);
                }
            }
            Seen::Empty(answer) => self.answer(&answer),
            Seen::Response {
                transaction_id,
                code,
            } => {
                let is_ok = code == StatusCode::OK.as_u16();
                self.counts.refused += u64::from(!is_ok);
                self.bound += usize::from(is_ok && transaction_id.starts_with(BIND_MARK));
            }
            Seen::Report { code } => {
                self.counts.refused += u64::from(code != StatusCode::OK.as_u16());
            }
            Seen::Strange(what) => {
                tracing::warn!(what, "the generator got something else");
                self.counts.strange += 1;
            }
        }
    }

    fn track(&mut self, chunk: Chunk) -> Option<&mut Track> {
        let leg = self.link_leg_of(chunk)?;
        let senders = self.plan.senders.max(1);
        let number = usize::try_from(chunk.id.sender % senders).ok()?;
        let is_here = chunk.id.sender / senders == leg / self.plan.participants;
        let tracks = &mut self.legs[leg as usize].tracks;
        tracks.get_mut(number).filter(|_| is_here)
    }

    /// A connection with several sessions is told apart by To-Path; a forwarder leaves To-Path as the
    /// sender wrote it, so that with one session it does not matter.
    fn link_leg_of(&self, chunk: Chunk) -> Option<u32> {
        let named = chunk.leg.filter(|leg| (*leg as usize) < self.legs.len());
        self.link_leg
            .filter(|_| self.plan.sessions_per_connection == 1)
            .or(named)
    }

    fn begin(&mut self, chunk: Chunk) {
        let Some(track) = self.track(chunk) else {
            self.counts.strange += 1;
            return;
        };
        let reached = track
            .partial
            .take()
            .filter(|(serial, _)| *serial == chunk.id.serial)
            .map_or(0, |(_, reached)| reached);
        self.counts.damaged += u64::from(reached != chunk.offset);
    }

    fn end(&mut self, chunk: Chunk, octets: u64, flag: Flag) {
        let reached = chunk.offset + octets;
        let (serial, size) = (chunk.id.serial, self.plan.size);
        let Some(track) = self.track(chunk) else {
            self.counts.strange += 1;
            return;
        };
        match flag {
            Flag::More => track.partial = Some((serial, reached)),
            Flag::Abort => self.counts.aborted += 1,
            Flag::Complete => {
                let arrival = track.note(serial);
                self.counts.damaged += u64::from(reached != size);
                self.deliver(chunk.id, arrival);
            }
        }
    }

    fn deliver(&mut self, id: MessageId, arrival: Arrival) {
        if arrival == Arrival::Duplicate {
            self.counts.duplicated += 1;
            return;
        }
        self.counts.out_of_order += u64::from(arrival == Arrival::OutOfOrder);
        self.counts.delivered += 1;
        let sender = &mut self.senders[id.sender as usize];
        sender.delivered += 1;
        if self.queue.last() != Some(&id.sender) {
            self.queue.push(id.sender);
        }
        let intended = match self.plan.rate {
            Rate::Fixed(rate) => {
                let number = id.serial * u64::from(self.plan.sender_count()) + u64::from(id.sender);
                Some(scheduled_at(self.times.start, number, rate))
            }
            Rate::Max => sender.written_at(id.serial),
        };
        if let Some(intended) = intended
            && (self.times.from..self.times.to).contains(&intended)
        {
            let nanos = self.now.as_nanos().saturating_sub(intended.as_nanos());
            self.measured.row.record(nanos.max(1));
        }
        if (self.times.from..self.times.to).contains(&self.now) {
            self.measured.delivered += 1;
            self.measured.row_delivered += 1;
        }
    }

    fn count_octets(&mut self, octets: u64) {
        if (self.times.from..self.times.to).contains(&self.now) {
            self.measured.octets += octets;
            self.measured.row_octets += octets;
        }
    }

    fn answer(&mut self, answer: &Answer<'_>) {
        let Some(leg) = answer.leg.or(self.link_leg) else {
            return;
        };
        let own = &self.legs[leg as usize].config.own;
        self.has_answered = true;
        self.answers.write(|out| {
            msrp::write::response(
                out,
                answer.transaction_id,
                StatusCode::OK,
                answer.to_path,
                own,
            );
        });
    }
}

impl Measured {
    fn new() -> Self {
        Self {
            delivered: 0,
            octets: 0,
            all: Latencies::new(),
            row: Latencies::new(),
            row_sent: 0,
            row_delivered: 0,
            row_octets: 0,
            row_idle: Duration::ZERO,
            idle: Duration::ZERO,
            last_at: Instant::ZERO,
        }
    }
}

/// A row covers this.
const ROW: Duration = Duration::from_secs(1);

/// What the transaction ids of binding requests begin with.
const BIND_MARK: &[u8] = b"bind";

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
        });
    }
    (legs, senders)
}

/// The first request of a session (RFC 4975 section 5.4).
fn bind(out: &mut Vec<u8>, leg: u32, config: &LegConfig) {
    let id = format!("bind{leg:08x}");
    msrp::SendHead::new(id.as_bytes(), &config.peer, &config.own, id.as_bytes())
        .byte_range(msrp::ByteRange::whole(0))
        .failure_report(FailureReport::Yes)
        .write(out);
    msrp::write::end_line(out, id.as_bytes(), Flag::Complete);
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

fn keep(spare: &mut Vec<Batch<Octets>>, mut batch: Batch<Octets>) {
    if spare.len() < SPARE_MAX {
        batch.clear();
        spare.push(batch);
    }
}
