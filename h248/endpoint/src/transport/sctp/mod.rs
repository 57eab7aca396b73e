//! SCTP (H.248.4): through the kernel where it has SCTP ([`kernel`]), and in UDP datagrams (RFC 6951), one
//! task per socket.
//!
//! In UDP, the SCTP port is the UDP port on either side. A kernel's SCTP speaks with that side when its
//! encapsulation listens on that port too (Linux: `net.sctp.udp_port` and `encap_port`).
//!
//! ```text
//! listen:   kernel has SCTP? -- yes --> both, on one port number
//!                            -- no ---> UDP
//! connect:  kernel has SCTP? -- yes --> kernel -- up, or refused --> that is the outcome
//!                            |                 -- no answer ------+
//!                            -- no -------------------------------+--> UDP
//! ```

mod associations;
pub(crate) mod kernel;
mod packet;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

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

/// Payload protocol identifier of H.248 (H.248.4; IANA, SCTP payload protocol identifiers).
const PPID_H248: u32 = 7;
/// The stream we send on.
const STREAM: u16 = 0;
/// Streams offered in each direction.
const STREAMS: u16 = 16;
/// Timers fit for signalling: those of RFC 9260 section 16 would take a minute to repeat a lost
/// message, when T-MAX has passed long ago.
const RTO_INITIAL_MS: u32 = 500;
const RTO_MIN_MS: u32 = 100;
const RTO_MAX_MS: u32 = 2_000;
/// Times that an INIT is repeated.
const INIT_RETRANSMITS: u16 = 8;
/// How long a path is idle before it is asked for a sign of life.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);
/// How long an association may take to come up.
const OPENING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an association may take to go down.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(5);
/// Octets of the longest datagram.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// Consecutive errors after which a socket is not read any more.
const ERRORS_MAX: u32 = 100;
