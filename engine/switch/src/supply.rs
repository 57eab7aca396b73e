//! What connections write with: spare batches, and the letters of a turn.
//!
//! A letter is a whole short copy behind its opening, which differs per recipient. It is put together once; each
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
use crate::connection::Queue;
use crate::ident::{Stem, delivery_id};
use crate::limits::{BATCH_POOL_MAX, LETTER_BYTES_KEEP};

/// See the module.
#[derive(Debug)]
pub(crate) struct Supply<B> {
    batches: Vec<Batch<B>>,
    /// Of all letters, in order.
    text: Vec<u8>,
    letters: Vec<Letter>,
    /// Of connections that have nothing queued any more, for their allocations.
    #[expect(
        clippy::vec_box,
        reason = "a connection takes the box itself, not a copy of it"
    )]
    queues: Vec<Box<Queue<B>>>,
}

/// A position in the list of a turn's letters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LetterRef(u32);

#[derive(Debug)]
struct Letter {
    stem: Stem,
    /// Its place in the text: what follows the opening of a copy, with an end-line whose id differs.
    start: usize,
    end: usize,
}

/// A copy of a letter that one recipient is to get.
#[derive(Debug)]
pub(crate) struct Due {
    pub letter: LetterRef,
    pub ordinal: u16,
    pub chunk: u16,
    /// See [`crate::session::Session::opening`].
    pub opening: Rc<[u8]>,
}

impl<B> Default for Supply<B> {
    fn default() -> Self {
        Self {
            batches: Vec::new(),
            text: Vec::new(),
            letters: Vec::new(),
            queues: Vec::new(),
        }
    }
}

impl<B> Supply<B> {
    /// Writes a letter, of which `write` writes what stands between the paths of its copies and their
    /// end-lines. Returns its length, too, without an opening.
    pub(crate) fn write_letter(
        &mut self,
        stem: Stem,
        flag: Flag,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> (LetterRef, usize) {
        let start = self.text.len();
        write(&mut self.text);
        msrp::write::end_line(&mut self.text, &delivery_id(&stem, 0, 0), flag);
        let end = self.text.len();
        let letter = LetterRef(u32::try_from(self.letters.len()).expect("a turn is bounded"));
        self.letters.push(Letter { stem, start, end });
        (letter, end - start)
    }

    /// Forgets all letters; nothing is due any more.
    pub(crate) fn end_turn(&mut self) {
        self.letters.clear();
        self.text.clear();
        self.text.shrink_to(LETTER_BYTES_KEEP);
    }

    /// An empty queue.
    pub(crate) fn take_queue(&mut self) -> Box<Queue<B>> {
        self.queues.pop().unwrap_or_default()
    }

    /// Keeps an empty queue.
    pub(crate) fn keep_queue(&mut self, queue: Box<Queue<B>>) {
        if self.queues.len() < BATCH_POOL_MAX {
            self.queues.push(queue);
        }
    }
}

impl<B: Clone + AsRef<[u8]>> Supply<B> {
    /// Writes a copy.
    pub(crate) fn write_copy(&self, due: &Due, batch: &mut Batch<B>) {
        let Letter { stem, start, end } = &self.letters[due.letter.0 as usize];
        let text = &self.text[*start..*end];
        let id = delivery_id(stem, due.ordinal, due.chunk);
        batch.write_run(due.opening.len() + text.len(), |out| {
            let at = out.len();
            out.extend_from_slice(&due.opening);
            out.extend_from_slice(text);
            let copy = &mut out[at..];
            msrp::write::rename_send_line(copy, &id);
            msrp::write::rename_end_line(copy, &id);
        });
        batch.end_message();
    }

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
