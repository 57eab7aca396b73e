//! Tokens to a [`Script`] (RFC 5228 section 8.2), by recursive descent with a bound on depth.
//!
//! ```text
//! script  = *require block-items
//! command = if | keep | discard | stop | reject
//! if      = "if" test block *("elsif" test block) ["else" block]
//! test    = name tags arguments | ("allof" | "anyof") "(" test *("," test) ")" | "not" test
//! ```

use crate::address::Part;
use crate::error::{Error, ErrorKind};
use crate::lex::{Lexer, Position, Token};
use crate::limits::{ACTIONS_MAX, NESTING_MAX, SCRIPT_BYTES_MAX, TESTS_MAX};
use crate::matching::{MatchType, Matcher};
use crate::script::{Command, Script, Test};

/// What `require` may ask for.
const CAPABILITIES: [&str; 4] = [
    "reject",
    "ereject",
    "comparator-i;octet",
    "comparator-i;ascii-casemap",
];

/// Commands and tests of Sieve that make no sense for messages that pass by.
const UNSUPPORTED: [&str; 6] = [
    "redirect", "fileinto", "vacation", "envelope", "body", "notify",
];

pub(crate) fn script(text: &str) -> Result<Script, Error> {
    let mut lexer = Lexer::new(text);
    if text.len() > SCRIPT_BYTES_MAX {
        let at = Position { line: 1, column: 1 };
        return Err(at.syntax(format!("script longer than {SCRIPT_BYTES_MAX} octets")));
    }
    let (token, at) = lexer.next()?;
    let mut parser = Parser {
        lexer,
        token,
        at,
        required: Vec::new(),
        tests: 0,
        actions: 0,
        reads_fields: false,
    };
    parser.requires()?;
    let commands = parser.commands(0)?;
    if parser.token != Token::End {
        return Err(parser.unexpected("a command"));
    }
    Ok(Script {
        commands,
        reads_fields: parser.reads_fields,
    })
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token,
    at: Position,
    required: Vec<String>,
    tests: usize,
    actions: usize,
    reads_fields: bool,
}

/// Tagged arguments of a test.
#[derive(Default)]
struct Tags {
    matcher: Matcher,
    part: Part,
    is_over: Option<bool>,
}

impl Parser<'_> {
    fn unexpected(&self, expected: &str) -> Error {
        let found = self.token.describe();
        self.at
            .syntax(format!("expected {expected}, found {found}"))
    }

    fn advance(&mut self) -> Result<(), Error> {
        (self.token, self.at) = self.lexer.next()?;
        Ok(())
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(&self.token, Token::Word(w) if w == word)
    }

    fn expect(&mut self, mark: char) -> Result<(), Error> {
        if self.token != Token::Mark(mark) {
            return Err(self.unexpected(&mark.to_string()));
        }
        self.advance()
    }

    fn takes(&mut self, mark: char) -> Result<bool, Error> {
        let is_there = self.token == Token::Mark(mark);
        if is_there {
            self.advance()?;
        }
        Ok(is_there)
    }

    fn requires(&mut self) -> Result<(), Error> {
        while self.is_word("require") {
            self.advance()?;
            let at = self.at;
            for name in self.strings()? {
                if !CAPABILITIES.contains(&&*name) {
                    let text = format!("require {name} not supported");
                    return Err(at.error(ErrorKind::Capability, text));
                }
                self.required.push(name.into());
            }
            self.expect(';')?;
        }
        Ok(())
    }

    /// Commands up to the end of the block or script.
    fn commands(&mut self, depth: usize) -> Result<Vec<Command>, Error> {
        let mut commands = Vec::new();
        while let Token::Word(word) = &self.token {
            let word = word.clone();
            commands.push(self.command(&word, depth)?);
        }
        Ok(commands)
    }

    fn command(&mut self, word: &str, depth: usize) -> Result<Command, Error> {
        let at = self.at;
        if word == "if" {
            return self.if_command(depth);
        }
        let command = match word {
            "keep" | "discard" | "stop" | "reject" | "ereject" => {
                self.advance()?;
                match word {
                    "keep" => Command::Keep,
                    "discard" => Command::Discard,
                    "stop" => Command::Stop,
                    _ => Command::Reject(self.reject_reason(word, at)?),
                }
            }
            "require" => return Err(at.syntax("require must come first")),
            "elsif" | "else" => return Err(at.syntax(format!("{word} without if"))),
            _ if UNSUPPORTED.contains(&word) => {
                let text = format!("{word} not supported");
                return Err(at.error(ErrorKind::Capability, text));
            }
            _ => return Err(at.syntax(format!("unknown command {word}"))),
        };
        if command != Command::Stop {
            self.actions += 1;
        }
        if self.actions > ACTIONS_MAX {
            let text = format!("more than {ACTIONS_MAX} actions");
            return Err(at.error(ErrorKind::TooManyActions, text));
        }
        self.expect(';')?;
        Ok(command)
    }

    /// RFC 5228 2.10.5: what was not required does not exist.
    fn reject_reason(&mut self, word: &str, at: Position) -> Result<Box<str>, Error> {
        if !self.required.iter().any(|r| r == word) {
            let text = format!("{word} needs require");
            return Err(at.error(ErrorKind::Capability, text));
        }
        self.string()
    }

    fn if_command(&mut self, depth: usize) -> Result<Command, Error> {
        let mut branches = Vec::new();
        let mut otherwise = Vec::new();
        loop {
            self.advance()?;
            let test = self.test(depth)?;
            branches.push((test, self.block(depth)?));
            if self.is_word("elsif") {
                continue;
            }
            if self.is_word("else") {
                self.advance()?;
                otherwise = self.block(depth)?;
            }
            return Ok(Command::If {
                branches,
                otherwise,
            });
        }
    }

    fn block(&mut self, depth: usize) -> Result<Vec<Command>, Error> {
        self.check_depth(depth)?;
        self.expect('{')?;
        let commands = self.commands(depth + 1)?;
        if self.token != Token::Mark('}') {
            return Err(self.unexpected("a command or }"));
        }
        self.advance()?;
        Ok(commands)
    }

    fn check_depth(&self, depth: usize) -> Result<(), Error> {
        if depth < NESTING_MAX {
            return Ok(());
        }
        let text = format!("nested deeper than {NESTING_MAX}");
        Err(self.at.syntax(text))
    }

    fn test(&mut self, depth: usize) -> Result<Test, Error> {
        self.check_depth(depth)?;
        let at = self.at;
        self.tests += 1;
        if self.tests > TESTS_MAX {
            return Err(at.syntax(format!("more than {TESTS_MAX} tests")));
        }
        let Token::Word(word) = &self.token else {
            return Err(self.unexpected("a test"));
        };
        let word = word.clone();
        self.advance()?;
        match word.as_str() {
            "true" => Ok(Test::Constant(true)),
            "false" => Ok(Test::Constant(false)),
            "not" => Ok(Test::Not(Box::new(self.test(depth + 1)?))),
            "allof" => Ok(Test::AllOf(self.test_list(depth)?)),
            "anyof" => Ok(Test::AnyOf(self.test_list(depth)?)),
            "size" => self.size_test(at),
            "exists" => {
                self.reads_fields = true;
                Ok(Test::Exists(self.strings()?))
            }
            "header" | "address" => self.field_test(word == "address"),
            other if UNSUPPORTED.contains(&other) => {
                let text = format!("test {other} not supported");
                Err(at.error(ErrorKind::Capability, text))
            }
            other => Err(at.syntax(format!("unknown test {other}"))),
        }
    }

    fn test_list(&mut self, depth: usize) -> Result<Vec<Test>, Error> {
        self.expect('(')?;
        let mut tests = vec![self.test(depth + 1)?];
        while self.takes(',')? {
            tests.push(self.test(depth + 1)?);
        }
        self.expect(')')?;
        Ok(tests)
    }

    fn size_test(&mut self, at: Position) -> Result<Test, Error> {
        let tags = self.tags(&["over", "under"])?;
        let Token::Number(limit) = self.token else {
            return Err(self.unexpected("a number"));
        };
        self.advance()?;
        match tags.is_over {
            Some(true) => Ok(Test::Over(limit)),
            Some(false) => Ok(Test::Under(limit)),
            None => Err(at.syntax("size needs :over or :under")),
        }
    }

    /// `header` and `address`.
    fn field_test(&mut self, is_address: bool) -> Result<Test, Error> {
        self.reads_fields = true;
        let of_matching = ["is", "contains", "matches", "comparator"];
        let of_address = ["all", "localpart", "domain"];
        let known: Vec<&str> = if is_address {
            of_matching.into_iter().chain(of_address).collect()
        } else {
            of_matching.to_vec()
        };
        let Tags { matcher, part, .. } = self.tags(&known)?;
        let names = self.strings()?;
        let keys = self.strings()?;
        Ok(if is_address {
            Test::Address {
                part,
                matcher,
                names,
                keys,
            }
        } else {
            Test::Header {
                matcher,
                names,
                keys,
            }
        })
    }

    fn tags(&mut self, known: &[&str]) -> Result<Tags, Error> {
        let mut tags = Tags::default();
        let (mut has_kind, mut has_part, mut has_comparator) = (false, false, false);
        while let Token::Tag(tag) = &self.token {
            let (tag, at) = (tag.clone(), self.at);
            if !known.contains(&tag.as_str()) {
                return Err(at.syntax(format!("unexpected :{tag}")));
            }
            self.advance()?;
            let seen = match tag.as_str() {
                "over" | "under" => tags.is_over.replace(tag == "over").is_some(),
                "comparator" => {
                    tags.matcher.folds_case = self.comparator()?;
                    core::mem::replace(&mut has_comparator, true)
                }
                "is" | "contains" | "matches" => {
                    tags.matcher.kind = match tag.as_str() {
                        "is" => MatchType::Is,
                        "contains" => MatchType::Contains,
                        _ => MatchType::Matches,
                    };
                    core::mem::replace(&mut has_kind, true)
                }
                _ => {
                    tags.part = match tag.as_str() {
                        "localpart" => Part::Local,
                        "domain" => Part::Domain,
                        _ => Part::All,
                    };
                    core::mem::replace(&mut has_part, true)
                }
            };
            if seen {
                return Err(at.syntax(format!(":{tag} after another of its kind")));
            }
        }
        Ok(tags)
    }

    /// Whether the comparator folds case.
    fn comparator(&mut self) -> Result<bool, Error> {
        let at = self.at;
        let name = self.string()?;
        match &*name {
            "i;ascii-casemap" => Ok(true),
            "i;octet" => Ok(false),
            other => {
                let text = format!("comparator {other} not supported");
                Err(at.error(ErrorKind::Capability, text))
            }
        }
    }

    fn string(&mut self) -> Result<Box<str>, Error> {
        let Token::Text(text) = &mut self.token else {
            return Err(self.unexpected("a string"));
        };
        let text = core::mem::take(text).into();
        self.advance()?;
        Ok(text)
    }

    /// A string, or a list of them.
    fn strings(&mut self) -> Result<Vec<Box<str>>, Error> {
        if !self.takes('[')? {
            return Ok(vec![self.string()?]);
        }
        let mut list = vec![self.string()?];
        while self.takes(',')? {
            list.push(self.string()?);
        }
        self.expect(']')?;
        Ok(list)
    }
}
