//! Our requests: sent, repeated, answered or given up (H.248.1 Annex D.1.3 to D.1.5).
//!
//! ```text
//! send_request -> waiting --reply--------------------------> Reply
//!                   |  ^  --segments, the last one---------> Reply
//!                   |  +--- Pending: longer timer, T-MAX anew
//!                   |  +--- repeat (unreliable transports)
//!                   +--- T-MAX | transport lost | error message | too many Pendings -> Failed
//!                          +--- a reply after all -> Late
//! ```

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use clock::{Duration, Instant, TimerKey};
use h248::ast::{
    ActionRequest, Command, ErrorDescriptor, ReplyBody, Transaction, TransactionId,
    TransactionReply, TransactionRequest,
};

use crate::backoff::Backoff;
use crate::endpoint::{Deadline, Sender};
use crate::limits::{GIVEN_UP_MAX, PEER_OUTSTANDING_MAX};
use crate::output::{FailReason, Output, ProblemKind};
use crate::segments::{Joined, Segments};
use crate::wire::Broken;
use crate::{Endpoint, Peer};

/// A request that awaits its reply.
#[derive(Debug)]
pub(crate) struct Outstanding {
    peer: Peer,
    /// The whole message, as repeated.
    octets: Bytes,
    sent: Instant,
    /// When T-MAX began: at the first sending, or at the last Pending or segment.
    waiting_since: Instant,
    backoff: Backoff,
    /// Repetitions and Pendings so far: a reply after any measures no delay.
    repeats: u32,
    pendings: u32,
    timer: TimerKey,
    segments: Option<Segments>,
}

/// Requests that ended without a reply though one may still come.
#[derive(Debug, Default)]
pub(crate) struct GivenUp {
    peers: HashMap<u32, Peer>,
    /// In the order of their ends; those answered since may still be among them.
    order: VecDeque<u32>,
}

impl GivenUp {
    fn add(&mut self, id: TransactionId, peer: Peer) {
        if self.order.len() >= GIVEN_UP_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.peers.remove(&oldest);
        }
        self.order.push_back(id.0);
        self.peers.insert(id.0, peer);
    }

    /// Whether `id` is among them; once.
    fn take(&mut self, id: TransactionId, peer: Peer) -> bool {
        let is_there = self.peers.get(&id.0) == Some(&peer);
        if is_there {
            self.peers.remove(&id.0);
        }
        is_there
    }
}

/// Why a request was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Too many requests await a reply from this peer, or too many peers are in use
    /// ([`crate::limits`]); try again after one has ended.
    #[error("too many requests are outstanding")]
    Full,
    /// The message would not fit the transport.
    #[error("the request needs {bytes} octets, more than the transport carries")]
    TooLong {
        /// Octets it needs.
        bytes: usize,
    },
}

impl Endpoint {
    /// Sends a request. Exactly one [`Output::Reply`] or [`Output::Failed`] with the returned id
    /// will follow.
    ///
    /// # Errors
    ///
    /// Nothing was sent, and nothing will follow.
    pub fn send_request(
        &mut self,
        now: Instant,
        peer: Peer,
        actions: Vec<ActionRequest>,
    ) -> Result<TransactionId, SendError> {
        let state = self
            .peers
            .entry(peer, &self.config.timers)
            .ok_or(SendError::Full)?;
        if state.outstanding >= PEER_OUTSTANDING_MAX {
            return Err(SendError::Full);
        }
        let (version, backoff) = (state.version, state.estimator.first(&self.config.timers));
        let id = self.id_next();
        let mut transactions = Vec::with_capacity(2);
        // A registration travels alone (H.248.1 section 11.2).
        if !is_registration(&actions) {
            transactions.extend(self.take_acks(peer));
        }
        let actions = actions.into();
        transactions.push(Transaction::Request(TransactionRequest { id, actions }));
        let octets = self.print(version, &transactions);
        if octets.len() > self.message_bytes_max(peer) {
            return Err(SendError::TooLong {
                bytes: octets.len(),
            });
        }
        let after = self.first_wait(peer, backoff);
        let timer = self.timers.arm(now + after, Deadline::Repeat(id));
        let outstanding = Outstanding {
            peer,
            octets: octets.clone(),
            sent: now,
            waiting_since: now,
            backoff,
            repeats: 0,
            pendings: 0,
            timer,
            segments: None,
        };
        self.outstanding.insert(id.0, outstanding);
        if let Some(state) = self.peers.get_mut(peer) {
            state.outstanding += 1;
        }
        self.output(Output::Transmit { peer, octets });
        Ok(id)
    }

    fn id_next(&mut self) -> TransactionId {
        loop {
            self.id_last = self.id_last.wrapping_add(1);
            if self.id_last != 0 && !self.outstanding.contains_key(&self.id_last) {
                return TransactionId(self.id_last);
            }
        }
    }

    fn first_wait(&self, peer: Peer, backoff: Backoff) -> Duration {
        if peer.transport.kind.is_reliable() {
            self.config.timers.t_max
        } else {
            backoff.after.min(self.config.timers.t_max)
        }
    }

    pub(crate) fn handle_reply(
        &mut self,
        now: Instant,
        sender: Sender<'_>,
        mut reply: TransactionReply,
    ) {
        let id = reply.id;
        if id.0 == 0 {
            self.handle_reply_to_unreadable(now, sender, &reply.body);
            return;
        }
        if let Some(segment) = reply.segment {
            let acknowledgement = Transaction::Segment { id, segment };
            let octets = self.print(sender.version, &[acknowledgement]);
            self.output(Output::Transmit {
                peer: sender.peer,
                octets,
            });
        }
        if !self.is_outstanding_at(id, sender.peer) {
            self.handle_late_reply(now, sender, reply);
            return;
        }
        if let Some(segment) = reply.segment.take() {
            let immediate_ack = reply.immediate_ack;
            match self.add_segment(now, id, segment, reply) {
                Joined::Incomplete => return,
                Joined::Complete(body) => {
                    reply = TransactionReply {
                        id,
                        segment: None,
                        immediate_ack,
                        body,
                    };
                }
                Joined::Unusable => {
                    self.problem(sender, Some(id), ProblemKind::Segments);
                    let what = "contradictory segments".to_owned();
                    self.fail(id, FailReason::ReplyUnreadable(what));
                    return;
                }
            }
        }
        self.finish(now, id);
        self.acknowledge(now, sender.peer, id, reply.immediate_ack);
        self.output(Output::Reply {
            id,
            peer: sender.peer,
            mid: sender.mid.clone(),
            reply,
        });
    }

    pub(crate) fn is_outstanding_at(&self, id: TransactionId, peer: Peer) -> bool {
        self.outstanding.get(&id.0).is_some_and(|o| o.peer == peer)
    }

    /// `P=0{Error}`: the peer could not read the id of a request; which one can be told only if
    /// it is the only one.
    fn handle_reply_to_unreadable(&mut self, now: Instant, sender: Sender<'_>, body: &ReplyBody) {
        match body {
            ReplyBody::Error(error) => {
                let text = crate::describe(error);
                self.problem(sender, None, ProblemKind::ErrorReceived(text));
                self.fail_refused(now, sender.peer, error);
            }
            ReplyBody::Actions(_) => self.problem(sender, None, ProblemKind::ReplyUnexpected),
        }
    }

    /// A reply to what was given up; or a repeated one: our acknowledgement was lost, or crossed it. One
    /// that asks for an acknowledgement gets it again, however late.
    fn handle_late_reply(&mut self, now: Instant, sender: Sender<'_>, reply: TransactionReply) {
        let is_whole = reply.segment.is_none();
        if is_whole && self.given_up.take(reply.id, sender.peer) {
            self.acknowledge(now, sender.peer, reply.id, reply.immediate_ack);
            self.output(Output::Late {
                id: reply.id,
                peer: sender.peer,
                mid: sender.mid.clone(),
                reply,
            });
        } else if reply.immediate_ack {
            let acks = Transaction::Ack(vec![(reply.id, reply.id)]);
            let version = self
                .peers
                .get(sender.peer)
                .map_or(sender.version, |s| s.version);
            let octets = self.print(version, &[acks]);
            let peer = sender.peer;
            self.output(Output::Transmit { peer, octets });
        } else if self.peers.get(sender.peer).is_none() {
            self.problem(sender, Some(reply.id), ProblemKind::ReplyUnexpected);
        }
    }

    fn add_segment(
        &mut self,
        now: Instant,
        id: TransactionId,
        segment: h248::ast::Segment,
        reply: TransactionReply,
    ) -> Joined {
        self.keep_waiting(now, id);
        match self.outstanding.get_mut(&id.0) {
            Some(o) => o.segments.get_or_insert_default().add(segment, reply),
            None => Joined::Unusable,
        }
    }

    pub(crate) fn handle_pending(&mut self, now: Instant, sender: Sender<'_>, id: TransactionId) {
        if !self.is_outstanding_at(id, sender.peer) {
            // Overtaken by the reply: "shall be ignored" (Annex D.1.4).
            return;
        }
        self.keep_waiting(now, id);
        let asked = self.tuning.peer_pendings_max;
        let pendings_max = asked.unwrap_or(self.config.pendings_max);
        if let Some(outstanding) = self.outstanding.get_mut(&id.0) {
            outstanding.pendings += 1;
            if outstanding.pendings > pendings_max {
                self.fail(id, FailReason::PendingLimit);
            }
        }
    }

    /// The peer is at it: T-MAX begins anew, and repeats become rare.
    fn keep_waiting(&mut self, now: Instant, id: TransactionId) {
        let timers = self.config.timers;
        let Some(outstanding) = self.outstanding.get_mut(&id.0) else {
            return;
        };
        outstanding.waiting_since = now;
        let after = if outstanding.peer.transport.kind.is_reliable() {
            timers.t_max
        } else {
            timers.repeat_max.min(timers.t_max)
        };
        self.timers.cancel(outstanding.timer);
        outstanding.timer = self.timers.arm(now + after, Deadline::Repeat(id));
    }

    pub(crate) fn handle_repeat(&mut self, now: Instant, id: TransactionId) {
        let timers = self.config.timers;
        let Some(outstanding) = self.outstanding.get_mut(&id.0) else {
            return;
        };
        let peer = outstanding.peer;
        let give_up = outstanding.waiting_since + timers.t_max;
        if now >= give_up || peer.transport.kind.is_reliable() {
            self.fail(id, FailReason::TimedOut);
            return;
        }
        outstanding.repeats += 1;
        if let Some(state) = self.peers.get(peer) {
            let last = outstanding.backoff;
            outstanding.backoff = state.estimator.next(&last, &timers, &mut self.random);
        }
        let after = if outstanding.pendings > 0 {
            timers.repeat_max
        } else {
            outstanding.backoff.after
        };
        let at = (now + after).min(give_up);
        outstanding.timer = self.timers.arm(at, Deadline::Repeat(id));
        let octets = outstanding.octets.clone();
        self.output(Output::Transmit { peer, octets });
    }

    pub(crate) fn handle_broken_reply(&mut self, now: Instant, sender: Sender<'_>, broken: Broken) {
        let kind = ProblemKind::TransactionUnreadable {
            code: broken.error.code,
            what: broken.what.clone(),
        };
        self.problem(sender, broken.id, kind);
        if let Some(id) = broken.id
            && self.is_outstanding_at(id, sender.peer)
        {
            // A repeat would bring the same octets.
            self.acknowledge(now, sender.peer, id, false);
            self.fail(id, FailReason::ReplyUnreadable(broken.what));
        }
    }

    /// A message of ours was refused as a whole. With a version error none of what is outstanding
    /// there can succeed; otherwise the error names no transaction, so it is taken for one only
    /// if there is just one.
    pub(crate) fn fail_refused(&mut self, now: Instant, peer: Peer, error: &ErrorDescriptor) {
        let ids = self.ids_of(peer);
        if error.code == 406 || ids.len() == 1 {
            for id in ids {
                self.finish(now, id);
                let reason = FailReason::ErrorMessage(error.clone());
                self.output(Output::Failed { id, peer, reason });
            }
        }
    }

    pub(crate) fn fail_all(&mut self, _now: Instant, peer: Peer) {
        for id in self.ids_of(peer) {
            self.fail(id, FailReason::TransportLost);
        }
    }

    fn ids_of(&self, peer: Peer) -> Vec<TransactionId> {
        if self.peers.get(peer).is_none_or(|s| s.outstanding == 0) {
            return Vec::new();
        }
        let of_peer = self.outstanding.iter().filter(|(_, o)| o.peer == peer);
        let mut ids: Vec<_> = of_peer.map(|(id, _)| TransactionId(*id)).collect();
        ids.sort_unstable();
        ids
    }

    fn fail(&mut self, id: TransactionId, reason: FailReason) {
        if let Some(outstanding) = self.remove(id) {
            let peer = outstanding.peer;
            if matches!(reason, FailReason::TimedOut | FailReason::PendingLimit) {
                self.given_up.add(id, peer);
            }
            self.output(Output::Failed { id, peer, reason });
        }
    }

    /// Ends a request that was answered, and learns from how long it took.
    fn finish(&mut self, now: Instant, id: TransactionId) {
        let Some(outstanding) = self.remove(id) else {
            return;
        };
        if outstanding.repeats == 0
            && outstanding.pendings == 0
            && let Some(state) = self.peers.get_mut(outstanding.peer)
        {
            state.estimator.sample(now.since(outstanding.sent));
        }
    }

    fn remove(&mut self, id: TransactionId) -> Option<Outstanding> {
        let outstanding = self.outstanding.remove(&id.0)?;
        self.timers.cancel(outstanding.timer);
        if let Some(state) = self.peers.get_mut(outstanding.peer) {
            state.outstanding -= 1;
        }
        Some(outstanding)
    }

    fn acknowledge(&mut self, now: Instant, peer: Peer, id: TransactionId, is_urgent: bool) {
        if self.peers.acknowledge(peer, id, is_urgent) {
            let at = now + self.config.timers.acknowledge_after;
            let timer = self.timers.arm(at, Deadline::Acknowledge(peer));
            if let Some(state) = self.peers.get_mut(peer) {
                state.ack_timer = Some(timer);
            }
        }
    }
}

fn is_registration(actions: &[ActionRequest]) -> bool {
    let mut commands = actions.iter().flat_map(|a| &a.commands);
    commands.any(|c| matches!(c.command, Command::ServiceChange { .. }))
}
