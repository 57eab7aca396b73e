//! SCTP packets on their way out: the payload protocol identifier of H.248.
//!
//! The protocol crate knows the identifiers of WebRTC alone; ours is written over what it puts into
//! DATA chunks, and the checksum made anew.

use super::PPID_H248;
use crc::{CRC_32_ISCSI, Crc};

/// Octets of the common header (RFC 9260 section 3.1).
const HEADER_BYTES: usize = 12;
/// Octets of the header of a DATA chunk (section 3.3.1); the identifier is its last four.
const DATA_HEADER_BYTES: usize = 16;
/// Chunk type of DATA.
const DATA: u8 = 0;

const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// Whether this is the first packet of an association: INIT comes with verification tag 0.
pub(super) fn is_first(packet: &[u8]) -> bool {
    packet.get(4..8) == Some(&[0; 4])
}

/// Writes our identifier into every DATA chunk.
pub(super) fn mark(packet: &mut [u8]) {
    let mut at = HEADER_BYTES;
    let mut is_changed = false;
    while let Some(&[kind, _, high, low]) = packet.get(at..).and_then(<[u8]>::first_chunk) {
        let bytes = usize::from(u16::from_be_bytes([high, low]));
        let end = at + DATA_HEADER_BYTES;
        if kind == DATA && bytes >= DATA_HEADER_BYTES && packet.len() >= end {
            packet[end - 4..end].copy_from_slice(&PPID_H248.to_be_bytes());
            is_changed = true;
        }
        // A chunk ends on a multiple of four octets, and covers its own header.
        at += bytes.max(4).next_multiple_of(4);
    }
    if is_changed {
        packet[8..HEADER_BYTES].fill(0);
        let sum = CRC32C.checksum(packet);
        packet[8..HEADER_BYTES].copy_from_slice(&sum.to_le_bytes());
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
    fn the_first_packet_bears_no_tag() {
        assert!(is_first(&[0; 12]));
        assert!(!is_first(&packet(&[])));
        assert!(!is_first(&[0; 7]));
    }
}
