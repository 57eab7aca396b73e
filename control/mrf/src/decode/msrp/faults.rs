//! Where a fault lies in the text, and what was expected there.

use msrp::{Fatal, HeadFault, MsrpUri, UriError};

/// Where the frame begins that is at or behind `offset`: CRLFs between frames do not count.
pub(super) fn frame_start(input: &[u8], mut offset: usize) -> usize {
    while input[offset..].starts_with(b"\r\n") {
        offset += 2;
    }
    offset
}

/// Place and words of lost framing in the part of the input at `offset`.
pub(super) fn fatal(input: &[u8], offset: usize, fatal: Fatal) -> (usize, String) {
    let start = frame_start(input, offset);
    let line = line_at(input, start);
    let found = |at: usize| {
        let rest = &line[at.min(line.len())..];
        rest[..rest.len().min(40)].escape_ascii().to_string()
    };
    let (at, expected) = match fatal {
        Fatal::NotMsrp => (
            0,
            format!("\"MSRP \" at the start of a frame, found \"{}\"", found(0)),
        ),
        Fatal::TransactionId => (
            5,
            format!(
                "a transaction id of 4 to 32 characters, found \"{}\"",
                found(5)
            ),
        ),
        Fatal::StartLine => start_line(line),
        Fatal::BareLineFeed => (
            line.len(),
            "CRLF at the end of the line, found LF alone".to_owned(),
        ),
        Fatal::StartLineTooLong { limit_bytes } => {
            (0, format!("a start line of at most {limit_bytes} octets"))
        }
        Fatal::HeadTooLong { limit_bytes } => {
            (0, format!("a head of at most {limit_bytes} octets"))
        }
        Fatal::TooManyHeaders { limit } => (0, format!("at most {limit} header fields")),
        Fatal::PathTooLong { limit_uris } => (0, format!("at most {limit_uris} URIs in a path")),
        Fatal::EmbeddedEndLine => {
            return (offset, "expected CRLF before the end-line".to_owned());
        }
    };
    (start + at, format!("expected {expected}"))
}

/// What is wrong behind the transaction id of a start line.
fn start_line(line: &[u8]) -> (usize, String) {
    let words = "a method in capitals, or a code of three digits";
    let after_id = line
        .get(5..)
        .and_then(|rest| rest.iter().position(|&c| c == b' '))
        .map_or(line.len(), |at| 5 + at + 1);
    let found = line[after_id.min(line.len())..].escape_ascii();
    (after_id, format!("{words}, found \"{found}\""))
}

/// Place and words of a fault in the head that begins at `start`.
pub(super) fn head(input: &[u8], start: usize, fault: HeadFault) -> (usize, String) {
    let fields = Fields { input, start };
    let (at, expected) = match fault {
        HeadFault::ToPathNotFirst => (fields.line(1), "To-Path as the first header field".into()),
        HeadFault::FromPathNotSecond => (
            fields.line(2),
            "From-Path as the second header field".into(),
        ),
        HeadFault::ToPath(error) => fields.path("To-Path", error),
        HeadFault::FromPath(error) => fields.path("From-Path", error),
        HeadFault::NoColon => (
            fields.first(|line| !line.contains(&b':')),
            "NAME: VALUE".into(),
        ),
        HeadFault::Folded => (
            fields.first(|line| line.starts_with(b" ") || line.starts_with(b"\t")),
            "a header field, found a blank (MSRP has no line folding)".into(),
        ),
        HeadFault::FieldName => (fields.first(is_bad_name), "a token before the colon".into()),
        HeadFault::Control => (
            fields.control(),
            "a value without control characters".into(),
        ),
        HeadFault::ColonSpacing => (
            fields.line(1),
            "one blank after a header name's colon".into(),
        ),
        HeadFault::Duplicate(name) => (fields.nth(name, 1), format!("{name} only once")),
        HeadFault::MessageIdMissing => (start, "a Message-ID".into()),
        HeadFault::MessageId => (
            fields.value("Message-ID"),
            "a Message-ID of 4 to 32 characters".into(),
        ),
        HeadFault::ByteRange(error) => (
            fields.value("Byte-Range"),
            format!("START-END/TOTAL, but {error}"),
        ),
        HeadFault::SuccessReport => (fields.value("Success-Report"), "yes or no".into()),
        HeadFault::FailureReport => (fields.value("Failure-Report"), "yes, no or partial".into()),
        HeadFault::ReportField => (start, format!("no such header field here: {fault}")),
        HeadFault::StatusMissing => (start, "a Status in a REPORT".into()),
        HeadFault::Status => (
            fields.value("Status"),
            "a namespace and a code of three digits each".into(),
        ),
        HeadFault::ContentType => (fields.value("Content-Type"), "TYPE/SUBTYPE".into()),
        HeadFault::ContentTypeNotLast => (
            fields.nth("Content-Type", 0),
            "Content-Type as the last header field".into(),
        ),
        HeadFault::ContentTypeWithoutBody => (
            fields.nth("Content-Type", 0),
            "a blank line and a body after Content-Type".into(),
        ),
        HeadFault::BodyWithoutContentType => (start, "Content-Type, since a body follows".into()),
        HeadFault::BlankLineWithoutBody => (start, "no blank line where no body follows".into()),
        HeadFault::ResponseBody => (start, "a response without a body".into()),
        HeadFault::ResponseFlag => (start, "a response that ends in $".into()),
        HeadFault::OtherFlag => (start, "a request other than SEND to end in $".into()),
        HeadFault::OtherBodyTooLarge => (start, format!("less: {fault}")),
    };
    (at, format!("expected {expected}"))
}

fn is_bad_name(line: &[u8]) -> bool {
    let name = line.split(|&c| c == b':').next().unwrap_or_default();
    let is_token = |c: &u8| c.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(c);
    name.is_empty() || !name.iter().all(is_token)
}

/// The lines of one head.
struct Fields<'a> {
    input: &'a [u8],
    start: usize,
}

impl<'a> Fields<'a> {
    /// Offset and text of each header line.
    fn lines(&self) -> impl Iterator<Item = (usize, &'a [u8])> + use<'a> {
        let input = self.input;
        let mut at = after_line(input, self.start);
        core::iter::from_fn(move || {
            let line = line_at(input, at);
            if at >= input.len() || line.is_empty() || line.starts_with(b"-------") {
                return None;
            }
            let item = (at, line);
            at = after_line(input, at);
            Some(item)
        })
    }

    /// The first header line with a control character, or with an LF alone at its end.
    fn control(&self) -> usize {
        let is_odd = |(at, line): &(usize, &[u8])| {
            let end = self.input.get(at + line.len());
            end != Some(&b'\r') || line.iter().any(|c| c.is_ascii_control() && *c != b'\t')
        };
        self.lines().find(is_odd).map_or(self.start, |(at, _)| at)
    }

    /// The `index`-th header line, from 1; the start line if there is none.
    fn line(&self, index: usize) -> usize {
        let found = self.lines().nth(index - 1);
        found.map_or(self.start, |(at, _)| at)
    }

    fn first(&self, is_it: impl Fn(&[u8]) -> bool) -> usize {
        let found = self.lines().find(|(_, line)| is_it(line));
        found.map_or(self.start, |(at, _)| at)
    }

    /// The `index`-th field of that name, from 0.
    fn nth(&self, name: &str, index: usize) -> usize {
        let named = self.lines().filter(|(_, line)| {
            let head = line.get(..name.len() + 1).unwrap_or_default();
            head.eq_ignore_ascii_case(format!("{name}:").as_bytes())
        });
        named
            .skip(index)
            .map(|(at, _)| at)
            .next()
            .unwrap_or(self.start)
    }

    /// Where the value of a field begins.
    fn value(&self, name: &str) -> usize {
        let at = self.nth(name, 0) + name.len() + 1;
        let blanks = self.input[at.min(self.input.len())..]
            .iter()
            .take_while(|c| matches!(c, b' ' | b'\t'));
        at + blanks.count()
    }

    fn path(&self, name: &str, error: UriError) -> (usize, String) {
        let start = self.value(name);
        let mut at = start;
        for uri in line_at(self.input, start).split(|&c| c == b' ') {
            if MsrpUri::parse(uri).is_err() {
                break;
            }
            at += uri.len() + 1;
        }
        (at, format!("msrp://HOST:PORT/SESSION;tcp, but {error}"))
    }
}

/// The line that begins at `offset`, without its end.
fn line_at(input: &[u8], offset: usize) -> &[u8] {
    let rest = &input[offset.min(input.len())..];
    let end = rest.iter().position(|&c| c == b'\n').unwrap_or(rest.len());
    let line = &rest[..end];
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Where the line behind the one at `offset` begins.
fn after_line(input: &[u8], offset: usize) -> usize {
    let rest = &input[offset.min(input.len())..];
    let end = rest.iter().position(|&c| c == b'\n');
    end.map_or(input.len(), |end| offset + end + 1)
}
