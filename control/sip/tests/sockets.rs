//! A stack on real loopback sockets, spoken to in plain octets.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test names the one outcome it wants"
)]

use core::net::SocketAddr;
use core::sync::atomic::{AtomicU64, Ordering};
use sip::limits::ADMITTED_MAX;
use sip::{Answer, Event, Invite, Method, SipAddr, Stack, StackConfig, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

async fn stack(listen: &[&str]) -> Stack {
    let config = StackConfig {
        listen: listen
            .iter()
            .map(|text| text.parse().expect("an address"))
            .collect(),
        allow: vec![Method::Invite, Method::Ack, Method::Bye, Method::Options],
        accept: vec!["application/sdp".into()],
        ..StackConfig::default()
    };
    Stack::bind(config).await.expect("free ports")
}

fn options(transport: Transport, port: u16, extra: &str) -> String {
    format!(
        "OPTIONS sip:room@example.net SIP/2.0\r\n\
         Via: SIP/2.0/{} 127.0.0.1:{port};branch=z9hG4bK{port}\r\n\
         From: <sip:a@b>;tag=1\r\nTo: <sip:room@example.net>\r\nCall-ID: c{port}\r\n\
         CSeq: 1 OPTIONS\r\n{extra}\r\n",
        transport.via_token()
    )
}

async fn answer_one(stack: &mut Stack) -> SocketAddr {
    match stack.next_event().await.expect("the stack lives") {
        Event::Request { txn, flow, .. } => {
            stack.handle().respond(txn, Answer::new(200)).await;
            flow.local
        }
        other => panic!("{other:?}"),
    }
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        text.push(stream.read_u8().await.expect("an octet"));
    }
    String::from_utf8(text).expect("text")
}

#[tokio::test]
async fn a_wildcard_listener_knows_its_address() {
    let mut stack = stack(&["udp:0.0.0.0:0", "tcp:0.0.0.0:0"]).await;
    let port = stack.addrs()[0].addr.port();
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("port");
    let own = socket.local_addr().expect("addr").port();
    let text = options(Transport::Udp, own, "");
    socket
        .send_to(text.as_bytes(), ("127.0.0.1", port))
        .await
        .expect("sent");
    let local = answer_one(&mut stack).await;
    assert_eq!(local, SocketAddr::from(([127, 0, 0, 1], port)));
    let mut buffer = [0; 1500];
    let count = socket.recv(&mut buffer).await.expect("answer");
    assert!(buffer[..count].starts_with(b"SIP/2.0 200 OK\r\n"));
}

#[tokio::test]
async fn a_listener_for_both_families_knows_ipv4_peers_by_their_address() {
    let config = StackConfig {
        listen: vec!["udp:[::]:0".parse().expect("an address")],
        allow: vec![Method::Options],
        trusted: vec!["127.0.0.1".parse().expect("a neighbour")],
        ..StackConfig::default()
    };
    let mut stack = Stack::bind(config).await.expect("a free port");
    let port = stack.addrs()[0].addr.port();
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("port");
    let own = socket.local_addr().expect("addr");
    let text = options(Transport::Udp, own.port(), "");
    socket
        .send_to(text.as_bytes(), ("127.0.0.1", port))
        .await
        .expect("sent");
    let Some(Event::Request { txn, flow, .. }) = stack.next_event().await else {
        panic!("no OPTIONS");
    };
    assert_eq!((flow.remote, flow.is_trusted), (own, true));
    assert_eq!(flow.local, SocketAddr::from(([127, 0, 0, 1], port)));
    stack.handle().respond(txn, Answer::new(200)).await;
    let mut buffer = [0; 1500];
    let count = socket.recv(&mut buffer).await.expect("answer");
    let answer = String::from_utf8_lossy(&buffer[..count]);
    assert!(!answer.contains("received="), "it named itself: {answer}");
    // A request of ours gets there, too, and names an address that answers.
    let invite = Invite {
        uri: format!("sip:a@[::ffff:127.0.0.1]:{}", own.port()),
        hops: Vec::new(),
        is_proxy: false,
        from: "sip:room@example.net".into(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    let started = stack.handle().start(Method::Subscribe, invite).await;
    started.expect("the stack lives").expect("URIs");
    let count = socket.recv(&mut buffer).await.expect("a request");
    let request = String::from_utf8_lossy(&buffer[..count]);
    let via = format!("Via: SIP/2.0/UDP 127.0.0.1:{port};");
    assert!(request.contains(&via), "{request}");
}

#[tokio::test]
async fn unreadable_datagrams_are_answered_where_they_can_be() {
    let stack = stack(&["udp:127.0.0.1:0"]).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("port");
    let own = socket.local_addr().expect("addr").port();
    let to = stack.addrs()[0].addr;
    let good = options(Transport::Udp, own, "");
    for (text, status) in [
        ("\r\n\r\n".to_owned(), ""),
        ("rubbish".to_owned(), ""),
        (
            good.replace("SIP/2.0\r\nVia", "SIP/9.0\r\nVia"),
            "SIP/2.0 505 ",
        ),
        (good.replace("CSeq: 1 OPTIONS\r\n", ""), "SIP/2.0 400 "),
        (good.replace("OPTIONS", "FROBNICATE"), "SIP/2.0 501 "),
        (good.replace("OPTIONS", "REGISTER"), "SIP/2.0 405 "),
    ] {
        socket.send_to(text.as_bytes(), to).await.expect("sent");
        if status.is_empty() {
            continue;
        }
        let mut buffer = [0; 1500];
        let count = socket.recv(&mut buffer).await.expect("answer");
        let answer = String::from_utf8_lossy(&buffer[..count]).into_owned();
        assert!(answer.starts_with(status), "{answer}");
    }
}

#[tokio::test]
async fn a_stream_carries_pings_and_requests_and_ends_when_framing_is_lost() {
    let mut stack = stack(&["tcp:[::1]:0"]).await;
    let mut stream = TcpStream::connect(stack.addrs()[0].addr)
        .await
        .expect("connected");
    stream.write_all(b"\r\n\r\n").await.expect("sent");
    let mut pong = [0; 2];
    stream.read_exact(&mut pong).await.expect("pong");
    assert_eq!(&pong, b"\r\n");
    let text = options(Transport::Tcp, 1, "Content-Length: 0\r\n");
    let (first, second) = text.split_at(60);
    stream.write_all(first.as_bytes()).await.expect("sent");
    stream.write_all(second.as_bytes()).await.expect("sent");
    answer_one(&mut stack).await;
    assert!(
        read_head(&mut stream)
            .await
            .starts_with("SIP/2.0 200 OK\r\n")
    );
    let text = options(Transport::Tcp, 2, "Content-Length: (…)\r\n");
    stream.write_all(text.as_bytes()).await.expect("sent");
    assert!(read_head(&mut stream).await.starts_with("SIP/2.0 400 "));
    assert_eq!(stream.read(&mut [0; 16]).await.expect("closed"), 0);
}

#[tokio::test]
async fn closing_sends_what_was_queued() {
    let mut stack = stack(&["tcp:127.0.0.1:0"]).await;
    let mut stream = TcpStream::connect(stack.addrs()[0].addr)
        .await
        .expect("connected");
    let text = options(Transport::Tcp, 3, "Content-Length: 0\r\n");
    stream.write_all(text.as_bytes()).await.expect("sent");
    answer_one(&mut stack).await;
    stack.close().await;
    assert!(
        read_head(&mut stream)
            .await
            .starts_with("SIP/2.0 200 OK\r\n")
    );
    assert_eq!(stream.read(&mut [0; 16]).await.expect("closed"), 0);
}

#[tokio::test]
async fn a_listener_that_is_taken_is_named() {
    let first = stack(&["tcp:127.0.0.1:0"]).await;
    let taken = first.addrs()[0];
    let config = StackConfig {
        listen: vec![taken],
        ..StackConfig::default()
    };
    let error = Stack::bind(config).await.expect_err("taken");
    assert!(error.to_string().contains(&taken.to_string()), "{error}");
    assert_eq!(taken, SipAddr::tcp(taken.addr));
}

#[tokio::test]
async fn a_page_of_another_origin_is_told_so_and_kept_out() {
    let config = StackConfig {
        listen: vec!["ws:127.0.0.1:0".parse().expect("an address")],
        origins: vec!["https://chat.example.net".into()],
        ..StackConfig::default()
    };
    let stack = Stack::bind(config).await.expect("a free port");
    for (origin, status) in [
        ("Origin: https://chat.example.net\r\n", "HTTP/1.1 101 "),
        ("", "HTTP/1.1 101 "),
        ("Origin: https://evil.example\r\n", "HTTP/1.1 403 "),
    ] {
        let mut stream = TcpStream::connect(stack.addrs()[0].addr)
            .await
            .expect("connected");
        let request = format!(
            "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: sip\r\n{origin}\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("sent");
        let head = read_head(&mut stream).await;
        assert!(head.starts_with(status), "{origin}{head}");
        if status.contains("403") {
            let mut text = String::new();
            stream.read_to_string(&mut text).await.expect("closed");
            assert_eq!(text, "pages of this origin may not connect\n");
        }
    }
}

#[tokio::test]
async fn whoever_cannot_be_taken_any_more_is_refused_at_once_and_counted() {
    let mut stack = stack(&["udp:127.0.0.1:0"]).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("port");
    socket
        .connect(stack.addrs()[0].addr)
        .await
        .expect("its address");
    let own = socket.local_addr().expect("addr");
    let request = |method: &str, number: usize, tag: &str| {
        format!(
            "{method} sip:room@example.net SIP/2.0\r\n\
             Via: SIP/2.0/UDP {own};branch=z9hG4bK{number}\r\n\
             From: <sip:a@b>;tag=1\r\nTo: <sip:room@example.net>{tag}\r\nCall-ID: c{number}\r\n\
             CSeq: 1 {method}\r\nContact: <sip:a@{own}>\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let exchange = async |text: String| {
        socket.send(text.as_bytes()).await.expect("sent");
        let mut buffer = [0; 1500];
        let count = socket.recv(&mut buffer).await.expect("an answer");
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    };
    for number in 0..ADMITTED_MAX {
        let answer = exchange(request("INVITE", number, "")).await;
        assert!(answer.starts_with("SIP/2.0 100 "), "{number}: {answer}");
    }
    let refusal = exchange(request("INVITE", ADMITTED_MAX, "")).await;
    assert!(
        refusal.starts_with("SIP/2.0 503 Service Unavailable\r\n"),
        "{refusal}"
    );
    assert!(refusal.contains("\r\nRetry-After: "), "{refusal}");
    assert_eq!(exchange(request("INVITE", ADMITTED_MAX, "")).await, refusal);
    // Its ACK is nothing to anybody; who waits is still known, and may leave.
    let tag = refusal
        .split(";tag=")
        .nth(2)
        .and_then(|rest| rest.lines().next());
    let ack = request(
        "ACK",
        ADMITTED_MAX,
        &format!(";tag={}", tag.expect("a tag")),
    );
    socket.send(ack.as_bytes()).await.expect("sent");
    assert!(
        exchange(request("INVITE", 7, ""))
            .await
            .starts_with("SIP/2.0 100 ")
    );
    let left = exchange(request("CANCEL", 7, "")).await;
    assert!(left.starts_with("SIP/2.0 200 "), "{left}");
    let counters = stack.counters();
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    assert_eq!(count(&counters.shed), 2);
    assert_eq!(
        (
            count(&counters.shed_unanswered),
            count(&counters.shed_again)
        ),
        (1, 1)
    );
    assert!(matches!(
        stack.next_event().await,
        Some(Event::Invite { .. })
    ));
}
