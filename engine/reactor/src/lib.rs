//! Network I/O of the shards: one turn loop, several backends behind one trait.
//!
//! **Invariant:** what arrives is given to the switch and what it says is done; nothing here knows
//! what the octets mean.
#![allow(
    unsafe_code,
    reason = "the one crate that shares memory with the kernel"
)]

mod backend;
mod driver;
pub mod fuzzing;
mod hold;
mod layer;
mod layered;
pub mod limits;
mod mailbox;
mod mio;
mod patience;
mod pool;
mod reading;
mod shard;
pub mod sim;
mod socket;
mod table;
mod tag;
mod thread;
mod time;
mod uring;
mod xdp;

pub use backend::{Backend, Completion, Op};
pub use driver::{Driver, DriverConfig, EventSink, Flow, Logic};
pub use layer::{Credentials, CredentialsError, Identity, Layer, Transport};
pub use mailbox::{Control, ControlSender, FreightMetrics, Full, Mailbox, ShardLinks};
pub use mio::Mio;
pub use patience::BusyPoll;
pub use pool::Octets;
pub use socket::{Socket, bind_listeners, rebind_listeners, set_congestion_control};
pub use thread::{ReactorKind, ShardHandle, ShardThreadConfig, UnknownReactor, spawn_shard};
pub use time::now;
pub use uring::{Unavailable, Uring};
pub use xdp::{Xdp, XdpInterface, XdpShard, open_xdp};

pub use ::xdp::{Error as XdpError, queue_count as xdp_queue_count};
