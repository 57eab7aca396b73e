//! The texts of names and values.

use core::fmt;
use core::num::NonZeroU64;
use core::ops::Deref;

use zerocopy::{Immutable, IntoBytes};

/// A text, most of which have a few octets: those stand in the tree itself.
///
/// What the parser makes one of has been seen to be ASCII already. It is copied without a look at its
/// length, which is what most of its cost would be; only who wants a `str` looks at the octets again.
#[derive(Clone)]
pub struct Text(Repr);

#[derive(Clone)]
enum Repr {
    Short(Short),
    Long(Box<str>),
}

/// A text that stands in the tree.
///
/// Of whole words, since a text is moved as soon as it has been made: a processor that reads at once
/// what was just written in other portions waits until all of it has arrived in the cache.
#[derive(Clone, Copy, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Short {
    /// The first octets, as they stand in the text. Those that do not count have no meaning.
    ///
    /// Invariant: those that count, here and in `tail`, are UTF-8.
    head: [u64; 2],
    /// The next seven, and in the last octet [`IS_SHORT`] and how many count.
    tail: NonZeroU64,
}

/// Octets of a text that stands in the tree.
const SHORT_OCTETS: usize = 23;

/// Distinguishes the last word of a short text from none, which a long one has.
const IS_SHORT: NonZeroU64 = NonZeroU64::new((1_u64 << 63).to_le()).expect("a bit is set");

/// The octets of the last word that are text.
const TAIL: u64 = u64::MAX >> 8;

const _: () = assert!(size_of::<Text>() == SHORT_OCTETS + 1);

impl Short {
    /// The first `length` octets, 23 at most, of these words.
    #[inline(always)]
    fn new([first, second, third]: [u64; 3], length: usize) -> Self {
        let tail = u64::from_le(third) & TAIL | (length as u64) << 56;
        Self {
            head: [first, second],
            tail: IS_SHORT | tail.to_le(),
        }
    }

    /// The first `length` octets of `all`, which must be ASCII; `None` if they are too many, or too near
    /// to the end of `all`.
    #[inline(always)]
    pub(crate) fn of_ascii(length: usize, all: &[u8]) -> Option<Self> {
        let (words, _) = all.first_chunk::<{ SHORT_OCTETS + 1 }>()?.as_chunks();
        let word = |at: usize| u64::from_ne_bytes(words[at]);
        let words = [word(0), word(1), word(2)];
        (length <= SHORT_OCTETS).then(|| Self::new(words, length))
    }

    /// `octets`, 23 at most.
    #[inline(never)]
    fn copied(octets: &[u8]) -> Self {
        let word = |from: usize| word_of(octets.get(from..).unwrap_or_default());
        Self::new([word(0), word(8), word(16)], octets.len())
    }

    /// How many octets count.
    #[inline(always)]
    fn length(&self) -> usize {
        usize::from(u64::from_le(self.tail.get()).to_le_bytes()[7] & 0x7f)
    }
}

/// A word of the first eight of `octets`, or of fewer.
#[inline]
fn word_of(octets: &[u8]) -> u64 {
    // What is read twice stands in the same place twice.
    let (first, last, behind) = match octets {
        [a, b, c, d, e, f, g, h, ..] => {
            return u64::from_ne_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
        }
        [a, b, c, d, ..] => {
            let first = u32::from_le_bytes([*a, *b, *c, *d]);
            let last = octets
                .last_chunk()
                .map_or(0, |last| u32::from_le_bytes(*last));
            (u64::from(first), u64::from(last), octets.len() - 4)
        }
        [a, .., c] => (
            u64::from(u16::from_le_bytes([*a, octets[1]])),
            u64::from(*c),
            octets.len() - 1,
        ),
        [a] => (u64::from(*a), 0, 0),
        [] => return 0,
    };
    (first | last << (behind * 8)).to_le()
}

impl Text {
    /// `octets`, which must be ASCII. Who has more octets behind them asks [`Short::of_ascii`] first.
    #[inline]
    pub(crate) fn of_ascii(octets: &[u8]) -> Self {
        debug_assert!(octets.is_ascii());
        Self(match octets.len() {
            ..=SHORT_OCTETS => Repr::Short(Short::copied(octets)),
            _ => Repr::Long(long(octets)),
        })
    }

    /// The octets of it.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Short(short) => &short.as_bytes()[..short.length()],
            Repr::Long(text) => text.as_bytes(),
        }
    }

    /// The octets of a short text with what stands behind, and how many count.
    #[inline]
    pub(crate) fn as_short(&self) -> Option<(&[u8; SHORT_OCTETS], usize)> {
        match &self.0 {
            Repr::Short(short) => Some((short.as_bytes().first_chunk()?, short.length())),
            Repr::Long(_) => None,
        }
    }

    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Short(_) => core::str::from_utf8(self.as_bytes()).expect("it was made of a text"),
            Repr::Long(text) => text,
        }
    }
}

/// A long text, which must be ASCII.
#[cold]
#[inline(never)]
fn long(octets: &[u8]) -> Box<str> {
    core::str::from_utf8(octets).expect("it is ASCII").into()
}

impl From<Short> for Text {
    #[inline(always)]
    fn from(short: Short) -> Self {
        Self(Repr::Short(short))
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(match text.len() {
            ..=SHORT_OCTETS => Repr::Short(Short::copied(text.as_bytes())),
            _ => Repr::Long(text.into()),
        })
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl Default for Text {
    fn default() -> Self {
        Self(Repr::Short(Short::new([0; 3], 0)))
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Text {}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_every_length_are_kept() {
        let long = "a".repeat(3 * SHORT_OCTETS);
        for length in 0..=long.len() {
            let text = &long[..length];
            assert_eq!(Text::from(text).as_str(), text);
            assert_eq!(Text::of_ascii(text.as_bytes()).as_str(), text);
            for behind in length..=long.len() {
                let made = Short::of_ascii(length, &long.as_bytes()[..behind]).map(Text::from);
                let is_made = length <= SHORT_OCTETS && behind > SHORT_OCTETS;
                assert_eq!(made, is_made.then(|| Text::from(text)));
            }
        }
    }

    #[test]
    fn other_letters_are_text_too() {
        for text in [
            "é",
            "naïve",
            "\u{1f600}\u{1f600}\u{1f600}\u{1f600}\u{1f600}\u{1f600}",
        ] {
            assert_eq!(&*Text::from(text), text);
        }
    }
}
