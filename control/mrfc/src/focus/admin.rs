//! What operators ask for: conferences made and ended, participants called, muted and removed.

use super::{
    Command, ConferenceStatus, Controller, Event, Focus, Hangup, ParticipantId, Room, Sip, Terms,
    Uri, info,
};
use crate::commands::{mid_text, termination_text};
use crate::config::ConferenceConfig;
use crate::headers::Fields;
use crate::limits::LEGS_MAX;
use crate::status::ParticipantStatus;
use crate::{Action, ActionError};
use conference::Participant;
use std::sync::Arc;

impl<S: Sip, H: Controller> Focus<S, H> {
    pub(super) async fn handle_command(&mut self, command: Command) {
        match command {
            Command::Status(reply) => {
                // Who asked may have gone; here and below.
                let _ = reply.send(self.status());
            }
            Command::Act(name, action, reply) => {
                let _ = reply.send(self.act(&name, action).await);
            }
            Command::Open(config, reply) => {
                let _ = reply.send(self.make_room(&config));
            }
            Command::Drain(reply) => {
                self.is_draining = true;
                self.draining = Some(reply);
                self.close_all().await;
            }
        }
    }

    /// Ends every conference; where nobody is, whoever watches is told at once.
    async fn close_all(&mut self) {
        for name in self.rooms.keys().cloned().collect::<Vec<_>>() {
            let room = self.rooms.get(&name);
            if room.is_some_and(|room| room.conference.is_empty()) {
                self.remove_room(&name).await;
            } else {
                self.queue.push_back((name, Event::Closed));
            }
        }
    }

    fn make_room(&mut self, own: &ConferenceConfig) -> Result<(), ActionError> {
        if self.rooms.contains_key(&own.name) {
            return Err(ActionError::Exists);
        }
        // Its URI must name it, octet for octet.
        let uri = self.uri_of(&own.name)?;
        if uri.user_unescaped().as_deref() != Some(&*own.name) {
            return Err(ActionError::Uri);
        }
        if self.is_draining || self.rooms.len() >= self.policy.conferences_max {
            return Err(ActionError::Busy);
        }
        let terms = Arc::new(Terms::new(&self.config, Some(own)));
        let mut room = Room::new(terms, true);
        room.is_made = true;
        self.rooms.insert(own.name.clone(), room);
        info!(conference = %own.name, "conference made");
        Ok(())
    }

    /// Begins what is asked for.
    async fn act(&mut self, name: &str, action: Action) -> Result<(), ActionError> {
        let room = self.rooms.get_mut(name).ok_or(ActionError::NoConference)?;
        info!(conference = %name, ?action, "an operator acts");
        let seated = |id: u64| {
            let id = ParticipantId(id);
            let is_there = room.conference.participant(id).is_some();
            is_there.then_some(id).ok_or(ActionError::NoParticipant)
        };
        let event = match action {
            Action::Invite(uri) => return self.invite(name, &uri),
            Action::Remove { participant } => {
                Event::Expelled(seated(participant)?, Hangup::Removed)
            }
            Action::Mute {
                participant,
                is_muted,
            } => Event::Muted(seated(participant)?, is_muted),
            Action::Lock(is_locked) => Event::Locked(is_locked),
            Action::Close => {
                if core::mem::take(&mut room.is_made) {
                    room.is_provisioned = false;
                }
                if room.conference.is_empty() && !room.is_provisioned {
                    self.remove_room(name).await;
                    return Ok(());
                }
                Event::Closed
            }
        };
        self.queue.push_back((name.to_owned(), event));
        Ok(())
    }

    fn invite(&mut self, name: &str, uri: &str) -> Result<(), ActionError> {
        let target = Uri::parse(uri).map_err(|_| ActionError::Uri)?;
        if !matches!(target.scheme(), "sip" | "sips" | "tel") {
            return Err(ActionError::Uri);
        }
        if self.is_draining || self.legs.len() >= LEGS_MAX {
            return Err(ActionError::Busy);
        }
        let own = self.uri_of(name)?;
        if let Some(room) = self.rooms.get_mut(name) {
            room.uri.get_or_insert(own);
        }
        self.new_call(name, target, Fields::new(), None);
        Ok(())
    }

    /// The URI of a conference that nobody has dialled yet: in our first domain, or at our first
    /// listener.
    fn uri_of(&self, name: &str) -> Result<Uri, ActionError> {
        let listener = self.sip.addrs().first().map(|l| l.addr.to_string());
        let host = self.config.domains.first().cloned().or(listener);
        let host = host.unwrap_or_default();
        Uri::parse(&format!("sip:{name}@{host}")).map_err(|_| ActionError::Uri)
    }

    fn status(&self) -> Vec<ConferenceStatus> {
        let mut all: Vec<_> = self
            .rooms
            .iter()
            .map(|(name, room)| self.room_status(name, room))
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    fn room_status(&self, name: &str, room: &Room) -> ConferenceStatus {
        let row = |seat: Participant| {
            let (id, is_muted) = (seat.id, seat.is_muted);
            let leg = self.legs.get(&id)?;
            let termination = leg
                .placed
                .as_ref()
                .map(|p| termination_text(&p.added.termination));
            Some(ParticipantStatus {
                id: id.0,
                uri: leg.identity.uri.clone(),
                display: leg.identity.display.clone(),
                nickname: leg.nickname.clone(),
                call_id: leg.call_id.clone(),
                termination,
                is_called: leg.call.is_some(),
                is_connected: leg.is_connected,
                is_muted,
                joined_at: leg.joined_at,
            })
        };
        ConferenceStatus {
            name: name.to_owned(),
            uri: room.uri.as_ref().map(ToString::to_string),
            subject: room.terms.subject.clone(),
            profile: room.terms.profile,
            seats_max: room.terms.seats_max,
            is_locked: room.conference.is_locked(),
            context: room.context,
            mrfp: room.mrfp.as_ref().map(mid_text),
            participants: room.conference.roster().filter_map(row).collect(),
        }
    }
}
