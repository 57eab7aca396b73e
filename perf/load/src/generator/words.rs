//! What the generator and the control plane tell each other.

use core::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Receiver;

use clock::Duration;
use tokio::sync::mpsc::UnboundedSender;

use super::Move;
use crate::plan::Plan;
use crate::report::{Counts, Percentiles, Row};
use crate::wire::{Fingerprint, TlsConfig};

/// What the generator tells the control plane.
#[derive(Debug)]
pub(crate) enum News {
    /// All sessions are bound.
    Bound,
    /// The measured time begins.
    Begun,
    /// A second is over.
    Row(Row),
    /// The measured time is over.
    Over,
    /// A participant has left, or hangs on to a connection that the control plane ends.
    Left { leg: u32 },
    /// The run is over.
    Done(Box<Totals>),
    /// The run cannot go on.
    Failed(String),
}

/// The whole run.
#[derive(Debug)]
pub(crate) struct Totals {
    pub(crate) counts: Counts,
    pub(crate) delivered_per_second: f64,
    pub(crate) octets_per_second: f64,
    pub(crate) delivered: u64,
    pub(crate) measured: Duration,
    pub(crate) busy: f64,
    pub(crate) latency: Percentiles,
    pub(crate) curve: Vec<(f64, f64)>,
    pub(crate) join_latency: Percentiles,
    pub(crate) is_broken_off: bool,
    pub(crate) is_interrupted: bool,
}

/// What the control plane wants; either is said once.
#[derive(Debug, Default)]
pub(crate) struct Word {
    /// Messages may flow.
    pub(crate) go: AtomicBool,
    /// Nothing new may begin.
    pub(crate) halt: AtomicBool,
}

/// A participant as the generator knows it.
#[derive(Clone, Debug)]
pub(crate) struct LegConfig {
    /// Our URI.
    pub(crate) own: Box<[u8]>,
    /// Where its messages go: a whole path.
    pub(crate) peer: Box<[u8]>,
    /// The host that it connects to.
    pub(crate) host: IpAddr,
    /// Of the certificate that must be shown there.
    pub(crate) fingerprint: Option<Fingerprint>,
}

/// What the generator is made from.
#[derive(Debug)]
pub(crate) struct GeneratorConfig {
    pub(crate) plan: Plan,
    /// By conference, then by participant, senders first.
    pub(crate) legs: Vec<LegConfig>,
    /// The legs of each connection that will be adopted, by its number.
    pub(crate) links: Vec<Vec<u32>>,
    /// Whether a session is bound by a SEND without body (RFC 4975 section 5.4).
    pub(crate) is_binding: bool,
    pub(crate) tls: TlsConfig,
    pub(crate) word: Arc<Word>,
    /// Who leaves and who joins.
    pub(crate) moves: Receiver<Move>,
    pub(crate) news: UnboundedSender<News>,
}

/// What comes with an adopted socket: which connection it is, and of whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    /// The position in [`GeneratorConfig::links`].
    pub(crate) link: u32,
    /// 0, or that of [`Move::Join`].
    pub(crate) turn: u32,
}

impl Ticket {
    pub(crate) fn write(self) -> Vec<u8> {
        [self.link.to_le_bytes(), self.turn.to_le_bytes()].concat()
    }

    pub(super) fn read(octets: &[u8]) -> Self {
        let (words, _) = octets.as_chunks();
        let [link, turn] = *words else {
            unreachable!("the control plane writes a ticket for each socket");
        };
        Self {
            link: u32::from_le_bytes(link),
            turn: u32::from_le_bytes(turn),
        }
    }
}
