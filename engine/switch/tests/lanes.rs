//! What becomes of messages, and of connections that shards share, when the way to a shard is full.

mod common;

use common::{World, config, key, local, remote, send};
use switch::limits::{LANE_BYTES_MAX, LANE_BYTES_SOFT, STALLED_AFTER, STRAYS_MAX};
use switch::{
    ContextKey, Event, Limits, LossCause, Order, SessionConfig, ShardIndex, Statistics, session_id,
};

const MIB: usize = 1024 * 1024;

/// Two shards; nothing passes between them but when [`Pair::carry`] is called.
struct Pair {
    shards: [World; 2],
}

impl Pair {
    fn new() -> Self {
        let shards = [0, 1].map(|index| World::of_shard(index, Limits::default()));
        Self { shards }
    }

    /// Carries shipments to and fro until there are none.
    fn carry(&mut self) {
        while self.pass(0) | self.pass(1) {}
    }

    /// Carries what a shard has for the other one; whether there was something new.
    fn pass(&mut self, from: usize) -> bool {
        let shipped = core::mem::take(&mut self.shards[from].shipped);
        let has_shipped = !shipped.is_empty();
        for mut shipment in shipped {
            let octets = shipment.take_octets().into();
            let input = switch::Input::Shipment { shipment, octets };
            self.shards[1 - from].feed(input);
        }
        for shipment in core::mem::take(&mut self.shards[from].unpacked) {
            self.shards[1 - from].feed(switch::Input::Returned(shipment));
        }
        has_shipped
    }

    /// Puts participant `n` on a shard; the other one knows it.
    fn install(&mut self, n: u32, shard: u8) {
        let at = usize::from(shard);
        self.shards[at].install(n, config(n));
        self.shards[1 - at].order(Order::Announce {
            session: key(n),
            context: ContextKey(1),
            shard: ShardIndex(shard),
            home: ShardIndex(0),
            config: Box::new(config(n)),
        });
        self.shards[at].join(n);
    }

    fn counters(&mut self, n: u32, shard: usize) -> Statistics {
        let counters = self.shards[shard].order(Order::Audit { session: key(n) });
        counters.expect("a session")
    }
}

#[test]
fn nothing_comes_back_about_a_message_that_nobody_waits_for() {
    let mut pair = Pair::new();
    pair.install(1, 0);
    pair.install(3, 1);
    pair.carry();
    for (report, answers) in [("Failure-Report: no\r\n", 0), ("", 1)] {
        let text = send(1, "awaited1", "awaited1", report, b"hello");
        pair.shards[0].receive(1, &text);
        pair.pass(0);
        let frames = pair.shards[1].frames(3);
        assert_eq!(frames.len(), 1);
        let answer = format!(
            "MSRP {} 200 OK\r\nTo-Path: {}\r\nFrom-Path: {}\r\n-------{0}$\r\n",
            frames[0].tid,
            local(3),
            remote(3)
        );
        pair.shards[1].receive(3, answer.as_bytes());
        assert_eq!(pair.shards[1].shipped.len(), answers, "{report}");
        pair.carry();
        for shard in &pair.shards {
            assert_eq!(shard.shard.message_count(), 0);
        }
    }
}

fn message(i: usize) -> Vec<u8> {
    let body = vec![b'x'; MIB];
    send(1, &format!("large{i:04}"), &format!("la{i:04}"), "", &body)
}

#[test]
fn what_a_full_lane_does_not_take_fails_and_is_counted_where_its_recipients_are() {
    let mut pair = Pair::new();
    pair.install(1, 0);
    pair.install(2, 0);
    pair.install(3, 1);
    pair.install(4, 1);
    // 4 must not get anything, so it misses nothing.
    let mut mute = config(4);
    mute.sends = false;
    for shard in &mut pair.shards {
        let (session, config) = (key(4), Box::new(mute.clone()));
        shard.order(Order::Update { session, config });
    }
    pair.carry();
    let whole = LANE_BYTES_MAX / MIB;
    let count = whole + 10;
    for i in 0..count {
        pair.shards[0].receive(1, &message(i));
        if i == LANE_BYTES_SOFT / MIB {
            assert_eq!(pair.shards[0].paused, [1], "the lane fills up");
            pair.shards[0].advance(STALLED_AFTER);
            assert!(pair.shards[0].paused.is_empty(), "nobody waits for ever");
        }
    }
    let answers = pair.shards[0].frames(1);
    let failed = answers
        .iter()
        .filter(|f| f.field("Status").starts_with("000 408"));
    let failed = failed.count();
    assert!(failed >= 10, "{failed}");
    let here = pair.shards[0].frames(2);
    assert_eq!(
        here.iter().filter(|f| f.flag == '$').count(),
        count,
        "2 has all"
    );
    assert_eq!(
        pair.counters(3, 1).messages_dropped,
        0,
        "it cannot know yet"
    );
    pair.carry();
    let there = pair.shards[1].frames(3);
    let got = there.iter().filter(|f| f.flag == '$').count();
    assert_eq!(got, count - failed);
    assert_eq!(pair.counters(3, 1).messages_dropped, failed as u64);
    assert_eq!(pair.counters(4, 1).messages_dropped, 0);
    assert_eq!(pair.shards[1].shard.gauges().dropped(), failed as u64);
    // It takes again.
    pair.shards[0].receive(1, &message(count));
    pair.carry();
    let there = pair.shards[1].frames(3);
    assert_eq!(there.iter().filter(|f| f.flag == '$').count(), 1);
    assert_eq!(pair.counters(3, 1).messages_dropped, failed as u64);
}

#[test]
fn the_rest_of_a_message_that_a_full_lane_does_not_take_is_counted_too() {
    let mut pair = Pair::new();
    pair.install(1, 0);
    pair.install(3, 1);
    pair.carry();
    let body = vec![b'x'; LANE_BYTES_MAX + 2 * MIB];
    let text = send(1, "verylarge", "verylarge", "", &body);
    for piece in text.chunks(MIB) {
        pair.shards[0].receive(1, piece);
    }
    pair.carry();
    let there = pair.shards[1].frames(3);
    assert_eq!(there.last().map(|f| f.flag), Some('#'));
    assert_eq!(pair.counters(3, 1).messages_dropped, 1);
    assert_eq!(pair.shards[1].shard.gauges().dropped(), 1);
    let answers = pair.shards[0].frames(1);
    let failed = answers
        .iter()
        .filter(|f| f.field("Status").starts_with("000 408"));
    assert_eq!(failed.count(), 1);
}

/// Participant 3 on the other shard, who comes by the connection of 1; its path.
fn share(pair: &mut Pair) -> String {
    pair.install(1, 0);
    let id = session_id(ShardIndex(1), 3);
    let path = format!(
        "msrp://192.0.2.1:2855/{};tcp",
        String::from_utf8(id.to_vec()).expect("letters")
    );
    let config = SessionConfig {
        remote_path: config(3).remote_path,
        ..SessionConfig::new(path.clone().into_bytes(), &*id)
    };
    pair.shards[1].order(Order::Install {
        session: key(3),
        context: ContextKey(2),
        config: Box::new(config),
    });
    let binding = request(&path, "bind3x", &[]);
    pair.shards[0].receive(1, &binding);
    pair.carry();
    assert_eq!(pair.shards[0].frames(1)[0].start, "200 OK");
    path
}

/// A request of 3 on the connection of 1.
fn request(path: &str, tid: &str, body: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(send(3, tid, tid, "", body)).expect("text");
    assert!(text.contains(&local(3)) && text.contains(&remote(3)));
    text.replace(&local(3), path).into_bytes()
}

#[test]
fn requests_on_a_shared_connection_fail_while_the_lane_to_their_shard_is_full() {
    let mut pair = Pair::new();
    let path = share(&mut pair);
    let body = vec![b'x'; MIB];
    let whole = LANE_BYTES_MAX / MIB;
    let mut statuses = Vec::new();
    for i in 0..whole + 5 {
        let text = request(&path, &format!("large{i:04}"), &body);
        pair.shards[0].receive(1, &text);
        if i == LANE_BYTES_SOFT / MIB {
            assert_eq!(pair.shards[0].paused, [1]);
            pair.shards[0].advance(STALLED_AFTER);
            assert!(pair.shards[0].paused.is_empty());
        }
        let answers = pair.shards[0].frames(1);
        statuses.extend(answers.into_iter().map(|frame| frame.start));
    }
    assert!(statuses.len() >= 4, "{statuses:?}");
    assert!(
        statuses.iter().all(|s| s.starts_with("408")),
        "{statuses:?}"
    );
    // Sessions of the connection's own shard are none the worse.
    pair.shards[0].receive(1, &send(1, "own00001", "own00001", "", b"here"));
    assert_eq!(pair.shards[0].frames(1)[0].start, "200 OK");
    pair.carry();
    let answers = pair.shards[0].frames(1);
    assert_eq!(answers.len() + statuses.len(), whole + 5, "each once");
    assert!(answers.iter().all(|frame| frame.start == "200 OK"));
    assert!(
        pair.shards[1]
            .events
            .iter()
            .all(|e| !matches!(e, Event::Lost { .. }))
    );
}

#[test]
fn a_frame_that_a_full_lane_does_not_take_ends_the_sessions_it_is_for() {
    let mut pair = Pair::new();
    let path = share(&mut pair);
    let text = request(&path, "verylarge", &vec![b'x'; 2 * (LANE_BYTES_MAX + MIB)]);
    for piece in text.chunks(MIB) {
        pair.shards[0].receive(1, piece);
    }
    pair.carry();
    let lost = Event::Lost {
        session: key(3),
        cause: LossCause::Closed,
    };
    assert!(pair.shards[1].events.contains(&lost));
    assert!(
        pair.shards[0].closed.is_empty(),
        "the connection is 1's, too"
    );
    pair.shards[0].receive(1, &request(&path, "later001", b"here"));
    pair.shards[0].receive(1, &send(1, "own00001", "own00001", "", b"here"));
    pair.carry();
    let answers = pair.shards[0].frames(1);
    let mut starts: Vec<&str> = answers.iter().map(|f| f.start.as_str()).collect();
    starts.sort_unstable();
    assert_eq!(starts, ["200 OK", "481 No Such Session"]);
}

/// Requests of 3 on the connection of 1, for sessions of the other shard that do not exist.
fn strays(pair: &mut Pair, count: usize) -> Vec<String> {
    let id = session_id(ShardIndex(1), 99);
    let id = String::from_utf8(id.to_vec()).expect("letters");
    let path = format!("msrp://192.0.2.1:2855/{id};tcp");
    let mut answers = Vec::new();
    for first in (0..count).step_by(256) {
        let turn = first..count.min(first + 256);
        let turn: Vec<u8> = turn
            .flat_map(|i| request(&path, &format!("stray{i:06}"), b"x"))
            .collect();
        pair.shards[0].receive(1, &turn);
        pair.carry();
        answers.extend(pair.shards[0].frames(1).into_iter().map(|f| f.start));
    }
    answers
}

#[test]
fn requests_for_no_session_of_another_shard_are_bounded_where_nobody_uses_the_connection() {
    let mut pair = Pair::new();
    pair.install(1, 0);
    let most = usize::from(STRAYS_MAX) - 1;
    let answers = strays(&mut pair, most);
    assert_eq!(answers.len(), most);
    assert!(answers.iter().all(|start| start.starts_with("481")));
    assert!(pair.shards[0].closed.is_empty());
    assert_eq!(strays(&mut pair, 1).len(), 1);
    assert_eq!(pair.shards[0].closed, [1]);
}

#[test]
fn requests_for_no_session_of_another_shard_end_those_that_use_the_connection_there() {
    let mut pair = Pair::new();
    share(&mut pair);
    strays(&mut pair, usize::from(STRAYS_MAX) + 1);
    let lost = Event::Lost {
        session: key(3),
        cause: LossCause::Protocol,
    };
    assert!(pair.shards[1].events.contains(&lost));
    assert!(
        pair.shards[0].closed.is_empty(),
        "the connection is 1's, too"
    );
    pair.shards[0].receive(1, &send(1, "own00001", "own00001", "", b"here"));
    assert_eq!(pair.shards[0].frames(1)[0].start, "200 OK");
}
