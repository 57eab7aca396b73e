//! WebSocket as a client speaks it (RFC 6455) for MSRP (RFC 7977): one chunk is one message.

use core::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reactor::Octets;
use ring::digest;
use switch::Batch;

use super::WireFault;

/// One connection.
#[derive(Debug)]
pub(super) struct WebSocket {
    reading: Reading,
    /// What the response must say to our key.
    acceptance: String,
    /// To be sent: the request, a pong, a farewell.
    own: Vec<u8>,
    /// The server began a message of several frames.
    is_within: bool,
    /// We began a chunk that goes on in the next batch.
    is_begun: bool,
    /// State of a xorshift generator. Masks protect proxies from what scripts in browsers send; here
    /// they only have to differ.
    mask: u32,
}

#[derive(Debug)]
enum Reading {
    Response(Vec<u8>),
    Head {
        octets: [u8; HEAD_MAX],
        count: usize,
    },
    Payload(Payload),
    Ended,
}

#[derive(Debug)]
struct Payload {
    opcode: u8,
    left: u64,
    control: Vec<u8>,
}

/// Flags, length; servers do not mask.
const HEAD_MAX: usize = 2 + 8;
const CONTROL_BYTES_MAX: u64 = 125;
/// More than any answer to our request.
const RESPONSE_BYTES_MAX: usize = 4_096;
/// RFC 6455 section 1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const FINAL: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;

impl WebSocket {
    pub(super) fn connect(host: IpAddr) -> Self {
        let key = STANDARD.encode(b"mrf load speaks!");
        let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
        hash.update(key.as_bytes());
        hash.update(GUID);
        let host = match host {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: msrp\r\n\
             Sec-WebSocket-Version: 13\r\n\r\n"
        );
        Self {
            reading: Reading::Response(Vec::new()),
            acceptance: STANDARD.encode(hash.finish()),
            own: request.into_bytes(),
            is_within: false,
            is_begun: false,
            mask: 0x9e37_79b9,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        !matches!(self.reading, Reading::Response(_))
    }

    pub(super) fn write_own(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.own);
    }

    /// Takes all octets; what is data goes to `hear`.
    pub(super) fn receive(
        &mut self,
        mut octets: &[u8],
        hear: &mut impl FnMut(&[u8]),
    ) -> Result<(), WireFault> {
        while !octets.is_empty() {
            match &mut self.reading {
                Reading::Response(so_far) => {
                    let before = so_far.len();
                    so_far.extend_from_slice(octets);
                    let from = before.saturating_sub(3);
                    let blank = so_far[from..].windows(4).position(|w| w == b"\r\n\r\n");
                    let Some(end) = blank.map(|at| from + at + 4) else {
                        if so_far.len() > RESPONSE_BYTES_MAX {
                            return Err(WireFault::WebSocket("an endless response"));
                        }
                        return Ok(());
                    };
                    let head = core::mem::take(so_far);
                    octets = &octets[end - before..];
                    check_response(&head[..end], &self.acceptance)?;
                    self.expect_head();
                }
                Reading::Head {
                    octets: head,
                    count,
                } => {
                    head[*count] = octets[0];
                    *count += 1;
                    octets = &octets[1..];
                    let (head, count) = (*head, *count);
                    if let Some(payload) = payload_of(&head, count)? {
                        self.begin(&head, payload)?;
                    }
                }
                Reading::Payload(payload) => {
                    let len = usize::try_from(payload.left)
                        .map_or(octets.len(), |left| left.min(octets.len()));
                    let (now, later) = octets.split_at(len);
                    octets = later;
                    payload.left -= len as u64;
                    if payload.opcode >= CLOSE {
                        payload.control.extend_from_slice(now);
                    } else {
                        hear(now);
                    }
                    if payload.left == 0 {
                        self.end();
                    }
                }
                Reading::Ended => return Ok(()),
            }
        }
        Ok(())
    }

    fn expect_head(&mut self) {
        self.reading = Reading::Head {
            octets: [0; HEAD_MAX],
            count: 0,
        };
    }

    fn begin(&mut self, head: &[u8; HEAD_MAX], payload: Payload) -> Result<(), WireFault> {
        let is_final = head[0] & FINAL != 0;
        match payload.opcode {
            CONTINUATION if self.is_within => self.is_within = !is_final,
            TEXT | BINARY if !self.is_within => self.is_within = !is_final,
            CLOSE | PING | PONG if is_final && payload.left <= CONTROL_BYTES_MAX => {}
            _ => return Err(WireFault::WebSocket("a frame that must not come here")),
        }
        let is_empty = payload.left == 0;
        self.reading = Reading::Payload(payload);
        if is_empty {
            self.end();
        }
        Ok(())
    }

    /// A frame is over.
    fn end(&mut self) {
        let Reading::Payload(payload) = core::mem::replace(&mut self.reading, Reading::Ended)
        else {
            return;
        };
        let mut reply = Vec::new();
        match payload.opcode {
            CLOSE => {
                self.frame_one(FINAL | CLOSE, &payload.control, &mut reply);
                self.own.append(&mut reply);
                return;
            }
            PING => self.frame_one(FINAL | PONG, &payload.control, &mut reply),
            _ => {}
        }
        self.own.append(&mut reply);
        self.expect_head();
    }

    fn frame_one(&mut self, flags: u8, payload: &[u8], out: &mut Vec<u8>) {
        let start = self.head(flags, payload.len(), out);
        out.extend_from_slice(payload);
        mask(&mut out[start..], self.mask);
    }

    /// Frames the chunks of a batch, each as one message; one that is not over goes on with the next.
    pub(super) fn frame(&mut self, batch: &Batch<Octets>, out: &mut Vec<u8>) {
        let total = batch.octet_count();
        let ends = batch.message_ends().iter().copied();
        let mut slices = batch.slices();
        let mut slice: &[u8] = &[];
        let mut from = 0;
        for (to, is_final) in ends.map(|end| (end, true)).chain([(total, false)]) {
            if to == from {
                continue;
            }
            let opcode = if self.is_begun { CONTINUATION } else { BINARY };
            let start = self.head(opcode | if is_final { FINAL } else { 0 }, to - from, out);
            self.is_begun = !is_final;
            while from < to {
                if slice.is_empty() {
                    slice = slices.next().expect("as many octets as the batch says");
                }
                let (now, later) = slice.split_at(slice.len().min(to - from));
                out.extend_from_slice(now);
                from += now.len();
                slice = later;
            }
            mask(&mut out[start..], self.mask);
        }
    }

    /// Writes the head of a frame with another mask; returns where its payload begins.
    fn head(&mut self, flags: u8, len: usize, out: &mut Vec<u8>) -> usize {
        self.mask ^= self.mask << 13;
        self.mask ^= self.mask >> 17;
        self.mask ^= self.mask << 5;
        out.push(flags);
        match (u8::try_from(len), u16::try_from(len)) {
            (Ok(short), _) if short < 126 => out.push(MASKED | short),
            (_, Ok(medium)) => {
                out.push(MASKED | 126);
                out.extend_from_slice(&medium.to_be_bytes());
            }
            _ => {
                out.push(MASKED | 127);
                out.extend_from_slice(&(len as u64).to_be_bytes());
            }
        }
        out.extend_from_slice(&self.mask.to_ne_bytes());
        out.len()
    }
}

/// Masks a whole payload (RFC 6455 section 5.3).
fn mask(payload: &mut [u8], mask: u32) {
    let bytes = mask.to_ne_bytes();
    let (chunks, rest) = payload.as_chunks_mut::<4>();
    for chunk in chunks {
        *chunk = (u32::from_ne_bytes(*chunk) ^ mask).to_ne_bytes();
    }
    for (octet, mask) in rest.iter_mut().zip(bytes) {
        *octet ^= mask;
    }
}

/// Opcode and length, when the head is whole.
fn payload_of(head: &[u8; HEAD_MAX], count: usize) -> Result<Option<Payload>, WireFault> {
    if count < 2 {
        return Ok(None);
    }
    if head[0] & RESERVED != 0 || head[1] & MASKED != 0 {
        return Err(WireFault::WebSocket("reserved bits or a mask"));
    }
    let wide = match head[1] {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    if count < 2 + wide {
        return Ok(None);
    }
    let left = match wide {
        0 => u64::from(head[1]),
        _ => head[2..2 + wide]
            .iter()
            .fold(0, |sum, octet| sum << 8 | u64::from(*octet)),
    };
    Ok(Some(Payload {
        opcode: head[0] & 0xF,
        left,
        control: Vec::new(),
    }))
}

fn check_response(head: &[u8], acceptance: &str) -> Result<(), WireFault> {
    let text = str::from_utf8(head).map_err(|_| WireFault::WebSocket("no text"))?;
    let mut lines = text.trim_end().split("\r\n");
    if !lines.next().is_some_and(|l| l.starts_with("HTTP/1.1 101")) {
        return Err(WireFault::WebSocket("the upgrade was refused"));
    }
    let headers: Vec<_> = lines.filter_map(|line| line.split_once(':')).collect();
    let is_said = |name: &str, value: &str| {
        let mut named = headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.any(|(_, said)| said.trim() == value)
    };
    if !is_said("Sec-WebSocket-Accept", acceptance) || !is_said("Sec-WebSocket-Protocol", "msrp") {
        return Err(WireFault::WebSocket(
            "the upgrade was not accepted for msrp",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESPONSE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: ";

    fn opened() -> WebSocket {
        let mut socket = WebSocket::connect(IpAddr::from([127, 0, 0, 1]));
        let mut request = Vec::new();
        socket.write_own(&mut request);
        assert!(request.ends_with(b"\r\n\r\n"));
        let response = [
            RESPONSE,
            socket.acceptance.as_bytes(),
            b"\r\nSec-WebSocket-Protocol: msrp\r\n\r\n",
        ]
        .concat();
        socket.receive(&response, &mut |_: &[u8]| ()).unwrap();
        assert!(socket.is_open());
        socket
    }

    #[test]
    fn the_acceptance_is_that_of_the_standard() {
        let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
        hash.update(b"dGhlIHNhbXBsZSBub25jZQ==");
        hash.update(GUID);
        assert_eq!(
            STANDARD.encode(hash.finish()),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    #[test]
    fn data_is_heard_at_every_cut_and_pings_are_answered() {
        let frames = b"\x02\x03abc\x89\x02hi\x80\x02de\x82\x7e\x00\x80".to_vec();
        let frames = [frames, vec![b'x'; 128]].concat();
        for cut in 0..frames.len() {
            let mut socket = opened();
            let mut heard = Vec::new();
            for part in [&frames[..cut], &frames[cut..]] {
                let mut hear = |octets: &[u8]| heard.extend_from_slice(octets);
                socket.receive(part, &mut hear).unwrap();
            }
            assert_eq!(&heard[..5], b"abcde");
            assert_eq!(heard.len(), 5 + 128);
            let mut own = Vec::new();
            socket.write_own(&mut own);
            assert_eq!((own[0], own[1] & !MASKED, own.len()), (FINAL | PONG, 2, 8));
        }
    }

    #[test]
    fn a_chunk_is_a_message_and_goes_on_in_the_next_batch() {
        let mut socket = opened();
        let mut batch = Batch::default();
        batch.push_copied(b"one");
        batch.end_message();
        batch.push_copied(b"begun");
        let mut out = Vec::new();
        socket.frame(&batch, &mut out);
        batch.clear();
        batch.push_copied(b"ended");
        batch.end_message();
        socket.frame(&batch, &mut out);
        let mut frames = Vec::new();
        let mut rest = &out[..];
        while let [flags, len, more @ ..] = rest {
            let len = usize::from(len & !MASKED);
            let (mask, more) = more.split_at(4);
            let (payload, more) = more.split_at(len);
            let plain = payload.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b);
            frames.push((*flags, plain.collect::<Vec<u8>>()));
            rest = more;
        }
        assert_eq!(
            frames,
            [
                (FINAL | BINARY, b"one".to_vec()),
                (BINARY, b"begun".to_vec()),
                (FINAL | CONTINUATION, b"ended".to_vec()),
            ]
        );
    }

    #[test]
    fn a_refusal_and_a_mask_are_faults() {
        let mut socket = WebSocket::connect(IpAddr::from([127, 0, 0, 1]));
        let refused = b"HTTP/1.1 400 Bad Request\r\n\r\n";
        assert!(socket.receive(refused, &mut |_: &[u8]| ()).is_err());
        assert!(opened().receive(b"\x82\x81", &mut |_: &[u8]| ()).is_err());
    }
}
