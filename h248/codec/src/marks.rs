//! Where words end and what they consist of, for 64 octets at once.
//!
//! Most of a message consists of words a few octets long. Looking each octet up costs more than all that
//! is done with the word: here the compiler makes vector instructions of plain comparisons, and the end of
//! a word is then the lowest bit of a number.

use wide::{i8x16, u8x16};

/// Octets of a [`Window`].
pub(crate) const WINDOW_OCTETS: usize = 64;

/// What is known of the octets from a place on.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    /// The place, in octets from the start of the text.
    from: usize,
    /// A bit for each octet, the first one lowest.
    marks: Marks,
}

/// Some octets, one bit each, the first one lowest.
#[derive(Clone, Copy)]
pub(crate) struct Marks {
    /// Those that are no SafeChar, and places behind the end of the text: a word ends there.
    pub(crate) stops: u64,
    /// Those that are neither letters nor digits; all of `stops` are among them.
    pub(crate) others: u64,
}

impl Window {
    /// The first octets of `text`.
    pub(crate) fn new(text: &[u8]) -> Self {
        Self {
            from: 0,
            marks: marks_of(text, 0),
        }
    }

    /// What is known of the octets from `at` on; at least one is a stop if a word ends there at all.
    /// `None` if the window must be moved first.
    #[inline(always)]
    pub(crate) fn from(&self, at: usize) -> Option<Marks> {
        let behind = at.wrapping_sub(self.from);
        if behind >= WINDOW_OCTETS {
            return None;
        }
        let stops = self.marks.stops >> behind;
        let others = self.marks.others >> behind;
        (stops != 0).then_some(Marks { stops, others })
    }

    /// Moves to the octets of `text` from `at` on.
    #[inline(always)]
    pub(crate) fn move_to(&mut self, at: usize, text: &[u8]) -> Marks {
        self.from = at;
        self.marks = marks_of(text, at);
        self.marks
    }
}

/// The marks of the first octets of `text` from `at` on.
#[inline(never)]
fn marks_of(text: &[u8], at: usize) -> Marks {
    let mut copy = [0; WINDOW_OCTETS];
    // Behind the end there is nothing but stops: of what is known, so many octets are before `at`.
    let (octets, before) = match (
        text.get(at..).and_then(<[u8]>::first_chunk),
        text.last_chunk(),
    ) {
        (Some(octets), _) => (octets, None),
        (None, Some(last)) => (last, Some(at + WINDOW_OCTETS - text.len())),
        (None, None) => {
            copy[..text.len()].copy_from_slice(text);
            (&copy, Some(at))
        }
    };
    let known = marks(octets);
    let Some(before) = before else {
        return known;
    };
    // Zeros come in from above, and become marks.
    let count = u32::try_from(before).unwrap_or(u32::MAX);
    let behind = |marks: u64| !(!marks).checked_shr(count).unwrap_or(0);
    Marks {
        stops: behind(known.stops),
        others: behind(known.others),
    }
}

#[inline(always)]
fn marks(octets: &[u8; WINDOW_OCTETS]) -> Marks {
    let mut stops = 0;
    let mut alphanumerics = 0;
    for (at, sixteen) in octets.as_chunks::<16>().0.iter().enumerate() {
        let octets = u8x16::from(*sixteen);
        stops |= u64::from(is_stop(octets).to_bitmask()) << (at * 16);
        alphanumerics |= u64::from(is_alphanumeric(octets).to_bitmask()) << (at * 16);
    }
    Marks {
        stops,
        others: !alphanumerics,
    }
}

/// Which octets are no SafeChars (H.248.1 Annex B.2).
#[inline(always)]
fn is_stop(octets: u8x16) -> u8x16 {
    let lower = octets | u8x16::splat(0x20);
    let even = octets & u8x16::splat(0xfe);
    is_between(octets, 0x7f, b' ')
        | even.simd_eq(u8x16::splat(b'"'))
        | octets.simd_eq(u8x16::splat(b','))
        | is_between(octets, b':', b'>')
        | lower.simd_eq(u8x16::splat(b'{'))
        | lower.simd_eq(u8x16::splat(b'}'))
}

/// Which octets are letters or digits.
#[inline(always)]
fn is_alphanumeric(octets: u8x16) -> u8x16 {
    let lower = octets | u8x16::splat(0x20);
    is_between(lower, b'a', b'z') | is_between(octets, b'0', b'9')
}

/// Which octets are from `first` to `last`, on the circle of all octets.
#[inline(always)]
fn is_between(octets: u8x16, first: u8, last: u8) -> u8x16 {
    // Turned so that `last` is the highest signed number: a single comparison.
    let turned = (octets + u8x16::splat(0x7f_u8.wrapping_sub(last))).cast_signed();
    let below =
        i8x16::splat(0x7f_i8.wrapping_sub(last.wrapping_sub(first).wrapping_add(1).cast_signed()));
    turned.simd_gt(below).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lex::{class, classes};

    #[test]
    fn marks_and_the_table_of_classes_agree() {
        let octets: Vec<u8> = (0..=u8::MAX).collect();
        for (at, octet) in octets.iter().enumerate() {
            let marks = marks_of(&octets, at);
            let is_safe = classes(*octet) & class::SAFE != 0;
            let is_alphanumeric = classes(*octet) & class::ALNUM != 0;
            assert_eq!(marks.stops & 1 == 0, is_safe, "{octet}");
            assert_eq!(marks.others & 1 == 0, is_alphanumeric, "{octet}");
            assert_eq!(marks.stops & !marks.others, 0, "{octet}");
        }
    }

    #[test]
    fn every_place_has_its_bit_and_behind_the_end_all_stop() {
        for length in 0..3 * WINDOW_OCTETS {
            let mut text = vec![b'a'; length];
            for (at, octet) in text.iter_mut().enumerate() {
                *octet = if at % 3 == 1 { b',' } else { b'a' };
            }
            for from in 0..=length {
                let marks = marks_of(&text, from);
                for bit in 0..WINDOW_OCTETS {
                    let is_marked = text.get(from + bit).is_none_or(|c| *c == b',');
                    assert_eq!(
                        marks.stops >> bit & 1 == 1,
                        is_marked,
                        "{bit} from {from} of {length}"
                    );
                    assert_eq!(
                        marks.others >> bit & 1 == 1,
                        is_marked,
                        "{bit} from {from} of {length}"
                    );
                }
            }
        }
    }
}
