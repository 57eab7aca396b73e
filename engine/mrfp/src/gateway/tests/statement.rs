//! docs/H248.md says what is so.

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
