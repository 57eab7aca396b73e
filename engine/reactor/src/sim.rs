//! A network in memory, for tests: virtual time, and one seed from which every delay, short read,
//! short write and reset is drawn. The same seed gives the same run, octet for octet.
//!
//! ```
//! # use std::rc::Rc;
//! # use clock::Instant;
//! # use reactor::{Driver, DriverConfig, Logic, Mailbox, ShardLinks};
//! # use reactor::sim::SimNet;
//! # use switch::{Input, Output};
//! # struct Idle;
//! # impl Logic<Rc<[u8]>> for Idle {
//! #     fn handle(&mut self, _: Instant, _: Input<Rc<[u8]>>) {}
//! #     fn poll(&mut self, _: Instant) -> Output<Rc<[u8]>> { Output::Wait(None) }
//! # }
//! let net = SimNet::new(7);
//! let addr = "192.0.2.1:2855".parse().unwrap();
//! let mailbox = Mailbox::without_waker();
//! let links = ShardLinks::new(std::slice::from_ref(&mailbox));
//! let config = DriverConfig::new(mailbox, links, Box::new(|_event| ()));
//! let mut shard = Driver::new(net.backend(&[addr]), Idle, config);
//!
//! let client = net.connect(addr);
//! net.send(client, b"hello");
//! net.run_until_idle(&mut [&mut shard]);
//! assert_eq!(shard.connection_count(), 1);
//! assert!(net.received(client).is_empty());
//! ```

use core::cell::RefCell;
use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::rc::{Rc, Weak};

use clock::Instant;

use crate::backend::{Backend, Completion, Op};
use crate::driver::{Driver, Flow, Logic};

mod rng;
mod world;

pub use world::{ClientId, Faults};

use world::{EndId, World};

/// The network, its clock and the participants outside the shards. A clone is the same network.
#[derive(Clone, Debug)]
pub struct SimNet(Rc<RefCell<World>>);

/// A shard as [`SimNet`] runs it: a [`Driver`] with a [`SimBackend`].
pub trait SimShard {
    /// Takes one turn.
    fn turn(&mut self) -> Flow;
    /// When the next turn is due without any completion.
    fn next_wake(&self) -> Option<Instant>;
    /// Which backend it has.
    fn backend(&self) -> &SimBackend;
}

impl<L: Logic<Rc<[u8]>>> SimShard for Driver<SimBackend, L> {
    fn turn(&mut self) -> Flow {
        Self::turn(self).expect("the simulated backend has no faults of its own")
    }

    fn next_wake(&self) -> Option<Instant> {
        Self::next_wake(self)
    }

    fn backend(&self) -> &SimBackend {
        Self::backend(self)
    }
}

impl SimNet {
    /// A network whose delays, window and short reads and writes are drawn from `seed`; without
    /// resets. Some faults are off entirely in some runs, so that rare mixtures appear.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with_faults(seed, Faults::draw(seed))
    }

    /// A network with the given faults.
    #[must_use]
    pub fn with_faults(seed: u64, faults: Faults) -> Self {
        Self(Rc::new(RefCell::new(World::new(seed, faults))))
    }

    /// The faults of this run.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.0.borrow().faults()
    }

    /// A backend for one more shard, listening on `listen`. Shards that listen on the same address
    /// share its connections at random, as with `SO_REUSEPORT`.
    #[must_use]
    pub fn backend(&self, listen: &[SocketAddr]) -> SimBackend {
        SimBackend {
            shard: self.0.borrow_mut().add_shard(listen),
            world: Rc::clone(&self.0),
            local_addrs: listen.to_vec(),
        }
    }

    /// The time in the network.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.0.borrow().now()
    }

    /// A hash of everything that happened; equal for equal runs.
    #[must_use]
    pub fn trace_hash(&self) -> u64 {
        self.0.borrow().trace_hash()
    }

    /// Opens a connection to a shard. Octets may be sent at once; they arrive after it is accepted.
    /// If nobody listens there, the client [is reset](Self::is_reset).
    #[must_use]
    pub fn connect(&self, to: SocketAddr) -> ClientId {
        self.0.borrow_mut().client_connect(to)
    }

    /// Lets shards connect to `addr`; see [`Self::accepted`].
    pub fn listen(&self, addr: SocketAddr) {
        self.0.borrow_mut().client_listen(addr);
    }

    /// The clients that came to be since the last call because shards connected to `addr`.
    #[must_use]
    pub fn accepted(&self, addr: SocketAddr) -> Vec<ClientId> {
        self.0.borrow_mut().client_accepted(addr)
    }

    /// Sends octets from a client; it takes any number.
    pub fn send(&self, client: ClientId, octets: &[u8]) {
        self.0.borrow_mut().client_send(client, octets);
    }

    /// What the client received since the last call.
    #[must_use]
    pub fn received(&self, client: ClientId) -> Vec<u8> {
        self.0.borrow_mut().client_received(client)
    }

    /// Makes the client stop reading (`false`) or read again: a slow receiver.
    pub fn set_reading(&self, client: ClientId, is_reading: bool) {
        self.0.borrow_mut().client_set_reading(client, is_reading);
    }

    /// Ends the client's sending; it goes on reading.
    pub fn shutdown(&self, client: ClientId) {
        self.0.borrow_mut().client_shutdown(client);
    }

    /// Closes the client's side in order; what still arrives for it is answered by a reset.
    pub fn close(&self, client: ClientId) {
        self.0.borrow_mut().client_close(client);
    }

    /// Resets the connection from the client's side.
    pub fn reset(&self, client: ClientId) {
        self.0.borrow_mut().client_reset(client);
    }

    /// Whether the shard's side sent its last octet and the client read all of them.
    #[must_use]
    pub fn is_ended(&self, client: ClientId) -> bool {
        self.0.borrow().client_is_ended(client)
    }

    /// Whether the connection was reset, or refused.
    #[must_use]
    pub fn is_reset(&self, client: ClientId) -> bool {
        self.0.borrow().client_is_reset(client)
    }

    /// Runs until nothing is on its way and no shard has anything to do now. Timers that are due
    /// meanwhile fire; later ones do not.
    ///
    /// # Panics
    ///
    /// If it does not come to rest within some millions of steps.
    pub fn run_until_idle(&self, shards: &mut [&mut dyn SimShard]) {
        self.run(shards, None);
    }

    /// Runs for `duration` of virtual time, timers included.
    ///
    /// # Panics
    ///
    /// If it takes more than some millions of steps.
    pub fn advance(&self, shards: &mut [&mut dyn SimShard], duration: Duration) {
        self.run(shards, Some(self.now() + duration));
    }

    fn run(&self, shards: &mut [&mut dyn SimShard], until: Option<Instant>) {
        for _ in 0..STEPS_MAX {
            self.0.borrow_mut().happen();
            if take_turns(shards, self.now()) {
                continue;
            }
            let arrival = self.0.borrow().next_arrival();
            let wake = shards.iter().filter_map(|shard| shard.next_wake()).min();
            let next = arrival.into_iter().chain(wake).min();
            match (next, until) {
                (Some(next), Some(until)) if next <= until => self.0.borrow_mut().set_now(next),
                (_, Some(until)) => {
                    self.0.borrow_mut().set_now(until);
                    return;
                }
                (Some(next), None) if arrival.is_some() => self.0.borrow_mut().set_now(next),
                (_, None) => return,
            }
        }
        panic!("the simulation does not come to rest");
    }
}

/// Whether any shard had something to do.
fn take_turns(shards: &mut [&mut dyn SimShard], now: Instant) -> bool {
    let mut is_busy = false;
    for shard in shards {
        if shard.backend().has_completions() || shard.next_wake().is_some_and(|at| at <= now) {
            // A stopped shard may be driven on; whether to do so is the test's business.
            _ = shard.turn();
            is_busy = true;
        }
    }
    is_busy
}

const STEPS_MAX: usize = 20_000_000;

/// One shard's access to the network. Dropping it resets its connections.
#[derive(Debug)]
pub struct SimBackend {
    world: Rc<RefCell<World>>,
    shard: usize,
    local_addrs: Vec<SocketAddr>,
}

impl SimBackend {
    fn has_completions(&self) -> bool {
        self.world.borrow().has_completions(self.shard)
    }

    fn socket(&self, end: EndId) -> SimSocket {
        SimSocket {
            world: Rc::downgrade(&self.world),
            end: Some(end),
        }
    }
}

impl Backend for SimBackend {
    type Octets = Rc<[u8]>;
    type Socket = SimSocket;

    fn now(&self) -> Instant {
        self.world.borrow().now()
    }

    fn submit(&mut self, op: Op<Rc<[u8]>, SimSocket>) {
        let mut world = self.world.borrow_mut();
        match op {
            Op::Connect { request, to } => world.shard_connect(self.shard, request, to),
            Op::Attach { conn, mut socket } => {
                let end = socket.end.take().expect("taken only here");
                world.shard_attach(self.shard, conn, end);
            }
            Op::Send { conn, batch } => world.shard_send(self.shard, conn, batch),
            Op::Pause { conn } => world.shard_set_reading(self.shard, conn, false),
            Op::Resume { conn } => world.shard_set_reading(self.shard, conn, true),
            Op::Close { conn } => world.shard_close(self.shard, conn),
            Op::Abort { conn } => world.shard_abort(self.shard, conn),
            Op::Detach { conn } => world.shard_detach(self.shard, conn),
        }
    }

    /// Never blocks: [`SimNet`] calls when there is something.
    fn wait(
        &mut self,
        _until: Option<Instant>,
        done: &mut Vec<Completion<Rc<[u8]>, SimSocket>>,
    ) -> io::Result<()> {
        let completions = self.world.borrow_mut().take_completions(self.shard);
        done.extend(completions.into_iter().map(|completion| {
            // The world names ends; sockets, which act when dropped, are made outside of it.
            match completion {
                Completion::Accepted {
                    listener,
                    socket,
                    peer,
                } => Completion::Accepted {
                    listener,
                    socket: self.socket(socket),
                    peer,
                },
                Completion::Connected {
                    request,
                    socket,
                    peer,
                } => Completion::Connected {
                    request,
                    socket: self.socket(socket),
                    peer,
                },
                Completion::Detached { conn, socket } => Completion::Detached {
                    conn,
                    socket: self.socket(socket),
                },
                Completion::ConnectFailed { request, error } => {
                    Completion::ConnectFailed { request, error }
                }
                Completion::Received { conn, octets } => Completion::Received { conn, octets },
                Completion::Ended { conn } => Completion::Ended { conn },
                Completion::Progressed { conn, octets } => Completion::Progressed { conn, octets },
                Completion::Sent { conn, batch } => Completion::Sent { conn, batch },
                Completion::Closed { conn, error } => Completion::Closed { conn, error },
                Completion::Woken => Completion::Woken,
            }
        }));
        Ok(())
    }

    fn hold_receiving(&mut self, is_held: bool) {
        self.world.borrow_mut().shard_hold(self.shard, is_held);
    }

    fn local_addrs(&self) -> &[SocketAddr] {
        &self.local_addrs
    }
}

impl Drop for SimBackend {
    fn drop(&mut self) {
        if let Ok(mut world) = self.world.try_borrow_mut() {
            world.remove_shard(self.shard);
        }
    }
}

/// A connection that belongs to no shard at the moment. Dropping it resets the connection.
#[derive(Debug)]
pub struct SimSocket {
    world: Weak<RefCell<World>>,
    end: Option<EndId>,
}

impl Drop for SimSocket {
    fn drop(&mut self) {
        if let Some(end) = self.end.take()
            && let Some(world) = self.world.upgrade()
            && let Ok(mut world) = world.try_borrow_mut()
        {
            world.reset_from(end);
        }
    }
}
