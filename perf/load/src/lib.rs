//! The load generator behind `mrf load` and `perf/compare`.
//!
//! A [`Plan`] says how many conferences with how many participants, which messages and how fast;
//! [`setup`] makes the sessions, by H.248, by SIP, through a relay or through a bare forwarder;
//! [`run()`] connects all participants from one thread and lets them talk. Every delivery is checked:
//! its octets, its order, and that it comes exactly once.
//!
//! The generator runs on this project's own reactor, on io_uring where there is one, and polls: a late
//! generator would be taken for latency. `tokio-uring` would do in bulk; one message at a time costs a
//! quarter more on it, and every connection needs a receive buffer of its own (docs/DEPENDENCIES.md has
//! the figures).
//!
//! **Invariant:** sends nothing but what the plan says, and counts nothing that was not checked.
#![forbid(unsafe_code)]

pub mod forwarder;
mod generator;
pub mod idle;
mod ledger;
pub mod limits;
mod pattern;
mod plan;
pub mod process;
mod reader;
mod report;
mod run;
mod sender;
pub mod setup;
mod watch;
mod wire;

pub use plan::{Plan, Rate, Transport};
pub use report::{Counts, Percentiles, Row, Summary};
pub use run::{run, run_until};
