//! The core task: inputs to the agent, its outputs to sockets.

mod connections;
mod datagrams;
mod readers;
mod send;
mod turn;

pub(super) use datagrams::DatagramSocket;

use super::connection::{Connection, Outgoing, PONG, Peer};
use super::counters::{Counters, set};
use super::inbox::Inbox;
use super::{Command, Resolver, Tls, TlsFiles, Trace};
use crate::addr::Transport;
use crate::agent::{Agent, Counts, Event, Flow, Hop, Output, Target, TxnId};
use crate::limits::{CLOSE_TIMEOUT, LOOKUPS_MAX};
use crate::parse::Parsed;
use crate::trust::Trusted;
use clock::Instant;
use core::net::{IpAddr, SocketAddr};
use datagrams::Datagrams;
use readers::accept;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
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
        /// As it came, for a trace.
        bytes: Vec<u8>,
        /// When it left its socket.
        received: tokio::time::Instant,
        /// What it takes of the queue's octets.
        room: OwnedSemaphorePermit,
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
    pub(super) udp: Vec<DatagramSocket>,
    /// Listeners of all other transports.
    pub(super) streams: Vec<(Transport, TcpListener)>,
    /// Once something needs it.
    pub(super) tls: Option<Tls>,
    pub(super) tls_files: TlsFiles,
    pub(super) origins: Arc<[String]>,
    pub(super) trusted: Arc<[Trusted]>,
    pub(super) resolver: Resolver,
    pub(super) counters: Arc<Counters>,
}

pub(super) struct Core {
    agent: Agent,
    datagrams: Datagrams,
    sockets: Sockets,
    inbox: Inbox,
    pending: VecDeque<Event>,
    trace: Option<mpsc::Sender<Trace>>,
    connections: HashMap<u64, Connection>,
    by_peer: HashMap<Peer, u64>,
    next_channel: u64,
    /// When it was logged last that new dialogs are refused.
    logged: Option<Instant>,
    /// What was turned away until then.
    told: Counts,
    /// Accepted connections of each address outside the trust domain.
    by_address: HashMap<IpAddr, usize>,
    /// Lookups going on.
    lookups: usize,
    epoch: tokio::time::Instant,
    /// Acceptors, resolvers.
    tasks: JoinSet<()>,
    /// One a connection.
    streams: JoinSet<()>,
}

impl Core {
    pub(super) fn new(
        agent: Agent,
        mut sockets: Sockets,
        inbox: Inbox,
        trace: Option<mpsc::Sender<Trace>>,
    ) -> Self {
        let udp = core::mem::take(&mut sockets.udp);
        Self {
            agent,
            datagrams: Datagrams::new(udp, Arc::clone(&sockets.trusted)),
            sockets,
            inbox,
            pending: VecDeque::new(),
            trace,
            connections: HashMap::new(),
            by_peer: HashMap::new(),
            next_channel: 0,
            logged: None,
            told: Counts::default(),
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
        self.spawn_acceptors();
        loop {
            let at = self.turn(&mut inputs, &mut commands, &events).await;
            let at = at.map(|at| self.epoch + at.since(Instant::ZERO));
            let takes = self.takes();
            if takes && self.agent.waiting_count() > 0 {
                // Whoever answers what was taken has a turn, too, and the runtime looks at the sockets.
                tokio::task::yield_now().await;
                if stopped.try_recv() != Err(TryRecvError::Empty) {
                    break;
                }
                continue;
            }
            tokio::select! {
                () = self.datagrams.readable(), if self.agent.has_room_for_datagrams() => {}
                Some(command) = commands.recv() => self.handle_command(command),
                Some(input) = inputs.recv(), if takes => self.handle_input(input),
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

    fn spawn_acceptors(&mut self) {
        for (transport, listener) in self.sockets.streams.drain(..) {
            let inbox = self.inbox.clone();
            self.tasks.spawn(accept(transport, listener, inbox));
        }
    }

    async fn drain(&mut self) -> Option<Instant> {
        loop {
            match self.agent.poll() {
                Output::Wait(at) => return at,
                Output::Event(event) => self.pending.push_back(event),
                Output::Resolve { txn, target } => self.resolve(txn, target),
                Output::Transmit { to, bytes, txn } => self.transmit(to, bytes, txn).await,
            }
        }
    }

    fn count(&self) {
        let (counters, counts) = (&self.sockets.counters, self.agent.counts());
        set(&counters.shed, counts.shed);
        set(&counters.shed_late, counts.shed_late);
        set(&counters.shed_unanswered, counts.shed_unanswered);
        set(&counters.shed_full, counts.shed_full);
        set(&counters.shed_again, counts.shed_again);
        set(&counters.malformed, counts.malformed);
        set(&counters.challenged, counts.challenged);
        set(&counters.forbidden, counts.forbidden);
        let size = |count| u64::try_from(count).unwrap_or(u64::MAX);
        set(&counters.waiting, size(self.agent.waiting_count()));
        set(&counters.dialogs, size(self.agent.dialog_count()));
        set(&counters.transactions, size(self.agent.transaction_count()));
    }

    fn handle_command(&mut self, command: Command) {
        let now = self.now();
        match command {
            Command::Respond(txn, answer) => self.agent.respond(now, txn, &answer),
            Command::Bye(dialog, headers, reply) => {
                let ends = self.agent.bye(now, dialog, headers);
                if let Some(reply) = reply {
                    // Whoever asked may not wait any more.
                    let _ = reply.send(ends);
                }
            }
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

    /// Takes in what connections have to say.
    fn handle_input(&mut self, input: Input) {
        match input {
            Input::Message {
                flow,
                parsed,
                bytes,
                received,
                room,
            } => {
                drop(room);
                self.note(false, flow.remote, &bytes);
                if let Parsed::Request(request) = &*parsed {
                    self.learn_alias(flow, request);
                }
                let (now, waited) = (self.now(), received.elapsed());
                self.agent.handle_waited(now, flow, *parsed, waited);
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

    fn note(&self, is_sent: bool, peer: SocketAddr, bytes: &[u8]) {
        note(self.trace.as_ref(), is_sent, peer, bytes);
    }

    fn resolve(&mut self, txn: TxnId, target: Target) {
        if self.lookups >= LOOKUPS_MAX {
            debug!(host = target.host, "not looked up: too many");
            return self.agent.handle_resolved(self.now(), txn, Vec::new());
        }
        self.lookups += 1;
        let (inbox, resolver) = (self.inbox.clone(), self.sockets.resolver.clone());
        self.tasks.spawn(async move {
            let hops = resolver.hops(&target).await;
            let _ = inbox.put(Input::Resolved(txn, hops)).await;
        });
    }

    fn fail(&mut self, txn: Option<TxnId>) {
        if let Some(txn) = txn {
            self.agent.handle_send_failed(self.now(), txn);
        }
    }
}

fn note(trace: Option<&mpsc::Sender<Trace>>, is_sent: bool, peer: SocketAddr, bytes: &[u8]) {
    if let Some(trace) = trace {
        // An observer that does not keep up loses lines, not calls.
        let _ = trace.try_send(Trace {
            is_sent,
            peer,
            bytes: bytes.to_vec(),
        });
    }
}

async fn sleep_until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => core::future::pending().await,
    }
}
