//! The driver's part for connections that have a [`Layer`]: TLS, WebSocket or both.
//!
//! ```text
//! accepted, connected ──► handshakes ──► the logic is told
//! received ──► layer ──► inbox ──► the logic; the layer's own words ──► send
//! transmit ──► layer ──► send, or after the send that is under way
//! close    ──► farewell ──► send ──► close the socket
//! ```
//!
//! A plain connection has none of this: where the two part, the driver asks one question.

use core::net::SocketAddr;
use std::collections::{HashMap, VecDeque};
use std::io;

use clock::Instant;
use switch::{Batch, ConnId, ConnectId, Input};

use crate::backend::{Backend, Completion, Op};
use crate::driver::{Driver, Logic};
use crate::layer::{Fault, Layer, Sink, Transport, Workshop};
use crate::limits::{
    HANDSHAKE_TIMEOUT, HANDSHAKES_MAX, LINGER, WEBSOCKET_PING_INTERVAL, YOUTH_BYTES,
};
use crate::table::{Conn, Layered, Opening, Piece};

/// What the driver keeps about all such connections of its shard.
#[derive(Debug, Default)]
pub(crate) struct Doorway {
    /// Connects under way that TLS follows, with the host that the URI names.
    plans: HashMap<ConnectId, Box<str>>,
    /// When handshakes must be over, in order of time; an entry outlives its handshake.
    handshakes: VecDeque<(Instant, ConnId)>,
    /// Handshakes that go on.
    handshake_count: usize,
    /// When to ask for a sign of life, in order of time.
    pings: VecDeque<(Instant, ConnId)>,
    /// Young connections with something left in their inbox; once each.
    unread: Vec<ConnId>,
    workshop: Workshop,
}

impl Doorway {
    pub(crate) fn plan(&mut self, request: ConnectId, name: Box<str>) {
        self.plans.insert(request, name);
    }

    pub(crate) fn take_plan(&mut self, request: ConnectId) -> Option<Box<str>> {
        self.plans.remove(&request)
    }

    pub(crate) fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    /// When [`Driver::look_after_layers`] is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let handshake = self.handshakes.front().map(|&(at, _)| at);
        let ping = self.pings.front().map(|&(at, _)| at);
        handshake.into_iter().chain(ping).min()
    }
}

/// Puts plaintext into receive memory and lines it up.
struct Inlet<'a, B: Backend> {
    backend: &'a mut B,
    inbox: &'a mut VecDeque<Piece<B::Octets>>,
}

impl<B: Backend> Sink for Inlet<'_, B> {
    fn fill(&mut self, read: &mut dyn FnMut(&mut [u8]) -> usize) -> usize {
        let Some(octets) = self.backend.fill(read) else {
            return 0;
        };
        let count = octets.as_ref().len();
        self.inbox.push_back(Piece::Octets(octets));
        count
    }

    fn end_message(&mut self) {
        self.inbox.push_back(Piece::MessageEnd);
    }
}

impl<B: Backend, L: Logic<B::Octets>> Driver<B, L> {
    pub(crate) fn accept_layered(
        &mut self,
        now: Instant,
        transport: Transport,
        socket: B::Socket,
        peer: SocketAddr,
    ) {
        if self.doorway.handshake_count >= HANDSHAKES_MAX {
            tracing::warn!(%peer, HANDSHAKES_MAX, "connection refused: too many handshakes");
            return;
        }
        match Layer::accept(
            transport,
            self.config.credentials.as_ref(),
            &self.config.origins,
        ) {
            Ok(Some(layer)) => {
                let opening = Some(Opening::Accepted);
                let conn = self.attach(socket, peer, YOUTH_BYTES);
                self.put_layer(conn, Layered::new(layer, opening, now));
                self.begin_handshake(now, conn);
            }
            Ok(None) => {}
            Err(fault) => tracing::error!(%peer, %fault, "connection refused"),
        }
    }

    pub(crate) fn connect_layered(
        &mut self,
        now: Instant,
        request: ConnectId,
        name: &str,
        socket: B::Socket,
        peer: SocketAddr,
    ) {
        let credentials = self.config.credentials.as_ref();
        match Layer::connect(credentials, name, peer, &mut self.doorway.workshop) {
            Ok(layer) => {
                let opening = Some(Opening::Connect(request));
                let conn = self.attach(socket, peer, 0);
                self.put_layer(conn, Layered::new(layer, opening, now));
                self.begin_handshake(now, conn);
                self.flush_layer(now, conn);
            }
            Err(fault) => {
                tracing::error!(%peer, %fault, "connection given up");
                let error = io::ErrorKind::Unsupported;
                self.owed.push_back(Input::ConnectFailed { request, error });
            }
        }
    }

    pub(crate) fn adopt_layer(&mut self, now: Instant, conn: ConnId, layer: Layer) {
        let is_ended = layer.is_ended();
        let has_ping = layer.has_ping();
        self.put_layer(conn, Layered::new(layer, None, now));
        self.flush_layer(now, conn);
        if has_ping {
            let at = now + WEBSOCKET_PING_INTERVAL;
            self.doorway.pings.push_back((at, conn));
        }
        if is_ended {
            self.end(now, conn);
        }
    }

    fn put_layer(&mut self, id: ConnId, layered: Box<Layered<B::Octets>>) {
        if let Some(conn) = self.table.get_mut(id) {
            conn.layered = Some(layered);
        }
    }

    fn begin_handshake(&mut self, now: Instant, conn: ConnId) {
        self.doorway.handshake_count += 1;
        let at = now + HANDSHAKE_TIMEOUT;
        self.doorway.handshakes.push_back((at, conn));
    }

    pub(crate) fn receive_layered(&mut self, now: Instant, id: ConnId, octets: &B::Octets) {
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        let Some(layered) = conn.layered.as_mut().filter(|l| !l.is_leaving) else {
            return;
        };
        layered.heard_at = now;
        let mut inlet = Inlet {
            backend: &mut self.backend,
            inbox: &mut layered.inbox,
        };
        let workshop = &mut self.doorway.workshop;
        let outcome = layered.layer.receive(octets.as_ref(), workshop, &mut inlet);
        let is_open = layered.opening.is_none();
        if !is_open && layered.layer.is_established() {
            self.establish(now, id);
        }
        self.feed(now, id);
        match outcome {
            Ok(()) => self.flush_layer(now, id),
            Err(fault) => self.fail_layer(now, id, &fault),
        }
    }

    /// The handshakes are over: the logic is told.
    fn establish(&mut self, now: Instant, id: ConnId) {
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        let peer = conn.peer;
        let Some(layered) = &mut conn.layered else {
            return;
        };
        let Some(opening) = layered.opening.take() else {
            return;
        };
        let via = layered.layer.via();
        let has_ping = layered.layer.has_ping();
        self.doorway.handshake_count -= 1;
        if has_ping {
            let at = now + WEBSOCKET_PING_INTERVAL;
            self.doorway.pings.push_back((at, id));
        }
        let conn = id;
        let input = match opening {
            Opening::Accepted => Input::Accepted { conn, peer, via },
            Opening::Connect(request) => Input::Connected { conn, request, via },
        };
        self.logic.handle(now, input);
    }

    /// Feeds the inbox to the logic: of a young connection one run of octets per turn, since it may
    /// belong to another shard.
    fn feed(&mut self, now: Instant, id: ConnId) {
        while let Some(piece) = self.next_piece(id) {
            let input = match piece {
                Piece::Octets(octets) => Input::Received { conn: id, octets },
                Piece::MessageEnd => Input::MessageEnded { conn: id },
            };
            self.logic.handle(now, input);
        }
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        let layered = conn.layered.as_ref();
        let is_over = layered.is_some_and(|l| l.inbox.is_empty() && l.layer.is_ended());
        if is_over && !conn.is_ended {
            self.end(now, id);
        }
    }

    fn next_piece(&mut self, id: ConnId) -> Option<Piece<B::Octets>> {
        let turn = self.turn;
        let conn = self.table.get_mut(id)?;
        if conn.handover.is_some() {
            self.keep_unread_for_handover(id);
            return None;
        }
        let layered = conn.layered.as_mut()?;
        if conn.is_closing {
            layered.inbox.clear();
        }
        if !layered.inbox.is_empty() && conn.fed_in == turn {
            if !core::mem::replace(&mut layered.is_unread, true) {
                self.doorway.unread.push(id);
            }
            return None;
        }
        let piece = layered.inbox.pop_front()?;
        if let Piece::Octets(octets) = &piece
            && conn.youth_bytes > 0
        {
            conn.fed_in = turn;
            conn.youth_bytes = conn.youth_bytes.saturating_sub(octets.as_ref().len());
        }
        Some(piece)
    }

    /// Goes on with what was left for this turn.
    pub(crate) fn read_on(&mut self, now: Instant) {
        for id in core::mem::take(&mut self.doorway.unread) {
            if let Some(layered) = self.layered(id) {
                layered.is_unread = false;
            }
            self.feed(now, id);
        }
    }

    /// Moves what the logic has not seen to the octets that go along.
    pub(crate) fn keep_unread_for_handover(&mut self, id: ConnId) {
        let conn = self.table.get_mut(id);
        let inbox = conn.and_then(|conn| Some(&mut conn.layered.as_mut()?.inbox));
        for piece in inbox.map(core::mem::take).unwrap_or_default() {
            if let Piece::Octets(octets) = piece {
                self.keep_for_handover(id, octets.as_ref());
            }
        }
    }

    /// Keeps the end of a connection until its inbox is read.
    pub(crate) fn hold_end(
        &mut self,
        id: ConnId,
        completion: Completion<B::Octets, B::Socket>,
    ) -> Option<Completion<B::Octets, B::Socket>> {
        let layered = self.table.get_mut(id)?.layered.as_ref();
        if layered.is_none_or(|l| l.inbox.is_empty()) {
            return Some(completion);
        }
        self.keep(completion, 0);
        None
    }

    /// The socket ended; without a farewell of the layer, what came may not be all.
    pub(crate) fn note_cut(&mut self, now: Instant, id: ConnId) {
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        let peer = conn.peer;
        if let Some(layered) = &mut conn.layered
            && !layered.layer.is_ended()
            && !layered.is_leaving
        {
            tracing::info!(%peer, "the peer ended the connection without a farewell");
            layered.fault = Some(io::ErrorKind::UnexpectedEof);
        }
        self.end(now, id);
    }

    pub(crate) fn transmit_layered(&mut self, now: Instant, id: ConnId, batch: Batch<B::Octets>) {
        let conn = self.table.get_mut(id);
        let Some(layered) = conn.and_then(|conn| conn.layered.as_mut()) else {
            return;
        };
        debug_assert!(layered.sealed.is_none(), "one batch at a time");
        if layered.is_leaving {
            return;
        }
        let outcome = layered.layer.send(&batch, &mut self.doorway.workshop);
        // What it refers to is not needed any more, only the logic's answer.
        layered.sealed.insert(batch).clear();
        match outcome {
            Ok(()) => self.flush_layer(now, id),
            Err(fault) => self.fail_layer(now, id, &fault),
        }
    }

    pub(crate) fn complete_layered_send(
        &mut self,
        now: Instant,
        id: ConnId,
        wire: Batch<B::Octets>,
    ) {
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        let is_moving = conn.handover.is_some();
        self.doorway.workshop.reuse(wire.into_blocks());
        let Some(layered) = &mut conn.layered else {
            return;
        };
        if core::mem::take(&mut layered.is_sealed_sent)
            && let Some(batch) = layered.sealed.take()
            && !is_moving
        {
            self.logic.handle(now, Input::Sent { conn: id, batch });
        }
        self.flush_layer(now, id);
    }

    /// Sends what the layer has, unless a send is under way; closes behind a farewell.
    fn flush_layer(&mut self, now: Instant, id: ConnId) {
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        if conn.is_sending || conn.is_shutting || conn.handover.is_some() {
            return;
        }
        let Some(layered) = &mut conn.layered else {
            return;
        };
        let wire = match layered.layer.take_output(&mut self.doorway.workshop) {
            Ok(wire) => wire,
            Err(fault) => return self.fail_layer(now, id, &fault),
        };
        if !wire.is_empty() {
            layered.is_sealed_sent = layered.sealed.is_some();
            conn.is_sending = true;
            let batch = Batch::from(wire.into_blocks());
            if let Some(batch) = self.backend.send(id, batch) {
                self.complete_send(now, id, batch);
            }
            return;
        }
        if layered.is_leaving {
            conn.is_shutting = true;
            self.backend.submit(Op::Close { conn: id });
        }
    }

    /// Says goodbye, then closes.
    pub(crate) fn take_leave(&mut self, now: Instant, id: ConnId) {
        let conn = self.table.get_mut(id);
        if let Some(layered) = conn.and_then(|conn| conn.layered.as_mut())
            && !layered.is_leaving
        {
            layered.is_leaving = true;
            if let Err(fault) = layered.layer.close(&mut self.doorway.workshop) {
                tracing::debug!(%fault, "no farewell");
            }
        }
        self.flush_layer(now, id);
    }

    /// Ends a connection whose layer cannot go on; an alert or a status tells the peer.
    fn fail_layer(&mut self, now: Instant, id: ConnId, fault: &Fault) {
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        let peer = conn.peer;
        let Some(layered) = conn.layered.as_mut().filter(|l| !l.is_leaving) else {
            return;
        };
        tracing::info!(%peer, whose = fault.whose(), %fault, "closing");
        layered.fault.get_or_insert(io::ErrorKind::InvalidData);
        self.lingering.push_back((now + LINGER, id));
        self.take_leave(now, id);
    }

    /// Resets those whose handshake takes too long, asks the others for a sign of life.
    pub(crate) fn look_after_layers(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.doorway.handshakes.front()
            && at <= now
        {
            self.doorway.handshakes.pop_front();
            self.end_handshake(id);
        }
        while let Some(&(at, id)) = self.doorway.pings.front()
            && at <= now
        {
            self.doorway.pings.pop_front();
            self.ping(now, id);
        }
    }

    fn end_handshake(&mut self, id: ConnId) {
        let Some(conn) = self.table.get_mut(id) else {
            return;
        };
        let peer = conn.peer;
        if let Some(layered) = conn.layered.as_mut().filter(|l| l.opening.is_some()) {
            tracing::info!(%peer, "closing: the peer did not finish the handshake in time");
            layered.fault.get_or_insert(io::ErrorKind::TimedOut);
            self.backend.submit(Op::Abort { conn: id });
        }
    }

    fn ping(&mut self, now: Instant, id: ConnId) {
        let Some(conn) = self.open(id) else {
            return;
        };
        let peer = conn.peer;
        let Some(layered) = conn.layered.as_mut().filter(|l| !l.is_leaving) else {
            return;
        };
        if now.since(layered.heard_at) >= WEBSOCKET_PING_INTERVAL * 2 {
            tracing::info!(%peer, "closing: the peer answers no ping");
            layered.fault = Some(io::ErrorKind::TimedOut);
            self.backend.submit(Op::Abort { conn: id });
            return;
        }
        layered.layer.ping();
        let at = now + WEBSOCKET_PING_INTERVAL;
        self.doorway.pings.push_back((at, id));
        self.flush_layer(now, id);
    }

    /// A connection ended before the logic heard of it.
    pub(crate) fn complete_unopened(
        &mut self,
        now: Instant,
        opening: Opening,
        fault: Option<io::ErrorKind>,
    ) {
        self.doorway.handshake_count -= 1;
        if let Opening::Connect(request) = opening {
            let error = fault.unwrap_or(io::ErrorKind::ConnectionAborted);
            self.logic
                .handle(now, Input::ConnectFailed { request, error });
        }
    }

    fn layered(&mut self, id: ConnId) -> Option<&mut Layered<B::Octets>> {
        let conn: &mut Conn<B::Octets> = self.table.get_mut(id)?;
        conn.layered.as_deref_mut()
    }
}
