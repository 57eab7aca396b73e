//! Participants that come and go while messages flow.
//!
//! ```text
//! Present ──leave──► Departing ──has got its due──► Leaving ──its connection ends──► Away ──join──► Joining
//!    ▲                   └──has got it, and hangs up itself─────────────────────────► Away            │ │
//!    └──bound─────────────────────────────────────────────────────────────────────────────────────────┘ │
//!                                                  Leaving ◄──leave─────────────────────────────────────┘
//! ```
//!
//! What a newcomer must get: every message written after it was bound, and no gap behind the first that
//! it got. What one who leaves must have got: every message written before it was told to, which it waits for,
//! at most [`DEPARTURE_MAX`], and no gap before the last that it got. What was written meanwhile and is on its way when it goes
//! is nobody's loss.

use clock::Instant;

use super::{Generator, LegConfig, News};
use crate::ledger::Track;
use crate::limits::DEPARTURE_MAX;

/// What the control plane tells the generator while it runs.
#[derive(Debug)]
pub(crate) enum Move {
    /// A participant is to leave, and [`News::Left`] tells when it has; `hangs_up`: it closes its connection by itself.
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
    /// It leaves once it has got what was written until it was told to.
    Departing,
    Leaving,
    Away,
    Joining {
        since: Instant,
    },
}

/// Somebody who is [`Presence::Departing`].
#[derive(Debug)]
pub(super) struct Departure {
    leg: u32,
    hangs_up: bool,
    /// What each sender of its conference had written by then.
    due: Vec<u64>,
    until: Instant,
}

impl Generator {
    /// Carries out what the control plane said.
    pub(super) fn take_moves(&mut self, now: Instant) {
        if self.is_settled {
            return;
        }
        while let Ok(next) = self.moves.try_recv() {
            match next {
                Move::Leave { leg, hangs_up } => match self.legs[leg as usize].presence {
                    Presence::Present => self.depart(now, leg, hangs_up),
                    Presence::Joining { .. } => {
                        self.counts.unbound += 1;
                        self.let_go(leg, hangs_up);
                    }
                    Presence::Departing | Presence::Leaving | Presence::Away => {
                        unreachable!("the control plane waits until somebody has left")
                    }
                },
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

    fn depart(&mut self, now: Instant, leg: u32, hangs_up: bool) {
        let first = (leg / self.plan.participants * self.plan.senders) as usize;
        let senders = &self.senders[first..first + self.plan.senders as usize];
        self.legs[leg as usize].presence = Presence::Departing;
        self.departures.push(Departure {
            leg,
            hangs_up,
            due: senders.iter().map(|sender| sender.written).collect(),
            until: now + DEPARTURE_MAX,
        });
    }

    /// Lets those go who have got their due, or will not get it any more.
    pub(super) fn see_off(&mut self, now: Instant) {
        let mut index = 0;
        while let Some(departure) = self.departures.get(index) {
            let leg = &mut self.legs[departure.leg as usize];
            let both = || leg.tracks.iter().zip(&departure.due);
            let has_all = both().all(|(track, due)| track.lost(*due) == 0);
            if !has_all && leg.link.is_some() && now < departure.until {
                index += 1;
                continue;
            }
            for (track, due) in leg.tracks.iter_mut().zip(&departure.due) {
                track.settle(*due);
            }
            let departure = self.departures.swap_remove(index);
            self.let_go(departure.leg, departure.hangs_up);
        }
    }

    fn let_go(&mut self, leg: u32, hangs_up: bool) {
        self.legs[leg as usize].presence = Presence::Leaving;
        if hangs_up {
            self.hang_up(leg);
            self.end_presence(leg);
        }
        self.tell(News::Left { leg });
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
