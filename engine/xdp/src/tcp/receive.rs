//! What a segment of the peer does (RFC 9293 3.10.7, with the precautions of RFC 5961).
//!
//! ```text
//! outside the window     acknowledged, so that the peer learns where we are; nothing else
//! RST                    ends the connection if it stands exactly where octets are expected, else challenged
//! SYN                    challenged
//! ACK                    frees octets, moves the window, says what is lost
//! octets                 in order to the reader, early ones kept
//! FIN                    counts when all in front of it is there
//! ```

use core::time::Duration;
use std::io::ErrorKind;

use clock::Instant;

use super::segment::{ACK, FIN, Incoming, RST, SYN};
use super::{Outgoing, Phase, Recovery, SEGMENT_BYTES_UNSAID, Seq, State, Tcp};
use crate::limits::{RECEIVE_BYTES, TIME_WAIT};

/// Acknowledgements that say nothing new before a segment counts as lost (RFC 5681 3.2).
const DUPLICATES: u8 = 3;

/// Acknowledgements of early octets that one turn sends at most: so many make the peer send again.
const OWED_MAX: u8 = 3;

/// What a segment has brought.
#[derive(Debug)]
pub(crate) enum Effect {
    /// What can be asked for.
    Taken,
    /// It had no business here: an answer that belongs to no connection.
    Refused(Outgoing),
}

impl Tcp {
    /// Takes a segment.
    pub(crate) fn handle(&mut self, now: Instant, segment: &Incoming<'_>) -> Effect {
        match self.state {
            State::Closed => Effect::Taken,
            State::SynSent => self.handle_answer(now, segment),
            State::SynReceived => self.handle_half_open(now, segment),
            State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait
            | State::Closing
            | State::LastAck
            | State::TimeWait => {
                self.handle_synchronized(now, segment);
                Effect::Taken
            }
        }
    }

    /// The answer to our SYN (RFC 9293 3.10.7.3).
    fn handle_answer(&mut self, now: Instant, segment: &Incoming<'_>) -> Effect {
        let is_ours = segment.has(ACK) && segment.ack == self.una + 1 && self.end == self.una + 1;
        if segment.has(ACK) && !is_ours {
            return refuse(segment);
        }
        if segment.has(RST) {
            if is_ours {
                self.fail(ErrorKind::ConnectionRefused);
            }
            return Effect::Taken;
        }
        if !segment.has(SYN) {
            return Effect::Taken;
        }
        self.hear(now);
        self.take_syn(segment);
        self.owes = 1;
        if is_ours {
            self.acknowledge_syn(now);
            self.take_octets(now, segment);
        } else {
            // Both began at once: our SYN goes out again, with an acknowledgement.
            self.state = State::SynReceived;
            self.again = self.una;
            self.lost_end = self.end;
        }
        Effect::Taken
    }

    fn handle_half_open(&mut self, now: Instant, segment: &Incoming<'_>) -> Effect {
        if segment.has(RST) {
            if segment.seq == self.next {
                self.fail(ErrorKind::ConnectionReset);
            }
            return Effect::Taken;
        }
        if segment.has(SYN) {
            if segment.seq + 1 == self.next {
                // Ours was lost, or is on its way.
                self.again = self.una;
                self.lost_end = self.end;
            } else {
                self.challenge(now);
            }
            if !segment.has(ACK) {
                return Effect::Taken;
            }
        }
        if !segment.has(ACK) {
            return Effect::Taken;
        }
        if segment.ack != self.una + 1 || self.end == self.una {
            return refuse(segment);
        }
        self.hear(now);
        self.acknowledge_syn(now);
        self.window = self.shifted(segment);
        self.window_max = self.window_max.max(self.window);
        self.window_seq = segment.seq;
        self.window_ack = segment.ack;
        if segment.has(SYN) {
            // The other half of beginning at once; its octets come again.
            self.owes = 1;
        } else {
            self.handle_synchronized(now, segment);
        }
        Effect::Taken
    }

    fn acknowledge_syn(&mut self, now: Instant) {
        self.state = State::Established;
        self.una = self.una + 1;
        self.again = self.una;
        self.lost_end = self.una;
        if let Some((_, sent)) = self.measured.take() {
            self.rtt.measure(now.since(sent));
        }
        self.rtt.forgive();
        self.retransmit_at = None;
    }

    fn handle_synchronized(&mut self, now: Instant, segment: &Incoming<'_>) {
        let octets = segment.octets();
        let is_old = octets > 0 && !self.next.is_before(segment.seq + octets)
            || segment.seq.is_before(self.next) && octets == 0;
        let is_beyond = self.offered.is_before(segment.seq)
            || octets > 0 && segment.seq == self.offered && self.offered != self.next;
        if is_old || is_beyond {
            if segment.has(RST) {
                return;
            }
            if octets > 0 {
                // Our acknowledgement was lost, or a FIN waits for it in TIME-WAIT.
                self.owes = self.owes.max(1);
                if self.state == State::TimeWait && segment.has(FIN) {
                    self.closes_at = Some(now + TIME_WAIT);
                }
            } else if segment.seq == self.next.before() {
                // Somebody asks whether we are still there.
                self.owes = self.owes.max(1);
            } else {
                self.challenge(now);
            }
            // An old segment still says what has arrived, and that somebody is there.
            let is_near = self.next.octets_since(segment.seq) <= RECEIVE_BYTES;
            if is_old && is_near && segment.has(ACK) && !segment.has(SYN) {
                self.hear(now);
                self.handle_acknowledgement(now, segment);
            }
            return;
        }
        if segment.has(RST) {
            if segment.seq == self.next {
                self.reset();
            } else {
                self.challenge(now);
            }
            return;
        }
        if segment.has(SYN) {
            self.challenge(now);
            return;
        }
        if !segment.has(ACK) {
            return;
        }
        self.hear(now);
        if self.handle_acknowledgement(now, segment) {
            self.take_octets(now, segment);
        }
    }

    fn reset(&mut self) {
        let is_over = matches!(
            self.state,
            State::TimeWait | State::LastAck | State::Closing
        );
        if is_over {
            self.state = State::Closed;
        } else {
            self.fail(ErrorKind::ConnectionReset);
        }
    }

    fn shifted(&self, segment: &Incoming<'_>) -> usize {
        usize::from(segment.window) << self.shift.unwrap_or(0)
    }

    /// Whether the segment is one that may be looked at further.
    fn handle_acknowledgement(&mut self, now: Instant, segment: &Incoming<'_>) -> bool {
        let distance = segment.ack.since(self.una);
        let is_ahead = self.end.is_before(segment.ack);
        let too_old = i64::from(distance) < -i64::try_from(self.window_max).unwrap_or(i64::MAX);
        if is_ahead || too_old {
            self.challenge(now);
            return false;
        }
        let (window, was_closed) = (self.shifted(segment), self.window == 0);
        let mut is_duplicate =
            distance == 0 && segment.octets() == 0 && window == self.window && self.una != self.end;
        if distance >= 0
            && (self.window_seq.is_before(segment.seq)
                || self.window_seq == segment.seq && !segment.ack.is_before(self.window_ack))
        {
            self.window = window;
            self.window_max = self.window_max.max(window);
            self.window_seq = segment.seq;
            self.window_ack = segment.ack;
        }
        if self.may_report && self.una != self.end {
            is_duplicate |= self.note_reported(segment);
        }
        if distance > 0 {
            self.advance(now, segment.ack);
        } else if is_duplicate {
            self.duplicates = self.duplicates.saturating_add(1);
        }
        self.judge_tail(segment, distance == 0 && segment.octets() == 0);
        if self.una != self.end {
            self.look_for_losses();
            if was_closed && self.window > 0 {
                // What tried the closed window found no room.
                self.again = self.una;
                self.lost_end = self.end;
            }
        }
        true
    }

    /// Whether anything arrived of which we did not know.
    fn note_reported(&mut self, segment: &Incoming<'_>) -> bool {
        let mut is_new = false;
        for (start, end) in segment.options().reported.into_iter().flatten() {
            let is_sane = start.is_before(end)
                && !start.is_before(segment.ack.later(self.una))
                && !self.end.is_before(end);
            is_new |= is_sane && self.arrived.add(start, end);
        }
        is_new
    }

    /// New octets were acknowledged.
    fn advance(&mut self, now: Instant, to: Seq) {
        let count = to.octets_since(self.una);
        let was_limited = self.pipe() + usize::from(self.segment_bytes) > self.cubic.window();
        let freed = count.min(self.sending.len());
        self.sending.drain(..freed);
        self.una = to;
        self.again = self.again.later(to);
        self.lost_end = self.lost_end.later(to);
        self.arrived.forget_before(to);
        self.duplicates = 0;
        self.rtt.forgive();
        if let Some((number, sent)) = self.measured
            && !to.is_before(number)
        {
            self.rtt.measure(now.since(sent));
            self.measured = None;
        }
        match self.recovery {
            Recovery::Fast(point) if to.is_before(point) => {
                // Without reports, an acknowledgement of a part says that what follows is lost, too (RFC 6582).
                // With them, so does one before which nothing was sent again.
                if !self.may_report {
                    self.again = to;
                    self.lost_end = (to + usize::from(self.segment_bytes)).earlier(point);
                    self.is_forced = true;
                } else if self.again == to
                    && let Some((start, _)) = self.arrived.at_or_behind(to)
                {
                    self.lost_end = self.lost_end.later(start);
                }
            }
            Recovery::Fast(_) => self.recovery = Recovery::None,
            Recovery::Timeout(point) if to.is_before(point) => self.grow(now, count),
            Recovery::Timeout(_) => {
                self.recovery = Recovery::None;
                self.grow(now, count);
            }
            Recovery::None if was_limited => self.grow(now, count),
            Recovery::None => {}
        }
        self.retransmit_at = (to != self.end).then(|| now + self.rtt.timeout());
        self.arm_tail(now);
        if self.is_ending && self.sending.is_empty() && to == self.end {
            self.end_of_ours(now);
        }
    }

    fn grow(&mut self, now: Instant, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let rtt = self.rtt.smoothed();
        self.cubic.grow(now, count, self.segment_bytes.into(), rtt);
    }

    /// Our FIN was acknowledged.
    fn end_of_ours(&mut self, now: Instant) {
        match self.state {
            State::FinWait1 => self.state = State::FinWait2,
            State::Closing => self.wait_out(now),
            State::LastAck => self.state = State::Closed,
            State::SynSent
            | State::SynReceived
            | State::Established
            | State::FinWait2
            | State::CloseWait
            | State::TimeWait
            | State::Closed => {}
        }
    }

    /// Enough has arrived behind a hole: it will not be filled by waiting.
    fn look_for_losses(&mut self) {
        if let Recovery::Timeout(_) = self.recovery {
            return;
        }
        let segment = usize::from(self.segment_bytes);
        let threshold = usize::from(DUPLICATES);
        let mut lost = self
            .arrived
            .lost_before(threshold, (threshold - 1) * segment);
        if lost.is_none() && self.duplicates >= DUPLICATES && self.recovery == Recovery::None {
            let one = (self.una + segment).earlier(self.end);
            let first = self.arrived.at_or_behind(self.una);
            lost = Some(first.map_or(one, |(start, _)| one.earlier(start)));
        }
        let lost = match (lost, self.lost_before_tail()) {
            (Some(one), Some(other)) => Some(one.later(other)),
            (one, other) => one.or(other),
        };
        if let Some(lost) = lost {
            self.lose_before(lost);
        }
    }

    /// All before this place that has not arrived is to be sent again.
    pub(super) fn lose_before(&mut self, lost: Seq) {
        self.tail.forget();
        if self.recovery == Recovery::None {
            self.recovery = Recovery::Fast(self.end);
            self.cubic.shrink(self.segment_bytes.into());
            self.again = self.una;
            self.lost_end = self.una;
            self.is_forced = true;
            self.measured = None;
        }
        self.lost_end = self.lost_end.later(lost);
    }

    /// Takes octets and FIN of a segment whose acknowledgement is fine.
    fn take_octets(&mut self, now: Instant, segment: &Incoming<'_>) {
        let takes = matches!(
            self.state,
            State::Established | State::FinWait1 | State::FinWait2
        );
        // A SYN takes a number in front of its octets.
        let start = segment.seq + usize::from(segment.has(SYN));
        if !takes || segment.payload.is_empty() && !segment.has(FIN) {
            return;
        }
        let known = self.next.octets_since(start).min(segment.payload.len());
        let from = start + known;
        let room = self.offered.octets_since(from);
        let octets = &segment.payload[known..];
        let is_whole = octets.len() <= room;
        let octets = &octets[..octets.len().min(room)];
        if segment.has(FIN) && is_whole && self.peer_end.is_none() {
            self.peer_end = Some(from + octets.len());
        }
        if from == self.next {
            self.received.extend(octets);
            self.next = from + octets.len();
            if !self.early.is_empty() {
                self.next = self.early.join(self.next, &mut self.received);
            }
            self.owes = self.owes.max(1);
        } else {
            if !octets.is_empty() {
                self.early.add(from, octets);
            }
            self.owes = (self.owes + 1).min(OWED_MAX);
        }
        debug_assert!(self.received.len() <= RECEIVE_BYTES, "what was offered");
        if self.peer_end == Some(self.next) {
            self.next = self.next + 1;
            self.end_of_theirs(now);
        }
    }

    /// The peer's FIN, and all in front of it, is there.
    fn end_of_theirs(&mut self, now: Instant) {
        self.owes = self.owes.max(1);
        match self.state {
            State::Established => self.state = State::CloseWait,
            State::FinWait1 => self.state = State::Closing,
            State::FinWait2 => self.wait_out(now),
            State::SynSent
            | State::SynReceived
            | State::CloseWait
            | State::Closing
            | State::LastAck
            | State::TimeWait
            | State::Closed => {}
        }
    }

    /// Nothing came for too long: all that is under way counts as lost.
    pub(super) fn time_out(&mut self, now: Instant) {
        /// Timeouts in a row after which large segments count as what does not get through.
        const BLACK_HOLE: u32 = 3;
        if self.una == self.end && !self.has_unsent() {
            self.retransmit_at = None;
            return;
        }
        let times = self.rtt.back_off();
        self.retransmit_at = Some(now + self.rtt.timeout());
        self.measured = None;
        self.tail.forget();
        self.duplicates = 0;
        if self.state.phase() != Phase::Opening {
            self.doubts_the_way = times.is_multiple_of(2);
            if self.una == self.end || self.window == 0 {
                self.owes_probe = true;
                return;
            }
            if times == BLACK_HOLE {
                self.segment_bytes = self.segment_bytes.min(SEGMENT_BYTES_UNSAID);
            }
        }
        self.cubic.collapse(self.segment_bytes.into());
        // The peer may have thrown away what it reported (RFC 2018 8).
        self.arrived.clear();
        self.recovery = Recovery::Timeout(self.end);
        self.again = self.una;
        self.lost_end = self.end;
    }

    /// How long nothing was sent.
    pub(super) fn pause(&self, now: Instant) -> Duration {
        now.since(self.last_sent)
    }
}

fn refuse(segment: &Incoming<'_>) -> Effect {
    if segment.has(RST) {
        Effect::Taken
    } else {
        Effect::Refused(segment.refusal())
    }
}
