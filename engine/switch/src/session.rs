//! One stream of one termination: an MSRP session of the switch.

use clock::{Instant, TimerKey};

use crate::api::{ConnId, ConnectId, ContextKey, SessionConfig, SessionKey, Statistics};
use crate::message::Recent;

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
    pub config: Box<SessionConfig>,
    pub link: Link,
    pub installed_at: Instant,
    pub statistics: Statistics,
    /// Slots of messages from this session that are not complete yet.
    pub open: Vec<u32>,
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
}

impl Session {
    /// The connection, if there is one.
    pub(crate) fn conn(&self) -> Option<ConnId> {
        match self.link {
            Link::Bound(conn) => Some(conn),
            Link::Waiting | Link::Connecting { .. } | Link::Lost => None,
        }
    }

    /// Where chunks for the participant go: none while it cannot or must not get any.
    pub(crate) fn recipient_conn(&self) -> Option<ConnId> {
        self.conn()
            .filter(|_| self.config.sends && self.config.remote_path.is_some())
    }

    /// Whether the participant may send this media type (RFC 4975 8.6; parameters are ignored).
    pub(crate) fn accepts(&self, content_type: &[u8]) -> bool {
        if self.config.accept_types.is_empty() {
            return true;
        }
        let bare = content_type
            .split(|&c| c == b';')
            .next()
            .unwrap_or_default()
            .trim_ascii();
        self.config.accept_types.iter().any(|accepted| {
            let accepted = accepted.as_bytes();
            accepted == b"*"
                || accepted.eq_ignore_ascii_case(bare)
                || accepted.strip_suffix(b"/*").is_some_and(|kind| {
                    bare.split(|&c| c == b'/')
                        .next()
                        .is_some_and(|k| k.eq_ignore_ascii_case(kind))
                })
        })
    }

    /// The counters now.
    pub(crate) fn counters(&self, now: Instant) -> Statistics {
        Statistics {
            duration: now.since(self.installed_at),
            ..self.statistics
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(accept: &[&str], content_type: &str, accepted: bool) {
        let session = Session {
            generation: 0,
            key: SessionKey {
                termination: 1,
                stream: 1,
            },
            context: ContextKey(1),
            config: Box::new(SessionConfig {
                accept_types: accept.iter().map(|&t| t.into()).collect(),
                ..SessionConfig::new([], [])
            }),
            link: Link::Waiting,
            installed_at: Instant::ZERO,
            statistics: Statistics::default(),
            open: Vec::new(),
            recent: None,
        };
        assert_eq!(
            session.accepts(content_type.as_bytes()),
            accepted,
            "{content_type}"
        );
    }

    #[test]
    fn media_types_match_without_case_and_parameters() {
        check(&[], "anything/at-all", true);
        check(&["*"], "anything/at-all", true);
        check(&["text/plain"], "Text/PLAIN;charset=utf-8", true);
        check(&["text/*"], "text/html", true);
        check(&["text/*"], "textual/html", false);
        check(&["message/cpim", "text/plain"], "image/png", false);
    }
}
