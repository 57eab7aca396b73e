//! Recursive descent over the octets of a message.
//!
//! One pass, no token stream, no backtracking beyond a word. Versions 1 to 3 share one grammar; what
//! only version 3 (or 2) has is refused in an older message, because a peer of that version means
//! something else or nothing by it.

mod audit;
mod command;
mod context;
mod events;
mod header;
mod media;
mod recover;
mod service;
mod transaction;
mod value;

pub(crate) use media::is_plain;
pub(crate) use value::is_path_name;

pub use recover::{BrokenTransaction, Received, ReceivedBody, parse_recovering};

use core::fmt;

use crate::ast::{Few, Message, MessageBody, Name};
use crate::error_code::ErrorCode;
use crate::lex::{Cursor, Word, line_column};
use crate::limits::{FOUND_OCTETS, Limits};
use crate::token::Token;

/// Why a text is not a message, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: expected {expected}, found {found}")]
pub struct ParseError {
    /// From 1; CR, LF and CRLF each end a line.
    pub line: usize,
    /// From 1, in octets.
    pub column: usize,
    /// Octets before the error.
    pub offset: usize,
    /// What stands there, shortened.
    pub found: String,
    /// What may stand there.
    pub expected: &'static str,
    /// What to answer the sender with.
    pub code: ErrorCode,
}

/// Parses a whole message, of version 1 to 3, and nothing less.
///
/// # Errors
///
/// The first violation of the grammar or of `limits`, with its place. An unsupported version has
/// the code 406.
///
/// ```
/// let limits = h248::Limits::default();
/// let error = h248::parse(b"!/2 <mgc.example.net> T=1{C=1{S}}", &limits).unwrap_err();
/// assert_eq!(error.to_string(), "1:32: expected \"=\", found \"}\"");
/// assert_eq!(error.code, h248::ErrorCode::SYNTAX_ERROR_IN_COMMAND);
/// ```
pub fn parse(text: &[u8], limits: &Limits) -> Result<Message, ParseError> {
    let mut parser = Parser::new(text, limits);
    let message = parser.message();
    message.map_err(|Failed| parser.failure.locate(text))
}

/// Versions the codec knows.
pub const VERSIONS: core::ops::RangeInclusive<u8> = 1..=3;

/// A [`ParseError`] without line, column and copies: cheap enough to make and drop.
#[derive(Clone, Copy, Debug)]
struct Failure {
    at: usize,
    expected: &'static str,
    code: ErrorCode,
}

/// The parser has failed, and holds the [`Failure`]. Without content, since all results carry it.
#[derive(Clone, Copy, Debug)]
struct Failed;

type Parsed<T> = Result<T, Failed>;

impl Failure {
    fn locate(self, text: &[u8]) -> ParseError {
        let (line, column) = line_column(text, self.at);
        ParseError {
            line,
            column,
            offset: self.at.min(text.len()),
            found: found(&text[self.at.min(text.len())..]),
            expected: self.expected,
            code: self.code,
        }
    }
}

/// Names what `rest` starts with: a word, a character or the end.
fn found(rest: &[u8]) -> String {
    let Some(first) = rest.first() else {
        return "the end of the message".to_owned();
    };
    let mut cursor = Cursor::new(&rest[..rest.len().min(FOUND_OCTETS)]);
    let word = cursor.word();
    match core::str::from_utf8(word.octets).unwrap_or_default() {
        "" if first.is_ascii_graphic() || *first == b' ' => quote(char::from(*first)),
        "" => format!("octet 0x{first:02X}"),
        word => quote(word),
    }
}

fn quote(what: impl fmt::Display) -> String {
    format!("\"{what}\"")
}

/// The parser: a cursor, the rules of the place it is at, and what it has achieved so far.
///
/// Blanks are skipped before what is looked for, and only if it is not there at once: between most
/// things there are none.
struct Parser<'a> {
    cursor: Cursor<'a>,
    limits: &'a Limits,
    /// Which version's additions are in force.
    version: u8,
    /// Open braces.
    depth: usize,
    /// Within the Events of an Embed.
    is_embedded: bool,
    /// Commands seen in the transaction at hand.
    commands: usize,
    /// The code of a plain syntax error here (H.248.8: 400, 403, 422, 442 by place).
    code: ErrorCode,
    progress: transaction::Progress,
    /// Why the parser has failed, when it has.
    failure: Failure,
}

impl<'a> Parser<'a> {
    fn new(text: &'a [u8], limits: &'a Limits) -> Self {
        Self {
            cursor: Cursor::new(text),
            limits,
            version: *VERSIONS.end(),
            depth: 0,
            is_embedded: false,
            commands: 0,
            code: ErrorCode::SYNTAX_ERROR_IN_MESSAGE,
            progress: transaction::Progress::default(),
            failure: Failure {
                at: 0,
                expected: "a message",
                code: ErrorCode::SYNTAX_ERROR_IN_MESSAGE,
            },
        }
    }

    fn message(&mut self) -> Parsed<Message> {
        let header = self.header()?;
        if !VERSIONS.contains(&header.version) {
            let code = ErrorCode::VERSION_NOT_SUPPORTED;
            return Err(self.failed(header.version_at, "version 1, 2 or 3", code));
        }
        let body = match self.message_error()? {
            Some(error) => MessageBody::Error(error),
            None => {
                let mut transactions = Vec::with_capacity(1);
                while !self.is_at_end() {
                    self.check_transactions(transactions.len())?;
                    self.transaction(added(&mut transactions, transaction::unread))?;
                }
                if transactions.is_empty() {
                    return self.fail("a transaction or an Error");
                }
                MessageBody::Transactions(transactions)
            }
        };
        Ok(Message {
            authentication: header.authentication,
            version: header.version,
            mid: header.mid,
            body,
        })
    }

    fn check_transactions(&mut self, so_far: usize) -> Parsed<()> {
        if so_far < self.limits.transactions {
            return Ok(());
        }
        let expected = "the end of the message: too many transactions";
        let at = self.here();
        Err(self.failed(at, expected, ErrorCode::TOO_MANY_TRANSACTIONS))
    }

    /// Skips blanks; says whether nothing follows.
    fn is_at_end(&mut self) -> bool {
        self.cursor.blank();
        self.cursor.peek().is_none()
    }

    /// Notes a failure.
    #[cold]
    fn failed(&mut self, at: usize, expected: &'static str, code: ErrorCode) -> Failed {
        self.failure = Failure { at, expected, code };
        Failed
    }

    /// Fails where the cursor is, with the code of the place.
    #[cold]
    fn fail<T>(&mut self, expected: &'static str) -> Parsed<T> {
        let at = self.here();
        Err(self.failed(at, expected, self.code))
    }

    /// Fails at another place, with the code of this one.
    #[cold]
    fn fail_at<T>(&mut self, at: usize, expected: &'static str) -> Parsed<T> {
        Err(self.failed(at, expected, self.code))
    }

    /// Runs `parse` with `code` in force; a failure leaves it so.
    fn within<T>(
        &mut self,
        code: ErrorCode,
        parse: impl FnOnce(&mut Self) -> Parsed<T>,
    ) -> Parsed<T> {
        let outer = core::mem::replace(&mut self.code, code);
        let parsed = parse(self)?;
        self.code = outer;
        Ok(parsed)
    }

    /// The next character that is not blank, without taking it.
    #[inline]
    fn next(&mut self) -> Option<u8> {
        self.cursor.blank();
        self.cursor.peek()
    }

    /// The place of the next character that is not blank.
    fn here(&mut self) -> usize {
        self.cursor.blank();
        self.cursor.pos()
    }

    /// Takes `mark`, if it comes next.
    #[inline]
    fn eat(&mut self, mark: u8) -> bool {
        self.cursor.eat(mark) || (self.cursor.blank() && self.cursor.eat(mark))
    }

    #[inline]
    fn expect(&mut self, mark: u8, expected: &'static str) -> Parsed<()> {
        if self.eat(mark) {
            Ok(())
        } else {
            self.fail(expected)
        }
    }

    #[inline]
    fn equal(&mut self) -> Parsed<()> {
        self.expect(b'=', "\"=\"")
    }

    /// Takes a `{`, which the caller closes by [`Self::close`].
    #[inline]
    fn open(&mut self) -> Parsed<()> {
        let at = self.cursor.pos();
        self.expect(b'{', "\"{\"")?;
        if self.depth == self.limits.depth {
            self.cursor.seek(at);
            return self.fail("fewer nested braces");
        }
        self.depth += 1;
        Ok(())
    }

    #[inline]
    fn close(&mut self) -> Parsed<()> {
        self.close_after("\"}\"")
    }

    #[inline]
    fn close_after(&mut self, expected: &'static str) -> Parsed<()> {
        self.expect(b'}', expected)?;
        self.depth -= 1;
        Ok(())
    }

    /// `{ item *( , item) }`.
    fn braced(&mut self, mut item: impl FnMut(&mut Self) -> Parsed<()>) -> Parsed<()> {
        self.open()?;
        self.separated(&mut item)?;
        self.close_after("\",\" or \"}\"")
    }

    /// `item *( , item)`.
    #[inline]
    fn separated(&mut self, item: &mut impl FnMut(&mut Self) -> Parsed<()>) -> Parsed<()> {
        for _ in 0..self.limits.list_items {
            item(self)?;
            if !self.eat(b',') {
                return Ok(());
            }
        }
        self.fail("a shorter list")
    }

    /// The items of a braced list, collected.
    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = Vec::new();
        self.list_into(&mut items, |parser, items| {
            items.push(item(parser)?);
            Ok(())
        })?;
        Ok(items)
    }

    /// As [`Self::list`], into the empty `items`, `item` adding each: large ones are made in their place.
    #[inline(always)]
    fn list_into<T>(
        &mut self,
        items: &mut Vec<T>,
        mut item: impl FnMut(&mut Self, &mut Vec<T>) -> Parsed<()>,
    ) -> Parsed<()> {
        begin(items);
        self.braced(|parser| item(parser, items))
    }

    /// The items of a braced list, collected; the braces may be empty or missing.
    fn optional_list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = Vec::new();
        self.optional_list_into(&mut items, |parser, items| {
            items.push(item(parser)?);
            Ok(())
        })?;
        Ok(items)
    }

    /// As [`Self::optional_list`], into the empty `items`, `item` adding each.
    #[inline(always)]
    fn optional_list_into<T>(
        &mut self,
        items: &mut Vec<T>,
        mut item: impl FnMut(&mut Self, &mut Vec<T>) -> Parsed<()>,
    ) -> Parsed<()> {
        self.optional_items_into(items, |parser, items| {
            parser.separated(&mut |parser: &mut Self| item(parser, items))
        })
    }

    /// The items of a braced list, which `read` reads into the empty `items`; the braces may be empty or missing.
    #[inline(always)]
    fn optional_items_into<T>(
        &mut self,
        items: &mut Vec<T>,
        read: impl FnOnce(&mut Self, &mut Vec<T>) -> Parsed<()>,
    ) -> Parsed<()> {
        if self.next() != Some(b'{') {
            return Ok(());
        }
        self.open()?;
        if self.next() == Some(b'}') {
            return self.close();
        }
        begin(items);
        read(self, items)?;
        self.close_after("\",\" or \"}\"")
    }

    /// A non-empty word.
    #[inline(always)]
    fn word(&mut self, expected: &'static str) -> Parsed<Word<'a>> {
        let word = self.maybe_word();
        if word.is_empty() {
            return self.fail(expected);
        }
        Ok(word)
    }

    /// A word, which may be empty.
    #[inline(always)]
    fn maybe_word(&mut self) -> Word<'a> {
        let word = self.cursor.word();
        if word.is_empty() && self.cursor.blank() {
            return self.cursor.word();
        }
        word
    }

    /// The text of a word, to look at.
    fn str(&self, word: Word<'a>) -> &'a str {
        core::str::from_utf8(word.octets).expect("SafeChars are ASCII")
    }

    /// The text of a word, to keep.
    #[inline(always)]
    fn name(&self, word: Word<'a>) -> Name {
        self.cursor.text_of(word).into()
    }

    /// Refuses what came with a later version than the message's.
    fn since(&mut self, version: u8, word: Word<'_>) -> Parsed<()> {
        self.since_at(version, word.at)
    }

    fn since_at(&mut self, version: u8, at: usize) -> Parsed<()> {
        if self.version >= version {
            return Ok(());
        }
        self.fail_at(at, "something of the message's own version")
    }

    /// Marks `bit` in `seen`, refusing a second time with `code`.
    fn once(&mut self, seen: &mut u32, bit: u32, word: Word<'_>, code: ErrorCode) -> Parsed<()> {
        let mask = 1 << bit;
        if *seen & mask != 0 {
            return Err(self.failed(word.at, "each item at most once", code));
        }
        *seen |= mask;
        Ok(())
    }
}

/// Makes room in a list that has none yet.
#[inline(always)]
fn begin<T>(items: &mut Vec<T>) {
    debug_assert_eq!(items.capacity(), 0);
    // Nothing is lost by not dropping it.
    core::mem::forget(core::mem::replace(
        items,
        Vec::with_capacity(first_items::<T>()),
    ));
}

/// Room to begin a list with: enough for most, little for a peer who sends many short ones.
const fn first_items<T>() -> usize {
    let items = FIRST_OCTETS / size_of::<T>();
    if items < 1 {
        1
    } else if items < 8 {
        items
    } else {
        8
    }
}

/// Octets of the room to begin a list with, unless a single item takes more.
const FIRST_OCTETS: usize = 704;

/// Adds what `make` makes to a list that has few items nearly always, and returns its place, to be filled
/// there.
///
/// Room is made before there is an item, so that it is made where it stays: what may be lost while a list
/// grows has an address, and is stored, loaded and stored again. That costs much more than its
/// instructions, since a processor that reads at once what was just written in other portions waits for the
/// cache.
#[inline(always)]
fn added<T>(items: &mut Vec<T>, make: impl FnOnce() -> T) -> &mut T {
    if items.len() == items.capacity() {
        make_room(items);
    }
    // What `push` would ask itself with the item in hand.
    assert!(items.len() < items.capacity(), "room has just been made");
    items.push(make());
    items.last_mut().expect("it has just been added")
}

/// As [`added`], to what begins as no list at all.
#[inline(always)]
fn added_few<T>(items: &mut Few<T>, make: impl FnOnce() -> T) -> &mut T {
    if !items.is_empty() {
        return added(items.as_list(), make);
    }
    *items = Few::One(make());
    match items {
        Few::One(item) => item,
        Few::Many(_) => unreachable!("it is made one item above"),
    }
}

#[inline(never)]
fn make_room<T>(items: &mut Vec<T>) {
    match items.capacity() {
        0 => *items = Vec::with_capacity(FEW_ITEMS),
        _ => items.reserve(1),
    }
}

/// Room that [`make_room`] makes first.
const FEW_ITEMS: usize = 4;

impl Word<'_> {
    /// The keyword that this may mean.
    #[inline]
    fn token(self) -> Option<Token> {
        Token::of(self.octets)
    }

    fn is(self, token: Token) -> bool {
        self.token() == Some(token)
    }
}
