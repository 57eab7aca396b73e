//! The turn loop, written once for every backend.
//!
//! ```text
//! loop:
//!   wait until the earliest deadline; take completions
//!   feed the logic: what the driver owes it, completions (those of sends first, octets received as
//!     long as it takes them), control messages, its deadline
//!   reset connections that linger too long
//!   drain the logic to Wait; hand its outputs to the backend
//!   close connections whose far end is done and to whom nothing is being sent
//! ```
//!
//! Outputs are drawn once per turn, after all inputs, so that everything a turn produced for one
//! connection leaves in one send.

use core::net::SocketAddr;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use clock::Instant;
use switch::{
    Batch, CloseCause, ConnId, ConnectId, Event, Input, Output, ShardIndex, Shipment, Via,
};

use crate::backend::{Backend, Completion, Op};
use crate::layer::{Credentials, Layer, Transport};
use crate::layered::Doorway;
use crate::limits::{
    CONNECTIONS_CEILING, CONNECTIONS_MAX, HANDOVER_BYTES_MAX, LINGER, POLL_PAUSES,
    TURN_CONTROLS_MAX, TURN_FREIGHT_MAX, YOUTH_BYTES,
};
use crate::mailbox::{Control, Freight, Full, Mailbox, ShardLinks};
use crate::patience::{BusyPoll, Patience};
use crate::table::{Conn, Handover, Table};

/// The machine that a driver runs.
pub trait Logic<B> {
    /// Feeds one input.
    fn handle(&mut self, now: Instant, input: Input<B>);

    /// Draws one output; [`Output::Wait`] ends the drawing for this turn.
    fn poll(&mut self, now: Instant) -> Output<B>;

    /// Whether to feed octets of this connection now; if not, they are offered again in a later turn,
    /// when what was drawn is on its way, or when the logic asks to read on.
    fn takes(&self, _conn: ConnId) -> bool {
        true
    }

    /// Whether to feed shipments of other shards now; if not, they are offered again in a turn that something
    /// else causes, unless that changes while outputs are drawn.
    fn takes_shipments(&self) -> bool {
        true
    }
}

/// Where the logic's events go; called on the shard's thread, must not block.
pub type EventSink = Box<dyn FnMut(Event) + Send>;

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Take another turn.
    Continue,
    /// The shard was told to stop.
    Stop,
}

/// What a driver is made with.
#[expect(missing_debug_implementations, reason = "holds a callback")]
pub struct DriverConfig<S> {
    /// What each listener of the backend speaks, by position; those beyond the list speak plain TCP.
    pub transports: Vec<Transport>,
    /// For connections with TLS; without them there are none.
    pub credentials: Option<Credentials>,
    /// Origins whose pages may connect by WebSocket, as browsers write them; none: any.
    pub origins: Arc<[String]>,
    /// Connections at once, at most [`CONNECTIONS_CEILING`].
    pub connections_max: usize,
    /// Where this shard is reached.
    pub mailbox: Mailbox<S>,
    /// Where the others are.
    pub links: ShardLinks<S>,
    /// Where events go.
    pub events: EventSink,
    /// How long to poll before sleeping.
    pub busy_poll: BusyPoll,
}

impl<S> DriverConfig<S> {
    /// With [`CONNECTIONS_MAX`] and without busy-polling.
    #[must_use]
    pub fn new(mailbox: Mailbox<S>, links: ShardLinks<S>, events: EventSink) -> Self {
        Self {
            transports: Vec::new(),
            credentials: None,
            origins: Arc::default(),
            connections_max: CONNECTIONS_MAX,
            mailbox,
            links,
            events,
            busy_poll: BusyPoll::default(),
        }
    }
}

/// One shard's loop.
#[expect(missing_debug_implementations, reason = "holds a callback")]
pub struct Driver<B: Backend, L> {
    pub(crate) backend: B,
    pub(crate) logic: L,
    pub(crate) config: DriverConfig<B::Socket>,
    pub(crate) table: Table<B::Octets>,
    /// Connections with something between the socket and the logic.
    pub(crate) doorway: Doorway,
    /// Connects under way; each has a place in the table reserved.
    connecting: usize,
    done: Vec<Completion<B::Octets, B::Socket>>,
    /// Completions that are handled in the next turn, see [`crate::hold`]. As many as are received
    /// in a turn, and no more come while they hold [`crate::limits::HELD_BYTES_MAX`] octets.
    pub(crate) held: Vec<Completion<B::Octets, B::Socket>>,
    /// Octets received among them.
    pub(crate) held_bytes: usize,
    /// Turns taken.
    pub(crate) turn: u64,
    /// Inputs that outputs caused without the backend; fed in the next turn. At most one per output.
    pub(crate) owed: VecDeque<Input<B::Octets>>,
    /// When to reset connections that are closing, in order of time. At most two per connection.
    pub(crate) lingering: VecDeque<(Instant, ConnId)>,
    /// Connections whose far end is done, to be closed when nothing is being sent.
    pub(crate) ended: Vec<ConnId>,
    deadline: Option<Instant>,
    /// Shards to be woken at the end of the turn, a bit each.
    to_wake: u64,
    patience: Patience,
}

impl<B: Backend, L: Logic<B::Octets>> Driver<B, L> {
    /// Puts the parts together; nothing happens before the first turn.
    ///
    /// # Panics
    ///
    /// If `connections_max` is 0 or over [`CONNECTIONS_CEILING`].
    pub fn new(backend: B, logic: L, config: DriverConfig<B::Socket>) -> Self {
        assert!(
            (1..=CONNECTIONS_CEILING).contains(&config.connections_max),
            "connections_max must be 1 to {CONNECTIONS_CEILING}"
        );
        Self {
            patience: Patience::new(config.busy_poll),
            backend,
            logic,
            config,
            table: Table::default(),
            doorway: Doorway::default(),
            connecting: 0,
            done: Vec::new(),
            held: Vec::new(),
            held_bytes: 0,
            turn: 0,
            owed: VecDeque::new(),
            lingering: VecDeque::new(),
            ended: Vec::new(),
            deadline: None,
            to_wake: 0,
        }
    }

    /// Takes turns until the shard is told to stop.
    ///
    /// # Errors
    ///
    /// The backend's, when it cannot go on.
    pub fn run(&mut self) -> io::Result<()> {
        while self.turn()? == Flow::Continue {}
        Ok(())
    }

    /// One turn; blocks until there is something to do.
    ///
    /// # Errors
    ///
    /// The backend's, when it cannot go on.
    pub fn turn(&mut self) -> io::Result<Flow> {
        let mut done = core::mem::take(&mut self.done);
        let until = self.next_wake();
        self.take_held(&mut done);
        self.wait(until, &mut done)?;
        self.turn += 1;
        let now = self.backend.now();
        for _ in 0..self.owed.len() {
            let input = self.owed.pop_front().expect("counted");
            self.logic.handle(now, input);
        }
        self.read_on(now);
        self.complete_sends(now, &mut done);
        for completion in done.drain(..) {
            if let Some(completion) = self.hold(completion) {
                self.complete(now, completion);
            }
        }
        self.done = done;
        self.read_mailbox(now);
        self.unload_freight(now);
        if self.deadline.is_some_and(|at| at <= now) {
            self.logic.handle(now, Input::Deadline);
        }
        self.reset_lingering(now);
        self.look_after_layers(now);
        self.drain_logic(now);
        self.close_ended(now);
        Ok(if self.config.mailbox.is_stopping() {
            Flow::Stop
        } else {
            Flow::Continue
        })
    }

    /// Waits as [`Backend::wait`] does, polling first when that promises to be of use.
    fn wait(
        &mut self,
        until: Option<Instant>,
        done: &mut Vec<Completion<B::Octets, B::Socket>>,
    ) -> io::Result<()> {
        if until == Some(Instant::ZERO) {
            return self.backend.wait(until, done);
        }
        if self.patience.never_polls() {
            return self.sleep(until, done);
        }
        let began = self.backend.now();
        if let Some(poll_until) = self.patience.poll_until(began) {
            let stop = until.map_or(poll_until, |at| at.min(poll_until));
            let has_come = self.poll_backend(stop, done)?;
            let now = self.backend.now();
            self.patience.stop_polling(now);
            if has_come {
                self.patience.note(began, now);
                return Ok(());
            }
        }
        let outcome = self.sleep(until, done);
        self.patience.note(began, self.backend.now());
        outcome
    }

    /// Waits without sleeping; whether something came.
    fn poll_backend(
        &mut self,
        stop: Instant,
        done: &mut Vec<Completion<B::Octets, B::Socket>>,
    ) -> io::Result<bool> {
        while self.backend.now() < stop {
            self.backend.wait(Some(Instant::ZERO), done)?;
            if !done.is_empty() || self.has_news() {
                return Ok(true);
            }
            if self.patience.yields() {
                std::thread::yield_now();
            } else {
                // Who completes our operations may need what these calls hold.
                (0..POLL_PAUSES).for_each(|_| core::hint::spin_loop());
            }
        }
        Ok(false)
    }

    /// Whether other threads have said something that is to be dealt with now.
    fn has_news(&self) -> bool {
        let mailbox = &self.config.mailbox;
        mailbox.has_news() || (mailbox.has_freight() && self.logic.takes_shipments())
    }

    /// Waits in the system, unless other threads have said something.
    fn sleep(
        &mut self,
        until: Option<Instant>,
        done: &mut Vec<Completion<B::Octets, B::Socket>>,
    ) -> io::Result<()> {
        self.config.mailbox.doze();
        let has_news = self.has_news();
        let until = if has_news { Some(Instant::ZERO) } else { until };
        let outcome = self.backend.wait(until, done);
        self.config.mailbox.rouse();
        outcome
    }

    /// When the next turn is due without any completion; [`Instant::ZERO`]: at once.
    #[must_use]
    pub fn next_wake(&self) -> Option<Instant> {
        if self.turn == 0
            || !self.held.is_empty()
            || !self.owed.is_empty()
            || self.doorway.has_unread()
            || self.has_news()
        {
            return Some(Instant::ZERO);
        }
        let linger = self.lingering.front().map(|&(at, _)| at);
        let doorway = self.doorway.deadline();
        let deadlines = self.deadline.into_iter().chain(linger).chain(doorway);
        deadlines.min()
    }

    /// The backend.
    pub fn backend(&self) -> &B {
        &self.backend
    }

    /// The logic.
    pub fn logic(&self) -> &L {
        &self.logic
    }

    /// Connections open or closing.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.table.count()
    }

    fn is_full(&self) -> bool {
        self.table.count() + self.connecting >= self.config.connections_max
    }

    /// What was sent comes first: what it gives back is used again by what is received, and queues
    /// are as short as they are.
    fn complete_sends(&mut self, now: Instant, done: &mut [Completion<B::Octets, B::Socket>]) {
        for completion in done {
            if let Completion::Sent { .. } | Completion::Progressed { .. } = completion {
                let sent = core::mem::replace(completion, Completion::Woken);
                self.complete(now, sent);
            }
        }
    }

    fn complete(&mut self, now: Instant, completion: Completion<B::Octets, B::Socket>) {
        match completion {
            Completion::Accepted {
                listener,
                socket,
                peer,
            } => self.complete_accept(now, listener, socket, peer),
            Completion::Connected {
                request,
                socket,
                peer,
            } => self.complete_connect(now, request, socket, peer),
            Completion::ConnectFailed { request, error } => {
                self.connecting -= 1;
                self.doorway.take_plan(request);
                let input = Input::ConnectFailed { request, error };
                self.logic.handle(now, input);
            }
            Completion::Received { conn, octets } => self.complete_receive(now, conn, octets),
            Completion::Ended { conn } => self.complete_end(now, conn),
            Completion::Progressed { conn, octets } => self.note_progress(now, conn, octets),
            Completion::Sent { conn, batch } => self.complete_send(now, conn, batch),
            Completion::Closed { conn, error } => self.complete_close(now, conn, error),
            Completion::Detached { conn, socket } => self.complete_detach(conn, socket),
            Completion::Woken => {}
        }
    }

    fn complete_accept(
        &mut self,
        now: Instant,
        listener: usize,
        socket: B::Socket,
        peer: SocketAddr,
    ) {
        if self.is_full() {
            self.refuse(peer);
            return;
        }
        let transport = self.config.transports.get(listener);
        let transport = transport.copied().unwrap_or_default();
        if transport != Transport::Tcp {
            self.accept_layered(now, transport, socket, peer);
            return;
        }
        let conn = self.attach(socket, peer, YOUTH_BYTES);
        let via = Via::default();
        self.logic.handle(now, Input::Accepted { conn, peer, via });
    }

    fn complete_connect(
        &mut self,
        now: Instant,
        request: ConnectId,
        socket: B::Socket,
        peer: SocketAddr,
    ) {
        self.connecting -= 1;
        if let Some(name) = self.doorway.take_plan(request) {
            self.connect_layered(now, request, &name, socket, peer);
            return;
        }
        let conn = self.attach(socket, peer, 0);
        let via = Via::default();
        self.logic
            .handle(now, Input::Connected { conn, request, via });
    }

    pub(crate) fn refuse(&self, peer: SocketAddr) {
        tracing::warn!(
            %peer,
            connections_max = self.config.connections_max,
            "connection refused: the shard is full"
        );
    }

    pub(crate) fn attach(
        &mut self,
        socket: B::Socket,
        peer: SocketAddr,
        youth_bytes: usize,
    ) -> ConnId {
        let conn = self.table.insert(Conn::new(peer, youth_bytes));
        self.backend.submit(Op::Attach { conn, socket });
        conn
    }

    fn complete_receive(&mut self, now: Instant, id: ConnId, octets: B::Octets) {
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        if conn.is_closing {
            return;
        }
        if conn.layered.is_some() {
            self.receive_layered(now, id, &octets);
            return;
        }
        if conn.handover.is_none() {
            self.logic.handle(now, Input::Received { conn: id, octets });
            return;
        }
        self.keep_for_handover(id, octets.as_ref());
    }

    pub(crate) fn keep_for_handover(&mut self, id: ConnId, octets: &[u8]) {
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        let Some(handover) = &mut conn.handover else {
            return;
        };
        handover.octets.extend_from_slice(octets);
        if handover.octets.len() > HANDOVER_BYTES_MAX {
            tracing::warn!(peer = %conn.peer, "connection closed: too much arrived while it moved");
            conn.is_closing = true;
            self.backend.submit(Op::Abort { conn: id });
        }
    }

    fn complete_end(&mut self, now: Instant, id: ConnId) {
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        let was_ended = core::mem::replace(&mut conn.is_ended, true);
        if conn.layered.is_some() && !was_ended && !conn.is_closing {
            self.note_cut(now, id);
            return;
        }
        self.end(now, id);
    }

    /// The far end sends no more: closes when nothing is being sent to it.
    pub(crate) fn end(&mut self, now: Instant, id: ConnId) {
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        conn.is_ended = true;
        if !conn.is_closing && conn.handover.is_none() {
            self.lingering.push_back((now + LINGER, id));
            self.ended.push(id);
        }
    }

    fn note_progress(&mut self, now: Instant, id: ConnId, octets: usize) {
        let Some(conn) = self.open(id) else {
            return;
        };
        // Octets that a layer made are not those of the logic's batch.
        let octets = if conn.layered.is_some() { 0 } else { octets };
        let conn = id;
        self.logic.handle(now, Input::Progressed { conn, octets });
    }

    pub(crate) fn complete_send(&mut self, now: Instant, id: ConnId, batch: Batch<B::Octets>) {
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        conn.is_sending = false;
        if conn.is_ended {
            self.ended.push(id);
        }
        if conn.layered.is_some() {
            self.complete_layered_send(now, id, batch);
            return;
        }
        if conn.handover.is_none() {
            self.logic.handle(now, Input::Sent { conn: id, batch });
        }
    }

    fn complete_close(&mut self, now: Instant, id: ConnId, error: Option<io::ErrorKind>) {
        let Some(conn) = self.table.remove(id) else {
            return;
        };
        if conn.handover.is_some() {
            tracing::debug!(peer = %conn.peer, ?error, "connection lost while it moved");
            return;
        }
        let layered = conn.layered.as_ref();
        if let Some(opening) = layered.and_then(|l| l.opening) {
            let fault = layered.map_or(error, |l| l.end(error));
            self.complete_unopened(now, opening, fault);
            return;
        }
        let cause = match layered.map_or(error, |l| l.end(error)) {
            _ if conn.is_closing => CloseCause::Local,
            Some(kind) => CloseCause::Error(kind),
            None if conn.is_ended => CloseCause::Peer,
            None => CloseCause::Local,
        };
        self.logic.handle(now, Input::Closed { conn: id, cause });
    }

    fn complete_detach(&mut self, id: ConnId, socket: B::Socket) {
        let Some(conn) = self.table.remove(id) else {
            return;
        };
        let Some(Handover { to, octets }) = conn.handover.map(|handover| *handover) else {
            return;
        };
        let layer = conn.layered.map(|layered| Box::new(layered.layer));
        let peer = conn.peer;
        let Some(link) = self.config.links.to(to) else {
            tracing::error!(%peer, shard = to.0, "connection closed: no such shard to move it to");
            return;
        };
        if let Err(Full(_)) = link.send(Control::Adopt {
            socket,
            peer,
            layer,
            octets,
        }) {
            tracing::warn!(%peer, shard = to.0, "connection closed: the shard to move it to is overloaded");
        }
    }

    fn read_mailbox(&mut self, now: Instant) {
        for _ in 0..TURN_CONTROLS_MAX {
            match self.config.mailbox.pop() {
                Some(Control::Command(command)) => {
                    self.logic.handle(now, Input::Command(command));
                }
                Some(Control::Adopt {
                    socket,
                    peer,
                    layer,
                    octets,
                }) => self.adopt(now, (socket, peer), layer, octets),
                None => return,
            }
        }
    }

    /// Takes what other shards sent, as long as the logic takes it.
    fn unload_freight(&mut self, now: Instant) {
        for _ in 0..TURN_FREIGHT_MAX {
            if !self.logic.takes_shipments() {
                return;
            }
            match self.config.mailbox.unload() {
                Some(Freight::Arrived(mut shipment)) => {
                    let octets = B::Octets::from(shipment.take_octets());
                    let input = Input::Shipment { shipment, octets };
                    self.logic.handle(now, input);
                }
                Some(Freight::Returned(shipment)) => {
                    self.logic.handle(now, Input::Returned(shipment));
                }
                None => return,
            }
        }
    }

    /// Puts a shipment where it is for; that shard is woken at the end of the turn.
    fn ship(&mut self, shipment: Shipment) {
        let to = shipment.to();
        let link = self.config.links.to(to);
        let carried = match link {
            Some(link) => link.carry(Freight::Arrived(shipment)),
            None => Err(Freight::Arrived(shipment)),
        };
        match carried {
            Ok(()) => self.to_wake |= 1 << to.0,
            Err(Freight::Arrived(shipment) | Freight::Returned(shipment)) => {
                tracing::warn!(shard = to.0, "messages lost: their shard takes nothing");
                self.owed.push_back(Input::Returned(shipment));
            }
        }
    }

    fn give_back(&mut self, shipment: Shipment) {
        let from = shipment.from();
        let wakes = shipment.calls_back();
        let Some(link) = self.config.links.to(from) else {
            return;
        };
        // If it has no room, it was started anew and has forgotten the shipment.
        if link.carry(Freight::Returned(shipment)).is_ok() && wakes {
            self.to_wake |= 1 << from.0;
        }
    }

    /// Wakes the shards that something was sent to in this turn.
    fn wake_shards(&mut self) {
        let mut to_wake = core::mem::take(&mut self.to_wake);
        while to_wake != 0 {
            let shard = ShardIndex(u8::try_from(to_wake.trailing_zeros()).expect("of 64"));
            to_wake &= to_wake - 1;
            if let Some(link) = self.config.links.to(shard) {
                link.wake();
            }
        }
    }

    fn adopt(
        &mut self,
        now: Instant,
        (socket, peer): (B::Socket, SocketAddr),
        layer: Option<Box<Layer>>,
        octets: Vec<u8>,
    ) {
        if self.is_full() {
            self.refuse(peer);
            return;
        }
        let conn = self.attach(socket, peer, 0);
        let via = layer.as_ref().map_or_else(Via::default, |l| l.via());
        let octets = B::Octets::from(octets);
        let input = Input::Adopted {
            conn,
            peer,
            via,
            octets,
        };
        self.logic.handle(now, input);
        if let Some(layer) = layer {
            self.adopt_layer(now, conn, *layer);
        }
    }

    fn reset_lingering(&mut self, now: Instant) {
        while let Some(&(at, conn)) = self.lingering.front()
            && at <= now
        {
            self.lingering.pop_front();
            if self.table.get_mut(conn).is_some() {
                self.backend.submit(Op::Abort { conn });
            }
        }
    }

    fn drain_logic(&mut self, now: Instant) {
        loop {
            match self.logic.poll(now) {
                Output::Connect {
                    request,
                    to,
                    secure,
                } => self.connect(request, to, secure),
                Output::Transmit { conn, batch } => self.transmit(now, conn, batch),
                Output::Close { conn } => self.close(now, conn),
                Output::PauseReading { conn } => self.pause(conn),
                Output::ResumeReading { conn } => self.resume(conn),
                Output::Handover { conn, to, octets } => self.hand_over(conn, to, octets),
                Output::Ship(shipment) => self.ship(shipment),
                Output::Unpacked(shipment) => self.give_back(shipment),
                Output::Event(event) => (self.config.events)(event),
                Output::Wait(until) => {
                    self.deadline = until;
                    self.wake_shards();
                    return;
                }
            }
        }
    }

    /// The connection, if the logic may still name it.
    pub(crate) fn open(&mut self, id: ConnId) -> Option<&mut Conn<B::Octets>> {
        let conn = self.table.get_mut(id);
        conn.filter(|conn| !conn.is_closing && conn.handover.is_none())
    }

    fn connect(&mut self, request: ConnectId, to: SocketAddr, secure: Option<Box<str>>) {
        if self.is_full() {
            let error = io::ErrorKind::QuotaExceeded;
            self.owed.push_back(Input::ConnectFailed { request, error });
            return;
        }
        self.connecting += 1;
        if let Some(name) = secure {
            self.doorway.plan(request, name);
        }
        self.backend.submit(Op::Connect { request, to });
    }

    fn transmit(&mut self, now: Instant, id: ConnId, batch: Batch<B::Octets>) {
        let Some(conn) = self.open(id) else {
            return;
        };
        assert!(
            !conn.is_sending || conn.layered.is_some(),
            "one batch at a time per connection"
        );
        if batch.is_empty() {
            self.owed.push_back(Input::Sent { conn: id, batch });
            return;
        }
        if conn.layered.is_some() {
            self.transmit_layered(now, id, batch);
            return;
        }
        conn.is_sending = true;
        if let Some(batch) = self.backend.send(id, batch) {
            self.complete_send(now, id, batch);
        }
    }

    fn close(&mut self, now: Instant, id: ConnId) {
        let Some(conn) = self.open(id) else {
            return;
        };
        conn.is_closing = true;
        conn.parked = None;
        let is_layered = conn.layered.is_some();
        self.lingering.push_back((now + LINGER, id));
        if is_layered {
            self.take_leave(now, id);
            return;
        }
        self.backend.submit(Op::Close { conn: id });
    }

    fn hand_over(&mut self, id: ConnId, to: ShardIndex, octets: Vec<u8>) {
        let Some(conn) = self.open(id) else {
            return;
        };
        conn.handover = Some(Box::new(Handover { to, octets }));
        if conn.layered.is_some() {
            self.keep_unread_for_handover(id);
        }
        self.backend.submit(Op::Detach { conn: id });
    }

    fn close_ended(&mut self, now: Instant) {
        while let Some(id) = self.ended.pop() {
            // Whatever is left of a moving or closing connection is on its way out already.
            if let Some(conn) = self.open(id)
                && !conn.is_sending
                && !conn.is_shutting
            {
                if conn.layered.is_some() {
                    self.take_leave(now, id);
                    continue;
                }
                conn.is_shutting = true;
                self.backend.submit(Op::Close { conn: id });
            }
        }
    }
}
