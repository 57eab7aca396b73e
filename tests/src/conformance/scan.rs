//! Finding the ids that tests name.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Folders of the workspace that hold tests.
const FOLDERS: [&str; 6] = ["control", "engine", "h248", "perf", "tests", "fuzz/src"];

/// Not searched: what this command itself is made of.
const SKIPPED: [&str; 3] = ["tests/conformance", "tests/src", "fuzz/corpus"];

/// Files with a test's name: Rust, Python, and descriptions of vectors.
const EXTENSIONS: [&str; 4] = ["rs", "py", "frames", "case"];

/// How far above a function its attributes may stand.
const ATTRIBUTE_LINES_MAX: usize = 40;

/// A test that names a requirement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// From the root of the workspace.
    pub path: String,
    /// The function; empty where the file itself is the test.
    pub test: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.test.as_str() {
            "" => write!(f, "{}", self.path),
            test => write!(f, "{} {test}", self.path),
        }
    }
}

/// Every id named in a test of the workspace at `root`, with its places in order.
///
/// # Errors
///
/// A file or folder that cannot be read.
pub fn places(root: &Path) -> std::io::Result<BTreeMap<String, Vec<Place>>> {
    let mut found: BTreeMap<String, Vec<Place>> = BTreeMap::new();
    for folder in FOLDERS {
        for path in files(root, &root.join(folder))? {
            let name = path.strip_prefix(root).unwrap_or(&path);
            let name = name.to_string_lossy().into_owned();
            let text = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
            for (id, test) in ids_in(&name, &text) {
                let place = Place {
                    path: name.clone(),
                    test,
                };
                let places = found.entry(id).or_default();
                if !places.contains(&place) {
                    places.push(place);
                }
            }
        }
    }
    found.values_mut().for_each(|places| places.sort());
    Ok(found)
}

fn files(root: &Path, folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let is_skipped = SKIPPED.iter().any(|skipped| path == root.join(skipped));
        let is_hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if is_skipped || is_hidden || path.ends_with("target") {
            continue;
        }
        if path.is_dir() {
            files.extend(self::files(root, &path)?);
        } else if path
            .extension()
            .is_some_and(|e| EXTENSIONS.iter().any(|known| e == *known))
        {
            files.push(path);
        }
    }
    Ok(files)
}

/// The ids in a file, each with the test that names it. In Rust an id counts in a test function or
/// in the comments right above it, elsewhere not; in Python, in or above any function.
pub fn ids_in(path: &str, text: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = text.lines().collect();
    let is_code = path.ends_with(".rs") || path.ends_with(".py");
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        for id in ids(line) {
            if !is_code {
                found.push((id.to_owned(), String::new()));
            } else if let Some(test) = test_at(&lines, at, path.ends_with(".rs")) {
                found.push((id.to_owned(), test.to_owned()));
            }
        }
    }
    found
}

/// The test that line `at` belongs to.
fn test_at<'a>(lines: &[&'a str], at: usize, is_rust: bool) -> Option<&'a str> {
    let below = || {
        let is_above_a_function = |line: &&&str| {
            let line = line.trim_start();
            ["//", "#", "@", ")]"].iter().any(|s| line.starts_with(s))
        };
        let comments = lines[at..].iter().take_while(is_above_a_function).count();
        (comments > 0).then_some(at + comments)
    };
    let above = || (0..=at).rev().find(|&at| function(lines[at]).is_some());
    let at = below()
        .filter(|&at| lines.get(at).is_some_and(|line| function(line).is_some()))
        .or_else(above)?;
    (!is_rust || is_test(lines, at))
        .then(|| function(lines[at]))
        .flatten()
}

/// The name of the function that begins on this line.
fn function(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = ["pub(crate) ", "pub ", "async "]
        .iter()
        .fold(line, |line, word| line.strip_prefix(word).unwrap_or(line));
    let rest = line
        .strip_prefix("fn ")
        .or_else(|| line.strip_prefix("def "))?;
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))?;
    Some(&rest[..end])
}

/// Whether the attributes above the function on line `at` make it a test.
fn is_test(lines: &[&str], at: usize) -> bool {
    lines[..at]
        .iter()
        .rev()
        .take(ATTRIBUTE_LINES_MAX)
        .map(|line| line.trim_start())
        .take_while(|line| line.starts_with("//") || line.starts_with('#') || line.ends_with(")]"))
        .any(|line| line == "#[test]" || line.starts_with("#[tokio::test"))
}

/// The ids in a line: `MSRP-`, capitals, `-`, three digits, and no letter or digit around them.
fn ids(line: &str) -> impl Iterator<Item = &str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    line.split(move |c: char| !is_word(c))
        .filter(|word| is_id(word))
}

fn is_id(word: &str) -> bool {
    let mut parts = word.split('-');
    matches!(parts.next(), Some("MSRP" | "SIP"))
        && parts
            .next()
            .is_some_and(|f| !f.is_empty() && f.bytes().all(|b| b.is_ascii_uppercase()))
        && parts
            .next()
            .is_some_and(|n| n.len() == 3 && n.bytes().all(|b| b.is_ascii_digit()))
        && parts.next().is_none()
}
