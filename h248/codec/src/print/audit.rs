//! Audit descriptors.

use super::Writer;
use super::events::RequestId;
use super::media::{mode_token, state_token};
use crate::ast::{
    AuditDescriptor, AuditItem, EventSpec, MediaAudit, MediaAuditItem, OctetString, Parm,
    PropertyValue, SignalAudit, StreamAudit,
};
use crate::token::Token;

impl<const PRETTY: bool> Writer<PRETTY> {
    pub(super) fn audit_descriptor(&mut self, audit: &AuditDescriptor) {
        self.token(Token::Audit);
        self.list(&audit.items, Self::audit_item);
    }

    pub(super) fn audit_item(&mut self, item: &AuditItem) {
        match item {
            AuditItem::Whole(token) => self.audit_token(*token),
            AuditItem::Media(media) => self.media_audit(media),
            AuditItem::Events { request_id, events } => {
                self.token(Token::Events);
                if let Some(id) = request_id {
                    self.equal();
                    self.put(RequestId(*id));
                }
                self.list(events, |writer, name| writer.put(name));
            }
            AuditItem::EventBuffer(events) => {
                self.token(Token::EventBuffer);
                self.list(events, Self::event_audit);
            }
            AuditItem::Signals(signals) => {
                self.token(Token::Signals);
                self.list(signals, Self::signal_audit);
            }
            AuditItem::Statistics(names) => {
                self.token(Token::Statistics);
                self.list(names, |writer, name| writer.put(name));
            }
            AuditItem::Packages(packages) => {
                self.token(Token::Packages);
                self.list(packages, |writer, package| writer.put(package));
            }
            AuditItem::DigitMap(name) => self.assign(Token::DigitMap, name),
        }
    }

    fn event_audit(&mut self, event: &EventSpec) {
        self.put(&event.name);
        self.optional_block(|writer| {
            if let Some(stream) = event.stream {
                writer.item();
                writer.assign(Token::Stream, stream);
            }
            for parm in &event.parms {
                writer.item();
                writer.parm_audit(parm);
            }
        });
    }

    /// A parameter with the empty plain value is only named.
    fn parm_audit(&mut self, parm: &Parm) {
        match &parm.value {
            PropertyValue::Is(value) if value.text.is_empty() && !value.quoted => {
                self.put(&parm.name);
            }
            PropertyValue::Is(_)
            | PropertyValue::AllOf(_)
            | PropertyValue::OneOf(_)
            | PropertyValue::Range(..)
            | PropertyValue::GreaterThan(_)
            | PropertyValue::LessThan(_)
            | PropertyValue::NotEqual(_) => self.parm(parm),
        }
    }

    fn signal_audit(&mut self, signal: &SignalAudit) {
        match signal {
            SignalAudit::Signal(name) => self.put(name),
            SignalAudit::Detailed(signal) => self.signal(signal),
            SignalAudit::List { id, signal } => {
                self.assign(Token::SignalList, id);
                if let Some(name) = signal {
                    self.block(|writer| {
                        writer.item();
                        writer.put(name);
                    });
                }
            }
        }
    }

    fn media_audit(&mut self, media: &MediaAudit) {
        self.token(Token::Media);
        self.optional_block(|writer| {
            if let Some(items) = &media.termination_state {
                writer.item();
                writer.token(Token::TerminationState);
                if !items.is_empty() {
                    writer.list(items, Self::media_audit_item);
                }
            }
            for stream in &media.streams {
                writer.item();
                writer.assign(Token::Stream, stream.id);
                writer.block(|writer| writer.stream_audit(stream));
            }
            if let Some(stream) = &media.one_stream {
                writer.stream_audit(stream);
            }
        });
    }

    fn stream_audit(&mut self, stream: &StreamAudit) {
        if let Some(items) = &stream.local_control {
            self.item();
            self.token(Token::LocalControl);
            if !items.is_empty() {
                self.list(items, Self::media_audit_item);
            }
        }
        if let Some(octets) = &stream.local {
            self.octets_audit(Token::Local, octets.as_ref());
        }
        if let Some(octets) = &stream.remote {
            self.octets_audit(Token::Remote, octets.as_ref());
        }
        if let Some(names) = &stream.statistics {
            self.item();
            self.token(Token::Statistics);
            if !names.is_empty() {
                self.list(names, |writer, name| writer.put(name));
            }
        }
    }

    fn octets_audit(&mut self, token: Token, octets: Option<&OctetString>) {
        self.item();
        self.token(token);
        if let Some(octets) = octets {
            self.octets(octets);
        }
    }

    fn media_audit_item(&mut self, item: &MediaAuditItem) {
        match item {
            MediaAuditItem::ServiceStates(selection) => {
                let selection = selection.map(|(is_equal, state)| (is_equal, state_token(state)));
                self.selection(Token::ServiceStates, selection);
            }
            MediaAuditItem::Buffer => self.token(Token::Buffer),
            MediaAuditItem::Mode(selection) => {
                let selection = selection.map(|(is_equal, mode)| (is_equal, mode_token(mode)));
                self.selection(Token::Mode, selection);
            }
            MediaAuditItem::ReservedValue => self.token(Token::ReservedValue),
            MediaAuditItem::ReservedGroup => self.token(Token::ReservedGroup),
            MediaAuditItem::Property(name, value) => self.selected(name, value.as_ref()),
        }
    }

    fn selection(&mut self, token: Token, selection: Option<(bool, Token)>) {
        self.token(token);
        if let Some((is_equal, value)) = selection {
            self.operator(if is_equal { b'=' } else { b'#' });
            self.token(value);
        }
    }
}
