//! Transactions and their actions.

use super::context::is_context_property;
use super::value::number;
use super::{Parsed, Parser, Word, added_few, command};
use crate::ast::{
    ActionReply, ActionRequest, CommandKind, CommandReply, CommandRequest, ContextId,
    ContextProperties, Few, ReplyBody, Segment, Transaction, TransactionId, TransactionReply,
    TransactionRequest,
};
use crate::error_code::ErrorCode;
use crate::token::Token;

/// What has been read of the transaction at hand; all of it counts if the rest is broken.
#[derive(Default)]
pub(super) struct Progress {
    pub(super) id: Option<TransactionId>,
    pub(super) is_request: bool,
    /// The context of the action at hand.
    pub(super) context: Option<ContextId>,
    /// The command at hand, from when its terminations are known, and where they stand.
    pub(super) command: Option<(CommandKind, usize)>,
}

impl Progress {
    /// Whatever cannot be named may have been a request: its sender would wait for a reply.
    fn begin(&mut self) {
        self.id = None;
        self.is_request = true;
        self.context = None;
        self.command = None;
    }
}

/// A command's name, and what stands before it.
#[derive(Clone, Copy)]
struct Prefixes {
    kind: CommandKind,
    optional: bool,
    wildcard_response: bool,
}

impl Prefixes {
    const fn none(kind: CommandKind) -> Self {
        Self {
            kind,
            optional: false,
            wildcard_response: false,
        }
    }
}

/// Items of an action that come before its commands.
const ACTION_ITEM: &str = "a context property, a ContextAudit or a command";

/// A transaction that is still to be read.
pub(super) fn unread() -> Transaction {
    Transaction::Pending(TransactionId(0))
}

/// Puts `what` in the place of an [`unread`] transaction.
#[inline(always)]
fn begun(transaction: &mut Transaction, what: Transaction) {
    debug_assert!(matches!(transaction, Transaction::Pending(_)));
    // Nothing is lost by not dropping it.
    core::mem::forget(core::mem::replace(transaction, what));
}

impl<'a> Parser<'a> {
    /// Reads a transaction. If it fails, finished actions of a request are in `transaction`, and the one
    /// at hand as far as its commands are whole.
    pub(super) fn transaction(&mut self, transaction: &mut Transaction) -> Parsed<()> {
        self.progress.begin();
        self.commands = 0;
        self.depth = 0;
        self.is_embedded = false;
        self.code = ErrorCode::SYNTAX_ERROR_IN_TRANSACTION;
        let word = self.word("a transaction")?;
        let token = word.token();
        self.progress.is_request = !matches!(
            token,
            Some(Token::Reply | Token::Pending | Token::TransactionResponseAck | Token::Segment)
        );
        match token {
            Some(Token::Transaction) => self.request(transaction)?,
            Some(Token::Reply) => self.reply(transaction)?,
            Some(Token::Pending) => *transaction = self.pending()?,
            Some(Token::TransactionResponseAck) => {
                *transaction = Transaction::Ack(self.list(Self::ack_range)?);
            }
            Some(Token::Segment) if self.version >= 3 => *transaction = self.segment()?,
            _ => return self.fail_at(word.at, "a transaction"),
        }
        self.code = ErrorCode::SYNTAX_ERROR_IN_MESSAGE;
        Ok(())
    }

    #[inline(always)]
    fn transaction_id(&mut self) -> Parsed<TransactionId> {
        let id = self.assigned("a transaction id", transaction_id)?;
        self.progress.id = Some(id);
        Ok(id)
    }

    fn pending(&mut self) -> Parsed<Transaction> {
        let id = self.transaction_id()?;
        self.open()?;
        self.close()?;
        Ok(Transaction::Pending(id))
    }

    fn ack_range(&mut self) -> Parsed<(TransactionId, TransactionId)> {
        self.read_text("a transaction id or a range of them", |text| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            Some((
                transaction_id(first.as_bytes())?,
                transaction_id(last.as_bytes())?,
            ))
        })
    }

    fn segment(&mut self) -> Parsed<Transaction> {
        let (id, segment) = self.assigned("an id, \"/\" and a segment number", |text| {
            let (id, segment) = id_and_segment(text)?;
            Some((id, segment?))
        })?;
        self.progress.id = Some(id);
        Ok(Transaction::Segment { id, segment })
    }

    fn request(&mut self, transaction: &mut Transaction) -> Parsed<()> {
        let id = self.transaction_id()?;
        let actions = Few::default();
        begun(
            transaction,
            Transaction::Request(TransactionRequest { id, actions }),
        );
        let Transaction::Request(request) = transaction else {
            unreachable!("it is made a request above");
        };
        self.braced(|parser| parser.action_request(&mut request.actions))
    }

    fn action_request(&mut self, actions: &mut Few<ActionRequest>) -> Parsed<()> {
        self.context_keyword()?;
        self.within(ErrorCode::SYNTAX_ERROR_IN_ACTION, |parser| {
            let context = parser.assigned_context()?;
            let action = added_few(actions, || ActionRequest {
                context,
                properties: ContextProperties::default(),
                audit: None,
                commands: Few::default(),
            });
            let mut seen = 0;
            parser.braced(|parser| parser.action_item(&mut seen, action))
        })?;
        self.progress.context = None;
        Ok(())
    }

    #[inline(always)]
    fn context_keyword(&mut self) -> Parsed<()> {
        let word = self.word("Context")?;
        if word.is(Token::Context) {
            return Ok(());
        }
        self.fail_at(word.at, "Context")
    }

    #[inline(always)]
    fn assigned_context(&mut self) -> Parsed<ContextId> {
        let context = self.assigned("a context id", context_id)?;
        self.progress.context = Some(context);
        Ok(context)
    }

    fn action_item(&mut self, seen: &mut u32, action: &mut ActionRequest) -> Parsed<()> {
        let word = self.word(ACTION_ITEM)?;
        let token = word.token();
        if let Some(kind) = command_kind(token) {
            return self.command_request(word, Prefixes::none(kind), &mut action.commands);
        }
        if is_context_property(token) {
            return self.context_property(word, seen, &mut action.properties);
        }
        if token == Some(Token::ContextAudit) && self.next() == Some(b'{') {
            self.once(seen, 31, word, self.code)?;
            action.audit = Some(self.context_audit()?);
            return Ok(());
        }
        let prefixes = self.prefixes(word)?;
        self.command_request(word, prefixes, &mut action.commands)
    }

    /// Reads the command that `word` names and adds it to `commands`, if it is whole.
    fn command_request(
        &mut self,
        word: Word<'a>,
        prefixes: Prefixes,
        commands: &mut Few<CommandRequest>,
    ) -> Parsed<()> {
        let outer = self.begin_command(word)?;
        let request = added_few(commands, || CommandRequest {
            optional: prefixes.optional,
            wildcard_response: prefixes.wildcard_response,
            command: command::unread(prefixes.kind),
        });
        if let Err(failed) = self.command(prefixes.kind, &mut request.command) {
            commands.pop();
            return Err(failed);
        }
        self.end_command(outer);
        Ok(())
    }

    /// Puts the code of a command in force, whose `word` has been read. Returns the code of the
    /// action, for [`Self::end_command`]; a failure of the command leaves the command's.
    #[inline(always)]
    fn begin_command(&mut self, word: Word<'a>) -> Parsed<ErrorCode> {
        if self.commands == self.limits.commands {
            return self.fail_at(word.at, "fewer commands");
        }
        self.commands += 1;
        let in_command = ErrorCode::SYNTAX_ERROR_IN_COMMAND;
        Ok(core::mem::replace(&mut self.code, in_command))
    }

    #[inline(always)]
    fn end_command(&mut self, outer: ErrorCode) {
        self.code = outer;
        self.progress.command = None;
    }

    /// `[O-][W-]command`.
    #[inline(never)]
    fn prefixes(&mut self, word: Word<'a>) -> Parsed<Prefixes> {
        let (optional, rest) = strip_prefix(word.octets, b'O');
        let (wildcard_response, rest) = strip_prefix(rest, b'W');
        match command_kind(Token::of(rest)) {
            Some(kind) => Ok(Prefixes {
                kind,
                optional,
                wildcard_response,
            }),
            None => Err(self.failed(word.at, ACTION_ITEM, ErrorCode::UNKNOWN_COMMAND)),
        }
    }

    fn reply(&mut self, transaction: &mut Transaction) -> Parsed<()> {
        let expected = "a transaction id";
        self.equal()?;
        let word = self.word(expected)?;
        let Some((id, segment)) = id_and_segment(word.octets) else {
            return self.fail_at(word.at, expected);
        };
        if segment.is_some() {
            self.since(3, word)?;
        }
        self.progress.id = Some(id);
        self.open()?;
        let mut immediate_ack = false;
        let mut word = self.word("Context, Error or ImmAckRequired")?;
        if word.is(Token::ImmAckRequired) {
            immediate_ack = true;
            self.expect(b',', "\",\"")?;
            word = self.word("Context or Error")?;
        }
        let reply = TransactionReply {
            id,
            segment,
            immediate_ack,
            body: ReplyBody::Actions(Few::default()),
        };
        begun(transaction, Transaction::Reply(reply));
        if let Transaction::Reply(reply) = transaction {
            self.reply_body(word, &mut reply.body)?;
        }
        self.close()
    }

    #[inline(always)]
    fn reply_body(&mut self, word: Word<'a>, body: &mut ReplyBody) -> Parsed<()> {
        if word.is(Token::Error) {
            *body = ReplyBody::Error(self.error_descriptor()?);
            return Ok(());
        }
        let ReplyBody::Actions(actions) = body else {
            unreachable!("a reply begins without an error");
        };
        self.cursor.seek(word.at);
        self.separated(&mut |parser: &mut Self| {
            parser.context_keyword()?;
            parser.within(ErrorCode::SYNTAX_ERROR_IN_ACTION, |parser| {
                let context = parser.assigned_context()?;
                let reply = added_few(actions, || ActionReply {
                    context,
                    properties: ContextProperties::default(),
                    commands: Few::default(),
                    error: None,
                });
                parser.action_reply(reply)
            })
        })
    }

    fn action_reply(&mut self, reply: &mut ActionReply) -> Parsed<()> {
        let mut seen = 0;
        // Without braces there was nothing to say, which only version 3 can say.
        if self.version < 3 || self.next() == Some(b'{') {
            self.braced(|parser| parser.reply_item(&mut seen, reply))?;
        }
        Ok(())
    }

    fn reply_item(&mut self, seen: &mut u32, reply: &mut ActionReply) -> Parsed<()> {
        let word = self.word("a context property, a command reply or Error")?;
        if reply.error.is_some() {
            return self.fail_at(word.at, "nothing after the Error of an action");
        }
        let token = word.token();
        if let Some(kind) = command_kind(token) {
            return self.command_reply(word, Prefixes::none(kind), &mut reply.commands);
        }
        if token == Some(Token::Error) {
            reply.error = Some(self.error_descriptor()?);
            return Ok(());
        }
        if is_context_property(token) {
            return self.context_property(word, seen, &mut reply.properties);
        }
        let prefixes = self.prefixes(word)?;
        self.command_reply(word, prefixes, &mut reply.commands)
    }

    /// Reads the reply of the command that `word` names and adds it to `replies`.
    fn command_reply(
        &mut self,
        word: Word<'a>,
        prefixes: Prefixes,
        replies: &mut Few<CommandReply>,
    ) -> Parsed<()> {
        let outer = self.begin_command(word)?;
        let reply = added_few(replies, || CommandReply {
            optional: prefixes.optional,
            wildcard_response: prefixes.wildcard_response,
            result: command::unread_result(prefixes.kind),
        });
        self.command_result(prefixes.kind, &mut reply.result)?;
        self.end_command(outer);
        Ok(())
    }
}

/// What stands behind `letter` and a hyphen, if `word` begins so.
#[inline]
fn strip_prefix(word: &[u8], letter: u8) -> (bool, &[u8]) {
    match word {
        [first, b'-', rest @ ..] if first.eq_ignore_ascii_case(&letter) => (true, rest),
        _ => (false, word),
    }
}

fn command_kind(token: Option<Token>) -> Option<CommandKind> {
    Some(match token {
        Some(Token::Add) => CommandKind::Add,
        Some(Token::Modify) => CommandKind::Modify,
        Some(Token::Move) => CommandKind::Move,
        Some(Token::Subtract) => CommandKind::Subtract,
        Some(Token::AuditValue) => CommandKind::AuditValue,
        Some(Token::AuditCapability) => CommandKind::AuditCapability,
        Some(Token::Notify) => CommandKind::Notify,
        Some(Token::ServiceChange) => CommandKind::ServiceChange,
        _ => return None,
    })
}

fn transaction_id(text: &[u8]) -> Option<TransactionId> {
    number(text, 10).map(TransactionId)
}

/// `id[/number[/END]]`.
fn id_and_segment(text: &[u8]) -> Option<(TransactionId, Option<Segment>)> {
    let mut parts = text.split(|c| *c == b'/');
    let id = transaction_id(parts.next()?)?;
    let Some(segment) = parts.next() else {
        return Some((id, None));
    };
    let number = number(segment, 5)?;
    let is_last = match parts.next() {
        Some(end) if Token::of(end) == Some(Token::End) => true,
        Some(_) => return None,
        None => false,
    };
    let segment = Segment { number, is_last };
    parts.next().is_none().then_some((id, Some(segment)))
}

/// A ContextID; the reserved numbers are not for use on the wire.
pub(super) fn context_id(text: &[u8]) -> Option<ContextId> {
    match text {
        b"-" => Some(ContextId::Null),
        b"$" => Some(ContextId::Choose),
        b"*" => Some(ContextId::All),
        _ => match number(text, 10)? {
            0 | 0xFFFF_FFFE | 0xFFFF_FFFF => None,
            id => Some(ContextId::Id(id)),
        },
    }
}
