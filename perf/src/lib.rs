//! What the programs that measure share: how the machine is, how far its cores are from each other, and how figures
//! of several runs are told.
#![forbid(unsafe_code)]

mod command;
pub mod cores;
pub mod machine;
mod spread;

pub use command::command_line;
pub use spread::{ABSENT, Spread, spread, told};
