//! One task per TCP listener and per connection.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::limits::CONNECTIONS_MAX;
use crate::transport::{Inbound, tpkt};
use crate::{Peer, TransportAddr};

/// Accepts until the shell is gone.
pub(crate) async fn accept(listener: TcpListener, inbound: mpsc::Sender<Inbound>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // Wait for a place first: who comes meanwhile waits in the kernel's backlog.
        let Ok(permit) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let accepted = Inbound::Accepted { stream, permit };
                if inbound.send(accepted).await.is_err() {
                    return;
                }
            }
            Err(cause) => {
                tracing::warn!(%cause, "H.248 TCP listener: accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Connects, and reports success or failure. The registration decides how long it waits.
pub(crate) async fn connect(mgc: TransportAddr, inbound: mpsc::Sender<Inbound>) {
    let report = match TcpStream::connect(mgc.addr()).await {
        Ok(stream) => Inbound::Connected { mgc, stream },
        Err(cause) => Inbound::ConnectFailed {
            mgc,
            cause: cause.to_string(),
        },
    };
    // An error means that the shell is gone, and with it who wanted to know.
    let _ = inbound.send(report).await;
}

/// Reads and writes one connection until either side closes it, then reports why.
pub(crate) async fn run(
    stream: TcpStream,
    peer: Peer,
    outgoing: mpsc::Receiver<Bytes>,
    inbound: mpsc::Sender<Inbound>,
    _permit: Option<OwnedSemaphorePermit>,
) {
    if let Err(cause) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %cause, "H.248 TCP connection: no TCP_NODELAY");
    }
    let (reader, writer) = stream.into_split();
    let cause = tokio::select! {
        cause = read(reader, peer, &inbound) => cause,
        cause = write(writer, outgoing) => cause,
    };
    let _ = inbound.send(Inbound::Closed { peer, cause }).await;
}

async fn read(mut reader: OwnedReadHalf, peer: Peer, inbound: &mpsc::Sender<Inbound>) -> String {
    let mut deframer = tpkt::Deframer::default();
    loop {
        match read_some(&mut reader, deframer.buffer()).await {
            Ok(0) => return "closed by the peer".to_owned(),
            Ok(_) => {}
            Err(cause) => return cause.to_string(),
        }
        loop {
            match deframer.next_message() {
                Ok(Some(octets)) => {
                    if inbound
                        .send(Inbound::Message { peer, octets })
                        .await
                        .is_err()
                    {
                        return "shut down".to_owned();
                    }
                }
                Ok(None) => break,
                Err(cause) => {
                    tracing::warn!(%peer, %cause, "H.248 TCP connection closed: bad framing");
                    return cause.to_string();
                }
            }
        }
    }
}

/// A frame is at most 64 KiB and every whole one is taken out before the next read, so the buffer
/// stays below that plus one read.
async fn read_some(reader: &mut OwnedReadHalf, buffer: &mut BytesMut) -> io::Result<usize> {
    buffer.reserve(READ_BYTES);
    reader.read_buf(buffer).await
}

async fn write(mut writer: OwnedWriteHalf, mut outgoing: mpsc::Receiver<Bytes>) -> String {
    let mut frame = BytesMut::new();
    while let Some(octets) = outgoing.recv().await {
        frame.clear();
        let Some(header) = tpkt::header(octets.len()) else {
            continue;
        };
        frame.extend_from_slice(&header);
        frame.extend_from_slice(&octets);
        if let Err(cause) = writer.write_all(&frame).await {
            return cause.to_string();
        }
    }
    // The shell let go of the connection; errors of a last goodbye interest nobody.
    let _ = writer.shutdown().await;
    "closed by us".to_owned()
}

/// Octets to make room for before a read.
const READ_BYTES: usize = 16 << 10;
/// Rest after a failed accept (usually no descriptors left).
const ACCEPT_PAUSE: tokio::time::Duration = tokio::time::Duration::from_millis(100);
