//! Writes the canonical description of an MSRP session.

use core::fmt::Write;
use core::net::SocketAddr;

use crate::description::Description;
use crate::message::{Direction, Fingerprint, Setup, Transport};

/// The session description of one MSRP session, written with CRLF in RFC 4566's order.
///
/// Optional attributes that are empty or absent are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageBuilder {
    /// `c=` address and `m=` port.
    pub address: SocketAddr,
    /// `m=` transport.
    pub transport: Transport,
    /// `a=path`, blanks between URIs.
    pub path: String,
    /// `o=` session id; the same through a dialog.
    pub origin_id: u64,
    /// `o=` version; raised with every change (RFC 3264 section 8).
    pub origin_version: u64,
    /// `a=accept-types`.
    pub accept_types: Vec<String>,
    /// `a=accept-wrapped-types`.
    pub accept_wrapped_types: Vec<String>,
    /// `a=max-size`, octets.
    pub max_size: Option<u64>,
    /// `a=msrp-cema` (RFC 6714).
    pub has_cema: bool,
    /// `a=setup` (RFC 6135).
    pub setup: Option<Setup>,
    /// `a=chatroom` with its tokens (RFC 7701).
    pub chatroom: Option<Vec<String>>,
    /// `a=fingerprint` (RFC 8122).
    pub fingerprint: Option<Fingerprint>,
    /// Written unless it is the default, `sendrecv`.
    pub direction: Direction,
}

impl MessageBuilder {
    /// A TCP session at `address` with `path`, nothing optional.
    #[must_use]
    pub fn new(address: SocketAddr, path: impl Into<String>) -> Self {
        Self {
            address,
            transport: Transport::Tcp,
            path: path.into(),
            origin_id: 0,
            origin_version: 0,
            accept_types: Vec::new(),
            accept_wrapped_types: Vec::new(),
            max_size: None,
            has_cema: false,
            setup: None,
            chatroom: None,
            fingerprint: None,
            direction: Direction::SendRecv,
        }
    }

    /// The description as an offer, or as an answer to an offer with one `m=` line.
    #[must_use]
    pub fn write(&self) -> String {
        let mut out = self.session();
        self.write_media(&mut out);
        out
    }

    /// The description as an answer: our line at `index`, every other `m=` line of the offer
    /// refused with port 0 (RFC 3264 section 6).
    #[must_use]
    pub fn write_answer(&self, offer: &Description, index: usize) -> String {
        let mut out = self.session();
        for line in offer.media() {
            if line.index == index {
                self.write_media(&mut out);
            } else {
                write_line(&mut out, line.kind, 0, line.proto, line.format);
            }
        }
        out
    }

    /// The lines before the first `m=`.
    fn session(&self) -> String {
        let ip = self.address.ip();
        let family = if ip.is_ipv6() { "IP6 " } else { "IP4 " };
        let ip = ip.to_string();
        let mut out = String::with_capacity(LINES_OCTETS + self.path.len());
        out.push_str("v=0\r\no=- ");
        write_number(&mut out, self.origin_id);
        out.push(' ');
        write_number(&mut out, self.origin_version);
        for part in [" IN ", family, &ip, "\r\ns=-\r\nc=IN ", family, &ip] {
            out.push_str(part);
        }
        out.push_str("\r\nt=0 0\r\n");
        out
    }

    fn write_media(&self, out: &mut String) {
        let port = self.address.port();
        write_line(out, "message", port, self.transport.as_str(), "*");
        let mut add = |name: &str, values: &mut dyn Iterator<Item = &str>| {
            out.push_str("a=");
            out.push_str(name);
            for (number, value) in values.enumerate() {
                out.push(if number == 0 { ':' } else { ' ' });
                write_text(out, value);
            }
            out.push_str("\r\n");
        };
        if !self.accept_types.is_empty() {
            let types = &mut self.accept_types.iter().map(String::as_str);
            add("accept-types", types);
        }
        if !self.accept_wrapped_types.is_empty() {
            let types = &mut self.accept_wrapped_types.iter().map(String::as_str);
            add("accept-wrapped-types", types);
        }
        add("path", &mut [self.path.as_str()].into_iter());
        if let Some(size) = self.max_size {
            add("max-size", &mut [size.to_string().as_str()].into_iter());
        }
        if self.has_cema {
            add("msrp-cema", &mut [].into_iter());
        }
        if let Some(setup) = self.setup {
            add("setup", &mut [setup.as_str()].into_iter());
        }
        if let Some(tokens) = &self.chatroom {
            add("chatroom", &mut tokens.iter().map(String::as_str));
        }
        if let Some(Fingerprint { hash, value }) = &self.fingerprint {
            add("fingerprint", &mut [hash.as_str(), value].into_iter());
        }
        if self.direction != Direction::SendRecv {
            add(self.direction.as_str(), &mut [].into_iter());
        }
    }
}

/// What the lines of a description without optional attributes take beside the path, octets; more makes
/// the text grow.
const LINES_OCTETS: usize = 224;

fn write_line(out: &mut String, media: &str, port: u16, proto: &str, format: &str) {
    out.push_str("m=");
    write_text(out, media);
    out.push(' ');
    write_number(out, port.into());
    for field in [proto, format] {
        out.push(' ');
        write_text(out, field);
    }
    out.push_str("\r\n");
}

/// A value: what would end its line is left out (RFC 8866 section 5).
fn write_text(out: &mut String, text: &str) {
    let ends_line = |c: char| matches!(c, '\0' | '\r' | '\n');
    for part in text.split(ends_line) {
        out.push_str(part);
    }
}

fn write_number(out: &mut String, number: u64) {
    write!(out, "{number}").expect("a string takes everything");
}
