//! Tokens of a script (RFC 5228 section 8.1).

use crate::error::{Error, ErrorKind};
use crate::limits::STRING_BYTES_MAX;

/// Where a token begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub line: u32,
    pub column: u32,
}

impl Position {
    pub(crate) fn error(self, kind: ErrorKind, text: impl Into<String>) -> Error {
        Error {
            kind,
            line: self.line,
            column: self.column,
            text: text.into(),
        }
    }

    pub(crate) fn syntax(self, text: impl Into<String>) -> Error {
        self.error(ErrorKind::Syntax, text)
    }
}

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    /// In lower case: identifiers are compared without case.
    Word(String),
    /// Without the colon, in lower case.
    Tag(String),
    Number(u64),
    Text(String),
    /// One of `( ) [ ] { } , ;`.
    Mark(char),
    End,
}

impl Token {
    /// For messages.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Word(word) => word.clone(),
            Self::Tag(tag) => format!(":{tag}"),
            Self::Number(number) => number.to_string(),
            Self::Text(_) => "a string".to_owned(),
            Self::Mark(mark) => mark.to_string(),
            Self::End => "the end".to_owned(),
        }
    }
}

/// Reads a script token by token.
#[derive(Debug)]
pub(crate) struct Lexer<'a> {
    rest: &'a str,
    at: Position,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            rest: text,
            at: Position { line: 1, column: 1 },
        }
    }

    /// The next token and where it begins.
    pub(crate) fn next(&mut self) -> Result<(Token, Position), Error> {
        self.skip_blanks()?;
        let at = self.at;
        let Some(first) = self.peek() else {
            return Ok((Token::End, at));
        };
        let token = match first {
            '(' | ')' | '[' | ']' | '{' | '}' | ',' | ';' => {
                self.bump();
                Token::Mark(first)
            }
            '"' | '\'' => {
                self.bump();
                Token::Text(self.quoted(first, at)?)
            }
            ':' => {
                self.bump();
                let word = self.word();
                if word.is_empty() {
                    return Err(at.syntax("a name must follow the colon"));
                }
                Token::Tag(word)
            }
            '0'..='9' => Token::Number(self.number(at)?),
            'a'..='z' | 'A'..='Z' | '_' => {
                let word = self.word();
                if word == "text" && self.peek() == Some(':') {
                    self.bump();
                    Token::Text(self.multi_line(at)?)
                } else {
                    Token::Word(word)
                }
            }
            other => return Err(at.syntax(format!("unexpected {other:?}"))),
        };
        Ok((token, at))
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.rest = &self.rest[next.len_utf8()..];
        if next == '\n' {
            self.at.line += 1;
            self.at.column = 1;
        } else {
            self.at.column += 1;
        }
        Some(next)
    }

    fn bump_many(&mut self, octets: usize) {
        let until = self.rest.len() - octets;
        while self.rest.len() > until {
            self.bump();
        }
    }

    /// Blanks and comments, both kinds.
    fn skip_blanks(&mut self) -> Result<(), Error> {
        loop {
            match self.peek() {
                Some(' ' | '\t' | '\r' | '\n') => {
                    self.bump();
                }
                Some('#') => while self.bump().is_some_and(|c| c != '\n') {},
                Some('/') if self.rest.starts_with("/*") => {
                    let at = self.at;
                    let Some(end) = self.rest[2..].find("*/") else {
                        return Err(at.syntax("comment without end"));
                    };
                    self.bump_many(2 + end + 2);
                }
                _ => return Ok(()),
            }
        }
    }

    fn word(&mut self) -> String {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let len = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let word = self.rest[..len].to_ascii_lowercase();
        self.bump_many(len);
        word
    }

    /// Digits and a quantifier: K, M or G, powers of 1024.
    fn number(&mut self, at: Position) -> Result<u64, Error> {
        let digits = self.word();
        let (digits, shift) = match digits.as_bytes().last() {
            Some(b'k') => (&digits[..digits.len() - 1], 10),
            Some(b'm') => (&digits[..digits.len() - 1], 20),
            Some(b'g') => (&digits[..digits.len() - 1], 30),
            _ => (digits.as_str(), 0),
        };
        let value: Option<u64> = digits.parse().ok();
        value
            .and_then(|v| v.checked_mul(1 << shift))
            .ok_or_else(|| at.syntax("not a number, or too large"))
    }

    /// The rest of a string up to the closing `quote`; a backslash quotes the next character.
    fn quoted(&mut self, quote: char, at: Position) -> Result<String, Error> {
        let mut text = String::new();
        loop {
            let next = match self.bump() {
                Some(c) if c == quote => return Ok(text),
                Some('\\') => self.bump(),
                other => other,
            };
            let Some(next) = next else {
                return Err(at.syntax("string without end"));
            };
            push(&mut text, next, at)?;
        }
    }

    /// `text:` up to a line that is a dot; a dot that begins a line is doubled.
    fn multi_line(&mut self, at: Position) -> Result<String, Error> {
        while self.peek().is_some_and(|c| c == ' ' || c == '\t') {
            self.bump();
        }
        if self.peek() == Some('#') {
            while self.peek().is_some_and(|c| c != '\n') {
                self.bump();
            }
        }
        if self.peek() == Some('\r') {
            self.bump();
        }
        if self.bump() != Some('\n') {
            return Err(at.syntax("a line must end after text:"));
        }
        let mut text = String::new();
        loop {
            let Some(end) = self.rest.find('\n') else {
                return Err(at.syntax("text: without a final dot"));
            };
            let line = self.rest[..end].trim_end_matches('\r').to_owned();
            self.bump_many(end + 1);
            if line == "." {
                return Ok(text);
            }
            let line = line.strip_prefix('.').unwrap_or(&line);
            for c in line.chars().chain(['\r', '\n']) {
                push(&mut text, c, at)?;
            }
        }
    }
}

fn push(text: &mut String, next: char, at: Position) -> Result<(), Error> {
    if text.len() >= STRING_BYTES_MAX {
        return Err(at.syntax(format!("string longer than {STRING_BYTES_MAX} octets")));
    }
    text.push(next);
    Ok(())
}
