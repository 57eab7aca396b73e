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
    Replied(Reply),
    Acknowledged,
}

/// A reply as it went out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// One message.
    Whole(Bytes),
    /// A message for each segment, from number 1; empty once the peer has acknowledged it.
    Segments(Vec<Bytes>),
}

impl Reply {
    /// What must go out (again).
    pub(crate) fn messages(&self) -> &[Bytes] {
        match self {
            Self::Whole(octets) => core::slice::from_ref(octets),
            Self::Segments(segments) => segments,
        }
    }

    fn bytes(&self) -> usize {
        self.messages().iter().map(Bytes::len).sum()
    }
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
    /// Without octets: acknowledged.
    Finished(Reply),
}

impl Store {
    pub(crate) fn seen(&self, mid: &MId, id: TransactionId) -> Seen {
        let entry = self.remotes.get(mid).and_then(|r| r.entries.get(&id.0));
        match entry {
            None => Seen::New,
            Some(Entry::Running(key)) => Seen::Running(*key),
            Some(Entry::Finished(reply)) if reply.bytes() == 0 => Seen::Acknowledged,
            Some(Entry::Finished(reply)) => Seen::Replied(reply.clone()),
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
        reply: Reply,
        until: Instant,
    ) -> u64 {
        let Some(remote) = self.remote(mid) else {
            return 0;
        };
        remote.stored_bytes += reply.bytes();
        match remote.entries.insert(id.0, Entry::Finished(reply)) {
            Some(Entry::Running(_)) => remote.running -= 1,
            Some(Entry::Finished(old)) => remote.stored_bytes -= old.bytes(),
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

    /// Forgets a request that is not executed after all.
    pub(crate) fn abandon(&mut self, mid: &MId, id: TransactionId) {
        let Some(remote) = self.remotes.get_mut(mid) else {
            return;
        };
        if let Some(Entry::Running(_)) = remote.entries.remove(&id.0) {
            remote.running -= 1;
        }
        if remote.entries.is_empty() {
            self.remotes.remove(mid);
        }
    }

    /// Frees the stored replies whose receipt the peer confirms; their ids stay.
    pub(crate) fn acknowledge(&mut self, mid: &MId, ranges: &[(TransactionId, TransactionId)]) {
        let Some(remote) = self.remotes.get_mut(mid) else {
            return;
        };
        // Ranges may name four thousand million ids each, and be many: we look at no more than we
        // know, and once.
        let mut ranges: Vec<(u32, u32)> = ranges.iter().map(|(a, b)| (a.0, b.0)).collect();
        ranges.retain(|(first, last)| first <= last);
        let width = |(first, last): &(u32, u32)| u64::from(last - first) + 1;
        if ranges.iter().map(width).sum::<u64>() <= remote.entries.len() as u64 {
            for id in ranges.into_iter().flat_map(|(first, last)| first..=last) {
                remote.acknowledge(id);
            }
            return;
        }
        ranges.sort_unstable();
        ranges.dedup_by(|next, kept| {
            let overlaps = next.0 <= kept.1;
            kept.1 = if overlaps { kept.1.max(next.1) } else { kept.1 };
            overlaps
        });
        let names = |id: u32| {
            let after = ranges.partition_point(|(first, _)| *first <= id);
            after > 0 && id <= ranges[after - 1].1
        };
        let ids: Vec<u32> = remote.entries.keys().copied().collect();
        for id in ids.into_iter().filter(|id| names(*id)) {
            remote.acknowledge(id);
        }
    }

    /// Frees the stored segment whose receipt the peer confirms.
    pub(crate) fn acknowledge_segment(&mut self, mid: &MId, id: TransactionId, number: u16) {
        let Some(remote) = self.remotes.get_mut(mid) else {
            return;
        };
        if let Some(Entry::Finished(Reply::Segments(segments))) = remote.entries.get_mut(&id.0)
            && let Some(segment) = usize::from(number)
                .checked_sub(1)
                .and_then(|at| segments.get_mut(at))
        {
            remote.stored_bytes -= core::mem::take(segment).len();
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
    fn acknowledge(&mut self, id: u32) {
        if let Some(Entry::Finished(reply)) = self.entries.get_mut(&id) {
            self.stored_bytes -= reply.bytes();
            *reply = Reply::Whole(Bytes::new());
        }
    }

    /// Returns whether an unacknowledged reply went.
    fn forget_oldest(&mut self) -> bool {
        let Some((_, id)) = self.order.pop_front() else {
            return false;
        };
        match self.entries.get(&id) {
            Some(Entry::Finished(reply)) => {
                let bytes = reply.bytes();
                self.stored_bytes -= bytes;
                self.entries.remove(&id);
                bytes > 0
            }
            Some(Entry::Running(_)) | None => false,
        }
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

    fn reply() -> Reply {
        Reply::Whole(Bytes::from_static(b"reply"))
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
    fn acknowledgements_name_what_they_name_however_they_are_written() {
        for ranges in [
            vec![(3, 5), (9, 9)],
            vec![(9, 9), (4, 5), (3, 4), (7, 6)],
            vec![(9, 9), (3, 3), (4, 4), (5, 5), (3, 5), (1_000, u32::MAX)],
        ] {
            let (mut store, mid) = (Store::default(), mid());
            for n in 0..12 {
                store.finish(&mid, id(n), reply(), at(30));
            }
            let named: Vec<_> = ranges.iter().map(|(a, b)| (id(*a), id(*b))).collect();
            store.acknowledge(&mid, &named);
            let gone = |n: &u32| store.seen(&mid, id(*n)) == Seen::Acknowledged;
            let gone: Vec<u32> = (0..12).filter(gone).collect();
            assert_eq!(gone, [3, 4, 5, 9], "{ranges:?}");
            assert_eq!(store.remotes[&mid].stored_bytes, 8 * 5);
        }
    }

    #[test]
    fn segments_are_acknowledged_one_by_one() {
        let (mut store, mid) = (Store::default(), mid());
        let parts = [&b"a"[..], b"bb", b"ccc"].map(Bytes::from_static);
        store.finish(&mid, id(1), Reply::Segments(parts.to_vec()), at(30));
        for (number, left) in [(2, 4), (2, 4), (0, 4), (9, 4), (1, 3), (3, 0)] {
            store.acknowledge_segment(&mid, id(1), number);
            assert_eq!(store.remotes[&mid].stored_bytes, left, "after {number}");
        }
        assert_eq!(store.seen(&mid, id(1)), Seen::Acknowledged);
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
        let big = Reply::Whole(Bytes::from(vec![b'x'; REMOTE_STORED_BYTES_MAX / 2]));
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
