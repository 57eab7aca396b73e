//! The head of a frame: start line and header fields.

use crate::byte_range::ByteRange;
pub use crate::head_fault::HeadFault;
use crate::head_parse::Known;
use crate::octet;
pub use crate::status::StatusCode;

/// A parsed head, borrowed from the octets it came in.
///
/// A head with a [`fault`](Self::fault) still holds whatever could be read, so that the frame can
/// be answered; take no other action on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head<'a> {
    /// The transaction id: 4 to 32 octets, compared octet by octet.
    pub transaction_id: &'a [u8],
    /// What kind of frame this is.
    pub start: Start<'a>,
    /// The To-Path value, blanks around it trimmed. Empty when the field is missing or holds a
    /// control character.
    pub to_path: &'a [u8],
    /// The From-Path value, blanks around it trimmed. Empty when the field is missing or holds a
    /// control character, and then there is nowhere to address a response.
    pub from_path: &'a [u8],
    /// The Message-ID when it is a valid ident. Always there in a SEND or REPORT without fault.
    pub message_id: Option<&'a [u8]>,
    /// The Byte-Range, when present and valid.
    pub byte_range: Option<ByteRange>,
    /// Whether a success REPORT is asked for; `false` when the field is absent.
    pub success_report: bool,
    /// Which failures are to be told.
    pub failure_report: FailureReport,
    /// The Status of a REPORT, when present and valid.
    pub status: Option<Status<'a>>,
    /// The media type with its parameters, without quotes or blanks around it.
    pub content_type: Option<&'a [u8]>,
    /// The Use-Nickname value as received, with its quotes (RFC 7701 section 7).
    pub use_nickname: Option<&'a [u8]>,
    /// Whether the frame has a body, possibly of no octets: a blank line followed the fields.
    pub has_body: bool,
    /// What is wrong with the head, if anything; the first fault found.
    pub fault: Option<HeadFault>,
    /// The start line and all header lines, each with its CRLF.
    pub(crate) text: &'a [u8],
    /// Of those the start line, octets.
    pub(crate) start_line_bytes: usize,
    /// One bit per field met, see [`Known`].
    pub(crate) seen: u16,
}

impl<'a> Head<'a> {
    /// One of which nothing has been read.
    pub(crate) const EMPTY: Self = Self {
        transaction_id: b"",
        start: Start::Request(Method::Unknown(b"")),
        to_path: b"",
        from_path: b"",
        message_id: None,
        byte_range: None,
        success_report: false,
        failure_report: FailureReport::Yes,
        status: None,
        content_type: None,
        use_nickname: None,
        has_body: false,
        fault: None,
        text: b"",
        start_line_bytes: 0,
        seen: 0,
    };

    /// All header fields in the order received, blanks around values trimmed. Lines that are no
    /// fields (no colon, no proper name) are left out.
    pub fn fields(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        lines(&self.text[self.start_line_bytes..])
            .filter_map(|line| Field::split(line).ok())
            .filter(Field::has_token_name)
    }

    /// The start line and the header fields as received, each with its CRLF; without the blank line.
    pub fn text(&self) -> &'a [u8] {
        self.text
    }

    /// Whether Success-Report was there; [`Self::success_report`] is what it said.
    pub fn tells_success_report(&self) -> bool {
        self.seen & Known::SuccessReport.bit() != 0
    }

    /// Whether Failure-Report was there; [`Self::failure_report`] is what it said.
    pub fn tells_failure_report(&self) -> bool {
        self.seen & Known::FailureReport.bit() != 0
    }

    /// Whether there is a field beyond those of nearly every SEND: the paths, Message-ID, Byte-Range, the
    /// report fields and Content-Type. Without one the members of this structure are all there is to
    /// know, and [`Self::fields`] need not be read.
    pub fn has_more_fields(&self) -> bool {
        self.seen & !Known::OF_A_SEND != 0
    }

    /// The To-Path URIs, next hop first. The octets of each are not checked when there is a fault.
    pub fn to_uris(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        uris(self.to_path)
    }

    /// The From-Path URIs, previous hop first. Not checked when there is a fault.
    pub fn from_uris(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        uris(self.from_path)
    }

    /// The first From-Path URI: the previous hop, to which a response to SEND goes (RFC 4975
    /// section 7.2).
    pub fn leftmost_from(&self) -> Option<&'a [u8]> {
        self.from_uris().next()
    }

    /// The last From-Path URI: the endpoint that made the request.
    pub fn last_from_uri(&self) -> Option<&'a [u8]> {
        self.from_uris().last()
    }

    /// Whether this is a SEND.
    pub fn is_send(&self) -> bool {
        self.start == Start::Request(Method::Send)
    }
}

/// One header field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name as received; compare without case (RFC 4975 section 9).
    pub name: &'a [u8],
    /// The value without blanks around it.
    pub value: &'a [u8],
}

impl<'a> Field<'a> {
    /// Splits a header line at its colon. The name may still be no token.
    pub(crate) fn split(line: &'a [u8]) -> Result<Self, HeadFault> {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return Err(HeadFault::Folded);
        }
        let colon = memchr::memchr(b':', line).ok_or(HeadFault::NoColon)?;
        Ok(Self {
            name: &line[..colon],
            value: trim(&line[colon + 1..]),
        })
    }

    pub(crate) fn has_token_name(&self) -> bool {
        !self.name.is_empty() && octet::all(self.name, octet::TOKEN)
    }

    /// Whether the field has this name, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// What the start line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start<'a> {
    /// A request.
    Request(Method<'a>),
    /// A response to the request with the same transaction id.
    Response {
        /// The outcome.
        status: StatusCode,
        /// Text for people, possibly empty; not checked to be UTF-8.
        comment: &'a [u8],
    },
}

/// A request's method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method<'a> {
    /// Carries a chunk (RFC 4975).
    Send,
    /// Tells the fate of a message; never answered (RFC 4975).
    Report,
    /// Asks a relay for a URI (RFC 4976).
    Auth,
    /// Sets a nickname in a room (RFC 7701).
    Nickname,
    /// Any other upper-case word; answered with 501.
    Unknown(&'a [u8]),
}

impl<'a> Method<'a> {
    /// The word on the wire.
    pub fn as_bytes(&self) -> &'a [u8] {
        match *self {
            Self::Send => b"SEND",
            Self::Report => b"REPORT",
            Self::Auth => b"AUTH",
            Self::Nickname => b"NICKNAME",
            Self::Unknown(word) => word,
        }
    }
}

/// Which failures the sender of a request wants to hear of (RFC 4975 section 7.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FailureReport {
    /// All: every request is answered, and failures later on are reported. Also when absent.
    #[default]
    Yes,
    /// Errors are answered; success and time-outs are not.
    Partial,
    /// None; nothing is ever answered.
    No,
}

impl FailureReport {
    /// The word on the wire.
    pub fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Yes => b"yes",
            Self::Partial => b"partial",
            Self::No => b"no",
        }
    }
}

/// The Status of a REPORT (RFC 4975 section 7.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status<'a> {
    /// 0 to 999; 0 says that `code` is an MSRP response code.
    pub namespace: u16,
    /// The outcome reported.
    pub code: StatusCode,
    /// Text for people, possibly empty.
    pub comment: &'a [u8],
}

/// The lines of a block of lines that each end in CRLF, without it.
pub(crate) fn lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = block;
    std::iter::from_fn(move || {
        let mut from = 0;
        // Only CRLF ends a line; a bare LF belongs to it.
        while let Some(found) = memchr::memchr(b'\n', &rest[from..]) {
            let at = from + found;
            if at > 0 && rest[at - 1] == b'\r' {
                let line = &rest[..at - 1];
                rest = &rest[at + 1..];
                return Some(line);
            }
            from = at + 1;
        }
        None
    })
}

/// `text` without SP and HTAB at both ends.
pub(crate) fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// The URIs of a path, which blanks keep apart.
pub(crate) fn uris(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = path;
    std::iter::from_fn(move || {
        while let [b' ', after @ ..] = rest {
            rest = after;
        }
        let (uri, after) = rest.split_at(memchr::memchr(b' ', rest).unwrap_or(rest.len()));
        rest = after;
        (!uri.is_empty()).then_some(uri)
    })
}
