//! Messages as lines of a terminal.

use crate::cpim;
use crate::msrp_client::Message;

/// What a message looks like: `NAME: TEXT` when its sender is known, else the text; a line end
/// behind every line.
pub(super) fn message(message: &Message) -> String {
    let content_type = bare(&message.content_type);
    let wrapped = (content_type == "message/cpim").then(|| cpim::unwrap(&message.body));
    match wrapped.flatten() {
        Some(inner) => {
            let from = plain(&inner.from);
            let prefix = if from.is_empty() {
                String::new()
            } else {
                format!("{from}: ")
            };
            content(&prefix, &inner.content_type, &inner.body)
        }
        None => content("", &content_type, &message.body),
    }
}

fn content(prefix: &str, content_type: &str, body: &[u8]) -> String {
    let is_text = content_type.is_empty() || content_type.starts_with("text/");
    if !is_text && content_type != "message/cpim" {
        let name = plain(content_type);
        return format!("{prefix}[{name}, {} octets]\n", body.len());
    }
    let text = String::from_utf8_lossy(body);
    let lines: Vec<_> = text
        .lines()
        .map(|line| format!("{prefix}{}\n", plain(line)))
        .collect();
    lines.concat()
}

fn bare(content_type: &str) -> String {
    let bare = content_type.split(';').next().unwrap_or_default();
    bare.trim().to_ascii_lowercase()
}

/// Control characters could steer the terminal; they are shown instead.
pub(super) fn plain(text: &str) -> String {
    let show = |c: char| match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(show).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(content_type: &str, body: &str, expected: &str) {
        let shown = message(&Message {
            id: "m1".to_owned(),
            content_type: content_type.to_owned(),
            body: body.as_bytes().to_vec(),
        });
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_wrapped_message_shows_its_sender_before_every_line() {
        let body = "From: \"ann\" <sip:ann@h>\r\n\r\nContent-Type: text/plain\r\n\r\none\r\ntwo";
        check("message/cpim", body, "ann: one\nann: two\n");
        check("Message/CPIM; x=y", body, "ann: one\nann: two\n");
    }

    #[test]
    fn a_plain_message_is_its_text() {
        check("text/plain;charset=utf-8", "hello", "hello\n");
        check("message/cpim", "no headers", "no headers\n");
        check("image/png", "12345", "[image/png, 5 octets]\n");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        check(
            "text/plain",
            "a\u{1b}[31mb\u{7}",
            "a\u{fffd}[31mb\u{fffd}\n",
        );
        let body = "From: \"\u{1b}x\" <sip:a@b>\r\n\r\nContent-Type: text/plain\r\n\r\nhi";
        check("message/cpim", body, "\u{fffd}x: hi\n");
    }
}
