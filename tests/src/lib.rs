//! What the simulation and the end-to-end tests share: an MSRP peer that is slow and obvious, and
//! shares no code with the engine.
#![forbid(unsafe_code)]

pub mod conformance;
pub mod fuzzing;
pub mod peer;
