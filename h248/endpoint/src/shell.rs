//! A node on real sockets, in tokio.

mod log;
mod sockets;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::SystemTime;

use bytes::Bytes;
use clock::Instant;
use h248::ast::{ActionRequest, MId, ReplyBody, TransactionId};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::log::{log, trace_wire};
use self::sockets::resolve;
use crate::limits::RECEIVED_QUEUE_MESSAGES;
use crate::transport::{Inbound, sctp, tcp, udp};
use crate::{
    AssociationConfig, Config, Departure, Event, Node, NodeOutput, Peer, Registered,
    RegistrationConfig, RequestKey, SendError, TransportAddr, Tuning,
};

/// Owns the sockets and the protocol machines of one gateway or controller.
///
/// ```no_run
/// use h248_endpoint::{Event, Peer, Shell, error, error_reply};
/// use h248::ast::ActionRequest;
///
/// async fn serve(
///     mut shell: Shell,
///     mut commands: tokio::sync::mpsc::Receiver<(Peer, Vec<ActionRequest>)>,
/// ) -> Result<(), h248_endpoint::SendError> {
///     loop {
///         tokio::select! {
///             event = shell.next() => match event {
///                 Event::Request(request) => {
///                     shell.reply(request.key, error_reply(error(501, "Not Implemented")));
///                 }
///                 Event::Departed => return Ok(()),
///                 _ => {}
///             },
///             Some((peer, actions)) = commands.recv() => {
///                 shell.send_request(peer, actions)?;
///             }
///         }
///     }
/// }
/// ```
///
/// Every method but [`Self::next`] returns at once. Nothing happens while [`Self::next`] is not
/// awaited: messages queue, and their senders wait or repeat. Dropping the shell closes everything.
#[derive(Debug)]
pub struct Shell {
    node: Node,
    started: tokio::time::Instant,
    deadline: Option<Instant>,
    events: VecDeque<Event>,
    bound: Vec<TransportAddr>,
    /// By [`crate::TransportId::index`].
    sockets: Vec<Arc<UdpSocket>>,
    sctp_sockets: Vec<SctpSocket>,
    /// Whether the kernel has SCTP, once somebody needed to know.
    has_kernel_sctp: Option<bool>,
    connections: HashMap<Peer, Connection>,
    /// The last number of a TCP connection or SCTP association.
    connection_last: Arc<AtomicU32>,
    inbound: mpsc::Sender<Inbound>,
    received: mpsc::Receiver<Inbound>,
    tasks: JoinSet<()>,
}

#[derive(Debug)]
struct SctpSocket {
    is_ipv4: bool,
    commands: mpsc::Sender<sctp::Command>,
}

/// Where messages to a connected peer go.
#[derive(Debug)]
enum Connection {
    Tcp(mpsc::Sender<Bytes>),
    /// The association of this number at this socket.
    Sctp(mpsc::Sender<sctp::Command>, u32),
}

impl Connection {
    /// Hands a message on; an error says why not.
    fn send(&self, octets: Bytes) -> Result<(), &'static str> {
        let is_sent = match self {
            Self::Tcp(stream) => stream.try_send(octets).is_ok(),
            Self::Sctp(socket, index) => {
                let command = sctp::Command::Send(*index, octets);
                socket.try_send(command).is_ok()
            }
        };
        is_sent.then_some(()).ok_or("it does not drain")
    }

    /// Closes after what is queued.
    fn close(self) {
        if let Self::Sctp(socket, index) = self {
            // A task that is gone or choked takes its associations along.
            let _ = socket.try_send(sctp::Command::Close(index));
        }
    }
}

impl Shell {
    /// Opens a gateway and starts to register with the controllers of `registration`. `local`
    /// are UDP addresses to send from; a family of which none is given gets an ephemeral port as
    /// soon as a controller needs it. TCP and SCTP addresses in `local` are listened on.
    ///
    /// # Errors
    ///
    /// An address that cannot be bound; the error names it.
    pub async fn gateway(
        config: Config,
        registration: RegistrationConfig,
        local: &[TransportAddr],
    ) -> io::Result<Self> {
        let node = Node::gateway(with_epoch(config), registration, Instant::ZERO);
        Self::open(node, local).await
    }

    /// Opens a controller that listens on `listen`. Port 0 in its name stands for the one that is bound
    /// first: without a port a name would mean the usual one.
    ///
    /// # Errors
    ///
    /// An address that cannot be bound; the error names it.
    pub async fn controller(
        config: Config,
        association: AssociationConfig,
        listen: &[TransportAddr],
    ) -> io::Result<Self> {
        let config = with_epoch(config);
        let node = |config, association| Node::controller(config, association, Instant::ZERO);
        let mut shell = Self::open(node(config.clone(), association.clone()), listen).await?;
        if let MId::Ip { address, port } = config.mid
            && port == Some(0)
            && let Some(first) = shell.bound.first()
        {
            let port = Some(first.addr().port());
            let mid = MId::Ip { address, port };
            shell.node = node(Config { mid, ..config }, association);
        }
        Ok(shell)
    }

    async fn open(node: Node, addresses: &[TransportAddr]) -> io::Result<Self> {
        let (inbound, received) = mpsc::channel(RECEIVED_QUEUE_MESSAGES);
        let mut shell = Self {
            node,
            started: tokio::time::Instant::now(),
            deadline: None,
            events: VecDeque::new(),
            bound: Vec::new(),
            sockets: Vec::new(),
            sctp_sockets: Vec::new(),
            has_kernel_sctp: None,
            connections: HashMap::new(),
            connection_last: Arc::default(),
            inbound,
            received,
            tasks: JoinSet::new(),
        };
        for address in addresses {
            let named =
                |cause: io::Error| io::Error::new(cause.kind(), format!("{address}: {cause}"));
            shell.bind(*address).await.map_err(named)?;
        }
        Ok(shell)
    }

    async fn bind(&mut self, address: TransportAddr) -> io::Result<()> {
        match address {
            TransportAddr::Udp(addr) => {
                let socket = udp::bind(addr).await?;
                self.bound.push(TransportAddr::Udp(socket.local_addr()?));
                self.add_socket(socket);
            }
            TransportAddr::Tcp(addr) => {
                let listener = TcpListener::bind(addr).await?;
                self.bound.push(TransportAddr::Tcp(listener.local_addr()?));
                self.tasks
                    .spawn(tcp::accept(listener, self.inbound.clone()));
            }
            TransportAddr::Sctp(addr) if self.has_kernel_sctp(addr) => {
                let listener = sctp::kernel::listen(addr)?;
                let bound = listener.local_addr()?;
                self.bound.push(TransportAddr::Sctp(bound));
                let numbers = Arc::clone(&self.connection_last);
                let task = sctp::kernel::accept(listener, numbers, self.inbound.clone());
                self.tasks.spawn(task);
                // For those whose kernel has none.
                match udp::bind(bound).await {
                    Ok(socket) => drop(self.add_sctp_socket(socket)),
                    Err(cause) => {
                        tracing::info!(addr = %bound, %cause, "H.248 over SCTP: not in UDP as well");
                    }
                }
            }
            TransportAddr::Sctp(addr) => {
                let socket = udp::bind(addr).await?;
                self.bound.push(TransportAddr::Sctp(socket.local_addr()?));
                self.add_sctp_socket(socket);
            }
        }
        Ok(())
    }

    /// Whether the kernel has SCTP for addresses like this one; says so once if it has not.
    fn has_kernel_sctp(&mut self, addr: std::net::SocketAddr) -> bool {
        *self.has_kernel_sctp.get_or_insert_with(|| {
            let absence = sctp::kernel::absence(addr);
            if let Some(cause) = &absence {
                tracing::info!(%cause, "H.248 over SCTP: the kernel has none, so in UDP (RFC 6951)");
            }
            absence.is_none()
        })
    }

    /// The addresses that were bound, in the order given, with the ports the system chose.
    #[must_use]
    pub fn bound(&self) -> &[TransportAddr] {
        &self.bound
    }

    /// The protocol machines, for their getters.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The control associations that exist: none or one for a gateway.
    pub fn associations(&self) -> impl Iterator<Item = &Registered> {
        self.node.associations()
    }

    /// The next event. Cancel-safe.
    pub async fn next(&mut self) -> Event {
        loop {
            self.flush();
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            let deadline = self
                .deadline
                .map(|at| self.started + at.since(Instant::ZERO));
            tokio::select! {
                Some(inbound) = self.received.recv() => self.handle(inbound),
                () = sleep_until(deadline) => self.node.handle_deadline(now(self.started)),
            }
        }
    }

    /// Sends a request; an [`Event::Reply`] or [`Event::Failed`] with the returned id follows.
    ///
    /// # Errors
    ///
    /// Nothing was sent, and nothing will follow.
    pub fn send_request(
        &mut self,
        peer: Peer,
        actions: Vec<ActionRequest>,
    ) -> Result<TransactionId, SendError> {
        let id = self.node.send_request(now(self.started), peer, actions);
        self.flush();
        id
    }

    /// Answers an [`Event::Request`]. Returns false if it was answered already (by us, or with
    /// 506 after too many Pendings).
    pub fn reply(&mut self, key: RequestKey, body: ReplyBody) -> bool {
        let is_sent = self.node.reply(now(self.started), key, body);
        self.flush();
        is_sent
    }

    /// Takes over what the other side asks for; see [`crate::Endpoint::tune`].
    pub fn tune(&mut self, tuning: Tuning) {
        self.node.tune(tuning);
    }

    /// Gateway: tells the controller that we go; [`Event::Departed`] follows a Forced departure.
    pub fn depart(&mut self, departure: Departure) {
        self.node.depart(now(self.started), departure);
        self.flush();
    }

    fn handle(&mut self, inbound: Inbound) {
        let now = now(self.started);
        match inbound {
            Inbound::Message { peer, octets } => {
                trace_wire("received", peer, &octets);
                self.node.handle_received(now, peer, &octets);
            }
            Inbound::Accepted { stream, permit } => {
                self.add_connection(stream, Some(permit));
            }
            Inbound::Connected { mgc, stream } => match self.add_connection(stream, None) {
                Some(peer) => self.node.handle_connected(now, mgc, peer),
                None => self.node.handle_connect_failed(now, mgc, "closed at once"),
            },
            Inbound::SocketBound { mgc, socket } => {
                let transport = self.add_socket(socket);
                let addr = mgc.addr();
                self.node
                    .handle_connected(now, mgc, Peer { transport, addr });
            }
            Inbound::SctpBound { mgc, socket } => {
                let commands = self.add_sctp_socket(socket);
                self.connect_sctp(&commands, mgc);
            }
            Inbound::SctpUnanswered { mgc, cause } => {
                tracing::info!(%mgc, %cause, "H.248 over SCTP: no answer, trying in UDP");
                self.connect_sctp_in_udp(mgc);
            }
            Inbound::AssociationOpened {
                peer,
                mgc,
                commands,
            } => {
                let connection = Connection::Sctp(commands, peer.transport.index);
                self.connections.insert(peer, connection);
                tracing::info!(%peer, "H.248 association of SCTP open");
                if let Some(mgc) = mgc {
                    self.node.handle_connected(now, mgc, peer);
                }
            }
            Inbound::Resolved { name, addr } => self.node.handle_resolved(now, &name, addr),
            Inbound::ConnectFailed { mgc, cause } => {
                self.node.handle_connect_failed(now, mgc, &cause);
            }
            Inbound::Closed { peer, cause } => {
                if self.connections.remove(&peer).is_some() {
                    tracing::info!(%peer, %cause, "H.248 connection closed");
                    self.node.handle_transport_failure(now, peer);
                }
            }
        }
    }

    /// Does everything the node wants done.
    fn flush(&mut self) {
        while self.tasks.try_join_next().is_some() {}
        loop {
            match self.node.poll() {
                NodeOutput::Transmit { peer, octets } => self.transmit(peer, octets),
                NodeOutput::Connect(mgc) => self.connect(mgc),
                NodeOutput::Resolve { name, port } => {
                    self.tasks.spawn(resolve(name, port, self.inbound.clone()));
                }
                NodeOutput::Close(peer) => {
                    if let Some(connection) = self.connections.remove(&peer) {
                        connection.close();
                    }
                }
                NodeOutput::Event(event) => {
                    log(&event);
                    self.events.push_back(*event);
                }
                NodeOutput::Wait(deadline) => {
                    self.deadline = deadline;
                    return;
                }
            }
        }
    }
}

pub(crate) async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => core::future::pending().await,
    }
}

fn now(started: tokio::time::Instant) -> Instant {
    Instant::ZERO + started.elapsed()
}

fn with_epoch(mut config: Config) -> Config {
    if config.epoch.is_none() {
        config.epoch = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .ok();
    }
    config
}
