//! Bodies of fuzz targets, also run as unit tests.

mod reassembly;
mod uri;

use crate::cpim::{self, CpimFault, Scanner};
use crate::deframe::{Body, Deframer, Fatal, Flag, Item};
use crate::limits::{Grammar, Limits};
pub use reassembly::reassemble;
#[cfg(test)]
pub(crate) use uri::key as uri_key;
pub use uri::uri;

/// What came out of a deframer, in a form that does not depend on how the input was cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The head in debug form.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) end: Option<(Flag, Option<crate::HeadFault>)>,
}

/// Everything a connection yielded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Trace {
    pub(crate) frames: Vec<Frame>,
    pub(crate) fatal: Option<Fatal>,
    pub(crate) is_idle: bool,
}

/// Feeds `data` cut in several ways and asserts that the result is the same each time.
///
/// The first octet chooses limits and the cut; the rest is the stream.
pub fn deframe(data: &[u8]) {
    let Some((&choice, stream)) = data.split_first() else {
        return;
    };
    let limits = Limits {
        embedded_end_line_is_fatal: choice & 1 == 0,
        head_bytes_max: if choice & 2 == 0 { 16 * 1024 } else { 200 },
        grammar: [Grammar::Tolerant, Grammar::Strict][usize::from(choice >> 2 & 1)],
        ..Limits::default()
    };
    let whole = trace(limits, [stream]);
    assert_eq!(trace(limits, stream.chunks(1)), whole, "octet by octet");
    let step = usize::from(choice >> 2) + 2;
    assert_eq!(
        trace(limits, stream.chunks(step)),
        whole,
        "in steps of {step}"
    );
}

/// Runs a new deframer over `inputs`.
pub(crate) fn trace<'a>(limits: Limits, inputs: impl IntoIterator<Item = &'a [u8]>) -> Trace {
    let mut deframer = Deframer::new(limits);
    let mut trace = Trace::default();
    for input in inputs {
        if let Err(fatal) = feed(&mut deframer, input, &mut trace.frames) {
            trace.fatal = Some(fatal);
            return trace;
        }
    }
    trace.is_idle = deframer.is_idle();
    trace
}

fn feed(deframer: &mut Deframer, mut input: &[u8], frames: &mut Vec<Frame>) -> Result<(), Fatal> {
    loop {
        let step = deframer.next(input)?;
        let consumed = step.consumed;
        let mut is_end = None;
        match step.item {
            None => {
                assert_eq!(consumed, input.len(), "all of the input is consumed");
                return Ok(());
            }
            Some(Item::Head(head)) => {
                let head = format!("{head:?}");
                frames.push(Frame {
                    head,
                    body: Vec::new(),
                    end: None,
                });
            }
            Some(Item::Body(body)) => {
                let octets = match &body {
                    Body::Input(range) => {
                        let octets = &input[range.clone()];
                        let hyphens = memchr::memmem::find(octets, b"-------");
                        assert!(!deframer.is_piece_clear() || hyphens.is_none(), "clear");
                        octets
                    }
                    Body::Held(octets) => octets,
                };
                assert!(!octets.is_empty(), "no body piece is empty");
                frames
                    .last_mut()
                    .expect("a head came first")
                    .body
                    .extend_from_slice(octets);
            }
            Some(Item::End(flag)) => is_end = Some(flag),
        }
        if let Some(flag) = is_end {
            assert!(deframer.is_idle(), "a frame has ended");
            let frame = frames.last_mut().expect("a head came first");
            assert_eq!(
                frame.end.replace((flag, deframer.end_fault())),
                None,
                "one end per head"
            );
        }
        input = &input[consumed..];
    }
}

/// Feeds `data` to a CPIM scanner in several cuts and asserts that all find the same head, which
/// then parses without panic. The first two octets choose the limit and the cut.
pub fn cpim(data: &[u8]) {
    let [limit, cut, text @ ..] = data else {
        return;
    };
    let limit_bytes = 16 * (usize::from(*limit) + 1);
    let whole = scan_cpim(text, &[text.len().max(1)], limit_bytes);
    for size in [1, usize::from(*cut) + 2] {
        assert_eq!(scan_cpim(text, &[size], limit_bytes), whole, "by {size}");
    }
    if let Some(Ok(end)) = whole
        && let Ok(head) = cpim::Head::parse(&text[..end])
    {
        assert!(head.addresses("To").count() >= usize::from(head.to.is_some()));
        for field in head.fields() {
            let _ = cpim::unescape(field.value);
        }
    }
}

/// Where the content begins, found in pieces of the given sizes, the last one repeated; `None` when
/// the headers do not end.
pub(crate) fn scan_cpim(
    text: &[u8],
    sizes: &[usize],
    limit_bytes: usize,
) -> Option<Result<usize, CpimFault>> {
    let mut scanner = Scanner::new(limit_bytes);
    let mut at = 0;
    let mut sizes = sizes.iter().copied();
    let mut size = 1;
    while at < text.len() {
        size = sizes.next().unwrap_or(size);
        let piece = &text[at..text.len().min(at + size)];
        match scanner.next(piece) {
            Ok(cpim::Step::Head { text: head, used }) => {
                assert_eq!(head, &text[..at + used], "the head is what came");
                return Some(Ok(at + used));
            }
            Ok(cpim::Step::More) => at += piece.len(),
            Err(fault) => return Some(Err(fault)),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        // MSRP-RECV-004, MSRP-RECV-005, MSRP-RECV-006, MSRP-RECV-007, MSRP-RECV-010.
        #[test]
        fn any_operations_leave_a_reassembly_as_its_model(
            data in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            super::reassemble(&data);
        }

        #[test]
        fn any_octets_are_a_uri_that_compares_or_none(
            lines in proptest::collection::vec(
                "(msrps?://)?[a-h%0-9:@./;\\[\\]=-]{0,30}(;tcp)?|[\\x00-\\xff]{0,20}", 0..6),
        ) {
            super::uri(lines.join("\n").as_bytes());
        }

        #[test]
        fn any_octets_are_cpim_or_none(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            super::cpim(&data);
        }
    }
}
