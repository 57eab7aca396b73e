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
fn the_call_of_the_focus_passes_on_a_system_of_its_own() {
    let done = finish(&["flow", "a.5.2", "--verbose"], b"");
    assert_eq!(done.code, Some(0), "{done:?}");
    for number in [1, 2, 16, 17, 20, 21, 22, 23] {
        let mark = format!("{number:>4} ✓  |");
        assert!(done.stdout.contains(&mark), "{mark} in\n{}", done.stdout);
    }
    assert!(done.stdout.contains("steps, all as specified"));
    let text = "I will never be a member of a club that accepts people like me as members";
    assert_eq!(done.stdout.matches(text).count(), 2, "sent and received");
}

#[test]
fn the_call_of_the_focus_passes_on_a_running_system() {
    let server = Server::run();
    for transport in ["udp", "tcp"] {
        let via = format!("{transport}:{}", server.get(&format!("sip.{transport}")));
        let uri = "sip:conference1@home2.net";
        let done = finish(&["flow", "a.5.2", "--target", uri, "--via", &via], b"");
        assert_eq!(done.code, Some(0), "{done:?}");
    }
}

#[test]
fn a_flow_becomes_a_document() {
    let done = finish(&["flow", "a.5.1", "--markdown"], b"");
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(
        done.stdout.starts_with("## TS 24.247 A.5.1"),
        "{}",
        done.stdout
    );
    assert!(
        done.stdout
            .contains("| a=max-size | `32768` | `32768` | ✓ |")
    );
}
