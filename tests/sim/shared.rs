//! Connections that carry sessions of several shards, as a relay or a border controller has them
//! (RFC 4975 8.1).

use core::time::Duration;

use reactor::sim::{Faults, SimNet};
use switch::{ContextKey, Event, Limits, LossCause, Order, SessionConfig, SessionKey, ShardIndex};

use crate::world::{Dice, QUIET, World};

/// Octets in pieces of any size.
const CUTTING: Faults = Faults {
    has_short_reads: true,
    has_short_writes: true,
    ..QUIET
};

fn world(seed: u64, shards: u8, faults: Faults, limits: Limits) -> World {
    World::with(seed, shards, SimNet::with_faults(seed, faults), limits)
}

/// Two conferences on two shards: 1 and 3 are in that on shard 0, 2 and 4 in that on shard 1. 1 and 2
/// share a connection, which shard 0 has.
fn two_conferences(seed: u64, faults: Faults, limits: Limits) -> World {
    let mut world = world(seed, 2, faults, limits);
    world.join(1, 1, 0, 0);
    world.join_with(2, 2, 1, 1);
    world.join(3, 1, 0, 0);
    world.join(4, 2, 1, 1);
    world
}

fn write(world: &mut World, number: u32, id: &str, body: &[u8]) {
    let person = world.people.get_mut(&number).expect("a participant");
    let text = person.peer.chunk(id, id, body, 0, body.len());
    person.outbox.extend_from_slice(&text);
}

fn say(world: &mut World, number: u32, id: &str, body: &[u8]) {
    write(world, number, id, body);
    world.send_some(number, usize::MAX);
}

#[track_caller]
fn check_got(world: &World, number: u32, id: &str, body: &[u8]) {
    let got = world.people[&number].peer.messages.get(id);
    let got = got.unwrap_or_else(|| panic!("{number} has nothing of {id}"));
    assert_eq!(got.repeated, 0, "{number} got octets of {id} twice");
    assert!(got.whole().as_deref() == Some(body), "{number} lacks {id}");
}

#[track_caller]
fn check_answer(world: &World, number: u32, tid: &str, status: &str) {
    let answer = world.people[&number].peer.answers.get(tid);
    let is_it = answer.is_some_and(|a| a.starts_with(status));
    assert!(is_it, "{number} {tid}: {answer:?}");
}

fn assert_sound(world: &World) {
    for shard in 0..world.shard_count() {
        world.shard(shard).assert_invariants();
        assert_eq!(world.shard(shard).lane_bytes(), 0, "nothing is on its way");
        assert_eq!(world.shard(shard).message_count(), 0, "all are settled");
    }
}

fn path_of(shard: u8, number: u128) -> String {
    let id = switch::session_id(ShardIndex(shard), number);
    let id = String::from_utf8(id.to_vec()).expect("letters and digits");
    format!("msrp://192.0.2.1:2855/{id};tcp")
}

/// Sends a request for this session on the connection of 1, which is answered with 481.
#[track_caller]
fn check_refused(world: &mut World, path: &str, tid: &str) {
    let person = world.people.get_mut(&1).expect("a participant");
    let own = core::mem::replace(&mut person.peer.remote, path.to_owned());
    let binding = person.peer.binding(tid);
    world.net.send(person.client, &binding);
    world.settle();
    world.people.get_mut(&1).expect("there").peer.remote = own;
    check_answer(world, 1, tid, "481");
}

fn losses(world: &World) -> Vec<(u32, LossCause)> {
    let log = world.log.borrow();
    let lost = log.iter().filter_map(|event| {
        if let Event::Lost { session, cause } = event {
            return Some((session.termination, *cause));
        }
        None
    });
    lost.collect()
}

// MSRP-CONN-001
#[test]
fn sim_one_connection_carries_sessions_of_two_shards_both_ways() {
    for seed in 1..=40 {
        let mut world = two_conferences(seed, CUTTING, Limits::default());
        let mut dice = Dice::new(seed);
        let mut sent = Vec::new();
        for round in 0..6 {
            for number in 1..=4 {
                let size = [0, 1, 60, 2_100, 30_000][dice.roll(5)];
                let body = dice.octets(size);
                let id = format!("said{number}by{round}");
                world
                    .people
                    .get_mut(&number)
                    .expect("there")
                    .peer
                    .wants_reports = round % 2 == 0;
                say(&mut world, number, &id, &body);
                sent.push((number, id, body));
            }
            world.run_for(Duration::from_micros(dice.roll(300) as u64));
        }
        world.settle();
        for (number, id, body) in &sent {
            // 1 and 3, 2 and 4 hear each other.
            let other = [3, 4, 1, 2][*number as usize - 1];
            check_answer(&world, *number, id, "200");
            check_got(&world, other, id, body);
            let stranger = [2, 1, 4, 3][*number as usize - 1];
            assert!(!world.people[&stranger].peer.messages.contains_key(id));
        }
        for number in 1..=4 {
            let reports = &world.people[&number].peer.reports;
            assert_eq!(reports.len(), 3, "{number}: {reports:?}");
            assert!(reports.iter().all(|(_, status)| status == "000 200 OK"));
        }
        assert_eq!(losses(&world), []);
        assert_sound(&world);
    }
}

#[test]
fn sim_sessions_of_one_conference_share_a_connection_that_one_of_its_shards_has() {
    let mut world = world(7, 3, CUTTING, Limits::default());
    world.join(1, 1, 0, 0);
    world.join_with(2, 1, 1, 1);
    world.join_with(3, 1, 2, 1);
    world.join(4, 1, 2, 2);
    let mut dice = Dice::new(3);
    let bodies: Vec<Vec<u8>> = (0..4).map(|_| dice.octets(20_000)).collect();
    for (number, body) in (1..).zip(&bodies) {
        say(&mut world, number, &format!("toall{number}"), body);
    }
    world.settle();
    for (sender, body) in (1..).zip(&bodies) {
        for number in (1..=4).filter(|n| *n != sender) {
            check_got(&world, number, &format!("toall{sender}"), body);
        }
    }
    assert_sound(&world);
}

#[test]
fn sim_a_session_that_nobody_has_is_refused_on_a_shared_connection_too() {
    let mut world = two_conferences(1, QUIET, Limits::default());
    for (tid, shard) in [("nobodya", 0), ("nobodyb", 1)] {
        check_refused(&mut world, &path_of(shard, 99), tid);
    }
    say(&mut world, 2, "stillxx", b"here");
    world.settle();
    check_got(&world, 4, "stillxx", b"here");
    assert_sound(&world);
}

#[test]
fn sim_a_shared_connection_lives_as_long_as_a_session_that_it_carries() {
    let mut world = two_conferences(1, QUIET, Limits::default());
    let client = world.people[&1].client;
    // The session of the shard that has the connection leaves first.
    world.leave(1);
    world.settle();
    assert!(!world.net.is_ended(client), "2 still uses it");
    say(&mut world, 2, "stillxx", b"here");
    say(&mut world, 4, "backxxx", b"and back");
    world.settle();
    check_got(&world, 4, "stillxx", b"here");
    check_got(&world, 2, "backxxx", b"and back");
    // What comes for the one that left is answered.
    say(&mut world, 1, "goneaxx", b"too late");
    world.settle();
    check_answer(&world, 1, "goneaxx", "481");
    world.leave(2);
    world.settle();
    assert!(world.net.is_ended(client), "nobody uses it");
    assert_eq!(losses(&world), []);
    assert_sound(&world);
    for shard in 0..2 {
        assert_eq!(world.shard(shard).connection_count(), 1);
    }
}

#[test]
fn sim_a_session_that_left_a_shared_connection_is_refused_where_it_was() {
    let mut world = two_conferences(1, QUIET, Limits::default());
    let client = world.people[&1].client;
    world.leave(2);
    world.settle();
    assert!(!world.net.is_ended(client), "1 still uses it");
    say(&mut world, 2, "gonebxx", b"too late");
    world.settle();
    check_answer(&world, 2, "gonebxx", "481");
    // Another session of that shard may use it.
    world.join_with(5, 2, 1, 1);
    say(&mut world, 5, "newxxxx", b"here");
    world.settle();
    check_got(&world, 4, "newxxxx", b"here");
    assert_sound(&world);
}

#[test]
fn sim_the_end_of_a_shared_connection_ends_all_its_sessions() {
    let mut world = two_conferences(1, QUIET, Limits::default());
    let mut dice = Dice::new(5);
    let body = dice.octets(30_000);
    // In the middle of a message of each shard's session.
    write(&mut world, 2, "brokenx", &body);
    world.send_some(2, 20_000);
    say(&mut world, 4, "tothemx", &body);
    world.run_for(Duration::from_millis(1));
    let client = world.people[&1].client;
    world.net.reset(client);
    world.settle();
    let mut lost: Vec<u32> = losses(&world).into_iter().map(|(n, _)| n).collect();
    lost.sort_unstable();
    assert_eq!(lost, [1, 2]);
    let broken = &world.people[&4].peer.messages["brokenx"];
    assert!(broken.is_aborted, "4 hears that it ends");
    for shard in 0..2 {
        world.shard(shard).assert_invariants();
        assert_eq!(world.shard(shard).connection_count(), 1);
    }
    say(&mut world, 3, "alonexx", b"anybody");
    world.settle();
    check_answer(&world, 3, "alonexx", "200");
}

#[test]
fn sim_the_end_of_either_shard_ends_its_part_of_a_shared_connection_alone() {
    // The one that has a branch.
    let mut world = two_conferences(1, QUIET, Limits::default());
    let mut dice = Dice::new(6);
    let body = dice.octets(30_000);
    write(&mut world, 2, "brokenx", &body);
    world.send_some(2, 20_000);
    world.run_for(Duration::from_millis(1));
    world.kill(1);
    world.settle();
    // The rest of the frame is nobody's.
    world.send_some(2, usize::MAX);
    say(&mut world, 1, "onxxxxx", &body);
    say(&mut world, 2, "lostxxx", b"anybody");
    world.settle();
    check_got(&world, 3, "onxxxxx", &body);
    check_answer(&world, 2, "lostxxx", "481");
    assert_sound(&world);
    // Sessions that are placed there again may use it.
    world.join_with(5, 3, 1, 1);
    world.join(6, 3, 1, 1);
    say(&mut world, 5, "againxx", &body);
    say(&mut world, 6, "backxxx", &body);
    world.settle();
    check_got(&world, 6, "againxx", &body);
    check_got(&world, 5, "backxxx", &body);
    assert_sound(&world);
    // The one that has the connection.
    let mut world = two_conferences(1, QUIET, Limits::default());
    write(&mut world, 2, "brokenx", &body);
    world.send_some(2, 20_000);
    world.run_for(Duration::from_millis(1));
    world.kill(0);
    world.settle();
    let lost: Vec<u32> = losses(&world).into_iter().map(|(n, _)| n).collect();
    assert_eq!(lost, [2]);
    assert!(world.people[&4].peer.messages["brokenx"].is_aborted);
    assert_eq!(world.shard(1).connection_count(), 1);
    assert_eq!(world.shard(1).session_count(), 2);
    world.shard(1).assert_invariants();
}

#[test]
fn sim_who_reads_slowly_on_a_shared_connection_holds_senders_on_all_shards_and_loses_nothing() {
    let limits = Limits {
        queue_bytes_soft: 64 * 1024,
        queue_bytes_max: 2 * 1024 * 1024,
        ..Limits::default()
    };
    let mut world = two_conferences(9, QUIET, limits);
    let mut dice = Dice::new(9);
    let bodies: Vec<Vec<u8>> = (0..150).map(|_| dice.octets(3_000)).collect();
    // 3 and 4 send to those who share a connection; these send to them.
    for (at, body) in bodies.iter().enumerate() {
        for number in 1..=4 {
            write(&mut world, number, &format!("slow{number}x{at:04}"), body);
        }
    }
    for number in 1..=4 {
        world.send_some(number, usize::MAX);
    }
    // The shards are late: all of it makes one turn.
    world.net.advance(&mut [], Duration::from_millis(10));
    world.settle();
    assert_eq!(losses(&world), [], "everybody reads");
    for (at, body) in bodies.iter().enumerate() {
        for (from, to) in [(1, 3), (3, 1), (2, 4), (4, 2)] {
            check_got(&world, to, &format!("slow{from}x{at:04}"), body);
        }
    }
    assert_sound(&world);
}

#[test]
fn sim_a_branch_takes_as_many_sessions_as_a_connection_may() {
    let limits = Limits {
        sessions_per_connection_max: 2,
        ..Limits::default()
    };
    let mut world = two_conferences(1, QUIET, limits);
    world.join_with(5, 2, 1, 1);
    let id = path_of(1, 7);
    let config = SessionConfig {
        remote_path: Some(b"msrp://192.0.2.9:7000/peer7;tcp".as_slice().into()),
        ..SessionConfig::new(id.as_bytes(), &id.as_bytes()[22..42])
    };
    let order = Order::Install {
        session: SessionKey {
            termination: 7,
            stream: 1,
        },
        context: ContextKey(2),
        config: Box::new(config),
    };
    world.order(1, order);
    world.settle();
    check_refused(&mut world, &id, "toomany");
    say(&mut world, 1, "onxxxxx", b"here");
    say(&mut world, 5, "hereaxx", b"too");
    world.settle();
    check_got(&world, 3, "onxxxxx", b"here");
    check_got(&world, 4, "hereaxx", b"too");
    assert_sound(&world);
}
