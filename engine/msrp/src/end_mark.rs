//! Recognising the end-line of one frame.

use std::sync::LazyLock;

use memchr::memchr;
use memchr::memmem::{self, Finder};

use crate::deframe::Flag;
use crate::limits::IDENT_BYTES_MAX;

pub(crate) const HYPHENS: &[u8; 7] = b"-------";
/// Built once: a searcher for each frame's own mark costs more than a short body's whole search.
static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(HYPHENS));

/// Runs of fewer hyphens after which a search for seven pays. One for a single hyphen passes twice as
/// many octets in the same time, and starts anew at each.
const SHORT_RUNS_MAX: usize = 4;

/// Runs of seven hyphens without the id behind them, after which a searcher for the mark pays.
const FALSE_ALARMS_MAX: usize = 8;

const MARK_BYTES_MAX: usize = HYPHENS.len() + IDENT_BYTES_MAX;

/// Seven hyphens and the transaction id of the current frame.
#[derive(Debug, Clone)]
pub(crate) struct EndMark {
    octets: [u8; MARK_BYTES_MAX],
    /// 0 before the first start line, else 11 to 39.
    bytes: u8,
}

/// How far some octets agree with an end-line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Match {
    /// They differ from it.
    No,
    /// They agree as far as they go, and may still become one.
    Partial,
    /// They begin with one, `bytes` long.
    Complete { bytes: usize, flag: Flag },
}

/// What a search finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Search {
    /// Where the hyphens and the id first stand.
    pub(crate) mark: Option<usize>,
    /// Where seven hyphens first stand.
    pub(crate) hyphens_at: Option<usize>,
}

impl Default for EndMark {
    fn default() -> Self {
        Self {
            octets: [0; MARK_BYTES_MAX],
            bytes: 0,
        }
    }
}

impl EndMark {
    pub(crate) fn new(transaction_id: &[u8]) -> Self {
        let bytes = HYPHENS.len() + transaction_id.len();
        let mut mark = Self {
            octets: [0; MARK_BYTES_MAX],
            bytes: u8::try_from(bytes).expect("a transaction id has at most 32 octets"),
        };
        mark.octets[..HYPHENS.len()].copy_from_slice(HYPHENS);
        mark.octets[HYPHENS.len()..bytes].copy_from_slice(transaction_id);
        mark
    }

    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets[..usize::from(self.bytes)]
    }

    /// Where the hyphens and the id first stand in `text`, whatever follows them.
    pub(crate) fn find(&self, text: &[u8]) -> Option<usize> {
        self.search(text).mark
    }

    /// The same, and where seven hyphens first stand.
    pub(crate) fn search(&self, text: &[u8]) -> Search {
        let id = &self.octets()[HYPHENS.len()..];
        let (mut from, mut hyphens_at) = (0, None);
        let mut short_runs = 0;
        for _ in 0..FALSE_ALARMS_MAX {
            let Some(at) = find_hyphens(text, from, &mut short_runs) else {
                let mark = None;
                return Search { mark, hyphens_at };
            };
            hyphens_at.get_or_insert(at);
            // No id begins with a hyphen, so that the last seven of a longer run count.
            let run_end = at + hyphens(&text[at..]);
            if text[run_end..].starts_with(id) {
                let mark = Some(run_end - HYPHENS.len());
                return Search { mark, hyphens_at };
            }
            from = run_end;
        }
        let found = memmem::find(&text[from..], self.octets());
        let mark = found.map(|found| from + found);
        Search { mark, hyphens_at }
    }

    /// Judges `text` as an end-line, with the CRLF before it if `text` begins with CR.
    pub(crate) fn judge(&self, text: &[u8]) -> Match {
        match text {
            [b'-', ..] => self.judge_bare(text),
            [b'\r'] | [b'\r', b'\n'] => Match::Partial,
            [b'\r', b'\n', rest @ ..] => match self.judge_bare(rest) {
                Match::Complete { bytes, flag } => Match::Complete {
                    bytes: bytes + 2,
                    flag,
                },
                other @ (Match::No | Match::Partial) => other,
            },
            _ => Match::No,
        }
    }

    /// Judges `text` as an end-line without CRLF before it. No octets at all are a partial match.
    pub(crate) fn judge_bare(&self, text: &[u8]) -> Match {
        let mark = self.octets();
        let common = text.len().min(mark.len());
        if text[..common] != mark[..common] {
            return Match::No;
        }
        // `+` is a flag and an ident character, so only the CRLF settles it.
        match &text[common..] {
            [] => Match::Partial,
            [flag, rest @ ..] => match (Flag::from_byte(*flag), rest) {
                (Some(_), [] | [b'\r']) => Match::Partial,
                (Some(flag), [b'\r', b'\n', ..]) => Match::Complete {
                    bytes: mark.len() + 3,
                    flag,
                },
                _ => Match::No,
            },
        }
    }
}

/// The length of a body of `octets` octets and its end-line with the flag `$`, if both are at the front of
/// `input` and the body holds no seven hyphens in a row. Then no end-line, of whichever frame, is in it.
///
/// ```
/// assert_eq!(msrp::whole_body(b"hello\r\n-------t1t1$\r\nMSRP", b"t1t1", 5), Some(21));
/// assert_eq!(msrp::whole_body(b"hello\r\n-------t1t1+\r\n", b"t1t1", 5), None);
/// assert_eq!(msrp::whole_body(b"hello\r\n-------t1t1$\r\n", b"t1t1", 4), None);
/// ```
pub fn whole_body(input: &[u8], transaction_id: &[u8], octets: usize) -> Option<usize> {
    let (body, rest) = input.split_at_checked(octets)?;
    let end = rest.strip_prefix(b"\r\n")?.strip_prefix(HYPHENS)?;
    let end = end.strip_prefix(transaction_id)?;
    let rest = end.strip_prefix(&[Flag::Complete.as_byte(), b'\r', b'\n'])?;
    let is_clear = find_hyphens(body, 0, &mut 0).is_none();
    is_clear.then(|| input.len() - rest.len())
}

/// Where seven hyphens first stand in `text`, from `from` on; counts shorter runs, which most bodies hold few
/// of.
#[inline]
fn find_hyphens(text: &[u8], mut from: usize, short_runs: &mut usize) -> Option<usize> {
    while *short_runs < SHORT_RUNS_MAX {
        let at = from + memchr(b'-', &text[from..])?;
        if text[at..].first_chunk() == Some(HYPHENS) {
            return Some(at);
        }
        from = at + hyphens(&text[at..]);
        *short_runs += 1;
    }
    FINDER.find(&text[from..]).map(|found| from + found)
}

/// How many hyphens `text` begins with.
fn hyphens(text: &[u8]) -> usize {
    const BLOCK: [u8; 32] = [b'-'; 32];
    let blocks = text.chunks_exact(BLOCK.len());
    let whole = BLOCK.len() * blocks.take_while(|block| *block == BLOCK).count();
    let rest = text[whole..].iter();
    whole + rest.take_while(|octet| **octet == b'-').count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_mark_is_found_behind_runs_of_hyphens_and_false_alarms() {
        let mark = EndMark::new(b"abcd");
        let find = |text: &str| mark.find(text.as_bytes());
        assert_eq!(find("-------abcd"), Some(0));
        assert_eq!(find(&format!("x{}abcd", "-".repeat(100))), Some(94));
        assert_eq!(
            find(&format!("{}-------abcd", "-------x".repeat(50))),
            Some(400)
        );
        assert_eq!(find("------abcd -------abc"), None);
        assert_eq!(find(&"-".repeat(1000)), None);
    }

    proptest! {
        #[test]
        fn the_search_agrees_with_a_window_walk(text in "(-{1,8}|-{31,40}|a|x|aaaa){0,60}") {
            let slow = |token: &[u8]| text.as_bytes().windows(token.len()).position(|window| window == token);
            let found = EndMark::new(b"aaaa").search(text.as_bytes());
            let expected = Search {
                mark: slow(b"-------aaaa"),
                hyphens_at: slow(b"-------"),
            };
            prop_assert_eq!(found, expected);
        }
    }

    #[track_caller]
    fn check(text: &[u8], expected: Match) {
        assert_eq!(
            EndMark::new(b"abcd").judge(text),
            expected,
            "{}",
            text.escape_ascii()
        );
    }

    // MSRP-FRAME-006, MSRP-FRAME-008.
    #[test]
    fn an_end_line_is_complete_only_with_its_crlf() {
        let complete = |bytes, flag| Match::Complete { bytes, flag };
        check(b"-------abcd$\r\n", complete(14, Flag::Complete));
        check(b"-------abcd+\r\nx", complete(14, Flag::More));
        check(b"\r\n-------abcd#\r\n", complete(16, Flag::Abort));
        for end in 1..14 {
            check(&b"-------abcd$\r\n"[..end], Match::Partial);
        }
        for end in 1..16 {
            check(&b"\r\n-------abcd$\r\n"[..end], Match::Partial);
        }
    }

    // MSRP-FRAME-012.
    #[test]
    fn neighbours_of_an_end_line_are_data() {
        for text in [
            &b"------abcd$\r\n"[..],
            b"--------abcd$\r\n",
            b"-------abce$\r\n",
            b"-------abcd!\r\n",
            b"-------abcd+$\r\n",
            b"-------abcd$\n",
            b"-------abcd$\r\r",
            b"\n-------abcd$\r\n",
            b"\r-------abcd$\r\n",
            b"x",
        ] {
            check(text, Match::No);
        }
    }
}
