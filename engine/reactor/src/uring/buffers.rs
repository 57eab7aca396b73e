//! The ring through which the kernel is given slots to receive into.
//!
//! ```text
//! entries:  … | given, unused | given, unused | free | free …
//!                               newest ─┘       └─ tail
//! ```
//!
//! The kernel takes entries from the front, as it sees fit; we write behind the tail and move it
//! once per turn.
//!
//! **Invariant:** a slot is in the ring, or lent to a completion not reaped yet, or shared, or
//! returned: never in two of these.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU16, Ordering};
use std::io;
use std::rc::Rc;

use io_uring::{Submitter, types::BufRingEntry};

use crate::limits::{TURN_BYTES_MAX, URING_SLOT_BYTES};
use crate::pool::{self, Octets, Pool};

/// Slots lent at least: what one connection may bring in a turn, which a core's own cache holds.
const LENT_MIN: usize = TURN_BYTES_MAX / URING_SLOT_BYTES;

/// Further slots for each receive that found none.
const LENT_PER_STARVED: usize = 2;

/// The number of slots to lend shrinks by so many parts of it in a turn.
const WANTED_DECAY: usize = 64;

/// The group that receives name to get these buffers.
pub(super) const GROUP: u16 = 0;

#[derive(Debug)]
pub(super) struct Buffers {
    pool: Rc<Pool>,
    entries: NonNull<BufRingEntry>,
    entry_count: u16,
    tail: u16,
    /// Slots that the kernel may fill: in the ring or in a completion not reaped yet.
    lent: usize,
    /// Slots to lend, as far as there are any.
    wanted: usize,
}

impl Buffers {
    /// Registers a ring of `slot_count` (a power of two, at most 32,768) slots and fills it.
    pub(super) fn register(
        submitter: &Submitter<'_>,
        slot_count: u16,
        slot_bytes: usize,
    ) -> io::Result<Self> {
        let pool = Pool::new(slot_count, slot_bytes)?;
        let entries = pool::map(ring_bytes(slot_count))?.cast();
        let mut buffers = Self {
            pool,
            entries,
            entry_count: slot_count,
            tail: 0,
            lent: 0,
            wanted: LENT_MIN,
        };
        let address = entries.as_ptr() as u64;
        // SAFETY:
        // - The memory is a page-aligned mapping of `slot_count` entries, all zero.
        // - It outlives the registration: `Buffers` is dropped after the ring (`Ring::drop`), or
        //   leaked; the kernel also keeps the pages.
        unsafe { submitter.register_buf_ring_with_flags(address, slot_count, GROUP, 0) }?;
        buffers.publish(0);
        Ok(buffers)
    }

    /// Slots pinned by received octets.
    pub(super) fn pinned_count(&self) -> usize {
        self.pool.pinned_count()
    }

    /// Whether a receive would find a buffer.
    pub(super) fn is_stocked(&self) -> bool {
        self.lent > 0
    }

    /// Tops up what the kernel may fill; `starved` receives found nothing since the last time.
    ///
    /// The kernel fills the ring's slots in turn, so that the whole pool in the ring would make every
    /// receive write memory that no cache holds. A few slots, those returned last, stay warm, and bound
    /// what one turn brings. Whoever goes short makes the number grow; it shrinks again slowly.
    pub(super) fn publish(&mut self, starved: usize) {
        let decayed = self.wanted - self.wanted / WANTED_DECAY;
        self.wanted = decayed.max(LENT_MIN + starved * LENT_PER_STARVED);
        if self.pool.returned_count() == 0 || self.lent >= self.wanted {
            return;
        }
        while self.lent < self.wanted
            && let Some(slot) = self.pool.take()
        {
            let position = usize::from(self.tail & (self.entry_count - 1));
            // SAFETY:
            // - In bounds: masked to the number of entries.
            // - Not read meanwhile: there are as many entries as slots and each slot is in the ring
            //   once, so the entry behind the tail is one the kernel has consumed.
            // - The setters write the address, length and identity of the entry, never the field of
            //   the first entry that doubles as the ring's tail.
            unsafe {
                let entry = &mut *self.entries.add(position).as_ptr();
                entry.set_addr(self.pool.slot(slot).as_ptr() as u64);
                entry.set_len(u32::try_from(self.pool.slot_bytes()).expect("below 4 GiB"));
                entry.set_bid(slot);
            }
            self.tail = self.tail.wrapping_add(1);
            self.lent += 1;
        }
        // SAFETY:
        // - `entries` is the ring's base, so `tail` names the field the kernel reads the tail from,
        //   inside the mapping and 2-aligned.
        // - It is shared with the kernel only, which loads it; both sides use it atomically.
        let tail =
            unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.entries.as_ptr()).cast_mut()) };
        // Release: the entries are visible before the tail that covers them.
        tail.store(self.tail, Ordering::Release);
    }

    /// What a completion says was received into `slot`. Copies when slots run low.
    pub(super) fn received(&mut self, slot: u16, count: usize) -> Octets {
        self.lent -= 1;
        if self.pool.is_low() {
            let octets = self.pool.copy(slot, count);
            self.pool.give_back(slot);
            return octets;
        }
        self.pool.share(slot, 0, count)
    }

    /// A completion brought a slot with nothing in it.
    pub(super) fn unused(&mut self, slot: u16) {
        self.lent -= 1;
        self.pool.give_back(slot);
    }

    /// Leaves all memory to a kernel that would not let go.
    pub(super) fn leak(self) {
        core::mem::forget(self);
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        pool::unmap(self.entries.cast(), ring_bytes(self.entry_count));
    }
}

fn ring_bytes(slot_count: u16) -> usize {
    usize::from(slot_count) * size_of::<BufRingEntry>()
}
