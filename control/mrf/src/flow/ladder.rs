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
    deviations: Vec<Deviation>,
    text: Option<String>,
}

#[derive(Debug)]
struct Deviation {
    what: String,
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
            deviations: Vec::new(),
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
        if !holds {
            self.deviations.push(Deviation {
                what: what.to_owned(),
                expected: expected.to_string(),
                got: got.to_string(),
            });
        }
    }

    /// Whether nothing deviated so far.
    pub(super) fn is_clean(&self) -> bool {
        self.deviations.is_empty()
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
        for deviation in &self.deviations {
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

/// Prints steps as they are made.
#[derive(Debug)]
pub(super) struct Ladder {
    is_verbose: bool,
    steps: usize,
    failed: usize,
    texts: Vec<(usize, String)>,
}

impl Ladder {
    pub(super) fn new(is_verbose: bool) -> Self {
        Self {
            is_verbose,
            steps: 0,
            failed: 0,
            texts: Vec::new(),
        }
    }

    /// Says what is played, and names the lifelines.
    pub(super) fn title(&mut self, title: &str) {
        println!("{title}\n");
        let mut row = String::new();
        for (index, (_, name)) in PARTIES.iter().enumerate() {
            row.push_str(&" ".repeat((index * PITCH).saturating_sub(row.len())));
            row.push_str(name);
        }
        println!("{:>4}    {row}", "step");
    }

    /// A line between the rows.
    pub(super) fn note(&mut self, text: &str) {
        println!("        {text}");
    }

    /// Prints a step; whether it was clean.
    pub(super) fn add(&mut self, step: Step) -> bool {
        let is_clean = step.is_clean();
        self.steps += 1;
        self.failed += usize::from(!is_clean);
        print!("{step}");
        if let Some(text) = step.text.filter(|_| self.is_verbose) {
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
        match self.failed {
            0 => println!("\n{} steps, all as specified", self.steps),
            failed => println!("\n{} steps, {failed} deviate", self.steps),
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
        let mut ladder = Ladder::new(false);
        assert!(!ladder.is_clean(), "nothing was checked");
        assert!(!ladder.add(step));
        assert!(!ladder.is_clean());
    }
}
