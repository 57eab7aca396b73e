//! Messages on sockets: framing without I/O, and the tasks that read and write.

pub mod tpkt;

pub(crate) mod tcp;
pub(crate) mod udp;

use bytes::Bytes;
use tokio::net::{TcpStream, UdpSocket};

use crate::{Peer, TransportAddr};

/// What the tasks report to the shell.
#[derive(Debug)]
pub(crate) enum Inbound {
    Message {
        peer: Peer,
        octets: Bytes,
    },
    Accepted {
        stream: TcpStream,
        permit: tokio::sync::OwnedSemaphorePermit,
    },
    Connected {
        mgc: TransportAddr,
        stream: TcpStream,
    },
    SocketBound {
        mgc: TransportAddr,
        socket: UdpSocket,
    },
    ConnectFailed {
        mgc: TransportAddr,
        cause: String,
    },
    Closed {
        peer: Peer,
        cause: String,
    },
}
