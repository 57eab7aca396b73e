//! The rosters: what changed in which conference, for those who watch and those who are told in plain text.

use super::{Controller, Focus, Leg, ParticipantId, Room, Sip};
use crate::identity::is_same_user;
use conference::info::{Departure, Endpoint, Joining, Status};
use conference::roster::{Description, Entry};
use conference::{Participant, SeatState, Standing};
use std::collections::BTreeSet;

/// What a roster does not have yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stale {
    /// Everything has to be looked at.
    Whole,
    /// How these participants stand.
    Seats(BTreeSet<ParticipantId>),
}

impl Stale {
    /// One more; beyond `max` everything is as quickly looked at, and where nobody watches nothing is.
    fn insert(&mut self, id: ParticipantId, max: usize) {
        if let Self::Seats(seats) = self {
            seats.insert(id);
            if seats.len() > max {
                *self = Self::Whole;
            }
        }
    }
}

impl<S: Sip, H: Controller> Focus<S, H> {
    /// Takes in that a participant, or more than one, or the conference itself stands otherwise than before.
    pub(super) fn note_change(&mut self, name: &str, seat: Option<ParticipantId>) {
        let Some(room) = self.rooms.get_mut(name) else {
            return;
        };
        match seat {
            Some(id) => {
                if room.terms.notices.is_some() {
                    room.quiet_listeners.insert(id);
                }
                room.stale.insert(id, room.conference.seats_max());
            }
            None => room.stale = Stale::Whole,
        }
        if !self.changed.contains(name) {
            self.changed.insert(name.to_owned());
        }
    }

    /// Tells everybody who watches one of the conferences that changed.
    pub(super) async fn publish(&mut self) {
        for name in core::mem::take(&mut self.changed) {
            for id in self.take_quiet_watchers(&name) {
                self.notify_watcher(id).await;
            }
            self.tell_listeners(&name);
        }
    }

    /// Brings the roster up to the present, if anything changed.
    pub(super) fn refresh_roster(&mut self, name: &str) {
        let Some(room) = self.rooms.get_mut(name) else {
            return;
        };
        let stale = core::mem::replace(&mut room.stale, Stale::Seats(BTreeSet::new()));
        let seats = match stale {
            Stale::Seats(seats) if seats.is_empty() => return,
            Stale::Seats(seats) => seats,
            Stale::Whole => {
                let here = room.conference.roster().map(|seat| seat.id);
                here.chain(room.roster.seats()).collect()
            }
        };
        let uri = room.uri.as_ref().map(ToString::to_string);
        room.roster.describe(Description {
            entity: uri.unwrap_or_default(),
            subject: room.terms.subject.clone(),
            seats_max: room.conference.seats_max(),
            is_locked: room.conference.is_locked(),
        });
        for id in seats {
            let leg = self.legs.get(&id);
            let entry = leg.and_then(|leg| entry(room, leg, id));
            let how = room.departures.get(&id).copied();
            match entry {
                Some(entry) => room.roster.put(id, entry),
                None => {
                    room.departures.remove(&id);
                    room.roster.remove(id, |endpoint| parted(endpoint, how));
                }
            }
        }
    }

    /// How a participant comes to its end, for who watches: otherwise than by itself.
    pub(super) fn note_departure(&mut self, id: ParticipantId, how: Departure) {
        let Some(leg) = self.legs.get(&id) else {
            return;
        };
        if let Some(room) = self.rooms.get_mut(&leg.conference)
            && room.roster.has(id)
        {
            room.departures.insert(id, how);
        }
    }
}

/// A participant as others may see it; `None`: they do not.
fn entry(room: &Room, leg: &Leg, id: ParticipantId) -> Option<Entry> {
    let seat = room.conference.participant(id)?;
    let status = status(&seat, leg)?;
    let is_shown = !leg.identity.is_anonymous;
    // With a participant's standing: whether it is named, or everybody is one.
    let rules = &room.terms.rules;
    let standing = rules.standing(&leg.identity.uri, true, is_same_user);
    let is_led = !rules.moderators.is_empty();
    Some(Entry {
        user: leg.identity.shown(id.0),
        display: leg.identity.display.clone().filter(|_| is_shown),
        nickname: leg.nickname.clone(),
        is_moderator: is_led && standing == Standing::Moderator,
        endpoint: Endpoint {
            entity: leg.endpoint(id),
            status,
            joining: Some(if seat.is_called {
                Joining::DialedOut
            } else {
                Joining::DialedIn
            }),
            joined_at: leg.joined_at,
            referred_by: leg.call.as_ref().and_then(|call| call.referrer.clone()),
            departure: None,
            media: Some(leg.media_direction(seat.is_muted)),
            dialog: None,
        },
    })
}

/// Where a seat stands for others; nothing before it is in the roster.
fn status(seat: &Participant, leg: &Leg) -> Option<Status> {
    match seat.state {
        SeatState::Connected | SeatState::Configuring if seat.is_muted => {
            Some(Status::MutedViaFocus)
        }
        // It neither hears the others nor is heard (RFC 4575 5.7.3).
        SeatState::Connected if leg.media_direction(false) == "inactive" => Some(Status::OnHold),
        SeatState::Connected | SeatState::Configuring => Some(Status::Connected),
        SeatState::Dialing => {
            let is_alerting = leg.call.as_ref().is_some_and(|call| call.is_alerting);
            Some(if is_alerting {
                Status::Alerting
            } else {
                Status::DialingOut
            })
        }
        SeatState::Waiting
        | SeatState::Adding { .. }
        | SeatState::Answered
        | SeatState::Leaving { .. } => None,
    }
}

/// How an endpoint that was there is told to be gone.
fn parted(endpoint: &Endpoint, known: Option<Departure>) -> Endpoint {
    let likely = match endpoint.status {
        Status::DialingOut | Status::Alerting => Departure::Failed,
        Status::Pending
        | Status::Connected
        | Status::OnHold
        | Status::MutedViaFocus
        | Status::Disconnected => Departure::Departed,
    };
    Endpoint {
        status: Status::Disconnected,
        departure: Some(known.unwrap_or(likely)),
        media: None,
        ..endpoint.clone()
    }
}
