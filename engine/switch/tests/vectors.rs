//! Walks `tests/vectors/msrp/switch`: each `.case` file is a conversation of participants with a
//! shard. What comes in is fed whole, octet by octet, and in slices drawn from a seed; what goes
//! out must be the same each time.
//!
//! ```text
//! # comment                     grammar strict        (first, if at all)
//! session NAME [OPTION...]      installs a session in the conference and binds it; options:
//!                               types=A,B max=N send-max=N matching=uri path=A,B unbound
//!                               user=URI,URI room=URI (a chat room) nicks private takes-no-private
//!                               send-types=A,B send-wrapped=A,B
//! remove NAME                   its session is removed
//! open NAME                     a connection that says nothing yet
//! > NAME                        octets arrive on the connection of NAME
//! < NAME                        all that NAME was sent since it was last looked at
//! closed NAME                   its connection was closed by us
//! after SECONDS                 time passes
//! ```
//!
//! Octets stand below `>` and `<`, up to a line with a single dot. Each line ends in CRLF unless
//! its last character is `\`; `\r`, `\n`, `\\` and `\xHH` are octets. `{word}` in what goes out
//! stands for an ident, the same one wherever the word is the same, in what comes in later too;
//! `{a|b}` for either. `@1` is our path for the first session, `@1:far` the participant's. Who is
//! not looked at until the end was sent nothing.

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clock::Duration;
use common::{World, config, key, local, remote};
use switch::{ContextKey, Limits, Matching, Order, Profile, SessionConfig};

/// Slices in which the octets of one `>` arrive.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Whole,
    Octets,
    Seed(u64),
}

#[test]
fn every_case_comes_out_as_written_however_its_octets_are_cut() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/msrp/switch");
    let entries = std::fs::read_dir(&folder).expect("the folder is there");
    let mut paths: Vec<PathBuf> = entries.map(|e| e.expect("readable").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "case"));
    paths.sort();
    assert!(paths.len() >= 20, "only {} cases found", paths.len());
    let mut failures = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("readable");
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        for cut in [
            Cut::Whole,
            Cut::Octets,
            Cut::Seed(1),
            Cut::Seed(2),
            Cut::Seed(3),
        ] {
            if let Err(what) = Case::new(&text, cut).run(&text) {
                failures.push(format!("{name}, {cut:?}: {what}"));
                break;
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

struct Case {
    world: World,
    numbers: BTreeMap<String, u32>,
    words: BTreeMap<String, Vec<u8>>,
    cut: Cut,
}

impl Case {
    fn new(text: &str, cut: Cut) -> Self {
        let mut limits = Limits::default();
        if text.lines().any(|line| line == "grammar strict") {
            limits.msrp.grammar = msrp::limits::Grammar::Strict;
        }
        Self {
            world: World::with(limits),
            numbers: BTreeMap::new(),
            words: BTreeMap::new(),
            cut,
        }
    }

    fn run(mut self, text: &str) -> Result<(), String> {
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                [] | ["#", ..] | ["grammar", "strict"] => {}
                ["session", name, ref options @ ..] => self.session(name, options),
                ["open", name] => {
                    let number = self.number(name);
                    self.world.accept(number);
                }
                [">", name] => {
                    let octets = octets(&mut lines);
                    let octets = filled(&octets, &self.words);
                    self.receive(name, &octets);
                }
                ["<", name] => {
                    let expected = octets(&mut lines);
                    self.sent(name, &expected)?;
                }
                ["remove", name] => {
                    let session = key(self.number(name));
                    self.world.order(Order::Remove { session });
                }
                ["closed", name] => {
                    let number = self.number(name);
                    if !self.world.closed.contains(&number) {
                        return Err(format!("not {line}"));
                    }
                }
                ["after", seconds] => {
                    let seconds = seconds.parse().expect("a number of seconds");
                    self.world.advance(Duration::from_secs(seconds));
                }
                _ => panic!("{line}"),
            }
        }
        for (name, number) in self.numbers.clone() {
            let rest = self.world.take_octets(number);
            if !rest.is_empty() {
                return Err(format!("{name} got\n{}", show(&rest)));
            }
        }
        Ok(())
    }

    /// The number of a connection, given by order of appearance.
    fn number(&mut self, name: &str) -> u32 {
        let next = u32::try_from(self.numbers.len()).expect("few") + 1;
        *self.numbers.entry(name.to_owned()).or_insert(next)
    }

    fn session(&mut self, name: &str, options: &[&str]) {
        let number = self.number(name);
        let mut config = config(number);
        for option in options {
            option_of(option, &mut config);
        }
        let (session, context, config) = (key(number), ContextKey(1), Box::new(config));
        self.world.order(Order::Install {
            session,
            context,
            config,
        });
        if !options.contains(&"unbound") {
            self.world.join(number);
        }
    }

    fn receive(&mut self, name: &str, octets: &[u8]) {
        let number = self.number(name);
        let mut rest = octets;
        let mut random = match self.cut {
            Cut::Whole | Cut::Octets => 0,
            Cut::Seed(seed) => seed,
        };
        while !rest.is_empty() && !self.world.closed.contains(&number) {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let bytes = match self.cut {
                Cut::Whole => rest.len(),
                Cut::Octets => 1,
                Cut::Seed(_) => usize::try_from(random >> 58).expect("six bits") + 1,
            };
            let (piece, after) = rest.split_at(bytes.min(rest.len()));
            self.world.receive(number, piece);
            rest = after;
        }
    }

    fn sent(&mut self, name: &str, expected: &[u8]) -> Result<(), String> {
        let number = self.number(name);
        let sent = self.world.take_octets(number);
        agrees(&sent, expected, &mut self.words).map_err(|at| {
            let (sent, expected) = (show(&sent), show(expected));
            format!("to {name}, from octet {at} on\n--- sent\n{sent}--- expected\n{expected}")
        })
    }
}

fn option_of(option: &str, config: &mut SessionConfig) {
    let (what, value) = option.split_once('=').unwrap_or((option, ""));
    match what {
        "types" => config.terms_mut().accept_types = value.split(',').map(Into::into).collect(),
        "max" => config.terms_mut().receive_bytes_max = Some(value.parse().expect("octets")),
        "send-max" => config.terms_mut().send_bytes_max = Some(value.parse().expect("octets")),
        "matching" => config.terms_mut().matching = Matching::Uri,
        "user" => config.user = Some(value.replace(',', " ").into()),
        "room" => {
            config.terms_mut().room = Some(value.into());
            config.terms_mut().profile = Profile::Chatroom;
        }
        "nicks" => config.terms_mut().nicknames = true,
        "private" => config.terms_mut().private_messages = true,
        "takes-no-private" => config.terms_mut().takes_private_messages = false,
        "send-types" => config.terms_mut().send_types = value.split(',').map(Into::into).collect(),
        "send-wrapped" => {
            config.terms_mut().send_wrapped_types = value.split(',').map(Into::into).collect();
        }
        "path" => config.remote_path = Some(value.replace(',', " ").into_bytes().into()),
        "unbound" => {}
        _ => panic!("{option}"),
    }
}

/// Octets up to the line with a dot. `@NAME` and `@NAME:far` stand for the paths of the session
/// with that number.
fn octets<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Vec<u8> {
    let mut octets = Vec::new();
    for line in lines.by_ref().take_while(|line| *line != ".") {
        let line = with_paths(line);
        let mut chars = line.chars();
        let mut ends = true;
        while let Some(c) = chars.next() {
            if c != '\\' {
                octets.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            match chars.next() {
                Some('r') => octets.push(b'\r'),
                Some('n') => octets.push(b'\n'),
                Some('\\') => octets.push(b'\\'),
                Some('x') => {
                    let hex: String = chars.by_ref().take(2).collect();
                    octets.push(u8::from_str_radix(&hex, 16).expect("two digits"));
                }
                None => ends = false,
                Some(other) => panic!("\\{other}"),
            }
        }
        if ends {
            octets.extend_from_slice(b"\r\n");
        }
    }
    octets
}

/// What comes in, with the idents that went out before.
fn filled(octets: &[u8], words: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let mut filled = octets.to_vec();
    for (word, ident) in words {
        let word = format!("{{{word}}}").into_bytes();
        while let Some(at) = filled.windows(word.len()).position(|w| w == word) {
            filled.splice(at..at + word.len(), ident.iter().copied());
        }
    }
    filled
}

/// `@1` is our path for the first session, `@1:far` the participant's.
fn with_paths(line: &str) -> String {
    (1..=4).fold(line.to_owned(), |line, number| {
        line.replace(&format!("@{number}:far"), &remote(number))
            .replace(&format!("@{number}"), &local(number))
    })
}

/// Compares; the error is where they part.
fn agrees(
    sent: &[u8],
    expected: &[u8],
    words: &mut BTreeMap<String, Vec<u8>>,
) -> Result<(), usize> {
    let (mut at, mut rest) = (0, expected);
    while let Some(open) = rest.iter().position(|o| *o == b'{') {
        let close = rest.iter().position(|o| *o == b'}').expect("closed");
        let word = String::from_utf8_lossy(&rest[open + 1..close]).into_owned();
        let literal = &rest[..open];
        if !sent[at..].starts_with(literal) {
            return Err(at);
        }
        at += literal.len();
        rest = &rest[close + 1..];
        if word.contains('|') {
            let fits = |either: &&str| sent[at..].starts_with(either.as_bytes());
            at += word.split('|').find(fits).ok_or(at)?.len();
            continue;
        }
        let found = words.entry(word).or_insert_with(|| {
            let is_ident = |o: &&u8| o.is_ascii_alphanumeric() || b".-+%=".contains(o);
            sent[at..].iter().take_while(is_ident).copied().collect()
        });
        if found.len() < 4 || !sent[at..].starts_with(found) {
            return Err(at);
        }
        at += found.len();
    }
    if sent[at..] == *rest { Ok(()) } else { Err(at) }
}

fn show(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).replace("\r\n", "\n")
}
