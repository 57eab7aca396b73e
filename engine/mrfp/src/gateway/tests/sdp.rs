//! Local and Remote by TS 29.333, and obeyed beyond it.

use super::*;

fn honouring() -> Bench {
    Bench::with(|config| config.honour_sdp = true)
}

/// Adds a stream with these SDP lines beside the necessary ones, and tells its configuration.
fn configured(mut bench: Bench, local: &str, remote: &str) -> SessionConfig {
    let local = LOCAL.replace('}', &format!("{local}}}"));
    let remote = REMOTE.replace('}', &format!("{remote}}}"));
    bench.call(&format!(
        "C=${{A=${{M{{ST=1{{O{{MO=SR}},{local},{remote}}}}}}}}}"
    ));
    bench.config()
}

#[test]
fn attributes_outside_the_profile_are_ignored_unless_honoured() {
    let local = "a=max-size:1000\na=accept-types:text/plain message/cpim\n";
    let remote = "a=max-size:2000\na=setup:passive\n";
    let config = configured(Bench::new(), local, remote);
    assert_eq!(
        (config.terms.receive_bytes_max, config.terms.send_bytes_max),
        (None, None)
    );
    assert!(config.terms.accept_types.is_empty());
    assert_eq!(config.setup, Setup::Passive);
    let config = configured(honouring(), local, remote);
    assert_eq!(
        (config.terms.receive_bytes_max, config.terms.send_bytes_max),
        (Some(1000), Some(2000))
    );
    assert_eq!(
        config.terms.accept_types,
        ["text/plain".into(), "message/cpim".into()]
    );
    assert_eq!(config.setup, ACTIVE);
}

// MSRP-ACM-004.
// MSRP-ACM-001.
#[test]
fn what_concerns_the_ends_alone_is_no_hindrance() {
    let file = "a=sendonly\na=file-selector:name:\"a b.jpg\" type:image/jpeg size:32349 \
        hash:sha-1:72:24:5F:E8:65:3D:DA:F3:71:36:2F:86:D4:71:91:3E:E4:A2:CE:2E\n\
        a=file-transfer-id:vBnG916bdberum2fFEABR1FR3ExZMUrd\na=file-disposition:attachment\n\
        a=candidate:1 1 UDP 1 192.0.2.1 1 typ host\n";
    for bench in [Bench::new(), honouring()] {
        let config = configured(bench, file, file);
        assert!(config.sends && config.receives && config.remote_path.is_some());
    }
}

#[test]
fn honoured_roles_follow_the_peer_unless_local_says_otherwise() {
    for (local, remote, is_active) in [
        ("", "", false),
        ("", "a=setup:active\n", false),
        ("", "a=setup:actpass\n", false),
        ("", "a=setup:holdconn\n", false),
        ("", "a=setup:passive\n", true),
        ("a=setup:active\n", "", true),
        ("a=setup:active\n", "a=setup:actpass\n", true),
        ("a=setup:passive\n", "a=setup:passive\n", false),
    ] {
        let config = configured(honouring(), local, remote);
        let expected = if is_active { ACTIVE } else { Setup::Passive };
        assert_eq!(config.setup, expected, "{local}{remote}");
    }
}

// MSRP-CEMA-002, MSRP-CONN-003.
#[test]
fn the_peer_is_reached_at_its_media_address_or_its_path() {
    let media =
        "v=0\nc=IN IP4 192.0.2.1\nm=message 7 TCP/MSRP *\na=path:msrp://192.0.2.2:8/x;tcp\n";
    for (honour, cema, expected) in [
        (false, "", "192.0.2.1:7"),
        (false, "a=msrp-cema\n", "192.0.2.1:7"),
        (true, "", "192.0.2.2:8"),
        (true, "a=msrp-cema\n", "192.0.2.1:7"),
    ] {
        let mut bench = Bench::with(|config| config.honour_sdp = honour);
        bench.call(&format!(
            "C=${{A=${{M{{ST=1{{{LOCAL},R{{{media}{cema}}}}}}},SG{{tcpbcc/EstBNC}}}}}}"
        ));
        let to = expected.parse().unwrap();
        assert_eq!(
            bench.config().setup,
            Setup::Active { to },
            "{honour} {cema}"
        );
    }
    let mut bench = Bench::new();
    let named = "R{c=IN IP4 $\nm=message $ TCP/MSRP *\na=path:msrp://ue.invalid/x;tcp\n}";
    let named = named
        .replace("IP4 $", "IP4 0.0.0.0")
        .replace("message $", "message 0");
    bench.check(
        &format!("C=${{A=${{M{{ST=1{{{LOCAL},{named}}}}}}}}}"),
        "C=${A=${ER=472{}}}",
    );
}

#[test]
fn every_spelling_of_choose_is_filled_in() {
    for media in [
        "c=IN IP4 $\nm=message $ TCP/MSRP *\na=path:$\n",
        "c=IN IP4 $\nm=message $ TCP/MSRP *\na=path:msrp://$:$/$;tcp\n",
        "c=IN IP4 198.51.100.7\nm=message $ TCP/MSRP *\na=path:msrp://198.51.100.7:$/$;tcp\n",
        "c=IN IP4 198.51.100.7\nm=message 2855 TCP/MSRP *\n",
        "c=IN IP4 $\nm=message $ TCP/MSRP\n",
        "m=message $ TCP/MSRP *\n",
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nc=IN IP4 $\r\nm=message $ TCP/MSRP *\r\n",
    ] {
        let mut bench = Bench::new();
        let body = bench.call(&format!("C=${{A=${{M{{ST=1{{L{{{media}}}}}}}}}}}"));
        let sdp = local(&body);
        assert!(
            sdp.contains("m=message 2855 TCP/MSRP *\r\n"),
            "{media} -> {sdp}"
        );
        assert!(
            path(&sdp).starts_with("msrp://198.51.100.7:2855/0"),
            "{media} -> {sdp}"
        );
    }
}

#[test]
fn the_family_follows_the_connection_line() {
    let mut bench = Bench::new();
    let v6 = LOCAL.replace("IP4", "IP6");
    let body = bench.call(&format!("C=${{A=${{M{{ST=1{{{v6}}}}}}}}}"));
    let sdp = local(&body);
    assert!(sdp.contains("c=IN IP6 2001:db8::7\r\n"), "{sdp}");
    assert!(
        path(&sdp).starts_with("msrp://[2001:db8::7]:2855/"),
        "{sdp}"
    );
}

#[test]
fn a_family_without_a_listener_is_refused_and_several_listeners_are_told_apart() {
    let v6 = format!("C=${{A=${{M{{ST=1{{{}}}}}}}}}", LOCAL.replace("IP4", "IP6"));
    let mut bench = Bench::with(|config| config.addresses.truncate(1));
    bench.check(&v6, "C=${A=${ER=449{}}}");
    bench.check(
        &format!("C=${{A=${{M{{ST=1{{{LOCAL}}}}}}}}}"),
        "C=1{A=msrp/2{M{ST=1{L{v}}}}}",
    );
    let mut bench = Bench::with(|config| {
        let more = ["198.51.100.8:2855", "198.51.100.8:2856"];
        for address in more {
            config.addresses.push(address.parse().unwrap());
        }
    });
    for (asked, found) in [
        ("c=IN IP4 $\nm=message $", "198.51.100.7:2855"),
        ("c=IN IP4 198.51.100.8\nm=message $", "198.51.100.8:2855"),
        ("c=IN IP4 $\nm=message 2856", "198.51.100.8:2856"),
        ("c=IN IP6 2001:db8::7\nm=message $", "[2001:db8::7]:2855"),
    ] {
        let local = format!("L{{v=0\n{asked} TCP/MSRP *\na=path:$\n}}");
        let body = bench.call(&format!("C=${{A=${{M{{ST=1{{{local}}}}}}}}}"));
        let sdp = super::local(&body);
        assert!(
            path(&sdp).starts_with(&format!("msrp://{found}/")),
            "{asked}: {sdp}"
        );
    }
}

#[test]
fn a_participant_may_be_reached_in_the_other_family() {
    let mut bench = Bench::new();
    let remote = "R{v=0\nc=IN IP6 2001:db8::10\nm=message 7394 TCP/MSRP *\n\
        a=path:msrp://[2001:db8::10]:7394/2s93i93idj;tcp\n}";
    let local = LOCAL.replace("IP4", "IP6");
    bench.call(&format!(
        "C=${{A=${{M{{ST=1{{O{{MO=SR}},{local},{remote}}}}},SG{{tcpbcc/EstBNC}}}}}}"
    ));
    let to = "[2001:db8::10]:7394".parse().unwrap();
    assert_eq!(bench.config().setup, Setup::Active { to });
}

#[test]
fn a_local_that_was_filled_in_may_be_sent_back() {
    let mut bench = Bench::new();
    let first = local(&bench.call(&format!("C=${{A=${{M{{ST=1{{{LOCAL}}}}}}}}}")));
    bench.orders.clear();
    bench.check(
        &format!("C=1{{MF=msrp/1{{M{{ST=1{{L{{{first}}}}}}}}}}}"),
        "C=1{MF=msrp/1}",
    );
    let again = local(&bench.call(&format!("C=1{{MF=msrp/1{{M{{ST=1{{{LOCAL}}}}}}}}}")));
    assert_eq!(again, first, "the session is kept");
    assert!(bench.orders.is_empty());
}

#[test]
fn one_of_several_descriptions_is_chosen_and_told() {
    let mut bench = Bench::new();
    let local = "L{v=0\nc=IN IP4 $\nm=message $ TCP/TLS/MSRP *\nv=0\nc=IN IP4 $\n\
        m=message $ TCP/MSRP *\n}";
    let remote = "R{v=0\nm=audio 4 RTP/AVP 0\nv=0\nc=IN IP4 192.0.2.1\nm=message 7 TCP/MSRP *\n\
        a=path:msrp://192.0.2.1:7/x;tcp\n}";
    bench.check(
        &format!("C=${{A=${{M{{ST=1{{{local},{remote}}}}}}}}}"),
        "C=1{A=msrp/1{M{ST=1{L{v},R{v}}}}}",
    );
    assert_eq!(
        bench.config().remote_path.as_deref(),
        Some(b"msrp://192.0.2.1:7/x;tcp".as_slice())
    );
}

#[test]
fn a_description_of_several_media_is_refused_and_those_with_port_0_do_not_count() {
    let mut bench = Bench::new();
    let (message, audio) = ("m=message 7 TCP/MSRP *\n", "m=audio 4 RTP/AVP 0\n");
    let refused = "m=audio 0 RTP/AVP 0\n";
    let reply_to = |bench: &mut Bench, media: &str, code: &str| {
        let remote =
            format!("R{{v=0\nc=IN IP4 192.0.2.1\n{media}a=path:msrp://192.0.2.1:7/x;tcp\n}}");
        bench.check(
            &format!("C=${{A=${{M{{ST=1{{{LOCAL},{remote}}}}}}}}}"),
            code,
        );
    };
    for media in [
        format!("{audio}{message}"),
        format!("{message}{message}"),
        format!("{message}{audio}{refused}"),
    ] {
        reply_to(&mut bench, &media, "C=${A=${ER=474{}}}");
    }
    let two = "L{c=IN IP4 $\nm=message $ TCP/MSRP *\nm=audio $ RTP/AVP 0\n}";
    bench.check(
        &format!("C=${{A=${{M{{ST=1{{{two}}}}}}}}}"),
        "C=${A=${ER=474{}}}",
    );
    reply_to(
        &mut Bench::new(),
        &format!("{refused}{message}"),
        "C=1{A=msrp/1{M{ST=1{L{v}}}}}",
    );
}

// MSRP-SDP-003.
#[test]
fn session_ids_differ() {
    let mut bench = Bench::new();
    bench.call(&format!("C=${{{}}}", vec![add(); 50].join(",")));
    let ids: std::collections::BTreeSet<_> = bench
        .orders
        .iter()
        .map(|(_, order)| match order {
            Order::Install { config, .. } => config.session_id.to_vec(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids.len(), 50);
}

const PRINT: &str = "AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:AB:\
    AB:AB:AB:AB:0F";

fn secure(honours: bool) -> Bench {
    Bench::with(|config| {
        config.honour_sdp = honours;
        config.fingerprint = switch::Fingerprint::parse("sha-256", PRINT);
        for listener in [
            "tls:198.51.100.7:2856",
            "ws:198.51.100.7:80",
            "wss:198.51.100.7:443",
        ] {
            config.addresses.push(listener.parse().unwrap());
        }
    })
}

/// Adds a stream and tells what Local came back, with the session's configuration.
fn added(bench: &mut Bench, local: &str, remote: &str) -> (String, SessionConfig) {
    bench.call(&format!(
        "C=${{A=${{M{{ST=1{{O{{MO=SR}},L{{{local}}},R{{{remote}}}}}}}}}}}"
    ));
    let config = bench.config();
    (
        String::from_utf8(config.local_path.to_vec()).unwrap(),
        config,
    )
}

// MSRP-URI-004 MSRP-WS-004
#[test]
fn each_transport_has_its_listener_its_path_and_its_security() {
    for (proto, path, remote, expected) in [
        (
            "TCP/MSRP",
            "$",
            "msrp://192.0.2.10:7/x;tcp",
            "msrp://198.51.100.7:2855/",
        ),
        (
            "TCP/TLS/MSRP",
            "$",
            "msrps://192.0.2.10:7/x;tcp",
            "msrps://198.51.100.7:2856/",
        ),
        (
            "TCP/TLS/MSRP",
            "msrps://$:$/$;tcp",
            "msrps://ue.invalid/x;tcp",
            "msrps://198.51.100.7:2856/",
        ),
        (
            "TCP/MSRP",
            "msrp://$:$/$;ws",
            "msrp://x.invalid:9/x;ws",
            "msrp://198.51.100.7:80/",
        ),
        (
            "TCP/TLS/MSRP",
            "msrps://$:$/$;ws",
            "msrps://x.invalid:9/x;ws",
            "msrps://198.51.100.7:443/",
        ),
    ] {
        let is_tls = proto.contains("TLS");
        let local = format!("v=0\nc=IN IP4 $\nm=message $ {proto} *\na=path:{path}\n");
        let remote = format!("v=0\nc=IN IP4 192.0.2.10\nm=message 7 {proto} *\na=path:{remote}\n");
        let (ours, config) = added(&mut secure(false), &local, &remote);
        assert!(ours.starts_with(expected), "{ours}");
        let end = if path.ends_with(";ws") { ";ws" } else { ";tcp" };
        assert!(ours.ends_with(end), "{ours}");
        assert_eq!(
            config.security != switch::Security::Plain,
            is_tls,
            "{proto}"
        );
    }
}

// MSRP-TLS-004
#[test]
fn fingerprints_are_obeyed_and_ours_is_shown() {
    let local = "v=0\nc=IN IP4 $\nm=message $ TCP/TLS/MSRP *\na=path:$\n";
    let remote = "v=0\nc=IN IP4 192.0.2.10\nm=message 7 TCP/TLS/MSRP *\n\
        a=path:msrps://192.0.2.10:7/x;tcp\na=fingerprint:md5 AB:CD\na=fingerprint:SHA-256 ";
    let remote = format!("{remote}{}\n", PRINT.to_lowercase());
    let (_, config) = added(&mut secure(true), local, &remote);
    let fingerprints = switch::Fingerprint::parse("sha-256", PRINT)
        .into_iter()
        .collect();
    assert_eq!(config.security, switch::Security::Tls { fingerprints });
    let reply = secure(true).call(&format!("C=${{A=${{M{{ST=1{{L{{{local}}}}}}}}}}}"));
    let line = format!("{:?}", format!("a=fingerprint:sha-256 {PRINT}").as_bytes());
    let reply = format!("{reply:?}");
    assert!(reply.contains(line.trim_matches(['[', ']'])), "{reply}");
    let (_, config) = added(&mut secure(false), local, &remote);
    let fingerprints = Box::default();
    assert_eq!(config.security, switch::Security::Tls { fingerprints });
    let only_md5 = remote.replace("SHA-256", "md5");
    secure(true).check(
        &format!("C=${{A=${{M{{ST=1{{L{{{local}}},R{{{only_md5}}}}}}}}}}}"),
        "C=${A=${ER=449{}}}",
    );
}

#[test]
fn a_transport_without_a_listener_is_refused() {
    for (proto, path) in [
        ("TCP/TLS/MSRP", "$"),
        ("TCP/MSRP", "msrp://$:$/$;ws"),
        ("TCP/MSRP", "msrps://$:$/$;tcp"),
        ("UDP/MSRP", "$"),
    ] {
        let local = format!("L{{v=0\nc=IN IP4 $\nm=message $ {proto} *\na=path:{path}\n}}");
        Bench::new().check(
            &format!("C=${{A=${{M{{ST=1{{{local}}}}}}}}}"),
            "C=${A=${ER=449{}}}",
        );
    }
}
