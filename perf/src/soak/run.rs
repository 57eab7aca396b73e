//! One `mrf load` as a process: told second by second, stopped when it is to stop.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use load::Summary;
use load::process::Process;
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// A run, and whether it was stopped before its time.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) summary: Summary,
    pub(crate) is_stopped: bool,
}

/// Where `mrf` is, and where it may leave what it found.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) mrf: PathBuf,
    pub(crate) scratch: PathBuf,
}

impl Program {
    /// Runs `mrf load` with these arguments; what it says goes on to standard output. With each row, `goes_on` decides.
    ///
    /// # Errors
    ///
    /// When it leaves no summary. Dropped, it ends `mrf load` and the system under test.
    pub(crate) async fn load(
        &self,
        arguments: &[String],
        mut goes_on: impl FnMut() -> bool,
    ) -> anyhow::Result<Ended> {
        let json = self.scratch.join("summary.json");
        let mut command = Command::new(&self.mrf);
        command
            .arg("load")
            .args(arguments)
            .arg("--json")
            .arg(&json)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut process = Process::start(command, &[])?;
        let mut lines = lines(&mut process)?;
        let mut is_stopped = false;
        while let Some(line) = lines.recv().await {
            println!("{line}");
            if is_row(&line) && !is_stopped && !goes_on() {
                is_stopped = true;
                terminate(process.id())?;
            }
        }
        // It has closed its output; what it leaves is complete when it has ended.
        while !process.has_ended() {
            tokio::time::sleep(LOOK).await;
        }
        drop(process);
        let summary = read(&json).context("mrf load left no summary")?;
        if summary.is_interrupted && !is_stopped {
            bail!("mrf load was interrupted");
        }
        Ok(Ended {
            summary,
            is_stopped,
        })
    }
}

/// How often to look whether it has ended.
const LOOK: core::time::Duration = core::time::Duration::from_millis(5);

fn lines(process: &mut Process) -> anyhow::Result<UnboundedReceiver<String>> {
    let stdout = process.stdout().context("the output of mrf load")?;
    let (tx, rx) = unbounded_channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if tx.send(line).is_err() {
                return;
            }
        }
    });
    Ok(rx)
}

/// A row begins with its second; nothing else that is said begins with a number.
fn is_row(line: &str) -> bool {
    let first = line.split_whitespace().next();
    first.is_some_and(|word| word.parse::<u64>().is_ok())
}

fn terminate(id: u32) -> anyhow::Result<()> {
    let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
    kill_process(pid.context("a process number")?, Signal::TERM).context("mrf load")
}

fn read(path: &Path) -> anyhow::Result<Summary> {
    let file = File::open(path)?;
    let summary = serde_json::from_reader(BufReader::new(file))?;
    // The next run leaves its own.
    std::fs::remove_file(path)?;
    Ok(summary)
}
