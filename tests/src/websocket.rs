//! The client's side of WebSocket (RFC 6455) with the sub-protocol `msrp` (RFC 7977), as a test needs
//! it: octets in, messages out.

/// The key of the example in RFC 6455 section 1.3 and what must answer it.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPTANCE: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const CONTINUATION: u8 = 0;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;

/// One connection, of which the client sends [`Self::request`] first.
#[derive(Debug, Default)]
pub struct Client {
    buffer: Vec<u8>,
    /// The server consented.
    pub is_open: bool,
    /// The server said that it is over.
    pub is_closed: bool,
    /// A message that goes on.
    begun: Option<Vec<u8>>,
    mask: u32,
}

impl Client {
    /// What asks `host` for a WebSocket.
    #[must_use]
    pub fn request(host: &str) -> Vec<u8> {
        format!(
            "GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Protocol: msrp\r\n\
             Sec-WebSocket-Version: 13\r\n\r\n"
        )
        .into_bytes()
    }

    /// A message in one frame.
    #[must_use]
    pub fn message(&mut self, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![FINAL | BINARY];
        if let Ok(count) = u8::try_from(payload.len())
            && count < 126
        {
            frame.push(MASKED | count);
        } else if let Ok(count) = u16::try_from(payload.len()) {
            frame.push(MASKED | 126);
            frame.extend_from_slice(&count.to_be_bytes());
        } else {
            frame.push(MASKED | 127);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
        // Another one for each frame; that nobody can guess it is of no use here.
        self.mask = self
            .mask
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        let mask = self.mask.to_be_bytes();
        frame.extend_from_slice(&mask);
        let masked = payload.iter().zip(mask.iter().cycle());
        frame.extend(masked.map(|(octet, mask)| octet ^ mask));
        frame
    }

    /// Takes what arrived; returns the messages that are whole.
    ///
    /// # Panics
    ///
    /// When the server refuses, or breaks the rules.
    pub fn receive(&mut self, octets: &[u8]) -> Vec<Vec<u8>> {
        self.buffer.extend_from_slice(octets);
        if !self.is_open && !self.open() {
            return Vec::new();
        }
        let mut messages = Vec::new();
        while let Some((flags, payload)) = self.take_frame() {
            let opcode = flags & 0xF;
            let mut message = match (opcode, self.begun.take()) {
                (BINARY, None) => Vec::new(),
                (CONTINUATION, Some(begun)) => begun,
                (CLOSE, _) => {
                    self.is_closed = true;
                    continue;
                }
                (_, begun) => panic!("opcode {opcode} after {begun:?}"),
            };
            message.extend_from_slice(&payload);
            if flags & FINAL == 0 {
                self.begun = Some(message);
            } else {
                messages.push(message);
            }
        }
        messages
    }

    /// Takes the response, if it is whole.
    fn open(&mut self) -> bool {
        let Some(end) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") else {
            return false;
        };
        let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
        let head = String::from_utf8(head).expect("text");
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap_or_default();
        assert!(status.starts_with("HTTP/1.1 101"), "{head}");
        let headers: Vec<_> = lines.filter_map(|l| l.split_once(": ")).collect();
        for (name, value) in [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", ACCEPTANCE),
            ("Sec-WebSocket-Protocol", "msrp"),
        ] {
            let mut named = headers.iter().filter(|h| h.0.eq_ignore_ascii_case(name));
            let is_there = named.next().is_some_and(|h| h.1 == value);
            assert!(is_there && named.next().is_none(), "{name} in {head}");
        }
        self.is_open = true;
        true
    }

    /// Flags and payload of the first frame, if it is whole.
    fn take_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let [flags, short, rest @ ..] = self.buffer.as_slice() else {
            return None;
        };
        assert_eq!(flags & 0x70, 0, "no extension was asked for");
        assert_eq!(short & MASKED, 0, "servers do not mask");
        let wide = match short {
            127 => 8,
            126 => 2,
            _ => 0,
        };
        let count = match wide {
            0 => usize::from(*short),
            _ => rest
                .get(..wide)?
                .iter()
                .fold(0, |sum, octet| sum << 8 | usize::from(*octet)),
        };
        let payload = rest.get(wide..wide + count)?.to_vec();
        let flags = *flags;
        self.buffer.drain(..2 + wide + count);
        Some((flags, payload))
    }
}
