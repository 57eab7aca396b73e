//! Requests and responses: a start line, header fields in order, a body. Field values keep the
//! text they came with, so what a proxy wrote goes back untouched.

use crate::uri::{NameAddr, Uri, split_outside_quotes};
use core::fmt;

/// A request method; unknown ones are kept so that they can be answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(
    missing_docs,
    reason = "the variants are the method names of their RFCs"
)]
pub enum Method {
    Invite,
    Ack,
    Cancel,
    Bye,
    Options,
    Update,
    Prack,
    Refer,
    Subscribe,
    Notify,
    Message,
    Info,
    Publish,
    Register,
    /// Anything else, as written (methods are case-sensitive).
    Other(String),
}

const METHODS: [(&str, Method); 14] = [
    ("INVITE", Method::Invite),
    ("ACK", Method::Ack),
    ("CANCEL", Method::Cancel),
    ("BYE", Method::Bye),
    ("OPTIONS", Method::Options),
    ("UPDATE", Method::Update),
    ("PRACK", Method::Prack),
    ("REFER", Method::Refer),
    ("SUBSCRIBE", Method::Subscribe),
    ("NOTIFY", Method::Notify),
    ("MESSAGE", Method::Message),
    ("INFO", Method::Info),
    ("PUBLISH", Method::Publish),
    ("REGISTER", Method::Register),
];

impl Method {
    /// Reads a method name; never fails.
    #[must_use]
    pub fn new(name: &str) -> Self {
        METHODS
            .iter()
            .find(|(text, _)| *text == name)
            .map_or_else(|| Self::Other(name.to_owned()), |(_, m)| m.clone())
    }

    /// The name on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        if let Self::Other(name) = self {
            return name;
        }
        METHODS
            .iter()
            .find(|(_, method)| method == self)
            .map_or("", |(text, _)| text)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Header fields in the order of the message; names in the form they came, compared without
/// regard to case and with the compact forms (RFC 3261 7.3.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

const COMPACT: [(&str, &str); 14] = [
    ("a", "Accept-Contact"),
    ("c", "Content-Type"),
    ("e", "Content-Encoding"),
    ("f", "From"),
    ("i", "Call-ID"),
    ("k", "Supported"),
    ("l", "Content-Length"),
    ("m", "Contact"),
    ("o", "Event"),
    ("r", "Refer-To"),
    ("s", "Subject"),
    ("t", "To"),
    ("u", "Allow-Events"),
    ("v", "Via"),
];

fn long_name(name: &str) -> &str {
    COMPACT
        .iter()
        .find(|(short, _)| short.eq_ignore_ascii_case(name))
        .map_or(name, |(_, long)| long)
}

impl Headers {
    /// Appends a field. A line break in `value` would end the field, so it becomes a blank.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let mut value = value.into();
        if value.contains(['\r', '\n']) {
            value = value.replace(['\r', '\n'], " ");
        }
        self.0.push((name.into(), value));
    }

    /// Appends all of `others`.
    pub fn extend(&mut self, others: &[(String, String)]) {
        for (name, value) in others {
            self.push(name.clone(), value.clone());
        }
    }

    /// The first field of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Every field of that name, one item a line.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let name = long_name(name).to_owned();
        self.0
            .iter()
            .filter(move |(n, _)| long_name(n).eq_ignore_ascii_case(&name))
            .map(|(_, value)| value.as_str())
    }

    /// Every element of the comma-separated fields of that name, trimmed, empty ones left out.
    pub fn list<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.all(name)
            .flat_map(|value| split_outside_quotes(value, b','))
            .map(str::trim)
            .filter(|element| !element.is_empty())
    }

    /// Whether a list field holds `token`, without regard to case and parameters.
    #[must_use]
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.list(name).any(|element| {
            let bare = element.split(';').next().unwrap_or(element).trim();
            bare.eq_ignore_ascii_case(token)
        })
    }

    /// Fields with their names, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// Number of fields.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Puts a field at the top, in the place of those of that name.
    pub(crate) fn put_first(&mut self, name: &str, value: String) {
        self.0.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self.0.insert(0, (name.to_owned(), value));
    }

    pub(crate) fn fold_into_last(&mut self, continuation: &str) -> bool {
        let Some((_, value)) = self.0.last_mut() else {
            return false;
        };
        if !value.is_empty() && !continuation.is_empty() {
            value.push(' ');
        }
        value.push_str(&continuation.replace(['\r', '\n'], " "));
        true
    }

    /// The number in CSeq and the method beside it.
    #[must_use]
    pub fn cseq(&self) -> Option<(u32, Method)> {
        let (number, method) = self.get("CSeq")?.trim().split_once([' ', '\t'])?;
        // RFC 3261 8.1.1.5: less than 2**31.
        let number = number.parse().ok().filter(|n| *n < 1 << 31)?;
        Some((number, Method::new(method.trim())))
    }

    /// From, parsed.
    #[must_use]
    pub fn from(&self) -> Option<NameAddr> {
        NameAddr::parse(self.get("From")?).ok()
    }

    /// To, parsed.
    #[must_use]
    pub fn to(&self) -> Option<NameAddr> {
        NameAddr::parse(self.get("To")?).ok()
    }

    /// The first Contact, parsed; `None` for `*`, too.
    #[must_use]
    pub fn contact(&self) -> Option<NameAddr> {
        NameAddr::parse(self.list("Contact").next()?).ok()
    }

    /// Call-ID, trimmed.
    #[must_use]
    pub fn call_id(&self) -> Option<&str> {
        self.get("Call-ID").map(str::trim).filter(|c| !c.is_empty())
    }

    /// The media type of the body in lower case, without parameters.
    #[must_use]
    pub fn content_type(&self) -> Option<String> {
        let value = self.get("Content-Type")?;
        let bare = value.split(';').next().unwrap_or(value);
        Some(bare.trim().to_ascii_lowercase())
    }
}

/// A SIP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is asked.
    pub method: Method,
    /// Of whom.
    pub uri: Uri,
    /// Header fields.
    pub headers: Headers,
    /// Body; its size is written as Content-Length, whatever `headers` says.
    pub body: Vec<u8>,
}

/// A SIP response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// 100 to 699.
    pub code: u16,
    /// Free text.
    pub reason: String,
    /// Header fields.
    pub headers: Headers,
    /// Body; its size is written as Content-Length, whatever `headers` says.
    pub body: Vec<u8>,
}

impl Request {
    /// The message as it goes on the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let start = format!("{} {} SIP/2.0\r\n", self.method, self.uri);
        write(start, &self.headers, &self.body)
    }
}

impl Response {
    /// The message as it goes on the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let start = format!("SIP/2.0 {} {}\r\n", self.code, self.reason);
        write(start, &self.headers, &self.body)
    }
}

fn write(mut head: String, headers: &Headers, body: &[u8]) -> Vec<u8> {
    for (name, value) in headers.iter() {
        if !long_name(name).eq_ignore_ascii_case("Content-Length") {
            head.push_str(name);
            head.push_str(": ");
            head.push_str(value);
            head.push_str("\r\n");
        }
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// The phrase that RFC 3261 21 (and the RFCs that added codes) prints beside a code.
#[must_use]
pub const fn reason_phrase(code: u16) -> &'static str {
    match code {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Request Entity Too Large",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        422 => "Session Interval Too Small",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        489 => "Bad Event",
        491 => "Request Pending",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        603 => "Decline",
        _ => "Unspecified",
    }
}
