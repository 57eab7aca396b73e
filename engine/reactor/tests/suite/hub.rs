//! A little machine to be driven: echoes, fans out, moves, pauses.

use std::collections::{BTreeMap, VecDeque};

use std::sync::{Arc, Mutex};

use clock::Instant;
use reactor::Logic;
use switch::{
    Batch, CloseCause, Command, ConnId, ConnectId, Event, Input, LossCause, Octets, Order, Output,
    Secured, Security, SessionKey, Setup, ShardIndex,
};

/// What a hub does with what it receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Sends it back.
    Echo,
    /// Sends it to every other connection.
    FanOut,
    /// Moves the connection to another shard with its first octets.
    Move(u8),
    /// Stops reading, then sends it back.
    EchoAndPause,
    /// Sends it back and closes.
    EchoAndClose,
}

/// Tokens of [`Order::Drain`], which here stands for anything.
pub(crate) const RESUME: u64 = 1;
/// Answered by [`Event::Done`] with the octets received so far as its token.
pub(crate) const COUNT_OCTETS: u64 = 2;
/// Answered by [`Event::Done`] with the open connections as its token.
pub(crate) const COUNT_CONNECTIONS: u64 = 3;

#[derive(Debug)]
pub(crate) struct Hub<B> {
    mode: Mode,
    conns: BTreeMap<u32, Conn<B>>,
    outputs: VecDeque<Output<B>>,
    octets_received: u64,
    /// How the last connection was secured.
    noted: Arc<Mutex<Secured>>,
}

#[derive(Debug)]
struct Conn<B> {
    id: ConnId,
    pending: Batch<B>,
    is_sending: bool,
    wants_close: bool,
    is_closing: bool,
}

impl<B: Octets> Hub<B> {
    pub(crate) fn new(mode: Mode) -> Self {
        Self::noting(mode, Arc::default())
    }

    /// Tells `noted` how each connection is secured.
    pub(crate) fn noting(mode: Mode, noted: Arc<Mutex<Secured>>) -> Self {
        Self {
            noted,
            mode,
            conns: BTreeMap::new(),
            outputs: VecDeque::new(),
            octets_received: 0,
        }
    }

    fn open(&mut self, id: ConnId) {
        let conn = Conn {
            id,
            pending: Batch::default(),
            is_sending: false,
            wants_close: false,
            is_closing: false,
        };
        let before = self.conns.insert(id.index, conn);
        assert!(before.is_none(), "{id:?} is still in use");
    }

    fn conn(&mut self, id: ConnId) -> &mut Conn<B> {
        let conn = self.conns.get_mut(&id.index).expect("never heard of it");
        assert_eq!(conn.id, id);
        conn
    }

    fn receive(&mut self, id: ConnId, octets: &B) {
        let count = octets.as_ref().len();
        self.octets_received += count as u64;
        let mode = self.mode;
        let conn = self.conn(id);
        assert!(!conn.is_closing, "input after a close");
        match mode {
            Mode::Echo => conn.pending.push(octets, 0..count),
            Mode::EchoAndPause => {
                conn.pending.push(octets, 0..count);
                self.outputs.push_back(Output::PauseReading { conn: id });
            }
            Mode::EchoAndClose => {
                conn.pending.push(octets, 0..count);
                conn.wants_close = true;
            }
            Mode::FanOut => {
                for conn in self.conns.values_mut().filter(|conn| conn.id != id) {
                    conn.pending.push(octets, 0..count);
                }
            }
            Mode::Move(to) => {
                self.conns.remove(&id.index);
                self.outputs.push_back(Output::Handover {
                    conn: id,
                    to: ShardIndex(to),
                    octets: octets.as_ref().to_vec(),
                });
            }
        }
    }

    fn command(&mut self, command: &Command) {
        match &command.order {
            Order::Install { config, .. } => {
                let Setup::Active { to } = config.setup else {
                    panic!("only active sessions here");
                };
                let request = ConnectId(command.token);
                let secure = match config.security {
                    Security::Plain => None,
                    Security::Tls { .. } => Some("mrf.example.net".into()),
                };
                self.outputs.push_back(Output::Connect {
                    request,
                    to,
                    secure,
                });
            }
            Order::Drain => match command.token {
                RESUME => {
                    let conns = self.conns.values().map(|conn| conn.id);
                    let resumes = conns.map(|conn| Output::ResumeReading { conn });
                    self.outputs.extend(resumes);
                }
                COUNT_OCTETS => self.answer(self.octets_received),
                COUNT_CONNECTIONS => self.answer(self.conns.len() as u64),
                other => panic!("unknown token {other}"),
            },
            Order::Update { .. }
            | Order::Move { .. }
            | Order::Remove { .. }
            | Order::Audit { .. }
            | Order::Play { .. }
            | Order::StopPlay { .. }
            | Order::Release { .. }
            | Order::Announce { .. }
            | Order::ShardLost { .. }
            | Order::Rehome { .. }
            | Order::Flow { .. } => panic!("{command:?} means nothing here"),
        }
    }

    fn answer(&mut self, token: u64) {
        self.outputs.push_back(Output::Event(Event::Done {
            token,
            statistics: None,
        }));
    }

    fn lose(&mut self, termination: u32, cause: LossCause) {
        let stream = 1;
        let session = SessionKey {
            termination,
            stream,
        };
        let event = Event::Lost { session, cause };
        self.outputs.push_back(Output::Event(event));
    }

    fn flush(&mut self) -> Option<Output<B>> {
        for conn in self.conns.values_mut().filter(|conn| !conn.is_closing) {
            if !conn.is_sending && !conn.pending.is_empty() {
                conn.is_sending = true;
                let batch = core::mem::take(&mut conn.pending);
                return Some(Output::Transmit {
                    conn: conn.id,
                    batch,
                });
            }
            if conn.wants_close && conn.pending.is_empty() {
                conn.is_closing = true;
                return Some(Output::Close { conn: conn.id });
            }
        }
        None
    }
}

impl<B: Octets> Logic<B> for Hub<B> {
    fn handle(&mut self, _now: Instant, input: Input<B>) {
        match input {
            Input::Accepted { conn, via, .. } => {
                *self.noted.lock().unwrap() = via.secured;
                self.open(conn);
            }
            Input::Adopted { conn, octets, .. } => {
                self.open(conn);
                self.receive(conn, &octets);
            }
            Input::Connected { conn, .. } => {
                self.open(conn);
                let write = |out: &mut Vec<u8>| out.extend_from_slice(b"hello");
                self.conn(conn).pending.write(write);
            }
            Input::ConnectFailed { request, error } => {
                let request = u32::try_from(request.0).unwrap();
                self.lose(request, LossCause::ConnectFailed(error));
            }
            Input::Received { conn, octets } => self.receive(conn, &octets),
            Input::MessageEnded { conn } => {
                self.conn(conn);
            }
            Input::Sent { conn, mut batch } => {
                let conn = self.conn(conn);
                assert!(conn.is_sending, "sent twice");
                conn.is_sending = false;
                if conn.pending.is_empty() {
                    batch.clear();
                    conn.pending = batch;
                }
            }
            Input::Closed { conn, cause } => {
                self.conn(conn);
                self.conns.remove(&conn.index);
                self.lose(
                    conn.index,
                    match cause {
                        CloseCause::Peer | CloseCause::Local => LossCause::Closed,
                        CloseCause::Error(kind) => LossCause::Error(kind),
                    },
                );
            }
            Input::Command(command) => self.command(&command),
            Input::Progressed { .. } => {}
            Input::Shipment { .. } | Input::Returned(_) => panic!("nothing is shipped here"),
            Input::Deadline => panic!("no deadline was asked for"),
        }
    }

    fn poll(&mut self, _now: Instant) -> Output<B> {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        self.flush().unwrap_or(Output::Wait(None))
    }
}
