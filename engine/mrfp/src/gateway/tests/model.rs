//! Any sequence of requests: shards are never given an order they could refuse, and what they have
//! been told agrees with the mirror.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use switch::ContextKey;

use super::*;

/// What the shards know.
#[derive(Debug, Default)]
struct Model {
    sessions: BTreeMap<SessionKey, (ShardIndex, ContextKey)>,
    cuts: BTreeSet<(SessionKey, SessionKey)>,
}

impl Model {
    fn obey(&mut self, shard: ShardIndex, order: &Order) {
        let known = |session: &SessionKey, model: &Self| {
            assert_eq!(
                model.sessions.get(session).map(|s| s.0),
                Some(shard),
                "{order:?}"
            );
        };
        match order {
            Order::Install {
                session,
                context,
                config,
            } => {
                assert_eq!(
                    switch::owner_of(&config.session_id),
                    Some(shard),
                    "{order:?}"
                );
                let old = self.sessions.insert(*session, (shard, *context));
                assert_eq!(old, None, "{order:?}");
                let elsewhere = self
                    .sessions
                    .values()
                    .any(|(s, c)| c == context && *s != shard);
                assert!(!elsewhere, "a context lives on one shard: {order:?}");
            }
            Order::Update { session, .. }
            | Order::Release { session }
            | Order::Audit { session } => known(session, self),
            Order::Move { session, context } => {
                known(session, self);
                self.sessions.insert(*session, (shard, *context));
                self.cuts
                    .retain(|(from, to)| from != session && to != session);
            }
            Order::Remove { session } => {
                known(session, self);
                self.sessions.remove(session);
                self.cuts
                    .retain(|(from, to)| from != session && to != session);
            }
            Order::Flow { from, to, open } => {
                known(from, self);
                known(to, self);
                assert_eq!(self.sessions[from].1, self.sessions[to].1, "{order:?}");
                if *open {
                    self.cuts.remove(&(*from, *to));
                } else {
                    self.cuts.insert((*from, *to));
                }
            }
            Order::Play { .. } | Order::StopPlay { .. } | Order::Drain => {}
        }
    }

    fn check(&self, core: &Core) {
        let mirrored: BTreeSet<SessionKey> = core
            .terminations
            .values()
            .flat_map(|t| t.settings.streams.iter().map(move |(id, s)| (t, id, s)))
            .filter(|(_, _, stream)| stream.local.is_some())
            .map(|(t, id, _)| t.session(id))
            .collect();
        assert_eq!(mirrored, self.sessions.keys().copied().collect());
        for (number, context) in &core.contexts {
            assert!(
                !context.terminations.is_empty(),
                "context {number} is empty"
            );
            for member in &context.terminations {
                assert_eq!(core.terminations[member].context, *number);
            }
        }
        let members: usize = core.contexts.values().map(|c| c.terminations.len()).sum();
        assert_eq!(members, core.terminations.len());
        self.check_flows(core);
        let loads: u32 = core.loads.iter().sum();
        assert_eq!(loads as usize, self.sessions.len());
    }

    fn check_flows(&self, core: &Core) {
        for (a, (_, group)) in &self.sessions {
            for (b, (_, other)) in self.sessions.iter().filter(|(b, _)| *b != a) {
                let context = |s: &SessionKey| core.terminations[&s.termination].context;
                let is_together = context(a) == context(b) && a.stream == b.stream;
                assert_eq!(group == other, is_together, "{a:?} {b:?}");
                if is_together {
                    let topology = &core.contexts[&context(a)].topology;
                    let is_open = topology.is_open(a.termination, b.termination, a.stream);
                    assert_eq!(is_open, !self.cuts.contains(&(*a, *b)), "{a:?} {b:?}");
                }
            }
        }
    }
}

/// Requests about few contexts and terminations, so that they meet.
fn actions() -> impl Strategy<Value = String> {
    let context = prop_oneof![
        8 => (1..4_u32).prop_map(|n| n.to_string()),
        3 => Just("$".to_owned()),
        1 => Just("*".to_owned()),
        1 => Just("-".to_owned()),
    ];
    let commands = proptest::collection::vec(command(), 1..4);
    (context, topology(), commands).prop_map(|(context, topology, commands)| {
        format!("C={context}{{{topology}{}}}", commands.join(","))
    })
}

fn termination() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => (1..8_u32).prop_map(|n| format!("msrp/{n}")),
        2 => Just("*".to_owned()),
        1 => Just("$".to_owned()),
        1 => Just("ROOT".to_owned()),
    ]
}

fn topology() -> impl Strategy<Value = String> {
    let triple = (
        termination(),
        termination(),
        prop_oneof![Just("IS"), Just("OW"), Just("BW")],
    )
        .prop_map(|(a, b, direction)| format!("TP{{{a},{b},{direction}}},"));
    prop_oneof![3 => Just(String::new()), 2 => triple]
}

fn stream() -> impl Strategy<Value = String> {
    let control = prop_oneof![Just("O{MO=SR},"), Just("O{MO=LB},"), Just("")];
    let local = prop_oneof![3 => Just(LOCAL), 1 => Just("L{}"), 1 => Just("L{v=0\n}")];
    let remote = prop_oneof![Just(","), Just(",R{},")];
    (1..3_u16, control, local, remote).prop_map(|(id, control, local, remote)| {
        let remote = remote.trim_end_matches(',');
        format!("ST={id}{{{control}{local}{remote}}}")
    })
}

fn command() -> impl Strategy<Value = String> {
    let with = (
        prop_oneof![Just("MF"), Just("MV"), Just("A")],
        termination(),
        stream(),
    );
    prop_oneof![
        4 => stream().prop_map(|s| format!("A=${{M{{{s}}}}}")),
        4 => with.prop_map(|(verb, id, s)| format!("{verb}={id}{{M{{{s}}}}}")),
        2 => termination().prop_map(|id| format!("S={id}")),
        1 => termination().prop_map(|id| format!("O-W-S={id}{{AT{{}}}}")),
        1 => termination().prop_map(|id| format!("AV={id}{{AT{{M,SA}}}}")),
        1 => termination().prop_map(|id| format!("SC={id}{{SV{{MT=RS,RE=\"900 x\"}}}}")),
        1 => termination().prop_map(|id| format!("MF={id}{{SG{{tcpbcc/EstBNC,tcpbcc/RelBNC}}}}")),
    ]
}

proptest! {
    #[test]
    fn shards_agree_with_the_mirror(requests in proptest::collection::vec(actions(), 1..30)) {
        let mut bench = Bench::new();
        let mut model = Model::default();
        for request in requests {
            bench.call(&request);
            for (shard, order) in bench.orders.drain(..) {
                model.obey(shard, &order);
            }
            model.check(&bench.gateway.core);
        }
        bench.gateway.remove_all(bench.now);
        bench.drain();
        prop_assert!(bench.gateway.is_idle());
        prop_assert!(bench.gateway.waiting.is_empty());
        prop_assert!(bench.gateway.core.retired.is_empty());
    }
}
