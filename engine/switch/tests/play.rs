//! Messages of our own, played into one session.

mod common;

use common::{Frame, World, config, key, local, remote};
use switch::{Event, Limits, Order, Play, limits};

use clock::Duration;

fn play(id: u64, body: &str) -> Play {
    Play {
        id,
        content_type: "text/plain".into(),
        body: body.as_bytes().into(),
        success_report: false,
        failure_report: true,
    }
}

fn order(world: &mut World, n: u32, play: Play) {
    world.order(Order::Play {
        session: key(n),
        play: Box::new(play),
    });
}

/// The fates told since the last look.
fn told(world: &mut World) -> Vec<(u64, u16)> {
    let mut fates = Vec::new();
    world.events.retain(|event| {
        if let Event::Played { id, status, .. } = event {
            fates.push((*id, *status));
        }
        false
    });
    fates
}

fn answer(world: &mut World, n: u32, tid: &str, status: &str) {
    let text = format!(
        "MSRP {tid} {status}\r\nTo-Path: {}\r\nFrom-Path: {}\r\n-------{tid}$\r\n",
        local(n),
        remote(n)
    );
    world.receive(n, text.as_bytes());
}

/// Binds a session and returns what comes after the answer.
fn bind(world: &mut World, n: u32) -> Vec<Frame> {
    world.accept(n);
    let bind = format!(
        "MSRP bind1 SEND\r\nTo-Path: {}\r\nFrom-Path: {}\r\nMessage-ID: bind1\r\n\
         Byte-Range: 1-0/0\r\n-------bind1$\r\n",
        local(n),
        remote(n)
    );
    world.receive(n, bind.as_bytes());
    let mut frames = world.frames(n);
    let answer = frames.iter().position(|f| f.start.starts_with("200"));
    frames.remove(answer.expect("an answer"));
    frames
}

fn report(world: &mut World, n: u32, message: &str, range: &str, status: &str) {
    let text = format!(
        "MSRP rep1 REPORT\r\nTo-Path: {}\r\nFrom-Path: {}\r\nMessage-ID: {message}\r\n\
         Byte-Range: {range}\r\nStatus: 000 {status}\r\n-------rep1$\r\n",
        local(n),
        remote(n)
    );
    world.receive(n, text.as_bytes());
}

#[test]
fn a_message_goes_to_its_session_alone_and_its_answer_is_told() {
    let mut world = World::conference(2);
    order(&mut world, 1, play(7, "Welcome"));
    let frame = world.frames(1).pop().expect("a SEND");
    assert_eq!((frame.start.as_str(), frame.flag), ("SEND", '$'));
    assert_eq!(frame.field("To-Path"), remote(1));
    assert_eq!(frame.field("From-Path"), local(1));
    assert_eq!(frame.field("Byte-Range"), "1-7/7");
    assert_eq!(frame.field("Content-Type"), "text/plain");
    assert_eq!(frame.field("Success-Report"), "");
    assert_eq!(frame.body, b"Welcome");
    assert!(world.frames(2).is_empty());
    assert_eq!(told(&mut world), []);
    answer(&mut world, 1, &frame.tid, "200 OK");
    assert_eq!(told(&mut world), [(7, 200)]);
    let counted = world.order(Order::Audit { session: key(1) });
    let counted = counted.expect("statistics");
    assert_eq!((counted.messages_sent, counted.volume_sent), (1, 7));
}

#[test]
fn a_refusal_is_told_and_so_is_silence() {
    let mut world = World::conference(1);
    order(&mut world, 1, play(1, "one"));
    order(&mut world, 1, play(2, "two"));
    let frames = world.frames(1);
    answer(&mut world, 1, &frames[1].tid, "415 no");
    assert_eq!(told(&mut world), [(2, 415)]);
    world.advance(Limits::default().response_timeout);
    assert_eq!(told(&mut world), [(1, 408)]);
    answer(&mut world, 1, &frames[0].tid, "200 OK");
    assert_eq!(told(&mut world), [], "too late");
}

#[test]
fn a_report_of_success_is_waited_for_until_it_covers_all() {
    let mut world = World::conference(1);
    let wanted = Play {
        success_report: true,
        ..play(1, "0123456789")
    };
    order(&mut world, 1, wanted);
    let frame = world.frames(1).pop().expect("a SEND");
    assert_eq!(frame.field("Success-Report"), "yes");
    let id = frame.field("Message-ID").to_owned();
    answer(&mut world, 1, &frame.tid, "200 OK");
    report(&mut world, 1, "other", "1-10/10", "200 OK");
    report(&mut world, 1, &id, "1-4/10", "200 OK");
    assert_eq!(told(&mut world), []);
    report(&mut world, 1, &id, "5-10/10", "200 OK");
    assert_eq!(told(&mut world), [(1, 200)]);
}

#[test]
fn a_report_of_failure_is_told() {
    let mut world = World::conference(1);
    let silent = Play {
        success_report: true,
        failure_report: false,
        ..play(1, "0123456789")
    };
    order(&mut world, 1, silent);
    let frame = world.frames(1).pop().expect("a SEND");
    assert_eq!(frame.field("Failure-Report"), "no");
    report(&mut world, 1, frame.field("Message-ID"), "1-10/10", "413");
    assert_eq!(told(&mut world), [(1, 413)]);
}

#[test]
fn what_asks_for_nothing_is_played_once_it_is_sent() {
    let mut world = World::conference(1);
    let silent = Play {
        failure_report: false,
        ..play(1, "x")
    };
    order(&mut world, 1, silent);
    assert_eq!(told(&mut world), [(1, 200)]);
    assert_eq!(world.frames(1).len(), 1);
}

#[test]
fn playing_waits_for_the_connection_whatever_the_mode() {
    let mut world = World::new();
    let mut muted = config(1);
    (muted.sends, muted.receives) = (false, false);
    world.install(1, muted);
    order(&mut world, 1, play(1, "Welcome"));
    let frames = bind(&mut world, 1);
    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0].body, b"Welcome");
}

#[test]
fn playing_waits_for_a_connection_only_so_long() {
    let mut world = World::new();
    world.install(1, config(1));
    order(&mut world, 1, play(1, "Welcome"));
    world.advance(Limits::default().response_timeout);
    assert_eq!(told(&mut world), [(1, 408)]);
    world.join(1);
    assert!(world.frames(1).is_empty());
}

#[test]
fn the_end_of_the_connection_or_the_session_ends_what_is_played() {
    let mut world = World::conference(2);
    order(&mut world, 1, play(1, "a"));
    order(&mut world, 2, play(2, "b"));
    world.close(1);
    assert_eq!(told(&mut world), [(1, 408)]);
    world.order(Order::Remove { session: key(2) });
    assert_eq!(told(&mut world), [(2, 481)]);
    order(&mut world, 2, play(3, "c"));
    assert_eq!(told(&mut world), [(3, 481)]);
    world.advance(Duration::from_secs(60));
    assert_eq!(told(&mut world), []);
}

#[test]
fn what_is_stopped_is_not_sent_and_not_told() {
    let mut world = World::new();
    world.install(1, config(1));
    order(&mut world, 1, play(1, "a"));
    order(&mut world, 1, play(2, "b"));
    let session = key(1);
    world.order(Order::StopPlay { session, id: 1 });
    let frames = bind(&mut world, 1);
    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0].body, b"b");
    world.order(Order::StopPlay { session, id: 2 });
    answer(&mut world, 1, &frames[0].tid, "200 OK");
    assert_eq!(told(&mut world), []);
}

#[test]
fn a_message_larger_than_the_participant_takes_is_not_sent() {
    let mut world = World::new();
    let mut small = config(1);
    small.terms_mut().send_bytes_max = Some(3);
    world.install(1, small);
    world.join(1);
    order(&mut world, 1, play(1, "four"));
    assert_eq!(told(&mut world), [(1, 413)]);
    assert!(world.frames(1).is_empty());
}

#[test]
fn the_largest_message_goes_out_as_one_chunk_without_its_end_line_in_it() {
    let mut world = World::conference(1);
    let body = "-------".repeat(limits::PLAY_BYTES_MAX / 7);
    order(&mut world, 1, play(1, &body));
    let frame = world.frames(1).pop().expect("a SEND");
    assert_eq!(frame.field("Byte-Range"), format!("1-*/{}", body.len()));
    assert_eq!(frame.body, body.as_bytes());
}
