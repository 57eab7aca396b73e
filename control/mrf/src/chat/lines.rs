//! Lines typed, from a thread of their own: reading a terminal cannot be cancelled.

use std::io::{BufRead, Read};

use tokio::sync::mpsc;

use crate::limits::{LINES_MAX, MESSAGE_BYTES_MAX};

/// The lines of standard input as they come; closed at its end. The thread ends with the input or
/// the process.
pub(super) fn of_stdin() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(LINES_MAX);
    std::thread::spawn(move || read(std::io::stdin().lock(), &sender));
    receiver
}

fn read(mut input: impl BufRead, lines: &mpsc::Sender<String>) {
    loop {
        let mut line = Vec::new();
        // A longer line comes as several messages.
        let mut bounded = input.by_ref().take(MESSAGE_BYTES_MAX as u64);
        match bounded.read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        if lines.blocking_send(line).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_one_by_one_and_the_last_needs_no_line_end() {
        let (sender, mut receiver) = mpsc::channel(LINES_MAX);
        read(&b"one\ntwo\r\n\nthr\xffee"[..], &sender);
        drop(sender);
        let mut lines = Vec::new();
        while let Some(line) = receiver.blocking_recv() {
            lines.push(line);
        }
        assert_eq!(lines, ["one\n", "two\r\n", "\n", "thr\u{fffd}ee"]);
    }
}
