//! Words, punctuation, blanks and raw blocks of a message (H.248.1 Annex B.2).
//!
//! There is no token stream: a character run means different things in different places, and the
//! text of Local and Remote must not be looked at at all. The parser asks for what it expects.

use memchr::{memchr2, memchr3};

/// A place in the text, with the lexical productions as methods.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    text: &'a [u8],
    /// Invariant: not beyond the end of `text`.
    pos: usize,
    /// Octets looked at, again and again counted.
    #[cfg(test)]
    pub(crate) work: usize,
}

/// Whether `octet` is a SafeChar.
pub(crate) const fn is_safe(octet: u8) -> bool {
    SAFE[octet as usize]
}

static SAFE: [bool; 256] = safe_table();

const fn safe_table() -> [bool; 256] {
    let mut table = [false; 256];
    let marks = b"+-&!_/'?@^`~*$\\()%|.";
    let mut octet = 0;
    while octet < 128 {
        #[expect(clippy::cast_possible_truncation, reason = "below 128")]
        let is_alphanumeric = (octet as u8).is_ascii_alphanumeric();
        table[octet] = is_alphanumeric;
        octet += 1;
    }
    let mut mark = 0;
    while mark < marks.len() {
        table[marks[mark] as usize] = true;
        mark += 1;
    }
    table
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            pos: 0,
            #[cfg(test)]
            work: 0,
        }
    }

    /// Octets before the cursor.
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

    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.get(self.pos).copied()
    }

    /// Steps over one octet, if there is one.
    pub(crate) fn skip(&mut self) {
        self.pos = self.text.len().min(self.pos + 1);
    }

    pub(crate) fn eat(&mut self, octet: u8) -> bool {
        let matches = self.peek() == Some(octet);
        self.pos += usize::from(matches);
        matches
    }

    /// Notes that `octets` have been looked at.
    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "tests count"))]
    fn look(&mut self, octets: usize) {
        #[cfg(test)]
        {
            self.work += octets;
        }
        #[cfg(not(test))]
        let _ = octets;
    }

    fn rest(&self) -> &'a [u8] {
        &self.text[self.pos..]
    }

    /// Skips LWSP: blanks, line ends and whole comments. Says whether there was any.
    pub(crate) fn blank(&mut self) -> bool {
        let start = self.pos;
        self.look(1);
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.pos += 1,
                Some(b';') => match memchr2(b'\r', b'\n', self.rest()) {
                    Some(length) => self.pos += length,
                    // A comment ends with an EOL (Annex B.2, COMMENT).
                    None => {
                        self.look(self.text.len() - self.pos);
                        break;
                    }
                },
                _ => break,
            }
        }
        self.look(self.pos - start);
        self.pos > start
    }

    /// The longest run of SafeChars, possibly empty.
    pub(crate) fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let length = rest
            .iter()
            .position(|octet| !is_safe(*octet))
            .unwrap_or(rest.len());
        self.pos += length;
        self.look(length + 1);
        core::str::from_utf8(&rest[..length]).expect("SafeChars are ASCII")
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
        if inside[length] != b'"' || !text.chars().all(is_printable) {
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

/// Trims `octets` of blanks and line ends, and ends the last line in the style of the others.
fn with_line_end(octets: &[u8]) -> Vec<u8> {
    match trimmed(octets) {
        Some((text, line_end)) => [text, line_end].concat(),
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
        assert_eq!(cursor.word(), "x");
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
