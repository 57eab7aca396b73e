//! Where messages leave: by which socket or connection.

use super::{Core, DatagramSocket};
use crate::addr::{SipAddr, Transport};
use crate::agent::{Destination, Flow, Hop, TxnId};
use crate::limits::CONNECTIONS_MAX;
use crate::stack::connection::{Origin, Outgoing, Peer};
use core::net::SocketAddr;
use tracing::debug;

impl Core {
    pub(super) async fn transmit(&mut self, to: Destination, bytes: Vec<u8>, txn: Option<TxnId>) {
        match to {
            Destination::Flow { flow, addr } if flow.transport == Transport::Udp => {
                self.send_datagram(Some(flow.channel), addr, &bytes, txn)
                    .await;
            }
            Destination::Flow { flow, addr } => {
                let addr = SipAddr {
                    transport: flow.transport,
                    addr,
                };
                self.send_by(Some(flow), addr, None, Outgoing { bytes, txn });
            }
            Destination::Hop { hop, reuse } => self.send_hop(hop, reuse, bytes, txn).await,
        }
    }

    async fn send_hop(
        &mut self,
        hop: Hop,
        reuse: Option<Flow>,
        bytes: Vec<u8>,
        txn: Option<TxnId>,
    ) {
        let SipAddr { transport, addr } = hop.addr;
        let reuse = reuse.filter(|flow| flow.transport == transport);
        if transport == Transport::Udp {
            let channel = reuse.map(|flow| flow.channel);
            return self.send_datagram(channel, addr, &bytes, txn).await;
        }
        // The connection a peer opened serves both directions while it lasts.
        let reuse = reuse.filter(|flow| flow.remote.ip() == addr.ip());
        self.send_by(reuse, hop.addr, hop.name, Outgoing { bytes, txn });
    }

    /// Sends through the connection `flow` while that is open, else through one to `to`; nobody can
    /// connect to a WebSocket client.
    fn send_by(
        &mut self,
        flow: Option<Flow>,
        to: SipAddr,
        name: Option<String>,
        message: Outgoing,
    ) {
        let SipAddr { transport, addr } = to;
        match flow {
            Some(flow) if self.connections.contains_key(&flow.channel) => {
                self.note(true, flow.remote, &message.bytes);
                self.enqueue(flow.channel, message);
            }
            Some(_) if transport.is_web_socket() => self.fail(message.txn),
            _ => {
                let peer = Peer {
                    transport,
                    addr,
                    name,
                };
                self.send_stream(peer, message);
            }
        }
    }

    async fn send_datagram(
        &mut self,
        channel: Option<u64>,
        addr: SocketAddr,
        bytes: &[u8],
        txn: Option<TxnId>,
    ) {
        let all = &self.datagrams.sockets;
        let chosen = channel.and_then(|c| all.get(usize::try_from(c).ok()?));
        let reaches =
            |socket| seen_from(DatagramSocket::bound(socket), addr).map(|to| (socket, to));
        let way = chosen
            .and_then(reaches)
            .or_else(|| all.iter().find_map(reaches));
        self.note(true, addr, bytes);
        let sent = match way {
            Some((socket, to)) => socket.send(bytes, to).await,
            None => Err(std::io::ErrorKind::AddrNotAvailable.into()),
        };
        if let Err(error) = sent {
            debug!(%addr, %error, "cannot send datagram");
            self.fail(txn);
        }
    }

    fn send_stream(&mut self, peer: Peer, message: Outgoing) {
        self.note(true, peer.addr, &message.bytes);
        if let Some(&channel) = self.by_peer.get(&peer) {
            return self.enqueue(channel, message);
        }
        if self.connections.len() >= CONNECTIONS_MAX {
            return self.fail(message.txn);
        }
        let channel = self.open(Origin::Wanted, peer);
        self.enqueue(channel, message);
    }
}

/// `addr` as a socket bound to `local` must write it; `None`: that socket does not get there. `[::]` gets
/// to IPv4, too.
fn seen_from(local: SocketAddr, addr: SocketAddr) -> Option<SocketAddr> {
    match (local, addr) {
        (SocketAddr::V6(local), SocketAddr::V4(addr)) if local.ip().is_unspecified() => {
            let mapped = addr.ip().to_ipv6_mapped();
            Some(SocketAddr::new(mapped.into(), addr.port()))
        }
        _ => (local.is_ipv6() == addr.is_ipv6()).then_some(addr),
    }
}
