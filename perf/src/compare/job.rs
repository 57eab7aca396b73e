//! One run in a process of its own: whatever hangs is ended with all that it started, and the rest goes on.

use core::time::Duration;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;

use anyhow::{Context, bail};
use load::process::Process;
use load::{Plan, Summary};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::systems::{Place, System, begin, runtime};

/// What to run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) system: System,
    pub(crate) plan: Plan,
    pub(crate) place: Place,
    /// Whether the system calls of the system under test are counted, which slows it down.
    pub(crate) counts_calls: bool,
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) summary: Summary,
    /// System calls of the system under test per delivery, where they can be counted.
    pub(crate) calls_per_delivery: Option<f64>,
}

/// Beyond the time a plan gives itself: to start, to make the sessions, to drain.
const PATIENCE: Duration = Duration::from_secs(40);

impl Job {
    /// Starts the system afresh, runs the plan against it, stops it.
    ///
    /// # Errors
    ///
    /// What the run says it failed of, or that it did not end in time.
    pub(crate) fn run(&self) -> anyhow::Result<Outcome> {
        let mut command = self.place.again_here()?;
        command
            .arg("run-one")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // Ends with all that it started when this returns.
        let mut process = Process::start(command, &[])?;
        let (stdin, stdout, stderr) = process.pipes().context("pipes to the run")?;
        let mut stdin = stdin;
        serde_json::to_writer(&mut stdin, self)?;
        drop(stdin);
        let outcome = in_background(stdout);
        let complaint = in_background(stderr);
        let patience = PATIENCE + self.plan.warmup + self.plan.duration;
        let Ok(text) = outcome.recv_timeout(patience) else {
            bail!("did not end within {patience:?}");
        };
        if let Ok(outcome) = serde_json::from_str(&text) {
            return Ok(outcome);
        }
        drop(process);
        let complaint = complaint.recv_timeout(PATIENCE).unwrap_or_default();
        let reason = complaint.lines().rev().find(|line| !line.trim().is_empty());
        bail!("{}", reason.unwrap_or("ended without a word"));
    }
}

/// Everything that comes, once it is over.
fn in_background(mut from: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (tx, rx) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        // What cannot be read is no outcome.
        let _ = from.read_to_string(&mut text);
        let _ = tx.send(text);
    });
    rx
}

/// The other side of [`Job::run`].
pub(crate) fn run_one() -> anyhow::Result<()> {
    let mut job: Job = serde_json::from_reader(std::io::stdin().lock())?;
    job.plan.core = job.place.generator;
    let outcome = runtime()?.block_on(async {
        let sessions = begin(&job).await?;
        let calls = sessions.target.id.filter(|_| job.counts_calls);
        let calls = calls.and_then(Calls::count);
        let summary = load::run(&job.plan, sessions, |_| ()).await?;
        let count = calls.and_then(Calls::end);
        let delivered = summary.counts.delivered.max(1) as f64;
        anyhow::Ok(Outcome {
            calls_per_delivery: count.map(|count| count as f64 / delivered),
            summary,
        })
    });
    match outcome {
        Ok(outcome) => {
            serde_json::to_writer(std::io::stdout().lock(), &outcome)?;
            Ok(())
        }
        // On one line: it becomes a row of a table.
        Err(error) => {
            writeln!(std::io::stderr(), "{error:#}")?;
            std::process::exit(1);
        }
    }
}

/// `perf stat` on the system under test, from before the first message to after the last.
struct Calls {
    perf: Child,
    lines: BufReader<ChildStdout>,
    count: u64,
}

impl Calls {
    /// `None` where there is no perf, or no tracepoints.
    fn count(target: u32) -> Option<Self> {
        let mut perf = Command::new("perf")
            .args(["stat", "-x,", "-I", "100", "--log-fd", "1"])
            .args(["-e", "raw_syscalls:sys_enter", "-p", &target.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let lines = BufReader::new(perf.stdout.take()?);
        let mut calls = Self {
            perf,
            lines,
            count: 0,
        };
        // The first interval is over: it is attached. What it counted was before the run.
        let is_counting = calls.next_count().is_some();
        calls.count = 0;
        is_counting.then_some(calls)
    }

    /// Of the next interval: `time,count,unit,event,…`.
    fn next_count(&mut self) -> Option<u64> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.lines.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line.contains("sys_enter") {
                // It says so when it could not count for as long.
                let count = line.split(',').nth(1).map(str::parse);
                return Some(count.and_then(Result::ok).unwrap_or(0));
            }
        }
    }

    fn end(mut self) -> Option<u64> {
        let pid = Pid::from_raw(i32::try_from(self.perf.id()).ok()?)?;
        // It may have ended with its target, after a last interval.
        let _ = kill_process(pid, Signal::INT);
        while let Some(count) = self.next_count() {
            self.count += count;
        }
        Some(self.count)
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.perf.kill();
        let _ = self.perf.wait();
    }
}
