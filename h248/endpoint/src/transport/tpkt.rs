//! TPKT (RFC 1006 section 6): `03 00`, then a 16-bit length that counts its own four octets.

use bytes::{Buf, Bytes, BytesMut};

use crate::limits::{TPKT_HEADER_BYTES, TPKT_MESSAGE_BYTES_MAX};

/// Why a stream is not TPKT; there is no way to find the next frame, so it must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TpktError {
    /// The first octet is not 3.
    #[error("TPKT version is {0}, expected 3")]
    Version(u8),
    /// The length does not even cover its own header.
    #[error("TPKT length is {0}, expected at least 4")]
    Length(u16),
}

/// Cuts a stream into messages.
#[derive(Debug, Default)]
pub struct Deframer {
    buffer: BytesMut,
}

impl Deframer {
    /// Where the next octets of the stream go, at the end.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Takes out the next message; `None` until all of it is there. Empty frames are skipped.
    ///
    /// # Errors
    ///
    /// A header that is none. Every later call repeats the error.
    pub fn next_message(&mut self) -> Result<Option<Bytes>, TpktError> {
        loop {
            let Some(&[version, _, high, low]) = self.buffer.first_chunk() else {
                return match self.buffer.first() {
                    Some(&version) if version != VERSION => Err(TpktError::Version(version)),
                    Some(_) | None => Ok(None),
                };
            };
            if version != VERSION {
                return Err(TpktError::Version(version));
            }
            let length = u16::from_be_bytes([high, low]);
            let frame_bytes = usize::from(length);
            if frame_bytes < TPKT_HEADER_BYTES {
                return Err(TpktError::Length(length));
            }
            if self.buffer.len() < frame_bytes {
                return Ok(None);
            }
            let mut frame = self.buffer.split_to(frame_bytes);
            frame.advance(TPKT_HEADER_BYTES);
            if !frame.is_empty() {
                return Ok(Some(frame.freeze()));
            }
        }
    }
}

/// The header for a message of so many octets; `None` if it does not fit.
#[must_use]
pub fn header(message_bytes: usize) -> Option<[u8; TPKT_HEADER_BYTES]> {
    if message_bytes > TPKT_MESSAGE_BYTES_MAX {
        return None;
    }
    let length = u16::try_from(message_bytes + TPKT_HEADER_BYTES).ok()?;
    let [high, low] = length.to_be_bytes();
    Some([VERSION, 0, high, low])
}

const VERSION: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] = b"\x03\x00\x00\x07abc\x03\x00\x00\x04\x03\x00\x00\x05d";

    fn messages(parts: &[&[u8]]) -> Vec<Bytes> {
        let mut deframer = Deframer::default();
        let mut messages = Vec::new();
        for part in parts {
            deframer.buffer().extend_from_slice(part);
            while let Some(message) = deframer.next_message().expect("valid") {
                messages.push(message);
            }
        }
        messages
    }

    #[test]
    fn messages_are_the_same_however_the_stream_is_cut() {
        for i in 0..=STREAM.len() {
            for j in i..=STREAM.len() {
                let parts = [&STREAM[..i], &STREAM[i..j], &STREAM[j..]];
                assert_eq!(messages(&parts), [&b"abc"[..], b"d"], "split at {i}, {j}");
            }
        }
    }

    #[test]
    fn a_stream_that_is_no_tpkt_is_refused() {
        let check = |octets: &[u8], expected| {
            let mut deframer = Deframer::default();
            deframer.buffer().extend_from_slice(octets);
            assert_eq!(deframer.next_message(), Err(expected));
        };
        check(b"M", TpktError::Version(b'M'));
        check(b"MEGACO/1 ", TpktError::Version(b'M'));
        check(b"\x03\x00\x00\x03", TpktError::Length(3));
        check(b"\x03\x00\x00\x00rest", TpktError::Length(0));
    }

    #[test]
    fn headers_are_written_up_to_the_longest_message() {
        assert_eq!(header(3), Some([3, 0, 0, 7]));
        assert_eq!(header(TPKT_MESSAGE_BYTES_MAX), Some([3, 0, 0xff, 0xff]));
        assert_eq!(header(TPKT_MESSAGE_BYTES_MAX + 1), None);
    }
}
