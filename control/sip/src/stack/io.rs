//! The core task: inputs to the agent, its outputs to sockets.

use super::connection::{Connection, Link, Origin, Outgoing, PONG, Peer, run};
use super::counters::{Counters, set};
use super::tls::Contexts;
use super::{Command, Resolver, Tls, TlsFiles, Trace, near_addr};
use crate::addr::{SipAddr, Transport};
use crate::agent::{Agent, Destination, Event, Flow, Hop, Output, Target, TxnId};
use crate::limits::{
    ALIASES_MAX, CLOSE_TIMEOUT, CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX, DATAGRAM_BYTES_MAX,
    LATE, LOOKUPS_MAX, ON_TIME, SEND_QUEUE_MAX,
};
use crate::message::Request;
use crate::parse::{Parsed, parse_datagram};
use crate::trust::Trusted;
use crate::via::Via;
use clock::Instant;
use core::net::{IpAddr, SocketAddr};
use core::sync::atomic::Ordering;
use core::time::Duration;
use std::collections::VecDeque;
use std::collections::hash_map::{Entry, HashMap};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tracing::debug;

/// Events kept here while the application's queue is full, before inputs are left waiting.
const PENDING_EVENTS_MAX: usize = 16;

/// What socket tasks tell the core.
#[derive(Debug)]
pub(super) enum Input {
    Message {
        flow: Flow,
        parsed: Box<Parsed>,
        /// When it left its socket.
        received: tokio::time::Instant,
        /// Only filled for a trace.
        bytes: Vec<u8>,
    },
    Accepted(TcpStream, SocketAddr, Transport),
    /// The peer of a connection showed a certificate for these domains, and somebody vouched.
    Secured(u64, Vec<String>),
    Ping(u64),
    Closed(u64),
    ConnectFailed(u64, Vec<Outgoing>),
    Resolved(TxnId, Vec<Hop>),
}

/// What the stack opened for its core.
pub(super) struct Sockets {
    pub(super) udp: Vec<Arc<UdpSocket>>,
    /// Listeners of all other transports.
    pub(super) streams: Vec<(Transport, TcpListener)>,
    /// Once something needs it.
    pub(super) tls: Option<Tls>,
    pub(super) tls_files: TlsFiles,
    pub(super) trusted: Arc<[Trusted]>,
    pub(super) resolver: Resolver,
    pub(super) counters: Arc<Counters>,
}

pub(super) struct Core {
    agent: Agent,
    sockets: Sockets,
    inputs: mpsc::Sender<Input>,
    pending: VecDeque<Event>,
    trace: Option<mpsc::Sender<Trace>>,
    connections: HashMap<u64, Connection>,
    by_peer: HashMap<Peer, u64>,
    next_channel: u64,
    is_overloaded: bool,
    /// Accepted connections of each address outside the trust domain.
    by_address: HashMap<IpAddr, usize>,
    /// Lookups going on.
    lookups: usize,
    epoch: tokio::time::Instant,
    /// Readers of datagrams, acceptors, resolvers.
    tasks: JoinSet<()>,
    /// One a connection.
    streams: JoinSet<()>,
}

impl Core {
    pub(super) fn new(
        agent: Agent,
        sockets: Sockets,
        inputs: mpsc::Sender<Input>,
        trace: Option<mpsc::Sender<Trace>>,
    ) -> Self {
        Self {
            agent,
            sockets,
            inputs,
            pending: VecDeque::new(),
            trace,
            connections: HashMap::new(),
            by_peer: HashMap::new(),
            next_channel: 0,
            is_overloaded: false,
            by_address: HashMap::new(),
            lookups: 0,
            epoch: tokio::time::Instant::now(),
            tasks: JoinSet::new(),
            streams: JoinSet::new(),
        }
    }

    pub(super) async fn run(
        mut self,
        mut inputs: mpsc::Receiver<Input>,
        mut commands: mpsc::Receiver<Command>,
        events: mpsc::Sender<Event>,
        mut stopped: oneshot::Receiver<()>,
    ) {
        self.spawn_readers();
        loop {
            let deadline = self.drain().await;
            let at = deadline.map(|at| self.epoch + at.since(Instant::ZERO));
            let has_room = self.pending.len() < PENDING_EVENTS_MAX;
            tokio::select! {
                Some(command) = commands.recv() => self.handle_command(command),
                Some(input) = inputs.recv(), if has_room => self.handle_input(input).await,
                permit = events.reserve(), if !self.pending.is_empty() => {
                    let Ok(permit) = permit else { break };
                    if let Some(event) = self.pending.pop_front() {
                        permit.send(event);
                    }
                }
                () = sleep_until(at) => self.agent.handle_deadline(self.now()),
                Some(_) = self.tasks.join_next() => {}
                Some(_) = self.streams.join_next() => {}
                _ = &mut stopped => break,
            }
        }
        while let Ok(command) = commands.try_recv() {
            self.handle_command(command);
        }
        self.drain().await;
        self.finish_streams(inputs).await;
    }

    /// Lets the connections send what is queued, then ends them.
    async fn finish_streams(mut self, inputs: mpsc::Receiver<Input>) {
        drop(inputs);
        self.connections.clear();
        let ended = async { while self.streams.join_next().await.is_some() {} };
        if tokio::time::timeout(CLOSE_TIMEOUT, ended).await.is_err() {
            debug!("connections cut with messages queued");
        }
    }

    fn now(&self) -> Instant {
        Instant::ZERO + self.epoch.elapsed()
    }

    fn spawn_readers(&mut self) {
        let keep = self.trace.is_some();
        for (index, socket) in self.sockets.udp.iter().enumerate() {
            let channel = u64::try_from(index).unwrap_or(u64::MAX);
            let trusted = Arc::clone(&self.sockets.trusted);
            let reader = DatagramReader {
                socket: Arc::clone(socket),
                channel,
                keeps: keep,
                trusted,
                inputs: self.inputs.clone(),
            };
            self.tasks.spawn(reader.run());
        }
        for (transport, listener) in self.sockets.streams.drain(..) {
            let inputs = self.inputs.clone();
            self.tasks.spawn(accept(transport, listener, inputs));
        }
    }

    async fn drain(&mut self) -> Option<Instant> {
        loop {
            match self.agent.poll() {
                Output::Wait(at) => {
                    self.count();
                    return at;
                }
                Output::Event(event) => self.pending.push_back(event),
                Output::Resolve { txn, target } => self.resolve(txn, target),
                Output::Transmit { to, bytes, txn } => self.transmit(to, bytes, txn).await,
            }
        }
    }

    fn count(&self) {
        let (counters, counts) = (&self.sockets.counters, self.agent.counts());
        set(&counters.shed, counts.shed);
        set(&counters.malformed, counts.malformed);
        set(&counters.challenged, counts.challenged);
        set(&counters.forbidden, counts.forbidden);
        let size = |count| u64::try_from(count).unwrap_or(u64::MAX);
        set(&counters.dialogs, size(self.agent.dialog_count()));
        set(&counters.transactions, size(self.agent.transaction_count()));
    }

    fn handle_command(&mut self, command: Command) {
        let now = self.now();
        match command {
            Command::Respond(txn, answer) => self.agent.respond(now, txn, &answer),
            Command::Bye(dialog, headers) => self.agent.bye(now, dialog, headers),
            // A caller that went away does not wait for the answer.
            Command::Start(method, invite, reply) => {
                let _ = reply.send(self.agent.start(now, method, *invite));
            }
            Command::Ack(dialog, headers, body) => self.agent.ack(dialog, &headers, body),
            Command::Cancel(dialog) => self.agent.cancel(now, dialog),
            Command::Request(dialog, method, headers, body, reply) => {
                let txn = self.agent.request(now, dialog, method, headers, body);
                let _ = reply.send(txn);
            }
            Command::Hold(dialog) => self.agent.hold(dialog),
            Command::Release(dialog) => self.agent.release(dialog),
        }
    }

    async fn handle_input(&mut self, input: Input) {
        match input {
            Input::Message {
                flow,
                parsed,
                received,
                bytes,
            } => {
                self.judge_delay(received.elapsed());
                self.note(false, flow.remote, &bytes);
                if let Parsed::Request(request) = &*parsed {
                    self.learn_alias(flow, request);
                }
                self.agent.handle_received(self.now(), flow, *parsed);
            }
            Input::Accepted(stream, remote, transport) => {
                self.handle_accepted(stream, remote, transport);
            }
            Input::Secured(channel, names) => {
                if let Some(connection) = self.connections.get_mut(&channel) {
                    connection.names = names;
                }
            }
            Input::Ping(channel) => {
                let pong = Outgoing::plain(PONG.to_vec());
                self.enqueue(channel, pong);
            }
            Input::Closed(channel) => self.forget(channel),
            Input::ConnectFailed(channel, queued) => {
                self.forget(channel);
                for message in queued {
                    self.fail(message.txn);
                }
            }
            Input::Resolved(txn, hops) => {
                self.lookups -= 1;
                self.agent.handle_resolved(self.now(), txn, hops);
            }
        }
    }

    /// A peer that a certificate vouches for takes requests to where it listens through the connection
    /// that it opened, if it says so (RFC 5923 5).
    fn learn_alias(&mut self, flow: Flow, request: &Request) {
        let via = Via::top(&request.headers).filter(|via| via.has_alias);
        let connection = self.connections.get(&flow.channel);
        let (Some(via), Some(connection)) = (via, connection) else {
            return;
        };
        if flow.transport != Transport::Tls {
            return;
        }
        let port = via.port.unwrap_or(Transport::Tls.default_port());
        for name in connection.names.iter().take(ALIASES_MAX) {
            let peer = Peer {
                transport: Transport::Tls,
                addr: SocketAddr::new(flow.remote.ip(), port),
                name: Some(name.to_ascii_lowercase()),
            };
            self.by_peer.entry(peer).or_insert(flow.channel);
        }
    }

    /// Overload shows in how long messages wait here; what waits in the sockets cannot be seen, but
    /// they are read until [`crate::limits::INPUTS_MAX`] wait.
    fn judge_delay(&mut self, waited: Duration) {
        let is_overloaded = match self.is_overloaded {
            false => waited > LATE,
            true => waited > ON_TIME,
        };
        if is_overloaded != core::mem::replace(&mut self.is_overloaded, is_overloaded) {
            self.agent.set_overloaded(is_overloaded);
            tracing::warn!(
                is_overloaded,
                ?waited,
                "new dialogs get 503 while messages wait"
            );
        }
    }

    fn note(&self, is_sent: bool, peer: SocketAddr, bytes: &[u8]) {
        if let Some(trace) = &self.trace {
            // An observer that does not keep up loses lines, not calls.
            let _ = trace.try_send(Trace {
                is_sent,
                peer,
                bytes: bytes.to_vec(),
            });
        }
    }

    async fn transmit(&mut self, to: Destination, bytes: Vec<u8>, txn: Option<TxnId>) {
        match to {
            Destination::Flow { flow, addr } => match flow.transport {
                Transport::Udp => {
                    self.send_datagram(Some(flow.channel), addr, &bytes, txn)
                        .await
                }
                transport @ (Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss) => {
                    let message = Outgoing { bytes, txn };
                    if self.connections.contains_key(&flow.channel) {
                        self.note(true, flow.remote, &message.bytes);
                        self.enqueue(flow.channel, message);
                    } else if transport.is_web_socket() {
                        self.fail(txn);
                    } else {
                        let name = None;
                        self.send_stream(
                            Peer {
                                transport,
                                addr,
                                name,
                            },
                            message,
                        );
                    }
                }
            },
            Destination::Hop { hop, reuse } => self.send_hop(hop, reuse, bytes, txn).await,
        }
    }

    fn resolve(&mut self, txn: TxnId, target: Target) {
        if self.lookups >= LOOKUPS_MAX {
            debug!(host = target.host, "not looked up: too many");
            return self.agent.handle_resolved(self.now(), txn, Vec::new());
        }
        self.lookups += 1;
        let (inputs, resolver) = (self.inputs.clone(), self.sockets.resolver.clone());
        self.tasks.spawn(async move {
            let hops = resolver.hops(&target).await;
            let _ = inputs.send(Input::Resolved(txn, hops)).await;
        });
    }

    async fn send_hop(
        &mut self,
        hop: Hop,
        reuse: Option<Flow>,
        bytes: Vec<u8>,
        txn: Option<TxnId>,
    ) {
        let SipAddr { transport, addr } = hop.addr;
        let reuse = reuse.filter(|flow| flow.transport == transport);
        if transport == Transport::Udp {
            let channel = reuse.map(|flow| flow.channel);
            return self.send_datagram(channel, addr, &bytes, txn).await;
        }
        let message = Outgoing { bytes, txn };
        // The connection a peer opened serves both directions while it lasts.
        let is_open = |flow: &Flow| {
            flow.remote.ip() == addr.ip() && self.connections.contains_key(&flow.channel)
        };
        match reuse.filter(is_open) {
            Some(flow) => {
                self.note(true, flow.remote, &message.bytes);
                self.enqueue(flow.channel, message);
            }
            None => {
                let name = hop.name;
                self.send_stream(
                    Peer {
                        transport,
                        addr,
                        name,
                    },
                    message,
                );
            }
        }
    }

    fn fail(&mut self, txn: Option<TxnId>) {
        if let Some(txn) = txn {
            self.agent.handle_send_failed(self.now(), txn);
        }
    }

    async fn send_datagram(
        &mut self,
        channel: Option<u64>,
        addr: SocketAddr,
        bytes: &[u8],
        txn: Option<TxnId>,
    ) {
        let all = &self.sockets.udp;
        let chosen = channel.and_then(|c| all.get(usize::try_from(c).ok()?));
        let reaches = |socket: &Arc<UdpSocket>| {
            let to = seen_from(socket.local_addr().ok()?, addr)?;
            Some((Arc::clone(socket), to))
        };
        let way = chosen
            .and_then(reaches)
            .or_else(|| all.iter().find_map(reaches));
        self.note(true, addr, bytes);
        let sent = match way {
            Some((socket, to)) => socket.send_to(bytes, to).await.map(|_| ()),
            None => Err(std::io::ErrorKind::AddrNotAvailable.into()),
        };
        if let Err(error) = sent {
            debug!(%addr, %error, "cannot send datagram");
            self.fail(txn);
        }
    }

    fn send_stream(&mut self, peer: Peer, message: Outgoing) {
        self.note(true, peer.addr, &message.bytes);
        if let Some(&channel) = self.by_peer.get(&peer) {
            return self.enqueue(channel, message);
        }
        if self.connections.len() >= CONNECTIONS_MAX {
            return self.fail(message.txn);
        }
        let channel = self.open(Origin::Wanted, peer);
        self.enqueue(channel, message);
    }

    fn handle_accepted(&mut self, stream: TcpStream, addr: SocketAddr, transport: Transport) {
        let ip = addr.ip();
        let is_known = self.sockets.trusted.iter().any(|one| one.is(ip, &[]));
        let of_address = self.by_address.get(&ip).copied().unwrap_or_default();
        if self.connections.len() >= CONNECTIONS_MAX
            || (!is_known && of_address >= CONNECTIONS_PER_ADDRESS_MAX)
        {
            debug!(remote = %addr, "connection refused: too many");
            let refused = &self.sockets.counters.connections_refused;
            refused.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if !is_known {
            *self.by_address.entry(ip).or_default() += 1;
        }
        let peer = Peer {
            transport,
            addr,
            name: None,
        };
        let channel = self.open(Origin::Accepted(stream), peer);
        if let Some(connection) = self.connections.get_mut(&channel) {
            connection.is_counted = !is_known;
        }
    }

    fn open(&mut self, origin: Origin, peer: Peer) -> u64 {
        let channel = self.next_channel;
        self.next_channel += 1;
        let (sender, queue) = mpsc::channel(SEND_QUEUE_MAX);
        let link = Link {
            origin,
            peer: peer.clone(),
            channel,
            queue,
            pings: sender.downgrade(),
            inputs: self.inputs.clone(),
            keeps: self.trace.is_some(),
            tls: peer.transport.is_secure().then(|| self.tls()).flatten(),
            trusted: Arc::clone(&self.sockets.trusted),
        };
        self.by_peer.insert(peer.clone(), channel);
        self.connections.insert(
            channel,
            Connection {
                sender,
                peer,
                is_counted: false,
                names: Vec::new(),
            },
        );
        self.count_connections();
        self.streams.spawn(run(link));
        channel
    }

    /// Without a listener that needs them, the authorities are read for the first connection.
    fn tls(&mut self) -> Option<Arc<Contexts>> {
        if self.sockets.tls.is_none() {
            match Tls::open(self.sockets.tls_files.clone(), Vec::new()) {
                Ok(tls) => self.sockets.tls = Some(tls),
                Err(error) => tracing::error!(%error, "no TLS"),
            }
        }
        self.sockets.tls.as_ref().map(Tls::current)
    }

    fn enqueue(&mut self, channel: u64, message: Outgoing) {
        let Some(connection) = self.connections.get(&channel) else {
            return self.fail(message.txn);
        };
        if let Err(error) = connection.sender.try_send(message) {
            // A peer that does not read loses its connection, nobody else anything.
            let txn = error.into_inner().txn;
            self.forget(channel);
            self.fail(txn);
        }
    }

    fn forget(&mut self, channel: u64) {
        let Some(connection) = self.connections.remove(&channel) else {
            return;
        };
        if self.by_peer.get(&connection.peer) == Some(&channel) {
            self.by_peer.remove(&connection.peer);
        }
        if !connection.names.is_empty() {
            self.by_peer.retain(|_, known| *known != channel);
        }
        if connection.is_counted
            && let Entry::Occupied(mut count) = self.by_address.entry(connection.peer.addr.ip())
        {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        self.count_connections();
    }

    fn count_connections(&self) {
        let count = u64::try_from(self.connections.len()).unwrap_or(u64::MAX);
        set(&self.sockets.counters.connections, count);
    }
}

/// `addr` as a socket bound to `local` must write it; `None`: that socket does not get there. `[::]` gets
/// to IPv4, too.
fn seen_from(local: SocketAddr, addr: SocketAddr) -> Option<SocketAddr> {
    match (local, addr) {
        (SocketAddr::V6(local), SocketAddr::V4(addr)) if local.ip().is_unspecified() => {
            let mapped = addr.ip().to_ipv6_mapped();
            Some(SocketAddr::new(mapped.into(), addr.port()))
        }
        _ => (local.is_ipv6() == addr.is_ipv6()).then_some(addr),
    }
}

/// An IPv4 peer of `[::]` by its own address: what trusts it, routes to it and names it knows that one.
fn canonical(addr: SocketAddr) -> SocketAddr {
    match addr.ip().to_canonical() {
        ip if ip == addr.ip() => addr,
        ip => SocketAddr::new(ip, addr.port()),
    }
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => core::future::pending().await,
    }
}

struct DatagramReader {
    socket: Arc<UdpSocket>,
    channel: u64,
    keeps: bool,
    trusted: Arc<[Trusted]>,
    inputs: mpsc::Sender<Input>,
}

impl DatagramReader {
    async fn run(self) {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        let Ok(bound) = self.socket.local_addr() else {
            return;
        };
        loop {
            let (count, remote) = match self.socket.recv_from(&mut buffer).await {
                Ok((count, remote)) => (count, canonical(remote)),
                Err(error) => {
                    // An ICMP error of an earlier datagram; the socket itself is well.
                    debug!(%error, "datagram receive failed");
                    tokio::task::yield_now().await;
                    continue;
                }
            };
            let bytes = &buffer[..count];
            let parsed = parse_datagram(bytes);
            if parsed == Parsed::Garbage {
                continue;
            }
            let local = if bound.ip().is_unspecified() {
                near_addr(remote).map_or(bound, |near| SocketAddr::new(near.ip(), bound.port()))
            } else {
                bound
            };
            let input = Input::Message {
                flow: Flow {
                    transport: Transport::Udp,
                    channel: self.channel,
                    local,
                    remote,
                    is_trusted: self.trusted.iter().any(|one| one.is(remote.ip(), &[])),
                },
                parsed: Box::new(parsed),
                received: tokio::time::Instant::now(),
                bytes: if self.keeps {
                    bytes.to_vec()
                } else {
                    Vec::new()
                },
            };
            if self.inputs.send(input).await.is_err() {
                return;
            }
        }
    }
}

async fn accept(transport: Transport, listener: TcpListener, inputs: mpsc::Sender<Input>) {
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                let accepted = Input::Accepted(stream, canonical(remote), transport);
                if inputs.send(accepted).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                // Out of descriptors, or a peer that left again: others may still come.
                debug!(%error, "accept failed");
                tokio::time::sleep(core::time::Duration::from_millis(10)).await;
            }
        }
    }
}
