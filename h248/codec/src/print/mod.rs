//! Writing messages, for people or for the wire.
//!
//! Both forms are what Erlang/OTP's and Wireshark's decoders take: bare tokens for empty
//! descriptors, no escapes unless the data has a `}`, one line end after each line of SDP.
//!
//! `parse(print(x)) == x` for every AST the parser can produce. Others are printed as near as the
//! grammar allows: what only a later version than the message's has is left out, an empty
//! LocalControl is written as its meaning (`Mode=Inactive`), an empty stream is left out.

mod audit;
mod command;
mod events;
mod media;
mod out;
mod put;
mod service;
mod transaction;

use crate::ast::{
    ErrorDescriptor, MId, Message, MessageBody, OctetString, PropertyParm, PropertyValue,
    Transaction, Value,
};
use crate::lex::trimmed;
use crate::parse::is_plain;
use crate::token::Token;
use out::{Out, TYPICAL_OCTETS};
use put::Put;

/// Token form and layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Encoding {
    /// Long tokens, indented, one item a line.
    Pretty,
    /// Short tokens, no blanks.
    #[default]
    Compact,
}

/// Writes a message.
#[must_use]
pub fn print(message: &Message, encoding: Encoding) -> Vec<u8> {
    let mut out = Vec::with_capacity(TYPICAL_OCTETS);
    print_into(message, encoding, &mut out);
    out
}

/// Appends a message to `out`.
pub fn print_into(message: &Message, encoding: Encoding, out: &mut Vec<u8>) {
    match encoding {
        Encoding::Pretty => Writer::<true>::write(out, message.version, |w| w.message(message)),
        Encoding::Compact => Writer::<false>::write(out, message.version, |w| w.message(message)),
    }
}

/// Writes a message of `version` from `mid` with these transactions.
#[must_use]
pub fn print_transactions(
    version: u8,
    mid: &MId,
    transactions: &[Transaction],
    encoding: Encoding,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(TYPICAL_OCTETS);
    match encoding {
        Encoding::Pretty => Writer::<true>::write(&mut out, version, |writer| {
            writer.header(version, mid);
            writer.transactions(transactions);
        }),
        Encoding::Compact => Writer::<false>::write(&mut out, version, |writer| {
            writer.header(version, mid);
            writer.transactions(transactions);
        }),
    }
    out
}

/// Writes one transaction without a message around it, as in a message of `version`.
#[must_use]
pub fn print_transaction(transaction: &Transaction, version: u8, encoding: Encoding) -> Vec<u8> {
    let mut out = Vec::with_capacity(TYPICAL_OCTETS);
    match encoding {
        Encoding::Pretty => {
            Writer::<true>::write(&mut out, version, |w| w.transaction(transaction));
        }
        Encoding::Compact => {
            Writer::<false>::write(&mut out, version, |w| w.transaction(transaction));
        }
    }
    out
}

/// Blanks per level of a pretty message.
const INDENT: usize = 2;

/// Writes with long tokens and one item a line if `PRETTY`, else with short ones and no blanks.
struct Writer<const PRETTY: bool> {
    out: Out,
    version: u8,
    depth: usize,
    /// No item has been written since the last opening brace.
    is_first: bool,
}

impl<const PRETTY: bool> Writer<PRETTY> {
    /// Appends to `out` what `body` writes.
    fn write(out: &mut Vec<u8>, version: u8, body: impl FnOnce(&mut Self)) {
        let mut writer = Self {
            out: Out::behind(core::mem::take(out)),
            version,
            depth: 0,
            is_first: true,
        };
        body(&mut writer);
        *out = writer.out.into_octets();
    }

    fn message(&mut self, message: &Message) {
        if let Some(authentication) = &message.authentication {
            self.token(Token::Authentication);
            self.raw("=0x");
            self.put(&authentication.spi);
            self.raw(":0x");
            self.put(&authentication.sequence);
            self.raw(":0x");
            self.put(&authentication.icv);
            self.raw("\n");
        }
        self.header(message.version, &message.mid);
        match &message.body {
            MessageBody::Error(error) => {
                self.error(error);
                if PRETTY {
                    self.raw("\n");
                }
            }
            MessageBody::Transactions(transactions) => self.transactions(transactions),
        }
    }

    fn header(&mut self, version: u8, mid: &MId) {
        self.token(Token::Megaco);
        self.raw("/");
        self.put(version);
        self.raw(" ");
        self.put(mid);
        self.raw("\n");
    }

    fn transactions(&mut self, transactions: &[Transaction]) {
        // Nothing but a blank ends a Segment, yet Erlang/OTP takes none after the last one.
        let mut ends_open = false;
        for (at, transaction) in transactions.iter().enumerate() {
            if at > 0 && (PRETTY || ends_open) {
                self.raw("\n");
            }
            self.transaction(transaction);
            ends_open = matches!(transaction, Transaction::Segment { .. });
        }
        if PRETTY && !ends_open {
            self.raw("\n");
        }
    }

    #[inline]
    fn raw(&mut self, text: &str) {
        self.out.put(text.as_bytes());
    }

    #[inline]
    fn put(&mut self, what: impl Put) {
        what.put(&mut self.out);
    }

    #[inline]
    fn token(&mut self, token: Token) {
        if PRETTY {
            self.raw(token.long());
        } else {
            self.out.short(token);
        }
    }

    /// `=`, in its blanks if pretty.
    #[inline]
    fn equal(&mut self) {
        self.operator(b'=');
    }

    #[inline]
    fn operator(&mut self, operator: u8) {
        if PRETTY {
            self.out.push(b' ');
            self.out.push(operator);
            self.out.push(b' ');
        } else {
            self.out.push(operator);
        }
    }

    /// `token = value`.
    #[inline]
    fn assign(&mut self, token: Token, value: impl Put) {
        self.token(token);
        self.equal();
        self.put(value);
    }

    /// `token = token`.
    fn assign_token(&mut self, token: Token, value: Token) {
        self.token(token);
        self.equal();
        self.token(value);
    }

    fn assign_on_off(&mut self, token: Token, is_on: bool) {
        self.assign_token(token, if is_on { Token::On } else { Token::Off });
    }

    /// Begins an item of the block at hand.
    #[inline]
    fn item(&mut self) {
        if !self.is_first {
            self.out.push(b',');
        }
        self.is_first = false;
        self.new_line();
    }

    #[inline]
    fn new_line(&mut self) {
        if PRETTY {
            self.raw("\n");
            self.indent();
        }
    }

    fn indent(&mut self) {
        self.out.blanks(self.depth * INDENT);
    }

    /// A brace, with the blank before it if pretty.
    #[inline]
    fn brace(&mut self) {
        if PRETTY {
            self.out.push(b' ');
        }
        self.out.push(b'{');
    }

    /// `{ ... }` around what `body` writes.
    fn block(&mut self, body: impl FnOnce(&mut Self)) {
        self.brace();
        self.depth += 1;
        self.is_first = true;
        body(self);
        self.depth -= 1;
        if !self.is_first {
            self.new_line();
        }
        self.out.push(b'}');
        self.is_first = false;
    }

    /// `{ ... }`, or nothing if `body` writes no item.
    fn optional_block(&mut self, body: impl FnOnce(&mut Self)) {
        let before = self.out.len();
        self.block(body);
        // The braces alone.
        if self.out.len() == before + 2 + usize::from(PRETTY) {
            self.out.truncate(before);
        }
    }

    /// A block with an item for each of `items`.
    fn list<T>(&mut self, items: &[T], mut print: impl FnMut(&mut Self, &T)) {
        self.block(|writer| {
            for item in items {
                writer.item();
                print(writer, item);
            }
        });
    }

    /// Items on one line, separated by commas.
    fn inline<T>(&mut self, items: &[T], mut print: impl FnMut(&mut Self, &T)) {
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.comma();
            }
            print(self, item);
        }
    }

    fn comma(&mut self) {
        self.raw(if PRETTY { ", " } else { "," });
    }

    /// `{ items }` on one line.
    fn inline_braces<T>(&mut self, items: &[T], print: impl FnMut(&mut Self, &T)) {
        self.out.push(b'{');
        self.inline(items, print);
        self.out.push(b'}');
    }

    /// `Error=code{"text"}`.
    fn error(&mut self, error: &ErrorDescriptor) {
        self.assign(Token::Error, error.code);
        self.brace();
        if let Some(text) = &error.text {
            self.quoted(text);
        }
        self.out.push(b'}');
    }

    /// A quotedString: there is no escape, so what cannot stand in one is replaced.
    fn quoted(&mut self, text: &str) {
        self.out.push(b'"');
        if text.bytes().all(|c| matches!(c, b' '..=b'~') && c != b'"') {
            self.raw(text);
            self.out.push(b'"');
            return;
        }
        for c in text.chars() {
            let printed = match c {
                '"' => '\'',
                '\t' => '\t',
                _ if c.is_control() => ' ',
                _ => c,
            };
            self.raw(printed.encode_utf8(&mut [0; 4]));
        }
        self.out.push(b'"');
    }

    fn value(&mut self, value: &Value) {
        if value.quoted || !is_plain(value.text.as_bytes()) {
            self.quoted(&value.text);
        } else {
            self.out.text(&value.text);
        }
    }

    fn property(&mut self, property: &PropertyParm) {
        self.put(&property.name);
        self.property_value(&property.value);
    }

    /// Operator and value or values.
    fn property_value(&mut self, value: &PropertyValue) {
        match value {
            PropertyValue::Is(value) => {
                self.equal();
                self.value(value);
            }
            PropertyValue::AllOf(values) => {
                self.equal();
                self.out.push(b'[');
                self.inline(values, Self::value);
                self.out.push(b']');
            }
            PropertyValue::OneOf(values) => {
                self.equal();
                self.inline_braces(values, Self::value);
            }
            PropertyValue::Range(range) => {
                let [first, last] = &**range;
                self.equal();
                self.out.push(b'[');
                self.value(first);
                self.out.push(b':');
                self.value(last);
                self.out.push(b']');
            }
            PropertyValue::GreaterThan(value) => {
                self.operator(b'>');
                self.value(value);
            }
            PropertyValue::LessThan(value) => {
                self.operator(b'<');
                self.value(value);
            }
            PropertyValue::NotEqual(value) => {
                self.operator(b'#');
                self.value(value);
            }
        }
    }

    /// `{octets}`: on lines of their own, `}` escaped, NUL (which no octetString can hold) left
    /// out.
    fn octets(&mut self, octets: &OctetString) {
        self.brace();
        if let Some((mut text, line_end)) = trimmed(&octets.0) {
            self.out.put(line_end);
            while let Some(at) = memchr::memchr2(b'}', 0, text) {
                self.out.put(&text[..at]);
                if text[at] == b'}' {
                    self.raw("\\}");
                }
                text = &text[at + 1..];
            }
            self.out.put(text);
            self.out.put(line_end);
            if PRETTY {
                self.indent();
            }
        }
        self.out.push(b'}');
    }
}

#[cfg(test)]
mod tests;
