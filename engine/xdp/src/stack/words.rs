//! What a stack is told, and what it tells.

use core::net::SocketAddr;
use std::io::ErrorKind;
use std::sync::Arc;

use super::conn::{Detached, Key};
use super::ports::Owners;
use crate::frame::Flow;

/// What a stack is made with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its shard.
    pub shard: u8,
    /// How many there are, at most [`crate::limits::QUEUES_MAX`].
    pub shards: u8,
    /// Where connections are accepted; an unspecified address stands for all of its family.
    pub listeners: Vec<SocketAddr>,
    /// Octets of the largest IP packet, at least 1280.
    pub packet_bytes_max: usize,
    /// Whether a checksum may be left to a device that the frame never passes.
    pub accepts_partial: bool,
    /// Whether the frames that leave get their TCP checksum completed on the way.
    pub leaves_checksums: bool,
    /// For sequence numbers; not to be guessed by others.
    pub seed: u64,
    /// Which shard began the connections of a port.
    pub owners: Arc<Owners>,
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A handshake from outside is over.
    Accepted {
        /// Which listener, by position.
        listener: usize,
        /// The connection.
        conn: Box<Detached>,
    },
    /// A connect succeeded.
    Connected {
        /// Which.
        request: u64,
        /// The connection.
        conn: Box<Detached>,
    },
    /// A connect failed.
    ConnectFailed {
        /// Which.
        request: u64,
        /// Why.
        error: ErrorKind,
    },
    /// There may be octets to read, room to write, or an end.
    Ready(Key),
    /// A connection has ended whose frames arrived at another shard: that one may forget where it is.
    Gone {
        /// Its ends.
        flow: Flow,
        /// The shard to tell.
        shard: u8,
    },
}

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It belonged here.
    Taken,
    /// It belonged to nobody, or was damaged.
    Dropped,
    /// It belongs to another shard, which must get it.
    Away(u8),
    /// It belongs to no connection of this shard; another one may know it: see [`super::Stack::look_for`].
    Astray,
}

/// What became of a frame that another shard looks for the owner of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It belonged here: the shard at whose queue it arrived shall send those of this flow at once.
    Here(Flow),
    /// Its connection is on the way to its owner.
    Moving,
    /// This shard knows who has it.
    Away(u8),
    /// Not here.
    Nowhere,
}

/// What reading found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// Octets.
    Octets(usize),
    /// Nothing yet.
    Empty,
    /// The far end sent its last octet.
    Ended,
    /// The connection is lost.
    Failed(ErrorKind),
}
