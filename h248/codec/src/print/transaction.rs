//! Transactions, actions and their context.

use super::Writer;
use crate::ast::{
    ActionReply, ActionRequest, ContextAudit, ContextAuditItem, ContextId, ContextProperties,
    PackageItem, PropertyValue, ReplyBody, Segment, SelectLogic, TopologyDirection, TopologyTriple,
    Transaction, TransactionId, TransactionReply,
};
use crate::token::Token;

impl<const PRETTY: bool> Writer<PRETTY> {
    pub(super) fn transaction(&mut self, transaction: &Transaction) {
        match transaction {
            Transaction::Request(request) => {
                self.assign(Token::Transaction, request.id);
                self.list(&request.actions, Self::action_request);
            }
            Transaction::Reply(reply) => self.reply(reply),
            Transaction::Pending(id) => {
                self.assign(Token::Pending, id);
                self.block(|_| {});
            }
            Transaction::Ack(ranges) => {
                self.token(Token::TransactionResponseAck);
                self.list(ranges, Self::ack_range);
            }
            Transaction::Segment { id, segment } => {
                self.assign(Token::Segment, id);
                self.segment(*segment);
            }
        }
    }

    fn ack_range(&mut self, (first, last): &(TransactionId, TransactionId)) {
        self.put(first);
        if first != last {
            self.out.push(b'-');
            self.put(last);
        }
    }

    fn segment(&mut self, segment: Segment) {
        self.out.push(b'/');
        self.put(segment.number);
        if segment.is_last {
            self.out.push(b'/');
            self.token(Token::End);
        }
    }

    fn action_request(&mut self, action: &ActionRequest) {
        self.assign(Token::Context, action.context);
        self.block(|writer| {
            writer.context_properties(&action.properties);
            if let Some(audit) = &action.audit {
                writer.context_audit(audit);
            }
            for command in &action.commands {
                writer.item();
                writer.command_request(command);
            }
        });
    }

    fn reply(&mut self, reply: &TransactionReply) {
        self.assign(Token::Reply, reply.id);
        if let Some(segment) = reply.segment
            && self.version >= 3
        {
            self.segment(segment);
        }
        self.block(|writer| {
            if reply.immediate_ack {
                writer.item();
                writer.token(Token::ImmAckRequired);
            }
            match &reply.body {
                ReplyBody::Error(error) => {
                    writer.item();
                    writer.error(error);
                }
                ReplyBody::Actions(actions) => {
                    for action in actions {
                        writer.item();
                        writer.action_reply(action);
                    }
                }
            }
        });
    }

    fn action_reply(&mut self, action: &ActionReply) {
        self.assign(Token::Context, action.context);
        self.optional_block(|writer| {
            writer.context_properties(&action.properties);
            for command in &action.commands {
                writer.item();
                writer.command_reply(command);
            }
            if let Some(error) = &action.error {
                writer.item();
                writer.error(error);
            }
        });
    }

    /// Each property as an item; what the version does not have is left out.
    fn context_properties(&mut self, properties: &ContextProperties) {
        if !properties.topology.is_empty() {
            self.item();
            self.token(Token::Topology);
            self.list(&properties.topology, Self::topology_triple);
        }
        if let Some(priority) = properties.priority {
            self.item();
            self.assign(Token::Priority, priority);
        }
        match properties.emergency {
            Some(true) => {
                self.item();
                self.token(Token::Emergency);
            }
            // Erlang/OTP's version 2 has another long form: the short one is safe.
            Some(false) if self.version >= 2 => {
                self.item();
                self.raw(Token::EmergencyOff.short());
            }
            Some(false) | None => {}
        }
        if self.version >= 3 {
            self.context_properties_v3(properties);
        }
    }

    fn context_properties_v3(&mut self, properties: &ContextProperties) {
        if let Some(ieps) = properties.ieps {
            self.item();
            self.assign_on_off(Token::IepsCall, ieps);
        }
        if !properties.attributes.is_empty() {
            self.item();
            self.token(Token::ContextAttr);
            self.list(&properties.attributes, Self::property);
        }
        if !properties.context_list.is_empty() {
            self.item();
            self.token(Token::ContextAttr);
            self.block(|writer| {
                writer.item();
                writer.context_list(&properties.context_list);
            });
        }
    }

    /// `ContextList = {1, 2}`.
    fn context_list(&mut self, contexts: &[ContextId]) {
        self.token(Token::ContextList);
        self.equal();
        self.inline_braces(contexts, |writer, context| writer.put(context));
    }

    fn topology_triple(&mut self, triple: &TopologyTriple) {
        self.put(&triple.from);
        self.comma();
        self.put(&triple.to);
        self.comma();
        self.token(match triple.direction {
            TopologyDirection::Isolate => Token::Isolate,
            TopologyDirection::Bothway => Token::Bothway,
            TopologyDirection::OnewayExternal if self.version >= 3 => Token::OnewayExternal,
            TopologyDirection::OnewayBoth if self.version >= 3 => Token::OnewayBoth,
            TopologyDirection::Oneway
            | TopologyDirection::OnewayExternal
            | TopologyDirection::OnewayBoth => Token::Oneway,
        });
        if let Some(stream) = triple.stream
            && self.version >= 2
        {
            self.comma();
            self.assign(Token::Stream, stream);
        }
    }

    fn context_audit(&mut self, audit: &ContextAudit) {
        if audit.items.is_empty() && audit.selection.is_none() {
            return;
        }
        self.item();
        self.token(Token::ContextAudit);
        self.block(|writer| {
            for item in &audit.items {
                writer.item();
                writer.context_audit_item(item);
            }
            if let Some(selection) = audit.selection {
                writer.item();
                writer.token(match selection {
                    SelectLogic::And => Token::AndLogic,
                    SelectLogic::Or => Token::OrLogic,
                });
            }
        });
    }

    fn context_audit_item(&mut self, item: &ContextAuditItem) {
        match item {
            ContextAuditItem::Topology => self.token(Token::Topology),
            ContextAuditItem::Emergency => self.token(Token::Emergency),
            ContextAuditItem::Priority(None) => self.token(Token::Priority),
            ContextAuditItem::Priority(Some(priority)) => self.assign(Token::Priority, priority),
            ContextAuditItem::EmergencyValue(is_on) => {
                self.token(Token::EmergencyValue);
                self.equal();
                let value = if *is_on {
                    Token::Emergency
                } else {
                    Token::EmergencyOff
                };
                self.raw(value.short());
            }
            ContextAuditItem::Ieps(None) => self.token(Token::IepsCall),
            ContextAuditItem::Ieps(Some(is_on)) => self.assign_on_off(Token::IepsCall, *is_on),
            // Erlang/OTP takes names to audit bare, and values to select by in ContextAttr.
            ContextAuditItem::Attribute(name, None) => self.put(name),
            ContextAuditItem::Attribute(name, value) => {
                self.token(Token::ContextAttr);
                self.block(|writer| {
                    writer.item();
                    writer.selected(name, value.as_ref());
                });
            }
            ContextAuditItem::ContextList(contexts) => {
                self.token(Token::ContextAttr);
                self.block(|writer| {
                    writer.item();
                    if contexts.is_empty() {
                        writer.token(Token::ContextList);
                    } else {
                        writer.context_list(contexts);
                    }
                });
            }
        }
    }

    /// A name, with the value to select by when there is one.
    pub(super) fn selected(&mut self, name: &PackageItem, value: Option<&PropertyValue>) {
        self.put(name);
        if let Some(value) = value {
            self.property_value(value);
        }
    }
}
