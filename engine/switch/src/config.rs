//! How a session behaves.

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use crate::security::Security;
use crate::text::Text;

/// How a session behaves. Made with [`SessionConfig::new`], then changed field by field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// Our MSRP URI, as sent in From-Path and expected in To-Path.
    pub local_path: Text,
    /// The session-id part of `local_path`; sessions are found by it.
    pub session_id: Text,
    /// The far end's path as in its SDP, blanks between URIs; sent as To-Path octet for octet.
    /// Absent until Remote is known: nothing is forwarded to such a session.
    pub remote_path: Option<Text>,
    /// Who opens the TCP connection.
    pub setup: Setup,
    /// Whether no connection that arrives binds the session; one that has bound it stays.
    pub is_blocked: bool,
    /// How the connection must be secured, and who must be at its far end.
    pub security: Security,
    /// Whether chunks go to the participant (H.248 Mode SendOnly or SendReceive).
    pub sends: bool,
    /// Whether chunks are taken from the participant (H.248 Mode ReceiveOnly or SendReceive).
    pub receives: bool,
    /// The URIs the participant is known by in CPIM From and To, blanks between several.
    pub user: Option<Box<str>>,
    /// Messages from the participant are copied to this recording ([`crate::Event::Recorded`]), those
    /// that begin from now on.
    pub record_in: Option<u64>,
    /// The same for messages to the participant.
    pub record_out: Option<u64>,
    /// All that names nobody. Sessions that share one keep it once.
    pub terms: Arc<Terms>,
}

/// What holds for a session without naming its participant; most participants of a conference have
/// the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How much of a To-Path must match [`SessionConfig::local_path`].
    pub matching: Matching,
    /// Largest message taken from the participant, octets; `None` = the shard's limit alone.
    pub receive_bytes_max: Option<u64>,
    /// Largest message the participant takes, octets.
    pub send_bytes_max: Option<u64>,
    /// Media types taken from the participant (`*`, `type/*`, `type/subtype`); empty = all.
    pub accept_types: Vec<Box<str>>,
    /// Media types taken from the participant inside Message/CPIM besides `accept_types`
    /// (RFC 4975 8.6); empty = all.
    pub receive_wrapped_types: Vec<Box<str>>,
    /// Media types the participant takes (its `accept-types`); empty = all.
    pub send_types: Vec<Box<str>>,
    /// Media types the participant takes inside Message/CPIM besides `send_types` (its
    /// `accept-wrapped-types`); empty = not declared, so all.
    pub send_wrapped_types: Vec<Box<str>>,
    /// After this long without an octet from the participant [`crate::Event::Idle`] is told, and again
    /// after as long; `None` = never.
    pub idle_after: Option<Duration>,
    /// What is done about the participant when it reads too slowly. The same in all sessions of a
    /// context.
    pub slow: SlowPolicy,
    /// The rules of the conference. The same in all sessions of a context.
    pub profile: Profile,
    /// The conference's own URI, to which regular messages are addressed in CPIM To. The same in
    /// all sessions of a context. Used in [`Profile::Chatroom`], where without it every message
    /// must be a private one.
    pub room: Option<Box<str>>,
    /// Whether the conference lets participants have nicknames (RFC 7701 7.1).
    pub nicknames: bool,
    /// Nicknames that nobody can have. The same in all sessions of a context.
    pub reserved_nicknames: Vec<Box<str>>,
    /// Whether the conference lets this participant send private messages (RFC 7701 6.2).
    pub private_messages: bool,
    /// Whether the participant understands private messages: it declared `a=chatroom` with
    /// `private-messages` (RFC 7701 8). Others never get one.
    pub takes_private_messages: bool,
    /// Judges messages from the participant before anybody gets them.
    pub filter_in: Option<Arc<sieve::Script>>,
    /// Judges messages to the participant.
    pub filter_out: Option<Arc<sieve::Script>>,
    /// Whether [`crate::Event::Message`] tells of each message that has passed the participant.
    pub tells_messages: bool,
    /// Whether [`crate::Event::Message`] tells of each message that a filter of this session stopped,
    /// or could not judge.
    pub tells_filtered: bool,
}

impl SessionConfig {
    /// A passive session of a `3gpp` conference that sends, receives and takes everything; its
    /// `remote_path` is still to come.
    #[must_use]
    pub fn new(local_path: impl Into<Text>, session_id: impl Into<Text>) -> Self {
        Self {
            local_path: local_path.into(),
            session_id: session_id.into(),
            remote_path: None,
            setup: Setup::Passive,
            is_blocked: false,
            security: Security::Plain,
            sends: true,
            receives: true,
            user: None,
            record_in: None,
            record_out: None,
            terms: Arc::default(),
        }
    }

    /// Whether a filter, a recording or a listener wants to know of messages.
    pub(crate) fn is_watching(&self) -> bool {
        self.is_recording() || self.terms.are_watching()
    }

    /// Whether a recording wants to know of messages.
    pub(crate) fn is_recording(&self) -> bool {
        self.record_in.is_some() || self.record_out.is_some()
    }

    /// What a session's double has: whoever watches it does so where it is carried.
    pub(crate) fn of_double(mut self) -> Self {
        if self.is_watching() || self.terms.tells_filtered {
            (self.record_in, self.record_out) = (None, None);
            let terms = self.terms_mut();
            (terms.filter_in, terms.filter_out) = (None, None);
            (terms.tells_messages, terms.tells_filtered) = (false, false);
        }
        self
    }

    /// The terms, to be changed for this session alone.
    pub fn terms_mut(&mut self) -> &mut Terms {
        Arc::make_mut(&mut self.terms)
    }
}

impl Terms {
    /// Whether a filter or a listener wants to know of messages.
    pub(crate) fn are_watching(&self) -> bool {
        self.filter_in.is_some() || self.filter_out.is_some() || self.tells_messages
    }
}

impl Default for Terms {
    /// Those of a `3gpp` conference whose participants take everything.
    fn default() -> Self {
        Self {
            matching: Matching::SessionId,
            receive_bytes_max: None,
            send_bytes_max: None,
            accept_types: Vec::new(),
            receive_wrapped_types: Vec::new(),
            send_types: Vec::new(),
            send_wrapped_types: Vec::new(),
            idle_after: None,
            slow: SlowPolicy::Slow,
            profile: Profile::ThreeGpp,
            room: None,
            nicknames: false,
            reserved_nicknames: Vec::new(),
            private_messages: false,
            takes_private_messages: true,
            filter_in: None,
            filter_out: None,
            tells_messages: false,
            tells_filtered: false,
        }
    }
}

/// The rules of a conference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// TS 24.247: bare media types and CPIM alike go to all others.
    #[default]
    ThreeGpp,
    /// RFC 7701: Message/CPIM only, addressed to the room or to one participant; nicknames.
    Chatroom,
}

/// How much of a To-Path must match for a request to belong to a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Matching {
    /// The session-id part alone: session border controllers rewrite the rest (TS 23.333).
    #[default]
    SessionId,
    /// The whole URI by the rules of RFC 4975 6.1.
    Uri,
}

/// What is done about a participant that reads too slowly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SlowPolicy {
    /// Its senders are read more slowly while it makes progress; it is lost when its queue is full.
    #[default]
    Slow,
    /// Nobody waits for it: while it is congested it gets no new messages (RFC 7701 6.4).
    Drop,
}

/// Who opens the TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// The participant does.
    Passive,
    /// We do, and bind it with a SEND.
    Active {
        /// Where the participant listens.
        to: SocketAddr,
    },
}
