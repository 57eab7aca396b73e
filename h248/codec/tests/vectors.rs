//! Every message in `tests/vectors/h248`: one feature or defect a file, the outcome beside it.

use std::fs;
use std::path::{Path, PathBuf};

use h248::{Encoding, Limits, fuzzing, parse, print};

/// The texts in a folder of vectors, by path.
fn texts(folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/h248");
    let mut texts: Vec<_> = fs::read_dir(Path::new(root).join(folder))
        .expect("the folder of vectors")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .map(|path| (path.clone(), fs::read(&path).expect("a readable vector")))
        .collect();
    texts.sort();
    assert!(texts.len() >= 30, "{folder} has its vectors");
    texts
}

/// Compares `actual` with the file beside `path` that has `extension`.
#[track_caller]
fn check_beside(path: &Path, extension: &str, actual: &str) {
    let beside = path.with_extension(extension);
    if std::env::var_os("MRF_WRITE_VECTORS").is_some() {
        fs::write(&beside, actual).expect("a writable folder");
    }
    let expected = fs::read_to_string(&beside).unwrap_or_default();
    assert_eq!(actual, expected, "{}", beside.display());
}

#[test]
fn valid_messages_are_read_and_written_in_short_form() {
    for (path, text) in texts("valid") {
        let parsed = parse(&text, &Limits::default());
        let message = parsed.unwrap_or_else(|error| panic!("{}:{error}", path.display()));
        let compact = print(&message, Encoding::Compact);
        check_beside(&path, "compact", &String::from_utf8_lossy(&compact));
        fuzzing::parse(&text);
    }
}

#[test]
fn invalid_messages_are_refused_with_place_and_code() {
    for (path, text) in texts("invalid") {
        match parse(&text, &Limits::default()) {
            Ok(message) => panic!("{}: {message:?}", path.display()),
            Err(error) => check_beside(&path, "error", &format!("{} {error}\n", error.code.0)),
        }
        fuzzing::parse(&text);
    }
}

#[test]
fn truncated_messages_never_panic() {
    for folder in ["valid", "invalid"] {
        for (_, text) in texts(folder) {
            for length in 0..text.len() {
                fuzzing::parse(&text[..length]);
            }
        }
    }
}

#[test]
fn messages_with_an_octet_changed_never_panic() {
    let octets = b"{}=,;\"[]<>:/-*$@ \n\\a0\0\xff";
    for (_, text) in texts("valid") {
        for at in 0..text.len() {
            let mut changed = text.clone();
            for shift in 0..3 {
                changed[at] = octets[(at + shift * 7) % octets.len()];
                fuzzing::parse(&changed);
            }
            changed.remove(at);
            fuzzing::parse(&changed);
        }
    }
}
