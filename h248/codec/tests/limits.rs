//! What happens beyond each limit, and at it.

use h248::{ErrorCode, Limits, parse};

#[track_caller]
fn check(body: &str, limits: Limits, expected: Result<(), (ErrorCode, &str)>) {
    let text = format!("!/3 <a> {body}");
    let parsed = parse(text.as_bytes(), &limits);
    match (parsed, expected) {
        (Ok(_), Ok(())) => {}
        (Err(error), Err((code, expected))) => {
            assert_eq!((error.code, error.expected), (code, expected), "{body}");
        }
        (parsed, _) => panic!("{body}: {parsed:?}"),
    }
}

#[test]
fn messages_have_a_longest_length() {
    let limits = |message_octets| Limits {
        message_octets,
        ..Limits::default()
    };
    let too_long = "the end of the message: it is too long";
    check("PN=1{}", limits(14), Ok(()));
    let failure = (ErrorCode::SYNTAX_ERROR_IN_MESSAGE, too_long);
    check("PN=1{}", limits(13), Err(failure));
}

#[test]
fn braces_have_a_greatest_depth() {
    let limits = |depth| Limits {
        depth,
        ..Limits::default()
    };
    let body = "T=1{C=1{MF=a{M{O{MO=IN}}}}}";
    check(body, limits(5), Ok(()));
    let failure = (ErrorCode::SYNTAX_ERROR_IN_COMMAND, "fewer nested braces");
    check(body, limits(4), Err(failure));
}

#[test]
fn messages_have_a_most_of_transactions() {
    let limits = |transactions| Limits {
        transactions,
        ..Limits::default()
    };
    check("PN=1{} PN=2{}", limits(2), Ok(()));
    let too_many = "the end of the message: too many transactions";
    let failure = (ErrorCode::TOO_MANY_TRANSACTIONS, too_many);
    check("PN=1{} PN=2{}", limits(1), Err(failure));
}

#[test]
fn transactions_have_a_most_of_commands() {
    let limits = |commands| Limits {
        commands,
        ..Limits::default()
    };
    let body = "T=1{C=1{S=a},C=2{S=b}} T=2{C=1{S=a}}";
    check(body, limits(2), Ok(()));
    let failure = (ErrorCode::SYNTAX_ERROR_IN_ACTION, "fewer commands");
    check(body, limits(1), Err(failure));
}

#[test]
fn lists_have_a_longest_length() {
    let limits = |list_items| Limits {
        list_items,
        ..Limits::default()
    };
    check("K{1,2,3}", limits(3), Ok(()));
    let failure = (ErrorCode::SYNTAX_ERROR_IN_TRANSACTION, "a shorter list");
    check("K{1,2,3}", limits(2), Err(failure));
}

#[test]
fn names_have_64_characters_at_most() {
    let name = |length: usize| format!("T=1{{C=1{{S={}}}}}", "n".repeat(length));
    check(&name(64), Limits::default(), Ok(()));
    let failure = (ErrorCode::SYNTAX_ERROR_IN_COMMAND, "a termination id");
    check(&name(65), Limits::default(), Err(failure));
}
