//! What stands in the way of using an interface, in words that say what to do about it.

use core::net::{IpAddr, SocketAddr};
use std::io;

use crate::limits::{ADDRESSES_MAX, QUEUES_MAX};

/// Why an interface cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none of this name.
    #[error("there is no interface {0:?}")]
    NoInterface(String),
    /// It is there and down.
    #[error("interface {0} is down; bring it up first (ip link set {0} up)")]
    Down(String),
    /// A listen address is not one of its addresses.
    #[error("{addr} is not an address of interface {interface}")]
    NoAddress {
        /// The address.
        addr: IpAddr,
        /// The interface.
        interface: String,
    },
    /// More addresses than the program tells apart.
    #[error(
        "interface {0} has more than {ADDRESSES_MAX} addresses to listen on; name some of them"
    )]
    TooManyAddresses(String),
    /// Not every shard would have a queue.
    #[error(
        "interface {interface} has {queues} receive queue(s) for {shards} shards; use --shards {queues} or more queues (ethtool -L {interface} combined {shards})"
    )]
    TooFewQueues {
        /// The interface.
        interface: String,
        /// Its queues.
        queues: u32,
        /// Shards asked for.
        shards: u8,
    },
    /// More than there is room for.
    #[error("interface {0} has more than {QUEUES_MAX} receive queues (ethtool -L)")]
    TooManyQueues(String),
    /// A port is taken, or may not be used.
    #[error("cannot reserve {addr}: {source}")]
    Reserve {
        /// Which.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Something of the system is missing.
    #[error("{what}: {source}{}", hint(.needs))]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
        /// What would be needed.
        needs: &'static str,
    },
}

fn hint(needs: &str) -> String {
    if needs.is_empty() {
        String::new()
    } else {
        format!(" ({needs})")
    }
}

pub(crate) fn system(what: impl Into<String>, source: io::Error) -> Error {
    let needs = match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            "needs root or the capabilities CAP_NET_RAW, CAP_NET_ADMIN and CAP_BPF"
        }
        Some(libc::EAFNOSUPPORT) => "needs a kernel with CONFIG_XDP_SOCKETS, 5.9 or later",
        Some(libc::ENOSYS) => "needs a kernel with CONFIG_BPF_SYSCALL, 5.9 or later",
        Some(libc::ENOBUFS | libc::ENOMEM) => {
            "needs more locked memory: raise RLIMIT_MEMLOCK (ulimit -l) or give CAP_IPC_LOCK"
        }
        Some(libc::EBUSY) => "another program has this interface or its queue",
        _ => "",
    };
    Error::System {
        what: what.into(),
        source,
        needs,
    }
}
