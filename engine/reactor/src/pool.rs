//! Receive memory: a mapping cut into slots, each with a count of who still needs it.
//!
//! ```text
//! free ──take──► filled by the system ──share──► counted by Octets ──last drop──► returned ──► free
//!   └────lend──► on loan to the kernel ──share──► the same, and on loan ──┴─end_loan─┘
//! ```
//!
//! Nothing forms a reference to the whole mapping: the kernel may be writing to other slots, or to
//! the unshared tail of the same one.
//!
//! **Invariant:** octets that an [`Octets`] covers are not written until its slot's count is 0.

use core::cell::{Cell, RefCell};
use core::fmt;
use core::ptr::NonNull;
use std::io;
use std::rc::Rc;

use crate::limits::{POOL_RESERVE_PERCENT, READ_BYTES_MIN};

/// Received octets: in a slot of the shard's pool, or on the heap. A clone counts, copies nothing.
pub struct Octets(Place);

enum Place {
    Slot {
        pool: Rc<Pool>,
        slot: u16,
        start: u32,
        len: u32,
    },
    Heap(Rc<Vec<u8>>),
}

impl Octets {
    /// A copy on the heap, which pins no slot.
    #[must_use]
    pub fn copied(octets: &[u8]) -> Self {
        Self(Place::Heap(Rc::new(octets.to_vec())))
    }

    /// Whether it pins receive memory.
    #[must_use]
    pub fn is_pooled(&self) -> bool {
        matches!(self.0, Place::Slot { .. })
    }
}

impl From<Vec<u8>> for Octets {
    fn from(octets: Vec<u8>) -> Self {
        Self(Place::Heap(Rc::new(octets)))
    }
}

impl Clone for Octets {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Place::Slot {
                pool,
                slot,
                start,
                len,
            } => {
                pool.count_up(*slot);
                Place::Slot {
                    pool: Rc::clone(pool),
                    slot: *slot,
                    start: *start,
                    len: *len,
                }
            }
            Place::Heap(octets) => Place::Heap(Rc::clone(octets)),
        })
    }
}

impl Drop for Octets {
    fn drop(&mut self) {
        if let Place::Slot { pool, slot, .. } = &self.0 {
            pool.count_down(*slot);
        }
    }
}

impl AsRef<[u8]> for Octets {
    fn as_ref(&self) -> &[u8] {
        match &self.0 {
            Place::Slot {
                pool,
                slot,
                start,
                len,
            } => {
                let at = pool.slot(*slot).as_ptr();
                // SAFETY:
                // - Valid and initialised: `Pool::share` checked that `start + len` lies in the
                //   slot, and the mapping began as zeros. It lives as long as `pool`.
                // - Not written meanwhile: this value is counted, and slots with a count are
                //   written only beyond what was shared (the module's invariant).
                // - Aligned and short enough: octets, at most a slot.
                unsafe { core::slice::from_raw_parts(at.add(*start as usize), *len as usize) }
            }
            Place::Heap(octets) => octets,
        }
    }
}

impl fmt::Debug for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Octets")
            .field("octet_count", &self.as_ref().len())
            .field("is_pooled", &self.is_pooled())
            .finish()
    }
}

/// The kernel may fill the slot: it is not returned, whoever refers to it.
const ON_LOAN: u32 = 1 << 31;

/// The slots of one shard. Never crosses threads (`Rc`, `Cell`).
pub(crate) struct Pool {
    base: NonNull<u8>,
    slot_bytes: usize,
    /// Of each slot how many octets refer to it, and [`ON_LOAN`].
    counts: Box<[Cell<u32>]>,
    /// Slots nobody needs: to be taken, or to be given to the kernel.
    returned: RefCell<Vec<u16>>,
    /// Slots that no octets refer to: returned, taken or on loan to the kernel.
    idle: Cell<usize>,
}

impl Pool {
    /// Maps `slot_count` slots, all returned.
    pub(crate) fn new(slot_count: u16, slot_bytes: usize) -> io::Result<Rc<Self>> {
        Ok(Rc::new(Self {
            base: map(usize::from(slot_count) * slot_bytes)?,
            slot_bytes,
            counts: (0..slot_count).map(|_| Cell::new(0)).collect(),
            returned: RefCell::new((0..slot_count).rev().collect()),
            idle: Cell::new(usize::from(slot_count)),
        }))
    }

    pub(crate) fn slot_bytes(&self) -> usize {
        self.slot_bytes
    }

    /// Where a slot begins.
    pub(crate) fn slot(&self, slot: u16) -> NonNull<u8> {
        assert!(usize::from(slot) < self.counts.len(), "no such slot");
        // SAFETY: the product is below the mapping's length, as just checked, so the result stays
        // in the same allocation.
        unsafe { self.base.add(usize::from(slot) * self.slot_bytes) }
    }

    /// A slot that nobody needs; the caller alone may fill it, then share or give it back.
    pub(crate) fn take(&self) -> Option<u16> {
        self.returned.borrow_mut().pop()
    }

    /// Gives back a slot of which nothing was shared.
    pub(crate) fn give_back(&self, slot: u16) {
        debug_assert_eq!(self.counts[usize::from(slot)].get(), 0);
        self.returned.borrow_mut().push(slot);
    }

    /// A slot that nobody needs; the kernel alone may fill it, until [`Self::end_loan`]. What it has filled may be
    /// shared meanwhile.
    pub(crate) fn lend(&self) -> Option<u16> {
        let slot = self.take()?;
        self.counts[usize::from(slot)].set(ON_LOAN);
        Some(slot)
    }

    /// The kernel will not fill a slot on loan any more.
    pub(crate) fn end_loan(&self, slot: u16) {
        let count = &self.counts[usize::from(slot)];
        debug_assert!(count.get() & ON_LOAN != 0, "it was not on loan");
        count.set(count.get() & !ON_LOAN);
        if count.get() == 0 {
            self.give_back(slot);
        }
    }

    /// Slots waiting to be taken.
    pub(crate) fn returned_count(&self) -> usize {
        self.returned.borrow().len()
    }

    /// Slots pinned by received octets.
    pub(crate) fn pinned_count(&self) -> usize {
        self.counts.len() - self.idle.get()
    }

    /// Whether so many slots are pinned that what arrives should be copied.
    pub(crate) fn is_low(&self) -> bool {
        self.idle.get() * 100 < self.counts.len() * POOL_RESERVE_PERCENT
    }

    /// Counts one more who needs a slot.
    fn count_up(&self, slot: u16) {
        let count = &self.counts[usize::from(slot)];
        let users = count.get() & !ON_LOAN;
        if users == 0 {
            self.idle.set(self.idle.get() - 1);
        }
        assert!(users < ON_LOAN - 1, "fewer clones than that");
        count.set(count.get() + 1);
    }

    fn count_down(&self, slot: u16) {
        let count = &self.counts[usize::from(slot)];
        count.set(count.get() - 1);
        if count.get() & !ON_LOAN == 0 {
            self.idle.set(self.idle.get() + 1);
            if count.get() == 0 {
                self.give_back(slot);
            }
        }
    }

    /// Octets `start..start + len` of a slot, which the caller has filled and will not write again
    /// while the result or a clone lives.
    pub(crate) fn share(self: &Rc<Self>, slot: u16, start: usize, len: usize) -> Octets {
        assert!(start + len <= self.slot_bytes, "beyond the slot");
        self.count_up(slot);
        let narrow = |value: usize| u32::try_from(value).expect("a slot is below 4 GiB");
        Octets(Place::Slot {
            pool: Rc::clone(self),
            slot,
            start: narrow(start),
            len: narrow(len),
        })
    }

    /// A copy of octets `start..start + len` of a slot, which nobody may be writing.
    pub(crate) fn copy(&self, slot: u16, start: usize, len: usize) -> Octets {
        assert!(start + len <= self.slot_bytes, "beyond the slot");
        let at = self.slot(slot);
        // SAFETY:
        // - Valid and initialised: in the slot, as just checked; mapped as zeros.
        // - Not written: the caller says so, and the reference ends with this call.
        Octets::copied(unsafe { core::slice::from_raw_parts(at.as_ptr().add(start), len) })
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Every `Octets` holds an `Rc` of the pool, and the backends keep one until the kernel has
        // given up every slot (or forever), so nobody reads or writes the mapping any more.
        unmap(self.base, self.counts.len() * self.slot_bytes);
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("slot_count", &self.counts.len())
            .field("slot_bytes", &self.slot_bytes)
            .field("pinned_count", &self.pinned_count())
            .finish_non_exhaustive()
    }
}

/// Packs successive receives into slots.
///
/// **Invariant:** what was shared of the current slot lies below `filled`; writes go above. The
/// current slot is counted once for the packer, so it is not returned while it is being filled.
#[derive(Debug)]
pub(crate) struct Packer {
    pool: Rc<Pool>,
    current: Option<Octets>,
    filled: usize,
    /// Where octets go that are to be copied.
    scratch: Box<[u8]>,
}

impl Packer {
    pub(crate) fn new(pool: Rc<Pool>) -> Self {
        Self {
            scratch: vec![0; pool.slot_bytes()].into(),
            pool,
            current: None,
            filled: 0,
        }
    }

    /// Slots pinned by received octets, the current one included.
    pub(crate) fn pinned_count(&self) -> usize {
        self.pool.pinned_count()
    }

    /// Lets `read` fill some memory once; returns what it filled, `None` when that is nothing.
    pub(crate) fn read(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<Option<Octets>> {
        let Some(slot) = self.room() else {
            let count = read(&mut self.scratch)?;
            return Ok((count > 0).then(|| Octets::copied(&self.scratch[..count])));
        };
        let space = self.pool.slot_bytes() - self.filled;
        // SAFETY:
        // - Valid and initialised: `filled + space` is the slot's end; mapped as zeros.
        // - Unaliased: what was shared of this slot lies below `filled`, the slot belongs to this
        //   packer (it is counted, so nobody can take it), and no reference to the whole mapping is
        //   ever formed. The reference ends before anything of this range is shared.
        let tail = unsafe {
            let at = self.pool.slot(slot).as_ptr().add(self.filled);
            core::slice::from_raw_parts_mut(at, space)
        };
        let count = read(tail)?;
        assert!(count <= space, "more was read than there was room");
        if count == 0 {
            return Ok(None);
        }
        let octets = self.pool.share(slot, self.filled, count);
        self.filled += count;
        Ok(Some(octets))
    }

    /// As [`Self::read`], for what cannot fail.
    pub(crate) fn fill(&mut self, fill: &mut dyn FnMut(&mut [u8]) -> usize) -> Option<Octets> {
        self.read(|space| Ok(fill(space)))
            .expect("the only error is the callback's")
    }

    /// The slot to fill next, with at least [`READ_BYTES_MIN`] of room; `None` when too few are left.
    fn room(&mut self) -> Option<u16> {
        if self.pool.slot_bytes() - self.filled < READ_BYTES_MIN {
            self.current = None;
            self.filled = 0;
        }
        if self.current.is_none() && !self.pool.is_low() {
            let slot = self.pool.take()?;
            self.current = Some(self.pool.share(slot, 0, 0));
            self.filled = 0;
        }
        match self.current.as_ref()?.0 {
            Place::Slot { slot, .. } => Some(slot),
            Place::Heap(_) => None,
        }
    }

    /// Lets go of a slot in use when nothing arrives, so that an idle shard pins none.
    #[cfg(test)]
    pub(crate) fn release(&mut self) {
        self.current = None;
        self.filled = 0;
    }
}

/// Anonymous zeroed memory at a page boundary.
pub(crate) fn map(bytes: usize) -> io::Result<NonNull<u8>> {
    // SAFETY: a fresh private anonymous mapping at an address of the system's choice touches no
    // existing memory; a length of 0 is an error, not undefined.
    let at = unsafe {
        libc::mmap(
            core::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if at == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(NonNull::new(at.cast()).expect("a mapping is not at address 0"))
}

/// Gives back a mapping of [`map`] that nobody uses any more.
pub(crate) fn unmap(at: NonNull<u8>, bytes: usize) {
    // SAFETY: `at` and `bytes` are those of one earlier `map`, each caller owns its mapping and
    // calls this once, when no pointer into it is used again.
    let outcome = unsafe { libc::munmap(at.as_ptr().cast(), bytes) };
    debug_assert_eq!(outcome, 0, "{}", io::Error::last_os_error());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(octet: u8, count: usize) -> impl FnOnce(&mut [u8]) -> io::Result<usize> {
        move |space| {
            space[..count].fill(octet);
            Ok(count)
        }
    }

    #[test]
    fn receives_share_a_slot_until_all_are_dropped() {
        let mut packer = Packer::new(Pool::new(8, 2 * READ_BYTES_MIN).unwrap());
        let first = packer.read(fill(1, 10)).unwrap().unwrap();
        let second = packer.read(fill(2, READ_BYTES_MIN)).unwrap().unwrap();
        let clone = first.clone();
        assert_eq!(packer.pinned_count(), 1);
        drop(first);
        let third = packer.read(fill(3, 5)).unwrap().unwrap();
        assert_eq!(packer.pinned_count(), 2);
        assert_eq!(clone.as_ref(), [1; 10]);
        assert_eq!(second.as_ref(), [2; READ_BYTES_MIN]);
        assert_eq!(third.as_ref(), [3; 5]);
        drop((clone, second));
        assert_eq!(packer.pinned_count(), 1);
        drop(third);
        packer.release();
        assert_eq!(packer.pinned_count(), 0);
        assert_eq!(packer.pool.returned_count(), 8);
    }

    #[test]
    fn a_low_pool_is_left_alone() {
        let mut packer = Packer::new(Pool::new(8, READ_BYTES_MIN).unwrap());
        let kept: Vec<_> = (0..20)
            .map(|round| packer.read(fill(round, 7)).unwrap().unwrap())
            .collect();
        assert_eq!(packer.pinned_count(), 7);
        assert!(kept[6].is_pooled() && !kept[7].is_pooled());
        for (round, octets) in (0..).zip(&kept) {
            assert_eq!(octets.as_ref(), [round; 7]);
        }
        drop(kept);
        assert!(packer.read(fill(0, 1)).unwrap().unwrap().is_pooled());
    }

    #[test]
    fn a_slot_on_loan_is_not_returned_before_its_end_nor_before_its_octets_are_dropped() {
        for is_dropped_first in [true, false] {
            let pool = Pool::new(1, READ_BYTES_MIN).unwrap();
            let slot = pool.lend().unwrap();
            assert_eq!(pool.pinned_count(), 0, "on loan, but nobody's");
            let octets = [pool.share(slot, 0, 5), pool.share(slot, 5, 5)];
            assert_eq!(pool.pinned_count(), 1);
            if is_dropped_first {
                drop(octets);
                assert_eq!((pool.pinned_count(), pool.returned_count()), (0, 0));
                pool.end_loan(slot);
            } else {
                pool.end_loan(slot);
                assert_eq!((pool.pinned_count(), pool.returned_count()), (1, 0));
                drop(octets);
            }
            assert_eq!((pool.pinned_count(), pool.returned_count()), (0, 1));
            assert_eq!(pool.lend(), Some(slot), "it can be lent anew");
        }
    }

    #[test]
    fn octets_outlive_their_pool() {
        let pool = Pool::new(1, READ_BYTES_MIN).unwrap();
        let slot = pool.take().unwrap();
        let octets = pool.share(slot, 3, 4);
        let copy = pool.copy(slot, 1, 2);
        drop(pool);
        assert_eq!(octets.as_ref(), [0; 4]);
        assert_eq!(copy.as_ref(), [0; 2]);
    }

    #[test]
    fn nothing_read_is_nothing_shared() {
        let mut packer = Packer::new(Pool::new(4, READ_BYTES_MIN).unwrap());
        assert!(packer.read(|_| Ok(0)).unwrap().is_none());
        let refused = packer.read(|_| Err(io::ErrorKind::WouldBlock.into()));
        assert!(refused.is_err());
    }
}
