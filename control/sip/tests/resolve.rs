//! RFC 3263 against a name server of our own on loopback.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test names the one outcome it wants"
)]

use core::net::SocketAddr;
use sip::{Answer, Event, Invite, Method, Resolver, Stack, StackConfig, Target, Transport, Uri};
use tokio::net::UdpSocket;

/// A record: owner, type, data.
type Record = (&'static str, u16, Vec<u8>);

const A: u16 = 1;
const AAAA: u16 = 28;
const SRV: u16 = 33;
const NAPTR: u16 = 35;

fn name(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    for label in text.split('.').filter(|l| !l.is_empty()) {
        octets.push(u8::try_from(label.len()).expect("a short label"));
        octets.extend_from_slice(label.as_bytes());
    }
    octets.push(0);
    octets
}

fn srv(owner: &'static str, priority: u16, weight: u16, port: u16, host: &str) -> Record {
    let numbers = [priority, weight, port].map(u16::to_be_bytes).concat();
    (owner, SRV, [numbers, name(host)].concat())
}

fn naptr(owner: &'static str, order: u16, service: &str, replacement: &str) -> Record {
    let string =
        |text: &str| [&[u8::try_from(text.len()).expect("short")], text.as_bytes()].concat();
    let numbers = [order, 50].map(u16::to_be_bytes).concat();
    let data = [
        numbers,
        string("s"),
        string(service),
        string(""),
        name(replacement),
    ];
    (owner, NAPTR, data.concat())
}

fn address(owner: &'static str, text: &str) -> Record {
    match text.parse().expect("an address") {
        core::net::IpAddr::V4(ip) => (owner, A, ip.octets().to_vec()),
        core::net::IpAddr::V6(ip) => (owner, AAAA, ip.octets().to_vec()),
    }
}

/// Answers every query from `records` until the test is over.
async fn serve(records: Vec<Record>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let addr = socket.local_addr().expect("bound");
    tokio::spawn(async move {
        let mut buffer = [0; 1_500];
        while let Ok((count, from)) = socket.recv_from(&mut buffer).await {
            let query = &buffer[12..count];
            let end = query.iter().position(|&o| o == 0).expect("a name") + 1;
            let kind = u16::from_be_bytes([query[end], query[end + 1]]);
            let owner = query[..end].to_ascii_lowercase();
            let is_it = |r: &&Record| r.1 == kind && name(r.0) == owner;
            let found: Vec<_> = records.iter().filter(is_it).collect();
            let mut answer = buffer[..2].to_vec();
            answer.extend([0x81, 0x80, 0, 1]);
            answer.extend(u16::try_from(found.len()).expect("few").to_be_bytes());
            answer.extend([0; 4]);
            answer.extend(&query[..end + 4]);
            for (_, kind, data) in found {
                answer.extend([0xc0, 12]);
                answer.extend(kind.to_be_bytes());
                answer.extend([0, 1, 0, 0, 0, 60]);
                answer.extend(u16::try_from(data.len()).expect("short").to_be_bytes());
                answer.extend(data);
            }
            let _ = socket.send_to(&answer, from).await;
        }
    });
    addr
}

#[track_caller]
fn target(uri: &str) -> Target {
    Target::of(&Uri::parse(uri).expect("a URI"))
}

async fn check(resolver: &Resolver, uri: &str, expected: &[&str]) {
    let hops = resolver.hops(&target(uri)).await;
    let found: Vec<_> = hops.iter().map(|hop| hop.addr.to_string()).collect();
    assert_eq!(found, expected, "{uri}");
}

#[tokio::test]
async fn a_domain_leads_where_its_records_say() {
    let server = serve(vec![
        naptr("full.test", 20, "SIP+D2U", "_sip._udp.full.test"),
        naptr("full.test", 10, "SIP+D2T", "_sip._tcp.full.test"),
        naptr("full.test", 5, "SIPS+D2T", "_sips._tcp.full.test"),
        naptr("full.test", 1, "E2U+sip", "_other._udp.full.test"),
        srv("_sips._tcp.full.test", 1, 0, 5081, "two.test"),
        srv("_sip._tcp.full.test", 2, 0, 5070, "two.test"),
        srv("_sip._tcp.full.test", 1, 0, 5071, "one.test"),
        srv("_sip._udp.full.test", 1, 0, 5072, "one.test"),
        srv("_sip._udp.plain.test", 1, 0, 5073, "two.test"),
        srv("_sip._tcp.none.test", 0, 0, 0, "."),
        address("one.test", "127.0.0.1"),
        address("two.test", "127.0.0.2"),
        address("two.test", "::1"),
        address("none.test", "127.0.0.3"),
    ])
    .await;
    let resolver = Resolver::new(&[server]);
    // NAPTR: TLS is preferred, then TCP in the order of its SRV records, then UDP.
    let all = [
        "tls:127.0.0.2:5081",
        "tls:[::1]:5081",
        "tcp:127.0.0.1:5071",
        "tcp:127.0.0.2:5070",
        "tcp:[::1]:5070",
        "udp:127.0.0.1:5072",
    ];
    check(&resolver, "sip:a@full.test", &all).await;
    check(&resolver, "sips:a@full.test", &all[..2]).await;
    check(&resolver, "sip:a@FULL.test;transport=tcp", &all[2..5]).await;
    // A port: no SRV. A transport: no NAPTR. Neither, and no NAPTR: SRV of what we have.
    check(
        &resolver,
        "sip:a@two.test:5999",
        &["udp:127.0.0.2:5999", "udp:[::1]:5999"],
    )
    .await;
    check(
        &resolver,
        "sip:a@plain.test",
        &["udp:127.0.0.2:5073", "udp:[::1]:5073"],
    )
    .await;
    check(&resolver, "sip:a@one.test", &["udp:127.0.0.1:5060"]).await;
    check(&resolver, "sips:a@one.test", &["tls:127.0.0.1:5061"]).await;
    check(
        &resolver,
        "sip:a@[::1]:5090;transport=tcp",
        &["tcp:[::1]:5090"],
    )
    .await;
    check(&resolver, "sip:a@nowhere.test", &[]).await;
    let hops = resolver.hops(&target("sips:a@full.test")).await;
    assert_eq!(hops[0].name.as_deref(), Some("full.test"), "not two.test");
}

async fn stack(listen: &str, name_servers: Vec<SocketAddr>) -> Stack {
    let config = StackConfig {
        listen: vec![listen.parse().expect("an address")],
        allow: vec![Method::Invite, Method::Ack, Method::Bye, Method::Options],
        accept: vec!["application/sdp".into()],
        name_servers,
        ..StackConfig::default()
    };
    Stack::bind(config).await.expect("a free port")
}

#[tokio::test]
async fn a_call_fails_over_to_the_server_that_lives() {
    let mut called = stack("tcp:127.0.0.1:0", Vec::new()).await;
    let port = called.addrs()[0].addr.port();
    // Held, and not listened on: nobody else gets it meanwhile.
    let dead = tokio::net::TcpSocket::new_v4().expect("a socket");
    dead.bind("127.0.0.1:0".parse().expect("an address"))
        .expect("a port");
    let dead_port = dead.local_addr().expect("bound").port();
    let server = serve(vec![
        naptr("home.test", 1, "SIP+D2T", "_sip._tcp.home.test"),
        srv("_sip._tcp.home.test", 1, 0, dead_port, "host.home.test"),
        srv("_sip._tcp.home.test", 2, 0, port, "host.home.test"),
        address("host.home.test", "127.0.0.1"),
    ])
    .await;
    let mut caller = stack("tcp:127.0.0.1:0", vec![server]).await;
    let hops = caller
        .handle()
        .resolver()
        .hops(&target("sip:room@home.test"))
        .await;
    assert_eq!(hops.len(), 2, "{hops:?}");
    let invite = Invite {
        uri: "sip:room@home.test".into(),
        hops,
        is_proxy: false,
        from: "sip:ann@example.org".into(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    let dialog = caller
        .handle()
        .invite(invite)
        .await
        .expect("lives")
        .expect("URIs");
    match called.next_event().await.expect("lives") {
        Event::Invite { txn, flow, .. } => {
            assert_eq!(flow.transport, Transport::Tcp);
            // A Contact by name: the ACK is looked up, too.
            let contact = format!("<sip:room@host.home.test:{port};transport=tcp>");
            let answer = Answer::new(200).with("Contact", contact);
            called.handle().respond(txn, answer).await;
        }
        other => panic!("{other:?}"),
    }
    let code = loop {
        match caller.next_event().await.expect("lives") {
            Event::Response { response, .. } if response.code >= 200 => break response.code,
            Event::Response { .. } => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(code, 200);
    caller.handle().ack(dialog, Vec::new(), Vec::new()).await;
    match called.next_event().await.expect("lives") {
        Event::Acked { .. } => {}
        other => panic!("{other:?}"),
    }
}
