//! Turns what peers write into what RFC 4566 asks for, before the strict parser sees it.

use std::borrow::Cow;

/// Most descriptions are no longer than this, octets; room for them is made at once.
pub(crate) const TEXT_OCTETS: usize = 256;

/// Splits at LF, CR or CRLF; blanks around lines and empty lines are dropped.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&c| c == b'\n' || c == b'\r')
        .map(<[u8]>::trim_ascii)
        .filter(|l| !l.is_empty())
}

/// A text fit for `sdp-types`, and which `m=` lines had `$` for a port.
pub(crate) struct Normalised {
    pub text: Vec<u8>,
    pub ports_to_choose: Vec<bool>,
}

/// `v=0` is supplied when missing; `$` ports become 0; an `m=` line without format gets `*`; `o=`,
/// `t=` and `b=` with a `$`, which leave to the reader what it does not need, are left out.
pub(crate) fn normalise<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Normalised {
    let mut out = Normalised {
        text: Vec::with_capacity(TEXT_OCTETS),
        ports_to_choose: Vec::new(),
    };
    for (number, line) in lines.enumerate() {
        if number == 0 && !line.starts_with(b"v=") {
            out.text.extend_from_slice(b"v=0\r\n");
        }
        let is_open = [b"o=", b"t=", b"b="].iter().any(|t| line.starts_with(*t));
        if is_open && line.contains(&b'$') {
            continue;
        }
        let line = match line.strip_prefix(b"m=") {
            Some(value) => Cow::Owned(media_line(value, &mut out.ports_to_choose)),
            None => Cow::Borrowed(line),
        };
        out.text.extend_from_slice(&line);
        out.text.extend_from_slice(b"\r\n");
    }
    out
}

fn media_line(value: &[u8], ports_to_choose: &mut Vec<bool>) -> Vec<u8> {
    let mut fields: Vec<&[u8]> = value
        .split(u8::is_ascii_whitespace)
        .filter(|f| !f.is_empty())
        .collect();
    let is_chosen = fields.get(1).is_some_and(|port| *port == b"$");
    ports_to_choose.push(is_chosen);
    if is_chosen {
        fields[1] = b"0";
    }
    if fields.len() == 3 {
        fields.push(b"*");
    }
    [b"m=".as_slice(), &fields.join(&b' ')].concat()
}
