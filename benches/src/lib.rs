//! What is benchmarked, each with a check of its own answer: by time in `benches/`, by instructions in
//! `bin/instructions`.
#![forbid(unsafe_code)]

pub mod call;
pub mod fan_out;
pub mod frames;
pub mod reservation;
