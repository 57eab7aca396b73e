//! The MSRP conference switch: shards, contexts, sessions, fan-out. Sans-IO; knows no H.248.
#![forbid(unsafe_code)]

mod api;
mod batch;
pub mod limits;

pub use api::{
    CloseCause, Command, ConnId, ConnectId, ContextKey, Event, Input, LossCause, Octets, Order,
    Output, SessionConfig, SessionKey, Setup, ShardIndex, Statistics,
};
pub use batch::Batch;
pub use limits::Limits;
