//! Everything before the body: authentication, version and sender.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::value::{is_path_word, number};
use super::{Parsed, Parser, Word};
use crate::ast::{Authentication, ErrorDescriptor, MId, Name};
use crate::error_code::ErrorCode;
use crate::lex::{Cursor, class};
use crate::token::Token;

/// The header of a message.
pub(super) struct Header {
    pub(super) authentication: Option<Box<Authentication>>,
    pub(super) version: u8,
    /// Where the version stands.
    pub(super) version_at: usize,
    pub(super) mid: MId,
}

impl Header {
    /// Reads one as terse senders with a domain name write it: `!/version <name>:port `. If it is another,
    /// the cursor has no meaning.
    #[inline(always)]
    fn usual(cursor: &mut Cursor<'_>) -> Option<Self> {
        let word = cursor.word();
        let [b'!', b'/', digit @ b'0'..=b'9'] = word.octets else {
            return None;
        };
        if !(cursor.eat(b' ') && cursor.eat(b'<')) {
            return None;
        }
        let name = cursor.word();
        if !(is_domain(name) && cursor.eat(b'>')) {
            return None;
        }
        let mut port = None;
        if cursor.eat(b':') {
            port = Some(number(cursor.word().octets, 5)?);
        }
        if !cursor.blank() {
            return None;
        }
        Some(Self {
            authentication: None,
            version: digit - b'0',
            version_at: word.at + 2,
            mid: MId::Domain {
                name: cursor.text_of(name).into(),
                port,
            },
        })
    }
}

/// Longest text between the brackets of an address: a full IPv6 one with an IPv4 tail.
const ADDRESS_OCTETS: usize = 45;

impl<'a> Parser<'a> {
    /// Reads the header and puts its version in force.
    #[inline(always)]
    pub(super) fn header(&mut self) -> Parsed<Header> {
        if self.cursor.len() > self.limits.message_octets {
            self.cursor.seek(self.limits.message_octets);
            return self.fail("the end of the message: it is too long");
        }
        let mut cursor = self.cursor;
        let header = match Header::usual(&mut cursor) {
            Some(header) => {
                self.cursor = cursor;
                header
            }
            None => self.rare_header()?,
        };
        self.version = header
            .version
            .clamp(*super::VERSIONS.start(), *super::VERSIONS.end());
        Ok(header)
    }

    #[inline(never)]
    fn rare_header(&mut self) -> Parsed<Header> {
        let mut word = self.header_word("\"MEGACO/\" or \"!/\"")?;
        let mut authentication = None;
        if word.is(Token::Authentication) {
            authentication = Some(Box::new(self.authentication()?));
            word = self.header_word("\"MEGACO/\" or \"!/\"")?;
        }
        let (version, version_at) = self.protocol(word)?;
        self.separator("a blank after the version")?;
        let mid = self.mid()?;
        if self.cursor.peek().is_some() {
            self.separator("a blank after the sender's name")?;
        }
        Ok(Header {
            authentication,
            version,
            version_at,
            mid,
        })
    }

    /// `Error` as the whole body of a message.
    #[inline]
    pub(super) fn message_error(&mut self) -> Parsed<Option<ErrorDescriptor>> {
        if !matches!(self.next(), Some(b'E' | b'e')) {
            return Ok(None);
        }
        let word = self.maybe_word();
        if !word.is(Token::Error) {
            self.cursor.seek(word.at);
            return Ok(None);
        }
        let error = self.error_descriptor()?;
        if !self.is_at_end() {
            return self.fail("the end of the message");
        }
        Ok(Some(error))
    }

    /// `=0xSPI:0xSEQ:0xICV` and SEP; no blanks around the colons.
    fn authentication(&mut self) -> Parsed<Authentication> {
        self.equal()?;
        self.cursor.blank();
        let spi = self.hex("0x and 8 hexadecimal digits", 8..=8)?;
        self.mark(b':', "\":\"")?;
        let sequence = self.hex("0x and 8 hexadecimal digits", 8..=8)?;
        self.mark(b':', "\":\"")?;
        let icv = self.hex("0x and 24 to 64 hexadecimal digits", 24..=64)?;
        self.separator("a blank after the authentication header")?;
        Ok(Authentication { spi, sequence, icv })
    }

    /// Takes `mark`, before which no blanks may stand.
    fn mark(&mut self, mark: u8, expected: &'static str) -> Parsed<()> {
        if self.cursor.eat(mark) {
            Ok(())
        } else {
            self.fail_at(self.cursor.pos(), expected)
        }
    }

    fn hex(
        &mut self,
        expected: &'static str,
        digits: core::ops::RangeInclusive<usize>,
    ) -> Parsed<Name> {
        let word = self.cursor.word();
        let text = self.str(word);
        let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
        match hex.filter(|hex| digits.contains(&hex.len()) && is_hex(hex)) {
            Some(hex) => Ok(Name::new(hex)),
            None => self.fail_at(word.at, expected),
        }
    }

    /// `MEGACO/version`: the version and its place.
    fn protocol(&mut self, word: Word<'a>) -> Parsed<(u8, usize)> {
        let slash = word.octets.iter().position(|c| *c == b'/');
        let (name, version) = match slash {
            Some(at) => (&word.octets[..at], &word.octets[at + 1..]),
            None => (word.octets, &[][..]),
        };
        if Token::of(name) != Some(Token::Megaco) {
            return self.fail_at(word.at, "\"MEGACO/\" or \"!/\"");
        }
        let at = word.at + name.len() + usize::from(slash.is_some());
        match number(version, 2) {
            Some(version) => Ok((version, at)),
            None => self.fail_at(at, "a version of one or two digits"),
        }
    }

    fn separator(&mut self, expected: &'static str) -> Parsed<()> {
        if self.cursor.blank() {
            Ok(())
        } else {
            self.fail(expected)
        }
    }

    /// A word, with the blanks before and none behind it: in a header they count.
    fn header_word(&mut self, expected: &'static str) -> Parsed<Word<'a>> {
        self.cursor.blank();
        let word = self.cursor.word();
        if word.is_empty() {
            return self.fail(expected);
        }
        Ok(word)
    }

    /// The name of an MG or MGC.
    pub(super) fn mid(&mut self) -> Parsed<MId> {
        self.cursor.blank();
        match self.cursor.peek() {
            Some(b'<') => self.domain(),
            Some(b'[') => self.address(),
            _ => self.mtp_or_device(),
        }
    }

    fn domain(&mut self) -> Parsed<MId> {
        self.cursor.skip();
        let word = self.cursor.word();
        if !is_domain(word) {
            return self.fail_at(word.at, "a domain name");
        }
        self.mark(b'>', "\">\"")?;
        let port = self.port()?;
        let name = self.name(word);
        Ok(MId::Domain { name, port })
    }

    fn address(&mut self) -> Parsed<MId> {
        self.cursor.skip();
        let at = self.cursor.pos();
        let address = self.cursor.until(b']').and_then(ip_address);
        let Some(address) = address else {
            return self.fail_at(at, "an IPv4 or IPv6 address");
        };
        self.cursor.skip();
        let port = self.port()?;
        Ok(MId::Ip { address, port })
    }

    /// `[":" port]`.
    fn port(&mut self) -> Parsed<Option<u16>> {
        if !self.cursor.eat(b':') {
            return Ok(None);
        }
        let word = self.cursor.word();
        match number(word.octets, 5) {
            Some(port) => Ok(Some(port)),
            None => self.fail_at(word.at, "a port number"),
        }
    }

    fn mtp_or_device(&mut self) -> Parsed<MId> {
        let word = self.header_word("a message identifier")?;
        if word.is(Token::Mtp) {
            let at = self.cursor.pos();
            self.cursor.blank();
            if self.next() == Some(b'{') {
                return self.mtp();
            }
            self.cursor.seek(at);
        }
        if !is_path_word(word) {
            return self.fail_at(word.at, "a device name");
        }
        Ok(MId::Device(self.name(word)))
    }

    fn mtp(&mut self) -> Parsed<MId> {
        self.open()?;
        let digits = self.read_text("4 to 8 hexadecimal digits", |text| {
            ((4..=8).contains(&text.len()) && is_hex(text)).then(|| Name::new(text))
        })?;
        self.expect(b'}', "\"}\"")?;
        self.depth -= 1;
        Ok(MId::Mtp(digits))
    }
}

/// Whether `word` can stand between the angle brackets of an mId.
#[inline(always)]
fn is_domain(word: Word<'_>) -> bool {
    word.octets.first().is_some_and(u8::is_ascii_alphanumeric) && word.is_short_of(class::DOMAIN)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|c| c.is_ascii_hexdigit())
}

/// Reads what stands between the square brackets of an mId.
pub(crate) fn ip_address(text: &[u8]) -> Option<IpAddr> {
    let text = core::str::from_utf8(text).ok()?;
    if text.len() > ADDRESS_OCTETS {
        return None;
    }
    if text.contains(':') {
        return text.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    // Unlike the standard library, the ABNF allows leading zeros; they are decimal.
    let mut parts = text.split('.');
    let mut octets = [0u8; 4];
    for octet in &mut octets {
        *octet = number(parts.next()?.as_bytes(), 3)?;
    }
    parts
        .next()
        .is_none()
        .then(|| IpAddr::V4(Ipv4Addr::from(octets)))
}

impl core::str::FromStr for MId {
    type Err = super::ParseError;

    /// Reads an mId as it stands in a message header.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let limits = crate::limits::Limits::default();
        let mut parser = Parser::new(text.as_bytes(), &limits);
        parser.code = ErrorCode::INCORRECT_IDENTIFIER;
        let mid = parser.mid().and_then(|mid| match parser.cursor.peek() {
            None => Ok(mid),
            Some(_) => parser.fail("the end of the identifier"),
        });
        mid.map_err(|super::Failed| parser.failure.locate(text.as_bytes()))
    }
}
