//! Participants join, talk and leave while reads and writes are cut at random places.
//!
//! Oracles: whoever was there from the beginning of a message to the end of the run, as its sender
//! was, gets it once, whole, octet for octet; nobody gets a message of another conference or its
//! own; every request is answered; nothing is left over in the shards. The same seed gives the same
//! trace.

use clock::Duration;
use switch::{Event, LossCause};

use crate::world::{Dice, World};

struct Message {
    id: String,
    sender: u32,
    body: Vec<u8>,
    /// Who must have it, unless they leave.
    audience: Vec<u32>,
    chunks: usize,
}

/// How many octets a participant sends at a time.
const STEP_BYTES: usize = 3_000;

fn run(seed: u64) -> u64 {
    let mut dice = Dice::new(seed);
    let shards = 1 + dice.roll(3);
    let mut world = World::new(seed, u8::try_from(shards).expect("three"));
    // In some runs contexts span the shards.
    world.is_spread = dice.roll(3) > 0;
    let mut messages = Vec::new();
    let mut next = 1;
    for _ in 0..4 {
        join(&mut world, &mut dice, &mut next);
    }
    for _ in 0..60 {
        match dice.roll(13) {
            0 => join(&mut world, &mut dice, &mut next),
            12 if world.is_spread => change(&mut world, &mut dice, &messages),
            1 => leave(&mut world, &mut dice, &messages),
            2..=5 => talk(&mut world, &mut dice, &mut messages),
            _ => {
                let micros = dice.roll(3_000) as u64;
                world.run_for(Duration::from_micros(micros));
            }
        }
        let numbers: Vec<u32> = world.people.keys().copied().collect();
        for number in numbers {
            let count = dice.roll(STEP_BYTES);
            world.send_some(number, count);
        }
    }
    let numbers: Vec<u32> = world.people.keys().copied().collect();
    for number in numbers {
        world.send_some(number, usize::MAX);
    }
    world.settle();
    check(&world, &messages, seed);
    world.net.trace_hash()
}

fn join(world: &mut World, dice: &mut Dice, next: &mut u32) {
    let context = 1 + u32::try_from(dice.roll(2)).expect("two");
    // The connection may be accepted by any shard.
    let shard = match world.is_spread {
        true => dice.roll(world.shard_count()),
        false => context as usize % world.shard_count(),
    };
    let through = dice.roll(world.shard_count());
    world.join(*next, context, shard, through);
    *next += 1;
}

/// Somebody leaves.
fn leave(world: &mut World, dice: &mut Dice, messages: &[Message]) {
    let idle = idle(world, messages);
    if !idle.is_empty() {
        world.leave(idle[dice.roll(idle.len())]);
        world.settle();
    }
}

/// Somebody moves to the other conference, which may be at home on another shard.
fn change(world: &mut World, dice: &mut Dice, messages: &[Message]) {
    let idle = idle(world, messages);
    if !idle.is_empty() {
        let number = idle[dice.roll(idle.len())];
        let context = 3 - world.people[&number].context.0;
        world.move_to(number, context);
        world.people.get_mut(&number).expect("present").has_moved = true;
        world.settle();
    }
}

/// Who has nothing left to send, so that what it sent is complete.
fn idle(world: &mut World, messages: &[Message]) -> Vec<u32> {
    world.settle();
    world
        .people
        .iter()
        .filter(|(number, p)| {
            let sent: usize = messages
                .iter()
                .filter(|m| m.sender == **number)
                .map(|m| m.chunks)
                .sum();
            p.is_present && p.outbox.is_empty() && p.peer.answers.len() == sent + 1
        })
        .map(|(number, _)| *number)
        .collect()
}

fn talk(world: &mut World, dice: &mut Dice, messages: &mut Vec<Message>) {
    let present: Vec<u32> = world
        .people
        .iter()
        .filter(|(_, p)| p.is_present)
        .map(|(n, _)| *n)
        .collect();
    let Some(&sender) = present.get(dice.roll(present.len().max(1))) else {
        return;
    };
    let size = [0, 1, 40, 2_047, 2_049, 9_000, 30_000][dice.roll(7)];
    let body = dice.octets(size);
    let id = format!("msg{:05}", messages.len());
    let context = world.people[&sender].context;
    let audience = present
        .into_iter()
        .filter(|n| *n != sender && world.people[n].context == context)
        .collect();
    let mut chunks = 0;
    let mut from = 0;
    let person = world.people.get_mut(&sender).expect("present");
    loop {
        let rest = body.len() - from;
        let to = from + if rest > 4 { 1 + dice.roll(rest) } else { rest };
        let to = if chunks == 3 { body.len() } else { to };
        let text = person
            .peer
            .chunk(&format!("{id}x{chunks}"), &id, &body, from, to);
        person.outbox.extend_from_slice(&text);
        chunks += 1;
        from = to;
        if from == body.len() {
            break;
        }
    }
    messages.push(Message {
        id,
        sender,
        body,
        audience,
        chunks,
    });
}

fn check(world: &World, messages: &[Message], seed: u64) {
    let hint = format!("replay with SIM_SEED={seed}");
    for event in world.log.borrow().iter() {
        if let Event::Lost { session, cause } = event {
            let person = &world.people[&session.termination];
            assert!(!person.is_present, "{session:?} lost by {cause:?}; {hint}");
            assert_ne!(*cause, LossCause::Protocol, "{hint}");
        }
    }
    for message in messages {
        for (number, person) in &world.people {
            let got = person.peer.messages.get(&message.id);
            let is_owed =
                message.audience.contains(number) && person.is_present && !person.has_moved;
            if is_owed {
                let got = got.unwrap_or_else(|| panic!("{number} lacks {}; {hint}", message.id));
                assert!(
                    got.whole().as_ref() == Some(&message.body),
                    "{number} {}; {hint}",
                    message.id
                );
                assert_eq!(got.repeated, 0, "{number} {}; {hint}", message.id);
            }
            if got.is_some() {
                let sender = &world.people[&message.sender];
                assert_ne!(*number, message.sender, "its own message came back; {hint}");
                let may_differ = person.has_moved || sender.has_moved;
                assert!(
                    may_differ || person.context == sender.context,
                    "another conference; {hint}"
                );
            }
        }
        let sender = &world.people[&message.sender];
        for chunk in 0..message.chunks {
            let answer = sender.peer.answers.get(&format!("{}x{chunk}", message.id));
            assert_eq!(
                answer.map(String::as_str),
                Some("200 OK"),
                "{}; {hint}",
                message.id
            );
        }
    }
    for person in world.people.values().filter(|p| p.is_present) {
        assert_eq!(person.peer.pending(), 0, "half a frame; {hint}");
    }
    let present = world.people.values().filter(|p| p.is_present).count();
    // Each shard that knows a context knows all who are in it.
    let sessions: usize = (0..world.shard_count())
        .map(|s| world.shard(s).session_count())
        .sum();
    let known = world.known_sessions();
    (0..world.shard_count()).for_each(|s| world.shard(s).assert_invariants());
    let connections: usize = (0..world.shard_count())
        .map(|s| world.shard(s).connection_count())
        .sum();
    let open: usize = (0..world.shard_count())
        .map(|s| world.shard(s).message_count())
        .sum();
    assert_eq!(
        (sessions, connections, open),
        (known, present, 0),
        "left over; {hint}"
    );
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().expect("a number"))
}

#[test]
fn sim_every_message_arrives_whole_whatever_the_network_cuts() {
    if let Some(seed) = from_environment("SIM_SEED") {
        run(seed);
        return;
    }
    for seed in 0..from_environment("SIM_RUNS").unwrap_or(60) {
        run(seed);
    }
}

#[test]
fn sim_the_same_seed_gives_the_same_trace_and_another_seed_another() {
    for seed in [3, 4, 5] {
        assert_eq!(run(seed), run(seed));
        assert_ne!(run(seed), run(seed + 1_000));
    }
}
