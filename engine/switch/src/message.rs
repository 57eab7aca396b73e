//! Messages on their way through the switch, from their first chunk until every recipient's
//! answer is in, and the reports that go back (TS 24.247 9.3.3, profile `3gpp`).
//!
//! ```text
//! Open ── last octet in ──► Complete ── every delivery concluded ──► freed
//!   └──── abort, loss ────► Aborted  ──────────────────────────────► freed
//! ```

use clock::Instant;
use msrp::{FailureReport, Outcome, Reassembly, StatusCode};

use crate::ident::GENERATION_MASK;
use crate::session::SessionRef;

/// One message of one session.
#[derive(Debug)]
pub(crate) struct Message {
    pub generation: u32,
    pub sender: SessionRef,
    /// Message-ID.
    pub id: Vec<u8>,
    /// From-Path of its first chunk: where reports go.
    pub from_path: Vec<u8>,
    pub success_wanted: bool,
    pub failure_report: FailureReport,
    pub phase: Phase,
    /// Octets received, when it came in more than one chunk.
    pub ranges: Option<Box<Reassembly>>,
    /// Length: one past the highest octet while open, exact when complete.
    pub octets: u64,
    /// In the order in which the sessions stood in the context when it began.
    pub deliveries: Vec<Delivery>,
    /// When a chunk last arrived or left.
    pub touched_at: Instant,
    /// A failure REPORT was sent: nothing more is said about it.
    pub is_reported: bool,
}

/// How far a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// More chunks are due.
    Open,
    /// Every octet was received and forwarded.
    Complete,
    /// The sender gave it up, or we refused it.
    Aborted,
}

/// One recipient's share.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub session: SessionRef,
    /// Chunks sent, modulo 2^14.
    pub chunk: u16,
    /// Chunks sent that have no response yet.
    pub unanswered: u32,
    /// Octets that success REPORTs of this recipient covered.
    pub reported: Option<Box<Reassembly>>,
    pub state: DeliveryState,
}

/// Whether a recipient still counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeliveryState {
    /// Gets chunks, owes answers.
    Going,
    /// Has answered for the whole message.
    Done,
    /// Could not be served.
    Failed,
    /// Left the conference: no longer an available user.
    Left,
}

impl Delivery {
    /// Whether success REPORTs cover the first `octets` of the message.
    pub(crate) fn is_reported(&self, octets: u64) -> bool {
        self.reported
            .as_ref()
            .is_some_and(|r| r.contiguous_octets() >= octets)
    }
}

impl Message {
    pub(crate) fn new(generation: u32, sender: SessionRef, now: Instant) -> Self {
        Self {
            generation,
            sender,
            id: Vec::new(),
            from_path: Vec::new(),
            success_wanted: false,
            failure_report: FailureReport::Yes,
            phase: Phase::Open,
            ranges: None,
            octets: 0,
            deliveries: Vec::new(),
            touched_at: now,
            is_reported: false,
        }
    }

    /// The part of the generation that transaction ids carry.
    pub(crate) fn serial_generation(&self) -> u16 {
        u16::try_from(self.generation & GENERATION_MASK).expect("masked to 12 bits")
    }

    /// Takes note of octets received. Only messages in several chunks keep ranges.
    pub(crate) fn add_range(&mut self, offset: u64, octets: u64) -> Result<(), StatusCode> {
        self.octets = self.octets.max(offset + octets);
        if octets == 0 {
            return Ok(());
        }
        let ranges = self.ranges.get_or_insert_with(Box::default);
        match ranges.add(offset, octets) {
            Outcome::Added { .. } | Outcome::Duplicate => Ok(()),
            Outcome::BeyondTotal | Outcome::TooManyRanges => Err(StatusCode::STOP_SENDING),
        }
    }

    /// Whether nothing more can be learned about `delivery`.
    fn is_concluded(&self, delivery: &Delivery) -> bool {
        match delivery.state {
            DeliveryState::Done | DeliveryState::Failed | DeliveryState::Left => true,
            DeliveryState::Going => match (self.failure_report, self.success_wanted) {
                // Success was asked for and no 200s are sent: the recipient's REPORT decides.
                (FailureReport::Partial | FailureReport::No, true) => false,
                // An error response may still come: the sweep ends the wait.
                (FailureReport::Partial, false) => false,
                (FailureReport::No, false) => true,
                (FailureReport::Yes, _) => delivery.unanswered == 0,
            },
        }
    }

    /// Whether every recipient has had its say.
    pub(crate) fn is_concluded_by_all(&self) -> bool {
        self.phase != Phase::Open && self.deliveries.iter().all(|d| self.is_concluded(d))
    }

    /// Whether all available users have the complete message (TS 24.247 9.3.3.1).
    pub(crate) fn is_success(&self) -> bool {
        self.phase == Phase::Complete
            && self.deliveries.iter().all(|d| match d.state {
                DeliveryState::Done | DeliveryState::Left => true,
                DeliveryState::Going => self.failure_report == FailureReport::Yes,
                DeliveryState::Failed => false,
            })
    }

    /// Whether a failure REPORT may go to the sender (RFC 4975 7.1.4).
    pub(crate) fn reports_failure(&self) -> bool {
        !self.is_reported && self.failure_report != FailureReport::No
    }

    /// Ready for another message, allocations kept.
    pub(crate) fn recycle(&mut self, generation: u32, sender: SessionRef, now: Instant) {
        let mut fresh = Self::new(generation, sender, now);
        for (kept, spare) in [
            (&mut fresh.id, &mut self.id),
            (&mut fresh.from_path, &mut self.from_path),
        ] {
            spare.clear();
            core::mem::swap(kept, spare);
        }
        self.deliveries.clear();
        core::mem::swap(&mut fresh.deliveries, &mut self.deliveries);
        *self = fresh;
    }
}
