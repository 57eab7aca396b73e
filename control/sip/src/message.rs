//! Requests and responses: a start line, header fields in order, a body. Field values keep the
//! text they came with, so what a proxy wrote goes back untouched.

use crate::uri::{NameAddr, Uri, split_outside_quotes};
use core::fmt;
use std::borrow::Cow;

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
pub struct Headers(Vec<Field>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    name: Name,
    value: String,
}

/// A field's name. Every message is searched for a dozen of them, and nearly all are of a few dozen: those are
/// not allocated, and a number tells most others apart.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    /// Equal for names that are; others may share it.
    key: u32,
    text: Cow<'static, str>,
}

/// Namespaces of Resource-Priority whose requests go first: authority-to-individual and among authorities in an
/// emergency (RFC 7135, RFC 4412 10). Precedence within them is not told apart.
const PRIORITY_NAMESPACES: [&str; 3] = ["esnet", "ets", "wps"];

/// Whether a value of Resource-Priority, which is a list, or of Priority asks to be refused after others
/// (RFC 7339 5.10.1).
pub(crate) fn goes_first(is_list: bool, value: &str) -> bool {
    if !is_list {
        return value.trim().eq_ignore_ascii_case("emergency");
    }
    value.split(',').any(|element| {
        let namespace = element.split('.').next().unwrap_or_default().trim();
        PRIORITY_NAMESPACES
            .iter()
            .any(|known| namespace.eq_ignore_ascii_case(known))
    })
}

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

/// Names as they are written nearly always.
const USUAL: [&str; 36] = [
    "Accept",
    "Allow",
    "Allow-Events",
    "Authorization",
    "CSeq",
    "Call-ID",
    "Contact",
    "Content-Disposition",
    "Content-Length",
    "Content-Type",
    "Event",
    "Expires",
    "From",
    "Max-Forwards",
    "Min-Expires",
    "Min-SE",
    "P-Asserted-Identity",
    "P-Charging-Function-Addresses",
    "P-Charging-Vector",
    "Privacy",
    "RAck",
    "RSeq",
    "Record-Route",
    "Refer-Sub",
    "Refer-To",
    "Referred-By",
    "Require",
    "Retry-After",
    "Route",
    "Session-Expires",
    "Subscription-State",
    "Supported",
    "To",
    "User-Agent",
    "Via",
    "Warning",
];

const USUAL_KEYS: [u32; USUAL.len()] = {
    let mut keys = [0; USUAL.len()];
    let mut at = 0;
    while at < keys.len() {
        keys[at] = key(USUAL[at]);
        at += 1;
    }
    keys
};

/// FNV-1a over the name in lower case.
const fn key(name: &str) -> u32 {
    let octets = name.as_bytes();
    let (mut hash, mut at) = (0x811c_9dc5_u32, 0);
    while at < octets.len() {
        hash = (hash ^ octets[at].to_ascii_lowercase() as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    hash
}

fn long_name(name: &str) -> &str {
    if name.len() != 1 {
        return name;
    }
    COMPACT
        .iter()
        .find(|(short, _)| short.eq_ignore_ascii_case(name))
        .map_or(name, |(_, long)| long)
}

impl Name {
    fn new(name: &str) -> Self {
        let key = key(long_name(name));
        let usual = USUAL_KEYS.iter().position(|&usual| usual == key);
        let usual = usual.map(|at| USUAL[at]).filter(|usual| *usual == name);
        let text = usual.map_or_else(|| Cow::Owned(name.to_owned()), Cow::Borrowed);
        Self { key, text }
    }

    fn is(&self, key: u32, long: &str) -> bool {
        self.key == key && long_name(&self.text).eq_ignore_ascii_case(long)
    }
}

impl<N: AsRef<str>, V: Into<String>> FromIterator<(N, V)> for Headers {
    fn from_iter<T: IntoIterator<Item = (N, V)>>(fields: T) -> Self {
        let mut headers = Self::default();
        for (name, value) in fields {
            headers.push(name, value);
        }
        headers
    }
}

impl Headers {
    /// Appends a field. A line break in `value` would end the field, so it becomes a blank.
    pub fn push(&mut self, name: impl AsRef<str>, value: impl Into<String>) {
        let mut value = value.into();
        if value.bytes().any(|octet| matches!(octet, b'\r' | b'\n')) {
            value = value.replace(['\r', '\n'], " ");
        }
        let name = Name::new(name.as_ref());
        self.0.push(Field { name, value });
    }

    /// Appends all of `others`.
    pub fn extend(&mut self, others: &[(String, String)]) {
        for (name, value) in others {
            self.push(name, value.clone());
        }
    }

    /// The first field of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let long = long_name(name);
        let key = key(long);
        let found = self.0.iter().find(|field| field.name.is(key, long));
        found.map(|field| field.value.as_str())
    }

    /// Every field of that name, one item a line.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        // Found again by the first one there is, which lives as long as the items do.
        let long = long_name(name);
        let key = key(long);
        let first = self.0.iter().position(|field| field.name.is(key, long));
        let (fields, long) = match first {
            Some(at) => (&self.0[at..], long_name(&self.0[at].name.text)),
            None => (&self.0[..0], ""),
        };
        fields
            .iter()
            .filter(move |field| field.name.is(key, long))
            .map(|field| field.value.as_str())
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
        self.0.iter().map(|f| (&*f.name.text, f.value.as_str()))
    }

    /// Octets that they take on the wire.
    pub(crate) fn octets(&self) -> usize {
        let of = |field: &Field| field.name.text.len() + field.value.len() + 4;
        self.0.iter().map(of).sum()
    }

    /// Number of fields.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Puts a field at the top, in the place of those of that name.
    pub(crate) fn put_first(&mut self, name: &str, value: String) {
        self.0.retain(|f| !f.name.text.eq_ignore_ascii_case(name));
        let name = Name::new(name);
        self.0.insert(0, Field { name, value });
    }

    pub(crate) fn fold_into_last(&mut self, continuation: &str) -> bool {
        let Some(Field { value, .. }) = self.0.last_mut() else {
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
        let (method, uri) = (self.method.as_str(), self.uri.as_str());
        let mut out = Writer::new(self.headers.octets() + self.body.len());
        out.start(&[method, " ", uri, " SIP/2.0\r\n"]);
        out.fields(&self.headers);
        out.end(&self.body)
    }
}

impl Response {
    /// The message as it goes on the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::new(self.headers.octets() + self.body.len());
        out.status(self.code, &self.reason);
        out.fields(&self.headers);
        out.end(&self.body)
    }
}

/// A message on its way to the wire.
pub(crate) struct Writer(Vec<u8>);

/// Octets of a start line and of Content-Length, as a rule.
const FRAME_BYTES: usize = 160;

impl Writer {
    /// With room for fields and a body of so many octets.
    pub(crate) fn new(octets: usize) -> Self {
        Self(Vec::with_capacity(octets + FRAME_BYTES))
    }

    fn start(&mut self, words: &[&str]) {
        for word in words {
            self.0.extend_from_slice(word.as_bytes());
        }
    }

    pub(crate) fn status(&mut self, code: u16, reason: &str) {
        self.start(&["SIP/2.0 ", &code.to_string(), " "]);
        self.line(reason);
    }

    /// Writes the rest of a line. A line break in `text`, which may say what a peer wrote, would end it, so it
    /// becomes a blank.
    fn line(&mut self, text: &str) {
        let at = self.0.len();
        self.start(&[text, "\r\n"]);
        let end = self.0.len() - 2;
        for octet in &mut self.0[at..end] {
            if matches!(octet, b'\r' | b'\n') {
                *octet = b' ';
            }
        }
    }

    /// Writes a field. Content-Length is written at the end, whatever is said before.
    pub(crate) fn field(&mut self, name: &str, value: &str) {
        if long_name(name).eq_ignore_ascii_case("Content-Length") {
            return;
        }
        self.start(&[name, ": "]);
        self.line(value);
    }

    pub(crate) fn fields(&mut self, headers: &Headers) {
        for (name, value) in headers.iter() {
            self.field(name, value);
        }
    }

    pub(crate) fn end(mut self, body: &[u8]) -> Vec<u8> {
        let length = body.len().to_string();
        self.start(&["Content-Length: ", &length, "\r\n\r\n"]);
        self.0.extend_from_slice(body);
        self.0
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_wrote_begins_no_line_of_ours() {
        let response = Response {
            code: 400,
            reason: "Bad\r\nEvil: 1".to_owned(),
            headers: Headers::from_iter([("X", "a\r\nEvil: 2")]),
            body: Vec::new(),
        };
        let expected = "SIP/2.0 400 Bad  Evil: 1\r\nX: a  Evil: 2\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(response.to_bytes(), expected.as_bytes());
    }
}
