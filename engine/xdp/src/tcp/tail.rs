//! The end of what was sent: nothing arrives behind it that would make the peer say that it is lost. So it is tried
//! long before the timeout (RFC 8985 7, without the rest of that document).
//!
//! ```text
//! nothing new for two round trips, or as long as the peer may hold an acknowledgement back
//!     something has arrived behind a hole     the hole will not be filled by waiting any more
//!     else                                    what was never sent goes out, or the last segment again: once
//! the answer reports it                       all in front of it is lost
//! the answer says that it came twice          the peer was slow: it gets more time from now on
//! ```

use core::time::Duration;

use clock::Instant;

use super::segment::Incoming;
use super::send::Piece;
use super::{Recovery, Seq, Tcp};

/// For how long a peer holds an acknowledgement back, as far as is known at first: Linux does for 40 ms and a tick.
const HELD_BACK: Duration = Duration::from_millis(60);

/// Later than the timeout: such a peer's connections have no probes.
const HELD_BACK_MAX: Duration = Duration::from_millis(240);

/// What is known of the end of what was sent.
#[derive(Debug)]
pub(super) struct Tail {
    /// When to try it.
    at: Option<Instant>,
    /// The end of what tried it, until the answer is there, and whether that had been sent before.
    probe: Option<(Seq, bool)>,
    owes_probe: bool,
    held_back: Duration,
}

impl Default for Tail {
    fn default() -> Self {
        Self {
            at: None,
            probe: None,
            owes_probe: false,
            held_back: HELD_BACK,
        }
    }
}

impl Tail {
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.at
    }

    /// What is lost is known by other means.
    pub(super) fn forget(&mut self) {
        self.at = None;
        self.probe = None;
        self.owes_probe = false;
    }

    pub(super) fn owes_probe(&self) -> bool {
        self.owes_probe
    }
}

impl Tcp {
    /// Something was sent for the first time, or something new acknowledged.
    pub(super) fn arm_tail(&mut self, now: Instant) {
        let may_probe = self.may_report
            && self.recovery == Recovery::None
            && self.tail.probe.is_none()
            && self.una != self.end
            && self.window > 0;
        let smoothed = self.rtt.smoothed();
        self.tail.at = (may_probe && !smoothed.is_zero())
            .then(|| now + smoothed + smoothed.max(self.tail.held_back))
            .filter(|at| self.retransmit_at.is_none_or(|timeout| *at < timeout));
    }

    /// Nothing new was acknowledged for a while.
    pub(super) fn try_tail(&mut self, now: Instant) {
        self.tail.at = None;
        self.retransmit_at = Some(now + self.rtt.timeout());
        match self.arrived.last() {
            Some((start, _)) => self.lose_before(start),
            None => self.tail.owes_probe = true,
        }
    }

    /// What tries the tail: octets that were never sent, else those that were sent last.
    pub(super) fn next_probe_of_tail(&mut self) -> Option<Piece> {
        if !core::mem::take(&mut self.tail.owes_probe) || self.una == self.end {
            return None;
        }
        let new = self.whole_unsent();
        let is_again = new.is_none();
        let piece = new.or_else(|| self.last_sent_piece())?;
        self.tail.probe = Some((piece.end(), is_again));
        if is_again {
            self.measured = None;
        }
        Some(piece)
    }

    /// The next segment that was never sent, if the peer has room for it; the congestion window does not count.
    fn whole_unsent(&self) -> Option<Piece> {
        let from = self.end;
        let written = self.written_end();
        let left = if from.is_before(written) {
            written.octets_since(from)
        } else {
            return None;
        };
        let octets = left.min(self.payload_bytes_max(self.options_bytes()));
        let open = (self.una + self.window).octets_since(from);
        let is_last = self.is_ending && octets == left && octets < open;
        (octets <= open).then_some(Piece {
            from,
            octets,
            is_last,
        })
    }

    fn last_sent_piece(&self) -> Option<Piece> {
        let to = self.end.earlier(self.written_end());
        let sent = to.octets_since(self.una);
        let octets = sent.min(self.payload_bytes_max(self.options_bytes()));
        let is_last = to != self.end;
        let from = self.una + (sent - octets);
        (octets > 0 || is_last).then_some(Piece {
            from,
            octets,
            is_last,
        })
    }

    /// Everything before this place is lost, for what tried the tail has arrived there.
    pub(super) fn lost_before_tail(&self) -> Option<Seq> {
        let (end, _) = self.tail.probe?;
        let (start, arrived) = self.arrived.last()?;
        (!arrived.is_before(end)).then_some(start)
    }

    /// Looks whether the tail had to be tried (RFC 8985 7.4.2).
    pub(super) fn judge_tail(&mut self, segment: &Incoming<'_>, is_duplicate: bool) {
        let Some((end, is_again)) = self.tail.probe else {
            return;
        };
        if segment.ack.is_before(end) {
            return;
        }
        let reported = segment.options().reported[0];
        let came_twice = reported.is_some_and(|(_, known)| !segment.ack.is_before(known))
            || is_duplicate && reported.is_none();
        if !is_again {
            self.tail.probe = None;
        } else if came_twice {
            self.tail.probe = None;
            self.tail.held_back = (self.tail.held_back * 2).min(HELD_BACK_MAX);
        } else if end.is_before(segment.ack) {
            // It came once: the first one was lost, which says something about the path.
            self.tail.probe = None;
            self.cubic.shrink(self.segment_bytes.into());
        }
    }
}
