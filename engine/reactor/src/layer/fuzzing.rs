//! Body of the fuzz target of WebSocket, also run as a unit test.

use std::sync::Arc;

use super::Sink;
use super::websocket::WebSocket;

/// Opens a connection, so that what follows is read as frames.
const REQUEST: &[u8] =
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Protocol: msrp\r\n\r\n";

/// Octets of the receive memory that is filled at once.
const SPACE_BYTES: usize = 7;

/// What a connection yielded, in a form that does not depend on how the input was cut.
#[derive(Debug, Default, PartialEq, Eq)]
struct Trace {
    data: Vec<u8>,
    /// How many octets of data there were when a message ended.
    ends: Vec<usize>,
    fault: Option<String>,
    is_open: bool,
    is_ended: bool,
    /// What the peer is told.
    own: Vec<u8>,
}

impl Sink for Trace {
    fn fill(&mut self, read: &mut dyn FnMut(&mut [u8]) -> usize) -> usize {
        let mut space = [0; SPACE_BYTES];
        let count = read(&mut space);
        self.data.extend_from_slice(&space[..count]);
        count
    }

    fn end_message(&mut self) {
        self.ends.push(self.data.len());
    }
}

/// What a client sends comes out the same however it was cut; the first octet says whether it begins with a
/// request.
pub fn websocket(data: &[u8]) {
    let Some((&choice, stream)) = data.split_first() else {
        return;
    };
    let stream = match choice & 1 {
        0 => [REQUEST, stream].concat(),
        _ => stream.to_vec(),
    };
    let whole = trace([stream.as_slice()]);
    assert_eq!(trace(stream.chunks(1)), whole, "octet by octet");
    let step = usize::from(choice >> 1) + 2;
    assert_eq!(trace(stream.chunks(step)), whole, "in steps of {step}");
    assert!(whole.data.len() <= stream.len(), "data from nowhere");
}

fn trace<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Trace {
    let mut socket = WebSocket::new(Arc::default());
    let mut trace = Trace::default();
    for piece in pieces {
        if let Err(fault) = socket.receive(piece, &mut trace) {
            trace.fault = Some(fault.to_string());
            break;
        }
    }
    (trace.is_open, trace.is_ended) = (socket.is_open(), socket.is_ended());
    socket.write_own(&mut trace.own);
    trace
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_alike_however_they_are_cut() {
        // A message in two fragments with a ping between them, masked with zeros, and a farewell.
        let frames =
            b"\x02\x83\0\0\0\0abc\x89\x82\0\0\0\0hi\x80\x81\0\0\0\0d\x88\x82\0\0\0\0\x03\xe8";
        let stream = [REQUEST, frames].concat();
        let seen = trace([stream.as_slice()]);
        assert_eq!((&*seen.data, &*seen.ends), (&b"abcd"[..], &[4][..]));
        assert!(
            seen.is_ended && seen.own.ends_with(b"\x8a\x02hi"),
            "{seen:?}"
        );
        for choice in [0, 1, 2, 8, 200] {
            websocket(&[&[choice], frames.as_slice()].concat());
            websocket(&[&[choice | 1], stream.as_slice()].concat());
            websocket(
                &[
                    &[choice],
                    b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff".as_slice(),
                ]
                .concat(),
            );
        }
    }
}
