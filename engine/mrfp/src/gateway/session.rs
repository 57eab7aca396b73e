//! What the switch must know of a stream: H.248 properties and session descriptions as a session's
//! configuration.
//!
//! The private package `xmrf` carries what no standard package has (docs/H248.md). Its `profile`,
//! `room`, `slow` and `reserved` are the conference's: all sessions of a context have the same.

use std::collections::VecDeque;
use std::sync::Arc;

use clock::Duration;
use h248::ast::{ServiceState, StreamMode};
use switch::{Matching, Profile, Security, SessionConfig, Setup, SlowPolicy, Terms};

use super::core::Core;
use super::fault::{Fault, percent_unescaped};
use super::limits::SHARED_TERMS_MAX;
use super::mf::Filter;
use super::mirror::{Local, Settings, Stream};
use super::news::Wanted;
use super::package::{number_of, value_of};

/// Properties that all sessions of a context have in common.
const SHARED: [&str; 4] = ["profile", "room", "slow", "reserved"];

/// The token of `a=chatroom` by which a participant declares private messages (RFC 7701 section 8).
const PRIVATE_MESSAGES: &str = "private-messages";

fn types(types: &[String]) -> Vec<Box<str>> {
    types.iter().map(|t| t.as_str().into()).collect()
}

impl Stream {
    /// Who opens the connection, and where to.
    pub(super) fn setup(&self) -> Setup {
        let of_local = self.local.as_ref().and_then(|l| l.obeyed.setup);
        let of_remote = self.remote.as_ref().and_then(|r| r.obeyed.setup);
        let is_active = self.is_established
            || match (of_local, of_remote) {
                (Some(sdp::Setup::Active), _) => true,
                (Some(sdp::Setup::Passive), _) => false,
                // RFC 6135 section 4.2: without a say of ours, the peer's passive makes us active.
                (_, said) => said == Some(sdp::Setup::Passive),
            };
        let to = self.remote.as_ref().and_then(|r| r.to);
        // Nobody is reached over WebSocket (RFC 7977 section 5.1).
        let is_websocket = self
            .local
            .as_ref()
            .is_some_and(|l| l.transport.is_websocket());
        to.filter(|_| is_active && !is_websocket)
            .map_or(Setup::Passive, |to| Setup::Active { to })
    }

    /// What the switch must know; `None` while there is no session.
    pub(super) fn config(
        &self,
        state: ServiceState,
        matching: Matching,
        wanted: Wanted,
    ) -> Option<SessionConfig> {
        let local = self.local.as_ref()?;
        let is_up = state != ServiceState::OutOfService;
        let (sends, receives) = match self.mode.0 {
            StreamMode::SendReceive => (true, true),
            StreamMode::SendOnly => (true, false),
            StreamMode::ReceiveOnly => (false, true),
            StreamMode::Inactive | StreamMode::Loopback => (false, false),
        };
        let mut config = SessionConfig::new(local.path.clone(), local.session_id());
        config.setup = self.setup();
        let is_blocked = |package| {
            let blocking = value_of(&self.properties, (package, "bceb"));
            blocking.is_some_and(|b| b.eq_ignore_ascii_case("Blocked"))
        };
        config.is_blocked = is_blocked("tcpbcc") || self.is_secure() && is_blocked("tlsbsc");
        if local.transport.is_secure() {
            let of_remote = self.remote.as_ref().map(|r| &r.obeyed.fingerprints);
            let fingerprints = of_remote.cloned().unwrap_or_default().into();
            config.security = Security::Tls { fingerprints };
        }
        config.sends = sends && is_up;
        config.receives = receives && is_up;
        config.remote_path = self.remote.as_ref().map(|remote| remote.path.clone());
        [config.record_in, config.record_out] = self.extras().records;
        config.user = self.private("user").map(|u| percent_unescaped(u).into());
        let mut terms = self.terms(local, matching);
        terms.tells_messages = wanted.messages;
        terms.tells_filtered = wanted.filtered;
        config.terms = Arc::new(terms);
        Some(config)
    }

    /// The part of it that names nobody.
    fn terms(&self, local: &Local, matching: Matching) -> Terms {
        let mut terms = Terms {
            matching,
            receive_bytes_max: local.obeyed.max_size,
            accept_types: types(&local.obeyed.accept_types),
            receive_wrapped_types: types(&local.obeyed.accept_wrapped_types),
            filter_in: self.extras().filters.incoming.as_ref().map(Filter::script),
            filter_out: self.extras().filters.outgoing.as_ref().map(Filter::script),
            ..Terms::default()
        };
        if let Some(remote) = &self.remote {
            terms.send_bytes_max = remote.obeyed.max_size;
            terms.send_types = types(&remote.obeyed.accept_types);
            terms.send_wrapped_types = types(&remote.obeyed.accept_wrapped_types);
            if let Some(tokens) = &remote.obeyed.chatroom {
                terms.takes_private_messages = tokens.iter().any(|t| t == PRIVATE_MESSAGES);
            }
        }
        self.apply_private(&mut terms);
        terms
    }

    /// A property of package `xmrf`.
    fn private(&self, name: &'static str) -> Option<&str> {
        value_of(&self.properties, ("xmrf", name))
    }

    /// What package `xmrf` says.
    fn apply_private(&self, terms: &mut Terms) {
        let is = |name, word: &str| {
            let said = self.private(name);
            said.is_some_and(|t| t.eq_ignore_ascii_case(word))
        };
        if is("profile", "chatroom") {
            terms.profile = Profile::Chatroom;
        }
        if is("slow", "drop") {
            terms.slow = SlowPolicy::Drop;
        }
        terms.room = self.private("room").map(|r| percent_unescaped(r).into());
        terms.nicknames = is("nicks", "on");
        terms.private_messages = is("private", "on");
        let reserved = self.private("reserved").unwrap_or_default().split(',');
        terms.reserved_nicknames = reserved
            .map(str::trim)
            .filter(|n| !n.is_empty())
            .map(|n| percent_unescaped(n).into())
            .collect();
        let idle = number_of(&self.properties, ("xmrf", "idle")).unwrap_or(0);
        terms.idle_after = (idle > 0).then(|| Duration::from_secs(idle));
    }
}

/// Terms that were given out lately: who gets the same ones shares them.
#[derive(Debug, Default)]
pub(super) struct SharedTerms(VecDeque<Arc<Terms>>);

impl SharedTerms {
    /// Replaces a session's terms by equal ones that another session has.
    pub(super) fn share(&mut self, config: &mut SessionConfig) {
        match self.0.iter().position(|known| *known == config.terms) {
            Some(at) => {
                config.terms = Arc::clone(&self.0[at]);
                // What is asked for often is found first, and stays.
                self.0.swap(0, at);
            }
            None => {
                self.0.truncate(SHARED_TERMS_MAX - 1);
                self.0.push_front(Arc::clone(&config.terms));
            }
        }
    }
}

impl Core {
    /// What is the conference's must not differ from what the other terminations of the context
    /// were told.
    pub(super) fn check_shared(
        &self,
        context: u32,
        number: u32,
        settings: &Settings,
    ) -> Result<(), Fault> {
        let Some(place) = self.contexts.get(&context) else {
            return Ok(());
        };
        for (id, stream) in settings.streams.iter().filter(|(_, s)| s.local.is_some()) {
            let mut others = place.terminations.iter().filter(|n| **n != number);
            let other = others.find_map(|n| {
                let streams = &self.terminations.get(n)?.settings.streams;
                streams.get(id).filter(|s| s.local.is_some())
            });
            let Some(other) = other else { continue };
            for name in SHARED {
                let of = |s: &Stream| {
                    value_of(&s.properties, ("xmrf", name)).map(str::to_ascii_lowercase)
                };
                if of(stream) != of(other) {
                    return Err(Fault::Conflict(format!("xmrf/{name} of the context")));
                }
            }
        }
        Ok(())
    }
}
