//! The MRFP assembled: an H.248 gateway in front of a message switch on shards.
//!
//! [`gateway`] is the pure part: requests and switch events in, orders and replies out.
//! [`start`] puts it between an H.248 endpoint on tokio and the shard threads.
#![forbid(unsafe_code)]

mod config;
pub mod gateway;
mod metrics;
mod shell;
pub mod storage;

pub use config::{Config, Listener, ListenerError, TlsFiles};
pub use h248::Encoding;
pub use h248_endpoint::AfterLoss;
pub use metrics::{Metrics, ShardMetrics};
pub use reactor::{BusyPoll, ReactorKind, Transport};
pub use shell::{Mrfp, StartError, Tls, TlsError, start};
pub use switch::Matching;
pub use switch::limits::SHARDS_MAX;
