//! Octets go to a host and come back, whatever the link does.

use std::time::Duration;

use clock::Instant;
use rand::RngExt;
use xdp::stack::{Key, Read};

use crate::link::{Faults, LISTEN, LISTEN_V6, World, seeds};

/// One connection's two ends.
struct Talk {
    server: Option<Key>,
    client: Option<Key>,
    /// What the server read and has not sent back.
    echo: Vec<u8>,
    sent: usize,
    back: usize,
    bytes: usize,
    is_over: bool,
}

/// The octet at a place of the stream of a connection.
fn octet(index: usize, at: usize) -> u8 {
    u8::try_from((at * 31 + at / 251 + index * 7) & 0xff).unwrap()
}

fn run(seed: u64, mtus: [usize; 2], faults: Faults, talks: usize, bytes: usize) -> World {
    let mut world = World::new(seed, mtus, faults);
    let mut all: Vec<Talk> = Vec::new();
    for index in 0..talks {
        let to = if index % 2 == 0 { LISTEN } else { LISTEN_V6 };
        world.connect(index as u64, 40_000 + u16::try_from(index).unwrap(), to);
        all.push(Talk {
            server: None,
            client: None,
            echo: Vec::new(),
            sent: 0,
            back: 0,
            bytes: world.rng.random_range(1..=bytes),
            is_over: false,
        });
    }
    let limit = Instant::ZERO + Duration::from_secs(3600);
    loop {
        for host in 0..2 {
            for key in world.attach(host).0 {
                let port = world.hosts[host].stack.flow(key).unwrap();
                let port = if host == 0 {
                    port.remote.port()
                } else {
                    port.local.port()
                };
                let talk = &mut all[usize::from(port - 40_000)];
                *(if host == 0 {
                    &mut talk.server
                } else {
                    &mut talk.client
                }) = Some(key);
            }
        }
        for (index, talk) in all.iter_mut().enumerate() {
            serve(&mut world, talk);
            drive(&mut world, index, talk);
        }
        if !world.step() {
            break;
        }
        assert!(world.now < limit, "seed {seed}: not over after an hour");
    }
    for (index, talk) in all.iter().enumerate() {
        assert!(
            talk.is_over,
            "seed {seed}: connection {index} stopped at {} of {}",
            talk.back, talk.bytes
        );
    }
    for host in &world.hosts {
        assert_eq!(host.stack.conn_count(), 0, "seed {seed}: something is left");
    }
    world
}

fn serve(world: &mut World, talk: &mut Talk) {
    let Some(key) = talk.server else {
        return;
    };
    let now = world.now;
    let stack = &mut world.hosts[0].stack;
    let mut is_ended = false;
    while talk.echo.len() < 100_000 {
        match stack.read(key, |octets| {
            talk.echo.extend(octets);
            octets.len()
        }) {
            Read::Octets(_) => {}
            Read::Empty => break,
            Read::Ended => {
                is_ended = true;
                break;
            }
            Read::Failed(error) => panic!("{error:?}"),
        }
    }
    let count = stack.write(key, [&talk.echo[..]]);
    talk.echo.drain(..count);
    if is_ended && talk.echo.is_empty() {
        stack.close(now, key);
        talk.server = None;
    }
}

fn drive(world: &mut World, index: usize, talk: &mut Talk) {
    let Some(key) = talk.client else {
        return;
    };
    let piece = world.rng.random_range(1..20_000);
    let now = world.now;
    let stack = &mut world.hosts[1].stack;
    let end = talk.bytes.min(talk.sent + piece);
    let octets: Vec<u8> = (talk.sent..end).map(|at| octet(index, at)).collect();
    talk.sent += stack.write(key, [&octets[..]]);
    loop {
        let mut back = talk.back;
        let outcome = stack.read(key, |octets| {
            for octet_back in octets {
                assert_eq!(
                    *octet_back,
                    octet(index, back),
                    "connection {index} at {back}"
                );
                back += 1;
            }
            octets.len()
        });
        talk.back = back;
        match outcome {
            Read::Octets(_) => {}
            Read::Empty => break,
            other @ (Read::Ended | Read::Failed(_)) => panic!("{other:?}"),
        }
    }
    if talk.back == talk.bytes {
        stack.close(now, key);
        talk.client = None;
        talk.is_over = true;
    }
}

#[test]
fn a_clean_link_delivers_without_waiting_for_a_timer() {
    let world = run(1, [1500, 1500], Faults::default(), 4, 200_000);
    // TIME-WAIT is all that takes time.
    assert!(
        world.now < Instant::ZERO + Duration::from_secs(13),
        "{:?}",
        world.now
    );
}

#[test]
fn packet_sizes_of_both_sides_need_not_agree() {
    for mtus in [[1500, 9000], [9000, 1500], [9000, 9000], [1280, 1280]] {
        run(2, mtus, Faults::default(), 4, 300_000);
    }
}

#[test]
fn nothing_is_lost_on_a_link_that_loses() {
    for seed in seeds(12) {
        let faults = Faults {
            loss: 30,
            ..Faults::default()
        };
        run(seed, [1500, 1500], faults, 4, 100_000);
    }
}

#[test]
fn order_and_repetition_do_not_matter() {
    for seed in seeds(12) {
        let faults = Faults {
            repeat: 50,
            jitter: Duration::from_millis(2),
            ..Faults::default()
        };
        run(seed, [1500, 1500], faults, 4, 100_000);
    }
}

#[test]
fn everything_at_once() {
    for seed in seeds(24) {
        let faults = Faults {
            loss: 50,
            repeat: 50,
            damage: 20,
            jitter: Duration::from_millis(5),
            ..Faults::default()
        };
        run(seed, [1500, 9000], faults, 3, 40_000);
    }
}
