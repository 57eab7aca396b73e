//! Back pressure and slow recipients.
//!
//! ```text
//!        queue > soft while a batch is in flight       the system took some of it
//! Free ──────────────────────────────────────► Unknown ──────────────────────────► Slow
//!  ▲ queue <= half of soft                        │ nothing for STALLED_AFTER       │ ▲
//!  └─ from any                                    └──────────────► Stalled ◄────────┘ │
//!                                                                     └─ took some ───┘
//!
//! Free       holds nobody; more than the soft limit without a batch in flight ends the turn first
//! Unknown    whether it reads, nobody can say yet. Up to the headroom that is nobody's concern;
//!            beyond it its senders are held, once and for no longer than STALLED_AFTER
//! Slow       it reads: its senders keep to its pace, so that it loses nothing. That it does is known
//!            for STALLED_AFTER; who is Free meanwhile becomes Slow again at once
//! Stalled    it holds nobody: the others go on
//!
//! queue > hard limit    Unknown, Slow: nobody who could send to it is read
//!                       else its sessions are lost (the slow one loses, nobody else)
//! ```
//!
//! What all queues hold together has a bound of its own, see `hoard`.

use clock::Instant;

use crate::api::{ConnId, LossCause, Octets, Output};
use crate::connection::{Connection, Pace};
use crate::limits::STALLED_AFTER;
use crate::session::{Link, SessionRef};
use crate::shard::{Deadline, Shard};

/// Where octets come from that fill a queue: who is held when it is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A connection of this shard.
    Here(ConnId),
    /// A sender on another shard, by its double.
    There(SessionRef),
}

impl<B: Octets> Shard<B> {
    /// Deals with queues that grew past a limit while an input was handled; `source` is the
    /// connection that it came from.
    pub(crate) fn settle_queues(&mut self, now: Instant, source: Option<ConnId>) {
        while let Some((slow, sender)) = self.turn.pressed.pop() {
            self.press(now, slow, sender);
        }
        while let Some(conn) = self.turn.overflowed.pop() {
            if self.has_a_chance(now, conn) {
                self.hold_all(conn);
            } else {
                let limit_bytes = self.config.limits.queue_bytes_max;
                self.give_up_slow(now, conn, limit_bytes);
            }
        }
        if self.queued > self.config.limits.shard_queue_bytes_max {
            self.relieve(now, source);
        }
        self.settle_lanes(now);
    }

    /// The queue of `slow` is longer than the soft limit, and `sender` made it longer.
    fn press(&mut self, now: Instant, slow: ConnId, sender: Source) {
        let soft = self.config.limits.queue_bytes_soft;
        let headroom = self.config.limits.headroom_bytes();
        let Some(connection) = self.connection(slow).filter(|c| !c.is_closing) else {
            return;
        };
        let queued = connection.tx.queued();
        let brake = &mut connection.brake;
        if brake.pace == Pace::Free {
            (brake.pace, brake.mark) = if now < brake.slow_until {
                (Pace::Slow, soft)
            } else {
                (Pace::Unknown, headroom)
            };
            brake.progress_at = now;
            brake.taken = 0;
            self.watch(slow, now + STALLED_AFTER);
        }
        if self
            .connection(slow)
            .is_some_and(|c| queued > c.brake.mark && c.brake.pace != Pace::Stalled)
        {
            self.hold(slow, sender);
        }
    }

    /// Looks at a recipient's progress at this instant.
    fn watch(&mut self, conn: ConnId, at: Instant) {
        let timer = self.timers.arm(at, Deadline::Progress(conn));
        let brake = self.connection(conn).map(|c| &mut c.brake);
        if let Some(earlier) = brake.and_then(|brake| brake.timer.replace(timer)) {
            self.timers.cancel(earlier);
        }
    }

    /// Whether a recipient whose queue passed the hard limit may still read: many senders may overrun
    /// one that is quick, each with what was read already.
    fn has_a_chance(&mut self, now: Instant, conn: ConnId) -> bool {
        let ceiling_bytes = 2 * self.config.limits.queue_bytes_max;
        let connection = self.connection(conn);
        connection.is_some_and(|c| {
            let may_read = matches!(c.brake.pace, Pace::Unknown | Pace::Slow);
            let is_late = now >= c.brake.progress_at + STALLED_AFTER;
            may_read && !is_late && c.tx.queued() <= ceiling_bytes
        })
    }

    /// Stops reading from everybody in the conferences of `slow`.
    fn hold_all(&mut self, slow: ConnId) {
        let Some(connection) = self.connection(slow) else {
            return;
        };
        for session in connection.sessions.clone() {
            let context = self.sessions.get(session.index as usize).map(|s| s.context);
            let members = context.and_then(|c| self.contexts.get(&c));
            let members = members.map_or_else(Vec::new, |c| c.members().collect());
            for member in members {
                let entry = self.sessions.get(member.index as usize);
                let source = match entry.map(|entry| entry.link.get()) {
                    Some(Link::Bound(sender)) => Source::Here(sender),
                    Some(Link::Elsewhere(_)) => Source::There(member),
                    Some(Link::Waiting | Link::Connecting { .. } | Link::Lost) | None => continue,
                };
                self.hold(slow, source);
            }
        }
    }

    /// Ends the sessions of a recipient whose queue is too long, and its connection.
    pub(crate) fn give_up_slow(&mut self, now: Instant, conn: ConnId, limit_bytes: usize) {
        let Some(connection) = self.connection(conn) else {
            return;
        };
        if connection.is_closing {
            return;
        }
        let queued_bytes = connection.tx.queued();
        tracing::warn!(
            peer = %connection.peer, queued_bytes, limit_bytes, "closing: reads too slowly"
        );
        // What is queued can never matter again; only the batch in flight must come home.
        let lost = connection.discard();
        let cause = LossCause::TooSlow {
            limit_bytes: limit_bytes as u64,
        };
        if let Some(batch) = lost {
            self.supply.keep_batch(batch);
        }
        self.lose_sessions(conn, cause);
        self.close(now, conn);
    }

    /// Stops reading from `sender` until `slow` has drained.
    fn hold(&mut self, slow: ConnId, sender: Source) {
        let Some(connection) = self.connection(slow) else {
            return;
        };
        let brake = &mut connection.brake;
        if connection.is_closing || brake.holds.contains(&sender) {
            return;
        }
        brake.holds.push(sender);
        match sender {
            Source::Here(sender) => self.pause(sender),
            Source::There(sender) => self.hold_there(sender),
        }
    }

    /// One more reason not to read from a connection.
    pub(crate) fn pause(&mut self, sender: ConnId) {
        let Some(connection) = self.connection(sender) else {
            return;
        };
        connection.brake.waits_for += 1;
        if !connection.brake.is_paused && !connection.is_closing {
            connection.brake.is_paused = true;
            self.outputs
                .push_back(Output::PauseReading { conn: sender });
            self.gauges.add_hold();
        }
    }

    /// One reason less not to read from a connection.
    pub(crate) fn unpause(&mut self, sender: ConnId) {
        let Some(connection) = self.connection(sender) else {
            return;
        };
        connection.brake.waits_for -= 1;
        if connection.brake.waits_for == 0 && connection.brake.is_paused {
            connection.brake.is_paused = false;
            if !connection.is_closing {
                self.outputs
                    .push_back(Output::ResumeReading { conn: sender });
            }
        }
    }

    /// The system took octets of a batch; 0 where it is not known how many.
    pub(crate) fn note_progress(&mut self, now: Instant, conn: ConnId, octets: usize) {
        let limits = &self.config.limits;
        let congested = limits.congestion_mark_bytes();
        let (soft, least) = (limits.queue_bytes_soft, limits.progress_bytes_min());
        let low = soft / 2;
        let Some(connection) = self.connection(conn).filter(|c| !c.is_closing) else {
            return;
        };
        let queued = connection.tx.queued();
        let brake = &mut connection.brake;
        if queued <= congested {
            brake.congested_since = None;
        }
        if brake.pace == Pace::Free {
            brake.progress_at = now;
            return;
        }
        if queued <= low {
            brake.pace = Pace::Free;
            brake.progress_at = now;
            return self.release(conn);
        }
        brake.taken += if octets == 0 { least } else { octets };
        if brake.taken < least {
            return;
        }
        brake.taken = 0;
        brake.progress_at = now;
        brake.pace = Pace::Slow;
        brake.slow_until = now + STALLED_AFTER;
        let has_drained = queued + low <= brake.mark;
        // The mark follows the queue down: who catches up after a stall does not stop the others
        // until it has, it only may not fall further behind.
        brake.mark = brake.mark.min(queued + low).max(soft);
        let is_watched = brake.timer.is_some();
        if has_drained {
            let holds = core::mem::take(&mut brake.holds);
            self.resume(holds);
        }
        if !is_watched {
            self.watch(conn, now + STALLED_AFTER);
        }
    }

    /// Lets everybody read on who waits for `conn`, and looks after it no longer.
    pub(crate) fn release(&mut self, conn: ConnId) {
        let Some(connection) = self.connection(conn) else {
            return;
        };
        let timer = connection.brake.timer.take();
        let holds = core::mem::take(&mut connection.brake.holds);
        if let Some(timer) = timer {
            self.timers.cancel(timer);
        }
        self.resume(holds);
    }

    /// The same for a connection that is no longer in the table.
    pub(crate) fn let_go(&mut self, connection: &mut Connection<B>) {
        if let Some(timer) = connection.brake.timer.take() {
            self.timers.cancel(timer);
        }
        self.resume(core::mem::take(&mut connection.brake.holds));
    }

    /// One reason less not to read from these.
    pub(crate) fn resume(&mut self, holds: Vec<Source>) {
        for sender in holds {
            match sender {
                Source::Here(sender) => self.unpause(sender),
                Source::There(sender) => self.release_there(sender),
            }
        }
    }

    pub(crate) fn check_progress(&mut self, now: Instant, conn: ConnId) {
        let Some(connection) = self.connection(conn) else {
            return;
        };
        let queued_bytes = connection.tx.queued();
        let (peer, brake) = (connection.peer, &mut connection.brake);
        brake.timer = None;
        let stalls_at = brake.progress_at + STALLED_AFTER;
        if now < stalls_at {
            return self.watch(conn, stalls_at);
        }
        tracing::info!(%peer, queued_bytes, "stalled: it holds nobody back any more");
        brake.pace = Pace::Stalled;
        brake.mark = usize::MAX;
        self.gauges.add_stall();
        self.release(conn);
    }
}
