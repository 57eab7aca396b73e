//! SIP for a conference focus and for simple clients: messages, transactions and dialogs (sans-IO)
//! and a tokio shell with UDP, TCP, TLS and WebSocket sockets.
//!
//! [`Agent`] is the core: it takes messages and time, and gives messages and [`Event`]s.
//! [`Stack`] runs one on sockets; [`SipClient`] is a stack for one call at a time.
#![forbid(unsafe_code)]

mod addr;
mod agent;
mod client;
mod digest;
pub mod fuzzing;
pub mod limits;
mod message;
mod next_hop;
mod parse;
mod stack;
mod trust;
mod uri;
mod via;

pub use addr::{SipAddr, SipAddrError, Transport};
pub use agent::{
    Agent, AgentConfig, Answer, Counts, Destination, DialogId, Event, Flow, Hop, Invite, Output,
    Target, TxnId,
};
pub use client::{Call, ClientError, Outcome, SipClient};
pub use digest::{Algorithm, Credentials, Qop, Secret, Users};
pub use message::{Headers, Method, Request, Response, reason_phrase};
pub use next_hop::{NextHop, NextHopError};
pub use parse::{Frame, Malformed, Parsed, StreamFramer, parse_datagram};
pub use stack::{
    BindError, Counters, Handle, Resolver, Stack, StackConfig, Tls, TlsError, TlsFiles, Trace,
    near_addr,
};
pub use trust::{Prefix, PrefixError, Trusted, TrustedError};
pub use uri::{NameAddr, Uri, UriError, unescape};
