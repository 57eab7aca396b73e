//! An endpoint together with its control associations, sans-IO.

use h248::ast::{MId, Profile, ServiceChangeMethod, TransactionId, TransactionReply};

use crate::{FailReason, Peer, Problem, Request};

/// What the owner of a [`crate::Node`] or [`crate::Shell`] gets to see.
#[derive(Clone, Debug)]
pub enum Event {
    /// Execute, then reply with the key, once. Registrations and refusals (504, 505) are dealt
    /// with before; a ServiceChange of single terminations comes here.
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
        mgc: crate::TransportAddr,
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
    /// The controller refused our message for its version: both sides must start over.
    #[error("protocol version refused")]
    VersionRefused,
}
