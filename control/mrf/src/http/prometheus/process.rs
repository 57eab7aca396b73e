//! What Prometheus tells of every process, under its usual names, from `/proc`.

use std::fs;

use super::{Kind, Page};

/// Clock ticks of a second in `/proc` (`USER_HZ`, the same on every Linux).
const TICKS_PER_SECOND: f64 = 100.0;

/// Writes what can be read; what cannot is left out.
pub(super) fn write(page: &mut Page) {
    let read = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
    let stat = read("stat");
    if let Some(seconds) = cpu_seconds(&stat) {
        let name = "process_cpu_seconds_total";
        page.family(
            name,
            Kind::Counter,
            "CPU time, user and system, in seconds.",
        );
        page.sample(name, &[], seconds);
    }
    if let Some(seconds) =
        start_seconds(&stat, &fs::read_to_string("/proc/stat").unwrap_or_default())
    {
        let name = "process_start_time_seconds";
        page.family(
            name,
            Kind::Gauge,
            "When the process began, in seconds since 1970.",
        );
        page.sample(name, &[], seconds);
    }
    let open = fs::read_dir("/proc/self/fd").map(|entries| entries.count() as u64);
    for (name, help, value) in [
        (
            "process_resident_memory_bytes",
            "Memory in use, in octets.",
            resident_bytes(&read("status")),
        ),
        ("process_open_fds", "File descriptors in use.", open.ok()),
        (
            "process_max_fds",
            "File descriptors that may be in use.",
            descriptors_max(&read("limits")),
        ),
    ] {
        if let Some(value) = value {
            page.single(name, Kind::Gauge, help, value);
        }
    }
}

/// The fields behind the name, which may hold anything; the first one is the state.
fn fields(stat: &str) -> Vec<&str> {
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    rest.split_whitespace().collect()
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    let fields = fields(stat);
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}

fn start_seconds(stat: &str, system: &str) -> Option<f64> {
    let ticks: f64 = fields(stat).get(19)?.parse().ok()?;
    let boot = system
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?;
    Some(boot.trim().parse::<f64>().ok()? + ticks / TICKS_PER_SECOND)
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

fn descriptors_max(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_the_kernel_are_understood() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 4 0 1234 99 88";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(start_seconds(stat, "cpu 1 2\nbtime 1000\n"), Some(1012.34));
        assert_eq!(
            resident_bytes("VmSize: 9 kB\nVmRSS:\t  12 kB\n"),
            Some(12_288)
        );
        let limits =
            "Max processes  1 2 processes\nMax open files            1024   4096   files\n";
        assert_eq!(descriptors_max(limits), Some(1024));
    }

    #[test]
    fn this_process_has_all_of_them() {
        let mut page = Page(String::new());
        write(&mut page);
        assert_eq!(page.0.matches("# TYPE process_").count(), 5, "{}", page.0);
    }
}
