//! `mrf check-config`.

use crate::program::finish;

/// Writes a file for one test; its path.
pub(crate) fn file(name: &str, text: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).unwrap();
    path.into_os_string().into_string().unwrap()
}

#[test]
fn a_good_file_is_ok() {
    let good = file(
        "good.toml",
        "http = \"off\"\n[[conference]]\nname = \"lobby\"\n",
    );
    let done = finish(&["check-config", &good], b"");
    assert_eq!(
        (done.code, &*done.stdout, &*done.stderr),
        (Some(0), "ok\n", "")
    );
}

#[test]
fn the_sample_of_the_distribution_is_ok() {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/mrf.toml");
    let done = finish(&["check-config", sample], b"");
    assert_eq!(
        (done.code, &*done.stdout),
        (Some(0), "ok\n"),
        "{}",
        done.stderr
    );
}

#[test]
fn a_bad_file_is_told_with_its_place() {
    let bad = file("bad.toml", "http = \"off\"\n  mspr = \"127.0.0.1:0\"\n");
    let done = finish(&["check-config", &bad], b"");
    assert_eq!((done.code, &*done.stdout), (Some(1), ""));
    let expected = format!("{bad}:2:3: unknown key \"mspr\"; did you mean \"msrp\"?\n");
    assert_eq!(done.stderr, expected);
    let done = finish(&["run", "--config", &bad], b"");
    assert_eq!(
        (done.code, done.stderr),
        (Some(1), format!("mrf: {expected}"))
    );
}

#[test]
fn files_that_it_names_are_looked_at() {
    let empty = file("empty.pem", "");
    for (name, text, words) in [
        (
            "users.toml",
            "domain = \"x\"\nusers = \"/none\"\n".to_owned(),
            "--users /none: ",
        ),
        (
            "cert.toml",
            format!("tls-cert = \"{empty}\"\n"),
            "empty.pem",
        ),
        (
            "key.toml",
            "tls-key = \"/none\"\n".to_owned(),
            "no --tls-cert",
        ),
    ] {
        let path = file(name, &text);
        let done = finish(&["check-config", &path], b"");
        assert_eq!(done.code, Some(1), "{done:?}");
        assert!(
            done.stderr.starts_with(&format!("{path}: ")) && done.stderr.contains(words),
            "{done:?}"
        );
    }
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let done = finish(&["check-config", "/nonexistent.toml"], b"");
    assert_eq!(done.code, Some(1));
    assert!(
        done.stderr.starts_with("/nonexistent.toml: No such file"),
        "{}",
        done.stderr
    );
}

#[test]
fn an_installation_gets_completions_and_a_manual() {
    for (shell, words) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef mrf"),
        ("fish", "complete -c mrf"),
    ] {
        let done = finish(&["completions", shell], b"");
        assert_eq!(done.code, Some(0), "{done:?}");
        assert!(
            done.stdout.contains(words) && done.stdout.contains("busy-poll-us"),
            "{shell}"
        );
    }
    let top = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("man");
    let _ = std::fs::remove_dir_all(&top);
    let directory = top.join("man1");
    let path = directory.to_str().unwrap();
    assert_eq!(finish(&["manual", path], b"").code, Some(0));
    let below = directory.join("mrf.1").join("man1");
    let below = below.to_str().unwrap();
    let done = finish(&["manual", below], b"");
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(
        done.stderr.starts_with(&format!("mrf: {below}: ")),
        "{done:?}"
    );
    let page = std::fs::read_to_string(directory.join("mrf-mrfp.1")).unwrap();
    assert!(page.contains("spread") && page.contains(".TH"), "{page}");
}
