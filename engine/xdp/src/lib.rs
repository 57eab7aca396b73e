//! TCP in user space over AF_XDP: the kernel-bypass reactor's transport.
//!
//! ```text
//! program   what the kernel gives us: our addresses and ports, nothing else
//! sys       the one place with `unsafe`: frame memory, rings, bpf(2)
//! frame     Ethernet, IP and TCP headers, checksums
//! stack     connections: a table of flows in front of smoltcp, one socket each
//! ```
//!
//! **Invariant:** knows nothing of MSRP or of the reactor's driver; `stack` does no I/O and reads no
//! clock.
#![deny(unsafe_code)]

mod error;
pub mod frame;
pub mod fuzzing;
pub mod limits;
mod port;
mod program;
pub mod stack;
mod sys;

pub use error::Error;
pub use port::{Outlet, Port, PortConfig, open, queue_count};
