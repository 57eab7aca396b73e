//! The ways to other shards: what waits to leave, what is on its way, who waits for it.
//!
//! ```text
//! parcels ─► pending ─(end of turn, at most SHIPMENTS_MAX)─► on its way ─► unpacked there ─► back
//! ```
//!
//! A lane that fills up holds those who fill it, as a recipient does (see `pressure`). One that takes
//! nothing for a while holds nobody any more; past its hard limit messages fail towards that shard.

use std::collections::VecDeque;

use clock::{Instant, TimerKey};

use crate::api::{ConnId, Octets, Output, SessionKey, ShardIndex};
use crate::limits::{LANE_BYTES_MAX, LANE_BYTES_SOFT, SHIPMENTS_MAX, STALLED_AFTER};
use crate::session::SessionRef;
use crate::shard::{Deadline, Shard};
use crate::shipment::{BranchName, Lives, Parcel, Shipment};

/// The way to one other shard.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    lives: Lives,
    /// Filled; the last one may take more.
    pending: VecDeque<Shipment>,
    pending_bytes: usize,
    /// For reuse.
    spare: Vec<Shipment>,
    in_flight_count: usize,
    in_flight_bytes: usize,
    /// Connections whose reading waits for the lane.
    holds: Vec<ConnId>,
    /// Runs while `holds` is not empty.
    timer: Option<TimerKey>,
    progress_at: Instant,
    is_stalled: bool,
    /// Participants there missed messages, which they are not told yet: their doubles count them.
    has_missed: bool,
    /// Senders here whose reading waits for recipients there.
    held_for: Vec<(SessionKey, ConnId)>,
    /// Senders there whose reading waits for recipients here, and for how many.
    held_there: Vec<(SessionRef, u32)>,
}

impl Lane {
    fn queued(&self) -> usize {
        self.pending_bytes + self.in_flight_bytes
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    all: Vec<Lane>,
    /// Lanes with something pending, a bit each.
    due: u64,
    /// Lanes that passed their soft limit in this turn, with who filled them.
    pressed: Vec<(ShardIndex, ConnId)>,
}

impl Lanes {
    pub(crate) fn new(shards: u8, life: u32) -> Self {
        let lives = Lives { from: life, to: 0 };
        let lane = |_| Lane {
            lives,
            ..Lane::default()
        };
        let count = if shards > 1 { shards } else { 0 };
        Self {
            all: (0..count).map(lane).collect(),
            ..Self::default()
        }
    }

    /// Participants on a shard missed a message.
    pub(crate) fn note_missed(&mut self, shard: ShardIndex) {
        if let Some(lane) = self.all.get_mut(usize::from(shard.0)) {
            lane.has_missed = true;
        }
    }

    /// For tests: how often a connection is held on behalf of other shards.
    pub(crate) fn holds_of(&self, conn: ConnId) -> usize {
        let of_lane = |lane: &Lane| {
            let full = lane.holds.iter().filter(|c| **c == conn).count();
            full + lane.held_for.iter().filter(|(_, c)| *c == conn).count()
        };
        self.all.iter().map(of_lane).sum()
    }
}

impl<B: Octets> Shard<B> {
    /// Octets that wait for other shards, or are on their way to them.
    #[must_use]
    pub fn lane_bytes(&self) -> usize {
        self.lanes.all.iter().map(Lane::queued).sum()
    }

    /// Whether the lane to a shard takes more of messages.
    pub(crate) fn lane_takes(&self, to: ShardIndex) -> bool {
        let lane = self.lanes.all.get(usize::from(to.0));
        lane.is_some_and(|lane| lane.queued() <= LANE_BYTES_MAX)
    }

    /// Whether the lane to a shard takes the rest of a frame that has begun.
    pub(crate) fn lane_goes_on(&self, to: ShardIndex) -> bool {
        let lane = self.lanes.all.get(usize::from(to.0));
        lane.is_some_and(|lane| lane.queued() <= 2 * LANE_BYTES_MAX)
    }

    /// Puts a parcel on its way to another shard.
    pub(crate) fn ship(&mut self, to: ShardIndex, pack: impl FnOnce(&mut Shipment) -> Parcel) {
        self.load(to, |shipment| {
            let parcel = pack(shipment);
            shipment.parcels.push(parcel);
        });
    }

    fn load(&mut self, to: ShardIndex, load: impl FnOnce(&mut Shipment)) {
        let index = self.config.index;
        let Some(lane) = self.lanes.all.get_mut(usize::from(to.0)) else {
            return;
        };
        if lane.pending.back().is_none_or(Shipment::is_full) {
            let fresh = match lane.spare.pop() {
                Some(spare) => spare.recycle(lane.lives),
                None => Shipment::new(index, to, lane.lives),
            };
            lane.pending.push_back(fresh);
        }
        let shipment = lane.pending.back_mut().expect("made above");
        let before = shipment.weight();
        load(shipment);
        let added = shipment.weight() - before;
        lane.pending_bytes += added;
        self.lanes.due |= 1 << to.0;
        self.turn.add(added);
    }

    /// As [`Self::ship`], of body octets that came from `from`, who is held when the lane fills up.
    pub(crate) fn ship_octets(
        &mut self,
        to: ShardIndex,
        from: ConnId,
        pack: impl FnOnce(&mut Shipment) -> Parcel,
    ) {
        self.ship(to, pack);
        self.press_lane(to, from);
    }

    /// Octets of a connection here whose session is there; who sends them is held in the same way.
    pub(crate) fn ship_feed(
        &mut self,
        to: ShardIndex,
        from: ConnId,
        name: BranchName,
        parts: [&[u8]; 2],
    ) {
        self.load(to, |shipment| shipment.feed(name, parts));
        self.press_lane(to, from);
    }

    fn press_lane(&mut self, to: ShardIndex, from: ConnId) {
        let lane = &self.lanes.all[usize::from(to.0)];
        if lane.queued() > LANE_BYTES_SOFT && !lane.is_stalled {
            self.lanes.pressed.push((to, from));
        }
    }

    /// The next shipment that may leave.
    pub(crate) fn next_shipment(&mut self) -> Option<Output<B>> {
        while self.lanes.due != 0 {
            let index = self.lanes.due.trailing_zeros();
            let lane = &mut self.lanes.all[index as usize];
            let shipment = if lane.in_flight_count < SHIPMENTS_MAX {
                lane.pending.pop_front()
            } else {
                None
            };
            let Some(mut shipment) = shipment.filter(|s| !s.is_empty()) else {
                self.lanes.due &= !(1 << index);
                continue;
            };
            // Whoever is held, or waits for room, is to hear of it as soon as it is over.
            let is_filling = lane.in_flight_count >= SHIPMENTS_MAX / 2;
            let calls_back = is_filling || lane.queued() > LANE_BYTES_SOFT / 2;
            shipment.seal(calls_back);
            lane.pending_bytes -= shipment.weight_bytes;
            lane.in_flight_bytes += shipment.weight_bytes;
            lane.in_flight_count += 1;
            return Some(Output::Ship(shipment));
        }
        None
    }

    /// A shipment of ours was unpacked.
    pub(crate) fn handle_returned(&mut self, now: Instant, shipment: Shipment) {
        let to = shipment.to();
        let Some(lane) = self.lanes.all.get_mut(usize::from(to.0)) else {
            return;
        };
        if shipment.lives != lane.lives {
            return;
        }
        lane.in_flight_count -= 1;
        lane.in_flight_bytes -= shipment.weight_bytes;
        lane.progress_at = now;
        lane.is_stalled = false;
        if !lane.pending.is_empty() {
            self.lanes.due |= 1 << to.0;
        }
        let is_low = lane.queued() <= LANE_BYTES_SOFT / 2;
        if lane.spare.len() < SHIPMENTS_MAX {
            lane.spare.push(shipment);
        }
        if is_low {
            let has_missed = core::mem::take(&mut lane.has_missed);
            self.release_lane(to);
            if has_missed {
                self.tell_missed(to);
            }
        }
    }

    /// Deals with lanes that grew past their soft limit while an input was handled.
    pub(crate) fn settle_lanes(&mut self, now: Instant) {
        while let Some((to, sender)) = self.lanes.pressed.pop() {
            let lane = &mut self.lanes.all[usize::from(to.0)];
            if lane.is_stalled || lane.holds.contains(&sender) {
                continue;
            }
            lane.holds.push(sender);
            if lane.timer.is_none() {
                lane.progress_at = now;
                let timer = self.timers.arm(now + STALLED_AFTER, Deadline::Lane(to));
                self.lanes.all[usize::from(to.0)].timer = Some(timer);
            }
            self.pause(sender);
        }
    }

    fn release_lane(&mut self, to: ShardIndex) {
        let lane = &mut self.lanes.all[usize::from(to.0)];
        if let Some(timer) = lane.timer.take() {
            self.timers.cancel(timer);
        }
        for sender in core::mem::take(&mut lane.holds) {
            self.unpause(sender);
        }
    }

    /// Looks whether a lane that holds senders has moved.
    pub(crate) fn check_lane(&mut self, now: Instant, to: ShardIndex) {
        let lane = &mut self.lanes.all[usize::from(to.0)];
        lane.timer = None;
        let stalls_at = lane.progress_at + STALLED_AFTER;
        if now >= stalls_at {
            tracing::warn!(
                shard = to.0,
                "another shard takes nothing: nobody waits for it"
            );
            lane.is_stalled = true;
            self.release_lane(to);
        } else if !lane.holds.is_empty() {
            lane.timer = Some(self.timers.arm(stalls_at, Deadline::Lane(to)));
        }
    }

    /// A recipient here reads too slowly for a sender there.
    pub(crate) fn hold_there(&mut self, sender: SessionRef) {
        let Some((to, key)) = self.elsewhere(sender) else {
            return;
        };
        let held = &mut self.lanes.all[usize::from(to.0)].held_there;
        if let Some((_, count)) = held.iter_mut().find(|(s, _)| *s == sender) {
            *count += 1;
            return;
        }
        held.push((sender, 1));
        self.ship(to, |_| Parcel::Hold(key));
    }

    /// One recipient less holds it.
    pub(crate) fn release_there(&mut self, sender: SessionRef) {
        let Some((to, key)) = self.elsewhere(sender) else {
            return;
        };
        let held = &mut self.lanes.all[usize::from(to.0)].held_there;
        let Some(at) = held.iter().position(|(s, _)| *s == sender) else {
            return;
        };
        held[at].1 -= 1;
        if held[at].1 == 0 {
            held.swap_remove(at);
            self.ship(to, |_| Parcel::Release(key));
        }
    }

    /// Nobody here holds it any more, for it leaves.
    pub(crate) fn forget_held(&mut self, sender: SessionRef) {
        let Some((to, key)) = self.elsewhere(sender) else {
            return;
        };
        let held = &mut self.lanes.all[usize::from(to.0)].held_there;
        if let Some(at) = held.iter().position(|(s, _)| *s == sender) {
            held.swap_remove(at);
            self.ship(to, |_| Parcel::Release(key));
        }
    }

    fn elsewhere(&self, session: SessionRef) -> Option<(ShardIndex, SessionKey)> {
        let session = self.session_at(session)?;
        let entry = &self.sessions[session.index as usize];
        Some((entry.elsewhere()?, entry.key))
    }

    /// Another shard asks to hold a sender of ours.
    pub(crate) fn hold_for(&mut self, from: ShardIndex, key: SessionKey) {
        let session = self.sessions.of_key(key);
        let conn = session.and_then(|s| self.sessions[s.index as usize].conn());
        if let Some(conn) = conn {
            let lane = &mut self.lanes.all[usize::from(from.0)];
            lane.held_for.push((key, conn));
            self.pause(conn);
        }
    }

    /// Another shard lets a sender of ours go on.
    pub(crate) fn release_for(&mut self, from: ShardIndex, key: SessionKey) {
        let held = &mut self.lanes.all[usize::from(from.0)].held_for;
        if let Some(at) = held.iter().position(|(k, _)| *k == key) {
            let (_, conn) = held.swap_remove(at);
            self.unpause(conn);
        }
    }

    /// Whether a shipment is of the present life of the shard that sent it.
    pub(crate) fn is_current(&self, from: ShardIndex, lives: Lives) -> bool {
        let lane = self.lanes.all.get(usize::from(from.0));
        lane.is_some_and(|lane| lives.from >= lane.lives.to)
    }

    /// Another shard is no more: what was on its way is lost, and nobody waits for it.
    pub(crate) fn lose_lane(&mut self, shard: ShardIndex, life: u32) {
        let Some(lane) = self.lanes.all.get_mut(usize::from(shard.0)) else {
            return;
        };
        let fresh = Lane {
            lives: Lives {
                from: self.config.life,
                to: life,
            },
            ..Lane::default()
        };
        let lost = core::mem::replace(lane, fresh);
        self.lanes.due &= !(1 << shard.0);
        if let Some(timer) = lost.timer {
            self.timers.cancel(timer);
        }
        let held = lost.held_for.into_iter().map(|(_, conn)| conn);
        for conn in lost.holds.into_iter().chain(held) {
            self.unpause(conn);
        }
    }
}
