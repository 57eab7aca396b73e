//! Classes of octets, looked up rather than compared: heads are mostly made of them.

/// Letters and digits.
pub(crate) const ALPHANUMERIC: u8 = 1;
/// `ident` after its first character (RFC 4975 section 9).
pub(crate) const IDENT: u8 = 1 << 1;
/// `token` (RFC 4975 section 9).
pub(crate) const TOKEN: u8 = 1 << 2;
/// Unreserved in URIs (RFC 3986 section 2.3).
pub(crate) const UNRESERVED: u8 = 1 << 3;
/// Session-id (RFC 4975 section 9).
pub(crate) const SESSION_ID: u8 = 1 << 4;
/// A registered name in a URI (RFC 3986 section 3.2.2) but `;`, which ends the authority here.
pub(crate) const NAME: u8 = 1 << 5;
/// Userinfo in a URI (RFC 3986 section 3.2.1).
pub(crate) const USERINFO: u8 = 1 << 6;

static CLASSES: [u8; 256] = classes();

/// Whether `octet` is in `class`.
pub(crate) fn is(octet: u8, class: u8) -> bool {
    CLASSES[usize::from(octet)] & class != 0
}

/// Whether all of `text` is in `class`; also when it is empty.
pub(crate) fn all(text: &[u8], class: u8) -> bool {
    // Without an early exit: faults are rare, and the loop stays simple.
    text.iter()
        .fold(class, |common, &octet| common & CLASSES[usize::from(octet)])
        != 0
}

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut octet = 0;
    while octet < 128_u8 {
        if octet.is_ascii_alphanumeric() {
            classes[octet as usize] =
                ALPHANUMERIC | IDENT | TOKEN | UNRESERVED | SESSION_ID | NAME | USERINFO;
        }
        octet += 1;
    }
    add(&mut classes, b".-+%=", IDENT);
    add(&mut classes, b"!#$%&'*+.^_`{|}~-", TOKEN);
    add(
        &mut classes,
        b"-._~",
        UNRESERVED | SESSION_ID | NAME | USERINFO,
    );
    add(&mut classes, b"+=/", SESSION_ID);
    add(&mut classes, b"%!$&'()*+,=", NAME | USERINFO);
    add(&mut classes, b";:", USERINFO);
    classes
}

const fn add(classes: &mut [u8; 256], octets: &[u8], class: u8) {
    let mut index = 0;
    while index < octets.len() {
        classes[octets[index] as usize] |= class;
        index += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(class: u8, beyond_alphanumeric: &[u8]) {
        for octet in 0..=255_u8 {
            let expected = octet.is_ascii_alphanumeric() || beyond_alphanumeric.contains(&octet);
            assert_eq!(is(octet, class), expected, "{}", octet.escape_ascii());
            assert_eq!(
                all(&[b'a', octet], class),
                expected,
                "{}",
                octet.escape_ascii()
            );
        }
    }

    #[test]
    fn each_class_holds_its_octets_and_no_others() {
        check(ALPHANUMERIC, b"");
        check(IDENT, b".-+%=");
        check(TOKEN, b"!#$%&'*+.^_`{|}~-");
        check(UNRESERVED, b"-._~");
        check(SESSION_ID, b"-._~+=/");
        check(NAME, b"-._~%!$&'()*+,=");
        check(USERINFO, b"-._~%!$&'()*+,=;:");
    }
}
