//! Messages on their way through the switch, from their first chunk until every recipient's
//! answer is in (TS 24.247 9.3.3) or, in a chat room, until the last chunk has gone (RFC 7701 6.1).
//!
//! ```text
//! Open ── last octet in ──► Complete ── every delivery concluded ──► freed
//!   └──── abort, loss, refusal ────────────────────────────────────► freed
//! ```

use core::hash::{Hash, Hasher};
use std::hash::DefaultHasher;

use clock::Instant;
use msrp::cpim::Scanner;
use msrp::{FailureReport, Outcome, Reassembly, StatusCode};

use crate::ages::Neighbours;
use crate::api::{ContextKey, Octets, ShardIndex};
use crate::config::Profile;
use crate::ident::{CHUNK_MASK, GENERATION_MASK};
use crate::limits::DELIVERIES_KEEP_MAX;
use crate::session::SessionRef;
use crate::shard::Shard;

/// One message of one session.
#[derive(Debug)]
pub(crate) struct Message {
    pub generation: u32,
    pub sender: SessionRef,
    /// Message-ID.
    pub id: Vec<u8>,
    /// [`Shard::hash_of`] of its Message-ID; 0 when nothing can be reported about it.
    pub hash: u64,
    /// The conference it was sent in.
    pub context: ContextKey,
    /// From-Path of its first chunk: where reports go.
    pub from_path: Vec<u8>,
    pub success_wanted: bool,
    pub failure_report: FailureReport,
    /// The rules of the conference.
    pub profile: Profile,
    pub phase: Phase,
    /// Header fields of its copies but the paths and Byte-Range, ready to be written: those up to
    /// `id_end` come before Byte-Range, the rest, with the blank line, after it.
    pub fields: Vec<u8>,
    pub id_end: usize,
    /// Length as its sender told it last; `None` = `*`.
    pub told_octets: Option<u64>,
    /// Reads its CPIM headers, until it is known to whom it goes.
    pub wrapper: Option<Box<Scanner>>,
    /// Octets received, when it came in more than one chunk.
    pub ranges: Option<Box<Reassembly>>,
    /// Length: one past the highest octet while open, exact when complete.
    pub octets: u64,
    /// Position after the last octet that was forwarded.
    pub forwarded: u64,
    /// In the order of their seats.
    pub deliveries: Vec<Delivery>,
    /// When octets of it last arrived.
    pub touched_at: Instant,
    /// Its place among the messages of its phase by that time.
    pub neighbours: Neighbours,
    /// Where it stands in its sender's list of those that wait for answers.
    pub waits_at: Option<u32>,
    /// A failure REPORT was sent: nothing more is said about it.
    pub is_reported: bool,
    /// Why a recipient could not be served; of the first.
    pub failure: Option<StatusCode>,
    /// Its first octets have passed the filters.
    pub is_begun: bool,
    /// A filter, a recording or a listener is concerned.
    pub is_watched: bool,
    /// Recordings that get a copy.
    pub records: Vec<u64>,
    /// What other shards have to do with it; nothing for nearly every message.
    pub far: Option<Box<Far>>,
    /// Once complete: deliveries and shares about which something can still be learned.
    waiting: u32,
}

/// Names a message inside its shard; goes stale when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MessageRef {
    pub slot: u32,
    pub generation: u32,
}

/// What other shards have to do with a message.
#[derive(Debug)]
pub(crate) enum Far {
    /// They have recipients of it.
    Shares(Vec<Share>),
    /// One of them has its sender.
    Origin(Origin),
}

/// The recipients of a message on another shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    pub shard: ShardIndex,
    /// Nothing more is to be learned about them.
    pub is_settled: bool,
    /// Nothing more goes there.
    pub is_over: bool,
}

impl Share {
    pub(crate) fn new(shard: ShardIndex) -> Self {
        Self {
            shard,
            is_settled: false,
            is_over: false,
        }
    }
}

/// A message as the shard of its sender names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    pub shard: ShardIndex,
    pub message: MessageRef,
}

/// How far a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// More chunks are due.
    Open,
    /// Every octet was received and forwarded.
    Complete,
}

/// One recipient's share.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub session: SessionRef,
    /// The session's place in the conference.
    pub seat: u64,
    /// The last chunk sent; 0 = none, and after 2^14 - 1 comes 1.
    pub chunk: u16,
    /// Chunks sent that have no response yet.
    pub unanswered: u32,
    /// Octets that success REPORTs of this recipient covered.
    pub reported: Option<Box<Reassembly>>,
    pub state: DeliveryState,
}

/// Whether a recipient still counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeliveryState {
    /// Gets chunks, owes answers.
    Going,
    /// Has answered for the whole message.
    Done,
    /// Could not be served.
    Failed,
    /// Left the conference: no longer an available user.
    Left,
}

impl Delivery {
    #[inline]
    pub(crate) fn new(session: SessionRef, seat: u64, state: DeliveryState) -> Self {
        Self {
            session,
            seat,
            chunk: 0,
            unanswered: 0,
            reported: None,
            state,
        }
    }

    /// Counts another chunk.
    #[inline]
    pub(crate) fn next_chunk(&mut self) -> u16 {
        self.chunk = if self.chunk == CHUNK_MASK {
            1
        } else {
            self.chunk + 1
        };
        self.chunk
    }

    /// Whether the recipient got a chunk.
    pub(crate) fn is_begun(&self) -> bool {
        self.chunk != 0
    }

    /// Whether success REPORTs cover the first `octets` of the message.
    pub(crate) fn is_reported(&self, octets: u64) -> bool {
        self.reported
            .as_ref()
            .is_some_and(|r| r.contiguous_octets() >= octets)
    }
}

impl Message {
    pub(crate) fn new(generation: u32, sender: SessionRef, now: Instant) -> Self {
        Self {
            generation,
            sender,
            id: Vec::new(),
            hash: 0,
            context: ContextKey(0),
            from_path: Vec::new(),
            success_wanted: false,
            failure_report: FailureReport::Yes,
            profile: Profile::ThreeGpp,
            phase: Phase::Open,
            fields: Vec::new(),
            id_end: 0,
            told_octets: None,
            wrapper: None,
            ranges: None,
            octets: 0,
            forwarded: 0,
            deliveries: Vec::new(),
            touched_at: now,
            neighbours: Neighbours::default(),
            waits_at: None,
            is_reported: false,
            failure: None,
            is_begun: false,
            is_watched: false,
            records: Vec::new(),
            far: None,
            waiting: 0,
        }
    }

    /// The part of the generation that transaction ids carry.
    pub(crate) fn serial_generation(&self) -> u16 {
        u16::try_from(self.generation & GENERATION_MASK).expect("masked to 12 bits")
    }

    /// Takes note of octets received. Only messages in several chunks keep ranges.
    pub(crate) fn add_range(&mut self, offset: u64, octets: u64) -> Result<(), StatusCode> {
        self.octets = self.octets.max(offset + octets);
        if octets == 0 && offset == 0 {
            return Ok(());
        }
        // Kept for no octets at a later offset, too: those before it are still to come.
        let ranges = self.ranges.get_or_insert_with(Box::default);
        match ranges.add(offset, octets) {
            Outcome::Added { .. } | Outcome::Duplicate => Ok(()),
            Outcome::BeyondTotal | Outcome::TooManyRanges => Err(StatusCode::STOP_SENDING),
        }
    }

    /// Whether we answer for it as its receiver, whatever becomes of the copies (RFC 7701 6.3).
    pub(crate) fn is_ours(&self) -> bool {
        self.profile == Profile::Chatroom
    }

    /// Whether the recipients answer its chunks with 200.
    pub(crate) fn wants_answers(&self) -> bool {
        self.failure_report == FailureReport::Yes && !self.is_ours()
    }

    /// Whether nothing more can be learned about a delivery of the complete message.
    fn is_concluded(&self, delivery: &Delivery) -> bool {
        if self.is_ours() {
            return true;
        }
        match delivery.state {
            DeliveryState::Done | DeliveryState::Failed | DeliveryState::Left => true,
            DeliveryState::Going => match (self.failure_report, self.success_wanted) {
                // Success was asked for and no 200s are sent: the recipient's REPORT decides.
                (FailureReport::Partial | FailureReport::No, true) => false,
                // An error response may still come: the sweep ends the wait.
                (FailureReport::Partial, false) => false,
                (FailureReport::No, false) => true,
                (FailureReport::Yes, _) => delivery.unanswered == 0,
            },
        }
    }

    /// The last octet is in and forwarded. From here on `waiting` is kept, so that an answer costs
    /// the same however many recipients there are.
    pub(crate) fn complete(&mut self) {
        self.phase = Phase::Complete;
        if !self.takes_reports() {
            self.waiting = 0;
            return;
        }
        for ordinal in 0..self.deliveries.len() {
            self.credit(ordinal);
        }
        self.waiting = u32::try_from(self.count_waiting()).expect("at most ORDINAL_MAX");
    }

    fn count_waiting(&self) -> usize {
        let deliveries = self.deliveries.iter().filter(|d| !self.is_concluded(d));
        let shares = self.shares().iter().filter(|s| !s.is_settled);
        deliveries.count() + if self.is_ours() { 0 } else { shares.count() }
    }

    /// Nothing more is to be learned about the recipients on another shard.
    pub(crate) fn settle_share(&mut self, shard: ShardIndex) {
        let share = self.share_mut(shard);
        let Some(share) = share.filter(|s| !s.is_settled) else {
            return;
        };
        share.is_settled = true;
        if self.phase == Phase::Complete && self.takes_reports() && !self.is_ours() {
            self.waiting -= 1;
        }
    }

    /// Other shards with recipients of it.
    pub(crate) fn shares(&self) -> &[Share] {
        match self.far.as_deref() {
            Some(Far::Shares(shares)) => shares,
            Some(Far::Origin(_)) | None => &[],
        }
    }

    pub(crate) fn share_mut(&mut self, shard: ShardIndex) -> Option<&mut Share> {
        match self.far.as_deref_mut() {
            Some(Far::Shares(shares)) => shares.iter_mut().find(|s| s.shard == shard),
            Some(Far::Origin(_)) | None => None,
        }
    }

    /// Where it comes from, when another shard has its sender.
    pub(crate) fn origin(&self) -> Option<Origin> {
        match self.far.as_deref() {
            Some(Far::Origin(origin)) => Some(*origin),
            Some(Far::Shares(_)) | None => None,
        }
    }

    /// Changes a delivery and keeps `waiting`.
    fn change(&mut self, ordinal: usize, change: impl FnOnce(&mut Delivery)) {
        let is_waiting =
            |m: &Self| m.phase == Phase::Complete && !m.is_concluded(&m.deliveries[ordinal]);
        let was_waiting = is_waiting(self);
        change(&mut self.deliveries[ordinal]);
        if was_waiting && !is_waiting(self) {
            self.waiting -= 1;
        }
    }

    /// A chunk to this recipient was answered 200.
    pub(crate) fn note_answer(&mut self, ordinal: usize) {
        self.change(ordinal, |d| d.unanswered = d.unanswered.saturating_sub(1));
    }

    /// The recipient's part is over.
    pub(crate) fn settle(&mut self, ordinal: usize, state: DeliveryState) {
        self.change(ordinal, |d| d.state = state);
    }

    /// The recipient could not be served.
    pub(crate) fn fail(&mut self, ordinal: usize, status: StatusCode) {
        self.failure.get_or_insert(status);
        self.settle(ordinal, DeliveryState::Failed);
    }

    /// The recipient reported octets as received.
    pub(crate) fn note_report(&mut self, ordinal: usize, offset: u64, octets: u64) {
        let reported = self.deliveries[ordinal]
            .reported
            .get_or_insert_with(Box::default);
        // More ranges than the bound: the recipient's word is lost, not ours.
        let _ = reported.add(offset, octets);
        if self.phase == Phase::Complete {
            self.credit(ordinal);
        }
    }

    /// A delivery whose success REPORTs cover the complete message is done.
    fn credit(&mut self, ordinal: usize) {
        let delivery = &self.deliveries[ordinal];
        if delivery.state == DeliveryState::Going && delivery.is_reported(self.octets) {
            self.change(ordinal, |d| d.state = DeliveryState::Done);
        }
    }

    /// Whether every recipient of the complete message has had its say.
    pub(crate) fn is_concluded_by_all(&self) -> bool {
        self.phase == Phase::Complete && self.waiting == 0
    }

    /// Whether all available users have the complete message (TS 24.247 9.3.3.1).
    pub(crate) fn is_success(&self) -> bool {
        self.is_concluded_by_all() && (self.failure.is_none() || self.is_ours())
    }

    /// Where a delivery to the session in `seat` stands that is still going on.
    pub(crate) fn ordinal_of(&self, seat: u64) -> Option<usize> {
        let found = self.deliveries.binary_search_by_key(&seat, |d| d.seat);
        found
            .ok()
            .filter(|at| self.deliveries[*at].state == DeliveryState::Going)
    }

    /// Whether a recipient can have something to say about it.
    pub(crate) fn takes_reports(&self) -> bool {
        self.success_wanted || self.failure_report != FailureReport::No
    }

    /// Whether `waiting` is what its definition says.
    pub(crate) fn is_consistent(&self) -> bool {
        let is_sorted = self.deliveries.is_sorted_by_key(|d| d.seat);
        let owes = if self.takes_reports() {
            self.count_waiting()
        } else {
            0
        };
        is_sorted && (self.phase == Phase::Open || owes == self.waiting as usize)
    }

    /// Ready for another message, allocations kept.
    pub(crate) fn recycle(&mut self, generation: u32, sender: SessionRef, now: Instant) {
        let Self {
            id,
            from_path,
            fields,
            deliveries,
            ..
        } = self;
        let mut texts = [id, from_path, fields].map(core::mem::take);
        texts.iter_mut().for_each(Vec::clear);
        let [id, from_path, fields] = texts;
        let mut deliveries = core::mem::take(deliveries);
        deliveries.clear();
        deliveries.shrink_to(DELIVERIES_KEEP_MAX);
        *self = Self {
            id,
            from_path,
            fields,
            deliveries,
            ..Self::new(generation, sender, now)
        };
    }
}

impl<B: Octets> Shard<B> {
    /// Stands for a Message-ID. Keyed, so that nobody can make two of them meet.
    pub(crate) fn hash_of(&self, message_id: &[u8]) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash_key.hash(&mut hasher);
        hasher.write(message_id);
        hasher.finish()
    }
}

/// The key of a message among those of all conferences.
pub(crate) fn index_key(context: ContextKey, hash: u64) -> u64 {
    hash ^ u64::from(context.0).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Hashes what is a hash already.
#[derive(Debug, Default)]
pub(crate) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        for chunk in octets.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 ^= value;
    }
}
