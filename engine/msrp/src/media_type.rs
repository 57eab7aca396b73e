//! The value of Content-Type.

use crate::head::trim;
use crate::octet;

/// Takes the quotes off a media type that was quoted whole, as TS 24.247 A.5 prints it.
pub(crate) fn unquote(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] if !inner.contains(&b'"') => trim(inner),
        _ => value,
    }
}

/// Whether `value` is `token/token` and parameters, with blanks allowed round each `;` (RFC 4975
/// section 9; the blanks are outside its grammar but common).
pub(crate) fn is_media_type(value: &[u8]) -> bool {
    let Some(rest) = strip_token(value) else {
        return false;
    };
    let Some(rest) = rest.strip_prefix(b"/").and_then(strip_token) else {
        return false;
    };
    are_parameters(rest)
}

fn are_parameters(mut rest: &[u8]) -> bool {
    loop {
        rest = trim(rest);
        if rest.is_empty() {
            return true;
        }
        let Some(after) = rest.strip_prefix(b";").map(trim).and_then(strip_token) else {
            return false;
        };
        rest = match after.strip_prefix(b"=") {
            None => after,
            Some(value) => match strip_token(value).or_else(|| strip_quoted(value)) {
                Some(after) => after,
                None => return false,
            },
        };
    }
}

fn strip_token(text: &[u8]) -> Option<&[u8]> {
    let is_token = |octet: &&u8| octet::is(**octet, octet::TOKEN);
    let bytes = text.iter().take_while(is_token).count();
    (bytes > 0).then(|| &text[bytes..])
}

fn strip_quoted(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text.strip_prefix(b"\"")?;
    loop {
        rest = match rest {
            [b'"', after @ ..] => return Some(after),
            [b'\\', _, after @ ..] | [_, after @ ..] => after,
            [] => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // MSRP-HDR-015.
    #[test]
    fn media_types_are_recognised_with_their_parameters() {
        for value in [
            "text/plain",
            "message/cpim",
            "TEXT/x-a.b+c",
            "text/plain;charset=utf-8",
            "text/plain ; charset=utf-8 ;x",
            "a/b;c=\"d \\\" ;e\";f=g",
        ] {
            assert!(is_media_type(value.as_bytes()), "{value}");
        }
        for value in [
            "",
            "text",
            "text/",
            "/plain",
            "text /plain",
            "text/plain;",
            "text/plain;=x",
            "text/plain;a=",
            "text/plain;a=\"x",
            "text/plain x",
            "\"text/plain\"",
            "text/plain/x",
        ] {
            assert!(!is_media_type(value.as_bytes()), "{value}");
        }
    }

    #[test]
    fn only_quotes_round_the_whole_value_come_off() {
        assert_eq!(unquote(b"\"text/plain\""), b"text/plain");
        assert_eq!(unquote(b"text/plain"), b"text/plain");
        assert_eq!(unquote(b"\"a/b\";c=\"d\""), b"\"a/b\";c=\"d\"");
        assert_eq!(unquote(b"\""), b"\"");
    }
}
