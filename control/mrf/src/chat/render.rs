//! Messages as lines of a terminal.

use crate::cpim::{self, Cpim};
use crate::msrp_client::Message;

/// What a message is taken apart into.
pub(super) fn open(message: &Message) -> Cpim {
    let content_type = bare(&message.content_type);
    let wrapped = (content_type == "message/cpim").then(|| cpim::unwrap(&message.body));
    wrapped.flatten().unwrap_or_else(|| Cpim {
        from: String::new(),
        to: String::new(),
        content_type,
        file_name: None,
        body: message.body.clone(),
    })
}

/// What a message looks like: `NAME: TEXT` when its sender is known, else the text; a line end
/// behind every line. `own` is our URI; `saved` where its content was put.
pub(super) fn message(message: &Cpim, own: &str, saved: Option<&str>) -> String {
    let from = plain(&message.from);
    let is_private = message.to == own;
    let prefix = match (from.is_empty(), is_private) {
        (true, _) => String::new(),
        (false, false) => format!("{from}: "),
        (false, true) => format!("{from} (to you alone): "),
    };
    if is_text(message) {
        return lines(&prefix, &message.body);
    }
    let name = message.file_name.as_deref().map(plain);
    let name = name.map(|name| format!("{name}, ")).unwrap_or_default();
    let content_type = plain(&message.content_type);
    let saved = saved.map(|path| format!(", saved as {path}"));
    format!(
        "{prefix}[{name}{content_type}, {} octets{}]\n",
        message.body.len(),
        saved.unwrap_or_default()
    )
}

/// Whether it is shown, and not a file.
pub(super) fn is_text(message: &Cpim) -> bool {
    let content_type = &message.content_type;
    let is_shown = content_type.is_empty()
        || content_type.starts_with("text/")
        || content_type == "message/cpim";
    is_shown && message.file_name.is_none()
}

fn lines(prefix: &str, body: &[u8]) -> String {
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
        // What turns the direction of a line around would let one speak as another.
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c => c,
    };
    text.chars().map(show).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(content_type: &str, body: &str, expected: &str) {
        assert_eq!(shown(content_type, body, None), expected);
    }

    fn shown(content_type: &str, body: &str, saved: Option<&str>) -> String {
        let opened = open(&Message {
            id: "m1".to_owned(),
            content_type: content_type.to_owned(),
            body: body.as_bytes().to_vec(),
        });
        message(&opened, "sip:me@h", saved)
    }

    #[test]
    fn what_is_for_one_alone_says_so() {
        let to = |uri: &str| {
            format!("From: <sip:a@h>\r\nTo: <{uri}>\r\n\r\nContent-Type: text/plain\r\n\r\nhi")
        };
        check("message/cpim", &to("sip:room@h"), "sip:a@h: hi\n");
        let private = "sip:a@h (to you alone): hi\n";
        check("message/cpim", &to("sip:me@h"), private);
    }

    #[test]
    fn a_file_is_named_even_when_it_is_a_text() {
        let body = "From: <sip:a@h>\r\n\r\nContent-Type: text/plain\r\n\
                    Content-Disposition: attachment; filename=\"a\u{7}.txt\"\r\n\r\nhi";
        let told = shown("message/cpim", body, Some("in/a.txt"));
        assert_eq!(
            told,
            "sip:a@h: [a\u{fffd}.txt, text/plain, 2 octets, saved as in/a.txt]\n"
        );
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
        let turned = "a\u{202e}b\u{2066}c";
        check("text/plain", turned, "a\u{fffd}b\u{fffd}c\n");
        let body = "From: \"\u{1b}x\" <sip:a@b>\r\n\r\nContent-Type: text/plain\r\n\r\nhi";
        check("message/cpim", body, "\u{fffd}x: hi\n");
    }
}
