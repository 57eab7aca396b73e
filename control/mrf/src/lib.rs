//! The `mrf` command: servers, a chat client, a flow checker, a load generator and decoders.
//!
//! **Invariant:** holds no protocol logic; it wires the crates that do.
#![forbid(unsafe_code)]

pub mod chat;
pub mod check_config;
pub mod cli;
pub mod config;
pub mod consistency;
pub mod cpim;
pub mod decode;
pub mod flow;
pub mod http;
pub mod install;
pub mod limits;
pub mod live;
pub mod load;
pub mod logging;
pub mod msrp_client;
pub mod participant;
pub mod position;
pub mod ready;
pub mod secrets;
pub mod serve;
pub mod settings;
pub mod start_fault;
pub mod values;
