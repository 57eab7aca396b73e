//! Which requirement on MSRP elements and on the conference focus is proven where.
//!
//! ```text
//! requirements.tsv   every requirement, in our words
//! exceptions.tsv     those that no test proves: why not
//! the tests          name what they prove by its exact id, in a comment or in the code
//! ```
//!
//! Every requirement is named in a test or has an exception, never both; [`Report::document`] says
//! so in `docs/CONFORMANCE.md`.

mod scan;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

pub use scan::{Place, ids_in, places};

/// Places shown in the document for one requirement. The others are not counted, so that the
/// document does not change with every further test.
const PLACES_SHOWN: usize = 2;

/// One thing asked for, or the heading of a family of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// `MSRP-FRAME-001`; a heading has no number.
    pub id: String,
    /// The level in the source: MUST and so on, or `fact`.
    pub level: String,
    /// Documents and sections.
    pub source: String,
    /// What is asked for.
    pub text: String,
}

impl Requirement {
    fn is_heading(&self) -> bool {
        self.level.is_empty()
    }
}

/// Why no test proves a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It asks nothing of what is built here.
    NotApplicable,
    /// It is not followed, on purpose.
    Deviation,
    /// It is not implemented or not proven yet.
    Open,
}

impl Kind {
    const ALL: [Self; 3] = [Self::NotApplicable, Self::Deviation, Self::Open];

    fn word(self) -> &'static str {
        match self {
            Self::NotApplicable => "not applicable",
            Self::Deviation => "deviation",
            Self::Open => "open",
        }
    }

    fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// Everything the command judges.
#[derive(Debug, Default)]
pub struct Report {
    requirements: Vec<Requirement>,
    exceptions: BTreeMap<String, (Kind, String)>,
    places: BTreeMap<String, Vec<Place>>,
    problems: Vec<String>,
}

impl Report {
    /// Reads the tables and the tests of the workspace at `root`.
    ///
    /// # Errors
    ///
    /// A file or folder that cannot be read.
    pub fn of_workspace(root: &Path) -> std::io::Result<Self> {
        let folder = root.join("tests/conformance");
        let requirements = std::fs::read_to_string(folder.join("requirements.tsv"))?;
        let exceptions = std::fs::read_to_string(folder.join("exceptions.tsv"))?;
        Ok(Self::new(&requirements, &exceptions, places(root)?))
    }

    /// Judges tables and places.
    pub fn new(requirements: &str, exceptions: &str, places: BTreeMap<String, Vec<Place>>) -> Self {
        let mut report = Self {
            places,
            ..Self::default()
        };
        report.read_requirements(requirements);
        report.read_exceptions(exceptions);
        report.judge();
        report
    }

    fn read_requirements(&mut self, table: &str) {
        for row in rows(table) {
            let [id, level, source, text] = row[..] else {
                self.problems.push(format!("not four columns: {row:?}"));
                continue;
            };
            if self.requirements.iter().any(|known| known.id == id) {
                self.problems.push(format!("{id} is listed twice"));
            }
            self.requirements.push(Requirement {
                id: id.to_owned(),
                level: level.to_owned(),
                source: source.to_owned(),
                text: text.to_owned(),
            });
        }
    }

    fn read_exceptions(&mut self, table: &str) {
        for row in rows(table) {
            let parsed = match row[..] {
                [id, kind, reason] if !reason.is_empty() => Kind::of(kind).map(|k| (id, k, reason)),
                _ => None,
            };
            let Some((id, kind, reason)) = parsed else {
                self.problems
                    .push(format!("not an id, a kind and a reason: {row:?}"));
                continue;
            };
            let exception = (kind, reason.to_owned());
            if self.exceptions.insert(id.to_owned(), exception).is_some() {
                self.problems.push(format!("{id} has two exceptions"));
            }
        }
    }

    fn judge(&mut self) {
        let mut problems = Vec::new();
        for requirement in self.items() {
            let id = &requirement.id;
            match (self.places.get(id), self.exceptions.get(id)) {
                (None, None) => problems.push(format!(
                    "{id} is neither named in a test nor an exception: {}",
                    requirement.text
                )),
                (Some(places), Some((kind, _))) => problems.push(format!(
                    "{id} is an exception ({}) but {} names it",
                    kind.word(),
                    places[0]
                )),
                (Some(_), None) | (None, Some(_)) => {}
            }
        }
        let is_known = |id: &String| self.items().any(|requirement| requirement.id == *id);
        for id in self.exceptions.keys().filter(|id| !is_known(id)) {
            problems.push(format!("the exception {id} is no requirement"));
        }
        for (id, places) in self.places.iter().filter(|(id, _)| !is_known(id)) {
            problems.push(format!("{} names {id}, which is no requirement", places[0]));
        }
        self.problems.extend(problems);
    }

    fn items(&self) -> impl Iterator<Item = &Requirement> {
        self.requirements.iter().filter(|item| !item.is_heading())
    }

    /// What is wrong with tables and tests; empty when all is well.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// How many requirements there are, and how many of them are tested, not applicable, deviations
    /// and open.
    pub fn counts(&self) -> [usize; 5] {
        let kind = |kind| self.exceptions.values().filter(|(k, _)| *k == kind).count();
        [
            self.items().count(),
            self.items()
                .filter(|item| self.places.contains_key(&item.id))
                .count(),
            kind(Kind::NotApplicable),
            kind(Kind::Deviation),
            kind(Kind::Open),
        ]
    }

    /// The text of `docs/CONFORMANCE.md`.
    pub fn document(&self) -> String {
        let [all, tested, not_applicable, deviations, open] = self.counts();
        let mut text = format!(
            "# Conformance of MSRP and of the conference focus\n\n\
             Made by `cargo run -p mrf-tests --bin conformance`; `cargo test` fails when it is out of date. Requirements\n\
             are listed in `tests/conformance/requirements.tsv` in our words; the sources decide. A requirement is\n\
             *tested* when a test names it, otherwise `tests/conformance/exceptions.tsv` says why not.\n\n\
             | requirements | tested | not applicable | deviations | open |\n|---|---|---|---|---|\n\
             | {all} | {tested} | {not_applicable} | {deviations} | {open} |\n"
        );
        for requirement in &self.requirements {
            if requirement.is_heading() {
                let head =
                    "| id | level | source | what | where or why not |\n|---|---|---|---|---|";
                let _ = writeln!(text, "\n## {}\n\n{head}", requirement.text);
            } else {
                self.write_row(&mut text, requirement);
            }
        }
        text
    }

    fn write_row(&self, text: &mut String, requirement: &Requirement) {
        let Requirement {
            id,
            level,
            source,
            text: what,
        } = requirement;
        let standing = match (self.places.get(id), self.exceptions.get(id)) {
            (Some(places), _) => {
                let mut shown: Vec<_> = places
                    .iter()
                    .take(PLACES_SHOWN)
                    .map(|place| format!("`{place}`"))
                    .collect();
                if places.len() > PLACES_SHOWN {
                    shown.push("more".to_owned());
                }
                shown.join(", ")
            }
            (None, Some((kind, reason))) => format!("*{}*: {reason}", kind.word()),
            (None, None) => "*missing*".to_owned(),
        };
        let _ = writeln!(text, "| {id} | {level} | {source} | {what} | {standing} |");
    }
}

/// The rows of a table in columns; `#` begins a comment.
fn rows(table: &str) -> impl Iterator<Item = Vec<&str>> {
    table
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(|line| line.split('\t').collect())
}

#[cfg(test)]
mod tests;
