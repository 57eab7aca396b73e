//! What smoltcp takes for a network device: one received packet, and a place for frames.

use core::net::IpAddr;

use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;

use crate::frame::{ETHERNET_BYTES, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Header, complete_tcp};

/// Where frames go.
pub trait FrameSink {
    /// Whether there is room for a frame.
    fn has_room(&mut self) -> bool;

    /// Takes a frame of `bytes` octets, which `write` fills wholly; only when there is room.
    fn send<R>(&mut self, bytes: usize, write: impl FnOnce(&mut [u8]) -> R) -> R;

    /// Takes an IP packet whose way the system has to find.
    fn send_routed(&mut self, to: IpAddr, packet: &[u8]);
}

pub(super) struct Wire<'a, S> {
    /// The received packet, given once.
    pub(super) packet: Option<&'a [u8]>,
    pub(super) sink: &'a mut S,
    /// In front of what is sent; `None`: the way is not known yet.
    pub(super) header: Option<Header>,
    /// Octets of the largest IP packet.
    pub(super) packet_bytes_max: usize,
    /// Whether the sink has checksums completed.
    pub(super) leaves_checksums: bool,
    /// What the connection has sent.
    pub(super) sent: Option<&'a mut Sent>,
}

/// What a connection has sent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sent {
    /// The number behind the last octet.
    end: Option<u32>,
    /// There are octets, or an end, that no segment has carried yet.
    pub(super) has_more: bool,
    /// The newest acknowledgement that moved the connection on, and the window that it offered.
    acknowledged: Option<(u32, [u8; 2])>,
}

impl Sent {
    /// Notes what an IP packet acknowledges. `has_moved`: octets left the send buffer for it.
    pub(super) fn note(&mut self, packet: &[u8], has_moved: bool) {
        let Some(one) = acknowledgement(packet) else {
            return;
        };
        if has_moved || self.acknowledged.is_some_and(|(newest, _)| newest == one.0) {
            self.acknowledged = Some(one);
        }
    }

    /// A copy of an IP packet whose acknowledgement is older than another that came before it, with that
    /// one in its place; `None`: the packet is fine as it is.
    ///
    /// Segments overtake each other. Octets count behind an old acknowledgement, too (RFC 9293 3.10.7.4); smoltcp
    /// drops both.
    pub(super) fn renew(&self, packet: &[u8]) -> Option<Vec<u8>> {
        let (newest, window) = self.acknowledged?;
        let (number, _) = acknowledgement(packet)?;
        if newest.wrapping_sub(number).cast_signed() <= 0 {
            return None;
        }
        let mut renewed = packet.to_vec();
        let tcp = tcp_at(packet);
        renewed[tcp + 8..tcp + 12].copy_from_slice(&newest.to_be_bytes());
        renewed[tcp + 14..tcp + 16].copy_from_slice(&window);
        Some(renewed)
    }
}

/// The number that an IP packet with TCP acknowledges, and its window.
fn acknowledgement(packet: &[u8]) -> Option<(u32, [u8; 2])> {
    const ACK: u8 = 0x10;
    const SYN_RST: u8 = 0x06;
    let tcp = packet.get(tcp_at(packet)..)?;
    let flags = *tcp.get(13)?;
    let number = tcp.get(8..12)?.try_into().ok()?;
    let window = tcp.get(14..16)?.try_into().ok()?;
    (flags & (ACK | SYN_RST) == ACK).then_some((u32::from_be_bytes(number), window))
}

impl<S: FrameSink> Device for Wire<'_, S> {
    type RxToken<'a>
        = Received<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = ToSend<'a, S>
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, ToSend<'_, S>)> {
        let packet = self.packet.take()?;
        let header = self.header;
        Some((
            Received(packet),
            ToSend {
                sink: self.sink,
                header,
                leaves_checksums: self.leaves_checksums,
                sent: self.sent.as_deref_mut(),
            },
        ))
    }

    fn transmit(&mut self, _: Instant) -> Option<ToSend<'_, S>> {
        let header = self.header;
        self.sink.has_room().then_some(ToSend {
            sink: self.sink,
            header,
            leaves_checksums: self.leaves_checksums,
            sent: self.sent.as_deref_mut(),
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.packet_bytes_max;
        // What is received was checked before it came here; what is sent is completed here.
        capabilities.checksum.ipv4 = Checksum::Tx;
        capabilities.checksum.tcp = Checksum::None;
        capabilities
    }
}

pub(super) struct Received<'a>(&'a [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(self.0)
    }
}

pub(super) struct ToSend<'a, S> {
    sink: &'a mut S,
    header: Option<Header>,
    leaves_checksums: bool,
    sent: Option<&'a mut Sent>,
}

impl<S: FrameSink> TxToken for ToSend<'_, S> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, bytes: usize, write: F) -> R {
        match self.header {
            Some(header) if self.sink.has_room() => {
                self.sink.send(ETHERNET_BYTES + bytes, |frame| {
                    let (front, packet) = frame.split_at_mut(ETHERNET_BYTES);
                    front.copy_from_slice(&header);
                    let outcome = write(packet);
                    if let Some(sent) = self.sent {
                        number(packet, sent);
                    }
                    complete_tcp(packet, self.leaves_checksums);
                    let kind = match packet.first().map(|octet| octet >> 4) {
                        Some(6) => ETHERTYPE_IPV6,
                        _ => ETHERTYPE_IPV4,
                    };
                    front[12..].copy_from_slice(&kind.to_be_bytes());
                    outcome
                })
            }
            // Lost like any other packet; an answer alone can come here without room.
            Some(_) => write(&mut vec![0; bytes]),
            None => {
                let mut packet = vec![0; bytes];
                let outcome = write(&mut packet);
                complete_tcp(&mut packet, false);
                if let Some(to) = target(&packet) {
                    self.sink.send_routed(to, &packet);
                }
                outcome
            }
        }
    }
}

/// Gives an acknowledgement without data the number behind all that was sent (RFC 9293 3.10.7.4).
///
/// After a timeout smoltcp counts from the first octet that is not acknowledged, and so do its bare
/// acknowledgements. A peer that has more than that takes them for old and does not look at what they
/// acknowledge; if it is in the same situation, neither side ever gets out of it.
fn number(packet: &mut [u8], sent: &mut Sent) {
    const RST: u8 = 0x04;
    const SYN_FIN: u8 = 0x03;
    const PSH_FIN: u8 = 0x09;
    let Some(tcp) = packet
        .get_mut(tcp_at(packet)..)
        .filter(|tcp| tcp.len() >= 20)
    else {
        return;
    };
    let payload = tcp.len().saturating_sub(usize::from(tcp[12] >> 4) * 4);
    let flags = tcp[13];
    let own = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]);
    if payload == 0 && flags & (RST | SYN_FIN) == 0 {
        if let Some(end) = sent.end
            && end.wrapping_sub(own).cast_signed() > 0
        {
            tcp[4..8].copy_from_slice(&end.to_be_bytes());
        }
        return;
    }
    let controls = u32::from(flags & 1) + u32::from(flags >> 1 & 1);
    let octets = u32::try_from(payload).expect("a packet is shorter than 64 KiB");
    let end = own.wrapping_add(octets + controls);
    if sent
        .end
        .is_none_or(|sent| end.wrapping_sub(sent).cast_signed() > 0)
    {
        sent.end = Some(end);
    }
    // smoltcp pushes exactly what is the last that it has, and a FIN has nothing behind it.
    sent.has_more = payload > 0 && flags & PSH_FIN == 0;
}

/// Where TCP begins in an IP packet; nothing that is sent has extension headers.
fn tcp_at(packet: &[u8]) -> usize {
    match packet.first() {
        Some(first) if first >> 4 == 4 => usize::from(first & 0x0f) * 4,
        Some(_) | None => 40,
    }
}

fn target(packet: &[u8]) -> Option<IpAddr> {
    match packet.first()? >> 4 {
        4 => <[u8; 4]>::try_from(packet.get(16..20)?)
            .ok()
            .map(IpAddr::from),
        _ => <[u8; 16]>::try_from(packet.get(24..40)?)
            .ok()
            .map(IpAddr::from),
    }
}
