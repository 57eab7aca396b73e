//! Audit descriptors: whole descriptors and, since version 2, individual items of them.

use super::value::{choose, is_name, is_name_word, number};
use super::{Parsed, Parser, Word};
use crate::ast::{
    AuditDescriptor, AuditItem, AuditToken, EventSpec, MediaAudit, MediaAuditItem, Name, Parm,
    PropertyValue, Signal, SignalAudit, StreamAudit, Value,
};
use crate::error_code::ErrorCode;
use crate::token::Token;

const TWICE: ErrorCode = ErrorCode::DESCRIPTOR_TWICE;

impl<'a> Parser<'a> {
    /// `{ [item, ...] }`.
    pub(super) fn audit_descriptor(&mut self) -> Parsed<AuditDescriptor> {
        if self.next() != Some(b'{') {
            return self.fail("\"{\"");
        }
        if !self.has_items()? {
            return Ok(AuditDescriptor::default());
        }
        let mut seen = 0;
        let items = self.list(|parser| {
            let word = parser.word("a descriptor to audit")?;
            match parser.audit_item(word, &mut seen)? {
                Some(item) => Ok(item),
                None => {
                    let code = ErrorCode::UNKNOWN_DESCRIPTOR;
                    Err(parser.failed(word.at, "a descriptor to audit", code))
                }
            }
        })?;
        Ok(AuditDescriptor { items })
    }

    /// An audit item whose keyword is `word`; `None` if it is none.
    pub(super) fn audit_item(
        &mut self,
        word: Word<'a>,
        seen: &mut u32,
    ) -> Parsed<Option<AuditItem>> {
        let Some((token, bit)) = word.token().and_then(audit_token) else {
            return Ok(None);
        };
        let follows = self.next();
        let item = match (token, follows) {
            (AuditToken::Media, Some(b'{')) => AuditItem::Media(self.media_audit()?),
            (AuditToken::Events, Some(b'{' | b'=')) => self.events_audit()?,
            (AuditToken::EventBuffer, Some(b'{')) => {
                AuditItem::EventBuffer(self.list(Self::event_audit)?)
            }
            (AuditToken::Signals, Some(b'{')) if self.has_items()? => {
                AuditItem::Signals(self.list(Self::signal_audit)?)
            }
            (AuditToken::Statistics, Some(b'{')) => {
                AuditItem::Statistics(self.list(Self::package_item)?)
            }
            (AuditToken::Packages, Some(b'{')) => {
                AuditItem::Packages(self.list(Self::package_version)?)
            }
            (AuditToken::DigitMap, Some(b'=')) => {
                let name = |text| is_name(text).then(|| Name::new(text));
                AuditItem::DigitMap(self.assigned_text("the name of a digit map", name)?)
            }
            _ => {
                self.once(seen, bit, word, TWICE)?;
                return Ok(Some(AuditItem::Whole(token)));
            }
        };
        self.since(2, word)?;
        Ok(Some(item))
    }

    /// `[= id] { pkg/event, ... }`.
    fn events_audit(&mut self) -> Parsed<AuditItem> {
        let request_id = match self.next() {
            Some(b'=') => Some(self.assigned("a request id", super::value::request_id)?),
            _ => None,
        };
        let events = self.list(Self::package_item)?;
        Ok(AuditItem::Events { request_id, events })
    }

    /// `pkg/event [{ Stream = id | name [value], ... }]`.
    fn event_audit(&mut self) -> Parsed<EventSpec> {
        let mut event = EventSpec::from(self.package_item()?);
        if self.next() == Some(b'{') {
            self.braced(|parser| parser.event_audit_parm(&mut event))?;
        }
        Ok(event)
    }

    fn event_audit_parm(&mut self, event: &mut EventSpec) -> Parsed<()> {
        let word = self.word("an event parameter")?;
        if word.is(Token::Stream) && self.next() == Some(b'=') {
            event.stream = Some(self.assigned_u16()?);
        } else if matches!(self.next(), Some(b',' | b'}')) && is_name_word(word) {
            event.parms.push(Parm {
                name: self.name(word),
                value: PropertyValue::Is(Value::plain("")),
            });
        } else {
            self.parm(word, &mut event.parms)?;
        }
        Ok(())
    }

    fn signal_audit(&mut self) -> Parsed<SignalAudit> {
        let word = self.word("a signal or SignalList")?;
        if word.is(Token::SignalList) && self.next() == Some(b'=') {
            let id = self.assigned_u16()?;
            let mut signal = None;
            if self.next() == Some(b'{') {
                self.open()?;
                signal = Some(self.package_item()?);
                self.close()?;
            }
            return Ok(SignalAudit::List { id, signal });
        }
        self.cursor.seek(word.at);
        let signal = self.signal()?;
        if signal == Signal::from(signal.name.clone()) {
            return Ok(SignalAudit::Signal(signal.name));
        }
        Ok(SignalAudit::Detailed(signal))
    }

    /// `{ [TerminationState ...] [Stream = id {...} ... | stream items] }`.
    fn media_audit(&mut self) -> Parsed<MediaAudit> {
        let mut audit = MediaAudit::default();
        let mut seen = 0;
        let mut seen_one = 0;
        self.braced(|parser| {
            let word = parser.word("TerminationState, Stream or a stream item")?;
            match word.token() {
                Some(Token::TerminationState) => {
                    parser.once(&mut seen, 0, word, TWICE)?;
                    let items = parser.list_or_bare(Self::termination_state_audit)?;
                    audit.termination_state = Some(items);
                }
                Some(Token::Stream) if audit.one_stream.is_none() => {
                    let stream = parser.stream_audit()?;
                    audit.streams.push(stream);
                }
                _ if audit.streams.is_empty() => {
                    let one = audit.one_stream.get_or_insert_default();
                    parser.stream_audit_item(word, &mut seen_one, one)?;
                }
                _ => return parser.fail_at(word.at, "no mixture of Stream and its items"),
            }
            Ok(())
        })?;
        Ok(audit)
    }

    /// A list of at least one item, or nothing at all.
    fn list_or_bare<T>(&mut self, item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        if self.next() == Some(b'{') {
            self.list(item)
        } else {
            Ok(Vec::new())
        }
    }

    fn stream_audit(&mut self) -> Parsed<StreamAudit> {
        let mut stream = StreamAudit {
            id: self.assigned("a stream id", |text| number(text, 5))?,
            ..StreamAudit::default()
        };
        let mut seen = 0;
        self.braced(|parser| {
            let word = parser.word("a stream item")?;
            parser.stream_audit_item(word, &mut seen, &mut stream)
        })?;
        Ok(stream)
    }

    fn stream_audit_item(
        &mut self,
        word: Word<'a>,
        seen: &mut u32,
        stream: &mut StreamAudit,
    ) -> Parsed<()> {
        match word.token() {
            Some(Token::LocalControl) => {
                self.once(seen, 0, word, TWICE)?;
                stream.local_control = Some(self.list_or_bare(Self::local_control_audit)?);
            }
            Some(Token::Local) => {
                self.once(seen, 1, word, TWICE)?;
                stream.local = Some(self.optional_octets()?);
            }
            Some(Token::Remote) => {
                self.once(seen, 2, word, TWICE)?;
                stream.remote = Some(self.optional_octets()?);
            }
            Some(Token::Statistics) => {
                self.since(3, word)?;
                self.once(seen, 3, word, TWICE)?;
                stream.statistics = Some(self.list_or_bare(Self::package_item)?);
            }
            _ => return self.fail_at(word.at, "LocalControl, Local, Remote or Statistics"),
        }
        Ok(())
    }

    fn optional_octets(&mut self) -> Parsed<Option<crate::ast::OctetString>> {
        match self.next() {
            Some(b'{') => self.octet_string().map(Some),
            _ => Ok(None),
        }
    }

    fn local_control_audit(&mut self) -> Parsed<MediaAuditItem> {
        let word = self.word("a LocalControl property")?;
        Ok(match word.token() {
            Some(Token::Mode) => MediaAuditItem::Mode(self.selection(Self::stream_mode)?),
            Some(Token::ReservedValue) => MediaAuditItem::ReservedValue,
            Some(Token::ReservedGroup) => MediaAuditItem::ReservedGroup,
            _ => self.property_audit(word)?,
        })
    }

    fn termination_state_audit(&mut self) -> Parsed<MediaAuditItem> {
        let word = self.word("a TerminationState property")?;
        Ok(match word.token() {
            Some(Token::ServiceStates) => {
                MediaAuditItem::ServiceStates(self.selection(Self::service_state)?)
            }
            Some(Token::Buffer) => MediaAuditItem::Buffer,
            _ => self.property_audit(word)?,
        })
    }

    /// `[= value | # value]`; true is equal.
    fn selection<T>(
        &mut self,
        value: impl FnOnce(&mut Self) -> Parsed<T>,
    ) -> Parsed<Option<(bool, T)>> {
        let is_equal = self.next() == Some(b'=');
        let at = self.here();
        if !self.eat(b'=') && !self.eat(b'#') {
            return Ok(None);
        }
        self.since_at(3, at)?;
        Ok(Some((is_equal, value(self)?)))
    }

    fn property_audit(&mut self, word: Word<'a>) -> Parsed<MediaAuditItem> {
        let name = self.item_of(word, "a known item or a package/property")?;
        Ok(MediaAuditItem::Property(name, self.selected_value()?))
    }
}

/// The keywords of auditable descriptors, with a bit to count each by.
fn audit_token(token: Token) -> Option<(AuditToken, u32)> {
    choose(
        token,
        &[
            (Token::Media, (AuditToken::Media, 0)),
            (Token::Modem, (AuditToken::Modem, 1)),
            (Token::Mux, (AuditToken::Mux, 2)),
            (Token::Events, (AuditToken::Events, 3)),
            (Token::EventBuffer, (AuditToken::EventBuffer, 4)),
            (Token::Signals, (AuditToken::Signals, 5)),
            (Token::ObservedEvents, (AuditToken::ObservedEvents, 6)),
            (Token::DigitMap, (AuditToken::DigitMap, 7)),
            (Token::Statistics, (AuditToken::Statistics, 8)),
            (Token::Packages, (AuditToken::Packages, 9)),
        ],
    )
}
