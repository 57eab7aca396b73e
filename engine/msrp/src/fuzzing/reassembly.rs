//! Reassembly under any sequence of operations, against octets kept one by one.

use std::collections::BTreeMap;

use crate::limits::RANGES_MAX;
use crate::reassembly::{MessageBuffer, Outcome};

/// Largest message of the model, octets.
const LIMIT_BYTES: usize = 2048;

/// Applies the operations in `data` to a buffer and to a slow model, and asserts that they agree
/// after each: on the outcome, on what has arrived, and on the message once it is complete.
///
/// An operation is four octets: kind and high bits of the offset, its low bits, a length, a fill.
pub fn reassemble(data: &[u8]) {
    let mut buffer = MessageBuffer::new(LIMIT_BYTES);
    let mut model = Model::default();
    for operation in data.chunks_exact(4) {
        let [kind, low, len, fill] = [0, 1, 2, 3].map(|at| operation[at]);
        let offset = u64::from(kind & 7) << 8 | u64::from(low);
        match kind >> 3 {
            // The last chunk fixes the total, rarely enough for others to follow.
            0 => {
                buffer.set_total(offset);
                model.total = Some(offset);
            }
            // Positions no memory could hold.
            1 => model.add(&mut buffer, u64::MAX - offset, &piece(len, fill)),
            _ => model.add(&mut buffer, offset, &piece(len, fill)),
        }
        model.compare(&buffer);
    }
}

/// Octets that differ from each other, so that a wrong place shows.
fn piece(len: u8, fill: u8) -> Vec<u8> {
    (0..len).map(|at| at.wrapping_add(fill)).collect()
}

#[derive(Default)]
struct Model {
    octets: BTreeMap<u64, u8>,
    total: Option<u64>,
}

impl Model {
    fn add(&mut self, buffer: &mut MessageBuffer, offset: u64, piece: &[u8]) {
        let before = self.octets.len() as u64;
        let end = offset.checked_add(piece.len() as u64);
        match (buffer.add(offset, piece), end) {
            (Err(_), end) => {
                let fits = end.is_some_and(|end| end <= LIMIT_BYTES as u64);
                assert!(!fits, "{offset}+{} fits", piece.len());
            }
            (Ok(Outcome::BeyondTotal), Some(end)) => {
                let total = self.total.expect("there is a total to be beyond of");
                assert!(end > total, "{end} is within {total}");
            }
            (Ok(Outcome::TooManyRanges), Some(_)) => {
                assert_eq!(
                    self.ranges().len(),
                    RANGES_MAX - 1 + usize::from(self.has_first())
                );
            }
            (Ok(Outcome::Added { new_octets }), Some(_)) => {
                self.store(offset, piece);
                assert_eq!(self.octets.len() as u64 - before, new_octets, "new octets");
            }
            (Ok(Outcome::Duplicate), Some(_)) => {
                self.store(offset, piece);
                assert_eq!(self.octets.len() as u64, before, "nothing new");
            }
            (Ok(outcome), None) => panic!("{outcome:?} beyond 64 bits"),
        }
    }

    /// Where octets overlap, the last to come win.
    fn store(&mut self, offset: u64, piece: &[u8]) {
        self.octets.extend((offset..).zip(piece.iter().copied()));
    }

    fn has_first(&self) -> bool {
        self.octets.contains_key(&0)
    }

    fn ranges(&self) -> Vec<std::ops::Range<u64>> {
        let mut ranges: Vec<std::ops::Range<u64>> = Vec::new();
        for &at in self.octets.keys() {
            match ranges.last_mut() {
                Some(last) if last.end == at => last.end += 1,
                _ => ranges.push(at..at + 1),
            }
        }
        ranges
    }

    fn compare(&self, buffer: &MessageBuffer) {
        let ranges = self.ranges();
        assert_eq!(buffer.ranges().ranges().collect::<Vec<_>>(), ranges);
        assert!(ranges.len() <= RANGES_MAX, "{} ranges", ranges.len());
        let prefix = ranges.first().filter(|first| first.start == 0);
        let contiguous = prefix.map_or(0, |prefix| prefix.end);
        assert_eq!(buffer.ranges().contiguous_octets(), contiguous);
        let is_complete = self.total.is_some_and(|total| contiguous >= total);
        assert_eq!(buffer.ranges().is_complete(), is_complete, "complete");
        let message = self.total.filter(|_| is_complete).map(|total| {
            let octets = self.octets.range(..total);
            octets.map(|(_, octet)| *octet).collect::<Vec<u8>>()
        });
        assert_eq!(buffer.message(), message.as_deref());
    }
}
