//! Printing frames.
//!
//! All functions append to `out` and allocate only when it must grow. They print exactly one blank
//! after each colon, the registered spelling of names, and nothing that a strict receiver refuses;
//! callers pass idents and paths that are valid already.

use crate::byte_range::ByteRange;
use crate::deframe::Flag;
use crate::head::{FailureReport, StatusCode};

/// A complete response (RFC 4975 section 7.2).
///
/// To a SEND, `to_path` is the leftmost From-Path URI only; to any other request the whole
/// From-Path. `from_path` is the own URI.
pub fn response(
    out: &mut Vec<u8>,
    transaction_id: &[u8],
    status: StatusCode,
    to_path: &[u8],
    from_path: &[u8],
) {
    put(out, &[b"MSRP ", transaction_id, b" ", &status.digits()]);
    if !status.phrase().is_empty() {
        put(out, &[b" ", status.phrase().as_bytes()]);
    }
    put(out, &[b"\r\n"]);
    paths(out, to_path, from_path);
    end_line(out, transaction_id, Flag::Complete);
}

/// An end-line: seven hyphens, the id, the flag, CRLF.
///
/// With a body, write a CRLF first (or call [`body_end_line`]); it belongs to the framing, not to
/// the body.
#[inline]
pub fn end_line(out: &mut Vec<u8>, transaction_id: &[u8], flag: Flag) {
    put(
        out,
        &[b"-------", transaction_id, &[flag.as_byte()], b"\r\n"],
    );
}

/// The CRLF that ends a body, and the end-line.
pub fn body_end_line(out: &mut Vec<u8>, transaction_id: &[u8], flag: Flag) {
    put(out, &[b"\r\n"]);
    end_line(out, transaction_id, flag);
}

/// The start line and paths of a SEND. Further fields, a blank line, the body and
/// [`body_end_line`] follow, or [`end_line`] at once.
pub fn send_start(out: &mut Vec<u8>, transaction_id: &[u8], to_path: &[u8], from_path: &[u8]) {
    request_start(out, transaction_id, b"SEND", to_path, from_path);
}

/// The start line of a SEND. [`paths`] follow.
#[inline]
pub fn send_line(out: &mut Vec<u8>, transaction_id: &[u8]) {
    put(out, &[b"MSRP ", transaction_id, b" SEND\r\n"]);
}

/// Puts a transaction id in the place of another of the same length, in octets that begin with a
/// [`send_line`].
///
/// # Panics
///
/// If there is no room for one of that length.
#[inline]
pub fn rename_send_line(octets: &mut [u8], transaction_id: &[u8]) {
    let at = b"MSRP ".len();
    octets[at..at + transaction_id.len()].copy_from_slice(transaction_id);
}

/// The same in octets that end with an [`end_line`].
///
/// # Panics
///
/// If there is no room for one of that length.
#[inline]
pub fn rename_end_line(octets: &mut [u8], transaction_id: &[u8]) {
    let end = octets.len() - b"$\r\n".len();
    octets[end - transaction_id.len()..end].copy_from_slice(transaction_id);
}

/// The To-Path and From-Path fields, which begin every head.
pub fn paths(out: &mut Vec<u8>, to_path: &[u8], from_path: &[u8]) {
    field(out, b"To-Path", to_path);
    field(out, b"From-Path", from_path);
}

/// The start line and paths of a request with any method.
pub fn request_start(
    out: &mut Vec<u8>,
    transaction_id: &[u8],
    method: &[u8],
    to_path: &[u8],
    from_path: &[u8],
) {
    put(
        out,
        &[
            b"MSRP ",
            transaction_id,
            b" ",
            method,
            b"\r\nTo-Path: ",
            to_path,
            b"\r\nFrom-Path: ",
            from_path,
            b"\r\n",
        ],
    );
}

/// A complete REPORT (RFC 4975 section 7.1.2): `status` is the fate of the octets in `range` of
/// the message `message_id`.
pub fn report(
    out: &mut Vec<u8>,
    transaction_id: &[u8],
    to_path: &[u8],
    from_path: &[u8],
    message_id: &[u8],
    range: ByteRange,
    status: StatusCode,
) {
    request_start(out, transaction_id, b"REPORT", to_path, from_path);
    field(out, b"Message-ID", message_id);
    byte_range(out, range);
    put(out, &[b"Status: 000 ", &status.digits()]);
    if !status.phrase().is_empty() {
        put(out, &[b" ", status.phrase().as_bytes()]);
    }
    put(out, &[b"\r\n"]);
    end_line(out, transaction_id, Flag::Complete);
}

/// One header field.
pub fn field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    put(out, &[name, b": ", value, b"\r\n"]);
}

/// The Byte-Range header field.
pub fn byte_range(out: &mut Vec<u8>, range: ByteRange) {
    put(out, &[b"Byte-Range: "]);
    range.write(out);
    put(out, &[b"\r\n"]);
}

/// The head of a SEND, for endpoints.
///
/// With a Content-Type a body follows, and [`body_end_line`]; without, [`end_line`] at once.
#[derive(Debug, Clone, Copy)]
pub struct SendHead<'a> {
    transaction_id: &'a [u8],
    to_path: &'a [u8],
    from_path: &'a [u8],
    message_id: &'a [u8],
    byte_range: Option<ByteRange>,
    success_report: bool,
    failure_report: FailureReport,
    content_type: Option<&'a [u8]>,
}

impl<'a> SendHead<'a> {
    /// A head without optional fields. `to_path` is the peer's whole path, next hop first.
    pub fn new(
        transaction_id: &'a [u8],
        to_path: &'a [u8],
        from_path: &'a [u8],
        message_id: &'a [u8],
    ) -> Self {
        Self {
            transaction_id,
            to_path,
            from_path,
            message_id,
            byte_range: None,
            success_report: false,
            failure_report: FailureReport::default(),
            content_type: None,
        }
    }

    /// Says which octets of the message the chunk carries.
    #[must_use]
    pub fn byte_range(self, range: ByteRange) -> Self {
        Self {
            byte_range: Some(range),
            ..self
        }
    }

    /// Asks for a REPORT on success.
    #[must_use]
    pub fn success_report(self, wanted: bool) -> Self {
        Self {
            success_report: wanted,
            ..self
        }
    }

    /// Says which failures to tell.
    #[must_use]
    pub fn failure_report(self, wanted: FailureReport) -> Self {
        Self {
            failure_report: wanted,
            ..self
        }
    }

    /// Announces a body of this media type.
    #[must_use]
    pub fn content_type(self, media_type: &'a [u8]) -> Self {
        Self {
            content_type: Some(media_type),
            ..self
        }
    }

    /// Appends the head, with the blank line when a body is announced.
    pub fn write(&self, out: &mut Vec<u8>) {
        send_start(out, self.transaction_id, self.to_path, self.from_path);
        field(out, b"Message-ID", self.message_id);
        if self.success_report {
            field(out, b"Success-Report", b"yes");
        }
        if self.failure_report != FailureReport::default() {
            field(out, b"Failure-Report", self.failure_report.as_bytes());
        }
        if let Some(range) = self.byte_range {
            byte_range(out, range);
        }
        if let Some(media_type) = self.content_type {
            // Content-Type is the last field (RFC 4975 section 9).
            field(out, b"Content-Type", media_type);
            put(out, &[b"\r\n"]);
        }
    }
}

#[inline]
fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::deframe::{Body, Deframer, Item};
    use crate::limits::{Grammar, Limits};

    const TO: &[u8] = b"msrp://a.example:2855/aa;tcp";
    const FROM: &[u8] = b"msrp://b.example:2855/bb;tcp";

    #[track_caller]
    fn check(print: impl FnOnce(&mut Vec<u8>), expected: &str) {
        let mut out = Vec::new();
        print(&mut out);
        assert_eq!(
            out.escape_ascii().to_string(),
            expected.as_bytes().escape_ascii().to_string()
        );
    }

    // MSRP-TX-010, MSRP-FRAME-019, MSRP-HDR-017.
    #[test]
    fn responses_have_paths_and_nothing_else() {
        check(
            |out| response(out, b"t1t1", StatusCode::OK, TO, FROM),
            "MSRP t1t1 200 OK\r\nTo-Path: msrp://a.example:2855/aa;tcp\r\n\
             From-Path: msrp://b.example:2855/bb;tcp\r\n-------t1t1$\r\n",
        );
        let unnamed = StatusCode::new(299).unwrap();
        check(
            |out| response(out, b"t1t1", unnamed, b"x", b"y"),
            "MSRP t1t1 299\r\nTo-Path: x\r\nFrom-Path: y\r\n-------t1t1$\r\n",
        );
    }

    // MSRP-RPT-006, MSRP-RPT-008.
    #[test]
    fn reports_name_the_octets_they_cover() {
        let range = ByteRange::new(0, Some(4), Some(8)).unwrap();
        check(
            |out| {
                report(
                    out,
                    b"t1t1",
                    b"x",
                    b"y",
                    b"m1m1",
                    range,
                    StatusCode::STOP_SENDING,
                )
            },
            "MSRP t1t1 REPORT\r\nTo-Path: x\r\nFrom-Path: y\r\nMessage-ID: m1m1\r\n\
             Byte-Range: 1-4/8\r\nStatus: 000 413 Stop Sending\r\n-------t1t1$\r\n",
        );
    }

    #[test]
    fn a_frame_under_another_id_is_what_is_written_with_it() {
        let written = |id: &[u8]| {
            let mut out = Vec::new();
            send_line(&mut out, id);
            paths(&mut out, TO, FROM);
            end_line(&mut out, id, Flag::More);
            out
        };
        let mut renamed = written(b"t1t1");
        rename_send_line(&mut renamed, b"u2u2");
        rename_end_line(&mut renamed, b"u2u2");
        assert_eq!(renamed, written(b"u2u2"));
    }

    #[test]
    fn send_heads_print_only_what_differs_from_the_default() {
        check(
            |out| {
                SendHead::new(b"t1t1", b"x", b"y", b"m1m1").write(out);
                end_line(out, b"t1t1", Flag::Complete);
            },
            "MSRP t1t1 SEND\r\nTo-Path: x\r\nFrom-Path: y\r\nMessage-ID: m1m1\r\n-------t1t1$\r\n",
        );
        check(
            |out| {
                SendHead::new(b"t1t1", b"x", b"y", b"m1m1")
                    .byte_range(ByteRange::whole(2))
                    .success_report(true)
                    .failure_report(FailureReport::Partial)
                    .content_type(b"text/plain")
                    .write(out);
                out.extend_from_slice(b"hi");
                body_end_line(out, b"t1t1", Flag::More);
            },
            "MSRP t1t1 SEND\r\nTo-Path: x\r\nFrom-Path: y\r\nMessage-ID: m1m1\r\n\
             Success-Report: yes\r\nFailure-Report: partial\r\nByte-Range: 1-2/2\r\n\
             Content-Type: text/plain\r\n\r\nhi\r\n-------t1t1+\r\n",
        );
    }

    proptest! {
        // MSRP-HDR-002, MSRP-HDR-003, MSRP-HDR-014.
        #[test]
        fn a_strict_deframer_reads_back_what_was_written(
            body in proptest::collection::vec(any::<u8>(), 0..200), offset in 0..u64::MAX,
            success in any::<bool>(), failure in 0..3_usize, id in "[a-zA-Z0-9][a-zA-Z0-9.+%=-]{3,31}",
        ) {
            let failure = [FailureReport::Yes, FailureReport::Partial, FailureReport::No][failure];
            let range = ByteRange::new(offset, None, None).expect("in order");
            let mut wire = Vec::new();
            SendHead::new(id.as_bytes(), TO, FROM, id.as_bytes())
                .byte_range(range)
                .success_report(success)
                .failure_report(failure)
                .content_type(b"a/b")
                .write(&mut wire);
            let head_bytes = wire.len();
            wire.extend_from_slice(&body);
            body_end_line(&mut wire, id.as_bytes(), Flag::More);

            let limits = Limits { grammar: Grammar::Strict, ..Limits::default() };
            let mut deframer = Deframer::new(limits);
            let step = deframer.next(&wire).expect("framed");
            prop_assert_eq!(step.consumed, head_bytes);
            let Some(Item::Head(head)) = step.item else { panic!("a head comes first") };
            prop_assert_eq!(head.fault, None);
            prop_assert_eq!((head.to_path, head.from_path), (TO, FROM));
            prop_assert_eq!(head.message_id, Some(id.as_bytes()));
            prop_assert_eq!(head.byte_range, Some(range));
            prop_assert_eq!((head.success_report, head.failure_report), (success, failure));
            if !body.is_empty() {
                let step = deframer.next(&wire[head_bytes..]).expect("framed");
                prop_assert_eq!(step.item, Some(Item::Body(Body::Input(0..body.len()))));
            }
            let step = deframer.next(&wire[head_bytes + body.len()..]).expect("framed");
            prop_assert_eq!(step.item, Some(Item::End(Flag::More)));
        }
    }
}
