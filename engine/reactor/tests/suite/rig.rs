//! The same few verbs over real sockets and over the simulation.

use core::net::SocketAddr;
use core::time::Duration;
use reactor::Socket;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crossbeam::channel::{Receiver, unbounded};
use reactor::{
    BusyPoll, Control, Credentials, Mailbox, ReactorKind, ShardHandle, ShardLinks,
    ShardThreadConfig, Transport, spawn_shard,
};
use switch::{
    Command, ContextKey, Event, Order, Secured, Security, SessionConfig, SessionKey, Setup,
    ShardIndex,
};

use crate::client::PATIENCE;
use crate::hub::{Hub, Mode};

pub(crate) trait Rig: Sized {
    type Client;
    /// How many receivers a fan-out has here.
    const RECEIVERS: usize;
    /// More than the receive memory of a shard, where there is such a thing.
    const BACKLOG_MIB: u64;

    /// Why the backend cannot be used here, if so.
    fn unavailable() -> Option<String>;
    /// Starts one shard per mode, each with its own address.
    fn start(modes: &[Mode], connections_max: usize) -> Self;
    fn connect(&mut self, shard: usize) -> Self::Client;
    /// Connects where nothing more is taken: the connection ends.
    fn connect_refused(&mut self, shard: usize);
    fn send(&mut self, client: &mut Self::Client, octets: &[u8]);
    /// Exactly that many octets.
    fn receive(&mut self, client: &mut Self::Client, count: usize) -> Vec<u8>;
    /// Waits for the end of the stream, in order or not; nothing may come before it.
    fn receive_end(&mut self, client: &mut Self::Client);
    fn shutdown(&mut self, client: &mut Self::Client);
    fn reset(&mut self, client: Self::Client);
    /// Stops a client from reading, as far as that needs doing.
    fn stall(&mut self, client: &Self::Client);
    fn unstall(&mut self, client: &Self::Client);
    /// Sends an order to a shard.
    fn order(&mut self, shard: usize, command: Command);
    /// The next event of a shard.
    fn event(&mut self, shard: usize) -> Event;
    /// A free address that a shard may connect to, and nobody listens on.
    fn free_addr(&mut self) -> SocketAddr;
    /// Has a shard connect to a listener; the far side of that.
    fn accept_from(&mut self, shard: usize) -> Self::Client;
    /// Stops all shards.
    fn stop(self);

    fn tell(&mut self, shard: usize, token: u64) {
        let order = Order::Drain;
        self.order(shard, Command { token, order });
    }

    /// Asks a shard for a number.
    fn ask(&mut self, shard: usize, token: u64) -> u64 {
        self.tell(shard, token);
        loop {
            if let Event::Done { token, .. } = self.event(shard) {
                return token;
            }
        }
    }
}

pub(crate) fn connect_order(token: u64, to: SocketAddr) -> Command {
    Command {
        token,
        order: Order::Install {
            session: SessionKey {
                termination: 1,
                stream: 1,
            },
            context: ContextKey(1),
            config: Box::new(SessionConfig {
                setup: Setup::Active { to },
                ..SessionConfig::new([], [])
            }),
        },
    }
}

/// Between shards and clients.
pub(crate) trait Net: Sized {
    type Place;

    /// For so many shards.
    fn new(shards: usize) -> Self;
    /// Where each shard's connections come from.
    fn places(&self, mailboxes: &[Mailbox<Socket>], busy_poll: Duration) -> Vec<Self::Place>;
    /// Gives a shard its place.
    fn settle(config: &mut ShardThreadConfig, place: Self::Place);
    /// Has `run` find the network that shards live in.
    fn beside_shards<R>(&self, run: impl FnOnce() -> R) -> R;
    /// Connects so that it is `shard` who accepts.
    fn connect(&self, shard: usize, to: SocketAddr) -> io::Result<TcpStream>;
    /// Listens where shards can connect to.
    fn listen(&self) -> TcpListener;
}

/// Real connections, one thread per shard.
pub(crate) struct Threads<N> {
    shards: Vec<ShardHandle>,
    events: Vec<Receiver<Event>>,
    secured: Vec<Arc<Mutex<Secured>>>,
    links: ShardLinks<Socket>,
    /// Goes last.
    net: N,
}

impl<N: Net> Threads<N> {
    pub(crate) fn start(
        kind: ReactorKind,
        transport: Transport,
        busy_poll: impl Into<BusyPoll>,
        credentials: Option<Credentials>,
        modes: &[Mode],
        connections_max: usize,
    ) -> Self {
        let busy_poll = busy_poll.into();
        let net = N::new(modes.len());
        let mailboxes: Vec<_> = modes
            .iter()
            .map(|_| Mailbox::<Socket>::new().unwrap())
            .collect();
        let places = net.places(&mailboxes, busy_poll.fixed());
        let links = ShardLinks::new(&mailboxes);
        let mut shards = Vec::new();
        let mut events = Vec::new();
        let mut secured = Vec::new();
        let parts = modes.iter().zip(mailboxes).zip(places);
        for (index, ((&mode, mailbox), place)) in (0..).zip(parts) {
            let (sink, source) = unbounded();
            let mut config = ShardThreadConfig::new(
                ShardIndex(index),
                mailbox,
                links.clone(),
                Box::new(move |event| sink.send(event).unwrap_or(())),
            );
            config.reactor = kind;
            config.busy_poll = busy_poll;
            config.transports = vec![transport];
            config.credentials.clone_from(&credentials);
            config.connections_max = connections_max;
            config.core = Some(usize::from(index));
            N::settle(&mut config, place);
            let noted = Arc::<Mutex<Secured>>::default();
            secured.push(Arc::clone(&noted));
            let start = || spawn_shard(config, move || Hub::noting(mode, noted));
            shards.push(net.beside_shards(start).unwrap());
            events.push(source);
        }
        assert!(shards.iter().all(|shard| shard.reactor() == kind));
        Self {
            shards,
            events,
            secured,
            links,
            net,
        }
    }

    /// Ends a shard and starts one in its place, plain and sleeping.
    pub(crate) fn start_anew(&mut self, shard: usize, mode: Mode, place: N::Place) {
        let handle = self.shards.remove(shard);
        let kind = handle.reactor();
        handle.stop();
        let (ended, mailbox) = handle.reclaim();
        ended.unwrap();
        let (sink, source) = unbounded();
        let index = ShardIndex(u8::try_from(shard).unwrap());
        let sink = Box::new(move |event| sink.send(event).unwrap_or(()));
        let mut config = ShardThreadConfig::new(index, mailbox, self.links.clone(), sink);
        config.reactor = kind;
        N::settle(&mut config, place);
        let start = || spawn_shard(config, move || Hub::new(mode));
        let handle = self.net.beside_shards(start).unwrap();
        self.shards.insert(shard, handle);
        self.events[shard] = source;
    }

    pub(crate) fn net(&self) -> &N {
        &self.net
    }

    pub(crate) fn tcp(&self, shard: usize) -> TcpStream {
        self.try_tcp(shard).unwrap()
    }

    pub(crate) fn try_tcp(&self, shard: usize) -> io::Result<TcpStream> {
        let to = self.shards[shard].local_addrs()[0];
        self.net.connect(shard, to)
    }

    pub(crate) fn event(&self, shard: usize) -> Event {
        self.events[shard].recv_timeout(PATIENCE).unwrap()
    }

    /// How the connection was secured that a shard heard of last.
    pub(crate) fn secured(&self, shard: usize) -> Secured {
        self.secured[shard].lock().unwrap().clone()
    }

    pub(crate) fn order(&self, shard: usize, command: Command) {
        self.shards[shard].send(Control::Command(command)).unwrap();
    }

    /// Asks a shard for a number.
    pub(crate) fn ask(&self, shard: usize, token: u64) -> u64 {
        let order = Order::Drain;
        self.order(shard, Command { token, order });
        loop {
            if let Event::Done { token, .. } = self.event(shard) {
                return token;
            }
        }
    }

    pub(crate) fn stop(self) {
        for shard in self.shards {
            shard.stop();
            shard.join().unwrap();
        }
    }
}

macro_rules! real_rig {
    ($name:ident, $net:ty, $kind:expr, $transport:expr, $busy_poll:expr) => {
        pub(crate) struct $name(pub(crate) $crate::rig::Threads<$net>);

        impl $crate::rig::Rig for $name {
            type Client = Client;
            // Unoptimised cryptography takes its time.
            const RECEIVERS: usize = if $transport.is_secure() { 20 } else { 100 };
            const BACKLOG_MIB: u64 = if $transport.is_secure() { 20 } else { 40 };

            fn unavailable() -> Option<String> {
                $kind.resolve().err().map(|reason| reason.to_string())
            }

            fn start(modes: &[Mode], connections_max: usize) -> Self {
                let credentials = $transport.is_secure().then(credentials);
                Self($crate::rig::Threads::start(
                    $kind,
                    $transport,
                    $busy_poll,
                    credentials,
                    modes,
                    connections_max,
                ))
            }

            fn connect(&mut self, shard: usize) -> Client {
                Client::connected(self.0.tcp(shard), $transport)
            }

            fn connect_refused(&mut self, shard: usize) {
                match self.0.try_tcp(shard) {
                    Ok(stream) => Client::new(stream, None).receive_end(),
                    Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
                }
            }

            fn send(&mut self, client: &mut Client, octets: &[u8]) {
                client.send(octets);
            }

            fn receive(&mut self, client: &mut Client, count: usize) -> Vec<u8> {
                client.receive(count)
            }

            fn receive_end(&mut self, client: &mut Client) {
                client.receive_end();
            }

            fn shutdown(&mut self, client: &mut Client) {
                client.shutdown();
            }

            fn reset(&mut self, client: Client) {
                client.reset();
            }

            fn stall(&mut self, _client: &Client) {}

            fn unstall(&mut self, _client: &Client) {}

            fn order(&mut self, shard: usize, command: Command) {
                self.0.order(shard, command);
            }

            fn event(&mut self, shard: usize) -> Event {
                self.0.event(shard)
            }

            fn free_addr(&mut self) -> SocketAddr {
                let listener = $crate::rig::Net::listen(self.0.net());
                listener.local_addr().unwrap()
            }

            fn accept_from(&mut self, shard: usize) -> Client {
                // Nobody connects out over WebSocket.
                let far = match $transport {
                    Transport::Tls | Transport::Wss => Transport::Tls,
                    Transport::Tcp | Transport::Ws => Transport::Tcp,
                };
                let listener = $crate::rig::Net::listen(self.0.net());
                let to = listener.local_addr().unwrap();
                let mut command = connect_order(1, to);
                if let (true, Order::Install { config, .. }) = (far.is_secure(), &mut command.order)
                {
                    config.security = any_certificate();
                }
                self.order(shard, command);
                Client::accepted(listener.accept().unwrap().0, far)
            }

            fn stop(self) {
                self.0.stop();
            }
        }
    };
}

pub(crate) use real_rig;

/// Sleep at once.
pub(crate) const NO_POLL: Duration = Duration::ZERO;

/// TLS with whomever.
pub(crate) fn any_certificate() -> Security {
    Security::Tls {
        fingerprints: Box::default(),
    }
}
