//! Events, signals, observed events and digit maps.

use super::value::{choose, is_name, number, request_id, time_stamp};
use super::{Parsed, Parser, Word, added};
use crate::ast::{
    CompletionReason, DigitMap, Embed, EventSpec, Events, Name, NotifyBehaviour, ObservedEvent,
    ObservedEvents, PackageItem, Signal, SignalDirection, SignalItem, SignalType, Text,
};
use crate::error_code::ErrorCode;
use crate::token::Token;

const TWICE: ErrorCode = ErrorCode::PROPERTY_TWICE;

impl<'a> Parser<'a> {
    /// `[= id { event, ... }]`.
    pub(super) fn events(&mut self, events: &mut Events) -> Parsed<()> {
        if self.next() != Some(b'=') {
            return Ok(());
        }
        self.assigned("a request id", |text| {
            events.request_any = text == b"*";
            if !events.request_any {
                events.request_id = Some(number(text, 10)?);
            }
            Some(())
        })?;
        self.list_into(&mut events.events, Self::event_spec)
    }

    /// `[{ event, ... }]`.
    pub(super) fn event_buffer(&mut self, events: &mut Vec<EventSpec>) -> Parsed<()> {
        self.optional_list_into(events, Self::event_spec)
    }

    fn event_spec(&mut self, events: &mut Vec<EventSpec>) -> Parsed<()> {
        let (word, slash) = self.item_word("a package/item name")?;
        let event = added(events, || EventSpec::from(PackageItem::default()));
        event.name = PackageItem::split(self.cursor.text_of(word), slash);
        if self.next() == Some(b'{') {
            let mut seen = 0;
            self.braced(|parser| parser.event_parm(event, &mut seen))?;
        }
        Ok(())
    }

    fn event_parm(&mut self, event: &mut EventSpec, seen: &mut u32) -> Parsed<()> {
        let word = self.word("an event parameter")?;
        let follows = self.next();
        let is_bare = matches!(follows, Some(b',' | b'}'));
        match word.token() {
            Some(Token::KeepActive) if is_bare => {
                self.once(seen, 0, word, TWICE)?;
                event.keep_active = true;
            }
            Some(Token::ResetEvents) if is_bare => {
                self.since(3, word)?;
                self.once(seen, 1, word, TWICE)?;
                event.reset_events = true;
            }
            Some(Token::Stream) if follows == Some(b'=') => {
                self.once(seen, 2, word, TWICE)?;
                event.stream = Some(self.assigned_u16()?);
            }
            Some(Token::Embed) if follows == Some(b'{') => {
                self.once(seen, 3, word, TWICE)?;
                event.embed = Some(Box::new(self.embed()?));
            }
            Some(Token::DigitMap) if matches!(follows, Some(b'=' | b'{')) => {
                self.once(seen, 4, word, TWICE)?;
                event.digit_map = Some(Box::new(self.digit_map()?));
            }
            Some(Token::ImmediateNotify) if is_bare => {
                self.since(3, word)?;
                self.once(seen, 5, word, TWICE)?;
                event.notify = Some(NotifyBehaviour::Immediate);
            }
            Some(Token::NeverNotify) if is_bare => {
                self.since(3, word)?;
                self.once(seen, 5, word, TWICE)?;
                event.notify = Some(NotifyBehaviour::Never);
            }
            Some(Token::RegulatedNotify) if is_bare || follows == Some(b'{') => {
                self.since(3, word)?;
                self.once(seen, 5, word, TWICE)?;
                event.notify = Some(NotifyBehaviour::Regulated(self.regulated()?));
            }
            _ => {
                self.parm(word, &mut event.parms)?;
            }
        }
        Ok(())
    }

    /// `{ Embed{...} }` or nothing.
    fn regulated(&mut self) -> Parsed<Option<Box<Embed>>> {
        if self.next() != Some(b'{') {
            return Ok(None);
        }
        self.open()?;
        let word = self.word("Embed")?;
        if !word.is(Token::Embed) {
            return self.fail_at(word.at, "Embed");
        }
        let outer = core::mem::replace(&mut self.is_embedded, false);
        let embed = self.embed()?;
        self.is_embedded = outer;
        self.close()?;
        Ok(Some(Box::new(embed)))
    }

    /// `{ [Signals...] [,] [Events...] }`; an embedded event embeds signals alone.
    fn embed(&mut self) -> Parsed<Embed> {
        let mut embed = Embed::default();
        let mut seen = 0;
        self.braced(|parser| {
            let word = parser.word("Signals or Events")?;
            match word.token() {
                Some(Token::Signals) if seen == 0 => {
                    parser.once(&mut seen, 0, word, TWICE)?;
                    embed.signals = Some(parser.signals()?);
                }
                Some(Token::Events) if !parser.is_embedded => {
                    parser.once(&mut seen, 1, word, TWICE)?;
                    parser.is_embedded = true;
                    parser.events(embed.events.insert(Events::default()))?;
                    parser.is_embedded = false;
                }
                _ => return parser.fail_at(word.at, "Signals, then Events"),
            }
            Ok(())
        })?;
        Ok(embed)
    }

    /// `= name [{ value }]` or `= { value }`; the `=` before a brace may be missing, as
    /// Erlang/OTP tolerates and others have sent.
    pub(super) fn digit_map(&mut self) -> Parsed<DigitMap> {
        let mut map = DigitMap::default();
        if self.next() != Some(b'{') {
            self.equal()?;
        }
        if self.next() != Some(b'{') {
            let name = |text| is_name(text).then(|| Name::new(text));
            map.name = Some(self.read_text("the name of a digit map", name)?);
        }
        if self.next() == Some(b'{') {
            map.value = Some(self.digit_map_value()?);
        }
        Ok(map)
    }

    /// What stands between the braces, where comments are LWSP (Annex B.2) and may have braces.
    fn digit_map_value(&mut self) -> Parsed<Text> {
        self.open()?;
        let at = self.cursor.pos();
        let value = self.cursor.until_outside_comments(b'}').and_then(|value| {
            let value = core::str::from_utf8(value).ok()?;
            let is_text = |c: char| !c.is_control() || is_blank(c);
            (!value.is_empty() && value.chars().all(is_text)).then(|| Text::from(value))
        });
        let Some(value) = value else {
            return self.fail_at(at, "a digit map and \"}\"");
        };
        self.close()?;
        Ok(value)
    }

    /// `[{ signal, ... }]`; the braces may be empty.
    pub(super) fn signals(&mut self) -> Parsed<Vec<SignalItem>> {
        self.optional_list(|parser| {
            let word = parser.word("a signal or SignalList")?;
            if word.is(Token::SignalList) && parser.next() == Some(b'=') {
                let id = parser.assigned_u16()?;
                let signals = parser.list(Self::signal)?;
                return Ok(SignalItem::List { id, signals });
            }
            parser.cursor.seek(word.at);
            Ok(SignalItem::Signal(parser.signal()?))
        })
    }

    pub(super) fn signal(&mut self) -> Parsed<Signal> {
        let mut signal = Signal::from(self.package_item()?);
        if self.next() == Some(b'{') {
            let mut seen = 0;
            self.braced(|parser| parser.signal_parm(&mut signal, &mut seen))?;
        }
        Ok(signal)
    }

    fn signal_parm(&mut self, signal: &mut Signal, seen: &mut u32) -> Parsed<()> {
        let word = self.word("a signal parameter")?;
        let follows = self.next();
        let is_bare = matches!(follows, Some(b',' | b'}'));
        // Before version 3 these were names that any package might give a parameter.
        let is_later = |token| {
            use Token::{Intersignal, SpaDirection, SpaRequestId};
            matches!(token, Intersignal | SpaDirection | SpaRequestId)
        };
        // With another relation than `=` it is the parameter of a package too.
        let is_related = matches!(follows, Some(b'<' | b'>' | b'#'));
        let token = word
            .token()
            .filter(|token| !is_related && (self.version >= 3 || !is_later(*token)));
        if let Some(bit) = token.and_then(signal_bit)
            && is_bare == (token == Some(Token::KeepActive))
        {
            self.once(seen, bit, word, TWICE)?;
        }
        match token {
            Some(Token::KeepActive) if is_bare => signal.keep_active = true,
            Some(Token::Stream) => signal.stream = Some(self.assigned_u16()?),
            Some(Token::SignalType) => signal.kind = Some(self.signal_type()?),
            Some(Token::Duration) => signal.duration = Some(self.assigned_u16()?),
            Some(Token::Intersignal) => signal.intersignal = Some(self.assigned_u16()?),
            Some(Token::SpaDirection) => signal.direction = Some(self.signal_direction()?),
            Some(Token::SpaRequestId) => {
                signal.request_id = Some(self.assigned("a request id", request_id)?);
            }
            Some(Token::NotifyCompletion) => {
                self.equal()?;
                signal.notify_completion = self.list(Self::completion_reason)?;
            }
            _ => {
                self.parm(word, &mut signal.parms)?;
            }
        }
        Ok(())
    }

    fn signal_type(&mut self) -> Parsed<SignalType> {
        self.equal()?;
        self.choice(
            "OnOff, TimeOut or Brief",
            &[
                (Token::OnOff, SignalType::OnOff),
                (Token::TimeOut, SignalType::TimeOut),
                (Token::Brief, SignalType::Brief),
            ],
        )
    }

    fn signal_direction(&mut self) -> Parsed<SignalDirection> {
        self.equal()?;
        self.choice(
            "External, Internal or Both",
            &[
                (Token::External, SignalDirection::External),
                (Token::Internal, SignalDirection::Internal),
                (Token::Both, SignalDirection::Both),
            ],
        )
    }

    fn completion_reason(&mut self) -> Parsed<CompletionReason> {
        let at = self.here();
        let reason = self.choice(
            "a completion reason",
            &[
                (Token::TimeOut, CompletionReason::TimeOut),
                (Token::IntByEvent, CompletionReason::InterruptByEvent),
                (
                    Token::IntBySigDescr,
                    CompletionReason::InterruptByNewSignals,
                ),
                (Token::OtherReason, CompletionReason::OtherReason),
                (Token::Iteration, CompletionReason::Iteration),
            ],
        )?;
        if reason == CompletionReason::Iteration {
            self.since_at(3, at)?;
        }
        Ok(reason)
    }

    /// `= id { [time :] event, ... }`.
    pub(super) fn observed_events(&mut self, observed: &mut ObservedEvents) -> Parsed<()> {
        observed.request_id = self.assigned("a request id", request_id)?;
        self.list_into(&mut observed.events, Self::observed_event)
    }

    fn observed_event(&mut self, events: &mut Vec<ObservedEvent>) -> Parsed<()> {
        let expected = "a time stamp or a package/event name";
        let word = self.word(expected)?;
        let time = time_stamp(word.octets);
        if time.is_some() {
            self.expect(b':', "\":\"")?;
        } else {
            self.cursor.seek(word.at);
        }
        let (word, slash) = self.item_word(expected)?;
        let event = added(events, || ObservedEvent {
            time,
            name: PackageItem::default(),
            stream: None,
            parms: Vec::new(),
        });
        event.name = PackageItem::split(self.cursor.text_of(word), slash);
        if self.next() == Some(b'{') {
            let mut seen = 0;
            self.braced(|parser| parser.observed_parm(event, &mut seen))?;
        }
        Ok(())
    }

    fn observed_parm(&mut self, event: &mut ObservedEvent, seen: &mut u32) -> Parsed<()> {
        let word: Word<'a> = self.word("an event parameter")?;
        if word.is(Token::Stream) && self.next() == Some(b'=') {
            self.once(seen, 0, word, TWICE)?;
            event.stream = Some(self.assigned_u16()?);
        } else {
            self.parm(word, &mut event.parms)?;
        }
        Ok(())
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// A bit to count each keyword parameter of a signal by.
fn signal_bit(token: Token) -> Option<u32> {
    choose(
        token,
        &[
            (Token::KeepActive, 0),
            (Token::Stream, 1),
            (Token::SignalType, 2),
            (Token::Duration, 3),
            (Token::Intersignal, 4),
            (Token::SpaDirection, 5),
            (Token::SpaRequestId, 6),
            (Token::NotifyCompletion, 7),
        ],
    )
}

impl From<PackageItem> for EventSpec {
    /// The event without parameters.
    fn from(name: PackageItem) -> Self {
        Self {
            name,
            stream: None,
            keep_active: false,
            embed: None,
            digit_map: None,
            notify: None,
            reset_events: false,
            parms: Vec::new(),
        }
    }
}

impl From<PackageItem> for Signal {
    /// The signal without parameters.
    fn from(name: PackageItem) -> Self {
        Self {
            name,
            stream: None,
            kind: None,
            duration: None,
            notify_completion: Vec::new(),
            keep_active: false,
            direction: None,
            request_id: None,
            intersignal: None,
            parms: Vec::new(),
        }
    }
}
