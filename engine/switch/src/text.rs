//! Octets that several hold, or parts of them.

use core::fmt;
use core::ops::{Deref, Range};
use std::sync::Arc;

/// Octets that are not changed any more. Clones and parts share them: a path that stands in a session
/// description is kept once, by the gateway and by the switch together. A part keeps the whole.
///
/// ```
/// let whole = switch::Text::from("a=path:msrp://h:1/s;tcp\r\n");
/// let path = whole.part(7..23);
/// assert_eq!(*path, *b"msrp://h:1/s;tcp");
/// ```
#[derive(Clone, Default)]
pub struct Text {
    /// `None`: empty, which costs no memory and no counting.
    whole: Option<Arc<[u8]>>,
    start: u32,
    end: u32,
}

impl Text {
    /// The octets of this range.
    ///
    /// # Panics
    ///
    /// If the range reaches beyond them.
    #[must_use]
    pub fn part(&self, range: Range<usize>) -> Self {
        assert!(range.end <= self.len(), "beyond the text");
        let narrow = |at: usize| u32::try_from(at).expect("checked when it was made");
        Self {
            whole: self.whole.clone(),
            start: self.start + narrow(range.start),
            end: self.start + narrow(range.end),
        }
    }

    /// The part where these octets first stand.
    #[must_use]
    pub fn find(&self, octets: &[u8]) -> Option<Self> {
        let at = memchr::memmem::find(self, octets)?;
        Some(self.part(at..at + octets.len()))
    }
}

impl From<&[u8]> for Text {
    /// # Panics
    ///
    /// With 4 GiB or more.
    fn from(octets: &[u8]) -> Self {
        Self {
            whole: (!octets.is_empty()).then(|| octets.into()),
            start: 0,
            end: u32::try_from(octets.len()).expect("below 4 GiB"),
        }
    }
}

impl From<Vec<u8>> for Text {
    fn from(octets: Vec<u8>) -> Self {
        octets.as_slice().into()
    }
}

impl<const N: usize> From<[u8; N]> for Text {
    fn from(octets: [u8; N]) -> Self {
        octets.as_slice().into()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

impl Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let whole = self.whole.as_deref().unwrap_or_default();
        &whole[self.start as usize..self.end as usize]
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Text {}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_parts_share_the_whole() {
        let whole = Text::from("one two three");
        let rest = whole.part(4..13);
        let two = rest.find(b"two").unwrap();
        assert!(rest.find(b"one").is_none());
        assert_eq!((&*rest, &*two), (&b"two three"[..], &b"two"[..]));
        let arc = whole.whole.as_ref().unwrap();
        assert_eq!(Arc::strong_count(arc), 3);
        assert_eq!(two, Text::from(b"two".to_vec()));
        assert_eq!(format!("{:?}", Text::from([b'a', 0])), "\"a\\x00\"");
    }

    #[test]
    fn no_octets_need_no_memory() {
        for empty in [Text::default(), Text::from(""), Text::from(Vec::new())] {
            assert!(empty.whole.is_none() && empty.is_empty());
        }
    }

    #[test]
    #[should_panic(expected = "beyond the text")]
    fn a_part_lies_within_its_whole() {
        let _ = Text::from("four").part(2..3).part(0..2);
    }
}
