//! SCTP (H.248.4) through the kernel: one task per listener, per attempt to connect, and per association.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use oxirush_sctp::{
    ConnectedSocket, InitParams, Listener, NotificationOrData, PeerAddressParams, RtoInfo,
    SendOptions, Socket, SocketToAssociation,
};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::{CLOSING_TIMEOUT, Command, OPENING_TIMEOUT, PPID_H248, STREAM, STREAMS, peer};
use crate::limits::{CONNECTIONS_MAX, SCTP_MESSAGE_BYTES_MAX, SEND_QUEUE_MESSAGES};
use crate::transport::{Inbound, udp};
use crate::{Peer, TransportAddr};

/// Why this kernel's SCTP cannot be used; `None` if it can.
pub(crate) fn absence(addr: SocketAddr) -> Option<io::Error> {
    socket(addr).err()
}

/// A socket with the timers of the other path, SCTP in UDP: both are for signalling.
fn socket(addr: SocketAddr) -> io::Result<Socket> {
    let socket = match addr {
        SocketAddr::V4(_) => Socket::new_v4(SocketToAssociation::OneToOne)?,
        SocketAddr::V6(_) => Socket::new_v6(SocketToAssociation::OneToOne)?,
    };
    let options = socket.options();
    // Without it a message waits for the acknowledgement of the one before: up to 200 ms.
    options.set_nodelay(true)?;
    options.set_rto_info(RtoInfo::new(
        super::RTO_INITIAL_MS,
        super::RTO_MAX_MS,
        super::RTO_MIN_MS,
    ))?;
    let mut init = InitParams::streams(STREAMS, STREAMS);
    init.max_attempts = super::INIT_RETRANSMITS;
    options.set_init_params(init)?;
    // An address of nobody stands for every path of every association.
    let mut paths = PeerAddressParams::new(0, udp::unspecified_like(addr));
    paths.heartbeat_interval = super::HEARTBEAT_INTERVAL;
    options.set_peer_address_params(paths)?;
    options.set_max_message_size(SCTP_MESSAGE_BYTES_MAX);
    Ok(socket)
}

/// Listens on `addr`.
pub(crate) fn listen(addr: SocketAddr) -> io::Result<Listener> {
    let socket = socket(addr)?;
    socket.options().set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// Accepts until the shell is gone.
pub(crate) async fn accept(
    listener: Listener,
    numbers: Arc<AtomicU32>,
    inbound: mpsc::Sender<Inbound>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut associations = JoinSet::new();
    loop {
        // Wait for a place first: who comes meanwhile waits in the kernel's backlog.
        let Ok(permit) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        while associations.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((socket, addr)) => {
                let peer = peer(next(&numbers), addr);
                let inbound = inbound.clone();
                associations.spawn(async move {
                    serve(socket, peer, None, inbound).await;
                    drop(permit);
                });
            }
            Err(cause) => {
                tracing::warn!(%cause, "H.248 SCTP listener: accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Connects, and serves the association until either side ends it. Whoever has no SCTP at that address,
/// or no way to it, may still have it in UDP: the shell is told to try.
pub(crate) async fn connect(
    mgc: TransportAddr,
    numbers: Arc<AtomicU32>,
    inbound: mpsc::Sender<Inbound>,
) {
    let connecting = async { socket(mgc.addr())?.connect(mgc.addr()).await };
    let connected = tokio::time::timeout(OPENING_TIMEOUT, connecting).await;
    let failed = match connected {
        Ok(Ok((socket, _))) => {
            let peer = peer(next(&numbers), mgc.addr());
            return serve(socket, peer, Some(mgc), inbound).await;
        }
        // An abort: its kernel has SCTP, and nobody listens.
        Ok(Err(cause)) if cause.kind() == io::ErrorKind::ConnectionRefused => {
            let cause = cause.to_string();
            Inbound::ConnectFailed { mgc, cause }
        }
        Ok(Err(cause)) => {
            let cause = cause.to_string();
            Inbound::SctpUnanswered { mgc, cause }
        }
        Err(_) => {
            let cause = "no answer in time".to_owned();
            Inbound::SctpUnanswered { mgc, cause }
        }
    };
    // An error means that the shell is gone, and with it who wanted to know.
    let _ = inbound.send(failed).await;
}

/// Reads and writes one association until either side ends it.
async fn serve(
    socket: ConnectedSocket,
    peer: Peer,
    mgc: Option<TransportAddr>,
    inbound: mpsc::Sender<Inbound>,
) {
    let (commands, receiver) = mpsc::channel(SEND_QUEUE_MESSAGES);
    let opened = Inbound::AssociationOpened {
        peer,
        mgc,
        commands,
    };
    if inbound.send(opened).await.is_err() {
        return;
    }
    let ended = tokio::select! {
        cause = read(&socket, peer, &inbound) => Some(cause),
        cause = write(&socket, receiver) => cause,
    };
    match ended {
        Some(cause) => {
            let _ = inbound.send(Inbound::Closed { peer, cause }).await;
        }
        // What was sent still arrives; how the goodbye ends interests nobody.
        None => {
            let _ = socket.close(CLOSING_TIMEOUT).await;
        }
    }
}

/// Reads to the end, and says why it came. Whatever stream the peer chose, a user message is a message.
async fn read(socket: &ConnectedSocket, peer: Peer, inbound: &mpsc::Sender<Inbound>) -> String {
    loop {
        let octets = match socket.recv().await {
            Ok(Some(NotificationOrData::Data(message))) => message.payload.into(),
            Ok(Some(_)) => continue,
            Ok(None) => return "closed by the peer".to_owned(),
            Err(cause) if cause.kind() == io::ErrorKind::InvalidData => {
                tracing::warn!(%peer, %cause, "H.248 message over SCTP dropped");
                continue;
            }
            Err(cause) => return cause.to_string(),
        };
        let message = Inbound::Message { peer, octets };
        if inbound.send(message).await.is_err() {
            return "shut down".to_owned();
        }
    }
}

/// Writes what is asked, on one stream (H.248.4: one by default); `None` when we are to close.
async fn write(socket: &ConnectedSocket, mut commands: mpsc::Receiver<Command>) -> Option<String> {
    let options = SendOptions::new().stream(STREAM).ppid(PPID_H248);
    loop {
        match commands.recv().await {
            Some(Command::Send(_, octets)) => {
                if let Err(cause) = socket.send(&octets, options).await {
                    return Some(cause.to_string());
                }
            }
            Some(Command::Close(_)) | None => return None,
            // Associations are opened by their sockets, not by one another.
            Some(Command::Connect(_)) => {}
        }
    }
}

/// The number of the next connection.
fn next(numbers: &AtomicU32) -> u32 {
    numbers.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
}

/// Associations that the kernel holds until they are accepted.
const BACKLOG: i32 = 128;
/// Rest after a failed accept (usually no descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
