//! Places in a text.

use core::fmt;

/// Line and column, both from 1; a column counts characters where the line is UTF-8, else octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
}

impl Position {
    /// The place of the octet at `offset`; offsets past the end mean the end.
    #[must_use]
    pub fn of(text: &[u8], offset: usize) -> Self {
        let before = &text[..offset.min(text.len())];
        let start = before
            .iter()
            .rposition(|&c| c == b'\n')
            .map_or(0, |at| at + 1);
        let line = &before[start..];
        let columns = core::str::from_utf8(line).map_or(line.len(), |line| line.chars().count());
        Self {
            line: before.iter().filter(|&&c| c == b'\n').count() + 1,
            column: columns + 1,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// What is wrong with a text, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {what}")]
pub struct Fault {
    /// Of the faulty part.
    pub at: Position,
    /// In words.
    pub what: String,
}

impl Fault {
    /// A fault at the octet `offset` of `text`.
    #[must_use]
    pub fn new(text: &[u8], offset: usize, what: impl Into<String>) -> Self {
        Self {
            at: Position::of(text, offset),
            what: what.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one() {
        let text = "ab\r\ncé!\n".as_bytes();
        for (offset, expected) in [
            (0, "1:1"),
            (2, "1:3"),
            (4, "2:1"),
            (7, "2:3"),
            (8, "2:4"),
            (9, "3:1"),
            (99, "3:1"),
        ] {
            assert_eq!(Position::of(text, offset).to_string(), expected, "{offset}");
        }
    }
}
