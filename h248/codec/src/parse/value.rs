//! Names, numbers and values.

use super::{Parsed, Parser, Word, added};
use crate::ast::{
    ErrorDescriptor, Name, PackageItem, PackageVersion, Parm, PropertyParm, PropertyValue,
    TerminationId, TerminationIds, Text, TimeStamp, Value,
};
use crate::error_code::ErrorCode;
use crate::lex::{class, classes, is_all};
use crate::limits::NAME_OCTETS;
use crate::token::Token;

/// Whether `text` is a NAME.
pub(crate) fn is_name(text: &str) -> bool {
    let first = text.bytes().next();
    first.is_some_and(|c| c.is_ascii_alphabetic())
        && text.len() <= NAME_OCTETS
        && is_all(text.as_bytes(), class::NAME)
}

/// Whether `word` is a NAME.
pub(super) fn is_name_word(word: Word<'_>) -> bool {
    let first = word.octets.first();
    first.is_some_and(u8::is_ascii_alphabetic) && word.is_short_of(class::NAME)
}

/// Whether `word` can name a termination or device, as [`is_path_name`] says.
pub(super) fn is_path_word(word: Word<'_>) -> bool {
    word.octets.len() <= NAME_OCTETS
        && word.octets.first().is_some_and(begins_path)
        && match word.first_not_of(class::PATH) {
            None => true,
            Some(at) => word.octets[at] == b'@' && is_path_domain(&word.octets[at + 1..]),
        }
}

fn begins_path(octet: &u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'*' | b'$' | b'_')
}

/// Whether `text` can name a termination or device.
///
/// Wider than the ABNF's pathNAME, which starts with a letter: names of digits and slashes alone
/// are in wide use (physical terminations such as `11111111/00000000/00000001`).
pub(crate) fn is_path_name(text: &str) -> bool {
    let octets = text.as_bytes();
    let is_path = |c: &u8| classes(*c) & class::PATH != 0;
    octets.len() <= NAME_OCTETS
        && octets.first().is_some_and(begins_path)
        && match octets.iter().position(|c| !is_path(c)) {
            None => true,
            Some(at) => octets[at] == b'@' && is_path_domain(&octets[at + 1..]),
        }
}

fn is_path_domain(octets: &[u8]) -> bool {
    let starts_well = |c: &u8| c.is_ascii_alphanumeric() || *c == b'*';
    octets.first().is_some_and(starts_well)
        && octets
            .iter()
            .all(|c| c.is_ascii_alphanumeric() || b"-*.".contains(c))
}

/// A decimal number of up to `digits` digits, of which there are 19 at most.
#[inline]
pub(super) fn number<T: TryFrom<u64>>(text: &[u8], digits: usize) -> Option<T> {
    if text.is_empty() || text.len() > digits {
        return None;
    }
    let mut value = 0;
    for octet in text {
        let digit = octet.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    T::try_from(value).ok()
}

/// Octets of the package's name in `package/item`, `package/*` or `*/*`.
fn slash_of_item(text: &str) -> Option<u8> {
    let (package, item) = text.split_once('/')?;
    let is_item = is_name(package) && (is_name(item) || item == "*");
    let octets = u8::try_from(package.len()).ok()?;
    (is_item || text == "*/*").then_some(octets)
}

/// `package/item`, `package/*` or `*/*`.
pub(super) fn package_item(text: &str) -> Option<PackageItem> {
    slash_of_item(text).map(|slash| PackageItem::split(Text::from(text), slash))
}

/// `yyyymmddThhmmssss`.
pub(super) fn time_stamp(octets: &[u8]) -> Option<TimeStamp> {
    let octets: &[u8; 17] = octets.try_into().ok()?;
    let date: [u8; 8] = octets[..8].try_into().ok()?;
    let time: [u8; 8] = octets[9..].try_into().ok()?;
    let all_digits = |part: [u8; 8]| part.iter().all(u8::is_ascii_digit);
    let is_stamp = all_digits(date) && octets[8].eq_ignore_ascii_case(&b'T') && all_digits(time);
    is_stamp.then_some(TimeStamp { date, time })
}

/// A RequestID that may be ALL: `*` is carried as the highest number, as in the binary encoding.
pub(super) fn request_id(text: &[u8]) -> Option<u32> {
    if text == b"*" {
        Some(u32::MAX)
    } else {
        number(text, 10)
    }
}

/// What a command applies to.
const TERMINATION: &str = "a termination id";

/// What `token` stands for among `choices`.
#[inline]
pub(super) fn choose<T: Copy>(token: Token, choices: &[(Token, T)]) -> Option<T> {
    let choice = choices.iter().find(|(choice, _)| *choice == token)?;
    Some(choice.1)
}

impl<'a> Parser<'a> {
    /// A word whose octets `read` understands.
    #[inline(always)]
    pub(super) fn read<T>(
        &mut self,
        expected: &'static str,
        read: impl FnOnce(&'a [u8]) -> Option<T>,
    ) -> Parsed<T> {
        let word = self.word(expected)?;
        match read(word.octets) {
            Some(what) => Ok(what),
            None => self.fail_at(word.at, expected),
        }
    }

    /// A word whose text `read` understands.
    #[inline]
    pub(super) fn read_text<T>(
        &mut self,
        expected: &'static str,
        read: impl FnOnce(&'a str) -> Option<T>,
    ) -> Parsed<T> {
        let word = self.word(expected)?;
        match read(self.str(word)) {
            Some(what) => Ok(what),
            None => self.fail_at(word.at, expected),
        }
    }

    /// `= word`, understood by `read`.
    #[inline(always)]
    pub(super) fn assigned<T>(
        &mut self,
        expected: &'static str,
        read: impl FnOnce(&'a [u8]) -> Option<T>,
    ) -> Parsed<T> {
        self.equal()?;
        self.read(expected, read)
    }

    /// `= word`, its text understood by `read`.
    pub(super) fn assigned_text<T>(
        &mut self,
        expected: &'static str,
        read: impl FnOnce(&'a str) -> Option<T>,
    ) -> Parsed<T> {
        self.equal()?;
        self.read_text(expected, read)
    }

    /// `= UINT16`.
    pub(super) fn assigned_u16(&mut self) -> Parsed<u16> {
        self.assigned("a number up to 65535", |text| number(text, 5))
    }

    /// `= UINT32`.
    pub(super) fn assigned_u32(&mut self) -> Parsed<u32> {
        self.assigned("a number up to 4294967295", |text| number(text, 10))
    }

    /// A keyword out of a set; anything else is an unknown value.
    pub(super) fn choice<T: Copy>(
        &mut self,
        expected: &'static str,
        choices: &[(Token, T)],
    ) -> Parsed<T> {
        let word = self.maybe_word();
        match word.token().and_then(|token| choose(token, choices)) {
            Some(what) => Ok(what),
            None => Err(self.failed(word.at, expected, ErrorCode::UNKNOWN_VALUE)),
        }
    }

    /// `= ON` or `= OFF`.
    pub(super) fn on_off(&mut self) -> Parsed<bool> {
        self.equal()?;
        self.choice("ON or OFF", &[(Token::On, true), (Token::Off, false)])
    }

    #[inline]
    pub(super) fn package_item(&mut self) -> Parsed<PackageItem> {
        self.package_item_or("a package/item name")
    }

    /// A package/item name, or a failure that says what is `expected`.
    #[inline(always)]
    pub(super) fn package_item_or(&mut self, expected: &'static str) -> Parsed<PackageItem> {
        let (word, slash) = self.item_word(expected)?;
        Ok(PackageItem::split(self.cursor.text_of(word), slash))
    }

    /// The word of a package/item name, and where its slash stands.
    #[inline(always)]
    pub(super) fn item_word(&mut self, expected: &'static str) -> Parsed<(Word<'a>, u8)> {
        let word = self.word(expected)?;
        Ok((word, self.slash_of(word, expected)?))
    }

    /// The package/item name that `word` is, or a failure that says what is `expected`.
    pub(super) fn item_of(
        &mut self,
        word: Word<'a>,
        expected: &'static str,
    ) -> Parsed<PackageItem> {
        let slash = self.slash_of(word, expected)?;
        Ok(PackageItem::split(self.cursor.text_of(word), slash))
    }

    #[inline(always)]
    fn slash_of(&mut self, word: Word<'a>, expected: &'static str) -> Parsed<u8> {
        match word.slash_of_item() {
            Some(slash) => Ok(slash),
            None => self.slash_of_rare_item(word, expected),
        }
    }

    #[inline(never)]
    fn slash_of_rare_item(&mut self, word: Word<'a>, expected: &'static str) -> Parsed<u8> {
        match slash_of_item(self.str(word)) {
            Some(slash) => Ok(slash),
            None => self.fail_at(word.at, expected),
        }
    }

    pub(super) fn package_version(&mut self) -> Parsed<PackageVersion> {
        self.read_text("a package-version", |text| {
            let (name, version) = text.rsplit_once('-')?;
            let version = number(version.as_bytes(), 5)?;
            let name = is_name(name).then(|| Name::new(name))?;
            Some(PackageVersion { name, version })
        })
    }

    #[inline(always)]
    fn word_as_termination(&mut self, word: Word<'a>) -> Parsed<TerminationId> {
        Ok(match word.octets {
            b"$" => TerminationId::Choose,
            b"*" => TerminationId::All,
            octets if octets.eq_ignore_ascii_case(b"ROOT") => TerminationId::Root,
            _ if is_path_word(word) => TerminationId::Name(self.name(word)),
            _ => return self.fail_at(word.at, TERMINATION),
        })
    }

    pub(super) fn termination_id(&mut self) -> Parsed<TerminationId> {
        let word = self.word(TERMINATION)?;
        self.word_as_termination(word)
    }

    /// `tid` or, in version 3, `[tid, tid]`.
    #[inline(always)]
    pub(super) fn termination_ids(&mut self) -> Parsed<TerminationIds> {
        let word = self.maybe_word();
        if word.is_empty() {
            return self.termination_list();
        }
        Ok(self.word_as_termination(word)?.into())
    }

    #[inline(never)]
    fn termination_list(&mut self) -> Parsed<TerminationIds> {
        let at = self.here();
        if !self.eat(b'[') {
            return self.fail(TERMINATION);
        }
        self.since_at(3, at)?;
        let mut ids = Vec::new();
        self.separated(&mut |parser: &mut Self| {
            ids.push(parser.termination_id()?);
            Ok(())
        })?;
        self.expect(b']', "\",\" or \"]\"")?;
        Ok(TerminationIds(ids.into()))
    }

    #[inline(always)]
    pub(super) fn value(&mut self) -> Parsed<Value> {
        let word = self.maybe_word();
        let quoted = word.is_empty();
        let text = match quoted {
            false => self.cursor.text_of(word),
            true => Text::from(self.quoted()?),
        };
        Ok(Value { text, quoted })
    }

    #[inline(never)]
    pub(super) fn quoted(&mut self) -> Parsed<&'a str> {
        if self.next() != Some(b'"') {
            return self.fail("a value");
        }
        match self.cursor.quoted() {
            Some(text) => Ok(text),
            None => self.fail("a quoted string on one line"),
        }
    }

    /// A parmValue, with its operator.
    #[inline(always)]
    pub(super) fn property_value(&mut self, value: &mut PropertyValue) -> Parsed<()> {
        if !self.eat(b'=') {
            *value = self.comparison()?;
            return Ok(());
        }
        let word = self.maybe_word();
        // Nearly all are such words.
        *value = match word.is_empty() {
            true => self.alternatives()?,
            false => PropertyValue::Is(Value {
                text: self.cursor.text_of(word),
                quoted: false,
            }),
        };
        Ok(())
    }

    /// A parmValue with an operator other than `=`.
    #[inline(never)]
    fn comparison(&mut self) -> Parsed<PropertyValue> {
        let operator = self.next();
        if let Some(b'>' | b'<' | b'#') = operator {
            self.cursor.skip();
        }
        match operator {
            Some(b'>') => Ok(PropertyValue::GreaterThan(self.value()?)),
            Some(b'<') => Ok(PropertyValue::LessThan(self.value()?)),
            Some(b'#') => Ok(PropertyValue::NotEqual(self.value()?)),
            _ => self.fail("\"=\", \"#\", \"<\" or \">\" and a value"),
        }
    }

    /// An alternativeValue.
    #[inline(never)]
    fn alternatives(&mut self) -> Parsed<PropertyValue> {
        match self.next() {
            Some(b'[') => self.bracketed_values(),
            Some(b'{') => Ok(PropertyValue::OneOf(self.list(Self::value)?)),
            _ => Ok(PropertyValue::Is(self.value()?)),
        }
    }

    /// `[v,v]` or `[v:v]`.
    fn bracketed_values(&mut self) -> Parsed<PropertyValue> {
        self.expect(b'[', "\"[\"")?;
        let first = self.value()?;
        if self.eat(b':') {
            let last = self.value()?;
            self.expect(b']', "\"]\"")?;
            return Ok(PropertyValue::Range(Box::new([first, last])));
        }
        let mut values = vec![first];
        if self.eat(b',') {
            self.separated(&mut |parser: &mut Self| {
                values.push(parser.value()?);
                Ok(())
            })?;
        }
        self.expect(b']', "\",\", \":\" or \"]\"")?;
        Ok(PropertyValue::AllOf(values))
    }

    /// Adds `pkg/prop value`, the name already read.
    pub(super) fn property(
        &mut self,
        word: Word<'a>,
        properties: &mut Vec<PropertyParm>,
    ) -> Parsed<()> {
        let slash = self.slash_of(word, "a known item or a package/property")?;
        let property = added(properties, PropertyParm::default);
        property.name = PackageItem::split(self.cursor.text_of(word), slash);
        self.property_value(&mut property.value)
    }

    /// Adds `NAME value`, the name already read.
    pub(super) fn parm(&mut self, word: Word<'a>, parms: &mut Vec<Parm>) -> Parsed<()> {
        if !is_name_word(word) {
            return self.fail_at(word.at, "a parameter");
        }
        let parm = added(parms, Parm::default);
        parm.name = self.name(word);
        self.property_value(&mut parm.value)
    }

    /// `=code{["text"]}`, the keyword already read.
    pub(super) fn error_descriptor(&mut self) -> Parsed<ErrorDescriptor> {
        let code = self.assigned("an error code of up to 4 digits", |text| number(text, 4))?;
        self.open()?;
        let text = match self.next() {
            Some(b'"') => Some(Text::from(self.quoted()?)),
            _ => None,
        };
        self.close()?;
        Ok(ErrorDescriptor { code, text })
    }
}
