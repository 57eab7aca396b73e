//! Messages whose sender another shard carries: they come in shipments, judged already, and go to the
//! recipients here; what becomes of them is told.

use clock::Instant;
use msrp::cpim;
use msrp::{Flag, StatusCode};

use crate::api::{Octets, Output, SessionKey, ShardIndex};
use crate::begin::{Audience, new_wrapper};
use crate::config::SessionConfig;
use crate::connection::{Chunk, Trail};
use crate::fan_out::Cut;
use crate::limits::MESSAGES_MAX;
use crate::message::{DeliveryState, Far, Message, MessageRef, Origin, index_key};
use crate::piece::Piece;
use crate::pressure::Source;
use crate::session::{Kind, SessionRef};
use crate::shard::Shard;
use crate::shipment::{Beginning, Parcel, Shipment};

impl<B: Octets> Shard<B> {
    /// Unpacks what another shard sent; `octets` are those of the shipment.
    pub(crate) fn handle_shipment(&mut self, now: Instant, mut shipment: Shipment, octets: &B) {
        let from = shipment.from();
        if self.is_current(from, shipment.lives) {
            for parcel in shipment.parcels.drain(..) {
                self.unpack(now, from, parcel, octets);
            }
        }
        self.outputs.push_back(Output::Unpacked(shipment));
        self.refuse_shipments(now);
    }

    fn unpack(&mut self, now: Instant, from: ShardIndex, parcel: Parcel, octets: &B) {
        let origin = |message| Origin {
            shard: from,
            message,
        };
        match parcel {
            Parcel::Begin(beginning) => self.begin_foreign(now, from, &beginning, octets.as_ref()),
            Parcel::Cut {
                message,
                random,
                range,
                octets: span,
                flag,
            } => {
                if let Some(slot) = self.arrived(origin(message)) {
                    let place = span.range();
                    let len = place.len() as u64;
                    let cut = Cut {
                        slot,
                        random,
                        range,
                        lead: &[],
                        piece: Piece::shared(octets, place, false),
                        octets: len,
                        flag,
                    };
                    self.pass_foreign(now, &cut);
                }
            }
            Parcel::Interrupt(message) => {
                if let Some(slot) = self.arrived(origin(message)) {
                    self.interrupt_copies(slot);
                }
            }
            Parcel::Complete { message, octets } => {
                if let Some(slot) = self.arrived(origin(message)) {
                    self.complete_foreign(now, slot, octets);
                }
            }
            Parcel::Abort(message) => {
                if let Some(slot) = self.arrived(origin(message)) {
                    self.abort_message(slot);
                }
            }
            Parcel::Starve(message) => {
                if let Some(slot) = self.arrived(origin(message)) {
                    self.count_starved(slot);
                    self.abort_message(slot);
                }
            }
            Parcel::Missed { session, count } => {
                if let Some(session) = self.sessions.of_key(session) {
                    let entry = &mut self.sessions[session.index as usize];
                    entry.statistics.messages_dropped += count;
                    self.gauges
                        .add_dropped(usize::try_from(count).unwrap_or(usize::MAX));
                }
            }
            Parcel::GiveUp(message) => {
                if let Some(slot) = self.arrived(origin(message)) {
                    self.give_up(slot);
                }
            }
            Parcel::Failed { message, status } => self.share_failed(from, message, status),
            Parcel::Settled(message) => self.share_settled(from, message),
            Parcel::AskNickname { session, nickname } => {
                self.judge_nickname(now, from, session, nickname.of(octets.as_ref()));
            }
            Parcel::GiveNickname(session) => {
                if let Some(session) = self.sessions.of_key(session) {
                    self.keep_nickname(now, session);
                }
            }
            Parcel::Nickname { session, status } => self.nickname_judged(now, session, status),
            Parcel::Named { session, nickname } => {
                self.learn_nickname(now, session, nickname.of(octets.as_ref()));
            }
            Parcel::Kept {
                context,
                nickname,
                user,
                rest,
            } => {
                let octets = octets.as_ref();
                let user = user.map(|user| user.of(octets));
                self.learn_kept(now, context, (nickname.of(octets), user), rest);
            }
            Parcel::Told(context) => self.note_told(from, context),
            Parcel::Hold(session) => self.hold_for(from, session),
            Parcel::Release(session) => self.release_for(from, session),
            Parcel::Graft { name, peer, via } => self.grow_branch(now, (from, name), peer, *via),
            Parcel::Feed { name, octets: span } => {
                self.fed(now, (from, name), octets, span.range());
            }
            Parcel::Taken { name, octets } => self.note_taken(now, (from, name), octets),
            Parcel::Sever { name, cause } => self.severed((from, name), cause),
            Parcel::Emit {
                name,
                octets: span,
                ends,
            } => self.emitted(from, name, (octets, span), ends),
            Parcel::Throttle { name, is_on } => self.throttle(from, name, is_on),
            Parcel::Tenancy { name, is_occupied } => {
                self.note_tenancy(now, from, name, is_occupied);
            }
            Parcel::LetGo(name) => self.let_branch_go(now, from, name),
        }
    }

    /// Recipients of a message do not get the rest of it.
    fn count_starved(&mut self, slot: u32) {
        for delivery in &self.messages[slot as usize].deliveries {
            if delivery.state == DeliveryState::Going
                && let Some(session) = self.session_at(delivery.session)
            {
                let entry = &mut self.sessions[session.index as usize];
                entry.statistics.messages_dropped += 1;
                self.gauges.add_dropped(1);
            }
        }
    }

    /// Nothing more comes of a message from another shard.
    #[cold]
    pub(crate) fn forget_origin(&mut self, slot: u32) {
        if let Some(origin) = self.messages[slot as usize].origin() {
            self.by_origin.remove(&origin);
        }
    }

    /// An open message from another shard.
    fn arrived(&self, origin: Origin) -> Option<u32> {
        let slot = *self.by_origin.get(&origin)?;
        let message = &self.messages[slot as usize];
        (message.phase == crate::message::Phase::Open).then_some(slot)
    }

    /// Lists the recipients here of a message that begins.
    fn begin_foreign(
        &mut self,
        now: Instant,
        from: ShardIndex,
        beginning: &Beginning,
        octets: &[u8],
    ) {
        let name = beginning.message;
        let Some(sender) = self.double_of(from, beginning) else {
            // It does not take part here, or not yet.
            return self.ship(from, |_| Parcel::Settled(name));
        };
        if self.messages.len() >= MESSAGES_MAX {
            let status = StatusCode::STOP_SENDING;
            return self.ship(from, |_| Parcel::Failed {
                message: name,
                status,
            });
        }
        let mut message = self.fresh_message(now, sender);
        message.context = beginning.context;
        message.profile = self.sessions[sender.index as usize].config.terms.profile;
        message.id.extend_from_slice(beginning.id.of(octets));
        message
            .fields
            .extend_from_slice(beginning.fields.of(octets));
        message.id_end = beginning.id_end as usize;
        message.success_wanted = beginning.success_wanted;
        message.failure_report = beginning.failure_report;
        let origin = Origin {
            shard: from,
            message: name,
        };
        message.far = Some(Box::new(Far::Origin(origin)));
        let kind = Kind {
            content_type: beginning.content_type.of(octets),
            wrapped: beginning.wrapped.map(|span| span.of(octets)),
        };
        let audience = match beginning.user {
            Some(user) => Audience::User(user.of(octets)),
            None => Audience::Others,
        };
        // It goes to no third shard from here: its sender's shard has seen to that.
        let _ = self.list_recipients(sender, kind, audience, &mut message);
        if message.deliveries.is_empty() {
            self.spare_message(message);
            return self.ship(from, |_| Parcel::Settled(name));
        }
        let is_listed = message.takes_reports();
        if is_listed {
            message.hash = self.hash_of(&message.id);
        }
        let key = index_key(message.context, message.hash);
        let slot = u32::try_from(self.messages.insert(message)).expect("below MESSAGES_MAX");
        self.open_ages.append(&mut self.messages, slot);
        if is_listed {
            self.by_message_id.insert(key, slot);
        }
        self.by_origin.insert(origin, slot);
        self.sessions[sender.index as usize].open.push(slot);
        self.start_sweeping(now);
    }

    /// Who stands here for the sender of a message, if it is still in that conference.
    fn double_of(&self, from: ShardIndex, beginning: &Beginning) -> Option<SessionRef> {
        let sender = self.sessions.of_key(beginning.sender)?;
        let entry = &self.sessions[sender.index as usize];
        let is_it = entry.elsewhere() == Some(from) && entry.context == beginning.context;
        is_it.then_some(sender)
    }

    /// Hands octets on to the recipients here.
    fn pass_foreign(&mut self, now: Instant, cut: &Cut<'_, B>) {
        let slot = cut.slot;
        self.touch(now, slot);
        let message = &mut self.messages[slot as usize];
        let sender = message.sender;
        message.told_octets = cut.range.total();
        if !message.is_begun {
            message.is_begun = true;
            if message.is_watched
                && let Err(status) = self.watch_foreign(sender, cut)
            {
                self.messages[slot as usize].failure.get_or_insert(status);
                self.report_failures(slot);
                return self.abort_message(slot);
            }
        }
        let offset = cut.range.offset();
        self.record_piece(slot, offset, [&[], cut.piece.octets()]);
        let _ = self.fan_out(Source::There(sender), cut);
        let message = &mut self.messages[slot as usize];
        message.forwarded = offset + cut.octets;
        message.octets = message.octets.max(message.forwarded);
        self.report_failures(slot);
    }

    /// Filters and recordings of recipients here.
    fn watch_foreign(&mut self, sender: SessionRef, cut: &Cut<'_, B>) -> Result<(), StatusCode> {
        let slot = cut.slot;
        let content_type =
            crate::filter::field(&self.messages[slot as usize].fields, "Content-Type");
        let octets = cut.piece.octets();
        let mut wrapper = new_wrapper();
        let wrapped = if crate::session::is_type(content_type, b"message/cpim") {
            match wrapper.next(octets) {
                Ok(cpim::Step::Head { text, .. }) => Ok(text),
                Ok(cpim::Step::More) => wrapper.finish().map_err(|_| StatusCode::STOP_SENDING),
                Err(_) => Err(StatusCode::STOP_SENDING),
            }
        } else {
            Ok(&[][..])
        };
        let chunk = Chunk {
            slot,
            generation: self.messages[slot as usize].generation,
            offset: cut.range.offset(),
            total: cut.range.total(),
            random: cut.random,
            copied: 0,
            is_streaming: false,
            trail: Trail::default(),
        };
        let flag = cut.flag.filter(|flag| *flag == Flag::Complete);
        self.filter_message(sender, &chunk, wrapped, cut.octets, flag)?;
        self.note_recorders(sender, slot);
        Ok(())
    }

    /// Tells the shard of a message's sender about it; `false` if its sender is here.
    pub(crate) fn tell_origin(
        &mut self,
        slot: u32,
        word: impl FnOnce(MessageRef) -> Parcel,
    ) -> bool {
        let Some(origin) = self.messages[slot as usize].origin() else {
            return false;
        };
        self.ship(origin.shard, |_| word(origin.message));
        true
    }

    /// Keeps a message for its allocations.
    #[inline]
    pub(crate) fn spare_message(&mut self, message: Box<Message>) {
        if self.spare_messages.len() < crate::limits::MESSAGE_POOL_MAX {
            self.spare_messages.push(message);
        }
    }

    /// Makes known a session that another shard carries.
    pub(crate) fn announce(
        &mut self,
        now: Instant,
        (key, context): (SessionKey, crate::api::ContextKey),
        (shard, home): (ShardIndex, ShardIndex),
        config: SessionConfig,
    ) {
        let session = self.add_session(now, key, context, config.of_double());
        self.sessions[session.index as usize]
            .link
            .set(crate::session::Link::Elsewhere(shard), &mut self.epoch);
        let context = self.contexts.entry(context).or_default();
        context.insert(session, Some(shard));
        if let Some(reach) = &mut context.reach {
            reach.home = Some(home);
        }
    }
}
