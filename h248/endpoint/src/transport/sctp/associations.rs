//! The SCTP associations of one socket, sans-IO.
//!
//! ```text
//! INIT from outside --+
//! connect() ----------+--> Opening --up--> Open --close()--> Closing --down or late--> gone
//!                             |              |
//!                             +-- failed ----+-- lost --> Closed | Failed
//! ```

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sctp_proto::{
    Association, AssociationError, AssociationHandle, ClientConfig, DatagramEvent, Endpoint,
    EndpointConfig, EndpointEvent, Event, Payload, PayloadProtocolIdentifier, ServerConfig,
    StreamEvent, Transmit, TransportConfig,
};

use super::packet;
use super::{
    CLOSING_TIMEOUT, HEARTBEAT_INTERVAL, INIT_RETRANSMITS, OPENING_TIMEOUT, RTO_INITIAL_MS,
    RTO_MAX_MS, RTO_MIN_MS, STREAM, STREAMS,
};
use crate::TransportAddr;
use crate::limits::{CONNECTIONS_MAX, SCTP_MESSAGE_BYTES_MAX, SCTP_QUEUE_BYTES};

/// What the associations want done.
#[derive(Debug)]
pub(crate) enum Step {
    /// Send a datagram.
    Transmit { to: SocketAddr, octets: Bytes },
    /// An association is up; `mgc` if we asked for it.
    Opened {
        index: u32,
        addr: SocketAddr,
        mgc: Option<TransportAddr>,
    },
    /// A whole message came.
    Message {
        index: u32,
        addr: SocketAddr,
        octets: Bytes,
    },
    /// An association that was up is lost.
    Closed {
        index: u32,
        addr: SocketAddr,
        cause: String,
    },
    /// An association asked for did not come up.
    Failed { mgc: TransportAddr, cause: String },
}

/// Owns the associations of one UDP socket. SCTP's own ports are the UDP ports.
pub(crate) struct Associations {
    endpoint: Endpoint,
    port: u16,
    held: HashMap<AssociationHandle, Held>,
    by_index: HashMap<u32, AssociationHandle>,
    /// Numbers of connections, shared with the other transports.
    numbers: Arc<AtomicU32>,
    /// What the information in heartbeats comes from: who answers has seen it.
    secret: RandomState,
    steps: VecDeque<Step>,
}

struct Held {
    association: Association,
    index: u32,
    addr: SocketAddr,
    mgc: Option<TransportAddr>,
    state: State,
    /// While the peer owes an answer: when its silence means that it is gone.
    silent_at: Option<Instant>,
    /// The tag of what goes to the peer.
    tag: Option<[u8; 4]>,
    /// When the peer will have been silent for so long that it is asked for a sign of life.
    beat_at: Instant,
    /// The information in the heartbeat that is not answered yet.
    beat: Option<[u8; 8]>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Opening { until: Instant },
    Open,
    Closing { until: Instant },
}

impl Associations {
    /// For a socket bound to `port`.
    pub(crate) fn new(port: u16, numbers: Arc<AtomicU32>) -> Self {
        let mut server = ServerConfig::new();
        server.transport = Arc::new(transport(port, port));
        Self {
            endpoint: Endpoint::new(Arc::new(EndpointConfig::new()), Some(Arc::new(server))),
            port,
            held: HashMap::new(),
            by_index: HashMap::new(),
            numbers,
            secret: RandomState::new(),
            steps: VecDeque::new(),
        }
    }

    /// The next thing to do.
    pub(crate) fn poll(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// When [`Self::handle_deadline`] is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let of_held = |held: &Held| {
            let own = match held.state {
                State::Opening { until } | State::Closing { until } => Some(until),
                State::Open => held.silent_at.into_iter().chain([held.beat_at]).min(),
            };
            held.association.poll_timeout().into_iter().chain(own).min()
        };
        self.held.values().filter_map(of_held).min()
    }

    /// Opens an association; [`Step::Opened`] or [`Step::Failed`] follows.
    pub(crate) fn connect(&mut self, now: Instant, mgc: TransportAddr) {
        let addr = mgc.addr();
        let mut client = ClientConfig::new();
        client.transport = Arc::new(transport(self.port, addr.port()));
        match self.endpoint.connect(client, addr) {
            Ok((handle, association)) => {
                self.hold(now, handle, association, addr, Some(mgc));
                self.serve(now, handle);
            }
            Err(cause) => self.steps.push_back(Step::Failed {
                mgc,
                cause: cause.to_string(),
            }),
        }
    }

    /// Takes a datagram.
    pub(crate) fn handle_received(&mut self, now: Instant, from: SocketAddr, octets: &[u8]) {
        // Each INIT costs memory before its sender has shown that it is there.
        if packet::is_first(octets) && self.held.len() >= CONNECTIONS_MAX {
            return;
        }
        let mut octets = octets.to_vec();
        if let Some(beat) = packet::take_heartbeat_ack(&mut octets) {
            let mut held = self.held.values_mut();
            if let Some(held) = held.find(|held| held.addr == from && held.beat == Some(beat)) {
                held.hear(now);
            }
            if packet::is_bare(&octets) {
                return;
            }
        }
        let octets = Bytes::from(octets);
        match self.endpoint.handle(now, from, None, None, octets) {
            Some((handle, DatagramEvent::NewAssociation(association))) => {
                self.hold(now, handle, association, from, None);
                self.serve(now, handle);
            }
            Some((handle, DatagramEvent::AssociationEvent(event))) => {
                if let Some(held) = self.held.get_mut(&handle) {
                    held.association.handle_event(event);
                    held.hear(now);
                }
                self.serve(now, handle);
            }
            None => {}
        }
        while let Some(transmit) = self.endpoint.poll_transmit() {
            self.transmit(transmit);
        }
    }

    /// Sends a message, reliably and in order, on stream 0 (H.248.4: one stream by default). An
    /// association that holds too much unsent is given up.
    pub(crate) fn send(&mut self, now: Instant, index: u32, octets: &Bytes) {
        let Some(handle) = self.by_index.get(&index).copied() else {
            return;
        };
        let Some(held) = self.held.get_mut(&handle) else {
            return;
        };
        let outcome = held.association.stream(STREAM).and_then(|mut stream| {
            let is_full = stream.buffered_amount()? + octets.len() > SCTP_QUEUE_BYTES;
            if !is_full {
                stream.write_with_ppi(octets, PPID)?;
            }
            Ok(is_full)
        });
        match outcome {
            Ok(false) => self.serve(now, handle),
            Ok(true) => self.end(handle, "it does not drain".to_owned()),
            Err(cause) => self.end(handle, cause.to_string()),
        }
    }

    /// Shuts an association down after what is queued; nothing more is said of it.
    pub(crate) fn close(&mut self, now: Instant, index: u32) {
        let Some(handle) = self.by_index.remove(&index) else {
            return;
        };
        let Some(held) = self.held.get_mut(&handle) else {
            return;
        };
        held.state = State::Closing {
            until: now + CLOSING_TIMEOUT,
        };
        if held.association.shutdown().is_err() {
            self.forget(handle);
        } else {
            self.serve(now, handle);
        }
    }

    /// Shuts all associations down.
    pub(crate) fn close_all(&mut self, now: Instant) {
        let indexes: Vec<u32> = self.by_index.keys().copied().collect();
        for index in indexes {
            self.close(now, index);
        }
    }

    /// Does what is due at `now`.
    pub(crate) fn handle_deadline(&mut self, now: Instant) {
        let handles: Vec<AssociationHandle> = self.held.keys().copied().collect();
        for handle in handles {
            let Some(held) = self.held.get_mut(&handle) else {
                continue;
            };
            match held.state {
                State::Opening { until } if until <= now => {
                    self.end(handle, "no answer in time".to_owned());
                }
                State::Closing { until } if until <= now => self.forget(handle),
                State::Open if held.silent_at.is_some_and(|at| at <= now) => {
                    self.end(handle, "no acknowledgement in time".to_owned());
                }
                State::Open if held.beat_at <= now => self.beat(now, handle),
                State::Opening { .. } | State::Closing { .. } | State::Open => {
                    if held.association.poll_timeout().is_some_and(|at| at <= now) {
                        held.association.handle_timeout(now);
                        self.serve(now, handle);
                    }
                }
            }
        }
    }

    fn hold(
        &mut self,
        now: Instant,
        handle: AssociationHandle,
        association: Association,
        addr: SocketAddr,
        mgc: Option<TransportAddr>,
    ) {
        let index = self.numbers.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let state = State::Opening {
            until: now + OPENING_TIMEOUT,
        };
        let held = Held {
            association,
            index,
            addr,
            mgc,
            state,
            silent_at: None,
            tag: None,
            beat_at: now + HEARTBEAT_INTERVAL,
            beat: None,
        };
        self.held.insert(handle, held);
        self.by_index.insert(index, handle);
    }

    /// Takes what an association has to say and to send.
    fn serve(&mut self, now: Instant, handle: AssociationHandle) {
        let mut lost = None;
        if let Some(held) = self.held.get_mut(&handle) {
            while let Some(event) = held.association.poll() {
                if let Event::HandshakeFailed { reason } | Event::AssociationLost { reason } = event
                {
                    lost = Some(reason);
                } else if let Event::Stream(
                    StreamEvent::Readable { id } | StreamEvent::Opened { id },
                ) = event
                {
                    held.read(id, &mut self.steps);
                } else if matches!(event, Event::Connected) {
                    held.open(&mut self.steps);
                }
            }
            // What it wants to tell the endpoint is that it is done, which `forget` does.
            while held.association.poll_endpoint_event().is_some() {}
            held.watch(now);
        }
        while let Some(transmit) = self
            .held
            .get_mut(&handle)
            .and_then(|held| held.association.poll_transmit(now))
        {
            let tag = self.transmit(transmit);
            if let (Some(tag), Some(held)) = (tag, self.held.get_mut(&handle)) {
                held.tag = Some(tag);
            }
        }
        if let Some(reason) = lost {
            self.end(handle, words(&reason));
        }
    }

    /// Asks a peer that has been silent for a sign of life (RFC 9260 section 8.3).
    fn beat(&mut self, now: Instant, handle: AssociationHandle) {
        let Some(held) = self.held.get_mut(&handle) else {
            return;
        };
        held.beat_at = now + HEARTBEAT_INTERVAL;
        let Some(tag) = held.tag else {
            return;
        };
        let beat = self.secret.hash_one((held.index, now)).to_be_bytes();
        held.beat = Some(beat);
        held.silent_at.get_or_insert(now + SILENCE_TIMEOUT);
        let to = held.addr;
        let octets = packet::heartbeat((self.port, to.port()), tag, beat).into();
        self.steps.push_back(Step::Transmit { to, octets });
    }

    /// Sends packets, and returns the tag that they bear.
    fn transmit(&mut self, transmit: Transmit) -> Option<[u8; 4]> {
        let to = transmit.remote;
        let mut tag = None;
        if let Payload::RawEncode(packets) = transmit.payload {
            for packet in packets {
                let mut octets = Vec::from(packet);
                packet::mark(&mut octets);
                tag = packet::tag(&octets);
                let octets = Bytes::from(octets);
                self.steps.push_back(Step::Transmit { to, octets });
            }
        }
        tag
    }

    /// Ends an association that failed, and says so to whom it concerns.
    fn end(&mut self, handle: AssociationHandle, cause: String) {
        if let Some(held) = self.held.get(&handle) {
            match (held.state, held.mgc) {
                (State::Opening { .. }, Some(mgc)) => {
                    self.steps.push_back(Step::Failed { mgc, cause });
                }
                (State::Open, _) => self.steps.push_back(Step::Closed {
                    index: held.index,
                    addr: held.addr,
                    cause,
                }),
                (State::Opening { .. } | State::Closing { .. }, _) => {}
            }
        }
        self.forget(handle);
    }

    fn forget(&mut self, handle: AssociationHandle) {
        if let Some(held) = self.held.remove(&handle) {
            self.by_index.remove(&held.index);
            self.endpoint.handle_event(handle, EndpointEvent::drained());
        }
    }
}

impl Held {
    fn open(&mut self, steps: &mut VecDeque<Step>) {
        if !matches!(self.state, State::Opening { .. }) {
            return;
        }
        // It may be there already, opened by what the peer sent.
        let _ = self.association.open_stream(STREAM, PPID);
        self.state = State::Open;
        steps.push_back(Step::Opened {
            index: self.index,
            addr: self.addr,
            mgc: self.mgc,
        });
    }

    /// Notes that the peer is there.
    fn hear(&mut self, now: Instant) {
        self.silent_at = None;
        self.beat = None;
        self.beat_at = now + HEARTBEAT_INTERVAL;
    }

    /// The protocol crate repeats for ever and sends no heartbeats: who answers nothing for some time is
    /// gone.
    fn watch(&mut self, now: Instant) {
        let unsent = self.association.stream(STREAM);
        let awaits = self.beat.is_some()
            || unsent.is_ok_and(|stream| stream.buffered_amount().is_ok_and(|n| n > 0));
        let silent_at = self.silent_at.unwrap_or(now + SILENCE_TIMEOUT);
        self.silent_at = awaits.then_some(silent_at);
    }

    /// Whatever stream the peer chose, a user message is a message.
    fn read(&mut self, id: u16, steps: &mut VecDeque<Step>) {
        let Ok(mut stream) = self.association.stream(id) else {
            return;
        };
        while let Ok(Some(chunks)) = stream.read_sctp() {
            let mut octets = vec![0; chunks.len()];
            if chunks.read(&mut octets).is_ok() && self.state == State::Open {
                steps.push_back(Step::Message {
                    index: self.index,
                    addr: self.addr,
                    octets: octets.into(),
                });
            }
        }
    }
}

fn words(reason: &AssociationError) -> String {
    if *reason == AssociationError::AssociationClosed {
        // So the crate also calls an orderly shutdown by the peer.
        return "closed by the peer".to_owned();
    }
    reason.to_string()
}

fn transport(local: u16, remote: u16) -> TransportConfig {
    TransportConfig::default()
        .with_local_port(local)
        .with_remote_port(remote)
        .with_max_num_outbound_streams(STREAMS)
        .with_max_num_inbound_streams(STREAMS)
        .with_max_send_message_size(MESSAGE_BYTES)
        .with_max_receive_message_size(MESSAGE_BYTES)
        .with_max_init_retransmits(Some(INIT_RETRANSMITS.into()))
        .with_max_data_retransmits(None)
        .with_rto_initial_ms(RTO_INITIAL_MS.into())
        .with_rto_min_ms(RTO_MIN_MS.into())
        .with_rto_max_ms(RTO_MAX_MS.into())
}

/// Written over by [`packet::mark`].
const PPID: PayloadProtocolIdentifier = PayloadProtocolIdentifier::Unknown;
#[expect(clippy::cast_possible_truncation, reason = "64 KiB")]
const MESSAGE_BYTES: u32 = SCTP_MESSAGE_BYTES_MAX as u32;
/// How long a peer may answer nothing of what it was sent, heartbeats among it, and send nothing itself.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests;
