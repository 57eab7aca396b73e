//! SCTP (H.248.4) in UDP datagrams (RFC 6951), one task per socket.
//!
//! The SCTP port is the UDP port on either side. A kernel's SCTP speaks with us when its
//! encapsulation listens on that port too (Linux: `net.sctp.udp_port` and `encap_port`).
//!
//! Deviation: bare SCTP over IP is not spoken. It needs a kernel that has it, and socket options for
//! the payload protocol identifier that no safe interface offers.

mod associations;
mod packet;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use bytes::Bytes;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::transport::Inbound;
use crate::{Peer, TransportAddr, TransportId, TransportKind};
use associations::{Associations, Step};

/// What the shell asks of a socket's task.
#[derive(Debug)]
pub(crate) enum Command {
    Connect(TransportAddr),
    /// To the association of this number.
    Send(u32, Bytes),
    Close(u32),
}

/// Runs until the shell lets go of `commands`, or the socket is broken.
pub(crate) async fn run(
    socket: UdpSocket,
    numbers: Arc<AtomicU32>,
    (own, mut commands): (mpsc::WeakSender<Command>, mpsc::Receiver<Command>),
    inbound: mpsc::Sender<Inbound>,
) {
    let port = socket.local_addr().map_or(0, |addr| addr.port());
    let mut associations = Associations::new(port, numbers);
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    let mut errors = 0;
    while errors < ERRORS_MAX {
        if flush(&mut associations, &socket, &own, &inbound)
            .await
            .is_err()
        {
            return;
        }
        let deadline = associations.deadline().map(Instant::from_std);
        tokio::select! {
            received = socket.recv_from(&mut buffer) => match received {
                Ok((bytes, from)) => {
                    errors = 0;
                    associations.handle_received(now(), from, &buffer[..bytes]);
                }
                Err(cause) => {
                    errors += 1;
                    tracing::warn!(%cause, "H.248 SCTP socket: receive failed");
                }
            },
            command = commands.recv() => match command {
                Some(Command::Connect(mgc)) => associations.connect(now(), mgc),
                Some(Command::Send(index, octets)) => associations.send(now(), index, &octets),
                Some(Command::Close(index)) => associations.close(now(), index),
                None => {
                    associations.close_all(now());
                    let _ = flush(&mut associations, &socket, &own, &inbound).await;
                    return;
                }
            },
            () = crate::shell::sleep_until(deadline) => associations.handle_deadline(now()),
        }
    }
    tracing::error!("H.248 SCTP socket: given up, receive keeps failing");
}

/// The shell is gone.
struct Gone;

async fn flush(
    associations: &mut Associations,
    socket: &UdpSocket,
    own: &mpsc::WeakSender<Command>,
    inbound: &mpsc::Sender<Inbound>,
) -> Result<(), Gone> {
    while let Some(step) = associations.poll() {
        let report = match step {
            Step::Transmit { to, octets } => {
                // A datagram that the kernel does not take is lost, and sent again in time.
                if let Err(cause) = socket.send_to(&octets, to).await {
                    tracing::debug!(%to, %cause, "H.248 SCTP datagram not sent");
                }
                continue;
            }
            Step::Opened { index, addr, mgc } => Inbound::AssociationOpened {
                peer: peer(index, addr),
                mgc,
                commands: own.upgrade().ok_or(Gone)?,
            },
            Step::Message {
                index,
                addr,
                octets,
            } => Inbound::Message {
                peer: peer(index, addr),
                octets,
            },
            Step::Closed { index, addr, cause } => Inbound::Closed {
                peer: peer(index, addr),
                cause,
            },
            Step::Failed { mgc, cause } => Inbound::ConnectFailed { mgc, cause },
        };
        inbound.send(report).await.map_err(|_| Gone)?;
    }
    Ok(())
}

fn peer(index: u32, addr: SocketAddr) -> Peer {
    let transport = TransportId {
        kind: TransportKind::Sctp,
        index,
    };
    Peer { transport, addr }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// Octets of the longest datagram.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// Consecutive errors after which a socket is not read any more.
const ERRORS_MAX: u32 = 100;
