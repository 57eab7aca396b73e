//! An MRFP is back with its contexts kept: whatever it has and no leg knows is subtracted, and whoever has
//! nothing there any more is told.

use super::{
    Controller, Event, Focus, Hangup, MId, ParticipantId, Sip, Task, TerminationId, Timer,
    TransactionId, add, info, warn,
};
use crate::audit::{Audit, Piece, Verdict};
use crate::commands::{audit, listed, mid_text, subtract_of, termination_text};
use crate::limits::{AUDIT_AGAIN_SECONDS, AUDITS_MAX};
use clock::Duration;
use conference::SeatState;
use h248::ast::TransactionReply;
use h248_endpoint::first_error;

/// The reply would not fit into a message.
const TOO_LARGE: u16 = 533;
/// Nothing is there: no such context, no such termination, no match of the wildcard.
const NOTHING: [u16; 3] = [411, 430, 431];
/// Terminations subtracted by one transaction.
const SUBTRACTED_AT_ONCE: usize = 32;

/// An audit under way.
pub(super) struct UnderAudit {
    serial: u64,
    audit: Audit,
    /// How often it was tried before.
    tries: u32,
}

impl<S: Sip, H: Controller> Focus<S, H> {
    /// Begins to compare; `tries` were in vain before.
    pub(super) fn start_audit(&mut self, mid: &MId, tries: u32) {
        let known = self.legs.values().filter_map(|leg| {
            let placed = leg.placed.as_ref().filter(|p| p.mrfp == *mid)?;
            (!leg.is_media_over).then(|| placed.added.termination.clone())
        });
        let audit = Audit::new(known.collect::<Vec<_>>());
        info!(mrfp = %mid_text(mid), "audit");
        self.next_audit += 1;
        let under_audit = UnderAudit {
            serial: self.next_audit,
            audit,
            tries,
        };
        self.audits.insert(mid.clone(), under_audit);
        self.ask_pieces(mid);
    }

    fn ask_pieces(&mut self, mid: &MId) {
        while let Some(under) = self.audits.get_mut(mid)
            && let Some(piece) = under.audit.next_piece()
        {
            let (serial, action) = (under.serial, audit(piece.termination()));
            if self.send(mid, action, Task::Audit(serial, piece)).is_none() {
                self.audits.remove(mid);
            }
        }
    }

    /// The MRFP under an audit that is not over.
    fn under_audit(&self, serial: u64) -> Option<MId> {
        let mut audits = self.audits.iter();
        let found = audits.find(|(_, under)| under.serial == serial);
        found.map(|(mid, _)| mid.clone())
    }

    /// A piece was answered.
    pub(super) fn handle_audited(&mut self, serial: u64, piece: &Piece, reply: &TransactionReply) {
        let Some(mid) = &self.under_audit(serial) else {
            return;
        };
        let Some(UnderAudit { audit, .. }) = self.audits.get_mut(mid) else {
            return;
        };
        let error = first_error(&reply.body);
        match error {
            None => {
                let (legs, by_termination) = (&self.legs, &self.by_termination);
                audit.show(listed(reply), |termination| {
                    let leg = by_termination.get(&(mid.clone(), termination.clone()));
                    let leg = leg.and_then(|id| legs.get(id));
                    leg.is_some_and(|leg| !leg.is_media_over)
                });
            }
            Some(error) if NOTHING.contains(&error.code) => audit.show([], |_| false),
            Some(error) if error.code == TOO_LARGE => {
                if audit.cut(piece).is_err() {
                    warn!(mrfp = %mid_text(mid), "more terminations than can be audited");
                    self.audits.remove(mid);
                    return;
                }
                self.ask_pieces(mid);
            }
            Some(_) => return self.fail_audit(serial),
        }
        let is_add = |task: &Task| matches!(task, Task::Add { mrfp, .. } if mrfp == mid);
        if let Some(UnderAudit { audit, .. }) = self.audits.get_mut(mid)
            && audit.is_shown()
        {
            let under_way = self.tasks.iter().filter(|(_, (task, _))| is_add(task));
            audit.wait_for(under_way.map(|(id, _)| *id));
        }
        self.conclude_audit(mid);
    }

    /// An MRFP does not let itself be audited, or not now.
    pub(super) fn fail_audit(&mut self, serial: u64) {
        let Some(mid) = self.under_audit(serial) else {
            return;
        };
        let under = self.audits.remove(&mid);
        let tries = under.map_or(1, |under| under.tries + 1);
        if tries >= AUDITS_MAX {
            return warn!(mrfp = %mid_text(&mid), "cannot be audited: terminations may be left there");
        }
        let at = self.now() + Duration::from_secs(AUDIT_AGAIN_SECONDS);
        self.timers.arm(at, Timer::AuditAgain(mid, tries));
    }

    pub(super) fn audit_again(&mut self, mid: &MId, tries: u32) {
        // Back once more since then, it was audited anew.
        if self.mrfps.iter().any(|m| m.mid == *mid) && !self.audits.contains_key(mid) {
            self.start_audit(mid, tries);
        }
    }

    /// A request to an MRFP is over; an audit may have waited for that.
    pub(super) fn end_awaited(&mut self, id: TransactionId) {
        if self.audits.is_empty() {
            return;
        }
        let audits = self.audits.iter_mut();
        let over = audits.filter_map(|(mid, under)| {
            under.audit.end_request(id);
            under.audit.is_over().then(|| mid.clone())
        });
        for mid in over.collect::<Vec<_>>() {
            self.conclude_audit(&mid);
        }
    }

    /// Something is done about a termination.
    pub(super) fn touch(&mut self, mid: &MId, termination: &TerminationId) {
        if let Some(UnderAudit { audit, .. }) = self.audits.get_mut(mid) {
            audit.touch(termination);
        }
    }

    fn conclude_audit(&mut self, mid: &MId) {
        let is_over = |under: &UnderAudit| under.audit.is_over();
        if !self.audits.get(mid).is_some_and(is_over) {
            return;
        }
        let Some(UnderAudit { audit, .. }) = self.audits.remove(mid) else {
            return;
        };
        let Verdict { strangers, missing } = audit.verdict();
        let count: usize = strangers.values().map(Vec::len).sum();
        info!(mrfp = %mid_text(mid), strangers = count, missing = missing.len(), "audited");
        add(&self.counters.strangers, count as u64);
        add(&self.counters.subtracts, count as u64);
        for (context, terminations) in strangers {
            for some in terminations.chunks(SUBTRACTED_AT_ONCE) {
                self.send(mid, subtract_of(context, some), Task::Unwatched);
            }
        }
        for termination in missing {
            let id = self.by_termination.get(&(mid.clone(), termination.clone()));
            if let Some(id) = id.copied().filter(|id| self.is_there(*id)) {
                let termination = termination_text(&termination);
                warn!(leg = id.0, %termination, mrfp = %mid_text(mid), "the MRFP does not have it any more");
                add(&self.counters.missing, 1);
                self.tell(id, Event::Expelled(id, Hangup::MediaFailed));
            }
        }
    }

    /// Whether a leg believes in its termination and nothing ends it.
    fn is_there(&self, id: ParticipantId) -> bool {
        let seat = self.legs.get(&id).and_then(|leg| {
            let room = self.rooms.get(&leg.conference)?;
            room.conference.participant(id)
        });
        seat.is_some_and(|seat| match seat.state {
            SeatState::Answered
            | SeatState::Dialing
            | SeatState::Configuring
            | SeatState::Connected => true,
            SeatState::Waiting | SeatState::Adding { .. } | SeatState::Leaving { .. } => false,
        })
    }
}
