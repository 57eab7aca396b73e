//! Octets on their way to one connection: small things copied, large bodies referenced.

use core::ops::Range;

use crate::limits::{BATCH_BLOCK_BYTES, BATCH_BLOCKS_KEEP, COPY_BYTES_MAX, PRINTS_MAX};
use crate::supply::{Due, LetterRef};

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
    prints: Prints,
}

/// The copies of letters in a batch.
#[derive(Debug, Default)]
struct Prints {
    /// In which turn they were written: the letters are known as long as it lasts.
    turn: u64,
    list: Vec<Print>,
    /// Of all together.
    octets: usize,
}

/// Where a copy of a letter stands.
#[derive(Debug)]
struct Print {
    letter: LetterRef,
    opening_bytes: u32,
    block: u32,
    start: u32,
    end: u32,
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
            prints: Prints::default(),
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
            prints: Prints::default(),
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

    /// Appends a copy of a letter, which is `text` behind the opening. What differs per copy, `finish`
    /// writes over it.
    #[inline]
    pub(crate) fn print(
        &mut self,
        turn: u64,
        due: &Due,
        text: &[u8],
        finish: impl FnOnce(&mut [u8]),
    ) {
        let bytes = due.opening.len() + text.len();
        self.write_run(bytes, |out| {
            let at = out.len();
            out.extend_from_slice(&due.opening);
            out.extend_from_slice(text);
            finish(&mut out[at..]);
        });
        self.end_message();
        let prints = &mut self.prints;
        if prints.turn != turn {
            (prints.turn, prints.octets) = (turn, 0);
            prints.list.clear();
        }
        if prints.list.len() == PRINTS_MAX {
            return;
        }
        prints.octets += bytes;
        let narrow = |value: usize| u32::try_from(value).expect("a batch is below 4 GiB");
        let end = narrow(self.blocks[self.filling].len());
        prints.list.push(Print {
            letter: due.letter,
            opening_bytes: narrow(due.opening.len()),
            block: narrow(self.filling),
            start: end - narrow(bytes),
            end,
        });
    }

    /// Whether it holds nothing but copies of letters of this turn.
    pub(crate) fn is_printed(&self, turn: u64) -> bool {
        self.prints.turn == turn && self.octets == self.prints.octets && self.octets > 0
    }

    /// Whether these copies would lie as those do that it holds.
    pub(crate) fn is_alike(&self, dues: &[Due]) -> bool {
        let prints = &self.prints.list;
        prints.len() == dues.len()
            && prints.iter().zip(dues).all(|(print, due)| {
                print.letter == due.letter && print.opening_bytes as usize == due.opening.len()
            })
    }

    /// Makes those of one recipient out of the copies for another, which are alike: `finish` gets each
    /// with the opening it begins with.
    pub(crate) fn reprint(&mut self, dues: &[Due], finish: impl Fn(&Due, &mut [u8])) {
        for (print, due) in self.prints.list.iter().zip(dues) {
            let block = &mut self.blocks[print.block as usize];
            let copy = &mut block[print.start as usize..print.end as usize];
            copy[..due.opening.len()].copy_from_slice(&due.opening);
            finish(due, copy);
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
        self.prints.list.clear();
        self.prints.octets = 0;
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
