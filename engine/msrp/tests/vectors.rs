//! Walks `tests/vectors/msrp`: each `.msrp` file is the octets of one connection, and the
//! `.frames` file beside it says what they mean; where the strict grammar sees something else, a
//! `.strict.frames` file says so. Every file is fed whole, octet by octet, and in slices drawn from
//! seeds, with both grammars.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use msrp::{Body, Deframer, FailureReport, Fatal, Grammar, Head, Item, Limits, Start};

/// Seeds of the slices each file is fed in.
const SEEDS: std::ops::Range<u64> = 1..9;

#[test]
fn every_valid_vector_means_what_is_written_beside_it() {
    let count = check_folder("valid", |frames| {
        assert!(
            !frames.contains("fault ") && !frames.contains("fatal "),
            "{frames}"
        );
    });
    assert!(count >= 15, "only {count} vectors found");
}

#[test]
fn every_invalid_vector_means_what_is_written_beside_it() {
    let count = check_folder("invalid", |frames| {
        let is_refused = ["fault ", "fatal ", "rest open"]
            .iter()
            .any(|what| frames.contains(what));
        assert!(is_refused, "{frames}");
    });
    assert!(count >= 20, "only {count} vectors found");
}

fn check_folder(name: &str, judge: impl Fn(&str)) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/vectors/msrp")
        .join(name);
    let entries = std::fs::read_dir(&folder).expect("the folder is there");
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("readable").path())
        .collect();
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "msrp")
    });
    paths.sort();
    for path in &paths {
        let octets = std::fs::read(path).expect("readable");
        let expected = expected(&path.with_extension("frames"));
        let strict = path.with_extension("strict.frames");
        let strict = strict.exists().then(|| self::expected(&strict));
        judge(&expected);
        check(path, &octets, Grammar::Tolerant, &expected);
        let expected = strict.as_ref().unwrap_or(&expected);
        check(path, &octets, Grammar::Strict, expected);
    }
    paths.len()
}

fn expected(path: &Path) -> String {
    let text = std::fs::read_to_string(path);
    let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let is_kept = |line: &&str| !line.starts_with('#');
    text.split_inclusive('\n').filter(is_kept).collect()
}

#[track_caller]
fn check(path: &Path, octets: &[u8], grammar: Grammar, expected: &str) {
    let path = path.display();
    for step in [octets.len().max(1), 1, 3] {
        let frames = Description::of(grammar, octets.chunks(step));
        assert_eq!(frames, expected, "{path} {grammar:?} in steps of {step}");
    }
    for seed in SEEDS {
        let frames = Description::of(grammar, slices(octets, seed).into_iter());
        assert_eq!(frames, expected, "{path} {grammar:?} in slices of {seed}");
    }
}

/// Cuts octets into slices of 1 to 64, the same for the same seed.
fn slices(octets: &[u8], seed: u64) -> Vec<&[u8]> {
    let (mut rest, mut random, mut slices) = (octets, seed, Vec::new());
    while !rest.is_empty() {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let bytes = usize::try_from(random >> 58).expect("six bits") + 1;
        let (slice, after) = rest.split_at(bytes.min(rest.len()));
        slices.push(slice);
        rest = after;
    }
    slices
}

/// A connection in words, one line for each thing met.
#[derive(Default)]
struct Description {
    lines: String,
    /// The octets of a body, until its end.
    body: Option<Vec<u8>>,
}

impl Description {
    fn of<'a>(grammar: Grammar, inputs: impl Iterator<Item = &'a [u8]>) -> String {
        let mut deframer = Deframer::new(Limits {
            grammar,
            ..Limits::default()
        });
        let mut description = Self::default();
        for input in inputs {
            if let Err(fatal) = description.feed(&mut deframer, input) {
                description.line(&format!("fatal {fatal:?}"));
                return description.lines;
            }
        }
        description.line(if deframer.is_idle() {
            "rest idle"
        } else {
            "rest open"
        });
        description.lines
    }

    fn feed(&mut self, deframer: &mut Deframer, mut input: &[u8]) -> Result<(), Fatal> {
        loop {
            let step = deframer.next(input)?;
            let (consumed, is_done) = (step.consumed, step.item.is_none());
            let mut is_end = false;
            match step.item {
                None => {}
                Some(Item::Head(head)) => self.head(&head),
                Some(Item::Body(piece)) => {
                    let octets = match &piece {
                        Body::Input(range) => &input[range.clone()],
                        Body::Held(octets) => octets,
                    };
                    self.body
                        .as_mut()
                        .expect("the head announced it")
                        .extend_from_slice(octets);
                }
                Some(Item::End(flag)) => {
                    self.end_body();
                    self.line(&format!("end {}", char::from(flag.as_byte())));
                    is_end = true;
                }
            }
            if let Some(fault) = deframer.end_fault().filter(|_| is_end) {
                self.line(&format!("end-fault {fault:?}"));
            }
            input = &input[consumed..];
            if is_done {
                return Ok(());
            }
        }
    }

    fn head(&mut self, head: &Head<'_>) {
        let kind = match head.start {
            Start::Request(method) => method.as_bytes().escape_ascii().to_string(),
            Start::Response { status, comment } => format!("{status} {}", comment.escape_ascii()),
        };
        self.line(format!("frame {} {kind}", head.transaction_id.escape_ascii()).trim_end());
        if let Some(range) = head.byte_range {
            let star = |value: Option<u64>| value.map_or("*".to_owned(), |value| value.to_string());
            let (end, total) = (star(range.end()), star(range.total()));
            self.line(&format!("range {}..{end}/{total}", range.offset()));
        }
        if head.success_report {
            self.line("wants success");
        }
        match head.failure_report {
            FailureReport::Yes => {}
            FailureReport::Partial => self.line("wants errors only"),
            FailureReport::No => self.line("wants no failures"),
        }
        if let Some(status) = head.status {
            self.line(&format!("status {:03} {}", status.namespace, status.code));
        }
        if let Some(media_type) = head.content_type {
            self.line(&format!("type {}", media_type.escape_ascii()));
        }
        if let Some(fault) = head.fault {
            self.line(&format!("fault {fault:?}"));
        }
        self.body = head.has_body.then(Vec::new);
    }

    fn end_body(&mut self) {
        if let Some(body) = self.body.take() {
            self.line(&format!("body {} \"{}\"", body.len(), body.escape_ascii()));
        }
    }

    fn line(&mut self, text: &str) {
        writeln!(self.lines, "{text}").expect("a string takes everything");
    }
}
