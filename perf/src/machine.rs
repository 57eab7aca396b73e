//! Where it was measured, and how quiet it was there.

use std::fmt;

/// The machine.
#[derive(Debug)]
pub struct Machine {
    /// Its model.
    pub processor: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Its release.
    pub kernel: String,
    /// Of TCP.
    pub congestion_control: String,
    /// Share of the time that the hypervisor gave to others.
    pub steal: f64,
    /// Processes that wanted a core, on average over the last minute.
    pub load: String,
}

/// Processor time so far.
#[derive(Clone, Copy, Debug)]
pub struct Steal {
    stolen: u64,
    all: u64,
}

impl Steal {
    /// Until now.
    #[must_use]
    pub fn now() -> Self {
        let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        let first = text.lines().next().unwrap_or_default();
        let ticks: Vec<u64> = first
            .split_whitespace()
            .skip(1)
            .filter_map(|word| word.parse().ok())
            .collect();
        Self {
            stolen: ticks.get(7).copied().unwrap_or(0),
            all: ticks.iter().take(8).sum(),
        }
    }
}

impl Machine {
    /// This machine, and how quiet it was since `before`.
    #[must_use]
    pub fn look(before: &Steal) -> Self {
        let now = Steal::now();
        let uname = rustix::system::uname();
        let cpuinfo = read("/proc/cpuinfo");
        let model = cpuinfo
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
            .map_or("unknown", |(_, model)| model);
        Self {
            processor: model.to_owned(),
            cores: load::process::cores().len(),
            kernel: uname.release().to_string_lossy().into_owned(),
            congestion_control: read("/proc/sys/net/ipv4/tcp_congestion_control"),
            steal: (now.stolen - before.stolen) as f64 / (now.all - before.all).max(1) as f64,
            load: read("/proc/loadavg")
                .split(' ')
                .next()
                .unwrap_or_default()
                .to_owned(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {} cores, Linux {}, TCP {}; {:.1} % of the time stolen, load {}",
            self.processor,
            self.cores,
            self.kernel,
            self.congestion_control.trim(),
            self.steal * 100.0,
            self.load
        )
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Today, as `2026-11-24` (UTC).
#[must_use]
pub fn today() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let days = since.map_or(0, |since| since.as_secs() / 86_400);
    date(i64::try_from(days).unwrap_or(0))
}

/// The civil date of a day since 1970-01-01 (Gregorian calendar, years from March).
fn date(days: i64) -> String {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_dates() {
        for (days, expected) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (20_781, "2026-11-24"),
        ] {
            assert_eq!(date(days), expected);
        }
    }
}
