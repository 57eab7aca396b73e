//! Messages on sockets: framing without I/O, and the tasks that read and write.

pub mod tpkt;

pub(crate) mod sctp;
pub(crate) mod tcp;
pub(crate) mod udp;

use bytes::Bytes;
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc;

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
    SctpBound {
        mgc: TransportAddr,
        socket: UdpSocket,
    },
    /// The kernel's SCTP got no answer.
    SctpUnanswered {
        mgc: TransportAddr,
        cause: String,
    },
    AssociationOpened {
        peer: Peer,
        /// Set if we asked for it.
        mgc: Option<TransportAddr>,
        commands: mpsc::Sender<sctp::Command>,
    },
    Resolved {
        name: String,
        addr: Option<std::net::SocketAddr>,
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
