//! A burst from several senders at once: what a turn brings is more than any queue holds.
//!
//! Oracle: everybody reads, so nobody is lost, and everybody has everything.

use core::time::Duration;

use reactor::sim::{Faults, SimNet};
use switch::{Event, Limits};

use crate::world::{Dice, QUIET, World};

const PARTICIPANTS: u32 = 6;
const SENDERS: u32 = 3;
const MESSAGES: usize = 60;
const BODY_BYTES: usize = 1_500;

/// Each recipient is to get more than `queue_bytes_max` from every sender.
fn burst(window_bytes: usize) {
    let limits = Limits {
        queue_bytes_soft: 16 * 1024,
        queue_bytes_max: 64 * 1024,
        ..Limits::default()
    };
    assert!(MESSAGES * BODY_BYTES > limits.queue_bytes_max);
    let faults = Faults {
        window_bytes,
        ..QUIET
    };
    let mut world = World::with(1, 1, SimNet::with_faults(1, faults), limits);
    (1..=PARTICIPANTS).for_each(|number| world.join(number, 1, 0, 0));
    let mut dice = Dice::new(1);
    let mut bodies = Vec::new();
    for number in 1..=SENDERS {
        let person = world.people.get_mut(&number).expect("a participant");
        for at in 0..MESSAGES {
            let id = format!("room{number}x{at:04}");
            let body = dice.octets(BODY_BYTES);
            let text = person.peer.chunk(&id, &id, &body, 0, body.len());
            person.outbox.extend_from_slice(&text);
            bodies.push((number, id, body));
        }
    }
    (1..=SENDERS).for_each(|number| world.send_some(number, usize::MAX));
    // The shard is late: what has come meanwhile makes one turn.
    world.net.advance(&mut [], Duration::from_millis(10));
    world.settle();
    let log = world.log.borrow();
    let lost = log.iter().find(|e| matches!(e, Event::Lost { .. }));
    assert_eq!(lost, None, "window of {window_bytes} octets");
    for (sender, id, body) in bodies {
        for (number, person) in world.people.iter().filter(|(n, _)| **n != sender) {
            let got = person.peer.messages.get(&id).and_then(|m| m.whole());
            assert!(got.as_ref() == Some(&body), "{number} lacks {id}");
        }
    }
}

#[test]
fn sim_a_burst_of_several_senders_loses_nobody_who_reads() {
    // All of it arrives, and leaves, at once; then with recipients whose queues stay long.
    burst(usize::MAX / 2);
    burst(4_000);
}
