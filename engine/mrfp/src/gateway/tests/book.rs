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

const TABLES: &[(&str, usize, &str)] = &[
    ("commands", 140, include_str!("book/commands.txt")),
    ("audits", 90, include_str!("book/audits.txt")),
    ("descriptors", 120, include_str!("book/descriptors.txt")),
    ("contexts", 70, include_str!("book/contexts.txt")),
    ("forms", 35, include_str!("book/forms.txt")),
    ("profile", 90, PROFILE),
];

/// A row, with what goes before it.
struct Row<'a> {
    versions: &'a str,
    before: Vec<&'a str>,
    request: &'a str,
    reply: &'a str,
}

fn rows(table: &str) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    let mut before = Vec::new();
    let is_row = |line: &&str| !line.is_empty() && !line.starts_with("# ");
    for line in table.lines().filter(is_row) {
        let (versions, rest) = line.split_once(' ').expect("versions");
        if let Some(earlier) = rest.strip_prefix("+ ") {
            before.push(earlier);
            continue;
        }
        let (request, reply) = rest.split_once(" => ").expect("a request and its reply");
        rows.push(Row {
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

#[test]
fn every_row_of_the_book_is_answered_so() {
    let mut wrong = Vec::new();
    for (name, least, table) in TABLES {
        let rows = rows(table);
        assert!(rows.len() >= *least, "{name}: {} rows", rows.len());
        for row in rows {
            for version in [1, 2, 3] {
                if !row.versions.contains(char::from(b'0' + version)) {
                    continue;
                }
                let expected = format!("!/{version} <a> P=99{{{}}}", row.reply);
                let expected = simplified(&expected);
                assert!(expected.is_some(), "{name}: no reply: {}", row.reply);
                let short = transaction(99, row.request);
                let long = lengthened(version, &short);
                for request in [Some(short), long].into_iter().flatten() {
                    let told = answer(version, &row.before, &request);
                    if simplified(&told) != expected {
                        let row = (row.request, row.reply);
                        wrong.push(format!(
                            "{name} v{version} {row:?}\n    {request}\n    {told}"
                        ));
                    }
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
