//! Putting a message together from its chunks.

use crate::limits::RANGES_MAX;

/// Which octets of one message have arrived (RFC 4975 section 7.3.1).
///
/// Chunks may come in any order, twice, overlapping and with holes. A message that arrives in order
/// needs no heap.
///
/// ```text
/// 0 ..= prefix | hole | later[0] | hole | later[1] ...     ranges sorted, apart, not empty
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reassembly {
    /// Octets `0..prefix` are here.
    prefix: u64,
    /// Half-open ranges beyond the prefix.
    later: Vec<(u64, u64)>,
    total: Option<u64>,
}

/// What [`Reassembly::add`] made of some octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// Taken; `new_octets` of them, at least one, had not been here before.
    Added {
        /// Octets that were missing until now.
        new_octets: u64,
    },
    /// Nothing new: all of them were here, or there were none.
    Duplicate,
    /// Not taken: they reach beyond the total that the last chunk fixed, or beyond 64 bits.
    BeyondTotal,
    /// Not taken: the message would be in more than [`RANGES_MAX`] pieces.
    TooManyRanges,
}

impl Reassembly {
    /// A message of which nothing has arrived.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes that `len` octets at the 0-based `offset` have arrived. Take `len` from the octets
    /// that came, not from the end that Byte-Range claims.
    pub fn add(&mut self, offset: u64, len: u64) -> Outcome {
        let end = offset
            .checked_add(len)
            .filter(|end| self.total.is_none_or(|total| *end <= total));
        let Some(end) = end else {
            return Outcome::BeyondTotal;
        };
        if len == 0 {
            return Outcome::Duplicate;
        }
        let before = self.received_octets();
        if offset <= self.prefix {
            self.prefix = self.prefix.max(end);
            self.join_prefix();
        } else if !self.insert(offset, end) {
            return Outcome::TooManyRanges;
        }
        match self.received_octets() - before {
            0 => Outcome::Duplicate,
            new_octets => Outcome::Added { new_octets },
        }
    }

    /// Fixes the message's size: the end of the chunk that carried the `$` flag, whatever any
    /// Byte-Range says (RFC 4975 section 7.3.1). Called again, the last call wins.
    pub fn set_total(&mut self, octets: u64) {
        self.total = Some(octets);
    }

    /// The size, once the last chunk is here.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// Whether the size is known and every octet up to it is here.
    pub fn is_complete(&self) -> bool {
        self.total.is_some_and(|total| self.prefix >= total)
    }

    /// How many different octets are here.
    pub fn received_octets(&self) -> u64 {
        self.prefix + self.later.iter().map(|(from, to)| to - from).sum::<u64>()
    }

    /// How many octets are here without a hole before them.
    pub fn contiguous_octets(&self) -> u64 {
        self.prefix
    }

    /// The ranges received, sorted, apart, half-open.
    pub fn ranges(&self) -> impl Iterator<Item = std::ops::Range<u64>> + '_ {
        let prefix = (self.prefix > 0).then_some(0..self.prefix);
        prefix
            .into_iter()
            .chain(self.later.iter().map(|&(from, to)| from..to))
    }

    fn join_prefix(&mut self) {
        let joined = self
            .later
            .iter()
            .take_while(|(from, _)| *from <= self.prefix)
            .count();
        if let Some((_, to)) = self.later.drain(..joined).next_back() {
            self.prefix = self.prefix.max(to);
        }
    }

    /// Merges a range that does not touch the prefix. `false`: there is no room for it.
    fn insert(&mut self, offset: u64, end: u64) -> bool {
        let first = self.later.partition_point(|(_, to)| *to < offset);
        let after = self.later.partition_point(|(from, _)| *from <= end);
        if first == after {
            // The prefix counts as one of the ranges.
            if self.later.len() + 1 >= RANGES_MAX {
                return false;
            }
            self.later.insert(first, (offset, end));
            return true;
        }
        let merged = (
            offset.min(self.later[first].0),
            end.max(self.later[after - 1].1),
        );
        self.later[first] = merged;
        self.later.drain(first + 1..after);
        true
    }
}

/// One message's octets, for endpoints that present whole messages.
///
/// `octets.len() ≤ limit`
#[derive(Debug, Clone)]
pub struct MessageBuffer {
    ranges: Reassembly,
    octets: Vec<u8>,
    limit_bytes: usize,
}

/// A message does not fit its buffer; answer 413.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message is larger than {limit_bytes} octets")]
pub struct MessageTooLarge {
    /// The buffer's limit.
    pub limit_bytes: usize,
}

impl MessageBuffer {
    /// An empty buffer for at most `limit_bytes` octets. Allocates as octets come, never on a
    /// peer's claim.
    pub fn new(limit_bytes: usize) -> Self {
        Self {
            ranges: Reassembly::new(),
            octets: Vec::new(),
            limit_bytes,
        }
    }

    /// Stores `piece` at the 0-based `offset`. Where octets overlap, the last to come win (RFC 4975
    /// section 7.3.1).
    ///
    /// # Errors
    ///
    /// [`MessageTooLarge`], with nothing stored.
    pub fn add(&mut self, offset: u64, piece: &[u8]) -> Result<Outcome, MessageTooLarge> {
        let limit_bytes = self.limit_bytes;
        let at = usize::try_from(offset).ok();
        let span = at.and_then(|at| Some(at..at.checked_add(piece.len())?));
        let span = span.filter(|span| span.end <= limit_bytes);
        let Some(span) = span else {
            return Err(MessageTooLarge { limit_bytes });
        };
        let outcome = self.ranges.add(offset, piece.len() as u64);
        match outcome {
            Outcome::BeyondTotal | Outcome::TooManyRanges => {}
            Outcome::Added { .. } | Outcome::Duplicate => self.store(span, piece),
        }
        Ok(outcome)
    }

    fn store(&mut self, span: std::ops::Range<usize>, piece: &[u8]) {
        if piece.is_empty() {
            return;
        }
        if self.octets.len() < span.end {
            self.octets.resize(span.end, 0);
        }
        self.octets[span].copy_from_slice(piece);
    }

    /// Fixes the message's size; see [`Reassembly::set_total`].
    pub fn set_total(&mut self, octets: u64) {
        self.ranges.set_total(octets);
    }

    /// Which octets are here.
    pub fn ranges(&self) -> &Reassembly {
        &self.ranges
    }

    /// The message, once it is complete.
    pub fn message(&self) -> Option<&[u8]> {
        let total = usize::try_from(self.ranges.total()?).ok()?;
        if self.ranges.is_complete() {
            self.octets.get(..total)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests;
