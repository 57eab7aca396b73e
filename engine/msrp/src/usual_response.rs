//! Responses as nearly everybody writes them: success, and the two paths of one URI each. Each delivery
//! may bring one, so they are read without the machinery for heads; any other goes the long way, which
//! comes to the same.

use crate::deframe::Flag;
use crate::head::{Head, Start, StatusCode};
use crate::head_parse::Known;
use crate::ident::is_ident;
use crate::limits::{IDENT_BYTES_MAX, Limits};
use crate::start_line::MAGIC;

/// What follows the transaction id.
const OK: &[u8] = b" 200 OK\r\n";

/// The head, and the length of the whole frame with its end-line.
pub(crate) fn read<'a>(text: &'a [u8], limits: &Limits) -> Option<(Head<'a>, usize)> {
    let window = &text[..text.len().min(MAGIC.len() + IDENT_BYTES_MAX + OK.len())];
    let (start_line, lines) = text.split_at(memchr::memchr(b'\n', window)? + 1);
    // Of requests, most of which are none of this, no more is looked at.
    let transaction_id = start_line.strip_suffix(OK)?.strip_prefix(MAGIC)?;
    let (to_path, rest) = path(lines.strip_prefix(b"To-Path: ")?)?;
    let (from_path, rest) = path(rest.strip_prefix(b"From-Path: ")?)?;
    let end = rest
        .strip_prefix(b"-------")?
        .strip_prefix(transaction_id)?;
    let end = end.strip_prefix(&[Flag::Complete.as_byte(), b'\r', b'\n'])?;
    let head_bytes = text.len() - rest.len();
    let is_within = head_bytes <= bound(limits.head_bytes_max)
        && start_line.len() - 2 <= bound(limits.start_line_bytes_max)
        && limits.headers_max >= 2
        && limits.path_uris_max >= 1;
    if !is_within || !is_ident(transaction_id) {
        return None;
    }
    let head = head(
        transaction_id,
        (to_path, from_path),
        &text[..head_bytes],
        start_line.len(),
    );
    Some((head, text.len() - end.len()))
}

/// The head of such a response.
#[inline]
pub(crate) fn head<'a>(
    transaction_id: &'a [u8],
    (to_path, from_path): (&'a [u8], &'a [u8]),
    text: &'a [u8],
    start_line_bytes: usize,
) -> Head<'a> {
    Head {
        transaction_id,
        start: Start::Response {
            status: StatusCode::OK,
            comment: b"OK",
        },
        to_path,
        from_path,
        text,
        start_line_bytes,
        seen: Known::ToPath.bit() | Known::FromPath.bit(),
        ..Head::EMPTY
    }
}

/// A path of one URI at the front of `text`, and what follows its line.
fn path(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let line_feed = memchr::memchr(b'\n', text)?;
    let (line, rest) = text.split_at(line_feed + 1);
    let path = line.strip_suffix(b"\r\n")?;
    // Arithmetic without an early exit compiles to wide compares.
    let has_other = path.iter().fold(false, |found, &octet| {
        found | (octet <= b' ') | (octet == 0x7f)
    });
    (!path.is_empty() && !has_other).then_some((path, rest))
}

fn bound(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::deframe::{Deframer, Item};
    use crate::head_parse::{self, After};

    const USUAL: &str = "MSRP t1t1 200 OK\r\nTo-Path: msrp://a:1/x;tcp\r\n\
        From-Path: msrp://b:2/y;tcp\r\n-------t1t1$\r\n";

    /// The head as it is read the long way.
    fn long_way<'a>(text: &'a [u8], limits: &Limits) -> Head<'a> {
        let end = memchr::memmem::find(text, b"\r\n-------").expect("an end-line") + 2;
        head_parse::parse(&text[..end], After::EndLine(Flag::Complete), limits).expect("a head")
    }

    #[test]
    fn it_is_read_as_the_long_way_reads_it() {
        let limits = Limits::default();
        let text = format!("{USUAL}MSRP");
        let (head, bytes) = read(text.as_bytes(), &limits).expect("a usual one");
        assert_eq!(head, long_way(text.as_bytes(), &limits));
        assert_eq!(bytes, USUAL.len());
        let mut deframer = Deframer::default();
        let step = deframer.next(text.as_bytes()).expect("framed");
        assert_eq!((step.consumed, step.item), (bytes, Some(Item::Head(head))));
        let step = deframer.next(b"MSRP").expect("framed");
        assert_eq!(step.item, Some(Item::End(Flag::Complete)));
    }

    #[test]
    fn whatever_is_unusual_or_passes_a_limit_goes_the_long_way() {
        let limits = Limits::default();
        for (part, other) in [
            ("200 OK", "200"),
            ("200 OK", "413 OK"),
            ("To-Path: ", "To-Path:"),
            ("msrp://a:1/x;tcp", "msrp://a:1/x;tcp msrp://c:1/z;tcp"),
            ("msrp://a:1/x;tcp", "msrp://a:1/x;\ttcp"),
            ("msrp://a:1/x;tcp", ""),
            ("-------t1t1", "Status: 000 200\r\n-------t1t1"),
            ("-------t1t1", "-------t1t2"),
            ("t1t1$", "t1t1+"),
            ("MSRP t1t1", "MSRP t1,1"),
            ("$\r\n", "$\r"),
        ] {
            let text = USUAL.replace(part, other);
            assert_eq!(read(text.as_bytes(), &limits), None, "{text:?}");
        }
        let head_bytes = u32::try_from(USUAL.len() - "-------t1t1$\r\n".len()).unwrap();
        let start_line_bytes = u32::try_from("MSRP t1t1 200 OK".len()).unwrap();
        let exact = Limits {
            head_bytes_max: head_bytes,
            start_line_bytes_max: start_line_bytes,
            headers_max: 2,
            path_uris_max: 1,
            ..limits
        };
        assert!(read(USUAL.as_bytes(), &exact).is_some());
        for less in [
            Limits {
                head_bytes_max: head_bytes - 1,
                ..exact
            },
            Limits {
                start_line_bytes_max: start_line_bytes - 1,
                ..exact
            },
            Limits {
                headers_max: 1,
                ..exact
            },
            Limits {
                path_uris_max: 0,
                ..exact
            },
        ] {
            assert_eq!(read(USUAL.as_bytes(), &less), None);
        }
    }

    proptest! {
        #[test]
        fn with_any_octet_changed_it_is_read_alike_or_not_at_all(
            at in 0..USUAL.len(), octet in any::<u8>(), cut in 0..USUAL.len(),
        ) {
            let limits = Limits::default();
            let mut text = USUAL.as_bytes().to_vec();
            text[at] = octet;
            if let Some((head, bytes)) = read(&text, &limits) {
                prop_assert_eq!(bytes, text.len());
                prop_assert_eq!(head, long_way(&text, &limits));
            }
            prop_assert_eq!(read(&text[..cut], &limits), None);
        }
    }
}
