//! A context on its shard: who talks to whom.

use std::collections::HashSet;

use clock::Instant;

use crate::session::SessionRef;

/// The sessions of an H.248 context, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Context {
    pub sessions: Vec<SessionRef>,
    /// Pairs (from, to), by slab index, that the topology cuts; empty in nearly every context.
    pub cut: HashSet<(u32, u32)>,
    /// Nicknames that nobody has now, kept for those who had them; the oldest first.
    pub kept_nicknames: Vec<Kept>,
}

/// A nickname that is kept for a user.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Prepared for comparison.
    pub nickname: Box<str>,
    pub user: Option<Box<str>>,
    pub until: Instant,
}

impl Context {
    /// Whether chunks from `from` reach `to`.
    pub(crate) fn is_open(&self, from: SessionRef, to: SessionRef) -> bool {
        self.cut.is_empty() || !self.cut.contains(&(from.index, to.index))
    }

    /// Forgets a session and what was said about it.
    pub(crate) fn remove(&mut self, session: SessionRef) {
        self.sessions.retain(|s| *s != session);
        self.cut
            .retain(|(from, to)| *from != session.index && *to != session.index);
    }
}
