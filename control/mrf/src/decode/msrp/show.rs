//! One frame in print.

use core::fmt::Write;

use msrp::{Flag, Head, Method, Start};

use crate::limits::PREVIEW_BYTES_MAX;
use crate::position::Position;

/// Names as RFC 4975, 4976 and 7701 spell them.
const NAMES: [&str; 14] = [
    "To-Path",
    "From-Path",
    "Message-ID",
    "Byte-Range",
    "Success-Report",
    "Failure-Report",
    "Status",
    "Content-Type",
    "Content-ID",
    "Content-Description",
    "Content-Disposition",
    "Use-Nickname",
    "Use-Path",
    "Expires",
];

/// A frame read so far.
pub(super) struct Frame {
    /// Offset of its first octet.
    pub(super) start: usize,
    number: usize,
    line: usize,
    id: String,
    head: String,
    range: Option<msrp::ByteRange>,
    has_body: bool,
    is_send: bool,
    body_octets: u64,
    preview: Vec<u8>,
}

impl Frame {
    pub(super) fn new(number: usize, input: &[u8], start: usize, head: &Head<'_>) -> Self {
        Self {
            start,
            number,
            line: Position::of(input, start).line,
            id: text(head.transaction_id),
            head: head_text(head),
            range: head.byte_range,
            has_body: head.has_body,
            is_send: head.is_send(),
            body_octets: 0,
            preview: Vec::new(),
        }
    }

    /// The transaction id.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn add_body(&mut self, octets: &[u8]) {
        self.body_octets += octets.len() as u64;
        let room = PREVIEW_BYTES_MAX - self.preview.len();
        self.preview
            .extend_from_slice(&octets[..octets.len().min(room)]);
    }

    /// Appends the frame. Writing to a string cannot fail, so results are dropped.
    pub(super) fn write(&self, flag: Flag, out: &mut String) {
        if self.number > 1 {
            out.push('\n');
        }
        let _ = writeln!(out, "frame {} (line {})", self.number, self.line);
        out.push_str(&self.head);
        if self.has_body {
            self.write_body(out);
        }
        let word = match flag {
            Flag::Complete => "the last chunk",
            Flag::More => "more chunks follow",
            Flag::Abort => "abandoned by its sender",
        };
        let flag = char::from(flag.as_byte());
        let _ = writeln!(
            out,
            "  end   {flag}  {}",
            if self.is_send { word } else { "" }.trim_end()
        );
        while out.ends_with(" \n") {
            out.truncate(out.len() - 2);
            out.push('\n');
        }
        for note in self.range_notes() {
            let _ = writeln!(out, "  range {note}");
        }
    }

    fn write_body(&self, out: &mut String) {
        let _ = writeln!(out, "  body  {} octets", self.body_octets);
        match printable(&self.preview) {
            Some(lines) => {
                for line in lines.split_inclusive('\n') {
                    let _ = writeln!(out, "      | {}", line.trim_end_matches(['\r', '\n']));
                }
            }
            None => write_hex(&self.preview, out),
        }
        let hidden = self.body_octets - self.preview.len() as u64;
        if hidden > 0 {
            let _ = writeln!(out, "      ... {hidden} more octets");
        }
    }

    /// What Byte-Range says about the message, and whether the body agrees.
    fn range_notes(&self) -> Vec<String> {
        let Some(range) = self.range else {
            return Vec::new();
        };
        let first = range.offset() + 1;
        let last = range.offset() + self.body_octets;
        let of = range
            .total()
            .map_or("an unknown total".to_owned(), |t| t.to_string());
        let mut notes = Vec::new();
        if self.is_send && self.has_body {
            let whole = if range.offset() == 0 && range.total() == Some(last) {
                ", the whole message"
            } else {
                ""
            };
            notes.push(match self.body_octets {
                0 => format!("no octets of {of}"),
                _ => format!("octets {first} to {last} of {of}{whole}"),
            });
        }
        let claimed = range.end().map(|end| end - range.offset());
        if let Some(claimed) = claimed.filter(|c| self.is_send && *c != self.body_octets) {
            let body = self.body_octets;
            notes.push(format!("claims {claimed} octets, the body has {body}"));
        }
        notes
    }
}

fn head_text(head: &Head<'_>) -> String {
    let mut out = format!("  MSRP {} ", text(head.transaction_id));
    match head.start {
        Start::Request(method) => out.push_str(&text(method.as_bytes())),
        Start::Response { status, comment } => {
            let _ = write!(out, "{status} {}", text(comment));
            out.truncate(out.trim_end().len());
        }
    }
    out.push('\n');
    if let Start::Request(Method::Unknown(_)) = head.start {
        out.push_str("  (a method this program does not know)\n");
    }
    for field in head.fields() {
        let known = NAMES.iter().find(|name| field.is(name));
        let name = known.map_or_else(|| text(field.name), |name| (*name).to_owned());
        let value = match head.content_type {
            Some(media_type) if field.is("Content-Type") => media_type,
            Some(_) | None => field.value,
        };
        let _ = writeln!(out, "  {name}: {}", text(value));
    }
    out
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// The octets as text, if they are text; a character cut at the end does not count.
fn printable(octets: &[u8]) -> Option<&str> {
    let text = match core::str::from_utf8(octets) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            core::str::from_utf8(&octets[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let is_plain = |c: char| !c.is_control() || matches!(c, '\r' | '\n' | '\t');
    text.chars().all(is_plain).then_some(text)
}

fn write_hex(octets: &[u8], out: &mut String) {
    for (index, row) in octets.chunks(16).enumerate() {
        let hex: Vec<_> = row.iter().map(|octet| format!("{octet:02x}")).collect();
        let ascii: String = row
            .iter()
            .map(|&c| {
                if c.is_ascii_graphic() || c == b' ' {
                    char::from(c)
                } else {
                    '.'
                }
            })
            .collect();
        let _ = writeln!(
            out,
            "      {:04x}  {:<47}  {ascii}",
            index * 16,
            hex.join(" ")
        );
    }
}
