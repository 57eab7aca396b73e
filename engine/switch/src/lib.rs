//! The MSRP conference switch: shards, contexts, sessions, fan-out. Sans-IO; knows no H.248.
#![forbid(unsafe_code)]

mod ages;
mod answer;
mod api;
mod arrive;
mod batch;
mod begin;
mod branch;
mod closing;
mod config;
mod conn_events;
mod connection;
mod conns;
mod context;
mod ending;
mod fan_out;
mod filter;
mod forward;
mod hoard;
mod ident;
mod invariants;
mod judge;
mod lane;
pub mod limits;
mod lists;
mod message;
mod news;
mod nickname;
mod nickname_ask;
mod orders;
mod piece;
mod play;
mod pressure;
mod reach;
mod receive;
mod recent;
mod record;
mod refusal;
mod relay;
mod report;
mod security;
mod session;
mod sessions;
mod shard;
mod shipment;
mod supply;
mod text;
mod trunk;
mod turn;
mod users;
mod whole;

pub use api::{
    CloseCause, Command, ConnId, ConnectId, ContextKey, Event, Input, LossCause, Octets, Order,
    Output, SessionKey, ShardIndex, Statistics,
};
pub use batch::Batch;
pub use config::{Matching, Profile, SessionConfig, Setup, SlowPolicy, Terms};
pub use hoard::Gauges;
pub use ident::{owner_of, session_id};
pub use limits::Limits;
pub use news::{MessageNews, MessageOutcome};
pub use play::Play;
pub use record::{Recorded, RecordedPart};
pub use security::{Fingerprint, HashFunction, Misfit, Secured, Security, Via};
pub use shard::{Shard, ShardConfig};
pub use shipment::Shipment;
pub use text::Text;
