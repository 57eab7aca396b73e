//! What connections write with: spare batches, and the letters of a turn.
//!
//! A letter is a whole short copy, less what differs per recipient. It is put together once; each
//! recipient's connection only notes that it is due, and the octets are written when its batch is about
//! to leave, or something else has to follow them. So a batch is written in one go and, where the
//! system takes it at once, leaves from memory that is still warm:
//!
//! ```text
//! message 1 ─► due of a, b, c …      a leaves: 1, 2, 3 written into a spare batch, sent, spare again
//! message 2 ─► due of a, b, c …      b leaves: 1, 2, 3 written into the same one
//! ```
//!
//! **Invariant:** no connection has anything due when a turn's outputs are drawn.

use std::rc::Rc;

use msrp::Flag;

use crate::batch::Batch;
use crate::ident::{Stem, TID_CHARS, delivery_id};
use crate::limits::{BATCH_POOL_MAX, LETTER_BYTES_KEEP};

/// See the module.
#[derive(Debug)]
pub(crate) struct Supply<B> {
    batches: Vec<Batch<B>>,
    /// Of all letters, in order.
    text: Vec<u8>,
    letters: Vec<Letter>,
    /// Lists of connections that had something due, for their allocations.
    lists: Vec<Vec<Due>>,
}

/// A position in the list of a turn's letters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LetterRef(u32);

#[derive(Debug)]
struct Letter {
    stem: Stem,
    flag: Flag,
    start: usize,
    end: usize,
}

/// A copy of a letter that one recipient is to get.
#[derive(Debug)]
pub(crate) struct Due {
    pub letter: LetterRef,
    pub ordinal: u16,
    pub chunk: u16,
    /// See [`crate::session::Session::paths`].
    pub paths: Rc<[u8]>,
}

impl<B> Default for Supply<B> {
    fn default() -> Self {
        Self {
            batches: Vec::new(),
            text: Vec::new(),
            letters: Vec::new(),
            lists: Vec::new(),
        }
    }
}

impl<B> Supply<B> {
    /// Writes a letter: what stands between the paths of its copies and their end-lines.
    pub(crate) fn write_letter(
        &mut self,
        stem: Stem,
        flag: Flag,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> LetterRef {
        let start = self.text.len();
        write(&mut self.text);
        let letter = LetterRef(u32::try_from(self.letters.len()).expect("a turn is bounded"));
        self.letters.push(Letter {
            stem,
            flag,
            start,
            end: self.text.len(),
        });
        letter
    }

    /// Length of a copy, octets.
    pub(crate) fn copy_bytes(&self, due: &Due) -> usize {
        let letter = self.letter(due.letter);
        let ends = msrp::write::send_line_bytes(TID_CHARS) + msrp::write::end_line_bytes(TID_CHARS);
        ends + due.paths.len() + letter.end - letter.start
    }

    /// Writes a copy.
    pub(crate) fn write_copy(&self, due: &Due, out: &mut Vec<u8>) {
        let letter = self.letter(due.letter);
        let id = delivery_id(&letter.stem, due.ordinal, due.chunk);
        msrp::write::send_line(out, &id);
        out.extend_from_slice(&due.paths);
        out.extend_from_slice(&self.text[letter.start..letter.end]);
        msrp::write::end_line(out, &id, letter.flag);
    }

    fn letter(&self, letter: LetterRef) -> &Letter {
        &self.letters[letter.0 as usize]
    }

    /// Forgets all letters; nothing is due any more.
    pub(crate) fn end_turn(&mut self) {
        self.letters.clear();
        self.text.clear();
        self.text.shrink_to(LETTER_BYTES_KEEP);
    }

    pub(crate) fn take_list(&mut self) -> Vec<Due> {
        self.lists.pop().unwrap_or_default()
    }

    pub(crate) fn keep_list(&mut self, mut list: Vec<Due>) {
        if self.lists.len() < BATCH_POOL_MAX {
            list.clear();
            self.lists.push(list);
        }
    }
}

impl<B: Clone + AsRef<[u8]>> Supply<B> {
    /// A batch to fill; the one that was spent last.
    pub(crate) fn take_batch(&mut self) -> Batch<B> {
        self.batches.pop().unwrap_or_default()
    }

    /// Keeps a spent batch.
    pub(crate) fn keep_batch(&mut self, mut batch: Batch<B>) {
        batch.clear();
        if self.batches.len() < BATCH_POOL_MAX {
            self.batches.push(batch);
        }
    }
}
