//! Mappings that are given back when they are dropped.

use core::ptr::NonNull;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// A shared or anonymous mapping.
#[derive(Debug)]
pub(super) struct Mapping {
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: a mapping belongs to the process, not to a thread; whoever reads or writes through it
// answers for that.
unsafe impl Send for Mapping {}
// SAFETY: as above; the methods only compute addresses.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Fresh zeroed memory at a page boundary.
    pub(super) fn anonymous(bytes: usize) -> io::Result<Self> {
        Self::map(bytes, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
    }

    /// Memory shared with the kernel through a descriptor.
    pub(super) fn shared(fd: BorrowedFd<'_>, bytes: usize, at: libc::off_t) -> io::Result<Self> {
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
        Self::map(bytes, flags, fd.as_raw_fd(), at)
    }

    fn map(bytes: usize, flags: i32, fd: i32, at: libc::off_t) -> io::Result<Self> {
        // SAFETY: a new mapping at an address of the system's choice touches no existing memory; wrong
        // arguments are errors, not undefined.
        let base = unsafe {
            libc::mmap(
                core::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                flags,
                fd,
                at,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast()).expect("a mapping is not at address 0");
        Ok(Self { base, bytes })
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Where `count` values of type `T` at an offset begin.
    pub(super) fn at<T>(&self, offset: usize, count: usize) -> NonNull<T> {
        let end = count
            .checked_mul(size_of::<T>())
            .and_then(|bytes| bytes.checked_add(offset));
        assert!(end.is_some_and(|end| end <= self.bytes), "in the mapping");
        assert!(offset.is_multiple_of(align_of::<T>()), "aligned");
        // SAFETY: the offset is within the mapping, as just checked.
        unsafe { self.base.add(offset) }.cast()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: base and length are those of the mapping, which this value owns; whoever holds
        // pointers into it holds it too, so that none is used again.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.bytes) };
    }
}
