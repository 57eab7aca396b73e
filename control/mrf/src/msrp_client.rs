//! An MSRP endpoint on one connection, TCP or TLS: `endpoint` decides, this part moves octets.
//!
//! One task owns the connection. It always takes commands (up to a bound of unsent octets) and
//! stops reading while the application does not take its events.

mod endpoint;
#[cfg(test)]
mod tests;
mod tls;

use core::net::SocketAddr;
use std::collections::VecDeque;
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use self::endpoint::{Endpoint, Ids};
pub use self::endpoint::{Event, Message, Nickname, Outgoing, Paths};
pub use self::tls::Credentials;
use crate::limits::{CLIENT_EVENTS_MAX, READ_BYTES, UNSENT_BYTES_MAX};

/// A connected endpoint. Dropping it closes the connection.
#[derive(Debug)]
pub struct MsrpClient {
    commands: mpsc::Sender<Command>,
    events: mpsc::Receiver<Event>,
}

impl MsrpClient {
    /// Speaks MSRP on `stream` between the two `paths`. With `trace` every whole frame comes as
    /// [`Event::Received`] and [`Event::Sent`], too.
    #[must_use]
    pub fn start(
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
        paths: Paths,
        trace: bool,
    ) -> Self {
        let (commands, command_queue) = mpsc::channel(1);
        let (event_sender, events) = mpsc::channel(CLIENT_EVENTS_MAX);
        let task = Task {
            endpoint: Endpoint::new(paths, trace),
            pending: VecDeque::new(),
            unsent: Vec::new(),
        };
        tokio::spawn(task.run(stream, command_queue, event_sender));
        Self { commands, events }
    }

    /// Sends a message in as many chunks as it takes; its fate comes as [`Event::Answered`] once a
    /// chunk and, on failure, [`Event::Reported`].
    ///
    /// # Errors
    ///
    /// When the connection is gone.
    pub async fn send(&self, message: Outgoing) -> io::Result<()> {
        self.command(Command::Send(message)).await
    }

    /// Asks to be known by a nickname (RFC 7701 7); the answer comes as [`Event::Answered`].
    ///
    /// # Errors
    ///
    /// When the connection is gone.
    pub async fn ask_nickname(&self, asked: Nickname) -> io::Result<()> {
        self.command(Command::Nickname(asked)).await
    }

    async fn command(&self, command: Command) -> io::Result<()> {
        let gone = |_| io::Error::from(io::ErrorKind::NotConnected);
        self.commands.send(command).await.map_err(gone)
    }

    /// The next event; the last one is [`Event::Closed`], then `None`. Cancel-safe.
    pub async fn next_event(&mut self) -> Option<Event> {
        self.events.recv().await
    }
}

/// Connects a socket (bound already, so that its port could be told) to `remote`.
///
/// # Errors
///
/// When the connection cannot be opened.
pub async fn connect(socket: tokio::net::TcpSocket, remote: SocketAddr) -> io::Result<TcpStream> {
    let stream = socket.connect(remote).await?;
    // Frames go out whole; waiting for more only adds delay.
    stream.set_nodelay(true)?;
    Ok(stream)
}

#[derive(Debug)]
enum Command {
    Send(Outgoing),
    Nickname(Nickname),
}

struct Task {
    endpoint: Endpoint,
    /// Events not yet taken.
    pending: VecDeque<Event>,
    /// Octets not yet sent.
    unsent: Vec<u8>,
}

impl Task {
    async fn run(
        mut self,
        stream: impl AsyncRead + AsyncWrite,
        mut commands: mpsc::Receiver<Command>,
        events: mpsc::Sender<Event>,
    ) {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut input = vec![0; READ_BYTES];
        let reason = loop {
            let is_idle = self.pending.is_empty();
            let has_room = self.unsent.len() < UNSENT_BYTES_MAX;
            tokio::select! {
                read = reader.read(&mut input), if is_idle => match read {
                    Ok(0) => break "closed by the other side".to_owned(),
                    Ok(octets) => if let Err(fatal) = self.received(&input[..octets]) {
                        break fatal.to_string();
                    },
                    Err(error) => break error.to_string(),
                },
                written = writer.write(&self.unsent), if !self.unsent.is_empty() => match written {
                    Ok(octets) => drop(self.unsent.drain(..octets)),
                    Err(error) => break error.to_string(),
                },
                permit = events.reserve(), if !is_idle => match permit {
                    Ok(permit) => if let Some(event) = self.pending.pop_front() {
                        permit.send(event);
                    },
                    Err(_) => return,
                },
                command = commands.recv(), if has_room => match command {
                    Some(command) => self.obey(command),
                    None => return,
                },
            }
        };
        for event in self.pending.drain(..).chain([Event::Closed(reason)]) {
            // Nobody listens any more: then nobody needs to know.
            let _ = events.send(event).await;
        }
    }

    fn received(&mut self, octets: &[u8]) -> Result<(), msrp::Fatal> {
        let ids = fresh_ids();
        let result = self.endpoint.handle_received(octets, &ids);
        self.drain();
        result
    }

    fn obey(&mut self, command: Command) {
        let ids = fresh_ids();
        match command {
            Command::Send(message) => self.endpoint.send(message, &ids),
            Command::Nickname(asked) => self.endpoint.ask_nickname(asked, &ids),
        }
        self.drain();
    }

    fn drain(&mut self) {
        self.unsent.append(&mut self.endpoint.take_output());
        self.pending.extend(self.endpoint.take_events());
    }
}

fn fresh_ids() -> Ids {
    Ids::new(rand::random(), rand::random())
}
