//! Any sequence of requests: shards are never given an order they could refuse, and what they have
//! been told agrees with the mirror.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use switch::ContextKey;

use super::*;

/// What the shards know: of a session its context, and who carries it.
#[derive(Debug, Default)]
struct Model {
    sessions: BTreeMap<(ShardIndex, SessionKey), (ContextKey, ShardIndex)>,
    cuts: BTreeSet<(ShardIndex, SessionKey, SessionKey)>,
}

impl Model {
    fn obey(&mut self, shard: ShardIndex, order: &Order) {
        let known = |session: &SessionKey, model: &Self| -> (ContextKey, ShardIndex) {
            let found = model.sessions.get(&(shard, *session));
            *found.unwrap_or_else(|| panic!("{shard:?} does not know it: {order:?}"))
        };
        let forget_cuts = |session: &SessionKey, model: &mut Self| {
            let is_about = |at: &ShardIndex, from: &SessionKey, to: &SessionKey| {
                *at == shard && (from == session || to == session)
            };
            model.cuts.retain(|(at, from, to)| !is_about(at, from, to));
        };
        let mut add = |session, context, carrier, id: &[u8]| {
            assert_eq!(switch::owner_of(id), Some(carrier), "{order:?}");
            let old = self.sessions.insert((shard, session), (context, carrier));
            assert_eq!(old, None, "{order:?}");
        };
        match order {
            Order::Install {
                session,
                context,
                config,
            } => add(*session, *context, shard, &config.session_id),
            Order::Announce {
                session,
                context,
                shard: carrier,
                config,
                ..
            } => {
                assert_ne!(*carrier, shard, "{order:?}");
                add(*session, *context, *carrier, &config.session_id);
            }
            Order::Update { session, .. } => _ = known(session, self),
            Order::Release { session } | Order::Audit { session } => {
                assert_eq!(known(session, self).1, shard, "{order:?}");
            }
            Order::Move { session, context } => {
                let (_, carrier) = known(session, self);
                let place = (*context, carrier);
                self.sessions.insert((shard, *session), place);
                forget_cuts(session, self);
            }
            Order::Remove { session } => {
                known(session, self);
                self.sessions.remove(&(shard, *session));
                forget_cuts(session, self);
            }
            Order::Flow { from, to, open } => {
                let (context, carrier) = known(to, self);
                assert_eq!(carrier, shard, "{order:?}");
                assert_eq!(known(from, self).0, context, "{order:?}");
                if *open {
                    self.cuts.remove(&(shard, *from, *to));
                } else {
                    self.cuts.insert((shard, *from, *to));
                }
            }
            Order::Play { .. }
            | Order::StopPlay { .. }
            | Order::ShardLost { .. }
            | Order::Rehome { .. }
            | Order::Drain => {}
        }
    }

    /// Sessions where they are carried.
    fn carried(&self) -> impl Iterator<Item = (SessionKey, ContextKey, ShardIndex)> {
        let all = self.sessions.iter();
        let here = all.filter(|((shard, _), (_, carrier))| shard == carrier);
        here.map(|((shard, session), (context, _))| (*session, *context, *shard))
    }

    fn check(&self, core: &Core) {
        let mirrored: BTreeSet<SessionKey> = core
            .terminations
            .values()
            .flat_map(|t| t.settings.streams.iter().map(move |(id, s)| (t, id, s)))
            .filter(|(_, _, stream)| stream.local.is_some())
            .map(|(t, id, _)| t.session(id))
            .collect();
        let carried: Vec<SessionKey> = self.carried().map(|(session, _, _)| session).collect();
        assert_eq!(mirrored, carried.iter().copied().collect());
        assert_eq!(mirrored.len(), carried.len(), "each is carried once");
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
        self.check_span();
        self.check_flows(core);
        let loads: u32 = core.loads.iter().sum();
        assert_eq!(loads as usize, carried.len());
    }

    /// Each shard that carries a session of a context knows all sessions of that context, and what is
    /// known is so.
    fn check_span(&self) {
        for (session, context, shard) in self.carried() {
            for (_, _, other) in self.carried().filter(|(_, c, _)| *c == context) {
                let known = self.sessions.get(&(other, session));
                assert_eq!(known, Some(&(context, shard)), "{session:?} on {other:?}");
            }
        }
        for ((_, session), (context, carrier)) in &self.sessions {
            let home = self.sessions.get(&(*carrier, *session));
            assert_eq!(home, Some(&(*context, *carrier)), "{session:?} is there");
        }
    }

    fn check_flows(&self, core: &Core) {
        for (a, group, _) in self.carried() {
            for (b, other, shard) in self.carried().filter(|(b, _, _)| *b != a) {
                let context = |s: &SessionKey| core.terminations[&s.termination].context;
                let is_together = context(&a) == context(&b) && a.stream == b.stream;
                assert_eq!(group == other, is_together, "{a:?} {b:?}");
                if is_together {
                    let topology = &core.contexts[&context(&a)].topology;
                    let is_open = topology.is_open(a.termination, b.termination, a.stream);
                    assert_eq!(is_open, !self.cuts.contains(&(shard, a, b)), "{a:?} {b:?}");
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
    fn shards_agree_with_the_mirror(
        requests in proptest::collection::vec(actions(), 1..30),
        spread_above in 1..4_u32,
    ) {
        let mut bench = Bench::with(|config| {
            config.shards = 3;
            config.limits.spread_above = spread_above;
        });
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
