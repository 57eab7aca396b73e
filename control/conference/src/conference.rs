//! One conference: seats, and the context that mixes them.
//!
//! ```text
//! seat   Waiting -mixer open-> Adding -ready-> Answered -ACK-> Connected
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

use std::collections::BTreeMap;

/// Names a participant's leg for as long as the process lives; grows with the order of joining.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParticipantId(pub u64);

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A new leg asks for a seat.
    Invited(ParticipantId),
    /// Its termination was added.
    TerminationReady(ParticipantId),
    /// Its termination could not be added.
    TerminationFailed(ParticipantId, MixerFailure),
    /// Its 200 was acknowledged.
    Acked(ParticipantId),
    /// It is gone on the SIP side: BYE, CANCEL, no ACK.
    Left(ParticipantId),
    /// The focus removes it.
    Expelled(ParticipantId, Hangup),
    /// The subtract of its termination ended, well or not: it is never repeated.
    Subtracted(ParticipantId),
    /// It offers another session description.
    Reoffered(ParticipantId),
    /// Its termination was changed.
    Changed(ParticipantId),
    /// Its termination could not be changed.
    ChangeFailed(ParticipantId, MixerFailure),
    /// The association with the mixer is lost.
    MixerLost,
    /// The mixer is back; whether it kept its contexts.
    MixerBack {
        /// Contexts and terminations are as they were.
        kept: bool,
    },
    /// The mixer did not come back in time.
    GraceOver,
    /// The conference ends.
    Closed,
}

/// What the shell must now do. Plain data: no SIP or H.248 types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Add a termination to a new context or to the one there is; answer with
    /// [`Event::TerminationReady`] or [`Event::TerminationFailed`].
    AddTermination {
        /// For whom.
        participant: ParticipantId,
        /// Whether the context is to be made.
        new_context: bool,
    },
    /// Accept the INVITE.
    Answer(ParticipantId),
    /// Refuse the INVITE.
    Refuse(ParticipantId, Refusal),
    /// Subtract the termination; answer with [`Event::Subtracted`].
    SubtractTermination(ParticipantId),
    /// Change the termination to the new offer; answer with [`Event::Changed`] or
    /// [`Event::ChangeFailed`].
    ModifyTermination(ParticipantId),
    /// Accept the new offer.
    AnswerChange(ParticipantId),
    /// Refuse the new offer; the session stays as it was.
    RefuseChange(ParticipantId, Refusal),
    /// Send BYE.
    HangUp(ParticipantId, Hangup),
    /// The media side of this leg is over; no event for it will matter any more.
    Release(ParticipantId),
    /// Who is connected changed.
    PublishRoster,
    /// Send [`Event::GraceOver`] after the configured time.
    StartGrace,
    /// Nobody is left and no context exists.
    Ended,
}

/// Why a join or a change is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No seat is free.
    Full,
    /// The conference is ending.
    Closing,
    /// No mixer can serve it now.
    MixerUnavailable,
    /// The mixer does not support what was offered.
    MediaUnsupported,
}

/// Why the mixer did not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MixerFailure {
    /// No mixer, no resources, no answer.
    Unavailable,
    /// The description is not supported.
    Unsupported,
}

impl From<MixerFailure> for Refusal {
    fn from(failure: MixerFailure) -> Self {
        match failure {
            MixerFailure::Unavailable => Self::MixerUnavailable,
            MixerFailure::Unsupported => Self::MediaUnsupported,
        }
    }
}

/// Why the focus ends a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hangup {
    /// Its mixer is gone.
    MixerLost,
    /// Its session cannot go on: no usable answer, or its termination failed.
    MediaFailed,
    /// It did not refresh its session, or did not answer a refresh.
    SessionExpired,
    /// Somebody removed it.
    Removed,
    /// The conference ends.
    Closing,
}

/// Where a participant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeatState {
    /// For the context, to be opened or closed by others.
    Waiting,
    /// For the Add.
    Adding {
        /// The leg is gone: subtract as soon as the Add is answered.
        is_gone: bool,
    },
    /// For the ACK.
    Answered,
    /// In the conference.
    Connected,
    /// For the subtract, or to be subtracted.
    Leaving {
        /// The subtract is on its way.
        is_sent: bool,
    },
}

/// One row of the roster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Participant {
    /// Who.
    pub id: ParticipantId,
    /// Where it stands.
    pub state: SeatState,
}

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
    seats: BTreeMap<ParticipantId, SeatState>,
    seats_max: usize,
    mixer: Mixer,
    is_closing: bool,
}

impl Conference {
    /// An empty conference.
    #[must_use]
    pub fn new(seats_max: usize) -> Self {
        Self {
            seats: BTreeMap::new(),
            seats_max,
            mixer: Mixer::None,
            is_closing: false,
        }
    }

    /// Takes in one event and says what to do, in this order. Events for unknown participants,
    /// and those that come too late to matter, do nothing.
    pub fn apply(&mut self, event: Event) -> Vec<Intent> {
        let mut out = Vec::new();
        let was_empty = self.is_empty();
        match event {
            Event::Invited(id) => self.handle_invited(id, &mut out),
            Event::TerminationReady(id) => self.handle_ready(id, &mut out),
            Event::TerminationFailed(id, why) => self.handle_failed(id, why, &mut out),
            Event::Acked(id) => self.handle_acked(id, &mut out),
            Event::Left(id) => self.handle_gone(id, None, &mut out),
            Event::Expelled(id, why) => self.handle_gone(id, Some(why), &mut out),
            Event::Subtracted(id) => self.handle_subtracted(id, &mut out),
            Event::Reoffered(id) => self.handle_reoffered(id, &mut out),
            Event::Changed(id) => self.handle_changed(id, None, &mut out),
            Event::ChangeFailed(id, why) => self.handle_changed(id, Some(why), &mut out),
            Event::MixerLost => self.handle_lost(&mut out),
            Event::MixerBack { kept } => self.handle_back(kept, &mut out),
            Event::GraceOver => self.handle_back(false, &mut out),
            Event::Closed => self.handle_closed(&mut out),
        }
        self.settle(&mut out);
        if self.is_empty() && !was_empty {
            out.push(Intent::Ended);
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
        let row = |(&id, &state): (&ParticipantId, &SeatState)| Participant { id, state };
        self.seats.iter().map(row)
    }

    fn handle_invited(&mut self, id: ParticipantId, out: &mut Vec<Intent>) {
        let refusal = if self.is_closing {
            Some(Refusal::Closing)
        } else if self.mixer == Mixer::Lost {
            Some(Refusal::MixerUnavailable)
        } else if self.count(|s| !is_leaving(s)) >= self.seats_max {
            Some(Refusal::Full)
        } else {
            None
        };
        match refusal {
            Some(why) => out.extend([Intent::Refuse(id, why), Intent::Release(id)]),
            // `settle` says what the context's state allows.
            None => {
                self.seats.insert(id, SeatState::Waiting);
            }
        }
    }

    fn handle_ready(&mut self, id: ParticipantId, out: &mut Vec<Intent>) {
        let Some(SeatState::Adding { is_gone }) = self.seats.get(&id).copied() else {
            return;
        };
        if self.mixer == Mixer::Opening {
            self.mixer = Mixer::Open;
        }
        if is_gone {
            self.seats.insert(id, SeatState::Leaving { is_sent: false });
        } else {
            self.seats.insert(id, SeatState::Answered);
            out.push(Intent::Answer(id));
        }
    }

    fn handle_failed(&mut self, id: ParticipantId, why: MixerFailure, out: &mut Vec<Intent>) {
        let Some(SeatState::Adding { is_gone }) = self.seats.get(&id).copied() else {
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
        if let Some(seat @ SeatState::Answered) = self.seats.get_mut(&id) {
            *seat = SeatState::Connected;
            out.push(Intent::PublishRoster);
        }
    }

    /// A leg ends: by itself, or (`why`) because the focus ends it.
    fn handle_gone(&mut self, id: ParticipantId, why: Option<Hangup>, out: &mut Vec<Intent>) {
        let Some(seat) = self.seats.get_mut(&id) else {
            return;
        };
        match *seat {
            SeatState::Waiting => {
                if why.is_some() {
                    out.push(Intent::Refuse(id, Refusal::Closing));
                }
                self.release(id, out);
            }
            SeatState::Adding { is_gone: false } => {
                *seat = SeatState::Adding { is_gone: true };
                if why.is_some() {
                    out.push(Intent::Refuse(id, Refusal::Closing));
                }
            }
            SeatState::Answered | SeatState::Connected => {
                let was_connected = *seat == SeatState::Connected;
                *seat = SeatState::Leaving { is_sent: false };
                out.extend(why.map(|why| Intent::HangUp(id, why)));
                if was_connected {
                    out.push(Intent::PublishRoster);
                }
            }
            SeatState::Adding { is_gone: true } | SeatState::Leaving { .. } => {}
        }
    }

    fn handle_subtracted(&mut self, id: ParticipantId, out: &mut Vec<Intent>) {
        if self.seats.get(&id) == Some(&SeatState::Leaving { is_sent: true }) {
            self.release(id, out);
        }
    }

    fn handle_reoffered(&mut self, id: ParticipantId, out: &mut Vec<Intent>) {
        let is_seated = self.seats.get(&id).is_some_and(is_seated);
        out.push(match (is_seated, self.mixer) {
            (true, Mixer::Open) => Intent::ModifyTermination(id),
            (true, _) => Intent::RefuseChange(id, Refusal::MixerUnavailable),
            (false, _) => Intent::RefuseChange(id, Refusal::Closing),
        });
    }

    fn handle_changed(
        &mut self,
        id: ParticipantId,
        why: Option<MixerFailure>,
        out: &mut Vec<Intent>,
    ) {
        if self.seats.get(&id).is_some_and(is_seated) {
            out.push(match why {
                None => Intent::AnswerChange(id),
                Some(why) => Intent::RefuseChange(id, why.into()),
            });
        }
    }

    fn handle_lost(&mut self, out: &mut Vec<Intent>) {
        if matches!(self.mixer, Mixer::None | Mixer::Lost) {
            return;
        }
        self.mixer = Mixer::Lost;
        out.push(Intent::StartGrace);
        // Who waited was promised nothing yet.
        let waiting = self.ids(|s| *s == SeatState::Waiting);
        for id in waiting {
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
            return;
        }
        // The terminations went with the mixer: nothing is left to subtract.
        self.mixer = Mixer::None;
        for id in self.ids(|_| true) {
            match self.seats.get(&id) {
                Some(SeatState::Answered | SeatState::Connected) => {
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
        for id in self.ids(|_| true) {
            self.handle_gone(id, Some(Hangup::Closing), out);
        }
    }

    /// Sends what the mixer's state now allows: waiting Adds, held subtracts.
    fn settle(&mut self, out: &mut Vec<Intent>) {
        if self.mixer == Mixer::Lost {
            return;
        }
        let is_termination = |s: &SeatState| is_seated(s) || is_leaving(s);
        let is_adding = |s: &SeatState| matches!(s, SeatState::Adding { .. });
        if matches!(self.mixer, Mixer::Open | Mixer::Closing)
            && self.count(is_termination) == 0
            && self.count(is_adding) == 0
        {
            self.mixer = Mixer::None;
        }
        if self.mixer == Mixer::None {
            // One opens the context, the others wait for its number.
            if let Some(id) = self.ids(|s| *s == SeatState::Waiting).first().copied() {
                self.add(id, true, out);
                self.mixer = Mixer::Opening;
            }
            return;
        }
        if self.mixer == Mixer::Open {
            for id in self.ids(|s| *s == SeatState::Waiting) {
                self.add(id, false, out);
            }
        }
        self.send_subtracts(out);
    }

    fn send_subtracts(&mut self, out: &mut Vec<Intent>) {
        let adding = self.count(|s| matches!(s, SeatState::Adding { .. }));
        for id in self.ids(|s| *s == SeatState::Leaving { is_sent: false }) {
            let stays = self.count(|s| is_seated(s) || *s == SeatState::Leaving { is_sent: false });
            if stays == 1 && adding > 0 {
                return;
            }
            self.seats.insert(id, SeatState::Leaving { is_sent: true });
            out.push(Intent::SubtractTermination(id));
            if stays == 1 {
                self.mixer = Mixer::Closing;
            }
        }
    }

    fn add(&mut self, participant: ParticipantId, new_context: bool, out: &mut Vec<Intent>) {
        self.seats
            .insert(participant, SeatState::Adding { is_gone: false });
        out.push(Intent::AddTermination {
            participant,
            new_context,
        });
    }

    fn release(&mut self, id: ParticipantId, out: &mut Vec<Intent>) {
        self.seats.remove(&id);
        out.push(Intent::Release(id));
    }

    fn ids(&self, is_it: impl Fn(&SeatState) -> bool) -> Vec<ParticipantId> {
        let found = self.seats.iter().filter(|(_, seat)| is_it(seat));
        found.map(|(&id, _)| id).collect()
    }

    fn count(&self, is_it: impl Fn(&SeatState) -> bool) -> usize {
        self.seats.values().filter(|seat| is_it(seat)).count()
    }
}

/// It has a termination that is to stay.
fn is_seated(seat: &SeatState) -> bool {
    matches!(seat, SeatState::Answered | SeatState::Connected)
}

fn is_leaving(seat: &SeatState) -> bool {
    matches!(seat, SeatState::Leaving { .. })
}

#[cfg(test)]
#[path = "conference/tests.rs"]
mod tests;
