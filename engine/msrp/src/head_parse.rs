//! From the octets of a head to a [`Head`].

use crate::byte_range::ByteRange;
use crate::deframe::{Fatal, Flag};
use crate::head::{FailureReport, Field, Head, HeadFault, Method, Start, Status, lines, uris};
use crate::ident::is_ident;
use crate::limits::{Grammar, Limits};
use crate::media_type::{is_media_type, unquote};
use crate::start_line::{self, has_control, split_code};
use crate::uri::{MsrpUri, UriError};

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

/// Parses `text`: the start line and header lines, each with its CRLF.
pub(crate) fn parse<'a>(text: &'a [u8], after: After, limits: &Limits) -> Result<Head<'a>, Fatal> {
    let line = lines(text).next().unwrap_or_default();
    let (transaction_id, start) = start_line::parse(line)?;
    let block = text.get(line.len() + 2..).unwrap_or_default();
    let head = Head {
        transaction_id,
        start,
        to_path: b"",
        from_path: b"",
        message_id: None,
        byte_range: None,
        success_report: false,
        failure_report: FailureReport::default(),
        status: None,
        content_type: None,
        use_nickname: None,
        has_body: false,
        fault: None,
        lines: block,
    };
    let mut parsing = Parsing {
        head,
        seen: 0,
        grammar: limits.grammar,
    };
    for (index, line) in lines(block).enumerate() {
        parsing.take_line(index, line);
    }
    parsing.finish(after);
    parsing.check_paths(limits)?;
    Ok(parsing.head)
}

struct Parsing<'a> {
    head: Head<'a>,
    /// One bit per [`Known`] field met.
    seen: u16,
    grammar: Grammar,
}

/// The fields that mean something here; the value is the bit in [`Parsing::seen`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    ToPath,
    FromPath,
    MessageId,
    ByteRange,
    SuccessReport,
    FailureReport,
    Status,
    ContentType,
    UseNickname,
}

impl Known {
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
        // Nearly everybody writes the registered spelling, which compares much faster.
        let is_exact = |known: &&Self| name == known.name().as_bytes();
        let is_same = |known: &&Self| name.eq_ignore_ascii_case(known.name().as_bytes());
        candidates
            .iter()
            .find(is_exact)
            .or_else(|| candidates.iter().find(is_same))
            .copied()
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
        }
    }

    fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl<'a> Parsing<'a> {
    fn fault(&mut self, fault: HeadFault) {
        self.head.fault.get_or_insert(fault);
    }

    fn has_seen(&self, known: Known) -> bool {
        self.seen & known.bit() != 0
    }

    fn take_line(&mut self, index: usize, line: &'a [u8]) {
        let field = match Field::split(line) {
            Ok(field) => field,
            Err(fault) => return self.fault(fault),
        };
        if has_control(field.value) {
            self.fault(HeadFault::Control);
        }
        let known = Known::of(field.name);
        if known.is_none() && !field.has_token_name() {
            return self.fault(HeadFault::FieldName);
        }
        self.check_place(index, known);
        if self.grammar == Grammar::Strict {
            self.check_spacing(line, field);
            if self.has_seen(Known::ContentType) && known != Some(Known::ContentType) {
                self.fault(HeadFault::ContentTypeNotLast);
            }
        }
        let Some(known) = known else { return };
        if self.has_seen(known) {
            // The first one counts, but the frame is refused (own rule: no answer is right).
            return self.fault(HeadFault::Duplicate(known.name()));
        }
        self.seen |= known.bit();
        self.take_field(known, field.value);
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

    fn take_field(&mut self, known: Known, value: &'a [u8]) {
        match known {
            Known::ToPath => self.head.to_path = value,
            Known::FromPath => self.head.from_path = value,
            Known::MessageId if is_ident(value) => self.head.message_id = Some(value),
            Known::MessageId => self.fault(HeadFault::MessageId),
            Known::ByteRange => match ByteRange::parse(value) {
                Ok(range) => self.head.byte_range = Some(range),
                Err(error) => self.fault(HeadFault::ByteRange(error)),
            },
            Known::SuccessReport => match Word::of(value) {
                Word::Yes => self.head.success_report = true,
                Word::No => self.head.success_report = false,
                Word::Partial | Word::Other => self.fault(HeadFault::SuccessReport),
            },
            Known::FailureReport => match Word::of(value) {
                Word::Yes => self.head.failure_report = FailureReport::Yes,
                Word::No => self.head.failure_report = FailureReport::No,
                Word::Partial => self.head.failure_report = FailureReport::Partial,
                Word::Other => self.fault(HeadFault::FailureReport),
            },
            Known::Status => match parse_status(value) {
                Some(status) => self.head.status = Some(status),
                None => self.fault(HeadFault::Status),
            },
            Known::ContentType => self.take_content_type(value),
            Known::UseNickname => self.head.use_nickname = Some(value),
        }
    }

    fn take_content_type(&mut self, value: &'a [u8]) {
        let inner = match self.grammar {
            Grammar::Tolerant => unquote(value),
            Grammar::Strict => value,
        };
        if is_media_type(inner) {
            self.head.content_type = Some(inner);
        } else {
            self.fault(HeadFault::ContentType);
        }
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
        let to = check_path(self.head.to_path, limits.path_uris_max)?;
        let from = check_path(self.head.from_path, limits.path_uris_max)?;
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
}

/// The first error in a path, which may be too long as a whole as well.
fn check_path(path: &[u8], limit_uris: u16) -> Result<Option<UriError>, Fatal> {
    let mut error = path.is_empty().then_some(UriError::Empty);
    for (index, uri) in uris(path).enumerate() {
        if index == usize::from(limit_uris) {
            return Err(Fatal::PathTooLong { limit_uris });
        }
        error = error.or_else(|| MsrpUri::parse(uri).err());
    }
    Ok(error)
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
