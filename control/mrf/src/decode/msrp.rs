//! MSRP frames, one after another.

mod faults;
mod show;

use msrp::{Body, Deframer, Head, HeadFault, Item, Limits};

use super::Decoded;
use crate::position::Fault;
use show::Frame;

/// Decodes every frame; goes on after one with a faulty head, stops where framing is lost.
pub(super) fn decode(input: &[u8]) -> Decoded {
    let mut decoder = Decoder {
        input,
        offset: 0,
        frame: None,
        count: 0,
        decoded: Decoded::default(),
    };
    decoder.run();
    decoder.decoded
}

struct Decoder<'a> {
    input: &'a [u8],
    /// Octets done with.
    offset: usize,
    frame: Option<Frame>,
    count: usize,
    decoded: Decoded,
}

impl<'a> Decoder<'a> {
    fn run(&mut self) {
        if self.input.iter().all(u8::is_ascii_whitespace) {
            return self.fault(
                0,
                "expected a frame that begins with \"MSRP \", found nothing",
            );
        }
        let mut deframer = Deframer::new(Limits::default());
        loop {
            let input: &'a [u8] = self.input;
            let rest = &input[self.offset..];
            let step = match deframer.next(rest) {
                Ok(step) => step,
                Err(fatal) => {
                    let (at, what) = faults::fatal(input, self.offset, fatal);
                    return self.fault(at, what);
                }
            };
            let before = self.offset;
            self.offset += step.consumed;
            match step.item {
                None => break,
                Some(Item::Head(head)) => self.head(before, &head),
                Some(Item::Body(Body::Input(range))) => self.body(&rest[range]),
                Some(Item::Body(Body::Held(octets))) => {
                    let octets = octets.to_vec();
                    self.body(&octets);
                }
                Some(Item::End(flag)) => {
                    let end_fault = deframer.end_fault();
                    self.end(flag, end_fault);
                }
            }
        }
        if !deframer.is_idle() {
            self.cut_off();
        }
    }

    fn head(&mut self, before: usize, head: &Head<'_>) {
        self.count += 1;
        let start = faults::frame_start(self.input, before);
        if let Some(fault) = head.fault {
            let (at, what) = faults::head(self.input, start, fault);
            self.fault(at, what);
        }
        self.frame = Some(Frame::new(self.count, self.input, start, head));
    }

    fn body(&mut self, octets: &[u8]) {
        if let Some(frame) = &mut self.frame {
            frame.add_body(octets);
        }
    }

    fn end(&mut self, flag: msrp::Flag, fault: Option<HeadFault>) {
        let Some(frame) = self.frame.take() else {
            return;
        };
        if let Some(fault) = fault {
            let (at, what) = faults::head(self.input, frame.start, fault);
            self.fault(at, what);
        }
        frame.write(flag, &mut self.decoded.text);
    }

    fn cut_off(&mut self) {
        let what = match &self.frame {
            Some(frame) => format!(
                "expected the end-line -------{}$, found the end",
                frame.id()
            ),
            None => "expected the rest of a head, found the end".to_owned(),
        };
        self.fault(self.input.len(), what);
    }

    fn fault(&mut self, at: usize, what: impl Into<String>) {
        let fault = Fault::new(self.input, at, what);
        // The head and the end-line may tell the same.
        if self.decoded.faults.last() != Some(&fault) {
            self.decoded.faults.push(fault);
        }
    }
}

#[cfg(test)]
mod tests;
