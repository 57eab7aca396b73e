//! The system under test as a process: started, placed, watched, ended.

use std::io;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// A process of ours and all that it started. Dropping it ends it.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

/// Cores that this process may use.
#[must_use]
pub fn cores() -> Vec<usize> {
    let set = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
    (0..CpuSet::MAX_CPU)
        .filter(|core| set.is_set(*core))
        .collect()
}

/// Keeps the calling thread on a core.
///
/// # Errors
///
/// Those of the system, such as that there is no such core.
pub fn pin(core: usize) -> io::Result<()> {
    Ok(sched_setaffinity(None, &set_of(&[core]))?)
}

impl Process {
    /// Starts `command` on `cores`; all if there are none.
    ///
    /// # Errors
    ///
    /// Those of the system; the error names the program.
    pub fn start(mut command: Command, cores: &[usize]) -> io::Result<Self> {
        let before = sched_getaffinity(None)?;
        // Children inherit where they may run: no moment in which it runs elsewhere.
        if !cores.is_empty() {
            sched_setaffinity(None, &set_of(cores))?;
        }
        let child = command.spawn();
        sched_setaffinity(None, &before)?;
        let named = |cause: io::Error| {
            let program = command.get_program().to_string_lossy().into_owned();
            io::Error::new(cause.kind(), format!("{program}: {cause}"))
        };
        Ok(Self {
            child: child.map_err(named)?,
        })
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it prints, if that is piped; once.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Its standard input, output and error, if all are piped; once.
    pub fn pipes(&mut self) -> Option<(ChildStdin, ChildStdout, ChildStderr)> {
        let child = &mut self.child;
        Some((
            child.stdin.take()?,
            child.stdout.take()?,
            child.stderr.take()?,
        ))
    }

    /// Whether it ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        for id in tree(self.id()) {
            if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw)
                && self.child.try_wait().is_ok_and(|ended| ended.is_none())
            {
                // It may have ended meanwhile.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let _ = self.child.wait();
    }
}

/// Takes as many descriptors as this process may have; how many that is.
pub fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "cannot raise the limit of open files");
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

fn set_of(cores: &[usize]) -> CpuSet {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    set
}

/// A process and its descendants, itself last.
fn tree(id: u32) -> Vec<u32> {
    let mut all: Vec<u32> = tasks(id)
        .into_iter()
        .filter_map(|task| std::fs::read_to_string(format!("{task}/children")).ok())
        .flat_map(|text| {
            let ids = text.split_whitespace().map(str::parse::<u32>);
            ids.flatten().collect::<Vec<_>>()
        })
        .flat_map(tree)
        .collect();
    all.push(id);
    all
}

fn tasks(id: u32) -> Vec<String> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{id}/task")) else {
        return Vec::new();
    };
    tasks
        .flatten()
        .map(|task| task.path().to_string_lossy().into_owned())
        .collect()
}

/// CPU time of a process and its descendants so far, in nanoseconds.
#[must_use]
pub fn cpu_nanos(id: u32) -> u64 {
    tree(id)
        .into_iter()
        .flat_map(tasks)
        .filter_map(|task| std::fs::read_to_string(format!("{task}/schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// CPU time of the calling process's thread of this name, in nanoseconds.
#[must_use]
pub(crate) fn thread_nanos(name: &str) -> u64 {
    tasks(std::process::id())
        .into_iter()
        .filter(|task| {
            let comm = std::fs::read_to_string(format!("{task}/comm"));
            comm.is_ok_and(|text| text.trim_end() == name)
        })
        .filter_map(|task| std::fs::read_to_string(format!("{task}/schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// Memory of a process and its descendants that is resident and private to them, in octets.
#[must_use]
pub fn resident_bytes(id: u32) -> u64 {
    tree(id)
        .into_iter()
        .filter_map(|id| std::fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok())
        .map(|text| {
            let of = |name: &str| {
                text.lines()
                    .filter_map(|line| line.strip_prefix(name))
                    .filter_map(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
                    .sum::<u64>()
            };
            1024 * (of("Private_Dirty:") + of("Private_Clean:") + of("Shared_Dirty:"))
        })
        .sum()
}

/// The same without asking what is shared: quick, and higher by what libraries and other processes hold.
#[must_use]
pub(crate) fn resident_now(id: u32) -> u64 {
    status_bytes(id, "VmRSS:")
}

/// The most that was ever resident, counted like [`resident_now`].
#[must_use]
pub(crate) fn peak_bytes(id: u32) -> u64 {
    status_bytes(id, "VmHWM:")
}

fn status_bytes(id: u32, name: &str) -> u64 {
    tree(id)
        .into_iter()
        .filter_map(|id| std::fs::read_to_string(format!("/proc/{id}/status")).ok())
        .filter_map(|text| {
            let mut lines = text.lines();
            let rest = lines.find_map(|line| line.strip_prefix(name))?;
            rest.split_whitespace().next()?.parse::<u64>().ok()
        })
        .map(|kib| 1024 * kib)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_watched_and_ends_with_its_children() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & sleep 600 & wait"]);
        let process = Process::start(command, &cores()[..1]).unwrap();
        let id = process.id();
        let is_sleep = |id: &u32| {
            let comm = std::fs::read_to_string(format!("/proc/{id}/comm"));
            comm.is_ok_and(|comm| comm == "sleep\n")
        };
        while tree(id).iter().filter(|id| is_sleep(id)).count() < 2 {
            std::thread::yield_now();
        }
        let all = tree(id);
        assert!(cpu_nanos(id) > 0 && resident_bytes(id) > 0);
        // Read in this order: they may still load what they need.
        let now = resident_now(id);
        assert!(now > 0 && peak_bytes(id) >= now);
        drop(process);
        // A grandchild may still wait to be reaped by whoever adopted it.
        let lives = |id: &u32| {
            let stat = std::fs::read_to_string(format!("/proc/{id}/stat"));
            stat.is_ok_and(|stat| !stat.contains(") Z "))
        };
        while all.iter().any(lives) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_cannot_be_started_is_named() {
        let error = Process::start(Command::new("/nowhere/mrf"), &[]).unwrap_err();
        assert!(error.to_string().contains("/nowhere/mrf"), "{error}");
    }
}
