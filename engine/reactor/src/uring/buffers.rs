//! The ring through which the kernel is given slots to receive into.
//!
//! ```text
//! entries:  … | given, unused | given, unused | free | free …
//!                               newest ─┘       └─ tail
//! ```
//!
//! The kernel takes entries from the front, as it sees fit; we write behind the tail and move it
//! once per turn. A receive uses up a slot, or, where the kernel can do that (Linux 6.12), no more of it
//! than it filled ([`Filling`]).
//!
//! **Invariant:** the kernel writes to a slot on loan alone, and there beyond what it has told that it
//! filled; who reads a slot reads what it has told.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU16, Ordering};
use std::io;
use std::rc::Rc;

use io_uring::{Submitter, types::BufRingEntry};

use crate::limits::{PACKED_SLOT_BYTES, POOL_BYTES, TURN_BYTES_MAX, URING_SLOT_BYTES};
use crate::pool::{self, Octets, Pool};

/// Octets lent at least: what one connection may bring in a turn, which a core's own cache holds.
const LENT_BYTES_MIN: usize = TURN_BYTES_MAX;

/// Further octets for each connection that got nothing because there were no more.
const LENT_BYTES_PER_STARVED: usize = 64 * 1024;

/// What is lent shrinks by one in so many parts in a turn.
const WANTED_DECAY: usize = 64;

/// The group that receives name to get these buffers.
pub(super) const GROUP: u16 = 0;

/// How receives fill a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filling {
    /// One after the other (`IOU_PBUF_RING_INC`): where small ones share a slot it can be larger, so that a large one
    /// is cut less often; and they need fewer, so that those stay in caches.
    Packed,
    /// Each has one of its own.
    Single,
}

impl Filling {
    /// The best first.
    pub(super) const ALL: [Self; 2] = [Self::Packed, Self::Single];

    fn slot_bytes(self) -> usize {
        match self {
            Self::Packed => PACKED_SLOT_BYTES,
            Self::Single => URING_SLOT_BYTES,
        }
    }

    /// `IOU_PBUF_RING_INC` or nothing.
    fn flags(self) -> u16 {
        match self {
            Self::Packed => 2,
            Self::Single => 0,
        }
    }
}

/// What a completion says about the slot that it used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Used {
    pub(super) slot: u16,
    /// The kernel goes on filling it.
    pub(super) is_more: bool,
}

#[derive(Debug)]
pub(super) struct Buffers {
    filling: Filling,
    pool: Rc<Pool>,
    entries: NonNull<BufRingEntry>,
    entry_count: u16,
    tail: u16,
    /// Of each slot on loan, how many octets the kernel has told that it filled.
    filled: Box<[u32]>,
    /// Slots on loan: in the ring or in a completion not reaped yet.
    lent: usize,
    /// Octets to lend, as far as there are slots.
    wanted_bytes: usize,
}

impl Buffers {
    /// Registers a ring and fills it.
    pub(super) fn register(submitter: &Submitter<'_>, filling: Filling) -> io::Result<Self> {
        let slot_bytes = filling.slot_bytes();
        let slot_count = u16::try_from(POOL_BYTES / slot_bytes).expect("checked in limits");
        let pool = Pool::new(slot_count, slot_bytes)?;
        let entries = pool::map(ring_bytes(slot_count))?.cast();
        let mut buffers = Self {
            filling,
            pool,
            entries,
            entry_count: slot_count,
            tail: 0,
            filled: vec![0; usize::from(slot_count)].into(),
            lent: 0,
            wanted_bytes: LENT_BYTES_MIN,
        };
        let (address, flags) = (entries.as_ptr() as u64, filling.flags());
        // SAFETY:
        // - The memory is a page-aligned mapping of `slot_count` entries, all zero.
        // - It outlives the registration: `Buffers` is dropped after the ring (`Ring::drop`), or
        //   leaked; the kernel also keeps the pages.
        unsafe { submitter.register_buf_ring_with_flags(address, slot_count, GROUP, flags) }?;
        buffers.publish(0);
        Ok(buffers)
    }

    /// How receives fill slots.
    pub(super) fn filling(&self) -> Filling {
        self.filling
    }

    /// Slots pinned by received octets.
    pub(super) fn pinned_count(&self) -> usize {
        self.pool.pinned_count()
    }

    /// Whether a receive would find a buffer.
    pub(super) fn is_stocked(&self) -> bool {
        self.lent > 0
    }

    /// Tops up what the kernel may fill; `starved` connections got nothing since the last time.
    ///
    /// The kernel fills the ring's slots in turn, so that the whole pool in the ring would make every
    /// receive write memory that no cache holds. A few slots, those returned last, stay warm, and bound
    /// what one turn brings. Whoever goes short makes the number grow; it shrinks again slowly.
    pub(super) fn publish(&mut self, starved: usize) {
        let decayed = self.wanted_bytes - self.wanted_bytes / WANTED_DECAY;
        self.wanted_bytes = decayed.max(LENT_BYTES_MIN + starved * LENT_BYTES_PER_STARVED);
        let wanted = self.wanted_bytes / self.filling.slot_bytes();
        if self.pool.returned_count() == 0 || self.lent >= wanted {
            return;
        }
        while self.lent < wanted
            && let Some(slot) = self.pool.lend()
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
            self.filled[usize::from(slot)] = 0;
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

    /// What a completion says was received. Copies when slots run low.
    pub(super) fn received(&mut self, used: Used, count: usize) -> Octets {
        let Used { slot, is_more } = used;
        let filled = &mut self.filled[usize::from(slot)];
        let start = *filled as usize;
        *filled += u32::try_from(count).expect("within a slot");
        let octets = if self.pool.is_low() {
            self.pool.copy(slot, start, count)
        } else {
            self.pool.share(slot, start, count)
        };
        if !is_more {
            self.end_loan(slot);
        }
        octets
    }

    /// A completion named a slot into which nothing was received.
    pub(super) fn unused(&mut self, used: Used) {
        match self.filling {
            Filling::Single => self.end_loan(used.slot),
            // The kernel has not left it: there it moves on when a slot is full.
            Filling::Packed => {}
        }
    }

    fn end_loan(&mut self, slot: u16) {
        self.pool.end_loan(slot);
        self.lent -= 1;
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
