//! What every backend does, written once.

use std::io::ErrorKind;

use crate::hub::{COUNT_CONNECTIONS, COUNT_OCTETS, Mode, RESUME};
use crate::rig::{Rig, connect_order};
use reactor::ReactorKind;
use switch::{Event, LossCause};

/// Octets that repeat nowhere near.
pub(crate) fn noise(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .collect()
}

const PLENTY: usize = 1000;
const SIZES: [usize; 8] = [1, 100, 2048, 2049, 16_384, 65_537, 300_000, 1024 * 1024];

#[track_caller]
pub(crate) fn expect_lost(event: &Event, expected: LossCause) {
    let Event::Lost { cause, .. } = event else {
        panic!("{event:?} is no loss");
    };
    assert_eq!(*cause, expected);
}

pub(crate) fn echoes_every_size<R: Rig>() {
    let mut rig = R::start(&[Mode::Echo], PLENTY);
    let mut client = rig.connect(0);
    for (seed, size) in (0..).zip(SIZES) {
        let octets = noise(size, seed);
        rig.send(&mut client, &octets);
        assert!(
            rig.receive(&mut client, size) == octets,
            "{size} octets differ"
        );
    }
    rig.stop();
}

pub(crate) fn fans_out_to_many_exactly<R: Rig>() {
    let mut rig = R::start(&[Mode::FanOut], PLENTY);
    let mut receivers: Vec<_> = (0..R::RECEIVERS).map(|_| rig.connect(0)).collect();
    let mut sender = rig.connect(0);
    while rig.ask(0, COUNT_CONNECTIONS) < receivers.len() as u64 + 1 {}
    for (seed, size) in (0..).zip(SIZES) {
        let octets = noise(size, seed);
        rig.send(&mut sender, &octets);
        for receiver in &mut receivers {
            assert!(
                rig.receive(receiver, size) == octets,
                "{size} octets differ"
            );
        }
    }
    rig.stop();
}

/// More than the pool holds waits for one receiver, and all others go on.
pub(crate) fn a_slow_receiver_slows_only_itself<R: Rig>() {
    const ROUND_BYTES: usize = 1024 * 1024;
    let mut rig = R::start(&[Mode::FanOut], PLENTY);
    let mut slow = rig.connect(0);
    let mut quick = rig.connect(0);
    let mut sender = rig.connect(0);
    while rig.ask(0, COUNT_CONNECTIONS) < 3 {}
    rig.stall(&slow);
    for seed in 0..R::BACKLOG_MIB {
        let octets = noise(ROUND_BYTES, seed);
        rig.send(&mut sender, &octets);
        assert!(
            rig.receive(&mut quick, ROUND_BYTES) == octets,
            "round {seed}"
        );
    }
    rig.unstall(&slow);
    for seed in 0..R::BACKLOG_MIB {
        let octets = noise(ROUND_BYTES, seed);
        assert!(
            rig.receive(&mut slow, ROUND_BYTES) == octets,
            "late round {seed}"
        );
    }
    rig.stop();
}

pub(crate) fn a_reset_is_reported<R: Rig>() {
    let mut rig = R::start(&[Mode::Echo], PLENTY);
    let mut client = rig.connect(0);
    rig.send(&mut client, b"x");
    assert_eq!(rig.receive(&mut client, 1), b"x");
    rig.reset(client);
    expect_lost(&rig.event(0), LossCause::Error(ErrorKind::ConnectionReset));
    assert_eq!(rig.ask(0, COUNT_CONNECTIONS), 0);
    rig.stop();
}

pub(crate) fn a_reset_while_sending_is_reported_once<R: Rig>() {
    let mut rig = R::start(&[Mode::FanOut], PLENTY);
    let slow = rig.connect(0);
    let mut sender = rig.connect(0);
    while rig.ask(0, COUNT_CONNECTIONS) < 2 {}
    rig.stall(&slow);
    let octets = noise(8 * 1024 * 1024, 1);
    rig.send(&mut sender, &octets);
    while rig.ask(0, COUNT_OCTETS) < octets.len() as u64 {}
    rig.reset(slow);
    let event = rig.event(0);
    let Event::Lost { cause, .. } = event else {
        panic!("{event:?} is no loss");
    };
    let expected = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].map(LossCause::Error);
    assert!(expected.contains(&cause), "{cause:?}");
    assert_eq!(rig.ask(0, COUNT_CONNECTIONS), 1);
    rig.stop();
}

pub(crate) fn a_half_closed_peer_gets_its_answer<R: Rig>() {
    let mut rig = R::start(&[Mode::Echo], PLENTY);
    let mut client = rig.connect(0);
    let octets = noise(1024 * 1024, 5);
    rig.send(&mut client, &octets);
    rig.shutdown(&mut client);
    assert!(rig.receive(&mut client, octets.len()) == octets);
    rig.receive_end(&mut client);
    expect_lost(&rig.event(0), LossCause::Closed);
    rig.stop();
}

pub(crate) fn a_close_sends_what_was_queued<R: Rig>() {
    let mut rig = R::start(&[Mode::EchoAndClose], PLENTY);
    for round in 0..20 {
        let mut client = rig.connect(0);
        let octets = noise(200, round);
        rig.send(&mut client, &octets);
        // How much arrives at once is the network's business; something does.
        rig.receive(&mut client, 1);
        expect_lost(&rig.event(0), LossCause::Closed);
    }
    rig.stop();
}

pub(crate) fn connecting_to_nobody_is_refused<R: Rig>() {
    let mut rig = R::start(&[Mode::Echo], PLENTY);
    let to = rig.free_addr();
    rig.order(0, connect_order(9, to));
    let cause = LossCause::ConnectFailed(ErrorKind::ConnectionRefused);
    expect_lost(&rig.event(0), cause);
    rig.stop();
}

pub(crate) fn a_shard_connects_out<R: Rig>() {
    let mut rig = R::start(&[Mode::Echo], PLENTY);
    let mut far = rig.accept_from(0);
    assert_eq!(rig.receive(&mut far, 5), b"hello");
    let octets = noise(100_000, 3);
    rig.send(&mut far, &octets);
    assert!(rig.receive(&mut far, octets.len()) == octets);
    rig.stop();
}

pub(crate) fn a_connection_moves_with_all_its_octets<R: Rig>() {
    let mut rig = R::start(&[Mode::Move(1), Mode::Echo], PLENTY);
    let mut clients = Vec::new();
    for round in 0..20 {
        let mut client = rig.connect(0);
        let octets = noise(300_000, round);
        rig.send(&mut client, &octets);
        assert!(
            rig.receive(&mut client, octets.len()) == octets,
            "round {round}"
        );
        rig.send(&mut client, b"more");
        assert_eq!(rig.receive(&mut client, 4), b"more");
        assert_eq!(rig.ask(0, COUNT_CONNECTIONS), 0);
        clients.push(client);
        assert_eq!(rig.ask(1, COUNT_CONNECTIONS), clients.len() as u64);
    }
    rig.stop();
}

pub(crate) fn a_connection_moved_nowhere_is_closed<R: Rig>() {
    let mut rig = R::start(&[Mode::Move(7)], PLENTY);
    let mut client = rig.connect(0);
    rig.send(&mut client, b"x");
    rig.receive_end(&mut client);
    rig.stop();
}

pub(crate) fn a_paused_connection_is_not_read<R: Rig>() {
    let mut rig = R::start(&[Mode::EchoAndPause], PLENTY);
    let mut client = rig.connect(0);
    rig.send(&mut client, b"a");
    assert_eq!(rig.receive(&mut client, 1), b"a");
    for octet in [b"b", b"c"] {
        let before = rig.ask(0, COUNT_OCTETS);
        rig.send(&mut client, octet);
        assert_eq!(rig.ask(0, COUNT_OCTETS), before);
        rig.tell(0, RESUME);
        assert_eq!(rig.receive(&mut client, 1), octet);
    }
    rig.stop();
}

pub(crate) fn many_short_connections_leave_nothing<R: Rig>() {
    const ROUNDS: u64 = 500;
    let mut rig = R::start(&[Mode::Echo], PLENTY);
    for round in 0..ROUNDS {
        let mut client = rig.connect(0);
        let octets = noise(100, round);
        rig.send(&mut client, &octets);
        assert_eq!(rig.receive(&mut client, 100), octets);
        rig.shutdown(&mut client);
        rig.receive_end(&mut client);
    }
    for _ in 0..ROUNDS {
        expect_lost(&rig.event(0), LossCause::Closed);
    }
    assert_eq!(rig.ask(0, COUNT_CONNECTIONS), 0);
    rig.stop();
}

pub(crate) fn a_full_shard_refuses<R: Rig>() {
    let mut rig = R::start(&[Mode::Echo], 2);
    let mut clients = [rig.connect(0), rig.connect(0)];
    while rig.ask(0, COUNT_CONNECTIONS) < 2 {}
    rig.connect_refused(0);
    let to = rig.free_addr();
    rig.order(0, connect_order(1, to));
    let cause = LossCause::ConnectFailed(ErrorKind::QuotaExceeded);
    expect_lost(&rig.event(0), cause);
    for client in &mut clients {
        rig.send(client, b"still");
        assert_eq!(rig.receive(client, 5), b"still");
    }
    rig.stop();
}

pub(crate) fn stopping_closes_all<R: Rig>() {
    let mut rig = R::start(&[Mode::FanOut, Mode::Echo], PLENTY);
    let slow = rig.connect(0);
    let mut sender = rig.connect(0);
    let mut idle = rig.connect(1);
    while rig.ask(0, COUNT_CONNECTIONS) < 2 {}
    rig.send(&mut idle, b"x");
    assert_eq!(rig.receive(&mut idle, 1), b"x");
    rig.stall(&slow);
    // A send is stuck in the system when it ends.
    let octets = noise(8 * 1024 * 1024, 1);
    rig.send(&mut sender, &octets);
    while rig.ask(0, COUNT_OCTETS) < octets.len() as u64 {}
    rig.stop();
}

/// Whether this backend works here; if not, it has to say why.
pub(crate) fn is_available<R: Rig>() -> bool {
    let Some(reason) = R::unavailable() else {
        return true;
    };
    assert!(reason.starts_with("io_uring"), "{reason:?} is no reason");
    assert_eq!(ReactorKind::Auto.resolve().ok(), Some(ReactorKind::Mio));
    false
}

/// Generates the suite for a rig, or a part of it by its name.
macro_rules! suite {
    // What a layer between the socket and the logic, or between us and the socket, could break.
    ($rig:ty, layer) => {
        $crate::behaviour::suite!($rig:
            echoes_every_size
            fans_out_to_many_exactly
            a_shard_connects_out
            a_connection_moves_with_all_its_octets
            a_full_shard_refuses
            stopping_closes_all
        );
    };
    // What a loop that polls before it sleeps could break.
    ($rig:ty, polling) => {
        $crate::behaviour::suite!($rig:
            echoes_every_size
            fans_out_to_many_exactly
            a_slow_receiver_slows_only_itself
            a_connection_moves_with_all_its_octets
            stopping_closes_all
        );
    };
    ($rig:ty: $($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                if $crate::behaviour::is_available::<$rig>() {
                    $crate::behaviour::$name::<$rig>();
                }
            }
        )*
    };
    ($rig:ty) => {
        $crate::behaviour::suite!($rig:
            echoes_every_size
            fans_out_to_many_exactly
            a_slow_receiver_slows_only_itself
            a_reset_is_reported
            a_reset_while_sending_is_reported_once
            a_half_closed_peer_gets_its_answer
            a_close_sends_what_was_queued
            connecting_to_nobody_is_refused
            a_shard_connects_out
            a_connection_moves_with_all_its_octets
            a_connection_moved_nowhere_is_closed
            a_paused_connection_is_not_read
            many_short_connections_leave_nothing
            a_full_shard_refuses
            stopping_closes_all
        );
    };
}

pub(crate) use suite;
