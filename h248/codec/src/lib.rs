//! H.248.1 text encoding, versions 1 to 3: typed AST, parser and printers. Sans-IO.
//!
//! [`parse()`] reads a whole message or says where it is wrong; [`parse_recovering`] is for
//! endpoints, which answer what they can. [`print()`] writes either with long tokens for people or
//! with short ones for the wire; both are what Erlang/OTP and Wireshark decode.
//!
//! ```
//! use h248::{Encoding, Limits, parse, print};
//!
//! let text = b"MEGACO/2 <mgc.example.net>:2944 Transaction = 1 { Context = 7 { Subtract = * } }";
//! let message = parse(text, &Limits::default())?;
//! let compact = print(&message, Encoding::Compact);
//! assert_eq!(compact, b"!/2 <mgc.example.net>:2944\nT=1{C=7{S=*}}");
//! # Ok::<(), h248::ParseError>(())
//! ```
//!
//! **Invariant:** the codec does not know what a command means; SDP stays opaque text.
#![forbid(unsafe_code)]

pub mod ast;
mod convert;
pub mod error_code;
pub mod fuzzing;
mod lex;
pub mod limits;
mod marks;
mod parse;
mod print;
mod token;

pub use convert::TerminationIdError;
pub use error_code::{ErrorCode, ServiceChangeReason};
pub use limits::Limits;
pub use parse::{
    BrokenTransaction, ParseError, Received, ReceivedBody, VERSIONS, parse, parse_recovering,
};
pub use print::{Encoding, print, print_into, print_transaction, print_transactions};
