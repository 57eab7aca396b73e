//! The load generator behind `mrf load` and `perf/compare`.
//!
//! A [`Plan`] says how many conferences with how many participants, which messages and how fast;
//! [`setup`] makes the sessions, by H.248, by SIP, through a relay or through a bare forwarder;
//! [`run()`] connects all participants from one thread and lets them talk. Every delivery is checked:
//! its octets, its order, and that it comes exactly once.
//!
//! The generator runs on this project's own reactor, on io_uring where there is one. `tokio-uring`
//! was considered: its last release (0.5.0, May 2024) builds on io-uring 0.6, it has neither
//! multishot receives nor provided-buffer rings, and its issue 336 says that it has no maintainer;
//! one receive per request and a copy per buffer would make the generator slower than what it
//! measures.
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
pub use run::run;
