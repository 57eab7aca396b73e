//! An endpoint together with its control associations, sans-IO.

use core::net::SocketAddr;

use bytes::Bytes;
use clock::Instant;
use h248::ast::{
    ActionRequest, MId, Profile, ReplyBody, ServiceChangeMethod, TransactionId, TransactionReply,
};

use crate::{
    AssociationConfig, Associations, Config, Departure, Endpoint, FailReason, Output, Peer,
    Problem, Registration, RegistrationConfig, Request, RequestKey, Role, SendError, TransportAddr,
    Tuning,
};

/// What the owner of a [`crate::Node`] or [`crate::Shell`] gets to see.
#[derive(Clone, Debug)]
pub enum Event {
    /// Execute, then reply with the key, once. Registrations and refusals (504, 505) are dealt
    /// with before. A ServiceChange of single terminations comes here, and at a gateway also the
    /// controller's own Restart, Forced or Graceful on ROOT.
    Request(Request),
    /// A request of ours was answered.
    Reply {
        /// As returned by `send_request`.
        id: TransactionId,
        /// Who was asked.
        peer: Peer,
        /// Who answered, by name.
        mid: MId,
        /// The answer.
        reply: TransactionReply,
    },
    /// A request of ours ended without a reply.
    Failed {
        /// As returned by `send_request`.
        id: TransactionId,
        /// Who was asked.
        peer: Peer,
        /// Why.
        reason: FailReason,
    },
    /// A request that was given up was executed and answered after all: what it made is there. At most once
    /// for each, after its [`Self::Failed`], of the last [`crate::limits::GIVEN_UP_MAX`].
    Late {
        /// As returned by `send_request`.
        id: TransactionId,
        /// Who was asked.
        peer: Peer,
        /// Who answered, by name.
        mid: MId,
        /// The answer.
        reply: TransactionReply,
    },
    /// A control association exists (again). Gateway: `mid` is our controller. Controller: `mid`
    /// is a gateway.
    Registered(Registered),
    /// A control association is no more. Contexts stay; a gateway that comes back says in its
    /// method whether it kept them.
    Lost {
        /// The other side.
        mid: MId,
        /// Where it was.
        peer: Peer,
        /// Why.
        reason: LostReason,
    },
    /// The other side takes its leave but goes on for now: Graceful on ROOT.
    Leaving {
        /// The other side.
        mid: MId,
        /// Seconds until it goes; 0: when its last context has gone.
        delay_s: u32,
    },
    /// Gateway: one registration attempt failed; the next controller, or the same after a pause,
    /// is tried without being asked.
    RegistrationFailed {
        /// Where.
        mgc: TransportAddr,
        /// Why, for the log.
        reason: String,
    },
    /// Gateway: the controller confirmed our Forced departure, or did not answer in time.
    Departed,
    /// Worth one log line; the [`crate::Shell`] has logged it already.
    Problem(Problem),
}

/// A new control association.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The other side's name.
    pub mid: MId,
    /// Where requests to it go.
    pub peer: Peer,
    /// Negotiated version, 1 to 3.
    pub version: u8,
    /// Profile agreed, if any was named.
    pub profile: Option<Profile>,
    /// How the gateway came: Restart means its contexts are gone, Disconnected, Failover and
    /// HandOff that they were kept.
    pub method: ServiceChangeMethod,
}

/// Why an association ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LostReason {
    /// Connection failed or was closed.
    #[error("the transport was lost")]
    Transport,
    /// T-MAX passed, or too many keep-alive audits were missed.
    #[error("no answer")]
    Silent,
    /// Forced on ROOT, sent by the other side or by us.
    #[error("taken out of service")]
    OutOfService,
    /// The controller handed us to another one.
    #[error("handed off to another controller")]
    HandedOff,
    /// The controller does not take us for a gateway of its own (504): it gave us up, or began anew.
    #[error("the controller knows of no association")]
    Disowned,
    /// The controller refused our message for its version: both sides must start over.
    #[error("protocol version refused")]
    VersionRefused,
}

/// One thing to do, from [`Node::poll`].
#[derive(Debug)]
pub enum NodeOutput {
    /// Send one message, without framing.
    Transmit {
        /// Where.
        peer: Peer,
        /// The whole message.
        octets: Bytes,
    },
    /// Open a transport to this controller, then call [`Node::handle_connected`] or
    /// [`Node::handle_connect_failed`]. On UDP a socket of the right family is all it takes.
    Connect(TransportAddr),
    /// Look up the address of a host, then call [`Node::handle_resolved`]. In time: the machine
    /// waits no longer than its patience.
    Resolve {
        /// A domain name.
        name: String,
        /// For the address.
        port: u16,
    },
    /// Close the connection to this peer after sending what is queued; nothing to do on UDP.
    /// No failure need be reported.
    Close(Peer),
    /// For the owner.
    Event(Box<Event>),
    /// Nothing more before this instant (`None`: before the next input).
    Wait(Option<Instant>),
}

/// A gateway or a controller, sans-IO: an [`Endpoint`] with its control associations.
///
/// Feed one input, then drain [`Self::poll`] to [`NodeOutput::Wait`]; commands count as inputs.
#[derive(Debug)]
pub struct Node {
    endpoint: Endpoint,
    side: Side,
    closing: Vec<Peer>,
    /// Of the last input.
    now: Instant,
}

#[derive(Debug)]
enum Side {
    Gateway(Box<Registration>),
    Controller(Associations),
}

impl Node {
    /// A gateway, about to register.
    #[must_use]
    pub fn gateway(mut config: Config, registration: RegistrationConfig, now: Instant) -> Self {
        config.role = Role::Gateway;
        let registration = Registration::new(registration, now, config.seed);
        let side = Side::Gateway(Box::new(registration));
        Self::new(config, side, now)
    }

    /// A controller, waiting for gateways.
    #[must_use]
    pub fn controller(mut config: Config, association: AssociationConfig, now: Instant) -> Self {
        config.role = Role::Controller;
        let side = Side::Controller(Associations::new(association));
        Self::new(config, side, now)
    }

    fn new(config: Config, side: Side, now: Instant) -> Self {
        Self {
            endpoint: Endpoint::new(config),
            side,
            closing: Vec::new(),
            now,
        }
    }

    /// The transaction machines, for their getters.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The control associations that exist: none or one for a gateway.
    pub fn associations(&self) -> impl Iterator<Item = &Registered> {
        let (gateway, controller) = match &self.side {
            Side::Gateway(registration) => (registration.registered(), None),
            Side::Controller(associations) => (None, Some(associations.iter())),
        };
        gateway.into_iter().chain(controller.into_iter().flatten())
    }

    /// Takes one message, without framing.
    pub fn handle_received(&mut self, now: Instant, peer: Peer, octets: &[u8]) {
        self.now = now;
        self.endpoint.handle_received(now, peer, octets);
    }

    /// A transport asked for with [`NodeOutput::Connect`] is open.
    pub fn handle_connected(&mut self, now: Instant, mgc: TransportAddr, peer: Peer) {
        self.now = now;
        if let Side::Gateway(registration) = &mut self.side {
            registration.handle_connected(now, &mut self.endpoint, mgc, peer);
        }
    }

    /// A transport asked for with [`NodeOutput::Connect`] could not be opened.
    pub fn handle_connect_failed(&mut self, now: Instant, mgc: TransportAddr, cause: &str) {
        self.now = now;
        if let Side::Gateway(registration) = &mut self.side {
            registration.handle_connect_failed(now, &mut self.endpoint, mgc, cause);
        }
    }

    /// An address asked for with [`NodeOutput::Resolve`] is known, or (`None`) cannot be found.
    pub fn handle_resolved(&mut self, now: Instant, name: &str, addr: Option<SocketAddr>) {
        self.now = now;
        if let Side::Gateway(registration) = &mut self.side {
            registration.handle_resolved(now, &mut self.endpoint, name, addr);
        }
    }

    /// A connection was closed by the peer, or failed.
    pub fn handle_transport_failure(&mut self, now: Instant, peer: Peer) {
        self.now = now;
        match &mut self.side {
            Side::Gateway(side) => {
                side.handle_transport_failure(now, &mut self.endpoint, peer);
            }
            Side::Controller(side) => side.handle_transport_failure(peer),
        }
        self.endpoint.handle_transport_failure(now, peer);
    }

    /// Does what is due at `now`.
    pub fn handle_deadline(&mut self, now: Instant) {
        self.now = now;
        self.endpoint.handle_deadline(now);
        match &mut self.side {
            Side::Gateway(side) => side.handle_deadline(now, &mut self.endpoint),
            Side::Controller(side) => side.handle_deadline(now, &mut self.endpoint),
        }
    }

    /// Sends a request; an [`Event::Reply`] or [`Event::Failed`] with the returned id follows.
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
        self.now = now;
        self.endpoint.send_request(now, peer, actions)
    }

    /// Answers an [`Event::Request`]; see [`Endpoint::reply`].
    pub fn reply(&mut self, now: Instant, key: RequestKey, body: ReplyBody) -> bool {
        self.now = now;
        self.endpoint.reply(now, key, body)
    }

    /// Takes over what the other side asks for; see [`Endpoint::tune`].
    pub fn tune(&mut self, tuning: Tuning) {
        self.endpoint.tune(tuning);
    }

    /// Gateway: tells the controller that we go; [`Event::Departed`] follows a Forced departure.
    pub fn depart(&mut self, now: Instant, departure: Departure) {
        self.now = now;
        if let Side::Gateway(registration) = &mut self.side {
            registration.depart(now, &mut self.endpoint, departure);
        }
    }

    /// The next thing to do; [`NodeOutput::Wait`] when there is nothing.
    pub fn poll(&mut self) -> NodeOutput {
        loop {
            // News of an association go before the requests it brings; a Close waits until the
            // transaction machines have sent what they had to.
            match self.poll_side() {
                Some(NodeOutput::Close(peer)) => self.closing.push(peer),
                Some(output) => return output,
                None => {
                    let output = self.endpoint.poll();
                    if let Output::Wait(at) = output {
                        let closing = self.closing.pop().map(NodeOutput::Close);
                        return closing.unwrap_or_else(|| NodeOutput::Wait(self.deadline(at)));
                    }
                    if let Some(output) = self.take_output(output) {
                        return output;
                    }
                }
            }
        }
    }

    fn poll_side(&mut self) -> Option<NodeOutput> {
        match &mut self.side {
            Side::Gateway(side) => side.poll(),
            Side::Controller(side) => side.poll(),
        }
    }

    /// What is left of an endpoint's output for the owner.
    fn take_output(&mut self, output: Output) -> Option<NodeOutput> {
        let event = match output {
            Output::Transmit { peer, octets } => {
                return Some(NodeOutput::Transmit { peer, octets });
            }
            Output::Wait(_) => return None,
            Output::Problem(problem) => Event::Problem(problem),
            Output::Request(request) => Event::Request(self.take_request(request)?),
            Output::Reply { id, mid, reply, .. } if self.takes_reply(id, &mid, &reply.body) => {
                return None;
            }
            Output::Reply {
                id,
                peer,
                mid,
                reply,
            } => Event::Reply {
                id,
                peer,
                mid,
                reply,
            },
            Output::Failed { id, peer, reason } if self.takes_failure(id, peer, &reason) => {
                return None;
            }
            Output::Failed { id, peer, reason } => Event::Failed { id, peer, reason },
            Output::Late {
                id,
                peer,
                mid,
                reply,
            } => Event::Late {
                id,
                peer,
                mid,
                reply,
            },
        };
        Some(NodeOutput::Event(Box::new(event)))
    }

    fn deadline(&self, of_endpoint: Option<Instant>) -> Option<Instant> {
        let of_side = match &self.side {
            Side::Gateway(side) => side.deadline(),
            Side::Controller(side) => side.deadline(),
        };
        of_endpoint.into_iter().chain(of_side).min()
    }

    fn take_request(&mut self, request: Request) -> Option<Request> {
        let (now, endpoint) = (self.now, &mut self.endpoint);
        match &mut self.side {
            Side::Gateway(side) => side.handle_request(now, endpoint, request),
            Side::Controller(side) => side.handle_request(now, endpoint, request),
        }
    }

    fn takes_reply(&mut self, id: TransactionId, mid: &MId, body: &ReplyBody) -> bool {
        match &mut self.side {
            Side::Gateway(side) => side.handle_reply(self.now, &mut self.endpoint, id, (mid, body)),
            Side::Controller(side) => side.handle_reply(self.now, id, mid),
        }
    }

    fn takes_failure(&mut self, id: TransactionId, peer: Peer, reason: &FailReason) -> bool {
        match &mut self.side {
            Side::Gateway(side) => {
                side.handle_failed(self.now, &mut self.endpoint, (id, peer), reason)
            }
            Side::Controller(side) => side.handle_failed(id, reason),
        }
    }
}
