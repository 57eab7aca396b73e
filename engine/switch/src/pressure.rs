//! Back pressure and slow recipients.
//!
//! ```text
//! turn's octets > their limit  nothing more is fed in it: what is queued leaves first
//! queue > soft, none in flight the same
//! queue > soft, progressing    its senders' reading pauses until the queue is half empty
//! no progress in a check       it holds nobody any more: the others go on
//! queue > hard, progressing    nobody who could send to it is read until the queue is half empty
//! queue > hard, no progress    its sessions are lost (the slow one loses, nobody else)
//! ```

use clock::Instant;

use crate::api::{ConnId, LossCause, Octets, Output};
use crate::connection::Connection;
use crate::limits::STALLED_AFTER;
use crate::session::Session;
use crate::shard::{Deadline, Shard};

impl<B: Octets> Shard<B> {
    /// Deals with queues that grew past a limit while an input was handled.
    pub(crate) fn settle_queues(&mut self, now: Instant) {
        while let Some(conn) = self.overflowed.pop() {
            if self.has_a_chance(now, conn) {
                self.hold_all(now, conn);
            } else {
                self.give_up_slow(now, conn);
            }
        }
        while let Some((slow, sender)) = self.pressed.pop() {
            self.hold(now, slow, sender);
        }
    }

    /// Whether a recipient holds its senders and the system took octets for it not long ago. Many
    /// senders may overrun one that is quick, each with what was read already.
    fn has_a_chance(&mut self, now: Instant, conn: ConnId) -> bool {
        let ceiling_bytes = 2 * self.config.limits.queue_bytes_max;
        let connection = self.connection(conn);
        connection.is_some_and(|c| {
            let is_progressing = c.brake.timer.is_some() && !c.brake.is_stalled;
            let is_late = now >= c.brake.progress_at + STALLED_AFTER;
            is_progressing && !is_late && c.tx.queued() <= ceiling_bytes
        })
    }

    /// Stops reading from everybody in the conferences of `slow`.
    fn hold_all(&mut self, now: Instant, slow: ConnId) {
        let Some(connection) = self.connection(slow) else {
            return;
        };
        for session in connection.sessions.clone() {
            let context = self.sessions.get(session.index as usize).map(|s| s.context);
            let members = context.and_then(|c| self.contexts.get(&c));
            let members = members.map_or_else(Vec::new, |c| c.sessions.clone());
            for member in members {
                let entry = self.sessions.get(member.index as usize);
                if let Some(sender) = entry.and_then(Session::conn) {
                    self.hold(now, slow, sender);
                }
            }
        }
    }

    fn give_up_slow(&mut self, now: Instant, conn: ConnId) {
        let limit_bytes = self.config.limits.queue_bytes_max;
        let Some(connection) = self.connection(conn) else {
            return;
        };
        if connection.is_closing {
            return;
        }
        tracing::warn!(peer = %connection.peer, limit_bytes, "closing: reads too slowly");
        // What is queued can never matter again; only the batch in flight must come home.
        connection.tx.discard();
        connection.tx.open = None;
        let cause = LossCause::TooSlow {
            limit_bytes: limit_bytes as u64,
        };
        self.lose_sessions(conn, cause);
        self.close(now, conn);
        self.release(conn);
    }

    /// Stops reading from `sender` until `slow` has drained.
    fn hold(&mut self, now: Instant, slow: ConnId, sender: ConnId) {
        let Some(connection) = self.connection(slow) else {
            return;
        };
        let brake = &mut connection.brake;
        if brake.is_stalled || connection.is_closing || brake.holds.contains(&sender) {
            return;
        }
        brake.holds.push(sender);
        let needs_timer = brake.timer.is_none();
        if needs_timer {
            brake.progress_at = now;
            let timer = self
                .timers
                .arm(now + STALLED_AFTER, Deadline::Progress(slow));
            self.connection(slow).expect("found above").brake.timer = Some(timer);
        }
        let Some(sender_connection) = self.connection(sender) else {
            return;
        };
        sender_connection.brake.waits_for += 1;
        if !sender_connection.brake.is_paused && !sender_connection.is_closing {
            sender_connection.brake.is_paused = true;
            self.outputs
                .push_back(Output::PauseReading { conn: sender });
        }
    }

    /// The system took octets of a batch.
    pub(crate) fn note_progress(&mut self, now: Instant, conn: ConnId) {
        let mark = self.config.limits.congestion_mark_bytes();
        let low = self.config.limits.queue_bytes_soft / 2;
        let Some(connection) = self.connection(conn) else {
            return;
        };
        let queued = connection.tx.queued();
        let brake = &mut connection.brake;
        brake.progress_at = now;
        brake.is_stalled = false;
        if queued <= mark {
            brake.congested_since = None;
        }
        if queued <= low && !brake.holds.is_empty() {
            self.release(conn);
        }
    }

    /// Lets everybody read on who waits for `conn`.
    pub(crate) fn release(&mut self, conn: ConnId) {
        let Some(connection) = self.connection(conn) else {
            return;
        };
        let timer = connection.brake.timer.take();
        let holds = core::mem::take(&mut connection.brake.holds);
        self.resume(holds, timer);
    }

    /// The same for a connection that is no longer in the table.
    pub(crate) fn let_go(&mut self, connection: &mut Connection<B>) {
        let timer = connection.brake.timer.take();
        self.resume(core::mem::take(&mut connection.brake.holds), timer);
    }

    fn resume(&mut self, holds: Vec<ConnId>, timer: Option<clock::TimerKey>) {
        if let Some(timer) = timer {
            self.timers.cancel(timer);
        }
        for sender in holds {
            let Some(connection) = self.connection(sender) else {
                continue;
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
    }

    pub(crate) fn check_progress(&mut self, now: Instant, conn: ConnId) {
        let Some(connection) = self.connection(conn) else {
            return;
        };
        connection.brake.timer = None;
        let stalls_at = connection.brake.progress_at + STALLED_AFTER;
        if now >= stalls_at {
            connection.brake.is_stalled = true;
            self.release(conn);
        } else if !connection.brake.holds.is_empty() {
            let timer = self.timers.arm(stalls_at, Deadline::Progress(conn));
            self.connection(conn).expect("found above").brake.timer = Some(timer);
        }
    }
}
