//! What happens when the first octets of a message arrive: filters judge it, and who records it is
//! noted.
//!
//! ```text
//! no filter concerned ──────────────────────────────► begun
//! filter, Message/CPIM head not all here ──► held ──► begun, or refused (413) past the bound
//! sender's filter:     keep │ discard: nobody gets it, 200 │ reject: 403
//! recipient's filter:  keep │ discard: it does not get it  │ reject: the same, REPORT 403
//! ```
//!
//! A filter must not be evaded: a message whose length is not told counts as endless until its end
//! is here, one that does not begin at its beginning or whose head does not come in one chunk is
//! refused.

use std::sync::Arc;

use memchr::memmem;
use msrp::{Flag, StatusCode};
use sieve::{Script, Verdict};

use crate::api::Octets;
use crate::connection::{Chunk, Frame};
use crate::forward::Piece;
use crate::limits::BEGINNING_BYTES_MAX;
use crate::message::DeliveryState;
use crate::session::SessionRef;
use crate::shard::Shard;

/// Whether a message may go on now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// What is here, with what was held before (in [`Frame::beginning`]), goes on.
    Now,
    /// More is needed first; what is here is kept.
    Held,
}

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

fn is_cpim(fields: &[u8]) -> bool {
    let value = field(fields, "Content-Type");
    let bare = value.split(|c| *c == b';').next().unwrap_or_default();
    bare.trim_ascii().eq_ignore_ascii_case(b"message/cpim")
}

/// Both heads of a Message/CPIM body, if they are all here.
fn cpim_heads(body: &[u8]) -> Option<&[u8]> {
    let first = memmem::find(body, b"\r\n\r\n")? + 4;
    // No content fields at all: the blank line comes at once.
    if body[first..].starts_with(b"\r\n") {
        return Some(&body[..first]);
    }
    let second = memmem::find(&body[first..], b"\r\n\r\n")? + 4;
    Some(&body[..first + second])
}

impl<B: Octets> Shard<B> {
    /// Lets the chunk in `frame` begin its message.
    pub(crate) fn begin_message(
        &mut self,
        sender: SessionRef,
        frame: &mut Frame,
        piece: &Piece<'_, B>,
        flag: Option<Flag>,
    ) -> Result<Begin, StatusCode> {
        let Some(chunk) = &frame.chunk else {
            return Ok(Begin::Now);
        };
        let slot = chunk.slot;
        if self.has_filter(sender, slot) {
            if chunk.offset != 0 {
                tracing::info!("refused: a filtered message must begin at its beginning");
                return Err(StatusCode::STOP_SENDING);
            }
            if self.reads_wrapped(sender, slot, &frame.fields) {
                let is_held = !frame.beginning.is_empty();
                if is_held {
                    frame.beginning.extend_from_slice(piece.octets());
                }
                let octets = if is_held {
                    &frame.beginning
                } else {
                    piece.octets()
                };
                if cpim_heads(octets).is_none() && flag != Some(Flag::Complete) {
                    if flag.is_some() || octets.len() > BEGINNING_BYTES_MAX {
                        tracing::info!("refused: the head of a filtered message must come at once");
                        return Err(StatusCode::STOP_SENDING);
                    }
                    if !is_held {
                        frame.beginning.extend_from_slice(piece.octets());
                    }
                    return Ok(Begin::Held);
                }
            }
            let held = core::mem::take(&mut frame.beginning);
            let octets = if held.is_empty() {
                piece.octets()
            } else {
                &held
            };
            let judged = self.judge_message(sender, frame, octets, flag);
            frame.beginning = held;
            judged?;
        }
        self.messages[slot as usize].is_begun = true;
        self.note_recorders(sender, slot, frame);
        Ok(Begin::Now)
    }

    fn filter_out(&self, session: SessionRef) -> Option<&Arc<Script>> {
        let session = self.session_at(session)?;
        let config = &self.sessions[session.index as usize].config;
        config.filter_out.as_ref()
    }

    fn filter_in(&self, session: SessionRef) -> Option<&Arc<Script>> {
        let session = self.session_at(session)?;
        let config = &self.sessions[session.index as usize].config;
        config.filter_in.as_ref()
    }

    /// The filters that a message meets.
    fn filters(&self, sender: SessionRef, slot: u32) -> impl Iterator<Item = &Arc<Script>> {
        let deliveries = self.messages[slot as usize].deliveries.iter();
        let out = deliveries.filter_map(|d| self.filter_out(d.session));
        self.filter_in(sender).into_iter().chain(out)
    }

    fn has_filter(&self, sender: SessionRef, slot: u32) -> bool {
        self.filters(sender, slot).next().is_some()
    }

    /// Whether what is wrapped in the body must be seen.
    fn reads_wrapped(&self, sender: SessionRef, slot: u32, fields: &[u8]) -> bool {
        is_cpim(fields) && self.filters(sender, slot).any(|f| f.reads_fields())
    }

    fn judge_message(
        &mut self,
        sender: SessionRef,
        frame: &Frame,
        octets: &[u8],
        flag: Option<Flag>,
    ) -> Result<(), StatusCode> {
        let Some(chunk) = &frame.chunk else {
            return Ok(());
        };
        let slot = chunk.slot;
        let wrapped = if is_cpim(&frame.fields) {
            cpim_heads(octets).unwrap_or(octets)
        } else {
            &[]
        };
        let seen = Seen {
            fields: &frame.fields,
            wrapped,
            size: size_of(chunk, octets, flag),
        };
        if let Some(filter) = self.filter_in(sender).cloned() {
            match filter.judge(&seen) {
                Verdict::Keep => {}
                Verdict::Discard => {
                    tracing::debug!("message discarded by the incoming filter");
                    self.discard_message(slot);
                    return Ok(());
                }
                Verdict::Reject(reason) => {
                    tracing::info!(reason, "message rejected by the incoming filter");
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
            match filter.judge(&seen) {
                Verdict::Keep => {}
                Verdict::Discard => message.settle(ordinal, DeliveryState::Left),
                Verdict::Reject(reason) => {
                    tracing::info!(reason, "message rejected by an outgoing filter");
                    message.settle(ordinal, DeliveryState::Failed);
                    self.report(slot, StatusCode::FORBIDDEN);
                }
            }
        }
        Ok(())
    }

    /// Nobody gets it and nobody is told.
    fn discard_message(&mut self, slot: u32) {
        let message = &mut self.messages[slot as usize];
        message.deliveries.clear();
        message.is_reported = true;
    }
}

/// The length of a message that begins with `octets`; endless while nobody knows.
fn size_of(chunk: &Chunk, octets: &[u8], flag: Option<Flag>) -> u64 {
    let here = octets.len() as u64;
    match flag {
        Some(Flag::Complete) => here,
        Some(Flag::More | Flag::Abort) | None => chunk.total.unwrap_or(u64::MAX).max(here),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heads_of_a_wrapped_message_end_at_the_second_blank_line() {
        for (body, heads) in [
            ("From: a\r\n\r\nContent-Type: b\r\n\r\nx\r\n\r\n", Some(30)),
            ("From: a\r\n\r\n\r\nx", Some(11)),
            ("From: a\r\n\r\nContent-Type: b\r\n\r", None),
            ("From: a\r\n\r\n", None),
            ("From: a", None),
            ("", None),
        ] {
            assert_eq!(
                cpim_heads(body.as_bytes()).map(<[u8]>::len),
                heads,
                "{body:?}"
            );
        }
    }
}
