//! Where messages and connections come in: a task a listener.

use super::super::inbox::Inbox;
use super::Input;
use crate::addr::Transport;
use crate::agent::Flow;
use crate::limits::{DATAGRAM_BYTES_MAX, NEAR_ADDR_LIFETIME, NEAR_ADDRS_MAX};
use crate::parse::trim_line_ends;
use crate::stack::near_addr;
use crate::trust::Trusted;
use core::net::{IpAddr, SocketAddr};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::Instant;
use tracing::debug;

pub(super) struct DatagramReader {
    pub(super) socket: Arc<UdpSocket>,
    pub(super) channel: u64,
    pub(super) trusted: Arc<[Trusted]>,
    pub(super) inbox: Inbox,
    pub(super) near: NearAddrs,
}

impl DatagramReader {
    pub(super) async fn run(mut self) {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        let Ok(bound) = self.socket.local_addr() else {
            return;
        };
        loop {
            // All that is there, until the queue to the core is full: were both read in turns, as many as the
            // runtime grants a task at once, what waits would wait in the socket, where nobody sees it.
            let (count, remote) = match self.socket.try_recv_from(&mut buffer) {
                Ok((count, remote)) => (count, canonical(remote)),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    if self.socket.readable().await.is_err() {
                        return;
                    }
                    continue;
                }
                Err(error) => {
                    // An ICMP error of an earlier datagram; the socket itself is well.
                    debug!(%error, "datagram receive failed");
                    tokio::task::yield_now().await;
                    continue;
                }
            };
            let bytes = &buffer[..count];
            // Nothing but what keeps a binding alive (RFC 5626 3.5.1).
            if trim_line_ends(bytes).is_empty() {
                continue;
            }
            let local = if bound.ip().is_unspecified() {
                self.near
                    .towards(Instant::now(), remote)
                    .map_or(bound, |near| SocketAddr::new(near, bound.port()))
            } else {
                bound
            };
            let flow = Flow {
                transport: Transport::Udp,
                channel: self.channel,
                local,
                remote,
                is_trusted: self.trusted.iter().any(|one| one.is(remote.ip(), &[])),
            };
            if !self.inbox.put_datagram(flow, bytes).await {
                return;
            }
        }
    }
}

/// The addresses that this host uses towards its peers: asking the system takes three calls, and routes change
/// rarely.
#[derive(Default)]
pub(super) struct NearAddrs {
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

pub(super) async fn accept(transport: Transport, listener: TcpListener, inbox: Inbox) {
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                let accepted = Input::Accepted(stream, canonical(remote), transport);
                if !inbox.put(accepted).await {
                    return;
                }
            }
            Err(error) => {
                // Out of descriptors, or a peer that left again: others may still come.
                debug!(%error, "accept failed");
                tokio::time::sleep(core::time::Duration::from_millis(10)).await;
            }
        }
    }
}

/// An IPv4 peer of `[::]` by its own address: what trusts it, routes to it and names it knows that one.
fn canonical(addr: SocketAddr) -> SocketAddr {
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
