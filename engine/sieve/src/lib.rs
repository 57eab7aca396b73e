//! Sieve (RFC 5228) for messages that pass by, without I/O: a script is compiled once, then judges
//! the beginnings of messages without allocating.
//!
//! What is there: `require`, `if`/`elsif`/`else`, `stop`, `keep`, `discard`, `reject` and `ereject`
//! (RFC 5429); `address`, `allof`, `anyof`, `exists`, `false`, `header`, `not`, `size`, `true`;
//! `:is`, `:contains`, `:matches`; the comparators `i;octet` and `i;ascii-casemap`. There is no
//! mailbox here: `fileinto` and `redirect` are refused when the script is compiled.
//!
//! ```text
//! text ── lex ──► tokens ── parse ──► Script ── judge(message) ──► Keep | Discard | Reject
//! ```
//!
//! Deviation: a string may also stand in single quotes, for protocols whose own strings cannot hold
//! a double quote (H.248.1 text).
//!
//! **Invariant:** no I/O, no clock, no knowledge of the protocol that carries the messages.
#![forbid(unsafe_code)]

mod address;
mod error;
pub mod fuzzing;
mod lex;
pub mod limits;
mod matching;
mod parse;
mod script;
#[cfg(test)]
mod tests;

pub use error::{Error, ErrorKind};
pub use script::{Message, Script, Verdict};
