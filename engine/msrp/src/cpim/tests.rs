use proptest::prelude::*;

use super::*;

const WHOLE: &[u8] =
    b"NS: imdn <urn:ietf:params:imdn>\r\nFrom: MR SANDERS <im:piglet@100akerwood.com>\r\n\
    To: Depressed Donkey <im:eeyore@100akerwood.com>\r\nTo:<sip:pooh@example.com>\r\n\
    cc: <im:owl@example.com>\r\nDateTime: 2000-12-13T13:40:00-08:00\r\n\
    Subject:;lang=fr beau temps\r\nSubject: the weather\r\nRequire: imdn.Original-To, x.y\r\n\
    imdn.Message-ID: 34jk324j\r\n\r\n\
    Content-type: text/xml; charset=utf-8\r\nContent-ID: <1234567890@foo.com>\r\n\r\n<body/>";

/// The head of `text` and where its content begins.
fn head_of(text: &[u8]) -> (Head<'_>, usize) {
    let used = match Scanner::default().next(text).expect("no fault") {
        Step::Head { used, .. } => used,
        Step::More => panic!("not complete: {}", text.escape_ascii()),
    };
    (Head::parse(&text[..used]).expect("no fault"), used)
}

// MSRP-CPIM-001, MSRP-CPIM-003
#[test]
fn all_headers_are_read_and_the_content_is_left_alone() {
    let (head, used) = head_of(WHOLE);
    assert_eq!(&WHOLE[used..], b"<body/>");
    let from = head.from.expect("From");
    assert_eq!(from.name, b"MR SANDERS");
    assert_eq!(from.uri, b"im:piglet@100akerwood.com");
    assert_eq!(head.to_count, 2);
    let to: Vec<_> = head.addresses("To").map(|a| a.uri).collect();
    assert_eq!(
        to,
        [&b"im:eeyore@100akerwood.com"[..], b"sip:pooh@example.com"]
    );
    assert_eq!(head.addresses("cc").count(), 1);
    assert_eq!(head.date_time, Some(&b"2000-12-13T13:40:00-08:00"[..]));
    assert_eq!(head.content_type, Some(&b"text/xml; charset=utf-8"[..]));
    let required: Vec<_> = head.requires().collect();
    assert_eq!(required, [&b"imdn.Original-To"[..], b"x.y"]);
    assert_eq!(head.namespace(b"imdn"), Some(&b"urn:ietf:params:imdn"[..]));
    assert_eq!(head.namespace(b"other"), None);
    let field = head.fields().find(|f| f.name == b"imdn.Message-ID");
    assert_eq!(field.expect("there").value, b"34jk324j");
    let subjects = head.fields().filter(|f| f.name == b"Subject");
    let params: Vec<_> = subjects.map(|f| f.params).collect();
    assert_eq!(params, [&b";lang=fr"[..], b""]);
}

// MSRP-CPIM-009, MSRP-ERR-008
#[test]
fn a_first_block_with_the_content_type_is_both_blocks() {
    let text =
        b"To: <sip:a@b>\r\nFrom: <sip:c@d>\r\nContent-Type: text/html\r\n\r\nFrom: me\r\n\r\nx";
    let (head, used) = head_of(text);
    assert_eq!(&text[used..], b"From: me\r\n\r\nx");
    assert_eq!(head.from.expect("From").uri, b"sip:c@d");
    assert_eq!(head.content_type, Some(&b"text/html"[..]));
}

// MSRP-CPIM-010
#[test]
fn cc_may_be_written_in_capitals_and_ns_with_or_without_a_blank() {
    let text = b"From: <a:b>\r\nCC: <c:d>\r\nNS: x<urn:x>\r\n\r\n\r\n";
    let (head, _) = head_of(text);
    assert_eq!(head.addresses("cc").count(), 1);
    assert_eq!(head.namespace(b"x"), Some(&b"urn:x"[..]));
    assert_eq!(head.content_type, None, "not said: text/plain");
}

#[track_caller]
fn check_fault(text: &[u8], fault: CpimFault) {
    let mut scanner = Scanner::default();
    let found = match scanner.next(text) {
        Ok(Step::Head { text, .. }) => Head::parse(text).err(),
        Ok(Step::More) => scanner
            .finish()
            .and_then(|t| Head::parse(t).map(|_| ()))
            .err(),
        Err(fault) => Some(fault),
    };
    assert_eq!(found, Some(fault), "{}", text.escape_ascii());
}

// MSRP-CPIM-002, MSRP-CPIM-005
#[test]
fn what_breaks_the_grammar_is_named() {
    check_fault(b"From: <a:b>\r\nTo: <c:d>\r\n", CpimFault::Unfinished);
    check_fault(b"From: <a:b>\r\n folded\r\n\r\n\r\n", CpimFault::Folded);
    check_fault(b"From <a:b>\r\n\r\n\r\n", CpimFault::NoName);
    check_fault(b": <a:b>\r\n\r\n\r\n", CpimFault::NoName);
    check_fault(b"From: <a:b\r\n\r\n\r\n", CpimFault::Address);
    check_fault(b"From: <>\r\n\r\n\r\n", CpimFault::Address);
    check_fault(
        b"From: <a:b>\r\nFrom: <a:b>\r\n\r\n\r\n",
        CpimFault::Repeated,
    );
    check_fault(b"Require: x\r\nRequire: y\r\n\r\n\r\n", CpimFault::Repeated);
    check_fault(b"From: <a:b>\nTo: <c:d>\r\n\r\n\r\n", CpimFault::Control);
    check_fault(&b"a: b\r\n".repeat(LINES_MAX + 1), CpimFault::TooManyLines);
    let limit_bytes = HEAD_BYTES_MAX;
    check_fault(
        &vec![b'x'; limit_bytes + 1],
        CpimFault::TooLong { limit_bytes },
    );
}

// MSRP-CPIM-002
#[test]
fn names_count_with_their_case() {
    let (head, _) = head_of(b"from: <a:b>\r\nFrom:<c:d>\r\n\r\n\r\n");
    assert_eq!(head.from.expect("From").uri, b"c:d");
}

#[test]
fn headers_that_only_lack_their_blank_line_are_complete_at_the_end() {
    let text = b"From: <a:b>\r\n\r\nContent-Type: text/plain\r\n";
    let mut scanner = Scanner::default();
    assert_eq!(scanner.next(text), Ok(Step::More));
    let head = Head::parse(scanner.finish().expect("complete")).expect("no fault");
    assert_eq!(head.content_type, Some(&b"text/plain"[..]));
}

// MSRP-CPIM-007
#[test]
fn escapes_are_resolved() {
    #[track_caller]
    fn check(written: &str, meant: &str) {
        let value = unescape(written.as_bytes());
        assert_eq!(String::from_utf8_lossy(&value), meant);
    }
    check("plain", "plain");
    check(r"a\u0041\q\\", r"aAq\");
    check(r"\b\t\n\r\'", "\u{8}\t\n\r'");
    check(r#"\"x\""#, "\"x\"");
    check(r"\u00e9\uD800\u12", "\u{e9}uD800u12");
    check("end\\", "end");
}

/// A slow, obvious reader: lines of the whole text.
fn model(text: &[u8], limit_bytes: usize) -> Option<Result<usize, CpimFault>> {
    let (mut at, mut lines, mut is_in_part, mut has_type) = (0, 0, false, false);
    loop {
        let window = &text[at..text.len().min(limit_bytes).max(at)];
        let Some(end) = window.windows(2).position(|w| w == b"\r\n") else {
            let is_over = text.len() > limit_bytes;
            return is_over.then_some(Err(CpimFault::TooLong { limit_bytes }));
        };
        let line = String::from_utf8_lossy(&window[..end]).to_lowercase();
        at += end + 2;
        lines += 1;
        if lines > LINES_MAX {
            return Some(Err(CpimFault::TooManyLines));
        }
        if line.is_empty() && (is_in_part || has_type) {
            return Some(Ok(at));
        }
        is_in_part |= line.is_empty();
        has_type |= line.starts_with("content-type:");
    }
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => Just(&b"\r\n"[..]),
        2 => Just(&b"From: <a:b>\r\n"[..]),
        2 => Just(&b"To: <c:d>\r\n"[..]),
        2 => Just(&b"Content-Type: text/plain\r\n"[..]),
        1 => Just(&b"content-type:x\r\n"[..]),
        1 => Just(&b"\r"[..]),
        1 => Just(&b"\n"[..]),
        1 => Just(&b" \x00\xff:"[..]),
        1 => Just(&b"a line that is rather long and means nothing at all"[..]),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn the_head_is_found_however_the_octets_are_cut(
        text in text(), cuts in proptest::collection::vec(1..30_usize, 1..40), limit_bytes in 1..400_usize,
    ) {
        let expected = model(&text, limit_bytes);
        for cuts in [vec![text.len().max(1)], vec![1], cuts] {
            prop_assert_eq!(crate::fuzzing::scan_cpim(&text, &cuts, limit_bytes), expected);
        }
    }

    #[test]
    fn the_body_of_the_fuzz_target_holds(limit in any::<u8>(), cut in any::<u8>(), text in text()) {
        crate::fuzzing::cpim(&[&[limit, cut], text.as_slice()].concat());
    }
}
