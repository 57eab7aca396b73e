//! What connections write with: spare batches, and the letters of a turn.
//!
//! A letter is a whole short copy behind its opening, which differs per recipient. It is put together once; each
//! recipient's connection only notes that it is due, and the octets are written when its batch is about
//! to leave, or something else has to follow them. So a batch is written in one go and, where the
//! system takes it at once, leaves from memory that is still warm:
//!
//! ```text
//! message 1 ─► due of a, b, c …      a leaves: 1, 2, 3 written into a spare batch, sent, spare again
//! message 2 ─► due of a, b, c …      b leaves: 1, 2, 3 made of those of a, in the same one
//! ```
//!
//! The copies of two recipients differ in their openings and ids alone. So when b is to get what a got, and
//! its opening is as long, only these are written: the rest stands there already.
//!
//! **Invariant:** no connection has anything due when a turn's outputs are drawn.

use std::rc::Rc;

use msrp::Flag;

use crate::batch::Batch;
use crate::connection::Queue;
use crate::ident::{Stem, delivery_id};
use crate::limits::{BATCH_POOL_MAX, LETTER_BYTES_KEEP, LONG_LETTER_BYTES};

/// See the module.
#[derive(Debug)]
pub(crate) struct Supply<B> {
    batches: Vec<Batch<B>>,
    /// The batch that was spent last, with the copies it held, if these are letters of this turn alone.
    printed: Option<Batch<B>>,
    /// Turns that have ended.
    turn: u64,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LetterRef(u32);

impl LetterRef {
    /// So many that were written one behind the other, from this one on.
    pub(crate) fn and_next(self, count: usize) -> impl Iterator<Item = Self> {
        (self.0..).take(count).map(Self)
    }
}

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
            printed: None,
            turn: 0,
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

    /// Whether the letters of this turn are so long that it matters from what their copies are made.
    pub(crate) fn has_long_letters(&self) -> bool {
        self.text.len() > self.letters.len() * LONG_LETTER_BYTES
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
    /// Forgets all letters; nothing is due any more.
    pub(crate) fn end_turn(&mut self) {
        self.letters.clear();
        self.text.clear();
        self.text.shrink_to(LETTER_BYTES_KEEP);
        self.turn += 1;
        if let Some(batch) = self.printed.take() {
            self.keep_batch(batch);
        }
    }

    /// A batch that holds these copies and nothing else.
    pub(crate) fn print(&mut self, dues: &[Due]) -> Batch<B> {
        match self.printed.take_if(|printed| printed.is_alike(dues)) {
            Some(mut batch) => {
                batch.reprint(dues, |due, copy| self.address(due, copy));
                batch
            }
            None => {
                let mut batch = self.take_batch();
                self.append(dues, &mut batch);
                batch
            }
        }
    }

    /// Appends copies.
    pub(crate) fn append(&self, dues: &[Due], batch: &mut Batch<B>) {
        for due in dues {
            let letter = &self.letters[due.letter.0 as usize];
            let text = &self.text[letter.start..letter.end];
            batch.print(self.turn, due, text, |copy| self.address(due, copy));
        }
    }

    /// Writes the ids of a copy.
    #[inline]
    fn address(&self, due: &Due, copy: &mut [u8]) {
        let stem = &self.letters[due.letter.0 as usize].stem;
        let id = delivery_id(stem, due.ordinal, due.chunk);
        msrp::write::rename_send_line(copy, &id);
        msrp::write::rename_end_line(copy, &id);
    }

    /// A batch to fill; the one that was spent last.
    pub(crate) fn take_batch(&mut self) -> Batch<B> {
        match self.printed.take() {
            Some(mut batch) => {
                batch.clear();
                batch
            }
            None => self.batches.pop().unwrap_or_default(),
        }
    }

    /// Keeps a spent batch.
    pub(crate) fn keep_batch(&mut self, mut batch: Batch<B>) {
        if batch.is_printed(self.turn) {
            match self.printed.replace(batch) {
                Some(older) => batch = older,
                None => return,
            }
        }
        batch.clear();
        if self.batches.len() < BATCH_POOL_MAX {
            self.batches.push(batch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::PRINTS_MAX;

    type TestBatch = Batch<Rc<[u8]>>;

    fn opening(to: &str) -> Rc<[u8]> {
        let id = delivery_id(&Stem::new(0, 0, 0), 0, 0);
        let mut text = Vec::new();
        msrp::write::send_start(&mut text, &id, to.as_bytes(), b"msrp://h:1/s;tcp");
        text.into()
    }

    fn letters(supply: &mut Supply<Rc<[u8]>>, count: u32) -> Vec<LetterRef> {
        let letter = |slot| {
            let stem = Stem::new(7, slot, 1);
            let text = format!("Message-ID: m{slot:0>9}\r\n\r\nbody of {slot}\r\n");
            let write = |out: &mut Vec<u8>| out.extend_from_slice(text.as_bytes());
            supply.write_letter(stem, Flag::Complete, write).0
        };
        (0..count).map(letter).collect()
    }

    fn dues(letters: &[LetterRef], to: &str, ordinal: u16) -> Vec<Due> {
        let opening = opening(to);
        let due = |letter: &LetterRef| Due {
            letter: *letter,
            ordinal,
            chunk: 3,
            opening: Rc::clone(&opening),
        };
        letters.iter().map(due).collect()
    }

    fn text(batch: &TestBatch) -> Vec<u8> {
        batch.slices().flatten().copied().collect()
    }

    /// Prints what is due and keeps the batch, as if it had left at once; what it held, and whether that was
    /// made out of the copies before.
    fn send(supply: &mut Supply<Rc<[u8]>>, dues: &[Due]) -> (Vec<u8>, bool) {
        let is_alike = supply.printed.as_ref().is_some_and(|p| p.is_alike(dues));
        let batch = supply.print(dues);
        let mut anew = TestBatch::default();
        supply.append(dues, &mut anew);
        assert_eq!(text(&batch), text(&anew));
        assert_eq!(batch.message_ends(), anew.message_ends());
        assert_eq!(batch.octet_count(), anew.octet_count());
        let text = text(&batch);
        supply.keep_batch(batch);
        (text, is_alike)
    }

    #[test]
    fn copies_for_one_become_those_for_the_next_if_they_are_alike() {
        let mut supply = Supply::default();
        // Enough of them for several blocks.
        let all = letters(&mut supply, 1000);
        let (a, is_alike) = send(&mut supply, &dues(&all, "msrp://a:1/x;tcp", 1));
        assert!(!is_alike);
        let (b, is_alike) = send(&mut supply, &dues(&all, "msrp://b:2/y;tcp", 2));
        assert!(is_alike && a != b && a.len() == b.len());
        let (again, is_alike) = send(&mut supply, &dues(&all, "msrp://a:1/x;tcp", 1));
        assert!(is_alike && again == a);
        for other in [
            dues(&all, "msrp://longer:1/x;tcp", 3),
            dues(&all[1..], "msrp://a:1/x;tcp", 3),
            dues(&all[..all.len() - 1], "msrp://a:1/x;tcp", 3),
        ] {
            assert!(!send(&mut supply, &other).1);
        }
    }

    #[test]
    fn what_holds_anything_else_or_is_of_another_turn_is_no_pattern() {
        let mut supply = Supply::default();
        let all = letters(&mut supply, 3);
        let due = dues(&all, "msrp://a:1/x;tcp", 1);
        let mut batch = supply.print(&due);
        batch.write(|out| out.extend_from_slice(b"more"));
        supply.keep_batch(batch);
        assert!(!send(&mut supply, &due).1);
        let kept = supply.print(&due);
        supply.end_turn();
        let all = letters(&mut supply, 3);
        supply.keep_batch(kept);
        let due = dues(&all, "msrp://a:1/x;tcp", 1);
        assert!(!send(&mut supply, &due).1);
        supply.end_turn();
        assert!(supply.printed.is_none() && supply.batches.len() <= 2);
    }

    #[test]
    fn a_batch_of_very_many_copies_is_no_pattern() {
        let mut supply = Supply::default();
        let count = u32::try_from(PRINTS_MAX).unwrap() + 1;
        let all = letters(&mut supply, count);
        let due = dues(&all, "msrp://a:1/x;tcp", 1);
        assert!(!send(&mut supply, &due).1);
        assert!(!send(&mut supply, &due).1);
    }
}
