//! What only connections with TLS or WebSocket can show, on both backends.

use core::time::Duration;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use reactor::{Credentials, Identity, ReactorKind, Transport};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::ServerName;
use switch::{Event, Fingerprint, HashFunction, LossCause, Order, Secured};

use crate::behaviour::{expect_lost, noise};
use crate::client::{Client, PATIENCE, certificate, client_config, credentials, frame};
use crate::hub::{COUNT_CONNECTIONS, Mode};
use crate::rig::{Threads, any_certificate, connect_order};
use crate::rigs::Loopback;

fn backends() -> Vec<ReactorKind> {
    [ReactorKind::Mio, ReactorKind::Uring]
        .into_iter()
        .filter_map(|kind| kind.resolve().ok())
        .collect()
}

fn start(
    kind: ReactorKind,
    transport: Transport,
    credentials: Option<Credentials>,
) -> Threads<Loopback> {
    let modes = [Mode::Echo];
    Threads::start(kind, transport, Duration::ZERO, credentials, &modes, 10)
}

/// A client with its own configuration, after the handshake.
fn tls_client(rig: &Threads<Loopback>, config: Arc<rustls::ClientConfig>) -> Client {
    let name = ServerName::try_from("mrf.example.net").unwrap();
    let connection = rustls::ClientConnection::new(config, name).unwrap();
    Client::new(rig.tcp(0), Some(connection.into()))
}

fn fingerprint_of(certificate: &[u8]) -> Fingerprint {
    let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
    Fingerprint {
        hash: HashFunction::Sha256,
        octets: digest.as_ref().into(),
    }
}

// MSRP-TLS-005
#[test]
fn tls_1_2_and_1_3_are_spoken() {
    for kind in backends() {
        let rig = start(kind, Transport::Tls, Some(credentials()));
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let config = rustls::ClientConfig::builder_with_provider(Arc::new(default_provider()))
                .with_protocol_versions(&[version])
                .unwrap()
                .dangerous()
                .with_custom_certificate_verifier(crate::client::trusts_anybody())
                .with_no_client_auth();
            let mut client = tls_client(&rig, Arc::new(config));
            let octets = noise(100_000, 7);
            client.send(&octets);
            assert!(client.receive(octets.len()) == octets);
            let spoken = client.tls().protocol_version();
            assert_eq!(spoken, Some(version.version));
        }
        rig.stop();
    }
}

// MSRP-TLS-005 MSRP-TLS-006
#[test]
fn older_versions_and_static_rsa_are_refused_with_an_alert() {
    // ClientHello of TLS 1.1 with TLS_RSA_WITH_AES_128_CBC_SHA, and of TLS 1.2 with it alone.
    for minor in [2, 3] {
        let mut hello = vec![1, 0, 0, 41, 3, minor];
        hello.extend([7; 32]);
        hello.extend([0, 0, 2, 0, 0x2f, 1, 0]);
        let mut record = vec![22, 3, 1, 0, 45];
        record.extend(hello);
        for kind in backends() {
            let rig = start(kind, Transport::Tls, Some(credentials()));
            let mut client = Client::new(rig.tcp(0), None);
            client.write_wire(&record);
            let answer = client.receive_all();
            assert_eq!(answer[0], 21, "no alert: {answer:?}");
            rig.stop();
        }
    }
}

// MSRP-TLS-003
#[test]
fn the_certificate_of_the_peer_is_made_known() {
    for kind in backends() {
        let rig = start(kind, Transport::Tls, Some(credentials()));
        let (own, key) = certificate();
        let expected = fingerprint_of(&own);
        let mut client = tls_client(&rig, client_config(Some((own, key))));
        client.send(b"x");
        assert_eq!(client.receive(1), b"x");
        let Secured::Tls {
            certificate,
            is_vouched,
        } = rig.secured(0)
        else {
            panic!("it is secured");
        };
        assert!(certificate.contains(&expected), "{certificate:?}");
        assert!(is_vouched, "nobody is asked for an authority");
        let mut nobody = tls_client(&rig, client_config(None));
        nobody.send(b"x");
        assert_eq!(nobody.receive(1), b"x");
        let certificate = Box::default();
        let expected = Secured::Tls {
            certificate,
            is_vouched: true,
        };
        assert_eq!(rig.secured(0), expected);
        rig.stop();
    }
}

// MSRP-TLS-002
#[test]
fn an_authority_vouches_or_a_fingerprint_has_to() {
    let (authority, authority_pem) = authority();
    let (own, key) = issued(&authority, "client.example.net");
    for kind in backends() {
        let identity = Identity::self_signed(&["mrf.example.net".to_owned()]).unwrap();
        let credentials = Credentials::new(identity, Some(authority_pem.as_bytes())).unwrap();
        let rig = start(kind, Transport::Tls, Some(credentials));
        let known = client_config(Some((own.clone(), key.clone_key())));
        let stranger = client_config(Some(certificate()));
        for (config, expected) in [(known, true), (stranger, false)] {
            let mut client = tls_client(&rig, config);
            client.send(b"x");
            assert_eq!(client.receive(1), b"x");
            let Secured::Tls { is_vouched, .. } = rig.secured(0) else {
                panic!("it is secured");
            };
            assert_eq!(is_vouched, expected);
        }
        let mut nobody = tls_client(&rig, client_config(None));
        nobody.try_send(b"x");
        nobody.receive_end();
        rig.stop();
    }
}

#[test]
fn a_replaced_certificate_is_shown_to_newcomers_and_nobody_loses_a_connection() {
    for kind in backends() {
        let credentials = credentials();
        let rig = start(kind, Transport::Tls, Some(credentials.clone()));
        let mut before = tls_client(&rig, client_config(None));
        before.send(b"before");
        assert_eq!(before.receive(6), b"before");
        let first = credentials.fingerprint();
        credentials.replace(&crate::client::credentials());
        let second = credentials.fingerprint();
        assert_ne!(first, second);
        let mut after = tls_client(&rig, client_config(None));
        after.send(b"after");
        assert_eq!(after.receive(5), b"after");
        for (client, expected) in [(&mut before, first), (&mut after, second)] {
            let shown = &client.tls().peer_certificates().unwrap()[0];
            assert_eq!(fingerprint_of(shown), expected);
            client.send(b"still here");
            assert_eq!(client.receive(10), b"still here");
        }
        rig.stop();
    }
}

#[test]
fn a_farewell_is_answered_and_a_cut_is_told_apart() {
    for kind in backends() {
        for transport in [Transport::Tls, Transport::Ws, Transport::Wss] {
            let credentials = transport.is_secure().then(credentials);
            let rig = start(kind, transport, credentials);
            let mut polite = Client::connected(rig.tcp(0), transport);
            polite.send(b"x");
            assert_eq!(polite.receive(1), b"x");
            polite.shutdown();
            polite.receive_end();
            assert_eq!(polite.is_ended, transport.is_secure(), "no close_notify");
            let is_closed = polite.controls.contains(&8);
            assert_eq!(is_closed, transport.is_websocket(), "no close frame");
            expect_lost(&rig.event(0), LossCause::Closed);
            let mut cut = Client::connected(rig.tcp(0), transport);
            cut.send(b"x");
            assert_eq!(cut.receive(1), b"x");
            cut.cut();
            expect_lost(&rig.event(0), LossCause::Error(ErrorKind::UnexpectedEof));
            rig.stop();
        }
    }
}

#[test]
fn octets_that_are_no_tls_end_the_connection_before_the_logic_hears_of_it() {
    for kind in backends() {
        let rig = start(kind, Transport::Tls, Some(credentials()));
        let mut client = Client::new(rig.tcp(0), None);
        client.write_wire(b"MSRP plain111 SEND\r\nTo-Path: msrp://here\r\n");
        let answer = client.receive_all();
        assert_eq!(answer[0], 21, "no alert: {answer:?}");
        assert_eq!(rig.ask(0, COUNT_CONNECTIONS), 0);
        rig.stop();
    }
}

#[test]
fn a_request_that_is_no_websocket_for_msrp_gets_its_status() {
    for kind in backends() {
        let rig = start(kind, Transport::Ws, None);
        for (request, status) in [
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 "),
            ("POST / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 405 "),
        ] {
            let mut client = Client::new(rig.tcp(0), None);
            client.write_wire(request.as_bytes());
            let answer = client.receive_all();
            assert!(answer.starts_with(status.as_bytes()), "{status}");
        }
        assert_eq!(rig.ask(0, COUNT_CONNECTIONS), 0);
        rig.stop();
    }
}

// MSRP-WS-005
#[test]
fn a_ping_is_answered_and_a_broken_frame_closes_with_its_status() {
    for kind in backends() {
        let rig = start(kind, Transport::Ws, None);
        let mut client = Client::connected(rig.tcp(0), Transport::Ws);
        let mut wire = Vec::new();
        frame(&mut wire, 9, true, b"sign of life");
        frame(&mut wire, 2, true, b"x");
        client.write_wire(&wire);
        assert_eq!(client.receive(1), b"x");
        // An unmasked frame.
        client.write_wire(&[0x82, 1, b'y']);
        client.receive_end();
        assert_eq!(client.controls, [10, 8]);
        expect_lost(&rig.event(0), LossCause::Error(ErrorKind::InvalidData));
        rig.stop();
    }
}

#[test]
fn a_shard_that_connects_with_tls_reports_what_goes_wrong() {
    for kind in backends() {
        let rig = start(kind, Transport::Tls, Some(credentials()));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut command = connect_order(9, listener.local_addr().unwrap());
        if let Order::Install { config, .. } = &mut command.order {
            config.security = any_certificate();
        }
        rig.order(0, command);
        let (mut far, _) = listener.accept().unwrap();
        far.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(first_octet(&mut far), 22, "no ClientHello");
        far.write_all(b"I do not speak TLS").unwrap();
        let event = rig.event(0);
        let Event::Lost { cause, .. } = event else {
            panic!("{event:?} is no loss");
        };
        assert_eq!(cause, LossCause::ConnectFailed(ErrorKind::InvalidData));
        rig.stop();
    }
}

// MSRP-TLS-001
#[test]
fn a_shard_that_connects_says_which_host_it_wants() {
    for kind in backends() {
        let rig = start(kind, Transport::Tls, Some(credentials()));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut command = connect_order(9, listener.local_addr().unwrap());
        if let Order::Install { config, .. } = &mut command.order {
            config.security = any_certificate();
        }
        rig.order(0, command);
        let mut far = Client::accepted(listener.accept().unwrap().0, Transport::Tls);
        assert_eq!(far.receive(5), b"hello");
        let rustls::Connection::Server(server) = far.tls() else {
            panic!("it accepted");
        };
        assert_eq!(server.server_name(), Some("mrf.example.net"));
        rig.stop();
    }
}

fn first_octet(stream: &mut TcpStream) -> u8 {
    let mut octet = [0];
    while let Err(error) = stream.read_exact(&mut octet) {
        assert_eq!(error.kind(), ErrorKind::Interrupted);
    }
    octet[0]
}

type Issuer = rcgen::Issuer<'static, rcgen::KeyPair>;

fn authority() -> (Issuer, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem();
    (rcgen::Issuer::new(params, key), pem)
}

fn issued(
    authority: &Issuer,
    name: &str,
) -> (
    rustls::pki_types::CertificateDer<'static>,
    rustls::pki_types::PrivateKeyDer<'static>,
) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, authority).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    (certificate.der().clone(), key)
}
