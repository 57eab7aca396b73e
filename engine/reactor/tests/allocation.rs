//! In the steady state a message costs no allocation.
#![allow(
    unsafe_code,
    reason = "an allocator that counts must implement an unsafe trait"
)]

#[cfg(test)]
#[path = "suite/hub.rs"]
#[expect(dead_code, reason = "the other suite uses the rest")]
mod hub;

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};

use hub::{Hub, Mode};
use reactor::{Mailbox, ReactorKind, ShardLinks, ShardThreadConfig, bind_listeners, spawn_shard};
use switch::ShardIndex;

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every method passes its arguments on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promised us.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised us.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const RECEIVERS: usize = 10;
const WARM_UP: usize = 200;
const ROUNDS: usize = 2000;
/// A queue somewhere may still grow to its next size.
const ALLOCATIONS_MAX: usize = 20;

#[track_caller]
fn check(kind: ReactorKind, mode: Mode, message_bytes: usize) -> io::Result<()> {
    let mailbox = Mailbox::new()?;
    let links = ShardLinks::new(std::slice::from_ref(&mailbox));
    let mut config = ShardThreadConfig::new(ShardIndex(0), mailbox, links, Box::new(|_| ()));
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    config.listeners = bind_listeners(&[any], 1)?.remove(0);
    config.reactor = kind;
    let shard = spawn_shard(config, move || Hub::new(mode))?;
    let mut sender = TcpStream::connect(shard.local_addrs()[0])?;
    let mut receivers = Vec::new();
    match mode {
        Mode::FanOut => {
            for _ in 0..RECEIVERS {
                let mut receiver = TcpStream::connect(shard.local_addrs()[0])?;
                // What it sends reaches all others, so it has been accepted when they have it.
                receiver.write_all(b"!")?;
                for other in receivers.iter_mut().chain([&mut sender]) {
                    other.read_exact(&mut [0])?;
                }
                receivers.push(receiver);
            }
        }
        Mode::Echo | Mode::Move(_) | Mode::EchoAndPause | Mode::EchoAndClose => {
            receivers.push(sender.try_clone()?);
        }
    }
    let message = vec![7; message_bytes];
    let mut space = vec![0; message_bytes];
    let mut before = 0;
    for round in 0..WARM_UP + ROUNDS {
        if round == WARM_UP {
            before = ALLOCATIONS.load(Ordering::Relaxed);
        }
        sender.write_all(&message)?;
        for receiver in &mut receivers {
            receiver.read_exact(&mut space)?;
        }
    }
    let count = ALLOCATIONS.load(Ordering::Relaxed) - before;
    assert!(
        count <= ALLOCATIONS_MAX,
        "{kind}, {mode:?}, {message_bytes} octets: {count} allocations in {ROUNDS} rounds"
    );
    Ok(())
}

/// One test, so that nobody else allocates meanwhile.
#[test]
fn a_message_costs_no_allocation() {
    for kind in [ReactorKind::Mio, ReactorKind::Auto.resolve().unwrap()] {
        for message_bytes in [100, 4000, 60_000] {
            check(kind, Mode::Echo, message_bytes).unwrap();
            check(kind, Mode::FanOut, message_bytes).unwrap();
        }
    }
}
