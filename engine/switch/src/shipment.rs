//! What shards send each other about the messages of a context that spans them: plain data.
//!
//! ```text
//! shard of the sender              shard of recipients
//!   Begin, Cut …, Complete  ─────►   lists its own recipients, writes their copies
//!   (Abort, GiveUp, Interrupt)
//!                           ◄─────   Failed, Settled: what became of them
//!                           ◄─────   Hold, Release: a recipient reads too slowly
//! ```
//!
//! A turn's parcels for one shard leave together. The octets they speak of are copied once, into the
//! shipment; at the other end they are received octets like any, shared by all recipients there.

use core::net::SocketAddr;
use core::ops::Range;
use core::time::Duration;

use msrp::{ByteRange, FailureReport, Flag, StatusCode};

use crate::api::{ConnId, ContextKey, LossCause, SessionKey, ShardIndex};
use crate::limits::{PARCEL_BYTES, SHIPMENT_BYTES};
use crate::message::MessageRef;
use crate::security::Via;

/// Parcels from one shard to another, in order. The driver carries it there and, when it was unpacked,
/// back.
#[derive(Debug)]
pub struct Shipment {
    from: ShardIndex,
    to: ShardIndex,
    /// The sender's life, and the other's as far as it knew: see [`crate::Order::ShardLost`].
    pub(crate) lives: Lives,
    pub(crate) parcels: Vec<Parcel>,
    octets: Vec<u8>,
    /// What it weighed when it left.
    pub(crate) weight_bytes: usize,
    /// Whether the sender waits for it to come back.
    calls_back: bool,
}

/// How often the two ends of a lane were started anew, as far as the sender knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lives {
    pub from: u32,
    pub to: u32,
}

impl Shipment {
    pub(crate) fn new(from: ShardIndex, to: ShardIndex, lives: Lives) -> Self {
        Self {
            from,
            to,
            lives,
            parcels: Vec::new(),
            octets: Vec::new(),
            weight_bytes: 0,
            calls_back: false,
        }
    }

    /// The shard that sends it.
    #[must_use]
    pub fn from(&self) -> ShardIndex {
        self.from
    }

    /// The shard that it is for.
    #[must_use]
    pub fn to(&self) -> ShardIndex {
        self.to
    }

    /// Whether its sender must be woken when it comes back.
    #[must_use]
    pub fn calls_back(&self) -> bool {
        self.calls_back
    }

    /// Takes the octets out, to be received with the rest.
    #[must_use]
    pub fn take_octets(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.octets)
    }

    /// Messages that begin in it.
    #[must_use]
    pub fn message_count(&self) -> usize {
        let is_begin = |parcel: &&Parcel| matches!(parcel, Parcel::Begin(_));
        self.parcels.iter().filter(is_begin).count()
    }

    /// What it weighed when it left, octets.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        self.weight_bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }

    /// Whether nothing more should be put in.
    pub(crate) fn is_full(&self) -> bool {
        self.weight() >= SHIPMENT_BYTES
    }

    pub(crate) fn weight(&self) -> usize {
        self.octets.len() + self.parcels.len() * PARCEL_BYTES
    }

    /// Copies octets in; where they are.
    pub(crate) fn pack(&mut self, parts: [&[u8]; 2]) -> Span {
        let start = self.octets.len();
        if self.octets.capacity() == 0 {
            self.octets.reserve(parts[0].len() + parts[1].len());
        }
        parts
            .into_iter()
            .for_each(|part| self.octets.extend_from_slice(part));
        Span::new(start..self.octets.len())
    }

    /// Where octets that are appended next begin.
    pub(crate) fn mark(&self) -> usize {
        self.octets.len()
    }

    /// Copies octets in, behind the others.
    pub(crate) fn append(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }

    /// What was appended since.
    pub(crate) fn since(&self, mark: usize) -> Span {
        Span::new(mark..self.octets.len())
    }

    /// Appends octets that a connection here received for sessions there: to the last parcel, if that
    /// is of the same connection.
    pub(crate) fn feed(&mut self, name: BranchName, parts: [&[u8]; 2]) {
        let added = self.pack(parts);
        if let Some(Parcel::Feed { name: last, octets }) = self.parcels.last_mut()
            && *last == name
            && octets.end == added.start
        {
            octets.end = added.end;
        } else {
            let octets = added;
            self.parcels.push(Parcel::Feed { name, octets });
        }
    }

    pub(crate) fn seal(&mut self, calls_back: bool) {
        self.weight_bytes = self.weight();
        self.calls_back = calls_back;
    }

    /// Ready for another turn, allocation of the parcels kept.
    pub(crate) fn recycle(mut self, lives: Lives) -> Self {
        self.parcels.clear();
        self.octets.clear();
        self.lives = lives;
        self
    }
}

/// Octets of a shipment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn new(range: Range<usize>) -> Self {
        let narrow = |at| u32::try_from(at).expect("a turn is bounded");
        Self {
            start: narrow(range.start),
            end: narrow(range.end),
        }
    }

    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    pub(crate) fn of(self, octets: &[u8]) -> &[u8] {
        &octets[self.range()]
    }
}

/// One thing to say. Messages are named as their sender's shard names them.
#[derive(Clone, Debug)]
pub(crate) enum Parcel {
    /// A message begins.
    Begin(Beginning),
    /// What goes to every recipient now.
    Cut {
        message: MessageRef,
        random: u64,
        range: ByteRange,
        octets: Span,
        flag: Option<Flag>,
    },
    /// Open copies end with `+` and go on under another transaction id.
    Interrupt(MessageRef),
    /// Every octet was sent.
    Complete { message: MessageRef, octets: u64 },
    /// The message is given up: copies that were begun end with `#`.
    Abort(MessageRef),
    /// As `Abort`, because the way there was full: recipients there missed it.
    Starve(MessageRef),
    /// A recipient there missed so many messages, because the way was full.
    Missed { session: SessionKey, count: u64 },
    /// The message is given up, and the copies have ended.
    GiveUp(MessageRef),
    /// A recipient could not be served.
    Failed {
        message: MessageRef,
        status: StatusCode,
    },
    /// Nothing more will be said about the message, and nothing more needs to come.
    Settled(MessageRef),
    /// A participant wants a nickname.
    AskNickname { session: SessionKey, nickname: Span },
    /// A participant gave its nickname back.
    GiveNickname(SessionKey),
    /// Whether it may have it: 200, or why not.
    Nickname {
        session: SessionKey,
        status: StatusCode,
    },
    /// A participant of the sender's has this nickname, for a shard that decides from here on.
    Named { session: SessionKey, nickname: Span },
    /// And this one is kept for a user, as long as that.
    Kept {
        context: ContextKey,
        nickname: Span,
        user: Option<Span>,
        rest: Duration,
    },
    /// These were all.
    Told(ContextKey),
    /// The sender's connection is not to be read for the time being.
    Hold(SessionKey),
    /// It may be read again.
    Release(SessionKey),
    /// A connection of the sender has frames for sessions there.
    Graft {
        name: BranchName,
        peer: SocketAddr,
        via: Box<Via>,
    },
    /// These were received on it.
    Feed { name: BranchName, octets: Span },
    /// The system took so many octets of what was emitted; 0: some.
    Taken { name: BranchName, octets: usize },
    /// It has ended.
    Sever { name: BranchName, cause: LossCause },
    /// Whole frames for a connection of the other shard; where each ends.
    Emit {
        name: BranchName,
        octets: Span,
        ends: Box<[u32]>,
    },
    /// It is not to be read for the time being, or may be again.
    Throttle { name: BranchName, is_on: bool },
    /// Sessions here are bound to it, or none is any more.
    Tenancy { name: BranchName, is_occupied: bool },
    /// It is not used from here any more.
    LetGo(BranchName),
}

/// A connection that carries sessions of another shard, too, as the two call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BranchName {
    /// Its name where it is.
    pub trunk: ConnId,
    /// Distinguishes successive branches of it on one shard.
    pub serial: u32,
}

/// How a message begins.
#[derive(Clone, Debug)]
pub(crate) struct Beginning {
    pub message: MessageRef,
    pub sender: SessionKey,
    pub context: ContextKey,
    /// Message-ID.
    pub id: Span,
    /// As in [`crate::message::Message`].
    pub fields: Span,
    pub id_end: u32,
    pub content_type: Span,
    /// What is wrapped in it, if that could be read.
    pub wrapped: Option<Span>,
    /// The one participant it is for; `None` = all.
    pub user: Option<Span>,
    pub success_wanted: bool,
    pub failure_report: FailureReport,
}
