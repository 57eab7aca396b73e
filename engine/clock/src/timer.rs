//! Deadlines in wheels: arming and cancelling take the same time however many there are.
//!
//! ```text
//! horizon     a tick (about a millisecond). What is due in it or before lies in a heap, in exact order.
//! wheels      what is due later: 8 of 64 places. A deadline is on the wheel of the highest six bits in which its
//!             tick differs from the horizon, at the place that these bits name, in a list without order.
//! deadline()  with an empty heap the horizon moves to the first place that is taken; what is there goes to the
//!             heap if it is due in that very tick, else to lower wheels. A deadline moves 8 times at most.
//! ```
//!
//! The horizon follows what is armed, not the clock: timers fire in the order of their deadlines, then in that in which
//! they were armed, whenever somebody looks.

use core::num::NonZeroU64;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::Instant;

/// Nanoseconds of a tick, as a power of 2.
const TICK_BITS: usize = 20;

/// Places of a wheel, as a power of 2.
const PLACE_BITS: usize = 6;

const PLACES: usize = 1 << PLACE_BITS;

/// Enough for every instant.
const WHEELS: usize = (u64::BITS as usize - TICK_BITS).div_ceil(PLACE_BITS);

/// Cancelled entries of the heap that are let be, beyond as many as live ones.
const STALE_MAX: usize = 64;

/// The end of a list.
const NONE: u32 = u32::MAX;

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
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    sequence: u64,
    horizon: u64,
    heap: BinaryHeap<Reverse<(Instant, u64, u32)>>,
    /// Entries of the heap that are still armed.
    in_heap: usize,
    wheels: [Wheel; WHEELS],
}

#[derive(Debug)]
struct Slot<T> {
    at: Instant,
    sequence: u64,
    /// `None` while nothing is armed here.
    value: Option<T>,
    before: u32,
    after: u32,
}

#[derive(Clone, Copy, Debug)]
struct Wheel {
    /// A bit for each place with a list.
    taken: u64,
    heads: [u32; PLACES],
}

impl<T> Default for TimerTable<T> {
    fn default() -> Self {
        let wheel = Wheel {
            taken: 0,
            heads: [NONE; PLACES],
        };
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            sequence: 0,
            horizon: 0,
            heap: BinaryHeap::new(),
            in_heap: 0,
            wheels: [wheel; WHEELS],
        }
    }
}

impl<T> TimerTable<T> {
    /// Timers armed and not yet fired or cancelled.
    #[must_use]
    pub fn count(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Arms a timer for `at`. The caller bounds how many it keeps.
    ///
    /// # Panics
    ///
    /// With 2^32 - 1 timers armed at once.
    pub fn arm(&mut self, at: Instant, value: T) -> TimerKey {
        self.sequence += 1;
        let entry = Slot {
            at,
            sequence: self.sequence,
            value: Some(value),
            before: NONE,
            after: NONE,
        };
        let slot = if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = entry;
            slot
        } else {
            self.slots.push(entry);
            let slot = u32::try_from(self.slots.len() - 1).ok();
            slot.filter(|s| *s != NONE).expect("fewer than 2^32 timers")
        };
        self.put(slot);
        let sequence = NonZeroU64::new(self.sequence).expect("counted from 1");
        TimerKey { slot, sequence }
    }

    /// Disarms `key` and returns its value; `None` if it fired or was cancelled before.
    pub fn cancel(&mut self, key: TimerKey) -> Option<T> {
        if !is_armed(&self.slots, key.slot, key.sequence.get()) {
            return None;
        }
        if let Some(place) = place_of(self.slots[key.slot as usize].at, self.horizon) {
            self.unlink(key.slot, place);
            return self.vacate(key.slot);
        }
        self.in_heap -= 1;
        let value = self.vacate(key.slot);
        if self.heap.len() > 2 * self.in_heap + STALE_MAX {
            let slots = &self.slots;
            self.heap
                .retain(|Reverse((_, sequence, slot))| is_armed(slots, *slot, *sequence));
        }
        value
    }

    /// The earliest deadline.
    pub fn deadline(&mut self) -> Option<Instant> {
        loop {
            while let Some(&Reverse((at, sequence, slot))) = self.heap.peek() {
                if is_armed(&self.slots, slot, sequence) {
                    return Some(at);
                }
                self.heap.pop();
            }
            self.move_horizon()?;
        }
    }

    /// Removes and returns the earliest timer that is due at `now`.
    pub fn expired(&mut self, now: Instant) -> Option<T> {
        if self.deadline()? > now {
            return None;
        }
        let Reverse((.., slot)) = self.heap.pop()?;
        self.in_heap -= 1;
        self.vacate(slot)
    }

    /// Puts an armed timer where it belongs.
    fn put(&mut self, slot: u32) {
        let entry = &mut self.slots[slot as usize];
        let Some((number, place)) = place_of(entry.at, self.horizon) else {
            self.heap.push(Reverse((entry.at, entry.sequence, slot)));
            self.in_heap += 1;
            return;
        };
        let wheel = &mut self.wheels[number];
        let after = core::mem::replace(&mut wheel.heads[place], slot);
        wheel.taken |= 1 << place;
        (entry.before, entry.after) = (NONE, after);
        if let Some(after) = self.slots.get_mut(after as usize) {
            after.before = slot;
        }
    }

    /// Takes a timer off its list.
    fn unlink(&mut self, slot: u32, (number, place): (usize, usize)) {
        let Slot { before, after, .. } = self.slots[slot as usize];
        if let Some(after) = self.slots.get_mut(after as usize) {
            after.before = before;
        }
        if let Some(before) = self.slots.get_mut(before as usize) {
            before.after = after;
            return;
        }
        let wheel = &mut self.wheels[number];
        wheel.heads[place] = after;
        if after == NONE {
            wheel.taken &= !(1 << place);
        }
    }

    /// Moves the horizon to the first place that is taken; `None` if there is none.
    fn move_horizon(&mut self) -> Option<()> {
        // Whatever is on a lower wheel is due before all on a higher one, since it shares more with the horizon.
        let number = self.wheels.iter().position(|wheel| wheel.taken != 0)?;
        let wheel = &mut self.wheels[number];
        let place = wheel.taken.trailing_zeros() as usize;
        wheel.taken &= !(1 << place);
        let mut next = core::mem::replace(&mut wheel.heads[place], NONE);
        let below = number * PLACE_BITS;
        let same = (self.horizon >> (below + PLACE_BITS)) << PLACE_BITS;
        self.horizon = (same | place as u64) << below;
        while let Some(entry) = self.slots.get(next as usize) {
            let slot = core::mem::replace(&mut next, entry.after);
            self.put(slot);
        }
        Some(())
    }

    fn vacate(&mut self, slot: u32) -> Option<T> {
        self.free.push(slot);
        self.slots[slot as usize].value.take()
    }
}

/// The wheel for a deadline and the place there, `None` for the heap. It stays the same until the horizon comes to it.
fn place_of(at: Instant, horizon: u64) -> Option<(usize, usize)> {
    let tick = at.as_nanos() >> TICK_BITS;
    let number = (tick > horizon).then(|| (tick ^ horizon).ilog2() as usize / PLACE_BITS)?;
    Some((
        number,
        (tick >> (number * PLACE_BITS)) as usize & (PLACES - 1),
    ))
}

fn is_armed<T>(slots: &[Slot<T>], slot: u32, sequence: u64) -> bool {
    slots
        .get(slot as usize)
        .is_some_and(|s| s.sequence == sequence && s.value.is_some())
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

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
        assert!(table.heap.len() <= STALE_MAX + 1);
        assert_eq!(table.count(), 0);
    }

    #[test]
    fn every_instant_has_a_place() {
        let mut table = TimerTable::default();
        for bits in (0..u64::BITS).rev() {
            table.arm(at(1 << bits), bits);
        }
        table.arm(Instant::MAX, u64::BITS);
        let fired: Vec<_> = std::iter::from_fn(|| table.expired(Instant::MAX)).collect();
        assert_eq!(fired, Vec::from_iter(0..=u64::BITS));
    }

    #[derive(Clone, Debug)]
    enum Step {
        /// After the time that has come, nanoseconds.
        Arm(u64),
        /// One of those armed so far.
        Cancel(usize),
        Look,
        /// By nanoseconds.
        Pass(u64),
    }

    fn span() -> impl Strategy<Value = u64> {
        (0..48_u32, any::<u64>()).prop_map(|(bits, random)| random & ((1 << bits) - 1))
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => span().prop_map(Step::Arm),
            2 => any::<usize>().prop_map(Step::Cancel),
            1 => Just(Step::Look),
            2 => span().prop_map(Step::Pass),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

        #[test]
        fn a_table_is_a_sorted_list(steps in vec(step(), 0..200)) {
            let mut table = TimerTable::default();
            let mut model = std::collections::BTreeMap::new();
            let mut keys = Vec::new();
            let mut now = Instant::ZERO;
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Arm(nanos) => {
                        let due = now + core::time::Duration::from_nanos(nanos);
                        keys.push((table.arm(due, number), (due, number)));
                        model.insert((due, number), ());
                    }
                    Step::Cancel(which) if !keys.is_empty() => {
                        let (key, entry) = keys[which % keys.len()];
                        let gone = model.remove(&entry).map(|()| entry.1);
                        prop_assert_eq!(table.cancel(key), gone);
                    }
                    Step::Cancel(_) => {}
                    Step::Look => {
                        let first = model.keys().next().map(|(due, _)| *due);
                        prop_assert_eq!(table.deadline(), first);
                    }
                    Step::Pass(nanos) => {
                        now += core::time::Duration::from_nanos(nanos);
                        while let Some(fired) = table.expired(now) {
                            let first = model.pop_first().map(|((due, number), ())| (due, number));
                            prop_assert_eq!(first.map(|f| f.1), Some(fired));
                            prop_assert!(first.is_some_and(|f| f.0 <= now));
                        }
                        let first = model.keys().next();
                        prop_assert!(first.is_none_or(|(due, _)| *due > now));
                    }
                }
                prop_assert_eq!(table.count(), model.len());
            }
        }
    }
}
