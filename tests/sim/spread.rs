//! Conferences that span shards: what a slow recipient on one does to senders on another, what the end
//! of a shard does to the rest.

use core::time::Duration;
use std::sync::Arc;

use reactor::sim::SimNet;
use switch::{Event, Limits, Profile, Terms};

use crate::world::{Dice, QUIET, World};

/// Participants 1 to `count`, on `shards` shards in turn, all in one conference.
fn conference(shards: u8, count: u32, limits: Limits) -> World {
    let mut world = World::with(1, shards, SimNet::with_faults(1, QUIET), limits);
    for number in 1..=count {
        let shard = number as usize % usize::from(shards);
        world.join(number, 1, shard, shard);
    }
    world
}

/// Lets a participant say something, whole.
fn say(world: &mut World, number: u32, id: &str, body: &[u8], wants_reports: bool) {
    let person = world.people.get_mut(&number).expect("a participant");
    person.peer.wants_reports = wants_reports;
    let text = person.peer.chunk(id, id, body, 0, body.len());
    person.outbox.extend_from_slice(&text);
    world.send_some(number, usize::MAX);
}

/// The REPORT of success.
fn whole(id: &str) -> (String, String) {
    (id.to_owned(), "000 200 OK".to_owned())
}

fn has(world: &World, number: u32, id: &str) -> Option<Vec<u8>> {
    world.people[&number].peer.messages.get(id)?.whole()
}

#[test]
fn sim_a_recipient_that_reads_slowly_on_another_shard_holds_the_sender_and_loses_nothing() {
    let limits = Limits {
        queue_bytes_soft: 16 * 1024,
        queue_bytes_max: 64 * 1024,
        ..Limits::default()
    };
    let mut world = conference(3, 6, limits);
    let mut dice = Dice::new(1);
    let bodies: Vec<Vec<u8>> = (0..200).map(|_| dice.octets(3_000)).collect();
    for (at, body) in bodies.iter().enumerate() {
        for sender in [1, 2] {
            let person = world.people.get_mut(&sender).expect("a participant");
            let id = format!("slow{sender}x{at:04}");
            let text = person.peer.chunk(&id, &id, body, 0, body.len());
            person.outbox.extend_from_slice(&text);
        }
    }
    for sender in [1, 2] {
        world.send_some(sender, usize::MAX);
    }
    // The shards are late: all of it makes one turn.
    world.net.advance(&mut [], Duration::from_millis(10));
    world.settle();
    let lost = world
        .log
        .borrow()
        .iter()
        .any(|e| matches!(e, Event::Lost { .. }));
    assert!(!lost, "everybody reads");
    for (at, body) in bodies.iter().enumerate() {
        for sender in [1, 2] {
            for number in (1..=6).filter(|n| *n != sender) {
                let got = has(&world, number, &format!("slow{sender}x{at:04}"));
                assert!(
                    got.as_ref() == Some(body),
                    "{number} lacks {at} of {sender}"
                );
            }
        }
    }
    for shard in 0..3 {
        assert_eq!(world.shard(shard).lane_bytes(), 0, "nothing is on its way");
        world.shard(shard).assert_invariants();
    }
}

#[test]
fn sim_reports_are_aggregated_over_shards() {
    let mut world = conference(3, 6, Limits::default());
    say(&mut world, 1, "askedx", b"do you hear me", true);
    world.settle();
    let open: usize = (0..3).map(|s| world.shard(s).message_count()).sum();
    let reports = &world.people[&1].peer.reports;
    assert_eq!(*reports, [whole("askedx")], "one, of all");
    assert_eq!(open, 0, "nothing waits for more");
}

#[test]
fn sim_the_end_of_a_shard_ends_its_part_of_a_conference_alone() {
    let mut world = conference(3, 6, Limits::default());
    let mut dice = Dice::new(2);
    let body = dice.octets(30_000);
    // 1 and 4 are on shard 1, 2 and 5 on shard 2. The message of 2 is cut off in the middle.
    let person = world.people.get_mut(&2).expect("a participant");
    let text = person
        .peer
        .chunk("brokenx", "brokenx", &body, 0, body.len());
    person.outbox.extend_from_slice(&text);
    world.send_some(2, 20_000);
    world.run_for(Duration::from_millis(1));
    say(&mut world, 1, "beforex", &body, true);
    world.run_for(Duration::from_micros(150));
    world.kill(2);
    world.settle();
    for number in [3, 4, 6] {
        assert!(
            has(&world, number, "beforex").as_ref() == Some(&body),
            "{number}"
        );
        assert_eq!(has(&world, number, "brokenx"), None);
    }
    // Another shard is in its place: the conference goes on, and spreads there again.
    world.join(8, 1, 2, 2);
    say(&mut world, 8, "afterx", &body, true);
    world.settle();
    say(&mut world, 3, "lastx", &body, false);
    world.settle();
    for number in [1, 3, 4, 6] {
        assert!(
            has(&world, number, "afterx").as_ref() == Some(&body),
            "{number}"
        );
    }
    for number in [1, 4, 6, 8] {
        assert!(
            has(&world, number, "lastx").as_ref() == Some(&body),
            "{number}"
        );
    }
    assert_eq!(world.people[&8].peer.reports, [whole("afterx")]);
    (0..3).for_each(|s| world.shard(s).assert_invariants());
}

fn room(shards: u8, count: u32) -> World {
    let mut world = conference(shards, 0, Limits::default());
    world.terms = Arc::new(Terms {
        profile: Profile::Chatroom,
        room: Some("sip:room@chat.example".into()),
        nicknames: true,
        private_messages: true,
        ..Terms::default()
    });
    for number in 1..=count {
        let shard = number as usize % usize::from(shards);
        world.join(number, 1, shard, shard);
    }
    world
}

fn ask_nickname(world: &mut World, number: u32, tid: &str, nickname: &str) {
    let person = &world.people[&number];
    let text = format!(
        "MSRP {tid} NICKNAME\r\nTo-Path: {}\r\nFrom-Path: {}\r\n\
         Use-Nickname: \"{nickname}\"\r\n-------{tid}$\r\n",
        person.peer.remote, person.peer.path
    );
    world.net.send(person.client, text.as_bytes());
}

#[track_caller]
fn check_answer(world: &World, number: u32, tid: &str, status: &str) {
    let answer = world.people[&number].peer.answers.get(tid);
    assert!(
        answer.is_some_and(|a| a.starts_with(status)),
        "{number} {tid}: {answer:?}"
    );
}

#[test]
fn sim_a_nickname_is_one_users_on_all_shards() {
    let mut world = room(3, 6);
    // At once, so that only one mind can tell them apart.
    for number in 1..=6 {
        ask_nickname(&mut world, number, &format!("nick{number}x"), "Bobby");
    }
    world.settle();
    let has_it = |n: &u32| world.people[n].peer.answers[&format!("nick{n}x")].starts_with("200");
    let lucky: Vec<u32> = (1..=6).filter(has_it).collect();
    assert_eq!(lucky.len(), 1, "{lucky:?}");
    let (lucky, other) = (lucky[0], if lucky[0] == 6 { 1 } else { 6 });
    ask_nickname(&mut world, other, "otherxx", "Alice");
    world.settle();
    check_answer(&world, other, "otherxx", "200");
    // Who leaves keeps it for a while, wherever somebody asks.
    world.leave(lucky);
    world.settle();
    ask_nickname(&mut world, other, "againxx", "bobby");
    world.settle();
    check_answer(&world, other, "againxx", "425");
    // The home shard is no more: nobody waits for it.
    let other = (1..=6)
        .find(|n| n % 3 != 0 && *n != lucky)
        .expect("five are left");
    ask_nickname(&mut world, other, "lostxxx", "Carol");
    world.run_for(Duration::from_micros(150));
    world.kill(0);
    world.settle();
    check_answer(&world, other, "lostxxx", "");
    ask_nickname(&mut world, other, "aloneex", "Dave");
    world.settle();
    check_answer(&world, other, "aloneex", "200");
}

#[test]
fn sim_a_nickname_stays_one_users_when_the_shard_that_decided_is_no_more() {
    let mut world = room(3, 9);
    for (number, nickname) in [(4, "Alice"), (5, "Bobby"), (7, "Carol")] {
        let tid = format!("first{number}x");
        ask_nickname(&mut world, number, &tid, nickname);
        world.settle();
        check_answer(&world, number, &tid, "200");
    }
    // 7 leaves; its nickname is kept for it.
    world.leave(7);
    world.settle();
    world.kill(0);
    world.settle();
    // 1 and 4 are on shard 1, 2, 5 and 8 on shard 2.
    for (number, nickname) in [(1, "bobby"), (2, "alice"), (8, "Bobby"), (2, "carol")] {
        let tid = format!("taken{number}{nickname}");
        ask_nickname(&mut world, number, &tid, nickname);
        world.settle();
        check_answer(&world, number, &tid, "425");
    }
    // At once, from both.
    for number in [1, 2, 8] {
        ask_nickname(&mut world, number, &format!("both{number}xx"), "Dave");
    }
    world.settle();
    let has_it = |n: &&u32| world.people[*n].peer.answers[&format!("both{n}xx")].starts_with("200");
    assert_eq!([1, 2, 8].iter().filter(has_it).count(), 1);
    // Another shard is in the place of the first and takes part.
    world.join(10, 1, 0, 0);
    for (tid, nickname, status) in [("anew1xx", "alice", "425"), ("anew2xx", "Erin", "200")] {
        ask_nickname(&mut world, 10, tid, nickname);
        world.settle();
        check_answer(&world, 10, tid, status);
    }
    // Nor is the one that decides now; the first took part too late to know them but by being told.
    world.kill(1);
    world.settle();
    ask_nickname(&mut world, 10, "third1x", "Bobby");
    ask_nickname(&mut world, 2, "third2x", "Erin");
    world.settle();
    check_answer(&world, 10, "third1x", "425");
    check_answer(&world, 2, "third2x", "425");
    (0..3).for_each(|s| world.shard(s).assert_invariants());
}

#[test]
fn sim_a_nickname_is_not_granted_before_all_are_known() {
    for wait in 0..60 {
        let mut world = room(3, 6);
        ask_nickname(&mut world, 5, "firstxx", "Bobby");
        world.settle();
        check_answer(&world, 5, "firstxx", "200");
        world.kill(0);
        world.run_for(Duration::from_micros(wait * 5));
        ask_nickname(&mut world, 1, "takenxx", "Bobby");
        world.settle();
        let answer = &world.people[&1].peer.answers["takenxx"];
        let is_refused = answer.starts_with("425") || answer.starts_with("408");
        assert!(is_refused, "after {wait}: {answer}");
    }
}

#[test]
fn sim_a_private_message_finds_its_participant_on_another_shard() {
    let mut world = room(3, 6);
    let body = "From: <sip:user1@example.com>\r\nTo: <sip:user5@example.com>\r\n\r\n\
                Content-Type: text/plain\r\n\r\nonly you";
    let person = world.people.get_mut(&1).expect("a participant");
    let text = person
        .peer
        .chunk("secretx", "secretx", body.as_bytes(), 0, body.len());
    let text = String::from_utf8(text).expect("text");
    let text = text.replace("application/octet-stream", "message/cpim");
    person.outbox.extend_from_slice(text.as_bytes());
    world.send_some(1, usize::MAX);
    world.settle();
    check_answer(&world, 1, "secretx", "200");
    let got = (1..=6).filter(|number| has(&world, *number, "secretx").is_some());
    assert_eq!(got.collect::<Vec<_>>(), [5]);
}
