//! What became of a session's last messages.

use msrp::StatusCode;

use crate::limits::RECENT_MAX;

/// The last messages of a session whose fate is settled.
///
/// A sender that did not see the answer sends again under the same Message-ID (RFC 4975 5.4); one
/// that did not see yet that its message was given up or refused goes on with it.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    entries: [Option<Entry>; RECENT_MAX],
    next: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    /// `hash_of` its Message-ID.
    hash: u64,
    fate: Fate,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// All of its octets went out.
    Forwarded { octets: u64 },
    /// Everybody is known to have it.
    Delivered { octets: u64 },
    /// It was refused, or given up before its last octet; what still comes of it gets this status.
    Ended(StatusCode),
}

impl Recent {
    /// Remembers a message, in the place of the oldest if it is new.
    pub(crate) fn remember(&mut self, hash: u64, fate: Fate) {
        let entry = Some(Entry { hash, fate });
        if let Some(known) = self.entry(hash) {
            *known = entry;
            return;
        }
        self.entries[self.next] = entry;
        self.next = (self.next + 1) % RECENT_MAX;
    }

    /// Remembers a message that was refused, unless it went out before: then this was a repeat.
    pub(crate) fn refuse(&mut self, hash: u64, status: StatusCode) {
        if let Some(Fate::Ended(_)) | None = self.fate(hash) {
            self.remember(hash, Fate::Ended(status));
        }
    }

    /// All recipients have it.
    pub(crate) fn succeed(&mut self, hash: u64) {
        if let Some(Some(entry)) = self.entry(hash)
            && let Fate::Forwarded { octets } = entry.fate
        {
            entry.fate = Fate::Delivered { octets };
        }
    }

    /// It failed: sent again, it must go out again.
    pub(crate) fn forget(&mut self, hash: u64) {
        if let Some(known) = self.entry(hash) {
            *known = None;
        }
    }

    /// What became of a message.
    pub(crate) fn fate(&self, hash: u64) -> Option<Fate> {
        let mut entries = self.entries.iter().flatten();
        entries.find(|e| e.hash == hash).map(|e| e.fate)
    }

    fn entry(&mut self, hash: u64) -> Option<&mut Option<Entry>> {
        let mut entries = self.entries.iter_mut();
        entries.find(|e| e.is_some_and(|e| e.hash == hash))
    }
}
