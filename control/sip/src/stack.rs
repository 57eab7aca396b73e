//! The tokio shell: one task runs an [`Agent`] and reads datagrams, small tasks read connections.
//!
//! Backpressure: when the application does not take its events, the core takes no further messages. Datagrams
//! are read, and refused or queued, all the same; of connections the TCP windows close.
//! Commands are always taken, so an application that answers events cannot lock itself out.

mod connection;
mod counters;
mod inbox;
mod io;
mod resolve;
mod tls;
mod websocket;

pub use counters::Counters;
pub use resolve::Resolver;
pub use tls::{Tls, TlsError, TlsFiles};

use crate::addr::{SipAddr, Transport};
use crate::agent::{Agent, AgentConfig, Answer, DialogId, Event, Invite, TxnId};
use crate::digest::{Credentials, Users};
use crate::limits::{COMMANDS_MAX, EVENTS_MAX, TRACE_MAX};
use crate::message::Method;
use crate::trust::Trusted;
use crate::uri::UriError;
use core::net::SocketAddr;
use inbox::Inbox;
use io::{Core, DatagramSocket, Sockets};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// What a stack listens on and can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StackConfig {
    /// Listeners; port 0 lets the system choose.
    pub listen: Vec<SipAddr>,
    /// Methods answered otherwise than with 405.
    pub allow: Vec<Method>,
    /// Body types understood in INVITE and UPDATE, in lower case.
    pub accept: Vec<String>,
    /// Option tags understood in Require.
    pub supported: Vec<String>,
    /// Certificates; without a `tls:` or `wss:` listener they are looked at when first needed.
    pub tls: TlsFiles,
    /// Origins whose pages may connect by WebSocket, as browsers write them (`https://chat.example.net`);
    /// none: any. Who says no origin is no page, and is taken (RFC 6455 10.2).
    pub origins: Vec<String>,
    /// Neighbours inside the trust domain ([`crate::Flow::is_trusted`]).
    pub trusted: Vec<Trusted>,
    /// Who may make dialogs from outside the trust domain; `None`: anybody.
    pub users: Option<Users>,
    /// Who we are where we are asked.
    pub credentials: Vec<Credentials>,
    /// Name servers that next hops are looked up with; none: those of the system.
    pub name_servers: Vec<SocketAddr>,
    /// Whether every message sent and received is kept for [`Stack::take_trace`].
    pub trace: bool,
}

/// Why a stack could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A listener could not be opened.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// The address as configured.
        addr: SipAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// One message on the wire, as seen by a stack with [`StackConfig::trace`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Whether we sent it.
    pub is_sent: bool,
    /// The other side.
    pub peer: SocketAddr,
    /// The octets.
    pub bytes: Vec<u8>,
}

/// A running user agent. Dropping it closes the sockets soon; [`Self::close`] waits for that.
#[derive(Debug)]
pub struct Stack {
    handle: Handle,
    events: mpsc::Receiver<Event>,
    addrs: Vec<SipAddr>,
    trace: Option<mpsc::Receiver<Trace>>,
    tls: Option<Tls>,
    counters: Arc<Counters>,
    stop: oneshot::Sender<()>,
    core: JoinHandle<()>,
}

/// Gives commands to a [`Stack`]. After the stack is gone commands do nothing.
#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    resolver: Resolver,
}

#[derive(Debug)]
enum Command {
    Respond(TxnId, Answer),
    /// Whoever waits for it is told whether there is anything to end.
    Bye(
        DialogId,
        Vec<(String, String)>,
        Option<oneshot::Sender<bool>>,
    ),
    Start(
        Method,
        Box<Invite>,
        oneshot::Sender<Result<DialogId, UriError>>,
    ),
    Ack(DialogId, Vec<(String, String)>, Vec<u8>),
    Cancel(DialogId),
    Request(
        DialogId,
        Method,
        Vec<(String, String)>,
        Vec<u8>,
        oneshot::Sender<Option<TxnId>>,
    ),
    Hold(DialogId),
    Release(DialogId),
}

impl Stack {
    /// Opens the listeners and starts the stack on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// When a listener cannot be opened; nothing is left open then.
    pub async fn bind(config: StackConfig) -> Result<Self, BindError> {
        let (inbox, inputs) = Inbox::new(config.trace);
        let (commands, command_queue) = mpsc::channel(COMMANDS_MAX);
        let (event_sender, events) = mpsc::channel(EVENTS_MAX);
        let (trace_sender, trace) = mpsc::channel(TRACE_MAX);
        let (mut addrs, mut udp, mut streams) = (Vec::new(), Vec::new(), Vec::new());
        for &addr in &config.listen {
            let error = |source| BindError::Listen { addr, source };
            let transport = addr.transport;
            let bound = if transport == Transport::Udp {
                let socket = DatagramSocket::bind(addr.addr).await.map_err(error)?;
                let bound = socket.bound();
                udp.push(socket);
                bound
            } else {
                let listener = TcpListener::bind(addr.addr).await.map_err(error)?;
                let bound = listener.local_addr().map_err(error)?;
                streams.push((transport, listener));
                bound
            };
            addrs.push(SipAddr {
                transport,
                addr: bound,
            });
        }
        let tls = if addrs.iter().any(|a| a.transport.is_secure()) {
            let names = addrs.iter().map(|a| a.addr.ip()).collect();
            Some(Tls::open(config.tls.clone(), names)?)
        } else {
            None
        };
        let agent = Agent::new(AgentConfig {
            locals: addrs.clone(),
            allow: config.allow,
            accept: config.accept,
            supported: config.supported,
            users: config.users,
            credentials: config.credentials,
            seed: rand::random(),
        });
        let (stop, stopped) = oneshot::channel();
        let trace_sender = config.trace.then_some(trace_sender);
        let resolver = Resolver::new(&config.name_servers);
        let counters = Arc::<Counters>::default();
        let sockets = Sockets {
            counters: Arc::clone(&counters),
            udp,
            streams,
            tls: tls.clone(),
            tls_files: config.tls,
            origins: config.origins.into(),
            trusted: config.trusted.into(),
            resolver: resolver.clone(),
        };
        let core = Core::new(agent, sockets, inbox, trace_sender);
        let core = tokio::spawn(core.run(inputs, command_queue, event_sender, stopped));
        Ok(Self {
            handle: Handle { commands, resolver },
            events,
            addrs,
            trace: config.trace.then_some(trace),
            tls,
            counters,
            stop,
            core,
        })
    }

    /// The addresses bound, in the order of the configuration.
    #[must_use]
    pub fn addrs(&self) -> &[SipAddr] {
        &self.addrs
    }

    /// The certificates, when a listener needs them.
    #[must_use]
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// What happens at the sockets.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// A handle for giving commands.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The next event. Cancel-safe. `None` only if the core panicked.
    pub async fn next_event(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Stops: carries out the commands given so far, sends what is queued for connections (for
    /// at most [`crate::limits::CLOSE_TIMEOUT`]) and closes the sockets.
    pub async fn close(self) {
        let Self { stop, core, .. } = self;
        drop(stop);
        // An error is a panic of the core: closed all the same.
        let _ = core.await;
    }

    /// The messages sent and received from now on; once, and only if configured.
    pub fn take_trace(&mut self) -> Option<mpsc::Receiver<Trace>> {
        self.trace.take()
    }
}

impl Handle {
    /// See [`Agent::respond`].
    pub async fn respond(&self, txn: TxnId, answer: Answer) {
        self.command(Command::Respond(txn, answer)).await;
    }

    /// See [`Agent::bye`].
    pub async fn bye(&self, dialog: DialogId, headers: Vec<(String, String)>) {
        self.command(Command::Bye(dialog, headers, None)).await;
    }

    /// The same, and whether there is a session to end: otherwise nothing is sent, and nothing told.
    pub async fn end(&self, dialog: DialogId, headers: Vec<(String, String)>) -> bool {
        let (reply, ends) = oneshot::channel();
        self.command(Command::Bye(dialog, headers, Some(reply)))
            .await;
        ends.await.unwrap_or(false)
    }

    /// See [`Agent::invite`]; `None` if the stack is gone.
    ///
    /// # Errors
    ///
    /// If a URI in `invite` is none.
    pub async fn invite(&self, invite: Invite) -> Option<Result<DialogId, UriError>> {
        self.start(Method::Invite, invite).await
    }

    /// See [`Agent::start`]; `None` if the stack is gone.
    ///
    /// # Errors
    ///
    /// If a URI in `invite` is none.
    pub async fn start(
        &self,
        method: Method,
        invite: Invite,
    ) -> Option<Result<DialogId, UriError>> {
        let (reply, result) = oneshot::channel();
        self.command(Command::Start(method, Box::new(invite), reply))
            .await;
        result.await.ok()
    }

    /// Where a URI leads: see [`Resolver::hops`].
    #[must_use]
    pub fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    /// See [`Agent::hold`].
    pub async fn hold(&self, dialog: DialogId) {
        self.command(Command::Hold(dialog)).await;
    }

    /// See [`Agent::release`].
    pub async fn release(&self, dialog: DialogId) {
        self.command(Command::Release(dialog)).await;
    }

    /// See [`Agent::ack`].
    pub async fn ack(&self, dialog: DialogId, headers: Vec<(String, String)>, body: Vec<u8>) {
        self.command(Command::Ack(dialog, headers, body)).await;
    }

    /// See [`Agent::cancel`].
    pub async fn cancel(&self, dialog: DialogId) {
        self.command(Command::Cancel(dialog)).await;
    }

    /// See [`Agent::request`]; the transaction's name, `None` if nothing was sent.
    pub async fn request(
        &self,
        dialog: DialogId,
        method: Method,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    ) -> Option<TxnId> {
        let (reply, txn) = oneshot::channel();
        self.command(Command::Request(dialog, method, headers, body, reply))
            .await;
        txn.await.ok().flatten()
    }

    async fn command(&self, command: Command) {
        // The core is gone only when the process is stopping.
        let _ = self.commands.send(command).await;
    }
}

/// The address this host uses towards `remote`: what a wildcard listener shows to that peer.
///
/// # Errors
///
/// When there is no route.
pub fn near_addr(remote: SocketAddr) -> std::io::Result<SocketAddr> {
    let any: SocketAddr = match remote {
        SocketAddr::V4(_) => (core::net::Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (core::net::Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    // Connecting a UDP socket sends nothing; it only asks the routing table.
    let probe = std::net::UdpSocket::bind(any)?;
    probe.connect(remote)?;
    probe.local_addr()
}
