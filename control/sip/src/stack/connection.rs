//! One connection: how it is opened, and its reader and writer in one task.
//!
//! ```text
//! accepted or connected -> TLS? -> WebSocket? -> read and write until one of them ends
//!                      in time, or gone
//! ```

use super::inbox::Inbox;
use super::io::Input;
use super::tls::{Contexts, domains};
use super::websocket;
use crate::addr::Transport;
use crate::agent::{Flow, TxnId};
use crate::limits::{
    BODY_BYTES_MAX, CONNECT_TIMEOUT, IDLE_TIMEOUT, MESSAGE_TIMEOUT, OWN_BODY_BYTES_MAX,
    PING_INTERVAL, PONG_TIMEOUT, WRITE_TIMEOUT,
};
use crate::parse::{Frame, StreamFramer};
use crate::trust::Trusted;
use core::net::SocketAddr;
use rustls::pki_types::ServerName;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsStream;
use tracing::{debug, info, warn};

/// Octets read at once.
const READ_BYTES: usize = 16 * 1024;
/// A keep-alive ping and the answer to it (RFC 5626 3.5.1, 4.4.1).
pub(super) const PING: &[u8] = b"\r\n\r\n";
pub(super) const PONG: &[u8] = b"\r\n";

/// What the core keeps of a connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) sender: mpsc::Sender<Outgoing>,
    pub(super) peer: Peer,
    /// Among those of its address.
    pub(super) is_counted: bool,
    /// The domains of the peer's certificate, if one was verified.
    pub(super) names: Vec<String>,
}

/// Whom a connection leads to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Peer {
    pub(super) transport: Transport,
    pub(super) addr: SocketAddr,
    /// The domain that its certificate was verified for; `None` for one that was accepted.
    pub(super) name: Option<String>,
}

/// A message on its way into a connection.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) bytes: Vec<u8>,
    pub(super) txn: Option<TxnId>,
}

impl Outgoing {
    pub(super) fn plain(bytes: Vec<u8>) -> Self {
        Self { bytes, txn: None }
    }
}

/// Which side opened a connection.
pub(super) enum Origin {
    Accepted(TcpStream),
    /// We do.
    Wanted,
}

/// Everything that the task of a connection needs.
pub(super) struct Link {
    pub(super) origin: Origin,
    pub(super) peer: Peer,
    pub(super) channel: u64,
    pub(super) queue: mpsc::Receiver<Outgoing>,
    /// For pings of our own: it must not keep the queue open.
    pub(super) pings: mpsc::WeakSender<Outgoing>,
    pub(super) inbox: Inbox,
    /// Whether octets are kept for a trace.
    pub(super) tls: Option<Arc<Contexts>>,
    /// Whose pages may connect by WebSocket; none: any.
    pub(super) origins: Arc<[String]>,
    pub(super) trusted: Arc<[Trusted]>,
}

/// What reading needs.
pub(super) struct Reading {
    pub(super) flow: Flow,
    pub(super) inbox: Inbox,
    /// For a connection of ours: it is kept alive (RFC 5626 4.4.1).
    pub(super) pings: Option<mpsc::WeakSender<Outgoing>>,
}

trait Octets: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Octets for S {}

/// Opens, reads until the peer closes, breaks framing or falls silent, and writes until the core
/// lets go. One that we cannot open gives back what was queued.
pub(super) async fn run(mut link: Link) {
    let is_ours = matches!(link.origin, Origin::Wanted);
    let opened = timeout(CONNECT_TIMEOUT, open(&mut link)).await;
    let (stream, names) = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(error)) => return fail(link, is_ours, &error).await,
        Err(_) => return fail(link, is_ours, &io::ErrorKind::TimedOut.into()).await,
    };
    let flow = Flow {
        transport: link.peer.transport,
        channel: link.channel,
        local: stream.local,
        remote: link.peer.addr,
        is_trusted: {
            let address = link.peer.addr.ip();
            link.trusted.iter().any(|one| one.is(address, &names))
        },
    };
    if !names.is_empty() {
        let secured = Input::Secured(link.channel, names);
        let _ = link.inbox.put(secured).await;
    }
    let reading = Reading {
        flow,
        inbox: link.inbox,
        pings: is_ours.then_some(link.pings),
    };
    if link.peer.transport.is_web_socket() {
        let begun = websocket::open(stream.octets, &link.peer, is_ours, &link.origins);
        return match timeout(CONNECT_TIMEOUT, begun).await {
            Ok(Ok(socket)) => websocket::serve(socket, link.queue, reading).await,
            Ok(Err(error)) => {
                debug!(peer = %link.peer.addr, %error, "no WebSocket");
                give_back(link.queue, reading.inbox, link.channel, is_ours).await;
            }
            Err(_) => give_back(link.queue, reading.inbox, link.channel, is_ours).await,
        };
    }
    let (reader, writer) = tokio::io::split(stream.octets);
    let inbox = reading.inbox.clone();
    let reader = read(reader, reading);
    both(reader, write(writer, link.queue), link.channel, &inbox).await;
}

/// Runs reader and writer until the connection is over.
pub(super) async fn both(
    reader: impl Future<Output = ()>,
    writer: impl Future<Output = ()>,
    channel: u64,
    inbox: &Inbox,
) {
    let mut writer = core::pin::pin!(writer);
    tokio::select! {
        // The core let go, or the peer does not take what we send.
        () = &mut writer => {
            let _ = inbox.put(Input::Closed(channel)).await;
        }
        () = reader => {
            let _ = inbox.put(Input::Closed(channel)).await;
            // The core drops the queue after it handled what was read: answers still go out.
            writer.await;
        }
    }
}

struct Opened {
    octets: Box<dyn Octets>,
    local: SocketAddr,
}

async fn open(link: &mut Link) -> io::Result<(Opened, Vec<String>)> {
    let (stream, is_ours) = match core::mem::replace(&mut link.origin, Origin::Wanted) {
        Origin::Accepted(stream) => (stream, false),
        Origin::Wanted => (TcpStream::connect(link.peer.addr).await?, true),
    };
    let local = stream.local_addr()?;
    // Requests and responses are whole messages; there is nothing to wait for.
    stream.set_nodelay(true)?;
    let alive = socket2::TcpKeepalive::new().with_time(core::time::Duration::from_secs(60));
    socket2::SockRef::from(&stream).set_tcp_keepalive(&alive)?;
    if !link.peer.transport.is_secure() {
        let octets = Box::new(stream);
        return Ok((Opened { octets, local }, Vec::new()));
    }
    let contexts = link.tls.take().ok_or(io::ErrorKind::Unsupported)?;
    let stream: TlsStream<_> = if is_ours {
        let name = link.peer.name.clone();
        let name = name.and_then(|name| ServerName::try_from(name).ok());
        let name = name.unwrap_or_else(|| ServerName::from(link.peer.addr.ip()));
        contexts.connector.connect(name, stream).await?.into()
    } else {
        contexts.acceptor.accept(stream).await?.into()
    };
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let names = chain.first().map(domains).unwrap_or_default();
    let octets = Box::new(stream);
    Ok((Opened { octets, local }, names))
}

async fn fail(link: Link, is_ours: bool, error: &io::Error) {
    let peer = &link.peer;
    // Nothing to worry about where the peer takes UDP alone: what is tried by TCP for its size goes by UDP then
    // (RFC 3261 18.1.1).
    let is_usual =
        peer.transport == Transport::Tcp && error.kind() == io::ErrorKind::ConnectionRefused;
    if is_ours && is_usual {
        info!(transport = %peer.transport, addr = %peer.addr, %error, "cannot connect");
    } else if is_ours {
        warn!(transport = %peer.transport, addr = %peer.addr, %error, "cannot connect");
    } else {
        debug!(transport = %peer.transport, addr = %peer.addr, %error, "handshake failed");
    }
    give_back(link.queue, link.inbox, link.channel, is_ours).await;
}

async fn give_back(mut queue: mpsc::Receiver<Outgoing>, inbox: Inbox, channel: u64, is_ours: bool) {
    if !is_ours {
        let _ = inbox.put(Input::Closed(channel)).await;
        return;
    }
    queue.close();
    let mut queued = Vec::new();
    while let Some(message) = queue.recv().await {
        queued.push(message);
    }
    let _ = inbox.put(Input::ConnectFailed(channel, queued)).await;
}

/// When a silent peer has been silent for too long.
pub(super) struct Patience {
    pings: Option<mpsc::WeakSender<Outgoing>>,
    /// When the message that is half here began.
    partial_since: Option<Instant>,
    heard: Instant,
    message: Instant,
    is_pinged: bool,
}

impl Patience {
    pub(super) fn new(pings: Option<mpsc::WeakSender<Outgoing>>, now: Instant) -> Self {
        Self {
            pings,
            // Whoever connects has something to say.
            partial_since: Some(now),
            heard: now,
            message: now,
            is_pinged: false,
        }
    }

    /// Until when it is waited for the next octets.
    pub(super) fn until(&self) -> Instant {
        match (self.partial_since, &self.pings) {
            (Some(since), None) => since + MESSAGE_TIMEOUT,
            (_, Some(_)) if self.is_pinged => self.heard + PING_INTERVAL + PONG_TIMEOUT,
            (_, Some(_)) => self.heard + PING_INTERVAL,
            (None, None) => self.heard + IDLE_TIMEOUT,
        }
    }

    /// Octets came; `is_partial`: a message is half here now, `is_message`: one was whole.
    pub(super) fn hear(&mut self, now: Instant, is_message: bool, is_partial: bool) {
        self.heard = now;
        self.is_pinged = false;
        if is_message {
            self.message = now;
        }
        self.partial_since = match (is_partial, self.partial_since) {
            (false, _) => None,
            (true, Some(since)) if !is_message => Some(since),
            (true, _) => Some(now),
        };
    }

    /// The wait is over: whether it goes on, with a ping.
    pub(super) fn goes_on(&mut self, now: Instant) -> bool {
        if self.is_pinged || self.message + IDLE_TIMEOUT <= now {
            return false;
        }
        let Some(queue) = self.pings.as_ref().and_then(mpsc::WeakSender::upgrade) else {
            return false;
        };
        self.is_pinged = true;
        queue.try_send(Outgoing::plain(PING.to_vec())).is_ok()
    }
}

/// Octets of the longest body that is taken on a connection, ours or not.
pub(super) fn body_max(is_ours: bool) -> usize {
    if is_ours {
        OWN_BODY_BYTES_MAX
    } else {
        BODY_BYTES_MAX
    }
}

async fn read(mut reader: impl AsyncRead + Unpin, mut reading: Reading) {
    let mut framer = StreamFramer::new(body_max(reading.pings.is_some()));
    let mut buffer = vec![0; READ_BYTES];
    let mut patience = Patience::new(reading.pings.take(), Instant::now());
    loop {
        let count = match timeout_at(patience.until(), reader.read(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => return,
            Ok(Ok(count)) => count,
            Err(_) if patience.goes_on(Instant::now()) => continue,
            Err(_) => {
                debug!(remote = %reading.flow.remote, "silent for too long");
                return;
            }
        };
        framer.push(&buffer[..count]);
        let mut is_message = false;
        while let Some(frame) = framer.next_frame() {
            is_message = true;
            let is_last = matches!(frame, Frame::Fatal(_));
            if !reading.tell(frame).await || is_last {
                return;
            }
        }
        patience.hear(Instant::now(), is_message, framer.is_partial());
    }
}

impl Reading {
    /// Hands a frame to the core; `false`: it is gone.
    pub(super) async fn tell(&self, frame: Frame) -> bool {
        let (parsed, bytes) = match frame {
            Frame::Ping => {
                let ping = Input::Ping(self.flow.channel);
                return self.inbox.put(ping).await;
            }
            Frame::Message(parsed, bytes) => (parsed, bytes),
            Frame::Fatal(parsed) => (parsed, Vec::new()),
        };
        self.inbox.put_message(self.flow, parsed, bytes).await
    }
}

async fn write(mut writer: impl AsyncWrite + Unpin, mut queue: mpsc::Receiver<Outgoing>) {
    while let Some(message) = queue.recv().await {
        let sent = async {
            writer.write_all(&message.bytes).await?;
            // TLS keeps what it has encrypted until then.
            writer.flush().await
        };
        if !matches!(timeout(WRITE_TIMEOUT, sent).await, Ok(Ok(()))) {
            return;
        }
    }
    let _ = timeout(WRITE_TIMEOUT, writer.shutdown()).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    #[tokio::test]
    async fn a_peer_that_never_finishes_a_message_is_given_up() {
        let start = Instant::now();
        let mut patience = Patience::new(None, start);
        assert_eq!(patience.until(), start + MESSAGE_TIMEOUT);
        let later = start + Duration::from_secs(1);
        patience.hear(later, false, true);
        assert_eq!(
            patience.until(),
            start + MESSAGE_TIMEOUT,
            "a trickle buys no time"
        );
        patience.hear(later, true, false);
        assert_eq!(patience.until(), later + IDLE_TIMEOUT);
        patience.hear(later, false, true);
        assert_eq!(patience.until(), later + MESSAGE_TIMEOUT);
        assert!(!patience.goes_on(later + MESSAGE_TIMEOUT));
    }

    #[tokio::test]
    async fn a_connection_of_ours_is_kept_alive_until_nobody_answers() {
        let (sender, mut queue) = mpsc::channel(1);
        let start = Instant::now();
        let mut patience = Patience::new(Some(sender.downgrade()), start);
        assert_eq!(patience.until(), start + PING_INTERVAL);
        assert!(patience.goes_on(start + PING_INTERVAL));
        assert_eq!(queue.recv().await.expect("a ping").bytes, PING);
        assert_eq!(patience.until(), start + PING_INTERVAL + PONG_TIMEOUT);
        patience.hear(start + PING_INTERVAL, false, false);
        assert_eq!(patience.until(), start + PING_INTERVAL * 2);
        assert!(patience.goes_on(start + PING_INTERVAL * 2));
        assert!(!patience.goes_on(start + PING_INTERVAL * 3), "no pong came");
        drop(sender);
        let mut gone = Patience::new(None, start);
        assert!(!gone.goes_on(start), "the core let go");
    }
}
