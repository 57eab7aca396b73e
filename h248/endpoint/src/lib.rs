//! An H.248.1 endpoint: transactions, registration and transports, for gateway and controller.
//!
//! Four layers, each usable alone:
//!
//! * [`Endpoint`]: the transaction machines of one mId, sans-IO. At-most-once execution, stored
//!   replies, Pending, acknowledgements, repetition.
//! * [`Registration`] (gateway) and [`Associations`] (controller): who is in charge of whom.
//! * [`Node`]: an endpoint with one of these, still sans-IO.
//! * [`Shell`]: a node on real UDP, TCP and SCTP sockets, in tokio.
//!
//! **Invariant:** only [`transport`] and [`Shell`] read a clock or open a socket.
#![forbid(unsafe_code)]

mod addr;
mod association;
mod backoff;
mod config;
mod endpoint;
mod node;
mod output;
mod peers;
mod random;
mod registration;
mod replier;
mod requester;
mod segments;
mod service_change;
mod shell;
mod store;
mod wire;

pub mod fuzzing;
pub mod limits;
pub mod transport;

pub use addr::{Peer, TransportAddr, TransportAddrError, TransportId, TransportKind};
pub use association::Associations;
pub use config::{
    AfterLoss, AssociationConfig, Config, Departure, RegistrationConfig, Role, Timers, Tuning,
    mp_profile,
};
pub use endpoint::{Endpoint, error};
pub use h248::{Encoding, Limits};
pub use node::{Event, LostReason, Node, NodeOutput, Registered};
pub use output::{
    BrokenTail, FailReason, Output, Problem, ProblemKind, Request, RequestKey, describe, error_of,
    first_error, has_error, refused_command,
};
pub use registration::Registration;
pub use replier::{error_reply, single_reply};
pub use requester::SendError;
pub use service_change::{plain as plain_service_change, time_stamp};
pub use shell::Shell;
