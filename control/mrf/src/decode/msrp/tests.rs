use super::*;

const SEED: &str = "MSRP a97ghjut SEND\r\n\
    To-path:msrp://[9999::ccc:aaa:bbb:ddd]:2855/s317122;tcp\r\n\
    From-path:msrp://[5555::aaa:bbb:ccc:ddd]:2855/s111271;tcp\r\n\
    Message-ID: 9972\r\n\
    Byte-Range: 1-77/77\r\n\
    Content-Type: \"text/plain\"\r\n\r\n\
    those are my principles. If you don't like them I have others - Groucho Marx.\r\n\
    -------a97ghjut$\r\n";

#[track_caller]
fn faults(input: &str, expected: &[&str]) {
    let decoded = decode(input.as_bytes());
    let got: Vec<_> = decoded.faults.iter().map(ToString::to_string).collect();
    assert_eq!(got, expected, "{}", decoded.text);
}

#[test]
fn the_seed_message_is_shown_in_canonical_form() {
    let decoded = decode(SEED.as_bytes());
    assert_eq!(decoded.faults, []);
    assert_eq!(
        decoded.text,
        "frame 1 (line 1)\n\
         \x20 MSRP a97ghjut SEND\n\
         \x20 To-Path: msrp://[9999::ccc:aaa:bbb:ddd]:2855/s317122;tcp\n\
         \x20 From-Path: msrp://[5555::aaa:bbb:ccc:ddd]:2855/s111271;tcp\n\
         \x20 Message-ID: 9972\n\
         \x20 Byte-Range: 1-77/77\n\
         \x20 Content-Type: text/plain\n\
         \x20 body  77 octets\n\
         \x20     | those are my principles. If you don't like them I have others - Groucho Marx.\n\
         \x20 end   $  the last chunk\n\
         \x20 range octets 1 to 77 of 77, the whole message\n"
    );
}

#[test]
fn several_frames_are_numbered_and_responses_shown() {
    let response = "MSRP a97ghjut 200 OK\r\nTo-Path: msrp://a:1/x;tcp\r\n\
        From-Path: msrp://b:1/y;tcp\r\n-------a97ghjut$\r\n";
    let decoded = decode(format!("{SEED}\r\n{response}").as_bytes());
    assert_eq!(decoded.faults, []);
    assert!(
        decoded
            .text
            .contains("\nframe 2 (line 11)\n  MSRP a97ghjut 200 OK\n"),
        "{}",
        decoded.text
    );
    assert!(decoded.text.ends_with("  end   $\n"), "{}", decoded.text);
}

#[test]
fn binary_bodies_are_shown_in_hex_and_long_ones_cut() {
    let body = "\u{1}".repeat(300);
    let frame = format!(
        "MSRP abcd SEND\r\nTo-Path: msrp://a:1/x;tcp\r\nFrom-Path: msrp://b:1/y;tcp\r\n\
         Message-ID: 12345\r\nByte-Range: 1-9/*\r\nContent-Type: a/b\r\n\r\n{body}\r\n-------abcd+\r\n"
    );
    let decoded = decode(frame.as_bytes());
    assert!(
        decoded.text.contains("      0000  01 01"),
        "{}",
        decoded.text
    );
    assert!(
        decoded.text.contains("... 44 more octets"),
        "{}",
        decoded.text
    );
    assert!(
        decoded.text.contains("more chunks follow"),
        "{}",
        decoded.text
    );
    assert!(
        decoded
            .text
            .contains("range claims 9 octets, the body has 300"),
        "{}",
        decoded.text
    );
}

#[test]
fn faults_are_told_where_they_lie() {
    faults(
        "",
        &["1:1: expected a frame that begins with \"MSRP \", found nothing"],
    );
    faults(
        "HTTP/1.1 200 OK\r\n",
        &["1:1: expected \"MSRP \" at the start of a frame, found \"HTTP/1.1 200 OK\""],
    );
    faults(
        "MSRP ab SEND\r\n",
        &["1:6: expected a transaction id of 4 to 32 characters, found \"ab SEND\""],
    );
    faults(
        "MSRP abcd Send\r\n",
        &["1:11: expected a method in capitals, or a code of three digits, found \"Send\""],
    );
    faults(
        "MSRP abcd SEND\nTo-Path: x\n",
        &["1:15: expected CRLF at the end of the line, found LF alone"],
    );
    faults(
        &SEED.replace("9972", "9 72"),
        &["4:13: expected a Message-ID of 4 to 32 characters"],
    );
    faults(
        &SEED.replace("1-77/77", "0-77/77"),
        &["5:13: expected START-END/TOTAL, but Byte-Range starts at 0, but the first octet is 1"],
    );
    faults(
        &SEED.replace("/s317122;tcp", "/s317122"),
        &[
            "2:9: expected msrp://HOST:PORT/SESSION;tcp, but the URI's transport parameter is missing \
           or malformed",
        ],
    );
}

#[test]
fn what_head_and_end_line_both_show_is_told_once() {
    faults(
        "MSRP abcd 200 OK\r\nTo-Path: msrp://a:1/x;tcp\r\nFrom-Path: msrp://b:1/y;tcp\r\n\
         -------abcd+\r\n",
        &["1:1: expected a response that ends in $"],
    );
}

#[test]
fn a_line_feed_alone_in_a_head_is_found() {
    faults(
        &SEED.replace("Message-ID: 9972\r\n", "X-Note: a\nMessage-ID: 9972\r\n"),
        &["4:1: expected a value without control characters"],
    );
}

#[test]
fn a_frame_cut_off_is_told_at_the_end() {
    let cut = &SEED[..SEED.len() - 5];
    faults(
        cut,
        &["9:14: expected the end-line -------a97ghjut$, found the end"],
    );
    let cut = &SEED[..30];
    faults(cut, &["2:11: expected the rest of a head, found the end"]);
}
