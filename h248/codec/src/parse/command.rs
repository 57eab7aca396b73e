//! Commands, their replies and the descriptors in both.

use super::{Failed, Parsed, Parser, Word};
use crate::ast::{
    AmmReply, AmmRequest, AuditDescriptor, AuditReply, AuditRequest, AuditToken, Command,
    CommandKind, CommandResult, Descriptor, ErrorDescriptor, ObservedEvents, ServiceChangeResult,
    TerminationId, TerminationIds,
};
use crate::error_code::ErrorCode;
use crate::token::Token;

/// On which side of a transaction a descriptor stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Request,
    Reply,
}

impl<'a> Parser<'a> {
    /// Terminations of the command at hand, noted for an error report.
    #[inline(always)]
    fn command_terminations(&mut self, kind: CommandKind) -> Parsed<TerminationIds> {
        self.equal()?;
        let at = self.cursor.pos();
        let terminations = self.termination_ids()?;
        self.progress.command = Some((kind, at));
        Ok(terminations)
    }

    /// What follows the name of a command in a request.
    #[inline(always)]
    pub(super) fn command(&mut self, kind: CommandKind) -> Parsed<Command> {
        let terminations = self.command_terminations(kind)?;
        Ok(match kind {
            CommandKind::Add => Command::Add(self.amm(terminations)?),
            CommandKind::Modify => Command::Modify(self.amm(terminations)?),
            CommandKind::Move => Command::Move(self.amm(terminations)?),
            CommandKind::Subtract => Command::Subtract {
                terminations,
                audit: self.optional_audit()?,
            },
            // Only version 3 lets a sender leave Audit out, but older ones have done so as well.
            CommandKind::AuditValue => Command::AuditValue(AuditRequest {
                terminations,
                audit: self.optional_audit()?,
            }),
            CommandKind::AuditCapability => Command::AuditCapability(AuditRequest {
                terminations,
                audit: self.optional_audit()?,
            }),
            CommandKind::Notify => self.notify(terminations)?,
            CommandKind::ServiceChange => {
                self.open()?;
                self.keyword(Token::Services, "Services")?;
                let services = Box::new(self.service_change()?);
                self.close()?;
                Command::ServiceChange {
                    terminations,
                    services,
                }
            }
        })
    }

    #[inline(always)]
    fn amm(&mut self, terminations: TerminationIds) -> Parsed<AmmRequest> {
        Ok(AmmRequest {
            terminations,
            descriptors: self.descriptors(Side::Request)?,
        })
    }

    fn keyword(&mut self, token: Token, expected: &'static str) -> Parsed<()> {
        let word = self.word(expected)?;
        if word.is(token) {
            return Ok(());
        }
        Err(self.failed(word.at, expected, ErrorCode::DESCRIPTOR_NOT_LEGAL))
    }

    /// `[{ Audit{...} }]`.
    fn optional_audit(&mut self) -> Parsed<Option<AuditDescriptor>> {
        if self.next() != Some(b'{') {
            return Ok(None);
        }
        self.open()?;
        self.keyword(Token::Audit, "Audit")?;
        let audit = self.audit_descriptor()?;
        self.close()?;
        Ok(Some(audit))
    }

    fn notify(&mut self, terminations: TerminationIds) -> Parsed<Command> {
        self.open()?;
        let word = self.word("ObservedEvents")?;
        let mut observed = ObservedEvents::default();
        let mut error = None;
        // Erlang/OTP writes the Error alone as well.
        if word.is(Token::Error) {
            error = Some(self.error_descriptor()?);
        } else {
            self.cursor.seek(word.at);
            self.keyword(Token::ObservedEvents, "ObservedEvents")?;
            observed = self.observed_events()?;
            if self.eat(b',') {
                self.keyword(Token::Error, "Error")?;
                error = Some(self.error_descriptor()?);
            }
        }
        self.close()?;
        Ok(Command::Notify {
            terminations,
            observed,
            error,
        })
    }

    /// `[{ descriptor, ... }]`, in a request each kind at most once.
    fn descriptors(&mut self, side: Side) -> Parsed<Vec<Descriptor>> {
        if self.next() != Some(b'{') {
            return Ok(Vec::new());
        }
        let mut seen = 0;
        self.list_into(|parser, descriptors| parser.descriptor(side, &mut seen, descriptors))
    }

    #[inline(always)]
    fn descriptor(
        &mut self,
        side: Side,
        seen: &mut u32,
        descriptors: &mut Vec<Descriptor>,
    ) -> Parsed<()> {
        let word = self.word("a descriptor")?;
        let token = word.token();
        let Some(bit) = descriptor_bit(token) else {
            return Err(self.unknown_descriptor(word));
        };
        self.check_legal(token, word.at, side)?;
        // In a reply, instances of a descriptor are alternatives (H.248.1 7.2.5 and 7.2.6).
        if side == Side::Request {
            self.once(seen, bit, word, ErrorCode::DESCRIPTOR_TWICE)?;
        }
        if side == Side::Reply
            && !matches!(self.next(), Some(b'{' | b'=' | b'['))
            && let Some(empty) = empty_descriptor(token)
        {
            descriptors.push(Descriptor::Empty(empty));
            return Ok(());
        }
        descriptors.push(match token {
            Some(Token::Media) => Descriptor::Media(self.media()?),
            Some(Token::Events) => Descriptor::Events(self.events()?),
            Some(Token::EventBuffer) => Descriptor::EventBuffer(self.event_buffer()?),
            Some(Token::Signals) => Descriptor::Signals(self.signals()?),
            Some(Token::DigitMap) => Descriptor::DigitMap(self.digit_map()?),
            Some(Token::Statistics) => Descriptor::Statistics(self.statistics()?),
            Some(Token::Audit) => Descriptor::Audit(self.audit_descriptor()?),
            Some(Token::ObservedEvents) => Descriptor::ObservedEvents(self.observed_events()?),
            Some(Token::Packages) => Descriptor::Packages(self.list(Self::package_version)?),
            Some(Token::Error) => Descriptor::Error(self.error_descriptor()?),
            Some(Token::Mux) => self.mux()?,
            Some(Token::Modem) => self.modem()?,
            _ => return Err(self.unknown_descriptor(word)),
        });
        Ok(())
    }

    fn unknown_descriptor(&mut self, word: Word<'_>) -> Failed {
        self.failed(word.at, "a descriptor", ErrorCode::UNKNOWN_DESCRIPTOR)
    }

    /// Which descriptors a request may hold: Statistics since version 3, no results ever.
    fn check_legal(&mut self, token: Option<Token>, at: usize, side: Side) -> Parsed<()> {
        let is_legal = match token {
            Some(Token::ObservedEvents | Token::Packages | Token::Error) => side == Side::Reply,
            Some(Token::Statistics) => side == Side::Reply || self.version >= 3,
            Some(Token::Audit) => side == Side::Request,
            _ => true,
        };
        if is_legal {
            return Ok(());
        }
        let expected = "a descriptor legal in this command";
        Err(self.failed(at, expected, ErrorCode::DESCRIPTOR_NOT_LEGAL))
    }

    /// What follows the name of a command in a reply.
    #[inline(always)]
    pub(super) fn command_result(&mut self, kind: CommandKind) -> Parsed<CommandResult> {
        Ok(match kind {
            CommandKind::Add => CommandResult::Add(self.amm_reply(kind)?),
            CommandKind::Modify => CommandResult::Modify(self.amm_reply(kind)?),
            CommandKind::Move => CommandResult::Move(self.amm_reply(kind)?),
            CommandKind::Subtract => CommandResult::Subtract(self.amm_reply(kind)?),
            CommandKind::AuditValue => CommandResult::AuditValue(self.audit_reply(kind)?),
            CommandKind::AuditCapability => CommandResult::AuditCapability(self.audit_reply(kind)?),
            CommandKind::Notify => CommandResult::Notify {
                terminations: self.command_terminations(kind)?,
                error: self.optional_error()?,
            },
            CommandKind::ServiceChange => CommandResult::ServiceChange {
                terminations: self.command_terminations(kind)?,
                result: self.service_change_result()?,
            },
        })
    }

    #[inline(always)]
    fn amm_reply(&mut self, kind: CommandKind) -> Parsed<AmmReply> {
        Ok(AmmReply {
            terminations: self.command_terminations(kind)?,
            descriptors: self.descriptors(Side::Reply)?,
        })
    }

    /// `=tid[{...}]`, `=Context{tid, ...}` or `=Context{Error=...}`.
    fn audit_reply(&mut self, kind: CommandKind) -> Parsed<AuditReply> {
        let at = self.cursor.pos();
        self.equal()?;
        let is_context = self.maybe_word().is(Token::Context);
        if !is_context || self.next() != Some(b'{') {
            self.cursor.seek(at);
            return Ok(AuditReply::Terminations(self.amm_reply(kind)?));
        }
        self.open()?;
        let start = self.cursor.pos();
        let is_error = self.maybe_word().is(Token::Error);
        if is_error && self.next() == Some(b'=') {
            let error = self.error_descriptor()?;
            self.close()?;
            return Ok(AuditReply::ContextError(error));
        }
        self.cursor.seek(start);
        let mut terminations: Vec<TerminationId> = Vec::new();
        self.separated(&mut |parser: &mut Self| {
            terminations.push(parser.termination_id()?);
            Ok(())
        })?;
        self.close()?;
        Ok(AuditReply::ContextList(terminations))
    }

    /// `[{ Error=... }]`.
    fn optional_error(&mut self) -> Parsed<Option<ErrorDescriptor>> {
        if self.next() != Some(b'{') {
            return Ok(None);
        }
        self.open()?;
        self.keyword(Token::Error, "Error")?;
        let error = self.error_descriptor()?;
        self.close()?;
        Ok(Some(error))
    }

    /// `[{ Services{...} | Error=... }]`.
    fn service_change_result(&mut self) -> Parsed<ServiceChangeResult> {
        if self.next() != Some(b'{') {
            return Ok(ServiceChangeResult::Empty);
        }
        self.open()?;
        let word = self.word("Services or Error")?;
        let result = match word.token() {
            Some(Token::Services) => {
                ServiceChangeResult::Services(Box::new(self.service_change_reply()?))
            }
            Some(Token::Error) => ServiceChangeResult::Error(self.error_descriptor()?),
            _ => return self.fail_at(word.at, "Services or Error"),
        };
        self.close()?;
        Ok(result)
    }
}

/// A bit to count each descriptor by; `None` if `token` is none's.
fn descriptor_bit(token: Option<Token>) -> Option<u32> {
    Some(match token {
        Some(Token::Media) => 0,
        Some(Token::Events) => 1,
        Some(Token::EventBuffer) => 2,
        Some(Token::Signals) => 3,
        Some(Token::DigitMap) => 4,
        Some(Token::Statistics) => 5,
        Some(Token::Audit) => 6,
        Some(Token::ObservedEvents) => 7,
        Some(Token::Packages) => 8,
        Some(Token::Error) => 9,
        Some(Token::Mux) => 10,
        Some(Token::Modem) => 11,
        _ => return None,
    })
}

/// Descriptors that have no empty form of their own: bare, they are [`Descriptor::Empty`].
fn empty_descriptor(token: Option<Token>) -> Option<AuditToken> {
    Some(match token {
        Some(Token::Media) => AuditToken::Media,
        Some(Token::Modem) => AuditToken::Modem,
        Some(Token::Mux) => AuditToken::Mux,
        Some(Token::DigitMap) => AuditToken::DigitMap,
        Some(Token::ObservedEvents) => AuditToken::ObservedEvents,
        Some(Token::Packages) => AuditToken::Packages,
        _ => return None,
    })
}
