//! One task per UDP socket that reads; the shell writes by itself.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use crate::limits::UDP_MESSAGE_BYTES_MAX;
use crate::transport::Inbound;
use crate::{Peer, TransportId};

/// Binds a socket that is known to be writable: the shell sends without waiting.
pub(crate) async fn bind(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(addr).await?;
    socket.writable().await?;
    Ok(socket)
}

/// Any address of the same family, any port.
pub(crate) fn unspecified_like(addr: SocketAddr) -> SocketAddr {
    let ip = match addr {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    SocketAddr::new(ip, 0)
}

/// Reads until the shell is gone or the socket is broken.
pub(crate) async fn read(
    socket: Arc<UdpSocket>,
    transport: TransportId,
    inbound: mpsc::Sender<Inbound>,
) {
    let mut buffer = vec![0; UDP_MESSAGE_BYTES_MAX + 1];
    let mut errors = 0;
    while errors < ERRORS_MAX {
        match socket.recv_from(&mut buffer).await {
            Ok((bytes, addr)) => {
                errors = 0;
                let peer = Peer { transport, addr };
                let octets = Bytes::copy_from_slice(&buffer[..bytes]);
                if inbound
                    .send(Inbound::Message { peer, octets })
                    .await
                    .is_err()
                {
                    return;
                }
            }
            Err(cause) => {
                errors += 1;
                tracing::warn!(socket = transport.index, %cause, "H.248 UDP socket: receive failed");
            }
        }
    }
    tracing::error!(
        socket = transport.index,
        "H.248 UDP socket: given up, receive keeps failing"
    );
}

/// Consecutive errors after which a socket is not read any more.
const ERRORS_MAX: u32 = 100;
