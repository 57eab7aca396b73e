//! What goes into a shard and what comes out of it: plain data.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use clock::Instant;

use crate::batch::Batch;
use crate::config::SessionConfig;
use crate::news::MessageNews;
use crate::play::Play;
use crate::record::Recorded;
use crate::security::{Misfit, Via};
use crate::shipment::Shipment;

/// A shared, immutable run of received octets; a clone must be cheap (a reference count).
///
/// The reactor's receive buffers implement it, and so does `Rc<[u8]>`.
pub trait Octets: Clone + AsRef<[u8]> {}

impl<T: Clone + AsRef<[u8]>> Octets for T {}

/// Names a TCP connection of this shard. Chosen by the driver, never reused while the old one can
/// still be mentioned (the generation differs).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnId {
    /// Position in the driver's table; dense, so that a shard can index by it.
    pub index: u32,
    /// Distinguishes successive users of the position.
    pub generation: u32,
}

/// A shard of this process, 0 to [`crate::limits::SHARDS_MAX`] - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardIndex(pub u8);

/// A conference: an H.248 context, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContextKey(pub u32);

/// One stream of one termination: one MSRP session of the MRFP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey {
    /// The termination's number, unique in the gateway.
    pub termination: u32,
    /// H.248 StreamID, 1 to 65535.
    pub stream: u16,
}

/// As in log lines: the name that the gateway gave the termination, which the controller's lines
/// have too, and the stream.
impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "msrp/{} stream {}", self.termination, self.stream)
    }
}

/// Correlates an outgoing connect with its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectId(pub u64);

/// What the driver feeds in.
#[derive(Debug)]
pub enum Input<B> {
    /// A listener accepted a connection.
    Accepted {
        /// Its name from now on.
        conn: ConnId,
        /// The far end.
        peer: SocketAddr,
        /// How it reaches us; handshakes are over.
        via: Via,
    },
    /// A connection that another shard accepted and that belongs here, with the octets already
    /// read from it.
    Adopted {
        /// Its name on this shard.
        conn: ConnId,
        /// The far end.
        peer: SocketAddr,
        /// How it reaches us.
        via: Via,
        /// Octets received but not yet processed, from the start of an MSRP frame.
        octets: B,
    },
    /// An [`Output::Connect`] succeeded.
    Connected {
        /// Its name from now on.
        conn: ConnId,
        /// Which request.
        request: ConnectId,
        /// How it reaches the far end; handshakes are over.
        via: Via,
    },
    /// An [`Output::Connect`] failed.
    ConnectFailed {
        /// Which request.
        request: ConnectId,
        /// Why.
        error: std::io::ErrorKind,
    },
    /// Octets arrived; never empty.
    Received {
        /// On which connection.
        conn: ConnId,
        /// The octets; the shard may keep clones for as long as recipients need them.
        octets: B,
    },
    /// A message of the transport ended with the octets received last; only on connections that
    /// carry messages ([`Via::is_framed`]).
    MessageEnded {
        /// On which connection.
        conn: ConnId,
    },
    /// The system took some more of the batch of the connection's last [`Output::Transmit`], but not
    /// its end.
    Progressed {
        /// On which connection.
        conn: ConnId,
        /// How many octets, since the batch left or this was last said; 0 where that is not known.
        octets: usize,
    },
    /// The batch of the connection's last [`Output::Transmit`] is wholly handed to the system.
    Sent {
        /// On which connection.
        conn: ConnId,
        /// The batch, returned for reuse.
        batch: Batch<B>,
    },
    /// The connection is gone; its name is invalid from here on.
    Closed {
        /// Which one.
        conn: ConnId,
        /// Why.
        cause: CloseCause,
    },
    /// From the gateway.
    Command(Command),
    /// A shipment of another shard; answered by [`Output::Unpacked`].
    Shipment {
        /// What it sent.
        shipment: Shipment,
        /// The octets that were in it; the shard may keep clones for as long as recipients need them.
        octets: B,
    },
    /// The shipment of an [`Output::Ship`] was unpacked; it is returned for reuse.
    Returned(Shipment),
    /// The instant of the last [`Output::Wait`] has come.
    Deadline,
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCause {
    /// The far end closed in order.
    Peer,
    /// The system reported an error (reset, time-out).
    Error(std::io::ErrorKind),
    /// We asked for it with [`Output::Close`].
    Local,
}

/// What the driver must do.
#[derive(Debug)]
pub enum Output<B> {
    /// Open a connection; answered by `Connected` or `ConnectFailed`.
    Connect {
        /// Correlates the answer.
        request: ConnectId,
        /// Where to.
        to: SocketAddr,
        /// With TLS: the host that the URI names. `None`: plain.
        secure: Option<Box<str>>,
    },
    /// Hand `batch` to the system, all of it, in order; answered by `Sent` (or `Closed`). At most
    /// one is outstanding per connection.
    Transmit {
        /// On which connection.
        conn: ConnId,
        /// What.
        batch: Batch<B>,
    },
    /// Close once an outstanding batch is sent; answered by `Closed`. Input stops at once.
    Close {
        /// Which connection.
        conn: ConnId,
    },
    /// Stop reading until `ResumeReading` (back pressure through TCP).
    PauseReading {
        /// Which connection.
        conn: ConnId,
    },
    /// Read again.
    ResumeReading {
        /// Which connection.
        conn: ConnId,
    },
    /// Move the socket to another shard, which gets it as [`Input::Adopted`]. `conn` is invalid
    /// from here on; octets still arriving for it are appended to `octets` by the driver.
    Handover {
        /// Which connection.
        conn: ConnId,
        /// The shard that owns the session it asked for.
        to: ShardIndex,
        /// Octets received but not processed.
        octets: Vec<u8>,
    },
    /// Carry a shipment to another shard, which gets it as [`Input::Shipment`]; answered by `Returned`.
    /// Those to one shard stay in order, and at most [`crate::limits::SHIPMENTS_MAX`] are on their way.
    Ship(Shipment),
    /// Carry the shipment of an [`Input::Shipment`] back, for reuse.
    Unpacked(Shipment),
    /// For the gateway.
    Event(Event),
    /// Nothing more to do before this instant (`None`: before the next input).
    Wait(Option<Instant>),
}

/// An order from the gateway. Orders cannot fail: the gateway has checked them. Each carries a
/// token that its [`Event::Done`] repeats.
#[derive(Clone, Debug)]
pub struct Command {
    /// Repeated in the answer.
    pub token: u64,
    /// What to do.
    pub order: Order,
}

/// Orders.
#[derive(Clone, Debug)]
pub enum Order {
    /// Makes a session in a context (which exists as long as it has sessions).
    Install {
        /// Its name.
        session: SessionKey,
        /// Where it talks.
        context: ContextKey,
        /// How it behaves.
        config: Box<SessionConfig>,
    },
    /// Makes known a session that another shard carries: its double stands for it here. What
    /// participants here send reaches it, and the other way round. `Update`, `Move`, `Remove` and `Flow`
    /// are for doubles, too.
    Announce {
        /// Its name.
        session: SessionKey,
        /// Where it talks.
        context: ContextKey,
        /// The shard that carries it.
        shard: ShardIndex,
        /// The shard that decides where the context must have one mind: about nicknames.
        home: ShardIndex,
        /// How it behaves.
        config: Box<SessionConfig>,
    },
    /// Another shard has ended. Nobody waits for it any more; its sessions are carried by nobody.
    ShardLost {
        /// Which one.
        shard: ShardIndex,
        /// The [`crate::ShardConfig::life`] of whoever is started in its place.
        life: u32,
    },
    /// Another shard than before decides where a context must have one mind, for the one that did has
    /// ended. For all shards that know the context.
    Rehome {
        /// Which context.
        context: ContextKey,
        /// Who decides now.
        home: ShardIndex,
    },
    /// Replaces a session's behaviour. A changed remote address of an active session connects
    /// anew; an unchanged one keeps its connection.
    Update {
        /// Which session.
        session: SessionKey,
        /// All of its behaviour.
        config: Box<SessionConfig>,
    },
    /// Moves a session to another context, connection and counters kept. Messages
    /// in progress from it and to it end there.
    Move {
        /// Which session.
        session: SessionKey,
        /// Where to.
        context: ContextKey,
    },
    /// Ends a session; its final counters are in the answer.
    Remove {
        /// Which session.
        session: SessionKey,
    },
    /// Asks for a session's counters.
    Audit {
        /// Which session.
        session: SessionKey,
    },
    /// Releases a session's connection, or gives up opening it; told as [`LossCause::Released`] if
    /// there was one. Another one may bind the session afterwards.
    Release {
        /// Which session.
        session: SessionKey,
    },
    /// Sets whether chunks from one session reach another (both ways by default). Closing ends the
    /// messages in progress; opening holds for messages that begin afterwards.
    Flow {
        /// Who is heard.
        from: SessionKey,
        /// Who hears.
        to: SessionKey,
        /// Whether.
        open: bool,
    },
    /// Sends a message of our own into a session, now or when it has its connection; its fate is
    /// told by [`Event::Played`].
    Play {
        /// Which session.
        session: SessionKey,
        /// What.
        play: Box<Play>,
    },
    /// Forgets a message of our own: if it was not sent yet, it is not sent. Nothing is told.
    StopPlay {
        /// Which session.
        session: SessionKey,
        /// Its [`Play::id`].
        id: u64,
    },
    /// From here on no connection that arrives binds a session: its requests are refused with 481,
    /// upon which a sender ends the session (RFC 4975 10.8). What is bound, or being connected by
    /// us, goes on. There is no way back.
    Drain,
}

/// What a shard tells the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A command is done; a table of the shard has it from here on.
    Done {
        /// The command's token.
        token: u64,
        /// For `Remove` and `Audit`.
        statistics: Option<Statistics>,
    },
    /// A connection now carries this session.
    Bound {
        /// Which session.
        session: SessionKey,
        /// The far end.
        peer: SocketAddr,
    },
    /// The session lost its connection, or could not get one.
    Lost {
        /// Which session.
        session: SessionKey,
        /// Why.
        cause: LossCause,
    },
    /// Nothing arrived from the participant for [`crate::Terms::idle_after`].
    Idle {
        /// Which session.
        session: SessionKey,
    },
    /// The participant took a nickname, or gave its own back (RFC 7701 7).
    Nickname {
        /// Which session.
        session: SessionKey,
        /// The nickname without its quotes; `None` = none any more.
        nickname: Option<Box<str>>,
    },
    /// What became of one message, told when the configuration asks for it.
    Message(Box<MessageNews>),
    /// A copy of what passes a session that is recorded.
    Recorded(Box<Recorded>),
    /// What became of an [`Order::Play`].
    Played {
        /// Which session.
        session: SessionKey,
        /// Its [`Play::id`].
        id: u64,
        /// The MSRP status that says it: 200, or the first that told of a failure (408 also for an
        /// answer that did not come, or a connection that was lost; 413 for one larger than the
        /// participant takes; 481 when there is no session (any more)).
        status: u16,
    },
}

/// Why a session has no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossCause {
    /// The far end closed it.
    Closed,
    /// The system reported an error.
    Error(std::io::ErrorKind),
    /// Connecting failed.
    ConnectFailed(std::io::ErrorKind),
    /// The peer broke the protocol beyond repair.
    Protocol,
    /// The participant read too slowly and its queue reached the limit.
    TooSlow {
        /// The limit, octets.
        limit_bytes: u64,
    },
    /// Somebody else than the signalled peer was at the far end.
    Security(Misfit),
    /// Nothing arrived within the binding time.
    NeverBound,
    /// The gateway released it.
    Released,
}

/// Counters of a session since it was installed (H.248 packages `nt` and `msrpstat`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Time since the session was installed.
    pub duration: Duration,
    /// Octets sent to the participant, MSRP framing included (`nt/os`).
    pub octets_sent: u64,
    /// Octets received from the participant (`nt/or`).
    pub octets_received: u64,
    /// Messages sent to the participant, counted at their last chunk (`msrpstat/nms`).
    pub messages_sent: u64,
    /// Messages received (`msrpstat/nmr`).
    pub messages_received: u64,
    /// Body octets sent (`msrpstat/vms`).
    pub volume_sent: u64,
    /// Body octets received (`msrpstat/vmr`).
    pub volume_received: u64,
    /// Messages that the participant did not get because its queue was nearly full, or the way to its
    /// shard was.
    pub messages_dropped: u64,
    /// How full the participant's queue is now, in percent of its bound.
    pub queue_percent: u8,
}
