//! One task per TCP listener and per connection.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use clock::Duration;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

use crate::limits::{CONNECTIONS_MAX, FIRST_MESSAGE_TIME_MAX, MESSAGE_TIME_MAX};
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
    (stream, t_max): (TcpStream, Duration),
    peer: Peer,
    outgoing: mpsc::Receiver<Bytes>,
    inbound: mpsc::Sender<Inbound>,
    permit: Option<OwnedSemaphorePermit>,
) {
    if let Err(cause) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %cause, "H.248 TCP connection: no TCP_NODELAY");
    }
    if let Err(cause) = watch(&stream, t_max) {
        tracing::warn!(%peer, %cause, "H.248 TCP connection: no keep-alive");
    }
    let (reader, writer) = stream.into_split();
    // Who connects has something to say; who was called may wait to be asked.
    let first = permit
        .is_some()
        .then(|| Instant::now() + FIRST_MESSAGE_TIME_MAX);
    let cause = tokio::select! {
        cause = read(reader, peer, &inbound, first) => cause,
        cause = write(writer, outgoing) => cause,
    };
    let _ = inbound.send(Inbound::Closed { peer, cause }).await;
}

/// Has the kernel find out that the other side has vanished without a word: it is probed after a silence of
/// T-MAX, and lost when neither probes nor messages are acknowledged for as long.
fn watch(stream: &TcpStream, t_max: Duration) -> io::Result<()> {
    let socket = SockRef::from(stream);
    // The kernel counts whole seconds, and takes no 0.
    let seconds = |time: Duration| Duration::from_secs(time.as_secs().max(1));
    let probes = TcpKeepalive::new()
        .with_time(seconds(t_max))
        .with_interval(seconds(t_max / KEEP_ALIVE_PROBES))
        .with_retries(KEEP_ALIVE_PROBES);
    socket.set_tcp_keepalive(&probes)?;
    socket.set_tcp_user_timeout(Some(seconds(t_max)))
}

/// Reads until the end, or until a message takes too long: places are few, and who holds one without a
/// word keeps it from a controller. The first message must be there by `first`.
async fn read(
    mut reader: impl AsyncRead + Unpin,
    peer: Peer,
    inbound: &mpsc::Sender<Inbound>,
    mut first: Option<Instant>,
) -> String {
    let mut deframer = tpkt::Deframer::default();
    // By when the message that has begun must be whole.
    let mut begun: Option<Instant> = None;
    loop {
        let some = read_some(&mut reader, deframer.buffer());
        let some = match first.into_iter().chain(begun).min() {
            Some(due) => tokio::time::timeout_at(due, some).await,
            None => Ok(some.await),
        };
        match some {
            Ok(Ok(0)) => return "closed by the peer".to_owned(),
            Ok(Ok(_)) => {}
            Ok(Err(cause)) => return cause.to_string(),
            Err(_) => return "no whole message in time".to_owned(),
        }
        loop {
            match deframer.next_message() {
                Ok(Some(octets)) => {
                    (first, begun) = (None, None);
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
        if deframer.buffer().is_empty() {
            begun = None;
        } else {
            begun.get_or_insert_with(|| Instant::now() + MESSAGE_TIME_MAX);
        }
    }
}

/// A frame is at most 64 KiB and every whole one is taken out before the next read, so the buffer
/// stays below that plus one read.
async fn read_some(
    reader: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
) -> io::Result<usize> {
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

/// Probes within T-MAX that a peer may leave unanswered.
const KEEP_ALIVE_PROBES: u32 = 5;
/// Octets to make room for before a read.
const READ_BYTES: usize = 16 << 10;
/// Rest after a failed accept (usually no descriptors left).
const ACCEPT_PAUSE: tokio::time::Duration = tokio::time::Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TransportId, TransportKind};

    const MESSAGE: &[u8] = b"\x03\x00\x00\x07abc";
    const DAY: clock::Duration = clock::Duration::from_secs(86_400);

    /// When reading ends of a connection that says this and then nothing for a day, if it does.
    async fn end_of(octets: &[u8], is_accepted: bool) -> Option<clock::Duration> {
        let (mut ours, theirs) = tokio::io::duplex(1024);
        let (inbound, _received) = mpsc::channel(8);
        let transport = TransportId {
            kind: TransportKind::Tcp,
            index: 0,
        };
        let addr = ([127, 0, 0, 1], 1).into();
        let first = is_accepted.then(|| Instant::now() + FIRST_MESSAGE_TIME_MAX);
        ours.write_all(octets).await.expect("room");
        let cause = read(theirs, Peer { transport, addr }, &inbound, first);
        let started = Instant::now();
        let cause = tokio::time::timeout(DAY, cause).await.ok()?;
        assert_eq!(cause, "no whole message in time");
        Some(started.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_does_not_finish_a_message_is_closed() {
        let check = async |octets: &[u8], is_accepted, after| {
            let ended = end_of(octets, is_accepted).await;
            // The timer of the runtime counts whole milliseconds.
            let ended = ended.map(|after| after.as_secs());
            assert_eq!(ended, Some(after), "{octets:?}");
        };
        let (message, first) = (MESSAGE_TIME_MAX.as_secs(), FIRST_MESSAGE_TIME_MAX.as_secs());
        check(b"", true, first).await;
        check(&MESSAGE[..5], true, message).await;
        check(&MESSAGE[..5], false, message).await;
        check(&[MESSAGE, &MESSAGE[..1]].concat(), true, message).await;
        // Empty frames are no message.
        check(b"\x03\x00\x00\x04", true, first).await;
    }

    #[tokio::test]
    async fn a_peer_that_vanishes_is_missed_by_the_kernel() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("bound");
        let stream = TcpStream::connect(addr).await.expect("listening");
        for (t_max, idle, interval) in [(25, 25, 5), (600, 600, 120), (0, 1, 1)] {
            let seconds = Duration::from_secs;
            watch(&stream, seconds(t_max)).expect("options of every Linux");
            let socket = SockRef::from(&stream);
            assert!(socket.keepalive().expect("an option"));
            let time = socket.tcp_keepalive_time().expect("an option");
            assert_eq!(time, seconds(idle));
            let pause = socket.tcp_keepalive_interval().expect("an option");
            assert_eq!(pause, seconds(interval));
            let unacknowledged = socket.tcp_user_timeout().expect("an option");
            assert_eq!(unacknowledged, Some(seconds(idle)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_was_called_or_has_said_something_may_be_silent() {
        assert_eq!(end_of(b"", false).await, None);
        assert_eq!(end_of(MESSAGE, true).await, None);
        assert_eq!(end_of(&MESSAGE.repeat(3), false).await, None);
    }
}
