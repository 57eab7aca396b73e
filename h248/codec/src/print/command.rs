//! Commands, their replies and the descriptors in both.

use super::Writer;
use super::put::Put;
use crate::ast::{
    AuditDescriptor, AuditReply, AuditToken, Command, CommandKind, CommandReply, CommandRequest,
    CommandResult, Descriptor, ErrorDescriptor, ServiceChangeResult,
};
use crate::token::Token;

impl<const PRETTY: bool> Writer<PRETTY> {
    fn command_head(
        &mut self,
        optional: bool,
        wildcard_response: bool,
        kind: CommandKind,
        terminations: impl Put,
    ) {
        if optional {
            self.raw("O-");
        }
        if wildcard_response {
            self.raw("W-");
        }
        self.assign(kind.token(), terminations);
    }

    pub(super) fn command_request(&mut self, request: &CommandRequest) {
        let command = &request.command;
        self.command_head(
            request.optional,
            request.wildcard_response,
            command.kind(),
            command.terminations(),
        );
        match command {
            Command::Add(amm) | Command::Modify(amm) | Command::Move(amm) => {
                self.descriptors(&amm.descriptors);
            }
            Command::Subtract { audit, .. } => self.optional_audit(audit.as_ref()),
            Command::AuditValue(request) | Command::AuditCapability(request) => {
                self.optional_audit(request.audit.as_ref());
            }
            Command::Notify {
                observed, error, ..
            } => self.block(|writer| {
                if error.is_none() || !observed.events.is_empty() {
                    writer.item();
                    writer.observed_events(observed);
                }
                if let Some(error) = error {
                    writer.item();
                    writer.error(error);
                }
            }),
            Command::ServiceChange { services, .. } => self.block(|writer| {
                writer.item();
                writer.service_change(services);
            }),
        }
    }

    fn optional_audit(&mut self, audit: Option<&AuditDescriptor>) {
        if let Some(audit) = audit {
            self.block(|writer| {
                writer.item();
                writer.audit_descriptor(audit);
            });
        }
    }

    pub(super) fn command_reply(&mut self, reply: &CommandReply) {
        let kind = reply.result.kind();
        let head = (reply.optional, reply.wildcard_response, kind);
        match &reply.result {
            CommandResult::Add(amm)
            | CommandResult::Modify(amm)
            | CommandResult::Move(amm)
            | CommandResult::Subtract(amm)
            | CommandResult::AuditValue(AuditReply::Terminations(amm))
            | CommandResult::AuditCapability(AuditReply::Terminations(amm)) => {
                self.command_head(head.0, head.1, kind, &amm.terminations);
                self.descriptors(&amm.descriptors);
            }
            CommandResult::AuditValue(audit) | CommandResult::AuditCapability(audit) => {
                let context = if PRETTY {
                    Token::Context.long()
                } else {
                    Token::Context.short()
                };
                self.command_head(head.0, head.1, kind, context);
                self.context_result(audit);
            }
            CommandResult::Notify {
                terminations,
                error,
            } => {
                self.command_head(head.0, head.1, kind, terminations);
                self.optional_error(error.as_ref());
            }
            CommandResult::ServiceChange {
                terminations,
                result,
            } => {
                self.command_head(head.0, head.1, kind, terminations);
                match result {
                    ServiceChangeResult::Empty => {}
                    ServiceChangeResult::Services(services) => {
                        self.optional_block(|writer| writer.service_change_reply(services));
                    }
                    ServiceChangeResult::Error(error) => self.optional_error(Some(error)),
                }
            }
        }
    }

    /// What follows `AuditValue = Context`.
    fn context_result(&mut self, audit: &AuditReply) {
        match audit {
            AuditReply::Terminations(_) => {}
            AuditReply::ContextList(terminations) => {
                self.list(terminations, |writer, id| writer.put(id));
            }
            AuditReply::ContextError(error) => self.optional_error(Some(error)),
        }
    }

    fn optional_error(&mut self, error: Option<&ErrorDescriptor>) {
        if let Some(error) = error {
            self.block(|writer| {
                writer.item();
                writer.error(error);
            });
        }
    }

    fn descriptors(&mut self, descriptors: &[Descriptor]) {
        self.optional_block(|writer| {
            for descriptor in descriptors {
                writer.item();
                writer.descriptor(descriptor);
            }
        });
    }

    fn descriptor(&mut self, descriptor: &Descriptor) {
        match descriptor {
            Descriptor::Media(media) => self.media(media),
            Descriptor::Events(events) => self.events(events),
            Descriptor::EventBuffer(events) => {
                self.token(Token::EventBuffer);
                if !events.is_empty() {
                    self.list(events, Self::event_spec);
                }
            }
            Descriptor::Signals(signals) => self.signals(signals),
            Descriptor::DigitMap(map) => self.digit_map(map),
            Descriptor::Statistics(statistics) => self.statistics(statistics),
            Descriptor::Audit(audit) => self.audit_descriptor(audit),
            Descriptor::ObservedEvents(observed) => self.observed_events(observed),
            Descriptor::Packages(packages) => {
                self.token(Token::Packages);
                if !packages.is_empty() {
                    self.list(packages, |writer, package| writer.put(package));
                }
            }
            Descriptor::Error(error) => self.error(error),
            Descriptor::Mux { kind, terminations } => {
                self.assign(Token::Mux, kind);
                self.list(terminations, |writer, id| writer.put(id));
            }
            Descriptor::Modem { kinds, properties } => {
                self.token(Token::Modem);
                if let [kind] = kinds.as_slice() {
                    self.equal();
                    self.put(kind);
                } else {
                    self.out.push(b'[');
                    self.inline(kinds, |writer, kind| writer.put(kind));
                    self.out.push(b']');
                }
                if !properties.is_empty() {
                    self.list(properties, Self::property);
                }
            }
            Descriptor::Empty(token) => self.audit_token(*token),
        }
    }

    pub(super) fn audit_token(&mut self, token: AuditToken) {
        self.token(match token {
            AuditToken::Media => Token::Media,
            AuditToken::Modem => Token::Modem,
            AuditToken::Mux => Token::Mux,
            AuditToken::Events => Token::Events,
            AuditToken::EventBuffer => Token::EventBuffer,
            AuditToken::Signals => Token::Signals,
            AuditToken::ObservedEvents => Token::ObservedEvents,
            AuditToken::DigitMap => Token::DigitMap,
            AuditToken::Statistics => Token::Statistics,
            AuditToken::Packages => Token::Packages,
        });
    }
}
