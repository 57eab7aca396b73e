//! Events of single messages: `msrpstat/imi`, `mf/fm` and `mf/fre` (H.248.69).
//!
//! Shards tell of messages only where one of these is armed by its name: a wildcard that happens to
//! cover them would flood a controller that never meant it.
//!
//! Names and values of the parameters are ours: H.248.69 was not at hand, TS 29.333 uses none of them.

use clock::Instant;
use h248::ast::{Events, Parm, Value};
use switch::{MessageNews, MessageOutcome, SessionKey};

use super::core::Core;
use super::fault::percent_escaped;
use super::notify::parm;
use super::package::{FILTER_FAULT, FILTERED, MESSAGE, item, plain};

/// Longest Message-ID told, octets (RFC 4975 section 9: 32 characters at most).
const MESSAGE_ID_MAX: usize = 96;

/// Why a message could not be judged, as the MSRP status that its sender got.
const UNJUDGED: u16 = 413;

/// What shards must tell of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub messages: bool,
    pub filtered: bool,
}

impl Wanted {
    /// By an Events descriptor.
    pub(super) fn of(events: &Events, stream: u16) -> Self {
        let is_armed = |name| {
            let mut specs = events.events.iter();
            specs.any(|s| s.name == item(name) && s.stream.is_none_or(|s| s == 0 || s == stream))
        };
        Self {
            messages: is_armed(MESSAGE),
            filtered: is_armed(FILTERED) || is_armed(FILTER_FAULT),
        }
    }
}

/// `EXT`: from outside, `INT`: from the context (as in `recmess/rm`).
fn direction(is_incoming: bool) -> Parm {
    parm("dir", plain(if is_incoming { "EXT" } else { "INT" }))
}

impl Core {
    /// What became of a message.
    pub(super) fn told_news(&mut self, now: Instant, news: &MessageNews) {
        let id = percent_escaped(&String::from_utf8_lossy(&news.message_id));
        let id = Value {
            text: id.get(..MESSAGE_ID_MAX).unwrap_or(&id).into(),
            quoted: true,
        };
        let more = |name, value: &str| parm(name, plain(value));
        let (event, more) = match news.outcome {
            MessageOutcome::Passed { octets } => (MESSAGE, more("vol", &octets.to_string())),
            MessageOutcome::Discarded => (FILTERED, more("act", "discard")),
            MessageOutcome::Rejected => (FILTERED, more("act", "reject")),
            MessageOutcome::Unjudged => (FILTER_FAULT, more("er", &UNJUDGED.to_string())),
        };
        let parms = [direction(news.is_incoming), parm("mi", id), more];
        self.observe(now, news.session, event, &parms);
        self.flush(news.session.termination);
    }

    /// A filter that is given by reference could not be had.
    pub(super) fn tell_filter_fault(
        &mut self,
        now: Instant,
        session: SessionKey,
        is_incoming: bool,
        code: u16,
    ) {
        let parms = [direction(is_incoming), parm("er", plain(code.to_string()))];
        self.observe(now, session, FILTER_FAULT, &parms);
        self.flush(session.termination);
    }
}
