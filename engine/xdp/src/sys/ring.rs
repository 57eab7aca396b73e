//! A ring shared with the kernel: one side writes entries and moves the producer's index, the other
//! reads them and moves the consumer's.

use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};
use std::io;
use std::os::fd::BorrowedFd;

use super::memory::Mapping;

/// What entries are made of: plain integers.
pub(super) trait Entry: Copy {}
impl Entry for u64 {}
impl Entry for libc::xdp_desc {}

/// **Invariant:** `ours` is the index that this side moves; the kernel moves the other one.
#[derive(Debug)]
pub(super) struct Ring<T> {
    producer: NonNull<AtomicU32>,
    consumer: NonNull<AtomicU32>,
    flags: NonNull<AtomicU32>,
    entries: NonNull<T>,
    size: u32,
    ours: u32,
    /// The kernel's index when last looked at.
    theirs: u32,
    _map: Mapping,
    _entries: PhantomData<T>,
}

// SAFETY: the pointers lead into the mapping, which belongs to the process; the ring is used by one
// thread at a time, for its methods that touch it take `&mut self` but for reads of atomics.
unsafe impl<T: Entry> Send for Ring<T> {}

impl<T: Entry> Ring<T> {
    /// Maps the ring that the kernel has made for a socket, with `size` entries, a power of two.
    pub(super) fn map(
        fd: BorrowedFd<'_>,
        size: u32,
        at: libc::off_t,
        offsets: &libc::xdp_ring_offset,
    ) -> io::Result<Self> {
        let narrow = |offset: u64| usize::try_from(offset).map_err(io::Error::other);
        let desc = narrow(offsets.desc)?;
        let bytes = desc + size as usize * size_of::<T>();
        let map = Mapping::shared(fd, bytes, at)?;
        Ok(Self {
            producer: map.at(narrow(offsets.producer)?, 1),
            consumer: map.at(narrow(offsets.consumer)?, 1),
            flags: map.at(narrow(offsets.flags)?, 1),
            entries: map.at(desc, size as usize),
            size,
            ours: 0,
            theirs: 0,
            _map: map,
            _entries: PhantomData,
        })
    }

    fn word(word: &NonNull<AtomicU32>) -> &AtomicU32 {
        // SAFETY: it is in the mapping, which lives as long as `self`, aligned, and both sides access
        // it atomically.
        unsafe { word.as_ref() }
    }

    /// Whether the kernel has to be called to look at the ring.
    pub(super) fn needs_wakeup(&self) -> bool {
        Self::word(&self.flags).load(Ordering::Relaxed) & libc::XDP_RING_NEED_WAKEUP != 0
    }

    fn place(&self, index: u32) -> NonNull<T> {
        // SAFETY: the masked index is below `size`, for as many entries the mapping was checked.
        unsafe { self.entries.add((index & (self.size - 1)) as usize) }
    }

    /// Entries that may be written, of a ring that we produce.
    pub(super) fn room(&mut self) -> u32 {
        if self.ours.wrapping_sub(self.theirs) == self.size {
            self.theirs = Self::word(&self.consumer).load(Ordering::Acquire);
        }
        self.size - self.ours.wrapping_sub(self.theirs)
    }

    /// Entries written and not taken by the kernel.
    pub(super) fn pending(&mut self) -> u32 {
        self.theirs = Self::word(&self.consumer).load(Ordering::Acquire);
        self.ours.wrapping_sub(self.theirs)
    }

    /// Writes an entry; it is seen after [`Self::publish`].
    pub(super) fn push(&mut self, entry: T) {
        assert!(self.room() > 0, "a ring has room for all of its chunks");
        // SAFETY: valid and aligned (see `place`); the kernel does not read it before the producer's
        // index passes it.
        unsafe { self.place(self.ours).write(entry) };
        self.ours = self.ours.wrapping_add(1);
    }

    /// Lets the kernel see what was written.
    pub(super) fn publish(&mut self) {
        Self::word(&self.producer).store(self.ours, Ordering::Release);
    }

    /// The next entry that the kernel wrote, of a ring that we consume; its place may be written again
    /// after [`Self::release`].
    pub(super) fn pop(&mut self) -> Option<T> {
        if self.ours == self.theirs {
            self.theirs = Self::word(&self.producer).load(Ordering::Acquire);
            if self.ours == self.theirs {
                return None;
            }
        }
        // SAFETY: valid and aligned (see `place`), written before the kernel moved its index, which
        // was read with `Acquire`; plain integers, for which all bits are values.
        let entry = unsafe { self.place(self.ours).read() };
        self.ours = self.ours.wrapping_add(1);
        Some(entry)
    }

    /// Gives the places of the entries taken back to the kernel.
    pub(super) fn release(&mut self) {
        Self::word(&self.consumer).store(self.ours, Ordering::Release);
    }
}
