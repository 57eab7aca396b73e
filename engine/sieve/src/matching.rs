//! `:is`, `:contains` and `:matches` under the two comparators (RFC 5228 section 2.7).

/// How a value is compared with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MatchType {
    Is,
    Contains,
    Matches,
}

/// How octets are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Matcher {
    pub kind: MatchType,
    /// `i;ascii-casemap`, the default; else `i;octet`.
    pub folds_case: bool,
}

impl Default for Matcher {
    fn default() -> Self {
        Self {
            kind: MatchType::Is,
            folds_case: true,
        }
    }
}

impl Matcher {
    /// Whether a value matches a key.
    pub(crate) fn is_match(self, value: &[u8], key: &[u8]) -> bool {
        match self.kind {
            MatchType::Is => self.equal(value, key),
            MatchType::Contains => {
                key.is_empty() || value.windows(key.len()).any(|w| self.equal(w, key))
            }
            MatchType::Matches => self.glob(value, key),
        }
    }

    fn equal(self, a: &[u8], b: &[u8]) -> bool {
        if self.folds_case {
            a.eq_ignore_ascii_case(b)
        } else {
            a == b
        }
    }

    fn equal_octet(self, a: u8, b: u8) -> bool {
        a == b || (self.folds_case && a.eq_ignore_ascii_case(&b))
    }

    /// `*` stands for any run, `?` for one character, a backslash quotes. Only the last star is
    /// ever tried again, so that the work is bounded by the product of the lengths.
    fn glob(self, value: &[u8], pattern: &[u8]) -> bool {
        let (mut v, mut p) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        loop {
            let (wanted, step) = match pattern.get(p) {
                Some(b'\\') if p + 1 < pattern.len() => (Wanted::Octet(pattern[p + 1]), 2),
                Some(b'*') => (Wanted::Any, 1),
                Some(b'?') => (Wanted::One, 1),
                Some(c) => (Wanted::Octet(*c), 1),
                None => (Wanted::End, 0),
            };
            let is_good = match (wanted, value.get(v)) {
                (Wanted::Any, _) => {
                    retry = Some((p + 1, v));
                    true
                }
                (Wanted::End, None) => return true,
                (Wanted::One, Some(_)) => {
                    v += 1;
                    // The rest of one character in UTF-8.
                    while value.get(v).is_some_and(|c| c & 0xc0 == 0x80) {
                        v += 1;
                    }
                    true
                }
                (Wanted::Octet(c), Some(octet)) if self.equal_octet(c, *octet) => {
                    v += 1;
                    true
                }
                (Wanted::End | Wanted::One | Wanted::Octet(_), _) => false,
            };
            if is_good {
                p += step;
                continue;
            }
            match retry {
                Some((after, from)) if from < value.len() => {
                    retry = Some((after, from + 1));
                    (p, v) = (after, from + 1);
                }
                _ => return false,
            }
        }
    }
}

/// What a pattern asks for next.
#[derive(Clone, Copy)]
enum Wanted {
    Any,
    One,
    Octet(u8),
    End,
}
