//! Bodies of several parts (RFC 2046 5.1): a session description and a list of whom to invite.

use crate::headers::Fields;
use crate::refer::strip;
use conference::list;
use sip::{Headers, Request, Uri};

/// Parts of one body.
const PARTS_MAX: usize = 8;

/// What an INVITE carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Body {
    pub(crate) sdp: Vec<u8>,
    /// Whom to invite (RFC 5366).
    pub(crate) invited: Vec<Invited>,
    /// What they may know of each other, a list again.
    pub(crate) history: Option<String>,
}

/// Somebody to invite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invited {
    /// Without the method and the header fields.
    pub(crate) target: Uri,
    /// Fields for the INVITE: Replaces and what it requires.
    pub(crate) fields: Fields,
}

/// A session description, and beside it what the others of a list may be known by (RFC 5366 5): the media
/// type and the body. `number` is random: 64 such bits do not occur in either part.
pub(crate) fn with_history(sdp: &str, history: Option<&str>, number: u64) -> (String, Vec<u8>) {
    let Some(history) = history else {
        return ("application/sdp".to_owned(), sdp.into());
    };
    let boundary = format!("part-{number:016x}");
    let body = format!(
        "--{boundary}\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n\
         --{boundary}\r\nContent-Type: {}\r\n\
         Content-Disposition: recipient-list-history; handling=optional\r\n\r\n{history}\r\n\
         --{boundary}--\r\n",
        list::MEDIA_TYPE
    );
    let kind = format!("multipart/mixed;boundary={boundary}");
    (kind, body.into_bytes())
}

impl Body {
    /// Takes the body of a request apart.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words.
    pub(crate) fn of(request: &Request) -> Result<Self, String> {
        let headers = &request.headers;
        if headers.content_type().as_deref() != Some("multipart/mixed") {
            return Ok(Self {
                sdp: request.body.clone(),
                ..Self::default()
            });
        }
        let kind = headers.get("Content-Type").unwrap_or_default();
        let boundary = boundary(kind).ok_or("a multipart body without boundary")?;
        let mut body = Self::default();
        for (kind, content) in parts(&request.body, &boundary)? {
            match kind.as_str() {
                "application/sdp" if body.sdp.is_empty() => body.sdp = content.to_vec(),
                list::MEDIA_TYPE if body.invited.is_empty() => {
                    let entries = list::read(content)?;
                    body.history = list::history(&entries);
                    body.invited = invited(&entries)?;
                }
                _ => {}
            }
        }
        Ok(body)
    }
}

fn invited(entries: &[list::Entry]) -> Result<Vec<Invited>, String> {
    let each = entries.iter().map(|entry| {
        let uri = Uri::parse(&entry.uri).ok();
        let uri = uri.filter(|uri| matches!(uri.scheme(), "sip" | "sips" | "tel"));
        // Dialogs that it names are not those of the focus: it has none yet (TS 24.147 5.3.2.5.3).
        let stripped = uri.as_ref().map(strip);
        stripped
            .and_then(|(target, fields)| {
                let target = Uri::parse(&target).ok()?;
                Some(Invited { target, fields })
            })
            .ok_or_else(|| format!("{} cannot be invited", entry.uri))
    });
    each.collect()
}

fn boundary(content_type: &str) -> Option<String> {
    let value = content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("boundary")
            .then_some(value)
    })?;
    let value = value.trim().trim_matches('"');
    (!value.is_empty()).then(|| value.to_owned())
}

/// Media type and content of each part.
fn parts<'a>(body: &'a [u8], boundary: &str) -> Result<Vec<(String, &'a [u8])>, String> {
    let delimiter = format!("--{boundary}");
    let mut found = Vec::new();
    let mut start = None;
    let mut at = 0;
    for line in body.split_inclusive(|octet| *octet == b'\n') {
        let text = line.trim_ascii_end();
        let is_last = text.strip_suffix(b"--") == Some(delimiter.as_bytes());
        if text == delimiter.as_bytes() || is_last {
            if let Some(start) = start {
                if found.len() >= PARTS_MAX {
                    return Err(format!("more than {PARTS_MAX} parts"));
                }
                found.push(part(&body[start..at])?);
            }
            start = Some(at + line.len());
            if is_last {
                return Ok(found);
            }
        }
        at += line.len();
    }
    Err("a multipart body without its end".to_owned())
}

fn part(octets: &[u8]) -> Result<(String, &[u8]), String> {
    // The line break before a delimiter belongs to the delimiter.
    let octets = octets.strip_suffix(b"\n").unwrap_or(octets);
    let octets = octets.strip_suffix(b"\r").unwrap_or(octets);
    let mut headers = Headers::default();
    let mut rest = octets;
    loop {
        let end = rest.iter().position(|octet| *octet == b'\n');
        let (line, tail) = match end {
            Some(end) => rest.split_at(end + 1),
            None => (rest, &[][..]),
        };
        rest = tail;
        let line = core::str::from_utf8(line.trim_ascii_end()).map_err(|e| e.to_string())?;
        if line.is_empty() {
            let kind = headers
                .content_type()
                .unwrap_or_else(|| "text/plain".to_owned());
            return Ok((kind, rest));
        }
        let (name, value) = line
            .split_once(':')
            .ok_or("a part with a malformed header")?;
        headers.push(name.trim(), value.trim());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip::Method;

    fn request(kind: &str, body: &str) -> Request {
        let mut headers = Headers::default();
        headers.push("Content-Type", kind);
        Request {
            method: Method::Invite,
            uri: Uri::parse("sip:f@x").expect("uri"),
            headers,
            body: body.as_bytes().to_vec(),
        }
    }

    const LIST: &str = "<resource-lists><list><entry uri=\"sip:b@x;method=INVITE;user=phone?Call-ID=1\"/></list></resource-lists>";

    #[test]
    fn a_body_of_two_parts_is_taken_apart() {
        let body = format!(
            "preamble\r\n--b1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\ns=-\r\n\r\n--b1\r\n\
             Content-Type: application/resource-lists+xml\r\n\
             Content-Disposition: recipient-list\r\n\r\n{LIST}\r\n--b1--\r\nepilogue"
        );
        let read = Body::of(&request("multipart/mixed;boundary=\"b1\"", &body)).expect("parts");
        assert_eq!(read.sdp, b"v=0\r\ns=-\r\n");
        let invited: Vec<_> = read.invited.iter().map(|i| i.target.as_str()).collect();
        assert_eq!(invited, ["sip:b@x;user=phone"]);
        assert!(read.invited[0].fields.is_empty());
        let plain = Body::of(&request("application/sdp", "v=0\r\n")).expect("one part");
        assert_eq!((&*plain.sdp, plain.invited.len()), (&b"v=0\r\n"[..], 0));
    }

    #[test]
    fn what_has_no_parts_is_refused() {
        for (kind, body) in [
            ("multipart/mixed", "--b\r\n\r\n--b--\r\n"),
            ("multipart/mixed;boundary=b", ""),
            (
                "multipart/mixed;boundary=b",
                "--b\r\nnonsense\r\n\r\n--b--\r\n",
            ),
            ("multipart/mixed;boundary=b", "--b\r\n\r\nno end"),
        ] {
            assert!(Body::of(&request(kind, body)).is_err(), "{kind} {body}");
        }
    }
}
