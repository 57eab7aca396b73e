//! TCP in user space over AF_XDP: the kernel-bypass reactor's transport.
//!
//! ```text
//! program   what the kernel gives us: our addresses and ports, nothing else
//! sys       the one place with `unsafe`: frame memory, rings, bpf(2)
//! frame     Ethernet, IP and TCP headers, checksums
//! tcp       one connection: segments in, segments out
//! stack     connections: a table of flows, timers, whose turn it is to send
//! ```
//!
//! **Invariant:** knows nothing of MSRP or of the reactor's driver; `tcp` and `stack` do no I/O and read
//! no clock.
#![deny(unsafe_code)]

mod error;
pub mod frame;
pub mod fuzzing;
pub mod limits;
mod port;
mod program;
pub mod stack;
mod sys;
mod tcp;

pub use error::Error;
pub use port::{Outlet, Port, PortConfig, open, queue_count};
