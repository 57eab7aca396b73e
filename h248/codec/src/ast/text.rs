//! The texts of names and values.

use core::fmt;
use core::ops::Deref;

/// A text, most of which have a few octets: those stand in the tree itself.
///
/// What the parser makes one of has been seen to be ASCII already. It is copied without a look at its
/// length, which is what most of its cost would be; only who wants a `str` looks at the octets again.
#[derive(Clone)]
pub struct Text(Repr);

#[derive(Clone)]
enum Repr {
    /// Invariant: the octets that count are UTF-8. Those behind have no meaning.
    Short(ShortLength, [u8; SHORT_OCTETS]),
    Long(Box<str>),
}

/// Octets of a text that stands in the tree.
const SHORT_OCTETS: usize = 23;

/// 0 to [`SHORT_OCTETS`]: the other numbers of an octet say that a text is long.
#[derive(Clone, Copy)]
#[rustfmt::skip]
enum ShortLength {
    L0, L1, L2, L3, L4, L5, L6, L7, L8, L9, L10, L11, L12, L13, L14, L15, L16, L17, L18, L19, L20, L21, L22, L23,
}

#[rustfmt::skip]
static SHORT_LENGTHS: [ShortLength; SHORT_OCTETS + 1] = {
    use ShortLength::*;
    [
        L0, L1, L2, L3, L4, L5, L6, L7, L8, L9, L10, L11, L12, L13, L14, L15, L16, L17, L18, L19, L20, L21, L22, L23,
    ]
};

const _: () = assert!(size_of::<Text>() == 24 && size_of::<Option<Text>>() == 24);

impl Text {
    /// `octets`, which must be ASCII, and with which `all` begins.
    #[inline(always)]
    pub(crate) fn of_ascii(octets: &[u8], all: &[u8]) -> Self {
        debug_assert!(octets.is_ascii());
        match (SHORT_LENGTHS.get(octets.len()), all.first_chunk()) {
            (Some(length), Some(first)) => Self(Repr::Short(*length, *first)),
            _ => Self::of_rare(octets),
        }
    }

    /// Of a long text, or one near the end of the message.
    #[inline(never)]
    fn of_rare(octets: &[u8]) -> Self {
        match SHORT_LENGTHS.get(octets.len()) {
            Some(length) => Self::short(*length, octets),
            None => Self::from(core::str::from_utf8(octets).expect("it is ASCII")),
        }
    }

    fn short(length: ShortLength, octets: &[u8]) -> Self {
        let mut all = [0; SHORT_OCTETS];
        all[..octets.len()].copy_from_slice(octets);
        Self(Repr::Short(length, all))
    }

    /// The octets of it.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Short(length, octets) => &octets[..*length as usize],
            Repr::Long(text) => text.as_bytes(),
        }
    }

    /// The octets of a short text with what stands behind, and how many count.
    #[inline]
    pub(crate) fn as_short(&self) -> Option<(&[u8; SHORT_OCTETS], usize)> {
        match &self.0 {
            Repr::Short(length, octets) => Some((octets, *length as usize)),
            Repr::Long(_) => None,
        }
    }

    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Short(..) => {
                core::str::from_utf8(self.as_bytes()).expect("it was made of a text")
            }
            Repr::Long(text) => text,
        }
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        match SHORT_LENGTHS.get(text.len()) {
            Some(length) => Self::short(*length, text.as_bytes()),
            None => Self(Repr::Long(text.into())),
        }
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl Default for Text {
    fn default() -> Self {
        Self(Repr::Short(ShortLength::L0, [0; SHORT_OCTETS]))
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
            for behind in length..=long.len() {
                let made = Text::of_ascii(text.as_bytes(), &long.as_bytes()[..behind]);
                assert_eq!(made.as_str(), text);
                assert_eq!(made, Text::from(text));
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
