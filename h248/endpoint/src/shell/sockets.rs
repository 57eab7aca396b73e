//! What the shell does with its sockets: opened, connected, written to.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::log::trace_wire;
use super::{Connection, SctpSocket, Shell, now};
use crate::limits::SEND_QUEUE_MESSAGES;
use crate::transport::{Inbound, sctp, tcp, udp};
use crate::{Peer, TransportAddr, TransportId, TransportKind};

impl Shell {
    pub(super) fn add_socket(&mut self, socket: UdpSocket) -> TransportId {
        let socket = Arc::new(socket);
        let transport = TransportId {
            kind: TransportKind::Udp,
            index: u32::try_from(self.sockets.len()).expect("few sockets, all configured"),
        };
        let reader = udp::read(Arc::clone(&socket), transport, self.inbound.clone());
        self.tasks.spawn(reader);
        self.sockets.push(socket);
        transport
    }

    /// `None` if the connection is gone already.
    pub(super) fn add_connection(
        &mut self,
        stream: TcpStream,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Option<Peer> {
        let addr = stream.peer_addr().ok()?;
        let last = self.connection_last.fetch_add(1, Ordering::Relaxed);
        let transport = TransportId {
            kind: TransportKind::Tcp,
            index: last.wrapping_add(1),
        };
        let peer = Peer { transport, addr };
        let (sender, outgoing) = mpsc::channel(SEND_QUEUE_MESSAGES);
        self.connections.insert(peer, Connection::Tcp(sender));
        let t_max = self.node.endpoint().config().timers.t_max;
        let task = tcp::run(
            (stream, t_max),
            peer,
            outgoing,
            self.inbound.clone(),
            permit,
        );
        self.tasks.spawn(task);
        tracing::info!(%peer, "H.248 connection open");
        Some(peer)
    }

    pub(super) fn transmit(&mut self, peer: Peer, octets: Bytes) {
        trace_wire("sent", peer, &octets);
        match peer.transport.kind {
            TransportKind::Udp => self.transmit_datagram(peer, &octets),
            TransportKind::Tcp | TransportKind::Sctp => {
                let Some(connection) = self.connections.get(&peer) else {
                    tracing::debug!(%peer, "H.248 message for a closed connection dropped");
                    return;
                };
                if let Err(cause) = connection.send(octets) {
                    tracing::warn!(%peer, cause, "H.248 connection given up");
                    if let Some(connection) = self.connections.remove(&peer) {
                        connection.close();
                    }
                    let now = now(self.started);
                    self.node.handle_transport_failure(now, peer);
                }
            }
        }
    }

    /// A datagram that the kernel does not take is a datagram lost; the transaction machines of
    /// either side repeat what matters.
    fn transmit_datagram(&self, peer: Peer, octets: &[u8]) {
        let socket = self.sockets.get(peer.transport.index as usize);
        if let Some(socket) = socket
            && let Err(cause) = socket.try_send_to(octets, peer.addr)
        {
            tracing::warn!(%peer, %cause, bytes = octets.len(), "H.248 datagram not sent");
        }
    }

    pub(super) fn connect(&mut self, mgc: TransportAddr) {
        let inbound = self.inbound.clone();
        match mgc {
            TransportAddr::Tcp(_) => {
                self.tasks.spawn(tcp::connect(mgc, inbound));
            }
            TransportAddr::Udp(addr) => match self.socket_like(addr) {
                Some(transport) => {
                    let peer = Peer { transport, addr };
                    self.node.handle_connected(now(self.started), mgc, peer);
                }
                None => {
                    self.tasks.spawn(bind_for(mgc, inbound));
                }
            },
            TransportAddr::Sctp(addr) if self.has_kernel_sctp(addr) => {
                let numbers = Arc::clone(&self.connection_last);
                self.tasks
                    .spawn(sctp::kernel::connect(mgc, numbers, inbound));
            }
            TransportAddr::Sctp(_) => self.connect_sctp_in_udp(mgc),
        }
    }

    pub(super) fn connect_sctp_in_udp(&mut self, mgc: TransportAddr) {
        let is_like = |s: &&SctpSocket| s.is_ipv4 == mgc.addr().is_ipv4();
        let socket = self.sctp_sockets.iter().find(is_like);
        match socket.map(|s| s.commands.clone()) {
            Some(commands) => self.connect_sctp(&commands, mgc),
            None => {
                self.tasks.spawn(bind_for(mgc, self.inbound.clone()));
            }
        }
    }

    pub(super) fn connect_sctp(
        &mut self,
        commands: &mpsc::Sender<sctp::Command>,
        mgc: TransportAddr,
    ) {
        if commands.try_send(sctp::Command::Connect(mgc)).is_err() {
            let cause = "the SCTP socket is busy or broken";
            let now = now(self.started);
            self.node.handle_connect_failed(now, mgc, cause);
        }
    }

    /// Starts the task of an SCTP socket, and returns the way to it.
    pub(super) fn add_sctp_socket(&mut self, socket: UdpSocket) -> mpsc::Sender<sctp::Command> {
        let is_ipv4 = socket.local_addr().is_ok_and(|local| local.is_ipv4());
        let (commands, receiver) = mpsc::channel(SEND_QUEUE_MESSAGES);
        let numbers = Arc::clone(&self.connection_last);
        let inbound = self.inbound.clone();
        let way = (commands.downgrade(), receiver);
        self.tasks.spawn(sctp::run(socket, numbers, way, inbound));
        self.sctp_sockets.push(SctpSocket {
            is_ipv4,
            commands: commands.clone(),
        });
        commands
    }

    fn socket_like(&self, addr: std::net::SocketAddr) -> Option<TransportId> {
        let is_like = |socket: &Arc<UdpSocket>| {
            let local = socket.local_addr();
            local.is_ok_and(|local| local.is_ipv4() == addr.is_ipv4())
        };
        let index = self.sockets.iter().position(is_like)?;
        Some(TransportId {
            kind: TransportKind::Udp,
            index: u32::try_from(index).ok()?,
        })
    }
}

/// Asks the system's resolver, off the loop: the first address counts.
pub(super) async fn resolve(name: String, port: u16, inbound: mpsc::Sender<Inbound>) {
    let found = tokio::net::lookup_host((name.as_str(), port)).await;
    let found = found.map(|mut addrs| addrs.next());
    let addr = found.unwrap_or_else(|cause| {
        tracing::warn!(%name, %cause, "H.248 controller's name not resolved");
        None
    });
    let _ = inbound.send(Inbound::Resolved { name, addr }).await;
}

async fn bind_for(mgc: TransportAddr, inbound: mpsc::Sender<Inbound>) {
    let report = match udp::bind(udp::unspecified_like(mgc.addr())).await {
        Ok(socket) if mgc.kind() == TransportKind::Sctp => Inbound::SctpBound { mgc, socket },
        Ok(socket) => Inbound::SocketBound { mgc, socket },
        Err(cause) => Inbound::ConnectFailed {
            mgc,
            cause: cause.to_string(),
        },
    };
    // An error means that the shell is gone, and with it who wanted to know.
    let _ = inbound.send(report).await;
}
