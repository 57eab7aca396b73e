//! The switch alone: 16 messages arrive in one buffer and leave to N recipients, without a
//! reactor: 16 x N deliveries, and as many answers where the messages ask for them.

use std::rc::Rc;
use std::sync::Arc;

use clock::Instant;
use msrp::StatusCode;
use switch::{
    Batch, Command, ConnId, ContextKey, Input, Limits, Order, Output, SessionConfig, SessionKey,
    Shard, ShardConfig, ShardIndex, Terms, Via,
};

/// Messages that arrive at once.
pub const MESSAGES: usize = 16;

/// A shard with one sender and its recipients.
#[expect(missing_debug_implementations, reason = "nobody prints it")]
pub struct FanOut {
    shard: Shard<Rc<[u8]>>,
    octets: Rc<[u8]>,
    /// The same for all, as the gateway keeps them.
    terms: Arc<Terms>,
    /// Whether the recipients answer.
    is_answered: bool,
    /// What they are to be fed, with whom it comes from.
    answers: Vec<(ConnId, Rc<[u8]>)>,
}

fn conn(index: u32) -> ConnId {
    ConnId {
        index,
        generation: 0,
    }
}

impl FanOut {
    /// A conference with so many recipients and messages of so many octets, which nobody answers.
    pub fn new(recipients: u32, size: usize) -> Self {
        Self::with_messages(recipients, size, "no")
    }

    /// The same, and every message is answered: by us to its sender, by each recipient to us.
    pub fn answered(recipients: u32, size: usize) -> Self {
        Self::with_messages(recipients, size, "yes")
    }

    fn with_messages(recipients: u32, size: usize, failure_report: &str) -> Self {
        let limits = Limits::default();
        let config = ShardConfig {
            index: ShardIndex(0),
            shards: 1,
            life: 0,
            limits,
            seed: [1; 32],
        };
        let mut bench = Self {
            shard: Shard::new(config),
            octets: Rc::new([]),
            terms: Arc::default(),
            is_answered: failure_report == "yes",
            answers: Vec::new(),
        };
        for n in 0..=recipients {
            bench.join(n);
        }
        let body = "x".repeat(size);
        let text: String = (0..MESSAGES)
            .map(|i| {
                format!(
                    "MSRP bench{i:04} SEND\r\nTo-Path: msrp://h:1/s0;tcp\r\n\
                     From-Path: msrp://p:1/p0;tcp\r\nMessage-ID: m{i:06}\r\n\
                     Byte-Range: 1-{size}/{size}\r\nFailure-Report: {failure_report}\r\n\
                     Content-Type: text/plain\r\n\r\n{body}\r\n-------bench{i:04}$\r\n"
                )
            })
            .collect();
        bench.octets = text.into_bytes().into();
        bench
    }

    fn feed(&mut self, input: Input<Rc<[u8]>>) -> usize {
        self.shard.handle(Instant::ZERO, input);
        let mut sent = 0;
        loop {
            match self.shard.poll() {
                Output::Transmit { conn, batch } => {
                    sent += batch.octet_count();
                    if self.is_answered && conn.index > 0 && !self.octets.is_empty() {
                        self.answers.push((conn, answers(&batch, conn.index)));
                    }
                    self.shard
                        .handle(Instant::ZERO, Input::Sent { conn, batch });
                }
                Output::Wait(_) => return sent,
                Output::Event(_)
                | Output::Connect { .. }
                | Output::Close { .. }
                | Output::PauseReading { .. }
                | Output::ResumeReading { .. }
                | Output::Handover { .. }
                | Output::Ship(_)
                | Output::Unpacked(_) => {}
            }
        }
    }

    fn join(&mut self, n: u32) {
        let config = SessionConfig {
            remote_path: Some(format!("msrp://p:1/p{n};tcp").into_bytes().into()),
            terms: Arc::clone(&self.terms),
            ..SessionConfig::new(
                format!("msrp://h:1/s{n};tcp").into_bytes(),
                format!("s{n}").into_bytes(),
            )
        };
        let session = SessionKey {
            termination: n,
            stream: 1,
        };
        let order = Order::Install {
            session,
            context: ContextKey(1),
            config: Box::new(config),
        };
        self.feed(Input::Command(Command { token: 0, order }));
        let peer = "192.0.2.1:1".parse().expect("an address");
        self.feed(Input::Accepted {
            conn: conn(n),
            peer,
            via: Via::default(),
        });
        let text = format!(
            "MSRP bind{n:04} SEND\r\nTo-Path: msrp://h:1/s{n};tcp\r\nFrom-Path: msrp://p:1/p{n};tcp\r\n\
             Message-ID: bind\r\nByte-Range: 1-0/0\r\n-------bind{n:04}$\r\n"
        );
        let octets = text.into_bytes().into();
        assert!(
            self.feed(Input::Received {
                conn: conn(n),
                octets
            }) > 0
        );
    }

    /// [`MESSAGES`] messages arrive, and the answers to them if there are any; the octets that leave.
    ///
    /// # Panics
    ///
    /// If a message waits for more afterwards.
    pub fn run(&mut self) -> usize {
        let octets = Rc::clone(&self.octets);
        let sent = self.feed(Input::Received {
            conn: conn(0),
            octets,
        });
        for (conn, octets) in core::mem::take(&mut self.answers) {
            self.feed(Input::Received { conn, octets });
        }
        assert_eq!(self.shard.message_count(), 0, "all are answered for");
        sent
    }
}

/// What a recipient answers to a batch of copies, all of the same length.
fn answers(batch: &Batch<Rc<[u8]>>, recipient: u32) -> Rc<[u8]> {
    let to = format!("msrp://h:1/s{recipient};tcp");
    let from = format!("msrp://p:1/p{recipient};tcp");
    let mut octets = Vec::with_capacity(MESSAGES * 160);
    let mut runs = batch.slices();
    let (Some(copies), None) = (runs.next(), runs.next()) else {
        panic!("small copies lie in one run");
    };
    for copy in copies.chunks_exact(copies.len() / MESSAGES) {
        let id = copy.split(|&c| c == b' ').nth(1).expect("a start line");
        let (to, from) = (to.as_bytes(), from.as_bytes());
        msrp::write::response(&mut octets, id, StatusCode::OK, to, from);
    }
    octets.into()
}
