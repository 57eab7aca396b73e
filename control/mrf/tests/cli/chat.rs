//! `mrf chat`.

use crate::program::{Program, Server, finish};

fn chat(server: &Server, name: &str) -> Program {
    let uri = format!("sip:lobby@{}", server.get("sip.udp"));
    let program = Program::start(&["chat", &uri, "--name", name]);
    program.said("; /quit leaves");
    program
}

#[test]
fn two_people_talk_and_see_who_speaks() {
    let server = Server::run();
    let mut ann = chat(&server, "ann");
    ann.said("* here: ann");
    let mut bob = chat(&server, "bob");
    bob.said("* here: ann, bob");
    ann.said("* bob joined");
    bob.type_line("hello ann");
    assert_eq!(ann.line(), "bob: hello ann");
    ann.type_line("hello bob, \u{e4}\u{f6}\u{fc}");
    assert_eq!(bob.line(), "ann: hello bob, \u{e4}\u{f6}\u{fc}");
    assert!(
        server
            .http("/api/v1/conferences")
            .1
            .contains("\"name\":\"lobby\"")
    );
    ann.type_line("/quit");
    assert_eq!(ann.wait().code(), Some(0));
    bob.end_input();
    assert_eq!(bob.wait().code(), Some(0));
    assert!(ann.is_silent_to_the_end() && bob.is_silent_to_the_end());
}

#[test]
fn a_long_line_arrives_whole() {
    let server = Server::run();
    let ann = chat(&server, "ann");
    let text = "x".repeat(30_000);
    let uri = format!("sip:lobby@{};transport=tcp", server.get("sip.tcp"));
    let done = finish(&["chat", &uri, "--name", "bob"], text.as_bytes());
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(ann.line(), format!("bob: {text}"));
}

#[test]
fn what_is_too_long_is_not_sent_and_told() {
    let server = Server::run();
    let uri = format!("sip:lobby@{}", server.get("sip.udp"));
    let text = "x".repeat(40_000);
    let done = finish(&["chat", &uri, "--name", "bob"], text.as_bytes());
    assert_eq!(done.code, Some(1));
    assert!(done.stderr.contains("not sent: 40"), "{}", done.stderr);
}

#[test]
fn the_conference_can_end_the_call() {
    let mut server = Server::run();
    let mut ann = chat(&server, "ann");
    server.program.signal("TERM");
    ann.said("the conference ended the call");
    assert_eq!(ann.wait().code(), Some(0));
    assert_eq!(server.program.wait().code(), Some(0));
}

#[test]
fn a_call_that_is_refused_is_told() {
    let mrfc = Server::start(&[
        "mrfc",
        "--sip",
        "udp:127.0.0.1:0",
        "--h248",
        "udp:127.0.0.1:0",
        "--http",
        "off",
    ]);
    let uri = format!("sip:nobody@{}", mrfc.get("sip.udp"));
    let done = finish(&["chat", &uri, "--name", "ann"], b"");
    assert_eq!(done.code, Some(1));
    assert!(
        done.stderr.contains("refused the call: 404"),
        "{}",
        done.stderr
    );
}
