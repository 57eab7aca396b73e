//! What is to be sent next.
//!
//! ```text
//! what was lost                    as far as the congestion window goes
//! what was never sent              as far as both windows go, not in crumbs (RFC 9293 3.8.6.2.1)
//! an acknowledgement, a probe      if they are owed and no octets carried them
//! ```

use clock::Instant;

use super::segment::{FIN, PSH, RST, SYN};
use super::{OWN_SHIFT, Outgoing, Phase, Seq, State, Tcp};
use crate::limits::RECEIVE_BYTES;

/// Numbers to send: so many octets from a number on, and whether FIN follows them.
#[derive(Clone, Copy)]
pub(super) struct Piece {
    pub(super) from: Seq,
    pub(super) octets: usize,
    pub(super) is_last: bool,
}

impl Piece {
    pub(super) fn end(&self) -> Seq {
        self.from + (self.octets + usize::from(self.is_last))
    }
}

impl Tcp {
    /// The next segment, which counts as sent; `None` if there is nothing to send now.
    pub(crate) fn next_segment(&mut self, now: Instant) -> Option<Outgoing> {
        match self.state.phase() {
            Phase::Over => {
                let owes = core::mem::take(&mut self.owes_reset);
                owes.then(|| Outgoing::new(self.end, Some(self.next), RST))
            }
            Phase::Opening => self.next_syn(now),
            Phase::Open | Phase::Waiting => match self.next_piece(now) {
                Some(piece) => Some(self.send(now, piece)),
                None => self.next_bare(),
            },
        }
    }

    /// Octets, a FIN or a reset are to be sent, and may be: somebody waits for them.
    pub(crate) fn has_octets_to_send(&self) -> bool {
        self.again.is_before(self.lost_end)
            || self.has_unsent()
            || self.owes_probe
            || self.tail.owes_probe()
    }

    /// Something was never sent: octets, a SYN or a FIN.
    pub(crate) fn has_unsent(&self) -> bool {
        match self.state.phase() {
            Phase::Over => self.owes_reset,
            Phase::Opening => self.end == self.una,
            Phase::Waiting => false,
            Phase::Open => {
                let sent = self.end.octets_since(self.una);
                sent < self.sending.len() + usize::from(self.is_ending)
            }
        }
    }

    /// Anything at all is to be sent, as far as can be told without trying.
    pub(crate) fn has_to_send(&self) -> bool {
        self.owes > 0 || self.owes_keepalive || self.has_octets_to_send()
    }

    /// Octets under way, as far as is known (`pipe` of RFC 6675 4).
    pub(super) fn pipe(&self) -> usize {
        let under_way = self.end.octets_since(self.una);
        let mut gone = 0;
        if !self.arrived.is_empty() {
            gone += self.arrived.octets();
        } else if self.duplicates > 0 {
            // Each says that a segment has arrived.
            gone += usize::from(self.duplicates) * usize::from(self.segment_bytes);
        }
        if self.again.is_before(self.lost_end) {
            let arrived = self.arrived.octets_behind(Some(self.again))
                - self.arrived.octets_behind(Some(self.lost_end));
            gone += self
                .lost_end
                .octets_since(self.again)
                .saturating_sub(arrived);
        }
        under_way.saturating_sub(gone)
    }

    fn next_syn(&mut self, now: Instant) -> Option<Outgoing> {
        let is_first = self.end == self.una;
        if !is_first && !self.again.is_before(self.lost_end) {
            return None;
        }
        let is_answer = self.state == State::SynReceived;
        let ack = is_answer.then_some(self.next);
        let mut segment = Outgoing::new(self.una, ack, SYN);
        // The window of a SYN is not shifted.
        segment.window = u16::try_from(RECEIVE_BYTES).unwrap_or(u16::MAX);
        let shift = (!is_answer || self.shift.is_some()).then_some(OWN_SHIFT);
        segment.offer(self.segment_bytes_own, shift, self.may_report);
        if is_first {
            self.measured = Some((self.una + 1, now));
        }
        self.end = self.una + 1;
        self.again = self.end;
        self.lost_end = self.end;
        self.owes = 0;
        self.last_sent = now;
        self.retransmit_at = Some(now + self.rtt.timeout());
        Some(segment)
    }

    fn next_piece(&mut self, now: Instant) -> Option<Piece> {
        if self.una == self.end && self.pause(now) > self.rtt.timeout() && self.has_unsent() {
            self.cubic.restart(self.segment_bytes.into());
        }
        if self.owes_probe {
            self.owes_probe = false;
            return self.probe();
        }
        self.next_lost()
            .or_else(|| self.next_probe_of_tail())
            .or_else(|| self.next_unsent(now))
    }

    pub(super) fn options_bytes(&self) -> usize {
        if !self.may_report || self.early.is_empty() {
            return 0;
        }
        let ranges = self.early.ranges().take(super::segment::REPORTED_MAX);
        4 + 8 * ranges.count()
    }

    /// Behind the last octet that was written.
    pub(super) fn written_end(&self) -> Seq {
        self.una + self.sending.len()
    }

    fn next_lost(&mut self) -> Option<Piece> {
        while self.again.is_before(self.lost_end) {
            let from = self.again;
            let next = self.arrived.at_or_behind(from);
            let to = match next {
                Some((start, end)) if !from.is_before(start) => {
                    self.again = end;
                    continue;
                }
                Some((start, _)) => start.earlier(self.lost_end),
                None => self.lost_end,
            };
            let max = self.payload_bytes_max(self.options_bytes());
            let open = (self.una + self.window).octets_since(from);
            let octets = to.earlier(self.written_end()).octets_since(from);
            let octets = octets.min(max).min(open);
            let is_last = self.is_ending
                && (from + octets).is_before(to)
                && from + octets == self.written_end()
                && octets < open;
            if octets == 0 && !is_last {
                return None;
            }
            let fits = self.pipe() + octets <= self.cubic.window();
            if !fits && !core::mem::take(&mut self.is_forced) {
                return None;
            }
            self.is_forced = false;
            return Some(Piece {
                from,
                octets,
                is_last,
            });
        }
        None
    }

    fn next_unsent(&mut self, now: Instant) -> Option<Piece> {
        if !self.has_unsent() {
            return None;
        }
        let from = self.end;
        let left = self.written_end().octets_since(from);
        let open = (self.una + self.window).octets_since(from);
        let free = self.cubic.window().saturating_sub(self.pipe());
        let wanted = left.min(self.payload_bytes_max(self.options_bytes()));
        let octets = wanted.min(open).min(free);
        let is_last = self.is_ending && octets == left && octets < open;
        let is_crumb = octets < wanted && octets * 2 < self.window_max;
        if is_crumb || octets == 0 && !is_last {
            // Acknowledgements open the windows; where none is to come, time does.
            if self.una == self.end && self.retransmit_at.is_none() {
                self.retransmit_at = Some(now + self.rtt.timeout());
            }
            return None;
        }
        Some(Piece {
            from,
            octets,
            is_last,
        })
    }

    /// What tries a window that is closed, or too small to be worth a segment.
    fn probe(&mut self) -> Option<Piece> {
        let max = self.payload_bytes_max(self.options_bytes());
        let octets = self.window.clamp(1, max).min(self.sending.len());
        let is_last = self.is_ending && octets == self.sending.len();
        let from = self.una;
        (octets > 0 || is_last).then_some(Piece {
            from,
            octets,
            is_last,
        })
    }

    fn send(&mut self, now: Instant, piece: Piece) -> Outgoing {
        let to = piece.end();
        let Piece {
            from,
            octets,
            is_last,
        } = piece;
        let at = from.octets_since(self.una);
        let was_idle = self.una == self.end;
        let mut flags = 0;
        if at + octets == self.sending.len() && octets > 0 {
            flags |= PSH;
        }
        if is_last {
            flags |= FIN;
        }
        let mut segment = self.carrier(from, flags);
        segment.payload = at..at + octets;
        if from == self.again && from.is_before(self.lost_end) {
            self.again = to.earlier(self.lost_end);
        }
        let is_new = self.end.is_before(to);
        if is_new {
            if self.measured.is_none() && self.end == from {
                self.measured = Some((to, now));
            }
            self.end = to;
        }
        self.last_sent = now;
        // What was armed while nothing was under way was for a window.
        if was_idle || self.retransmit_at.is_none() {
            self.retransmit_at = Some(now + self.rtt.timeout());
        }
        if is_new {
            self.arm_tail(now);
        }
        self.owes = 0;
        self.owes_keepalive = false;
        segment
    }

    fn next_bare(&mut self) -> Option<Outgoing> {
        if self.owes > 0 {
            self.owes -= 1;
            self.owes_keepalive = false;
            // Behind all that was sent, even while some of it is sent again: else a peer that has it takes this for
            // old.
            return Some(self.carrier(self.end, 0));
        }
        // A number that was acknowledged is outside of the window, and so is answered.
        let owes = core::mem::take(&mut self.owes_keepalive);
        owes.then(|| self.carrier(self.una.before(), 0))
    }

    /// A segment with the newest acknowledgement, window and report.
    fn carrier(&mut self, seq: Seq, flags: u8) -> Outgoing {
        let mut segment = Outgoing::new(seq, Some(self.next), flags);
        let own_shift = self.shift.map_or(0, |_| OWN_SHIFT);
        let edge = self.next + RECEIVE_BYTES.saturating_sub(self.received.len());
        let open = edge.later(self.offered).octets_since(self.next);
        segment.window = u16::try_from(open >> own_shift).unwrap_or(u16::MAX);
        let told = self.next + (usize::from(segment.window) << own_shift);
        self.offered = self.offered.later(told);
        if self.may_report && !self.early.is_empty() {
            segment.report(self.early.ranges());
        }
        segment
    }

    /// The octets of a segment, which lie in two parts.
    pub(crate) fn octets(&self, segment: &Outgoing) -> [&[u8]; 2] {
        let (front, back) = self.sending.as_slices();
        let place = segment.payload();
        let cut = |part: core::ops::Range<usize>, of: usize| part.start.min(of)..part.end.min(of);
        let behind = front.len();
        let rest = place.start.saturating_sub(behind)..place.end.saturating_sub(behind);
        [&front[cut(place, behind)], &back[rest]]
    }
}
