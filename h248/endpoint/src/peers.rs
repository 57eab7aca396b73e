//! State kept per peer: version, delay estimate, acknowledgements due.

use std::collections::HashMap;

use clock::TimerKey;
use h248::ast::{Transaction, TransactionId};

use crate::backoff::Estimator;
use crate::limits::{ACK_RANGES_MAX, PEERS_MAX};
use crate::{Peer, Timers};

/// Header version before a negotiation (H.248.1 section 11.3).
pub(crate) const VERSION_FIRST: u8 = 1;

#[derive(Debug)]
pub(crate) struct PeerState {
    pub(crate) version: u8,
    pub(crate) estimator: Estimator,
    /// Requests awaiting their reply.
    pub(crate) outstanding: usize,
    /// Replies to acknowledge; at most [`ACK_RANGES_MAX`].
    acks: Vec<u32>,
    /// Fires when `acks` have waited long enough.
    pub(crate) ack_timer: Option<TimerKey>,
}

#[derive(Debug, Default)]
pub(crate) struct Peers {
    states: HashMap<Peer, PeerState>,
    /// Peers whose acknowledgements must go out before the next wait.
    urgent: Vec<Peer>,
}

impl Peers {
    pub(crate) fn get(&self, peer: Peer) -> Option<&PeerState> {
        self.states.get(&peer)
    }

    pub(crate) fn get_mut(&mut self, peer: Peer) -> Option<&mut PeerState> {
        self.states.get_mut(&peer)
    }

    /// The state of `peer`, made if need be; `None` if all places are taken by peers with
    /// outstanding requests.
    pub(crate) fn entry(&mut self, peer: Peer, timers: &Timers) -> Option<&mut PeerState> {
        if self.states.len() >= PEERS_MAX && !self.states.contains_key(&peer) {
            let idle = |s: &PeerState| s.outstanding == 0 && s.acks.is_empty();
            let victim = self.states.iter().find(|(_, s)| idle(s)).map(|(p, _)| *p)?;
            self.states.remove(&victim);
        }
        Some(self.states.entry(peer).or_insert_with(|| PeerState {
            version: VERSION_FIRST,
            estimator: Estimator::new(timers),
            outstanding: 0,
            acks: Vec::new(),
            ack_timer: None,
        }))
    }

    pub(crate) fn remove(&mut self, peer: Peer) -> Option<PeerState> {
        self.urgent.retain(|p| *p != peer);
        self.states.remove(&peer)
    }

    /// Notes that `id` is to be acknowledged to `peer`. Returns whether a timer should see to it
    /// (it is the first one and not urgent).
    pub(crate) fn acknowledge(&mut self, peer: Peer, id: TransactionId, is_urgent: bool) -> bool {
        let Some(state) = self.states.get_mut(&peer) else {
            return false;
        };
        if !state.acks.contains(&id.0) {
            state.acks.push(id.0);
        }
        if is_urgent || state.acks.len() >= ACK_RANGES_MAX {
            self.make_urgent(peer);
            return false;
        }
        state.ack_timer.is_none()
    }

    pub(crate) fn make_urgent(&mut self, peer: Peer) {
        if !self.urgent.contains(&peer) {
            self.urgent.push(peer);
        }
    }

    pub(crate) fn next_urgent(&mut self) -> Option<Peer> {
        self.urgent.pop()
    }

    /// The acknowledgements due to `peer`, as ranges, and the timer that is now pointless.
    pub(crate) fn take_acks(&mut self, peer: Peer) -> (Option<Transaction>, Option<TimerKey>) {
        self.urgent.retain(|p| *p != peer);
        let Some(state) = self.states.get_mut(&peer) else {
            return (None, None);
        };
        let timer = state.ack_timer.take();
        let mut ids = core::mem::take(&mut state.acks);
        if ids.is_empty() {
            return (None, timer);
        }
        ids.sort_unstable();
        (Some(Transaction::Ack(ranges(&ids))), timer)
    }
}

fn ranges(sorted: &[u32]) -> Vec<(TransactionId, TransactionId)> {
    let mut ranges: Vec<(TransactionId, TransactionId)> = Vec::new();
    for &id in sorted {
        match ranges.last_mut() {
            Some((_, last)) if last.0.checked_add(1) == Some(id) => *last = TransactionId(id),
            _ => ranges.push((TransactionId(id), TransactionId(id))),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_ids_are_acknowledged_as_one_range() {
        let pairs = |ids: &[u32]| -> Vec<(u32, u32)> {
            ranges(ids).iter().map(|(a, b)| (a.0, b.0)).collect()
        };
        assert_eq!(pairs(&[1, 2, 3, 7, 9, 10]), [(1, 3), (7, 7), (9, 10)]);
        assert_eq!(pairs(&[u32::MAX]), [(u32::MAX, u32::MAX)]);
        assert_eq!(pairs(&[]), []);
    }
}
