//! Heads that were read before. A sender writes one SEND like the other, and one answer like the other: but for the
//! transaction id, the Message-ID and the Byte-Range they are the same octets, of which all is known then.
//!
//! ```text
//! MSRP |id| SEND … Message-ID: |id| … Byte-Range: |range| … CRLF CRLF
//!          └───── before ─────┘    └─ between ─┘        └─ after ──┘
//! MSRP |id| 200 OK … -------|id|$ CRLF
//!          └──── before ───┘
//! ```
//!
//! What is read so is what the long way reads; whose head it was does not matter.

use std::ops::Range;

use crate::byte_range::ByteRange;
use crate::deframe::Flag;
use crate::end_mark::HYPHENS;
use crate::head::{FailureReport, Head, Method, Start};
use crate::ident::split_ident;
use crate::limits::{HABIT_BYTES_MAX, Limits};
use crate::start_line::MAGIC;
use crate::usual_response;

const BYTE_RANGE: &[u8] = b"Byte-Range: ";
const SEND: &[u8] = b" SEND";
const OK: &[u8] = b" 200 OK";

/// No Byte-Range of three numbers is longer, octets.
const BYTE_RANGE_BYTES_MAX: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Habit {
    send: Send,
    answer: Answer,
}

/// A SEND.
#[derive(Debug, Default)]
struct Send {
    /// The three parts, one behind the other; empty while nothing is known.
    text: Vec<u8>,
    between_at: usize,
    after_at: usize,
    /// Of the parts.
    to_path: Range<usize>,
    from_path: Range<usize>,
    content_type: Range<usize>,
    success_report: bool,
    failure_report: FailureReport,
    seen: u16,
}

/// A response that says that all is well.
#[derive(Debug, Default)]
struct Answer {
    /// The part; empty while nothing is known.
    text: Vec<u8>,
    to_path: Range<usize>,
    from_path: Range<usize>,
}

impl Habit {
    /// Learns from a SEND that a body follows, if it is written as nearly all are.
    pub(crate) fn learn_send(&mut self, head: &Head<'_>) {
        self.send.text.clear();
        // What other fields hold, nobody looks at here.
        let is_usual = head.is_send() && head.fault.is_none() && !head.has_more_fields();
        let is_short = head.text.len() <= HABIT_BYTES_MAX;
        if is_usual && is_short && self.send.note(head).is_none() {
            self.send.text.clear();
        }
    }

    /// Learns from a response `200 OK` with two paths and nothing else, each of one plain URI.
    pub(crate) fn learn_answer(&mut self, head: &Head<'_>) {
        self.answer.text.clear();
        let is_short = head.text.len() <= HABIT_BYTES_MAX;
        if is_short && self.answer.note(head).is_none() {
            self.answer.text.clear();
        }
    }

    /// A SEND at the front of `text` that is written like the one before and that a body follows, or a whole
    /// response, with the octets it takes: up to the body, or with its end-line.
    #[inline]
    pub(crate) fn read<'a>(&self, text: &'a [u8], limits: &Limits) -> Option<(Head<'a>, usize)> {
        let (transaction_id, rest) = split_ident(text.strip_prefix(MAGIC)?)?;
        let (head, octets) = match rest.get(1)? {
            b'S' => self.send.read(text, transaction_id, rest)?,
            b'2' => self.answer.read(text, transaction_id, rest)?,
            _ => return None,
        };
        let is_within = |octets: usize, max: u32| u32::try_from(octets).is_ok_and(|o| o <= max);
        let is_good = is_within(head.start_line_bytes - 2, limits.start_line_bytes_max)
            && is_within(head.text.len(), limits.head_bytes_max);
        is_good.then_some((head, octets))
    }
}

impl Send {
    /// `None` if something stands elsewhere, or otherwise, than usual.
    fn note(&mut self, head: &Head<'_>) -> Option<()> {
        let text = head.text;
        let before_at = MAGIC.len() + head.transaction_id.len();
        let message_id = place(text, head.message_id?)?;
        let byte_range = byte_range(text, message_id.end)?;
        self.text
            .extend_from_slice(text.get(before_at..message_id.start)?);
        self.between_at = self.text.len();
        self.text
            .extend_from_slice(&text[message_id.end..byte_range.start]);
        self.after_at = self.text.len();
        self.text.extend_from_slice(&text[byte_range.end..]);
        self.text.extend_from_slice(b"\r\n");
        self.to_path = less(place(text, head.to_path)?, before_at)?;
        self.from_path = less(place(text, head.from_path)?, before_at)?;
        let after_by = byte_range.end - self.after_at;
        self.content_type = less(place(text, head.content_type?)?, after_by)?;
        self.success_report = head.success_report;
        self.failure_report = head.failure_report;
        self.seen = head.seen;
        let is_in_place =
            self.from_path.end <= self.between_at && self.after_at <= self.content_type.start;
        is_in_place.then_some(())
    }

    /// `rest` is what follows the transaction id in `text`.
    #[inline]
    fn read<'a>(
        &self,
        text: &'a [u8],
        transaction_id: &'a [u8],
        rest: &'a [u8],
    ) -> Option<(Head<'a>, usize)> {
        let (front, after) = self.text.split_at_checked(self.after_at)?;
        let (before, between) = front.split_at_checked(self.between_at)?;
        if before.is_empty() {
            return None;
        }
        let before_at = text.len() - rest.len();
        let (message_id, rest) = split_ident(rest.strip_prefix(before)?)?;
        let rest = rest.strip_prefix(between)?;
        // So short that a plain walk beats a search.
        let window = &rest[..rest.len().min(BYTE_RANGE_BYTES_MAX)];
        let (range, rest) = rest.split_at(window.iter().position(|&octet| octet == b'\r')?);
        let after_at = text.len() - rest.len();
        let rest = rest.strip_prefix(after)?;
        // Only a body begins with anything but the end-line.
        if *rest.first()? == b'-' {
            return None;
        }
        let head_bytes = text.len() - rest.len();
        let head = Head {
            transaction_id,
            start: Start::Request(Method::Send),
            to_path: moved(text, &self.to_path, before_at),
            from_path: moved(text, &self.from_path, before_at),
            message_id: Some(message_id),
            byte_range: Some(ByteRange::parse(range).ok()?),
            success_report: self.success_report,
            failure_report: self.failure_report,
            content_type: Some(moved(text, &self.content_type, after_at - self.after_at)),
            has_body: true,
            text: &text[..head_bytes - 2],
            start_line_bytes: before_at + SEND.len() + 2,
            seen: self.seen,
            ..Head::EMPTY
        };
        Some((head, head_bytes))
    }
}

impl Answer {
    /// `None` if something stands otherwise than usual.
    fn note(&mut self, head: &Head<'_>) -> Option<()> {
        let before = &head.text[MAGIC.len() + head.transaction_id.len()..];
        self.text.extend_from_slice(before);
        self.text.extend_from_slice(HYPHENS);
        let before_at = head.text.len() - before.len();
        self.to_path = less(place(head.text, head.to_path)?, before_at)?;
        self.from_path = less(place(head.text, head.from_path)?, before_at)?;
        before.starts_with(OK).then_some(())
    }

    /// `rest` is what follows the transaction id in `text`.
    #[inline]
    fn read<'a>(
        &self,
        text: &'a [u8],
        transaction_id: &'a [u8],
        rest: &'a [u8],
    ) -> Option<(Head<'a>, usize)> {
        if self.text.is_empty() {
            return None;
        }
        let before_at = text.len() - rest.len();
        let end = rest.strip_prefix(self.text.as_slice())?;
        let head_bytes = text.len() - end.len() - HYPHENS.len();
        let end = end.strip_prefix(transaction_id)?;
        let end = end.strip_prefix(&[Flag::Complete.as_byte(), b'\r', b'\n'])?;
        let paths = (
            moved(text, &self.to_path, before_at),
            moved(text, &self.from_path, before_at),
        );
        let start_line_bytes = before_at + OK.len() + 2;
        let head =
            usual_response::head(transaction_id, paths, &text[..head_bytes], start_line_bytes);
        Some((head, text.len() - end.len()))
    }
}

/// Where a part of `text` stands in it.
fn place(text: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    let place = start..start + part.len();
    (text.get(place.clone()) == Some(part)).then_some(place)
}

/// Where the value of Byte-Range stands, on one of the lines behind the one that ends at `from`.
fn byte_range(text: &[u8], from: usize) -> Option<Range<usize>> {
    let mut line_at = from + 2;
    loop {
        let line = text.get(line_at..)?;
        let bytes = memchr::memchr(b'\n', line)?;
        if line.starts_with(BYTE_RANGE) && line[..bytes].ends_with(b"\r") {
            return Some(line_at + BYTE_RANGE.len()..line_at + bytes - 1);
        }
        line_at += bytes + 1;
    }
}

fn less(place: Range<usize>, by: usize) -> Option<Range<usize>> {
    Some(place.start.checked_sub(by)?..place.end.checked_sub(by)?)
}

fn moved<'a>(text: &'a [u8], place: &Range<usize>, by: usize) -> &'a [u8] {
    &text[place.start + by..place.end + by]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::deframe::{Deframer, Item};
    use crate::head_parse::{self, After};
    use crate::limits::Grammar;

    const USUAL: &str = "MSRP t1t1 SEND\r\nTo-Path: msrp://a:1/x;tcp\r\nFrom-Path: msrp://b:2/y;tcp\r\n\
        Message-ID: m1m1\r\nByte-Range: 1-5/5\r\nFailure-Report: no\r\nContent-Type: text/plain\r\n\r\n";
    const OTHER: &str = "MSRP another.id SEND\r\nTo-Path: msrp://a:1/x;tcp\r\nFrom-Path: msrp://b:2/y;tcp\r\n\
        Message-ID: another+one\r\nByte-Range: 101-*/*\r\nFailure-Report: no\r\nContent-Type: text/plain\r\n\r\n";

    const ANSWER: &str = "MSRP t1t1 200 OK\r\nTo-Path: msrp://a:1/x;tcp\r\n\
        From-Path: msrp://b:2/y;tcp\r\n-------t1t1$\r\n";

    /// The head as it is read the long way.
    fn long_way<'a>(text: &'a [u8], limits: &Limits) -> Option<Head<'a>> {
        let end = memchr::memmem::find(text, b"\r\n\r\n")? + 2;
        head_parse::parse(&text[..end], After::Body, limits).ok()
    }

    fn habit(text: &str, limits: &Limits) -> Habit {
        let mut habit = Habit::default();
        let head = long_way(text.as_bytes(), limits).expect("a head");
        habit.learn_send(&head);
        habit
    }

    #[test]
    fn a_head_like_the_one_before_is_read_as_the_long_way_reads_it() {
        let limits = Limits::default();
        for (known, next) in [(USUAL, USUAL), (USUAL, OTHER), (OTHER, USUAL)] {
            let text = format!("{next}hello");
            let read = habit(known, &limits).read(text.as_bytes(), &limits);
            let long = long_way(text.as_bytes(), &limits).expect("a head");
            assert_eq!(read, Some((long, next.len())));
        }
        for (part, other) in [
            ("Message-ID: ", "message-id: "),
            ("To-Path: msrp", "To-Path:  msrp"),
            ("text/plain", "\"text/plain\""),
            ("\r\nByte-Range", "\r\nSuccess-Report: yes\r\nByte-Range"),
        ] {
            let (known, text) = (
                USUAL.replace(part, other),
                OTHER.replace(part, other) + "hello",
            );
            let read = habit(&known, &limits).read(text.as_bytes(), &limits);
            let long = long_way(text.as_bytes(), &limits).expect("a head");
            assert_eq!(read, Some((long, text.len() - 5)));
        }
    }

    #[test]
    fn what_is_written_otherwise_or_passes_a_limit_goes_the_long_way() {
        let limits = Limits::default();
        let usual = habit(USUAL, &limits);
        for (part, other) in [
            ("SEND", "SENT"),
            ("a:1/x", "a:1/z"),
            ("t1t1", "t1"),
            ("t1t1", "t1,1"),
            ("t1t1", "t123456789012345678901234567890123"),
            ("m1m1", "m1"),
            ("m1m1", "m1 m1"),
            ("1-5/5", "5"),
            ("1-5/5", "1-5/5 "),
            ("Report: no", "Report: yes"),
            ("text/plain", "text/html"),
            ("\r\n\r\n", "\r\nX: y\r\n\r\n"),
        ] {
            let text = format!("{USUAL}hello").replacen(part, other, 1);
            assert_eq!(usual.read(text.as_bytes(), &limits), None, "{text}");
        }
        // Whether a body follows is not known, or none does.
        for rest in ["", "-", "-------t1t1$\r\n"] {
            let text = format!("{USUAL}{rest}");
            assert_eq!(usual.read(text.as_bytes(), &limits), None, "{text}");
        }
        let exact = Limits {
            start_line_bytes_max: 14,
            head_bytes_max: u32::try_from(USUAL.len() - 2).unwrap(),
            ..limits
        };
        let text = format!("{USUAL}hello");
        assert!(usual.read(text.as_bytes(), &exact).is_some());
        for less in [
            Limits {
                start_line_bytes_max: 13,
                ..exact
            },
            Limits {
                head_bytes_max: exact.head_bytes_max - 1,
                ..exact
            },
        ] {
            assert_eq!(usual.read(text.as_bytes(), &less), None);
        }
    }

    #[test]
    fn of_an_unusual_head_nothing_is_learned() {
        let limits = Limits::default();
        let long = format!("a:1/{}", "x".repeat(HABIT_BYTES_MAX));
        for (part, other) in [
            ("a:1/x", long.as_str()),
            ("Byte-Range: 1-5/5\r\n", ""),
            ("Byte-Range", "byte-range"),
            ("Failure-Report: no", "X-Other: no"),
            ("Failure-Report: no", "Failure-Report: maybe"),
            ("SEND", "REPORT"),
        ] {
            let text = USUAL.replace(part, other);
            let habit = habit(&text, &limits);
            assert!(habit.send.text.is_empty(), "{text}");
            let text = format!("{text}hello");
            assert_eq!(habit.read(text.as_bytes(), &limits), None);
        }
    }

    fn answering(text: &str, limits: &Limits) -> Habit {
        let mut habit = Habit::default();
        let (head, _) = usual_response::read(text.as_bytes(), limits).expect("a usual one");
        habit.learn_answer(&head);
        habit
    }

    #[test]
    fn an_answer_like_the_one_before_is_read_as_without_it() {
        let limits = Limits::default();
        let habit = answering(ANSWER, &limits);
        for text in [
            ANSWER.to_owned(),
            ANSWER.replace("t1t1", "another.id") + "MSRP",
        ] {
            let usual = usual_response::read(text.as_bytes(), &limits);
            assert!(usual.is_some());
            assert_eq!(habit.read(text.as_bytes(), &limits), usual, "{text}");
        }
        for (part, other) in [
            ("200 OK", "200 Ok"),
            ("a:1/x", "a:1/z"),
            ("t1t1 ", "t1t2 "),
            ("t1t1$", "t1t1+"),
            ("$\r\n", "$\r"),
        ] {
            let text = ANSWER.replacen(part, other, 1);
            assert_eq!(habit.read(text.as_bytes(), &limits), None, "{text}");
        }
        let long = ANSWER.replace("a:1/x", &"x".repeat(HABIT_BYTES_MAX));
        assert!(answering(&long, &limits).answer.text.is_empty());
    }

    #[test]
    fn a_deframer_reads_what_follows_in_one_input_by_habit() {
        let mut deframer = Deframer::default();
        let frame = |head: &str, id: &str| format!("{head}hello\r\n-------{id}$\r\n");
        let text = [frame(USUAL, "t1t1"), frame(OTHER, "another.id")].concat();
        let (mut input, mut heads) = (text.as_bytes(), 0);
        loop {
            let step = deframer.next(input).expect("framed");
            match step.item {
                Some(Item::Head(head)) => {
                    assert_eq!(Some(head), long_way(input, &Limits::default()));
                    heads += 1;
                }
                Some(Item::Body(_) | Item::End(_)) => {}
                None => break,
            }
            input = &input[step.consumed..];
        }
        assert_eq!(heads, 2);
    }

    proptest! {
        #[test]
        fn with_any_octet_changed_it_is_read_alike_or_not_at_all(
            at in 0..OTHER.len() + 5, octet in any::<u8>(), cut in 0..OTHER.len(), is_strict: bool,
        ) {
            let grammar = if is_strict { Grammar::Strict } else { Grammar::Tolerant };
            let limits = Limits { grammar, ..Limits::default() };
            let habit = habit(USUAL, &limits);
            let mut text = format!("{OTHER}hello").into_bytes();
            text[at] = octet;
            if let Some((head, bytes)) = habit.read(&text, &limits) {
                prop_assert_eq!(bytes, head.text().len() + 2);
                prop_assert_eq!(Some(head), long_way(&text, &limits));
            }
            prop_assert_eq!(habit.read(&text[..cut], &limits), None);
        }

        #[test]
        fn with_any_octet_of_an_answer_changed_it_is_read_alike_or_not_at_all(
            at in 0..ANSWER.len(), octet in any::<u8>(), cut in 0..ANSWER.len(),
        ) {
            let limits = Limits::default();
            let habit = answering(ANSWER, &limits);
            let mut text = ANSWER.as_bytes().to_vec();
            text[at] = octet;
            if let Some((head, bytes)) = habit.read(&text, &limits) {
                prop_assert_eq!(Some((head, bytes)), usual_response::read(&text, &limits));
            }
            prop_assert_eq!(habit.read(&text[..cut], &limits), None);
        }
    }
}
