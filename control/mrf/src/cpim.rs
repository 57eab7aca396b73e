//! `message/cpim` (RFC 3862) as far as a chat needs it: who speaks, and what.

use core::fmt::Write;
use core::time::Duration;

/// A wrapped message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cpim {
    /// The sender's name, else its URI; empty if neither is written.
    pub from: String,
    /// URI of whom it is for; empty if not written.
    pub to: String,
    /// Media type of the content, without parameters.
    pub content_type: String,
    /// The name of the file that the content is, as its sender wrote it (RFC 2183).
    pub file_name: Option<String>,
    /// The content.
    pub body: Vec<u8>,
}

/// Who and when, for [`wrap`].
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'a> {
    /// Display name of the sender.
    pub name: &'a str,
    /// URI of the sender.
    pub from: &'a str,
    /// URI of the conference, or of a participant.
    pub to: &'a str,
    /// Time since 1970-01-01T00:00:00Z.
    pub since_epoch: Duration,
}

/// What is wrapped.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// A plain text.
    Text(&'a str),
    /// A file.
    File {
        /// Its name, without a path.
        name: &'a str,
        /// Its media type.
        media_type: &'a str,
        /// Its octets.
        octets: &'a [u8],
    },
}

/// Wraps a text or a file. Writing to a string cannot fail, so results are dropped.
#[must_use]
pub fn wrap(envelope: &Envelope<'_>, content: Content<'_>) -> Vec<u8> {
    let mut out = String::new();
    let name = envelope.name.replace(['"', '\\', '\r', '\n'], "");
    let _ = write!(out, "From: \"{name}\" <{}>\r\n", envelope.from);
    let _ = write!(out, "To: <{}>\r\n", envelope.to);
    let _ = write!(out, "DateTime: {}\r\n\r\n", date_time(envelope.since_epoch));
    let body = match content {
        Content::Text(text) => {
            out.push_str("Content-Type: text/plain; charset=utf-8\r\n");
            text.as_bytes()
        }
        Content::File {
            name,
            media_type,
            octets,
        } => {
            let name: String = name.chars().filter(|c| is_of_a_name(*c)).collect();
            let _ = write!(out, "Content-Type: {media_type}\r\n");
            let _ = write!(
                out,
                "Content-Disposition: attachment; filename=\"{name}\"\r\n"
            );
            octets
        }
    };
    out.push_str("\r\n");
    let mut out = out.into_bytes();
    out.extend_from_slice(body);
    out
}

/// What may stand in a quoted file name as it is.
fn is_of_a_name(c: char) -> bool {
    !c.is_control() && !matches!(c, '"' | '\\')
}

/// Takes a message apart: message headers, content headers, content. `None` without both blank
/// lines; header lines that make no sense are passed over.
#[must_use]
pub fn unwrap(octets: &[u8]) -> Option<Cpim> {
    let (message, rest) = split_at_blank_line(octets)?;
    let (content, body) = split_at_blank_line(rest)?;
    let from = header(message, "From")
        .map(|value| sender(&value))
        .unwrap_or_default();
    let to = header(message, "To").map(|value| uri(&value).to_owned());
    let content_type = header(content, "Content-Type").unwrap_or_default();
    let disposition = header(content, "Content-Disposition");
    let bare = content_type.split(';').next().unwrap_or_default().trim();
    Some(Cpim {
        from,
        to: to.unwrap_or_default(),
        content_type: bare.to_ascii_lowercase(),
        file_name: disposition.and_then(|value| file_name(&value)),
        body: body.to_vec(),
    })
}

fn split_at_blank_line(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    // An empty header block is a blank line at once.
    if let Some(rest) = octets.strip_prefix(b"\r\n") {
        return Some((b"", rest));
    }
    let at = octets.windows(4).position(|w| w == b"\r\n\r\n")?;
    Some((&octets[..at], &octets[at + 4..]))
}

fn header(block: &[u8], name: &str) -> Option<String> {
    let block = String::from_utf8_lossy(block).into_owned();
    block.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        let is_it = key.trim().eq_ignore_ascii_case(name);
        is_it.then(|| value.trim().to_owned())
    })
}

/// What stands in angle brackets.
fn uri(value: &str) -> &str {
    let inner = value.rsplit_once('<').map_or(value, |(_, uri)| uri);
    inner.trim().trim_end_matches('>')
}

/// The `filename` of a Content-Disposition.
fn file_name(value: &str) -> Option<String> {
    let name = value.split_once("filename=")?.1;
    let name = match name.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"')?.0,
        None => name.split(';').next()?.trim(),
    };
    (!name.is_empty()).then(|| name.to_owned())
}

/// The formal name, else what stands in angle brackets.
fn sender(value: &str) -> String {
    let (name, uri) = value.split_once('<').unwrap_or((value, ""));
    let name = name.trim().trim_matches('"').trim();
    if name.is_empty() {
        uri.trim_end_matches('>').to_owned()
    } else {
        name.to_owned()
    }
}

/// RFC 3339 in UTC.
fn date_time(since_epoch: Duration) -> String {
    let seconds = since_epoch.as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day of a day counted from 1970-01-01: years begin in March here, so that the
/// leap day is the last of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + carry, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_written_in_utc() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(date_time(Duration::from_secs(seconds)), expected);
        }
    }

    #[track_caller]
    fn check_sender(value: &str, expected: &str) {
        let text =
            format!("From: {value}\r\nTo: <sip:a@b>\r\n\r\nContent-Type: text/plain\r\n\r\nx");
        assert_eq!(
            unwrap(text.as_bytes()).map(|cpim| cpim.from),
            Some(expected.to_owned())
        );
    }

    #[test]
    fn the_sender_is_a_name_or_else_a_uri() {
        check_sender("\"Ann Example\" <sip:ann@example.net>", "Ann Example");
        check_sender("Ann <im:ann@example.net>", "Ann");
        check_sender("<sip:ann@example.net>", "sip:ann@example.net");
        check_sender("sip:ann@example.net", "sip:ann@example.net");
    }

    #[test]
    fn a_file_keeps_its_name_type_and_octets() {
        let envelope = Envelope {
            name: "ann",
            from: "sip:ann@example.net",
            to: "sip:bob@example.net",
            since_epoch: Duration::from_secs(1),
        };
        let octets = b"\r\n\r\n\0\xff";
        let file = Content::File {
            name: "a \"b\r\n.png",
            media_type: "image/png",
            octets,
        };
        let out = unwrap(&wrap(&envelope, file)).unwrap();
        assert_eq!(out.file_name.as_deref(), Some("a b.png"));
        assert_eq!((&*out.content_type, &*out.body), ("image/png", &octets[..]));
        assert_eq!(out.to, "sip:bob@example.net");
    }

    #[test]
    fn what_is_no_cpim_is_told_apart() {
        assert_eq!(unwrap(b"hello"), None);
        assert_eq!(unwrap(b"From: a\r\n\r\nhello"), None);
        let bare = unwrap(b"\r\n\r\nhello").unwrap();
        assert_eq!(
            (&*bare.from, &*bare.content_type, &*bare.body),
            ("", "", &b"hello"[..])
        );
    }

    proptest! {
        #[test]
        fn what_is_wrapped_comes_out(name in "[a-z A-Z0-9._-]{1,20}", text in "\\PC*") {
            let envelope = Envelope {
                name: name.trim(),
                from: "sip:ann@example.net",
                to: "sip:lobby@example.net",
                since_epoch: Duration::from_secs(1),
            };
            prop_assume!(!name.trim().is_empty());
            let out = unwrap(&wrap(&envelope, Content::Text(&text))).unwrap();
            prop_assert_eq!(out.from, name.trim());
            prop_assert_eq!((&*out.to, out.file_name), (envelope.to, None));
            prop_assert_eq!(out.content_type, "text/plain");
            prop_assert_eq!(out.body, text.as_bytes());
        }
    }
}
