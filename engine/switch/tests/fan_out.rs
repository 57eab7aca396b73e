//! Chunks in, copies out: what every recipient must get, octet for octet.

mod common;

use common::{World, chunk, config, frames, key, local, remote, send};
use msrp::StatusCode;
use switch::{Event, Input, Limits, LossCause, Order, Setup, ShardIndex};

// MSRP-TX-003, MSRP-TX-010, MSRP-TX-011, MSRP-TGPP-001, MSRP-CONN-006, MSRP-STAT-001.
#[test]
fn a_message_reaches_every_other_participant_and_is_answered() {
    let mut world = World::conference(3);
    world.receive(
        1,
        &send(1, "a97ghjut", "9972", "", b"those are my principles"),
    );
    let answer = world.take(1);
    assert_eq!(
        answer,
        format!(
            "MSRP a97ghjut 200 OK\r\nTo-Path: {}\r\nFrom-Path: {}\r\n-------a97ghjut$\r\n",
            remote(1),
            local(1)
        )
    );
    for n in [2, 3] {
        let copies = world.frames(n);
        let [copy] = copies.as_slice() else {
            panic!("one copy: {copies:?}")
        };
        assert_eq!(copy.start, "SEND");
        assert_ne!(copy.tid, "a97ghjut");
        let fields: Vec<_> = copy
            .fields
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            fields,
            [
                ("To-Path", remote(n).as_str()),
                ("From-Path", local(n).as_str()),
                ("Message-ID", "9972"),
                ("Byte-Range", "1-23/23"),
                ("Content-Type", "text/plain"),
            ]
        );
        assert_eq!(copy.body, b"those are my principles");
        assert_eq!(copy.flag, '$');
    }
}

/// The copies for one recipient are made out of those for the one before, where these are alike.
#[test]
fn each_of_many_gets_copies_of_its_own_however_long_its_paths_are() {
    let mut world = World::conference(120);
    let body = |m: u32| vec![b'a' + u8::try_from(m).unwrap(); 1_000 + m as usize];
    // What one of them gets second is written when the first has left.
    world.stick(50);
    for round in ["one", "two"] {
        let text: Vec<u8> = (0..6)
            .flat_map(|m| {
                send(
                    1,
                    &format!("tid{m}{round}"),
                    &format!("id{round}{m}"),
                    "",
                    &body(m),
                )
            })
            .collect();
        world.receive(1, &text);
    }
    world.unstick(50);
    let mut tids = std::collections::BTreeSet::new();
    for n in 2..=120 {
        let copies = world.frames(n);
        assert_eq!(copies.len(), 12);
        for (m, copy) in (0..6).cycle().zip(&copies) {
            assert_eq!(copy.field("To-Path"), remote(n));
            assert_eq!(copy.field("From-Path"), local(n));
            assert!(copy.field("Message-ID").ends_with(&m.to_string()));
            assert!(copy.body == body(m));
            assert!(tids.insert(copy.tid.clone()), "ids are not used twice");
        }
    }
}

// MSRP-HDR-003, MSRP-HDR-011, MSRP-HDR-013, MSRP-HDR-004, MSRP-SEND-002.
#[test]
fn header_fields_of_the_message_go_along_in_canonical_spelling() {
    let mut world = World::conference(2);
    let extra = "success-report: yes\r\nContent-Disposition: inline\r\nX-Odd:v\r\n";
    world.receive(1, &send(1, "tid12345", "m100", extra, b"x"));
    let copy = &world.frames(2)[0];
    assert_eq!(copy.field("Success-Report"), "yes");
    assert_eq!(copy.field("Content-Disposition"), "inline");
    assert_eq!(copy.field("X-Odd"), "v");
    assert_eq!(
        copy.fields.last().map(|f| f.0.as_str()),
        Some("Content-Type")
    );
}

// MSRP-SEND-011, MSRP-SEND-013, MSRP-SEND-014, MSRP-RECV-002, MSRP-TGPP-004.
#[test]
fn a_large_chunk_is_cut_through_and_whole_again_at_the_recipient() {
    let body: Vec<u8> = (0..100_000_u32).map(|i| (i * 7 % 251) as u8).collect();
    let text = send(1, "bigchunk", "big1", "", &body);
    for size in [1_000, 1_448, 16_384, text.len()] {
        let mut world = World::conference(2);
        let mut early = 0;
        for piece in text.chunks(size) {
            world.receive(1, piece);
            early = early.max(world.sent.get(&2).map_or(0, Vec::len));
        }
        let copies = world.frames(2);
        let [copy] = copies.as_slice() else {
            panic!("{} chunks", copies.len())
        };
        assert_eq!(copy.field("Byte-Range"), "1-*/100000");
        assert!(copy.body == body, "cut at {size}");
        assert!(
            size == text.len() || early > 0,
            "nothing waits for the whole"
        );
        assert!(world.take(1).starts_with("MSRP bigchunk 200"));
    }
}

// MSRP-FRAME-015.
#[test]
fn every_cut_of_the_stream_gives_the_same_message() {
    let body = b"line one\r\n-------notmine$\r\nline two\r\n\r\n-------";
    let text = send(1, "cutcutcut", "cut1", "", body);
    for i in 0..=text.len() {
        let mut world = World::conference(2);
        for piece in [&text[..i], &text[i..]] {
            if !piece.is_empty() {
                world.receive(1, piece);
            }
        }
        let joined: Vec<u8> = world.frames(2).into_iter().flat_map(|f| f.body).collect();
        assert_eq!(joined, body, "cut at {i}");
    }
}

// MSRP-RECV-008, MSRP-SEND-008, MSRP-SEND-010, MSRP-ERR-009, MSRP-RECV-004.
#[test]
fn chunks_keep_their_byte_ranges() {
    let mut world = World::conference(2);
    world.receive(
        1,
        &chunk(1, "chunk001", "m1mm", "1-5/12", "", b"hello", '+'),
    );
    world.receive(
        1,
        &chunk(1, "chunk002", "m1mm", "6-*/12", "", b", worl", '+'),
    );
    world.receive(1, &chunk(1, "chunk003", "m1mm", "12-12/12", "", b"d", '$'));
    let copies = world.frames(2);
    let ranges: Vec<_> = copies
        .iter()
        .map(|c| (c.field("Byte-Range"), c.flag))
        .collect();
    assert_eq!(
        ranges,
        [("1-5/12", '+'), ("6-11/12", '+'), ("12-12/12", '$')]
    );
    assert_eq!(world.frames(1).len(), 3, "each chunk has its 200");
}

// MSRP-SEND-015, MSRP-SEND-017.
#[test]
fn a_response_interrupts_the_chunk_that_is_open_towards_its_sender() {
    let mut world = World::conference(2);
    let body = vec![b'x'; 10_000];
    let big = send(1, "bigbigbig", "big2", "", &body);
    world.receive(1, &big[..5_000]);
    world.receive(2, &send(2, "quickone", "q100", "", b"hi"));
    world.receive(1, &big[5_000..]);
    let got = world.frames(2);
    let kinds: Vec<_> = got.iter().map(|f| (f.start.as_str(), f.flag)).collect();
    assert_eq!(kinds, [("SEND", '+'), ("200 OK", '$'), ("SEND", '$')]);
    let first = got[0].body.len();
    assert_eq!(got[0].field("Byte-Range"), "1-*/10000");
    assert_eq!(got[2].field("Byte-Range"), format!("{}-*/10000", first + 1));
    assert_ne!(got[0].tid, got[2].tid);
    assert_eq!(first + got[2].body.len(), body.len());
}

// MSRP-SEND-016, MSRP-SEND-017.
#[test]
fn two_senders_share_a_recipient_by_interrupting_each_other() {
    let mut world = World::conference(3);
    let texts = [(1, 'a', "fromone1"), (2, 'b', "fromtwo2")].map(|(n, fill, tid)| {
        (
            n,
            send(n, tid, &format!("big{n}"), "", &vec![fill as u8; 20_000]),
        )
    });
    for at in (0..texts[0].1.len()).step_by(3_000) {
        for (n, text) in &texts {
            let end = text.len().min(at + 3_000);
            world.receive(*n, &text[at..end]);
        }
    }
    let got = world.frames(3);
    for (fill, id) in [(b'a', "big1"), (b'b', "big2")] {
        let mut offset = 0;
        for frame in got.iter().filter(|f| f.field("Message-ID") == id) {
            let start: usize = frame
                .field("Byte-Range")
                .split('-')
                .next()
                .unwrap()
                .parse()
                .unwrap();
            assert_eq!(start, offset + 1);
            assert!(frame.body.iter().all(|&c| c == fill));
            offset += frame.body.len();
        }
        assert_eq!(offset, 20_000);
    }
}

// MSRP-FRAME-008, MSRP-RECV-012.
#[test]
fn an_aborted_chunk_is_aborted_for_everybody() {
    let mut world = World::conference(2);
    let text = chunk(1, "aborted1", "ab11", "1-*/5000", "", &[b'z'; 3_000], '#');
    world.receive(1, &text[..2_000]);
    world.receive(1, &text[2_000..]);
    let copies = world.frames(2);
    assert_eq!(copies.last().map(|f| f.flag), Some('#'));
    assert_eq!(
        world.shard.message_count(),
        0,
        "nobody waits for its answers"
    );
}

// MSRP-CONN-009.
#[test]
fn a_sender_that_is_lost_in_the_middle_aborts_its_message() {
    let mut world = World::conference(2);
    let text = send(1, "lostlost", "lo11", "", &[b'z'; 9_000]);
    world.receive(1, &text[..4_000]);
    world.close(1);
    let copies = world.frames(2);
    assert_eq!(copies.len(), 1);
    assert_eq!(copies[0].flag, '#');
    let lost = Event::Lost {
        session: key(1),
        cause: LossCause::Closed,
    };
    assert!(world.events.contains(&lost));
}

// MSRP-CHAT-022.
#[test]
fn a_leaver_in_the_middle_gets_its_copy_aborted_and_the_others_go_on() {
    let mut world = World::conference(3);
    let text = send(1, "midleave", "ml11", "", &[b'z'; 9_000]);
    world.receive(1, &text[..4_000]);
    world.order(Order::Remove { session: key(2) });
    world.receive(1, &text[4_000..]);
    assert_eq!(world.frames(2).last().map(|f| f.flag), Some('#'));
    assert!(world.closed.contains(&2));
    let whole: usize = world.frames(3).iter().map(|f| f.body.len()).sum();
    assert_eq!(whole, 9_000);
    assert!(world.take(1).starts_with("MSRP midleave 200"));
}

// MSRP-CHAT-022.
#[test]
fn a_joiner_in_the_middle_gets_messages_from_the_next_one_on() {
    let mut world = World::conference(2);
    world.receive(1, &chunk(1, "joinmid1", "jm11", "1-3/6", "", b"abc", '+'));
    world.install(3, config(3));
    world.join(3);
    world.receive(1, &chunk(1, "joinmid2", "jm11", "4-6/6", "", b"def", '$'));
    world.receive(1, &send(1, "joinmid3", "jm12", "", b"next"));
    assert_eq!(world.frames(2).len(), 3);
    let got = world.frames(3);
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].body, b"next");
}

// MSRP-FRAME-013, MSRP-SEC-006.
#[test]
fn a_body_with_the_end_line_of_a_copy_cannot_end_it() {
    let mut world = World::conference(3);
    let body = vec![b'x'; 6_000];
    let text = send(1, "innocent", "in11", "", &body);
    world.receive(1, &text[..3_000]);
    // A recipient tells the sender the transaction id of its copy, which puts it in the body.
    let head = String::from_utf8_lossy(&world.sent[&2]).into_owned();
    let tid = head.split(' ').nth(1).expect("a transaction id").to_owned();
    let evil = format!("\r\n-------{tid}$\r\nMSRP forged SEND\r\n");
    for cut in 0..=evil.len() {
        let mut world = World::conference(3);
        world.receive(1, &text[..3_000]);
        assert!(
            String::from_utf8_lossy(&world.sent[&2]).contains(&tid),
            "same seed, same id"
        );
        world.receive(1, &evil.as_bytes()[..cut]);
        world.receive(1, &evil.as_bytes()[cut..]);
        world.receive(1, &text[3_000..]);
        let got = world.frames(2);
        assert!(got.iter().all(|f| f.start == "SEND"), "{got:?}");
        let joined: Vec<u8> = got.into_iter().flat_map(|f| f.body).collect();
        assert_eq!(joined.len(), body.len() + evil.len(), "cut at {cut}");
        assert!(String::from_utf8_lossy(&joined).contains(&evil));
    }
}

#[track_caller]
fn refused(world: &mut World, n: u32, text: &[u8], status: u16) {
    world.take_octets(n);
    world.receive(n, text);
    let got = world.frames(n);
    assert_eq!(got.len(), 1, "one answer: {got:?}");
    assert!(
        got[0].start.starts_with(&status.to_string()),
        "{}: want {status}",
        got[0].start
    );
}

// MSRP-STAT-004, MSRP-STAT-009, MSRP-STAT-010, MSRP-STAT-011, MSRP-CONN-007, MSRP-CONN-008,
// MSRP-TX-015.
#[test]
fn refusals_carry_the_status_the_rfc_names() {
    let mut world = World::conference(2);
    let text = String::from_utf8(send(1, "refused1", "rf11", "", b"body")).unwrap();
    refused(
        &mut world,
        1,
        text.replace("local1", "nobody").as_bytes(),
        481,
    );
    refused(&mut world, 2, text.as_bytes(), 506);
    refused(
        &mut world,
        1,
        text.replace(" SEND", " VISIT").as_bytes(),
        501,
    );
    refused(
        &mut world,
        1,
        text.replace("Message-ID: rf11\r\n", "").as_bytes(),
        400,
    );
    let two = text.replace("To-Path: ", "To-Path: msrp://h.example:1/x;tcp ");
    refused(&mut world, 1, two.as_bytes(), 481);
    assert!(world.frames(2).is_empty(), "nothing of it was forwarded");
}

/// Gives session 1 other terms than those it began with.
fn update(world: &mut World, change: &dyn Fn(&mut switch::SessionConfig)) {
    let mut new = config(1);
    change(&mut new);
    world.order(Order::Update {
        session: key(1),
        config: Box::new(new),
    });
}

// MSRP-RECV-014, MSRP-STAT-008, MSRP-STAT-003, MSRP-STAT-007.
#[test]
fn what_the_session_does_not_take_is_refused() {
    let mut world = World::conference(2);
    let text = send(1, "refused2", "rf22", "", b"0123456789");
    update(&mut world, &|c| {
        c.terms_mut().accept_types = vec!["message/cpim".into()]
    });
    refused(&mut world, 1, &text, 415);
    update(&mut world, &|c| c.terms_mut().receive_bytes_max = Some(9));
    refused(&mut world, 1, &text, 413);
    update(&mut world, &|c| c.receives = false);
    refused(&mut world, 1, &text, 403);
    update(&mut world, &|_| ());
    refused(&mut world, 1, &text, 200);
    assert_eq!(world.frames(2).len(), 1);
}

// MSRP-RECV-013, MSRP-STAT-007, MSRP-RECV-010.
#[test]
fn a_message_that_outgrows_the_limit_is_stopped_in_the_middle() {
    let mut world = World::conference(2);
    update(&mut world, &|c| {
        c.terms_mut().receive_bytes_max = Some(4_000)
    });
    let text = chunk(1, "grows123", "gr11", "1-*/*", "", &[b'z'; 9_000], '$');
    for piece in text.chunks(1_000) {
        world.receive(1, piece);
    }
    assert!(world.take(1).starts_with("MSRP grows123 413"));
    let copies = world.frames(2);
    assert_eq!(copies.last().map(|f| f.flag), Some('#'));
    assert!(copies.iter().map(|f| f.body.len()).sum::<usize>() <= 4_000);
}

#[test]
fn a_message_that_says_it_is_too_large_is_refused_before_anybody_gets_any_of_it() {
    let mut world = World::conference(2);
    update(&mut world, &|c| {
        c.terms_mut().receive_bytes_max = Some(4_000)
    });
    world.receive(
        1,
        &chunk(1, "toolarge", "tl11", "1-5/4001", "", b"hello", '+'),
    );
    assert!(world.take(1).starts_with("MSRP toolarge 413"));
    assert!(world.frames(2).is_empty());
    world.receive(
        1,
        &chunk(1, "fitsjust", "fj11", "1-5/4000", "", b"hello", '+'),
    );
    assert!(world.take(1).starts_with("MSRP fitsjust 200"));
    assert_eq!(world.frames(2).len(), 1);
}

// MSRP-RPT-002, MSRP-RPT-003.
#[test]
fn failure_report_no_means_silence_and_partial_means_no_200() {
    let mut world = World::conference(2);
    for value in ["no", "partial"] {
        let extra = format!("Failure-Report: {value}\r\n");
        world.receive(1, &send(1, "silent12", "si11", &extra, b"x"));
        assert!(world.frames(1).is_empty(), "{value}");
    }
    let bad =
        String::from_utf8(send(1, "silent13", "si13", "Failure-Report: no\r\n", b"x")).unwrap();
    world.receive(1, bad.replace("local1", "nobody").as_bytes());
    assert!(world.frames(1).is_empty());
    let bad = bad.replace("Failure-Report: no", "Failure-Report: partial");
    world.receive(1, bad.replace("local1", "nobody").as_bytes());
    assert_eq!(world.frames(1).len(), 1);
}

// MSRP-CONN-004, MSRP-ACM-006, MSRP-TGPP-024.
#[test]
fn an_active_session_connects_and_binds_with_a_send_without_body() {
    let mut world = World::conference(1);
    let mut active = config(2);
    active.setup = Setup::Active {
        to: "192.0.2.12:7000".parse().unwrap(),
    };
    world.install(2, active);
    let request = world.connects[0];
    world.feed(Input::Connected {
        conn: common::conn(2),
        request,
        via: switch::Via::default(),
    });
    let sent = world.frames(2);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].start, "SEND");
    assert_eq!(sent[0].field("To-Path"), remote(2));
    assert_eq!(sent[0].field("Byte-Range"), "1-0/0");
    assert!(sent[0].body.is_empty());
    world.receive(1, &send(1, "toactive", "ta11", "", b"hello"));
    assert_eq!(world.frames(2)[0].body, b"hello");
}

// MSRP-CONN-009.
#[test]
fn a_refused_connect_is_told_and_new_signalling_tries_again() {
    let mut world = World::new();
    let mut active = config(2);
    active.setup = Setup::Active {
        to: "192.0.2.12:7000".parse().unwrap(),
    };
    world.install(2, active.clone());
    let error = std::io::ErrorKind::ConnectionRefused;
    let request = world.connects[0];
    world.feed(Input::ConnectFailed { request, error });
    let cause = LossCause::ConnectFailed(error);
    assert_eq!(
        world.events,
        [Event::Lost {
            session: key(2),
            cause
        }]
    );
    world.order(Order::Update {
        session: key(2),
        config: Box::new(active),
    });
    assert_eq!(world.connects.len(), 2);
}

#[test]
fn a_first_request_for_another_shard_moves_the_connection_with_its_octets() {
    let id = switch::session_id(ShardIndex(1), 12_345);
    let text = String::from_utf8(send(1, "foreign1", "fo11", "", b"body")).unwrap();
    let text = text.replace("local1", std::str::from_utf8(&id).unwrap());
    for cut in [0, 10, 60, text.len()] {
        let mut world = World::new();
        world.accept(1);
        for piece in [&text[..cut], &text[cut..]] {
            if !piece.is_empty() && world.handed_over.is_empty() {
                world.receive(1, piece.as_bytes());
            }
        }
        assert_eq!(world.handed_over.len(), 1, "cut at {cut}");
        let (_, to, octets) = &world.handed_over[0];
        assert_eq!(*to, ShardIndex(1));
        assert!(text.as_bytes().starts_with(octets));
        assert_eq!(world.shard.connection_count(), 0);
    }
}

// MSRP-TGPP-011
#[test]
fn the_topology_and_the_mode_decide_who_hears_whom() {
    let mut world = World::conference(3);
    world.order(Order::Flow {
        from: key(1),
        to: key(2),
        open: false,
    });
    world.receive(1, &send(1, "isolated", "is11", "", b"x"));
    assert!(world.frames(2).is_empty());
    assert_eq!(world.frames(3).len(), 1);
    world.order(Order::Flow {
        from: key(1),
        to: key(2),
        open: true,
    });
    let mut deaf = config(3);
    deaf.sends = false;
    world.order(Order::Update {
        session: key(3),
        config: Box::new(deaf),
    });
    world.receive(1, &send(1, "isolate2", "is12", "", b"x"));
    assert_eq!(world.frames(2).len(), 1);
    assert!(world.frames(3).is_empty());
}

// MSRP-TGPP-010.
#[test]
fn counters_count_messages_and_octets_both_ways() {
    let mut world = World::conference(2);
    world.receive(1, &send(1, "counted1", "co11", "", b"12345"));
    let copies = frames(&world.sent[&2]);
    assert_eq!(copies.len(), 1);
    let sent = world.sent[&2].len() as u64;
    let two = world
        .order(Order::Remove { session: key(2) })
        .expect("counters");
    assert_eq!((two.messages_sent, two.volume_sent), (1, 5));
    assert!(
        two.octets_sent >= sent,
        "the answer to the binding SEND counts too"
    );
    let one = world
        .order(Order::Audit { session: key(1) })
        .expect("counters");
    assert_eq!((one.messages_received, one.volume_received), (1, 5));
    assert!(one.octets_received > 5);
}

// MSRP-CONN-012.
#[test]
fn a_connection_that_never_binds_is_closed_and_one_that_does_is_not() {
    let mut world = World::conference(1);
    world.accept(2);
    world.advance(Limits::default().probation);
    assert_eq!(world.closed, [2]);
}

// MSRP-FRAME-017.
#[test]
fn a_peer_that_loses_the_framing_is_closed_and_nobody_else() {
    let mut world = World::conference(3);
    world.receive(2, b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(world.closed, [2]);
    let lost = Event::Lost {
        session: key(2),
        cause: LossCause::Protocol,
    };
    assert!(world.events.contains(&lost));
    world.receive(1, &send(1, "stillok1", "so11", "", b"x"));
    assert_eq!(world.frames(3).len(), 1);
    assert_eq!(StatusCode::OK.as_u16(), 200);
}

#[test]
fn traffic_is_shown_while_it_flows() {
    let mut world = World::conference(3);
    let before = world.shard.gauges().received_bytes();
    let request = send(1, "a97ghjut", "9972", "", b"hello");
    world.receive(1, &request);
    let gauges = world.shard.gauges();
    assert_eq!((gauges.messages(), gauges.copies()), (1, 2));
    assert_eq!(gauges.received_bytes() - before, request.len() as u64);
    let taken: usize = (1..=3).map(|n| world.take(n).len()).sum();
    assert!(taken > request.len(), "{taken}");
    assert!(
        world.shard.gauges().sent_bytes() >= taken as u64,
        "{} of {taken}",
        world.shard.gauges().sent_bytes()
    );
}
