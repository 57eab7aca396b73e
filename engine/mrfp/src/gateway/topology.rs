//! Who hears whom in a context.

use std::collections::BTreeMap;

use h248::ast::{TerminationId, TopologyDirection, TopologyTriple};
use switch::{Order, SessionKey};

use super::core::{Core, Scope};
use super::draft::Draft;
use super::fault::Fault;
use super::mirror::id_of;

/// Exceptions from "everybody hears everybody" (H.248.1 section 7.1.18).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Topology {
    /// By the two numbers, the lower first.
    pairs: BTreeMap<(u32, u32), Pair>,
}

/// A relation of two terminations, for all streams but those listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Pair {
    all: Relation,
    streams: BTreeMap<u16, Relation>,
}

/// Seen from the lower number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Relation {
    is_heard: bool,
    hears: bool,
}

impl Default for Relation {
    fn default() -> Self {
        Self {
            is_heard: true,
            hears: true,
        }
    }
}

impl Relation {
    fn reversed(self) -> Self {
        Self {
            is_heard: self.hears,
            hears: self.is_heard,
        }
    }

    fn of(direction: TopologyDirection) -> Result<Self, Fault> {
        match direction {
            TopologyDirection::Isolate => Ok(Self {
                is_heard: false,
                hears: false,
            }),
            // (T1, T2, oneway): T2 hears T1.
            TopologyDirection::Oneway => Ok(Self {
                is_heard: true,
                hears: false,
            }),
            TopologyDirection::Bothway => Ok(Self {
                is_heard: true,
                hears: true,
            }),
            TopologyDirection::OnewayExternal => Err(Fault::TopologyUnsupported("OnewayExternal")),
            TopologyDirection::OnewayBoth => Err(Fault::TopologyUnsupported("OnewayBoth")),
        }
    }
}

impl Topology {
    /// Sets the relation of two different terminations.
    fn set(&mut self, (from, to): (u32, u32), relation: Relation, stream: Option<u16>) {
        let relation = if from < to {
            relation
        } else {
            relation.reversed()
        };
        let key = (from.min(to), from.max(to));
        let pair = self.pairs.entry(key).or_default();
        match stream {
            Some(stream) => {
                pair.streams.insert(stream, relation);
            }
            None => {
                pair.all = relation;
                pair.streams.clear();
            }
        }
        if *pair == Pair::default() {
            self.pairs.remove(&key);
        }
    }

    /// Whether `to` hears `from`.
    pub(super) fn is_open(&self, from: u32, to: u32, stream: u16) -> bool {
        let Some(pair) = self.pairs.get(&(from.min(to), from.max(to))) else {
            return true;
        };
        let relation = pair.streams.get(&stream).copied().unwrap_or(pair.all);
        if from < to {
            relation.is_heard
        } else {
            relation.hears
        }
    }

    /// Terminations that have an exception with this one.
    pub(super) fn peers(&self, number: u32) -> Vec<u32> {
        let other = |&(a, b): &(u32, u32)| match number {
            n if n == a => Some(b),
            n if n == b => Some(a),
            _ => None,
        };
        self.pairs.keys().filter_map(other).collect()
    }

    /// Forgets a termination that left.
    pub(super) fn forget(&mut self, number: u32) {
        self.pairs.retain(|&(a, b), _| a != number && b != number);
    }

    /// As triples to be applied in order: everybody both ways, then the exceptions. (Every pair by
    /// itself would grow with the square of the conference.)
    pub(super) fn triples(&self) -> Vec<TopologyTriple> {
        let mut out = vec![TopologyTriple {
            from: TerminationId::All,
            to: TerminationId::All,
            direction: TopologyDirection::Bothway,
            stream: None,
        }];
        for (&(a, b), pair) in &self.pairs {
            if pair.all != Relation::default() {
                out.push(triple(a, b, pair.all, None));
            }
            for (&stream, &relation) in &pair.streams {
                out.push(triple(a, b, relation, Some(stream)));
            }
        }
        out
    }
}

fn triple(a: u32, b: u32, relation: Relation, stream: Option<u16>) -> TopologyTriple {
    let (from, to, direction) = match (relation.is_heard, relation.hears) {
        (true, true) => (a, b, TopologyDirection::Bothway),
        (false, false) => (a, b, TopologyDirection::Isolate),
        (true, false) => (a, b, TopologyDirection::Oneway),
        (false, true) => (b, a, TopologyDirection::Oneway),
    };
    TopologyTriple {
        from: id_of(from),
        to: id_of(to),
        direction,
        stream,
    }
}

impl Core {
    /// Applies topology triples in order, or none of them.
    pub(super) fn set_topology(
        &mut self,
        context: u32,
        triples: &[TopologyTriple],
        draft: &mut Draft,
    ) -> Result<(), Fault> {
        let mut checked = Vec::with_capacity(triples.len());
        for triple in triples {
            let relation = Relation::of(triple.direction)?;
            let from = self.ends(context, &triple.from, draft)?;
            let to = self.ends(context, &triple.to, draft)?;
            // Both are in the order of their numbers.
            if from.iter().any(|n| to.binary_search(n).is_ok()) {
                check_overlap(triple)?;
            }
            checked.push((from, to, relation, triple.stream));
        }
        for (from, to, relation, stream) in checked {
            for &a in &from {
                for &b in to.iter().filter(|b| **b != a) {
                    self.relate(context, (a, b), (relation, stream), draft);
                }
            }
        }
        Ok(())
    }

    /// `$` is the termination that this action added first.
    fn ends(&self, context: u32, id: &TerminationId, draft: &Draft) -> Result<Vec<u32>, Fault> {
        match (id, draft.first_added) {
            (TerminationId::Choose, Some(number)) => Ok(vec![number]),
            _ => self.resolve(Scope::Context(context), id),
        }
    }

    fn relate(
        &mut self,
        context: u32,
        (a, b): (u32, u32),
        (relation, only): (Relation, Option<u16>),
        draft: &mut Draft,
    ) {
        let Some(place) = self.contexts.get_mut(&context) else {
            return;
        };
        place.topology.set((a, b), relation, only);
        for stream in self.common_sessions(a, b) {
            if only.is_none_or(|only| only == stream) {
                self.order_flow(context, (a, b), stream, draft);
                self.order_flow(context, (b, a), stream, draft);
            }
        }
    }

    /// Tells the switch of the cuts that a session comes under from its start.
    pub(super) fn cut_new_session(&mut self, number: u32, stream: u16, draft: &mut Draft) {
        let Some(context) = self.terminations.get(&number).map(|t| t.context) else {
            return;
        };
        let Some(place) = self.contexts.get(&context) else {
            return;
        };
        for peer in place.topology.peers(number) {
            if !self.common_sessions(number, peer).contains(&stream) {
                continue;
            }
            for (from, to) in [(number, peer), (peer, number)] {
                let topology = self.contexts.get(&context).map(|c| &c.topology);
                if topology.is_some_and(|t| !t.is_open(from, to, stream)) {
                    self.order_flow(context, (from, to), stream, draft);
                }
            }
        }
    }

    /// Recipients are listed where they are carried: that shard alone must know.
    fn order_flow(&mut self, context: u32, (from, to): (u32, u32), stream: u16, draft: &mut Draft) {
        let Some(shard) = self.terminations.get(&to).map(|t| t.shard) else {
            return;
        };
        let topology = self.contexts.get(&context).map(|c| &c.topology);
        let open = topology.is_none_or(|t| t.is_open(from, to, stream));
        let from = SessionKey {
            termination: from,
            stream,
        };
        let to = SessionKey {
            termination: to,
            stream,
        };
        self.order(shard, Order::Flow { from, to, open }, draft);
    }

    /// Streams in which both have a session.
    fn common_sessions(&self, a: u32, b: u32) -> Vec<u16> {
        let (Some(a), Some(b)) = (self.terminations.get(&a), self.terminations.get(&b)) else {
            return Vec::new();
        };
        let of_b = |id: &u16| {
            b.settings
                .streams
                .get(*id)
                .is_some_and(|s| s.local.is_some())
        };
        let of_a = a.settings.streams.iter().filter(|(_, s)| s.local.is_some());
        of_a.map(|(id, _)| id).filter(of_b).collect()
    }
}

/// Oneway between sets that have terminations in common is not allowed (H.248.1 section 7.1.18).
fn check_overlap(triple: &TopologyTriple) -> Result<(), Fault> {
    match triple.direction {
        TopologyDirection::Bothway | TopologyDirection::Isolate => Ok(()),
        TopologyDirection::Oneway
        | TopologyDirection::OnewayExternal
        | TopologyDirection::OnewayBoth => Err(Fault::IncorrectIdentifier(
            "Oneway from a termination to itself".to_owned(),
        )),
    }
}
