//! Scripts and what they decide.

use proptest::prelude::*;

use super::*;

/// A message as a script sees it.
struct Sample<'a> {
    size: u64,
    fields: &'a [(&'a str, &'a str)],
}

impl Message for Sample<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn any_value(&self, name: &str, is_match: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let mut fields = self.fields.iter();
        fields.any(|(n, v)| n.eq_ignore_ascii_case(name) && is_match(v.as_bytes()))
    }
}

const ALICE: Sample<'static> = Sample {
    size: 1000,
    fields: &[
        ("Content-Type", "message/cpim"),
        ("Content-Type", "text/plain; charset=utf-8"),
        (
            "From",
            "\"Doe, Alice <a>\" <sip:alice@Example.com;user=phone>",
        ),
        (
            "To",
            "<sip:team@conf.example.net>, Bob <im:bob@example.org:5060>",
        ),
        ("Subject", "Caf\u{e9} *now*"),
    ],
};

#[track_caller]
fn check(script: &str, verdict: Verdict<'_>) {
    let script = Script::parse(script).unwrap_or_else(|e| panic!("{script}: {e}"));
    assert_eq!(script.judge(&ALICE), verdict);
}

#[track_caller]
fn check_test(test: &str, holds: bool) {
    let script = format!("if {test} {{ discard; }}");
    let verdict = if holds {
        Verdict::Discard
    } else {
        Verdict::Keep
    };
    check(&script, verdict);
}

#[track_caller]
fn check_fault(script: &str, kind: ErrorKind, at: (u32, u32), text: &str) {
    let error = Script::parse(script).expect_err(script);
    assert_eq!(
        (error.kind, (error.line, error.column), error.text.as_str()),
        (kind, at, text),
        "{script}"
    );
}

#[test]
fn actions_decide_and_keep_outweighs_the_rest() {
    check("", Verdict::Keep);
    check("keep;", Verdict::Keep);
    check("discard;", Verdict::Discard);
    check("stop; discard;", Verdict::Keep);
    check("discard; keep;", Verdict::Keep);
    check("require \"reject\"; reject \"no\";", Verdict::Reject("no"));
    check(
        "require [\"reject\", 'ereject'];\ndiscard; ereject 'not here';",
        Verdict::Reject("not here"),
    );
    check("require \"reject\"; keep; reject \"no\";", Verdict::Keep);
    check(
        "require \"reject\"; reject text: # why\r\nfirst\r\n..second\r\n.\r\n;",
        Verdict::Reject("first\r\n.second\r\n"),
    );
}

#[test]
fn the_first_branch_that_holds_is_taken() {
    let script = "if size :over 2K { keep; } elsif size :over 900 { discard; } else { keep; }";
    check(script, Verdict::Discard);
    check(
        "if false { discard; } else { stop; } discard;",
        Verdict::Keep,
    );
    check("if true { if true { stop; } } discard;", Verdict::Keep);
    check("IF TRUE { DISCARD; }", Verdict::Discard);
    check(
        "/* one */ if true # two\n{ discard; /**/ }",
        Verdict::Discard,
    );
}

#[test]
fn sizes_are_strict_and_have_quantifiers() {
    for (test, holds) in [
        ("size :over 999", true),
        ("size :over 1000", false),
        ("size :under 1000", false),
        ("size :under 1001", true),
        ("size :under 1K", true),
        ("size :over 1M", false),
        ("size :under 1g", true),
    ] {
        check_test(test, holds);
    }
}

#[test]
fn tests_combine() {
    for (test, holds) in [
        ("true", true),
        ("not true", false),
        ("not not true", true),
        ("allof (true, true)", true),
        ("allof (true, false)", false),
        ("anyof (false, true)", true),
        ("anyof (false, not true)", false),
        ("exists \"from\"", true),
        ("exists [\"From\", \"to\"]", true),
        ("exists [\"From\", \"Cc\"]", false),
    ] {
        check_test(test, holds);
    }
}

#[test]
fn header_values_match_as_asked() {
    for (test, holds) in [
        ("header \"content-type\" \"MESSAGE/CPIM\"", true),
        ("header :is 'Content-Type' 'text/plain'", false),
        ("header :contains \"content-type\" \"text/plain\"", true),
        ("header :contains \"from\" \"\"", true),
        ("header :contains \"cc\" \"\"", false),
        ("header :matches \"subject\" \"caf? \\\\*now\\\\*\"", true),
        ("header :matches \"subject\" \"*now\"", false),
        ("header :matches \"subject\" \"*n?w*\"", true),
        (
            "header :comparator \"i;octet\" :contains \"subject\" \"NOW\"",
            false,
        ),
        (
            "header :contains :comparator \"i;ascii-casemap\" \"subject\" \"NOW\"",
            true,
        ),
        (
            "header :is [\"cc\", \"subject\"] [\"x\", \"caf\u{e9} *now*\"]",
            true,
        ),
    ] {
        check_test(test, holds);
    }
}

#[test]
fn addresses_have_parts() {
    for (test, holds) in [
        ("address \"from\" \"alice@example.com\"", true),
        ("address :all \"from\" \"sip:alice@example.com\"", true),
        ("address :all \"from\" \"a\"", false),
        ("address :localpart \"from\" \"alice\"", true),
        ("address :domain \"from\" \"example.com\"", true),
        ("address :domain :contains \"to\" \"example.org\"", true),
        ("address :localpart [\"cc\", \"to\"] \"bob\"", true),
        ("address :domain \"to\" \"example.com\"", false),
    ] {
        check_test(test, holds);
    }
}

#[test]
fn faults_are_told_with_line_and_column() {
    use ErrorKind::{Capability, Syntax};
    check_fault("discard", Syntax, (1, 8), "expected ;, found the end");
    check_fault(
        "keep;\n  if true",
        Syntax,
        (2, 10),
        "expected {, found the end",
    );
    check_fault("frobnicate;", Syntax, (1, 1), "unknown command frobnicate");
    check_fault("if odd { }", Syntax, (1, 4), "unknown test odd");
    check_fault("else { }", Syntax, (1, 1), "else without if");
    check_fault(
        "keep; require \"x\";",
        Syntax,
        (1, 7),
        "require must come first",
    );
    check_fault("if size 5 {}", Syntax, (1, 4), "size needs :over or :under");
    check_fault(
        "if size :over :under 5 {}",
        Syntax,
        (1, 15),
        ":under after another of its kind",
    );
    check_fault(
        "if header :domain \"a\" \"b\" {}",
        Syntax,
        (1, 11),
        "unexpected :domain",
    );
    check_fault("if header \"a {}", Syntax, (1, 11), "string without end");
    check_fault("/* keep;", Syntax, (1, 1), "comment without end");
    check_fault(
        "if true { keep; ",
        Syntax,
        (1, 17),
        "expected a command or }, found the end",
    );
    check_fault("}", Syntax, (1, 1), "expected a command, found }");
    check_fault(
        "if size :over 99999999999G {}",
        Syntax,
        (1, 15),
        "not a number, or too large",
    );
    check_fault("\u{e9}", Syntax, (1, 1), "unexpected '\u{e9}'");
    check_fault(
        "require \"fileinto\";",
        Capability,
        (1, 9),
        "require fileinto not supported",
    );
    check_fault("reject \"no\";", Capability, (1, 1), "reject needs require");
    check_fault(
        "redirect \"a@b\";",
        Capability,
        (1, 1),
        "redirect not supported",
    );
    check_fault(
        "if envelope \"from\" \"a\" {}",
        Capability,
        (1, 4),
        "test envelope not supported",
    );
    check_fault(
        "if header :comparator \"i;ascii-numeric\" \"a\" \"1\" {}",
        Capability,
        (1, 23),
        "comparator i;ascii-numeric not supported",
    );
}

#[test]
fn every_limit_is_a_fault() {
    use ErrorKind::{Syntax, TooManyActions};
    let kind = |script: &str| Script::parse(script).map_err(|e| e.kind);
    let long = " ".repeat(limits::SCRIPT_BYTES_MAX + 1);
    assert_eq!(kind(&long), Err(Syntax));
    let long = format!(
        "if exists '{}' {{}}",
        "x".repeat(limits::STRING_BYTES_MAX + 1)
    );
    assert_eq!(kind(&long), Err(Syntax));
    let nested = |depth: usize| "if true { ".repeat(depth) + &"}".repeat(depth);
    assert!(kind(&nested(limits::NESTING_MAX)).is_ok());
    assert_eq!(kind(&nested(limits::NESTING_MAX + 1)), Err(Syntax));
    let nots = "not ".repeat(limits::NESTING_MAX);
    assert_eq!(kind(&format!("if {nots} true {{}}")), Err(Syntax));
    let tests = "true,".repeat(limits::TESTS_MAX);
    assert_eq!(kind(&format!("if anyof({tests} true) {{}}")), Err(Syntax));
    let actions = "keep;".repeat(limits::ACTIONS_MAX + 1);
    assert_eq!(kind(&actions), Err(TooManyActions));
}

#[test]
fn a_script_knows_whether_it_reads_fields() {
    for (script, reads) in [
        ("if size :over 1 { discard; }", false),
        ("if not exists 'x' { discard; }", true),
        ("if header 'x' 'y' { discard; }", true),
    ] {
        assert_eq!(
            Script::parse(script).unwrap().reads_fields(),
            reads,
            "{script}"
        );
    }
}

/// The obvious matcher, exponential and without escapes.
fn slow_glob(value: &[u8], pattern: &[u8]) -> bool {
    match pattern.split_first() {
        None => value.is_empty(),
        Some((b'*', rest)) => (0..=value.len()).any(|at| slow_glob(&value[at..], rest)),
        Some((b'?', rest)) => !value.is_empty() && slow_glob(&value[1..], rest),
        Some((c, rest)) => value.first() == Some(c) && slow_glob(&value[1..], rest),
    }
}

proptest! {
    #[test]
    fn patterns_match_as_the_obvious_matcher_says(
        value in "[ab]{0,8}", pattern in "[ab*?]{0,6}"
    ) {
        let matcher = matching::Matcher {
            kind: matching::MatchType::Matches,
            folds_case: false,
        };
        prop_assert_eq!(
            matcher.is_match(value.as_bytes(), pattern.as_bytes()),
            slow_glob(value.as_bytes(), pattern.as_bytes())
        );
    }

    #[test]
    fn no_text_breaks_the_compiler_or_a_judgement(
        words in proptest::collection::vec(
            prop_oneof![
                Just("if"), Just("elsif"), Just("else"), Just("true"), Just("not"), Just("allof"),
                Just("("), Just(")"), Just("{"), Just("}"), Just("["), Just("]"), Just(","),
                Just(";"), Just("keep"), Just("discard"), Just("stop"), Just("header"),
                Just("address"), Just(":matches"), Just("'*\\\\'"), Just("\"from\""), Just("size"),
                Just(":over"), Just("10"), Just("text:\n"), Just("/*"), Just("é"),
            ],
            0..40,
        )
    ) {
        if let Ok(script) = Script::parse(&words.join(" ")) {
            script.judge(&ALICE);
        }
    }
}

/// What scripts are made of, so that random ones are sometimes good.
const PIECES: &[&str] = &[
    "if ",
    "elsif ",
    "else ",
    "not ",
    "allof(",
    "anyof(",
    ")",
    ", ",
    " { ",
    " } ",
    "; ",
    "keep;",
    "discard;",
    "stop;",
    "reject \"no\";",
    "ereject 'no';",
    "require \"reject\";",
    "true",
    "false",
    "header ",
    "address ",
    "exists ",
    "size ",
    ":over ",
    ":under ",
    ":is ",
    ":contains ",
    ":matches ",
    ":all ",
    ":domain ",
    ":comparator ",
    "\"i;octet\" ",
    "\"From\" ",
    "'Subject' ",
    "[\"a\", 'b'] ",
    "\"*a?\\\\*\" ",
    "100K ",
    "# comment\n",
    "/* comment */ ",
    "text:\nx\n.\n",
];

proptest! {
    #[test]
    fn any_script_is_compiled_or_refused_and_judges_alike(
        pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..24),
        message in "\n.\n.(From: [a-z<@>. ]{0,12}\n)?(Subject: [a*?\\\\é ]{0,8}\n)?",
    ) {
        fuzzing::judge((pieces.concat() + &message).as_bytes());
    }

    #[test]
    fn any_octets_are_compiled_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzzing::judge(&octets);
    }
}
