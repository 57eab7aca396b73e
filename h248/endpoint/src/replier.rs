//! Requests of peers: executed once, answered as often as they are repeated (Annex D.1.1, D.1.4).
//!
//! ```text
//! request: acknowledged before -> drop      stored reply -> send it again
//!          running             -> Pending   new          -> Request, provisional timer
//! reply(): print, store for LONG-TIMER, send to where the request came from
//! ```

use clock::{Instant, TimerKey};
use h248::ast::{
    ActionReply, ActionRequest, CommandReply, ContextId, ContextProperties, ErrorDescriptor, Few,
    MId, ReplyBody, Transaction, TransactionId, TransactionReply, TransactionRequest,
};

use crate::endpoint::{Deadline, Sender, error, refusal};
use crate::output::{BrokenTail, Output, ProblemKind, Request, RequestKey};
use crate::segments;
use crate::store::{Reply, Seen};
use crate::wire::Broken;
use crate::{Endpoint, Peer};

/// A request that the owner is executing.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) peer: Peer,
    mid: MId,
    id: TransactionId,
    version: u8,
    pendings: u32,
    timer: TimerKey,
    /// The reply will be stored, and sent when the request is repeated from elsewhere.
    pub(crate) is_peer_lost: bool,
}

impl Endpoint {
    pub(crate) fn handle_request(
        &mut self,
        now: Instant,
        sender: Sender<'_>,
        request: TransactionRequest,
        broken: Option<Box<BrokenTail>>,
    ) {
        let id = request.id;
        if id.0 == 0 {
            // 0 stands for "could not be read", so that no memory can be kept of it.
            let error = error(403, "transaction identifier 0 is reserved");
            self.transmit_reply(sender, refusal(id, error));
            return;
        }
        match self.store.seen(sender.mid, id) {
            Seen::New => self.start(now, sender, request, broken),
            Seen::Running(key) => self.handle_repeated(now, sender, key),
            Seen::Replied(reply) => self.transmit_again(sender.peer, &reply),
            Seen::Acknowledged => {}
        }
    }

    fn start(
        &mut self,
        now: Instant,
        sender: Sender<'_>,
        request: TransactionRequest,
        broken: Option<Box<BrokenTail>>,
    ) {
        let id = request.id;
        self.key_last += 1;
        let key = RequestKey(self.key_last);
        if let Err(bound) = self.store.start(sender.mid, id, key) {
            self.problem(sender, Some(id), ProblemKind::Busy(bound));
            let error = error(510, "Insufficient resources");
            self.transmit_reply(sender, refusal(id, error));
            return;
        }
        let at = now + self.config.timers.provisional;
        let running = Running {
            peer: sender.peer,
            mid: sender.mid.clone(),
            id,
            version: sender.version,
            pendings: 0,
            timer: self.timers.arm(at, Deadline::Provisional(key)),
            is_peer_lost: false,
        };
        self.running.insert(key.0, running);
        self.output(Output::Request(Request {
            key,
            peer: sender.peer,
            mid: sender.mid.clone(),
            version: sender.version,
            request,
            broken,
        }));
    }

    /// A repeat of a running request; replies and Pendings follow it to where it came from.
    fn handle_repeated(&mut self, now: Instant, sender: Sender<'_>, key: RequestKey) {
        if let Some(running) = self.running.get_mut(&key.0) {
            running.peer = sender.peer;
            running.is_peer_lost = false;
        }
        self.transmit_pending(now, key);
    }

    /// A request that was readable in part: executed as far as that, or answered here. An error of the
    /// whole transaction leaves no room in the reply for what was done, so that nothing is.
    pub(crate) fn handle_broken_request(
        &mut self,
        now: Instant,
        sender: Sender<'_>,
        broken: Broken,
    ) {
        let Some(id) = broken.id else {
            self.note_broken(sender, &broken);
            self.transmit_reply(sender, refusal(TransactionId(0), broken.error));
            return;
        };
        if self.store.seen(sender.mid, id) == Seen::New {
            self.note_broken(sender, &broken);
        }
        let partial = broken
            .partial
            .filter(|partial| partial.actions.iter().any(has_work));
        match (partial, broken.tail) {
            (Some(partial), Some(tail)) => {
                self.handle_request(now, sender, partial, Some(Box::new(tail)));
            }
            (None, Some(tail)) => {
                let mut body = ReplyBody::Actions(Few::default());
                tail.append_to(&mut body);
                self.refuse_broken(now, sender, id, body);
            }
            (_, None) => {
                self.refuse_broken(now, sender, id, ReplyBody::Error(broken.error));
            }
        }
    }

    fn note_broken(&mut self, sender: Sender<'_>, broken: &Broken) {
        let kind = ProblemKind::TransactionUnreadable {
            code: broken.error.code,
            what: broken.what.clone(),
        };
        self.problem(sender, broken.id, kind);
    }

    /// Nothing to execute: the error alone is the reply, and the same to each repeat.
    fn refuse_broken(
        &mut self,
        now: Instant,
        sender: Sender<'_>,
        id: TransactionId,
        body: ReplyBody,
    ) {
        let reply = TransactionReply {
            id,
            segment: None,
            immediate_ack: false,
            body,
        };
        match self.store.seen(sender.mid, id) {
            Seen::New => drop(self.transmit_reply(sender, reply)),
            Seen::Running(key) => self.handle_repeated(now, sender, key),
            Seen::Replied(reply) => self.transmit_again(sender.peer, &reply),
            Seen::Acknowledged => {}
        }
    }

    /// Answers the request named by `key`. Returns false, and sends nothing, if it was answered
    /// before (by the owner, or with 506 after too many Pendings).
    ///
    /// A reply too long for one message is cut in segments if the request was of version 3, and else
    /// becomes error 533; a reply without anything in it
    /// becomes error 500, because the grammar has no way to write it.
    pub fn reply(&mut self, now: Instant, key: RequestKey, body: ReplyBody) -> bool {
        let Some(running) = self.running.remove(&key.0) else {
            return false;
        };
        self.timers.cancel(running.timer);
        let body = match body {
            ReplyBody::Actions(actions) if actions.is_empty() => {
                ReplyBody::Error(error(500, "Internal software Failure: empty reply"))
            }
            ReplyBody::Error(_) | ReplyBody::Actions(_) => body,
        };
        let reply = TransactionReply {
            id: running.id,
            segment: None,
            // Annex D.1.4; a reliable transport needs none (4.2 and D.2.2).
            immediate_ack: running.pendings > 0 && !running.peer.transport.kind.is_reliable(),
            body,
        };
        self.finish_running(now, &running, reply);
        true
    }

    /// Answers a request of somebody whose requests are not executed, and forgets it: repeated, it is refused
    /// again. So strangers take none of the room for the names of peers.
    pub(crate) fn refuse(&mut self, key: RequestKey, error: ErrorDescriptor) {
        let Some(running) = self.running.remove(&key.0) else {
            return;
        };
        self.timers.cancel(running.timer);
        self.store.abandon(&running.mid, running.id);
        let sender = Sender {
            peer: running.peer,
            mid: &running.mid,
            version: running.version,
        };
        self.transmit_reply(sender, refusal(running.id, error));
    }

    /// The requests being executed for `peer`, for an owner that must abandon them.
    #[must_use]
    pub fn is_running(&self, key: RequestKey) -> bool {
        self.running.contains_key(&key.0)
    }

    fn finish_running(&mut self, now: Instant, running: &Running, reply: TransactionReply) {
        let sender = Sender {
            peer: running.peer,
            mid: &running.mid,
            version: running.version,
        };
        let id = reply.id;
        let reply = if running.is_peer_lost {
            self.print_reply(sender, reply)
        } else {
            self.transmit_reply(sender, reply)
        };
        self.store_reply(now, sender, id, reply);
    }

    pub(crate) fn handle_provisional(&mut self, now: Instant, key: RequestKey) {
        if self.transmit_pending(now, key) {
            let at = now + self.config.timers.provisional;
            let timer = self.timers.arm(at, Deadline::Provisional(key));
            if let Some(running) = self.running.get_mut(&key.0) {
                running.timer = timer;
            }
        }
    }

    /// Returns whether the request goes on: after too many Pendings it is answered with 506.
    fn transmit_pending(&mut self, now: Instant, key: RequestKey) -> bool {
        let asked = self.tuning.own_pendings_max;
        let pendings_max = asked.unwrap_or(self.config.pendings_max);
        let Some(running) = self.running.get_mut(&key.0) else {
            return false;
        };
        running.pendings += 1;
        if running.pendings > pendings_max {
            self.give_up_running(now, key);
            return false;
        }
        let (peer, version, id) = (running.peer, running.version, running.id);
        if !running.is_peer_lost {
            let octets = self.print(version, &[Transaction::Pending(id)]);
            self.output(Output::Transmit { peer, octets });
        }
        true
    }

    fn give_up_running(&mut self, now: Instant, key: RequestKey) {
        let Some(running) = self.running.remove(&key.0) else {
            return;
        };
        self.timers.cancel(running.timer);
        let error = error(506, "Number of Transaction Pendings Exceeded");
        self.finish_running(now, &running, refusal(running.id, error));
    }

    fn transmit_reply(&mut self, sender: Sender<'_>, reply: TransactionReply) -> Reply {
        let reply = self.print_reply(sender, reply);
        self.transmit_again(sender.peer, &reply);
        reply
    }

    /// Sends what the peer has not acknowledged of a reply.
    fn transmit_again(&mut self, peer: Peer, reply: &Reply) {
        for octets in reply.messages().iter().filter(|octets| !octets.is_empty()) {
            let octets = octets.clone();
            self.output(Output::Transmit { peer, octets });
        }
    }

    /// A reply too long for one message goes in segments, which came with version 3; in older ones,
    /// and when that does not help, error 533 takes its place.
    fn print_reply(&mut self, sender: Sender<'_>, reply: TransactionReply) -> Reply {
        let id = reply.id;
        let transactions = vec![Transaction::Reply(reply)];
        let octets = self.print(sender.version, &transactions);
        let bytes = octets.len();
        let bytes_max = self.message_bytes_max(sender.peer);
        if bytes <= bytes_max {
            return Reply::Whole(octets);
        }
        if sender.version >= 3
            && let Some(Transaction::Reply(reply)) = transactions.into_iter().next()
        {
            let print = |segment| self.print(sender.version, &[Transaction::Reply(segment)]);
            if let Some(segments) = segments::cut(reply, bytes_max, print) {
                return Reply::Segments(segments);
            }
        }
        self.problem(sender, Some(id), ProblemKind::ReplyTooLong { bytes });
        let error = error(533, "Response exceeds maximum transport PDU size");
        Reply::Whole(self.print(sender.version, &[Transaction::Reply(refusal(id, error))]))
    }
}

fn has_work(action: &ActionRequest) -> bool {
    !action.commands.is_empty() || !action.properties.is_empty() || action.audit.is_some()
}

/// A reply with one action that holds one command's result.
#[must_use]
pub fn single_reply(context: ContextId, result: h248::ast::CommandResult) -> ReplyBody {
    let command = CommandReply {
        optional: false,
        wildcard_response: false,
        result,
    };
    let action = ActionReply {
        context,
        properties: ContextProperties::default(),
        commands: command.into(),
        error: None,
    };
    ReplyBody::Actions(action.into())
}

/// A reply that is one error for the whole transaction.
#[must_use]
pub fn error_reply(error: ErrorDescriptor) -> ReplyBody {
    ReplyBody::Error(error)
}
