//! A compiled script and how it judges.

use crate::address::{self, Part};
use crate::error::Error;
use crate::matching::Matcher;
use crate::parse;

/// What a script can see of a message.
pub trait Message {
    /// Its length in octets; the largest number when nobody knows.
    fn size(&self) -> u64;

    /// Calls `is_match` with each value of the header field `name` (compared without case), blanks
    /// around it removed, until it says yes. Returns whether it did.
    fn any_value(&self, name: &str, is_match: &mut dyn FnMut(&[u8]) -> bool) -> bool;
}

/// What is to become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It goes on.
    Keep,
    /// It is dropped, and its sender is not told.
    Discard,
    /// It is refused, with this reason.
    Reject(&'a str),
}

/// A compiled script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    pub(crate) commands: Vec<Command>,
    pub(crate) reads_fields: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    If {
        branches: Vec<(Test, Vec<Command>)>,
        otherwise: Vec<Command>,
    },
    Keep,
    Discard,
    Reject(Box<str>),
    Stop,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    AllOf(Vec<Test>),
    AnyOf(Vec<Test>),
    Not(Box<Test>),
    Constant(bool),
    /// Strictly over the limit.
    Over(u64),
    /// Strictly under the limit.
    Under(u64),
    Exists(Vec<Box<str>>),
    Header {
        matcher: Matcher,
        names: Vec<Box<str>>,
        keys: Vec<Box<str>>,
    },
    Address {
        part: Part,
        matcher: Matcher,
        names: Vec<Box<str>>,
        keys: Vec<Box<str>>,
    },
}

/// What was decided so far.
#[derive(Debug, Default)]
struct Decided<'a> {
    keeps: bool,
    discards: bool,
    rejects: Option<&'a str>,
}

impl Script {
    /// Compiles a script.
    ///
    /// # Errors
    ///
    /// The first fault, with its line and column; the author's.
    pub fn parse(text: &str) -> Result<Self, Error> {
        parse::script(text)
    }

    /// Whether it looks at header fields; if not, only the size matters.
    #[must_use]
    pub fn reads_fields(&self) -> bool {
        self.reads_fields
    }

    /// Judges a message. An explicit `keep` outweighs the rest: the message is not lost when a
    /// script contradicts itself (RFC 5228 2.10.6, RFC 5429 2.3).
    pub fn judge(&self, message: &impl Message) -> Verdict<'_> {
        let mut decided = Decided::default();
        run(&self.commands, message, &mut decided);
        match decided {
            Decided { keeps: true, .. } => Verdict::Keep,
            Decided {
                rejects: Some(reason),
                ..
            } => Verdict::Reject(reason),
            Decided { discards: true, .. } => Verdict::Discard,
            Decided { .. } => Verdict::Keep,
        }
    }
}

/// Runs commands; `false` when the script has stopped.
fn run<'a>(commands: &'a [Command], message: &impl Message, decided: &mut Decided<'a>) -> bool {
    for command in commands {
        match command {
            Command::Keep => decided.keeps = true,
            Command::Discard => decided.discards = true,
            Command::Reject(reason) => {
                decided.rejects.get_or_insert(reason);
            }
            Command::Stop => return false,
            Command::If {
                branches,
                otherwise,
            } => {
                let mut branches = branches.iter();
                let taken = branches.find(|(test, _)| test.holds(message));
                let block = taken.map_or(otherwise, |(_, block)| block);
                if !run(block, message, decided) {
                    return false;
                }
            }
        }
    }
    true
}

impl Test {
    fn holds(&self, message: &impl Message) -> bool {
        match self {
            Self::AllOf(tests) => tests.iter().all(|t| t.holds(message)),
            Self::AnyOf(tests) => tests.iter().any(|t| t.holds(message)),
            Self::Not(test) => !test.holds(message),
            Self::Constant(value) => *value,
            Self::Over(limit) => message.size() > *limit,
            Self::Under(limit) => message.size() < *limit,
            Self::Exists(names) => names.iter().all(|n| message.any_value(n, &mut |_| true)),
            Self::Header {
                matcher,
                names,
                keys,
            } => names
                .iter()
                .any(|n| message.any_value(n, &mut |value| has(*matcher, value, keys))),
            Self::Address {
                part,
                matcher,
                names,
                keys,
            } => {
                let mut is_match = |address: &[u8]| has(*matcher, address, keys);
                let mut of_value = |value: &[u8]| address::any(value, *part, &mut is_match);
                names.iter().any(|n| message.any_value(n, &mut of_value))
            }
        }
    }
}

fn has(matcher: Matcher, value: &[u8], keys: &[Box<str>]) -> bool {
    keys.iter().any(|k| matcher.is_match(value, k.as_bytes()))
}
