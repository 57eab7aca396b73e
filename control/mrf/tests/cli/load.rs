//! `mrf load`.

use std::path::Path;

use crate::program::{FREE_PORTS, Program, Server, finish};

/// Short, and over when everything has arrived.
const FEW: [&str; 10] = [
    "load",
    "--conferences",
    "2",
    "--participants",
    "3",
    "--messages",
    "20",
    "--warmup",
    "0s",
    "--json",
];

fn run(arguments: &[&str]) -> serde_json::Value {
    let done = finish(&[&FEW[..], &["-"], arguments].concat(), b"");
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stdout.contains("0 lost, 0 duplicated, 0 out of order"));
    let json = &done.stdout[done.stdout.find("\n{\n").expect("a summary")..];
    serde_json::from_str(json).unwrap()
}

#[track_caller]
fn expect_all(summary: &serde_json::Value, via: &str) {
    assert_eq!(summary["via"], via);
    assert_eq!(summary["counts"]["sent"], 2 * 20);
    assert_eq!(summary["counts"]["delivered"], 2 * 20 * 2);
    assert!(summary["latency"]["p99_us"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_system_of_its_own_is_loaded_by_h248_and_by_sip() {
    expect_all(&run(&["--via", "h248", "--reactor", "mio"]), "h248");
    // More than a conference takes by default.
    expect_all(&run(&["--via", "sip", "--size", "50k"]), "sip");
}

#[test]
fn participants_speak_tls_and_websocket_and_come_and_go() {
    expect_all(&run(&["--transport", "tls"]), "h248");
    let paced = ["--rate", "400", "--churn", "50"];
    let summary = run(&[&paced[..], &["--transport", "wss"]].concat());
    assert_eq!(summary["transport"], "wss");
    let summaries = [summary, run(&[&paced[..], &["--via", "sip"]].concat())];
    for summary in summaries {
        let counts = &summary["counts"];
        assert_eq!(counts["sent"], 2 * 20);
        let [leaves, joins, unbound] =
            ["leaves", "joins", "unbound"].map(|name| counts[name].as_u64().unwrap());
        assert!(joins > 0 && leaves == joins + unbound, "{counts}");
    }
}

#[test]
fn a_running_system_is_loaded() {
    let server = Server::run();
    let uri = format!("sip:busy@{};transport=tcp", server.get("sip.tcp"));
    expect_all(&run(&["--via", "sip", "--target", &uri]), "sip");
}

#[test]
fn callers_come_by_websocket_and_speak_tls_and_websocket() {
    for transport in ["tls", "ws", "wss"] {
        expect_all(&run(&["--via", "sip", "--transport", transport]), "sip");
    }
    let web = ["--sip", "ws:127.0.0.1:0"];
    let server = Server::start(&[&["run"], &FREE_PORTS[..], &web].concat());
    let uri = format!("sip:busy@{};transport=ws", server.get("sip.ws"));
    expect_all(&run(&["--via", "sip", "--target", &uri]), "sip");
}

#[test]
fn an_interrupted_run_is_summed_up_and_leaves_nothing_behind() {
    let endless = [
        "load",
        "--duration",
        "1h",
        "--warmup",
        "0s",
        "--rate",
        "100",
    ];
    for signal in ["TERM", "INT"] {
        let mut load = Program::start(&endless);
        assert!(load.line().contains("delivered/s"));
        // It flows.
        load.line();
        let own = load.children();
        assert_eq!(own.len(), 1, "a system of its own");
        load.signal(signal);
        assert_eq!(load.wait().code(), Some(1));
        assert!(!Path::new(&format!("/proc/{}", own[0])).exists());
        let said = load.rest().join("\n");
        for words in [": 0 lost", "interrupted: the run ended before its time"] {
            assert!(said.contains(words), "{said}");
        }
    }
    let mut load = Program::start(&[&endless[..], &["--h248", "tcp:127.0.0.1:0"]].concat());
    load.said("waiting for an MRFP");
    load.signal("INT");
    assert_eq!(load.wait().code(), Some(1));
    load.said("interrupted before any message was sent");
}

#[test]
fn what_cannot_be_loaded_is_said() {
    for (arguments, words) in [
        (
            &["load", "--participants", "1"][..],
            "--participants must be at least 2",
        ),
        (&["load", "--size", "2G"], "--size must be"),
        (&["load", "--via", "relay"], "--via relay needs --target"),
        (&["load", "--churn", "5"], "--churn needs a --rate"),
        (&["load", "--rate", "-5"], "expected messages per second"),
        (&["load", "--duration", "0s"], "--duration must be"),
        (&["load", "--idle", "9", "--via", "sip"], "--idle needs"),
        (&["load", "--reactor", "xdp"], "needs a network interface"),
        (
            &[
                "load",
                "--via",
                "relay",
                "--target",
                "127.0.0.1:9",
                "--transport",
                "ws",
            ],
            "--transport needs --via h248",
        ),
    ] {
        let done = finish(arguments, b"");
        assert_eq!(done.code, Some(2), "{done:?}");
        assert!(done.stderr.contains(words), "{}", done.stderr);
    }
    assert_eq!(finish(&["load", "--rate", "fast"], b"").code, Some(2));
}
