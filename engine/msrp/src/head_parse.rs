//! From the octets of a head to a [`Head`].

use crate::byte_range::ByteRange;
use crate::deframe::{Fatal, Flag};
use crate::end_mark::EndMark;
use crate::head::{FailureReport, Field, Head, HeadFault, Method, Start, Status, uris};
use crate::head_scan::{HeadScan, Sink};
use crate::ident::is_ident;
use crate::limits::{Grammar, Limits};
use crate::media_type::{is_media_type, unquote};
use crate::start_line::{has_control, split_code};
use crate::uri::{MsrpUri, UriError, is_plain};

/// What follows the header fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// The end-line at once.
    EndLine(Flag),
    /// A blank line, then the end-line: an empty body, or none, as Content-Type tells.
    BlankThenEndLine(Flag),
    /// A blank line and body octets.
    Body,
}

/// Parses `text`: the start line and header lines, each with its CRLF, of a head that a scan has
/// found to be within its limits.
pub(crate) fn parse<'a>(text: &'a [u8], after: After, limits: &Limits) -> Result<Head<'a>, Fatal> {
    let mut parsing = Parsing::new(limits.grammar);
    HeadScan::default().run(text, &mut EndMark::default(), limits, &mut parsing)?;
    parsing.into_head(text, after, limits)
}

/// A head in the making.
pub(crate) struct Parsing<'a> {
    head: Head<'a>,
    /// One bit per path that is a single plain URI.
    plain: u16,
    grammar: Grammar,
}

impl<'a> Sink<'a> for Parsing<'a> {
    fn start(&mut self, bytes: usize, transaction_id: &'a [u8], start: Start<'a>) {
        self.head.start_line_bytes = bytes;
        self.head.transaction_id = transaction_id;
        self.head.start = start;
    }

    fn line(&mut self, index: usize, line: &'a [u8]) {
        self.take_line(index, line);
    }
}

/// The fields that mean something here; the value is the bit in [`Head::seen`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    ToPath,
    FromPath,
    MessageId,
    ByteRange,
    SuccessReport,
    FailureReport,
    Status,
    ContentType,
    UseNickname,
    /// Any that means nothing.
    Other,
}

impl Known {
    /// What nearly every SEND has.
    pub(crate) const OF_A_SEND: u16 = Self::ToPath.bit()
        | Self::FromPath.bit()
        | Self::MessageId.bit()
        | Self::ByteRange.bit()
        | Self::SuccessReport.bit()
        | Self::FailureReport.bit()
        | Self::ContentType.bit();

    fn of(name: &[u8]) -> Option<Self> {
        // The length tells nearly all of them apart before any octet is compared.
        let candidates: &[Self] = match name.len() {
            6 => &[Self::Status],
            7 => &[Self::ToPath],
            9 => &[Self::FromPath],
            10 => &[Self::MessageId, Self::ByteRange],
            12 => &[Self::ContentType, Self::UseNickname],
            14 => &[Self::FailureReport, Self::SuccessReport],
            _ => &[],
        };
        let is_same = |known: &&Self| name.eq_ignore_ascii_case(known.name().as_bytes());
        candidates.iter().find(is_same).copied()
    }

    /// The field and value of a line as nearly everybody writes it: the registered spelling, one
    /// blank, and no blank around the value.
    #[inline]
    fn of_usual_line(line: &[u8]) -> Option<(Self, &[u8])> {
        let (known, value) = match line.first()? {
            b'T' => (Self::ToPath, line.strip_prefix(b"To-Path: ")?),
            b'M' => (Self::MessageId, line.strip_prefix(b"Message-ID: ")?),
            b'B' => (Self::ByteRange, line.strip_prefix(b"Byte-Range: ")?),
            b'C' => (Self::ContentType, line.strip_prefix(b"Content-Type: ")?),
            b'F' => match line.strip_prefix(b"From-Path: ") {
                Some(value) => (Self::FromPath, value),
                None => (Self::FailureReport, line.strip_prefix(b"Failure-Report: ")?),
            },
            b'S' => match line.strip_prefix(b"Status: ") {
                Some(value) => (Self::Status, value),
                None => (Self::SuccessReport, line.strip_prefix(b"Success-Report: ")?),
            },
            _ => return None,
        };
        match value {
            [b' ' | b'\t', ..] | [.., b' ' | b'\t'] => None,
            _ => Some((known, value)),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::ToPath => "To-Path",
            Self::FromPath => "From-Path",
            Self::MessageId => "Message-ID",
            Self::ByteRange => "Byte-Range",
            Self::SuccessReport => "Success-Report",
            Self::FailureReport => "Failure-Report",
            Self::Status => "Status",
            Self::ContentType => "Content-Type",
            Self::UseNickname => "Use-Nickname",
            Self::Other => "",
        }
    }

    pub(crate) const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl<'a> Parsing<'a> {
    pub(crate) fn new(grammar: Grammar) -> Self {
        Self {
            head: Head::EMPTY,
            plain: 0,
            grammar,
        }
    }

    /// The head of `text`, all of whose lines have been taken.
    pub(crate) fn into_head(
        mut self,
        text: &'a [u8],
        after: After,
        limits: &Limits,
    ) -> Result<Head<'a>, Fatal> {
        self.head.text = text;
        self.finish(after);
        self.check_paths(limits)?;
        Ok(self.head)
    }

    fn fault(&mut self, fault: HeadFault) {
        self.head.fault.get_or_insert(fault);
    }

    fn has_seen(&self, known: Known) -> bool {
        self.head.seen & known.bit() != 0
    }

    fn take_line(&mut self, index: usize, line: &'a [u8]) {
        if let Some((known, value)) = Known::of_usual_line(line) {
            self.check_place(index, Some(known));
            return self.take_known(known, value);
        }
        let field = match Field::split(line) {
            Ok(field) => field,
            Err(fault) => return self.fault(fault),
        };
        let known = Known::of(field.name);
        if known.is_none() && has_control(field.value) {
            self.fault(HeadFault::Control);
        }
        if known.is_none() && !field.has_token_name() {
            return self.fault(HeadFault::FieldName);
        }
        self.check_place(index, known);
        if self.grammar == Grammar::Strict {
            self.check_spacing(line, field);
        }
        match known {
            Some(known) => self.take_known(known, field.value),
            None => {
                self.head.seen |= Known::Other.bit();
                if self.is_behind_content_type() {
                    self.fault(HeadFault::ContentTypeNotLast);
                }
            }
        }
    }

    fn is_behind_content_type(&self) -> bool {
        self.grammar == Grammar::Strict && self.has_seen(Known::ContentType)
    }

    #[inline]
    fn take_known(&mut self, known: Known, value: &'a [u8]) {
        if known != Known::ContentType && self.is_behind_content_type() {
            self.fault(HeadFault::ContentTypeNotLast);
        }
        if self.has_seen(known) {
            // The first one counts, but the frame is refused (own rule: no answer is right).
            return self.fault(HeadFault::Duplicate(known.name()));
        }
        self.head.seen |= known.bit();
        self.take_field(known, value);
    }

    fn check_place(&mut self, index: usize, known: Option<Known>) {
        if index == 0 && known != Some(Known::ToPath) {
            self.fault(HeadFault::ToPathNotFirst);
        }
        if index == 1 && known != Some(Known::FromPath) {
            self.fault(HeadFault::FromPathNotSecond);
        }
    }

    fn check_spacing(&mut self, line: &[u8], field: Field<'_>) {
        match &line[field.name.len() + 1..] {
            [b' '] => {}
            [b' ', next, ..] if !matches!(next, b' ' | b'\t') => {}
            _ => self.fault(HeadFault::ColonSpacing),
        }
    }

    #[inline]
    fn take_field(&mut self, known: Known, value: &'a [u8]) {
        if let Err(fault) = self.read_field(known, value) {
            let is_control = has_control(value);
            self.fault(if is_control {
                HeadFault::Control
            } else {
                fault
            });
        }
    }

    /// Whatever is read without error holds no control character.
    #[inline]
    fn read_field(&mut self, known: Known, value: &'a [u8]) -> Result<(), HeadFault> {
        let head = &mut self.head;
        match known {
            Known::ToPath | Known::FromPath => return self.read_path(known, value),
            Known::MessageId if is_ident(value) => head.message_id = Some(value),
            Known::MessageId => return Err(HeadFault::MessageId),
            Known::ByteRange => {
                let range = ByteRange::parse(value).map_err(HeadFault::ByteRange)?;
                head.byte_range = Some(range);
            }
            Known::SuccessReport => match Word::of(value) {
                Word::Yes => head.success_report = true,
                Word::No => head.success_report = false,
                Word::Partial | Word::Other => return Err(HeadFault::SuccessReport),
            },
            Known::FailureReport => match Word::of(value) {
                Word::Yes => head.failure_report = FailureReport::Yes,
                Word::No => head.failure_report = FailureReport::No,
                Word::Partial => head.failure_report = FailureReport::Partial,
                Word::Other => return Err(HeadFault::FailureReport),
            },
            Known::Status => {
                head.status = Some(parse_status(value).ok_or(HeadFault::Status)?);
            }
            Known::ContentType => return self.read_content_type(value),
            Known::UseNickname if has_control(value) => return Err(HeadFault::Control),
            Known::UseNickname => head.use_nickname = Some(value),
            Known::Other => {}
        }
        Ok(())
    }

    /// Notes a path that is one plain URI; others are judged when the whole head is here. One with
    /// a control character is not kept, so that nobody copies it into an answer.
    fn read_path(&mut self, known: Known, value: &'a [u8]) -> Result<(), HeadFault> {
        if is_plain(value) {
            self.plain |= known.bit();
        } else if has_control(value) {
            return Err(HeadFault::Control);
        }
        if known == Known::ToPath {
            self.head.to_path = value;
        } else {
            self.head.from_path = value;
        }
        Ok(())
    }

    fn read_content_type(&mut self, value: &'a [u8]) -> Result<(), HeadFault> {
        let inner = match self.grammar {
            Grammar::Tolerant => unquote(value),
            Grammar::Strict => value,
        };
        if !is_media_type(inner) || has_control(inner) {
            return Err(HeadFault::ContentType);
        }
        self.head.content_type = Some(inner);
        Ok(())
    }

    /// Checks what can only be judged once all fields are known.
    fn finish(&mut self, after: After) {
        if !self.has_seen(Known::ToPath) {
            self.fault(HeadFault::ToPathNotFirst);
        }
        if !self.has_seen(Known::FromPath) {
            self.fault(HeadFault::FromPathNotSecond);
        }
        let has_content_type = self.has_seen(Known::ContentType);
        let flag = match after {
            After::EndLine(flag) => {
                if has_content_type {
                    self.fault(HeadFault::ContentTypeWithoutBody);
                }
                Some(flag)
            }
            After::BlankThenEndLine(flag) => {
                self.head.has_body = has_content_type;
                if !has_content_type && self.grammar == Grammar::Strict {
                    self.fault(HeadFault::BlankLineWithoutBody);
                }
                Some(flag)
            }
            After::Body => {
                self.head.has_body = true;
                if !has_content_type {
                    self.fault(HeadFault::BodyWithoutContentType);
                }
                None
            }
        };
        let is_interrupted = flag.is_some_and(|flag| flag != Flag::Complete);
        match self.head.start {
            Start::Request(method) => self.finish_request(method, is_interrupted),
            Start::Response { .. } if self.head.has_body => self.fault(HeadFault::ResponseBody),
            Start::Response { .. } if is_interrupted => self.fault(HeadFault::ResponseFlag),
            Start::Response { .. } => {}
        }
    }

    fn finish_request(&mut self, method: Method<'_>, is_interrupted: bool) {
        let needs_message_id = matches!(method, Method::Send | Method::Report);
        if needs_message_id && !self.has_seen(Known::MessageId) {
            self.fault(HeadFault::MessageIdMissing);
        }
        if method == Method::Report && !self.has_seen(Known::Status) {
            self.fault(HeadFault::StatusMissing);
        }
        // RFC 4975 section 7.1.2 and RFC 7701 section 7.1.
        if matches!(method, Method::Report | Method::Nickname)
            && (self.has_seen(Known::SuccessReport) || self.has_seen(Known::FailureReport))
        {
            self.fault(HeadFault::ReportField);
        }
        if method != Method::Send && is_interrupted {
            self.fault(HeadFault::OtherFlag);
        }
    }

    fn check_paths(&mut self, limits: &Limits) -> Result<(), Fatal> {
        let to = self.check_path(Known::ToPath, self.head.to_path, limits)?;
        let from = self.check_path(Known::FromPath, self.head.from_path, limits)?;
        // Responses are matched by transaction id alone (RFC 4975 section 7.2; TS 24.247 A.5
        // prints paths in them that are not swapped), so their URIs are not judged.
        if matches!(self.head.start, Start::Request(_)) {
            let faults = [to.map(HeadFault::ToPath), from.map(HeadFault::FromPath)];
            faults
                .into_iter()
                .flatten()
                .for_each(|fault| self.fault(fault));
        }
        Ok(())
    }

    /// The first error in a path, which may be too long as a whole as well.
    fn check_path(
        &self,
        known: Known,
        path: &[u8],
        limits: &Limits,
    ) -> Result<Option<UriError>, Fatal> {
        let limit_uris = limits.path_uris_max;
        if self.plain & known.bit() != 0 && limit_uris > 0 {
            return Ok(None);
        }
        let mut error = path.is_empty().then_some(UriError::Empty);
        for (index, uri) in uris(path).enumerate() {
            if index == usize::from(limit_uris) {
                return Err(Fatal::PathTooLong { limit_uris });
            }
            error = error.or_else(|| MsrpUri::parse(uri).err());
        }
        Ok(error)
    }
}

/// The words report fields take.
enum Word {
    Yes,
    No,
    Partial,
    Other,
}

impl Word {
    fn of(value: &[u8]) -> Self {
        if value.eq_ignore_ascii_case(b"yes") {
            Self::Yes
        } else if value.eq_ignore_ascii_case(b"no") {
            Self::No
        } else if value.eq_ignore_ascii_case(b"partial") {
            Self::Partial
        } else {
            Self::Other
        }
    }
}

fn parse_status(value: &[u8]) -> Option<Status<'_>> {
    // The rest of a namespace is its comment as far as `split_code` knows.
    let (namespace, rest) = split_code(value)?;
    let (code, comment) = split_code(rest)?;
    Some(Status {
        namespace: namespace.as_u16(),
        code,
        comment,
    })
}

#[cfg(test)]
mod tests;
