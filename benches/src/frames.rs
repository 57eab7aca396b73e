//! Frames of MSRP: parsed, written anew, put together from pieces.

use msrp::{ByteRange, Deframer, FailureReport, Flag, Item, MessageBuffer, SendHead};

/// The transaction id of [`chunk`].
pub const TRANSACTION_ID: &str = "d93kswow";

/// A SEND with one chunk of this body, as a client writes it.
pub fn chunk(body: &[u8]) -> Vec<u8> {
    let mut text = b"MSRP d93kswow SEND\r\n\
        To-Path: msrp://192.0.2.1:2855/0aGm2s9fk3QwErTyUiOp;tcp\r\n\
        From-Path: msrp://198.51.100.7:7654/jshA7weztasB81mPq0Zy;tcp\r\n\
        Message-ID: 12339sdqwer\r\n"
        .to_vec();
    let range = format!(
        "Byte-Range: 1-{0}/{0}\r\nContent-Type: text/plain\r\n\r\n",
        body.len()
    );
    text.extend_from_slice(range.as_bytes());
    text.extend_from_slice(body);
    text.extend_from_slice(b"\r\n-------d93kswow$\r\n");
    text
}

/// Text with blanks, hyphens and line feeds, the same every time.
pub fn text(bytes: usize) -> Vec<u8> {
    const LETTERS: &[u8; 51] = b"abcdefghijklmnopqrstuvwxyz ETAOIN.,-\n0123456789kswd";
    (0..bytes as u64)
        .map(|at| at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40)
        .map(|random| LETTERS[usize::try_from(random % 51).expect("small")])
        .collect()
}

/// Frames and body octets in a stream of whole frames.
pub fn deframed(octets: &[u8]) -> (usize, usize) {
    let mut deframer = Deframer::default();
    let (mut at, mut ends, mut body) = (0, 0, 0);
    loop {
        let step = deframer.next(&octets[at..]).expect("good chunks");
        at += step.consumed;
        match step.item {
            Some(Item::End(_)) => ends += 1,
            Some(Item::Body(msrp::Body::Input(range))) => body += range.len(),
            Some(Item::Body(msrp::Body::Held(octets))) => body += octets.len(),
            Some(Item::Head(head)) => assert_eq!(head.fault, None),
            None => return (ends, body),
        }
    }
}

/// The head and the end-line of a chunk for one recipient: what a switch writes for each copy. Octets
/// written.
pub fn rewritten(out: &mut Vec<u8>, body: u64) -> usize {
    out.clear();
    let id = TRANSACTION_ID.as_bytes();
    SendHead::new(
        id,
        b"msrp://198.51.100.7:7654/jshA7weztasB81mPq0Zy;tcp",
        b"msrp://192.0.2.1:2855/0aGm2s9fk3QwErTyUiOp;tcp",
        b"12339sdqwer",
    )
    .byte_range(ByteRange::whole(body))
    .failure_report(FailureReport::No)
    .content_type(b"text/plain")
    .write(out);
    msrp::write::body_end_line(out, id, Flag::Complete);
    out.len()
}

/// A message in so many pieces: the odd ones first, as if every other one had been late, each piece of
/// `bytes` octets. Whether it is whole.
pub fn reassembled(pieces: u64, bytes: usize) -> bool {
    let piece = vec![b'x'; bytes];
    let total = pieces * bytes as u64;
    let mut buffer = MessageBuffer::new(usize::try_from(total).expect("a small message"));
    for first in [1, 0] {
        for number in (first..pieces).step_by(2) {
            let taken = buffer.add(number * bytes as u64, &piece);
            assert!(taken.is_ok(), "{taken:?}");
        }
    }
    buffer.set_total(total);
    buffer
        .message()
        .is_some_and(|message| message.len() as u64 == total)
}
