//! Octets to messages: a datagram at once, a stream by Content-Length.

mod brief;

pub(crate) use brief::Brief;

use crate::limits::{BODY_BYTES_MAX, HEAD_BYTES_MAX, HEADERS_MAX};
use crate::message::{Headers, Method, Request, Response};
use crate::uri::{Uri, UriError};
use std::borrow::Cow;

/// What a datagram or the next piece of a stream was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A request with a readable start line and headers; not yet checked further.
    Request(Request),
    /// A response.
    Response(Response),
    /// A request that cannot be read but can be answered with what its headers hold.
    Malformed(Malformed),
    /// Not SIP, or a response nobody can use.
    Garbage,
}

/// An unreadable request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// 400, 413, 416, 505 or 513.
    pub code: u16,
    /// What is wrong; goes into the reason phrase.
    pub reason: &'static str,
    /// What could be read.
    pub headers: Headers,
    /// `ACK` must not be answered.
    pub is_ack: bool,
}

/// A line that starts with a start line's text.
enum Start {
    Request(Method, Result<Uri, UriError>, bool),
    Response(u16, String),
}

struct Head {
    start: Start,
    headers: Headers,
    defect: Option<&'static str>,
}

/// How long the body is said to be.
enum Length {
    Absent,
    Octets(usize),
    /// No letter or digit in it.
    Placeholder,
    Unreadable,
}

/// Reads one UDP datagram. A missing Content-Length means "to its end" (RFC 3261 18.3); one that
/// reaches beyond it, or is no number, is an error.
///
/// Deviation: the `(…)` that the flows of 3GPP print counts as missing.
#[must_use]
pub fn parse_datagram(bytes: &[u8]) -> Parsed {
    let bytes = trim_line_ends(bytes);
    let (head, body) = match head_bytes(bytes, 0) {
        Ok(end) => (&bytes[..end.0], &bytes[end.1..]),
        Err(_) => (bytes, &bytes[bytes.len()..]),
    };
    let Some(mut head) = parse_head(head) else {
        return Parsed::Garbage;
    };
    let body = match length(&head.headers) {
        Length::Octets(count) if count <= body.len() => &body[..count],
        Length::Octets(_) => {
            head.defect = head.defect.or(Some("Content-Length Exceeds Datagram"));
            body
        }
        Length::Unreadable => {
            head.defect = head.defect.or(Some("Content-Length Unreadable"));
            body
        }
        Length::Absent | Length::Placeholder => body,
    };
    finish(head, body)
}

/// Cuts a TCP stream into messages.
#[derive(Debug)]
pub struct StreamFramer {
    buffer: Vec<u8>,
    /// Octets of the longest body taken.
    body_max: usize,
    /// Up to here there is no end of a head; with [`Self::need`] it keeps the work in proportion to
    /// what comes, however it is cut.
    scanned: usize,
    /// Octets of the message whose head is there, 0 before.
    need: usize,
}

/// The next thing in a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A message and the octets it was.
    Message(Parsed, Vec<u8>),
    /// A keep-alive ping (RFC 5626 3.5.1): answer with CRLF.
    Ping,
    /// Framing is lost: answer, if it is a request, and close.
    Fatal(Parsed),
}

impl Default for StreamFramer {
    /// Of a connection that somebody opened to us.
    fn default() -> Self {
        Self::new(BODY_BYTES_MAX)
    }
}

impl StreamFramer {
    /// Takes bodies up to `body_max` octets.
    #[must_use]
    pub fn new(body_max: usize) -> Self {
        Self {
            buffer: Vec::new(),
            body_max,
            scanned: 0,
            need: 0,
        }
    }

    /// Appends what was received. The caller drains [`Self::next_frame`] before the next call, so
    /// the buffer stays below one head, one body and one read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether a message has begun and is not whole yet.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.buffer.iter().any(|o| !matches!(o, b'\r' | b'\n'))
    }

    /// The next frame, or `None` until more octets come.
    pub fn next_frame(&mut self) -> Option<Frame> {
        if self.buffer.len() < self.need {
            return None;
        }
        let blank = self.buffer.len() - trim_line_ends(&self.buffer).len();
        if blank >= 4 {
            self.take(blank);
            return Some(Frame::Ping);
        }
        // Half a ping, or what stands between messages.
        if self.buffer.len() == blank {
            return None;
        }
        if blank > 0 {
            self.take(blank);
        }
        let (head_end, body_start) = match head_bytes(&self.buffer, self.scanned) {
            Ok(found) => found,
            Err(_) if self.buffer.len() > HEAD_BYTES_MAX => {
                return Some(self.fatal(413, "Head Too Large"));
            }
            Err(scanned) => {
                self.scanned = scanned;
                return None;
            }
        };
        let Some(head) = parse_head(&self.buffer[..head_end]) else {
            return Some(self.fatal(400, "Not SIP"));
        };
        let count = match length(&head.headers) {
            Length::Octets(count) if count <= self.body_max => count,
            Length::Octets(_) => return Some(self.fatal(513, "Body Too Large")),
            Length::Absent => return Some(self.fatal(400, "Content-Length Missing")),
            Length::Placeholder | Length::Unreadable => {
                return Some(self.fatal(400, "Content-Length Unreadable"));
            }
        };
        let end = body_start + count;
        if self.buffer.len() < end {
            self.need = end;
            return None;
        }
        let raw = self.take(end);
        let parsed = finish(head, &raw[body_start..]);
        Some(Frame::Message(parsed, raw))
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        (self.scanned, self.need) = (0, 0);
        self.buffer.drain(..count).collect()
    }

    fn fatal(&mut self, code: u16, reason: &'static str) -> Frame {
        let end = head_bytes(&self.buffer, 0).map_or(self.buffer.len(), |(end, _)| end);
        let head = parse_head(&self.buffer[..end.min(HEAD_BYTES_MAX)]);
        self.take(self.buffer.len());
        Frame::Fatal(match head {
            Some(Head {
                start: Start::Request(method, ..),
                headers,
                ..
            }) => malformed(code, reason, headers, &method),
            _ => Parsed::Garbage,
        })
    }
}

pub(crate) fn trim_line_ends(bytes: &[u8]) -> &[u8] {
    let blank = bytes
        .iter()
        .take_while(|o| matches!(o, b'\r' | b'\n'))
        .count();
    &bytes[blank..]
}

/// The end of the head and the start of the body, searched from `at` on; or where to go on once there
/// is more. Bare line feeds are tolerated.
fn head_bytes(bytes: &[u8], mut at: usize) -> Result<(usize, usize), usize> {
    while let Some(line) = bytes[at..].iter().position(|&o| o == b'\n') {
        let next = at + line + 1;
        match &bytes[next..] {
            [b'\r', b'\n', ..] => return Ok((next, next + 2)),
            [b'\n', ..] => return Ok((next, next + 1)),
            [] | [b'\r'] => return Err(next - 1),
            _ => at = next,
        }
    }
    Err(bytes.len())
}

fn parse_head(head: &[u8]) -> Option<Head> {
    let text = match core::str::from_utf8(head) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(head),
    };
    let mut lines = text
        .split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line));
    let start = parse_start(lines.next()?)?;
    let mut headers = Headers::default();
    let mut defect = (head.len() > HEAD_BYTES_MAX).then_some("Head Too Large");
    for line in lines.filter(|line| !line.is_empty()) {
        if headers.count() >= HEADERS_MAX {
            defect = Some("Too Many Header Fields");
            break;
        }
        if line.starts_with([' ', '\t']) {
            if !headers.fold_into_last(line.trim()) {
                defect = Some("Malformed Header Field");
            }
            continue;
        }
        match line.split_once(':') {
            Some((name, value)) if is_token(name.trim_end()) => {
                headers.push(name.trim_end(), value.trim());
            }
            _ => defect = Some("Malformed Header Field"),
        }
    }
    Some(Head {
        start,
        headers,
        defect,
    })
}

fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|o| o.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&o))
}

fn parse_start(line: &str) -> Option<Start> {
    let line = line.trim_end();
    if line
        .get(..4)
        .is_some_and(|p| p.eq_ignore_ascii_case("SIP/"))
    {
        let mut words = line.splitn(3, ' ').skip(1);
        let code = words
            .next()?
            .parse()
            .ok()
            .filter(|c| (100..700).contains(c))?;
        return Some(Start::Response(code, words.next().unwrap_or("").to_owned()));
    }
    // The URI is what stands between the first and the last word: some write a blank inside it.
    let (method, rest) = line.split_once(' ')?;
    let (uri, version) = rest.rsplit_once(' ')?;
    if !is_token(method)
        || !version
            .get(..4)
            .is_some_and(|p| p.eq_ignore_ascii_case("SIP/"))
    {
        return None;
    }
    let is_version_2 = version.eq_ignore_ascii_case("SIP/2.0");
    Some(Start::Request(
        Method::new(method),
        Uri::parse(uri),
        is_version_2,
    ))
}

fn length(headers: &Headers) -> Length {
    match headers.get("Content-Length") {
        None => Length::Absent,
        Some(value) if !value.bytes().any(|o| o.is_ascii_alphanumeric()) => Length::Placeholder,
        Some(value) => value
            .trim()
            .parse()
            .map_or(Length::Unreadable, Length::Octets),
    }
}

fn malformed(code: u16, reason: &'static str, headers: Headers, method: &Method) -> Parsed {
    Parsed::Malformed(Malformed {
        code,
        reason,
        headers,
        is_ack: *method == Method::Ack,
    })
}

fn finish(head: Head, body: &[u8]) -> Parsed {
    let Head {
        start,
        headers,
        defect,
    } = head;
    match start {
        Start::Response(..) if defect.is_some() => Parsed::Garbage,
        Start::Response(code, reason) => Parsed::Response(Response {
            code,
            reason,
            headers,
            body: body.to_vec(),
        }),
        Start::Request(method, _, false) => {
            malformed(505, "Version Not Supported", headers, &method)
        }
        Start::Request(method, Err(_), true) => {
            malformed(400, "Malformed Request-URI", headers, &method)
        }
        Start::Request(method, Ok(uri), true) => match defect {
            Some(defect) => malformed(400, defect, headers, &method),
            None => Parsed::Request(Request {
                method,
                uri,
                headers,
                body: body.to_vec(),
            }),
        },
    }
}

#[cfg(test)]
#[path = "parse/tests.rs"]
mod tests;
