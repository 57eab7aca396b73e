//! MSRP on the wire, without I/O: framing, heads, URIs, ranges and reassembly.
//!
//! The crate implements the message format of RFC 4975 (sections 5 to 7 and 9) plus the method
//! names of RFC 4976 and RFC 7701. Octets go in, borrowed views come out:
//!
//! 1. [`Deframer::next`] cuts a byte stream into frames: one [`Head`], any number of [`Body`]
//!    pieces, one [`Flag`]. It copies nothing unless a read ends in the middle of a head or of
//!    something that may become an end-line.
//! 2. [`Head`] holds the parsed header fields; a damaged head still frames, and says what is wrong
//!    in [`Head::fault`].
//! 3. [`mod@write`] prints responses, REPORTs and SEND heads; [`ident`] makes the identifiers.
//! 4. [`Reassembly`] tracks which octets of a message have arrived.
//! 5. [`mod@cpim`] reads the headers of a Message/CPIM wrapper from any pieces of a body.
//!
//! **Invariant:** no sockets, no clock, no threads, no randomness of its own, no logging.
#![forbid(unsafe_code)]

pub mod byte_range;
pub mod cpim;
pub mod deframe;
mod end_mark;
pub mod fuzzing;
mod habit;
pub mod head;
mod head_fault;
mod head_parse;
mod head_scan;
mod held;
pub mod ident;
pub mod limits;
mod media_type;
mod octet;
pub mod reassembly;
mod start_line;
mod status;
pub mod uri;
mod usual_response;
pub mod write;

pub use byte_range::{ByteRange, ByteRangeError};
pub use deframe::{Body, Deframer, Fatal, Flag, Item, Step};
pub use end_mark::whole_body;
pub use head::{FailureReport, Field, Head, HeadFault, Method, Start, Status, StatusCode};
pub use ident::{InlineIdent, find_end_line_token, is_ident, message_id, session_id, transact_id};
pub use limits::{Grammar, Limits};
pub use reassembly::{MessageBuffer, MessageTooLarge, Outcome, Reassembly};
pub use uri::{Host, MsrpUri, Scheme, UriError, session_id_of};
pub use write::SendHead;
