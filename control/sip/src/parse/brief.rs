//! As much of a request as it takes to refuse it, where it stands: most of what a refusal costs is to read the
//! rest, and to copy.

use super::trim_line_ends;
use crate::limits::VIAS_MAX;
use crate::message::{Method, goes_first};
use crate::uri::{split_name_addr, tag};
use crate::via::Via;

/// What tells a transaction and is echoed, and what says that a request goes first.
pub(crate) struct Brief<'a> {
    /// One that may make a dialog, OPTIONS, or ACK.
    pub(crate) method: Method,
    vias: [&'a str; VIAS_MAX],
    via_count: usize,
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    pub(crate) call_id: &'a str,
    pub(crate) cseq: &'a str,
    /// What it says of itself: anybody could.
    pub(crate) goes_first: bool,
}

/// The fields that are wanted.
#[derive(Clone, Copy)]
enum Wanted {
    Via,
    From,
    To,
    CallId,
    CSeq,
    ResourcePriority,
    Priority,
}

impl<'a> Brief<'a> {
    /// Reads a datagram; `None`: it is no plain request of such a method, and has to be read as a whole.
    pub(crate) fn read(datagram: &'a [u8]) -> Option<Self> {
        let mut rest = trim_line_ends(datagram);
        let start = core::str::from_utf8(take_line(&mut rest)?).ok()?.trim_end();
        let (method, after) = start.split_once(' ')?;
        after.strip_suffix(" SIP/2.0")?;
        let mut brief = Self {
            method: brief_method(method)?,
            vias: [""; VIAS_MAX],
            via_count: 0,
            from: "",
            to: "",
            call_id: "",
            cseq: "",
            goes_first: false,
        };
        loop {
            let line = take_line(&mut rest)?;
            match line.first()? {
                // A field that goes on.
                b' ' | b'\t' => return None,
                b'\r' | b'\n' if matches!(line, b"\n" | b"\r\n") => break,
                _ => {}
            }
            let colon = memchr::memchr(b':', line)?;
            let Some(wanted) = wanted(line[..colon].trim_ascii_end()) else {
                continue;
            };
            let value = core::str::from_utf8(&line[colon + 1..]).ok()?.trim();
            brief.put(wanted, value)?;
        }
        let (number, named) = brief.cseq.split_once([' ', '\t'])?;
        let is_number = number.parse::<u32>().is_ok_and(|number| number < 1 << 31);
        let is_whole = brief.via_count > 0
            && !brief.call_id.is_empty()
            && is_number
            && named.trim() == method
            && tag(split_name_addr(brief.from).ok()?.1).is_some()
            && !brief.to.is_empty();
        is_whole.then_some(brief)
    }

    /// Via fields, the topmost first.
    pub(crate) fn vias(&self) -> &[&'a str] {
        &self.vias[..self.via_count]
    }

    /// The topmost Via, as far as it can be answered by.
    pub(crate) fn via(&self) -> Option<Via<&'a str>> {
        Via::read(self.vias().first()?).filter(|via| !via.has_gap)
    }

    /// Whether it may make a dialog, or is refused as if it did (OPTIONS).
    pub(crate) fn makes_dialog(&self) -> bool {
        self.method != Method::Ack && self.to_tag().is_none()
    }

    /// Octets of what an answer repeats.
    pub(crate) fn octets(&self) -> usize {
        let vias: usize = self.vias().iter().map(|via| via.len() + 8).sum();
        vias + self.from.len() + self.to.len() + self.call_id.len() + self.cseq.len()
    }

    /// The tag in To.
    pub(crate) fn to_tag(&self) -> Option<&'a str> {
        tag(split_name_addr(self.to).ok()?.1)
    }

    /// Keeps a value; `None`: there are more than there may be.
    fn put(&mut self, wanted: Wanted, value: &'a str) -> Option<()> {
        let place = match wanted {
            Wanted::Via => {
                self.via_count += 1;
                self.vias.get_mut(self.via_count - 1)?
            }
            Wanted::From => &mut self.from,
            Wanted::To => &mut self.to,
            Wanted::CallId => &mut self.call_id,
            Wanted::CSeq => &mut self.cseq,
            Wanted::ResourcePriority | Wanted::Priority => {
                let is_list = matches!(wanted, Wanted::ResourcePriority);
                self.goes_first |= goes_first(is_list, value);
                return Some(());
            }
        };
        place.is_empty().then(|| *place = value)
    }
}

/// Takes the first line, with its end.
fn take_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = memchr::memchr(b'\n', rest)? + 1;
    let (line, after) = rest.split_at(end);
    *rest = after;
    Some(line)
}

/// The methods that are refused under overload, and that of the acknowledgement.
fn brief_method(name: &str) -> Option<Method> {
    Some(match name {
        "INVITE" => Method::Invite,
        "ACK" => Method::Ack,
        "OPTIONS" => Method::Options,
        "SUBSCRIBE" => Method::Subscribe,
        "REFER" => Method::Refer,
        _ => return None,
    })
}

/// By the long and compact names of the fields.
fn wanted(name: &[u8]) -> Option<Wanted> {
    let is = |long: &[u8], wanted| name.eq_ignore_ascii_case(long).then_some(wanted);
    match name.len() {
        1 => match name[0].to_ascii_lowercase() {
            b'v' => Some(Wanted::Via),
            b'f' => Some(Wanted::From),
            b't' => Some(Wanted::To),
            b'i' => Some(Wanted::CallId),
            _ => None,
        },
        2 => is(b"To", Wanted::To),
        3 => is(b"Via", Wanted::Via),
        4 => is(b"From", Wanted::From).or_else(|| is(b"CSeq", Wanted::CSeq)),
        7 => is(b"Call-ID", Wanted::CallId),
        8 => is(b"Priority", Wanted::Priority),
        17 => is(b"Resource-Priority", Wanted::ResourcePriority),
        _ => None,
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
        assert!(brief.vias().iter().copied().eq(whole.headers.all("Via")));
        for (name, value) in [
            ("From", brief.from),
            ("To", brief.to),
            ("Call-ID", brief.call_id),
            ("CSeq", brief.cseq),
        ] {
            assert_eq!(Some(value), whole.headers.get(name), "{name}");
        }
        assert_eq!(brief.to_tag(), None);
        assert!(brief.goes_first);
        let tagged = INVITE.replace("t: <sip:a@b>", "t: \"<;tag=no>\" <sip:a@b;tag=no>;x;tag=2");
        let tagged = Brief::read(tagged.as_bytes()).expect("a plain request");
        assert_eq!(tagged.to_tag(), Some("2"));
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
        check("INVITE", "BYE");
        check(";tag=1", "");
        check("i: 1@c\r\n", "");
        let many = "v: SIP/2.0/UDP h\r\n".repeat(VIAS_MAX - 1);
        check("Subject: x: y\r\n", &many);
    }
}
