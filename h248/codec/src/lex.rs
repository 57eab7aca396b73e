//! Words, punctuation, blanks and raw blocks of a message (H.248.1 Annex B.2).
//!
//! There is no token stream: a character run means different things in different places, and the
//! text of Local and Remote must not be looked at at all. The parser asks for what it expects.

use memchr::{memchr2, memchr3};

use crate::ast::{Short, Text};
use crate::limits::NAME_OCTETS;
use crate::marks::{Marks, WINDOW_OCTETS, Window};

/// A place in the text, with the lexical productions as methods.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    text: &'a [u8],
    /// Invariant: not beyond the end of `text`.
    pos: usize,
    window: Window,
    /// Octets looked at, again and again counted.
    #[cfg(test)]
    pub(crate) work: usize,
}

/// A run of SafeChars, possibly empty.
#[derive(Clone, Copy)]
pub(crate) struct Word<'a> {
    pub(crate) octets: &'a [u8],
    /// Where it stands, in octets.
    pub(crate) at: usize,
    /// A bit for each octet that is neither letter nor digit, of the first [`WINDOW_OCTETS`].
    others: u64,
}

impl Word<'_> {
    #[inline(always)]
    pub(crate) fn is_empty(self) -> bool {
        self.octets.is_empty()
    }

    /// Whether it is not longer than a NAME or pathNAME may be, and all of the class `class`, to
    /// which letters and digits must belong.
    #[inline(always)]
    pub(crate) fn is_short_of(self, class: u8) -> bool {
        self.octets.len() <= NAME_OCTETS && self.first_not_of(class).is_none()
    }

    /// The first octet that is not of the class `class`, to which letters and digits must belong.
    /// Looks no farther than [`NAME_OCTETS`].
    #[inline(always)]
    pub(crate) fn first_not_of(self, class: u8) -> Option<usize> {
        let mut others = self.others;
        while others != 0 {
            let at = others.trailing_zeros() as usize;
            if classes(self.octets[at]) & class == 0 {
                return Some(at);
            }
            others &= others - 1;
        }
        None
    }

    /// Where the slash stands if this is two NAMEs of letters and digits with a slash between, which
    /// most names of packages' items are.
    #[inline(always)]
    pub(crate) fn slash_of_item(self) -> Option<u8> {
        let slash = self.others.trailing_zeros() as usize;
        let is_item = self.others & self.others.wrapping_sub(1) == 0
            && self.octets.len() <= NAME_OCTETS
            && self.octets.first().is_some_and(u8::is_ascii_alphabetic)
            && matches!(self.octets.get(slash..), Some([b'/', item, ..]) if item.is_ascii_alphabetic());
        // At most 64, the number of bits.
        is_item.then_some(slash.to_le_bytes()[0])
    }
}

/// The marks of a word tell about all of a name.
const _: () = assert!(NAME_OCTETS <= WINDOW_OCTETS);

/// What an octet may be part of, one bit each.
pub(crate) mod class {
    /// A SafeChar.
    pub(crate) const SAFE: u8 = 1;
    /// NAME, behind its first character: a letter, a digit or `_`.
    pub(crate) const NAME: u8 = 1 << 1;
    /// A letter or a digit.
    pub(crate) const ALNUM: u8 = 1 << 2;
    /// A decimal digit.
    pub(crate) const DIGIT: u8 = 1 << 3;
    /// The path of a pathNAME, before its domain.
    pub(crate) const PATH: u8 = 1 << 4;
    /// A domain name.
    pub(crate) const DOMAIN: u8 = 1 << 5;
    /// LWSP, or the start of a comment, which is LWSP.
    pub(crate) const BLANK: u8 = 1 << 6;
}

/// The classes of `octet`, a set of the bits in [`class`].
#[inline]
pub(crate) fn classes(octet: u8) -> u8 {
    CLASSES[usize::from(octet)]
}

/// Whether all of `octets` are of the class `class`.
#[inline]
pub(crate) fn is_all(octets: &[u8], class: u8) -> bool {
    octets.iter().all(|octet| classes(*octet) & class != 0)
}

static CLASSES: [u8; 256] = class_table();

const fn class_table() -> [u8; 256] {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 128 {
        #[expect(clippy::cast_possible_truncation, reason = "below 128")]
        let c = octet as u8;
        let alnum = class::SAFE | class::NAME | class::ALNUM | class::PATH | class::DOMAIN;
        table[octet] = match c {
            b'0'..=b'9' => alnum | class::DIGIT,
            b'a'..=b'z' | b'A'..=b'Z' => alnum,
            b'_' => class::SAFE | class::NAME | class::PATH,
            b'-' | b'.' => class::SAFE | class::PATH | class::DOMAIN,
            b'/' | b'*' | b'$' => class::SAFE | class::PATH,
            b'+' | b'&' | b'!' | b'\'' | b'?' | b'@' | b'^' | b'`' | b'~' | b'\\' | b'(' | b')'
            | b'%' | b'|' => class::SAFE,
            b' ' | b'\t' | b'\r' | b'\n' | b';' => class::BLANK,
            _ => 0,
        };
        octet += 1;
    }
    table
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            pos: 0,
            window: Window::new(text),
            #[cfg(test)]
            work: WINDOW_OCTETS,
        }
    }

    /// Octets before the cursor.
    #[inline(always)]
    pub(crate) fn pos(&self) -> usize {
        self.pos
    }

    /// Octets of the whole text.
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    /// Goes back (or on) to a place this cursor has reported.
    pub(crate) fn seek(&mut self, pos: usize) {
        debug_assert!(pos <= self.text.len());
        self.pos = pos;
    }

    #[inline(always)]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.get(self.pos).copied()
    }

    /// Steps over one octet, if there is one.
    pub(crate) fn skip(&mut self) {
        self.pos = self.text.len().min(self.pos + 1);
    }

    /// Steps over `octet`, if it stands here.
    #[inline(always)]
    pub(crate) fn eat(&mut self, octet: u8) -> bool {
        if self.peek() == Some(octet) {
            self.pos += 1;
            return true;
        }
        false
    }

    /// Notes that `octets` have been looked at.
    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "tests count"))]
    #[inline(always)]
    fn look(&mut self, octets: usize) {
        #[cfg(test)]
        {
            self.work += octets;
        }
        #[cfg(not(test))]
        let _ = octets;
    }

    #[inline(always)]
    fn rest(&self) -> &'a [u8] {
        &self.text[self.pos..]
    }

    /// Skips LWSP: blanks, line ends and whole comments. Says whether there was any.
    #[inline(always)]
    pub(crate) fn blank(&mut self) -> bool {
        self.look(1);
        // Between most things there is none.
        match self.peek() {
            Some(octet) if classes(octet) & class::BLANK != 0 => self.blanks(),
            Some(_) | None => false,
        }
    }

    #[inline(always)]
    fn blanks(&mut self) -> bool {
        let start = self.pos;
        self.pos = end_of_blanks(self.text, start);
        // Whoever stops at a comment has looked for its end.
        let looked_to = match self.peek() {
            Some(b';') => self.text.len(),
            Some(_) | None => self.pos,
        };
        self.look(looked_to - start);
        self.pos > start
    }

    /// The longest run of SafeChars, possibly empty.
    #[inline(always)]
    pub(crate) fn word(&mut self) -> Word<'a> {
        let at = self.pos;
        let from = self.rest();
        let Marks { stops, others } = self.marks();
        let length = match stops {
            0 => length_of_long_word(from),
            _ => stops.trailing_zeros() as usize,
        };
        let octets = &from[..length];
        self.pos = at + length;
        self.look(length + 1);
        Word {
            octets,
            at,
            // Those below the first stop.
            others: others & !stops & stops.wrapping_sub(1),
        }
    }

    /// What is known of the octets from the cursor on; no stop among them if the word that begins there
    /// has more than [`WINDOW_OCTETS`].
    #[inline(always)]
    fn marks(&mut self) -> Marks {
        match self.window.from(self.pos) {
            Some(marks) => marks,
            None => {
                self.look(WINDOW_OCTETS);
                self.window.move_to(self.pos, self.text)
            }
        }
    }

    /// The text of a word of this cursor, if that is short; `None` also near to the end of all text.
    #[inline(always)]
    pub(crate) fn short_of(&self, word: Word<'a>) -> Option<Short> {
        Short::of_ascii(word.octets.len(), self.text.get(word.at..)?)
    }

    /// The text of a word of this cursor.
    #[inline(always)]
    pub(crate) fn text_of(&self, word: Word<'a>) -> Text {
        match self.short_of(word) {
            Some(short) => short.into(),
            None => Text::of_ascii(word.octets),
        }
    }

    /// What a quoted string holds, the cursor being at its opening quote; `None` leaves it there.
    ///
    /// Wider than the ABNF: any UTF-8 but controls may stand between the quotes, so that an error
    /// text in the peer's own language stays readable.
    pub(crate) fn quoted(&mut self) -> Option<&'a str> {
        let inside = self.rest().strip_prefix(b"\"")?;
        let end = memchr3(b'"', b'\r', b'\n', inside);
        self.look(end.unwrap_or(inside.len()) + 1);
        let length = end?;
        let text = core::str::from_utf8(&inside[..length]).ok()?;
        let is_printable = |c: char| c == '\t' || !c.is_control();
        let is_plain = text.bytes().all(|c| matches!(c, b' '..=b'~'));
        if inside[length] != b'"' || !(is_plain || text.chars().all(is_printable)) {
            return None;
        }
        self.pos += length + 2;
        Some(text)
    }

    /// The octets up to, not with, the next of `end`; the cursor goes there.
    pub(crate) fn until(&mut self, end: u8) -> Option<&'a [u8]> {
        let rest = self.rest();
        let found = memchr::memchr(end, rest);
        self.look(found.unwrap_or(rest.len()));
        let length = found?;
        self.pos += length;
        Some(&rest[..length])
    }

    /// As [`Self::until`] of what is no comment; without the LWSP around. Comments within stay.
    pub(crate) fn until_outside_comments(&mut self, end: u8) -> Option<&'a [u8]> {
        self.blank();
        let text = self.rest();
        let mut length = 0;
        loop {
            let rest = self.rest();
            let found = memchr2(end, b';', rest);
            self.look(found.unwrap_or(rest.len()));
            let before = &rest[..found?];
            let kept = before.trim_ascii_end().len();
            if kept > 0 {
                length = text.len() - rest.len() + kept;
            }
            self.pos += before.len();
            if rest[before.len()] == end {
                return Some(&text[..length]);
            }
            if !self.blank() {
                return None;
            }
        }
    }

    /// An octetString up to, not with, its closing brace: escapes undone, blanks around trimmed,
    /// one line end after the last line. `None` leaves the cursor at the end of the text or at a
    /// NUL.
    pub(crate) fn octets(&mut self) -> Option<Vec<u8>> {
        let rest = self.rest();
        // Only an escape makes it other than what stands in the text.
        let mut octets: Option<Vec<u8>> = None;
        let mut from = 0;
        loop {
            let Some(length) = memchr2(b'}', 0, &rest[from..]) else {
                self.pos = self.text.len();
                self.look(rest.len() - from);
                return None;
            };
            self.look(length + 1);
            let at = from + length;
            if rest[at] == 0 {
                self.pos += at;
                return None;
            }
            let is_escaped = at > 0 && rest[at - 1] == b'\\';
            match (&mut octets, is_escaped) {
                (None, false) => {
                    self.pos += at;
                    return Some(with_line_end(&rest[..at]));
                }
                (Some(octets), false) => {
                    octets.extend_from_slice(&rest[from..at]);
                    self.pos += at;
                    return Some(with_line_end(octets));
                }
                (octets, true) => {
                    let octets = octets.get_or_insert_default();
                    octets.extend_from_slice(&rest[from..at - 1]);
                    octets.push(b'}');
                }
            }
            from = at + 1;
        }
    }
}

/// Octets of the word that `from` begins with and that fills the window.
#[cold]
#[inline(never)]
fn length_of_long_word(from: &[u8]) -> usize {
    let is_stop = |octet: &u8| classes(*octet) & class::SAFE == 0;
    from.iter().position(is_stop).unwrap_or(from.len())
}

/// Where the blanks, line ends and whole comments end that begin at `start`.
///
/// Not of a [`Cursor`], whose content may so stay in registers.
#[inline(never)]
fn end_of_blanks(text: &[u8], start: usize) -> usize {
    let mut pos = start;
    loop {
        match text.get(pos) {
            Some(b' ' | b'\t' | b'\r' | b'\n') => pos += 1,
            // A comment ends with an EOL (Annex B.2, COMMENT).
            Some(b';') => match memchr2(b'\r', b'\n', &text[pos..]) {
                Some(length) => pos += length,
                None => return pos,
            },
            _ => return pos,
        }
    }
}

/// Trims `octets` of blanks and line ends, and ends the last line in the style of the others.
fn with_line_end(octets: &[u8]) -> Vec<u8> {
    match trimmed(octets) {
        Some((text, line_end)) => {
            let mut octets = Vec::with_capacity(text.len() + line_end.len());
            octets.extend_from_slice(text);
            octets.extend_from_slice(line_end);
            octets
        }
        None => Vec::new(),
    }
}

/// `octets` without the blanks and line ends around, and the line end in the style of the others;
/// `None` if nothing is left.
pub(crate) fn trimmed(octets: &[u8]) -> Option<(&[u8], &'static [u8])> {
    let is_blank = |octet: &u8| matches!(octet, b' ' | b'\t' | b'\r' | b'\n');
    let first = octets.iter().position(|octet| !is_blank(octet))?;
    let last = octets.iter().rposition(|octet| !is_blank(octet))?;
    Some((&octets[first..=last], line_end(&octets[first..])))
}

/// The line end `octets` use first; LF when there is none.
fn line_end(octets: &[u8]) -> &'static [u8] {
    match memchr2(b'\r', b'\n', octets) {
        Some(at) if octets[at] == b'\r' && octets.get(at + 1) == Some(&b'\n') => b"\r\n",
        Some(at) if octets[at] == b'\r' => b"\r",
        _ => b"\n",
    }
}

/// Line and column, both from 1, of an offset into `text`. CR, LF and CRLF each end a line;
/// columns count octets.
pub(crate) fn line_column(text: &[u8], offset: usize) -> (usize, usize) {
    let before = &text[..offset.min(text.len())];
    let mut line = 1;
    let mut start = 0;
    for (at, octet) in before.iter().enumerate() {
        let ends_line = match octet {
            b'\n' => true,
            b'\r' => text.get(at + 1) != Some(&b'\n'),
            _ => false,
        };
        if ends_line {
            line += 1;
            start = at + 1;
        }
    }
    (line, before.len() - start + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_and_comments_are_skipped_together() {
        let mut cursor = Cursor::new(b" \t; a \"comment\"\r\n ; two\nx;open");
        assert!(cursor.blank());
        assert_eq!(cursor.word().octets, b"x");
        assert!(!cursor.blank(), "a comment must end with a line end");
        assert_eq!(cursor.peek(), Some(b';'));
    }

    #[test]
    fn quoted_strings_have_no_line_ends_and_no_escape() {
        let quoted = |text: &'static [u8]| Cursor::new(text).quoted();
        assert_eq!(quoted(b"\"a;b{c}\" x"), Some("a;b{c}"));
        assert_eq!(quoted(b"\"\""), Some(""));
        for bad in [&b"\"open"[..], b"\"a\nb\"", b"\"\x01\"", b"\"\xff\"", b"x"] {
            assert_eq!(quoted(bad), None);
        }
    }

    #[track_caller]
    fn check_octets(text: &str, expected: Option<&str>) {
        let octets = Cursor::new(text.as_bytes()).octets();
        assert_eq!(octets.as_deref(), expected.map(str::as_bytes));
    }

    #[test]
    fn octet_strings_are_unescaped_and_trimmed() {
        check_octets("}", Some(""));
        check_octets(" \r\n }", Some(""));
        check_octets("\nv=0\n}", Some("v=0\n"));
        check_octets("\r\nv=0\r\ns=-  }", Some("v=0\r\ns=-\r\n"));
        check_octets("a\\}b\\\\}c}", Some("a}b\\}c\n"));
        check_octets("v=0", None);
        check_octets("v=\0}", None);
    }

    #[test]
    fn positions_count_every_kind_of_line_end() {
        let text = b"a\r\nb\rc\nd";
        let at = |offset| line_column(text, offset);
        assert_eq!([at(0), at(2), at(3)], [(1, 1), (1, 3), (2, 1)]);
        assert_eq!(
            [at(5), at(7), at(8), at(99)],
            [(3, 1), (4, 1), (4, 2), (4, 2)]
        );
    }
}
