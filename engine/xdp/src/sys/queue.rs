//! An AF_XDP socket on one queue of an interface: frame memory and four rings.
//!
//! ```text
//! fill:        chunks to receive into       ours ──► kernel
//! rx:          frames received              kernel ──► ours, then back to fill
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
use super::ring::Ring;
use super::{check, owned};
use crate::frame::ETHERNET_BYTES;
use crate::limits::{CHUNK_BYTES, FILL_ENTRIES, PACKET_BYTES_MAX, RECEIVE_CHUNKS, SEND_CHUNKS};
use crate::stack::FrameSink;

/// Chunks that the largest frame takes.
const FRAME_CHUNKS_MAX: usize =
    (PACKET_BYTES_MAX + ETHERNET_BYTES).div_ceil(CHUNK_BYTES - METADATA_BYTES);

/// Octets of the largest frame that is put together: what a segmenting peer on the same machine sends.
const GATHERED_BYTES_MAX: usize = 80 * 1024;

/// Octets that drivers keep free in front of a received frame.
const HEADROOM_BYTES: usize = 256;

/// What stands in front of a frame to send and asks for its checksum: `struct xsk_tx_metadata` of the
/// kernel, with room for what it may do when a frame was sent.
const METADATA_BYTES: usize = 24;

const _: () = assert!(METADATA_BYTES.is_multiple_of(8), "a rule of the kernel");

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

#[derive(Debug)]
pub(crate) struct Receiver {
    rx: Ring<libc::xdp_desc>,
    fill: Ring<u64>,
    /// A frame of several chunks is put together here.
    gathered: Vec<u8>,
    is_gathering: bool,
    socket: Arc<OwnedFd>,
    memory: Arc<Mapping>,
}

#[derive(Debug)]
pub(crate) struct Sender {
    tx: Ring<libc::xdp_desc>,
    completion: Ring<u64>,
    /// Chunks by their offset.
    free: Vec<u64>,
    /// A frame of several chunks is written here first.
    scratch: Vec<u8>,
    /// Something was written since the last call into the kernel.
    is_unsent: bool,
    /// The kernel is asked to complete the checksums of frames.
    pub(crate) leaves_checksums: bool,
    socket: Arc<OwnedFd>,
    memory: Arc<Mapping>,
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
            match bind(one.receiver.socket.as_fd(), interface, queue, flags) {
                Ok(()) => {
                    one.is_zero_copy = way.copying == libc::XDP_ZEROCOPY;
                    one.spans_chunks = way.spans_chunks;
                    return Ok(one);
                }
                Err(error) if is_of_the_way(&error) => last = Some(error),
                Err(error) => return Err(OpenError::Bind(error)),
            }
        }
        Err(OpenError::Bind(last.expect("several ways were tried")))
    }

    fn prepare(busy_poll: Duration, leaves_checksums: bool) -> Result<Self, OpenError> {
        // SAFETY: takes no pointer.
        let socket = owned(
            unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) }.into(),
        )
        .map_err(OpenError::Socket)?;
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
            (libc::XDP_RX_RING, RECEIVE_CHUNKS),
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
            Ring::map(fd, RECEIVE_CHUNKS, libc::XDP_PGOFF_RX_RING, &offsets.rx).map_err(map)?;
        let tx = Ring::map(fd, SEND_CHUNKS, libc::XDP_PGOFF_TX_RING, &offsets.tx).map_err(map)?;
        let mut fill = Ring::map(fd, FILL_ENTRIES, fill, &offsets.fr).map_err(map)?;
        let completion = Ring::map(fd, SEND_CHUNKS, completion, &offsets.cr).map_err(map)?;
        for chunk in 0..RECEIVE_CHUNKS {
            fill.push(u64::from(chunk) * CHUNK_BYTES as u64);
        }
        fill.publish();
        let free = (RECEIVE_CHUNKS..RECEIVE_CHUNKS + SEND_CHUNKS)
            .rev()
            .map(|chunk| u64::from(chunk) * CHUNK_BYTES as u64)
            .collect();
        let socket = Arc::new(socket);
        Ok(Self {
            receiver: Receiver {
                rx,
                fill,
                gathered: Vec::new(),
                is_gathering: false,
                socket: Arc::clone(&socket),
                memory: Arc::clone(&memory),
            },
            sender: Sender {
                tx,
                completion,
                free,
                scratch: Vec::new(),
                is_unsent: false,
                leaves_checksums,
                socket,
                memory,
            },
            is_zero_copy: false,
            spans_chunks: false,
            leaves_checksums,
        })
    }

    /// Octets of the largest IP packet that fits, whatever the interface carries.
    pub(crate) fn packet_bytes_max(&self) -> usize {
        if self.spans_chunks {
            PACKET_BYTES_MAX
        } else {
            CHUNK_BYTES - HEADROOM_BYTES - ETHERNET_BYTES
        }
    }

    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.receiver.socket.as_fd()
    }
}

/// Why a queue could not be opened.
#[derive(Debug)]
pub(crate) enum OpenError {
    Socket(io::Error),
    Memory(io::Error),
    Bind(io::Error),
}

impl Receiver {
    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Shows up to `max` received frames to `take`; returns how many.
    pub(crate) fn receive(&mut self, max: usize, mut take: impl FnMut(&[u8])) -> usize {
        let mut count = 0;
        while count < max {
            let Some(desc) = self.rx.pop() else {
                break;
            };
            count += 1;
            let chunk = desc.addr & !(CHUNK_BYTES as u64 - 1);
            let is_more = desc.options & libc::XDP_PKT_CONTD != 0;
            if let Some(octets) = received(&self.memory, &desc) {
                if is_more || self.is_gathering {
                    if self.gathered.len() + octets.len() <= GATHERED_BYTES_MAX {
                        self.gathered.extend_from_slice(octets);
                    }
                } else {
                    take(octets);
                }
            }
            if self.is_gathering && !is_more {
                take(&self.gathered);
                self.gathered.clear();
            }
            self.is_gathering = is_more;
            if chunk < u64::from(RECEIVE_CHUNKS) * CHUNK_BYTES as u64 {
                self.fill.push(chunk);
            }
        }
        if count > 0 {
            self.rx.release();
            self.fill.publish();
            if self.fill.needs_wakeup() {
                self.wake();
            }
        }
        count
    }

    /// Makes the driver look at the fill ring, and a polled one at its queue.
    pub(crate) fn wake(&self) {
        // SAFETY: no buffer, no address: the call only wakes the driver.
        unsafe {
            libc::recvfrom(
                self.socket.as_raw_fd(),
                core::ptr::null_mut(),
                0,
                libc::MSG_DONTWAIT,
                core::ptr::null_mut(),
                core::ptr::null_mut(),
            )
        };
    }
}

/// The octets that a descriptor of the kernel speaks of; `None` if it lies outside of what is received
/// into.
fn received<'a>(memory: &'a Mapping, desc: &libc::xdp_desc) -> Option<&'a [u8]> {
    let at = usize::try_from(desc.addr).ok()?;
    let bytes = desc.len as usize;
    let end = at.checked_add(bytes)?;
    if end > RECEIVE_CHUNKS as usize * CHUNK_BYTES || at % CHUNK_BYTES + bytes > CHUNK_BYTES {
        return None;
    }
    let base = memory.at::<u8>(at, bytes);
    // SAFETY:
    // - Valid and initialised: in the mapping (`at` checks), which began as zeros and outlives the
    //   reference.
    // - Not written meanwhile: the chunk is the kernel's again only when it is in the fill ring, which
    //   its caller does after the last use; this side writes only to other chunks.
    Some(unsafe { core::slice::from_raw_parts(base.as_ptr(), bytes) })
}

impl Sender {
    /// Takes chunks back that the kernel has sent.
    fn reclaim(&mut self) {
        let before = self.free.len();
        while let Some(chunk) = self.completion.pop() {
            // A frame does not begin where its chunk does.
            self.free.push(chunk & !(CHUNK_BYTES as u64 - 1));
        }
        if self.free.len() > before {
            self.completion.release();
        }
    }

    /// Lets the kernel see and send what was written.
    pub(crate) fn flush(&mut self) {
        if self.is_unsent {
            self.tx.publish();
            self.is_unsent = false;
        }
        // Without zero copy one call sends a few frames only, and says EAGAIN while there are more.
        let mut left = self.tx.pending();
        while left > 0 && self.tx.needs_wakeup() {
            // SAFETY: no buffer, no address: the call only makes the kernel look at the ring.
            unsafe {
                libc::sendto(
                    self.socket.as_raw_fd(),
                    core::ptr::null(),
                    0,
                    libc::MSG_DONTWAIT,
                    core::ptr::null(),
                    0,
                );
            }
            self.reclaim();
            let now = self.tx.pending();
            if now == left {
                // A link that is down, a full device: it stays in the ring and goes later.
                break;
            }
            left = now;
        }
        self.reclaim();
    }

    /// Where a frame begins in its chunk; those that go on with it begin there too, a rule of the kernel.
    fn front(&self) -> usize {
        if self.leaves_checksums {
            METADATA_BYTES
        } else {
            0
        }
    }

    /// Puts a frame, or a part of one, into a chunk and shows it to the kernel.
    fn put<R>(&mut self, bytes: usize, part: Part, write: impl FnOnce(&mut [u8]) -> R) -> R {
        let chunk = self.free.pop().expect("room was asked for");
        let front = self.front();
        let asks = front > 0 && part.is_first;
        let outcome = fill(&self.memory, chunk, front + bytes, |space| {
            let (metadata, frame) = space.split_at_mut(front);
            let outcome = write(frame);
            if asks {
                ask_for_checksum(metadata, frame);
            }
            outcome
        });
        self.tx.push(libc::xdp_desc {
            addr: chunk + front as u64,
            len: u32::try_from(bytes).expect("within a chunk"),
            options: if asks { libc::XDP_TX_METADATA } else { 0 }
                | if part.is_last { 0 } else { libc::XDP_PKT_CONTD },
        });
        self.is_unsent = true;
        outcome
    }
}

/// Which part of a frame stands in a chunk.
#[derive(Clone, Copy)]
struct Part {
    is_first: bool,
    is_last: bool,
}

/// Fills in the metadata of a frame with TCP behind an IP header without options: flags, where the checksum
/// begins, and where it is written from there.
fn ask_for_checksum(metadata: &mut [u8], frame: &[u8]) {
    let is_ipv6 = frame
        .get(ETHERNET_BYTES)
        .is_some_and(|first| first >> 4 == 6);
    let (start, offset): (u16, u16) = (if is_ipv6 { 54 } else { 34 }, 16);
    let flags = u64::from(libc::XDP_TXMD_FLAGS_CHECKSUM);
    metadata[..8].copy_from_slice(&flags.to_ne_bytes());
    metadata[8..10].copy_from_slice(&start.to_ne_bytes());
    metadata[10..12].copy_from_slice(&offset.to_ne_bytes());
}

impl FrameSink for Sender {
    fn has_room(&mut self) -> bool {
        let has = |one: &mut Self| {
            one.free.len() >= FRAME_CHUNKS_MAX && one.tx.room() as usize >= FRAME_CHUNKS_MAX
        };
        if !has(self) {
            self.flush();
        }
        has(self)
    }

    fn send<R>(&mut self, bytes: usize, write: impl FnOnce(&mut [u8]) -> R) -> R {
        let max = CHUNK_BYTES - self.front();
        let (is_first, is_last) = (true, true);
        if bytes <= max {
            return self.put(bytes, Part { is_first, is_last }, write);
        }
        let mut scratch = core::mem::take(&mut self.scratch);
        scratch.resize(bytes, 0);
        let outcome = write(&mut scratch);
        for (index, piece) in scratch.chunks(max).enumerate() {
            let part = Part {
                is_first: index == 0,
                is_last: (index + 1) * max >= bytes,
            };
            self.put(piece.len(), part, |space| space.copy_from_slice(piece));
        }
        self.scratch = scratch;
        outcome
    }

    fn send_routed(&mut self, _: core::net::IpAddr, _: &[u8]) {
        unreachable!("the port finds the way")
    }
}

/// Lets `write` fill the beginning of a free chunk.
fn fill<R>(memory: &Mapping, chunk: u64, bytes: usize, write: impl FnOnce(&mut [u8]) -> R) -> R {
    let at = usize::try_from(chunk).expect("an offset into memory");
    assert!(at >= RECEIVE_CHUNKS as usize * CHUNK_BYTES && bytes <= CHUNK_BYTES);
    let base = memory.at::<u8>(at, bytes);
    // SAFETY:
    // - Valid and initialised: in the mapping, which began as zeros.
    // - Unaliased: the chunk was taken from the free ones, so the kernel does not read it before it is
    //   in the ring, there is one sender (`&mut`) of this memory, and received chunks lie elsewhere.
    write(unsafe { core::slice::from_raw_parts_mut(base.as_ptr(), bytes) })
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

fn bind(fd: BorrowedFd<'_>, interface: u32, queue: u32, flags: u16) -> io::Result<()> {
    let addr = libc::sockaddr_xdp {
        sxdp_family: u16::try_from(libc::AF_XDP).expect("a small number"),
        sxdp_flags: flags,
        sxdp_ifindex: interface,
        sxdp_queue_id: queue,
        sxdp_shared_umem_fd: 0,
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
