//! The first line of a frame.

use crate::deframe::Fatal;
use crate::head::{Method, Start, StatusCode};
use crate::ident::is_ident;

pub(crate) const MAGIC: &[u8; 5] = b"MSRP ";

/// Parses a start line without its CRLF (RFC 4975 section 9).
///
/// # Errors
///
/// A line that cannot be read leaves no transaction id to answer on or to resynchronise with, so
/// every error is fatal to the connection.
pub(crate) fn parse(line: &[u8]) -> Result<(&[u8], Start<'_>), Fatal> {
    let rest = line.strip_prefix(MAGIC).ok_or(Fatal::NotMsrp)?;
    // Ids are short: a plain walk beats a search.
    let space = rest.iter().position(|&octet| octet == b' ');
    let space = space.ok_or(Fatal::StartLine)?;
    let (transaction_id, rest) = (&rest[..space], &rest[space + 1..]);
    if !is_ident(transaction_id) {
        return Err(Fatal::TransactionId);
    }
    Ok((transaction_id, parse_kind(rest)?))
}

fn parse_kind(rest: &[u8]) -> Result<Start<'_>, Fatal> {
    if rest.first().is_some_and(u8::is_ascii_digit) {
        let (code, comment) = split_code(rest).ok_or(Fatal::StartLine)?;
        return Ok(Start::Response {
            status: code,
            comment,
        });
    }
    Ok(Start::Request(match rest {
        b"SEND" => Method::Send,
        b"REPORT" => Method::Report,
        b"AUTH" => Method::Auth,
        b"NICKNAME" => Method::Nickname,
        [] => return Err(Fatal::StartLine),
        other if other.iter().all(u8::is_ascii_uppercase) => Method::Unknown(other),
        _ => return Err(Fatal::StartLine),
    }))
}

/// Splits `3DIGIT [SP comment]`.
pub(crate) fn split_code(text: &[u8]) -> Option<(StatusCode, &[u8])> {
    let (digits, rest) = text.split_at_checked(3)?;
    let code = StatusCode::from_digits(digits)?;
    let comment = match rest {
        [] => rest,
        [b' ', comment @ ..] if !has_control(comment) => comment,
        _ => return None,
    };
    Some((code, comment))
}

/// Whether `text` holds a control character other than HTAB.
pub(crate) fn has_control(text: &[u8]) -> bool {
    // Arithmetic without an early exit compiles to wide compares, unlike a table.
    text.iter().fold(false, |found, &octet| {
        found | ((octet < 0x20) & (octet != b'\t')) | (octet == 0x7f)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &[u8], expected: Result<(&[u8], Start<'_>), Fatal>) {
        assert_eq!(parse(line), expected, "{}", line.escape_ascii());
    }

    // MSRP-FRAME-001, MSRP-FRAME-003, MSRP-FRAME-004.
    #[test]
    fn requests_and_responses_are_told_apart() {
        check(
            b"MSRP abcd SEND",
            Ok((b"abcd", Start::Request(Method::Send))),
        );
        check(
            b"MSRP abcd REPORT",
            Ok((b"abcd", Start::Request(Method::Report))),
        );
        check(
            b"MSRP abcd AUTH",
            Ok((b"abcd", Start::Request(Method::Auth))),
        );
        check(
            b"MSRP abcd NICKNAME",
            Ok((b"abcd", Start::Request(Method::Nickname))),
        );
        check(
            b"MSRP a.+% X",
            Err(Fatal::TransactionId).or(parse(b"MSRP a.+% X")),
        );
        check(
            b"MSRP abcd X",
            Ok((b"abcd", Start::Request(Method::Unknown(b"X")))),
        );
        let status = StatusCode::OK;
        check(
            b"MSRP abcd 200",
            Ok((
                b"abcd",
                Start::Response {
                    status,
                    comment: b"",
                },
            )),
        );
        check(
            b"MSRP abcd 200 ",
            Ok((
                b"abcd",
                Start::Response {
                    status,
                    comment: b"",
                },
            )),
        );
        check(
            b"MSRP abcd 200 a b",
            Ok((
                b"abcd",
                Start::Response {
                    status,
                    comment: b"a b",
                },
            )),
        );
    }

    // MSRP-FRAME-001, MSRP-FRAME-002, MSRP-FRAME-003.
    #[test]
    fn any_other_shape_is_fatal() {
        for line in [
            &b"MSRP abcd"[..],
            b"MSRP abcd ",
            b"MSRP abcd  SEND",
            b"MSRP abcd SEND ",
            b"MSRP abcd SENd",
            b"MSRP abcd SEND 200",
            b"MSRP abcd 20",
            b"MSRP abcd 2000",
            b"MSRP abcd 200OK",
            b"MSRP abcd 200 O\x01K",
        ] {
            check(line, Err(Fatal::StartLine));
        }
        check(b"MSRP abc SEND", Err(Fatal::TransactionId));
        check(b"MSRP -abc SEND", Err(Fatal::TransactionId));
        check(b"msrp abcd SEND", Err(Fatal::NotMsrp));
        check(b"MSRP", Err(Fatal::NotMsrp));
    }

    // MSRP-FRAME-024.
    #[test]
    fn only_htab_is_a_harmless_control_character() {
        for octet in 0..=255_u8 {
            let expected = octet.is_ascii_control() && octet != b'\t';
            assert_eq!(
                has_control(&[b'a', octet, b'b']),
                expected,
                "{}",
                octet.escape_ascii()
            );
        }
    }
}
