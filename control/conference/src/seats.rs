//! The seats of a conference, counted by what they wait for, so that no event costs more in a large
//! conference than in a small one.

use crate::event::{Participant, ParticipantId, SeatState};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, Debug)]
struct Seat {
    state: SeatState,
    is_called: bool,
    is_muted: bool,
    /// A Modify of its termination is under way.
    is_changing: bool,
    /// What it may do changed since the mixer was asked last.
    is_mode_due: bool,
}

/// Who has a seat.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seats {
    all: BTreeMap<ParticipantId, Seat>,
    waiting: BTreeSet<ParticipantId>,
    /// Leaving, and their subtracts are not sent.
    held: BTreeSet<ParticipantId>,
    adding: usize,
    /// Leaving, held ones included.
    leaving: usize,
}

impl Seats {
    pub(crate) fn insert(&mut self, id: ParticipantId, is_called: bool) {
        let seat = Seat {
            state: SeatState::Waiting,
            is_called,
            is_muted: false,
            is_changing: false,
            is_mode_due: false,
        };
        self.all.insert(id, seat);
        self.enter(id, SeatState::Waiting);
    }

    pub(crate) fn remove(&mut self, id: ParticipantId) {
        if let Some(seat) = self.all.remove(&id) {
            self.leave(id, seat.state);
        }
    }

    pub(crate) fn set(&mut self, id: ParticipantId, state: SeatState) {
        if let Some(seat) = self.all.get_mut(&id) {
            let before = core::mem::replace(&mut seat.state, state);
            self.leave(id, before);
            self.enter(id, state);
        }
    }

    pub(crate) fn mute(&mut self, id: ParticipantId, is_muted: bool) {
        if let Some(seat) = self.all.get_mut(&id) {
            seat.is_muted = is_muted;
        }
    }

    /// A Modify of its termination was sent, or answered.
    pub(crate) fn set_changing(&mut self, id: ParticipantId, is_changing: bool) {
        if let Some(seat) = self.all.get_mut(&id) {
            seat.is_changing = is_changing;
        }
    }

    pub(crate) fn is_changing(&self, id: ParticipantId) -> bool {
        self.all.get(&id).is_some_and(|seat| seat.is_changing)
    }

    /// What it may do is to be brought into force when the mixer has answered, or is back.
    pub(crate) fn owe_mode(&mut self, id: ParticipantId) {
        if let Some(seat) = self.all.get_mut(&id) {
            seat.is_mode_due = true;
        }
    }

    /// Whether that is due; it is no more.
    pub(crate) fn take_mode_due(&mut self, id: ParticipantId) -> bool {
        let seat = self.all.get_mut(&id);
        seat.is_some_and(|seat| core::mem::take(&mut seat.is_mode_due))
    }

    pub(crate) fn get(&self, id: ParticipantId) -> Option<Participant> {
        self.all.get(&id).map(|seat| row(id, seat))
    }

    pub(crate) fn state(&self, id: ParticipantId) -> Option<SeatState> {
        self.all.get(&id).map(|seat| seat.state)
    }

    /// All, in the order of joining.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Participant> {
        self.all.iter().map(|(&id, seat)| row(id, seat))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Those that wait for the context, in the order of joining.
    pub(crate) fn waiting(&self) -> Vec<ParticipantId> {
        self.waiting.iter().copied().collect()
    }

    pub(crate) fn first_waiting(&self) -> Option<ParticipantId> {
        self.waiting.first().copied()
    }

    /// The first one whose subtract is not sent.
    pub(crate) fn first_held(&self) -> Option<ParticipantId> {
        self.held.first().copied()
    }

    /// How many do not leave.
    pub(crate) fn staying(&self) -> usize {
        self.all.len() - self.leaving
    }

    /// How many have an Add on its way.
    pub(crate) fn adding(&self) -> usize {
        self.adding
    }

    /// How many have a termination.
    pub(crate) fn terminations(&self) -> usize {
        self.all.len() - self.waiting.len() - self.adding
    }

    /// How many have one that no subtract is on its way for.
    pub(crate) fn kept(&self) -> usize {
        self.terminations() - (self.leaving - self.held.len())
    }

    fn enter(&mut self, id: ParticipantId, state: SeatState) {
        match state {
            SeatState::Waiting => {
                self.waiting.insert(id);
            }
            SeatState::Adding { .. } => self.adding += 1,
            SeatState::Leaving { is_sent } => {
                self.leaving += 1;
                if !is_sent {
                    self.held.insert(id);
                }
            }
            SeatState::Answered
            | SeatState::Dialing
            | SeatState::Configuring
            | SeatState::Connected => {}
        }
    }

    fn leave(&mut self, id: ParticipantId, state: SeatState) {
        match state {
            SeatState::Waiting => {
                self.waiting.remove(&id);
            }
            SeatState::Adding { .. } => self.adding -= 1,
            SeatState::Leaving { is_sent } => {
                self.leaving -= 1;
                if !is_sent {
                    self.held.remove(&id);
                }
            }
            SeatState::Answered
            | SeatState::Dialing
            | SeatState::Configuring
            | SeatState::Connected => {}
        }
    }
}

fn row(id: ParticipantId, seat: &Seat) -> Participant {
    Participant {
        id,
        state: seat.state,
        is_called: seat.is_called,
        is_muted: seat.is_muted,
    }
}
