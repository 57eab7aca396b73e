//! Joins over every SIP transport and both address families.

use super::{Bench, check_refused, config, until_acknowledged};
use core::net::SocketAddr;
use mrfc::{Action, Config};
use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use sip::{Call, Method, SipAddr, SipClient, TlsFiles, Transport};
use std::path::PathBuf;

/// A certificate for `home2.net` and the authority that made it, in a directory of their own.
struct Files(PathBuf);

impl Files {
    fn new() -> Self {
        let dir = std::env::temp_dir().join(format!("mrf-mrfc-tls-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let ca = CertifiedIssuer::self_signed(params, key).expect("an authority");
        std::fs::write(dir.join("ca.pem"), ca.pem()).expect("written");
        let params = CertificateParams::new(vec!["home2.net".to_owned()]).expect("a name");
        let key = KeyPair::generate().expect("a key");
        let made = params.signed_by(&key, &ca).expect("issued");
        let both = made.pem() + &key.serialize_pem();
        std::fs::write(dir.join("home2.pem"), both).expect("written");
        Self(dir)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Whoever is reached by `sips:` is shown a `sips:` URI, of this listener if that is secure (RFC 3261
/// 12.1.1).
async fn check_contact(bench: &Bench, client: &mut SipClient, listener: usize) {
    let call = Call {
        headers: vec![("Contact".into(), "<sips:user1_public1@home1.net>".into())],
        sdp: None,
        ..bench.call(listener)
    };
    let (_, answer) = client.ask(Method::Options, &call).await.expect("placed");
    let contact = answer.headers.contact().expect("a Contact").uri;
    let addrs = bench.mrfc.sip_addrs();
    let same = |addr: &&SipAddr| {
        addr.transport == Transport::Tls && addr.addr.is_ipv6() == addrs[listener].addr.is_ipv6()
    };
    let shown = match addrs[listener] {
        own if own.transport.is_secure() => own,
        _ => *addrs.iter().find(same).expect("a secure listener"),
    };
    assert_eq!(contact.scheme(), "sips");
    assert_eq!(
        (contact.ip(), contact.port()),
        (Some(shown.addr.ip()), Some(shown.addr.port()))
    );
}

#[tokio::test]
async fn who_must_be_reached_by_sips_is_refused_where_nothing_is_secure() {
    let bench = Bench::start(config()).await;
    let mut client = bench.client(0).await;
    let call = |headers: &[(&str, &str)]| Call {
        headers: crate::phones::fields(headers),
        ..bench.call(0)
    };
    let contact = ("Contact", "<sips:user1_public1@home1.net>");
    let outcome = client.invite(&call(&[contact])).await.expect("placed");
    check_refused(
        &outcome.response,
        480,
        "Warning",
        "380 mrfc \"SIPS Not Allowed\"",
    );
    let event = [contact, ("Event", "conference"), ("Expires", "60")];
    let asked = client.ask(Method::Subscribe, &call(&event)).await;
    check_refused(&asked.expect("placed").1, 480, "Warning", "380 ");
    // What is behind a proxy that stays in the way does not count.
    let routed = [contact, ("Record-Route", "<sip:127.0.0.1:5060;lr>")];
    let outcome = client.invite(&call(&routed)).await.expect("placed");
    let contact = outcome.response.headers.contact().expect("a Contact");
    assert_eq!((outcome.response.code, contact.uri.scheme()), (200, "sip"));
}

// SIP-OPER-006
#[tokio::test]
async fn a_user_joins_over_every_transport_and_is_removed_through_its_connection() {
    let files = Files::new();
    let listen = |transport| {
        ["127.0.0.1:0", "[::1]:0"].map(|addr| SipAddr {
            transport,
            addr: addr.parse().expect("an address"),
        })
    };
    let mut bench = Bench::start(Config {
        sip: Transport::ALL.into_iter().flat_map(listen).collect(),
        tls: TlsFiles {
            certificate: Some(files.0.join("home2.pem")),
            ..TlsFiles::default()
        },
        ..config()
    })
    .await;
    for listener in 0..bench.mrfc.sip_addrs().len() {
        let via = bench.mrfc.sip_addrs()[listener];
        let local = SipAddr {
            transport: via.transport,
            addr: SocketAddr::new(via.addr.ip(), 0),
        };
        let trusting = TlsFiles {
            ca: Some(files.0.join("ca.pem")),
            ..TlsFiles::default()
        };
        let client = SipClient::bind_with(local, trusting, Some("home2.net".into())).await;
        let mut client = client.expect("a free port");
        check_contact(&bench, &mut client, listener).await;
        let (dialog, _) = bench.join(&mut client, listener).await;
        until_acknowledged(&mut client, dialog).await;
        let status = bench.mrfc.conferences().await;
        let participant = status[0].participants[0].id;
        let removed = bench
            .mrfc
            .act("conference1", Action::Remove { participant })
            .await;
        assert_eq!(removed, Ok(()), "{via}");
        super::until_bye(&mut client).await;
        bench.mrfp.seen().await;
        client.close().await;
    }
    assert_eq!(bench.mrfc.metrics().joins, 10);
}
