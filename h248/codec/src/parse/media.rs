//! Media, Mux and Modem descriptors, and statistics.

use super::value::{is_name, number, package_item};
use super::{Parsed, Parser, Word, added};
use crate::ast::{
    Descriptor, EventBufferControl, Few, LocalControl, Media, MediaStreams, Name, OctetString,
    PackageItem, PropertyParm, PropertyValue, ServiceState, Short, Statistic, Stream, StreamMode,
    StreamParms, TerminationState, Text, Value,
};
use crate::error_code::ErrorCode;
use crate::lex::{Cursor, class, is_all};
use crate::token::Token;

const TWICE: ErrorCode = ErrorCode::DESCRIPTOR_TWICE;

impl<'a> Parser<'a> {
    pub(super) fn media(&mut self, media: &mut Media) -> Parsed<()> {
        let mut seen = 0;
        let mut seen_one = 0;
        self.braced(|parser| {
            let word = parser.word("TerminationState, Stream or stream parameters")?;
            let token = word.token();
            if token == Some(Token::TerminationState) {
                parser.once(&mut seen, 0, word, TWICE)?;
                let state = media.termination_state.insert(TerminationState::default());
                return parser.termination_state(state);
            }
            match &mut media.streams {
                MediaStreams::Multiple(streams) if token == Some(Token::Stream) => {
                    parser.stream(streams)
                }
                MediaStreams::Multiple(streams) if !streams.is_empty() => {
                    parser.fail_at(word.at, "no mixture of Stream and its parameters")
                }
                streams @ MediaStreams::Multiple(_) => {
                    let mut one = StreamParms::default();
                    parser.stream_parm(word, &mut seen_one, &mut one)?;
                    *streams = MediaStreams::One(one);
                    Ok(())
                }
                MediaStreams::One(one) => parser.stream_parm(word, &mut seen_one, one),
            }
        })
    }

    fn stream(&mut self, streams: &mut Vec<Stream>) -> Parsed<()> {
        let id = self.assigned_u16()?;
        let stream = added(streams, || Stream {
            id,
            parms: StreamParms::default(),
        });
        let mut seen = 0;
        self.braced(|parser| {
            let word = parser.word("LocalControl, Local, Remote or Statistics")?;
            parser.stream_parm(word, &mut seen, &mut stream.parms)
        })
    }

    fn stream_parm(
        &mut self,
        word: Word<'a>,
        seen: &mut u32,
        parms: &mut StreamParms,
    ) -> Parsed<()> {
        match word.token() {
            Some(Token::LocalControl) => {
                self.once(seen, 0, word, TWICE)?;
                let control = parms.local_control.insert(LocalControl::default());
                self.local_control(control)?;
            }
            Some(Token::Local) => {
                self.once(seen, 1, word, TWICE)?;
                parms.local = Some(self.octet_string()?);
            }
            Some(Token::Remote) => {
                self.once(seen, 2, word, TWICE)?;
                parms.remote = Some(self.octet_string()?);
            }
            Some(Token::Statistics) => {
                self.since(3, word)?;
                self.once(seen, 3, word, TWICE)?;
                self.statistics(parms.statistics.insert(Vec::new()))?;
            }
            _ => {
                let expected = "LocalControl, Local, Remote or Statistics";
                return Err(self.failed(word.at, expected, ErrorCode::UNKNOWN_DESCRIPTOR));
            }
        }
        Ok(())
    }

    /// `{` octets `}`: everything up to the first brace that no backslash precedes.
    #[inline]
    pub(super) fn octet_string(&mut self) -> Parsed<OctetString> {
        self.open()?;
        let Some(octets) = self.cursor.octets() else {
            return self.fail("\"}\" after text without NUL");
        };
        self.close()?;
        Ok(OctetString(octets))
    }

    fn local_control(&mut self, control: &mut LocalControl) -> Parsed<()> {
        let mut seen = 0;
        self.braced(|parser| parser.local_parm(control, &mut seen))
    }

    fn local_parm(&mut self, control: &mut LocalControl, seen: &mut u32) -> Parsed<()> {
        let word = self.word("a LocalControl property")?;
        let twice = ErrorCode::PROPERTY_TWICE;
        match word.token() {
            Some(Token::Mode) => {
                self.once(seen, 0, word, twice)?;
                self.equal()?;
                control.mode = Some(self.stream_mode()?);
            }
            Some(Token::ReservedValue) => {
                self.once(seen, 1, word, twice)?;
                control.reserved_value = Some(self.on_off()?);
            }
            Some(Token::ReservedGroup) => {
                self.once(seen, 2, word, twice)?;
                control.reserved_group = Some(self.on_off()?);
            }
            _ => {
                self.property(word, &mut control.properties)?;
            }
        }
        Ok(())
    }

    pub(super) fn stream_mode(&mut self) -> Parsed<StreamMode> {
        self.choice(
            "a stream mode",
            &[
                (Token::SendOnly, StreamMode::SendOnly),
                (Token::ReceiveOnly, StreamMode::ReceiveOnly),
                (Token::SendReceive, StreamMode::SendReceive),
                (Token::Inactive, StreamMode::Inactive),
                (Token::Loopback, StreamMode::Loopback),
            ],
        )
    }

    fn termination_state(&mut self, state: &mut TerminationState) -> Parsed<()> {
        let mut seen = 0;
        self.braced(|parser| parser.termination_state_parm(state, &mut seen))
    }

    fn termination_state_parm(
        &mut self,
        state: &mut TerminationState,
        seen: &mut u32,
    ) -> Parsed<()> {
        let word = self.word("a TerminationState property")?;
        let twice = ErrorCode::PROPERTY_TWICE;
        match word.token() {
            Some(Token::ServiceStates) => {
                self.once(seen, 0, word, twice)?;
                self.equal()?;
                state.service_states = Some(self.service_state()?);
            }
            Some(Token::Buffer) => {
                self.once(seen, 1, word, twice)?;
                self.equal()?;
                state.buffer = Some(self.choice(
                    "OFF or LockStep",
                    &[
                        (Token::Off, EventBufferControl::Off),
                        (Token::LockStep, EventBufferControl::LockStep),
                    ],
                )?);
            }
            _ => {
                self.property(word, &mut state.properties)?;
            }
        }
        Ok(())
    }

    pub(super) fn service_state(&mut self) -> Parsed<ServiceState> {
        self.choice(
            "Test, OutOfService or InService",
            &[
                (Token::Test, ServiceState::Test),
                (Token::OutOfService, ServiceState::OutOfService),
                (Token::InService, ServiceState::InService),
            ],
        )
    }

    /// `[{ pkg/stat[=value], ... }]`; the braces may be missing or empty.
    pub(super) fn statistics(&mut self, statistics: &mut Vec<Statistic>) -> Parsed<()> {
        self.optional_items_into(statistics, |parser, statistics| {
            // What follows is nearly all of a message that has it: a cursor that nothing else sees stays in
            // registers.
            let mut cursor = parser.cursor;
            for _ in 0..parser.limits.list_items {
                match PlainStatistic::read(&mut cursor) {
                    Some(plain) => {
                        added(statistics, || plain.statistic());
                    }
                    None => {
                        parser.cursor = cursor;
                        parser.statistic(statistics)?;
                        cursor = parser.cursor;
                    }
                }
                if !(cursor.eat(b',') || cursor.blank() && cursor.eat(b',')) {
                    parser.cursor = cursor;
                    return Ok(());
                }
            }
            parser.cursor = cursor;
            parser.fail("a shorter list")
        })
    }

    /// Whether a `{` with something in it follows; takes `{}`.
    pub(super) fn has_items(&mut self) -> Parsed<bool> {
        if self.next() != Some(b'{') {
            return Ok(false);
        }
        let at = self.cursor.pos();
        self.open()?;
        if self.next() == Some(b'}') {
            self.close()?;
            return Ok(false);
        }
        self.depth -= 1;
        self.cursor.seek(at);
        Ok(true)
    }

    /// Adds a statistic of any form.
    #[inline(never)]
    fn statistic(&mut self, statistics: &mut Vec<Statistic>) -> Parsed<()> {
        let name = self.package_item()?;
        let mut values = Few::default();
        if self.eat(b'=') {
            values = self.statistic_values()?;
        }
        statistics.push(Statistic { name, values });
        Ok(())
    }

    /// `value` or `[ value, ... ]`.
    fn statistic_values(&mut self) -> Parsed<Few<Value>> {
        if self.next() != Some(b'[') {
            return Ok(Few::One(self.value()?));
        }
        let at = self.here();
        self.since_at(3, at)?;
        self.expect(b'[', "\"[\"")?;
        let mut values = Vec::new();
        self.separated(&mut |parser: &mut Self| {
            values.push(parser.value()?);
            Ok(())
        })?;
        self.expect(b']', "\",\" or \"]\"")?;
        Ok(values.into())
    }

    /// `= kind { tid, ... }`.
    pub(super) fn mux(&mut self) -> Parsed<Descriptor> {
        let kind = self.assigned_text("a multiplex type", extensible)?;
        let terminations = self.list(Self::termination_id)?;
        Ok(Descriptor::Mux { kind, terminations })
    }

    /// `= kind` or `[kind, ...]`, then properties.
    pub(super) fn modem(&mut self) -> Parsed<Descriptor> {
        let mut kinds = Vec::new();
        if self.eat(b'[') {
            self.separated(&mut |parser: &mut Self| {
                kinds.push(parser.read_text("a modem type", extensible)?);
                Ok(())
            })?;
            self.expect(b']', "\",\" or \"]\"")?;
        } else {
            kinds.push(self.assigned_text("a modem type", extensible)?);
        }
        let properties = match self.next() {
            Some(b'{') => self.list(Self::modem_property)?,
            _ => Vec::new(),
        };
        Ok(Descriptor::Modem { kinds, properties })
    }

    fn modem_property(&mut self) -> Parsed<PropertyParm> {
        let name = self.read_text("a property", |text| {
            package_item(text)
                .or_else(|| extensible(text).map(|_| PackageItem::split(Text::from(text), 0)))
        })?;
        let mut value = PropertyValue::default();
        self.property_value(&mut value)?;
        Ok(PropertyParm { name, value })
    }
}

/// `pkg/stat=value`, without anything that had to be dropped.
#[derive(Clone, Copy)]
struct PlainStatistic {
    name: Short,
    slash: u8,
    value: Short,
}

impl PlainStatistic {
    /// Reads one as nearly all are written, without blanks, quotes and long texts; else the cursor stays
    /// where it is.
    #[inline(always)]
    fn read(cursor: &mut Cursor<'_>) -> Option<Self> {
        let start = cursor.pos();
        let name = cursor.word();
        if let Some(slash) = name.slash_of_item()
            && cursor.eat(b'=')
        {
            let value = cursor.word();
            if !value.is_empty()
                && let (Some(name), Some(value)) = (cursor.short_of(name), cursor.short_of(value))
            {
                return Some(Self { name, slash, value });
            }
        }
        cursor.seek(start);
        None
    }

    #[inline(always)]
    fn statistic(self) -> Statistic {
        Statistic {
            name: PackageItem::split(self.name.into(), self.slash),
            values: Few::One(Value {
                text: self.value.into(),
                quoted: false,
            }),
        }
    }
}

/// A NAME, or an extension such as `X-abc`.
pub(super) fn extensible(text: &str) -> Option<Name> {
    (is_name(text) || is_extension(text.as_bytes())).then(|| Name::new(text))
}

/// `X-` or `X+` and 1 to 6 letters or digits; more are tolerated.
pub(super) fn is_extension(octets: &[u8]) -> bool {
    let is_prefixed = matches!(octets, [b'X' | b'x', b'-' | b'+', _, ..]);
    is_prefixed && octets[2..].iter().all(u8::is_ascii_alphanumeric)
}

/// Whether `text` can be written as a value without quotes.
pub(crate) fn is_plain(text: &[u8]) -> bool {
    !text.is_empty() && is_all(text, class::SAFE)
}

/// A version of one or two digits.
pub(super) fn version(text: &[u8]) -> Option<u8> {
    number(text, 2)
}
