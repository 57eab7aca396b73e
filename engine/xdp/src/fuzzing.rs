//! The body of a fuzz target, also run as a unit test: a peer that may send anything.

use core::net::IpAddr;
use core::time::Duration;
use std::sync::Arc;

use clock::Instant;

use crate::frame::{Segment, complete};
use crate::stack::{Config, Event, FrameSink, Key, Owners, Read, Stack};

/// Frames that came out; each must be whole.
#[derive(Default)]
struct Out(Vec<Vec<u8>>);

impl FrameSink for Out {
    fn has_room(&mut self) -> bool {
        self.0.len() < 100
    }

    fn send<R>(&mut self, bytes: usize, write: impl FnOnce(&mut [u8]) -> R) -> R {
        let mut frame = vec![0; bytes];
        let outcome = write(&mut frame);
        self.0.push(frame);
        outcome
    }

    fn send_routed(&mut self, _: IpAddr, _: &[u8]) {}
}

/// What a peer knows of one of its connections: the numbers of the last segment that it got.
#[derive(Clone, Copy, Default)]
struct Peer {
    sequence: u32,
    acknowledged: u32,
}

struct Bench {
    stack: Stack,
    out: Out,
    now: Instant,
    peers: [Peer; 4],
    keys: Vec<Key>,
}

/// Feeds a stack with what `data` says: records of a kind, a length and octets. Asserts that what comes
/// out are whole segments, and that tables stay within their bounds.
///
/// | kind | octets |
/// |---|---|
/// | 0 | a frame as it is |
/// | 1, 2, 3, 4 | a segment of one of four peers: flags, distance from the expected number, payload |
/// | 5 | time passes |
/// | 6 | the owner reads and writes |
/// | 7 | the owner closes, aborts, or moves a connection |
pub fn frames(data: &[u8]) {
    let mut bench = Bench {
        stack: Stack::new(Config {
            shard: 0,
            shards: 1,
            listeners: vec![
                ([10, 0, 0, 1], 2855).into(),
                (core::net::Ipv6Addr::LOCALHOST, 2855).into(),
            ],
            packet_bytes_max: 1500,
            accepts_partial: false,
            leaves_checksums: false,
            seed: 7,
            owners: Arc::new(Owners::default()),
        }),
        out: Out::default(),
        now: Instant::ZERO + Duration::from_secs(1),
        peers: [Peer::default(); 4],
        keys: Vec::new(),
    };
    let mut rest = data;
    while let [kind, length, tail @ ..] = rest {
        let (octets, tail) = tail.split_at(usize::from(*length).min(tail.len()));
        rest = tail;
        bench.step(kind % 8, octets);
        bench.drain();
    }
}

impl Bench {
    fn step(&mut self, kind: u8, octets: &[u8]) {
        match kind {
            0 => {
                self.stack.receive(self.now, octets, false, &mut self.out);
            }
            peer @ 1..=4 => {
                let frame = self.segment(usize::from(peer - 1), octets);
                self.stack.receive(self.now, &frame, false, &mut self.out);
            }
            5 => {
                let count = octets.first().copied().unwrap_or(1);
                self.now += Duration::from_millis(u64::from(count) * u64::from(count));
                self.stack.handle_deadline(self.now);
            }
            6 => {
                for key in self.keys.clone() {
                    while matches!(self.stack.read(key, <[u8]>::len), Read::Octets(_)) {}
                    self.stack.write(key, [octets]);
                }
            }
            _ => {
                let Some(key) = self.keys.pop() else {
                    return;
                };
                match octets.first().map(|octet| octet % 3) {
                    Some(0) => self.stack.close(self.now, key),
                    Some(1) => self.stack.abort(self.now, key),
                    Some(_) | None => {
                        if let Some(conn) = self.stack.detach(key) {
                            let key = self.stack.attach(self.now, *conn, &mut self.out);
                            self.keys.push(key);
                        }
                    }
                }
            }
        }
    }

    /// A segment of a peer, near what would be right.
    fn segment(&self, peer: usize, octets: &[u8]) -> Vec<u8> {
        let (head, payload) = octets.split_at(octets.len().min(2));
        let flags = head.first().copied().unwrap_or(2);
        let off = head.get(1).map_or(0, |octet| octet.cast_signed());
        let known = self.peers[peer];
        let sequence = known.acknowledged.wrapping_add_signed(off.into());
        let port = 40_000 + u16::try_from(peer).expect("one of four");
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        let bytes = u16::try_from(40 + payload.len()).expect("a short record");
        frame.extend([0x45, 0]);
        frame.extend(bytes.to_be_bytes());
        frame.extend([0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1]);
        frame.extend(port.to_be_bytes());
        frame.extend(2855u16.to_be_bytes());
        frame.extend(sequence.to_be_bytes());
        frame.extend(known.sequence.to_be_bytes());
        frame.extend([0x50, flags & 0x3f, 0x20, 0, 0, 0, 0, 0]);
        frame.extend(payload);
        complete(&mut frame);
        frame
    }

    /// Lets the stack send and say all it has.
    fn drain(&mut self) {
        self.stack.transmit(self.now, &mut self.out);
        while let Some(event) = self.stack.poll_event() {
            if let Event::Accepted { conn, .. } = event {
                let key = self.stack.attach(self.now, *conn, &mut self.out);
                self.keys.push(key);
            }
        }
        for frame in self.out.0.drain(..) {
            let segment = Segment::parse(&frame).expect("what is sent can be read");
            assert!(segment.is_whole(&frame, false), "with right checksums");
            let tcp = &frame[segment.tcp];
            let word = |at: usize| u32::from_be_bytes(tcp[at..at + 4].try_into().expect("four"));
            let to = u16::from_be_bytes([tcp[2], tcp[3]]);
            if let Some(peer) = self.peers.get_mut(usize::from(to.wrapping_sub(40_000))) {
                let header = usize::from(tcp[12] >> 4) * 4;
                let mut count = u32::try_from(tcp.len() - header).expect("a short segment");
                count += u32::from(tcp[13] & 1) + u32::from(tcp[13] >> 1 & 1);
                peer.sequence = word(4).wrapping_add(count);
                peer.acknowledged = word(8);
            }
        }
        let conns = self.stack.conn_count();
        assert!(
            conns <= self.peers.len() + 8,
            "{conns} connections of a few peers"
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::frames;

    #[test]
    fn a_script_of_a_whole_connection_runs() {
        // SYN, its acknowledgement with data, reading and writing, FIN, close, and TIME-WAIT.
        let script: &[&[u8]] = &[
            &[1, 2, 0x02, 0],
            &[1, 7, 0x18, 0, b'h', b'e', b'l', b'l', b'o'],
            &[6, 3, b'a', b'b', b'c'],
            &[1, 2, 0x11, 0],
            &[7, 1, 0],
            &[1, 2, 0x10, 0],
            &[5, 1, 255],
        ];
        frames(&script.concat());
    }

    proptest! {
        #[test]
        fn anything_may_come(
            script in prop::collection::vec(
                (0u8..8, prop::collection::vec(any::<u8>(), 0..60)),
                0..40,
            ),
        ) {
            let data: Vec<u8> = script
                .into_iter()
                .flat_map(|(kind, octets)| {
                    let length = u8::try_from(octets.len()).unwrap();
                    [vec![kind, length], octets].concat()
                })
                .collect();
            frames(&data);
        }

        #[test]
        fn likely_segments_may_come(
            script in prop::collection::vec(
                (1u8..8, 0usize..6, -2i8..3, prop::collection::vec(any::<u8>(), 0..20)),
                0..60,
            ),
        ) {
            let flags = [0x02, 0x10, 0x18, 0x11, 0x04, 0x14];
            let data: Vec<u8> = script
                .into_iter()
                .flat_map(|(kind, flag, off, octets)| {
                    let length = u8::try_from(octets.len() + 2).unwrap();
                    [vec![kind, length, flags[flag], off.cast_unsigned()], octets].concat()
                })
                .collect();
            frames(&data);
        }
    }
}
