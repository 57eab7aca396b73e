//! Inputs derived from a corpus by a seeded generator.

/// Octets of a derived input at most.
const DERIVED_BYTES_MAX: usize = 1 << 16;

/// Changes made to one input at most.
const CHANGES_MAX: usize = 8;

/// Pieces that both protocols' parsers look for; spliced in whole, since chance would take long.
const TOKENS: [&[u8]; 18] = [
    b"\r\n",
    b"\r\n\r\n",
    b"-------",
    b"MSRP ",
    b" SEND\r\n",
    b"To-Path: ",
    b"Byte-Range: 1-*/*\r\n",
    b"msrp://h:1/s;tcp",
    b"MEGACO/3 ",
    b"!/1 ",
    b"T=1{",
    b"C=-{",
    b"M{ST=1{",
    b"L{\nv=0\n}",
    b"}",
    b"{",
    b"\"",
    b"4294967296",
];

/// A stream of inputs; the same for the same seed and corpus.
pub(crate) struct Mutator<'a> {
    state: u64,
    corpus: &'a [Vec<u8>],
}

impl<'a> Mutator<'a> {
    pub(crate) fn new(seed: u64, corpus: &'a [Vec<u8>]) -> Self {
        Self {
            state: seed,
            corpus,
        }
    }

    /// The next input: one of the corpus, changed in a few places.
    pub(crate) fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.pick().to_vec();
        for _ in 0..=self.below(CHANGES_MAX) {
            self.change(&mut input);
        }
        input.truncate(DERIVED_BYTES_MAX);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len() + 1);
        let end = at + self.below((input.len() - at).min(32) + 1);
        match self.below(6) {
            0 => drop(input.drain(at..end)),
            1 => {
                let token = TOKENS[self.below(TOKENS.len())];
                input.splice(at..at, token.iter().copied());
            }
            2 => {
                let again = input[at..end].to_vec();
                input.splice(at..at, again);
            }
            3 => input.truncate(at),
            4 => {
                let other = self.pick();
                let from = self.below(other.len() + 1);
                input.splice(at.., other[from..].iter().copied());
            }
            _ => {
                let [octet, ..] = self.random().to_le_bytes();
                if let Some(place) = input.get_mut(at) {
                    *place = octet;
                }
            }
        }
    }

    fn pick(&mut self) -> &'a [u8] {
        let corpus = self.corpus;
        if corpus.is_empty() {
            return &[];
        }
        &corpus[self.below(corpus.len())]
    }

    /// A number below `bound`, 0 when there is none.
    fn below(&mut self, bound: usize) -> usize {
        let Ok(wide) = u64::try_from(bound) else {
            return 0;
        };
        let below = self.random().checked_rem(wide).unwrap_or(0);
        usize::try_from(below).unwrap_or(0)
    }

    /// SplitMix64.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_derives_the_same_inputs() {
        let corpus = vec![b"MSRP a1b2 SEND\r\n".to_vec(), b"!/1 <x> T=1{}".to_vec()];
        let derive = |seed| {
            let mut mutator = Mutator::new(seed, &corpus);
            (0..100).map(|_| mutator.next_input()).collect::<Vec<_>>()
        };
        assert_eq!(derive(7), derive(7));
        assert_ne!(derive(7), derive(8));
    }

    #[test]
    fn an_empty_corpus_still_derives_inputs() {
        let mut mutator = Mutator::new(1, &[]);
        assert!((0..1000).any(|_| !mutator.next_input().is_empty()));
    }
}
