//! The seam to the codec: messages in and out of octets.

use bytes::Bytes;
use h248::ast::{
    ErrorDescriptor, MId, Message, MessageBody, Transaction, TransactionId, TransactionRequest,
};

use crate::BrokenTail;

/// A message as far as it was readable.
pub(crate) struct Received {
    pub(crate) version: u8,
    pub(crate) mid: MId,
    pub(crate) body: Body,
}

pub(crate) enum Body {
    Error(ErrorDescriptor),
    Items(Vec<Item>),
}

pub(crate) enum Item {
    Whole(Transaction),
    Broken(Broken),
}

/// A transaction of which only the beginning was readable, if anything.
pub(crate) struct Broken {
    pub(crate) id: Option<TransactionId>,
    pub(crate) is_request: bool,
    pub(crate) partial: Option<TransactionRequest>,
    pub(crate) tail: BrokenTail,
    pub(crate) what: String,
}

/// A message without a readable header.
pub(crate) struct Unreadable {
    pub(crate) error: ErrorDescriptor,
    pub(crate) what: String,
}

impl Item {
    pub(crate) fn is_request(&self) -> bool {
        match self {
            Self::Whole(transaction) => matches!(transaction, Transaction::Request(_)),
            Self::Broken(broken) => broken.is_request,
        }
    }
}

/// Stand-ins until the codec has its own.
pub mod shim {
    /// Token form.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Encoding {
        /// Long tokens.
        Pretty,
        /// Short tokens.
        Compact,
    }
    /// Bounds of the parser.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct Limits;
}

pub(crate) fn read(_octets: &[u8], _limits: &crate::Limits) -> Result<Received, Unreadable> {
    Err(Unreadable {
        error: crate::error(400, "Syntax error in message"),
        what: String::new(),
    })
}

pub(crate) fn print(message: &Message, _encoding: crate::Encoding) -> Bytes {
    Bytes::from(format!("{message:?}"))
}
