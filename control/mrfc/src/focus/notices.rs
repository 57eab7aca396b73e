//! Notices to participants that know no chat rooms (RFC 7701 11): the focus words them, the MRFP sends
//! them (`mess/sm` of H.248.69).
//!
//! ```text
//! roster changed -> Listener::poll -> Modify with mess/sm -> Notify mess/msrs -> Listener::answered
//! ```

use super::{Controller, Focus, Leg, ParticipantId, Room, Sip, Task, Timer, add, info};
use crate::commands::{Message, play};
use crate::terms::Profile;
use clock::TimerKey;
use conference::SeatState;
use conference::notice::{Listener, Outcome, Step};
use h248::ast::StreamMode;

/// What a participant was told.
pub(super) struct Told {
    pub(super) listener: Listener,
    pub(super) wake: Option<TimerKey>,
    /// Notices sent: names the one under way.
    count: u64,
}

impl Told {
    fn name(&self) -> String {
        format!("notice-{}", self.count)
    }
}

/// How a text reaches a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Wrapped,
    Bare,
}

impl<S: Sip, H: Controller> Focus<S, H> {
    /// The roster of a conference changed.
    pub(super) fn tell_listeners(&mut self, name: &str) {
        let room = self.rooms.get_mut(name);
        let Some(room) = room.filter(|room| room.terms.notices.is_some()) else {
            return;
        };
        for id in core::mem::take(&mut room.quiet_listeners) {
            self.tell_listener(id);
        }
    }

    /// Does what is due for one participant.
    pub(super) fn tell_listener(&mut self, id: ParticipantId) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        if let Some(key) = leg.told.as_mut().and_then(|told| told.wake.take()) {
            self.timers.cancel(key);
        }
        let name = leg.conference.clone();
        if let Some(room) = self.rooms.get_mut(&name) {
            room.quiet_listeners.remove(&id);
        }
        self.refresh_roster(&name);
        loop {
            match self.poll_listener(&name, id) {
                Step::Tell(since) => self.send_notice(&name, id, since),
                Step::Idle => {
                    if let Some(room) = self.rooms.get_mut(&name) {
                        room.quiet_listeners.insert(id);
                    }
                    return;
                }
                Step::Over => return,
                Step::Wait(at) => {
                    let key = self.timers.arm(at, Timer::NoticeDue(id));
                    if let Some(told) = self.told(id) {
                        told.wake = Some(key);
                    }
                    return;
                }
            }
        }
    }

    fn told(&mut self, id: ParticipantId) -> Option<&mut Told> {
        self.legs.get_mut(&id)?.told.as_mut()
    }

    fn poll_listener(&mut self, name: &str, id: ParticipantId) -> Step {
        let now = self.now();
        let (Some(room), Some(leg)) = (self.rooms.get(name), self.legs.get_mut(&id)) else {
            return Step::Over;
        };
        let seat = room.conference.participant(id);
        let is_here = seat.is_some_and(|seat| seat.state == SeatState::Connected);
        if !is_here || form(room, leg).is_none() {
            // Until it stands otherwise itself.
            return Step::Over;
        }
        let told = leg.told.get_or_insert_with(|| Told {
            listener: Listener::new(now),
            wake: None,
            count: 0,
        });
        told.listener.poll(now, room.roster.generation())
    }

    fn send_notice(&mut self, name: &str, id: ParticipantId, since: Option<u64>) {
        let (Some(room), Some(leg)) = (self.rooms.get(name), self.legs.get_mut(&id)) else {
            return;
        };
        let (form, placed) = (form(room, leg), leg.placed.as_ref());
        let (Some(form), Some(placed), Some(told)) = (form, placed, leg.told.as_mut()) else {
            return;
        };
        let listener = leg.identity.shown(id.0);
        let uri = room.uri.as_ref().map_or("", |uri| uri.as_str());
        let news = room.roster.news(since, &listener);
        let texts = room.terms.notices.as_ref();
        let Some(text) = texts.and_then(|texts| texts.notice(uri, &news)) else {
            return told.listener.answered(Outcome::Taken);
        };
        told.count += 1;
        let (media_type, body) = match form {
            Form::Bare => ("text/plain;charset=utf-8", text),
            Form::Wrapped => {
                let subject = room.terms.subject.as_deref();
                let body = wrapped(subject, uri, &listener, &text);
                ("message/cpim", body)
            }
        };
        let message = Message {
            name: &told.name(),
            media_type,
            body: &body,
        };
        let (mrfp, action) = (placed.mrfp.clone(), play(&placed.added, &message));
        add(&self.counters.notices, 1);
        if self.send(&mrfp, action, Task::Notice(id)).is_none() {
            self.end_notice(id, Outcome::Lost);
        }
    }

    /// What became of a message that the MRFP was to send.
    pub(super) fn notice_told(&mut self, id: ParticipantId, name: &str, status: u16) {
        // One that was given up may be told of later than its successor was sent.
        if self.told(id).is_some_and(|told| told.name() == name) {
            self.notice_over(id, Outcome::of_status(status));
        }
    }

    pub(super) fn notice_over(&mut self, id: ParticipantId, outcome: Outcome) {
        self.end_notice(id, outcome);
        self.tell_listener(id);
    }

    fn end_notice(&mut self, id: ParticipantId, outcome: Outcome) {
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let Some(told) = &mut leg.told else {
            return;
        };
        told.listener.answered(outcome);
        if outcome != Outcome::Taken {
            add(&self.counters.notices_failed, 1);
            info!(conference = %leg.conference, leg = id.0, call_id = %leg.call_id, ?outcome,
                "a notice did not arrive");
        }
    }
}

/// How a text reaches a participant that knows no chat rooms; not at all while it is on hold, or where
/// it takes no text.
fn form(room: &Room, leg: &Leg) -> Option<Form> {
    let offer = leg.offer.as_ref().filter(|offer| !offer.knows_rooms())?;
    let listens = match offer.mode() {
        StreamMode::SendReceive | StreamMode::SendOnly => true,
        StreamMode::ReceiveOnly | StreamMode::Inactive | StreamMode::Loopback => false,
    };
    if room.terms.notices.is_none() || !listens {
        None
    } else if offer.takes_wrapped("text/plain") {
        Some(Form::Wrapped)
    } else {
        // Everything in a chat room is wrapped (RFC 7701 5.2).
        let is_bare = room.terms.profile == Profile::ThreeGpp && offer.takes("text/plain");
        is_bare.then_some(Form::Bare)
    }
}

/// Message/CPIM (RFC 3862): the conference speaks to one participant.
fn wrapped(subject: Option<&str>, room: &str, listener: &str, text: &str) -> String {
    let name = subject.map_or(String::new(), |subject| {
        let quoted = subject.replace('\\', "\\\\").replace('"', "\\\"");
        let one_line = quoted.chars().filter(|c| !c.is_control());
        format!("\"{}\" ", one_line.collect::<String>())
    });
    format!(
        "From: {name}<{room}>\r\nTo: <{listener}>\r\n\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\n{text}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_stays_within_its_quotes() {
        assert_eq!(
            wrapped(Some("a\"b\r\nTo: c\\"), "sip:r@x", "sip:a@x", "hi"),
            "From: \"a\\\"bTo: c\\\\\" <sip:r@x>\r\nTo: <sip:a@x>\r\n\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\r\nhi"
        );
        let plain = wrapped(None, "sip:r@x", "sip:a@x", "hi");
        assert!(plain.starts_with("From: <sip:r@x>\r\n"), "{plain}");
    }
}
