//! What a turn has queued so far, and whose queues it made too long.

use crate::api::ConnId;
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

    /// The queue of a connection grew to `queued` octets; `from` filled it, unless nobody is to wait for
    /// that.
    #[inline]
    pub(crate) fn note_growth<B>(
        &mut self,
        connection: &Connection<B>,
        queued: usize,
        from: Option<Source>,
        limits: &Limits,
    ) {
        if queued > limits.queue_bytes_soft {
            self.note_long_queue(connection, queued, from, limits);
        }
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
    }
}
