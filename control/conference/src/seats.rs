//! The seats of a conference, counted by what they wait for, so that no event costs more in a large
//! conference than in a small one.

use crate::event::{Participant, ParticipantId, SeatState};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, Debug)]
struct Seat {
    state: SeatState,
    is_called: bool,
    is_muted: bool,
    asked: Asked,
    /// Whether it was muted when the mixer was asked last.
    asked_muted: bool,
    /// Whether the mixer has it muted, if that is known.
    in_force: Option<bool>,
    /// A new offer waits until the mixer has answered.
    is_change_due: bool,
    /// Two things that it was asked have crossed, perhaps.
    is_crossed: bool,
}

/// What became of what the mixer was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    Done,
    Refused,
    /// Nobody knows whether it was done.
    Unknown,
}

/// What the mixer is asked about a termination that is there. Of what the participant may do one thing at a time:
/// by UDP a later request may be executed before an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Nothing,
    /// To bring into force what the participant may do.
    Mode,
    /// To bring new offers into force: so many of them.
    Changes(u32),
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
            asked: Asked::Nothing,
            asked_muted: false,
            in_force: None,
            is_change_due: false,
            is_crossed: false,
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

    /// The mixer is asked; it is told what the participant may do, too.
    pub(crate) fn ask(&mut self, id: ParticipantId, asked: Asked) {
        if let Some(seat) = self.all.get_mut(&id) {
            seat.is_crossed |= matches!(asked, Asked::Changes(2..));
            (seat.asked, seat.asked_muted) = (asked, seat.is_muted);
        }
    }

    /// The mixer has answered, one way or the other. Of several things that it was asked at once nobody knows
    /// which was last.
    pub(crate) fn answer(&mut self, id: ParticipantId, answer: Answered) {
        let Some(seat) = self.all.get_mut(&id) else {
            return;
        };
        let is_last = !matches!(seat.asked, Asked::Changes(2..));
        seat.asked = match seat.asked {
            Asked::Changes(count @ 2..) => Asked::Changes(count - 1),
            Asked::Changes(_) | Asked::Mode | Asked::Nothing => Asked::Nothing,
        };
        seat.in_force = match answer {
            Answered::Done if is_last && !seat.is_crossed => Some(seat.asked_muted),
            Answered::Refused if is_last && !seat.is_crossed => seat.in_force,
            Answered::Done | Answered::Refused | Answered::Unknown => None,
        };
        seat.is_crossed &= !is_last;
    }

    /// Whether what it may do is not in force, as far as is known.
    pub(crate) fn is_mode_due(&self, id: ParticipantId) -> bool {
        let seat = self.all.get(&id);
        seat.is_some_and(|seat| seat.in_force != Some(seat.is_muted))
    }

    pub(crate) fn asked(&self, id: ParticipantId) -> Asked {
        self.all.get(&id).map_or(Asked::Nothing, |seat| seat.asked)
    }

    /// A new offer is to be brought into force when the mixer has answered.
    pub(crate) fn owe_change(&mut self, id: ParticipantId) {
        if let Some(seat) = self.all.get_mut(&id) {
            seat.is_change_due = true;
        }
    }

    /// Whether that is due; it is no more.
    pub(crate) fn take_change_due(&mut self, id: ParticipantId) -> bool {
        let seat = self.all.get_mut(&id);
        seat.is_some_and(|seat| core::mem::take(&mut seat.is_change_due))
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
