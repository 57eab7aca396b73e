//! A context on its shard: who talks to whom.

use std::collections::HashSet;

use clock::Instant;

use crate::api::ShardIndex;
use crate::session::SessionRef;

/// The sessions of an H.248 context.
#[derive(Debug, Default)]
pub(crate) struct Context {
    /// Those of this shard, in the order in which they came.
    pub sessions: Vec<SessionRef>,
    /// Those that other shards carry; nothing in nearly every context.
    pub reach: Option<Box<Reach>>,
    /// Pairs (from, to), by slab index, that the topology cuts; empty in nearly every context.
    pub cut: HashSet<(u32, u32)>,
    /// Nicknames that nobody has now, kept for those who had them; the oldest first.
    pub kept_nicknames: Vec<Kept>,
}

/// How far a context reaches beyond its shard.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    /// The doubles of sessions that other shards carry.
    pub doubles: Vec<SessionRef>,
    /// The shard that decides about nicknames; `None` when it has ended.
    pub home: Option<ShardIndex>,
    /// This shard decides since the one that did has ended, and these have not told yet which nicknames
    /// they know.
    pub awaited: Vec<ShardIndex>,
    /// These have, before this shard knew that it decides.
    pub told: Vec<ShardIndex>,
    /// Which shards carry them, and how many each.
    pub shards: Vec<(ShardIndex, u32)>,
}

/// A nickname that is kept for a user.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    /// Prepared for comparison.
    pub nickname: Box<str>,
    pub user: Option<Box<str>>,
    pub until: Instant,
}

impl Context {
    /// Whether chunks from `from` reach `to`.
    #[inline]
    pub(crate) fn is_open(&self, from: SessionRef, to: SessionRef) -> bool {
        self.cut.is_empty() || !self.is_cut(from, to)
    }

    #[cold]
    fn is_cut(&self, from: SessionRef, to: SessionRef) -> bool {
        self.cut.contains(&(from.index, to.index))
    }

    /// All of them, wherever they are.
    pub(crate) fn members(&self) -> impl Iterator<Item = SessionRef> {
        let doubles = self.reach.iter().flat_map(|reach| &reach.doubles);
        self.sessions.iter().chain(doubles).copied()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.reach.is_none()
    }

    /// Takes a session in: one of this shard, or the double of another's.
    pub(crate) fn insert(&mut self, session: SessionRef, elsewhere: Option<ShardIndex>) {
        let Some(shard) = elsewhere else {
            return self.sessions.push(session);
        };
        let reach = self.reach.get_or_insert_default();
        reach.doubles.push(session);
        match reach.shards.iter_mut().find(|(s, _)| *s == shard) {
            Some((_, count)) => *count += 1,
            None => reach.shards.push((shard, 1)),
        }
    }

    /// Another shard is no more: it carries nothing and decides nothing.
    pub(crate) fn strand(&mut self, shard: ShardIndex) {
        if let Some(reach) = &mut self.reach {
            reach.shards.retain(|(s, _)| *s != shard);
            reach.home = reach.home.filter(|home| *home != shard);
            reach.awaited.retain(|awaited| *awaited != shard);
        }
    }

    /// Forgets a session and what was said about it.
    pub(crate) fn remove(&mut self, session: SessionRef, elsewhere: Option<ShardIndex>) {
        self.sessions.retain(|s| *s != session);
        if let Some(reach) = &mut self.reach {
            reach.doubles.retain(|s| *s != session);
            if let Some(shard) = elsewhere
                && let Some(at) = reach.shards.iter().position(|(s, _)| *s == shard)
            {
                reach.shards[at].1 -= 1;
                if reach.shards[at].1 == 0 {
                    reach.shards.swap_remove(at);
                }
            }
            if reach.doubles.is_empty() {
                self.reach = None;
            }
        }
        self.cut
            .retain(|(from, to)| *from != session.index && *to != session.index);
    }
}
