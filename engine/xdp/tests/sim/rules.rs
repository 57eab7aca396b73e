//! What a peer may not do to us, and what we owe a peer.

use std::io::ErrorKind;
use std::time::Duration;

use rand::RngExt;
use xdp::limits::{HALF_OPEN_MAX, HALF_OPEN_TIME, RECEIVE_BYTES, SEND_BYTES};
use xdp::stack::{Event, Fate, Key, Read};

use crate::link::{Faults, LISTEN, ROUTED, World, seeds};

/// An established connection: the server's name of it and the client's.
fn connected(world: &mut World) -> (Key, Key) {
    connected_from(world, 40_000)
}

fn connected_from(world: &mut World, port: u16) -> (Key, Key) {
    world.connect(0, port, LISTEN);
    let (mut server, mut client) = (None, None);
    while server.is_none() || client.is_none() {
        assert!(world.step());
        server = server.or(world.attach(0).0.pop());
        client = client.or(world.attach(1).0.pop());
    }
    (server.unwrap(), client.unwrap())
}

fn quiet() -> World {
    World::new(5, [1500, 1500], Faults::default())
}

/// Goes on for some time.
fn run_for(world: &mut World, time: Duration) {
    let end = world.now + time;
    while world.now < end && world.step() {}
}

#[test]
fn a_closed_window_stops_the_sender_and_an_opened_one_lets_it_go_on() {
    let mut world = quiet();
    let (server, client) = connected(&mut world);
    let mut sent = 0;
    let end = world.now + Duration::from_secs(20);
    while world.now < end {
        sent += world.hosts[1].stack.write(client, [&[7; SEND_BYTES][..]]);
        world.step();
    }
    assert_eq!(sent, RECEIVE_BYTES + SEND_BYTES);
    let mut got = 0;
    while got < sent {
        let stack = &mut world.hosts[0].stack;
        while let Read::Octets(count) = stack.read(server, <[u8]>::len) {
            got += count;
        }
        assert!(world.step());
    }
    assert_eq!(got, sent);
}

#[test]
fn a_flood_of_syn_neither_fills_the_table_nor_locks_others_out() {
    let mut world = quiet();
    world.connect(1, 41_000, LISTEN);
    world.step();
    let syn = captured_syn(&mut world);
    for number in 0..4 * u32::try_from(HALF_OPEN_MAX).unwrap() {
        let frame = from(&syn, number);
        let host = &mut world.hosts[0];
        let fate = host.stack.receive(world.now, &frame, false, &mut host.out);
        assert_eq!(fate, Fate::Taken);
        host.out.frames.clear();
    }
    let count = world.hosts[0].stack.conn_count();
    assert_eq!(count, HALF_OPEN_MAX, "one is over");
    let (server, client) = connected(&mut world);
    exchange(&mut world, server, client);
    run_for(&mut world, HALF_OPEN_TIME + Duration::from_secs(40));
    assert!(
        world.hosts[0].stack.conn_count() <= 2,
        "half-open ones are forgotten"
    );
}

/// Octets in both directions, many segments of them.
fn exchange(world: &mut World, server: Key, client: Key) {
    for (from, key, to, other) in [(0, server, 1, client), (1, client, 0, server)] {
        let wrote = world.hosts[from].stack.write(key, [&[7; 30_000][..]]);
        let mut got = 0;
        while got < wrote {
            assert!(world.step());
            let stack = &mut world.hosts[to].stack;
            while let Read::Octets(count) = stack.read(other, <[u8]>::len) {
                got += count;
            }
        }
    }
}

#[test]
fn the_end_of_a_handshake_that_nobody_began_is_refused() {
    let mut world = quiet();
    let (_, client) = connected(&mut world);
    run_for(&mut world, Duration::from_millis(5));
    world.hosts[1].stack.write(client, [&b"hello"[..]]);
    let frame = sent(&mut world, 1).pop().unwrap();
    let mut other = quiet();
    let syn = captured_syn(&mut other);
    for number in 0..u32::try_from(2 * HALF_OPEN_MAX).unwrap() {
        let frame = from(&syn, number);
        let host = &mut other.hosts[0];
        host.stack.receive(other.now, &frame, false, &mut host.out);
        host.out.frames.clear();
    }
    let host = &mut other.hosts[0];
    let fate = host.stack.receive(other.now, &frame, false, &mut host.out);
    assert_eq!(fate, Fate::Dropped, "such numbers are not guessed");
}

/// A SYN frame of host 1.
fn captured_syn(world: &mut World) -> Vec<u8> {
    world.connect(9, 49_000, LISTEN);
    let host = &mut world.hosts[1];
    host.stack.transmit(world.now, &mut host.out);
    host.out.frames.pop().unwrap()
}

/// The same from another port, with its checksum set right.
fn from(syn: &[u8], number: u32) -> Vec<u8> {
    let mut frame = syn.to_vec();
    let add = |frame: &mut Vec<u8>, at: usize, by: u16| {
        let old = u16::from_be_bytes([frame[at], frame[at + 1]]);
        let new = old.wrapping_add(by);
        frame[at..at + 2].copy_from_slice(&new.to_be_bytes());
        let check = u16::from_be_bytes([frame[50], frame[51]]);
        let mut sum = u32::from(!check) + u32::from(!old) + u32::from(new);
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        let check = !u16::try_from(sum).unwrap();
        frame[50..52].copy_from_slice(&check.to_be_bytes());
    };
    add(&mut frame, 34, u16::try_from(number % 10_000 + 1).unwrap());
    frame
}

/// What a host sends now.
fn sent(world: &mut World, host: usize) -> Vec<Vec<u8>> {
    let now = world.now;
    let host = &mut world.hosts[host];
    host.stack.transmit(now, &mut host.out);
    core::mem::take(&mut host.out.frames)
}

fn receive(world: &mut World, host: usize, frames: &[Vec<u8>]) {
    let now = world.now;
    let host = &mut world.hosts[host];
    for frame in frames {
        let fate = host.stack.receive(now, frame, false, &mut host.out);
        assert_eq!(fate, Fate::Taken);
    }
}

fn carries_octets(frame: &[u8]) -> bool {
    frame.len() > 34 + usize::from(frame[46] >> 4) * 4
}

#[test]
fn acknowledgements_are_waited_for_by_handshakes_and_by_octets_that_found_no_room() {
    let mut world = quiet();
    let waits = |world: &World| world.hosts[0].stack.waits_for_acknowledgements();
    assert!(!waits(&world));
    world.connect(1, 41_000, LISTEN);
    let syn = sent(&mut world, 1);
    receive(&mut world, 0, &syn);
    assert!(waits(&world), "the end of a handshake");
    run_for(&mut world, Duration::from_millis(5));
    world.attach(0);
    world.attach(1);
    let (server, client) = connected(&mut world);
    run_for(&mut world, Duration::from_millis(5));
    assert!(!waits(&world));
    world.hosts[0].stack.write(server, [&b"a message"[..]]);
    run_for(&mut world, Duration::from_millis(5));
    assert!(
        !waits(&world),
        "what has left may be acknowledged when it will"
    );
    let mut wrote = world.hosts[0]
        .stack
        .write(server, [&[7; 2 * SEND_BYTES][..]]);
    assert!(waits(&world), "there was no room for all");
    for _ in 0..100 {
        wrote += world.hosts[0].stack.write(server, [&[7; SEND_BYTES][..]]);
        world.step();
    }
    assert!(waits(&world), "the window is closed");
    let stack = &mut world.hosts[1].stack;
    let mut got = 0;
    while let Read::Octets(count) = stack.read(client, <[u8]>::len) {
        got += count;
    }
    assert!(got < wrote);
    world.hosts[0].stack.abort(world.now, server);
    run_for(&mut world, Duration::from_secs(1));
    assert!(!waits(&world), "nobody is left");
}

#[test]
fn a_path_narrower_than_either_end_knows_is_passed_in_small_segments() {
    let mut world = World::new(5, [9000, 9000], Faults::default());
    let (server, client) = connected(&mut world);
    world.faults.frame_bytes_max = Some(1514);
    let began = world.now;
    assert_eq!(
        world.hosts[0].stack.write(server, [&[7; 50_000][..]]),
        50_000
    );
    let mut got = 0;
    while got < 50_000 {
        assert!(world.step());
        let stack = &mut world.hosts[1].stack;
        while let Read::Octets(count) = stack.read(client, <[u8]>::len) {
            got += count;
        }
    }
    let time = world.now.since(began);
    assert!(time < Duration::from_secs(3), "{time:?}");
}

#[test]
fn a_message_whose_end_is_lost_arrives_before_the_timeout() {
    const SEGMENT: usize = 1460;
    for seed in seeds(40) {
        let mut world = World::new(seed, [1500, 1500], Faults::default());
        let (server, client) = connected(&mut world);
        run_for(&mut world, Duration::from_millis(5));
        let segments = world.rng.random_range(1..=10);
        let lost = world.rng.random_range(1..=segments);
        let bytes = segments * SEGMENT - world.rng.random_range(0..SEGMENT);
        let wrote = world.hosts[0].stack.write(server, [&vec![7; bytes][..]]);
        assert_eq!(wrote, bytes);
        let mut frames = sent(&mut world, 0);
        assert_eq!(frames.len(), segments);
        frames.truncate(segments - lost);
        receive(&mut world, 1, &frames);
        let (began, mut got) = (world.now, 0);
        while got < bytes {
            assert!(world.step());
            let stack = &mut world.hosts[1].stack;
            while let Read::Octets(count) = stack.read(client, <[u8]>::len) {
                got += count;
            }
        }
        let time = world.now.since(began);
        let about = format!("seed {seed}: {lost} of {segments}, {time:?}");
        assert!(time < Duration::from_millis(100), "{about}");
    }
}

#[test]
fn a_peer_that_has_moved_in_silence_is_reached_by_the_way_that_the_system_knows() {
    let mut world = quiet();
    let (server, _) = connected(&mut world);
    run_for(&mut world, Duration::from_millis(5));
    world.hosts[0].stack.write(server, [&b"message"[..]]);
    let mut ways = Vec::new();
    while ways.len() < 4 {
        let frames = sent(&mut world, 0);
        let with_octets = frames.iter().filter(|frame| carries_octets(frame));
        ways.extend(with_octets.map(|frame| frame[5]));
        let stack = &mut world.hosts[0].stack;
        world.now = stack.deadline().unwrap();
        stack.handle_deadline(world.now);
    }
    // Sent, tried again soon, and then ever later.
    assert_eq!(ways, [1, 1, 1, ROUTED]);
}

#[test]
fn octets_leave_before_bare_acknowledgements() {
    let mut world = quiet();
    let (sender, of_sender) = connected_from(&mut world, 40_000);
    let (recipient, _) = connected_from(&mut world, 40_001);
    run_for(&mut world, Duration::from_millis(5));
    for _ in 0..3 {
        world.hosts[1].stack.write(of_sender, [&b"message"[..]]);
        let frames = sent(&mut world, 1);
        receive(&mut world, 0, &frames);
        let stack = &mut world.hosts[0].stack;
        assert_eq!(stack.read(sender, <[u8]>::len), Read::Octets(7));
        stack.write(recipient, [&b"copy"[..]]);
        let frames = sent(&mut world, 0);
        let order: Vec<_> = frames.iter().map(|frame| carries_octets(frame)).collect();
        assert_eq!(order, [true, false]);
        receive(&mut world, 1, &frames);
        run_for(&mut world, Duration::from_millis(5));
    }
}

#[test]
fn octets_behind_an_old_acknowledgement_count() {
    let mut world = quiet();
    let (server, client) = connected(&mut world);
    run_for(&mut world, Duration::from_millis(5));
    world.hosts[1].stack.write(client, [&b"early"[..]]);
    let overtaken = sent(&mut world, 1);
    world.hosts[0].stack.write(server, [&b"x"[..]]);
    let frames = sent(&mut world, 0);
    receive(&mut world, 1, &frames);
    let acknowledgement = sent(&mut world, 1);
    assert_eq!((overtaken.len(), acknowledgement.len()), (1, 1));
    receive(&mut world, 0, &acknowledgement);
    receive(&mut world, 0, &overtaken);
    let stack = &mut world.hosts[0].stack;
    assert_eq!(stack.read(server, <[u8]>::len), Read::Octets(5));
}

#[test]
fn what_belongs_to_no_connection_is_reset_but_a_reset_is_not() {
    let mut world = quiet();
    let (server, client) = connected(&mut world);
    world.hosts[1].stack.write(client, [&b"hello"[..]]);
    let host = &mut world.hosts[1];
    host.stack.transmit(world.now, &mut host.out);
    let segment = host.out.frames.pop().unwrap();
    // The server has never heard of it.
    let mut other = quiet();
    let host = &mut other.hosts[0];
    let fate = host
        .stack
        .receive(other.now, &segment, false, &mut host.out);
    assert_eq!((fate, host.out.frames.len()), (Fate::Dropped, 1));
    let reset = host.out.frames.pop().unwrap();
    assert_eq!(reset[47] & 4, 4, "it is an RST");
    let host = &mut other.hosts[1];
    host.stack.receive(other.now, &reset, false, &mut host.out);
    assert!(host.out.frames.is_empty(), "never answered by another");
    // Whoever has it ends it.
    let host = &mut world.hosts[1];
    host.stack.receive(world.now, &reset, false, &mut host.out);
    assert_eq!(host.stack.failure(client), Some(ErrorKind::ConnectionReset));
    assert_eq!(world.hosts[0].stack.failure(server), None);
}

#[test]
fn a_connect_to_a_closed_port_is_refused_and_one_to_nobody_times_out() {
    let mut world = quiet();
    world.connect(3, 40_000, "10.0.0.1:1");
    assert_eq!(failed(&mut world), (3, ErrorKind::ConnectionRefused));
    world.faults.loss = 1000;
    world.connect(4, 40_001, LISTEN);
    assert_eq!(failed(&mut world), (4, ErrorKind::TimedOut));
}

fn failed(world: &mut World) -> (u64, ErrorKind) {
    loop {
        match world.hosts[1].stack.poll_event() {
            Some(Event::ConnectFailed { request, error }) => return (request, error),
            Some(other) => panic!("{other:?}"),
            None => assert!(world.step()),
        }
    }
}

#[test]
fn an_aborted_connection_resets_the_peer() {
    let mut world = quiet();
    let (server, client) = connected(&mut world);
    world.hosts[0].stack.abort(world.now, server);
    run_for(&mut world, Duration::from_secs(1));
    assert_eq!(
        world.hosts[1].stack.failure(client),
        Some(ErrorKind::ConnectionReset)
    );
    assert_eq!(world.hosts[0].stack.conn_count(), 0);
}

#[test]
fn a_peer_that_falls_silent_is_given_up() {
    let mut world = quiet();
    let (server, _) = connected(&mut world);
    world.faults.loss = 1000;
    let began = world.now;
    while world.hosts[0].stack.failure(server).is_none() && world.step() {}
    assert_eq!(
        world.hosts[0].stack.failure(server),
        Some(ErrorKind::TimedOut)
    );
    let after = world.now.since(began);
    assert!(after < Duration::from_secs(200), "{after:?}");
}

#[test]
fn an_idle_connection_lives_on_by_probes() {
    let mut world = quiet();
    let (server, client) = connected(&mut world);
    run_for(&mut world, Duration::from_secs(1000));
    assert_eq!(world.hosts[0].stack.failure(server), None);
    assert_eq!(world.hosts[1].stack.failure(client), None);
    assert!(world.frame_count < 200, "{} frames", world.frame_count);
}

#[test]
fn the_same_ports_may_be_used_again_in_time_wait() {
    let mut world = quiet();
    let (server, client) = connected(&mut world);
    let now = world.now;
    world.hosts[0].stack.close(now, server);
    run_for(&mut world, Duration::from_millis(5));
    world.hosts[1].stack.close(now, client);
    run_for(&mut world, Duration::from_millis(5));
    assert_eq!(world.hosts[0].stack.conn_count(), 1, "in TIME-WAIT");
    assert_eq!(world.hosts[1].stack.conn_count(), 0);
    connected(&mut world);
}

#[test]
fn a_connection_moves_with_what_came_meanwhile() {
    let mut world = quiet();
    let (server, client) = connected(&mut world);
    let mut away = World::new(6, [1500, 1500], Faults::default());
    let flow = world.hosts[0].stack.flow(server).unwrap();
    let moving = world.hosts[0].stack.detach(server).unwrap();
    world.hosts[1].stack.write(client, [&b"on the way"[..]]);
    run_for(&mut world, Duration::from_millis(5));
    let other = &mut away.hosts[0];
    let key = other.stack.attach(world.now, *moving, &mut other.out);
    let held = world.hosts[0].stack.hand_over(flow, 3);
    assert!(!held.is_empty());
    for frame in held {
        let fate = other.stack.receive(world.now, &frame, true, &mut other.out);
        assert_eq!(fate, Fate::Taken);
    }
    let mut got = Vec::<u8>::new();
    other.stack.read(key, |octets| {
        got.extend(octets);
        octets.len()
    });
    assert_eq!(got, b"on the way");
    world.hosts[1].stack.write(client, [&b"later"[..]]);
    let host = &mut world.hosts[1];
    host.stack.transmit(world.now, &mut host.out);
    for frame in core::mem::take(&mut host.out.frames) {
        let host = &mut world.hosts[0];
        let fate = host.stack.receive(world.now, &frame, false, &mut host.out);
        assert_eq!(fate, Fate::Away(3));
    }
    world.hosts[0].stack.forget(flow);
    assert_eq!(world.hosts[0].stack.conn_count(), 0);
}
