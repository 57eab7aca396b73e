//! Reading a message of which some transactions are broken.
//!
//! ```text
//! header unreadable            -> the whole message fails, 400
//! for each transaction:
//!     parse it
//!     failed -> keep what was whole of it, go back to its start,
//!               skip to the brace that closes it (strings, comments and SDP skipped as such)
//! ```
//!
//! Each transaction is looked at twice at most, so the work stays linear in the text.

use super::{Failed, ParseError, Parsed, Parser, added, transaction};
use crate::ast::{
    Authentication, CommandKind, ContextId, ErrorDescriptor, MId, TerminationIds, Transaction,
    TransactionId, TransactionRequest,
};
use crate::error_code::ErrorCode;
use crate::limits::Limits;
use crate::token::Token;

/// A message as far as it could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Interim authentication header.
    pub authentication: Option<Box<Authentication>>,
    /// Version of the header, 0 to 99: whether it is acceptable is for the endpoint to say. The
    /// body of an unknown version is read by the rules of the nearest known one.
    pub version: u8,
    /// The sender's name.
    pub mid: MId,
    /// What it carries.
    pub body: ReceivedBody,
}

/// What a received message carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceivedBody {
    /// Message-level error; nobody replies to it.
    Error(ErrorDescriptor),
    /// At least one transaction, in order.
    Transactions(Vec<Result<Transaction, BrokenTransaction>>),
}

/// A transaction that violates the grammar or a limit somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenTransaction {
    /// Its id, if that was readable.
    pub id: Option<TransactionId>,
    /// Whether it is, or may be, a request: only those are answered.
    pub is_request: bool,
    /// What precedes the failure in a request: whole actions and, in the last one, whole commands.
    /// Never without a command, property or audit in each action. `None` also when the failure is
    /// in no action with a readable context: then the error answers the transaction as a whole, and
    /// executing some of it would not show.
    pub partial: Option<TransactionRequest>,
    /// The context of the action that failed, if the failure is inside an action.
    pub context: Option<ContextId>,
    /// The command that failed, if the failure is inside one whose terminations were readable.
    pub command: Option<(CommandKind, TerminationIds)>,
    /// What to answer: 403, 422, 442, 443, 444 and so on, by place.
    pub code: ErrorCode,
    /// What was wrong, and where.
    pub error: ParseError,
}

/// Parses a message for an endpoint, which has to answer every transaction it can make out.
///
/// # Errors
///
/// Only when there is no telling what to answer to whom: the header is unreadable (400), the
/// message is too long (400), empty (400) or holds too many transactions (413).
pub fn parse_recovering(text: &[u8], limits: &Limits) -> Result<Received, ParseError> {
    let mut parser = Parser::new(text, limits);
    let received = parser.received(text);
    received.map_err(|Failed| parser.failure.locate(text))
}

impl Parser<'_> {
    fn received(&mut self, text: &[u8]) -> Parsed<Received> {
        let header = self.header()?;
        let body = match self.message_error()? {
            Some(error) => ReceivedBody::Error(error),
            None => ReceivedBody::Transactions(self.transactions(text)?),
        };
        Ok(Received {
            authentication: header.authentication,
            version: header.version,
            mid: header.mid,
            body,
        })
    }

    #[expect(
        clippy::result_large_err,
        reason = "items of a list, which no function returns"
    )]
    fn transactions(&mut self, text: &[u8]) -> Parsed<Vec<Result<Transaction, BrokenTransaction>>> {
        let mut transactions = Vec::with_capacity(1);
        while !self.is_at_end() {
            self.check_transactions(transactions.len())?;
            let start = self.cursor.pos();
            let place = added(&mut transactions, || Ok(transaction::unread()));
            if let Ok(transaction) = place
                && self.transaction(transaction).is_err()
            {
                let broken =
                    self.broken(text, core::mem::replace(transaction, transaction::unread()));
                *place = Err(broken);
                self.resume_after(start);
            }
        }
        if transactions.is_empty() {
            return self.fail("a transaction or an Error");
        }
        Ok(transactions)
    }

    /// Describes the transaction at hand, which a failure has ended after what `transaction` holds.
    fn broken(&mut self, text: &[u8], transaction: Transaction) -> BrokenTransaction {
        let failure = self.failure;
        let progress = core::mem::take(&mut self.progress);
        let mut actions: Vec<_> = match transaction {
            Transaction::Request(request) => request.actions.into_iter().collect(),
            Transaction::Reply(_)
            | Transaction::Pending(_)
            | Transaction::Ack(_)
            | Transaction::Segment { .. } => Vec::new(),
        };
        // An action that breaks among its properties, before any command, is not begun.
        let is_of_command = progress.command.is_some()
            || matches!(
                failure.code,
                ErrorCode::SYNTAX_ERROR_IN_COMMAND | ErrorCode::UNKNOWN_COMMAND
            );
        if progress.context.is_some() && !is_of_command {
            actions.pop_if(|action| action.commands.is_empty());
        }
        actions.retain(|action| {
            !action.commands.is_empty() || !action.properties.is_empty() || action.audit.is_some()
        });
        let is_placeable = progress.is_request && progress.context.is_some();
        let partial = match progress.id {
            Some(id) if is_placeable && !actions.is_empty() => {
                let actions = actions.into();
                Some(TransactionRequest { id, actions })
            }
            _ => None,
        };
        BrokenTransaction {
            id: progress.id,
            is_request: progress.is_request,
            partial,
            context: progress.context,
            command: progress.command.and_then(|(kind, at)| {
                self.cursor.seek(at);
                Some((kind, self.termination_ids().ok()?))
            }),
            code: failure.code,
            error: failure.locate(text),
        }
    }

    /// Goes on behind the brace that closes the transaction begun at `start`, or to the end.
    fn resume_after(&mut self, start: usize) {
        self.code = ErrorCode::SYNTAX_ERROR_IN_MESSAGE;
        self.cursor.seek(start);
        let mut skipper = Skipper::default();
        while !self.is_at_end() {
            let octet = self.cursor.peek().unwrap_or_default();
            let is_closed = match octet {
                b'"' => {
                    if self.cursor.quoted().is_none() {
                        self.cursor.skip();
                    }
                    false
                }
                b'{' => {
                    self.cursor.skip();
                    if skipper.open(self.limits.depth) {
                        self.skip_octets();
                    }
                    false
                }
                b'}' => {
                    self.cursor.skip();
                    skipper.close()
                }
                b'=' => {
                    self.cursor.skip();
                    skipper.equal();
                    false
                }
                // A comment without an end: looking for it from each `;` again would be quadratic.
                b';' => return self.cursor.seek(self.cursor.len()),
                _ => {
                    let word = Token::of(self.cursor.word().octets);
                    if word.is_none() && self.cursor.peek() == Some(octet) {
                        self.cursor.skip();
                    }
                    skipper.word(word);
                    false
                }
            };
            if is_closed {
                return;
            }
        }
    }

    /// Skips the text of a Local or Remote to its closing brace, or to the end of the message.
    fn skip_octets(&mut self) {
        if self.cursor.octets().is_none() {
            let end = self.cursor.len();
            self.cursor.seek(end);
        }
    }
}

/// Knows, while skipping, whether an opening brace begins an octet string.
#[derive(Default)]
struct Skipper {
    /// For each open brace, whether it is Media's or Stream's.
    open: Vec<bool>,
    /// Open braces beyond the limit, which are only counted.
    beyond: usize,
    /// The keyword that would own the next brace.
    owner: Option<Token>,
    /// The owner stays while its value is read: `Stream = 1 {`.
    is_assigned: bool,
}

impl Skipper {
    fn word(&mut self, token: Option<Token>) {
        if !self.is_assigned {
            self.owner = token;
        }
        self.is_assigned = false;
    }

    fn equal(&mut self) {
        self.is_assigned = true;
    }

    /// Notes an opening brace; says whether octets follow.
    fn open(&mut self, depth: usize) -> bool {
        let owner = self.owner.take();
        self.is_assigned = false;
        let in_media = self.beyond == 0 && self.open.last() == Some(&true);
        if self.open.len() >= depth {
            self.beyond += 1;
        } else {
            let is_media = matches!(owner, Some(Token::Media | Token::Stream));
            self.open.push(is_media);
        }
        in_media && matches!(owner, Some(Token::Local | Token::Remote))
    }

    /// Notes a closing brace; says whether it was the outermost one.
    fn close(&mut self) -> bool {
        self.owner = None;
        self.is_assigned = false;
        if self.beyond > 0 {
            self.beyond -= 1;
            return false;
        }
        self.open.pop();
        self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Octets looked at while reading `!/3 <a> `, `count` times `part` and `end`.
    fn work(part: &str, end: &str, count: usize) -> usize {
        let text = format!("!/3 <a> {}{end}", part.repeat(count));
        let limits = Limits {
            transactions: usize::MAX,
            message_octets: usize::MAX,
            ..Limits::default()
        };
        let mut parser = Parser::new(text.as_bytes(), &limits);
        // Whether it can be read does not matter here.
        let _ = parser.received(text.as_bytes());
        parser.cursor.work
    }

    #[test]
    fn twice_the_text_is_at_most_about_twice_the_work() {
        let parts = [
            "{",
            "}",
            "\"",
            ";",
            "; ",
            ";\n",
            "\\",
            "T=1{",
            "T=1{C=1{",
            "T=1{C=1{S=a}",
            "=",
            ",",
            "L{",
            "M{L{",
            "M{ST=1{L{",
            "T=1{C=1{A=a{M{L{",
            "T=1{C=1{A=a{M{L{\\}",
            "\"\u{1}",
            "\"a\n",
            "T={}",
            "x{\"",
            "P=1{C=1{AV=C{",
            "T=1{C=1{A=a{DM={",
            "T=1{C=1{A=a{E=1{a/b{EM{E=1{",
            "T=1{C=1{TP{a,b,OW,c,d,OW,",
            "K{1,",
            "[",
            "T=1{C=1{S=[a,",
            "\n",
            "PN=1{}",
            "PN=1{} ;",
            "ST=1 { L { } ",
            "T=1{C=1{A=a{SG{SL=1{a/b,",
            "T=1{C=1{A=a{M{O{a/b=[1,",
            "\0",
            "\u{e9}",
        ];
        for part in parts {
            for end in ["", "}", "\"", "\n", ";", "L{"] {
                let (once, twice) = (work(part, end, 400), work(part, end, 800));
                let bound = once * 5 / 2 + 1_000;
                assert!(
                    twice <= bound,
                    "{part:?} then {end:?}: {once}, then {twice}"
                );
            }
        }
    }
}
