//! The binary as users run it: processes, pipes, sockets, signals, exit codes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod chat;
mod config;
mod cut;
mod decode;
mod flow;
mod kill;
mod leave;
mod load;
mod program;
mod secured;
mod servers;
#[path = "../../../mrfc/tests/e2e/wire.rs"]
mod wire;
