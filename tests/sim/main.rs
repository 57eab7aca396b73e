//! Real shards on a simulated network: everything random comes from one seed.
//!
//! `SIM_SEED=n cargo test -p mrf-tests sim` replays one run; `SIM_RUNS=n` runs that many seeds.

mod conference;
mod room;
mod shared;
mod spread;
mod stall;
mod world;
