//! Message/CPIM (RFC 3862): the headers before the content, wherever the octets are cut.
//!
//! ```text
//! From: <im:a@example.com> CRLF     message headers
//! To: <im:b@example.com> CRLF
//! CRLF
//! Content-Type: text/plain CRLF     headers of the wrapped part
//! CRLF
//! content                           never looked at, never copied
//! ```
//!
//! [`Scanner`] finds where the content begins, [`Head::parse`] reads what came before. Examples in
//! RFC 4975, RFC 5438 and RFC 7701 leave the first blank line out, and so do implementations: a
//! first block that holds Content-Type is both (erratum 3013 of RFC 5438).

use std::borrow::Cow;

use crate::head::{lines, trim};
use crate::octet;

/// Headers longer than this are refused, octets; a [`Scanner`] may be given another limit.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;

/// More header lines than this are refused.
pub const LINES_MAX: usize = 64;

/// What is wrong with a wrapper. The sender is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CpimFault {
    /// The headers do not end within the limit.
    #[error("CPIM headers longer than {limit_bytes} octets")]
    TooLong {
        /// The limit, octets.
        limit_bytes: usize,
    },
    /// More lines than [`LINES_MAX`].
    #[error("more than {LINES_MAX} CPIM header lines")]
    TooManyLines,
    /// The message ended within its message headers.
    #[error("the message ends within its CPIM headers")]
    Unfinished,
    /// A line without a colon or without a name.
    #[error("a CPIM header line without a name")]
    NoName,
    /// A message header that goes on in another line (RFC 3862 2.2 has no folding).
    #[error("a folded CPIM header")]
    Folded,
    /// A control character; they are written as escapes (RFC 3862 2.3).
    #[error("a control character in a CPIM header")]
    Control,
    /// From, DateTime, Subject or Require more than once (RFC 4975 13).
    #[error("a CPIM header that must not be repeated")]
    Repeated,
    /// From, To or cc without an address.
    #[error("a CPIM address without a URI")]
    Address,
}

/// Finds the end of the headers in octets that come in any pieces.
///
/// Keeps a copy of the headers only when they do not come in the first piece, and never of the
/// content.
#[derive(Debug)]
pub struct Scanner {
    limit_bytes: usize,
    held: Vec<u8>,
    /// Where the line begins that is not complete yet.
    line_at: usize,
    lines: usize,
    is_in_part: bool,
    has_content_type: bool,
}

/// What a [`Scanner`] found.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// More octets are needed; those given are held.
    More,
    /// The headers are all there.
    Head {
        /// Their octets, the blank line before the content included.
        text: &'a [u8],
        /// How many of the octets just given belong to them.
        used: usize,
    },
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new(HEAD_BYTES_MAX)
    }
}

impl Scanner {
    /// A scanner that takes headers up to `limit_bytes`.
    #[must_use]
    pub fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            held: Vec::new(),
            line_at: 0,
            lines: 0,
            is_in_part: false,
            has_content_type: false,
        }
    }

    /// Takes the next octets of the body. Not to be called again after a head or a fault.
    ///
    /// # Errors
    ///
    /// [`CpimFault::TooLong`] or [`CpimFault::TooManyLines`].
    pub fn next<'a>(&'a mut self, octets: &'a [u8]) -> Result<Step<'a>, CpimFault> {
        if self.held.is_empty() {
            // The usual case: all of it in the first piece, read where it lies.
            if let Some(used) = self.scan(octets)? {
                let text = &octets[..used];
                return Ok(Step::Head { text, used });
            }
            self.held.extend_from_slice(octets);
            return Ok(Step::More);
        }
        let before = self.held.len();
        // No more than can belong to the head: its end may be anywhere in a large piece.
        let take = octets
            .len()
            .min((self.limit_bytes + 1).saturating_sub(before));
        let mut held = core::mem::take(&mut self.held);
        held.extend_from_slice(&octets[..take]);
        let found = self.scan(&held);
        self.held = held;
        match found? {
            Some(end) => {
                self.held.truncate(end);
                let used = end - before;
                Ok(Step::Head {
                    text: &self.held,
                    used,
                })
            }
            None => Ok(Step::More),
        }
    }

    /// The message has ended. Headers that only lack their blank line are complete.
    ///
    /// # Errors
    ///
    /// [`CpimFault::Unfinished`] when there is no wrapped part.
    pub fn finish(&self) -> Result<&[u8], CpimFault> {
        if self.is_in_part || self.has_content_type {
            Ok(&self.held)
        } else {
            Err(CpimFault::Unfinished)
        }
    }

    /// The octets held: everything given, as long as the headers are not complete.
    #[must_use]
    pub fn held(&self) -> &[u8] {
        &self.held
    }

    /// Goes on line by line from where it stopped; `text` is all there is so far.
    fn scan(&mut self, text: &[u8]) -> Result<Option<usize>, CpimFault> {
        let window = &text[..text.len().min(self.limit_bytes)];
        while let Some(end) = line_end(window, self.line_at) {
            let line = &window[self.line_at..end - 2];
            self.line_at = end;
            self.lines += 1;
            if self.lines > LINES_MAX {
                return Err(CpimFault::TooManyLines);
            }
            if !line.is_empty() {
                self.has_content_type |= is_content_type(line);
            } else if self.is_in_part || self.has_content_type {
                return Ok(Some(end));
            } else {
                self.is_in_part = true;
            }
        }
        if text.len() > self.limit_bytes {
            let limit_bytes = self.limit_bytes;
            return Err(CpimFault::TooLong { limit_bytes });
        }
        Ok(None)
    }
}

/// One past the CRLF that ends the line from `start`.
fn line_end(text: &[u8], start: usize) -> Option<usize> {
    let mut from = start;
    while let Some(found) = memchr::memchr(b'\n', &text[from..]) {
        let at = from + found;
        if at > start && text[at - 1] == b'\r' {
            return Some(at + 1);
        }
        from = at + 1;
    }
    None
}

fn is_content_type(line: &[u8]) -> bool {
    split(line).is_some_and(|(name, _)| name.eq_ignore_ascii_case(b"Content-Type"))
}

fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    Some((&line[..colon], &line[colon + 1..]))
}

/// The headers of a wrapper, borrowed from their octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head<'a> {
    text: &'a [u8],
    /// Who says it sent this.
    pub from: Option<Address<'a>>,
    /// The first To.
    pub to: Option<Address<'a>>,
    /// How many To there are.
    pub to_count: usize,
    /// DateTime as written.
    pub date_time: Option<&'a [u8]>,
    /// The media type of the wrapped part with its parameters; `None` = not said, which means
    /// text/plain (RFC 2045 5.2).
    pub content_type: Option<&'a [u8]>,
}

/// A From, To or cc.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address<'a> {
    /// The name for people, as written, possibly quoted; often empty.
    pub name: &'a [u8],
    /// The URI without its angle brackets.
    pub uri: &'a [u8],
}

/// One message header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name, with its namespace prefix and a dot if it has one; case counts.
    pub name: &'a [u8],
    /// Parameters with their leading `;`, possibly empty.
    pub params: &'a [u8],
    /// The value as written; see [`unescape`].
    pub value: &'a [u8],
}

impl<'a> Head<'a> {
    /// Reads the headers that a [`Scanner`] found.
    ///
    /// # Errors
    ///
    /// The first [`CpimFault`] among the message headers. Those of the wrapped part are MIME and
    /// looked at for Content-Type alone.
    pub fn parse(text: &'a [u8]) -> Result<Self, CpimFault> {
        let mut head = Self {
            text,
            from: None,
            to: None,
            to_count: 0,
            date_time: None,
            content_type: None,
        };
        let mut has_require = false;
        let mut has_subject = false;
        for field in fields(text) {
            let field = field?;
            match field.name {
                b"From" => once(head.from.replace(address(field.value)?).is_some())?,
                b"To" => {
                    let to = address(field.value)?;
                    head.to.get_or_insert(to);
                    head.to_count += 1;
                }
                b"DateTime" => once(head.date_time.replace(field.value).is_some())?,
                b"Require" => once(core::mem::replace(&mut has_require, true))?,
                // One per language.
                b"Subject" if field.params.is_empty() => {
                    once(core::mem::replace(&mut has_subject, true))?;
                }
                name if name.eq_ignore_ascii_case(b"cc") => {
                    address(field.value)?;
                }
                _ => {}
            }
        }
        head.content_type = content_type(text);
        Ok(head)
    }

    /// The message headers in order.
    pub fn fields(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        fields(self.text).filter_map(Result::ok)
    }

    /// All To, or all cc, in order.
    pub fn addresses(&self, name: &str) -> impl Iterator<Item = Address<'a>> {
        self.fields()
            .filter(move |f| f.name.eq_ignore_ascii_case(name.as_bytes()))
            .filter_map(|f| address(f.value).ok())
    }

    /// The features that the recipient must know (RFC 3862 4.7); a switch passes them on.
    pub fn requires(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let values = self.fields().filter(|f| f.name == b"Require");
        values.flat_map(|f| f.value.split(|&c| c == b',').map(trim))
    }

    /// The URI of a namespace prefix (RFC 3862 3.4); that of an empty prefix is the default.
    pub fn namespace(&self, prefix: &[u8]) -> Option<&'a [u8]> {
        let mut declared = self.fields().filter(|f| f.name == b"NS");
        declared.find_map(|f| {
            let found = address(f.value).ok()?;
            (trim(found.name) == prefix).then_some(found.uri)
        })
    }
}

fn once(is_repeated: bool) -> Result<(), CpimFault> {
    if is_repeated {
        Err(CpimFault::Repeated)
    } else {
        Ok(())
    }
}

/// The lines of the first block. A block that is also the part's has MIME fields in it, which may
/// be folded.
fn fields(text: &[u8]) -> impl Iterator<Item = Result<Field<'_>, CpimFault>> {
    let block = lines(text).take_while(|line| !line.is_empty());
    let mut is_mime = false;
    block.filter_map(move |line| {
        is_mime |= starts_with_content(line);
        (!is_mime).then(|| field(line))
    })
}

fn starts_with_content(line: &[u8]) -> bool {
    let prefix = line.get(..8).unwrap_or_default();
    prefix.eq_ignore_ascii_case(b"Content-")
}

fn field(line: &[u8]) -> Result<Field<'_>, CpimFault> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(CpimFault::Folded);
    }
    if line.iter().any(|c| c.is_ascii_control() && *c != b'\t') {
        return Err(CpimFault::Control);
    }
    let (name, rest) = split(line).ok_or(CpimFault::NoName)?;
    if name.is_empty() || !octet::all(name, octet::TOKEN) {
        return Err(CpimFault::NoName);
    }
    let value_at = if rest.first() == Some(&b';') {
        memchr::memchr(b' ', rest).unwrap_or(rest.len())
    } else {
        0
    };
    let (params, value) = rest.split_at(value_at);
    Ok(Field {
        name,
        params,
        value: trim(value),
    })
}

/// `[name] <URI>`; a URI without its brackets is tolerated.
fn address(value: &[u8]) -> Result<Address<'_>, CpimFault> {
    let (name, uri) = match memchr::memrchr(b'<', value) {
        Some(open) => {
            let rest = &value[open + 1..];
            let close = memchr::memchr(b'>', rest).ok_or(CpimFault::Address)?;
            (trim(&value[..open]), &rest[..close])
        }
        None => (&value[..0], value),
    };
    if uri.is_empty() || uri.contains(&b' ') {
        return Err(CpimFault::Address);
    }
    Ok(Address { name, uri })
}

/// The value of the first Content-Type in either block.
fn content_type(text: &[u8]) -> Option<&[u8]> {
    let mut all = lines(text).filter_map(split);
    all.find_map(|(name, value)| {
        name.eq_ignore_ascii_case(b"Content-Type")
            .then(|| trim(value))
    })
    .filter(|value| !value.is_empty())
}

/// A header value with its escapes resolved (RFC 3862 2.3): `\\`, `\"`, `\'`, `\b`, `\t`, `\n`,
/// `\r` and `\uXXXX`; any other escaped character is itself, a backslash at the end is nothing.
#[must_use]
pub fn unescape(value: &[u8]) -> Cow<'_, [u8]> {
    if !value.contains(&b'\\') {
        return Cow::Borrowed(value);
    }
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [octet, after @ ..] = rest {
        rest = after;
        if *octet != b'\\' {
            out.push(*octet);
            continue;
        }
        let [escaped, after @ ..] = rest else { break };
        rest = after;
        match escaped {
            b'b' => out.push(8),
            b't' => out.push(b'\t'),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b'u' => {
                if let Some(c) = code_point(rest) {
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                    rest = &rest[4..];
                } else {
                    out.push(b'u');
                }
            }
            other => out.push(*other),
        }
    }
    Cow::Owned(out)
}

fn code_point(digits: &[u8]) -> Option<char> {
    let digits = core::str::from_utf8(digits.get(..4)?).ok()?;
    char::from_u32(u32::from_str_radix(digits, 16).ok()?)
}

#[cfg(test)]
mod tests;
