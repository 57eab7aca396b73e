//! Sequence numbers: they begin anywhere and wrap.

use core::ops::Add;

/// A place in the stream of octets of one direction, SYN and FIN counted (RFC 9293 3.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seq(pub(crate) u32);

impl Seq {
    /// How far it lies behind another; negative if it lies before it.
    pub(crate) fn since(self, other: Self) -> i32 {
        self.0.wrapping_sub(other.0).cast_signed()
    }

    /// The octets from another up to this one; none if it lies before it.
    pub(crate) fn octets_since(self, other: Self) -> usize {
        usize::try_from(self.since(other)).unwrap_or(0)
    }

    pub(crate) fn is_before(self, other: Self) -> bool {
        self.since(other) < 0
    }

    pub(crate) fn later(self, other: Self) -> Self {
        if self.is_before(other) { other } else { self }
    }

    pub(crate) fn earlier(self, other: Self) -> Self {
        if self.is_before(other) { self } else { other }
    }

    pub(crate) fn before(self) -> Self {
        Self(self.0.wrapping_sub(1))
    }
}

impl Add<usize> for Seq {
    type Output = Self;

    fn add(self, octets: usize) -> Self {
        Self(
            self.0
                .wrapping_add(u32::try_from(octets).expect("buffers are far below 4 GiB")),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_compared_across_the_end_of_the_numbers() {
        let (one, two) = (Seq(u32::MAX - 1), Seq(3));
        assert_eq!(one + 5, two);
        assert!(one.is_before(two) && !two.is_before(one) && !one.is_before(one));
        assert_eq!((two.since(one), one.since(two)), (5, -5));
        assert_eq!((two.octets_since(one), one.octets_since(two)), (5, 0));
        assert_eq!((one.later(two), one.earlier(two)), (two, one));
        assert_eq!(Seq(0).before(), Seq(u32::MAX));
    }
}
