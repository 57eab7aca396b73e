//! The ladder: one row a message, with a mark, and what deviated below it.

use core::fmt::{self, Display};

/// Who takes part, from left to right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Party {
    /// The user of the seed.
    Ue1,
    /// Another participant.
    Ue2,
    /// The focus.
    Mrfc,
    /// The media plane.
    Mrfp,
}

const PARTIES: [(Party, &str); 4] = [
    (Party::Ue1, "UE#1"),
    (Party::Ue2, "UE#2"),
    (Party::Mrfc, "MRFC/AS"),
    (Party::Mrfp, "MRFP"),
];

/// Characters from one lifeline to the next.
const PITCH: usize = 24;

/// One message and what was checked about it.
#[derive(Debug)]
pub(super) struct Step {
    number: &'static str,
    from: Party,
    to: Party,
    label: String,
    checks: Vec<Check>,
    text: Option<String>,
}

/// One fact that was checked.
#[derive(Debug)]
struct Check {
    what: String,
    holds: bool,
    expected: String,
    got: String,
}

impl Step {
    /// Step `number` of the flow; steps between those of the flow have none.
    pub(super) fn new(number: &'static str, from: Party, to: Party, label: &str) -> Self {
        Self {
            number,
            from,
            to,
            label: label.to_owned(),
            checks: Vec::new(),
            text: None,
        }
    }

    /// The message in full, for `--verbose`.
    pub(super) fn text(mut self, octets: &[u8]) -> Self {
        self.text = Some(String::from_utf8_lossy(octets).into_owned());
        self
    }

    /// Checks that both are the same.
    pub(super) fn same<A>(&mut self, what: &str, expected: &A, got: &A)
    where
        A: PartialEq + Display + ?Sized,
    {
        self.check(what, expected == got, expected, got);
    }

    /// Checks a fact; the two values say what was expected and what came instead.
    pub(super) fn check(
        &mut self,
        what: &str,
        holds: bool,
        expected: impl Display,
        got: impl Display,
    ) {
        let expected = expected.to_string();
        // What came instead is worth words only if something else was expected.
        let got = if holds {
            expected.clone()
        } else {
            got.to_string()
        };
        self.checks.push(Check {
            what: what.to_owned(),
            holds,
            expected,
            got,
        });
    }

    /// Whether nothing deviated so far.
    pub(super) fn is_clean(&self) -> bool {
        self.checks.iter().all(|check| check.holds)
    }

    /// The step as a section: its facts beside those of the flow, and the message.
    fn markdown(&self) -> String {
        let name = |party| {
            PARTIES
                .iter()
                .find(|(p, _)| *p == party)
                .map_or("", |p| p.1)
        };
        let (from, to) = (name(self.from), name(self.to));
        let mut out = match self.number {
            "" => format!("### {} ({from} to {to})\n\n", self.label),
            number => format!("### Step {number}: {} ({from} to {to})\n\n", self.label),
        };
        if !self.checks.is_empty() {
            out.push_str("| what | the flow | here | |\n|---|---|---|---|\n");
        }
        for check in &self.checks {
            let mark = if check.holds { '✓' } else { '✗' };
            let [expected, got] = [&check.expected, &check.got].map(|text| cell(text));
            out.push_str(&format!(
                "| {} | {expected} | {got} | {mark} |\n",
                check.what
            ));
        }
        if let Some(text) = &self.text {
            out.push_str(&format!(
                "\n```text\n{}\n```\n",
                text.replace('\r', "").trim_end()
            ));
        }
        out
    }
}

/// A text that a table cell can hold.
fn cell(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.as_str() {
        "" => String::new(),
        line => format!("`{}`", line.replace('|', "\\|").replace('`', "'")),
    }
}

impl Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.is_clean() { '✓' } else { '✗' };
        writeln!(
            f,
            "{:>4} {mark}  {}",
            self.number,
            arrow(self.from, self.to, &self.label)
        )?;
        for deviation in self.checks.iter().filter(|check| !check.holds) {
            writeln!(f, "          {}", deviation.what)?;
            writeln!(f, "            expected: {}", deviation.expected)?;
            writeln!(f, "            got:      {}", deviation.got)?;
        }
        Ok(())
    }
}

/// A row: lifelines, and an arrow from one party to another with its label.
fn arrow(from: Party, to: Party, label: &str) -> String {
    let place = |party| PARTIES.iter().position(|(p, _)| *p == party).unwrap_or(0) * PITCH;
    let (left, right) = (place(from.min(to)), place(from.max(to)));
    let mut row = lifelines();
    let room = right - left - 5;
    let label: String = label.chars().take(room).collect();
    let line = "-".repeat(room - label.chars().count());
    let drawn: Vec<char> = if from < to {
        format!("- {label} {line}>").chars().collect()
    } else {
        format!("<{line} {label} -").chars().collect()
    };
    row.splice(left + 1..right, drawn);
    row.into_iter().collect::<String>().trim_end().to_owned()
}

fn lifelines() -> Vec<char> {
    let width = (PARTIES.len() - 1) * PITCH + 1;
    (0..width)
        .map(|at| if at % PITCH == 0 { '|' } else { ' ' })
        .collect()
}

/// How a ladder is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One row a message, deviations below it.
    Plain,
    /// The same, and every message in full at the end.
    Verbose,
    /// A document: a section for every message, with all that was checked.
    Markdown,
}

/// Prints steps as they are made.
#[derive(Debug)]
pub(super) struct Ladder {
    form: Form,
    steps: usize,
    failed: usize,
    texts: Vec<(usize, String)>,
}

impl Ladder {
    pub(super) fn new(form: Form) -> Self {
        Self {
            form,
            steps: 0,
            failed: 0,
            texts: Vec::new(),
        }
    }

    /// Says what is played and where, and names the lifelines.
    pub(super) fn title(&mut self, title: &str, place: &str) {
        if self.form == Form::Markdown {
            return println!("## {title}\n\nPlayed {place}.\n");
        }
        println!("{title}, {place}\n");
        let mut row = String::new();
        for (index, (_, name)) in PARTIES.iter().enumerate() {
            row.push_str(&" ".repeat((index * PITCH).saturating_sub(row.len())));
            row.push_str(name);
        }
        println!("{:>4}    {row}", "step");
    }

    /// A line between the rows.
    pub(super) fn note(&mut self, text: &str) {
        match self.form {
            Form::Plain | Form::Verbose => println!("        {text}"),
            Form::Markdown => println!("*{text}.*\n"),
        }
    }

    /// Prints a step; whether it was clean.
    pub(super) fn add(&mut self, step: Step) -> bool {
        let is_clean = step.is_clean();
        self.steps += 1;
        self.failed += usize::from(!is_clean);
        match self.form {
            Form::Plain | Form::Verbose => print!("{step}"),
            Form::Markdown => println!("{}", step.markdown()),
        }
        if let Some(text) = step.text.filter(|_| self.form == Form::Verbose) {
            self.texts
                .push((self.steps, format!("{}\n{text}", step.label)));
        }
        is_clean
    }

    /// Prints what was kept, and the result.
    pub(super) fn finish(&mut self) {
        for (row, text) in self.texts.drain(..) {
            println!("\n--- row {row}: {text}");
        }
        let gap = if self.form == Form::Markdown {
            ""
        } else {
            "\n"
        };
        match self.failed {
            0 => println!("{gap}{} steps, all as specified", self.steps),
            failed => println!("{gap}{} steps, {failed} deviate", self.steps),
        }
    }

    /// Whether no step deviated, and there were any.
    pub(super) fn is_clean(&self) -> bool {
        self.failed == 0 && self.steps > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_point_from_the_sender_to_the_receiver() {
        assert_eq!(
            arrow(Party::Mrfc, Party::Mrfp, "Add"),
            "|                       |                       |- Add ---------------->|"
        );
        assert_eq!(
            arrow(Party::Mrfc, Party::Ue1, "200 OK"),
            "|<------------------------------------- 200 OK -|                       |"
        );
        let long = "x".repeat(100);
        assert_eq!(
            arrow(Party::Ue1, Party::Ue2, &long).chars().count(),
            3 * PITCH + 1
        );
    }

    #[test]
    fn a_deviation_says_what_was_expected_and_what_came() {
        let mut step = Step::new("12", Party::Mrfc, Party::Ue1, "200 OK");
        step.same("status", &200, &200);
        assert!(step.is_clean());
        step.same("a=setup", "passive", "active");
        let text = step.to_string();
        assert!(text.starts_with("  12 ✗  |<--"), "{text}");
        assert!(
            text.contains("a=setup\n            expected: passive\n            got:      active")
        );
        let text = step.markdown();
        assert!(
            text.starts_with("### Step 12: 200 OK (MRFC/AS to UE#1)"),
            "{text}"
        );
        assert!(text.contains("| status | `200` | `200` | ✓ |"), "{text}");
        assert!(
            text.contains("| a=setup | `passive` | `active` | ✗ |"),
            "{text}"
        );
        let mut ladder = Ladder::new(Form::Plain);
        assert!(!ladder.is_clean(), "nothing was checked");
        assert!(!ladder.add(step));
        assert!(!ladder.is_clean());
    }
}
