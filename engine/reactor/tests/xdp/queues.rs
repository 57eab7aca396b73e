//! What only AF_XDP has: queues, and connections whose frames come by another than their shard's.

use switch::LossCause;

use crate::behaviour::{expect_lost, noise};
use crate::hub::{COUNT_CONNECTIONS, Mode};
use crate::rig::Rig as _;
use crate::rigs::Plain;

const PLENTY: usize = 100;

/// Sends octets to and fro, each time by the other queue.
fn echo_by_both_queues(rig: &mut Plain, client: &mut crate::client::Client, seed: u64) {
    for round in 0..10 {
        rig.0.net().steer(round % 2);
        let octets = noise(50_000, seed + round as u64);
        rig.send(client, &octets);
        assert!(rig.receive(client, octets.len()) == octets, "round {round}");
    }
}

#[test]
fn frames_by_another_queue_find_their_connection() {
    let mut rig = Plain::start(&[Mode::Echo, Mode::Echo], PLENTY);
    for shard in [0, 1] {
        let mut client = rig.connect(shard);
        echo_by_both_queues(&mut rig, &mut client, 1);
        for one in [0, 1] {
            assert_eq!(rig.ask(one, COUNT_CONNECTIONS), u64::from(one == shard));
        }
        rig.shutdown(&mut client);
        rig.receive_end(&mut client);
        expect_lost(&rig.event(shard), LossCause::Closed);
    }
    rig.stop();
}

#[test]
fn a_connection_that_moved_is_found_by_either_queue() {
    let mut rig = Plain::start(&[Mode::Move(1), Mode::Echo], PLENTY);
    let mut client = rig.connect(0);
    echo_by_both_queues(&mut rig, &mut client, 1);
    assert_eq!(rig.ask(0, COUNT_CONNECTIONS), 0);
    assert_eq!(rig.ask(1, COUNT_CONNECTIONS), 1);
    rig.reset(client);
    expect_lost(
        &rig.event(1),
        LossCause::Error(std::io::ErrorKind::ConnectionReset),
    );
    rig.stop();
}

#[test]
fn what_began_here_is_answered_by_any_queue() {
    let mut rig = Plain::start(&[Mode::Echo, Mode::Echo], PLENTY);
    rig.0.net().steer(1);
    let mut far = rig.accept_from(0);
    assert_eq!(rig.receive(&mut far, 5), b"hello");
    echo_by_both_queues(&mut rig, &mut far, 1);
    rig.stop();
}

#[test]
fn a_shard_that_ends_resets_its_own_and_one_begins_in_its_place() {
    let mut rig = Plain::start(&[Mode::Echo, Mode::Echo], PLENTY);
    let mut clients = [rig.connect(0), rig.connect(1)];
    for client in &mut clients {
        echo_by_both_queues(&mut rig, client, 1);
    }
    let place = rig.0.net().place(0);
    rig.0.start_anew(0, Mode::Echo, place);
    let [mut lost, mut kept] = clients;
    rig.receive_end(&mut lost);
    echo_by_both_queues(&mut rig, &mut kept, 2);
    let mut new = rig.connect(0);
    echo_by_both_queues(&mut rig, &mut new, 3);
    assert_eq!(rig.ask(0, COUNT_CONNECTIONS), 1);
    assert_eq!(rig.ask(1, COUNT_CONNECTIONS), 1);
    rig.stop();
}

#[test]
fn a_connection_that_moved_survives_the_shard_of_its_queue() {
    let mut rig = Plain::start(&[Mode::Move(1), Mode::Echo], PLENTY);
    let mut client = rig.connect(0);
    rig.send(&mut client, b"x");
    assert_eq!(rig.receive(&mut client, 1), b"x");
    let place = rig.0.net().place(0);
    rig.0.start_anew(0, Mode::Echo, place);
    echo_by_both_queues(&mut rig, &mut client, 1);
    assert_eq!(rig.ask(1, COUNT_CONNECTIONS), 1);
    rig.stop();
}
