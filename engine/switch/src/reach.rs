//! Messages of a context that spans shards, on their way out: what the shards of other recipients are
//! told, and what they tell back.
//!
//! A message is judged where its sender is connected and nowhere else. Other shards get its beginning,
//! then the same cuts as the recipients here, and do with them what is done here.

use clock::Instant;
use msrp::{FailureReport, StatusCode};

use crate::api::{ConnId, Octets, ShardIndex};
use crate::begin::{Audience, is_addressed};
use crate::fan_out::Cut;
use crate::filter::field;
use crate::message::{Far, Message, MessageRef, Share};
use crate::session::SessionRef;
use crate::shard::Shard;
use crate::shipment::{Beginning, Parcel, Shipment};

/// What the other shards must know of a message that begins to list its recipients.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meant<'a> {
    /// What is wrapped in it, if that could be read.
    pub wrapped: Option<&'a [u8]>,
    /// The one participant it is for; `None` = all.
    pub user: Option<&'a [u8]>,
}

impl<B: Octets> Shard<B> {
    /// The shards beside this one that a message from `sender` goes to.
    pub(crate) fn list_shares(
        &mut self,
        sender: SessionRef,
        audience: Audience<'_>,
        message: &mut Message,
    ) {
        let from = &self.sessions[sender.index as usize];
        let context = self.contexts.get(&from.context);
        let reach = context.and_then(|c| c.reach.as_deref());
        let Some(reach) = reach.filter(|_| from.elsewhere().is_none()) else {
            return;
        };
        let is_reached = |shard: ShardIndex| {
            let mut doubles = reach.doubles.iter();
            doubles.any(|double| {
                let entry = &self.sessions[double.index as usize];
                entry.elsewhere() == Some(shard) && is_addressed(entry, audience)
            })
        };
        let (mut shares, mut full) = (Vec::new(), Vec::new());
        for &(shard, _) in &reach.shards {
            let is_meant = match audience {
                Audience::Others => true,
                Audience::User(_) => is_reached(shard),
            };
            if is_meant && self.lane_takes(shard) {
                shares.push(Share::new(shard));
            } else if is_meant {
                message.failure.get_or_insert(StatusCode::TIMEOUT);
                full.push(shard);
            }
        }
        message.far = (!shares.is_empty()).then(|| Box::new(Far::Shares(shares)));
        for shard in full {
            self.count_missed(sender, audience, shard);
        }
    }

    /// Participants on a shard that takes nothing do not get a message; it is told when it takes again.
    #[cold]
    fn count_missed(&mut self, sender: SessionRef, audience: Audience<'_>, shard: ShardIndex) {
        let from = &self.sessions[sender.index as usize];
        let stream = from.key.stream;
        let Some(context) = self.contexts.get(&from.context) else {
            return;
        };
        for &to in context.reach.iter().flat_map(|reach| &reach.doubles) {
            let entry = &mut self.sessions[to.index as usize];
            if entry.elsewhere() == Some(shard)
                && entry.config.sends
                && entry.key.stream == stream
                && context.is_open(sender, to)
                && is_addressed(entry, audience)
            {
                entry.statistics.messages_dropped += 1;
            }
        }
        self.lanes.note_missed(shard);
    }

    /// A shard takes messages again: what its participants missed meanwhile is told.
    #[cold]
    pub(crate) fn tell_missed(&mut self, to: ShardIndex) {
        let sessions: Vec<SessionRef> = self.sessions.iter().collect();
        for session in sessions {
            let entry = &mut self.sessions[session.index as usize];
            if entry.elsewhere() != Some(to) {
                continue;
            }
            let count = core::mem::take(&mut entry.statistics.messages_dropped);
            if count > 0 {
                let session = entry.key;
                self.ship(to, |_| Parcel::Missed { session, count });
            }
        }
    }

    /// A message that passed its sender's rules begins for the other shards.
    #[cold]
    pub(crate) fn ship_beginning(&mut self, slot: u32, meant: Meant<'_>) {
        let message = &mut self.messages[slot as usize];
        if message.far.is_none() {
            return;
        }
        // Taken out for the moment: the whole shard is needed to ship.
        let (id, fields) = (
            core::mem::take(&mut message.id),
            core::mem::take(&mut message.fields),
        );
        let sender = self.sessions[message.sender.index as usize].key;
        let (context, id_end) = (message.context, message.id_end);
        let (success_wanted, failure_report) = (message.success_wanted, message.failure_report);
        let name = self.name_of(slot);
        self.for_shares(slot, |shard, to| {
            shard.ship(to, |shipment| {
                let mut pack = |octets: &[u8]| shipment.pack([octets, &[]]);
                Parcel::Begin(Beginning {
                    message: name,
                    sender,
                    context,
                    id: pack(&id),
                    fields: pack(&fields),
                    id_end: u32::try_from(id_end).expect("a head is bounded"),
                    content_type: pack(field(&fields, "Content-Type")),
                    wrapped: meant.wrapped.map(&mut pack),
                    user: meant.user.map(&mut pack),
                    success_wanted,
                    failure_report,
                })
            });
        });
        let message = &mut self.messages[slot as usize];
        (message.id, message.fields) = (id, fields);
    }

    /// A cut goes to the other shards.
    pub(crate) fn ship_cut(&mut self, from: ConnId, cut: &Cut<'_, B>) {
        let message = self.name_of(cut.slot);
        let parts = [cut.lead, cut.piece.octets()];
        self.for_shares(cut.slot, |shard, to| {
            if !shard.lane_takes(to) {
                shard.give_share_up(cut.slot, to);
                return;
            }
            shard.ship_octets(to, from, |shipment| Parcel::Cut {
                message,
                random: cut.random,
                range: cut.range,
                octets: shipment.pack(parts),
                flag: cut.flag,
            });
        });
    }

    /// Tells the other shards something about a message.
    #[inline]
    pub(crate) fn ship_word(&mut self, slot: u32, word: impl Fn(MessageRef) -> Parcel) {
        if self.messages[slot as usize].far.is_some() {
            self.ship_far(slot, word);
        }
    }

    fn ship_far(&mut self, slot: u32, word: impl Fn(MessageRef) -> Parcel) {
        let name = self.name_of(slot);
        self.for_shares(slot, |shard, to| {
            shard.ship(to, |_: &mut Shipment| word(name))
        });
    }

    /// Does something for every other shard that still gets the message.
    fn for_shares(&mut self, slot: u32, mut act: impl FnMut(&mut Self, ShardIndex)) {
        for at in 0.. {
            let Some(share) = self.messages[slot as usize].shares().get(at).copied() else {
                return;
            };
            if !share.is_over {
                act(self, share.shard);
            }
        }
    }

    /// A shard takes nothing: recipients there cannot be served.
    fn give_share_up(&mut self, slot: u32, to: ShardIndex) {
        let name = self.name_of(slot);
        self.ship(to, |_| Parcel::Starve(name));
        self.end_share(slot, to);
        let message = &mut self.messages[slot as usize];
        message.failure.get_or_insert(StatusCode::TIMEOUT);
    }

    fn end_share(&mut self, slot: u32, to: ShardIndex) {
        let message = &mut self.messages[slot as usize];
        message.settle_share(to);
        if let Some(share) = message.share_mut(to) {
            share.is_over = true;
        }
    }

    /// A recipient on another shard could not be served.
    pub(crate) fn share_failed(&mut self, from: ShardIndex, name: MessageRef, status: StatusCode) {
        let Some(slot) = self.named(name) else { return };
        self.messages[slot as usize].failure.get_or_insert(status);
        self.report_failures(slot);
        self.messages[slot as usize].settle_share(from);
        self.conclude(slot);
    }

    /// Another shard has nothing more to say about a message.
    pub(crate) fn share_settled(&mut self, from: ShardIndex, name: MessageRef) {
        if let Some(slot) = self.named(name) {
            self.end_share(slot, from);
            self.conclude(slot);
        }
    }

    fn named(&self, name: MessageRef) -> Option<u32> {
        let message = self.messages.get(name.slot as usize)?;
        (message.generation == name.generation).then_some(name.slot)
    }

    /// Another shard has ended: who was carried there is not, what is on its way from there ends, and
    /// recipients there were not served.
    pub(crate) fn lose_shard(&mut self, now: Instant, shard: ShardIndex, life: u32) {
        self.lose_lane(shard, life);
        self.lose_grafts(now, shard);
        self.lose_branches(shard);
        self.drop_asked(shard);
        let sessions: Vec<SessionRef> = self.sessions.iter().collect();
        for session in sessions {
            let entry = &mut self.sessions[session.index as usize];
            if entry.elsewhere() != Some(shard) {
                continue;
            }
            entry.link.set(crate::session::Link::Lost, &mut self.epoch);
            self.forget_messages_from(session);
        }
        for context in self.contexts.values_mut() {
            context.strand(shard);
        }
        let slots = self.messages.iter().map(|(slot, _)| slot);
        let slots: Vec<u32> = slots
            .map(|slot| u32::try_from(slot).expect("below MESSAGES_MAX"))
            .collect();
        for slot in slots {
            let shares = self.messages[slot as usize].shares();
            if !shares.iter().any(|s| s.shard == shard && !s.is_settled) {
                continue;
            }
            self.end_share(slot, shard);
            let message = &mut self.messages[slot as usize];
            if message.failure_report != FailureReport::No || message.success_wanted {
                message.failure.get_or_insert(StatusCode::TIMEOUT);
            }
            self.report_failures(slot);
            self.conclude(slot);
        }
    }
}
