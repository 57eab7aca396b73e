//! `mrf chat`.

use std::collections::BTreeSet;

use crate::program::{FREE_PORTS, Program, Server, finish};

fn chat(server: &Server, name: &str) -> Program {
    let uri = format!("sip:lobby@{}", server.get("sip.udp"));
    let program = Program::start(&["chat", &uri, "--name", name]);
    program.said("; /quit leaves");
    program
}

/// The sum of the samples that begin so.
fn sum_of(server: &Server, start: &str) -> u64 {
    let metrics = server.http("/metrics").1;
    let of = |line: &str| {
        line.starts_with(start)
            .then(|| line.rsplit(' ').next()?.parse::<u64>().ok())
    };
    metrics.lines().filter_map(|line| of(line).flatten()).sum()
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
    // Two that were said; one copy of each. Without a body nobody gets anything.
    for (name, least) in [
        ("messages_received", 2),
        ("messages_sent", 2),
        ("received_bytes", 300),
        ("sent_bytes", 300),
    ] {
        let total = sum_of(&server, &format!("mrf_shard_{name}_total{{"));
        assert!((least..10_000).contains(&total), "{name}: {total}");
    }
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

// RFC 4975 14, RFC 8122.
#[test]
fn msrp_goes_over_tls_when_asked_and_a_server_without_it_says_so() {
    let flags = [
        "run",
        "--sip",
        "udp:127.0.0.1:0",
        "--h248",
        "udp:127.0.0.1:0",
    ];
    let more = ["--http", "127.0.0.1:0", "--shards", "1", "--msrp"];
    let server = Server::start(&[&flags[..], &more, &["tls:127.0.0.1:0"]].concat());
    let uri = format!("sip:lobby@{}", server.get("sip.udp"));
    let mut ann = enter(&uri, "ann", &["--transport", "tls"]);
    let bob = enter(&uri, "bob", &["--transport", "tls"]);
    ann.type_line("in secret");
    assert_eq!(bob.line(), "ann: in secret");
    ann.end_input();
    assert_eq!(ann.wait().code(), Some(0));
    let plain = finish(&["chat", &uri, "--name", "eve"], b"");
    assert_eq!(plain.code, Some(1));
    let server = Server::run();
    let uri = format!("sip:lobby@{}", server.get("sip.udp"));
    let done = finish(&["chat", &uri, "--name", "eve", "--transport", "tls"], b"");
    assert_eq!(done.code, Some(1));
    let expected = format!("{uri} refused the call: 488");
    assert!(done.stderr.contains(&expected), "{}", done.stderr);
}

/// `mrf run` with a chat room, and what `mrf chat` takes to be in it.
fn room() -> (Server, String) {
    let rooms = "[[conference]]\nname = \"room\"\nprofile = \"chatroom\"\n";
    let file = crate::config::file("room.toml", rooms);
    let mut args = vec!["run", "--config", &file];
    args.extend(FREE_PORTS);
    let server = Server::start(&args);
    let uri = format!("sip:room@{}", server.get("sip.udp"));
    (server, uri)
}

fn enter(uri: &str, name: &str, more: &[&str]) -> Program {
    let args = [&["chat", uri, "--name", name][..], more].concat();
    let program = Program::start(&args);
    program.said("; /quit leaves");
    program
}

#[test]
fn in_a_chat_room_people_whisper_and_choose_their_names() {
    let (_server, uri) = room();
    let mut ann = enter(&uri, "ann", &[]);
    ann.said("* here: ann");
    let mut bob = enter(&uri, "bob", &[]);
    bob.said("* here: ann, bob");
    let carol = enter(&uri, "carol", &[]);
    ann.said("* carol joined");
    ann.type_line("/msg bob only you");
    assert_eq!(bob.line(), "ann (to you alone): only you");
    ann.type_line("for all");
    // The first that carol hears.
    assert_eq!(
        (bob.line(), carol.line()),
        ("ann: for all".to_owned(), "ann: for all".to_owned())
    );
    bob.type_line("/nick The Great");
    ann.said("* bob is now The Great");
    ann.type_line("/msg \"The Great\" oh");
    assert_eq!(bob.line(), "ann (to you alone): oh");
    ann.type_line("/who");
    ann.said("* here: ann, The Great, carol");
    ann.type_line("/nick The Great");
    ann.said("nickname not granted: 425");
    ann.type_line("/msg dave hello");
    ann.said("not sent: nobody, or more than one, is called dave");
    ann.end_input();
    assert_eq!(ann.wait().code(), Some(1), "two things failed");
}

#[test]
fn a_file_arrives_under_a_name_that_leads_nowhere() {
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("saved");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir(&directory).unwrap();
    let (_server, uri) = room();
    let directory = directory.to_str().unwrap();
    let ann = enter(&uri, "ann", &["--save", directory]);
    let mut bob = enter(&uri, "bob", &[]);
    let file = crate::config::file("logo.png", "\u{1}\r\n-------x$\r\n\u{2}");
    for saved in ["logo.png", "1-logo.png"] {
        bob.type_line(&format!("/file {file}"));
        let path = format!("{directory}/{saved}");
        let told = format!("bob: [logo.png, image/png, 15 octets, saved as {path}]");
        assert_eq!(ann.line(), told);
        assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(&file).unwrap());
    }
    bob.type_line("/file /none");
    bob.said("not sent: /none: No such file");
}

#[test]
fn who_is_interrupted_takes_leave() {
    let (_server, uri) = room();
    let ann = enter(&uri, "ann", &[]);
    let mut bob = enter(&uri, "bob", &[]);
    ann.said("* bob joined");
    bob.signal("INT");
    assert_eq!(bob.wait().code(), Some(0));
    ann.said("* bob left");
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
fn a_server_that_vanishes_ends_the_chat() {
    let server = Server::run();
    let mut ann = chat(&server, "ann");
    server.program.signal("KILL");
    ann.said("the MSRP connection is gone");
    assert_eq!(ann.wait().code(), Some(1));
}

#[test]
fn what_can_be_no_conference_and_no_name_is_a_usage_fault() {
    for (args, expected) in [
        (
            &["chat", "room@127.0.0.1"][..],
            "did you mean sip:room@127.0.0.1?",
        ),
        (&["chat", "127.0.0.1:5060"], "expected sip:NAME@HOST"),
        (&["chat", "tel:+1"], "expected sip:NAME@HOST"),
        (
            &["chat", "sip:a@127.0.0.1", "--name", "a b"],
            "expected letters, digits",
        ),
    ] {
        let done = finish(args, b"");
        assert_eq!(done.code, Some(2), "{done:?}");
        assert!(done.stderr.contains(expected), "{done:?}");
    }
}

#[test]
fn where_nobody_listens_is_told() {
    // Held, and not listened on: nobody else gets it meanwhile.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let addr = held.local_addr().unwrap();
    let uri = format!("sip:lobby@{addr};transport=tcp");
    let done = finish(&["chat", &uri, "--name", "ann"], b"");
    assert_eq!(done.code, Some(1), "{done:?}");
    let expected = format!("mrf: {uri} cannot be reached by tcp:{addr}: no connection\n");
    assert!(done.stderr.ends_with(&expected), "{done:?}");
    assert!(done.stderr.contains("Connection refused"), "{done:?}");
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

// MSRP-SEC-001.
#[test]
fn session_ids_are_logged_only_with_the_messages_asked_for() {
    const WIRE: &str = "h248_endpoint::wire";
    // JSON: one line for each record.
    let mut args = vec!["run", "--log-format", "json"];
    args.extend(FREE_PORTS);
    let level = format!("trace,{WIRE}=trace");
    let mut server = Server::of(Program::start_with(&args, &[("RUST_LOG", &level)]));
    let mut ann = chat(&server, "ann");
    ann.type_line("nobody hears this");
    ann.type_line("/quit");
    assert_eq!(ann.wait().code(), Some(0));
    server.program.signal("TERM");
    assert_eq!(server.program.wait().code(), Some(0));

    let (wire, log): (Vec<_>, Vec<_>) = server
        .program
        .log()
        .into_iter()
        .partition(|line| line.contains(WIRE));
    let ids: BTreeSet<_> = wire.iter().flat_map(|line| session_ids(line)).collect();
    assert!(ids.len() >= 2, "ours and the participant's: {ids:?}");
    assert!(log.iter().any(|line| line.contains("DEBUG")));
    for line in &log {
        let leaked = ids.iter().find(|id| line.contains(*id));
        assert_eq!(leaked, None, "{line}");
    }
}

/// The session-ids of the MSRP URIs in a text, but for `$`.
fn session_ids(text: &str) -> impl Iterator<Item = &str> {
    let uris = text.split("msrp://").skip(1);
    let ids = uris.filter_map(|uri| uri.split_once('/')?.1.split_once(';'));
    ids.map(|(id, _)| id).filter(|id| *id != "$")
}
