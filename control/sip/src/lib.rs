//! SIP for a conference focus and for simple clients: messages, transactions, dialogs (sans-IO),
//! and a tokio shell with UDP and TCP sockets.
#![forbid(unsafe_code)]

mod addr;

pub use addr::{SipAddr, SipAddrError, Transport};
