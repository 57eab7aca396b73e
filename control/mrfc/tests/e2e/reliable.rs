//! Reliable provisional responses (RFC 3262), of the focus and to it.

use super::{Bench, check_refused, config, header, until_acknowledged};
use crate::mrfp::Seen;
use crate::phones::{Callee, fields, refer};
use clock::Duration;
use sip::{Answer, Call, Event, Method};

fn requiring(bench: &Bench, tags: &str) -> Call {
    Call {
        headers: fields(&[("Require", tags)]),
        ..bench.call(0)
    }
}

// SIP-JOIN-010
#[tokio::test]
async fn who_requires_it_gets_a_reliable_183_and_then_its_200() {
    let mut bench = Bench::start(config()).await;
    let mut client = bench.client(0).await;
    // PRACK is sent by the stack of the client.
    let outcome = client
        .invite(&requiring(&bench, "100rel"))
        .await
        .expect("placed");
    assert_eq!(outcome.response.code, 200);
    let codes: Vec<_> = outcome.provisionals.iter().map(|r| r.code).collect();
    assert_eq!(codes, [100, 183]);
    let progress = &outcome.provisionals[1];
    check_refused(progress, 183, "Require", "100rel");
    check_refused(progress, 183, "Contact", ";isfocus");
    assert!(header(&progress.headers, "RSeq").parse::<u32>().is_ok());
    client.ack(outcome.dialog, None).await;
    until_acknowledged(&mut client, outcome.dialog).await;
    let stray = fields(&[("RAck", "1 1 INVITE")]);
    let stray = client
        .request_with(outcome.dialog, Method::Prack, stray, Vec::new())
        .await;
    assert_eq!(stray.expect("answered").code, 481);
    assert!(matches!(bench.mrfp.seen().await, Seen::Add { .. }));
    // Without an offer the 183 would have to bring ours.
    let call = Call {
        sdp: None,
        ..requiring(&bench, "100rel")
    };
    let outcome = client.invite(&call).await.expect("placed");
    let codes: Vec<_> = outcome.provisionals.iter().map(|r| r.code).collect();
    assert_eq!((codes.as_slice(), outcome.response.code), (&[100][..], 200));
}

// SIP-CALL-008
#[tokio::test]
async fn a_callee_answers_in_a_reliable_provisional_response() {
    let mut bench = Bench::start(config()).await;
    let (mut one, dialog) = bench.joined(0).await;
    let mut two = Callee::new(&bench, 0).await;
    assert_eq!(refer(&mut one, dialog, &two.uri, &[]).await.code, 202);
    let (called, txn, invite) = two.invited().await;
    assert!(invite.headers.has_token("Supported", "100rel"));
    let progress = Answer::new(183).with("Require", "100rel");
    two.answer_with(txn, progress, true).await;
    loop {
        if let Event::Request { txn, request, .. } =
            two.client.next_event().await.expect("the stack lives")
        {
            assert_eq!(request.method, Method::Prack);
            assert!(header(&request.headers, "RAck").ends_with("1 INVITE"));
            break two.client.respond(txn, Answer::new(200)).await;
        }
    }
    assert!(matches!(bench.mrfp.seen().await, Seen::Add { .. }));
    // The 200 need not say it again.
    two.answer_with(txn, Answer::new(200), false).await;
    match bench.mrfp.seen().await {
        Seen::Modify { remote, .. } => assert!(remote.contains("/s417121;tcp"), "{remote}"),
        other => panic!("{other:?}"),
    }
    until_acknowledged(&mut two.client, called).await;
}

// SIP-JOIN-011
#[tokio::test]
async fn a_183_that_nobody_acknowledges_ends_the_join() {
    let mut config = config();
    config.h248_timeout = Duration::from_secs(60);
    let mut bench = Bench::start(config).await;
    bench.mrfp.hold().await;
    let via = bench.mrfc.sip_addrs()[0].addr;
    let phone = tokio::net::UdpSocket::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let own = phone.local_addr().expect("an address");
    let text = format!(
        "INVITE sip:conference1@home2.net SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK1\r\n\
         From: <sip:mute@home1.net>;tag=1\r\nTo: <sip:conference1@home2.net>\r\nCall-ID: mute\r\n\
         CSeq: 1 INVITE\r\nRequire: 100rel\r\nContact: <sip:mute@{own}>\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{}",
        super::OFFER.len(),
        super::OFFER,
    );
    phone.send_to(text.as_bytes(), via).await.expect("sent");
    let mut buffer = [0; 4096];
    let mut next = async || {
        let size = phone.recv(&mut buffer).await.expect("a datagram");
        String::from_utf8_lossy(&buffer[..size]).into_owned()
    };
    assert!(next().await.starts_with("SIP/2.0 100 "));
    assert!(next().await.starts_with("SIP/2.0 183 "));
    assert!(matches!(bench.mrfp.seen().await, Seen::Add { .. }));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(33)).await;
    tokio::time::resume();
    loop {
        let line = next().await;
        match &line[..12] {
            "SIP/2.0 504 " => break,
            other => assert_eq!(other, "SIP/2.0 183 "),
        }
    }
    bench.mrfp.release().await;
    assert!(matches!(bench.mrfp.seen().await, Seen::Subtract { .. }));
}
