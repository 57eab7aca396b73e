//! The backend alone, over socket pairs.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use super::*;

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

#[test]
fn slots_come_home_when_their_octets_are_dropped() {
    let Some(mut uring) = backend() else {
        return;
    };
    let mut far = attach(&mut uring, 0);
    for round in 0..3 * crate::limits::POOL_BYTES / crate::limits::URING_SLOT_BYTES {
        far.write_all(b"ping").unwrap();
        let done = wait(&mut uring, 1);
        let [Completion::Received { octets, .. }] = &done[..] else {
            panic!("round {round}: {done:?}");
        };
        assert!(octets.is_pooled() && octets.as_ref() == b"ping");
        assert_eq!(uring.pinned_slot_count(), 1);
        drop(done);
        assert_eq!(uring.pinned_slot_count(), 0);
    }
}

#[test]
fn kept_slots_make_later_octets_be_copied() {
    let Some(mut uring) = backend() else {
        return;
    };
    let slots = crate::limits::POOL_BYTES / crate::limits::URING_SLOT_BYTES;
    let mut far = attach(&mut uring, 0);
    let mut kept = Vec::new();
    for round in 0..2 * slots {
        far.write_all(&round.to_le_bytes()).unwrap();
        kept.append(&mut wait(&mut uring, 1));
    }
    assert!(uring.pinned_slot_count() < slots);
    for (round, one) in kept.iter().enumerate() {
        let Completion::Received { octets, .. } = one else {
            panic!("round {round}: {one:?}");
        };
        assert_eq!(octets.as_ref(), round.to_le_bytes());
    }
    drop(kept);
    assert_eq!(uring.pinned_slot_count(), 0);
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
