//! One conference: seats, and the context that mixes them.
//!
//! ```text
//! seat   Waiting -mixer open-> Adding -ready-> Answered -ACK-> Connected         (it called)
//!                                    -ready-> Dialing -200-> Configuring -modified-> Connected
//!                                                                              (we called it)
//!        any of them -left, expelled, not acknowledged-> Leaving (subtract) -done-> gone
//!
//! mixer  None -first Add-> Opening -ready-> Open -last subtract-> Closing -done-> None
//!        any -association lost-> Lost -back with its contexts-> Open
//!                                     -back without them, or grace over-> None, all hung up
//! ```
//!
//! While the mixer is Opening or Closing joins wait, so that two at once share one context and
//! none aims at a context that is about to go. A subtract that would empty the context waits
//! while an Add into it is on its way.

use crate::event::{
    Event, Hangup, Intent, MixerFailure, Participant, ParticipantId, Refusal, SeatState,
};
use crate::seats::{Answered, Asked, Seats};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mixer {
    None,
    Opening,
    Open,
    Closing,
    Lost,
}

/// The state of one conference.
#[derive(Clone, Debug)]
pub struct Conference {
    seats: Seats,
    seats_max: usize,
    mixer: Mixer,
    is_closing: bool,
    is_locked: bool,
    /// With whom it ends.
    host: Option<ParticipantId>,
}

impl Conference {
    /// An empty conference.
    #[must_use]
    pub fn new(seats_max: usize) -> Self {
        Self {
            seats: Seats::default(),
            seats_max,
            mixer: Mixer::None,
            is_closing: false,
            is_locked: false,
            host: None,
        }
    }

    /// Takes in one event and says what to do, in this order. Events for unknown participants,
    /// and those that come too late to matter, do nothing.
    pub fn apply(&mut self, event: Event) -> Vec<Intent> {
        let mut out = Vec::new();
        let was_empty = self.is_empty();
        match event {
            Event::Invited(id) => self.handle_new(id, false, &mut out),
            Event::DialOut(id) => self.handle_new(id, true, &mut out),
            Event::Alerted(id) => self.handle_alerted(id, &mut out),
            Event::Accepted(id) => self.handle_accepted(id, &mut out),
            Event::TerminationReady(id) => self.handle_ready(id, &mut out),
            Event::TerminationFailed(id, why) => self.handle_failed(id, why, &mut out),
            Event::Acked(id) => self.handle_acked(id, &mut out),
            Event::Left(id) => self.handle_gone(id, None, &mut out),
            Event::Expelled(id, why) => self.handle_gone(id, Some(why), &mut out),
            Event::Subtracted(id) => self.handle_subtracted(id, &mut out),
            Event::Reoffered(id) => self.handle_reoffered(id, &mut out),
            Event::Changed(id) => self.handle_changed(id, None, &mut out),
            Event::ChangeFailed(id, why) => self.handle_changed(id, Some(why), &mut out),
            Event::ModeSet(id) => self.handle_mode(id, None, &mut out),
            Event::ModeFailed(id, why) => self.handle_mode(id, Some(why), &mut out),
            Event::ModeDue(id) => self.settle_mode(id, &mut out),
            Event::Hosted(id) => self.host = Some(id),
            Event::Muted(id, is_muted) => self.handle_muted(id, is_muted, &mut out),
            Event::Locked(is_locked) => self.handle_locked(is_locked, &mut out),
            Event::MixerLost => self.handle_lost(&mut out),
            Event::MixerBack { kept } => self.handle_back(kept, &mut out),
            Event::GraceOver => self.handle_back(false, &mut out),
            Event::Closed => self.handle_closed(&mut out),
        }
        self.follow_host(&mut out);
        self.settle(&mut out);
        if self.is_empty() {
            // What is provisioned begins anew with the next join.
            (self.is_closing, self.is_locked) = (false, self.is_locked && was_empty);
            if !was_empty {
                out.push(Intent::Ended);
            }
        }
        out
    }

    /// Nobody is here and no context exists or may exist.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seats.is_empty() && self.mixer == Mixer::None
    }

    /// Everybody, in the order of joining.
    pub fn roster(&self) -> impl Iterator<Item = Participant> {
        self.seats.iter()
    }

    /// One of them.
    #[must_use]
    pub fn participant(&self, id: ParticipantId) -> Option<Participant> {
        self.seats.get(id)
    }

    /// Whether nobody is let in.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.is_locked
    }

    /// How many may take part.
    #[must_use]
    pub fn seats_max(&self) -> usize {
        self.seats_max
    }

    fn handle_new(&mut self, id: ParticipantId, is_called: bool, out: &mut Vec<Intent>) {
        let refusal = if self.is_closing {
            Some(Refusal::Closing)
        } else if self.is_locked && !is_called {
            Some(Refusal::Locked)
        } else if self.mixer == Mixer::Lost {
            Some(Refusal::MixerUnavailable)
        } else if self.seats.staying() >= self.seats_max {
            Some(Refusal::Full)
        } else {
            None
        };
        match refusal {
            Some(why) => out.extend([Intent::Refuse(id, why), Intent::Release(id)]),
            // `settle` says what the context's state allows.
            None => self.seats.insert(id, is_called),
        }
    }

    fn handle_ready(&mut self, id: ParticipantId, out: &mut Vec<Intent>) {
        let Some(seat) = self.seats.get(id) else {
            return;
        };
        let SeatState::Adding { is_gone } = seat.state else {
            return;
        };
        if self.mixer == Mixer::Opening {
            self.mixer = Mixer::Open;
        }
        self.seats.answer(id, Answered::Done);
        if is_gone {
            self.set(id, SeatState::Leaving { is_sent: false });
        } else if seat.is_called {
            self.set(id, SeatState::Dialing);
            out.extend([Intent::Dial(id), Intent::PublishSeat(id)]);
        } else {
            self.set(id, SeatState::Answered);
            out.push(Intent::Answer(id));
            self.settle_mode(id, out);
        }
    }

    fn handle_alerted(&mut self, id: ParticipantId, out: &mut Vec<Intent>) {
        if self.state(id) == Some(SeatState::Dialing) {
            out.push(Intent::PublishSeat(id));
        }
    }

    fn handle_accepted(&mut self, id: ParticipantId, out: &mut Vec<Intent>) {
        if self.state(id) == Some(SeatState::Dialing) {
            self.set(id, SeatState::Configuring);
            self.change(id, out);
        }
    }

    fn handle_muted(&mut self, id: ParticipantId, is_muted: bool, out: &mut Vec<Intent>) {
        if let Some(seat) = self.seats.get(id)
            && !is_leaving(&seat.state)
            && seat.is_muted != is_muted
        {
            self.seats.mute(id, is_muted);
            match seat.state {
                // Others do not see it yet, and what it waits for says it, or is followed by it.
                SeatState::Waiting | SeatState::Adding { .. } | SeatState::Dialing => {}
                SeatState::Answered
                | SeatState::Configuring
                | SeatState::Connected
                | SeatState::Leaving { .. } => {
                    self.settle_mode(id, out);
                    out.push(Intent::PublishSeat(id));
                }
            }
        }
    }

    /// Has the mixer told what a participant may do, once it has answered what it was asked before: that may have
    /// been asked with another mode, and by UDP it may come later.
    fn settle_mode(&mut self, id: ParticipantId, out: &mut Vec<Intent>) {
        let is_there = matches!(
            self.state(id),
            Some(SeatState::Answered | SeatState::Connected)
        );
        if is_there
            && self.mixer != Mixer::Lost
            && self.seats.asked(id) == Asked::Nothing
            && self.seats.is_mode_due(id)
        {
            self.seats.ask(id, Asked::Mode);
            out.push(Intent::SetMode(id));
        }
    }

    fn handle_locked(&mut self, is_locked: bool, out: &mut Vec<Intent>) {
        if self.is_locked != is_locked {
            self.is_locked = is_locked;
            out.push(Intent::PublishRoster);
        }
    }

    fn handle_failed(&mut self, id: ParticipantId, why: MixerFailure, out: &mut Vec<Intent>) {
        let Some(SeatState::Adding { is_gone }) = self.state(id) else {
            return;
        };
        if self.mixer == Mixer::Opening {
            self.mixer = Mixer::None;
        }
        if !is_gone {
            out.push(Intent::Refuse(id, why.into()));
        }
        self.release(id, out);
    }

    fn handle_acked(&mut self, id: ParticipantId, out: &mut Vec<Intent>) {
        if self.state(id) == Some(SeatState::Answered) {
            self.set(id, SeatState::Connected);
            out.push(Intent::PublishSeat(id));
        }
    }

    /// A leg ends: by itself, or (`why`) because the focus ends it.
    fn handle_gone(&mut self, id: ParticipantId, why: Option<Hangup>, out: &mut Vec<Intent>) {
        let Some(state) = self.state(id) else {
            return;
        };
        match state {
            SeatState::Waiting => {
                if why.is_some() {
                    out.push(Intent::Refuse(id, Refusal::Closing));
                }
                self.release(id, out);
            }
            SeatState::Adding { is_gone: false } => {
                self.set(id, SeatState::Adding { is_gone: true });
                if why.is_some() {
                    out.push(Intent::Refuse(id, Refusal::Closing));
                }
            }
            SeatState::Answered
            | SeatState::Dialing
            | SeatState::Configuring
            | SeatState::Connected => {
                self.set(id, SeatState::Leaving { is_sent: false });
                out.extend(why.map(|why| Intent::HangUp(id, why)));
                if state != SeatState::Answered {
                    out.push(Intent::PublishSeat(id));
                }
            }
            SeatState::Adding { is_gone: true } | SeatState::Leaving { .. } => {}
        }
    }

    fn handle_subtracted(&mut self, id: ParticipantId, out: &mut Vec<Intent>) {
        if self.state(id) == Some(SeatState::Leaving { is_sent: true }) {
            self.release(id, out);
        }
    }

    fn handle_reoffered(&mut self, id: ParticipantId, out: &mut Vec<Intent>) {
        if self.state(id).as_ref().is_some_and(is_seated) {
            self.change(id, out);
        } else {
            out.push(Intent::RefuseChange(id, Refusal::Closing));
        }
    }

    /// Has a new offer brought into force, once the mixer has answered what it was asked before.
    fn change(&mut self, id: ParticipantId, out: &mut Vec<Intent>) {
        if self.mixer != Mixer::Open {
            out.push(Intent::RefuseChange(id, Refusal::MixerUnavailable));
            return;
        }
        let under_way = match self.seats.asked(id) {
            Asked::Mode => return self.seats.owe_change(id),
            Asked::Changes(count) => count,
            Asked::Nothing => 0,
        };
        self.seats.ask(id, Asked::Changes(under_way + 1));
        out.push(Intent::ModifyTermination(id));
    }

    /// The mixer has answered what the participant may do, or has not.
    fn handle_mode(&mut self, id: ParticipantId, why: Option<MixerFailure>, out: &mut Vec<Intent>) {
        let is_there = self.state(id).as_ref().is_some_and(is_seated);
        if !is_there || self.seats.asked(id) != Asked::Mode {
            return;
        }
        self.seats.answer(id, answered(why));
        if self.seats.take_change_due(id) {
            self.change(id, out);
        } else if why.is_none() {
            self.settle_mode(id, out);
        } else if self.mixer != Mixer::Lost {
            out.push(Intent::RetryMode(id));
        }
    }

    fn handle_changed(
        &mut self,
        id: ParticipantId,
        why: Option<MixerFailure>,
        out: &mut Vec<Intent>,
    ) {
        let Some(state) = self.state(id).filter(is_seated) else {
            return;
        };
        self.seats.answer(id, answered(why));
        out.push(match why {
            None => Intent::AnswerChange(id),
            Some(why) => Intent::RefuseChange(id, why.into()),
        });
        if state == SeatState::Configuring && why.is_none() {
            self.set(id, SeatState::Connected);
            out.push(Intent::PublishSeat(id));
        }
        self.settle_mode(id, out);
    }

    fn handle_lost(&mut self, out: &mut Vec<Intent>) {
        if matches!(self.mixer, Mixer::None | Mixer::Lost) {
            return;
        }
        self.mixer = Mixer::Lost;
        out.push(Intent::StartGrace);
        // Who waited was promised nothing yet.
        for id in self.seats.waiting() {
            out.push(Intent::Refuse(id, Refusal::MixerUnavailable));
            self.release(id, out);
        }
    }

    fn handle_back(&mut self, kept: bool, out: &mut Vec<Intent>) {
        if self.mixer != Mixer::Lost {
            return;
        }
        if kept {
            self.mixer = Mixer::Open;
            for id in self.ids() {
                self.settle_mode(id, out);
            }
            return;
        }
        // The terminations went with the mixer: nothing is left to subtract.
        self.mixer = Mixer::None;
        for id in self.ids() {
            match self.state(id) {
                Some(state) if is_seated(&state) => {
                    out.push(Intent::HangUp(id, Hangup::MixerLost));
                }
                Some(SeatState::Adding { is_gone: false }) => {
                    out.push(Intent::Refuse(id, Refusal::MixerUnavailable));
                }
                _ => {}
            }
            self.release(id, out);
        }
        out.push(Intent::PublishRoster);
    }

    fn handle_closed(&mut self, out: &mut Vec<Intent>) {
        self.is_closing = true;
        for id in self.ids() {
            self.handle_gone(id, Some(Hangup::Closing), out);
        }
    }

    /// Ends the conference when its host takes no part any more.
    fn follow_host(&mut self, out: &mut Vec<Intent>) {
        let is_gone =
            |state: SeatState| is_leaving(&state) || state == SeatState::Adding { is_gone: true };
        if let Some(host) = self.host
            && self.state(host).is_none_or(is_gone)
        {
            self.host = None;
            self.handle_closed(out);
        }
    }

    /// Sends what the mixer's state now allows: waiting Adds, held subtracts.
    fn settle(&mut self, out: &mut Vec<Intent>) {
        if self.mixer == Mixer::Lost {
            return;
        }
        if matches!(self.mixer, Mixer::Open | Mixer::Closing)
            && self.seats.terminations() == 0
            && self.seats.adding() == 0
        {
            self.mixer = Mixer::None;
        }
        if self.mixer == Mixer::None {
            // One opens the context, the others wait for its number.
            if let Some(id) = self.seats.first_waiting() {
                self.add(id, true, out);
                self.mixer = Mixer::Opening;
            }
            return;
        }
        if self.mixer == Mixer::Open {
            for id in self.seats.waiting() {
                self.add(id, false, out);
            }
        }
        self.send_subtracts(out);
    }

    fn send_subtracts(&mut self, out: &mut Vec<Intent>) {
        while let Some(id) = self.seats.first_held() {
            let is_last = self.seats.kept() == 1;
            if is_last && self.seats.adding() > 0 {
                return;
            }
            self.set(id, SeatState::Leaving { is_sent: true });
            out.push(Intent::SubtractTermination(id));
            if is_last {
                self.mixer = Mixer::Closing;
            }
        }
    }

    fn add(&mut self, participant: ParticipantId, new_context: bool, out: &mut Vec<Intent>) {
        self.set(participant, SeatState::Adding { is_gone: false });
        self.seats.ask(participant, Asked::Nothing);
        out.push(Intent::AddTermination {
            participant,
            new_context,
        });
    }

    fn release(&mut self, id: ParticipantId, out: &mut Vec<Intent>) {
        self.seats.remove(id);
        out.push(Intent::Release(id));
    }

    fn ids(&self) -> Vec<ParticipantId> {
        self.seats.iter().map(|seat| seat.id).collect()
    }

    fn state(&self, id: ParticipantId) -> Option<SeatState> {
        self.seats.state(id)
    }

    fn set(&mut self, id: ParticipantId, state: SeatState) {
        self.seats.set(id, state);
    }
}

fn answered(why: Option<MixerFailure>) -> Answered {
    match why {
        None => Answered::Done,
        Some(MixerFailure::Unavailable | MixerFailure::Unsupported) => Answered::Refused,
        Some(MixerFailure::Silent) => Answered::Unknown,
    }
}

/// It has a termination that is to stay.
fn is_seated(seat: &SeatState) -> bool {
    matches!(
        seat,
        SeatState::Answered | SeatState::Dialing | SeatState::Configuring | SeatState::Connected
    )
}

fn is_leaving(seat: &SeatState) -> bool {
    matches!(seat, SeatState::Leaving { .. })
}

#[cfg(test)]
#[path = "conference/tests.rs"]
mod tests;
