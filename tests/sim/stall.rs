//! One of several recipients stops reading.
//!
//! Oracle: in simulated time the others notice nothing while its queue has headroom; beyond that they wait
//! once, for no longer than it takes to know that it stalls. They lose nothing, it loses its session.

use core::time::Duration;

use reactor::sim::{Faults, SimNet};
use switch::limits::STALLED_AFTER;
use switch::{Event, Limits, LossCause};

use crate::world::{QUIET, World};

const SENDER: u32 = 1;
const STALLED: u32 = 2;
const READERS: [u32; 2] = [3, 4];
const STEP: Duration = Duration::from_millis(4);
/// The queue of one recipient.
const QUEUE_BYTES: usize = 2 * 1024 * 1024;
const BODY_BYTES: usize = 2_000;

/// When a reader got each message, in steps from the first.
type Arrivals = Vec<usize>;

struct Outcome {
    /// By reader.
    arrivals: Vec<Arrivals>,
    lost: Vec<Event>,
    holds: u64,
}

/// `per_step` messages in each of `steps`, of which the stalled one reads none if it `stalls`. With two
/// shards it is on another than the sender, as is one of those who read.
fn run(shards: u8, stalls: bool, per_step: usize, steps: usize) -> Outcome {
    let limits = Limits {
        queue_bytes_soft: 32 * 1024,
        queue_bytes_max: QUEUE_BYTES,
        ..Limits::default()
    };
    let faults = Faults {
        window_bytes: 256 * 1024,
        ..QUIET
    };
    let mut world = World::with(1, shards, SimNet::with_faults(1, faults), limits);
    for number in [SENDER, STALLED].into_iter().chain(READERS) {
        let is_far = shards > 1 && [STALLED, READERS[1]].contains(&number);
        world.join(number, 1, usize::from(is_far), usize::from(is_far));
    }
    world.log.borrow_mut().clear();
    let stalled = world.people[&STALLED].client;
    world.net.set_reading(stalled, !stalls);
    let body = vec![b'x'; BODY_BYTES];
    let count = steps * per_step;
    let mut arrivals = vec![Arrivals::new(); READERS.len()];
    let mut step = 0;
    while arrivals.iter().any(|one| one.len() < count) {
        if step < steps {
            for at in step * per_step..(step + 1) * per_step {
                let person = world.people.get_mut(&SENDER).expect("there");
                let text = person.peer.chunk(&id(at), &id(at), &body, 0, body.len());
                person.outbox.extend_from_slice(&text);
            }
            world.send_some(SENDER, usize::MAX);
        }
        world.run_for(STEP);
        step += 1;
        assert!(step < 2 * steps + 10_000, "it ends");
        for (number, seen) in READERS.into_iter().zip(&mut arrivals) {
            let messages = &world.people[&number].peer.messages;
            while messages
                .get(&id(seen.len()))
                .is_some_and(|m| m.whole().is_some())
            {
                seen.push(step);
            }
        }
    }
    let log = world.log.borrow();
    let lost = log.iter().filter(|e| matches!(e, Event::Lost { .. }));
    Outcome {
        arrivals,
        lost: lost.cloned().collect(),
        holds: (0..world.shard_count())
            .map(|shard| world.shard(shard).gauges().holds())
            .sum(),
    }
}

fn id(at: usize) -> String {
    format!("stall{at:06}")
}

fn is_the_stalled_one(lost: &[Event]) -> bool {
    let limit_bytes = QUEUE_BYTES as u64;
    let cause = LossCause::TooSlow { limit_bytes };
    matches!(lost, [Event::Lost { session, cause: c }] if session.termination == STALLED && *c == cause)
}

#[track_caller]
fn check_nobody_notices(shards: u8) {
    // 0.6 MB/s: 1.2 MB in the time after which it counts as stalled, of 1.5 MiB; all fill its queue.
    let steps = 1_200;
    let without = run(shards, false, 1, steps);
    let with = run(shards, true, 1, steps);
    assert_eq!(without.lost, []);
    assert!(is_the_stalled_one(&with.lost), "{:?}", with.lost);
    assert_eq!(with.holds, 0);
    assert!(with.arrivals == without.arrivals, "to the step");
}

#[test]
fn sim_nobody_notices_that_somebody_stops_reading() {
    check_nobody_notices(1);
}

#[test]
fn sim_nobody_on_any_shard_notices_that_somebody_stops_reading() {
    check_nobody_notices(2);
}

#[track_caller]
fn check_others_wait_once(shards: u8) {
    let outcome = run(shards, true, 16, 250);
    assert!(is_the_stalled_one(&outcome.lost), "{:?}", outcome.lost);
    let most = STALLED_AFTER.as_micros() / STEP.as_micros();
    for one in &outcome.arrivals {
        let gaps = one.windows(2).map(|pair| pair[1] - pair[0]);
        let waits: Vec<usize> = gaps.filter(|gap| *gap > 5).collect();
        let [wait] = waits[..] else {
            panic!("once: {waits:?}");
        };
        assert!(wait as u128 <= most + 5, "for {wait} steps");
    }
}

#[test]
fn sim_at_any_rate_the_others_wait_once_for_no_longer_than_a_stall_takes() {
    check_others_wait_once(1);
}

#[test]
fn sim_at_any_rate_the_others_on_all_shards_wait_once_for_no_longer_than_a_stall_takes() {
    check_others_wait_once(2);
}
