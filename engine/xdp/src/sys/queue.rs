//! An AF_XDP socket on one queue of an interface: frame memory and four rings.
//!
//! ```text
//! fill:        chunks to receive into       ours ──► kernel
//! rx:          frames received              kernel ──► ours, then back to fill
//!              (twice: a second socket shares the memory, see `receiver`)
//! tx:          frames to send               ours ──► kernel
//! completion:  chunks that were sent        kernel ──► ours, then free
//! ```
//!
//! **Invariant:** the chunks below `RECEIVE_CHUNKS` circulate in the first two rings, the others in
//! the last two; so nothing that is read is ever written by this side.

use core::time::Duration;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use super::memory::Mapping;
use super::receiver::{Acknowledgements, Receiver};
use super::ring::Ring;
use super::sender::{METADATA_BYTES, Sender};
use super::{check, owned};
use crate::frame::ETHERNET_BYTES;
use crate::limits::{
    CHUNK_BYTES, FILL_ENTRIES, PACKET_BYTES_MAX, RECEIVE_CHUNKS, RECEIVE_ENTRIES, SEND_CHUNKS,
};

/// Octets that drivers keep free in front of a received frame.
const HEADROOM_BYTES: usize = 256;

/// How a queue is opened.
#[derive(Clone, Copy)]
struct Way {
    copying: u16,
    /// Frames may span chunks.
    spans_chunks: bool,
    /// Whoever copies a frame leaves its checksum to the device, or computes it where the device cannot. A
    /// driver that does not copy may silently do neither.
    leaves_checksums: bool,
}

/// The best first.
const WAYS: [Way; 6] = {
    const fn way(copying: u16, spans_chunks: bool, leaves_checksums: bool) -> Way {
        Way {
            copying,
            spans_chunks,
            leaves_checksums,
        }
    }
    [
        way(libc::XDP_ZEROCOPY, true, false),
        way(libc::XDP_ZEROCOPY, false, false),
        way(libc::XDP_COPY, true, true),
        way(libc::XDP_COPY, true, false),
        way(libc::XDP_COPY, false, true),
        way(libc::XDP_COPY, false, false),
    ]
};

/// Both directions of a queue.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) receiver: Receiver,
    pub(crate) sender: Sender,
    /// Frames go to and from the device without a copy.
    pub(crate) is_zero_copy: bool,
    /// Frames may span chunks.
    pub(crate) spans_chunks: bool,
    /// Frames are sent with a sum of the pseudo header where their TCP checksum stands.
    pub(crate) leaves_checksums: bool,
}

impl Queue {
    /// Opens a socket and binds it to a queue: without copies where the driver has that, else with.
    pub(crate) fn open(interface: u32, queue: u32, busy_poll: Duration) -> Result<Self, OpenError> {
        let mut last = None;
        for way in WAYS {
            let spanning = if way.spans_chunks {
                libc::XDP_USE_SG
            } else {
                0
            };
            let flags = way.copying | libc::XDP_USE_NEED_WAKEUP | spanning;
            let mut one = match Self::prepare(busy_poll, way.leaves_checksums) {
                // A kernel older than 6.8.
                Err(OpenError::Memory(error)) if way.leaves_checksums && is_of_the_way(&error) => {
                    continue;
                }
                outcome => outcome?,
            };
            match bind(one.socket(), interface, queue, flags, None) {
                Ok(()) => {
                    one.is_zero_copy = way.copying == libc::XDP_ZEROCOPY;
                    one.spans_chunks = way.spans_chunks;
                    match one.share(interface, queue) {
                        Ok(own) => one.receiver.set_acknowledgements(own),
                        Err(error) => {
                            tracing::debug!(%error, "no socket of their own for acknowledgements")
                        }
                    }
                    return Ok(one);
                }
                Err(error) if is_of_the_way(&error) => last = Some(error),
                Err(error) => return Err(OpenError::Bind(error)),
            }
        }
        Err(OpenError::Bind(last.expect("several ways were tried")))
    }

    fn prepare(busy_poll: Duration, leaves_checksums: bool) -> Result<Self, OpenError> {
        let socket = open_socket().map_err(OpenError::Socket)?;
        let bytes = (RECEIVE_CHUNKS + SEND_CHUNKS) as usize * CHUNK_BYTES;
        let memory = Arc::new(Mapping::anonymous(bytes).map_err(OpenError::Memory)?);
        let mut area: libc::xdp_umem_reg = zeroed_area();
        area.addr = memory.at::<u8>(0, bytes).as_ptr() as u64;
        area.len = bytes as u64;
        area.chunk_size = u32::try_from(CHUNK_BYTES).expect("a page");
        if leaves_checksums {
            area.flags = libc::XDP_UMEM_TX_METADATA_LEN;
            area.tx_metadata_len = u32::try_from(METADATA_BYTES).expect("a few octets");
        }
        set(socket.as_fd(), libc::SOL_XDP, libc::XDP_UMEM_REG, &area).map_err(OpenError::Memory)?;
        let rings = [
            (libc::XDP_UMEM_FILL_RING, FILL_ENTRIES),
            (libc::XDP_UMEM_COMPLETION_RING, SEND_CHUNKS),
            (libc::XDP_RX_RING, RECEIVE_ENTRIES),
            (libc::XDP_TX_RING, SEND_CHUNKS),
        ];
        for (option, size) in rings {
            set(socket.as_fd(), libc::SOL_XDP, option, &size).map_err(OpenError::Memory)?;
        }
        prefer_busy_poll(socket.as_fd(), busy_poll);
        let offsets = offsets(socket.as_fd()).map_err(OpenError::Memory)?;
        let fd = socket.as_fd();
        let far = |at: u64| libc::off_t::try_from(at).expect("below 8 GiB");
        let fill = far(libc::XDP_UMEM_PGOFF_FILL_RING);
        let completion = far(libc::XDP_UMEM_PGOFF_COMPLETION_RING);
        let map = OpenError::Memory;
        let rx =
            Ring::map(fd, RECEIVE_ENTRIES, libc::XDP_PGOFF_RX_RING, &offsets.rx).map_err(map)?;
        let tx = Ring::map(fd, SEND_CHUNKS, libc::XDP_PGOFF_TX_RING, &offsets.tx).map_err(map)?;
        let mut fill = Ring::map(fd, FILL_ENTRIES, fill, &offsets.fr).map_err(map)?;
        let completion = Ring::map(fd, SEND_CHUNKS, completion, &offsets.cr).map_err(map)?;
        for chunk in 0..RECEIVE_CHUNKS {
            fill.push(u64::from(chunk) * CHUNK_BYTES as u64);
        }
        fill.publish();
        let socket = Arc::new(socket);
        Ok(Self {
            receiver: Receiver::new(rx, fill, Arc::clone(&socket), Arc::clone(&memory)),
            sender: Sender::new((tx, completion), leaves_checksums, socket, memory),
            is_zero_copy: false,
            spans_chunks: false,
            leaves_checksums,
        })
    }

    /// Opens another socket on the same queue, with the same memory and the same ring of chunks to receive into.
    fn share(&self, interface: u32, queue: u32) -> io::Result<Acknowledgements> {
        let socket = open_socket()?;
        let fd = socket.as_fd();
        set(fd, libc::SOL_XDP, libc::XDP_RX_RING, &RECEIVE_ENTRIES)?;
        let offsets = offsets(fd)?;
        let rx = Ring::map(fd, RECEIVE_ENTRIES, libc::XDP_PGOFF_RX_RING, &offsets.rx)?;
        bind(
            fd,
            interface,
            queue,
            libc::XDP_SHARED_UMEM,
            Some(self.socket()),
        )?;
        Ok(Acknowledgements { rx, socket })
    }

    /// Octets of the largest IP packet that fits, whatever the interface carries.
    pub(crate) fn packet_bytes_max(&self) -> usize {
        if self.spans_chunks {
            PACKET_BYTES_MAX
        } else {
            CHUNK_BYTES - HEADROOM_BYTES - ETHERNET_BYTES
        }
    }

    fn socket(&self) -> BorrowedFd<'_> {
        self.receiver.socket()
    }
}

/// Why a queue could not be opened.
#[derive(Debug)]
pub(crate) enum OpenError {
    Socket(io::Error),
    Memory(io::Error),
    Bind(io::Error),
}

/// Whether another way of binding may do.
fn is_of_the_way(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EOPNOTSUPP | libc::EINVAL | libc::ENOSYS)
    )
}

fn zeroed_area() -> libc::xdp_umem_reg {
    // SAFETY: plain integers, for which zeros are a value.
    unsafe { core::mem::zeroed() }
}

fn set<T>(fd: BorrowedFd<'_>, level: i32, option: i32, value: &T) -> io::Result<()> {
    let bytes = libc::socklen_t::try_from(size_of::<T>()).expect("a small structure");
    // SAFETY: pointer and length are those of `value`, which the kernel only reads.
    let outcome = unsafe {
        let value: *const T = value;
        libc::setsockopt(fd.as_raw_fd(), level, option, value.cast(), bytes)
    };
    check(outcome).map(drop)
}

fn offsets(fd: BorrowedFd<'_>) -> io::Result<libc::xdp_mmap_offsets> {
    // SAFETY: plain integers, for which zeros are a value.
    let mut offsets: libc::xdp_mmap_offsets = unsafe { core::mem::zeroed() };
    let mut bytes = libc::socklen_t::try_from(size_of_val(&offsets)).expect("a small structure");
    // SAFETY: pointer and length are those of `offsets`, which takes any octets.
    let outcome = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_XDP,
            libc::XDP_MMAP_OFFSETS,
            (&raw mut offsets).cast(),
            &raw mut bytes,
        )
    };
    check(outcome)?;
    if bytes as usize != size_of_val(&offsets) {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "the kernel is older than 5.4",
        ));
    }
    Ok(offsets)
}

fn open_socket() -> io::Result<OwnedFd> {
    // SAFETY: takes no pointer.
    owned(unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) }.into())
}

/// `shared`: the socket whose memory this one uses.
fn bind(
    fd: BorrowedFd<'_>,
    interface: u32,
    queue: u32,
    flags: u16,
    shared: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let addr = libc::sockaddr_xdp {
        sxdp_family: u16::try_from(libc::AF_XDP).expect("a small number"),
        sxdp_flags: flags,
        sxdp_ifindex: interface,
        sxdp_queue_id: queue,
        sxdp_shared_umem_fd: shared.map_or(0, |one| one.as_raw_fd().cast_unsigned()),
    };
    let bytes = libc::socklen_t::try_from(size_of_val(&addr)).expect("a small structure");
    // SAFETY: pointer and length are those of `addr`, which the kernel only reads.
    check(unsafe { libc::bind(fd.as_raw_fd(), (&raw const addr).cast(), bytes) }).map(drop)
}

/// Asks that the queue is looked at by whoever polls rather than by interrupts; what the kernel or
/// the driver does not have, it does without.
fn prefer_busy_poll(fd: BorrowedFd<'_>, busy_poll: Duration) {
    const SO_PREFER_BUSY_POLL: i32 = 69;
    const SO_BUSY_POLL_BUDGET: i32 = 70;
    let Ok(micros @ 1..) = i32::try_from(busy_poll.as_micros()) else {
        return;
    };
    for (option, value) in [
        (SO_PREFER_BUSY_POLL, 1),
        (libc::SO_BUSY_POLL, micros),
        (SO_BUSY_POLL_BUDGET, 64),
    ] {
        if let Err(error) = set(fd, libc::SOL_SOCKET, option, &value) {
            tracing::debug!(option, %error, "the kernel has no preference for polling");
        }
    }
}
