//! Reports of a `3gpp` context: one per message, about all recipients (TS 24.247 9.3.3.1).

mod common;

use clock::Duration;
use common::{Frame, World, chunk, config, key, local, remote, send};
use switch::{Limits, Order};

fn answer(world: &mut World, n: u32, copy: &Frame, status: &str) {
    let text = format!(
        "MSRP {} {status}\r\nTo-Path: {}\r\nFrom-Path: {}\r\n-------{}$\r\n",
        copy.tid,
        local(n),
        remote(n),
        copy.tid
    );
    world.receive(n, text.as_bytes());
}

fn report(world: &mut World, n: u32, message: &str, range: &str, status: &str) {
    let text = format!(
        "MSRP report{n}xx REPORT\r\nTo-Path: {}\r\nFrom-Path: {}\r\nMessage-ID: {message}\r\n\
         Byte-Range: {range}\r\nStatus: 000 {status}\r\n-------report{n}xx$\r\n",
        local(n),
        remote(n)
    );
    world.receive(n, text.as_bytes());
}

/// Sends a message of participant 1 and returns the copies of 2 and 3.
fn begin(world: &mut World, extra: &str) -> [Frame; 2] {
    world.receive(1, &send(1, "reported", "re11", extra, b"12345"));
    world.take_octets(1);
    [2, 3].map(|n| world.frames(n).remove(0))
}

// MSRP-TGPP-008, MSRP-RPT-001, MSRP-RPT-004, MSRP-RPT-005, MSRP-RPT-006.
#[test]
fn success_is_reported_once_when_all_have_answered() {
    let mut world = World::conference(3);
    let [two, three] = begin(&mut world, "Success-Report: yes\r\n");
    answer(&mut world, 2, &two, "200 OK");
    assert!(world.frames(1).is_empty(), "one is still missing");
    answer(&mut world, 3, &three, "200 OK");
    let got = world.frames(1);
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].start, "REPORT");
    assert_eq!(got[0].field("To-Path"), remote(1));
    assert_eq!(got[0].field("From-Path"), local(1));
    assert_eq!(got[0].field("Message-ID"), "re11");
    assert_eq!(got[0].field("Byte-Range"), "1-5/5");
    assert!(got[0].field("Status").starts_with("000 200"));
    assert_eq!(world.shard.message_count(), 0);
}

// MSRP-RPT-001, MSRP-RECV-003, MSRP-RECV-004, MSRP-RECV-005.
#[test]
fn a_message_in_chunks_is_complete_with_its_last_one() {
    let mut world = World::conference(2);
    let extra = "Success-Report: yes\r\n";
    world.receive(
        1,
        &chunk(1, "inchunk1", "ic11", "1-3/6", extra, b"abc", '+'),
    );
    world.receive(
        1,
        &chunk(1, "inchunk2", "ic11", "4-6/6", extra, b"def", '$'),
    );
    world.take_octets(1);
    for copy in world.frames(2) {
        assert!(world.frames(1).is_empty());
        answer(&mut world, 2, &copy, "200 OK");
    }
    let got = world.frames(1);
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].field("Byte-Range"), "1-6/6");
    assert_eq!(world.shard.message_count(), 0);
}

// MSRP-RPT-001.
#[test]
fn without_success_report_success_is_silent() {
    let mut world = World::conference(3);
    let [two, three] = begin(&mut world, "");
    answer(&mut world, 2, &two, "200 OK");
    answer(&mut world, 3, &three, "200 OK");
    assert!(world.frames(1).is_empty());
    assert_eq!(world.shard.message_count(), 0);
}

// MSRP-TGPP-008, MSRP-RPT-009.
#[test]
fn one_failure_makes_one_failure_report() {
    let mut world = World::conference(3);
    let [two, three] = begin(&mut world, "Success-Report: yes\r\n");
    answer(&mut world, 2, &two, "415 no");
    answer(&mut world, 3, &three, "481 gone");
    let got = world.frames(1);
    assert_eq!(got.len(), 1);
    assert!(got[0].field("Status").starts_with("000 415"));
    assert_eq!(world.shard.message_count(), 0);
}

// MSRP-RPT-003.
#[test]
fn failure_report_no_keeps_failures_quiet() {
    let mut world = World::conference(3);
    let [two, _] = begin(&mut world, "Failure-Report: no\r\n");
    answer(&mut world, 2, &two, "415 no");
    assert!(world.frames(1).is_empty());
    assert_eq!(world.shard.message_count(), 0);
}

// MSRP-SEND-003, MSRP-STAT-006.
#[test]
fn a_recipient_that_does_not_answer_in_time_is_a_408() {
    let mut world = World::conference(3);
    let [two, _] = begin(&mut world, "");
    answer(&mut world, 2, &two, "200 OK");
    world.advance(Limits::default().response_timeout - Duration::from_secs(1));
    assert!(world.frames(1).is_empty());
    world.advance(Duration::from_secs(2));
    let got = world.frames(1);
    assert_eq!(got.len(), 1);
    assert!(got[0].field("Status").starts_with("000 408"));
    assert_eq!(world.shard.message_count(), 0);
}

#[test]
fn nobody_reports_for_the_session_of_another_connection() {
    let mut world = World::conference(3);
    begin(&mut world, "");
    let forged = format!(
        "MSRP forged01 REPORT\r\nTo-Path: {}\r\nFrom-Path: {}\r\nMessage-ID: re11\r\n\
         Byte-Range: 1-5/5\r\nStatus: 000 413\r\n-------forged01$\r\n",
        local(2),
        remote(2)
    );
    world.receive(3, forged.as_bytes());
    assert!(world.frames(1).is_empty());
    report(&mut world, 2, "re11", "1-5/5", "413");
    assert!(world.frames(1)[0].field("Status").starts_with("000 413"));
}

#[test]
fn who_is_answered_by_nobody_does_not_take_the_room_of_others() {
    let limits = Limits {
        messages_waiting_max: 3,
        ..Limits::default()
    };
    let mut world = World::conference_with(3, limits);
    let sent = |world: &mut World, n: u32, id: &str| -> Vec<String> {
        world.receive(n, &send(n, id, id, "", b"hello"));
        let got = world.frames(n).into_iter();
        got.filter(|f| f.tid == id).map(|f| f.start).collect()
    };
    // Participant 2 and 3 stay silent.
    for id in ["tid00001", "tid00002", "tid00003"] {
        assert_eq!(sent(&mut world, 1, id), ["200 OK"]);
    }
    let refused = sent(&mut world, 1, "tid00004");
    assert!(refused[0].starts_with("413"), "{refused:?}");
    assert_eq!(sent(&mut world, 2, "tid00005"), ["200 OK"]);
    // What nobody answers has had its time.
    world.advance(limits.response_timeout + Duration::from_secs(1));
    assert_eq!(world.shard.message_count(), 0);
    assert_eq!(sent(&mut world, 1, "tid00006"), ["200 OK"]);
}

// MSRP-SEND-004, MSRP-RPT-002.
#[test]
fn with_failure_report_partial_nobody_waits_for_200s_but_errors_count() {
    let mut world = World::conference(3);
    let [two, _] = begin(&mut world, "Failure-Report: partial\r\n");
    answer(&mut world, 2, &two, "413 stop");
    assert_eq!(world.frames(1).len(), 1);
    world.advance(Limits::default().response_timeout + Duration::from_secs(1));
    assert!(world.frames(1).is_empty(), "silence is no failure");
    assert_eq!(world.shard.message_count(), 0);
}

// MSRP-SEND-018, MSRP-RPT-005, MSRP-RPT-010, MSRP-RPT-011.
#[test]
fn success_reports_of_recipients_count_where_200s_do_not_come() {
    let mut world = World::conference(3);
    begin(&mut world, "Failure-Report: no\r\nSuccess-Report: yes\r\n");
    report(&mut world, 2, "re11", "1-3/5", "200");
    report(&mut world, 3, "re11", "1-5/5", "200");
    assert!(
        world.frames(1).is_empty(),
        "octets 4 and 5 of one recipient are open"
    );
    report(&mut world, 2, "re11", "4-5/5", "200");
    let got = world.frames(1);
    assert_eq!(got.len(), 1);
    assert!(got[0].field("Status").starts_with("000 200"));
    assert!(world.frames(2).is_empty(), "a REPORT is never answered");
}

#[test]
fn a_recipient_that_leaves_no_longer_counts_and_one_that_is_lost_has_failed() {
    let mut world = World::conference(3);
    let [_, three] = begin(&mut world, "Success-Report: yes\r\n");
    answer(&mut world, 3, &three, "200 OK");
    world.order(Order::Remove { session: key(2) });
    assert!(world.frames(1)[0].field("Status").starts_with("000 200"));

    let mut world = World::conference(3);
    let [_, three] = begin(&mut world, "Success-Report: yes\r\n");
    answer(&mut world, 3, &three, "200 OK");
    world.close(2);
    assert!(world.frames(1)[0].field("Status").starts_with("000 408"));
}

// MSRP-SEND-019, MSRP-TGPP-003.
#[test]
fn a_message_larger_than_a_recipient_takes_is_not_sent_to_it_and_reported() {
    let mut world = World::conference(3);
    let mut small = config(2);
    small.terms_mut().send_bytes_max = Some(4);
    world.order(Order::Update {
        session: key(2),
        config: Box::new(small),
    });
    world.receive(1, &send(1, "toolarge", "tl11", "", b"12345"));
    assert!(world.frames(2).is_empty());
    assert_eq!(world.frames(3).len(), 1);
    let kinds: Vec<_> = world.frames(1).into_iter().map(|f| f.start).collect();
    assert!(kinds.contains(&"REPORT".to_owned()) && kinds.contains(&"200 OK".to_owned()));
}

// MSRP-TX-020.
#[test]
fn answers_of_others_do_not_count() {
    let mut world = World::conference(3);
    let [two, three] = begin(&mut world, "Success-Report: yes\r\n");
    answer(&mut world, 3, &two, "415 forged");
    answer(&mut world, 3, &three, "200 OK");
    assert!(world.frames(1).is_empty());
    answer(&mut world, 2, &two, "200 OK");
    assert!(world.frames(1)[0].field("Status").starts_with("000 200"));
}

// MSRP-CONN-001.
#[test]
fn a_report_counts_for_the_session_it_names_not_for_its_neighbour_on_the_connection() {
    let mut world = World::conference(2);
    world.install(3, config(3));
    let bind = format!(
        "MSRP neighbor SEND\r\nTo-Path: {}\r\nFrom-Path: {}\r\nMessage-ID: nb00\r\n-------neighbor$\r\n",
        local(3),
        remote(3)
    );
    world.receive(2, bind.as_bytes());
    world.take_octets(2);
    let extra = "Failure-Report: no\r\nSuccess-Report: yes\r\n";
    world.receive(1, &send(1, "reported", "re11", extra, b"12345"));
    let report = |n: u32| {
        format!(
            "MSRP report{n}xx REPORT\r\nTo-Path: {}\r\nFrom-Path: {}\r\nMessage-ID: re11\r\n\
             Byte-Range: 1-5/5\r\nStatus: 000 200\r\n-------report{n}xx$\r\n",
            local(n),
            remote(n)
        )
    };
    world.receive(2, report(3).as_bytes());
    world.receive(2, report(3).as_bytes());
    assert!(world.frames(1).is_empty(), "session 2 has said nothing");
    world.receive(2, report(2).as_bytes());
    assert_eq!(world.frames(1).len(), 1);
    assert_eq!(world.shard.message_count(), 0);
}

// MSRP-HDR-010, MSRP-RPT-011, MSRP-RPT-012.
#[test]
fn a_report_in_an_unknown_namespace_says_nothing() {
    let mut world = World::conference(2);
    let extra = "Failure-Report: partial\r\nSuccess-Report: yes\r\n";
    world.receive(1, &send(1, "reported", "re11", extra, b"12345"));
    for status in ["001 200 OK", "001 481 gone"] {
        let text = format!(
            "MSRP report22 REPORT\r\nTo-Path: {}\r\nFrom-Path: {}\r\nMessage-ID: re11\r\n\
             Byte-Range: 1-5/5\r\nStatus: {status}\r\n-------report22$\r\n",
            local(2),
            remote(2)
        );
        world.receive(2, text.as_bytes());
    }
    assert!(world.frames(1).is_empty());
    report(&mut world, 2, "re11", "1-5/5", "200");
    assert!(world.frames(1)[0].field("Status").starts_with("000 200"));
}

#[test]
fn success_wanted_without_recipients_is_reported_at_once() {
    let mut world = World::conference(1);
    let extra = "Success-Report: yes\r\n";
    world.receive(1, &send(1, "lonely11", "lo11", extra, b"12345"));
    let kinds: Vec<_> = world.frames(1).into_iter().map(|f| f.start).collect();
    assert_eq!(kinds, ["200 OK", "REPORT"]);
    assert_eq!(world.shard.message_count(), 0);
}

// MSRP-TX-021.
#[test]
fn answers_after_the_conclusion_change_nothing() {
    let mut world = World::conference(3);
    let [two, three] = begin(&mut world, "Success-Report: yes\r\n");
    for _ in 0..2 {
        answer(&mut world, 2, &two, "200 OK");
        answer(&mut world, 3, &three, "200 OK");
    }
    answer(&mut world, 2, &two, "415 late");
    assert_eq!(world.frames(1).len(), 1);
}

// MSRP-RECV-009.
#[test]
fn a_message_that_comes_again_is_acknowledged_and_not_forwarded_again() {
    let mut world = World::conference(3);
    let extra = "Success-Report: yes\r\n";
    let [two, three] = begin(&mut world, extra);
    world.receive(1, &send(1, "again123", "re11", extra, b"12345"));
    let kinds = |w: &mut World| -> Vec<_> { w.frames(1).into_iter().map(|f| f.start).collect() };
    assert_eq!(kinds(&mut world), ["200 OK"], "the report is still to come");
    answer(&mut world, 2, &two, "200 OK");
    answer(&mut world, 3, &three, "200 OK");
    assert_eq!(kinds(&mut world), ["REPORT"]);
    world.receive(1, &chunk(1, "again124", "re11", "1-2/*", extra, b"12", '+'));
    world.receive(
        1,
        &chunk(1, "again125", "re11", "3-5/5", extra, b"345", '$'),
    );
    let got = world.frames(1);
    let kinds: Vec<_> = got.iter().map(|f| f.start.as_str()).collect();
    assert_eq!(kinds, ["200 OK", "200 OK", "REPORT"]);
    assert_eq!(got[2].field("Byte-Range"), "1-5/5");
    assert!(world.frames(2).is_empty() && world.frames(3).is_empty());
    world.receive(1, &send(1, "other123", "re11", extra, b"123456"));
    assert_eq!(world.frames(2).len(), 1, "another length: another message");
}

#[test]
fn a_message_that_failed_may_be_sent_again() {
    let mut world = World::conference(3);
    let [two, _] = begin(&mut world, "");
    answer(&mut world, 2, &two, "408 late");
    assert_eq!(world.frames(1).len(), 1);
    let [_, _] = begin(&mut world, "");
    world.advance(Limits::default().response_timeout + Duration::from_secs(1));
    assert!(world.frames(1)[0].field("Status").starts_with("000 408"));
    let [_, _] = begin(&mut world, "");
}

// MSRP-SEC-005.
#[test]
fn only_the_last_messages_are_remembered() {
    let mut world = World::conference(2);
    let count = switch::limits::RECENT_MAX;
    for round in 0..2 {
        for i in 0..=count {
            let id = format!("many{i:04}");
            world.receive(1, &send(1, &id, &id, "", b"x"));
        }
        assert_eq!(world.frames(2).len(), count + 1, "round {round}");
    }
}

#[test]
fn a_sender_that_waits_for_nothing_does_not_repeat_itself() {
    let mut world = World::conference(2);
    for _ in 0..2 {
        let text = send(1, "unasked1", "un11", "Failure-Report: no\r\n", b"x");
        world.receive(1, &text);
    }
    assert_eq!(world.frames(2).len(), 2);
}

// MSRP-RPT-001, MSRP-RPT-002, MSRP-RPT-003, MSRP-TGPP-008, MSRP-SEND-003, MSRP-SEND-004
#[test]
fn every_pair_of_report_fields_has_its_answers_and_reports() {
    // What the recipients do: answer or refuse, or stay silent, and report success.
    for (success, failure, end, expected) in [
        ("no", "yes", "200", "200"),
        ("no", "yes", "415", "200 REPORT 415"),
        ("no", "yes", "silence", "200 REPORT 408"),
        ("no", "partial", "200", ""),
        ("no", "partial", "415", "REPORT 415"),
        ("no", "partial", "silence", ""),
        ("no", "no", "200", ""),
        ("no", "no", "415", ""),
        ("no", "no", "silence", ""),
        ("yes", "yes", "200", "200 REPORT 200"),
        ("yes", "yes", "report", "200 REPORT 200"),
        ("yes", "yes", "415", "200 REPORT 415"),
        ("yes", "yes", "silence", "200 REPORT 408"),
        ("yes", "partial", "report", "REPORT 200"),
        ("yes", "partial", "415", "REPORT 415"),
        ("yes", "partial", "silence", ""),
        ("yes", "no", "report", "REPORT 200"),
        ("yes", "no", "415", ""),
        ("yes", "no", "silence", ""),
    ] {
        let mut world = World::conference(3);
        let extra = format!("Success-Report: {success}\r\nFailure-Report: {failure}\r\n");
        world.receive(1, &send(1, "reported", "re11", &extra, b"12345"));
        for n in [2, 3] {
            let copy = world.frames(n).remove(0);
            assert_eq!(copy.field("Success-Report"), success);
            assert_eq!(copy.field("Failure-Report"), failure);
            match end {
                "silence" => {}
                "report" => report(&mut world, n, "re11", "1-5/5", "200 OK"),
                status => answer(&mut world, n, &copy, status),
            }
        }
        world.advance(Limits::default().response_timeout);
        let got = world.frames(1);
        let words = got.iter().map(|f| match f.start.as_str() {
            "REPORT" => format!("REPORT {}", &f.field("Status")[4..7]),
            start => start[..3].to_owned(),
        });
        let words = words.collect::<Vec<_>>().join(" ");
        assert_eq!(words, expected, "{success} {failure} {end}");
        assert_eq!(world.shard.message_count(), 0, "{success} {failure} {end}");
    }
}
