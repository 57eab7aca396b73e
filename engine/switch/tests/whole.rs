//! Messages that come whole, and of which nothing is heard afterwards, are passed on without being remembered:
//! what comes of that is the same.

mod common;

use common::{Frame, World, chunk, config, fixed_cases, key, send};
use proptest::collection::vec;
use proptest::prelude::*;
use switch::{Limits, Order};

const PEOPLE: u32 = 4;

/// One request of participant 1.
#[derive(Clone, Debug)]
enum Request {
    /// A message in one chunk, which says that it has so many octets more.
    Message {
        size: usize,
        hyphens: bool,
        reports: u8,
        more: u64,
        content_type: u8,
    },
    /// One in two, with the others in between.
    Halves { size: usize },
    /// Octets of a message that is given up.
    Aborted { size: usize },
    /// An answer that nobody waits for.
    Answer,
}

fn request() -> impl Strategy<Value = Request> {
    // Longer ones are not kept back until their end is there, so that being cut shows.
    let size = prop_oneof![1..200_usize, 2_000..2_080_usize, Just(0)];
    let message = (
        size.clone(),
        prop::bool::weighted(0.1),
        prop_oneof![8 => Just(0_u8), 1 => 1..4_u8],
        prop_oneof![9 => Just(0_u64), 1 => 1..3_u64],
        prop_oneof![9 => Just(0_u8), 1 => Just(1_u8)],
    );
    prop_oneof![
        12 => message.prop_map(|(size, hyphens, reports, more, content_type)| Request::Message {
            size, hyphens, reports, more, content_type,
        }),
        1 => size.clone().prop_map(|size| Request::Halves { size }),
        1 => size.prop_map(|size| Request::Aborted { size }),
        1 => Just(Request::Answer),
    ]
}

/// The frames of a request that is the `at`-th.
fn frames_of(at: usize, request: &Request) -> Vec<Vec<u8>> {
    let (tid, id) = (format!("tid{at:05}"), format!("message{at}"));
    let silent = "Failure-Report: no\r\n";
    let text = |size: usize| -> Vec<u8> { (b'a'..=b'z').cycle().take(size).collect() };
    match *request {
        Request::Message {
            size,
            hyphens,
            reports,
            more,
            content_type,
        } => {
            let mut body = text(size);
            if hyphens {
                body.splice(0..0, *b"x\r\n-------tid");
            }
            let total = body.len() as u64 + more;
            let range = format!("1-{total}/{total}");
            let extra = [
                silent,
                "",
                "Success-Report: yes\r\nFailure-Report: no\r\n",
                "Failure-Report: partial\r\n",
            ];
            let whole = chunk(
                1,
                &tid,
                &id,
                &range,
                extra[usize::from(reports)],
                &body,
                '$',
            );
            let types = ["text/plain", "text/other"];
            let whole = replace(&whole, types[0], types[usize::from(content_type)]);
            vec![whole]
        }
        Request::Halves { size } => {
            let body = text(size + 2);
            let half = body.len() / 2;
            let total = body.len();
            let first = format!("1-{half}/{total}");
            let second = format!("{}-{total}/{total}", half + 1);
            vec![
                chunk(1, &tid, &id, &first, silent, &body[..half], '+'),
                send(
                    1,
                    &format!("{tid}.s"),
                    &format!("{id}.s"),
                    silent,
                    b"between",
                ),
                chunk(
                    1,
                    &format!("{tid}.2"),
                    &id,
                    &second,
                    silent,
                    &body[half..],
                    '$',
                ),
            ]
        }
        Request::Aborted { size } => {
            vec![chunk(1, &tid, &id, "1-*/9999", silent, &text(size), '#')]
        }
        Request::Answer => {
            let answer = "MSRP nobodys1 200 OK\r\nTo-Path: msrp://a:1/x;tcp\r\n\
                From-Path: msrp://b:2/y;tcp\r\n-------nobodys1$\r\n";
            vec![answer.into()]
        }
    }
}

fn replace(octets: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(octets.to_vec()).expect("text");
    text.replacen(from, to, 1).into_bytes()
}

/// What a frame says but for its transaction id, which is random.
fn said(frame: Frame) -> (String, Vec<(String, String)>, Vec<u8>, char) {
    let start = frame.start.replace(&frame.tid, "");
    (start, frame.fields, frame.body, frame.flag)
}

fn world(bytes_max: Option<u64>) -> World {
    let mut world = World::conference_with(PEOPLE, Limits::default());
    let mut config = config(2);
    config.terms_mut().send_bytes_max = bytes_max;
    world.order(Order::Update {
        session: key(2),
        config: Box::new(config),
    });
    world
}

/// What everybody got, and what was counted of them.
fn outcome(world: &mut World) -> Vec<String> {
    let told = (1..=PEOPLE).map(|n| {
        let frames = if world.sent.contains_key(&n) {
            world.frames(n)
        } else {
            Vec::new()
        };
        let frames: Vec<_> = frames.into_iter().map(said).collect();
        let statistics = world.order(Order::Audit { session: key(n) });
        format!("{n}: {frames:#?} {statistics:#?}")
    });
    let told = told.collect();
    assert!(
        world.shard.message_count() <= 2 * 40,
        "all but those that wait"
    );
    told
}

proptest! {
    #![proptest_config(fixed_cases(128))]

    #[test]
    fn in_one_buffer_or_cut_in_two_each_request_comes_to_the_same(
        requests in vec(request(), 1..20), bytes_max in prop::option::of(1..150_u64),
        limits_queue: bool,
    ) {
        let frames: Vec<_> = requests.iter().enumerate().flat_map(|(at, r)| frames_of(at, r)).collect();
        let (mut together, mut apart) = (world(bytes_max), world(bytes_max));
        if limits_queue {
            together.stick(3);
            apart.stick(3);
        }
        // The first of a type is never one of those: its list is made for it.
        for world in [&mut together, &mut apart] {
            world.receive(1, &send(1, "first111", "first", "Failure-Report: no\r\n", b"first"));
        }
        together.receive(1, &frames.concat());
        for frame in frames {
            let (front, rest) = frame.split_at(frame.len() - 3);
            apart.receive(1, front);
            apart.receive(1, rest);
        }
        if limits_queue {
            together.unstick(3);
            apart.unstick(3);
        }
        prop_assert_eq!(outcome(&mut together), outcome(&mut apart));
    }
}

#[test]
fn whoever_is_there_when_they_come_gets_them_and_nobody_else() {
    let silent = "Failure-Report: no\r\n";
    let mut world = World::conference(3);
    world.receive(1, &send(1, "first111", "first", silent, b"first"));
    let (one, two) = (
        send(1, "tid00001", "one1", silent, b"one"),
        send(1, "tid00002", "two2", silent, b"two"),
    );
    world.take(2);
    world.take(3);
    world.receive_together(&[(1, &one), (1, &two)]);
    world.close(3);
    world.receive(1, &send(1, "tid00003", "three", silent, b"three"));
    let bodies =
        |frames: Vec<Frame>| -> Vec<Vec<u8>> { frames.into_iter().map(|f| f.body).collect() };
    assert_eq!(bodies(world.frames(2)), [&b"one"[..], b"two", b"three"]);
    assert_eq!(bodies(world.frames(3)), [&b"one"[..], b"two"]);
    assert_eq!(world.shard.message_count(), 0);
}
