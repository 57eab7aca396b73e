//! What a new Signals descriptor makes of the signals that go on (H.248.1 section 7.1.11).
//!
//! ```text
//! a list whose id is there already   goes on as it is, whatever it holds now
//! KeepActive                         goes on if it is playing, else it is ignored
//! all others                         are new
//! ```

use h248::ast::{Signal, SignalType};

use super::core::Core;
use super::fault::{Fault, written};
use super::limits::SIGNALS_MAX;
use super::mess::Play;
use super::mirror::Settings;
use super::package::SignalKind;
use super::recmess::Record;
use super::signals::{Action, Lasting, lasts};

impl Core {
    /// Adds a signal that goes on, its list and whether something was left to us to those of a new
    /// Signals descriptor; `before` are the old ones.
    pub(super) fn plan(
        &mut self,
        settings: &mut Settings,
        before: &[Lasting],
        (list, mut signal, mut is_chosen): (Option<u16>, Signal, bool),
        kind: SignalKind,
    ) -> Result<(), Fault> {
        if list.is_some() && before.iter().any(|b| b.list == list) {
            if settings.signals.iter().all(|s| s.list != list) {
                let old = before.iter().filter(|b| b.list == list);
                settings.signals.extend(old.cloned());
            }
            return Ok(());
        }
        if signal.keep_active {
            let mut playing = before.iter().filter(|b| b.list.is_none());
            let playing = playing.find(|b| is_same(&b.signal, &signal));
            settings.signals.extend(playing.cloned());
            return Ok(());
        }
        check_place(settings, list, &signal)?;
        let stream = stream_of(settings, &signal)?;
        self.last_signal += 1;
        let serial = self.last_signal;
        let action = if kind == SignalKind::PlayMessage {
            Action::Play(Play::read(&signal.parms, self.config.has_storage)?)
        } else {
            let random = self.random();
            let record = Record::read(&signal.parms, || format!("recordings/{random:032x}"))?;
            record.fill_in(&mut signal.parms);
            is_chosen |= record.is_chosen;
            Action::Record(record)
        };
        settings.signals.push(Lasting {
            serial,
            list,
            stream,
            signal,
            is_chosen,
            action,
        });
        Ok(())
    }
}

fn is_same(one: &Signal, other: &Signal) -> bool {
    one.name == other.name && one.stream == other.stream && one.parms == other.parms
}

fn check_place(settings: &Settings, list: Option<u16>, signal: &Signal) -> Result<(), Fault> {
    if settings.signals.len() >= SIGNALS_MAX {
        let what = format!("{SIGNALS_MAX} signals");
        return Err(Fault::InsufficientResources(what));
    }
    if signal.kind == Some(SignalType::TimeOut) && signal.duration.is_none() {
        return Err(Fault::ParameterMissing("Duration of a time-out signal"));
    }
    // Nothing after it would ever be played.
    let is_endless =
        |s: &Lasting| matches!(s.action, Action::Record(_)) && lasts(&s.signal).is_none();
    let mut earlier = settings.signals.iter().filter(|s| s.list == list);
    if list.is_some() && earlier.any(is_endless) {
        let what = "on/off before the end of a list".to_owned();
        return Err(Fault::ValueUnsupported(what));
    }
    Ok(())
}

/// The stream that a signal names, or the first.
fn stream_of(settings: &Settings, signal: &Signal) -> Result<u16, Fault> {
    let wanted = signal.stream.filter(|s| *s != 0);
    let stream = wanted.or_else(|| settings.streams.ids().next());
    let stream = stream.filter(|s| settings.streams.contains(*s));
    stream.ok_or_else(|| match wanted {
        Some(stream) => Fault::ValueUnsupported(format!("Stream={stream}")),
        None => Fault::SignalUngenerable(written(&signal.name)),
    })
}
