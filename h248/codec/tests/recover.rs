//! What an endpoint learns of messages that are broken in places.

use h248::ast::{CommandKind, ContextId, MId, TransactionId};
use h248::{BrokenTransaction, ErrorCode, Limits, Received, ReceivedBody, parse_recovering};

fn receive(text: &str) -> Received {
    let received = parse_recovering(text.as_bytes(), &Limits::default());
    received.unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The transactions of `!/2 <a> ` and `body`.
fn transactions(body: &str) -> Vec<Result<h248::ast::Transaction, BrokenTransaction>> {
    match receive(&format!("!/2 <a> {body}")).body {
        ReceivedBody::Transactions(transactions) => transactions,
        ReceivedBody::Error(error) => panic!("{error}"),
    }
}

/// Says what is known of the only broken transaction: id, context, command, commands kept, code.
fn summary(body: &str) -> String {
    let transactions = transactions(body);
    let mut broken = transactions.iter().filter_map(|t| t.as_ref().err());
    let first = broken.next().expect("a broken transaction");
    assert_eq!(broken.next(), None);
    let show = |text: Option<String>| text.unwrap_or_else(|| "?".to_owned());
    let kept = first.partial.iter().flat_map(|request| &request.actions);
    let kept = kept.map(|action| format!("{}:{}", action.context, action.commands.len()));
    format!(
        "{} {} {} [{}] {}",
        show(first.id.map(|id| id.to_string())),
        show(first.context.map(|context| context.to_string())),
        show(
            first
                .command
                .as_ref()
                .map(|(kind, ids)| format!("{kind}={ids}"))
        ),
        kept.collect::<Vec<_>>().join(","),
        first.code.0,
    )
}

#[test]
fn errors_are_placed_as_deep_as_possible() {
    let rows = [
        // Nothing known, or only the id.
        ("T={C=1{S=a}}", "? ? ? [] 403"),
        ("T=x{C=1{S=a}}", "? ? ? [] 403"),
        ("T=5{}", "5 ? ? [] 403"),
        ("T=5{FOO=1{S=a}}", "5 ? ? [] 403"),
        ("T=5{C=1{S=a}", "5 ? ? [] 403"),
        // The context is unreadable, or known.
        ("T=5{C=x{S=a}}", "5 ? ? [] 422"),
        ("T=5{C=1{}}", "5 1 ? [] 422"),
        ("T=5{C=1{PR=x,S=a}}", "5 1 ? [] 422"),
        ("T=5{C=1{PR=16}}", "5 1 ? [] 449"),
        ("T=5{C=1{PR=3,PR=4}}", "5 1 ? [] 456"),
        ("T=5{C=1{PR=3,FOO=a}}", "5 1 ? [1:0] 443"),
        ("T=5{C=1{PR=3,S={}}}", "5 1 ? [1:0] 442"),
        ("T=5{C=1{S=a,PR=3,PR=4}}", "5 1 ? [1:1] 456"),
        ("T=5{C=1{S=a},C=2{}}", "5 2 ? [1:1] 422"),
        ("T=5{C=1{S=a} S=b}", "5 ? ? [] 403"),
        // Commands: unknown, unreadable, broken inside.
        ("T=5{C=1{FOO=a}}", "5 1 ? [] 443"),
        ("T=5{C=1{S=a,FOO=a,S=b}}", "5 1 ? [1:1] 443"),
        ("T=5{C=1{S={}}}", "5 1 ? [] 442"),
        (
            "T=5{C=1{S=a,MF=b{M{O{MO=}}},S=c}}",
            "5 1 Modify=b [1:1] 449",
        ),
        ("T=5{C=1{TP{a,b,IS},MF=b{XX}}}", "5 1 Modify=b [1:0] 444"),
        (
            "T=5{C=1{A=${M{L{\nv=0\n}},M{R{\nv=0\n}}}}}",
            "5 1 Add=$ [] 448",
        ),
        ("T=5{C=1{S=a},C=2{MF=b{M{L{\nv=0", "5 2 Modify=b [1:1] 442"),
    ];
    for (body, expected) in rows {
        assert_eq!(summary(body), expected, "{body}");
    }
}

#[test]
fn other_transactions_survive_a_broken_one() {
    let broken = [
        r#"T=2{C=1{FOO="}}}" }}"#,
        "T=2{C=1{MF=a{M{ST=1{L{\na=x:{{{\\}\n},R{\na=\"\n}},TS{,}}}}}",
        "T=2{C=1{MF=a{M{R{\n;}\n}}} ; }}}} a comment\n}",
        "T=2{C=1{MF=a{E=1{R{L}}}}}",
        "FOO=2{C=1{S=a}}",
    ];
    for middle in broken {
        let middle = middle.replace("{\n;}\n}", "{\n;\\}\n},}");
        let all = transactions(&format!("PN=1{{}} {middle} PN=3{{}}"));
        let ids: Vec<_> = all.iter().map(Result::is_ok).collect();
        assert_eq!(ids, [true, false, true], "{middle}");
    }
}

#[test]
fn only_what_may_be_a_request_wants_an_answer() {
    let is_request = |body: &str| {
        let first = transactions(body).remove(0);
        first.expect_err("broken").is_request
    };
    for request in ["T=1{", "T", "FOO", "}"] {
        assert!(is_request(request), "{request}");
    }
    for other in ["P=1{", "PN=1", "K{}", "SM=1/1"] {
        assert!(!is_request(other), "{other}");
    }
}

#[test]
fn strings_and_comments_do_not_count_as_braces() {
    let all = transactions("T=1{C=1{Foo=\"}}}}\",x;}}}}\n=1}} PN=2{}");
    assert_eq!(all.len(), 2);
    assert_eq!(
        all[1],
        Ok(h248::ast::Transaction::Pending(TransactionId(2)))
    );
}

#[test]
fn an_unfinished_comment_hides_the_rest() {
    let all = transactions("T=1{C=1{;;;PN=2{}");
    assert_eq!(all.len(), 1);
}

#[test]
fn a_broken_command_keeps_its_terminations() {
    let broken = transactions("T=1{C=-{SC=ROOT{SV{MT=XX}}}}").remove(0);
    let broken = broken.expect_err("an unknown method");
    let (kind, terminations) = broken.command.expect("a known command");
    assert_eq!(kind, CommandKind::ServiceChange);
    assert_eq!(terminations.to_string(), "ROOT");
    assert_eq!(broken.context, Some(ContextId::Null));
    assert_eq!(
        broken.error.to_string(),
        "1:31: expected a ServiceChange method, found \"XX\""
    );
}

#[test]
fn unknown_versions_are_left_to_the_endpoint() {
    for version in [0, 4, 99] {
        let received = receive(&format!("!/{version} <a> T=1{{C=1{{S=[a,b]}}}}"));
        assert_eq!(received.version, version);
        let mid: MId = "<a>".parse().expect("an mId");
        assert_eq!(received.mid, mid);
    }
}

#[test]
fn unreadable_headers_are_errors_of_the_message() {
    for text in [
        "",
        "x",
        "!/ <a> PN=1{}",
        "!/2 PN=1{}",
        "!/2 <a>",
        "!/2 <a> ER=1{} PN=1{}",
    ] {
        let error = parse_recovering(text.as_bytes(), &Limits::default());
        let code = error.map_err(|error| error.code);
        assert_eq!(code, Err(ErrorCode::SYNTAX_ERROR_IN_MESSAGE), "{text}");
    }
}
