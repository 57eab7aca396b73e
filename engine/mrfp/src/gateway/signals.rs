//! Signals that go on: what is played and what is recorded (H.248.1 section 7.1.11).
//!
//! ```text
//! Signals descriptor -> plan(): new ones beside those with KeepActive that are there already
//! change_signals()   -> what is gone is stopped, what is ready is started
//! Played, Loaded, Ended, time over -> end_signal(): told, and the next of its list is ready
//! ```
//!
//! Of a list only the first is ready, others all at once. An event ends them all, unless it is armed
//! with KeepActive (7.1.9), tells of the signals themselves, or is the heartbeat of control.

use std::collections::{BTreeMap, BTreeSet};

use clock::{Duration, Instant, TimerKey};
use h248::ast::{CompletionReason, Signal, SignalItem, SignalType};
use switch::{Order, SessionKey};

use super::core::{Alarm, Core};
use super::draft::Draft;
use super::fault::written;
use super::mess::{MSRS, Play, Source, quoted};
use super::mirror::{Settings, Termination};
use super::notify::parm;
use super::package::plain;
use super::recmess::{MESSFAIL, Record};
use crate::storage::limits::RECORD_TIME_MAX;
use crate::storage::{self, Content, Ending};

/// Signal completion.
pub(super) const COMPLETION: (&str, &str) = ("g", "sc");

/// A signal that goes on until it has ended or another Signals descriptor is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lasting {
    /// Names it among all of the gateway.
    pub serial: u64,
    pub list: Option<u16>,
    pub stream: u16,
    /// As it was ordered, with what was left to us filled in.
    pub signal: Signal,
    /// Something was left to us: the reply shows the signal.
    pub is_chosen: bool,
    pub action: Action,
}

/// What it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Play(Play),
    Record(Record),
}

/// How long a signal lasts by its own word; that of an on/off signal is ignored (H.248.1 7.1.11).
pub(super) fn lasts(signal: &Signal) -> Option<Duration> {
    let duration = signal
        .duration
        .filter(|_| signal.kind != Some(SignalType::OnOff));
    duration.map(|d| Duration::from_millis(u64::from(d) * 10))
}

/// A signal that was started.
#[derive(Debug, Default)]
pub(super) struct Running {
    timer: Option<TimerKey>,
    /// The controller knows that a part of the recording was lost.
    is_loss_told: bool,
}

/// All signals of a termination that were started, by their serial.
pub(super) type Runs = BTreeMap<u64, Running>;

/// How a signal ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// On its own, or its time was over.
    Completed,
    /// By another Signals descriptor.
    Replaced,
    /// By an event.
    Interrupted,
    /// It failed.
    Failed,
}

impl End {
    /// `Meth` of `g/sc`.
    fn method(self) -> &'static str {
        match self {
            Self::Completed => "TO",
            Self::Replaced => "SD",
            Self::Interrupted => "EV",
            Self::Failed => "NC",
        }
    }

    /// Whether a signal asked to be told of it. Without a word, failures are told (H.248.1 7.1.11).
    fn is_wanted(self, signal: &Signal) -> bool {
        let wanted = &signal.notify_completion;
        match self {
            Self::Completed => wanted.contains(&CompletionReason::TimeOut),
            Self::Replaced => wanted.contains(&CompletionReason::InterruptByNewSignals),
            Self::Interrupted => wanted.contains(&CompletionReason::InterruptByEvent),
            Self::Failed => wanted.is_empty() || wanted.contains(&CompletionReason::OtherReason),
        }
    }
}

impl Settings {
    /// Signals whose turn it is: of a list the first alone.
    fn ready(&self) -> impl Iterator<Item = &Lasting> {
        self.signals.iter().enumerate().filter_map(|(at, signal)| {
            let earlier = &self.signals[..at];
            let waits = signal.list.is_some() && earlier.iter().any(|e| e.list == signal.list);
            (!waits).then_some(signal)
        })
    }

    /// Tells the streams which recordings they have.
    pub(super) fn place_recordings(&mut self) {
        let mut places = BTreeMap::<u16, [Option<u64>; 2]>::new();
        for signal in self.ready() {
            if let Action::Record(record) = &signal.action {
                let place = places.entry(signal.stream).or_default();
                place[usize::from(!record.is_incoming)] = Some(signal.serial);
            }
        }
        for (id, stream) in self.streams.iter_mut() {
            let records = places.remove(&id).unwrap_or_default();
            if stream.extras().records != records {
                stream.change_extras(|extras| extras.records = records);
            }
        }
    }
}

/// Signals as a descriptor holds them.
pub(super) fn items<'a>(all: impl Iterator<Item = &'a Lasting>) -> Vec<SignalItem> {
    let mut items: Vec<SignalItem> = Vec::new();
    for lasting in all {
        let signal = lasting.signal.clone();
        let Some(wanted) = lasting.list else {
            items.push(SignalItem::Signal(signal));
            continue;
        };
        let list = items.iter_mut().find_map(|item| match item {
            SignalItem::List { id, signals } if *id == wanted => Some(signals),
            SignalItem::List { .. } | SignalItem::Signal(_) => None,
        });
        match list {
            Some(signals) => signals.push(signal),
            None => items.push(SignalItem::List {
                id: wanted,
                signals: vec![signal],
            }),
        }
    }
    items
}

impl Core {
    /// Stops what is no longer among a termination's signals and starts what is ready.
    pub(super) fn change_signals(&mut self, number: u32, before: &[Lasting], draft: &mut Draft) {
        let Some(termination) = self.terminations.get(&number) else {
            return;
        };
        let now = &termination.settings.signals;
        let is_gone = |b: &&Lasting| !now.iter().any(|n| n.serial == b.serial);
        let gone: Vec<Lasting> = before.iter().filter(is_gone).cloned().collect();
        for signal in gone {
            self.halt(number, &signal, draft);
            self.tell_end(number, &signal, End::Replaced, draft.now);
        }
        self.start_ready(number, draft);
        self.flush(number);
    }

    fn start_ready(&mut self, number: u32, draft: &mut Draft) {
        let Some(termination) = self.terminations.get(&number) else {
            return;
        };
        let ready = termination.settings.ready();
        let runs = &termination.runs;
        let due = ready.filter(|s| !runs.contains_key(&s.serial));
        let due: Vec<Lasting> = due.cloned().collect();
        for signal in due {
            self.start(number, &signal, draft);
        }
    }

    fn start(&mut self, number: u32, signal: &Lasting, draft: &mut Draft) {
        let serial = signal.serial;
        let asked = lasts(&signal.signal);
        let most = match &signal.action {
            Action::Play(_) => None,
            Action::Record(_) => Some(RECORD_TIME_MAX),
        };
        let timer = asked
            .or(most)
            .map(|d| self.timers.arm(draft.now + d, Alarm::Signal(serial)));
        let running = Running {
            timer,
            is_loss_told: false,
        };
        if let Some(termination) = self.terminations.get_mut(&number) {
            termination.runs.insert(serial, running);
        }
        self.signal_owners.insert(serial, number);
        match &signal.action {
            Action::Play(play) => match &play.source {
                Source::Text(content) => self.order_play(number, signal, content.clone(), draft),
                Source::File(path) => self.storage_orders.push_back(storage::Order::Load {
                    id: serial,
                    path: path.clone(),
                }),
            },
            Action::Record(record) => {
                let open = storage::Open {
                    record: serial,
                    path: record.path.clone(),
                    appends: record.appends,
                    octets_max: record.octets_max,
                };
                self.storage_orders.push_back(storage::Order::Open(open));
            }
        }
    }

    fn order_play(&mut self, number: u32, signal: &Lasting, content: Content, draft: &mut Draft) {
        let (Some(termination), Action::Play(play)) =
            (self.terminations.get(&number), &signal.action)
        else {
            return;
        };
        let (shard, session) = (termination.shard, termination.session(signal.stream));
        let play = switch::Play {
            id: signal.serial,
            content_type: content.media_type,
            body: content.body,
            success_report: play.success_report,
            failure_report: play.failure_report,
        };
        let play = Box::new(play);
        self.order(shard, Order::Play { session, play }, draft);
    }

    /// Ends what a signal does, if it does anything yet.
    fn halt(&mut self, number: u32, signal: &Lasting, draft: &mut Draft) {
        let Some(termination) = self.terminations.get_mut(&number) else {
            return;
        };
        let Some(running) = termination.runs.remove(&signal.serial) else {
            return;
        };
        let (shard, session) = (termination.shard, termination.session(signal.stream));
        self.forget_run(signal.serial, &running);
        match &signal.action {
            Action::Play(_) => {
                let id = signal.serial;
                self.order(shard, Order::StopPlay { session, id }, draft);
            }
            Action::Record(_) => {
                let record = signal.serial;
                self.storage_orders
                    .push_back(storage::Order::Close { record });
            }
        }
    }

    fn forget_run(&mut self, serial: u64, running: &Running) {
        self.signal_owners.remove(&serial);
        if let Some(timer) = running.timer {
            self.timers.cancel(timer);
        }
    }

    /// The termination is about to be no more; its sessions take what is played with them.
    pub(super) fn end_signals(&mut self, termination: &Termination) {
        for (serial, running) in &termination.runs {
            self.forget_run(*serial, running);
        }
        for signal in &termination.settings.signals {
            let is_running = termination.runs.contains_key(&signal.serial);
            if is_running && matches!(signal.action, Action::Record(_)) {
                let record = signal.serial;
                self.storage_orders
                    .push_back(storage::Order::Close { record });
            }
        }
    }

    /// The signal of this serial, while it is running, and whose it is.
    fn running(&self, serial: u64) -> Option<(u32, Lasting)> {
        let number = *self.signal_owners.get(&serial)?;
        let signals = &self.terminations.get(&number)?.settings.signals;
        let signal = signals.iter().find(|s| s.serial == serial)?;
        Some((number, signal.clone()))
    }

    /// What became of a message that was played.
    pub(super) fn played(&mut self, serial: u64, status: u16, draft: &mut Draft) {
        let Some((number, signal)) = self.running(serial) else {
            return;
        };
        let Action::Play(play) = &signal.action else {
            return;
        };
        if play.is_told() {
            let session = SessionKey {
                termination: number,
                stream: signal.stream,
            };
            self.observe(draft.now, session, MSRS, &play.outcome(status));
        }
        let end = match status {
            200 => End::Completed,
            _ => End::Failed,
        };
        self.end_signal(number, &signal, end, draft);
    }

    /// What the storage says.
    pub(super) fn stored(&mut self, event: storage::Event, draft: &mut Draft) {
        match event {
            storage::Event::Loaded { id, content } if self.filter_loaded(id, &content, draft) => {}
            storage::Event::Loaded { id, content } => match content {
                Ok(content) => {
                    if let Some((number, signal)) = self.running(id) {
                        self.order_play(number, &signal, content, draft);
                    }
                }
                Err(status) => self.played(id, status, draft),
            },
            storage::Event::Ended { record, why } => {
                let Some((number, signal)) = self.running(record) else {
                    return;
                };
                let end = match why {
                    Ending::Full => End::Completed,
                    Ending::Failed(_) => {
                        self.tell_loss(number, &signal, draft.now);
                        End::Failed
                    }
                };
                self.end_signal(number, &signal, end, draft);
            }
            storage::Event::Lost { record } => {
                let Some((number, signal)) = self.running(record) else {
                    return;
                };
                let termination = self.terminations.get_mut(&number);
                let running = termination.and_then(|t| t.runs.get_mut(&record));
                if running.is_some_and(|r| !core::mem::replace(&mut r.is_loss_told, true)) {
                    self.tell_loss(number, &signal, draft.now);
                    self.flush(number);
                }
            }
        }
    }

    fn tell_loss(&mut self, number: u32, signal: &Lasting, now: Instant) {
        let session = SessionKey {
            termination: number,
            stream: signal.stream,
        };
        self.observe(now, session, MESSFAIL, &[]);
    }

    /// An event ends all of a termination's signals.
    pub(super) fn interrupt_signals(&mut self, number: u32, draft: &mut Draft) {
        let Some(termination) = self.terminations.get(&number) else {
            return;
        };
        let mut settings = termination.settings.clone();
        let signals = core::mem::take(&mut settings.signals);
        settings.place_recordings();
        self.put_settings(number, settings, &BTreeSet::new(), draft);
        for signal in signals {
            self.halt(number, &signal, draft);
            self.tell_end(number, &signal, End::Interrupted, draft.now);
        }
        self.flush(number);
    }

    /// The time of a signal is over.
    pub(super) fn time_out_signal(&mut self, serial: u64, draft: &mut Draft) {
        if let Some((number, signal)) = self.running(serial) {
            self.end_signal(number, &signal, End::Completed, draft);
        }
    }

    /// A signal has ended while its descriptor was in force.
    fn end_signal(&mut self, number: u32, signal: &Lasting, end: End, draft: &mut Draft) {
        self.halt(number, signal, draft);
        self.tell_end(number, signal, end, draft.now);
        let Some(termination) = self.terminations.get(&number) else {
            return;
        };
        let mut settings = termination.settings.clone();
        settings.signals.retain(|s| s.serial != signal.serial);
        settings.place_recordings();
        self.put_settings(number, settings, &BTreeSet::new(), draft);
        self.start_ready(number, draft);
        self.flush(number);
    }

    fn tell_end(&mut self, number: u32, signal: &Lasting, end: End, now: Instant) {
        let session = SessionKey {
            termination: number,
            stream: signal.stream,
        };
        self.tell_completion(session, (signal.list, &signal.signal), end, now);
    }

    /// Tells of signals that were over at once: what becomes of a connection is told by other events.
    pub(super) fn tell_brief(
        &mut self,
        number: u32,
        brief: &[(Option<u16>, Signal)],
        now: Instant,
    ) {
        for (list, signal) in brief {
            let session = SessionKey {
                termination: number,
                stream: signal.stream.unwrap_or(0),
            };
            self.tell_completion(session, (*list, signal), End::Completed, now);
        }
        self.flush(number);
    }

    /// Tells how a signal ended, if it asked for that.
    fn tell_completion(
        &mut self,
        session: SessionKey,
        (list, signal): (Option<u16>, &Signal),
        end: End,
        now: Instant,
    ) {
        if !end.is_wanted(signal) {
            return;
        }
        let mut parms = vec![
            parm("SigID", quoted(&written(&signal.name))),
            parm("Meth", plain(end.method())),
        ];
        if let Some(list) = list {
            parms.push(parm("SLID", plain(list.to_string())));
        }
        if let Some(id) = signal.request_id {
            parms.push(parm("RID", plain(id.to_string())));
        }
        self.observe(now, session, COMPLETION, &parms);
    }
}
