//! What the driver keeps for later: completions whose connection must not be fed now.
//!
//! ```text
//! young, fed in this turn         next turn: its octets may belong to another shard
//! the logic has enough for now    next turn, when what it has made of the others is on its way
//! told to stop reading            when it is told to read on
//! behind something kept           with that
//! ```

use switch::ConnId;

use crate::backend::{Backend, Completion, Op};
use crate::driver::{Driver, Logic};
use crate::limits::HELD_BYTES_MAX;
use crate::table::Conn;

/// What arrived on a connection after the logic asked to stop reading from it.
#[derive(Debug)]
pub(crate) struct Parked<B> {
    octets: Vec<B>,
    is_ended: bool,
}

impl<B> Default for Parked<B> {
    fn default() -> Self {
        Self {
            octets: Vec::new(),
            is_ended: false,
        }
    }
}

impl<B> Conn<B> {
    /// Takes what arrived while its reading is stopped; gives back what cannot wait.
    fn park<S>(&mut self, completion: Completion<B, S>) -> Option<Completion<B, S>> {
        let Some(parked) = self.parked.as_mut().filter(|_| !self.is_closing) else {
            return Some(completion);
        };
        if let Completion::Received { octets, .. } = completion {
            parked.octets.push(octets);
            return None;
        }
        let is_end = matches!(completion, Completion::Ended { .. });
        parked.is_ended |= is_end;
        (!is_end).then_some(completion)
    }
}

impl<B: Backend, L: Logic<B::Octets>> Driver<B, L> {
    /// Keeps a completion if its connection must not be fed now, or if an earlier one was kept.
    pub(crate) fn hold(
        &mut self,
        completion: Completion<B::Octets, B::Socket>,
    ) -> Option<Completion<B::Octets, B::Socket>> {
        let (id, bytes) = match &completion {
            Completion::Received { conn, octets } => (*conn, octets.as_ref().len()),
            Completion::Ended { conn }
            | Completion::Closed { conn, .. }
            | Completion::Detached { conn, .. } => (*conn, 0),
            Completion::Accepted { .. }
            | Completion::Connected { .. }
            | Completion::ConnectFailed { .. }
            | Completion::Progressed { .. }
            | Completion::Sent { .. }
            | Completion::Woken => return Some(completion),
        };
        let Some(conn) = self.table.get_mut(id) else {
            return Some(completion);
        };
        let completion = conn.park(completion)?;
        let is_moving = conn.handover.is_some();
        // Octets of other connections go through the layer, which has a queue of its own for those
        // that may belong to another shard.
        let is_second = conn.layered.is_none() && conn.fed_in == self.turn;
        let is_too_much = || !is_moving && !conn.is_closing && !self.logic.takes(id);
        if conn.held_in == self.turn || (bytes > 0 && (is_second || is_too_much())) {
            conn.held_in = self.turn;
            self.keep(completion, bytes);
            return None;
        }
        if conn.layered.is_some() {
            return if bytes == 0 {
                self.hold_end(id, completion)
            } else {
                Some(completion)
            };
        }
        if bytes > 0 && conn.youth_bytes > 0 && !is_moving {
            conn.fed_in = self.turn;
            conn.youth_bytes = conn.youth_bytes.saturating_sub(bytes);
        }
        Some(completion)
    }

    /// Keeps a completion, with its octets, for the next turn.
    pub(crate) fn keep(&mut self, completion: Completion<B::Octets, B::Socket>, bytes: usize) {
        self.held.push(completion);
        self.held_bytes += bytes;
    }

    /// What was kept for this turn; the backend brings more if that was not much.
    pub(crate) fn take_held(&mut self, done: &mut Vec<Completion<B::Octets, B::Socket>>) {
        done.append(&mut self.held);
        let is_held = core::mem::take(&mut self.held_bytes) >= HELD_BYTES_MAX;
        self.backend.hold_receiving(is_held);
    }

    /// The logic wants nothing more from a connection for the time being.
    pub(crate) fn pause(&mut self, id: ConnId) {
        if let Some(conn) = self.open(id) {
            conn.parked.get_or_insert_default();
            self.backend.submit(Op::Pause { conn: id });
        }
    }

    /// The logic wants what arrives on a connection again, beginning with what came meanwhile.
    pub(crate) fn resume(&mut self, id: ConnId) {
        let Some(conn) = self.open(id) else {
            return;
        };
        let parked = conn.parked.take().map(|parked| *parked);
        self.backend.submit(Op::Resume { conn: id });
        let Parked { octets, is_ended } = parked.unwrap_or_default();
        for octets in octets {
            let bytes = octets.as_ref().len();
            self.keep(Completion::Received { conn: id, octets }, bytes);
        }
        if is_ended {
            self.keep(Completion::Ended { conn: id }, 0);
        }
    }
}
