//! Every requirement on MSRP and SIP is tested or has an exception, and `docs/CONFORMANCE.md` says so.

use std::path::Path;

use mrf_tests::conformance::Report;

#[test]
fn every_requirement_is_tested_or_excepted_and_the_document_says_so() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let report = Report::of_workspace(&root).expect("the tables and tests are readable");
    let problems = report.problems().join("\n");
    assert!(problems.is_empty(), "{problems}");
    let document = std::fs::read_to_string(root.join("docs/CONFORMANCE.md")).expect("readable");
    assert!(
        document == report.document(),
        "docs/CONFORMANCE.md is out of date: cargo run -p mrf-tests --bin conformance"
    );
}
