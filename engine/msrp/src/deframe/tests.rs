use proptest::prelude::*;

use super::*;
use crate::fuzzing::{Frame, Trace, trace};

const TWO_CHUNKS: &str = "MSRP t1t1 SEND\r\nTo-Path: msrp://a:1/x;tcp\r\n\
    From-Path: msrp://b:2/y;tcp\r\nMessage-ID: m1m1\r\nByte-Range: 1-9/*\r\n\
    Content-Type: text/plain\r\n\r\nab\r\n---\r\n\r\n-------t1t1+\r\n\
    MSRP t1t1+ SEND\r\nTo-Path: msrp://a:1/x;tcp\r\nFrom-Path: msrp://b:2/y;tcp\r\n\
    Message-ID: m1m1\r\nByte-Range: 10-12/12\r\nContent-Type: text/plain\r\n\r\n\
    \r\n-\r\n-------t1t1+$\r\n";

fn send(body: &str) -> String {
    format!(
        "MSRP t1t1 SEND\r\nTo-Path: msrp://a:1/x;tcp\r\nFrom-Path: msrp://b:2/y;tcp\r\n\
         Message-ID: m1m1\r\n{body}"
    )
}

fn whole(text: &str) -> Trace {
    trace(Limits::default(), [text.as_bytes()])
}

#[track_caller]
fn check_every_cut_in_three(text: &str) {
    let text = text.as_bytes();
    let expected = trace(Limits::default(), [text]);
    for i in 0..=text.len() {
        for j in i..=text.len() {
            let parts = [&text[..i], &text[i..j], &text[j..]];
            assert_eq!(
                trace(Limits::default(), parts),
                expected,
                "cut at {i} and {j}"
            );
        }
    }
    assert_eq!(
        trace(Limits::default(), text.chunks(1)),
        expected,
        "octet by octet"
    );
}

// MSRP-FRAME-015, MSRP-FRAME-012.
#[test]
fn two_chunks_come_out_the_same_however_they_are_cut() {
    let trace = whole(TWO_CHUNKS);
    let bodies: Vec<_> = trace
        .frames
        .iter()
        .map(|f| f.body.escape_ascii().to_string())
        .collect();
    assert_eq!(bodies, ["ab\\r\\n---\\r\\n", "\\r\\n-"]);
    assert!(trace.is_idle && trace.fatal.is_none());
    check_every_cut_in_three(TWO_CHUNKS);
}

// MSRP-FRAME-021, MSRP-FRAME-022, MSRP-FRAME-009.
#[test]
fn frames_without_body_come_out_the_same_however_they_are_cut() {
    let text = format!(
        "\r\n{}\r\n\r\nMSRP r1r1 200 OK\r\nTo-Path: x\r\nFrom-Path: y\r\n-------r1r1$\r\n\r\n{}",
        send("\r\n-------t1t1$\r\n"),
        send("-------t1t1#\r\n")
    );
    let trace = whole(&text);
    let ends: Vec<_> = trace.frames.iter().map(|frame| frame.end).collect();
    let end = |flag| Some((flag, None));
    assert_eq!(
        ends,
        [end(Flag::Complete), end(Flag::Complete), end(Flag::Abort)]
    );
    assert!(
        trace
            .frames
            .iter()
            .all(|frame| frame.head.contains("has_body: false, fault: None"))
    );
    check_every_cut_in_three(&text);
}

// MSRP-FRAME-006, MSRP-FRAME-012.
#[test]
fn bodies_full_of_false_ends_come_out_the_same_however_they_are_cut() {
    check_every_cut_in_three(&send(
        "Content-Type: a/b\r\n\r\n-------t1\r\n-------t1t1\r\n\
         -------t1t1+$\r\n\r\n\r\r\n------t1t1$\r\n\r\n-------t1t1$\r\n",
    ));
    check_every_cut_in_three(&send("\r\n-------t1t1x\r\n-------t1t1$\r\n"));
    check_every_cut_in_three(&send("Content-Type: a/b\r\n\r\n-------t1t1$\r\n"));
}

// MSRP-FRAME-016, MSRP-FRAME-017, MSRP-SEC-006.
#[test]
fn fatal_octets_are_fatal_however_they_are_cut() {
    check_every_cut_in_three("MSRP t1t1 SEND\nTo-Path: x\r\n");
    check_every_cut_in_three("\r\nmsrp t1t1 SEND\r\n");
    check_every_cut_in_three("\rMSRP t1t1 SEND\r\n");
    check_every_cut_in_three(&send(
        "Content-Type: a/b\r\n\r\nab -------t1t1$\r\n\r\n-------t1t1$",
    ));
    check_every_cut_in_three(&send("Content-Type: a/b\r\n\r\n\r\n--------t1t1$\r\n"));
}

#[track_caller]
fn check_fatal(limits: Limits, text: &str, expected: Fatal) {
    for step in [1, 2, 7, text.len()] {
        let trace = trace(limits, text.as_bytes().chunks(step));
        assert_eq!(trace.fatal, Some(expected), "in steps of {step}");
    }
}

// MSRP-FRAME-018, MSRP-SEC-005.
#[test]
fn each_limit_ends_the_connection_just_past_it() {
    let limits = Limits {
        start_line_bytes_max: 14,
        head_bytes_max: 59,
        headers_max: 3,
        path_uris_max: 2,
        ..Limits::default()
    };
    let head = "MSRP t1t1 SEND\r\nTo-Path: a\r\nFrom-Path: b\r\n"; // 42 octets
    let at_limit = format!("{head}Message-ID: abc\r\n-------t1t1$\r\n");
    assert_eq!(trace(limits, [at_limit.as_bytes()]).fatal, None);
    assert_eq!(trace(limits, at_limit.as_bytes().chunks(1)).fatal, None);
    let too_long = Fatal::HeadTooLong { limit_bytes: 59 };
    check_fatal(limits, &format!("{head}Message-ID: abcd\r\n"), too_long);
    check_fatal(
        limits,
        &format!("{head}Message-ID: {}", "a".repeat(50)),
        too_long,
    );
    let start = Fatal::StartLineTooLong { limit_bytes: 14 };
    check_fatal(limits, "MSRP t1t1 SENDX\r\n", start);
    check_fatal(limits, "MSRP t1t1 SENDXXXX", start);
    check_fatal(
        limits,
        &format!("{head}a:\r\nb:\r\n"),
        Fatal::TooManyHeaders { limit: 3 },
    );
    let path = "MSRP t1t1 SEND\r\nTo-Path: a b c\r\nFrom-Path: b\r\n-------t1t1$\r\n";
    check_fatal(limits, path, Fatal::PathTooLong { limit_uris: 2 });
}

// MSRP-FRAME-014, MSRP-ERR-003.
#[test]
fn an_embedded_end_line_is_fatal_or_data_as_configured() {
    let text = send("Content-Type: a/b\r\n\r\nab -------t1t1$\r\ncd\r\n-------t1t1$\r\n");
    check_fatal(Limits::default(), &text, Fatal::EmbeddedEndLine);
    let limits = Limits {
        embedded_end_line_is_fatal: false,
        ..Limits::default()
    };
    for step in 1..=text.len() {
        let trace = trace(limits, text.as_bytes().chunks(step));
        assert_eq!(
            trace.frames[0].body, b"ab -------t1t1$\r\ncd",
            "in steps of {step}"
        );
    }
}

// MSRP-FRAME-019, MSRP-FRAME-020.
#[test]
fn flags_and_sizes_that_a_kind_must_not_have_are_told_at_the_end() {
    let report = "MSRP t1t1 REPORT\r\nTo-Path: msrp://a:1/x;tcp\r\nFrom-Path: msrp://b:2/y;tcp\r\n\
        Message-ID: m1m1\r\nStatus: 000 200 OK\r\n";
    let fault = |text: &str| {
        let frames: Vec<Frame> = whole(text).frames;
        frames[0].end.expect("the frame ends").1
    };
    let other = |body: usize, flag: char| {
        fault(&format!(
            "{report}Content-Type: a/b\r\n\r\n{}\r\n-------t1t1{flag}\r\n",
            "z".repeat(body)
        ))
    };
    assert_eq!(other(10_240, '$'), None);
    assert_eq!(other(10_241, '$'), Some(HeadFault::OtherBodyTooLarge));
    assert_eq!(other(1, '+'), Some(HeadFault::OtherFlag));
    assert_eq!(
        fault(&format!("{report}-------t1t1#\r\n")),
        Some(HeadFault::OtherFlag)
    );
    let response = "MSRP t1t1 200\r\nTo-Path: x\r\nFrom-Path: y\r\n-------t1t1+\r\n";
    assert_eq!(fault(response), Some(HeadFault::ResponseFlag));
}

#[test]
fn an_idle_deframer_is_small_and_keeps_no_heap() {
    assert!(
        size_of::<Deframer>() <= 168,
        "{} octets",
        size_of::<Deframer>()
    );
    let mut deframer = Deframer::default();
    for octet in TWO_CHUNKS.as_bytes() {
        let mut input = std::slice::from_ref(octet);
        loop {
            let step = deframer.next(input).expect("the text is valid");
            let (consumed, is_done) = (step.consumed, step.item.is_none());
            input = &input[consumed..];
            if is_done {
                break;
            }
        }
    }
    assert!(deframer.is_idle());
    assert_eq!(deframer.head.capacity(), 0);
}

#[test]
fn a_body_that_arrives_in_one_piece_is_not_copied() {
    let text = send(&format!(
        "Content-Type: a/b\r\n\r\n{}\r\n-------t1t1$\r\n",
        "x".repeat(5000)
    ));
    let mut deframer = Deframer::default();
    let head = deframer.next(text.as_bytes()).expect("valid").consumed;
    let rest = &text.as_bytes()[head..];
    let body = Step {
        consumed: rest.len(),
        item: Some(Item::Body(Body::Input(0..5000))),
    };
    assert_eq!(deframer.next(rest), Ok(body));
    let end = Step {
        consumed: 0,
        item: Some(Item::End(Flag::Complete)),
    };
    assert_eq!(deframer.next(b""), Ok(end));
}

/// Streams that look like MSRP more often than random octets do.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => Just("\r\n"), 2 => Just("-------t1t1"), 2 => Just("$\r\n"), 1 => Just("+"),
        2 => Just("MSRP t1t1 SEND\r\n"), 1 => Just("MSRP t1t1 200 OK\r\n"),
        2 => Just("To-Path: msrp://a:1/x;tcp\r\nFrom-Path: msrp://b:2/y;tcp\r\n"),
        2 => Just("Content-Type: a/b\r\n\r\n"), 1 => Just("-"), 1 => Just("\r"), 1 => Just("\n"),
        1 => Just("X: y\r\n"), 1 => Just("data"),
    ];
    (any::<u8>(), proptest::collection::vec(piece, 0..40))
        .prop_map(|(choice, pieces)| [&[choice][..], pieces.concat().as_bytes()].concat())
}

fn framed() -> impl Strategy<Value = Vec<u8>> {
    let body = prop_oneof![
        Just("\r\n"),
        Just("-------t1t1"),
        Just("-------t1t"),
        Just("$"),
        Just("+"),
        Just("-"),
        Just("\r"),
        Just("\n"),
        Just("x"),
        Just("\r\n-------t1t1"),
        Just("\r\n-------t1t1$\r\n"),
    ];
    (any::<u8>(), proptest::collection::vec(body, 0..20)).prop_map(|(choice, body)| {
        let text = send(&format!("Content-Type: a/b\r\n\r\n{}", body.concat()));
        [&[choice][..], text.as_bytes(), b"\r\n-------t1t1$\r\n"].concat()
    })
}

proptest! {
    #[test]
    fn any_stream_comes_out_the_same_however_it_is_cut(data in stream()) {
        crate::fuzzing::deframe(&data);
    }

    #[test]
    fn any_body_comes_out_the_same_however_it_is_cut(data in framed()) {
        crate::fuzzing::deframe(&data);
    }

    #[test]
    fn random_octets_never_panic(data in proptest::collection::vec(any::<u8>(), 0..200)) {
        crate::fuzzing::deframe(&data);
    }

    // MSRP-FRAME-011.
    #[test]
    fn random_octets_in_a_body_come_out_unchanged(
        body in proptest::collection::vec(any::<u8>(), 0..300), step in 1_usize..64,
    ) {
        let mut text = send("Content-Type: a/b\r\n\r\n").into_bytes();
        text.extend_from_slice(&body);
        text.extend_from_slice(b"\r\n-------t1t1$\r\n");
        let trace = trace(Limits::default(), text.chunks(step));
        prop_assert_eq!(&trace.frames[0].body, &body);
    }
}
