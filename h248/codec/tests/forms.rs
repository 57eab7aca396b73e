//! Every form of the text encoding, and what only looks like one, in each version: `forms.tsv` and
//! `headers.tsv` in `tests/vectors/h248`.

use h248::{Encoding, Limits, parse, print};

const FORMS: &str = include_str!("../../../tests/vectors/h248/forms.tsv");
const HEADERS: &str = include_str!("../../../tests/vectors/h248/headers.tsv");

/// The text of a line, its escapes undone.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let escaped = if c == '\\' { rest.next() } else { Some(c) };
        out.push(match (c, escaped) {
            ('\\', Some('n')) => '\n',
            ('\\', Some('r')) => '\r',
            ('\\', Some('t')) => '\t',
            (_, escaped) => escaped.expect("something is escaped"),
        });
    }
    out
}

/// Reads `text`, and what is printed of it; whether it is a message.
fn is_read(text: &str) -> bool {
    let limits = Limits::default();
    let Ok(message) = parse(text.as_bytes(), &limits) else {
        return false;
    };
    for encoding in [Encoding::Pretty, Encoding::Compact] {
        let printed = print(&message, encoding);
        assert_eq!(parse(&printed, &limits).as_ref(), Ok(&message), "{text}");
    }
    true
}

/// Compares the first field of each line with what `judge` makes of the last one, of which there are
/// at least `count`.
#[track_caller]
fn check(table: &str, count: usize, judge: impl Fn(&str) -> String) {
    let lines: Vec<&str> = table.lines().filter(|l| !l.starts_with('#')).collect();
    let wrong: Vec<String> = lines
        .iter()
        .filter_map(|line| {
            let mut fields = line.splitn(3, '\t');
            let mut field = || fields.next().expect("three fields");
            let (expected, _erlang, text) = (field(), field(), unescaped(field()));
            let judged = judge(&text);
            (judged != expected).then(|| format!("{expected}, not {judged}: {text}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(lines.len() >= count, "{} lines", lines.len());
}

#[test]
fn each_form_is_read_in_the_versions_that_have_it_and_in_no_other() {
    check(FORMS, 950, |text| {
        let has = |version: &u8| is_read(&format!("!/{version} <mgc.example.net>:2944 {text}"));
        let versions: String = (1..=3).filter(has).map(|v| v.to_string()).collect();
        if versions.is_empty() {
            "-".to_owned()
        } else {
            versions
        }
    });
}

#[test]
fn each_form_of_a_header_is_read_and_no_other() {
    check(HEADERS, 60, |text| {
        if is_read(text) { "yes" } else { "no" }.to_owned()
    });
}
