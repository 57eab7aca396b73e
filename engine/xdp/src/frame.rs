//! Ethernet frames that carry TCP: what they are about, and whether they arrived whole.

use core::hash::{Hash, Hasher};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::ops::Range;

/// Octets of an Ethernet header; tagged frames are the system's.
pub const ETHERNET_BYTES: usize = 14;

/// Octets of the shortest IPv4 and TCP headers.
const IPV4_BYTES_MIN: usize = 20;
const IPV6_BYTES: usize = 40;
const TCP_BYTES_MIN: usize = 20;

pub(crate) const ETHERTYPE_IPV4: u16 = 0x0800;
pub(crate) const ETHERTYPE_IPV6: u16 = 0x86dd;
pub(crate) const PROTOCOL_TCP: u8 = 6;
/// More-fragments flag and fragment offset.
pub(crate) const IPV4_FRAGMENT: u16 = 0x3fff;

const FLAG_FIN: u8 = 0x01;
const FLAG_SYN: u8 = 0x02;
const FLAG_RST: u8 = 0x04;
pub(crate) const FLAG_ACK: u8 = 0x10;
/// Those that say what a segment is about.
pub(crate) const FLAGS_OF_CONTROL: u8 = FLAG_FIN | FLAG_SYN | FLAG_RST | FLAG_ACK;

/// The Ethernet header in front of what is sent: destination, source, type.
pub type Header = [u8; ETHERNET_BYTES];

/// Both ends of a connection, seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Ours.
    pub local: SocketAddr,
    /// The peer's.
    pub remote: SocketAddr,
}

impl Hash for Flow {
    /// Two words, or six: a table of flows is asked for every frame.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let ports = u64::from(self.local.port()) << 16 | u64::from(self.remote.port());
        match (self.local.ip(), self.remote.ip()) {
            (IpAddr::V4(local), IpAddr::V4(remote)) => {
                let both = u64::from(local.to_bits()) << 32 | u64::from(remote.to_bits());
                state.write_u64(both);
            }
            (local, remote) => {
                for ip in [local, remote] {
                    let octets = match ip {
                        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
                        IpAddr::V6(ip) => ip.octets(),
                    };
                    let (one, two) = octets.split_at(8);
                    for half in [one, two] {
                        state.write_u64(u64::from_ne_bytes(half.try_into().expect("eight octets")));
                    }
                }
            }
        }
        state.write_u64(ports);
    }
}

/// A TCP segment in a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Whose it is.
    pub flow: Flow,
    /// The IP packet within the frame, without Ethernet padding.
    pub packet: Range<usize>,
    /// The TCP header and payload within the frame.
    pub tcp: Range<usize>,
    flags: u8,
    payload_bytes: usize,
}

impl Segment {
    /// The TCP segment that a frame carries; `None` if it carries something else, a fragment, or
    /// headers that contradict each other.
    #[must_use]
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let ip = frame.get(ETHERNET_BYTES..)?;
        let (ip_bytes, packet_bytes, source, target): (_, _, IpAddr, IpAddr) =
            match be16(frame, 12)? {
                ETHERTYPE_IPV4 => {
                    let first = *ip.first()?;
                    let ip_bytes = usize::from(first & 0x0f) * 4;
                    let is_plain = first >> 4 == 4
                        && ip_bytes >= IPV4_BYTES_MIN
                        && be16(ip, 6)? & IPV4_FRAGMENT == 0
                        && *ip.get(9)? == PROTOCOL_TCP;
                    if !is_plain {
                        return None;
                    }
                    let address = |at| Some(Ipv4Addr::from(array::<4>(ip, at)?).into());
                    (ip_bytes, be16(ip, 2)?.into(), address(12)?, address(16)?)
                }
                ETHERTYPE_IPV6 => {
                    if ip.first()? >> 4 != 6 || *ip.get(6)? != PROTOCOL_TCP {
                        return None;
                    }
                    let address = |at| Some(Ipv6Addr::from(array::<16>(ip, at)?).into());
                    let packet_bytes = IPV6_BYTES + usize::from(be16(ip, 4)?);
                    (IPV6_BYTES, packet_bytes, address(8)?, address(24)?)
                }
                _ => return None,
            };
        let tcp = ip.get(ip_bytes..packet_bytes)?;
        let tcp_bytes = usize::from(tcp.get(12)? >> 4) * 4;
        if tcp_bytes < TCP_BYTES_MIN || tcp_bytes > tcp.len() {
            return None;
        }
        Some(Self {
            flow: Flow {
                local: (target, be16(tcp, 2)?).into(),
                remote: (source, be16(tcp, 0)?).into(),
            },
            packet: ETHERNET_BYTES..ETHERNET_BYTES + packet_bytes,
            tcp: ETHERNET_BYTES + ip_bytes..ETHERNET_BYTES + packet_bytes,
            flags: *tcp.get(13)?,
            payload_bytes: tcp.len() - tcp_bytes,
        })
    }

    /// Whether it asks for a new connection.
    #[must_use]
    pub fn is_syn(&self) -> bool {
        self.flags & (FLAG_SYN | FLAG_ACK | FLAG_RST) == FLAG_SYN
    }

    /// Whether it acknowledges, and nothing else.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.flags & FLAGS_OF_CONTROL == FLAG_ACK && self.payload_bytes == 0
    }

    /// Whether it resets the connection.
    #[must_use]
    pub fn is_reset(&self) -> bool {
        self.flags & FLAG_RST != 0
    }

    /// Whether the checksums of IPv4 and TCP are right. `accepts_partial`: also take a TCP checksum
    /// of the pseudo header alone, as frames have it that never were on a wire (veth, virtio).
    #[must_use]
    pub fn is_whole(&self, frame: &[u8], accepts_partial: bool) -> bool {
        let tcp_at = self.tcp.start - self.packet.start;
        let packet = &frame[self.packet.clone()];
        let (header, tcp) = packet.split_at(tcp_at);
        let addresses = match self.flow.local {
            SocketAddr::V4(_) if fold(sum(header)) != 0xffff => return false,
            SocketAddr::V4(_) => &header[12..20],
            SocketAddr::V6(_) => &header[8..40],
        };
        let bytes = u32::try_from(tcp.len()).expect("a packet is shorter than 64 KiB");
        let pseudo = sum(addresses) + sum(&bytes.to_be_bytes()) + sum(&[0, PROTOCOL_TCP]);
        // The one that costs least first.
        accepts_partial && array(tcp, 16).map(u16::from_ne_bytes) == Some(fold(pseudo))
            || fold(pseudo + sum(tcp)) == 0xffff
    }

    /// The header with which answers to its frame go back.
    #[must_use]
    pub fn reply_header(frame: &[u8]) -> Option<Header> {
        let mut header: Header = array(frame, 0)?;
        header[..6].copy_from_slice(&frame[6..12]);
        header[6..12].copy_from_slice(&frame[..6]);
        let is_group = header[0] & 1 == 1;
        (!is_group).then_some(header)
    }
}

/// Sets the checksum of TCP in an IP packet without options or extensions right. `is_left`: only so far that a
/// device completes it, which is the sum of the pseudo header.
pub(crate) fn complete_tcp(packet: &mut [u8], is_left: bool) {
    let (tcp_at, addresses) = match packet.first().map(|first| first >> 4) {
        Some(4) => (IPV4_BYTES_MIN, 12..20),
        Some(_) => (IPV6_BYTES, 8..40),
        None => return,
    };
    if packet.len() < tcp_at + TCP_BYTES_MIN {
        return;
    }
    let (header, tcp) = packet.split_at_mut(tcp_at);
    let bytes = u32::try_from(tcp.len()).expect("a packet is shorter than 64 KiB");
    let pseudo = sum(&header[addresses]) + sum(&bytes.to_be_bytes()) + sum(&[0, PROTOCOL_TCP]);
    let check = if is_left {
        fold(pseudo)
    } else {
        tcp[16..18].fill(0);
        !fold(pseudo + sum(tcp))
    };
    tcp[16..18].copy_from_slice(&check.to_ne_bytes());
}

/// Sets the checksum of an IPv4 header without options right.
pub(crate) fn complete_ipv4(packet: &mut [u8]) {
    packet[10..12].fill(0);
    let check = !fold(sum(&packet[..IPV4_BYTES_MIN]));
    packet[10..12].copy_from_slice(&check.to_ne_bytes());
}

/// Sets the checksums of a frame of IPv4 without options and TCP right.
pub(crate) fn complete(frame: &mut [u8]) {
    complete_ipv4(&mut frame[ETHERNET_BYTES..]);
    complete_tcp(&mut frame[ETHERNET_BYTES..], false);
}

fn array<const N: usize>(octets: &[u8], at: usize) -> Option<[u8; N]> {
    octets.get(at..at + N)?.try_into().ok()
}

fn be16(octets: &[u8], at: usize) -> Option<u16> {
    array(octets, at).map(u16::from_be_bytes)
}

/// The sum of RFC 1071 before folding, in the order of the processor, which the folding forgives.
fn sum(octets: &[u8]) -> u64 {
    let mut words = octets.chunks_exact(4);
    let mut sum: u64 = 0;
    for word in &mut words {
        sum += u64::from(u32::from_ne_bytes([word[0], word[1], word[2], word[3]]));
    }
    let rest = words.remainder();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    sum + u64::from(u32::from_ne_bytes(last))
}

fn fold(sum: u64) -> u16 {
    let mut sum = sum;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).expect("just folded")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A frame with right checksums, written anew from the standards.
    pub(crate) fn frame(flow: Flow, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut tcp = Vec::new();
        tcp.extend(flow.remote.port().to_be_bytes());
        tcp.extend(flow.local.port().to_be_bytes());
        tcp.extend([0, 0, 0, 9, 0, 0, 0, 0, 0x50, flags, 0x10, 0, 0, 0, 0, 0]);
        tcp.extend(payload);
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        let length = u16::try_from(tcp.len()).unwrap();
        let (ip, pseudo) = match (flow.remote.ip(), flow.local.ip()) {
            (IpAddr::V4(source), IpAddr::V4(target)) => {
                frame.extend([8, 0]);
                let mut ip = vec![0x45, 0];
                ip.extend((length + 20).to_be_bytes());
                ip.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
                ip.extend(source.octets());
                ip.extend(target.octets());
                let check = slow_checksum(&ip);
                ip[10..12].copy_from_slice(&check.to_be_bytes());
                (ip, [source.octets(), target.octets()].concat())
            }
            (IpAddr::V6(source), IpAddr::V6(target)) => {
                frame.extend([0x86, 0xdd]);
                let mut ip = vec![0x60, 0, 0, 0];
                ip.extend(length.to_be_bytes());
                ip.extend([6, 64]);
                ip.extend(source.octets());
                ip.extend(target.octets());
                (ip, [source.octets(), target.octets()].concat())
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => panic!("mixed"),
        };
        let mut all = pseudo;
        all.extend([0, 6]);
        all.extend(length.to_be_bytes());
        all.extend(&tcp);
        let check = slow_checksum(&all);
        tcp[16..18].copy_from_slice(&check.to_be_bytes());
        frame.extend(ip);
        frame.extend(tcp);
        frame
    }

    fn slow_checksum(octets: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in octets.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
        }
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !u16::try_from(sum).unwrap()
    }

    pub(crate) fn flow(local: &str, remote: &str) -> Flow {
        Flow {
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
        }
    }

    #[test]
    fn segments_of_both_families_are_found_behind_padding() {
        for (local, remote) in [
            ("10.0.0.1:2855", "10.0.0.2:40000"),
            ("[fd00::1]:2855", "[fd00::2]:40000"),
        ] {
            let flow = flow(local, remote);
            for payload in [&b""[..], b"x", b"hello, world"] {
                let mut frame = frame(flow, FLAG_SYN, payload);
                let end = frame.len();
                frame.resize(end + 7, 0xee);
                let segment = Segment::parse(&frame).unwrap();
                assert_eq!((segment.flow, segment.packet.end), (flow, end));
                assert!(segment.is_syn() && segment.is_whole(&frame, false));
                for at in segment.packet.clone().skip(8) {
                    let mut broken = frame.clone();
                    broken[at] ^= 0x10;
                    let whole = Segment::parse(&broken).map(|one| one.is_whole(&broken, true));
                    assert_ne!(whole, Some(true), "octet {at} of {local}");
                }
                let answer = Segment::reply_header(&frame).unwrap();
                assert_eq!(answer[..12], [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]);
            }
        }
    }

    #[test]
    fn a_checksum_left_to_a_device_is_taken_only_where_it_may_be() {
        let mut frame = frame(flow("10.0.0.1:1", "10.0.0.2:2"), FLAG_ACK, b"abc");
        let segment = Segment::parse(&frame).unwrap();
        let pseudo = sum(&frame[26..34]) + sum(&[0, 6, 0, 23]);
        frame[50..52].copy_from_slice(&fold(pseudo).to_ne_bytes());
        assert!(segment.is_whole(&frame, true));
        assert!(!segment.is_whole(&frame, false));
    }

    #[test]
    fn other_traffic_and_cut_frames_are_not_segments() {
        let whole = frame(flow("10.0.0.1:1", "10.0.0.2:2"), FLAG_ACK, b"");
        for cut in 0..whole.len() {
            assert_eq!(Segment::parse(&whole[..cut]), None);
        }
        for (at, octet) in [
            (13, 6),
            (14, 0x44),
            (14, 0x65),
            (20, 0x20),
            (23, 17),
            (46, 0x40),
        ] {
            let mut other = whole.clone();
            other[at] = octet;
            assert_eq!(Segment::parse(&other), None, "{octet:#x} at {at}");
        }
    }
}
