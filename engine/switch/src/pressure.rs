//! Back pressure and slow recipients.
//!
//! ```text
//! queue > soft, progressing   its senders' reading pauses until the queue is half empty
//! no progress in a check      it holds nobody any more: the others go on
//! queue > hard                its sessions are lost (the slow one loses, nobody else)
//! ```

use clock::Instant;

use crate::api::{ConnId, LossCause, Octets, Output};
use crate::connection::Connection;
use crate::limits::STALLED_AFTER;
use crate::shard::{Deadline, Shard};

impl<B: Octets> Shard<B> {
    /// Deals with queues that grew past a limit while an input was handled.
    pub(crate) fn settle_queues(&mut self, now: Instant) {
        while let Some(conn) = self.overflowed.pop() {
            self.give_up_slow(now, conn);
        }
        while let Some((slow, sender)) = self.pressed.pop() {
            self.hold(now, slow, sender);
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
        connection.tx.pending = None;
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

    /// Called when a batch of `conn` was sent.
    pub(crate) fn release_if_drained(&mut self, conn: ConnId) {
        let low = self.config.limits.queue_bytes_soft / 2;
        if self
            .connection(conn)
            .is_some_and(|c| c.tx.queued() <= low && !c.brake.holds.is_empty())
        {
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
