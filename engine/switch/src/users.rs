//! URIs of users, as far as it takes to tell whether two are the same.

/// Who wants to stay anonymous may call itself so (RFC 3323 4.1.1.3): an address of nobody.
pub(crate) const NOBODY: &[u8] = b"sip:anonymous@anonymous.invalid";

/// Whether a URI is one of a list that blanks keep apart.
pub(crate) fn is_one_of(uri: &[u8], list: &str) -> bool {
    let mut list = list.split_ascii_whitespace();
    list.any(|known| is_same_user(known.as_bytes(), uri))
}

/// Whether two SIP, tel or IM URIs name the same user: schemes and hosts compare without case, users
/// with it, visual separators of telephone numbers and all parameters do not count (RFC 3261
/// 19.1.4, RFC 3966 5).
pub(crate) fn is_same_user(a: &[u8], b: &[u8]) -> bool {
    if a == b {
        return true;
    }
    let (Some((scheme_a, a)), Some((scheme_b, b))) = (split(a), split(b)) else {
        return false;
    };
    if !scheme_a.eq_ignore_ascii_case(scheme_b) {
        return false;
    }
    if scheme_a.eq_ignore_ascii_case(b"tel") {
        return digits(a).eq(digits(b));
    }
    let (user_a, host_a) = user_and_host(a);
    let (user_b, host_b) = user_and_host(b);
    user_a == user_b && host_a.eq_ignore_ascii_case(host_b)
}

/// Scheme, and the rest without parameters and headers.
fn split(uri: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', uri)?;
    let rest = &uri[colon + 1..];
    // A user may hold both characters (RFC 3261 25.1).
    let host = memchr::memrchr(b'@', rest).map_or(0, |at| at + 1);
    let end = memchr::memchr2(b';', b'?', &rest[host..]).map_or(rest.len(), |at| host + at);
    Some((&uri[..colon], &rest[..end]))
}

fn user_and_host(rest: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memrchr(b'@', rest) {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => (&[], rest),
    }
}

fn digits(number: &[u8]) -> impl Iterator<Item = u8> {
    let is_visual = |c: &u8| matches!(c, b'-' | b'.' | b'(' | b')');
    let digits = number.iter().copied().filter(move |c| !is_visual(c));
    digits.map(|c| c.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(a: &str, b: &str, is_same: bool) {
        assert_eq!(is_same_user(a.as_bytes(), b.as_bytes()), is_same, "{a} {b}");
        assert_eq!(is_same_user(b.as_bytes(), a.as_bytes()), is_same, "{b} {a}");
    }

    #[test]
    fn uris_of_one_user_are_the_same_however_they_are_written() {
        check("sip:a@b.example", "sip:a@b.example", true);
        check("sip:a@b.example", "SIP:a@B.Example;transport=tcp?x=y", true);
        check("sip:a@b.example", "sip:A@b.example", false);
        check("sip:a@b.example", "sip:a@b.example:5060", false);
        check("sip:a@b.example", "sips:a@b.example", false);
        check("sip:a@b.example", "im:a@b.example", false);
        check("sip:a;x=y@b.example", "sip:a@b.example", false);
        check("tel:+1-201-555-0123", "tel:+12015550123", true);
        check(
            "tel:+1(201)555.0123",
            "TEL:+12015550123;phone-context=x",
            true,
        );
        check("tel:+12015550123", "tel:+12015550124", false);
        check("urn:x", "urn:x", true);
        check("nothing", "nothing", true);
        check("nothing", "other", false);
        assert!(is_one_of(b"tel:+1", "sip:a@b tel:+1"));
        assert!(!is_one_of(b"tel:+2", "sip:a@b tel:+1"));
        assert!(!is_one_of(b"tel:+2", ""));
    }
}
