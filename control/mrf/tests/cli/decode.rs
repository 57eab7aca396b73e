//! `mrf decode`.

use crate::program::finish;

#[track_caller]
fn check(args: &[&str], input: &[u8], code: i32, stdout: &str, stderr: &str) {
    let mut all = vec!["decode"];
    all.extend(args);
    let done = finish(&all, input);
    assert_eq!(
        (&*done.stdout, &*done.stderr, done.code),
        (stdout, stderr, Some(code))
    );
}

#[test]
fn h248_is_printed_long_or_short() {
    let long = b"MEGACO/2 [127.0.0.1]:2944 Transaction = 1 { Context = 7 { Subtract = ip/1 } }";
    let short = "!/2 [127.0.0.1]:2944\nT=1{C=7{S=ip/1}}\n";
    check(&["h248", "--compact"], long, 0, short, "");
    let printed = finish(&["decode", "h248", "-"], short.as_bytes());
    assert!(
        printed.stdout.starts_with("MEGACO/2 [127.0.0.1]:2944\n"),
        "{printed:?}"
    );
    check(
        &["h248", "--compact"],
        printed.stdout.as_bytes(),
        0,
        short,
        "",
    );
}

#[test]
fn bad_h248_is_told_with_its_place() {
    let bad = b"MEGACO/2 [127.0.0.1]:2944\nTransaction = 1 { Context = 7 { Subtract } }";
    check(&["h248"], bad, 1, "", "2:42: expected \"=\", found \"}\"\n");
}

#[test]
fn msrp_is_printed_frame_by_frame() {
    let frame = b"MSRP a97ghjut 200 OK\r\nTo-path:msrp://[5555::1]:2855/s111271;tcp\r\n\
        From-path:msrp://[9999::1]:2855/s317122;tcp\r\n-------a97ghjut$\r\n";
    let printed = "frame 1 (line 1)\n  MSRP a97ghjut 200 OK\n  \
        To-Path: msrp://[5555::1]:2855/s111271;tcp\n  \
        From-Path: msrp://[9999::1]:2855/s317122;tcp\n  end   $\n";
    check(&["msrp"], frame, 0, printed, "");
    check(
        &["msrp"],
        &frame[..frame.len() - 3],
        1,
        "",
        "4:16: expected the rest of a head, found the end\n",
    );
    check(
        &["msrp", "-"],
        b"MSRP a97ghjut SEND\r\nTo-Path: msrp://h;tcp\r\n",
        1,
        "",
        "3:1: expected the rest of a head, found the end\n",
    );
}

#[test]
fn sdp_is_explained_or_told_with_its_place() {
    let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
        m=message 2855 TCP/MSRP *\r\na=path:msrp://127.0.0.1:2855/s1;tcp\r\n";
    let done = finish(&["decode", "sdp"], sdp.as_bytes());
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(
        done.stdout.contains("connect to   127.0.0.1:2855"),
        "{}",
        done.stdout
    );
    let bad = sdp.replace("2855 TCP", "x TCP");
    let done = finish(&["decode", "sdp"], bad.as_bytes());
    assert_eq!(
        (done.code, &*done.stderr),
        (Some(1), "6:11: expected PORT, found \"x\"\n")
    );
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let done = finish(&["decode", "sdp", "/nonexistent"], b"");
    assert_eq!(done.code, Some(1));
    assert!(
        done.stderr.starts_with("mrf: /nonexistent: No such file"),
        "{}",
        done.stderr
    );
}
