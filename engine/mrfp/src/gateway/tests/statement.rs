//! docs/H248.md says what is so.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;

const STATEMENT: &str = include_str!("../../../../../docs/H248.md");

#[test]
fn the_statement_lists_every_package_with_every_item() {
    let packages = crate::gateway::packages();
    assert!(
        STATEMENT.ends_with(&packages),
        "the end of docs/H248.md must read:\n{packages}"
    );
    let mut bench = Bench::with(|config| {
        config.has_storage = true;
        config.has_tls = true;
    });
    let body = format!("{:?}", bench.call("C=-{AV=ROOT{AT{PG}}}"));
    let mut listed = 0;
    for title in packages.lines().filter_map(|l| l.strip_prefix("### ")) {
        let (name, _) = title.split_once('-').expect("name-version");
        assert!(body.contains(&format!("name: {name:?}")), "{name}: {body}");
        listed += 1;
    }
    assert_eq!(body.matches("PackageVersion").count(), listed);
}

#[test]
fn the_statement_lists_every_error_code_of_the_gateway() {
    let (_, section) = STATEMENT.split_once("## Errors").expect("a section");
    let (section, _) = section.split_once("## Overload").expect("a section");
    let rows = section.lines().filter_map(|line| {
        let code = line.strip_prefix("| ")?.split(' ').next()?;
        code.parse().ok()
    });
    let rows: std::collections::BTreeSet<u16> = rows.collect();
    assert_eq!(rows, errors::codes());
}

#[test]
fn the_statement_tells_the_limits_that_are() {
    let limits = Limits::default();
    let numbers = [
        ("contexts", limits.contexts_max as usize),
        ("terminations", limits.terminations_max as usize),
        (
            "terminations of a context",
            limits.terminations_per_context_max as usize,
        ),
        (
            "streams of a termination",
            limits.streams_per_termination_max,
        ),
        (
            "pairs of terminations that a topology treats by themselves",
            limits::TOPOLOGY_PAIRS_MAX,
        ),
        ("quotas of a termination", limits::QUOTAS_MAX),
        (
            "events waiting for a Notify's answer, per termination",
            limits::NOTIFY_QUEUE_MAX,
        ),
    ];
    for (what, number) in numbers {
        let row = format!("\n| {what} | ");
        let (_, rest) = STATEMENT.split_once(&row).expect(what);
        let told = rest.split(' ').next().map(|n| n.replace(',', ""));
        assert_eq!(told, Some(number.to_string()), "{what}");
    }
}

/// Whether a file of ours has a test of this name.
fn is_test(file: &str, name: &str) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(root.join(file)).expect(file);
    let (before, _) = text.split_once(&format!("fn {name}()")).unwrap_or_default();
    let (_, attributes) = before.rsplit_once("\n\n").unwrap_or_default();
    attributes.contains("#[test]") || attributes.contains("#[tokio::test")
}

#[test]
fn every_row_of_the_profile_is_shown_by_requests_or_tests() {
    let (_, section) = STATEMENT.split_once("## Profile").expect("a section");
    let (section, _) = section.split_once("\n## ").expect("another section");
    let told = section.lines().filter(|line| line.starts_with("| 5."));
    let mut shown: BTreeMap<usize, usize> = BTreeMap::new();
    let mut rows = told.clone().enumerate();
    let mut at = None;
    for line in book::PROFILE.lines().filter(|line| !line.is_empty()) {
        if let Some(row) = line.strip_prefix("# | ") {
            let (index, told) = rows.next().expect(row);
            assert!(told.starts_with(&format!("| {row} ")), "{row} or {told}");
            at = Some(index);
        } else if let Some(tests) = line.strip_prefix("# in ") {
            let mut words = tests.split(' ');
            let file = words.next().expect("a file");
            for name in words {
                assert!(is_test(file, name), "{file}: no test {name}");
                *shown.entry(at.expect("a row")).or_default() += 1;
            }
        } else if !line.starts_with('#') {
            *shown.entry(at.expect("a row")).or_default() += 1;
        }
    }
    assert_eq!(rows.next(), None, "a row that nothing shows");
    assert_eq!(shown.len(), told.count(), "a row that nothing shows");
}
