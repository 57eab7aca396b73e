//! A controller that falls silent, on a real socket: `it/ito` finds it out.

#![expect(
    clippy::unwrap_used,
    reason = "a test that fails here has found something"
)]

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use h248::ast::{MessageBody, Transaction};
use h248_endpoint::TransportAddr;
use mrfp::{Config, ReactorKind};

/// Nothing here takes longer unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// The next request of the gateway: its id, its text and where it came from.
fn request(socket: &UdpSocket) -> (u32, String, SocketAddr) {
    let mut octets = [0; 4096];
    loop {
        let (count, from) = socket.recv_from(&mut octets).expect("a message in time");
        let octets = &octets[..count];
        let message = h248::parse(octets, &h248::Limits::default()).unwrap();
        let MessageBody::Transactions(transactions) = message.body else {
            continue;
        };
        // A TransactionResponseAck may travel in front of it.
        let id = transactions.iter().find_map(|t| match t {
            Transaction::Request(request) => Some(request.id.0),
            Transaction::Reply(_)
            | Transaction::Pending(_)
            | Transaction::Ack(_)
            | Transaction::Segment { .. } => None,
        });
        if let Some(id) = id {
            return (id, String::from_utf8(octets.to_vec()).unwrap(), from);
        }
    }
}

#[tokio::test]
async fn a_controller_that_gives_no_sign_of_life_is_registered_with_anew() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mrfp = mrfp::start(Config {
        msrp: vec!["127.0.0.1:0".parse().unwrap()],
        mgcs: vec![TransportAddr::Udp(socket.local_addr().unwrap())],
        reactor: ReactorKind::Mio,
        shards: core::num::NonZeroU8::new(1),
        h248_timeout: Duration::from_secs(1),
        ..Config::default()
    })
    .await
    .unwrap();
    let controller = tokio::task::spawn_blocking(move || {
        let (id, text, gateway) = request(&socket);
        assert!(text.contains("MT=RS"), "{text}");
        let consent = format!("!/1 <mrfc.example.net> P={id}{{C=-{{SC=ROOT{{SV{{V=2}}}}}}}}");
        socket.send_to(consent.as_bytes(), gateway).unwrap();
        let arm = "!/2 <mrfc.example.net> T=5{C=-{MF=ROOT{E=3{it/ito{mit=5}}}}}";
        socket.send_to(arm.as_bytes(), gateway).unwrap();
        let (_, text, _) = request(&socket);
        assert!(text.contains("N=ROOT{OE=3{"), "{text}");
        assert!(text.contains("it/ito"), "{text}");
        while !request(&socket).1.contains("MT=DC") {}
    });
    controller.await.unwrap();
    drop(mrfp);
}
