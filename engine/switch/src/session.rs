//! One stream of one termination: an MSRP session of the switch.

use std::rc::Rc;

use clock::{Instant, TimerKey};

use crate::api::{ConnId, ConnectId, ContextKey, SessionKey, ShardIndex, Statistics};
use crate::config::{SessionConfig, Terms};
use crate::ident::{Stem, Tid};
use crate::lists::Epoch;
use crate::recent::Recent;

/// Names a session inside its shard; goes stale when the session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionRef {
    pub index: u32,
    pub generation: u32,
}

/// A session's place in the switch.
#[derive(Debug)]
pub(crate) struct Session {
    pub generation: u32,
    pub key: SessionKey,
    pub context: ContextKey,
    /// Its place in the conference; who came later has a higher one.
    pub seat: u64,
    pub config: SessionConfig,
    /// See [`Self::opening`].
    pub opening: Option<Rc<[u8]>>,
    pub link: Tie,
    pub installed_at: Instant,
    pub statistics: Statistics,
    /// Slots of messages from this session that are not complete yet.
    pub open: Vec<u32>,
    /// Slots of messages from this session that are complete and wait for answers.
    pub waiting: Vec<u32>,
    /// When octets last arrived from the participant.
    pub heard_at: Instant,
    /// Runs while the participant's silence is to be told.
    pub idle: Option<TimerKey>,
    /// Its nickname, prepared for comparison.
    pub nickname: Option<Box<str>>,
    /// Its messages whose fate was settled last; absent until there was one.
    pub recent: Option<Box<Recent>>,
}

/// A session's connection.
///
/// ```text
/// passive: Waiting ── first request ──► Bound ── closed ──► Lost ── Update ──► Waiting
/// active:  Connecting ── connected ──► Bound ── closed ──► Lost ── Update ──► Connecting
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// The participant has not connected yet.
    Waiting,
    /// Our connect is under way.
    Connecting { request: ConnectId, timer: TimerKey },
    /// This connection carries the session.
    Bound(ConnId),
    /// The connection failed; recovery needs new signalling (RFC 4975 5.4).
    Lost,
    /// Another shard carries the session: this is its double, which stands for it here.
    Elsewhere(ShardIndex),
}

/// Holds a session's link. Lists of recipients depend on it: when it changes, their epoch is over.
#[derive(Debug)]
pub(crate) struct Tie(Link);

impl Tie {
    /// Of a session that is new.
    pub(crate) fn new() -> Self {
        Self(Link::Waiting)
    }

    #[inline]
    pub(crate) fn get(&self) -> Link {
        self.0
    }

    pub(crate) fn set(&mut self, link: Link, epoch: &mut Epoch) {
        self.0 = link;
        epoch.end();
    }
}

impl Session {
    /// The connection, if there is one.
    #[inline]
    pub(crate) fn conn(&self) -> Option<ConnId> {
        match self.link.get() {
            Link::Bound(conn) => Some(conn),
            Link::Waiting | Link::Connecting { .. } | Link::Lost | Link::Elsewhere(_) => None,
        }
    }

    /// The shard that carries it, if that is another one.
    pub(crate) fn elsewhere(&self) -> Option<ShardIndex> {
        match self.link.get() {
            Link::Elsewhere(shard) => Some(shard),
            Link::Waiting | Link::Connecting { .. } | Link::Bound(_) | Link::Lost => None,
        }
    }

    /// Where chunks for the participant go: none while it cannot or must not get any.
    #[inline]
    pub(crate) fn recipient_conn(&self) -> Option<ConnId> {
        self.conn()
            .filter(|_| self.config.sends && self.config.remote_path.is_some())
    }

    /// What a copy for the participant begins with: start line, To-Path and From-Path, under a
    /// transaction id that is to be replaced. Made when first needed.
    #[inline]
    pub(crate) fn opening(&mut self) -> Rc<[u8]> {
        match &self.opening {
            Some(opening) => Rc::clone(opening),
            None => self.make_opening(),
        }
    }

    #[cold]
    fn make_opening(&mut self) -> Rc<[u8]> {
        let mut text = Vec::new();
        let to = self.config.remote_path.as_deref().unwrap_or_default();
        let any_id = Tid::delivery(&Stem::new(0, 0, 0), 0, 0);
        msrp::write::send_start(&mut text, any_id.as_bytes(), to, &self.config.local_path);
        let opening = Rc::from(text);
        self.opening = Some(Rc::clone(&opening));
        opening
    }

    /// Whether the participant may send this media type.
    pub(crate) fn accepts(&self, content_type: &[u8]) -> bool {
        let types = &self.config.terms.accept_types;
        types.is_empty() || is_listed(types, content_type)
    }

    /// Whether the participant may send this media type inside a wrapper: what it may send bare,
    /// and what it may send wrapped only (RFC 4975 8.6).
    pub(crate) fn accepts_wrapped(&self, content_type: &[u8]) -> bool {
        let types = &self.config.terms.receive_wrapped_types;
        types.is_empty()
            || is_listed(types, content_type)
            || is_listed(&self.config.terms.accept_types, content_type)
    }

    /// The counters now.
    pub(crate) fn counters(&self, now: Instant) -> Statistics {
        Statistics {
            duration: now.since(self.installed_at),
            ..self.statistics
        }
    }
}

/// What a message holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind<'a> {
    pub content_type: &'a [u8],
    /// What is wrapped in it, when it is Message/CPIM and that could be read.
    pub wrapped: Option<&'a [u8]>,
}

impl Kind<'_> {
    /// Whether participants with these terms take a message of this kind.
    pub(crate) fn is_taken(&self, terms: &Terms) -> bool {
        let Terms {
            send_types,
            send_wrapped_types,
            ..
        } = terms;
        let takes_bare = send_types.is_empty() || is_listed(send_types, self.content_type);
        takes_bare
            && self.wrapped.is_none_or(|wrapped| {
                send_wrapped_types.is_empty()
                    || is_listed(send_wrapped_types, wrapped)
                    || is_listed(send_types, wrapped)
            })
    }

    /// Whether it depends on more than its type to whom a message goes.
    pub(crate) fn can_be_wrapped(&self) -> bool {
        self.wrapped.is_some() || is_type(self.content_type, b"message/cpim")
    }

    /// Whether nothing is lost when it does not arrive: it says that somebody is typing (RFC 3994).
    pub(crate) fn is_droppable(&self) -> bool {
        let content_type = self.wrapped.unwrap_or(self.content_type);
        is_type(content_type, b"application/im-iscomposing+xml")
    }
}

/// A media type without its parameters.
fn bare(content_type: &[u8]) -> &[u8] {
    let bare = content_type.split(|&c| c == b';').next();
    bare.unwrap_or_default().trim_ascii()
}

/// Whether a media type is this one, whatever its parameters.
pub(crate) fn is_type(content_type: &[u8], expected: &[u8]) -> bool {
    bare(content_type).eq_ignore_ascii_case(expected)
}

/// Whether a list as in `accept-types` has a media type (RFC 4975 8.6; parameters are ignored).
fn is_listed(types: &[Box<str>], content_type: &[u8]) -> bool {
    let bare = bare(content_type);
    types.iter().any(|listed| {
        let listed = listed.as_bytes();
        listed == b"*"
            || listed.eq_ignore_ascii_case(bare)
            || listed.strip_suffix(b"/*").is_some_and(|kind| {
                bare.split(|&c| c == b'/')
                    .next()
                    .is_some_and(|k| k.eq_ignore_ascii_case(kind))
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(list: &[&str], content_type: &str, is_there: bool) {
        let list: Vec<Box<str>> = list.iter().map(|&t| t.into()).collect();
        assert_eq!(
            is_listed(&list, content_type.as_bytes()),
            is_there,
            "{content_type}"
        );
    }

    // MSRP-SDP-005
    #[test]
    fn media_types_match_without_case_and_parameters() {
        check(&[], "anything/at-all", false);
        check(&["*"], "anything/at-all", true);
        check(&["text/plain"], "Text/PLAIN;charset=utf-8", true);
        check(&["text/*"], "text/html", true);
        check(&["text/*"], "textual/html", false);
        check(&["message/cpim", "text/plain"], "image/png", false);
    }

    #[test]
    fn what_says_that_somebody_types_may_be_dropped_also_when_it_is_wrapped() {
        let composing = &b"Application/im-isComposing+xml; charset=utf-8"[..];
        for (content_type, wrapped, is_droppable) in [
            (composing, None, true),
            (b"message/cpim", Some(composing), true),
            (b"message/cpim", None, false),
            (b"message/cpim", Some(b"message/imdn+xml"), false),
            (b"text/plain", None, false),
        ] {
            let kind = Kind {
                content_type,
                wrapped,
            };
            assert_eq!(kind.is_droppable(), is_droppable, "{kind:?}");
        }
    }
}
