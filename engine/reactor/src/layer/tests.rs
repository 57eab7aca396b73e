//! WebSocket under every cut, against a plain encoder, and under random octets; how TLS fills its records.

use std::rc::Rc;
use std::sync::Arc;

use proptest::prelude::*;
use switch::Batch;

use super::websocket::{FrameFault, WebSocket};
use super::{Credentials, Fault, Identity, Layer, Sink, Transport, Workshop};
use crate::limits::{LAYER_BLOCK_BYTES, RECORD_BYTES};

type Octets = Rc<[u8]>;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Protocol: msrp\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// Collects messages; offers odd amounts of space.
#[derive(Debug, Default)]
struct Collector {
    space_bytes: usize,
    open: Vec<u8>,
    messages: Vec<Vec<u8>>,
}

impl Sink for Collector {
    fn fill(&mut self, read: &mut dyn FnMut(&mut [u8]) -> usize) -> usize {
        self.space_bytes = self.space_bytes % 37 + 1;
        let mut space = vec![0; self.space_bytes];
        let count = read(&mut space);
        self.open.extend_from_slice(&space[..count]);
        count
    }

    fn end_message(&mut self) {
        self.messages.push(core::mem::take(&mut self.open));
    }
}

fn opened() -> WebSocket {
    let mut websocket = WebSocket::default();
    websocket
        .receive(REQUEST, &mut Collector::default())
        .unwrap();
    websocket.write_own(&mut Vec::new());
    websocket
}

fn frame(wire: &mut Vec<u8>, opcode: u8, is_final: bool, mask: [u8; 4], payload: &[u8]) {
    wire.push(opcode | if is_final { 0x80 } else { 0 });
    match payload.len() {
        short @ 0..126 => wire.push(0x80 | u8::try_from(short).unwrap()),
        medium => {
            wire.push(0x80 | 126);
            wire.extend_from_slice(&u16::try_from(medium).unwrap().to_be_bytes());
        }
    }
    wire.extend_from_slice(&mask);
    wire.extend(payload.iter().zip(mask.iter().cycle()).map(|(o, m)| o ^ m));
}

#[track_caller]
fn check_fault(wire: &[u8], expected: FrameFault, status: u16) {
    let mut websocket = opened();
    let outcome = websocket.receive(wire, &mut Collector::default());
    let Err(Fault::Frame(fault)) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(fault, expected);
    let mut out = Vec::new();
    websocket.write_own(&mut out);
    let [high, low] = status.to_be_bytes();
    assert_eq!(out, [0x88, 2, high, low]);
    assert!(websocket.is_ended());
}

#[test]
fn every_way_to_break_the_framing_is_answered_with_its_status() {
    let long_ping = [0x89, 0xFE, 0, 126, 0, 0, 0, 0];
    let huge = [0x82, 0xFF, 0, 0, 0, 0, 0x7F, 0, 0, 0, 0, 0, 0, 0];
    for (wire, fault, status) in [
        (&[0xC2, 0x80, 0, 0, 0, 0][..], FrameFault::Reserved, 1002),
        (&[0x83, 0x80, 0, 0, 0, 0], FrameFault::Opcode(3), 1002),
        (&[0x82, 0x00], FrameFault::NotMasked, 1002),
        (&long_ping, FrameFault::Control, 1002),
        (&[0x09, 0x80, 0, 0, 0, 0], FrameFault::Control, 1002),
        (&[0x82, 0xFE, 0, 125, 0, 0, 0, 0], FrameFault::Length, 1002),
        (&[0x80, 0x80, 0, 0, 0, 0], FrameFault::Fragment, 1002),
        (&[0x88, 0x81, 0, 0, 0, 0, 3], FrameFault::Close, 1002),
        (&[0x88, 0x82, 0, 0, 0, 0, 3, 0xED], FrameFault::Close, 1002),
        (&huge, FrameFault::TooBig, 1009),
    ] {
        check_fault(wire, fault, status);
    }
}

fn closing(payload: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    frame(&mut wire, 8, true, [7, 3, 9, 1], payload);
    wire
}

#[test]
fn a_close_frame_is_repeated_if_its_status_may_be_sent_and_its_reason_is_text() {
    let long = [&[3, 232][..], &[b'x'; 123]].concat();
    let too_long = [&[3, 232][..], &[b'x'; 124]].concat();
    check_fault(&closing(&too_long), FrameFault::Control, 1002);
    for status in 0..=u16::MAX {
        // RFC 6455 section 7.4 and the registry of IANA.
        let may_be_sent = matches!(status, 1000..=1003 | 1007..=1014 | 3000..=4999);
        if !may_be_sent {
            check_fault(&closing(&status.to_be_bytes()), FrameFault::Close, 1002);
            continue;
        }
        let reason = [&status.to_be_bytes()[..], "tschüß".as_bytes()].concat();
        for payload in [&status.to_be_bytes()[..], &reason] {
            check_farewell(payload, &status.to_be_bytes());
        }
    }
    check_farewell(&long, &[3, 232]);
    check_farewell(&[], &[]);
    for reason in [&b"\xFF"[..], b"cut \xE2\x82", b"\xED\xA0\x80", b"\xC0\xAF"] {
        let payload = [&[3, 232][..], reason].concat();
        check_fault(&closing(&payload), FrameFault::Reason, 1007);
    }
}

#[track_caller]
fn check_farewell(payload: &[u8], answer: &[u8]) {
    let mut websocket = opened();
    let outcome = websocket.receive(&closing(payload), &mut Collector::default());
    assert!(outcome.is_ok() && websocket.is_ended(), "{payload:?}");
    websocket.say_goodbye();
    let mut out = Vec::new();
    websocket.write_own(&mut out);
    let count = u8::try_from(answer.len()).unwrap();
    assert_eq!(out, [&[0x88, count], answer].concat());
}

// MSRP-WS-002
#[test]
fn each_chunk_leaves_as_one_message_also_over_several_batches() {
    let mut websocket = opened();
    let mut out = Vec::new();
    let mut batch = Batch::<Octets>::default();
    batch.write(|text| text.extend_from_slice(b"one"));
    batch.end_message();
    batch.write(|text| text.extend_from_slice(b"two begins"));
    websocket.frame(&batch, |octets| out.extend_from_slice(octets));
    batch.clear();
    let shared: Octets = vec![b'x'; 70_000].into();
    batch.push(&shared, 0..70_000);
    batch.end_message();
    websocket.frame(&batch, |octets| out.extend_from_slice(octets));
    let mut expected = b"\x82\x03one\x02\x0Atwo begins\x80\x7F\0\0\0\0\0\x01\x11\x70".to_vec();
    expected.extend_from_slice(&shared);
    assert!(out == expected);
}

// MSRP-WS-005
#[test]
fn only_the_latest_ping_is_answered() {
    let mut websocket = opened();
    let mut wire = Vec::new();
    frame(&mut wire, 9, true, [1, 2, 3, 4], b"first");
    frame(&mut wire, 9, true, [5, 6, 7, 8], b"second");
    websocket.receive(&wire, &mut Collector::default()).unwrap();
    let mut out = Vec::new();
    websocket.write_own(&mut out);
    assert_eq!(out, b"\x8A\x06second");
}

/// Both ends of a connection over TLS after their handshakes.
fn secured(workshop: &mut Workshop) -> (Layer, Layer) {
    let identity = Identity::self_signed(&["mrf.example.net".to_owned()]).unwrap();
    let credentials = Credentials::new(identity, None).unwrap();
    let to = ([127, 0, 0, 1], 1).into();
    let mut client = Layer::connect(Some(&credentials), "mrf.example.net", to, workshop).unwrap();
    let server = Layer::accept(Transport::Tls, Some(&credentials), &Arc::from([])).unwrap();
    let mut server = server.expect("TLS is a layer");
    while !client.is_established() || !server.is_established() {
        pass(&mut client, &mut server, workshop);
        pass(&mut server, &mut client, workshop);
    }
    (client, server)
}

/// Hands what one has to send to the other; what it holds.
fn pass(from: &mut Layer, to: &mut Layer, workshop: &mut Workshop) -> Vec<u8> {
    let mut collector = Collector::default();
    let blocks = from.take_output(workshop).unwrap().into_blocks();
    for block in &blocks {
        to.receive(block, workshop, &mut collector).unwrap();
    }
    workshop.reuse(blocks);
    collector.open
}

#[test]
fn small_and_large_runs_share_records_that_are_full() {
    let mut workshop = Workshop::default();
    let (mut client, mut server) = secured(&mut workshop);
    let octets: Octets = (0..20_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let mut batch = Batch::<Octets>::default();
    let mut expected = Vec::new();
    for count in [1, 3_000, 20_000, 700, 9_000, 15_000, 2_500] {
        batch.push(&octets, 0..count);
        expected.extend_from_slice(&octets[..count]);
    }
    client.send(&batch, &mut workshop).unwrap();
    let blocks = client.take_output(&mut workshop).unwrap().into_blocks();
    assert!(
        blocks
            .iter()
            .all(|b| !b.is_empty() && b.len() <= LAYER_BLOCK_BYTES)
    );
    let wire = blocks.concat();
    let mut records = 0;
    let mut rest = wire.as_slice();
    while let [_, _, _, high, low, ..] = rest {
        rest = &rest[5 + usize::from(u16::from_be_bytes([*high, *low]))..];
        records += 1;
    }
    assert_eq!(records, expected.len().div_ceil(RECORD_BYTES));
    let mut collector = Collector::default();
    server
        .receive(&wire, &mut workshop, &mut collector)
        .unwrap();
    assert!(collector.open == expected);
    // The other way, in blocks that were used before.
    workshop.reuse(blocks);
    server.send(&batch, &mut workshop).unwrap();
    assert!(pass(&mut server, &mut client, &mut workshop) == expected);
}

proptest! {
    // MSRP-WS-002
    #[test]
    fn messages_arrive_whole_however_they_are_fragmented_and_cut(
        messages in prop::collection::vec(
            prop::collection::vec((prop::collection::vec(any::<u8>(), 0..300), any::<[u8; 4]>()), 1..4),
            0..6,
        ),
        cuts in prop::collection::vec(1_usize..200, 1..20),
    ) {
        let mut wire = REQUEST.to_vec();
        let mut expected = Vec::new();
        for fragments in &messages {
            for (index, (payload, mask)) in fragments.iter().enumerate() {
                let opcode = if index == 0 { 1 + mask[0] % 2 } else { 0 };
                frame(&mut wire, opcode, index + 1 == fragments.len(), *mask, payload);
                frame(&mut wire, 10, true, *mask, b"unasked");
            }
            expected.push(fragments.iter().flat_map(|(p, _)| p.clone()).collect::<Vec<_>>());
        }
        let mut websocket = WebSocket::default();
        let mut collector = Collector::default();
        let mut rest = wire.as_slice();
        for cut in cuts.iter().cycle() {
            let (now, later) = rest.split_at(rest.len().min(*cut));
            websocket.receive(now, &mut collector).unwrap();
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(collector.messages, expected);
        prop_assert!(collector.open.is_empty());
    }

    #[test]
    fn octets_of_any_kind_do_no_harm(
        octets in prop::collection::vec(any::<u8>(), 0..2000),
        is_open in any::<bool>(),
    ) {
        let mut websocket = if is_open { opened() } else { WebSocket::default() };
        let mut collector = Collector::default();
        let _ = websocket.receive(&octets, &mut collector);
        let data = collector.open.len() + collector.messages.iter().map(Vec::len).sum::<usize>();
        prop_assert!(data <= octets.len());
        let mut out = Vec::new();
        websocket.write_own(&mut out);
        prop_assert!(out.len() <= 2 * 127 + 200);
    }
}
