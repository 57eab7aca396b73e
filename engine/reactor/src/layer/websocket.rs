//! WebSocket framing, the server's side (RFC 6455), for MSRP (RFC 7977).
//!
//! ```text
//! receive:  request ──► frame header ──► payload: control kept and obeyed, data unmasked and handed on
//! send:     what the batch marks as one chunk = one message; a chunk that goes on in a later batch
//!           goes on in continuation frames
//! ```
//!
//! Data is binary, whichever opcode it came with (RFC 7977 section 4.2), so text is not checked to be
//! UTF-8.

use std::sync::Arc;

use switch::Batch;

use super::Sink;
use super::handshake::{self, HandshakeFault};
use crate::limits::{WEBSOCKET_MESSAGE_BYTES_MAX, WEBSOCKET_REQUEST_BYTES_MAX};

/// One connection's framing.
#[derive(Debug, Default)]
pub(super) struct WebSocket {
    reading: Reading,
    /// Whose pages may connect; none: any.
    origins: Arc<[String]>,
    /// A data message has begun; its octets so far.
    incoming: Option<u64>,
    /// A message to the peer has begun.
    is_sending: bool,
    /// The response to the request, until it is taken.
    response: Vec<u8>,
    /// What has to be said, at most one of each: only the latest ping is answered (RFC 6455 section
    /// 5.5.3).
    pong: Option<Control>,
    has_ping: bool,
    close: Option<Control>,
    /// How the peer closed, to be repeated when what goes to it is sent (RFC 6455 section 5.5.1).
    farewell: Option<Control>,
    /// The peer closed, or broke the rules: nothing more is read.
    is_ended: bool,
    /// Nothing more is sent.
    is_closed: bool,
}

#[derive(Debug)]
enum Reading {
    /// The request, so far.
    Request(Vec<u8>),
    /// A header, so far.
    Header(Head),
    Payload(Payload),
}

impl Default for Reading {
    fn default() -> Self {
        Self::Request(Vec::new())
    }
}

#[derive(Debug, Default)]
struct Head {
    octets: [u8; HEAD_BYTES_MAX],
    count: usize,
}

#[derive(Debug)]
struct Payload {
    opcode: u8,
    is_final: bool,
    mask: [u8; 4],
    octet_count: u64,
    done: u64,
    control: Control,
}

/// The payload of a control frame.
#[derive(Clone, Copy, Debug)]
struct Control {
    octets: [u8; CONTROL_BYTES_MAX],
    count: usize,
}

/// Flags, length, mask.
const HEAD_BYTES_MAX: usize = 2 + 8 + 4;
const CONTROL_BYTES_MAX: usize = 125;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const FINAL: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;

const NORMAL: u16 = 1000;
const PROTOCOL_ERROR: u16 = 1002;
const NOT_UTF8: u16 = 1007;
const TOO_BIG: u16 = 1009;

/// How the peer broke the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameFault {
    /// No extension was negotiated.
    #[error("reserved bits are set")]
    Reserved,
    /// Not one of RFC 6455.
    #[error("unknown opcode {0}")]
    Opcode(u8),
    /// Clients mask.
    #[error("a frame is not masked")]
    NotMasked,
    /// Longer than 125 octets, or in pieces.
    #[error("a control frame is too long or fragmented")]
    Control,
    /// Not in its shortest form, or beyond 63 bits.
    #[error("a length is malformed")]
    Length,
    /// A continuation of nothing, or a new message within another.
    #[error("fragments are out of order")]
    Fragment,
    /// Larger than [`WEBSOCKET_MESSAGE_BYTES_MAX`].
    #[error("a message is larger than {WEBSOCKET_MESSAGE_BYTES_MAX} octets")]
    TooBig,
    /// One octet, or a status that must not be sent.
    #[error("a close frame is malformed")]
    Close,
    /// RFC 6455 section 5.5.1.
    #[error("the reason in a close frame is not UTF-8")]
    Reason,
}

impl FrameFault {
    fn status(self) -> u16 {
        match self {
            Self::TooBig => TOO_BIG,
            Self::Reason => NOT_UTF8,
            Self::Reserved
            | Self::Opcode(_)
            | Self::NotMasked
            | Self::Control
            | Self::Length
            | Self::Fragment
            | Self::Close => PROTOCOL_ERROR,
        }
    }
}

impl WebSocket {
    /// For a connection that pages of `origins` may have opened; none: any.
    pub(super) fn new(origins: Arc<[String]>) -> Self {
        Self {
            origins,
            ..Self::default()
        }
    }

    pub(super) fn is_open(&self) -> bool {
        !matches!(self.reading, Reading::Request(_))
    }

    pub(super) fn is_ended(&self) -> bool {
        self.is_ended
    }

    /// Takes all octets and hands on the data in them. After a fault nothing more is read; what the
    /// peer is to be told about it is with the other output.
    pub(super) fn receive(
        &mut self,
        mut octets: &[u8],
        sink: &mut impl Sink,
    ) -> Result<(), super::Fault> {
        while !octets.is_empty() && !self.is_ended {
            match &mut self.reading {
                Reading::Request(_) => self.take_request(&mut octets)?,
                Reading::Header(head) => {
                    if let Some(read) = head.take(&mut octets) {
                        let checked = read.and_then(|payload| self.check(payload));
                        self.reading = Reading::Payload(checked.map_err(|e| self.fail(e))?);
                        self.take_payload(&mut octets, sink)?;
                    }
                }
                Reading::Payload(_) => self.take_payload(&mut octets, sink)?,
            }
        }
        Ok(())
    }

    fn take_request(&mut self, octets: &mut &[u8]) -> Result<(), HandshakeFault> {
        let Reading::Request(request) = &mut self.reading else {
            return Ok(());
        };
        let before = request.len();
        let room = WEBSOCKET_REQUEST_BYTES_MAX - before;
        request.extend_from_slice(&octets[..octets.len().min(room)]);
        // The blank line may have begun in an earlier piece.
        let from = before.saturating_sub(3);
        let blank = request[from..].windows(4).position(|w| w == b"\r\n\r\n");
        let answer = match blank {
            Some(at) => {
                request.truncate(from + at + 4);
                *octets = &octets[request.len() - before..];
                handshake::answer(request, &self.origins)
            }
            None if request.len() == WEBSOCKET_REQUEST_BYTES_MAX => Err(HandshakeFault::TooLong),
            None => {
                *octets = &[];
                return Ok(());
            }
        };
        self.response = answer.inspect_err(|fault| {
            self.response = fault.response().into();
            self.is_ended = true;
            self.is_closed = true;
        })?;
        self.reading = Reading::Header(Head::default());
        Ok(())
    }

    /// Whether a frame may come now.
    fn check(&mut self, payload: Payload) -> Result<Payload, FrameFault> {
        match payload.opcode {
            CLOSE | PING | PONG => {
                let is_short = payload.octet_count <= CONTROL_BYTES_MAX as u64;
                if !is_short || !payload.is_final {
                    return Err(FrameFault::Control);
                }
            }
            CONTINUATION | TEXT | BINARY => {
                let is_first = payload.opcode != CONTINUATION;
                if is_first == self.incoming.is_some() {
                    return Err(FrameFault::Fragment);
                }
                let before = self.incoming.unwrap_or(0);
                let octets = before.saturating_add(payload.octet_count);
                if octets > WEBSOCKET_MESSAGE_BYTES_MAX {
                    return Err(FrameFault::TooBig);
                }
                self.incoming = Some(octets);
            }
            other => return Err(FrameFault::Opcode(other)),
        }
        Ok(payload)
    }

    fn take_payload(
        &mut self,
        octets: &mut &[u8],
        sink: &mut impl Sink,
    ) -> Result<(), super::Fault> {
        let Reading::Payload(payload) = &mut self.reading else {
            return Ok(());
        };
        let is_data = payload.opcode < CLOSE;
        if is_data {
            while payload.wants(octets) > 0 {
                sink.fill(&mut |space| payload.unmask(octets, space));
            }
        } else {
            let at = payload.control.count;
            let mut kept = payload.control;
            kept.count += payload.unmask(octets, &mut kept.octets[at..]);
            payload.control = kept;
        }
        if payload.done < payload.octet_count {
            return Ok(());
        }
        let (opcode, control, is_final) = (payload.opcode, payload.control, payload.is_final);
        self.reading = Reading::Header(Head::default());
        if is_data && is_final {
            self.incoming = None;
            sink.end_message();
        }
        match opcode {
            PING => self.pong = Some(control),
            CLOSE => self.take_close(control)?,
            _ => {}
        }
        Ok(())
    }

    fn take_close(&mut self, control: Control) -> Result<(), FrameFault> {
        let status = match control.octets {
            [high, low, ..] if control.count >= 2 => Some(u16::from_be_bytes([high, low])),
            _ if control.count == 0 => None,
            _ => return Err(self.fail(FrameFault::Close)),
        };
        let is_legal = |s| matches!(s, 1000..=1003 | 1007..=1014 | 3000..=4999);
        if status.is_some_and(|s| !is_legal(s)) {
            return Err(self.fail(FrameFault::Close));
        }
        let reason = control.as_slice().get(2..).unwrap_or_default();
        if core::str::from_utf8(reason).is_err() {
            return Err(self.fail(FrameFault::Reason));
        }
        self.is_ended = true;
        self.farewell = Some(Control {
            count: control.count.min(2),
            ..control
        });
        Ok(())
    }

    fn fail(&mut self, fault: FrameFault) -> FrameFault {
        self.is_ended = true;
        self.close.get_or_insert(Control::status(fault.status()));
        fault
    }

    /// Appends the chunks of a batch, each as a message of its own (RFC 7977 section 5.1).
    pub(super) fn frame<B: AsRef<[u8]> + Clone>(
        &mut self,
        batch: &Batch<B>,
        mut put: impl FnMut(&[u8]),
    ) {
        if self.is_closed {
            return;
        }
        let mut slices = batch.slices();
        let mut rest: &[u8] = &[];
        let mut at = 0;
        let ends = batch.message_ends().iter().map(|end| (*end, true));
        for (end, is_final) in ends.chain([(batch.octet_count(), false)]) {
            let mut left = end - at;
            at = end;
            if left == 0 {
                continue;
            }
            let opcode = if self.is_sending {
                CONTINUATION
            } else {
                BINARY
            };
            self.is_sending = !is_final;
            put(Head::of(opcode, is_final, left).as_slice());
            while left > 0 {
                if rest.is_empty() {
                    rest = slices.next().expect("slices hold what the batch counts");
                }
                let (now, later) = rest.split_at(rest.len().min(left));
                put(now);
                left -= now.len();
                rest = later;
            }
        }
    }

    /// Appends what the framing itself has to say.
    pub(super) fn write_own(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.response);
        if self.is_closed {
            return;
        }
        if let Some(pong) = self.pong.take() {
            write_control(out, PONG, pong.as_slice());
        }
        if core::mem::take(&mut self.has_ping) {
            write_control(out, PING, &[]);
        }
        if let Some(close) = self.close.take() {
            write_control(out, CLOSE, close.as_slice());
            self.is_closed = true;
        }
    }

    pub(super) fn ping(&mut self) {
        self.has_ping = self.is_open();
    }

    pub(super) fn say_goodbye(&mut self) {
        if self.is_open() {
            let normal = Control::status(NORMAL);
            self.close
                .get_or_insert(self.farewell.take().unwrap_or(normal));
        }
    }
}

impl Head {
    /// Of a frame of ours: servers do not mask.
    fn of(opcode: u8, is_final: bool, octet_count: usize) -> Self {
        let mut head = Self::default();
        head.push(&[opcode | if is_final { FINAL } else { 0 }]);
        if let Some(short) = u8::try_from(octet_count).ok().filter(|n| *n < 126) {
            head.push(&[short]);
        } else if let Ok(medium) = u16::try_from(octet_count) {
            head.push(&[126]);
            head.push(&medium.to_be_bytes());
        } else {
            head.push(&[127]);
            head.push(&(octet_count as u64).to_be_bytes());
        }
        head
    }

    fn push(&mut self, octets: &[u8]) {
        self.octets[self.count..self.count + octets.len()].copy_from_slice(octets);
        self.count += octets.len();
    }

    fn as_slice(&self) -> &[u8] {
        &self.octets[..self.count]
    }

    /// Takes octets until the header is whole.
    fn take(&mut self, octets: &mut &[u8]) -> Option<Result<Payload, FrameFault>> {
        while self.count < self.octet_count() {
            let (first, rest) = octets.split_first()?;
            self.octets[self.count] = *first;
            self.count += 1;
            *octets = rest;
        }
        Some(self.read())
    }

    /// How long the header is, as far as that is known.
    fn octet_count(&self) -> usize {
        if self.count < 2 {
            return 2;
        }
        let mask = usize::from(self.octets[1] & MASKED != 0) * 4;
        2 + mask
            + match self.octets[1] & !MASKED {
                127 => 8,
                126 => 2,
                _ => 0,
            }
    }

    fn read(&self) -> Result<Payload, FrameFault> {
        let [flags, short, ..] = self.octets;
        if flags & RESERVED != 0 {
            return Err(FrameFault::Reserved);
        }
        if short & MASKED == 0 {
            return Err(FrameFault::NotMasked);
        }
        let mut wide = [0; 8];
        let octet_count = match short & !MASKED {
            127 => {
                wide.copy_from_slice(&self.octets[2..10]);
                Some(u64::from_be_bytes(wide)).filter(|n| (1 << 16..1 << 63).contains(n))
            }
            126 => {
                wide[6..].copy_from_slice(&self.octets[2..4]);
                Some(u64::from_be_bytes(wide)).filter(|n| *n >= 126)
            }
            short => Some(u64::from(short)),
        };
        let mut mask = [0; 4];
        mask.copy_from_slice(&self.octets[self.count - 4..self.count]);
        Ok(Payload {
            opcode: flags & 0xF,
            is_final: flags & FINAL != 0,
            mask,
            octet_count: octet_count.ok_or(FrameFault::Length)?,
            done: 0,
            control: Control::status(0).emptied(),
        })
    }
}

impl Payload {
    /// How many of `octets` belong to it.
    fn wants(&self, octets: &[u8]) -> usize {
        let left = self.octet_count - self.done;
        usize::try_from(left).map_or(octets.len(), |left| left.min(octets.len()))
    }

    /// Moves octets to `space`; returns how many.
    fn unmask(&mut self, octets: &mut &[u8], space: &mut [u8]) -> usize {
        let count = self.wants(octets).min(space.len());
        let (now, later) = octets.split_at(count);
        let shift = usize::try_from(self.done % 4).expect("below 4");
        let mut mask = self.mask;
        mask.rotate_left(shift);
        let [a, b, c, d] = mask;
        let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        let (whole, tail) = now.as_chunks::<8>();
        let (whole_out, tail_out) = space[..count].as_chunks_mut::<8>();
        for (from, to) in whole.iter().zip(whole_out) {
            *to = (u64::from_ne_bytes(*from) ^ wide).to_ne_bytes();
        }
        for ((from, to), mask) in tail.iter().zip(tail_out).zip(mask.iter().cycle()) {
            *to = from ^ mask;
        }
        self.done += count as u64;
        *octets = later;
        count
    }
}

impl Control {
    fn status(status: u16) -> Self {
        let mut octets = [0; CONTROL_BYTES_MAX];
        octets[..2].copy_from_slice(&status.to_be_bytes());
        Self { octets, count: 2 }
    }

    fn emptied(self) -> Self {
        Self { count: 0, ..self }
    }

    fn as_slice(&self) -> &[u8] {
        &self.octets[..self.count]
    }
}

fn write_control(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.extend_from_slice(Head::of(opcode, true, payload.len()).as_slice());
    out.extend_from_slice(payload);
}
