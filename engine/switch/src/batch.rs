//! Octets on their way to one connection: small things copied, large bodies referenced.

use core::ops::Range;

use crate::limits::{BATCH_BLOCK_BYTES, BATCH_BLOCKS_KEEP, COPY_BYTES_MAX};

/// What one gathering send hands to the system.
///
/// While the shard fills it nobody looks; once lent to the reactor nobody changes it, so the
/// kernel may read it in place.
#[derive(Debug)]
pub struct Batch<B> {
    /// Copied octets. A block is left when it is full, not grown: what is written is never moved, and
    /// the allocator is not asked for ever larger pieces.
    blocks: Vec<Vec<u8>>,
    /// The block being filled; those behind it are empty.
    filling: usize,
    parts: Vec<Part<B>>,
    octets: usize,
    /// Octets up to the end of each chunk, for transports that carry messages.
    ends: Vec<usize>,
}

#[derive(Debug)]
enum Part<B> {
    /// A range of a block.
    Copied(usize, Range<usize>),
    /// A range of received octets.
    Shared(B, Range<usize>),
}

impl<B> Default for Batch<B> {
    fn default() -> Self {
        Self {
            blocks: Vec::new(),
            filling: 0,
            parts: Vec::new(),
            octets: 0,
            ends: Vec::new(),
        }
    }
}

impl<B> From<Vec<u8>> for Batch<B> {
    fn from(copied: Vec<u8>) -> Self {
        Self::from(vec![copied])
    }
}

impl<B> From<Vec<Vec<u8>>> for Batch<B> {
    fn from(blocks: Vec<Vec<u8>>) -> Self {
        let filled = blocks.iter().enumerate().filter(|(_, b)| !b.is_empty());
        Self {
            parts: filled
                .map(|(at, block)| Part::Copied(at, 0..block.len()))
                .collect(),
            octets: blocks.iter().map(Vec::len).sum(),
            filling: blocks.len().saturating_sub(1),
            blocks,
            ends: Vec::new(),
        }
    }
}

impl<B> Batch<B> {
    /// The blocks of copied octets: all that [`From`] was given.
    #[must_use]
    pub fn into_blocks(self) -> Vec<Vec<u8>> {
        self.blocks
    }

    /// The first of them.
    #[must_use]
    pub fn into_copied(self) -> Vec<u8> {
        self.blocks.into_iter().next().unwrap_or_default()
    }
}

impl<B: AsRef<[u8]> + Clone> Batch<B> {
    /// Octets in all.
    #[must_use]
    #[inline]
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

    /// Notes that a chunk ends here: a transport that carries messages sends it as one.
    pub fn end_message(&mut self) {
        self.ends.push(self.octets);
    }

    /// Octets up to the end of each chunk, ascending. What follows the last belongs to a chunk that
    /// goes on in the next batch.
    #[must_use]
    pub fn message_ends(&self) -> &[usize] {
        &self.ends
    }

    /// The runs in order; none is empty.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        self.parts.iter().map(|part| match part {
            Part::Copied(block, range) => &self.blocks[*block][range.clone()],
            Part::Shared(octets, range) => &octets.as_ref()[range.clone()],
        })
    }

    /// Appends by letting `write` add to the copied octets.
    pub fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.write_run(0, write);
    }

    /// The same for about `count` octets, which are to lie in one run.
    #[inline]
    pub(crate) fn write_run(&mut self, count: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let block = self.block(count);
        let start = self.blocks[block].len();
        write(&mut self.blocks[block]);
        let end = self.blocks[block].len();
        debug_assert!(end >= start, "writers only append");
        if end == start {
            return;
        }
        self.octets += end - start;
        match self.parts.last_mut() {
            Some(Part::Copied(last, range)) if *last == block => range.end = end,
            Some(Part::Copied(..) | Part::Shared(..)) | None => {
                self.parts.push(Part::Copied(block, start..end));
            }
        }
    }

    /// The block to append `count` octets to, by its position.
    #[inline]
    fn block(&mut self, count: usize) -> usize {
        match self.blocks.get(self.filling) {
            None => self.blocks.push(Vec::new()),
            Some(block) if block.is_empty() || block.len() + count < BATCH_BLOCK_BYTES => {}
            Some(_) => {
                self.filling += 1;
                if self.filling == self.blocks.len() {
                    self.blocks.push(Vec::with_capacity(BATCH_BLOCK_BYTES));
                }
            }
        }
        self.filling
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
        for piece in octets.chunks(BATCH_BLOCK_BYTES) {
            self.write_run(piece.len(), |copied| copied.extend_from_slice(piece));
        }
    }

    /// Empties it for reuse; most of a large allocation is given back.
    pub fn clear(&mut self) {
        self.parts.clear();
        self.blocks.truncate(BATCH_BLOCKS_KEEP);
        for block in &mut self.blocks {
            block.clear();
            // What is written last may have made it somewhat larger.
            if block.capacity() > 2 * BATCH_BLOCK_BYTES {
                block.shrink_to(BATCH_BLOCK_BYTES);
            }
        }
        self.filling = 0;
        self.octets = 0;
        self.ends.clear();
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
