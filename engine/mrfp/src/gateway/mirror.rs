//! The gateway's own picture of contexts and terminations: what is there, not how it works.

use core::net::SocketAddr;
use core::ops::Deref;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use clock::TimerKey;
use h248::ast::{
    Events, LocalControl, Name, ObservedEvent, PackageItem, PropertyParm, ServiceState, StreamMode,
    TerminationId,
};
use switch::{ContextKey, Fingerprint, SessionKey, ShardIndex, Text};

use super::mf::Filters;
use super::quality::Quality;
use super::quota::{Quota, Watch};
use super::signals::{Lasting, Runs};
use super::span::Shards;
use super::streams::Streams;
use super::topology::Topology;
use crate::Transport;

/// Names of terminations are this, a slash, and a number.
const PREFIX: &str = "msrp";

/// One context.
#[derive(Debug)]
pub(super) struct Context {
    /// Where it is at home: new sessions go there as long as they are few.
    pub shard: ShardIndex,
    /// Where sessions of it are, or were.
    pub span: Shards,
    pub terminations: BTreeSet<u32>,
    /// Streams of one id are interconnected, those of different ids are not (H.248.1 section
    /// 6.2): each id is a context of its own to the switch. Stream 1 is not listed, its key is the
    /// context's number.
    pub groups: BTreeMap<u16, ContextKey>,
    pub topology: Topology,
    pub attributes: Attributes,
}

/// What a controller says of a context (H.248.1 section 6.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    /// 0 to 15.
    pub priority: u8,
    pub is_emergency: bool,
    pub is_ieps: bool,
}

/// One termination: what the controller set, and what goes on.
#[derive(Debug)]
pub(super) struct Termination {
    pub number: u32,
    pub context: u32,
    pub shard: ShardIndex,
    pub settings: Settings,
    pub notify: NotifyState,
    /// `hangterm/thb`: runs out when no message concerned the termination for `timerx`.
    pub heartbeat: Option<TimerKey>,
    pub watch: Watch,
    /// Signals that were started.
    pub runs: Runs,
}

/// Notifications wait for each other: one outstanding per termination.
#[derive(Debug, Default)]
pub(super) struct NotifyState {
    pub is_outstanding: bool,
    /// Each with the RequestID of the Events descriptor that asked for it.
    pub queue: Vec<(u32, ObservedEvent)>,
}

/// All that Add, Modify and Move set. A copy is changed and put in place when all went well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub streams: Streams,
    pub events: Events,
    /// What `msrpstat/mquota` in `events` grants, and how much of it is used.
    pub quotas: Vec<Quota>,
    /// What `nt/qualert` in `events` asks for.
    pub qualities: Vec<Quality>,
    pub service_state: ServiceState,
    /// Signals that go on, in their order.
    pub signals: Vec<Lasting>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            streams: Streams::default(),
            events: Events::default(),
            quotas: Vec::new(),
            qualities: Vec::new(),
            service_state: ServiceState::InService,
            signals: Vec::new(),
        }
    }
}

/// One stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stream {
    pub mode: Mode,
    /// Package properties of LocalControl.
    pub properties: Vec<PropertyParm>,
    pub local: Option<Local>,
    pub remote: Option<Remote>,
    /// What few streams have.
    extras: Option<Box<Extras>>,
    /// EstBNC was signalled and not taken back: we open the connection.
    pub is_established: bool,
}

/// What few streams have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Extras {
    /// Compiled from the properties of the stream.
    pub filters: Filters,
    /// Recordings of what comes from the participant and of what goes to it.
    pub records: [Option<u64>; 2],
    /// The stream has statistics of its own (version 3): these, or all if none is named.
    pub statistics: Option<Vec<PackageItem>>,
}

/// Mode, with its default (H.248.1 section 7.1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mode(pub StreamMode);

impl Default for Mode {
    fn default() -> Self {
        Self(StreamMode::Inactive)
    }
}

/// What we offer the participant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Local {
    /// The session description as returned to the controller.
    pub text: Text,
    pub is_ip6: bool,
    /// What the participant speaks to us, unless we connect to it.
    pub transport: Transport,
    /// Part of `text`.
    pub path: Text,
    pub obeyed: Honoured,
}

/// What the participant offers us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remote {
    /// The session description as received (the chosen one, of several).
    pub text: Text,
    /// Part of `text`, if it stands there in one piece.
    pub path: Text,
    /// Where to connect to, if anything numeric was said.
    pub to: Option<SocketAddr>,
    pub obeyed: Honoured,
}

/// Obeyed SDP attributes, on the heap if there are any: nothing unless `honour_sdp`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Honoured(Option<Arc<Obeyed>>);

impl From<Obeyed> for Honoured {
    fn from(obeyed: Obeyed) -> Self {
        Self((obeyed != Obeyed::NOTHING).then(|| Arc::new(obeyed)))
    }
}

impl Deref for Honoured {
    type Target = Obeyed;

    fn deref(&self) -> &Obeyed {
        static NOTHING: Obeyed = Obeyed::NOTHING;
        self.0.as_deref().unwrap_or(&NOTHING)
    }
}

/// SDP attributes that an MRFP ignores by TS 29.333 and may be told to obey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Obeyed {
    pub setup: Option<sdp::Setup>,
    pub max_size: Option<u64>,
    pub accept_types: Vec<String>,
    pub accept_wrapped_types: Vec<String>,
    /// `a=fingerprint`, as far as its hash functions are known.
    pub fingerprints: Vec<Fingerprint>,
    /// The tokens of `a=chatroom` (RFC 7701 section 8).
    pub chatroom: Option<Vec<String>>,
}

impl Settings {
    /// Whether the counters must be looked at from time to time.
    pub(super) fn needs_looks(&self) -> bool {
        !self.qualities.is_empty() || self.quotas.iter().any(Quota::is_open)
    }
}

impl Local {
    /// The session-id, a part of `path`.
    pub(super) fn session_id(&self) -> Text {
        let id = msrp::session_id_of(&self.path).expect("a path of ours has one");
        self.path.find(id).expect("it stands there")
    }
}

impl Obeyed {
    pub(super) const NOTHING: Self = Self {
        setup: None,
        max_size: None,
        accept_types: Vec::new(),
        accept_wrapped_types: Vec::new(),
        fingerprints: Vec::new(),
        chatroom: None,
    };
}

impl Stream {
    pub(super) fn extras(&self) -> &Extras {
        static NONE: Extras = Extras {
            filters: Filters {
                incoming: None,
                outgoing: None,
            },
            records: [None; 2],
            statistics: None,
        };
        self.extras.as_deref().unwrap_or(&NONE)
    }

    /// Those that the stream has, for changes that take nothing away.
    pub(super) fn extras_mut(&mut self) -> Option<&mut Extras> {
        self.extras.as_deref_mut()
    }

    pub(super) fn change_extras(&mut self, change: impl FnOnce(&mut Extras)) {
        let mut extras = self.extras.take().unwrap_or_default();
        change(&mut extras);
        self.extras = Some(extras).filter(|e| **e != Extras::default());
    }

    /// Whether the stream has neither side: it is no more (H.248.1 section 7.1.6).
    pub(super) fn is_empty(&self) -> bool {
        self.local.is_none() && self.remote.is_none()
    }

    /// Whether the session is one over TLS.
    pub(super) fn is_secure(&self) -> bool {
        let local = self.local.as_ref();
        local.is_some_and(|l| l.transport.is_secure())
    }

    /// LocalControl as it is now.
    pub(super) fn control(&self) -> LocalControl {
        LocalControl {
            mode: Some(self.mode.0),
            reserved_value: Some(false),
            reserved_group: Some(false),
            properties: self.properties.clone(),
        }
    }
}

impl Context {
    pub(super) fn new(shard: ShardIndex) -> Self {
        Self {
            shard,
            span: Shards::default(),
            terminations: BTreeSet::new(),
            groups: BTreeMap::new(),
            topology: Topology::default(),
            attributes: Attributes::default(),
        }
    }
}

impl Termination {
    pub(super) fn id(&self) -> TerminationId {
        id_of(self.number)
    }

    /// The sessions it has on its shard.
    pub(super) fn sessions(&self) -> impl Iterator<Item = SessionKey> {
        let streams = self.settings.streams.iter();
        let with_session = streams.filter(|(_, stream)| stream.local.is_some());
        with_session.map(|(id, _)| self.session(id))
    }

    pub(super) fn session(&self, stream: u16) -> SessionKey {
        SessionKey {
            termination: self.number,
            stream,
        }
    }
}

/// `msrp/<number>`.
pub(super) fn id_of(number: u32) -> TerminationId {
    TerminationId::Name(name_of(number))
}

/// The name in it.
pub(super) fn name_of(number: u32) -> Name {
    Name::new(&format!("{PREFIX}/{number}"))
}

/// The number in `msrp/<number>`, as this gateway writes it.
pub(super) fn number_of(name: &Name) -> Option<u32> {
    let (prefix, digits) = name.as_str().split_once('/')?;
    let is_canonical = digits.bytes().all(|c| c.is_ascii_digit()) && !digits.starts_with('0');
    if !prefix.eq_ignore_ascii_case(PREFIX) || !is_canonical {
        return None;
    }
    digits.parse().ok()
}

/// Whether a name with `*` or `$` in it stands for `msrp/<number>`.
pub(super) fn matches(pattern: &Name, number: u32) -> bool {
    let text = format!("{PREFIX}/{number}");
    glob(
        pattern.as_str().to_ascii_lowercase().as_bytes(),
        text.as_bytes(),
    )
}

/// Whether a name with `$` in it lets the gateway choose one of its names.
pub(super) fn is_choice(name: &Name) -> bool {
    name.as_str()
        .split_once('/')
        .is_some_and(|(prefix, rest)| prefix.eq_ignore_ascii_case(PREFIX) && rest == "$")
}

/// `*` matches any run of characters. Linear: the last star alone is retried.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, t));
                p += 1;
            }
            Some(c) if *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((after, from)) = retry else {
                    return false;
                };
                retry = Some((after, from + 1));
                (p, t) = (after, from + 1);
            }
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_switch_calls_a_termination_in_its_log_lines_what_we_call_it() {
        let session = SessionKey {
            termination: 42,
            stream: 1,
        };
        let name = name_of(session.termination);
        assert_eq!(session.to_string(), format!("{} stream 1", name.as_str()));
    }

    #[test]
    fn names_are_read_without_case_and_only_as_written_by_us() {
        for (name, number) in [
            ("msrp/1", Some(1)),
            ("MSRP/42", Some(42)),
            ("msrp/042", None),
            ("msrp/", None),
            ("msrp/4294967296", None),
            ("rtp/1", None),
            ("msrp", None),
        ] {
            assert_eq!(number_of(&Name::new(name)), number, "{name}");
        }
    }

    #[test]
    fn stars_match_any_run() {
        for (pattern, number, expected) in [
            ("*", 7, true),
            ("msrp/*", 7, true),
            ("MSRP/*", 7, true),
            ("msrp/1*", 123, true),
            ("msrp/*3", 123, true),
            ("*/1*3", 123, true),
            ("msrp/1*2", 123, false),
            ("rtp/*", 7, false),
            ("msrp/**", 7, true),
        ] {
            assert_eq!(matches(&Name::new(pattern), number), expected, "{pattern}");
        }
    }
}
