//! Who hears whom in a context.

use std::collections::{BTreeMap, BTreeSet};

use h248::ast::{ActionRequest, Command, TerminationId, TopologyDirection, TopologyTriple};
use switch::{Order, SessionKey};

use super::amm::is_wildcard;
use super::core::{Core, Scope};
use super::draft::Draft;
use super::fault::Fault;
use super::limits::TOPOLOGY_PAIRS_MAX;
use super::mirror::{self, id_of};

/// A triple whose terminations are known.
struct Checked {
    /// Both in the order of their numbers.
    from: Vec<u32>,
    to: Vec<u32>,
    relation: Relation,
    stream: Option<u16>,
}

impl Checked {
    /// Whether it says of its pairs what holds of all that are not named.
    fn is_default(&self) -> bool {
        self.relation == Relation::default() && self.stream.is_none()
    }

    /// Whether it is about these two.
    fn names(&self, a: u32, b: u32) -> bool {
        let is_in = |list: &[u32], number: u32| list.binary_search(&number).is_ok();
        is_in(&self.from, a) && is_in(&self.to, b) || is_in(&self.from, b) && is_in(&self.to, a)
    }
}

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

    /// As triples: the exceptions from everybody both ways, which holds anyway and is said only when
    /// nothing else is. (Every pair by itself would grow with the square of the conference, and Erlang's
    /// codec reads one triple alone in version 2.) Triples with and without a stream must not meet in two
    /// terminations (421): where a pair has streams of its own, it is told stream by stream, those of
    /// `common` in any case.
    pub(super) fn triples(&self, common: impl Fn(u32, u32) -> Vec<u16>) -> Vec<TopologyTriple> {
        let mut out = Vec::new();
        if self.pairs.is_empty() {
            out.push(TopologyTriple {
                from: TerminationId::All,
                to: TerminationId::All,
                direction: TopologyDirection::Bothway,
                stream: None,
            });
        }
        for (&(a, b), pair) in &self.pairs {
            if pair.streams.is_empty() {
                out.push(triple(a, b, pair.all, None));
                continue;
            }
            let all = common(a, b).into_iter();
            let streams: BTreeSet<u16> = all.chain(pair.streams.keys().copied()).collect();
            for stream in streams {
                let relation = pair.streams.get(&stream).copied().unwrap_or(pair.all);
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
            checked.push(self.check_triple(context, triple, draft)?);
        }
        check_mixture(&checked)?;
        self.check_exceptions(context, &checked)?;
        for triple in checked {
            let relation = (triple.relation, triple.stream);
            for pair in self.pairs_of(context, &triple) {
                self.relate(context, pair, relation, draft);
            }
        }
        Ok(())
    }

    /// The pairs that a triple is about. Who are connected both ways already need not be told.
    fn pairs_of(&self, context: u32, triple: &Checked) -> Vec<(u32, u32)> {
        let place = self.contexts.get(&context);
        if let (true, Some(place)) = (triple.is_default(), place) {
            let is_of = |&&(a, b): &&(u32, u32)| triple.names(a, b);
            return place.topology.pairs.keys().filter(is_of).copied().collect();
        }
        let others = |a: u32| triple.to.iter().filter(move |b| **b != a);
        let pairs = triple.from.iter();
        pairs
            .flat_map(|&a| others(a).map(move |&b| (a, b)))
            .collect()
    }

    fn check_triple(
        &self,
        context: u32,
        triple: &TopologyTriple,
        draft: &Draft,
    ) -> Result<Checked, Fault> {
        let relation = Relation::of(triple.direction)?;
        if triple.stream == Some(0) {
            return Err(Fault::ValueUnsupported("Stream=0".to_owned()));
        }
        let mut from = self.ends(context, &triple.from, draft)?;
        let mut to = self.ends(context, &triple.to, draft)?;
        // Topology comes before the commands: a wildcard means those that were there, to whom the one
        // that is being added is connected.
        match (&triple.from, &triple.to) {
            (TerminationId::Choose, other) if is_wildcard(other) => {
                to.retain(|n| !from.contains(n))
            }
            (other, TerminationId::Choose) if is_wildcard(other) => {
                from.retain(|n| !to.contains(n))
            }
            _ => {}
        }
        if from.iter().any(|n| to.binary_search(n).is_ok()) {
            check_overlap(triple)?;
        }
        Ok(Checked {
            from,
            to,
            relation,
            stream: triple.stream,
        })
    }

    /// There is a limit to exceptions, and to those of single streams: a stream need not be there yet, but
    /// no pair has more relations than there may be streams.
    fn check_exceptions(&self, context: u32, triples: &[Checked]) -> Result<(), Fault> {
        let Some(place) = self.contexts.get(&context) else {
            return Ok(());
        };
        let exceptions = triples.iter().filter(|t| !t.is_default());
        let named = exceptions.map(|t| t.from.len().saturating_mul(t.to.len()));
        let pairs = named.fold(place.topology.pairs.len(), usize::saturating_add);
        if pairs > TOPOLOGY_PAIRS_MAX {
            let what = format!("{TOPOLOGY_PAIRS_MAX} pairs of a topology");
            return Err(Fault::InsufficientResources(what));
        }
        let max = self.config.limits.streams_per_termination_max;
        for triple in triples {
            let Some(stream) = triple.stream else {
                continue;
            };
            let mut known = place.topology.pairs.iter();
            if known.any(|(&(a, b), pair)| {
                let is_full = pair.streams.len() >= max && !pair.streams.contains_key(&stream);
                is_full && triple.names(a, b)
            }) {
                return Err(Fault::InsufficientResources(format!("{max} streams")));
            }
        }
        Ok(())
    }

    /// Before the commands of an action whose topology names the termination that they will add: that
    /// they will, and that the others are there.
    pub(super) fn check_choice(&self, scope: Scope, action: &ActionRequest) -> Result<(), Fault> {
        let is_choice = |id: &TerminationId| match id {
            TerminationId::Choose => true,
            TerminationId::Name(name) => mirror::is_choice(name),
            TerminationId::All | TerminationId::Root => false,
        };
        let mut commands = action.commands.iter();
        if !commands.any(
            |c| matches!(&c.command, Command::Add(amm) if amm.terminations.0.iter().any(is_choice)),
        ) {
            let what = "$ in Topology without Add=$";
            return Err(Fault::IncorrectIdentifier(what.to_owned()));
        }
        for triple in &action.properties.topology {
            Relation::of(triple.direction)?;
            let ends = [&triple.from, &triple.to].into_iter();
            for end in ends.filter(|end| **end != TerminationId::Choose) {
                if matches!(scope, Scope::Context(_)) {
                    self.resolve(scope, end)?;
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

    /// The triples that describe a context's topology.
    pub(super) fn topology_of(&self, context: u32) -> Vec<TopologyTriple> {
        let place = self.contexts.get(&context);
        let topology = place.map(|place| &place.topology);
        topology.map_or_else(Vec::new, |t| t.triples(|a, b| self.common_sessions(a, b)))
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

/// Terminations that match both sides are allowed for wildcards in Bothway, which makes no loopback, and
/// in Isolate; not in Oneway (H.248.1 section 7.1.18). One termination by itself is no pair.
fn check_overlap(triple: &TopologyTriple) -> Result<(), Fault> {
    let has_wildcard = is_wildcard(&triple.from) || is_wildcard(&triple.to);
    match triple.direction {
        TopologyDirection::Bothway | TopologyDirection::Isolate if has_wildcard => Ok(()),
        TopologyDirection::Bothway
        | TopologyDirection::Isolate
        | TopologyDirection::Oneway
        | TopologyDirection::OnewayExternal
        | TopologyDirection::OnewayBoth => Err(Fault::IncorrectIdentifier(
            "topology of a termination with itself".to_owned(),
        )),
    }
}

/// Of two terminations one descriptor says something for all streams or for single ones, not both
/// (H.248.1 version 2, section 7.1.18).
fn check_mixture(triples: &[Checked]) -> Result<(), Fault> {
    let (single, all): (Vec<_>, Vec<_>) = triples.iter().partition(|t| t.stream.is_some());
    let meet = |a: &Checked, b: &Checked| {
        has_pair(&a.from, &b.from, &a.to, &b.to) || has_pair(&a.from, &b.to, &a.to, &b.from)
    };
    if single
        .iter()
        .any(|one| all.iter().any(|other| meet(one, other)))
    {
        return Err(Fault::IllegalAction("topology with and without Stream"));
    }
    Ok(())
}

/// Whether two different terminations are, one in the first two lists, the other in the last two. All are
/// in order.
fn has_pair(a: &[u32], also_a: &[u32], b: &[u32], also_b: &[u32]) -> bool {
    let common = |short: &[u32], long: &[u32]| -> Vec<u32> {
        let is_in = |n: &&u32| long.binary_search(n).is_ok();
        short.iter().filter(is_in).take(2).copied().collect()
    };
    match (&common(a, also_a)[..], &common(b, also_b)[..]) {
        ([], _) | (_, []) => false,
        ([one], [other]) => one != other,
        _ => true,
    }
}
