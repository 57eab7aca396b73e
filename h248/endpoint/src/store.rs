//! What was asked by whom, and what was answered: the memory behind at-most-once execution
//! (H.248.1 Annex D.1.1).
//!
//! ```text
//! new --start--> running --finish--> replied --acknowledge--> acknowledged
//!                                       |                          |
//!                                       +------ LONG-TIMER --------+--> forgotten
//! ```
//!
//! Keyed by mId and transaction id, not by address: a peer may come back from another one.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use clock::{Duration, Instant};
use h248::ast::{MId, TransactionId};

use crate::RequestKey;
use crate::limits::{REMOTE_RUNNING_MAX, REMOTE_STORED_BYTES_MAX, REMOTE_STORED_MAX, REMOTES_MAX};

/// What is known about a request that arrived.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    New,
    Running(RequestKey),
    Replied(Bytes),
    Acknowledged,
}

#[derive(Debug, Default)]
pub(crate) struct Store {
    remotes: HashMap<MId, Remote>,
}

#[derive(Debug, Default)]
struct Remote {
    entries: HashMap<u32, Entry>,
    /// Finished entries in order of expiry.
    order: VecDeque<(Instant, u32)>,
    running: usize,
    stored_bytes: usize,
}

#[derive(Debug)]
enum Entry {
    Running(RequestKey),
    /// Empty octets: acknowledged.
    Finished(Bytes),
}

impl Store {
    pub(crate) fn seen(&self, mid: &MId, id: TransactionId) -> Seen {
        let entry = self.remotes.get(mid).and_then(|r| r.entries.get(&id.0));
        match entry {
            None => Seen::New,
            Some(Entry::Running(key)) => Seen::Running(*key),
            Some(Entry::Finished(octets)) if octets.is_empty() => Seen::Acknowledged,
            Some(Entry::Finished(octets)) => Seen::Replied(octets.clone()),
        }
    }

    /// Remembers that a new request is being executed.
    ///
    /// # Errors
    ///
    /// Which bound was reached; nothing is remembered then.
    pub(crate) fn start(
        &mut self,
        mid: &MId,
        id: TransactionId,
        key: RequestKey,
    ) -> Result<(), &'static str> {
        let remote = self.remote(mid).ok_or("peer names")?;
        if remote.running >= REMOTE_RUNNING_MAX {
            return Err("running requests");
        }
        remote.running += 1;
        remote.entries.insert(id.0, Entry::Running(key));
        Ok(())
    }

    /// Remembers the reply to a request, started or not, for `long`. Returns how many older
    /// replies had to go for it.
    pub(crate) fn finish(
        &mut self,
        mid: &MId,
        id: TransactionId,
        octets: Bytes,
        until: Instant,
    ) -> u64 {
        let Some(remote) = self.remote(mid) else {
            return 0;
        };
        remote.stored_bytes += octets.len();
        match remote.entries.insert(id.0, Entry::Finished(octets)) {
            Some(Entry::Running(_)) => remote.running -= 1,
            Some(Entry::Finished(old)) => remote.stored_bytes -= old.len(),
            None => {}
        }
        remote.order.push_back((until, id.0));
        let mut dropped = 0;
        while remote.order.len() > REMOTE_STORED_MAX
            || remote.stored_bytes > REMOTE_STORED_BYTES_MAX
        {
            dropped += u64::from(remote.forget_oldest());
        }
        dropped
    }

    /// Frees the stored replies whose receipt the peer confirms; their ids stay.
    pub(crate) fn acknowledge(&mut self, mid: &MId, ranges: &[(TransactionId, TransactionId)]) {
        let Some(remote) = self.remotes.get_mut(mid) else {
            return;
        };
        for &(first, last) in ranges {
            remote.acknowledge(first.0, last.0);
        }
    }

    /// Drops what expired. Returns when to come again.
    pub(crate) fn forget(&mut self, now: Instant, pause: Duration) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        self.remotes.retain(|_, remote| {
            while remote.order.front().is_some_and(|(until, _)| *until <= now) {
                remote.forget_oldest();
            }
            if let Some((until, _)) = remote.order.front() {
                next = Some(next.map_or(*until, |n| n.min(*until)));
            }
            !remote.entries.is_empty()
        });
        next.map(|n| n.max(now + pause))
    }

    /// Replies and ids remembered, over all peers.
    pub(crate) fn count(&self) -> usize {
        self.remotes.values().map(|r| r.order.len()).sum()
    }

    fn remote(&mut self, mid: &MId) -> Option<&mut Remote> {
        if !self.remotes.contains_key(mid) {
            if self.remotes.len() >= REMOTES_MAX {
                let idle = self.remotes.iter().find(|(_, r)| r.entries.is_empty());
                let victim = idle.map(|(mid, _)| mid.clone())?;
                self.remotes.remove(&victim);
            }
            self.remotes.insert(mid.clone(), Remote::default());
        }
        self.remotes.get_mut(mid)
    }
}

impl Remote {
    fn acknowledge(&mut self, first: u32, last: u32) {
        // A range may name four thousand million ids; we look at no more than we know.
        let width = u64::from(last).saturating_sub(u64::from(first));
        if last < first {
            return;
        }
        if width < self.entries.len() as u64 {
            for id in first..=last {
                if let Some(entry) = self.entries.get_mut(&id) {
                    self.stored_bytes -= clear(entry);
                }
            }
        } else {
            for (id, entry) in &mut self.entries {
                if (first..=last).contains(id) {
                    self.stored_bytes -= clear(entry);
                }
            }
        }
    }

    /// Returns whether an unacknowledged reply went.
    fn forget_oldest(&mut self) -> bool {
        let Some((_, id)) = self.order.pop_front() else {
            return false;
        };
        match self.entries.get(&id) {
            Some(Entry::Finished(octets)) => {
                let bytes = octets.len();
                self.stored_bytes -= bytes;
                self.entries.remove(&id);
                bytes > 0
            }
            Some(Entry::Running(_)) | None => false,
        }
    }
}

fn clear(entry: &mut Entry) -> usize {
    match entry {
        Entry::Running(_) => 0,
        Entry::Finished(octets) => core::mem::take(octets).len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use h248::ast::Name;

    const PAUSE: Duration = Duration::from_secs(1);

    fn mid() -> MId {
        MId::Domain {
            name: Name::new("mgc.example"),
            port: None,
        }
    }

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    fn id(n: u32) -> TransactionId {
        TransactionId(n)
    }

    fn reply() -> Bytes {
        Bytes::from_static(b"reply")
    }

    #[test]
    fn a_request_is_running_then_replied_then_acknowledged_then_forgotten() {
        let (mut store, mid) = (Store::default(), mid());
        assert_eq!(store.seen(&mid, id(1)), Seen::New);
        store.start(&mid, id(1), RequestKey(9)).expect("room");
        assert_eq!(store.seen(&mid, id(1)), Seen::Running(RequestKey(9)));
        store.acknowledge(&mid, &[(id(0), id(u32::MAX))]);
        assert_eq!(store.seen(&mid, id(1)), Seen::Running(RequestKey(9)));
        assert_eq!(store.finish(&mid, id(1), reply(), at(30)), 0);
        assert_eq!(store.seen(&mid, id(1)), Seen::Replied(reply()));
        store.acknowledge(&mid, &[(id(2), id(1)), (id(1), id(1))]);
        assert_eq!(store.seen(&mid, id(1)), Seen::Acknowledged);
        assert_eq!(store.forget(at(29), PAUSE), Some(at(30)));
        assert_eq!(store.seen(&mid, id(1)), Seen::Acknowledged);
        assert_eq!(store.forget(at(30), PAUSE), None);
        assert_eq!(store.seen(&mid, id(1)), Seen::New);
        assert_eq!(store.remotes.len(), 0);
    }

    #[test]
    fn names_differing_only_in_case_are_the_same_peer() {
        let (mut store, mid) = (Store::default(), mid());
        store.finish(&mid, id(1), reply(), at(30));
        let upper = MId::Domain {
            name: Name::new("MGC.EXAMPLE"),
            port: None,
        };
        assert_eq!(store.seen(&upper, id(1)), Seen::Replied(reply()));
    }

    #[test]
    fn running_requests_are_bounded() {
        let (mut store, mid) = (Store::default(), mid());
        let max = u32::try_from(REMOTE_RUNNING_MAX).expect("small");
        for n in 0..max {
            store.start(&mid, id(n), RequestKey(0)).expect("room");
        }
        assert!(store.start(&mid, id(max), RequestKey(0)).is_err());
        store.finish(&mid, id(0), reply(), at(30));
        store
            .start(&mid, id(max), RequestKey(0))
            .expect("room again");
    }

    #[test]
    fn stored_octets_are_bounded_and_evictions_counted() {
        let (mut store, mid) = (Store::default(), mid());
        let big = Bytes::from(vec![b'x'; REMOTE_STORED_BYTES_MAX / 2]);
        assert_eq!(store.finish(&mid, id(1), big.clone(), at(30)), 0);
        assert_eq!(store.finish(&mid, id(2), big.clone(), at(31)), 0);
        assert_eq!(store.finish(&mid, id(3), big, at(32)), 1);
        assert_eq!(store.seen(&mid, id(1)), Seen::New);
        assert_eq!(store.count(), 2);
        store.acknowledge(&mid, &[(id(0), id(u32::MAX))]);
        assert_eq!(store.remotes[&mid].stored_bytes, 0);
    }

    #[test]
    fn peer_names_are_bounded() {
        let mut store = Store::default();
        let named = |n: usize| MId::Device(Name::new(&format!("mg{n}")));
        for n in 0..REMOTES_MAX {
            store.start(&named(n), id(1), RequestKey(0)).expect("room");
        }
        assert!(
            store
                .start(&named(REMOTES_MAX), id(1), RequestKey(0))
                .is_err()
        );
        store.finish(&named(0), id(1), reply(), at(1));
        store.forget(at(1), PAUSE);
        store
            .start(&named(REMOTES_MAX), id(1), RequestKey(0))
            .expect("room again");
    }
}
