//! The Byte-Range header field.

/// The octets a chunk covers, as carried in `Byte-Range: start-end/total`.
///
/// Wire positions are **1-based and inclusive** (RFC 4975 section 7.1.1); everything else in this
/// crate is 0-based and half-open. This type is the only place where the two meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// 0-based. Invariant: below `u64::MAX`, and not above `end` or `total` when they are known.
    offset: u64,
    /// One past the last octet; `None` for `*`. Invariant: not above `total` when both are known.
    end: Option<u64>,
    /// `None` for `*`.
    total: Option<u64>,
}

/// Why a Byte-Range is unusable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ByteRangeError {
    /// Not `start-end/total`.
    #[error("Byte-Range is not start-end/total in digits")]
    Syntax,
    /// A number needs more than 64 bits.
    #[error("a number in Byte-Range needs more than 64 bits")]
    Overflow,
    /// Positions count from one.
    #[error("Byte-Range starts at 0, but the first octet is 1")]
    StartsAtZero,
    /// The end lies more than one octet before the start.
    #[error("Byte-Range ends before it starts")]
    Inverted,
    /// The start or the end lies beyond the total.
    #[error("Byte-Range reaches beyond its total")]
    BeyondTotal,
}

impl ByteRange {
    /// A range from the 0-based `offset` up to, not including, `end`, of a message of `total`
    /// octets; `None` stands for `*`.
    ///
    /// # Errors
    ///
    /// [`ByteRangeError::Inverted`], [`ByteRangeError::BeyondTotal`], or
    /// [`ByteRangeError::Overflow`] when `offset` is `u64::MAX` and has no wire form.
    pub fn new(offset: u64, end: Option<u64>, total: Option<u64>) -> Result<Self, ByteRangeError> {
        if offset == u64::MAX {
            return Err(ByteRangeError::Overflow);
        }
        if end.is_some_and(|end| end < offset) {
            return Err(ByteRangeError::Inverted);
        }
        let reach = end.unwrap_or(offset);
        if total.is_some_and(|total| total < reach) {
            return Err(ByteRangeError::BeyondTotal);
        }
        Ok(Self { offset, end, total })
    }

    /// A whole message of `total` octets in one chunk; prints as `1-0/0` when there are none.
    pub fn whole(total: u64) -> Self {
        Self {
            offset: 0,
            end: Some(total),
            total: Some(total),
        }
    }

    /// Parses a header value, without the name or surrounding blanks (RFC 4975 section 9).
    ///
    /// # Errors
    ///
    /// Every error maps to a 400 response; none is fatal to the connection.
    pub fn parse(value: &[u8]) -> Result<Self, ByteRangeError> {
        let (start, rest) = number(value)?;
        let rest = rest.strip_prefix(b"-").ok_or(ByteRangeError::Syntax)?;
        let (end, rest) = number_or_star(rest)?;
        let rest = rest.strip_prefix(b"/").ok_or(ByteRangeError::Syntax)?;
        let (total, rest) = number_or_star(rest)?;
        if !rest.is_empty() {
            return Err(ByteRangeError::Syntax);
        }
        let offset = start?.checked_sub(1).ok_or(ByteRangeError::StartsAtZero)?;
        Self::new(offset, end.transpose()?, total.transpose()?)
    }

    /// Appends the wire form, for example `1-*/2048`.
    pub fn write(&self, out: &mut Vec<u8>) {
        // From its end, as digits come, and appended in one piece.
        let mut text = [0; RANGE_BYTES_MAX];
        let at = put_number_or_star(&mut text, RANGE_BYTES_MAX, self.total);
        let at = put(&mut text, at, b'/');
        let at = put_number_or_star(&mut text, at, self.end);
        let at = put(&mut text, at, b'-');
        let at = put_number(&mut text, at, self.offset + 1);
        out.extend_from_slice(&text[at..]);
    }

    /// The 0-based position of the first octet.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// One past the 0-based position of the last octet; `None` for `*`.
    pub fn end(&self) -> Option<u64> {
        self.end
    }

    /// The size of the whole message in octets; `None` for `*`. A claim, never to be allocated.
    pub fn total(&self) -> Option<u64> {
        self.total
    }
}

/// So many digits always fit 64 bits.
const DIGITS_SAFE: usize = 19;

/// A number, or that it is too large: the syntax of what follows is judged first.
type Number = Result<u64, ByteRangeError>;

/// Splits digits off the front.
fn number(text: &[u8]) -> Result<(Number, &[u8]), ByteRangeError> {
    let (mut value, mut rest) = (0_u64, text);
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        // Only few digits come without checks; more are counted again below.
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        rest = after;
    }
    let digits = &text[..text.len() - rest.len()];
    let value = match digits.len() {
        0 => return Err(ByteRangeError::Syntax),
        1..=DIGITS_SAFE => Ok(value),
        _ => checked(digits).ok_or(ByteRangeError::Overflow),
    };
    Ok((value, rest))
}

fn checked(digits: &[u8]) -> Option<u64> {
    let add = |value: u64, digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0'));
    digits.iter().try_fold(0, add)
}

fn number_or_star(text: &[u8]) -> Result<(Option<Number>, &[u8]), ByteRangeError> {
    match text {
        [b'*', rest @ ..] => Ok((None, rest)),
        _ => number(text).map(|(number, rest)| (Some(number), rest)),
    }
}

/// Three numbers and what stands between them, octets.
const RANGE_BYTES_MAX: usize = 3 * 20 + 2;

/// Writes in front of `at`; where that begins.
#[inline]
fn put_number_or_star(text: &mut [u8; RANGE_BYTES_MAX], at: usize, value: Option<u64>) -> usize {
    match value {
        Some(value) => put_number(text, at, value),
        None => put(text, at, b'*'),
    }
}

#[inline]
fn put_number(text: &mut [u8; RANGE_BYTES_MAX], mut at: usize, mut value: u64) -> usize {
    loop {
        let digit = u8::try_from(value % 10).expect("a remainder of ten fits");
        at = put(text, at, b'0' + digit);
        value /= 10;
        if value == 0 {
            return at;
        }
    }
}

#[inline]
fn put(text: &mut [u8; RANGE_BYTES_MAX], at: usize, octet: u8) -> usize {
    text[at - 1] = octet;
    at - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(value: &[u8], expected: Result<(u64, Option<u64>, Option<u64>), ByteRangeError>) {
        let parsed = ByteRange::parse(value).map(|r| (r.offset(), r.end(), r.total()));
        assert_eq!(parsed, expected, "{}", value.escape_ascii());
    }

    // MSRP-HDR-009, MSRP-SEND-010.
    #[test]
    fn wire_positions_become_half_open_offsets() {
        check(b"1-*/*", Ok((0, None, None)));
        check(b"1-*/8", Ok((0, None, Some(8))));
        check(b"1-8/8", Ok((0, Some(8), Some(8))));
        check(b"5-8/*", Ok((4, Some(8), None)));
        check(b"5-5/8", Ok((4, Some(5), Some(8))));
        check(b"1-0/0", Ok((0, Some(0), Some(0))));
        check(b"9-8/8", Ok((8, Some(8), Some(8))));
        check(b"9-*/8", Ok((8, None, Some(8))));
        check(b"001-008/0008", Ok((0, Some(8), Some(8))));
        check(b"18446744073709551615-*/*", Ok((u64::MAX - 1, None, None)));
        check(b"1-18446744073709551615/*", Ok((0, Some(u64::MAX), None)));
    }

    // MSRP-SEC-004.
    #[test]
    fn contradictions_are_refused() {
        check(b"0-8/8", Err(ByteRangeError::StartsAtZero));
        check(b"5-3/8", Err(ByteRangeError::Inverted));
        check(b"1-9/8", Err(ByteRangeError::BeyondTotal));
        check(b"10-*/8", Err(ByteRangeError::BeyondTotal));
        check(b"18446744073709551616-*/*", Err(ByteRangeError::Overflow));
        check(b"1-18446744073709551616/*", Err(ByteRangeError::Overflow));
        check(b"1-*/99999999999999999999", Err(ByteRangeError::Overflow));
    }

    #[test]
    fn other_shapes_are_refused() {
        for value in [
            "",
            "-",
            "/",
            "-/",
            "1",
            "1-8",
            "1-8/",
            "1/8",
            "1/8-8",
            "-8/8",
            "*-8/8",
            "1-/8",
            "1-8/8 ",
            " 1-8/8",
            "1 -8/8",
            "1- 8/8",
            "1-8/8/8",
            "1-0x8/8",
            "1-**/8",
            "1-8/-8",
            "+1-8/8",
            "1--8/8",
            "\u{661}-8/8",
        ] {
            check(value.as_bytes(), Err(ByteRangeError::Syntax));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_parses_back(
            offset in 0..u64::MAX, length in proptest::option::of(any::<u32>()),
            beyond in proptest::option::of(any::<u32>()),
        ) {
            let end = length.map(|length| offset.saturating_add(u64::from(length)));
            let total = beyond.map(|beyond| end.unwrap_or(offset).saturating_add(u64::from(beyond)));
            let range = ByteRange::new(offset, end, total).expect("built in order");
            let mut wire = Vec::new();
            range.write(&mut wire);
            prop_assert_eq!(ByteRange::parse(&wire), Ok(range));
        }

        #[test]
        fn any_octets_parse_or_fail(value in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(range) = ByteRange::parse(&value) {
                prop_assert!(range.end().is_none_or(|end| end >= range.offset()));
                prop_assert!(range.total().is_none_or(|total| total >= range.offset()));
            }
        }
    }
}
