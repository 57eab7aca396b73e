use super::*;

const REQUIREMENTS: &str =
    "# comment\nMSRP-A\t\t\tThings\nMSRP-A-001\tMUST\t1\tDo it\nMSRP-A-002\tMAY\t2\tOr not\n";

fn place(test: &str) -> Place {
    Place {
        path: "x.rs".to_owned(),
        test: test.to_owned(),
    }
}

#[track_caller]
fn check(exceptions: &str, tested: &[&str], expected: &[&str]) {
    let places = tested
        .iter()
        .map(|id| ((*id).to_owned(), vec![place("t")]))
        .collect();
    let report = Report::new(REQUIREMENTS, exceptions, places);
    let problems = report.problems();
    assert_eq!(problems.len(), expected.len(), "{problems:?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.contains(expected), "{problem}");
    }
}

#[test]
fn every_requirement_is_tested_or_excepted_and_never_both() {
    check("MSRP-A-002\topen\tlater\n", &["MSRP-A-001"], &[]);
    check("", &["MSRP-A-001"], &["MSRP-A-002 is neither"]);
    check(
        "MSRP-A-002\topen\tlater\n",
        &["MSRP-A-001", "MSRP-A-002"],
        &["MSRP-A-002 is an exception (open) but x.rs t names it"],
    );
}

#[test]
fn what_is_unknown_or_malformed_is_a_problem() {
    let both = ["MSRP-A-001", "MSRP-A-002"];
    check("", &[both[0], both[1], "MSRP-B-001"], &["names MSRP-B-001"]);
    check(
        "MSRP-C-001\topen\tx\n",
        &both,
        &["the exception MSRP-C-001"],
    );
    check("MSRP-A-001\tnever\tx\n", &both, &["not an id, a kind"]);
    check("MSRP-A-001\topen\t\n", &both, &["not an id, a kind"]);
}

#[test]
fn the_document_says_where_and_why_not() {
    let places = BTreeMap::from([(
        "MSRP-A-001".to_owned(),
        ["a", "b", "c", "d"].map(place).to_vec(),
    )]);
    let report = Report::new(REQUIREMENTS, "MSRP-A-002\tdeviation\twe do\n", places);
    assert_eq!(report.counts(), [2, 1, 0, 1, 0]);
    let document = report.document();
    assert!(document.contains("## Things"), "{document}");
    assert!(document.contains("| Do it | `x.rs a`, `x.rs b`, more |"));
    assert!(document.contains("| MSRP-A-002 | MAY | 2 | Or not | *deviation*: we do |"));
}

#[test]
fn an_id_belongs_to_the_test_it_stands_in_or_above() {
    let text = "/// MSRP-A-001\nfn helper() {}\n\n\
        // MSRP-A-002, MSRP-A-003.\n#[test]\nfn first() {\n    call(\"MSRP-A-004\");\n}\n\n\
        #[test]\n/// MSRP-A-005\nfn second() {}\n    /// not MSRP-A-0060 nor XMSRP-A-006\n";
    let found: Vec<_> = ids_in("x.rs", text)
        .into_iter()
        .map(|(id, test)| format!("{id} {test}"))
        .collect();
    assert_eq!(
        found,
        [
            "MSRP-A-002 first",
            "MSRP-A-003 first",
            "MSRP-A-004 first",
            "MSRP-A-005 second"
        ]
    );
    let python = "def check_it():\n    \"\"\"MSRP-A-001\"\"\"\n";
    assert_eq!(
        ids_in("x.py", python),
        [("MSRP-A-001".to_owned(), "check_it".to_owned())]
    );
    assert_eq!(
        ids_in("x.frames", "# MSRP-A-001\n"),
        [("MSRP-A-001".to_owned(), String::new())]
    );
}
