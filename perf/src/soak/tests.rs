//! Soaks of a program that only says what `mrf load` would, on cores that stand as the test has it.

use std::path::Path;

use load::{Counts, Row, Summary};

use super::*;

/// Says [`ROWS`] rows, and leaves the summary prepared for it.
const MRF: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/soak/mrf.sh");

const ROWS: usize = 8;

/// Looks of one saturation: before, with each row and after, three times.
const SATURATION: usize = 3 * (ROWS + 2);

struct Bench(Scratch);

impl Bench {
    fn new(name: &str, stopped: &Summary, soaked: &Summary) -> Self {
        let dir = std::env::temp_dir().join(format!("mrf-soak-{name}-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        let saturated = Summary {
            delivered_per_second: 18_000.0,
            ..Summary::default()
        };
        for (name, summary) in [
            ("saturated", &saturated),
            ("stopped", stopped),
            ("soaked", soaked),
        ] {
            std::fs::write(dir.join(name), serde_json::to_vec(summary).unwrap()).unwrap();
        }
        std::fs::create_dir(dir.join("record")).unwrap();
        Self(Scratch(dir))
    }

    fn dir(&self) -> &Path {
        &self.0.0
    }

    /// Whether it was good, and what the record says.
    fn soak(&self, looks: &[(usize, f64)], arguments: &[&str]) -> (bool, String) {
        let out = self.dir().join("record");
        let words = ["soak", "--out", out.to_str().unwrap()];
        let arguments = Arguments::parse_from(words.iter().chain(arguments));
        let program = Program {
            mrf: MRF.into(),
            scratch: self.dir().to_owned(),
        };
        let looks = looks.iter().flat_map(|(times, nanos)| vec![*nanos; *times]);
        let mut looks = looks.map(|nanos| (Some(Trip { nanos }), nanos > 300.0));
        let mut see = || looks.next().expect("a look that the test did not expect");
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        let code = runtime
            .block_on(soak(&arguments, &program, &mut see))
            .unwrap();
        assert_eq!(looks.count(), 0, "looks that were not taken");
        let page = std::fs::read_dir(out).unwrap().next().unwrap().unwrap();
        let page = std::fs::read_to_string(page.path()).unwrap();
        (code == ExitCode::SUCCESS, page)
    }
}

/// Four minutes, each with so many MB at most.
fn soaked(counts: Counts, minutes: [u64; 4]) -> Summary {
    let row = |mb: u64| Row {
        second: 0.0,
        sent: 0,
        delivered: 0,
        octets: 0,
        latency: load::Percentiles::default(),
        generator_busy: 0.0,
        target_cpu: None,
        target_resident_bytes: Some(mb * 1_000_000),
    };
    let of_minute = |mb: u64| (0..60).map(move |second| row(mb - u64::from(second != 7)));
    Summary {
        rows: minutes.into_iter().flat_map(of_minute).collect(),
        seconds: 240.0,
        counts,
        ..Summary::default()
    }
}

fn stopped(counts: Counts) -> Summary {
    Summary {
        seconds: 7.0,
        is_interrupted: true,
        counts,
        ..Summary::default()
    }
}

const LOST: Counts = Counts { lost: 3, ..NOTHING };

const NOTHING: Counts = Counts {
    sent: 0,
    unsent: 0,
    delivered: 0,
    lost: 0,
    duplicated: 0,
    out_of_order: 0,
    damaged: 0,
    aborted: 0,
    refused: 0,
    strange: 0,
    disconnected: 0,
    leaves: 0,
    joins: 0,
    unbound: 0,
};

#[track_caller]
fn expect(page: &str, rows: &[&str]) {
    for row in rows {
        assert!(page.contains(row), "{row} is missing in\n{page}");
    }
}

const NEAR: f64 = 90.0;
const FAR: f64 = 500.0;

/// Near once, far after a second for the six that are one too many, and far since, but for the last two.
const APART: [(usize, f64); 5] = [
    (SATURATION, NEAR),
    (1, NEAR),
    (6 + SATURATION, FAR),
    (6, FAR),
    (2, NEAR),
];

#[test]
fn cores_that_move_apart_have_all_begin_anew() {
    let bench = Bench::new(
        "anew",
        &stopped(NOTHING),
        &soaked(NOTHING, [30, 50, 51, 52]),
    );
    let (is_good, page) = bench.soak(&APART, &[]);
    expect(
        &page,
        &[
            "## Soak of 240 s",
            "`mrf load --conferences 20 --participants 10 --size 300 --rate 1000 --churn 10 --duration 10m`",
            "| saturation, messages/s: median (least–most) | 2000 |",
            "| far, 500 |",
            "| share of saturation | 50 %; less in the 2 s in which they were near |",
            "| 2 / 6 / 0 |",
            "| 90 / 500 |",
            "| 1, after 7 s |",
            "| 30.0 50.0 51.0 52.0 |",
            "| +4.0 % / +4.0 % |",
            "| outcome | good |",
        ],
    );
    assert!(is_good);
}

#[test]
fn what_was_lost_before_it_began_anew_is_lost() {
    let bench = Bench::new("lost", &stopped(LOST), &soaked(NOTHING, [30; 4]));
    let (is_good, page) = bench.soak(&APART, &[]);
    expect(
        &page,
        &[
            "| faults in what was given up | 3 |",
            "| outcome | failed |",
        ],
    );
    assert!(!is_good);
}

#[test]
fn memory_that_grows_after_the_first_minute_and_losses_fail() {
    for (name, counts, minutes, words) in [
        ("memory", NOTHING, [30, 40, 41, 43], "| +7.5 % / +7.5 % |"),
        ("losses", LOST, [30; 4], "| lost | 3 |"),
    ] {
        let bench = Bench::new(name, &stopped(NOTHING), &soaked(counts, minutes));
        std::fs::write(bench.dir().join("begun"), "").unwrap();
        // With a rate that was given nothing is measured, and nothing given up.
        let (is_good, page) = bench.soak(&[(ROWS, FAR)], &["4m", "700"]);
        let command = "--rate 700 --churn 10 --duration 4m`";
        expect(&page, &[words, command, "| not measured |", "| failed |"]);
        assert!(!is_good);
    }
}

#[test]
fn saturation_is_of_runs_that_found_the_cores_alike() {
    let bench = Bench::new("alike", &stopped(NOTHING), &soaked(NOTHING, [30; 4]));
    std::fs::write(bench.dir().join("begun"), "").unwrap();
    let run = ROWS + 2;
    let looks = [
        (2 * run, NEAR),
        // They move within the third.
        (4, NEAR),
        (run - 4, FAR),
        (3 * run, FAR),
        (ROWS, FAR),
    ];
    let (is_good, page) = bench.soak(&looks, &["4m"]);
    expect(&page, &["| far, 500 |", "| 50 % |", "| 0 / 8 / 0 |"]);
    assert!(is_good);
}

#[test]
fn what_cannot_be_soaked_is_refused_before_anything_is_measured() {
    let is_taken = |words: &[&str]| {
        let words = ["soak"].iter().chain(words);
        Arguments::try_parse_from(words).is_ok()
    };
    for good in [&[][..], &["90s"], &["1h", "700"], &["--saturation", "1s"]] {
        assert!(is_taken(good), "{good:?}");
    }
    for bad in [
        &["90"][..],
        &["s"],
        &["0m"],
        &["1d"],
        &["9m", "0"],
        &["ten"],
    ] {
        assert!(!is_taken(bad), "{bad:?}");
    }
}

#[test]
fn where_the_cores_never_stand_still_the_least_that_was_measured_counts() {
    let bench = Bench::new("least", &stopped(NOTHING), &soaked(NOTHING, [30; 4]));
    std::fs::write(bench.dir().join("begun"), "").unwrap();
    let run = ROWS + 2;
    let halves = [(run / 2, NEAR), (run - run / 2, FAR)];
    let mut looks = halves.repeat(SATURATION_RUNS_MAX);
    looks.push((ROWS, NEAR));
    let (is_good, page) = bench.soak(&looks, &["4m"]);
    let less = format!("| 50 %; less in the {ROWS} s in which they were near |");
    expect(&page, &["| 2000 |", &less]);
    assert!(is_good);
}
