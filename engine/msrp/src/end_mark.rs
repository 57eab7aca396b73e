//! Recognising the end-line of one frame.

use memchr::memmem;

use crate::deframe::Flag;
use crate::limits::IDENT_BYTES_MAX;

const HYPHENS: &[u8; 7] = b"-------";
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

    pub(crate) fn finder(&self) -> memmem::Finder<'_> {
        memmem::Finder::new(self.octets())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &[u8], expected: Match) {
        assert_eq!(
            EndMark::new(b"abcd").judge(text),
            expected,
            "{}",
            text.escape_ascii()
        );
    }

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
