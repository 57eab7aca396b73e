//! The gateway's side of the control association: who is our controller (H.248.1 section 11).
//!
//! ```text
//! Waiting --at--> Connecting --connected--> Asked --reply--> Registered --Forced--> Departing
//!    ^                |                     | |  ^               |                      |
//!    |   failed: next |       failed: next  | +--+ MgcIdToTry    | lost: Disconnected   v
//!    +--(end of list)-+---------------------+--------------------+                   Departed
//! ```
//!
//! Asked, with 461 as the answer, asks again without a profile. Registered, a request of ours that is refused with
//! 504 shows that the controller has forgotten us, and is a loss like any other.

mod answer;
mod redirect;

use std::collections::VecDeque;

use clock::{Duration, Instant};
use h248::ast::{
    ErrorDescriptor, MId, ReplyBody, ServiceChange, ServiceChangeMethod, ServiceChangeResult,
    TransactionId,
};

use crate::node::{Event, LostReason, NodeOutput, Registered};
use crate::random::Random;
use crate::service_change::{UNAUTHORIZED, of_root, plain, root_reply, root_service_change};
use crate::{
    AfterLoss, Departure, Endpoint, FailReason, Peer, RegistrationConfig, Request, TransportAddr,
    error,
};

/// Finds a controller, keeps it, and finds another when it is lost.
#[derive(Debug)]
pub struct Registration {
    config: RegistrationConfig,
    random: Random,
    state: State,
    /// Which of the list is tried, or was last.
    index: usize,
    redirects: u32,
    /// Times the whole list failed since the last success.
    rounds: u32,
    occasion: Occasion,
    /// Requests of ours whose outcome no longer matters.
    ignored: Vec<TransactionId>,
    outputs: VecDeque<NodeOutput>,
}

#[derive(Debug)]
enum State {
    Waiting {
        until: Option<Instant>,
    },
    /// Redirected to a name whose address is looked up; `mgc` is who told us.
    Resolving(Asking, MId),
    Connecting(Asking),
    Asked(Asking, Peer, TransactionId),
    Registered(Registered),
    Departing {
        until: Instant,
        id: TransactionId,
        was: Registered,
    },
    Departed,
}

/// Why the gateway registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Occasion {
    /// It has come up.
    Start,
    /// It lost this controller.
    Loss(TransportAddr),
    /// Its controller named another one, or wanted to be rid of it.
    HandOff,
}

#[derive(Clone, Copy, Debug)]
struct Asking {
    mgc: TransportAddr,
    until: Instant,
    /// The profile has been refused: none is proposed any more.
    is_plain: bool,
}

impl Registration {
    /// A registration that begins after a random part of `mwd`.
    #[must_use]
    pub fn new(config: RegistrationConfig, now: Instant, seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x5ca1_ab1e);
        let delay = random.between(Duration::ZERO, config.mwd);
        let until = (!config.mgcs.is_empty()).then(|| now + delay);
        Self {
            random,
            state: State::Waiting { until },
            index: 0,
            redirects: 0,
            rounds: 0,
            occasion: Occasion::Start,
            ignored: Vec::new(),
            outputs: VecDeque::new(),
            config,
        }
    }

    /// The association, if there is one.
    #[must_use]
    pub fn registered(&self) -> Option<&Registered> {
        match &self.state {
            State::Registered(registered) => Some(registered),
            State::Departing { was, .. } => Some(was),
            State::Waiting { .. }
            | State::Resolving(..)
            | State::Connecting(_)
            | State::Asked(..)
            | State::Departed => None,
        }
    }

    /// When there is something to do without an input.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Waiting { until } => *until,
            State::Resolving(asking, _) | State::Connecting(asking) | State::Asked(asking, ..) => {
                Some(asking.until)
            }
            State::Departing { until, .. } => Some(*until),
            State::Registered(_) | State::Departed => None,
        }
    }

    pub(crate) fn poll(&mut self) -> Option<NodeOutput> {
        self.outputs.pop_front()
    }

    pub(crate) fn handle_deadline(&mut self, now: Instant, endpoint: &mut Endpoint) {
        if self.deadline().is_none_or(|at| at > now) {
            return;
        }
        match &self.state {
            State::Waiting { .. } => self.try_listed(now),
            State::Resolving(..) => self.try_next(now, endpoint, "no address in time"),
            State::Connecting(_) => self.try_next(now, endpoint, "no connection in time"),
            State::Asked(..) => self.try_next(now, endpoint, "no answer in time"),
            State::Departing { .. } => self.depart_now(now, endpoint),
            State::Registered(_) | State::Departed => {}
        }
    }

    /// The transport asked for with `Connect` is there.
    pub(crate) fn handle_connected(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        mgc: TransportAddr,
        peer: Peer,
    ) {
        let State::Connecting(asking) = self.state else {
            self.outputs.push_back(NodeOutput::Close(peer));
            return;
        };
        if asking.mgc != mgc {
            self.outputs.push_back(NodeOutput::Close(peer));
            return;
        }
        let until = now + self.config.patience;
        self.ask(now, endpoint, Asking { until, ..asking }, peer);
    }

    /// Method and reason of a registration with this controller.
    fn method(&self, mgc: TransportAddr) -> (ServiceChangeMethod, &str) {
        let restored = (ServiceChangeMethod::Disconnected, "900 Service Restored");
        match (self.occasion, self.config.after_loss) {
            (Occasion::Start, _) => (ServiceChangeMethod::Restart, &self.config.reason),
            (Occasion::HandOff, _) => (ServiceChangeMethod::HandOff, "903 MGC Directed Change"),
            (Occasion::Loss(_), AfterLoss::Disconnected) => restored,
            (Occasion::Loss(lost), AfterLoss::Failover) if lost == mgc => restored,
            (Occasion::Loss(_), AfterLoss::Failover) => {
                (ServiceChangeMethod::Failover, "909 MGC Impending Failure")
            }
            (Occasion::Loss(_), AfterLoss::Restart) => {
                (ServiceChangeMethod::Restart, "902 Warm Boot")
            }
        }
    }

    pub(crate) fn handle_connect_failed(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        mgc: TransportAddr,
        cause: &str,
    ) {
        if matches!(self.state, State::Connecting(asking) if asking.mgc == mgc) {
            self.try_next(now, endpoint, cause);
        }
    }

    /// Returns whether the reply was to a request of this machine.
    pub(crate) fn handle_reply(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        id: TransactionId,
        (mid, body): (&MId, &ReplyBody),
    ) -> bool {
        match &self.state {
            State::Asked(asking, peer, asked) if *asked == id => {
                let (asking, peer) = (*asking, *peer);
                self.handle_answer(now, endpoint, (asking, peer), (mid, body));
                true
            }
            State::Departing { id: departing, .. } if *departing == id => {
                self.depart_now(now, endpoint);
                true
            }
            State::Registered(was) if was.mid == *mid && is_disowned(body) => {
                let peer = was.peer;
                self.lose(now, endpoint, peer, LostReason::Disowned);
                self.take_ignored(id)
            }
            State::Waiting { .. }
            | State::Resolving(..)
            | State::Connecting(_)
            | State::Asked(..)
            | State::Registered(_)
            | State::Departing { .. }
            | State::Departed => self.take_ignored(id),
        }
    }

    /// Returns whether the request was this machine's. Others that timed out at the controller,
    /// or were refused for their version, end the association.
    pub(crate) fn handle_failed(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        (id, peer): (TransactionId, Peer),
        reason: &FailReason,
    ) -> bool {
        match &self.state {
            State::Asked(_, _, asked) if *asked == id => {
                self.try_next(now, endpoint, &reason.to_string());
                return true;
            }
            State::Departing { id: departing, .. } if *departing == id => {
                self.depart_now(now, endpoint);
                return true;
            }
            State::Waiting { .. }
            | State::Resolving(..)
            | State::Connecting(_)
            | State::Asked(..)
            | State::Registered(_)
            | State::Departing { .. }
            | State::Departed => {}
        }
        let is_own = self.take_ignored(id);
        match reason {
            FailReason::TimedOut => self.lose(now, endpoint, peer, LostReason::Silent),
            FailReason::ErrorMessage(error) if error.code == 406 => {
                self.lose(now, endpoint, peer, LostReason::VersionRefused);
            }
            FailReason::ErrorMessage(error) if error.code == UNAUTHORIZED => {
                self.lose(now, endpoint, peer, LostReason::Disowned);
            }
            FailReason::TransportLost
            | FailReason::PendingLimit
            | FailReason::ErrorMessage(_)
            | FailReason::ReplyUnreadable(_) => {}
        }
        is_own
    }

    pub(crate) fn handle_transport_failure(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        peer: Peer,
    ) {
        match &self.state {
            State::Asked(_, asked, _) if *asked == peer => {
                self.try_next(now, endpoint, "the transport was lost");
            }
            State::Registered(r) if r.peer == peer => {
                self.lose(now, endpoint, peer, LostReason::Transport);
            }
            State::Departing { was, .. } if was.peer == peer => self.depart_now(now, endpoint),
            State::Waiting { .. }
            | State::Resolving(..)
            | State::Connecting(_)
            | State::Asked(..)
            | State::Registered(_)
            | State::Departing { .. }
            | State::Departed => {}
        }
    }

    /// Decides about a request of a controller; `None` if it was dealt with.
    pub(crate) fn handle_request(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        request: Request,
    ) -> Option<Request> {
        if let Some(refusal) = self.refusal(&request.mid) {
            endpoint.refuse(request.key, refusal);
            return None;
        }
        let Some(services) = of_root(&request) else {
            return Some(request);
        };
        if services.method != ServiceChangeMethod::HandOff {
            return Some(request);
        }
        let target = services.mgc_id.clone();
        endpoint.reply(now, request.key, root_reply(ServiceChangeResult::Empty));
        self.hand_off(now, request.peer, target);
        None
    }

    fn refusal(&self, mid: &MId) -> Option<ErrorDescriptor> {
        if self.config.accept_unregistered {
            return None;
        }
        match self.registered() {
            None => {
                let text = "Transaction Request Received before a Service Change Reply has been \
                            received";
                Some(error(505, text))
            }
            Some(registered) if registered.mid != *mid => Some(error(
                UNAUTHORIZED,
                "Command Received from unauthorized entity",
            )),
            Some(_) => None,
        }
    }

    /// Tells the controller that we go.
    pub(crate) fn depart(&mut self, now: Instant, endpoint: &mut Endpoint, departure: Departure) {
        let State::Registered(registered) = &self.state else {
            if departure == Departure::Forced && !matches!(self.state, State::Departing { .. }) {
                self.depart_now(now, endpoint);
            }
            return;
        };
        let was = registered.clone();
        let services = match departure {
            Departure::Graceful { delay_s } => ServiceChange {
                delay: Some(delay_s),
                ..plain(ServiceChangeMethod::Graceful, "908 MG Impending Failure")
            },
            Departure::Forced => {
                let reason = "905 Termination taken out of service";
                plain(ServiceChangeMethod::Forced, reason)
            }
        };
        let sent = endpoint.send_request(now, was.peer, vec![root_service_change(services)]);
        match (departure, sent) {
            (Departure::Graceful { .. }, Ok(id)) => self.ignored.push(id),
            (Departure::Graceful { .. }, Err(_)) => {}
            (Departure::Forced, Ok(id)) => {
                let until = now + self.config.patience;
                self.state = State::Departing { until, id, was };
            }
            (Departure::Forced, Err(_)) => self.depart_now(now, endpoint),
        }
    }

    fn depart_now(&mut self, now: Instant, endpoint: &mut Endpoint) {
        let state = core::mem::replace(&mut self.state, State::Departed);
        match state {
            State::Departing { was, id, .. } => {
                let peer = was.peer;
                self.ignored
                    .extend(endpoint.is_outstanding_at(id, peer).then_some(id));
                self.close(now, endpoint, peer);
            }
            State::Registered(was) => self.close(now, endpoint, was.peer),
            State::Asked(_, peer, id) => {
                self.ignored
                    .extend(endpoint.is_outstanding_at(id, peer).then_some(id));
                self.close(now, endpoint, peer);
            }
            State::Waiting { .. } | State::Resolving(..) | State::Connecting(_) => {}
            State::Departed => return,
        }
        self.event(Event::Departed);
    }

    /// Ends the association with the controller at `peer` and starts over from the first of the
    /// list, or from the second when it is the first that was lost (H.248.1 section 11.5).
    fn lose(&mut self, now: Instant, endpoint: &mut Endpoint, peer: Peer, reason: LostReason) {
        let State::Registered(was) = &self.state else {
            return;
        };
        if was.peer != peer {
            return;
        }
        let mid = was.mid.clone();
        self.event(Event::Lost { mid, peer, reason });
        let mgcs = &self.config.mgcs;
        let is_first =
            self.occasion == mgcs.first().map_or(Occasion::Start, |m| Occasion::Loss(*m));
        self.index = usize::from(is_first && mgcs.len() > 1);
        let until = now + self.random.between(Duration::ZERO, self.config.mwd);
        self.state = State::Waiting { until: Some(until) };
        self.close(now, endpoint, peer);
    }

    fn close(&mut self, now: Instant, endpoint: &mut Endpoint, peer: Peer) {
        endpoint.handle_transport_failure(now, peer);
        self.outputs.push_back(NodeOutput::Close(peer));
    }

    fn connect(&mut self, now: Instant, mgc: TransportAddr) {
        let until = now + self.config.patience;
        self.state = State::Connecting(Asking {
            mgc,
            until,
            is_plain: false,
        });
        self.outputs.push_back(NodeOutput::Connect(mgc));
    }

    fn try_listed(&mut self, now: Instant) {
        self.redirects = 0;
        match self.config.mgcs.get(self.index) {
            Some(mgc) => self.connect(now, *mgc),
            None => self.state = State::Waiting { until: None },
        }
    }

    fn try_next(&mut self, now: Instant, endpoint: &mut Endpoint, cause: &str) {
        let asking = match &self.state {
            State::Resolving(asking, _) | State::Connecting(asking) => *asking,
            State::Asked(asking, peer, id) => {
                let (asking, peer) = (*asking, *peer);
                self.ignored
                    .extend(endpoint.is_outstanding_at(*id, peer).then_some(*id));
                self.close(now, endpoint, peer);
                asking
            }
            State::Waiting { .. }
            | State::Registered(_)
            | State::Departing { .. }
            | State::Departed => return,
        };
        self.event(Event::RegistrationFailed {
            mgc: asking.mgc,
            reason: cause.to_owned(),
        });
        self.try_next_after(now);
    }

    fn try_next_after(&mut self, now: Instant) {
        self.index += 1;
        if self.index < self.config.mgcs.len() {
            self.try_listed(now);
            return;
        }
        self.index = 0;
        let (first, cap) = self.config.retry;
        let doubled = first.saturating_mul(1 << self.rounds.min(16)).min(cap);
        self.rounds += 1;
        let pause = self.random.between(doubled / 2, doubled);
        let until = (!self.config.mgcs.is_empty()).then(|| now + pause);
        self.state = State::Waiting { until };
    }

    fn take_ignored(&mut self, id: TransactionId) -> bool {
        let found = self.ignored.iter().position(|i| *i == id);
        found.map(|at| self.ignored.swap_remove(at)).is_some()
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(NodeOutput::Event(Box::new(event)));
    }
}

/// Whether a request was refused as a whole because the controller knows of no association with us.
fn is_disowned(body: &ReplyBody) -> bool {
    matches!(body, ReplyBody::Error(error) if error.code == UNAUTHORIZED)
}
