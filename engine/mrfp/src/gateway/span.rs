//! Contexts on several shards.
//!
//! A session stays on the shard that its session-id names. A context is at home on the shard of its
//! first termination; beyond `spread_above` terminations, and by Move, it gets sessions on others. Each
//! shard that has, or had, sessions of a context knows all of its sessions: those it carries, and the
//! doubles of the rest ([`Order::Announce`]).

use switch::{Order, SessionConfig, SessionKey, ShardIndex};

use super::core::{Core, Scope};
use super::draft::Draft;
use super::fault::Fault;
use super::news::Wanted;

/// A set of shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shards(u64);

const _: () = assert!(switch::limits::SHARDS_MAX as u32 <= u64::BITS);

impl Shards {
    /// Whether it was not there before.
    pub(super) fn insert(&mut self, shard: ShardIndex) -> bool {
        let bit = 1 << shard.0;
        let is_new = self.0 & bit == 0;
        self.0 |= bit;
        is_new
    }

    pub(super) fn remove(&mut self, shard: ShardIndex) {
        self.0 &= !(1 << shard.0);
    }

    pub(super) fn contains(self, shard: ShardIndex) -> bool {
        self.0 & (1 << shard.0) != 0
    }

    pub(super) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn first(self) -> Option<ShardIndex> {
        self.iter().next()
    }

    pub(super) fn iter(self) -> impl Iterator<Item = ShardIndex> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let index = (rest != 0).then(|| rest.trailing_zeros())?;
            rest &= rest - 1;
            u8::try_from(index).ok().map(ShardIndex)
        })
    }
}

impl Core {
    /// Whether a context takes one termination more.
    pub(super) fn check_room(&self, context: u32) -> Result<(), Fault> {
        let place = self
            .contexts
            .get(&context)
            .ok_or(Fault::ContextUnknown(context))?;
        self.check_alive(place.shard)?;
        let max = self.config.limits.terminations_per_context_max;
        if place.terminations.len() >= max as usize {
            return Err(Fault::ContextFull(max));
        }
        Ok(())
    }

    /// The shard for a new termination.
    pub(super) fn shard_for(&self, scope: Scope) -> Result<ShardIndex, Fault> {
        let Scope::Context(context) = scope else {
            return self.least_loaded();
        };
        self.check_room(context)?;
        let place = &self.contexts[&context];
        if place.terminations.len() < self.config.limits.spread_above as usize {
            return Ok(place.shard);
        }
        self.least_loaded()
    }

    /// Shards that know a context.
    pub(super) fn span(&self, context: u32) -> Shards {
        let place = self.contexts.get(&context);
        place.map_or_else(Shards::default, |place| place.span)
    }

    /// How a session behaves; `None` if the stream has none.
    fn session_config(&mut self, number: u32, stream: u16) -> Option<SessionConfig> {
        let matching = self.config.matching;
        let settings = &self.terminations.get(&number)?.settings;
        let wanted = Wanted::of(&settings.events, stream);
        let state = settings.service_state;
        let mut config = settings
            .streams
            .get(stream)?
            .config(state, matching, wanted)?;
        self.terms.share(&mut config);
        Some(config)
    }

    /// Makes a context known to a shard that is to have sessions of it.
    pub(super) fn reach(&mut self, context: u32, shard: ShardIndex, draft: &mut Draft) {
        let Some(place) = self.contexts.get_mut(&context) else {
            return;
        };
        if !place.span.insert(shard) {
            return;
        }
        let members: Vec<u32> = place.terminations.iter().copied().collect();
        for number in members {
            let Some(termination) = self.terminations.get(&number) else {
                continue;
            };
            if termination.shard == shard || self.is_lost(termination.shard) {
                continue;
            }
            let sessions: Vec<SessionKey> = termination.sessions().collect();
            for session in sessions {
                self.announce(session, shard, draft);
            }
        }
    }

    /// Makes a session known to a shard that does not carry it.
    pub(super) fn announce(&mut self, session: SessionKey, to: ShardIndex, draft: &mut Draft) {
        let Some(config) = self.session_config(session.termination, session.stream) else {
            return;
        };
        let Some(termination) = self.terminations.get(&session.termination) else {
            return;
        };
        let (context, shard) = (termination.context, termination.shard);
        let home = self
            .contexts
            .get(&context)
            .map_or(shard, |place| place.shard);
        let context = self.group(context, session.stream);
        let order = Order::Announce {
            session,
            context,
            shard,
            home,
            config: Box::new(config),
        };
        self.order(to, order, draft);
    }

    /// The same order for all shards that know a context, but one.
    pub(super) fn order_others(
        &mut self,
        context: u32,
        but: ShardIndex,
        order: &Order,
        draft: &mut Draft,
    ) {
        for shard in self.span(context).iter().filter(|shard| *shard != but) {
            self.order(shard, order.clone(), draft);
        }
    }
}
