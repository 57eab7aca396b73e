//! Deadlines in a heap with lazy removal.
//!
//! ```text
//! arm(key, at, what)  push (at, sequence), remember it in the slot of key
//! cancel(key)         free the slot; the heap entry is skipped when it surfaces
//! deadline()           the earliest entry whose slot still remembers it
//! expired(now)        pop such entries with at <= now
//! ```
//!
//! Stale entries are dropped as they surface, and the heap is rebuilt when they outnumber the live
//! ones, so it holds at most `2 * live + REBUILD_MIN` entries.

use core::num::NonZeroU64;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::Instant;

const REBUILD_MIN: usize = 64;

/// Names an armed timer; stays harmless after the timer fired or was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimerKey {
    slot: u32,
    /// Never 0, so that an optional key takes no more room.
    sequence: NonZeroU64,
}

/// A set of deadlines, each with a value that says why it was set.
#[derive(Debug)]
pub struct TimerTable<T> {
    heap: BinaryHeap<Reverse<(Instant, u64, u32)>>,
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    sequence: u64,
    live: usize,
}

#[derive(Debug)]
struct Slot<T> {
    sequence: u64,
    value: Option<T>,
}

impl<T> Default for TimerTable<T> {
    fn default() -> Self {
        Self {
            heap: BinaryHeap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            sequence: 0,
            live: 0,
        }
    }
}

impl<T> TimerTable<T> {
    /// Timers armed and not yet fired or cancelled.
    #[must_use]
    pub fn count(&self) -> usize {
        self.live
    }

    /// Arms a timer for `at`. The caller bounds how many it keeps.
    ///
    /// # Panics
    ///
    /// With 2^32 timers armed at once.
    pub fn arm(&mut self, at: Instant, value: T) -> TimerKey {
        self.sequence += 1;
        self.live += 1;
        let entry = Slot {
            sequence: self.sequence,
            value: Some(value),
        };
        let slot = if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = entry;
            slot
        } else {
            self.slots.push(entry);
            u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 timers")
        };
        self.heap.push(Reverse((at, self.sequence, slot)));
        let sequence = NonZeroU64::new(self.sequence).expect("counted from 1");
        TimerKey { slot, sequence }
    }

    /// Disarms `key` and returns its value; `None` if it fired or was cancelled before.
    pub fn cancel(&mut self, key: TimerKey) -> Option<T> {
        let value = self.take(key.slot, key.sequence.get())?;
        if self.heap.len() > 2 * self.live + REBUILD_MIN {
            let slots = &self.slots;
            self.heap
                .retain(|Reverse((_, sequence, slot))| is_live(slots, *slot, *sequence));
        }
        Some(value)
    }

    /// The earliest deadline.
    pub fn deadline(&mut self) -> Option<Instant> {
        while let Some(&Reverse((at, sequence, slot))) = self.heap.peek() {
            if is_live(&self.slots, slot, sequence) {
                return Some(at);
            }
            self.heap.pop();
        }
        None
    }

    /// Removes and returns the earliest timer that is due at `now`.
    pub fn expired(&mut self, now: Instant) -> Option<T> {
        if self.deadline()? > now {
            return None;
        }
        let Reverse((_, sequence, slot)) = self.heap.pop()?;
        self.take(slot, sequence)
    }

    fn take(&mut self, slot: u32, sequence: u64) -> Option<T> {
        let entry = self
            .slots
            .get_mut(slot as usize)
            .filter(|s| s.sequence == sequence)?;
        let value = entry.value.take()?;
        self.free.push(slot);
        self.live -= 1;
        Some(value)
    }
}

fn is_live<T>(slots: &[Slot<T>], slot: u32, sequence: u64) -> bool {
    slots
        .get(slot as usize)
        .is_some_and(|s| s.sequence == sequence && s.value.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn timers_fire_in_order_of_deadline_then_of_arming() {
        let mut table = TimerTable::default();
        table.arm(at(20), "b");
        table.arm(at(10), "a");
        table.arm(at(20), "c");
        assert_eq!(table.deadline(), Some(at(10)));
        assert_eq!(table.expired(at(9)), None);
        let fired: Vec<_> = std::iter::from_fn(|| table.expired(at(20))).collect();
        assert_eq!(fired, ["a", "b", "c"]);
        assert_eq!(table.deadline(), None);
    }

    #[test]
    fn a_cancelled_timer_never_fires_and_its_key_goes_stale() {
        let mut table = TimerTable::default();
        let key = table.arm(at(1), 1);
        assert_eq!(table.cancel(key), Some(1));
        assert_eq!(table.cancel(key), None);
        let other = table.arm(at(2), 2);
        assert_eq!(
            table.cancel(key),
            None,
            "the slot now belongs to another timer"
        );
        assert_eq!(table.expired(at(5)), Some(2));
        assert_eq!(table.cancel(other), None);
    }

    #[test]
    fn cancelled_entries_do_not_pile_up() {
        let mut table = TimerTable::default();
        for i in 0..10_000 {
            let key = table.arm(at(i), i);
            table.cancel(key);
        }
        assert!(table.heap.len() <= REBUILD_MIN + 1);
        assert_eq!(table.count(), 0);
    }
}
