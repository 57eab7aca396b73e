//! What the participants hear, checked and counted.

use clock::Instant;
use msrp::{Flag, StatusCode};
use reactor::Octets;
use switch::Batch;

use super::links::bound_leg;
use super::measured::{Measured, Times};
use super::{Leg, Presence, scheduled_at};
use crate::ledger::{Arrival, Track};
use crate::pattern::MessageId;
use crate::plan::{Plan, Rate};
use crate::reader::{Answer, Chunk, Seen};
use crate::report::Counts;
use crate::sender::Sender;

/// Takes what one connection brought, with the rest of the generator beside it.
pub(super) struct Hears<'a> {
    pub(super) now: Instant,
    /// The session of a connection that has just one.
    pub(super) link_leg: Option<u32>,
    pub(super) answers: &'a mut Batch<Octets>,
    pub(super) legs: &'a mut [Leg],
    pub(super) senders: &'a mut [Sender],
    pub(super) counts: &'a mut Counts,
    pub(super) measured: &'a mut Measured,
    pub(super) times: Times,
    pub(super) plan: &'a Plan,
    /// Senders that may go on.
    pub(super) queue: Vec<u32>,
    pub(super) bound: usize,
    pub(super) has_answered: bool,
}

impl Hears<'_> {
    pub(super) fn hear(&mut self, seen: Seen<'_>) {
        match seen {
            Seen::Chunk(chunk) => self.begin(chunk),
            Seen::Body { octets, is_right } => {
                self.counts.damaged += u64::from(!is_right);
                self.count_octets(octets as u64);
            }
            Seen::End(end) => {
                // Recognised as a whole: its octets were not told before.
                if end.is_whole {
                    self.count_octets(end.octets);
                }
                self.end(end.chunk, end.octets, end.flag);
                if let Some(answer) = end.answer {
                    self.answer(&answer);
                }
            }
            Seen::Empty(answer) => self.answer(&answer),
            Seen::Response {
                transaction_id,
                code,
            } => {
                let is_ok = code == StatusCode::OK.as_u16();
                match bound_leg(transaction_id) {
                    Some(leg) if is_ok => self.bound(leg),
                    // Subtracted before it was bound.
                    Some(leg) if self.is_leaving(leg) => {}
                    Some(_) | None => self.counts.refused += u64::from(!is_ok),
                }
            }
            Seen::Report { code } => {
                self.counts.refused += u64::from(code != StatusCode::OK.as_u16());
            }
            Seen::Strange(what) => {
                tracing::warn!(what, "the generator got something else");
                self.counts.strange += 1;
            }
        }
    }

    fn is_leaving(&self, leg: u32) -> bool {
        let entry = self.legs.get(leg as usize);
        entry.is_some_and(|entry| entry.presence == Presence::Leaving)
    }

    /// A session is bound: from here on its participant must get everything.
    fn bound(&mut self, leg: u32) {
        self.bound += 1;
        let Some(entry) = self.legs.get_mut(leg as usize) else {
            return;
        };
        if let Presence::Joining { since } = entry.presence {
            entry.presence = Presence::Present;
            self.counts.joins += 1;
            self.measured.joins.record_between(since, self.now);
            let first = leg / self.plan.participants * self.plan.senders;
            let senders = &self.senders[first as usize..];
            for (track, sender) in entry.tracks.iter_mut().zip(senders) {
                track.expect_from(sender.begun());
            }
        }
    }

    fn track(&mut self, chunk: Chunk) -> Option<&mut Track> {
        let leg = self.link_leg_of(chunk)?;
        let senders = self.plan.senders.max(1);
        let number = usize::try_from(chunk.id.sender % senders).ok()?;
        let is_here = chunk.id.sender / senders == leg / self.plan.participants;
        let tracks = &mut self.legs[leg as usize].tracks;
        tracks.get_mut(number).filter(|_| is_here)
    }

    /// A connection with several sessions is told apart by To-Path; a forwarder leaves To-Path as the
    /// sender wrote it, so that with one session it does not matter.
    fn link_leg_of(&self, chunk: Chunk) -> Option<u32> {
        let named = chunk.leg.filter(|leg| (*leg as usize) < self.legs.len());
        self.link_leg
            .filter(|_| self.plan.sessions_per_connection == 1)
            .or(named)
    }

    fn begin(&mut self, chunk: Chunk) {
        let Some(track) = self.track(chunk) else {
            self.counts.strange += 1;
            return;
        };
        let reached = track
            .partial
            .take()
            .filter(|(serial, _)| *serial == chunk.id.serial)
            .map_or(0, |(_, reached)| reached);
        self.counts.damaged += u64::from(reached != chunk.offset);
    }

    fn end(&mut self, chunk: Chunk, octets: u64, flag: Flag) {
        let reached = chunk.offset + octets;
        let (serial, size) = (chunk.id.serial, self.plan.size);
        let Some(track) = self.track(chunk) else {
            self.counts.strange += 1;
            return;
        };
        match flag {
            Flag::More => track.partial = Some((serial, reached)),
            // What goes to one who leaves may be abandoned.
            Flag::Abort => {
                let leg = self.link_leg_of(chunk);
                let is_going = leg.is_some_and(|leg| self.is_leaving(leg));
                self.counts.aborted += u64::from(!is_going);
            }
            Flag::Complete => {
                let arrival = track.note(serial);
                self.counts.damaged += u64::from(reached != size);
                self.deliver(chunk.id, arrival);
            }
        }
    }

    fn deliver(&mut self, id: MessageId, arrival: Arrival) {
        if arrival == Arrival::Duplicate {
            self.counts.duplicated += 1;
            return;
        }
        self.counts.out_of_order += u64::from(arrival == Arrival::OutOfOrder);
        self.counts.delivered += 1;
        let sender = &mut self.senders[id.sender as usize];
        sender.delivered += 1;
        if self.queue.last() != Some(&id.sender) {
            self.queue.push(id.sender);
        }
        let intended = match self.plan.rate {
            Rate::Fixed(rate) => {
                let number = id.serial * u64::from(self.plan.sender_count()) + u64::from(id.sender);
                Some(scheduled_at(self.times.start, number, rate))
            }
            Rate::Max => sender.written_at(id.serial),
        };
        if let Some(intended) = intended
            && (self.times.from..self.times.to).contains(&intended)
        {
            self.measured.row.record_between(intended, self.now);
        }
        if (self.times.from..self.times.to).contains(&self.now) {
            self.measured.delivered += 1;
            self.measured.row_delivered += 1;
        }
    }

    fn count_octets(&mut self, octets: u64) {
        if (self.times.from..self.times.to).contains(&self.now) {
            self.measured.octets += octets;
            self.measured.row_octets += octets;
        }
    }

    fn answer(&mut self, answer: &Answer<'_>) {
        let Some(leg) = answer.leg.or(self.link_leg) else {
            return;
        };
        let own = &self.legs[leg as usize].config.own;
        self.has_answered = true;
        self.answers.write(|out| {
            msrp::write::response(
                out,
                answer.transaction_id,
                StatusCode::OK,
                answer.to_path,
                own,
            );
        });
        self.answers.end_message();
    }
}
