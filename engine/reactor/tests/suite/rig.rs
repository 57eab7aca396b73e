//! The same few verbs over real sockets and over the simulation.

use core::net::SocketAddr;
use core::time::Duration;
use reactor::Socket;
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use crossbeam::channel::{Receiver, unbounded};
use reactor::sim::{ClientId, Faults, SimBackend, SimNet, SimShard, SimSocket};
use reactor::{
    Control, ControlSender, Credentials, Driver, DriverConfig, Mailbox, ReactorKind, ShardHandle,
    ShardLinks, ShardThreadConfig, Transport, bind_listeners, spawn_shard,
};
use switch::{
    Command, ContextKey, Event, Order, Secured, Security, SessionConfig, SessionKey, Setup,
    ShardIndex,
};

use crate::client::{Client, PATIENCE, credentials};
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

/// Real sockets on loopback, one thread per shard.
pub(crate) struct Real {
    shards: Vec<ShardHandle>,
    events: Vec<Receiver<Event>>,
    secured: Vec<Arc<Mutex<Secured>>>,
}

impl Real {
    pub(crate) fn start(
        kind: ReactorKind,
        transport: Transport,
        busy_poll: Duration,
        credentials: Option<Credentials>,
        modes: &[Mode],
        connections_max: usize,
    ) -> Self {
        let mailboxes: Vec<_> = modes
            .iter()
            .map(|_| Mailbox::<Socket>::new().unwrap())
            .collect();
        let links = ShardLinks::new(&mailboxes);
        let mut shards = Vec::new();
        let mut events = Vec::new();
        let mut secured = Vec::new();
        for ((index, &mode), mailbox) in (0..).zip(modes).zip(mailboxes) {
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
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            config.listeners = bind_listeners(&[any], 1).unwrap().remove(0);
            let noted = Arc::<Mutex<Secured>>::default();
            secured.push(Arc::clone(&noted));
            shards.push(spawn_shard(config, move || Hub::noting(mode, noted)).unwrap());
            events.push(source);
        }
        assert!(shards.iter().all(|shard| shard.reactor() == kind));
        Self {
            shards,
            events,
            secured,
        }
    }

    pub(crate) fn tcp(&self, shard: usize) -> TcpStream {
        TcpStream::connect(self.shards[shard].local_addrs()[0]).unwrap()
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
    ($name:ident, $kind:expr, $transport:expr, $busy_poll:expr) => {
        pub(crate) struct $name(Real);

        impl Rig for $name {
            type Client = Client;
            // Unoptimised cryptography takes its time.
            const RECEIVERS: usize = if $transport.is_secure() { 20 } else { 100 };
            const BACKLOG_MIB: u64 = if $transport.is_secure() { 20 } else { 40 };

            fn unavailable() -> Option<String> {
                $kind.resolve().err().map(|reason| reason.to_string())
            }

            fn start(modes: &[Mode], connections_max: usize) -> Self {
                let credentials = $transport.is_secure().then(credentials);
                Self(Real::start(
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
                Client::new(self.0.tcp(shard), None).receive_end();
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
                self.0.shards[shard]
                    .send(Control::Command(command))
                    .unwrap();
            }

            fn event(&mut self, shard: usize) -> Event {
                self.0.event(shard)
            }

            fn free_addr(&mut self) -> SocketAddr {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                listener.local_addr().unwrap()
            }

            fn accept_from(&mut self, shard: usize) -> Client {
                // Nobody connects out over WebSocket.
                let far = match $transport {
                    Transport::Tls | Transport::Wss => Transport::Tls,
                    Transport::Tcp | Transport::Ws => Transport::Tcp,
                };
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
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

real_rig!(MioRig, ReactorKind::Mio, Transport::Tcp, NO_POLL);
real_rig!(MioTlsRig, ReactorKind::Mio, Transport::Tls, NO_POLL);
real_rig!(MioWsRig, ReactorKind::Mio, Transport::Ws, NO_POLL);
real_rig!(MioWssRig, ReactorKind::Mio, Transport::Wss, NO_POLL);
real_rig!(UringRig, ReactorKind::Uring, Transport::Tcp, NO_POLL);
real_rig!(UringTlsRig, ReactorKind::Uring, Transport::Tls, NO_POLL);
real_rig!(UringWsRig, ReactorKind::Uring, Transport::Ws, NO_POLL);
real_rig!(UringWssRig, ReactorKind::Uring, Transport::Wss, NO_POLL);
real_rig!(PollingMioRig, ReactorKind::Mio, Transport::Tcp, BUSY_POLL);
real_rig!(
    PollingUringRig,
    ReactorKind::Uring,
    Transport::Tcp,
    BUSY_POLL
);

const NO_POLL: Duration = Duration::ZERO;

/// Longer than anything on loopback takes, so that polling ends by a completion.
const BUSY_POLL: Duration = Duration::from_millis(5);

/// TLS with whomever.
pub(crate) fn any_certificate() -> Security {
    Security::Tls {
        fingerprints: Box::default(),
    }
}

/// The simulation, with faults drawn from a seed.
pub(crate) struct SimRig {
    pub(crate) net: SimNet,
    shards: Vec<Driver<SimBackend, Hub<Rc<[u8]>>>>,
    controls: Vec<ControlSender<SimSocket>>,
    events: Vec<Receiver<Event>>,
}

impl SimRig {
    pub(crate) fn with_net(net: SimNet, modes: &[Mode], connections_max: usize) -> Self {
        let mailboxes: Vec<_> = modes.iter().map(|_| Mailbox::without_waker()).collect();
        let links = ShardLinks::new(&mailboxes);
        let mut rig = Self {
            net,
            shards: Vec::new(),
            controls: Vec::new(),
            events: Vec::new(),
        };
        for ((index, &mode), mailbox) in (0..).zip(modes).zip(mailboxes) {
            let (sink, source) = unbounded();
            rig.controls.push(mailbox.sender());
            let sink = Box::new(move |event| sink.send(event).unwrap_or(()));
            let mut config = DriverConfig::new(mailbox, links.clone(), sink);
            config.connections_max = connections_max;
            let backend = rig.net.backend(&[addr(index)]);
            rig.shards
                .push(Driver::new(backend, Hub::new(mode), config));
            rig.events.push(source);
        }
        rig
    }

    fn run(&mut self) {
        self.net.run_until_idle(&mut as_dyn(&mut self.shards));
    }

    pub(crate) fn advance(&mut self, duration: Duration) {
        self.net.advance(&mut as_dyn(&mut self.shards), duration);
    }

    /// All that a client received.
    pub(crate) fn drain(&mut self, client: &mut SimClient) -> Vec<u8> {
        self.run();
        client.unread.extend(self.net.received(client.id));
        core::mem::take(&mut client.unread)
    }
}

fn as_dyn(shards: &mut [Driver<SimBackend, Hub<Rc<[u8]>>>]) -> Vec<&mut dyn SimShard> {
    let mut all: Vec<&mut dyn SimShard> = Vec::new();
    for shard in shards {
        all.push(shard);
    }
    all
}

fn addr(shard: usize) -> SocketAddr {
    let last = u8::try_from(shard + 1).unwrap();
    SocketAddr::from(([192, 0, 2, last], 2855))
}

/// A simulated client and what it has not looked at yet.
pub(crate) struct SimClient {
    id: ClientId,
    unread: Vec<u8>,
}

impl Rig for SimRig {
    type Client = SimClient;
    const RECEIVERS: usize = 10;
    const BACKLOG_MIB: u64 = 3;

    fn unavailable() -> Option<String> {
        None
    }

    fn start(modes: &[Mode], connections_max: usize) -> Self {
        // Any seed will do; the seeds as such are tried in `sim.rs`.
        let faults = Faults {
            has_short_reads: true,
            has_short_writes: true,
            delay_max: Duration::from_micros(200),
            ..Faults::default()
        };
        Self::with_net(SimNet::with_faults(1, faults), modes, connections_max)
    }

    fn connect(&mut self, shard: usize) -> SimClient {
        let id = self.net.connect(addr(shard));
        self.run();
        let unread = Vec::new();
        SimClient { id, unread }
    }

    fn connect_refused(&mut self, shard: usize) {
        let mut client = self.connect(shard);
        self.receive_end(&mut client);
    }

    fn send(&mut self, client: &mut SimClient, octets: &[u8]) {
        self.net.send(client.id, octets);
        self.run();
    }

    fn receive(&mut self, client: &mut SimClient, count: usize) -> Vec<u8> {
        self.run();
        client.unread.extend(self.net.received(client.id));
        assert!(
            client.unread.len() >= count,
            "{} of {count}",
            client.unread.len()
        );
        client.unread.drain(..count).collect()
    }

    fn receive_end(&mut self, client: &mut SimClient) {
        self.run();
        client.unread.extend(self.net.received(client.id));
        assert_eq!(client.unread, b"");
        assert!(self.net.is_ended(client.id) || self.net.is_reset(client.id));
    }

    fn shutdown(&mut self, client: &mut SimClient) {
        self.net.shutdown(client.id);
    }

    fn reset(&mut self, client: SimClient) {
        self.net.reset(client.id);
    }

    fn stall(&mut self, client: &SimClient) {
        self.net.set_reading(client.id, false);
    }

    fn unstall(&mut self, client: &SimClient) {
        self.net.set_reading(client.id, true);
    }

    fn order(&mut self, shard: usize, command: Command) {
        self.controls[shard]
            .send(Control::Command(command))
            .unwrap();
    }

    fn event(&mut self, shard: usize) -> Event {
        self.run();
        self.events[shard].try_recv().unwrap()
    }

    fn free_addr(&mut self) -> SocketAddr {
        SocketAddr::from(([198, 51, 100, 1], 9))
    }

    fn accept_from(&mut self, shard: usize) -> SimClient {
        let to = SocketAddr::from(([198, 51, 100, 2], 2855));
        self.net.listen(to);
        self.order(shard, connect_order(1, to));
        self.run();
        let [id] = self.net.accepted(to)[..] else {
            panic!("one connection was expected");
        };
        let unread = Vec::new();
        SimClient { id, unread }
    }

    fn stop(mut self) {
        self.shards.clear();
        self.net.run_until_idle(&mut []);
    }
}
