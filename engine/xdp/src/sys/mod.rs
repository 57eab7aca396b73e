//! What needs `unsafe`: memory shared with the kernel, and calls that no safe crate offers.
#![allow(
    unsafe_code,
    reason = "the one module of this crate that shares memory with the kernel"
)]

mod bpf;
mod link;
mod memory;
mod queue;
mod receiver;
mod ring;
mod sender;

pub(crate) use bpf::{AttachMode, Link, PortMap, Program, SocketMap};
pub(crate) use link::{LinkInfo, sleep};
pub(crate) use queue::{OpenError, Queue};
pub(crate) use receiver::Receiver;
pub(crate) use sender::Sender;

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// The descriptor that a system call returned, or its error.
fn owned(outcome: libc::c_long) -> io::Result<OwnedFd> {
    match i32::try_from(outcome) {
        // SAFETY: the call has just returned this open descriptor, and nobody else knows it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        Ok(_) | Err(_) => Err(io::Error::last_os_error()),
    }
}

fn check(outcome: libc::c_int) -> io::Result<libc::c_int> {
    if outcome < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(outcome)
    }
}
