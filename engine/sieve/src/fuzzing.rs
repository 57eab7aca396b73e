//! The body of the fuzz target; also run by a unit test.

use std::cell::Cell;

use crate::limits::{SCRIPT_BYTES_MAX, STRING_BYTES_MAX, TESTS_MAX};
use crate::{Message, Script, Verdict};

/// What stands between a script and the message that it is to judge.
const SEPARATOR: &[u8] = b"\n.\n";

/// Fields read of a message.
const FIELDS_MAX: usize = 64;

/// Compiles a script, and lets it judge a message: what follows the separator, its first octet making
/// up its size, then a line `Name: value` for each field.
///
/// # Panics
///
/// When the compiler panics or names a place that is not in the script, or when a verdict depends on
/// what it must not: the case of field names, the fields of a script that reads none, a comment at
/// the end, the time.
pub fn judge(input: &[u8]) {
    let middle = input
        .windows(SEPARATOR.len())
        .position(|octets| octets == SEPARATOR);
    let (script, message) = match middle {
        Some(at) => (&input[..at], &input[at + SEPARATOR.len()..]),
        None => (input, &b""[..]),
    };
    let script = String::from_utf8_lossy(script);
    match Script::parse(&script) {
        Ok(compiled) => check(&script, &compiled, &Sample::new(message)),
        Err(error) => {
            let lines = script.split('\n').count() + 1;
            assert!((1..=lines).contains(&(error.line as usize)), "{error}");
            assert!(
                error.column as usize <= script.chars().count() + 1,
                "{error}"
            );
            assert!(error.column >= 1 && !error.text.is_empty(), "{error}");
        }
    }
}

fn check(text: &str, script: &Script, message: &Sample<'_>) {
    let verdict = script.judge(message);
    assert_eq!(script.judge(message), verdict, "the same twice");
    // Each test asks for each of its names, of which a script holds no more than characters.
    assert!(message.asked.get() <= 2 * TESTS_MAX * SCRIPT_BYTES_MAX);
    let shouted = Sample {
        is_shouted: true,
        ..message.clone()
    };
    assert_eq!(script.judge(&shouted), verdict, "case of names");
    if !script.reads_fields() {
        let bare = Sample {
            fields: Vec::new(),
            ..message.clone()
        };
        assert_eq!(script.judge(&bare), verdict, "fields that it does not read");
    }
    if let Verdict::Reject(reason) = verdict {
        assert!(reason.len() <= STRING_BYTES_MAX);
    }
    let with_comment = format!("{text}\n# {text:?}");
    if with_comment.len() <= SCRIPT_BYTES_MAX {
        let again = Script::parse(&with_comment);
        assert_eq!(again.as_ref(), Ok(script), "a comment at the end");
    }
}

#[derive(Clone)]
struct Sample<'a> {
    size: u64,
    fields: Vec<(&'a [u8], &'a [u8])>,
    is_shouted: bool,
    /// How often a field was asked for.
    asked: Cell<usize>,
}

impl<'a> Sample<'a> {
    fn new(octets: &'a [u8]) -> Self {
        let (size, rest) = octets.split_first().unwrap_or((&0, &[]));
        let field = |line: &'a [u8]| {
            let colon = line.iter().position(|c| *c == b':')?;
            Some((&line[..colon], line[colon + 1..].trim_ascii()))
        };
        Self {
            size: 1 << (size % 64),
            fields: rest
                .split(|c| *c == b'\n')
                .filter_map(field)
                .take(FIELDS_MAX)
                .collect(),
            is_shouted: false,
            asked: Cell::new(0),
        }
    }
}

impl Message for Sample<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn any_value(&self, name: &str, is_match: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.asked.set(self.asked.get() + 1);
        let mut fields = self.fields.iter();
        fields.any(|(field, value)| {
            let is_named = if self.is_shouted {
                field.to_ascii_uppercase() == name.to_ascii_uppercase().as_bytes()
            } else {
                field.eq_ignore_ascii_case(name.as_bytes())
            };
            is_named && is_match(value)
        })
    }
}
