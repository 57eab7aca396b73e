//! The octets being written.
//!
//! Most of what a message consists of is a few octets long. Copying those by a call into the C library
//! costs more than the copying: here they go as one or two words, into room that has been made before.

use core::fmt;

use crate::ast::Text;
use crate::token::Token;

/// A buffer that is longer than what has been written.
pub(super) struct Out {
    /// Octets behind `at` have no meaning.
    octets: Vec<u8>,
    /// How many have been written. Invariant: `at <= octets.len()`.
    at: usize,
}

/// Room for most messages, in octets.
pub(super) const TYPICAL_OCTETS: usize = 512;

impl Out {
    /// Writes behind what is in `octets`.
    pub(super) fn behind(mut octets: Vec<u8>) -> Self {
        let at = octets.len();
        octets.resize(at + TYPICAL_OCTETS, 0);
        Self { octets, at }
    }

    /// What has been written, with what was there before.
    pub(super) fn into_octets(mut self) -> Vec<u8> {
        self.octets.truncate(self.at);
        self.octets
    }

    /// Octets so far.
    pub(super) fn len(&self) -> usize {
        self.at
    }

    /// Takes back what was written after there were `len` octets.
    pub(super) fn truncate(&mut self, len: usize) {
        self.at = self.at.min(len);
    }

    #[inline]
    pub(super) fn push(&mut self, octet: u8) {
        match self.octets.get_mut(self.at) {
            Some(place) => *place = octet,
            None => return self.put_in_new_room(&[octet]),
        }
        self.at += 1;
    }

    #[inline]
    pub(super) fn put(&mut self, octets: &[u8]) {
        let end = self.at + octets.len();
        let Some(room) = self.octets.get_mut(self.at..end) else {
            return self.put_in_new_room(octets);
        };
        self.at = end;
        if octets.len() > 16 {
            room.copy_from_slice(octets);
        } else if let (Some(first), Some(last)) = (octets.first_chunk(), octets.last_chunk()) {
            copy_ends::<8>(room, first, last);
        } else if let (Some(first), Some(last)) = (octets.first_chunk(), octets.last_chunk()) {
            copy_ends::<4>(room, first, last);
        } else if let (Some(first), Some(last)) = (octets.first_chunk(), octets.last_chunk()) {
            copy_ends::<2>(room, first, last);
        } else if let (Some(to), Some(octet)) = (room.first_mut(), octets.first()) {
            *to = *octet;
        }
    }

    /// Writes `text`, which is short as a rule.
    #[inline(always)]
    pub(super) fn text(&mut self, text: &Text) {
        // All of its room, since that takes no look at its length; only what counts is kept.
        let Some((octets, count)) = text.as_short() else {
            return self.long(text);
        };
        match self.octets.get_mut(self.at..self.at + octets.len()) {
            Some(room) => room.copy_from_slice(octets),
            None => return self.put_in_new_room(&octets[..count]),
        }
        self.at += count;
    }

    #[inline(never)]
    fn long(&mut self, text: &Text) {
        self.put(text.as_bytes());
    }

    /// Writes `token` as terse senders do.
    #[inline]
    pub(super) fn short(&mut self, token: Token) {
        let (form, count) = token.short_form();
        // All of the form, since that is a single copy; only what counts is kept.
        match self.octets.get_mut(self.at..self.at + form.len()) {
            Some(room) => room.copy_from_slice(form),
            None => return self.put_in_new_room(&form[..count]),
        }
        self.at += count;
    }

    /// Writes so many blanks.
    pub(super) fn blanks(&mut self, count: usize) {
        for _ in 0..count {
            self.push(b' ');
        }
    }

    /// The place of `count` more octets, to be filled by the caller. What is written there needs not be
    /// copied, for which a processor would wait until all of it has arrived in the cache.
    #[inline]
    pub(super) fn place(&mut self, count: usize) -> &mut [u8] {
        let from = self.at;
        self.at += count;
        if self.octets.len() < self.at {
            self.make_room(from, count);
        }
        &mut self.octets[from..self.at]
    }

    #[cold]
    fn put_in_new_room(&mut self, octets: &[u8]) {
        self.place(octets.len()).copy_from_slice(octets);
    }

    /// Makes room for `count` octets and more behind the first `from`.
    #[cold]
    fn make_room(&mut self, from: usize, count: usize) {
        // Twice as much as there is, so that a long message is not copied for each of its parts.
        self.octets
            .resize(from + count.max(from) + TYPICAL_OCTETS, 0);
    }
}

/// Copies `N` to `2 * N` octets as their first and their last `N`.
#[inline]
fn copy_ends<const N: usize>(room: &mut [u8], first: &[u8; N], last: &[u8; N]) {
    if let Some(to) = room.first_chunk_mut() {
        *to = *first;
    }
    if let Some(to) = room.last_chunk_mut() {
        *to = *last;
    }
}

impl fmt::Write for Out {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_is_copied_whole_into_every_room() {
        let text: Vec<u8> = (0..=255).collect();
        for before in [0, 1, TYPICAL_OCTETS - 20, 5_000] {
            for count in 0..=text.len() {
                let mut out = Out::behind(vec![b'x'; 3]);
                out.blanks(before);
                out.put(&text[..count]);
                out.push(b'.');
                let octets = out.into_octets();
                let expected = [b"xxx", &vec![b' '; before][..], &text[..count], b"."].concat();
                assert_eq!(octets, expected, "{count} behind {before}");
            }
        }
    }

    #[test]
    fn tokens_and_what_was_taken_back_leave_nothing_behind() {
        let mut out = Out::behind(Vec::new());
        for _ in 0..TYPICAL_OCTETS {
            out.short(Token::ImmAckRequired);
            out.short(Token::Add);
        }
        let before = out.len();
        out.put(b"taken back");
        out.truncate(before);
        assert_eq!(out.into_octets(), b"IAA".repeat(TYPICAL_OCTETS));
    }
}
