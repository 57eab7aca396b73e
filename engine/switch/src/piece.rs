//! Octets of a body as they came.

use core::ops::Range;

/// Body octets as they came.
pub(crate) enum Piece<'a, B> {
    /// A range of a received buffer, which recipients may share: where it starts and how long it is.
    Shared(&'a B, usize, usize),
    /// Octets that live elsewhere; copied.
    Copied(&'a [u8]),
    /// None.
    Empty,
}

impl<'a, B: AsRef<[u8]>> Piece<'a, B> {
    pub(crate) fn shared(octets: &'a B, range: Range<usize>) -> Self {
        Self::Shared(octets, range.start, range.len())
    }

    pub(crate) fn octets(&self) -> &'a [u8] {
        match *self {
            Self::Shared(octets, start, len) => &octets.as_ref()[start..start + len],
            Self::Copied(octets) => octets,
            Self::Empty => &[],
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Shared(_, _, len) => *len,
            Self::Copied(octets) => octets.len(),
            Self::Empty => 0,
        }
    }

    /// The first `at` octets, and the rest.
    pub(crate) fn split_at(self, at: usize) -> (Self, Self) {
        match self {
            Self::Shared(octets, start, len) => (
                Self::Shared(octets, start, at),
                Self::Shared(octets, start + at, len - at),
            ),
            Self::Copied(octets) => {
                let (first, rest) = octets.split_at(at);
                (Self::Copied(first), Self::Copied(rest))
            }
            Self::Empty => (Self::Empty, Self::Empty),
        }
    }

    /// Keeps the last octet back.
    pub(crate) fn split_last(self) -> (Self, Option<u8>) {
        let last = self.octets().last().copied();
        let at = self.len().saturating_sub(1);
        (self.split_at(at).0, last)
    }
}
