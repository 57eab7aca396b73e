//! `mrf flow`.

use crate::program::{Server, finish};

#[test]
fn the_flow_passes_on_a_system_of_its_own() {
    let done = finish(&["flow", "a.5.1", "--verbose"], b"");
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(
        done.stdout.contains("28 steps, all as specified"),
        "{}",
        done.stdout
    );
    for number in [9, 10, 11, 12, 20, 22, 23, 24] {
        let mark = format!("{number:>4} ✓  |");
        assert!(done.stdout.contains(&mark), "{mark} in\n{}", done.stdout);
    }
    assert!(!done.stdout.contains('✗'));
    let text = "those are my principles. If you don't like them I have others - Groucho Marx.";
    assert_eq!(done.stdout.matches(text).count(), 2, "sent and received");
}

#[test]
fn the_flow_passes_on_a_running_system() {
    let server = Server::run();
    let target = format!("sip:conference1@{}", server.get("sip.udp"));
    let done = finish(&["flow", "a.5.1", "--target", &target], b"");
    assert_eq!(done.code, Some(0), "{done:?}");
    let via = format!("tcp:{}", server.get("sip.tcp"));
    let uri = "sip:conference1@home2.net";
    let done = finish(&["flow", "a.5.1", "--target", uri, "--via", &via], b"");
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(
        done.stdout.contains("20 steps, all as specified"),
        "{}",
        done.stdout
    );
}

#[test]
fn a_deviation_is_shown_and_fails() {
    let file = crate::config::file("deviation.toml", "max-size = 999\n");
    let mut args = vec!["run", "--config", &file];
    args.extend(crate::program::FREE_PORTS);
    let server = Server::start(&args);
    let target = format!("sip:conference1@{}", server.get("sip.udp"));
    let done = finish(&["flow", "a.5.1", "--target", &target], b"");
    assert_eq!(done.code, Some(1), "{done:?}");
    let shown = "  12 ✗  |<";
    assert!(done.stdout.contains(shown), "{}", done.stdout);
    let words = "a=max-size\n            expected: 32768\n            got:      999\n";
    assert!(done.stdout.contains(words), "{}", done.stdout);
}

#[test]
fn the_other_flow_is_not_there_yet() {
    let done = finish(&["flow", "a.5.2"], b"");
    assert_eq!((done.code, &*done.stdout), (Some(2), ""));
    assert!(
        done.stderr.contains("not in this build yet"),
        "{}",
        done.stderr
    );
}
