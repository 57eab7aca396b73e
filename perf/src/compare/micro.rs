//! The parser beside the search that it is made of.

use std::hint::black_box;

use memchr::memmem;
use msrp::{Body, Deframer, Flag, Item};

/// Body octets of a message.
const BODY: usize = 32 * 1024;
/// Messages per pass, and passes; the best one counts, as whatever disturbs only adds.
const MESSAGES: usize = 64;
const PASSES: usize = 30;

/// Octets per second: of the deframer, and of a search for the end-line in the same octets.
pub(crate) fn parser() -> (f64, f64) {
    let mut stream = Vec::new();
    for number in 0..MESSAGES {
        let id = format!("micro{number:08}");
        msrp::SendHead::new(
            id.as_bytes(),
            b"msrp://h:1/s;tcp",
            b"msrp://p:1/q;tcp",
            id.as_bytes(),
        )
        .content_type(b"text/plain")
        .write(&mut stream);
        let letters = (0..BODY).map(|at| b"the quick brown fox jumps"[at % 25]);
        stream.extend(letters);
        msrp::write::body_end_line(&mut stream, id.as_bytes(), Flag::Complete);
    }
    let octets = stream.len() as f64;
    let parse = best(|| deframe(&stream));
    let search = best(|| {
        let finder = memmem::Finder::new(b"\r\n-------micro");
        let mut found = 0;
        let mut rest = &stream[..];
        while let Some(at) = finder.find(rest) {
            found += 1;
            rest = &rest[at + finder.needle().len()..];
        }
        found
    });
    (octets / parse, octets / search)
}

fn deframe(stream: &[u8]) -> usize {
    let mut deframer = Deframer::default();
    let (mut at, mut messages, mut body) = (0, 0, 0);
    loop {
        let step = deframer.next(&stream[at..]).expect("what was written");
        at += step.consumed;
        match step.item {
            Some(Item::End(_)) => messages += 1,
            Some(Item::Body(Body::Input(range))) => body += range.len(),
            Some(Item::Body(Body::Held(held))) => body += held.len(),
            Some(Item::Head(_)) => {}
            None => break,
        }
    }
    assert_eq!(body, MESSAGES * BODY);
    messages
}

/// Seconds of the best pass.
fn best(mut pass: impl FnMut() -> usize) -> f64 {
    let mut least = f64::MAX;
    for _ in 0..PASSES {
        let began = reactor::now();
        assert_eq!(black_box(pass()), MESSAGES);
        least = least.min(reactor::now().since(began).as_secs_f64());
    }
    least
}
