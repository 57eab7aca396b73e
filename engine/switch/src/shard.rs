//! The shard: contexts, their sessions and the connections that carry them.
//!
//! ```text
//! handle(input)  dispatch: commands, connections, octets
//! octets         deframe -> find the session -> forward the chunk to every other session of the
//!                context (fan-out) -> answer the SEND
//! poll()         one Transmit per connection with something queued, then Wait
//! ```
//!
//! **Invariant:** a connection has at most one batch in flight; what is queued meanwhile leaves
//! together, so that the number of sends shrinks as the load grows.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use clock::{Instant, TimerTable};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use slab::Slab;

use crate::ages::Ages;
use crate::api::{
    Command, ConnId, ConnectId, ContextKey, Event, Input, LossCause, Octets, Order, Output,
    ShardIndex,
};
use crate::batch::Batch;
use crate::connection::{Connection, Frame};
use crate::conns::Conns;
use crate::context::Context;
use crate::hoard::Gauges;
use crate::lane::Lanes;
use crate::limits::{FRAME_POOL_MAX, Limits, MESSAGE_SWEEP};
use crate::lists::{Epoch, Lists};
use crate::message::{Hashed, Message, Origin};
use crate::nickname_ask::Asked;
use crate::play::{PlayRef, Plays};
use crate::session::SessionRef;
use crate::sessions::Sessions;
use crate::shipment::BranchName;
use crate::supply::Supply;
use crate::turn::Turn;

/// What a shard is made with.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// Which shard this is.
    pub index: ShardIndex,
    /// How many there are.
    pub shards: u8,
    /// How often this shard was started anew.
    pub life: u32,
    /// Bounds.
    pub limits: Limits,
    /// Seeds transaction ids; from the system's generator, or fixed in a simulation.
    pub seed: [u8; 32],
}

/// Why a deadline was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deadline {
    /// An accepted connection must have bound a session.
    Probation(ConnId),
    /// A connect must have succeeded.
    Connect(SessionRef),
    /// A connection that holds others back must have made progress.
    Progress(ConnId),
    /// A message of ours must have been answered.
    Play(PlayRef),
    /// A participant may have been silent for too long.
    Idle(SessionRef),
    /// What is queued for a connection that closes must have left.
    Linger(ConnId),
    /// Senders wait because the shard's queues are full.
    Relief,
    /// The lane to a shard that holds senders back must have moved.
    Lane(ShardIndex),
    /// Look for messages whose time is over.
    SweepMessages,
}

/// One core's share of the switch. Sans-IO.
#[derive(Debug)]
pub struct Shard<B> {
    pub(crate) config: ShardConfig,
    pub(crate) rng: StdRng,
    pub(crate) sessions: Sessions,
    pub(crate) generation: u32,
    pub(crate) contexts: HashMap<ContextKey, Context>,
    pub(crate) conns: Conns<B>,
    /// Boxed: one that ends is used again as it is.
    pub(crate) messages: Slab<Box<Message>>,
    #[expect(
        clippy::vec_box,
        reason = "a slot takes the box itself, not a copy of it"
    )]
    pub(crate) spare_messages: Vec<Box<Message>>,
    /// Messages whose chunks still come, by the time of the last octets.
    pub(crate) open_ages: Ages,
    /// Messages that wait for answers, by the time of the last octets.
    pub(crate) complete_ages: Ages,
    /// The seat of the session that came last.
    pub(crate) next_seat: u64,
    /// Messages by [`crate::message::index_key`], for the REPORTs of recipients; the youngest of a name.
    pub(crate) by_message_id: HashMap<u64, u32, BuildHasherDefault<Hashed>>,
    pub(crate) hash_key: u64,
    /// Frames that need pieces of the shard itself are written here first.
    pub(crate) scratch: Vec<u8>,
    /// What all copies of a piece have in common, see `fan_out`.
    pub(crate) rest: Vec<u8>,
    /// No further session is bound to a connection that arrives.
    pub(crate) is_draining: bool,
    pub(crate) connects: HashMap<ConnectId, SessionRef>,
    pub(crate) next_connect: u64,
    /// Connections with something to send, in the order in which they got it: whoever waited longest for
    /// the turn leaves first, else the slowest deliveries would take twice as long as the middle ones.
    pub(crate) dirty: VecDeque<ConnId>,
    pub(crate) outputs: VecDeque<Output<B>>,
    pub(crate) plays: Plays,
    pub(crate) timers: TimerTable<Deadline>,
    pub(crate) is_sweeping: bool,
    pub(crate) supply: Supply<B>,
    #[expect(
        clippy::vec_box,
        reason = "a connection takes the box itself, not a copy of it"
    )]
    pub(crate) frame_pool: Vec<Box<Frame>>,
    pub(crate) turn: Turn,
    #[expect(
        clippy::vec_box,
        reason = "a connection takes the box itself, not a copy of it"
    )]
    pub(crate) deframer_pool: Vec<Box<msrp::Deframer>>,
    /// Octets queued for all connections that are not being closed, as of their last count.
    pub(crate) queued: usize,
    /// Connections that are not read because the shard's queues are full.
    pub(crate) waiting_for_room: Vec<ConnId>,
    /// Whether this turn has looked for a recipient to give up.
    pub(crate) has_looked: bool,
    pub(crate) gauges: Arc<Gauges>,
    /// Of lists of recipients.
    pub(crate) epoch: Epoch,
    pub(crate) lists: Lists,
    /// The ways to other shards.
    pub(crate) lanes: Lanes,
    /// Messages whose sender another shard carries.
    pub(crate) by_origin: HashMap<Origin, u32>,
    /// The shard's queues are full: other shards have to wait.
    pub(crate) is_refusing_shipments: bool,
    /// Nicknames asked for at other shards.
    pub(crate) asked: Vec<Asked>,
    /// What stands here for connections of other shards.
    pub(crate) branches: HashMap<(ShardIndex, BranchName), ConnId>,
    /// Of the octets being read, those that go to other shards.
    pub(crate) relayed_bytes: usize,
}

impl<B: Octets> Shard<B> {
    /// An empty shard.
    #[must_use]
    pub fn new(config: ShardConfig) -> Self {
        let mut rng = StdRng::from_seed(config.seed);
        Self {
            lanes: Lanes::new(config.shards, config.life),
            by_origin: HashMap::new(),
            is_refusing_shipments: false,
            asked: Vec::new(),
            branches: HashMap::new(),
            relayed_bytes: 0,
            hash_key: rng.random(),
            rng,
            config,
            sessions: Sessions::default(),
            generation: 0,
            contexts: HashMap::new(),
            conns: Conns::default(),
            messages: Slab::new(),
            spare_messages: Vec::new(),
            open_ages: Ages::default(),
            complete_ages: Ages::default(),
            next_seat: 0,
            by_message_id: HashMap::default(),
            scratch: Vec::new(),
            rest: Vec::new(),
            is_draining: false,
            connects: HashMap::new(),
            next_connect: 0,
            dirty: VecDeque::new(),
            outputs: VecDeque::new(),
            plays: Plays::default(),
            timers: TimerTable::default(),
            is_sweeping: false,
            supply: Supply::default(),
            frame_pool: Vec::new(),
            turn: Turn::default(),
            deframer_pool: Vec::new(),
            queued: 0,
            waiting_for_room: Vec::new(),
            has_looked: false,
            gauges: Arc::default(),
            epoch: Epoch::default(),
            lists: Lists::default(),
        }
    }

    /// Feeds one input. Feed all inputs of a turn, then drain [`Self::poll`] to [`Output::Wait`]:
    /// what the turn queued for one connection then leaves in one send.
    pub fn handle(&mut self, now: Instant, input: Input<B>) {
        let source = if let Input::Received { conn, .. } | Input::Adopted { conn, .. } = &input {
            Some(*conn)
        } else {
            None
        };
        match input {
            Input::Accepted { conn, peer, via } => self.handle_accepted(now, conn, peer, via),
            Input::Adopted {
                conn,
                peer,
                via,
                octets,
            } => {
                self.handle_accepted(now, conn, peer, via);
                if let Some(connection) = self.connection(conn) {
                    connection.message_frames = None;
                }
                let range = 0..octets.as_ref().len();
                self.handle_received(now, conn, &octets, range);
            }
            Input::Connected { conn, request, via } => {
                self.handle_connected(now, conn, request, via);
            }
            Input::ConnectFailed { request, error } => {
                self.handle_connect_failed(request, LossCause::ConnectFailed(error));
            }
            Input::Received { conn, octets } => {
                let range = 0..octets.as_ref().len();
                self.handle_received(now, conn, &octets, range);
            }
            Input::MessageEnded { conn } => self.handle_message_ended(now, conn),
            Input::Progressed { conn, octets } => self.handle_progress(now, conn, octets),
            Input::Sent { conn, batch } => self.handle_sent(now, conn, batch),
            Input::Closed { conn, cause } => self.handle_closed(conn, cause),
            Input::Command(command) => self.handle_command(now, command),
            Input::Shipment { shipment, octets } => self.handle_shipment(now, shipment, &octets),
            Input::Returned(shipment) => self.handle_returned(now, shipment),
            Input::Deadline => self.handle_deadline(now),
        }
        self.start_plays(now);
        self.settle_queues(now, source);
    }

    /// The next thing the driver must do.
    pub fn poll(&mut self) -> Output<B> {
        while let Some(output) = self.outputs.pop_front() {
            if let Some(output) = self.divert(output) {
                return output;
            }
        }
        self.arrange();
        while let Some(conn) = self.dirty.pop_front() {
            if conn.is_branch() {
                self.emit(conn);
            } else if let Some(batch) = self.take_batch(conn) {
                return Output::Transmit { conn, batch };
            }
        }
        if let Some(output) = self.next_shipment() {
            return output;
        }
        self.supply.end_turn();
        self.turn.end();
        self.has_looked = false;
        self.gauges.set_queued(self.queued);
        Output::Wait(self.timers.deadline())
    }

    /// Lets recipients with openings of the same length leave one after the other, among those who get the
    /// same letters, so that the copies for one are made out of those for another (see `supply`).
    fn arrange(&mut self) {
        if core::mem::replace(&mut self.turn.is_arranged, true) || !self.supply.has_long_letters() {
            return;
        }
        let conns = &self.conns;
        let rank = |conn: &ConnId| {
            let first = conns.get(*conn).and_then(|c| c.tx.first_due());
            (first.map(|due| (due.letter, due.opening.len())), conn.index)
        };
        self.dirty.make_contiguous().sort_unstable_by_key(rank);
    }

    /// Whether a shipment of another shard may be fed now; if not, keep it until that has changed, in a
    /// turn that a connection or a deadline causes.
    #[must_use]
    pub fn takes_shipments(&self) -> bool {
        !self.turn.is_full && !self.is_refusing_shipments
    }

    /// Whether octets of a connection may be fed now. If not, keep them until the outputs are drawn, or
    /// while its reading is paused until it is resumed: queues are bounded by it.
    #[must_use]
    pub fn takes(&self, conn: ConnId) -> bool {
        let is_paused = self.conns.get(conn).is_some_and(|c| c.brake.is_paused);
        !self.turn.is_full && !is_paused
    }

    /// Sessions installed.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// Connections open.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.conns.iter().count()
    }

    /// Messages whose fate is not settled.
    #[must_use]
    pub fn message_count(&self) -> usize {
        self.messages.len()
    }

    pub(crate) fn take_batch(&mut self, conn: ConnId) -> Option<Batch<B>> {
        let Self {
            conns,
            supply,
            queued,
            ..
        } = self;
        let connection = conns.get_mut(conn)?;
        connection.is_dirty = false;
        connection.tx.write_due(supply);
        if !connection.is_sending {
            connection.load_backlog(supply, false);
        }
        connection.tx.recount(connection.is_closing, queued);
        if connection.is_sending {
            return None;
        }
        let batch = connection.tx.take(supply)?;
        connection.is_sending = true;
        connection.tx.in_flight = batch.octet_count();
        Some(batch)
    }

    fn handle_command(&mut self, now: Instant, command: Command) {
        self.epoch.end();
        let statistics = match command.order {
            Order::Install {
                session,
                context,
                config,
            } => {
                self.install(now, session, context, *config);
                None
            }
            Order::Update { session, config } => {
                self.update(now, session, *config);
                None
            }
            Order::Move { session, context } => {
                self.move_to(now, session, context);
                None
            }
            Order::Remove { session } => self.remove(now, session),
            Order::Audit { session } => self.counters(now, session),
            Order::Release { session } => {
                self.release_link(now, session);
                None
            }
            Order::Flow { from, to, open } => {
                self.set_flow(from, to, open);
                None
            }
            Order::Play { session, play } => {
                self.play(now, session, *play);
                None
            }
            Order::StopPlay { session, id } => {
                self.stop_play(session, id);
                None
            }
            Order::Announce {
                session,
                context,
                shard,
                home,
                config,
            } => {
                self.announce(now, (session, context), (shard, home), *config);
                None
            }
            Order::ShardLost { shard, life } => {
                self.lose_shard(now, shard, life);
                None
            }
            Order::Rehome { context, home } => {
                self.rehome(now, context, home);
                None
            }
            Order::Drain => {
                self.is_draining = true;
                None
            }
        };
        let event = Event::Done {
            token: command.token,
            statistics,
        };
        self.outputs.push_back(Output::Event(event));
    }

    fn handle_deadline(&mut self, now: Instant) {
        while let Some(deadline) = self.timers.expired(now) {
            match deadline {
                Deadline::Probation(conn) => self.end_probation(now, conn),
                Deadline::Connect(session) => self.give_up_connecting(session),
                Deadline::Progress(conn) => self.check_progress(now, conn),
                Deadline::Play(play) => self.time_out_play(play),
                Deadline::Idle(session) => self.check_silence(now, session),
                Deadline::Linger(conn) => self.end_linger(conn),
                Deadline::Relief => self.check_relief(now),
                Deadline::Lane(to) => self.check_lane(now, to),
                Deadline::SweepMessages => self.sweep_messages(now),
            }
        }
    }

    pub(crate) fn recycle_frame(&mut self, frame: Option<Box<Frame>>) {
        if let Some(frame) = frame.filter(|_| self.frame_pool.len() < FRAME_POOL_MAX) {
            self.frame_pool.push(frame);
        }
    }

    pub(crate) fn start_sweeping(&mut self, now: Instant) {
        if !self.is_sweeping {
            self.is_sweeping = true;
            self.timers
                .arm(now + MESSAGE_SWEEP, Deadline::SweepMessages);
        }
    }

    pub(crate) fn random(&mut self) -> u64 {
        self.rng.random()
    }

    pub(crate) fn connection(&mut self, conn: ConnId) -> Option<&mut Connection<B>> {
        self.conns.get_mut(conn)
    }

    /// `session` if it still exists.
    pub(crate) fn session_at(&self, session: SessionRef) -> Option<SessionRef> {
        self.sessions
            .get(session.index as usize)
            .filter(|s| s.generation == session.generation)
            .map(|_| session)
    }

    pub(crate) fn mark_dirty(&mut self, conn: ConnId) {
        if let Some(connection) = self.connection(conn)
            && !connection.is_dirty
        {
            connection.is_dirty = true;
            self.dirty.push_back(conn);
        }
    }
}
