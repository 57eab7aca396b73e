use super::*;

#[track_caller]
fn refused<T: FromStr<Err = ValueError> + fmt::Debug>(text: &str, words: &str) {
    let error = text.parse::<T>().expect_err(text).to_string();
    assert!(error.contains(words), "{text}: {error}");
}

#[track_caller]
fn check<T: FromStr<Err = ValueError> + fmt::Debug + PartialEq>(text: &str, expected: T) {
    assert_eq!(text.parse::<T>(), Ok(expected), "{text}");
}

#[test]
fn listeners_of_later_builds_are_refused_by_name() {
    check("::1", NameServer("[::1]:53".parse().unwrap()));
    check(
        "127.0.0.1:5353",
        NameServer("127.0.0.1:5353".parse().unwrap()),
    );
    check("MD5", Digest(sip::Algorithm::Md5));
    refused::<Digest>("sha-1", "expected sha-256, sha-512-256 or md5");
    check("SHA-512-256-sess", Digest(sip::Algorithm::Sha512t256Sess));
    check("Auth-int", DigestQop(sip::Qop::AuthInt));
    refused::<DigestQop>("auth-conf", "expected auth or auth-int");
    refused::<NameServer>("dns.example.net", "expected ADDRESS");
    refused::<SipListener>("sctp:127.0.0.1:5060", "use udp:, tcp:, tls:, ws: or wss:");
    refused::<Reactor>("epoll", "expected auto, uring, mio or xdp");
    check("eth0", XdpInterface(String::from("eth0")));
    for bad in [
        "chat.example.net",
        "https://",
        "https://a/b",
        "https://a:443",
        "*",
    ] {
        refused::<WsOrigin>(bad, "expected SCHEME://HOST");
    }
    let origin: WsOrigin = "HTTPS://Chat.example.net:8443".parse().unwrap();
    assert_eq!(origin.0, "https://chat.example.net:8443");
    refused::<XdpInterface>("a/b", "expected the name of a network interface");
    refused::<XdpInterface>("", "expected the name of a network interface");
    refused::<H248Version>("4", "expected 1, 2 or 3");
    for text in [
        "", "MRF", "MRF/", "MRF/0", "MRF/100", "7/7", "M-R/1", "None",
    ] {
        refused::<H248Profile>(text, "expected NAME/VERSION such as MRF/7, or none");
    }
    assert_eq!("none".parse(), Ok(H248Profile(None)));
    let settled = "ResGW/12".parse::<H248Profile>().unwrap().0.unwrap();
    assert_eq!(
        (settled.name.to_string(), settled.version),
        ("ResGW".to_owned(), 12)
    );
    refused::<AfterLoss>("reboot", "expected disconnected, failover or restart");
    check("1400", H248Pdu(1400));
    check("65531", H248Pdu(65_531));
    for bad in ["511", "65532", "1k", "-1"] {
        refused::<H248Pdu>(bad, "expected octets, 512 to 65531");
    }
    refused::<AuthHeader>("check", "expected ignore or refuse");
    refused::<MsrpMatch>("host", "expected session-id or uri");
    check("50", BusyPoll::Micros(50));
    check("auto", BusyPoll::Auto);
    for poll in [BusyPoll::Micros(0), BusyPoll::Auto] {
        check(&poll.to_string(), poll);
    }
    refused::<BusyPoll>("1s", "expected microseconds, 0 to 1000000, or auto");
    refused::<BusyPoll>("1000001", "expected microseconds, 0 to 1000000, or auto");
    check("reno", TcpCongestion("reno".to_owned()));
    refused::<TcpCongestion>("a b", "tcp_available_congestion_control");
    refused::<TcpCongestion>("", "tcp_available_congestion_control");
    check("16", QueueMib(16));
    refused::<QueueMib>("0", "expected MiB, 1 to 65536");
    refused::<QueueMib>("1G", "expected MiB, 1 to 65536");
    refused::<H248Addr>("quic:127.0.0.1:2944", "use udp:, tcp: or sctp:");
}

#[test]
fn addresses_need_a_number_and_a_port() {
    let local: SocketAddr = "127.0.0.1:2855".parse().unwrap();
    use mrfp::Transport::{Tcp, Tls, Ws, Wss};
    for (scheme, transport) in [
        ("", Tcp),
        ("tcp:", Tcp),
        ("tls:", Tls),
        ("WS:", Ws),
        ("wss:", Wss),
    ] {
        let addr = local;
        let expected = MsrpAddr(mrfp::Listener { transport, addr });
        check(&format!("{scheme}127.0.0.1:2855"), expected);
    }
    assert_eq!(
        "tls:127.0.0.1:1".parse::<MsrpAddr>().unwrap().to_string(),
        "tls:127.0.0.1:1"
    );
    refused::<MsrpAddr>("quic:127.0.0.1:2855", "expected [tcp:|tls:|ws:|wss:]");
    refused::<MsrpAddr>("localhost:2855", "ADDRESS:PORT");
    refused::<MsrpAddr>("::1:2855", "IPv6 in brackets");
    check("127.0.0.1:2855", HttpAddr(Some(local)));
    check("off", HttpAddr(None));
    refused::<HttpAddr>("on", "or off");
    check("127.0.0.1:2855", Advertised(local));
    check(
        "2001:db8::1",
        Advertised("[2001:db8::1]:0".parse().unwrap()),
    );
    check(
        "[2001:db8::1]",
        Advertised("[2001:db8::1]:0".parse().unwrap()),
    );
    refused::<SipListener>("127.0.0.1:5060", "expected udp:");
}

#[test]
fn a_notice_is_one_line_that_is_not_long() {
    check("", NoticeText(String::new()));
    check("Here: {names}", NoticeText("Here: {names}".into()));
    refused::<NoticeText>("a\nb", "expected a line of at most 512 octets");
    refused::<NoticeText>(&"x".repeat(513), "expected a line of at most 512 octets");
}

#[test]
fn what_the_focus_writes_of_itself_is_checked() {
    check("address", Contact(mrfc::ContactForm::HostPort));
    check("uri", Contact(mrfc::ContactForm::Psi));
    refused::<Contact>("psi", "expected address or uri");
    check("ccf=\"x\"", ChargingText("ccf=\"x\"".into()));
    for bad in ["", "a\r\nb", "\u{e9}"] {
        refused::<ChargingText>(bad, "expected 1 to 512 visible characters");
    }
    check("off", PeriodOrOff(None));
    check("30m", PeriodOrOff(Some(Duration::from_secs(1_800))));
    refused::<PeriodOrOff>("never", "expected a number and a unit");
}

#[test]
fn times_carry_their_unit() {
    check("250ms", Period(Duration::from_millis(250)));
    check("10s", Period(Duration::from_secs(10)));
    check("2m", Period(Duration::from_secs(120)));
    check("1h", Period(Duration::from_secs(3600)));
    for text in ["10", "s", "", "1.5s", "-1s", "10 s", "99999999999s", "1d"] {
        refused::<Period>(text, "expected a number and a unit");
    }
}

#[test]
fn loads_have_rates_and_sizes() {
    check("max", LoadRate(Rate::Max));
    check("1500", LoadRate(Rate::Fixed(1_500.0)));
    for text in ["0", "-1", "inf", "fast"] {
        refused::<LoadRate>(text, "or max");
    }
    check("1", Octets(1));
    check("64k", Octets(64_000));
    check("1G", Octets(1_000_000_000));
    for text in ["", "1K", "G", "99999999999999999999"] {
        refused::<Octets>(text, "expected a number of octets");
    }
}

#[test]
fn message_identifiers_have_four_forms() {
    let ip = |port| MId::Ip {
        address: "192.0.2.20".parse().unwrap(),
        port,
    };
    check("[192.0.2.20]:2944", Mid(ip(Some(2944))));
    check("[192.0.2.20]", Mid(ip(None)));
    check(
        "<mrfp.example.net>:2944",
        Mid(MId::Domain {
            name: Name::new("mrfp.example.net"),
            port: Some(2944),
        }),
    );
    check("MTP{0a1b}", Mid(MId::Mtp(Name::new("0a1b"))));
    check("mrfp1/shelf2", Mid(MId::Device(Name::new("mrfp1/shelf2"))));
    for text in [
        "", "<>", "<a b>", "[::1", "[::1]x", "[x]", "MTP{0}", "1mrfp", "a b",
    ] {
        refused::<Mid>(text, "expected <DOMAIN>");
    }
}
