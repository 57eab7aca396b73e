//! Nicknames of a chat room (RFC 7701 7): one user each, compared as RFC 7700 says.

use clock::Instant;
use msrp::Head;
use unicode_normalization::UnicodeNormalization;

use crate::api::{ConnId, Event, Octets, Output};
use crate::connection::Frame;
use crate::context::{Context, Kept};
use crate::limits::{NICKNAME_BYTES_MAX, NICKNAMES_KEPT_MAX};
use crate::refusal::Refusal;
use crate::session::{Session, SessionRef};
use crate::shard::Shard;
use crate::shipment::Parcel;
use crate::users::is_one_of;

impl<B: Octets> Shard<B> {
    /// A participant asks for a nickname, or gives its own back. Until the new one is its own, it
    /// keeps the old one.
    pub(crate) fn take_nickname(
        &mut self,
        now: Instant,
        (conn, session): (ConnId, SessionRef),
        head: &Head<'_>,
        frame: &mut Frame,
    ) -> Result<(), Refusal> {
        let entry = &self.sessions[session.index as usize];
        if !entry.config.terms.nicknames {
            return Err(Refusal::NicknamesNotAllowed);
        }
        let value = head.use_nickname.and_then(unquote);
        let nickname = value.ok_or(Refusal::NicknameMalformed)?;
        // An empty one gives the own back, which the grammar does not have (RFC 7701 7.3).
        let wanted = match nickname.is_empty() {
            true => None,
            false => Some(prepare(&nickname).ok_or(Refusal::NicknameMalformed)?),
        };
        if let Some(wanted) = &wanted {
            self.check_nickname(now, session, wanted)?;
        }
        if let Some(home) = self.nickname_home(session) {
            if let Some(wanted) = wanted {
                return self.ask_nickname((conn, session), home, (nickname, wanted), frame);
            }
            let key = self.sessions[session.index as usize].key;
            self.ship(home, |_| Parcel::GiveNickname(key));
        }
        self.take_granted(now, session, wanted, nickname.into_boxed_str());
        Ok(())
    }

    /// A session gets a nickname, or has none any more.
    pub(crate) fn take_granted(
        &mut self,
        now: Instant,
        session: SessionRef,
        wanted: Option<Box<str>>,
        nickname: Box<str>,
    ) {
        self.keep_nickname(now, session);
        let entry = &mut self.sessions[session.index as usize];
        let nickname = wanted.is_some().then_some(nickname);
        entry.nickname = wanted;
        let event = Event::Nickname {
            session: entry.key,
            nickname,
        };
        self.outputs.push_back(Output::Event(event));
    }

    /// Whether a participant may have a prepared nickname, as far as this shard knows.
    pub(crate) fn check_nickname(
        &self,
        now: Instant,
        session: SessionRef,
        wanted: &str,
    ) -> Result<(), Refusal> {
        if self.is_nickname_taken(now, session, wanted) {
            return Err(Refusal::NicknameTaken);
        }
        let context = self.sessions[session.index as usize].context;
        let reach = self.contexts.get(&context).and_then(|c| c.reach.as_ref());
        match reach {
            Some(reach) if !reach.awaited.is_empty() => Err(Refusal::NicknameUndecided),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether a prepared nickname is reserved, or some other user's.
    fn is_nickname_taken(&self, now: Instant, session: SessionRef, wanted: &str) -> bool {
        let entry = &self.sessions[session.index as usize];
        let reserved = &entry.config.terms.reserved_nicknames;
        if reserved
            .iter()
            .any(|r| prepare(r).as_deref() == Some(wanted))
        {
            return true;
        }
        let Some(context) = self.contexts.get(&entry.context) else {
            return false;
        };
        let others = context.members().filter(|s| *s != session);
        let others = others.map(|s| &self.sessions[s.index as usize]);
        let is_used = |o: &Session| o.nickname.as_deref() == Some(wanted);
        let kept = context.kept_nicknames.iter().filter(|k| k.until > now);
        let user = entry.config.user.as_deref();
        others
            .filter(|o| is_used(o))
            .any(|o| !is_same(o.config.user.as_deref(), user))
            || kept
                .filter(|k| *k.nickname == *wanted)
                .any(|k| !is_same(k.user.as_deref(), user))
    }

    /// The session's nickname is kept for its user for a while (RFC 7701 4.1).
    pub(crate) fn keep_nickname(&mut self, now: Instant, session: SessionRef) {
        let entry = &mut self.sessions[session.index as usize];
        let Some(nickname) = entry.nickname.take() else {
            return;
        };
        let kept = Kept {
            nickname,
            user: entry.config.user.clone(),
            until: now + self.config.limits.nickname_quarantine,
        };
        if let Some(context) = self.contexts.get_mut(&entry.context) {
            context.keep_nickname(now, kept);
        }
    }
}

impl Context {
    pub(crate) fn keep_nickname(&mut self, now: Instant, kept: Kept) {
        self.kept_nicknames.retain(|k| k.until > now);
        if self.kept_nicknames.len() >= NICKNAMES_KEPT_MAX {
            self.kept_nicknames.remove(0);
        }
        self.kept_nicknames.push(kept);
    }
}

/// Whether two participants are one user. Those whose URI nobody told are not.
fn is_same(a: Option<&str>, b: Option<&str>) -> bool {
    let (Some(a), Some(b)) = (a, b) else {
        return false;
    };
    a.split_ascii_whitespace()
        .any(|uri| is_one_of(uri.as_bytes(), b))
}

/// The text of a quoted-string (RFC 4975 9): only a quote and a backslash are escaped.
fn unquote(value: &[u8]) -> Option<String> {
    let inner = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let mut text = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let [octet, after @ ..] = rest {
        rest = after;
        match octet {
            b'"' => return None,
            b'\\' => {
                let [escaped @ (b'"' | b'\\'), after @ ..] = rest else {
                    return None;
                };
                text.push(*escaped);
                rest = after;
            }
            octet => text.push(*octet),
        }
    }
    let text = String::from_utf8(text).ok()?;
    (text.len() <= NICKNAME_BYTES_MAX).then_some(text)
}

/// A nickname ready for comparison (RFC 7700 2.1 and 2.4): spaces of any script become U+0020, those
/// at the ends go, runs become one; then default case folding and NFKC. `None` when nothing is left
/// or a control character is in it.
pub(crate) fn prepare(nickname: &str) -> Option<Box<str>> {
    if nickname.chars().any(char::is_control) {
        return None;
    }
    let words = nickname.split(is_space).filter(|w| !w.is_empty());
    let spaced = words.collect::<Vec<_>>().join(" ");
    let folded = caseless::default_case_fold_str(&spaced);
    let prepared: String = folded.nfkc().collect();
    (!prepared.is_empty()).then(|| prepared.into_boxed_str())
}

/// General category Zs.
fn is_space(c: char) -> bool {
    matches!(
        c,
        ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, text: Option<&str>) {
        let got = unquote(value.as_bytes());
        assert_eq!(got.as_deref(), text, "{value}");
    }

    // MSRP-NICK-002
    #[test]
    fn only_a_quoted_string_is_a_nickname() {
        check(r#""Alice the great""#, Some("Alice the great"));
        check(r#""""#, Some(""));
        check(r#""a\"b\\c""#, Some(r#"a"b\c"#));
        check("\"\u{e9}\"", Some("\u{e9}"));
        check("Alice", None);
        check(r#""Alice"#, None);
        check(r#"Alice""#, None);
        check(r#"""#, None);
        check(r#""a"b""#, None);
        check(r#""a\b""#, None);
        check(r#""a\""#, None);
        check(
            &format!("\"{}\"", "x".repeat(1023)),
            Some(&"x".repeat(1023)),
        );
        check(&format!("\"{}\"", "x".repeat(1024)), None);
        assert_eq!(unquote(b"\"\xff\""), None);
    }

    // MSRP-NICK-004
    #[test]
    fn nicknames_that_read_the_same_are_the_same() {
        for (a, b) in [
            ("Bobby", "bOBBY"),
            ("  two   words ", "Two\u{a0}Words"),
            ("stra\u{df}e", "STRASSE"),
            ("\u{fb01}sh", "FISH"),
            ("e\u{301}", "\u{c9}"),
            ("\u{ff21}lice", "alice"),
        ] {
            assert_eq!(prepare(a), prepare(b), "{a} {b}");
        }
        assert_ne!(prepare("BOY"), prepare("B0Y"));
        for nothing in ["", "  ", "\u{3000}", "a\u{7}b"] {
            assert_eq!(prepare(nothing), None);
        }
    }
}
