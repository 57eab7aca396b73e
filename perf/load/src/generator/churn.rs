//! Participants that come and go while messages flow.
//!
//! ```text
//! Present ──leave──► Leaving ──its connection ends──► Away ──join──► Joining ──bound──► Present
//!    └──hangs up itself──────────────────────────────► Away              └──leave──► Leaving
//! ```
//!
//! What a newcomer must get: every message written after it was bound, and no gap behind the first that
//! it got. What one who leaves must have got: no gap before the last that it got; what was on its way is
//! nobody's loss.

use clock::Instant;

use super::{Generator, LegConfig};
use crate::ledger::Track;

/// What the control plane tells the generator while it runs.
#[derive(Debug)]
pub(crate) enum Move {
    /// A participant leaves; `hangs_up`: it closes its connection by itself.
    Leave { leg: u32, hangs_up: bool },
    /// Somebody takes its place, whose connection is adopted afterwards with this turn: one that comes
    /// with an earlier turn is too late. Asked for at `at`.
    Join {
        leg: u32,
        turn: u32,
        config: LegConfig,
        at: Instant,
    },
    /// Nobody leaves or joins any more.
    End,
}

/// Whether a participant is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Present,
    Leaving,
    Away,
    Joining { since: Instant },
}

impl Generator {
    /// Carries out what the control plane said.
    pub(super) fn take_moves(&mut self) {
        if self.is_settled {
            return;
        }
        while let Ok(next) = self.moves.try_recv() {
            match next {
                Move::Leave { leg, hangs_up } => {
                    let presence = &mut self.legs[leg as usize].presence;
                    let before = core::mem::replace(presence, Presence::Leaving);
                    if matches!(before, Presence::Joining { .. }) {
                        self.counts.unbound += 1;
                    }
                    if hangs_up {
                        self.hang_up(leg);
                        self.end_presence(leg);
                    }
                }
                Move::Join {
                    leg,
                    turn,
                    config,
                    at,
                } => {
                    // Subtracted, but its connection is still there.
                    self.hang_up(leg);
                    self.end_presence(leg);
                    let entry = &mut self.legs[leg as usize];
                    entry.config = config;
                    entry.turn = turn;
                    entry.presence = Presence::Joining { since: at };
                    entry.tracks.fill_with(Track::of_a_newcomer);
                }
                Move::End => self.is_settled = true,
            }
        }
    }

    /// Whether everybody is there who is to be there at the end.
    pub(super) fn is_everybody_there(&self) -> bool {
        let mut legs = self.legs.iter();
        self.is_settled && legs.all(|leg| leg.presence == Presence::Present)
    }

    /// Counts what a participant missed while it was there.
    pub(super) fn end_presence(&mut self, leg: u32) {
        let entry = &mut self.legs[leg as usize];
        if entry.presence != Presence::Leaving {
            return;
        }
        entry.presence = Presence::Away;
        self.counts.leaves += 1;
        self.counts.lost += entry.tracks.iter().map(Track::gaps).sum::<u64>();
    }
}
