//! Octets of a body as they came.

use core::ops::Range;

/// Body octets as they came.
pub(crate) enum Piece<'a, B> {
    /// A range of a received buffer, which recipients may share.
    Shared(Share<'a, B>),
    /// Octets that live elsewhere; copied.
    Copied(&'a [u8]),
    /// None.
    Empty,
}

/// A range of a received buffer.
#[derive(Debug)]
pub(crate) struct Share<'a, B> {
    pub buffer: &'a B,
    pub start: usize,
    pub len: usize,
    /// Known to hold no seven hyphens in a row, so that no end-line need be looked for.
    pub is_clear: bool,
}

impl<'a, B: AsRef<[u8]>> Piece<'a, B> {
    pub(crate) fn shared(buffer: &'a B, range: Range<usize>, is_clear: bool) -> Self {
        Self::Shared(Share {
            buffer,
            start: range.start,
            len: range.len(),
            is_clear,
        })
    }

    pub(crate) fn octets(&self) -> &'a [u8] {
        match self {
            Self::Shared(share) => &share.buffer.as_ref()[share.start..share.start + share.len],
            Self::Copied(octets) => octets,
            Self::Empty => &[],
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Shared(share) => share.len,
            Self::Copied(octets) => octets.len(),
            Self::Empty => 0,
        }
    }

    /// Whether it is known to hold no seven hyphens in a row.
    pub(crate) fn is_clear(&self) -> bool {
        match self {
            Self::Shared(share) => share.is_clear,
            Self::Copied(_) => false,
            Self::Empty => true,
        }
    }

    /// The first `at` octets, and the rest.
    pub(crate) fn split_at(self, at: usize) -> (Self, Self) {
        match self {
            Self::Shared(share) => (
                Self::Shared(Share { len: at, ..share }),
                Self::Shared(Share {
                    start: share.start + at,
                    len: share.len - at,
                    ..share
                }),
            ),
            Self::Copied(octets) => {
                let (first, rest) = octets.split_at(at);
                (Self::Copied(first), Self::Copied(rest))
            }
            Self::Empty => (Self::Empty, Self::Empty),
        }
    }

    /// Keeps up to `count` octets at the end back.
    pub(crate) fn split_tail(self, count: usize) -> (Self, &'a [u8]) {
        let octets = self.octets();
        let at = octets.len().saturating_sub(count);
        (self.split_at(at).0, &octets[at..])
    }
}
