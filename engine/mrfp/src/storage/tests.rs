//! The writer on real files, and the queue without a writer.

use std::fs;
use std::path::Path;

use switch::SessionKey;

use super::*;

/// A directory of one test, gone with it.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let name = format!("mrf-storage-{}-{name}", std::process::id());
        let place = std::env::temp_dir().join(name);
        fs::create_dir_all(&place).unwrap();
        Self(place.canonicalize().unwrap())
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn path(text: &str) -> StoragePath {
    StoragePath::parse(text).unwrap()
}

fn open(record: u64, place: &str, appends: bool, octets_max: u64) -> Job {
    Job::Order(Order::Open(Open {
        record,
        path: path(place),
        appends,
        octets_max,
    }))
}

fn close(record: u64) -> Job {
    Job::Order(Order::Close { record })
}

fn part(record: u64, message: u64, part: RecordedPart) -> Job {
    let recorded = Recorded {
        record,
        message,
        part,
    };
    Job::Record(ShardIndex(0), Box::new(recorded))
}

fn begin(record: u64, message: u64, content_type: &str) -> Job {
    let begin = RecordedPart::Begin {
        sender: SessionKey {
            termination: 7,
            stream: 1,
        },
        message_id: format!("id-{message}").into_bytes().into(),
        content_type: content_type.as_bytes().into(),
    };
    part(record, message, begin)
}

fn piece(record: u64, message: u64, offset: u64, octets: &str) -> Job {
    let octets = octets.as_bytes().to_vec();
    part(record, message, RecordedPart::Piece { offset, octets })
}

fn end(record: u64, message: u64, octets: u64) -> Job {
    let end = RecordedPart::End {
        octets,
        is_complete: true,
    };
    part(record, message, end)
}

/// Does the jobs and returns what is told, and the counters.
fn run(root: &Path, jobs: Vec<Job>) -> (Vec<Event>, StorageMetrics) {
    let (sender, waiting) = sync_channel(JOBS_MAX);
    let (events, mut inbox) = mpsc::channel(EVENTS_MAX);
    let shared = Arc::new(Shared::default());
    for job in jobs {
        if let Job::Record(_, recorded) = &job {
            shared
                .queued
                .fetch_add(octets_of(recorded), Ordering::Relaxed);
        }
        sender.send(job).unwrap();
    }
    drop(sender);
    Writer::new(root.to_owned(), events.clone(), Arc::clone(&shared)).run(&waiting);
    assert_eq!(shared.queued.load(Ordering::Relaxed), 0, "all is written");
    let told = std::iter::from_fn(|| inbox.try_recv().ok()).collect();
    let (jobs, _) = sync_channel(1);
    let storage = Storage {
        jobs,
        events,
        shared,
    };
    (told, storage.metrics())
}

fn failed(record: u64) -> impl Fn(&Event) -> bool {
    move |event| matches!(event, Event::Ended { record: r, why: Ending::Failed(_) } if *r == record)
}

#[test]
fn pieces_are_put_where_they_belong_and_the_index_tells_of_each_message() {
    let root = Directory::new("pieces");
    let (told, metrics) = run(
        &root.0,
        vec![
            open(1, "a/b", false, 1000),
            begin(1, 1, "text/plain;charset=utf-8"),
            begin(1, 2, "message/cpim"),
            piece(1, 1, 3, "def"),
            piece(1, 2, 0, "xy"),
            piece(1, 1, 0, "abc"),
            end(1, 1, 6),
            end(1, 2, 5),
            piece(1, 3, 0, "its beginning was lost"),
            end(1, 3, 22),
            begin(1, 4, "image/png"),
            piece(1, 4, 0, "\u{1}"),
            close(1),
            piece(1, 4, 1, "too late"),
        ],
    );
    assert!(told.is_empty(), "{told:?}");
    assert_eq!(root.read("a/b/000001.txt"), "abcdef");
    assert_eq!(root.read("a/b/000002.cpim"), "xy");
    assert_eq!(root.read("a/b/000003.png"), "\u{1}");
    let index = root.read("a/b/index.jsonl");
    let complete: Vec<bool> = index
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["from"], "msrp/7");
            line["complete"].as_bool().unwrap()
        })
        .collect();
    assert_eq!(complete, [true, false, false]);
    assert_eq!(
        (metrics.messages, metrics.octets, metrics.failed),
        (3, 9, 0)
    );
}

#[test]
fn messages_beyond_those_that_may_be_open_are_lost_and_told() {
    let root = Directory::new("many");
    let count = u64::try_from(limits::MESSAGES_OPEN_MAX).unwrap();
    let mut jobs = vec![open(1, "a", false, 1000)];
    jobs.extend((0..=count).map(|message| begin(1, message, "text/plain")));
    jobs.push(piece(1, count, 0, "lost"));
    jobs.push(end(1, 0, 0));
    jobs.push(begin(1, count + 1, "text/plain"));
    let (told, metrics) = run(&root.0, jobs);
    assert_eq!(told, [Event::Lost { record: 1 }]);
    assert_eq!((metrics.lost, metrics.messages), (1, count + 1));
}

#[test]
fn a_recording_ends_before_it_is_longer_than_it_may_be() {
    let root = Directory::new("full");
    let (told, _) = run(
        &root.0,
        vec![
            open(1, "a", false, 4),
            begin(1, 1, "text/plain"),
            piece(1, 1, 0, "abcd"),
            end(1, 1, 4),
            begin(1, 2, "text/plain"),
            piece(1, 2, 0, "e"),
            piece(1, 2, 1, "f"),
        ],
    );
    let full = Event::Ended {
        record: 1,
        why: Ending::Full,
    };
    assert_eq!(told, [full]);
    assert_eq!(root.read("a/000001.txt"), "abcd");
    assert_eq!(root.read("a/000002.txt"), "");
}

#[test]
fn what_is_there_is_never_written_over() {
    let root = Directory::new("append");
    let record = |record, appends| {
        vec![
            open(record, "a", appends, 1000),
            begin(record, record, "text/plain"),
            piece(record, record, 0, &record.to_string()),
            end(record, record, 1),
            close(record),
        ]
    };
    let mut jobs = record(1, false);
    jobs.extend(record(2, false));
    jobs.extend(record(3, true));
    let (told, metrics) = run(&root.0, jobs);
    assert_eq!(told.len(), 1);
    assert!(failed(2)(&told[0]), "{told:?}");
    assert_eq!((metrics.messages, metrics.failed), (2, 1));
    assert_eq!(root.read("a/000001.txt"), "1");
    assert_eq!(root.read("a/000002.txt"), "3");
    assert_eq!(root.read("a/index.jsonl").lines().count(), 2);
}

#[test]
fn a_disk_that_fails_ends_the_recording() {
    let root = Directory::new("failing");
    fs::write(root.0.join("file"), "").unwrap();
    let (told, metrics) = run(&root.0, vec![open(1, "file/a", false, 1000)]);
    assert!(matches!(&told[..], [event] if failed(1)(event)), "{told:?}");
    assert_eq!(metrics.failed, 1);
    // In the middle: the place is gone.
    let place = root.0.join("b");
    let order = Open {
        record: 2,
        path: path("b"),
        appends: false,
        octets_max: 10,
    };
    fs::create_dir_all(&place).unwrap();
    let mut recording = recording::Recording::open(&place, &order).unwrap();
    fs::remove_dir_all(&place).unwrap();
    let Job::Record(shard, recorded) = begin(2, 1, "text/plain") else {
        unreachable!("it records");
    };
    let taken = recording.take(shard, *recorded, &Shared::default());
    assert!(matches!(taken, Err(recording::Fault::Io(_))), "{taken:?}");
}

#[test]
fn links_do_not_lead_out() {
    let root = Directory::new("links");
    let outside = Directory::new("outside");
    fs::write(outside.0.join("secret.txt"), "secret").unwrap();
    std::os::unix::fs::symlink(&outside.0, root.0.join("link")).unwrap();
    let load = Order::Load {
        id: 1,
        path: path("link/secret.txt"),
    };
    let jobs = vec![
        Job::Order(load),
        open(2, "link/a", false, 1000),
        open(3, "link", true, 1000),
    ];
    let (told, _) = run(&root.0, jobs);
    let refused = Event::Loaded {
        id: 1,
        content: Err(403),
    };
    assert_eq!(told[0], refused);
    assert!(failed(2)(&told[1]) && failed(3)(&told[2]), "{told:?}");
    assert_eq!(fs::read_dir(&outside.0).unwrap().count(), 1);
}

#[test]
fn what_is_loaded_has_the_type_of_its_name_and_a_bound() {
    let root = Directory::new("load");
    fs::create_dir(root.0.join("d")).unwrap();
    fs::write(root.0.join("d/a.html"), "<b>").unwrap();
    let max = switch::limits::PLAY_BYTES_MAX;
    fs::write(root.0.join("most.txt"), vec![b'x'; max]).unwrap();
    fs::write(root.0.join("more.txt"), vec![b'x'; max + 1]).unwrap();
    for (name, outcome) in [
        ("d/a.html", Ok(("text/html", 3))),
        ("most.txt", Ok(("text/plain", max))),
        ("more.txt", Err(413)),
        ("none.txt", Err(404)),
        ("d", Err(404)),
        ("d/a.html/b", Err(404)),
    ] {
        let load = Order::Load {
            id: 1,
            path: path(name),
        };
        let (told, _) = run(&root.0, vec![Job::Order(load)]);
        let [Event::Loaded { id: 1, content }] = &told[..] else {
            panic!("{told:?}");
        };
        let found = content.as_ref().map(|c| (&*c.media_type, c.body.len()));
        assert_eq!(found, outcome.as_ref().map(|o| *o), "{name}");
    }
}

#[test]
fn what_finds_no_room_is_lost_and_told_and_nobody_waits() {
    let (jobs, waiting) = sync_channel(1);
    let (events, mut inbox) = mpsc::channel(EVENTS_MAX);
    let storage = Storage {
        jobs,
        events,
        shared: Arc::default(),
    };
    let record = |octets: usize| {
        let Job::Record(shard, recorded) = piece(5, 1, 0, &"x".repeat(octets)) else {
            unreachable!("it records");
        };
        storage.record(shard, recorded);
    };
    record(QUEUE_BYTES_MAX + 1);
    assert_eq!(inbox.try_recv(), Ok(Event::Lost { record: 5 }));
    record(10);
    assert!(inbox.try_recv().is_err(), "there was room for one");
    record(10);
    assert_eq!(inbox.try_recv(), Ok(Event::Lost { record: 5 }));
    assert_eq!(storage.metrics().lost, 2);
    assert_eq!(storage.shared.queued.load(Ordering::Relaxed), 10);
    storage.order(Order::Load {
        id: 3,
        path: path("a"),
    });
    let busy = Event::Loaded {
        id: 3,
        content: Err(500),
    };
    assert_eq!(inbox.try_recv(), Ok(busy));
    drop(waiting);
    storage.order(Order::Close { record: 5 });
}
