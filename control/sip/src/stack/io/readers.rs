//! Where messages and connections come in: a task a listener.

use super::Input;
use crate::addr::Transport;
use crate::agent::Flow;
use crate::limits::DATAGRAM_BYTES_MAX;
use crate::parse::{Parsed, parse_datagram};
use crate::stack::near_addr;
use crate::trust::Trusted;
use core::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tracing::debug;

pub(super) struct DatagramReader {
    pub(super) socket: Arc<UdpSocket>,
    pub(super) channel: u64,
    pub(super) keeps: bool,
    pub(super) trusted: Arc<[Trusted]>,
    pub(super) inputs: mpsc::Sender<Input>,
}

impl DatagramReader {
    pub(super) async fn run(self) {
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
            let parsed = parse_datagram(bytes);
            if parsed == Parsed::Garbage {
                continue;
            }
            let local = if bound.ip().is_unspecified() {
                near_addr(remote).map_or(bound, |near| SocketAddr::new(near.ip(), bound.port()))
            } else {
                bound
            };
            let input = Input::Message {
                flow: Flow {
                    transport: Transport::Udp,
                    channel: self.channel,
                    local,
                    remote,
                    is_trusted: self.trusted.iter().any(|one| one.is(remote.ip(), &[])),
                },
                parsed: Box::new(parsed),
                received: tokio::time::Instant::now(),
                bytes: if self.keeps {
                    bytes.to_vec()
                } else {
                    Vec::new()
                },
            };
            let sent = match self.inputs.try_send(input) {
                Err(TrySendError::Full(input)) => self.inputs.send(input).await.is_ok(),
                Err(TrySendError::Closed(_)) => false,
                Ok(()) => true,
            };
            if !sent {
                return;
            }
        }
    }
}

pub(super) async fn accept(
    transport: Transport,
    listener: TcpListener,
    inputs: mpsc::Sender<Input>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                let accepted = Input::Accepted(stream, canonical(remote), transport);
                if inputs.send(accepted).await.is_err() {
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
