//! Context properties, topology and context audits.

use super::transaction::context_id;
use super::value::number;
use super::{Parsed, Parser, Word};
use crate::ast::{
    ContextAudit, ContextAuditItem, ContextId, ContextProperties, PropertyValue, SelectLogic,
    TopologyDirection, TopologyTriple,
};
use crate::error_code::ErrorCode;
use crate::token::Token;

/// Highest priority of a context.
const PRIORITY_MAX: u8 = 15;

impl<'a> Parser<'a> {
    /// A context property, for whose keyword [`is_context_property`] stands.
    pub(super) fn context_property(
        &mut self,
        word: Word<'a>,
        seen: &mut u32,
        properties: &mut ContextProperties,
    ) -> Parsed<()> {
        let twice = ErrorCode::PROPERTY_TWICE;
        match word.token() {
            Some(Token::Topology) => {
                self.once(seen, 0, word, twice)?;
                properties.topology = self.topology()?;
            }
            Some(Token::Priority) => {
                self.once(seen, 1, word, twice)?;
                properties.priority = Some(self.priority()?);
            }
            Some(token @ (Token::Emergency | Token::EmergencyOff)) => {
                self.once(seen, 2, word, twice)?;
                if token == Token::EmergencyOff {
                    self.since(2, word)?;
                }
                properties.emergency = Some(token == Token::Emergency);
            }
            Some(Token::IepsCall) => {
                self.once(seen, 3, word, twice)?;
                self.since(3, word)?;
                properties.ieps = Some(self.on_off()?);
            }
            Some(Token::ContextAttr) => {
                self.since(3, word)?;
                self.context_attributes(word, seen, properties)?;
            }
            _ => return self.fail_at(word.at, "a context property"),
        }
        Ok(())
    }

    /// `= UINT16`, of which the first sixteen are priorities.
    fn priority(&mut self) -> Parsed<u8> {
        let expected = "a priority from 0 to 15";
        self.equal()?;
        let word = self.word(expected)?;
        match number::<u16>(word.octets, 5).map(u8::try_from) {
            Some(Ok(priority)) if priority <= PRIORITY_MAX => Ok(priority),
            Some(_) => Err(self.failed(word.at, expected, ErrorCode::UNKNOWN_VALUE)),
            None => self.fail_at(word.at, expected),
        }
    }

    /// `{ pkg/prop value, ... }` or `{ ContextList = { ... } }`, each once; both in one as well.
    fn context_attributes(
        &mut self,
        attr: Word<'a>,
        seen: &mut u32,
        properties: &mut ContextProperties,
    ) -> Parsed<()> {
        let twice = ErrorCode::PROPERTY_TWICE;
        let (lists, attributes) = (properties.context_list.len(), properties.attributes.len());
        self.braced(|parser| {
            let word = parser.word("a package/property or ContextList")?;
            if word.is(Token::ContextList) {
                let contexts = parser.assigned_contexts()?;
                properties.context_list.extend(contexts);
            } else {
                parser.property(word, &mut properties.attributes)?;
            }
            Ok(())
        })?;
        if properties.attributes.len() > attributes {
            self.once(seen, 4, attr, twice)?;
        }
        if properties.context_list.len() > lists {
            self.once(seen, 5, attr, twice)?;
        }
        Ok(())
    }

    /// `= { ctx, ctx }`.
    fn assigned_contexts(&mut self) -> Parsed<Vec<ContextId>> {
        self.equal()?;
        self.list(|parser| parser.read("a context id", context_id))
    }

    fn topology(&mut self) -> Parsed<Vec<TopologyTriple>> {
        self.list(Self::topology_triple)
    }

    fn topology_triple(&mut self) -> Parsed<TopologyTriple> {
        let from = self.termination_id()?;
        self.expect(b',', "\",\"")?;
        let to = self.termination_id()?;
        self.expect(b',', "\",\"")?;
        let at = self.here();
        let direction = self.choice("a topology direction", TOPOLOGY_DIRECTIONS)?;
        if is_external(direction) {
            self.since_at(3, at)?;
        }
        let mut triple = TopologyTriple {
            from,
            to,
            direction,
            stream: None,
        };
        while self.topology_suffix(&mut triple)? {}
        Ok(triple)
    }

    /// `, Stream = n` after a triple, or the second direction that Erlang/OTP writes for the
    /// version 3 ones (`OW, OWE`). Says whether there was one; a triple's own comma stays.
    fn topology_suffix(&mut self, triple: &mut TopologyTriple) -> Parsed<bool> {
        let at = self.cursor.pos();
        if !self.eat(b',') {
            return Ok(false);
        }
        let word = self.maybe_word();
        let next = self.next();
        match word.token() {
            Some(Token::Stream) if next == Some(b'=') && triple.stream.is_none() => {
                self.since(2, word)?;
                triple.stream = Some(self.assigned_u16()?);
            }
            Some(token @ (Token::OnewayExternal | Token::OnewayBoth)) => {
                self.since(3, word)?;
                triple.direction = if token == Token::OnewayBoth {
                    TopologyDirection::OnewayBoth
                } else {
                    TopologyDirection::OnewayExternal
                };
            }
            _ => {
                self.cursor.seek(at);
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// `{ ... }` of a ContextAudit.
    pub(super) fn context_audit(&mut self) -> Parsed<ContextAudit> {
        let mut audit = ContextAudit::default();
        let mut seen = 0;
        self.braced(|parser| parser.context_audit_item(&mut audit, &mut seen))?;
        Ok(audit)
    }

    /// An item, or `ContextAttr{ ... }` around some: there, the items mean what they mean outside.
    fn context_audit_item(&mut self, audit: &mut ContextAudit, seen: &mut u32) -> Parsed<()> {
        let expected = "an auditable context property";
        let word = self.word(expected)?;
        let has_value = self.next() == Some(b'=');
        let is_first_version = !has_value
            && matches!(
                word.token(),
                Some(Token::Topology | Token::Emergency | Token::Priority)
            );
        if !is_first_version {
            self.since(3, word)?;
        }
        // A property may be asked for and, in version 3, selected by as well: once each.
        let bit = |bit: u32| bit + if has_value { 8 } else { 0 };
        let twice = ErrorCode::PROPERTY_TWICE;
        let item = match word.token() {
            Some(Token::Topology) => {
                self.once(seen, 0, word, twice)?;
                ContextAuditItem::Topology
            }
            Some(Token::Emergency) => {
                self.once(seen, 1, word, twice)?;
                ContextAuditItem::Emergency
            }
            Some(Token::Priority) => {
                self.once(seen, bit(2), word, twice)?;
                let value = has_value.then(|| self.priority()).transpose()?;
                ContextAuditItem::Priority(value)
            }
            Some(Token::IepsCall) => {
                self.once(seen, bit(3), word, twice)?;
                let value = has_value.then(|| self.on_off()).transpose()?;
                ContextAuditItem::Ieps(value)
            }
            Some(Token::EmergencyValue) => {
                self.once(seen, 4, word, twice)?;
                ContextAuditItem::EmergencyValue(self.emergency_value()?)
            }
            Some(token @ (Token::AndLogic | Token::OrLogic)) => {
                self.once(seen, 5, word, twice)?;
                let is_and = token == Token::AndLogic;
                audit.selection = Some(if is_and {
                    SelectLogic::And
                } else {
                    SelectLogic::Or
                });
                return Ok(());
            }
            Some(Token::ContextAttr) => {
                return self.braced(|parser| parser.context_attr_audit(audit, seen));
            }
            _ => {
                let name = self.item_of(word, expected)?;
                ContextAuditItem::Attribute(name, self.selected_value()?)
            }
        };
        audit.items.push(item);
        Ok(())
    }

    fn emergency_value(&mut self) -> Parsed<bool> {
        self.equal()?;
        self.choice(
            "Emergency or EmergencyOff",
            &[(Token::Emergency, true), (Token::EmergencyOff, false)],
        )
    }

    /// One item inside `ContextAttr{ ... }` of an audit.
    fn context_attr_audit(&mut self, audit: &mut ContextAudit, seen: &mut u32) -> Parsed<()> {
        let word = self.word("an auditable context property or ContextList")?;
        match word.token() {
            Some(Token::ContextList) => {
                let contexts = match self.next() {
                    Some(b'=') => self.assigned_contexts()?,
                    _ => Vec::new(),
                };
                audit.items.push(ContextAuditItem::ContextList(contexts));
                Ok(())
            }
            Some(Token::ContextAttr) => self.fail_at(word.at, "a context property"),
            _ => {
                self.cursor.seek(word.at);
                self.context_audit_item(audit, seen)
            }
        }
    }

    /// The value to select by, when one is written.
    pub(super) fn selected_value(&mut self) -> Parsed<Option<PropertyValue>> {
        match self.next() {
            Some(b'=' | b'#' | b'<' | b'>') => {
                let at = self.here();
                self.since_at(3, at)?;
                let mut value = PropertyValue::default();
                self.property_value(&mut value)?;
                Ok(Some(value))
            }
            _ => Ok(None),
        }
    }
}

/// Whether `token` begins a context property.
pub(super) fn is_context_property(token: Option<Token>) -> bool {
    matches!(
        token,
        Some(
            Token::Topology
                | Token::Priority
                | Token::Emergency
                | Token::EmergencyOff
                | Token::IepsCall
                | Token::ContextAttr
        )
    )
}

/// Whether version 3 brought this direction.
const fn is_external(direction: TopologyDirection) -> bool {
    matches!(
        direction,
        TopologyDirection::OnewayExternal | TopologyDirection::OnewayBoth
    )
}

const TOPOLOGY_DIRECTIONS: &[(Token, TopologyDirection)] = &[
    (Token::Isolate, TopologyDirection::Isolate),
    (Token::Oneway, TopologyDirection::Oneway),
    (Token::Bothway, TopologyDirection::Bothway),
    (Token::OnewayExternal, TopologyDirection::OnewayExternal),
    (Token::OnewayBoth, TopologyDirection::OnewayBoth),
];
