//! Octets on their way to one connection: small things copied, large bodies referenced.

use core::ops::Range;

use crate::limits::{BATCH_RESERVE_KEEP_BYTES, COPY_BYTES_MAX};

/// What one gathering send hands to the system.
///
/// While the shard fills it nobody looks; once lent to the reactor nobody changes it, so the
/// kernel may read it in place.
#[derive(Debug)]
pub struct Batch<B> {
    copied: Vec<u8>,
    parts: Vec<Part<B>>,
    octets: usize,
}

#[derive(Debug)]
enum Part<B> {
    /// A range of `copied`.
    Copied(Range<usize>),
    /// A range of received octets.
    Shared(B, Range<usize>),
}

impl<B> Default for Batch<B> {
    fn default() -> Self {
        Self {
            copied: Vec::new(),
            parts: Vec::new(),
            octets: 0,
        }
    }
}

impl<B: AsRef<[u8]> + Clone> Batch<B> {
    /// Octets in all.
    #[must_use]
    pub fn octet_count(&self) -> usize {
        self.octets
    }

    /// Contiguous runs in all: the number of iovecs a gathering send needs.
    #[must_use]
    pub fn part_count(&self) -> usize {
        self.parts.len()
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.octets == 0
    }

    /// The runs in order; none is empty.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        self.parts.iter().map(|part| match part {
            Part::Copied(range) => &self.copied[range.clone()],
            Part::Shared(octets, range) => &octets.as_ref()[range.clone()],
        })
    }

    /// Appends by letting `write` add to the copied octets.
    pub fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.copied.len();
        write(&mut self.copied);
        let end = self.copied.len();
        debug_assert!(end >= start, "writers only append");
        if end == start {
            return;
        }
        self.octets += end - start;
        match self.parts.last_mut() {
            Some(Part::Copied(last)) => last.end = end,
            Some(Part::Shared(..)) | None => self.parts.push(Part::Copied(start..end)),
        }
    }

    /// Appends a range of received octets: copied when short, referenced when copying would cost
    /// more than another iovec.
    pub fn push(&mut self, octets: &B, range: Range<usize>) {
        if range.len() <= COPY_BYTES_MAX {
            self.write(|copied| copied.extend_from_slice(&octets.as_ref()[range]));
        } else {
            self.octets += range.len();
            self.parts.push(Part::Shared(octets.clone(), range));
        }
    }

    /// Appends a range of received octets by copying, whatever its length, so that the receive
    /// buffer is not pinned by a slow recipient.
    pub fn push_copied(&mut self, octets: &[u8]) {
        self.write(|copied| copied.extend_from_slice(octets));
    }

    /// Empties it for reuse; a large allocation is given back.
    pub fn clear(&mut self) {
        self.parts.clear();
        self.copied.clear();
        self.copied.shrink_to(BATCH_RESERVE_KEEP_BYTES);
        self.octets = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn small_pieces_join_and_large_ones_are_shared() {
        let received: Rc<[u8]> = vec![7; 2 * COPY_BYTES_MAX].into();
        let mut batch = Batch::default();
        batch.write(|out| out.extend_from_slice(b"head"));
        batch.push(&received, 0..10);
        batch.push(&received, 0..COPY_BYTES_MAX + 1);
        batch.write(|out| out.extend_from_slice(b"tail"));
        let lengths: Vec<_> = batch.slices().map(<[u8]>::len).collect();
        assert_eq!(lengths, [14, COPY_BYTES_MAX + 1, 4]);
        assert_eq!(batch.octet_count(), 14 + COPY_BYTES_MAX + 1 + 4);
        assert_eq!(Rc::strong_count(&received), 2);
        batch.clear();
        assert_eq!(Rc::strong_count(&received), 1);
        assert!(batch.is_empty());
    }

    #[test]
    fn writing_nothing_adds_no_part() {
        let mut batch = Batch::<Rc<[u8]>>::default();
        batch.write(|_| ());
        assert_eq!(batch.part_count(), 0);
    }
}
