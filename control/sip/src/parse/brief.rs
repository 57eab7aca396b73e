//! As much of a request as it takes to refuse it: most of what a refusal costs is to read the rest.

use super::trim_line_ends;
use crate::message::{Headers, Method};

/// What tells a transaction and is echoed, and what says that a request goes first.
pub(crate) struct Brief {
    pub(crate) method: Method,
    /// Via, From, To, Call-ID and CSeq, Resource-Priority and Priority.
    pub(crate) headers: Headers,
}

/// The wanted fields by their long and compact names, and whether there may be more than one.
const WANTED: [(&str, &str, bool); 7] = [
    ("Via", "v", true),
    ("From", "f", false),
    ("To", "t", false),
    ("Call-ID", "i", false),
    ("CSeq", "", false),
    ("Resource-Priority", "", true),
    ("Priority", "", false),
];

impl Brief {
    /// Reads a datagram; `None`: it is no plain request, and has to be read as a whole.
    pub(crate) fn read(datagram: &[u8]) -> Option<Self> {
        let mut lines = trim_line_ends(datagram).split_inclusive(|&octet| octet == b'\n');
        let start = core::str::from_utf8(lines.next()?).ok()?.trim_end();
        let (method, rest) = start.split_once(' ')?;
        rest.strip_suffix(" SIP/2.0")?;
        let mut headers = Headers::default();
        let mut is_whole = false;
        for line in lines {
            // A field that goes on.
            if line.starts_with(b" ") || line.starts_with(b"\t") {
                return None;
            }
            is_whole = matches!(line, b"\n" | b"\r\n");
            if is_whole {
                break;
            }
            let colon = line.iter().position(|&octet| octet == b':')?;
            let name = line[..colon].trim_ascii_end();
            let is_it = |of: &str| name.eq_ignore_ascii_case(of.as_bytes());
            let wanted = WANTED
                .iter()
                .find(|(long, short, _)| is_it(long) || is_it(short));
            let Some((name, _, is_list)) = wanted else {
                continue;
            };
            if !is_list && headers.get(name).is_some() {
                return None;
            }
            let value = core::str::from_utf8(&line[colon + 1..]).ok()?;
            headers.push(name, value.trim());
        }
        let (_, named) = headers.cseq()?;
        (is_whole && named.as_str() == method).then_some(Self {
            method: named,
            headers,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{Parsed, parse_datagram};

    const INVITE: &str = "INVITE sip:a@b SIP/2.0\r\n\
        v: SIP/2.0/UDP c;branch=z9hG4bK1\r\nVia: SIP/2.0/UDP d;branch=z9hG4bK2, SIP/2.0/UDP e\r\n\
        Subject: x: y\r\nFrom :  <sip:f@g>;tag=1 \r\nt: <sip:a@b>\r\ni: 1@c\r\nCSEQ: 1 INVITE\r\n\
        Resource-Priority: ets.0\r\nContent-Length: 4\r\n\r\nv=0\n";

    #[test]
    fn what_is_read_is_what_the_whole_says() {
        let brief = Brief::read(INVITE.as_bytes()).expect("a plain request");
        let Parsed::Request(whole) = parse_datagram(INVITE.as_bytes()) else {
            panic!("no request");
        };
        assert_eq!(brief.method, whole.method);
        for (name, _, _) in WANTED {
            let (brief, whole) = (brief.headers.all(name), whole.headers.all(name));
            assert!(brief.eq(whole), "{name}");
        }
        assert_eq!(brief.headers.count(), 7);
    }

    #[test]
    fn what_is_unusual_is_left_to_the_parser() {
        #[track_caller]
        fn check(from: &str, to: &str) {
            let text = INVITE.replace(from, to);
            assert_ne!(text, INVITE);
            assert!(Brief::read(text.as_bytes()).is_none(), "{text}");
        }
        check("Subject: x: y", "Subject: x\r\n y");
        check("Subject: x: y", "From: <sip:h@g>;tag=2");
        check("Subject: x: y", "Subject");
        check("CSEQ: 1 INVITE\r\n", "");
        check("1 INVITE", "1 BYE");
        check("SIP/2.0\r\nv", "SIP/3.0\r\nv");
        check("\r\n\r\nv=0\n", "\r\n");
        check("INVITE sip:a@b SIP/2.0", "SIP/2.0 200 OK");
    }
}
