//! Commands, their replies and the descriptors in both.

use super::{Failed, Parsed, Parser, Word, added, service};
use crate::ast::{
    AmmReply, AmmRequest, AuditDescriptor, AuditReply, AuditRequest, AuditToken, Command,
    CommandKind, CommandResult, Descriptor, DigitMap, ErrorDescriptor, Events, Media, Name,
    ObservedEvents, ServiceChangeResult, TerminationId, TerminationIds,
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
    fn command_terminations(
        &mut self,
        kind: CommandKind,
        terminations: &mut TerminationIds,
    ) -> Parsed<()> {
        self.equal()?;
        let at = self.cursor.pos();
        *terminations = self.termination_ids()?;
        self.progress.command = Some((kind, at));
        Ok(())
    }

    /// What follows the name of a command in a request. `command` is an [`unread`] one of that kind.
    pub(super) fn command(&mut self, kind: CommandKind, command: &mut Command) -> Parsed<()> {
        self.command_terminations(kind, command.terminations_mut())?;
        match command {
            Command::Add(amm) | Command::Modify(amm) | Command::Move(amm) => {
                self.descriptors(Side::Request, &mut amm.descriptors)?;
            }
            Command::Subtract { audit, .. } => *audit = self.optional_audit()?,
            // Only version 3 lets a sender leave Audit out, but older ones have done so as well.
            Command::AuditValue(request) | Command::AuditCapability(request) => {
                request.audit = self.optional_audit()?;
            }
            Command::Notify {
                observed, error, ..
            } => self.notify(observed, error)?,
            Command::ServiceChange { services, .. } => {
                self.open()?;
                self.keyword(Token::Services, "Services")?;
                self.service_change(services)?;
                self.close()?;
            }
        }
        Ok(())
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

    fn notify(
        &mut self,
        observed: &mut ObservedEvents,
        error: &mut Option<ErrorDescriptor>,
    ) -> Parsed<()> {
        self.open()?;
        let word = self.word("ObservedEvents")?;
        // Erlang/OTP writes the Error alone as well.
        if word.is(Token::Error) {
            *error = Some(self.error_descriptor()?);
        } else {
            self.cursor.seek(word.at);
            self.keyword(Token::ObservedEvents, "ObservedEvents")?;
            self.observed_events(observed)?;
            if self.eat(b',') {
                self.keyword(Token::Error, "Error")?;
                *error = Some(self.error_descriptor()?);
            }
        }
        self.close()
    }

    /// `[{ descriptor, ... }]`, in a request each kind at most once.
    fn descriptors(&mut self, side: Side, descriptors: &mut Vec<Descriptor>) -> Parsed<()> {
        if self.next() != Some(b'{') {
            return Ok(());
        }
        let mut seen = 0;
        self.list_into(descriptors, |parser, descriptors| {
            parser.descriptor(side, &mut seen, descriptors)
        })
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
        match added(descriptors, || unread_descriptor(token)) {
            Descriptor::Media(media) => self.media(media)?,
            Descriptor::Events(events) => self.events(events)?,
            Descriptor::EventBuffer(events) => self.event_buffer(events)?,
            Descriptor::Signals(signals) => *signals = self.signals()?,
            Descriptor::DigitMap(map) => *map = self.digit_map()?,
            Descriptor::Statistics(statistics) => self.statistics(statistics)?,
            Descriptor::Audit(audit) => *audit = self.audit_descriptor()?,
            Descriptor::ObservedEvents(observed) => self.observed_events(observed)?,
            Descriptor::Packages(packages) => *packages = self.list(Self::package_version)?,
            Descriptor::Error(error) => *error = self.error_descriptor()?,
            mux @ Descriptor::Mux { .. } => *mux = self.mux()?,
            modem @ Descriptor::Modem { .. } => *modem = self.modem()?,
            Descriptor::Empty(_) => return Err(self.unknown_descriptor(word)),
        }
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

    /// What follows the name of a command in a reply. `result` is an [`unread_result`] of that kind.
    pub(super) fn command_result(
        &mut self,
        kind: CommandKind,
        result: &mut CommandResult,
    ) -> Parsed<()> {
        match result {
            CommandResult::Add(reply)
            | CommandResult::Modify(reply)
            | CommandResult::Move(reply)
            | CommandResult::Subtract(reply) => self.amm_reply(kind, reply),
            CommandResult::AuditValue(reply) | CommandResult::AuditCapability(reply) => {
                self.audit_reply(kind, reply)
            }
            CommandResult::Notify {
                terminations,
                error,
            } => {
                self.command_terminations(kind, terminations)?;
                *error = self.optional_error()?;
                Ok(())
            }
            CommandResult::ServiceChange {
                terminations,
                result,
            } => {
                self.command_terminations(kind, terminations)?;
                *result = self.service_change_result()?;
                Ok(())
            }
        }
    }

    fn amm_reply(&mut self, kind: CommandKind, reply: &mut AmmReply) -> Parsed<()> {
        self.command_terminations(kind, &mut reply.terminations)?;
        self.descriptors(Side::Reply, &mut reply.descriptors)
    }

    /// `=tid[{...}]`, `=Context{tid, ...}` or `=Context{Error=...}`.
    fn audit_reply(&mut self, kind: CommandKind, reply: &mut AuditReply) -> Parsed<()> {
        let at = self.cursor.pos();
        self.equal()?;
        let is_context = self.maybe_word().is(Token::Context) && self.next() == Some(b'{');
        if let AuditReply::Terminations(reply) = reply
            && !is_context
        {
            self.cursor.seek(at);
            return self.amm_reply(kind, reply);
        }
        self.open()?;
        let start = self.cursor.pos();
        let is_error = self.maybe_word().is(Token::Error);
        if is_error && self.next() == Some(b'=') {
            *reply = AuditReply::ContextError(self.error_descriptor()?);
            return self.close();
        }
        self.cursor.seek(start);
        let mut terminations: Vec<TerminationId> = Vec::new();
        self.separated(&mut |parser: &mut Self| {
            terminations.push(parser.termination_id()?);
            Ok(())
        })?;
        *reply = AuditReply::ContextList(terminations);
        self.close()
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

/// A command that is still to be read.
pub(super) fn unread(kind: CommandKind) -> Command {
    let terminations = TerminationIds::default();
    match kind {
        CommandKind::Add => Command::Add(AmmRequest::default()),
        CommandKind::Modify => Command::Modify(AmmRequest::default()),
        CommandKind::Move => Command::Move(AmmRequest::default()),
        CommandKind::Subtract => Command::Subtract {
            terminations,
            audit: None,
        },
        CommandKind::AuditValue => Command::AuditValue(AuditRequest::default()),
        CommandKind::AuditCapability => Command::AuditCapability(AuditRequest::default()),
        CommandKind::Notify => Command::Notify {
            terminations,
            observed: ObservedEvents::default(),
            error: None,
        },
        CommandKind::ServiceChange => Command::ServiceChange {
            terminations,
            services: Box::new(service::unread()),
        },
    }
}

/// The result of a command that is still to be read.
pub(super) fn unread_result(kind: CommandKind) -> CommandResult {
    let audit = || AuditReply::Terminations(AmmReply::default());
    let terminations = TerminationIds::default();
    match kind {
        CommandKind::Add => CommandResult::Add(AmmReply::default()),
        CommandKind::Modify => CommandResult::Modify(AmmReply::default()),
        CommandKind::Move => CommandResult::Move(AmmReply::default()),
        CommandKind::Subtract => CommandResult::Subtract(AmmReply::default()),
        CommandKind::AuditValue => CommandResult::AuditValue(audit()),
        CommandKind::AuditCapability => CommandResult::AuditCapability(audit()),
        CommandKind::Notify => CommandResult::Notify {
            terminations,
            error: None,
        },
        CommandKind::ServiceChange => CommandResult::ServiceChange {
            terminations,
            result: ServiceChangeResult::Empty,
        },
    }
}

/// The descriptor that `token` names, still to be read; an empty one of no meaning if it names none.
fn unread_descriptor(token: Option<Token>) -> Descriptor {
    match token {
        Some(Token::Media) => Descriptor::Media(Media::default()),
        Some(Token::Events) => Descriptor::Events(Events::default()),
        Some(Token::EventBuffer) => Descriptor::EventBuffer(Vec::new()),
        Some(Token::Signals) => Descriptor::Signals(Vec::new()),
        Some(Token::DigitMap) => Descriptor::DigitMap(DigitMap::default()),
        Some(Token::Statistics) => Descriptor::Statistics(Vec::new()),
        Some(Token::Audit) => Descriptor::Audit(AuditDescriptor::default()),
        Some(Token::ObservedEvents) => Descriptor::ObservedEvents(ObservedEvents::default()),
        Some(Token::Packages) => Descriptor::Packages(Vec::new()),
        Some(Token::Error) => Descriptor::Error(ErrorDescriptor {
            code: 0,
            text: None,
        }),
        Some(Token::Mux) => Descriptor::Mux {
            kind: Name::default(),
            terminations: Vec::new(),
        },
        Some(Token::Modem) => Descriptor::Modem {
            kinds: Vec::new(),
            properties: Vec::new(),
        },
        _ => Descriptor::Empty(AuditToken::Media),
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
