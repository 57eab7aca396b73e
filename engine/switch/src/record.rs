//! Messages that are recorded leave a copy as they pass: pieces in the order of arrival, then how
//! they ended. Whoever takes them must not block; that is not this crate's business.

use crate::api::{Event, Octets, Output, SessionKey};
use crate::filter::field;
use crate::message::DeliveryState;
use crate::session::SessionRef;
use crate::shard::Shard;

/// A part of a recorded message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Whose recording: [`crate::SessionConfig::record_in`] or `record_out`.
    pub record: u64,
    /// Names the message within this shard, for as long as it takes.
    pub message: u64,
    /// What of it.
    pub part: RecordedPart,
}

/// What is recorded of a message: `Begin`, pieces, `End`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordedPart {
    /// A message begins.
    Begin {
        /// Who sent it.
        sender: SessionKey,
        /// Its Message-ID.
        message_id: Box<[u8]>,
        /// Its Content-Type.
        content_type: Box<[u8]>,
    },
    /// Octets of its body; pieces may come in any order and repeat.
    Piece {
        /// Where they belong.
        offset: u64,
        /// They.
        octets: Vec<u8>,
    },
    /// Nothing more of it comes.
    End {
        /// Its length in octets, as far as it came.
        octets: u64,
        /// Whether all of it came.
        is_complete: bool,
    },
}

impl<B: Octets> Shard<B> {
    /// Notes who records a message that begins: its sender's recording, and that of every recipient
    /// that gets it.
    pub(crate) fn note_recorders(&mut self, sender: SessionRef, slot: u32) {
        let config = |session: SessionRef| {
            let session = self.session_at(session)?;
            Some(&self.sessions[session.index as usize].config)
        };
        let deliveries = self.messages[slot as usize].deliveries.iter();
        let going = deliveries.filter(|d| d.state == DeliveryState::Going);
        let out = going.filter_map(|d| config(d.session)?.record_out);
        let own = config(sender).and_then(|c| c.record_in);
        let records: Vec<u64> = own.into_iter().chain(out).collect();
        if records.is_empty() {
            return;
        }
        let message = &mut self.messages[slot as usize];
        message.records = records;
        let message_id: Box<[u8]> = message.id.as_slice().into();
        let content_type: Box<[u8]> = field(&message.fields, "Content-Type").into();
        self.record(slot, |sender| RecordedPart::Begin {
            sender,
            message_id: message_id.clone(),
            content_type: content_type.clone(),
        });
    }

    /// A copy of what passes goes to those who record.
    #[inline]
    pub(crate) fn record_piece(&mut self, slot: u32, offset: u64, parts: [&[u8]; 2]) {
        let is_recorded = !self.messages[slot as usize].records.is_empty();
        if is_recorded && parts.iter().any(|p| !p.is_empty()) {
            self.record(slot, |_| RecordedPart::Piece {
                offset,
                octets: parts.concat(),
            });
        }
    }

    /// A message has ended, one way or the other.
    #[inline]
    pub(crate) fn record_end(&mut self, slot: u32, is_complete: bool) {
        let message = &self.messages[slot as usize];
        if message.records.is_empty() {
            return;
        }
        let octets = message.octets;
        self.record(slot, |_| RecordedPart::End {
            octets,
            is_complete,
        });
    }

    fn record(&mut self, slot: u32, part: impl Fn(SessionKey) -> RecordedPart) {
        let message = &self.messages[slot as usize];
        let sender = self.session_at(message.sender);
        let sender = sender.map(|s| self.sessions[s.index as usize].key);
        let sender = sender.unwrap_or(SessionKey {
            termination: 0,
            stream: 0,
        });
        let name = (u64::from(message.generation) << 32) | u64::from(slot);
        for record in &message.records {
            let recorded = Recorded {
                record: *record,
                message: name,
                part: part(sender),
            };
            let event = Event::Recorded(Box::new(recorded));
            self.outputs.push_back(Output::Event(event));
        }
    }
}
