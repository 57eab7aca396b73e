//! The generator without a network: octets in, octets out, and time as the test has it.

use core::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;

use msrp::StatusCode;
use switch::CloseCause;
use switch::Via;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;
use crate::limits::DEPARTURE_MAX;
use crate::wire::tls_config;

/// One who sends and two who receive, all bound, with a message each millisecond.
struct Room {
    generator: Generator,
    moves: mpsc::Sender<Move>,
    news: UnboundedReceiver<News>,
    now: Instant,
    /// What the one who sends has sent and no test has taken.
    sent: Vec<u8>,
    /// Octets of one message on the wire.
    frame: usize,
}

const SENDER: u32 = 0;
const STAYING: u32 = 1;
const LEAVING: u32 = 2;

const MILLISECOND: Duration = Duration::from_millis(1);

fn conn(leg: u32) -> ConnId {
    ConnId {
        index: leg,
        generation: 0,
    }
}

impl Room {
    fn new() -> Self {
        let plan = Plan {
            participants: 3,
            rate: Rate::Fixed(1_000.0),
            churn: 1.0,
            size: 10,
            duration: core::time::Duration::from_secs(60),
            warmup: core::time::Duration::ZERO,
            ..Plan::default()
        };
        let uri = |name: &str| format!("msrp://{name}.invalid:1/s;tcp").into_bytes().into();
        let leg = |number: u32| LegConfig {
            own: uri(&format!("own{number}")),
            peer: uri(&format!("peer{number}")),
            host: Ipv4Addr::LOCALHOST.into(),
            fingerprint: None,
        };
        let (moves, moves_rx) = mpsc::channel();
        let (news_tx, news) = unbounded_channel();
        let word = Arc::new(Word::default());
        word.go.store(true, Ordering::Release);
        let generator = Generator::new(GeneratorConfig {
            plan,
            legs: (0..3).map(leg).collect(),
            links: (0..3).map(|number| vec![number]).collect(),
            is_binding: true,
            tls: tls_config().unwrap(),
            word,
            moves: moves_rx,
            news: news_tx,
        });
        let mut room = Self {
            generator,
            moves,
            news,
            now: reactor::now(),
            sent: Vec::new(),
            frame: 0,
        };
        for leg in 0..3 {
            room.join(leg, 0);
        }
        room.turn();
        assert!(matches!(room.heard(), Some(News::Bound)));
        room.turn();
        assert!(matches!(room.heard(), Some(News::Begun)));
        room.turn();
        room.frame = room.sent.len();
        room
    }

    /// A participant connects and is bound.
    fn join(&mut self, leg: u32, turn: u32) {
        let ticket = Ticket { link: leg, turn };
        self.generator.handle(
            self.now,
            Input::Adopted {
                conn: conn(leg),
                peer: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
                via: Via::default(),
                octets: ticket.write().into(),
            },
        );
        self.turn();
        let mut answer = Vec::new();
        let id = format!("bind{leg:08x}");
        msrp::write::response(
            &mut answer,
            id.as_bytes(),
            StatusCode::OK,
            b"msrp://o:1/s;tcp",
            b"msrp://p:1/s;tcp",
        );
        self.bring(leg, &answer);
    }

    fn bring(&mut self, leg: u32, octets: &[u8]) {
        let octets = Octets::copied(octets);
        let conn = conn(leg);
        self.generator
            .handle(self.now, Input::Received { conn, octets });
    }

    /// Does what the generator wants until it waits; closing needs no help.
    fn turn(&mut self) {
        loop {
            let output = self.generator.poll(self.now);
            if let Output::Transmit { conn: id, batch } = output {
                if id == conn(SENDER) && self.generator.phase == Phase::Running {
                    let slices = batch.slices();
                    slices.for_each(|slice| self.sent.extend_from_slice(slice));
                }
                self.generator
                    .handle(self.now, Input::Sent { conn: id, batch });
            } else if let Output::Wait(_) = output {
                return;
            }
        }
    }

    /// What it told, but for the rows.
    fn heard(&mut self) -> Option<News> {
        loop {
            match self.news.try_recv() {
                Ok(News::Row(_)) => {}
                other => return other.ok(),
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.turn();
    }

    fn take(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.sent)
    }

    fn tell(&mut self, next: Move) {
        self.moves.send(next).unwrap();
        // Moves are taken with whatever comes.
        self.generator.handle(self.now, Input::Deadline);
        self.turn();
    }

    fn leave(&mut self, hangs_up: bool) {
        self.tell(Move::Leave {
            leg: LEAVING,
            hangs_up,
        });
    }

    #[track_caller]
    fn expect_left(&mut self, lost: u64) {
        assert!(matches!(self.heard(), Some(News::Left { leg: LEAVING })));
        let counts = self.generator.counts;
        assert_eq!((counts.lost, counts.leaves), (lost, 1), "{counts:?}");
    }

    #[track_caller]
    fn expect_nobody_left(&mut self) {
        assert!(self.heard().is_none());
        assert_eq!(self.generator.counts.leaves, 0);
    }
}

/// A room in which one message is on its way to the one who is to leave, and everybody has got all else.
fn with_one_on_its_way() -> (Room, Vec<u8>) {
    let mut room = Room::new();
    room.pass(MILLISECOND * 9);
    let all = room.take();
    assert_eq!(all.len(), 10 * room.frame);
    room.bring(STAYING, &all);
    let (got, way) = all.split_at(9 * room.frame);
    room.bring(LEAVING, got);
    (room, way.to_vec())
}

#[test]
fn who_leaves_waits_for_what_was_written_and_not_for_what_comes_later() {
    for hangs_up in [true, false] {
        let (mut room, way) = with_one_on_its_way();
        room.leave(hangs_up);
        room.pass(MILLISECOND * 5);
        room.expect_nobody_left();
        room.bring(LEAVING, &way);
        room.turn();
        if !hangs_up {
            // It is subtracted, and the other side ends its connection.
            assert_eq!(room.generator.counts.leaves, 0);
            let cause = CloseCause::Peer;
            let closed = Input::Closed {
                conn: conn(LEAVING),
                cause,
            };
            room.generator.handle(room.now, closed);
        }
        room.expect_left(0);
        assert_eq!(room.generator.counts.disconnected, 0);
    }
}

#[test]
fn what_never_comes_to_one_who_leaves_is_lost() {
    for hangs_up in [true, false] {
        let (mut room, _) = with_one_on_its_way();
        room.leave(hangs_up);
        room.pass(DEPARTURE_MAX - MILLISECOND);
        room.expect_nobody_left();
        room.pass(MILLISECOND);
        let config = room.generator.legs[LEAVING as usize].config.clone();
        room.tell(Move::Join {
            leg: LEAVING,
            turn: 1,
            config,
            at: room.now,
        });
        room.expect_left(1);
    }
}

#[test]
fn who_is_cut_off_while_it_waits_has_lost_what_it_waited_for() {
    let (mut room, _) = with_one_on_its_way();
    room.leave(true);
    let cause = CloseCause::Peer;
    let closed = Input::Closed {
        conn: conn(LEAVING),
        cause,
    };
    room.generator.handle(room.now, closed);
    room.turn();
    room.expect_left(1);
    assert_eq!(room.generator.counts.disconnected, 1);
}

#[test]
fn who_is_not_bound_leaves_at_once() {
    let (mut room, way) = with_one_on_its_way();
    room.bring(LEAVING, &way);
    room.leave(true);
    room.expect_left(0);
    let config = room.generator.legs[LEAVING as usize].config.clone();
    room.tell(Move::Join {
        leg: LEAVING,
        turn: 1,
        config,
        at: room.now,
    });
    room.leave(true);
    assert!(matches!(room.heard(), Some(News::Left { .. })));
    let counts = room.generator.counts;
    assert_eq!((counts.leaves, counts.unbound, counts.lost), (2, 1, 0));
}

#[test]
fn a_run_that_is_halted_waits_for_what_it_sent() {
    let (mut room, way) = with_one_on_its_way();
    room.generator.word.halt.store(true, Ordering::Release);
    room.pass(MILLISECOND);
    assert!(matches!(room.heard(), Some(News::Over)));
    room.tell(Move::End);
    assert_eq!(room.generator.phase, Phase::Draining);
    room.bring(LEAVING, &way);
    room.turn();
    let Some(News::Done(totals)) = room.heard() else {
        panic!("it is not done");
    };
    assert!(
        totals.is_interrupted && totals.counts.is_clean(),
        "{totals:?}"
    );
    assert_eq!((totals.counts.sent, totals.counts.delivered), (10, 20));
}
