//! What H.248.1 says that a gateway answers: tables of requests and replies, each row from octets to
//! octets, in each version it is for, with short and with long tokens.
//!
//! ```text
//! 123 C=1{MF=$} => C=1{MF=${ER=410{}}}     versions, actions of a request, those of its reply
//! 123 + C=1{S=*}                           what goes before the next row
//! ```
//!
//! Each row has a conference of its own: msrp/1 and msrp/2 in context 1, msrp/3 in context 2. `@L` is a
//! Local to be filled in, `@R` a participant's Remote; SDP reads `v` in replies, texts of errors do not
//! count.

use h248::Encoding;

use super::wire::Wire;
use super::*;

/// What shows the rows of the profile table in docs/H248.md.
pub(super) const PROFILE: &str = include_str!("book/profile.txt");

/// A table: its name, how many rows it has at least, and these.
type Table = (&'static str, usize, &'static str);

const COMMANDS: Table = ("commands", 140, include_str!("book/commands.txt"));
const AUDITS: Table = ("audits", 90, include_str!("book/audits.txt"));
const DESCRIPTORS: Table = ("descriptors", 150, include_str!("book/descriptors.txt"));
const CONTEXTS: Table = ("contexts", 70, include_str!("book/contexts.txt"));
const FORMS: Table = ("forms", 35, include_str!("book/forms.txt"));
const ROWS_OF_THE_PROFILE: Table = ("profile", 90, PROFILE);

/// A row, with what goes before it.
struct Row<'a> {
    /// Where its file has it, from 1.
    line: usize,
    versions: &'a str,
    before: Vec<&'a str>,
    request: &'a str,
    reply: &'a str,
}

fn rows(table: &str) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    let mut before = Vec::new();
    let is_row = |(_, line): &(usize, &str)| !line.is_empty() && !line.starts_with("# ");
    for (line_number, line) in (1..).zip(table.lines()).filter(is_row) {
        let (versions, rest) = line.split_once(' ').expect("versions");
        if let Some(earlier) = rest.strip_prefix("+ ") {
            before.push(earlier);
            continue;
        }
        let (request, reply) = rest.split_once(" => ").expect("a request and its reply");
        rows.push(Row {
            line: line_number,
            versions,
            before: ::core::mem::take(&mut before),
            request,
            reply,
        });
    }
    assert!(before.is_empty(), "something goes before nothing");
    rows
}

/// The text of a transaction.
fn transaction(id: u32, actions: &str) -> String {
    let actions = actions
        .replace("@L", LOCAL)
        .replace("@R", REMOTE)
        .replace("\\n", "\n")
        .replace("\\r", "\r")
        .replace("\\t", "\t");
    match actions.strip_prefix('{') {
        Some(_) => format!("T={id}{actions}"),
        None => format!("T={id}{{{actions}}}"),
    }
}

/// The same with long tokens, if it can be read.
fn lengthened(version: u8, transaction: &str) -> Option<String> {
    let text = format!("!/{version} <mgc.example> {transaction}");
    let message = h248::parse(text.as_bytes(), &h248::Limits::default()).ok()?;
    let long = h248::print(&message, Encoding::Pretty);
    let long = String::from_utf8(long).expect("text");
    let (_, body) = long.split_once("Transaction").expect("a transaction");
    Some(format!("Transaction{body}"))
}

/// What a gateway answers to a transaction after what goes before it.
fn answer(version: u8, before: &[&str], last: &str) -> String {
    let mut wire = Wire::registered_with(version, |_| {});
    let conference = format!("T=1{{C=${{{},{}}},C=${{{}}}}}", add(), add(), add());
    wire.say(&conference);
    for (id, actions) in (2..).zip(before) {
        wire.say(&transaction(id, actions));
    }
    wire.say(last)
}

/// The reply in a message, without what does not count.
fn simplified(message: &str) -> Option<ReplyBody> {
    let message = h248::parse(message.as_bytes(), &h248::Limits::default()).ok()?;
    let MessageBody::Transactions(transactions) = message.body else {
        return None;
    };
    match transactions.into_iter().next() {
        Some(Transaction::Reply(mut reply)) => {
            simplify(&mut reply.body);
            Some(reply.body)
        }
        _ => None,
    }
}

/// Goes through a table in one version; every row that is answered otherwise is told with its line.
#[track_caller]
fn check((name, least, table): Table, version: u8) {
    let rows = rows(table);
    assert!(rows.len() >= least, "{name}: {} rows", rows.len());
    let digit = char::from(b'0' + version);
    let mut wrong = Vec::new();
    for row in rows.iter().filter(|row| row.versions.contains(digit)) {
        let expected = simplified(&format!("!/{version} <a> P=99{{{}}}", row.reply));
        assert!(expected.is_some(), "{name}.txt:{}: no reply", row.line);
        let short = transaction(99, row.request);
        let long = lengthened(version, &short);
        for request in [Some(short), long].into_iter().flatten() {
            let told = answer(version, &row.before, &request);
            if simplified(&told) != expected {
                let (line, wanted) = (row.line, row.reply);
                wrong.push(format!(
                    "{name}.txt:{line}\n    {request}\n    {told}\n    not {wanted}"
                ));
            }
        }
    }
    let (count, wrong) = (wrong.len(), wrong.join("\n"));
    assert!(
        wrong.is_empty(),
        "version {version}, {count} wrong:\n{wrong}"
    );
}

#[test]
fn the_book_of_commands_is_answered_so_in_version_1() {
    check(COMMANDS, 1);
}

#[test]
fn the_book_of_commands_is_answered_so_in_version_2() {
    check(COMMANDS, 2);
}

#[test]
fn the_book_of_commands_is_answered_so_in_version_3() {
    check(COMMANDS, 3);
}

#[test]
fn the_book_of_audits_is_answered_so_in_version_1() {
    check(AUDITS, 1);
}

#[test]
fn the_book_of_audits_is_answered_so_in_version_2() {
    check(AUDITS, 2);
}

#[test]
fn the_book_of_audits_is_answered_so_in_version_3() {
    check(AUDITS, 3);
}

#[test]
fn the_book_of_descriptors_is_answered_so_in_version_1() {
    check(DESCRIPTORS, 1);
}

#[test]
fn the_book_of_descriptors_is_answered_so_in_version_2() {
    check(DESCRIPTORS, 2);
}

#[test]
fn the_book_of_descriptors_is_answered_so_in_version_3() {
    check(DESCRIPTORS, 3);
}

#[test]
fn the_book_of_contexts_is_answered_so_in_version_1() {
    check(CONTEXTS, 1);
}

#[test]
fn the_book_of_contexts_is_answered_so_in_version_2() {
    check(CONTEXTS, 2);
}

#[test]
fn the_book_of_contexts_is_answered_so_in_version_3() {
    check(CONTEXTS, 3);
}

#[test]
fn the_book_of_forms_is_answered_so_in_version_1() {
    check(FORMS, 1);
}

#[test]
fn the_book_of_forms_is_answered_so_in_version_2() {
    check(FORMS, 2);
}

#[test]
fn the_book_of_forms_is_answered_so_in_version_3() {
    check(FORMS, 3);
}

#[test]
fn the_book_of_profile_is_answered_so_in_version_1() {
    check(ROWS_OF_THE_PROFILE, 1);
}

#[test]
fn the_book_of_profile_is_answered_so_in_version_2() {
    check(ROWS_OF_THE_PROFILE, 2);
}

#[test]
fn the_book_of_profile_is_answered_so_in_version_3() {
    check(ROWS_OF_THE_PROFILE, 3);
}
