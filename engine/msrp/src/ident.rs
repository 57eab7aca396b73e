//! Identifiers: transaction ids, Message-IDs, session-ids.

use crate::end_mark::EndMark;
use crate::limits::{IDENT_BYTES_MAX, IDENT_BYTES_MIN};
use crate::octet;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Base-62 characters that hold 64 bits.
const U64_DIGITS: usize = 11;
/// Base-62 characters that hold 128 bits.
const U128_DIGITS: usize = 22;
/// Characters of a Message-ID: 119 bits.
const MESSAGE_ID_DIGITS: usize = 20;

/// Whether `text` is an `ident`: 4 to 32 octets, a letter or digit first, then letters, digits or
/// any of `.-+%=` (RFC 4975 section 9).
pub fn is_ident(text: &[u8]) -> bool {
    (IDENT_BYTES_MIN..=IDENT_BYTES_MAX).contains(&text.len())
        && octet::is(text[0], octet::ALPHANUMERIC)
        && octet::all(text, octet::IDENT)
}

/// The `ident` at the front of `text`, and the rest: as long a one as there can be.
#[inline]
pub(crate) fn split_ident(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let window = &text[..text.len().min(IDENT_BYTES_MAX + 1)];
    let bytes = window
        .iter()
        .position(|&octet| !octet::is(octet, octet::IDENT))?;
    let is_one = bytes >= IDENT_BYTES_MIN && octet::is(text[0], octet::ALPHANUMERIC);
    is_one.then(|| text.split_at(bytes))
}

/// A short identifier held in place.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct InlineIdent {
    octets: [u8; IDENT_BYTES_MAX],
    /// 1 to 32.
    bytes: u8,
}

impl InlineIdent {
    /// A copy of `text` when it is an `ident`.
    pub fn new(text: &[u8]) -> Option<Self> {
        is_ident(text).then(|| {
            let mut ident = Self::EMPTY;
            text.iter().for_each(|&octet| ident.push(octet));
            ident
        })
    }

    /// The octets for the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.octets[..usize::from(self.bytes)]
    }

    const EMPTY: Self = Self {
        octets: [0; IDENT_BYTES_MAX],
        bytes: 0,
    };

    fn push(&mut self, octet: u8) {
        self.octets[usize::from(self.bytes)] = octet;
        self.bytes += 1;
    }

    /// Appends the `digits` lowest base-62 digits of `value`, lowest first.
    fn push_base62(&mut self, mut value: u128, digits: usize) {
        for _ in 0..digits {
            let digit = usize::try_from(value % 62).expect("a remainder of 62 fits");
            self.push(BASE62[digit]);
            value /= 62;
        }
    }
}

impl std::fmt::Debug for InlineIdent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "InlineIdent({})", self.as_bytes().escape_ascii())
    }
}

impl AsRef<[u8]> for InlineIdent {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// A transaction id: 11 characters of `random`, then `serial` unless it is zero; 11 to 22
/// characters in all.
///
/// RFC 4975 section 7.1 asks for 64 bits that cannot be guessed. One random number may serve a
/// whole connection when `serial` counts its transactions, since ids only have to be unique there.
pub fn transact_id(random: u64, serial: u64) -> InlineIdent {
    let mut ident = InlineIdent::EMPTY;
    ident.push_base62(u128::from(random), U64_DIGITS);
    let mut serial = serial;
    while serial != 0 {
        ident.push_base62(u128::from(serial), 1);
        serial /= 62;
    }
    ident
}

/// A Message-ID of 20 characters (119 of the 128 bits given).
pub fn message_id(random: [u64; 2]) -> InlineIdent {
    let mut ident = InlineIdent::EMPTY;
    let value = u128::from(random[0]) << 64 | u128::from(random[1]);
    ident.push_base62(value, MESSAGE_ID_DIGITS);
    ident
}

/// A session-id of 22 characters holding all 128 bits; RFC 4975 section 14.1 asks for 80.
pub fn session_id(random: u128) -> InlineIdent {
    let mut ident = InlineIdent::EMPTY;
    ident.push_base62(random, U128_DIGITS);
    ident
}

/// Where seven hyphens and `transaction_id`, an `ident`, first occur in `haystack`, whatever follows
/// them.
///
/// A sender must not let its own end-line occur in the data of a chunk (RFC 4975 section 7.1): on
/// `Some` it picks another id. Data handed over in pieces needs an overlap of 38 octets.
///
/// # Panics
///
/// If the id is longer than [`IDENT_BYTES_MAX`].
pub fn find_end_line_token(haystack: &[u8], transaction_id: &[u8]) -> Option<usize> {
    EndMark::new(transaction_id).find(haystack)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // MSRP-FRAME-002, MSRP-HDR-006.
    #[test]
    fn an_ident_has_4_to_32_characters_of_its_set() {
        for text in [
            "abcd",
            "0...",
            "a-+%",
            "a=.=",
            "abcdefghijklmnopqrstuvwxyz012345",
        ] {
            assert!(is_ident(text.as_bytes()), "{text}");
            assert_eq!(
                InlineIdent::new(text.as_bytes()).unwrap().as_bytes(),
                text.as_bytes()
            );
        }
        for text in ["", "abc", ".abc", "-abc", "ab_c", "ab c", "abcé"] {
            assert!(!is_ident(text.as_bytes()), "{text}");
        }
        assert!(!is_ident(&[b'a'; 33]));
        assert_eq!(InlineIdent::new(b"abc"), None);
    }

    // MSRP-TX-001, MSRP-URI-020.
    #[test]
    fn made_identifiers_have_their_promised_length() {
        for (ident, bytes) in [
            (transact_id(0, 0), 11),
            (transact_id(u64::MAX, 0), 11),
            (transact_id(u64::MAX, 1), 12),
            (transact_id(u64::MAX, 62), 13),
            (transact_id(u64::MAX, u64::MAX), 22),
            (message_id([0, 0]), 20),
            (message_id([u64::MAX, u64::MAX]), 20),
            (session_id(0), 22),
            (session_id(u128::MAX), 22),
        ] {
            assert_eq!(ident.as_bytes().len(), bytes, "{ident:?}");
            assert!(is_ident(ident.as_bytes()), "{ident:?}");
        }
    }

    // MSRP-FRAME-013.
    #[test]
    fn the_token_is_found_only_behind_seven_hyphens() {
        let find = |text: &str| find_end_line_token(text.as_bytes(), b"abcd");
        assert_eq!(find("-------abcd"), Some(0));
        assert_eq!(find("x--------abcdy"), Some(2));
        assert_eq!(find("abcd------abcd-------abcd+"), Some(14));
        assert_eq!(find("------abcd"), None);
        assert_eq!(find("-------abce"), None);
        assert_eq!(find("abcd"), None);
        assert_eq!(find(""), None);
    }

    proptest! {
        #[test]
        fn the_token_search_agrees_with_a_window_walk(text in "[-a]{0,60}") {
            let slow = text.as_bytes().windows(11).position(|window| window == b"-------aaaa");
            prop_assert_eq!(find_end_line_token(text.as_bytes(), b"aaaa"), slow);
        }

        #[test]
        fn different_inputs_make_different_identifiers(a: (u64, u64), b: (u64, u64)) {
            prop_assert_eq!(a == b, transact_id(a.0, a.1) == transact_id(b.0, b.1));
        }
    }
}
