//! What goes from the gateway to the controller on its own account: Notify.

use std::collections::BTreeMap;

use clock::{Duration, Instant};
use h248::ast::{
    ActionRequest, Command, ContextId, EventSpec, Events, ObservedEvent, ObservedEvents, Parm,
    PropertyValue, TerminationId, Value,
};
use h248_endpoint::time_stamp;
use switch::{LossCause, SessionKey};

use super::core::{Alarm, Core};
use super::draft::{Draft, Slot};
use super::fault::{percent_escaped, quotable};
use super::limits::{HEARTBEAT_DEFAULT, NOTIFY_QUEUE_MAX};
use super::mess::MSRS;
use super::mirror::Stream;
use super::package::{self, BNC_CHANGE, CAUSE, HEARTBEAT, IDLE, NETFAIL, NICK, TLS_CHANGE, plain};
use super::recmess::MESSFAIL;
use super::signals::COMPLETION;

/// A Notify for the controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub termination: u32,
    pub action: ActionRequest,
}

/// What takes more than an event.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// Terminations whose counters must be looked at.
    pub counts: Vec<u32>,
    /// Contexts have been kept for long enough.
    pub is_release: bool,
    /// Signals whose time is over.
    pub signals: Vec<u64>,
    /// Terminations, and ROOT (`None`), whose ServiceChange takes effect.
    pub services: Vec<Option<u32>>,
}

/// Events that end no signals, KeepActive or not: those that tell of the signals themselves, and the
/// heartbeat of control.
const SIGNALS_OUTLAST: [(&str, &str); 4] = [COMPLETION, MSRS, MESSFAIL, HEARTBEAT];

/// Error codes by which a controller says that it does not know the termination (any more).
const UNKNOWN_TO_CONTROLLER: [u16; 4] = [411, 430, 431, 435];

/// After what silence a termination's heartbeat is due, if it is armed.
pub(super) fn heartbeat_of(events: &Events) -> Option<Duration> {
    let spec = armed(events, (HEARTBEAT, &[]), None)?;
    let after = number(spec, "timerx").map_or(HEARTBEAT_DEFAULT, Duration::from_secs);
    (after > Duration::ZERO).then_some(after)
}

/// A parameter that is a number (which was checked when it was armed); `None` when it is not there.
pub(super) fn number(spec: &EventSpec, name: &str) -> Option<u64> {
    let parm = spec.parms.iter().find(|p| p.name == *name)?;
    package::one(&parm.value).and_then(package::integer)
}

/// The entry of an Events descriptor that asks for this event on this stream.
/// A word that both have, such as `Type` of `BNCChange`, must be the same; numbers are thresholds.
fn armed<'a>(
    events: &'a Events,
    (name, parms): ((&str, &str), &[Parm]),
    stream: Option<u16>,
) -> Option<&'a EventSpec> {
    let is_same = |asked: &Parm| {
        let seen = parms.iter().find(|p| p.name == asked.name);
        let values = seen.map(|seen| (package::one(&seen.value), package::one(&asked.value)));
        match values {
            Some((Some(seen), Some(asked))) => {
                package::integer(seen).is_some() || seen.text.eq_ignore_ascii_case(&asked.text)
            }
            _ => true,
        }
    };
    events.events.iter().find(|spec| {
        let wanted = spec.stream.filter(|s| *s != 0);
        package::covers(&spec.name, name)
            && wanted.is_none_or(|w| stream == Some(w))
            && spec.parms.iter().all(is_same)
    })
}

impl Core {
    /// A session got its connection.
    pub(super) fn connected(&mut self, now: Instant, session: SessionKey) {
        self.changed(now, session, "Est");
        self.flush(session.termination);
    }

    /// A session lost its connection, or could not get one.
    pub(super) fn disconnected(&mut self, now: Instant, session: SessionKey, cause: LossCause) {
        let (general, text) = explain(cause);
        let is_failure = cause != LossCause::Released;
        let quoted = Value {
            text: quotable(&text).into(),
            quoted: true,
        };
        let parms = [
            parm("Generalcause", plain(general)),
            parm("Failurecause", quoted),
        ];
        if is_failure {
            self.observe(now, session, CAUSE, &parms);
        }
        match cause {
            LossCause::Error(_) | LossCause::ConnectFailed(_) => {
                self.observe(now, session, NETFAIL, &[])
            }
            LossCause::Closed
            | LossCause::Protocol
            | LossCause::TooSlow { .. }
            | LossCause::Security(_)
            | LossCause::NeverBound
            | LossCause::Released => {}
        }
        self.changed(now, session, "Rel");
        self.flush(session.termination);
    }

    /// A connection, and the TLS session on it, has come or gone.
    fn changed(&mut self, now: Instant, session: SessionKey, change: &str) {
        let parms = [parm("Type", plain(change))];
        self.observe(now, session, BNC_CHANGE, &parms);
        let termination = self.terminations.get(&session.termination);
        let stream = termination.and_then(|t| t.settings.streams.get(session.stream));
        if stream.is_some_and(Stream::is_secure) {
            self.observe(now, session, TLS_CHANGE, &parms);
        }
    }

    /// Nothing came from the participant for as long as `xmrf/idle` says.
    pub(super) fn idle(&mut self, now: Instant, session: SessionKey) {
        self.observe(now, session, IDLE, &[]);
        self.flush(session.termination);
    }

    /// The participant took a nickname, or (empty) gave its own back.
    pub(super) fn renamed(&mut self, now: Instant, session: SessionKey, nickname: Option<&str>) {
        let nick = Value {
            text: percent_escaped(nickname.unwrap_or_default()).into(),
            quoted: true,
        };
        self.observe(now, session, NICK, &[parm("nick", nick)]);
        self.flush(session.termination);
    }

    /// Fires the events that are due by the clock; what else is due.
    pub(super) fn beat(&mut self, now: Instant) -> Due {
        let mut due = Due::default();
        while let Some(alarm) = self.timers.expired(now) {
            let number = match alarm {
                Alarm::Heartbeat(number) => number,
                Alarm::Silence => {
                    self.ask_for_life(now);
                    continue;
                }
                Alarm::Alone => {
                    due.is_release = true;
                    continue;
                }
                Alarm::Signal(serial) => {
                    due.signals.push(serial);
                    continue;
                }
                Alarm::Quota(number) => {
                    due.counts.push(number);
                    continue;
                }
                Alarm::Service(of) => {
                    due.services.push(of);
                    continue;
                }
            };
            if let Some(termination) = self.terminations.get_mut(&number) {
                termination.heartbeat = None;
            }
            let session = SessionKey {
                termination: number,
                stream: 0,
            };
            self.observe(now, session, HEARTBEAT, &[]);
            self.flush(number);
            self.touch(number, now);
        }
        due
    }

    pub(super) fn observe(
        &mut self,
        now: Instant,
        session: SessionKey,
        name: (&str, &str),
        parms: &[Parm],
    ) {
        let time = time_stamp(now, self.config.epoch);
        let Some(termination) = self.terminations.get_mut(&session.termination) else {
            return;
        };
        let stream = Some(session.stream).filter(|s| *s != 0);
        let Some(spec) = armed(&termination.settings.events, (name, parms), stream) else {
            return;
        };
        let event = ObservedEvent {
            time,
            name: package::item(name),
            stream: spec.stream,
            parms: parms.to_vec(),
        };
        let has_signals = !termination.settings.signals.is_empty();
        if has_signals && !spec.keep_active && !SIGNALS_OUTLAST.contains(&name) {
            self.interrupted.insert(session.termination);
        }
        let request_id = termination.settings.events.request_id.unwrap_or_default();
        let queue = &mut termination.notify.queue;
        if queue.len() == NOTIFY_QUEUE_MAX {
            queue.remove(0);
            self.events_dropped += 1;
        }
        queue.push((request_id, event));
    }

    /// Sends what was observed, unless an earlier Notify is still unanswered.
    pub(super) fn flush(&mut self, number: u32) {
        let Some(termination) = self.terminations.get_mut(&number) else {
            return;
        };
        let state = &mut termination.notify;
        if state.is_outstanding {
            return;
        }
        if termination.settings.events.request_id.is_none() {
            // The controller wants to be told nothing any more.
            state.queue.clear();
            return;
        }
        let Some(observed) = take_observed(&mut state.queue) else {
            return;
        };
        state.is_outstanding = true;
        let context = ContextId::Id(termination.context);
        let action = notify_action(context, termination.id(), observed);
        self.notices.push_back(Notice {
            termination: number,
            action,
        });
    }

    /// The Notify of an event of ROOT, if the controller has armed it; `id` names it.
    pub(super) fn root_notice(&self, now: Instant, id: u32, name: (&str, &str)) -> Option<Notice> {
        let spec = armed(&self.root_events, (name, &[]), None)?;
        let event = ObservedEvent {
            time: time_stamp(now, self.config.epoch),
            name: package::item(name),
            stream: spec.stream,
            parms: Vec::new(),
        };
        let observed = ObservedEvents {
            request_id: self.root_events.request_id?,
            events: vec![event],
        };
        let action = notify_action(ContextId::Null, TerminationId::Root, observed);
        Some(Notice {
            termination: id,
            action,
        })
    }

    /// A Notify was answered, with this error if any; `None` when nobody answered.
    pub(super) fn notified(&mut self, number: u32, error: Option<u16>, draft: &mut Draft) {
        let Some(termination) = self.terminations.get_mut(&number) else {
            return;
        };
        termination.notify.is_outstanding = false;
        let is_unknown = error.is_some_and(|code| UNKNOWN_TO_CONTROLLER.contains(&code));
        if is_unknown && heartbeat_of(&termination.settings.events).is_some() {
            // Nobody would ever subtract it: what hangterm is for (H.248.36).
            let slot = draft.slot(Slot::new(Vec::new()));
            self.remove(number, slot, &BTreeMap::new(), draft);
            return;
        }
        self.flush(number);
    }
}

/// The oldest events that one Notify can tell: those of one RequestID.
fn take_observed(queue: &mut Vec<(u32, ObservedEvent)>) -> Option<ObservedEvents> {
    let request_id = queue.first()?.0;
    let end = queue.iter().position(|(id, _)| *id != request_id);
    let events = queue.drain(..end.unwrap_or(queue.len()));
    Some(ObservedEvents {
        request_id,
        events: events.map(|(_, event)| event).collect(),
    })
}

fn notify_action(
    context: ContextId,
    termination: TerminationId,
    observed: ObservedEvents,
) -> ActionRequest {
    let command = Command::Notify {
        terminations: termination.into(),
        observed,
        error: None,
    };
    ActionRequest::new(context, [command])
}

pub(super) fn parm(name: &str, value: Value) -> Parm {
    Parm {
        name: name.into(),
        value: PropertyValue::Is(value),
    }
}

/// `Generalcause` of package `g` and a text.
fn explain(cause: LossCause) -> (&'static str, String) {
    match cause {
        LossCause::Closed => ("NR", "TCP connection closed by the participant".to_owned()),
        LossCause::Error(error) => ("FT", format!("TCP connection failed: {error}")),
        LossCause::ConnectFailed(error) => ("FT", format!("TCP connect failed: {error}")),
        LossCause::Protocol => ("IW", "MSRP protocol broken by the participant".to_owned()),
        LossCause::TooSlow { limit_bytes } => (
            "UR",
            format!("participant reads too slowly: {limit_bytes} octets queued"),
        ),
        LossCause::Released => ("NR", "released by the controller".to_owned()),
        LossCause::Security(misfit) => ("FT", format!("TLS: {misfit}")),
        LossCause::NeverBound => ("FT", "no MSRP request arrived in time".to_owned()),
    }
}
