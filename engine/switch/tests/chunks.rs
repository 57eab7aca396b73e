//! Where outgoing chunks begin and end.

mod common;

use clock::Duration;
use common::{Frame, World, chunk, config, conn, key, local, remote, send};
use proptest::collection::vec;
use proptest::prelude::*;
use switch::{Event, Input, Limits, Matching, Order, SessionConfig, Setup};

fn body(length: usize) -> Vec<u8> {
    (0..length).map(|i| b"abcdefghijklm"[i % 13]).collect()
}

fn joined<'a>(frames: impl IntoIterator<Item = &'a Frame>) -> Vec<u8> {
    frames.into_iter().flat_map(|f| f.body.clone()).collect()
}

fn update(world: &mut World, n: u32, change: impl FnOnce(&mut SessionConfig)) {
    let mut config = Box::new(config(n));
    change(&mut config);
    let session = key(n);
    world.order(Order::Update { session, config });
}

// MSRP-SEND-006, MSRP-SEND-008, MSRP-SEND-009, MSRP-SEND-017
#[test]
fn long_chunks_are_cut_at_the_limit_whatever_the_pieces() {
    let limits = Limits {
        chunk_bytes_max: 20_000,
        ..Limits::default()
    };
    let body = body(70_000);
    let text = send(1, "longlong", "ll11", "", &body);
    for size in [text.len(), 30_000, 1_448, 1] {
        let mut world = World::conference_with(2, limits);
        text.chunks(size).for_each(|piece| world.receive(1, piece));
        let got = world.frames(2);
        let flags: String = got.iter().map(|f| f.flag).collect();
        assert_eq!(flags, "+++$");
        // Up to what is kept back less than the limit.
        let (_, but_last) = got.split_last().expect("some");
        let is_near = |f: &Frame| (18_000..=20_000).contains(&f.body.len());
        assert!(but_last.iter().all(is_near), "by {size}");
        let mut at = 1;
        for frame in &got {
            assert_eq!(frame.field("Byte-Range"), format!("{at}-*/70000"));
            at += frame.body.len();
        }
        assert!(joined(&got) == body);
        assert_eq!(world.frames(1).len(), 1, "one chunk came, one answer goes");
    }
}

// MSRP-SEND-001, MSRP-SEND-002, MSRP-SEND-014, MSRP-RECV-002
#[test]
fn a_megabyte_on_an_idle_link_leaves_as_one_chunk() {
    let mut world = World::conference(2);
    let body = body(1_000_000);
    let extra = "Success-Report: yes\r\n";
    let text = send(1, "megabyte", "mb11", extra, &body);
    text.chunks(16_384)
        .for_each(|piece| world.receive(1, piece));
    let got = world.frames(2);
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].field("Byte-Range"), "1-*/1000000");
    assert!(got[0].body == body);
}

// MSRP-SEND-014, MSRP-SEND-016
#[test]
fn tiny_pieces_of_two_senders_make_no_tiny_chunks() {
    let mut world = World::conference(3);
    let texts = [1, 2].map(|n| {
        let tid = format!("trickle{n}");
        send(n, &tid, &tid, "", &body(20_000))
    });
    let length = texts[0].len().max(texts[1].len());
    for at in (0..length).step_by(50) {
        for (n, text) in [(1, &texts[0]), (2, &texts[1])] {
            if at < text.len() {
                world.receive(n, &text[at..text.len().min(at + 50)]);
            }
        }
    }
    let got = world.frames(3);
    for id in ["trickle1", "trickle2"] {
        let mine: Vec<_> = got.iter().filter(|f| f.field("Message-ID") == id).collect();
        let (_, but_last) = mine.split_last().expect("some");
        assert!(but_last.iter().all(|f| f.body.len() >= 2_048), "{id}");
        assert!(mine.len() > 1, "they take turns");
        assert!(joined(mine) == body(20_000));
    }
}

// MSRP-SEND-010, MSRP-SEND-011, MSRP-SEND-012, MSRP-SEND-013, MSRP-RECV-011
#[test]
fn ranges_say_what_is_known() {
    for (range, length, flag, expected) in [
        ("1-*/*", 5, '$', "1-5/5"),
        ("1-5/9", 5, '+', "1-5/9"),
        ("1-2048/2048", 2_048, '$', "1-2048/2048"),
        ("1-2049/2049", 2_049, '$', "1-*/2049"),
        ("1-*/*", 3_000, '+', "1-*/*"),
        ("1-0/0", 0, '$', "1-0/0"),
        ("6-*/*", 0, '$', "6-*/5"),
    ] {
        let mut world = World::conference(2);
        world.receive(
            1,
            &chunk(1, "rangesay", "rs11", range, "", &body(length), flag),
        );
        let got = world.frames(2);
        assert_eq!(
            got[0].field("Byte-Range"),
            expected,
            "{range} {length} {flag}"
        );
        assert_eq!(got[0].body.len(), length);
    }
}

/// What a range may claim: nothing, or any number near the truth.
fn claim() -> impl Strategy<Value = Option<usize>> {
    prop_oneof![Just(None), (0..6_000_usize).prop_map(Some)]
}

fn or_star(number: Option<usize>) -> String {
    number.map_or_else(|| "*".to_owned(), |n| n.to_string())
}

proptest! {
    #![proptest_config(common::fixed_cases(128))]

    /// A receiver counts the octets that came, not those that range-end and total claim, 1-0/0 included
    /// (RFC 4975 7.3.1; its own examples claim wrongly): the message is taken and what is sent on says
    /// what is in it.
    // MSRP-RECV-005, MSRP-RECV-008, MSRP-ERR-009
    #[test]
    fn a_range_that_lies_is_not_handed_on(
        parts in vec((1..3_000_usize, claim(), claim()), 1..4),
        is_abandoned in any::<bool>(),
    ) {
        let mut world = World::conference(2);
        let whole = body(parts.iter().map(|(length, ..)| length).sum());
        let (mut at, mut last) = (0, parts.len());
        for (length, end, total) in parts {
            last -= 1;
            let claimed = format!("{}-{}/{}", at + 1, or_star(end), or_star(total));
            let truth = format!("{}-*/*", at + 1);
            let is_sound = msrp::ByteRange::parse(claimed.as_bytes()).is_ok();
            let range = if is_sound { claimed } else { truth };
            let flag = match (last, is_abandoned) {
                (0, true) => '#',
                (0, false) => '$',
                _ => '+',
            };
            let tid = format!("lying{last:03}");
            let text = chunk(1, &tid, "ly11", &range, "", &whole[at..at + length], flag);
            world.receive(1, &text);
            at += length;
        }
        prop_assert!(world.frames(1).iter().all(|f| f.start == "200 OK"));
        let mut got = Vec::new();
        for frame in world.frames(2) {
            let range = msrp::ByteRange::parse(frame.field("Byte-Range").as_bytes());
            let range = range.expect("ours are sound");
            prop_assert_eq!(range.offset(), got.len() as u64);
            got.extend_from_slice(&frame.body);
            let reach = got.len() as u64;
            prop_assert!(range.end().is_none_or(|end| end == reach));
            prop_assert!(range.total().is_none_or(|total| total >= reach));
            if frame.flag == '$' {
                prop_assert_eq!(range.total(), Some(reach));
            }
        }
        prop_assert!(got == whole);
    }
}

// MSRP-RECV-012, MSRP-FRAME-008
#[test]
fn a_message_is_abandoned_with_or_without_octets() {
    for (end, length) in [("with", 3), ("empty", 0), ("bodiless", 0)] {
        let mut world = World::conference(2);
        world.receive(1, &chunk(1, "abandon1", "ab11", "1-5/9", "", b"12345", '+'));
        let text = chunk(1, "abandon2", "ab11", "6-*/9", "", &body(length), '#');
        let mut text = String::from_utf8(text).expect("text");
        if end == "bodiless" {
            text = text.replace("Content-Type: text/plain\r\n\r\n\r\n", "");
        }
        world.receive(1, text.as_bytes());
        let got = world.frames(2);
        let flags: String = got.iter().map(|f| f.flag).collect();
        assert_eq!(flags, "+#", "{end}");
        assert_eq!(got[1].body.len(), length);
        assert!(got[1].field("Byte-Range").starts_with("6-"), "{end}");
        assert_eq!(world.frames(1).len(), 2, "both are answered");
        assert_eq!(world.shard.message_count(), 0);
    }
}

// MSRP-CONN-009
#[test]
fn a_sender_lost_between_or_within_chunks_ends_its_message_for_all() {
    // Between two chunks; within one that a response interrupted.
    for is_between in [true, false] {
        let mut world = World::conference(2);
        if is_between {
            world.receive(1, &chunk(1, "lostsend", "ls11", "1-5/9", "", b"12345", '+'));
        } else {
            let text = chunk(1, "lostsend", "ls11", "1-*/9000", "", &body(9_000), '$');
            world.receive(1, &text[..4_000]);
            world.receive(2, &send(2, "interrup", "ir11", "", b"x"));
        }
        world.close(1);
        let got = world.frames(2);
        let copies: Vec<_> = got.iter().filter(|f| f.start == "SEND").collect();
        let flags: String = copies.iter().map(|f| f.flag).collect();
        assert_eq!(flags, "+#", "between: {is_between}");
        assert!(copies[1].body.is_empty());
        let position = format!("{}-*", copies[0].body.len() + 1);
        assert!(copies[1].field("Byte-Range").starts_with(&position));
    }
}

// MSRP-SEND-019, MSRP-SEND-020, MSRP-TGPP-003, MSRP-TGPP-008
#[test]
fn a_recipient_gets_only_what_it_takes_and_the_sender_of_a_conference_is_told() {
    for (content, takes, wrapped, status) in [
        ("text/plain", &["message/cpim"][..], &[][..], "REPORT 415"),
        ("text/plain", &["text/*"], &[], ""),
        (
            "message/cpim",
            &["message/cpim"],
            &["image/png"],
            "REPORT 415",
        ),
        (
            "message/cpim",
            &["message/cpim", "text/plain"],
            &["image/png"],
            "",
        ),
        ("message/cpim", &["message/cpim"], &["text/plain"], ""),
        ("message/cpim", &["*"], &[], ""),
        (
            "application/im-iscomposing+xml",
            &["text/plain"],
            &[],
            "silent",
        ),
    ] {
        let mut world = World::conference(3);
        update(&mut world, 2, |c| {
            c.terms_mut().send_types = takes.iter().map(|t| (*t).into()).collect();
            c.terms_mut().send_wrapped_types = wrapped.iter().map(|t| (*t).into()).collect();
        });
        let body = b"From: <a:b>\r\nTo: <c:d>\r\n\r\nContent-Type: text/plain\r\n\r\nx";
        let text = String::from_utf8(send(1, "takestyp", "tt11", "", body)).expect("text");
        let text = text.replacen(
            "Content-Type: text/plain",
            &format!("Content-Type: {content}"),
            1,
        );
        world.receive(1, text.as_bytes());
        let got = world.frames(1);
        let reports = got.iter().filter(|f| f.start == "REPORT");
        let reports: Vec<_> = reports
            .map(|f| format!("REPORT {}", &f.field("Status")[4..7]))
            .collect();
        let expected: Vec<_> = status
            .starts_with("REPORT")
            .then(|| status.to_owned())
            .into_iter()
            .collect();
        assert_eq!(reports, expected, "{content} {takes:?} {wrapped:?}");
        let is_withheld = !status.is_empty();
        assert_eq!(
            world.frames(2).is_empty(),
            is_withheld,
            "{content} {takes:?}"
        );
        assert_eq!(joined(&world.frames(3)), body, "the others have it");
    }
}

// MSRP-IMDN-003, MSRP-IMDN-006, MSRP-SMIME-001, MSRP-RCS-003, MSRP-CPIM-008
#[test]
fn a_conference_passes_wrappers_on_as_they_are() {
    for (content, body) in [
        (
            "message/cpim",
            "From: <sip:anonymous@anonymous.invalid>\r\nTo: <sip:anonymous@anonymous.invalid>\r\n\r\nContent-Type: message/imdn+xml\r\nContent-Disposition: notification\r\n\r\n<imdn/>",
        ),
        (
            "message/cpim",
            "Require: x.Unknown\r\nTo: <c:d>\r\nTo: <e:f>\r\n\r\n\r\nx",
        ),
        ("message/cpim", "not a wrapper"),
        ("message/cpim", ""),
        ("application/pkcs7-mime", "\0\u{1}\u{2}"),
    ] {
        let mut world = World::conference(2);
        let text =
            String::from_utf8(send(1, "passeson", "po11", "", body.as_bytes())).expect("text");
        let text = text.replacen("text/plain", content, 1);
        text.as_bytes()
            .chunks(9)
            .for_each(|piece| world.receive(1, piece));
        assert!(world.take(1).contains(" 200"));
        assert_eq!(joined(&world.frames(2)), body.as_bytes());
    }
    let mut world = World::conference(2);
    let endless = "From: <a:b>\r\n".repeat(2_000);
    let text =
        String::from_utf8(send(1, "passeson", "po12", "", endless.as_bytes())).expect("text");
    world.receive(1, text.replacen("text/plain", "message/cpim", 1).as_bytes());
    assert_eq!(
        joined(&world.frames(2)),
        endless.as_bytes(),
        "headers without end"
    );
}

#[test]
fn a_mode_holds_at_once_in_the_middle_of_a_message() {
    let text = chunk(1, "midmode1", "mm11", "1-*/9000", "", &body(9_000), '$');
    let mut world = World::conference(3);
    world.receive(1, &text[..4_000]);
    update(&mut world, 2, |c| c.sends = false);
    let got = world.frames(2);
    assert_eq!(
        got.last().map(|f| f.flag),
        Some('#'),
        "not with the next octets"
    );
    world.receive(1, &text[4_000..]);
    assert!(world.frames(2).is_empty());
    assert_eq!(joined(&world.frames(3)).len(), 9_000);
    let mut world = World::conference(2);
    world.receive(1, &text[..4_000]);
    update(&mut world, 1, |c| c.receives = false);
    assert_eq!(world.frames(2).last().map(|f| f.flag), Some('#'));
    world.receive(1, &text[4_000..]);
    assert!(world.take(1).starts_with("MSRP midmode1 413"));
    assert!(world.frames(2).is_empty());
}

// MSRP-RPT-007
#[test]
fn a_failure_report_says_how_much_came() {
    let mut world = World::conference(2);
    let text = chunk(1, "howmuch1", "hm11", "1-*/*", "", &body(700), '+');
    world.receive(1, &text);
    world.frames(1);
    world.close(2);
    let got = world.frames(1);
    assert_eq!(got[0].field("Byte-Range"), "1-700/*");
    assert!(got[0].field("Status").starts_with("000 408"));
}

#[test]
fn what_is_queued_behind_a_batch_in_flight_still_leaves_before_the_close() {
    for is_read in [true, false] {
        let mut world = World::conference(2);
        world.receive(1, &send(1, "behind01", "bh11", "", b"x"));
        world.frames(2);
        world.stick(2);
        world.receive(1, &send(1, "behind02", "bh12", "", b"x"));
        world.receive(2, &send(2, "behind03", "bh13", "", b"x"));
        world.order(Order::Remove { session: key(2) });
        assert!(world.closed.is_empty());
        if is_read {
            world.unstick(2);
        } else {
            world.stuck.remove(&2);
            world.advance(Limits::default().linger);
        }
        assert_eq!(world.closed, [2]);
        let answers = world.frames(2);
        let is_answered = answers.iter().any(|f| f.start == "200 OK");
        assert_eq!(is_answered, is_read, "its last answer");
    }
}

// MSRP-RCS-006, MSRP-WS-005
#[test]
fn silence_is_told_and_counted_anew_from_anything_that_comes() {
    let after = Duration::from_secs(60);
    let mut world = World::conference(2);
    update(&mut world, 1, |c| c.terms_mut().idle_after = Some(after));
    let told = |world: &mut World| {
        let is_idle = |e: &&Event| matches!(e, Event::Idle { session } if *session == key(1));
        let count = world.events.iter().filter(is_idle).count();
        world.events.clear();
        count
    };
    world.advance(after - Duration::from_secs(1));
    assert_eq!(told(&mut world), 0);
    let alive = format!(
        "MSRP keepaliv SEND\r\nTo-Path: {}\r\nFrom-Path: {}\r\nMessage-ID: kali\r\n-------keepaliv$\r\n",
        local(1),
        remote(1)
    );
    world.receive(1, alive.as_bytes());
    assert!(world.take(1).contains(" 200"));
    assert!(world.frames(2).is_empty(), "nobody else hears of it");
    world.advance(after - Duration::from_secs(1));
    assert_eq!(told(&mut world), 0);
    world.advance(Duration::from_secs(1));
    assert_eq!(told(&mut world), 1);
    world.advance(after);
    assert_eq!(told(&mut world), 1, "and again");
    update(&mut world, 1, |c| c.terms_mut().idle_after = None);
    world.advance(after * 2);
    assert_eq!(told(&mut world), 0);
}

// MSRP-URI-007, MSRP-URI-008, MSRP-URI-012, MSRP-RCS-005, MSRP-CONN-007
#[test]
fn a_to_path_matches_by_session_id_alone_or_by_all_of_the_uri() {
    for (uri, is_strict_match) in [
        ("MSRP://192.0.2.1:2855/local1;TCP", true),
        ("msrp://user@192.0.2.1:2855/local1;tcp;x=y", true),
        ("msrps://192.0.2.1:2855/local1;tcp", false),
        ("msrp://other.example:2855/local1;tcp", false),
        ("msrp://192.0.2.1:2856/local1;tcp", false),
    ] {
        for matching in [Matching::SessionId, Matching::Uri] {
            let mut world = World::conference(2);
            update(&mut world, 1, |c| c.terms_mut().matching = matching);
            let text = String::from_utf8(send(1, "matching", "ma11", "", b"x")).expect("text");
            world.receive(1, text.replace(&local(1), uri).as_bytes());
            let is_taken = matching == Matching::SessionId || is_strict_match;
            let status = if is_taken { " 200" } else { " 481" };
            assert!(world.take(1).contains(status), "{uri} {matching:?}");
        }
    }
}

// MSRP-CEMA-002, MSRP-TGPP-006, MSRP-CONN-004, MSRP-ACM-006
#[test]
fn an_active_session_connects_to_its_address_and_never_looks_at_the_path() {
    let mut world = World::conference(1);
    let hidden = "msrp://anonymous.invalid:9/far2;tcp";
    let to = "[2001:db8::7]:7394".parse().expect("an address");
    world.install(
        2,
        SessionConfig {
            setup: Setup::Active { to },
            remote_path: Some(hidden.as_bytes().into()),
            ..config(2)
        },
    );
    let request = world.connects[0];
    world.feed(Input::Connected {
        conn: conn(2),
        request,
        via: switch::Via::default(),
    });
    assert_eq!(world.frames(2)[0].field("To-Path"), hidden);
    let bound = Event::Bound {
        session: key(2),
        peer: to,
    };
    assert!(world.events.contains(&bound));
}

// MSRP-CONN-001, MSRP-CONN-010, MSRP-CONN-013
#[test]
fn a_connection_lives_as_long_as_its_sessions() {
    let mut world = World::conference(2);
    world.install(3, config(3));
    let bind = |n: u32| String::from_utf8(send(n, "bindbind", "bb11", "", b"x")).expect("text");
    world.receive(1, bind(3).as_bytes());
    assert!(world.take(1).contains(" 200"));
    world.order(Order::Remove { session: key(1) });
    assert!(world.closed.is_empty(), "3 still uses it");
    world.receive(1, bind(1).as_bytes());
    assert!(world.take(1).contains(" 481"), "1 is no more");
    world.order(Order::Remove { session: key(3) });
    assert_eq!(world.closed, [1]);
}

// MSRP-SEND-007, MSRP-CONN-011, MSRP-TX-002, MSRP-TGPP-020, MSRP-CHAT-005
#[test]
fn requests_need_not_wait_for_answers_and_the_first_one_binds() {
    let mut world = World::new();
    for n in [1, 2] {
        world.install(n, config(n));
    }
    world.accept(2);
    world.receive(2, &send(2, "bindtwo2", "bt22", "", b"hello?"));
    world.frames(2);
    world.accept(1);
    let ids = ["pipe1111", "pipe2222", "pipe3333"];
    let text: Vec<u8> = ids
        .iter()
        .flat_map(|id| send(1, id, id, "", id.as_bytes()))
        .collect();
    world.receive(1, &text);
    let answered: Vec<_> = world.frames(1).into_iter().map(|f| f.tid).collect();
    assert_eq!(answered, ids);
    let got = world.frames(2);
    let copied: Vec<_> = got.iter().map(|f| f.field("Message-ID")).collect();
    assert_eq!(copied, ids);
    assert_eq!(joined(&got), ids.concat().as_bytes());
}

// MSRP-RECV-001, MSRP-RECV-015, MSRP-RECV-016
#[test]
fn a_message_is_answered_at_once_whatever_it_is_and_however_slow_the_others_are() {
    let mut world = World::conference(3);
    world.stick(2);
    for (n, content) in [(1, "multipart/mixed"), (3, "multipart/alternative")] {
        // The same Message-ID from two sessions names two messages.
        let text = String::from_utf8(send(n, "sameids1", "same", "", b"--b--")).expect("text");
        let text = text.replace("text/plain", &format!("{content};boundary=b"));
        world.receive(n, text.as_bytes());
        let got = world.frames(n);
        assert!(got.iter().any(|f| f.start == "200 OK"), "{content}");
    }
    world.unstick(2);
    assert_eq!(world.frames(2).len(), 2);
}

// MSRP-STAT-006, MSRP-STAT-012
#[test]
fn a_408_and_codes_that_nobody_knows_are_failures() {
    for status in ["408 late", "499 what", "599"] {
        let mut world = World::conference(2);
        world.receive(1, &send(1, "strange1", "sg11", "", b"x"));
        world.frames(1);
        let tid = world.frames(2).remove(0).tid;
        let text = format!(
            "MSRP {tid} {status}\r\nTo-Path: {}\r\nFrom-Path: {}\r\n-------{tid}$\r\n",
            local(2),
            remote(2)
        );
        world.receive(2, text.as_bytes());
        let got = world.frames(1);
        assert_eq!(got[0].field("Status")[4..7], status[..3]);
    }
}
