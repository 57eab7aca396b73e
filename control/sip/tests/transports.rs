//! A call over every transport and both address families: INVITE to BYE, requests of the called
//! side through the same connection, and whom TLS lets in.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test names the one outcome it wants"
)]

use core::net::SocketAddr;
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use sip::{
    Answer, Call, ClientError, Event, Flow, Hop, Invite, Method, SipAddr, SipClient, Stack,
    StackConfig,
};
use sip::{TlsFiles, Transport};
use std::path::{Path, PathBuf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// An authority and the certificates it made, in files that go with it.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: PathBuf,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let dir = std::env::temp_dir().join(format!("mrf-sip-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        std::fs::write(dir.join("ca.pem"), issuer.pem()).expect("written");
        Self { issuer, dir }
    }

    /// The file of the authority itself.
    fn ca(&self) -> Option<PathBuf> {
        Some(self.dir.join("ca.pem"))
    }

    /// A certificate with its key in one file.
    fn issue(&self, names: &[&str], uri: Option<&str>) -> Option<PathBuf> {
        let owned: Vec<_> = names.iter().map(|n| (*n).to_owned()).collect();
        let mut params = CertificateParams::new(owned).expect("names");
        if let Some(uri) = uri {
            let uri = uri.try_into().expect("ASCII");
            params.subject_alt_names.push(SanType::URI(uri));
        }
        let key = KeyPair::generate().expect("a key");
        let made = params.signed_by(&key, &self.issuer).expect("issued");
        let path = self
            .dir
            .join(format!("{}.pem", names.join("+").replace(':', "_")));
        std::fs::write(&path, made.pem() + &key.serialize_pem()).expect("written");
        Some(path)
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all::<&Path>(&self.dir);
    }
}

async fn server(listen: &str, tls: TlsFiles, trusted: &[&str]) -> Stack {
    let config = StackConfig {
        listen: vec![listen.parse().expect("an address")],
        allow: vec![Method::Invite, Method::Ack, Method::Bye, Method::Options],
        accept: vec!["application/sdp".into()],
        tls,
        trusted: trusted
            .iter()
            .map(|t| t.parse().expect("a neighbour"))
            .collect(),
        ..StackConfig::default()
    };
    Stack::bind(config).await.expect("a free port")
}

async fn client(to: SipAddr, tls: TlsFiles, name: Option<&str>) -> SipClient {
    let local = SipAddr {
        transport: to.transport,
        addr: SocketAddr::new(to.addr.ip(), 0),
    };
    let bound = SipClient::bind_with(local, tls, name.map(str::to_owned)).await;
    bound.expect("a free port")
}

fn call(stack: &Stack, scheme: &str) -> Call {
    Call {
        uri: format!("{scheme}:room@example.net"),
        via: stack.addrs()[0],
        from: "sip:ann@example.org".into(),
        sdp: None,
        headers: Vec::new(),
    }
}

/// Takes the call and hangs up once it is acknowledged; where it came from.
async fn take_and_hang_up(mut stack: Stack) -> Flow {
    let (dialog, came_by) = match stack.next_event().await.expect("the stack lives") {
        Event::Invite {
            dialog,
            txn,
            flow,
            request,
        } => {
            let is_sips = request.uri.scheme() == "sips";
            let scheme = request.uri.scheme();
            let parameter = flow.transport.uri_parameter(is_sips);
            let contact = format!("<{scheme}:room@{}{parameter}>", flow.local);
            let answer = Answer::new(200).with("Contact", contact);
            stack.handle().respond(txn, answer).await;
            (dialog, flow)
        }
        other => panic!("{other:?}"),
    };
    loop {
        match stack.next_event().await.expect("the stack lives") {
            Event::Acked { .. } => stack.handle().bye(dialog, Vec::new()).await,
            Event::Response {
                response,
                is_synthetic,
                ..
            } => {
                assert_eq!((response.code, is_synthetic), (200, false));
                stack.close().await;
                return came_by;
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn check(listen: &str, scheme: &str) {
    let authority = Authority::new(&listen.replace([':', '[', ']', '.'], "-"));
    let tls = TlsFiles {
        certificate: authority.issue(&["example.net", "127.0.0.1", "::1"], None),
        ..TlsFiles::default()
    };
    let stack = server(listen, tls, &[]).await;
    let to = stack.addrs()[0];
    let trusting = TlsFiles {
        ca: authority.ca(),
        ..TlsFiles::default()
    };
    let mut client = client(to, trusting, Some("example.net")).await;
    let call = call(&stack, scheme);
    let called = tokio::spawn(take_and_hang_up(stack));
    let outcome = client.invite(&call).await.expect("placed");
    assert_eq!(
        outcome.response.code, 200,
        "{listen}: {:?}",
        outcome.response
    );
    let via = outcome.response.headers.get("Via").expect("a Via");
    let token = format!("SIP/2.0/{} ", to.transport.via_token());
    assert!(via.starts_with(&token), "{via}");
    client.ack(outcome.dialog, None).await;
    match client.next_event().await.expect("the stack lives") {
        Event::Bye { .. } => {}
        other => panic!("{listen}: {other:?}"),
    }
    // What cannot be sent any more is not waited for.
    let ended = outcome.dialog;
    let late = client.request(ended, Method::Update, None).await;
    let unsent = |error: &ClientError| matches!(error, ClientError::NotSent(_));
    assert!(late.is_err_and(|error| unsent(&error)), "{listen}");
    let late = client.bye(ended).await;
    assert!(late.is_err_and(|error| unsent(&error)), "{listen}");
    let flow = called.await.expect("it ends");
    assert_eq!((flow.transport, flow.is_trusted), (to.transport, false));
    client.close().await;
}

#[tokio::test]
async fn a_call_goes_over_every_transport_and_family() {
    for transport in Transport::ALL {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            check(&format!("{transport}:{host}"), "sip").await;
            if transport.is_secure() {
                check(&format!("{transport}:{host}"), "sips").await;
            }
        }
    }
}

/// What becomes of a call to a server whose certificate is `names`, asked for as `wanted`.
async fn reach(names: &[&str], uri: Option<&str>, wanted: Option<&str>, knows: bool) -> bool {
    let authority = Authority::new(&format!("reach-{}-{wanted:?}-{knows}", names.join("-")));
    let tls = TlsFiles {
        certificate: authority.issue(names, uri),
        ..TlsFiles::default()
    };
    let mut stack = server("tls:127.0.0.1:0", tls, &[]).await;
    let trusting = TlsFiles {
        ca: authority.ca().filter(|_| knows),
        ..TlsFiles::default()
    };
    let mut client = client(stack.addrs()[0], trusting, wanted).await;
    let call = call(&stack, "sips");
    let answering = tokio::spawn(async move {
        while let Some(event) = stack.next_event().await {
            if let Event::Invite { txn, .. } = event {
                stack.handle().respond(txn, Answer::new(486)).await;
            }
        }
    });
    let outcome = client.invite(&call).await.expect("placed");
    answering.abort();
    match outcome.response.code {
        486 => true,
        503 => false,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_server_must_be_the_domain_that_was_asked_for() {
    let domain = Some("example.net");
    assert!(reach(&["example.net"], None, domain, true).await);
    assert!(reach(&["EXAMPLE.net"], None, domain, true).await);
    assert!(reach(&["host.example.net"], Some("sip:example.net"), domain, true).await);
    assert!(reach(&["127.0.0.1"], None, None, true).await);
    // RFC 5922 7.2: no wildcards; and the URI counts where there is one.
    assert!(!reach(&["*.net"], None, domain, true).await);
    assert!(!reach(&["example.net"], Some("sip:example.org"), domain, true).await);
    assert!(!reach(&["example.org"], None, domain, true).await);
    assert!(!reach(&["example.net"], None, None, true).await);
    // Nobody of ours vouches for it.
    assert!(!reach(&["example.net"], None, domain, false).await);
}

async fn is_trusted(listen: &str, certificate: bool, trusted: &[&str]) -> bool {
    let authority = Authority::new(&format!("trust-{certificate}-{}", trusted.join("-")));
    let tls = TlsFiles {
        certificate: authority.issue(&["example.net"], None),
        client_ca: authority.ca(),
        ..TlsFiles::default()
    };
    let stack = server(listen, tls, trusted).await;
    let own = TlsFiles {
        certificate: authority
            .issue(&["scscf.home2.net"], None)
            .filter(|_| certificate),
        ca: authority.ca(),
        ..TlsFiles::default()
    };
    let mut client = client(stack.addrs()[0], own, Some("example.net")).await;
    let call = call(&stack, "sip");
    let called = tokio::spawn(take_and_hang_up(stack));
    let outcome = client.invite(&call).await.expect("placed");
    if outcome.response.code == 200 {
        client.ack(outcome.dialog, None).await;
        client.next_event().await.expect("BYE");
        return called.await.expect("it ends").is_trusted;
    }
    called.abort();
    panic!("{:?}", outcome.response);
}

#[tokio::test]
async fn a_neighbour_is_trusted_by_its_certificate_or_its_address() {
    assert!(is_trusted("tls:127.0.0.1:0", true, &["scscf.home2.net"]).await);
    assert!(is_trusted("wss:127.0.0.1:0", true, &["SCSCF.home2.net"]).await);
    assert!(!is_trusted("tls:127.0.0.1:0", true, &["pcscf.home2.net"]).await);
    assert!(!is_trusted("tls:127.0.0.1:0", false, &["scscf.home2.net"]).await);
    assert!(is_trusted("tcp:127.0.0.1:0", false, &["127.0.0.0/8"]).await);
    assert!(is_trusted("udp:127.0.0.1:0", false, &["127.0.0.1"]).await);
    assert!(!is_trusted("udp:127.0.0.1:0", false, &["scscf.home2.net"]).await);
}

/// Of a proxy that we call after it called us: through its connection, if it says so.
async fn comes_back(alias: &str) -> bool {
    let authority = Authority::new(&format!("alias-{alias}"));
    let tls = TlsFiles {
        certificate: authority.issue(&["example.net"], None),
        client_ca: authority.ca(),
        ..TlsFiles::default()
    };
    let mut stack = server("tls:127.0.0.1:0", tls, &[]).await;
    let own = TlsFiles {
        certificate: authority.issue(&["scscf.home2.net"], None),
        ca: authority.ca(),
        ..TlsFiles::default()
    };
    let connector = client_config(&own);
    let stream = tokio::net::TcpStream::connect(stack.addrs()[0].addr).await;
    let name = "example.net".try_into().expect("a name");
    let mut stream = connector
        .connect(name, stream.expect("connected"))
        .await
        .expect("a handshake");
    let text = format!(
        "OPTIONS sips:room@example.net SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1:9;branch=z9hG4bK1{alias}\r\n\
         From: <sip:a@b>;tag=1\r\nTo: <sip:room@example.net>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n\
         Content-Length: 0\r\n\r\n"
    );
    stream.write_all(text.as_bytes()).await.expect("sent");
    match stack.next_event().await.expect("the stack lives") {
        Event::Request { txn, .. } => stack.handle().respond(txn, Answer::new(200)).await,
        other => panic!("{other:?}"),
    }
    let invite = Invite {
        uri: "sips:user@scscf.home2.net".into(),
        hops: vec![Hop {
            // Nobody listens there.
            addr: "tls:127.0.0.1:9".parse().expect("an address"),
            name: Some("scscf.home2.net".into()),
            near: stack.addrs()[0].addr,
        }],
        is_proxy: false,
        from: "sip:room@example.net".into(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    stack
        .handle()
        .invite(invite)
        .await
        .expect("lives")
        .expect("URIs");
    let mut received = Vec::new();
    let mut buffer = [0; 1_500];
    loop {
        tokio::select! {
            count = stream.read(&mut buffer) => {
                received.extend_from_slice(&buffer[..count.expect("open")]);
                if String::from_utf8_lossy(&received).contains("INVITE sips:user@") {
                    return true;
                }
            }
            event = stack.next_event() => match event.expect("the stack lives") {
                Event::Response { response, .. } => {
                    assert_eq!(response.code, 503);
                    return false;
                }
                other => panic!("{other:?}"),
            },
        }
    }
}

/// What a peer of ours would use: its own certificate, and the authority that it trusts.
fn client_config(files: &TlsFiles) -> tokio_rustls::TlsConnector {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let mut roots = rustls::RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(files.ca.as_ref().expect("a file"));
    roots.add(ca.expect("a certificate")).expect("an authority");
    let own = files.certificate.as_ref().expect("a file");
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_client_auth_cert(
            vec![CertificateDer::from_pem_file(own).expect("a certificate")],
            PrivateKeyDer::from_pem_file(own).expect("a key"),
        );
    std::sync::Arc::new(config.expect("a pair")).into()
}

#[tokio::test]
async fn a_peer_that_says_alias_is_called_through_its_connection() {
    assert!(comes_back(";alias").await);
    assert!(!comes_back("").await);
}

/// A roster of 250 users is as long.
const LONG: usize = 100 * 1024;

#[tokio::test]
async fn who_called_takes_long_bodies() {
    for listen in ["tcp:127.0.0.1:0", "ws:127.0.0.1:0"] {
        let mut stack = server(listen, TlsFiles::default(), &[]).await;
        let mut client = client(stack.addrs()[0], TlsFiles::default(), None).await;
        let dialog = client.start(&call(&stack, "sip")).await.expect("placed");
        let Some(Event::Invite {
            dialog: theirs,
            txn,
            flow,
            ..
        }) = stack.next_event().await
        else {
            panic!("no INVITE");
        };
        let parameter = flow.transport.uri_parameter(false);
        let contact = format!("<sip:room@{}{parameter}>", flow.local);
        let answer = Answer::new(200).with("Contact", contact);
        stack.handle().respond(txn, answer).await;
        let outcome = client.outcome(dialog).await.expect("answered");
        client.ack(outcome.dialog, None).await;
        let acked = stack.next_event().await;
        assert!(matches!(acked, Some(Event::Acked { .. })), "{acked:?}");
        let handle = stack.handle();
        let sent = handle.request(theirs, Method::Options, Vec::new(), vec![b'a'; LONG]);
        assert!(sent.await.is_some());
        let Some(Event::Request { request, .. }) = client.next_event().await else {
            panic!("nothing came");
        };
        assert_eq!(request.body.len(), LONG, "{listen}");
    }
}

#[tokio::test]
async fn who_calls_goes_on_to_the_next_hop_where_one_fails() {
    let stack = server("tcp:127.0.0.1:0", TlsFiles::default(), &[]).await;
    let lives = stack.addrs()[0];
    // Held, and not listened on: nobody else gets it meanwhile.
    let held = tokio::net::TcpSocket::new_v4().expect("a socket");
    held.bind("127.0.0.1:0".parse().expect("an address"))
        .expect("a free port");
    let gone = held.local_addr().expect("an address");
    let hop = |addr: SipAddr| Hop {
        addr,
        name: None,
        near: lives.addr,
    };
    let mut client = client(lives, TlsFiles::default(), None).await;
    client.fall_back_to(&[hop(SipAddr::udp(lives.addr)), hop(lives)]);
    let call = Call {
        via: SipAddr::tcp(gone),
        ..call(&stack, "sip")
    };
    let called = tokio::spawn(take_and_hang_up(stack));
    let outcome = client.invite(&call).await.expect("placed");
    assert_eq!(outcome.response.code, 200);
    client.ack(outcome.dialog, None).await;
    called.await.expect("hung up");
}
