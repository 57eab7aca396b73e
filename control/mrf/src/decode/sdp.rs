//! One session description.
//!
//! The library forgives much, as a server should; a decoder for people does not. So every line is
//! checked here first, and the library then says what the MSRP media mean.

use core::fmt::Write;

use msrp::MsrpUri;
use sdp::{Choice, Description, MessageError, MessageMedia};

use super::Decoded;
use crate::position::Fault;

/// The lines of RFC 8866 section 5 in their order, and what each is.
const SESSION: [(u8, &str); 12] = [
    (b'v', "version"),
    (b'o', "origin"),
    (b's', "session name"),
    (b'i', "information"),
    (b'u', "URI"),
    (b'e', "email"),
    (b'p', "phone"),
    (b'c', "connection"),
    (b'b', "bandwidth"),
    (b't', "time"),
    (b'k', "key"),
    (b'a', "attribute"),
];

/// As above, within a media description.
const MEDIA: [(u8, &str); 6] = [
    (b'm', "media"),
    (b'i', "media title"),
    (b'c', "connection"),
    (b'b', "bandwidth"),
    (b'k', "key"),
    (b'a', "attribute"),
];

pub(super) fn decode(input: &[u8]) -> Decoded {
    let mut decoded = Decoded::default();
    if input.iter().all(u8::is_ascii_whitespace) {
        let what = "expected \"v=0\", found nothing";
        decoded.faults.push(Fault::new(input, 0, what));
        return decoded;
    }
    let mut reader = Reader {
        input,
        in_media: false,
        step: 0,
        decoded,
    };
    let mut offset = 0;
    for line in input.split_inclusive(|&c| c == b'\n') {
        reader.line(offset, line);
        offset += line.len();
    }
    let mut decoded = reader.decoded;
    if decoded.faults.is_empty() {
        summarise(input, &mut decoded);
    }
    decoded
}

struct Reader<'a> {
    input: &'a [u8],
    in_media: bool,
    /// Place in [`SESSION`] or [`MEDIA`] reached so far.
    step: usize,
    decoded: Decoded,
}

impl Reader<'_> {
    fn line(&mut self, offset: usize, line: &[u8]) {
        let end = line.iter().rposition(|c| !matches!(c, b'\r' | b'\n'));
        let line = &line[..end.map_or(0, |at| at + 1)];
        if line.is_empty() {
            return;
        }
        let [kind, b'=', value @ ..] = line else {
            return self.fault(offset, "expected TYPE=VALUE with a type of one letter");
        };
        let Ok(value) = core::str::from_utf8(value) else {
            return self.fault(offset + 2, "expected UTF-8");
        };
        let Some(meaning) = self.place(*kind) else {
            return;
        };
        if offset == 0 && *kind != b'v' {
            return self.fault(offset, "expected \"v=0\" as the first line");
        }
        if meaning.is_empty() {
            let name = char::from(*kind);
            return self.fault(offset, format!("expected another line here than {name}="));
        }
        match check(*kind, value) {
            Ok(()) => {
                let line = format!("{}={value}", char::from(*kind));
                let indent = if self.in_media && *kind != b'm' {
                    "  "
                } else {
                    ""
                };
                let _ = writeln!(
                    self.decoded.text,
                    "{:<60} # {meaning}",
                    format!("{indent}{line}")
                );
            }
            Err((at, what)) => self.fault(offset + 2 + at, format!("expected {what}")),
        }
    }

    /// What a line of this kind is here: nothing if it is out of order.
    fn place(&mut self, kind: u8) -> Option<&'static str> {
        if kind == b'm' {
            self.in_media = true;
            self.step = 0;
            return Some(MEDIA[0].1);
        }
        let lines: &[(u8, &'static str)] = if self.in_media { &MEDIA } else { &SESSION };
        // t= may come again with its r= and z=; those say nothing that matters here.
        if matches!(kind, b'r' | b'z') {
            return Some("repetition");
        }
        let found = lines.iter().position(|(letter, _)| *letter == kind);
        match found {
            Some(at) if at >= self.step => {
                self.step = at;
                Some(lines[at].1)
            }
            Some(_) | None => Some(""),
        }
    }

    fn fault(&mut self, offset: usize, what: impl Into<String>) {
        self.decoded
            .faults
            .push(Fault::new(self.input, offset, what));
    }
}

/// Offset within the value, and what was expected there.
type Expected = (usize, String);

fn check(kind: u8, value: &str) -> Result<(), Expected> {
    match kind {
        b'v' if value == "0" => Ok(()),
        b'v' => Err((0, "0".to_owned())),
        b'o' => words(
            value,
            &["USER", "ID", "VERSION", "IN", "IP4 or IP6", "ADDRESS"],
        ),
        b's' if value.is_empty() => Err((0, "a name, or \"-\"".to_owned())),
        b'c' => words(value, &["IN", "IP4 or IP6", "ADDRESS"]),
        b't' => words(value, &["START", "STOP"]),
        b'm' => words_at_least(value, &["MEDIA", "PORT", "PROTOCOL", "FORMAT"]),
        b'a' => attribute(value),
        _ => Ok(()),
    }
}

fn words(value: &str, names: &[&str]) -> Result<(), Expected> {
    words_at_least(value, names)?;
    match spans(value).nth(names.len()) {
        None => Ok(()),
        Some((at, _)) => Err((at, format!("nothing behind {}", names.join(" ")))),
    }
}

fn words_at_least(value: &str, names: &[&str]) -> Result<(), Expected> {
    for (index, name) in names.iter().enumerate() {
        let Some((at, word)) = spans(value).nth(index) else {
            return Err((value.len(), (*name).to_owned()));
        };
        let is_number = word.bytes().all(|c| c.is_ascii_digit()) || word == "$";
        let legal = match *name {
            "ID" | "VERSION" | "START" | "STOP" => is_number,
            "IN" => word == "IN",
            "IP4 or IP6" => matches!(word, "IP4" | "IP6"),
            "PORT" => is_port(word),
            _ => true,
        };
        if !legal {
            return Err((at, format!("{name}, found {word:?}")));
        }
    }
    Ok(())
}

fn is_port(word: &str) -> bool {
    let (port, count) = word.split_once('/').unwrap_or((word, "1"));
    (port == "$" || port.parse::<u16>().is_ok()) && count.parse::<u16>().is_ok()
}

/// The words of a value with their offsets.
fn spans(value: &str) -> impl Iterator<Item = (usize, &str)> {
    let base = value.as_ptr() as usize;
    value
        .split_ascii_whitespace()
        .map(move |word| (word.as_ptr() as usize - base, word))
}

fn attribute(value: &str) -> Result<(), Expected> {
    let (name, argument) = match value.split_once(':') {
        Some((name, argument)) => (name, Some(argument)),
        None => (value, None),
    };
    if name.is_empty() || name.contains(' ') {
        return Err((0, "an attribute's name".to_owned()));
    }
    let at = name.len() + 1;
    let one_of = |words: &[&str]| match argument {
        Some(argument) if words.contains(&argument) => Ok(()),
        Some(_) | None => Err((at, words.join(" or "))),
    };
    match (name, argument) {
        ("setup", _) => one_of(&["active", "passive", "actpass", "holdconn"]),
        ("max-size", argument) => match argument.unwrap_or_default().parse::<u64>() {
            Ok(_) => Ok(()),
            Err(_) => Err((at, "a number of octets".to_owned())),
        },
        ("path", argument) => {
            path(argument.unwrap_or_default()).map_err(|(i, what)| (at + i, what))
        }
        ("accept-types" | "accept-wrapped-types", None | Some("")) => {
            Err((at, "media types, or *".to_owned()))
        }
        _ => Ok(()),
    }
}

fn path(value: &str) -> Result<(), Expected> {
    // `$` is for the gateway to choose (H.248), and an address may hold blanks (TS 24.247 A.5).
    if value.contains('$') || sdp::Path::parse(value).is_ok() {
        return Ok(());
    }
    for (at, uri) in spans(value) {
        if let Err(error) = MsrpUri::parse(uri.as_bytes()) {
            return Err((at, format!("msrp://HOST:PORT/SESSION;tcp, but {error}")));
        }
    }
    Err((0, "msrp://HOST:PORT/SESSION;tcp".to_owned()))
}

/// What the description means for MSRP.
fn summarise(input: &[u8], decoded: &mut Decoded) {
    let description = match Description::parse(input) {
        Ok(description) => description,
        Err(error) => {
            let what = format!("expected a session description: {error}");
            return decoded.faults.push(Fault::new(input, 0, what));
        }
    };
    match description.message() {
        Ok(message) => write_message(&message, &mut decoded.text),
        Err(MessageError::NoMessageMedia) => decoded.text.push_str("\nno m=message line\n"),
        Err(error) => {
            let what = format!("expected MSRP media: {error}");
            decoded.faults.push(Fault::new(input, 0, what));
        }
    }
}

fn write_message(message: &MessageMedia, out: &mut String) {
    let _ = writeln!(out, "\nmessage media (m= line {})", message.index + 1);
    let mut fact = |name: &str, value: String| {
        let _ = writeln!(out, "  {name:<12} {value}");
    };
    fact("transport", message.transport.as_str().to_owned());
    fact(
        "connect to",
        match message.remote_transport_address() {
            Ok(addr) => addr.to_string(),
            Err(error) => format!("unknown: {error}"),
        },
    );
    if let Some(path) = &message.path {
        fact("path", path.as_str().to_owned());
        fact(
            "session",
            path.session_id().unwrap_or("to be chosen").to_owned(),
        );
    }
    if message.port == Choice::Choose {
        fact("port", "to be chosen".to_owned());
    }
    if !message.accept_types.is_empty() {
        fact("accepts", message.accept_types.join(" "));
    }
    if !message.accept_wrapped_types.is_empty() {
        fact("wrapped", message.accept_wrapped_types.join(" "));
    }
    if let Some(size) = message.max_size {
        fact("max size", format!("{size} octets"));
    }
    if let Some(setup) = message.setup {
        fact("setup", setup.as_str().to_owned());
    }
    if message.has_cema {
        fact("cema", "yes (RFC 6714)".to_owned());
    }
    if let Some(tokens) = &message.chatroom {
        fact(
            "chatroom",
            format!("yes {}", tokens.join(" ")).trim_end().to_owned(),
        );
    }
    fact("direction", message.direction.as_str().to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = "v=0\r\no=- 2987933615 2987933615 IN IP6 5555::aaa:bbb:ccc:ddd\r\ns=-\r\n\
        c=IN IP6 5555::aaa:bbb:ccc:ddd\r\nt=0 0\r\nm=message 2855 TCP/MSRP *\r\n\
        a=accept-types:message/cpim text/plain text/html\r\n\
        a=path:msrp://[5555::aaa:bbb:ccc:ddd]:2855/s111271;tcp\r\na=max-size:131072\r\n\
        a=msrp-cema\r\na=setup:active\r\n";

    #[track_caller]
    fn faults(input: &str, expected: &[&str]) {
        let decoded = decode(input.as_bytes());
        let got: Vec<_> = decoded.faults.iter().map(ToString::to_string).collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn the_seed_offer_is_explained() {
        let decoded = decode(SEED.as_bytes());
        assert_eq!(decoded.faults, []);
        for line in [
            "  connect to   [5555::aaa:bbb:ccc:ddd]:2855",
            "  session      s111271",
            "  accepts      message/cpim text/plain text/html",
            "  max size     131072 octets",
            "  setup        active",
        ] {
            assert!(
                decoded.text.lines().any(|l| l == line),
                "{line} in\n{}",
                decoded.text
            );
        }
    }

    #[test]
    fn faults_are_told_where_they_lie() {
        faults("", &["1:1: expected \"v=0\", found nothing"]);
        faults(
            "o=- 1 1 IN IP4 a\n",
            &["1:1: expected \"v=0\" as the first line"],
        );
        faults(&SEED.replace("v=0", "v=1"), &["1:3: expected 0"]);
        faults(&SEED.replace("t=0 0", "t=0"), &["5:4: expected STOP"]);
        faults(
            &SEED.replace("t=0 0", "time"),
            &["5:1: expected TYPE=VALUE with a type of one letter"],
        );
        faults(
            &SEED.replace("message 2855", "message 99999"),
            &["6:11: expected PORT, found \"99999\""],
        );
        faults(
            &SEED.replace("IN IP6 5555::aaa:bbb:ccc:ddd\r\nt", "IN IPX 5\r\nt"),
            &["4:6: expected IP4 or IP6, found \"IPX\""],
        );
        faults(
            &SEED.replace(":active", ":maybe"),
            &["11:9: expected active or passive or actpass or holdconn"],
        );
        faults(
            &SEED.replace("131072", "many"),
            &["9:12: expected a number of octets"],
        );
        faults(
            &SEED.replace("/s111271;tcp", "/s111271"),
            &[
                "8:8: expected msrp://HOST:PORT/SESSION;tcp, but the URI's transport parameter is \
             missing or malformed",
            ],
        );
        faults(
            &SEED.replace("s=-\r\n", "").replace("t=0 0", "t=0 0\r\ns=-"),
            &["5:1: expected another line here than s="],
        );
    }
}
