//! The backend alone, over socket pairs.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use super::buffers::Filling;
use super::*;
use crate::limits::{PACKED_SLOT_BYTES, TURN_BYTES_MAX};

/// A backend, unless the kernel has none; then it has said why.
fn backend() -> Option<Uring> {
    match Uring::new(Vec::new(), None) {
        Ok(uring) => Some(uring),
        Err(reason) => {
            assert!(reason.to_string().starts_with("io_uring"), "{reason}");
            None
        }
    }
}

/// A backend for each way of filling slots that the kernel has.
fn backends() -> impl Iterator<Item = (Filling, Uring)> {
    Filling::ALL.into_iter().filter_map(|filling| {
        let ring = probe::tested(filling).ok()?;
        Some((filling, Uring::over(ring, Vec::new(), None).unwrap()))
    })
}

fn pair() -> (TcpStream, OwnedFd) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (far, listener.accept().unwrap().0.into())
}

fn name(index: usize) -> ConnId {
    ConnId {
        index: u32::try_from(index).unwrap(),
        generation: 0,
    }
}

fn attach(uring: &mut Uring, index: usize) -> TcpStream {
    let (far, socket) = pair();
    let conn = name(index);
    uring.submit(Op::Attach {
        conn,
        socket: socket.into(),
    });
    far
}

fn batch(octets: &[u8]) -> Batch<Octets> {
    let mut batch = Batch::default();
    batch.push_copied(octets);
    batch
}

/// Waits until `count` completions have come.
fn wait(uring: &mut Uring, count: usize) -> Vec<Done> {
    let mut done = Vec::new();
    while done.len() < count {
        uring.wait(None, &mut done).unwrap();
    }
    done
}

#[test]
fn all_sends_of_a_turn_enter_the_kernel_once() {
    const CONNS: usize = 100;
    let Some(mut uring) = backend() else {
        return;
    };
    let mut fars: Vec<_> = (0..CONNS).map(|one| attach(&mut uring, one)).collect();
    uring.wait(Some(Instant::ZERO), &mut Vec::new()).unwrap();
    let before = uring.enter_count();
    for index in 0..CONNS {
        let (conn, batch) = (name(index), batch(b"to all"));
        uring.submit(Op::Send { conn, batch });
    }
    assert_eq!(uring.enter_count(), before);
    let mut done = Vec::new();
    uring.wait(None, &mut done).unwrap();
    assert_eq!(uring.enter_count(), before + 1);
    let is_sent = |one: &Done| matches!(one, Completion::Sent { .. });
    assert_eq!(done.iter().filter(|one| is_sent(one)).count(), CONNS);
    for far in &mut fars {
        let mut octets = [0; 6];
        far.read_exact(&mut octets).unwrap();
        assert_eq!(&octets, b"to all");
    }
}

/// The octets of a completion.
#[track_caller]
fn received(one: Done) -> Octets {
    let Completion::Received { octets, .. } = one else {
        panic!("{one:?}");
    };
    octets
}

#[test]
fn one_of_the_ways_to_fill_slots_is_the_one_that_is_used() {
    let Some(mut uring) = backend() else {
        return;
    };
    let (filling, _) = backends().next().unwrap();
    assert_eq!(uring.ring.buffers().filling(), filling, "the best");
}

#[test]
fn slots_come_home_when_their_octets_are_dropped() {
    for (filling, mut uring) in backends() {
        let mut far = attach(&mut uring, 0);
        for round in 0..3 * crate::limits::POOL_BYTES / crate::limits::URING_SLOT_BYTES {
            far.write_all(b"ping").unwrap();
            let done = wait(&mut uring, 1);
            let [Completion::Received { octets, .. }] = &done[..] else {
                panic!("{filling:?}, round {round}: {done:?}");
            };
            assert!(octets.is_pooled() && octets.as_ref() == b"ping");
            assert_eq!(uring.pinned_slot_count(), 1);
            drop(done);
            assert_eq!(uring.pinned_slot_count(), 0);
        }
    }
}

#[test]
fn small_receives_share_a_slot_where_the_kernel_can_do_that() {
    for (filling, mut uring) in backends() {
        let mut far = attach(&mut uring, 0);
        let mut kept = Vec::new();
        for round in 0..7_u32 {
            far.write_all(&round.to_le_bytes()).unwrap();
            kept.extend(wait(&mut uring, 1).into_iter().map(received));
        }
        let slots = match filling {
            Filling::Packed => 1,
            Filling::Single => 7,
        };
        assert_eq!(uring.pinned_slot_count(), slots, "{filling:?}");
        for (round, octets) in (0..7_u32).zip(&kept) {
            assert_eq!(octets.as_ref(), round.to_le_bytes(), "{filling:?}");
        }
    }
}

#[test]
fn octets_stay_as_they_came_while_others_fill_the_same_slots() {
    for (filling, mut uring) in backends() {
        let mut fars = [attach(&mut uring, 0), attach(&mut uring, 1)];
        let (mut sent, mut kept) = ([0_usize; 2], [Vec::new(), Vec::new()]);
        // Sizes that end slots at any place; all is kept, so that no slot is used twice.
        for round in 0..300 {
            let (conn, size) = (round % 2, 1 + round * 7_919 % 9_973);
            let octets: Vec<u8> = (sent[conn]..sent[conn] + size).map(octet).collect();
            fars[conn].write_all(&octets).unwrap();
            sent[conn] += size;
            let mut rest = size;
            while rest > 0 {
                for one in wait(&mut uring, 1) {
                    let octets = received(one);
                    rest -= octets.as_ref().len();
                    kept[conn].push(octets);
                }
            }
        }
        for (sent, kept) in sent.into_iter().zip(&kept) {
            let all: Vec<u8> = kept.iter().flat_map(|one| one.as_ref()).copied().collect();
            assert!(all.into_iter().eq((0..sent).map(octet)), "{filling:?}");
        }
        drop(kept);
        assert_eq!(uring.pinned_slot_count(), 0, "{filling:?}");
    }
}

/// What stands at this place of a stream.
fn octet(at: usize) -> u8 {
    (at * 31 / 8).to_le_bytes()[0]
}

#[test]
fn kept_slots_make_later_octets_be_copied() {
    for (filling, mut uring) in backends() {
        let mut far = attach(&mut uring, 0);
        let mut kept = Vec::new();
        let (mut count, piece) = (0, vec![7; PACKED_SLOT_BYTES]);
        while count < 2 * crate::limits::POOL_BYTES {
            far.write_all(&piece).unwrap();
            count += piece.len();
            let mut rest = piece.len();
            while rest > 0 {
                for one in wait(&mut uring, 1) {
                    let octets = received(one);
                    rest -= octets.as_ref().len();
                    kept.push(octets);
                }
            }
        }
        assert!(kept.iter().any(Octets::is_pooled), "{filling:?}");
        assert!(!kept.last().unwrap().is_pooled(), "{filling:?}");
        assert!(kept.iter().all(|one| one.as_ref().iter().all(|o| *o == 7)));
        drop(kept);
        assert_eq!(uring.pinned_slot_count(), 0, "{filling:?}");
        far.write_all(b"ping").unwrap();
        assert!(received(wait(&mut uring, 1).remove(0)).is_pooled());
    }
}

#[test]
fn who_took_all_slots_is_last_when_there_are_slots_again() {
    for (filling, mut uring) in backends() {
        let mut fars = [attach(&mut uring, 0), attach(&mut uring, 1)];
        // More than two turns bring.
        let lot = vec![7; 3 * TURN_BYTES_MAX];
        let mut rest = fars.each_mut().map(|far| {
            far.set_nonblocking(true).unwrap();
            far.write(&lot).unwrap()
        });
        assert!(rest.iter().all(|count| *count > 2 * TURN_BYTES_MAX));
        let mut turns = Vec::new();
        while rest != [0, 0] {
            let mut counts = [0; 2];
            for one in wait(&mut uring, 1) {
                let Completion::Received { conn, octets } = one else {
                    continue;
                };
                counts[conn.index as usize] += octets.as_ref().len();
            }
            for (rest, count) in rest.iter_mut().zip(counts) {
                *rest -= count;
            }
            turns.push(counts);
        }
        assert!(
            turns[..2].iter().any(|[one, _]| *one > 0),
            "{filling:?}: {turns:?}"
        );
        assert!(
            turns[..2].iter().any(|[_, other]| *other > 0),
            "{filling:?}: {turns:?}"
        );
    }
}

#[test]
fn tearing_down_leaves_the_kernel_nothing() {
    let Some(mut uring) = backend() else {
        return;
    };
    let mut fars: Vec<_> = (0..10).map(|one| attach(&mut uring, one)).collect();
    // One send is stuck, one connect is under way or done.
    let octets = vec![7; 32 * 1024 * 1024];
    let (conn, batch) = (name(0), batch(&octets));
    uring.submit(Op::Send { conn, batch });
    uring.submit(Op::Connect {
        request: ConnectId(1),
        to: SocketAddr::from(([192, 0, 2, 1], 9)),
    });
    uring.wait(Some(Instant::ZERO), &mut Vec::new()).unwrap();
    assert!(uring.ring.is_busy());
    assert!(uring.ring.quiesce(|_| ()), "the kernel would not let go");
    assert!(!uring.ring.is_busy());
    drop(uring);
    for far in &mut fars[1..] {
        assert!(matches!(far.read(&mut [0]), Ok(0) | Err(_)));
    }
}
