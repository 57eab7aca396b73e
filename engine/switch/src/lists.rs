//! Lists of recipients, kept for a sender's next message.
//!
//! Who gets a message depends on who sends it, on its type, and on what commands and connections have made of
//! sessions and contexts, which seldom changes. So the list of a message stays good for the next ones:
//!
//! ```text
//! epoch           counts commands, and changes of a session's link; nothing else changes a lasting list
//! lasting list    depends on nothing but the sender, the type and the epoch: not on an address, on queues
//!                 or on other shards, and every recipient takes the message
//! ```
//!
//! **Invariant:** a list that is found is the one that would be made anew. Debug builds make it anew each time.

use clock::Instant;

use crate::api::Octets;
use crate::begin::Audience;
use crate::limits::{LISTED_MAX, LISTED_TYPE_BYTES_MAX, LISTS_MAX};
use crate::message::{Delivery, DeliveryState, Message};
use crate::session::{Kind, SessionRef};
use crate::shard::Shard;

/// See the module. Over when anything changes on which a lasting list depends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Epoch(u64);

impl Epoch {
    /// Another one begins.
    pub(crate) fn end(&mut self) {
        self.0 += 1;
    }
}

/// What was learned when recipients were listed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listed {
    /// Others may be on other shards.
    pub(crate) is_partial: bool,
    /// See the module.
    pub(crate) is_lasting: bool,
    /// Each of them takes messages of this length, octets.
    pub(crate) bytes_max: u64,
}

/// The last lists of some senders: each has one place, which it shares with others.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    kept: Vec<Option<List>>,
}

/// The recipients of a sender's messages of one type, in the order of their seats.
#[derive(Debug)]
pub(crate) struct List {
    epoch: Epoch,
    sender: SessionRef,
    content_type: Vec<u8>,
    pub(crate) is_watched: bool,
    /// See [`Listed::bytes_max`].
    pub(crate) bytes_max: u64,
    recipients: Vec<(SessionRef, u64)>,
}

impl Lists {
    #[inline]
    pub(crate) fn find(
        &self,
        epoch: Epoch,
        sender: SessionRef,
        content_type: &[u8],
    ) -> Option<&List> {
        let list = self.kept.get(place_of(sender))?.as_ref()?;
        let is_it =
            list.epoch == epoch && list.sender == sender && list.content_type == content_type;
        is_it.then_some(list)
    }

    /// Those of the list that was found for this sender last.
    pub(crate) fn recipients(&self, sender: SessionRef) -> &[(SessionRef, u64)] {
        let list = self.kept.get(place_of(sender)).and_then(Option::as_ref);
        let list = list.filter(|list| list.sender == sender);
        list.map_or(&[], |list| &list.recipients)
    }

    /// Keeps a lasting list, unless it is very long.
    fn keep(
        &mut self,
        epoch: Epoch,
        (sender, content_type): (SessionRef, &[u8]),
        listed: &Listed,
        message: &Message,
    ) {
        if message.deliveries.len() > LISTED_MAX || content_type.len() > LISTED_TYPE_BYTES_MAX {
            return;
        }
        let place = place_of(sender);
        if self.kept.len() <= place {
            self.kept.resize_with(place + 1, || None);
        }
        let list = self.kept[place].get_or_insert_with(|| List {
            epoch,
            sender,
            content_type: Vec::new(),
            is_watched: false,
            bytes_max: 0,
            recipients: Vec::new(),
        });
        (list.epoch, list.sender) = (epoch, sender);
        (list.is_watched, list.bytes_max) = (message.is_watched, listed.bytes_max);
        list.content_type.clear();
        list.content_type.extend_from_slice(content_type);
        list.recipients.clear();
        let recipients = message.deliveries.iter().map(|d| (d.session, d.seat));
        list.recipients.extend(recipients);
    }
}

impl List {
    fn write(&self, message: &mut Message) {
        let going = |&(session, seat): &_| Delivery::new(session, seat, DeliveryState::Going);
        message.deliveries.extend(self.recipients.iter().map(going));
        message.is_watched = self.is_watched;
    }
}

fn place_of(sender: SessionRef) -> usize {
    sender.index as usize % LISTS_MAX
}

impl<B: Octets> Shard<B> {
    /// Whether there is a list for bare messages of a type: then the sender may send it.
    pub(crate) fn has_list(&self, sender: SessionRef, content_type: &[u8]) -> bool {
        let list = self.lists.find(self.epoch, sender, content_type);
        list.is_some()
    }

    /// Gives a message that nothing wraps its deliveries and shares.
    pub(crate) fn list_others(
        &mut self,
        sender: SessionRef,
        content_type: &[u8],
        message: &mut Message,
    ) {
        let kind = Kind {
            content_type,
            wrapped: None,
        };
        if let Some(list) = self.lists.find(self.epoch, sender, content_type) {
            list.write(message);
            debug_assert!(self.is_as_anew(sender, kind, message), "{message:?}");
            return;
        }
        let listed = self.list_recipients(sender, kind, Audience::Others, message);
        if listed.is_lasting {
            let whose = (sender, content_type);
            self.lists.keep(self.epoch, whose, &listed, message);
        }
        if listed.is_partial {
            self.list_shares(sender, Audience::Others, message);
        }
    }

    /// Whether the list that is found is the one that would be made anew.
    pub(crate) fn is_list_good(
        &mut self,
        now: Instant,
        sender: SessionRef,
        content_type: &[u8],
    ) -> bool {
        let kind = Kind {
            content_type,
            wrapped: None,
        };
        let mut message = Message::new(0, sender, now);
        match self.lists.find(self.epoch, sender, content_type) {
            Some(list) => list.write(&mut message),
            None => return false,
        }
        self.is_as_anew(sender, kind, &message)
    }

    /// Whether a message has what a list made now would give it.
    fn is_as_anew(&mut self, sender: SessionRef, kind: Kind<'_>, message: &Message) -> bool {
        let mut anew = Message::new(message.generation, sender, message.touched_at);
        let listed = self.list_recipients(sender, kind, Audience::Others, &mut anew);
        let of = |message: &Message| {
            let deliveries = message.deliveries.iter();
            let deliveries = deliveries.map(|d| (d.session, d.seat, d.state));
            (
                deliveries.collect::<Vec<_>>(),
                message.is_watched,
                message.failure,
            )
        };
        listed.is_lasting && of(&anew) == of(message)
    }
}
