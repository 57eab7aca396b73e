//! What a queue received.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use super::memory::Mapping;
use super::ring::Ring;
use crate::limits::{CHUNK_BYTES, RECEIVE_CHUNKS};

/// Octets of the largest frame that is put together: what a segmenting peer on the same machine sends.
const GATHERED_BYTES_MAX: usize = 80 * 1024;

/// Two sockets: acknowledgements without octets arrive at one of their own, so that nobody who sleeps has to wake up
/// for them.
#[derive(Debug)]
pub(crate) struct Receiver {
    rx: Ring<libc::xdp_desc>,
    acknowledgements: Option<Acknowledgements>,
    fill: Ring<u64>,
    /// A frame of several chunks is put together here.
    gathered: Vec<u8>,
    is_gathering: bool,
    socket: Arc<OwnedFd>,
    memory: Arc<Mapping>,
}

/// Where acknowledgements without octets arrive.
#[derive(Debug)]
pub(super) struct Acknowledgements {
    pub(super) rx: Ring<libc::xdp_desc>,
    pub(super) socket: OwnedFd,
}

impl Receiver {
    /// `fill` holds all chunks to receive into.
    pub(super) fn new(
        rx: Ring<libc::xdp_desc>,
        fill: Ring<u64>,
        socket: Arc<OwnedFd>,
        memory: Arc<Mapping>,
    ) -> Self {
        Self {
            rx,
            acknowledgements: None,
            fill,
            gathered: Vec::new(),
            is_gathering: false,
            socket,
            memory,
        }
    }

    pub(super) fn set_acknowledgements(&mut self, acknowledgements: Acknowledgements) {
        self.acknowledgements = Some(acknowledgements);
    }

    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The one for acknowledgements, which may be the same.
    pub(crate) fn acknowledgement_socket(&self) -> BorrowedFd<'_> {
        let own = self.acknowledgements.as_ref();
        own.map_or(self.socket(), |own| own.socket.as_fd())
    }

    /// Shows up to `max` received frames to `take`, those with news before acknowledgements; returns how many.
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
        let with_news = count;
        if let Some(own) = &mut self.acknowledgements {
            while count < max
                && let Some(desc) = own.rx.pop()
            {
                count += 1;
                if let Some(octets) = received(&self.memory, &desc) {
                    take(octets);
                }
                self.fill.push(desc.addr & !(CHUNK_BYTES as u64 - 1));
            }
            if count > with_news {
                own.rx.release();
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
