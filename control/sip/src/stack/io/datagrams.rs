//! UDP listeners. The core reads them itself, ahead of its work: what is refused at once costs least, and what waits in
//! a socket nobody sees, while the system drops what ends calls there as readily as what begins them.

use crate::addr::Transport;
use crate::agent::Flow;
use crate::limits::{DATAGRAM_BYTES_MAX, NEAR_ADDR_LIFETIME, NEAR_ADDRS_MAX, UDP_RECEIVE_BYTES};
use crate::parse::trim_line_ends;
use crate::stack::near_addr;
use crate::trust::Trusted;
use core::net::{IpAddr, SocketAddr};
use core::task::Poll;
use rustix::net::sockopt;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use tokio::net::UdpSocket;
use tokio::time::Instant;
use tracing::{debug, info};

/// One listener.
pub(in crate::stack) struct DatagramSocket {
    socket: UdpSocket,
    bound: SocketAddr,
    near: NearAddrs,
}

impl DatagramSocket {
    pub(in crate::stack) async fn bind(addr: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(addr).await?;
        let bound = socket.local_addr()?;
        // What comes while the process waits for others must not be lost. Beyond the system's own maximum it takes a
        // privilege; without it a burst is lost sooner, and repeated.
        let forced = sockopt::set_socket_recv_buffer_size_force(&socket, UDP_RECEIVE_BYTES);
        if forced.is_err() {
            let _ = sockopt::set_socket_recv_buffer_size(&socket, UDP_RECEIVE_BYTES);
            let granted = sockopt::socket_recv_buffer_size(&socket)?;
            // Linux counts its own needs, too, as much again.
            if granted < UDP_RECEIVE_BYTES * 2 {
                info!(%bound, granted, wanted = UDP_RECEIVE_BYTES * 2, "small receive buffer: see net.core.rmem_max");
            }
        }
        Ok(Self {
            socket,
            bound,
            near: NearAddrs::default(),
        })
    }

    pub(in crate::stack) fn bound(&self) -> SocketAddr {
        self.bound
    }

    /// Sends a datagram from here.
    pub(super) async fn send(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        match self.socket.try_send_to(bytes, to) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.socket.send_to(bytes, to).await?;
            }
            sent => {
                sent?;
            }
        }
        Ok(())
    }
}

/// All listeners, and the room for what comes in.
pub(super) struct Datagrams {
    pub(super) sockets: Vec<DatagramSocket>,
    trusted: Arc<[Trusted]>,
    buffer: Vec<u8>,
}

impl Datagrams {
    pub(super) fn new(sockets: Vec<DatagramSocket>, trusted: Arc<[Trusted]>) -> Self {
        Self {
            sockets,
            trusted,
            buffer: vec![0; DATAGRAM_BYTES_MAX],
        }
    }

    /// Reads one datagram from the listener with this number; `None`: there is none. What only keeps a binding alive
    /// (RFC 5626 3.5.1) is empty here.
    pub(super) fn receive(&mut self, number: usize) -> Option<(Flow, &[u8])> {
        let listener = self.sockets.get_mut(number)?;
        let (count, remote) = match listener.socket.try_recv_from(&mut self.buffer) {
            Ok((count, remote)) => (count, canonical(remote)),
            Err(error) => {
                // An ICMP error of an earlier datagram; the socket itself is well.
                if error.kind() != io::ErrorKind::WouldBlock {
                    debug!(%error, "datagram receive failed");
                }
                return None;
            }
        };
        let bound = listener.bound;
        let near = || listener.near.towards(Instant::now(), remote);
        let local = match bound.ip().is_unspecified().then(near).flatten() {
            Some(near) => SocketAddr::new(near, bound.port()),
            None => bound,
        };
        let flow = Flow {
            transport: Transport::Udp,
            channel: u64::try_from(number).unwrap_or(u64::MAX),
            local,
            remote,
            is_trusted: self.trusted.iter().any(|one| one.is(remote.ip(), &[])),
        };
        let bytes = &self.buffer[..count];
        let is_empty = trim_line_ends(bytes).is_empty();
        Some((flow, if is_empty { &[] } else { bytes }))
    }

    /// Waits until one of them can be read. Cancel-safe.
    pub(super) async fn readable(&self) {
        core::future::poll_fn(|context| {
            // Each is asked, so that each wakes; the error of one shows when it is read.
            let mut ready = self
                .sockets
                .iter()
                .filter(|one| one.socket.poll_recv_ready(context).is_ready());
            if ready.by_ref().count() > 0 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

/// The addresses that this host uses towards its peers: asking the system takes three calls, and routes change
/// rarely.
#[derive(Default)]
struct NearAddrs {
    /// By the peer's address without its port: a link-local one is nothing without its scope.
    known: HashMap<SocketAddr, (IpAddr, Instant)>,
}

impl NearAddrs {
    /// The one towards `remote`; `None`: there is no route.
    fn towards(&mut self, now: Instant, mut remote: SocketAddr) -> Option<IpAddr> {
        remote.set_port(0);
        match self.known.get(&remote) {
            Some(&(near, asked)) if now - asked < NEAR_ADDR_LIFETIME => return Some(near),
            _ => {}
        }
        let near = near_addr(remote).ok()?.ip();
        if self.known.len() >= NEAR_ADDRS_MAX {
            self.known.clear();
        }
        self.known.insert(remote, (near, now));
        Some(near)
    }
}

/// An IPv4 peer of `[::]` by its own address: what trusts it, routes to it and names it knows that one.
pub(super) fn canonical(addr: SocketAddr) -> SocketAddr {
    match addr.ip().to_canonical() {
        ip if ip == addr.ip() => addr,
        ip => SocketAddr::new(ip, addr.port()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clock::Duration;

    #[test]
    fn a_near_address_is_asked_for_once_in_a_while() {
        let (mut near, now) = (NearAddrs::default(), Instant::now());
        let peer = |last: u8, port| SocketAddr::from(([127, 0, 0, last], port));
        let own = near.towards(now, peer(1, 5060));
        assert_eq!(own, Some(IpAddr::from([127, 0, 0, 1])));
        let mut check = |at, port, asked| {
            assert_eq!(near.towards(at, peer(1, port)), own);
            assert_eq!(near.known[&peer(1, 0)].1, asked);
            assert_eq!(near.known.len(), 1);
        };
        let over = now + NEAR_ADDR_LIFETIME;
        check(over - Duration::from_nanos(1), 9, now);
        check(over, 9, over);
        near.towards(now, peer(2, 9));
        assert_eq!(near.known.len(), 2);
    }
}
