//! One TCP connection: a reader and a writer in one task.

use super::io::Input;
use crate::addr::Transport;
use crate::agent::{Flow, TxnId};
use crate::limits::CONNECT_TIMEOUT;
use crate::parse::{Frame, StreamFramer};
use core::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tracing::debug;

/// Octets read at once.
const READ_BYTES: usize = 16 * 1024;

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) sender: mpsc::Sender<Outgoing>,
    pub(super) remote: SocketAddr,
}

/// A message on its way into a connection.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) bytes: Vec<u8>,
    pub(super) txn: Option<TxnId>,
    pub(super) fallback: Option<Flow>,
}

impl Outgoing {
    pub(super) fn plain(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            txn: None,
            fallback: None,
        }
    }
}

/// Connects, then serves; on failure gives back what was queued.
pub(super) async fn connect(
    addr: SocketAddr,
    channel: u64,
    mut queue: mpsc::Receiver<Outgoing>,
    inputs: mpsc::Sender<Input>,
    keep: bool,
) {
    let attempt = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(addr)).await;
    match attempt {
        Ok(Ok(stream)) => serve(stream, addr, channel, queue, inputs, keep).await,
        Ok(Err(_)) | Err(_) => {
            debug!(%addr, "cannot connect");
            queue.close();
            let mut queued = Vec::new();
            while let Some(message) = queue.recv().await {
                queued.push(message);
            }
            let _ = inputs.send(Input::ConnectFailed(channel, queued)).await;
        }
    }
}

/// Reads until the peer closes or breaks framing, and writes until the core lets go.
pub(super) async fn serve(
    stream: TcpStream,
    remote: SocketAddr,
    channel: u64,
    queue: mpsc::Receiver<Outgoing>,
    inputs: mpsc::Sender<Input>,
    keep: bool,
) {
    let Ok(local) = stream.local_addr() else {
        let _ = inputs.send(Input::Closed(channel)).await;
        return;
    };
    // Requests and responses are whole messages; there is nothing to wait for.
    let _ = stream.set_nodelay(true);
    let flow = Flow {
        transport: Transport::Tcp,
        channel,
        local,
        remote,
    };
    let (reader, writer) = stream.into_split();
    let mut writing = core::pin::pin!(write(writer, queue));
    tokio::select! {
        // The core let go, or the peer does not take what we send.
        () = &mut writing => {
            let _ = inputs.send(Input::Closed(channel)).await;
        }
        () = read(reader, flow, &inputs, keep) => {
            let _ = inputs.send(Input::Closed(channel)).await;
            // The core drops the queue after it handled what was read: answers still go out.
            writing.await;
        }
    }
}

async fn read(mut reader: OwnedReadHalf, flow: Flow, inputs: &mpsc::Sender<Input>, keep: bool) {
    let mut framer = StreamFramer::default();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let count = match reader.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => count,
        };
        framer.push(&buffer[..count]);
        while let Some(frame) = framer.next_frame() {
            let (input, is_last) = match frame {
                Frame::Ping => (Input::Ping(flow.channel), false),
                Frame::Message(parsed, bytes) => {
                    let bytes = if keep { bytes } else { Vec::new() };
                    (
                        Input::Message {
                            flow,
                            parsed: Box::new(parsed),
                            bytes,
                        },
                        false,
                    )
                }
                Frame::Fatal(parsed) => (
                    Input::Message {
                        flow,
                        parsed: Box::new(parsed),
                        bytes: Vec::new(),
                    },
                    true,
                ),
            };
            if inputs.send(input).await.is_err() || is_last {
                return;
            }
        }
    }
}

async fn write(mut writer: OwnedWriteHalf, mut queue: mpsc::Receiver<Outgoing>) {
    while let Some(message) = queue.recv().await {
        if writer.write_all(&message.bytes).await.is_err() {
            return;
        }
    }
    let _ = writer.shutdown().await;
}
