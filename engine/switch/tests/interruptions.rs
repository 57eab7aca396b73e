//! Sessions, connections and contexts that change while a message is on its way.

mod common;

use clock::Duration;
use common::{Frame, World, chunk, config, conn, key, local, remote, send};
use switch::limits::RECENT_MAX;
use switch::{CloseCause, ContextKey, Event, Input, Limits, LossCause, Order, Output, Setup};

/// Everything of a chunk of participant `n` but its last octets, and those.
fn halves(n: u32, tid: &str, message: &str, extra: &str) -> (Vec<u8>, Vec<u8>) {
    let mut text = chunk(n, tid, message, "1-*/4000", extra, &[b'h'; 4_000], '$');
    let rest = text.split_off(text.len() - 40);
    (text, rest)
}

fn answer(world: &mut World, n: u32, copy: &Frame, status: &str) {
    let text = format!(
        "MSRP {0} {status}\r\nTo-Path: {1}\r\nFrom-Path: {2}\r\n-------{0}$\r\n",
        copy.tid,
        local(n),
        remote(n)
    );
    world.receive(n, text.as_bytes());
}

/// Binds session `n` to the connection of participant 1, beside its own session.
fn share(world: &mut World, n: u32) {
    world.install(n, config(n));
    let bind = format!(
        "MSRP share{n}x SEND\r\nTo-Path: {}\r\nFrom-Path: {}\r\nMessage-ID: share{n}\r\n\
         Byte-Range: 1-0/0\r\n-------share{n}x$\r\n",
        local(n),
        remote(n)
    );
    world.receive(1, bind.as_bytes());
    assert!(world.take(1).contains(" 200"));
}

fn flags(frames: &[Frame]) -> String {
    frames.iter().map(|f| f.flag).collect()
}

// MSRP-CONN-001, MSRP-CONN-010, MSRP-CONN-013, MSRP-RPT-014.
#[test]
fn a_session_removed_within_its_chunk_on_a_shared_connection_ends_the_copies() {
    let mut world = World::conference(2);
    share(&mut world, 3);
    let (begin, rest) = halves(3, "removed1", "rm11", "");
    world.receive(1, &begin);
    world.order(Order::Remove { session: key(3) });
    world.receive(1, &rest);
    assert_eq!(flags(&world.frames(2)), "#");
    let answers = world.frames(1);
    assert_eq!(
        answers.last().map(|f| f.start.as_str()),
        Some("481 No Such Session")
    );
    assert_eq!(world.shard.message_count(), 0);
    world.receive(1, &send(1, "goeson12", "go12", "", b"x"));
    assert_eq!(flags(&world.frames(2)), "$", "the other session goes on");
}

#[test]
fn a_message_given_up_within_a_chunk_is_not_taken_up_again_by_its_rest() {
    let mut world = World::conference(2);
    let (begin, rest) = halves(1, "tooslow1", "ts11", "");
    world.receive(1, &begin);
    world.advance(Limits::default().chunk_timeout + Duration::from_secs(1));
    assert_eq!(flags(&world.frames(2)), "#");
    assert!(world.frames(1)[0].field("Status").starts_with("000 408"));
    world.receive(1, &rest);
    assert!(world.frames(2).is_empty());
    assert!(world.frames(1)[0].start.starts_with("413"));
    assert_eq!(world.shard.message_count(), 0);
}

#[test]
fn a_sender_whose_address_changes_within_its_chunk_ends_it() {
    let mut world = World::conference(2);
    share(&mut world, 3);
    let (begin, rest) = halves(3, "readdres", "ra11", "");
    world.receive(1, &begin);
    let mut moved = config(3);
    moved.remote_path = Some(remote(4).into_bytes().into());
    let (session, config) = (key(3), Box::new(moved));
    world.order(Order::Update { session, config });
    world.receive(1, &rest);
    assert_eq!(flags(&world.frames(2)), "#");
    assert_eq!(world.shard.message_count(), 0);
}

// MSRP-CONN-011.
#[test]
fn a_recipient_on_a_new_connection_does_not_get_the_rest_of_a_message() {
    let mut world = World::conference(3);
    let (begin, rest) = halves(1, "newconn1", "nc11", "");
    world.receive(1, &begin);
    let mut moved = config(2);
    moved.remote_path = Some(remote(4).into_bytes().into());
    let (session, config) = (key(2), Box::new(moved));
    world.order(Order::Update { session, config });
    assert_eq!(flags(&world.frames(2)), "#");
    world.accept(4);
    let bind = format!(
        "MSRP again222 SEND\r\nTo-Path: {}\r\nFrom-Path: {}\r\nMessage-ID: again\r\n-------again222$\r\n",
        local(2),
        remote(4)
    );
    world.receive(4, bind.as_bytes());
    world.receive(1, &rest);
    assert_eq!(
        world.frames(4).len(),
        1,
        "the answer to the binding SEND alone"
    );
    assert_eq!(flags(&world.frames(3)), "$");
    let reports = world.frames(1);
    assert!(
        reports
            .iter()
            .any(|f| f.field("Status").starts_with("000 408"))
    );
}

#[test]
fn nothing_is_transmitted_on_a_connection_after_its_close() {
    let mut world = World::conference(2);
    let mut closed = false;
    world.receive(1, &send(1, "inflight", "if11", "", b"x"));
    world.stick(2);
    world.receive(1, &send(1, "inflight", "if12", "", b"x"));
    world.receive(1, &send(1, "inflight", "if13", "", b"x"));
    let (begin, _) = halves(1, "inflight", "if14", "");
    world.receive(1, &begin);
    let token = 77;
    let order = Order::Remove { session: key(2) };
    world
        .shard
        .handle(world.now, Input::Command(switch::Command { token, order }));
    let batch = world.stuck.remove(&2).flatten().expect("one is in flight");
    world.shard.handle(
        world.now,
        Input::Sent {
            conn: conn(2),
            batch,
        },
    );
    loop {
        match world.shard.poll() {
            Output::Close { conn } => closed |= conn.index == 2,
            Output::Transmit { conn, .. } => assert!(!closed || conn.index != 2),
            Output::Wait(_) => break,
            Output::Connect { .. }
            | Output::PauseReading { .. }
            | Output::ResumeReading { .. }
            | Output::Handover { .. }
            | Output::Ship(_)
            | Output::Unpacked(_)
            | Output::Event(_) => {}
        }
    }
    assert!(closed);
    world.shard.assert_invariants();
}

#[test]
fn a_batch_that_comes_home_after_its_connection_went_is_nobodys() {
    let mut world = World::conference(2);
    world.stick(2);
    world.receive(1, &send(1, "comehome", "ch11", "", b"x"));
    let batch = world.stuck.remove(&2).flatten().expect("one is in flight");
    world.close(2);
    world.feed(Input::Sent {
        conn: conn(2),
        batch,
    });
    let cause = CloseCause::Local;
    world.feed(Input::Closed {
        conn: conn(2),
        cause,
    });
    assert_eq!(world.shard.connection_count(), 1);
}

#[test]
fn moving_to_another_context_ends_what_is_in_progress_both_ways() {
    let mut world = World::conference(3);
    let extra = "Success-Report: yes\r\n";
    let (begin_one, rest_one) = halves(1, "moveone1", "mo11", extra);
    let (begin_two, rest_two) = halves(2, "movetwo1", "mt11", "");
    world.receive(1, &begin_one);
    world.receive(2, &begin_two);
    let (session, context) = (key(2), ContextKey(9));
    world.order(Order::Move { session, context });
    world.take_octets(2);
    world.receive(1, &rest_one);
    world.receive(2, &rest_two);
    let to_two: Vec<_> = world.frames(2).into_iter().map(|f| f.start).collect();
    assert_eq!(
        to_two,
        ["413 Stop Sending"],
        "nothing of the old conference"
    );
    let to_three = world.frames(3);
    for copy in &to_three {
        assert_ne!((copy.field("Message-ID"), copy.flag), ("mt11", '$'));
        answer(&mut world, 3, copy, "200 OK");
    }
    let reports = world.frames(1);
    let report = reports.iter().find(|f| f.start == "REPORT").expect("one");
    assert!(
        report.field("Status").starts_with("000 200"),
        "who left does not count"
    );
    assert_eq!(world.shard.message_count(), 0);
}

#[test]
fn a_topology_that_closes_within_a_chunk_holds_at_once() {
    let mut world = World::conference(3);
    let (begin, rest) = halves(1, "closing1", "cl11", "");
    world.receive(1, &begin);
    let (from, to, open) = (key(1), key(2), false);
    world.order(Order::Flow { from, to, open });
    world.receive(1, &rest);
    assert_eq!(flags(&world.frames(2)), "#");
    assert_eq!(flags(&world.frames(3)), "$");
}

#[test]
fn a_refused_chunk_ends_its_message_at_once() {
    let mut world = World::conference(2);
    world.receive(1, &chunk(1, "refusal1", "rc11", "1-5/9", "", b"12345", '+'));
    let mut deaf = config(1);
    deaf.receives = false;
    let (session, config) = (key(1), Box::new(deaf));
    world.order(Order::Update { session, config });
    world.receive(1, &chunk(1, "refusal2", "rc11", "6-9/9", "", b"6789", '$'));
    assert!(world.take(1).contains("refusal2 403"));
    assert_eq!(world.shard.message_count(), 0);
}

#[test]
fn after_a_drain_no_new_session_is_bound_and_bound_ones_go_on() {
    let mut world = World::conference(2);
    world.install(3, config(3));
    let mut active = config(4);
    let to = "192.0.2.14:7000".parse().unwrap();
    active.setup = Setup::Active { to };
    world.install(4, active);
    world.order(Order::Drain);
    world.accept(3);
    world.receive(3, &send(3, "toolate3", "tl33", "", b"x"));
    assert!(world.take(3).starts_with("MSRP toolate3 481"));
    world.receive(1, &send(1, "goeson11", "go11", "", b"x"));
    assert_eq!(world.frames(2).len(), 1);
    let request = world.connects[0];
    world.feed(Input::Connected {
        conn: conn(4),
        request,
        via: switch::Via::default(),
    });
    assert_eq!(
        world.frames(4).len(),
        1,
        "a connect under way is not taken back"
    );
}

// MSRP-SEC-004, MSRP-RECV-010.
#[test]
fn positions_near_the_end_of_64_bits_are_refused() {
    let limits = Limits {
        message_bytes_max: u64::MAX,
        ..Limits::default()
    };
    let mut world = World::conference_with(2, limits);
    let far = u64::MAX - 1;
    for (i, range) in [format!("{far}-*/*"), format!("{far}-{0}/{0}", u64::MAX)]
        .iter()
        .enumerate()
    {
        let text = chunk(
            1,
            &format!("farfar{i}1"),
            "fa11",
            range,
            "",
            &[b'x'; 99],
            '$',
        );
        world.receive(1, &text);
        assert!(world.take(1).contains(" 413"), "{range}");
    }
    assert_eq!(world.shard.message_count(), 0);
}

// MSRP-CHAT-023, MSRP-RECV-006, MSRP-RECV-011.
#[test]
fn a_last_chunk_without_octets_does_not_complete_what_never_came() {
    let mut world = World::conference(2);
    let extra = "Success-Report: yes\r\n";
    world.receive(1, &chunk(1, "emptyend", "ee11", "6-5/5", extra, b"", '$'));
    assert_eq!(
        world.shard.message_count(),
        1,
        "five octets are still to come"
    );
    world.receive(
        1,
        &chunk(1, "emptybeg", "ee11", "1-5/5", extra, b"12345", '+'),
    );
    world.take_octets(1);
    for copy in world.frames(2) {
        answer(&mut world, 2, &copy, "200 OK");
    }
    assert_eq!(world.frames(1)[0].field("Byte-Range"), "1-5/5");
    assert_eq!(world.shard.message_count(), 0);
}

#[test]
fn faults_are_answered_from_a_path_of_ours() {
    let mut world = World::conference(1);
    let good = String::from_utf8(send(1, "brokento", "bt11", "", b"x")).unwrap();
    let to = format!("To-Path: {}\r\n", local(1));
    let two = format!("To-Path: {} {}\r\n", local(1), local(2));
    for (change, status) in [
        ("", 400),
        ("To-Path: msrp://h:70000/x;tcp\r\n", 400),
        (two.as_str(), 481),
    ] {
        world.receive(1, good.replace(&to, change).as_bytes());
        let got = world.frames(1).remove(0);
        assert!(got.start.starts_with(&status.to_string()), "{got:?}");
        assert_eq!(got.field("From-Path"), local(1));
    }
    world.accept(2);
    world.receive(2, good.replace(&to, "").as_bytes());
    assert!(world.take(2).is_empty(), "there is no path to answer from");
}

// MSRP-FRAME-014, MSRP-ERR-003.
#[test]
fn a_body_with_its_own_end_line_is_answered_400_before_the_close() {
    let mut world = World::conference(2);
    let body = b"before -------embedded$\r\nafter";
    world.receive(1, &send(1, "embedded", "em11", "", body));
    assert!(world.take(1).starts_with("MSRP embedded 400"));
    assert_eq!(world.closed, [1]);
}

#[test]
fn later_chunks_of_a_message_that_was_given_up_are_refused_until_it_begins_again() {
    let mut world = World::conference(2);
    let begin = chunk(1, "givenup1", "gu11", "1-5/9", "", b"12345", '+');
    world.receive(1, &begin);
    world.advance(Limits::default().chunk_timeout + Duration::from_secs(1));
    world.take_octets(1);
    world.take_octets(2);
    let rest = chunk(1, "givenup2", "gu11", "6-9/9", "", b"6789", '$');
    world.receive(1, &rest);
    assert!(world.take(1).starts_with("MSRP givenup2 413"));
    assert!(world.frames(2).is_empty(), "they have no beginning for it");
    world.receive(1, &begin);
    world.receive(1, &rest);
    assert_eq!(flags(&world.frames(2)), "+$");
}

#[test]
fn later_chunks_of_a_message_that_was_refused_are_refused_alike_until_it_begins_again() {
    let mut world = World::conference(2);
    let update = |world: &mut World, receives| {
        let (session, mut config) = (key(1), Box::new(config(1)));
        config.receives = receives;
        world.order(Order::Update { session, config });
    };
    let begin = |id: usize| {
        let id = format!("rf{id:02}");
        chunk(1, &format!("{id}begin"), &id, "1-5/9", "", b"12345", '+')
    };
    let rest = |id: usize| {
        let id = format!("rf{id:02}");
        chunk(1, &format!("{id}rest"), &id, "6-9/9", "", b"6789", '$')
    };
    update(&mut world, false);
    for id in 0..RECENT_MAX {
        world.receive(1, &begin(id));
        assert!(world.take(1).contains("begin 403"));
    }
    update(&mut world, true);
    for id in 0..RECENT_MAX {
        world.receive(1, &rest(id));
        assert!(world.take(1).contains("rest 403"), "{id}");
    }
    assert_eq!(world.shard.message_count(), 0);
    world.receive(1, &begin(0));
    world.receive(1, &rest(0));
    assert_eq!(flags(&world.frames(2)), "+$");
    // The one refused first gives way when there are more than are remembered.
    update(&mut world, false);
    (1..=RECENT_MAX).for_each(|id| world.receive(1, &begin(id + RECENT_MAX)));
    update(&mut world, true);
    world.take_octets(1);
    world.receive(1, &rest(RECENT_MAX + 1));
    assert!(world.take(1).contains("rest 403"));
    world.receive(1, &rest(1));
    assert!(world.take(1).contains("rest 200"));
}

#[test]
fn a_refused_repeat_of_a_message_that_went_out_does_not_let_it_go_out_again() {
    let mut world = World::conference(2);
    let text = send(1, "repeats1", "rp11", "", b"once");
    let update = |receives| {
        let (session, mut config) = (key(1), Box::new(config(1)));
        config.receives = receives;
        Order::Update { session, config }
    };
    for (receives, status, copies) in [(true, " 200", 1), (false, " 403", 0), (true, " 200", 0)] {
        world.order(update(receives));
        world.receive(1, &text);
        assert!(world.take(1).contains(status));
        assert_eq!(world.frames(2).len(), copies);
    }
}

#[test]
fn a_released_session_lets_go_of_its_connection_and_may_be_bound_again() {
    let mut world = World::conference(2);
    world.order(Order::Release { session: key(1) });
    let released = Event::Lost {
        session: key(1),
        cause: LossCause::Released,
    };
    assert!(world.events.contains(&released));
    assert!(world.closed.contains(&1));
    world.close(1);
    world.events.clear();
    world.order(Order::Release { session: key(1) });
    assert!(world.events.is_empty(), "there is none to release");
    world.join(1);
    world.receive(1, &send(1, "again123", "ag12", "", b"x"));
    assert_eq!(flags(&world.frames(2)), "$");
}

#[test]
fn a_blocked_session_takes_no_connection_and_keeps_the_one_it_has() {
    let mut world = World::conference(2);
    let blocked = |n| {
        let mut config = config(n);
        config.is_blocked = true;
        config
    };
    let update = |config| Order::Update {
        session: key(1),
        config: Box::new(config),
    };
    world.order(update(blocked(1)));
    world.receive(1, &send(1, "still123", "st12", "", b"x"));
    assert_eq!(flags(&world.frames(2)), "$", "what is bound goes on");
    world.install(3, blocked(3));
    world.accept(3);
    let [begin, rest] = [("1-1/2", '+'), ("2-2/2", '$')]
        .map(|(range, flag)| chunk(3, "early123", "ea12", range, "", b"x", flag));
    world.receive(3, &begin);
    assert!(world.take(3).contains(" 403"));
    world.order(Order::Update {
        session: key(3),
        config: Box::new(config(3)),
    });
    world.receive(3, &rest);
    assert!(world.take(3).contains(" 403"));
    world.receive(3, &send(3, "later123", "la12", "", b"x"));
    assert!(world.take(3).contains(" 200"));
}
