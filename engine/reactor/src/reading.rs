//! Which connections a backend that reads itself reads from, and how much: what epoll and AF_XDP share.
//!
//! ```text
//! note:   something may have come; the connection gets in line, once
//! turn:   those in line when it begins, until the bytes of a turn are used up; the rest is first in the next one
//! ```

use std::collections::VecDeque;

use switch::{Batch, ConnId};

use crate::limits::WAIT_BYTES_MAX;

/// What a connection is about to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    Closing,
    Detaching,
}

/// Whether a connection is read from.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) phase: Phase,
    pub(crate) is_paused: bool,
    /// The far end has sent its last octet.
    pub(crate) is_ended: bool,
    is_in_line: bool,
}

impl Reading {
    pub(crate) fn new() -> Self {
        Self {
            phase: Phase::Open,
            is_paused: false,
            is_ended: false,
            is_in_line: false,
        }
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.phase == Phase::Open && !self.is_paused && !self.is_ended
    }

    /// It is at the head of the line now; whether it is to be read from.
    pub(crate) fn begin(&mut self) -> bool {
        self.is_in_line = false;
        self.is_wanted()
    }
}

/// Connections that may have something to read, each at most once.
#[derive(Debug, Default)]
pub(crate) struct Line {
    conns: VecDeque<ConnId>,
    /// The driver has enough: nothing more is read.
    pub(crate) is_held: bool,
}

/// How much of a turn is left.
#[derive(Debug)]
pub(crate) struct Turn {
    conns: usize,
    bytes: usize,
}

impl Line {
    /// A connection may have something to read.
    pub(crate) fn note(&mut self, id: ConnId, reading: &mut Reading) {
        if reading.is_wanted() && !core::mem::replace(&mut reading.is_in_line, true) {
            self.conns.push_back(id);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.conns.is_empty()
    }

    pub(crate) fn begin(&self) -> Turn {
        Turn {
            conns: self.conns.len(),
            bytes: WAIT_BYTES_MAX,
        }
    }

    /// The next connection of a turn, in which `bytes` were read since the last call.
    pub(crate) fn next(&mut self, turn: &mut Turn, bytes: usize) -> Option<ConnId> {
        turn.bytes = turn.bytes.saturating_sub(bytes);
        if turn.bytes == 0 || self.is_held {
            return None;
        }
        turn.conns = turn.conns.checked_sub(1)?;
        self.conns.pop_front()
    }
}

/// A batch that is sent in parts.
#[derive(Debug)]
pub(crate) struct Sending<B> {
    pub(crate) batch: B,
    /// Octets that were taken.
    pub(crate) taken: usize,
    /// How many of them the driver knows of.
    told: usize,
}

impl<B> Sending<B> {
    pub(crate) fn new(batch: B) -> Self {
        Self {
            batch,
            taken: 0,
            told: 0,
        }
    }

    /// Octets taken since the last call.
    pub(crate) fn progress(&mut self) -> usize {
        self.taken - core::mem::replace(&mut self.told, self.taken)
    }
}

impl<B: AsRef<[u8]> + Clone> Sending<Batch<B>> {
    /// Whether all was taken.
    pub(crate) fn is_over(&self) -> bool {
        self.taken == self.batch.octet_count()
    }

    /// The octets that were not taken.
    pub(crate) fn rest(&self) -> impl Iterator<Item = &[u8]> {
        let mut skip = self.taken;
        self.batch.slices().filter_map(move |slice| {
            let rest = slice.get(skip..).filter(|rest| !rest.is_empty());
            skip = skip.saturating_sub(slice.len());
            rest
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(index: u32) -> ConnId {
        ConnId {
            index,
            generation: 0,
        }
    }

    #[test]
    fn each_stands_in_line_once_and_a_turn_has_an_end() {
        let (mut line, mut one, mut other) = (Line::default(), Reading::new(), Reading::new());
        for _ in 0..2 {
            line.note(id(1), &mut one);
            line.note(id(2), &mut other);
        }
        let mut turn = line.begin();
        assert_eq!(line.next(&mut turn, 0), Some(id(1)));
        assert!(one.begin());
        // In line again, for the next turn.
        line.note(id(1), &mut one);
        assert_eq!(line.next(&mut turn, 1), Some(id(2)));
        assert_eq!(line.next(&mut turn, 1), None);
        let mut turn = line.begin();
        assert_eq!(line.next(&mut turn, WAIT_BYTES_MAX), None, "enough");
        assert_eq!(line.next(&mut line.begin(), 0), Some(id(1)));
        assert!(line.is_empty());
    }

    #[test]
    fn nobody_gets_in_line_who_is_not_read_from() {
        let mut line = Line::default();
        for change in [
            |one: &mut Reading| one.is_paused = true,
            |one: &mut Reading| one.is_ended = true,
            |one: &mut Reading| one.phase = Phase::Closing,
        ] {
            let mut one = Reading::new();
            change(&mut one);
            line.note(id(1), &mut one);
            assert!(line.is_empty() && !one.begin());
        }
        line.note(id(1), &mut Reading::new());
        line.is_held = true;
        assert_eq!(line.next(&mut line.begin(), 0), None);
    }
}
