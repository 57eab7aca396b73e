//! What a turn has queued so far, and whose queues it made too long.

use std::collections::VecDeque;

use crate::api::{ConnId, Octets};
use crate::connection::{Connection, Pace};
use crate::limits::{Limits, TURN_BYTES_MAX};
use crate::pressure::Source;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// Octets queued since the outputs were last drawn.
    bytes: usize,
    /// Enough is queued: it should leave before more is fed.
    pub is_full: bool,
    /// Whoever gets something stands in the order in which it is to leave.
    pub is_arranged: bool,
    /// Connections whose queue passed the hard limit.
    pub overflowed: Vec<ConnId>,
    /// Connections whose queue passed the soft limit, with who filled it.
    pub pressed: Vec<(ConnId, Source)>,
}

impl Turn {
    /// So many octets more are queued somewhere.
    #[inline]
    pub(crate) fn add(&mut self, octets: usize) {
        self.bytes += octets;
        self.is_full |= self.bytes >= TURN_BYTES_MAX;
    }

    /// The queue of a connection grew from `before` octets: it is to leave, and what is too long has
    /// consequences. `from` filled it, unless nobody is to wait for that. Returns the difference.
    #[inline]
    pub(crate) fn note_growth<B: Octets>(
        &mut self,
        connection: &mut Connection<B>,
        before: usize,
        from: Option<Source>,
        limits: &Limits,
        dirty: &mut VecDeque<ConnId>,
    ) -> usize {
        if !connection.is_dirty {
            connection.is_dirty = true;
            dirty.push_back(connection.id);
        }
        let queued = connection.tx.queued();
        self.add(queued - before);
        if queued > limits.queue_bytes_soft {
            self.note_long_queue(connection, queued, from, limits);
        }
        queued - before
    }

    fn note_long_queue<B>(
        &mut self,
        connection: &Connection<B>,
        queued: usize,
        from: Option<Source>,
        limits: &Limits,
    ) {
        if !connection.is_sending {
            // It leaves as soon as the turn ends, and may well be taken at once.
            self.is_full = true;
        } else if let Some(from) = from
            && connection.brake.pace != Pace::Stalled
        {
            self.pressed.push((connection.id, from));
        }
        if queued > limits.queue_bytes_max {
            self.overflowed.push(connection.id);
        }
    }

    /// The outputs are drawn.
    pub(crate) fn end(&mut self) {
        self.bytes = 0;
        self.is_full = false;
        self.is_arranged = false;
    }
}
