//! Filters judge a message when its first octets arrive.
//!
//! ```text
//! sender's filter:     keep │ discard: nobody gets it, 200 │ reject: 403
//! recipient's filter:  keep │ discard: it does not get it  │ reject: the same, REPORT 403
//! ```
//!
//! A filter must not be evaded: a message whose length is not told counts as endless until its end
//! is here, one that does not begin at its beginning or whose wrapper cannot be read is refused.

use std::sync::Arc;

use msrp::{Flag, StatusCode};
use sieve::{Script, Verdict};

use crate::api::Octets;
use crate::connection::Chunk;
use crate::message::DeliveryState;
use crate::news::MessageOutcome;
use crate::session::SessionRef;
use crate::shard::Shard;

/// A message as a script sees it: the fields of its MSRP head and, in Message/CPIM, those of the
/// wrapper and of the content (RFC 3862 2).
struct Seen<'a> {
    fields: &'a [u8],
    wrapped: &'a [u8],
    size: u64,
}

impl sieve::Message for Seen<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn any_value(&self, name: &str, is_match: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let mut lines = lines(self.fields).chain(lines(self.wrapped));
        lines.any(|line| {
            let Some(colon) = line.iter().position(|c| *c == b':') else {
                return false;
            };
            line[..colon].eq_ignore_ascii_case(name.as_bytes())
                && is_match(line[colon + 1..].trim_ascii())
        })
    }
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|c| *c == b'\n').map(<[u8]>::trim_ascii_end)
}

/// The value of a field among the lines of a head.
pub(crate) fn field<'a>(fields: &'a [u8], name: &str) -> &'a [u8] {
    let mut found = lines(fields).filter_map(|line| {
        let colon = line.iter().position(|c| *c == b':')?;
        let is_it = line[..colon].eq_ignore_ascii_case(name.as_bytes());
        is_it.then(|| line[colon + 1..].trim_ascii())
    });
    found.next().unwrap_or_default()
}

impl<B: Octets> Shard<B> {
    /// Lets the filters of a message judge it: `wrapped` holds the headers of a wrapper, or says
    /// that it has some that cannot be read; `here` is how much of its body has come.
    pub(crate) fn filter_message(
        &mut self,
        sender: SessionRef,
        chunk: &Chunk,
        wrapped: Result<&[u8], StatusCode>,
        here: u64,
        flag: Option<Flag>,
    ) -> Result<(), StatusCode> {
        let slot = chunk.slot;
        if self.filters(sender, slot).next().is_none() {
            return Ok(());
        }
        if chunk.offset != 0 {
            tracing::info!("refused: a filtered message must begin at its beginning");
            self.tell_unjudged(sender, slot, |_| true);
            return Err(StatusCode::STOP_SENDING);
        }
        let wrapped = match wrapped {
            Err(status) if self.filters(sender, slot).any(|f| f.reads_fields()) => {
                tracing::info!("refused: a filtered message must have headers that can be read");
                self.tell_unjudged(sender, slot, Script::reads_fields);
                return Err(status);
            }
            Err(_) => &[],
            Ok(wrapped) => wrapped,
        };
        let size = size_of(chunk, here, flag);
        let fields = core::mem::take(&mut self.messages[slot as usize].fields);
        let seen = Seen {
            fields: &fields,
            wrapped,
            size,
        };
        let judged = self.judge_message(sender, slot, &seen);
        self.messages[slot as usize].fields = fields;
        judged
    }

    /// Tells those whose filters of this kind could not judge a message.
    fn tell_unjudged(&mut self, sender: SessionRef, slot: u32, is_meant: fn(&Script) -> bool) {
        let is_meant = |filter: Option<&Arc<Script>>| filter.is_some_and(|f| is_meant(f));
        let deliveries = self.messages[slot as usize].deliveries.iter();
        let to = deliveries.map(|d| d.session);
        let to: Vec<SessionRef> = to.filter(|s| is_meant(self.filter_out(*s))).collect();
        if is_meant(self.filter_in(sender)) {
            self.tell_news(sender, slot, true, MessageOutcome::Unjudged);
        }
        for recipient in to {
            self.tell_news(recipient, slot, false, MessageOutcome::Unjudged);
        }
    }

    fn filter_out(&self, session: SessionRef) -> Option<&Arc<Script>> {
        let session = self.session_at(session)?;
        let config = &self.sessions[session.index as usize].config;
        config.terms.filter_out.as_ref()
    }

    fn filter_in(&self, session: SessionRef) -> Option<&Arc<Script>> {
        let session = self.session_at(session)?;
        let config = &self.sessions[session.index as usize].config;
        config.terms.filter_in.as_ref()
    }

    /// The filters that a message meets.
    fn filters(&self, sender: SessionRef, slot: u32) -> impl Iterator<Item = &Arc<Script>> {
        let deliveries = self.messages[slot as usize].deliveries.iter();
        let out = deliveries.filter_map(|d| self.filter_out(d.session));
        self.filter_in(sender).into_iter().chain(out)
    }

    fn judge_message(
        &mut self,
        sender: SessionRef,
        slot: u32,
        seen: &Seen<'_>,
    ) -> Result<(), StatusCode> {
        if let Some(filter) = self.filter_in(sender).cloned() {
            match filter.judge(seen) {
                Verdict::Keep => {}
                Verdict::Discard => {
                    tracing::debug!("message discarded by the incoming filter");
                    self.tell_news(sender, slot, true, MessageOutcome::Discarded);
                    self.discard_message(slot);
                    return Ok(());
                }
                Verdict::Reject(reason) => {
                    tracing::info!(reason, "message rejected by the incoming filter");
                    self.tell_news(sender, slot, true, MessageOutcome::Rejected);
                    return Err(StatusCode::FORBIDDEN);
                }
            }
        }
        for ordinal in 0..self.messages[slot as usize].deliveries.len() {
            let to = self.messages[slot as usize].deliveries[ordinal].session;
            let Some(filter) = self.filter_out(to).cloned() else {
                continue;
            };
            let message = &mut self.messages[slot as usize];
            let outcome = match filter.judge(seen) {
                Verdict::Keep => continue,
                Verdict::Discard => {
                    message.settle(ordinal, DeliveryState::Left);
                    MessageOutcome::Discarded
                }
                Verdict::Reject(reason) => {
                    tracing::info!(reason, "message rejected by an outgoing filter");
                    message.fail(ordinal, StatusCode::FORBIDDEN);
                    MessageOutcome::Rejected
                }
            };
            self.tell_news(to, slot, false, outcome);
        }
        Ok(())
    }

    /// Nobody gets it and nobody is told.
    fn discard_message(&mut self, slot: u32) {
        let message = &mut self.messages[slot as usize];
        message.deliveries.clear();
        message.far = None;
        message.is_reported = true;
    }
}

/// The length of a message that begins with `octets`; endless while nobody knows.
fn size_of(chunk: &Chunk, here: u64, flag: Option<Flag>) -> u64 {
    match flag {
        Some(Flag::Complete) => here,
        Some(Flag::More | Flag::Abort) | None => chunk.total.unwrap_or(u64::MAX).max(here),
    }
}
