//! Segments as they come and go (RFC 9293 3.1, 3.2; RFC 7323 2; RFC 2018).

use core::ops::Range;

use super::SEGMENT_BYTES_UNSAID;
use super::seq::Seq;

pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const PSH: u8 = 0x08;
pub(crate) const ACK: u8 = 0x10;

/// Octets of the header without options.
pub(crate) const HEADER_BYTES: usize = 20;

/// Ranges that one segment can report without other options.
pub(super) const REPORTED_MAX: usize = 4;

const END: u8 = 0;
const NOTHING: u8 = 1;
const SEGMENT_SIZE: u8 = 2;
const WINDOW_SHIFT: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;

/// Larger shifts count as this one (RFC 7323 2.3).
const SHIFT_MAX: u8 = 14;

/// A segment of the peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Incoming<'a> {
    pub(super) seq: Seq,
    /// Says something if the flags have [`ACK`].
    pub(super) ack: Seq,
    pub(super) flags: u8,
    /// As it stands there, not shifted.
    pub(super) window: u16,
    options: &'a [u8],
    pub(super) payload: &'a [u8],
}

impl<'a> Incoming<'a> {
    /// Reads a TCP header and what follows; `None` if it is cut off.
    pub(crate) fn parse(tcp: &'a [u8]) -> Option<Self> {
        let (header, _) = tcp.split_first_chunk::<HEADER_BYTES>()?;
        let number = |at: usize| {
            Seq(u32::from_be_bytes([
                header[at],
                header[at + 1],
                header[at + 2],
                header[at + 3],
            ]))
        };
        let header_bytes = usize::from(header[12] >> 4) * 4;
        Some(Self {
            seq: number(4),
            ack: number(8),
            flags: header[13],
            window: u16::from_be_bytes([header[14], header[15]]),
            options: tcp.get(HEADER_BYTES..header_bytes)?,
            payload: &tcp[header_bytes..],
        })
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The numbers that it takes: a SYN and a FIN count as an octet each.
    pub(super) fn octets(&self) -> usize {
        self.payload.len() + usize::from(self.has(SYN)) + usize::from(self.has(FIN))
    }

    pub(super) fn options(&self) -> Options {
        Options::parse(self.options)
    }

    /// What answers a segment that has no business here (RFC 9293 3.5.2, group 1).
    pub(crate) fn refusal(&self) -> Outgoing {
        let (seq, ack) = if self.has(ACK) {
            (self.ack, None)
        } else {
            (Seq(0), Some(self.seq + self.octets()))
        };
        Outgoing::new(seq, ack, RST)
    }

    pub(crate) fn seq(&self) -> Seq {
        self.seq
    }

    /// What it acknowledges, if it is an acknowledgement and nothing stranger.
    pub(crate) fn acknowledged(&self) -> Option<Seq> {
        (self.flags & (ACK | SYN | RST) == ACK).then_some(self.ack)
    }

    /// Octets that a segment may have which answers it.
    pub(crate) fn segment_bytes(&self) -> u16 {
        self.options().segment_bytes.unwrap_or(SEGMENT_BYTES_UNSAID)
    }

    /// The answer to a SYN of which nothing is kept but what `initial` says: no options that would have to be.
    pub(crate) fn answer(&self, initial: Seq, segment_bytes: u16) -> Outgoing {
        let mut answer = Outgoing::new(initial, Some(self.seq + 1), SYN);
        answer.window = u16::MAX;
        answer.offer(segment_bytes, None, false);
        answer
    }

    pub(crate) fn is_reset(&self) -> bool {
        self.has(RST)
    }
}

/// Those that are understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) segment_bytes: Option<u16>,
    pub(super) shift: Option<u8>,
    pub(super) may_report: bool,
    pub(super) reported: [Option<(Seq, Seq)>; REPORTED_MAX],
}

impl Options {
    /// What is cut off or wrong ends it; the rest counts.
    fn parse(mut rest: &[u8]) -> Self {
        let mut options = Self::default();
        while let [kind, tail @ ..] = rest {
            match *kind {
                END => break,
                NOTHING => {
                    rest = tail;
                    continue;
                }
                _ => {}
            }
            let Some(bytes) = tail.first().map(|bytes| usize::from(*bytes)) else {
                break;
            };
            let Some(value) = rest.get(2..bytes) else {
                break;
            };
            match (*kind, value) {
                (SEGMENT_SIZE, &[high, low]) => {
                    options.segment_bytes = Some(u16::from_be_bytes([high, low]));
                }
                (WINDOW_SHIFT, &[shift]) => options.shift = Some(shift.min(SHIFT_MAX)),
                (SACK_PERMITTED, []) => options.may_report = true,
                (SACK, ranges) => {
                    let number = |at: &[u8]| at.try_into().ok().map(u32::from_be_bytes).map(Seq);
                    for (range, place) in ranges.chunks_exact(8).zip(&mut options.reported) {
                        *place = number(&range[..4]).zip(number(&range[4..]));
                    }
                }
                _ => {}
            }
            rest = &rest[bytes..];
        }
        options
    }
}

/// A segment to send.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(super) seq: Seq,
    pub(super) ack: Option<Seq>,
    pub(super) flags: u8,
    pub(super) window: u16,
    options: [u8; 40],
    options_bytes: usize,
    /// Where its octets stand among those to send.
    pub(super) payload: Range<usize>,
}

impl Outgoing {
    pub(super) fn new(seq: Seq, ack: Option<Seq>, flags: u8) -> Self {
        Self {
            seq,
            ack,
            flags: flags | if ack.is_some() { ACK } else { 0 },
            window: 0,
            options: [0; 40],
            options_bytes: 0,
            payload: 0..0,
        }
    }

    /// Adds what is agreed on in a SYN.
    pub(super) fn offer(&mut self, segment_bytes: u16, shift: Option<u8>, may_report: bool) {
        let [high, low] = segment_bytes.to_be_bytes();
        self.add(&[SEGMENT_SIZE, 4, high, low]);
        if let Some(shift) = shift {
            self.add(&[NOTHING, WINDOW_SHIFT, 3, shift]);
        }
        if may_report {
            self.add(&[NOTHING, NOTHING, SACK_PERMITTED, 2]);
        }
    }

    /// Reports octets that arrived out of order, as many ranges as there is room for.
    pub(super) fn report(&mut self, ranges: impl Iterator<Item = (Seq, Seq)>) {
        let start = self.options_bytes;
        self.add(&[NOTHING, NOTHING, SACK, 2]);
        for (from, to) in ranges.take(REPORTED_MAX) {
            self.add(&from.0.to_be_bytes());
            self.add(&to.0.to_be_bytes());
        }
        let bytes = self.options_bytes - start - 2;
        self.options[start + 3] = u8::try_from(bytes).expect("at most 34");
    }

    /// Multiples of four octets, so that no padding is needed.
    fn add(&mut self, octets: &[u8]) {
        let end = self.options_bytes + octets.len();
        self.options[self.options_bytes..end].copy_from_slice(octets);
        self.options_bytes = end;
    }

    pub(crate) fn header_bytes(&self) -> usize {
        HEADER_BYTES + self.options_bytes
    }

    pub(crate) fn payload(&self) -> Range<usize> {
        self.payload.clone()
    }

    /// Fills in the header but for ports and checksum.
    pub(crate) fn write(&self, tcp: &mut [u8]) {
        tcp[4..8].copy_from_slice(&self.seq.0.to_be_bytes());
        tcp[8..12].copy_from_slice(&self.ack.unwrap_or_default().0.to_be_bytes());
        let words = u8::try_from(self.header_bytes() / 4).expect("at most 15");
        tcp[12] = words << 4;
        tcp[13] = self.flags;
        tcp[14..16].copy_from_slice(&self.window.to_be_bytes());
        tcp[16..20].fill(0);
        tcp[HEADER_BYTES..self.header_bytes()].copy_from_slice(&self.options[..self.options_bytes]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(segment: &Outgoing) -> Vec<u8> {
        let mut tcp = vec![0xee; segment.header_bytes()];
        segment.write(&mut tcp);
        tcp
    }

    #[test]
    fn what_is_written_is_read() {
        let mut segment = Outgoing::new(Seq(7), Some(Seq(9)), SYN);
        segment.window = 1234;
        segment.offer(1460, Some(3), true);
        let octets = written(&segment);
        let read = Incoming::parse(&octets).unwrap();
        assert_eq!((read.seq, read.ack, read.window), (Seq(7), Seq(9), 1234));
        assert_eq!((read.flags, read.octets()), (SYN | ACK, 1));
        let options = read.options();
        assert_eq!(
            (options.segment_bytes, options.shift, options.may_report),
            (Some(1460), Some(3), true)
        );
        let mut segment = Outgoing::new(Seq(7), Some(Seq(9)), 0);
        let ranges = [(Seq(20), Seq(30)), (Seq(40), Seq(50))];
        segment.report(ranges.into_iter());
        let octets = written(&segment);
        let reported = Incoming::parse(&octets).unwrap().options().reported;
        assert_eq!(reported, [Some(ranges[0]), Some(ranges[1]), None, None]);
        segment = Outgoing::new(Seq(7), Some(Seq(9)), 0);
        segment.report([(Seq(1), Seq(2)); 9].into_iter());
        assert_eq!(segment.header_bytes(), 56, "four fit");
    }

    #[test]
    fn options_that_are_wrong_end_them() {
        for options in [
            &[2, 0, 5, 180][..],
            &[2, 1],
            &[2],
            &[5, 40, 1, 2, 3],
            &[9, 255],
        ] {
            assert_eq!(Options::parse(options), Options::default(), "{options:?}");
        }
        let options = Options::parse(&[1, 1, 99, 3, 0, 3, 3, 99, 0, 4, 2]);
        assert_eq!((options.shift, options.may_report), (Some(14), false));
    }

    #[test]
    fn cut_segments_are_not_read() {
        let segment = written(&Outgoing::new(Seq(1), None, SYN));
        for cut in 0..segment.len() {
            assert!(Incoming::parse(&segment[..cut]).is_none());
        }
        let mut beyond = segment;
        beyond[12] = 0x60;
        assert!(Incoming::parse(&beyond).is_none());
        beyond[12] = 0x40;
        assert!(Incoming::parse(&beyond).is_none());
    }
}
