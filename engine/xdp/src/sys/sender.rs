//! What a queue is to send.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use super::memory::Mapping;
use super::ring::Ring;
use crate::frame::ETHERNET_BYTES;
use crate::limits::{CHUNK_BYTES, PACKET_BYTES_MAX, RECEIVE_CHUNKS, SEND_CHUNKS};
use crate::stack::FrameSink;

/// Chunks that the largest frame takes.
const FRAME_CHUNKS_MAX: usize =
    (PACKET_BYTES_MAX + ETHERNET_BYTES).div_ceil(CHUNK_BYTES - METADATA_BYTES);

/// What stands in front of a frame to send and asks for its checksum: `struct xsk_tx_metadata` of the
/// kernel, with room for what it may do when a frame was sent.
pub(super) const METADATA_BYTES: usize = 24;

const _: () = assert!(METADATA_BYTES.is_multiple_of(8), "a rule of the kernel");

/// Frames that are written before the kernel is called: as many as one call sends where it copies them. More would
/// save no call, and the chunks that come back would not be in the cache any more.
const BATCH_FRAMES: usize = 32;

#[derive(Debug)]
pub(crate) struct Sender {
    tx: Ring<libc::xdp_desc>,
    completion: Ring<u64>,
    /// Chunks by their offset.
    free: Vec<u64>,
    /// A frame of several chunks is written here first.
    scratch: Vec<u8>,
    /// Frames written since the last call into the kernel.
    unsent_count: usize,
    /// There were some since [`Self::flush`] was last asked.
    has_sent: bool,
    /// The kernel is asked to complete the checksums of frames.
    pub(crate) leaves_checksums: bool,
    socket: Arc<OwnedFd>,
    memory: Arc<Mapping>,
}

impl Sender {
    /// `rings`: of frames to send and of chunks that were sent; all chunks are free.
    pub(super) fn new(
        (tx, completion): (Ring<libc::xdp_desc>, Ring<u64>),
        leaves_checksums: bool,
        socket: Arc<OwnedFd>,
        memory: Arc<Mapping>,
    ) -> Self {
        let free = (RECEIVE_CHUNKS..RECEIVE_CHUNKS + SEND_CHUNKS)
            .rev()
            .map(|chunk| u64::from(chunk) * CHUNK_BYTES as u64)
            .collect();
        Self {
            tx,
            completion,
            free,
            scratch: Vec::new(),
            unsent_count: 0,
            has_sent: false,
            leaves_checksums,
            socket,
            memory,
        }
    }

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

    /// Lets the kernel see and send what was written; whether there was anything since the last call.
    pub(crate) fn flush(&mut self) -> bool {
        self.send_batch();
        core::mem::take(&mut self.has_sent)
    }

    fn send_batch(&mut self) {
        if core::mem::take(&mut self.unsent_count) > 0 {
            self.tx.publish();
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
        if part.is_last {
            self.unsent_count += 1;
            self.has_sent = true;
        }
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
        if self.unsent_count >= BATCH_FRAMES || !has(self) {
            self.send_batch();
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
