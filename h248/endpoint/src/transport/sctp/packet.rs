//! What the protocol crate lacks of SCTP packets.
//!
//! It knows the payload protocol identifiers of WebRTC alone: ours is written over what it puts into DATA
//! chunks, and the checksum made anew. It answers heartbeats, sends none, and takes no packet with an
//! answer to one in it: those are made and taken out here.

use super::PPID_H248;
use crc::{CRC_32_ISCSI, Crc};

/// Octets of the common header (RFC 9260 section 3.1).
const HEADER_BYTES: usize = 12;
/// Octets of the header of a DATA chunk (section 3.3.1); the identifier is its last four.
const DATA_HEADER_BYTES: usize = 16;
/// Chunk type of DATA.
const DATA: u8 = 0;
/// Chunk types of HEARTBEAT and its answer (sections 3.3.5 and 3.3.6).
const HEARTBEAT: u8 = 4;
const HEARTBEAT_ACK: u8 = 5;
/// A heartbeat chunk of ours, without type: flags, length, and the Heartbeat Info parameter with its
/// type and length; eight octets of information follow.
const HEARTBEAT_HEADER: [u8; 7] = [0, 0, 16, 0, 1, 0, 12];
/// Octets of such a chunk.
const HEARTBEAT_BYTES: usize = 16;

const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// Whether this is the first packet of an association: INIT comes with verification tag 0.
pub(super) fn is_first(packet: &[u8]) -> bool {
    packet.get(4..8) == Some(&[0; 4])
}

/// The verification tag of a packet, which names the association to whom it goes to; `None` in the first.
pub(super) fn tag(packet: &[u8]) -> Option<[u8; 4]> {
    let tag = packet.get(4..)?.first_chunk().copied()?;
    (tag != [0; 4]).then_some(tag)
}

/// A heartbeat from one port to the other, under the tag of whom it goes to.
pub(super) fn heartbeat(ports: (u16, u16), tag: [u8; 4], information: [u8; 8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(HEADER_BYTES + HEARTBEAT_BYTES);
    packet.extend_from_slice(&ports.0.to_be_bytes());
    packet.extend_from_slice(&ports.1.to_be_bytes());
    packet.extend_from_slice(&tag);
    packet.extend_from_slice(&[0; 4]);
    packet.push(HEARTBEAT);
    packet.extend_from_slice(&HEARTBEAT_HEADER);
    packet.extend_from_slice(&information);
    sign(&mut packet);
    packet
}

/// Takes the answer to a heartbeat of ours out of a packet that is in order, and returns its information.
pub(super) fn take_heartbeat_ack(packet: &mut Vec<u8>) -> Option<[u8; 8]> {
    let at = chunks(packet).find_map(|(kind, at, _)| (kind == HEARTBEAT_ACK).then_some(at))?;
    let end = at + HEARTBEAT_BYTES;
    let chunk = packet.get(at..end)?;
    if chunk[1..8] != HEARTBEAT_HEADER {
        return None;
    }
    let information = chunk[8..].first_chunk().copied()?;
    let before = packet.clone();
    sign(packet);
    if before != *packet {
        *packet = before;
        return None;
    }
    packet.drain(at..end);
    sign(packet);
    Some(information)
}

/// Whether a packet has no chunks.
pub(super) fn is_bare(packet: &[u8]) -> bool {
    packet.len() <= HEADER_BYTES
}

/// Type, place and length of each chunk.
fn chunks(packet: &[u8]) -> impl Iterator<Item = (u8, usize, usize)> {
    let mut at = HEADER_BYTES;
    core::iter::from_fn(move || {
        let &[kind, _, high, low] = packet.get(at..).and_then(<[u8]>::first_chunk)?;
        let bytes = usize::from(u16::from_be_bytes([high, low]));
        let chunk = (kind, at, bytes);
        // A chunk ends on a multiple of four octets, and covers its own header.
        at += bytes.max(4).next_multiple_of(4);
        Some(chunk)
    })
}

/// Makes the checksum anew.
fn sign(packet: &mut [u8]) {
    packet[8..HEADER_BYTES].fill(0);
    let sum = CRC32C.checksum(packet);
    packet[8..HEADER_BYTES].copy_from_slice(&sum.to_le_bytes());
}

/// Writes our identifier into every DATA chunk.
pub(super) fn mark(packet: &mut [u8]) {
    let is_data = |&(kind, at, bytes): &(u8, usize, usize)| {
        kind == DATA && bytes >= DATA_HEADER_BYTES && packet.len() >= at + DATA_HEADER_BYTES
    };
    let places: Vec<usize> = chunks(packet)
        .filter(is_data)
        .map(|(_, at, _)| at)
        .collect();
    for at in &places {
        let end = at + DATA_HEADER_BYTES;
        packet[end - 4..end].copy_from_slice(&PPID_H248.to_be_bytes());
    }
    if !places.is_empty() {
        sign(packet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet with these chunks and no checksum.
    fn packet(chunks: &[&[u8]]) -> Vec<u8> {
        let mut packet = vec![0x0b, 0x80, 0x0b, 0x80, 1, 2, 3, 4, 0, 0, 0, 0];
        for chunk in chunks {
            packet.extend_from_slice(chunk);
        }
        packet
    }

    const SACK: &[u8] = &[3, 0, 0, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0];
    const DATA_OF_1: &[u8] = &[
        0, 3, 0, 17, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 58, b'x', 0, 0, 0,
    ];

    #[test]
    fn every_data_chunk_gets_the_identifier_and_nothing_else_changes() {
        let mut marked = packet(&[SACK, DATA_OF_1, DATA_OF_1]);
        mark(&mut marked);
        assert_eq!(&marked[12..28], SACK);
        for at in [28, 48] {
            assert_eq!(&marked[at..at + 12], &DATA_OF_1[..12]);
            assert_eq!(&marked[at + 12..at + 20], [0, 0, 0, 7, b'x', 0, 0, 0]);
        }
        let sum = u32::from_le_bytes([marked[8], marked[9], marked[10], marked[11]]);
        marked[8..12].fill(0);
        assert_eq!(sum, CRC32C.checksum(&marked));
    }

    #[test]
    fn packets_without_data_and_packets_cut_short_stay_as_they_are() {
        for end in 0..=28 {
            let whole = packet(&[SACK]);
            let mut cut = whole[..end].to_vec();
            mark(&mut cut);
            assert_eq!(cut, &whole[..end]);
        }
        let mut endless = packet(&[&[0, 0, 0, 0], &[0, 0, 0, 0]]);
        let before = endless.clone();
        mark(&mut endless);
        assert_eq!(endless, before);
    }

    #[test]
    fn an_answer_is_taken_out_of_a_packet_in_order_alone() {
        let beat = heartbeat((2944, 2944), [1, 2, 3, 4], *b"sometime");
        assert_eq!(take_heartbeat_ack(&mut beat.clone()), None, "it is none");
        let mut answer = beat.clone();
        answer[HEADER_BYTES] = HEARTBEAT_ACK;
        assert_eq!(take_heartbeat_ack(&mut answer.clone()), None, "not signed");
        sign(&mut answer);
        let alone = &mut answer.clone();
        assert_eq!(take_heartbeat_ack(alone), Some(*b"sometime"));
        assert!(is_bare(alone));
        let mut bundled = packet(&[SACK, &answer[HEADER_BYTES..], DATA_OF_1]);
        sign(&mut bundled);
        let mut rest = packet(&[SACK, DATA_OF_1]);
        sign(&mut rest);
        assert_eq!(take_heartbeat_ack(&mut bundled), Some(*b"sometime"));
        assert_eq!(bundled, rest);
        for end in 0..answer.len() {
            assert_eq!(take_heartbeat_ack(&mut answer[..end].to_vec()), None);
        }
    }

    #[test]
    fn the_first_packet_bears_no_tag() {
        assert_eq!(tag(&[0; 12]), None);
        assert_eq!(tag(&packet(&[])), Some([1, 2, 3, 4]));
        assert!(is_first(&[0; 12]));
        assert!(!is_first(&packet(&[])));
        assert!(!is_first(&[0; 7]));
    }
}
