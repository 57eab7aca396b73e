//! Filters between a participant and the others, and recordings of what passes.

mod common;

use std::sync::Arc;

use common::{World, chunk, config, key, send};
use switch::{Event, Order, RecordedPart, SessionConfig, limits};

fn script(text: &str) -> Option<Arc<sieve::Script>> {
    Some(Arc::new(sieve::Script::parse(text).expect("a script")))
}

/// Three participants; the first one's configuration is changed.
fn conference(change: impl FnOnce(&mut SessionConfig)) -> World {
    let mut world = World::conference(3);
    update(&mut world, 1, change);
    world
}

fn update(world: &mut World, n: u32, change: impl FnOnce(&mut SessionConfig)) {
    let mut config = Box::new(config(n));
    change(&mut config);
    let session = key(n);
    world.order(Order::Update { session, config });
}

/// What was sent to `n`: statuses of answers and reports, bodies of SENDs.
fn seen(world: &mut World, n: u32) -> Vec<String> {
    let frames = world.frames(n);
    let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
    let seen = frames.iter().map(|f| match f.start.as_str() {
        "SEND" => text(&f.body),
        "REPORT" => format!("REPORT {}", f.field("Status")),
        status => status[..3].to_owned(),
    });
    seen.collect()
}

const WRAPPED: &str = "From: Alice <sip:alice@example.com>\r\nTo: <sip:bob@example.com>\r\n\r\n\
    Content-Type: text/html\r\n\r\n<b>From: carol</b>\r\n\r\nSubject: no";

fn wrapped(n: u32, tid: &str, range: &str, body: &str, flag: char) -> Vec<u8> {
    let text = chunk(n, tid, tid, range, "", body.as_bytes(), flag);
    let text = String::from_utf8(text).expect("text");
    let text = text.replacen("text/plain", "message/cpim", 1);
    text.into_bytes()
}

#[test]
fn what_the_incoming_filter_discards_is_acknowledged_and_goes_nowhere() {
    let mut world =
        conference(|c| c.terms_mut().filter_in = script("if size :over 4 { discard; }"));
    let extra = "Success-Report: yes\r\n";
    world.receive(1, &send(1, "aaaa1", "mmmm1", extra, b"12345"));
    assert_eq!(seen(&mut world, 1), ["200"], "and no report");
    assert!(seen(&mut world, 2).is_empty());
    world.receive(1, &send(1, "aaaa2", "mmmm2", "", b"1234"));
    assert_eq!(seen(&mut world, 1), ["200"]);
    assert_eq!(seen(&mut world, 2), ["1234"]);
    assert_eq!(world.shard.message_count(), 1, "the one that goes on");
    world.receive(2, &send(2, "aaaa3", "mmmm3", "", b"12345"));
    assert_eq!(seen(&mut world, 1), ["12345"], "others are free");
}

#[test]
fn what_the_incoming_filter_rejects_is_refused_with_its_rest() {
    let reject = "require 'reject'; if header :contains 'content-type' 'plain' { reject 'no'; }";
    let mut world = conference(|c| c.terms_mut().filter_in = script(reject));
    world.receive(1, &chunk(1, "aaaa1", "mmmm1", "1-3/6", "", b"abc", '+'));
    assert_eq!(seen(&mut world, 1), ["403"]);
    world.receive(1, &chunk(1, "aaaa2", "mmmm1", "4-6/6", "", b"def", '$'));
    assert_eq!(seen(&mut world, 1), ["403"]);
    let extra = "Failure-Report: no\r\n";
    world.receive(1, &send(1, "aaaa3", "mmmm3", extra, b"x"));
    assert!(seen(&mut world, 1).is_empty());
    assert!(seen(&mut world, 2).is_empty());
    assert_eq!(world.shard.message_count(), 0);
}

#[test]
fn the_outgoing_filter_spares_its_own_participant_alone() {
    let mut world = conference(|c| c.terms_mut().filter_out = script("discard;"));
    let extra = "Success-Report: yes\r\n";
    world.receive(2, &send(2, "aaaa1", "mmmm1", extra, b"hello"));
    assert!(seen(&mut world, 1).is_empty());
    assert_eq!(seen(&mut world, 2), ["200"]);
    assert_eq!(seen(&mut world, 3), ["hello"]);
}

#[test]
fn what_the_outgoing_filter_rejects_is_reported_as_failed_once() {
    let reject = script("require 'ereject'; ereject 'no';");
    let mut world = conference(|c| c.terms_mut().filter_out.clone_from(&reject));
    update(&mut world, 3, |c| {
        c.terms_mut().filter_out.clone_from(&reject)
    });
    world.receive(2, &send(2, "aaaa1", "mmmm1", "", b"hello"));
    let mut seen_by_sender = seen(&mut world, 2);
    seen_by_sender.sort();
    assert_eq!(seen_by_sender, ["200", "REPORT 000 403 Forbidden"]);
    assert!(seen(&mut world, 1).is_empty());
    assert!(seen(&mut world, 3).is_empty());
}

#[test]
fn filters_see_what_is_wrapped_but_not_the_text_behind_it() {
    for (test, passes) in [
        ("address :is 'from' 'alice@example.com'", false),
        ("address :domain 'to' 'example.com'", false),
        ("header :is 'content-type' 'text/html'", false),
        ("header :is 'content-type' 'message/cpim'", false),
        ("header :contains 'from' 'carol'", true),
        ("exists 'subject'", true),
        ("size :over 1M", true),
    ] {
        let discard = format!("if {test} {{ discard; }}");
        let mut world = conference(|c| c.terms_mut().filter_in = script(&discard));
        let range = format!("1-{0}/{0}", WRAPPED.len());
        world.receive(1, &wrapped(1, "aaaa1", &range, WRAPPED, '$'));
        assert_eq!(!seen(&mut world, 2).is_empty(), passes, "{test}");
    }
}

#[test]
fn a_wrapped_message_is_held_until_its_heads_are_there_however_it_is_cut() {
    let discard = "if header :is 'content-type' 'text/html' { discard; }";
    let keep = "if header :is 'content-type' 'text/rtf' { discard; }";
    let range = format!("1-{0}/{0}", WRAPPED.len());
    let text = wrapped(1, "aaaa1", &range, WRAPPED, '$');
    for (rule, passes) in [(discard, false), (keep, true)] {
        for cut in 1..text.len() {
            let mut world = conference(|c| c.terms_mut().filter_in = script(rule));
            world.receive(1, &text[..cut]);
            world.receive(1, &text[cut..]);
            assert_eq!(seen(&mut world, 1), ["200"]);
            let got = seen(&mut world, 2).concat();
            assert_eq!(got, if passes { WRAPPED } else { "" }, "cut at {cut}");
        }
    }
}

#[test]
fn a_filter_cannot_be_evaded() {
    let discard = "if anyof (size :over 10, exists 'subject') { discard; }";
    let mut world = conference(|c| c.terms_mut().filter_in = script(discard));
    // A length that is not told is endless, unless the end is here.
    world.receive(1, &chunk(1, "aaaa1", "mmmm1", "1-*/*", "", b"abc", '+'));
    world.receive(1, &chunk(1, "aaaa2", "mmmm2", "1-*/*", "", b"abc", '$'));
    assert_eq!(seen(&mut world, 2), ["abc"]);
    // Not from the beginning.
    world.receive(1, &chunk(1, "aaaa3", "mmmm3", "4-6/6", "", b"def", '$'));
    // The head in two chunks.
    let (first, rest) = WRAPPED.split_at(9);
    world.receive(1, &wrapped(1, "aaaa4", "1-9/*", first, '+'));
    let text = String::from_utf8(wrapped(1, "aaaa6", "10-*/*", rest, '$')).expect("text");
    world.receive(1, text.replace("ID: aaaa6", "ID: aaaa4").as_bytes());
    // A head without end.
    let endless = "From: a\r\n".repeat(limits::BEGINNING_BYTES_MAX / 9 + 1);
    let range = format!("1-*/{}", endless.len());
    world.receive(1, &wrapped(1, "aaaa5", &range, &endless, '+'));
    let answers = ["200", "200", "413", "200", "200", "413"];
    assert_eq!(seen(&mut world, 1), answers);
    assert!(seen(&mut world, 2).is_empty());
}

#[test]
fn an_aborted_beginning_is_forgotten() {
    let mut world = conference(|c| c.terms_mut().filter_in = script("if exists 'x' { discard; }"));
    world.receive(1, &wrapped(1, "aaaa1", "1-*/30", &WRAPPED[..9], '#'));
    assert!(seen(&mut world, 2).is_empty());
    assert_eq!(world.shard.message_count(), 0);
}

/// What was recorded since the last look, in words.
fn recorded(world: &mut World) -> Vec<String> {
    let mut words = Vec::new();
    world.events.retain(|event| {
        let Event::Recorded(recorded) = event else {
            return true;
        };
        let what = match &recorded.part {
            RecordedPart::Begin {
                sender,
                message_id,
                content_type,
            } => format!(
                "from {} {} {}",
                sender.termination,
                message_id.escape_ascii(),
                content_type.escape_ascii()
            ),
            RecordedPart::Piece { offset, octets } => {
                format!("{offset} {}", octets.escape_ascii())
            }
            RecordedPart::End {
                octets,
                is_complete,
            } => format!("end {octets} {is_complete}"),
        };
        words.push(format!("{}: {what}", recorded.record));
        false
    });
    words
}

#[test]
fn both_directions_of_a_session_are_recorded_from_the_next_message_on() {
    let mut world = World::conference(3);
    world.receive(1, &chunk(1, "aaaa1", "mmmm1", "1-2/4", "", b"ab", '+'));
    update(&mut world, 1, |c| {
        (c.record_in, c.record_out) = (Some(7), Some(8));
    });
    world.receive(1, &chunk(1, "aaaa2", "mmmm1", "3-4/4", "", b"cd", '$'));
    assert!(recorded(&mut world).is_empty(), "it began before");
    world.receive(1, &send(1, "aaaa3", "mmmm3", "", b"out"));
    assert_eq!(
        recorded(&mut world),
        ["7: from 1 mmmm3 text/plain", "7: 0 out", "7: end 3 true"]
    );
    world.receive(2, &send(2, "aaaa4", "mmmm4", "", b"in"));
    assert_eq!(
        recorded(&mut world),
        ["8: from 2 mmmm4 text/plain", "8: 0 in", "8: end 2 true"]
    );
    update(&mut world, 1, |_| {});
    world.receive(1, &send(1, "aaaa5", "mmmm5", "", b"no"));
    assert!(recorded(&mut world).is_empty());
}

#[test]
fn pieces_are_recorded_where_they_belong_and_an_abort_is_told() {
    let mut world = conference(|c| c.record_in = Some(7));
    let text = chunk(1, "aaaa1", "mmmm1", "1-*/9", "", b"abcdef", '+');
    let middle = text.len() - 20;
    world.receive(1, &text[..middle]);
    world.receive(1, &text[middle..]);
    world.receive(1, &chunk(1, "aaaa2", "mmmm1", "7-*/9", "", b"g", '#'));
    let mut words = recorded(&mut world);
    assert_eq!(words.pop().as_deref(), Some("7: end 7 false"));
    assert_eq!(words.remove(0), "7: from 1 mmmm1 text/plain");
    let mut body = [b'.'; 7];
    for word in &words {
        let (offset, octets) = word[3..].split_once(' ').expect("a piece");
        let at: usize = offset.parse().expect("an offset");
        body[at..at + octets.len()].copy_from_slice(octets.as_bytes());
    }
    assert_eq!(&body, b"abcdefg");
}

#[test]
fn what_a_filter_stops_is_not_recorded() {
    let mut world = conference(|c| {
        c.terms_mut().filter_in = script("require 'reject'; reject 'no';");
        c.terms_mut().filter_out = script("discard;");
        (c.record_in, c.record_out) = (Some(7), Some(8));
    });
    world.receive(1, &send(1, "aaaa1", "mmmm1", "", b"out"));
    world.receive(2, &send(2, "aaaa2", "mmmm2", "", b"in"));
    assert!(recorded(&mut world).is_empty());
    assert_eq!(seen(&mut world, 3), ["in"]);
}
