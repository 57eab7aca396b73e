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
    Broken(Box<Broken>),
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

static SHIM: std::sync::Mutex<Vec<Message>> = std::sync::Mutex::new(Vec::new());

pub(crate) fn read(octets: &[u8], _limits: &crate::Limits) -> Result<Received, Unreadable> {
    let bad = || Unreadable {
        error: crate::error(400, "Syntax error in message"),
        what: "shim".into(),
    };
    let text = core::str::from_utf8(octets).map_err(|_| bad())?;
    let n: usize = text
        .strip_prefix("MSG")
        .ok_or_else(bad)?
        .trim()
        .parse()
        .map_err(|_| bad())?;
    let m = SHIM.lock().unwrap()[n].clone();
    Ok(Received {
        version: m.version,
        mid: m.mid,
        body: match m.body {
            MessageBody::Error(e) => Body::Error(e),
            MessageBody::Transactions(t) => Body::Items(t.into_iter().map(Item::Whole).collect()),
        },
    })
}

pub(crate) fn print(message: &Message, _encoding: crate::Encoding) -> Bytes {
    let mut all = SHIM.lock().unwrap();
    all.push(message.clone());
    let n = all.len() - 1;
    let len = format!("{message:?}").len();
    Bytes::from(format!("MSG{n}{:len$}", ""))
}
