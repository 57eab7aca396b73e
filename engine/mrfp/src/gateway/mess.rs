//! Package `mess` (H.248.69): a message is played into a termination, its fate is told.
//!
//! ```text
//! mess/sm -> read() -> start: text of a data: URI at once, a file after the storage has read it
//!         -> Order::Play -> Event::Played -> mess/msrs, g/sc
//! ```

use h248::ast::{Parm, Value};
use switch::limits::PLAY_BYTES_MAX;

use super::fault::{Fault, quotable};
use super::notify::parm;
use super::package;
use crate::storage::{Content, StoragePath, unescape_octets};

/// The event that tells the fate of a message.
pub(super) const MSRS: (&str, &str) = ("mess", "msrs");

/// A message to be played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Play {
    /// `mi`, which the event repeats.
    pub identity: String,
    pub source: Source,
    pub success_report: bool,
    pub failure_report: bool,
}

/// Where its text is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Here: a `data:` URI.
    Text(Content),
    /// In the storage.
    File(StoragePath),
}

impl Play {
    /// Reads the parameters of `mess/sm`.
    pub(super) fn read(parms: &[Parm], has_storage: bool) -> Result<Self, Fault> {
        let identity = text(parms, "mi").ok_or(Fault::ParameterMissing("mi of mess/sm"))?;
        let reference = text(parms, "mcr").ok_or(Fault::ParameterMissing("mcr of mess/sm"))?;
        let source = read_reference(reference)?;
        if matches!(source, Source::File(_)) && !has_storage {
            return Err(Fault::Unplayable(
                "a file, for there is no storage".to_owned(),
            ));
        }
        Ok(Self {
            identity: identity.to_owned(),
            source,
            success_report: is_yes(parms, "sr").unwrap_or(false),
            failure_report: is_yes(parms, "fr").unwrap_or(true),
        })
    }

    /// Whether there is a fate to tell.
    pub(super) fn is_told(&self) -> bool {
        self.success_report || self.failure_report
    }

    /// The parameters of `mess/msrs`.
    pub(super) fn outcome(&self, status: u16) -> Vec<Parm> {
        vec![
            parm("mi", quoted(&self.identity)),
            parm("sc", quoted(&status.to_string())),
        ]
    }
}

/// A parameter's text.
pub(super) fn text<'a>(parms: &'a [Parm], name: &str) -> Option<&'a str> {
    let parm = parms.iter().find(|p| p.name == *name)?;
    package::one(&parm.value).map(|value| value.text.as_str())
}

/// TS 29.333 writes yes and no, a Boolean of H.248.1 would be on and off: both are read.
pub(super) fn is_yes(parms: &[Parm], name: &str) -> Option<bool> {
    let value = text(parms, name)?;
    Some(value.eq_ignore_ascii_case("yes") || value.eq_ignore_ascii_case("on"))
}

/// A string, as events carry it.
pub(super) fn quoted(text: &str) -> Value {
    Value {
        text: quotable(text).into(),
        quoted: true,
    }
}

fn read_reference(uri: &str) -> Result<Source, Fault> {
    let data = uri
        .get(..5)
        .filter(|scheme| scheme.eq_ignore_ascii_case("data:"));
    if data.is_some() {
        let content = read_data(&uri[5..]);
        let content = content.ok_or_else(|| Fault::ValueUnsupported("mcr: data URI".to_owned()))?;
        if content.body.len() > PLAY_BYTES_MAX {
            let what = format!("{PLAY_BYTES_MAX} octets in mcr");
            return Err(Fault::InsufficientResources(what));
        }
        return Ok(Source::Text(content));
    }
    let path = StoragePath::parse(uri);
    let path = path.map_err(|e| Fault::ValueUnsupported(format!("mcr: {e}")))?;
    Ok(Source::File(path))
}

/// What follows `data:` (RFC 2397): media type, `;base64` or not, comma, the octets.
fn read_data(rest: &str) -> Option<Content> {
    let (head, data) = rest.split_once(',')?;
    let (head, is_base64) = match head.len().checked_sub(7) {
        Some(at) if head.is_char_boundary(at) && head[at..].eq_ignore_ascii_case(";base64") => {
            (&head[..at], true)
        }
        _ => (head, false),
    };
    let media_type = match crate::storage::unescape(head)?.as_str() {
        "" => "text/plain;charset=US-ASCII".to_owned(),
        parameters if parameters.starts_with(';') => format!("text/plain{parameters}"),
        media_type => media_type.to_owned(),
    };
    let is_sound = media_type.contains('/') && !media_type.chars().any(char::is_control);
    let octets = unescape_octets(data)?;
    let octets = if is_base64 {
        from_base64(&octets)?
    } else {
        octets
    };
    is_sound.then(|| Content {
        media_type: media_type.into(),
        body: octets.into(),
    })
}

/// RFC 4648 4, padding optional.
fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    let padding = text.iter().rev().take_while(|c| **c == b'=').count();
    let text = &text[..text.len() - padding];
    if padding > 2 || text.len() % 4 == 1 {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for group in text.chunks(4) {
        let bits = group.iter().try_fold(0_u32, |bits, c| {
            let value = match c {
                b'A'..=b'Z' => c - b'A',
                b'a'..=b'z' => c - b'a' + 26,
                b'0'..=b'9' => c - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            Some(bits << 6 | u32::from(value))
        })?;
        let missing = 4 - group.len();
        let octets = (bits << (6 * missing)).to_be_bytes();
        out.extend_from_slice(&octets[1..4 - missing]);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_may_stand_in_the_reference_itself() {
        for (uri, content) in [
            (
                "data:,Hello%2C%20World",
                Some(("text/plain;charset=US-ASCII", "Hello, World")),
            ),
            ("DATA:text/html,<b>", Some(("text/html", "<b>"))),
            (
                "data:;charset=utf-8,caf%C3%A9",
                Some(("text/plain;charset=utf-8", "caf\u{e9}")),
            ),
            (
                "data:text/plain;base64,SGVsbG8=",
                Some(("text/plain", "Hello")),
            ),
            (
                "data:text/plain;base64,SGVsbG8h",
                Some(("text/plain", "Hello!")),
            ),
            ("data:text/plain;base64,SGk", Some(("text/plain", "Hi"))),
            ("data:text/plain;base64,", Some(("text/plain", ""))),
            ("data:text/plain;base64,S", None),
            ("data:text/plain;base64,S*==", None),
            ("data:text/plain", None),
            ("data:plain,x", None),
            ("data:text/a%0Ab,x", None),
            ("data:,%4", None),
        ] {
            let found = match read_reference(uri) {
                Ok(Source::Text(content)) => Some(content),
                Ok(Source::File(path)) => panic!("{path}"),
                Err(fault) => {
                    assert_eq!(fault.code(), 449, "{uri}");
                    None
                }
            };
            let found = found.map(|c| {
                let body = String::from_utf8(c.body.to_vec()).expect("text");
                (c.media_type.to_string(), body)
            });
            let content = content.map(|(t, b)| (t.to_owned(), b.to_owned()));
            assert_eq!(found, content, "{uri}");
        }
    }
}
