//! Chat rooms (RFC 7701): who may say what to whom, and what comes back.

mod common;

use std::sync::Arc;

use clock::Duration;
use common::{Frame, World, chunk, config, key, local, remote, send};
use switch::{ContextKey, Event, Limits, Order, Profile, SessionConfig, Terms};

const ROOM: &str = "sip:room@chat.example";

/// The URI of participant `n`.
fn user(n: u32) -> String {
    format!("sip:user{n}@example.com")
}

fn member(n: u32) -> SessionConfig {
    SessionConfig {
        user: Some(user(n).into()),
        terms: Arc::new(Terms {
            profile: Profile::Chatroom,
            room: Some(ROOM.into()),
            nicknames: true,
            reserved_nicknames: vec!["Admin".into()],
            private_messages: true,
            ..Terms::default()
        }),
        ..config(n)
    }
}

fn room(count: u32) -> World {
    room_with(count, Limits::default())
}

fn room_with(count: u32, limits: Limits) -> World {
    let mut world = World::with(limits);
    for n in 1..=count {
        world.install(n, member(n));
        world.join(n);
    }
    world
}

fn update(world: &mut World, n: u32, change: impl FnOnce(&mut SessionConfig)) {
    let mut config = Box::new(member(n));
    change(&mut config);
    let session = key(n);
    world.order(Order::Update { session, config });
}

/// What participant `n` says to `to`.
fn wrapped(n: u32, to: &str, content: &str) -> String {
    format!(
        "From: <{}>\r\nTo: <{to}>\r\nDateTime: 2026-03-02T15:02:31Z\r\n\r\n\
         Content-Type: text/plain\r\n\r\n{content}",
        user(n)
    )
}

/// A chunk in Message/CPIM.
fn cpim(
    n: u32,
    tid: &str,
    message: &str,
    extra: &str,
    range: &str,
    body: &str,
    flag: char,
) -> Vec<u8> {
    let text = chunk(n, tid, message, range, extra, body.as_bytes(), flag);
    let text = String::from_utf8(text).expect("text");
    text.replacen("Content-Type: text/plain", "Content-Type: message/cpim", 1)
        .into_bytes()
}

/// All of a message in Message/CPIM.
fn say(world: &mut World, n: u32, tid: &str, extra: &str, body: &str) -> Vec<Frame> {
    let range = format!("1-{0}/{0}", body.len());
    world.receive(n, &cpim(n, tid, tid, extra, &range, body, '$'));
    world.frames(n)
}

/// What the answers and reports to a participant say.
fn statuses(frames: &[Frame]) -> Vec<String> {
    let status = |f: &Frame| match f.start.as_str() {
        "REPORT" => format!("REPORT {}", &f.field("Status")[4..7]),
        start => start[..3].to_owned(),
    };
    frames.iter().map(status).collect()
}

fn bodies(frames: &[Frame]) -> String {
    let bodies: Vec<u8> = frames.iter().flat_map(|f| f.body.clone()).collect();
    String::from_utf8(bodies).expect("text")
}

#[track_caller]
fn check_refused(world: &mut World, body: &str, status: &str) {
    let got = say(world, 1, "refused01", "Success-Report: yes\r\n", body);
    assert_eq!(statuses(&got), [status], "{body}");
    for n in [2, 3] {
        assert!(world.frames(n).is_empty(), "{n} gets nothing of {body}");
    }
    assert_eq!(world.shard.message_count(), 0);
}

// MSRP-CHAT-012, MSRP-CHAT-013, MSRP-CPIM-006
#[test]
fn what_is_said_to_the_room_goes_to_all_others_octet_for_octet() {
    let mut world = room(3);
    let body = wrapped(1, ROOM, "Hello");
    assert_eq!(
        statuses(&say(&mut world, 1, "toroom01", "", &body)),
        ["200"]
    );
    for n in [2, 3] {
        let got = world.frames(n);
        assert_eq!(bodies(&got), body);
        assert_eq!(got[0].field("Content-Type"), "message/cpim");
        assert_eq!(got[0].field("To-Path"), remote(n));
    }
}

// MSRP-CHAT-009, MSRP-STAT-008
#[test]
fn what_is_not_wrapped_is_a_415() {
    let mut world = room(3);
    world.receive(1, &send(1, "barebare", "ba11", "", b"bare text"));
    assert_eq!(statuses(&world.frames(1)), ["415"]);
    assert!(world.frames(2).is_empty());
}

// MSRP-CHAT-010, MSRP-CHAT-011, MSRP-CHAT-017, MSRP-STAT-003, MSRP-STAT-005, MSRP-CPIM-005
#[test]
fn addresses_are_judged_in_their_order() {
    let mut world = room(3);
    let good = wrapped(1, ROOM, "x");
    for (from, to, status) in [
        (user(1).as_str(), "sip:other@example.com", "403"),
        (ROOM, "sip:nobody@example.com", "404"),
        ("From: ", "from: ", "403"),
        ("To: ", "to: ", "404"),
        ("From: ", "From: <sip:user1@example.com>\r\nFrom: ", "403"),
        ("To: ", "To: <sip:user2@example.com>\r\nTo: ", "403"),
        ("From: <sip:user1@example.com>", "From: <>", "400"),
    ] {
        check_refused(&mut world, &good.replacen(from, to, 1), status);
    }
    check_refused(&mut world, "no wrapper at all", "400");
}

// MSRP-CHAT-016, MSRP-CHAT-015
#[test]
fn a_private_message_goes_to_all_sessions_of_one_participant() {
    let mut world = room(3);
    world.install(
        4,
        SessionConfig {
            user: Some(format!("tel:+1 {}", user(2)).into()),
            ..member(4)
        },
    );
    world.join(4);
    let body = wrapped(1, "sip:user2@EXAMPLE.com;transport=tcp", "psst");
    assert_eq!(
        statuses(&say(&mut world, 1, "private1", "", &body)),
        ["200"]
    );
    assert_eq!(bodies(&world.frames(2)), body);
    assert_eq!(bodies(&world.frames(4)), body);
    assert!(world.frames(3).is_empty());
    let body = wrapped(1, ROOM, "all");
    say(&mut world, 1, "regular1", "", &body);
    for n in [2, 3, 4] {
        assert_eq!(bodies(&world.frames(n)), body, "{n}");
    }
}

// MSRP-CHAT-016, MSRP-CHAT-017
#[test]
fn whoever_calls_itself_anonymous_is_addressed_by_a_uri_of_its_own() {
    const ANONYMOUS: &str = "sip:anonymous@anonymous.invalid";
    let own = |n: u32| format!("sip:anonymous{n}@anonymous.invalid");
    let mut world = room(1);
    for n in [2, 3] {
        let user = format!("{} {ANONYMOUS}", own(n));
        world.install(
            n,
            SessionConfig {
                user: Some(user.into()),
                ..member(n)
            },
        );
        world.join(n);
    }
    let said = wrapped(2, ROOM, "hello").replace(&user(2), ANONYMOUS);
    assert_eq!(
        statuses(&say(&mut world, 2, "anonym01", "", &said)),
        ["200"]
    );
    for n in [1, 3] {
        assert_eq!(bodies(&world.frames(n)), said, "{n}");
    }
    // Not to both of them.
    check_refused(&mut world, &wrapped(1, ANONYMOUS, "psst"), "404");
    let body = wrapped(1, &own(3), "psst");
    assert_eq!(
        statuses(&say(&mut world, 1, "anonym02", "", &body)),
        ["200"]
    );
    assert_eq!(bodies(&world.frames(3)), body);
    assert!(world.frames(2).is_empty());
}

// MSRP-CHAT-018, MSRP-CHAT-019, MSRP-STAT-014
#[test]
fn private_messages_need_the_room_and_the_recipient() {
    let mut world = room(3);
    update(&mut world, 2, |c| {
        c.terms_mut().takes_private_messages = false
    });
    check_refused(&mut world, &wrapped(1, &user(2), "x"), "428");
    update(&mut world, 1, |c| c.terms_mut().private_messages = false);
    check_refused(&mut world, &wrapped(1, &user(3), "x"), "403");
}

// MSRP-CHAT-014
#[test]
fn what_a_recipient_does_not_take_is_withheld_from_it_alone() {
    let mut world = room(4);
    update(&mut world, 2, |c| {
        c.terms_mut().send_types = vec!["message/cpim".into()];
        c.terms_mut().send_wrapped_types = vec!["text/plain".into()];
    });
    update(&mut world, 3, |c| {
        c.terms_mut().send_types = vec!["text/plain".into()]
    });
    let html = wrapped(1, ROOM, "x").replace("text/plain", "text/html");
    let extra = "Success-Report: yes\r\n";
    let got = say(&mut world, 1, "withheld", extra, &html);
    assert_eq!(statuses(&got), ["200", "REPORT 200"], "nobody is told");
    assert!(world.frames(2).is_empty());
    assert!(world.frames(3).is_empty());
    assert_eq!(bodies(&world.frames(4)), html);
}

// MSRP-SDP-006, MSRP-RECV-014
#[test]
fn a_sender_is_held_to_the_wrapped_types_it_may_send() {
    let mut world = room(3);
    update(&mut world, 1, |c| {
        c.terms_mut().receive_wrapped_types = vec!["text/*".into()]
    });
    let body = wrapped(1, ROOM, "x");
    check_refused(&mut world, &body.replace("text/plain", "image/png"), "415");
    assert_eq!(
        statuses(&say(&mut world, 1, "wrapped1", "", &body)),
        ["200"]
    );
}

// MSRP-CHAT-020, MSRP-CHAT-022
#[test]
fn headers_may_come_in_any_pieces_and_over_chunks() {
    let body = wrapped(1, ROOM, &"long ".repeat(800));
    for cut in [1, 10, 60, 130, 3_000] {
        let mut world = room(2);
        let (first, rest) = body.split_at(cut);
        let total = body.len();
        let range = format!("1-{cut}/{total}");
        let text = cpim(1, "overchu1", "oc11", "", &range, first, '+');
        text.chunks(7).for_each(|piece| world.receive(1, piece));
        world.install(3, member(3));
        world.join(3);
        let range = format!("{}-{total}/{total}", cut + 1);
        let text = cpim(1, "overchu2", "oc11", "", &range, rest, '$');
        text.chunks(1_000).for_each(|piece| world.receive(1, piece));
        assert_eq!(statuses(&world.frames(1)), ["200", "200"]);
        assert_eq!(bodies(&world.frames(2)), body, "cut at {cut}");
        // Who joined while nobody knew yet to whom it goes is one of those who are there.
        let is_known = cut >= body.len() - 4_000;
        assert_eq!(world.frames(3).is_empty(), is_known, "cut at {cut}");
    }
}

#[test]
fn headers_in_two_chunks_may_be_refused_with_the_second() {
    let mut world = room(2);
    let body = wrapped(1, "sip:nobody@example.com", "x");
    let (first, rest) = body.split_at(20);
    world.receive(1, &cpim(1, "twochun1", "tc11", "", "1-20/*", first, '+'));
    world.receive(1, &cpim(1, "twochun2", "tc11", "", "21-*/*", rest, '$'));
    assert_eq!(statuses(&world.frames(1)), ["200", "404"]);
    // What does not go on with them, or begins in the middle, has nobody to go to.
    world.receive(1, &cpim(1, "twochun3", "tc12", "", "1-20/*", first, '+'));
    world.receive(1, &cpim(1, "twochun4", "tc12", "", "22-*/*", rest, '$'));
    world.receive(1, &cpim(1, "twochun5", "tc13", "", "22-*/*", rest, '$'));
    assert_eq!(statuses(&world.frames(1)), ["200", "413", "413"]);
    assert!(world.frames(2).is_empty());
    assert_eq!(world.shard.message_count(), 0);
}

#[test]
fn headers_may_be_sent_again_from_their_beginning() {
    let mut world = room(2);
    let body = wrapped(1, ROOM, "again");
    let (first, rest) = body.split_at(20);
    for tid in ["anew0001", "anew0002"] {
        world.receive(1, &cpim(1, tid, "an11", "", "1-20/*", first, '+'));
    }
    world.receive(1, &cpim(1, "anew0003", "an11", "", "21-*/*", rest, '$'));
    assert_eq!(bodies(&world.frames(2)), body);
}

// MSRP-CHAT-021, MSRP-CHAT-023, MSRP-RPT-001, MSRP-RPT-015
#[test]
fn the_switch_reports_as_the_receiver_whatever_the_recipients_say() {
    for (success, failure, expected) in [
        ("no", "yes", &["200"][..]),
        ("yes", "yes", &["200", "REPORT 200"]),
        ("no", "partial", &[]),
        ("yes", "partial", &["REPORT 200"]),
        ("no", "no", &[]),
        ("yes", "no", &["REPORT 200"]),
    ] {
        let mut world = room(3);
        let extra = format!("Success-Report: {success}\r\nFailure-Report: {failure}\r\n");
        let got = say(&mut world, 1, "reports1", &extra, &wrapped(1, ROOM, "x"));
        assert_eq!(statuses(&got), expected, "{success} {failure}");
        assert_eq!(world.shard.message_count(), 0, "nothing is waited for");
        let copy = world.frames(2).remove(0);
        assert_eq!(copy.field("Failure-Report"), "partial", "errors alone");
        assert_eq!(copy.field("Success-Report"), "");
        for status in ["200 OK", "415 no"] {
            let text = format!(
                "MSRP {0} {status}\r\nTo-Path: {1}\r\nFrom-Path: {2}\r\n-------{0}$\r\n",
                copy.tid,
                local(2),
                remote(2)
            );
            world.receive(2, text.as_bytes());
        }
        let report = format!(
            "MSRP report22 REPORT\r\nTo-Path: {}\r\nFrom-Path: {}\r\nMessage-ID: reports1\r\n\
             Byte-Range: 1-1/1\r\nStatus: 000 413 no\r\n-------report22$\r\n",
            local(2),
            remote(2)
        );
        world.receive(2, report.as_bytes());
        assert!(world.frames(1).is_empty(), "nothing of it goes back");
    }
}

// MSRP-SEND-021, MSRP-SEND-022
#[test]
fn who_refuses_the_beginning_is_spared_the_rest_and_the_sender_is_not_told() {
    let mut world = room(3);
    let body = wrapped(1, ROOM, &"x".repeat(9_000));
    let range = format!("1-*/{}", body.len());
    let text = cpim(1, "spared01", "sp11", "", &range, &body, '$');
    world.receive(1, &text[..5_000]);
    let head = String::from_utf8_lossy(&world.sent[&2]).into_owned();
    let tid = head.split(' ').nth(1).expect("a transaction id").to_owned();
    let no = format!(
        "MSRP {tid} 413 no\r\nTo-Path: {}\r\nFrom-Path: {}\r\n-------{tid}$\r\n",
        local(2),
        remote(2)
    );
    world.receive(2, no.as_bytes());
    world.receive(1, &text[5_000..]);
    let flags: String = world.frames(2).iter().map(|f| f.flag).collect();
    assert_eq!(flags, "#");
    assert_eq!(bodies(&world.frames(3)), body);
    assert_eq!(statuses(&world.frames(1)), ["200"]);
}

// MSRP-CHAT-024
#[test]
fn chunks_that_stop_coming_end_the_message_for_those_who_got_its_beginning() {
    let mut world = room(2);
    let body = wrapped(1, ROOM, "beginning");
    let range = format!("1-{}/9999", body.len());
    world.receive(1, &cpim(1, "stopped1", "st11", "", &range, &body, '+'));
    world.frames(1);
    let quiet = Limits::default().chunk_timeout;
    world.advance(quiet - Duration::from_secs(1));
    assert_eq!(world.frames(2).len(), 1);
    world.advance(Duration::from_secs(2));
    let end = world.frames(2);
    assert_eq!(end.len(), 1, "a chunk of its own carries the flag");
    assert_eq!((end[0].flag, end[0].body.len()), ('#', 0));
    assert_eq!(
        end[0].field("Byte-Range"),
        format!("{}-*/9999", body.len() + 1)
    );
    assert_eq!(end[0].field("Message-ID"), "st11");
    assert_eq!(world.shard.message_count(), 0);
}

fn nickname(world: &mut World, n: u32, value: &str) -> String {
    world.frames(n);
    let text = format!(
        "MSRP nickna{n}x NICKNAME\r\nTo-Path: {}\r\nFrom-Path: {}\r\n{value}-------nickna{n}x$\r\n",
        local(n),
        remote(n)
    );
    world.receive(n, text.as_bytes());
    statuses(&world.frames(n)).concat()
}

fn take(world: &mut World, n: u32, name: &str) -> String {
    nickname(world, n, &format!("Use-Nickname: \"{name}\"\r\n"))
}

fn told(world: &mut World) -> Vec<(u32, Option<String>)> {
    let mut told = Vec::new();
    for event in core::mem::take(&mut world.events) {
        if let Event::Nickname { session, nickname } = event {
            told.push((session.termination, nickname.map(String::from)));
        }
    }
    told
}

// MSRP-NICK-002, MSRP-NICK-004, MSRP-NICK-005, MSRP-NICK-006, MSRP-CHAT-027, MSRP-TX-012
#[test]
fn a_nickname_is_one_users() {
    let mut world = room(3);
    told(&mut world);
    assert_eq!(take(&mut world, 1, "Bobby"), "200");
    assert_eq!(told(&mut world), [(1, Some("Bobby".to_owned()))]);
    assert_eq!(take(&mut world, 2, " bOBBY "), "425", "the same one");
    assert_eq!(take(&mut world, 2, "admin"), "425", "reserved");
    assert_eq!(nickname(&mut world, 2, "Use-Nickname: Bob\r\n"), "424");
    assert_eq!(nickname(&mut world, 2, ""), "424");
    assert_eq!(take(&mut world, 2, "  "), "424", "nothing is left of it");
    assert_eq!(take(&mut world, 2, "Carl"), "200");
    assert_eq!(take(&mut world, 1, "carl"), "425");
    assert_eq!(take(&mut world, 3, "Bobby"), "425", "1 kept its old one");
    assert_eq!(told(&mut world), [(2, Some("Carl".to_owned()))]);
    assert_eq!(take(&mut world, 1, ""), "200", "given back");
    assert_eq!(told(&mut world), [(1, None)]);
}

// MSRP-NICK-001, MSRP-NICK-003, MSRP-STAT-010
#[test]
fn nicknames_need_a_room_that_has_them() {
    let mut world = room(2);
    let both = "Use-Nickname: \"x\"\r\nSuccess-Report: yes\r\n";
    assert_eq!(nickname(&mut world, 1, both), "400");
    update(&mut world, 1, |c| c.terms_mut().nicknames = false);
    assert_eq!(take(&mut world, 1, "x"), "403");
    let mut world = World::conference(2);
    assert_eq!(
        take(&mut world, 1, "x"),
        "501",
        "a 3gpp conference has none"
    );
}

// MSRP-NICK-007, MSRP-NICK-008
#[test]
fn a_nickname_is_kept_for_its_user_for_a_while() {
    let mut world = room(3);
    world.install(
        4,
        SessionConfig {
            user: Some(user(1).into()),
            ..member(4)
        },
    );
    world.join(4);
    assert_eq!(take(&mut world, 1, "Al"), "200");
    told(&mut world);
    assert_eq!(
        take(&mut world, 4, "al"),
        "200",
        "the same user, when it asks"
    );
    assert_eq!(told(&mut world), [(4, Some("al".to_owned()))]);
    world.order(Order::Remove { session: key(1) });
    assert_eq!(take(&mut world, 2, "Al"), "425", "4 has it");
    world.order(Order::Remove { session: key(4) });
    assert_eq!(take(&mut world, 2, "Al"), "425", "kept");
    world.install(1, member(1));
    world.join(1);
    assert_eq!(take(&mut world, 1, "Al"), "200", "for its user");
    assert_eq!(take(&mut world, 1, ""), "200");
    world.advance(Limits::default().nickname_quarantine);
    assert_eq!(take(&mut world, 2, "Al"), "200", "free again");
}

// MSRP-SEC-003
#[test]
fn rooms_know_nothing_of_each_other() {
    let mut world = room(2);
    world.order(Order::Move {
        session: key(2),
        context: ContextKey(2),
    });
    assert_eq!(take(&mut world, 1, "x"), "200");
    assert_eq!(take(&mut world, 2, "x"), "200");
    let got = say(&mut world, 1, "tonobody", "", &wrapped(1, &user(2), "x"));
    assert_eq!(statuses(&got), ["404"]);
}
