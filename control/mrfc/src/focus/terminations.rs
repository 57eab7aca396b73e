//! What is asked of MRFPs: terminations are added, changed and subtracted.

use super::{Controller, Event, Focus, ParticipantId, Sip, Task, add, warn};
use crate::commands::{Connection, MSRS, NETFAIL, NICK, control, modify, modify_mode, subtract};
use crate::media::{Offer, Reserved, Side, local};
use crate::terms::Profile;
use conference::MixerFailure;
use h248::ast::{LocalControl, StreamMode};

impl<S: Sip, H: Controller> Focus<S, H> {
    pub(super) fn add_termination(&mut self, name: &str, id: ParticipantId, new_context: bool) {
        let chosen = if new_context {
            self.choose_mrfp()
        } else {
            None
        };
        let Some(room) = self.rooms.get_mut(name) else {
            return;
        };
        if new_context {
            (room.mrfp, room.context) = (chosen, None);
        }
        let (mrfp, context) = (room.mrfp.clone(), room.context);
        let terms = self.terms_of(name);
        let Some(leg) = self.legs.get(&id) else {
            return;
        };
        let offer = leg.offer.as_ref();
        let control = self.control(id, offer);
        let local = local(&leg.side(), &terms.capabilities);
        let connection = offer.map_or(Connection::Leave, |offer| offer.connection(None));
        let mut events = vec![NETFAIL];
        if terms.profile == Profile::Chatroom {
            events.push(NICK);
        }
        if terms.notices.is_some() {
            events.push(MSRS);
        }
        let remote = offer.map(Offer::remote);
        let action = crate::commands::add(context, &local, remote, control, connection, &events);
        add(&self.counters.adds, 1);
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.local = local;
        }
        let sent = mrfp.and_then(|mrfp| {
            let task = Task::Add {
                leg: id,
                mrfp: mrfp.clone(),
            };
            self.send(&mrfp, action, task)
        });
        if sent.is_none() {
            self.tell(id, Event::TerminationFailed(id, MixerFailure::Unavailable));
        }
    }

    pub(super) fn modify_termination(&mut self, id: ParticipantId) {
        let next_local = self.next_local(id);
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.next_local = next_local;
        }
        let request = self.legs.get(&id).and_then(|leg| {
            let (placed, offer) = (leg.placed.as_ref()?, leg.next_offer.as_ref()?);
            let connection = offer.connection(leg.offer.as_ref());
            let control = self.control(id, Some(offer));
            let (local, remote) = (leg.next_local.as_deref(), offer.remote());
            let action = modify(&placed.added, local, remote, control, connection);
            Some((placed.mrfp.clone(), action))
        });
        let sent = request.and_then(|(mrfp, action)| self.send(&mrfp, action, Task::Modify(id)));
        if sent.is_none() {
            self.tell(id, Event::ChangeFailed(id, MixerFailure::Unavailable));
        }
    }

    /// The Local that a new offer needs, if it is another: TLS or not, IPv6 or not, who connects. To an
    /// offer of ours the peer has answered; that must stand.
    fn next_local(&self, id: ParticipantId) -> Option<String> {
        let leg = self.legs.get(&id).filter(|leg| leg.txn.is_some())?;
        let side = Side {
            offer: Some(leg.next_offer.as_ref()?),
            ours: leg.ours,
        };
        let terms = self.terms_of(&leg.conference);
        let text = local(&side, &terms.capabilities);
        (text != leg.local).then_some(text)
    }

    /// The participant's termination was changed, and its Local if that was asked for.
    pub(super) fn handle_modified(&mut self, id: ParticipantId, local: Option<&[u8]>) -> Event {
        let Some(leg) = self.legs.get_mut(&id) else {
            return Event::Changed(id);
        };
        let Some(asked) = leg.next_local.take() else {
            return Event::Changed(id);
        };
        let reserved = local.and_then(Reserved::parse);
        let (Some(placed), Some(reserved)) = (leg.placed.as_mut(), reserved) else {
            warn!(leg = id.0, call_id = %leg.call_id, "no usable Local after a change");
            return Event::ChangeFailed(id, MixerFailure::Silent);
        };
        (placed.reserved, leg.local) = (reserved, asked);
        Event::Changed(id)
    }

    /// What the participant asked for, less what a moderator took from it.
    pub(super) fn mode(&self, id: ParticipantId, offer: Option<&Offer>) -> StreamMode {
        let mode = offer.map_or(StreamMode::SendReceive, Offer::mode);
        let is_muted = self
            .legs
            .get(&id)
            .and_then(|leg| self.rooms.get(&leg.conference)?.conference.participant(id))
            .is_some_and(|p| p.is_muted);
        match (is_muted, mode) {
            (true, StreamMode::SendReceive) => StreamMode::SendOnly,
            (true, StreamMode::ReceiveOnly) => StreamMode::Inactive,
            (_, mode) => mode,
        }
    }

    /// What the MRFP must know of a participant beside its descriptions.
    fn control(&self, id: ParticipantId, offer: Option<&Offer>) -> LocalControl {
        let mode = self.mode(id, offer);
        let properties = self.legs.get(&id).and_then(|leg| {
            let room = self.rooms.get(&leg.conference)?;
            let uri = room.uri.as_ref().map_or("", |uri| uri.as_str());
            Some(room.terms.properties(uri, &leg.identity.spoken(id.0)))
        });
        control(mode, properties.unwrap_or_default())
    }

    pub(super) fn set_mode(&mut self, id: ParticipantId) {
        let request = self.legs.get(&id).and_then(|leg| {
            let placed = leg.placed.as_ref()?;
            let offer = leg.offer.as_ref();
            let control = self.control(id, offer);
            let remote = offer.filter(|_| leg.is_remote_due).map(Offer::remote);
            let action = modify_mode(&placed.added, remote, control);
            Some((placed.mrfp.clone(), action))
        });
        let sent = request.and_then(|(mrfp, action)| self.send(&mrfp, action, Task::Mode(id)));
        if sent.is_none() {
            self.handle_mode(id, Some(MixerFailure::Unavailable));
        }
    }

    /// The MRFP answered what a participant may do, or could not.
    pub(super) fn handle_mode(&mut self, id: ParticipantId, why: Option<MixerFailure>) {
        let event = match why {
            None => Event::ModeSet(id),
            Some(why) => Event::ModeFailed(id, why),
        };
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.is_remote_due &= why.is_some();
        }
        self.tell(id, event);
    }

    pub(super) fn subtract_termination(&mut self, id: ParticipantId) {
        add(&self.counters.subtracts, 1);
        let placed = self.legs.get(&id).and_then(|leg| leg.placed.clone());
        if let Some(placed) = &placed {
            self.touch(&placed.mrfp, &placed.added.termination);
        }
        let sent = placed.and_then(|p| self.send(&p.mrfp, subtract(&p.added), Task::Subtract(id)));
        if sent.is_none() {
            self.tell(id, Event::Subtracted(id));
        }
    }
}
