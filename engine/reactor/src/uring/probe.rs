//! Whether this kernel, and whoever confines us, lets the ring do what we need.

use core::time::Duration;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use io_uring::{Submitter, opcode, register::Probe, types};

use super::buffers::{Filling, GROUP};
use super::ring::{Reaped, Ring};
use crate::limits::PACKED_SLOT_BYTES;
use crate::tag::Tag;
use switch::ConnId;

/// Why the io_uring backend cannot be used here.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// No ring: the system call is missing (`ENOSYS`), forbidden (`EPERM`: seccomp or
    /// `kernel.io_uring_disabled`), or does not know SINGLE_ISSUER and DEFER_TASKRUN (`EINVAL`:
    /// older than Linux 6.1).
    #[error("io_uring cannot be set up: {0}")]
    Setup(#[source] io::Error),
    /// The kernel's list of operations could not be had.
    #[error("io_uring operations cannot be probed: {0}")]
    Probe(#[source] io::Error),
    /// An operation is missing.
    #[error("io_uring lacks the operation {0}")]
    Operation(&'static str),
    /// No provided-buffer ring (older than Linux 5.19), or no memory for it.
    #[error("io_uring buffer ring cannot be registered: {0}")]
    BufferRing(#[source] io::Error),
    /// A trial receive did not behave.
    #[error("io_uring self-test failed: {0}")]
    SelfTest(&'static str),
    /// A trial receive could not be made.
    #[error("io_uring self-test cannot run: {0}")]
    SelfTestIo(#[source] io::Error),
}

/// Checks that every operation we use exists.
pub(super) fn opcodes(submitter: &Submitter<'_>) -> Result<(), Unavailable> {
    let mut probe = Probe::new();
    submitter
        .register_probe(&mut probe)
        .map_err(Unavailable::Probe)?;
    for (code, name) in [
        (opcode::AcceptMulti::CODE, "ACCEPT"),
        (opcode::RecvMulti::CODE, "RECV"),
        (opcode::SendMsg::CODE, "SENDMSG"),
        (opcode::Connect::CODE, "CONNECT"),
        (opcode::AsyncCancel::CODE, "ASYNC_CANCEL"),
        (opcode::Read::CODE, "READ"),
    ] {
        if !probe.is_supported(code) {
            return Err(Unavailable::Operation(name));
        }
    }
    Ok(())
}

/// A ring that works here, with the best use of receive memory that does.
pub(super) fn open() -> Result<Ring, Unavailable> {
    let [best, rest @ ..] = Filling::ALL;
    rest.into_iter().fold(tested(best), |outcome, filling| {
        outcome.or_else(|reason| {
            tracing::debug!(%reason, ?filling, "receives fill slots in another way");
            tested(filling)
        })
    })
}

/// A ring whose slots are filled so, which works.
pub(super) fn tested(filling: Filling) -> Result<Ring, Unavailable> {
    let mut ring = Ring::new(filling)?;
    self_test(&mut ring)?;
    Ok(ring)
}

/// Receives several times with one request over a socket pair, beyond the end of a slot, then sees the end:
/// multishot, the buffer ring and the way its slots are filled in one.
fn self_test(ring: &mut Ring) -> Result<(), Unavailable> {
    let (near, mut far) = UnixStream::pair().map_err(Unavailable::SelfTestIo)?;
    let conn = ConnId {
        index: 0,
        generation: 0,
    };
    let entry = opcode::RecvMulti::new(types::Fd(near.as_raw_fd()), GROUP).build();
    // SAFETY: the entry points to nothing; buffers come from the registered ring. `near` is open
    // until the request has ended, which is waited for below (or the ring is dropped by the caller,
    // which waits; the kernel holds the file meanwhile).
    unsafe { ring.push(entry, Tag::Receive(conn)) }
    let is_packed = ring.buffers().filling() == Filling::Packed;
    let mut octets = 0..=u8::MAX;
    for size in [1, 2].into_iter().chain([ROUND_BYTES; ROUNDS]) {
        let round: Vec<u8> = octets.clone().cycle().take(size).collect();
        octets = octets.start() + 1..=u8::MAX;
        ring.buffers().publish(0);
        far.write_all(&round).map_err(Unavailable::SelfTestIo)?;
        let mut rest = &round[..];
        while !rest.is_empty() {
            let one = next(ring)?;
            let count = usize::try_from(one.result).unwrap_or(0);
            if !(1..=rest.len()).contains(&count) || !one.is_more {
                return Err(Unavailable::SelfTest("a multishot receive stopped early"));
            }
            let Some(used) = one.buffer else {
                return Err(Unavailable::SelfTest(
                    "a receive did not use the buffer ring",
                ));
            };
            if is_packed && size < ROUND_BYTES && !used.is_more {
                return Err(Unavailable::SelfTest("a short receive used up a slot"));
            }
            let (expected, behind) = rest.split_at(count);
            if ring.buffers().received(used, count).as_ref() != expected {
                return Err(Unavailable::SelfTest("a receive got other octets"));
            }
            rest = behind;
        }
    }
    drop(far);
    let end = next(ring)?;
    if end.result != 0 || end.is_more {
        return Err(Unavailable::SelfTest(
            "the end of the stream was not reported",
        ));
    }
    Ok(())
}

fn next(ring: &mut Ring) -> Result<Reaped, Unavailable> {
    for _ in 0..ENTERS_MAX {
        if let Some(one) = ring.reap_one() {
            return Ok(one);
        }
        ring.enter(Some(PATIENCE))
            .map_err(Unavailable::SelfTestIo)?;
    }
    Err(Unavailable::SelfTest("nothing completed"))
}

const PATIENCE: Duration = Duration::from_secs(1);
/// Signals may end an enter early.
const ENTERS_MAX: usize = 8;
/// Octets received at a time; every sender's socket takes so many.
const ROUND_BYTES: usize = 4096;
/// Together more than a slot has.
const ROUNDS: usize = PACKED_SLOT_BYTES / ROUND_BYTES + 1;
