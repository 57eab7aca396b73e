//! Reliable provisional responses (RFC 3262), of both sides.
//!
//! ```text
//! UAS  1xx with Require: 100rel -> RSeq added, repeated until its PRACK, 64 times T1 at most: then 504
//!      2xx meanwhile -> at once; behind a 1xx with a session description only after its PRACK
//! UAC  1xx with RSeq -> the next one of its branch? PRACK, told; repeated or out of order? dropped
//! ```

use super::dialog::{Dialog, DialogState};
use super::{Agent, Answer, Destination, DialogId, Event, Timer, TxnId};
use crate::limits::{FORKS_MAX, T1, TIMEOUT};
use crate::message::{Headers, Method, Request, Response};
use clock::{Duration, Instant, TimerKey};
use rand::Rng;

/// The option tag.
const TAG: &str = "100rel";

/// The last reliable provisional response that we sent in a dialog.
pub(super) struct Reliable {
    rseq: u32,
    /// CSeq of its INVITE.
    cseq: u32,
    has_session: bool,
    /// While its PRACK is awaited.
    waiting: Option<Waiting>,
    /// Our 2xx, which must not overtake a session description.
    held: Option<(TxnId, Answer)>,
}

struct Waiting {
    txn: TxnId,
    bytes: Vec<u8>,
    to: Destination,
    interval: Duration,
    repeat: TimerKey,
    give_up: TimerKey,
}

/// The last reliable provisional response that one branch of our INVITE sent.
pub(super) struct Heard {
    tag: String,
    rseq: u32,
    has_session: bool,
}

fn is_reliable(answer: &Answer) -> bool {
    let is_it = |(name, value): &(String, String)| {
        name.eq_ignore_ascii_case("Require")
            && value
                .split(',')
                .any(|tag| tag.trim().eq_ignore_ascii_case(TAG))
    };
    (101..200).contains(&answer.code) && answer.headers.iter().any(is_it)
}

impl Dialog {
    /// Whether an offer of the peer has its turn while our INVITE is pending: once a reliable response
    /// of that peer has answered ours (RFC 3311 5.2).
    pub(super) fn is_answered_early(&self) -> bool {
        let is_it = |heard: &&Heard| Some(&heard.tag) == self.remote_tag.as_ref();
        self.heard.iter().find(is_it).is_some_and(|h| h.has_session)
    }
}

impl Agent {
    /// Sends a provisional response reliably if it asks for that, and holds a 2xx back that would
    /// overtake one; whether that was all there is to do.
    pub(super) fn respond_in_order(
        &mut self,
        now: Instant,
        id: DialogId,
        txn: TxnId,
        answer: &Answer,
    ) -> bool {
        let Some(dialog) = self.dialogs.get_mut(&id) else {
            return false;
        };
        if dialog.server_invite != Some(txn) {
            return false;
        }
        let unacknowledged = dialog.reliable.as_mut().filter(|r| r.waiting.is_some());
        match (answer.code, unacknowledged) {
            (200..300, Some(last)) if last.has_session => {
                last.held = Some((txn, answer.clone()));
                true
            }
            // One at a time (RFC 3262 3); whoever waits for it hears of nothing in between.
            (..200, Some(_)) if is_reliable(answer) => true,
            (..200, None) if is_reliable(answer) => {
                self.send_reliably(now, id, txn, answer);
                true
            }
            (200.., _) => {
                self.stop_repeating(id);
                false
            }
            _ => false,
        }
    }

    fn send_reliably(&mut self, now: Instant, id: DialogId, txn: TxnId, answer: &Answer) {
        let before = self.dialogs.get(&id).and_then(|d| d.reliable.as_ref());
        // The first is less than 2**31 (RFC 3262 3).
        let rseq = match before.map(|r| r.rseq) {
            Some(last) => last.wrapping_add(1).max(1),
            None => (self.rng.next_u32() >> 1).max(1),
        };
        let answer = answer.clone().with("RSeq", rseq.to_string());
        self.send_response(now, txn, &answer);
        let sent = self.server.get(&txn);
        let sent = sent.and_then(|e| Some((e.last()?.to_vec(), e.destination(), e.cseq)));
        let Some((bytes, to, cseq)) = sent else {
            return;
        };
        let waiting = Waiting {
            txn,
            bytes,
            to,
            interval: T1,
            repeat: self.timers.arm(now + T1, Timer::ReliableRepeat(id)),
            give_up: self.timers.arm(now + TIMEOUT, Timer::ReliableGiveUp(id)),
        };
        if let Some(dialog) = self.dialogs.get_mut(&id) {
            dialog.reliable = Some(Reliable {
                rseq,
                cseq,
                has_session: !answer.body.is_empty(),
                waiting: Some(waiting),
                held: None,
            });
        }
    }

    pub(super) fn repeat_reliable(&mut self, now: Instant, id: DialogId) {
        let dialog = self.dialogs.get_mut(&id);
        let waiting = dialog.and_then(|d| d.reliable.as_mut()?.waiting.as_mut());
        let Some(waiting) = waiting else {
            return;
        };
        waiting.interval *= 2;
        let at = now + waiting.interval;
        waiting.repeat = self.timers.arm(at, Timer::ReliableRepeat(id));
        let (to, bytes) = (waiting.to.clone(), waiting.bytes.clone());
        self.transmit(to, bytes, None);
    }

    pub(super) fn give_up_reliable(&mut self, now: Instant, id: DialogId) {
        let Some(dialog) = self.dialogs.get_mut(&id) else {
            return;
        };
        let is_initial = dialog.state == DialogState::Early;
        let last = dialog.reliable.as_mut();
        let Some(waiting) = last.and_then(|r| r.waiting.as_ref()) else {
            return;
        };
        let txn = waiting.txn;
        self.stop_repeating(id);
        self.respond(now, txn, &Answer::new(504));
        self.emit(Event::PrackTimeout {
            dialog: id,
            is_initial,
        });
    }

    /// Nobody is waited for any more; a PRACK that still comes is taken.
    fn stop_repeating(&mut self, id: DialogId) {
        let last = self.dialogs.get_mut(&id).and_then(|d| d.reliable.as_mut());
        let timers = last.and_then(|last| {
            last.held = None;
            let waiting = last.waiting.as_mut()?;
            Some([waiting.repeat, waiting.give_up])
        });
        for timer in timers.into_iter().flatten() {
            self.timers.cancel(timer);
        }
    }

    pub(super) fn forget_reliable(&mut self, id: DialogId) {
        self.stop_repeating(id);
        if let Some(dialog) = self.dialogs.get_mut(&id) {
            dialog.reliable = None;
        }
    }

    /// Takes in a PRACK; `false` if it acknowledges nothing that awaits it (RFC 3262 3).
    pub(super) fn handle_prack(&mut self, id: DialogId, request: &Request) -> bool {
        let Some((rseq, cseq)) = rack(&request.headers) else {
            return false;
        };
        let last = self.dialogs.get_mut(&id).and_then(|d| d.reliable.as_mut());
        let Some(last) = last.filter(|r| (r.rseq, r.cseq) == (rseq, cseq)) else {
            return false;
        };
        let Some(waiting) = last.waiting.take() else {
            return false;
        };
        self.timers.cancel(waiting.repeat);
        self.timers.cancel(waiting.give_up);
        true
    }

    /// The application has answered a PRACK: what waited for it goes out.
    pub(super) fn release_held(&mut self, now: Instant, id: DialogId) {
        let last = self.dialogs.get_mut(&id).and_then(|d| d.reliable.as_mut());
        if let Some((txn, answer)) = last.and_then(|last| last.held.take()) {
            self.respond(now, txn, &answer);
        }
    }

    /// Acknowledges a provisional response to our INVITE if it is reliable; `false` if it is to be
    /// ignored (RFC 3262 4).
    pub(super) fn acknowledge(&mut self, now: Instant, id: DialogId, response: &Response) -> bool {
        let headers = &response.headers;
        if response.code <= 100 || !headers.has_token("Require", TAG) {
            return true;
        }
        let rseq = headers.get("RSeq").and_then(|r| r.trim().parse().ok());
        let tag = headers.to().and_then(|to| to.tag().map(str::to_owned));
        // Without these it is one like any other.
        let (Some(rseq), Some(tag)) = (rseq, tag) else {
            return true;
        };
        let Some(dialog) = self.dialogs.get_mut(&id) else {
            return false;
        };
        let has_session = !response.body.is_empty();
        let is_full = dialog.heard.len() >= FORKS_MAX;
        match dialog.heard.iter_mut().find(|heard| heard.tag == tag) {
            Some(heard) if rseq == heard.rseq.wrapping_add(1) => {
                heard.rseq = rseq;
                heard.has_session |= has_session;
            }
            Some(_) => return false,
            None if is_full => return false,
            None => dialog.heard.push(Heard {
                tag: tag.clone(),
                rseq,
                has_session,
            }),
        }
        let value = format!("{rseq} {} INVITE", dialog.invite_seq);
        let fields = vec![("RAck".to_owned(), value)];
        let is_ours = dialog.remote_tag.as_ref().is_none_or(|known| *known == tag);
        if is_ours && dialog.state == DialogState::Early {
            dialog.learn(headers);
        }
        if is_ours {
            let prack = self.request(now, id, Method::Prack, fields, Vec::new());
            prack.into_iter().for_each(|txn| self.silence(txn));
        } else {
            self.acknowledge_branch(now, id, response, &fields);
        }
        true
    }

    /// The PRACK to another branch than the one whose dialog we keep.
    fn acknowledge_branch(
        &mut self,
        now: Instant,
        id: DialogId,
        response: &Response,
        fields: &[(String, String)],
    ) {
        let Some(dialog) = self.dialogs.get_mut(&id) else {
            return;
        };
        dialog.local_seq += 1;
        let cseq = dialog.local_seq;
        let Some(branch) = dialog.fork(response) else {
            return;
        };
        let temporary = DialogId(self.next_id());
        self.dialogs.insert(temporary, branch);
        let built = self.in_dialog(temporary, Method::Prack, Some(cseq), fields, Vec::new());
        self.dialogs.remove(&temporary);
        if let Some((request, way)) = built {
            let prack = TxnId(self.next_id());
            self.begin_client(now, prack, id, request, way);
            self.silence(prack);
        }
    }
}

/// What a PRACK acknowledges: RSeq and CSeq of a provisional response to INVITE.
fn rack(headers: &Headers) -> Option<(u32, u32)> {
    let mut parts = headers.get("RAck")?.split_ascii_whitespace();
    let numbers = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    (parts.next() == Some("INVITE")).then_some(numbers)
}
