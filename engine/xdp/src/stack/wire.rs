//! Frames around segments.

use core::net::{IpAddr, SocketAddr};

use crate::frame::{
    ETHERNET_BYTES, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Flow, Header, PROTOCOL_TCP, complete_ipv4,
    complete_tcp,
};
use crate::tcp::Outgoing;

/// Where frames go.
pub trait FrameSink {
    /// Whether there is room for a frame.
    fn has_room(&mut self) -> bool;

    /// Takes a frame of `bytes` octets, which `write` fills wholly; only when there is room.
    fn send<R>(&mut self, bytes: usize, write: impl FnOnce(&mut [u8]) -> R) -> R;

    /// Takes an IP packet whose way the system has to find.
    fn send_routed(&mut self, to: IpAddr, packet: &[u8]);
}

const IPV4_BYTES: usize = 20;
const IPV6_BYTES: usize = 40;
const HOPS: u8 = 64;

/// Octets of an IP header without options.
pub(super) fn ip_bytes(flow: &Flow) -> usize {
    if flow.local.is_ipv4() {
        IPV4_BYTES
    } else {
        IPV6_BYTES
    }
}

/// Sends a segment with its octets. `header` stands in front of it; without one the system finds the way.
/// `leaves_checksums`: the sink has them completed.
pub(super) fn send(
    sink: &mut impl FrameSink,
    flow: &Flow,
    header: Option<&Header>,
    leaves_checksums: bool,
    (segment, octets): (&Outgoing, [&[u8]; 2]),
) {
    let bytes = ip_bytes(flow) + segment.header_bytes() + segment.payload().len();
    match header {
        Some(header) => sink.send(ETHERNET_BYTES + bytes, |frame| {
            let (front, packet) = frame.split_at_mut(ETHERNET_BYTES);
            front.copy_from_slice(header);
            let kind = match flow.local {
                SocketAddr::V4(_) => ETHERTYPE_IPV4,
                SocketAddr::V6(_) => ETHERTYPE_IPV6,
            };
            front[12..].copy_from_slice(&kind.to_be_bytes());
            write(packet, flow, (segment, octets));
            complete_tcp(packet, leaves_checksums);
        }),
        None => {
            let mut packet = vec![0; bytes];
            write(&mut packet, flow, (segment, octets));
            complete_tcp(&mut packet, false);
            sink.send_routed(flow.remote.ip(), &packet);
        }
    }
}

/// Fills in all but the checksum of TCP.
fn write(packet: &mut [u8], flow: &Flow, (segment, [front, back]): (&Outgoing, [&[u8]; 2])) {
    let bytes = u16::try_from(packet.len()).expect("a packet is shorter than 64 KiB");
    let tcp_at = match (flow.local.ip(), flow.remote.ip()) {
        (IpAddr::V4(local), IpAddr::V4(remote)) => {
            // No fragments: the number of the packet means nothing.
            packet[..8].copy_from_slice(&[0x45, 0, 0, 0, 0, 0, 0x40, 0]);
            packet[2..4].copy_from_slice(&bytes.to_be_bytes());
            packet[8..12].copy_from_slice(&[HOPS, PROTOCOL_TCP, 0, 0]);
            packet[12..16].copy_from_slice(&local.octets());
            packet[16..20].copy_from_slice(&remote.octets());
            complete_ipv4(packet);
            IPV4_BYTES
        }
        (local, remote) => {
            packet[..4].copy_from_slice(&[0x60, 0, 0, 0]);
            let rest = bytes - u16::try_from(IPV6_BYTES).expect("a few octets");
            packet[4..6].copy_from_slice(&rest.to_be_bytes());
            packet[6..8].copy_from_slice(&[PROTOCOL_TCP, HOPS]);
            for (ip, place) in [(local, 8..24), (remote, 24..40)] {
                let ip = match ip {
                    IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                    IpAddr::V6(ip) => ip,
                };
                packet[place].copy_from_slice(&ip.octets());
            }
            IPV6_BYTES
        }
    };
    let tcp = &mut packet[tcp_at..];
    tcp[..2].copy_from_slice(&flow.local.port().to_be_bytes());
    tcp[2..4].copy_from_slice(&flow.remote.port().to_be_bytes());
    segment.write(tcp);
    let payload = &mut tcp[segment.header_bytes()..];
    let (first, second) = payload.split_at_mut(front.len());
    first.copy_from_slice(front);
    second.copy_from_slice(back);
}
