//! Whether this kernel, and whoever confines us, lets the ring do what we need.

use core::time::Duration;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use io_uring::{Submitter, opcode, register::Probe, types};

use super::buffers::GROUP;
use super::ring::{Reaped, Ring};
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

/// Receives twice with one request over a socket pair, then sees the end: multishot and the buffer
/// ring in one.
pub(super) fn self_test(ring: &mut Ring) -> Result<(), Unavailable> {
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
    for round in [&b"first"[..], b"second"] {
        far.write_all(round).map_err(Unavailable::SelfTestIo)?;
        let one = next(ring)?;
        if usize::try_from(one.result) != Ok(round.len()) || !one.is_more {
            return Err(Unavailable::SelfTest("a multishot receive stopped early"));
        }
        let Some(slot) = one.buffer else {
            return Err(Unavailable::SelfTest(
                "a receive did not use the buffer ring",
            ));
        };
        if ring.buffers().received(slot, round.len()).as_ref() != round {
            return Err(Unavailable::SelfTest("a receive got other octets"));
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
    let mut reaped = Vec::new();
    for _ in 0..ENTERS_MAX {
        ring.enter(Some(PATIENCE))
            .map_err(Unavailable::SelfTestIo)?;
        ring.reap(&mut reaped);
        if let Some(&one) = reaped.first() {
            return Ok(one);
        }
    }
    Err(Unavailable::SelfTest("nothing completed"))
}

const PATIENCE: Duration = Duration::from_secs(1);
/// Signals may end an enter early.
const ENTERS_MAX: usize = 8;
