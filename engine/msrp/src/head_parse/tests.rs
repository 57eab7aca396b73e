use super::*;
use crate::byte_range::ByteRangeError;
use crate::head::StatusCode;

const PATHS: &str = "To-Path: msrp://a:1/x;tcp\r\nFrom-Path: msrp://b:2/y;tcp\r\n";
const BODILESS: After = After::EndLine(Flag::Complete);

fn text(method: &str, fields: &str) -> Vec<u8> {
    format!("MSRP t1t1 {method}\r\n{PATHS}{fields}").into_bytes()
}

#[track_caller]
fn check(method: &str, fields: &str, after: After, expected: Option<HeadFault>) {
    let text = text(method, fields);
    let head = parse(&text, after, &Limits::default()).expect("the start line is fine");
    assert_eq!(head.fault, expected, "{fields:?}");
}

#[track_caller]
fn check_send(fields: &str, expected: Option<HeadFault>) {
    check(
        "SEND",
        &format!("Message-ID: m1m1\r\n{fields}"),
        BODILESS,
        expected,
    );
}

// MSRP-HDR-002, MSRP-HDR-003, MSRP-HDR-004, MSRP-HDR-007, MSRP-HDR-008, MSRP-HDR-015.
#[test]
fn a_full_head_is_read_whatever_the_case_and_spacing() {
    let text = text(
        "SEND",
        "message-id:m1m1 \r\nBYTE-RANGE:   1-5/5\r\nSuccess-Report: YES\r\n\
         Failure-Report:\tPartial\r\nX-Other: a:b\r\nContent-Type: \"text/plain\"\r\n",
    );
    let head = parse(&text, After::Body, &Limits::default()).unwrap();
    assert_eq!(head.fault, None);
    assert_eq!(head.transaction_id, b"t1t1");
    assert!(head.is_send() && head.has_body && head.success_report);
    assert_eq!(
        (head.to_path, head.from_path),
        (&b"msrp://a:1/x;tcp"[..], &b"msrp://b:2/y;tcp"[..])
    );
    assert_eq!(head.message_id, Some(&b"m1m1"[..]));
    assert_eq!(head.byte_range, Some(ByteRange::whole(5)));
    assert_eq!(head.failure_report, FailureReport::Partial);
    assert_eq!(head.content_type, Some(&b"text/plain"[..]));
    let fields: Vec<_> = head.fields().collect();
    assert_eq!(fields.len(), 8);
    assert_eq!(
        fields[6],
        Field {
            name: b"X-Other",
            value: b"a:b"
        }
    );
    assert!(fields[6].is("x-other"));
    assert!(head.has_more_fields() && head.tells_success_report() && head.tells_failure_report());
}

#[test]
fn a_head_knows_whether_its_members_are_all_there_is() {
    for (fields, has_more) in [
        ("", false),
        ("byte-range:1-0/0\r\nSuccess-Report: no\r\n", false),
        ("Failure-Report: no\r\nContent-Type: text/plain\r\n", false),
        ("Expires: 5\r\n", true),
        ("Use-Nickname: \"x\"\r\n", true),
        ("Status: 000 200\r\n", true),
    ] {
        let text = text("SEND", &format!("Message-ID: m1m1\r\n{fields}"));
        let head = parse(&text, After::Body, &Limits::default()).unwrap();
        assert_eq!(head.has_more_fields(), has_more, "{fields:?}");
        let has = |name: &str| fields.contains(name);
        assert_eq!(head.tells_success_report(), has("Success-Report"));
        assert_eq!(head.tells_failure_report(), has("Failure-Report"));
    }
}

// MSRP-HDR-010.
#[test]
fn paths_split_into_uris_next_hop_first() {
    let text = b"MSRP t1t1 REPORT\r\nTo-Path: msrp://a:1/x;tcp\r\n\
        From-Path:  msrp://r:3/z;tcp  msrp://b:2/y;tcp \r\n\
        Message-ID: m1m1\r\nStatus: 000 413 too much\r\n";
    let head = parse(text, BODILESS, &Limits::default()).unwrap();
    assert_eq!(head.fault, None);
    assert_eq!(head.to_uris().count(), 1);
    assert_eq!(head.leftmost_from(), Some(&b"msrp://r:3/z;tcp"[..]));
    assert_eq!(head.last_from_uri(), Some(&b"msrp://b:2/y;tcp"[..]));
    let status = Status {
        namespace: 0,
        code: StatusCode::STOP_SENDING,
        comment: b"too much",
    };
    assert_eq!(head.status, Some(status));
}

// MSRP-HDR-001, MSRP-HDR-005.
#[test]
fn the_paths_come_first_and_once() {
    let check = |lines: &str, expected: HeadFault| {
        let text = format!("MSRP t1t1 SEND\r\n{lines}Message-ID: m1m1\r\n");
        let head = parse(text.as_bytes(), BODILESS, &Limits::default()).unwrap();
        assert_eq!(head.fault, Some(expected), "{lines:?}");
    };
    let (to, from) = PATHS.split_at(PATHS.find("From").unwrap());
    check("", HeadFault::ToPathNotFirst);
    check(from, HeadFault::ToPathNotFirst);
    check(to, HeadFault::FromPathNotSecond);
    check(&format!("{from}{to}"), HeadFault::ToPathNotFirst);
    check(&format!("{to}X: y\r\n{from}"), HeadFault::FromPathNotSecond);
    check(&format!("{PATHS}{to}"), HeadFault::Duplicate("To-Path"));
    check(&format!("{PATHS}{from}"), HeadFault::Duplicate("From-Path"));
    check(
        &format!("To-Path: sip:a\r\n{from}"),
        HeadFault::ToPath(UriError::Scheme),
    );
    check(
        &format!("To-Path:\r\n{from}"),
        HeadFault::ToPath(UriError::Empty),
    );
    check(
        &format!("{to}From-Path: msrp://b:2/y\r\n"),
        HeadFault::FromPath(UriError::Transport),
    );
}

#[test]
fn swapped_paths_are_still_there_to_answer_on() {
    let text = b"MSRP t1t1 SEND\r\nFrom-Path: msrp://b:2/y;tcp\r\nTo-Path: msrp://a:1/x;tcp\r\n";
    let head = parse(text, BODILESS, &Limits::default()).unwrap();
    assert_eq!(
        (head.to_path, head.from_path),
        (&b"msrp://a:1/x;tcp"[..], &b"msrp://b:2/y;tcp"[..])
    );
}

// MSRP-FRAME-005, MSRP-FRAME-023, MSRP-FRAME-024.
#[test]
fn lines_that_are_no_fields_are_faults() {
    check_send("garbage\r\n", Some(HeadFault::NoColon));
    check_send("X: a\r\n b\r\n", Some(HeadFault::Folded));
    check_send("\tb: c\r\n", Some(HeadFault::Folded));
    check_send(": c\r\n", Some(HeadFault::FieldName));
    check_send("X : c\r\n", Some(HeadFault::FieldName));
    check_send("X\u{e9}: c\r\n", Some(HeadFault::FieldName));
    check_send("X: \u{e9}\t~\r\n", None);
    for octet in ["\0", "\n", "\r", "\x1f", "\x7f"] {
        check_send(&format!("X: a{octet}b\r\n"), Some(HeadFault::Control));
    }
}

// MSRP-SEC-006, MSRP-FRAME-016.
#[test]
fn a_field_hidden_behind_a_bare_line_feed_is_not_read() {
    let text = text("SEND", "Message-ID: m1m1\r\nX: a\nFailure-Report: no\r\n");
    let head = parse(&text, BODILESS, &Limits::default()).unwrap();
    assert_eq!(head.failure_report, FailureReport::Yes);
    assert_eq!(head.fields().count(), 4);
}

// MSRP-HDR-006, MSRP-HDR-007, MSRP-HDR-008, MSRP-HDR-009, MSRP-HDR-010.
#[test]
fn each_value_is_judged() {
    check_send("", None);
    check("SEND", "", BODILESS, Some(HeadFault::MessageIdMissing));
    check(
        "SEND",
        "Message-ID: abc\r\n",
        BODILESS,
        Some(HeadFault::MessageId),
    );
    check_send(
        "Message-ID: m1m1\r\n",
        Some(HeadFault::Duplicate("Message-ID")),
    );
    let zero = HeadFault::ByteRange(ByteRangeError::StartsAtZero);
    check_send("Byte-Range: 0-1/1\r\n", Some(zero));
    check_send(
        "Success-Report: partial\r\n",
        Some(HeadFault::SuccessReport),
    );
    check_send("Failure-Report: maybe\r\n", Some(HeadFault::FailureReport));
    check_send("Status: 000 200\r\n", None);
    check_send("Status: 00 200\r\n", Some(HeadFault::Status));
    check_send("Status: 000 200OK\r\n", Some(HeadFault::Status));
    check_send("Status: 200 OK\r\n", Some(HeadFault::Status));
}

#[test]
fn failure_report_no_is_seen_beside_another_fault() {
    let text = text("SEND", "Failure-Report: NO\r\n");
    let head = parse(&text, BODILESS, &Limits::default()).unwrap();
    assert_eq!(head.fault, Some(HeadFault::MessageIdMissing));
    assert_eq!(head.failure_report, FailureReport::No);
}

// MSRP-HDR-012, MSRP-FRAME-010.
#[test]
fn content_type_and_body_go_together() {
    let (id, media) = (
        "Message-ID: m1m1\r\n",
        "Message-ID: m1m1\r\nContent-Type: a/b\r\n",
    );
    let blank = After::BlankThenEndLine(Flag::Complete);
    check("SEND", media, After::Body, None);
    check("SEND", media, blank, None);
    check("SEND", id, blank, None);
    check(
        "SEND",
        id,
        After::Body,
        Some(HeadFault::BodyWithoutContentType),
    );
    check(
        "SEND",
        media,
        BODILESS,
        Some(HeadFault::ContentTypeWithoutBody),
    );
    let bad = "Message-ID: m1m1\r\nContent-Type: text\r\n";
    check("SEND", bad, After::Body, Some(HeadFault::ContentType));
    let has_body = |fields| {
        parse(&text("SEND", fields), blank, &Limits::default())
            .unwrap()
            .has_body
    };
    assert!(has_body(media) && !has_body(id));
}

// MSRP-FRAME-020, MSRP-RPT-008.
#[test]
fn methods_other_than_send_have_their_own_rules() {
    let report = "Message-ID: m1m1\r\nStatus: 000 200 OK\r\n";
    check("REPORT", report, BODILESS, None);
    check(
        "REPORT",
        report,
        After::EndLine(Flag::More),
        Some(HeadFault::OtherFlag),
    );
    check(
        "REPORT",
        "Message-ID: m1m1\r\n",
        BODILESS,
        Some(HeadFault::StatusMissing),
    );
    check(
        "REPORT",
        "Status: 000 200\r\n",
        BODILESS,
        Some(HeadFault::MessageIdMissing),
    );
    let asking = format!("{report}Failure-Report: no\r\n");
    check("REPORT", &asking, BODILESS, Some(HeadFault::ReportField));
    check("NICKNAME", "Use-Nickname: \"x\"\r\n", BODILESS, None);
    check(
        "NICKNAME",
        "Success-Report: no\r\n",
        BODILESS,
        Some(HeadFault::ReportField),
    );
    check("AUTH", "", BODILESS, None);
    check("FETCH", "", BODILESS, None);
    check(
        "FETCH",
        "",
        After::EndLine(Flag::Abort),
        Some(HeadFault::OtherFlag),
    );
    check("200 OK", "", BODILESS, None);
    check(
        "200 OK",
        "",
        After::EndLine(Flag::More),
        Some(HeadFault::ResponseFlag),
    );
    check(
        "200 OK",
        "Content-Type: a/b\r\n",
        After::Body,
        Some(HeadFault::ResponseBody),
    );
}

// MSRP-TX-020.
#[test]
fn response_paths_are_not_judged() {
    let text = b"MSRP t1t1 200 OK\r\nTo-Path: whatever\r\nFrom-Path: sip:x\r\n";
    assert_eq!(
        parse(text, BODILESS, &Limits::default()).unwrap().fault,
        None
    );
}

// MSRP-HDR-002, MSRP-HDR-011, MSRP-FRAME-022.
#[test]
fn strict_grammar_reports_what_tolerance_lets_pass() {
    let strict = Limits {
        grammar: Grammar::Strict,
        ..Limits::default()
    };
    let blank = After::BlankThenEndLine(Flag::Complete);
    for (fields, after, expected) in [
        ("Message-ID: m1m1\r\n", BODILESS, None),
        (
            "Message-ID:m1m1\r\n",
            BODILESS,
            Some(HeadFault::ColonSpacing),
        ),
        (
            "Message-ID:  m1m1\r\n",
            BODILESS,
            Some(HeadFault::ColonSpacing),
        ),
        (
            "Message-ID: m1m1\r\n",
            blank,
            Some(HeadFault::BlankLineWithoutBody),
        ),
        (
            "Message-ID: m1m1\r\nContent-Type: \"a/b\"\r\n",
            After::Body,
            Some(HeadFault::ContentType),
        ),
        (
            "Content-Type: a/b\r\nMessage-ID: m1m1\r\n",
            After::Body,
            Some(HeadFault::ContentTypeNotLast),
        ),
    ] {
        let text = text("SEND", fields);
        assert_eq!(
            parse(&text, after, &strict).unwrap().fault,
            expected,
            "{fields:?}"
        );
        assert_eq!(
            parse(&text, after, &Limits::default()).unwrap().fault,
            None,
            "{fields:?}"
        );
    }
}

// MSRP-STAT-004.
#[test]
fn every_fault_is_answered_with_400() {
    for fault in [
        HeadFault::ToPathNotFirst,
        HeadFault::Duplicate("Status"),
        HeadFault::OtherFlag,
    ] {
        assert_eq!(fault.status(), StatusCode::BAD_REQUEST);
    }
}

// MSRP-TX-014, MSRP-SEC-006.
#[test]
fn a_path_with_a_control_character_is_not_kept_for_an_answer() {
    let text = b"MSRP t1t1 SEND\r\nTo-Path: msrp://a:1/x\x01;tcp\r\n\
        From-Path: msrp://b:2/y\x1d;tcp\r\nMessage-ID: m1m1\r\n";
    let head = parse(text, BODILESS, &Limits::default()).unwrap();
    assert_eq!(head.fault, Some(HeadFault::Control));
    assert_eq!((head.to_path, head.from_path), (&b""[..], &b""[..]));
}
