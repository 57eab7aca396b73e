//! `mrf run`, `mrf mrfp`, `mrf mrfc`.

use crate::program::{FREE_PORTS, Program, Server, finish};
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};

#[test]
fn run_says_ready_once_with_the_keys_of_the_contract() {
    let mut server = Server::run();
    let keys = [
        "msrp", "h248.udp", "sip.udp", "sip.tcp", "http", "reactor", "shards",
    ];
    assert_eq!(server.keys(), keys);
    assert!(server.pairs.iter().all(|(_, value)| !value.ends_with(":0")));
    assert_ne!(server.get("reactor"), "auto");
    server.program.signal("TERM");
    assert!(server.program.is_silent_to_the_end());
    assert_eq!(server.program.wait().code(), Some(0));
}

#[test]
fn run_is_ready_when_it_says_so_and_serves_its_pages() {
    let server = Server::run();
    let ok = "HTTP/1.1 200 OK";
    assert_eq!(
        server.http("/readyz"),
        (ok.to_owned(), "ready\n".to_owned())
    );
    assert_eq!(server.http("/healthz").0, ok);
    let (status, metrics) = server.http("/metrics");
    assert_eq!(status, ok);
    for line in [
        "mrf_mrfp_registered 1",
        "mrf_mrfc_mrfps 1",
        "mrf_mrfc_participants 0",
        "mrf_mrfc_h248_latency_seconds_count 0",
    ] {
        assert!(metrics.lines().any(|l| l == line), "{line} in\n{metrics}");
    }
    let (status, json) = server.http("/api/v1/conferences");
    assert_eq!((&*status, &*json), (ok, "{\"conferences\":[]}"));
    assert!(server.http("/").1.contains("<b>ready</b>"));
    assert_eq!(server.http("/nothing").0, "HTTP/1.1 404 Not Found");
}

#[test]
fn pages_of_other_hosts_reach_nothing_on_loopback() {
    let server = Server::run();
    for path in ["/", "/metrics", "/healthz", "/api/v1/conferences"] {
        let (status, why) = server.http_with("GET", path, "Host: evil.example\r\n", "");
        assert_eq!(status, "HTTP/1.1 421 Misdirected Request", "{path}");
        assert!(why.contains("Host must be"), "{why}");
    }
    let make = "{\"name\":\"talk\"}";
    let all = "/api/v1/conferences";
    let origin = "Origin: http://evil.example\r\n";
    let (status, why) = server.http_with("POST", all, origin, make);
    assert_eq!(status, "HTTP/1.1 403 Forbidden");
    assert!(why.contains("another origin"), "{why}");
    let origin = format!("Origin: http://{}\r\n", server.get("http"));
    let (status, _) = server.http_with("POST", all, &origin, make);
    assert_eq!(status, "HTTP/1.1 201 Created");
}

#[test]
fn an_operator_works_with_the_api() {
    let mut asked = vec!["run", "--http-token", "secret"];
    asked.extend(FREE_PORTS);
    let server = Server::start(&asked);
    let all = "/api/v1/conferences";
    assert_eq!(server.http(all).0, "HTTP/1.1 401 Unauthorized");
    assert_eq!(server.http("/readyz").0, "HTTP/1.1 200 OK");
    let check = |method: &str, path: &str, body: &str, expected: &str, part: &str| {
        let token = "Authorization: Bearer secret\r\n";
        let (status, text) = server.http_with(method, &format!("{all}{path}"), token, body);
        let shown = format!("{method} {path} {body}: {status} {text}");
        assert_eq!(status.strip_prefix("HTTP/1.1 "), Some(expected), "{shown}");
        assert!(text.contains(part), "{shown}");
    };
    let talk = "{\"name\":\"talk\",\"subject\":\"Clubs\",\"max-participants\":3}";
    check("POST", "", talk, "201 Created", "\"max_participants\":3");
    check("POST", "", talk, "409 Conflict", "exists already");
    // Whose API it is learns from the page who takes part, and nobody else.
    let token = "Authorization: Bearer secret\r\n";
    let (status, page) = server.http_with("GET", "/", token, "");
    assert!(
        status.ends_with("200 OK") && page.contains("<td>talk"),
        "{page}"
    );
    let (status, page) = server.http("/");
    assert!(
        status.ends_with("200 OK") && !page.contains("talk"),
        "{page}"
    );
    check(
        "POST",
        "",
        "{\"nam\":1}",
        "422 Unprocessable Entity",
        "unknown field",
    );
    check("GET", "/talk", "", "200 OK", "\"subject\":\"Clubs\"");
    check("GET", "/nowhere", "", "404 Not Found", "no such conference");
    check("PATCH", "/talk", "{\"locked\":true}", "202 Accepted", "");
    check("GET", "/talk", "", "200 OK", "\"locked\":true");
    check("GET", "/talk/participants", "", "200 OK", "[]");
    let nobody = "no such participant";
    check("GET", "/talk/participants/7", "", "404 Not Found", nobody);
    let muted = "{\"muted\":true}";
    check(
        "PATCH",
        "/talk/participants/7",
        muted,
        "404 Not Found",
        nobody,
    );
    check(
        "DELETE",
        "/talk/participants/7",
        "",
        "404 Not Found",
        nobody,
    );
    let mail = "{\"uri\":\"mailto:a@b\"}";
    check(
        "POST",
        "/talk/participants",
        mail,
        "400 Bad Request",
        "sip:",
    );
    check("DELETE", "/talk", "", "202 Accepted", "");
    check("GET", "/talk", "", "404 Not Found", "no such conference");
}

#[test]
fn an_mrfp_registers_with_an_mrfc_in_another_process() {
    for transport in ["udp", "tcp"] {
        let h248 = format!("{transport}:127.0.0.1:0");
        let mrfc = Server::start(&[
            "mrfc",
            "--sip",
            "udp:127.0.0.1:0",
            "--h248",
            &h248,
            "--http",
            "127.0.0.1:0",
        ]);
        let key = format!("h248.{transport}");
        assert_eq!(mrfc.keys(), [&*key, "sip.udp", "http"]);
        let mgc = format!("{transport}:{}", mrfc.get(&key));
        let mrfp = Server::start(&[
            "mrfp",
            "--mgc",
            &mgc,
            "--msrp",
            "127.0.0.1:0",
            "--h248",
            &h248,
            "--http",
            "127.0.0.1:0",
            "--shards",
            "1",
        ]);
        assert_eq!(mrfp.keys(), ["msrp", &*key, "http", "reactor", "shards"]);
        assert_eq!(mrfp.get("shards"), "1");
        // Each answer is one round trip later than the last: this waits for the registration.
        while mrfp.http("/readyz").1 != "ready\n" || mrfc.http("/readyz").1 != "ready\n" {}
        assert_eq!(mrfp.http("/api/v1/conferences").0, "HTTP/1.1 404 Not Found");
    }
}

#[test]
fn both_reactors_serve() {
    for reactor in ["uring", "mio"] {
        let mut args = vec!["run", "--reactor", reactor, "--shards", "2"];
        args.extend(FREE_PORTS);
        let program = Program::start(&args);
        let server = Server::of(program);
        assert_eq!(
            (server.get("reactor"), server.get("shards")),
            (reactor, "2")
        );
    }
}

#[track_caller]
fn busy(args: &[&str], flag: &str, addr: &str) {
    let done = finish(args, b"");
    assert_eq!(done.code, Some(1), "{done:?}");
    assert_eq!(done.stdout, "");
    let start = format!("mrf: {flag} {addr}: ");
    let told = done.stderr.lines().any(|line| line.starts_with(&start));
    assert!(
        told && done.stderr.contains("another program listens there"),
        "{start}{done:?}"
    );
}

#[test]
fn a_busy_port_is_told_with_its_flag() {
    let holder = UdpSocket::bind("127.0.0.1:0").unwrap();
    let udp = format!("udp:{}", holder.local_addr().unwrap());
    let tcp_listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let tcp = tcp_listener.local_addr().unwrap().to_string();
    let (off, free) = (["--http", "off"], "udp:127.0.0.1:0");
    let mrfc = |sip: &str, h248: &str| {
        let args = ["mrfc", off[0], off[1], "--sip", sip, "--h248", h248];
        args.map(str::to_owned)
    };
    let args = mrfc(&udp, free);
    busy(&args.each_ref().map(|a| &**a), "--sip", &udp);
    let args = mrfc(free, &udp);
    busy(&args.each_ref().map(|a| &**a), "--h248", &udp);
    let free_msrp = ["mrfp", off[0], off[1], "--msrp", "127.0.0.1:0", "--h248"];
    busy(&[&free_msrp[..], &[&udp]].concat(), "--h248", &udp);
    busy(&["mrfp", off[0], off[1], "--msrp", &tcp], "--msrp", &tcp);
    busy(
        &["mrfp", "--http", &tcp, "--msrp", "127.0.0.1:0"],
        "--http",
        &tcp,
    );
}

#[test]
fn the_environment_counts_less_than_a_flag_and_more_than_the_file() {
    let file = crate::config::file("precedence.toml", "http = \"127.0.0.1:0\"\nshards = 1\n");
    let start = |environment: &[(&str, &str)], http: &[&str]| {
        let mut args = vec!["mrfp", "--config", &file, "--msrp", "127.0.0.1:0"];
        args.extend(http);
        Server::of(Program::start_with(&args, environment))
    };
    let has_http = |server: &Server| server.keys().contains(&"http");
    assert!(has_http(&start(&[], &[])));
    assert!(!has_http(&start(&[("MRF_HTTP", "off")], &[])));
    assert!(has_http(&start(
        &[("MRF_HTTP", "off")],
        &["--http", "127.0.0.1:0"]
    )));
}

#[test]
fn a_hang_up_reloads_the_log_filter() {
    let file = crate::config::file("reload.toml", "log = \"error\"\n");
    let mut args = vec!["run", "--config", &file];
    args.extend(FREE_PORTS);
    let server = Server::start(&args);
    crate::config::file("reload.toml", "log = \"info\"\n");
    server.program.signal("HUP");
    let line = server.program.said("log filter reloaded");
    assert!(line.contains("info"), "{line}");
    crate::config::file("reload.toml", "lgo = \"info\"\n");
    server.program.signal("HUP");
    let line = server.program.said("nothing changed");
    assert!(line.contains("reload.toml:1:1"), "{line}");
}

#[test]
fn who_is_refused_again_and_again_fills_no_log() {
    const CONNECTIONS: usize = 100;
    let file = crate::config::file("log-rate.toml", "log-rate = 1\n");
    let mut args = vec!["run", "--config", &file];
    args.extend(FREE_PORTS);
    let mut server = Server::start(&args);
    let msrp = server.get("msrp").to_owned();
    for n in 0..CONNECTIONS {
        let mut stream = std::net::TcpStream::connect(&msrp).unwrap();
        let request = format!(
            "MSRP tid{n:05} SEND\r\nTo-Path: msrp://{msrp}/nobodyknowsthis;tcp\r\n\
             From-Path: msrp://127.0.0.1:9/me;tcp\r\nMessage-ID: m{n:05}\r\n-------tid{n:05}$\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = [0; 14];
        stream.read_exact(&mut answer).unwrap();
        assert!(answer.starts_with(b"MSRP tid"));
    }
    server.program.signal("TERM");
    assert_eq!(server.program.wait().code(), Some(0));
    let log = server.program.log();
    let refused: Vec<_> = log
        .iter()
        .filter(|l| l.contains("request refused"))
        .collect();
    assert!(refused[0].contains("peer=127.0.0.1:"), "{}", refused[0]);
    // A burst of 50 s, and what was due meanwhile.
    assert!(
        (50..CONNECTIONS).contains(&refused.len()),
        "{}",
        refused.len()
    );
    let mut told = log
        .iter()
        .filter(|line| line.contains("log lines left out"));
    let left_out = told.next_back().expect("told at the end, too");
    assert!(left_out.contains("like=\"request refused\""), "{left_out}");
}

#[test]
fn what_cannot_be_together_is_refused_before_anything_starts() {
    for (args, words) in [
        (&["mrfp", "--tls-key", "a.key"][..], "mrf: --tls-key: "),
        (&["run", "--http-token", ""], "mrf: --http-token: "),
        (&["mrfp", "--xdp-if", "lo"], "mrf: --xdp-if: "),
        (
            &["mrfp", "--config", "/none"],
            "mrf: /none: No such file or directory (os error 2)\n",
        ),
    ] {
        let done = finish(args, b"");
        assert_eq!((done.code, &*done.stdout), (Some(1), ""), "{done:?}");
        assert!(done.stderr.starts_with(words), "{done:?}");
    }
    for (args, words) in [
        (["mrfp", "--shards", "0"], "a number of shards, 1 to 62"),
        (["mrfp", "--shards", "63"], "a number of shards, 1 to 62"),
        (["mrfp", "--spread-above", "0"], "a number, 1 or more"),
    ] {
        let done = finish(&args, b"");
        assert_eq!(done.code, Some(2), "{done:?}");
        assert!(done.stderr.contains(words), "{done:?}");
    }
}

#[test]
fn logs_can_be_json() {
    let mut args = vec!["run", "--log-format", "json"];
    args.extend(FREE_PORTS);
    let mut server = Server::start(&args);
    server.program.signal("INT");
    let line = server.program.said("taking leave");
    assert!(line.starts_with('{') && line.ends_with('}'), "{line}");
    assert_eq!(server.program.wait().code(), Some(0));
}

#[test]
fn usage_errors_exit_with_2_and_help_with_0() {
    for args in [
        &["run", "--reactor", "dpdk"][..],
        &["run", "--sip", "sctp:127.0.0.1:0"],
        &["nothing"],
        &["decode", "http"],
    ] {
        assert_eq!(finish(args, b"").code, Some(2), "{args:?}");
    }
    for command in [
        "run",
        "mrfp",
        "mrfc",
        "chat",
        "flow",
        "decode",
        "check-config",
    ] {
        let help = finish(&[command, "--help"], b"");
        assert_eq!(help.code, Some(0));
        assert!(help.stdout.contains("Usage: mrf "), "{help:?}");
    }
    assert!(finish(&["--version"], b"").stdout.starts_with("mrf "));
}
