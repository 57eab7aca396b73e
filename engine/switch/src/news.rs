//! What is told of single messages to who asked: that one has passed a participant, that a filter
//! stopped one, or could not judge it.

use crate::api::{Event, Octets, Output, SessionKey};
use crate::config::SessionConfig;
use crate::message::DeliveryState;
use crate::session::SessionRef;
use crate::shard::Shard;

/// What became of one message at one participant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageNews {
    /// Whose.
    pub session: SessionKey,
    /// Its Message-ID.
    pub message_id: Box<[u8]>,
    /// Whether the participant sent it; else it was meant for the participant.
    pub is_incoming: bool,
    /// What became of it.
    pub outcome: MessageOutcome,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageOutcome {
    /// All of it has come, whatever a filter made of it, or has gone out
    /// ([`crate::Terms::tells_messages`]).
    Passed {
        /// Octets of its body.
        octets: u64,
    },
    /// The participant's filter discarded it ([`crate::Terms::tells_filtered`], as what follows).
    Discarded,
    /// The participant's filter rejected it.
    Rejected,
    /// The participant's filter could not judge it, and it was refused.
    Unjudged,
}

impl MessageOutcome {
    fn is_wanted(self, config: &SessionConfig) -> bool {
        match self {
            Self::Passed { .. } => config.terms.tells_messages,
            Self::Discarded | Self::Rejected | Self::Unjudged => config.terms.tells_filtered,
        }
    }
}

impl<B: Octets> Shard<B> {
    /// Tells of a message, if somebody asked.
    pub(crate) fn tell_news(
        &mut self,
        session: SessionRef,
        slot: u32,
        is_incoming: bool,
        outcome: MessageOutcome,
    ) {
        let Some(session) = self.session_at(session) else {
            return;
        };
        let entry = &self.sessions[session.index as usize];
        if !outcome.is_wanted(&entry.config) {
            return;
        }
        let news = MessageNews {
            session: entry.key,
            message_id: self.messages[slot as usize].id.as_slice().into(),
            is_incoming,
            outcome,
        };
        let event = Event::Message(Box::new(news));
        self.outputs.push_back(Output::Event(event));
    }

    /// All of a message has come and has gone out to those who get it.
    pub(crate) fn tell_passed(&mut self, sender: SessionRef, slot: u32) {
        let message = &self.messages[slot as usize];
        let octets = message.octets;
        let outcome = MessageOutcome::Passed { octets };
        let deliveries = message.deliveries.iter();
        let going =
            deliveries.filter(|d| matches!(d.state, DeliveryState::Going | DeliveryState::Done));
        let to: Vec<SessionRef> = going.map(|d| d.session).collect();
        self.tell_news(sender, slot, true, outcome);
        for recipient in to {
            self.tell_news(recipient, slot, false, outcome);
        }
    }
}
