//! How a record was made.

/// How to make a record again: the program with these arguments, as a shell takes them.
#[must_use]
pub fn command_line(program: &str, arguments: impl Iterator<Item = String>) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:=+".contains(c);
    let words = arguments.map(|word| {
        if !word.is_empty() && word.chars().all(is_plain) {
            word
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    });
    let words = words.collect::<Vec<_>>().join(" ");
    format!("{program} {words}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_tells_how_it_was_made() {
        let made_by = |arguments: &[&str]| {
            command_line("perf/compare", arguments.iter().map(|a| (*a).to_owned()))
        };
        assert_eq!(made_by(&[]), "perf/compare");
        assert_eq!(
            made_by(&["--peers", "kamailio", "--budget=2.5"]),
            "perf/compare --peers kamailio --budget=2.5"
        );
        assert_eq!(
            made_by(&["--out", "it's here", ""]),
            r"perf/compare --out 'it'\''s here' ''"
        );
    }
}
