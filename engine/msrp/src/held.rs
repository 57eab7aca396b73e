//! The octets a deframer holds back.

use crate::limits::HELD_BYTES_MAX;

/// Octets kept from earlier inputs because they may begin an end-line.
///
/// `from ≤ to ≤ HELD_BYTES_MAX`
#[derive(Debug)]
pub(crate) struct Held {
    octets: [u8; HELD_BYTES_MAX],
    from: u8,
    to: u8,
}

/// Held octets and as much of an input behind them as an end-line may need.
pub(crate) struct Joined {
    octets: [u8; 2 * HELD_BYTES_MAX],
    bytes: usize,
}

impl Joined {
    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets[..self.bytes]
    }
}

impl Default for Held {
    fn default() -> Self {
        Self {
            octets: [0; HELD_BYTES_MAX],
            from: 0,
            to: 0,
        }
    }
}

impl Held {
    pub(crate) fn is_empty(&self) -> bool {
        self.from == self.to
    }

    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets[usize::from(self.from)..usize::from(self.to)]
    }

    pub(crate) fn clear(&mut self) {
        (self.from, self.to) = (0, 0);
    }

    /// Keeps `more` as well; together they are a partial end-line, hence shorter than the whole.
    pub(crate) fn push(&mut self, more: &[u8]) {
        let bytes = self.octets().len();
        self.octets
            .copy_within(usize::from(self.from)..usize::from(self.to), 0);
        self.octets[bytes..bytes + more.len()].copy_from_slice(more);
        self.from = 0;
        self.to = u8::try_from(bytes + more.len()).expect("a partial end-line is short");
    }

    pub(crate) fn pop_front(&mut self, bytes: usize) -> &[u8] {
        let at = usize::from(self.from);
        self.from += u8::try_from(bytes).expect("no more than are held");
        &self.octets[at..at + bytes]
    }

    pub(crate) fn join(&self, input: &[u8]) -> Joined {
        let mut joined = Joined {
            octets: [0; 2 * HELD_BYTES_MAX],
            bytes: 0,
        };
        for part in [self.octets(), &input[..input.len().min(HELD_BYTES_MAX)]] {
            joined.octets[joined.bytes..joined.bytes + part.len()].copy_from_slice(part);
            joined.bytes += part.len();
        }
        joined
    }
}
