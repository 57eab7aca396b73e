//! What smoltcp takes for a network device: one received packet, and a place for frames.

use core::net::IpAddr;

use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;

use crate::frame::{ETHERNET_BYTES, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Header};

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
            },
        ))
    }

    fn transmit(&mut self, _: Instant) -> Option<ToSend<'_, S>> {
        let header = self.header;
        self.sink.has_room().then_some(ToSend {
            sink: self.sink,
            header,
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.packet_bytes_max;
        // What is received was checked before it came here.
        capabilities.checksum.ipv4 = Checksum::Tx;
        capabilities.checksum.tcp = Checksum::Tx;
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
}

impl<S: FrameSink> TxToken for ToSend<'_, S> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, bytes: usize, write: F) -> R {
        match self.header {
            Some(header) if self.sink.has_room() => {
                self.sink.send(ETHERNET_BYTES + bytes, |frame| {
                    let (front, packet) = frame.split_at_mut(ETHERNET_BYTES);
                    front.copy_from_slice(&header);
                    let outcome = write(packet);
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
                if let Some(to) = target(&packet) {
                    self.sink.send_routed(to, &packet);
                }
                outcome
            }
        }
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
