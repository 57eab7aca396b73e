//! The instructions of the hot paths, counted by callgrind, held against a record.
//!
//! ```text
//! instructions            counts, compares with the record, fails when one differs by more than 2 %
//! instructions --record   counts, and writes the record anew
//! ```
//!
//! Counted is what the program itself executes, and how often it calls into the C library; what the library
//! then does depends on the distribution. valgrind shows programs one processor, whichever is there, so
//! that code chosen at run time (memchr) is the same on every machine with AVX2. Each path runs in a
//! process of its own: once to warm up, then so many times in [`counted`], where alone callgrind collects.
#![forbid(unsafe_code)]

mod profile;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, bail, ensure};
use h248::{Encoding, Limits, parse, print};
use mrf_benches::call::Calls;
use mrf_benches::fan_out::{FanOut, MESSAGES};
use mrf_benches::frames::{chunk, deframed, reassembled, rewritten, text};
use mrf_benches::reservation::RESERVE;

use profile::Count;

/// A hot path: its name, how often it is run, and what makes it.
struct HotPath {
    name: &'static str,
    runs: u32,
    make: fn() -> Box<dyn FnMut()>,
}

const PATHS: [HotPath; 13] = [
    HotPath {
        name: "parse_100_frames_of_100_octets",
        runs: 20,
        make: || deframe(100, 100),
    },
    HotPath {
        name: "parse_one_frame_of_1_mib",
        runs: 5,
        make: || deframe(1, 1 << 20),
    },
    HotPath {
        name: "rewrite_for_one_recipient",
        runs: 1_000,
        make: || {
            let mut out = Vec::new();
            let octets = rewritten(&mut out, 300);
            Box::new(move || assert_eq!(rewritten(&mut out, 300), octets))
        },
    },
    HotPath {
        name: "reassemble_60_pieces",
        runs: 20,
        make: || Box::new(|| assert!(reassembled(60, 2_048))),
    },
    HotPath {
        name: "fan_out_16_of_100_octets_to_1",
        runs: 100,
        make: || fan_out(FanOut::new, 1, 100),
    },
    HotPath {
        name: "fan_out_16_of_100_octets_to_100",
        runs: 10,
        make: || fan_out(FanOut::new, 100, 100),
    },
    HotPath {
        name: "fan_out_16_of_1_kib_to_10",
        runs: 50,
        make: || fan_out(FanOut::new, 10, 1_024),
    },
    HotPath {
        name: "fan_out_16_of_1_kib_to_10_and_answers",
        runs: 50,
        make: || fan_out(FanOut::answered, 10, 1_024),
    },
    HotPath {
        name: "fan_out_16_of_16_kib_to_10",
        runs: 10,
        make: || fan_out(FanOut::new, 10, 16_384),
    },
    HotPath {
        name: "h248_decode_a_reservation",
        runs: 100,
        make: || {
            let limits = Limits::default();
            let message = parse(RESERVE, &limits).expect("a good message");
            let compact = print(&message, Encoding::Compact);
            Box::new(move || assert_eq!(parse(&compact, &limits).expect("good").version, 2))
        },
    },
    HotPath {
        name: "h248_encode_a_reservation",
        runs: 100,
        make: || {
            let message = parse(RESERVE, &Limits::default()).expect("a good message");
            let octets = print(&message, Encoding::Compact).len();
            Box::new(move || assert_eq!(print(&message, Encoding::Compact).len(), octets))
        },
    },
    HotPath {
        name: "sip_call_from_invite_to_bye",
        runs: 100,
        make: || {
            let mut calls = Calls::default();
            let octets = calls.run();
            Box::new(move || assert_eq!(calls.run(), octets))
        },
    },
    HotPath {
        name: "sip_refusal_under_overload",
        runs: 100,
        make: || {
            let mut calls = Calls::overwhelmed();
            Box::new(move || assert!(calls.refuse() > 0))
        },
    },
];

fn deframe(frames: usize, size: usize) -> Box<dyn FnMut()> {
    let stream = chunk(&text(size)).repeat(frames);
    Box::new(move || assert_eq!(deframed(&stream), (frames, frames * size)))
}

fn fan_out(make: fn(u32, usize) -> FanOut, recipients: u32, size: usize) -> Box<dyn FnMut()> {
    let mut fan_out = make(recipients, size);
    let least = MESSAGES * recipients as usize * size;
    Box::new(move || assert!(fan_out.run() > least))
}

/// The only function in which callgrind collects.
#[inline(never)]
fn counted(path: &mut dyn FnMut(), runs: u32) {
    for _ in 0..runs {
        path();
    }
    // Not a tail call, which would leave the function early.
    black_box(runs);
}

/// A count may differ from the record by this share.
const SHARE_MAX: f64 = 0.02;
/// And by this many, where there are few.
const DIFFERENCE_MIN: f64 = 5.0;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        [] => compare(),
        ["--record"] => record(),
        ["--run", name] => run(name).map(|()| true),
        _ => Err(anyhow::anyhow!("usage: instructions [--record]")),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("instructions: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Under valgrind: one path.
fn run(name: &str) -> anyhow::Result<()> {
    let path = PATHS.iter().find(|path| path.name == name);
    let path = path.context("no such path")?;
    let mut step = (path.make)();
    step();
    counted(&mut step, path.runs);
    Ok(())
}

type Counts = BTreeMap<String, Count>;

fn count_all() -> anyhow::Result<Counts> {
    let folder = std::env::temp_dir().join(format!("mrf-instructions-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let counts = PATHS.iter().map(|path| {
        let count = count(path, &folder).context(path.name)?;
        Ok((path.name.to_owned(), count))
    });
    let counts = counts.collect();
    std::fs::remove_dir_all(&folder)?;
    counts
}

fn count(path: &HotPath, folder: &Path) -> anyhow::Result<Count> {
    let out = folder.join(path.name);
    let program = std::env::current_exe()?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*counted*"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(&program)
        .args(["--run", path.name])
        .stdin(Stdio::null())
        .output()
        .context("valgrind cannot be started; apt-get install valgrind")?;
    ensure!(
        output.status.success(),
        "valgrind: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let profile = std::fs::read_to_string(&out)?;
    let count = profile::read(&profile, &program.to_string_lossy());
    ensure!(count.instructions > 0, "nothing was collected");
    let per_run = |all: u64| all / u64::from(path.runs);
    Ok(Count {
        instructions: per_run(count.instructions),
        calls: per_run(count.calls),
    })
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("instructions.tsv")
}

const HEADING: &str =
    "# path\tinstructions\tcalls into libraries; made by perf/instructions --record";

fn record() -> anyhow::Result<bool> {
    let mut page = format!("{HEADING}\n# {} {}\n", std::env::consts::ARCH, compiler()?);
    for (name, count) in count_all()? {
        writeln!(page, "{name}\t{}\t{}", count.instructions, count.calls)?;
    }
    std::fs::write(file(), &page)?;
    print!("{page}");
    Ok(true)
}

fn compare() -> anyhow::Result<bool> {
    let (platform, recorded) = recorded()?;
    let here = format!("{} {}", std::env::consts::ARCH, compiler()?);
    if !here.starts_with("x86_64") {
        println!("instructions: recorded for x86_64, nothing to compare with here");
        return Ok(true);
    }
    let mut is_same = true;
    println!(
        "| path | instructions | recorded | calls | recorded | |\n|---|---:|---:|---:|---:|---|"
    );
    for (name, now) in count_all()? {
        let Some(then) = recorded.get(&name) else {
            println!(
                "| {name} | {} | | {} | | not recorded |",
                now.instructions, now.calls
            );
            is_same = false;
            continue;
        };
        let differs = [
            (now.instructions, then.instructions),
            (now.calls, then.calls),
        ]
        .iter()
        .any(|(now, then)| {
            let (now, then) = (*now as f64, *then as f64);
            (now - then).abs() > (then * SHARE_MAX).max(DIFFERENCE_MIN)
        });
        let word = if differs { "differs" } else { "" };
        println!(
            "| {name} | {} | {} | {} | {} | {word} |",
            now.instructions, then.instructions, now.calls, then.calls
        );
        is_same &= !differs;
    }
    for (name, then) in &recorded {
        if PATHS.iter().all(|path| path.name != name) {
            println!(
                "| {name} | | {} | | {} | no such path |",
                then.instructions, then.calls
            );
            is_same = false;
        }
    }
    if !is_same {
        eprintln!(
            "instructions: a hot path differs from benches/instructions.tsv by more than 2 %. If that is \
             meant, record it anew: perf/instructions --record"
        );
        if platform != here {
            eprintln!(
                "instructions: recorded with {platform}, here is {here}: the compiler alone may do that"
            );
        }
    }
    Ok(is_same)
}

fn recorded() -> anyhow::Result<(String, Counts)> {
    let page = std::fs::read_to_string(file()).with_context(|| file().display().to_string())?;
    let mut counts = Counts::new();
    let mut platform = String::new();
    for line in page.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            platform = comment.to_owned();
            continue;
        }
        let [name, instructions, calls] = line.split('\t').collect::<Vec<_>>()[..] else {
            bail!("{line:?}: expected a path and two numbers");
        };
        let count = Count {
            instructions: instructions.parse()?,
            calls: calls.parse()?,
        };
        counts.insert(name.to_owned(), count);
    }
    Ok((platform, counts))
}

fn compiler() -> anyhow::Result<String> {
    let output = Command::new("rustc").arg("--version").output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
