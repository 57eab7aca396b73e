//! What the simulation and the end-to-end tests share: an MSRP peer, the client's side of WebSocket and
//! a controller that are slow and obvious, and share no code with the engine.
#![forbid(unsafe_code)]

pub mod conformance;
pub mod controller;
pub mod fuzzing;
pub mod peer;
pub mod steady;
pub mod websocket;
