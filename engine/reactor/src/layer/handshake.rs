//! The server's side of the WebSocket handshake (RFC 6455 section 4.2, RFC 7977 section 4.1).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest;

use crate::limits::WEBSOCKET_HEADERS_MAX;

/// Why a request does not open a WebSocket for MSRP: the peer's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HandshakeFault {
    /// Not HTTP.
    #[error("not an HTTP request: {0}")]
    Syntax(httparse::Error),
    /// Longer than [`crate::limits::WEBSOCKET_REQUEST_BYTES_MAX`].
    #[error("the request is too long")]
    TooLong,
    /// Another method than GET, or another version than HTTP/1.1.
    #[error("not GET with HTTP/1.1")]
    Method,
    /// A header that must be there is not, or says something else.
    #[error("header {0} is missing or wrong")]
    Header(&'static str),
    /// Another version of the protocol.
    #[error("not version 13")]
    Version,
    /// A page of an origin that is not listed asks.
    #[error("pages of its origin may not connect")]
    Origin,
    /// No `msrp` among the sub-protocols.
    #[error("sub-protocol msrp is not offered")]
    Protocol,
}

impl HandshakeFault {
    /// What the peer is told, before the connection is closed.
    pub(super) fn response(self) -> &'static str {
        match self {
            Self::Syntax(_) | Self::Header(_) | Self::Protocol => {
                "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            }
            Self::Origin => {
                "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Type: text/plain\r\n\
                 Content-Length: 37\r\n\r\npages of this origin may not connect\n"
            }
            Self::TooLong => {
                "HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n\
                 Content-Length: 0\r\n\r\n"
            }
            Self::Method => {
                "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET\r\nConnection: close\r\n\
                 Content-Length: 0\r\n\r\n"
            }
            Self::Version => {
                "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\n\
                 Connection: close\r\nContent-Length: 0\r\n\r\n"
            }
        }
    }
}

/// Answers a request that ends with its blank line; with `origins` pages of others are kept out.
pub(super) fn answer(request: &[u8], origins: &[String]) -> Result<Vec<u8>, HandshakeFault> {
    let mut space = [httparse::EMPTY_HEADER; WEBSOCKET_HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut space);
    match parsed.parse(request) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => {
            return Err(HandshakeFault::Syntax(httparse::Error::NewLine));
        }
        Err(httparse::Error::TooManyHeaders) => return Err(HandshakeFault::TooLong),
        Err(error) => return Err(HandshakeFault::Syntax(error)),
    }
    if parsed.method != Some("GET") || parsed.version != Some(1) {
        return Err(HandshakeFault::Method);
    }
    let headers = Headers(parsed.headers);
    headers.one("Host").ok_or(HandshakeFault::Header("Host"))?;
    for (name, word) in [("Upgrade", "websocket"), ("Connection", "Upgrade")] {
        let mut words = headers.words(name);
        if !words.any(|w| w.eq_ignore_ascii_case(word.as_bytes())) {
            return Err(HandshakeFault::Header(name));
        }
    }
    if !is_admitted(&headers, origins) {
        return Err(HandshakeFault::Origin);
    }
    if headers.one("Sec-WebSocket-Version") != Some(b"13") {
        return Err(HandshakeFault::Version);
    }
    let key = headers.one("Sec-WebSocket-Key").filter(|key| is_key(key));
    let key = key.ok_or(HandshakeFault::Header("Sec-WebSocket-Key"))?;
    // Without the sub-protocol the peer would not speak MSRP (RFC 7977 section 4.1).
    if !headers
        .words("Sec-WebSocket-Protocol")
        .any(|w| w == b"msrp")
    {
        return Err(HandshakeFault::Protocol);
    }
    let mut response = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Protocol: msrp\r\nSec-WebSocket-Accept: "
        .to_vec();
    response.extend_from_slice(acceptance(key).as_bytes());
    // RFC 7977 section 7.
    if let Some(origin) = headers.one("Origin") {
        response.extend_from_slice(b"\r\nAccess-Control-Allow-Origin: ");
        response.extend_from_slice(origin);
    }
    response.extend_from_slice(b"\r\n\r\n");
    Ok(response)
}

/// Whether a page of this origin may connect. Who says no origin is no page, and could say what it likes
/// (RFC 6455 section 10.2); what admits to a session is its session-id.
fn is_admitted(headers: &Headers<'_>, origins: &[String]) -> bool {
    let is_listed = |said: &[u8]| {
        let said = said.trim_ascii();
        origins
            .iter()
            .any(|o| o.as_bytes().eq_ignore_ascii_case(said))
    };
    origins.is_empty() || headers.all("Origin").all(is_listed)
}

/// What proves that the key was read (RFC 6455 section 4.2.2, step 5.4).
pub(super) fn acceptance(key: &[u8]) -> String {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(key);
    context.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(context.finish())
}

fn is_key(key: &[u8]) -> bool {
    STANDARD.decode(key).is_ok_and(|octets| octets.len() == 16)
}

struct Headers<'a>(&'a [httparse::Header<'a>]);

impl<'a> Headers<'a> {
    fn all(&self, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
        let named = move |header: &&httparse::Header<'a>| header.name.eq_ignore_ascii_case(name);
        self.0.iter().filter(named).map(|header| header.value)
    }

    /// The value of a header that must not be repeated.
    fn one(&self, name: &'static str) -> Option<&'a [u8]> {
        let mut all = self.all(name);
        let first = all.next()?;
        all.next().is_none().then(|| first.trim_ascii())
    }

    /// The elements of a list, which may be spread over several headers.
    fn words(&self, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
        let values = self.all(name);
        values.flat_map(|value| value.split(|&c| c == b',').map(<[u8]>::trim_ascii))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As in RFC 7977 section 4.1, with one header changed.
    fn request(name: &str, value: Option<&str>) -> Vec<u8> {
        let mut text = "GET / HTTP/1.1\r\n".to_owned();
        for (header, usual) in [
            ("Host", "a.example.com"),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Origin", "http://www.example.com"),
            ("Sec-WebSocket-Protocol", "msrp"),
            ("Sec-WebSocket-Version", "13"),
        ] {
            let value = if header == name { value } else { Some(usual) };
            if let Some(value) = value {
                text += &format!("{header}: {value}\r\n");
            }
        }
        (text + "\r\n").into_bytes()
    }

    // MSRP-WS-001
    #[test]
    fn the_example_of_the_standard_is_answered_as_there() {
        let response = String::from_utf8(answer(&request("", None), &[]).unwrap()).unwrap();
        for line in [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            "Sec-WebSocket-Protocol: msrp",
            "Access-Control-Allow-Origin: http://www.example.com",
        ] {
            assert!(response.contains(&format!("{line}\r\n")), "{response}");
        }
        assert!(response.ends_with("\r\n\r\n"));
    }

    #[test]
    fn lists_may_be_longer_and_headers_that_are_optional_may_be_missing() {
        for (name, value) in [
            ("Origin", None),
            ("Connection", Some("keep-alive, upgrade")),
            ("Sec-WebSocket-Protocol", Some("sip, msrp")),
            ("Upgrade", Some("WebSocket")),
        ] {
            answer(&request(name, value), &[]).expect(name);
        }
    }

    #[test]
    fn pages_of_other_origins_are_kept_out() {
        let listed = ["https://chat.example.net".to_owned()];
        for (origin, is_admitted) in [
            (None, true),
            (Some("https://chat.example.net"), true),
            (Some("HTTPS://CHAT.example.net"), true),
            (Some("http://www.example.com"), false),
            (Some("https://chat.example.net.evil.example"), false),
            (Some(""), false),
        ] {
            let answered = answer(&request("Origin", origin), &listed);
            match answered {
                Ok(_) => assert!(is_admitted, "{origin:?}"),
                Err(fault) => {
                    assert_eq!((fault, is_admitted), (HandshakeFault::Origin, false));
                    let (head, body) = fault.response().split_once("\r\n\r\n").unwrap();
                    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
                    let length = format!("Content-Length: {}", body.len());
                    assert!(head.contains(&length), "{head}");
                }
            }
        }
    }

    // MSRP-WS-001
    #[test]
    fn what_is_missing_or_wrong_is_named_and_answered() {
        #[track_caller]
        fn check(request: &[u8], fault: HandshakeFault, status: &str) {
            assert_eq!(answer(request, &[]), Err(fault));
            assert!(fault.response().starts_with(&format!("HTTP/1.1 {status}")));
        }
        for name in ["Host", "Upgrade", "Connection", "Sec-WebSocket-Key"] {
            check(&request(name, None), HandshakeFault::Header(name), "400");
        }
        let key = HandshakeFault::Header("Sec-WebSocket-Key");
        check(&request("Sec-WebSocket-Key", Some("c2hvcnQ=")), key, "400");
        let protocol = HandshakeFault::Protocol;
        check(&request("Sec-WebSocket-Protocol", None), protocol, "400");
        check(
            &request("Sec-WebSocket-Protocol", Some("sip")),
            protocol,
            "400",
        );
        let version = HandshakeFault::Version;
        check(&request("Sec-WebSocket-Version", Some("8")), version, "426");
        check(b"POST / HTTP/1.1\r\n\r\n", HandshakeFault::Method, "405");
        check(b"GET / HTTP/1.0\r\n\r\n", HandshakeFault::Method, "405");
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(100));
        check(many.as_bytes(), HandshakeFault::TooLong, "431");
        let garbage = HandshakeFault::Syntax(httparse::Error::Token);
        check(b"\x16\x03\x01\r\n\r\n", garbage, "400");
    }
}
